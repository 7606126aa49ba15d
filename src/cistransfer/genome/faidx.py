"""Random reads of a FASTA: an index in samtools' form, never trusted before the file confirms it.

Why not pyfaidx or htslib: both take an index for current when its time is later than the file's, so
a file replaced by ``cp -p`` or ``rsync -a`` gives bases of other places without a word; both write
it in place, so a full disk leaves half of one for ever and two jobs that start together read it
half written; both refuse blank lines and read no plain gzip at random. What is left without those
is a table of five columns and `os.pread`.

An index beside the file (``.fai``, of samtools or ours) is used when every record of it stands in
the file: its header, its first line and its end. Else the file is scanned once, and the index
written beside it, or into the cache where that may not be written, or nowhere (then each run
scans). A file whose lines do not lie regularly (blank or ragged lines, CR alone, blanks at their
ends), and what can be read only from the front (gzip, bzip2, xz, zstd, a pipe), is written out once
as a plain copy into the cache. bgzip is read where it lies, block by block.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import stat
import struct
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from cistransfer.errors import InputError, MachineError
from cistransfer.genome.codes import IUPAC, encode
from cistransfer.storage import cache_folder, open_bytes, whole_file, write_text
from cistransfer.storage.reading import open_raw, unreadable

__all__ = ["Faidx", "Record", "open_faidx"]

_BLOCK = 1 << 23
_LONGEST_HEADER = 1 << 20
_CHECKED = 2_000  # records of a bgzip file that are looked up; each may need a block unpacked


class Bytes(Protocol):
    """Bytes that can be read anywhere."""

    size: int

    def read_at(self, n: int, start: int) -> bytes:
        """At most ``n`` bytes from ``start`` on."""


@dataclass(frozen=True)
class Record:
    """One line of an index, as samtools has it."""

    name: str
    length: int
    offset: int
    bases: int  # per line
    width: int  # bytes per line, with its end

    def place(self, base: int) -> int:
        """Where in the file a base is."""
        if not self.bases:
            return self.offset
        return self.offset + base // self.bases * self.width + base % self.bases


class Faidx:
    """A FASTA with its index.

    Attributes
    ----------
    records : dict of str → Record
    uracils : int
        Letters U in what was fetched; they are read as T.
    """

    def __init__(self, path: Path, data: Bytes, records: list[Record]) -> None:
        self.path, self._data = path, data
        self.records = {record.name: record for record in records}
        self.uracils = 0

    def fetch(self, name: str, start: int, end: int) -> NDArray[np.uint8]:
        """Codes of a stretch of a record, which must lie within it.

        Raises
        ------
        InputError
            When the file holds something else there than the letters it held when it was indexed.
        """
        record = self.records[name]
        first = record.place(start)
        n = record.place(end - 1) + 1 - first if end > start else 0
        letters = self._data.read_at(n, first).translate(None, b"\r\n")
        if len(letters) != end - start or letters.translate(None, IUPAC):
            raise self._refused(record, start, letters)
        self.uracils += letters.count(b"U") + letters.count(b"u")
        return encode(letters)

    def _refused(self, record: Record, start: int, letters: bytes) -> InputError:
        wrong = letters.translate(None, IUPAC)[:1]
        base = start + (letters.index(wrong) if wrong else len(letters))
        line, at = 1, 0
        while at < record.place(base) and (block := self._data.read_at(_BLOCK, at)):
            line += block[: record.place(base) - at].count(b"\n")
            at += len(block)
        found = repr(wrong.decode("latin-1")) if wrong else "another line end"
        return InputError(
            f"{self.path}, line {line}: expected DNA letters (IUPAC), found {found}: damaged, or "
            "changed since it was opened"
        )


def open_faidx(path: Path) -> Faidx:
    """Open a FASTA of any form for random reads.

    Raises
    ------
    InputError
        When it is no FASTA; names the line.
    MachineError
        When a copy is needed and has no room.
    """
    try:
        status = path.stat() if os.fspath(path) != "-" else None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if status is None or not stat.S_ISREG(status.st_mode):
        return _of_stream(path)
    with open_raw(path) as raw:
        head = raw.peek(18)[:18]  # type: ignore[attr-defined]
    data: Bytes
    if _is_bgzf(head):
        data = _Bgzf(path)
    elif head[:2] == b"\x1f\x8b" or head[:3] == b"BZh" or head[:4] in (b"\xfd7zX", b"(\xb5/\xfd"):
        return _of_copy(path)
    else:
        data = _File(path)
    folder = cache_folder() / _identity(path, status)
    places = [path.with_name(path.name + ".fai"), folder / (path.name + ".fai")]
    for place in places:
        records = _read_index(place)
        if records and _confirmed(data, records):
            return Faidx(path, data, records)
    scanned = _scan(path, data)
    if scanned is None:
        return _of_copy(path)
    _keep_index(places, scanned)
    return Faidx(path, data, scanned)


# Bytes ----------------------------------------------------------------------------------------


class _File:
    def __init__(self, path: Path, handle: int | None = None) -> None:
        self._path = path
        try:
            self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if handle is None else handle
            self.size = os.fstat(self._handle).st_size
        except OSError as error:
            raise unreadable(path, error) from error
        weakref.finalize(self, os.close, self._handle)

    def read_at(self, n: int, start: int) -> bytes:
        try:
            return os.pread(self._handle, n, start)
        except OSError as error:
            raise unreadable(self._path, error) from error


def _is_bgzf(head: bytes) -> bool:
    return head[:4] == b"\x1f\x8b\x08\x04" and head[12:16] == b"BC\x02\x00"


class _Bgzf:
    """A file of bgzip; its table of blocks is made by hopping from one to the next."""

    def __init__(self, path: Path) -> None:
        self._path, self._packed = path, _File(path)
        places, sizes, place = [], [], 0
        while place < self._packed.size:
            head = self._packed.read_at(18, place)
            n = struct.unpack("<H", head[16:18])[0] + 1 if len(head) == 18 else 0
            tail = self._packed.read_at(4, place + n - 4)
            if not _is_bgzf(head) or len(tail) < 4:
                raise self._damaged(place)
            places.append((place, n))
            sizes.append(struct.unpack("<I", tail)[0])
            place += n
        self._places = places
        self._starts = np.concatenate([[0], np.cumsum(np.array(sizes, np.int64))])
        self.size = int(self._starts[-1])
        self._block = functools.lru_cache(maxsize=64)(self._unpack)

    def _damaged(self, place: int) -> InputError:
        return InputError(
            f"{self._path}: the bgzip file is cut short or damaged at byte {place:,}; "
            "copy or download it again"
        )

    def _unpack(self, i: int) -> bytes:
        place, n = self._places[i]
        packed = self._packed.read_at(n, place)
        try:
            data = zlib.decompress(packed[18:-8], -15)
        except zlib.error as error:
            raise self._damaged(place) from error
        if struct.unpack("<II", packed[-8:]) != (zlib.crc32(data), len(data)):
            raise self._damaged(place)
        return data

    def read_at(self, n: int, start: int) -> bytes:
        parts: list[bytes] = []
        i = int(np.searchsorted(self._starts, start, side="right")) - 1
        while n > 0 and i < len(self._places):
            block = self._block(i)
            part = block[start - int(self._starts[i]) :][:n]
            parts.append(part)
            n, start, i = n - len(part), start + len(part), i + 1
        return b"".join(parts)


# Index ----------------------------------------------------------------------------------------


def _read_index(place: Path) -> list[Record] | None:
    """The records of an index, None where there is none that can be read."""
    try:
        lines = place.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        rows = [line.split("\t") for line in lines]
        return [Record(row[0], int(row[1]), int(row[2]), int(row[3]), int(row[4])) for row in rows]
    except (OSError, ValueError, IndexError):
        return None


def _keep_index(places: list[Path], records: list[Record]) -> None:
    """Write an index to the first place that takes it; without it the next run scans again."""
    text = "".join(f"{r.name}\t{r.length}\t{r.offset}\t{r.bases}\t{r.width}\n" for r in records)
    for place in places:
        with contextlib.suppress(InputError, MachineError, OSError, UnicodeError):
            write_text(place, text)
            return


def _confirmed(data: Bytes, records: list[Record]) -> bool:
    """Whether the file has the records of an index where they are said to be."""
    chosen = range(len(records))
    if isinstance(data, _Bgzf) and len(records) > _CHECKED:
        chosen = sorted({int(i) for i in np.linspace(0, len(records) - 1, _CHECKED)})  # type: ignore[assignment]
    if len({record.name for record in records}) < len(records):
        return False
    ends = [0, *(_end(record) for record in records)]
    for i in chosen:
        record, before = records[i], ends[i]
        if not 0 <= record.offset - before <= _LONGEST_HEADER or record.width < record.bases:
            return False
        header = data.read_at(record.offset - before, before).lstrip()
        words = header[1:].split(maxsplit=1)
        if header[:1] != b">" or header.find(b"\n") != len(header) - 1 or not words:
            return False
        if words[0] != record.name.encode(errors="surrogateescape"):
            return False
        if record.length and (record.bases < 1 or not _lines_confirmed(data, record)):
            return False
    rest = data.size - ends[-1]
    return 0 <= rest <= _LONGEST_HEADER and not data.read_at(rest, ends[-1]).strip()


def _end(record: Record) -> int:
    return record.place(record.length - 1) + 1 if record.length else record.offset


def _lines_confirmed(data: Bytes, record: Record) -> bool:
    """Whether a record's first and last lines are as long as the index says."""
    lines = -(-record.length // record.bases)
    for line in {0, lines - 1}:
        n = min(record.bases, record.length - line * record.bases)
        start = record.offset + line * record.width
        edge = data.read_at(1, start + n - 1) + data.read_at(1, start + n)
        if not edge or edge[0] not in IUPAC or (len(edge) == 2 and edge[1] not in b"\r\n"):
            return False
        if line and data.read_at(1, start - 1) != b"\n":
            return False
    return True


class _Growing:
    """A record while its lines are read, as far as they lie regularly."""

    def __init__(self, header: bytes, line: int, offset: int) -> None:
        words = header[1:].split(maxsplit=1)
        self.name = words[0].decode(errors="surrogateescape") if words else ""
        self.line, self.offset = line, offset
        self.width = self.lines = self.ended = 0
        self.return_ = False
        self._last = b""

    def feed(self, chunk: bytes, start: int, newlines: NDArray[np.int64]) -> bool:
        """Take bytes at ``start``; False when they do not lie regularly."""
        if not self.width and len(newlines):
            self.width = int(newlines[0]) - self.offset + 1
            i = int(newlines[0]) - start
            self.return_ = (chunk[i - 1 : i] if i else self._last) == b"\r"
        self._last = chunk[-1:]
        if self.return_ and chunk.count(b"\r") - chunk.count(b"\r\n") > chunk.endswith(b"\r"):
            return False
        if not self.return_ and b"\r" in chunk and not (chunk.endswith(b"\r") and not self.width):
            return False
        if self.ended:
            return not chunk.strip()
        expected = self.offset + self.width * (self.lines + 1 + np.arange(len(newlines))) - 1
        wrong = np.flatnonzero(newlines != expected)
        if not len(wrong):
            self.lines += len(newlines)
            return True
        first = int(wrong[0])
        if newlines[first] > expected[first]:
            return False
        self.lines += first
        self.ended = int(newlines[first])
        return not chunk[self.ended - start :].strip()

    def record(self, end: int) -> Record | None:
        """The record that ends before ``end``; None when its lines do not lie regularly."""
        bases = self.width - 1 - self.return_ if self.width else end - self.offset
        if bases <= 0:
            empty = not self.lines if not self.width else (self.lines or 1) == 1 and not self.ended
            return Record(self.name, 0, self.offset, 0, 0) if empty else None
        last = (self.ended - self.return_ if self.ended else end) - (
            self.offset + self.lines * self.width
        )
        length = self.lines * bases + max(0, last)
        return Record(self.name, length, self.offset, bases, self.width or bases)


def _scan(path: Path, data: Bytes) -> list[Record] | None:
    """Index a FASTA; None when its lines do not lie regularly or hold other letters."""
    records: list[Record] = []
    lines_of: dict[str, int] = {}
    growing: _Growing | None = None
    held, base, line, fresh = b"", 0, 1, True
    while True:
        block = data.read_at(_BLOCK, base + len(held))
        final = base + len(held) + len(block) >= data.size
        text = held + block
        held, i = b"", 0
        while i < len(text):
            if fresh and text[i] == 62:  # '>'
                end = text.find(b"\n", i)
                if end < 0 and not final:
                    held = text[i:]
                    break
                end = len(text) - 1 if end < 0 else end
                header = text[i : end + 1].rstrip(b"\r\n")
                if b"\r" in header:
                    return None
                if growing is not None and not _close(records, growing, base + i):
                    return None
                growing = _Growing(header, line, base + end + 1)
                _once(path, growing.name, line, lines_of)
                line, i = line + 1, end + 1
                continue
            if growing is None:
                return None
            end = text.find(b"\n>", i) + 1 or len(text)
            chunk = text[i:end]
            if chunk.translate(None, IUPAC + b"\r\n"):
                return None
            newlines = np.flatnonzero(np.frombuffer(chunk, np.uint8) == 10) + (base + i)
            if not growing.feed(chunk, base + i, newlines):
                return None
            line, i = line + len(newlines), end
            fresh = chunk.endswith(b"\n")
        if len(held) > _LONGEST_HEADER:
            return None
        base += len(text) - len(held)
        if final:
            break
    if growing is None or not _close(records, growing, data.size):
        return None
    return records


def _close(records: list[Record], growing: _Growing, end: int) -> bool:
    record = growing.record(end)
    if record is not None:
        records.append(record)
    return record is not None


def _once(path: Path, name: str, line: int, lines_of: dict[str, int]) -> None:
    if not name:
        raise InputError(f"{path}, line {line}: expected a name after '>', found none")
    if name in lines_of:
        raise InputError(
            f"{path}, line {line}: record {name!r} is there twice; the first is in line "
            f"{lines_of[name]}"
        )
    lines_of[name] = line


# Copies ---------------------------------------------------------------------------------------


def _identity(path: Path, status: os.stat_result) -> str:
    """A folder's name for a file; its last bytes too, as times are copied (gzip ends in a CRC)."""
    digest = hashlib.sha256(
        f"{os.path.realpath(path)}|{status.st_size}|{status.st_mtime_ns}|1".encode(
            errors="surrogateescape"
        )
    )
    with open_raw(path) as raw:
        digest.update(raw.read(1 << 12))
        raw.seek(max(0, status.st_size - (1 << 12)))
        digest.update(raw.read(1 << 12))
    return digest.hexdigest()[:16]


def _of_copy(path: Path) -> Faidx:
    """Open the plain copy of a FASTA in the cache; made when it is not there."""
    folder = cache_folder() / _identity(path, path.stat())
    name = path.stem if path.suffix in (".gz", ".bgz", ".bz2", ".xz", ".zst") else path.name
    copy, index = folder / name, folder / f"{name}.copy.fai"
    records = _read_index(index)
    if records and copy.exists():
        data = _File(copy)
        if _confirmed(data, records):
            return Faidx(path, data, records)
    try:
        with whole_file(copy) as temporary, open(temporary, "wb") as out:
            records = _unpack(path, out)
    except (MachineError, InputError) as error:
        if str(folder) not in str(error):
            raise
        raise type(error)(
            f"{path}: its plain copy has no place in the cache ({error}){_room(folder)}; set "
            "CISTRANSFER_CACHE to a folder with room, or pack the FASTA with bgzip, which is read "
            "where it lies"
        ) from error
    _keep_index([index], records)
    return Faidx(path, _File(copy), records)


def _room(folder: Path) -> str:
    for place in (folder, *folder.parents):
        if place.is_dir():
            return f": {shutil.disk_usage(place).free / 1e9:.1f} GB are free there"
    return ""


def _of_stream(path: Path) -> Faidx:
    """Open what can be read only from the front: its copy ends with the process."""
    handle = tempfile.TemporaryFile(prefix="cistransfer-")  # noqa: SIM115 - its descriptor is kept
    with handle:
        try:
            records = _unpack(path, handle)
            handle.flush()
        except OSError as error:
            raise MachineError(
                f"{path}: a genome from a pipe is kept in {tempfile.gettempdir()} while it is "
                f"used, which failed: {error.strerror or error}; set TMPDIR to a folder with room"
            ) from error
        return Faidx(path, _File(path, os.dup(handle.fileno())), records)


def _unpack(path: Path, out: IO[bytes]) -> list[Record]:
    """Write a FASTA with each sequence in one line; say where a line is wrong."""
    records: list[Record] = []
    lines_of: dict[str, int] = {}
    name: str | None = None
    offset = place = 0

    def close() -> None:
        nonlocal place
        if name is not None:
            n = place - offset
            records.append(Record(name, n, offset, n, n + 1 if n else 0))
            place += out.write(b"\n") if n else 0

    for line, start, text in _lines(path):
        if start and text.startswith(b">"):
            close()
            words = text[1:].split(maxsplit=1)
            name = words[0].decode(errors="surrogateescape") if words else ""
            _once(path, name, line, lines_of)
            place += out.write(b">" + words[0] + b"\n")
            offset = place
            continue
        letters = text.translate(None, b" \t\n\v\f")
        if not letters:
            continue
        if name is None:
            shown = text.strip()[:40].decode(errors="replace").splitlines()[0]
            raise InputError(
                f"{path}, line {line}: expected a FASTA header ('>…'), found {shown!r}"
            )
        if letters.translate(None, IUPAC):
            raise _wrong_letters(path, line, text)
        place += out.write(letters)
    if name is None:
        raise InputError(f"{path}: expected FASTA records, found an empty file")
    close()
    return records


def _wrong_letters(path: Path, line: int, text: bytes) -> InputError:
    for number, part in enumerate(text.split(b"\n"), start=line):
        if part.translate(None, IUPAC + b" \t\v\f"):
            shown = part.strip()[:40].decode(errors="replace")
            return InputError(
                f"{path}, line {number}: expected DNA letters (IUPAC), found {shown!r}"
            )
    raise AssertionError


def _lines(path: Path) -> Iterator[tuple[int, bool, bytes]]:
    """Headers, and the bytes between them in blocks: number of the first line, whether it begins
    there, bytes with LF for every line end."""
    line, fresh, held = 1, True, b""
    with open_bytes(path) as stream:
        if stream.peek(3)[:3] == b"\xef\xbb\xbf":  # type: ignore[attr-defined]
            stream.read(3)
        while True:
            block = stream.read(_BLOCK)
            if block.endswith(b"\r"):
                block += stream.read(1)
            text = held + block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            held, i = b"", 0
            while i < len(text):
                header = fresh and text[i] == 62
                end = text.find(b"\n", i) + 1 if header else text.find(b"\n>", i) + 1
                if header and not end and block:
                    held = text[i:]
                    if len(held) > _LONGEST_HEADER:
                        raise InputError(
                            f"{path}, line {line}: expected a FASTA header of less than "
                            f"{_LONGEST_HEADER:,} bytes"
                        )
                    break
                end = end or len(text)
                yield line, fresh, text[i:end]
                line += text.count(b"\n", i, end)
                fresh = text[end - 1 : end] == b"\n"
                i = end
            if not block:
                return
