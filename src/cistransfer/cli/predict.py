"""``cistransfer predict``: scores for regions or sequences."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cistransfer.cli.command import say
from cistransfer.cli.groups import Device, OneBundle, OwnNetworks, Regions, Sequences
from cistransfer.cli.verb import Done
from cistransfer.options import option

__all__ = ["predict"]


@dataclass(frozen=True)
class Scores:
    """Scores."""

    out: Path = option(help="TSV to write (.gz compresses).")
    strands: str = option("both", choices=("both", "forward"), help="both (averaged), or forward.")
    prevalence: float | None = option(
        None,
        min=0,
        max=1,
        help="Share of bound among what is scored, at which probabilities are given [default: "
        "that of the model's validation examples].",
    )


def predict(
    model: OneBundle,
    scored: Annotated[Regions | Sequences, "input"],
    scores: Scores,
    device: Device,
    networks: OwnNetworks,
) -> Done:
    """Score regions of a genome, or sequences: the input's rows in their order, plus a score."""
    from cistransfer.api.doors import as_bundles
    from cistransfer.api.use import predict as predict_table
    from cistransfer.genome.bed import read_bed
    from cistransfer.models.score import choose_device
    from cistransfer.prediction.table import as_in_file, write_predictions

    networks.register()
    read: dict[str, Any] = {}
    how: dict[str, Any] = {
        "strands": scores.strands,
        "prevalence": scores.prevalence,
        "device": device.device,
    }
    bundles = as_bundles(model.bundle)
    if isinstance(scored, Sequences):
        table = predict_table(bundles, scored.fasta, **how)
    else:
        regions = read_bed(scored.regions, scored.columns, keep=True)
        table = as_in_file(predict_table(bundles, regions, scored.genome, **how), regions)
        read = {"read": regions.attrs["read"].as_dict()}
    inputs = table.attrs["inputs"]
    read["inputs"] = [{k: v for k, v in one.items() if k != "read"} for one in inputs]
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
            "tasks": list(bundles[0].tasks),
            "inputs": read.get("inputs", []),
        },
        [f"{len(table):,} rows, {unscored:,} without a score: {scores.out}"],
        written=[scores.out],
        used={"device": str(choose_device(device.device)), **read},
    )
