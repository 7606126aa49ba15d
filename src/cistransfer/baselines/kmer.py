"""Logistic regression on the counts of gapped words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cistransfer.baselines.fitted import training_rows
from cistransfer.genome.codes import N

__all__ = ["KmerModel", "fit_kmer", "kmer_counts"]

_HALF = 3
_GAPS = (0, 1, 2, 3, 4)
_CHUNK = 20_000  # sequences counted at a time
_PENALTY = 10.0  # scikit-learn's C: flat between 1 and 100 on real TFs at 50 to 500 positives


@dataclass(frozen=True, eq=False)
class KmerModel:
    """Linear model on `kmer_counts`.

    Attributes
    ----------
    weights : ndarray of float64, shape (features,)
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
    """Fit an L2-penalised logistic regression, both classes weighing alike.

    Sequences must be as long as those that will be scored: the counts are scaled to unit length.
    Needs a sequence of each class.
    """
    from sklearn.linear_model import LogisticRegression

    codes, positive = training_rows(codes, labels, "kmer")
    model = LogisticRegression(
        C=_PENALTY, class_weight="balanced", solver="liblinear", random_state=seed
    ).fit(kmer_counts(codes), positive)
    return KmerModel(model.coef_[0].astype(np.float64), float(model.intercept_[0]))


def kmer_counts(codes: NDArray[np.uint8]) -> Any:
    """Count words of two triplets with 0 to 4 positions between them, both strands pooled.

    A word and its reverse complement are one feature; a word with an N inside a triplet counts
    nothing. Each row is scaled to Euclidean length 1 (0 without any word).

    Returns
    -------
    scipy.sparse.csr_array of float64, shape (n, 5 * 2080)
    """
    from scipy.sparse import csr_array

    identity, names = _features()
    last = max(codes.shape[1] - _HALF + 1, 0)
    triplet = np.zeros((len(codes), last), dtype=np.int32)
    known = np.ones((len(codes), last), dtype=bool)
    for offset in range(_HALF):
        letters = codes[:, offset : offset + last]
        triplet = triplet << 2 | (letters & 3)
        known &= letters < N
    features, usable = [], []
    for at, gap in enumerate(_GAPS):
        shift = _HALF + gap
        words = triplet[:, :-shift] << (2 * _HALF) | triplet[:, shift:]
        features.append(identity[words] + np.int32(at * len(names)))
        usable.append(known[:, :-shift] & known[:, shift:])
    there = np.hstack(usable)
    bounds = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    columns = np.hstack(features)[there]
    shape = (len(codes), len(_GAPS) * len(names))
    counts = csr_array((np.ones(len(columns)), columns, bounds), shape=shape)
    counts.sum_duplicates()
    rows = np.repeat(np.arange(len(codes)), np.diff(counts.indptr))
    length = np.sqrt(np.bincount(rows, weights=counts.data**2, minlength=len(codes)))
    counts.data /= length[rows]
    return counts


def _features() -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Feature of each word of two triplets, and the words that name the features."""
    words = np.arange(4 ** (2 * _HALF))
    flipped = np.zeros_like(words)
    for at in range(2 * _HALF):
        flipped = flipped << 2 | (3 - (words >> (2 * at) & 3))
    names, identity = np.unique(np.minimum(words, flipped), return_inverse=True)
    return identity.astype(np.int32), names


def _name(feature: int) -> str:
    _, names = _features()
    gap, word = divmod(feature, len(names))
    letters = ["ACGT"[names[word] >> (2 * at) & 3] for at in range(2 * _HALF)][::-1]
    return "".join(letters[:_HALF]) + "n" * _GAPS[gap] + "".join(letters[_HALF:])
