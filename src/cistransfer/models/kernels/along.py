"""What windows along a sequence have in common, computed once: scans, convolutions, maxima.

Windows that overlap ask a network's first layers for the same numbers. Here these are computed for
the stretch of sequence below all windows and read from there by each. A layer behind a pooling has
its places every few bp, and two windows share them where they begin alike modulo that: `Along`
holds a stretch's values on the finest grid that its windows need, so that every stride and every
phase is exact. The first convolution looks words of four bases up in tables, for on one-hot most
products are with 0.

Windows that hardly overlap are scanned one by one, by look-up too.

The plain function beside all of this is the network itself, window by window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cistransfer.genome.codes import N

__all__ = ["Along", "Lookup", "overlap", "slide", "sum_along"]

_WORD = 3  # bases looked up at once
_LETTERS = N + 1
_WORDS = _LETTERS**_WORD
_COLUMNS = 128
"""Filters at a time: their tables (0.2 MB) stay in the processor's cache."""
_PLACES = 1024
"""Places at a time and thread, for the same reason."""
_DENSE = 0.4
"""Share of the windows' bases that may be their own: at 200 bp strides of up to 80 bp."""


class Lookup:
    """A convolution on sequence without padding, as sums of table rows.

    Parameters
    ----------
    weight : tensor, shape (filters, 4, kernel)
        Of a convolution on one-hot.
    bias : tensor, shape (filters,), optional
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        filters, _, self.kernel = weight.shape
        self.filters = filters
        self._n = -(-self.kernel // _WORD)
        taps = weight.new_zeros(self._n * _WORD, _LETTERS, filters)
        taps[: self.kernel, :N] = weight.detach().permute(2, 1, 0)
        tables = weight.new_zeros(self._n, 1, filters)
        for place in range(_WORD):  # the first base of a word is its highest digit
            tables = tables[:, :, None] + taps[place::_WORD, None]
            tables = tables.flatten(1, 2)
        if bias is not None:
            tables[0] += bias.detach()
        flat = tables.flatten(0, 1)
        self._tables = [part.contiguous() for part in flat.split(_COLUMNS, dim=1)]

    def words(self, codes: Tensor) -> Tensor:
        """Rows of the tables for each place, int32, shape (length − kernel + 1, words)."""
        count = len(codes) - self.kernel + 1
        padded = torch.nn.functional.pad(codes.int(), (0, (self._n + 1) * _WORD), value=N)
        at = len(padded) - _WORD + 1
        word = padded[:at].clone()
        for place in range(1, _WORD):
            word.mul_(_LETTERS).add_(padded[place : place + at])
        laid = word.as_strided((count, self._n), (1, _WORD)).contiguous()
        return laid.add_(_WORDS * torch.arange(self._n, dtype=torch.int32))

    def scores(self, codes: Tensor) -> Tensor:
        """Scores of every filter at every place, shape (length − kernel + 1, filters)."""
        words = self.words(codes)
        found = self._tables[0].new_empty(len(words), self.filters)
        for table, columns in zip(self._tables, found.split(_COLUMNS, dim=1), strict=True):
            for rows, some in zip(words.split(_places()), columns.split(_places()), strict=True):
                some.copy_(_sums(rows, table))
        return found

    def maxima(self, codes: Tensor, width: int, other: Lookup | None = None) -> Tensor:
        """Highest score over ``width`` neighbouring places, and over those of another look-up.

        Returns
        -------
        tensor, shape (length − kernel + 2 − width, filters)
        """
        words = self.words(codes)
        count = len(words) - width + 1
        found = self._tables[0].new_empty(count, self.filters)
        others = [None] * len(self._tables) if other is None else other._tables
        parts, some = found.split(_COLUMNS, dim=1), _places()
        for table, beside, columns in zip(self._tables, others, parts, strict=True):
            for at in range(0, count, some):
                rows = words[at : at + some + width - 1]
                slide(_higher(rows, table, beside), width, out=columns[at : at + some])
        return found

    def maxima_apart(
        self, codes: Tensor, starts: NDArray[np.int64], places: int, width: int,
        other: Lookup | None = None,
    ) -> Tensor:  # fmt: skip
        """Max-pooling by ``width`` of the first ``places`` of each window, window by window.

        Returns
        -------
        tensor, shape (n, places // width, filters)
        """
        count = places // width
        at = torch.from_numpy(starts)[:, None] + torch.arange(count * width)
        words = self.words(codes)[at]
        found = self._tables[0].new_empty(len(at), count, self.filters)
        others = [None] * len(self._tables) if other is None else other._tables
        parts, few = found.split(_COLUMNS, dim=2), max(1, _places() // (count * width))
        for table, beside, columns in zip(self._tables, others, parts, strict=True):
            for first in range(0, len(at), few):
                rows = words[first : first + few].flatten(0, 1)
                scores = _higher(rows, table, beside)
                windows = scores.view(-1, count, width, scores.shape[1])
                torch.amax(windows, dim=2, out=columns[first : first + few])
        return found


def _places() -> int:
    return _PLACES * torch.get_num_threads()


def _sums(words: Tensor, table: Tensor) -> Tensor:
    return torch.nn.functional.embedding_bag(words, table, mode="sum")


def _higher(words: Tensor, table: Tensor, beside: Tensor | None) -> Tensor:
    scores = _sums(words, table)
    return scores if beside is None else torch.maximum(scores, _sums(words, beside), out=scores)


def overlap(codes: Tensor, starts: NDArray[np.int64], window: int) -> bool:
    """Whether windows overlap so much that a scan along their stretch is less work."""
    return len(codes) <= _DENSE * window * len(starts)


def slide(rows: Tensor, width: int, gap: int = 1, out: Tensor | None = None) -> Tensor:
    """Maximum of each row and of those ``gap``, 2 · ``gap`` … behind it, ``width`` of them.

    Parameters
    ----------
    rows : tensor, shape (places, channels)
    out : tensor, optional
        Where the result goes.

    Returns
    -------
    tensor, shape (places − (width − 1) · gap, channels)
    """
    reached = 1
    while reached < width:
        more = min(reached, width - reached)
        reached += more
        rows = torch.maximum(
            rows[: len(rows) - more * gap],
            rows[more * gap :],
            out=out if reached == width else None,
        )
    return rows if out is None or width > 1 else out.copy_(rows)


def sum_along(rows: Tensor, starts: NDArray[np.int64], counts: Sequence[int]) -> Tensor:
    """Sum of neighbouring rows from each start on, of every column its own number of them.

    By sums of 1, 2, 4 … rows: nothing is taken away again, so that nothing cancels.

    Parameters
    ----------
    rows : tensor, shape (places, columns)
    starts : ndarray of int64, shape (n,)
    counts : sequence of int
        Rows that each column sums; at least 1.

    Returns
    -------
    tensor, shape (n, columns)
    """
    wanted = torch.as_tensor(list(counts))
    at = torch.from_numpy(starts)[:, None].expand(-1, rows.shape[1])
    total = rows.new_zeros(at.shape)
    reached = 1
    while True:
        has = (wanted & reached) > 0
        there = at.clamp(max=len(rows) - 1)
        total += torch.where(has, rows.gather(0, there), 0)
        at = at + reached * has
        if 2 * reached > int(wanted.max()):
            return total
        rows = rows[: len(rows) - reached] + rows[reached:]
        reached *= 2


@dataclass(frozen=True)
class Along:
    """Values at places of a stretch, and where windows read them.

    Attributes
    ----------
    rows : tensor, shape (places, channels)
    starts : ndarray of int64, shape (n,)
        Row of each window's first place.
    length : int
        Places that a window reads.
    gap : int
        Rows from one of its places to the next.
    """

    rows: Tensor
    starts: NDArray[np.int64]
    length: int
    gap: int

    @classmethod
    def of_scan(
        cls, codes: Tensor, starts: NDArray[np.int64], window: int, width: int,
        lookup: Lookup, other: Lookup | None = None,
    ) -> Along:  # fmt: skip
        """Maxima of a look-up, and of another one, over ``width`` places.

        Along the stretch where windows overlap, else window by window.
        """
        places = window - lookup.kernel + 1
        if not overlap(codes, starts, window):
            apart = lookup.maxima_apart(codes, starts, places, width, other)
            n, count, _ = apart.shape
            return cls(apart.flatten(0, 1), count * np.arange(n), count, 1)
        rows = lookup.maxima(codes, width, other)
        return cls.of_maxima(rows, starts, places, width)

    @classmethod
    def of_maxima(
        cls, rows: Tensor, starts: NDArray[np.int64], places: int, width: int, gap: int = 1
    ) -> Along:
        """Maxima over ``width`` places that lie ``gap`` rows apart, as max-pooling has them.

        Parameters
        ----------
        rows : tensor
            At each row the maximum of what begins there (`slide`).
        places : int
            How many there are in a window before pooling.
        """
        apart = gap * width
        common = int(np.gcd.reduce(starts, initial=apart))
        return cls(rows[::common], starts // common, places // width, apart // common)

    def pooled(self, width: int) -> Along:
        """Max-pooling by ``width``."""
        rows = slide(self.rows, width, self.gap)
        return Along.of_maxima(rows, self.starts, self.length, width, self.gap)

    def pays(self, kernel: int, share: float = 1.0) -> bool:
        """Whether the stretch has fewer outputs of a convolution than all windows together, or
        than a share of them, where one of these takes less time."""
        return len(self.rows) < share * len(self.starts) * (self.length - kernel + 1)

    def image(self) -> Tensor:
        """The rows as one long sequence, (1, channels, 1, places) in channels-last memory."""
        return self.rows[None, None].permute(0, 3, 1, 2)

    def replaced(self, image: Tensor, kernel: int = 1) -> Along:
        """Other values at the same places, of a convolution by a kernel that `gap` dilates."""
        rows = image.permute(0, 2, 3, 1).flatten(0, 2)
        return Along(rows, self.starts, self.length - kernel + 1, self.gap)

    def gathered(self) -> Tensor:
        """Window by window, (n, channels, 1, length) in channels-last memory."""
        n = len(self.starts)
        one_by_one = len(self.rows) == n * self.length and self.gap == 1
        if one_by_one and np.array_equal(self.starts, self.length * np.arange(n)):
            return self.rows.view(n, 1, self.length, -1).permute(0, 3, 1, 2)
        places = self.starts[:, None] + self.gap * np.arange(self.length)
        found = self.rows.index_select(0, torch.from_numpy(places.ravel()))
        return found.view(len(places), 1, self.length, -1).permute(0, 3, 1, 2)
