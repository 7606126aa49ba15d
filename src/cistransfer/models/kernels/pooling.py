"""Maximum over neighbouring windows: max-pooling in channels-last memory, faster in training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cistransfer.models.kernels import in_use
from cistransfer.models.kernels.layout import is_lengthwise, lengthwise, turned
from cistransfer.models.kernels.processor import gains_from_integer_pooling

__all__ = ["plain_maximum", "window_maximum"]

_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def window_maximum(x: Tensor, width: int) -> Tensor:
    """Max-pooling by ``width`` along the last axis, windows side by side.

    The values and the gradient (to the first of equal maxima) are those of
    ``max_pool2d(x, (1, width))``. A rest that fills no window is dropped.

    Parameters
    ----------
    x : tensor, shape (n, channels, 1, length)
        On CPU in channels-last memory it takes half to two thirds of the time, with a gradient
        where `gains_from_integer_pooling` says so; elsewhere it is
        `torch.nn.functional.max_pool2d`. Where it lies place by place
        (`cistransfer.models.kernels.layout`), so does the result.

    Returns
    -------
    tensor, shape (n, channels, 1, length // width)
    """
    if is_lengthwise(x):
        return _lengthwise_maximum(x, width)
    last = x.permute(0, 2, 3, 1)
    learns = torch.is_grad_enabled() and x.requires_grad
    fits = in_use(not learns or gains_from_integer_pooling())
    fits = fits and x.device.type == "cpu" and x.shape[2] == 1 and x.shape[3] >= width > 1
    if not fits or not last.is_contiguous() or x.dtype.itemsize not in _INTEGERS:
        return plain_maximum(x, width)
    rows = last.squeeze(1)
    pooled: Tensor = _WindowMaximum.apply(rows, width) if learns else _highest(rows, width)
    return pooled.unsqueeze(1).permute(0, 3, 1, 2)


def plain_maximum(x: Tensor, width: int) -> Tensor:
    """PyTorch's max-pooling, which `window_maximum` equals."""
    return torch.nn.functional.max_pool2d(x, (1, width))


def _lengthwise_maximum(x: Tensor, width: int) -> Tensor:
    """PyTorch's max-pooling over neighbouring places of ``(length, n, channels)``."""
    places = lengthwise(x)
    windows = _windows(places.flatten(1).unsqueeze(0), width).squeeze(
        0
    )  # (count, width, n · channels)
    images = windows.unflatten(2, places.shape[1:]).permute(0, 3, 1, 2)
    pooled = torch.nn.functional.max_pool2d(images, (width, 1))
    return turned(pooled.squeeze(2).transpose(1, 2))


class _WindowMaximum(torch.autograd.Function):
    """Maximum over windows of ``(n, length, channels)``."""

    @staticmethod
    def forward(context: Any, x: Tensor, width: int) -> Tensor:
        highest = _highest(x, width)
        context.width = width
        context.save_for_backward(x, highest)
        return highest

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Give each window's gradient to the first place that holds its maximum.

        In integer arithmetic: a difference to the maximum is below zero or zero, so an arithmetic
        shift by its sign makes it all ones where the place is not the maximum.
        """
        x, highest = context.saved_tensors
        integer = _INTEGERS[x.dtype.itemsize]
        windows, width = _windows(x, context.width), context.width
        whole = torch.empty_like(x)
        whole[:, highest.shape[1] * width :] = 0
        given = _windows(whole, width).view(integer)
        rest = gradient.contiguous().view(integer)
        for place in range(width - 1):
            below = (windows[:, :, place] - highest).view(integer)
            below.bitwise_right_shift_(8 * x.dtype.itemsize - 1)
            last = place == width - 2
            left = torch.bitwise_and(below, rest, out=given[:, :, place + 1] if last else below)
            torch.bitwise_xor(rest, left, out=given[:, :, place])
            rest = left
        return whole, None


def _highest(x: Tensor, width: int) -> Tensor:
    windows = _windows(x, width)
    highest = windows[:, :, 0]
    for place in range(1, width):
        highest = torch.maximum(highest, windows[:, :, place])
    return highest


def _windows(x: Tensor, width: int) -> Tensor:
    """View ``(n, length, channels)`` as ``(n, windows, width, channels)``."""
    count = x.shape[1] // width
    return x[:, : count * width].unflatten(1, (count, width))
