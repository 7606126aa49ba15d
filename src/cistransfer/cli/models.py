"""``cistransfer models``: architectures and strategies."""

from __future__ import annotations

from typing import Annotated

import typer

from cistransfer.cli.command import AsJson, finish

__all__ = ["register"]


def models(
    window: Annotated[int, typer.Option(min=1, help="Window in bp.")] = 200,
    tasks: Annotated[int, typer.Option(min=1, help="Number of outputs.")] = 1,
    architecture: Annotated[
        list[str] | None, typer.Option(help="Also your own network, FILE.py:CLASS (repeatable).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List architectures with their parameter counts, and training strategies."""
    from cistransfer.models.registry import list_architectures
    from cistransfer.training.strategy import shipped_strategies

    sizes = list_architectures(window=window, n_tasks=tasks, files=architecture or ())
    strategies = shipped_strategies()
    wide = max(map(len, [*sizes, *strategies])) + 2
    finish(
        {"window": window, "tasks": tasks, "architectures": sizes, "strategies": strategies},
        as_json,
        [
            f"architectures ({window} bp, {tasks} outputs):",
            *(
                f"  {name:<{wide}}"
                + (
                    f"{size:>12,} parameters"
                    if size is not None
                    else f"not for windows of {window} bp"
                )
                for name, size in sizes.items()
            ),
            "strategies:",
            *(f"  {name:<{wide}}{summary}" for name, summary in strategies.items()),
        ],
    )


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("models")(models)
