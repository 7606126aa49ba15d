"""In-silico mutagenesis that recomputes only what a mutation can reach.

A substitution changes a few neighbouring activations of each layer; the others are those of the
unmutated sequence. The values are those of scoring every mutant whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cistransfer.genome.codes import N
from cistransfer.interpretation.gradients import device_of, output_of
from cistransfer.interpretation.layers import chain_of, fold_norms, packed, run_chain
from cistransfer.models.motif_features import WithMotifs
from cistransfer.models.score import evaluating, one_hot

__all__ = ["largest_effect", "mutagenesis"]

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_LOCAL = (
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


def mutagenesis(
    model: nn.Module,
    codes: Codes,
    *,
    task: int = 0,
    on: str = "logit",
    fast: bool = True,
    batch_size: int = 300,
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
        layers = fold_norms(layers) if _starts_well(layers[0]) else None
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


def _starts_well(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv1d | nn.Conv2d) and _simple(layer) and layer.in_channels == 4


def _simple(layer: nn.Module) -> bool:
    """Whether a convolution or pooling slides along the length only, one step at a time."""
    if isinstance(layer, nn.MaxPool1d | nn.MaxPool2d):
        return (
            _along(layer.kernel_size) == _along(layer.stride)
            and _along(layer.padding) == 0
            and _along(layer.dilation) == 1
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


def _along(value: Any) -> int:
    return int(value if isinstance(value, int) else value[-1])


@dataclass(frozen=True)
class _Reach:
    """Changed activations of one layer: ``values`` (m, channels, 1, width) begin at ``start``."""

    values: Tensor
    start: Tensor


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
    for layer in layers:
        if isinstance(layer, nn.Linear) and x.dim() > 2:
            x = torch.flatten(x, 1)
        if isinstance(layer, nn.Conv1d | nn.MaxPool1d | nn.BatchNorm1d) and x.dim() == 4:
            inputs.append(x)
            x = _flat(layer, x)
        else:
            inputs.append(x)
            x = layer(x)
    reference = _explain(_finished(model, x, sequence[None]), task, on)
    where = torch.from_numpy(position).to(device)
    new = torch.from_numpy(base).to(device)
    old = torch.from_numpy(sequence[position].astype(np.int64)).to(device)
    changes = []
    for at in range(0, len(position), batch_size):
        part = slice(at, at + batch_size)
        after_first = inputs[1]
        step = _along(layers[2].kernel_size) if _pools_second(layers) else 1
        reach = _first(layers[0], after_first, where[part], old[part], new[part], step)
        out: Tensor | None = None
        for number in range(1, len(layers)):
            layer, held = layers[number], inputs[number]
            if isinstance(layer, _LOCAL):
                reach = _Reach(_flat(layer, reach.values), reach.start)
            elif isinstance(layer, nn.MaxPool1d | nn.MaxPool2d) and _simple(layer):
                reach = _pooled(_along(layer.kernel_size), held, reach)
            elif isinstance(layer, nn.Conv1d | nn.Conv2d) and _simple(layer):
                reach = _convolved(layer, held, reach)
            else:
                before = held.view(1, reach.values.shape[1], 1, -1) if held.dim() == 2 else held
                if isinstance(layer, nn.Linear):
                    out = _linear(layer, dense[number], before, inputs[number + 1 :], x, reach)
                    out = _rest(dense[number + 1 :], out)
                else:
                    out = _rest(dense[number:], _windows(before, reach))
                break
        if out is None:
            out = _windows(x, reach)
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


def _pools_second(layers: Sequence[nn.Module]) -> bool:
    """Whether the chain begins convolution, activation, simple pooling."""
    return (
        len(layers) > 2
        and isinstance(layers[1], _LOCAL)
        and isinstance(layers[2], nn.MaxPool1d | nn.MaxPool2d)
        and _simple(layers[2])
    )


def _linear(
    layer: nn.Linear,
    packed: nn.Module,
    held: Tensor,
    later: Sequence[Tensor],
    last: Tensor,
    reach: _Reach,
) -> Tensor:
    """First linear layer: only the columns of changed activations, where these are few."""
    width, length = reach.values.shape[3], held.shape[3]
    if 2 * width > length:
        return packed(torch.flatten(_windows(held, reach), 1))
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


def _flat(layer: Any, x: Tensor) -> Tensor:
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
                x, layer.weight.unsqueeze(2), layer.bias, padding=(0, _along(layer.padding))
            )
            if _simple(layer)
            else layer(x.squeeze(2)).unsqueeze(2)
        )
    return layer(x)


def _rest(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    try:
        return run_chain(layers, x)
    except (RuntimeError, ValueError):
        return run_chain(layers, x.squeeze(2))


def _first(layer: Any, held: Tensor, where: Tensor, old: Tensor, new: Tensor, step: int) -> _Reach:
    """Change of the first convolution's output: differences of its weights, nothing computed.

    The stretch begins at a multiple of ``step``, so that a pooling of that width can follow.
    """
    weight = layer.weight if layer.weight.dim() == 3 else layer.weight[:, :, 0]
    kernel, padding = weight.shape[2], _along(layer.padding)
    length = held.shape[3]
    width = min((kernel + step - 2) // step * step + step, length // step * step or length)
    start = torch.div(where + padding - kernel + 1, step, rounding_mode="floor") * step
    start = start.clamp(0, (length - width) // step * step)
    table = torch.zeros((4, 3 * kernel + step, weight.shape[0]), device=held.device)
    table[:, kernel : 2 * kernel] = weight.permute(1, 2, 0)
    steps = torch.arange(width, device=held.device)
    offset = (where + padding - start)[:, None] - steps + kernel
    offset = offset.clamp(0, 3 * kernel - 1)
    values = table[new[:, None], offset].sub_(table[old[:, None], offset])
    values += held[0, :, 0].t().contiguous()[start[:, None] + steps]
    return _Reach(values.permute(0, 2, 1).unsqueeze(2), start)


def _windows(
    held: Tensor, reach: _Reach, start: Tensor | None = None, width: int | None = None
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


def _pooled(kernel: int, held: Tensor, reach: _Reach) -> _Reach:
    length = held.shape[3] // kernel
    width = min((reach.values.shape[3] + kernel - 2) // kernel + 1, length)
    start = torch.div(reach.start, kernel, rounding_mode="floor").clamp(0, length - width)
    whole = width * kernel
    if reach.values.shape[3] == whole and bool((reach.start == start * kernel).all()):
        window = reach.values
    else:
        window = _windows(held, reach, start * kernel, whole)
    m, channels = window.shape[:2]
    values = window[:, :, 0].permute(0, 2, 1).reshape(m, width, kernel, channels).amax(dim=2)
    return _Reach(values.permute(0, 2, 1).unsqueeze(2), start)


def _convolved(layer: Any, held: Tensor, reach: _Reach) -> _Reach:
    weight = layer.weight.unsqueeze(2) if layer.weight.dim() == 3 else layer.weight
    kernel, padding = weight.shape[3], _along(layer.padding)
    length = held.shape[3] + 2 * padding - kernel + 1
    width = min(reach.values.shape[3] + kernel - 1, length)
    start = (reach.start + padding - kernel + 1).clamp(0, length - width)
    padded = nn.functional.pad(held, (padding, padding)) if padding else held
    window = _windows(
        padded, _Reach(reach.values, reach.start + padding), start, width + kernel - 1
    )
    return _Reach(nn.functional.conv2d(window, weight, layer.bias), start)
