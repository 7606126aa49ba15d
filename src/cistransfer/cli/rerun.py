"""``cistransfer rerun``: repeat a run from its recorded configuration."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from cistransfer.cli.command import recorded_arguments, recorded_folder

__all__ = ["register"]


def rerun(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="A run folder or its config.json.")],
    out: Annotated[Path, typer.Option(help="Where the repeated run goes.")],
) -> None:
    """Repeat a run from its config.json into another place."""
    root: Any = context.find_root().command
    words = recorded_arguments(config, root, {"out": str(out.absolute())})
    with contextlib.chdir(recorded_folder(config)):
        code = root.main(args=words, prog_name="cistransfer", standalone_mode=False)
    if isinstance(code, int) and code:
        raise typer.Exit(code)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("rerun")(rerun)
