"""DeepLIFT through a convolution, the maximum of its neighbouring places and a ReLU in one step.

Module by module the change of each maximum goes to the place that held it, over the change of that
place, and then, place by place, through the ReLU's rule. All but one place of a window get nothing.
So here each window keeps that place and one ratio, and what the convolution gave is forgotten
again, a few sequences at a time: it never leaves the processor's cache.

Of sequence and reference the place that is higher in either holds the maximum that the change goes
to, and the rules of ReLU and maximum together are the change of the output over that of the place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from cistransfer.models.blocks import ConvBlock, is_hooked, ours_of
from cistransfer.models.kernels import in_use
from cistransfer.models.kernels.normalisation import scale_and_shift
from cistransfer.models.kernels.scan import both_strands
from cistransfer.models.motif_bank import Scan

__all__ = ["Maxima", "Seen", "step_of"]

_AT_ONCE = 1 << 20  # numbers that a convolution gives at a time
_FEW_INPUTS = 4  # at most: on the way back a matrix product is faster than a convolution
_TOGETHER = 2  # neighbouring places that are one row of it

Seen = tuple[Tensor, Tensor]
"""What a convolution gave of sequences, (n, places, k), and its maxima, (n, windows, k)."""
Kept = tuple[Tensor, Tensor, Tensor]
"""Of a few references, (m, windows, k): the place that a window's change goes to, and its change
over that place's; and where else there is a gradient (`Maxima._still`)."""


class Maxima:
    """A convolution, a norm, max-pooling of its places (and strands), and a ReLU.

    Parameters
    ----------
    weight : tensor, shape (strands · filters, inputs, kernel)
        Filters of one strand after those of the other.
    bias : tensor, shape (strands · filters,), optional
    norm : BatchNorm2d, optional
    strands : int
        Over how many a maximum is taken.
    pool : int
        Over how many neighbouring places.
    relu : bool
        Whether there is one.
    same : float
        Numbers that differ by less are the same.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d | None,
        *, strands: int, pool: int, relu: bool, same: float,
    ) -> None:  # fmt: skip
        self.weight, self.bias = weight.detach(), None if bias is None else bias.detach()
        self.norm = norm
        self.strands, self.pool, self.relu, self.same = strands, pool, relu, same
        self.back = self._weights_back()

    def of_sequences(self, x: Tensor) -> tuple[Tensor, Seen]:
        """Outputs of sequences, (n, k, 1, windows), and what references are compared with."""
        scores = self._scores(x)
        highest = self._pooled(scores)[0]
        return _image(highest.relu() if self.relu else highest), (scores, highest)

    def of_references(self, r: Tensor, seen: Seen, per: int) -> Tensor:
        """Outputs of ``per`` references for each sequence; their gradient follows the rules."""
        out: Tensor = _Rule.apply(r, self, seen, per)
        return out

    def compared(self, r: Tensor, seen: Seen, per: int) -> tuple[Tensor, list[Kept]]:
        """Outputs of references, (n · per, windows, k), and what the rules need of a few each."""
        outputs, kept = [], []
        room = r.new_empty(0)
        for rows, sequences in self._batches(r, len(seen[0]), per):
            x, best = (each[sequences].unsqueeze(1) for each in seen)
            scores = self._scores(r[rows]).unflatten(0, (len(x), -1))
            highest = self._pooled(scores.flatten(0, 1))[0]
            room = room if room.numel() >= scores.numel() else torch.empty_like(scores).flatten()
            higher = room[: scores.numel()].view(scores.shape)
            torch.maximum(scores, x, out=higher)
            place = self._pooled(higher.flatten(0, 1))[1]
            run = torch.sub(x, scores, out=scores)
            least = float(torch.abs(run, out=higher).amin())
            run = run.flatten(0, 1)
            best = best.expand(-1, len(run) // len(x), -1, -1).flatten(0, 1)
            if self.relu:
                highest.relu_()
                best = best.relu()
            at_place = run.gather(1, place)
            ratio = (best - highest).div_(at_place)
            still = place.new_empty(0, 4)
            if least <= self.same:
                flat = at_place.abs_() <= self.same
                ratio[flat] = self._slope(best[flat])
            if least == 0:
                still = self._still(x, run, place, best)
            outputs.append(highest)
            kept.append((self._beside(place, run), ratio, still))
        return torch.cat(outputs), kept

    def _still(self, x: Tensor, run: Tensor, place: Tensor, best: Tensor) -> Tensor:
        """Where the sequence's maximum is as high in the reference, which is higher elsewhere.

        It gets the plain gradient, as every place does that does not change. Row, window, channel
        and place of each, (m, 4).
        """
        own = self._pooled(x.squeeze(1))[1]
        own = own.repeat_interleave(len(run) // len(x), dim=0)
        at = (run.gather(1, own) == 0) & (own != place)
        if self.relu:
            at &= best > 0
        return torch.cat([at.nonzero(), self._beside(own, run)[at][:, None]], dim=1)

    def _beside(self, place: Tensor, scores: Tensor) -> Tensor:
        """Where a place is when the strands of each position lie side by side."""
        count = scores.shape[1] // self.strands
        return place if self.strands == 1 else place % count * self.strands + place // count

    def _slope(self, best: Tensor) -> Tensor:
        return (best > 0).to(best) if self.relu else torch.ones_like(best)

    def routed(self, gradient: Tensor, kept: list[Kept], length: int) -> Tensor:
        """Multipliers of the input, from those of the output and from what `compared` kept."""
        filters, inputs, kernel = self.weight.shape
        count = length - kernel + 1
        count += -count % _TOGETHER if inputs <= _FEW_INPUTS else 0
        rows = gradient.permute(0, 2, 3, 1).flatten(1, 2)
        most = max(len(place) for place, _, _ in kept)
        room = rows.new_empty(most, count * self.strands, rows.shape[2])
        parts = []
        for place, ratio, still in kept:
            given, rows = rows[: len(place)], rows[len(place) :]
            whole = room[: len(place)].zero_().scatter_(1, place, given * ratio)
            if len(still):
                row, window, channel, at = still.t()
                whole[row, at, channel] = given[row, window, channel]
            parts.append(self._turned(whole.view(len(place), count, filters), length))
        return _image(torch.cat(parts))

    def _turned(self, rows: Tensor, length: int) -> Tensor:
        """The gradient's way back through the convolution, (n, length, inputs)."""
        _, inputs, kernel = self.weight.shape
        if inputs > _FEW_INPUTS:
            found = nn.functional.conv2d(_image(rows), self.back, padding=(0, kernel - 1))
            return found.permute(0, 2, 3, 1).squeeze(1)
        n, count = len(rows), rows.shape[1] // _TOGETHER
        blocks = (rows.view(n * count, -1) @ self.back).view(n, count, -1, _TOGETHER * inputs)
        found = rows.new_zeros(n, count + blocks.shape[2] - 1, _TOGETHER * inputs)
        for number in range(blocks.shape[2]):
            found[:, number : number + count] += blocks[:, :, number]
        return found.view(n, -1, inputs)[:, :length]

    def _weights_back(self) -> Tensor:
        """Weights of the way back: of a convolution, or, for few inputs, a matrix that makes of
        `_TOGETHER` neighbouring places all that they reach."""
        weight = self.weight
        if self.norm is not None:
            weight = weight * scale_and_shift(self.norm)[0].detach()[:, None, None]
        filters, inputs, kernel = weight.shape
        if inputs > _FEW_INPUTS:
            return weight.flip(2).transpose(0, 1).unsqueeze(2)
        reached = -(-(_TOGETHER + kernel - 1) // _TOGETHER) * _TOGETHER
        back = weight.new_zeros(_TOGETHER, filters, reached, inputs)
        for place in range(_TOGETHER):
            back[place, :, place : place + kernel] = weight.transpose(1, 2)
        return back.flatten(2).flatten(0, 1)

    def _pooled(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Maxima over neighbouring places and strands, and where each was, (n, windows, k)."""
        image = scores.unflatten(1, (self.strands, -1)).permute(0, 3, 1, 2)
        size = (self.strands, self.pool)
        found = nn.functional.max_pool2d(image, size, return_indices=True)
        highest, place = (each.permute(0, 2, 3, 1).flatten(1, 2) for each in found)
        return highest, place

    def _scores(self, x: Tensor) -> Tensor:
        """What the convolution gives, (n, strands · places, filters), one strand behind the other:
        of equal maxima the first is that of PyTorch's max-pooling."""
        if self.strands == 1:
            image = nn.functional.conv2d(x, self.weight.unsqueeze(2), self.bias)
        else:
            image = both_strands(x, self.weight[: len(self.weight) // self.strands])
        image = image if self.norm is None else self.norm(image)
        return image.permute(0, 2, 3, 1).flatten(1, 2).contiguous()

    def _some(self, length: int) -> int:
        filters, _, kernel = self.weight.shape
        return max(2, _AT_ONCE // (filters * (length - kernel + 1)))  # one alone takes another way

    def _batches(self, r: Tensor, n: int, per: int) -> Iterator[tuple[slice, slice]]:
        """Rows of references and of their sequences, a few at a time."""
        some = self._some(r.shape[3])
        together = max(1, some // per)
        for first in range(0, n, together):
            sequences = slice(first, min(n, first + together))
            begin, end = sequences.start * per, sequences.stop * per
            at_once = min(some, per) if together == 1 else end - begin
            for at in range(begin, end, at_once):
                yield slice(at, min(end, at + at_once)), sequences


class _Rule(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, r: Tensor, step: Maxima, seen: Seen, per: int) -> Tensor:
        out, context.kept = step.compared(r, seen, per)
        context.step, context.length = step, r.shape[3]
        return _image(out)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        found = context.step.routed(gradient, context.kept, context.length)
        return found, None, None, None


def step_of(module: nn.Module, same: float) -> tuple[Maxima, nn.Module] | None:
    """A module in evaluation mode as one step, and what is behind it; None where it is none.

    That are blocks of ours (`cistransfer.models.blocks.ConvBlock`) with the batch norm before the
    ReLU, and the scan of a bank, unless something else hangs hooks on them.
    """
    if not in_use() or any(map(is_hooked, module.modules())):
        return None
    if isinstance(module, ConvBlock):
        with torch.enable_grad():  # the norm stays beside the weights: ties are those of the plain
            ours = ours_of(module)
        if ours is None or not all(map(_is_settled, ours.middle)):
            return None
        step = Maxima(
            ours.weight, ours.bias, cast(Any, ours.middle[0] if ours.middle else None),
            strands=1, pool=ours.pool, relu=isinstance(ours.late, nn.ReLU), same=same,
        )  # fmt: skip
        return step, nn.Identity()
    if isinstance(module, Scan):
        conv, pool, norm = cast(Any, module)
        both = torch.cat([conv.weight, conv.weight.flip(1, 2)])
        width = pool.kernel_size[1]
        return Maxima(both, None, None, strands=2, pool=width, relu=False, same=0.0), norm
    return None


def _is_settled(layer: nn.Module) -> bool:
    return isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None


def _image(rows: Tensor) -> Tensor:
    """(n, places, channels) as (n, channels, 1, places)."""
    return rows.unsqueeze(1).permute(0, 3, 1, 2)
