"""Architectures by name, and the one function that replaces a head."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cistransfer.errors import InputError, nearest
from cistransfer.models.chromtransfer import ChromTransfer
from cistransfer.models.cnn import CNN
from cistransfer.models.danq import DanQ
from cistransfer.models.exclusive import Exclusive
from cistransfer.models.motif_features import WithMotifs
from cistransfer.models.user_file import UserFile, check_contract, is_file_spec, read_user_file

__all__ = [
    "ARCHITECTURES",
    "USER_FILES",
    "WRAPPERS",
    "build_model",
    "check_design",
    "describe_design",
    "factory_of",
    "list_architectures",
    "parameter_count",
    "register_architecture",
    "replace_head",
]


def _with_motifs(
    window: int,
    n_tasks: int,
    base: dict[str, Any] | None = None,
    widths: Sequence[int] = (),
    bags: int = 0,
    folds: int = 0,
) -> nn.Module:
    """Build `WithMotifs` around another architecture (``{"name": …, "arguments": {…}}``)."""
    design = base or {"name": "cnn", "arguments": {}}
    inner = _make(design["name"], window, n_tasks, design["arguments"])
    return WithMotifs(inner, n_tasks, widths, bags, folds)


def _exclusive(window: int, n_tasks: int, base: dict[str, Any] | None = None) -> nn.Module:
    """Build `Exclusive` around another architecture."""
    design = base or {"name": "cnn", "arguments": {}}
    return Exclusive(_make(design["name"], window, n_tasks, design["arguments"]), n_tasks)


ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "cnn": CNN,
    "danq": DanQ,
    "chromtransfer": ChromTransfer,
    "with-motifs": _with_motifs,
    "exclusive": _exclusive,
}
"""Name → class. A class takes ``window``, ``n_tasks`` and keyword arguments with defaults, maps
one-hot ``(n, 4, window)`` to logits ``(n, n_tasks)``, and has ``features(x)`` and a linear
``head`` that reads them. Modules are named ``conv1`` …, ``lstm1`` …, ``dense1`` …, ``head``, so
that one strategy fits every architecture."""

WRAPPERS = ("with-motifs", "exclusive")
"""Architectures around another one (argument ``base``); strategies make them, users do not."""

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


def describe_design(architecture: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What a card records of an architecture: name, arguments and, of a user's file, its hash.

    A ``FILE.py:CLASS`` that exists is read (again); else it must be the name of a registered one.
    """
    if not is_file_spec(architecture):
        return {"name": architecture, "arguments": arguments}
    name = architecture
    if architecture not in USER_FILES or Path(architecture.rpartition(":")[0]).exists():
        name = register_architecture(architecture)
    return {"name": name, "arguments": arguments, "sha256": USER_FILES[name].sha256}


def check_design(design: dict[str, Any], where: str) -> None:
    """Refuse a card's architecture that needs a user's file which is not here, or has changed.

    Nothing is run: the file must have been registered before.
    """
    name, arguments = design.get("name"), design.get("arguments")
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise InputError(f"{where}: expected an architecture's name and arguments, found {design}")
    if name in WRAPPERS and isinstance(arguments.get("base"), dict):
        check_design(arguments["base"], where)
    if not is_file_spec(name):
        return
    file, _, wanted = name.rpartition(":")
    if name not in USER_FILES:
        raise InputError(
            f"{where}: its network is the class {wanted!r} of your file {file}, which is not part "
            f"of the bundle; name the file: --architecture path/to/{name} (in Python "
            f"register_architecture('path/to/{name}'))"
        )
    if USER_FILES[name].sha256 != design.get("sha256"):
        raise InputError(
            f"{where}: its network was made from another version of {file} than "
            f"{USER_FILES[name].path}; name the file as it was (sha256 {design.get('sha256')})"
        )


def build_model(
    architecture: str, *, window: int, n_tasks: int, seed: int, **arguments: Any
) -> nn.Module:
    """Build an architecture with initial weights that depend on the seed alone.

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
    **arguments
        Further arguments of the architecture.

    Raises
    ------
    InputError
        For an unknown architecture or argument (names what exists).
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed every GPU
        return _make(architecture, window, n_tasks, arguments)


def _make(architecture: str, window: int, n_tasks: int, arguments: dict[str, Any]) -> nn.Module:
    factory = factory_of(architecture, arguments)
    if architecture not in USER_FILES:
        return factory(window=window, n_tasks=n_tasks, **arguments)
    try:
        model = factory(window=window, n_tasks=n_tasks, **arguments)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{architecture}: cannot be built for {window} bp: {reason}") from error
    check_contract(model, architecture, window=window, n_tasks=n_tasks)
    return model


def factory_of(architecture: str, arguments: Iterable[str]) -> Callable[..., nn.Module]:
    """Find what builds an architecture; refuse unknown names of it or of its arguments."""
    if architecture in USER_FILES:
        factory = USER_FILES[architecture].factory
    elif architecture in ARCHITECTURES:
        factory = ARCHITECTURES[architecture]
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
    window, n_tasks : int
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
        if name in WRAPPERS:
            continue
        try:
            model = build_model(name, window=window, n_tasks=n_tasks, seed=0)
        except InputError:
            if name in own:
                raise
            sizes[name] = None
        else:
            sizes[name] = parameter_count(model)
    return sizes


def replace_head(model: nn.Module, n_tasks: int, seed: int) -> nn.Module:
    """Return a copy of a model whose head is fresh and has ``n_tasks`` outputs.

    Every other tensor, batch-norm statistics included, is equal to the original's. The new linear
    layer has PyTorch's default initialisation under ``seed``.
    """
    changed = copy.deepcopy(model)
    head = changed.head
    if not isinstance(head, nn.Linear):
        raise InputError(f"the model's head must be a linear layer, found {type(head).__name__}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        fresh = nn.Linear(head.in_features, n_tasks)
    changed.head = fresh.to(head.weight).train(head.training)
    return changed


def parameter_count(model: nn.Module) -> int:
    """Number of trainable parameters (buffers not counted)."""
    return sum(parameter.numel() for parameter in model.parameters())
