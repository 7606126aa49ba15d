"""The training loop: masked multi-task cross-entropy, Adam, early stopping, resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.metrics.curves import rank_metrics
from cistransfer.models.kernels.processor import gains_from_bf16
from cistransfer.models.model import Model
from cistransfer.models.score import score_codes
from cistransfer.progress import bar, say
from cistransfer.training.allocator import keeping_freed_memory
from cistransfer.training.batches import draws, epoch_seed, steps_in_epoch
from cistransfer.training.checkpoint import (
    State,
    epoch_row,
    load_state,
    optimiser_tensors,
    save_state,
    tensors_of,
)
from cistransfer.training.freeze import apply_phase
from cistransfer.training.loss import Loss, choose_loss, masked_loss
from cistransfer.training.prior import HeadPrior
from cistransfer.training.probe import evidence_line, fit_probe
from cistransfer.training.step import Arithmetic, make_optimiser, rate_factor, train_step
from cistransfer.training.strategy import Phase, Probe

__all__ = ["choose_precision", "cuda_devices", "fit", "refuse_nan", "seed_draws", "validate"]

_CHECKPOINT_SECONDS = 20.0


def choose_precision(name: str, device: torch.device) -> str:
    """``auto`` is bf16 where that is faster on the device, else float32."""
    if name not in ("auto", "float32", "bf16"):
        raise InputError(f"precision must be 'auto', 'float32' or 'bf16', found {name!r}")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "float32"
    return "bf16" if gains_from_bf16() else "float32"


def fit(
    model: Model,
    examples: ExampleSet,
    phases: Sequence[Phase | Probe],
    *,
    run: str,
    seed: int,
    checkpoint: Path | None = None,
    precision: str = "float32",
    checkpoint_seconds: float = _CHECKPOINT_SECONDS,
    on_checkpoint: Callable[[list[dict[str, Any]]], None] = lambda history: None,
    prior: HeadPrior | None = None,
) -> list[dict[str, Any]]:
    """Train a model in place through the phases; each ends on its best validation.

    Every epoch's random numbers come from ``(seed, phase, epoch)``, so a run that was killed and
    resumed from its checkpoint ends with the weights of an uninterrupted one, bit for bit on CPU.
    The global random state is left as it was.

    Parameters
    ----------
    model : Model
        Trained in place, on the device it lies on.
    examples : ExampleSet
        Its train and valid parts are used.
    run : str
        Identity of the configuration; a checkpoint of another run is refused.
    checkpoint : Path, optional
        Where the state is kept while training.
    precision : {"float32", "bf16"}
        Arithmetic of the forward and backward pass; weights stay float32.
    checkpoint_seconds : float
        Least time between two checkpoints.
    on_checkpoint : callable
        Given the history so far whenever a checkpoint has been written.
    prior : HeadPrior, optional
        Of the trunk, for probes.

    Returns
    -------
    list of dict
        One row per epoch: phase, epoch, train_loss, valid_loss, valid_aucpr (mean over
        the tasks that have both classes), seconds,
        and whether it was the best of its phase so far; of a probe, what it found of trunk and
        motifs (``auroc_trunk`` …, see `cistransfer.training.probe.fit_probe`).

    Raises
    ------
    InputError
        When the loss is not a number, or a part is empty.
    """
    train, valid = examples.rows("train"), examples.rows("valid")
    if not len(train) or not len(valid):
        raise InputError(
            f"training needs train and valid examples, found {len(train)} and {len(valid)}"
        )
    loss = choose_loss(model, np.asarray(examples.labels))
    state = (load_state(checkpoint, run) if checkpoint else None) or State(run=run)
    if state.model:
        if state.model.keys() != model.state_dict().keys():
            raise InputError(
                f"{checkpoint}: of an earlier version; remove it to start this run anew"
            )
        model.load_state_dict(state.model)

    saved = time.monotonic()

    def keep() -> None:
        nonlocal saved
        if checkpoint and time.monotonic() - saved >= checkpoint_seconds:
            save_state(checkpoint, state)
            on_checkpoint(state.history)
            saved = time.monotonic()

    for number in range(state.phase, len(phases)):
        phase = phases[number]
        if isinstance(phase, Probe):
            evidence = _mean(fit_probe(model, examples, phase, seed=seed, prior=prior))
            say(evidence_line(evidence))
            row = epoch_row(phase.name, 1, math.nan, validate(model, examples, loss))
            row |= {f"auroc_{name}": value for name, value in evidence.items()}
            state.history.append(row)
        else:
            with keeping_freed_memory():
                _gradient_phase(model, examples, phase, number, state, seed, precision, loss, keep)
        state.begin()
        state.phase, state.model, state.optimiser = number + 1, tensors_of(model), {}
        keep()
    return state.history


def _mean(chosen: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """What a probe found of trunk and motifs, over tasks."""
    return {
        name: None if chosen[0][name] is None else float(np.mean([one[name] for one in chosen]))
        for name in ("trunk", "motifs", "both", "chance")
    }


def _gradient_phase(
    model: Model,
    examples: ExampleSet,
    phase: Phase,
    number: int,
    state: State,
    seed: int,
    precision: str,
    loss: Loss,
    keep: Callable[[], None],
) -> None:
    """Train through one phase, from the epoch where ``state`` stands, to its best epoch."""
    train = examples.rows("train")
    apply_phase(model, phase)
    optimiser = make_optimiser(model, phase, state.optimiser)
    how = Arithmetic(precision, loss)
    steps = phase.steps_per_epoch or steps_in_epoch(len(train), phase)
    if phase.start_counts and state.epoch == 0:
        measured = validate(model, examples, loss, phase.validation_strands)
        state.record(phase, model, math.nan, measured)
    with bar(phase.name, phase.epochs * steps) as running:
        running.advance(state.epoch * steps)
        for epoch in range(state.epoch, phase.epochs):
            if state.best and state.stops(phase):
                break
            began = time.monotonic()
            apply_phase(model, phase)
            losses = []
            with torch.random.fork_rng(devices=cuda_devices(model)):
                seed_draws(model, epoch_seed(seed, number, epoch))
                batches = draws(len(train), phase, np.random.default_rng([seed, number, epoch]))
                for step, draw in enumerate(batches):
                    factor = rate_factor(phase, epoch * steps + step, steps)
                    for group in optimiser.param_groups:
                        group["lr"] = group["base"] * factor
                    lost, how = train_step(model, examples, train, draw, optimiser, how)
                    losses.append(lost)
                    running.advance()
            train_loss = float(np.mean(torch.stack(losses).tolist()))
            refuse_nan(train_loss, "training", epoch, phase)
            measured = validate(model, examples, loss, phase.validation_strands)
            refuse_nan(measured[0], "validation", epoch, phase)
            state.epoch = epoch + 1
            state.record(phase, model, train_loss, measured, time.monotonic() - began)
            running.note(f"validation loss {measured[0]:.4f}, AUCPR {measured[1]:.3f}")
            state.model, state.optimiser = tensors_of(model), optimiser_tensors(optimiser)
            keep()
    model.load_state_dict(state.best)


def validate(
    model: nn.Module, examples: ExampleSet, measure: Loss = masked_loss, strands: str = "both"
) -> tuple[float, float]:
    """Loss on the validation part, and the mean AUCPR of its tasks with both classes."""
    rows = examples.rows("valid")
    labels = np.asarray(examples.labels[rows])
    logits = score_codes(model, examples.codes[rows], strands=strands)
    loss = float(measure(torch.from_numpy(logits), torch.from_numpy(labels)))
    if not math.isfinite(loss):
        return loss, math.nan
    ranked = rank_metrics(labels, logits)["aucpr"]
    known = ranked[~np.isnan(ranked)]
    return loss, float(known.mean()) if len(known) else 0.0


def cuda_devices(model: nn.Module) -> list[torch.device]:
    """The GPU that a model lies on, if it lies on one."""
    device = next(model.parameters()).device
    return [device] if device.type == "cuda" else []


def seed_draws(model: nn.Module, seed: int) -> None:
    """Seed the generators that the model's device draws from, and no other GPU's."""
    torch.default_generator.manual_seed(seed)
    for device in cuda_devices(model):
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def refuse_nan(loss: float, which: str, epoch: int, phase: Phase) -> None:
    """Raise `InputError` when a loss is not a number."""
    if not math.isfinite(loss):
        raise InputError(
            f"the {which} loss is not a number in epoch {epoch + 1} of phase {phase.name!r}; "
            f"try a lower learning rate than {phase.learning_rate:g}"
        )
