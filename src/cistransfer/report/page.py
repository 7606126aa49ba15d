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
from cistransfer.evaluation.figures import learning_curve, precision_recall, reliability
from cistransfer.evaluation.intervals import INTERVALS
from cistransfer.evaluation.runs import open_predictions
from cistransfer.examples.dataset import PARTS, open_examples
from cistransfer.models.bundle import open_bundle
from cistransfer.report.figures import as_base64, gc_histogram
from cistransfer.report.interpretations import Image, interpretation_part
from cistransfer.storage import read_json, write_text

__all__ = ["write_report"]

_METRICS = {
    "n": "windows",
    "positives": "bound",
    "prevalence": "prevalence",
    "aucpr": "AUCPR",
    "aucpr_1to10": "AUCPR 1:10",
    "average_precision": "AP",
    "auroc": "AUROC",
    "mcc": "MCC",
    "f1": "F1",
    "brier": "Brier",
    "ece": "ECE",
}
_FURTHER = {
    "aucpr_low": "AUCPR from",
    "aucpr_high": "AUCPR to",
    "aucpr_block_low": "AUCPR from (blocks)",
    "aucpr_block_high": "AUCPR to (blocks)",
    "aucpr_interpolated": "AUCPR (interpolated)",
    "aucpr_1to1": "AUCPR 1:1",
    "precision": "precision",
    "recall": "recall",
    "accuracy": "accuracy",
    "f1_negative": "F1 of unbound",
    "weighted_f1": "weighted F1",
    "log_loss": "log loss",
    "tp": "TP",
    "fp": "FP",
    "tn": "TN",
    "fn": "FN",
    "threshold": "threshold",
    "temperature": "temperature",
}
_LOWER_IS_BETTER = ("brier", "ece", "log_loss")
_NO_WINNER = (
    *INTERVALS, "n", "positives", "prevalence", "tp", "fp", "tn", "fn", "threshold", "temperature"
)  # fmt: skip


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
    result = read_json(folder / "metrics.json")
    if not isinstance(result, dict) or result.get("kind") != "evaluation":
        raise InputError(f"{folder / 'metrics.json'}: expected the record of an evaluation")
    tasks, models = result["tasks"], result["models"]
    runs = {model["name"]: Path(model["run"]) for model in models if model["run"]}
    shown = tasks[:6]
    return {
        "title": ", ".join(shown) + (" …" if len(tasks) > len(shown) else ""),
        "warning": _warning(result["part"], models),
        "headlines": [_headline(task, models) for task in shown],
        "metric_names": ["model", "task", *_METRICS.values()],
        "metrics": _metric_rows(_METRICS, tasks, models),
        "further_names": ["model", "task", *_FURTHER.values()],
        "further": _metric_rows(_FURTHER, tasks, models),
        "curves": _curves(folder, shown, models),
        "models": [_model_row(model) for model in models],
        **_example_facts(runs, shown),
        "learning": _learning(runs),
        "commands": _commands([*runs.values(), folder]),
    }


def _warning(part: str, models: list[dict[str, Any]]) -> str:
    """Word what is not held out; empty when all is."""
    if part != "test":
        return f"These are the {part} regions; the models have seen them."
    seen = {model["name"]: model["seen"] for model in models if model.get("seen")}
    return "; ".join(
        f"{name} or its trunk was trained or validated on {count:,} of these regions"
        for name, count in seen.items()
    ) + ("." if seen else "")


def _headline(task: str, models: list[dict[str, Any]]) -> dict[str, str]:
    known = [model for model in models if not model["metrics"][task]["why"]]
    if not known:
        return {"task": task, "text": models[0]["metrics"][task]["why"]}
    first = known[0]["metrics"][task]
    scores = ", ".join(f"{model['name']} {model['metrics'][task]['aucpr']:.3f}" for model in known)
    return {
        "task": task,
        "text": f"AUCPR {scores} on {first['positives']:,} bound of {first['n']:,} windows "
        f"(chance {first['prevalence']:.2f}).",
    }


def _metric_rows(
    names: dict[str, str], tasks: list[str], models: list[dict[str, Any]]
) -> list[list[dict[str, str]]]:
    rows = []
    for task in tasks:
        values = {
            key: [model["metrics"][task].get(key) for model in models]
            for key in names
            if key not in _NO_WINNER
        }
        best = {
            key: (min if key in _LOWER_IS_BETTER else max)(known)
            for key, found in values.items()
            if (known := [value for value in found if value is not None])
        }
        for model in models:
            row = [
                {"text": model["name"], "kind": "text"},
                {"text": task, "kind": "text"},
            ]
            for key in names:
                value = model["metrics"][task].get(key)
                winner = len(models) > 1 and value is not None and best.get(key) == value
                text = (
                    "–"
                    if value is None
                    else f"{value:,}"
                    if isinstance(value, int)
                    else f"{value:.3f}"
                )
                row.append({"text": text, "kind": "best" if winner else ""})
            rows.append(row)
    return rows


def _curves(folder: Path, tasks: list[str], models: list[dict[str, Any]]) -> list[Image]:
    table = open_predictions(folder)
    images = []
    for task in tasks:
        if models[0]["metrics"][task]["why"]:
            continue
        labels = table[f"label {task}"].to_numpy()
        scores = {model["name"]: table[f"{model['name']} {task}"].to_numpy() for model in models}
        drawn = precision_recall(labels, scores, title=task)
        images.append(Image(as_base64(drawn), f"Precision and recall, {task}."))
        first = models[0]
        calibrated = reliability(
            labels,
            scores[first["name"]],
            first["metrics"][task]["temperature"],
            title=f"{task}, {first['name']}",
        )
        caption = (
            f"Calibration of {first['name']} before and after the temperature fitted on validation."
        )
        images.append(Image(as_base64(calibrated), caption, wide=True))
    return images


def _model_row(model: dict[str, Any]) -> dict[str, str]:
    if not model["run"]:
        words = ", ".join(dict.fromkeys((model.get("fitted") or {}).values()))
        what = f"{model['strategy']} ({words})" if words else model["strategy"]
        row = {"name": model["name"], "strategy": f"baseline: {what}"}
        return {**row, "start": "–", "epochs": "–", "valid": "–"}
    card = open_bundle(model["run"]).card
    start = "random weights"
    if card.trunk is not None:
        tasks = card.trunk.tasks
        named = ", ".join(tasks[:12]) + (f" … ({len(tasks)} TFs)" if len(tasks) > 12 else "")
        start = f"trunk pre-trained on {named}"
    valid = [value for value in card.validation["aucpr"] if value is not None]
    return {
        "name": model["name"],
        "strategy": f"{card.strategy.name}: {card.strategy.summary}",
        "start": start,
        "epochs": str(card.epochs),
        "valid": f"{np.mean(valid):.3f}" if valid else "–",
    }


def _example_facts(runs: dict[str, Path], tasks: list[str]) -> dict[str, Any]:
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
    for part in PARTS:
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
    return {"examples": text, "counts": counts, "count_tasks": tasks, "example_figures": [image]}


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
