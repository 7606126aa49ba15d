"""How much of an experiment a claim rests on, and what all of it takes: trials, inputs, time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from cistransfer.studies.asked import duration
from cistransfer.studies.collect import labelled, select
from cistransfer.studies.schema import Claim, Study, Value
from cistransfer.studies.store import Done
from cistransfer.studies.trial import expand

__all__ = ["Effort", "Whole", "mean_seconds", "part_of"]


@dataclass(frozen=True)
class Effort:
    """What the whole experiment behind a claim takes.

    Attributes
    ----------
    trials, inputs : int
        Trials that the claim compares, and what they read.
    seconds : float or None
        Of one core, each at the mean time of those like it that were timed; None where none of some
        step was.
    """

    trials: int
    inputs: int
    seconds: float | None

    def words(self) -> str:
        """In words.

        >>> Effort(1480, 1, 90000.0).words()
        '1,480 trials and 1 input: at least 25.0 h of one core'
        """
        text = f"{self.trials:,} trial{'s' * (self.trials != 1)}"
        if self.inputs:
            text += f" and {self.inputs:,} input{'s' * (self.inputs != 1)}"
        if self.seconds is None:
            return text
        return f"{text}: at least {duration(self.seconds)} of one core"


def mean_seconds(done: Iterable[Done]) -> dict[str, float]:
    """Mean processor time of finished trials by their kind (`Trial.kind`) and by their step."""
    found: dict[str, list[float]] = defaultdict(list)
    for each in done:
        for key in {each.trial.kind, each.trial.step}:
            found[key].append(float(each.facts["cpu_seconds"]))
    return {key: sum(values) / len(values) for key, values in found.items()}


def part_of(study: Study, claim: Claim) -> tuple[list[str], dict[str, list[Value]]]:
    """The strategies and the values of axes that a claim is about, for a command.

    Returns
    -------
    strategies : list of str
        Empty for all.
    axes : dict of str to list
        Those that every side of the claim names.
    """
    sides = [side for side in (claim.first, claim.second) if side]
    wanted: dict[str, list[Value]] = {}
    for side in [*sides, claim.minus]:
        _add(wanted, "strategy", side.get("strategy"))
    axes: dict[str, list[Value]] = {}
    for axis in study.axes:
        if sides and all(axis in side for side in sides):
            for side in sides:
                _add(axes, axis, side[axis])
    return [name for name in study.strategies if name in wanted.get("strategy", ())], axes


def _add(found: dict[str, list[Value]], name: str, value: Value | list[Value] | None) -> None:
    values = value if isinstance(value, list) else [] if value is None else [value]
    known = found.setdefault(name, [])
    known += [each for each in values if each not in known]


class Whole:
    """A study at its full size, with every file that can be given.

    Parameters
    ----------
    study : Study
    """

    def __init__(self, study: Study) -> None:
        spared = {step.get("without") for step in study.strategies.values()}
        files = {name: "0" * 64 for name in study.files if name not in spared}
        self.plan = expand(study, files, {}, list(study.strategies))
        rows = [
            {"strategy": row.strategy, **dict(row.point), "trial": row.trial}
            for row in self.plan.rows
        ]
        self.table = labelled(study, pd.DataFrame(rows).fillna(""))

    def effort(self, claim: Claim, seconds: Mapping[str, float]) -> Effort:
        """Count the trials that a claim is about, and what they take.

        Parameters
        ----------
        claim : Claim
        seconds : mapping of str to float
            Of `mean_seconds`.
        """
        sides = [side for side in (claim.first, claim.second) if side] or [{}]
        if claim.minus:
            sides += [{**side, **claim.minus} for side in sides]
        places = [{k: v for k, v in side.items() if k not in ("part", "item")} for side in sides]
        compared = pd.concat([select(self.table, place)["trial"] for place in places]).unique()
        chain = self.plan.chain(list(compared))
        trials = [self.plan.trials[name] for name in chain]
        times = [seconds.get(each.kind, seconds.get(each.step)) for each in trials]
        known = [each for each in times if each is not None]
        whole = sum(known) if len(known) == len(times) else None
        return Effort(len(compared), len(chain) - len(compared), whole)
