"""The ``cistransfer`` command: its verbs, in the order of the work."""

from __future__ import annotations

import gc
import inspect
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from cistransfer import __version__
from cistransfer.cli.command import run_app
from cistransfer.cli.process import close_streams, mend_streams, set_environment
from cistransfer.cli.record import GONE
from cistransfer.cli.rerun import rerun
from cistransfer.cli.verb import GroupedCommand, verb
from cistransfer.errors import InputError

__all__ = ["app", "main"]

GROUPS = {
    "matrix": "Build, import, inspect and export binding matrices.",
    "accessibility": "Chromatin accessibility by transfer: example sets of cells.",
    "study": "Experiments by name: run, on one machine or a cluster, collect, draw.",
    "bundle": "Inspect, pack and hand on trained models.",
    "data": "Public data: what there is, and how to get it.",
}
VERBS = {
    "learn": "learn:learn",
    "simulate": "simulate:simulate",
    "matrix build": "matrix:build",
    "matrix import": "matrix:import_",
    "matrix info": "matrix:info",
    "matrix check": "matrix:check",
    "matrix export": "matrix:export",
    "matrix common": "matrix:common",
    "relatives": "relatives:relatives",
    "accessibility sets": "accessibility:sets",
    "examples": "examples:examples",
    "pretrain": "pretrain:pretrain",
    "finetune": "finetune:finetune",
    "evaluate": "evaluate:evaluate",
    "compare": "compare:compare",
    "predict": "predict:predict",
    "track": "track:track",
    "variants": "variants:variants",
    "interpret": "interpret:interpret",
    "locus": "locus:locus",
    "report": "report:report",
    "study list": "study:list_studies",
    "study show": "study:show",
    "study run": "study:run",
    "study status": "study:status",
    "study collect": "study:collect",
    "study figures": "study:figures",
    "study models": "study:models",
    "bundle info": "bundle:info",
    "bundle check": "bundle:check",
    "bundle pack": "bundle:pack",
    "bundle unpack": "bundle:unpack",
    "bundle push": "bundle:push",
    "bundle export": "bundle:export",
    "bundle import": "bundle:import_",
    "check": "check:check",
    "compact": "compact:compact",
    "models": "models:models",
    "data list": "data:list_",
    "data get": "data:get",
    "doctor": "doctor:doctor",
}
"""Each verb's function, as MODULE:NAME in ``cistransfer.cli``; beside them there is ``rerun``."""

set_environment()


def _version(show: bool) -> None:
    if show:
        print(f"cistransfer {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


class _Group(typer.core.TyperGroup):
    """A group of verbs that says of one that is gone what does it now."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        words = " ".join([*ctx.command_path.split()[1:], *args[:1]])
        if words in GONE:
            raise InputError(f"'cistransfer {words}' is now '{GONE[words]}'")
        return super().resolve_command(ctx, args)


class _Later(GroupedCommand):
    """A verb made when it is asked for: its help from its module, the rest from its options."""

    def __init__(self, name: str, place: str) -> None:
        super().__init__(name)
        self._place = place
        for made_later in ("help", "callback", "params"):
            del self.__dict__[made_later]

    def __getattr__(self, name: str) -> Any:
        if name not in ("help", "callback", "params"):
            raise AttributeError(name)
        module, _, called = self._place.partition(":")
        function = getattr(import_module(f"cistransfer.cli.{module}"), called)
        if name == "help":
            self.help = inspect.getdoc(function)
        else:
            alone = typer.Typer(add_completion=False, rich_markup_mode=None)
            verb(alone, str(self.name), function)
            self.__dict__.update(typer.main.get_command(alone).__dict__)
        return self.__dict__[name]


def _made() -> Any:
    """The command with every verb, made once: typer would make it anew in every call."""
    root = typer.Typer(
        name="cistransfer",
        help="Transfer learning for regulatory DNA: few peaks in, binding predictions out.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    root.callback()(_root)
    root.command("rerun")(rerun)
    for name, about in GROUPS.items():
        root.add_typer(typer.Typer(cls=_Group, help=about, no_args_is_help=True), name=name)
    command: Any = typer.main.get_command(root)
    beside, command.commands = command.commands, {}
    for words, place in VERBS.items():
        group, _, name = words.rpartition(" ")
        (beside[group] if group else command).commands[name] = _Later(name, place)
    command.commands |= beside
    return command


app = _made()


def main() -> None:
    """Run the command line and leave with its exit code."""
    gc.set_threshold(5_000)  # of 700: libraries make many objects, which all stay
    mend_streams()
    code = close_streams(run_app(app))
    gc.freeze()  # at exit Python would look through all of it once more, a third of a second
    sys.exit(code)
