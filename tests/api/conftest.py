"""A folder as a user has it: simulated data, a matrix, a trunk and a fine-tuned model."""

from __future__ import annotations

from pathlib import Path

import pytest

from cistransfer.examples.dataset import ExampleSet
from cistransfer.models.bundle import Bundle
from cistransfer.training.finetune import finetune


@pytest.fixture(scope="session")
def tuned(trunk: Bundle, target_examples: ExampleSet, short_strategy, tmp_path_factory) -> Bundle:
    """A model of GABPA that was fine-tuned for a few steps (read only)."""
    return finetune(
        tmp_path_factory.mktemp("tuned") / "GABPA",
        target_examples,
        trunk,
        strategy=short_strategy("trunk"),
        device="cpu",
        precision="float32",
    )


@pytest.fixture
def desk(world, trunk: Bundle, tuned: Bundle, short_strategy, tmp_path: Path, monkeypatch) -> Path:
    """The current folder: ``data``, ``matrix.h5``, ``trunk``, ``GABPA``, ``short.toml``."""
    (tmp_path / "data").symlink_to(world.truth.folder)
    (tmp_path / "matrix.h5").symlink_to(world.matrix_path)
    (tmp_path / "trunk").symlink_to(trunk.path.parent)
    (tmp_path / "GABPA").symlink_to(tuned.path.parent)
    (tmp_path / "short.toml").write_text(Path(short_strategy(epochs=1, steps=2)).read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path
