"""What a trial can do: steps by name, each a call of `cistransfer.api` or of a room's own function.

A step gets where it may write (`Work`) and its arguments by name, in which files and what other
trials made are paths. It leaves files for others in ``work.folder`` or returns measurements, or
both. Its arguments are those of its signature (and, with ``**options``, those of `_PASSED`), so a
study that names another one is refused before anything runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cistransfer.errors import InputError, nearest
from cistransfer.examples.draw import Matched
from cistransfer.examples.sources import FromFasta, FromMatrix, FromPeaks, FromRegions, FromTFs
from cistransfer.openness.options import OpenOptions
from cistransfer.relatives.options import GroupOptions, Sources

__all__ = [
    "STEPS",
    "Measured",
    "Work",
    "check_step",
    "matrix_of",
    "measure",
    "measure_parts",
    "step",
]


@dataclass(frozen=True)
class Work:
    """Where a step works and on what.

    Attributes
    ----------
    folder : Path
        Empty; what is left in it can be read by other trials, who get its path.
    device, precision : str
        See `cistransfer.training.run.train_run`.
    """

    folder: Path
    device: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True)
class Measured:
    """One number of a trial.

    Attributes
    ----------
    metric : str
    value : float
    part : str
        ``test``, ``train`` …
    item : str
        What of the trial it is of, where there are several: a task, a motif, a filter.
    """

    metric: str
    value: float
    part: str = "test"
    item: str = ""


Step = Callable[..., Sequence[Measured] | None]
STEPS: dict[str, Step] = {}
"""Every step by name."""

OWN = frozenset(("do", "only", "keep", "asked", "without"))
"""Keys of an entry that say what is done with the step: at which points, whether what it makes is
kept, whether it runs only where it is asked for by name, the file with which it is left out."""

_PASSED: dict[str, tuple[type, ...]] = {
    "matrix": (OpenOptions,),
    "examples": (FromMatrix, FromPeaks, FromFasta, FromRegions, FromTFs, Matched),
    "pretrain": (FromTFs, GroupOptions, Sources),
}
"""Groups of options whose fields a step passes on."""


def step(name: str) -> Callable[[Step], Step]:
    """Make a function a step."""

    def keep(function: Step) -> Step:
        STEPS[name] = function
        return function

    return keep


def check_step(where: str, entry: Mapping[str, Any]) -> None:
    """Refuse a step that does not exist, or arguments that it does not have.

    Parameters
    ----------
    where : str
        What entry of which study, for the message.
    entry : mapping
        ``do`` and the arguments.
    """
    name = entry.get("do")
    if name not in STEPS:
        raise InputError(
            f"{where}: no step {name!r} (do); {nearest(str(name), STEPS)}"
            if name is not None
            else f"{where}: lacks the entry 'do'; {nearest('', STEPS)}"
        )
    asked = list(inspect.signature(STEPS[name]).parameters.values())[1:]
    known = {each.name for each in asked if each.kind is not inspect.Parameter.VAR_KEYWORD}
    known |= {field.name for group in _PASSED.get(name, ()) for field in fields(group)}
    for argument in entry:
        if argument not in {*known, *OWN}:
            raise InputError(f"{where}: {name} has no {argument!r}; {nearest(argument, known)}")
    for each in asked:
        keyword = each.kind is inspect.Parameter.KEYWORD_ONLY
        if keyword and each.default is inspect.Parameter.empty and each.name not in entry:
            raise InputError(f"{where}: {name} needs {each.name!r}")
    strategy = entry.get("strategy")
    if isinstance(strategy, str) and "{" not in strategy:
        from cistransfer.training.strategy import load_strategy

        if strategy.endswith(".toml"):
            raise InputError(
                f"{where}: a strategy of your own is a file of the study: name it in [files]"
            )
        try:
            load_strategy(strategy)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error


def measure(
    labels: Any, scored: Any, tasks: Sequence[str], part: str = "test", calls: str = "validation"
) -> list[Measured]:
    """Every metric of every task.

    Parameters
    ----------
    labels : ndarray of int8, shape (n, tasks)
    scored : Scored
    tasks : sequence of str
    part : str
    calls : {"validation", "half"}
        Called at the threshold and with the temperature fitted on validation, or at a probability
        of 0.5 and without one, as published.
    """
    import math

    from cistransfer.metrics.table import per_task_metrics

    if calls not in ("validation", "half"):
        raise InputError(f"calls: expected validation or half, found {calls!r}")
    fitted = () if calls == "half" else (scored.thresholds, scored.temperatures)
    table = per_task_metrics(labels, scored.logits, tasks, *fitted)
    several = len(tasks) > 1
    return [
        Measured(str(name), float(value), part, row["task"] if several else "")
        for row in table.drop(columns="why").to_dict("records")
        for name, value in row.items()
        if name != "task" and not math.isnan(value)
    ]


def measure_parts(
    examples: Any, parts: Sequence[str], calls: str, intervals: int, score: Callable[[Any], Any]
) -> list[Measured]:
    """Every metric of what a function makes of the codes of each part.

    Parameters
    ----------
    examples : ExampleSet
    parts : sequence of str
    calls : str
        See `measure`.
    intervals : int
        Resamples for an interval of the AUCPR; 0: none.
    score : callable
        Of codes, gives a `Scored`.

    Raises
    ------
    InputError
        When the examples lack a part.
    """
    import numpy as np

    from cistransfer.evaluation.regions import aucpr_intervals

    found = []
    for part in parts:
        rows = examples.rows(part)
        if len(rows) == 0:
            raise InputError(f"the examples have no {part} part")
        labels = np.asarray(examples.labels[rows])
        scored = score(np.asarray(examples.codes[rows]))
        found += measure(labels, scored, examples.tasks, part, calls)
        if intervals:
            regions = examples.regions.iloc[rows].reset_index(drop=True)
            ends = aucpr_intervals(regions, labels, {"own": scored.logits}, draws=intervals)
            for task, row in zip(examples.tasks, ends.to_dict("records"), strict=True):
                item = task if len(examples.tasks) > 1 else ""
                found += [Measured(str(n), float(v), part, item) for n, v in row.items()]
    return found


def matrix_of(source: Path) -> Path:
    """A matrix by its file, or by the trial that built it."""
    return source / "matrix.h5" if (source / "matrix.h5").is_file() else source
