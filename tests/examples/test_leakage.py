"""The leakage guard against a naive oracle."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cistransfer.errors import InputError
from cistransfer.examples.holdout import GUARDS, HoldOut
from cistransfer.genome.bed import regions_table

ROW = st.tuples(
    st.sampled_from(["chr1", "chr2"]),
    st.integers(0, 25),
    st.integers(1, 6),
    st.sampled_from(["train", "valid", "test"]),
)
SEEN = st.tuples(
    st.sampled_from(["chr1", "chr2"]),
    st.integers(0, 25),
    st.integers(1, 6),
    st.sampled_from(["train", "valid"]),
)
Row = tuple[str, int, int, str]


def _table(rows: list[Row]) -> pd.DataFrame:
    return regions_table(
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[1] + row[2] for row in rows],
        part=np.array([row[3] for row in rows], dtype=object),
    )


def _leaks(row: Row, seen: list[Row], guard: str) -> bool:
    touched = {
        part
        for chrom, start, width, part in seen
        if chrom == row[0] and start < row[1] + row[2] and row[1] < start + width
    }
    if guard == "all":
        return bool(touched)
    if guard == "heldout" and row[3] == "test":
        return bool(touched)
    return guard == "heldout" and row[3] == "valid" and "train" in touched


@given(st.lists(ROW, max_size=10), st.lists(SEEN, max_size=8), st.sampled_from(GUARDS))
def test_guards(rows: list[Row], seen: list[Row], guard: str) -> None:
    table, trunk = _table(rows), _table(seen)
    found = HoldOut(None, guard, trunk).leaking(table, table["part"].to_numpy())
    assert found.tolist() == [_leaks(row, seen, guard) for row in rows]
    assert found.dtype == bool


def test_without_a_trunk_nothing_leaks() -> None:
    table = _table([("chr1", 0, 5, "test")])
    assert not HoldOut(None, "all").leaking(table, np.array(["test"], dtype=object)).any()
    with pytest.raises(InputError, match="no leakage guard 'some'; there are: heldout, all, off"):
        HoldOut(guard="some")
