"""``cistransfer interpret``: what a model learned, and what transfer changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cistransfer.cli.groups import Device, OneBundle, OwnNetworks, Regions, Seed, Sequences
from cistransfer.cli.plan import goes_with
from cistransfer.cli.verb import Done, verb
from cistransfer.errors import InputError
from cistransfer.options import arguments, option

__all__ = ["Examples", "Methods", "Other", "Part", "interpret", "register"]


def _needs(*methods: str) -> tuple[str, ...]:
    """Of an option that is read by these methods; without --methods all that can be are run."""
    return (*(f"methods={method}" for method in methods), "methods=")


_ATTRIBUTED = _needs("attribution", "patterns", "enrichment")


def _pair(text: str) -> tuple[str, str]:
    first, comma, second = (part.strip() for part in text.partition(","))
    if not (first and comma and second) or "," in second:
        raise InputError(f"--pair names two motifs as A,B; found {text!r}")
    return first, second


@dataclass(frozen=True)
class Examples:
    """Examples."""

    examples: Path = option(help="Example set [default: the run's own].")


@dataclass(frozen=True)
class Part:
    """Examples."""

    part: str = option(
        "all",
        choices=("all", "train", "valid", "test"),
        help="Part of the examples: all, train, valid, test.",
    )


@dataclass(frozen=True)
class Methods:
    """Methods."""

    out: Path = option(help="Folder for tables and figures.")
    methods: tuple[str, ...] = option(
        (),
        help="Comma list of filters, influence, refinement, attribution, patterns, enrichment, "
        "marginal, spacing [default: all that have what they need].",
    )
    task: str | None = option(None, help="Task to explain, where there are more.")
    motifs: Path | None = option(
        None,
        help="Known motifs: a file of any format, or jaspar.",
    )
    pair: tuple[str, str] | None = option(
        None,
        read=_pair,
        metavar="A,B",
        needs=_needs("spacing"),
        help="Two motifs, A,B, whose spacing to measure.",
    )
    hits: Path | None = option(
        None,
        needs=_needs("enrichment"),
        help="BED or bigBed of motif sites for the enrichment [default: scanned].",
    )
    min_sites: int = option(
        100,
        min=1,
        needs=_needs("enrichment"),
        help="Sites that a motif needs in the enrichment.",
    )
    hit_p: float = option(
        1e-5,
        needs=_needs("enrichment"),
        against=("hits",),
        help="p-value of a motif hit in the scan.",
    )
    modisco: bool = option(
        False, needs=_needs("patterns"), help="Patterns by TF-MoDISco (modisco-lite)."
    )
    attribution: str = option(
        "deeplift",
        panel="Attribution",
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
        needs=(*_ATTRIBUTED, "methods=influence"),
        help="Positive predictions to attribute, at most.",
    )


@dataclass(frozen=True)
class Other:
    """Another model."""

    other: Path | None = option(
        None,
        help="The trunk that the model was fine-tuned from (refinement), or any other model of "
        "the same window (enrichment of both, and of the difference).",
    )
    other_task: str | None = option(
        None,
        needs=("other",),
        help="The other model's task [default: the same, or its only one].",
    )


def interpret(
    model: OneBundle,
    methods: Methods,
    sequences: Annotated[Examples | Regions | Sequences | None, "source of sequences"],
    part: Annotated[Part | None, goes_with(Examples, None)],
    other: Other,
    seed: Seed,
    device: Device,
    networks: OwnNetworks,
) -> Done:
    """Show what a model learned: filters, influence, attribution, patterns, enrichment, spacing."""
    from cistransfer.interpretation.interpret import interpret as run

    networks.register()
    summary = run(
        model.bundle,
        methods.out,
        steps=methods.methods or None,
        task=methods.task,
        **_sequences(sequences),
        **({} if part is None else arguments(part)),
        motifs=methods.motifs,
        hits=methods.hits,
        compare=other.other,
        compare_task=other.other_task,
        pair=methods.pair,
        method=methods.attribution,
        on=methods.on,
        references=methods.references,
        both_strands=methods.strands == "both",
        modisco=methods.modisco,
        most=methods.max_sequences,
        min_sites=methods.min_sites,
        hit_p=methods.hit_p,
        seed=seed.seed,
        device=device.device,
    )
    return Done(
        summary,
        [*_lines(summary), f"written: {methods.out}"],
        written=[methods.out],
        used={key: summary[name] for key, name in _USED.items() if name in summary},
    )


_USED = {"methods": "steps", "task": "task", "inputs": "inputs", "motifs": "motifs"}
"""What of the summary goes into the record, by its name there."""


def _sequences(source: Examples | Regions | Sequences | None) -> dict[str, Any]:
    """The source of sequences as arguments."""
    if isinstance(source, Regions):
        return {"regions": source.table(), "genome": source.genome}
    return {} if source is None else arguments(source)


def _lines(summary: dict[str, Any]) -> list[str]:
    """What was done, a line per method."""
    from cistransfer.examples.dataset import input_lines

    inputs = [{k: v for k, v in one.items() if k != "read"} for one in summary.get("inputs", ())]
    lines = [
        *input_lines(inputs),
        *([summary["motifs"]] if "motifs" in summary else []),
        f"{summary['task']}: {summary['sequences']:,} sequences, "
        f"{summary['predicted_positive']:,} predicted positive",
    ]
    for step in [*summary["steps"], *(["comparison"] if "comparison" in summary else [])]:
        shown = ", ".join(f"{key} {value}" for key, value in summary[step].items())
        lines.append(f"{step}: {shown}")
    return lines


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    verb(app, "interpret", interpret)
