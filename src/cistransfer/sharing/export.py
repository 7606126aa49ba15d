"""Models for other programs: an ONNX file, or a folder of plain PyTorch."""

from __future__ import annotations

import json
import os
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as save_tensors
from torch import nn

from cistransfer.errors import InputError
from cistransfer.genome.codes import encode_many
from cistransfer.models.blocks import one_hot
from cistransfer.models.bundle import Bundle
from cistransfer.sharing.model_card import default_title, model_card
from cistransfer.sharing.module import Scorer
from cistransfer.sharing.plain import plain_source
from cistransfer.storage import Kind, read_json, whole_file, whole_folder, write_json

__all__ = ["EXPORTS", "PLAIN", "export_bundle"]

PathLike = str | os.PathLike[str]

EXPORTS = ("onnx", "pytorch")
TOLERANCE = 1e-5
"""How far a score of what was exported may lie from the bundle's."""
PLAIN = Kind(
    "export",
    "model.py",
    ("weights.safetensors", "tasks.json", "example.json", "README.md", "config.json"),
)
_OPSET = 18


def export_bundle(bundle: Bundle, out: PathLike, to: str) -> dict[str, Any]:
    """Write a model for other programs, and compare its scores with the bundle's.

    Parameters
    ----------
    bundle : Bundle
    out : path
        ``onnx``: a file, one-hot ``(n, 4, window)`` float32 → ``logit`` and ``probability``, both
        ``(n, tasks)``; the tasks and thresholds are in its metadata. ``pytorch``: a folder with
        ``model.py``, its weights, tasks, example and card.
    to : {"onnx", "pytorch"}

    Returns
    -------
    dict
        ``out``, ``to``, ``largest_difference`` (of logits of the example's sequences), ``files``.

    Raises
    ------
    InputError
        When the network holds something that cannot be exported, onnx is not installed, or the
        scores of what was written differ by more than 1e-5.
    """
    if to not in EXPORTS:
        raise InputError(f"to must be one of {', '.join(EXPORTS)}, found {to!r}")
    if to == "onnx":
        if find_spec("onnx") is None or find_spec("onnxruntime") is None:
            raise InputError("ONNX needs two more packages: pip install 'cistransfer[onnx]'")
        with whole_file(out) as temporary:
            _write_onnx(bundle, temporary)
            difference = _compared(bundle, _onnx_logits(bundle, temporary))
        files = [str(out)]
    else:
        with whole_folder(out, PLAIN) as folder:
            _write_plain(bundle, folder)
            difference = _compared(bundle, _plain_logits(bundle, folder))
        files = [str(Path(out) / name) for name in (PLAIN.marker, *PLAIN.files)]
    return {"out": str(out), "to": to, "largest_difference": difference, "files": files}


def _example(bundle: Bundle) -> list[str]:
    """Sequences to compare with: the bundle's own, or ones that are made."""
    own = list(read_json(bundle.path / "example.json")["sequences"])
    rng = np.random.default_rng(0)
    letters = rng.choice(list("ACGT"), (4, bundle.window))
    return own[:32] or ["".join(row) for row in letters]


def _inputs(bundle: Bundle) -> torch.Tensor:
    codes = torch.from_numpy(encode_many(_example(bundle)))
    return one_hot(codes).contiguous()


def _compared(bundle: Bundle, found: np.ndarray[Any, Any]) -> float:
    own = bundle.score(_example(bundle))
    difference = float(np.abs(own - found).max())
    if not difference <= TOLERANCE * max(1.0, float(np.abs(own).max())):
        raise InputError(
            f"{bundle.path}: what was exported scores otherwise, by up to {difference:.2g} in "
            "logits; it was not written"
        )
    return difference


# ONNX --------------------------------------------------------------------------------------------


class _Both(nn.Module):
    """Logits and calibrated probabilities at once."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        self.scorer = Scorer(bundle)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.scorer(x)
        return logits, torch.sigmoid(logits / self.scorer.temperature)


_KNOWN = (
    ("You are using the legacy TorchScript-based ONNX export", DeprecationWarning),
    ("The feature will be removed", DeprecationWarning),
    ("Constant folding - Only steps=1", UserWarning),
    ("Exporting a model to ONNX with a batch_size other than 1", UserWarning),
    ("Converting a tensor to a Python boolean", torch.jit.TracerWarning),
)
"""What the exporter says of every network: the newer one needs onnxscript, which is one package
more. Whether a batch of another size is scored right is tested on what was written."""


def _write_onnx(bundle: Bundle, path: Path) -> None:
    import onnx

    x = _inputs(bundle)
    names = {"x": {0: "n"}, "logit": {0: "n"}, "probability": {0: "n"}}
    try:
        with warnings.catch_warnings(), torch.no_grad():
            for message, category in _KNOWN:
                warnings.filterwarnings("ignore", message, category)
            torch.onnx.export(
                _Both(bundle).eval(),
                (x,),
                str(path),
                dynamo=False,
                input_names=["x"],
                output_names=["logit", "probability"],
                dynamic_axes=names,
                opset_version=_OPSET,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{bundle.path}: the network cannot be written as ONNX: {reason}"
        ) from error
    made = onnx.load(str(path))
    card = bundle.card
    facts = {
        "tasks": json.dumps(list(bundle.tasks)),
        "window": str(bundle.window),
        "alphabet": card.alphabet,
        "threshold": json.dumps(bundle.thresholds.tolist()),
        "temperature": json.dumps(bundle.temperatures.tolist()),
        "weights": card.weights,
    }
    onnx.helper.set_model_props(made, facts)
    onnx.checker.check_model(made)
    onnx.save(made, str(path))


def _onnx_logits(bundle: Bundle, path: Path) -> np.ndarray[Any, Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = _inputs(bundle).numpy()
    each = [session.run(["logit"], {"x": part})[0] for part in (x[:1], x[1:]) if len(part)]
    return np.concatenate(each)


# Plain PyTorch -----------------------------------------------------------------------------------


def _write_plain(bundle: Bundle, folder: Path) -> None:
    title = default_title({"": bundle})
    source, tensors = plain_source(bundle, title)
    sequences = _example(bundle)
    (folder / "model.py").write_text(source, encoding="utf-8")
    (folder / "weights.safetensors").write_bytes(save_tensors(tensors))
    logits = bundle.score(sequences).astype(float).tolist()
    write_json(folder / "example.json", {"sequences": sequences, "logits": logits})
    tasks = [
        {"name": name, "temperature": float(temperature), "threshold": float(threshold)}
        for name, temperature, threshold in zip(
            bundle.tasks, bundle.temperatures, bundle.thresholds, strict=True
        )
    ]
    write_json(folder / "tasks.json", tasks)
    readme = model_card({"model": bundle}, title=title)
    (folder / "README.md").write_text(readme, encoding="utf-8")


def _plain_logits(bundle: Bundle, folder: Path) -> np.ndarray[Any, Any]:
    """Scores by the file that was written: our own code, of a moment ago."""
    names: dict[str, Any] = {"__file__": str(folder / "model.py"), "__name__": "plain"}
    source = (folder / "model.py").read_text(encoding="utf-8")
    exec(compile(source, str(folder / "model.py"), "exec"), names)
    with torch.no_grad():
        logits: np.ndarray[Any, Any] = names["Network"]()(_inputs(bundle)).numpy()
    return logits
