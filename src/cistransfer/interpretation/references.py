"""Neutral versions of sequences, against which attributions are measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.genome.codes import N
from cistransfer.genome.shuffle import dinucleotide_shuffle

__all__ = ["make_references", "permute_positions"]

Codes = NDArray[np.uint8]


def permute_positions(codes: Codes, shuffles: int, *, seed: int = 0) -> Codes:
    """Permute the positions of sequences, one permutation of positions for all of them.

    The references of the published DeepLIFT script (Novakovsky et al. 2021): single-nucleotide,
    and each permutation shared by the whole batch.

    Returns
    -------
    ndarray of uint8, shape (n, shuffles, length)
    """
    rng = np.random.default_rng(seed)
    orders = np.stack([rng.permutation(codes.shape[1]) for _ in range(shuffles)])
    return codes[:, orders]


def make_references(
    codes: Codes, kind: str = "dinucleotide", *, shuffles: int = 20, seed: int = 0
) -> Codes:
    """References by name: ``dinucleotide``, ``permutation`` (as published) or ``zero`` (all N)."""
    if shuffles < 1:
        raise InputError(f"expected at least one reference a sequence, found {shuffles}")
    if kind == "dinucleotide":
        return dinucleotide_shuffle(codes, shuffles, seed=seed)
    if kind == "permutation":
        return permute_positions(codes, shuffles, seed=seed)
    if kind == "zero":
        return np.full((len(codes), 1, codes.shape[1]), N, np.uint8)
    raise InputError(f"references must be 'dinucleotide', 'permutation' or 'zero', found {kind!r}")
