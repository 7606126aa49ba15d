"""How well a score separates two classes, at the best threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["best_threshold", "fisher_p", "half_g"]


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
    hits = np.asarray(hits, dtype=np.float64)
    chosen = np.asarray(chosen, dtype=np.float64)
    share = n_positive / n
    value = np.zeros(np.broadcast(hits, chosen).shape)
    for observed, expected in (
        (hits, chosen * share),
        (chosen - hits, chosen * (1 - share)),
        (n_positive - hits, (n - chosen) * share),
        (n - n_positive - chosen + hits, (n - chosen) * (1 - share)),
    ):
        some = observed > 0
        value[some] += observed[some] * np.log(observed[some] / expected[some])
    return np.where(hits > chosen * share, value, 0.0)


def best_threshold(scores: ArrayLike, positive: NDArray[np.bool_]) -> tuple[float, float]:
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
    scores = np.asarray(scores, dtype=np.float64)
    if not len(scores):
        return 0.0, np.inf
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.append(ranked[1:] != ranked[:-1], True) & np.isfinite(ranked)
    hits = np.cumsum(positive[order])[ends]
    value = half_g(hits, np.flatnonzero(ends) + 1, int(positive.sum()), len(scores))
    if not value.any():
        return 0.0, np.inf
    best = int(np.argmax(value))
    return float(value[best]), float(ranked[ends][best])


def fisher_p(hits: int, chosen: int, n_positive: int, n: int) -> float:
    """One-sided p of Fisher's exact test: at least ``hits`` positives among the chosen."""
    from scipy.stats import hypergeom

    return float(min(hypergeom.sf(hits - 1, n, n_positive, chosen), 1.0))
