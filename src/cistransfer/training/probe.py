"""The head in closed form: logistic regression on the frozen features of a network."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.models.motif_features import WithMotifs
from cistransfer.models.score import score_features
from cistransfer.training.strategy import Probe

__all__ = ["fit_probe"]

_LEAST_SPREAD = 1e-6


def fit_probe(model: nn.Module, examples: ExampleSet, phase: Probe, *, seed: int) -> list[float]:
    """Replace the head's weights in place by logistic regression on the training part.

    Parameters
    ----------
    model : nn.Module
        Has ``features`` and a linear ``head``; all but the head stays as it is.
    examples : ExampleSet
    phase : Probe
    seed : int
        Of the cross-validation folds.

    Returns
    -------
    list of float
        The chosen strength (C) of each task.

    Raises
    ------
    InputError
        When a task has fewer than two training examples of a class.
    """
    rows = examples.rows("train")
    features = score_features(model, examples.codes[rows]).astype(np.float64)
    labels = np.asarray(examples.labels[rows])
    n_motifs = len(model.motifs.widths) if isinstance(model, WithMotifs) else 0
    chosen = []
    head = model.head
    assert isinstance(head, nn.Linear)
    for column, task in enumerate(examples.tasks):
        known = labels[:, column] >= 0
        truth = labels[known, column]
        least = min(int((truth == 1).sum()), int((truth == 0).sum()))
        if least < 2:
            raise InputError(
                f"{task}: a probe needs two training examples of each class, found {least}"
            )
        weights, bias, strength = _logistic(features[known], truth, n_motifs, phase, seed)
        chosen.append(strength)
        with torch.no_grad():
            head.weight[column].copy_(torch.from_numpy(weights))
            head.bias[column] = bias
    return chosen


def _logistic(
    features: NDArray[np.float64], truth: NDArray[np.int8], n_motifs: int, phase: Probe, seed: int
) -> tuple[NDArray[np.float64], float, float]:
    """Weights and bias on raw features, and the strength that cross-validation chose."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    centre, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > _LEAST_SPREAD, spread, np.inf)
    standard = (features - centre) / scale
    folds = min(phase.folds, int((truth == 1).sum()), int((truth == 0).sum()))
    splits = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(standard, truth))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        trials = []
        for motif_scale in phase.motif_scales if n_motifs else (1.0,):
            factor = np.ones(standard.shape[1])
            factor[standard.shape[1] - n_motifs :] = motif_scale
            scaled = standard * factor
            for strength in phase.strengths:
                total = 0.0
                for inside, outside in splits:
                    fitted = LogisticRegression(C=strength, max_iter=5000).fit(
                        scaled[inside], truth[inside]
                    )
                    logits = fitted.decision_function(scaled[outside])
                    total += np.logaddexp(0, np.where(truth[outside] == 1, -logits, logits)).sum()
                trials.append((total, strength, motif_scale))
        _, strength, motif_scale = min(trials)
        scale = scale / np.where(np.arange(len(scale)) < len(scale) - n_motifs, 1, motif_scale)
        best = LogisticRegression(C=strength, max_iter=5000).fit((features - centre) / scale, truth)
    weights = best.coef_[0] / scale
    return weights, float(best.intercept_[0] - weights @ centre), strength
