"""The motifs that a strategy puts beside a network: given, or found in the training part."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.motifs.pwm import PWM, consensus
from cistransfer.training.strategy import Strategy

__all__ = ["ENOUGH_TO_FIND", "choose_motifs", "motif_facts"]

ENOUGH_TO_FIND = 200
"""Bound training examples from which motifs are searched for beside given ones. A motif fits the
examples that it was found in better than others, so with fewer the head trusts it too much and
the known motif alone does better (docs/results.md)."""

_MOST = 3


def choose_motifs(
    examples: ExampleSet, strategy: Strategy, given: Sequence[PWM], *, seed: int
) -> list[PWM]:
    """Motifs for a strategy: none, the given ones, or de novo ones of the training part.

    Raises
    ------
    InputError
        When the strategy needs given motifs and there are none, or does not use the given ones,
        or several tasks would share de novo motifs.
    """
    if strategy.motifs == "none":
        if given and not (strategy.initialise and strategy.initialise.given):
            raise InputError(f"strategy {strategy.name!r} does not use motifs; choose another one")
        return []
    if strategy.motifs == "given" and not given:
        raise InputError(f"strategy {strategy.name!r} needs the TF's motifs (--motifs FILE)")
    rows = examples.rows("train")
    bound = int((np.asarray(examples.labels[rows]) == 1).any(axis=1).sum())
    if strategy.motifs == "given" or (
        given and strategy.motifs == "both" and bound < ENOUGH_TO_FIND
    ):
        return list(given)
    if len(examples.tasks) != 1:
        raise InputError("de novo motifs need examples of one task")
    from cistransfer.motifs.denovo import find_motifs

    found = find_motifs(
        np.asarray(examples.codes[rows]),
        np.asarray(examples.labels[rows, 0]),
        n_motifs=_MOST,
        hold_out=0.0,
        seed=seed,
    )
    return [*(given if strategy.motifs == "both" else ()), *(each.pwm for each in found)]


def motif_facts(pwm: PWM) -> dict[str, Any]:
    """A motif for the record: name, consensus and a hash of its probabilities."""
    digest = hashlib.sha256(np.ascontiguousarray(pwm.probabilities).tobytes()).hexdigest()
    return {"name": pwm.alt_name or pwm.name, "consensus": consensus(pwm), "sha256": digest}
