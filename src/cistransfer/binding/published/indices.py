"""The published index files: gzip pickles of plain dicts, read without running anything."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import re
from collections.abc import Mapping
from typing import Any

from cistransfer.errors import InputError, shown
from cistransfer.genome.intervals import MAX_POSITION
from cistransfer.storage import open_bytes, safe_name, whole_file

__all__ = ["published_name", "read_index", "read_region_index", "write_index"]


_MAX_BYTES = 1 << 27  # six million regions; the published index has 1.8
_PLAIN = re.compile(
    rb"(?:[()}\]dtusela012N\x85-\x89\x94]|\x80.|\x95.{8}|K.|M..|J.{4}|h.|j.{4}|q.|r..[\0-\x7f]\0|"
    rb"[pg]\d{1,7}\n|[IL]-?\d{1,20}L?\n|G.{8}|V[^\n]*\n|c[^\n]*\n[^\n]*\n|R|\x93){1,1000}",
    re.DOTALL,
)
"""Opcodes of one size, or a line. Names and calls are refused where they are run, by name."""
_SIZES = {b"\x8c": 1, b"X": 4, b"\x8a": 1, b"C": 1, b"U": 1}
"""Opcodes that say in so many bytes how many follow: texts, and whole numbers of 255 bytes."""
_DAMAGE = (
    *(pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError, TypeError),
    *(OverflowError, AttributeError, MemoryError, RecursionError),
)


def published_name(name: str) -> str:
    """A TF or cell as the published file names have it: blank → ``_``, slash → ``-``."""
    return safe_name(name.replace(" ", "_").replace("/", "-"))


class _Plain(pickle.Unpickler):
    """An unpickler that knows no class and no function: nothing but builtin values can load."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to objects outside the file")


def _load(path: str | os.PathLike[str]) -> dict[Any, Any]:
    try:
        with open_bytes(path) as handle:
            raw = handle.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise InputError(f"{path}: expected an index of at most {_MAX_BYTES:,} bytes")
        _check_opcodes(raw)
        content = _Plain(io.BytesIO(raw)).load()
    except _DAMAGE as error:
        raise InputError(
            f"{path}: refused: an index may hold nothing but dict, str, int and tuple "
            f"({shown(error)})"
        ) from error
    if type(content) is not dict:
        raise InputError(f"{path}: expected an index (a dict), found {type(content).__name__}")
    return content


def _check_opcodes(raw: bytes) -> None:
    """Refuse what no plain dict needs, before it is run: a place in the memo that is not the next
    has the unpickler make room up to there, which four bytes can say for 32 GB.
    """
    at = 0
    while raw[at : at + 1] not in (b"", b"."):
        if run := _PLAIN.match(raw, at):
            at = run.end()
        elif (size := _SIZES.get(raw[at : at + 1])) is not None:
            at += 1 + size + int.from_bytes(raw[at + 1 : at + 1 + size], "little")
        else:
            raise pickle.UnpicklingError(f"the opcode {raw[at : at + 1]!r} at byte {at:,}")


def _check(path: str | os.PathLike[str], content: dict[Any, Any], good_key: Any, kind: str) -> None:
    for key, value in content.items():
        if not good_key(key) or type(value) is not int:
            raise InputError(
                f"{path}: refused: expected {kind} → int and nothing else, found "
                f"{str(key)[:40]!r} → {str(value)[:40]!r}"
            )
    if sorted(content.values()) != list(range(len(content))):
        raise InputError(f"{path}: expected the numbers 0 to {len(content) - 1}, each once")


def read_index(path: str | os.PathLike[str]) -> dict[str, int]:
    """Read ``samples_idx`` or ``tfs_idx``: name → 0, 1, ….

    Raises
    ------
    InputError
        When the pickle holds, or would make, anything but dict, str and int.
    """
    content = _load(path)
    _check(path, content, lambda key: type(key) is str, "str")
    return content


def read_region_index(path: str | os.PathLike[str]) -> dict[tuple[str, int, int], int]:
    """Read ``regions_idx``: (chrom, start, end) → 0, 1, …; refuses anything else."""
    content = _load(path)
    _check(path, content, _is_region, "(str, int, int)")
    return content


def _is_region(key: Any) -> bool:
    return (
        type(key) is tuple and len(key) == 3 and type(key[0]) is str
        and type(key[1]) is int and type(key[2]) is int and 0 <= key[1] < key[2] <= MAX_POSITION
    )  # fmt: skip


def write_index(path: str | os.PathLike[str], index: Mapping[Any, int]) -> None:
    """Write a plain dict as the published code wrote its indices (gzip pickle, protocol 4)."""
    with (
        whole_file(path) as temporary,
        open(temporary, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as handle,
    ):
        pickle.dump(dict(index), handle, protocol=4)
