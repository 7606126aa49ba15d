"""Find motif hits with exact p-values (what FIMO does), through an index of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.motifs.pwm import PWM, UNIFORM, information_content, log_odds

__all__ = ["best_p", "find_hits", "score_tail"]

_STEP = 1 / 128  # bits: scores are whole multiples of it, which makes the p-values exact
_CORE = 8  # letters of the indexed words
_BLOCK = 1 << 24  # positions indexed at a time

Codes = NDArray[np.uint8]
Ints = NDArray[np.int64]


def find_hits(
    codes: Codes,
    pwms: Sequence[PWM],
    p_value: float = 1e-4,
    background: Sequence[float] = UNIFORM,
    pseudocount: float = 0.001,
) -> pd.DataFrame:
    """Every window of every motif, on both strands, with a p-value of at most ``p_value``.

    Log-odds are rounded to 1/128 bit per position; the distribution of the rounded score under
    the background is computed exactly (dynamic programming), so each p-value is the chance that
    one window of independent letters scores at least as high. Per motif, only windows whose eight
    most informative letters leave the threshold within reach are looked at: the result is that of
    a full scan. A window with an N is never a hit.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
    p_value : float
        Threshold, above 0 and at most 1. A motif too short to reach it has no hits.
    background, pseudocount
        See `cistransfer.motifs.pwm.log_odds`.

    Returns
    -------
    DataFrame
        Sorted by sequence, start, motif and strand: ``sequence`` (row of ``codes``), ``pwm``
        (position in ``pwms``), ``name`` (categorical), ``start``, ``end`` (0-based, half-open, on
        the given strand of the sequence), ``strand`` ("+" or "-"), ``score`` (bits), ``p``. Hits
        of a palindrome appear on both strands.
    """
    if not 0 < p_value <= 1:
        raise InputError(f"expected a p-value threshold above 0 and at most 1, found {p_value}")
    scans = [
        (number, strand, _prepare(weights, core, letters, p_value))
        for number, pwm in enumerate(pwms)
        for strand, weights, core, letters in _strands(pwm, background, pseudocount)
    ]
    length = codes.shape[1]
    step = max(1, _BLOCK // max(length, 1))
    parts: list[dict[str, NDArray]] = []
    for begin in range(0, len(codes) if length else 0, step):
        block = codes[begin : begin + step]
        index = _word_index(block)
        for number, strand, scan in scans:
            rows, starts, scores = _scan(block, index, scan)
            parts.append(
                {
                    "sequence": rows + begin,
                    "pwm": np.full(len(rows), number),
                    "start": starts,
                    "end": starts + len(scan.weights),
                    "strand": np.full(len(rows), strand),
                    "score": scores * _STEP,
                    "p": scan.tail[scores - scan.low],
                }
            )
    return _table(parts, pwms)


def best_p(pwm: PWM, background: Sequence[float] = UNIFORM, pseudocount: float = 0.001) -> float:
    """p-value of a motif's best site: below it no scan finds any."""
    weights = _strands(pwm, background, pseudocount)[0][1]
    return float(score_tail(weights, background)[1][-1])


def score_tail(
    weights: NDArray[np.integer], background: Sequence[float] = UNIFORM
) -> tuple[int, NDArray[np.float64]]:
    """Chance that a window of independent letters scores at least so much.

    Parameters
    ----------
    weights : ndarray of int, shape (width, 4)
        Whole-number scores of A, C, G, T at each position.
    background : four floats
        Letter frequencies A, C, G, T.

    Returns
    -------
    low : int
        The lowest possible score.
    tail : ndarray of float64
        ``tail[s - low]`` is P(score ≥ s), from the lowest to the highest possible score.
    """
    density = np.ones(1)
    low = 0
    for row in np.asarray(weights, dtype=np.int64):
        lowest = int(row.min())
        wider = np.zeros(len(density) + int(row.max()) - lowest)
        for score, share in zip(row.tolist(), background, strict=True):
            wider[score - lowest : score - lowest + len(density)] += share * density
        density, low = wider, low + lowest
    return low, np.minimum(np.cumsum(density[::-1])[::-1], 1.0)


@dataclass(frozen=True)
class _Scan:
    """One motif on one strand, ready to be looked up."""

    weights: Ints  # (width, 5): A, C, G, T, N
    core: int  # first of the positions that the word index covers
    words: Ints  # words from which the threshold is within reach
    threshold: int
    low: int
    tail: NDArray[np.float64]


def _strands(
    pwm: PWM, background: Sequence[float], pseudocount: float
) -> list[tuple[int, Ints, int, NDArray[np.float64]]]:
    """Strand, whole-number weights, start of the most informative eight positions, background."""
    weights = np.rint(log_odds(pwm, background, pseudocount) / _STEP).astype(np.int64)
    bits = np.concatenate([[0.0], np.cumsum(information_content(pwm, background))])
    span = min(_CORE, pwm.width)
    core = int(np.argmax(bits[span:] - bits[:-span]))
    letters = np.asarray(background, dtype=np.float64)
    letters = letters / letters.sum()
    return [(0, weights, core, letters), (1, weights[::-1, ::-1], pwm.width - span - core, letters)]


def _prepare(weights: Ints, core: int, background: NDArray[np.float64], p_value: float) -> _Scan:
    low, tail = score_tail(weights, background.tolist())
    threshold = low + len(tail) - int(np.searchsorted(tail[::-1], p_value, side="right"))
    table = np.zeros(1, dtype=np.int64)
    inside = weights[core : core + _CORE]
    for row in inside:
        table = np.add.outer(table, row).ravel()
    if len(inside) < _CORE:
        table = np.repeat(table, 4 ** (_CORE - len(inside)))
    rest = int(weights.max(axis=1).sum() - inside.max(axis=1).sum())
    words = np.flatnonzero(table >= threshold - rest)
    never = np.full((len(weights), 1), -(1 << 40))
    return _Scan(np.hstack([weights, never]), core, words, threshold, low, tail)


def _word_index(codes: Codes) -> tuple[Ints, Ints]:
    """Positions (row × length + column) ordered by the 8-letter word that starts there.

    N and what lies beyond the end count as A; hits are checked letter by letter afterwards.
    """
    padded = np.zeros((len(codes), codes.shape[1] + _CORE - 1), dtype=np.uint16)
    padded[:, : codes.shape[1]] = np.where(codes < 4, codes, 0)
    number = padded[:, : codes.shape[1]].copy()
    for offset in range(1, _CORE):
        number <<= np.uint16(2)
        number |= padded[:, offset : offset + codes.shape[1]]
    flat = number.ravel()
    order = np.argsort(flat, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=4**_CORE))])
    return order, bounds


def _scan(codes: Codes, index: tuple[Ints, Ints], scan: _Scan) -> tuple[Ints, Ints, Ints]:
    """Row, start and whole-number score of the hits of one motif on one strand."""
    order, bounds = index
    length, width = codes.shape[1], len(scan.weights)
    counts = bounds[scan.words + 1] - bounds[scan.words]
    total = int(counts.sum())
    ends = np.cumsum(counts)
    places = np.arange(total) + np.repeat(bounds[scan.words] - (ends - counts), counts)
    rows, starts = np.divmod(order[places], length)
    starts -= scan.core
    fits = (starts >= 0) & (starts + width <= length)
    rows, starts = rows[fits], starts[fits]
    scores = np.zeros(len(rows), dtype=np.int64)
    inside = set(range(scan.core, min(scan.core + _CORE, width)))
    best = scan.weights.max(axis=1)
    reach = int(best.sum())
    for position in sorted(range(width), key=lambda column: (column not in inside, column)):
        scores += scan.weights[position][codes[rows, starts + position]]
        reach -= int(best[position])
        if position not in inside or position == max(inside):
            alive = scores + reach >= scan.threshold
            rows, starts, scores = rows[alive], starts[alive], scores[alive]
    return rows, starts, scores


def _table(parts: list[dict[str, NDArray]], pwms: Sequence[PWM]) -> pd.DataFrame:
    empty = np.empty(0, dtype=np.int64)
    merged = {
        column: np.concatenate([part[column] for part in parts]) if parts else empty
        for column in ("sequence", "pwm", "start", "end", "strand", "score", "p")
    }
    order = np.lexsort((merged["strand"], merged["pwm"], merged["start"], merged["sequence"]))
    table = pd.DataFrame({column: values[order] for column, values in merged.items()})
    codes = {name: code for code, name in enumerate(dict.fromkeys(pwm.name for pwm in pwms))}
    of_pwm = np.array([codes[pwm.name] for pwm in pwms], dtype=np.int64)
    name = pd.Categorical.from_codes(of_pwm[table["pwm"].to_numpy()], categories=list(codes))
    table.insert(2, "name", name)
    return table.assign(
        strand=np.array(["+", "-"])[table["strand"].to_numpy()],
        score=table["score"].astype(np.float64),
        p=table["p"].astype(np.float64),
    )
