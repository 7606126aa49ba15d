"""What a run may replace: an earlier output, told by the record that lies in it or beside it."""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from cistransfer.errors import InputError, shown
from cistransfer.storage.structured import read_json
from cistransfer.storage.writing import (
    PathLike,
    before_placing,
    is_stream,
    may_overwrite,
    refuse_held,
    write_json,
)

__all__ = ["check_output", "output", "record_of", "write_record"]


def record_of(out: Path) -> Path:
    """Where the record of an output is: in a folder, or beside a file."""
    return out / "config.json" if out.is_dir() else out.with_name(out.name + ".config.json")


def write_record(out: Path, content: dict[str, Any]) -> None:
    """Write the record of an output.

    There is none of what went to a pipe or a device, nor of a file (mounted by itself) beside which
    nothing may be written.
    """
    if is_stream(out) or (out.is_file() and not os.access(out.absolute().parent, os.W_OK)):
        return
    write_json(record_of(out), content)


def check_output(out: PathLike, words: Sequence[str], markers: Sequence[str] | None = None) -> None:
    """Refuse, before the work, a place that holds something else than such output.

    A file is an earlier output where its record lies beside it; an empty one (``mktemp``, a
    workflow's) may always be filled, and so may a stream. A folder is one where its record lies in
    it, or a marker.

    Parameters
    ----------
    out : path
    words : sequence of str
        Of the verb whose output it is.
    markers : sequence of str, optional
        Any of these files (patterns) in a folder tells an earlier output. None: the folder is
        looked at by who writes it (`cistransfer.storage.check_folder`).

    Raises
    ------
    InputError
        When there is a file without a record, a record of another verb or of nothing, or a folder
        with other things; not within `cistransfer.storage.overwriting`.
    """
    place = Path(out)
    if may_overwrite() or is_stream(place) or not place.exists():
        return
    record = record_of(place)
    if record.is_file():
        _check_record(place, record, list(words))
    elif place.is_file():
        if place.stat().st_size:
            raise InputError(
                f"{out}: expected a new name or an earlier output (with {record.name} beside it), "
                "found a file of something else; name another place, or replace it (--overwrite)"
            )
    elif markers is not None and not any(any(place.glob(name)) for name in markers):
        command = f"'cistransfer {' '.join(words)}'"
        refuse_held(out, f"an earlier output of {command} (with {record.name} in it)")


def _check_record(place: Path, record: Path, words: list[str]) -> None:
    try:
        content = read_json(record)
    except InputError:
        content = None
    asked = content.get("command") if isinstance(content, dict) else None
    known = isinstance(asked, list) and asked and all(isinstance(word, str) for word in asked)
    if asked == words:
        return
    what = (
        f"the output of 'cistransfer {shown(' '.join(asked or []))}'"
        if known
        else "no record of cistransfer"
    )
    raise InputError(
        f"{place}: {record.name} there is {what}, and would be replaced; name another place, or "
        "replace it (--overwrite)"
    )


_claimed: contextvars.ContextVar[bool] = contextvars.ContextVar("_claimed", default=False)


@contextlib.contextmanager
def output(
    places: Sequence[PathLike],
    words: Sequence[str],
    markers: Sequence[str] | None = None,
    record: Callable[[Path, Path], None] | None = None,
) -> Iterator[None]:
    """Write what places name, in this block: only over an earlier output, its record first.

    A run stopped between leaves what is ours. Within another such block (a verb of the command
    line that calls a function of Python) files are the outer one's, which has looked at them.

    Parameters
    ----------
    places : sequence of path
        Files and folders.
    words : sequence of str
        Of the verb.
    markers : sequence of str, optional
        See `check_output`.
    record : callable, optional
        Writes the record of a place, given that and where the finished file or folder is yet
        (`cistransfer.storage.before_placing`). By default one that says that Python wrote it, and
        no arguments.

    Raises
    ------
    InputError
        As `check_output`, before the block.
    """
    if record is None:

        def record(out: Path, made_at: Path) -> None:
            here = os.path.realpath(out) == os.path.realpath(made_at)
            if here or not made_at.is_dir():  # a kind's own marker tells its folders
                write_record(out, _by_python(words))

    outer = _claimed.get()
    outs = [Path(place) for place in places]
    for out in outs:
        if not outer or out.is_dir():
            check_output(out, words, markers)
    real = {os.path.realpath(out): out for out in outs}

    def claim(place: Path, made_at: Path) -> None:
        if str(place) in real:
            record(real[str(place)], made_at)

    token = _claimed.set(True)
    try:
        with contextlib.nullcontext() if outer else before_placing(claim):
            yield
    finally:
        _claimed.reset(token)
    for out in outs if markers == () and not outer else ():
        if out.is_dir() and not record_of(out).exists():
            record(out, out)


def _by_python(words: Sequence[str]) -> dict[str, Any]:
    return {
        "cistransfer": import_module("cistransfer").__version__,
        "format": 2,
        "command": list(words),
        "arguments": {},
        "used": {"by": "Python"},
    }
