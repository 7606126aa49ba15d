"""The same score for every sequence: the share of positives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cistransfer.errors import InputError

__all__ = ["Prevalence", "fit_prevalence"]


@dataclass(frozen=True)
class Prevalence:
    """Share of positives among the resolved training sequences."""

    share: float

    def score(self, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the share for every sequence, shape (n,)."""
        return np.full(len(codes), self.share)

    def describe(self) -> str:
        """Say the share."""
        return f"constant {self.share:.3f}"


def fit_prevalence(codes: NDArray[np.uint8], labels: NDArray[np.int8], seed: int = 0) -> Prevalence:
    """Count the labels; `InputError` without a resolved one."""
    labels = np.asarray(labels)
    resolved = labels >= 0
    if not resolved.any():
        raise InputError("baseline prevalence: expected resolved labels (0 or 1), found none")
    return Prevalence(float((labels[resolved] == 1).mean()))
