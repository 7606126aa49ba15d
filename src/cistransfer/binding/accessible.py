"""Open regions per cell, from whatever a lab has: UCSC's table, BED files, or a 0/1 table."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.binding.dhs import dhs_samples, read_dhs_clusters, read_dhs_sources
from cistransfer.binding.samples import Sample, read_samples, read_table, read_ucsc2encode
from cistransfer.binding.windowing import OpenRegions
from cistransfer.errors import InputError, nearest
from cistransfer.genome.bed import read_bed
from cistransfer.genome.intervals import merge, overlaps_any
from cistransfer.storage import open_text

__all__ = [
    "Accessible",
    "merge_peaks",
    "read_accessible",
    "read_open_sheet",
    "read_open_table",
    "read_region_numbers",
]

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Accessible:
    """Open regions, the cells' names in the other files, and the files that were read.

    Attributes
    ----------
    opened : OpenRegions
    samples : list of Sample
    files : list of (role, path)
    """

    opened: OpenRegions
    samples: list[Sample]
    files: list[tuple[str, PathLike]]


def read_accessible(
    *,
    dhs: PathLike | None = None,
    dhs_sources: PathLike | None = None,
    ucsc2encode: PathLike | None = None,
    open_sheet: PathLike | None = None,
    regions: PathLike | None = None,
    open_table: PathLike | None = None,
    open_above: float = 0.0,
    samples: PathLike | None = None,
) -> Accessible:
    """Read open regions in one of three forms.

    * ``dhs`` + ``dhs_sources`` (+ ``ucsc2encode``): UCSC's clustered DHS table.
    * ``open_sheet`` (+ ``regions``): one BED or narrowPeak file per cell; with ``regions`` a
      listed region is open in a cell when the cell's file overlaps it, without it the regions are
      the merged peaks of all cells.
    * ``regions`` + ``open_table``: a list of regions and a table of numbers, open where a number
      is above ``open_above``.

    A sample sheet, if given, chooses the cells and maps their names.

    Raises
    ------
    InputError
        When the arguments name no form or more than one, and for malformed files.
    """
    given = [
        name
        for name, value in (("dhs", dhs), ("open_sheet", open_sheet), ("open_table", open_table))
        if value is not None
    ]
    if len(given) != 1:
        raise InputError(
            "open regions come as one of: a DHS cluster table (dhs), one BED file per cell "
            f"(open_sheet), a region table (regions and open_table); found {given or 'none'}"
        )
    sheet = read_samples(samples) if samples is not None else None
    files: list[tuple[str, PathLike | None]] = [("samples", samples), ("regions", regions)]
    if dhs is not None:
        if dhs_sources is None:
            raise InputError(f"{dhs}: a DHS cluster table needs its sources table (dhs_sources)")
        if regions is not None:
            raise InputError(f"{regions}: a DHS cluster table is its own list of regions")
        sources = read_dhs_sources(dhs_sources)
        terms = read_ucsc2encode(ucsc2encode) if ucsc2encode is not None else None
        chosen = dhs_samples(sources, terms, sheet, str(dhs_sources))
        files += [("dhs", dhs), ("dhs_sources", dhs_sources), ("ucsc2encode", ucsc2encode)]
        opened = read_dhs_clusters(dhs, sources, chosen)
    else:
        if open_sheet is not None:
            opened, beds = read_open_sheet(open_sheet, regions)
            files += [("open_sheet", open_sheet), *(("open", bed) for bed in beds)]
        else:
            assert open_table is not None
            if regions is None:
                raise InputError(f"{open_table}: an open table needs its regions (a BED file)")
            opened = read_open_table(regions, open_table, open_above)
            files.append(("open_table", open_table))
        chosen = sheet if sheet is not None else [Sample(cell) for cell in sorted(opened.open)]
        for sample in chosen:
            if sample.cell not in opened.open:
                raise InputError(
                    f"{samples}: cell {sample.cell!r} has no open regions in "
                    f"{open_sheet or open_table}; {nearest(sample.cell, opened.open)}"
                )
        opened = OpenRegions(opened.regions, {s.cell: opened.open[s.cell] for s in chosen})
    return Accessible(opened, chosen, [(role, path) for role, path in files if path is not None])


def read_open_sheet(
    sheet: PathLike, regions: PathLike | None = None
) -> tuple[OpenRegions, list[Path]]:
    """Read a sheet (TSV) of one or several BED or narrowPeak files per cell: columns cell, file.

    Returns
    -------
    opened : OpenRegions
    files : list of Path
        Files are looked for beside the sheet.
    """
    table = read_table(sheet, ["cell", "file"])
    peaks: dict[str, list[pd.DataFrame]] = {}
    files = []
    for row in table.to_dict("records"):
        file = Path(sheet).parent / str(row["file"])
        if not row["cell"] or not file.is_file():
            what = (
                "expected a cell name, found none" if not row["cell"] else f"{file}: no such file"
            )
            raise InputError(f"{sheet}, line {row['line']}: {what}")
        peaks.setdefault(str(row["cell"]), []).append(read_bed(file))
        files.append(file)
    by_cell = {cell: pd.concat(tables, ignore_index=True) for cell, tables in peaks.items()}
    if regions is None:
        return merge_peaks(by_cell), files
    listed = read_bed(regions)
    return OpenRegions(
        listed, {cell: overlaps_any(listed, table) for cell, table in by_cell.items()}
    ), files


def merge_peaks(by_cell: dict[str, pd.DataFrame]) -> OpenRegions:
    """Merge the overlapping peaks of all cells into regions (as ``bedtools merge -d -1``).

    Peaks that only touch stay apart. A region is open in every cell that has a peak in it.
    """
    cells = sorted(by_cell)
    table = pd.concat([by_cell[cell][["chrom", "start", "end"]] for cell in cells])
    of_cell = np.repeat(np.arange(len(cells)), [len(by_cell[cell]) for cell in cells])
    regions, row = merge(table)
    opened: dict[str, NDArray[np.bool_]] = {}
    for i, cell in enumerate(cells):
        own = np.zeros(len(regions), dtype=bool)
        own[row[of_cell == i]] = True
        opened[cell] = own
    return OpenRegions(regions, opened)


def read_open_table(regions: PathLike, table: PathLike, open_above: float = 0.0) -> OpenRegions:
    """Read a region list (BED) and a table of numbers, open where they are above ``open_above``.

    The table is as `read_region_numbers` reads it: one column per cell, 0 and 1 or a signal.
    """
    listed, numbers = read_region_numbers(regions, table)
    return OpenRegions(
        listed, {cell: column.to_numpy() > open_above for cell, column in numbers.items()}
    )


def read_region_numbers(regions: PathLike, table: PathLike) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a region list (BED) and a table of one row per region and one column per cell.

    The table's first column holds the region's name (column 4 of the BED file) or
    ``chrom:start-end``, the header the cells' names, the fields numbers.

    Returns
    -------
    regions : DataFrame
    numbers : DataFrame of float64
        In the order of the regions.

    Raises
    ------
    InputError
        For a region that is in one file only, listed twice, or without numbers, and a column that
        is there twice.
    """
    listed = read_bed(regions)
    values = _read_numbers(table)
    places = listed["chrom"] + ":" + listed["start"].astype(str) + "-" + listed["end"].astype(str)
    names = values.index.astype(str)
    by_name = "name" in listed and bool(names.isin(listed["name"]).sum() > names.isin(places).sum())
    keys = pd.Index(listed["name"] if by_name else places)
    for index, where in ((keys, regions), (names, table)):
        if index.has_duplicates:
            raise InputError(f"{where}: region {index[index.duplicated()][0]!r} is there twice")
    row = names.get_indexer(keys)
    if (row < 0).any():
        raise InputError(
            f"{table}: no row for region {keys[row < 0][0]!r} of {regions} "
            f"({int((row < 0).sum()):,} are missing)"
        )
    unknown = names[~names.isin(keys)]
    if len(unknown):
        raise InputError(
            f"{table}: row {unknown[0]!r} is no region of {regions} ({len(unknown):,} such rows)"
        )
    numbers = {}
    for cell in values.columns:
        column = pd.to_numeric(values[cell], errors="coerce").to_numpy(np.float64)
        if np.isnan(column).any():
            at = int(np.flatnonzero(np.isnan(column))[0])
            raise InputError(
                f"{table}: expected a number for region {names[at]!r} in cell {cell!r}, "
                f"found {values[cell].iloc[at]!r}"
            )
        numbers[str(cell)] = column[row]
    return listed, pd.DataFrame(numbers)


def _read_numbers(table: PathLike) -> pd.DataFrame:
    """The fields of a tab-separated table by its first column, plain or gzip."""
    with open_text(table) as handle:
        try:
            raw = pd.read_csv(handle, sep="\t", header=None, nrows=1, dtype=str, na_filter=False)
        except ValueError as error:
            raise _no_table(table, error) from error
    header = pd.Index(raw.iloc[0])
    if header.has_duplicates:
        # pandas would rename it to NAME.1
        raise InputError(f"{table}: column {header[header.duplicated()][0]!r} is there twice")
    with open_text(table) as handle:
        try:
            return pd.read_csv(handle, sep="\t", index_col=0, comment=None, dtype={0: str})
        except ValueError as error:
            raise _no_table(table, error) from error


def _no_table(table: PathLike, error: ValueError) -> InputError:
    return InputError(f"{table}: not a tab-separated table: {' '.join(str(error).split())}")
