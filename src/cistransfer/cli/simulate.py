"""``cistransfer simulate``: write a simulated data set whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cistransfer.cli.command import AsJson, finish, record

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""

    @app.command("simulate")
    def simulate_command(
        context: typer.Context,
        out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
        seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything.")] = 0,
        regions: Annotated[int, typer.Option("--regions", help="DHS windows in all.")] = 16_000,
        chromosomes: Annotated[int, typer.Option("--chromosomes", help="Chromosomes.")] = 8,
        as_json: AsJson = False,
    ) -> None:
        """Write a simulated genome with DHS, peaks and TFBS whose truth is known."""
        from cistransfer.simulation import simulate

        truth = simulate(out, seed=seed, regions=regions, chromosomes=chromosomes)
        record(context, out)
        bound = {tf: int((row == 1).sum()) for tf, row in zip(truth.tfs, truth.sparse, strict=True)}
        finish(
            {
                "out": str(out),
                "regions": len(truth.regions),
                "target": truth.target,
                "bound": bound,
            },
            as_json,
            [
                f"{len(truth.regions):,} regions open in {len(truth.cells)} cells, "
                f"{len(truth.tfs)} TFs; bound regions: "
                + ", ".join(f"{tf} {count:,}" for tf, count in bound.items()),
                f"the TF with few peaks: {truth.target}",
                f"written: {out}",
            ],
        )
