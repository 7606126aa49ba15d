"""One step of training: batch, forward, backward, optimiser; smaller parts when memory is short."""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.models.blocks import one_hot, reverse_codes
from cistransfer.training.batches import Draw, shifted
from cistransfer.training.freeze import parameter_groups
from cistransfer.training.loss import Loss, weighed_labels
from cistransfer.training.strategy import Phase

__all__ = ["Arithmetic", "make_optimiser", "rate_factor", "train_step"]


class Arithmetic(NamedTuple):
    """How a step is computed."""

    precision: str
    """``float32`` or ``bf16``."""
    measure: Loss
    parts: int = 1
    """How many parts each batch is computed in; the gradients of the parts are added up."""


def train_step(
    model: nn.Module,
    examples: ExampleSet,
    rows: NDArray[np.int64],
    draw: Draw,
    optimiser: torch.optim.Optimizer,
    how: Arithmetic,
) -> tuple[Tensor, Arithmetic]:
    """Take one step; where the GPU's memory does not suffice, in twice as many parts.

    The gradient of the parts is that of the whole batch, but batch norm sees each part by itself:
    its statistics are those of smaller batches (and of the attempt that failed, too).

    Parameters
    ----------
    rows : ndarray of int
        The training part's rows of ``examples``, of which ``draw`` chooses.

    Returns
    -------
    (Tensor, Arithmetic)
        The loss of the batch, a number on the model's device (the GPU is not waited for), and how
        to compute the next one.

    Raises
    ------
    InputError
        When memory does not suffice for two examples.
    """
    while True:
        try:
            return _step(model, examples, rows, draw, optimiser, how), how
        except torch.OutOfMemoryError as error:
            size = len(draw.rows) // (2 * how.parts)
            if size < 2:
                raise InputError(
                    "the GPU's memory does not suffice for two examples at a time; "
                    "use --device cpu, or a smaller network"
                ) from error
            how = how._replace(parts=2 * how.parts)
            optimiser.zero_grad(set_to_none=True)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            print(
                f"out of memory: each batch is computed in {how.parts} parts of {size} examples "
                "from here on (batch norm sees the parts)",
                file=sys.stderr,
            )


def _step(
    model: nn.Module,
    examples: ExampleSet,
    train: NDArray[np.int64],
    draw: Draw,
    optimiser: torch.optim.Optimizer,
    how: Arithmetic,
) -> Tensor:
    device = next(model.parameters()).device
    rows = train[draw.rows]
    codes = torch.from_numpy(shifted(examples.codes[rows], draw.shifts)).to(device)
    labels = torch.from_numpy(examples.labels[rows]).to(device)
    if draw.flipped.any():
        turn = torch.from_numpy(draw.flipped).to(device)
        codes = torch.where(turn[:, None], reverse_codes(codes), codes)
    optimiser.zero_grad(set_to_none=True)
    total = torch.zeros((), device=device)
    weight = weighed_labels(how.measure, labels).clamp(min=1)
    parts = min(how.parts, max(1, len(rows) // 2))  # batch norm needs two
    for part, known in zip(codes.tensor_split(parts), labels.tensor_split(parts), strict=True):
        with torch.autocast(device.type, torch.bfloat16, enabled=how.precision == "bf16"):
            logits = model(one_hot(part))
        loss = how.measure(logits.float(), known)
        if parts > 1:
            loss = loss * (weighed_labels(how.measure, known) / weight)
        loss.backward()
        total += loss.detach()
    _add_l2_gradient(optimiser)
    optimiser.step()
    return total


def _add_l2_gradient(optimiser: torch.optim.Optimizer) -> None:
    """Add the gradient of each group's L2 penalty (strength × sum of squares)."""
    for group in optimiser.param_groups:
        if group["l2"]:
            known = [weight for weight in group["params"] if weight.grad is not None]
            with torch.no_grad():
                torch._foreach_add_([weight.grad for weight in known], known, alpha=2 * group["l2"])


def make_optimiser(
    model: nn.Module, phase: Phase, tensors: dict[int, dict[str, Tensor]]
) -> torch.optim.Optimizer:
    """AdamW over what a phase trains, going on from the stored tensors where there are any."""
    groups = parameter_groups(model, phase)
    optimiser = torch.optim.AdamW(groups, weight_decay=phase.weight_decay, fused=True)
    for group in optimiser.param_groups:
        group["base"] = group["lr"]
    if tensors:
        optimiser.load_state_dict(
            {"state": tensors, "param_groups": optimiser.state_dict()["param_groups"]}
        )
    return optimiser


def rate_factor(phase: Phase, step: int, steps_per_epoch: int) -> float:
    """Factor of the schedule on the learning rate at a step of the phase."""
    factor = 1.0
    if phase.schedule == "one-cycle":
        position = step / max(1, phase.epochs * steps_per_epoch)
        rise = 0.25
        if position < rise:
            factor = 0.04 + 0.96 * (1 - math.cos(math.pi * position / rise)) / 2
        else:
            factor = 1e-4 + (1 + math.cos(math.pi * (position - rise) / (1 - rise))) / 2
    return factor
