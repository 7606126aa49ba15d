"""Arguments of an architecture as a user writes them: ``KEY=VALUE``, typed by its signature."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from cistransfer.errors import InputError
from cistransfer.models.registry import factory_of, register_architecture
from cistransfer.models.user_file import is_file_spec

__all__ = ["read_arguments"]

_KINDS: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}


def read_arguments(architecture: str, pairs: Iterable[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` pairs into arguments of `cistransfer.models.registry.build_model`.

    A value has the type of the argument's default (of its annotation where there is none): a
    number, text, ``true`` or ``false``, or a comma list for a sequence.

    Parameters
    ----------
    architecture : str
        A name, or ``FILE.py:CLASS``.
    pairs : iterable of str

    Raises
    ------
    InputError
        For a pair without ``=``, a key that the architecture does not have (names what exists) or
        has twice, or a value of another type.
    """
    name = register_architecture(architecture) if is_file_spec(architecture) else architecture
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise InputError(f"expected KEY=VALUE, found {pair!r} (variant=paper, say)")
        parameter = inspect.signature(factory_of(name, [key])).parameters[key]
        if key in values:
            raise InputError(f"{key} is set twice")
        values[key] = _value(text, parameter, pair)
    return values


def _value(text: str, parameter: inspect.Parameter, pair: str) -> Any:
    default = parameter.default
    if isinstance(default, tuple | list):
        kind = type(default[0]) if default else str
        return [_scalar(part.strip(), kind, pair) for part in text.split(",") if part.strip()]
    if default is None or default is inspect.Parameter.empty:
        return _scalar(text, _KINDS.get(str(parameter.annotation), str), pair)
    return _scalar(text, type(default), pair)


def _scalar(text: str, kind: type, pair: str) -> Any:
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise InputError(f"{pair}: expected true or false, found {text!r}")
    try:
        return kind(text)
    except (TypeError, ValueError) as error:
        raise InputError(f"{pair}: expected {kind.__name__}, found {text!r}") from error
