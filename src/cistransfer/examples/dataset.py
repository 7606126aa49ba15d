"""An example set: codes, labels, regions and a split, on disk as a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cistransfer.errors import InputError, shown
from cistransfer.examples.holdout import EXTRA, TRAINED
from cistransfer.genome.codes import gc_fraction
from cistransfer.storage import (
    Kind,
    fingerprint,
    open_npy,
    read_json,
    read_table,
    whole_folder,
    write_json,
)

__all__ = [
    "EXAMPLES",
    "PARTS",
    "ExampleSet",
    "check_examples",
    "counts",
    "input_lines",
    "open_examples",
    "parts_of",
    "save_examples",
    "subset",
]

PARTS = ("train", "valid", "test")
"""Parts that every strategy and every metric means; beside them there may be the part ``extra``:
more unbound regions of the training part's chromosomes, for strategies that weigh classes."""

FORMAT = "cistransfer-examples"
VERSION = 1
EXAMPLES = Kind(
    "example set", "dataset.json", ("codes.npy", "labels.npy", "regions.parquet", "config.json")
)
_GC_BINS = 20
_HASHED = ("labels.npy", "regions.parquet")
"""Checked on every opening; the windows, which are large, with the content hash."""


@dataclass(frozen=True)
class ExampleSet:
    """Windows with labels and a split.

    Attributes
    ----------
    codes : ndarray of uint8, shape (n, window)
        Memory-mapped when opened from disk.
    labels : ndarray of int8, shape (n, tasks)
        1 bound, 0 unbound, −1 unresolved (no weight in any loss or metric).
    regions : DataFrame
        Region table of n rows with ``part`` (train, valid, test, extra).
    tasks : tuple of str
        Names of the columns of ``labels``.
    facts : dict
        How it was made: genome, negatives, seed, split, what was dropped (JSON-ready).
    origin : (str, str), optional
        Of a set opened from disk: the folder, and the content hash that it is said to have.
    """

    codes: NDArray[np.uint8]
    labels: NDArray[np.int8]
    regions: pd.DataFrame
    tasks: tuple[str, ...]
    facts: dict[str, Any]
    origin: tuple[str, str] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (len(self.codes) == len(self.labels) == len(self.regions)):
            raise ValueError("codes, labels and regions must have one row per example")
        if self.labels.shape[1] != len(self.tasks):
            raise ValueError("labels must have one column per task")

    def __repr__(self) -> str:
        """Tasks and numbers, without the arrays."""
        tasks = ", ".join(self.tasks[:3]) + (", …" if len(self.tasks) > 3 else "")
        parts = ", ".join(f"{part} {len(self.rows(part)):,}" for part in parts_of(self))
        return f"<ExampleSet {tasks}: {len(self.codes):,} windows of {self.window} bp ({parts})>"

    @property
    def window(self) -> int:
        """Length of the windows in bp."""
        return int(self.codes.shape[1])

    def rows(self, part: str) -> NDArray[np.int64]:
        """Row numbers of a part (train, valid, test or extra), ascending."""
        return np.flatnonzero(self.regions["part"].to_numpy() == part)

    def learned_rows(self) -> NDArray[np.int64]:
        """Row numbers of everything to learn from: the training part, then the part ``extra``."""
        return np.concatenate([self.rows(part) for part in TRAINED])

    def notes(self) -> list[str]:
        """What a person should know of how it was made: inputs, warnings, the guard."""
        lines = input_lines(self.facts.get("inputs", ()))
        if self.facts.get("uracils"):
            lines.append(
                f"{self.facts.get('genome')}: {self.facts['uracils']:,} letters U were read as T"
            )
        dropped = self.facts.get("dropped") or {}
        if self.facts.get("guard_compares_by") == "sequence":
            lines.append(
                "the places that the trunk has seen are not those of this genome: compared by "
                f"sequence, {dropped.get('seen_by_trunk', 0):,} windows left out"
            )
        elif dropped.get("seen_by_trunk"):
            lines.append(f"{dropped['seen_by_trunk']:,} windows left out: the trunk has seen them")
        return lines + self._little_trains()

    def _little_trains(self) -> list[str]:
        """Say that whole chromosomes, few and large, leave less than half for training, unless so
        few were asked for."""
        number = self.regions["part"].value_counts()
        trains = int(number.get("train", 0))
        every = trains + int(number.get("valid", 0) + number.get("test", 0))
        by_chromosome = (self.facts.get("split") or {}).get("by") == "chromosome"
        as_asked = self.facts.get("positives") is not None
        if not (by_chromosome and 0 < trains < every / 2) or as_asked:
            return []
        return [
            f"only {trains:,} of {every:,} examples ({trains / every:.0%}) are trained on: whole "
            "chromosomes are held out, and there are few of them; --split neighbours holds out a "
            "fifth of the examples"
        ]

    def content_hash(self) -> str:
        """``sha256:…`` over windows, labels, places, parts and tasks: equal means identical.

        Raises
        ------
        InputError
            When the set was opened from disk and is not what its record says.
        """
        digest = hashlib.sha256("|".join(self.tasks).encode())
        for i in range(0, len(self.codes), 1 << 16):
            digest.update(np.ascontiguousarray(self.codes[i : i + (1 << 16)]).tobytes())
        digest.update(np.ascontiguousarray(self.labels).tobytes())
        for column in ("chrom", "part"):
            digest.update("\n".join(self.regions[column].astype(str)).encode())
        digest.update(self.regions[["start", "end"]].to_numpy(np.int64).tobytes())
        found = "sha256:" + digest.hexdigest()
        if self.origin is not None and self.origin[1] != found:
            raise InputError(
                f"{Path(self.origin[0]) / 'codes.npy'}: not the windows that dataset.json "
                "describes (the content hashes differ); copy or make the example set again"
            )
        return found


class _Record(BaseModel):
    """What ``dataset.json`` has to hold; further entries say how the set was made."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    version: Literal[1]
    tasks: Annotated[list[str], Field(min_length=1, max_length=100_000)]
    window: int = Field(gt=0, lt=10_000_000)
    examples: int = Field(ge=0, lt=1 << 40)
    content: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    files: dict[str, str] | None = None
    """Hashes of the files; none in the sets of before."""
    inputs: list[dict[str, Any]] = []
    dropped: dict[str, Any] | None = None
    split: dict[str, Any] | None = None
    guard: str | None = None
    guard_compares_by: str | None = None
    genome: str | None = None
    assembly: str | None = None

    @model_validator(mode="after")
    def _belongs_together(self) -> _Record:
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError("tasks: expected different names")
        if self.files is not None and not set(_HASHED) <= self.files.keys():
            raise ValueError(f"files: expected the hashes of {' and '.join(_HASHED)}")
        return self


def input_lines(inputs: Iterable[Mapping[str, Any]]) -> list[str]:
    """What a person should know of inputs that were placed on a genome; warnings say so."""
    lines = []
    for one in inputs:
        lines += [one[key] for key in ("read", "line") if key in one]
        lines += [f"warning: {text}" for text in one.get("warnings", ())]
    return lines


def parts_of(examples: ExampleSet) -> tuple[str, ...]:
    """`PARTS`, and ``extra`` where there is one."""
    return (*PARTS, EXTRA) if len(examples.rows(EXTRA)) else PARTS


def counts(examples: ExampleSet) -> dict[str, dict[str, dict[str, int]]]:
    """Bound, unbound and unresolved examples of each task in each part."""
    table: dict[str, dict[str, dict[str, int]]] = {}
    for part in parts_of(examples):
        labels = np.asarray(examples.labels[examples.rows(part)])
        table[part] = {
            task: {
                "bound": int((labels[:, column] == 1).sum()),
                "unbound": int((labels[:, column] == 0).sum()),
                "unresolved": int((labels[:, column] == -1).sum()),
            }
            for column, task in enumerate(examples.tasks)
        }
    return table


def subset(
    examples: ExampleSet,
    *,
    fraction: float = 1.0,
    max_positives: dict[str, int] | None = None,
    seed: int = 0,
) -> ExampleSet:
    """Keep a share of the training and validation examples, drawn within each class.

    The bootstrap of training sizes of Salvatore et al. 2023 (Table 1): the class ratio is kept.
    The validation part shrinks with the training part, because who has few examples has few to
    validate on; the test part does not depend on ``fraction``.

    Parameters
    ----------
    examples : ExampleSet
        Of one task.
    fraction : float
        Share of the training and validation examples, in (0, 1].
    max_positives : dict of part → int, optional
        Most positives of a part; its negatives shrink with them. Applied before ``fraction``.
    seed : int
        Of the draw; with different fractions of one seed the smaller set lies in the larger.

    Returns
    -------
    ExampleSet
        Rows in their old order.

    Raises
    ------
    InputError
        For a fraction out of range, several tasks, or when a class would be empty.
    """
    if not 0 < fraction <= 1:
        raise InputError(f"expected a fraction above 0 and at most 1, found {fraction}")
    if len(examples.tasks) != 1:
        raise InputError(f"expected examples of one task, found {len(examples.tasks)}")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(examples.codes))
    labels = np.asarray(examples.labels[:, 0])[order]
    parts = examples.regions["part"].to_numpy()[order]
    kept = []
    for part in parts_of(examples):
        like = "train" if part == EXTRA else part
        positives = int(((parts == like) & (labels == 1)).sum())
        share = min(1.0, (max_positives or {}).get(like, positives) / max(positives, 1))
        share *= fraction if part != "test" else 1.0
        for label in (0, 1):
            rows = order[(parts == part) & (labels == label)]
            wanted = round(share * len(rows))
            if len(rows) and not wanted:
                raise InputError(
                    f"{examples.tasks[0]}: {fraction:.3g} of the {part} part leaves no "
                    f"{'positive' if label else 'negative'} of {len(rows)}"
                )
            kept.append(rows[:wanted])
    take = np.sort(np.concatenate(kept))
    return ExampleSet(
        np.asarray(examples.codes[take]),
        np.asarray(examples.labels[take]),
        examples.regions.iloc[take].reset_index(drop=True),
        examples.tasks,
        {**examples.facts, "subset": {"fraction": fraction, "most": max_positives, "seed": seed}},
    )


def gc_histograms(examples: ExampleSet) -> dict[str, list[int]]:
    """Histograms of GC content (20 equal bins from 0 to 1) of bound and of unbound windows."""
    gc = np.empty(len(examples.codes))
    for i in range(0, len(gc), 1 << 16):
        gc[i : i + (1 << 16)] = gc_fraction(np.asarray(examples.codes[i : i + (1 << 16)]))
    edges = np.linspace(0, 1, _GC_BINS + 1)
    bound = (examples.labels == 1).any(axis=1)
    unbound = ~bound & (examples.labels == 0).any(axis=1)
    return {
        "bound": np.histogram(gc[bound], edges)[0].tolist(),
        "unbound": np.histogram(gc[unbound], edges)[0].tolist(),
    }


def save_examples(folder: str | os.PathLike[str], examples: ExampleSet) -> Path:
    """Write an example set as a folder, whole or not at all.

    ``codes.npy``, ``labels.npy``, ``regions.parquet`` and ``dataset.json``.
    """
    with whole_folder(folder, EXAMPLES) as temporary:
        np.save(temporary / "codes.npy", examples.codes)
        np.save(temporary / "labels.npy", examples.labels)
        regions = pd.DataFrame(examples.regions)  # without attrs: facts of reading are no JSON
        regions.to_parquet(temporary / "regions.parquet", index=False)
        write_json(
            temporary / "dataset.json",
            {
                "format": FORMAT,
                "version": VERSION,
                "tasks": list(examples.tasks),
                "window": examples.window,
                "examples": len(examples.codes),
                "content": examples.content_hash(),
                "files": {name: fingerprint(temporary / name) for name in _HASHED},
                "counts": counts(examples),
                "gc": gc_histograms(examples),
                **examples.facts,
            },
        )
    return Path(folder)


def open_examples(folder: str | os.PathLike[str]) -> ExampleSet:
    """Open an example set (arrays are memory-mapped).

    Labels and regions are compared with the hashes on record; so are the windows, with everything
    else, whenever the content hash is computed (`check_examples`, training, evaluation).

    Raises
    ------
    InputError
        When the folder is none, or a file is damaged, altered, or not as the record says.
    """
    path = Path(folder)
    place = path / "dataset.json"
    facts = read_json(place, dict)
    if facts.get("format") != FORMAT:
        raise InputError(f"{place}: expected the record of a {FORMAT} folder")
    if facts.get("version") != VERSION:
        raise InputError(
            f"{path}: example set format {shown(facts.get('version'), 20)}; this cistransfer reads "
            f"{VERSION}"
        )
    try:
        record = _Record.model_validate(facts)
    except ValidationError as error:
        raise InputError(f"{place}: {_first_wrong(error)}") from error
    n = record.examples
    codes = open_npy(path / "codes.npy", np.uint8, (n, record.window))
    labels = open_npy(path / "labels.npy", np.int8, (n, len(record.tasks)))
    for name in _HASHED if record.files is not None else ():
        if fingerprint(path / name) != (record.files or {})[name]:
            raise InputError(
                f"{path / name}: not the file that dataset.json describes (hashes differ)"
            )
    if n and not -1 <= labels.min() <= labels.max() <= 1:
        raise InputError(f"{path / 'labels.npy'}: expected labels from -1 to 1, found others")
    regions = read_table(path / "regions.parquet", ("chrom", "start", "end", "part"), n)
    for column in ("start", "end"):
        if regions[column].dtype.kind not in "iu":
            raise InputError(
                f"{path / 'regions.parquet'}: expected whole numbers in {column!r}, found "
                f"{regions[column].dtype}"
            )
    if not regions["part"].isin((*PARTS, EXTRA)).all():
        names = ", ".join((*PARTS, EXTRA))
        raise InputError(f"{path / 'regions.parquet'}: expected the parts {names}")
    own = ("format", "version", "tasks", "window", "examples", "content", "files", "counts", "gc")
    kept = {key: value for key, value in facts.items() if key not in own}
    opened = ExampleSet(codes, labels, regions, tuple(record.tasks), kept)
    object.__setattr__(opened, "origin", (str(path), record.content))
    return opened


def check_examples(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read all of an example set and compare it with the hashes on record.

    Returns
    -------
    dict
        ``examples`` (the folder), ``windows``, ``tasks``, ``content_hash``.

    Raises
    ------
    InputError
        When a file is damaged or altered.
    """
    found = open_examples(folder)
    for i in range(0, len(found.codes), 1 << 16):
        if found.codes[i : i + (1 << 16)].max(initial=0) > 4:
            raise InputError(f"{Path(folder) / 'codes.npy'}: expected codes from 0 to 4")
    return {
        "examples": str(folder),
        "windows": len(found.codes),
        "tasks": len(found.tasks),
        "content_hash": found.content_hash(),
    }


def _first_wrong(error: ValidationError) -> str:
    """Word the first thing that is wrong with a record."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"lacks the entry {place!r}"
    said = str(first.get("ctx", {}).get("error") or first["msg"])
    return f"{shown(place)}: {shown(said)}, found {shown(first['input'])}" if place else shown(said)
