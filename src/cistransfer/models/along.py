"""Models asked for many windows of one sequence: what these share is computed once.

Which networks can be asked so is a table by class (`CNN`, `DanQ`, `MotifBank`, `Towers`, and motifs
beside them); every other one, one that was changed or hooked, and all without kernels
(`cistransfer.models.kernels.use`) are asked window by window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cistransfer.genome.codes import N
from cistransfer.models.blocks import Ours, is_hooked, lift, one_hot, ours_of, reverse_codes
from cistransfer.models.cnn import CNN
from cistransfer.models.danq import DanQ
from cistransfer.models.kernels import in_use
from cistransfer.models.kernels.along import Along, Lookup, overlap, sum_along
from cistransfer.models.kernels.processor import gains_from_fourier
from cistransfer.models.model import Model, MotifFeatures, one_versus_rest
from cistransfer.models.motif_bank import MotifBank
from cistransfer.models.towers import Towers

__all__ = ["MIN_WINDOWS", "Sharing"]

Ints = NDArray[np.int64]
Part = Callable[[Tensor, Ints], Tensor]
"""Maps codes of a stretch, (length,), and starts of windows to features, (n, k)."""
Parts = Sequence[tuple[Part, bool]]
"""And whether each gives the same for the reverse complement."""

MIN_WINDOWS = 64
"""Windows from which on tables are worth making."""
_BY_FOURIER = 0.5
"""Time of a convolution of windows by Fourier transforms, of one along a stretch."""
_TINY, _HUGE = 1e-280, 1e280
"""Sums of occupancies in float64 outside of these are computed window by window, in logarithms."""


class Sharing:
    """A model, prepared for windows of one length along sequences.

    Parameters
    ----------
    model : Model
    parts : sequence of (Part, bool)
        What makes the input of the head, one behind the other, motifs last.
    window : int
    """

    def __init__(self, model: Model, parts: Parts, window: int) -> None:
        self.model, self.parts, self.window = model, parts, window

    @classmethod
    def of(cls, model: nn.Module, window: int) -> Sharing | None:
        """A model in evaluation mode; None where it is to be asked window by window."""
        if type(model) is not Model or not in_use() or torch.is_autocast_enabled("cpu"):
            return None
        tensors = [*model.parameters(), *model.buffers()]
        plain = all(
            each.device.type == "cpu" and each.dtype in (torch.float32, torch.int64)
            for each in tensors
        )
        make = _PARTS.get(type(model.network))
        if make is None or not plain or any(map(is_hooked, model.modules())):
            return None
        parts = make(model.network, window)
        if parts is None:
            return None
        if model.motifs is not None and model.motifs.widths:
            if max(model.motifs.widths) > window:
                return None
            parts.append((_motifs(model.motifs, window), True))
        return cls(model, parts, window)

    def logits(self, codes: Tensor, starts: Ints, strands: str) -> Tensor:
        """Logits of windows that begin at ``starts``, the first at 0, the last at its end."""
        given, turned = self._of_strands(self.parts, codes, starts, strands)
        logits = self._behind(given)
        return logits if turned is None else (logits + self._behind(turned)) / 2

    def features(self, codes: Tensor, starts: Ints, strands: str) -> Tensor:
        """Input of the head of windows as in `logits`, the mean of the strands."""
        return self._mean(self.parts, codes, starts, strands)

    def network_features(self, codes: Tensor, starts: Ints, strands: str) -> Tensor:
        """`features` without the motifs."""
        motifs = self.model.motifs
        last = None if motifs is None or not motifs.widths else -1
        return self._mean(self.parts[:last], codes, starts, strands)

    def _mean(self, parts: Parts, codes: Tensor, starts: Ints, strands: str) -> Tensor:
        given, turned = self._of_strands(parts, codes, starts, strands)
        if turned is None:
            return torch.cat(given, dim=1)
        means = [
            one if one is other else (one + other) / 2
            for one, other in zip(given, turned, strict=True)
        ]
        return torch.cat(means, dim=1)

    def _of_strands(
        self, parts: Parts, codes: Tensor, starts: Ints, strands: str
    ) -> tuple[list[Tensor], list[Tensor] | None]:
        """What parts give for windows and, unless that is the same, for their reverse
        complements."""
        given = [part(codes, starts) for part, _ in parts]
        if strands == "forward" or all(same for _, same in parts):
            return given, None
        other, from_end = reverse_codes(codes), len(codes) - self.window - starts
        return given, [
            found if same else part(other, from_end)
            for found, (part, same) in zip(given, parts, strict=True)
        ]

    def _behind(self, features: list[Tensor]) -> Tensor:
        logits: Tensor = self.model.head(torch.cat(features, dim=1))
        return one_versus_rest(logits) if self.model.link == "exclusive" else logits


def _published(network: Any, window: int) -> Part | None:
    """Features of the published network."""
    blocks = [network.get_submodule(name) for name in ("conv1", "conv2", "conv3")]
    ours = [ours_of(block) for block in blocks]
    if not all(ours):
        return None
    first: Ours = ours[0]  # type: ignore[assignment]
    lookup = Lookup(first.weight, first.bias)

    def part(codes: Tensor, starts: Ints) -> Tensor:
        if not first.middle:
            along = Along.of_scan(codes, starts, window, first.pool, lookup)
        elif overlap(codes, starts, window):
            along = Along(lookup.scores(codes), starts, window - lookup.kernel + 1, 1)
            along = _between(first, along.image(), along).pooled(first.pool)
        else:
            return behind(blocks, lift(one_hot(_cut(codes, starts, window))))
        along = along.replaced(first.late(along.image()))
        rest = list(zip(blocks, ours, strict=True))[1:]
        while rest:
            one: Ours = rest[0][1]  # type: ignore[assignment]
            if not along.pays(one.weight.shape[2], _BY_FOURIER if gains_from_fourier() else 1.0):
                break
            image = torch.nn.functional.conv2d(
                along.image(), one.weight.unsqueeze(2), one.bias, dilation=(1, along.gap)
            )
            along = _between(one, image, along, one.weight.shape[2]).pooled(one.pool)
            along = along.replaced(one.late(along.image()))
            del rest[0]
        return behind([block for block, _ in rest], along.gathered())

    def behind(rest: Sequence[nn.Module], x: Tensor) -> Tensor:
        for block in rest:
            x = block(x)
        found: Tensor = network.dense2(network.dense1(torch.flatten(x, 1)))
        return found

    return part


def _cut(codes: Tensor, starts: Ints, window: int) -> Tensor:
    """Codes window by window."""
    return codes[torch.from_numpy(starts)[:, None] + torch.arange(window)]


def _between(block: Ours, image: Tensor, along: Along, kernel: int = 1) -> Along:
    for module in block.middle:
        image = module(image)
    return along.replaced(image, kernel)


def _bank(
    scan: Any, mix: nn.Module, blocks: Sequence[nn.Module], pooled: nn.Module, window: int
) -> Part:
    """Features of a bank of filters."""
    weight, width = scan.conv.weight, scan.pool.kernel_size[1]
    lookup, other = Lookup(weight), Lookup(weight.flip(1, 2))

    def part(codes: Tensor, starts: Ints) -> Tensor:
        along = Along.of_scan(codes, starts, window, width, lookup, other)
        if along.pays(1):
            scores = along.replaced(scan.norm(along.image()))
            x = along.replaced(mix(scores.image())).gathered()
            normed = scores.gathered()
        else:
            normed = scan.norm(along.gathered())
            x = mix(normed)
        for block in blocks:
            x = x + block(x)
        found: Tensor = pooled(normed, x)
        return found

    return part


def _recurrent(network: Any, window: int) -> Part | None:
    """Features of DanQ: its first convolution is shared."""
    conv, relu, pool, dropout = network.conv1
    lookup, width = Lookup(conv.weight, conv.bias), pool.kernel_size[1]

    def part(codes: Tensor, starts: Ints) -> Tensor:
        along = Along.of_scan(codes, starts, window, width, lookup)
        found: Tensor = network.behind_first(dropout(relu(along.gathered())))
        return found

    return part


def _motifs(motifs: MotifFeatures, window: int) -> Part:
    """Log occupancies, by sums of occupancies in float64."""
    count, widest = len(motifs.widths), max(motifs.widths)
    weight = torch.zeros(2 * count, 4, widest)
    for number, width in enumerate(motifs.widths):
        odds = motifs.get_buffer(f"odds{number}")
        weight[number, :, :width] = odds
        weight[count + number, :, :width] = odds.flip(0, 1)
    lookup, margin = Lookup(weight), widest - min(motifs.widths)
    places = [window - width + 1 for width in motifs.widths]

    def part(codes: Tensor, starts: Ints) -> Tensor:
        scores = lookup.scores(nn.functional.pad(codes, (0, margin), value=N))
        given, turned = scores.double().exp().split(count, dim=1)
        total = sum_along(given + turned, starts, places)
        far = ((total < _TINY) | (total > _HUGE)).any(dim=1)
        each = total.log().float()
        if far.any():
            each[far] = motifs.each(one_hot(_cut(codes, starts[far.numpy()], window)))
        return motifs.bagged(each)

    return part


def _alone(
    make: Callable[[Any, int], Part | None],
) -> Callable[[Any, int], list[tuple[Part, bool]] | None]:
    """A network of one part that reads one strand."""

    def parts(network: Any, window: int) -> list[tuple[Part, bool]] | None:
        part = make(network, window)
        return None if part is None else [(part, False)]

    return parts


def _parts_of_bank(network: Any, window: int) -> list[tuple[Part, bool]]:
    blocks = [network.get_submodule(f"conv{number}") for number in range(3, 3 + network.n_blocks)]
    part = _bank(network.conv1, network.conv2, blocks, network.dense1, window)
    return [(part, network.symmetric)]


def _parts_of_towers(network: Any, window: int) -> list[tuple[Part, bool]] | None:
    part = _published(network, window)
    bank = _bank(network.conv4, network.conv5, (), network.dense3, window)
    return None if part is None else [(part, False), (bank, network._bank_is_symmetric)]


_PARTS: dict[type, Callable[[Any, int], list[tuple[Part, bool]] | None]] = {
    CNN: _alone(_published),
    DanQ: _alone(_recurrent),
    MotifBank: _parts_of_bank,
    Towers: _parts_of_towers,
}
