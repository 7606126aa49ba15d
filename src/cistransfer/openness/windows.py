"""Windows of one width on open regions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cistransfer.binding.windowing import OpenRegions, make_windows

__all__ = ["open_windows"]

_LISTED = "\0listed"


def open_windows(
    opened: OpenRegions, window: int, *, exclude: Sequence[pd.DataFrame] = ()
) -> tuple[OpenRegions, dict[str, int]]:
    """Cut windows on the centres of all listed regions, sorted, equal ones merged.

    Parameters
    ----------
    opened : OpenRegions
    window : int
        Width in bp.
    exclude : sequence of DataFrame
        Windows that share a base with one of these regions (blacklist) are left out.

    Returns
    -------
    windows : OpenRegions
        By chromosome name and start. Regions that are open in no known cell are kept.
    left_out : dict of str → int
        How many went where.
    """
    everywhere = np.ones(len(opened.regions), dtype=bool)
    regions, cells, bits, left_out = make_windows(
        OpenRegions(opened.regions, {**opened.open, _LISTED: everywhere}), window, exclude=exclude
    )
    states = np.unpackbits(bits, axis=1, count=len(regions)).view(np.bool_)
    return OpenRegions(
        regions, {cell: row for cell, row in zip(cells, states, strict=True) if cell != _LISTED}
    ), left_out
