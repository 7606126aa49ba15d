"""The report: one HTML page about one or more evaluations."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import cistransfer
from cistransfer.errors import InputError
from cistransfer.evaluation.results import (
    INTERVALS,
    Evaluation,
    ModelScore,
    TaskScore,
    open_evaluation,
)
from cistransfer.evaluation.runs import open_predictions
from cistransfer.examples.dataset import open_examples
from cistransfer.metrics.table import METRICS
from cistransfer.models.bundle import open_bundle
from cistransfer.report.figures import (
    as_base64,
    gc_histogram,
    learning_curve,
    ranking_curves,
    reliability,
)
from cistransfer.report.interpretations import Image, interpretation_part
from cistransfer.storage import read_json, write_text

__all__ = ["write_report"]

_COUNTS = {"tp": "TP", "fp": "FP", "tn": "TN", "fn": "FN"}
_FITTED = {"threshold": "threshold", "temperature": "temperature"}
_ROWS = {"n": "windows", "positives": "bound", "prevalence": "prevalence"}
_ENDS = dict(
    zip(
        INTERVALS,
        ("AUCPR from", "AUCPR to", "AUCPR from (blocks)", "AUCPR to (blocks)"),
        strict=True,
    )
)


def _columns(further: bool) -> dict[str, str]:
    """Names and headings of the first table's columns, or of the table of further numbers."""
    metrics = {
        name: metric.heading
        for name, metric in METRICS.items()
        if (metric.shown == "further") is further
    }
    return {**_ENDS, **metrics, **_COUNTS, **_FITTED} if further else {**_ROWS, **metrics}


def write_report(
    out: str | os.PathLike[str],
    evaluations: Sequence[str | os.PathLike[str]],
    *,
    title: str = "Transfer and scratch on held-out regions",
) -> Path:
    """Write one self-contained HTML page about evaluations.

    Everything comes from the folders themselves: metrics and predictions of the evaluation, and
    card, learning curve, examples and configuration of each run it names.

    Parameters
    ----------
    out : path
        The HTML file.
    evaluations : sequence of path
        Folders that ``cistransfer evaluate`` or ``cistransfer interpret`` wrote; the latter give
        sections of their own, behind the others.
    title : str

    Returns
    -------
    Path

    Raises
    ------
    InputError
        When a folder is no evaluation, or a run that it names is gone.
    """
    from jinja2 import Environment

    if not evaluations:
        raise InputError("a report needs at least one evaluation folder")
    parts, learned = [], []
    for folder in map(Path, evaluations):
        summary = _summary(folder)
        if summary is None:
            parts.append(_part(folder))
        else:
            learned.append(interpretation_part(folder, summary))
    source = (resources.files("cistransfer.report") / "page.html").read_text(encoding="utf-8")
    template = Environment(autoescape=True).from_string(source)
    write_text(
        out,
        template.render(
            title=title,
            version=cistransfer.__version__,
            parts=parts,
            learned=learned,
            heldout=all(not part["warning"] for part in parts),
        ),
    )
    return Path(out)


def _summary(folder: Path) -> dict[str, Any] | None:
    """Read what an interpretation says of itself; None for a folder that is something else."""
    place = folder / "summary.json"
    if (folder / "metrics.json").exists() or not place.is_file():
        return None
    summary = read_json(place)
    if not isinstance(summary, dict) or summary.get("kind") != "interpretation":
        raise InputError(f"{place}: expected the summary of an interpretation")
    return summary


def _part(folder: Path) -> dict[str, Any]:
    found = open_evaluation(folder)
    runs = {model.name: Path(model.run) for model in found.models if model.run}
    shown = found.tasks[:6]
    return {
        "title": ", ".join(shown) + (" …" if len(found.tasks) > len(shown) else ""),
        "warning": _warning(found),
        "published": found.protocol == "published",
        "headlines": [_headline(task, found.models) for task in shown],
        "metric_names": ["model", "task", *_columns(False).values()],
        "metrics": _metric_rows(_columns(False), found),
        "further_names": ["model", "task", *_columns(True).values()],
        "further": _metric_rows(_columns(True), found),
        "curves": _curves(folder, shown, found.models),
        "models": [_model_row(model) for model in found.models],
        **_example_facts(runs, shown),
        "learning": _learning(runs),
        "commands": _commands([*runs.values(), folder]),
    }


def _warning(found: Evaluation) -> str:
    """Word what is not held out; empty when all is."""
    if found.part != "test":
        return f"These are the {found.part} regions; the models have seen them."
    said = [
        f"{model.name} or its trunk was trained or validated on {model.seen:,} of these regions"
        for model in found.models
        if model.seen
    ] + [
        f"the split is random, and {model.neighbours:,} of these regions overlap windows that "
        f"{model.name} was trained or validated on"
        for model in found.models
        if model.neighbours
    ]
    return "; ".join(said) + ("." if said else "")


def _headline(task: str, models: Sequence[ModelScore]) -> dict[str, str]:
    known = {model.name: model.tasks[task] for model in models if not model.tasks[task].why}
    if not known:
        return {"task": task, "text": models[0].tasks[task].why}
    first = next(iter(known.values()))
    scores = ", ".join(f"{name} {score['aucpr']:.3f}" for name, score in known.items())
    return {
        "task": task,
        "text": f"AUCPR {scores} on {first.positives:,} bound of {first.n:,} windows "
        f"(chance {first['prevalence']:.2f}).",
    }


def _best(name: str, scores: Sequence[TaskScore]) -> float | None:
    """The best value of a metric among the models that rank better than chance.

    One that knows nothing can still be well calibrated: it has not won anything.
    """
    if name not in METRICS:
        return None
    able = [score.values.get(name) for score in scores if score.beats_chance]
    known = [float(value) for value in able if value is not None]
    if not known or len(scores) < 2:
        return None
    return min(known) if METRICS[name].better == "low" else max(known)


def _metric_rows(names: dict[str, str], found: Evaluation) -> list[list[dict[str, str]]]:
    rows = []
    for task in found.tasks:
        scores = [model.tasks[task] for model in found.models]
        best = {name: _best(name, scores) for name in names}
        for model, score in zip(found.models, scores, strict=True):
            row = [{"text": model.name, "kind": "text"}, {"text": task, "kind": "text"}]
            for name in names:
                known = name in score.values or name in (*_ROWS, *_FITTED)
                value = score[name] if known else None
                text = "–" if value is None else f"{value:,}" if isinstance(value, int) else ""
                text = text or f"{value:.3f}"
                won = value is not None and value == best[name] and score.beats_chance
                row.append({"text": text, "kind": "best" if won else ""})
            rows.append(row)
    return rows


def _curves(folder: Path, tasks: Sequence[str], models: Sequence[ModelScore]) -> list[Image]:
    table = open_predictions(folder)
    images = []
    for task in tasks:
        first = models[0]
        if first.tasks[task].why:
            continue
        labels = table[f"label {task}"].to_numpy()
        scores = {model.name: table[f"{model.name} {task}"].to_numpy() for model in models}
        drawn = ranking_curves(labels, scores, title=task)
        caption = f"Precision and recall, and ROC curves, {task}."
        images.append(Image(as_base64(drawn), caption, wide=True))
        calibrated = reliability(
            labels,
            scores[first.name],
            first.tasks[task].temperature or 1.0,
            title=f"{task}, {first.name}",
        )
        caption = (
            f"Calibration of {first.name} before and after the temperature fitted on validation."
        )
        images.append(Image(as_base64(calibrated), caption, wide=True))
    return images


def _model_row(model: ModelScore) -> dict[str, str]:
    if not model.run:
        words = ", ".join(dict.fromkeys(model.fitted.values()))
        what = f"{model.strategy} ({words})" if words else str(model.strategy)
        row = {"name": model.name, "strategy": f"baseline: {what}"}
        return {**row, "start": "–", "epochs": "–", "valid": "–"}
    card = open_bundle(model.run).card
    start = "random weights"
    if card.trunk is not None:
        tasks = card.trunk.tasks
        named = ", ".join(tasks[:12]) + (f" … ({len(tasks)} TFs)" if len(tasks) > 12 else "")
        start = f"trunk pre-trained on {named}"
    valid = [value for value in card.validation["aucpr"] if value is not None]
    return {
        "name": model.name,
        "strategy": f"{card.strategy.name}: {card.strategy.summary}",
        "start": start,
        "epochs": str(card.epochs),
        "valid": f"{np.mean(valid):.3f}" if valid else "–",
    }


def _example_facts(runs: dict[str, Path], tasks: Sequence[str]) -> dict[str, Any]:
    place = next((run / "examples" for run in runs.values() if (run / "examples").is_dir()), None)
    if place is None:
        return {"examples": "", "counts": [], "count_tasks": [], "example_figures": []}
    facts = read_json(place / "dataset.json")
    regions = open_examples(place).regions
    dropped = facts.get("dropped", {})
    words = {
        "no_sequence": "without a sequence",
        "with_n": "with N",
        "seen_by_trunk": "seen by the trunk",
    }
    lost = ", ".join(f"{count:,} {words.get(key, key)}" for key, count in dropped.items())
    text = (
        f"{facts['examples']:,} windows of {facts['window']} bp from {facts.get('source')} "
        f"(sequence: {facts.get('genome')}). "
        + (f"Negatives: {facts['negatives']}. " if "negatives" in facts else "")
        + (f"Left out: {lost}." if lost else "")
    )
    counts = []
    for part in facts["counts"]:
        chroms = list(dict.fromkeys(regions.loc[regions["part"] == part, "chrom"]))
        by_chromosome = (facts.get("split") or {}).get("by") == "chromosome"
        counts.append(
            {
                "part": part,
                "numbers": [
                    f"{facts['counts'][part][task][state]:,}"
                    for task in tasks
                    for state in ("bound", "unbound")
                ],
                "chroms": ", ".join(chroms) if by_chromosome else "all (random split)",
            }
        )
    image = Image(as_base64(gc_histogram(facts["gc"])), "GC content of bound and unbound windows.")
    return {
        "examples": text,
        "counts": counts,
        "count_tasks": list(tasks),
        "example_figures": [image],
    }


def _learning(runs: dict[str, Path]) -> list[Image]:
    images = []
    shown: set[Path] = set()
    for name, run in runs.items():
        config = run / "config.json"
        start = read_json(config)["arguments"].get("start") if config.exists() else None
        for label, place in ((f"{name}'s trunk", Path(start) if start else None), (name, run)):
            if place is None or place in shown or not (place / "history.tsv").exists():
                continue
            shown.add(place)
            history = pd.read_csv(place / "history.tsv", sep="\t")
            drawn = learning_curve(history, title=label)
            images.append(Image(as_base64(drawn), f"Learning curve of {label}.", wide=True))
    return images


def _commands(folders: list[Path]) -> list[str]:
    lines = []
    for folder in folders:
        if (folder / "config.json").exists():
            lines.append(f"cistransfer rerun {shlex.quote(str(folder))} --out NEW_FOLDER")
    return lines
