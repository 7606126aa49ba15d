"""Refine a PWM from its best site per sequence, letting its edges grow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cistransfer.genome.codes import N, reverse_complement
from cistransfer.motifs.enrichment import best_threshold
from cistransfer.motifs.words import WORD, word_numbers, word_tables

__all__ = ["Motif", "Prepared", "best_sites", "mask_sites", "prepare", "probabilities", "refine"]

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]

PSEUDOCOUNT = 5.0
_MARGIN = 4  # positions looked at beyond the motif's width, to re-centre it
_FEWEST_SITES = 4
_FEWEST_COLUMNS = 4
_NEAR = 10.0  # G statistic (3 degrees of freedom) of a column that extends the motif
_FAR = 30.0  # of a column that stands apart from it
_WEAK = 3.0  # bits
_REACH = 2  # how far away the next column of the motif may be


@dataclass(frozen=True)
class Prepared:
    """Sequences ready for repeated scanning.

    Attributes
    ----------
    padded : ndarray of uint8, shape (n, length + 2 pad)
        Codes with N on both sides, so that a motif may hang over the ends.
    numbers : ndarray of intp
        `word_numbers` of ``padded``.
    positive : ndarray of bool, shape (n,)
    pad : int
    width : int
        Positions of the weights that are scanned with.
    background : ndarray of float64, shape (4,)
        Letter frequencies of all sequences, both strands together.
    """

    padded: Codes
    numbers: NDArray[np.intp]
    positive: NDArray[np.bool_]
    pad: int
    width: int
    background: Floats

    @property
    def codes(self) -> Codes:
        """The sequences without the padding."""
        return self.padded[:, self.pad : -self.pad]

    def take(self, rows: NDArray) -> Prepared:
        """Some of the sequences, with the background of all."""
        return replace(
            self,
            padded=self.padded[rows],
            numbers=self.numbers[rows],
            positive=self.positive[rows],
        )


@dataclass(frozen=True)
class Motif:
    """A motif in the course of refinement.

    Attributes
    ----------
    value, threshold : float
        How well its best sites separate the classes, and at which score (see `best_threshold`).
    weights : ndarray of float64, shape (width, 4)
        Log-odds (bits); zero at positions that carry no information.
    counts : ndarray of float64, shape (width, 4)
        Letters of the sites that the weights were made of.
    """

    value: float
    threshold: float
    weights: Floats
    counts: Floats


def prepare(codes: Codes, positive: NDArray[np.bool_], width: int) -> Prepared:
    """Pad sequences and number their words for motifs of up to ``width`` positions."""
    pad = width // 2 + _MARGIN
    padded = np.pad(codes, ((0, 0), (pad, pad)), constant_values=N)
    letters = np.bincount(codes.ravel(), minlength=5)[:4] + 1.0
    letters += letters[::-1]
    numbers = word_numbers(padded, min(WORD, width))
    return Prepared(padded, numbers, positive, pad, width, letters / letters.sum())


def best_sites(
    data: Prepared, weights: Floats
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.bool_]]:
    """Best site of each sequence: score (bits), start in ``data.padded``, on the other strand?

    An N scores 0, so that a motif may hang over the end of a sequence.
    """
    forward, reverse = _both_strands(data, weights)
    rows = np.arange(len(forward))
    at, at_reverse = forward.argmax(axis=1), reverse.argmax(axis=1)
    best, best_reverse = forward[rows, at], reverse[rows, at_reverse]
    flipped = best_reverse > best
    return np.maximum(best, best_reverse), np.where(flipped, at_reverse, at), flipped


def refine(
    data: Prepared, weights: Floats, rounds: int, threshold: float | None = None
) -> Motif | None:
    """Alternate between finding the best sites and counting their letters.

    Parameters
    ----------
    data : Prepared
    weights : ndarray, shape (data.width, 4)
        Where to start.
    rounds : int
        At most so many.
    threshold : float, optional
        Score of the sites of the first round; by default where the classes separate best.

    Returns
    -------
    Motif or None
        The best of all rounds; None if no motif came out.
    """
    best: Motif | None = None
    counts: Floats | None = None
    stale = 0
    for _ in range(rounds + 1):
        scores, starts, flipped = best_sites(data, weights)
        value, cut = best_threshold(scores, data.positive)
        if counts is not None:
            if best is None or value > best.value + 1e-6:
                best, stale = Motif(value, cut, weights, counts), 0
            else:
                stale += 1
        if stale > 1:
            break
        first = cut if counts is not None or threshold is None else threshold
        used = np.flatnonzero((scores >= first) & data.positive)
        if len(used) < _FEWEST_SITES:
            break
        letters = _site_letters(data, used, starts[used], flipped[used])
        wide = np.stack([(letters == letter).sum(axis=0) for letter in range(4)], axis=1) * 1.0
        informative = _informative(wide, data.background)
        if informative.sum() < _FEWEST_COLUMNS:
            break
        begin = _centred(wide, informative, data)
        counts = wide[begin : begin + data.width]
        kept = informative[begin : begin + data.width, None]
        weights = np.where(kept, np.log2(_shares(counts, data.background) / data.background), 0.0)
    return best if best is not None and best.value > 0 else None


def probabilities(motif: Motif, background: Floats) -> Floats:
    """Probabilities of a motif between its first and last informative positions."""
    informative = np.asarray(motif.weights.any(axis=1))
    first, *_, last = np.flatnonzero(informative)
    shares = _shares(motif.counts, background)
    return np.where(informative[:, None], shares, background)[first : last + 1]


def mask_sites(data: Prepared, motif: Motif) -> Prepared:
    """Turn every site of a motif, on both strands, into N.

    Sites up to 3 bits below the motif's threshold go too, lest the next motif found be made of
    the weak sites of this one.
    """
    padded = data.padded.copy()
    for scores, weights in zip(
        _both_strands(data, motif.weights), (motif.weights, motif.weights[::-1]), strict=True
    ):
        rows, starts = np.nonzero(scores >= motif.threshold - _WEAK)
        for position in np.flatnonzero(weights.any(axis=1)):
            padded[rows, starts + position] = N
    return replace(data, padded=padded, numbers=word_numbers(padded, min(WORD, data.width)))


def _both_strands(
    data: Prepared, weights: Floats
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    windows = data.padded.shape[1] - len(weights) + 1
    word = min(WORD, data.width)
    strands = []
    for matrix in (weights, weights[::-1, ::-1]):
        used = np.flatnonzero(matrix.any(axis=1))
        last = max(int(used[-1]) + 1, word) if len(used) else word
        first = min(int(used[0]), last - word) if len(used) else 0
        scores = np.zeros((len(data.padded), windows), dtype=np.float32)
        for start, table in word_tables(matrix[first:last], word, np.add, 0.0):
            begin = first + start
            scores += np.take(table, data.numbers[:, begin : begin + windows])
        strands.append(scores)
    return strands[0], strands[1]


def _site_letters(
    data: Prepared, rows: NDArray, starts: NDArray, flipped: NDArray[np.bool_]
) -> Codes:
    """Letters of sites and of a margin around them, on the site's strand."""
    columns = starts[:, None] - _MARGIN + np.arange(data.width + 2 * _MARGIN)
    inside = (columns >= 0) & (columns < data.padded.shape[1])
    columns = np.clip(columns, 0, data.padded.shape[1] - 1)
    letters = np.where(inside, data.padded[rows[:, None], columns], N).astype(np.uint8)
    letters[flipped] = reverse_complement(letters[flipped])
    return letters


def _shares(counts: Floats, background: Floats) -> Floats:
    totals = counts.sum(axis=1, keepdims=True)
    return (counts + PSEUDOCOUNT * background) / (totals + PSEUDOCOUNT)


def _g_statistic(counts: Floats, background: Floats) -> Floats:
    totals = counts.sum(axis=1, keepdims=True)
    ratio = np.where(counts > 0, counts / np.maximum(totals * background, 1e-9), 1.0)
    return np.asarray(2 * (counts * np.log(ratio)).sum(axis=1))


def _informative(counts: Floats, background: Floats) -> NDArray[np.bool_]:
    """Columns that differ from the background: easily within the motif, hardly apart from it.

    The motif grows from its strongest stretch by columns no further than two away.
    """
    statistic = _g_statistic(counts, background)
    peak = int(np.argmax(np.convolve(statistic, np.ones(5), "same")))
    near = np.flatnonzero(statistic > _NEAR)
    first = last = peak
    for column in near[near > peak]:
        last = int(column) if column - last <= _REACH else last
    for column in near[near < peak][::-1]:
        first = int(column) if first - column <= _REACH else first
    columns = np.arange(len(counts))
    inside = (columns >= first) & (columns <= last)
    return np.where(inside, statistic > _NEAR, statistic > _FAR)


def _centred(counts: Floats, informative: NDArray[np.bool_], data: Prepared) -> int:
    """Start of the stretch of ``data.width`` that holds most information, in its middle."""
    statistic = np.where(informative, _g_statistic(counts, data.background), 0.0)
    total = np.concatenate([[0.0], np.cumsum(statistic)])
    held = total[data.width :] - total[: -data.width]
    starts = np.flatnonzero(held >= held.max() - 1e-9)
    where = np.flatnonzero(informative)
    middle = (where[0] + where[-1]) / 2
    return int(starts[np.argmin(np.abs(starts + (data.width - 1) / 2 - middle))])
