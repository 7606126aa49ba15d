"""``cistransfer interpret``: what a model learned, and what transfer changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cistransfer.cli.groups import Device, OneBundle, OwnNetworks, Regions, Seed, Sequences
from cistransfer.cli.plan import goes_with
from cistransfer.cli.verb import Done
from cistransfer.interpretation.steps import Methods, OtherModels
from cistransfer.options import option

__all__ = ["interpret"]


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
    from cistransfer.api.doors import as_examples
    from cistransfer.api.explain import interpret as explain

    networks.register()
    given: Any = None
    genome = None
    if isinstance(sequences, Regions):
        given, genome = sequences.table(), sequences.genome
    elif isinstance(sequences, Sequences):
        given = sequences.fasta
    elif sequences is not None:
        given = as_examples(sequences.examples)
    found = explain(
        model.bundle,
        given,
        genome,
        out=out.out,
        part=(part or Part()).part,
        methods=methods,
        others=other,
        seed=seed.seed,
        device=device.device,
    )
    summary = found.summary
    return Done(
        summary,
        [*found.lines(), f"written: {out.out}"],
        written=[out.out],
        used={key: summary[name] for key, name in _USED.items() if name in summary},
    )


_USED = {"methods": "steps", "task": "task", "inputs": "inputs", "motifs": "motifs"}
"""What of the summary goes into the record, by its name there."""
