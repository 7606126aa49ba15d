"""How a function becomes a verb: groups of options in, a `Done` out.

::

    def finetune(
        source: Annotated[FromMatrix | FromPeaks, "source of examples"],
        draw: Annotated[Matched | None, goes_with(FromMatrix)],
        seed: Seed,
    ) -> Done: ...

    verb(app, "finetune", finetune)

Which options have a meaning together is told in `cistransfer.cli.plan`. The rest is here and the
same for all verbs: the help by groups, ``--json``, ``--config``, the record, what is printed.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import MISSING, asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from cistransfer.cli.command import finish, say
from cistransfer.cli.plan import Asked, Given, Plan
from cistransfer.cli.process import check_memory
from cistransfer.cli.record import RENAMED, check_place, write_config
from cistransfer.errors import InputError, shown
from cistransfer.options import flag_of, title_of
from cistransfer.storage import is_stream, output, overwriting, record_of

__all__ = ["Done", "GroupedCommand", "verb", "written_to"]


_LENIENT = "cistransfer.lenient"
_RECORD = "cistransfer.record"


@dataclass(frozen=True)
class Done:
    """What a verb hands back.

    Attributes
    ----------
    result : mapping
        The one object that ``--json`` prints.
    lines : sequence of str
        What a person reads instead.
    written : sequence of Path
        What the record is written in (a folder) or beside (a file).
    used : mapping
        For the record: what was settled while it ran.
    code : int
        Exit code: 2 where the answer is that something is wrong.
    """

    result: Mapping[str, Any]
    lines: Sequence[str] = ()
    written: Sequence[Path] = ()
    used: Mapping[str, Any] = field(default_factory=dict)
    code: int = 0


def written_to(out: Path, facts: Any) -> Done:
    """What is said of one file that was written: its facts (a dataclass with ``line``)."""
    told = asdict(facts)
    lines = [facts.line(), f"written: {out}"]
    return Done({"out": str(out), **told}, lines, written=[out], used=told)


class GroupedCommand(TyperCommand):
    """A command whose help lists the options by group."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one section per group, in their order; arguments first."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        for parameter in self.get_params(ctx):
            shown = parameter.get_help_record(ctx)
            if shown is not None:
                is_argument = parameter.param_type_name == "argument"
                title = getattr(parameter, "rich_help_panel", None) or "Other options"
                sections.setdefault("Arguments" if is_argument else title, []).append(shown)
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command line, older spellings among them."""
        renamed = RENAMED.get(" ".join(ctx.command_path.split()[1:]), {})
        names = {
            f"--{old}".replace("_", "-"): f"--{new}".replace("_", "-")
            for old, new in renamed.items()
        }
        words = []
        for word in args:
            flag, equals, rest = word.partition("=")
            words.append(names.get(flag, flag) + equals + rest)
        return super().parse_args(ctx, words)


def verb(app: typer.Typer, name: str, function: Callable[..., Done]) -> None:
    """Add a function to the application as a verb (see the module)."""
    plan = Plan(function)

    def command(context: typer.Context, **options: Any) -> None:
        check_memory()
        given = _given(plan, context)
        if record := context.meta.get(_RECORD):
            _refuse_code(record, given, options["trust_code"])
        settled = plan.settle(given)
        words = _words(context)
        over: AbstractContextManager[list[str]] = (
            overwriting() if options["overwrite"] else nullcontext([])
        )
        made: set[str] = set()

        def claim(out: Path, made_at: Path) -> None:
            """Write the record before the file, or into the folder: what is there says whose."""
            record = out / "config.json" if made_at.is_dir() else record_of(out)
            if not record.exists():
                made.add(os.path.realpath(record))
            write_config(made_at if made_at.is_dir() else out, words, settled.arguments, {})

        with over as replaced:
            places = _places(plan, given, words)
            with output(places, words, record=claim):
                done = function(**settled.groups)
            for path in done.written:
                write_config(path, words, settled.arguments, done.used)
        if names := [name for name in dict.fromkeys(replaced) if name not in made]:
            more = f", … ({len(names):,} files in all)" if len(names) > 8 else ""
            say(f"replaced: {', '.join(names[:8])}{more}")
        finish(dict(done.result), options["as_json"], done.lines)
        if done.code:
            raise typer.Exit(done.code)

    signature = _signature(plan)
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}
    command.__doc__ = function.__doc__
    command.plan = plan  # type: ignore[attr-defined]
    command.verb = function  # type: ignore[attr-defined]
    app.command(name, cls=GroupedCommand)(command)


def _refuse_code(record: Path, given: Given, trusted: bool) -> None:
    """Refuse Python files that a record names, unless they are trusted; those beside it always."""
    folder = (record if record.is_dir() else record.parent).resolve()
    for name, value in given.values.items():
        texts = value if isinstance(value, list | tuple) else [value]
        for text in texts if name not in given.typed else ():
            if not (isinstance(text, str) and ".py:" in text):
                continue
            file = Path(text.rpartition("=")[2].partition(".py:")[0] + ".py")
            if file.resolve().is_relative_to(folder):
                raise InputError(
                    f"{record}: names a Python file beside it, {shown(file)}, which would be run; "
                    "read it, copy it to a place of your own and name it with --architecture"
                )
            if not trusted:
                raise InputError(
                    f"{record}: names a Python file that would be run: {shown(file)}; if the "
                    "record is yours or you have read the file, add --trust-code"
                )


def _files(value: Any, asked: Asked) -> list[Any]:
    """What of an option's value names files: no name of a study that a folder has as well."""
    path = asked.kind is Path or asked.described.path
    values = value if isinstance(value, list | tuple) else [value]
    return [each for each in values if (path(str(each)) if callable(path) else path)]


def _places(plan: Plan, given: Given, words: list[str]) -> list[Path]:
    """What the options that name outputs say, after refusing an input and what is not ours."""
    named = {
        name: asked
        for name, asked in plan.options.items()
        if name in given.values and (name == "out" or asked.described.writes is not None)
    }
    inputs = {
        asked.flag: _files(given.values[name], asked)
        for name, asked in plan.options.items()
        if name in given.values and name not in named
    }
    places: dict[str, Path] = {}
    for name, asked in named.items():
        place = Path(str(given.values[name]))
        check_place(place, words, inputs, asked.flag, asked.described.writes)
        same = next((flag for flag, other in places.items() if _one_file(place, other)), None)
        if same is not None:
            raise InputError(f"{place}: {asked.flag} and {same} would be one file; name another")
        places[asked.flag] = place
    return list(places.values())


def _one_file(one: Path, other: Path) -> bool:
    return not is_stream(one) and os.path.realpath(one) == os.path.realpath(other)


def _words(context: typer.Context) -> list[str]:
    return context.command_path.split()[1:]


def _given(plan: Plan, context: typer.Context) -> Given:
    """The options that were typed or came from a config."""
    sources = {name: context.get_parameter_source(name) for name in plan.options}
    named = {name: source.name for name, source in sources.items() if source is not None}
    return Given(
        {name: context.params[name] for name, source in named.items() if source != "DEFAULT"},
        frozenset(name for name, source in named.items() if source == "COMMANDLINE"),
        lenient=bool(context.meta.get(_LENIENT)),
    )


def _signature(plan: Plan) -> inspect.Signature:
    """The signature that typer reads: a parameter per option."""
    kind = inspect.Parameter.KEYWORD_ONLY

    def config(context: typer.Context, value: Path | None) -> None:
        if value is not None:
            context.meta[_RECORD] = value
            values, context.meta[_LENIENT] = plan.of_record(value, _words(context))
            context.default_map = values

    config_option = typer.Option(
        metavar="FILE",
        is_eager=True,
        callback=config,
        help="Options from a run's config.json, or its folder; those given here replace them.",
    )
    json_option = typer.Option(
        "--json", help="Print one JSON object on stdout; the rest on stderr."
    )
    trust_option = typer.Option(
        "--trust-code",
        hidden="architecture" not in plan.options,
        help="Run the Python files (FILE.py:CLASS) that the --config names.",
    )
    overwrite_option = typer.Option(
        "--overwrite",
        hidden="out" not in plan.options
        and not any(asked.described.writes is not None for asked in plan.options.values()),
        help="Write among other things in --out, or over a file of something else; says what "
        "was replaced.",
    )
    own = [
        ("context", typer.Context, inspect.Parameter.empty),
        *((asked.name, *_typer_option(plan, asked)) for asked in plan.options.values()),
        ("config", Annotated[Path | None, config_option], None),
        ("trust_code", Annotated[bool, trust_option], False),
        ("overwrite", Annotated[bool, overwrite_option], False),
        ("as_json", Annotated[bool, json_option], False),
    ]
    return inspect.Signature(
        [
            inspect.Parameter(name, kind, annotation=annotation, default=default)
            for name, annotation, default in own
        ]
    )


def _typer_option(plan: Plan, asked: Asked) -> tuple[Any, Any]:
    """Annotation and default of an option for typer."""
    place, described = asked.places[0], asked.described
    flag = flag_of(place.field)
    default = None if asked.default in (MISSING, (), "") else asked.default
    if default is not None and described.read is not None:
        default = None
    elif default is not None and asked.several:
        default = list(default) if asked.as_list else ",".join(map(str, default))
    kind: Any = list[asked.kind] if asked.as_list else str if asked.several else asked.kind  # type: ignore[name-defined]
    always = not place.slot.alternatives and place.slot.users is None
    required = always and asked.default is MISSING
    if default is None and not required:
        kind = kind | None
    bounds: dict[str, Any] = {}
    if asked.kind in (int, float) and not asked.several:
        bounds = {"min": described.min, "max": described.max}
    metavar = described.metavar or _metavar(asked)
    if described.positional:
        declared = typer.Argument(metavar=metavar, help=described.help, **bounds)
    else:
        panel, note = _panel(plan, asked)
        declared = typer.Option(
            flag,
            metavar=metavar,
            help=described.help + note,
            rich_help_panel=described.panel or panel,
            **bounds,
        )
    return Annotated[kind, declared], inspect.Parameter.empty if required else default


def _metavar(asked: Asked) -> str | None:
    """What stands for the value in the help."""
    if asked.described.positional or asked.kind is bool:
        return asked.flag if asked.described.positional else None
    word = {Path: "PATH", int: "N", float: "X"}.get(asked.kind, "TEXT")
    choices = "|".join(asked.described.choices or ())
    if choices and len(choices) < 30:
        word = choices
    return f"{word},…" if asked.several and not asked.as_list else word


def _panel(plan: Plan, asked: Asked) -> tuple[str, str]:
    """Heading of an option in the help; with which alternatives it goes, where that differs."""
    place = asked.places[0]
    title = title_of(place.group)
    groups = [each.group for each in asked.places if each.slot.alternatives]
    if groups:
        flags = list(dict.fromkeys(plan.keys[group].flag for group in groups))
        return title, f" [with {', '.join(flags)}]" if len(flags) > 1 else ""
    if any(each.slot.users is None for each in asked.places):
        return title, ""
    users = {user for each in asked.places for user in each.slot.users or () if user is not None}
    slots = [slot for slot in plan.slots if slot.alternatives and users & set(slot.groups)]
    others = [group for slot in slots for group in slot.groups if group not in users]
    if slots and len(others) < len(users):
        flags = [plan.called(other) for other in others]
        return title + (f" (not with {', '.join(flags)})" if flags else ""), ""
    return f"{title} (with {', '.join(sorted(map(plan.called, users)))})", ""
