"""Fingerprints of sequences: which windows show sequence that a model has been trained on.

Places compare only within one assembly, and a FASTA of windows may name none. The bases compare
always. A window is reduced to its minimizers (Roberts et al. 2004): of every run of neighbouring
k-mers the one with the smallest hash, both strands counted as one. Two windows that share a long
enough stretch share a minimizer of it, wherever they begin. What is kept of the training windows
is the set of these hashes: about six a window, nine bytes on disk.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cistransfer.genome.codes import N

__all__ = ["BITS", "SHARED", "distinct_fingerprints", "fingerprints", "share_seen", "union"]

K = 24
"""Length of the k-mers in bp."""

RUN = 48
"""Neighbouring k-mers of which one is kept: a common stretch of K + RUN − 1 = 71 bp is noticed."""

BITS = 36
"""Bits of a hash: one is among a million others by chance once in sixty thousand times."""

SHARED = 0.25
"""A window counts as seen when at least this share of its minimizers is among the seen ones.

Measured on the trunk in the box (193,623 windows of 200 bp): of windows shifted by 0, 25, 50 and 75
bp all are seen, by 100 bp nine in ten; of 162,705 windows elsewhere in the genome 3 % are, for the
repeats and paralogues in them."""

_MIX = np.uint64(0x9E3779B97F4A7C15)
_CHUNK = 4096


def fingerprints(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Minimizers of windows, one row a window.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)

    Returns
    -------
    ndarray of uint64, shape (n, length − K − RUN + 2)
        The smallest hash of each run of k-mers (of all k-mers where a window is shorter than a
        run), neighbours often equal; the largest uint64 where every k-mer of a run holds an N. A
        window and its reverse complement have the same hashes, in opposite order. No column for
        windows shorter than K.

    >>> import numpy as np
    >>> codes = np.random.default_rng(0).integers(0, 4, (1, 200), dtype=np.uint8)
    >>> a, b = fingerprints(codes[:, :150]), fingerprints(codes[:, 50:])
    >>> bool(set(a.ravel().tolist()) & set(b.ravel().tolist()))
    True
    """
    n, length = codes.shape
    if length < K:
        return np.empty((n, 0), dtype=np.uint64)
    columns = max(1, length - K - RUN + 2)
    found = np.empty((n, columns), dtype=np.uint64)
    for begin in range(0, n, _CHUNK):
        found[begin : begin + _CHUNK] = _minimizers(np.asarray(codes[begin : begin + _CHUNK]))
    return found


def _minimizers(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """`fingerprints` of one chunk."""
    kmers = codes.shape[1] - K + 1
    forward = np.zeros((len(codes), kmers), dtype=np.uint64)
    backward = np.zeros_like(forward)
    unknown = np.zeros((len(codes), kmers), dtype=bool)
    for i in range(K):
        base = codes[:, i : i + kmers]
        unknown |= base >= N
        letter = (base & 3).astype(np.uint64)
        forward = (forward << np.uint64(2)) | letter
        backward |= (np.uint64(3) - letter) << np.uint64(2 * i)
    hashed = _hash(np.minimum(forward, backward))
    hashed[unknown] = np.iinfo(np.uint64).max
    width = min(RUN, kmers)
    # the minimum over `width` neighbours, by doubling
    smallest, reach = hashed, 1
    while reach < width:
        step = min(reach, width - reach)
        smallest = np.minimum(smallest[:, :-step], smallest[:, step:])
        reach += step
    return smallest


def _hash(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits (splitmix64) and keep `BITS` of them."""
    mixed = (values + _MIX) ^ ((values + _MIX) >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed >> np.uint64(64 - BITS)


def distinct_fingerprints(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Every minimizer of some windows, sorted, each once; constant memory beside the result."""
    found = np.empty(0, dtype=np.uint64)
    waiting: list[NDArray[np.uint64]] = []
    for begin in range(0, len(codes), _CHUNK):
        waiting.append(union(fingerprints(codes[begin : begin + _CHUNK])))
        if len(waiting) == 16:
            found, waiting = union(found, *waiting), []
    found = union(found, *waiting)
    return found[found != np.iinfo(np.uint64).max]


def union(*hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hashes of any of some arrays, sorted, each once.

    By merging sorted runs: `numpy.unique` puts integers into a table, which takes a hundred times
    as long for a million hashes that are sorted already.

    >>> import numpy as np
    >>> union(np.array([1, 5], dtype=np.uint64), np.array([3, 5], dtype=np.uint64)).tolist()
    [1, 3, 5]
    """
    ordered = np.sort(np.concatenate([each.ravel() for each in hashes]), kind="stable")
    fresh = np.ones(len(ordered), dtype=bool)
    fresh[1:] = ordered[1:] != ordered[:-1]
    return ordered[fresh]


def share_seen(codes: NDArray[np.uint8], *seen: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Share of each window's minimizers that are among the seen ones.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
    *seen : ndarray of uint64
        Hashes from `fingerprints`, sorted: one set, or several whose union is meant.

    Returns
    -------
    ndarray of float64, shape (n,)
        From 0 to 1, 0 where a window has no known k-mer. `SHARED` and more: the window was seen.
    """
    share = np.zeros(len(codes))
    sets = [hashes for hashes in seen if len(hashes)]
    if not sets:
        return share
    for begin in range(0, len(codes), _CHUNK):
        found = fingerprints(codes[begin : begin + _CHUNK])
        known = found != np.iinfo(np.uint64).max
        hit = np.zeros(found.shape, dtype=bool)
        for hashes in sets:
            place = np.searchsorted(hashes, found).clip(max=len(hashes) - 1)
            hit |= hashes[place] == found
        hit &= known
        share[begin : begin + _CHUNK] = hit.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return share
