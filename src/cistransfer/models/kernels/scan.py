"""Filters on both strands and their maximum over neighbouring windows, without the scores between.

A wide first layer has many scores and few maxima: at 512 filters a window of 200 bp has 186,000
scores, of which a maximum over 13 positions and both strands keeps 7,000. Here they are computed
for a few sequences at a time, so that they never leave the processor's cache.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cistransfer.models.kernels import in_use

__all__ = ["both_strands", "plain_scan", "scan_maximum"]

_AT_ONCE = 8
_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def both_strands(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve with filters and with their reverse complements, without padding.

    Parameters
    ----------
    x : tensor, shape (n, 4, 1, length)
        One-hot.
    weight : tensor, shape (filters, 4, kernel)

    Returns
    -------
    tensor, shape (n, filters, 2, length − kernel + 1)
        The given strand, then the other one.
    """
    both = torch.cat([weight, weight.flip(1, 2)]).unsqueeze(2)
    scores = torch.nn.functional.conv2d(x, both).squeeze(2).unflatten(1, (2, weight.shape[0]))
    last = scores.permute(0, 1, 3, 2).contiguous()  # channels last, as max-pooling is fastest
    return last.permute(0, 3, 1, 2)


def scan_maximum(x: Tensor, weight: Tensor, width: int) -> Tensor:
    """Maximum of filters' scores over both strands of ``width`` neighbouring positions.

    Values and the gradient of the weights (to the first of equal maxima, the given strand first)
    are those of max-pooling by ``(2, width)`` over `both_strands`; a rest that fills no window is
    dropped. On CPU, where no gradient of ``x`` is asked for, it is computed a few sequences at a
    time: without a gradient in about a third of the time.

    Parameters
    ----------
    x : tensor, shape (n, 4, 1, length)
        One-hot, in channels-last memory.
    weight : tensor, shape (filters, 4, kernel)

    Returns
    -------
    tensor, shape (n, filters, 1, (length − kernel + 1) // width)
    """
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and x.dtype != torch.float64:
        kind = torch.get_autocast_dtype("cpu")
        x, weight = x.to(kind), weight.to(kind)
    last = x.permute(0, 2, 3, 1)
    fits = in_use() and x.device.type == "cpu" and not x.requires_grad and x.shape[2] == 1
    if not fits or not last.is_contiguous() or x.dtype.itemsize not in _INTEGERS:
        return plain_scan(x, weight, width)
    rows = last.squeeze(1)
    trains = torch.is_grad_enabled() and weight.requires_grad
    found: Tensor = _Scan.apply(rows, weight, width) if trains else _highest(rows, weight, width)
    return found.unsqueeze(1).permute(0, 3, 1, 2)


def plain_scan(x: Tensor, weight: Tensor, width: int) -> Tensor:
    """The same by PyTorch's convolution and max-pooling, which `scan_maximum` equals."""
    return torch.nn.functional.max_pool2d(both_strands(x, weight), (2, width))


class _Scan(torch.autograd.Function):
    """The maximum over windows of ``(n, length, 4)``, with the gradient of the weights."""

    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, width: int) -> Tensor:
        highest = _highest(x, weight, width)
        context.width = width
        context.save_for_backward(x, weight, highest)
        return highest

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        """Compute the scores of a few sequences again, and give each window's gradient to the
        first place that holds its maximum (see `cistransfer.models.kernels.pooling`)."""
        x, weight, highest = context.saved_tensors
        filters, _, kernel = weight.shape
        width, integer = context.width, _INTEGERS[x.dtype.itemsize]
        bank = _bank(weight)
        wide = torch.promote_types(x.dtype, torch.float32)
        total = torch.zeros(bank.shape, dtype=wide)
        gradient = gradient.contiguous()
        for at in range(0, len(x), _AT_ONCE):
            windows = _windows(x[at : at + _AT_ONCE], kernel, highest.shape[1] * width)
            scores = (windows @ bank).view(-1, highest.shape[1], width, 2, filters)
            rest = gradient[at : at + _AT_ONCE].view(integer)
            top = highest[at : at + _AT_ONCE]
            places = [scores[:, :, place, strand] for strand in (0, 1) for place in range(width)]
            for place in places[:-1]:
                place.sub_(top)
                mask = place.view(integer).bitwise_right_shift_(8 * x.dtype.itemsize - 1)
                left = mask.bitwise_and(rest)
                torch.bitwise_xor(rest, left, out=place.view(integer))
                rest = left
            places[-1].view(integer).copy_(rest)
            total += windows.t() @ scores.view(len(windows), -1)
        both = total.t().reshape(2 * filters, kernel, 4).transpose(1, 2)
        return None, (both[:filters] + both[filters:].flip(1, 2)).to(weight.dtype), None


def _highest(x: Tensor, weight: Tensor, width: int) -> Tensor:
    filters, _, kernel = weight.shape
    count = (x.shape[1] - kernel + 1) // width
    bank = _bank(weight)
    found = x.new_empty(len(x), count, filters)
    for at in range(0, len(x), _AT_ONCE):
        scores = _windows(x[at : at + _AT_ONCE], kernel, count * width) @ bank
        torch.amax(scores.view(-1, count, 2 * width, filters), 2, out=found[at : at + _AT_ONCE])
    return found


def _bank(weight: Tensor) -> Tensor:
    """Weights of both strands as a matrix, shape (kernel × 4, 2 × filters)."""
    both = torch.cat([weight, weight.flip(1, 2)])
    return both.transpose(1, 2).reshape(len(both), -1).t().contiguous()


def _windows(x: Tensor, kernel: int, count: int) -> Tensor:
    """What the filters read at each of the first ``count`` positions of ``(n, length, 4)``."""
    n, length, _ = x.shape
    laid = x.as_strided((n, count, kernel * 4), (length * 4, 4, 1), x.storage_offset())
    return laid.reshape(n * count, kernel * 4)
