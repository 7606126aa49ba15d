"""The first convolution through tables of words: a sum of a few rows for each window.

A one-hot window picks one weight per position, so a kernel is a sum of table look-ups: one for
each stretch of four letters. That is a fraction of the multiplications of a convolution, and the
same word numbers count the letters under the windows that a filter fires on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cistransfer.interpretation.layers import run_chain

__all__ = ["WordFilters"]

_WORD = 4
_WORDS = 5**_WORD  # letters A, C, G, T and N


class WordFilters:
    """Activations of the first filters, and the letters under windows, of codes.

    Parameters
    ----------
    block : sequence of Module
        A convolution over one-hot letters that slides one step at a time, then what follows it.
    """

    def __init__(self, block: Sequence[nn.Module]) -> None:
        layer: Any = block[0]
        weight: Tensor = layer.weight.detach()
        weight = weight if weight.dim() == 3 else weight[:, :, 0]
        self.filters, _, self.kernel = weight.shape
        self.rest = list(block[1:])
        padding = layer.padding
        self.padding = int(padding if isinstance(padding, int) else padding[-1])
        self.groups = -(-self.kernel // _WORD)
        letters = torch.zeros(
            (self.groups * _WORD, 5, self.filters), device=weight.device, dtype=weight.dtype
        )
        letters[: self.kernel, :4] = weight.permute(2, 1, 0)
        tables = []
        for group in letters.unflatten(0, (self.groups, _WORD)):
            table = torch.zeros((1, self.filters), device=weight.device, dtype=weight.dtype)
            for place in group:
                table = (table[:, None] + place[None]).flatten(0, 1)
            tables.append(table)
        if layer.bias is not None:
            tables[0] = tables[0] + layer.bias.detach()
        self.table = torch.cat(tables)

    @staticmethod
    def fits(layer: nn.Module) -> bool:
        """Whether a layer is a convolution that words can stand for."""
        return (
            isinstance(layer, nn.Conv1d | nn.Conv2d)
            and layer.in_channels == 4
            and layer.groups == 1
            and layer.stride[-1] == layer.dilation[-1] == 1
            and (isinstance(layer, nn.Conv1d) or layer.kernel_size[0] == 1)
            and not isinstance(layer.padding, str)
            and layer.padding_mode == "zeros"
        )

    def numbers(self, codes: Tensor) -> Tensor:
        """Rows of the table for each window, (n, windows, groups), of codes (n, length)."""
        windows = codes.shape[1] + 2 * self.padding - self.kernel + 1
        spare = self.groups * _WORD - self.kernel
        wide = nn.functional.pad(codes.int(), (self.padding, self.padding + spare), value=4)
        count = wide.shape[1] - _WORD + 1
        word = wide[:, :count].clone()
        for place in range(1, _WORD):
            word = word.mul_(5).add_(wide[:, place : place + count])
        return torch.stack(
            [
                word[:, group * _WORD : group * _WORD + windows] + group * _WORDS
                for group in range(self.groups)
            ],
            dim=2,
        )

    def activations(self, numbers: Tensor) -> Tensor:
        """What the block gives, (n · windows, filters)."""
        flat = nn.functional.embedding_bag(numbers.flatten(0, 1), self.table, mode="sum")
        if not self.rest:
            return flat
        shaped = flat.unflatten(0, numbers.shape[:2]).permute(0, 2, 1)
        return _apply(self.rest, shaped).permute(0, 2, 1).flatten(0, 1)

    def count(self, numbers: Tensor, above: Tensor, total: Tensor) -> Tensor:
        """Add the words of windows at which filters fire, and say how often each filter does.

        Parameters
        ----------
        numbers : Tensor, shape (n, windows, groups)
        above : Tensor of bool, shape (n · windows, filters)
        total : Tensor of int64, from `empty`
            Added to.
        """
        if above.device.type == "cpu":  # many times faster than torch.nonzero
            hits = torch.from_numpy(np.flatnonzero(above.numpy()))
        else:
            hits = torch.nonzero(above.flatten())[:, 0]
        window, number = hits // self.filters, hits % self.filters
        rows = numbers.flatten(0, 1).index_select(0, window).long()
        rows += (number * (self.groups * _WORDS))[:, None]
        total += torch.bincount(rows.flatten(), minlength=len(total))
        return torch.bincount(number, minlength=self.filters)

    def empty(self) -> Tensor:
        """A table of counts for `count`."""
        size = self.filters * self.groups * _WORDS
        return torch.zeros(size, dtype=torch.int64, device=self.table.device)

    def letters(self, total: Tensor) -> Tensor:
        """Counts of words as counts of letters, (filters, kernel, 4); N and padding left out."""
        words = total.view(self.filters, self.groups, *[5] * _WORD)
        places = []
        for group in range(self.groups):
            for place in range(_WORD):
                others = [1 + other for other in range(_WORD) if other != place]
                places.append(words[:, group].sum(dim=others))
        return torch.stack(places, dim=1)[:, : self.kernel, :4]


def _apply(block: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Run what follows a convolution on (n, filters, windows), whichever form it wants."""
    try:
        return run_chain(block, x.unsqueeze(2)).squeeze(2)
    except (RuntimeError, ValueError):
        return run_chain(block, x)
