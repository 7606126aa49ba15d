"""The HDF5 file of a binding matrix: its layout, writing it, and what it was made from."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from isal import isal_zlib
from numpy.typing import NDArray

import cistransfer
from cistransfer.cpus import as_done
from cistransfer.errors import InputError, MachineError, is_fault
from cistransfer.genome.intervals import chrom_codes, chrom_runs
from cistransfer.storage import fingerprint, whole_file
from cistransfer.storage.reading import unreadable

__all__ = [
    "BOTH",
    "FORMAT",
    "FORMAT_VERSION",
    "PEAK",
    "TFBS",
    "MatrixFile",
    "MatrixParts",
    "changed_inputs",
    "content_hash",
    "hash_of_ids",
    "hash_of_names",
    "narrowed",
    "open_file",
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
            runs, code, names = chrom_runs(values.to_numpy(object))
            digest.update(json.dumps([list(names[code]), runs.tolist()]).encode())
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
    for what, count in (
        ("region", len(parts.regions)),
        ("cell", len(parts.cells)),
        ("experiment", len(parts.experiments)),
    ):
        if count == 0:
            raise InputError(f"{path}: a binding matrix needs at least one {what}, found none")
    # HDF5 does not survive a full disk: the file is made in memory, and Python writes it.
    with whole_file(path) as temporary, open(temporary, "wb") as out:
        out.write(_image(parts))


def _image(parts: MatrixParts) -> bytes:
    """The bytes of a matrix file."""
    import h5py

    regions = parts.regions
    codes, chroms = chrom_codes(regions["chrom"].to_numpy(object))
    text = h5py.string_dtype()
    with (
        ThreadPoolExecutor(1) as beside,
        h5py.File("matrix", "w", driver="core", backing_store=False, block_size=1 << 22) as file,
    ):
        said = beside.submit(content_hash, parts)

        def put(name: str, data: Any, dtype: Any, chunk: int = _CHUNK) -> None:
            if dtype is text:
                for each in data:
                    if "\0" in each:
                        raise InputError(f"a name cannot hold the character NUL, found {each!r}")
                file.create_dataset(name, data=data, dtype=text)
                return
            array = narrowed(np.asarray(data), dtype)
            if not len(array):
                file.create_dataset(name, data=array, dtype=dtype)
                return
            width = min(chunk, array.shape[-1])
            made = file.create_dataset(
                name,
                shape=array.shape,
                dtype=dtype,
                chunks=(1, width) if array.ndim == 2 else (width,),
                compression="gzip",
                compression_opts=1,
                shuffle=np.dtype(dtype).itemsize > 1,
                fletcher32=True,
            )
            _fill(made, array)

        start = regions["start"].to_numpy()
        width = regions["end"].to_numpy() - start
        put("regions/chroms", [str(chrom) for chrom in chroms], text)
        put("regions/chrom", codes, np.uint16 if len(chroms) <= 1 << 16 else np.uint32)
        for name, values in (("start", start), ("width", width)):
            put(f"regions/{name}", values, np.int32 if values.max() < 1 << 31 else np.int64)
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
        settings, inputs = json.dumps(parts.settings, sort_keys=True), json.dumps(parts.inputs)
        tf, cell, accessions = (
            list(parts.experiments[name]) for name in ("tf", "cell", "accessions")
        )
        header: dict[str, str | int] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "cistransfer": cistransfer.__version__,
            "content_hash": said.result(),
            "settings": settings,
            "inputs": inputs,
            "n_regions": len(regions),
            "ids_hash": hash_of_ids(parts.region_ids),
            "names_hash": hash_of_names(
                list(chroms), parts.cells, tf, cell, accessions, settings, inputs
            ),
        }
        for key, value in header.items():
            file.attrs[key] = _in_place(value)
        file.flush()
        return bytes(file.id.get_file_image())


def _fill(data: Any, array: NDArray[Any]) -> None:
    """Write an array block by block, packed as the filters of HDF5 do, in a tenth of their time."""
    import h5py

    blank = np.zeros(data.chunks, array.dtype)
    made = data.id.get_create_plist()
    filters = [made.get_filter(i)[0] for i in range(made.get_nfilters())]
    pack = {
        h5py.h5z.FILTER_SHUFFLE: lambda held: _shuffled(held, array.dtype.itemsize),
        h5py.h5z.FILTER_DEFLATE: lambda held: isal_zlib.compress(held, 1),
        h5py.h5z.FILTER_FLETCHER32: lambda held: held + _fletcher32(held).to_bytes(4, "little"),
    }

    def packed(place: tuple[int, ...]) -> bytes:
        part = array[tuple(map(slice, place, np.add(place, data.chunks)))]
        block = blank.copy()  # the last one reaches beyond the array
        block[tuple(map(slice, part.shape))] = part
        held = block.tobytes()
        for each in filters:
            held = pack[each](held)
        return held

    places = list(itertools.product(*map(range, (0,) * array.ndim, array.shape, data.chunks)))
    for place, held in zip(places, as_done(packed, places), strict=True):
        data.id.write_direct_chunk(place, held)


def _shuffled(held: bytes, size: int) -> bytes:
    """The first bytes of all numbers, then the second ones …"""
    return np.frombuffer(held, np.uint8).reshape(-1, size).T.tobytes()


def _fletcher32(held: bytes) -> int:
    """HDF5's checksum: of words of two bytes, high byte first, which are summed modulo 65,535."""
    words = np.frombuffer(held + b"\0" * (len(held) % 2), ">u2").astype(np.int64)
    sums = int(words.sum()), int(words @ np.arange(len(words), 0, -1))
    low, high = ((each - 1) % 65535 + 1 if each else 0 for each in sums)
    return high << 16 | low


def _in_place(value: str | int) -> Any:
    """A text of a fixed length, which HDF5 keeps where it is named.

    Texts of any length lie in a heap without checksums, and a damaged length there brings the
    library down. What is too long for an attribute stays there.
    """
    if isinstance(value, int) or len(value.encode()) > _MAX_IN_PLACE:
        return value
    return np.bytes_(value.encode())


def narrowed(values: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Values in a narrower integer type; never another number than they were.

    Raises
    ------
    InputError
        When a value does not fit.
    """
    wanted = np.dtype(dtype)
    if wanted.kind in "iu" and len(values):
        room = np.iinfo(wanted)
        low, high = int(values.min()), int(values.max())
        if low < room.min or high > room.max:
            wrong = low if low < room.min else high
            raise InputError(
                f"a binding matrix holds numbers from {room.min} to {room.max:,} there, found "
                f"{wrong:,}"
            )
    return values.astype(wanted, copy=False)


def hash_of_names(*names: Any) -> str:
    """``sha256:<hex>`` of names and settings, which HDF5 does not guard by checksums."""
    words = [part if isinstance(part, str) else [str(name) for name in part] for part in names]
    return "sha256:" + hashlib.sha256(json.dumps(words).encode()).hexdigest()


def hash_of_ids(ids: NDArray[np.int64]) -> str:
    """``sha256:<hex>`` of the regions' names in the source, which the content hash leaves out."""
    return "sha256:" + hashlib.sha256(np.ascontiguousarray(ids, "<i8").tobytes()).hexdigest()


_DAMAGE = (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError, OverflowError)
"""What h5py raises on a damaged file."""

_MAX_NAMES = 1 << 24
_MAX_IN_PLACE = 1 << 15


class MatrixFile:
    """An open matrix file: sizes are compared before anything is read, damage is one line."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path, self._file = path, file

    def damaged(self, why: object) -> InputError:
        """The error for a damaged file."""
        said = " ".join(str(why).split())[:200]
        return InputError(
            f"{self._path}: the matrix file is damaged ({said}); copy it again or build it again"
        )

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if is_fault(error):
                raise MachineError(f"{self._path}: cannot read: {error}") from error
            raise self.damaged(error) from error
        except _DAMAGE as error:
            raise self.damaged(error) from error

    def attribute(self, name: str, kind: type = str) -> Any:
        """One attribute of the file, as text or as a whole number."""
        with self._guarded():
            value = self._file.attrs[name]
            return kind(value.decode() if isinstance(value, bytes) else value)

    def has(self, name: str) -> bool:
        """Whether the file has an attribute."""
        with self._guarded():
            return name in self._file.attrs

    def json(self, name: str, kind: type) -> Any:
        """An attribute that holds a JSON object or list."""
        with self._guarded():
            value = json.loads(self._file.attrs[name])
            if not isinstance(value, kind):
                raise ValueError(f"{name}: expected a {kind.__name__}")
            return value

    def texts(self, name: str, n: int | None = None) -> list[str]:
        """A column of names; ``n`` of them when that is known."""
        with self._guarded():
            data = self._file[name]
            if len(data.shape) != 1 or data.shape[0] > _MAX_NAMES or n not in (None, len(data)):
                raise ValueError(f"{name}: expected {n or 'some'} names, found {data.shape}")
            return [str(each) for each in data.asstr()[:]]

    def numbers(self, name: str, shape: tuple[int, ...], part: slice = slice(None)) -> NDArray[Any]:
        """An array of whole numbers or flags of a known shape, or a part of its first axis."""
        with self._guarded():
            data = self._file[name]
            if data.shape != shape or data.dtype.kind not in "iub" or data.dtype.itemsize > 8:
                raise ValueError(
                    f"{name}: expected {shape} numbers, found {data.shape} of {data.dtype}"
                )
            return np.asarray(data[part])

    def size(self, name: str) -> int:
        """Length of an array."""
        with self._guarded():
            return int(self._file[name].shape[0])


@contextlib.contextmanager
def open_file(path: Path) -> Iterator[MatrixFile]:
    """Open a matrix file for reading, without the locks that some file systems do not have.

    Raises
    ------
    InputError
        When the file is missing, no HDF5 file, not a binding matrix, or of a newer format.
    """
    import h5py

    if not path.is_file():
        found = "found a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: expected a binding matrix, {found}")
    make = "make one with 'cistransfer matrix build'"
    try:
        file = h5py.File(path, "r", locking=False)
    except _DAMAGE as error:
        if isinstance(error, PermissionError) or (isinstance(error, OSError) and is_fault(error)):
            raise unreadable(path, error) from error
        raise InputError(
            f"{path}: not a binding matrix (not a readable HDF5 file, or cut short); {make}"
        ) from error
    with file:
        opened = MatrixFile(path, file)
        if not opened.has("format") or opened.attribute("format") != FORMAT:
            raise InputError(f"{path}: an HDF5 file, but not a binding matrix; {make}")
        version = opened.attribute("format_version", int)
        if version > FORMAT_VERSION:
            raise InputError(
                f"{path}: matrix format {version} is newer than this cistransfer reads "
                f"({FORMAT_VERSION}); update cistransfer"
            )
        yield opened


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
