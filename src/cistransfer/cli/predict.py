"""``cistransfer predict``: scores for regions or sequences."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cistransfer.cli.command import say
from cistransfer.cli.groups import Device, OwnNetworks, Regions, Sequences
from cistransfer.cli.verb import Done
from cistransfer.options import option

__all__ = ["predict"]


@dataclass(frozen=True)
class Models:
    """Models."""

    bundles: tuple[str, ...] = option(
        positional=True,
        path=True,
        help="Run folders, bundles, packed files or hf:owner/name. Those of the same tasks are an "
        "ensemble (mean and spread); those of other tasks, or of another name (NAME=MODEL), stand "
        "side by side.",
    )


@dataclass(frozen=True)
class Scores:
    """Scores."""

    out: Path = option(
        help="File to write: .bed (regions with scores), else a table (TSV); .gz compresses."
    )
    task: str | None = option(None, help="Task to show, where the models have several.")
    stride: int | None = option(
        None,
        min=1,
        help="Cover what is longer than the window with windows, at most so many bp from one to "
        "the next [default: one window, on the summit or the middle].",
    )
    summary: str | None = option(
        None,
        choices=("max", "mean"),
        needs=("stride",),
        help="What a row of several windows gets: max (the highest probability), or mean "
        "[default: max].",
    )
    strands: str = option("both", choices=("both", "forward"), help="both (averaged), or forward.")
    prevalence: float | None = option(
        None,
        min=0,
        max=1,
        help="Share of bound among what is scored, at which probabilities are given [default: "
        "that of the model's validation examples].",
    )


def predict(
    models: Models,
    scored: Annotated[Regions | Sequences, "input"],
    scores: Scores,
    device: Device,
    networks: OwnNetworks,
) -> Done:
    """Score regions of a genome, or sequences: the input's rows in their order, plus a score.

    A run that was stopped goes on where it was when its command is given again.
    """
    from cistransfer.api.use import predict as predict_table
    from cistransfer.genome.bed import read_bed
    from cistransfer.models.score import choose_device

    networks.register()
    read: dict[str, Any] = {}
    how: dict[str, Any] = {
        "out": scores.out,
        "task": scores.task,
        "stride": scores.stride,
        "summary": scores.summary,
        "strands": scores.strands,
        "prevalence": scores.prevalence,
        "device": device.device,
    }
    if isinstance(scored, Sequences):
        table = predict_table(list(models.bundles), scored.fasta, **how)
    else:
        regions = read_bed(scored.regions, scored.columns, keep=True)
        table = predict_table(list(models.bundles), regions, scored.genome, **how)
        read = {"read": regions.attrs["read"].as_dict()}
    inputs = table.attrs["inputs"]
    read["inputs"] = [{k: v for k, v in one.items() if k != "read"} for one in inputs]
    if table.attrs["uracils"]:
        read["uracils"] = table.attrs["uracils"]
        say(f"{read['uracils']:,} letters U were read as T")
    columns = table.attrs["scores"]
    unscored = int(table[columns[-1]].isna().sum())
    if (table["note"] != "").any():
        say("some rows have no score or hold N; see column 'note'")
    return Done(
        {
            "out": str(scores.out),
            "rows": len(table),
            "unscored": unscored,
            "tasks": columns,
            "inputs": read.get("inputs", []),
        },
        [f"{len(table):,} rows, {unscored:,} without a score: {scores.out}"],
        written=[scores.out],
        used={"device": str(choose_device(device.device)), **read},
    )
