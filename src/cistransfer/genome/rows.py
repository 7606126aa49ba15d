"""Rows of tab-separated text of any size, from a file or a pipe that is read once, in blocks.

A block that is plain (tabs, whole numbers, no comment) is parsed by Arrow as it is. One that is
not is first made plain line by line, and that is also where a bad line is found and named.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from cistransfer.cpus import ahead
from cistransfer.errors import InputError
from cistransfer.storage import open_bytes
from cistransfer.storage.reading import binary_kind

__all__ = [
    "BLANK",
    "UNKNOWN",
    "Head",
    "RowBlock",
    "RowSource",
    "Rows",
    "open_rows",
    "quoted",
    "read_columns",
    "whole_number",
]


BLANK = frozenset(("", ".", "NA", "NaN", "nan", "NULL", "None"))
UNKNOWN = " summit"
"""Numbers that may be blank, and are −1 then."""
COMMENT = re.compile(r"#|(?:track|browser)(?:\s|$)")
_BLOCK_BYTES = 1 << 21
_MAX_HEAD = 1 << 25  # bytes of comments and blank lines before the first row
_MAX_LINE = 1 << 26
_SAMPLE = 200
_PEEK = 1 << 14


def quoted(text: str) -> str:
    """Quote what was found for a message: at most 60 characters of it."""
    return repr(text if len(text) <= 60 else text[:59] + "…")


def whole_number(text: str) -> int | None:
    """Read an integer as people's tools write it (``100000``, ``1e+05``, ``100000.0``)."""
    if text.isdigit() and text.isascii():
        return int(text) if len(text) < 19 else None
    text = text.strip()
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit():
        return int(text) if len(digits) < 19 else None
    if not re.fullmatch(r"[+-]?\d+(\.\d*)?([eE][+-]?\d{1,2})?", text):
        return None
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else None


@dataclass(frozen=True)
class RowSource:
    """Somewhere that rows come from.

    Attributes
    ----------
    label : str
        What to call it in messages.
    open : callable
        Opens its uncompressed bytes, to be read once from the start.
    """

    label: str
    open: Callable[[], contextlib.AbstractContextManager[Any]]

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> RowSource:
        """A file or pipe, plain or compressed (told by its first bytes)."""
        return cls(str(path), lambda: open_bytes(path))


@dataclass(frozen=True)
class Head:
    """What the first rows of a file look like.

    Attributes
    ----------
    comments : list of str
        Comment, ``track`` and ``browser`` lines before the first row.
    header : list of str or None
        Column names, where a line holds them.
    separator : {"\\t", ",", ";", " "}
        A space stands for any white space.
    quotes : bool
        Whether fields are in double quotes.
    sample : list of list of str
        The fields of the first rows; empty when there is no row.
    line : int
        Number of the first row's line.
    """

    label: str
    comments: list[str]
    header: list[str] | None
    separator: str
    quotes: bool
    sample: list[list[str]]
    line: int

    @property
    def fields(self) -> int:
        """Columns of the first row."""
        return len(self.sample[0]) if self.sample else 0


@dataclass(frozen=True)
class RowBlock:
    """Some rows of a stream, as columns.

    Attributes
    ----------
    texts : dict of int → (list of str, ndarray of int32)
        Text columns, dictionary-encoded: the distinct values and each row's index into them.
    numbers : dict of int → ndarray of int64
    strings : dict of int → pyarrow.Array
        Text columns as they are.
    comments, longer : int
        Comment lines left out, rows with more columns than the first (which are cut).
    """

    texts: dict[int, tuple[list[str], NDArray[np.int32]]]
    numbers: dict[int, NDArray[np.int64]]
    strings: dict[int, pa.Array]
    rows: int
    comments: int
    longer: int
    _where: Callable[[int], str]

    def where(self, bad: NDArray[np.bool_]) -> tuple[int, str]:
        """The first row that is bad, and its file and line for a message."""
        row = int(np.flatnonzero(bad)[0])
        return row, self._where(row)


class Rows:
    """An opened stream of rows whose head has been looked at (see `open_rows`)."""

    def __init__(self, head: Head, first: bytes, rest: Generator[bytes, None, None]) -> None:
        self.head = head
        self._first, self._rest = first, rest

    def blocks(
        self,
        texts: Sequence[int],
        numbers: Mapping[int, str],
        strings: Sequence[int] = (),
    ) -> Generator[RowBlock, None, None]:
        """Read chosen columns (0-based), block by block; can be called once.

        The threads that read ahead end with it: close it where it is not read to its end.

        Parameters
        ----------
        texts, strings : sequence of int
            Columns of text: dictionary-encoded, or as they are.
        numbers : mapping of int → str
            Columns of integers and what they are, for messages (" start", or ""). What is
            `UNKNOWN` may be blank.

        Raises
        ------
        InputError
            For a truncated or malformed file; names the line.
        """
        if self.head.sample:
            reader = _BlockReader(self.head, tuple(texts), dict(numbers), tuple(strings))
            second = next(self._rest, None)
            if second is None:  # a small file is not worth a thread
                yield from reader.read(self._first, iter(()))
            else:
                with ahead(self._parsed(reader, second)) as blocks:  # parsed by one thread
                    yield from blocks

    def _parsed(self, reader: _BlockReader, second: bytes) -> Generator[RowBlock, None, None]:
        with ahead(self._rest) as rest:  # unpacked by another
            yield from reader.read(self._first, itertools.chain([second], rest))


@contextlib.contextmanager
def open_rows(source: RowSource, is_header: Callable[[list[str]], bool]) -> Iterator[Rows]:
    """Open a stream of rows and look at its first ones.

    Parameters
    ----------
    is_header : callable
        Whether a line's fields are the names of columns.
    """
    with source.open() as stream:
        blocks = _cut(source.label, stream)
        first = b""
        for block in blocks:
            first += block
            head, skip = _look(source.label, first, is_header)
            if head.sample:
                break
            if len(first) > _MAX_HEAD:
                raise InputError(
                    f"{source.label}: expected rows, found {len(first):,} bytes of none"
                )
        else:
            head, skip = Head(source.label, [], None, "\t", False, [], 1), 0
        yield Rows(head, first[skip:], blocks)


def read_columns(
    source: RowSource, texts: Sequence[int], numbers: Sequence[int], strings: Sequence[int] = ()
) -> Iterator[RowBlock]:
    """Read columns (0-based) of a tab-separated file without a header, block by block.

    Raises
    ------
    InputError
        For a missing, empty, truncated or malformed file; names the line.
    """
    needed = max(*texts, *numbers, *strings) + 1
    with open_rows(source, lambda fields: False) as rows:
        head = rows.head
        if not head.sample:
            raise InputError(f"{source.label}: expected at least one row, found an empty file")
        if head.fields < needed:
            raise InputError(
                f"{source.label}, line {head.line}: expected at least {needed} tab-separated "
                f"columns, found {head.fields}"
            )
        yield from rows.blocks(texts, dict.fromkeys(numbers, ""), strings)


def _cut(label: str, stream: Any) -> Generator[bytes, None, None]:
    """Blocks of whole lines."""
    held = b""
    begun = False
    while True:
        try:
            part = stream.read(_BLOCK_BYTES)
        except (OSError, EOFError) as error:
            said = " ".join(str(error).split())[:200]
            raise InputError(
                f"{label}: the gzip file is cut short or damaged ({said}); "
                "copy or download it again"
            ) from error
        if not part:
            break
        if not begun:
            begun = True
            if part.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise InputError(f"{label}: expected UTF-8 text, found UTF-16; save it as UTF-8")
            if b"\x00" in part[:4096]:
                raise InputError(f"{label}: expected text, found {binary_kind(part)}")
            part = part.removeprefix(b"\xef\xbb\xbf")
        if end := part.rfind(b"\n") + 1:
            yield b"".join((held, memoryview(part)[:end]))
            held = part[end:]
            continue
        held += part
        if end := held.rfind(b"\r", 0, len(held) - 1) + 1:
            yield held[:end]
            held = held[end:]
        elif len(held) > _MAX_LINE:
            raise InputError(f"{label}: expected lines, found {len(held):,} bytes without an end")
    if held:
        yield held


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _look(label: str, first: bytes, is_header: Callable[[list[str]], bool]) -> tuple[Head, int]:
    """The head of a file, and the number of bytes before its first row."""
    comments: list[str] = []
    sample: list[list[str]] = []
    header: list[str] | None = None
    separator, quotes = "\t", False
    at, skip, line = 0, 0, 0
    lines = _first_lines(first)
    for number, raw in enumerate(lines, start=1):
        text = _decoded(raw).rstrip("\r\n")
        at += len(raw)
        if not text.strip():
            continue
        if COMMENT.match(text):
            if header is None:
                comments.append(text)
            continue
        if header is None:
            separator = _separator(text)
            quotes = '"' in text and _is_quoted(text, separator)
            fields = split_line(text, separator, quotes)
            if is_header(fields):
                header = fields
                continue
        # A header may be quoted where the rows are not, and the other way round.
        quotes = quotes or ('"' in text and _is_quoted(text, separator))
        skip, line = at - len(raw), number
        sample.append(split_line(text, separator, quotes))
        break
    while len(sample) < _SAMPLE and (some := list(itertools.islice(lines, _SAMPLE - len(sample)))):
        rows = _row_texts(some)
        if separator == "\t" and not quotes:
            sample += [text.split("\t") for text in rows]
        else:
            sample += [split_line(text, separator, quotes) for text in rows]
    if sample and header is None and comments:
        names = split_line(comments[-1].lstrip("# "), separator, quotes)
        if is_header(names) and len(names) == len(sample[0]):
            header = names
    return Head(label, comments, header, separator, quotes, sample, line), skip


def _row_texts(lines: list[bytes]) -> list[str]:
    """Those of some lines that are neither blank nor comments, without their ends."""
    raw = b"".join(lines)
    if raw.isascii() and not any(word in raw for word in (b"\r", b"#", b"track", b"browser")):
        texts = raw.decode().removesuffix("\n").split("\n")
        return texts if all(map(str.strip, texts)) else [text for text in texts if text.strip()]
    texts = [text.rstrip("\r\n") for text in map(_decoded, lines)]
    return [text for text in texts if text.strip() and not COMMENT.match(text)]


def _first_lines(first: bytes) -> Iterator[bytes]:
    """The lines of a block; one that is broken by a piece's end is put together again."""
    held, i, size = b"", 0, _PEEK
    while i < len(first):
        lines = (held + first[i : i + size]).splitlines(keepends=True)
        i += size
        held = lines.pop()
        size *= 1 if lines else 2  # a line that is longer than a piece
        yield from lines
    yield held


def _separator(text: str) -> str:
    if "\t" in text:
        return "\t"
    for separator in (" ", ",", ";"):
        if len(split_line(text, separator, '"' in text)) >= 3:
            return separator
    return "\t"


def _is_quoted(text: str, separator: str) -> bool:
    """Whether a field is wholly in quotes: a lone quote in a name is no quoting."""
    between = r"\s" if separator == " " else re.escape(separator)
    return bool(re.search(f'(?:^|{between})"(?:[^"]|"")*"(?:{between}|$)', text))


def split_line(text: str, separator: str, quotes: bool) -> list[str]:
    """The fields of a line; CSV is quoted only where a field needs it."""
    if quotes or (separator in ",;" and '"' in text and _is_quoted(text, separator)):
        plain = " ".join(text.split()) if separator == " " else text
        with contextlib.suppress(csv.Error):
            return next(csv.reader([plain], delimiter=separator), [])
    return text.split() if separator == " " else text.split(separator)


class _BlockReader:
    """Turns blocks of text into blocks of columns."""

    def __init__(
        self,
        head: Head,
        texts: tuple[int, ...],
        numbers: dict[int, str],
        strings: tuple[int, ...],
    ) -> None:
        self._head, self._texts, self._numbers, self._strings = head, texts, numbers, strings
        self._names = [f"f{i}" for i in range(head.fields)]
        kinds: dict[str, pa.DataType] = {
            f"f{i}": pa.dictionary(pa.int32(), pa.string()) for i in texts
        }
        kinds |= {f"f{i}": pa.int64() for i in numbers}
        kinds |= {f"f{i}": pa.string() for i in strings}
        self._convert = pa.csv.ConvertOptions(
            column_types=kinds, include_columns=list(kinds), null_values=[]
        )
        self._parse = pa.csv.ParseOptions(delimiter="\t", quote_char=False)
        self._plain = head.separator == "\t" and not head.quotes

    def read(self, first: bytes, rest: Iterator[bytes]) -> Iterator[RowBlock]:
        line = self._head.line
        raw: bytes | None = first
        while raw is not None:
            yield self._block(raw, line)
            letters = np.frombuffer(raw, np.uint8)  # faster than bytes.count for short lines
            line += int(np.count_nonzero(letters == 10)) or raw.count(b"\r")
            raw = next(rest, None)

    def _block(self, raw: bytes, line: int) -> RowBlock:
        if self._plain:
            with contextlib.suppress(pa.ArrowInvalid):
                block = self._columns(raw, lambda row: _place(self._head.label, raw, line, row))
                # A comment may be a row behind a #, and then it parses.
                hidden = (
                    any(COMMENT.match(word) for word in block.texts[0][0])
                    if 0 in block.texts
                    else b"#" in raw and (raw.startswith(b"#") or b"\n#" in raw)
                )
                if not hidden:
                    return block
        rows, lines, comments, longer = self._made_plain(raw, line)
        label = self._head.label
        return self._columns(
            "\n".join(rows).encode(), lambda row: f"{label}, line {lines[row]}", comments, longer
        )

    def _columns(
        self, raw: bytes, where: Callable[[int], str], comments: int = 0, longer: int = 0
    ) -> RowBlock:
        if not raw:
            nothing: Any = ([], np.empty(0, np.int32))
            empty = {i: np.empty(0, np.int64) for i in self._numbers}
            strings = {i: pa.array([], pa.string()) for i in self._strings}
            return RowBlock(
                dict.fromkeys(self._texts, nothing), empty, strings, 0, comments, longer, where
            )
        options = pa.csv.ReadOptions(
            column_names=self._names, use_threads=False, block_size=len(raw) + 1
        )
        table = pa.csv.read_csv(pa.BufferReader(raw), options, self._parse, self._convert)
        texts: dict[int, tuple[list[str], NDArray[np.int32]]] = {}
        for i in self._texts:
            column = table.column(f"f{i}").chunk(0)
            codes = column.indices.to_numpy(zero_copy_only=False)
            texts[i] = (column.dictionary.to_pylist(), codes)
        numbers = {i: table.column(f"f{i}").chunk(0).to_numpy() for i in self._numbers}
        strings = {i: table.column(f"f{i}").chunk(0) for i in self._strings}
        return RowBlock(texts, numbers, strings, table.num_rows, comments, longer, where)

    def _made_plain(self, raw: bytes, line: int) -> tuple[list[str], list[int], int, int]:
        """Rows of a block as plain tab-separated lines, their line numbers, and what was odd."""
        head, rows, lines = self._head, [], []
        comments = longer = 0
        expected = head.fields
        for number, text in enumerate(_lines(raw), start=line):
            if not text.strip():
                continue
            if COMMENT.match(text):
                comments += 1
                continue
            fields = split_line(text, head.separator, head.quotes)
            if fields == head.header:
                comments += 1
                continue
            where = f"{head.label}, line {number}"
            if len(fields) < expected:
                raise InputError(
                    f"{where}: expected {expected} {_SEPARATED[head.separator]} columns like the "
                    f"first line, found {len(fields)}: {quoted(text)}"
                )
            longer += any(fields[expected:])
            for column, role in self._numbers.items():
                value = whole_number(fields[column])
                if value is None and role == UNKNOWN and fields[column].strip() in BLANK:
                    value = -1
                if value is None:
                    raise InputError(
                        f"{where}: expected an integer{role} in column {column + 1}, "
                        f"found {quoted(fields[column])}"
                    )
                fields[column] = str(value)
            rows.append("\t".join(field.replace("\t", " ") for field in fields[:expected]))
            lines.append(number)
        return rows, lines, comments, longer


_SEPARATED = {
    "\t": "tab-separated", ",": "comma-separated", ";": "semicolon-separated",
    " ": "space-separated",
}  # fmt: skip


def _lines(raw: bytes) -> list[str]:
    return [line.rstrip("\r\n") for line in re.split("\r\n|\n|\r", _decoded(raw))]


def _place(label: str, raw: bytes, line: int, row: int) -> str:
    """File and line of a row in a block that was plain as it came."""
    filled = [number for number, text in enumerate(_lines(raw), start=line) if text]
    return f"{label}, line {filled[row]}"
