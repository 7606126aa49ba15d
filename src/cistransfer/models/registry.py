"""Networks by name, and the models that are built of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cistransfer.errors import InputError, nearest
from cistransfer.models.card import Architecture
from cistransfer.models.cheap import CHEAP
from cistransfer.models.chromtransfer import ChromTransfer
from cistransfer.models.cnn import CNN
from cistransfer.models.danq import DanQ
from cistransfer.models.model import Model, MotifFeatures
from cistransfer.models.motif_bank import MotifBank
from cistransfer.models.towers import Towers
from cistransfer.models.user_file import UserFile, check_contract, is_file_spec, read_user_file

__all__ = [
    "ARCHITECTURES",
    "USER_FILES",
    "build_model",
    "check_architecture",
    "describe_architecture",
    "factory_of",
    "list_architectures",
    "parameter_count",
    "read_arguments",
    "register_architecture",
    "tensor_shapes",
]


_KINDS: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "cnn": CNN,
    "danq": DanQ,
    "chromtransfer": ChromTransfer,
    "motif-bank": MotifBank,
    "towers": Towers,
}
"""Name → class. A class takes ``window``, ``n_tasks`` and keyword arguments with defaults, maps
one-hot ``(n, 4, window)`` to logits ``(n, n_tasks)``, and has ``features(x)`` and a linear
``head`` that reads them. Modules are named ``conv1`` …, ``lstm1`` …, ``dense1`` …, ``head``, so
that one strategy fits every architecture."""

USER_FILES: dict[str, UserFile] = {}
"""Networks of the user's own that `register_architecture` has read in this process."""


def register_architecture(spec: str) -> str:
    """Read a network of the user's own from a Python file and make it known by name.

    The only way in which code from outside the package is run: a bundle never names the file that
    is run, the user does.

    Parameters
    ----------
    spec : str
        ``path/to/mynet.py:MyNet``, a `torch.nn.Module` under the contract of `ARCHITECTURES`.

    Returns
    -------
    str
        Its name from here on, ``mynet.py:MyNet``.

    Raises
    ------
    InputError
        See `cistransfer.models.user_file.read_user_file`.
    """
    if not is_file_spec(spec):
        raise InputError(f"expected an architecture as FILE.py:CLASS, found {spec!r}")
    found = read_user_file(spec)
    USER_FILES[found.name] = found
    return found.name


def describe_architecture(name: str, arguments: dict[str, Any]) -> Architecture:
    """What a card records of a network: name, arguments and, of a user's file, its hash.

    A ``FILE.py:CLASS`` that exists is read (again); else it must be the name of a registered one.
    """
    if not is_file_spec(name):
        return Architecture(name=name, arguments=arguments)
    own = name
    if name not in USER_FILES or Path(name.rpartition(":")[0]).exists():
        own = register_architecture(name)
    return Architecture(name=own, arguments=arguments, sha256=USER_FILES[own].sha256)


def check_architecture(architecture: Architecture, where: str) -> None:
    """Refuse a card's network that needs a user's file which is not here, or has changed.

    Nothing is run: the file must have been registered before.
    """
    name = architecture.name
    if not is_file_spec(name):
        return
    file, _, wanted = name.rpartition(":")
    if name not in USER_FILES:
        raise InputError(
            f"{where}: its network is the class {wanted!r} of your file {file}, which is not part "
            f"of the bundle; name the file: --architecture path/to/{name} (in Python "
            f"register_architecture('path/to/{name}'))"
        )
    if USER_FILES[name].sha256 != architecture.sha256:
        raise InputError(
            f"{where}: its network was made from another version of {file} than "
            f"{USER_FILES[name].path}; name the file as it was (sha256 {architecture.sha256})"
        )


def build_model(
    architecture: str,
    *,
    window: int,
    n_tasks: int,
    seed: int,
    motifs: MotifFeatures | None = None,
    link: str = "independent",
    **arguments: Any,
) -> Model:
    """Build a model with initial weights that depend on the seed alone.

    Parameters
    ----------
    architecture : str
        A name of `ARCHITECTURES`, or of a registered file.
    window : int
        Input length in bp.
    n_tasks : int
        Number of outputs.
    seed : int
        Seed of the initial weights; the global random state is left as it was.
    motifs, link
        See `cistransfer.models.model.Model`.
    **arguments
        Further arguments of the network.

    Raises
    ------
    InputError
        For an unknown architecture or argument (names what exists).
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed every GPU
        network = _make(architecture, window, n_tasks, arguments)
        if architecture in USER_FILES:
            check_contract(network, architecture, window=window, n_tasks=n_tasks)
        return Model(network, motifs, link)


def tensor_shapes(
    architecture: Architecture, *, window: int, n_tasks: int, widths: Sequence[int], bags: int,
    folds: int,
) -> dict[str, tuple[int, ...]] | None:  # fmt: skip
    """Shape of every tensor that a model would have, without the memory for any of them.

    None where a user's own network cannot be built so.
    """
    with torch.device("meta"):
        try:
            network = _make(architecture.name, window, n_tasks, architecture.arguments)
        except InputError:
            if architecture.name in USER_FILES:
                return None
            raise
        model = Model(network, MotifFeatures(widths, bags, folds) if widths else None)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _make(architecture: str, window: int, n_tasks: int, arguments: dict[str, Any]) -> nn.Module:
    factory = factory_of(architecture, arguments)
    failures = Exception if architecture in USER_FILES else (TypeError, ValueError, RuntimeError)
    try:
        return factory(window=window, n_tasks=n_tasks, **arguments)
    except InputError:
        raise
    except failures as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{architecture}: cannot be built for {window} bp: {reason}") from error


def factory_of(architecture: str, arguments: Iterable[str]) -> Callable[..., nn.Module]:
    """Find what builds an architecture; refuse unknown names of it or of its arguments."""
    if architecture in USER_FILES:
        factory = USER_FILES[architecture].factory
    elif architecture in ARCHITECTURES:
        factory = ARCHITECTURES[architecture]
    elif architecture in CHEAP:
        factory = CHEAP[architecture]
    else:
        known = ARCHITECTURES.keys() | USER_FILES.keys()
        raise InputError(
            f"no architecture {architecture!r}; {nearest(architecture, known)} "
            "(or your own, FILE.py:CLASS)"
        )
    known = set(inspect.signature(factory).parameters) - {"window", "n_tasks"}
    for name in arguments:
        if name not in known:
            raise InputError(
                f"architecture {architecture!r} has no argument {name!r}; {nearest(name, known)}"
            )
    return factory


def list_architectures(
    *, window: int, n_tasks: int, files: Iterable[str] = ()
) -> dict[str, int | None]:
    """Trainable parameters of each architecture; None where the window is too short for it.

    Parameters
    ----------
    files : iterable of str
        ``FILE.py:CLASS`` of networks to list too.

    Raises
    ------
    InputError
        When one of ``files`` is not usable.
    """
    sizes: dict[str, int | None] = {}
    own = [register_architecture(spec) for spec in files]
    for name in (*ARCHITECTURES, *own):
        try:
            model = build_model(name, window=window, n_tasks=n_tasks, seed=0)
        except InputError:
            if name in own:
                raise
            sizes[name] = None
        else:
            sizes[name] = parameter_count(model)
    return sizes


def parameter_count(model: nn.Module) -> int:
    """Number of trainable parameters (buffers not counted)."""
    return sum(parameter.numel() for parameter in model.parameters())


def read_arguments(architecture: str, pairs: Iterable[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` pairs into arguments of `build_model`.

    A value has the type of the argument's default (of its annotation where there is none): a
    number, text, ``true`` or ``false``, or a comma list for a sequence.

    Parameters
    ----------
    architecture : str
        A name, or ``FILE.py:CLASS``.

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
