"""``cistransfer compare``: evaluated runs against each other, with intervals and tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cistransfer.cli.command import AsJson, finish, record

__all__ = ["register"]


def compare(
    context: typer.Context,
    runs: Annotated[
        list[Path],
        typer.Argument(help="Evaluation folders, study folders, or tables of results."),
    ],
    metric: Annotated[str, typer.Option(help="aucpr, aucpr_1to10, auroc, mcc …")] = "aucpr",
    reference: Annotated[
        str | None,
        typer.Option(help="Strategy to compare with [default: scratch, else the first]."),
    ] = None,
    motif: Annotated[str, typer.Option(help="Strategy that is the motif, for recovery.")] = "pwm",
    full: Annotated[str, typer.Option(help="Strategy with all peaks, for recovery.")] = "full",
    by_size: Annotated[
        bool | None,
        typer.Option(
            "--by-size/--pooled",
            help="A row per training size [default: where TFs share sizes].",
        ),
    ] = None,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    draws: Annotated[int, typer.Option(min=0, help="Resamples of test regions; 0: none.")] = 1000,
    blocks: Annotated[
        bool,
        typer.Option("--blocks", help="Resample blocks of neighbouring test regions (1 Mb)."),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the intervals.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for tables, comparison.md and figures.")
    ] = None,
    figures: Annotated[str, typer.Option(help="png, svg or pdf.")] = "png",
    as_json: AsJson = False,
) -> None:
    """Compare strategies on equal TFs, test regions and draws; print the table for a paper."""
    from cistransfer.evaluation.compare_runs import compare_runs, in_words
    from cistransfer.tables import records

    tables = compare_runs(
        runs,
        metric=metric,
        reference=reference,
        motif=motif,
        full=full,
        by_size=by_size,
        level=level,
        draws=draws,
        by_blocks=blocks,
        seed=seed,
        out=out,
        figures=figures,
    )
    if out is not None:
        record(context, out)
    used = str(tables["comparison"]["reference"].iloc[0])
    shown = {name: records(table) for name, table in tables.items() if name != "results"}
    printed = {name: table for name, table in tables.items() if name != "groups"}
    finish(
        {"metric": metric, "reference": used, "out": str(out) if out else None, **shown},
        as_json,
        [
            in_words(printed, metric, used, level, blocks).rstrip(),
            *([f"\nwritten: {out}"] if out else []),
        ],
    )


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("compare")(compare)
