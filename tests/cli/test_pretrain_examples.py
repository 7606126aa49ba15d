"""``pretrain --examples``: a trunk on an example set that lies on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.examples.dataset import ExampleSet, save_examples

Short = Callable[..., str]


@pytest.fixture
def words(trunk_examples: ExampleSet, short_strategy: Short, tmp_path: Path) -> list[str]:
    save_examples(tmp_path / "set", trunk_examples)
    return [
        "pretrain", "--examples", str(tmp_path / "set"), "--out", str(tmp_path / "run"),
        "--strategy", short_strategy(epochs=1, steps=1), "--device", "cpu",
        "--precision", "float32", "--json",
    ]  # fmt: skip


def test_the_same_examples_are_kept(
    words: list[str], trunk_examples: ExampleSet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(app, words) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["tasks"] == list(trunk_examples.tasks)
    assert said["regions"] == len(trunk_examples.codes)
    assert said["split"] == trunk_examples.facts["split"]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--tfs", "SPI1"], "--tfs has no meaning with --examples"),
        (["--genome", "x.fa"], "--genome has no meaning with --examples"),
        (["--n-tfs", "3"], "--n-tfs has no meaning with --examples"),
        (["--matrix", "m.h5"], "name one source of examples"),
    ],
)
def test_refusals(
    words: list[str], extra: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(app, [*words, *extra]) == 2
    assert message in capsys.readouterr().err


def test_no_source(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run_app(app, ["pretrain", "--out", str(tmp_path / "run")]) == 2
    assert "name one source of examples" in capsys.readouterr().err


def test_a_matrix_needs_a_genome(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["pretrain", "--out", str(tmp_path / "run"), "--matrix", "m.h5"]
    assert run_app(app, words) == 2
    assert "--matrix needs --genome" in capsys.readouterr().err
