"""``cistransfer predict``: scores for regions or sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cistransfer.cli.command import AsJson, finish, record, say
from cistransfer.cli.options import Device, OwnNetworks
from cistransfer.errors import InputError

__all__ = ["register"]


def predict(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(help="Run folder or bundle.")],
    out: Annotated[Path, typer.Option(help="TSV to write (.gz compresses).")],
    regions: Annotated[Path | None, typer.Option(help="BED or narrowPeak, with --genome.")] = None,
    genome: Annotated[
        Path | None, typer.Option(help="Genome FASTA, or FASTA file or folder of windows.")
    ] = None,
    fasta: Annotated[Path | None, typer.Option(help="Sequences to score instead.")] = None,
    strands: Annotated[str, typer.Option(help="both (averaged), or forward.")] = "both",
    device: Device = "auto",
    architecture: OwnNetworks = None,
    as_json: AsJson = False,
) -> None:
    """Score regions of a genome, or sequences: the input's rows in their order, plus a score."""
    from cistransfer.genome.bed import read_bed
    from cistransfer.genome.fasta import open_sequences
    from cistransfer.models.bundle import open_bundle
    from cistransfer.models.score import choose_device
    from cistransfer.prediction.table import predict_fasta, predict_regions, write_predictions

    if (regions is None) == (fasta is None):
        raise InputError("name either --regions with --genome, or --fasta")
    model = open_bundle(bundle)
    model.model.to(choose_device(device))
    if fasta is not None:
        table = predict_fasta(model, fasta, strands=strands)
    else:
        if genome is None:
            raise InputError("--regions needs --genome")
        assert regions is not None
        table = predict_regions(
            model, read_bed(regions, keep=True), open_sequences(genome), strands=strands
        )
    write_predictions(out, table)
    record(context, out)
    unscored = int(table.iloc[:, -2].isna().sum())
    if (table["note"] != "").any():
        say("some rows have no score or hold N; see column 'note'")
    finish(
        {"out": str(out), "rows": len(table), "unscored": unscored, "tasks": list(model.tasks)},
        as_json,
        [f"{len(table):,} rows, {unscored:,} without a score: {out}"],
    )


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("predict")(predict)
