"""``cistransfer evaluate``: models on identical held-out examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cistransfer.cli.command import AsJson, finish, record
from cistransfer.cli.options import Device, OwnNetworks, comma_list
from cistransfer.errors import InputError

__all__ = ["register"]


def evaluate(
    context: typer.Context,
    runs: Annotated[list[str], typer.Argument(help="Run folders, or NAME=FOLDER.")],
    out: Annotated[Path, typer.Option(help="Evaluation folder.")],
    examples: Annotated[
        Path | None, typer.Option(help="Example set [default: the one the runs share].")
    ] = None,
    part: Annotated[str, typer.Option(help="test, valid or train.")] = "test",
    baselines: Annotated[
        str,
        typer.Option(
            help="Comma list of baselines, fitted on the training part: prevalence, gc, motif, "
            "mode-motif, denovo, kmer, lsgkm; with --trunk probe and stack; scratch."
        ),
    ] = "",
    motifs: Annotated[
        Path | None,
        typer.Option(help="MEME or JASPAR file for the baselines 'motif', 'mode-motif', 'stack'."),
    ] = None,
    modes: Annotated[
        str | None,
        typer.Option(
            help="Binding modes for 'mode-motif' (TSV, TFClass OBO, CIS-BP TSV, motifs) "
            "[default: --motifs, clustered]."
        ),
    ] = None,
    trunk: Annotated[
        str | None,
        typer.Option(
            help="Also read this trunk's own output, of the TF or its nearest sibling; baselines "
            "'probe' and 'stack' read its features."
        ),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            "--as",
            help="own: both strands, each model's own threshold and temperature; published: the "
            "forward strand, called at a probability of 0.5.",
        ),
    ] = "own",
    draws: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Resamples for the intervals of the AUCPR; 0: none [default: 1000; with more "
            "than ten tasks none].",
        ),
    ] = None,
    allow_seen: Annotated[
        bool, typer.Option("--allow-seen", help="Evaluate on regions a model was trained on.")
    ] = False,
    device: Device = "auto",
    architecture: OwnNetworks = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate models on identical examples; thresholds come from each model's validation part.

    Runs that are folds of one test part (--fold) are evaluated on it together.
    """
    from cistransfer.evaluation.runs import evaluate_runs
    from cistransfer.motifs.files import read_motifs

    names = comma_list(baselines)
    if modes is not None and "mode-motif" not in names:
        raise InputError("--modes has no meaning without --baselines mode-motif; drop it")
    found = evaluate_runs(
        out,
        runs,
        examples=examples,
        part=part,
        baselines=names,
        pwms=read_motifs(motifs) if motifs is not None else (),
        modes=modes,
        trunk=trunk,
        protocol=protocol,
        draws=draws,
        allow_seen=allow_seen,
        device=device,
    )
    record(context, out)
    finish(found.to_json(), as_json, found.lines())


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("evaluate")(evaluate)
