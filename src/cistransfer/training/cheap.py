"""A baseline as a model to hand out: a run folder with a bundle like any other."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cistransfer.baselines.fitted import Fitted
from cistransfer.baselines.gc import GCContent
from cistransfer.baselines.kmer import KmerModel
from cistransfer.baselines.motif import BestMotif
from cistransfer.baselines.registry import BASELINES, fit_baseline
from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.models.bundle import Bundle, open_bundle
from cistransfer.models.card import Architecture
from cistransfer.models.model import Model, MotifFeatures
from cistransfer.models.registry import build_model
from cistransfer.models.score import score_codes
from cistransfer.motifs.pwm import PWM
from cistransfer.training.motifs import motif_facts
from cistransfer.training.run import keep_examples, write_run

__all__ = ["cheap_run"]


def cheap_run(
    folder: str | os.PathLike[str],
    examples: ExampleSet,
    name: str,
    *,
    pwms: Sequence[PWM] = (),
    seed: int = 0,
    facts: Mapping[str, Any] | None = None,
) -> Bundle:
    """Fit a baseline on the training part and write it as a run folder.

    Sequences are ranked as the baseline ranks them; its score becomes a logit by a logistic
    regression on the validation part (Platt 1999).

    Parameters
    ----------
    folder : path
        Receives ``examples/`` and ``bundle/``.
    examples : ExampleSet
        Of one task.
    name : str
        ``motif``, ``mode-motif``, ``denovo``, ``kmer`` or ``gc``
        (`cistransfer.baselines.registry.BASELINES`).
    pwms : sequence of PWM
        Known motifs, for a baseline that needs some.
    seed : int
    facts : mapping, optional
        Further entries of the bundle's card.

    Raises
    ------
    InputError
        When the baseline cannot be a model (``prevalence``, ``lsgkm``) or cannot be fitted.
    """
    if len(examples.tasks) != 1:
        raise InputError(f"a baseline is a model of one task, found {len(examples.tasks)}")
    data = keep_examples(folder, examples)
    rows = data.rows("train")
    labels = np.asarray(data.labels[rows, 0])
    fitted = fit_baseline(name, np.asarray(data.codes[rows]), labels, seed=seed, pwms=pwms)
    model, design, motifs = _model_of(fitted, name, data.window)
    _scale(model, data)
    known = [motif_facts(pwm) for pwm in motifs]
    identity = {"examples": data.content_hash(), "baseline": name, "seed": seed, "given": known}
    run = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    done = Path(folder) / "bundle" / "card.json"
    if done.exists() and (stored := open_bundle(folder)).card.run == run:
        return stored
    said = {
        "run": run,
        "examples": identity["examples"],
        "seed": seed,
        "strategy": {"name": name, "summary": f"{BASELINES[name].summary}: {fitted.describe()}"},
        **(facts or {}),
    }
    return write_run(folder, model, design, data, motifs=known, facts=said)


def _model_of(fitted: Fitted, name: str, window: int) -> tuple[Model, Architecture, list[PWM]]:
    """A model whose logit is the score of a baseline, up to rounding and a positive factor."""
    motifs: list[PWM] = []
    if isinstance(fitted, KmerModel):
        architecture, weights, bias = "words", fitted.weights, fitted.intercept
    elif isinstance(fitted, GCContent):
        architecture, (weights, bias) = "composition", _around_half(fitted)
    elif isinstance(fitted, BestMotif):
        architecture, weights, bias = "constant", np.zeros(1), 0.0
        if fitted.pwm is not None:
            motifs, weights = [fitted.pwm], np.array([0.0, 1.0])
    else:
        raise InputError(f"the baseline {name!r} cannot be written as a model")
    beside = MotifFeatures([len(pwm.probabilities) for pwm in motifs]) if motifs else None
    if beside is not None and isinstance(fitted, BestMotif):
        beside.fill(motifs, fitted.background)
    model = build_model(architecture, window=window, n_tasks=1, seed=0, motifs=beside)
    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(weights)[None])
        model.head.bias.fill_(bias)
    return model.eval(), Architecture(name=architecture), motifs


def _around_half(fitted: GCContent) -> tuple[NDArray[np.float64], float]:
    """Coefficients and intercept for ten times the GC content less one half, and its square."""
    away = 10 * (0.5 - fitted.centre)
    weights = np.array([fitted.linear + 2 * fitted.square * away, fitted.square])
    return weights, fitted.intercept + fitted.linear * away + fitted.square * away**2


def _scale(model: Model, examples: ExampleSet) -> None:
    """Make scores logits in place: slope and intercept of a logistic regression on validation.

    Where the validation part is ranked the wrong way round, the slope is that of scores of
    spread 1: the order of the scores stays.
    """
    from sklearn.linear_model import LogisticRegression

    rows = examples.rows("valid")
    truth = np.asarray(examples.labels[rows, 0])
    scores = score_codes(model, examples.codes[rows])[:, 0].astype(np.float64)
    known = truth >= 0
    centre, spread = scores[known].mean(), scores[known].std() or 1.0
    slope, intercept = 1.0, 0.0
    if len(np.unique(truth[known])) == 2:
        scaled = ((scores[known] - centre) / spread)[:, None]
        found = LogisticRegression().fit(scaled, truth[known])
        if found.coef_[0, 0] > 0:
            slope, intercept = float(found.coef_[0, 0]), float(found.intercept_[0])
    with torch.no_grad():
        model.head.weight.mul_(slope / spread)
        model.head.bias.sub_(centre).mul_(slope / spread).add_(intercept)
