"""Memory that one training step frees stays with the process for the next step."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

__all__ = ["keeping_freed_memory"]

_TRIM, _MAP = -1, -3
"""``M_TRIM_THRESHOLD`` and ``M_MMAP_THRESHOLD`` of ``mallopt``."""
_LARGE = {_TRIM: 1 << 30, _MAP: 1 << 28}
_USUAL = {_TRIM: 1 << 26, _MAP: 1 << 25}
"""The largest values that glibc chooses of itself."""


@contextlib.contextmanager
def keeping_freed_memory() -> Iterator[None]:
    """Let glibc keep freed memory (up to 1 GB) while training on CPU; elsewhere do nothing.

    By default it returns the activations of a step to the system after the step, and the next
    step waits for the system to clear the same pages again: 3 to 10 % of the time of a step.
    Afterwards the memory is given back and the thresholds are those that glibc arrives at itself.
    """
    library = _glibc()
    if library is None:
        yield
        return
    for option, value in _LARGE.items():
        library.mallopt(option, value)
    try:
        yield
    finally:
        for option, value in _USUAL.items():
            library.mallopt(option, value)
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    known = all(
        hasattr(library, name) for name in ("mallopt", "malloc_trim", "gnu_get_libc_version")
    )
    return library if known else None
