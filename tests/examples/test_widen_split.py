"""A trunk's split on a genome of which the trunk saw a part."""

from __future__ import annotations

import by_source
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cistransfer.errors import InputError
from cistransfer.examples.split import Split, widen_split
from cistransfer.models.bundle import Bundle

TRUNK = Split(valid=("chr8",), test=("chr9",))


def regions(**sizes: int) -> list[str]:
    return [name for name, size in sizes.items() for _ in range(size)]


@pytest.mark.parametrize(
    ("sizes", "seen", "valid", "test"),
    [
        # held-out chromosomes that are large enough stay alone
        ({"chr1": 75, "chr8": 10, "chr9": 10, "chr2": 5}, ["chr1", "chr8"], ["chr8"], ["chr9"]),
        # the smallest sufficient new one, for the test set first
        (
            {"chr1": 60, "chr2": 12, "chr3": 11, "chr4": 9, "chr5": 8},
            ["chr1"], ["chr2"], ["chr3"],
        ),
        # too little on the trunk's own: the new one comes on top
        ({"chr1": 80, "chr8": 10, "chr9": 4, "chr2": 6}, ["chr1", "chr8"], ["chr8"],
         ["chr9", "chr2"]),
        # none alone suffices: the largest, then the smallest sufficient
        ({"chr1": 82, "chr2": 7, "chr3": 6, "chr4": 5}, ["chr1"], ["chr3"], ["chr2", "chr4"]),
        # chromosomes without regions go
        ({"chr1": 50, "chr2": 10}, ["chr1", "chr8"], [], ["chr2"]),
        # nothing that the trunk was trained on is ever held out
        ({"chr1": 50, "chr2": 50}, ["chr1", "chr2"], [], []),
        # half of the regions stay for training
        ({"chr1": 40, "chr2": 60}, ["chr1"], [], []),
        ({"chr1": 50, "chr2": 50}, ["chr1"], [], ["chr2"]),
        ({}, ["chr1"], [], []),
    ],
)  # fmt: skip
def test_literal_splits(
    sizes: dict[str, int], seen: list[str], valid: list[str], test: list[str]
) -> None:
    found = widen_split(TRUNK, regions(**sizes), seen)
    assert (list(found.valid), list(found.test)) == (valid, test)
    assert found.by == "chromosome"


NAMES = [f"chr{number}" for number in range(1, 10)]


@settings(max_examples=120)
@given(
    sizes=st.dictionaries(st.sampled_from(NAMES), st.integers(1, 60), min_size=1),
    trained=st.sets(st.sampled_from(NAMES[:7])),
    fraction=st.sampled_from([0.05, 0.1, 0.3]),
    seed=st.integers(0, 5),
)
def test_properties(sizes: dict[str, int], trained: set[str], fraction: float, seed: int) -> None:
    rows = np.array(regions(**sizes), dtype=object)
    before = (TRUNK.valid, TRUNK.test)
    seen = trained | {"chr8"}
    found = widen_split(TRUNK, rows, seen, fraction)
    shuffled = np.random.default_rng(seed).permutation(rows)
    assert widen_split(TRUNK, shuffled, sorted(seen, reverse=True), fraction) == found
    assert (TRUNK.valid, TRUNK.test) == before
    held = [*found.valid, *found.test]
    assert len(set(held)) == len(held)  # disjoint, no name twice
    assert not set(held) & trained
    assert set(held) <= set(sizes)
    own = {"chr8", "chr9"} & set(sizes)
    assert own & {"chr8"} <= set(found.valid)
    assert own & {"chr9"} <= set(found.test)
    total = sum(sizes.values())
    left = total - sum(sizes[name] for name in held)
    added = set(held) - own
    if added:
        assert left >= total / 2
    free = [name for name in sizes if name not in seen | set(held) | own]
    for part, names in (("test", found.test), ("valid", found.valid)):
        size = sum(sizes[name] for name in names)
        if size < fraction * total:  # only because nothing more could be taken
            assert all(left - sizes[name] < total / 2 for name in free), part
        extra = [name for name in names if name not in own]
        if extra:  # nothing is taken once there is enough
            assert size - sizes[extra[-1]] < fraction * total


def test_peaks_on_a_genome_of_which_the_trunk_saw_a_part(world, trunk: Bundle) -> None:
    """A trunk of two chromosomes: new ones are held out, and can be evaluated on."""
    chroms = sorted(world.matrix.regions["chrom"].unique())
    assert len(chroms) == 5
    peaks = pd.DataFrame(world.matrix.regions[["chrom", "start", "end"]]).iloc[::2]
    every = pd.DataFrame(world.matrix.regions[["chrom", "start", "end"]])
    seen = every[every["chrom"].isin(chroms[:2])].assign(part="train")
    split = Split(valid=(chroms[2],), test=("chrZ",))
    made = by_source.peaks(
        peaks, every, world.genome, tf="X", window=100, trunk_regions=seen, trunk_split=split
    )
    parts = made.regions.groupby("part")["chrom"].agg(set).to_dict()
    assert parts["test"] <= set(chroms[3:])
    assert parts["test"]
    assert parts["valid"] == {chroms[2]}
    assert set(chroms[:2]) <= parts["train"]
    assert made.facts["split"]["test"] == sorted(parts["test"])
    # a split of one's own goes before the trunk's
    own = Split(valid=(chroms[0],), test=(chroms[1],))
    made = by_source.peaks(
        peaks, every, world.genome, tf="X", window=100, split=own, trunk_split=split,
        trunk_regions=seen.iloc[:0],
    )  # fmt: skip
    assert made.facts["split"] == own.as_dict()


def test_peaks_on_nothing_but_what_the_trunk_was_trained_on(world) -> None:
    every = pd.DataFrame(world.matrix.regions[["chrom", "start", "end"]])
    with pytest.raises(InputError, match="no chromosome for validation: the trunk's are chrY"):
        by_source.peaks(
            every.iloc[::2], every, world.genome, tf="X", window=100,
            trunk_regions=every.assign(part="train"),
            trunk_split=Split(valid=("chrY",), test=("chrZ",)),
        )  # fmt: skip
