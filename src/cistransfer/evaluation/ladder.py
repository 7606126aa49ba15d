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
from cistransfer.metrics.resolved import evaluable
from cistransfer.metrics.thresholded import best_threshold
from cistransfer.motifs.names import motifs_of
from cistransfer.motifs.pwm import PWM

__all__ = ["Rung", "climb"]


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
    logits = np.empty((len(codes), len(data.tasks)), dtype=np.float32)
    thresholds, temperatures = np.zeros(len(data.tasks)), np.ones(len(data.tasks))
    for column, task in enumerate(data.tasks):
        known = motifs_of(task, pwms) if name == "motif" and len(pwms) > 1 else pwms
        labels = np.asarray(data.labels[train, column])
        fitted = fit_baseline(name, train_codes, labels, seed=seed, pwms=known)
        truth = np.asarray(data.labels[valid, column])
        if not evaluable(truth):
            raise InputError(f"{task}: the valid part needs both classes to scale {name!r}")
        held = score_baseline(fitted, valid_codes)
        spread = float(held.std()) or 1.0
        scaled = ((held - held.mean()) / spread).astype(np.float32)
        logits[:, column] = (score_baseline(fitted, codes) - held.mean()) / spread
        thresholds[column] = best_threshold(truth, scaled)
        temperatures[column] = fit_temperature(truth, scaled)
    return Rung(logits, thresholds, temperatures)
