"""How sure metrics and differences of models are, given the test regions (resampled).

`cistransfer.metrics.bootstrap` says which bootstrap is which.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.evaluation.results import INTERVALS, open_evaluation
from cistransfer.evaluation.tidy import reference_of
from cistransfer.metrics.bootstrap import (
    LEAST_BLOCKS,
    bootstrap_values,
    percentile_interval,
    region_blocks,
)
from cistransfer.metrics.curves import aucpr
from cistransfer.metrics.resolved import evaluable
from cistransfer.metrics.table import metric_of
from cistransfer.progress import bar
from cistransfer.storage import read_table

__all__ = ["aucpr_intervals", "compare_regions", "compare_scores"]


def aucpr_intervals(
    regions: pd.DataFrame,
    labels: NDArray[np.int8],
    logits: Mapping[str, NDArray[np.float32]],
    *,
    draws: int = 1000,
) -> pd.DataFrame:
    """Intervals of the AUCPR of every model and task, on the same resamples for all models.

    Parameters
    ----------
    regions : DataFrame
        Region table of n examples.
    labels : ndarray of int8, shape (n, tasks)
    logits : mapping of str to ndarray, shape (n, tasks)
        By model.
    draws : int
        0 for none.

    Returns
    -------
    DataFrame
        `INTERVALS`, one row for each model and task, models first; empty where a task has not
        both classes, and for blocks where there are fewer than `LEAST_BLOCKS` of them.
    """
    blocks = region_blocks(regions["chrom"].to_numpy(), regions["start"].to_numpy())
    n_tasks = labels.shape[1]
    ends = np.full((len(logits), n_tasks, len(INTERVALS)), np.nan)
    for task in range(n_tasks) if draws else ():
        truth = labels[:, task]
        if not evaluable(truth):
            continue
        scores = {name: values[:, task] for name, values in logits.items()}
        enough = len(np.unique(blocks[truth >= 0])) >= LEAST_BLOCKS
        for first, given in ((0, None), *(((2, blocks),) if enough else ())):
            found = bootstrap_values(truth, scores, draws=draws, blocks=given)
            for model, (value, values) in enumerate(found.values()):
                ends[model, task, first : first + 2] = percentile_interval(value, values)[1:]
    return pd.DataFrame(ends.reshape(-1, len(INTERVALS)), columns=list(INTERVALS))


def compare_scores(
    labels: ArrayLike,
    scores: Mapping[str, ArrayLike],
    reference: str | None = None,
    metric: Callable[..., float] = aucpr,
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
    found = open_evaluation(place)
    path = place / "predictions.parquet"
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    measure = metric_of(metric)
    table = read_table(path)
    names = found.labels
    if len(set(names.values())) < len(names):  # folds: each is a model of its own here
        names = {name: name for name in names}
    reference = reference_of(list(names.values()), names.get(reference or "", reference))
    blocks = None
    if by_blocks:
        blocks = region_blocks(_column(table, "chrom", path), _column(table, "start", path))
    frames = []
    tasks = [task for task in found.tasks if evaluable(_column(table, f"label {task}", path))]
    with bar("resampling regions", len(tasks)) as running:
        for task in tasks:
            scores = {}
            for model in found.models:
                score = model.tasks.get(task)
                threshold = None if score is None else score.threshold
                temperature = None if score is None else score.temperature
                scores[names[model.name]] = measure.values(
                    _column(table, f"{model.name} {task}", path),
                    0.0 if threshold is None else threshold,
                    1.0 if temperature is None else temperature,
                )
            compared = compare_scores(
                _column(table, f"label {task}", path),
                scores,
                reference,
                measure.function,
                draws=draws,
                level=level,
                seed=seed,
                blocks=blocks,
            )
            compared.insert(0, "tf", task)
            frames.append(compared)
            running.advance()
    if not frames:
        raise InputError(f"{place}: no task has both positives and negatives")
    return pd.concat(frames, ignore_index=True)


def _column(table: pd.DataFrame, name: str, path: Path) -> NDArray[Any]:
    if name not in table.columns:
        raise InputError(f"{path}: expected a column {name!r}; {nearest(name, table.columns)}")
    return table[name].to_numpy()
