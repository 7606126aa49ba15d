"""In-silico mutagenesis that recomputes only what a mutation can reach.

A substitution changes a few neighbouring activations of each layer; the others are those of the
unmutated sequence. The values are those of scoring every mutant whole.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cistransfer.genome.codes import N
from cistransfer.interpretation.gradients import device_of, output_of
from cistransfer.interpretation.mutants import AllMutants, mutants_of
from cistransfer.models.blocks import one_hot
from cistransfer.models.score import evaluating

__all__ = ["largest_effect", "mutagenesis"]

_WHOLE = 200  # mutants scored whole at a time

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def mutagenesis(
    model: nn.Module,
    codes: Codes,
    *,
    task: int = 0,
    on: str = "logit",
    fast: bool = True,
    batch_size: int = 4800,
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
        that starts with a convolution, and where a few mutants scored whole agree; else every
        mutant is scored whole.
    batch_size : int
        About how many mutants at a time.
    tick : callable, optional
        Told the number of sequences done (progress).

    Returns
    -------
    ndarray of float32, shape (n, 4, length)
        ``f(mutant) − f(sequence)``; 0 for the base that is there and where the sequence has N.
    """
    result = np.zeros((len(codes), 4, codes.shape[1]), np.float32)
    if not len(codes):
        return result
    explained = output_of(model, task, on)
    with evaluating(model), torch.inference_mode():
        explained(one_hot(torch.from_numpy(codes[:1].copy()).to(device_of(model))))  # or refuses
        reached = AllMutants.of(model, codes.shape[1], task, batch_size) if fast else None
        together = max(1, reached.rows // (3 * codes.shape[1])) if reached else 1
        for rows in np.array_split(np.arange(len(codes)), -(-len(codes) // together)):
            if reached is not None:
                scores, reference = reached.scores(codes[rows])
                if rows[0] == 0 and not _agrees(
                    output_of(model, task, "logit"), codes[rows], scores
                ):
                    return mutagenesis(
                        model, codes, task=task, on=on, fast=False, batch_size=batch_size, tick=tick
                    )
                if on == "probability":
                    scores, reference = torch.sigmoid(scores), torch.sigmoid(reference)
                changes = scores - reference[None, :, None]
            else:
                changes = _whole(explained, codes[rows[0]], device_of(model), batch_size)[:, None]
            for row, change in zip(rows, changes.float().cpu().numpy().swapaxes(0, 1), strict=True):
                known = np.flatnonzero(codes[row] < N)
                base = (codes[row, known, None] + np.arange(1, 4)) % 4
                result[row, base, known[:, None]] = change[known]
            if tick is not None:
                tick(len(rows))
    return result


def _agrees(logit: Callable[[Tensor], Tensor], codes: Codes, scores: Tensor) -> bool:
    """Whether a few mutants scored whole have the scores found from what they reach."""
    row = int((codes < N).sum(axis=1).argmax())
    known = np.flatnonzero(codes[row] < N)
    if not len(known):
        return True
    few = known[np.linspace(0, len(known) - 1, 5).astype(int)]
    given = torch.from_numpy(codes[row].copy()).to(scores.device)
    mutants = mutants_of(given).unflatten(0, (-1, 3))[few].flatten(0, 1)
    found = scores[few, row].flatten()
    return bool(torch.allclose(found, logit(one_hot(mutants)).to(found), rtol=1e-4, atol=1e-4))


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
    explained: Callable[[Tensor], Tensor], sequence: Codes, device: torch.device, batch_size: int
) -> Tensor:
    """Change by every mutant, (length, 3), each scored whole; N stays N."""
    given = torch.from_numpy(np.array(sequence)).to(device)
    parts = [explained(one_hot(part)) for part in mutants_of(given).split(min(batch_size, _WHOLE))]
    return (torch.cat(parts) - explained(one_hot(given[None]))).view(-1, 3)
