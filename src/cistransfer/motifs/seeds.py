"""Words, with and without a gap, that are enriched in positive sequences: seeds of motifs.

And how enrichment is measured: how well a word or a score separates two classes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cistransfer.genome.codes import turned_words, words

__all__ = ["Seed", "best_split", "best_splits", "find_seeds", "fisher_p", "half_g", "seed_weights"]

Codes = NDArray[np.uint8]
Ints = NDArray[np.int64]

_MATCH = 2.0  # bits of a seed's letter
_MISMATCH = -2.5


@dataclass(frozen=True)
class Seed:
    """Two half-words with a gap between them.

    Attributes
    ----------
    word : int
        Both halves as one number in base 4, first letter most significant; of a word and its
        reverse complement the smaller.
    half, gap : int
        Letters of each half, and positions between them.
    mismatches : int
        Letters that may differ (0 or 1).
    value : float
        Enrichment in the positives (`half_g` of the sequences that hold it).
    """

    word: int
    half: int
    gap: int
    mismatches: int
    value: float


def find_seeds(
    codes: Codes,
    positive: NDArray[np.bool_],
    *,
    half: int,
    mismatches: int,
    max_span: int,
    keep: int = 50,
) -> list[Seed]:
    """Enriched words of two halves, over all gaps, best first.

    A sequence counts once however often it holds the word, on either strand.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
    positive : ndarray of bool, shape (n,)
    half : int
        Letters of each half: 3 (every word exact) or 4 (one mismatch).
    mismatches : int
        0 or 1.
    max_span : int
        Longest word with its gap.
    keep : int
        How many to return.
    """
    seeds: list[Seed] = []
    n_positive, n = int(positive.sum()), len(codes)
    halves, known = words(codes, half)
    names = np.unique(_canonical_words(half))
    flipped = _flipped_words(half)[names]
    classes = (np.flatnonzero(positive), np.flatnonzero(~positive))
    for gap in range(min(max_span, codes.shape[1]) - 2 * half + 1):
        shift = half + gap
        word = (halves[:, :-shift] << (2 * half)) | halves[:, shift:]
        usable = known[:, :-shift] & known[:, shift:]
        hits, others = (
            _holders(word[rows], usable[rows], 2 * half, mismatches, names, flipped)
            for rows in classes
        )
        held = hits + others
        present = np.flatnonzero(hits)
        value = half_g(hits[present], held[present], n_positive, n)
        least = np.partition(value, -keep)[-keep] if len(value) > keep else 0.0
        best = np.flatnonzero(value >= least)  # only these need to be sorted
        best = best[np.argsort(-value[best], kind="stable")][:keep]
        seeds += [
            Seed(int(names[present[i]]), half, gap, mismatches, float(value[i]))
            for i in best
            if value[i] > 0
        ]
    return sorted(seeds, key=lambda seed: -seed.value)[:keep]


def seed_weights(seed: Seed, width: int) -> tuple[NDArray[np.float64], float]:
    """Weights (bits) of a seed in the middle of ``width`` positions, and the score of a match.

    Returns
    -------
    weights : ndarray of float64, shape (width, 4)
    threshold : float
        Score that sites with up to ``seed.mismatches`` mismatches reach.
    """
    letters = 2 * seed.half
    begin = (width - letters - seed.gap) // 2
    weights = np.zeros((width, 4))
    for i in range(letters):
        position = begin + i + (seed.gap if i >= seed.half else 0)
        weights[position] = _MISMATCH
        weights[position, seed.word >> (2 * (letters - 1 - i)) & 3] = _MATCH
    best = letters * _MATCH
    return weights, best - seed.mismatches * (_MATCH - _MISMATCH) - 0.01


def half_g(hits: ArrayLike, chosen: ArrayLike, n_positive: int, n: int) -> NDArray[np.float64]:
    """Half the G statistic (nats) of 2 × 2 tables; 0 where positives are not enriched.

    Parameters
    ----------
    hits : array of int
        Positives among the chosen.
    chosen : array of int
        Number of chosen.
    n_positive, n : int
        Positives, and all.

    Returns
    -------
    ndarray of float64
        Log-likelihood ratio of "the share of positives differs" against "it does not"; close to
        −ln p of Fisher's test, and cheap for many tables.
    """
    hits, chosen = np.asarray(hits, dtype=np.int64), np.asarray(chosen, dtype=np.int64)
    numbers = np.arange(n + 1)
    part = numbers * np.log(np.maximum(numbers, 1))
    missed, others = n_positive - hits, chosen - hits
    value = part[hits] + part[others] + part[missed] + part[n - n_positive - others]
    value -= part[chosen] + part[n - chosen]
    value += part[n] - part[n_positive] - part[n - n_positive]
    return np.where(hits * n > chosen * n_positive, np.maximum(value, 0.0), 0.0)


def best_split(scores: ArrayLike, positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Threshold on a score at which the classes separate best.

    Tables are looked at only where a run of tied scores ends: inside a run the order is
    arbitrary, and positives that happen to stand first would look enriched.

    Returns
    -------
    value : float
        The largest `half_g` over all thresholds; 0 if positives are enriched at none.
    threshold : float
        The lowest chosen score; inf if there is none.
    """
    scores = np.asarray(scores)
    if not len(scores):
        return 0.0, np.inf
    values, thresholds = best_splits(scores[None], positive)
    return float(values[0]), float(thresholds[0])


def best_splits(
    scores: NDArray[Any], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`best_split` of each row of scores, shape (rows, n)."""
    n = scores.shape[1]
    order = np.argsort(-scores, axis=1)
    ranked = np.take_along_axis(scores, order, axis=1)
    ends = np.isfinite(ranked)
    ends[:, :-1] &= ranked[:, 1:] != ranked[:, :-1]
    hits = np.cumsum(positive[order], axis=1)
    value = half_g(hits, np.arange(1, n + 1), int(positive.sum()), n)
    value[~ends] = 0.0
    rows, best = np.arange(len(scores)), np.argmax(value, axis=1)
    value = value[rows, best]
    return value, np.where(value > 0, ranked[rows, best].astype(np.float64), np.inf)


def fisher_p(hits: int, chosen: int, n_positive: int, n: int) -> float:
    """One-sided p of Fisher's exact test: at least ``hits`` positives among the chosen."""
    from scipy.stats import hypergeom

    return float(min(hypergeom.sf(hits - 1, n, n_positive, chosen), 1.0))


def _holders(
    word: NDArray[np.int32],
    usable: NDArray[np.bool_],
    letters: int,
    mismatches: int,
    names: Ints,
    flipped: Ints,
) -> Ints:
    """How many sequences hold each word of ``names``, or its reverse complement in ``flipped``.

    One bit a sequence: 64 sequences are looked at in one operation, and a word that may differ in
    one letter is held where any of the words that differ there is.
    """
    half, partner = 2**letters, _flipped_words(letters // 2)
    found = np.where(usable, word, len(partner))  # the last place is of those with an N
    partner = np.append(partner, len(partner))
    counts = np.zeros(len(names), dtype=np.int64)
    bits = np.repeat(np.uint64(1) << np.arange(64, dtype=np.uint64), word.shape[1])
    for begin in range(0, len(word), 64):
        some = found[begin : begin + 64].ravel()
        holds = np.zeros(half**2 + 1, dtype=np.uint64)
        np.bitwise_or.at(holds, some, bits[: len(some)])
        np.bitwise_or.at(holds, partner[some], bits[: len(some)])
        holds = holds[:-1]
        if mismatches:  # in the second half is in the first half of the reverse complement
            holds = _one_letter_off(holds.reshape(half, half)).ravel()
        counts += np.bitwise_count(np.take(holds, names) | np.take(holds, flipped))
    return counts


def _one_letter_off(holds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Who holds a word, or one that differs in a letter of its first half; shape (first half,
    second half)."""
    near, inner = holds.copy(), holds.shape[1]
    while inner < holds.size:
        four = holds.reshape(-1, 4, inner)
        near.reshape(four.shape)[...] |= np.bitwise_or.reduce(four, axis=1, keepdims=True)
        inner *= 4
    return near


def _canonical_words(half: int) -> Ints:
    """For each word of two halves, the smaller of itself and its reverse complement."""
    return np.minimum(np.arange(4 ** (2 * half)), _flipped_words(half))


@functools.cache
def _flipped_words(half: int) -> Ints:
    """Reverse complement of each word of two halves; not to be changed."""
    flipped = turned_words(2 * half)
    flipped.setflags(write=False)
    return flipped
