"""One entry to every export of a matrix."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cistransfer.binding.export import write_anndata, write_fasta_files, write_tsv
from cistransfer.binding.publish import (
    write_aggregated,
    write_indices,
    write_per_cell,
    write_per_tf,
    write_scores,
)
from cistransfer.binding.reader import BindingMatrix
from cistransfer.binding.views import view
from cistransfer.errors import InputError, nearest

__all__ = ["FORMATS", "LAYOUTS", "export_matrix"]

FORMATS = ("npz", "h5ad", "tsv", "fasta")

LAYOUTS = ("tfs", "cells", "scores")
"""What is laid out: ``tfs``: regions × TFs over the chosen cells; ``cells``: each TF × cell apart;
``scores``: the published 3-D scores 0 … 4."""

PathLike = str | os.PathLike[str]


def export_matrix(
    matrix: BindingMatrix,
    out: PathLike,
    to: str,
    *,
    layout: str = "tfs",
    rule: str | None = None,
    tfs: Sequence[str] | None = None,
    cells: Sequence[str] | None = None,
    sequences: PathLike | None = None,
    width: int | None = None,
) -> list[Path]:
    """Write a matrix in another format.

    Parameters
    ----------
    matrix : BindingMatrix
    out : path
        A file for ``h5ad`` and ``tsv`` (``.gz``: compressed), a folder for ``npz`` and ``fasta``.
    to : {"npz", "h5ad", "tsv", "fasta"}
        ``npz`` and ``fasta`` are the published layout: with ``layout="tfs"`` the aggregated array
        (and, with chosen ``cells``, the cells put together), with ``"cells"`` one array per TF
        (cells × regions) and one per cell (regions × TFs), with ``"scores"`` the 3-D array; and
        the index pickles.
    layout : {"tfs", "cells", "scores"}
        See `LAYOUTS`.
    rule : str, optional
        Rule of the states; the matrix's default one when not given.
    tfs, cells : names, optional
        Only these.
    sequences : path, optional
        Genome FASTA or windows, for ``fasta``.
    width : int, optional
        Width of the sequences, for ``fasta``; the regions' own when not given.

    Returns
    -------
    list of Path
        The files written.
    """
    if to not in FORMATS:
        raise InputError(f"no format {to!r}; {nearest(to, FORMATS)}")
    if layout not in LAYOUTS:
        raise InputError(f"no layout {layout!r}; {nearest(layout, LAYOUTS)}")
    target = Path(out)
    if to == "fasta":
        if sequences is None:
            raise InputError("a FASTA export needs the genome's sequence (sequences)")
        return write_fasta_files(target, matrix, sequences, width)
    chosen = view(matrix, layout, rule, tfs, cells)
    if to in ("h5ad", "tsv"):
        if target.is_dir():
            raise InputError(f"{target}: expected a file name for {to}, found a folder")
        (write_anndata if to == "h5ad" else write_tsv)(target, chosen)
        return [target]
    if target.exists() and not target.is_dir():
        raise InputError(f"{target}: expected a folder for npz, found a file")
    written = write_indices(target, matrix)
    if layout == "scores":
        if tfs is not None or cells is not None:
            raise InputError("the published 3-D array holds all TFs and cells; choose none")
        return [*written, write_scores(target, matrix)]
    if layout == "cells":
        written += write_per_tf(target, matrix, chosen.rule, tfs)
        return written + write_per_cell(target, matrix, chosen.rule, cells)
    if tfs is not None:
        raise InputError("the published array holds all TFs; choose none, or export tsv or h5ad")
    return [*written, write_aggregated(target, matrix, chosen.rule, cells=cells)]
