"""``cistransfer report``: one HTML page about evaluations and what models learned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cistransfer.cli.command import AsJson, finish
from cistransfer.cli.options import OwnNetworks

__all__ = ["register"]


def report(
    evaluations: Annotated[
        list[Path],
        typer.Argument(
            help="Folders that 'cistransfer evaluate' or 'cistransfer interpret' wrote."
        ),
    ],
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
    title: Annotated[
        str, typer.Option(help="Title of the page.")
    ] = "Transfer and scratch on held-out regions",
    architecture: OwnNetworks = None,
    as_json: AsJson = False,
) -> None:
    """Write one self-contained HTML page: numbers, curves, examples, what models learned."""
    from cistransfer.report.page import write_report

    path = write_report(out, evaluations, title=title)
    finish({"report": str(path)}, as_json, [f"report: {path}"])


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("report")(report)
