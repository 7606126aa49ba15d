"""Layers of other programs' files: Keras (``.h5``, ``.keras``) and PyTorch (``.pt``).

Nothing of the file is run: Keras files are read as HDF5, PyTorch's with ``weights_only``. What a
file claims to hold is compared with its size before it is read.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from cistransfer import cpus
from cistransfer.errors import InputError, MachineError, shown
from cistransfer.storage import ZIP_DAMAGE, parse_json

__all__ = ["Layer", "read_keras_layers", "read_torch_layers"]

PathLike = str | os.PathLike[str]
Array = NDArray[np.float32]

_DAMAGE = (
    *(OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError),
    *(EOFError, MemoryError, OverflowError, AssertionError, struct.error, pickle.UnpicklingError),
)
"""What h5py and torch raise on damaged files."""
_UNFOLDS = 20
"""How many times its size a file's weights may take: they hardly shrink."""
_SMALL = 1 << 26
_TEXTS = (b"model_config", b"layer_names", b"weight_names")


@dataclass(frozen=True)
class Layer:
    """One layer of a file, its tensors laid out as PyTorch lays them out.

    Attributes
    ----------
    name : str
        In the file.
    kind : {"conv", "norm", "linear", "lstm"}
    tensors : mapping of str to array
        By their names in PyTorch.
    padding : str or None
        Of a convolution, where the file says it: ``valid`` or ``same``.
    epsilon : float or None
        Of a batch norm, where the file says it.
    """

    name: str
    kind: str
    tensors: Mapping[str, Array] = field(repr=False)
    padding: str | None = None
    epsilon: float | None = None


# Keras -------------------------------------------------------------------------------------------


def read_keras_layers(path: PathLike) -> list[Layer]:
    """Layers of a Keras file in their order: ``.h5`` (model or weights), or ``.keras``.

    Raises
    ------
    InputError
        When it is none, is damaged, or holds a layer of a kind that none of our networks has.
    MachineError
        When the process that read it was killed.
    """
    try:
        return cpus.elsewhere(_layers_of_keras, path)
    except cpus.BrokenDownError as error:
        if error.killed:
            raise MachineError(f"{path}: the process that read it was killed (memory?)") from error
        raise InputError(
            f"{path}: damaged: the library that reads HDF5 broke down on it"
        ) from error


def _layers_of_keras(path: PathLike) -> list[Layer]:
    """As above, in a process of its own, for HDF5 does not survive every damage."""
    try:
        if zipfile.is_zipfile(path):
            return list(_keras3(path))
        with (
            open(path, "rb") as handle,
            mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as raw,
        ):
            _check_texts(raw, path)
        with h5py.File(path, "r", locking=False) as file:
            return list(_keras2(file, path))
    except InputError:
        raise
    except (*_DAMAGE, *ZIP_DAMAGE) as error:
        raise InputError(f"{path}: damaged, or no Keras file: {shown(error)}") from error


def _keras2(file: h5py.File, path: PathLike) -> Iterator[Layer]:
    root = file.get("model_weights", file)
    if "layer_names" not in root.attrs:
        raise InputError(f"{path}: expected a Keras model or its weights, found another HDF5 file")
    configs = {}
    if "model_config" in file.attrs:
        configs = _configs(parse_json(_text(file.attrs["model_config"]), f"{path}: model_config"))
    for name in map(_text, root.attrs["layer_names"]):
        group = root[name]
        names = [_text(each) for each in group.attrs["weight_names"]]
        arrays = {each.rpartition("/")[2].partition(":")[0]: group[each] for each in names}
        ways = {
            ("backward" if "backward" in each else "forward") + "/" + each.rpartition("/")[2]: each
            for each in names
        }
        found = {key: _numbers(group[each], path) for key, each in ways.items()}
        if found:
            plain = {key.partition("/")[2].partition(":")[0]: each for key, each in found.items()}
            yield _keras_layer(name, plain, found, list(arrays), configs.get(name, {}), path)


def _keras3(path: PathLike) -> Iterator[Layer]:
    """The archive of Keras 3: a configuration, and weights under names made from the classes."""
    with zipfile.ZipFile(path) as archive:
        if not {"config.json", "model.weights.h5"} <= set(archive.namelist()):
            raise InputError(f"{path}: expected a .keras file, found another zip")
        _check_size(path, archive)
        config = parse_json(archive.read("config.json").decode(), f"{path}: config.json")
        weights = archive.read("model.weights.h5")
    _check_texts(weights, path)
    counts: dict[str, int] = {}
    with h5py.File(io.BytesIO(weights), "r") as file:
        for each in config["config"]["layers"]:
            stem = _snake(str(each["class_name"]))
            number = counts.get(stem, 0)
            counts[stem] = number + 1
            place = f"layers/{stem}" + (f"_{number}" if number else "")
            if place not in file:
                continue
            own = each.get("config", {})
            found = _vars(file[place], own, path)
            if found:
                plain = {key.partition("/")[2]: value for key, value in found.items()}
                name = str(own.get("name", place))
                yield _keras_layer(name, plain, found, list(plain), _config_of(own), path)


def _vars(group: h5py.Group, config: Mapping[str, Any], path: PathLike) -> dict[str, Array]:
    """Tensors of a layer of Keras 3 under the names that Keras 2 gave them."""
    if "forward_layer" in group:
        parts = ("kernel", "recurrent_kernel", "bias")
        return {
            f"{way}/{part}": _numbers(group[f"{way}_layer/cell/vars/{i}"], path)
            for way in ("forward", "backward")
            for i, part in enumerate(parts)
        }
    if "vars" not in group:
        return {}
    arrays = [_numbers(group["vars"][str(i)], path) for i in range(len(group["vars"]))]
    norm = ("gamma", "beta", "moving_mean", "moving_variance")
    names = norm if "epsilon" in config else ("kernel", "bias")
    return {f"forward/{name}": each for name, each in zip(names, arrays, strict=False)}


def _check_size(path: PathLike, archive: zipfile.ZipFile) -> None:
    """Refuse a zip that would unfold: weights hardly shrink."""
    unfolded = sum(info.file_size for info in archive.infolist())
    if unfolded > _most(path):
        raise InputError(f"{path}: unpacks to {unfolded:,} bytes, more than a model can")


def _most(path: PathLike) -> int:
    return max(_UNFOLDS * os.stat(path).st_size, _SMALL)


def _check_texts(raw: bytes | mmap.mmap, path: PathLike) -> None:
    """Refuse a text that says it is longer than its file, for which HDF5 would make room first.

    Attributes of texts of any length hold, for each, its length, an address and a number (16
    bytes). They stand behind the attribute's name, type and shape, each in 8 bytes or more in
    version 1 (https://docs.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html, IV.A.2.m). Nor may
    a text of a heap in which they lie (III.E) reach behind it: HDF5 would go round for ever.
    """
    for heap in re.finditer(b"GCOL\1\0\0\0", raw):
        at = heap.start() + 16
        end = heap.start() + int.from_bytes(raw[at - 8 : at], "little")
        while at + 16 <= end <= len(raw):
            size = int.from_bytes(raw[at + 8 : at + 16], "little")
            is_text = raw[at : at + 2] != b"\0\0"  # else a free place, of that size with its head
            at += 16 + -(-size // 8) * 8 if is_text else size or len(raw)
        if not at <= end <= len(raw):
            raise InputError(f"{path}: damaged: a heap of texts at byte {heap.start():,}")
    for name in _TEXTS:
        for found in re.finditer(name + b"\0", raw):
            for version, before, pad in ((1, 8, 8), (2, 8, 1), (3, 9, 1)):
                head = raw[found.start() - before : found.start()]
                if len(head) < before or head[0] != version:
                    continue
                sizes = struct.unpack("<3H", head[2:8])
                if sizes[0] != len(name) + 1:
                    continue
                kind, shape, data = np.cumsum([-(-size // pad) * pad for size in sizes])
                kind, shape, data = (int(at) + found.start() for at in (kind, shape, data))
                if raw[kind : kind + 1] and raw[kind] & 15 == 9:  # of any length
                    rank = raw[shape + 1] if shape + 1 < len(raw) else 0
                    dims = shape + (8 if raw[shape : shape + 1] == b"\1" else 4)
                    if rank > 1:
                        raise InputError(f"{path}: {name.decode()} has {rank} dimensions")
                    (n,) = struct.unpack("<Q", raw[dims : dims + 8]) if rank else (1,)
                    if 16 * n > len(raw):
                        raise InputError(f"{path}: {name.decode()} has {n:,} texts")
                    lengths = [raw[data + 16 * i : data + 16 * i + 4] for i in range(n)]
                    longest = max((int.from_bytes(each, "little") for each in lengths), default=0)
                    if longest > len(raw):
                        raise InputError(
                            f"{path}: {name.decode()} says that it has {longest:,} letters, the "
                            f"file has {len(raw):,}"
                        )


def _snake(name: str) -> str:
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _configs(config: Any) -> dict[str, dict[str, Any]]:
    inner = config["config"]
    layers = inner if isinstance(inner, list) else inner["layers"]
    return {str(each["config"]["name"]): _config_of(each["config"]) for each in layers}


def _config_of(config: Mapping[str, Any]) -> dict[str, Any]:
    known = ("padding", "epsilon", "use_bias", "strides", "dilation_rate", "scale", "center")
    return {key: config[key] for key in known if key in config}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _numbers(dataset: Any, path: PathLike) -> Array:
    if dataset.dtype.kind not in "iuf":  # before anything of it is read
        raise InputError(f"{path}: {shown(dataset.name)} holds {dataset.dtype}, no real numbers")
    if dataset.nbytes > _most(path):
        raise InputError(f"{path}: {shown(dataset.name)} claims {dataset.nbytes:,} bytes")
    return _single(dataset[()], dataset.name, path)


def _single(values: Any, name: str, path: PathLike) -> Array:
    """Numbers as float32; one that is not finite there is refused, not made infinite."""
    found = np.asarray(values)
    if found.dtype.kind not in "iuf":
        raise InputError(f"{path}: {shown(name)} holds {found.dtype}, no real numbers")
    with np.errstate(over="ignore"):
        single = found.astype(np.float32)
    if not np.isfinite(single).all():
        raise InputError(f"{path}: {shown(name)} holds a number that is none in single precision")
    return single


def _keras_layer(
    name: str,
    plain: Mapping[str, Array],
    found: Mapping[str, Array],
    order: Sequence[str],
    config: Mapping[str, Any],
    path: PathLike,
) -> Layer:
    if "moving_mean" in plain:
        ones = np.ones_like(plain["moving_mean"])
        tensors = {
            "weight": plain.get("gamma", ones),
            "bias": plain.get("beta", 0 * ones),
            "running_mean": plain["moving_mean"],
            "running_var": plain["moving_variance"],
        }
        return Layer(name, "norm", tensors, epsilon=config.get("epsilon"))
    if "recurrent_kernel" in plain:
        if len(found) != 6:
            raise InputError(f"{path}: {name} is no LSTM in both directions")
        tensors = {}
        for way, end in (("forward", ""), ("backward", "_reverse")):
            parts = {key.partition("/")[2].partition(":")[0]: each for key, each in found.items()
                     if key.startswith(way)}  # fmt: skip
            tensors[f"weight_ih_l0{end}"] = parts["kernel"].T  # gates i, f, g, o as PyTorch has
            tensors[f"weight_hh_l0{end}"] = parts["recurrent_kernel"].T
            tensors[f"bias_ih_l0{end}"] = parts["bias"]
            tensors[f"bias_hh_l0{end}"] = 0 * parts["bias"]
        return Layer(name, "lstm", tensors)
    kernel = plain.get("kernel")
    if kernel is None or kernel.ndim not in (2, 3):
        raise InputError(f"{path}: layer {name} ({', '.join(order)}) is of a kind not known here")
    for key in ("strides", "dilation_rate"):
        if set(np.ravel(config.get(key, 1)).tolist()) != {1}:
            raise InputError(f"{path}: {name} has {key} {config[key]}; our networks have 1")
    bias = plain.get("bias", np.zeros(kernel.shape[-1], np.float32))
    if kernel.ndim == 3:  # (width, inputs, filters)
        weight = np.ascontiguousarray(kernel.transpose(2, 1, 0))
        return Layer(name, "conv", {"weight": weight, "bias": bias}, padding=config.get("padding"))
    return Layer(name, "linear", {"weight": np.ascontiguousarray(kernel.T), "bias": bias})


# PyTorch -----------------------------------------------------------------------------------------


def read_torch_layers(path: PathLike) -> list[Layer]:
    """Layers of a PyTorch file in their order: a state dict, or a checkpoint that holds one.

    Raises
    ------
    InputError
        When it is none, is damaged, or holds more than tensors (``weights_only``).
    """
    try:
        if not zipfile.is_zipfile(path):
            raise InputError(f"{path}: expected a file of torch.save (PyTorch 1.6 or later)")
        with zipfile.ZipFile(path) as archive:
            _check_size(path, archive)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (*_DAMAGE, *ZIP_DAMAGE) as error:
        why = "it holds more than tensors" if isinstance(error, pickle.UnpicklingError) else ""
        raise InputError(
            f"{path}: damaged, or no PyTorch file of weights: {why or shown(error)}"
        ) from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(
        isinstance(each, torch.Tensor) for each in content.values()
    ):
        raise InputError(f"{path}: expected a state dict (tensors by name), found something else")
    groups: dict[str, dict[str, Array]] = {}
    for name, tensor in content.items():
        layer, _, part = str(name).rpartition(".")
        if part != "num_batches_tracked":
            if tensor.layout != torch.strided or tensor.nbytes > _most(path):
                raise InputError(f"{path}: {shown(name)} is no dense tensor of a usual size")
            plain = tensor.detach()
            if plain.dtype == torch.bfloat16:  # numpy has none
                plain = plain.float()
            groups.setdefault(layer, {})[part] = _single(plain.numpy(), str(name), path)
    return [_torch_layer(name, each, path) for name, each in groups.items()]


def _torch_layer(name: str, tensors: dict[str, Array], path: PathLike) -> Layer:
    if "running_mean" in tensors:
        ones = np.ones_like(tensors["running_mean"])
        return Layer(name, "norm", {"weight": ones, "bias": 0 * ones, **tensors})
    if any(part.startswith("weight_hh") for part in tensors):
        return Layer(name, "lstm", tensors)
    weight = tensors.get("weight")
    if weight is None or weight.ndim not in (2, 3, 4):
        raise InputError(f"{path}: layer {shown(name)} is of a kind not known here")
    kind = "linear" if weight.ndim == 2 else "conv"
    if weight.ndim == 4:  # of two dimensions with one that is 1
        weight = weight.squeeze(2 if weight.shape[2] == 1 else 3)
        if weight.ndim != 3:
            raise InputError(f"{path}: {shown(name)} convolves in two dimensions")
    bias = tensors.get("bias", np.zeros(len(weight), np.float32))
    return Layer(name, kind, {"weight": weight, "bias": bias})
