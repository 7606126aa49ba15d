"""Confidence intervals of a metric by resampling rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cistransfer.errors import InputError
from cistransfer.metrics.curves import aucpr
from cistransfer.metrics.resolved import resolved

__all__ = [
    "Interval",
    "Metric",
    "bootstrap_difference",
    "bootstrap_interval",
    "bootstrap_values",
    "percentile_interval",
]

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


def percentile_interval(estimate: float, values: ArrayLike, level: float = 0.95) -> Interval:
    """Put the middle ``level`` of bootstrap values around an estimate."""
    if not 0 < level < 1:
        raise InputError(f"level: expected a share between 0 and 1, found {level}")
    tail = (1 - level) / 2
    low, high = np.quantile(np.asarray(values, dtype=np.float64), (tail, 1 - tail))
    return Interval(float(estimate), float(low), float(high))


def bootstrap_values(
    labels: ArrayLike,
    scores: Mapping[str, ArrayLike],
    metric: Metric = aucpr,
    *,
    draws: int = 1000,
    stratified: bool = True,
    seed: int = 0,
) -> dict[str, tuple[float, Floats]]:
    """Compute a metric of several models on the same resamples of the same rows.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
    scores : mapping of str to array of float, shape (n,)
        Scores by model.
    metric : callable(labels, scores, weights=...) -> float
        Any metric of this room; bind thresholds with a lambda. Rows are resampled through its
        weights.
    draws : int
        Number of resamples.
    stratified : bool
        Keep the numbers of positives and of negatives; otherwise draw all rows alike (draws
        without one of the classes are drawn again).
    seed : int

    Returns
    -------
    dict of str to (float, float64 of shape (draws,))
        The metric on the rows as they are, and on each resample. Differences of two models'
        values are paired.
    """
    if draws < 1:
        raise InputError(f"draws: expected at least 1, found {draws}")
    prepared = []
    for name, given in scores.items():
        truth, values, _ = resolved(labels, given, names=("labels", f"scores of {name}"))
        order = np.argsort(values, kind="stable")  # sorted once, not in every draw
        prepared.append((order, truth[order], values[order]))
    if not prepared:
        return {}
    found = np.empty((draws, len(prepared)))
    for draw, weights in enumerate(_draws(truth, draws, stratified, seed)):
        for model, (order, sorted_truth, values) in enumerate(prepared):
            found[draw, model] = metric(sorted_truth, values, weights=weights[order])
    ones = np.ones(truth.size)
    return {
        name: (float(metric(sorted_truth, values, weights=ones)), found[:, model])
        for model, (name, (_, sorted_truth, values)) in enumerate(
            zip(scores, prepared, strict=True)
        )
    }


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
    training for those. Neighbouring regions are not independent, and fewer than about 50 positives
    say little of their own spread: there it is rather too narrow.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
    scores : array of float, shape (n,)
    level : float
        Coverage, 0.95 for a 95 % interval.
    metric, draws, stratified, seed
        As in `bootstrap_values`.

    Returns
    -------
    Interval
        The metric on the rows as they are, and the interval's ends.
    """
    options = {"draws": draws, "stratified": stratified, "seed": seed}
    found = bootstrap_values(labels, {"the model": scores}, metric, **options)  # type: ignore[arg-type]
    estimate, values = found["the model"]
    return percentile_interval(estimate, values, level)


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
    options = {"draws": draws, "stratified": stratified, "seed": seed}
    both = {"the model": scores, "the other": other}
    found = bootstrap_values(labels, both, metric, **options)  # type: ignore[arg-type]
    (first, firsts), (second, seconds) = found.values()
    return percentile_interval(first - second, firsts - seconds, level)
