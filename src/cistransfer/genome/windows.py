"""Windows on regions, and overlaps between region tables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = [
    "centre",
    "centre_windows",
    "inside",
    "overlapping_runs",
    "overlaps_any",
    "sort_regions",
]


def centre(regions: pd.DataFrame) -> NDArray[np.int64]:
    """Centre of each region: its summit when the table has one, else ``start + (end−start)//2``."""
    if "summit" in regions:
        return regions["summit"].to_numpy(np.int64)
    start = regions["start"].to_numpy(np.int64)
    return start + (regions["end"].to_numpy(np.int64) - start) // 2


def centre_windows(regions: pd.DataFrame, width: int) -> pd.DataFrame:
    """Windows of ``width`` bp on the centre (summit or midpoint) of each region.

    The window is ``[centre − width//2, centre − width//2 + width)``, as bedtools slop makes it
    for even widths; other columns are kept; starts may be negative (see `inside`).
    """
    start = centre(regions) - width // 2
    return regions.assign(start=start, end=start + width)


def inside(regions: pd.DataFrame, sizes: Mapping[str, int]) -> NDArray[np.bool_]:
    """Whether each region lies wholly on a chromosome of ``sizes`` (name → length in bp)."""
    length = regions["chrom"].map(dict(sizes)).fillna(-1).to_numpy(np.int64)
    start, end = regions["start"].to_numpy(np.int64), regions["end"].to_numpy(np.int64)
    return (start >= 0) & (end <= length)


def overlaps_any(queries: pd.DataFrame, regions: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether each query shares at least one base with any of the regions.

    Both tables may have any order, any widths and overlaps within. Counting regions that start
    before the query's end and subtracting those that end at or before its start leaves the number
    of overlapping ones.
    """
    hit = np.zeros(len(queries), dtype=bool)
    groups = dict(tuple(regions.groupby("chrom", sort=False)))
    for chrom, rows in queries.groupby("chrom", sort=False).indices.items():
        if chrom not in groups:
            continue
        begins = np.sort(groups[chrom]["start"].to_numpy(np.int64))
        ends = np.sort(groups[chrom]["end"].to_numpy(np.int64))
        start = queries["start"].to_numpy(np.int64)[rows]
        end = queries["end"].to_numpy(np.int64)[rows]
        hit[rows] = np.searchsorted(begins, end, "left") > np.searchsorted(ends, start, "right")
    return hit


def overlapping_runs(regions: pd.DataFrame) -> NDArray[np.int64]:
    """Number the runs of regions that overlap, directly or through others between them.

    Returns
    -------
    ndarray of int64, shape (n,)
        The run of each region, in the order of the regions: runs are numbered along chromosomes
        sorted by name. Regions that only touch are in different runs.
    """
    chrom = regions["chrom"].to_numpy()
    names, place = np.unique(chrom.astype(str), return_inverse=True)
    start, end = regions["start"].to_numpy(np.int64), regions["end"].to_numpy(np.int64)
    run = np.empty(len(regions), dtype=np.int64)
    before = 0
    for at in range(len(names)):
        rows = np.flatnonzero(place == at)
        rows = rows[np.argsort(start[rows], kind="stable")]
        reach = np.maximum.accumulate(end[rows])
        opens = np.append(True, start[rows][1:] >= reach[:-1])
        run[rows] = before + np.cumsum(opens) - 1
        before = int(run[rows[-1]]) + 1
    return run


def sort_regions(regions: pd.DataFrame) -> pd.DataFrame:
    """Sort by chromosome name (lexicographic, as ``LC_ALL=C sort``), start and end."""
    return regions.sort_values(["chrom", "start", "end"], kind="stable", ignore_index=True)
