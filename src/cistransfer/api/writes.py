"""Outputs of Python's functions: they replace what an earlier one wrote, and nothing else."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from cistransfer.storage import output

__all__ = ["writes"]

P = ParamSpec("P")
T = TypeVar("T")


def writes(
    words: str, markers: Sequence[str] | None = None
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Have a function replace in its ``out`` only what an earlier one wrote.

    Parameters
    ----------
    words : str
        The verb that writes the same.
    markers : sequence of str, optional
        See `cistransfer.storage.check_output`; where they are empty a folder gets a record.
    """

    def door(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: P.args, **options: P.kwargs) -> T:
            place = signature.bind_partial(*args, **options).arguments.get("out")
            if not isinstance(place, str | os.PathLike) or not os.fspath(place):
                return function(*args, **options)  # which says what it is
            with output([place], words.split(), markers):
                return function(*args, **options)

        return call

    return door
