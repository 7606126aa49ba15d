"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cistransfer.errors import InputError

__all__ = [
    "whole_file",
    "whole_folder",
    "write_json",
    "write_text",
]


_REFUSALS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
)


@contextlib.contextmanager
def _as_input_error(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write ``path`` into one-line input errors.

    numpy and HDF5 report a full disk without the system's error number; an error that names a
    file elsewhere (an input read within the block) is left as it is.
    """
    try:
        yield
    except OSError as error:
        elsewhere = isinstance(error.filename, str | os.PathLike) and not Path(
            error.filename
        ).absolute().is_relative_to(path.parent.absolute())
        above = isinstance(error.filename, str | os.PathLike) and path.absolute().is_relative_to(
            Path(error.filename).absolute()
        )
        if (elsewhere and not above) or error.errno not in (*_REFUSALS, None):
            raise
        reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: cannot write: {reason}") from error


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its name when the block ends well.

    A reader never sees half a file: after an error or a kill the old file, if any, still stands.
    The temporary name is unique, so two writers of one path do not mix; the last one wins.
    A process that is killed outright (``kill -9``, power) leaves its temporary file behind,
    ``.NAME.*.part`` beside the target. Nothing reads or removes it, as another process may be
    writing it still: delete it once none is.
    """
    target = Path(path)
    with _as_input_error(target):
        if target.is_dir():
            raise InputError(f"{target}: expected a file or a new name, found a folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=".part", dir=target.parent
        )
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with open(temporary, "rb+") as written:
                os.fsync(written.fileno())
            temporary.chmod(0o644)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside ``path`` that takes its name when the block ends well.

    An existing folder at ``path`` is replaced as a whole at the end, and only then; a file there
    is refused. What a process that is killed outright leaves behind is a folder ``.NAME.*``.
    """
    target = Path(path)
    with _as_input_error(target):
        if target.exists() and not target.is_dir():
            raise InputError(f"{target}: expected a folder or a new name, found a file")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        temporary.chmod(0o755)
        try:
            yield temporary
            if target.exists():
                retired = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
                os.replace(target, retired / "old")
                os.replace(temporary, target)
                shutil.rmtree(retired)
            else:
                os.replace(temporary, target)
        finally:
            if temporary.exists():
                shutil.rmtree(temporary)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` (UTF-8) to ``path``, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON to ``path``, whole or not at all (NaN is refused)."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
