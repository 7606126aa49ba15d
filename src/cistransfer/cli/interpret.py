"""``cistransfer interpret``: what a model learned, and what transfer changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cistransfer.cli.groups import Device, OneBundle, OwnNetworks, Regions, Seed, Sequences
from cistransfer.cli.plan import goes_with
from cistransfer.cli.verb import Done, verb
from cistransfer.interpretation.steps import Methods, OtherModels, step_of
from cistransfer.options import arguments, option

__all__ = ["Examples", "Out", "Part", "interpret", "register"]


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
class Out:
    """Methods."""

    out: Path = option(help="Folder for tables and figures.")


def interpret(
    model: OneBundle,
    out: Out,
    methods: Methods,
    sequences: Annotated[Examples | Regions | Sequences | None, "source of sequences"],
    part: Annotated[Part | None, goes_with(Examples, None)],
    other: OtherModels,
    seed: Seed,
    device: Device,
    networks: OwnNetworks,
) -> Done:
    """Show what a model learned: filters, influence, attribution, patterns, enrichment, spacing."""
    from cistransfer.interpretation.interpret import interpret as run
    from cistransfer.interpretation.subject import Source

    networks.register()
    source = Source(**_sequences(sequences), **({} if part is None else arguments(part)))
    summary = run(
        model.bundle, out.out, methods, other, source, seed=seed.seed, device=device.device
    )
    return Done(
        summary,
        [*_lines(summary), f"written: {out.out}"],
        written=[out.out],
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
    lines += [f"{name}: {step_of(name).words(summary[name])}" for name in summary["steps"]]
    return lines


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    verb(app, "interpret", interpret)
