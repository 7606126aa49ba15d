"""Groups of options: frozen dataclasses that Python takes, the command line asks, a run records.

A room declares what can be chosen in it once::

    @dataclass(frozen=True)
    class SplitOptions:
        \"\"\"Training, validation and test.\"\"\"

        by: str = option("chromosome", flag="--split", help="How to split.", choices=SPLITS)
        valid_chroms: tuple[str, ...] = option((), help="Validation chromosomes.")

        def __post_init__(self) -> None:
            check_options(self)

The first line of the docstring is the title of the group in ``--help``. Modules that declare
options import nothing heavy at their head (numpy, pandas, torch …): ``--help`` reads them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass
from typing import Any

from cistransfer.errors import InputError, nearest

__all__ = ["Option", "check_options", "flag_of", "option", "options_of", "title_of"]

_KEY = "cistransfer.option"


@dataclass(frozen=True)
class Option:
    """What an option is, beside its name, type and default, which the dataclass holds."""

    help: str
    flag: str | None = None
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] | None = None
    panel: str | None = None
    cli: Any = None
    metavar: str | None = None
    repeat: bool = False
    positional: bool = False
    read: Callable[[str], Any] | None = None


def option(
    default: Any = MISSING,
    *,
    help: str,
    flag: str | None = None,
    min: float | None = None,
    max: float | None = None,
    choices: tuple[str, ...] | None = None,
    panel: str | None = None,
    cli: Any = None,
    metavar: str | None = None,
    repeat: bool = False,
    positional: bool = False,
    read: Callable[[str], Any] | None = None,
) -> Any:
    """Declare a field of a group of options.

    Parameters
    ----------
    default : any, optional
        Without it the option must be given. Immutable (a tuple, not a list).
    help : str
        One sentence for ``--help``.
    flag : str, optional
        ``--name`` (``--yes/--no`` for a choice of three) where it is not the field's name.
    min, max : float, optional
        Least and greatest value allowed.
    choices : tuple of str, optional
        The words allowed.
    panel : str, optional
        Heading in ``--help`` where it is not the group's title.
    cli : type, optional
        Type on the command line where the field's differs (``Path`` for a field that in Python
        takes a table too).
    metavar : str, optional
        Stands for the value in ``--help``.
    repeat : bool
        A tuple is given by repeating the option; otherwise as one comma list.
    positional : bool
        Given by its place instead of by its flag.
    read : callable, optional
        Turns the text of the command line into the value; raises ``InputError``.

    Returns
    -------
    dataclasses.Field
    """
    described = Option(help, flag, min, max, choices, panel, cli, metavar, repeat, positional, read)
    return dataclasses.field(default=default, metadata={_KEY: described})


def options_of(group: Any) -> Iterator[tuple[dataclasses.Field[Any], Option]]:
    """The fields of a group (class or instance) that were declared with `option`."""
    for field in dataclasses.fields(group):
        if _KEY in field.metadata:
            yield field, field.metadata[_KEY]


def title_of(group: type) -> str:
    """Title of a group of options: the first line of its docstring, without the full stop."""
    return (group.__doc__ or group.__name__).strip().splitlines()[0].rstrip(".")


def flag_of(field: dataclasses.Field[Any]) -> str:
    """The option's name on the command line."""
    described: Option = field.metadata[_KEY]
    return described.flag or "--" + field.name.replace("_", "-")


def check_options(group: Any) -> None:
    """Refuse values outside of what the options of a group allow; for ``__post_init__``.

    Raises
    ------
    InputError
        One line: option, what was expected, what was found.
    """
    for field, described in options_of(group):
        value = getattr(group, field.name)
        items = value if isinstance(value, tuple) else (value,)
        for item in items:
            if described.choices is not None and isinstance(item, str):
                if item not in described.choices:
                    raise InputError(
                        f"{field.name}: expected {', '.join(described.choices)}, found {item!r}; "
                        + nearest(item, described.choices)
                    )
            elif isinstance(item, int | float) and not isinstance(item, bool):
                low, high = described.min, described.max
                if (low is not None and not item >= low) or (high is not None and not item <= high):
                    allowed = " and ".join(
                        [f"at least {low:g}"] * (low is not None)
                        + [f"at most {high:g}"] * (high is not None)
                    )
                    raise InputError(f"{field.name}: expected {allowed}, found {item:g}")
