"""``cistransfer check``: prove that a copy of a bundle works."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cistransfer.cli.command import AsJson, finish
from cistransfer.cli.options import OwnNetworks

__all__ = ["register"]


def check(
    bundle: Annotated[Path, typer.Argument(help="Run folder or bundle.")],
    architecture: OwnNetworks = None,
    as_json: AsJson = False,
) -> None:
    """Score a bundle's example again and compare with the recorded scores."""
    from cistransfer.models.bundle import check_bundle

    result = check_bundle(bundle)
    finish(
        result,
        as_json,
        [
            f"{result['bundle']} works: {result['sequences']} example sequences, "
            f"largest difference {result['largest_difference']:.1e}"
        ],
    )


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("check")(check)
