"""What a study is: one TOML file, read through this schema; those that come with the package."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from cistransfer.errors import InputError, nearest, shown
from cistransfer.storage import read_toml

__all__ = [
    "Axis",
    "Beside",
    "Claim",
    "Figure",
    "Given",
    "Labels",
    "Study",
    "Summary",
    "catalogue",
    "load_study",
    "text_of",
]

Value = str | int | float
Chosen = dict[str, Value | list[Value]]
"""Which rows of the results: column → value, or any of several."""
PathLike = str | os.PathLike[str]

_STRICT = ConfigDict(extra="forbid", frozen=True)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_LONGEST = 1 << 16  # bytes of a file: lists of TFs are long
COLUMNS = ("study", "strategy", "trial", "part", "item", "metric", "value")
"""Columns of the results that no axis may be called."""


class Axis(BaseModel):
    """One dimension of the grid: ``["A", "B"]``, a number of draws, or a table with ``values``."""

    model_config = _STRICT

    values: list[Value] = Field(min_length=1)
    once: dict[str, list[Value]] = {}
    """Only the first value counts where another axis has one of these (a draw of all peaks)."""
    named: dict[str, list[Value]] = {}
    """Lists of values that are asked for by one word (``--tfs second``)."""
    listed: str = ""
    """A folder of sets among the files: where it lists other cells, those are the values."""

    @model_validator(mode="after")
    def _different(self) -> Axis:
        if len(set(map(str, self.values))) < len(self.values):
            raise ValueError("a value is named twice")
        return self


class Given(BaseModel):
    """A file or folder that whoever runs the study has."""

    model_config = _STRICT

    help: str
    path: str | None = None
    """Where it lies in the folder of data; without one, beside the study's file. Of a trunk, also
    the name of one that comes with the package."""
    optional: bool = False
    """What reads it is left out where it is not given."""


class Labels(BaseModel):
    """A column of the results that goes with an axis: the TFs of the multi-model, and others."""

    model_config = _STRICT

    of: str
    """The axis."""
    values: dict[str, list[Value]] = Field(min_length=1)
    """Label → the axis's values that have it; others have none."""

    @model_validator(mode="after")
    def _different(self) -> Labels:
        every = [str(value) for values in self.values.values() for value in values]
        twice = next((value for value in every if every.count(value) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice!r} has two labels")
        return self


class Claim(BaseModel):
    """A number of a paper, and what of ours stands beside it."""

    model_config = _STRICT

    id: str
    """Of the experiment in the catalogue: ``N3``."""
    says: str
    """What the paper says, in its words and numbers."""
    where: str = ""
    """Figure or table."""
    quantity: Literal["mean", "difference", "share", "range", "count"] = "mean"
    """Mean of ``first``; mean difference of ``first`` and ``second``; share of pairs in which
    ``first`` is better; least and greatest mean over ``pair``; number of values."""
    metric: str = "aucpr"
    first: Chosen = {}
    """Which rows: axis or label → value (``strategy``, ``part`` and ``item`` too)."""
    second: Chosen = {}
    minus: Chosen = {}
    """Of each observation on both sides this is subtracted: the same rows, but with these values
    (the gain over a strategy)."""
    pair: list[str] = ["tf"]
    """One observation for each value of these; everything else is averaged."""
    total: bool = False
    """Values are numbers of things: the items of a trial are added up, and one that has the part
    but none of them counts 0."""
    groups: str = "strategy"
    """What a Kruskal-Wallis test compares."""
    within: list[str] = []
    """Before it each observation is taken relative to the mean of its value of these."""
    paper: float | None = None
    paper_p: float | None = None
    direction: Literal["above", "below", "same", ""] = ""
    """``first`` against ``second`` in the paper."""
    test: Literal["", "wilcoxon", "welch", "kruskal"] = ""
    family: int = Field(default=1, ge=1)
    """Tests that the paper made at once: p is multiplied by it (Bonferroni)."""
    note: str = ""
    """Why ours may differ."""
    needs: str = ""
    """What it takes, where it cannot be run on the data at hand."""


class Figure(BaseModel):
    """One figure of the results."""

    model_config = _STRICT

    name: str
    kind: Literal["box", "line", "scatter", "bars", "heat", "parts"]
    """``parts``: the training part to the right, the test part upwards."""
    metric: str = "aucpr"
    x: str = "tf"
    """Axis; of a scatter, the strategy to the right."""
    label: str = ""
    """What stands below, where that is not the name of ``x``."""
    y: str = ""
    """Of a scatter, the strategy upwards; of a heat map, the axis downwards."""
    by: str = "strategy"
    """What has a colour of its own."""
    panels: str = ""
    """An axis with a panel for each of its values."""
    where: Chosen = {}
    """Which rows (as in a claim)."""
    minus: Chosen = {}
    """Draw the difference to the same rows with these values (as in a claim)."""
    title: str = ""
    paper: str = ""
    """The figure of the paper that it stands beside."""


class Summary(BaseModel):
    """A table of the results in ``summary.md``."""

    model_config = _STRICT

    title: str
    metrics: list[str] = ["aucpr"]
    """A table for each; with ``columns = "metric"`` a column."""
    rows: str = "strategy"
    columns: str = "size"
    tables: str = ""
    """An axis with a table for each of its values."""
    over: list[str] = ["tf"]
    """The mean is over values of these, each the mean of its trials."""
    spread: Literal["", "interval", "range"] = ""
    """In brackets: the 95 % interval from resampling what the mean is over, or its range."""
    where: dict[str, Value | list[Value]] = {}
    """Which rows (as in a claim)."""


class Beside(BaseModel):
    """A number from elsewhere that stands in the summary, as quoted."""

    model_config = _STRICT

    label: str
    metric: str = "aucpr"
    value: float
    where: dict[str, Value] = {}
    """Its place: the values of axes."""
    source: str
    """Who measured it, and on what."""


def _axis(value: Any) -> Any:
    if isinstance(value, list):
        return {"values": value}
    if isinstance(value, int) and not isinstance(value, bool):
        return {"values": list(range(value))}
    if isinstance(value, Mapping) and isinstance(value.get("values"), int):
        return {**value, "values": list(range(value["values"]))}
    return value


def _given(value: Any) -> Any:
    return {"help": value} if isinstance(value, str) else value


class Study(BaseModel):
    """A grid of trials and what is made of it.

    Attributes
    ----------
    name, title, about, paper
        ``paper`` says which experiment of which paper it is.
    needs
        What a whole run takes, where the data at hand do not do.
    files
        What has to be given, by name.
    axes
        What is varied. ``draw`` comes last in the order of work, strategies first.
    tables
        Look-ups by the values of axes: ``{mode.tf}`` is ``tables.mode`` at the value of ``tf``.
    labels
        Columns that claims and figures may name beside the axes.
    inputs
        Steps (``do``) whose files others read: trunks, example sets.
    strategies
        Steps whose numbers are compared, by label.
    claims, figures, summaries, beside
    """

    model_config = _STRICT

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    about: str = ""
    paper: str = ""
    needs: str = ""
    files: dict[str, Annotated[Given, BeforeValidator(_given)]] = {}
    axes: dict[str, Annotated[Axis, BeforeValidator(_axis)]] = {}
    tables: dict[str, dict[str, Any]] = {}
    labels: dict[str, Labels] = {}
    inputs: dict[str, dict[str, Any]] = {}
    strategies: dict[str, dict[str, Any]] = Field(min_length=1)
    claims: list[Claim] = []
    figures: list[Figure] = []
    summaries: list[Summary] = []
    beside: list[Beside] = []

    @model_validator(mode="after")
    def _names(self) -> Study:
        seen: set[str] = set()
        for kind in ("files", "axes", "tables", "labels", "inputs"):
            for name in getattr(self, kind):
                if not _WORD.fullmatch(name):
                    raise ValueError(f"{kind}: expected a word, found {name!r}")
                if name in seen:
                    raise ValueError(f"two things are called {name!r}")
                seen.add(name)
        for name, axis in self.axes.items():
            if name in COLUMNS:
                raise ValueError(f"no axis may be called {name!r}")
            if axis.listed and axis.listed not in self.files:
                raise ValueError(
                    f"axis {name!r}, listed: no file {axis.listed!r}; "
                    + nearest(axis.listed, self.files)
                )
        for name, label in self.labels.items():
            if name in COLUMNS:
                raise ValueError(f"no label may be called {name!r}")
            if label.of not in self.axes:
                raise ValueError(
                    f"label {name!r}: no axis {label.of!r}; {nearest(label.of, self.axes)}"
                )
        axes = {*self.axes, "strategy", "part", "item"}
        columns = {*axes, *self.labels}
        selectors = [
            *((f"axis {name!r}, once", axis.once, axes) for name, axis in self.axes.items()),
            *((f"summary {each.title!r}", each.where, columns) for each in self.summaries),
            *(
                (f"summary {each.title!r}", dict.fromkeys(each.over), columns)
                for each in self.summaries
            ),
            *((f"beside {each.label!r}", each.where, axes) for each in self.beside),
            *(
                (f"{name!r}, only", step["only"], axes)
                for name, step in (*self.inputs.items(), *self.strategies.items())
                if isinstance(step.get("only"), dict)
            ),
        ]
        for claim in self.claims:
            others = dict.fromkeys([*claim.pair, *claim.within, claim.groups])
            for chosen in (claim.first, claim.second, claim.minus, others):
                selectors.append((f"claim {claim.id}", chosen, columns))
        for figure in self.figures:
            for chosen in (figure.where, figure.minus):
                selectors.append((f"figure {figure.name!r}", chosen, columns))
        for what, chosen, known in selectors:
            for name in chosen:
                if name not in known:
                    raise ValueError(f"{what}: no axis {name!r}; {nearest(name, known)}")
            wanted = chosen.get("strategy")
            for one in wanted if isinstance(wanted, list) else [wanted]:
                if one is not None and one not in self.strategies:
                    raise ValueError(
                        f"{what}: no strategy {one!r}; {nearest(str(one), self.strategies)}"
                    )
        return self


def load_study(name: PathLike) -> Study:
    """Load a study that comes with the package by name, or a TOML file by path.

    Raises
    ------
    InputError
        For an unknown name, malformed TOML, or an entry that is wrong or unknown (named, with the
        nearest).
    """
    return _checked(_place(name))


def _place(name: PathLike) -> Path:
    if str(name).endswith(".toml"):
        return Path(name)
    known = dict(_shipped())
    if str(name) not in known:
        raise InputError(
            f"no study {shown(name)!r}; {nearest(str(name), known)} (or a TOML file; see "
            "'cistransfer study list')"
        )
    return known[str(name)]


def text_of(name: PathLike) -> str:
    """The file of a study."""
    return _place(name).read_text(encoding="utf-8-sig")


def folder_of(name: PathLike) -> Path | None:
    """Folder that a user's study lies in; what it names is relative to that."""
    return Path(name).resolve().parent if str(name).endswith(".toml") else None


def _shipped() -> Iterator[tuple[str, Path]]:
    folder = Path(str(resources.files("cistransfer.studies") / "catalogue"))
    for path in sorted(folder.glob("*.toml")):
        yield path.name.removesuffix(".toml"), path


def catalogue() -> dict[str, Study]:
    """Every study that comes with the package, by name."""
    return {name: _checked(path) for name, path in _shipped()}


def _checked(path: Path) -> Study:
    try:
        return Study.model_validate(read_toml(path, _LONGEST))
    except ValidationError as error:
        raise InputError(f"{path}: {_first_wrong(error)}") from error


_MODELS: dict[str, type[BaseModel]] = {
    "axes": Axis,
    "files": Given,
    "labels": Labels,
    "claims": Claim,
    "figures": Figure,
    "summaries": Summary,
    "beside": Beside,
}


def _first_wrong(error: ValidationError) -> str:
    """Word the first thing that is wrong with a study, and what exists instead."""
    errors = error.errors()
    first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        model = _MODELS.get(str(first["loc"][0]), Study) if len(first["loc"]) > 1 else Study
        known = nearest(str(first["loc"][-1]), model.model_fields)
        return f"unknown entry {shown(place)!r}; {known}"
    if first["type"] == "missing":
        return f"lacks the entry {shown(place)!r}"
    if "ctx" in first and "error" in first["ctx"]:
        return (f"{shown(place)}: " if place else "") + str(first["ctx"]["error"])
    return f"{shown(place)}: {shown(first['msg'])}, found {shown(first['input'])}"
