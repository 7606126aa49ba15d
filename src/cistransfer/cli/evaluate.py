"""``cistransfer evaluate``: models on identical held-out examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cistransfer.cli.command import AsJson, finish, record
from cistransfer.cli.options import Device, OwnNetworks, comma_list

__all__ = ["register"]

_SHOWN = ("prevalence", "aucpr", "average_precision", "auroc", "mcc", "f1")


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
            "denovo, kmer, lsgkm."
        ),
    ] = "",
    motifs: Annotated[
        Path | None, typer.Option(help="MEME or JASPAR file for the baseline 'motif'.")
    ] = None,
    trunk: Annotated[
        str | None,
        typer.Option(help="Also read this trunk's own output, of the TF or its nearest sibling."),
    ] = None,
    allow_seen: Annotated[
        bool, typer.Option("--allow-seen", help="Evaluate on regions a model was trained on.")
    ] = False,
    device: Device = "auto",
    architecture: OwnNetworks = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate models on identical examples; thresholds come from each model's validation part."""
    from cistransfer.evaluation.runs import evaluate_runs
    from cistransfer.motifs.meme import read_meme

    result = evaluate_runs(
        out,
        runs,
        examples=examples,
        part=part,
        baselines=comma_list(baselines),
        pwms=read_meme(motifs) if motifs is not None else (),
        trunk=trunk,
        allow_seen=allow_seen,
        device=device,
    )
    record(context, out)
    width = max(len(model["name"]) for model in result["models"]) + 2
    lines = [" " * width + "task        n  " + "  ".join(f"{name:>17}" for name in _SHOWN)]
    for model in result["models"]:
        for task, row in model["metrics"].items():
            values = (
                "  ".join(f"{row[name]:>17.3f}" for name in _SHOWN)
                if not row["why"]
                else row["why"]
            )
            lines.append(f"{model['name']:<{width}}{task:<8}{row['n']:>6}  {values}")
    finish(result, as_json, lines)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("evaluate")(evaluate)
