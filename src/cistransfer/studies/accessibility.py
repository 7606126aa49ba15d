"""ChromTransfer's comparison: does learning what is open anywhere help to learn what a cell opens?

Salvatore et al. 2023: a network is pre-trained on open against closed chromatin without the chosen
cells and fine-tuned for each of them; it is compared with the pre-trained network as it is, with
networks from scratch, with one multi-class network for all cells, and at smaller training sets.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cistransfer.errors import InputError
from cistransfer.evaluation.baselines import BASELINES
from cistransfer.evaluation.results import Evaluation, open_evaluation
from cistransfer.evaluation.runs import evaluate_runs, open_predictions
from cistransfer.examples.dataset import ExampleSet, counts, open_examples
from cistransfer.metrics.table import METRICS, all_metrics
from cistransfer.models.bundle import find_bundle, open_bundle
from cistransfer.models.score import choose_device, score_codes
from cistransfer.studies.cell_sets import (
    SHUFFLED,
    TRUNK,
    Cell,
    examples_of_cells,
    has_universal,
    listed_cells,
    pretraining_sets,
    together,
)
from cistransfer.studies.jobs import Job, run_jobs
from cistransfer.studies.settings import Settings
from cistransfer.tables import write_tsv
from cistransfer.training.finetune import finetune
from cistransfer.training.pretrain import pretrain
from cistransfer.training.strategy import load_strategy

__all__ = ["accessibility_study"]

PRETRAINED = "pre-trained"
MULTICLASS = "multi-class"
UNFAIR = "multi-class-published"


def accessibility_study(
    folder: str | os.PathLike[str],
    sets: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    jobs: int = 1,
    device: str = "auto",
    precision: str = "auto",
) -> pd.DataFrame:
    """Run the whole comparison; what is done already is not repeated.

    Parameters
    ----------
    folder : path
        Receives ``trunk/``, ``trunk-shuffled/`` (when the sets have one), ``multi-class/``,
        ``multi-class-published/``, ``cells/CELL/…`` (examples, models, evaluations),
        ``pretrained/`` (the trunks on their own test part), ``results.tsv`` and ``training.tsv``.
    sets : path
        Example sets of `cistransfer accessibility sets`: ``cells/CELL/``, ``pretraining/`` (not
        needed with a trunk of the user's) and, optional, ``pretraining-shuffled/``.
    settings : Settings, optional
    jobs : int
        Processes at a time. The numbers do not depend on it.
    device, precision : str
        See `cistransfer.training.run.train_run`.

    Returns
    -------
    DataFrame
        The content of ``results.tsv`` (test parts) and ``training.tsv`` (the whole training sets)
        in one: tidy as `cistransfer.evaluation.tidy` has it, with ``tf`` (the cell),
        ``strategy``, ``size`` (per cent of the training set), ``draw``, ``examples``, ``part``
        (here only), ``training_positives`` and metrics, at a probability of 0.5 and without
        temperature, as published (of baselines, whose scores are no probabilities, at the
        threshold fitted on validation).

    Raises
    ------
    InputError
        When the sets are incomplete, the folder holds a study with other settings, or a trunk of
        the user's has learned from what the sets hold out.
    """
    plan = settings or Settings()
    place, source = Path(folder), Path(sets)
    _check_names(plan)
    pretraining = pretraining_sets(source) if plan.trunk is None else {}
    cells = listed_cells(source)
    trunks = {name: place / name for name in pretraining}
    architecture, arguments = plan.architecture, None
    if plan.trunk is not None:
        trunks[TRUNK] = find_bundle(plan.trunk)
        design = open_bundle(trunks[TRUNK]).card.architecture
        architecture, arguments = design.name, design.arguments
    whole, parts = examples_of_cells(place, source, plan, cells, pretraining, architecture)
    how = {"device": device, "precision": precision, "seed": plan.seed}
    own = {"architecture": architecture, "arguments": arguments, **how}
    run_jobs(
        [
            Job(
                name,
                _pretrain,
                {
                    "folder": place / name,
                    "examples": examples,
                    "strategy": plan.pretraining,
                    "epochs": plan.pretraining_epochs,
                    **own,
                },
            )
            for name, examples in pretraining.items()
        ],
        jobs,
        "pre-training",
    )
    multi = {MULTICLASS: together(place / MULTICLASS, whole, True)}
    if any(has_universal(open_examples(each.examples)) for each in whole.values()):
        multi[UNFAIR] = together(place / UNFAIR, whole, False)
    todo = [
        Job(
            name,
            _pretrain,
            {
                "folder": place / name,
                "examples": examples,
                "strategy": plan.multiclass,
                "epochs": plan.multiclass_epochs,
                **own,
            },
        )
        for name, examples in multi.items()
    ]
    todo += [
        Job(
            f"{each.cell} {each.fraction:.0%}",
            _models_of_cell,
            {
                "cell": each,
                "strategies": _labelled(plan, trunks),
                "epochs": plan.epochs,
                **own,
            },
        )
        for each in (*whole.values(), *parts)
    ]
    run_jobs(todo, jobs, "training")
    labels = tuple(_labelled(plan, trunks))
    todo = [
        Job(
            f"{each.cell} {each.fraction:.0%}",
            _evaluate_cell,
            {
                "cell": each,
                "labels": labels,
                "baselines": plan.baselines,
                "pretrained": trunks[TRUNK] if pretraining else None,
                "multiclass": {name: place / name for name in multi} if each.fraction == 1 else {},
                "device": device,
            },
        )
        for each in (*whole.values(), *parts)
    ]
    rows = [row for found in run_jobs(todo, jobs, "evaluating") for row in found]
    if pretraining:
        evaluate_runs(
            place / "pretrained",
            [f"{name}={path}" for name, path in trunks.items()],
            examples=pretraining[TRUNK],
            device=device,
        )
    table = pd.DataFrame(rows)
    for part, name in (("test", "results.tsv"), ("train", "training.tsv")):
        write_tsv(place / name, table[table["part"] == part].drop(columns="part"))
    return table


def _check_names(plan: Settings) -> None:
    """Refuse what would be found wrong only after hours of training."""
    labels = {MULTICLASS, UNFAIR, PRETRAINED, *plan.baselines}
    for name in plan.strategies:
        load_strategy(name)
        if _short(name) in labels:
            raise InputError(f"two models are called {_short(name)!r}; rename the strategy {name}")
        labels.add(_short(name))
    for name in (plan.pretraining, plan.multiclass):
        load_strategy(name)
    for name in plan.baselines:
        if name not in BASELINES:
            raise InputError(f"no baseline {name!r}; there are: {', '.join(BASELINES)}")


def _labelled(plan: Settings, trunks: dict[str, Path]) -> dict[str, tuple[str, Path | None]]:
    """Label of each of a cell's models → strategy and trunk."""
    table: dict[str, tuple[str, Path | None]] = {}
    for name in plan.strategies:
        from_trunk = load_strategy(name).start == "trunk"
        table[_short(name)] = (name, trunks[TRUNK] if from_trunk else None)
    if SHUFFLED in trunks:
        for name in [n for n in plan.strategies if load_strategy(n).start == "trunk"][:1]:
            table[f"{_short(name)} (shuffled)"] = (name, trunks[SHUFFLED])
    return table


def _short(strategy: str) -> str:
    return Path(strategy).name.removesuffix(".toml")


def _pretrain(folder: Path, examples: Path, **options: Any) -> None:
    pretrain(folder, open_examples(examples), **options)


def _models_of_cell(
    cell: Cell,
    strategies: dict[str, tuple[str, Path | None]],
    epochs: int | None,
    architecture: str,
    **options: Any,
) -> None:
    """Train every model of a cell at one size."""
    examples = open_examples(cell.examples)
    for label, (strategy, trunk) in strategies.items():
        finetune(
            cell.folder / label,
            examples,
            None if trunk is None else open_bundle(trunk),
            strategy=strategy,
            architecture=architecture,
            epochs=epochs,
            **options,
        )


def _evaluate_cell(
    cell: Cell,
    labels: Sequence[str],
    baselines: Sequence[str],
    pretrained: Path | None,
    multiclass: dict[str, Path],
    device: str,
) -> list[dict[str, Any]]:
    """Score a cell's test part with all its models; of the whole training set that part too."""
    runs = {label: cell.folder / label for label in labels} | multiclass
    rows = []
    examples = open_examples(cell.examples)
    positives = counts(examples)["train"][cell.cell]["bound"]
    for part in ("test", "train") if cell.fraction == 1 else ("test",):
        place = cell.folder / f"evaluation-{part}"
        found = _done(place, examples, {*runs, *baselines})
        if found is None:
            found = evaluate_runs(
                place,
                [f"{label}={path}" for label, path in runs.items()],
                examples=cell.examples,
                part=part,
                baselines=baselines,
                draws=None if cell.fraction == 1 and part == "test" else 0,
                device=device,
            )
        scored = open_predictions(place)
        logits = {label: scored[f"{label} {cell.cell}"].to_numpy() for label in runs}
        if pretrained is not None:
            network = open_bundle(pretrained).model.to(choose_device(device))
            codes = np.asarray(examples.codes[examples.rows(part)])
            logits[PRETRAINED] = score_codes(network, codes)[:, 0]
        truth = scored[f"label {cell.cell}"]
        metrics: dict[str, dict[str, Any]] = {
            label: dict(all_metrics(truth, values)) for label, values in logits.items()
        }
        metrics |= {
            model.name: {
                name: model.tasks[cell.cell][name]
                for name in ("n", "positives", "prevalence", *METRICS)
            }
            for model in found.models
            if model.name in baselines
        }
        rows += [
            {
                "tf": cell.cell,
                "strategy": label,
                "size": round(100 * cell.fraction, 6),
                "draw": cell.draw,
                "examples": examples.content_hash(),
                "part": part,
                "training_positives": positives,
                **row,
            }
            for label, row in metrics.items()
        ]
    return rows


def _done(place: Path, examples: ExampleSet, models: set[str]) -> Evaluation | None:
    """An evaluation that is there already, if it is of these examples and models."""
    if not (place / "metrics.json").exists():
        return None
    found = open_evaluation(place)
    same = found.examples == examples.content_hash()
    return found if same and {model.name for model in found.models} == models else None
