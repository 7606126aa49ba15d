"""One training run: examples, a start and a strategy in; a bundle and its record out."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet, counts, open_examples, save_examples
from cistransfer.examples.holdout import EXTRA
from cistransfer.genome.seen import distinct_fingerprints, union
from cistransfer.metrics.calibration import fit_temperature
from cistransfer.metrics.curves import rank_metrics
from cistransfer.metrics.resolved import evaluable
from cistransfer.metrics.thresholded import best_threshold
from cistransfer.models.bundle import BUNDLE, Bundle, open_bundle, save_bundle
from cistransfer.models.card import Architecture
from cistransfer.models.model import Model, MotifFeatures
from cistransfer.models.registry import build_model, describe_architecture
from cistransfer.models.score import choose_device, score_codes
from cistransfer.motifs.pwm import PWM
from cistransfer.storage import check_folder
from cistransfer.tables import write_tsv
from cistransfer.training.freeze import copy_transferred
from cistransfer.training.initialise import choose_filters, initialise_filters
from cistransfer.training.loop import choose_precision, fit
from cistransfer.training.motifs import choose_motifs, motif_facts
from cistransfer.training.prior import HeadPrior
from cistransfer.training.strategy import Strategy

__all__ = [
    "TRAINER",
    "fit_on_validation",
    "keep_examples",
    "merge_regions",
    "train_run",
    "write_run",
]

_EXAMPLE_ROWS = 8
Trainer = Callable[..., list[dict[str, Any]]]
TRAINER: ContextVar[Trainer | None] = ContextVar("trainer", default=None)
"""What trains instead of `cistransfer.training.loop.fit`, and as it is called: a study's trials
that are trained as one network meet in it."""


def keep_examples(folder: str | os.PathLike[str], examples: ExampleSet) -> ExampleSet:
    """Store examples in ``folder/examples``, or check that those stored there are identical.

    Returns
    -------
    ExampleSet
        The stored set (memory-mapped).

    Raises
    ------
    InputError
        When the folder holds a run on other examples, or these have one class only.
    """
    place = Path(folder) / "examples"
    if place.exists():
        stored = open_examples(place)
        if stored.content_hash() != examples.content_hash():
            raise InputError(
                f"{folder}: holds a run on other examples; choose another folder, or remove it"
            )
        return stored
    _check_validation(examples)
    save_examples(place, examples)
    return open_examples(place)


def train_run(
    folder: str | os.PathLike[str],
    examples: ExampleSet,
    strategy: Strategy,
    *,
    trunk: Bundle | None = None,
    architecture: str = "cnn",
    arguments: dict[str, Any] | None = None,
    motifs: Sequence[PWM] = (),
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    facts: Mapping[str, Any] | None = None,
) -> Bundle:
    """Train a model on examples and write ``bundle/`` and ``history.tsv`` into a run folder.

    A finished run is opened, not repeated; an unfinished one goes on from its checkpoint. A folder
    that holds a run of another configuration is refused.

    Parameters
    ----------
    strategy : Strategy
        Its ``start`` says whether a trunk is needed.
    trunk : Bundle, optional
        Where transferred weights come from; its architecture is used.
    architecture, arguments
        Of a model from scratch without a trunk: a name of the registry, or ``FILE.py:CLASS``.
    motifs : sequence of PWM
        For strategies that read motifs or start filters as motifs.
    seed : int
        Of initial weights, order, strands and dropout.
    device : str
        ``auto``, ``cpu``, ``cuda`` …
    precision : {"auto", "float32", "bf16"}
    facts : mapping, optional
        Further entries of the bundle's card.

    Raises
    ------
    InputError
        When the trunk is missing or does not fit, or the validation part has one class only.
    """
    place = Path(folder)
    _check_validation(examples)
    if strategy.start == "trunk" and trunk is None:
        raise InputError(f"strategy {strategy.name!r} starts from a trunk; name its bundle")
    if trunk is not None and trunk.window != examples.window:
        raise InputError(
            f"{trunk.path}: the trunk reads windows of {trunk.window} bp, the examples are "
            f"{examples.window} bp long"
        )
    if trunk is None:
        design = describe_architecture(architecture, {**strategy.arguments, **(arguments or {})})
    else:
        design = trunk.card.architecture
        own = {**design.arguments, **strategy.arguments}
        design = design.model_copy(update={"arguments": own})
    where = choose_device(device)
    arithmetic = choose_precision(precision, where)
    identity = {
        "examples": examples.content_hash(),
        "strategy": strategy.model_dump(mode="json", exclude_defaults=True),
        "architecture": design.to_json(),
        "given": [motif_facts(pwm) for pwm in motifs],
        "parent": trunk.card.weights if trunk is not None and strategy.start == "trunk" else None,
        "seed": seed,
        "precision": arithmetic,
    }
    run = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    if (place / "bundle" / "card.json").exists():
        done = open_bundle(place)
        if done.card.run != run:
            raise InputError(
                f"{place}: holds a finished run of another configuration; choose another folder, "
                "or remove it"
            )
        return done
    check_folder(place / "bundle", BUNDLE)
    filters = choose_filters(examples, strategy, motifs, seed=seed)
    pwms, bags = choose_motifs(examples, strategy, motifs, seed=seed)
    model = _start(design, examples, strategy, trunk, pwms, bags, seed)
    if strategy.initialise is not None:
        initialise_filters(model, filters, strategy.initialise.values)
    model.to(where)
    checkpoint = place / "checkpoint.safetensors"
    history = (TRAINER.get() or fit)(
        model,
        examples,
        strategy.phases,
        run=run,
        seed=seed,
        checkpoint=checkpoint,
        precision=arithmetic,
        on_checkpoint=lambda rows: _write_history(place, rows),
        prior=_prior(trunk, strategy),
    )
    model.to("cpu").eval()
    _write_history(place, history)
    said = {
        **(facts or {}),
        "run": run,
        **{key: identity[key] for key in identity if key not in ("architecture", "given")},
        "filters": [motif_facts(pwm) for pwm in filters],
        "trunk": _trunk_facts(trunk, strategy),
        "device": where.type,
        "epochs": len(history),
        "evidence": _evidence(history),
    }
    parent = trunk if strategy.start == "trunk" else None
    known = [motif_facts(pwm) for pwm in pwms]
    done = write_run(place, model, design, examples, trunk=parent, motifs=known, facts=said)
    checkpoint.unlink(missing_ok=True)
    return done


def write_run(
    folder: str | os.PathLike[str],
    model: Model,
    design: Architecture,
    examples: ExampleSet,
    *,
    trunk: Bundle | None = None,
    motifs: Sequence[Mapping[str, Any]] = (),
    facts: Mapping[str, Any],
) -> Bundle:
    """Fit thresholds and temperatures on the validation part and write ``bundle/``.

    Parameters
    ----------
    folder : path
        Run folder.
    model : Model
        In evaluation mode, on the CPU.
    design : Architecture
    examples : ExampleSet
    trunk : Bundle, optional
        What it has seen, this model has seen too.
    motifs : sequence of mappings
        Beside the network (`cistransfer.training.motifs.motif_facts`).
    facts : mapping
        Further entries of the card.
    """
    place = Path(folder)
    save_bundle(
        place / "bundle",
        model,
        architecture=design,
        tasks=list(examples.tasks),
        window=examples.window,
        regions=_seen(examples, trunk),
        example=np.asarray(examples.codes[examples.rows("valid")[:_EXAMPLE_ROWS]]),
        facts={
            **facts,
            "split": examples.facts.get("split"),
            "genome": examples.facts.get("genome"),
            "assembly": examples.facts.get("assembly"),
            "counts": counts(examples),
            **fit_on_validation(model, examples),
        },
        motifs=motifs,
        seen=_fingerprints(examples, trunk),
    )
    return open_bundle(place)


def _evidence(history: list[dict[str, Any]]) -> dict[str, float | None]:
    """What the last probe found of trunk and motifs; nothing without one."""
    found: dict[str, float | None] = {}
    for row in history:
        found |= {
            name.removeprefix("auroc_"): value
            for name, value in row.items()
            if name.startswith("auroc_")
        }
    return found


def _write_history(place: Path, history: list[dict[str, Any]]) -> None:
    write_tsv(place / "history.tsv", pd.DataFrame(history), numbers=None)


def _start(
    design: Architecture,
    examples: ExampleSet,
    strategy: Strategy,
    trunk: Bundle | None,
    pwms: Sequence[PWM],
    bags: dict[str, int],
    seed: int,
) -> Model:
    """Build a model of fresh weights and copy in what the strategy transfers."""
    motifs = None
    if pwms:
        motifs = MotifFeatures([len(pwm.probabilities) for pwm in pwms], **bags)
        motifs.fill(pwms)
    model = build_model(
        design.name,
        window=examples.window,
        n_tasks=len(examples.tasks),
        seed=seed,
        motifs=motifs,
        link=strategy.classes,
        **design.arguments,
    )
    if strategy.start == "trunk" and trunk is not None:
        copy_transferred(model, trunk.model, strategy.transfer)
    return model


def _prior(trunk: Bundle | None, strategy: Strategy) -> HeadPrior | None:
    """What the trunk's own heads say of another on its features."""
    if trunk is None or strategy.start != "trunk":
        return None
    head = getattr(trunk.model.network, "head", None)
    if not isinstance(head, nn.Linear):
        return None
    motifs = 0 if trunk.model.motifs is None else trunk.model.motifs.n_features
    weights = head.weight[:, : head.in_features - motifs]
    return HeadPrior(weights.detach().double().cpu().numpy())


def _check_validation(examples: ExampleSet) -> None:
    for part in ("train", "valid"):
        labels = np.asarray(examples.labels[examples.rows(part)])
        if not any(evaluable(labels[:, column]) for column in range(labels.shape[1])):
            bound, unbound = int((labels == 1).sum()), int((labels == 0).sum())
            raise InputError(
                f"the {part} part holds {bound} bound and {unbound} unbound examples; both classes "
                "are needed: use more peaks or hold out other chromosomes"
            )


def fit_on_validation(model: Model, examples: ExampleSet) -> dict[str, Any]:
    """Thresholds and temperatures per task, and what they were fitted on."""
    rows = examples.rows("valid")
    labels = np.asarray(examples.labels[rows])
    logits = score_codes(model, examples.codes[rows])
    thresholds: list[float | None] = []
    temperatures: list[float | None] = []
    shares: list[float | None] = []
    for column in range(labels.shape[1]):
        if evaluable(labels[:, column]):
            thresholds.append(best_threshold(labels[:, column], logits[:, column]))
            temperatures.append(fit_temperature(labels[:, column], logits[:, column]))
            shares.append(float((labels[:, column] == 1).sum() / (labels[:, column] >= 0).sum()))
        else:
            thresholds.append(None)
            temperatures.append(None)
            shares.append(None)
    ranked = rank_metrics(labels, logits)
    return {
        "threshold": thresholds,
        "temperature": temperatures,
        "prevalence": shares,
        "validation": {
            name: [None if np.isnan(value) else float(value) for value in values]
            for name, values in ranked.items()
        },
    }


def _seen(examples: ExampleSet, trunk: Bundle | None) -> pd.DataFrame:
    """Every region that this model or its trunk was trained or validated on."""
    own = examples.regions.loc[
        examples.regions["part"] != "test", ["chrom", "start", "end", "part"]
    ].replace({"part": {EXTRA: "train"}})
    return merge_regions(own) if trunk is None else merge_regions(own, trunk.regions())


def merge_regions(*tables: pd.DataFrame) -> pd.DataFrame:
    """Regions of some tables with ``part``, each once; trained on where it is so in any."""
    return (
        pd.concat(tables)
        .sort_values(["part", "chrom", "start", "end"])
        .drop_duplicates(["chrom", "start", "end"])  # keeps "train" where a region was in both
        .reset_index(drop=True)
    )


def _fingerprints(examples: ExampleSet, trunk: Bundle | None) -> dict[str, NDArray[np.uint64]]:
    """Fingerprints of every sequence that this model or its trunk was trained or validated on."""
    inherited = {} if trunk is None else trunk.seen()
    if trunk is not None and not inherited:
        return {}  # a trunk made before there were any: what is not whole says nothing
    return {
        part: union(
            distinct_fingerprints(examples.codes[rows]),
            inherited.get(part, np.empty(0, dtype=np.uint64)),
        )
        for part, rows in (("train", examples.learned_rows()), ("valid", examples.rows("valid")))
    }


def _trunk_facts(trunk: Bundle | None, strategy: Strategy) -> dict[str, Any] | None:
    if trunk is None or strategy.start != "trunk":
        return None
    return {
        "weights": trunk.card.weights,
        "tasks": list(trunk.tasks),
        "strategy": trunk.card.strategy.name or None,
    }
