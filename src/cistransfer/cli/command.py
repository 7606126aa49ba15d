"""What every verb shares: exit codes and ``--json``."""

from __future__ import annotations

import contextlib
import errno
import json
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer

from cistransfer.cli.process import Stoppable, say
from cistransfer.errors import InputError, MachineError, lacks_memory, shown
from cistransfer.progress import one
from cistransfer.storage import is_stdout

__all__ = ["finish", "run_app", "say"]


_LONGEST = 2_000
"""Characters of an error's line, whatever was quoted in it."""


def finish(result: dict[str, Any], as_json: bool, lines: Sequence[str]) -> None:
    """End a verb: one JSON object on stdout with ``--json``, else the lines for a person.

    Where the result itself went to stdout (``--out -``), they go to stderr.
    """
    words = [json.dumps(result, allow_nan=False)] if as_json else [*map(one, lines)]
    if is_stdout(str(result.get("out", ""))):
        say(*words)
    else:
        for line in words:
            print(line)


def run_app(app: Callable[..., Any], arguments: Sequence[str] | None = None) -> int:
    """Run the application and return its exit code.

    0 done; 2 wrong input; 1 the machine's fault (one line) or ours (a traceback); 130, 143, 129
    stopped by Ctrl-C, SIGTERM, SIGHUP.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    stoppable = Stoppable()
    try:
        with stoppable:
            code = app(args=words, prog_name="cistransfer", standalone_mode=False)
            if code == 130:  # typer's word for Ctrl-C
                raise KeyboardInterrupt
    except InputError as error:
        return _refuse(str(error), as_json)
    except typer.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        say("stopped; nothing half-written was left, run the same command again to go on")
        return 128 + (stoppable.came[0] if stoppable.came else signal.SIGINT)
    except typer.TyperException as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        if message.startswith("Usage: "):  # no verb was named: the help
            say(message)
            return 2
        context = getattr(error, "ctx", None)
        hint = f" (see '{context.command_path} --help')" if context else ""
        return _refuse(message + hint, as_json)
    except BrokenPipeError:
        return 1
    except MachineError as error:
        return _refuse(str(error), as_json, code=1)
    except OSError as error:
        named = f"{shown(error.filename, 200)}: " if error.filename else ""
        wrong = error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP)  # a name given
        return _refuse(named + (error.strerror or str(error)), as_json, code=2 if wrong else 1)
    except (MemoryError, RuntimeError, ImportError, SystemError) as error:
        if not lacks_memory(error):
            raise
        where = " on the GPU (--device cpu needs none)" if "CUDA" in str(error) else ""
        return _refuse("out of memory" + where, as_json, code=1)
    return code if isinstance(code, int) else 0


def _refuse(message: str, as_json: bool, code: int = 2) -> int:
    line = shown(message, _LONGEST)
    say(f"cistransfer: {line}")
    if as_json:
        with contextlib.suppress(OSError):
            print(json.dumps({"error": line}), flush=True)
    return code
