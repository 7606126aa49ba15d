"""One evaluation out of several whose test parts differ: cross-validation."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from cistransfer.errors import InputError
from cistransfer.evaluation.baselines import Scored
from cistransfer.evaluation.results import Evaluation, open_evaluation
from cistransfer.evaluation.runs import DRAWS, measured, open_predictions, write_evaluation

__all__ = ["pool_evaluations"]


def pool_evaluations(
    folder: str | os.PathLike[str],
    evaluations: Sequence[str | os.PathLike[str]],
) -> Evaluation:
    """Pool what models of one kind said of test parts that have no region in common.

    Every region is scored by the model that did not learn from it. Logits of different fits are
    divided by each one's own temperature before they stand beside each other, and are called at
    a probability of one half; so are those of the baselines, which were fitted in every fold too.

    Parameters
    ----------
    folder : path
        Receives what `cistransfer.evaluation.runs.evaluate_runs` writes.
    evaluations : sequence of path
        Folders that `evaluate_runs` wrote, with the same rows and tasks.

    Returns
    -------
    Evaluation
        Its rows name no run: no model of theirs has made all the predictions.

    Raises
    ------
    InputError
        When rows or tasks differ, or a region is in two test parts (the places are named).
    """
    each = [open_evaluation(place) for place in evaluations]
    first = each[0]
    names = [model.name for model in first.models]
    for place, one in zip(evaluations, each, strict=True):
        if [model.name for model in one.models] != names or one.tasks != first.tasks:
            raise InputError(f"{place}: its models or tasks are not those of {evaluations[0]}")
    tables = [open_predictions(place) for place in evaluations]
    together = pd.concat(tables, ignore_index=True)
    regions = together[["chrom", "start", "end"]]
    twice = regions.duplicated()
    if twice.any():
        chrom, start, end = regions[twice].iloc[0]
        raise InputError(f"{chrom}:{start}-{end} is in the test parts of two evaluations")
    known = together[[f"label {task}" for task in first.tasks]].to_numpy()
    if not np.isin(known, (-1, 0, 1)).all():
        raise InputError(f"{folder}: predictions with other labels than 1, 0 and -1")
    labels = known.astype(np.int8)
    n_tasks = len(first.tasks)
    scored = {}
    for name in names:
        parts = []
        for table, one in zip(tables, each, strict=True):
            temperatures = [
                score.temperature or 1.0 for score in (one[name].tasks[task] for task in one.tasks)
            ]
            logits = table[[f"{name} {task}" for task in one.tasks]].to_numpy(np.float32)
            parts.append(logits / np.asarray(temperatures, dtype=np.float32))
        scored[name] = Scored(np.concatenate(parts), np.zeros(n_tasks), np.ones(n_tasks))
    rows = [
        replace(model, tasks={}, run=None, seen=max(one[model.name].seen for one in each))
        for model in first.models
    ]
    digest = hashlib.sha256("|".join(one.examples for one in each).encode()).hexdigest()
    found = Evaluation(
        examples=f"sha256:{digest}",
        part="test",
        tasks=first.tasks,
        models=tuple(measured(rows, scored, regions, labels, first.tasks, DRAWS)),
        protocol=first.protocol,
    )
    write_evaluation(Path(folder), found, regions, labels, scored)
    return found
