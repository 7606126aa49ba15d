"""Unbound windows with the GC content of the bound ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["match_gc"]


def match_gc(
    bound_gc: NDArray[np.float64],
    candidate_gc: NDArray[np.float64],
    *,
    per_bound: float = 1.0,
    bins: int = 20,
    seed: int,
) -> NDArray[np.int64]:
    """Choose candidates bin by bin so that their GC content is distributed as the bound one.

    Right-closed bins ``(0, 1/bins], …``; a GC content of exactly 0 belongs to the first. A bin
    with too few candidates gives all it has, so the result may be smaller than asked for
    (Novakovsky et al. 2021 used ten bins and one candidate per bound window).

    Parameters
    ----------
    bound_gc, candidate_gc : ndarray of float64
        GC fractions from 0 to 1.
    per_bound : float
        Candidates per bound window.
    bins : int
        Number of equal bins.
    seed : int

    Returns
    -------
    ndarray of int64
        Indices into ``candidate_gc``, ascending, each at most once.
    """
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    bound_bin = np.searchsorted(edges, bound_gc, side="left")
    candidate_bin = np.searchsorted(edges, candidate_gc, side="left")
    rng = np.random.default_rng(seed)
    chosen = []
    for which in range(bins):
        wanted = round(per_bound * int((bound_bin == which).sum()))
        pool = np.flatnonzero(candidate_bin == which)
        chosen.append(rng.permutation(pool)[:wanted])
    return np.sort(np.concatenate(chosen))
