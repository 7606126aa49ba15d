"""How the published matrices turn scores into states."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

__all__ = ["RULES", "as_float"]

RULES = MappingProxyType(
    {
        "sparse": (-1, 0, -1, -1, 1),
        "less-sparse": (-1, 0, 0, 0, 1),
        "full": (0, 0, 0, 0, 1),
        "peaks-only": (-1, 0, 1, 0, 1),
        "peaks-only-full": (0, 0, 1, 0, 1),
    }
)
"""State of each published score 0 … 4 (its maximum over cells): 1 bound, 0 unbound, −1 unresolved.

``sparse``, ``less-sparse`` and ``full`` are the published ReMap+UniBind matrices of these names,
``peaks-only`` and ``peaks-only-full`` the published ReMap.sparse and ReMap.full.
"""


def as_float(states: NDArray[np.int8]) -> NDArray[np.float64]:
    """States as the published arrays hold them: 1.0, 0.0 and NaN for unresolved."""
    return np.where(states < 0, np.nan, states.astype(np.float64))
