"""Score every window of sequences with a PWM: best hit and sum of occupancies.

Windows are scored a word at a time: six positions on both strands are one look-up. A window that
holds an N scores nothing: it adds no occupancy and is never the best.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cistransfer.motifs.pwm import PWM, UNIFORM, log_odds

__all__ = ["WORD", "best_hits", "scan_words", "sum_occupancy", "word_numbers"]

_CHUNK = 1 << 16  # windows scored at a time: index and scores stay in the cache

WORD = 6
"""Longest word looked up at once: a table of 5**6 float32 (62 kB) stays in the cache."""

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]


def best_hits(
    codes: Codes,
    pwm: PWM,
    background: Sequence[float] = UNIFORM,
    pseudocount: float = 0.001,
) -> NDArray[np.float32]:
    """Highest log-odds score (bits) of any window on either strand.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
    background, pseudocount
        See `cistransfer.motifs.pwm.log_odds`.

    Returns
    -------
    ndarray of float32, shape (n,)
        −inf where no window is free of N, or where the motif is wider than the sequence.
    """
    weights = log_odds(pwm, background, pseudocount)
    result = np.full(len(codes), -np.inf, dtype=np.float32)
    for rows, forward, reverse in _both_strands(codes, weights, np.add):
        result[rows] = np.maximum(forward, reverse).max(axis=1)
    return result


def sum_occupancy(
    codes: Codes,
    pwm: PWM,
    background: Sequence[float] = UNIFORM,
    pseudocount: float = 0.001,
) -> NDArray[np.float64]:
    """Sum over all windows and both strands of ``Π p / background``.

    The sum occupancy of PWMScan, with which the published study scores its de novo PWM baseline
    (Novakovsky 2021, Methods; protocol D3). With the uniform background it is the published sum
    of probabilities times 4^width, so it ranks sequences alike.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
    background, pseudocount
        See `cistransfer.motifs.pwm.log_odds`.

    Returns
    -------
    ndarray of float64, shape (n,)
        0 where no window is free of N. Spans many orders of magnitude: take the logarithm before
        feeding it to a regression.
    """
    ratios = np.exp2(log_odds(pwm, background, pseudocount))
    result = np.zeros(len(codes))
    for rows, forward, reverse in _both_strands(codes, ratios, np.multiply):
        result[rows] = (forward + reverse).sum(axis=1, dtype=np.float64)
    return result


def word_numbers(codes: NDArray[np.uint8], word: int) -> NDArray[np.intp]:
    """Number, in base 5, of the word that starts at each place, shape (n, length − word + 1)."""
    last = codes.shape[1] - word + 1
    letters = codes.astype(np.intp)
    number = letters[:, :last].copy()
    for offset in range(1, word):
        number *= 5
        number += letters[:, offset : offset + last]
    return number


def scan_words(
    numbers: NDArray[np.intp],
    pair: tuple[Floats, Floats],
    word: int,
    combine: np.ufunc = np.add,
    unknown: float = 0.0,
) -> NDArray[np.float32]:
    """Score two motifs of one width (a motif and its reverse complement) at each place.

    Both are read by the same look-ups: two float32 lie side by side in one table.

    Parameters
    ----------
    numbers : ndarray of intp, shape (n, places)
        `word_numbers` of sequences.
    pair : two ndarrays, shape (width, 4)
        Score of each letter at each position.
    word : int
        Letters of the words, at most the motifs' width.
    combine : ufunc
        Joins the positions: ``np.add`` for log-odds, ``np.multiply`` for ratios.
    unknown : float
        What an N scores at any position.

    Returns
    -------
    ndarray of float32, shape (n, places, 2)
        Score of the window that starts at each place; what it is where a window would hang over
        the end of its sequence means nothing.
    """
    line = numbers.reshape(-1)
    total = np.empty(0, dtype=np.float32)
    for start, table in _word_tables(pair, word, combine, unknown):
        found = np.take(table, line).view(np.float32)
        if not start:
            total = found
        else:
            combine(total[: -2 * start], found[2 * start :], out=total[: -2 * start])
    return total.reshape(*numbers.shape, 2)


def _word_tables(
    pair: tuple[Floats, Floats], word: int, combine: np.ufunc, unknown: float
) -> Iterator[tuple[int, NDArray[np.uint64]]]:
    """Score of every word at each of the starts that cover two motifs of one width, the first at 0.

    Yields
    ------
    start, table
        ``table[number]`` holds two float32, the scores by either motif of a word that starts at
        position ``start`` of it. The last word may overlap the one before: positions already
        covered score nothing there.
    """
    neutral = 0.0 if combine is np.add else 1.0
    width = len(pair[0])
    covered = 0
    while covered < width:
        start = min(covered, width - word)
        table = np.empty((5**word, 2), dtype=np.float32)
        for column, weights in enumerate(pair):
            letters = np.full((word, 5), neutral)
            fresh = slice(covered - start, word)
            letters[fresh, :4] = weights[covered : start + word]
            letters[fresh, 4] = unknown
            half = word // 2
            first, last = (
                _outer(part, combine, neutral) for part in (letters[:half], letters[half:])
            )
            pairs = table[:, column].reshape(len(first), len(last))
            combine(first[:, None], last, out=pairs, casting="same_kind")
        yield start, table.view(np.uint64)[:, 0]
        covered = start + word


def _outer(letters: Floats, combine: np.ufunc, neutral: float) -> Floats:
    """Scores of all words of a few positions, shape (5 ** positions,)."""
    table = np.full(1, neutral)
    for scores in letters:
        table = combine.outer(table, scores).ravel()
    return table


def _both_strands(
    codes: Codes, weights: Floats, combine: np.ufunc
) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.float32]]]:
    """Yield rows and their (rows, windows) scores on each strand, in pieces that fit the cache.

    ``combine`` joins the positions of a window: add for log-odds, multiply for ratios.
    """
    width, length = len(weights), codes.shape[1]
    windows = length - width + 1
    if windows < 1:
        return
    # A word with an N scores what no window can make good: −inf, or no occupancy.
    unknown = -np.inf if combine is np.add else 0.0
    step = max(1, _CHUNK // length)
    for begin in range(0, len(codes), step):
        rows = slice(begin, min(begin + step, len(codes)))
        word = min(WORD, width)
        numbers = word_numbers(codes[rows], word)
        scores = scan_words(numbers, (weights, weights[::-1, ::-1]), word, combine, unknown)
        yield rows, scores[:, :windows, 0], scores[:, :windows, 1]
