"""What the steps of an interpretation share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cistransfer.interpretation.material import Material
from cistransfer.models.bundle import Bundle
from cistransfer.motifs.pwm import PWM

__all__ = ["Run"]


@dataclass(frozen=True)
class Run:
    """What all steps share."""

    out: Path
    bundle: Bundle
    material: Material
    logits: NDArray[np.float32]
    task: int
    targets: Sequence[PWM]
    most: int
    neutral: int
    seed: int

    def sample(self, rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
        """At most ``most`` of the rows, drawn at random, ascending."""
        if len(rows) <= most:
            return rows
        rng = np.random.default_rng(self.seed)
        return np.sort(rng.choice(rows, size=most, replace=False))
