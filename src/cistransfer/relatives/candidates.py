"""What speaks for each TF of the matrix as a relative of a target: one row of evidence each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from cistransfer.binding.facts.cobinding import BindingVectors
from cistransfer.relatives.modes import BindingModes
from cistransfer.relatives.partners import Partners
from cistransfer.relatives.target import Target

__all__ = ["candidates", "widen"]


def candidates(
    vectors: BindingVectors,
    target: Target | None,
    modes: BindingModes | None,
    partners: Partners | None,
    target_modes: Iterable[str] | None = None,
) -> pd.DataFrame:
    """Collect the evidence for every TF of the matrix, the target included.

    Parameters
    ----------
    vectors : BindingVectors
    target : Target or None
    modes, partners : optional
    target_modes : iterable of str, optional
        Modes to take for the target instead of its own.

    Returns
    -------
    DataFrame
        Indexed by TF (``tf``), in the order of the matrix: ``modes`` (tuple of str, of the TF),
        ``shared`` (tuple of str, modes shared with the target), ``cosine`` (float64, NaN
        unknown), ``partner`` (float64, score, NaN none), ``bound`` and ``resolved`` (int64,
        regions), ``resolved_with_target`` (float64, regions resolved for both, NaN unknown).
    """
    tfs = list(vectors.tfs)
    own = frozenset(target_modes if target_modes is not None else target.modes if target else ())
    of = {tf: modes.of(tf) if modes is not None else frozenset() for tf in tfs}
    scores = partners.of(target.name) if target is not None and partners is not None else {}
    table = pd.DataFrame(
        {
            "modes": [tuple(sorted(of[tf])) for tf in tfs],
            "shared": [tuple(sorted(of[tf] & own)) for tf in tfs],
            "cosine": np.nan,
            "partner": [scores.get(tf.upper(), np.nan) for tf in tfs],
            "bound": vectors.bound_counts(),
            "resolved": vectors.resolved_counts(),
            "resolved_with_target": np.nan,
        },
        index=pd.Index(tfs, name="tf"),
    ).astype({"partner": np.float64})
    if target is not None and target.cobinding is not None:
        table["cosine"] = target.cobinding["cosine"]
        if "resolved" in target.cobinding:
            table["resolved_with_target"] = target.cobinding["resolved"].astype(np.float64)
    return table


def widen(
    modes: BindingModes, own: Iterable[str], target: Target, tfs: Iterable[str]
) -> tuple[BindingModes, frozenset[str]] | None:
    """The next larger groups and the target's among them; None when the source has none.

    A target that the source does not name (its motif was matched) goes with the TFs of its mode.
    """
    if modes.wider is None:
        return None
    wider = modes.wider
    found = wider.of(target.name)
    if not found:
        kin = modes.members(own, list(tfs))
        found = frozenset[str]().union(*(wider.of(tf) for tf in kin))
    return (wider, found) if found else None
