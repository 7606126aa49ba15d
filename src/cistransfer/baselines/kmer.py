"""Logistic regression on words of eight letters, with mismatches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cistransfer.baselines.fitted import training_rows
from cistransfer.cpus import one_thread
from cistransfer.genome.codes import turned_words, words

__all__ = ["WORD", "KmerModel", "fit_kmer", "kmer_counts", "word_features"]

WORD = 8
"""Letters of a word."""
_NEIGHBOUR = 0.2  # weight of a word with one mismatch
_CHUNK = 20_000  # sequences scored at a time
_C = 10.0  # strength of the data against the penalty; flat between 1 and 100 on real TFs
_STEPS = 60


@dataclass(frozen=True, eq=False)
class KmerModel:
    """Linear model on `kmer_counts`.

    Attributes
    ----------
    weights : ndarray of float64, shape (features,)
        Of the words as they are counted: a word's weight holds what its neighbours add.
    intercept : float
    """

    weights: NDArray[np.float64]
    intercept: float

    def score(self, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Log-odds, shape (n,)."""
        parts = [
            np.asarray(kmer_counts(codes[begin : begin + _CHUNK]) @ self.weights)
            for begin in range(0, len(codes), _CHUNK)
        ]
        return np.concatenate(parts or [np.empty(0)]) + self.intercept

    def describe(self) -> str:
        """Say which words weigh most."""
        best = np.argsort(-self.weights, kind="stable")[:3]
        return "top words " + " ".join(_name(int(feature)) for feature in best)


def fit_kmer(codes: NDArray[np.uint8], labels: NDArray[np.int8], seed: int = 0) -> KmerModel:
    """Fit an L2-penalised logistic regression on words and their one-mismatch neighbours.

    A word also counts, with weight 0.2, for each word that differs from it in one letter (a
    mismatch kernel; Leslie 2004, Ghandi 2014), so few sequences go further. The neighbours are
    applied to the weights, not to the counts, which stay as sparse as they are. Both classes
    weigh alike. Sequences must be as long as those that will be scored: counts are scaled to unit
    length. Needs a sequence of each class.
    """
    from scipy.optimize import minimize

    codes, positive = training_rows(codes, labels, "kmer")
    counts = kmer_counts(codes)
    turned = counts.T.tocsr()
    spread = _neighbours()
    n, n_positive = len(positive), int(positive.sum())
    importance = _C * np.where(positive, n / (2 * n_positive), n / (2 * (n - n_positive)))

    def loss_and_gradient(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, intercept = values[:-1], values[-1]
        logit = counts @ (spread @ weights) + intercept
        loss = float((importance * (np.logaddexp(0, logit) - positive * logit)).sum())
        residual = importance * (0.5 * (1 + np.tanh(logit / 2)) - positive)
        gradient = spread @ (turned @ residual) + weights  # `spread` is symmetric
        return loss + 0.5 * float(weights @ weights), np.append(gradient, residual.sum())

    start = np.zeros(counts.shape[1] + 1)
    with one_thread():
        found = minimize(
            loss_and_gradient, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}
        )
    return KmerModel(np.asarray(spread @ found.x[:-1]), float(found.x[-1]))


def kmer_counts(codes: NDArray[np.uint8]) -> Any:
    """Count 8-mers, both strands pooled.

    A word and its reverse complement are one feature; a word with an N in it counts nothing.
    Each row is scaled to Euclidean length 1 (0 without any word).

    Returns
    -------
    scipy.sparse.csr_array of float64, shape (n, 32896)
    """
    from scipy.sparse import csr_array

    identity, names = word_features()
    word, known = words(codes, WORD)
    bounds = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
    if bounds[-1] <= np.iinfo(np.int32).max:
        bounds = bounds.astype(np.int32)
    features = identity[word[known]]
    counts = csr_array((np.ones(len(features)), features, bounds), shape=(len(codes), len(names)))
    counts.sum_duplicates()
    rows = np.repeat(np.arange(len(codes)), np.diff(counts.indptr))
    length = np.sqrt(np.bincount(rows, weights=counts.data**2, minlength=len(codes)))
    counts.data /= length[rows]
    return counts


@cache
def word_features() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Feature of each word (a number in base 4), and the words that name the features.

    Returns
    -------
    identity : ndarray of int32, shape (65536,)
        The same for a word and its reverse complement.
    names : ndarray of int32, shape (32896,)
    """
    smaller = np.minimum(np.arange(4**WORD), turned_words(WORD))
    names, identity = np.unique(smaller, return_inverse=True)
    return identity.astype(np.int32), names.astype(np.int32)


@cache
def _neighbours() -> Any:
    """Symmetric matrix: 1 for a word itself, 0.2 for each of its 24 neighbours."""
    from scipy.sparse import csr_array

    identity, names = word_features()
    changes = np.array([c << (2 * at) for at in range(WORD) for c in (1, 2, 3)], np.int32)
    near = identity[names[:, None] ^ changes]
    rows = np.repeat(np.arange(len(names)), len(changes))
    shape = (len(names), len(names))
    ones = csr_array((np.ones(len(names)), (np.arange(len(names)),) * 2), shape=shape)
    others = csr_array((np.full(near.size, _NEIGHBOUR), (rows, near.ravel())), shape=shape)
    # A palindrome meets each neighbour twice, on either strand, and is met once: halve the sum.
    return csr_array(ones + (others + others.T) / 2)


def _name(feature: int) -> str:
    _, names = word_features()
    return "".join("ACGT"[names[feature] >> (2 * at) & 3] for at in reversed(range(WORD)))
