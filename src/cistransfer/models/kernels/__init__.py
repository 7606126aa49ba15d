"""Kernels: steps of a network that are faster here than PyTorch's own, to the same numbers.

Each stands beside the plain function that it equals (to rounding; of dropout, in distribution), is
tested against it (``tests/models/test_kernels.py``) and timed against it
(``benchmarks/kernels.py``), for what is faster on one processor may be slower on another: there the
rules of `processor` say which is computed. Within ``use(False)`` it is the plain ones, within
``use(True)`` all kernels.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

__all__ = ["in_use", "use"]

_IN_USE: ContextVar[bool | None] = ContextVar("kernels", default=None)


@contextlib.contextmanager
def use(wanted: bool) -> Iterator[None]:
    """Compute with all kernels, or with the plain functions beside them, within the block.

    It holds for the forward pass; a gradient is of what was computed there. `torch.vmap` needs the
    plain ones, and whoever compares the two.
    """
    before = _IN_USE.set(wanted)
    try:
        yield
    finally:
        _IN_USE.reset(before)


def in_use(gains: bool = True) -> bool:
    """Whether kernels are computed with, rather than the plain functions.

    Parameters
    ----------
    gains : bool
        Whether the kernel is faster on this processor: outside of `use` it is computed only then.
    """
    wanted = _IN_USE.get()
    return gains if wanted is None else wanted
