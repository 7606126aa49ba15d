"""The head in closed form: logistic regression on the frozen features of a network.

Unbound regions of the part ``extra`` are learned from as well, weighed so that all unbound ones
together count as much as those of the training part: intercept and probabilities are those of the
training part's share of bound regions, whatever was added.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cistransfer.cpus import one_thread
from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.metrics.curves import auroc
from cistransfer.models.blocks import one_hot
from cistransfer.models.model import Model, MotifFeatures
from cistransfer.models.score import at_once, score_features
from cistransfer.training.motifs import folds_of
from cistransfer.training.prior import HeadPrior
from cistransfer.training.strategy import Probe

__all__ = ["evidence_line", "fit_probe"]

Rows = NDArray[np.int64]
Split = tuple[Rows, Rows]

_LEAST_SPREAD = 1e-6
_EQUAL = 1e-9
_SINGLE = 1e5
"""Of a regression among examples: up to which largest curvature, beside a penalty of 1, its
factorisations are of float32."""
_CONVERGED, _MOST_STEPS, _LEAST_SHARE = 1e-3, 100, 1e-3
"""Largest change of a score (the next would be its square), steps, and share of a step."""
_CERTAIN = 1e-10  # variance of a class that is as good as known

_BATCH = 512
_ROWS = 128  # of two thousand features stay in the cache
_NO_BETTER = ", no better than chance"
_EXTRA_TO_CHOOSE = 200
"""Rows of the part ``extra`` that cross-validation learns from at most; the fit takes all."""
_ALONE = 1.0
"""Inverse penalty of motifs without a network, which are few."""


def fit_probe(
    model: Model,
    examples: ExampleSet,
    phase: Probe,
    *,
    seed: int,
    prior: HeadPrior | None = None,
) -> list[dict[str, Any]]:
    """Replace the head's weights in place by logistic regression on the training part.

    Parameters
    ----------
    model : Model
        All but its head stays as it is.
    examples : ExampleSet
    phase : Probe
    seed : int
        Of the cross-validation folds.
    prior : HeadPrior, optional
        Of the trunk, for phases that want one.

    Returns
    -------
    list of dict
        What was chosen for each task: ``strength`` and ``motif_scale``; and the cross-validated
        AUROC, within the training part, of the trunk's features alone (``trunk``), of the motifs
        alone (``motifs``, None without) and of the head that reads both (``both``), and what
        features that say nothing stay below (``chance``).

    Raises
    ------
    InputError
        When a task has fewer than two training examples of a class.
    """
    rows, n_train = examples.learned_rows(), len(examples.rows("train"))
    codes, labels = examples.codes[rows], np.asarray(examples.labels[rows])
    own = score_features(model, codes, motifs=False)
    beside = _occupancies(model.motifs, codes, labels[:, 0], seed)
    n_motifs = beside.shape[1]
    if phase.prior == "none" or prior is None:
        prior = None
        features = np.concatenate([own, beside], axis=1, dtype=np.float64)
    else:
        features = prior.beside(own, beside)
    chosen = []
    head = model.head
    for column, task in enumerate(examples.tasks):
        known = labels[:, column] >= 0
        truth = labels[known, column]
        n_own = int(known[:n_train].sum())
        least = min(int((truth[:n_own] == value).sum()) for value in (0, 1))
        if least < 2:
            raise InputError(
                f"{task}: a probe needs two training examples of each class, found {least}"
            )
        shown = features if known.all() else features[known]
        data = _Data(shown, truth, n_own, n_motifs, prior)
        with one_thread(), _convergence_matters():
            best, evidence = _choose(data, phase, seed)
            weights, bias = _fit(data, **best)
            weights = weights if prior is None else prior.folded(weights)
        chosen.append({**best, **evidence})
        with torch.no_grad():
            head.weight[column].copy_(torch.from_numpy(weights))
            head.bias[column] = bias
    return chosen


def evidence_line(evidence: Mapping[str, float | None]) -> str:
    """What `fit_probe` found of trunk and motifs, in one line for a person.

    >>> evidence_line({"trunk": 0.61, "motifs": 0.875, "both": 0.88, "chance": 0.63})
    'cross-validated AUROC: trunk 0.61, no better than chance; motifs 0.88; both 0.88'
    """
    chance = evidence.get("chance") or 0.5
    words = []
    for name in ("trunk", "motifs", "both"):
        value = evidence.get(name)
        if value is not None and not (name == "both" and evidence.get("motifs") is None):
            words.append(f"{name} {value:.2f}" + ("" if value > chance else _NO_BETTER))
    return f"cross-validated AUROC: {'; '.join(words)}"


@contextlib.contextmanager
def _convergence_matters() -> Iterator[None]:
    """Make a regression that does not converge an error, also in other threads (entered once:
    filters of warnings belong to the process)."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        yield


def _occupancies(
    motifs: MotifFeatures | None, codes: NDArray[np.uint8], labels: NDArray[np.int8], seed: int
) -> NDArray[np.float32]:
    """What the motifs say of each training example, shape (n, motifs): of those that were found in
    the data, the versions that were found without it."""
    if motifs is None or not motifs.widths:
        return np.zeros((len(codes), 0), dtype=np.float32)
    columns = np.tile(np.arange(motifs.n_features), (len(codes), 1))
    if motifs.bags:
        fold = folds_of(labels, motifs.folds, seed)
        first = motifs.n_single + np.arange(motifs.bags) * motifs.folds
        columns[:, motifs.n_single :] = first + fold[:, None]
    device = motifs.get_buffer("odds0").device
    begins = range(0, len(codes), _BATCH)

    def some(at: int) -> NDArray[np.float32]:
        batch = torch.from_numpy(np.array(codes[at : at + _BATCH]))
        with torch.inference_mode():
            each = motifs.each(one_hot(batch.to(device))).cpu().numpy()
        return np.take_along_axis(each, columns[at : at + _BATCH], axis=1)

    with at_once(device, len(begins)) as run:
        return np.concatenate(list(run(some, begins)))


@dataclass(frozen=True)
class _Data:
    """Examples of one task: ``n_own`` of the training part, then those of the part ``extra``."""

    features: NDArray[np.float64]
    truth: NDArray[np.int8]
    n_own: int
    n_motifs: int = 0
    prior: HeadPrior | None = None

    @property
    def weights(self) -> NDArray[np.float64]:
        """Of each example: all unbound ones together weigh what the training part's own do."""
        unbound = self.truth == 0
        return np.where(unbound, unbound[: self.n_own].sum() / max(unbound.sum(), 1), 1.0)

    def take(self, own: Rows, extra: Rows) -> _Data:
        """Some of both."""
        rows = np.concatenate([own, extra])
        return replace(self, features=self.features[rows], truth=self.truth[rows], n_own=len(own))

    def trunk(self) -> _Data:
        """The features without the motifs."""
        return replace(self, features=self.features[:, : -self.n_motifs], n_motifs=0)

    def motifs(self) -> _Data:
        """The motifs alone, alike."""
        return replace(self, features=self.features[:, -self.n_motifs :], prior=None)


def _choose(data: _Data, phase: Probe, seed: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Strength and motif scale with the best cross-validated AUROC, for each step away from the
    middle ones less ``caution / √examples``; and what each part of the features reaches.

    Rows of the training part are held out in turn; the others are learned from in every fold.
    """
    from sklearn.model_selection import RepeatedStratifiedKFold

    own = _sample(data.truth[: data.n_own], phase.most_rows, seed)
    extra = np.arange(data.n_own, len(data.truth))
    most = min(_EXTRA_TO_CHOOSE, max(phase.most_rows - len(own), 0))
    extra = np.random.default_rng(seed).permutation(extra)[:most]
    truth = data.truth[own]
    folds = min(phase.folds, int((truth == 1).sum()), int((truth == 0).sum()))
    repeats = max(1, min(phase.repeats, phase.most_rows // (len(own) + len(extra))))
    cut = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    splits = list(cut.split(truth[:, None], truth))
    price = phase.caution / len(truth) ** 0.5
    options = [
        (strength, motif_scale, far + off)
        for strength, far in _steps(phase.strengths)
        for motif_scale, off in (_steps(phase.motif_scales) if data.n_motifs else [(1.0, 0)])
    ]

    def merits_of(data: _Data, tried: Sequence[tuple[float, float]], split: Split) -> list[float]:
        inside, outside = own[split[0]], own[split[1]]
        scores = _held_out(data.take(inside, extra), data.features[outside], tried)
        return [float(auroc(data.truth[outside], row)) for row in scores]

    def mean(data: _Data, tried: Sequence[tuple[float, float]]) -> list[float]:
        with at_once(torch.device("cpu"), len(splits)) as run:
            found = list(run(lambda split: merits_of(data, tried, split), splits))
        return np.mean(found, axis=0).tolist()

    alone = [(strength, 0.0) for strength in phase.strengths] if data.n_motifs else []
    merits = mean(data, [*(option[:2] for option in options), *alone])
    best, chosen = -math.inf, 0
    for number, (_, _, steps) in enumerate(options):
        if merits[number] - price * steps > best + _EQUAL:
            best, chosen = merits[number] - price * steps, number
    strength, motif_scale, _ = options[chosen]
    evidence: dict[str, float | None] = {"trunk": merits[chosen], "motifs": None}
    if data.n_motifs:
        evidence["trunk"] = merits[len(options) + phase.strengths.index(strength)]
        evidence["motifs"] = mean(data.motifs(), [(_ALONE, 1.0)])[0]
    return (
        {"strength": strength, "motif_scale": motif_scale},
        {**evidence, "both": merits[chosen], "chance": _chance(truth)},
    )


def _chance(truth: NDArray[np.int8]) -> float:
    """AUROC below which features say nothing that can be told from chance: two and a half standard
    errors of the rank sum of scores that have nothing to do with the classes."""
    bound, unbound = int((truth == 1).sum()), int((truth == 0).sum())
    return 0.5 + 2.5 * math.sqrt((bound + unbound + 1) / (12 * bound * unbound))


def _steps(values: Sequence[float]) -> list[tuple[float, int]]:
    """Values in ascending order, each with how many steps it lies from the middle one."""
    return [(value, abs(at - len(values) // 2)) for at, value in enumerate(sorted(values))]


def _sample(truth: NDArray[np.int8], most: int, seed: int) -> NDArray[np.int64]:
    """``most`` rows at random (all if there are fewer), and two of each class in any case."""
    order = np.random.default_rng(seed).permutation(len(truth))
    first = np.concatenate([order[truth[order] == value][:2] for value in (0, 1)])
    return np.concatenate([order[:most], first[~np.isin(first, order[:most])]])


def _held_out(
    data: _Data, features: NDArray[np.float64], options: Sequence[tuple[float, float]]
) -> Iterator[NDArray[np.float64]]:
    """Scores, up to a constant, of other examples by each strength and motif scale; a scale of 0
    leaves the motifs out.

    With fewer examples than features the regressions are solved among combinations of examples
    (the penalty does not see the rotation), whose products with each other all options share.
    """
    cut = data.features.shape[1] - data.n_motifs
    if len(data.truth) >= data.features.shape[1]:
        for strength, motif_scale in options:
            if motif_scale:
                yield features @ _fit(data, strength, motif_scale)[0]
            else:
                yield features[:, :cut] @ _fit(data.trunk(), strength, 1.0)[0]
        return
    centre, scale = _standard(data)
    inside, outside = (data.features - centre) / scale, (features - centre) / scale
    trunk = [rows[:, :cut] @ inside[:, :cut].T for rows in (inside, outside)]
    motifs = [rows[:, cut:] @ inside[:, cut:].T for rows in (inside, outside)]
    for strength, motif_scale in options:
        within, beside = (
            one + motif_scale**2 * other for one, other in zip(trunk, motifs, strict=True)
        )
        found = _combination(within, data.truth, strength * data.weights)
        if found is None:
            raise _no_convergence(strength, motif_scale)
        yield beside @ found


def _combination(
    products: NDArray[np.float64], truth: NDArray[np.int8], weights: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Weights of a penalised logistic regression as a combination of its examples.

    Newton's method (Rasmussen and Williams 2006, algorithm 3.1; the intercept is not penalised),
    steps halved until they gain: a few factorisations, where L-BFGS takes some hundred passes.
    They may be of float32, for the gradient is exact.

    Parameters
    ----------
    products : ndarray of float64, shape (n, n)
        Of the examples with each other.
    truth : ndarray of int, shape (n,)
    weights : ndarray of float64, shape (n,)
        Of the examples, times the inverse penalty.

    Returns
    -------
    ndarray of float64, shape (n,)
        How much of each example; None if that does not converge.
    """
    from scipy.special import expit

    most = weights.max() * products.diagonal().max()
    kind = torch.float32 if most < _SINGLE else torch.float64
    rough = torch.from_numpy(products).to(kind)
    curved = torch.empty_like(rough)
    sign = np.where(truth == 1, 1.0, -1.0)

    def loss(found: NDArray[np.float64], scores: NDArray[np.float64], constant: float) -> float:
        misses = np.logaddexp(0, -sign * (scores + constant))
        return float(found @ scores / 2 + weights @ misses)

    found, scores, constant = np.zeros(len(truth)), np.zeros(len(truth)), 0.0
    best = loss(found, scores, constant)
    for _ in range(_MOST_STEPS):
        chance = expit(scores + constant)
        curve = np.sqrt(weights * np.maximum(chance * (1 - chance), _CERTAIN))
        as_rough = torch.from_numpy(curve).to(kind)
        torch.mul(rough, as_rough, out=curved).mul_(as_rough[:, None]).diagonal().add_(1)
        # scipy's factorisation would keep other threads waiting
        factor, failed = torch.linalg.cholesky_ex(curved)
        if failed:
            return None
        missing = weights * (truth - chance) - found
        sides = torch.from_numpy(np.stack([missing / curve, curve], axis=1)).to(kind)
        toward, all_alike = (torch.cholesky_solve(sides, factor).numpy() * curve[:, None]).T
        shift = float((toward.sum() + found.sum()) / all_alike.sum())
        step = toward - shift * all_alike
        moved, share = products @ step, 1.0
        while True:
            tried = found + share * step, scores + share * moved, constant + share * shift
            if (value := loss(*tried)) <= best + _EQUAL * abs(best) or share < _LEAST_SHARE:
                break
            share /= 2
        (found, scores, constant), best = tried, value
        if share == 1 and np.abs(moved + shift).max() < _CONVERGED:
            return found
    return None


def _standard(data: _Data) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre of each feature and what it is divided by: its spread, weighted (infinite where there
    is none), over the freedom that it has by the prior."""
    shares = data.weights / data.weights.sum()
    centre = shares @ data.features
    squares = np.zeros(len(centre))
    for at in range(0, len(shares), _ROWS):
        some = data.features[at : at + _ROWS] - centre
        squares += shares[at : at + _ROWS] @ np.square(some, out=some)
    spread = np.sqrt(squares)
    spread = np.where(spread > _LEAST_SPREAD, spread, np.inf)
    if data.prior is not None:
        spread /= data.prior.freedom(data.features, data.truth, spread)
    return centre, spread


def _fit(data: _Data, strength: float, motif_scale: float) -> tuple[NDArray[np.float64], float]:
    """Weights and bias on raw features."""
    centre, scale = _standard(data)
    scale[len(scale) - data.n_motifs :] /= motif_scale
    features = data.features - centre
    features /= scale
    found, bias = _solve(features, data, strength, motif_scale)
    found = found / scale
    return found, bias - float(found @ centre)


def _solve(
    features: NDArray[np.float64], data: _Data, strength: float, motif_scale: float
) -> tuple[NDArray[np.float64], float]:
    """Weights and intercept of a logistic regression of the classes on some features.

    Raises
    ------
    InputError
        When it does not converge (the penalty is too weak).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    try:
        fitted = LogisticRegression(C=strength, max_iter=5000).fit(
            features, data.truth, sample_weight=data.weights
        )
    except ConvergenceWarning as warning:
        raise _no_convergence(strength, motif_scale) from warning
    return fitted.coef_[0], float(fitted.intercept_[0])


def _no_convergence(strength: float, motif_scale: float) -> InputError:
    return InputError(
        f"the probe does not converge with strength {strength:g} and motif scale "
        f"{motif_scale:g}; try lower ones"
    )
