"""What is held out of few peaks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cistransfer.examples import held_out
from cistransfer.examples.held_out import MIN_TEST, examples_held_out, n_bound, with_test
from cistransfer.examples.sources import FromPeaks
from cistransfer.examples.split import deal_chromosomes


@pytest.fixture(scope="module")
def own(world) -> pd.DataFrame:
    states = world.matrix.states(["GABPA"], rule="sparse")[:, 0]
    return world.matrix.regions[states == 1].reset_index(drop=True)


def source(world, peaks: pd.DataFrame) -> FromPeaks:
    return FromPeaks(peaks=peaks, genome=world.genome, open_regions=world.matrix.regions)


def test_few_peaks_are_tested_once_each_where_the_trunk_has_not_been(
    world, narrow_trunk, own
) -> None:
    held = examples_held_out(source(world, own[::2].reset_index(drop=True)), narrow_trunk)
    assert 3 <= len(held.sets) <= 5
    assert "in its turn" in held.how
    tested = pd.concat([data.regions[data.regions["part"] == "test"] for data in held.sets])
    assert not tested[["chrom", "start", "end"]].duplicated().any()
    assert not set(tested["chrom"]) & set(narrow_trunk.regions()["chrom"])
    for data in held.sets:
        assert n_bound(data, "test") < MIN_TEST
        parts = data.regions.groupby("part")["chrom"].unique()
        assert not set(parts["test"]) & set(parts["valid"])
        assert not set(parts["test"]) & set(parts["train"])


def test_where_no_chromosomes_are_left_the_interval_is_wide(world, trunk, own) -> None:
    held = examples_held_out(source(world, own[::2].reset_index(drop=True)), trunk)
    assert len(held.sets) == 1
    assert held.how == "chromosomes chr5"
    assert "expect wide intervals" in held.lines[-1]


def test_the_examples_are_the_same_with_the_test_part_in_training(world, trunk, own) -> None:
    data = examples_held_out(source(world, own), trunk).sets[0]
    whole = with_test(data)
    assert np.array_equal(whole.codes, data.codes)
    assert n_bound(whole, "train") == n_bound(data, "train", "test")
    assert n_bound(whole, "valid") == n_bound(data, "valid")
    assert n_bound(whole, "test") == 0


def test_of_very_many_some_are_learned_from(world, trunk, narrow_trunk, own, monkeypatch) -> None:
    monkeypatch.setattr(held_out, "MOST_BOUND", 15)
    folds = examples_held_out(source(world, own[::2].reset_index(drop=True)), narrow_trunk)
    assert all(n_bound(data, "train", "valid") == 15 for data in folds.sets)
    monkeypatch.setattr(held_out, "MOST_BOUND", 40)
    monkeypatch.setattr(held_out, "MIN_TEST", 5)
    held = examples_held_out(source(world, own), trunk)
    assert n_bound(held.sets[0], "train", "valid") == 40
    assert n_bound(held.sets[0], "test") <= 40
    assert "40 of 56 bound windows" in held.lines[-1]
    assert held.how.startswith("chromosomes ")


def test_chromosomes_are_dealt_evenly_whatever_their_order() -> None:
    size = {"a": 7, "b": 5, "c": 4, "d": 4, "e": 1}
    assert deal_chromosomes(size, 3) == [("a",), ("b", "e"), ("c", "d")]
    assert deal_chromosomes(dict(reversed(size.items())), 3) == [("a",), ("b", "e"), ("c", "d")]
    assert deal_chromosomes({"a": 1}, 2) == [("a",), ()]
