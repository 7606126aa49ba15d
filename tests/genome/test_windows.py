"""Windows and overlaps against naive oracles."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from cistransfer.genome.bed import regions_table
from cistransfer.genome.windows import (
    centre,
    centre_windows,
    inside,
    overlapping_runs,
    overlaps_any,
    sort_regions,
)

REGION = st.tuples(st.sampled_from(["chr1", "chr2", "chrX"]), st.integers(0, 30), st.integers(1, 9))


def _table(rows: list[tuple[str, int, int]]) -> pd.DataFrame:
    return regions_table(
        [row[0] for row in rows], [row[1] for row in rows], [row[1] + row[2] for row in rows]
    )


@given(st.lists(REGION, max_size=12), st.lists(REGION, max_size=12))
def test_overlaps_any(
    queries: list[tuple[str, int, int]], regions: list[tuple[str, int, int]]
) -> None:
    expected = [
        any(
            chrom == other and start < begin + width and begin < start + length
            for other, begin, width in regions
        )
        for chrom, start, length in queries
    ]
    assert overlaps_any(_table(queries), _table(regions)).tolist() == expected


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
