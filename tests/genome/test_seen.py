"""Fingerprints of sequences."""

from __future__ import annotations

import doctest
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cistransfer.genome import seen as module
from cistransfer.genome.codes import reverse_complement
from cistransfer.genome.seen import (
    BITS,
    RUN,
    SHARED,
    K,
    distinct_fingerprints,
    fingerprints,
    share_seen,
)

MISSING = np.iinfo(np.uint64).max


def dna(n: int, length: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 4, (n, length), dtype=np.uint8)


def test_examples_in_the_docstrings() -> None:
    assert doctest.testmod(module).failed == 0


def naive(codes: NDArray[np.uint8]) -> list[int]:
    """The smallest hash of each run, k-mer by k-mer in Python's integers."""
    mask = (1 << 64) - 1

    def hashed(value: int) -> int:
        x = (value + 0x9E3779B97F4A7C15) & mask
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        return (x ^ (x >> 31)) >> (64 - BITS)

    kmers = []
    for i in range(len(codes) - K + 1):
        kmer = [int(c) for c in codes[i : i + K]]
        if 4 in kmer:
            kmers.append(MISSING)
            continue
        other = [3 - c for c in reversed(kmer)]
        value = min(sum(c << (2 * (K - 1 - j)) for j, c in enumerate(one)) for one in (kmer, other))
        kmers.append(hashed(value))
    width = min(RUN, len(kmers))
    return [min(kmers[i : i + width]) for i in range(len(kmers) - width + 1)]


@pytest.mark.parametrize("length", [K, K + 5, K + RUN - 1, 120, 200])
def test_equal_to_the_naive_way(length: int) -> None:
    codes = dna(5, length, seed=length)
    codes[1, length // 2] = 4
    codes[2] = 4
    assert fingerprints(codes).tolist() == [naive(row) for row in codes]


def test_both_strands_are_one() -> None:
    codes = dna(7, 200)
    back = np.stack([reverse_complement(row) for row in codes])
    assert (fingerprints(back)[:, ::-1] == fingerprints(codes)).all()


@given(st.integers(0, 200 - K - RUN + 1), st.integers(0, 1000))
def test_windows_with_a_common_stretch_share_a_minimizer(shift: int, seed: int) -> None:
    whole = dna(1, 400, seed)
    one, other = whole[:, :200], whole[:, shift : shift + 200]
    assert set(fingerprints(one)[0].tolist()) & set(fingerprints(other)[0].tolist())


def test_share_falls_with_the_shift_and_is_nothing_for_others() -> None:
    whole = dna(300, 400)
    seen = np.unique(fingerprints(whole[:, :200]))
    shares = [share_seen(whole[:, s : s + 200], seen).mean() for s in (0, 25, 50, 100, 200)]
    assert shares[0] == 1
    assert all(a > b for a, b in itertools.pairwise(shares))
    assert (share_seen(whole[:, 75:275], seen) >= SHARED).mean() > 0.9
    assert share_seen(dna(300, 200, seed=9), seen).max() == 0
    shifted = whole[:, 50:250]
    assert np.array_equal(share_seen(shifted, seen[::2], seen[1::2]), share_seen(shifted, seen))


def test_nothing_known_is_not_seen() -> None:
    codes = np.full((2, 200), 4, dtype=np.uint8)
    seen = np.unique(fingerprints(dna(3, 200)))
    assert share_seen(codes, seen).tolist() == [0, 0]
    assert share_seen(codes, np.array([MISSING], dtype=np.uint64)).tolist() == [0, 0]
    assert share_seen(dna(2, K - 1), seen).tolist() == [0, 0]
    assert share_seen(dna(2, 200), np.empty(0, dtype=np.uint64)).tolist() == [0, 0]


def test_distinct_fingerprints_are_those_of_every_window(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = dna(40, 120)
    codes[3] = 4
    expected = np.unique(fingerprints(codes))
    monkeypatch.setattr(module, "_CHUNK", 1)
    assert distinct_fingerprints(codes).tolist() == expected[expected != MISSING].tolist()
    assert distinct_fingerprints(codes[:0]).tolist() == []
