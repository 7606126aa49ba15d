"""What every source shares: candidates of one's own, the guard, what is refused, what is shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.examples.candidates import Candidates
from cistransfer.examples.dataset import ExampleSet
from cistransfer.examples.draw import All, Background, Matched, Shares
from cistransfer.examples.holdout import HoldOut
from cistransfer.examples.make import examples_for, make_examples
from cistransfer.examples.sources import FromMatrix, FromTFs
from cistransfer.examples.split import Split
from cistransfer.genome.bed import regions_table
from cistransfer.genome.intervals import overlaps_any
from cistransfer.models.bundle import Bundle

SPLIT = Split(valid=("c2",), test=("c3",))


def candidates(n: int = 90, tasks: int = 1, **changes: object) -> Candidates:
    """Thirty windows on each of three chromosomes, in no order; every third is bound."""
    rng = np.random.default_rng(0)
    order = rng.permutation(n)
    start = order % 30 * 50
    labels = np.repeat((order % 3 == 0).astype(np.int8)[:, None], tasks, axis=1)
    return Candidates(
        regions_table([f"c{1 + i // 30}" for i in order], start, start + 20),
        labels,
        np.where(labels[:, 0] == 1, "yes", "no").astype(object),
        tuple("TUV"[:tasks]),
        codes=rng.integers(0, 4, (n, 20), dtype=np.uint8),
        **changes,  # type: ignore[arg-type]
    )


def test_candidates_of_ones_own() -> None:
    own = candidates(facts={"source": "mine"})
    examples = make_examples(own, holdout=HoldOut(SPLIT))
    place = examples.regions[["chrom", "start"]]
    assert place.equals(place.sort_values(["chrom", "start"], ignore_index=True))
    for row in range(90):
        there = examples.regions.index[
            (examples.regions["chrom"] == own.regions["chrom"][row])
            & (examples.regions["start"] == own.regions["start"][row])
        ][0]
        assert (examples.codes[there] == own.codes[row]).all()  # type: ignore[index]
        assert examples.labels[there, 0] == own.labels[row, 0]
        assert examples.regions["source"][there] == own.source[row]
    assert examples.facts["source"] == "mine"
    assert examples.facts["ratio_reached"] == {"train": 2.0, "valid": 2.0, "test": 2.0}
    assert examples.facts["split"] == SPLIT.as_dict()


def test_matched_keeps_the_order_of_candidates_and_takes_one_task() -> None:
    few = make_examples(
        candidates(), holdout=HoldOut(SPLIT), draw=Matched(gc_bins=1, train_per_bound=1)
    )
    assert (few.labels == 1).sum() == (few.labels == 0).sum() == 30
    with pytest.raises(InputError, match="expected candidates of one task, found 2"):
        make_examples(candidates(tasks=2), holdout=HoldOut(SPLIT), draw=Matched())


def test_candidates_that_do_not_fit_together() -> None:
    own = candidates()
    with pytest.raises(InputError, match=r"a label of each of 2 tasks .* found labels \(90, 1\)"):
        Candidates(own.regions, own.labels, own.source, ("T", "U"))
    with pytest.raises(InputError, match="for each of 89 regions"):
        Candidates(own.regions.iloc[:89], own.labels, own.source, ("T",))
    with pytest.raises(InputError, match="a genome is needed"):
        make_examples(Candidates(own.regions, own.labels, own.source, ("T",)))


def test_a_part_without_a_class_says_what_helps() -> None:
    own = candidates()
    labels = own.labels.copy()
    labels[(own.regions["chrom"] == "c3").to_numpy()] = 0
    poor = Candidates(own.regions, labels, own.source, ("T",), codes=own.codes)
    with pytest.raises(InputError) as caught:
        make_examples(poor, holdout=HoldOut(SPLIT), draw=All())
    assert str(caught.value) == (
        "T: the test part (chromosomes c3) has 0 bound and 30 unbound; both are needed; bound are "
        "on c1 (10), c2 (10); unbound are on c3 (30), c1 (20), c2 (20); name others with "
        "--valid-chroms and --test-chroms, or split with --split neighbours or --split random"
    )
    rare = np.zeros_like(labels)
    rare[0] = 1
    with pytest.raises(InputError, match="both are needed; use more regions"):
        make_examples(
            Candidates(own.regions, rare, own.source, ("T",), codes=own.codes),
            holdout=HoldOut(Split(by="random")),
        )


@pytest.mark.parametrize(
    "holdout", [None, HoldOut(Split(valid=("chr1",), test=("chr2",))), HoldOut(Split(by="random"))]
)
def test_a_trunk_is_guarded_against(world, trunk: Bundle, holdout: HoldOut | None) -> None:
    """In Python as on the command line, whatever split is named."""
    source = FromMatrix(world.matrix_path, "GABPA", world.genome_path)
    if holdout is not None and holdout.rule == "all":
        with pytest.raises(InputError, match="regions were seen by the trunk"):
            examples_for(source, trunk, holdout=holdout)
        return
    seen = trunk.regions()
    if holdout is not None:
        with pytest.raises(InputError, match="windows were seen by the trunk"):
            examples_for(source, trunk, holdout=holdout)
        return
    examples = examples_for(source, trunk)
    assert examples.window == trunk.window
    assert examples.facts["split"] == trunk.card.split
    test = examples.regions[examples.regions["part"] == "test"]
    assert len(test)
    assert not overlaps_any(test, seen).any()


def test_the_guard_is_switched_off_by_name(world, trunk: Bundle) -> None:
    source = FromMatrix(world.matrix, "GABPA", world.genome)
    split = Split(valid=("chr1",), test=("chr2",))
    examples = examples_for(source, trunk, holdout=HoldOut.of(trunk, split, "off"))
    test = examples.regions[examples.regions["part"] == "test"]
    assert overlaps_any(test, trunk.regions()).any()
    assert examples.facts["guard"] == "off"


def test_what_is_shown(trunk_examples: ExampleSet) -> None:
    n = {part: len(trunk_examples.rows(part)) for part in ("train", "valid", "test")}
    assert repr(trunk_examples) == (
        f"<ExampleSet ELF1, SPI1, MAX: {sum(n.values())} windows of 100 bp (train {n['train']}, "
        f"valid {n['valid']}, test {n['test']})>"
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Matched(per_bound=0), "per_bound: expected at least 0.1, found 0"),
        (lambda: Matched(gc_bins=0), "gc_bins: expected at least 1, found 0"),
        (lambda: Shares({"mine": 1}), "no kind of negatives 'mine'; there are: others"),
        (lambda: Background(ratio=0), "ratio: expected at least 0.01, found 0"),
        (lambda: FromTFs("m.h5", "g.fa", max_regions=0), "max_regions: expected at least 1"),
    ],
)
def test_wrong_options(wrong, message: str) -> None:
    with pytest.raises(InputError, match=message):
        wrong()


def test_rows_of_a_table_are_not_changed(world) -> None:
    own = candidates()
    before = own.regions.copy(), own.labels.copy(), own.source.copy()
    make_examples(own, holdout=HoldOut(SPLIT))
    pd.testing.assert_frame_equal(own.regions, before[0])
    assert (own.labels == before[1]).all()
    assert (own.source == before[2]).all()
