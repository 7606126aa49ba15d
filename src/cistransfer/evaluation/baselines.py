"""Everything that a model has to beat, by name: fitted on train, scaled on valid."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cistransfer.baselines.registry import BASELINES as FITTED
from cistransfer.baselines.registry import fit_baseline, score_baseline
from cistransfer.errors import InputError, nearest
from cistransfer.examples.dataset import ExampleSet
from cistransfer.metrics.calibration import fit_temperature
from cistransfer.metrics.curves import auroc
from cistransfer.metrics.resolved import evaluable
from cistransfer.metrics.thresholded import best_threshold
from cistransfer.models.bundle import Bundle
from cistransfer.models.score import choose_device, score_codes
from cistransfer.motifs.names import given_motifs, motif_tfs, motifs_of
from cistransfer.motifs.pwm import PWM
from cistransfer.relatives.modes import BindingModes
from cistransfer.relatives.read_modes import published_modes
from cistransfer.training.finetune import finetune

__all__ = [
    "BASELINES",
    "PROTOCOLS",
    "TRAINED",
    "Scored",
    "ensemble",
    "mode_motifs",
    "needs_trunk",
    "score_by",
    "score_model",
    "sibling",
]

PROTOCOLS = {"own": "both", "published": "forward"}
"""Strands that are scored: a model's own way, or as Novakovsky et al. 2021 test."""

_ABOVE_ONE_HALF = float(np.nextafter(np.float32(0), np.float32(1)))
"""The least logit that is called as published: their rounding makes a probability of 0.5 a 0."""


@dataclass(frozen=True)
class _Trained:
    summary: str
    strategy: str
    needs_trunk: bool
    motifs: bool = False


TRAINED: dict[str, _Trained] = {
    "probe": _Trained("logistic regression on the trunk's frozen features", "probe", True),
    "stack": _Trained(
        "the default strategy: features and motifs in one logistic regression",
        "finetune",
        True,
        motifs=True,
    ),
    "scratch": _Trained("the network trained from random weights", "scratch", False),
}
"""Baselines that are strategies: trained as ``cistransfer finetune --strategy`` would."""

BASELINES: dict[str, str] = {
    **{name: entry.summary for name, entry in FITTED.items()},
    **{name: entry.summary for name, entry in TRAINED.items()},
}
"""What `score_by` knows, in words; `sibling` comes beside it where there is a trunk."""


@dataclass(frozen=True)
class Scored:
    """Scores of n examples by a model or a baseline, on the scale of logits.

    Attributes
    ----------
    logits : ndarray of float32, shape (n, tasks)
        Of a baseline standardised on the validation part; the ranking is its own.
    thresholds, temperatures : ndarray of float64, shape (tasks,)
        Fitted on the validation part.
    fitted : tuple of str
        What a baseline fitted for each task, in words.
    """

    logits: NDArray[np.float32]
    thresholds: NDArray[np.float64]
    temperatures: NDArray[np.float64]
    fitted: tuple[str, ...] = ()


def score_model(
    bundle: Bundle,
    codes: NDArray[np.uint8],
    columns: Sequence[int] | None = None,
    *,
    protocol: str = "own",
    device: str = "auto",
    tick: Callable[[int], None] | None = None,
) -> Scored:
    """Score sequences with a trained model.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, window)
    columns : sequence of int, optional
        Outputs to keep; by default all.
    protocol : {"own", "published"}
        ``"own"``: the mean of both strands, with the threshold and the temperature that the bundle
        fitted on validation; ``"published"``: the forward strand, called above a probability of
        0.5 (of exactly 0.5 not, as their rounding has it), without a temperature.
    tick : callable, optional
        Told the number of sequences after each batch.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"no protocol {protocol!r}; there are: {', '.join(PROTOCOLS)}")
    kept = list(range(len(bundle.tasks)) if columns is None else columns)
    model = bundle.model.to(choose_device(device))
    logits = score_codes(model, codes, strands=PROTOCOLS[protocol], tick=tick)[:, kept]
    if protocol == "published":
        return Scored(logits, np.full(len(kept), _ABOVE_ONE_HALF), np.ones(len(kept)))
    return Scored(logits, bundle.thresholds[kept], bundle.temperatures[kept])


def needs_trunk(name: str) -> bool:
    """Whether a baseline reads a trunk (and what it has seen counts as seen)."""
    return name in TRAINED and TRAINED[name].needs_trunk


def score_by(
    name: str,
    data: ExampleSet,
    codes: NDArray[np.uint8],
    *,
    pwms: Sequence[PWM] = (),
    modes: BindingModes | None = None,
    trunk: Bundle | None = None,
    seed: int = 0,
    device: str = "auto",
    protocol: str = "own",
) -> Scored:
    """Fit a baseline on the training part of every task and score sequences.

    Parameters
    ----------
    name : str
        A key of `BASELINES`.
    codes : ndarray of uint8, shape (n, window)
        What to score.
    pwms : sequence of PWM
        Known motifs; each task's own are chosen by name.
    modes : BindingModes, optional
        Whose motifs ``mode-motif`` may choose among; by default the motifs are clustered.
    trunk : Bundle, optional
        What ``probe`` and ``stack`` start from; ``scratch`` takes its architecture.
    seed : int
        Of fits and trainings.
    device : str
        Where networks train.
    protocol : str
        As in `score_model`.

    Raises
    ------
    InputError
        For an unknown baseline, missing motifs or trunk, or a part with one class only.
    """
    if name not in BASELINES:
        hint = "; give --trunk for it" if name == "sibling" else f"; {nearest(name, BASELINES)}"
        raise InputError(f"no baseline {name!r}{hint}")
    if name in TRAINED:
        return _train(name, data, codes, pwms, trunk, seed, device, protocol)
    candidates = _candidates(name, pwms, modes)
    train, valid = data.rows("train"), data.rows("valid")
    train_codes, valid_codes = np.asarray(data.codes[train]), np.asarray(data.codes[valid])
    scores, held, words = [], [], []
    for column, task in enumerate(data.tasks):
        labels = np.asarray(data.labels[train, column])
        fitted = fit_baseline(name, train_codes, labels, seed=seed, pwms=candidates(task))
        scores.append(score_baseline(fitted, codes))
        held.append(score_baseline(fitted, valid_codes))
        words.append(fitted.describe())
    return _scaled(name, data, np.stack(scores, axis=1), np.stack(held, axis=1), words)


def mode_motifs(tf: str, pwms: Sequence[PWM], modes: BindingModes | None = None) -> list[PWM]:
    """Motifs of the other TFs of a TF's binding mode, none of them its own.

    Parameters
    ----------
    pwms : sequence of PWM
        Motifs to choose among; a heterodimer's counts for both partners, so one with the TF in it
        is its own.
    modes : BindingModes, optional
        By default the motifs are clustered (`cistransfer.relatives.read_modes.published_modes`); a
        motif is then of the mode that it was clustered into, whatever else its TF binds.

    Raises
    ------
    InputError
        When the TF has no mode, or nobody else in it has a motif.
    """
    if modes is None:
        modes = published_modes(pwms)
    own = modes.of(tf)
    if not own:
        raise InputError(
            f"baseline mode-motif: {modes.source} has no binding mode of {tf!r}; "
            f"{nearest(tf.upper(), modes.names())}"
        )
    if modes.profiles:
        pool = [
            pwm
            for pwm, mode in zip(modes.profiles, modes.profile_modes, strict=True)
            if mode in own
        ]
    else:
        members = {name for mode in own for name in modes.groups[mode]}
        pool = [pwm for pwm in pwms if members & set(motif_tfs(pwm))]
    found = [pwm for pwm in pool if tf.upper() not in motif_tfs(pwm)]
    if not found:
        shown = ", ".join(sorted(modes.title(mode) for mode in own))
        raise InputError(
            f"baseline mode-motif: no motif of another TF in the binding mode of {tf} ({shown}); "
            "leave it out, or name wider binding modes (--modes)"
        )
    return found


def _candidates(
    name: str, pwms: Sequence[PWM], modes: BindingModes | None
) -> Callable[[str], Sequence[PWM]]:
    """Which motifs a baseline may use for a task."""
    if name == "mode-motif":
        if len(pwms) < 2 and (modes is None or not modes.profiles):
            raise InputError(
                f"baseline mode-motif chooses among the motifs of many TFs, found {len(pwms)}; "
                "name a file of them (--motifs)"
            )
        known = modes if modes is not None else published_modes(pwms)
        return lambda task: mode_motifs(task, pwms, known)
    if name == "motif" and len(pwms) > 1:
        return lambda task: motifs_of(task, pwms)
    return lambda task: pwms


def _train(
    name: str,
    data: ExampleSet,
    codes: NDArray[np.uint8],
    pwms: Sequence[PWM],
    trunk: Bundle | None,
    seed: int,
    device: str,
    protocol: str,
) -> Scored:
    """Train a strategy on the examples, in a folder that is thrown away."""
    entry = TRAINED[name]
    if entry.needs_trunk and trunk is None:
        raise InputError(f"baseline {name!r} reads a trunk's features; name the trunk (--trunk)")
    motifs = given_motifs(data.tasks[0], pwms).pwms if len(pwms) else ()
    with tempfile.TemporaryDirectory(prefix="cistransfer-baseline-") as folder:
        bundle = finetune(
            Path(folder) / "run",
            data,
            trunk,
            strategy=entry.strategy,
            motifs=motifs if entry.motifs else (),
            guard="off",  # whoever evaluates has counted what the trunk has seen
            seed=seed,
            device=device,
        )
        found = score_model(bundle, codes, protocol=protocol, device=device)
        return replace(found, fitted=(entry.summary,) * len(data.tasks))


def sibling(
    trunk: Bundle, data: ExampleSet, codes: NDArray[np.uint8], *, protocol: str = "own"
) -> tuple[Scored, list[str]]:
    """Score with the trunk's own outputs: the task's, or the one that ranks its training part best.

    Nothing is trained; the only choice made on the training part is which output to read. Scaled
    on the validation part as other baselines, but for the published ``protocol``.

    Returns
    -------
    scored : Scored
    chosen : list of str
        The output read for each task.
    """
    rows = data.rows("train")
    trained = score_codes(trunk.model, np.asarray(data.codes[rows]))
    chosen = []
    for column, task in enumerate(data.tasks):
        labels = np.asarray(data.labels[rows, column])
        if task in trunk.tasks:
            chosen.append(task)
            continue
        if not evaluable(labels):
            raise InputError(
                f"{task}: the training part needs bound and unbound examples: by them the trunk's "
                "output that fits best (sibling) is chosen"
            )
        merits = [auroc(labels, trained[:, output]) for output in range(trained.shape[1])]
        chosen.append(trunk.tasks[int(np.argmax(merits))])
    columns = [trunk.tasks.index(name) for name in chosen]
    words = [f"the trunk's output for {name}" for name in chosen]
    if protocol == "published":
        own = score_model(trunk, codes, columns, protocol=protocol)
        return replace(own, fitted=tuple(words)), chosen
    valid = np.asarray(data.codes[data.rows("valid")])
    scores = score_codes(trunk.model, codes)[:, columns]
    held = score_codes(trunk.model, valid)[:, columns]
    return _scaled("sibling", data, scores, held, words), chosen


def _scaled(
    name: str,
    data: ExampleSet,
    scores: NDArray[np.floating],
    held: NDArray[np.floating],
    words: Sequence[str],
) -> Scored:
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
    logits = ((scores - centre) / spread).astype(np.float32)
    return Scored(logits, thresholds, temperatures, tuple(words))


def ensemble(
    logits: Sequence[NDArray[np.float32]],
    thresholds: Sequence[NDArray[np.float64]],
    temperatures: Sequence[NDArray[np.float64]],
) -> Scored:
    """Average models: the mean of their calibrated logits, called at the mean of their thresholds.

    Each model's logits and threshold are divided by its own temperature, so nothing is fitted
    here and no model counts more for being overconfident.
    """
    shares = [
        (values / temperature, threshold / temperature)
        for values, threshold, temperature in zip(logits, thresholds, temperatures, strict=True)
    ]
    mean = np.mean([values for values, _ in shares], axis=0).astype(np.float32)
    cut = np.mean([threshold for _, threshold in shares], axis=0)
    return Scored(mean, cut, np.ones_like(cut), (f"mean of {len(shares)} folds",) * len(cut))
