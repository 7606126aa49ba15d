"""What every verb shares: exit codes, ``--json``, and the record of a run's configuration."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cistransfer import __version__
from cistransfer.cli.process import say, stoppable
from cistransfer.errors import InputError, MachineError, nearest
from cistransfer.storage import is_stdout, is_stream, read_json, write_json

__all__ = [
    "AsJson",
    "arguments_of",
    "finish",
    "record",
    "recorded_arguments",
    "recorded_folder",
    "run_app",
    "say",
]

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout; the rest on stderr.")
]


def finish(result: dict[str, Any], as_json: bool, lines: Sequence[str]) -> None:
    """End a verb: one JSON object on stdout with ``--json``, else the lines for a person.

    Where the result itself went to stdout (``--out -``), they go to stderr.
    """
    words = [json.dumps(result, allow_nan=False)] if as_json else lines
    if is_stdout(str(result.get("out", ""))):
        say(*words)
    else:
        for line in words:
            print(line)


def arguments_of(context: typer.Context) -> dict[str, Any]:
    """Every argument of a verb as resolved, JSON-ready, with absolute paths."""
    return {
        name: _plain(value)
        for name, value in sorted(context.params.items())
        if name not in ("as_json",)
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return "-" if str(value) == "-" else str(value.absolute())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return getattr(value, "value", value)


def record(context: typer.Context, path: Path) -> None:
    """Write the resolved configuration from which ``rerun`` repeats the run.

    For a run folder it is ``config.json`` in it, for a single file ``FILE.config.json`` beside it;
    there is none of what went to a pipe or a device.
    """
    if is_stream(path):
        return
    place = path / "config.json" if path.is_dir() else path.with_name(path.name + ".config.json")
    words = context.command_path.split()[1:]
    write_json(
        place,
        {
            "cistransfer": __version__,
            "command": words,
            "arguments": arguments_of(context),
            "folder": str(Path.cwd()),  # what NAME=FOLDER and other texts are relative to
        },
    )


def recorded_arguments(config: Path, root: Any, replace: dict[str, Any]) -> list[str]:
    """Turn a recorded configuration back into command-line words.

    Parameters
    ----------
    config : path
        A ``config.json``, or the run folder that holds one.
    root : command group
        The application.
    replace : dict
        Arguments to change (``out``).
    """
    path = config / "config.json" if config.is_dir() else config
    content = read_json(path)
    if not isinstance(content, dict) or not {"command", "arguments"} <= set(content):
        raise InputError(f"{path}: expected a run's config.json with 'command' and 'arguments'")
    command = root
    for word in content["command"]:
        verbs = getattr(command, "commands", {})
        if word not in verbs:
            raise InputError(f"{path}: no verb {word!r}; {nearest(word, verbs)}")
        command = verbs[word]
    values = {**content["arguments"], **replace}
    options: list[str] = []
    positional: list[str] = []
    for parameter in command.params:
        value = values.pop(parameter.name or "", None)
        if value is None or parameter.name in ("as_json", "help"):
            continue
        items = value if isinstance(value, list) else [value]
        if parameter.param_type_name == "argument":
            positional += [str(item) for item in items]
        elif isinstance(value, bool):
            names = parameter.opts if value else parameter.secondary_opts
            options += names[:1]
        else:
            for item in items:
                options += [parameter.opts[0], str(item)]
    if values:
        raise InputError(
            f"{path}: unknown arguments of {' '.join(content['command'])}: {sorted(values)}"
        )
    return (
        [*content["command"], *options, "--", *positional]
        if positional
        else [
            *content["command"],
            *options,
        ]
    )


def recorded_folder(config: Path) -> Path:
    """The folder in which a recorded run was started; the current one when it is gone."""
    content = read_json(config / "config.json" if config.is_dir() else config)
    folder = Path(str(content.get("folder", ".")))
    return folder if folder.is_dir() else Path.cwd()


def run_app(app: Callable[..., Any], arguments: Sequence[str] | None = None) -> int:
    """Run the application and return its exit code.

    0 done; 2 wrong input; 1 the machine's fault (one line) or ours (a traceback); 130, 143, 129
    stopped by Ctrl-C, SIGTERM, SIGHUP.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    with stoppable() as came:
        try:
            code = app(args=words, prog_name="cistransfer", standalone_mode=False)
            if code == 130:  # typer's word for Ctrl-C
                raise KeyboardInterrupt
        except InputError as error:
            return _refuse(str(error), as_json)
        except typer.Exit as stop:
            return stop.exit_code
        except (KeyboardInterrupt, typer.Abort):
            say("stopped; nothing half-written was left, run the same command again to go on")
            return 128 + (came[0] if came else signal.SIGINT)
        except typer.TyperException as error:
            message = error.format_message() if hasattr(error, "format_message") else str(error)
            context = getattr(error, "ctx", None)
            hint = f" (see '{context.command_path} --help')" if context else ""
            return _refuse(message + hint, as_json)
        except BrokenPipeError:
            return 1
        except MachineError as error:
            return _refuse(str(error), as_json, code=1)
        except OSError as error:
            named = f"{error.filename}: " if error.filename else ""
            return _refuse(named + (error.strerror or str(error)), as_json, code=1)
        except MemoryError:
            return _refuse("out of memory", as_json, code=1)
    return code if isinstance(code, int) else 0


def _refuse(message: str, as_json: bool, code: int = 2) -> int:
    line = " ".join(message.split())
    say(f"cistransfer: {line}")
    if as_json:
        with contextlib.suppress(OSError):
            print(json.dumps({"error": line}), flush=True)
    return code
