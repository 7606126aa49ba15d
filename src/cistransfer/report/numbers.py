"""The tables of the report: metrics and which of them is best, models, examples, commands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cistransfer.evaluation.results import INTERVALS, Evaluation, ModelScore, TaskScore
from cistransfer.examples.dataset import open_examples
from cistransfer.metrics.table import METRICS
from cistransfer.models.bundle import open_bundle
from cistransfer.storage import read_json

__all__ = [
    "best_of",
    "columns",
    "commands",
    "example_facts",
    "learn_command",
    "metric_rows",
    "model_row",
]

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
_DROPPED = {
    "no_sequence": "without a sequence",
    "with_n": "with N",
    "seen_by_trunk": "seen by the trunk",
}
_ASKED = {
    "peaks": "--peaks",
    "genome": "--genome",
    "open_regions": "--open",
    "tf": "--tf",
    "trunk": "--trunk",
    "motifs": "--motifs",
    "blacklist": "--blacklist",
    "columns": "--columns",
    "window": "--window",
    "seed": "--seed",
}


def columns(further: bool) -> dict[str, str]:
    """Names and headings of the first table's columns, or of the table of further numbers."""
    metrics = {
        name: metric.heading
        for name, metric in METRICS.items()
        if (metric.shown == "further") is further
    }
    return {**_ENDS, **metrics, **_COUNTS, **_FITTED} if further else {**_ROWS, **metrics}


def best_of(name: str, scores: Sequence[TaskScore]) -> float | None:
    """The best value of a metric among the models that may win it; None where nothing is won.

    One that ranks no better than chance has won nothing: it can still be well calibrated. And
    what is no ranking (calibration, calls) is won only by a model whose AUCPR is not below the
    interval of the best one: who knows little is rarely wrong about how much.
    """
    if name not in METRICS or len(scores) < 2:
        return None
    able = _able(scores, METRICS[name].input == "ranking")
    known = [float(value) for score in able if (value := score.values.get(name)) is not None]
    if not known:
        return None
    return min(known) if METRICS[name].better == "low" else max(known)


def _able(scores: Sequence[TaskScore], ranking: bool) -> list[TaskScore]:
    able = [score for score in scores if score.beats_chance]
    if ranking or not able:
        return able
    top = max(able, key=lambda score: float(score.values.get("aucpr") or 0))
    ends = top.interval("aucpr")
    least = float(top.values.get("aucpr") or 0) if ends is None else ends[0]
    return [score for score in able if float(score.values.get("aucpr") or 0) >= least]


def metric_rows(names: Mapping[str, str], found: Evaluation) -> list[list[dict[str, Any]]]:
    """Cells of a table of metrics: ``text``, ``value`` (to sort by) and ``kind``."""
    rows = []
    for task in found.tasks:
        scores = [model.tasks[task] for model in found.models]
        best = {name: best_of(name, scores) for name in names}
        able = {
            name: _able(scores, METRICS[name].input == "ranking") for name in names if best[name]
        }
        for model, score in zip(found.models, scores, strict=True):
            row: list[dict[str, Any]] = [
                {"text": text, "value": text, "kind": "text"} for text in (model.name, task)
            ]
            for name in names:
                known = name in score.values or name in (*_ROWS, *_FITTED)
                value = score[name] if known else None
                text = "–" if value is None else f"{value:,}" if isinstance(value, int) else ""
                text = text or f"{value:.3f}"
                won = value is not None and value == best[name] and score in able.get(name, ())
                row.append(
                    {
                        "text": text,
                        "value": "" if value is None else value,
                        "kind": "best" if won else "",
                    }
                )
            rows.append(row)
    return rows


def model_row(model: ModelScore, run: Path | None) -> dict[str, str]:
    """What a model is and where it starts from; a baseline, what it fitted."""
    if run is None:
        words = ", ".join(dict.fromkeys(model.fitted.values()))
        what = f"{model.strategy} ({words})" if words else str(model.strategy)
        row = {"name": model.name, "strategy": f"baseline: {what}"}
        return {**row, "start": "–", "epochs": "–", "valid": "–"}
    card = open_bundle(run).card
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


def example_facts(place: Path | None, tasks: Sequence[str]) -> dict[str, Any]:
    """An example set in words and counts: ``text``, ``counts``, ``learned`` (bound windows that
    trained or validated, by task), ``gc``.
    """
    if place is None:
        return {"text": "", "counts": [], "learned": {}, "gc": None, "hash": ""}
    facts = read_json(place / "dataset.json")
    regions = open_examples(place).regions
    dropped = facts.get("dropped", {})
    lost = ", ".join(f"{count:,} {_DROPPED.get(key, key)}" for key, count in dropped.items())
    text = (
        f"{facts['examples']:,} windows of {facts['window']} bp from {facts.get('source')} "
        f"(sequence: {facts.get('genome')}). "
        + (f"Negatives: {facts['negatives']}. " if "negatives" in facts else "")
        + (f"Left out: {lost}." if lost else "")
    )
    by_chromosome = (facts.get("split") or {}).get("by") == "chromosome"
    counts = []
    for part in facts["counts"]:
        chroms = list(dict.fromkeys(regions.loc[regions["part"] == part, "chrom"]))
        counts.append(
            {
                "part": part,
                "numbers": [
                    facts["counts"][part][task][state]
                    for task in tasks
                    for state in ("bound", "unbound")
                ],
                "chroms": ", ".join(chroms) if by_chromosome else "all (random split)",
            }
        )
    learned = {
        task: sum(
            facts["counts"][part][task]["bound"]
            for part in ("train", "valid")
            if part in facts["counts"]
        )
        for task in tasks
    }
    return {
        "text": text, "counts": counts, "learned": learned, "gc": facts["gc"],
        "hash": facts.get("content", ""),
    }  # fmt: skip


def commands(folders: Sequence[Path]) -> list[str]:
    """What runs again whatever has a record."""
    return [
        f"cistransfer rerun {shlex.quote(str(folder))} --out NEW_FOLDER"
        for folder in folders
        if (folder / "config.json").exists()
    ]


def learn_command(asked: Mapping[str, Any]) -> str:
    """The command line of a ``cistransfer learn``, of what it was asked."""
    words = ["cistransfer", "learn"]
    for name, flag in _ASKED.items():
        if asked.get(name) is not None:
            words += [flag, shlex.quote(str(asked[name]))]
    if asked.get("final"):
        words.append("--final")
    return " ".join([*words, "--out", "NEW_FOLDER"])
