"""The published way by options of the verbs: equal to the sources and draws of Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.examples.dataset import open_examples
from cistransfer.examples.draw import Matched
from cistransfer.examples.holdout import HoldOut
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import FromMatrix, FromTFs
from cistransfer.examples.split import Split
from cistransfer.models.bundle import open_bundle

FLOAT = ["--device", "cpu", "--precision", "float32"]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*words: object) -> tuple[int, str, str]:
        code = run_app(app, [*map(str, words)])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out, shown.err

    return run


def test_examples_of_one_tf(call, world, tmp_path: Path) -> None:
    view = world.matrix.view("cells", "less-sparse")
    bound = [int((column == 1).sum()) for column in view]
    tf, cell = view.columns[max(range(len(bound)), key=bound.__getitem__)]
    other = next(name for name in world.matrix.cells if name not in world.matrix.cells_of(tf))
    code, _, err = call(
        "examples", "--matrix", world.matrix_path, "--tf", tf, "--genome", world.genome_path,
        "--split", "published", "--gc-bins", 1, "--ratio", 2, "--n-positives", 20, "--n-test", 5,
        "--cell", cell, "--not-in", other, "--rule", "less-sparse", "--window", 150, "--seed", 1,
        "--out", tmp_path / "set",
    )  # fmt: skip
    assert code == 0, err
    expected = examples_for(
        FromMatrix(
            world.matrix, tf, world.genome,
            rule="less-sparse", cell=cell, not_in=(other,), window=150,
        ),
        holdout=HoldOut(Split(by="published", seed=1)),
        draw=Matched(per_bound=2, gc_bins=1, positives=20, test_positives=5),
        seed=1,
    )  # fmt: skip
    found = open_examples(tmp_path / "set")
    assert found.content_hash() == expected.content_hash()
    assert found.facts["drawn"] == "before the split"


def test_trunk_and_model(call, world, short_strategy: Callable[..., str], tmp_path: Path) -> None:
    common: list[Any] = [
        "--matrix", world.matrix_path, "--genome", world.genome_path, "--split", "published",
    ]  # fmt: skip
    words = [
        "pretrain", *common, "--tfs", "ELF1,SPI1", "--region-set", "common", "--common-with", "MAX",
        "--max-regions", 150, "--window", 120, "--strategy", short_strategy(steps=2),
        "--out", tmp_path / "trunk", *FLOAT,
    ]  # fmt: skip
    assert call(*words)[0] == 0
    source = FromTFs(
        world.matrix, world.genome, ("ELF1", "SPI1"),
        regions="common", common_with=("MAX",), max_regions=150, window=120,
    )  # fmt: skip
    expected = examples_for(source, holdout=HoldOut(Split(by="published", seed=0)))
    trunk = open_bundle(tmp_path / "trunk")
    assert trunk.card.examples == expected.content_hash()
    assert trunk.window == 120
    words = [
        "finetune", "--trunk", tmp_path / "trunk", *common, "--tf", "GABPA", "--strategy",
        short_strategy("trunk"), "--out", tmp_path / "run", *FLOAT,
    ]  # fmt: skip
    assert call(*words)[0] == 0
    data = open_examples(tmp_path / "run" / "examples")
    assert data.window == 120
    assert data.facts["guard"] == "all"
    code, out, _ = call(
        "evaluate", tmp_path / "run", "--as", "published", "--trunk", tmp_path / "trunk", "--out",
        tmp_path / "e", "--json",
    )  # fmt: skip
    assert code == 0
    assert json.loads(out)["as"] == "published"
    config = json.loads((tmp_path / "trunk" / "config.json").read_text())
    assert config["arguments"]["common_with"] == ["MAX"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tf", "ELF1", "--not-in", "K562"], "--not-in has no meaning without --cell; drop it"),
        (["--common-with", "MAX"], "--common-with has no meaning without --region-set common"),
        (["--tf", "ELF1", "--cell", "K526"], "no cell 'K526' in this matrix"),
    ],
)
def test_what_has_no_meaning(call, world, tmp_path: Path, words: list[str], message: str) -> None:
    code, _, err = call(
        "examples", "--matrix", world.matrix_path, "--genome", world.genome_path, *words,
        "--out", tmp_path / "set",
    )  # fmt: skip
    assert code == 2
    assert message in err


def test_info_names_tfs_with_too_few(call, world) -> None:
    code, out, _ = call("matrix", "info", world.matrix_path)
    assert code == 0
    assert "TFs with fewer than 500 training sequences for a model of their own" in out
    code, out, _ = call("matrix", "info", world.matrix_path, "--json")
    states = world.matrix.states()
    few = [
        tf
        for column, tf in enumerate(world.matrix.tfs)
        if 3.2 * (states[:, column] == 1).sum() < 500
    ]
    assert json.loads(out)["unqualified"] == few
