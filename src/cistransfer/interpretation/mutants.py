"""Scores of all mutants of sequences, part by part of a network.

A network is followed as a chain of layers that begins with a convolution (`Chain`, in combs), as a
bank of filters on both strands (`cistransfer.interpretation.scanned`), or as both side by side
(`cistransfer.models.towers`): then each part hands on its features, and the head reads all.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Protocol, TypeGuard, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cistransfer.genome.codes import N
from cistransfer.interpretation.combs import (
    Span,
    Taps,
    Unmutated,
    after_first,
    changed,
    comb_step,
    convolved,
    follow,
    is_convolution,
    is_known,
    is_simple,
    pool_behind,
    pools_first,
    run_flat,
    stretch_sizes,
    width_of,
)
from cistransfer.interpretation.gradients import device_of
from cistransfer.interpretation.layers import chain_of, fold_norms, run_chain
from cistransfer.interpretation.scanned import Scanned
from cistransfer.models.blocks import one_hot
from cistransfer.models.model import Model, MotifFeatures
from cistransfer.models.motif_bank import MotifBank
from cistransfer.models.towers import Towers

__all__ = ["AllMutants", "Chain", "mutants_of"]

_FEW_UNITS = 0.9  # leave out units that are off where at most this part is on
_MANY_UNITS = 256
_MAX_FLOATS = 1 << 26  # of activations at a time


class Part(Protocol):
    """A part of a network that knows what it makes of all mutants.

    Attributes
    ----------
    n_floats : int
        About how many numbers it holds for each mutant.
    """

    n_floats: int

    def outputs(self, given: Tensor) -> tuple[Iterator[Tensor], Tensor]:
        """Of the mutants of each sequence in turn, (3 · length, k), in the order of `mutants_of`,
        and of the sequences themselves, (n, k); ``given`` are codes, (n, length)."""


class AllMutants:
    """A network whose parts are known, ready to score all mutants of sequences.

    The scores are those of scoring every mutant whole.
    """

    def __init__(
        self, model: nn.Module, parts: Sequence[Part], head: nn.Module | None, task: int, rows: int
    ) -> None:
        self.model, self.parts, self.head, self.task = model, parts, head, task
        self.motifs = _motifs_of(model)
        self.rows = max(1, min(rows, _MAX_FLOATS // sum(part.n_floats for part in parts)))

    @staticmethod
    def of(model: nn.Module, length: int, task: int, rows: int) -> AllMutants | None:
        """Of a model whose parts are known (motif features beside it or not), else None.

        Parameters
        ----------
        model : nn.Module
            One-hot ``(n, 4, length)`` → logits ``(n, tasks)``.
        rows : int
            About how many mutants will be scored at a time.
        """
        motifs = _motifs_of(model)
        parts = _parts_of(model, length)
        if parts is not None:
            return AllMutants(model, parts, cast(nn.Module, model.head), task, rows)
        part = None if motifs is None else cast(Model, model).network_features
        layers = chain_of(model, length, part)
        if layers is None or not _begins_simply(layers):
            return None
        layers = _prepared(layers)
        if motifs is not None:
            return AllMutants(model, [Chain(layers)], cast(nn.Module, model.head), task, rows)
        if _is_linear(layers[-1]):
            layers[-1], task = _one_output(layers[-1], task), 0
        return AllMutants(model, [Chain(layers)], None, task, rows)

    def scores(self, codes: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Logits of all mutants, (length, n, 3), and of the sequences themselves, (n,).

        The mutants of base b are those to b + 1, b + 2 and b + 3 (mod 4); at N they mean nothing.
        """
        given = torch.from_numpy(np.array(codes)).to(device_of(self.model))
        with torch.autocast(given.device.type, enabled=False):
            found = [part.outputs(given) for part in self.parts]
            reference = self._finished([own for _, own in found], given)
            scores = torch.empty((given.shape[1], len(given), 3), device=given.device)
            for row, outputs in enumerate(zip(*(mutants for mutants, _ in found), strict=True)):
                mutants = None if self.motifs is None else mutants_of(given[row])
                scores[:, row] = self._finished(outputs, mutants).view(-1, 3)
        return scores, reference

    def _finished(self, outputs: Sequence[Tensor], codes: Tensor | None) -> Tensor:
        """The explained logit: an output, or what a head makes of all parts and the motifs."""
        found = [out.flatten(1) for out in outputs]
        if self.motifs is not None and codes is not None:
            found.append(self.motifs(one_hot(codes)).to(found[0].dtype))
        whole = torch.cat(found, dim=1) if len(found) > 1 else found[0]
        return (whole if self.head is None else self.head(whole))[:, self.task]


class Chain:
    """A chain of layers that starts with a convolution.

    Convolutions and poolings are followed in combs (`cistransfer.interpretation.combs`). Then the
    first linear layer sees the changes only, and each further one only units that are on in some
    mutant of the sequence.

    Parameters
    ----------
    layers : sequence of nn.Module
        As `_prepared` leaves them.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        self.step, self.n_followed = comb_step(layers)
        self.followed, self.rest = layers[: self.n_followed], layers[self.n_followed :]
        largest, last = stretch_sizes(self.followed)
        width: Any = self.rest[0].out_features if self._has_linear() else 0
        self.n_floats = 3 * largest // self.step + last + width
        self.taps = {
            number: Taps(layer)
            for number, layer in enumerate(self.followed)
            if number and is_convolution(layer)
        }
        self.margin = 2 * (self.step + sum(width_of(layer) for layer in self.followed))
        self.columns: Tensor | None = None

    def outputs(self, given: Tensor) -> tuple[Iterator[Tensor], Tensor]:
        """See `Part`."""
        x = one_hot(given).unsqueeze(2)
        inputs = [x, *(x := run_flat(layer, x) for layer in self.followed)]
        changes, spans = self._changes(inputs, given.long().clamp(max=3).t().contiguous())
        if self._has_linear():
            first = run_chain(self.rest[:1], x)
            hidden = self._linear(changes, spans, first, x.shape[3])
            each = (self._rest(rows) for rows in hidden)
            return each, run_chain(self.rest[1:], first)
        each = (self._whole(changes[row], spans, x[row]) for row in range(len(given)))
        return each, _run(self.rest, x)

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
            combs.append(here)
            for number, position in enumerate(range(first, length, self.step)):
                start = here.start + number * here.step
                spans[position] = start, start + here.values.shape[3]
        widest = max(comb.values.shape[3] for comb in combs)
        _, n, three, _, channels = combs[0].values.shape
        changes = combs[0].values.new_empty((n, length, three, widest, channels))
        for first, comb in enumerate(combs):
            out = changes[:, first :: self.step, :, : comb.values.shape[3]].transpose(0, 1)
            changed(held[self.n_followed], comb, out=out)
        return changes, spans

    def _linear(
        self, changes: Tensor, spans: list[Span], before: Tensor, length: int
    ) -> Iterator[Tensor]:
        """First linear layer of the mutants of each sequence, (3 · length, outputs), from its
        columns' changes.

        ``before`` (n, outputs) is what it gives of the sequences themselves.
        """
        if self.columns is None:  # place, channel, output: what neighbouring places read is a view
            layer: Any = self.rest[0]
            turned = layer.weight.detach().t().contiguous().unflatten(0, (-1, length))
            self.columns = turned.transpose(0, 1).contiguous()
        runs = _runs(spans)
        for row, own in enumerate(before):
            out = own.repeat(3 * len(spans), 1)
            for begin, end in runs:
                start, stop = spans[begin]
                low, high = max(start, 0), min(stop, length)
                if low < high:
                    change = changes[row, begin:end, :, low - start : high - start]
                    columns = self.columns[low:high].flatten(0, 1)
                    out[3 * begin : 3 * end].addmm_(change.flatten(0, 1).flatten(1), columns)
            yield out

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


def _parts_of(model: nn.Module, length: int) -> list[Part] | None:
    """The parts of a network of ours that is no chain; None of any other."""
    network = model.network if isinstance(model, Model) else model
    if isinstance(network, Towers):
        layers = chain_of(network, length, network.published)
        scanned = Scanned.of(network.conv4, network.conv5, network.dense3, length)
        if layers is None or scanned is None or not _begins_simply(layers):
            return None
        return [Chain(_prepared(layers)), scanned]
    if isinstance(network, MotifBank) and not network.n_blocks:
        scanned = Scanned.of(network.conv1, network.conv2, network.dense1, length)
        return None if scanned is None else [scanned]
    return None


def _begins_simply(layers: Sequence[nn.Module]) -> bool:
    """Whether a chain begins with a simple convolution and nothing else looks into its layers."""
    return (
        is_simple(layers[0])
        and is_convolution(layers[0])
        and not any(layer._forward_hooks or layer._forward_pre_hooks for layer in layers)
    )


def _prepared(layers: Sequence[nn.Module]) -> list[nn.Module]:
    return _not_in_place(pools_first(fold_norms(_without_flattening(layers))))


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
