"""Strategies: what is transferred and how it is trained, as data (small TOML files)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from cistransfer.errors import InputError, nearest, shown
from cistransfer.storage import read_toml

__all__ = [
    "Initialise",
    "Phase",
    "Probe",
    "Strategy",
    "load_strategy",
    "shipped_strategies",
    "with_epochs",
    "with_phases",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Phase(BaseModel):
    """One stretch of gradient training with fixed settings.

    Patterns are shell patterns on module names (``conv1``, ``dense*``, ``head``, ``*``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["gradient"] = "gradient"
    name: str
    train: tuple[str, ...] = Field(default=("*",), min_length=1)
    """Modules whose weights are trained; all others are frozen, batch-norm statistics included."""
    freeze: tuple[str, ...] = ()
    """Modules that are frozen, statistics included, although ``train`` names them."""
    frozen_statistics: tuple[str, ...] = ()
    """Modules whose weights are trained but whose batch-norm statistics stay as they are."""
    drifting_statistics: tuple[str, ...] = ()
    """Frozen modules whose batch-norm statistics are updated all the same (the published code)."""
    learning_rate: float = Field(gt=0, allow_inf_nan=False)
    rates: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = {}
    """Factors on the learning rate by module pattern; the last pattern that fits counts."""
    schedule: Literal["constant", "one-cycle"] = "constant"
    batch_size: int = Field(gt=1)
    epochs: int = Field(gt=0)
    """Most epochs."""
    steps_per_epoch: int | None = Field(default=None, gt=0)
    """Steps of one epoch; by default one pass over the training examples."""
    patience: int | None = Field(default=None, gt=0)
    """Stop after so many epochs without a better validation; never by default."""
    start_counts: bool = False
    """Whether the weights at the start of the phase are kept when no epoch is better."""
    monitor: Literal["loss", "aucpr"] = "loss"
    """What is better: a lower validation loss, or a higher mean AUCPR of the tasks."""
    strands: Literal["forward", "both", "random"] = "both"
    """Train on the forward strand, on both copies of each example, or on a random one."""
    shift: int = Field(default=0, ge=0)
    """Move each training window by up to so many bp to either side; N fills what is left."""
    validation_strands: Literal["forward", "both"] = "both"
    """Strands averaged when validation examples are scored."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled from the gradient (AdamW); of every trained parameter."""
    l2: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = {}
    """Strength × sum of squares added to the loss (as Keras does; its gradient passes through
    Adam), by parameter pattern such as ``conv*.conv.weight``; the last pattern that fits counts.
    The losses on record are without it."""


class Probe(BaseModel):
    """Logistic regression on the frozen features of the network becomes the head.

    Features of the two strands are averaged and standardised on the training part. How strongly
    they are penalised, and how much freer motifs beside the network are, is chosen by
    cross-validation within the training part, by AUROC: with few examples the log loss prefers
    penalties that rank worse. Standardisation and choice are folded into the linear head. Unbound
    regions of the part ``extra`` are learned from as well, weighed so that the classes keep the
    weights that they have in the training part.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["probe"]
    name: str
    strengths: tuple[Positive, ...] = Field(default=(2e-4, 2e-3, 2e-2), min_length=1)
    """Inverse L2 penalties (scikit-learn's C) to choose from."""
    motif_scales: tuple[Positive, ...] = Field(default=(10.0, 30.0, 100.0), min_length=1)
    """Factors on standardised motifs to choose from: the larger, the less they are penalised
    beside the many features. Without motifs there is nothing to choose."""
    caution: float = Field(default=0.2, ge=0, allow_inf_nan=False)
    """The middle of both lists is taken unless others are better: each step away from it has to
    gain ``caution / √examples`` of AUROC, because cross-validation on few examples is noisy."""
    folds: int = Field(default=5, gt=1)
    repeats: int = Field(default=2, gt=0)
    """Cross-validations with other folds, averaged."""
    prior: Literal["none", "trunk"] = "none"
    """How freely each feature may be used: all alike, or as the outputs of the trunk and the
    examples suggest (`cistransfer.training.prior`)."""
    most_rows: int = Field(default=2000, gt=0)
    """Cross-validate on at most so many examples, those of the training part first, counted in
    every repeat; the final fit uses all."""


class Initialise(BaseModel):
    """Motifs that first-layer filters start as, centred (DanQ's rule).

    The given motifs come first, then each de novo motif in both orientations; filters beyond them
    keep their random start. All are trained.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    given: int = Field(default=0, ge=0)
    """Motifs to take of those the user gives; where there are more, as many are drawn among
    mutually dissimilar ones."""
    dissimilar: float = Field(default=0.05, ge=0, le=1)
    """Tomtom q-value above which two motifs are dissimilar."""
    denovo: int = Field(default=0, ge=0)
    """Motifs to find in the training part."""
    values: Literal["probability", "log-odds"] = "probability"
    """What a filter holds: probability − 0.25 (DanQ), or the natural logarithm of the odds against
    a uniform background, so that its score is the motif's."""


def _kind(value: Any) -> str:
    if isinstance(value, BaseModel):
        return str(getattr(value, "kind", "gradient"))
    return str(value.get("kind", "gradient")) if isinstance(value, dict) else "gradient"


AnyPhase = Annotated[
    Annotated[Phase, Tag("gradient")] | Annotated[Probe, Tag("probe")], Discriminator(_kind)
]


class Strategy(BaseModel):
    """Where the weights come from and the phases that train them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    summary: str
    start: Literal["trunk", "scratch"]
    transfer: tuple[str, ...] = ("*",)
    """Modules copied from the trunk (never the head); the others keep fresh weights."""
    arguments: dict[str, Any] = {}
    """Arguments of the architecture that differ from the trunk's (or from its defaults)."""
    initialise: Initialise | None = None
    """Motifs that first-layer filters start as; only from scratch."""
    motifs: Literal["none", "given", "denovo", "both"] = "none"
    """Motifs whose occupancy the head reads beside the network's features: those the user gives,
    those found in the training part, or both (found ones alone when none are given; without
    ``motif_folds``, given ones alone with fewer than 200 bound training examples)."""
    motif_folds: int | None = Field(default=None, gt=1)
    """Cross-fit the found motifs: they are searched in the training part without each of so many
    folds, the head reads the mean of their occupancies over folds, and a probe learns from what
    each training example gets from the motif that has not seen it. From 200 bound training
    examples on, half as many folds and three motifs instead of one. By default they are found in
    the whole training part, whose examples they fit better than others."""
    engine: Literal["own", "streme"] = "own"
    """What finds motifs: our own finder, or STREME, which then has to be on PATH."""
    classes: Literal["independent", "exclusive"] = "independent"
    """Whether each task is a question of its own, or the tasks are classes of which one is true
    (softmax over them; the multi-class baseline of Salvatore et al. 2023)."""
    phases: tuple[AnyPhase, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _exclusive_classes_are_trained(self) -> Strategy:
        if self.classes == "exclusive" and (
            self.motifs != "none" or any(isinstance(phase, Probe) for phase in self.phases)
        ):
            raise ValueError("classes = 'exclusive' goes with gradient phases and without motifs")
        return self

    @model_validator(mode="after")
    def _a_prior_has_a_trunk(self) -> Strategy:
        wanted = any(getattr(phase, "prior", "none") == "trunk" for phase in self.phases)
        if wanted and (self.start != "trunk" or self.transfer != ("*",)):
            raise ValueError("prior = 'trunk' needs start = 'trunk' and all of the trunk's modules")
        return self

    @model_validator(mode="after")
    def _filters_are_not_overwritten(self) -> Strategy:
        if self.initialise is not None and self.start == "trunk":
            raise ValueError("initialise needs start = 'scratch': a trunk brings its own filters")
        return self


def shipped_strategies() -> dict[str, str]:
    """Names of the strategies that come with the package, with their summaries."""
    folder = resources.files("cistransfer.training") / "strategies"
    names = sorted(
        file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")
    )
    return {name: load_strategy(name).summary for name in names}


def load_strategy(name: str | Strategy) -> Strategy:
    """Load a shipped strategy by name, or a TOML file by path; one that is loaded stays as it is.

    Raises
    ------
    InputError
        For an unknown name, malformed TOML, or an unknown or wrong entry (names it).
    """
    if isinstance(name, Strategy):
        return name
    if name.endswith(".toml"):
        content = read_toml(name)
    else:
        folder = resources.files("cistransfer.training") / "strategies"
        file = folder / f"{name}.toml"
        if not file.is_file():
            known = [entry.name.removesuffix(".toml") for entry in folder.iterdir()]
            raise InputError(
                f"no strategy {shown(name)!r}; {nearest(name, known)} (or a TOML file)"
            )
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    try:
        return Strategy.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{name}: {_first_wrong(error)}") from error


def with_epochs(strategy: Strategy, epochs: int | None) -> Strategy:
    """The strategy with so many epochs at most in each gradient phase; None leaves it as it is."""
    if epochs is None:
        return strategy
    phases = tuple(
        phase.model_copy(update={"epochs": epochs}) if isinstance(phase, Phase) else phase
        for phase in strategy.phases
    )
    return strategy.model_copy(update={"phases": phases})


def with_phases(strategy: Strategy, changes: Mapping[str, Any]) -> Strategy:
    """The strategy with other settings in each gradient phase: ``learning_rate``, ``batch_size`` …

    Raises
    ------
    InputError
        For a setting that does not exist, or a value that is wrong.
    """
    phases = [
        {**phase.model_dump(), **changes} if isinstance(phase, Phase) else phase
        for phase in strategy.phases
    ]
    try:
        return Strategy.model_validate({**strategy.model_dump(), "phases": phases})
    except ValidationError as error:
        raise InputError(f"{strategy.name}: {_first_wrong(error)}") from error


def _first_wrong(error: ValidationError) -> str:
    """Word the first thing that is wrong with a strategy, and what exists instead."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        kinds: dict[object, type[BaseModel]] = {"gradient": Phase, "probe": Probe}
        kinds["initialise"] = Initialise
        model = next((kinds[part] for part in first["loc"] if part in kinds), Strategy)
        return (
            f"unknown entry {shown(place)!r}; {nearest(str(first['loc'][-1]), model.model_fields)}"
        )
    if first["type"] == "missing":
        return f"lacks the entry {shown(place)!r}"
    if not place:
        return str(first["ctx"]["error"]) if "ctx" in first else str(first["msg"])
    return f"{shown(place)}: {shown(first['msg'])}, found {shown(first['input'])}"
