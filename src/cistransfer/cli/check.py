"""``cistransfer check``: prove that a copy of a bundle works."""

from __future__ import annotations

import typer

from cistransfer.cli.groups import OneBundle, OwnNetworks
from cistransfer.cli.verb import Done, verb

__all__ = ["check", "register"]


def check(model: OneBundle, networks: OwnNetworks) -> Done:
    """Score a bundle's example again and compare with the recorded scores."""
    from cistransfer.models.bundle import check_bundle

    networks.register()
    result = check_bundle(model.bundle)
    return Done(
        result,
        [
            f"{result['bundle']} works: {result['sequences']} example sequences, "
            f"largest difference {result['largest_difference']:.1e}"
        ],
    )


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    verb(app, "check", check)
