"""``cistransfer rerun``: repeat a run from its recorded configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cistransfer.cli.record import GONE, Config
from cistransfer.errors import InputError, nearest

__all__ = ["rerun"]


def rerun(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="A run folder or its config.json.")],
    out: Annotated[Path, typer.Option(help="Where the repeated run goes.")],
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Run the Python files that the record names.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As the verb that is repeated.")] = False,
) -> None:
    """Repeat a run into another place: the run's verb with '--config CONFIG --out OUT'."""
    root: Any = context.find_root().command
    record = Config(config)
    words = record.words
    if record.by_python:
        raise InputError(f"{config}: written by a function of Python; call that again")
    if " ".join(words) in GONE:
        raise InputError(
            f"{config}: 'cistransfer {' '.join(words)}' is now '{GONE[' '.join(words)]}'"
        )
    command = root
    for word in words:
        verbs = getattr(command, "commands", {})
        if word not in verbs:
            raise InputError(f"{config}: no verb {word!r}; {nearest(word, verbs)}")
        command = verbs[word]
    words = [*words, "--config", str(config), "--out", str(out), *["--json"] * as_json]
    words += ["--trust-code"] * trust_code
    code = root.main(args=words, prog_name="cistransfer", standalone_mode=False)
    if isinstance(code, int) and code:
        raise typer.Exit(code)
