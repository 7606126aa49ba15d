"""Position weight matrices as probabilities, and what can be computed from one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cistransfer.errors import InputError

__all__ = [
    "PWM",
    "UNIFORM",
    "consensus",
    "from_counts",
    "information_content",
    "log_odds",
    "reverse_complement_pwm",
    "trim",
]

Floats = NDArray[np.float64]

UNIFORM = (0.25, 0.25, 0.25, 0.25)
"""The uniform background (A, C, G, T)."""

_SUM_TOLERANCE = 1e-5
_IUPAC = "-ACMGRSVTWYHKDBN"  # bit 1 A, bit 2 C, bit 4 G, bit 8 T


@dataclass(frozen=True, eq=False, repr=False)
class PWM:
    """A motif: one row of probabilities (A, C, G, T) per position.

    Attributes
    ----------
    name : str
        Identifier (``MA0114.4``).
    probabilities : ndarray of float64, shape (width, 4)
        Rows sum to 1 (within 1e-5: files carry six decimals). Read-only.
    alt_name : str
        Second name (``HNF4A``); may be empty.
    sites : float or None
        Number of sites that the matrix was made of, when known.
    threshold : float or None
        Log-odds (bits, uniform background) from which its source calls a site, where it says so
        (HOMER).
    tfs : tuple of str
        TFs that it belongs to, where a table beside the motifs says so (CIS-BP, GimmeMotifs).

    Raises
    ------
    InputError
        When the shape is not (width, 4) with at least one row, when a number is negative or not
        finite, or when a row does not sum to 1. A transposed matrix is refused by its shape; a
        4 × 4 one only by its sums.
    """

    name: str
    probabilities: Floats
    alt_name: str = ""
    sites: float | None = None
    threshold: float | None = None
    tfs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        matrix = np.array(self.probabilities, dtype=np.float64)
        if matrix.ndim != 2 or matrix.shape[1] != 4 or not len(matrix):
            hint = "; is it transposed?" if matrix.ndim == 2 and matrix.shape[0] == 4 else ""
            raise InputError(
                f"motif {self.name!r}: expected a (width, 4) matrix, found shape "
                f"{matrix.shape}{hint}"
            )
        wrong = ~np.isfinite(matrix).all(axis=1) | (matrix < 0).any(axis=1)
        wrong |= ~(np.abs(matrix.sum(axis=1) - 1) <= _SUM_TOLERANCE)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"motif {self.name!r}, position {row + 1}: expected four probabilities that sum "
                f"to 1, found {' '.join(f'{value:g}' for value in matrix[row])}"
            )
        matrix.setflags(write=False)
        object.__setattr__(self, "probabilities", matrix)

    def __repr__(self) -> str:
        names = " ".join(name for name in (self.name, self.alt_name) if name)
        return f"PWM({names}: {consensus(self)}, {self.width} bp)"

    @property
    def label(self) -> str:
        """What a person calls it: the second name, where it has one."""
        return self.alt_name or self.name

    @property
    def width(self) -> int:
        """Number of positions."""
        return len(self.probabilities)


def from_counts(
    name: str,
    counts: ArrayLike,
    *,
    pseudocount: float = 0.0,
    background: Sequence[float] = UNIFORM,
    alt_name: str = "",
) -> PWM:
    """Make a PWM out of a count matrix.

    Parameters
    ----------
    name, alt_name : str
        Names of the motif.
    counts : array, shape (width, 4)
        Non-negative counts or weights; positions may have different totals.
    pseudocount : float
        Counts added to each position, shared out by ``background``.
    background : four floats
        Letter frequencies A, C, G, T.

    Returns
    -------
    PWM
        ``sites`` is the largest column total.

    Raises
    ------
    InputError
        For a wrong shape, a negative count, or a position without counts.
    """
    matrix = np.asarray(counts, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != 4 or not len(matrix):
        raise InputError(f"motif {name!r}: expected (width, 4) counts, found shape {matrix.shape}")
    if not np.isfinite(matrix).all() or (matrix < 0).any():
        raise InputError(f"motif {name!r}: expected counts of 0 or more, found a negative or NaN")
    sites = float(matrix.sum(axis=1).max())
    matrix = matrix + pseudocount * _checked(background)
    totals = matrix.sum(axis=1, keepdims=True)
    if (totals <= 0).any():
        row = int(np.flatnonzero(totals[:, 0] <= 0)[0])
        raise InputError(f"motif {name!r}, position {row + 1}: expected counts, found all zeros")
    return PWM(name, matrix / totals, alt_name=alt_name, sites=sites)


def information_content(pwm: PWM, background: Sequence[float] = UNIFORM) -> Floats:
    """Bits of information at each position: ``Σ p log2(p / background)``, shape (width,).

    With the uniform background this is the height of the sequence logo, 0 to 2 bits.
    """
    probabilities = pwm.probabilities
    ratio = np.where(probabilities > 0, probabilities / _checked(background), 1.0)
    return np.asarray((probabilities * np.log2(ratio)).sum(axis=1))


def log_odds(pwm: PWM, background: Sequence[float] = UNIFORM, pseudocount: float = 0.001) -> Floats:
    """Log2 of probability over background, shape (width, 4).

    Parameters
    ----------
    background : four floats
        Letter frequencies A, C, G, T; all above 0.
    pseudocount : float
        Share of the background mixed into each position (0 to 1), so that zeros stay finite:
        ``p' = (1 − s) p + s · background``. With 0, impossible letters score −inf.
    """
    frequencies = _checked(background)
    mixed = (1 - pseudocount) * pwm.probabilities + pseudocount * frequencies
    with np.errstate(divide="ignore"):
        return np.asarray(np.log2(mixed / frequencies))


def reverse_complement_pwm(pwm: PWM) -> PWM:
    """The same motif read on the other strand."""
    return replace(pwm, probabilities=pwm.probabilities[::-1, ::-1])


def consensus(pwm: PWM) -> str:
    """IUPAC consensus by Cavener's rules (1987).

    One letter above 0.5 and more than twice the second; two letters together above 0.75; three
    when the fourth is absent; else N.
    """
    letters = []
    for row in pwm.probabilities:
        order = np.argsort(-row, kind="stable")
        first, second, third, fourth = row[order]
        if first > 0.5 and first > 2 * second:
            kept = order[:1]
        elif first + second > 0.75 and third < second:
            kept = order[:2]
        elif fourth < 0.01 < third:
            kept = order[:3]
        else:
            kept = order
        letters.append(_IUPAC[int((1 << kept).sum())])
    return "".join(letters)


def trim(pwm: PWM, minimum: float = 0.25, background: Sequence[float] = UNIFORM) -> PWM:
    """Cut positions below ``minimum`` bits off both ends (never the inside, never everything).

    A motif without any position of ``minimum`` bits keeps its most informative one.
    """
    bits = information_content(pwm, background)
    good = np.flatnonzero(bits >= min(minimum, float(bits.max())))
    kept = pwm.probabilities[good[0] : good[-1] + 1]
    return replace(pwm, probabilities=kept, threshold=None)


def _checked(background: Sequence[float]) -> Floats:
    frequencies = np.asarray(background, dtype=np.float64)
    if frequencies.shape != (4,) or not (frequencies > 0).all():
        raise InputError(f"expected four background frequencies above 0, found {background!r}")
    if abs(frequencies.sum() - 1) > 0.01:
        raise InputError(f"expected background frequencies that sum to 1, found {background!r}")
    return frequencies / frequencies.sum()
