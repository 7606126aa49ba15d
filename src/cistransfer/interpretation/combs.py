"""Scores of all mutants of sequences, from what each substitution can reach.

Mutants are taken in combs: the three substitutions at positions r, r + s, r + 2s, … of all
sequences. Here s = 4 (one pooling by 4 behind a convolution of width 3) and r = 1::

    position     0   1   2   3   4   5   6   7   8   9  10  11
    sequence     A   C   G   T   A   C   G   T   A   C   G   T
    comb 1           ^               ^               ^             teeth: mutated one at a time
    convolved    ├───────┤       ├───────┤       ├───────┤         what each tooth changes
    windowed     ├───────────┤   ├───────────┤   ├───────────┤     widened to whole poolings
    pooled             0               1               2           one number a tooth

With s a multiple of every pooling, the changed stretches of one comb begin equally far apart in
each layer and lie alike in its pooling windows, so that the unmutated activations beside and below
them are views of one tensor, and nothing is gathered. What is outside of the stretches is that of
the unmutated sequence. The combs r = 0 … s − 1 are all mutants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cistransfer.interpretation.layers import (
    CONVOLUTIONS,
    ELEMENTWISE,
    NORMS,
    POOLS,
)
from cistransfer.models.blocks import Conv
from cistransfer.models.kernels.normalisation import BatchNorm2d

__all__ = [
    "Span",
    "Stretches",
    "Taps",
    "Unmutated",
    "after_first",
    "changed",
    "comb_step",
    "convolved",
    "follow",
    "is_convolution",
    "is_known",
    "is_simple",
    "pool_behind",
    "pools_first",
    "run_flat",
    "stretch_sizes",
    "width_of",
]

_LOCAL = (*NORMS, *ELEMENTWISE, nn.Identity)
_KNOWN = {kind.forward for kind in (*_LOCAL, *POOLS, *CONVOLUTIONS, nn.Linear, Conv, BatchNorm2d)}
_MAX_COMBS = 64

Span = tuple[int, int]
"""Where the changed stretch of a position's mutants begins and ends, maybe outside."""


def is_known(layer: nn.Module) -> bool:
    """Whether a layer does what its class in PyTorch does: no forward of its own, no hooks."""
    return type(layer).forward in _KNOWN and not layer._forward_hooks | layer._forward_pre_hooks


def is_convolution(layer: nn.Module) -> bool:
    """Whether a layer is a convolution of any kind."""
    return isinstance(layer, CONVOLUTIONS)


def is_local(layer: Any) -> bool:
    """Whether a layer works on each position by itself."""
    normed = isinstance(layer, NORMS)
    return (
        isinstance(layer, _LOCAL)
        and is_known(layer)
        and not (normed and layer.running_mean is None)
    )


def width_of(layer: Any) -> int:
    """How much wider a layer can make a stretch, padding counted."""
    return along(layer.kernel_size) + along(layer.padding) if is_convolution(layer) else 0


def is_simple(layer: nn.Module) -> bool:
    """Whether a layer is a convolution or a pooling along the length only, plain enough to follow.

    Convolutions go one step at a time; poolings, a window at a time.
    """
    if not is_known(layer):
        return False
    if isinstance(layer, POOLS):
        return (
            along(layer.kernel_size) == along(layer.stride)
            and along(layer.padding) == 0
            and along(layer.dilation) == 1
            and not layer.ceil_mode
        )
    if isinstance(layer, CONVOLUTIONS):
        level = isinstance(layer, nn.Conv1d) or (layer.kernel_size[0], layer.padding[0]) == (1, 0)
        return (
            level
            and layer.stride[-1] == 1
            and layer.dilation[-1] == 1
            and layer.groups == 1
            and not isinstance(layer.padding, str)
            and layer.padding_mode == "zeros"
        )
    return False


def along(value: Any) -> int:
    return int(value if isinstance(value, int) else value[-1])


def pools_first(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """Max-pooling before a ReLU in front of it: the same values from fewer numbers."""
    chain = list(layers)
    for at in range(len(chain) - 1):
        pair = chain[at], chain[at + 1]
        if type(pair[0]) is nn.ReLU and isinstance(pair[1], POOLS):
            chain[at], chain[at + 1] = pair[1], pair[0]
    return chain


def pool_behind(layers: Sequence[nn.Module], number: int) -> int:
    """Width of the simple pooling that follows a layer, local layers between or none; else 1."""
    for layer in layers[number + 1 :]:
        if isinstance(layer, POOLS) and is_simple(layer):
            return along(layer.kernel_size)
        if not is_local(layer):
            break
    return 1


def comb_step(layers: Sequence[nn.Module]) -> tuple[int, int]:
    """How far apart a comb's positions are, and how many layers can be followed with it.

    The layers must begin with a simple convolution. At most 64 combs are made; where poolings
    would ask for more, fewer layers are followed.
    """
    step, pooled = 1, True
    for number, layer in enumerate(layers):
        if isinstance(layer, POOLS):
            # one pooling for each convolution: its stretches were laid out for that one
            if not is_simple(layer) or pooled or step * along(layer.kernel_size) > _MAX_COMBS:
                return step, number
            step, pooled = step * along(layer.kernel_size), True
        elif isinstance(layer, CONVOLUTIONS):
            if not is_simple(layer):
                return step, number
            pooled = False
        elif not is_local(layer):
            return step, number
    return step, len(layers)


def stretch_sizes(layers: Sequence[nn.Module]) -> tuple[int, int]:
    """How many numbers a mutant's stretch has where it is largest, and behind the layers."""
    width, channels, largest = 1, 4, 0
    for number, layer in enumerate(layers):
        known: Any = layer
        if is_convolution(layer):
            pool = pool_behind(layers, number)
            width, channels = width + along(known.kernel_size) - 1, known.out_channels
            width = -(-(width + pool - 1) // pool) * pool
        elif isinstance(layer, POOLS):
            width = -(-width // along(known.kernel_size))
        largest = max(largest, width * channels)
    return largest, width * channels


def run_flat(layer: Any, x: Tensor) -> Tensor:
    """Run a simple or local layer on (n, channels, 1, length)."""
    if isinstance(layer, nn.BatchNorm1d):
        return nn.functional.batch_norm(
            x, layer.running_mean, layer.running_var, layer.weight, layer.bias,
            False, 0.0, layer.eps,
        )  # fmt: skip
    if isinstance(layer, nn.MaxPool1d):
        return layer(x.squeeze(2)).unsqueeze(2)
    if isinstance(layer, nn.Conv1d):
        return nn.functional.conv2d(
            x, layer.weight.unsqueeze(2), layer.bias, padding=(0, along(layer.padding))
        )
    return layer(x)


class Unmutated:
    """Activations of the unmutated sequences, with zeros around them.

    Parameters
    ----------
    x : Tensor, shape (n, channels, 1, length)
    margin : int
        How many zeros on each side.
    """

    def __init__(self, x: Tensor, margin: int) -> None:
        self.length, self.margin = x.shape[3], margin
        self.rows = nn.functional.pad(x[:, :, 0].transpose(1, 2), (0, 0, margin, margin))
        self.rows = self.rows.contiguous()

    def stretches(self, start: int, step: int, count: int, width: int) -> Tensor:
        """View of the stretches from ``start``, ``start + step``, …

        Its shape is (count, n, 1, width, channels).
        """
        n, total, channels = self.rows.shape
        return self.rows.as_strided(
            (count, n, 1, width, channels),
            (step * channels, total * channels, 0, channels, 1),
            (self.margin + start) * channels,
        )


@dataclass(frozen=True)
class Stretches:
    """A comb's mutants in one layer.

    ``values`` (count, n, 3, width, channels) belong to the positions from ``start + i · step``.
    """

    values: Tensor
    start: int
    step: int


def after_first(
    layer: Any, after: Unmutated, old: Tensor, first: int, step: int, pool: int
) -> Stretches:
    """The first convolution of a comb's mutants: differences of its weights, nothing computed.

    Parameters
    ----------
    after : Unmutated
        What the convolution gives of the unmutated sequences.
    old : Tensor of int64, shape (count, n)
        The base at each position of the comb.
    first, step : int
        The comb's positions.
    pool : int
        The stretches are widened to whole windows of this width.
    """
    weight = layer.weight if layer.weight.dim() == 3 else layer.weight[:, :, 0]
    kernel = weight.shape[2]
    begin, shift, width = _frame(first + along(layer.padding) - kernel + 1, kernel, pool)
    rows = weight.new_zeros((4, width, weight.shape[0]))  # base, place, filter
    rows[:, shift : shift + kernel] = weight.detach().flip(2).permute(1, 2, 0)
    base = torch.arange(4, device=old.device)
    new = (base[:, None] + torch.arange(1, 4, device=old.device)) % 4
    values = (rows[new] - rows[:, None])[old]
    values += after.stretches(begin, step, len(old), width)
    return Stretches(values, begin, step)


def convolved(
    taps: Taps, before: Unmutated, after: Unmutated, stretches: Stretches, pool: int
) -> Stretches:
    """A convolution is linear: that of the changes alone is added to what it gave before."""
    change = changed(before, stretches)
    count, _, three, narrow, channels = change.shape
    products = taps.products(narrow)
    start, step = stretches.start + taps.padding - taps.kernel + 1, stretches.step
    begin, shift, width = _frame(start, len(products), pool)
    below = after.stretches(begin, step, count, width)
    values = below.repeat(1, 1, three, 1, 1)  # 0 outside of the sequence
    for place, (matrix, first, last) in enumerate(products):
        # those of the comb that have this place inside of the sequence
        low = min(count, max(0, -((start + place) // step)))
        high = max(low, min(count, -((start + place - after.length) // step)))
        if low < high:
            read = change[low:high, :, :, first:last].reshape(-1, (last - first) * channels)
            values[low:high, :, :, shift + place].flatten(0, 2).addmm_(read, matrix)
    return Stretches(values, begin, step)


def _frame(start: int, width: int, pool: int) -> tuple[int, int, int]:
    """Stretches widened to whole pooling windows: their start, what lies before, their width."""
    shift = start % pool
    return start - shift, shift, -(-(shift + width) // pool) * pool


class Taps:
    """A convolution as one matrix, of which each place of a stretch's outputs takes the rows of
    the taps that reach it.

    Parameters
    ----------
    layer : Conv1d or Conv2d
        A simple one.
    """

    def __init__(self, layer: Any) -> None:
        weight = layer.weight if layer.weight.dim() == 3 else layer.weight[:, :, 0]
        self.kernel, self.padding = weight.shape[2], along(layer.padding)
        self.rows = weight.detach().permute(2, 1, 0).contiguous()  # tap, input, output
        self._made: dict[int, list[tuple[Tensor, int, int]]] = {}

    def products(self, width: int) -> list[tuple[Tensor, int, int]]:
        """For each of ``width + kernel − 1`` outputs its matrix and the inputs it reads."""
        if width not in self._made:
            made = self._made[width] = []
            for place in range(width + self.kernel - 1):
                low, high = max(0, place - self.kernel + 1), min(place + 1, width)
                tap = low + self.kernel - 1 - place
                made.append((self.rows[tap : tap + high - low].flatten(0, 1), low, high))
        return self._made[width]


def follow(layer: Any, stretches: Stretches) -> Stretches:
    """Run a pooling or a local layer on stretches."""
    values, start, step = stretches.values, stretches.start, stretches.step
    if isinstance(layer, POOLS):
        kernel = along(layer.kernel_size)
        places = values.unflatten(3, (-1, kernel)).unbind(4)
        values = torch.maximum(places[0], places[1]) if kernel > 1 else places[0]
        for place in places[2:]:
            torch.maximum(values, place, out=values)
        return Stretches(values, start // kernel, step // kernel)
    if type(layer) is nn.ReLU:
        return Stretches(values.relu_(), start, step)
    if isinstance(layer, NORMS):
        rows = values.reshape(-1, values.shape[4], 1, 1)
        return Stretches(run_flat(layer, rows).reshape(values.shape), start, step)
    return Stretches(layer(values), start, step)


def changed(held: Unmutated, stretches: Stretches, out: Tensor | None = None) -> Tensor:
    """Values less those of the unmutated sequence; 0 outside of the sequence."""
    values = stretches.values
    count, width = values.shape[0], values.shape[3]
    start, step = stretches.start, stretches.step
    change = torch.sub(values, held.stretches(start, step, count, width), out=out)
    before = min(count, max(0, -(start // step)))  # of the comb that begin before the sequence
    behind = min(count, max(before, (held.length - width - start) // step + 1))
    for teeth in (range(before), range(behind, count)):
        for tooth in teeth:
            begin = start + tooth * step
            change[tooth, :, :, : max(0, -begin)] = 0
            change[tooth, :, :, max(0, held.length - begin) :] = 0
    return change
