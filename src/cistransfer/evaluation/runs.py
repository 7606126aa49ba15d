"""Evaluate trained models and baselines on identical held-out examples."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.evaluation.baselines import (
    PROTOCOLS,
    Scored,
    ensemble,
    needs_trunk,
    score_by,
    score_model,
    sibling,
)
from cistransfer.evaluation.regions import aucpr_intervals
from cistransfer.evaluation.results import (
    INTERVALS,
    Evaluation,
    ModelScore,
    TaskScore,
    fold_groups,
)
from cistransfer.evaluation.shared import Named, SharedExamples, named_runs, shared_examples
from cistransfer.examples.dataset import ExampleSet
from cistransfer.metrics.calibration import RELIABILITY_COLUMNS, reliability_bins, to_probability
from cistransfer.metrics.resolved import evaluable
from cistransfer.metrics.table import per_task_metrics
from cistransfer.models.bundle import Bundle, open_bundle
from cistransfer.motifs.names import motif_tfs
from cistransfer.motifs.pwm import PWM
from cistransfer.progress import bar, track
from cistransfer.relatives.read_modes import read_modes
from cistransfer.storage import Kind, check_folder, read_table, whole_folder, write_json
from cistransfer.tables import write_tsv

__all__ = [
    "calibration_table",
    "evaluate_runs",
    "measured",
    "open_predictions",
    "write_evaluation",
]

_EVALUATION = Kind(
    "evaluation",
    "metrics.json",
    ("predictions.parquet", "metrics.tsv", "calibration.tsv", "folds.tsv", "config.json"),
)
_STRATEGY = {"motif": "pwm"}
DRAWS = 1000
_MAX_TASKS = 10  # with more, intervals take longer than the scores


def evaluate_runs(
    folder: str | os.PathLike[str],
    runs: Sequence[str | os.PathLike[str]],
    *,
    examples: str | os.PathLike[str] | None = None,
    part: str = "test",
    baselines: Sequence[str] = (),
    pwms: Sequence[PWM] = (),
    modes: str | os.PathLike[str] | None = None,
    trunk: str | os.PathLike[str] | None = None,
    protocol: str = "own",
    draws: int | None = None,
    allow_seen: bool = False,
    device: str = "auto",
) -> Evaluation:
    """Score the same examples with several models and write metrics and predictions.

    Thresholds and temperatures are those that each bundle fitted on its validation part; nothing
    is fitted here. Runs that are folds of one test part (``--fold``) are evaluated on it together:
    each is a row with its fold as ``draw``, and each strategy gets the mean and spread over its
    folds and a row of the averaged models (``STRATEGY ensemble``). Baselines are then fitted in
    every fold.

    Parameters
    ----------
    folder : path
        Receives ``metrics.json``, ``metrics.tsv``, ``calibration.tsv`` and
        ``predictions.parquet``; with folds ``folds.tsv``.
    runs : sequence of path
        Run folders (or ``NAME=FOLDER``; comparisons keep names that were given).
    examples : path, optional
        An example set; by default the one of the first run, which every run must share.
    part : {"test", "valid", "train"}
    baselines : sequence of str
        Baselines to fit on the training part (`cistransfer.evaluation.baselines.BASELINES`).
    pwms : sequence of PWM
        Known motifs for the baselines ``motif``, ``mode-motif`` and ``stack``.
    modes : path or str, optional
        Binding modes for ``mode-motif`` (`cistransfer.relatives.read_modes.read_modes`); by
        default the motifs are clustered.
    trunk : path, optional
        A trunk whose own outputs are read without training (row ``sibling``): the task's output,
        or the one that ranks the training part best. Baselines that need one start from it.
    protocol : {"own", "published"}
        How trained models score and call (`cistransfer.evaluation.baselines.score_model`).
    draws : int, optional
        Resamples for the intervals of the AUCPR (`cistransfer.evaluation.regions`); 0 for none.
        By default 1,000 for up to ten tasks, none for more.
    allow_seen : bool
        Evaluate although a model or its trunk has been trained or validated on some of the
        regions.

    Returns
    -------
    Evaluation
        What ``metrics.json`` holds.

    Raises
    ------
    InputError
        When runs were trained on different examples, a model has none of the tasks, a region
        was seen in training (counts them), or ``folder`` holds something else.
    """
    check_folder(folder, _EVALUATION)
    named = named_runs(runs)
    _check_names(named, baselines, trunk is not None)
    if protocol not in PROTOCOLS:
        raise InputError(f"no protocol {protocol!r}; there are: {', '.join(PROTOCOLS)}")
    bundles = {name: open_bundle(run.path) for name, run in named.items()}
    untrained = None if trunk is None else open_bundle(trunk)
    shared = shared_examples(
        {name: run.path for name, run in named.items()}, bundles, examples, part
    )
    data = shared.first
    if not len(shared.rows):
        raise InputError(f"the examples have no {part} part")
    codes = np.asarray(data.codes[shared.rows])
    allowed = allow_seen or part != "test"
    rows = list(_trained(named, bundles, shared, codes, allowed, protocol, device))
    known = {tf for pwm in pwms for tf in motif_tfs(pwm)}
    grouped = None if modes is None else read_modes(modes, [*data.tasks, *sorted(known)])
    options = {"pwms": pwms, "modes": grouped, "device": device}
    rows += _fitted(baselines, shared, codes, allowed, untrained, protocol, **options)
    rows += _ensembles(rows[: len(named)])
    if draws is None:
        draws = DRAWS if len(data.tasks) <= _MAX_TASKS else 0
    labels = np.asarray(data.labels[shared.rows])
    scored = {model.name: score for model, score in rows}
    found = Evaluation(
        examples=data.content_hash(),
        part=part,
        tasks=tuple(data.tasks),
        models=tuple(
            measured(
                [model for model, _ in rows], scored, shared.regions, labels, data.tasks, draws
            )
        ),
        protocol=protocol,
    )
    write_evaluation(folder, found, shared.regions, labels, scored)
    return found


Row = tuple[ModelScore, Scored]


def _trained(
    named: Mapping[str, Named],
    bundles: Mapping[str, Bundle],
    shared: SharedExamples,
    codes: NDArray[np.uint8],
    allowed: bool,
    protocol: str,
    device: str,
) -> Iterator[Row]:
    """Score with every run; the metrics come later."""
    with bar("scoring", len(codes) * len(bundles)) as running:
        for name, bundle in bundles.items():
            seen, neighbours = shared.seen(bundle)
            _check_seen(name, seen, len(codes), allowed)
            columns = _columns(name, bundle, shared.first)
            model = ModelScore(
                name,
                bundle.card.strategy.name or None,
                {},
                run=str(named[name].path.absolute()),
                named=named[name].given,
                seen=seen,
                neighbours=neighbours,
                draw=_draw(shared.fold_of[name]),
            )
            scored = score_model(
                bundle, codes, columns, protocol=protocol, device=device, tick=running.advance
            )
            yield model, scored


def _fitted(
    baselines: Sequence[str],
    shared: SharedExamples,
    codes: NDArray[np.uint8],
    allowed: bool,
    trunk: Bundle | None,
    protocol: str,
    **options: Any,
) -> Iterator[Row]:
    """Fit every baseline in every fold and score with it."""
    from_trunk = 0 if trunk is None else shared.seen(trunk)[0]
    for fold, data in shared.sets.items():
        behind, draw = (f" {fold}" if len(shared.sets) > 1 else ""), _draw(fold)
        for name in track(baselines, "baselines"):
            seen = 0 if shared.part == "test" else len(codes)
            if trunk is not None and needs_trunk(name):
                _check_seen(name, from_trunk, len(codes), allowed)
                seen = max(seen, from_trunk)
            scored = score_by(name, data, codes, trunk=trunk, protocol=protocol, **options)
            strategy = _STRATEGY.get(name, name)
            yield ModelScore(name + behind, strategy, {}, seen=seen, draw=draw), scored
        if trunk is not None:
            _check_seen("sibling", from_trunk, len(codes), allowed)
            scored, _ = sibling(trunk, data, codes, protocol=protocol)
            yield ModelScore(f"sibling{behind}", "sibling", {}, seen=from_trunk, draw=draw), scored


def _ensembles(trained: Sequence[Row]) -> Iterator[Row]:
    """Average each strategy over its folds."""
    rows = {model.name: (model, scored) for model, scored in trained}
    for strategy, names in fold_groups([model for model, _ in trained]).items():
        several = [rows[name][1] for name in names]
        mean = ensemble(
            [each.logits for each in several],
            [each.thresholds for each in several],
            [each.temperatures for each in several],
        )
        seen = max(rows[name][0].seen for name in names)
        name = f"{strategy} ensemble"
        yield ModelScore(name, name, {}, seen=seen), mean


def measured(
    models: Sequence[ModelScore],
    scored: Mapping[str, Scored],
    regions: pd.DataFrame,
    labels: NDArray[np.int8],
    tasks: Sequence[str],
    draws: int,
) -> Iterator[ModelScore]:
    """Put the metrics into every row, the intervals of the AUCPR behind it."""
    logits = {name: each.logits for name, each in scored.items()}
    frames = {}
    for model in models:
        own = scored[model.name]
        try:
            frames[model.name] = per_task_metrics(
                labels, own.logits, tasks, own.thresholds, own.temperatures
            )
        except InputError as error:
            raise InputError(f"model {model.name!r}: {error}") from error
    ends = aucpr_intervals(regions, labels, logits, draws=draws)
    for i, model in enumerate(models):
        frame = frames[model.name]
        behind = list(frame.columns).index("aucpr") + 1
        order = [*frame.columns[:behind], *INTERVALS, *frame.columns[behind:]]
        own_ends = ends.iloc[i * len(tasks) : (i + 1) * len(tasks)].reset_index(drop=True)
        rows = pd.concat([frame, own_ends], axis=1)[order].to_dict("records")
        words = scored[model.name].fitted
        yield replace(
            model,
            tasks={
                task: TaskScore.from_json({str(key): value for key, value in row.items()})
                for task, row in zip(tasks, rows, strict=True)
            },
            fitted=dict(zip(tasks, words, strict=True)) if words else {},
        )


def write_evaluation(
    folder: str | os.PathLike[str],
    found: Evaluation,
    regions: pd.DataFrame,
    labels: NDArray[np.int8],
    scored: Mapping[str, Scored],
) -> None:
    """Write the tables and ``metrics.json`` as one: none is of another evaluation."""
    with whole_folder(folder, _EVALUATION) as place:
        table = _predictions(regions, labels, scored, found.tasks)
        table.to_parquet(place / "predictions.parquet", index=False)
        write_tsv(place / "metrics.tsv", found.table())
        write_tsv(place / "calibration.tsv", calibration_table(labels, scored, found.tasks))
        if found.folds:
            write_tsv(place / "folds.tsv", pd.DataFrame([row.to_json() for row in found.folds]))
        write_json(place / "metrics.json", found.to_json())


def _predictions(
    regions: pd.DataFrame,
    labels: NDArray[np.int8],
    scored: Mapping[str, Scored],
    tasks: Sequence[str],
) -> pd.DataFrame:
    """Regions, labels and every model's logits."""
    columns: dict[str, NDArray[Any]] = {}
    for i, task in enumerate(tasks):
        columns[f"label {task}"] = labels[:, i]
    for name, each in scored.items():
        for task, values in zip(tasks, each.logits.T, strict=True):
            columns[f"{name} {task}"] = values
    places = regions[["chrom", "start", "end"]]
    return pd.concat([places, pd.DataFrame(columns, index=places.index)], axis=1)


def calibration_table(
    labels: NDArray[np.int8], models: Mapping[str, Scored], tasks: Sequence[str]
) -> pd.DataFrame:
    """Tabulate predicted probability against observed frequency.

    Parameters
    ----------
    labels : ndarray of int8, shape (n, tasks)
    models : mapping of str to Scored
        Logits and the temperatures fitted on validation.

    Returns
    -------
    DataFrame
        ``model``, ``task``, ``stage`` (``raw``, ``temperature``), and the columns of
        `reliability_bins`; tasks without both classes and empty bins are left out.
    """
    frames = []
    for name, model in models.items():
        for column, task in enumerate(tasks):
            if not evaluable(labels[:, column]):
                continue
            for stage, value in (("raw", 1.0), ("temperature", model.temperatures[column])):
                probabilities = to_probability(model.logits[:, column], float(value))
                bins = pd.DataFrame(reliability_bins(labels[:, column], probabilities))
                frames.append(bins[bins["n"] > 0].assign(model=name, task=task, stage=stage))
    keys = ["model", "task", "stage"]
    if not frames:
        return pd.DataFrame(columns=[*keys, *RELIABILITY_COLUMNS])
    return pd.concat(frames, ignore_index=True)[[*keys, *RELIABILITY_COLUMNS]]


def open_predictions(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """Read the predictions of an evaluation folder."""
    path = Path(folder) / "predictions.parquet"
    if not path.exists():
        raise InputError(f"{folder}: expected an evaluation (predictions.parquet), found none")
    return read_table(path)


def _check_names(named: Mapping[str, Named], baselines: Sequence[str], with_sibling: bool) -> None:
    """Refuse rows that would have one name."""
    for name in baselines:
        if name in named:
            raise InputError(f"a run is called {name!r} like a baseline; name it: NAME={name}")
        if list(baselines).count(name) > 1:
            raise InputError(f"baseline {name!r} is named twice")
    if with_sibling and "sibling" in named:
        raise InputError(
            "a run is called 'sibling' like the trunk's own output (--trunk); name it: NAME=sibling"
        )
    if with_sibling and "sibling" in baselines:
        raise InputError("the row 'sibling' comes with --trunk; drop it from --baselines")


def _draw(fold: str) -> str | None:
    return f"fold {fold}" if fold else None


def _columns(name: str, bundle: Bundle, data: ExampleSet) -> list[int]:
    lacking = [task for task in data.tasks if task not in bundle.tasks]
    if lacking:
        raise InputError(
            f"model {name!r} has no output {lacking[0]!r}; it has: {', '.join(bundle.tasks[:8])}"
        )
    if bundle.window != data.window:
        raise InputError(
            f"model {name!r} reads windows of {bundle.window} bp, the examples are "
            f"{data.window} bp long"
        )
    return [bundle.tasks.index(task) for task in data.tasks]


def _check_seen(name: str, seen: int, n: int, allowed: bool) -> None:
    if seen and not allowed:
        raise InputError(
            f"model {name!r} was trained or validated on {seen:,} of the {n:,} regions; "
            "evaluate on others, or override with --allow-seen"
        )
