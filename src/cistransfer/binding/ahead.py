"""Read ahead: make the next items in a thread while the last one is worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")


def ahead(
    items: Iterator[T], most: int = 2, drop: Callable[[T], None] = lambda item: None
) -> Iterator[T]:
    """Yield the items of an iterator that runs in a thread of its own.

    Parameters
    ----------
    items : iterator
        Used by the thread only; what it raises is raised here, at its place.
    most : int
        How many items may wait.
    drop : callable
        Called with each item that was made but is not wanted any more (to close it).
    """
    waiting: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(most)
    stopped = threading.Event()

    def put(what: str, value: T | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                waiting.put((what, value), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put("item", item):
                    drop(item)
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            what, value = waiting.get()
            if what == "error":
                assert isinstance(value, BaseException)
                raise value
            if what == "end":
                return
            yield value  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()
        while not waiting.empty():
            what, value = waiting.get()
            if what == "item":
                drop(value)  # type: ignore[arg-type]
