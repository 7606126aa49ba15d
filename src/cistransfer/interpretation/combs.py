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

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeGuard, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cistransfer.genome.codes import N
from cistransfer.interpretation.gradients import device_of
from cistransfer.interpretation.layers import (
    CONVOLUTIONS,
    ELEMENTWISE,
    NORMS,
    POOLS,
    chain_of,
    fold_norms,
    run_chain,
)
from cistransfer.models.blocks import Conv
from cistransfer.models.kernels.normalisation import BatchNorm2d
from cistransfer.models.model import Model, MotifFeatures
from cistransfer.models.score import one_hot

__all__ = ["AllMutants", "mutants_of"]

_LOCAL = (*NORMS, *ELEMENTWISE, nn.Identity)
_KNOWN = {kind.forward for kind in (*_LOCAL, *POOLS, *CONVOLUTIONS, nn.Linear, Conv, BatchNorm2d)}
_MAX_COMBS = 64
_FEW_UNITS = 0.9  # leave out units that are off where at most this part is on
_MANY_UNITS = 256
_MAX_FLOATS = 1 << 26  # of activations at a time, and of weights laid out anew

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
    count, n, three, narrow, channels = change.shape
    products = taps.products(narrow)
    start, step = stretches.start + taps.padding - taps.kernel + 1, stretches.step
    begin, shift, width = _frame(start, len(products), pool)
    below = after.stretches(begin, step, count, width)
    values = change.new_empty((count, n, three, width, below.shape[4]))
    values[..., :shift, :] = below[..., :shift, :]
    values[..., shift + len(products) :, :] = below[..., shift + len(products) :, :]
    for place, (matrix, first, last) in enumerate(products):
        # those of the comb that have this place inside of the sequence
        low = min(count, max(0, -((start + place) // step)))
        high = max(low, min(count, -((start + place - after.length) // step)))
        here = values[..., shift + place, :]
        if low < high:
            read = change[low:high, :, :, first:last].reshape(-1, (last - first) * channels)
            part = nn.functional.linear(read, matrix).view(high - low, n, three, -1)
            torch.add(part, below[low:high, ..., shift + place, :], out=here[low:high])
        if high - low < count:
            here[:low] = 0
            here[high:] = 0
    return Stretches(values, begin, step)


def _frame(start: int, width: int, pool: int) -> tuple[int, int, int]:
    """Stretches widened to whole pooling windows: their start, what lies before, their width."""
    shift = start % pool
    return start - shift, shift, -(-(shift + width) // pool) * pool


class Taps:
    """A convolution as one matrix per place of a stretch's outputs: only taps that it reaches.

    Parameters
    ----------
    layer : Conv1d or Conv2d
        A simple one.
    """

    def __init__(self, layer: Any) -> None:
        self.weight = layer.weight if layer.weight.dim() == 3 else layer.weight[:, :, 0]
        self.kernel, self.padding = self.weight.shape[2], along(layer.padding)
        self._made: dict[int, list[tuple[Tensor, int, int]]] = {}

    def products(self, width: int) -> list[tuple[Tensor, int, int]]:
        """For each of ``width + kernel − 1`` outputs its matrix and the inputs it reads."""
        if width not in self._made:
            made = []
            for place in range(width + self.kernel - 1):
                low, high = max(0, place - self.kernel + 1), min(place + 1, width)
                tap = low + self.kernel - 1 - place
                part = self.weight[:, :, tap : tap + high - low].permute(0, 2, 1)
                made.append((part.flatten(1).detach(), low, high))
            self._made[width] = made
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


def changed(held: Unmutated, stretches: Stretches) -> Tensor:
    """Values less those of the unmutated sequence; 0 outside of the sequence."""
    values = stretches.values
    count, width = values.shape[0], values.shape[3]
    start, step = stretches.start, stretches.step
    change = values - held.stretches(start, step, count, width)
    last = start + step * (count - 1) + width
    if start < 0 or last > held.length:
        at = start + step * torch.arange(count)[:, None] + torch.arange(width)
        inside = ((at >= 0) & (at < held.length)).to(values)
        change *= inside[:, None, None, :, None]
    return change


class AllMutants:
    """A chain of layers that starts with a convolution, ready to score all mutants of sequences.

    Convolutions and poolings are followed in combs (see the module). Then the
    first linear layer sees the changes only, and each further one only units that are on in some
    mutant of the sequence. The scores are those of scoring every mutant whole.
    """

    def __init__(self, model: nn.Module, layers: Sequence[nn.Module], task: int, rows: int) -> None:
        self.model, self.task = model, task
        self.motifs = _motifs_of(model)
        self.step, self.n_followed = comb_step(layers)
        self.followed, self.rest = layers[: self.n_followed], layers[self.n_followed :]
        largest, last = stretch_sizes(self.followed)
        width: Any = self.rest[0].out_features if self._has_linear() else 0
        self.rows = max(1, min(rows, _MAX_FLOATS // (3 * largest // self.step + last + width)))
        self.taps = {
            number: Taps(layer)
            for number, layer in enumerate(self.followed)
            if number and is_convolution(layer)
        }
        self.margin = 2 * (self.step + sum(width_of(layer) for layer in self.followed))
        self.columns: dict[tuple[int, int], Tensor] = {}
        self.n_held = 0

    @staticmethod
    def of(model: nn.Module, length: int, task: int, rows: int) -> AllMutants | None:
        """Of a model that is such a chain (motif features beside it or not), else None.

        Parameters
        ----------
        model : nn.Module
            One-hot ``(n, 4, length)`` → logits ``(n, tasks)``.
        rows : int
            About how many mutants will be scored at a time.
        """
        motifs, part = _motifs_of(model), None
        if motifs is not None:
            part = cast(Model, model).network_features
        layers = chain_of(model, length, part)
        if layers is None or not (is_simple(layers[0]) and is_convolution(layers[0])):
            return None
        if any(layer._forward_hooks or layer._forward_pre_hooks for layer in layers):
            return None
        layers = _not_in_place(pools_first(fold_norms(_without_flattening(layers))))
        if _is_linear(layers[-1]) and motifs is None:
            layers[-1], task = _one_output(layers[-1], task), 0
        return AllMutants(model, layers, task, rows)

    def scores(self, codes: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Logits of all mutants, (length, n, 3), and of the sequences themselves, (n,).

        The mutants of base b are those to b + 1, b + 2 and b + 3 (mod 4); at N they mean nothing.
        """
        given = torch.from_numpy(np.array(codes)).to(device_of(self.model))
        with torch.autocast(given.device.type, enabled=False):
            return self._scores(given)

    def _scores(self, given: Tensor) -> tuple[Tensor, Tensor]:
        x = one_hot(given).unsqueeze(2)
        inputs = [x, *(x := run_flat(layer, x) for layer in self.followed)]
        changes, spans = self._changes(inputs, given.long().clamp(max=3).t())
        if self._has_linear():
            first = run_chain(self.rest[:1], x)
            reference = self._finished(run_chain(self.rest[1:], first), given)
            hidden = self._linear(changes, spans, first, x.shape[3])
            each = [self._rest(rows.flatten(0, 1)) for rows in hidden]
        else:
            reference = self._finished(_run(self.rest, x), given)
            each = [self._whole(changes[row], spans, x[row]) for row in range(len(given))]
        scores = torch.empty((given.shape[1], len(given), 3), device=given.device)
        for row, out in enumerate(each):
            mutants = None if self.motifs is None else mutants_of(given[row])
            scores[:, row] = self._finished(out, mutants).view(-1, 3)
        return scores, reference

    def _has_linear(self) -> bool:
        return bool(self.rest) and _is_linear(self.rest[0])

    def _changes(self, inputs: Sequence[Tensor], bases: Tensor) -> tuple[Tensor, list[Span]]:
        """Changes of the activations behind the followed layers, and each position's span.

        The changes have the shape (n, length, 3, width, channels); what lies behind a span
        narrower than the widest one means nothing.
        """
        held = {
            number: Unmutated(inputs[number], self.margin)
            for number in {1, *self.taps, *(number + 1 for number in self.taps), self.n_followed}
        }
        length = len(bases)
        spans = [(0, 0)] * length
        combs = []
        for first in range(min(self.step, length)):
            pool = pool_behind(self.followed, 0)
            here = after_first(
                self.followed[0], held[1], bases[first :: self.step], first, self.step, pool
            )
            for number, layer in enumerate(self.followed[1:], start=1):
                if number in self.taps:
                    pool = pool_behind(self.followed, number)
                    here = convolved(self.taps[number], held[number], held[number + 1], here, pool)
                else:
                    here = follow(layer, here)
            combs.append(changed(held[self.n_followed], here))
            for number, position in enumerate(range(first, length, self.step)):
                start = here.start + number * here.step
                spans[position] = start, start + combs[-1].shape[3]
        widest = max(comb.shape[3] for comb in combs)
        _, n, three, _, channels = combs[0].shape
        changes = combs[0].new_empty((n, length, three, widest, channels))
        for first, comb in enumerate(combs):
            changes[:, first :: self.step, :, : comb.shape[3]] = comb.transpose(0, 1)
        return changes, spans

    def _linear(self, changes: Tensor, spans: list[Span], before: Tensor, length: int) -> Tensor:
        """First linear layer of all mutants, (n, length, 3, outputs), from its columns' changes.

        ``before`` (n, outputs) is what it gives of the sequences themselves.
        """
        layer: Any = self.rest[0]
        places = layer.weight.detach().unflatten(1, (-1, length)).permute(2, 1, 0)
        out = before.new_empty((len(before), len(spans), 3, before.shape[1]))
        for begin, end in _runs(spans):
            here, (start, stop) = out[:, begin:end], spans[begin]
            low, high = max(start, 0), min(stop, length)
            if low >= high:
                here[:] = before[:, None, None]
                continue
            columns = self.columns.get((low, high))
            if columns is None:
                columns = places[low:high].flatten(0, 1)
                self.n_held += columns.numel()
                if self.n_held <= _MAX_FLOATS:
                    self.columns[low, high] = columns
            change = changes[:, begin:end, :, low - start : high - start]
            product = change.reshape(-1, (high - low) * change.shape[4]) @ columns
            torch.add(product.view(here.shape), before[:, None, None], out=here)
        return out

    def _rest(self, x: Tensor) -> Tensor:
        """Layers behind the first linear one, for the mutants of one sequence; ``x`` is used up."""
        for number in range(1, len(self.rest)):
            layer: Any = self.rest[number]
            if not _is_linear(layer):
                x = x.relu_() if type(layer) is nn.ReLU else layer(x)
                continue
            x, weight = x.flatten(1), layer.weight
            if type(self.rest[number - 1]) is nn.ReLU and x.shape[1] >= _MANY_UNITS:
                on = torch.nonzero(x.amax(dim=0))[:, 0]
                if 0 < len(on) < _FEW_UNITS * x.shape[1]:
                    x = x.index_select(1, on)
                    weight = weight.index_select(1, on)
            x = nn.functional.linear(x, weight, layer.bias)
        return x

    def _whole(self, changes: Tensor, spans: list[Span], x: Tensor) -> Tensor:
        """All other layers, for the mutants of one sequence, on whole windows."""
        parts = []
        for begin, end in _runs(spans):
            some = changes[begin:end].flatten(0, 1)[:, :, :, None].permute(0, 2, 3, 1)
            window = x.repeat(len(some), 1, 1, 1)
            (start, stop), length = spans[begin], x.shape[2]
            low, high = max(start, 0), min(stop, length)
            if low < high:
                window[..., low:high] += some[..., low - start : high - start]
            parts.append(_run(self.rest, window))
        return torch.cat(parts)

    def _finished(self, out: Tensor, codes: Tensor | None) -> Tensor:
        """The explained logit: an output, or what the common head makes of it and the motifs."""
        if self.motifs is not None and codes is not None:
            occupancies = self.motifs(one_hot(codes)).to(out.dtype)
            head: Any = self.model.head
            out = head(torch.cat([out.flatten(1), occupancies], dim=1))
        return out.flatten(1)[:, self.task]


def _motifs_of(model: nn.Module) -> MotifFeatures | None:
    return model.motifs if isinstance(model, Model) else None


def _is_linear(layer: nn.Module) -> TypeGuard[nn.Linear]:
    return isinstance(layer, nn.Linear) and is_known(layer)


def _not_in_place(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """Layers that leave what they are given as it is, for it is needed again."""
    chain = list(layers)
    for number, layer in enumerate(chain):
        if getattr(layer, "inplace", False):
            chain[number] = copy.copy(layer)
            chain[number].inplace = False  # type: ignore[assignment]
    return chain


def _without_flattening(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """Leave out flattening right before a linear layer; there it goes without saying."""
    return [
        layer
        for layer, behind in zip(layers, [*layers[1:], None], strict=True)
        if not (
            isinstance(layer, nn.Flatten)
            and (layer.start_dim, layer.end_dim) == (1, -1)
            and isinstance(behind, nn.Linear)
        )
    ]


def _one_output(layer: nn.Linear, task: int) -> nn.Linear:
    one = copy.deepcopy(layer)
    one.out_features = 1
    one.weight = nn.Parameter(layer.weight.detach()[task][None])
    if layer.bias is not None:
        one.bias = nn.Parameter(layer.bias.detach()[task][None])
    return one


def mutants_of(sequence: Tensor) -> Tensor:
    """All mutants of a sequence, (3 · length, length).

    In the order of positions; those of base b are to b + 1, b + 2 and b + 3 (mod 4), and in the
    place of N there stays N.
    """
    place = torch.arange(len(sequence), device=sequence.device)
    mutants = sequence.repeat(len(sequence), 3, 1)
    for number in range(3):
        new = torch.where(sequence < N, (sequence + number + 1) % 4, sequence)
        mutants[place, number, place] = new
    return mutants.flatten(0, 1)


def _runs(spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Begin and end of each run of positions with the same span."""
    cuts = [at for at in range(1, len(spans)) if spans[at] != spans[at - 1]]
    return list(pairwise([0, *cuts, len(spans)]))


def _run(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    try:
        return run_chain(layers, x)
    except (RuntimeError, ValueError):
        return run_chain(layers, x.squeeze(2))
