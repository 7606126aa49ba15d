"""What a substitution can reach in each layer: changed stretches of activations.

The stretches of many mutants lie in one tensor; what is outside of them is that of the unmutated
sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "LOCAL",
    "Reach",
    "after_first",
    "along",
    "convolved",
    "flat",
    "pool_behind",
    "pooled",
    "pools_first",
    "simple",
    "starts_well",
    "whole_windows",
]

LOCAL = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.SELU,
    nn.GELU,
    nn.SiLU,
    nn.Softplus,
    nn.Sigmoid,
    nn.Tanh,
    nn.Identity,
)


def starts_well(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv1d | nn.Conv2d) and simple(layer) and layer.in_channels == 4


def simple(layer: nn.Module) -> bool:
    """Whether a convolution or pooling slides along the length only, one step at a time."""
    if isinstance(layer, nn.MaxPool1d | nn.MaxPool2d):
        return (
            along(layer.kernel_size) == along(layer.stride)
            and along(layer.padding) == 0
            and along(layer.dilation) == 1
            and not layer.ceil_mode
        )
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        flat = isinstance(layer, nn.Conv1d) or layer.kernel_size[0] == 1
        return (
            flat
            and layer.stride[-1] == 1
            and layer.dilation[-1] == 1
            and layer.groups == 1
            and not isinstance(layer.padding, str)
            and layer.padding_mode == "zeros"
        )
    return False


def along(value: Any) -> int:
    return int(value if isinstance(value, int) else value[-1])


@dataclass(frozen=True)
class Reach:
    """Changed activations of one layer: ``values`` (m, channels, 1, width) begin at ``start``."""

    values: Tensor
    start: Tensor


def flat(layer: Any, x: Tensor) -> Tensor:
    """Run a one-dimensional layer on (n, channels, 1, length)."""
    if isinstance(layer, nn.BatchNorm1d) and x.dim() == 4:
        return nn.functional.batch_norm(
            x, layer.running_mean, layer.running_var, layer.weight, layer.bias,
            layer.running_mean is None, 0.0, layer.eps,
        )  # fmt: skip
    if isinstance(layer, nn.MaxPool1d):
        return layer(x.squeeze(2)).unsqueeze(2)
    if isinstance(layer, nn.Conv1d):
        return (
            nn.functional.conv2d(
                x, layer.weight.unsqueeze(2), layer.bias, padding=(0, along(layer.padding))
            )
            if simple(layer)
            else layer(x.squeeze(2)).unsqueeze(2)
        )
    return layer(x)


def pools_first(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """Max-pooling before a ReLU in front of it: the same values from fewer numbers."""
    chain = list(layers)
    for at in range(len(chain) - 1):
        pair = chain[at], chain[at + 1]
        if type(pair[0]) is nn.ReLU and isinstance(pair[1], nn.MaxPool1d | nn.MaxPool2d):
            chain[at], chain[at + 1] = pair[1], pair[0]
    return chain


def pool_behind(layers: Sequence[nn.Module], number: int) -> int:
    """Width of a simple pooling that follows a layer, with at most a local one between; else 1."""
    for layer in layers[number + 1 : number + 3]:
        if isinstance(layer, nn.MaxPool1d | nn.MaxPool2d) and simple(layer):
            return along(layer.kernel_size)
        if not isinstance(layer, LOCAL):
            break
    return 1


def _stretches(rows: Tensor, width: int, start: Tensor) -> Tensor:
    """Copies of ``rows[s : s + width]`` for each s, (m, width, channels); rows are contiguous."""
    channels = rows.shape[1]
    view = rows.as_strided((len(rows) - width + 1, width, channels), (channels, channels, 1))
    return view.index_select(0, start)


def _aligned(first: Tensor, width: int, step: int, length: int) -> tuple[Tensor, int]:
    """Stretches from ``first`` of some width, widened to whole steps within ``length``."""
    wide = min((width + step - 2) // step * step + step, length // step * step or length)
    start = torch.div(first, step, rounding_mode="floor") * step
    return start.clamp(0, (length - wide) // step * step), wide


def after_first(
    layer: Any, held: Tensor, where: Tensor, old: Tensor, new: Tensor, step: int
) -> Reach:
    """Change of the first convolution's output: differences of its weights, nothing computed.

    The stretch begins at a multiple of ``step``, so that a pooling of that width can follow.
    """
    weight = layer.weight if layer.weight.dim() == 3 else layer.weight[:, :, 0]
    kernel, padding = weight.shape[2], along(layer.padding)
    rows = held[0, :, 0].t().contiguous()
    start, width = _aligned(where + padding - kernel + 1, kernel, step, len(rows))
    blank = width + step + kernel  # no stretch sees two weights
    table = torch.zeros((4, 2 * blank + kernel, weight.shape[0]), device=held.device)
    table[:, blank : blank + kernel] = weight.flip(2).permute(1, 2, 0)
    change = (table[None] - table[:, None]).flatten(0, 2)  # old, new, place
    begin = blank + start - (where + padding - kernel + 1)
    values = _stretches(change, width, (old * 4 + new) * table.shape[1] + begin)
    values += _stretches(rows, width, start)
    return Reach(values.permute(0, 2, 1).unsqueeze(2), start)


def whole_windows(
    held: Tensor, reach: Reach, start: Tensor | None = None, width: int | None = None
) -> Tensor:
    """Activations of ``[start, start + width)`` with the changed ones put in (all by default)."""
    rows = held[0, :, 0].t().contiguous()
    length, channels = rows.shape
    m = len(reach.start)
    if start is None or width is None:
        start, width = torch.zeros_like(reach.start), length
    steps = torch.arange(width, device=held.device)
    begin = (reach.start - start)[:, None]
    inside = steps - begin
    changed = (inside >= 0) & (inside < reach.values.shape[3])
    mine = reach.values[:, :, 0].permute(0, 2, 1).reshape(-1, channels)
    source = torch.cat([rows, mine])
    pick = torch.where(
        changed,
        length + torch.arange(m, device=held.device)[:, None] * reach.values.shape[3] + inside,
        start[:, None] + steps,
    )
    return source[pick.flatten()].view(m, width, channels).permute(0, 2, 1).unsqueeze(2)


def pooled(kernel: int, held: Tensor, reach: Reach) -> Reach:
    length, wide = held.shape[3] // kernel, reach.values.shape[3]
    if wide % kernel == 0 and wide <= length * kernel and not bool((reach.start % kernel).any()):
        width, start, window = wide // kernel, reach.start // kernel, reach.values
    else:
        width = min((wide + kernel - 2) // kernel + 1, length)
        start = torch.div(reach.start, kernel, rounding_mode="floor").clamp(0, length - width)
        window = whole_windows(held, reach, start * kernel, width * kernel)
    places = window[:, :, 0].permute(0, 2, 1).unflatten(1, (width, kernel))
    values = places[:, :, 0]
    for place in range(1, kernel):
        values = torch.maximum(values, places[:, :, place])
    return Reach(values.permute(0, 2, 1).unsqueeze(2), start)


def convolved(layer: Any, held: Tensor, after: Tensor, reach: Reach, step: int) -> Reach:
    """A convolution is linear: that of the changes alone is added to what it gave before."""
    weight = layer.weight.unsqueeze(2) if layer.weight.dim() == 3 else layer.weight
    kernel, padding = weight.shape[3], along(layer.padding)
    before, rows = (one[0, :, 0].t().contiguous() for one in (held, after))
    width = reach.values.shape[3]
    change = reach.values[:, :, 0].permute(0, 2, 1) - _stretches(before, width, reach.start)
    change = nn.functional.conv2d(
        change.permute(0, 2, 1).unsqueeze(2), weight, padding=(0, kernel - 1)
    )
    change = change[:, :, 0].permute(0, 2, 1)
    first = reach.start + padding - kernel + 1  # may lie before the beginning
    start, wide = _aligned(first, change.shape[1], step, len(rows))
    values = _stretches(rows, wide, start)
    _, runs = torch.unique_consecutive(reach.start, return_counts=True)
    ends = runs.cumsum(0).tolist()
    begins = [0, *ends[:-1]]
    shifts = (first - start)[begins].tolist()
    for begin, end, shift in zip(begins, ends, shifts, strict=True):
        skip, place = max(-shift, 0), max(shift, 0)
        some = min(change.shape[1] - skip, wide - place)
        if some > 0:
            values[begin:end, place : place + some] += change[begin:end, skip : skip + some]
    return Reach(values.permute(0, 2, 1).unsqueeze(2), start)
