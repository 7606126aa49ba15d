"""Which TFs are resolved together: the published choice, and a true maximiser.

Novakovsky et al. 2021 say that their 50 TFs maximise the regions resolved in all of them; their
notebook takes the 50 TFs with most resolved regions, which is far from the maximum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cistransfer.binding.matrix import BindingMatrix
from cistransfer.binding.maximise import CommonChoice, check_n, maximise_common
from cistransfer.errors import InputError

__all__ = [
    "CommonChoice",
    "common_curve",
    "common_regions",
    "maximise_common",
    "most_resolved",
    "resolved_counts",
]


def resolved_counts(matrix: BindingMatrix, rule: str = "less-sparse") -> dict[str, int]:
    """Number of resolved regions of each TF."""
    return {tf: int((matrix.states(tf, rule) >= 0).sum()) for tf in matrix.tfs}


def common_regions(
    matrix: BindingMatrix, tfs: Sequence[str], rule: str = "less-sparse"
) -> NDArray[np.int64]:
    """Rows of the regions that are resolved in all of the TFs, ascending.

    Raises
    ------
    InputError
        For no TF at all, an unknown TF or rule.
    """
    if not len(tfs):
        raise InputError("common regions of which TFs? none is named")
    common = np.ones(len(matrix), dtype=bool)
    for tf in tfs:
        common &= matrix.states(tf, rule)[:, 0] >= 0
    return np.flatnonzero(common)


def most_resolved(matrix: BindingMatrix, n: int, rule: str = "less-sparse") -> tuple[str, ...]:
    """Choose the ``n`` TFs with most resolved regions (the published rule), best first.

    Ties go by name (the published code leaves them to an unstable sort).
    """
    check_n(matrix, n)
    counts = resolved_counts(matrix, rule)
    return tuple(sorted(counts, key=lambda tf: (-counts[tf], tf))[:n])


def common_curve(
    matrix: BindingMatrix, sizes: Sequence[int], rule: str = "less-sparse"
) -> dict[int, int]:
    """Regions resolved in all of the top-N TFs of the published rule, for each N of ``sizes``."""
    top = most_resolved(matrix, max(1, *sizes), rule)
    common = np.ones(len(matrix), dtype=bool)
    curve = {0: len(matrix)} if 0 in sizes else {}
    for rank, tf in enumerate(top, start=1):
        common &= matrix.states(tf, rule)[:, 0] >= 0
        if rank in sizes:
            curve[rank] = int(common.sum())
    return curve
