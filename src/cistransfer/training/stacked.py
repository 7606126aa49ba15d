"""Many independent models of one architecture trained at once as one stacked network."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.models import kernels
from cistransfer.models.blocks import one_hot, reverse_codes
from cistransfer.models.model import Model
from cistransfer.training.batches import Draw, draws, epoch_seed, shifted, steps_in_epoch
from cistransfer.training.checkpoint import Progress
from cistransfer.training.freeze import apply_phase, parameter_groups
from cistransfer.training.loop import cuda_devices, refuse_nan, seed_draws, validate
from cistransfer.training.loss import Loss, choose_loss
from cistransfer.training.step import rate_factor
from cistransfer.training.strategy import Phase, Probe

__all__ = ["fit_stacked", "likeness"]

_FREE = {"learning_rate", "epochs", "patience", "steps_per_epoch"}
"""Entries of a phase in which the models of one stack may differ."""


def fit_stacked(
    models: Sequence[Model],
    examples: Sequence[ExampleSet],
    phases: Sequence[Sequence[Phase]],
    *,
    seeds: Sequence[int],
    precision: str = "float32",
) -> list[list[dict[str, Any]] | InputError]:
    """Train models in place through their gradient phases, all at once.

    Each model has its own examples, head, seed, learning rate, early stopping and best epoch, and
    draws what it would draw alone, dropout too, so that it ends (within float rounding) where
    `cistransfer.training.loop.fit` takes it. At every tick each model that is not done takes its
    next step; those whose batches are of one size take it as one network (`torch.vmap`), so a
    short last batch is computed apart. Adam scales gradients that are nothing but rounding error
    (of biases before a batch norm, of units that hardly fire) up to steps of full size, so that at
    a high rate a model ends as far from itself alone as if one rounding of its first weights had
    been another: no nearer, no further. On a GPU the training codes lie there, and one-hot and
    dropout are made there.

    Parameters
    ----------
    models : sequence of Model
        Of one architecture and number of tasks, on one device; without recurrent layers.
    examples : sequence of ExampleSet
        One for each model.
    phases : sequence of sequences of Phase
        For each model; they may differ between models in rate, epochs, patience and steps alone.
    seeds : sequence of int
    precision : {"float32", "bf16"}

    Returns
    -------
    list of (list of dict, or InputError)
        The history of each model, as `fit` returns it; in its place what `fit` would raise, where
        a loss is not a number, which stops no other model.

    Raises
    ------
    InputError
        When the models or phases cannot be stacked, or a part is empty.
    """
    _check(models, examples, phases, seeds)
    runs = [
        _Run(model, data, list(plan), seed, choose_loss(model, np.asarray(data.labels)))
        for model, data, plan, seed in zip(models, examples, phases, seeds, strict=True)
    ]
    with torch.random.fork_rng(devices=cuda_devices(models[0])):
        for number in range(len(phases[0])):
            sound = [run for run in runs if run.error is None]
            if sound:
                _stacked_phase(sound, number, precision)
    return [run.error or run.progress.history for run in runs]


def likeness(
    model: Model, examples: ExampleSet, phases: Sequence[Phase | Probe], precision: str
) -> str | None:
    """What trainings have in common that can be one stack; None for one that has to be alone.

    Alone are strategies with a probe, recurrent networks, models with motifs beside the network,
    and what lacks a part (`fit` says so). Networks are alike when every module, its settings and
    the shapes of its tensors are.
    """
    alone = (
        model.motifs is not None
        or any(not isinstance(phase, Phase) for phase in phases)
        or any(isinstance(module, nn.RNNBase) for module in model.modules())
        or any(len(examples.rows(part)) == 0 for part in ("train", "valid"))
    )
    if alone:
        return None
    modules = [
        (name, type(module).__module__, type(module).__qualname__, _settings(module))
        for name, module in model.network.named_modules()
    ]
    shapes = [(name, tuple(tensor.shape)) for name, tensor in model.state_dict().items()]
    fixed = [phase.model_dump_json(exclude=_FREE) for phase in phases]
    device = next(model.parameters()).device
    return repr((modules, shapes, model.link, fixed, precision, device))


def _settings(module: nn.Module) -> list[tuple[str, str]]:
    """Plain attributes of a module: sizes, shares, names of variants."""
    return [
        (name, repr(value))
        for name, value in sorted(vars(module).items())
        if not name.startswith("_") and isinstance(value, int | float | str | tuple | None)
    ]


@dataclass
class _Run:
    """Where one model stands."""

    model: Model
    examples: ExampleSet
    phases: list[Phase]
    seed: int
    measure: Loss
    progress: Progress = field(default_factory=Progress)
    codes: Tensor = field(default_factory=lambda: torch.empty(0))
    labels: Tensor = field(default_factory=lambda: torch.empty(0))
    batches: Iterator[Draw] = field(default_factory=lambda: iter(()))
    random: list[Tensor] = field(default_factory=list)
    step: int = 0
    steps: int = 0
    losses: list[Tensor] = field(default_factory=list)
    began: float = 0.0
    done: bool = False
    error: InputError | None = None

    def start(self, number: int) -> None:
        """Begin a phase."""
        phase, rows = self.phases[number], self.examples.rows("train")
        device = next(self.model.parameters()).device
        self.codes = torch.from_numpy(np.asarray(self.examples.codes[rows])).to(device)
        self.labels = torch.from_numpy(np.asarray(self.examples.labels[rows])).to(device)
        self.steps = phase.steps_per_epoch or steps_in_epoch(len(rows), phase)
        self.progress.begin()
        self.step, self.done = 0, False
        if phase.start_counts:
            self.record(number, math.nan)
        self.open(number)

    def open(self, number: int) -> None:
        """Begin an epoch with the random numbers that it has alone."""
        self.began, self.losses = time.monotonic(), []
        rng = np.random.default_rng([self.seed, number, self.progress.epoch])
        self.batches = draws(len(self.codes), self.phases[number], rng)
        seed_draws(self.model, epoch_seed(self.seed, number, self.progress.epoch))
        self.random = _random_state(self.model)

    def record(self, number: int, train_loss: float) -> float:
        """Validate the model, add a row of history and keep the best weights; the loss."""
        phase = self.phases[number]
        measured = validate(self.model, self.examples, self.measure, phase.validation_strands)
        seconds = time.monotonic() - self.began if self.progress.epoch else 0.0
        self.progress.record(phase, self.model, train_loss, measured, seconds)
        return measured[0]


class _Stack:
    """Weights, statistics and Adam's moments of all models, first axis the model."""

    def __init__(self, runs: Sequence[_Run], number: int) -> None:
        models = [run.model for run in runs]
        for run in runs:
            apply_phase(run.model, run.phases[number])
        self.tensors = {
            name: torch.stack([model.state_dict()[name] for model in models])
            for name in models[0].state_dict()
        }
        self.rates: dict[str, Tensor] = {}
        self.l2: dict[str, float] = {}
        for at, run in enumerate(runs):
            own = {id(parameter): name for name, parameter in run.model.named_parameters()}
            for group in parameter_groups(run.model, run.phases[number]):
                for parameter in group["params"]:
                    name = own[id(parameter)]
                    self.rates.setdefault(name, torch.zeros(len(runs)))[at] = group["lr"]
                    self.l2[name] = group["l2"]
        self.first = {name: torch.zeros_like(self.tensors[name]) for name in self.rates}
        self.second = {name: torch.zeros_like(self.tensors[name]) for name in self.rates}
        self.count = torch.zeros(len(runs))
        self.decay = runs[0].phases[number].weight_decay

    def take(self, rows: Tensor) -> dict[str, Tensor]:
        """Copies for some of the models; those that are trained are leaves."""
        taken = {name: tensor[rows] for name, tensor in self.tensors.items()}
        return {name: t.requires_grad_(name in self.rates) for name, t in taken.items()}

    def put(self, rows: Tensor, taken: dict[str, Tensor], factors: Tensor) -> None:
        """One step of AdamW from the gradients of what was taken; statistics are copied back."""
        self.count[rows] += 1
        count = self.count[rows]
        with torch.no_grad():
            for name, tensor in taken.items():
                if name not in self.rates:
                    self.tensors[name][rows] = tensor
                    continue
                column = (-1,) + (1,) * (tensor.ndim - 1)
                rate = (self.rates[name][rows] * factors).view(column).to(tensor.device)
                gradient = tensor.grad if tensor.grad is not None else torch.zeros_like(tensor)
                gradient = gradient + 2 * self.l2[name] * tensor
                first = torch.lerp(self.first[name][rows], gradient, 0.1)
                second = self.second[name][rows].mul_(0.999)
                second.addcmul_(gradient, gradient, value=0.001)
                one = (1 - 0.9**count).view(column).to(tensor.device)
                two = (1 - 0.999**count).view(column).to(tensor.device)
                fresh = tensor * (1 - rate * self.decay)
                fresh -= rate / one * first / ((second / two).sqrt() + 1e-8)
                self.first[name][rows], self.second[name][rows] = first, second
                self.tensors[name][rows] = fresh

    def give(self, at: int, model: nn.Module) -> None:
        """Write one model's weights and statistics into it."""
        model.load_state_dict({name: tensor[at] for name, tensor in self.tensors.items()})


def _random_state(model: nn.Module) -> list[Tensor]:
    """State of the generators that a model's device draws from."""
    return [
        torch.get_rng_state(),
        *(torch.cuda.get_rng_state(device) for device in cuda_devices(model)),
    ]


def _set_random_state(model: nn.Module, state: Sequence[Tensor]) -> None:
    torch.set_rng_state(state[0])
    for device, each in zip(cuda_devices(model), state[1:], strict=True):
        torch.cuda.set_rng_state(each, device)


class _GivenDropout(nn.Module):
    """Dropout whose mask is a buffer, so that every stacked model has its own."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.register_buffer("factor", torch.ones(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.get_buffer("factor") if self.training else x


def _stacked_phase(runs: list[_Run], number: int, precision: str) -> None:
    device = next(runs[0].model.parameters()).device
    for run in runs:
        run.start(number)
    stack = _Stack(runs, number)
    skeleton = _skeleton(runs[0].model)
    layouts: dict[int, dict[str, Tensor]] = {}
    while any(not run.done for run in runs):
        ready: dict[int, list[tuple[int, Draw]]] = {}
        for at, run in enumerate(runs):
            draw = None if run.done else next(run.batches, None)
            if draw is None and not run.done:
                _end_epoch(at, run, number, stack)
                draw = None if run.done else next(run.batches, None)
            if draw is not None:
                ready.setdefault(len(draw.rows), []).append((at, draw))
        for size, members in ready.items():
            if size not in layouts:
                layouts[size] = _dropout_layouts(runs[0], size, precision)
            rows = torch.tensor([at for at, _ in members])
            factors = torch.tensor(
                [
                    rate_factor(runs[at].phases[number], runs[at].step, runs[at].steps)
                    for at, _ in members
                ]
            )
            codes, labels = _batch(runs, members)
            masks = _masks(runs, members, layouts[size], device)
            taken = stack.take(rows.to(device))
            losses = _forward(skeleton, taken, masks, codes, labels, runs[0].measure, precision)
            losses.sum().backward()
            stack.put(rows.to(device), taken, factors)
            for (at, _), loss in zip(members, losses.detach().unbind(), strict=True):
                runs[at].losses.append(loss)
                runs[at].step += 1
    for run in runs:
        if run.error is None:
            run.model.load_state_dict(run.progress.best)


def _end_epoch(at: int, run: _Run, number: int, stack: _Stack) -> None:
    """Validate a model whose epoch is over; begin the next one, or be done."""
    phase, progress = run.phases[number], run.progress
    stack.give(at, run.model)
    progress.epoch += 1
    try:
        loss = float(torch.stack(run.losses).double().mean())
        refuse_nan(loss, "training", progress.epoch - 1, phase)
        refuse_nan(run.record(number, loss), "validation", progress.epoch - 1, phase)
    except InputError as error:
        run.error, run.done = error, True
        return
    run.done = progress.stops(phase) or progress.epoch == phase.epochs
    if not run.done:
        run.open(number)


def _batch(runs: list[_Run], members: list[tuple[int, Draw]]) -> tuple[Tensor, Tensor]:
    """Codes (models, n, length) and labels (models, n, tasks) of one tick, on the device."""
    codes, labels = [], []
    for at, draw in members:
        rows = torch.from_numpy(draw.rows).to(runs[at].codes.device)
        own = runs[at].codes[rows]
        if draw.shifts.any():
            own = torch.from_numpy(shifted(own.cpu().numpy(), draw.shifts)).to(own.device)
        if draw.flipped.any():
            turn = torch.from_numpy(draw.flipped).to(own.device)
            own = torch.where(turn[:, None], reverse_codes(own), own)
        codes.append(own)
        labels.append(runs[at].labels[rows])
    return torch.stack(codes), torch.stack(labels)


def _forward(
    skeleton: nn.Module,
    taken: dict[str, Tensor],
    masks: dict[str, Tensor],
    codes: Tensor,
    labels: Tensor,
    measure: Loss,
    precision: str,
) -> Tensor:
    """Loss of each model on its batch; batch-norm statistics in ``taken`` move in place."""
    x = one_hot(codes.flatten(0, 1)).unflatten(0, codes.shape[:2])

    def logits(tensors: dict[str, Tensor], own: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(skeleton, (tensors, own), (x,))

    bits = torch.autocast(codes.device.type, torch.bfloat16, enabled=precision == "bf16")
    with bits, kernels.use(False):  # which no `vmap` could take apart
        scores = torch.vmap(logits)(taken, masks, x)
    return torch.vmap(measure)(scores.float(), labels)


def _skeleton(model: nn.Module) -> nn.Module:
    """Copy a model for stacking: dropout from given masks."""
    made = copy.deepcopy(model)
    for name, module in list(made.named_modules()):
        if isinstance(module, nn.Dropout):
            parent, _, own = name.rpartition(".")
            given = _GivenDropout(module.p).train(module.training)
            setattr(made.get_submodule(parent), own, given)
    return made


def _dropout_layouts(run: _Run, size: int, precision: str) -> dict[str, Tensor]:
    """Shape, type and memory layout of what each dropout reads, in the order of the calls."""
    model = copy.deepcopy(run.model)
    found: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Dropout) and module.training and module.p:
            module.register_forward_pre_hook(
                lambda _, given, name=name: found.__setitem__(
                    name, torch.empty_like(given[0], device="meta")
                )
            )
    device = next(model.parameters()).device
    with (
        torch.random.fork_rng(devices=[]),
        torch.no_grad(),
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
    ):
        model(one_hot(run.codes[:1].expand(size, -1)))
    return found


def _masks(
    runs: list[_Run],
    members: list[tuple[int, Draw]],
    layouts: dict[str, Tensor],
    device: torch.device,
) -> dict[str, Tensor]:
    """What each dropout makes of ones, drawn as each model draws it alone."""
    if not layouts:
        return {}
    drawn: dict[str, list[Tensor]] = {name: [] for name in layouts}
    for at, _ in members:
        model = runs[at].model
        _set_random_state(model, runs[at].random)
        for name, like in layouts.items():
            drop = model.get_submodule(name)
            drawn[name].append(drop(torch.ones_like(like, device=device)))
        runs[at].random = _random_state(model)
    return {f"{name}.factor": torch.stack(factors) for name, factors in drawn.items()}


def _check(
    models: Sequence[Model],
    examples: Sequence[ExampleSet],
    phases: Sequence[Sequence[Phase]],
    seeds: Sequence[int],
) -> None:
    counts = [len(models), len(examples), len(phases), len(seeds)]
    if len(set(counts)) > 1 or not counts[0]:
        raise InputError(f"expected as many models, examples, phases and seeds, found {counts}")
    shapes = [{name: t.shape for name, t in model.state_dict().items()} for model in models]
    for at, (shape, data, plan) in enumerate(zip(shapes, examples, phases, strict=True)):
        if shape != shapes[0]:
            raise InputError(f"model {at} is not of the architecture and tasks of model 0")
        if any(not isinstance(phase, Phase) for phase in plan):
            raise InputError("only gradient phases can be stacked; fit probes one by one")
        fixed = [phase.model_dump(exclude=_FREE) for phase in plan]
        if fixed != [phase.model_dump(exclude=_FREE) for phase in phases[0]]:
            raise InputError(
                f"the phases of model {at} differ from those of model 0 in more than "
                f"{', '.join(sorted(_FREE))}"
            )
        for part in ("train", "valid"):
            if not len(data.rows(part)):
                raise InputError(f"model {at}: the {part} part of its examples is empty")
    if any(isinstance(module, nn.RNNBase) for module in models[0].modules()):
        raise InputError("recurrent networks (danq) cannot be stacked; train them one by one")
