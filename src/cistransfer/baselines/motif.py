"""A motif's sum of occupancies: given motifs, or one found in the training sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cistransfer.baselines.fitted import training_rows
from cistransfer.errors import InputError
from cistransfer.metrics.curves import auroc, average_precision
from cistransfer.motifs.denovo import find_motifs
from cistransfer.motifs.pwm import PWM, UNIFORM, consensus
from cistransfer.motifs.scan import sum_occupancy

__all__ = ["BestMotif", "fit_denovo", "fit_mode_motif", "fit_motif", "log_occupancy"]

_FLOOR = 2.0**-150  # below what float32 products can hold


@dataclass(frozen=True)
class BestMotif:
    """One PWM and the background to scan with; no PWM scores every sequence 0."""

    pwm: PWM | None
    background: tuple[float, float, float, float]

    def score(self, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Log2 of the sum occupancy over windows and both strands, shape (n,)."""
        if self.pwm is None:
            return np.zeros(len(codes))
        return log_occupancy(codes, self.pwm, self.background)

    def describe(self) -> str:
        """Say which motif."""
        if self.pwm is None:
            return "no enriched motif"
        names = " ".join(name for name in (self.pwm.name, self.pwm.alt_name) if name)
        return f"{names} ({consensus(self.pwm)})"


def log_occupancy(
    codes: NDArray[np.uint8], pwm: PWM, background: Sequence[float] = UNIFORM
) -> NDArray[np.float64]:
    """Log2 of `sum_occupancy`, finite also for sequences without a window free of N (−150)."""
    return np.log2(np.maximum(sum_occupancy(codes, pwm, background), _FLOOR))


def fit_motif(
    codes: NDArray[np.uint8],
    labels: NDArray[np.int8],
    pwms: Sequence[PWM],
    seed: int = 0,
) -> BestMotif:
    """Choose, of the motifs given (a TF's profiles, or those of its binding mode), the best.

    The best is the one with the highest average precision on the training sequences; a single
    one needs no labels.

    Raises
    ------
    InputError
        Without motifs, or without both classes when there is a choice to make.
    """
    if not pwms:
        raise InputError(
            "baseline motif: expected at least one motif (the TF's JASPAR profile), found none"
        )
    if len(pwms) == 1:
        return BestMotif(pwms[0], UNIFORM)
    codes, positive = training_rows(codes, labels, "motif")
    values = [average_precision(positive, log_occupancy(codes, pwm)) for pwm in pwms]
    return BestMotif(pwms[int(np.argmax(values))], UNIFORM)


def fit_mode_motif(
    codes: NDArray[np.uint8],
    labels: NDArray[np.int8],
    pwms: Sequence[PWM],
    seed: int = 0,
) -> BestMotif:
    """Choose the motif of a relative: of those given, the one with the best AUROC in training.

    What is known of a TF before any profile of it exists. Whoever calls chooses the candidates:
    motifs of the other TFs of its binding mode (`cistransfer.evaluation.baselines.mode_motifs`).

    Raises
    ------
    InputError
        Without motifs or without both classes.
    """
    if not pwms:
        raise InputError(
            "baseline mode-motif: expected motifs of other TFs of the binding mode, found none"
        )
    codes, positive = training_rows(codes, labels, "mode-motif")
    values = [auroc(positive, log_occupancy(codes, pwm)) for pwm in pwms]
    return BestMotif(pwms[int(np.argmax(values))], UNIFORM)


def fit_denovo(
    codes: NDArray[np.uint8],
    labels: NDArray[np.int8],
    seed: int = 0,
    *,
    engine: str = "own",
    max_width: int = 21,
) -> BestMotif:
    """Find the most enriched motif of the training positives against the training negatives.

    The published baseline (protocol D3): no hold-out, at most 21 positions, motif 1 scored by sum
    occupancy. Our own finder, unless ``engine`` says ``"streme"``: what a baseline finds does not
    hang on what is installed (see `cistransfer.motifs.denovo.find_motifs`).
    """
    codes, positive = training_rows(codes, labels, "denovo", fewest=5)
    found = find_motifs(
        codes,
        positive.astype(np.int8),
        n_motifs=1,
        max_width=max_width,
        hold_out=0.0,
        engine=engine,
        seed=seed,
    )
    if not found:
        return BestMotif(None, UNIFORM)
    return BestMotif(found[0].pwm, found[0].background)
