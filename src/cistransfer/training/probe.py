"""The head in closed form: logistic regression on the frozen features of a network."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from cistransfer.cpus import each, one_thread
from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.metrics.curves import auroc
from cistransfer.models.model import Model, MotifFeatures
from cistransfer.models.score import one_hot, score_features
from cistransfer.training.motifs import folds_of
from cistransfer.training.strategy import Probe

__all__ = ["fit_probe"]

Rows = NDArray[np.int64]

_LEAST_SPREAD = 1e-6
_EQUAL = 1e-9
_BATCH = 512


def fit_probe(
    model: Model, examples: ExampleSet, phase: Probe, *, seed: int
) -> list[dict[str, float]]:
    """Replace the head's weights in place by logistic regression on the training part.

    Parameters
    ----------
    model : Model
        All but its head stays as it is.
    examples : ExampleSet
    phase : Probe
    seed : int
        Of the cross-validation folds.

    Returns
    -------
    list of dict
        What was chosen for each task: ``strength`` and ``motif_scale``.

    Raises
    ------
    InputError
        When a task has fewer than two training examples of a class.
    """
    rows = examples.rows("train")
    features = score_features(model, examples.codes[rows]).astype(np.float64)
    labels = np.asarray(examples.labels[rows])
    n_motifs = 0
    if model.motifs is not None:
        n_motifs = model.motifs.n_features
        if model.motifs.bags:
            bags = _out_of_fold(model.motifs, examples.codes[rows], labels[:, 0], seed)
            features[:, -model.motifs.bags :] = bags
    chosen = []
    head = model.head
    for column, task in enumerate(examples.tasks):
        known = labels[:, column] >= 0
        truth = labels[known, column]
        least = min(int((truth == 1).sum()), int((truth == 0).sum()))
        if least < 2:
            raise InputError(
                f"{task}: a probe needs two training examples of each class, found {least}"
            )
        with one_thread(), _convergence_matters():
            best = _choose(features[known], truth, n_motifs, phase, seed)
            weights, bias = _fit(features[known], truth, n_motifs, **best)
        chosen.append(best)
        with torch.no_grad():
            head.weight[column].copy_(torch.from_numpy(weights))
            head.bias[column] = bias
    return chosen


@contextlib.contextmanager
def _convergence_matters() -> Iterator[None]:
    """Make a regression that does not converge an error, also in other threads (entered once:
    filters of warnings belong to the process)."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        yield


def _out_of_fold(
    motifs: MotifFeatures, codes: NDArray[np.uint8], labels: NDArray[np.int8], seed: int
) -> NDArray[np.float64]:
    """What each training example gets from the versions of motifs that were found without it,
    shape (n, bags)."""
    fold = folds_of(labels, motifs.folds, seed)
    found = np.zeros((len(codes), motifs.bags))
    columns = motifs.n_single + np.arange(motifs.bags) * motifs.folds
    with torch.inference_mode():
        for at in range(0, len(codes), _BATCH):
            batch = torch.from_numpy(np.array(codes[at : at + _BATCH]))
            each = motifs.each(one_hot(batch.to(motifs.get_buffer("odds0").device))).cpu().numpy()
            mine = columns + fold[at : at + _BATCH, None]
            found[at : at + _BATCH] = np.take_along_axis(each, mine, axis=1)
    return found


def _choose(
    features: NDArray[np.float64], truth: NDArray[np.int8], n_motifs: int, phase: Probe, seed: int
) -> dict[str, float]:
    """Strength and motif scale with the best cross-validated AUROC, for each step away from the
    middle ones less ``caution / √examples``."""
    from sklearn.model_selection import RepeatedStratifiedKFold

    rows = _sample(truth, phase.most_rows, seed)
    features, truth = features[rows], truth[rows]
    folds = min(phase.folds, int((truth == 1).sum()), int((truth == 0).sum()))
    repeats = max(1, min(phase.repeats, phase.most_rows // len(truth)))
    cut = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    splits = list(cut.split(features, truth))
    price = phase.caution / len(truth) ** 0.5
    options = [
        (strength, motif_scale, far + off)
        for strength, far in _steps(phase.strengths)
        for motif_scale, off in (_steps(phase.motif_scales) if n_motifs else [(1.0, 0)])
    ]

    def merit_of(task: tuple[tuple[float, float, int], tuple[Rows, Rows]]) -> float:
        (strength, motif_scale, _), (inside, outside) = task
        weights, _ = _fit(features[inside], truth[inside], n_motifs, strength, motif_scale)
        return float(auroc(truth[outside], features[outside] @ weights))

    found = each(merit_of, [(option, split) for option in options for split in splits])
    best, chosen = -math.inf, (1.0, 1.0)
    for number, (strength, motif_scale, steps) in enumerate(options):
        merits = found[number * len(splits) : (number + 1) * len(splits)]
        merit = float(np.mean(merits)) - price * steps
        if merit > best + _EQUAL:
            best, chosen = merit, (strength, motif_scale)
    return {"strength": chosen[0], "motif_scale": chosen[1]}


def _steps(values: Sequence[float]) -> list[tuple[float, int]]:
    """Values in ascending order, each with how many steps it lies from the middle one."""
    return [(value, abs(at - len(values) // 2)) for at, value in enumerate(sorted(values))]


def _sample(truth: NDArray[np.int8], most: int, seed: int) -> NDArray[np.int64]:
    """``most`` rows at random (all if there are fewer), and two of each class in any case."""
    order = np.random.default_rng(seed).permutation(len(truth))
    first = np.concatenate([order[truth[order] == value][:2] for value in (0, 1)])
    return np.concatenate([order[:most], first[~np.isin(first, order[:most])]])


def _fit(
    features: NDArray[np.float64],
    truth: NDArray[np.int8],
    n_motifs: int,
    strength: float,
    motif_scale: float,
) -> tuple[NDArray[np.float64], float]:
    """Weights and bias on raw features.

    Raises
    ------
    InputError
        When the regression does not converge (the penalty is too weak).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    centre, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > _LEAST_SPREAD, spread, np.inf)
    scale[len(scale) - n_motifs :] /= motif_scale
    try:
        fitted = LogisticRegression(C=strength, max_iter=5000).fit(
            (features - centre) / scale, truth
        )
    except ConvergenceWarning as warning:
        raise InputError(
            f"the probe does not converge with strength {strength:g} and motif scale "
            f"{motif_scale:g}; try lower ones"
        ) from warning
    weights = fitted.coef_[0] / scale
    return weights, float(fitted.intercept_[0] - weights @ centre)
