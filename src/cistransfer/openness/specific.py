"""Which regions are open in exactly one of the chosen cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.openness.regions import OpenRegions

__all__ = ["CATEGORIES", "open_in", "specific_regions"]

CATEGORIES = ("shared", "universal", "other", "closed")
"""What a region is that is not specific to one of k chosen cells: open in 2 to k − 1 of them, in
all k, in none of them but in another cell, in no cell that is known."""


def open_in(opened: OpenRegions, cells: Sequence[str]) -> NDArray[np.int64]:
    """In how many of some cells each region is open, shape (n_regions,).

    Raises
    ------
    InputError
        For a cell that is not known or named twice.
    """
    number = np.zeros(len(opened.regions), dtype=np.int64)
    for at, cell in enumerate(cells):
        if cell not in opened.open:
            raise InputError(
                f"no cell {cell!r} among the open regions; {nearest(cell, opened.open)}"
            )
        if cell in cells[:at]:
            raise InputError(f"cell {cell!r} is named twice among the chosen cells")
        number += opened.open[cell]
    return number


def specific_regions(opened: OpenRegions, chosen: Sequence[str]) -> pd.Series:
    """Category of each region with respect to some chosen cells.

    A chosen cell's name where the region is open in exactly that one of them (whatever it is in
    other cells), else one of `CATEGORIES`. Salvatore et al. 2023, Methods: the cell-specific
    positives are open in exactly one of six lines. Of one chosen cell, what is open is its own;
    of two, nothing is shared without being universal.

    Parameters
    ----------
    chosen : sequence of str
        At least one cell.

    Returns
    -------
    Series of categorical, shape (n_regions,)
        In the order of ``opened.regions``.

    Raises
    ------
    InputError
        For no chosen cell, one that is not known, or one with a category's name.
    """
    if not chosen:
        raise InputError("expected at least one chosen cell, found none")
    for cell in chosen:
        if cell in CATEGORIES:
            raise InputError(f"a cell cannot have the name of a category of regions: {cell!r}")
    number = open_in(opened, chosen)
    names = [*chosen, *CATEGORIES]
    code = np.full(len(number), names.index("closed"), dtype=np.int32)
    for cell in set(opened.open) - set(chosen):
        code[opened.open[cell]] = names.index("other")
    code[number > 1] = names.index("shared")
    code[number == len(chosen)] = names.index("universal")
    for at, cell in enumerate(chosen):
        code[(number == 1) & opened.open[cell]] = at
    return pd.Series(pd.Categorical.from_codes(code.tolist(), names), name="category")
