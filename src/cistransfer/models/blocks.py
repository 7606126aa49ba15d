"""Building blocks: one-dimensional layers computed as two-dimensional, channels-last ones.

A ``Conv1d`` on CPU is 1.4 times slower than the same sum written as ``Conv2d`` with a kernel of
height 1 on channels-last memory. The blocks here keep the one-dimensional shape of every weight
(so weights read and write as those of ``Conv1d`` and ``BatchNorm1d``) and carry activations as
``(n, channels, 1, length)``. Every non-linearity is a module, because DeepLIFT hooks modules.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cistransfer.models.kernels import in_use
from cistransfer.models.kernels.convolution import convolve
from cistransfer.models.kernels.dropout import Dropout
from cistransfer.models.kernels.first import first_block, first_block_fits
from cistransfer.models.kernels.normalisation import BatchNorm2d, scale_and_shift
from cistransfer.models.kernels.pooling import window_maximum

__all__ = [
    "Conv",
    "ConvBlock",
    "Ours",
    "conv_block",
    "dense_block",
    "is_hooked",
    "lift",
    "one_hot",
    "ours_of",
    "reverse_codes",
]

_ONE_HOT = torch.cat([torch.eye(4), torch.zeros(1, 4)])
_COMPLEMENT = torch.tensor([3, 2, 1, 0, 4], dtype=torch.uint8)


def one_hot(codes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """One-hot of codes on their own device; an N is a column of zeros.

    Parameters
    ----------
    codes : uint8 tensor, shape (n, length)

    Returns
    -------
    tensor, shape (n, 4, length)
        In channels-last order (the four channels of a base are neighbours in memory).
    """
    table = _ONE_HOT.to(device=codes.device, dtype=dtype)
    return nn.functional.embedding(codes.int(), table).permute(0, 2, 1)


def reverse_codes(codes: Tensor) -> Tensor:
    """Reverse complement of codes, shape (n, length), on their own device."""
    return _COMPLEMENT.to(codes.device)[codes.flip(-1).int()]


def lift(x: Tensor) -> Tensor:
    """Turn one-hot ``(n, 4, length)`` into ``(n, 4, 1, length)`` in channels-last memory."""
    last = x.permute(0, 2, 1).contiguous()  # a memory format by name is unknown to torch.vmap
    return last.unsqueeze(1).permute(0, 3, 1, 2)


class Conv(nn.Conv1d):
    """A ``Conv1d`` (same weights, same result) on ``(n, channels, 1, length)`` tensors."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve along the last axis.

        With padding ``same`` and an even kernel the odd zero goes to the right, as in Keras.
        """
        if self.padding == "same":
            total = self.dilation[0] * (self.kernel_size[0] - 1)
            padding = (0, total // 2)
            if total % 2:
                x = nn.functional.pad(x, (0, 1))
        else:
            padding = (0, 0) if isinstance(self.padding, str) else (0, self.padding[0])
        return nn.functional.conv2d(
            x,
            self.weight.unsqueeze(2),
            self.bias,
            stride=(1, self.stride[0]),
            padding=padding,
            dilation=(1, self.dilation[0]),
            groups=self.groups,
        )


class ConvBlock(nn.Sequential):
    """Convolution, batch norm and ReLU in either order, max-pooling.

    The maximum is taken before a ReLU that precedes it: the two commute, also in their gradients,
    and the ReLU then has a fraction of the work. Where no gradient is asked for, a batch norm right
    behind the convolution is part of its weights. The modules run one after another in evaluation
    mode with gradients and where one of them has a hook, because attribution hooks them; and always
    without kernels (`cistransfer.models.kernels.use`).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs, 1, length)`` to ``(n, filters, 1, length // pool)``."""
        computed = ours_of(self)
        gradients = torch.is_grad_enabled() and not self.training
        if not in_use() or gradients or computed is None:
            return super().forward(x)
        norm = computed.middle[0] if len(computed.middle) == 1 else None
        if norm is not None and first_block_fits(x, computed.weight, norm, computed.pool):
            x = first_block(x, computed.weight, computed.bias, norm, computed.pool)
            return computed.late(x)
        constant = not _norms_in_training(computed.middle)
        x = convolve(x, computed.weight, computed.bias, constant=constant)
        for module in computed.middle:
            x = module(x)
        x = window_maximum(x, computed.pool)
        return computed.late(x)


@dataclass(frozen=True)
class Ours:
    """What a block computes, in the order in which it is fast.

    Attributes
    ----------
    weight, bias : tensor
        Of the convolution (kernel in the last axis), maybe with the norm behind it.
    middle : list of modules
        Between convolution and maximum.
    pool : int
        Width of the maximum.
    late : module
        Behind it.
    """

    weight: Tensor
    bias: Tensor | None
    middle: list[nn.Module]
    pool: int
    late: nn.Module


def ours_of(block: nn.Sequential) -> Ours | None:
    """What a block computes with kernels; None where it has to run module by module."""
    modules = list(block)
    if not _is_whole(modules) or any(map(is_hooked, modules)):
        return None
    conv, *middle, pool = modules
    late = middle.pop() if isinstance(middle[-1], nn.ReLU) else nn.Identity()
    weight, bias = _weights(conv, middle)
    return Ours(weight, bias, middle, pool.kernel_size[1], late)  # type: ignore[index, arg-type]


def _is_whole(modules: list[nn.Module]) -> bool:
    """Whether these are the modules of a block, as `conv_block` makes them, and not a slice."""
    if len(modules) != 4:
        return False
    conv, pool = modules[0], modules[-1]
    return (
        isinstance(conv, Conv)
        and (conv.stride, conv.padding, conv.dilation, conv.groups) == ((1,), (0,), (1,), 1)
        and type(pool) is nn.MaxPool2d
        and pool.kernel_size == pool.stride
        and not pool.padding
        and not pool.ceil_mode
    )


def is_hooked(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


def _norms_in_training(behind: list[nn.Module]) -> bool:
    return bool(behind) and isinstance(behind[0], nn.BatchNorm2d) and behind[0].training


def _weights(conv: Any, behind: list[nn.Module]) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of a convolution; where no gradient is asked for, with the norm behind it."""
    norm: Any = behind[0]
    fits = isinstance(norm, nn.BatchNorm2d) and not norm.training
    if torch.is_grad_enabled() or not fits or norm.running_mean is None:
        return conv.weight, conv.bias
    del behind[0]
    scale, shift = scale_and_shift(norm)
    bias = shift if conv.bias is None else conv.bias * scale + shift
    return conv.weight * scale[:, None, None], bias


def conv_block(inputs: int, filters: int, kernel: int, pool: int, order: str) -> ConvBlock:
    """Convolution without padding, batch norm and ReLU in either order, max-pooling."""
    norm = ("norm", BatchNorm2d(filters))
    relu = ("relu", nn.ReLU())
    middle = [norm, relu] if order == "bn-relu" else [relu, norm]
    return ConvBlock(
        OrderedDict(
            [
                ("conv", Conv(inputs, filters, kernel)),
                *middle,
                ("pool", nn.MaxPool2d((1, pool))),
            ]
        )
    )


def dense_block(inputs: int, outputs: int, dropout: float, order: str) -> nn.Sequential:
    """Linear layer, batch norm and ReLU in either order, dropout."""
    norm = ("norm", nn.BatchNorm1d(outputs))
    relu = ("relu", nn.ReLU())
    middle = [norm, relu] if order == "bn-relu" else [relu, norm]
    return nn.Sequential(
        OrderedDict(
            [("linear", nn.Linear(inputs, outputs)), *middle, ("dropout", Dropout(dropout))]
        )
    )
