"""Reading ahead gives the same items, passes errors on and lets its thread go."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from cistransfer.binding.readers.evidence import _ahead
from cistransfer.errors import InputError


def test_items_in_order() -> None:
    dropped: list[int] = []
    assert list(_ahead(iter(range(100)), dropped.append)) == list(range(100))
    assert list(_ahead(iter([]), dropped.append)) == dropped == []


def test_an_error_comes_at_its_place() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise InputError("bad file")

    got = _ahead(broken(), print)
    assert next(got) == 1
    with pytest.raises(InputError, match="bad file"):
        next(got)


def test_stopping_early_ends_the_thread() -> None:
    before = threading.active_count()
    made: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            made.append(1)
            yield 1

    dropped: list[int] = []
    got = _ahead(endless(), dropped.append)
    next(got)
    got.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert len(made) - 1 == len(dropped) == 1
