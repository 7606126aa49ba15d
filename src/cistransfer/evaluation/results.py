"""What an evaluation found, typed: `metrics.json` in Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cistransfer.errors import InputError, nearest
from cistransfer.metrics.table import METRICS
from cistransfer.storage import read_json, shaped

__all__ = [
    "INTERVALS",
    "Evaluation",
    "FoldScore",
    "ModelScore",
    "TaskScore",
    "fold_groups",
    "open_evaluation",
]

INTERVALS = ("aucpr_low", "aucpr_high", "aucpr_block_low", "aucpr_block_high")
"""Ends of the 95 % intervals: from resampling regions, and from resampling blocks of neighbouring
regions (`cistransfer.metrics.bootstrap.region_blocks`)."""

_COUNTS = ("tp", "fp", "tn", "fn")


@dataclass(frozen=True, repr=False)
class TaskScore:
    """How good one model is at one task.

    Attributes
    ----------
    n, positives : int
        Resolved rows, and those that are bound.
    values : mapping of str to float, int or None
        ``prevalence``, `cistransfer.metrics.table.METRICS`, ends of intervals, ``tp``, ``fp``,
        ``tn``, ``fn``; None where there is none.
    threshold, temperature : float or None
        At which the model calls, and by which its logits were divided.
    why : str
        Why there are no metrics; empty where there are.
    """

    n: int
    positives: int
    values: Mapping[str, float | int | None]
    threshold: float | None = None
    temperature: float | None = None
    why: str = ""

    def __getitem__(self, name: str) -> float | int | None:
        """A metric or another value by its name in the file."""
        if name in self.values:
            return self.values[name]
        if name in ("n", "positives", "threshold", "temperature"):
            return getattr(self, name)
        raise InputError(f"no metric {name!r} in the evaluation; {nearest(name, self.values)}")

    def __repr__(self) -> str:
        if self.why:
            return f"TaskScore({self.why})"
        shown = ", ".join(
            f"{metric.heading} {self.values[name]:.3f}"
            for name, metric in METRICS.items()
            if metric.shown == "summary" and self.values.get(name) is not None
        )
        return f"TaskScore({shown}; {self.positives:,} of {self.n:,} bound)"

    def interval(self, name: str) -> tuple[float, float] | None:
        """Ends of a metric's interval, where it has one."""
        low, high = self.values.get(f"{name}_low"), self.values.get(f"{name}_high")
        return None if low is None or high is None else (float(low), float(high))

    @property
    def beats_chance(self) -> bool:
        """Whether the ranking is better than chance: AUROC above the upper end of a random one's.

        The 97.5 % end of the Mann-Whitney statistic of as many rows.
        """
        area, bound, rest = self.values.get("auroc"), self.positives, self.n - self.positives
        if area is None or not bound or not rest:
            return False
        return float(area) > 0.5 + 1.96 * np.sqrt((self.n + 1) / (12 * bound * rest))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TaskScore:
        """Read from a row of the file (or of `cistransfer.metrics.table.per_task_metrics`)."""
        row = {str(key): _plain(each) for key, each in value.items()}
        for name in _COUNTS:
            if row.get(name) is not None:
                row[name] = int(row[name])
        own = ("n", "positives", "threshold", "temperature", "why", "task")
        return cls(
            n=int(row["n"]),
            positives=int(row["positives"]),
            values={key: each for key, each in row.items() if key not in own},
            threshold=row.get("threshold"),
            temperature=row.get("temperature"),
            why=row.get("why") or "",
        )

    def to_json(self) -> dict[str, Any]:
        """A row of the file."""
        return {
            "n": self.n,
            "positives": self.positives,
            **self.values,
            "threshold": self.threshold,
            "temperature": self.temperature,
            "why": self.why,
        }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value


@dataclass(frozen=True, repr=False)
class ModelScore:
    """One row of an evaluation: a trained model or a baseline.

    Attributes
    ----------
    strategy : str or None
        What trained it.
    tasks : mapping of str to TaskScore
    run : str or None
        Its folder; None for baselines.
    named : bool
        Whether the user gave the name (``NAME=FOLDER``); comparisons then keep it.
    seen : int
        Regions that it or its trunk was trained or validated on.
    neighbours : int
        Regions of a random split that overlap the model's own training examples.
    draw : str or None
        The fold (``"fold 1/5"``).
    fitted : mapping of str to str
        What a baseline fitted, by task, in words.
    """

    name: str
    strategy: str | None
    tasks: Mapping[str, TaskScore]
    run: str | None = None
    named: bool = False
    seen: int = 0
    neighbours: int = 0
    draw: str | None = None
    fitted: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"ModelScore({self.name!r}, {dict(self.tasks)})"

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelScore:
        """Read from an entry of ``models``."""
        return cls(
            name=value["name"],
            strategy=value.get("strategy"),
            tasks={task: TaskScore.from_json(row) for task, row in value["metrics"].items()},
            run=value.get("run"),
            named=bool(value.get("named", False)),
            seen=int(value.get("seen") or 0),
            neighbours=int(value.get("neighbours") or 0),
            draw=value.get("draw"),
            fitted=value.get("fitted") or {},
        )

    def to_json(self) -> dict[str, Any]:
        """An entry of ``models``; what is empty is left out."""
        further = {
            "named": self.named,
            "neighbours": self.neighbours,
            "draw": self.draw,
            "fitted": dict(self.fitted),
        }
        return {
            "name": self.name,
            "run": self.run,
            "strategy": self.strategy,
            "seen": self.seen,
            **{key: value for key, value in further.items() if value},
            "metrics": {task: score.to_json() for task, score in self.tasks.items()},
        }


@dataclass(frozen=True)
class FoldScore:
    """A strategy over its folds, for one task.

    Attributes
    ----------
    mean, sd : dict of str to float
        By metric.
    """

    strategy: str
    task: str
    folds: int
    mean: dict[str, float] = field(repr=False)
    sd: dict[str, float] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """``strategy``, ``task``, ``folds``, then ``NAME`` and ``NAME_sd`` of every metric."""
        values = {
            key: value
            for name in self.mean
            for key, value in ((name, self.mean[name]), (f"{name}_sd", self.sd[name]))
        }
        return {"strategy": self.strategy, "task": self.task, "folds": self.folds, **values}


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Models on identical examples.

    Attributes
    ----------
    examples : str
        Hash of the example set.
    protocol : str
        ``"own"``: both strands, each model's own threshold and temperature; ``"published"``: the
        forward strand, called at a probability of 0.5.
    """

    examples: str
    part: str
    tasks: tuple[str, ...]
    models: tuple[ModelScore, ...]
    protocol: str = "own"

    def __repr__(self) -> str:
        names = ", ".join(model.name for model in self.models)
        tasks = ", ".join(self.tasks[:6]) + (", …" if len(self.tasks) > 6 else "")
        return f"Evaluation({names} on the {self.part} part: {tasks})"

    def __getitem__(self, name: str) -> ModelScore:
        """A model by its name."""
        for model in self.models:
            if model.name == name:
                return model
        names = [model.name for model in self.models]
        raise InputError(f"no model {name!r} in the evaluation; {nearest(name, names)}")

    @property
    def labels(self) -> dict[str, str]:
        """What each model is called in comparisons, by its name.

        The name that the user gave it; else its strategy, or its own name where it has none or
        shares it with another (folds of one strategy differ in their ``draw``, and share it).
        """
        found = [
            (model.name if model.named else model.strategy or model.name, model.draw)
            for model in self.models
        ]
        twice = {each[0] for each in found if found.count(each) > 1}
        return {
            model.name: model.name if label in twice else label
            for model, (label, _) in zip(self.models, found, strict=True)
        }

    @cached_property
    def folds(self) -> list[FoldScore]:
        """Mean and standard deviation over the folds of each strategy, task by task.

        Tasks without both classes are left out.
        """
        rows = []
        for strategy, names in fold_groups(self.models).items():
            members = [self[name] for name in names]
            for task in members[0].tasks:
                scores = [member.tasks[task] for member in members]
                if scores[0].why:
                    continue
                values = {
                    name: np.array([score[name] for score in scores], dtype=float)
                    for name in METRICS
                    if all(name in score.values for score in scores)
                }
                mean = {name: float(each.mean()) for name, each in values.items()}
                sd = {name: float(each.std(ddof=1)) for name, each in values.items()}
                rows.append(FoldScore(strategy, task, len(scores), mean, sd))
        return rows

    def table(self) -> pd.DataFrame:
        """A row for each model and task: ``model``, ``task``, then what `TaskScore` holds."""
        return pd.DataFrame(
            [
                {"model": model.name, "task": task, **score.to_json()}
                for model in self.models
                for task, score in model.tasks.items()
            ]
        )

    def lines(self) -> list[str]:
        """Say in words what is worth a summary, for a screen."""
        names = ["prevalence", *(name for name in METRICS if METRICS[name].shown == "summary")]
        width = max(len(model.name) for model in self.models) + 2
        said = [" " * width + "task        n  " + "  ".join(f"{name:>17}" for name in names)]
        for model in self.models:
            for task, score in model.tasks.items():
                values = score.why or "  ".join(f"{_worded(score, name):>17}" for name in names)
                said.append(f"{model.name:<{width}}{task:<8}{score.n:>6}  {values}")
        for row in self.folds:
            values = ", ".join(
                f"{name} {row.mean[name]:.3f} ({row.sd[name]:.3f})" for name in names[1:]
            )
            said.append(f"{row.strategy} {row.task}, mean of {row.folds} folds (sd): {values}")
        return said

    @classmethod
    def from_json(cls, value: Any, where: str | os.PathLike[str] = "evaluation") -> Evaluation:
        """Read the content of ``metrics.json``.

        Raises
        ------
        InputError
            When it is something else, or lacks an entry (names ``where``).
        """
        if not isinstance(value, dict) or value.get("kind") != "evaluation":
            raise InputError(f"{where}: expected the metrics.json of 'cistransfer evaluate'")
        with shaped(where, "an evaluation"):
            if not value["models"]:
                raise InputError(f"{where}: the evaluation holds no models")
            return cls(
                examples=value["examples"],
                part=value.get("part", "test"),
                tasks=tuple(value["tasks"]),
                models=tuple(ModelScore.from_json(model) for model in value["models"]),
                protocol=value.get("as", "own"),
            )

    def to_json(self) -> dict[str, Any]:
        """The content of ``metrics.json``."""
        return {
            "kind": "evaluation",
            "examples": self.examples,
            "part": self.part,
            **({"as": self.protocol} if self.protocol != "own" else {}),
            "tasks": list(self.tasks),
            "models": [model.to_json() for model in self.models],
            **({"folds": [row.to_json() for row in self.folds]} if self.folds else {}),
        }


def _worded(score: TaskScore, name: str) -> str:
    """A metric, with its interval where there is one."""
    value, ends = score.values.get(name), score.interval(name)
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" {ends[0]:.2f}–{ends[1]:.2f}" if ends else "")


def open_evaluation(path: str | os.PathLike[str]) -> Evaluation:
    """Read an evaluation folder, or its ``metrics.json``.

    Raises
    ------
    InputError
        When there is none, or it is malformed.
    """
    place = Path(path)
    file = place / "metrics.json" if place.is_dir() else place
    return Evaluation.from_json(read_json(file), file)


def fold_groups(models: Iterable[ModelScore]) -> dict[str, list[str]]:
    """Names of the models that are one strategy in several folds, by strategy.

    A strategy that a fold has twice is left out: which of them belong together is not known.
    """
    found: dict[str, list[ModelScore]] = {}
    for model in models:
        if model.draw:
            found.setdefault(model.strategy or model.name, []).append(model)
    return {
        strategy: [model.name for model in members]
        for strategy, members in found.items()
        if len({model.draw for model in members}) == len(members) > 1
    }
