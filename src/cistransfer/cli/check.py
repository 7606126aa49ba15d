"""``cistransfer check``: prove that what is on disk is whole and works."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cistransfer.cli.groups import OwnNetworks
from cistransfer.cli.verb import Done
from cistransfer.options import option

__all__ = ["check"]


@dataclass(frozen=True)
class Checked:
    """What to check."""

    path: Path = option(positional=True, help="Bundle, run folder, example set or matrix.")


def check(checked: Checked, networks: OwnNetworks) -> Done:
    """Read all of a bundle, run, example set or matrix, and compare it with its hashes.

    The example of a bundle is scored again.
    """
    from cistransfer.training.check import check as check_all

    networks.register()
    found = check_all(checked.path)
    result = {"path": str(checked.path), "checked": found}
    return Done(result, [f"{each['path']} ({each['kind']}) {each['said']}" for each in found])
