"""The metrics: one row of `METRICS` each, and all of them for a task or for many.

Adding a metric is adding its row here: evaluations compute and write it, ``compare`` takes it by
name, report and summaries show it where ``shown`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.metrics.calibration import (
    brier,
    expected_calibration_error,
    log_loss,
    to_probability,
)
from cistransfer.metrics.curves import (
    at_imbalance,
    aucpr,
    aucpr_interpolated,
    auroc,
    average_precision,
)
from cistransfer.metrics.resolved import resolved, why_not_evaluable
from cistransfer.metrics.thresholded import (
    Confusion,
    accuracy,
    confusion,
    f1,
    f1_negative,
    mcc,
    precision,
    recall,
    weighted_f1,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "METRICS",
    "Metric",
    "all_metrics",
    "display",
    "metric_of",
    "per_task_metrics",
    "small_is_better",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """A metric and all that is to know about it.

    Attributes
    ----------
    name : str
        In files and options.
    label : str
        On axes of figures.
    function : callable(labels, values, weights=None) -> float
        ``labels`` are 1, 0 or -1 (ignored).
    input : {"ranking", "logit", "probability", "call"}
        What ``values`` are: the logits as they are (only their order counts), logits over the
        temperature, probabilities of these, or 1 at and above the threshold and 0 below.
    better : {"high", "low"}
    shown : {"summary", "table", "further"}
        In the summaries on the screen and the report's first table; in the latter only; or in
        the report's table of further numbers.
    short : str
        At the head of a column; ``label`` by default.
    """

    name: str
    label: str
    function: Callable[..., float]
    input: Literal["ranking", "logit", "probability", "call"]
    better: Literal["high", "low"] = "high"
    shown: Literal["summary", "table", "further"] = "further"
    short: str = ""

    @property
    def heading(self) -> str:
        """At the head of a column."""
        return self.short or self.label

    def values(self, logits: ArrayLike, threshold: float, temperature: float) -> Floats:
        """What ``function`` takes, of logits."""
        array = np.asarray(logits, dtype=np.float64)
        if self.input == "logit":
            return array / temperature
        if self.input == "probability":
            return to_probability(array, temperature)
        if self.input == "call":
            if np.isnan(threshold):
                raise InputError("threshold: expected a number, found NaN")
            return (np.asarray(logits) >= threshold).astype(np.float64)
        return array


def _called(function: Callable[[Confusion], float]) -> Callable[..., float]:
    """A metric of yes/no calls that are given as 1 and 0."""

    def metric(labels: ArrayLike, calls: ArrayLike, weights: ArrayLike | None = None) -> float:
        return function(confusion(labels, calls, 0.5, weights))

    return metric


def _log_loss(labels: ArrayLike, logits: ArrayLike, weights: ArrayLike | None = None) -> float:
    return log_loss(labels, logits, 1.0, weights)


_ALL = (
    Metric("aucpr", "AUCPR", aucpr, "ranking", shown="summary"),
    Metric(
        "average_precision", "average precision", average_precision, "ranking", shown="summary",
        short="AP",
    ),
    Metric("aucpr_interpolated", "AUCPR (interpolated)", aucpr_interpolated, "ranking"),
    Metric(
        "aucpr_1to1", "AUCPR at 1:1", partial(at_imbalance, ratio=1), "ranking",
        short="AUCPR 1:1",
    ),
    Metric(
        "aucpr_1to10", "AUCPR at 1:10", partial(at_imbalance, ratio=10), "ranking", shown="table",
        short="AUCPR 1:10",
    ),
    Metric("auroc", "AUROC", auroc, "ranking", shown="summary"),
    Metric("mcc", "MCC", _called(mcc), "call", shown="summary"),
    Metric("f1", "F1", _called(f1), "call", shown="summary"),
    Metric(
        "f1_negative", "F1 of negatives", _called(f1_negative), "call", short="F1 of unbound"
    ),
    Metric("weighted_f1", "weighted F1", _called(weighted_f1), "call"),
    Metric("precision", "precision", _called(precision), "call"),
    Metric("recall", "recall", _called(recall), "call"),
    Metric("accuracy", "accuracy", _called(accuracy), "call"),
    Metric("brier", "Brier score", brier, "probability", "low", shown="table", short="Brier"),
    Metric(
        "ece", "calibration error (ECE)", expected_calibration_error, "probability", "low",
        shown="table", short="ECE",
    ),
    Metric("log_loss", "log loss", _log_loss, "logit", "low"),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""Every metric by name, in the order of tables."""


def metric_of(name: str) -> Metric:
    """The metric of a name."""
    if name not in METRICS:
        raise InputError(f"no metric {name!r}; {nearest(name, METRICS)}")
    return METRICS[name]


def display(name: str) -> str:
    """Name a metric, or another column of a table, as figures print it."""
    return METRICS[name].label if name in METRICS else name.replace("_", " ")


def small_is_better(name: str) -> bool:
    """Whether less of a metric is better; no for what is not known."""
    return name in METRICS and METRICS[name].better == "low"


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
    row: dict[str, float | int] = {
        "n": int(truth.size),
        "positives": int(truth.sum()),
        "prevalence": float(truth.mean()),
    }
    for name, metric in METRICS.items():
        row[name] = float(metric.function(truth, metric.values(values, threshold, temperature)))
    calls = confusion(truth, values, threshold)
    row.update({name: int(count) for name, count in calls._asdict().items()})
    row.update(threshold=float(threshold), temperature=float(temperature))
    return row


def _per_task(value: ArrayLike, name: str, tasks: int) -> Floats:
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
