"""All metrics of one task, or of every task of a network, as a row or a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cistransfer.errors import InputError
from cistransfer.metrics.calibration import (
    brier,
    expected_calibration_error,
    log_loss,
    to_probability,
)
from cistransfer.metrics.curves import (
    aucpr,
    aucpr_interpolated,
    auroc,
    average_precision,
)
from cistransfer.metrics.imbalance import at_imbalance
from cistransfer.metrics.resolved import resolved, why_not_evaluable
from cistransfer.metrics.thresholded import call_metrics, confusion

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DISPLAY", "METRICS", "all_metrics", "display", "per_task_metrics"]

METRICS = (
    "aucpr",
    "average_precision",
    "aucpr_interpolated",
    "aucpr_1to1",
    "aucpr_1to10",
    "auroc",
    "mcc",
    "f1",
    "f1_negative",
    "weighted_f1",
    "precision",
    "recall",
    "accuracy",
    "brier",
    "ece",
    "log_loss",
)
"""The metrics of `all_metrics`, in the order of its keys; ``log_loss``, ``brier`` and ``ece`` are
better when small, all others when large."""

DISPLAY = {
    "aucpr": "AUCPR",
    "average_precision": "average precision",
    "aucpr_interpolated": "AUCPR (interpolated)",
    "aucpr_1to1": "AUCPR at 1:1",
    "aucpr_1to10": "AUCPR at 1:10",
    "auroc": "AUROC",
    "mcc": "MCC",
    "f1": "F1",
    "f1_negative": "F1 of negatives",
    "weighted_f1": "weighted F1",
    "brier": "Brier score",
    "ece": "calibration error (ECE)",
    "log_loss": "log loss",
}
"""Names of metrics as figures print them."""


def display(metric: str) -> str:
    """Name a metric as figures print it."""
    return DISPLAY.get(metric, metric.replace("_", " "))


def all_metrics(
    labels: ArrayLike,
    logits: ArrayLike,
    threshold: float = 0.0,
    temperature: float = 1.0,
) -> dict[str, float | int]:
    """Compute every metric of one task.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
        Rows with -1 (unresolved) are ignored.
    logits : array of float, shape (n,)
        Finite. For scores that are not logits (a motif's occupancy) use the metrics one by one.
    threshold : float
        Call a row positive at ``logit >= threshold``: on the scale of the raw logits, before the
        temperature, so that the two do not depend on each other. Fitted on validation
        (`best_threshold`); 0 is a probability of 0.5.
    temperature : float
        Of the probabilities that ``brier``, ``ece`` and ``log_loss`` judge (`fit_temperature`).

    Returns
    -------
    dict
        ``n``, ``positives`` (int), ``prevalence``, `METRICS`, then ``tp``, ``fp``, ``tn``, ``fn``
        (int), ``threshold`` and ``temperature``. ``aucpr_1to1`` and ``aucpr_1to10`` are what the
        same ranking gives at one and ten negatives a positive (`at_imbalance`).

    Raises
    ------
    InputError
        On logits that are not finite, no resolved rows or one class only.
    """
    truth, values, _ = resolved(labels, logits, finite=True, names=("labels", "logits"))
    probabilities = to_probability(values, temperature)
    calls = confusion(truth, values, threshold)
    row: dict[str, float | int] = {
        "n": int(truth.size),
        "positives": int(truth.sum()),
        "prevalence": float(truth.mean()),
        "aucpr": aucpr(truth, values),
        "average_precision": average_precision(truth, values),
        "aucpr_interpolated": aucpr_interpolated(truth, values),
        "aucpr_1to1": at_imbalance(truth, values, 1),
        "aucpr_1to10": at_imbalance(truth, values, 10),
        "auroc": auroc(truth, values),
        **call_metrics(calls),
        "brier": brier(truth, probabilities),
        "ece": expected_calibration_error(truth, probabilities),
        "log_loss": log_loss(truth, values, temperature),
    }
    row.update({name: int(count) for name, count in calls._asdict().items()})
    row.update(threshold=float(threshold), temperature=float(temperature))
    return row


def _per_task(value: ArrayLike, name: str, tasks: int) -> NDArray[np.float64]:
    array = np.asarray(value, dtype=np.float64)
    if array.ndim > 1 or (array.ndim == 1 and array.size != tasks):
        raise InputError(f"{name}: expected one number or {tasks}, found shape {array.shape}")
    return np.broadcast_to(array, (tasks,))


def per_task_metrics(
    labels: ArrayLike,
    logits: ArrayLike,
    tasks: Sequence[str],
    threshold: ArrayLike = 0.0,
    temperature: ArrayLike = 1.0,
) -> pd.DataFrame:
    """Compute `all_metrics` of every task; a task without both classes says why it has none.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n, tasks)
    logits : array of float, shape (n, tasks)
    tasks : sequence of str
        Names, in the order of the columns.
    threshold, temperature : float or array of shape (tasks,)

    Returns
    -------
    DataFrame
        One row per task: ``task``, the keys of `all_metrics`, ``why`` (empty where evaluable;
        otherwise the metrics are NaN and ``why`` tells the reason).

    Raises
    ------
    InputError
        On wrong shapes, or logits of an evaluable task that are not finite (names the task).
    """
    import pandas as pd

    truth, values = np.asarray(labels), np.asarray(logits)
    if truth.ndim != 2 or truth.shape != values.shape or truth.shape[1] != len(tasks):
        raise InputError(
            f"per_task_metrics: expected labels and logits of shape (n, {len(tasks)}) for "
            f"{len(tasks)} tasks, found {truth.shape} and {values.shape}"
        )
    thresholds = _per_task(threshold, "threshold", len(tasks))
    temperatures = _per_task(temperature, "temperature", len(tasks))
    rows: list[dict[str, object]] = []
    for column, task in enumerate(tasks):
        why = why_not_evaluable(truth[:, column])
        row: dict[str, object] = {"task": task, "why": why}
        if why:
            row["n"] = int((truth[:, column] >= 0).sum())
            row["positives"] = int((truth[:, column] == 1).sum())
        else:
            try:
                row.update(
                    all_metrics(
                        truth[:, column],
                        values[:, column],
                        float(thresholds[column]),
                        float(temperatures[column]),
                    )
                )
            except InputError as error:
                raise InputError(f"task {task}: {error}") from error
        rows.append(row)
    counts = ("tp", "fp", "tn", "fn", "threshold", "temperature")
    columns = ["task", "n", "positives", "prevalence", *METRICS, *counts, "why"]
    return pd.DataFrame(rows, columns=columns)
