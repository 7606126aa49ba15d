"""The residual network of ChromTransfer (Salvatore et al. 2023), for inputs of any length."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.models.blocks import Conv, lift
from cistransfer.models.kernels.dropout import Dropout

__all__ = ["ChromTransfer"]

_MOMENTUM, _EPS = 0.01, 1e-3
"""Batch norm as Keras has it (its momentum 0.99 is 0.01 here)."""
_DROPOUT = 0.1
_TRUNCATED = 0.87962566103423978
"""Standard deviation of a standard normal cut at ±2, by which Keras corrects `he_normal`."""


class _Pair(nn.Module):
    """Two convolutions with a residual connection, projected where the width changes."""

    def __init__(self, inputs: int, filters: int, kernel: int, shortcut: str) -> None:
        super().__init__()
        self.first = _unit(inputs, filters, kernel)
        self.second = _unit(filters, filters, kernel)
        if shortcut == "projection":
            self.shortcut: nn.Module | None = _unit(inputs, filters, kernel)
        else:
            self.shortcut = nn.Identity() if shortcut == "identity" else None

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs, 1, length)`` to ``(n, filters, 1, length)``."""
        main = self.second(self.first(x))
        if self.shortcut is None:
            return main
        return main.add_(self.shortcut(x)) if self.training else main + self.shortcut(x)


class _Unit(nn.Sequential):
    """Convolution, ReLU and, unless it is bare, batch norm and dropout.

    In training mode ReLU overwrites the output of the convolution, which no gradient needs. In
    evaluation mode the modules run one after another, because attribution hooks them.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs, 1, length)`` to ``(n, filters, 1, length)``."""
        if not self.training:
            return super().forward(x)
        conv, _, *rest = self.children()
        x = torch.relu_(conv(x))
        for module in rest:
            x = module(x)
        return x


class ChromTransfer(nn.Module):
    """Residual network, global average pooling and two dense layers, one logit per task.

    Blocks ``conv1`` (64 filters of 25 bp); ``conv2``, a pair with a projected residual (32 of 20);
    ``conv3`` to ``conv5``, pairs (32 of 15) whose three outputs are concatenated; ``conv6``, a pair
    with a projected residual (64 of 10); ``conv7`` to ``conv9``, pairs (64 of 5); ``conv10`` (64 of
    10) and ``conv11`` (64 of 5); the mean over positions; ``dense1`` and ``dense2``; ``head``, a
    linear layer. So ``conv*`` is the body that fine-tuning transfers. Every convolution is padded
    ("same") and followed by ReLU, batch norm and dropout 0.1, in this order. Weights start
    He-normal in the body and Glorot-uniform in the dense layers, with zero biases. The L2 penalty
    of the published code belongs to the strategy (``l2`` of a phase; ``chromtransfer-pretrain``).

    With one task it has 652,513 trainable parameters; Keras counts 655,777, batch-norm statistics
    included (554,144 of them in the body).

    Parameters
    ----------
    window : int
        Length of the input in bp; the weights do not depend on it. Published: 600.
    n_tasks : int
        Number of outputs.
    variant : {"code", "paper"}
        ``code`` is the published code: ``conv3``–``conv5`` and ``conv7``–``conv9`` add their input
        to their output, and ``conv11`` has neither batch norm nor dropout. ``paper`` is its text:
        those six without residual connections, batch norm and dropout after each layer.
    dense : sequence of int
        Units of the dense layers: (512, 128) before transfer, (1024, 32) after it.
    dense_norm : bool
        Whether dense layers have batch norm (the published ``finetune.py`` leaves it out).
    """

    def __init__(
        self,
        window: int = 600,
        n_tasks: int = 1,
        variant: str = "code",
        dense: Sequence[int] = (512, 128),
        dense_norm: bool = True,
    ) -> None:
        super().__init__()
        if variant not in ("code", "paper"):
            raise InputError(f"variant must be 'code' or 'paper', found {variant!r}")
        units = list(dense) if isinstance(dense, list | tuple) else []
        if not units or any(type(width) is not int or width < 1 for width in units):
            raise InputError(f"dense must be numbers of units such as [512, 128], found {dense!r}")
        if window < 1:
            raise InputError(f"expected a window of at least 1 bp, found {window}")
        inner = "identity" if variant == "code" else "none"
        self.conv1 = _unit(4, 64, 25)
        self.conv2 = _Pair(64, 32, 20, "projection")
        for number in (3, 4, 5):
            self.add_module(f"conv{number}", _Pair(32, 32, 15, inner))
        self.conv6 = _Pair(96, 64, 10, "projection")
        for number in (7, 8, 9):
            self.add_module(f"conv{number}", _Pair(64, 64, 5, inner))
        self.conv10 = _unit(64, 64, 10)
        self.conv11 = _unit(64, 64, 5, bare=variant == "code")
        width = 64
        for number, size in enumerate(units, start=1):
            self.add_module(f"dense{number}", _dense(width, size, dense_norm))
            width = size
        self._dense = tuple(f"dense{number}" for number in range(1, len(units) + 1))
        self.head = _glorot(nn.Linear(width, n_tasks))

    def features(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to the input of the head."""
        x = self.conv2(self.conv1(lift(x)))
        outputs = []
        for name in ("conv3", "conv4", "conv5"):
            x = self.get_submodule(name)(x)
            outputs.append(x)
        x = self.conv6(torch.cat(outputs, dim=1))
        for name in ("conv7", "conv8", "conv9", "conv10", "conv11"):
            x = self.get_submodule(name)(x)
        x = x.mean(dim=(2, 3))
        for name in self._dense:
            x = self.get_submodule(name)(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to logits ``(n, n_tasks)``."""
        return self.head(self.features(x))


def _unit(inputs: int, filters: int, kernel: int, bare: bool = False) -> _Unit:
    """Make a unit of He-normal weights; ``bare`` stops after ReLU."""
    conv = Conv(inputs, filters, kernel, padding="same")
    spread = math.sqrt(2 / (inputs * kernel)) / _TRUNCATED
    nn.init.trunc_normal_(conv.weight, std=spread, a=-2 * spread, b=2 * spread)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=conv, relu=nn.ReLU())
    if not bare:
        layers["norm"] = nn.BatchNorm2d(filters, eps=_EPS, momentum=_MOMENTUM)
        layers["dropout"] = Dropout(_DROPOUT, inplace=True)
    return _Unit(layers)


def _dense(inputs: int, outputs: int, norm: bool) -> nn.Sequential:
    """Linear layer, ReLU, batch norm unless left out, dropout."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        linear=_glorot(nn.Linear(inputs, outputs)), relu=nn.ReLU()
    )
    if norm:
        layers["norm"] = nn.BatchNorm1d(outputs, eps=_EPS, momentum=_MOMENTUM)
    layers["dropout"] = Dropout(_DROPOUT)
    return nn.Sequential(layers)


def _glorot(layer: nn.Linear) -> nn.Linear:
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
