"""The report: one HTML page about evaluations, interpretations and what ``learn`` answered."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from importlib import resources
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd

import cistransfer
from cistransfer.errors import InputError
from cistransfer.evaluation.results import Evaluation, open_evaluation
from cistransfer.evaluation.runs import open_predictions
from cistransfer.evaluation.verdict import Verdict, is_cheap, judge
from cistransfer.report.figures import (
    gc_histogram,
    learning_curve,
    model_intervals,
    ranking_curves,
    reliability,
    score_histogram,
)
from cistransfer.report.inline import Plot, glyphs, plot
from cistransfer.report.learned import learned_part
from cistransfer.report.numbers import (
    columns,
    commands,
    example_facts,
    learn_command,
    metric_rows,
    model_row,
)
from cistransfer.storage import read_json, write_text
from cistransfer.training.probe import evidence_line

__all__ = ["write_report"]

_MAX_TASKS = 6  # of one evaluation, drawn
_MAX_ROWS = 60  # of the overview's figure
_TOP = 25  # predictions of regions, listed
_WORDS = {
    "better": "better than the cheap ways",
    "undecided": "not distinguishable from a cheap way",
    "worse": "worse than a cheap way",
    "alone": "compared with no cheap way",
}


def write_report(
    out: str | os.PathLike[str],
    folders: Sequence[str | os.PathLike[str]],
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
    folders : sequence of path
        Folders that ``cistransfer evaluate``, ``interpret`` or ``learn`` wrote. What a model
        learned stands in the section of its evaluation, where that is among the folders; else
        behind the others.
    title : str

    Returns
    -------
    Path

    Raises
    ------
    InputError
        When a folder is none of these, or a run that it names is gone.
    """
    from jinja2 import Environment

    if not folders:
        raise InputError("a report needs at least one evaluation folder")
    numbers = count()
    parts: list[dict[str, Any]] = []
    learned: list[dict[str, Any]] = []
    places = [Path(folder) for folder in folders]
    many = sum(_summary(place) is None for place in places) > 1
    for folder in places:
        summary = _summary(folder)
        if (folder / "answer.json").exists():
            parts.append(_answer(folder, numbers, many))
        elif summary is None:
            parts.append(_part(folder, numbers, many))
        else:
            learned.append({**learned_part(folder, summary), "bundle": summary["bundle"]})
    for each in list(learned):
        for part in parts:
            bundle = Path(each["bundle"])
            if part["learned"] is None and any(
                run in (bundle, *bundle.parents) for run in part["runs"]
            ):
                part["learned"] = each
                learned.remove(each)
                break
    read = {
        name: (resources.files("cistransfer.report") / f"page.{name}").read_text(encoding="utf-8")
        for name in ("html", "css", "js")
    }
    digest = base64.b64encode(hashlib.sha256(read["js"].encode()).digest()).decode()
    template = Environment(autoescape=True, trim_blocks=True).from_string(read["html"])
    several = sum(len(part["verdicts"]) for part in parts) > 1 or len(parts) > 1
    write_text(
        out,
        template.render(
            title=title,
            version=cistransfer.__version__,
            css=read["css"],
            script=read["js"],
            digest=digest,
            glyphs=glyphs(),
            words=_WORDS,
            parts=parts,
            learned=learned,
            several=several,
            overview=_overview(parts, numbers) if several else None,
            heldout=all(not part["warning"] for part in parts),
        ),
    )
    return Path(out)


def _summary(folder: Path) -> dict[str, Any] | None:
    """The summary of an interpretation folder; None for an evaluation's."""
    place = folder / "summary.json"
    if (folder / "metrics.json").exists() or not place.is_file():
        return None
    summary = read_json(place)
    if not isinstance(summary, dict) or summary.get("kind") != "interpretation":
        raise InputError(f"{place}: expected the summary of an interpretation")
    return summary


def _answer(folder: Path, numbers: count[int], several: bool) -> dict[str, Any]:
    """The part of a folder that ``learn`` wrote."""
    answer = read_json(folder / "answer.json")
    if not isinstance(answer, dict) or not isinstance(answer.get("tf"), str):
        raise InputError(f"{folder / 'answer.json'}: expected what 'cistransfer learn' wrote")
    part = _part(folder / "evaluation", numbers, several, handed=folder / "model")
    learned = folder / "what-it-learned"
    summary = _summary(learned)
    if summary is not None:
        part["learned"] = learned_part(learned, summary)
    asked, said = answer.get("asked"), answer.get("sentence")
    evidence = evidence_line(answer["evidence"]) if answer.get("evidence") else ""
    return {
        **part,
        "title": answer["tf"],
        "notes": [str(note) for note in answer.get("notes", ()) if note not in (said, evidence)],
        "evidence": evidence[:1].upper() + evidence[1:],
        "top": _top(folder / "predictions.tsv.gz", answer["tf"]),
        "commands": [
            *([learn_command(asked)] if isinstance(asked, dict) else ()),
            *part["commands"],
        ],
    }


def _top(path: Path, task: str) -> dict[str, Any] | None:
    """The regions that are scored highest."""
    if not path.exists():
        return None
    table = pd.read_csv(path, sep="\t")
    if task not in table:
        return None
    best = table.sort_values(task, ascending=False, kind="stable").head(_TOP)
    return {
        "n": int(table[task].notna().sum()),
        "rows": [
            {
                "place": f"{row['chrom']}:{int(row['start']) + 1:,}-{int(row['end']):,}",
                "probability": float(row[task]),
            }
            for row in best.dropna(subset=[task]).to_dict("records")
        ],
    }


def _part(
    folder: Path, numbers: count[int], several: bool, handed: Path | None = None
) -> dict[str, Any]:
    """One evaluation: ``handed`` is the model that is handed out where its rows name no run."""
    found = open_evaluation(folder)
    runs = {model.name: Path(model.run) for model in found.models if model.run}
    if handed is not None:
        runs.setdefault(found.models[0].name, handed)
    shown = found.tasks[:_MAX_TASKS]
    place = next((run / "examples" for run in runs.values() if (run / "examples").is_dir()), None)
    facts = example_facts(place, shown)
    table = open_predictions(folder)
    learning, fitted = _learning(runs, numbers)
    tasks = [
        _task(found, table, task, facts["learned"].get(task), numbers, several or len(shown) > 1)
        for task in shown
    ]
    return {
        "title": ", ".join(shown) + (" …" if len(found.tasks) > len(shown) else ""),
        "id": f"part-{next(numbers)}",
        "runs": list(runs.values()),
        "warning": _warning(found),
        "published": found.protocol == "published",
        "tasks": tasks,
        "verdicts": [task["verdict"] for task in tasks if task["verdict"]],
        "metric_names": ["model", "task", *columns(False).values()],
        "metrics": metric_rows(columns(False), found),
        "further_names": ["model", "task", *columns(True).values()],
        "further": metric_rows(columns(True), found),
        "models": [model_row(model, runs.get(model.name)) for model in found.models],
        "examples": facts,
        "count_tasks": list(shown),
        "gc": _gc(facts["gc"], numbers),
        "learning": learning,
        "fitted": fitted,
        "commands": commands([*runs.values(), folder]),
        "learned": None,
        "notes": [],
        "evidence": "",
        "top": None,
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


def _task(
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
        "words": _WORDS[verdict.word],
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


def _overview(parts: Sequence[Mapping[str, Any]], numbers: count[int]) -> dict[str, Any]:
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


def _gc(counts: Any, numbers: count[int]) -> Plot | None:
    if counts is None:
        return None
    words = "GC content of bound and unbound windows."
    table = pd.DataFrame(counts)
    return plot(gc_histogram(counts), words, f"f{next(numbers)}", name="gc", table=table)


def _learning(runs: Mapping[str, Path], numbers: count[int]) -> tuple[list[Plot], list[str]]:
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
            history = pd.read_csv(place / "history.tsv", sep="\t")
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
