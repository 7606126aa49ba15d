"""Shuffled copies of sequences that keep the count of every dinucleotide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cistransfer.genome.codes import N

__all__ = ["dinucleotide_shuffle"]

Codes = NDArray[np.uint8]


def dinucleotide_shuffle(codes: Codes, shuffles: int, *, seed: int = 0) -> Codes:
    """Shuffle sequences, keeping the count of every dinucleotide and both end letters.

    Every arrangement with the same dinucleotides is equally likely (Altschul and Erickson 1985):
    the letters that follow A, C, G and T are shuffled; the last step out of each letter is drawn
    until these last steps lead to the sequence's end. All sequences are walked at once. Runs
    between N are shuffled separately and the N stay where they are.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
    shuffles : int
        How many of each sequence.
    seed : int
        The shuffles of a sequence depend on the seed and on its row.

    Returns
    -------
    ndarray of uint8, shape (n, shuffles, length)
    """
    rng = np.random.default_rng(seed)
    rows = np.repeat(codes, shuffles, axis=0)
    clean = (rows < N).all(axis=1)
    result = rows.copy()
    if rows.shape[1] > 3 and clean.any():
        result[clean] = _walk(rows[clean], rng)
    for row in np.flatnonzero(~clean):
        known = np.flatnonzero(np.diff(np.concatenate([[0], rows[row] < N, [0]]).astype(int)))
        for begin, end in known.reshape(-1, 2):
            if end - begin > 3:
                result[row, begin:end] = _walk(rows[row : row + 1, begin:end], rng)[0]
    return result.reshape(len(codes), shuffles, codes.shape[1])


def _walk(rows: Codes, rng: np.random.Generator) -> Codes:
    """Shuffle each row of N-free sequences once."""
    n, length = rows.shape
    here, there = rows[:, :-1], rows[:, 1:]
    end = rows[:, -1]
    keys = rng.random(here.shape, dtype=np.float32)
    waiting = np.arange(n)
    last = np.full((n, 4), -1)
    while len(waiting):
        draw = rng.random((len(waiting), length - 1), dtype=np.float32)
        draw[here[waiting] == there[waiting]] = -1  # a step onto itself is never the last one
        step = np.full((len(waiting), 4), -1)
        follows = np.tile(np.arange(4), (len(waiting), 1))
        index = np.arange(len(waiting))
        for letter in range(4):
            mine = np.where(here[waiting] == letter, draw, -1)
            best = mine.argmax(axis=1)
            used = (mine[index, best] >= 0) & (end[waiting] != letter)
            step[:, letter] = np.where(used, best, -1)
            follows[:, letter] = np.where(used, there[waiting, best], letter)
        reach = follows.copy()
        for _ in range(3):
            reach = np.take_along_axis(follows, reach, axis=1)
        tree = ((reach == end[waiting, None]) | (step < 0)).all(axis=1)
        last[waiting[tree]] = step[tree]
        waiting = waiting[~tree]
    for letter in range(4):
        chosen = np.flatnonzero(last[:, letter] >= 0)
        keys[chosen, last[chosen, letter]] = 2
    order = np.argsort(here.astype(np.float32) * 4 + keys, axis=1)
    following = np.take_along_axis(there, order, axis=1)
    counts = np.stack([(here == letter).sum(axis=1) for letter in range(4)], axis=1)
    pointer = np.cumsum(counts, axis=1) - counts
    walked = np.empty_like(rows)
    walked[:, 0] = current = rows[:, 0]
    index = np.arange(n)
    for position in range(1, length):
        at = pointer[index, current]
        pointer[index, current] = at + 1
        walked[:, position] = current = following[index, at]
    return walked
