"""Binding modes computed from motifs: all-against-all Tomtom, then hierarchical clustering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.motifs.compare import compare
from cistransfer.motifs.names import motif_tfs
from cistransfer.motifs.pwm import PWM
from cistransfer.relatives.modes import BindingModes, modes_from_pairs
from cistransfer.relatives.options import CUT

__all__ = ["cluster_modes", "strengths"]

_MOST = 10.0  # -log10 p from which matches are equally strong


def cluster_modes(
    profiles: Sequence[PWM],
    tfs: Sequence[str] | None = None,
    *,
    cut: float = CUT,
    n_jobs: int = -1,
) -> BindingModes:
    """Cluster motifs into binding modes.

    Every motif is matched against every other (Tomtom); the similarity of two is the mean of
    −log10 p both ways, at most 10; average linkage; clusters are cut at ``cut``. A TF is in the
    mode of each of its motifs, and a heterodimer's motif counts for both partners.

    Parameters
    ----------
    profiles : sequence of PWM
        For instance JASPAR's.
    tfs : sequence of str, optional
        Use only profiles of these TFs (names regardless of case); all when not given.
    cut : float
        −log10 p at which clusters are cut (see `CUT`); smaller gives larger modes.
    n_jobs : int
        Threads of Tomtom; −1 for all.

    Returns
    -------
    BindingModes
        Modes are numbered from the one with most TFs. ``wider`` holds the clusters of the same
        tree at ``cut`` − 1, and so on above 0.

    Raises
    ------
    InputError
        When no profile is of these TFs, for a cut outside 0 … 10, and without memelite.
    """
    if not 0 < cut < _MOST:
        raise InputError(f"the cut is −log10 of a p-value between 0 and {_MOST:g}, found {cut:g}")
    wanted = None if tfs is None else {tf.upper() for tf in tfs}
    kept = [pwm for pwm in profiles if wanted is None or wanted & set(motif_tfs(pwm))]
    if not kept:
        raise InputError(
            f"none of the {len(profiles)} motifs is named after one of the TFs "
            f"({', '.join(list(tfs or ())[:5])}, …)"
        )
    strength = strengths(kept, kept, n_jobs)
    strength = (strength + strength.T) / 2
    modes: BindingModes | None = None
    for level in [*np.arange(cut - 1, 0, -1)[::-1], cut]:
        labels = _labels(strength, float(level))
        modes = replace(_modes(kept, labels, wanted, float(level)), wider=modes)
    assert modes is not None
    return modes


def strengths(
    queries: Sequence[PWM], targets: Sequence[PWM], n_jobs: int = -1
) -> NDArray[np.float64]:
    """−log10 of Tomtom's p of every query against every target, 0 … 10; 0 for flat queries."""
    # The p-values that clusters are cut at are Tomtom's own: no shuffles to calibrate them.
    table = compare(queries, targets, max_shuffles=1, n_jobs=n_jobs)
    strength = np.zeros((len(queries), len(targets)))
    p = np.maximum(table["p"].to_numpy(np.float64), 10.0**-_MOST)
    strength[table["query"], table["target"]] = np.maximum(-np.log10(p), 0.0)
    return strength


def _labels(strength: NDArray[np.float64], cut: float) -> NDArray[np.int64]:
    if len(strength) == 1:
        return np.ones(1, dtype=np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distance = _MOST - strength
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average")
    return np.asarray(fcluster(tree, _MOST - cut, "distance"), dtype=np.int64)


def _modes(
    profiles: Sequence[PWM], labels: NDArray[np.int64], wanted: set[str] | None, cut: float
) -> BindingModes:
    members: dict[int, dict[str, int]] = {}
    for pwm, label in zip(profiles, labels, strict=True):
        counts = members.setdefault(int(label), {})
        for tf in motif_tfs(pwm):
            if wanted is None or tf in wanted:
                counts[tf] = counts.get(tf, 0) + 1
    order = sorted(members, key=lambda label: (-len(members[label]), sorted(members[label])))
    number = {label: str(place) for place, label in enumerate(order, start=1)}
    titles = {}
    for label, counts in members.items():
        first = sorted(counts, key=lambda tf: (-counts[tf], tf))[:3]
        titles[number[label]] = "/".join(first) + ("…" if len(counts) > 3 else "")
    pairs = [(tf, number[label]) for label in order for tf in members[label]]
    made = modes_from_pairs(
        f"{len(profiles)} motifs clustered at Tomtom p = 1e-{cut:g}", pairs, titles
    )
    return replace(
        made,
        profiles=tuple(profiles),
        profile_modes=tuple(number[int(label)] for label in labels),
        cut=cut,
    )
