"""Attributions from gradients: gradient × input, integrated gradients; the neutral references."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.genome.codes import N
from cistransfer.genome.shuffle import dinucleotide_shuffle
from cistransfer.models.blocks import one_hot
from cistransfer.models.score import evaluating

__all__ = [
    "device_of",
    "gradient_input",
    "integrated_gradients",
    "make_references",
    "output_of",
    "permute_positions",
]

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def device_of(model: nn.Module) -> torch.device:
    """Device of a model's first parameter (the CPU for a model without any)."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def output_of(model: nn.Module, task: int, on: str) -> Callable[[Tensor], Tensor]:
    """One-hot ``(n, 4, length)`` → the explained number of each sequence, ``(n,)``.

    ``on`` is ``logit`` or ``probability`` (sigmoid of the logit, as ChromTransfer explained it).
    """
    if on not in ("logit", "probability"):
        raise InputError(f"expected to explain 'logit' or 'probability', found {on!r}")

    def explained(x: Tensor) -> Tensor:
        out = model(x)
        if not -out.shape[1] <= task < out.shape[1]:
            raise InputError(f"the model has {out.shape[1]} tasks; there is no task {task}")
        return out[:, task] if on == "logit" else torch.sigmoid(out[:, task])

    return explained


def gradient_input(
    model: nn.Module,
    codes: Codes,
    *,
    task: int = 0,
    on: str = "logit",
    batch_size: int = 256,
) -> Floats:
    """Gradient of a task's output with respect to the base that is there.

    The published ChromTransfer attribution is ``on="probability"``; the sigmoid saturates, so
    confident regions get small values: the default is the logit.

    Parameters
    ----------
    model : nn.Module
        One-hot ``(n, 4, length)`` → logits ``(n, tasks)``; handed back as it came.
    codes : ndarray of uint8, shape (n, length)
    task : int
        Column of the output.
    on : {"logit", "probability"}
        What is explained.

    Returns
    -------
    ndarray of float32, shape (n, 4, length)
        The gradient for every base; the attribution is its entry at the base that is there.
    """
    explained = output_of(model, task, on)
    device = device_of(model)
    parts = []
    with evaluating(model):
        for at in range(0, len(codes), batch_size):
            x = one_hot(torch.from_numpy(np.array(codes[at : at + batch_size])).to(device))
            parts.append(_gradient(explained, x).cpu().numpy())
    return np.concatenate(parts) if parts else np.empty((0, 4, codes.shape[1]), np.float32)


def integrated_gradients(
    model: nn.Module,
    codes: Codes,
    *,
    task: int = 0,
    on: str = "logit",
    references: str | Codes = "dinucleotide",
    shuffles: int = 5,
    steps: int = 20,
    seed: int = 0,
    batch_size: int = 256,
) -> tuple[Floats, Floats]:
    """Integrate the gradient along straight lines from references (Sundararajan et al. 2017).

    Parameters
    ----------
    references : str or ndarray of uint8, shape (n, r, length)
        A name for `make_references`, or the references themselves.
    steps : int
        Points of the Gauss–Legendre rule on each line.

    Returns
    -------
    contributions : ndarray of float32, shape (n, length)
        Mean over the references of Σ over bases of (x − reference) × integrated gradient.
    error : ndarray of float32, shape (n,)
        Completeness: |Σ contributions − (f(x) − mean f(reference))|.
    """
    explained = output_of(model, task, on)
    device = device_of(model)
    points, weights = np.polynomial.legendre.leggauss(steps)
    refs = make_references(codes, references, shuffles=shuffles, seed=seed)
    per_sequence = refs.shape[1] * steps
    rows = max(1, batch_size // per_sequence)
    along = torch.tensor((points + 1) / 2, dtype=torch.float32, device=device)
    mass = torch.tensor(weights / 2, dtype=torch.float32, device=device)
    result = np.empty(codes.shape, np.float32)
    error = np.empty(len(codes), np.float32)
    with evaluating(model):
        for at in range(0, len(codes), rows):
            batch = torch.from_numpy(np.array(codes[at : at + rows])).to(device)
            base = torch.from_numpy(np.array(refs[at : at + rows])).to(device)
            x = one_hot(batch)[:, None]
            r = one_hot(base.flatten(0, 1)).unflatten(0, base.shape[:2])
            delta = x - r
            line = (r[:, :, None] + along[:, None, None] * delta[:, :, None]).flatten(0, 2)
            gradient = torch.cat(
                [_gradient(explained, part) for part in line.split(max(batch_size, 1))]
            ).unflatten(0, (len(batch), base.shape[1], steps))
            mean = (gradient * mass[:, None, None]).sum(dim=2)
            contributions = (delta * mean).sum(dim=2).mean(dim=1)
            with torch.no_grad():
                difference = explained(x[:, 0]) - explained(r.flatten(0, 1)).unflatten(
                    0, base.shape[:2]
                ).mean(dim=1)
            result[at : at + rows] = contributions.cpu().numpy()
            error[at : at + rows] = (contributions.sum(dim=1) - difference).abs().cpu().numpy()
    return result, error


def _gradient(explained: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(explained(x).sum(), x)
    return gradient


def permute_positions(codes: Codes, shuffles: int, *, seed: int = 0) -> Codes:
    """Permute the positions of sequences, one permutation of positions for all of them.

    The references of the published DeepLIFT script (Novakovsky et al. 2021): single-nucleotide,
    and each permutation shared by the whole batch.

    Returns
    -------
    ndarray of uint8, shape (n, shuffles, length)
    """
    rng = np.random.default_rng(seed)
    orders = np.stack([rng.permutation(codes.shape[1]) for _ in range(shuffles)])
    return codes[:, orders]


def make_references(
    codes: Codes, kind: str | Codes = "dinucleotide", *, shuffles: int = 20, seed: int = 0
) -> Codes:
    """References by name: ``dinucleotide``, ``permutation`` (as published) or ``zero`` (all N).

    Given ones, (n, r, length), are taken as they are.
    """
    if not isinstance(kind, str):
        return kind
    if shuffles < 1:
        raise InputError(f"expected at least one reference a sequence, found {shuffles}")
    if kind == "dinucleotide":
        return dinucleotide_shuffle(codes, shuffles, seed=seed)
    if kind == "permutation":
        return permute_positions(codes, shuffles, seed=seed)
    if kind == "zero":
        return np.full((len(codes), 1, codes.shape[1]), N, np.uint8)
    raise InputError(f"references must be 'dinucleotide', 'permutation' or 'zero', found {kind!r}")
