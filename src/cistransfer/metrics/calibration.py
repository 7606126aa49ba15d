"""Do the probabilities mean what they say? Brier score, reliability, temperature scaling.

``probabilities`` are in [0, 1]; ``logits`` are what a network returns (0 is even odds).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cistransfer.errors import InputError
from cistransfer.metrics.resolved import resolved

__all__ = [
    "RELIABILITY_COLUMNS",
    "brier",
    "expected_calibration_error",
    "fit_temperature",
    "log_loss",
    "reliability_bins",
    "to_probability",
]

Floats = NDArray[np.float64]

_TEMPERATURES = 0.05, 20.0

RELIABILITY_COLUMNS = ("low", "high", "n", "mean_probability", "observed")
"""Columns of a reliability table, one row per bin."""


def to_probability(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Turn logits into probabilities, ``1 / (1 + exp(-logit / temperature))``, in float64.

    Parameters
    ----------
    logits : array of float, any shape
    temperature : float
        Above 0; above 1 pulls probabilities towards 0.5. The ranking never changes.
    """
    if not temperature > 0:
        raise InputError(f"temperature: expected a number above 0, found {temperature}")
    from scipy.special import expit

    return np.asarray(expit(np.asarray(logits, dtype=np.float64) / temperature))


def _probabilities(
    labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[np.bool_], Floats, Floats]:
    truth, values, mass = resolved(
        labels, probabilities, weights, both_classes=False, names=("labels", "probabilities")
    )
    outside = (values < 0) | (values > 1)
    if outside.any():
        raise InputError(
            f"probabilities: {int(outside.sum())} of {outside.size} lie outside 0..1, for example "
            f"{values[np.argmax(outside)]:g}; logits go through to_probability first"
        )
    return truth, values, np.ones(values.size) if mass is None else mass


def brier(labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean squared difference of probability and label: 0 is perfect, 0.25 is always saying 0.5.

    Raises
    ------
    InputError
        On NaN, values outside 0..1 or no resolved rows.
    """
    truth, values, mass = _probabilities(labels, probabilities, weights)
    return float(np.average((values - truth) ** 2, weights=mass))


def reliability_bins(
    labels: ArrayLike,
    probabilities: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    bins: int = 10,
) -> dict[str, Floats]:
    """Compare predicted probability and observed frequency in bins of equal width.

    A bin holds its lower edge; the last one holds 1 as well.

    Returns
    -------
    dict
        `RELIABILITY_COLUMNS`, each float64 of shape (bins,): edges, (weighted) rows, their mean
        probability and share of positives; the last two are NaN in an empty bin.
    """
    if bins < 1:
        raise InputError(f"bins: expected at least 1, found {bins}")
    truth, values, mass = _probabilities(labels, probabilities, weights)
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1)
    n = np.bincount(place, mass, bins)
    mean, observed = (
        np.divide(
            np.bincount(place, mass * column, bins), n, out=np.full(bins, np.nan), where=n > 0
        )
        for column in (values, truth)
    )
    columns = (edges[:-1], edges[1:], n, mean, observed)
    return dict(zip(RELIABILITY_COLUMNS, columns, strict=True))


def expected_calibration_error(
    labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """Mean distance of predicted and observed frequency over ten equal bins, by rows (ECE)."""
    table = reliability_bins(labels, probabilities, weights)
    filled = table["n"] > 0
    distance = np.abs(table["mean_probability"] - table["observed"])[filled]
    return float(np.average(distance, weights=table["n"][filled]))


def _log_loss(truth: Floats, logits: Floats, weights: Floats | None = None) -> float:
    return float(np.average(np.logaddexp(0.0, logits) - truth * logits, weights=weights))


def log_loss(
    labels: ArrayLike,
    logits: ArrayLike,
    temperature: float = 1.0,
    weights: ArrayLike | None = None,
) -> float:
    """Mean binary cross-entropy of logits, in nats; finite for every finite logit."""
    if not temperature > 0:
        raise InputError(f"temperature: expected a number above 0, found {temperature}")
    truth, values, mass = resolved(
        labels, logits, weights, both_classes=False, finite=True, names=("labels", "logits")
    )
    return _log_loss(truth.astype(np.float64), values / temperature, mass)


def fit_temperature(labels: ArrayLike, logits: ArrayLike) -> float:
    """Find the temperature that makes the log loss smallest; fit it on validation rows only.

    One number for all rows (Guo et al. 2017): it mends over- and under-confidence, not a prior
    that differs between validation and test. Between 0.05 and 20. The targets 1 and 0 are
    replaced by (P + 1) / (P + 2) and 1 / (N + 2) for P positives and N negatives (Platt 1999): a
    handful of validation rows that happen to be ranked perfectly would drive the temperature to
    the lower bound, certainty out of ten rows.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
    logits : array of float, shape (n,)

    Returns
    -------
    float
        Exactly 1.0 where all logits are 0 (no temperature changes them).

    Raises
    ------
    InputError
        On logits that are not finite, no resolved rows or one class only.
    """
    from scipy.optimize import minimize_scalar

    truth, values, _ = resolved(labels, logits, finite=True, names=("labels", "logits"))
    if not values.any():
        return 1.0
    low, high = _TEMPERATURES
    positives, negatives = int(truth.sum()), int((~truth).sum())
    targets = np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    # the log loss is convex in the inverse temperature: one minimum
    found = minimize_scalar(
        lambda inverse: _log_loss(targets, values * inverse),
        bounds=(1 / high, 1 / low),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return float(np.clip(1 / found.x, low, high))
