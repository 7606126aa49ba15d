"""Files that appear whole or not at all, and fingerprints of what was read."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from cistransfer.errors import InputError

__all__ = [
    "fingerprint",
    "open_text",
    "read_json",
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


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file; raise `InputError` when it is missing or malformed."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise _unreadable(path, error) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid JSON: {error}") from error


def _unreadable(path: str | os.PathLike[str], error: OSError) -> InputError:
    """Word why a file could not be opened for reading."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return InputError(f"{path}: no such file")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{path}: expected a file, found a folder")
    return InputError(f"{path}: cannot read: {error.strerror or error}")


@contextlib.contextmanager
def open_text(path: str | os.PathLike[str]) -> Iterator[IO[str]]:
    """Open a plain or gzip text file for reading (gzip is told by its first bytes).

    A byte-order mark, which spreadsheet programs write, is skipped.

    Raises
    ------
    InputError
        When there is no such file, when a gzip file is cut short or damaged, or when the bytes
        are not text.
    """
    try:
        with open(path, "rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        if zipped:
            with gzip.open(path, "rt", encoding="utf-8-sig") as text:
                yield cast(IO[str], text)
        else:
            with open(path, encoding="utf-8-sig") as text:
                yield text
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path}: the gzip file is cut short or damaged ({error}); copy or download it again"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected text, found binary data ({error.reason})") from error


def fingerprint(path: str | os.PathLike[str]) -> str:
    """Return ``sha256:<hex>`` of a file's bytes."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as handle:
            while block := handle.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise _unreadable(path, error) from error
    return "sha256:" + digest.hexdigest()
