"""Which sorted regions share a base with intervals: two binary searches, no pair left out.

The published pipeline runs ``bedtools intersect``; this gives the same pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["RegionIndex", "index_regions", "overlapping"]


@dataclass(frozen=True)
class RegionIndex:
    """Regions on one axis: chromosomes laid end to end with gaps.

    Attributes
    ----------
    begin, end : ndarray of int64, shape (n_regions,)
        Position on the axis; ``begin`` ascends.
    offset : dict of str → int
        Where each chromosome begins on the axis.
    widest : int
        Width of the widest region.
    uniform : bool
        Whether all regions have that width.
    limit : int
        Positions on a chromosome are cut to 0 … limit, which is beyond every region.
    """

    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    offset: dict[str, int]
    widest: int
    uniform: bool
    limit: int


def index_regions(regions: pd.DataFrame) -> RegionIndex:
    """Index a region table sorted by chromosome and start."""
    start = regions["start"].to_numpy(np.int64)
    end = regions["end"].to_numpy(np.int64)
    width = end - start
    widest = int(width.max())
    limit = int(end.max()) + 1
    chrom = regions["chrom"]
    offset = {name: at * (limit + widest + 1) for at, name in enumerate(dict.fromkeys(chrom))}
    base = chrom.map(offset).to_numpy(np.int64)
    uniform = bool((width == widest).all())
    return RegionIndex(base + start, base + end, offset, widest, uniform, limit)


def overlapping(
    index: RegionIndex,
    chroms: list[str],
    chrom: NDArray[np.int32],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of (interval, region) that share at least one base.

    Parameters
    ----------
    index : RegionIndex
    chroms, chrom
        Chromosome names, and each interval's index into them.
    start, end : ndarray of int64
        0-based, half-open.

    Returns
    -------
    row : ndarray of int64
        Index of the interval.
    region : ndarray of int64
        Row of the region.
    """
    base = np.array([index.offset.get(name, -1) for name in chroms], dtype=np.int64)[chrom]
    # An interval on a chromosome without regions becomes empty, off the axis.
    low = np.where(base < 0, -index.widest, base + np.minimum(start, index.limit))
    high = np.where(base < 0, -index.widest, base + np.minimum(end, index.limit))
    first = np.searchsorted(index.begin, low - index.widest, side="right")
    last = np.searchsorted(index.begin, high, side="left")
    count = np.maximum(last - first, 0)
    row = np.repeat(np.arange(len(count)), count)
    before = np.cumsum(count) - count
    region = np.arange(len(row)) - (before - first)[row]
    if not index.uniform:
        keep = index.end[region] > low[row]
        row, region = row[keep], region[keep]
    return row, region
