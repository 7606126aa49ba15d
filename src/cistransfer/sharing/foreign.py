"""Weights from other programs: Keras (``.h5``, ``.keras``) and PyTorch (``.pt``) files.

Nothing of the file is run: Keras files are read as HDF5, PyTorch's with ``weights_only``. Layers
are matched in their order, by kind and shape, with those of one of our networks; what does not fit
is refused. Which layer became which is told.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from cistransfer.errors import InputError, shown
from cistransfer.models.bundle import Bundle, open_bundle, save_bundle
from cistransfer.models.card import Architecture
from cistransfer.models.registry import build_model
from cistransfer.storage import ZIP_DAMAGE, fingerprint, parse_json

__all__ = ["Layer", "import_network", "read_keras_layers", "read_torch_layers"]

PathLike = str | os.PathLike[str]
Array = NDArray[np.float32]

_DAMAGE = (
    *(OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError),
    *(EOFError, MemoryError, OverflowError, AssertionError, struct.error, pickle.UnpicklingError),
)
"""What h5py and torch raise on damaged files."""
_MOST = 1 << 29  # numbers of one file
_EPSILON = {"keras": 1e-3, "torch": 1e-5}


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
    """
    try:
        if zipfile.is_zipfile(path):
            return list(_keras3(path))
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
    if unfolded > max(20 * os.stat(path).st_size, 1 << 26):
        raise InputError(f"{path}: unpacks to {unfolded:,} bytes, more than a model can")


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
    if dataset.size > _MOST:
        raise InputError(f"{path}: {dataset.name} claims {dataset.size:,} numbers")
    return _single(dataset[()], dataset.name, path)


def _single(values: Any, name: str, path: PathLike) -> Array:
    """Numbers as float32; one that is not finite there is refused, not made infinite."""
    found = np.asarray(values)
    if found.dtype.kind not in "iuf":
        raise InputError(f"{path}: {shown(name)} holds {found.dtype}, no real numbers")
    most = np.finfo(np.float32).max
    if not (np.abs(found, dtype=np.float64) <= most).all():
        raise InputError(f"{path}: {shown(name)} holds a number that is none in single precision")
    return found.astype(np.float32)


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
            if tensor.layout != torch.strided or tensor.numel() > _MOST:
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


# Into one of our networks ------------------------------------------------------------------------


def import_network(
    path: PathLike,
    out: PathLike,
    *,
    architecture: str,
    tasks: Sequence[str],
    window: int,
    seen: pd.DataFrame,
    assembly: str,
    alphabet: str = "ACGT",
    epsilon: float | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> tuple[Bundle, list[tuple[str, str]]]:
    """Make a bundle of a network that another program trained.

    Parameters
    ----------
    path : path
        ``.h5`` or ``.keras``; ``.pt``, ``.pth`` or ``.ckpt``. Told by content.
    out : path
        The bundle's folder.
    architecture : str
        Whose layers it has: a name of `cistransfer.models.registry.ARCHITECTURES`.
    tasks : sequence of str
        Names of the outputs, in their order.
    window : int
        In bp.
    seen : DataFrame
        Regions that it was trained and validated on: what the leakage guard reads. Where they are
        not known, whole chromosomes: then nothing on them is held out from it.
    assembly : str
        Of these regions.
    alphabet : str
        Order of the bases in its one-hot, the four letters.
    epsilon : float, optional
        Of batch norms, where the file does not say [default: Keras' 0.001, PyTorch's 0.00001].
    arguments : mapping, optional
        Of the network (order, variant, dense …).

    Returns
    -------
    bundle : Bundle
    matched : list of (str, str)
        Layer of the file, layer of ours.

    Raises
    ------
    InputError
        When a layer lacks, is left over or has another shape or padding.
    """
    if sorted(alphabet) != sorted("ACGT"):
        raise InputError(f"alphabet: expected the letters ACGT in some order, found {alphabet!r}")
    if not len(seen):
        raise InputError("seen: expected regions that it was trained on, found none")
    keras = _is_keras(path)
    layers = read_keras_layers(path) if keras else read_torch_layers(path)
    model = build_model(
        architecture, window=window, n_tasks=len(tasks), seed=0, **(arguments or {})
    )
    slots = list(_slots(model.network))
    covered = {f"{name}.{part}" for name, module in slots for part in module.state_dict()}
    if covered != model.state_dict().keys():
        raise InputError(f"weights of {architecture!r} with these arguments cannot be imported")
    matched = _match(path, layers, slots)
    first_linear = next(name for name, each in slots if isinstance(each, nn.Linear))
    first_conv = next(name for name, each in slots if isinstance(each, nn.Conv1d))
    usual = _EPSILON["keras" if keras else "torch"] if epsilon is None else epsilon
    channels = _channels_before(slots, first_linear)
    state = dict(model.state_dict())
    for layer, (name, module) in matched:
        tensors = dict(layer.tensors)
        if name == first_conv:
            order = [alphabet.index(base) for base in "ACGT"]
            tensors["weight"] = tensors["weight"][:, order]
        if keras and name == first_linear and channels is not None:  # flattened the other way
            weight = tensors["weight"]
            length = weight.shape[1] // channels
            turned = weight.reshape(len(weight), length, channels).transpose(0, 2, 1)
            tensors["weight"] = turned.reshape(len(weight), -1)
        if layer.kind == "norm":
            its_own = usual if layer.epsilon is None else float(layer.epsilon)
            tensors["running_var"] = tensors["running_var"] + np.float32(its_own - module.eps)
        _check_padding(path, layer, module)
        for part, values in tensors.items():
            state[f"{name}.{part}"] = torch.from_numpy(np.ascontiguousarray(values))
    model.load_state_dict(state)
    rng = np.random.default_rng(0)
    table = seen[["chrom", "start", "end"]].assign(part="train")
    save_bundle(
        out,
        model.eval(),
        architecture=Architecture(name=architecture, arguments=dict(arguments or {})),
        tasks=tasks,
        window=window,
        regions=table,
        example=rng.integers(0, 4, (4, window), dtype=np.uint8),
        facts={
            "assembly": assembly,
            "strategy": {"name": "imported", "summary": f"Weights of {Path(path).name}"},
            "imported": {
                "file": Path(path).name,
                "sha256": fingerprint(path),
                "alphabet": alphabet,
                "layers": [[layer.name, name] for layer, (name, _) in matched],
            },
        },
    )
    return open_bundle(out), [(layer.name, name) for layer, (name, _) in matched]


def _is_keras(path: PathLike) -> bool:
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file")
    if h5py.is_hdf5(path):
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return "model.weights.h5" in archive.namelist()
    except ZIP_DAMAGE:
        return False


Slot = tuple[str, Any]


def _slots(network: nn.Module) -> Iterator[Slot]:
    """Layers with weights, in the order in which they were made."""
    kinds = (nn.Conv1d, nn.Linear, nn.LSTM, nn.modules.batchnorm._BatchNorm)
    for name, module in network.named_modules():
        if isinstance(module, kinds):
            yield name, module


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.Conv1d):
        return "conv"
    if isinstance(module, nn.LSTM):
        return "lstm"
    return "linear" if isinstance(module, nn.Linear) else "norm"


def _shape(tensors: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(each.shape) for name, each in tensors.items() if name != "num_batches_tracked"
    }


def _match(
    path: PathLike, layers: Sequence[Layer], slots: Sequence[Slot]
) -> list[tuple[Layer, Slot]]:
    """Each kind in its own order: the next layer of the file has to have the next one's shapes."""
    found: dict[str, tuple[Layer, Slot]] = {}
    for kind in ("conv", "norm", "lstm", "linear"):
        theirs = [layer for layer in layers if layer.kind == kind]
        ours = [slot for slot in slots if _kind(slot[1]) == kind]
        if len(theirs) != len(ours):
            raise InputError(
                f"{path}: has {len(theirs)} {kind} layers, the architecture {len(ours)}"
            )
        for layer, (name, module) in zip(theirs, ours, strict=True):
            want, have = _shape(module.state_dict()), _shape(layer.tensors)
            if want != have:
                raise InputError(
                    f"{path}: {shown(layer.name)} should be {name} with {json.dumps(want)}, found "
                    f"{shown(json.dumps(have), 200)}"
                )
            found[name] = (layer, (name, module))
    return [found[name] for name, _ in slots]


def _channels_before(slots: Sequence[Slot], linear: str) -> int | None:
    """Channels of the convolution whose output the first dense layer reads flattened."""
    at = [name for name, _ in slots].index(linear)
    before = [module for _, module in slots[:at] if not isinstance(module, nn.BatchNorm2d)]
    last = before[-1]
    inputs = slots[at][1].in_features
    if not isinstance(last, nn.Conv1d) or inputs == last.out_channels:  # averaged over positions
        return None
    return int(last.out_channels)


def _check_padding(path: PathLike, layer: Layer, module: Any) -> None:
    if layer.padding is None or layer.kind != "conv":
        return
    ours = module.padding if isinstance(module.padding, str) else "valid"
    if layer.padding != ours:
        raise InputError(f"{path}: {layer.name} is padded {layer.padding!r}, ours {ours!r}")
