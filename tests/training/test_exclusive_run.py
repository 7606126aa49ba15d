"""A run of exclusive classes: trained, opened again, its probabilities sum to one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.genome.bed import regions_table
from cistransfer.models.bundle import Bundle, check_bundle, open_bundle
from cistransfer.models.score import score_codes
from cistransfer.training.run import train_run
from cistransfer.training.strategy import Strategy

ENTRIES = {
    "name": "classes",
    "summary": "",
    "start": "scratch",
    "classes": "exclusive",
    "phases": [{"name": "one", "learning_rate": 1e-3, "batch_size": 16, "epochs": 1}],
}


def _examples() -> ExampleSet:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 4, (90, 100), dtype=np.uint8)
    labels = np.eye(3, dtype=np.int8)[np.arange(90) % 3]
    start = np.arange(90) * 200
    part = np.repeat(["train", "valid", "test"], 30).astype(object)
    regions = regions_table(["chr1"] * 90, start, start + 100, part=part)
    return ExampleSet(codes, labels, regions, ("A", "B", "none"), {})


def test_probabilities_sum_to_one(tmp_path: Path) -> None:
    examples = _examples()
    train_run(tmp_path, examples, Strategy.model_validate(ENTRIES), device="cpu")
    bundle = open_bundle(tmp_path)
    assert bundle.card.link == bundle.model.link == "exclusive"
    assert bundle.card.architecture.name == "cnn"
    logits = score_codes(bundle.model, examples.codes, strands="forward")
    sums = torch.sigmoid(torch.from_numpy(logits)).sum(dim=1)
    assert torch.allclose(sums, torch.ones(90), atol=1e-5)
    assert check_bundle(bundle.path)["sequences"] == 8


def test_from_a_trunk(tmp_path: Path, trunk: Bundle) -> None:
    """The trunk's own layers go into the network inside, its head does not."""
    still = {**ENTRIES, "start": "trunk"}
    still["phases"] = [{**ENTRIES["phases"][0], "rates": {"*": 0.0}, "frozen_statistics": ["*"]}]  # type: ignore[index, dict-item]
    bundle = train_run(
        tmp_path, _examples(), Strategy.model_validate(still), trunk=trunk, device="cpu"
    )
    own, parent = bundle.model.state_dict(), trunk.model.state_dict()
    for name, tensor in parent.items():
        assert name.startswith("head") or torch.equal(own[name], tensor), name
    assert own["head.weight"].shape[0] == 3


@pytest.mark.parametrize(
    "changes", [{"motifs": "denovo"}, {"phases": [{"kind": "probe", "name": "probe"}]}]
)
def test_what_cannot_be_exclusive(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="goes with gradient phases"):
        Strategy.model_validate({**ENTRIES, **changes})


def test_labels_of_two_classes(tmp_path: Path) -> None:
    examples = _examples()
    examples.labels[0] = 1
    with pytest.raises(InputError, match="belong to two classes"):
        train_run(tmp_path, examples, Strategy.model_validate(ENTRIES), device="cpu")
