"""Splits whose test chromosomes are given."""

from __future__ import annotations

import pytest

from cistransfer.examples.hold_out import hold_out
from cistransfer.examples.split import Split, settle_split

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
    assert hold_out(wanted, CHROMS) == expected


def test_without_the_test_chromosomes() -> None:
    assert hold_out(None, ["chr1", "chr2", "chr4"]) is None
    assert hold_out(Split(fold="1/2"), ["chr1", "chr4"]) == Split(fold="1/2")
    assert hold_out(None, CHROMS, ()) is None


@pytest.mark.parametrize("chroms", [["chr1", "chr2", "chr3"], ["chr1", "chr2", "chr3", "chr4"]])
def test_too_few_chromosomes_to_validate_on(chroms: list[str]) -> None:
    assert hold_out(None, chroms) is None
    assert settle_split(hold_out(None, chroms), chroms).by == "chromosome"
    assert hold_out(Split(fold="1/3"), chroms) == Split(fold="1/3")


def test_a_fold_needs_as_many_chromosomes_as_there_are_folds() -> None:
    four = ["chr1", "chr2", "chr3", "chr4"]
    assert hold_out(Split(fold="1/2"), four) == Split(
        valid=("chr1",), test=("chr2", "chr3"), fold="1/2"
    )
