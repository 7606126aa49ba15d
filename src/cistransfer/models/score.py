"""Codes in, logits or features out: batched, on any device, the model handed back as it came."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cistransfer import cpus
from cistransfer.errors import InputError

__all__ = [
    "at_once",
    "check_strands",
    "choose_device",
    "evaluating",
    "one_hot",
    "reverse_codes",
    "score_codes",
    "score_features",
    "with_copies",
]

Function = Callable[[Tensor], Tensor]
R = TypeVar("R")

_ONE_HOT = torch.cat([torch.eye(4), torch.zeros(1, 4)])
_COMPLEMENT = torch.tensor([3, 2, 1, 0, 4], dtype=torch.uint8)


def choose_device(name: str = "auto") -> torch.device:
    """``auto`` is an NVIDIA GPU when there is one, else the CPU; any PyTorch name is accepted."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        message = str(error).splitlines()[0]
        if message.startswith("Expected one of"):  # every kind that PyTorch has ever heard of
            message = "expected auto, cpu, cuda or cuda:1 …"
        raise InputError(f"device {name!r} cannot be used here: {message}") from error
    return device


def one_hot(codes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """One-hot of codes on their own device; an N is a column of zeros.

    Parameters
    ----------
    codes : uint8 tensor, shape (n, length)

    Returns
    -------
    tensor, shape (n, 4, length)
        In channels-last order (the four channels of a base are neighbours in memory).
    """
    table = _ONE_HOT.to(device=codes.device, dtype=dtype)
    return nn.functional.embedding(codes.int(), table).permute(0, 2, 1)


def reverse_codes(codes: Tensor) -> Tensor:
    """Reverse complement of codes, shape (n, length), on their own device."""
    return _COMPLEMENT.to(codes.device)[codes.flip(-1).int()]


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode and give every module its own mode back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def score_codes(
    model: nn.Module,
    codes: NDArray[np.uint8],
    *,
    strands: str = "both",
    batch_size: int = 512,
    tick: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Logits of sequences.

    Parameters
    ----------
    model : nn.Module
        Maps one-hot ``(n, 4, length)`` to ``(n, n_tasks)``; its device is used, its mode kept.
    codes : ndarray of uint8, shape (n, length)
        May be memory-mapped.
    strands : {"both", "forward"}
        ``both`` averages the logits of a sequence and its reverse complement; a model that is
        ``symmetric`` (both are the same) is asked once, and so is what reads both strands in
        another one (`cistransfer.models.model.Model.forward_strands`).
    batch_size : int
        Sequences at a time; the result does not depend on it beyond float rounding.
    tick : callable, optional
        Told the number of sequences after each batch (progress).

    Returns
    -------
    ndarray of float32, shape (n, n_tasks)
    """
    apart = getattr(model, "forward_strands", None) or _apart(model)
    return _batched(model, model, apart, codes, strands, batch_size, tick)


def score_features(
    model: nn.Module,
    codes: NDArray[np.uint8],
    *,
    strands: str = "both",
    batch_size: int = 512,
) -> NDArray[np.float32]:
    """Input of the head, shape (n, features); ``both`` averages the two strands."""
    features: Function = model.features  # type: ignore[assignment]
    return _batched(model, features, _apart(features), codes, strands, batch_size, None)


def check_strands(strands: str) -> None:
    """Refuse what is neither ``both`` nor ``forward``."""
    if strands not in ("both", "forward"):
        raise InputError(f"strands must be 'both' or 'forward', found {strands!r}")


def _apart(function: Function) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    return lambda x, other: (function(x), function(other))


def _batched(
    model: nn.Module,
    function: Function,
    apart: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    codes: NDArray[np.uint8],
    strands: str,
    batch_size: int,
    tick: Callable[[int], None] | None,
) -> NDArray[np.float32]:
    check_strands(strands)
    device = next(model.parameters()).device
    begins = range(0, max(len(codes), 1), batch_size)

    def score(at: int) -> NDArray[np.float32]:
        with torch.inference_mode():
            batch = torch.from_numpy(np.array(codes[at : at + batch_size])).to(device)
            x = one_hot(batch)
            if strands == "both" and not getattr(model, "symmetric", False):
                given, turned = apart(x, one_hot(reverse_codes(batch)))
                out = (given + turned) / 2
            else:
                out = function(x)
            return out.float().cpu().numpy()

    parts: list[NDArray[np.float32]] = []
    with evaluating(model), at_once(device, len(begins)) as run:
        for part in run(score, begins):
            parts.append(part)
            if tick is not None:
                tick(len(part))
    return np.concatenate(parts)


@contextlib.contextmanager
def at_once(device: torch.device, n_batches: int) -> Iterator[Any]:
    """How batches are shared out over cores: a function like ``map``.

    On CPU each of several batches is computed by one thread: two cores are both busy then, where
    one operation after another on both of them takes three quarters of the time of one.
    """
    if device.type != "cpu" or n_batches < 2 or cpus.n_workers() < 2:
        yield map
        return
    threads = torch.get_num_threads()
    with contextlib.ExitStack() as begun:
        begun.callback(torch.set_num_threads, threads)

        def run(function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
            def alone(item: Any) -> Any:
                torch.set_num_threads(1)  # of this thread
                return function(item)

            # closed with the block: after an interrupt no batch is begun
            return begun.enter_context(contextlib.closing(cpus.as_done(alone, items)))

        yield run


def with_copies(
    function: Callable[[nn.Module, Any], R], model: nn.Module, items: Sequence[Any]
) -> list[R]:
    """Call ``function(model, item)`` on each item, on CPU by several threads with a copy of the
    model each: for what hangs hooks on it. In order, to the bits of one thread."""
    device = next(model.parameters()).device
    n_parts = 1 if device.type != "cpu" else min(cpus.n_workers(), len(items))
    if n_parts < 2:
        return [function(model, item) for item in items]

    def part(rows: NDArray[np.intp]) -> list[R]:
        own = copy.deepcopy(model)
        return [function(own, items[row]) for row in rows.tolist()]

    with at_once(device, n_parts) as run:
        return [
            found
            for part_of in run(part, np.array_split(np.arange(len(items)), n_parts))
            for found in part_of
        ]
