"""What a person is told while work goes on: lines, and bars on a terminal; all on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

__all__ = ["Bar", "bar", "say", "track"]

T = TypeVar("T")


def say(*lines: str) -> None:
    """Print lines for the person on stderr (stdout belongs to results)."""
    with contextlib.suppress(OSError, ValueError):  # nobody listens: work goes on
        for line in lines:
            print(line, file=sys.stderr, flush=True)


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
