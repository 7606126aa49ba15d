"""Batches of one epoch: which rows, on which strand, moved by how many bp."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cistransfer.genome.codes import N
from cistransfer.training.strategy import Phase

__all__ = ["Draw", "draws", "epoch_seed", "shifted", "steps_in_epoch"]


def epoch_seed(seed: int, phase: int, epoch: int) -> int:
    """Seed of everything that an epoch draws."""
    return int(np.random.SeedSequence([seed, phase, epoch]).generate_state(1, np.uint64)[0] >> 1)


def steps_in_epoch(examples: int, phase: Phase) -> int:
    """Steps of one pass over so many training examples."""
    copies = 2 * examples if phase.strands == "both" else examples
    return max(1, copies // phase.batch_size + (copies % phase.batch_size > 1))


class Draw(NamedTuple):
    """One batch: rows of the training part, which are flipped, and by how many bp each moves."""

    rows: NDArray[np.int64]
    flipped: NDArray[np.bool_]
    shifts: NDArray[np.int64]


def draws(examples: int, phase: Phase, rng: np.random.Generator) -> Iterator[Draw]:
    """Yield one epoch's batches."""
    copies = 2 * examples if phase.strands == "both" else examples
    left = phase.steps_per_epoch or steps_in_epoch(examples, phase)
    while True:
        order = rng.permutation(copies)
        flips = rng.random(copies) < 0.5
        shifts = rng.integers(-phase.shift, phase.shift, copies, endpoint=True)
        for at in range(0, copies, phase.batch_size):
            chosen = order[at : at + phase.batch_size]
            if len(chosen) < 2 and copies > 1:
                continue  # batch norm needs two
            if left == 0:
                return
            left -= 1
            if phase.strands == "both":
                yield Draw(chosen % examples, chosen >= examples, shifts[chosen])
            else:
                flipped = flips[chosen] & (phase.strands == "random")
                yield Draw(chosen, flipped, shifts[chosen])


def shifted(codes: NDArray[np.uint8], shifts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Move each row of codes to the right by its shift (left if negative); N fills the gap."""
    if not shifts.any():
        return codes
    source = np.arange(codes.shape[1]) - shifts[:, None]
    inside = (source >= 0) & (source < codes.shape[1])
    moved = np.take_along_axis(codes, np.where(inside, source, 0), axis=1)
    return np.where(inside, moved, np.uint8(N))
