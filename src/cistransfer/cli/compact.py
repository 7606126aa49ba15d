"""``cistransfer compact``: a smaller copy of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cistransfer.cli.command import AsJson, finish
from cistransfer.cli.options import OwnNetworks

__all__ = ["register"]


def compact(
    bundle: Annotated[Path, typer.Argument(help="Run folder or bundle.")],
    out: Annotated[Path, typer.Option(help="Folder of the copy.")],
    architecture: OwnNetworks = None,
    as_json: AsJson = False,
) -> None:
    """Write a copy of a bundle with weights in half precision, for sharing."""
    from cistransfer.models.compact import compact_bundle

    result = compact_bundle(bundle, out)
    finish(
        result,
        as_json,
        [
            f"{result['bundle']}: {result['bytes'] / 1e6:.1f} MB, example logits changed by up to "
            f"{result['largest_difference']:.1e}"
        ],
    )


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("compact")(compact)
