"""Shares of an example set: ratio kept, the test part whole, nested draws."""

from __future__ import annotations

import numpy as np
import pytest

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet, subset
from cistransfer.genome.bed import regions_table


def _examples(n: int = 400) -> ExampleSet:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (n, 10), dtype=np.uint8)
    labels = (np.arange(n) % 4 == 0).astype(np.int8)[:, None]
    part = np.where(
        np.arange(n) % 10 < 6, "train", np.where(np.arange(n) % 10 < 8, "valid", "test")
    )
    start = np.arange(n) * 20
    regions = regions_table(["chr1"] * n, start, start + 10, part=part.astype(object))
    return ExampleSet(codes, labels, regions, ("A",), {"source": "toy"})


def _counts(examples: ExampleSet) -> dict[str, tuple[int, int]]:
    labels = np.asarray(examples.labels[:, 0])
    return {
        part: (int(labels[rows].sum()), int((labels[rows] == 0).sum()))
        for part in ("train", "valid", "test")
        for rows in [examples.rows(part)]
    }


def test_the_class_ratio_is_kept_and_the_test_part_is_whole() -> None:
    whole = _examples()
    before, after = _counts(whole), _counts(subset(whole, fraction=0.1, seed=3))
    for part in ("train", "valid"):
        for one, other in zip(before[part], after[part], strict=True):
            assert other == round(one / 10)
    assert after["test"] == before["test"]


def test_most_positives_bring_their_negatives() -> None:
    whole = _examples()
    kept = _counts(subset(whole, max_positives={"train": 30, "test": 5}))
    positives, negatives = _counts(whole)["train"]
    assert kept["train"] == (30, round(negatives * 30 / positives))
    assert kept["test"][0] == 5
    assert kept["valid"] == _counts(whole)["valid"]
    assert _counts(subset(whole, max_positives={"train": 10_000})) == _counts(whole)


def test_rows_are_those_of_the_whole_in_their_order() -> None:
    whole = _examples()
    part = subset(whole, fraction=0.5, seed=1)
    places = whole.regions.set_index("start")
    assert part.regions["start"].is_monotonic_increasing
    at = np.searchsorted(whole.regions["start"], part.regions["start"])
    assert (part.codes == whole.codes[at]).all()
    assert (part.labels == whole.labels[at]).all()
    assert (places.loc[part.regions["start"], "part"].to_numpy() == part.regions["part"]).all()
    assert part.facts["subset"] == {"fraction": 0.5, "most": None, "seed": 1}


def test_draws_differ_and_the_smaller_lies_in_the_larger() -> None:
    whole = _examples()
    small, large = (
        set(subset(whole, fraction=share, seed=1).regions["start"]) for share in (0.2, 0.6)
    )
    assert small < large
    other = set(subset(whole, fraction=0.2, seed=2).regions["start"])
    assert other != small
    assert set(subset(whole, fraction=0.2, seed=1).regions["start"]) == small


@pytest.mark.parametrize(
    ("fraction", "message"),
    [(0.0, "above 0"), (1.5, "at most 1"), (0.001, "leaves no")],
)
def test_refusals(fraction: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        subset(_examples(), fraction=fraction)
