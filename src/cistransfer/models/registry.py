"""Architectures by name, and the one function that replaces a head."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from cistransfer.errors import InputError, nearest
from cistransfer.models.cnn import CNN
from cistransfer.models.motif_features import WithMotifs

__all__ = ["ARCHITECTURES", "build_model", "parameter_count", "replace_head"]


def _with_motifs(
    window: int,
    n_tasks: int,
    base: dict[str, Any] | None = None,
    widths: Sequence[int] = (),
) -> nn.Module:
    """Build `WithMotifs` around another architecture (``{"name": …, "arguments": {…}}``)."""
    design = base or {"name": "cnn", "arguments": {}}
    inner = _factory(design["name"], design["arguments"])(
        window=window, n_tasks=n_tasks, **design["arguments"]
    )
    return WithMotifs(inner, n_tasks, widths)


ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {"cnn": CNN, "with-motifs": _with_motifs}
"""Name → class. A class takes ``window``, ``n_tasks`` and keyword arguments with defaults, maps
one-hot ``(n, 4, window)`` to logits ``(n, n_tasks)``, and has ``features(x)`` and a linear
``head`` that reads them."""


def build_model(
    architecture: str, *, window: int, n_tasks: int, seed: int, **arguments: Any
) -> nn.Module:
    """Build an architecture with initial weights that depend on the seed alone.

    Parameters
    ----------
    architecture : str
        A name of `ARCHITECTURES`.
    window : int
        Input length in bp.
    n_tasks : int
        Number of outputs.
    seed : int
        Seed of the initial weights; the global random state is left as it was.
    **arguments
        Further arguments of the architecture.

    Raises
    ------
    InputError
        For an unknown architecture or argument (names what exists).
    """
    factory = _factory(architecture, arguments)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed every GPU
        return factory(window=window, n_tasks=n_tasks, **arguments)


def _factory(architecture: str, arguments: Iterable[str]) -> Callable[..., nn.Module]:
    if architecture not in ARCHITECTURES:
        raise InputError(
            f"no architecture {architecture!r}; {nearest(architecture, ARCHITECTURES)}"
        )
    factory = ARCHITECTURES[architecture]
    known = set(inspect.signature(factory).parameters) - {"window", "n_tasks"}
    for name in arguments:
        if name not in known:
            raise InputError(
                f"architecture {architecture!r} has no argument {name!r}; {nearest(name, known)}"
            )
    return factory


def replace_head(model: nn.Module, n_tasks: int, seed: int) -> nn.Module:
    """Return a copy of a model whose head is fresh and has ``n_tasks`` outputs.

    Every other tensor, batch-norm statistics included, is equal to the original's. The new linear
    layer has PyTorch's default initialisation under ``seed``.
    """
    changed = copy.deepcopy(model)
    head = changed.head
    if not isinstance(head, nn.Linear):
        raise InputError(f"the model's head must be a linear layer, found {type(head).__name__}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        fresh = nn.Linear(head.in_features, n_tasks)
    changed.head = fresh.to(head.weight).train(head.training)
    return changed


def parameter_count(model: nn.Module) -> int:
    """Number of trainable parameters (buffers not counted)."""
    return sum(parameter.numel() for parameter in model.parameters())
