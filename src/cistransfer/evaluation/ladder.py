"""Baselines on the examples of an evaluation: fitted on train, scaled on valid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cistransfer.baselines.registry import fit_baseline, score_baseline
from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.metrics.calibration import fit_temperature
from cistransfer.metrics.curves import auroc
from cistransfer.metrics.resolved import evaluable
from cistransfer.metrics.thresholded import best_threshold
from cistransfer.models.bundle import Bundle
from cistransfer.models.score import score_codes
from cistransfer.motifs.names import motifs_of
from cistransfer.motifs.pwm import PWM

__all__ = ["Rung", "climb", "sibling"]


@dataclass(frozen=True)
class Rung:
    """A baseline's scores of n examples, on the scale of logits.

    Attributes
    ----------
    logits : ndarray of float32, shape (n, tasks)
        Scores, standardised on the validation part; the ranking is the baseline's own.
    thresholds, temperatures : ndarray of float64, shape (tasks,)
        Fitted on the validation part.
    """

    logits: NDArray[np.float32]
    thresholds: NDArray[np.float64]
    temperatures: NDArray[np.float64]


def climb(
    name: str,
    data: ExampleSet,
    codes: NDArray[np.uint8],
    *,
    pwms: Sequence[PWM] = (),
    seed: int = 0,
) -> Rung:
    """Fit a baseline on the training part of every task and score sequences.

    Parameters
    ----------
    name : str
        A key of `cistransfer.baselines.registry.BASELINES`.
    data : ExampleSet
    codes : ndarray of uint8, shape (n, window)
        What to score.
    pwms : sequence of PWM
        Known motifs; each task's own are chosen by name.
    seed : int

    Raises
    ------
    InputError
        For an unknown baseline, missing motifs, or a part with one class only.
    """
    train, valid = data.rows("train"), data.rows("valid")
    train_codes, valid_codes = np.asarray(data.codes[train]), np.asarray(data.codes[valid])
    scores, held = [], []
    for column, task in enumerate(data.tasks):
        known = motifs_of(task, pwms) if name == "motif" and len(pwms) > 1 else pwms
        labels = np.asarray(data.labels[train, column])
        fitted = fit_baseline(name, train_codes, labels, seed=seed, pwms=known)
        scores.append(score_baseline(fitted, codes))
        held.append(score_baseline(fitted, valid_codes))
    return _scaled(name, data, np.stack(scores, axis=1), np.stack(held, axis=1))


def sibling(trunk: Bundle, data: ExampleSet, codes: NDArray[np.uint8]) -> tuple[Rung, list[str]]:
    """Score with the trunk's own outputs: the task's, or the one that ranks its training part best.

    Nothing is trained; the only choice made on the training part is which output to read.

    Returns
    -------
    rung : Rung
    chosen : list of str
        The output read for each task.
    """
    rows = data.rows("train")
    trained = score_codes(trunk.model, np.asarray(data.codes[rows]))
    chosen = []
    for column, task in enumerate(data.tasks):
        labels = np.asarray(data.labels[rows, column])
        merits = [auroc(labels, trained[:, output]) for output in range(trained.shape[1])]
        best = trunk.tasks[int(np.argmax(merits))]
        chosen.append(task if task in trunk.tasks else best)
    columns = [trunk.tasks.index(name) for name in chosen]
    valid = np.asarray(data.codes[data.rows("valid")])
    scores = score_codes(trunk.model, codes)[:, columns]
    held = score_codes(trunk.model, valid)[:, columns]
    return _scaled("sibling", data, scores, held), chosen


def _scaled(
    name: str, data: ExampleSet, scores: NDArray[np.floating], held: NDArray[np.floating]
) -> Rung:
    """Standardise scores on the validation part and fit thresholds and temperatures there."""
    rows = data.rows("valid")
    centre, spread = held.mean(axis=0), held.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    thresholds, temperatures = np.zeros(len(data.tasks)), np.ones(len(data.tasks))
    for column, task in enumerate(data.tasks):
        truth = np.asarray(data.labels[rows, column])
        if not evaluable(truth):
            raise InputError(f"{task}: the valid part needs both classes to scale {name!r}")
        scaled = ((held[:, column] - centre[column]) / spread[column]).astype(np.float32)
        thresholds[column] = best_threshold(truth, scaled)
        temperatures[column] = fit_temperature(truth, scaled)
    return Rung(((scores - centre) / spread).astype(np.float32), thresholds, temperatures)
