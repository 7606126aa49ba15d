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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass
from typing import Any

from cistransfer.errors import InputError

__all__ = [
    "Option",
    "arguments",
    "check_options",
    "flag_of",
    "meaningless",
    "option",
    "options_of",
    "title_of",
    "wrong_choice",
]

_KEY = "cistransfer.option"


@dataclass(frozen=True)
class Option:
    """What an option is, beside its name, type and default, which the dataclass holds.

    The attributes are the parameters of `option`.
    """

    help: str
    flag: str | None = None
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] | None = None
    needs: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    panel: str | None = None
    cli: Any = None
    metavar: str | None = None
    repeat: bool = False
    positional: bool = False
    path: bool | Callable[[str], bool] = False
    writes: tuple[str, ...] | None = None
    read: Callable[[str], Any] | None = None


def option(default: Any = MISSING, *, help: str, **described: Any) -> Any:
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
    needs : tuple of str, optional
        Fields of the group, at least one of which must be set for this one to have a meaning;
        ``"field=value"`` where it must have this value (``"field="``: be left out).
    against : tuple of str, optional
        Fields of the group, any of which, set, leaves this one without a meaning; ``"field=value"``
        as above.
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
    path : bool or callable
        A text that may name a file or folder (``general``, or a run folder; where only some
        texts may, a function says which): a record keeps where it lies.
    writes : tuple of str, optional
        It names a file or folder that is written, and a record, or any of these files in the
        folder, tells an earlier output. Of an ``--out`` without it the folder's writer looks at it.
    read : callable, optional
        Turns the text of the command line into the value; raises ``InputError``.

    Returns
    -------
    dataclasses.Field
    """
    return dataclasses.field(default=default, metadata={_KEY: Option(help, **described)})


def options_of(group: Any) -> Iterator[tuple[dataclasses.Field[Any], Option]]:
    """The fields of a group (class or instance) that were declared with `option`.

    Those that a group has from a group of keywords come after its own.
    """
    for field in sorted(dataclasses.fields(group), key=lambda field: bool(field.kw_only)):
        if _KEY in field.metadata:
            yield field, field.metadata[_KEY]


def arguments(group: Any) -> dict[str, Any]:
    """The values of a group by name, to call a function with (`dataclasses.asdict`, not deep)."""
    return {field.name: getattr(group, field.name) for field, _ in options_of(group)}


def title_of(group: type) -> str:
    """Title of a group of options: the first line of its docstring, without the full stop."""
    return (group.__doc__ or group.__name__).strip().splitlines()[0].rstrip(".")


def flag_of(field: dataclasses.Field[Any]) -> str:
    """The option's name on the command line."""
    described: Option = field.metadata[_KEY]
    return described.flag or "--" + field.name.replace("_", "-")


def check_options(group: Any) -> None:
    """Refuse what the options of a group do not allow; for ``__post_init__``.

    Raises
    ------
    InputError
        One line: option, what was expected, what was found. An option that has no meaning beside
        the others is refused too, unless it has its default.
    """
    values = {field.name: getattr(group, field.name) for field in dataclasses.fields(group)}
    for field, described in options_of(group):
        value = values[field.name]
        wrong_choice(described, value, field.name)
        for item in value if isinstance(value, tuple) else (value,):
            _out_of_bounds(described, item, field.name)
        why = meaningless(described, values)
        if why and value != field.default:
            raise InputError(f"{field.name} has no meaning {why}")


def meaningless(
    described: Option, values: Mapping[str, Any], names: Mapping[str, str] | None = None
) -> str:
    """Why an option has no meaning beside the values of its group; empty when it has.

    Parameters
    ----------
    names : mapping, optional
        How the fields are called in the message.

    Returns
    -------
    str
        ``"without A or B"``, ``"with C"``.
    """

    def called(condition: str) -> str:
        name, _, value = condition.partition("=")
        return f"{names[name] if names else name} {value}".rstrip()

    if described.needs and not any(_holds(each, values) for each in described.needs):
        return "without " + " or ".join(map(called, described.needs))
    return "".join(f"with {called(each)}" for each in described.against if _holds(each, values))


def _holds(condition: str, values: Mapping[str, Any]) -> bool:
    name, equals, wanted = condition.partition("=")
    value = values.get(name)
    is_set = not (value is None or value is False or (isinstance(value, str | tuple) and not value))
    if not equals or not is_set:
        return is_set if not equals else not wanted
    return wanted in map(str, value if isinstance(value, tuple) else (value,))


def wrong_choice(described: Option, value: Any, name: str) -> None:
    """Refuse a word that is none of the choices."""
    for item in value if isinstance(value, tuple) else (value,):
        choices = described.choices
        if choices is not None and isinstance(item, str) and item not in choices:
            raise InputError(f"{name}: expected {' or '.join(choices)}, found {item!r}")


def _out_of_bounds(described: Option, value: Any, name: str) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    low, high = described.min, described.max
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        bounds = (("at least", low), ("at most", high))
        allowed = " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
        raise InputError(f"{name}: expected {allowed}, found {value:g}")
