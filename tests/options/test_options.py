"""Groups of options: what they declare and what they refuse."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cistransfer.errors import InputError
from cistransfer.options import check_options, flag_of, option, options_of, title_of


@dataclass(frozen=True)
class Draw:
    """Which windows are drawn.

    More words.
    """

    per_bound: float = option(1.0, help="Unbound per bound.", min=0.1, max=50)
    kind: str = option("gc", help="What is matched.", choices=("gc", "none"))
    chroms: tuple[str, ...] = option((), help="Chromosomes.", flag="--chromosomes")
    given: int = 3

    def __post_init__(self) -> None:
        check_options(self)


def test_a_group_is_a_dataclass_and_knows_its_options() -> None:
    assert Draw() == Draw(1.0, "gc", (), 3)
    assert [field.name for field, _ in options_of(Draw)] == ["per_bound", "kind", "chroms"]
    assert [flag_of(field) for field, _ in options_of(Draw())] == [
        "--per-bound",
        "--kind",
        "--chromosomes",
    ]
    assert title_of(Draw) == "Which windows are drawn"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"per_bound": 0.01}, "per_bound: expected at least 0.1 and at most 50, found 0.01"),
        ({"per_bound": float("nan")}, "found nan"),
        ({"kind": "GC"}, "kind: expected gc or none, found 'GC'"),
    ],
)
def test_values_outside_are_refused_in_python_too(values: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Draw(**values)  # type: ignore[arg-type]
