"""Open regions out of a table of signals, cell by cell and replicate by replicate."""

from __future__ import annotations

import os
import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.binding.accessible import read_region_numbers
from cistransfer.binding.samples import read_table
from cistransfer.binding.windowing import OpenRegions
from cistransfer.errors import InputError, nearest

__all__ = ["read_signal_table", "z_scores"]

PathLike = str | os.PathLike[str]

_REPLICATE = re.compile(r"^(?P<cell>.+)\.\d+$")


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
    threshold : float
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
