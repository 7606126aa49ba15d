"""Files and folders that appear whole or not at all, and never in place of what is not ours.

What is being written has a name of its own beside the target, ``.NAME.OWNER.*.part``, and takes the
target's name at the end. OWNER is the process: what a killed one left is removed by the next
writer of the same target, what a living one writes is not touched. A process of another machine
or container cannot be asked; what it left stays.
"""

from __future__ import annotations

import contextlib
import contextvars
import errno
import fnmatch
import functools
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import stat
import sys
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cistransfer.errors import InputError, MachineError, is_fault

__all__ = [
    "Kind",
    "before_placing",
    "check_folder",
    "files_into",
    "held_in",
    "is_stdout",
    "is_stream",
    "may_overwrite",
    "overwriting",
    "refuse_held",
    "remove_folder",
    "safe_name",
    "whole_file",
    "whole_folder",
    "write_json",
    "write_text",
]

PathLike = str | os.PathLike[str]

_REFUSALS = (
    errno.EACCES,
    errno.EPERM,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ENOTEMPTY,
)
_NOT_RENAMED = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)
"""What a mount point, or a place in a folder that may not be written, says to a rename."""
_OURS = r"/cistransfer-\w+(/part)?$|\.(part|old)$"
_RECORD = "config.json"
_LONGEST = 200  # bytes of a name; file systems end at 255, and a temporary name is longer


@dataclass(frozen=True)
class Kind:
    """What one verb writes as a folder; by it an earlier output is told from anything else.

    Attributes
    ----------
    name : str
        For messages: ``"bundle"``.
    marker : str
        The file without which a folder is not of this kind; it is written last.
    files : tuple of str
        Every file that such a folder may hold, as names or patterns (``peaks/*.bed``). All
        else in it is somebody else's.
    """

    name: str
    marker: str
    files: tuple[str, ...]

    def owns(self, path: str) -> bool:
        """Whether a file of the folder, by its path in it, is one that the verb writes."""
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in (self.marker, *self.files))


def safe_name(name: str) -> str:
    """Turn any text into one part of a path: the same for ordinary names, others escaped.

    What a path gives a meaning to (``/``, NUL, ``.`` in front), control characters and ``%`` are
    written ``%2F``; what is longer than a file system takes ends in a fingerprint. Different
    names give different parts.
    """
    part = "".join(
        urllib.parse.quote(letter, safe="", errors="surrogateescape")
        if letter in "/\\%\x7f" or not letter.isprintable()
        else letter
        for letter in name
    )
    if part.startswith("."):
        part = "%2E" + part[1:]
    part = part or "%"
    if len(part.encode(errors="surrogateescape")) > _LONGEST:
        digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:12]
        head = part.encode(errors="surrogateescape")[: _LONGEST - 16]
        part = head.decode(errors="ignore") + "~" + digest
    return part


# Where output may go ---------------------------------------------------------------------------


def _descriptor(path: PathLike) -> int | None:
    """The open descriptor that a path stands for, if any."""
    name = os.fspath(path)
    known = {"-": 1, "/dev/stdout": 1, "/dev/stderr": 2}
    if name in known:
        return known[name]
    match = re.fullmatch(r"(?:/dev/fd|/proc/self/fd)/(\d{1,6})", name)
    return int(match[1]) if match else None


def is_stdout(path: PathLike) -> bool:
    """Whether a path is standard output, whose reader wants the result and nothing else."""
    return _descriptor(path) == 1


def is_stream(path: PathLike) -> bool:
    """Whether what is written there flows away: ``-``, a pipe, a device, an open descriptor."""
    if _descriptor(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextlib.contextmanager
def _refusals(path: PathLike) -> Iterator[None]:
    """Turn the operating system's refusals to write ``path`` into one line.

    numpy and HDF5 report a full disk without the system's error number; an error that names a
    file elsewhere (an input read within the block) is left as it is.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        place, named = Path(path).absolute(), error.filename
        if isinstance(named, str | os.PathLike):
            other = Path(named).absolute()
            near = any(
                other.is_relative_to(one.parent) or one.is_relative_to(other)
                for one in (place, Path(os.path.realpath(path)))
            )
            if not near and not re.search(_OURS, str(other)):
                raise
        if error.errno is not None and error.errno not in _REFUSALS and not is_fault(error):
            raise
        wrong = InputError if error.errno in _REFUSALS else MachineError
        raise wrong(f"{path}: cannot write: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    said = error.strerror or " ".join(str(error).split()) or type(error).__name__
    if re.fullmatch(r"\d+ requested and \d+ written", said):  # numpy's words, of items
        return f"the disk is full, or the file may not grow ({said})"
    return said


# Names of what is being written ------------------------------------------------------------------

_live: set[str] = set()  # of this process


@functools.cache
def _machine() -> str:
    """This machine and its space of process numbers: containers have their own."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return hashlib.sha256(f"{socket.gethostname()}|{space}".encode()).hexdigest()[:8]


def _stem(target: Path) -> str:
    return "." + safe_name(target.name)[:100]


def _beside(target: Path, suffix: str, folder: Path | None = None) -> Path:
    name = f"{_stem(target)}.{_machine()}-{os.getpid()}.{secrets.token_hex(4)}{suffix}"
    path = (folder or target.parent) / name
    _live.add(str(path))
    return path


_LEFT = re.compile(r"\.([0-9a-f]{8})-(\d+)\.[0-9a-f]{8}\.(part|old)")


_OURS_ALONE = re.compile(rf"{_LEFT.pattern}|\.kept-[0-9a-f]{{6}}$")


def _left(target: Path, folder: Path, suffix: str) -> list[Path]:
    """What writers of this target that are gone have left in a folder."""
    stem = _stem(target)
    found = []
    try:
        names = os.listdir(folder)
    except PermissionError:  # a folder may be open to writers and closed to lookers
        return []
    for name in names:
        match = name.startswith(stem) and _LEFT.fullmatch(name[len(stem) :])
        if match and "." + match[3] == suffix and match[1] == _machine():
            pid = int(match[2])
            if not (str(folder / name) in _live if pid == os.getpid() else _lives(pid)):
                found.append(folder / name)
    return found


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _remove(path: Path) -> None:
    """Remove a temporary file or folder, if it is there; a later writer tries again if it stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    _live.discard(str(path))


def _kept(temporary: Path, target: Path) -> str:
    """Keep a finished result that has no place beside its target; words for where it is."""
    name = f"{safe_name(target.name)}.kept-{secrets.token_hex(3)}"
    for place in (target.with_name(name), temporary.with_name(name)):
        with contextlib.suppress(OSError):
            os.rename(temporary, place)
            return f"; the finished result is kept at {place}"
    return ""


# Files -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def whole_file(path: PathLike) -> Iterator[Path]:
    """Yield a temporary path whose file takes the name ``path`` when the block ends well.

    A reader never sees half a file: after an error or a kill the old file, if any, still stands.
    Two writers of one path do not mix; the last one wins. A symbolic link stays and its target is
    written. To what is no regular file (``-`` for standard output, a pipe, a device) the finished
    bytes are written through; a file that cannot be replaced (mounted by itself, or in a folder
    that may not be written) is overwritten where it is. A finished result that cannot be put in
    its place is kept beside it under a name that the error gives.

    Raises
    ------
    InputError, MachineError
        When the place may not be written; when the disk is full or fails.
    """
    with _refusals(path):
        if is_stream(path):
            with tempfile.TemporaryDirectory(prefix="cistransfer-") as folder:
                temporary = Path(folder) / "part"
                temporary.touch()
                yield temporary
                _pour(temporary, path)
            return
        target = Path(os.path.realpath(path))
        if target.is_symlink():
            raise InputError(f"{path}: cannot write: {os.strerror(errno.ELOOP)}")
        if target.is_dir():
            raise InputError(f"{path}: expected a file or a new name, found a folder")
        temporary = _new_file(target)
        whole = False
        try:
            yield temporary
            _sync(temporary)
            whole = True
            for what in _before.get():
                what(target, temporary)
            told, there = _overwrites.get(), target.exists()
            _replace(temporary, target)
            if told is not None and there:
                told.append(str(target))
        except OSError as error:
            said = _kept(temporary, target) if whole else ""
            if said and (error.errno in _REFUSALS or is_fault(error)):
                raise MachineError(f"{path}: cannot write: {_reason(error)}{said}") from error
            raise
        finally:
            _remove(temporary)


_before: contextvars.ContextVar[tuple[Callable[[Path, Path], None], ...]] = contextvars.ContextVar(
    "_before", default=()
)


@contextlib.contextmanager
def before_placing(what: Callable[[Path, Path], None]) -> Iterator[None]:
    """Call ``what`` with the place of each finished file, and where it is yet, just before it takes
    its name; so with each folder of a kind that has a record (``config.json``) in it. Before the
    first of the files that go into a folder (`files_into`) that folder is both.
    """
    token = _before.set((*_before.get(), what))
    try:
        yield
    finally:
        _before.reset(token)


def _new_file(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in _left(target, target.parent, ".part"):
        _remove(leftover)
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    temporary = _beside(target, ".part")
    try:
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except OSError as error:
        _live.discard(str(temporary))
        if error.errno not in _NOT_RENAMED or not os.access(target, os.W_OK):
            raise
        temporary = _beside(target, ".part", Path(tempfile.gettempdir()))
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    with os.fdopen(handle, "wb"):
        if mode is not None:
            temporary.chmod(mode | stat.S_IWUSR)
    return temporary


def _replace(temporary: Path, target: Path) -> None:
    try:
        os.replace(temporary, target)
    except OSError as error:
        if error.errno not in _NOT_RENAMED or not target.is_file():
            raise
        with open(temporary, "rb") as source, open(target, "r+b") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
            sink.truncate()
            os.fsync(sink.fileno())


def _pour(temporary: Path, path: PathLike) -> None:
    """Write finished bytes to a stream."""
    number = _descriptor(path)
    with open(temporary, "rb") as source:
        if number in (1, 2):
            stream = sys.stdout if number == 1 else sys.stderr
            if stream is None or stream.closed:
                raise MachineError(f"{path}: cannot write: it is closed")
            stream.flush()
            shutil.copyfileobj(source, stream.buffer, 1 << 20)
            stream.buffer.flush()
            return
        handle = os.dup(number) if number is not None else os.open(path, os.O_WRONLY)
        with os.fdopen(handle, "wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)


def _sync(path: Path) -> None:
    """Have the bytes on the disk before the name is; some file systems cannot."""
    with open(path, "rb") as written:
        try:
            os.fsync(written.fileno())
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise


# Folders -----------------------------------------------------------------------------------------


_overwrites: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar(
    "_overwrites", default=None
)


@contextlib.contextmanager
def overwriting() -> Iterator[list[str]]:
    """Replace, in this block, files of something else, and write among others in a folder.

    Only files that have a name of the output's are replaced; the block is given the list of them.

    Examples
    --------
    >>> import cistransfer as ct
    >>> with ct.overwriting() as replaced:
    ...     table = ct.predict("trunk", "data/open.bed.gz", "data/genome.fa")
    >>> replaced
    []
    """
    replaced: list[str] = []
    token = _overwrites.set(replaced)
    try:
        yield replaced
    finally:
        _overwrites.reset(token)


def may_overwrite() -> bool:
    """Whether somebody has asked for it (`overwriting`)."""
    return _overwrites.get() is not None


def held_in(folder: Path) -> list[str]:
    """What is in a folder, but for what is being written or was kept there (`_kept`).

    Nor are folders in which nothing else is.
    """
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if _holds(entry))


def _holds(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file of somebody's, or a folder with one in it."""
    if _OURS_ALONE.search(entry.name):
        return False
    if not entry.is_dir(follow_symlinks=False):
        return True
    try:
        with os.scandir(entry.path) as entries:
            return any(_holds(each) for each in entries)
    except PermissionError:  # who knows
        return True


def check_folder(path: PathLike, kind: Kind, *, overwrite: bool = False) -> None:
    """Refuse, before the work, a place that `whole_folder` would refuse after it.

    Raises
    ------
    InputError
        When there is a file, or a folder with something in it that is not an earlier output of
        this kind (unless ``overwrite``).
    """
    target = Path(os.path.realpath(path))
    with _refusals(path):
        _recover(target, kind)
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise InputError(f"{path}: expected a folder or a new name, found a file")
    if overwrite or may_overwrite() or (target / kind.marker).is_file():
        return
    refuse_held(path, f"an earlier {kind.name} (which holds {kind.marker})")


def refuse_held(folder: PathLike, ours: str) -> None:
    """Refuse a folder with something in it; ``ours`` says what it might have been."""
    held = held_in(Path(folder))
    if held:
        more = f", … ({len(held)} in all)" if len(held) > 3 else ""
        raise InputError(
            f"{folder}: expected a new or empty folder, or {ours}, found {', '.join(held[:3])}"
            f"{more}; name another folder, or put it among these (--overwrite)"
        )


@contextlib.contextmanager
def whole_folder(path: PathLike, kind: Kind, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder that takes the name ``path`` when the block ends well.

    An earlier output of the same kind is replaced at the end, and only then; files in it that
    are not of the kind stay. Any other folder with something in it is refused, at the beginning
    and again at the end; with ``overwrite`` the kind's files are put among the others. A
    symbolic link stays. A folder that cannot be renamed (a mount point) is filled, marker last.

    A process killed between the two renames of a replacement leaves the old folder under another
    name; the next writer puts it back.
    """
    with _refusals(path):
        target = Path(os.path.realpath(path))
        check_folder(path, kind, overwrite=overwrite)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _new_folder(target)
        whole = False
        try:
            yield temporary
            stray = [name for name in _leaves(temporary) if not kind.owns(name)]
            if stray:
                raise ValueError(f"kind {kind.name!r} does not name what it writes: {stray}")
            for name in filter(lambda name: (temporary / name).is_file(), _leaves(temporary)):
                _sync(temporary / name)
            check_folder(path, kind, overwrite=overwrite)
            whole = True
            for what in _before.get() if kind.owns(_RECORD) else ():
                what(target, temporary)
            _tell_replaced(target, kind)
            _place(temporary, target, kind)
        except OSError as error:
            said = _kept(temporary, target) if whole else ""
            if said and (error.errno in _REFUSALS or is_fault(error)):
                raise MachineError(f"{path}: cannot write: {_reason(error)}{said}") from error
            raise
        finally:
            _remove(temporary)


@contextlib.contextmanager
def files_into(path: PathLike) -> Iterator[Path]:
    """Yield a temporary folder whose files come into the folder ``path`` when the block ends well.

    Other files there stay, and so do earlier ones after an error. The record of the output
    (`before_placing`) is written before the first file, so that a run which is stopped between two
    leaves what is ours.
    """
    with _refusals(path):
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_dir():
            raise InputError(f"{path}: expected a folder, found a file")
        lacking = [folder for folder in (target, *target.parents) if not folder.exists()]
        for place in {target, target.parent} - set(lacking):
            for leftover in _left(target, place, ".part"):
                _remove(leftover)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _new_folder(target)
        try:
            yield temporary
            names = _leaves(temporary)
            for name in names:
                _sync(temporary / name)
            target.mkdir(exist_ok=True)
            for what in _before.get():
                what(target, target)
            told = _overwrites.get()
            for name in names:
                if told is not None and (target / name).exists():
                    told.append(str(target / name))
                os.replace(temporary / name, target / name)
        finally:
            _remove(temporary)
            if not target.exists():
                with contextlib.suppress(OSError):  # somebody else may have put something there
                    for folder in lacking[1:]:
                        folder.rmdir()


def _tell_replaced(target: Path, kind: Kind) -> None:
    """Note which files of a folder are about to be replaced, where somebody asks for it."""
    told = _overwrites.get()
    if told is not None and target.is_dir():
        told += [str(target / name) for name in _leaves(target) if kind.owns(name)]


def remove_folder(path: PathLike, kind: Kind) -> None:
    """Remove an output of a kind: its own files, and the folder if nothing else is in it."""
    target = Path(path)
    if target.is_symlink() or not (target / kind.marker).is_file():
        return
    with _refusals(path):
        _remove_own(target, kind)
        with contextlib.suppress(OSError):  # not empty: somebody else's files stay
            target.rmdir()


def _remove_own(folder: Path, kind: Kind) -> None:
    (folder / kind.marker).unlink(missing_ok=True)
    emptied = set()
    for name in _leaves(folder):
        if kind.owns(name):
            (folder / name).unlink(missing_ok=True)
            emptied |= {parent for parent in Path(name).parents if parent != Path(".")}
    for parent in sorted(emptied, key=lambda one: len(one.parts), reverse=True):
        with contextlib.suppress(OSError):
            (folder / parent).rmdir()


def _leaves(folder: Path) -> list[str]:
    """Files, links and empty folders of a folder, by their paths in it; not what is written."""
    found = []
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        for name in [*files, *links]:
            found.append(Path(place, name).relative_to(folder).as_posix())
        if not folders and not files and Path(place) != folder:
            found.append(Path(place).relative_to(folder).as_posix())
        folders[:] = [name for name in folders if not _LEFT.search(name)]
    return sorted(name for name in found if not _LEFT.search(name.split("/")[0]))


def _others(folder: Path, kind: Kind) -> list[str]:
    """What in a folder is not of the kind; its own subfolders, emptied, are."""
    parents = {str(parent) for name in kind.files for parent in Path(name).parents}
    return [
        name
        for name in _leaves(folder)
        if not kind.owns(name) and not (name in parents and not (folder / name).is_file())
    ]


def _new_folder(target: Path) -> Path:
    inside = os.path.ismount(target)
    try:
        temporary = _beside(target, ".part", target if inside else None)
        temporary.mkdir()
    except OSError as error:
        _live.discard(str(temporary))
        if inside or error.errno not in _NOT_RENAMED or not os.access(target, os.W_OK):
            raise
        temporary = _beside(target, ".part", target)
        temporary.mkdir()
    return temporary


def _place(temporary: Path, target: Path, kind: Kind) -> None:
    if not target.exists():
        os.rename(temporary, target)
    elif temporary.parent == target or not _swapped(temporary, target, kind):
        _fill(temporary, target, kind)


def _swapped(temporary: Path, target: Path, kind: Kind) -> bool:
    """Put one folder in place of another; False where the other cannot be renamed."""
    retired = _beside(target, ".old")
    try:
        os.rename(target, retired)
    except OSError as error:
        _live.discard(str(retired))
        if error.errno not in _NOT_RENAMED:
            raise
        return False
    moved: list[str] = []
    try:
        os.rename(temporary, target)
        for name in _others(retired, kind):
            if not os.path.lexists(target / name):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                os.rename(retired / name, target / name)
                moved.append(name)
    except OSError:
        if not os.path.lexists(temporary):
            for name in moved:
                os.rename(target / name, retired / name)
            os.rename(target, temporary)
        os.rename(retired, target)
        raise
    finally:
        _live.discard(str(retired))
    _clear(retired, target, kind)
    return True


def _fill(temporary: Path, target: Path, kind: Kind) -> None:
    """Put files one by one into a folder that stays; without its marker it is not whole."""
    _remove_own(target, kind)
    names = [name for name in _leaves(temporary) if name != kind.marker]
    for name in [*names, kind.marker]:
        if (temporary / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            os.rename(temporary / name, target / name)


def _clear(old: Path, new: Path, kind: Kind) -> None:
    """Remove a folder that was replaced, after moving what is not of the kind into the new one."""
    for name in _others(old, kind):
        if not os.path.lexists(new / name):
            with contextlib.suppress(OSError):
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                os.rename(old / name, new / name)
    if not _others(old, kind):
        _remove(old)
    else:  # a file where the new folder has a folder, or the other way round
        _kept(old, new)


def _recover(target: Path, kind: Kind) -> None:
    """Put back, or clear away, what killed writers of this target left."""
    if not target.parent.is_dir():
        return
    for old in _left(target, target.parent, ".old"):
        if not os.path.lexists(target):
            os.rename(old, target)
        else:
            _clear(old, target, kind)
    for folder in (target.parent, target):
        if folder.is_dir():
            for leftover in _left(target, folder, ".part"):
                _remove(leftover)


# What is written most -----------------------------------------------------------------------------


def write_text(path: PathLike, text: str) -> None:
    """Write ``text`` (UTF-8) to ``path``, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: PathLike, value: Any) -> None:
    """Write ``value`` as indented JSON to ``path``, whole or not at all (NaN is refused)."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
