"""What every baseline gives and takes."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cistransfer.errors import InputError

__all__ = ["Fitted", "training_rows"]

Codes = NDArray[np.uint8]


class Fitted(Protocol):
    """A fitted baseline: a frozen dataclass that scores sequences."""

    def score(self, codes: Codes) -> NDArray[np.float64]:
        """Score sequences, higher = more likely positive; finite for every sequence.

        Parameters
        ----------
        codes : ndarray of uint8, shape (n, length)

        Returns
        -------
        ndarray of float64, shape (n,)
        """

    def describe(self) -> str:
        """Say in a few words what was fitted, for a table."""


def training_rows(
    codes: Codes, labels: NDArray[np.int8], baseline: str, fewest: int = 1
) -> tuple[Codes, NDArray[np.bool_]]:
    """Resolved rows, and which of them are positive.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
    labels : ndarray of int8, shape (n,)
        1 positive, 0 negative, −1 unresolved: left out.
    baseline : str
        Name for the error message.
    fewest : int
        Least number of sequences of each class.

    Raises
    ------
    InputError
        With too few of a class.
    """
    labels = np.asarray(labels)
    if labels.shape != (len(codes),):
        raise InputError(
            f"baseline {baseline}: expected one label for each of the {len(codes)} sequences, "
            f"found shape {labels.shape}"
        )
    for label, name in ((1, "positive"), (0, "negative")):
        n = int((labels == label).sum())
        if n < fewest:
            raise InputError(
                f"baseline {baseline}: expected at least {fewest} {name} training sequence"
                f"{'s' if fewest > 1 else ''}, found {n}"
            )
    resolved = labels >= 0
    return codes[resolved], labels[resolved] == 1
