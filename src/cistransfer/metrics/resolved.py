"""Which rows a metric may look at, and whether it can be computed at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cistransfer.errors import InputError

__all__ = ["evaluable", "resolved", "why_not_evaluable"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def _as_labels(labels: ArrayLike, name: str = "labels") -> NDArray[Any]:
    """Return the labels as a 1-d array of -1, 0, 1 or raise."""
    array = np.asarray(labels)
    if array.ndim != 1:
        raise InputError(f"{name}: expected one dimension (n,), found shape {array.shape}")
    if array.dtype == np.bool_:
        return array.astype(np.int8)
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name}: expected numbers 1, 0 or -1, found {array.dtype}")
    wrong = ~((array == 0) | (array == 1) | (array == -1))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{name}: row {row} is {array[row]}; expected 1 (bound), 0 (not) or -1 (unresolved)"
        )
    return array.astype(np.int8, copy=False)


def why_not_evaluable(labels: ArrayLike) -> str:
    """Say why no ranking metric exists for these labels; an empty text when one does.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
        -1 is unresolved and ignored.
    """
    array = _as_labels(labels)
    positives, negatives = int((array == 1).sum()), int((array == 0).sum())
    if positives + negatives == 0:
        return "no resolved rows"
    if positives == 0:
        return f"no positives among {negatives} resolved rows"
    if negatives == 0:
        return f"no negatives among {positives} resolved rows"
    return ""


def evaluable(labels: ArrayLike) -> bool:
    """Whether the labels hold at least one positive and one negative (-1 is ignored)."""
    return not why_not_evaluable(labels)


def resolved(
    labels: ArrayLike,
    scores: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    both_classes: bool = True,
    finite: bool = False,
    names: Sequence[str] = ("labels", "scores"),
) -> tuple[Bools, Floats, Floats | None]:
    """Drop the unresolved rows and refuse what no metric is defined on.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
    scores : array of float, shape (n,)
        Higher means more likely bound; any scale.
    weights : array of float, shape (n,), optional
        Weight of each row (not negative).
    both_classes : bool
        Refuse labels of one class only.
    finite : bool
        Refuse infinite scores too (NaN is always refused).
    names : pair of str
        What to call the two arrays in error messages.

    Returns
    -------
    tuple of (bool, float64, float64 or None), each of shape (resolved,)

    Raises
    ------
    InputError
        On wrong shapes or labels, NaN scores, no resolved rows or one class only.
    """
    array = _as_labels(labels, names[0])
    values = np.asarray(scores)
    if values.dtype.kind not in "iufb":
        raise InputError(f"{names[1]}: expected numbers, found {values.dtype}")
    if values.shape != array.shape:
        raise InputError(
            f"{names[1]}: expected shape {array.shape} like {names[0]}, found {values.shape}"
        )
    keep = array >= 0
    truth = array[keep] == 1
    kept = values[keep].astype(np.float64)
    bad = ~np.isfinite(kept) if finite else np.isnan(kept)
    if bad.any():
        row = int(np.flatnonzero(keep)[np.argmax(bad)])
        raise InputError(
            f"{names[1]}: {int(bad.sum())} of {bad.size} are not numbers, the first in row {row} "
            f"({values[row]}); expected a {'finite ' if finite else ''}score for every resolved row"
        )
    if both_classes or truth.size == 0:
        why = why_not_evaluable(array)
        if why:
            raise InputError(f"{names[0]}: {why}; expected at least one positive and one negative")
    if weights is None:
        return truth, kept, None
    mass = np.asarray(weights, dtype=np.float64)
    if mass.shape != array.shape:
        raise InputError(f"weights: expected shape {array.shape}, found {mass.shape}")
    mass = mass[keep]
    if not np.isfinite(mass).all() or (mass < 0).any():
        raise InputError("weights: expected finite numbers that are not negative")
    classes = (truth, ~truth) if both_classes else (np.ones_like(truth),)
    if any(mass[members].sum() <= 0 for members in classes):
        raise InputError("weights: expected some weight on each class, found none")
    return truth, kept, mass
