"""The head in closed form: logistic regression on the frozen features of a network."""

from __future__ import annotations

import warnings
from typing import Any

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


def fit_probe(
    model: nn.Module,
    examples: ExampleSet,
    phase: Probe,
    *,
    outputs: NDArray[np.float32] | None = None,
    seed: int,
) -> list[dict[str, Any]]:
    """Replace the head's weights in place by logistic regression on the training part.

    Parameters
    ----------
    model : nn.Module
        Has ``features`` and a linear ``head``; all but the head stays as it is.
    examples : ExampleSet
    phase : Probe
    outputs : ndarray, shape (pre-training tasks, network features), optional
        Weights of the trunk's head, for ``inputs = ["outputs"]``.
    seed : int
        Of the cross-validation folds.

    Returns
    -------
    list of dict
        What was chosen for each task: ``inputs``, ``strength``, ``motif_scale``.

    Raises
    ------
    InputError
        When a task has fewer than two training examples of a class.
    """
    rows = examples.rows("train")
    features = score_features(model, examples.codes[rows]).astype(np.float64)
    labels = np.asarray(examples.labels[rows])
    n_motifs = len(model.motifs.widths) if isinstance(model, WithMotifs) else 0
    maps = _input_maps(phase, outputs, features.shape[1] - n_motifs, n_motifs)
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
        best = _choose(features[known], truth, maps, n_motifs, phase, seed)
        weights, bias = _fit(
            features[known], truth, maps[best["inputs"]], n_motifs, best["motif_scale"],
            best["strength"],
        )  # fmt: skip
        chosen.append(best)
        with torch.no_grad():
            head.weight[column].copy_(torch.from_numpy(weights))
            head.bias[column] = bias
    return chosen


def _input_maps(
    phase: Probe, outputs: NDArray[np.float32] | None, width: int, n_motifs: int
) -> dict[str, NDArray[np.float64] | None]:
    """Linear maps (inputs, features) by name; None is the identity."""
    maps: dict[str, NDArray[np.float64] | None] = {}
    for name in phase.inputs:
        if name == "features":
            maps[name] = None
        elif outputs is not None and outputs.shape[1] == width:
            whole = np.zeros((len(outputs) + n_motifs, width + n_motifs))
            whole[: len(outputs), :width] = outputs
            whole[len(outputs) :, width:] = np.eye(n_motifs)
            maps[name] = whole
    return maps or {"features": None}


def _choose(
    features: NDArray[np.float64],
    truth: NDArray[np.int8],
    maps: dict[str, NDArray[np.float64] | None],
    n_motifs: int,
    phase: Probe,
    seed: int,
) -> dict[str, Any]:
    """Inputs, strength and motif scale with the least cross-validated log loss."""
    from sklearn.model_selection import StratifiedKFold

    rows = np.random.default_rng(seed).permutation(len(truth))[: phase.most_rows]
    features, truth = features[rows], truth[rows]
    folds = min(phase.folds, int((truth == 1).sum()), int((truth == 0).sum()))
    splits = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(features, truth))
    trials = []
    for place, (name, mapping) in enumerate(maps.items()):
        for motif_scale in phase.motif_scales if n_motifs else (1.0,):
            for strength in phase.strengths:
                total = 0.0
                for inside, outside in splits:
                    weights, bias = _fit(
                        features[inside], truth[inside], mapping, n_motifs, motif_scale, strength
                    )
                    logits = features[outside] @ weights + bias
                    total += np.logaddexp(0, np.where(truth[outside] == 1, -logits, logits)).sum()
                trials.append((total, place, strength, motif_scale, name))
    _, _, strength, motif_scale, name = min(trials)
    return {"inputs": name, "strength": strength, "motif_scale": motif_scale}


def _fit(
    features: NDArray[np.float64],
    truth: NDArray[np.int8],
    mapping: NDArray[np.float64] | None,
    n_motifs: int,
    motif_scale: float,
    strength: float,
) -> tuple[NDArray[np.float64], float]:
    """Weights and bias on raw features."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    inputs = features if mapping is None else features @ mapping.T
    centre, spread = inputs.mean(axis=0), inputs.std(axis=0)
    scale = np.where(spread > _LEAST_SPREAD, spread, np.inf)
    scale[len(scale) - n_motifs :] /= motif_scale
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        fitted = LogisticRegression(C=strength, max_iter=5000).fit((inputs - centre) / scale, truth)
    weights = fitted.coef_[0] / scale
    bias = float(fitted.intercept_[0] - weights @ centre)
    return (weights if mapping is None else mapping.T @ weights), bias
