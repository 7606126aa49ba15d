"""Shuffles keep what they promise and are uniform over what they may be."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cistransfer.errors import InputError
from cistransfer.genome.codes import decode, encode
from cistransfer.genome.shuffle import dinucleotide_shuffle
from cistransfer.interpretation.gradients import make_references, permute_positions


def pairs(row: np.ndarray) -> Counter:
    return Counter(zip(row[:-1].tolist(), row[1:].tolist(), strict=True))


@settings(max_examples=40)
@given(st.text("ACGT", min_size=1, max_size=40), st.integers(0, 5))
def test_dinucleotides_and_ends_are_kept(text: str, seed: int) -> None:
    codes = encode(text)[None]
    shuffled = dinucleotide_shuffle(codes, 3, seed=seed)
    assert shuffled.shape == (1, 3, len(text))
    for row in shuffled[0]:
        assert pairs(row) == pairs(codes[0])
        assert row[0] == codes[0, 0]
        assert row[-1] == codes[0, -1]


def test_every_arrangement_is_equally_likely() -> None:
    text = "ACGACTAGA"
    possible = {
        "A" + "".join(middle) + "A"
        for middle in permutations(text[1:-1])
        if pairs(encode("A" + "".join(middle) + "A")) == pairs(encode(text))
    }
    found = Counter(decode(row) for row in dinucleotide_shuffle(encode(text)[None], 6000)[0])
    assert set(found) == possible
    expected = 6000 / len(possible)
    chi2 = sum((count - expected) ** 2 / expected for count in found.values())
    assert chi2 < len(possible) - 1 + 5 * np.sqrt(2 * (len(possible) - 1))


def test_long_sequences_change_and_seeds_matter() -> None:
    codes = np.random.default_rng(0).integers(0, 4, size=(5, 200)).astype(np.uint8)
    first = dinucleotide_shuffle(codes, 4, seed=1)
    assert (first == dinucleotide_shuffle(codes, 4, seed=1)).all()
    assert (first != dinucleotide_shuffle(codes, 4, seed=2)).any()
    assert 0.2 < (first == codes[:, None]).mean() < 0.32
    assert (first[:, 0] != first[:, 1]).mean() > 0.6


def test_n_stays_in_place() -> None:
    codes = encode("ACGTACGTTGCANNNGATTACAGATCCAGTNACA")[None]
    shuffled = dinucleotide_shuffle(codes, 8)
    assert ((shuffled == 4) == (codes == 4)[:, None]).all()
    assert (shuffled != codes[:, None]).any()


def test_permutation_is_shared_by_all_sequences() -> None:
    codes = np.tile(np.arange(4, dtype=np.uint8), (3, 5))
    codes[1] = codes[1, ::-1]
    shuffled = permute_positions(codes, 2, seed=0)
    assert (shuffled[0] == shuffled[2]).all()
    assert (np.sort(shuffled, axis=2) == np.sort(codes, axis=1)[:, None]).all()
    assert (shuffled[0, 0] != shuffled[0, 1]).any()


def test_names() -> None:
    codes = np.zeros((2, 5), np.uint8)
    assert make_references(codes, "zero").tolist() == np.full((2, 1, 5), 4).tolist()
    with pytest.raises(InputError, match="dinucleotide"):
        make_references(codes, "shuffel")
    with pytest.raises(InputError, match="at least one"):
        make_references(codes, shuffles=0)
