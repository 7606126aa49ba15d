"""All baselines by name, behind one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cistransfer.baselines.fitted import Fitted
from cistransfer.baselines.gc import fit_gc
from cistransfer.baselines.kmer import fit_kmer
from cistransfer.baselines.lsgkm import fit_lsgkm
from cistransfer.baselines.motif import fit_denovo, fit_mode_motif, fit_motif
from cistransfer.baselines.prevalence import fit_prevalence
from cistransfer.errors import InputError, nearest
from cistransfer.motifs.pwm import PWM

__all__ = ["BASELINES", "Baseline", "fit_baseline", "score_baseline"]


@dataclass(frozen=True)
class Baseline:
    """One entry of the registry.

    Attributes
    ----------
    name : str
    summary : str
        One line for a help text or a table.
    fit : callable
        ``(codes, labels, seed) → fitted``; of a baseline that ``needs_motifs``,
        ``(codes, labels, pwms, seed) → fitted``.
    needs_motifs : bool
    programs : tuple of str
        Programs that must be on PATH.
    """

    name: str
    summary: str
    fit: Callable[..., Fitted]
    needs_motifs: bool = False
    programs: tuple[str, ...] = ()


BASELINES: dict[str, Baseline] = {
    entry.name: entry
    for entry in (
        Baseline("prevalence", "the share of positives for every sequence", fit_prevalence),
        Baseline("gc", "GC content only", fit_gc),
        Baseline("motif", "sum occupancy of the TF's known motif", fit_motif, needs_motifs=True),
        Baseline(
            "mode-motif",
            "the best motif of the other TFs of its binding mode, chosen in training",
            fit_mode_motif,
            needs_motifs=True,
        ),
        Baseline("denovo", "sum occupancy of a motif found in the training set", fit_denovo),
        Baseline("kmer", "logistic regression on 8-mers with mismatches", fit_kmer),
        Baseline(
            "lsgkm", "gapped k-mer SVM (LS-GKM)", fit_lsgkm, programs=("gkmtrain", "gkmpredict")
        ),
    )
}
"""The baselines by name, simplest first."""


def fit_baseline(
    name: str,
    codes: NDArray[np.uint8],
    labels: NDArray[np.int8],
    *,
    seed: int = 0,
    pwms: Sequence[PWM] = (),
) -> Fitted:
    """Fit a baseline on training sequences.

    Parameters
    ----------
    name : str
        A key of `BASELINES`.
    codes : ndarray of uint8, shape (n, length)
    labels : ndarray of int8, shape (n,)
        1 positive, 0 negative, −1 unresolved (left out).
    seed : int
        The same seed gives the same fit.
    pwms : sequence of PWM
        Motifs for the baselines that need some (``motif``, ``mode-motif``); others take no notice.

    Returns
    -------
    Fitted
        Frozen, with ``score(codes) → float64 (n,)`` and ``describe()``.

    Raises
    ------
    InputError
        For an unknown name, too few examples of a class, missing motifs or programs.
    """
    entry = BASELINES.get(name)
    if entry is None:
        raise InputError(f"no baseline {name!r}; {nearest(name, BASELINES)}")
    if entry.needs_motifs:
        return entry.fit(codes, labels, pwms, seed)
    return entry.fit(codes, labels, seed)


def score_baseline(fitted: Fitted, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Score sequences with a fitted baseline: finite, higher = more likely positive."""
    return fitted.score(codes)
