"""The report: one HTML page about evaluations, interpretations and what ``learn`` answered."""

from __future__ import annotations

import base64
import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from itertools import count
from pathlib import Path
from typing import Any

import cistransfer
from cistransfer.errors import InputError
from cistransfer.evaluation.results import Evaluation, open_evaluation
from cistransfer.evaluation.runs import open_predictions
from cistransfer.genome.bed import read_bed
from cistransfer.report.inline import glyphs
from cistransfer.report.learned import learned_part
from cistransfer.report.numbers import (
    columns,
    commands,
    example_facts,
    learn_command,
    metric_rows,
    model_row,
)
from cistransfer.report.parts import WORDS, gc_plot, learning, overview, task_part
from cistransfer.storage import read_json, read_tsv, shaped, write_text
from cistransfer.training.probe import evidence_line

__all__ = ["write_report"]

_MAX_TASKS = 6  # of one evaluation, drawn
_TOP = 25  # predictions of regions, listed
_HANDED = (
    "The model that is handed out was fitted on the tested regions too, after models like it were "
    "evaluated without them: the numbers are theirs."
)


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
        with shaped(folder, "a folder of 'evaluate', 'interpret' or 'learn'"):
            if (folder / "answer.json").exists():
                parts.append(_answer(folder, numbers, many))
            elif summary is None:
                parts.append(_part(folder, numbers, many))
            else:
                found = learned_part(folder, summary)
                named = {"bundle": summary["bundle"], "folder": Path(folder).resolve().name}
                learned.append({**found, **named})
    for each in list(learned):
        for part in parts:
            bundle = Path(each["bundle"])
            if part["learned"] is None and any(
                run in (bundle, *bundle.parents) for run in part["runs"]
            ):
                part["learned"] = each
                learned.remove(each)
                break
    titles = Counter(each["title"] for each in learned)
    for each in learned:
        if titles[each["title"]] > 1:
            each["title"] += f" ({each['folder']})"
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
            words=WORDS,
            parts=parts,
            learned=learned,
            several=several,
            overview=overview(parts, numbers) if several else None,
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
    if (folder / "held-out").is_dir():
        part["warning"] = " ".join(filter(None, (part["warning"], _HANDED)))
    return {
        **part,
        "title": answer["tf"],
        "notes": [str(note) for note in answer.get("notes", ()) if note not in (said, evidence)],
        "evidence": evidence[:1].upper() + evidence[1:],
        "top": _top(folder / "predictions.tsv.gz", answer["tf"]),
        "commands": [
            *([learn_command(asked)] if isinstance(asked, dict) and asked.get("peaks") else ()),
            *part["commands"],
        ],
    }


def _top(path: Path, task: str) -> dict[str, Any] | None:
    """The regions that are scored highest."""
    if not path.exists():
        return None
    table = read_tsv(path, ())
    if task not in table:
        return None
    table = read_tsv(path, (task,))
    places = read_bed(path)  # under the names, and counted as, in the file that was scored
    table = places[["chrom", "start", "end"]].assign(**{task: table[task]})
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
    curves, fitted = learning(runs, numbers)
    tasks = [
        task_part(
            found, table, task, facts["learned"].get(task), numbers, several or len(shown) > 1
        )
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
        "gc": gc_plot(facts["gc"], numbers),
        "learning": curves,
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
