"""Splits whose test chromosomes are given."""

from __future__ import annotations

import pytest

from cistransfer.examples.holdout import PUBLISHED_TEST
from cistransfer.examples.split import Split, complete_split, settle_split

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
