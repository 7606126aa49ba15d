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
from cistransfer.evaluation.ladder import climb, sibling
from cistransfer.examples.dataset import ExampleSet, open_examples
from cistransfer.genome.windows import overlaps_any
from cistransfer.metrics.table import per_task_metrics
from cistransfer.models.bundle import Bundle, open_bundle
from cistransfer.models.score import choose_device, score_codes
from cistransfer.motifs.pwm import PWM
from cistransfer.progress import bar, track
from cistransfer.storage import whole_file, write_json

__all__ = ["evaluate_runs", "named_runs", "open_predictions"]

_STRATEGY = {"motif": "pwm"}


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
    trunk: str | os.PathLike[str] | None = None,
    allow_seen: bool = False,
    device: str = "auto",
) -> dict[str, Any]:
    """Score the same examples with several models and write metrics and predictions.

    Thresholds and temperatures are those that each bundle fitted on its validation part; nothing
    is fitted here.

    Parameters
    ----------
    folder : path
        Receives ``metrics.json``, ``metrics.tsv`` and ``predictions.parquet``.
    runs : sequence of path
        Run folders (or ``NAME=FOLDER``).
    examples : path, optional
        An example set; by default the one of the first run, which every run must share.
    part : {"test", "valid", "train"}
    baselines : sequence of str
        Baselines to fit on the training part (`cistransfer.baselines.registry.BASELINES`).
    pwms : sequence of PWM
        Known motifs for the baseline ``motif``.
    trunk : path, optional
        A trunk whose own outputs are read without training (row ``sibling``): the task's output,
        or the one that ranks the training part best.
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
    bundles = {name: open_bundle(path) for name, path in named.items()}
    data = _shared_examples(named, examples)
    rows = data.rows(part)
    if not len(rows):
        raise InputError(f"the examples have no {part} part")
    regions = data.regions.iloc[rows].reset_index(drop=True)
    labels = np.asarray(data.labels[rows])
    codes = np.asarray(data.codes[rows])
    table = regions[["chrom", "start", "end"]].copy()
    for column, task in enumerate(data.tasks):
        table[f"label {task}"] = labels[:, column]
    models: list[dict[str, Any]] = []
    frames: list[pd.DataFrame] = []

    def add(
        name: str,
        run: Path | None,
        strategy: str | None,
        seen: int,
        logits: NDArray[np.float32],
        thresholds: NDArray[np.float64],
        temperatures: NDArray[np.float64],
    ) -> None:
        for task, values in zip(data.tasks, logits.T, strict=True):
            table[f"{name} {task}"] = values
        metrics = per_task_metrics(labels, logits, data.tasks, thresholds, temperatures)
        frames.append(metrics.assign(model=name))
        models.append(
            {
                "name": name,
                "run": None if run is None else str(run.absolute()),
                "strategy": strategy,
                "seen": seen,
                "metrics": {row["task"]: _plain(row) for row in metrics.to_dict("records")},
            }
        )

    with bar("scoring", len(rows) * len(bundles)) as running:
        for name, bundle in bundles.items():
            seen = _count_seen(name, bundle, regions, allow_seen or part != "test")
            columns = _columns(name, bundle, data)
            model = bundle.model.to(choose_device(device))
            logits = score_codes(model, codes, tick=running.advance)[:, columns]
            add(name, named[name], bundle.card.get("strategy", {}).get("name"), seen,
                logits, bundle.thresholds[columns], bundle.temperatures[columns])  # fmt: skip
    for name in track(baselines, "baselines"):
        if name in named:
            raise InputError(f"a run is called {name!r} like a baseline; name it: NAME={name}")
        rung = climb(name, data, codes, pwms=pwms)
        seen = 0 if part == "test" else len(rows)
        add(name, None, _STRATEGY.get(name, name), seen,
            rung.logits, rung.thresholds, rung.temperatures)  # fmt: skip
    if trunk is not None:
        untrained = open_bundle(trunk)
        seen = _count_seen("sibling", untrained, regions, allow_seen or part != "test")
        rung, read = sibling(untrained, data, codes)
        add("sibling", None, f"sibling ({', '.join(read)})", seen, rung.logits, rung.thresholds,
            rung.temperatures)  # fmt: skip
    result = {
        "kind": "evaluation",
        "examples": data.content_hash(),
        "part": part,
        "tasks": list(data.tasks),
        "models": models,
    }
    place = Path(folder)
    with whole_file(place / "predictions.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    with whole_file(place / "metrics.tsv") as temporary:
        joined = pd.concat(frames, ignore_index=True)
        joined.insert(0, "model", joined.pop("model"))
        joined.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
    write_json(place / "metrics.json", result)
    return result


def open_predictions(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """Read the predictions of an evaluation folder."""
    path = Path(folder) / "predictions.parquet"
    if not path.exists():
        raise InputError(f"{folder}: expected an evaluation (predictions.parquet), found none")
    return pd.read_parquet(path)


def _shared_examples(named: dict[str, Path], examples: str | os.PathLike[str] | None) -> ExampleSet:
    if examples is not None:
        return open_examples(examples)
    sets = {
        name: open_examples(path / "examples")
        for name, path in named.items()
        if (path / "examples").is_dir()
    }
    if not sets:
        raise InputError("none of the runs holds examples; name an example set with --examples")
    hashes = {name: data.content_hash() for name, data in sets.items()}
    first = next(iter(sets))
    for name, value in hashes.items():
        if value != hashes[first]:
            raise InputError(
                f"runs {first!r} and {name!r} were trained on different examples, so their numbers "
                "cannot be compared; train one on the other's (--examples), or name an example set"
            )
    return sets[first]


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
