"""Export a matrix: AnnData, TSV, FASTA, and the layout of the published release."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from cistransfer import progress
from cistransfer.binding.matrix import VIEWS, BindingMatrix, View
from cistransfer.binding.published.indices import published_name
from cistransfer.binding.published.write import (
    write_aggregated,
    write_indices,
    write_per_cell,
    write_per_tf,
    write_scores,
)
from cistransfer.errors import InputError, nearest
from cistransfer.genome.assemblies import check_same_assembly
from cistransfer.genome.codes import decode
from cistransfer.genome.fasta import open_sequences
from cistransfer.genome.intervals import centre_windows
from cistransfer.storage import files_into, safe_name, whole_file

__all__ = ["FORMATS", "Exported", "anndata_of", "export_matrix"]

FORMATS = ("npz", "h5ad", "tsv", "fasta")

PathLike = str | os.PathLike[str]

_ROWS = 8192


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes
    ----------
    left_out : dict of str → int
        Chromosomes that the sequences lack, and their regions.
    """

    files: list[Path]
    left_out: dict[str, int] = field(default_factory=dict)


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
    chroms: Sequence[str] | None = None,
) -> Exported:
    """Write a matrix in another format, whole or not at all.

    Parameters
    ----------
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
    chroms : names, optional
        Only the sequences of these chromosomes, for ``fasta``.
    """
    if to not in FORMATS:
        raise InputError(f"no format {to!r}; {nearest(to, FORMATS)}")
    if layout not in VIEWS:
        raise InputError(f"no layout {layout!r}; {nearest(layout, VIEWS)}")
    target = Path(out)
    if to == "fasta":
        if sequences is None:
            raise InputError("a FASTA export needs the genome's sequence (--genome)")
        return _write_fasta_files(target, matrix, sequences, width, chroms)
    for name, value in (("sequences", sequences), ("width", width), ("chroms", chroms)):
        if value is not None:
            raise InputError(f"{name} has no meaning with {to}; drop it")
    chosen = matrix.view(layout, rule, tfs, cells)
    if to in ("h5ad", "tsv"):
        if target.is_dir():
            raise InputError(f"{target}: expected a file name for {to}, found a folder")
        (_write_anndata if to == "h5ad" else _write_tsv)(target, chosen)
        return Exported([target])
    if layout == "scores" and not (tfs is None and cells is None):
        raise InputError("the published 3-D array holds all TFs and cells; choose none")
    if layout == "tfs" and tfs is not None:
        raise InputError("the published array holds all TFs; choose none, or export tsv or h5ad")
    if layout == "cells":
        _check_names(matrix.tfs if tfs is None else tfs, matrix.cells if cells is None else cells)
    with files_into(target) as folder:
        written = list(write_indices(folder, matrix))
        if layout == "scores":
            written.append(write_scores(folder, matrix))
        elif layout == "cells":
            written += write_per_tf(folder, matrix, chosen.rule, tfs)
            written += write_per_cell(folder, matrix, chosen.rule, cells)
        else:
            written.append(write_aggregated(folder, matrix, chosen.rule, cells=cells))
    return Exported([target / path.name for path in written])


def _check_names(tfs: Sequence[str], cells: Sequence[str]) -> None:
    """Refuse TFs and cells whose files would have one name."""
    named = [(published_name(tf), f"TF {tf!r}") for tf in tfs]
    named += [(published_name(cell), f"cell {cell!r}") for cell in cells]
    for name, count in Counter(name for name, _ in named).items():
        if count > 1:
            both = " and ".join(what for other, what in named if other == name)
            raise InputError(
                f"{both} would be written to one file (matrix2d.{name}…npz); choose TFs and cells "
                "without one of them"
            )


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
    target: Path,
    matrix: BindingMatrix,
    sequences: PathLike,
    width: int | None,
    chroms: Sequence[str] | None,
) -> Exported:
    """Write the regions' sequences in the published layout, one file per chromosome.

    ``sequences.<L>bp.<chrom>.fa.gz`` with headers ``>index::chrom:start-end`` (upper case).
    A chromosome of which the source holds no region is left out and said, unless it was asked for.
    """
    source = open_sequences(sequences)
    check_same_assembly(matrix.genome, source.chromosomes, f"{matrix.path}", source.name)
    regions = matrix.regions if width is None else centre_windows(matrix.regions, width)
    regions = regions.assign(id=matrix.region_ids)
    widths = (regions["end"] - regions["start"]).unique()
    if len(widths) > 1:
        raise InputError(
            f"{matrix.path}: its regions have {len(widths):,} widths; say how wide the sequences "
            "are to be (--window)"
        )
    tables = {str(chrom): table for chrom, table in regions.groupby("chrom", sort=False)}
    for chrom in chroms or ():
        if chrom not in tables:
            raise InputError(
                f"{matrix.path}: no region on chromosome {chrom!r}; {nearest(chrom, tables)}"
            )
    asked = tables if chroms is None else {chrom: tables[chrom] for chrom in chroms}
    lacking = {chrom: len(part) for chrom, part in asked.items() if source.missing(part).all()}
    if chroms is not None or len(lacking) == len(asked):
        lacking = {}  # fetch says what is missing
    written: list[Path] = []
    with files_into(target) as folder:
        for chrom in progress.track([each for each in asked if each not in lacking], "FASTA"):
            codes = source.fetch(asked[chrom])
            path = folder / f"sequences.{widths[0]}bp.{safe_name(chrom)}.fa.gz"
            with _text_out(path) as out:
                for i, row in enumerate(asked[chrom].itertuples(index=False)):
                    header = f">{row.id}::{row.chrom}:{row.start}-{row.end}\n"
                    out.write(f"{header}{decode(codes[i])}\n".encode())
            written.append(path)
    return Exported([target / path.name for path in written], lacking)
