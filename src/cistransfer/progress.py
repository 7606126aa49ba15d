"""What a person is told while work goes on: lines, and bars on a terminal; all on stderr."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

__all__ = ["Bar", "bar", "one", "say", "track"]

T = TypeVar("T")

_COUNTED = (
    "baseline bundle cell chromosome column example experiment file filter fold group letter line "
    "model motif pair part peak region row sample sequence set site start step summit task tile "
    "trial trunk variant window"
)
_ONE = re.compile(rf"(?<![\w.,:/+-])(?<!of )(?<!the )(?<!its )1 ({_COUNTED.replace(' ', '|')})s\b")


def one(text: str) -> str:
    """A line as a person says it: one row, not ``1 rows``.

    >>> one("chr1 rows: 1 rows read, 1 regions left out, 21 rows, none of the 1 rows")
    'chr1 rows: 1 row read, 1 region left out, 21 rows, none of the 1 rows'
    """
    return _ONE.sub(r"1 \1", text)


def say(*lines: str) -> None:
    """Print lines for the person on stderr (stdout belongs to results)."""
    with contextlib.suppress(OSError, ValueError):  # nobody listens: work goes on
        for line in lines:
            print(one(line), file=sys.stderr, flush=True)


class Bar(Protocol):
    """What a running bar understands."""

    def advance(self, steps: int = 1) -> None:
        """Move the bar by ``steps``."""

    def note(self, text: str) -> None:
        """Show ``text`` (a loss, a rate) behind the bar."""


class _Silent:
    def advance(self, steps: int = 1) -> None:
        return None

    def note(self, text: str) -> None:
        return None


@contextlib.contextmanager
def bar(description: str, total: int | None = None) -> Iterator[Bar]:
    """Show a progress bar while the block runs; nothing when stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield _Silent()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        task = progress.add_task(description, total=total, note="")

        class _Live:
            def advance(self, steps: int = 1) -> None:
                progress.advance(task, steps)

            def note(self, text: str) -> None:
                progress.update(task, note=text)

        yield _Live()


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield the items under a progress bar."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    with bar(description, total) as running:
        for item in items:
            yield item
            running.advance()
