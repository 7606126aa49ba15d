"""Metrics of yes/no calls: MCC, F1, precision, recall, and the threshold to call at.

A row is called positive when its score is **at or above** the threshold. (The published TF-binding
code calls with ``np.round(probability)``, where exactly 0.5 rounds to 0: the one case that differs
at a threshold of 0.5.) Fit thresholds on validation rows, never on the rows you report.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cistransfer.errors import InputError
from cistransfer.metrics.curves import cumulative_counts
from cistransfer.metrics.resolved import resolved

__all__ = [
    "Confusion",
    "accuracy",
    "best_threshold",
    "confusion",
    "f1",
    "f1_negative",
    "mcc",
    "precision",
    "recall",
    "weighted_f1",
]


class Confusion(NamedTuple):
    """Weighted numbers of true and false positives and negatives (row counts by default)."""

    tp: float
    fp: float
    tn: float
    fn: float


def confusion(
    labels: ArrayLike, scores: ArrayLike, threshold: float, weights: ArrayLike | None = None
) -> Confusion:
    """Count the calls at ``scores >= threshold``; rows with label -1 are ignored.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
        One class only is allowed here; no rows is not.
    scores : array of float, shape (n,)
    threshold : float
        On the scale of the scores: 0.5 for probabilities, 0 for logits.
    weights : array of float, shape (n,), optional

    Raises
    ------
    InputError
        On NaN scores, a NaN threshold or no resolved rows.
    """
    if np.isnan(threshold):
        raise InputError("threshold: expected a number, found NaN")
    truth, values, mass = resolved(labels, scores, weights, both_classes=False)
    ones = np.ones(truth.size) if mass is None else mass
    called = values >= threshold
    return Confusion(
        tp=float(ones[truth & called].sum()),
        fp=float(ones[~truth & called].sum()),
        tn=float(ones[~truth & ~called].sum()),
        fn=float(ones[truth & ~called].sum()),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def mcc(table: Confusion) -> float:
    """Matthews correlation of calls and labels; 0 where either has one class only."""
    tp, fp, tn, fn = table
    margins = np.sqrt(tp + fp) * np.sqrt(tp + fn) * np.sqrt(tn + fp) * np.sqrt(tn + fn)
    return float((tp * tn - fp * fn) / margins) if margins > 0 else 0.0


def f1(table: Confusion) -> float:
    """F1 of the positives; 0 where there are none and none is called."""
    return _ratio(2 * table.tp, 2 * table.tp + table.fp + table.fn)


def f1_negative(table: Confusion) -> float:
    """F1 of the negatives."""
    return _ratio(2 * table.tn, 2 * table.tn + table.fp + table.fn)


def weighted_f1(table: Confusion) -> float:
    """F1 of both classes weighted by their numbers of rows: ChromTransfer's "overall" F1."""
    positives, negatives = table.tp + table.fn, table.tn + table.fp
    return (positives * f1(table) + negatives * f1_negative(table)) / (positives + negatives)


def precision(table: Confusion) -> float:
    """Share of the called rows that are positive; 0 where none is called."""
    return _ratio(table.tp, table.tp + table.fp)


def recall(table: Confusion) -> float:
    """Share of the positive rows that are called; 0 where there is none."""
    return _ratio(table.tp, table.tp + table.fn)


def accuracy(table: Confusion) -> float:
    """Share of the rows called right."""
    return _ratio(table.tp + table.tn, sum(table))


def best_threshold(labels: ArrayLike, scores: ArrayLike) -> float:
    """Find the threshold with the best MCC; fit it on validation rows only.

    The threshold lies half-way between two neighbouring distinct scores (rounded to float32, so
    that float32 scores compare as float64 ones do). Among equally good cuts the one whose number
    of calls is nearest to the number of positives wins, then the strictest. Constant scores give
    that constant: every row is called.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
    scores : array of float, shape (n,)
        Logits or probabilities; the threshold is on the same scale.

    Raises
    ------
    InputError
        On NaN scores, no resolved rows or one class only.
    """
    tp, fp, cuts = cumulative_counts(labels, scores)
    positives, negatives = tp[-1], fp[-1]
    margins = np.sqrt(tp + fp) * np.sqrt(negatives + positives - tp - fp)
    value = np.divide(
        tp * (negatives - fp) - fp * (positives - tp),
        margins * np.sqrt(positives * negatives),
        out=np.zeros_like(tp),
        where=margins > 0,
    )
    tied = np.flatnonzero(value >= value.max() - 1e-12)
    best = int(tied[np.argmin(np.abs(tp[tied] + fp[tied] - positives))])
    if best == cuts.size - 1:
        return float(cuts[best])
    return _between(float(cuts[best + 1]), float(cuts[best]))


def _between(lower: float, upper: float) -> float:
    """Return a threshold in (lower, upper], as a float32 value where one lies there."""
    if not np.isfinite([lower, upper]).all():
        return upper
    with np.errstate(over="ignore"):
        middle = float(np.float32(lower / 2 + upper / 2))
    return middle if lower < middle <= upper else upper
