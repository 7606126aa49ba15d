"""The motifs that a strategy puts beside a network: given, or found in the training part."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cistransfer.cpus import one_thread
from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.models.score import at_once
from cistransfer.motifs.denovo import find_motifs
from cistransfer.motifs.pwm import PWM, UNIFORM, consensus
from cistransfer.training.strategy import Strategy

__all__ = ["ENOUGH_TO_FIND", "choose_motifs", "folds_of", "motif_facts"]

ENOUGH_TO_FIND = 200
"""Bound training examples that are many. With fewer, motifs that were found in all of them are not
read beside given ones (a motif fits the examples that it was found in better than others, and the
head trusts it too much), and only the best motif of each fold is read; with as many, the second and
third also help, and half the folds do (docs/results.md)."""

UNBOUND_TO_FIND, MOST_UNBOUND_TO_FIND = 5, 500
"""Unbound examples that motifs are searched against: so many per bound one, and so many in all,
where the part ``extra`` has them. The training part's own are always among them."""

_MAX_FOUND = 3
_NOTHING = PWM("none", np.array([UNIFORM]))  # occupies every sequence alike


def choose_motifs(
    examples: ExampleSet, strategy: Strategy, given: Sequence[PWM], *, seed: int
) -> tuple[list[PWM], dict[str, int]]:
    """Motifs for a strategy: none, the given ones, or de novo ones of the training part.

    With ``motif_folds`` motifs are searched in the training part without each of the folds of
    `folds_of` in turn, beside unbound regions of the part ``extra``, so that there are up to
    `UNBOUND_TO_FIND` unbound per bound one; where a fold finds fewer, one uninformative position
    stands for a motif.

    Returns
    -------
    motifs : list of PWM
        Given ones first.
    bags : dict
        Empty, or ``bags`` and ``folds`` of `cistransfer.models.model.MotifFeatures`:
        the best motif of every fold, then the second of every fold …

    Raises
    ------
    InputError
        When the strategy needs given motifs and there are none, or does not use the given ones,
        or several tasks would share de novo motifs.
    """
    if strategy.motifs == "none":
        if given and not (strategy.initialise and strategy.initialise.given):
            raise InputError(f"strategy {strategy.name!r} does not use motifs; choose another one")
        return [], {}
    if strategy.motifs == "given" and not given:
        raise InputError(f"strategy {strategy.name!r} needs the TF's motifs (--motifs FILE)")
    rows = examples.learned_rows()
    bound = int((np.asarray(examples.labels[rows]) == 1).any(axis=1).sum())
    many = bound >= ENOUGH_TO_FIND
    few = strategy.motif_folds is None and not many
    if strategy.motifs == "given" or (given and strategy.motifs == "both" and few):
        return list(given), {}
    if len(examples.tasks) != 1:
        raise InputError("de novo motifs need examples of one task")
    kept = list(given) if strategy.motifs == "both" else []
    codes, labels = np.asarray(examples.codes[rows]), np.asarray(examples.labels[rows, 0])
    looked = _searched(labels, len(examples.rows("train")), seed)
    folds, n_motifs = strategy.motif_folds, 1
    if folds is None or many:
        n_motifs = _MAX_FOUND

    def search(inside: NDArray[np.int64]) -> list[PWM]:
        found = find_motifs(
            codes[inside],
            labels[inside],
            n_motifs=n_motifs,
            hold_out=0.0,
            engine=strategy.engine,
            seed=seed,
        )
        return [each.pwm for each in found]

    if folds is None:
        return [*kept, *search(looked)], {}
    fold = folds_of(labels, max(2, folds // 2) if many else folds, seed)
    learned = [looked[fold[looked] != left] for left in range(fold.max() + 1)]
    with one_thread(), at_once(torch.device("cpu"), len(learned)) as run:
        versions = list(run(search, learned))
    bags = max(len(pwms) for pwms in versions)
    by_bag = [
        pwms[bag] if bag < len(pwms) else _NOTHING for bag in range(bags) for pwms in versions
    ]
    return [*kept, *by_bag], {"bags": bags, "folds": len(versions)} if bags else {}


def _searched(labels: NDArray[np.int8], n_train: int, seed: int) -> NDArray[np.int64]:
    """Rows that motifs are searched in: the training part, and unbound ones beside it."""
    train, extra = np.arange(n_train), np.arange(n_train, len(labels))
    unbound = int((labels[train] == 0).sum())
    wanted = min(UNBOUND_TO_FIND * int((labels[train] == 1).sum()), MOST_UNBOUND_TO_FIND)
    taken = np.random.default_rng(seed).permutation(extra)[: max(wanted - unbound, 0)]
    return np.concatenate([train, np.sort(taken)])


def folds_of(labels: NDArray[np.int8], folds: int, seed: int) -> NDArray[np.int64]:
    """Fold of each example, with the classes shared out evenly; fewer folds in small classes."""
    known = [int((labels == value).sum()) for value in (0, 1)]
    folds = max(2, min(folds, *known))
    rng = np.random.default_rng(seed)
    fold = np.zeros(len(labels), dtype=np.int64)
    for value in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == value))
        fold[rows] = np.arange(len(rows)) % folds
    return fold


def motif_facts(pwm: PWM) -> dict[str, Any]:
    """A motif for the record: name, consensus and a hash of its probabilities."""
    digest = hashlib.sha256(np.ascontiguousarray(pwm.probabilities).tobytes()).hexdigest()
    return {"name": pwm.label, "consensus": consensus(pwm), "sha256": digest}
