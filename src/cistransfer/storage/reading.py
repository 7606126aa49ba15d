"""The one door for input: files, pipes and standard input, compressed or not, text or bytes.

What is no regular file (a pipe, ``-``, ``<(zcat …)``) can be read only once, from the front. It is
read once: its bytes are kept for the life of the process, in memory or in an unnamed file, and
every later opening of the same path reads what was kept. So a reader may look twice (at the first
line, at the line that is wrong, for a fingerprint) without knowing what it reads from.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import io
import os
import re
import stat
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from typing import IO, Any

from cistransfer.errors import InputError, MachineError, is_fault

__all__ = ["fingerprint", "open_bytes", "open_raw", "open_text", "unreadable"]

PathLike = str | os.PathLike[str]

_BLOCK = 1 << 18
_IN_MEMORY = 1 << 26  # what is kept of a pipe lies on disk beyond this
MAX_RATIO = 5_000
"""How many bytes one compressed byte may become. gzip itself ends at 1,032; genomes and tables
become four to ten, chromosomes of nothing but N some hundreds."""
_RATIO_FROM = 1 << 28  # small files may hold what they like

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_BINARY = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"BAM\x01", "a BAM file"),
    (b"CRAM", "a CRAM file"),
    (b"PAR1", "a Parquet file"),
    (b"PK\x03\x04", "a zip archive (or a spreadsheet)"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"\x89PNG", "an image"),
    (b"%PDF", "a PDF"),
    (b"\x43\x27\x41\x1a", "a 2bit file"),
    (b"\x1a\x41\x27\x43", "a 2bit file"),
    (b"\xeb\xf2\x89\x87", "a bigBed file"),
    (b"\x87\x89\xf2\xeb", "a bigBed file"),
    (b"\x26\xfc\x8f\x88", "a bigWig file"),
    (b"\x88\x8f\xfc\x26", "a bigWig file"),
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]")  # what no text holds
_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: it begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def binary_kind(head: bytes) -> str:
    """What bytes that are no text are, by the first of them, in words."""
    packed = (name for magic, name in _MAGIC if head.startswith(magic))
    known = (name for magic, name in _BINARY if head.startswith(magic))
    twice = next(packed, None)
    return f"{twice} data inside {twice} data" if twice else next(known, "binary data")


@contextlib.contextmanager
def open_text(path: PathLike) -> Iterator[IO[str]]:
    """Open text for reading: a file, a pipe or ``-``; plain, gzip, bzip2, xz or zstd.

    The compression is told by the first bytes. Line ends may be LF, CRLF or CR. A byte-order mark
    tells the encoding and is skipped; without one the text is UTF-8, and bytes that are not are
    read as Latin-1, as tables with an ``é`` from elsewhere are.

    Raises
    ------
    InputError
        When there is no such file, when compressed data are cut short or damaged, or when the
        bytes are not text. The stream raises it too, at the place where the damage is.
    """
    with open_bytes(path) as stream:
        head = stream.peek(4096)[:4096]  # type: ignore[attr-defined]
        encoding = next((name for mark, name in _ENCODINGS if head.startswith(mark)), "utf-8")
        if encoding in ("utf-8", "utf-8-sig") and _CONTROL.search(head):
            raise InputError(f"{path}: expected text, found {binary_kind(head)}")
        errors = _LATIN1 if encoding in ("utf-8", "utf-8-sig") else "replace"
        with io.TextIOWrapper(stream, encoding=encoding, errors=errors) as text:
            yield text


@contextlib.contextmanager
def open_bytes(path: PathLike) -> Iterator[IO[bytes]]:
    """Open a file, a pipe or ``-`` (standard input) for reading its uncompressed bytes.

    Raises
    ------
    InputError
        When there is no such file, it may not be read, or compressed data are damaged.
    """
    with open_raw(path) as raw:
        head = raw.peek(8)  # type: ignore[attr-defined]
        kind = next((name for magic, name in _MAGIC if head.startswith(magic)), None)
        if kind is None:
            yield raw
            return
        with io.BufferedReader(_Unpacked(path, kind, raw), _BLOCK) as unpacked:
            yield unpacked


@contextlib.contextmanager
def open_raw(path: PathLike) -> Iterator[IO[bytes]]:
    """Open a file, a pipe or ``-`` for reading its bytes as they are."""
    kept = _kept(path)
    if kept is not None:
        with io.BufferedReader(_Cursor(kept), _BLOCK) as stream:
            yield stream
        return
    try:
        file = _File(path)
    except OSError as error:
        raise unreadable(path, error) from error
    with io.BufferedReader(file, _BLOCK) as stream:
        yield stream


def _latin1(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


_LATIN1 = "cistransfer-latin-1"
codecs.register_error(_LATIN1, _latin1)


class _File(io.FileIO):
    """A file whose errors while it is read name it."""

    def readinto(self, buffer: Any) -> int:
        try:
            return super().readinto(buffer) or 0
        except OSError as error:
            raise unreadable(os.fspath(self.name), error) from error

    def readall(self) -> bytes:
        return io.RawIOBase.readall(self) or b""

    def read(self, size: int | None = -1) -> bytes:
        return io.RawIOBase.read(self, -1 if size is None else size) or b""


class _Unpacked(io.RawIOBase):
    """Compressed bytes as they were before; damage becomes an `InputError` that names the file."""

    def __init__(self, path: PathLike, kind: str, raw: IO[bytes]) -> None:
        self._path, self._kind, self._raw = path, kind, raw
        self._stream, self._errors = _decompressor(kind, raw)
        self._made = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            n = self._stream.readinto(buffer)
        except self._errors as error:
            said = " ".join(str(error).split())
            raise InputError(
                f"{self._path}: the {self._kind} file is cut short or damaged ({said}); "
                "copy or download it again"
            ) from error
        self._made += n
        if self._made > max(_RATIO_FROM, MAX_RATIO * self._raw.tell()):
            raise InputError(
                f"{self._path}: {self._raw.tell():,} compressed bytes became {self._made:,}: "
                f"more than {MAX_RATIO:,} times as many, which is no file of this field"
            )
        return int(n)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def _decompressor(kind: str, raw: IO[bytes]) -> tuple[Any, tuple[type[Exception], ...]]:
    """The stream and what it raises for bad data. Each reads members one after another."""
    if kind == "gzip":  # by ISA-L, in a third of zlib's time
        from isal import igzip, isal_zlib

        errors: Any = (EOFError, igzip.BadGzipFile, isal_zlib.error)
        return igzip.IGzipFile(fileobj=raw, mode="rb"), errors
    if kind == "bzip2":
        import bz2

        return bz2.BZ2File(raw), (EOFError, OSError, ValueError)
    if kind == "xz":
        import lzma

        return lzma.LZMAFile(raw), (EOFError, lzma.LZMAError)
    import pyarrow as pa  # has zstd in every wheel; Python itself from 3.14 on

    if not pa.Codec.is_available("zstd"):
        raise InputError("this pyarrow was built without zstd: unpack the file first (zstd -d)")
    return pa.CompressedInputStream(raw, "zstd"), (OSError, EOFError)


class _Kept:
    """The bytes of a pipe, from memory or from an unnamed file, for any number of readers."""

    def __init__(self, path: PathLike, stream: Any) -> None:
        held = io.BytesIO()
        while held.tell() <= _IN_MEMORY:
            block = stream.read(_BLOCK)
            if not block:
                self.size, self._data, self._file = held.tell(), held.getvalue(), None
                return
            held.write(block)
        try:
            self._file = tempfile.TemporaryFile(prefix="cistransfer-")  # noqa: SIM115 - kept open
            self._file.write(held.getvalue())
            while block := stream.read(_BLOCK):
                self._file.write(block)
            self._file.flush()
            self.size = self._file.tell()
        except OSError as error:
            raise MachineError(
                f"{path}: a pipe is kept on disk while it is used, which failed: "
                f"{error.strerror or error}; set TMPDIR to a folder with room"
            ) from error

    def read_at(self, n: int, start: int) -> bytes:
        if self._file is None:
            return self._data[start : start + n]
        return os.pread(self._file.fileno(), n, start)


class _Cursor(io.RawIOBase):
    """A reader of its own over bytes that many may read."""

    def __init__(self, kept: _Kept) -> None:
        self._kept, self._place = kept, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = offset + (0, self._place, self._kept.size)[whence]
        return self._place

    def readinto(self, buffer: Any) -> int:
        data = self._kept.read_at(len(buffer), self._place)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


_lock = threading.Lock()
_pipes: dict[tuple[int, int], _Kept] = {}
_stdin: weakref.WeakKeyDictionary[Any, _Kept] = weakref.WeakKeyDictionary()


def _kept(path: PathLike) -> _Kept | None:
    """What was kept of a pipe or standard input; None for a file that stays."""
    name = os.fspath(path)
    if name == "-":
        if sys.stdin is None or sys.stdin.closed:
            raise InputError("-: standard input is closed")
        with _lock:
            if sys.stdin not in _stdin:
                source: Any = sys.stdin.buffer
                _stdin[sys.stdin] = _Kept(path, source)
            return _stdin[sys.stdin]
    try:
        status = os.stat(name)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: expected a file, found a folder")
    # An opened /dev/fd/N goes on where another reader stopped on some systems.
    descriptor = re.match(r"/dev/(stdin|fd/\d+)$|/proc/self/fd/\d+$", name)
    if stat.S_ISREG(status.st_mode) and not descriptor:
        return None
    key = status.st_dev, status.st_ino
    if os.path.realpath(name) == os.path.realpath(os.devnull):
        return _Kept(path, io.BytesIO())
    with _lock:
        if key not in _pipes:
            try:
                with open(name, "rb", _BLOCK) as stream:
                    _pipes[key] = _Kept(path, stream)
            except OSError as error:
                raise unreadable(path, error) from error
        return _pipes[key]


def unreadable(path: PathLike, error: Exception) -> InputError | MachineError:
    """Word why a file could not be opened or read."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return InputError(f"{path}: no such file")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{path}: expected a file, found a folder")
    said = getattr(error, "strerror", None) or error
    if isinstance(error, OSError) and is_fault(error):
        return MachineError(f"{path}: cannot read: {said}")
    return InputError(f"{path}: cannot read: {said}")


def fingerprint(path: PathLike) -> str:
    """Return ``sha256:<hex>`` of a file's bytes as they are stored (a pipe's: as they came)."""
    digest = hashlib.sha256()
    with open_raw(path) as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return "sha256:" + digest.hexdigest()
