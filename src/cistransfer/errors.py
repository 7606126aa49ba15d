"""The exceptions that mean "the input is wrong" and "the machine failed", and how to word them."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

__all__ = ["InputError", "MachineError", "is_fault", "lacks_memory", "nearest", "shown"]


class InputError(Exception):
    """The user's input is wrong; the command line turns it into exit code 2.

    The message is one line and says where (file, line), what was expected, what was found and,
    where that helps, what exists instead.
    """


class MachineError(Exception):
    """The machine failed: a full disk, an I/O error, a file system that may not be written.

    Nothing is wrong with the input, and the same command may work later; the command line prints
    the message, one line, and ends with exit code 1.
    """


_FAULTS = frozenset(
    getattr(errno, name)
    for name in (
        *("EIO", "ENOSPC", "EDQUOT", "EFBIG", "EROFS", "ENOMEM", "EMFILE", "ENFILE", "ENOLCK"),
        *("ESTALE", "ETIMEDOUT", "ENODEV", "ENXIO", "EBUSY", "ETXTBSY", "EREMOTEIO", "ESHUTDOWN"),
    )
    if hasattr(errno, name)
)


def is_fault(error: OSError) -> bool:
    """Whether an error of the operating system is the machine's, not that of a name given."""
    return error.errno in _FAULTS


_NO_MEMORY = (
    "can't allocate memory",  # PyTorch, of the processor's memory
    "not enough memory",
    "out of memory",  # and of a GPU's
    "failed to map segment",  # a library that does not fit any more
    "cannot allocate memory",
    "unable to allocate",
    "bad_alloc",
    "can't start new thread",
    "returned null without setting an exception",  # Python, of a module that it could not load
)


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, by whatever class a library gave it."""
    if isinstance(error, MemoryError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError | ImportError | SystemError) and any(
        each in words for each in _NO_MEMORY
    )


def shown(value: object, n: int = 80) -> str:
    """A value in one line of at most ``n`` characters, for an error message."""
    text = str(value)
    line = " ".join(text[: 4 * n].split())
    return line if len(line) <= n and len(text) <= 4 * n else line[: n - 1] + "…"


def nearest(name: str, known: Iterable[str], n: int = 3) -> str:
    """Word the names closest to ``name`` for an error message.

    Parameters
    ----------
    name : str
        What the user wrote.
    known : iterable of str
        What exists.
    n : int
        How many to offer at most.

    Returns
    -------
    str
        ``"nearest: A, B"``; without a close match, the first few known names.
    """
    choices = sorted(set(known))
    lowered = {choice.lower(): choice for choice in choices}
    close = [
        lowered[match]
        for match in difflib.get_close_matches(name.lower(), list(lowered), n=n, cutoff=0.5)
    ]
    if close:
        return "nearest: " + ", ".join(map(shown, close))
    more = f", … ({len(choices)} in all)" if len(choices) > 8 else ""
    return f"there are: {', '.join(map(shown, choices[:8]))}{more}" if choices else "there are none"
