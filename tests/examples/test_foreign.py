"""A trunk of one genome and the peaks of another: no chromosome of the trunk's is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from cistransfer.examples.candidates import Candidates
from cistransfer.examples.draw import Matched
from cistransfer.examples.holdout import HoldOut
from cistransfer.examples.make import make_examples
from cistransfer.examples.seen import Seen
from cistransfer.examples.split import NoPartsError, Split, choose_chromosomes, widen_split
from cistransfer.genome.bed import regions_table
from cistransfer.genome.seen import distinct_fingerprints

HUMAN = Split(valid=("chr15",), test=("chr21",))
SEEN = [f"chr{number}" for number in range(1, 23) if number != 21]
WIDTH = 120


def candidates(sizes: dict[str, tuple[int, int]], seed: int = 1) -> Candidates:
    """Bound and unbound windows, by chromosome, of bases that no trunk has seen."""
    chroms = [name for name, numbers in sizes.items() for _ in range(sum(numbers))]
    labels = [
        label for numbers in sizes.values() for label in (1, 0) for _ in range(numbers[1 - label])
    ]
    start = np.arange(len(chroms)) * 500
    codes = np.random.default_rng(seed).integers(0, 4, (len(chroms), WIDTH), dtype=np.uint8)
    return Candidates(
        regions_table(chroms, start, start + WIDTH),
        np.array(labels, dtype=np.int8)[:, None],
        np.where(np.array(labels) == 1, "peak", "open").astype(object),
        ("TF",),
        codes=codes,
    )


def trunk(split: Split = HUMAN, *, assembly: str | None = "hg38") -> HoldOut:
    """What a trunk of the human genome hands on: it has seen every chromosome but chr21."""
    places = regions_table(
        np.repeat(SEEN, 50), np.tile(np.arange(50) * 1000, len(SEEN)),
        np.tile(np.arange(50) * 1000 + 200, len(SEEN)),
        part=np.where(np.repeat(SEEN, 50) == "chr15", "valid", "train"),
    )  # fmt: skip
    codes = np.random.default_rng(99).integers(0, 4, (len(places), WIDTH), dtype=np.uint8)
    prints = {
        part: distinct_fingerprints(codes[(places["part"] == part).to_numpy()])
        for part in ("train", "valid")
    }
    return HoldOut(split, seen=Seen(places, prints, assembly), inherited=True)


FOREIGN = {
    "three chromosomes": {"A": (60, 300), "B": (50, 260), "C": (40, 200)},
    "a thousand scaffolds": {
        f"scaffold_{i}": ((30 - i // 4) // 3 if i < 112 else 0, max(30 - i // 4, 1))
        for i in range(1000)
    },
    "yeast": {
        name: (12 + 2 * i, 80 + 9 * i)
        for i, name in enumerate(["I", "II", "III", "IV", "V", "VI", "VII"])
    },
    "names of the trunk's": {f"chr{i}": (30, 200) for i in (1, 2, 3, 4, 5)},
    "numbers": {f"{i}": (10, 80) for i in range(1, 17)},
}


@pytest.mark.parametrize("genome", FOREIGN)
@pytest.mark.parametrize("assembly", ["hg38", None])
def test_a_genome_of_another_organism_is_split_by_itself(genome: str, assembly: str | None) -> None:
    made = make_examples(candidates(FOREIGN[genome]), None, trunk(assembly=assembly), Matched(1.0))
    bound = made.labels[:, 0] == 1
    part = made.regions["part"].to_numpy()
    total = sum(numbers[0] for numbers in FOREIGN[genome].values())
    for one in ("valid", "test"):
        assert (bound & (part == one)).sum() >= 0.06 * total
        assert (~bound & (part == one)).any()
    assert (bound & (part == "train")).sum() >= (0.7 if len(FOREIGN[genome]) > 6 else 0.35) * total
    if assembly is not None:
        assert made.facts["guard_compares_by"] == "sequence"
    assert made.facts["dropped"]["seen_by_trunk"] == 0


def test_a_fold_asks_for_no_test_chromosome_of_the_trunk() -> None:
    wish = trunk(Split(test=("chr21",), fold="2/3"))
    made = make_examples(candidates(FOREIGN["yeast"]), None, wish, Matched(1.0))
    split = made.facts["split"]
    assert split["fold"] == "2/3"
    assert set(split["test"]) | set(split["valid"]) < set(FOREIGN["yeast"])


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"A": (40, 200)}, r"at least 3 chromosomes, found A \(\d+\); .*neighbours .*random"),
        ({"A": (40, 200), "B": (30, 100)}, r"at least 3 chromosomes, found A \(240\), B \(130\)"),
        (
            {"A": (0, 170), "B": (40, 160), "C": (0, 130)},
            r"bound are on B \(40\); unbound are on A \(170\), B \(160\), C \(130\); name others "
            r"with --valid-chroms and --test-chroms, or split with --split neighbours or .* random",
        ),
        (
            {"C": (40, 60), **dict.fromkeys("ABDE", (0, 200))},
            r"TF: 0 bound regions can be used for training .*; at least 20 are needed; 40 are in "
            r"the test part, bound regions are on C \(40\); name others with --valid-chroms",
        ),
    ],
)
def test_what_cannot_be_split_is_refused_with_numbers(
    sizes: dict[str, tuple[int, int]], message: str
) -> None:
    with pytest.raises(NoPartsError, match=message):
        make_examples(candidates(sizes), None, trunk(), Matched(1.0))


def test_parts_get_chromosomes_with_both_classes() -> None:
    """W and V are nearest to a tenth but have no unbound region: they train."""
    sizes = {"V": (70, 0), "W": (70, 0), "A": (30, 250), "B": (25, 150), "C": (25, 100)}
    made = make_examples(candidates(sizes), None, trunk(), Matched(1.0))
    held = made.facts["split"]
    assert {*held["valid"], *held["test"]} == {"B", "C"}
    chroms = [name for name, numbers in sizes.items() for _ in range(sum(numbers))]
    alone = choose_chromosomes(chroms)
    assert {*alone.valid, *alone.test} == {"V", "W"}
    assert choose_chromosomes(chroms, both={"A", "B", "V", "W"}) == alone


def test_a_trunks_split_is_widened_by_chromosomes_with_both_classes() -> None:
    chroms = ["chr1"] * 80 + ["chr8"] * 10 + ["chr2"] * 10 + ["chr3"] * 12
    split = Split(valid=("chr8",), test=("chr9",))
    assert widen_split(split, chroms, ["chr1", "chr8"]).test == ("chr3",)
    both = {"chr1", "chr8", "chr2"}
    assert widen_split(split, chroms, ["chr1", "chr8"], both=both).test == ("chr2",)
