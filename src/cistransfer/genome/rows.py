"""Streams of tab-separated rows: a BED-like file of any size, read in blocks of bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.storage import open_bytes

__all__ = ["RowBlock", "RowSource", "refuse_row", "row_head", "stream_rows"]

_HEADERS = (b"#", b"track", b"browser")
_BLOCK_BYTES = 1 << 21
"""Small, because Arrow's reader may run dozens of blocks ahead of what is worked on."""


@dataclass(frozen=True)
class RowSource:
    """Somewhere that rows come from.

    Attributes
    ----------
    label : str
        What to call it in messages.
    open : callable
        Opens its uncompressed bytes from the start; may be called more than once.
    """

    label: str
    open: Callable[[], Any]

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> RowSource:
        """A file or a pipe, compressed or not (told by its first bytes)."""
        return cls(os.fspath(path), lambda: open_bytes(path))


@dataclass(frozen=True)
class RowBlock:
    """Some rows of a stream, as columns.

    Attributes
    ----------
    texts : dict of int → (list of str, ndarray of int32)
        Text columns, dictionary-encoded: the distinct values and each row's index into them.
    numbers : dict of int → ndarray of int64
        Integer columns.
    """

    texts: dict[int, tuple[list[str], NDArray[np.int32]]]
    numbers: dict[int, NDArray[np.int64]]
    rows: int


def stream_rows(
    source: RowSource, texts: tuple[int, ...], numbers: tuple[int, ...], *, empty_ok: bool = False
) -> Iterator[RowBlock]:
    """Read chosen columns of a headerless tab-separated file, block by block.

    Leading comment, ``track`` and ``browser`` lines and blank lines are skipped.

    Parameters
    ----------
    source : RowSource
    texts, numbers : tuple of int
        0-based columns to read as text and as integers.
    empty_ok : bool
        Whether a file without rows is fine (a TFBS file that holds no site) or an error.

    Raises
    ------
    InputError
        For a missing, empty, truncated or malformed file; names the line where it can.
    """
    skip, fields = row_head(source)
    if fields == 0:
        if empty_ok:
            return
        raise InputError(f"{source.label}: expected at least one row, found an empty file")
    needed = max((*texts, *numbers)) + 1
    if fields < needed:
        raise InputError(
            f"{source.label}, line {skip + 1}: expected at least {needed} tab-separated columns, "
            f"found {fields}"
        )
    kinds: dict[str, pa.DataType] = {
        f"f{at}": pa.dictionary(pa.int32(), pa.string()) for at in texts
    }
    kinds |= {f"f{at}": pa.int64() for at in numbers}
    try:
        with source.open() as stream:
            reader = pa.csv.open_csv(
                stream,
                read_options=pa.csv.ReadOptions(
                    block_size=_BLOCK_BYTES, skip_rows=skip, autogenerate_column_names=True
                ),
                parse_options=pa.csv.ParseOptions(delimiter="\t", quote_char=False),
                convert_options=pa.csv.ConvertOptions(
                    column_types=kinds, include_columns=list(kinds), null_values=[]
                ),
            )
            for batch in reader:
                yield _block(batch, texts, numbers)
    except pa.ArrowInvalid as error:
        refuse_row(source, numbers, error=error)
    except (OSError, EOFError) as error:
        raise _cut_short(source, error) from error


def _block(batch: Any, texts: tuple[int, ...], numbers: tuple[int, ...]) -> RowBlock:
    words: dict[int, tuple[list[str], NDArray[np.int32]]] = {}
    for at in texts:
        column = batch.column(f"f{at}")
        codes = column.indices.to_numpy(zero_copy_only=False)
        words[at] = (column.dictionary.to_pylist(), codes)
    values = {at: batch.column(f"f{at}").to_numpy(zero_copy_only=False) for at in numbers}
    return RowBlock(words, values, batch.num_rows)


def row_head(source: RowSource) -> tuple[int, int]:
    """Count the header lines and the columns of the first row (0 when there is none)."""
    skip = 0
    for line in _lines(source):
        if line.strip() and not line.startswith(_HEADERS):
            return skip, line.rstrip(b"\r").count(b"\t") + 1
        skip += 1
    return skip, 0


def refuse_row(
    source: RowSource,
    numbers: tuple[int, ...],
    fault: Callable[[dict[int, int]], str | None] = lambda values: None,
    error: BaseException | None = None,
) -> NoReturn:
    """Find the first row that is wrong and say what is wrong with it; always raises.

    Parameters
    ----------
    source : RowSource
    numbers : tuple of int
        0-based columns that must hold integers.
    fault : callable
        Says what is wrong with the integers of a row (by column), or None.
    error : Exception, optional
        What the parser said.
    """
    fields = 0
    for number, line in enumerate(_lines(source), start=1):
        text = line.rstrip(b"\r").decode("utf-8", "replace")
        if not text.strip() or (not fields and line.startswith(_HEADERS)):
            continue
        where = f"{source.label}, line {number}"
        row = text.split("\t")
        fields = fields or len(row)
        if len(row) != fields:
            raise InputError(
                f"{where}: expected {fields} tab-separated columns like the lines before, found "
                f"{len(row)}: {text[:60]!r}"
            )
        values = {}
        for column in numbers:
            digits = row[column].strip().removeprefix("-")
            if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
                raise InputError(
                    f"{where}: expected an integer in column {column + 1}, found {row[column]!r}"
                )
            values[column] = int(row[column])
        wrong = fault(values)
        if wrong is not None:
            raise InputError(f"{where}: {wrong}")
    said = f" ({_one_line(error)})" if error is not None else ""
    raise InputError(f"{source.label}: not a readable tab-separated file{said}")


def _lines(source: RowSource) -> Iterator[bytes]:
    """Lines of a source, without their ends."""
    held = b""
    try:
        with source.open() as stream:
            while part := stream.read(1 << 18):
                *lines, held = (held + part).split(b"\n")
                yield from lines
            if held:
                yield held
    except (OSError, EOFError) as error:
        raise _cut_short(source, error) from error


def _cut_short(source: RowSource, error: BaseException) -> InputError:
    return InputError(
        f"{source.label}: the gzip file is cut short or damaged ({_one_line(error)}); "
        "copy or download it again"
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
