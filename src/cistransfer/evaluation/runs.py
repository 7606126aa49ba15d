"""Evaluate trained models on identical held-out examples."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.evaluation.calibrated import calibration_table
from cistransfer.evaluation.folds import ensemble, fold_groups, gather, over_folds
from cistransfer.evaluation.intervals import INTERVALS, aucpr_intervals
from cistransfer.evaluation.ladder import Rung, climb, needs_trunk, sibling
from cistransfer.examples.dataset import ExampleSet
from cistransfer.genome.intervals import overlaps_any
from cistransfer.metrics.table import per_task_metrics
from cistransfer.models.bundle import Bundle, open_bundle
from cistransfer.models.score import choose_device, score_codes
from cistransfer.motifs.names import motif_tfs
from cistransfer.motifs.pwm import PWM
from cistransfer.progress import bar, track
from cistransfer.relatives.read_modes import read_modes
from cistransfer.storage import whole_file, write_json
from cistransfer.tables import write_tsv

__all__ = ["evaluate_runs", "named_runs", "open_predictions"]

_STRATEGY = {"motif": "pwm"}
_DRAWS = 1000
_MOST_TASKS = 10  # with more, intervals take longer than the scores


def named_runs(runs: Sequence[str | os.PathLike[str]]) -> dict[str, Path]:
    """Name runs for tables: the folder's name, or ``NAME`` of ``NAME=FOLDER``.

    Raises
    ------
    InputError
        When two runs would have one name.
    """
    named: dict[str, Path] = {}
    for run in runs:
        name, found, folder = str(run).partition("=")
        path = Path(folder) if found and not Path(run).exists() else Path(run)
        name = name if path != Path(run) else path.absolute().name
        if name in named:
            raise InputError(f"two runs are called {name!r}; name them: NAME={path}")
        named[name] = path
    return named


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
    draws: int | None = None,
    allow_seen: bool = False,
    device: str = "auto",
) -> dict[str, Any]:
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
        Run folders (or ``NAME=FOLDER``).
    examples : path, optional
        An example set; by default the one of the first run, which every run must share.
    part : {"test", "valid", "train"}
    baselines : sequence of str
        Baselines to fit on the training part (`cistransfer.evaluation.ladder.LADDER`).
    pwms : sequence of PWM
        Known motifs for the baselines ``motif``, ``mode-motif`` and ``stack``.
    modes : path or str, optional
        Binding modes for ``mode-motif`` (`cistransfer.relatives.read_modes.read_modes`); by
        default the motifs are clustered.
    trunk : path, optional
        A trunk whose own outputs are read without training (row ``sibling``): the task's output,
        or the one that ranks the training part best. Baselines that need one start from it.
    draws : int, optional
        Resamples for the intervals of the AUCPR (`cistransfer.evaluation.intervals`); 0 for none.
        By default 1,000 for up to ten tasks, none for more.
    allow_seen : bool
        Evaluate although a model or its trunk has been trained or validated on some of the
        regions.
    device : str

    Returns
    -------
    dict
        The content of ``metrics.json``.

    Raises
    ------
    InputError
        When runs were trained on different examples, a model has none of the tasks, or a region
        was seen in training (counts them).
    """
    named = named_runs(runs)
    _check_names(named, baselines, trunk is not None)
    bundles = {name: open_bundle(path) for name, path in named.items()}
    untrained = None if trunk is None else open_bundle(trunk)
    material = gather(named, bundles, examples, part)
    data = material.first
    rows = data.rows(part)
    if not len(rows):
        raise InputError(f"the examples have no {part} part")
    regions = data.regions.iloc[rows].reset_index(drop=True)
    labels = np.asarray(data.labels[rows])
    codes = np.asarray(data.codes[rows])
    models: list[dict[str, Any]] = []
    rungs: dict[str, Rung] = {}
    frames: list[pd.DataFrame] = []
    allowed = allow_seen or part != "test"
    known = {tf for pwm in pwms for tf in motif_tfs(pwm)}
    grouped = None if modes is None else read_modes(modes, [*data.tasks, *sorted(known)])

    def add(name: str, strategy: str | None, rung: Rung, seen: int, **facts: Any) -> None:
        try:
            metrics = per_task_metrics(
                labels, rung.logits, data.tasks, rung.thresholds, rung.temperatures
            )
        except InputError as error:
            raise InputError(f"model {name!r}: {error}") from error
        rungs[name] = rung
        frames.append(metrics.assign(model=name))
        models.append(
            {
                "name": name,
                "run": None,
                "strategy": strategy,
                "seen": seen,
                **{key: value for key, value in facts.items() if value},
                **({"fitted": dict(zip(data.tasks, rung.fitted, strict=True))}
                   if rung.fitted else {}),
            }
        )  # fmt: skip

    with bar("scoring", len(rows) * len(bundles)) as running:
        for name, bundle in bundles.items():
            seen = _count_seen(name, bundle, regions, allowed)
            columns = _columns(name, bundle, data)
            model = bundle.model.to(choose_device(device))
            logits = score_codes(model, codes, tick=running.advance)[:, columns]
            rung = Rung(logits, bundle.thresholds[columns], bundle.temperatures[columns])
            add(name, bundle.card.strategy.name or None, rung, seen,
                run=str(named[name].absolute()), draw=_draw(material.fold_of[name]))  # fmt: skip
    trained = list(models)
    many = len(material.sets) > 1
    for fold, own in material.sets.items():
        behind, draw = (f" {fold}" if many else ""), _draw(fold)
        for name in track(baselines, "baselines"):
            seen = 0 if part == "test" else len(rows)
            if untrained is not None and needs_trunk(name):
                seen = max(seen, _count_seen(name, untrained, regions, allowed))
            rung = climb(name, own, codes, pwms=pwms, modes=grouped, trunk=untrained, device=device)
            add(name + behind, _STRATEGY.get(name, name), rung, seen, draw=draw)
        if untrained is not None:
            seen = _count_seen("sibling", untrained, regions, allowed)
            add("sibling" + behind, "sibling", sibling(untrained, own, codes)[0], seen, draw=draw)
    for strategy, members in fold_groups(trained).items():
        several = [rungs[name] for name in members]
        mean = ensemble(
            [each.logits for each in several],
            [each.thresholds for each in several],
            [each.temperatures for each in several],
        )
        most = max(model["seen"] for model in trained if model["name"] in members)
        add(f"{strategy} ensemble", f"{strategy} ensemble", mean, most)
    if draws is None:
        draws = _DRAWS if len(data.tasks) <= _MOST_TASKS else 0
    measured = _with_intervals(frames, regions, labels, rungs, draws)
    for entry in models:
        own_rows = measured[measured["model"] == entry["name"]].drop(columns="model")
        entry["metrics"] = {row["task"]: _plain(row) for row in own_rows.to_dict("records")}
    spread = over_folds(models)
    result = {
        "kind": "evaluation",
        "examples": data.content_hash(),
        "part": part,
        "tasks": list(data.tasks),
        "models": models,
        **({"folds": spread} if spread else {}),
    }
    place = Path(folder)
    tables = {
        "metrics": measured,
        "calibration": calibration_table(labels, rungs, data.tasks),
        **({"folds": pd.DataFrame(spread)} if spread else {}),
    }
    with whole_file(place / "predictions.parquet") as temporary:
        _predictions(regions, labels, rungs, data.tasks).to_parquet(temporary, index=False)
    for name, written in tables.items():
        write_tsv(place / f"{name}.tsv", written)
    write_json(place / "metrics.json", result)
    return result


def _with_intervals(
    frames: Sequence[pd.DataFrame],
    regions: pd.DataFrame,
    labels: NDArray[np.int8],
    rungs: dict[str, Rung],
    draws: int,
) -> pd.DataFrame:
    """Join the metrics of all models and put the intervals of the AUCPR behind it."""
    joined = pd.concat(frames, ignore_index=True)
    ends = aucpr_intervals(
        regions, labels, {name: rung.logits for name, rung in rungs.items()}, draws=draws
    )
    names = [str(name) for name in joined if name != "model"]
    behind = names.index("aucpr") + 1
    order = ["model", *names[:behind], *INTERVALS, *names[behind:]]
    return pd.concat([joined, ends], axis=1)[order]


def _predictions(
    regions: pd.DataFrame,
    labels: NDArray[np.int8],
    rungs: dict[str, Rung],
    tasks: Sequence[str],
) -> pd.DataFrame:
    """Regions, labels and every model's logits."""
    columns: dict[str, NDArray[Any]] = {}
    for at, task in enumerate(tasks):
        columns[f"label {task}"] = labels[:, at]
    for name, rung in rungs.items():
        for task, values in zip(tasks, rung.logits.T, strict=True):
            columns[f"{name} {task}"] = values
    places = regions[["chrom", "start", "end"]]
    return pd.concat([places, pd.DataFrame(columns, index=places.index)], axis=1)


def open_predictions(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """Read the predictions of an evaluation folder."""
    path = Path(folder) / "predictions.parquet"
    if not path.exists():
        raise InputError(f"{folder}: expected an evaluation (predictions.parquet), found none")
    return pd.read_parquet(path)


def _check_names(named: dict[str, Path], baselines: Sequence[str], with_sibling: bool) -> None:
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


def _count_seen(name: str, bundle: Bundle, regions: pd.DataFrame, allowed: bool) -> int:
    """How many of the regions a model or its trunk was trained or validated on."""
    seen = int(overlaps_any(regions, bundle.regions()).sum())
    if seen and not allowed:
        raise InputError(
            f"model {name!r} was trained or validated on {seen:,} of the {len(regions):,} regions; "
            "evaluate on others, or override with --allow-seen"
        )
    return seen


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    values = {str(key): value for key, value in row.items() if key != "task"}
    return {
        key: None if isinstance(value, float) and np.isnan(value) else value
        for key, value in values.items()
    }
