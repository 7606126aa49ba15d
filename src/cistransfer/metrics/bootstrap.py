"""Confidence intervals of a metric by resampling rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cistransfer.errors import InputError
from cistransfer.metrics.curves import aucpr
from cistransfer.metrics.resolved import resolved

__all__ = ["Interval", "bootstrap_difference", "bootstrap_interval"]

Metric = Callable[..., float]
Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate and the interval around it."""

    estimate: float
    low: float
    high: float


def _draws(truth: NDArray[np.bool_], draws: int, stratified: bool, seed: int) -> Iterator[Floats]:
    """Yield how often each row is drawn, ``draws`` times."""
    generator = np.random.default_rng(seed)
    classes = (np.flatnonzero(truth), np.flatnonzero(~truth))
    for _ in range(draws):
        weights = np.zeros(truth.size)
        if stratified:
            for members in classes:
                picked = generator.integers(0, members.size, members.size)
                weights[members] = np.bincount(picked, minlength=members.size)
        else:
            while not all(weights[members].any() for members in classes):
                picked = generator.integers(0, truth.size, truth.size)
                weights = np.bincount(picked, minlength=truth.size).astype(np.float64)
        yield weights


def _check(draws: int, level: float) -> None:
    if draws < 1:
        raise InputError(f"draws: expected at least 1, found {draws}")
    if not 0 < level < 1:
        raise InputError(f"level: expected a share between 0 and 1, found {level}")


def _interval(estimate: float, values: list[float], level: float) -> Interval:
    tail = (1 - level) / 2
    low, high = np.quantile(values, (tail, 1 - tail))
    return Interval(float(estimate), float(low), float(high))


def bootstrap_interval(
    labels: ArrayLike,
    scores: ArrayLike,
    metric: Metric = aucpr,
    *,
    draws: int = 1000,
    level: float = 0.95,
    stratified: bool = True,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of a metric over the test rows.

    It covers which test rows were drawn, not which training rows or which seed: repeat the
    training for those. Neighbouring regions are not independent, so it is rather too narrow.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
    scores : array of float, shape (n,)
    metric : callable(labels, scores, weights=...) -> float
        Any metric of this room; bind thresholds with a lambda. Rows are resampled through its
        weights.
    draws : int
        Number of resamples.
    level : float
        Coverage, 0.95 for a 95 % interval.
    stratified : bool
        Keep the numbers of positives and of negatives; otherwise draw all rows alike (draws
        without one of the classes are drawn again).
    seed : int

    Returns
    -------
    Interval
        The metric on the rows as they are, and the interval's ends.
    """
    _check(draws, level)
    truth, values, _ = resolved(labels, scores)
    order = np.argsort(values, kind="stable")
    truth, values = truth[order], values[order]
    drawn = [
        metric(truth, values, weights=weights) for weights in _draws(truth, draws, stratified, seed)
    ]
    return _interval(metric(truth, values, weights=np.ones(truth.size)), drawn, level)


def bootstrap_difference(
    labels: ArrayLike,
    scores: ArrayLike,
    other: ArrayLike,
    metric: Metric = aucpr,
    *,
    draws: int = 1000,
    level: float = 0.95,
    stratified: bool = True,
    seed: int = 0,
) -> Interval:
    """Interval of ``metric(scores) - metric(other)`` on the same rows, resampled together.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
    scores, other : arrays of float, shape (n,)
        Two models' scores of the same rows.
    metric, draws, level, stratified, seed
        As in `bootstrap_interval`.
    """
    _check(draws, level)
    truth, first, _ = resolved(labels, scores)
    _, second, _ = resolved(labels, other, names=("labels", "other scores"))

    def difference(weights: Floats) -> float:
        return metric(truth, first, weights=weights) - metric(truth, second, weights=weights)

    drawn = [difference(weights) for weights in _draws(truth, draws, stratified, seed)]
    return _interval(difference(np.ones(truth.size)), drawn, level)
