"""Splits by chromosome and at random."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.examples.split import Split, assign_parts, choose_chromosomes, split_from_card
from cistransfer.genome.bed import regions_table


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
    [Split(valid=("chr2",), test=("chr3", "chr4")), Split(by="random", fraction=0.2, seed=9)],
)
def test_splits_survive_a_card(split: Split) -> None:
    assert split_from_card(json.loads(json.dumps(split.as_dict()))) == split


def test_wrong_splits() -> None:
    with pytest.raises(InputError, match="by 'chromosome' or 'random', found 'cell'"):
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
    with pytest.raises(InputError, match=r"at least 3 chromosomes, found \['chr1', 'chr2'\]"):
        choose_chromosomes(["chr1", "chr2", "chr1"])
