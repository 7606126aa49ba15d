"""What a ranking is worth at another ratio of negatives to positives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cistransfer.errors import InputError
from cistransfer.metrics.curves import aucpr
from cistransfer.metrics.resolved import resolved

__all__ = ["at_imbalance", "imbalance_weights"]


def imbalance_weights(
    labels: ArrayLike, ratio: float, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Weight rows so that negatives weigh ``ratio`` times what the positives weigh together.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
    ratio : float
        Negatives per positive to stand for, above 0.
    weights : array of float, shape (n,), optional
        Weights that the rows have already (1 by default), kept within each class.

    Returns
    -------
    float64, shape (n,)
        ``weights`` of the positives, those of the negatives times
        ``ratio * positives / negatives``, 0 for unresolved rows.
    """
    if not (ratio > 0 and np.isfinite(ratio)):
        raise InputError(f"ratio: expected negatives per positive above 0, found {ratio}")
    array = np.asarray(labels)
    truth, _, mass = resolved(array, np.zeros(array.shape), weights)
    own = np.ones(array.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    held = np.ones(truth.shape) if mass is None else mass
    share = ratio * held[truth].sum() / held[~truth].sum()
    return np.where(array == 1, own, np.where(array == 0, own * share, 0.0))


def at_imbalance(
    labels: ArrayLike,
    scores: ArrayLike,
    ratio: float,
    metric: Callable[..., float] = aucpr,
    weights: ArrayLike | None = None,
) -> float:
    """Compute a metric as if there were ``ratio`` negatives for each positive.

    No resampling and no seed: negatives are weighted, so precision at each cut-off is
    TPR / (TPR + ratio x FPR), its value in a population with these rates. A 1:1 test set says
    what precision would be at 1:10, as long as its negatives are like the others; how finely it
    can say so is limited by their number (n negatives resolve false-positive rates of 1 / n).

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
    scores : array of float, shape (n,)
    ratio : float
        Negatives per positive: 1, 10, or the true one.
    metric : callable(labels, scores, weights=...) -> float
        `aucpr` by default.
    weights : array of float, shape (n,), optional
    """
    return metric(labels, scores, weights=imbalance_weights(labels, ratio, weights))
