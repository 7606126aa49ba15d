"""One bit per experiment and region, set from any number of rows in any order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["EvidenceBits"]


@dataclass
class EvidenceBits:
    """Which region has evidence in which experiment.

    Memory is n_experiments × n_regions / 8 bytes however many rows are added; a row that is seen
    twice changes nothing.

    Attributes
    ----------
    n_regions : int
    """

    n_regions: int
    _bits: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8), repr=False)

    @property
    def _stride(self) -> int:
        return (self.n_regions + 7) // 8

    def add(
        self, experiment: NDArray[np.int64], region: NDArray[np.int64], n_experiments: int
    ) -> None:
        """Set the bits of (experiment, region) pairs; duplicates are fine."""
        stride = self._stride
        if n_experiments * stride > len(self._bits):
            room = max(n_experiments, 16, len(self._bits) // stride * 3 // 2) * stride
            grown = np.zeros(room, np.uint8)
            grown[: len(self._bits)] = self._bits
            self._bits = grown
        byte = experiment * stride + (region >> 3)
        place = region & 7
        for bit in range(8):
            hit = byte[place == bit]
            self._bits[hit] |= np.uint8(128 >> bit)

    def row(self, experiment: int) -> NDArray[np.uint8]:
        """Packed bits (`numpy.packbits`) of one experiment."""
        stride = self._stride
        if (experiment + 1) * stride > len(self._bits):
            return np.zeros(stride, np.uint8)
        return self._bits[experiment * stride : (experiment + 1) * stride]
