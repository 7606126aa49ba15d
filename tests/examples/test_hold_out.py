"""Splits whose test chromosomes are given."""

from __future__ import annotations

import pytest

from cistransfer.errors import InputError
from cistransfer.examples.hold_out import hold_out
from cistransfer.examples.split import Split

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


def test_too_few_chromosomes_to_validate_on() -> None:
    with pytest.raises(InputError, match="needs regions on at least 3 chromosomes"):
        hold_out(None, ["chr1", "chr2", "chr3", "chr4"])
