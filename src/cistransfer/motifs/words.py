"""Score windows a word at a time: look up six positions at once instead of one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["WORD", "word_numbers", "word_tables"]

WORD = 6
"""Longest word looked up at once: a table of 5**6 float32 (62 kB) stays in the cache."""

Tables = list[tuple[int, NDArray[np.float32]]]


def word_numbers(codes: NDArray[np.uint8], word: int) -> NDArray[np.intp]:
    """Number, in base 5, of the word that starts at each place, shape (n, length − word + 1)."""
    last = codes.shape[1] - word + 1
    letters = codes.astype(np.intp)
    number = letters[:, :last].copy()
    for offset in range(1, word):
        number *= 5
        number += letters[:, offset : offset + last]
    return number


def word_tables(
    weights: NDArray[np.float64], word: int, combine: np.ufunc, unknown: float
) -> Tables:
    """Score of every word at each of the starts that cover a motif.

    Parameters
    ----------
    weights : ndarray, shape (width, 4)
        Score of each letter at each position; ``width >= word``.
    word : int
        Length of the words.
    combine : ufunc
        Joins the positions: ``np.add`` for log-odds, ``np.multiply`` for ratios.
    unknown : float
        What an N scores at any position.

    Returns
    -------
    list of (start, table)
        ``table[number]`` is the score of a word that starts at position ``start`` of the motif.
        The last word may overlap the one before: positions already covered score nothing there.
    """
    neutral = 0.0 if combine is np.add else 1.0
    width = len(weights)
    tables: Tables = []
    covered = 0
    while covered < width:
        start = min(covered, width - word)
        table = np.full(1, neutral)
        for position in range(start, start + word):
            letters = np.full(5, neutral)
            if position >= covered:
                letters[:4], letters[4] = weights[position], unknown
            table = combine(table[:, None], letters).ravel()
        tables.append((start, table.astype(np.float32)))
        covered = start + word
    return tables
