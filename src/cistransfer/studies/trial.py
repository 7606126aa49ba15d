"""A trial: a frozen record of everything that its result depends on, named by its hash.

A study is expanded into trials here (`expand`). Where a step names ``{tf}`` it gets the value of
that axis; ``{examples}`` an input, which is a trial of its own; ``{genome}`` a file, known by its
content; ``{mode.tf}`` an entry of a table; ``{tf.*}`` every declared value of an axis;
``{trunk|pretrained}`` the first of several that is given, ``default`` if it ends so. A step
depends on the axes that it names, itself or through its inputs, and on no others. An axis of one
value is a parameter; with the value ``default`` an argument is as if it were not there.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import cistransfer.studies.readings
import cistransfer.studies.trainings  # noqa: F401  (these two add steps)
from cistransfer import __version__
from cistransfer.errors import InputError, nearest, shown
from cistransfer.studies.schema import Study, Value
from cistransfer.studies.steps import OWN, check_step

__all__ = ["Plan", "Row", "Trial", "expand", "references"]

Point = Mapping[str, Value]
_WHOLE = re.compile(r"\{([^{}]+)\}")
_EITHER = re.compile(r"\{([^{}|]+(?:\|[^{}|]+)+)\}")
_TRIAL, _FILE = "$trial", "$file"
DEFAULT = "default"
"""Value of an axis with which a step's argument is as if it were not there."""


@dataclass(frozen=True)
class Trial:
    """What is done, to what.

    Attributes
    ----------
    step : str
        A key of `cistransfer.studies.steps.STEPS`.
    arguments : str
        JSON with sorted keys; ``{"$trial": NAME}`` is what another trial made, ``{"$file":
        SHA-256, "name": …}`` a file.
    version : str
        Of cistransfer.
    """

    step: str
    arguments: str
    version: str = __version__

    @cached_property
    def name(self) -> str:
        """Sixteen hexadecimal digits of the hash of the record."""
        content = [self.step, _nameless(json.loads(self.arguments)), self.version]
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def values(self) -> dict[str, Any]:
        """The arguments."""
        return dict(json.loads(self.arguments))

    @property
    def kind(self) -> str:
        """Trials that take about as long: of one step and strategy."""
        values = self.values
        return f"{self.step} {values.get('strategy')} {values.get('name')}"

    def needs(self) -> list[str]:
        """Names of the trials that it reads."""
        return [each[_TRIAL] for each in references(self.values) if _TRIAL in each]

    def reads(self) -> dict[str, str]:
        """SHA-256 of each file that it reads → the file's name in the study."""
        return {each[_FILE]: each["name"] for each in references(self.values) if _FILE in each}

    def to_json(self) -> dict[str, Any]:
        """The record."""
        return {"step": self.step, "arguments": self.values, "cistransfer": self.version}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Trial:
        """Read a record."""
        arguments = json.dumps(content["arguments"], sort_keys=True)
        return cls(content["step"], arguments, content["cistransfer"])


def references(value: Any) -> Iterator[dict[str, str]]:
    """Every reference in the arguments of a trial."""
    if isinstance(value, Mapping):
        if _TRIAL in value or _FILE in value:
            yield dict(value)
            return
        value = value.values()
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return
    for each in value:
        yield from references(each)


def _nameless(value: Any) -> Any:
    """Arguments without what the study calls its files, which changes no result."""
    if isinstance(value, dict):
        kept = {key: _nameless(each) for key, each in value.items()}
        return {_FILE: kept[_FILE]} if _FILE in kept else kept
    return [_nameless(each) for each in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Row:
    """Where a trial stands in the grid.

    Attributes
    ----------
    strategy : str
    point : tuple of (str, str)
        Axis and value as text; without the axes that it does not depend on.
    trial : str
    """

    strategy: str
    point: tuple[tuple[str, str], ...]
    trial: str


@dataclass
class Plan:
    """The trials of a study, what each reads before it.

    Attributes
    ----------
    trials : dict of str to Trial
    rows : list of Row
        In the order of work: the first draw of everything first.
    kept : set of str
        Trials whose files others read, or that are asked to be kept.
    notes : list of str
        What was left out, and why.
    inputs : dict of str to str
        What each input is called, with its place in the grid.
    """

    trials: dict[str, Trial] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)

    @property
    def compared(self) -> list[str]:
        """Names of the trials whose numbers are compared, each once."""
        return list(dict.fromkeys(row.trial for row in self.rows))

    def label(self, name: str) -> str:
        """What a trial is called: its first place in the grid."""
        row = next((row for row in self.rows if row.trial == name), None)
        return label_of(row.strategy, row.point) if row else self.inputs.get(name, name)

    def chain(self, names: Sequence[str]) -> list[str]:
        """The trials and everything that they read, first what is read."""
        found: dict[str, None] = {}

        def add(name: str) -> None:
            for before in self.trials[name].needs():
                if before not in found:
                    add(before)
            found[name] = None

        for name in names:
            add(name)
        return list(found)


def expand(
    study: Study,
    files: Mapping[str, str],
    axes: Mapping[str, Sequence[Value]] | None = None,
    strategies: Sequence[str] = (),
) -> Plan:
    """Make the trials of a study.

    Parameters
    ----------
    study : Study
    files : mapping of str to str
        Name of each file that is given → SHA-256 of its content.
    axes : mapping, optional
        Values instead of the declared ones.
    strategies : sequence of str
        By default all.

    Raises
    ------
    InputError
        On a step, an argument, an axis, a strategy or a reference that does not exist (named, with
        the nearest).
    """
    return _Expansion(study, files, dict(axes or {}), strategies).plan()


class _NotGivenError(Exception):
    """An optional file that a table leads to at one point of the grid."""


class _Expansion:
    """One expansion of a study."""

    def __init__(
        self,
        study: Study,
        files: Mapping[str, str],
        axes: dict[str, Sequence[Value]],
        strategies: Sequence[str],
    ) -> None:
        for name in axes:
            if name not in study.axes:
                raise InputError(f"{study.name}: no axis {name!r}; {nearest(name, study.axes)}")
        for name in strategies:
            if name not in study.strategies:
                raise InputError(
                    f"{study.name}: no strategy {name!r}; {nearest(name, study.strategies)}"
                )
        self.files = files
        self.study = study = self._settled(study)
        self.values = {name: list(axes.get(name, axis.values)) for name, axis in study.axes.items()}
        self.every = {
            name: list(dict.fromkeys([*axis.values, *self.values[name]]))
            for name, axis in study.axes.items()
        }
        self.strategies = list(
            strategies or (name for name, step in study.strategies.items() if not step.get("asked"))
        )
        self.made = Plan()
        self._axes: dict[str, frozenset[str] | None] = {}
        self._trials: dict[tuple[str, tuple[tuple[str, Value], ...]], str] = {}

    def _settled(self, study: Study) -> Study:
        """The study with the first of alternatives that is given in the place of each."""
        self.study = study

        def settle(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {key: settle(each) for key, each in value.items()}
            if isinstance(value, list):
                return [settle(each) for each in value]
            return _EITHER.sub(choose, value) if isinstance(value, str) else value

        def choose(match: re.Match[str]) -> str:
            names = match[1].split("|")
            for name in names:
                if name == DEFAULT:
                    return DEFAULT
                if not self._missing({"": f"{{{name}}}"}):
                    return f"{{{name}}}"
            return f"{{{names[0]}}}"

        steps = {"inputs": settle(study.inputs), "strategies": settle(study.strategies)}
        return study.model_copy(update=steps)

    def plan(self) -> Plan:
        """Every strategy at every point."""
        study = self.study
        for steps in (study.inputs, study.strategies):
            for name, step in steps.items():
                self._check(name, step, steps is study.inputs)
        rows = []
        for order, label in enumerate(self.strategies):
            step = study.strategies[label]
            if step.get("without") in self.files:
                self.made.notes.append(f"{label} is left out: {step['without']} is given")
                continue
            missing = self._missing(step)
            if missing:
                self.made.notes.append(f"{label} is left out: no {missing} is given")
                continue
            for place, point in self._points(self._depends(step), step.get("only", {})):
                try:
                    trial = self._trial(step, point)
                except _NotGivenError as error:
                    self._left_out(label, str(error), point)
                    continue
                texts = tuple((axis, str(value)) for axis, value in point.items())
                rows.append((place, order, Row(label, texts, trial)))
                if step.get("keep"):
                    self.made.kept.add(trial)
        rows.sort(key=lambda each: each[:2])
        self.made.rows = [row for *_, row in rows]
        return self.made

    def _left_out(self, label: str, file: str, point: Point) -> None:
        """Note which values of axes cannot be had, each once."""
        where = ", ".join(
            f"{axis} {point[axis]}"
            for table in self.study.tables
            for axis in self.values
            if str(point.get(axis)) in self.study.tables[table]
            and f"{{{file}}}" in str(self.study.tables[table][str(point[axis])])
        )
        note = f"{label} of {where} is left out: no {file} is given"
        if note not in self.made.notes:
            self.made.notes.append(note)

    def _points(
        self, axes: frozenset[str], only: Mapping[str, Any]
    ) -> Iterator[tuple[tuple[int, ...], dict[str, Value]]]:
        """Points of some axes, each with its place in the order of work: draws are outermost."""
        named = [name for name in self.values if name in axes or name in only]
        for indices in itertools.product(*(range(len(self.values[name])) for name in named)):
            point = {name: self.values[name][at] for name, at in zip(named, indices, strict=True)}
            if any(str(point[name]) not in _texts(wanted) for name, wanted in only.items()):
                continue
            again = any(
                point[name] != self.values[name][0]
                and any(
                    other in point and str(point[other]) in _texts(these)
                    for other, these in self.study.axes[name].once.items()
                )
                for name in named
            )
            if not again:
                where = dict(zip(named, indices, strict=True))
                yield (where.pop("draw", 0), *(where.get(n, 0) for n in self.values)), point

    # What a step names -------------------------------------------------------------------------

    def _check(self, name: str, step: Mapping[str, Any], is_input: bool) -> None:
        """Refuse steps, arguments and references that do not exist."""
        where = f"{self.study.name}: {name}"
        check_step(where, step)
        for key in ("only", "asked", "without") if is_input else ():
            if key in step:
                raise InputError(f"{where}: {key!r} goes with what is compared, not with an input")
        if "without" in step and step["without"] not in self.study.files:
            known = nearest(str(step["without"]), self.study.files)
            raise InputError(f"{where}: no file {step['without']!r} (without); {known}")
        for word in _named(_arguments(step)):
            self._kind(where, word)

    def _kind(self, where: str, word: str) -> str:
        head, _, rest = word.partition(".")
        study = self.study
        for kind in ("axes", "files", "tables", "inputs"):
            if head in getattr(study, kind):
                for axis in rest.split(".") if kind == "tables" and rest else ():
                    if axis not in study.axes:
                        raise InputError(f"{where}: no axis {axis!r}; {nearest(axis, study.axes)}")
                return kind
        known = {*study.axes, *study.files, *study.tables, *study.inputs}
        raise InputError(f"{where}: nothing is called {head!r}; {nearest(head, known)}")

    def _depends(self, step: Any) -> frozenset[str]:
        """Axes on which a step depends, itself or through what it reads."""
        if isinstance(step, Mapping) and set(step) == {"each", "take"}:
            return self._depends(step["take"]) - {step["each"]}
        if isinstance(step, Mapping):
            parts = [v for key, v in step.items() if key == "only" or key not in OWN]
            return frozenset().union(*map(self._depends, parts))
        if isinstance(step, list):
            return frozenset().union(*map(self._depends, step))
        if not isinstance(step, str):
            return frozenset()
        found: frozenset[str] = frozenset()
        for word in _WHOLE.findall(step):
            head, _, rest = word.partition(".")
            kind = self._kind(self.study.name, word)
            if kind == "axes" and rest != "*":
                found |= {head}
            elif kind == "tables":
                found |= set(rest.split(".")) if rest else set()
                found |= self._depends(self.study.tables[head])
            elif kind == "inputs":
                if self._axes.setdefault(head, None) is None:
                    self._axes[head] = self._of_input(head)
                found |= self._axes[head] or frozenset()
        return found

    def _of_input(self, name: str) -> frozenset[str]:
        self._axes[name] = frozenset()  # an input that reads itself ends here
        return self._depends(self.study.inputs[name])

    def _missing(self, step: Any, above: tuple[str, ...] = ()) -> str:
        """The first optional file that a step would read and that is not given."""
        for word in _named(_arguments(step)):
            if "|" in word:
                continue
            head = word.partition(".")[0]
            kind = self._kind(self.study.name, word)
            if kind == "files" and head not in self.files:
                return head
            if kind == "inputs":
                if head in above:
                    raise InputError(f"{self.study.name}: input {head!r} reads itself")
                if found := self._missing(self.study.inputs[head], (*above, head)):
                    return found
        return ""

    # Values --------------------------------------------------------------------------------------

    def _trial(self, step: Mapping[str, Any], point: Point) -> str:
        arguments = {
            key: value
            for key, value in self._value(_arguments(step), point).items()
            if value != DEFAULT
        }
        trial = Trial(step["do"], json.dumps(arguments, sort_keys=True))
        self.made.trials[trial.name] = trial
        self.made.kept.update(trial.needs())
        return trial.name

    def _input(self, name: str, point: Point) -> dict[str, str]:
        step = self.study.inputs[name]
        axes = self._depends(f"{{{name}}}")
        here = {axis: point[axis] for axis in self.values if axis in axes}
        key = (name, tuple(here.items()))
        if key not in self._trials:
            self._trials[key] = self._trial(step, here)
            self.made.inputs[self._trials[key]] = label_of(name, here.items())
        return {_TRIAL: self._trials[key]}

    def _value(self, value: Any, point: Point) -> Any:
        if isinstance(value, Mapping) and set(value) == {"each", "take"}:
            axis = value["each"]
            if axis not in self.values:
                raise InputError(
                    f"{self.study.name}: no axis {axis!r}; {nearest(str(axis), self.study.axes)}"
                )
            return {
                str(one): self._value(value["take"], {**point, axis: one})
                for one in self.values[axis]
            }
        if isinstance(value, Mapping):
            return {key: self._value(each, point) for key, each in value.items()}
        if isinstance(value, list):
            return [self._value(each, point) for each in value]
        if not isinstance(value, str):
            return value
        whole = _WHOLE.fullmatch(value)
        if whole:
            return self._named(whole[1], point)
        return _WHOLE.sub(lambda match: str(self._named(match[1], point)), value)

    def _named(self, word: str, point: Point) -> Any:
        head, _, rest = word.partition(".")
        kind = self._kind(self.study.name, word)
        if kind == "axes":
            return self.every[head] if rest == "*" else point[head]
        if kind == "files":
            if head not in self.files:
                raise _NotGivenError(head)
            return {_FILE: self.files[head], "name": head}
        if kind == "inputs":
            return self._input(head, point)
        found: Any = self.study.tables[head]
        for axis in rest.split(".") if rest else ():
            if not isinstance(found, Mapping) or str(point[axis]) not in found:
                known = found if isinstance(found, Mapping) else ()
                raise InputError(
                    f"{self.study.name}: table {head!r} has no entry {shown(point[axis])!r}; "
                    + nearest(str(point[axis]), known)
                )
            found = found[str(point[axis])]
        return self._value(found, point)


def label_of(name: str, point: Iterable[tuple[str, Value]]) -> str:
    """A place in the grid in words."""
    return " ".join([name, *(f"{axis}={value}" for axis, value in point)])


def _arguments(step: Mapping[str, Any]) -> dict[str, Any]:
    """What a step is called with."""
    return {key: value for key, value in step.items() if key not in OWN}


def _named(value: Any) -> Iterator[str]:
    """Every name in braces."""
    if isinstance(value, str):
        yield from _WHOLE.findall(value)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _named(each)
    elif isinstance(value, list):
        for each in value:
            yield from _named(each)


def _texts(values: Any) -> set[str]:
    return {str(value) for value in (values if isinstance(values, list) else [values])}
