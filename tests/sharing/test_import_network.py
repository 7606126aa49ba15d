"""Networks of other programs score here as they do there: files in Keras' and PyTorch's layouts.

The files are written here as those libraries write them, and scored by a few lines of NumPy that
follow Keras' definitions.
"""

from __future__ import annotations

import fcntl
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

import cistransfer as ct
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.models.bundle import Bundle
from cistransfer.models.registry import build_model
from cistransfer.sharing.foreign import import_network

Array = NDArray[np.float64]
Weights = dict[str, dict[str, Array]]
SEEN = pd.DataFrame({"chrom": ["chr1"], "start": [0], "end": [1000]})
HOW: dict[str, Any] = {"tasks": ["A", "B"], "window": 100, "seen": SEEN, "assembly": "hg38"}
RNG = np.random.default_rng(0)


def _random(*shape: int) -> Array:
    return RNG.normal(0, 1.5 / np.sqrt(np.prod(shape[:-1])), shape).astype(np.float32).astype(float)


def _norm(n: int) -> dict[str, Array]:
    parts = ("gamma", "beta", "moving_mean", "moving_variance")
    return {name: RNG.uniform(0.01, 0.3, n).astype(np.float32).astype(float) for name in parts}


def _one_hot(words: list[str], alphabet: str) -> Array:
    return np.array([[[float(base == each) for each in alphabet] for base in w] for w in words])


# Keras' layers, as its documentation defines them -------------------------------------------------


def _conv(x: Array, layer: dict[str, Array]) -> Array:
    kernel = layer["kernel"]
    out = np.zeros((len(x), x.shape[1] - len(kernel) + 1, kernel.shape[2]))
    for at in range(out.shape[1]):
        out[:, at] = np.tensordot(x[:, at : at + len(kernel)], kernel, 2)
    return out + layer["bias"]


def _batch_norm(x: Array, layer: dict[str, Array], epsilon: float = 1e-3) -> Array:
    scaled = (x - layer["moving_mean"]) / np.sqrt(layer["moving_variance"] + epsilon)
    return scaled * layer["gamma"] + layer["beta"]


def _pool(x: Array, size: int) -> Array:
    steps = x.shape[1] // size
    return x[:, : steps * size].reshape(len(x), steps, size, -1).max(axis=2)


def _dense(x: Array, layer: dict[str, Array]) -> Array:
    return x @ layer["kernel"] + layer["bias"]


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _lstm(x: Array, layer: dict[str, Array], way: str) -> Array:
    kernel, recurrent, bias = (
        layer[f"{way}/{part}"] for part in ("kernel", "recurrent_kernel", "bias")
    )
    n = len(recurrent)
    h, c = np.zeros((len(x), n)), np.zeros((len(x), n))
    steps = range(x.shape[1]) if way == "forward" else reversed(range(x.shape[1]))
    out = np.zeros((len(x), x.shape[1], n))
    for step in steps:
        z = x[:, step] @ kernel + h @ recurrent + bias
        i, f, g, o = (z[:, k * n : (k + 1) * n] for k in range(4))
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
        out[:, step] = h
    return out


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)


def cnn_weights() -> Weights:
    found: Weights = {}
    for k, (n, width, inputs) in enumerate(((100, 19, 4), (200, 7, 100), (200, 4, 200))):
        found[f"conv1d_{k}"] = {"kernel": _random(width, inputs, n), "bias": _random(n)}
        found[f"norm_{k}"] = _norm(n)
    for k, inputs in enumerate((200, 1000)):
        found[f"dense_{k}"] = {"kernel": _random(inputs, 1000), "bias": _random(1000)}
        found[f"norm_{k + 3}"] = _norm(1000)
    found["logits"] = {"kernel": _random(1000, 2), "bias": _random(2)}
    return found


def cnn_weights_of(window: int) -> Weights:
    """The dense layer reads a window whose last convolution has several positions."""
    found, length = cnn_weights(), window
    for width in (19, 7, 4):
        length = (length - width + 1) // 3
    found["dense_0"]["kernel"] = _random(200 * length, 1000)
    return found


def cnn_scores(x: Array, weights: Weights) -> Array:
    for k in range(3):
        x = _pool(_relu(_batch_norm(_conv(x, weights[f"conv1d_{k}"]), weights[f"norm_{k}"])), 3)
    x = x.reshape(len(x), -1)
    for k in range(2):
        x = _relu(_batch_norm(_dense(x, weights[f"dense_{k}"]), weights[f"norm_{k + 3}"]))
    return _dense(x, weights["logits"])


def danq_weights() -> Weights:
    found: Weights = {"conv1d": {"kernel": _random(26, 4, 320), "bias": _random(320)}}
    for k, inputs in enumerate((320, 640)):
        found[f"bidirectional_{k}"] = {
            f"{way}/{part}": _random(*shape)
            for way in ("forward", "backward")
            for part, shape in (
                ("kernel", (inputs, 1280)), ("recurrent_kernel", (320, 1280)), ("bias", (1280,)),
            )
        }  # fmt: skip
    found["dense"] = {"kernel": _random(5 * 640, 925), "bias": _random(925)}
    found["logits"] = {"kernel": _random(925, 2), "bias": _random(2)}
    return found


def danq_scores(x: Array, weights: Weights) -> Array:
    x = _pool(_relu(_conv(x, weights["conv1d"])), 13)
    for k in range(2):
        layer = weights[f"bidirectional_{k}"]
        x = np.concatenate([_lstm(x, layer, "forward"), _lstm(x, layer, "backward")], axis=2)
    return _dense(_relu(_dense(x.reshape(len(x), -1), weights["dense"])), weights["logits"])


def write_keras2(path: Path, weights: Weights, config: dict[str, Any] | None = None) -> None:
    """As ``model.save("….h5")`` of Keras 2 writes it; without a config as ``save_weights``."""
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if config else file
        names = ["input", *weights, "dropout"]
        root.attrs["layer_names"] = [name.encode() for name in names]
        for name in names:
            group = root.create_group(name)
            written = []
            for part, values in weights.get(name, {}).items():
                way, _, own = part.rpartition("/")
                place = f"{name}/{way}_lstm/lstm_cell/{own}:0" if way else f"{name}/{own}:0"
                group[place] = values.astype(np.float32)
                written.append(place.encode())
            group.attrs["weight_names"] = written
        if config:
            file.attrs["model_config"] = json.dumps(config)


CLASSES = {"conv1d": "Conv1D", "norm": "BatchNormalization", "bidirectional": "Bidirectional",
           "dense": "Dense", "logits": "Dense"}  # fmt: skip


def config_of(weights: Weights, **of_convolutions: Any) -> dict[str, Any]:
    layers = []
    for name in weights:
        kind = CLASSES[name.split("_")[0]]
        more = of_convolutions if kind == "Conv1D" else {}
        more = {"epsilon": 1e-3} if kind == "BatchNormalization" else more
        layers.append({"class_name": kind, "config": {"name": name, **more}})
    return {"class_name": "Functional", "config": {"name": "m", "layers": layers}}


def write_keras3(path: Path, weights: Weights) -> None:
    """As ``model.save("….keras")`` of Keras 3 writes it."""
    counts: dict[str, int] = {}
    stems = {"Conv1D": "conv1d", "BatchNormalization": "batch_normalization", "Dense": "dense",
             "Bidirectional": "bidirectional"}  # fmt: skip
    stream = io.BytesIO()
    config = config_of(weights, padding="valid", strides=[1], dilation_rate=[1])
    with h5py.File(stream, "w") as file:
        for layer in config["config"]["layers"]:
            stem = stems[layer["class_name"]]
            number = counts.get(stem, 0)
            counts[stem] = number + 1
            place = f"layers/{stem}" + (f"_{number}" if number else "")
            order: dict[str, int] = {}
            for part, values in weights[layer["config"]["name"]].items():
                way = part.rpartition("/")[0]
                inner = f"{place}/{way}_layer/cell" if way else place
                file[f"{inner}/vars/{order.get(inner, 0)}"] = values.astype(np.float32)
                order[inner] = order.get(inner, 0) + 1
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", stream.getvalue())


def _compare(bundle: Bundle, words: list[str], expected: Array) -> None:
    found = bundle.score(words, strands="forward")
    assert np.abs(found - expected).max() < 1e-5 * max(1, np.abs(expected).max())
    assert expected.std(axis=0).min() > 0.003  # it does depend on the sequence


@pytest.mark.parametrize("alphabet", ["ACGT", "AGCT"])
def test_the_published_cnn_of_keras(alphabet: str, tmp_path: Path) -> None:
    """Several positions are flattened, so their order counts, and so does that of the bases.

    Read without a lock of the file: there are file systems that have none.
    """
    words = ["".join(row) for row in RNG.choice(list("ACGT"), (5, 150))]
    weights = cnn_weights_of(150)
    write_keras2(tmp_path / "m.h5", weights)
    how = {**HOW, "window": 150, "alphabet": alphabet, "architecture": "cnn"}
    with open(tmp_path / "m.h5", "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        bundle, matched = import_network(tmp_path / "m.h5", tmp_path / "b", **how)
    assert matched[:3] == [
        ("conv1d_0", "conv1.conv"), ("norm_0", "conv1.norm"), ("conv1d_1", "conv2.conv"),
    ]  # fmt: skip
    _compare(bundle, words, cnn_scores(_one_hot(words, alphabet), weights))
    assert bundle.regions()[["chrom", "start", "end"]].equals(SEEN)
    assert bundle.card.assembly == "hg38"


@pytest.mark.parametrize("form", ["weights", "model", "keras3"])
def test_danq_of_keras(form: str, words: list[str], tmp_path: Path) -> None:
    weights = danq_weights()
    if form == "keras3":
        write_keras3(tmp_path / "m", weights)
    else:
        config = config_of(weights, padding="valid", strides=[1], dilation_rate=[1])
        write_keras2(tmp_path / "m", weights, config if form == "model" else None)
    bundle, _ = import_network(tmp_path / "m", tmp_path / "b", architecture="danq", **HOW)
    _compare(bundle, words, danq_scores(_one_hot(words, "ACGT"), weights))


def _torch_file(path: Path, architecture: str, form: str) -> torch.nn.Module:
    """Weights under names of another program."""
    model = build_model(architecture, window=100, n_tasks=2, seed=3)
    for name, tensor in model.state_dict().items():
        if "running" in name:
            tensor += torch.rand(tensor.shape)
        elif tensor.dim() > 1 and architecture != "chromtransfer":
            tensor *= 4
    names = [name.rpartition(".") for name in model.state_dict()]
    layers = {
        layer: f"net.blocks.{k}" for k, layer in enumerate(dict.fromkeys(n[0] for n in names))
    }
    state = {
        f"{layers[layer]}.{part}": model.state_dict()[f"{layer}.{part}"] for layer, _, part in names
    }
    torch.save({"plain": state, "checkpoint": {"epoch": 3, "state_dict": state}}[form], path)
    return model.eval()


@pytest.mark.parametrize(
    ("architecture", "form"),
    [("cnn", "plain"), ("danq", "checkpoint"), ("chromtransfer", "checkpoint")],
)
def test_pytorch(architecture: str, form: str, words: list[str], tmp_path: Path) -> None:
    """The batch norms of these files have our own epsilon, which is said."""
    model = _torch_file(tmp_path / "m.pt", architecture, form)
    epsilon = 1e-3 if architecture == "chromtransfer" else None
    bundle, _ = import_network(
        tmp_path / "m.pt", tmp_path / "b", architecture=architecture, epsilon=epsilon, **HOW
    )
    x = torch.from_numpy(_one_hot(words, "ACGT")).float().permute(0, 2, 1)
    with torch.inference_mode():
        _compare(bundle, words, model(x).double().numpy())


def test_another_epsilon_is_made_good(tmp_path: Path, words: list[str]) -> None:
    model = _torch_file(tmp_path / "m.pt", "chromtransfer", "plain")
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eps = 1e-5
    bundle, _ = import_network(
        tmp_path / "m.pt", tmp_path / "b", architecture="chromtransfer", **HOW
    )
    x = torch.from_numpy(_one_hot(words, "ACGT")).float().permute(0, 2, 1)
    with torch.inference_mode():
        _compare(bundle, words, model(x).double().numpy())


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("1/0",)


def _of(weights: Callable[[], Weights], change: Callable[[Weights], object]) -> Weights:
    found = weights()
    change(found)
    return found


WRONG: dict[str, tuple[Callable[[Weights], object], dict[str, Any], str]] = {
    "a layer less": (lambda w: w.pop("dense_1"), {}, "has 2 linear layers, the architecture 3"),
    "other filters": (
        lambda w: w["conv1d_0"].update(kernel=_random(19, 4, 50), bias=_random(50)), {},
        "conv1d_0 should be conv1.conv with",
    ),
    "a layer of another kind": (
        lambda w: w["conv1d_0"].update(kernel=_random(2, 2, 2, 2)), {}, "of a kind not known here",
    ),
    "padding": (lambda w: None, {"padding": "same"}, "conv1d_0 is padded 'same', ours 'valid'"),
    "strides": (lambda w: None, {"strides": [2]}, "conv1d_0 has strides [2]; our networks have 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused(name: str, tmp_path: Path) -> None:
    change, config, message = WRONG[name]
    weights = _of(cnn_weights, change)
    write_keras2(tmp_path / "m.h5", weights, config_of(weights, **config) if config else None)
    with pytest.raises(InputError) as caught:
        import_network(tmp_path / "m.h5", tmp_path / "b", architecture="cnn", **HOW)
    assert message in str(caught.value)
    assert not (tmp_path / "b").exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = [1]
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "run.pt").write_bytes(pickle.dumps({"a": _Runs()}))
    torch.save({"a": _Runs()}, tmp_path / "runs.pt")
    (tmp_path / "text.pt").write_text("no weights")
    for file, message in (
        ("a.h5", "expected a Keras model or its weights, found another HDF5 file"),
        ("list.pt", "expected a state dict"),
        ("run.pt", "expected a file of torch"),
        ("runs.pt", "it holds more than tensors"),
        ("text.pt", "expected a file of torch"),
        ("none.pt", "no such file"),
    ):
        with pytest.raises(InputError, match=message):
            import_network(tmp_path / file, tmp_path / "b", architecture="cnn", **HOW)
    for wrong, message in (
        ({"alphabet": "ACGN"}, "the letters ACGT in some order"),
        ({"seen": SEEN[:0]}, "regions that it was trained on, found none"),
    ):
        with pytest.raises(InputError, match=message):
            import_network(
                tmp_path / "a.h5", tmp_path / "b", architecture="cnn", **{**HOW, **wrong}
            )


def test_the_verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _torch_file(Path("m.pt"), "cnn", "plain")
    Path("seen.bed").write_text("chr1\t0\t1000\n")
    words = ["bundle", "import", "m.pt", "--architecture", "cnn", "--tasks", "A,B", "--window",
             "100", "--seen", "seen.bed", "--assembly", "hg38", "--out", "b"]  # fmt: skip
    assert run_app(app, words) == 0
    said = capsys.readouterr().out
    assert "net.blocks.0 → conv1.conv" in said
    assert "one-hot in the order ACGT" in said
    assert ct.open_bundle("b").tasks == ("A", "B")
