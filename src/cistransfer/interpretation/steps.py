"""The methods of ``interpret``: what each is called, needs, draws and says; and their options.

A method is a function over a `cistransfer.interpretation.subject.Subject` that writes its files and
returns its part of the summary, held in a `Step` in its own module, and one line of `METHODS`. The
command line, `interpret` and the report read both. Nothing heavy is imported at the head of this
module: ``--help`` reads it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cistransfer.errors import InputError, nearest
from cistransfer.options import check_options, option

if TYPE_CHECKING:
    from cistransfer.interpretation.subject import Subject

__all__ = ["METHODS", "Methods", "OtherModels", "Panel", "Step", "chosen_steps", "step_of"]

METHODS = {
    "filters": "filters:STEP",
    "influence": "influence:STEP",
    "refinement": "refinement:STEP",
    "attribution": "tracks:STEP",
    "patterns": "patterns:STEP",
    "enrichment": "enrichment:STEP",
    "comparison": "two_models:STEP",
    "marginal": "marginal:STEP",
    "spacing": "marginal:SPACING",
}
"""Name of a method to module of this room and `Step` in it, in the order in which they run."""

ATTRIBUTIONS = ("deeplift", "gradient-input", "integrated-gradients", "mutagenesis")


@dataclass(frozen=True)
class Panel:
    """A figure of a method: its file without ending, its caption; ``wide``: a row of its own."""

    file: str
    caption: str
    wide: bool = False


@dataclass(frozen=True)
class Step:
    """A method of ``interpret``.

    Attributes
    ----------
    title : str
        Heading in the report.
    run : callable
        Writes its tables and figures into ``subject.out``; returns its part of the summary, whose
        ``note`` says what could not be done.
    words : callable
        One to three sentences for the report, from that part.
    panels : tuple of Panel
        The figures that it may write.
    needs : tuple of str
        Options (`Methods`, `OtherModels`) without which it cannot run: ``"motifs"``,
        ``"motifs or hits"``, ``"other"``, ``"pair"``.
    check : callable, optional
        Refuses, before any work, what is asked for and cannot run.
    """

    title: str
    run: Callable[[Subject], dict[str, Any]]
    words: Callable[[Mapping[str, Any]], str]
    panels: tuple[Panel, ...]
    needs: tuple[str, ...] = ()
    check: Callable[[Methods], None] | None = None


def step_of(name: str) -> Step:
    """The method of a name; imports its module."""
    module, _, attribute = METHODS[name].partition(":")
    step: Step = getattr(import_module(f"cistransfer.interpretation.{module}"), attribute)
    return step


def _needs(*methods: str) -> tuple[str, ...]:
    """Of an option that is read by these methods; without --methods all that can be are run."""
    return (*(f"methods={method}" for method in methods), "methods=")


_ATTRIBUTED = _needs("attribution", "patterns", "enrichment", "comparison")
_ENRICHED = _needs("enrichment", "comparison")


def _pair(text: str) -> tuple[str, str]:
    first, comma, second = (part.strip() for part in text.partition(","))
    if not (first and comma and second) or "," in second:
        raise InputError(f"--pair names two motifs as A,B; found {text!r}")
    return first, second


@dataclass(frozen=True)
class Methods:
    """Methods."""

    methods: tuple[str, ...] = option(
        (), help=f"Comma list of {', '.join(METHODS)} [default: all that have what they need]."
    )
    task: str | None = option(None, help="Task to explain, where there are more.")
    motifs: str | os.PathLike[str] | None = option(
        None, cli=Path, help="Known motifs: a file of any format, or jaspar."
    )
    filters_from: str = option(
        "threshold",
        choices=("threshold", "published"),
        needs=_needs("filters", "influence", "refinement"),
        help="Filters are read from the sequences that the model gets right: at its fitted "
        "thresholds, or published (at a probability of 0.5).",
    )
    pair: tuple[str, str] | None = option(
        None,
        read=_pair,
        metavar="A,B",
        needs=_needs("spacing"),
        help="Two motifs, A,B, whose spacing to measure.",
    )
    hits: str | os.PathLike[str] | None = option(
        None,
        cli=Path,
        needs=_ENRICHED,
        help="BED or bigBed of motif sites for the enrichment [default: scanned].",
    )
    min_sites: int = option(
        10, min=1, needs=_ENRICHED, help="Sites that a motif needs to be tested (published: 100)."
    )
    hit_p: float | None = option(
        None,
        needs=_ENRICHED,
        help="p-value of a motif hit [default: so that chance gives three times --min-sites, from "
        "1e-5 (published) to 5e-4; of a bigBed 1e-5].",
    )
    modisco: bool = option(
        False, needs=_needs("patterns"), help="Patterns by TF-MoDISco (modisco-lite)."
    )
    attribution: str = option(
        "deeplift",
        panel="Attribution",
        choices=ATTRIBUTIONS,
        needs=_ATTRIBUTED,
        help="deeplift, gradient-input, integrated-gradients or mutagenesis.",
    )
    on: str = option(
        "logit",
        panel="Attribution",
        choices=("logit", "probability"),
        needs=_ATTRIBUTED,
        help="Explain the logit or the probability.",
    )
    references: str = option(
        "dinucleotide",
        panel="Attribution",
        choices=("dinucleotide", "permutation", "zero"),
        needs=_ATTRIBUTED,
        help="dinucleotide (shuffles), permutation (as published) or zero.",
    )
    strands: str = option(
        "forward",
        panel="Attribution",
        choices=("forward", "both"),
        needs=_ATTRIBUTED,
        help="forward, or both (averaged).",
    )
    max_sequences: int = option(
        500,
        min=1,
        panel="Attribution",
        needs=(*_ATTRIBUTED, "methods=influence", "methods=refinement"),
        help="Positive predictions to attribute, at most.",
    )
    text: bool = option(
        False,
        panel="Attribution",
        needs=_needs("attribution"),
        help="Also write ChromTransfer's text: region, sequence and contributions, three lines "
        "each (attribution.txt.gz).",
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class OtherModels:
    """Another model."""

    other: str | os.PathLike[str] | None = option(
        None,
        cli=Path,
        path=True,
        help="The trunk that the model was fine-tuned from (refinement), or any other model of "
        "the same window (comparison).",
    )
    other_task: str | None = option(
        None,
        needs=("other",),
        help="The other model's task [default: the same, or its only one].",
    )
    scratch: str | os.PathLike[str] | None = option(
        None,
        cli=Path,
        path=True,
        needs=("other",),
        help="The model trained from scratch, whose filters are counted beside (refinement).",
    )

    def __post_init__(self) -> None:
        check_options(self)


def chosen_steps(methods: Methods, others: OtherModels) -> dict[str, Step]:
    """The methods to run, in order; refuses those that lack what they need or cannot run.

    Where nothing is named, all that have what they need. With another model, ``enrichment`` is
    followed by ``comparison``.
    """
    values = {"motifs": methods.motifs, "hits": methods.hits, "pair": methods.pair,
              "other": others.other}  # fmt: skip
    flags = {"other": "--other MODEL", "pair": "--pair A,B"}
    for name in methods.methods:
        if name not in METHODS:
            raise InputError(f"no interpretation method {name!r}; {nearest(name, METHODS)}")
    named = set(methods.methods)
    if "enrichment" in named and others.other is not None:
        named.add("comparison")
    steps: dict[str, Step] = {}
    for name in METHODS:
        if named and name not in named:
            continue
        step = step_of(name)
        lacking = [
            " or ".join(flags.get(each, f"--{each}") for each in need.split(" or "))
            for need in step.needs
            if all(values[each] is None for each in need.split(" or "))
        ]
        if lacking and named:
            raise InputError(f"the method {name!r} needs {' and '.join(lacking)}")
        if not lacking:
            if step.check is not None:
                step.check(methods)
            steps[name] = step
    return steps
