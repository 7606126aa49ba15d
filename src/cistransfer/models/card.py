"""What a bundle says of itself, ``card.json``: typed, and checked before anything is built."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cistransfer.errors import InputError, shown

__all__ = [
    "FORMAT",
    "PER_TASK",
    "VERSION",
    "Architecture",
    "Card",
    "Motif",
    "Motifs",
    "Record",
    "wrappers_of",
]

FORMAT = "cistransfer-bundle"
VERSION = 2
_WRAPPERS = ("with-motifs", "exclusive")
PER_TASK = ("threshold", "temperature", "prevalence")
"""Entries of a card that have one value for each task, where there are any."""
_RESERVED = {"architecture", "window", "n_tasks", "seed", "motifs", "link"}
"""What `cistransfer.models.registry.build_model` takes beside a network's arguments."""
_MAX_ENTRIES = 10_000
"""Motifs, or entries of one list among a network's arguments."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Size = Annotated[int, Field(ge=0, le=_MAX_ENTRIES)]


class _Entry(BaseModel):
    """An immutable part of a card; numbers are not read from text."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", protected_namespaces=())


class Architecture(_Entry):
    """A network by name."""

    name: str = Field(min_length=1)
    """Of the registry, or ``FILE.py:CLASS`` without folders."""
    arguments: dict[str, Any] = {}
    sha256: str | None = None
    """Of a user's file."""

    @model_validator(mode="after")
    def _arguments_are_its_own(self) -> Architecture:
        if taken := _RESERVED & self.arguments.keys():
            raise ValueError(f"a network has no argument {min(taken)!r} of its own")
        if any(isinstance(value, list) and len(value) > _MAX_ENTRIES for value in
               self.arguments.values()):  # fmt: skip
            raise ValueError(f"an argument has more than {_MAX_ENTRIES:,} entries")
        return self

    def to_json(self) -> dict[str, Any]:
        """Name, arguments and, of a user's file, its hash."""
        return self.model_dump(mode="json", exclude_none=True)


class Motif(_Entry):
    """A motif on record; the log-odds are with the weights."""

    width: int = Field(ge=1, le=_MAX_ENTRIES)
    name: str = ""
    consensus: str = ""
    sha256: str = ""
    """Of its probabilities."""


class Motifs(_Entry):
    """What the head reads beside the network: see `cistransfer.models.model.MotifFeatures`."""

    known: tuple[Motif, ...] = Field(max_length=_MAX_ENTRIES)
    bags: Size = 0
    folds: Size = 0

    @model_validator(mode="after")
    def _bags_fit(self) -> Motifs:
        if self.bags * self.folds > len(self.known):
            raise ValueError(f"{self.bags} bags of {self.folds} folds need as many motifs")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each motif in bp."""
        return tuple(motif.width for motif in self.known)


class Record(BaseModel):
    """The strategy of a run, in the words of its file (`cistransfer.training.strategy`)."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = ""
    summary: str = ""


class Parent(_Entry):
    """The trunk of a fine-tuned model."""

    weights: str
    tasks: tuple[str, ...]
    strategy: str | None = None


class Card(BaseModel):
    """The content of ``card.json``; format 1 is read as if it were format 2.

    Entries without a comment are records that nothing but reports reads. Further entries are kept.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", protected_namespaces=())

    format: Literal["cistransfer-bundle"] = "cistransfer-bundle"
    version: int = VERSION
    architecture: Architecture
    motifs: Motifs | None = None
    """Read beside the network; None where there are none."""
    link: Literal["independent", "exclusive"] = "independent"
    """How logits become probabilities: sigmoid of each task, or softmax over the tasks."""
    tasks: tuple[str, ...] = Field(min_length=1)
    window: int = Field(gt=0, lt=10_000_000)
    """Length of the input in bp."""
    alphabet: Literal["ACGT"] = "ACGT"
    weights: str = ""
    """Hash over every tensor (`cistransfer.models.bundle.weights_hash`)."""
    files: dict[str, str] = {}
    """Hash of the bytes of ``regions.parquet`` and ``example.json``; none in format 1."""
    threshold: tuple[Finite | None, ...] | None = None
    """Logit from which each task is called positive, fitted on validation."""
    temperature: tuple[Positive | None, ...] | None = None
    """By which each task's logit is divided, fitted on validation."""
    prevalence: tuple[Finite | None, ...] | None = None
    """Share of bound regions in the validation part, by task: what probabilities refer to."""
    evidence: dict[str, Finite | None] = {}
    """Of a probe: cross-validated AUROC of the trunk alone, of motifs alone, of both, and
    what features that say nothing stay below (``chance``); means over tasks."""
    validation: dict[str, tuple[Finite | None, ...]] = {}
    """Metrics of each task on the validation part."""
    split: dict[str, Any] | None = None
    """See `cistransfer.examples.split.split_from_card`."""
    assembly: str | None = None
    """Name of the genome assembly of the examples, where it is known."""
    genome: str | None = None
    """File of the sequences."""
    strategy: Record = Record()
    trunk: Parent | None = None
    parent: str | None = None
    """Hash of the weights that it started from."""
    run: str | None = None
    """Hash of the configuration."""
    examples: str | None = None
    """Content hash of the example set."""
    seed: int | None = None
    precision: str | None = None
    device: str | None = None
    filters: tuple[dict[str, Any], ...] = ()
    """Motifs that filters started as."""
    counts: dict[str, Any] = {}
    epochs: int | None = Field(default=None, ge=0)
    storage: Literal["float16"] | None = None
    """Of compact copies."""
    rounded_from: str | None = None
    versions: dict[str, str] = {}

    @model_validator(mode="after")
    def _fits_the_tasks(self) -> Card:
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError("tasks: expected different names")
        lists = {entry: getattr(self, entry) for entry in PER_TASK}
        lists |= {f"validation.{name}": values for name, values in self.validation.items()}
        for entry, values in lists.items():
            if values is not None and len(values) != len(self.tasks):
                raise ValueError(
                    f"{entry}: expected one for each of the {len(self.tasks)} tasks, "
                    f"found {len(values)}"
                )
        return self

    @classmethod
    def from_json(cls, content: Any, where: str = "card") -> Card:
        """Read the content of a ``card.json``.

        Raises
        ------
        InputError
            When it is no card, of a newer format, or an entry is missing or wrong (one line).
        """
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError(f"{where}: expected the card of a {FORMAT}")
        version = content.get("version")
        if type(version) is not int or not 1 <= version <= VERSION:
            raise InputError(
                f"{where}: bundle format {version!r:.20}; this cistransfer reads 1 to {VERSION}"
            )
        if version == 1:
            content = _from_format_1(content)
        try:
            return cls.model_validate_json(json.dumps(content))  # strict, but lists are tuples
        except ValidationError as error:
            raise InputError(f"{where}: {_first_wrong(error)}") from error

    def to_json(self) -> dict[str, Any]:
        """What ``card.json`` holds: `from_json` of it is the same card."""
        return self.model_dump(mode="json", exclude_unset=True)


def wrappers_of(content: Any) -> int:
    """How many networks stand around another one on a card of format 1.

    Each puts ``base.`` before the names of tensors inside of it.
    """
    design, depth = content["architecture"] if content.get("version") == 1 else None, 0
    while isinstance(design, dict) and design.get("name") in _WRAPPERS:
        design = design["arguments"].get("base")
        depth += 1
    return depth


def _from_format_1(card: dict[str, Any]) -> dict[str, Any]:
    """Take the networks of format 1 that stood around another one apart.

    There, motifs and softmax were architectures with the network as an argument ``base``.
    """
    new: dict[str, Any] = {**card, "motifs": None}
    design = card.get("architecture")
    facts: Any = card.get("motifs")
    while isinstance(design, dict) and design.get("name") in _WRAPPERS:
        arguments = design.get("arguments")
        if not isinstance(arguments, dict):
            break
        if design["name"] == "exclusive":
            new["link"] = "exclusive"
        elif widths := arguments.get("widths"):
            known: Any = widths
            if isinstance(widths, list):
                fits = isinstance(facts, list) and len(facts) == len(widths)
                told: list[dict[str, Any]] = [{}] * len(widths)
                if fits and all(isinstance(fact, dict) for fact in facts):
                    told = facts
                known = [{"width": width, **fact} for width, fact in zip(widths, told, strict=True)]
            new["motifs"] = {
                "known": known,
                "bags": arguments.get("bags", 0),
                "folds": arguments.get("folds", 0),
            }
        design = arguments.get("base", {"name": "cnn", "arguments": {}})
    return {**new, "architecture": design} if "architecture" in card else new


def _first_wrong(error: ValidationError) -> str:
    """Word the first thing that is wrong with a card."""
    first = error.errors(include_url=False)[0]
    place = shown(".".join(str(part) for part in first["loc"]), 60)
    if first["type"] == "missing":
        return f"lacks the entry {place!r}"
    said = str(first.get("ctx", {}).get("error") or first["msg"])
    said = said[0].lower() + said[1:]
    return f"{place}: {said}, found {first['input']!r:.80}" if place else said
