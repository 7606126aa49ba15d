"""A network's first block in training as one step: convolution, batch norm, maximum of windows.

Its input is sequence, which needs no gradient and is narrow: 19 bases of one-hot are 76 numbers,
where 100 filters give 100. So mean and variance of every filter's scores follow from the moments of
those 76 before a score is known, scores are normalised, pooled and forgotten while they are in the
processor's cache, and their gradient is 0 but where a window has its maximum, plus what the batch
norm takes back, which the same moments give. Of the layers one by one each goes over all scores in
memory, there and back.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from cistransfer.models.kernels import in_use
from cistransfer.models.kernels.layout import turned

__all__ = ["first_block", "first_block_fits", "plain_first_block"]

_ROWS = 1200
"""Places of sequences at a time and thread: their scores (0.5 MB) stay in the cache."""


def first_block_fits(x: Tensor, weight: Tensor, norm: nn.Module, width: int) -> bool:
    """Whether `first_block` computes this block, and with less work than its layers.

    Parameters
    ----------
    x : tensor, shape (n, inputs, 1, length)
    weight : tensor, shape (filters, inputs, kernel)
    norm : module
    width : int
        Of the maximum.
    """
    filters, inputs, kernel = weight.shape
    places = x.shape[-1] - kernel + 1
    return (
        in_use()
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and not x.requires_grad
        and x.dim() == 4
        and x.shape[1] == inputs
        and x.shape[2] == 1
        and places >= width > 1
        and len(x) * places > 1
        and inputs * kernel <= 2 * filters
        and isinstance(norm, nn.BatchNorm2d)
        and norm.training
        and norm.affine
        and norm.num_features == filters
        and norm.momentum is not None
        and norm.running_mean is not None
    )


def first_block(
    x: Tensor, weight: Tensor, bias: Tensor | None, norm: nn.Module, width: int
) -> Tensor:
    """Convolve without padding, normalise by the batch, and take the maximum of windows.

    The running statistics of the norm follow. A bias goes into them, and is taken out again: its
    gradient is 0. Where a weight of the norm is exactly 0, its own gradient is of the highest
    score of each window, not of the first.

    Parameters
    ----------
    x : tensor, shape (n, inputs, 1, length)
        No gradient is asked for.
    weight : tensor, shape (filters, inputs, kernel)
    bias : tensor, shape (filters,), optional
    norm : torch.nn.BatchNorm2d
        In training mode (`first_block_fits`).
    width : int

    Returns
    -------
    tensor, shape (n, filters, 1, (length − kernel + 1) // width)
        Place by place in memory.
    """
    assert isinstance(norm, nn.BatchNorm2d)
    last = x.permute(0, 2, 3, 1).squeeze(1).contiguous()
    rows = _windows(last, weight.shape[2])
    weights = weight.permute(2, 1, 0).flatten(0, 1)
    statistics = _statistics(last, rows, weights.detach(), norm.eps)
    _follow(norm, statistics, bias, rows.shape[0] * rows.shape[1])
    y: Tensor = _FirstBlock.apply(rows, weights, bias, norm.weight, norm.bias, width, statistics)
    return turned(y)


def plain_first_block(
    x: Tensor, weight: Tensor, bias: Tensor | None, norm: nn.Module, width: int
) -> Tensor:
    """The same layer by layer, which `first_block` equals."""
    scores = nn.functional.conv2d(x, weight.unsqueeze(2), bias)
    return nn.functional.max_pool2d(norm(scores), (1, width))


class _Statistics(NamedTuple):
    """Of the scores of each filter, float64, and of what is read for them.

    Attributes
    ----------
    mean, variance, scale : tensor, shape (filters,)
        The scale is one by the standard deviation.
    sums : tensor, shape (inputs × kernel,)
    along : tensor, shape (inputs × kernel, filters)
        Sums of what is read times each filter's normalised score.
    """

    mean: Tensor
    variance: Tensor
    scale: Tensor
    sums: Tensor
    along: Tensor


def _windows(x: Tensor, kernel: int) -> Tensor:
    """What filters read at every place of ``(n, length, inputs)``: (places, n, kernel · inputs)."""
    n, length, inputs = x.shape
    shape = length - kernel + 1, n, kernel * inputs
    return x.as_strided(shape, (inputs, length * inputs, 1), x.storage_offset()).contiguous()


def _statistics(x: Tensor, rows: Tensor, weights: Tensor, eps: float) -> _Statistics:
    places, n, _ = rows.shape
    count, weights = places * n, weights.double()
    sums = x.sum(0).double().unfold(0, places, 1).sum(2).flatten()
    mean = sums @ weights / count
    apart = _products(rows, x.shape[2]) @ weights - sums[:, None] * mean
    variance = (weights * apart).sum(0).clamp(min=0) / count
    scale = torch.rsqrt(variance + eps)
    return _Statistics(mean, variance, scale, sums, apart * scale)


def _products(rows: Tensor, inputs: int) -> Tensor:
    """Sums of products of any two numbers of a window, shape (kernel · inputs, kernel · inputs).

    Two bases of a window are two bases of the next, one further: beyond the first base, products
    differ from those before by what enters at the last place and leaves at the first.
    """
    width = rows.shape[2]
    flat, kernel = rows.flatten(0, 1), width // inputs
    shape = kernel, inputs, kernel, inputs
    enters, leaves = ((end.t() @ end).double().view(shape) for end in (rows[-1], rows[0]))
    found = rows.new_zeros(shape, dtype=torch.float64)
    found[0] = (flat[:, :inputs].t() @ flat).double().view(shape[1:])
    for base in range(1, kernel):
        before = found[base - 1, :, base - 1 : -1] - leaves[base - 1, :, base - 1 : -1]
        found[base, :, base:] = before + enters[base, :, base:]
    square = found.view(width, width)
    for base in range(0, width, inputs):
        square[base + inputs :, base : base + inputs] = square[
            base : base + inputs, base + inputs :
        ].t()
    return square


def _follow(norm: nn.BatchNorm2d, found: _Statistics, bias: Tensor | None, count: int) -> None:
    """Let the running statistics of a norm follow those of a batch."""
    assert norm.num_batches_tracked is not None
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    with torch.no_grad():
        mean = found.mean if bias is None else found.mean + bias
        variance = found.variance * (count / (count - 1))
        norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), norm.momentum)
        norm.running_var.lerp_(variance.to(norm.running_var.dtype), norm.momentum)


class _FirstBlock(torch.autograd.Function):
    """From windows ``(places, n, numbers)`` to ``(places // width, n, filters)``."""

    @staticmethod
    def forward(
        context: Any,
        rows: Tensor,
        weights: Tensor,
        bias: Tensor | None,
        gain: Tensor,
        shift: Tensor,
        width: int,
        statistics: _Statistics,
    ) -> Tensor:
        sign = torch.where(gain < 0, -1.0, 1.0).to(rows.dtype)
        scale = statistics.scale.to(rows.dtype) * sign
        scaled = weights * scale
        count, n, filters = len(rows) // width, rows.shape[1], weights.shape[1]
        highest = rows.new_empty(count, n, filters)
        later = [torch.empty(highest.shape, dtype=torch.bool) for _ in range(width - 1)]
        step = _step(n, width)
        room = rows.new_empty(step * width * n, filters)
        for at in range(0, count, step):
            some = slice(at, min(at + step, count))
            read = rows[at * width : some.stop * width].flatten(0, 1)
            scores = torch.mm(read, scaled, out=room[: len(read)]).view(-1, width, n, filters)
            best = scores[:, 0]
            for place in range(1, width):
                torch.gt(scores[:, place], best, out=later[place - 1][some])
                last = place == width - 1
                out = highest[some] if last else None
                best = torch.maximum(best, scores[:, place], out=out)
        context.save_for_backward(rows, gain, highest, *later)
        context.statistics, context.sign, context.width = statistics, sign, width
        lowered = torch.addcmul(shift, statistics.mean.to(rows.dtype), scale * gain.abs(), value=-1)
        return torch.addcmul(lowered, highest, gain.abs())

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of a window is that of the last place that was higher than all before."""
        rows, gain, highest, *later = context.saved_tensors
        found, sign, width = context.statistics, context.sign.double(), context.width
        gradient = gradient.contiguous()
        count, n, filters = gradient.shape
        of_shift = gradient.sum((0, 1)).double()
        with_highest = (gradient * highest).sum((0, 1)).double()
        of_gain = sign * with_highest - found.mean * found.scale * of_shift
        of_weights = None
        if context.needs_input_grad[1]:
            step = _step(n, width)
            total = rows.new_zeros(rows.shape[2], filters)
            room = rows.new_empty(step, width, n, filters)
            for at in range(0, count, step):
                some = slice(at, min(at + step, count))
                given, rest = room[: some.stop - at], gradient[some]
                for place in range(width - 1, 0, -1):
                    torch.mul(rest, later[place - 1][some], out=given[:, place])
                    out = given[:, 0] if place == 1 else None
                    rest = torch.sub(rest, given[:, place], out=out)
                read = rows[at * width : some.stop * width].flatten(0, 1)
                total.addmm_(read.t(), given.view(-1, filters))
            places = len(rows) * n
            taken = torch.outer(found.sums, of_shift) + found.along * of_gain
            of_weights = (total.double() - taken / places) * (found.scale * gain.double())
            of_weights = of_weights.to(rows.dtype)
        of_bias = torch.zeros_like(gain) if context.needs_input_grad[2] else None
        kind = gain.dtype
        return None, of_weights, of_bias, of_gain.to(kind), of_shift.to(kind), None, None


def _step(n: int, width: int) -> int:
    """Windows of all sequences at a time."""
    return max(1, _ROWS * torch.get_num_threads() // (n * width))
