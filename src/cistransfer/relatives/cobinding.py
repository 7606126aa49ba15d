"""Co-binding: cosine similarity of binding vectors over the regions resolved for both TFs.

Novakovsky et al. 2021 (Fig. 2): co-bound / √(bound A · bound B), every count restricted to the
regions that are resolved for A and for B.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.relatives.vectors import BindingVectors, pack

__all__ = ["CoBinding", "cobinding", "cobinding_with"]

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class CoBinding:
    """Co-binding of every pair of TFs.

    Attributes
    ----------
    tfs : tuple of str
    rule : str
        The view of the matrix.
    cosine : ndarray of float64, shape (n, n)
        Symmetric; NaN where one of the two binds no region resolved for both.
    cobound : ndarray of int64, shape (n, n)
        Regions that both bind.
    bound : ndarray of int64, shape (n, n)
        ``bound[a, b]``: regions bound by ``a`` that are resolved for ``b``.
    resolved : ndarray of int64, shape (n, n)
        Regions resolved for both.
    """

    tfs: tuple[str, ...]
    rule: str
    cosine: NDArray[np.float64] = field(repr=False)
    cobound: Counts = field(repr=False)
    bound: Counts = field(repr=False)
    resolved: Counts = field(repr=False)

    def table(self) -> pd.DataFrame:
        """Return the cosines as a table with TFs as rows and columns."""
        return pd.DataFrame(self.cosine, index=list(self.tfs), columns=list(self.tfs))


def cobinding(vectors: BindingVectors) -> CoBinding:
    """Co-binding of all pairs at once: sparse and packed products, no dense matrix.

    Notes
    -----
    With n TFs, b bound cells in all and r regions: b·n look-ups and n²·r/128 word operations;
    seconds for 163 TFs × 1.8 million regions.
    """
    from scipy.sparse import csr_matrix

    n = len(vectors.tfs)
    counts = vectors.bound_counts()
    indptr = np.concatenate([[0], np.cumsum(counts)])
    rows = np.concatenate([*vectors.bound, np.empty(0, np.int32)])
    ones = np.ones(len(rows), dtype=np.int32)
    bound_by = csr_matrix((ones, rows, indptr), shape=(n, vectors.n_regions))
    cobound = (bound_by @ bound_by.T).toarray().astype(np.int64)
    bound, resolved = np.zeros((2, n, n), dtype=np.int64)
    binding = np.flatnonzero(counts)
    for b, tf in enumerate(vectors.tfs):
        known = vectors.is_resolved(tf)[rows].view(np.uint8)
        if len(binding):
            bound[binding, b] = np.add.reduceat(known, indptr[binding], dtype=np.int64)
        for a in range(b + 1):
            both = np.bitwise_count(vectors.resolved[a] & vectors.resolved[b])
            resolved[a, b] = resolved[b, a] = int(both.sum())
    return CoBinding(
        vectors.tfs, vectors.rule, _cosine(cobound, bound, bound.T), cobound, bound, resolved
    )


def cobinding_with(
    vectors: BindingVectors, bound: NDArray[np.bool_], resolved: NDArray[np.bool_]
) -> pd.DataFrame:
    """Co-binding of one binding vector (a TF's, or a user's own peaks) with every TF.

    Parameters
    ----------
    vectors : BindingVectors
    bound, resolved : ndarray of bool, shape (n_regions,)
        Where the target binds, and where it is known whether it does; what is bound is resolved.

    Returns
    -------
    DataFrame
        Indexed by TF: ``cosine`` (float64, NaN where one of the two binds nothing that is
        resolved for both), ``cobound`` and ``resolved`` (int64, regions).
    """
    known = bound | resolved
    words, target = pack(known), pack(bound)
    cobound = np.array([bound[rows].sum() for rows in vectors.bound], dtype=np.int64)
    theirs = np.array([known[rows].sum() for rows in vectors.bound], dtype=np.int64)
    ours = np.bitwise_count(vectors.resolved & target).sum(axis=1, dtype=np.int64)
    common = np.bitwise_count(vectors.resolved & words).sum(axis=1, dtype=np.int64)
    return pd.DataFrame(
        {"cosine": _cosine(cobound, theirs, ours), "cobound": cobound, "resolved": common},
        index=list(vectors.tfs),
    )


def _cosine(cobound: Counts, a: Counts, b: Counts) -> NDArray[np.float64]:
    size = np.sqrt(a.astype(np.float64) * b)
    empty = size == 0
    return np.where(empty, np.nan, cobound / np.where(empty, 1.0, size))
