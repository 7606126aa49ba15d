"""Batch norm of channels-last activations that several CPU threads do not slow down."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from cistransfer.models.kernels import in_use
from cistransfer.models.kernels.layout import is_lengthwise

__all__ = ["BatchNorm2d", "scale_and_shift"]

_LINE = 16  # float32 numbers in a cache line of 64 bytes


class BatchNorm2d(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` (same function), in one thread where that is faster.

    In training PyTorch adds up each channel's sums in one buffer per CPU thread, one after the
    other in memory. With 100 or 200 channels their borders lie within a cache line, which the
    threads then take from each other at every position: two threads need up to twice the time of
    one. Where the number of channels is a multiple of 16, in evaluation mode, with one thread and
    on other devices it is `torch.nn.BatchNorm2d` itself.

    While it works, the process has one thread (`torch.set_num_threads`): another Python thread
    that begins to use PyTorch just then keeps to one.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(n, channels, height, width)``."""
        if is_lengthwise(x):  # places and sequences count alike
            return self.forward(x.permute(3, 1, 2, 0)).permute(3, 1, 2, 0)
        alone = (
            self.training
            and in_use()
            and x.device.type == "cpu"
            and torch.get_num_threads() > 1
            and self.num_features % _LINE
            and self.momentum is not None
            and self.running_mean is not None
            and self.affine
            and x.dim() == 4
            and x.shape[1] == self.num_features < x.numel()  # else PyTorch's own refusals
        )
        if not alone:
            return super().forward(x)
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        y: Tensor = _InOneThread.apply(
            x, self.weight, self.bias, self.running_mean, self.running_var, self.momentum, self.eps
        )
        return y


class _InOneThread(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        with _one_thread():
            y, *saved = torch.native_batch_norm(
                x, weight, bias, mean, variance, True, momentum, eps
            )
        context.eps = eps
        context.save_for_backward(x, weight, *saved)
        return y

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale = context.saved_tensors
        with _one_thread():
            given = torch.ops.aten.native_batch_norm_backward(
                gradient, x, weight, None, None, mean, scale, True, context.eps, [True] * 3
            )
        return (*given, None, None, None, None)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def scale_and_shift(norm: Any) -> tuple[Tensor, Tensor]:
    """What a batch norm with statistics does in evaluation mode: ``x · scale + shift`` per channel.

    Returns
    -------
    (Tensor, Tensor), shape (channels,)
    """
    scale = torch.rsqrt(norm.running_var + norm.eps)
    shift = -norm.running_mean * scale
    if norm.affine:
        scale, shift = scale * norm.weight, shift * norm.weight + norm.bias
    return scale, shift
