"""Fingerprints of what a matrix was built from, and whether the files are still the same."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cistransfer.errors import InputError
from cistransfer.storage import fingerprint

__all__ = ["changed_inputs", "record_inputs", "unchanged_since"]


def record_inputs(
    files: Sequence[tuple[str, str | os.PathLike[str]]],
) -> list[dict[str, Any]]:
    """Fingerprint files: role, path, sha256, bytes and mtime_ns of each (named once)."""
    inputs: dict[tuple[str, str], dict[str, Any]] = {}
    for role, path in files:
        place = str(Path(path).resolve())
        if (role, place) in inputs:
            continue
        try:
            stat = os.stat(path)
        except OSError as error:
            raise InputError(f"{path}: no such file") from error
        inputs[role, place] = {
            "role": role,
            "path": place,
            "sha256": fingerprint(path).removeprefix("sha256:"),
            "bytes": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
        }
    return list(inputs.values())


def unchanged_since(inputs: Sequence[Mapping[str, Any]]) -> None:
    """Refuse inputs that were written to while they were read."""
    for record in inputs:
        stat = os.stat(record["path"])
        if (stat.st_size, stat.st_mtime_ns) != (record["bytes"], record["mtime_ns"]):
            raise InputError(f"{record['path']}: the file changed while it was read; start again")


def changed_inputs(inputs: Sequence[Mapping[str, Any]]) -> list[str]:
    """List the recorded files whose content is not what it was, each with the reason.

    A file that is not there any more (the matrix was moved) is not a change. Size and time are
    compared first; a file is only read again where the time differs and the size does not.
    """
    changed = []
    for record in inputs:
        path = record["path"]
        try:
            stat = os.stat(path)
        except OSError:
            continue
        if stat.st_size != record["bytes"]:
            changed.append(
                f"{record['role']} file {path} had {record['bytes']:,} bytes and has "
                f"{stat.st_size:,}"
            )
        elif (
            stat.st_mtime_ns != record["mtime_ns"]
            and fingerprint(path) != "sha256:" + record["sha256"]
        ):
            changed.append(f"{record['role']} file {path} has other content")
    return changed
