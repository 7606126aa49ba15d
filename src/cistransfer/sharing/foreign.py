"""Networks that other programs trained, as bundles.

Layers (`cistransfer.sharing.layers`) are matched in their order, by kind and shape, with those of
one of our networks; what does not fit is refused. Which layer became which is told.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch
from torch import nn

from cistransfer.errors import InputError, shown
from cistransfer.models.bundle import Bundle, open_bundle, save_bundle
from cistransfer.models.card import Architecture
from cistransfer.models.registry import build_model
from cistransfer.sharing.layers import Layer, read_keras_layers, read_torch_layers
from cistransfer.storage import ZIP_DAMAGE, fingerprint

__all__ = ["import_network"]

PathLike = str | os.PathLike[str]
_EPSILON = {"keras": 1e-3, "torch": 1e-5}


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
