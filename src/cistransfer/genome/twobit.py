"""UCSC's 2bit files: two bits a base, blocks of N beside them; read at random.

The format is six numbers and the packed bases (https://genome.ucsc.edu/FAQ/FAQformat.html#format7);
the readers on PyPI are a C extension without wheels for new Pythons and one that is not kept up.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.genome.codes import N
from cistransfer.storage.reading import open_raw, unreadable

__all__ = ["TwoBit", "is_two_bit"]

_MAGIC = (b"\x43\x27\x41\x1a", b"\x1a\x41\x27\x43")
_CODES = np.array([3, 1, 0, 2], dtype=np.uint8)  # T C A G


def is_two_bit(path: Path) -> bool:
    """Whether a file begins as a 2bit file does."""
    with open_raw(path) as raw:
        return raw.peek(4)[:4] in _MAGIC  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _Sequence:
    length: int
    packed: int  # where its bases begin
    starts: NDArray[np.int64]  # blocks of N
    ends: NDArray[np.int64]


class TwoBit:
    """A 2bit file.

    Attributes
    ----------
    records : dict of str → sequence with ``length``
    uracils : int
        Always 0: the format has no U.
    """

    uracils = 0

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise unreadable(path, error) from error
        weakref.finalize(self, os.close, self._handle)
        self._order = "<" if self._read(4, 0) == _MAGIC[0] else ">"
        version, n, _ = self._numbers(3, 4)
        if version not in (0, 1):
            raise InputError(f"{path}: expected a 2bit file of version 0 or 1, found {version}")
        wide = 8 if version else 4
        self.records: dict[str, _Sequence] = {}
        place = 16
        for _ in range(n):
            size = self._read(1, place)[0]
            name = self._read(size, place + 1).decode(errors="surrogateescape")
            (at,) = self._numbers(1, place + 1 + size, wide)
            place += 1 + size + wide
            if name in self.records:
                raise InputError(f"{path}: sequence {name!r} is there twice")
            self.records[name] = self._sequence(int(at))

    def _read(self, n: int, start: int) -> bytes:
        data = b""
        with contextlib.suppress(OverflowError):
            try:
                data = os.pread(self._handle, n, start)
            except OSError as error:
                raise unreadable(self._path, error) from error
        if len(data) < n:
            raise InputError(
                f"{self._path}: the 2bit file is cut short or damaged (expected {n:,} bytes at "
                f"{start:,}, found {len(data):,}); copy or download it again"
            )
        return data

    def _numbers(self, n: int, start: int, size: int = 4) -> NDArray[np.int64]:
        raw = np.frombuffer(self._read(size * n, start), dtype=f"{self._order}u{size}")
        return raw.astype(np.int64)

    def _sequence(self, place: int) -> _Sequence:
        length, n = (int(number) for number in self._numbers(2, place))
        starts = self._numbers(n, place + 8)
        sizes = self._numbers(n, place + 8 + 4 * n)
        place += 8 + 8 * n
        (masked,) = self._numbers(1, place)
        packed = place + 4 + 8 * int(masked) + 4
        if length:
            self._read(1, packed + (length + 3) // 4 - 1)
        return _Sequence(length, packed, starts, starts + sizes)

    def fetch(self, name: str, start: int, end: int) -> NDArray[np.uint8]:
        """Codes of a stretch of a sequence, which must lie within it."""
        if end <= start:
            return np.empty(0, dtype=np.uint8)
        held = self.records[name]
        first = start // 4
        raw = np.frombuffer(self._read((end + 3) // 4 - first, held.packed + first), np.uint8)
        pairs = (raw[:, None] >> np.array([6, 4, 2, 0], np.uint8)) & 3
        codes = _CODES[pairs.reshape(-1)[start - 4 * first : end - 4 * first]]
        i = int(np.searchsorted(held.ends, start, side="right"))
        while i < len(held.starts) and held.starts[i] < end:
            codes[max(0, held.starts[i] - start) : held.ends[i] - start] = N
            i += 1
        return codes
