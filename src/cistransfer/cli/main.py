"""The ``cistransfer`` command: verbs registered in the order of the work."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Annotated

import typer

from cistransfer import __version__
from cistransfer.cli.command import run_app
from cistransfer.cli.process import close_streams, mend_streams, set_environment

__all__ = ["app", "main"]

VERBS = (
    "learn",
    "simulate",
    "matrix",
    "relatives",
    "accessibility",
    "examples",
    "pretrain",
    "finetune",
    "evaluate",
    "compare",
    "predict",
    "track",
    "variants",
    "interpret",
    "locus",
    "report",
    "study",
    "bundle",
    "check",
    "compact",
    "models",
    "doctor",
    "rerun",
)
"""Modules of ``cistransfer.cli``, each with a function ``register(app)``."""

set_environment()

app = typer.Typer(
    name="cistransfer",
    help="Transfer learning for regulatory DNA: few peaks in, binding predictions out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(show: bool) -> None:
    if show:
        print(f"cistransfer {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


for _verb in VERBS:
    if importlib.util.find_spec(f"cistransfer.cli.{_verb}") is not None:
        importlib.import_module(f"cistransfer.cli.{_verb}").register(app)


def main() -> None:
    """Run the command line and leave with its exit code."""
    mend_streams()
    sys.exit(close_streams(run_app(app)))
