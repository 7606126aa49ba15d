"""What is held out: the split and what it inherits, and the guard against a naive oracle."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cistransfer.errors import InputError
from cistransfer.examples.holdout import (
    GUARDS,
    PUBLISHED_TEST,
    HoldOut,
    HoldOutOptions,
)
from cistransfer.examples.split import Split, chromosome_folds, complete_split, settle_split
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


CHROMS = ["chr1"] * 60 + ["chr2"] * 30 + ["chr3"] * 30 + ["chr4"] * 31 + ["chr5"] * 9


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, Split(valid=("chr5",), test=("chr2", "chr3"))),
        (Split(valid=("chr1",), test=("chr4",)), Split(valid=("chr1",), test=("chr4",))),
        (Split(by="random"), Split(by="random")),
        (Split(fold="2/2"), Split(valid=("chr4", "chr5"), test=("chr2", "chr3"), fold="2/2")),
        (
            Split(fold="1/2", test=("chr1",)),
            Split(valid=("chr4", "chr5"), test=("chr1",), fold="1/2"),
        ),
    ],
)
def test_a_table(wanted: Split | None, expected: Split) -> None:
    assert complete_split(wanted, CHROMS, PUBLISHED_TEST) == expected


def test_without_the_test_chromosomes() -> None:
    assert complete_split(None, ["chr1", "chr2", "chr4"], PUBLISHED_TEST) is None
    assert complete_split(Split(fold="1/2"), ["chr1", "chr4"], PUBLISHED_TEST) == Split(fold="1/2")
    assert complete_split(None, CHROMS, ()) is None


@pytest.mark.parametrize("chroms", [["chr1", "chr2", "chr3"], ["chr1", "chr2", "chr3", "chr4"]])
def test_too_few_chromosomes_to_validate_on(chroms: list[str]) -> None:
    assert complete_split(None, chroms, PUBLISHED_TEST) is None
    assert settle_split(complete_split(None, chroms, PUBLISHED_TEST), chroms).by == "chromosome"
    assert complete_split(Split(fold="1/3"), chroms, PUBLISHED_TEST) == Split(fold="1/3")


def test_a_fold_needs_as_many_chromosomes_as_there_are_folds() -> None:
    four = ["chr1", "chr2", "chr3", "chr4"]
    assert complete_split(Split(fold="1/2"), four, PUBLISHED_TEST) == Split(
        valid=("chr1",), test=("chr2", "chr3"), fold="1/2"
    )


class Card:
    def __init__(self, split: Split | None) -> None:
        self.split = None if split is None else split.as_dict()
        self.assembly: str | None = None


class Known:
    """A trunk on chr1 to chr3."""

    window = 20

    def __init__(self, split: Split | None = Split(valid=("chr2",), test=("chr3",))) -> None:  # noqa: B008
        self.card = Card(split)

    def regions(self) -> pd.DataFrame:
        return regions_table(["chr1", "chr2"], [0, 0], [99, 99], part=["train", "valid"])

    def seen(self) -> dict[str, np.ndarray]:
        return {}


def places(**size: int) -> pd.DataFrame:
    chroms = [name for name, n in size.items() for _ in range(n)]
    start = np.arange(len(chroms)) * 50
    return regions_table(chroms, start, start + 20)


def test_the_guard_is_on_unless_it_is_switched_off_by_name() -> None:
    trunk, table = Known(), places(chr1=2, chr2=2)
    parts = np.array(["test", "valid", "test", "train"], dtype=object)
    for split in (None, "chromosome", Split(valid=("chr1",), test=("chr2",)), Split(fold="1/2")):
        held = HoldOut.of(trunk, split)
        assert held.rule == "heldout"
        assert held.leaking(table, parts).tolist() == [True, True, False, False]
    for by in ("random", "neighbours"):
        assert HoldOut.of(trunk, by).rule == "all"
    off = HoldOut.of(trunk, guard="off")
    assert off.rule == "off"
    assert not off.leaking(table, parts).any()


def test_what_a_trunk_hands_on() -> None:
    regions = places(chr1=80, chr2=10, chr3=10)
    held = HoldOut.of(Known()).settle(regions)
    assert held.split == Split(valid=("chr2",), test=("chr3",))
    assert held.facts() == {
        "guard": "heldout",
        "guard_compares_by": "place",
        "split": {"by": "chromosome", "valid": ["chr2"], "test": ["chr3"]},
    }
    assert held.settle(places(chr9=5)) is held
    fold = HoldOut.of(Known(), Split(fold="2/2")).settle(regions).split
    assert fold == chromosome_folds(regions["chrom"], 2, test=("chr3",))[1]
    own = Split(valid=("chr3",), test=("chr2",))
    assert HoldOut.of(Known(), own).settle(regions).split == own
    for other in (None, Split(by="random")):  # a split at random is not handed on
        assert HoldOut.of(Known(other)).settle(regions).split == settle_split(
            None, regions["chrom"]
        )


def test_other_chromosomes_than_the_trunks() -> None:
    """A genome of its own needs none of the trunk's test chromosomes."""
    yeast = places(chrI=60, chrII=20, chrIII=10, chrIV=10)
    split = HoldOut.of(Known()).settle(yeast).split
    assert split == Split(valid=("chrIV",), test=("chrIII",))
    with pytest.raises(
        InputError,
        match=r"no chromosome for validation: the trunk's are chr2 for validation and chr3 for "
        r"test, found chr4 \(60\), chr1 \(40\); name others with --valid-chroms .* --split random",
    ):
        HoldOut.of(Known()).settle(places(chr1=40, chr4=60))


def test_parts_and_a_table_that_lacks_them() -> None:
    regions = places(chr1=8, chr2=1, chr3=1)
    assert HoldOut().parts(regions).tolist() == ["train"] * 8 + ["test", "valid"]
    with pytest.raises(InputError, match="what a trunk has seen lacks the columns part"):
        HoldOut(seen=regions)


def test_options_of_the_command_line() -> None:
    assert HoldOutOptions().split() is None
    assert HoldOutOptions(by="random").split(seed=4) == Split(by="random", seed=4)
    named = HoldOutOptions(valid=("chr1",), test=("chr2",), guard="all")
    held = HoldOut.of(Known(), named.split(), named.guard)
    assert (held.split, held.guard) == (Split(valid=("chr1",), test=("chr2",)), "all")
    fold = HoldOutOptions(fold="1/2").split()
    assert HoldOut.of(Known(), fold).split == Split(test=("chr3",), fold="1/2")
    for wrong, message in (
        ({"by": "random", "fold": "1/2"}, "fold has no meaning without by chromosome"),
        ({"valid": ("chr1",), "fold": "1/2"}, "valid has no meaning"),
        ({"guard": "some"}, "guard: expected heldout or all or off, found 'some'"),
        ({"valid": ("chr1",)}, "name both --valid-chroms and --test-chroms"),
    ):
        with pytest.raises(InputError, match=message):
            HoldOutOptions(**wrong).split()
