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
from cistransfer.models.along import MIN_WINDOWS, Sharing
from cistransfer.models.blocks import one_hot, reverse_codes

__all__ = [
    "at_once",
    "check_strands",
    "choose_device",
    "evaluating",
    "score_codes",
    "score_features",
    "score_windows",
    "with_copies",
]

Ints = NDArray[np.int64]
_IN_CACHE = 256
"""Windows at a time on CPU, whose values stay in the cache."""
R = TypeVar("R")


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
        another one (`cistransfer.models.model.Model.features_of_strands`).
    batch_size : int
        Sequences at a time; the result does not depend on it beyond float rounding.
    tick : callable, optional
        Told the number of sequences after each batch (progress).

    Returns
    -------
    ndarray of float32, shape (n, n_tasks)
    """
    return _of_rows(model, "logits", codes, strands, batch_size, tick)


def score_features(
    model: nn.Module,
    codes: NDArray[np.uint8],
    *,
    strands: str = "both",
    batch_size: int = 512,
    motifs: bool = True,
) -> NDArray[np.float32]:
    """Input of the head, shape (n, features); ``both`` averages the two strands.

    Without ``motifs`` of the network alone.
    """
    what = "features" if motifs else "network_features"
    return _of_rows(model, what, codes, strands, batch_size, None)


def score_windows(
    model: nn.Module,
    codes: NDArray[np.uint8],
    starts: Ints,
    window: int,
    *,
    strands: str = "both",
    batch_size: int = 256,
    tick: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Logits of windows of one sequence: `score_codes` of each, to rounding.

    Parameters
    ----------
    model : nn.Module
    codes : ndarray of uint8, shape (length,)
    starts : ndarray of int64, shape (n,)
        Where windows begin, ascending, at any distances.
    window : int
        Length of each.
    strands, batch_size, tick
        See `score_codes`.

    Returns
    -------
    ndarray of float32, shape (n, n_tasks)
    """
    with evaluating(model), torch.inference_mode():
        sharing = Sharing.of(model, window) if len(starts) >= MIN_WINDOWS else None
        if sharing is None:
            rows = np.zeros((0, window), dtype=np.uint8)
            if len(starts):
                rows = np.lib.stride_tricks.sliding_window_view(codes, window)[starts]
            return score_codes(model, rows, strands=strands, batch_size=batch_size, tick=tick)

        def score(at: int) -> Tensor:
            together = _together(codes, starts[at : at + batch_size], window)
            return sharing.logits(*together, strands)

        return _batched(model, score, len(starts), strands, batch_size, tick)


def _together(codes: NDArray[np.uint8], starts: Ints, window: int) -> tuple[Tensor, Ints]:
    """The stretch below all windows, without what lies between distant ones.

    Distances stay what they were modulo their common divisor, for on that depends what is shared.
    """
    gaps = np.diff(starts)
    common = max(1, int(np.gcd.reduce(gaps, initial=0)))
    kept = np.minimum(gaps, -(-window // common) * common)
    last = np.append(np.flatnonzero(kept < gaps), len(starts) - 1)  # windows at ends of runs
    first = np.append(0, last[:-1] + 1)
    ends = starts[last] + np.append(kept, window)[last]
    pieces = [codes[begin:end] for begin, end in zip(starts[first], ends, strict=True)]
    together = torch.from_numpy(np.concatenate(pieces))
    return together, np.append(0, np.cumsum(kept))


def check_strands(strands: str) -> None:
    """Refuse what is neither ``both`` nor ``forward``."""
    if strands not in ("both", "forward"):
        raise InputError(f"strands must be 'both' or 'forward', found {strands!r}")


def _of_rows(
    model: nn.Module,
    what: str,
    codes: NDArray[np.uint8],
    strands: str,
    batch_size: int,
    tick: Callable[[int], None] | None,
) -> NDArray[np.float32]:
    """``logits``, ``features`` or ``network_features`` of sequences of one length: by look-up
    (`Sharing`) where that is possible, else one-hot through the network."""
    window = codes.shape[1]
    with evaluating(model), torch.inference_mode():
        sharing = Sharing.of(model, window) if len(codes) >= MIN_WINDOWS else None
        batch_size = batch_size if sharing is None else min(batch_size, _IN_CACHE)
        device = next(model.parameters()).device
        symmetric = strands == "forward" or getattr(model, "symmetric", False)
        alone: Any = model if what == "logits" else getattr(model, what)
        apart = getattr(model, f"{what}_of_strands", None)

        def score(at: int) -> Tensor:
            rows = torch.from_numpy(np.array(codes[at : at + batch_size]))
            if sharing is not None:
                starts = window * np.arange(len(rows))
                return getattr(sharing, what)(rows.flatten(), starts, strands)
            rows = rows.to(device)
            x = one_hot(rows)
            if symmetric:
                return alone(x)
            other = one_hot(reverse_codes(rows))
            given, turned = (alone(x), alone(other)) if apart is None else apart(x, other)
            return (given + turned) / 2

        return _batched(model, score, len(codes), strands, batch_size, tick)


def _batched(
    model: nn.Module,
    score: Callable[[int], Tensor],
    n: int,
    strands: str,
    batch_size: int,
    tick: Callable[[int], None] | None,
) -> NDArray[np.float32]:
    """What a function gives for the sequences from each number on, one behind the other."""
    check_strands(strands)
    begins = range(0, max(n, 1), batch_size)

    def part_of(at: int) -> NDArray[np.float32]:
        with torch.inference_mode():  # of this thread
            return score(at).float().cpu().numpy()

    parts: list[NDArray[np.float32]] = []
    with at_once(next(model.parameters()).device, len(begins)) as run:
        for part in run(part_of, begins):
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
