"""Marginal effects: what planting a motif, or two at a distance, does to a prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from cistransfer.errors import InputError
from cistransfer.genome.codes import N, reverse_complement
from cistransfer.genome.shuffle import dinucleotide_shuffle
from cistransfer.models.score import score_codes
from cistransfer.motifs.pwm import PWM

__all__ = ["best_site", "marginal_effects", "neutral_sequences", "spacing_effects"]

Codes = NDArray[np.uint8]


def best_site(pwm: PWM) -> Codes:
    """The motif's most probable site as codes, (width,)."""
    return np.asarray(pwm.probabilities.argmax(axis=1), np.uint8)


def neutral_sequences(codes: Codes, n: int = 100, *, seed: int = 0) -> Codes:
    """Sequences without the motifs of real ones: dinucleotide shuffles of a sample of them."""
    clean = codes[(codes < N).all(axis=1)]
    if not len(clean):
        raise InputError("expected at least one sequence without N to shuffle, found none")
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(clean), size=n, replace=n > len(clean))
    return dinucleotide_shuffle(clean[rows], 1, seed=seed)[:, 0]


def marginal_effects(
    model: nn.Module, background: Codes, motifs: Sequence[PWM], *, task: int = 0
) -> pd.DataFrame:
    """Change of a task's logit by each motif's best site in the middle of neutral sequences.

    Parameters
    ----------
    model : nn.Module
    background : ndarray of uint8, shape (n, length)
        From `neutral_sequences`.
    motifs : sequence of PWM
    task : int

    Returns
    -------
    DataFrame
        One row per motif: ``motif``, ``name``, ``site``, ``effect`` (mean change of the logit, the
        motif on either strand in turn), ``sd`` (over sequences), ``n``.
    """
    from cistransfer.genome.codes import decode

    before = score_codes(model, background, strands="both")[:, task]
    rows = []
    for pwm in motifs:
        site = best_site(pwm)
        start = _middle(background.shape[1], len(site), pwm.name)
        changes = []
        for planted in (site, reverse_complement(site)):
            changed = background.copy()
            changed[:, start : start + len(site)] = planted
            changes.append(score_codes(model, changed, strands="both")[:, task] - before)
        change = np.mean(changes, axis=0)
        rows.append(
            (pwm.name, pwm.alt_name, decode(site), change.mean(), change.std(), len(background))
        )
    return pd.DataFrame(rows, columns=["motif", "name", "site", "effect", "sd", "n"])


def spacing_effects(
    model: nn.Module,
    background: Codes,
    first: PWM,
    second: PWM,
    *,
    task: int = 0,
    largest: int = 40,
) -> pd.DataFrame:
    """What a second motif adds to a first one, at every distance, side and orientation.

    The first motif stands in the middle of neutral sequences. ``interaction`` is the change by
    both minus the changes by each alone at the same places: 0 when the model only adds them up.

    Parameters
    ----------
    largest : int
        Largest gap, bp between the end of one site and the start of the other.

    Returns
    -------
    DataFrame
        ``gap``, ``side`` (after or before the first motif, in its direction), ``orientation`` (of
        the second relative to the first: same or opposite), ``effect`` (change of the logit by
        both), ``alone`` (sum of the changes by each), ``interaction``.
    """
    a, b = best_site(first), best_site(second)
    length = background.shape[1]
    at = _middle(length, len(a), first.name)
    plain = score_codes(model, background, strands="both")[:, task].mean()
    with_first = background.copy()
    with_first[:, at : at + len(a)] = a
    effect_a = score_codes(model, with_first, strands="both")[:, task].mean() - plain
    rows = []
    for orientation, site in (("same", b), ("opposite", reverse_complement(b))):
        for side in ("after", "before"):
            for gap in range(largest + 1):
                start = at + len(a) + gap if side == "after" else at - gap - len(b)
                if start < 0 or start + len(b) > length:
                    continue
                scores = []
                for base in (background, with_first):
                    changed = base.copy()
                    changed[:, start : start + len(b)] = site
                    scores.append(score_codes(model, changed, strands="both")[:, task].mean())
                alone = effect_a + scores[0] - plain
                effect = scores[1] - plain
                rows.append((gap, side, orientation, effect, alone, effect - alone))
    if not rows:
        raise InputError(
            f"motifs {first.name} and {second.name} do not fit side by side in {length} bp"
        )
    columns = ["gap", "side", "orientation", "effect", "alone", "interaction"]
    return pd.DataFrame(rows, columns=columns)


def _middle(length: int, width: int, name: str) -> int:
    if width > length:
        raise InputError(f"motif {name!r} is {width} bp wide; the sequences are {length} bp long")
    return (length - width) // 2
