"""``cistransfer interpret``: what a model learned, and what transfer changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cistransfer.cli.command import AsJson, finish, record
from cistransfer.cli.options import Device, OwnNetworks, Seed, comma_list
from cistransfer.errors import InputError

__all__ = ["register"]


def interpret(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(help="Run folder or bundle.")],
    out: Annotated[Path, typer.Option(help="Folder for tables and figures.")],
    methods: Annotated[
        str,
        typer.Option(
            help="Comma list of filters, influence, refinement, attribution, patterns, "
            "enrichment, marginal, spacing [default: all that have what they need]."
        ),
    ] = "",
    task: Annotated[str | None, typer.Option(help="Task to explain, where there are more.")] = None,
    motifs: Annotated[Path | None, typer.Option(help="Known motifs: MEME or JASPAR file.")] = None,
    examples: Annotated[
        Path | None, typer.Option(help="Example set [default: the run's own].")
    ] = None,
    part: Annotated[
        str, typer.Option(help="Part of the examples: all, train, valid, test.")
    ] = "all",
    regions: Annotated[Path | None, typer.Option(help="BED or narrowPeak, with --genome.")] = None,
    genome: Annotated[
        Path | None, typer.Option(help="Genome FASTA, or FASTA file or folder of windows.")
    ] = None,
    fasta: Annotated[Path | None, typer.Option(help="Sequences instead.")] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            help="The trunk that the model was fine-tuned from (refinement), or any other model "
            "of the same window (enrichment of both, and of the difference)."
        ),
    ] = None,
    compare_task: Annotated[
        str | None, typer.Option(help="The other model's task [default: the same, or its only one]")
    ] = None,
    pair: Annotated[str, typer.Option(help="Two motifs, A,B, whose spacing to measure.")] = "",
    hits: Annotated[
        Path | None,
        typer.Option(help="BED or bigBed of motif sites for the enrichment [default: scanned]."),
    ] = None,
    attribution: Annotated[
        str,
        typer.Option(help="deeplift, gradient-input, integrated-gradients or mutagenesis."),
    ] = "deeplift",
    on: Annotated[str, typer.Option(help="Explain the logit or the probability.")] = "logit",
    references: Annotated[
        str, typer.Option(help="dinucleotide (shuffles), permutation (as published) or zero.")
    ] = "dinucleotide",
    strands: Annotated[str, typer.Option(help="forward, or both (averaged).")] = "forward",
    modisco: Annotated[
        bool, typer.Option("--modisco", help="Patterns by TF-MoDISco (modisco-lite).")
    ] = False,
    sequences: Annotated[
        int, typer.Option(min=1, help="Positive predictions to attribute, at most.")
    ] = 500,
    min_sites: Annotated[
        int, typer.Option(min=1, help="Sites that a motif needs in the enrichment.")
    ] = 100,
    hit_p: Annotated[float, typer.Option(help="p-value of a motif hit in the scan.")] = 1e-5,
    seed: Seed = 0,
    device: Device = "auto",
    architecture: OwnNetworks = None,
    as_json: AsJson = False,
) -> None:
    """Show what a model learned: filters, influence, attribution, patterns, enrichment, spacing."""
    from cistransfer.interpretation.interpret import interpret as run

    names = comma_list(pair)
    if pair and len(names) != 2:
        raise InputError(f"--pair names two motifs as A,B; found {pair!r}")
    if strands not in ("forward", "both"):
        raise InputError(f"--strands is 'forward' or 'both', found {strands!r}")
    summary = run(
        bundle,
        out,
        steps=comma_list(methods) or None,
        task=task,
        examples=examples,
        part=part,
        regions=regions,
        genome=genome,
        fasta=fasta,
        motifs=motifs,
        hits=hits,
        compare=compare,
        compare_task=compare_task,
        pair=(names[0], names[1]) if names else None,
        method=attribution,
        on=on,
        references=references,
        both_strands=strands == "both",
        modisco=modisco,
        most=sequences,
        min_sites=min_sites,
        hit_p=hit_p,
        seed=seed,
        device=device,
    )
    record(context, out)
    lines = [
        f"{summary['task']}: {summary['sequences']:,} sequences, "
        f"{summary['predicted_positive']:,} predicted positive"
    ]
    for step in summary["steps"]:
        shown = ", ".join(f"{key} {value}" for key, value in summary[step].items())
        lines.append(f"{step}: {shown}")
    if "comparison" in summary:
        shown = ", ".join(f"{key} {value}" for key, value in summary["comparison"].items())
        lines.append(f"comparison: {shown}")
    finish(summary, as_json, [*lines, f"written: {out}"])


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("interpret")(interpret)
