"""Windows and overlaps against naive oracles."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from cistransfer.genome.bed import regions_table
from cistransfer.genome.intervals import (
    centre,
    centre_windows,
    count_overlaps,
    expand_ranges,
    inside,
    merge,
    overlap_pairs,
    overlapping_runs,
    overlaps_any,
    place_summits,
    sort_regions,
)

REGION = st.tuples(st.sampled_from(["chr1", "chr2", "chrX"]), st.integers(0, 30), st.integers(1, 9))


def _table(rows: list[tuple[str, int, int]]) -> pd.DataFrame:
    return regions_table(
        [row[0] for row in rows], [row[1] for row in rows], [row[1] + row[2] for row in rows]
    )


@given(st.lists(REGION, max_size=12), st.lists(REGION, max_size=12))
def test_overlaps_are_those_of_all_pairs(
    queries: list[tuple[str, int, int]], regions: list[tuple[str, int, int]]
) -> None:
    pairs = [
        (i, j)
        for i, (chrom, start, length) in enumerate(queries)
        for j, (other, begin, width) in enumerate(regions)
        if chrom == other and start < begin + width and begin < start + length
    ]
    counts = [sum(i == query for query, _ in pairs) for i in range(len(queries))]
    left, right = _table(queries), _table(regions)
    rows, found = overlap_pairs(left, right)
    assert list(zip(rows.tolist(), found.tolist(), strict=True)) == pairs
    assert count_overlaps(left, right).tolist() == counts
    assert overlaps_any(left, right).tolist() == [count > 0 for count in counts]


@given(st.lists(REGION, max_size=12))
def test_merged_regions_hold_the_same_bases(regions: list[tuple[str, int, int]]) -> None:
    table = _table(regions)
    merged, row = merge(table)
    bases = {(c, i) for c, start, width in regions for i in range(start, start + width)}
    again = [(c, i) for c, s, e in merged.itertuples(index=False) for i in range(s, e)]
    assert sorted(again) == sorted(bases)
    pd.testing.assert_frame_equal(merged, sort_regions(merged), check_dtype=len(merged) > 0)
    inside_own = merged.iloc[row].reset_index(drop=True)
    assert (inside_own["chrom"] == table["chrom"]).all()
    assert ((inside_own["start"] <= table["start"]) & (table["end"] <= inside_own["end"])).all()
    # a region that begins where the one before ends stays apart, and joins with one over the seam
    assert len(merged) == 1 + max(overlapping_runs(table), default=-1)


@given(st.lists(st.tuples(st.integers(-3, 9), st.integers(-3, 9)), max_size=9))
def test_expanded_ranges(ranges: list[tuple[int, int]]) -> None:
    low, high = np.array(ranges, dtype=np.int64).reshape(-1, 2).T
    values, which = expand_ranges(low, high)
    expected = [(value, i) for i, (a, b) in enumerate(ranges) for value in range(a, b)]
    assert list(zip(values.tolist(), which.tolist(), strict=True)) == expected


def test_a_summit_outside_its_region_is_unknown() -> None:
    start, end = np.array([100, 100, 100, 100, 100]), np.array([200, 200, 200, 201, 200])
    summit = np.array([100, 199, 200, -1, np.nan])
    assert place_summits(start, end, summit).tolist() == [100, 199, 150, 150, 150]
    table = pd.DataFrame({"chrom": "chr1", "start": start, "end": end, "summit": summit})
    assert centre(table).tolist() == [100, 199, 150, 150, 150]
    assert place_summits(start, end).tolist() == [150, 150, 150, 150, 150]


def test_touching_is_not_overlapping() -> None:
    table = regions_table(["chr1"] * 3, [0, 9, 10], [5, 10, 12])
    assert overlaps_any(table, regions_table(["chr1"], [5], [10])).tolist() == [False, True, False]


def test_centres_and_windows() -> None:
    regions = regions_table(
        ["chr1", "chr1", "chr2"], [100, 101, 0], [200, 202, 3], name=list("abc")
    )
    assert centre(regions).tolist() == [150, 151, 1]
    windows = centre_windows(regions, 200)
    assert windows["start"].tolist() == [50, 51, -99]
    assert windows["end"].tolist() == [250, 251, 101]
    assert windows["name"].tolist() == list("abc")
    assert regions["start"].tolist() == [100, 101, 0]
    odd = centre_windows(regions, 5)
    assert (odd["end"] - odd["start"]).tolist() == [5, 5, 5]
    assert odd["start"].tolist() == [148, 149, -1]


def test_a_window_is_centred_on_the_summit() -> None:
    regions = regions_table(["chr1"], [100], [200], summit=[110])
    assert centre_windows(regions, 20)[["start", "end"]].iloc[0].tolist() == [100, 120]


def test_windows_of_the_published_width_on_a_centred_region_are_it() -> None:
    regions = regions_table(["chr1"], [1000], [1200])
    pd.testing.assert_frame_equal(centre_windows(regions, 200), regions)


def test_inside() -> None:
    regions = regions_table(["chr1", "chr1", "chr1", "chr9"], [0, -1, 5, 0], [10, 5, 11, 1])
    assert inside(regions, {"chr1": 10}).tolist() == [True, False, False, False]


def test_sorting_is_by_bytes() -> None:
    regions = regions_table(["chr2", "chr10", "chrX", "chr10"], [1, 5, 0, 2], [2, 6, 9, 9])
    assert sort_regions(regions)["chrom"].tolist() == ["chr10", "chr10", "chr2", "chrX"]
    assert sort_regions(regions)["start"].tolist() == [2, 5, 1, 0]
    assert np.array_equal(regions["start"], [1, 5, 0, 2])


def test_overlapping_runs() -> None:
    regions = pd.DataFrame(
        {
            "chrom": ["chr2", "chr1", "chr1", "chr1", "chr1", "chr1"],
            "start": [0, 100, 0, 50, 300, 400],
            "end": [100, 200, 500, 60, 350, 600],
        }
    )
    # one long region joins what would not touch; the first chromosome comes first
    assert overlapping_runs(regions).tolist() == [1, 0, 0, 0, 0, 0]
    apart = regions.drop(index=2)
    assert overlapping_runs(apart).tolist() == [4, 1, 0, 2, 3]
    touching = pd.DataFrame({"chrom": ["a", "a"], "start": [0, 10], "end": [10, 20]})
    assert overlapping_runs(touching).tolist() == [0, 1]
    assert overlapping_runs(touching.iloc[:0]).tolist() == []
