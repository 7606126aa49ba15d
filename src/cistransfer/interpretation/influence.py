"""Influence of each first-layer filter: what changes when it is silenced."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.interpretation.gradients import device_of
from cistransfer.interpretation.layers import first_filters, run_filters
from cistransfer.models.score import evaluating, one_hot

__all__ = ["filter_influence"]

Codes = NDArray[np.uint8]


def filter_influence(
    model: nn.Module,
    codes: Codes,
    *,
    to: str = "zero",
    batch_size: int = 256,
    tick: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """Mean squared change of each probability when one filter is silenced.

    As published: the filter's map behind its batch norm and ReLU is set to 0 for all positions,
    the rest of the network is run, and the squared difference of the probabilities is averaged
    over sequences. The published figure draws the maximum over tasks; its legend says average.

    Parameters
    ----------
    model : nn.Module
        Starts with a convolution over the sequence; handed back as it came.
    codes : ndarray of uint8, shape (n, length)
    to : {"zero", "mean"}
        What the map is set to; ``mean`` is the filter's mean over all sequences and positions.

    Returns
    -------
    ndarray of float64, shape (filters, tasks)
    """
    if to not in ("zero", "mean"):
        raise InputError(f"filters are silenced to 'zero' or 'mean', found {to!r}")
    if not len(codes):
        raise InputError("expected at least one sequence to measure influence on, found none")
    block = first_filters(model, codes.shape[1])
    last, device = block[-1], device_of(model)
    level = _levels(model, block, codes, batch_size) if to == "mean" else None
    silenced: list[int] = []

    def silence(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        if not silenced:
            return None
        changed = output.clone()
        changed[:, silenced[0]] = 0.0 if level is None else level[silenced[0]]
        return changed

    total: Tensor | None = None
    handle = last.register_forward_hook(silence)
    try:
        with evaluating(model), torch.inference_mode():
            for at in range(0, len(codes), batch_size):
                x = one_hot(torch.from_numpy(np.array(codes[at : at + batch_size])).to(device))
                full = torch.sigmoid(model(x))
                fires = run_filters(block, x)
                moved = fires.amax(dim=(0, 2)) != fires.amin(dim=(0, 2))
                if to == "zero":
                    moved |= (fires != 0).any(dim=2).any(dim=0)
                else:
                    moved[:] = True
                if total is None:
                    total = torch.zeros((fires.shape[1], full.shape[1]), dtype=torch.float64)
                for number in torch.nonzero(moved)[:, 0].tolist():
                    silenced[:] = [number]
                    change = torch.sigmoid(model(x)) - full
                    total[number] += change.double().square().sum(dim=0).cpu()
                silenced.clear()
                if tick is not None:
                    tick(len(x))
    finally:
        handle.remove()
    assert total is not None
    return total.numpy() / len(codes)


def _levels(model: nn.Module, block: list[nn.Module], codes: Codes, batch_size: int) -> Tensor:
    device = device_of(model)
    total: Tensor | float = 0.0
    with evaluating(model), torch.inference_mode():
        for at in range(0, len(codes), batch_size):
            x = one_hot(torch.from_numpy(np.array(codes[at : at + batch_size])).to(device))
            total = total + run_filters(block, x).double().mean(dim=2).sum(dim=0)
    assert isinstance(total, Tensor)
    return (total / len(codes)).float()
