"""What a bank of filters on both strands makes of all mutants of a sequence.

A substitution changes the scores of a filter at as many positions as the filter is wide, and so the
maxima of a few pooling windows. Of each of these the maximum over the positions that stay as they
are is taken once for all mutants, and the others are put beside it one by one. Positions as far
apart as a pooling window is wide are mutated together: their windows lie alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from cistransfer.interpretation.layers import fold_norms
from cistransfer.models.blocks import one_hot
from cistransfer.models.kernels.normalisation import scale_and_shift
from cistransfer.models.kernels.scan import both_strands

__all__ = ["Scanned"]


class Scanned:
    """Filters on both strands, their mixing and their pooling (`cistransfer.models.motif_bank`).

    Parameters
    ----------
    scan, unit : nn.Sequential
        ``conv1`` (conv, pool, norm) and ``conv2`` (relu, conv, norm, relu) of a bank.
    pooled : nn.Module
        Its ``dense1``.
    places : int
        How many pooling windows there are.
    """

    def __init__(self, scan: Any, unit: Any, pooled: Any, places: int) -> None:
        self.weight = scan.conv.weight.detach()
        self.n_filters, _, self.kernel = self.weight.shape
        self.pool, self.places = int(scan.pool.kernel_size[1]), places
        self.scale, self.shift = scale_and_shift(scan.norm)
        mix: Any = fold_norms([unit.conv, unit.norm])[0]
        self.mix = mix.weight.detach()[:, :, 0], mix.bias.detach()
        self.last = scale_and_shift(pooled.norm)
        both = torch.cat([self.weight, self.weight.flip(1, 2)])
        self.taps = both.permute(2, 1, 0).contiguous()  # place in the filter, base, filter
        self.n_floats = 4 * self.taps.shape[2] + 3 * len(self.last[0])

    @staticmethod
    def of(scan: nn.Module, unit: nn.Module, pooled: nn.Module, length: int) -> Scanned | None:
        """The parts of a bank, where nothing else looks into its layers."""
        for layer in chain(scan.modules(), unit.modules(), pooled.modules()):
            if layer._forward_hooks or layer._forward_pre_hooks:
                return None
        made: Any = scan
        places = (length - made.conv.weight.shape[2] + 1) // int(made.pool.kernel_size[1])
        return Scanned(scan, unit, pooled, places)

    def outputs(self, given: Tensor) -> tuple[Iterator[Tensor], Tensor]:
        """Features of the mutants of each sequence in turn, (3 · length, k), and of the sequences.

        ``given`` are codes, (n, length).
        """
        before = both_strands(one_hot(given).unsqueeze(2), self.weight)
        before = before[..., : self.places * self.pool].permute(0, 3, 2, 1).flatten(2).contiguous()
        before = before.unflatten(1, (self.places, self.pool))
        scores = self._normed(before.amax(dim=2))
        units = self._mixed(scores)
        own = self._features(scores.amax(dim=1), units.sum(dim=1), units.amax(dim=1))
        bases = given.long().clamp(max=3)
        each = (
            self._mutants(before[row], scores[row], units[row], bases[row])
            for row in range(len(given))
        )
        return each, own

    def _normed(self, highest: Tensor) -> Tensor:
        """Batch norm of the better strand: (…, 2 × filters) → (…, filters)."""
        first, second = highest.split(self.n_filters, dim=-1)
        return torch.maximum(first, second) * self.scale + self.shift

    def _mixed(self, scores: Tensor) -> Tensor:
        return nn.functional.linear(scores.relu(), *self.mix).relu_()

    def _features(self, highest: Tensor, total: Tensor, top: Tensor) -> Tensor:
        scale, shift = self.last
        return torch.cat([highest, total / self.places, top], dim=-1) * scale + shift

    def _mutants(self, before: Tensor, scores: Tensor, units: Tensor, bases: Tensor) -> Tensor:
        """Features of all mutants of one sequence, from its scores in each window,
        (windows, positions, 2 × filters)."""
        length = len(bases)
        rest = [_Rest(scores), _Rest(units)]
        total = units.sum(dim=0)
        out = scores.new_empty((length, 3, len(self.last[0])))
        for first in range(min(self.pool, length)):
            here = bases[first :: self.pool]
            number = torch.arange(len(here), device=bases.device)
            others = (here[:, None] + torch.arange(1, 4, device=bases.device)) % 4
            lowest = (first - self.kernel + 1) // self.pool  # of the windows that a tooth reaches
            low = (number + lowest).clamp(0, self.places)
            high = (number + 1).clamp(0, self.places)
            best, top = (each[low, high][:, None].repeat(1, 3, 1) for each in rest)
            sums = total.repeat(len(here), 3, 1)
            for offset in range(lowest, 1):
                # teeth whose window at this offset is one of the sequence's
                begin, end = max(0, -offset), min(len(here), self.places - offset)
                if begin >= end:
                    continue
                windows = slice(begin + offset, end + offset)
                reached = self._reached(before[windows], here[begin:end], first, offset)
                new = self._normed(reached)[number[: end - begin, None], others[begin:end]]
                mixed = self._mixed(new)
                torch.maximum(best[begin:end], new, out=best[begin:end])
                torch.maximum(top[begin:end], mixed, out=top[begin:end])
                sums[begin:end] += mixed - units[windows, None]
            out[first :: self.pool] = self._features(best, sums, top)
        return out.flatten(0, 1)

    def _reached(self, before: Tensor, bases: Tensor, first: int, offset: int) -> Tensor:
        """Maxima of windows in the mutants to each base, (count, 4, 2 × filters).

        Tooth ``i`` lies in window ``i``, at ``first``; this is window ``i + offset``, whose
        scores are ``before[i]``.
        """
        tap = [first - offset * self.pool - place for place in range(self.pool)]
        changed = [place for place in range(self.pool) if 0 <= tap[place] < self.kernel]
        same = [place for place in range(self.pool) if place not in changed]
        highest = before.new_empty((len(before), 4, before.shape[2]))
        new = torch.empty_like(highest)
        if same:
            highest[:] = before[:, same[0] : same[-1] + 1].amax(dim=1)[:, None]
        for number, place in enumerate(changed):
            weights = self.taps[tap[place]]
            left = (before[:, place] - weights[bases])[:, None]
            if number or same:
                torch.add(left, weights, out=new)
                torch.maximum(highest, new, out=highest)
            else:
                torch.add(left, weights, out=highest)
        return highest


class _Rest:
    """Maximum of rows, (k, m), but those from ``low`` up to ``high``; −inf where none is left."""

    def __init__(self, rows: Tensor) -> None:
        none = rows.new_full((1, rows.shape[1]), -torch.inf)
        self.before = torch.cat([none, rows.cummax(dim=0).values])
        self.behind = torch.cat([rows.flip(0).cummax(dim=0).values.flip(0), none])

    def __getitem__(self, between: Sequence[Tensor]) -> Tensor:
        low, high = between
        return torch.maximum(self.before[low], self.behind[high])
