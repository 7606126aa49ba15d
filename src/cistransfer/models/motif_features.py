"""A network with motifs beside it: their occupancies are features that the head also reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.motifs.pwm import PWM, log_odds

__all__ = ["MotifFeatures", "WithMotifs"]


class MotifFeatures(nn.Module):
    """Log sum-occupancy of each motif over positions and both strands.

    The natural logarithm of `cistransfer.motifs.scan.sum_occupancy` (the score of PWMScan that
    Novakovsky et al. 2021 use), computed on one-hot. The log-odds are buffers: no phase trains
    them. A base that is N scores 0.

    Parameters
    ----------
    widths : sequence of int
        Width of each motif in bp.
    bags, folds : int
        The last ``bags × folds`` motifs are versions of ``bags`` motifs, found in different parts
        of the data: one feature each, the mean over its ``folds`` versions.
    """

    def __init__(self, widths: Sequence[int], bags: int = 0, folds: int = 0) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.bags, self.folds = bags, folds
        self.n_single = len(self.widths) - bags * folds
        for number, width in enumerate(self.widths):
            self.register_buffer(f"odds{number}", torch.zeros(4, width))

    def fill(self, pwms: Sequence[PWM]) -> None:
        """Take the log-odds of motifs, in place; their widths must be those of the module."""
        if tuple(len(pwm.probabilities) for pwm in pwms) != self.widths:
            raise ValueError("the motifs do not have the widths that the module was made for")
        for number, pwm in enumerate(pwms):
            odds = np.asarray(log_odds(pwm)) * np.log(2)
            self.get_buffer(f"odds{number}").copy_(torch.from_numpy(odds.T.copy()))

    @property
    def n_features(self) -> int:
        """Columns of the result: the single motifs, then the bags."""
        return self.n_single + self.bags

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, length)`` to ``(n, n_features)``, float32."""
        each = self.each(x)
        if not self.bags:
            return each
        versions = each[:, self.n_single :].unflatten(1, (self.bags, self.folds))
        return torch.cat([each[:, : self.n_single], versions.mean(dim=2)], dim=1)

    def each(self, x: Tensor) -> Tensor:
        """Log occupancy of every motif by itself, ``(n, motifs)``, float32."""
        columns = []
        with torch.autocast(x.device.type, enabled=False):
            for number in range(len(self.widths)):
                odds = self.get_buffer(f"odds{number}")
                both = torch.stack([odds, odds.flip(0, 1)])
                columns.append(torch.logsumexp(nn.functional.conv1d(x.float(), both), dim=(1, 2)))
        return torch.stack(columns, dim=1) if columns else x.new_zeros(len(x), 0)


class WithMotifs(nn.Module):
    """Another architecture whose head also reads the occupancies of motifs.

    ``features(x)`` is the base network's features followed by the motifs' log occupancies, and
    ``head`` a linear layer over both, so every strategy works on it.

    Parameters
    ----------
    base : nn.Module
        A network with ``features`` and a linear ``head``, which is dropped.
    n_tasks : int
    widths : sequence of int
        Width of each motif in bp.
    bags, folds : int
        See `MotifFeatures`.
    """

    def __init__(
        self,
        base: nn.Module,
        n_tasks: int,
        widths: Sequence[int],
        bags: int = 0,
        folds: int = 0,
    ) -> None:
        super().__init__()
        if not isinstance(base.head, nn.Linear):
            raise InputError("a network with motifs needs a base with a linear head")
        inputs = base.head.in_features
        self.base = base
        self.base.head = nn.Identity()
        self.motifs = MotifFeatures(widths, bags, folds)
        self.head = nn.Linear(inputs + self.motifs.n_features, n_tasks)

    def features(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to the input of the head."""
        network = self.base.features(x)  # type: ignore[operator]
        return torch.cat([network, self.motifs(x).to(network.dtype)], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to logits ``(n, n_tasks)``."""
        return self.head(self.features(x))
