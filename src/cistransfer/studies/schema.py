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

__all__ = ["Axis", "Claim", "Figure", "Given", "Study", "catalogue", "load_study", "text_of"]

Value = str | int | float
PathLike = str | os.PathLike[str]

_STRICT = ConfigDict(extra="forbid", frozen=True)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
COLUMNS = ("study", "strategy", "trial", "part", "item", "metric", "value")
"""Columns of the results that no axis may be called."""


class Axis(BaseModel):
    """One dimension of the grid: ``["A", "B"]``, a number of draws, or a table with ``values``."""

    model_config = _STRICT

    values: list[Value] = Field(min_length=1)
    once: dict[str, list[Value]] = {}
    """Only the first value counts where another axis has one of these (a draw of all peaks)."""

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
    first: dict[str, Value] = {}
    """Which rows: axis → value (``strategy``, ``part`` and ``item`` too)."""
    second: dict[str, Value] = {}
    pair: list[str] = ["tf"]
    """One observation for each value of these; everything else is averaged."""
    paper: float | None = None
    paper_p: float | None = None
    direction: Literal["above", "below", "same", ""] = ""
    """``first`` against ``second`` in the paper."""
    test: Literal["", "wilcoxon", "welch", "kruskal"] = ""
    family: int = Field(default=1, ge=1)
    """Tests that the paper made at once: p is multiplied by it (Bonferroni)."""
    note: str = ""
    """Why ours may differ."""


class Figure(BaseModel):
    """One figure of the results."""

    model_config = _STRICT

    name: str
    kind: Literal["box", "line", "scatter", "bars", "heat"]
    metric: str = "aucpr"
    x: str = "tf"
    """Axis; of a scatter, the strategy to the right."""
    y: str = ""
    """Of a scatter, the strategy upwards; of a heat map, the axis downwards."""
    by: str = "strategy"
    """What has a colour of its own."""
    panels: str = ""
    """An axis with a panel for each of its values."""
    where: dict[str, Value | list[Value]] = {}
    """Which rows (as in a claim)."""
    title: str = ""
    paper: str = ""
    """The figure of the paper that it stands beside."""


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
    inputs
        Steps (``do``) whose files others read: trunks, example sets.
    strategies
        Steps whose numbers are compared, by label.
    claims, figures
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
    inputs: dict[str, dict[str, Any]] = {}
    strategies: dict[str, dict[str, Any]] = Field(min_length=1)
    claims: list[Claim] = []
    figures: list[Figure] = []

    @model_validator(mode="after")
    def _names(self) -> Study:
        seen: set[str] = set()
        for kind in ("files", "axes", "tables", "inputs"):
            for name in getattr(self, kind):
                if not _WORD.fullmatch(name):
                    raise ValueError(f"{kind}: expected a word, found {name!r}")
                if name in seen:
                    raise ValueError(f"two things are called {name!r}")
                seen.add(name)
        for name in self.axes:
            if name in COLUMNS:
                raise ValueError(f"no axis may be called {name!r}")
        selectors = [
            *((f"axis {name!r}, once", axis.once) for name, axis in self.axes.items()),
            *((f"claim {each.id}", each.first) for each in self.claims),
            *((f"claim {each.id}", each.second) for each in self.claims),
            *((f"claim {each.id}", dict.fromkeys(each.pair)) for each in self.claims),
            *((f"figure {each.name!r}", each.where) for each in self.figures),
            *(
                (f"{name!r}, only", step["only"])
                for name, step in (*self.inputs.items(), *self.strategies.items())
                if isinstance(step.get("only"), dict)
            ),
        ]
        known = {*self.axes, "strategy", "part", "item"}
        for what, chosen in selectors:
            for name in chosen:
                if name not in known:
                    raise ValueError(f"{what}: no axis {name!r}; {nearest(name, known)}")
            label = chosen.get("strategy")
            for one in label if isinstance(label, list) else [label]:
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
        return Study.model_validate(read_toml(path))
    except ValidationError as error:
        raise InputError(f"{path}: {_first_wrong(error)}") from error


_MODELS: dict[str, type[BaseModel]] = {
    "axes": Axis,
    "files": Given,
    "claims": Claim,
    "figures": Figure,
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
