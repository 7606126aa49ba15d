"""``cistransfer models``: architectures and strategies."""

from __future__ import annotations

from typing import Annotated

import typer

from cistransfer.cli.command import AsJson, finish

__all__ = ["register"]


def models(
    window: Annotated[int, typer.Option(min=1, help="Window in bp.")] = 200,
    tasks: Annotated[int, typer.Option(min=1, help="Number of outputs.")] = 1,
    as_json: AsJson = False,
) -> None:
    """List architectures with their parameter counts, and training strategies."""
    from cistransfer.models.registry import ARCHITECTURES, build_model, parameter_count
    from cistransfer.training.strategy import shipped_strategies

    sizes = {
        name: parameter_count(build_model(name, window=window, n_tasks=tasks, seed=0))
        for name in ARCHITECTURES
    }
    strategies = shipped_strategies()
    finish(
        {"window": window, "tasks": tasks, "architectures": sizes, "strategies": strategies},
        as_json,
        [
            f"architectures ({window} bp, {tasks} outputs):",
            *(f"  {name:<20}{size:>12,} parameters" for name, size in sizes.items()),
            "strategies:",
            *(f"  {name:<20}{summary}" for name, summary in strategies.items()),
        ],
    )


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("models")(models)
