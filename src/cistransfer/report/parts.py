"""What the report draws of a task, of all tasks, and of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd

from cistransfer.evaluation.results import Evaluation
from cistransfer.evaluation.verdict import Verdict, is_cheap, judge
from cistransfer.report.figures import (
    gc_histogram,
    learning_curve,
    model_intervals,
    ranking_curves,
    reliability,
    score_histogram,
)
from cistransfer.report.inline import Plot, plot
from cistransfer.storage import read_json, read_tsv

__all__ = ["WORDS", "gc_plot", "learning", "overview", "task_part"]

_MAX_ROWS = 60  # of the overview's figure
WORDS = {
    "better": "better than the cheap ways",
    "undecided": "not distinguishable from a cheap way",
    "worse": "worse than a cheap way",
    "alone": "compared with no cheap way",
}
"""Verdicts, as the page says them."""


def task_part(
    found: Evaluation,
    table: pd.DataFrame,
    task: str,
    learned: int | None,
    numbers: count[int],
    several: bool,
) -> dict[str, Any]:
    """Verdict and figures of one task, with a small one where there are several."""
    first = found.models[0]
    score = first.tasks[task]
    if score.why:
        return {"name": task, "why": score.why, "verdict": None, "plots": []}
    verdict = judge(found, table, task)
    labels = table[f"label {task}"].to_numpy()
    scores = {model.name: table[f"{model.name} {task}"].to_numpy() for model in found.models}
    temperature = score.temperature or 1.0
    intervals = _intervals(found, task)
    chance = float(score["prevalence"] or 0)

    def key() -> str:
        return f"f{next(numbers)}"

    drawn = model_intervals(intervals, chance=chance)
    plots = {
        "intervals": plot(
            drawn,
            f"AUCPR of each model with its 95 % interval, {task}.",
            key(),
            name=f"models {task}",
            table=intervals,
        )
    }
    for name, words in (
        ("precision-recall", f"Precision and recall, {task}."),
        ("roc", f"ROC curves, {task}."),
    ):
        curves = ranking_curves(labels, scores, panels=[name])
        plots[name] = plot(
            curves, words, key(), hover=True, name=f"{name} {task}", table=_line_table(curves)
        )
    calibrated = reliability(labels, scores[first.name], temperature, panels=["calibration"])
    plots["calibration"] = plot(
        calibrated,
        f"Calibration of {first.name} on {task}, before and after the temperature fitted on "
        "validation. On the diagonal a probability is the share of bound windows.",
        key(),
        hover=True,
        name=f"calibration {task}",
        table=_line_table(calibrated),
    )
    spread = score_histogram(labels, scores[first.name], temperature, score.threshold)
    probabilities = pd.DataFrame({"label": labels, "logit": scores[first.name]})
    plots["scores"] = plot(
        spread,
        f"Predicted probabilities of {first.name} for bound and unbound windows, {task}.",
        key(),
        name=f"probabilities {task}",
        table=probabilities,
    )
    if several:
        rival = {} if verdict.best is None else {verdict.best.name: scores[verdict.best.name]}
        small = ranking_curves(
            labels, {first.name: scores[first.name], **rival}, panels=["precision-recall"],
            size=(2.9, 2.3),
        )  # fmt: skip
        words = f"Precision and recall, {task}: {first.name}"
        words += f" and {verdict.best.words}." if verdict.best else "."
        plots["small"] = plot(small, words, key(), name=f"small {task}", table=_line_table(small))
    return {"name": task, "why": "", "verdict": _verdict(verdict, learned), "plots": plots}


def _verdict(verdict: Verdict, learned: int | None) -> dict[str, Any]:
    """What the page says of a verdict."""
    return {
        "task": verdict.task,
        "model": verdict.model,
        "word": verdict.word,
        "words": WORDS[verdict.word],
        "learned": learned,
        "ranks": verdict.ranks,
        "aucpr": verdict.aucpr,
        "auroc": verdict.auroc,
        "best": verdict.best,
        "advice": verdict.advice,
        "against": verdict.against,
        "n": verdict.n,
        "bound": verdict.bound,
    }


def _intervals(found: Evaluation, task: str) -> pd.DataFrame:
    """A row of `model_intervals` for each model, the best first."""
    rows = []
    for model in found.models:
        score = model.tasks[task]
        low, high = score.interval("aucpr") or (None, None)
        rows.append((model.name, score["aucpr"], low, high, not is_cheap(model)))
    table = pd.DataFrame(rows, columns=["name", "aucpr", "low", "high", "own"])
    table[["low", "high"]] = table[["low", "high"]].astype(float)
    return table.sort_values("aucpr", ascending=False, kind="stable", ignore_index=True)


def _line_table(made: Any) -> pd.DataFrame:
    """The named lines of a figure of one panel, as rows."""
    (panel,) = made.axes
    frames = [
        pd.DataFrame(line.get_xydata(), columns=[panel.get_xlabel(), panel.get_ylabel()]).assign(
            line=str(line.get_label())
        )
        for line in panel.lines
        if not str(line.get_label()).startswith("_")
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def overview(parts: Sequence[Mapping[str, Any]], numbers: count[int]) -> dict[str, Any]:
    """All tasks of all evaluations: a row each, and a small panel each."""
    rows, panels = [], []
    twice = _twice([str(part["title"]) for part in parts])
    for part in parts:
        for each in part["tasks"]:
            task = each["name"]
            if each["verdict"] is None:
                continue
            verdict = each["verdict"]
            name = f"{task} ({verdict['model']})" if part["title"] in twice else task
            best = verdict["best"]
            rows.append(
                {
                    "name": name,
                    "aucpr": verdict["aucpr"].estimate,
                    "low": verdict["aucpr"].low,
                    "high": verdict["aucpr"].high,
                    "own": True,
                    "rival": None if best is None else best.aucpr,
                    "rival_name": "" if best is None else best.name,
                }
            )
            panels.append(
                {"name": name, "id": part["id"], "verdict": verdict, "plot": each["plots"]["small"]}
            )
    table = pd.DataFrame(rows)
    if table.empty:
        return {"plot": None, "panels": []}
    if table["rival"].isna().all():
        table = table.drop(columns=["rival", "rival_name"])
    else:
        table["rival"] = table["rival"].astype(float)
    drawn = plot(
        model_intervals(table.head(_MAX_ROWS)),
        f"AUCPR of {len(table)} models with 95 % intervals"
        + (", and the best baseline of each." if "rival" in table else "."),
        f"f{next(numbers)}",
        name="overview",
        table=table,
    )
    return {"plot": drawn, "panels": panels}


def _twice(names: Sequence[str]) -> set[str]:
    return {name for name in names if names.count(name) > 1}


def gc_plot(counts: Any, numbers: count[int]) -> Plot | None:
    """GC content of an example set's windows."""
    if counts is None:
        return None
    words = "GC content of bound and unbound windows."
    table = pd.DataFrame(counts)
    return plot(gc_histogram(counts), words, f"f{next(numbers)}", name="gc", table=table)


def learning(runs: Mapping[str, Path], numbers: count[int]) -> tuple[list[Plot], list[str]]:
    """Learning curves; what was fitted without epochs is said in words."""
    plots, words = [], []
    shown: set[Path] = set()
    for name, run in runs.items():
        config = run / "config.json"
        asked = read_json(config)["arguments"] if config.exists() else {}
        start = asked.get("trunk") or asked.get("start")  # the latter in older records
        trunk = Path(start) if start and Path(start).is_absolute() else None  # else a name
        for label, place in ((f"{name}'s trunk", trunk), (name, run)):
            if place is None or place in shown or not (place / "history.tsv").exists():
                continue
            shown.add(place)
            history = read_tsv(place / "history.tsv", ("train_loss", "valid_loss"))
            if len(history) == 1:
                row = history.iloc[0]
                told = f"{label}: one fit without epochs; validation loss {row['valid_loss']:.3f}"
                if pd.notna(row.get("valid_aucpr")):
                    told += f", AUCPR {row['valid_aucpr']:.3f}"
                words.append(f"{told}.")
                continue
            drawn = learning_curve(history)
            caption = f"Learning curve of {label}."
            plots.append(
                plot(
                    drawn, caption, f"f{next(numbers)}", hover=True, name=f"training {label}",
                    table=history,
                )
            )  # fmt: skip
    return plots, words
