"""The state of an interrupted training in one safetensors file (no pickle)."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from cistransfer.errors import InputError, shown
from cistransfer.models.tensors import read_tensors, tensors_hash
from cistransfer.storage import parse_json, whole_file
from cistransfer.training.strategy import Phase

__all__ = [
    "Progress",
    "State",
    "check_state",
    "epoch_row",
    "load_state",
    "optimiser_tensors",
    "save_state",
    "tensors_of",
]


@dataclass(kw_only=True)
class Progress:
    """How a model has done in a phase so far: its epochs, the best of them, its weights then."""

    epoch: int = 0
    best_merit: float | None = None
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)

    def begin(self) -> None:
        """Forget the epochs of the phase before; the history goes on."""
        self.epoch, self.best_merit, self.best_epoch, self.best = 0, None, 0, {}

    def record(
        self,
        phase: Phase,
        model: nn.Module,
        train_loss: float,
        measured: tuple[float, float],
        seconds: float = 0.0,
    ) -> None:
        """Add the epoch's row to the history, and keep the weights if none were better.

        Parameters
        ----------
        train_loss : float
            NaN before the first epoch.
        measured : (float, float)
            Loss and AUCPR on the validation part.
        """
        merit = -measured[0] if phase.monitor == "loss" else measured[1]
        best = self.best_merit is None or merit > self.best_merit
        if best:
            self.best_merit, self.best_epoch = merit, self.epoch
            self.best = tensors_of(model)
        self.history.append(epoch_row(phase.name, self.epoch, train_loss, measured, seconds, best))

    def stops(self, phase: Phase) -> bool:
        """Whether patience is at its end."""
        return phase.patience is not None and self.epoch - self.best_epoch >= phase.patience


@dataclass(kw_only=True)
class State(Progress):
    """Where a training stands at the end of an epoch; enough to go on bit-identically.

    Random numbers need no place here: every epoch draws them from (seed, phase, epoch).
    """

    run: str
    phase: int = 0
    model: dict[str, Tensor] = field(default_factory=dict)
    optimiser: dict[int, dict[str, Tensor]] = field(default_factory=dict)


_FACTS: dict[str, Any] = {
    "run": str,
    "phase": int,
    "epoch": int,
    "best_merit": float | int | None,
    "best_epoch": int,
    "history": list,
}
"""What a checkpoint holds beside tensors."""


def epoch_row(
    phase: str,
    epoch: int,
    train_loss: float,
    measured: tuple[float, float],
    seconds: float = 0.0,
    best: bool = True,
) -> dict[str, Any]:
    """A row of ``history.tsv``."""
    return {
        "phase": phase,
        "epoch": epoch,
        "train_loss": None if math.isnan(train_loss) else train_loss,
        "valid_loss": measured[0],
        "valid_aucpr": measured[1],
        "seconds": round(seconds, 3),
        "best": best,
    }


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of every tensor of a model."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def save_state(path: Path, state: State) -> None:
    """Write a state, whole or not at all."""
    tensors = {f"model/{name}": tensor for name, tensor in state.model.items()}
    tensors |= {f"best/{name}": tensor for name, tensor in state.best.items()}
    for number, entries in state.optimiser.items():
        tensors |= {f"optimiser/{number}/{name}": tensor for name, tensor in entries.items()}
    facts = {name: getattr(state, name) for name in _FACTS}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    state_text = json.dumps(facts)
    metadata = {"state": state_text, "content": _content(plain, state_text)}
    with whole_file(path) as temporary:
        temporary.write_bytes(save_tensors(plain, metadata))


def _content(tensors: Mapping[str, Tensor], facts: str) -> str:
    """Hash of everything in a checkpoint."""
    return hashlib.sha256(f"{tensors_hash(tensors)}|{facts}".encode()).hexdigest()


def load_state(path: Path, run: str) -> State | None:
    """Read a state back; None when there is none.

    Raises
    ------
    InputError
        When the file is damaged or belongs to a run with another configuration.
    """
    if not path.exists():
        return None
    state = check_state(path)
    if state.run != run:
        raise InputError(
            f"{path.parent}: holds an unfinished run of another configuration; choose another "
            "folder, or remove this one"
        )
    return state


def check_state(path: Path) -> State:
    """Read a state, whosever it is; raise `InputError` when it is not what its hash says."""
    try:
        tensors, metadata = read_tensors(path)
        text = metadata["state"]
        if _content(tensors, text) != metadata.get("content"):
            raise ValueError("its content is not what its hash says")
        facts = parse_json(text, str(path))
        state = State(**{name: facts[name] for name in _FACTS})
        if any(not isinstance(facts[name], kind) for name, kind in _FACTS.items()):
            raise ValueError("an entry of another type")
        for name, tensor in tensors.items():
            kind, _, rest = name.partition("/")
            if kind == "optimiser":
                number, _, entry = rest.partition("/")
                state.optimiser.setdefault(int(number), {})[entry] = tensor
            else:
                {"model": state.model, "best": state.best}[kind][rest] = tensor
    except (ValueError, KeyError, TypeError, OverflowError, InputError) as error:
        raise InputError(
            f"{path}: damaged checkpoint ({shown(error, 200)}); remove it to start anew"
        ) from error
    return state


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[int, dict[str, Tensor]]:
    """The optimiser's tensors by parameter number."""
    return {
        number: {name: value for name, value in entries.items() if isinstance(value, Tensor)}
        for number, entries in optimiser.state_dict()["state"].items()
    }
