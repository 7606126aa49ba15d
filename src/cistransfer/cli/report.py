"""``cistransfer report``: one HTML page about evaluations and what models learned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cistransfer.cli.groups import OwnNetworks
from cistransfer.cli.verb import Done
from cistransfer.options import option

__all__ = ["report"]


@dataclass(frozen=True)
class Page:
    """The page."""

    evaluations: tuple[Path, ...] = option(
        positional=True,
        help="Folders that 'cistransfer evaluate', 'interpret' or 'learn' wrote.",
    )
    out: Path = option(help="HTML file to write.")
    title: str = option("Transfer and scratch on held-out regions", help="Title of the page.")


def report(page: Page, networks: OwnNetworks) -> Done:
    """Write one self-contained HTML page: a verdict, curves, what models learned, examples."""
    from cistransfer.api.results import write_report

    networks.register()
    path = write_report(page.evaluations, out=page.out, title=page.title)
    return Done({"report": str(path)}, [f"report: {path}"], written=[path])
