"""Refine a PWM: from its best site per sequence, its edges growing; then as a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cistransfer.genome.codes import N, reverse_complement
from cistransfer.motifs.pwm import PWM, UNIFORM
from cistransfer.motifs.scan import WORD, scan_words, word_numbers
from cistransfer.motifs.seeds import best_split

__all__ = [
    "Motif",
    "Prepared",
    "best_sites",
    "mask_sites",
    "prepare",
    "probabilities",
    "refine",
    "tune",
]

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]

PSEUDOCOUNT = 5.0
_MARGIN = 4  # positions looked at beyond the motif's width, to re-centre it
_MIN_SITES = 4
_MIN_COLUMNS = 4
_NEAR = 10.0  # G statistic (3 degrees of freedom) of a column that extends the motif
_FAR = 30.0  # of a column that stands apart from it
_WEAK = 3.0  # bits
_REACH = 2  # how far away the next column of the motif may be
_MIN_SHARE = 0.01  # of a sequence's occupancy: smaller windows are left out of the gradient


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
        How well its best sites separate the classes, and at which score (see `best_split`).
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
    start, start_reverse = forward.argmax(axis=1), reverse.argmax(axis=1)
    best, best_reverse = forward[rows, start], reverse[rows, start_reverse]
    flipped = best_reverse > best
    return np.maximum(best, best_reverse), np.where(flipped, start_reverse, start), flipped


def refine(
    data: Prepared,
    weights: Floats,
    rounds: int,
    threshold: float | None = None,
    known: dict[bytes, Any] | None = None,
) -> Motif | None:
    """Alternate between finding the best sites and counting their letters.

    Parameters
    ----------
    weights : ndarray, shape (data.width, 4)
        Where to start.
    rounds : int
        At most so many.
    threshold : float, optional
        Score of the sites of the first round; by default where the classes separate best.
    known : dict, optional
        What was found with some weights on these data: many seeds lead to the same motif, and
        what is there is not searched again. It is filled.

    Returns
    -------
    Motif or None
        The best of all rounds; None if no motif came out.
    """
    best: Motif | None = None
    counts: Floats | None = None
    stale = 0
    for _ in range(rounds + 1):
        scores, starts, flipped, value, cut = _separated(data, weights, known)
        if counts is not None:
            if best is None or value > best.value + 1e-6:
                best, stale = Motif(value, cut, weights, counts), 0
            else:
                stale += 1
        if stale > 1:
            break
        first = cut if counts is not None or threshold is None else threshold
        used = np.flatnonzero((scores >= first) & data.positive)
        if len(used) < _MIN_SITES:
            break
        letters = _site_letters(data, used, starts[used], flipped[used])
        wide = np.stack([(letters == letter).sum(axis=0) for letter in range(4)], axis=1) * 1.0
        informative = _informative(wide, data.background)
        if informative.sum() < _MIN_COLUMNS:
            break
        begin = _centred(wide, informative, data)
        counts = wide[begin : begin + data.width]
        kept = informative[begin : begin + data.width, None]
        weights = np.where(kept, np.log2(_shares(counts, data.background) / data.background), 0.0)
    return best if best is not None and best.value > 0 else None


def _separated(data: Prepared, weights: Floats, known: dict[bytes, Any] | None) -> Any:
    """Best sites, and how well they separate the classes at which score."""
    name = weights.tobytes()
    if known is not None and name in known:
        return known[name]
    scores, starts, flipped = best_sites(data, weights)
    found = scores, starts, flipped, *best_split(scores, data.positive)
    if known is not None:
        known[name] = found
    return found


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


def tune(
    codes: Codes,
    positive: NDArray[np.bool_],
    pwm: PWM,
    background: Sequence[float] = UNIFORM,
    *,
    strength: float = 10.0,
    steps: int = 40,
) -> PWM:
    """Fit a PWM's weights by penalised logistic regression on the log of its sum occupancy.

    A PWM counted from sites describes the sites; what separates bound from unbound sequences is
    slightly different (Novakovsky 2021 score by sum occupancy). The classes weigh alike; the
    weights (natural log-odds) are held to where they started by ``strength / 2 · Σ (Δ)²``, which
    at 50 positives keeps the motif nearly as it was.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
        At least as long as the motif.
    positive : ndarray of bool, shape (n,)
        Both classes occur.
    pwm : PWM
        All probabilities above 0.
    background : four floats
        Scan the result with the same background.
    strength : float
        Of the penalty, per weight, against a log-likelihood of about four times the size of the
        smaller class.
    steps : int
        Of L-BFGS.

    Returns
    -------
    PWM
        Of the same width and names.
    """
    from scipy.optimize import minimize

    frequencies = np.asarray(background, dtype=np.float64)
    start = np.log(pwm.probabilities / frequencies)
    start -= (start * frequencies).sum(axis=1, keepdims=True)
    n_positive, n = int(positive.sum()), len(codes)
    smaller = min(n_positive, n - n_positive)
    importance = np.where(positive, 2 * smaller / n_positive, 2 * smaller / (n - n_positive))
    scan = _Scan(codes, pwm.width)
    scores, _, _ = scan.occupancy(start)
    intercept, slope = _logistic_line(scores, positive, importance)

    def loss_and_gradient(values: Floats) -> tuple[float, Floats]:
        shift, scale, weights = values[0], values[1], values[2:].reshape(start.shape)
        log_sum, shares, windows = scan.occupancy(weights)
        logit = shift + scale * log_sum
        loss = float((importance * (np.logaddexp(0, logit) - positive * logit)).sum())
        residual = importance * (0.5 * (1 + np.tanh(logit / 2)) - positive)
        rows = windows[0]
        moved = scan.letter_sums(windows, shares * residual[rows] * scale)
        drift = weights - start
        loss += strength / 2 * float((drift**2).sum()) + 0.05 * (scale - slope) ** 2
        gradient = moved + strength * drift
        scale_gradient = (residual * log_sum).sum() + 0.1 * (scale - slope)
        return loss, np.concatenate([[residual.sum(), scale_gradient], gradient.ravel()])

    found = minimize(
        loss_and_gradient,
        np.concatenate([[intercept, slope], start.ravel()]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": steps},
    )
    odds = frequencies * np.exp(found.x[2:].reshape(start.shape))
    return replace(pwm, probabilities=odds / odds.sum(axis=1, keepdims=True))


def _both_strands(
    data: Prepared, weights: Floats
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    windows = data.padded.shape[1] - len(weights) + 1
    word = min(WORD, data.width)
    strands, begins = [], []
    for matrix in (weights, weights[::-1, ::-1]):
        used = np.flatnonzero(matrix.any(axis=1))
        last = max(int(used[-1]) + 1, word) if len(used) else word
        first = min(int(used[0]), last - word) if len(used) else 0
        strands.append(matrix[first:last])
        begins.append(first)
    pairs = [(strands[0], strands[1])]
    if len(strands[0]) != len(strands[1]):  # few columns near an edge
        pairs = [(strand, strand) for strand in strands]
    scores = [scan_words(data.numbers, pair) for pair in pairs]
    forward, reverse = (
        np.ascontiguousarray(each[:, first : first + windows, strand])
        for each, first, strand in zip((scores[0], scores[-1]), begins, (0, 1), strict=True)
    )
    return forward, reverse


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


class _Scan:
    """Sequences numbered once, scanned with many weights."""

    def __init__(self, codes: Codes, width: int) -> None:
        self.codes = codes
        self.width = width
        self.windows = codes.shape[1] - width + 1
        self.numbers = word_numbers(codes, min(WORD, width))

    def occupancy(self, weights: Floats) -> tuple[Floats, Floats, tuple[NDArray, ...]]:
        """Log of the sum over windows and strands, and the windows that make it up.

        Returns
        -------
        log_sum : ndarray, shape (n,)
        shares : ndarray
            Share of its sequence's sum, of each window that matters.
        windows : tuple of three ndarrays
            Row, strand (0 or 1) and start of these windows.
        """
        pairs = scan_words(self.numbers, (weights, weights[::-1, ::-1]))
        scores = np.ascontiguousarray(pairs[:, : self.windows].swapaxes(1, 2))
        best = scores.max(axis=(1, 2))
        weighed = np.exp(scores - best[:, None, None])
        total = weighed.sum(axis=(1, 2), dtype=np.float64)
        weighed /= total[:, None, None]
        windows = np.nonzero(weighed > _MIN_SHARE)
        return best + np.log(total), weighed[windows].astype(np.float64), windows

    def letter_sums(self, windows: tuple[NDArray, ...], amounts: Floats) -> Floats:
        """Sum of the amounts by position and letter of the windows, shape (width, 4)."""
        rows, strands, starts = windows
        letters = self.codes[rows[:, None], starts[:, None] + np.arange(self.width)]
        letters[strands == 1] = reverse_complement(letters[strands == 1])
        sums = [np.bincount(column, weights=amounts, minlength=5)[:4] for column in letters.T]
        return np.array(sums)


def _logistic_line(
    scores: Floats, positive: NDArray[np.bool_], importance: Floats
) -> tuple[float, float]:
    """Intercept and slope (at least 0.05) of a weighted logistic regression on one score."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=10.0).fit(scores[:, None], positive, sample_weight=importance)
    return float(model.intercept_[0]), max(float(model.coef_[0, 0]), 0.05)
