"""The one door for each structured format: JSON, TOML, arrays (``.npy``, ``.npz``), tables.

Whatever the bytes are, a reader gets what it asked for or raises an `InputError` of one line. The
sizes that a file claims are compared with the file before anything of that size is made. The limits
are such that no honest file meets them.
"""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
import re
import tarfile
import tomllib
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from cistransfer.errors import InputError, MachineError, is_fault, shown
from cistransfer.storage.reading import open_bytes, open_text, unreadable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "MAX_ROWS",
    "TAR_DAMAGE",
    "ZIP_DAMAGE",
    "npy_header",
    "open_npy",
    "parse_json",
    "read_json",
    "read_npz",
    "read_table",
    "read_toml",
    "read_tsv",
    "shaped",
]

PathLike = str | os.PathLike[str]

MAX_JSON = 1 << 27
"""Bytes of a JSON file; the longest record of a study is a few million."""
MAX_TOML = 1 << 14
"""Bytes of a TOML file; strategies have two thousand."""
MAX_DEPTH = 64
"""Levels of lists and objects in each other; records have eight."""
MAX_DIGITS = 20
"""Of a whole number: 64 bits."""
MAX_ROWS = 1 << 26
"""Rows of a table: the human genome in windows every 50 bp."""
ZIP_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError),
    *(OSError, ValueError, KeyError, IndexError, OverflowError),
)
"""What zipfile raises on a damaged archive: also for offsets before the file's beginning."""
TAR_DAMAGE = (tarfile.TarError, EOFError, ValueError, OverflowError)
"""What tarfile raises on a damaged archive."""
_OTHER_SHAPE = (
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    *(RecursionError, csv.Error),
)
_MAX_CELLS = 1 << 27  # of a table, or 64 for each byte of the file
_VERSIONS = [b"\x93NUMPY" + bytes([version]) for version in (1, 2, 3)]
_NPY = re.compile(
    r"\{'descr': '([<>|=]?[biufS]\d{1,4})', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,15}L?(?:, ?|(?=\))))*)\),? ?\} *\n?"
)


@contextlib.contextmanager
def shaped(where: PathLike, what: str) -> Iterator[None]:
    """Refuse, in one line, what is read in the block and has not the shape that it should have.

    Parameters
    ----------
    where : path
        The file, or folder, that it comes from.
    what : str
        What was expected: ``"the record of a trial"``.
    """
    try:
        yield
    except _OTHER_SHAPE as error:
        said = shown(f"{type(error).__name__}: {error}", 100)
        raise InputError(f"{where}: damaged, or another file: expected {what} ({said})") from error


def read_json(path: PathLike, kind: type = object) -> Any:
    """Read a JSON file.

    Parameters
    ----------
    kind : type
        What its outermost value has to be: dict or list.

    Raises
    ------
    InputError
        When it is missing, malformed or of another kind, deeper than 64 levels, longer than
        128 MB, or holds a whole number of more than 20 digits or one name twice in an object.
    """
    content = parse_json(_text(path, MAX_JSON, "JSON"), str(path))
    if not isinstance(content, kind):
        word = "an object" if kind is dict else "a list"
        raise InputError(f"{path}: expected {word}, found {type(content).__name__}")
    return content


def parse_json(text: str, where: str) -> Any:
    """Read JSON from text; see `read_json`."""
    try:
        content = json.loads(text, parse_int=_whole, object_pairs_hook=_object)
        _check_depth(content)
    except RecursionError as error:
        raise InputError(f"{where}: not valid JSON: nested too deeply") from error
    except ValueError as error:
        raise InputError(f"{where}: not valid JSON: {error}") from error
    return content


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS + 1:
        raise ValueError(f"a whole number of {len(digits):,} digits")
    return int(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError(f"{_twice(name for name, _ in pairs)} is there twice")
    return content


def _twice(names: Iterable[str]) -> str:
    """A name that is there more than once, quoted; nothing where all differ."""
    return next((repr(shown(name)) for name, n in Counter(names).items() if n > 1), "")


def _check_depth(content: Any) -> None:
    level = [content]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
            if isinstance(item, dict | list)
        ]
        if not level:
            return
    raise RecursionError


def read_toml(path: PathLike, most: int = MAX_TOML) -> dict[str, Any]:
    """Read a TOML file of at most so many bytes.

    Raises
    ------
    InputError
        When it is missing, malformed, nested too deeply or longer.
    """
    try:
        content = tomllib.loads(_text(path, most, "TOML"))
        _check_depth(content)
    except RecursionError as error:
        raise InputError(f"{path}: not valid TOML: nested too deeply") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid TOML: {shown(error, 200)}") from error
    return content


def _text(path: PathLike, most: int, what: str) -> str:
    with open_bytes(path) as stream:
        raw = stream.read(most + 1)
    if len(raw) > most:
        raise InputError(f"{path}: expected {what} of at most {most:,} bytes, found more")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not valid {what}: {error.reason}") from error


# Arrays ------------------------------------------------------------------------------------------


def npy_header(stream: IO[bytes], where: PathLike) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array as NumPy writes it; the stream then stands at its values.

    Returns
    -------
    (shape, fortran order, dtype)

    Raises
    ------
    InputError
        When it is none, or of Python objects, fields or text.
    """
    import numpy as np

    magic = stream.read(8)
    long = magic[6:7] != b"\x01"  # versions 1.0, and 2.0 or 3.0
    size = int.from_bytes(stream.read(4 if long else 2), "little")
    text = stream.read(size).decode("latin-1") if size <= 10_000 else ""
    match = _NPY.fullmatch(text)
    if magic[:7] not in _VERSIONS or magic[7:] != b"\0" or len(text) < size or not match:
        raise InputError(f"{where}: damaged, or no array of numbers (.npy)")
    shape = tuple(int(part.strip(" L")) for part in match[3].split(",") if part.strip())
    try:
        dtype = np.dtype(match[1])
    except TypeError as error:
        raise InputError(f"{where}: an array of unknown type {match[1]!r}") from error
    return shape, match[2] == "True", dtype


def open_npy(
    path: PathLike, dtype: type[np.generic], shape: tuple[int | None, ...]
) -> NDArray[Any]:
    """Open an array file, mapped into memory, read-only.

    Parameters
    ----------
    shape : tuple
        Sizes that are known; None where any will do.

    Raises
    ------
    InputError
        When the file is missing or damaged, or the array has another type or shape, or the file
        is not as long as they say.
    """
    import numpy as np

    try:
        with open(path, "rb") as stream:
            found, fortran, kind = npy_header(stream, path)
            start, total = stream.tell(), os.fstat(stream.fileno()).st_size
            fits = len(found) == len(shape) and all(
                want in (None, have) for want, have in zip(shape, found, strict=True)
            )
            if kind != np.dtype(dtype) or fortran or not fits:
                sizes = " × ".join("any" if size is None else f"{size:,}" for size in shape)
                raise InputError(
                    f"{path}: expected {np.dtype(dtype)} of {sizes}, found {kind} of "
                    f"{' × '.join(f'{size:,}' for size in found)}"
                )
            if total != start + math.prod(found) * kind.itemsize:
                raise InputError(
                    f"{path}: damaged: {total:,} bytes, expected "
                    f"{start + math.prod(found) * kind.itemsize:,}"
                )
            if not math.prod(found):
                return np.zeros(found, kind)
            return np.memmap(stream, kind, "r", start, found)
    except OSError as error:
        raise unreadable(path, error) from error


def read_npz(path: PathLike, dtypes: Mapping[str, type[np.generic]]) -> dict[str, NDArray[Any]]:
    """Read some arrays of an archive that `numpy.savez` wrote.

    Parameters
    ----------
    dtypes : mapping
        Which arrays, and what their numbers are at least: ``np.integer``, ``np.floating`` ….

    Raises
    ------
    InputError
        When the file is missing or damaged, lacks an array or has it of another type, or an array
        is not as long as its header says.
    """
    import numpy as np

    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name, kind in dtypes.items():
                entry = archive.getinfo(f"{name}.npy")
                if entry.file_size > max(_MAX_CELLS, 64 * entry.compress_size):
                    raise ValueError(f"{name}: {entry.file_size:,} bytes")
                with archive.open(entry) as stream:
                    shape, fortran, dtype = npy_header(stream, path)
                    raw = stream.read()
                if not np.issubdtype(dtype, kind):
                    raise TypeError(f"{name}: {dtype}")
                order: Literal["F", "C"] = "F" if fortran else "C"
                found[name] = np.frombuffer(raw, dtype).reshape(shape, order=order)
    except (*ZIP_DAMAGE, TypeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise unreadable(path, error) from error
        raise InputError(f"{path}: damaged, or no arrays (.npz): {shown(error, 200)}") from error
    return found


# Tables ------------------------------------------------------------------------------------------


def read_tsv(path: PathLike, numbers: Iterable[str] = (), texts: Iterable[str] = ()) -> Any:
    """Read a table of ours (TSV) as a DataFrame.

    Parameters
    ----------
    numbers, texts : iterable of str
        Columns that it has to have; a number may be missing. Of others pandas tells the type.

    Raises
    ------
    InputError
        When it is missing or malformed, lacks a column, has it twice or of another type.
    """
    import pandas as pd

    numbers, texts = list(numbers), list(texts)
    words: dict[Any, Any] = dict.fromkeys(texts, str)
    with shaped(path, "a table of ours"):
        with open_text(path) as handle:
            rows = csv.reader(handle, delimiter="\t")
            head = next(rows, [])
            long = next((n for n, row in enumerate(rows, start=1) if len(row) > len(head)), None)
        if long is not None:
            raise ValueError(f"row {long:,} has more than {len(head)} columns")
        if twice := _twice(head):
            raise ValueError(f"column {twice} is there twice")
        blank = {name: ["", "nan", "NaN", "NA"] for name in head if name not in texts}
        with open_text(path) as handle:
            table = pd.read_csv(
                handle, sep="\t", dtype=words, low_memory=False, index_col=False,
                keep_default_na=False, na_values=blank,
            )  # fmt: skip
        for name in (*numbers, *texts):
            if name not in table:
                raise ValueError(f"lacks the column {name!r}")
        for name in numbers:
            table[name] = pd.to_numeric(table[name])
    return table


def read_table(path: PathLike, columns: Iterable[str] = (), rows: int | None = None) -> Any:
    """Read a Parquet file as a DataFrame.

    Parameters
    ----------
    columns : iterable of str
        Which it has to have; others are read as well.
    rows : int, optional
        How many it has to have.

    Raises
    ------
    InputError
        When it is missing or damaged, lacks a column or has one twice, has another number of rows,
        more than 67 million of them, or more cells than a file of its size holds.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = Path(path)
    if not place.is_file():
        raise unreadable(path, FileNotFoundError())
    try:
        with pq.ParquetFile(place, thrift_string_size_limit=1 << 27) as file:
            said = file.metadata
            n, names = said.num_rows, set(file.schema_arrow.names)
            if twice := _twice(file.schema_arrow.names):
                raise ValueError(f"column {twice} is there twice")
            cells = n * said.num_columns
            _check_table(path, columns, rows, n, names)
            if not 0 <= cells <= max(_MAX_CELLS, 64 * place.stat().st_size) or n > MAX_ROWS:
                raise InputError(
                    f"{path}: {n:,} rows of {said.num_columns:,} columns in "
                    f"{place.stat().st_size:,} bytes: more than this file can hold"
                )
            table = file.read()
            if table.num_rows != n:
                raise ValueError(f"{table.num_rows:,} rows, not {n:,}")
            return table.to_pandas(ignore_metadata=True)
    except OSError as error:
        if error.errno is not None and is_fault(error):
            raise MachineError(f"{path}: cannot read: {error.strerror}") from error
        raise InputError(f"{path}: damaged, or no Parquet file: {shown(error, 200)}") from error
    except (pa.ArrowException, ValueError, KeyError, TypeError, MemoryError) as error:
        raise InputError(f"{path}: damaged, or no Parquet file: {shown(error, 200)}") from error


def _check_table(
    path: PathLike, columns: Iterable[str], rows: int | None, n: int, names: set[str]
) -> None:
    lacking = [name for name in columns if name not in names]
    if lacking:
        found = ", ".join(sorted(names)[:8])
        raise InputError(f"{path}: lacks the column {lacking[0]!r}; it has: {shown(found, 200)}")
    if rows is not None and n != rows:
        raise InputError(f"{path}: expected {rows:,} rows, found {n:,}")
