"""A user's own network, a class in a Python file: ``mynet.py:MyNet``."""

from __future__ import annotations

import hashlib
import inspect
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from cistransfer.errors import InputError, nearest

__all__ = ["UserFile", "check_contract", "is_file_spec", "read_user_file"]

_CONTRACT = (
    "a network needs 'features(x)', which maps one-hot (n, 4, window) to (n, k), and 'head', a "
    "torch.nn.Linear(k, n_tasks) that reads them"
)


@dataclass(frozen=True)
class UserFile:
    """A class that was read from a file.

    Attributes
    ----------
    name : str
        ``mynet.py:MyNet``, without folders: what a bundle's card records.
    path : Path
        The file that was read.
    sha256 : str
        Of the bytes that were run.
    """

    name: str
    path: Path
    sha256: str
    factory: Callable[..., nn.Module]


def is_file_spec(architecture: str) -> bool:
    """Whether an architecture is written as ``FILE.py:CLASS``."""
    return architecture.rpartition(":")[0].endswith(".py")


def read_user_file(spec: str) -> UserFile:
    """Run a Python file that the user names and take a class from it.

    The hash is that of the very bytes that are run. The file should stand alone: what it imports
    from other files of the user's is neither hashed nor found.

    Parameters
    ----------
    spec : str
        ``path/to/mynet.py:MyNet``.

    Raises
    ------
    InputError
        When the file cannot be read or run, or has no such class, or the class is no
        `torch.nn.Module` that takes ``window`` and ``n_tasks``.
    """
    file, _, wanted = spec.rpartition(":")
    path = Path(file)
    try:
        source = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from error
    digest = hashlib.sha256(source).hexdigest()
    module = types.ModuleType(f"cistransfer_user_{digest}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and type hints look here
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except Exception as error:
        del sys.modules[module.__name__]
        line = error.lineno if isinstance(error, SyntaxError) else _line(error, str(path))
        where = f"{path}, line {line}" if line else str(path)
        raise InputError(f"{where}: {_say(error)}") from error
    own = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    }
    if wanted not in own:
        raise InputError(f"{path}: no class {wanted!r}; {nearest(wanted, own)}")
    factory = own[wanted]
    if not issubclass(factory, nn.Module):
        raise InputError(f"{path}: {wanted} must be a torch.nn.Module")
    parameters = inspect.signature(factory).parameters
    for argument in ("window", "n_tasks"):
        if argument not in parameters:
            raise InputError(
                f"{path}: {wanted}.__init__ must take 'window' (bp) and 'n_tasks' (number of "
                f"outputs); it has no {argument!r}"
            )
    return UserFile(f"{path.name}:{wanted}", path, digest, factory)


def check_contract(model: nn.Module, name: str, *, window: int, n_tasks: int) -> None:
    """Refuse a network that the rest of the package could not train, cut or score.

    Raises
    ------
    InputError
        When ``features`` or a linear ``head`` is missing, when shapes are wrong, or when
        ``model(x)`` is not ``head(features(x))``.
    """
    head = getattr(model, "head", None)
    if not callable(getattr(model, "features", None)) or not isinstance(head, nn.Linear):
        raise InputError(f"{name}: {_CONTRACT}")
    if head.out_features != n_tasks:
        raise InputError(f"{name}: the head has {head.out_features} outputs, expected {n_tasks}")
    modes = [(module, module.training) for module in model.modules()]
    x = torch.eye(4)[torch.arange(2 * window).reshape(2, window) * 7 % 4].permute(0, 2, 1)
    model.eval()
    try:
        with torch.inference_mode():
            features = model.features(x)  # type: ignore[operator]
            logits = model(x)
    except Exception as error:
        raise InputError(
            f"{name}: a batch of shape {tuple(x.shape)} fails: {_say(error)}"
        ) from error
    finally:
        for module, mode in modes:
            module.training = mode
    for what, tensor, shape in (
        ("features(x)", features, (2, head.in_features)),
        ("the output", logits, (2, n_tasks)),
    ):
        found = tuple(tensor.shape) if isinstance(tensor, torch.Tensor) else type(tensor).__name__
        if found != shape:
            raise InputError(
                f"{name}: {what} of a batch of shape {tuple(x.shape)} must have shape {shape}, "
                f"found {found}"
            )
    with torch.inference_mode():
        if not torch.allclose(head(features), logits, rtol=1e-4, atol=1e-5):
            raise InputError(f"{name}: the output must be head(features(x)), as logits")


def _line(error: BaseException, path: str) -> int | None:
    """The last line of the user's file that an error passed through."""
    line, at = None, error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == path:
            line = at.tb_lineno
        at = at.tb_next
    return line


def _say(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
