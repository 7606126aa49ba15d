"""The HDF5 file of a binding matrix: its layout, writing it, and what it was made from."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import cistransfer
from cistransfer.errors import InputError
from cistransfer.storage import fingerprint, whole_file

__all__ = [
    "BOTH",
    "FORMAT",
    "FORMAT_VERSION",
    "PEAK",
    "TFBS",
    "MatrixParts",
    "changed_inputs",
    "record_inputs",
    "unchanged_since",
    "write_matrix",
]

FORMAT = "cistransfer-binding-matrix"
FORMAT_VERSION = 1

PEAK, TFBS, BOTH = 1, 2, 3
"""Kinds of evidence of one experiment in one region: peak only, TFBS only, both."""

_CHUNK = 1 << 16


@dataclass(frozen=True)
class MatrixParts:
    """Everything a matrix file holds, in memory.

    Attributes
    ----------
    regions : DataFrame
        chrom, start, end; sorted by chromosome name, then start; no duplicates.
    region_ids : ndarray of int64
        Names of the regions in the source (the published index), or 0 … n−1.
    cells : list of str
        Sorted.
    accessibility : ndarray of uint8, shape (n_cells, ⌈n_regions/8⌉)
        ``numpy.packbits`` of open (1) or closed (0).
    experiments : DataFrame
        tf, cell, accessions (``;``-joined), peaks, tfbs (bool), peak_rows, tfbs_rows (int64);
        sorted by TF, then cell; one row per TF × cell.
    indptr, region, kind : ndarray
        Evidence as CSR over experiments: int64 (n_experiments + 1), int32 and uint8.
    settings : dict
        name, genome, window and whatever the maker wants to record (JSON values).
    inputs : list of dict
        role, path, sha256, bytes, mtime_ns of every file that was read.
    """

    regions: pd.DataFrame
    region_ids: NDArray[np.int64]
    cells: list[str]
    accessibility: NDArray[np.uint8]
    experiments: pd.DataFrame
    indptr: NDArray[np.int64]
    region: NDArray[np.int32]
    kind: NDArray[np.uint8]
    settings: dict[str, Any]
    inputs: list[dict[str, Any]] = field(default_factory=list)


def content_hash(parts: MatrixParts) -> str:
    """Return ``sha256:<hex>`` of what a matrix says (not of where it came from)."""
    digest = hashlib.sha256()
    digest.update(json.dumps([parts.cells, parts.settings.get("kinds_known", True)]).encode())
    for column in ("chrom", "start", "end"):
        values = parts.regions[column]
        if column == "chrom":
            runs = values[values != values.shift()]
            digest.update(json.dumps([list(runs), [int(at) for at in runs.index]]).encode())
        else:
            digest.update(np.ascontiguousarray(values, dtype="<i8").tobytes())
    for column in ("tf", "cell"):
        digest.update(json.dumps(list(parts.experiments[column])).encode())
    for array, dtype in (
        (parts.accessibility, "u1"),
        (parts.indptr, "<i8"),
        (parts.region, "<i4"),
        (parts.kind, "u1"),
    ):
        digest.update(np.ascontiguousarray(array, dtype=dtype).tobytes())
    return "sha256:" + digest.hexdigest()


def write_matrix(path: str | os.PathLike[str], parts: MatrixParts) -> None:
    """Write a matrix file, whole or not at all.

    Raises
    ------
    InputError
        When there is no region, no cell or no experiment to write, or the place cannot be
        written.
    """
    import h5py

    for what, count in (
        ("region", len(parts.regions)),
        ("cell", len(parts.cells)),
        ("experiment", len(parts.experiments)),
    ):
        if count == 0:
            raise InputError(f"{path}: a binding matrix needs at least one {what}, found none")
    _sweep(Path(path))
    regions = parts.regions
    chroms, codes = np.unique(regions["chrom"].to_numpy(str), return_inverse=True)
    width = (regions["end"] - regions["start"]).to_numpy()
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "cistransfer": cistransfer.__version__,
        "content_hash": content_hash(parts),
        "settings": json.dumps(parts.settings, sort_keys=True),
        "inputs": json.dumps(parts.inputs),
    }
    text = h5py.string_dtype()
    with whole_file(path) as temporary, h5py.File(temporary, "w") as file:
        for key, value in header.items():
            file.attrs[key] = value
        file.attrs["n_regions"] = len(regions)

        def put(name: str, data: Any, dtype: Any, chunk: int = _CHUNK) -> None:
            array = data if dtype is text else np.asarray(data, dtype=dtype)
            options: dict[str, Any] = {}
            if dtype is not text and len(array):
                shape = (min(chunk, array.shape[-1]),)
                options = {
                    "chunks": (1, *shape) if array.ndim == 2 else shape,
                    "compression": "gzip",
                    "compression_opts": 1,
                    "shuffle": np.dtype(dtype).itemsize > 1,
                }
            file.create_dataset(name, data=array, dtype=dtype, **options)

        put("regions/chroms", [str(chrom) for chrom in chroms], text)
        put("regions/chrom", codes, np.uint16)
        put("regions/start", regions["start"].to_numpy(), np.int32)
        put("regions/width", width, np.int32)
        put("regions/id", parts.region_ids, np.int64)
        put("cells", parts.cells, text)
        put("accessibility", parts.accessibility, np.uint8, chunk=1 << 20)
        for column in ("tf", "cell", "accessions"):
            put(f"experiments/{column}", list(parts.experiments[column]), text)
        for column in ("peaks", "tfbs"):
            put(f"experiments/{column}", parts.experiments[column], np.bool_)
        for column in ("peak_rows", "tfbs_rows"):
            put(f"experiments/{column}", parts.experiments[column], np.int64)
        put("evidence/indptr", parts.indptr, np.int64)
        put("evidence/region", parts.region, np.int32)
        put("evidence/kind", parts.kind, np.uint8)


def _sweep(path: Path) -> None:
    """Remove what killed writers of this file left behind (temporary files of an hour ago)."""
    for orphan in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(OSError):
            if orphan.stat().st_mtime < time.time() - 3600:
                orphan.unlink()


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
