"""A bank of motif filters on both strands, what they are mixed into, and their maxima."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.models.blocks import Conv, is_hooked, lift
from cistransfer.models.kernels import in_use
from cistransfer.models.kernels.dropout import Dropout
from cistransfer.models.kernels.normalisation import BatchNorm2d
from cistransfer.models.kernels.scan import both_strands, scan_maximum

__all__ = ["MotifBank", "Scan"]


class MotifBank(nn.Module):
    """Motif filters on both strands, mixed and pooled over positions; a logit per task.

    ``conv1``: filters that read both strands, the maximum over both and over ``pool``
    neighbouring positions, batch norm. They are wide enough to be known motifs (strategy
    ``motif-bank``). ``conv2`` mixes them at each place (ReLU, kernel 1, batch norm, ReLU); with
    ``blocks``, ``conv3`` and on are residual blocks (kernel 3, dilated by 1, 2, 4 …, batch norm,
    ReLU) whose kernels are their own mirror images. ``dense1`` has no weights but a batch norm's:
    its features are the maximum of each filter, and the mean and the maximum of each unit of the
    last block, with dropout. ``head`` is a linear layer over them.

    A sequence and its reverse complement have the same features, to rounding, where the pooled
    windows cover it whole (``symmetric``; 200 bp: 14 times 13 positions), so one pass is enough for
    both strands. The weights do not depend on the window.

    Parameters
    ----------
    window : int
        Length of the input in bp.
    n_tasks : int
        Number of outputs.
    filters, kernel : int
        Of the first layer.
    pool : int
        Positions of the first layer over which a maximum is taken.
    width : int
        Units that the filters are mixed into.
    blocks : int
        Residual blocks over them.
    dropout : float
        Of the features.

    Attributes
    ----------
    symmetric : bool
        Whether both strands have the same features.
    n_blocks : int
        Residual blocks.
    """

    def __init__(
        self,
        window: int = 200,
        n_tasks: int = 1,
        filters: int = 512,
        kernel: int = 19,
        pool: int = 13,
        width: int = 256,
        blocks: int = 0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        places = window - kernel + 1
        if places < pool:
            raise InputError(
                f"a window of {window} bp is too short for the architecture 'motif-bank'; "
                f"it needs at least {kernel + pool - 1} bp"
            )
        self.symmetric = places % pool == 0
        self.conv1 = Scan(
            OrderedDict(
                conv=_BothStrands(4, filters, kernel, bias=False),
                pool=nn.MaxPool2d((2, pool)),
                norm=BatchNorm2d(filters),
            )
        )
        self.conv2 = _unit(width, Conv(filters, width, 1, bias=False), before=nn.ReLU())
        self.n_blocks = blocks
        self._blocks = tuple(f"conv{number}" for number in range(3, 3 + blocks))
        for number, name in enumerate(self._blocks):
            self.add_module(name, _unit(width, _Mirrored(width, dilation=2**number)))
        self.dense1 = _Pooled(places // pool, filters + 2 * width, dropout)
        self.head = nn.Linear(filters + 2 * width, n_tasks)

    def features(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to the input of the head."""
        scores = self.conv1(lift(x))
        x = self.conv2(scores)
        for name in self._blocks:
            x = x + self.get_submodule(name)(x)
        return self.dense1(scores, x)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to logits ``(n, n_tasks)``."""
        return self.head(self.features(x))


class _BothStrands(Conv):
    """Filters and their reverse complements: ``(n, 4, 1, length)`` → ``(n, filters, 2, …)``."""

    def forward(self, x: Tensor) -> Tensor:
        return both_strands(x, self.weight)


class Scan(nn.Sequential):
    """Filters, their maximum over strands and positions, and batch norm.

    The modules run one after another where one has a hook, and with gradients in evaluation mode,
    because attribution hooks them.
    """

    def forward(self, x: Tensor) -> Tensor:
        modules: list[Any] = list(self)
        gradients = torch.is_grad_enabled() and not self.training
        if not in_use() or gradients or any(map(is_hooked, modules)):
            return super().forward(x)
        conv, pool, norm = modules
        return norm(scan_maximum(x, conv.weight, pool.kernel_size[1]))


class _Mirrored(nn.Module):
    """Convolution by a kernel of three that is its own mirror image; the length stays."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        drawn = Conv(channels, channels, 3, bias=False).weight.detach()
        self.weight = nn.Parameter(drawn[:, :, 1:].clone())

    def forward(self, x: Tensor) -> Tensor:
        kernel = torch.cat([self.weight[:, :, 1:], self.weight], dim=2).unsqueeze(2)
        gap = self.dilation
        return nn.functional.conv2d(x, kernel, padding=(0, gap), dilation=(1, gap))


class _Pooled(nn.Module):
    """Filters and units over all places as features: normalised, with dropout."""

    def __init__(self, places: int, features: int, dropout: float) -> None:
        super().__init__()
        self.highest = nn.MaxPool2d((1, places))
        self.norm = nn.BatchNorm1d(features)
        self.dropout = Dropout(dropout)

    def forward(self, scores: Tensor, units: Tensor) -> Tensor:
        kinds = [self.highest(scores), units.mean(dim=3, keepdim=True), self.highest(units)]
        return self.dropout(self.norm(torch.cat(kinds, dim=1).flatten(1)))


def _unit(outputs: int, conv: nn.Module, **before: nn.Module) -> nn.Sequential:
    """Convolution, batch norm and ReLU."""
    return nn.Sequential(
        OrderedDict(**before, conv=conv, norm=BatchNorm2d(outputs), relu=nn.ReLU())
    )
