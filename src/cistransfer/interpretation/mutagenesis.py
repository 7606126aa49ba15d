"""In-silico mutagenesis that recomputes only what a mutation can reach.

A substitution changes a few neighbouring activations of each layer; the others are those of the
unmutated sequence. The values are those of scoring every mutant whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cistransfer.genome.codes import N
from cistransfer.interpretation.gradients import device_of, output_of
from cistransfer.interpretation.layers import chain_of, fold_norms, packed, run_chain
from cistransfer.interpretation.reach import (
    LOCAL,
    Reach,
    after_first,
    along,
    convolved,
    flat,
    pool_behind,
    pooled,
    pools_first,
    simple,
    starts_well,
    whole_windows,
)
from cistransfer.models.motif_features import WithMotifs
from cistransfer.models.score import evaluating, one_hot

__all__ = ["largest_effect", "mutagenesis"]

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def mutagenesis(
    model: nn.Module,
    codes: Codes,
    *,
    task: int = 0,
    on: str = "logit",
    fast: bool = True,
    batch_size: int = 200,
    tick: Callable[[int], None] | None = None,
) -> Floats:
    """Change of a task's output by every substitution at every position.

    Parameters
    ----------
    model : nn.Module
        One-hot ``(n, 4, length)`` → logits ``(n, tasks)``; handed back as it came.
    codes : ndarray of uint8, shape (n, length)
    task, on
        See `cistransfer.interpretation.gradients.gradient_input`.
    fast : bool
        Recompute only what a mutation can reach; used where the model is a plain chain of layers
        that starts with a convolution, else every mutant is scored whole.
    batch_size : int
        Mutants at a time.
    tick : callable, optional
        Told the number of sequences done (progress).

    Returns
    -------
    ndarray of float32, shape (n, 4, length)
        ``f(mutant) − f(sequence)``; 0 for the base that is there and where the sequence has N.
    """
    explained = output_of(model, task, on)
    result = np.zeros((len(codes), 4, codes.shape[1]), np.float32)
    core = model.base if isinstance(model, WithMotifs) else model
    layers = chain_of(core, codes.shape[1]) if fast and len(codes) else None
    if layers is not None:
        layers = pools_first(fold_norms(layers)) if starts_well(layers[0]) else None
    with evaluating(model), torch.inference_mode():
        dense = packed(layers or [], device_of(model), batch_size)
        for row, sequence in enumerate(codes):
            known = np.flatnonzero(sequence < N)
            position = np.repeat(known, 3)
            base = (sequence[position] + np.tile([1, 2, 3], len(known))) % 4
            if not len(known):
                continue
            if layers is None:
                change = _whole(model, explained, sequence, position, base, batch_size)
            else:
                change = _reached(
                    model, layers, dense, sequence, position, base, task, on, batch_size
                )
            result[row, base, position] = change
            if tick is not None:
                tick(1)
    return result


def largest_effect(changes: Floats) -> Floats:
    """At each position the change with the largest size, its sign kept.

    Parameters
    ----------
    changes : ndarray of float32, shape (n, 4, length)
        From `mutagenesis`. Important bases have negative changes.

    Returns
    -------
    ndarray of float32, shape (n, length)
    """
    at = np.abs(changes).argmax(axis=1)[:, None]
    return np.take_along_axis(changes, at, axis=1)[:, 0]


def _whole(
    model: nn.Module,
    explained: Callable[[Tensor], Tensor],
    sequence: Codes,
    position: NDArray[np.int64],
    base: NDArray[np.int64],
    batch_size: int,
) -> Floats:
    device = device_of(model)
    parts = [explained(one_hot(torch.from_numpy(sequence[None].copy()).to(device)))]
    for at in range(0, len(position), batch_size):
        mutants = np.tile(sequence, (len(position[at : at + batch_size]), 1))
        mutants[np.arange(len(mutants)), position[at : at + batch_size]] = base[
            at : at + batch_size
        ]
        parts.append(explained(one_hot(torch.from_numpy(mutants).to(device))))
    scores = torch.cat(parts).float().cpu().numpy()
    return np.asarray(scores[1:] - scores[0])


def _reached(
    model: nn.Module,
    layers: Sequence[nn.Module],
    dense: Sequence[nn.Module],
    sequence: Codes,
    position: NDArray[np.int64],
    base: NDArray[np.int64],
    task: int,
    on: str,
    batch_size: int,
) -> Floats:
    device = device_of(model)
    x = one_hot(torch.from_numpy(sequence[None].copy()).to(device)).unsqueeze(2)
    inputs: list[Tensor] = []
    for layer, quick in zip(layers, dense, strict=True):
        if isinstance(layer, nn.Linear) and x.dim() > 2:
            x = torch.flatten(x, 1)
        if isinstance(layer, nn.Conv1d | nn.MaxPool1d | nn.BatchNorm1d) and x.dim() == 4:
            inputs.append(x)
            x = flat(layer, x)
        else:
            inputs.append(x)
            x = quick(x)
    reference = _explain(_finished(model, x, sequence[None]), task, on)
    where = torch.from_numpy(position).to(device)
    new = torch.from_numpy(base).to(device)
    old = torch.from_numpy(sequence[position].astype(np.int64)).to(device)
    changes = []
    for at in range(0, len(position), batch_size):
        part = slice(at, at + batch_size)
        behind = inputs[1]
        reach = after_first(
            layers[0], behind, where[part], old[part], new[part], pool_behind(layers, 0)
        )
        out: Tensor | None = None
        for number in range(1, len(layers)):
            layer, held = layers[number], inputs[number]
            if type(layer) is nn.ReLU:
                reach.values.relu_()
            elif isinstance(layer, LOCAL):
                reach = Reach(flat(layer, reach.values), reach.start)
            elif isinstance(layer, nn.MaxPool1d | nn.MaxPool2d) and simple(layer):
                reach = pooled(along(layer.kernel_size), held, reach)
            elif isinstance(layer, nn.Conv1d | nn.Conv2d) and simple(layer):
                after = inputs[number + 1] if number + 1 < len(inputs) else x
                reach = convolved(layer, held, after, reach, pool_behind(layers, number))
            else:
                before = held.view(1, reach.values.shape[1], 1, -1) if held.dim() == 2 else held
                if isinstance(layer, nn.Linear):
                    out = _linear(layer, dense[number], before, inputs[number + 1 :], x, reach)
                    out = _rest(dense[number + 1 :], out)
                else:
                    out = _rest(dense[number:], whole_windows(before, reach))
                break
        if out is None:
            out = whole_windows(x, reach)
        mutants = np.tile(sequence, (len(position[part]), 1))
        mutants[np.arange(len(mutants)), position[part]] = base[part]
        changes.append(_explain(_finished(model, out, mutants), task, on) - reference)
    return torch.cat(changes).float().cpu().numpy()


def _finished(model: nn.Module, out: Tensor, codes: Codes) -> Tensor:
    """What is left to do behind the chain: nothing, or motif features and the common head."""
    if not isinstance(model, WithMotifs):
        return out
    occupancies = model.motifs(one_hot(torch.from_numpy(codes.copy()).to(out.device)))
    return model.head(torch.cat([out.flatten(1), occupancies.to(out.dtype)], dim=1))


def _linear(
    layer: nn.Linear,
    packed: nn.Module,
    held: Tensor,
    later: Sequence[Tensor],
    last: Tensor,
    reach: Reach,
) -> Tensor:
    """First linear layer: only the columns of changed activations, where these are few."""
    width, length = reach.values.shape[3], held.shape[3]
    if 2 * width > length:
        return packed(torch.flatten(whole_windows(held, reach), 1))
    weight = layer.weight.view(layer.out_features, -1, length)
    base = later[0] if later else last
    out = base.expand(len(reach.start), -1).clone()
    for start in reach.start.unique().tolist():
        rows = torch.nonzero(reach.start == start)[:, 0]
        change = reach.values[rows, :, 0] - held[:, :, 0, start : start + width]
        columns = weight[:, :, start : start + width]
        out[rows] += change.flatten(1) @ columns.flatten(1).t()
    return out


def _explain(out: Tensor, task: int, on: str) -> Tensor:
    chosen = out.flatten(1)[:, task]
    return chosen if on == "logit" else torch.sigmoid(chosen)


def _rest(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    try:
        return run_chain(layers, x)
    except (RuntimeError, ValueError):
        return run_chain(layers, x.squeeze(2))
