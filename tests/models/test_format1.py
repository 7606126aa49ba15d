"""Bundles of format 1 (motifs and softmax as architectures around a network) score as they did."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cistransfer.errors import InputError
from cistransfer.models.bundle import check_bundle, open_bundle
from cistransfer.models.card import Card
from cistransfer.models.compact import compact_bundle
from cistransfer.models.registry import USER_FILES

HERE = Path(__file__).parent / "format1"
"""Written by the last version of format 1: one network alone, with motifs, with softmax."""
NAMES = ("plain", "motifs", "classes")
FILE = f"{HERE / 'tiny.py'}:Tiny"


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    before = dict(USER_FILES)
    yield
    USER_FILES.clear()
    USER_FILES.update(before)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_scores(name: str) -> None:
    """Weights with their hash, and scores to the last bit of what was recorded on this machine."""
    bundle = open_bundle(HERE / name, FILE)
    assert check_bundle(HERE / name)["largest_difference"] < 1e-6
    assert bundle.card.architecture.name == "tiny.py:Tiny"
    assert bundle.card.architecture.arguments == {"width": 2}
    assert bundle.card.link == bundle.model.link == (
        "exclusive" if name == "classes" else "independent"
    )  # fmt: skip
    assert set(bundle.regions()["part"]) == {"train", "valid"}
    assert bundle.card.split == {"by": "chromosome", "valid": ["chr2"], "test": ["chr3"]}
    assert bundle.thresholds[0] == 0.1


def test_motifs_of_format_1() -> None:
    bundle = open_bundle(HERE / "motifs", FILE)
    motifs = bundle.card.motifs
    assert motifs is not None
    assert bundle.model.motifs is not None
    assert motifs.widths == bundle.model.motifs.widths == (4, 5, 6, 5, 5)
    assert (motifs.bags, motifs.folds) == (2, 2)
    assert [motif.name for motif in motifs.known] == [f"TF{number}" for number in range(1, 6)]
    assert "base" not in " ".join(bundle.model.state_dict())


@pytest.mark.parametrize("name", NAMES)
def test_by_hand(name: str) -> None:
    """What the wrappers computed, from the tensors in the file."""
    weights = load_file(HERE / name / "weights.safetensors")
    base = "" if name == "plain" else "base."
    recorded = json.loads((HERE / name / "example.json").read_text())
    rows = np.array([["ACGTN".index(base) for base in text] for text in recorded["sequences"]])

    def one_strand(codes: np.ndarray) -> torch.Tensor:
        x = torch.eye(5)[torch.from_numpy(codes)][..., :4].permute(0, 2, 1)
        part = {key.removeprefix(base): tensor for key, tensor in weights.items()}
        y = torch.nn.functional.conv1d(x, part["conv1.0.weight"], part["conv1.0.bias"])
        y = torch.nn.functional.batch_norm(
            y, part["conv1.1.running_mean"], part["conv1.1.running_var"], part["conv1.1.weight"],
            part["conv1.1.bias"],
        ).relu().flatten(1)  # fmt: skip
        y = (y @ part["dense1.0.weight"].T + part["dense1.0.bias"]).relu()
        if name == "motifs":
            each = []
            for number in range(5):
                odds = weights[f"motifs.odds{number}"]
                both = torch.stack([odds, odds.flip(0, 1)])
                each.append(torch.nn.functional.conv1d(x, both).logsumexp(dim=(1, 2)))
            bags = [(each[1] + each[2]) / 2, (each[3] + each[4]) / 2]
            y = torch.stack([*y.unbind(1), each[0], *bags], dim=1)
        y = y @ part["head.weight"].T + part["head.bias"]
        if name == "classes":
            p = torch.softmax(y, dim=1)
            return torch.log(p / (1 - p))
        return y

    reverse = np.where(rows == 4, 4, 3 - rows)[:, ::-1].copy()
    found = (one_strand(rows) + one_strand(reverse)) / 2
    np.testing.assert_allclose(found.numpy(), recorded["logits"], atol=1e-5)


def test_a_compact_copy_is_of_format_2(tmp_path: Path) -> None:
    original = open_bundle(HERE / "motifs", FILE)
    compact_bundle(HERE / "motifs", tmp_path / "copy")
    copy = open_bundle(tmp_path / "copy")
    assert copy.card.version == 2
    assert copy.card.rounded_from == original.card.weights
    assert copy.card.motifs == original.card.motifs
    assert set(load_file(tmp_path / "copy" / "weights.safetensors")) == set(copy.model.state_dict())
    codes = np.random.default_rng(0).integers(0, 4, (9, 20), dtype=np.uint8)
    np.testing.assert_allclose(copy.score(codes), original.score(codes), atol=1e-2)
    assert Card.from_json(copy.card.to_json()) == copy.card


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ({"name": "cnn", "depth": 3}, "architecture.depth: extra inputs are not permitted"),
        ({"arguments": {}}, "lacks the entry 'architecture.name'"),
        (
            {"name": 3, "arguments": {}},
            "architecture.name: input should .*, found 3",
        ),
        ([], "architecture: input should be an object"),
        (None, "architecture: input should be an object"),
    ],
)
def test_a_damaged_base_is_refused(base: Any, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    shutil.copytree(HERE / "motifs", folder)
    card = json.loads((folder / "card.json").read_text())
    card["architecture"]["arguments"]["base"] = base
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match=message):
        open_bundle(folder, FILE)


@pytest.mark.parametrize("widths", [[1e9], 7, [10**12], ["x"], [4, 5, 6, 5]])
def test_damaged_widths_are_refused(widths: Any, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    shutil.copytree(HERE / "motifs", folder)
    card = json.loads((folder / "card.json").read_text())
    card["architecture"]["arguments"] |= {"widths": widths, "bags": 0, "folds": 0}
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(InputError) as caught:
        open_bundle(folder, FILE)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    shutil.copytree(HERE / "classes", folder)
    weights = load_file(folder / "weights.safetensors")
    weights["base.head.bias"] += 1e-6
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(InputError, match="hashes differ"):
        open_bundle(folder, FILE)
