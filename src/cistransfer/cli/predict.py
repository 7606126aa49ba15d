"""``cistransfer predict``: scores for regions or sequences."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cistransfer.cli.command import say
from cistransfer.cli.groups import Device, OneBundle, OwnNetworks, Regions, Sequences
from cistransfer.cli.verb import Done, verb
from cistransfer.options import option

__all__ = ["Scores", "predict", "register"]


@dataclass(frozen=True)
class Scores:
    """Scores."""

    out: Path = option(help="TSV to write (.gz compresses).")
    strands: str = option("both", choices=("both", "forward"), help="both (averaged), or forward.")


def predict(
    model: OneBundle,
    scored: Annotated[Regions | Sequences, "input"],
    scores: Scores,
    device: Device,
    networks: OwnNetworks,
) -> Done:
    """Score regions of a genome, or sequences: the input's rows in their order, plus a score."""
    from cistransfer.examples.dataset import input_lines
    from cistransfer.genome.fasta import open_sequences
    from cistransfer.models.bundle import open_bundle
    from cistransfer.models.score import choose_device
    from cistransfer.prediction.table import predict_fasta, predict_regions, write_predictions

    networks.register()
    read: dict[str, Any] = {}
    bundle = open_bundle(model.bundle)
    used = choose_device(device.device)
    bundle.model.to(used)
    if isinstance(scored, Sequences):
        table = predict_fasta(bundle, scored.fasta, strands=scores.strands)
    else:
        regions, genome = scored.table(keep=True), open_sequences(scored.genome)
        read = {"read": regions.attrs["read"].as_dict()}
        table = predict_regions(bundle, regions, genome, strands=scores.strands)
        inputs = [{k: v for k, v in one.items() if k != "read"} for one in table.attrs["inputs"]]
        read["inputs"] = inputs
        say(*input_lines(inputs))
    if table.attrs["uracils"]:
        read["uracils"] = table.attrs["uracils"]
        say(f"{read['uracils']:,} letters U were read as T")
    write_predictions(scores.out, table)
    unscored = int(table.iloc[:, -2].isna().sum())
    if (table["note"] != "").any():
        say("some rows have no score or hold N; see column 'note'")
    return Done(
        {
            "out": str(scores.out),
            "rows": len(table),
            "unscored": unscored,
            "tasks": list(bundle.tasks),
            "inputs": read.get("inputs", []),
        },
        [f"{len(table):,} rows, {unscored:,} without a score: {scores.out}"],
        written=[scores.out],
        used={"device": str(used), **read},
    )


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    verb(app, "predict", predict)
