"""The leakage guard: what the trunk has seen must not test the model made from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.genome.intervals import overlaps_any

__all__ = ["GUARDS", "leaking"]

GUARDS = ("heldout", "all", "off")
"""``heldout``: drop test regions that overlap a region the trunk trained or validated on, and
validation regions that overlap one it trained on (the default of splits by chromosome).
``all``: drop every region that overlaps one the trunk trained or validated on (the published
rule, and the default of random splits). ``off``: drop nothing."""


def leaking(
    regions: pd.DataFrame,
    parts: NDArray[np.object_],
    trunk_regions: pd.DataFrame | None,
    guard: str,
) -> NDArray[np.bool_]:
    """Which regions the guard drops.

    Parameters
    ----------
    regions : DataFrame
        Region table of n candidate examples.
    parts : ndarray of str, shape (n,)
    trunk_regions : DataFrame or None
        Region table with ``part`` from the trunk's bundle; None without a trunk.
    guard : str
        One of `GUARDS`.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    if guard not in GUARDS:
        raise InputError(f"no leakage guard {guard!r}; there are: {', '.join(GUARDS)}")
    if trunk_regions is None or guard == "off":
        return np.zeros(len(regions), dtype=bool)
    seen = overlaps_any(regions, trunk_regions)
    if guard == "all":
        return seen
    trained = overlaps_any(regions, trunk_regions[trunk_regions["part"] == "train"])
    return np.where(parts == "test", seen, (parts == "valid") & trained)
