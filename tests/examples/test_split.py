"""Splits by chromosome and at random."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.examples.split import (
    Split,
    assign_parts,
    choose_chromosomes,
    chromosome_folds,
    settle_split,
    split_from_card,
    widen_split,
)
from cistransfer.genome.bed import regions_table
from cistransfer.genome.intervals import overlapping_runs


def _regions(sizes: dict[str, int]) -> pd.DataFrame:
    chroms = [chrom for chrom, size in sizes.items() for _ in range(size)]
    start = np.arange(len(chroms)) * 300
    return regions_table(chroms, start, start + 200)


SIZES = {"chr1": 50, "chr2": 12, "chr3": 9, "chr4": 20, "chr5": 9}


def test_whole_chromosomes_go_to_one_part() -> None:
    regions = _regions(SIZES)
    parts = assign_parts(regions, Split(valid=("chr2", "chr5"), test=("chr3",)))
    expected = {"chr2": "valid", "chr5": "valid", "chr3": "test"}
    assert parts.tolist() == [expected.get(chrom, "train") for chrom in regions["chrom"]]


def test_chromosomes_closest_to_a_tenth_are_chosen() -> None:
    split = choose_chromosomes(_regions(SIZES)["chrom"])
    assert split == Split(valid=("chr5",), test=("chr3",))  # 9 of 100 each; the tie goes by name
    shuffled = _regions(SIZES).sample(frac=1, random_state=1)
    assert choose_chromosomes(shuffled["chrom"]) == split
    assert choose_chromosomes(_regions(SIZES)["chrom"], fraction=0.5).test == ("chr1",)


@pytest.mark.parametrize("n", [10, 14, 15, 99, 100, 105])
def test_a_random_split_has_the_published_sizes(n: int) -> None:
    parts = assign_parts(_regions({"chr1": n}), Split(by="random", seed=3))
    held = int(0.5 + 0.1 * n)
    assert [(parts == part).sum() for part in ("train", "valid", "test")] == [
        n - 2 * held,
        held,
        held,
    ]


def test_a_random_split_depends_on_its_seed_alone() -> None:
    regions = _regions(SIZES)
    first = assign_parts(regions, Split(by="random", seed=1))
    np.random.default_rng(5).random(9)
    assert (assign_parts(regions, Split(by="random", seed=1)) == first).all()
    assert (assign_parts(regions, Split(by="random", seed=2)) != first).any()
    assert (
        len({part for part, chrom in zip(first, regions["chrom"], strict=True) if chrom == "chr1"})
        == 3
    )


@pytest.mark.parametrize(
    "split",
    [
        Split(valid=("chr2",), test=("chr3", "chr4")),
        Split(by="random", fraction=0.2, seed=9),
        Split(by="neighbours", seed=2),
        Split(valid=("chr2",), test=("chr3",), fold="2/3"),
    ],
)
def test_splits_survive_a_card(split: Split) -> None:
    assert split_from_card(json.loads(json.dumps(split.as_dict()))) == split


def test_wrong_splits() -> None:
    with pytest.raises(
        InputError, match="'chromosome', 'random', 'neighbours', 'published'; found 'cell'"
    ):
        Split(by="cell")
    with pytest.raises(InputError, match=r"\['chr2'\] are both for validation and for test"):
        Split(valid=("chr1", "chr2"), test=("chr2",))
    for fraction in (0.0, 0.5, -1.0):
        with pytest.raises(InputError, match="must lie in"):
            Split(by="random", fraction=fraction)
    with pytest.raises(InputError, match=r"test chromosome 'chr33' has no region; nearest: chr3"):
        assign_parts(_regions(SIZES), Split(valid=("chr2",), test=("chr33",)))
    with pytest.raises(InputError, match="needs validation and test chromosomes"):
        assign_parts(_regions(SIZES), Split())
    with pytest.raises(InputError, match=r"at least 3 chromosomes, found chr1 \(2\), chr2 \(1\)"):
        choose_chromosomes(["chr1", "chr2", "chr1"])


def test_folds_share_the_test_part_and_part_the_rest() -> None:
    chroms = _regions(SIZES)["chrom"]
    folds = chromosome_folds(chroms, 3)
    assert {fold.test for fold in folds} == {("chr3",)}  # what `choose_chromosomes` tests on
    # largest first, each to the fold with fewest regions: 50 | 20 | 12 + 9
    assert [fold.valid for fold in folds] == [("chr1",), ("chr4",), ("chr2", "chr5")]
    assert [fold.fold for fold in folds] == ["1/3", "2/3", "3/3"]
    shuffled = _regions(SIZES).sample(frac=1, random_state=1)["chrom"]
    assert chromosome_folds(shuffled, 3) == folds
    two = chromosome_folds(chroms, 2, test=("chr4", "chr2"))
    assert [fold.valid for fold in two] == [("chr1",), ("chr3", "chr5")]
    assert two[0].test == ("chr4", "chr2")


@pytest.mark.parametrize("k", [2, 3, 5, 9])
def test_folds_are_about_equal(k: int) -> None:
    """Greedy: no two folds differ by more than the smallest chromosome of the larger one."""
    rng = np.random.default_rng(k)
    size = {f"chr{at}": int(rng.integers(5, 60)) for at in range(1, 14)}
    folds = chromosome_folds(_regions(size)["chrom"], k, test=("chr13",))
    assert sorted(name for fold in folds for name in fold.valid) == sorted(set(size) - {"chr13"})
    held = [sum(size[name] for name in fold.valid) for fold in folds]
    for fold, regions in zip(folds, held, strict=True):
        assert regions - min(size[name] for name in fold.valid) <= min(held)


def test_a_wish_for_a_fold_becomes_chromosomes() -> None:
    chroms = _regions(SIZES)["chrom"]
    assert settle_split(Split(fold="2/3"), chroms) == chromosome_folds(chroms, 3)[1]
    named = settle_split(Split(test=("chr1",), fold="1/4"), chroms)
    assert named == chromosome_folds(chroms, 4, test=("chr1",))[0]
    assert settle_split(named, ["chr9"]) == named
    assert settle_split(None, chroms) == choose_chromosomes(chroms)


def test_wrong_folds() -> None:
    chroms = _regions(SIZES)["chrom"]
    with pytest.raises(
        InputError, match=r"5 folds need at least 5 .* \(chr3\), found 4: chr1, chr2"
    ):
        chromosome_folds(chroms, 5)
    with pytest.raises(InputError, match="at least 2 folds, found 1"):
        chromosome_folds(chroms, 1)
    with pytest.raises(InputError, match="test chromosome 'chr11' has no region; nearest: chr1"):
        chromosome_folds(chroms, 2, test=("chr11",))
    for text in ("2", "a/b", "/3", "1/", "-1/3"):
        with pytest.raises(InputError, match="a fold is I/K"):
            Split(fold=text)
    for text in ("0/3", "4/3", "1/1"):
        with pytest.raises(InputError, match="K of at least 2, and I from 1 to K"):
            Split(fold=text)
    with pytest.raises(InputError, match="folds are made of chromosomes"):
        Split(by="random", fold="1/3")


def test_neighbours_that_overlap_stay_together() -> None:
    rng = np.random.default_rng(0)
    start = np.sort(rng.integers(0, 60_000, 300))
    regions = regions_table(["chr1"] * 150 + ["chr2"] * 150, start, start + 200)
    regions = regions.sample(frac=1, random_state=2).reset_index(drop=True)
    parts = assign_parts(regions, Split(by="neighbours", seed=4))
    where, begin, end = (regions[name].to_numpy() for name in ("chrom", "start", "end"))
    for row in range(len(regions)):
        beside = (where == where[row]) & (begin < end[row]) & (begin[row] < end)
        assert set(parts[beside]) == {parts[row]}
    longest = int(np.bincount(overlapping_runs(regions)).max())
    assert longest > 2  # the case is not trivial
    for part in ("valid", "test"):
        assert 30 - longest <= (parts == part).sum() <= 30 + longest
    again = assign_parts(regions, Split(by="neighbours", seed=4))
    assert (again == parts).all()
    assert (assign_parts(regions, Split(by="neighbours", seed=5)) != parts).any()
    assert len(set(assign_parts(regions, Split(by="random", seed=4))[where == "chr1"])) == 3


def _scaffolds(n: int) -> pd.DataFrame:
    """Many scaffolds, a few of them large, in no order."""
    rng = np.random.default_rng(n)
    size = np.maximum(1, (rng.pareto(1.2, n) * 2).astype(int))
    names = np.array([f"scaffold_{i}" for i in range(n)], dtype=object)
    chroms = rng.permutation(np.repeat(names, np.minimum(size, min(400, n // 14))))
    start = np.arange(len(chroms)) * 300
    return regions_table(chroms, start, start + 200)


@pytest.mark.parametrize("n", [200, 3_000, 100_000])
def test_scaffolds_are_dealt_to_the_parts(n: int) -> None:
    regions = _scaffolds(n)
    size = regions["chrom"].value_counts()
    assert size.max() < 0.025 * len(regions)  # none is a tenth
    split = choose_chromosomes(regions["chrom"])
    parts = assign_parts(regions, split)
    for part in ("valid", "test"):
        assert (parts == part).sum() == pytest.approx(0.1 * len(regions), rel=0.02)
        own = size[list(getattr(split, part))]
        assert own.max() > size.max() / 2  # large ones
        assert own.min() == size.min()  # and small ones
    shuffled = regions.sample(frac=1, random_state=1)["chrom"]
    assert choose_chromosomes(shuffled) == split


def test_a_trunks_split_on_many_scaffolds() -> None:
    regions = _scaffolds(100_000)
    split = widen_split(Split(valid=("chr8",), test=("chr9",)), regions["chrom"], ["chr1"])
    parts = assign_parts(regions, split)
    for part in ("valid", "test"):
        assert 0.1 <= (parts == part).mean() < 0.11


@pytest.mark.parametrize(
    "size",
    [
        # yeast: 16 chromosomes by length in kb, and a mitochondrial one
        {"I": 230, "II": 813, "III": 317, "IV": 1532, "V": 577, "VI": 270, "VII": 1091,
         "VIII": 563, "IX": 440, "X": 746, "XI": 667, "XII": 1078, "XIII": 924, "XIV": 784,
         "XV": 1091, "XVI": 948, "M": 86},
        # zebrafish: 25 of about 4 %
        {f"chr{i}": 60 - i for i in range(1, 26)},
        # fly: four arms of a fifth, and small ones
        {"2L": 235, "2R": 253, "3L": 281, "3R": 321, "X": 235, "4": 13, "Y": 37},
    ],
)  # fmt: skip
def test_genomes_with_chromosomes_keep_whole_ones(size: dict[str, int]) -> None:
    regions = _regions(size)
    split = choose_chromosomes(regions["chrom"])
    assert len(split.valid) == len(split.test) == 1
    parts = assign_parts(regions, split)
    for part in ("valid", "test"):
        assert (parts == part).mean() > 0.025
