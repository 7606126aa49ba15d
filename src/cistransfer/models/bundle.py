"""A trained model on disk: a folder without a pickle in it.

``weights.safetensors``, ``card.json`` (what the model is and where it comes from),
``regions.parquet`` (what it was trained and validated on; the leakage guard reads it) and
``example.json`` (a few sequences and their scores; `check_bundle` proves that a copy works).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

import cistransfer
from cistransfer.errors import InputError
from cistransfer.genome.codes import decode, encode_many
from cistransfer.models.registry import build_model, check_design, register_architecture
from cistransfer.models.score import score_codes
from cistransfer.models.shipped import shipped_trunk, shipped_trunks
from cistransfer.storage import Kind, read_json, whole_folder, write_json

__all__ = [
    "BUNDLE",
    "Bundle",
    "check_bundle",
    "find_bundle",
    "open_bundle",
    "save_bundle",
    "weights_hash",
]

FORMAT = "cistransfer-bundle"
VERSION = 1
BUNDLE = Kind("bundle", "card.json", ("weights.safetensors", "regions.parquet", "example.json"))
TOLERANCE = 1e-3
"""How far a re-scored example may lie from the recorded logits (other machines round otherwise)."""


@dataclass(frozen=True)
class Bundle:
    """A trained model and what is known about it.

    Attributes
    ----------
    path : Path
        The bundle's folder.
    model : nn.Module
        In evaluation mode, on the CPU.
    card : dict
        The content of ``card.json``.
    """

    path: Path
    model: nn.Module
    card: dict[str, Any]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return tuple(self.card["tasks"])

    @property
    def window(self) -> int:
        """Length of the input in bp."""
        return int(self.card["window"])

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """Logit from which each task is called positive (fitted on validation); 0 where unknown."""
        values = self.card.get("threshold") or [None] * len(self.tasks)
        return np.array([0.0 if value is None else value for value in values])

    @property
    def temperatures(self) -> NDArray[np.float64]:
        """Temperature by which each task's logit is divided; 1 where unknown."""
        values = self.card.get("temperature") or [None] * len(self.tasks)
        return np.array([1.0 if value is None else value for value in values])

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities of logits ``(n, tasks)``."""
        scaled = np.asarray(logits, dtype=np.float64) / self.temperatures
        return 1 / (1 + np.exp(-np.clip(scaled, -700, 700)))

    def regions(self) -> pd.DataFrame:
        """Regions the model was trained and validated on (``part`` is train or valid)."""
        path = self.path / "regions.parquet"
        try:
            return pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path}: missing or damaged: {' '.join(str(error).split())}"
            ) from error


def weights_hash(model: nn.Module) -> str:
    """``sha256:…`` over every tensor's name, shape, type and values, buffers included."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return "sha256:" + digest.hexdigest()


def save_bundle(
    folder: str | os.PathLike[str],
    model: nn.Module,
    *,
    architecture: dict[str, Any],
    tasks: list[str],
    window: int,
    regions: pd.DataFrame,
    example: NDArray[np.uint8],
    facts: dict[str, Any],
) -> Path:
    """Write a bundle, whole or not at all.

    Parameters
    ----------
    folder : path
        The bundle's folder; replaced if it exists.
    model : nn.Module
    architecture : dict
        ``{"name": …, "arguments": {…}}`` for `build_model`.
    tasks : list of str
        Names of the outputs.
    window : int
        Input length in bp.
    regions : DataFrame
        Region table with ``part`` (train or valid) of the examples used.
    example : ndarray of uint8, shape (k, window)
        A few sequences to record with their scores.
    facts : dict
        Further entries of the card (strategy, split, thresholds, metrics …), JSON-ready.
    """
    with whole_folder(folder, BUNDLE) as temporary:
        state = {
            name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
        }
        (temporary / "weights.safetensors").write_bytes(save_tensors(state))
        write_json(
            temporary / "card.json",
            {
                "format": FORMAT,
                "version": VERSION,
                "architecture": architecture,
                "tasks": list(tasks),
                "window": window,
                "alphabet": "ACGT",
                "weights": weights_hash(model),
                **facts,
                "versions": {
                    "cistransfer": cistransfer.__version__,
                    "torch": torch.__version__,
                    "numpy": np.__version__,
                },
            },
        )
        pd.DataFrame(regions[["chrom", "start", "end", "part"]]).to_parquet(
            temporary / "regions.parquet", index=False
        )
        write_json(
            temporary / "example.json",
            {
                "sequences": [decode(row) for row in example],
                "logits": score_codes(model, example).astype(float).tolist()
                if len(example)
                else [],
                "strands": "both",
            },
        )
    return Path(folder)


def find_bundle(path: str | os.PathLike[str]) -> Path:
    """The bundle folder meant by a path.

    The folder itself, ``bundle/`` in a run folder, or, when there is no such path, the shipped
    trunk of that name.
    """
    if not Path(path).exists() and (shipped := shipped_trunk(str(path))) is not None:
        return shipped
    for candidate in (Path(path), Path(path) / "bundle"):
        if (candidate / "card.json").is_file():
            return candidate
    if (Path(path) / "checkpoint.safetensors").exists():
        raise InputError(
            f"{path}: this run is not finished; run its command again to go on where it stopped"
        )
    raise InputError(
        f"{path}: expected a bundle (a folder with card.json), found none"
        + (f"; shipped trunks: {', '.join(shipped_trunks())}" if shipped_trunks() else "")
    )


def open_bundle(path: str | os.PathLike[str], architecture: str | None = None) -> Bundle:
    """Open a bundle or the run folder that holds one.

    Parameters
    ----------
    path : path
    architecture : str, optional
        ``FILE.py:CLASS`` of a bundle whose network is the user's own. A bundle holds no code and
        none is run because a card names it: without the file such a bundle is refused.

    Raises
    ------
    InputError
        When it is no bundle, of a newer format, damaged, its weights do not fit the
        architecture that its card names, or that one needs a file which is not given or differs.
    """
    folder = find_bundle(path)
    card = read_json(folder / "card.json")
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise InputError(f"{folder / 'card.json'}: expected the card of a {FORMAT}")
    if card.get("version") != VERSION:
        raise InputError(
            f"{folder}: bundle format {card.get('version')}; this cistransfer reads {VERSION}"
        )
    try:
        name, arguments = card["architecture"]["name"], card["architecture"]["arguments"]
        tasks, window = card["tasks"], card["window"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / 'card.json'}: lacks the entry {error}") from error
    _check_card(folder / "card.json", card)
    if architecture is not None:
        register_architecture(architecture)
    check_design(card["architecture"], str(folder))
    model = build_model(name, window=window, n_tasks=len(tasks), seed=0, **arguments)
    weights = folder / "weights.safetensors"
    try:
        state = load_tensors(weights.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{weights}: no such file") from error
    except SafetensorError as error:
        raise InputError(f"{weights}: damaged or no safetensors file: {error}") from error
    expected = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    found = {key: tuple(tensor.shape) for key, tensor in state.items()}
    if expected != found:
        key = sorted(key for key in expected | found if expected.get(key) != found.get(key))[0]
        raise InputError(
            f"{weights}: not the weights of architecture {name!r} with window {window} and "
            f"{len(tasks)} tasks: {key} should be {expected.get(key, 'absent')}, "
            f"found {found.get(key, 'absent')}"
        )
    model.load_state_dict(state)
    if weights_hash(model) != card.get("weights"):
        raise InputError(f"{weights}: not the weights that card.json describes (hashes differ)")
    return Bundle(folder, model.eval(), card)


def _check_card(path: Path, card: dict[str, Any]) -> None:
    """Refuse a card whose entries cannot be right, before anything is built from it."""
    tasks, window = card["tasks"], card["window"]
    names = isinstance(tasks, list) and bool(tasks) and all(isinstance(name, str) for name in tasks)
    design = card["architecture"]
    for entry, good, expected in (
        ("architecture", isinstance(design["name"], str), "a name"),
        ("architecture", isinstance(design["arguments"], dict), "a table of arguments"),
        ("tasks", names and len(set(tasks)) == len(tasks), "a list of different names"),
        ("window", type(window) is int and 0 < window < 10_000_000, "a length in bp"),
        ("alphabet", card.get("alphabet") == "ACGT", "ACGT"),
    ):
        if not good:
            raise InputError(f"{path}: {entry}: expected {expected}, found {card.get(entry)!r:.80}")
    for entry in ("threshold", "temperature"):
        values = card.get(entry)
        if values is not None and len(values) != len(tasks):
            raise InputError(
                f"{path}: {entry}: expected one for each of the {len(tasks)} tasks, "
                f"found {len(values)}"
            )


def check_bundle(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Score a bundle's example again and compare with the recorded scores.

    Returns
    -------
    dict
        ``bundle``, ``sequences``, ``largest_difference`` (in logits).

    Raises
    ------
    InputError
        When the bundle cannot be opened, or a logit differs by more than 0.001 or is missing.
    """
    bundle = open_bundle(path)
    example = read_json(bundle.path / "example.json")
    try:
        codes = encode_many(example["sequences"])
        recorded = np.array(example["logits"], dtype=np.float64)
        strands = str(example["strands"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{bundle.path / 'example.json'}: expected sequences, logits and strands"
        ) from error
    difference = 0.0
    if len(codes):
        if codes.shape[1] != bundle.window:
            raise InputError(
                f"{bundle.path / 'example.json'}: expected sequences of {bundle.window} bp, "
                f"found {codes.shape[1]}"
            )
        scored = score_codes(bundle.model, codes, strands=strands)
        if scored.shape != recorded.shape:
            raise InputError(
                f"{bundle.path / 'example.json'}: expected scores of shape {scored.shape}, "
                f"found {recorded.shape}"
            )
        difference = float(np.abs(scored - recorded).max())
    if not difference <= TOLERANCE:  # a NaN is no match either
        raise InputError(
            f"{bundle.path}: the example scores differ from the recorded ones by {difference:.3g}; "
            "this copy does not work"
        )
    return {
        "bundle": str(bundle.path),
        "sequences": len(codes),
        "largest_difference": difference,
    }
