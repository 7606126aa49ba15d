"""Regions of one cell alone, and windows that forget nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError
from cistransfer.openness.regions import OpenRegions
from cistransfer.openness.specific import open_in, specific_regions


def opened(**cells: list[int]) -> OpenRegions:
    """Regions of 100 bp every 1,000 bp of chr1."""
    n = len(next(iter(cells.values())))
    start = np.arange(n) * 1000
    regions = pd.DataFrame({"chrom": "chr1", "start": start, "end": start + 100})
    return OpenRegions(regions, {name: np.array(row, dtype=bool) for name, row in cells.items()})


def test_a_table_of_all_categories() -> None:
    found = specific_regions(
        opened(
            A=[1, 0, 0, 1, 1, 0, 0, 1],
            B=[0, 1, 0, 1, 1, 0, 0, 0],
            C=[0, 0, 1, 0, 1, 0, 0, 0],
            D=[0, 0, 0, 1, 0, 1, 0, 1],
        ),
        ["C", "A", "B"],
    )
    assert list(found) == ["A", "B", "C", "shared", "universal", "other", "closed", "A"]
    assert list(found.cat.categories) == ["C", "A", "B", "shared", "universal", "other", "closed"]


def test_more_cells_than_a_byte_counts() -> None:
    table = opened(**{f"c{at}": list(np.arange(202) == at) for at in range(200)})
    found = specific_regions(table, list(table.open))
    assert list(found) == [*table.open, "closed", "closed"]


def test_one_and_two_cells() -> None:
    table = opened(A=[1, 0, 1], B=[1, 1, 0])
    assert list(specific_regions(table, ["A"])) == ["A", "other", "A"]
    assert list(specific_regions(table, ["B", "A"])) == ["universal", "B", "A"]


@given(
    st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=12),
    st.permutations("VWXYZ"),
    st.integers(1, 5),
)
def test_equals_counting_by_hand(rows: list[list[bool]], order: list[str], k: int) -> None:
    columns = np.array(rows).T
    table = opened(**{name: list(columns[at]) for at, name in enumerate("VWXYZ")})
    chosen = order[:k]
    for row, found in zip(rows, specific_regions(table, chosen), strict=True):
        where = {name for name, is_open in zip("VWXYZ", row, strict=True) if is_open}
        mine = where & set(chosen)
        if len(mine) == 1:
            expected = next(iter(mine))
        elif mine:
            expected = "universal" if len(mine) == k else "shared"
        else:
            expected = "other" if where else "closed"
        assert found == expected


@pytest.mark.parametrize(
    ("chosen", "line"),
    [
        ([], "expected at least one chosen cell, found none"),
        (["HepG"], "no cell 'HepG' among the open regions; nearest: HepG2"),
        (["K562", "K562"], "cell 'K562' is named twice among the chosen cells"),
        (["other"], "a cell cannot have the name of a category of regions: 'other'"),
    ],
)
def test_wrong_cells(chosen: list[str], line: str) -> None:
    with pytest.raises(InputError, match="^" + line):
        specific_regions(opened(HepG2=[1], K562=[0]), chosen)


def test_windows_keep_closed_regions_and_merge_equal_ones() -> None:
    regions = pd.DataFrame(
        {
            "chrom": ["chr2", "chr1", "chr1", "chr1", "chr1"],
            "start": [500, 300, 320, 900, 10],
            "end": [600, 400, 380, 1000, 20],
        }
    )
    cells = {"A": np.array([1, 0, 1, 0, 1], bool), "B": np.array([0, 1, 0, 0, 1], bool)}
    windows, left_out = OpenRegions(regions, cells).windows(100)
    assert windows.regions.to_numpy().tolist() == [
        ["chr1", 300, 400],
        ["chr1", 900, 1000],
        ["chr2", 500, 600],
    ]
    assert windows.open["A"].tolist() == [True, False, True]
    assert windows.open["B"].tolist() == [True, False, False]
    assert left_out == {"off a chromosome's end": 1, "equal to another window (merged)": 1}
    without, left_out = OpenRegions(regions, cells).windows(
        100,
        exclude=[pd.DataFrame({"chrom": ["chr2"], "start": [599], "end": [601]})],
    )
    assert len(without.regions) == 2
    assert left_out["in excluded regions"] == 1


SIX = ["GM12878", "K562", "HepG2", "HCT116", "A549", "MCF-7"]


def test_the_real_matrix(real_matrix: BindingMatrix) -> None:
    table = real_matrix.open_regions()
    assert (table.open["K562"] == real_matrix.accessible("K562")[:, 0]).all()
    found = specific_regions(table, SIX).value_counts()
    assert found.to_dict() == {
        "other": 129_893,
        "shared": 40_414,
        "MCF-7": 35_238,
        "GM12878": 17_037,
        "K562": 13_149,
        "HepG2": 7_427,
        "universal": 6_869,
        "A549": 6_174,
        "HCT116": 2_802,
        "closed": 0,
    }
    assert (open_in(table, real_matrix.cells) > 0).all()
