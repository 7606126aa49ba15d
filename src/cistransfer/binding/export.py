"""Export a matrix: AnnData, TSV, FASTA, and the layout of the published release."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from cistransfer import progress
from cistransfer.binding.matrix import VIEWS, BindingMatrix, View
from cistransfer.binding.published.write import (
    write_aggregated,
    write_indices,
    write_per_cell,
    write_per_tf,
    write_scores,
)
from cistransfer.errors import InputError, nearest
from cistransfer.genome.codes import decode
from cistransfer.genome.fasta import open_sequences
from cistransfer.genome.intervals import centre_windows
from cistransfer.storage import safe_name, whole_file

__all__ = ["FORMATS", "anndata_of", "export_matrix"]

FORMATS = ("npz", "h5ad", "tsv", "fasta")

PathLike = str | os.PathLike[str]

_ROWS = 8192


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
        See `cistransfer.binding.matrix.VIEWS`.
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
    if layout not in VIEWS:
        raise InputError(f"no layout {layout!r}; {nearest(layout, VIEWS)}")
    target = Path(out)
    if to == "fasta":
        if sequences is None:
            raise InputError("a FASTA export needs the genome's sequence (sequences)")
        return _write_fasta_files(target, matrix, sequences, width)
    chosen = matrix.view(layout, rule, tfs, cells)
    if to in ("h5ad", "tsv"):
        if target.is_dir():
            raise InputError(f"{target}: expected a file name for {to}, found a folder")
        (_write_anndata if to == "h5ad" else _write_tsv)(target, chosen)
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


@contextmanager
def _text_out(path: PathLike) -> Iterator[IO[bytes]]:
    """A binary file that appears whole, gzip when the name ends so."""
    with whole_file(path) as temporary, open(temporary, "wb") as raw:
        if str(path).endswith(".gz"):
            with gzip.GzipFile(
                filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=4
            ) as handle:
                yield handle  # type: ignore[misc]
        else:
            yield raw


def _write_tsv(path: PathLike, shown: View) -> None:
    """Write chrom, start, end and one column per TF (or TF@cell); unresolved is ``NA``.

    Gzip when the name ends in ``.gz``.
    """
    values = shown.array()
    regions = shown.matrix.regions
    # Every value is written into three bytes (two and a tab); unused ones, zero, are cut out.
    symbols = np.zeros((256, 3), dtype=np.uint8)
    symbols[:, 2] = ord("\t")
    for value in range(5):
        symbols[value, 0] = ord(str(value))
    symbols[255, :2] = ord("N"), ord("A")
    places = (
        regions["chrom"] + "\t" + regions["start"].astype(str) + "\t" + regions["end"].astype(str)
    ).tolist()
    with _text_out(path) as out:
        out.write("\t".join(["chrom", "start", "end", *shown.labels]).encode() + b"\n")
        for first in progress.track(range(0, len(values), _ROWS), "Writing rows"):
            block = symbols[values[first : first + _ROWS].view(np.uint8)]
            block[:, -1, 2] = ord("\n")
            text = block[block > 0].tobytes().splitlines(keepends=True)
            places_here = places[first : first + _ROWS]
            out.write(
                b"".join(
                    place.encode() + b"\t" + line
                    for place, line in zip(places_here, text, strict=True)
                )
            )


def anndata_of(shown: View) -> object:
    """Make an AnnData of a view: TFs (or TF × cell) are rows, regions are columns.

    ``X`` is float32 with 1, 0 and NaN (scores: 0 … 4); ``layers["state"]`` the same as int8 with
    −1; ``obs`` names tf and cell, ``var`` chrom, start and end. The scverse convention; classes as
    rows, as other regulatory-DNA tools have it.

    Raises
    ------
    InputError
        When the package anndata is not installed.
    """
    try:
        import anndata
    except ImportError as error:
        raise InputError(
            "AnnData files need the package anndata: pip install 'cistransfer[anndata]'"
        ) from error
    matrix = shown.matrix
    regions = matrix.regions
    names = regions["chrom"] + ":" + regions["start"].astype(str) + "-" + regions["end"].astype(str)
    values = np.ascontiguousarray(shown.array().T)
    numbers = values.astype(np.float32)
    numbers[values < 0] = np.nan
    obs = pd.DataFrame(shown.columns, columns=["tf", "cell"], index=pd.Index(shown.labels))
    made: object = anndata.AnnData(
        X=numbers,
        obs=obs,
        var=regions.set_index(pd.Index(names.to_numpy())).assign(id=matrix.region_ids),
        layers={"state": values},
        uns={
            "matrix": matrix.name,
            "genome": matrix.genome,
            "view": shown.kind,
            "rule": shown.rule,
            "content_hash": matrix.content_hash,
        },
    )
    return made


def _write_anndata(path: PathLike, shown: View) -> None:
    """Write a view as ``.h5ad`` (see `anndata_of`)."""
    made = anndata_of(shown)
    with whole_file(path) as temporary:
        made.write_h5ad(temporary, compression="gzip")  # type: ignore[attr-defined]


def _write_fasta_files(
    folder: PathLike, matrix: BindingMatrix, sequences: PathLike, width: int | None = None
) -> list[Path]:
    """Write the regions' sequences in the published layout, one file per chromosome.

    ``sequences.<L>bp.<chrom>.fa.gz`` with headers ``>index::chrom:start-end`` (upper case).

    Parameters
    ----------
    folder : path
    matrix : BindingMatrix
    sequences : path
        A genome FASTA, or windows (`cistransfer.genome.fasta.open_sequences`).
    width : int, optional
        Wider or narrower windows on the same centres; the regions' own width when not given.

    Raises
    ------
    InputError
        When a region's sequence is not in ``sequences``.
    """
    source = open_sequences(sequences)
    regions = matrix.regions if width is None else centre_windows(matrix.regions, width)
    regions = regions.assign(id=matrix.region_ids)
    length = int((regions["end"] - regions["start"]).iat[0])
    written = []
    for chrom, table in progress.track(list(regions.groupby("chrom", sort=False)), "Writing FASTA"):
        codes = source.fetch(table)
        path = Path(folder) / f"sequences.{length}bp.{safe_name(str(chrom))}.fa.gz"
        with _text_out(path) as out:
            for at, row in enumerate(table.itertuples(index=False)):
                header = f">{row.id}::{row.chrom}:{row.start}-{row.end}\n"
                out.write(f"{header}{decode(codes[at])}\n".encode())
        written.append(path)
    return written
