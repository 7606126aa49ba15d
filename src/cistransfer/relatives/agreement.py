"""How well two sources of binding modes agree on which TFs belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from cistransfer.errors import InputError
from cistransfer.relatives.modes import BindingModes

__all__ = ["Agreement", "mode_agreement"]


@dataclass(frozen=True)
class Agreement:
    """Agreement over pairs of TFs.

    Attributes
    ----------
    tfs : int
        TFs that have a mode in both sources.
    both, only_modes, only_reference : int
        Pairs of them that share a mode in both sources, or in one.
    precision : float
        Of the pairs that share a mode, the share that does in the reference too.
    recall : float
        Of the pairs that share one in the reference, the share that does here.
    kappa : float
        Cohen's kappa over all pairs: 1 equal, 0 chance. For sources without TFs in several modes
        it is the adjusted Rand index (Warrens 2008).
    """

    tfs: int
    both: int
    only_modes: int
    only_reference: int
    precision: float
    recall: float
    kappa: float


def mode_agreement(modes: BindingModes, reference: BindingModes, tfs: Sequence[str]) -> Agreement:
    """Compare two sources of binding modes over the TFs that both know.

    Raises
    ------
    InputError
        When fewer than two of the TFs are in both.
    """
    known = sorted({tf for tf in tfs if modes.of(tf) and reference.of(tf)})
    if len(known) < 2:
        raise InputError(
            f"{modes.source} and {reference.source} have {len(known)} of the {len(tfs)} TFs in "
            "common; at least 2 are needed to compare them"
        )
    both = ours = theirs = pairs = 0
    for a, b in combinations(known, 2):
        here = bool(modes.of(a) & modes.of(b))
        there = bool(reference.of(a) & reference.of(b))
        both += here and there
        ours += here
        theirs += there
        pairs += 1
    agreed = (pairs - ours - theirs + 2 * both) / pairs
    chance = (ours * theirs + (pairs - ours) * (pairs - theirs)) / pairs**2
    return Agreement(
        tfs=len(known),
        both=both,
        only_modes=ours - both,
        only_reference=theirs - both,
        precision=both / ours if ours else 0.0,
        recall=both / theirs if theirs else 0.0,
        kappa=1.0 if agreed == 1 else (agreed - chance) / (1 - chance),
    )
