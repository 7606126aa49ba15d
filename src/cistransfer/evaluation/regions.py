"""Compare models by their scores of the same test regions, resampling the regions."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.evaluation.compare import reference_of
from cistransfer.evaluation.results import model_labels
from cistransfer.metrics import calibration, curves, thresholded
from cistransfer.metrics.bootstrap import (
    Metric,
    bootstrap_values,
    percentile_interval,
    region_blocks,
)
from cistransfer.metrics.imbalance import at_imbalance, imbalance_weights
from cistransfer.metrics.resolved import evaluable
from cistransfer.metrics.table import METRICS
from cistransfer.progress import bar
from cistransfer.storage import read_json

__all__ = ["compare_regions", "compare_scores"]

Scores = NDArray[np.float64]


def compare_scores(
    labels: ArrayLike,
    scores: Mapping[str, ArrayLike],
    reference: str | None = None,
    metric: Metric = curves.aucpr,
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    blocks: ArrayLike | None = None,
) -> pd.DataFrame:
    """Compare models by their scores of the same rows, resampling the rows (stratified).

    For one model of each kind, where there are no draws to pair: the interval says what another
    sample of test regions would do, not what another training would.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
    scores : mapping of str to array of float, shape (n,)
        Scores by model, on any scale that the metric takes.
    reference : str, optional
        As in `cistransfer.evaluation.compare.compare`.
    metric : callable(labels, scores, weights=...) -> float
    draws, level, seed
        Of the bootstrap.
    blocks : array of int, shape (n,), optional
        Resample whole blocks of rows (`cistransfer.metrics.bootstrap.region_blocks`).

    Returns
    -------
    DataFrame
        ``strategy``, ``value``, ``low``, ``high``, then ``difference``, ``difference_low``,
        ``difference_high`` against the reference (empty for the reference itself).
    """
    reference = reference_of(list(scores), reference)
    found = bootstrap_values(labels, scores, metric, draws=draws, seed=seed, blocks=blocks)
    base, base_values = found[reference]
    rows = []
    for name, (value, values) in found.items():
        own = percentile_interval(value, values, level)
        row = {"strategy": name, "value": value, "low": own.low, "high": own.high}
        if name != reference:
            gap = percentile_interval(value - base, values - base_values, level)
            row.update(difference=gap.estimate, difference_low=gap.low, difference_high=gap.high)
        rows.append(row)
    gaps = ["difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=["strategy", "value", "low", "high", *gaps])


def _weighted_imbalance(ratio: float) -> Metric:
    def metric(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
        if weights is None:
            return at_imbalance(labels, scores, ratio)
        # stratified draws keep both totals, so the class weights stay what they are
        mass = imbalance_weights(np.asarray(labels).astype(np.int8), ratio) * np.asarray(weights)
        return curves.aucpr(labels, scores, mass)

    return metric


def _metric(name: str) -> tuple[Metric, Callable[[Scores, float, float], Scores]]:
    """Return a metric with weights, and how its input follows from logits.

    The second function takes logits, threshold and temperature.
    """
    ranked: dict[str, Metric] = {
        "aucpr": curves.aucpr,
        "average_precision": curves.average_precision,
        "aucpr_interpolated": curves.aucpr_interpolated,
        "auroc": curves.auroc,
        "aucpr_1to1": _weighted_imbalance(1),
        "aucpr_1to10": _weighted_imbalance(10),
    }
    judged: dict[str, Metric] = {
        "brier": calibration.brier,
        "ece": calibration.expected_calibration_error,
    }
    if name in ranked:
        return ranked[name], lambda logits, threshold, temperature: logits
    if name in judged:
        return judged[name], lambda logits, threshold, temperature: calibration.to_probability(
            logits, temperature
        )
    if name == "log_loss":
        return (
            lambda labels, scores, weights: calibration.log_loss(labels, scores, 1.0, weights),
            lambda logits, threshold, temperature: logits / temperature,
        )
    if name in METRICS:
        return (
            lambda labels, scores, weights: thresholded.call_metrics(
                thresholded.confusion(labels, scores, 0.0, weights)
            )[name],
            lambda logits, threshold, temperature: np.where(logits >= threshold, 1.0, -1.0),
        )
    raise InputError(f"no metric {name!r}; {nearest(name, METRICS)}")


def compare_regions(
    folder: str | os.PathLike[str],
    metric: str = "aucpr",
    reference: str | None = None,
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    by_blocks: bool = False,
) -> pd.DataFrame:
    """Compare the models of an evaluation folder on its test regions, task by task.

    Parameters
    ----------
    folder : path
        Of ``cistransfer evaluate``: ``metrics.json`` and ``predictions.parquet``.
    metric : str
        One of `cistransfer.metrics.table.METRICS`. Thresholds and temperatures are those that the
        models fitted on their validation regions.
    reference, draws, level, seed
        As in `compare_scores`.
    by_blocks : bool
        Resample blocks of neighbouring regions, not single ones.

    Returns
    -------
    DataFrame
        ``tf`` and the columns of `compare_scores`; tasks without both classes are left out.

    Raises
    ------
    InputError
        When files or columns are missing, or there is only one model.
    """
    place = Path(folder)
    content = read_json(place / "metrics.json")
    path = place / "predictions.parquet"
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    measure, transform = _metric(metric)
    table = pd.read_parquet(path)
    names = model_labels(content["models"])
    if len(set(names.values())) < len(names):  # folds: each is a model of its own here
        names = {name: name for name in names}
    reference = reference_of(list(names.values()), reference)
    blocks = None
    if by_blocks:
        blocks = region_blocks(_column(table, "chrom", path), _column(table, "start", path))
    frames = []
    tasks = [task for task in content["tasks"] if evaluable(_column(table, f"label {task}", path))]
    with bar("resampling regions", len(tasks)) as running:
        for task in tasks:
            scores = {}
            for model in content["models"]:
                values: dict[str, Any] = model["metrics"].get(task) or {}
                logits = _column(table, f"{model['name']} {task}", path).astype(np.float64)
                threshold, temperature = values.get("threshold"), values.get("temperature")
                scores[names[model["name"]]] = transform(
                    logits,
                    0.0 if threshold is None else float(threshold),
                    1.0 if temperature is None else float(temperature),
                )
            found = compare_scores(
                _column(table, f"label {task}", path),
                scores,
                reference,
                measure,
                draws=draws,
                level=level,
                seed=seed,
                blocks=blocks,
            )
            found.insert(0, "tf", task)
            frames.append(found)
            running.advance()
    if not frames:
        raise InputError(f"{place}: no task has both positives and negatives")
    return pd.concat(frames, ignore_index=True)


def _column(table: pd.DataFrame, name: str, path: Path) -> NDArray[Any]:
    if name not in table.columns:
        raise InputError(f"{path}: expected a column {name!r}; {nearest(name, table.columns)}")
    return table[name].to_numpy()
