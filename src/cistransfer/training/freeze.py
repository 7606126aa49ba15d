"""What trains in a phase: weights by module name, and batch-norm statistics with them."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from cistransfer.errors import InputError
from cistransfer.models.model import Model
from cistransfer.training.strategy import Phase

__all__ = ["apply_phase", "copy_transferred", "fits", "parameter_groups", "trains"]


def fits(name: str, patterns: Iterable[str]) -> bool:
    """Whether a dotted name, or a module it lies in, fits one of the shell patterns."""
    parts = name.split(".")
    ancestors = [".".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    return any(fnmatchcase(ancestor, pattern) for pattern in patterns for ancestor in ancestors)


def trains(name: str, phase: Phase) -> bool:
    """Whether a phase trains the weights of a module or a parameter."""
    return fits(name, phase.train) and not fits(name, phase.freeze)


def _check(model: nn.Module, patterns: Iterable[str], where: str) -> None:
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(fits(name, [pattern]) for name in names):
            blocks = [name for name, _ in model.named_children()]
            raise InputError(
                f"{where}: no module fits {pattern!r}; the model has: {', '.join(blocks)}"
            )


def apply_phase(model: nn.Module, phase: Phase) -> None:
    """Set what trains in a phase and put the model into training mode accordingly.

    Call it at the start of every epoch: ``model.train()`` would wake frozen statistics. A
    batch-norm layer runs on its stored statistics (and leaves them alone) when its weights are
    frozen, unless it is named in ``drifting_statistics``, or when it is named in
    ``frozen_statistics``. Setting ``requires_grad`` alone, as the published code does, leaves the
    statistics drifting.
    """
    for entry in ("train", "freeze", "frozen_statistics", "drifting_statistics"):
        _check(model, getattr(phase, entry), f"phase {phase.name!r}, {entry}")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trains(name, phase))
    model.train()
    for name, module in model.named_modules():
        if not isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            continue
        frozen = not trains(name, phase) and not fits(name, phase.drifting_statistics)
        if frozen or fits(name, phase.frozen_statistics):
            module.eval()
    for name, module in model.named_modules():
        own = [parameter for parameter in module.parameters() if parameter.requires_grad]
        if isinstance(module, nn.Dropout) and not own:
            block = name.rpartition(".")[0]
            if block and not trains(block, phase):
                module.eval()


def parameter_groups(model: nn.Module, phase: Phase) -> list[dict[str, Any]]:
    """Optimiser groups of the trained parameters, one per learning rate and L2 penalty."""
    _check(model, phase.rates, f"phase {phase.name!r}, rates")
    _check(model, phase.l2, f"phase {phase.name!r}, l2")
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = (phase.learning_rate * _last(name, phase.rates, 1.0), _last(name, phase.l2, 0.0))
            groups.setdefault(key, []).append(parameter)
    return [{"params": members, "lr": rate, "l2": l2} for (rate, l2), members in groups.items()]


def _last(name: str, values: dict[str, float], default: float) -> float:
    """The value of the last pattern that fits."""
    for pattern, value in values.items():
        default = value if fits(name, [pattern]) else default
    return default


def copy_transferred(model: Model, trunk: Model, transfer: Iterable[str]) -> list[str]:
    """Copy the tensors of the trunk that fit ``transfer`` into a model, in place.

    Never the head, nor the motifs beside the trunk.

    Returns
    -------
    list of str
        Names of the copied tensors (weights and batch-norm statistics).
    """
    patterns = list(transfer)
    _check(trunk, patterns, "transfer")
    source, target = trunk.state_dict(), model.state_dict()
    own = ["head"] if trunk.motifs is None else ["head", "motifs"]
    names = [name for name in source if fits(name, patterns) and not fits(name, own)]
    for name in names:
        if name not in target or target[name].shape != source[name].shape:
            found = tuple(target[name].shape) if name in target else "absent"
            raise InputError(
                f"transfer: {name} of the trunk has shape {tuple(source[name].shape)}, here it is "
                f"{found}; transfer less of the trunk ('conv*', say)"
            )
    for name in names:
        target[name].copy_(source[name])
    return names
