"""Open regions out of a table of regions and numbers: states, or signals of replicates."""

from __future__ import annotations

import os
import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest, shown
from cistransfer.genome.bed import read_bed
from cistransfer.openness.regions import OpenRegions
from cistransfer.openness.samples import read_table
from cistransfer.storage import open_text

__all__ = ["read_open_table", "read_region_numbers", "read_signal_table", "z_scores"]

PathLike = str | os.PathLike[str]

_REPLICATE = re.compile(r"^(?P<cell>.+)\.\d+$")


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
            raise InputError(
                f"{where}: region {shown(index[index.duplicated()][0])!r} is there twice"
            )
    row = names.get_indexer(keys)
    if (row < 0).any():
        raise InputError(
            f"{table}: no row for region {shown(keys[row < 0][0])!r} of {regions} "
            f"({int((row < 0).sum()):,} are missing)"
        )
    unknown = names[~names.isin(keys)]
    if len(unknown):
        raise InputError(
            f"{table}: row {shown(unknown[0])!r} is no region of {regions} "
            f"({len(unknown):,} such rows)"
        )
    numbers = {}
    for cell in values.columns:
        column = pd.to_numeric(values[cell], errors="coerce").to_numpy(np.float64)
        if np.isnan(column).any():
            at = int(np.flatnonzero(np.isnan(column))[0])
            raise InputError(
                f"{table}: expected a number for region {shown(names[at])!r} in cell "
                f"{shown(cell)!r}, found {shown(values[cell].iloc[at])!r}"
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
    header = raw.iloc[0].str.strip()
    if header.duplicated().any():
        # pandas would rename it to NAME.1
        raise InputError(
            f"{table}: column {shown(header[header.duplicated()].iloc[0])!r} is there twice"
        )
    if (header.iloc[1:] == "").any():
        number = int(np.flatnonzero(header.to_numpy()[1:] == "")[0]) + 2
        raise InputError(f"{table}: expected a cell's name over column {number}, found none")
    with open_text(table) as handle:
        try:
            values = pd.read_csv(handle, sep="\t", index_col=0, comment=None, dtype={0: str})
        except ValueError as error:
            raise _no_table(table, error) from error
    return values.rename(columns=str.strip)


def _no_table(table: PathLike, error: ValueError) -> InputError:
    return InputError(f"{table}: not a tab-separated table: {shown(error, 200)}")


def read_open_table(
    regions: PathLike, table: PathLike, open_above: float | None = None
) -> OpenRegions:
    """Read a region list (BED) and a table of numbers, open where they are above ``open_above``.

    The table is as `read_region_numbers` reads it: one column per cell, 0 and 1 or a signal.

    Raises
    ------
    InputError
        As `read_region_numbers`, and for other numbers than 0 and 1 without ``open_above``.
    """
    listed, numbers = read_region_numbers(regions, table)
    values = numbers.to_numpy()
    if open_above is None and not np.isin(values, (0, 1)).all():
        row, column = (int(i[0]) for i in np.nonzero(~np.isin(values, (0, 1))))
        raise InputError(
            f"{table}: holds numbers other than 0 and 1 ({values[row, column]:g} in column "
            f"{shown(numbers.columns[column])!r}); say where a region is open: open_above for "
            "numbers as they are, z_above for signals whose Z-scores count (published: 1.64)"
        )
    above = 0.0 if open_above is None else open_above
    return OpenRegions(
        listed, {cell: column.to_numpy() > above for cell, column in numbers.items()}
    )


def z_scores(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Z-scores of log10 of a replicate's signal over all regions that have any.

    A region without signal (0) has no logarithm: it counts neither for the mean nor for the
    standard deviation (population), and its Z-score is −∞, so it is open at no threshold (the
    ENCODE registry gives such regions −10).

    Parameters
    ----------
    signal : ndarray of float64, shape (n,)
        At least 0.

    Returns
    -------
    ndarray of float64, shape (n,)
        All −∞ when fewer than two different values are above 0.
    """
    scores = np.full(len(signal), -np.inf)
    some = np.flatnonzero(signal > 0)
    logs = np.log10(signal[some])
    if len(np.unique(logs)) > 1:  # equal logs can have a standard deviation of 1e-17
        scores[some] = (logs - logs.mean()) / logs.std()
    return scores


def read_signal_table(
    regions: PathLike,
    table: PathLike,
    *,
    threshold: float = 1.64,
    replicates: PathLike | None = None,
) -> OpenRegions:
    """Read a region list and a table of signals; open is what stands out in any replicate.

    A region is open in a cell where the Z-score (`z_scores`) is above the threshold in any of the
    cell's replicates. Salvatore et al. 2023, Methods: log10 of the signal per rDHS, a global
    Z-score, 1.64.

    Parameters
    ----------
    regions : path
        BED file.
    table : path
        As `read_region_numbers` reads it: one column per replicate, ``CELL`` or ``CELL.1``,
        ``CELL.2`` and so on. Numbers are sums or means of signal, at least 0, not logarithms.
    replicates : path, optional
        TSV with columns ``column`` and ``cell``, where the columns' names are otherwise; columns
        that it does not list are not used.

    Raises
    ------
    InputError
        As `read_region_numbers`, for a signal below 0 or infinite, a replicate without a spread,
        and a column that is not in the table.
    """
    listed, numbers = read_region_numbers(regions, table)
    cell_of = _cells(list(numbers.columns), table, replicates)
    opened: dict[str, NDArray[np.bool_]] = {}
    for column, cell in cell_of.items():
        signal = numbers[column].to_numpy()
        wrong = np.flatnonzero(~((signal >= 0) & np.isfinite(signal)))
        if len(wrong):
            chrom, start, end = listed[["chrom", "start", "end"]].iloc[wrong[0]]
            raise InputError(
                f"{table}: expected a signal of at least 0 for region {chrom}:{start}-{end} in "
                f"column {column!r}, found {signal[wrong[0]]:g}; give signals, not their logarithms"
            )
        scores = z_scores(signal)
        if np.isneginf(scores).all():
            raise InputError(
                f"{table}: column {column!r} has {len(np.unique(signal[signal > 0]))} different "
                "signals above 0; a Z-score needs at least 2"
            )
        own = scores > threshold
        opened[cell] = opened[cell] | own if cell in opened else own
    return OpenRegions(listed, opened)


def _cells(columns: list[str], table: PathLike, replicates: PathLike | None) -> dict[str, str]:
    """Cell of each column."""
    if replicates is None:
        matches = {column: _REPLICATE.match(column) for column in columns}
        return {column: match["cell"] if match else column for column, match in matches.items()}
    listed: pd.DataFrame = read_table(replicates, ["column", "cell"])
    cell_of: dict[str, str] = {}
    for row in listed.to_dict("records"):
        column, cell = str(row["column"]), str(row["cell"])
        where = f"{replicates}, line {row['line']}"
        if column not in columns:
            raise InputError(
                f"{where}: no column {column!r} in {table}; {nearest(column, columns)}"
            )
        if column in cell_of or not cell:
            what = "there twice" if column in cell_of else "without a cell"
            raise InputError(f"{where}: column {column!r} is {what}")
        cell_of[column] = cell
    return cell_of
