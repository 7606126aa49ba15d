"""The one door for safetensors files, and the hash over tensors."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from cistransfer.errors import InputError, shown
from cistransfer.storage.reading import unreadable

__all__ = ["read_shapes", "read_tensors", "tensors_hash"]

PathLike = str | os.PathLike[str]

_DAMAGE = (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, AttributeError)
"""What safetensors and torch raise on a damaged file: unknown types, odd names, wrong sizes."""


@contextlib.contextmanager
def _opened(path: PathLike) -> Iterator[Any]:
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except OSError as error:
        raise unreadable(path, error) from error
    except _DAMAGE as error:
        raise InputError(f"{path}: damaged or no safetensors file: {shown(error)}") from error


def read_shapes(path: PathLike) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor in a file, by its header alone.

    Raises
    ------
    InputError
        When the file is missing or damaged.
    """
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def read_tensors(path: PathLike) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Every tensor of a file, and its metadata.

    Raises
    ------
    InputError
        When the file is missing or damaged.
    """
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        return tensors, dict(file.metadata() or {})


def tensors_hash(tensors: Mapping[str, Tensor]) -> str:
    """``sha256:…`` over every tensor's name, shape, type and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy().tobytes())
    return "sha256:" + digest.hexdigest()
