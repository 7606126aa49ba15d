"""Every verb on intervals: centres and windows of regions, order, overlaps, merging.

Tables have ``chrom``, ``start`` and ``end`` (0-based, half-open), in any order, of any widths and
with overlaps among themselves unless a verb says otherwise. Regions overlap when they share at
least one base; regions that only touch do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = [
    "MAX_POSITION",
    "RegionIndex",
    "centre",
    "centre_windows",
    "chrom_codes",
    "chrom_runs",
    "count_overlaps",
    "expand_ranges",
    "index_regions",
    "inside",
    "merge",
    "overlap_pairs",
    "overlapping",
    "overlapping_runs",
    "overlaps_any",
    "place_summits",
    "sort_regions",
]

MAX_POSITION = 1 << 40
"""Beyond the end of any chromosome; four million of this length fit on one axis of 63 bits."""

Ints = NDArray[np.int64]


def place_summits(start: Ints, end: Ints, summit: NDArray[np.number] | None = None) -> Ints:
    """Where each region's summit is: the one given where it lies in the region, else its middle.

    Parameters
    ----------
    start, end : ndarray of int64
    summit : ndarray, optional
        Positions on the chromosome; one outside its region, negative or NaN is unknown.
    """
    middle = end - start
    middle >>= 1
    middle += start
    if summit is None:
        return middle
    known = (summit >= start) & (summit < end)
    return np.where(known, summit, middle).astype(np.int64)


def chrom_runs(
    chroms: NDArray[np.object_],
) -> tuple[Ints, NDArray[np.int64], NDArray[np.object_]]:
    """Where the name changes along a column of names, which one begins there, and all of them.

    The names as they appear. Neighbours are mostly one and the same object, which is seen without
    a look at its letters.

    >>> begin, name, names = chrom_runs(np.array(["chr2", "chr2", "chr1", "chr2"], dtype=object))
    >>> begin.tolist(), name.tolist(), names.tolist()
    ([0, 2, 3], [0, 1, 0], ['chr2', 'chr1'])
    """
    held = np.ascontiguousarray(chroms)
    address = np.frombuffer(held, np.intp) if len(held) else np.zeros(0, np.intp)
    begin = np.flatnonzero(np.append(True, address[1:] != address[:-1])[: len(held)])
    code, names = pd.factorize(held[begin])
    fresh = np.flatnonzero(np.diff(code, prepend=-1))
    return begin[fresh], code[fresh], names


def chrom_codes(
    chroms: NDArray[np.object_],
) -> tuple[NDArray[np.int32], NDArray[np.object_]]:
    """Each row's place among the names in the order of `sort_regions`, and these.

    >>> code, names = chrom_codes(np.array(["chr2", "chr2", "chr10"], dtype=object))
    >>> code.tolist(), names.tolist()
    ([1, 1, 0], ['chr10', 'chr2'])
    """
    begin, run, names = chrom_runs(chroms)
    known, place = np.unique(names, return_inverse=True)
    return np.repeat(place.astype(np.int32).take(run), np.diff(begin, append=len(chroms))), known


def centre(regions: pd.DataFrame) -> Ints:
    """Centre of each region: its summit where the table has one, else ``start + (end−start)//2``.

    A summit outside its region counts as unknown (see `place_summits`).
    """
    start, end = regions["start"].to_numpy(np.int64), regions["end"].to_numpy(np.int64)
    if "summit" not in regions:
        return place_summits(start, end)
    return place_summits(start, end, pd.to_numeric(regions["summit"]).to_numpy())


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


def sort_regions(regions: pd.DataFrame) -> pd.DataFrame:
    """Sort by chromosome name (lexicographic, as ``LC_ALL=C sort``), start and end."""
    return regions.sort_values(["chrom", "start", "end"], kind="stable", ignore_index=True)


def count_overlaps(queries: pd.DataFrame, regions: pd.DataFrame) -> Ints:
    """Number of regions that each query overlaps.

    Regions that start before the query's end, less those that end at or before its start.
    """
    if not (len(queries) and len(regions)):
        return np.zeros(len(queries), dtype=np.int64)
    (start, end), (begin, finish) = _on_one_axis(queries, regions)
    before = np.searchsorted(np.sort(begin), end, "left")
    return before - np.searchsorted(np.sort(finish), start, "right")


def overlaps_any(queries: pd.DataFrame, regions: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether each query shares at least one base with any of the regions."""
    return count_overlaps(queries, regions) > 0


def overlap_pairs(queries: pd.DataFrame, regions: pd.DataFrame) -> tuple[Ints, Ints]:
    """All pairs of a query and a region that overlap, as row numbers, ordered by query and region.

    Of two that overlap, either the region begins in the query or the query begins inside the
    region; each half is two binary searches, and no pair that does not overlap is made.
    """
    if not (len(queries) and len(regions)):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    (start, end), (begin, finish) = _on_one_axis(queries, regions)
    by_begin, by_start = np.argsort(begin, kind="stable"), np.argsort(start, kind="stable")
    low, high = np.searchsorted(begin, [start, end], "left", by_begin)
    position, query = expand_ranges(low, high)
    low = np.searchsorted(start, begin, "right", by_start)
    high = np.searchsorted(start, finish, "left", by_start)
    other, region = expand_ranges(low, high)
    rows = np.concatenate([query, by_start[other]])
    found = np.concatenate([by_begin[position], region])
    order = np.lexsort((found, rows))
    return rows[order], found[order]


def overlapping_runs(regions: pd.DataFrame) -> Ints:
    """Number the runs of regions that overlap, directly or through others between them.

    Returns
    -------
    ndarray of int64, shape (n,)
        The run of each region, in the order of the regions: runs are numbered along chromosomes
        sorted by name. Regions that only touch are in different runs.
    """
    run = np.empty(len(regions), dtype=np.int64)
    if not len(regions):
        return run
    ((start, end),) = _on_one_axis(regions)
    order = np.argsort(start, kind="stable")
    reach = np.maximum.accumulate(end[order])
    run[order] = np.cumsum(np.append(True, start[order][1:] >= reach[:-1])) - 1
    return run


def merge(regions: pd.DataFrame) -> tuple[pd.DataFrame, Ints]:
    """Merge the regions that overlap (as ``bedtools merge -d -1``); those that touch stay apart.

    Returns
    -------
    merged : DataFrame
        chrom, start, end, sorted.
    row : ndarray of int64, shape (n,)
        The row of ``merged`` that each region is in.
    """
    run = overlapping_runs(regions)
    order = np.argsort(run, kind="stable")
    first = np.flatnonzero(np.diff(run[order], prepend=-1))
    start, end = (regions[name].to_numpy(np.int64)[order] for name in ("start", "end"))
    merged = {
        "chrom": regions["chrom"].to_numpy(object)[order[first]],
        "start": np.minimum.reduceat(start, first) if len(first) else start,
        "end": np.maximum.reduceat(end, first) if len(first) else end,
    }
    return pd.DataFrame(merged), run


def expand_ranges(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """All integers of the ranges [low, high) laid end to end, and the range that each is from."""
    counts = np.maximum(high - low, 0)
    which = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts
    return np.arange(len(which)) - (before - low)[which], which


def _on_one_axis(*tables: pd.DataFrame) -> list[tuple[Ints, Ints]]:
    """Starts and ends on one axis on which chromosomes, sorted by name, lie end to end."""
    chroms = np.concatenate([table["chrom"].to_numpy(object) for table in tables])
    places = [
        tuple(table[name].to_numpy(np.int64) for name in ("start", "end")) for table in tables
    ]
    code, _ = pd.factorize(chroms, sort=True)
    lowest = min(int(start.min()) for start, _ in places if len(start))
    length = max(int(end.max()) for _, end in places if len(end)) - lowest + 1
    shift = np.split(code * length - lowest, np.cumsum([len(table) for table in tables])[:-1])
    return [(start + by, end + by) for (start, end), by in zip(places, shift, strict=True)]


@dataclass(frozen=True)
class RegionIndex:
    """Regions on one axis, to be asked many times: chromosomes laid end to end with gaps.

    Attributes
    ----------
    begin : ndarray of int64, shape (n_regions + 1,)
        Position on the axis, ascending; behind them one that nothing reaches.
    end : ndarray of int64, shape (n_regions,)
    offset : dict of str → int
        Where each chromosome begins on the axis.
    limit : dict of str → int
        Positions on a chromosome are cut to 0 … limit, which is beyond every region of it.
    widest : int
        Width of the widest region.
    uniform : bool
        Whether all regions have that width.
    below : ndarray of int32
        The axis in pieces of ``1 << shift`` bp: how many regions begin before each.
    """

    begin: Ints
    end: Ints
    offset: dict[str, int]
    limit: dict[str, int]
    widest: int
    uniform: bool
    below: NDArray[np.int32]
    shift: int

    @property
    def n_regions(self) -> int:
        """How many regions there are."""
        return len(self.end)


def index_regions(regions: pd.DataFrame) -> RegionIndex:
    """Index a region table sorted by chromosome and start."""
    start = regions["start"].to_numpy(np.int64)
    end = regions["end"].to_numpy(np.int64)
    width = end - start
    widest = int(width.max())
    first, _, names = chrom_runs(regions["chrom"].to_numpy(object))
    limits = np.maximum.reduceat(end, first) + 1
    stop = np.cumsum(limits + widest + 1)
    offsets = stop - limits - widest - 1
    base = np.repeat(offsets, np.diff(first, append=len(start)))
    begin = np.append(start, np.iinfo(np.int64).max)
    begin[:-1] += base
    # About as many pieces as there are regions, or twice as many.
    shift = max(0, int(stop[-1] // (2 * len(start))).bit_length())
    pieces = np.bincount(begin[:-1] >> shift, minlength=int(stop[-1] >> shift) + 1)
    below = np.zeros(len(pieces), dtype=np.int32)
    np.cumsum(pieces[:-1], out=below[1:])
    base += end
    return RegionIndex(
        begin,
        base,
        dict(zip(names, offsets.tolist(), strict=True)),
        dict(zip(names, limits.tolist(), strict=True)),
        widest,
        bool((width == widest).all()),
        below,
        shift,
    )


def overlapping(
    index: RegionIndex, chroms: list[str], chrom: NDArray[np.int32], start: Ints, end: Ints
) -> tuple[Ints, Ints]:
    """All pairs of (interval, region) that share at least one base.

    The published pipeline runs ``bedtools intersect``; this gives the same pairs: a look into a
    table of pieces of the axis, and the few steps from there.

    Parameters
    ----------
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
    # An interval on a chromosome without regions becomes empty, off the axis.
    base = np.array([index.offset.get(name, -index.widest) for name in chroms], dtype=np.int64)
    limit = np.array([index.limit.get(name, 0) for name in chroms], dtype=np.int64)
    base, limit = base.take(chrom), limit.take(chrom)
    low = np.minimum(start, limit)
    low += base
    high = np.minimum(end, limit)
    high += base
    low -= index.widest - 1
    piece = np.clip(low >> index.shift, 0, len(index.below) - 1)
    first = _climb(index.begin, index.below.take(piece).astype(np.int64), low)
    last = _climb(index.begin, first, high)
    region, row = expand_ranges(first, last)
    if not index.uniform:
        keep = index.end[region] > start[row] + base[row]
        row, region = row[keep], region[keep]
    return row, region


def _climb(begin: Ints, count: Ints, position: Ints) -> Ints:
    """How many regions begin before each position, from counts that are not higher.

    Most are reached within a few steps, in memory that has just been read; the others are searched.
    """
    found = count.copy()
    rest = np.flatnonzero(begin.take(count) < position)
    for _ in range(_MOST_STEPS):
        if not len(rest):
            return found
        found[rest] += 1
        rest = rest[begin.take(found.take(rest)) < position.take(rest)]
    found[rest] = np.searchsorted(begin, position.take(rest))
    return found


_MOST_STEPS = 8
