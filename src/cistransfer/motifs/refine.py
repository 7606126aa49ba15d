"""Refine motifs, many at once: from their best site per sequence, their edges growing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from cistransfer.genome.codes import N, reverse_complement
from cistransfer.motifs.scan import word_numbers
from cistransfer.motifs.seeds import best_splits

__all__ = [
    "Motif",
    "Prepared",
    "best_sites",
    "mask_sites",
    "prepare",
    "probabilities",
    "refine",
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
_WORD = 3  # letters looked up at once: the tables of all motifs stay in the cache
_SCORES = 1 << 19  # at a time, for the same reason
_GRAIN = 1024.0  # weights are multiples of 1 / 1024 bit


@dataclass(frozen=True)
class Prepared:
    """Sequences ready for repeated scanning.

    Attributes
    ----------
    padded : ndarray of uint8, shape (n, length + 2 pad)
        Codes with N on both sides, so that a motif may hang over the ends.
    numbers : ndarray of int32, shape (n, places)
        Number, in base 5, of the word of three letters that begins at each place.
    positive : ndarray of bool, shape (n,)
    width : int
        Positions of the weights that are scanned with.
    background : ndarray of float64, shape (4,)
        Letter frequencies of all sequences, both strands together.
    """

    padded: Codes
    numbers: NDArray[np.int32]
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
    background = letters / letters.sum()
    return Prepared(padded, _numbers(padded), positive, pad, width, background)


def best_sites(
    data: Prepared, weights: Sequence[Floats]
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """Best site of each motif in each sequence: score (bits), start in ``data.padded``, on the
    other strand? Each of shape (motifs, n).

    An N scores 0, so that a motif may hang over the end of a sequence.
    """
    shape = len(weights), len(data.padded)
    score, start = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.int64)
    flipped = np.empty(shape, dtype=bool)
    for rows, found in _scan(data, weights):
        (first, second), (at, at_second) = (
            each.numpy().reshape(len(each), 2, -1).transpose(1, 2, 0) for each in found.max(dim=1)
        )
        turned = second > first
        flipped[:, rows] = turned
        score[:, rows] = np.where(turned, second, first)
        start[:, rows] = np.where(turned, at_second, at)
    return score, start, flipped


def best_scores(data: Prepared, weights: Sequence[Floats]) -> NDArray[np.float32]:
    """Score alone of each motif's best site in each sequence, shape (motifs, n)."""
    score = np.empty((len(weights), len(data.padded)), dtype=np.float32)
    for rows, found in _scan(data, weights):
        strands = found.amax(dim=1).numpy().reshape(len(found), 2, -1)
        score[:, rows] = strands.max(axis=1).T
    return score


def refine(
    data: Prepared,
    starts: Sequence[Floats],
    rounds: int,
    thresholds: Sequence[float] | None = None,
) -> list[Motif | None]:
    """Alternate between finding the best sites and counting their letters, for many motifs at once.

    Parameters
    ----------
    starts : sequence of ndarrays, shape (data.width, 4)
        Where to start.
    rounds : int
        At most so many.
    thresholds : sequence of float, optional
        Score of the sites of the first round, for each start; by default where the classes
        separate best.

    Returns
    -------
    list of Motif or None
        For each start the best of all rounds; None if no motif came out.
    """
    classes = np.flatnonzero(data.positive), np.flatnonzero(~data.positive)
    bound, others = (data.take(rows) for rows in classes)
    truth = np.repeat([True, False], [len(rows) for rows in classes])
    known: dict[bytes, _Sites] = {}  # many seeds lead to the same motif
    growing = [_Growing(weights) for weights in starts]
    for number in range(rounds + 1):
        fresh = {each.weights.tobytes(): each.weights for each in growing if each.goes_on}
        fresh = {name: weights for name, weights in fresh.items() if name not in known}
        if fresh:
            known |= zip(fresh, _separated(bound, others, truth, list(fresh.values())), strict=True)
        looked = [(each, known[each.weights.tobytes()]) for each in growing if each.goes_on]
        for at, (each, sites) in enumerate(looked):
            each.judge(sites)
            if each.goes_on:
                first = sites.threshold if number or thresholds is None else thresholds[at]
                each.used = np.flatnonzero(sites.scores >= first)
                each.goes_on = len(each.used) >= _MIN_SITES
        going = [(each, sites) for each, sites in looked if each.goes_on]
        letters = _letter_counts(bound, going)
        statistics = _g_statistic(letters, data.background)
        for (each, _), counts, statistic in zip(going, letters, statistics, strict=True):
            each.grow(counts, statistic, data)
    return [each.best if each.best and each.best.value > 0 else None for each in growing]


@dataclass(frozen=True)
class _Sites:
    """Best sites of one motif in the positives, and how well those of all separate the classes at
    which score."""

    scores: NDArray[np.float32]
    starts: NDArray[np.int64]
    flipped: NDArray[np.bool_]
    value: float
    threshold: float


class _Growing:
    """One motif of those that are refined together."""

    def __init__(self, weights: Floats) -> None:
        self.weights = weights
        self.counts: Floats | None = None
        self.best: Motif | None = None
        self.used = np.empty(0, dtype=np.int64)
        self.goes_on = True
        self._stale = 0

    def judge(self, sites: _Sites) -> None:
        """Keep it if it is the best so far; two rounds without are enough."""
        if self.counts is None:
            return
        if self.best is None or sites.value > self.best.value + 1e-6:
            self.best = Motif(sites.value, sites.threshold, self.weights, self.counts)
            self._stale = 0
        else:
            self._stale += 1
        self.goes_on = self._stale <= 1

    def grow(self, wide: Floats, statistic: Floats, data: Prepared) -> None:
        """Take weights from the letters of sites and their margins, and the G statistic of each."""
        informative = _informative(statistic)
        self.goes_on = bool(informative.sum() >= _MIN_COLUMNS)
        if not self.goes_on:
            return
        begin = _centred(statistic, informative, data.width)
        self.counts = wide[begin : begin + data.width]
        kept = informative[begin : begin + data.width, None]
        odds = np.log2(_shares(self.counts, data.background) / data.background)
        self.weights = np.where(kept, np.rint(odds * _GRAIN) / _GRAIN, 0.0)


def _separated(
    bound: Prepared, others: Prepared, truth: NDArray[np.bool_], weights: Sequence[Floats]
) -> Iterator[_Sites]:
    """Best sites of motifs in positives, and how well they and those of the others separate."""
    scores, starts, flipped = best_sites(bound, weights)
    all_scores = np.concatenate([scores, best_scores(others, weights)], axis=1)
    values, thresholds = best_splits(all_scores, truth)
    return map(_Sites, scores, starts, flipped, values.tolist(), thresholds.tolist())


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
    used = np.flatnonzero(motif.weights.any(axis=1))
    turned = data.width - 1 - used
    for rows, found in _scan(data, [motif.weights]):
        for strand, positions in enumerate((used, turned)):
            at, starts = np.nonzero(found[..., strand].numpy() >= motif.threshold - _WEAK)
            padded[rows.start + at[:, None], starts[:, None] + positions] = N
    return replace(data, padded=padded, numbers=_numbers(padded))


def _numbers(padded: Codes) -> NDArray[np.int32]:
    """See `Prepared`; the last window's last word may hang over the end."""
    beyond = np.pad(padded, ((0, 0), (0, _WORD)), constant_values=N)
    return word_numbers(beyond, _WORD).astype(np.int32)


def _scan(data: Prepared, weights: Sequence[Floats]) -> Iterator[tuple[slice, Any]]:
    """Scores of motifs at every window, a few sequences at a time.

    Each window is a sum of rows of tables, one for each word, that hold the scores of all motifs
    and strands. Weights are multiples of `_GRAIN`, which float32 adds up without rounding: a score
    does not depend on the order, on the motifs beside it, or on the number of threads.

    Yields
    ------
    rows : slice
    scores : tensor of float32, shape (rows, windows, 2 · motifs)
        Of all motifs, then of their reverse complements.
    """
    import torch

    both = np.stack([*weights, *(each[::-1, ::-1] for each in weights)], axis=-1)
    parts = -(-data.width // _WORD)
    letters = np.zeros((parts * _WORD, 5, both.shape[2]))
    letters[: data.width, :4] = both
    first, second, third = (letters[place::_WORD] for place in range(_WORD))
    tables = first[:, :, None, None] + second[:, None, :, None] + third[:, None, None]
    table = torch.from_numpy(tables.reshape(-1, both.shape[2]).astype(np.float32))
    n, windows = len(data.padded), data.padded.shape[1] - data.width + 1
    reach = _WORD * (parts - 1) + 1
    laid = sliding_window_view(data.numbers[:, : windows + reach - 1], reach, axis=1)[..., ::_WORD]
    offsets = 5**_WORD * np.arange(parts, dtype=np.int32)
    step = max(1, _SCORES // (windows * both.shape[2]))
    for begin in range(0, n, step):
        rows = slice(begin, min(begin + step, n))
        words = torch.from_numpy((laid[rows] + offsets).reshape(-1, parts))
        scores = torch.nn.functional.embedding_bag(words, table, mode="sum")
        yield rows, scores.view(-1, windows, both.shape[2])


def _letter_counts(data: Prepared, going: Sequence[tuple[_Growing, _Sites]]) -> NDArray[np.float64]:
    """Letters of the sites that each motif uses and of a margin around them, on the site's strand,
    shape (motifs, width + 2 margins, 4)."""
    columns = np.arange(-_MARGIN, data.width + _MARGIN)
    lengths = [len(each.used) for each, _ in going]
    if not lengths:
        return np.empty((0, len(columns), 4))
    rows = np.concatenate([each.used for each, _ in going])
    starts, flipped = (
        np.concatenate([getattr(sites, name)[each.used] for each, sites in going])
        for name in ("starts", "flipped")
    )
    beyond = np.pad(data.padded, ((0, 0), (_MARGIN, _MARGIN)), constant_values=N)
    letters = beyond[rows[:, None], starts[:, None] + _MARGIN + columns]
    letters[flipped] = reverse_complement(letters[flipped])
    cells = np.repeat(np.arange(len(going)), lengths)[:, None] * len(columns) + columns + _MARGIN
    counts = np.bincount((cells * 5 + letters).ravel(), minlength=len(going) * len(columns) * 5)
    return counts.reshape(len(going), len(columns), 5)[..., :4].astype(np.float64)


def _shares(counts: Floats, background: Floats) -> Floats:
    totals = counts.sum(axis=1, keepdims=True)
    return (counts + PSEUDOCOUNT * background) / (totals + PSEUDOCOUNT)


def _g_statistic(counts: Floats, background: Floats) -> Floats:
    """Of each column of letters against the background."""
    totals = counts.sum(axis=-1, keepdims=True)
    ratio = np.where(counts > 0, counts / np.maximum(totals * background, 1e-9), 1.0)
    return np.asarray(2 * (counts * np.log(ratio)).sum(axis=-1))


def _informative(statistic: Floats) -> NDArray[np.bool_]:
    """Columns that differ from the background: easily within the motif, hardly apart from it.

    The motif grows from its strongest stretch by columns no further than two away.
    """
    peak = int(np.argmax(np.convolve(statistic, np.ones(5), "same")))
    near = np.flatnonzero(statistic > _NEAR)
    first = last = peak
    for column in near[near > peak]:
        last = int(column) if column - last <= _REACH else last
    for column in near[near < peak][::-1]:
        first = int(column) if first - column <= _REACH else first
    columns = np.arange(len(statistic))
    inside = (columns >= first) & (columns <= last)
    return np.where(inside, statistic > _NEAR, statistic > _FAR)


def _centred(statistic: Floats, informative: NDArray[np.bool_], width: int) -> int:
    """Start of the stretch of ``width`` columns that holds most information, in its middle."""
    total = np.concatenate([[0.0], np.cumsum(np.where(informative, statistic, 0.0))])
    held = total[width:] - total[:-width]
    starts = np.flatnonzero(held >= held.max() - 1e-9)
    where = np.flatnonzero(informative)
    middle = (where[0] + where[-1]) / 2
    return int(starts[np.argmin(np.abs(starts + (width - 1) / 2 - middle))])
