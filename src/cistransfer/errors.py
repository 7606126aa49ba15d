"""The one exception that means "the user's input is wrong", and how to word it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["InputError", "nearest"]


class InputError(Exception):
    """The user's input is wrong; the command line turns it into exit code 2.

    The message is one line and says where (file, line), what was expected, what was found and,
    where that helps, what exists instead.
    """


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
        return "nearest: " + ", ".join(close)
    shown = ", ".join(choices[:8]) + (f", … ({len(choices)} in all)" if len(choices) > 8 else "")
    return f"there are: {shown}" if choices else "there are none"
