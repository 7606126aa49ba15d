"""What is asked of a study: how much of it, on which files, by what; how times are worded."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cistransfer.errors import InputError, nearest
from cistransfer.storage import fingerprint, read_json, write_json
from cistransfer.studies.schema import Study, Value
from cistransfer.studies.store import Store

__all__ = [
    "Asked",
    "as_listed",
    "bytes_of",
    "digests_of",
    "duration",
    "find_files",
    "seconds_of",
    "values_of",
]

PathLike = str | os.PathLike[str]
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZES = {"M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class Asked:
    """How much of a study, on what and how.

    Attributes
    ----------
    data : path, optional
        Folder in which the study's files lie where it says.
    files : mapping of str to path
        Files by name, instead.
    axes : mapping of str to sequence
        Values instead of the declared ones. A number of TFs means the first; of draws, so many.
    strategies : sequence of str
        By default all.
    engine : {"local", "here", "ray"}
    jobs : int, optional
        Processes of ``local`` [default: all cores].
    memory : int, optional
        Bytes for them together [default: nine tenths of what is free].
    address, gpus
        Of ``ray``.
    budget : float, optional
        Seconds after which no trial begins that would not end within them.
    shard : tuple of int, optional
        ``(I, N)``: every N-th trial from the I-th, counted from 1.
    inputs_only : bool
        Only what the trials read: trunks and example sets.
    again : bool
        Try once more what failed.
    stack : int, optional
        How many trials whose networks are of one form are trained as one network, at most
        [default: 32 on a GPU, 1 elsewhere].
    device, precision : str
    """

    data: PathLike | None = None
    files: Mapping[str, PathLike] = field(default_factory=dict)
    axes: Mapping[str, Sequence[Value] | int] = field(default_factory=dict)
    strategies: Sequence[str] = ()
    engine: str = "local"
    jobs: int | None = None
    memory: int | None = None
    address: str = "auto"
    gpus: float = 0.0
    budget: float | None = None
    shard: tuple[int, int] | None = None
    inputs_only: bool = False
    again: bool = False
    stack: int | None = None
    device: str = "auto"
    precision: str = "auto"


def values_of(declared: Study, axis: str, wanted: Sequence[Value] | int) -> list[Value]:
    """Values of an axis: those named, by the declared ones where they are the same."""
    if axis not in declared.axes:
        raise InputError(f"{declared.name}: no axis {axis!r}; {nearest(axis, declared.axes)}")
    known = declared.axes[axis].values
    if not isinstance(wanted, int) and len(wanted) == 1:
        wanted = declared.axes[axis].named.get(str(wanted[0]), wanted)
    if isinstance(wanted, int):
        if wanted < 1:
            raise InputError(f"{axis}: expected at least one value, found {wanted}")
        first = _counted_from(known)
        return list(known[:wanted] if first is None else range(first, first + wanted))
    by_text: dict[str, Value] = {str(value): value for value in known}
    if declared.axes[axis].listed:
        for value in wanted:
            if str(value) not in by_text:
                known_texts = nearest(str(value), by_text)
                raise InputError(f"{declared.name}: no {axis} {value!r}; {known_texts}")
    found = [by_text.get(str(value), _number(value)) for value in wanted]
    if not found:
        raise InputError(f"{axis}: expected at least one value, found none")
    return list(dict.fromkeys(found))


def as_listed(declared: Study, paths: Mapping[str, Path]) -> Study:
    """A study whose axes have the values that its folders of sets list.

    Raises
    ------
    InputError
        For a folder that is not of 'cistransfer accessibility sets'.
    """
    from cistransfer.examples.write_sets import cells_of

    axes = {
        name: axis.model_copy(update={"values": cells_of(paths[axis.listed])})
        if axis.listed in paths
        else axis
        for name, axis in declared.axes.items()
    }
    return declared.model_copy(update={"axes": axes})


def _counted_from(values: Sequence[Value]) -> int | None:
    """The first of values that are counted (draws, which there can be more of), or None."""
    first = values[0]
    if not isinstance(first, int) or list(values) != list(range(first, first + len(values))):
        return None
    return first if len(values) > 1 or first == 0 else None


def _number(value: Value) -> Value:
    if isinstance(value, str):
        for kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
    return value


def find_files(declared: Study, asked: Asked, beside: Path | None) -> dict[str, Path]:
    """Where each file of a study lies.

    Raises
    ------
    InputError
        For a file that has to be given and is not, or is not there, and one that the study lacks.
    """
    from cistransfer.models.bundle import shipped_trunks
    from cistransfer.models.hub import is_hub

    for name in asked.files:
        if name not in declared.files:
            raise InputError(f"{declared.name}: no file {name!r}; {nearest(name, declared.files)}")
    found: dict[str, Path] = {}
    for name, given in declared.files.items():
        if name in asked.files:
            path = Path(asked.files[name])
        elif given.path is not None:
            base = Path(asked.data) if asked.data is not None else beside or Path()
            path = base / given.path
            if given.optional and not path.exists() and given.path not in shipped_trunks():
                continue
        elif given.optional:
            continue
        else:
            raise InputError(
                f"{declared.name}: needs {name} ({given.help.rstrip('.')}); give it with --file "
                f"{name}=PATH"
            )
        named = str(asked.files.get(name, given.path))
        if not path.exists():
            if named in shipped_trunks() or is_hub(named):
                from cistransfer.models.bundle import find_bundle

                path = find_bundle(named)
            else:
                raise InputError(f"{path}: no such file or folder ({name} of {declared.name})")
        if (path / "bundle" / "card.json").is_file():
            path = path / "bundle"
        found[name] = path
    return found


def digests_of(store: Store, paths: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of every file, read again only where size or time changed."""
    record = store.folder / "files.json"
    before = read_json(record, dict) if record.is_file() else {}
    now: dict[str, Any] = {}
    for name, path in paths.items():
        stamps = [
            [each.relative_to(path).as_posix(), each.stat().st_size, each.stat().st_mtime_ns]
            for each in _contents(path)
        ]
        known = before.get(name, {})
        place = str(path.absolute())
        if known.get("path") == place and known.get("stamps") == stamps:
            now[name] = known
            continue
        now[name] = {"path": place, "stamps": stamps, "sha256": _digest(path)}
    if now != before and store.record.is_file():
        write_json(record, {**before, **now})
    return {name: each["sha256"] for name, each in now.items()}


def _contents(path: Path) -> list[Path]:
    """The files of a folder, or the one; without indices and what is hidden."""
    if not path.is_dir():
        return [path]
    return sorted(
        each
        for each in path.rglob("*")
        if each.is_file()
        and each.suffix not in (".fai", ".gzi")
        and not any(part.startswith(".") for part in each.relative_to(path).parts)
    )


def _digest(path: Path) -> str:
    """Of a file, or of a folder's files and their names."""
    if not path.is_dir():
        return fingerprint(path).removeprefix("sha256:")
    whole = hashlib.sha256()
    for each in _contents(path):
        whole.update(f"{each.relative_to(path).as_posix()} {fingerprint(each)}\n".encode())
    return whole.hexdigest()


def duration(seconds: float) -> str:
    """A time in words.

    >>> duration(42), duration(400), duration(9000)
    ('42 s', '7 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def seconds_of(text: str) -> float:
    """Read ``30m``, ``2h``, ``90``."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", text)
    if match is None:
        raise InputError(f"--budget: expected a time such as 30m or 2h, found {text!r}")
    return float(match[1]) * _UNITS[match[2] or "s"]


def bytes_of(text: str) -> int:
    """Read ``8G``, ``500M``."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([MGT])i?B?\s*", text)
    if match is None:
        raise InputError(f"--memory: expected a size such as 8G, found {text!r}")
    return int(float(match[1]) * _SIZES[match[2]])
