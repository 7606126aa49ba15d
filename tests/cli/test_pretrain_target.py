"""``pretrain --target`` trains on what ``relatives`` chooses; ``python -m cistransfer``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import cistransfer as ct
from cistransfer import __version__
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.cli.plan import Plan
from cistransfer.cli.pretrain import pretrain
from cistransfer.examples.sources import FromTFs
from cistransfer.models.bundle import open_bundle
from cistransfer.relatives.answer import find_relatives
from cistransfer.relatives.options import Sources

Short = Callable[..., str]


@pytest.fixture
def words(world, short_strategy: Short, tmp_path: Path) -> list[str]:
    return [
        "pretrain", "--matrix", str(world.matrix_path), "--genome", str(world.genome_path),
        "--out", str(tmp_path / "run"), "--strategy", short_strategy(epochs=1, steps=1),
        "--max-regions", "200", "--device", "cpu", "--precision", "float32",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("group", "n", "with_target"),
    [("co-binders", 3, False), ("relatives", 2, True), ("random", 2, False)],
)
def test_the_tfs_are_those_of_relatives(
    words: list[str], world, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    group: str, n: int, with_target: bool,
) -> None:  # fmt: skip
    options = ["--target", "SPI1", "--group", group, "--n-tfs", str(n), "--seed", "4"]
    options += ["--with-target"] if with_target else []
    assert run_app(app, [*words, *options, "--json"]) == 0
    shown = capsys.readouterr()
    tasks = json.loads(shown.out)["tasks"]
    found = find_relatives(world.matrix, "SPI1", Sources(), group=group)
    assert tasks == list(found.choose(group, n=n, with_target=with_target, seed=4).tfs)
    assert len(tasks) == n
    assert ("SPI1" in tasks) == with_target
    assert all(name in shown.err for name in tasks)  # the person is told
    assert list(open_bundle(tmp_path / "run").tasks) == tasks
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())["arguments"]
    assert (recorded["target"], recorded["group"], recorded["n_tfs"]) == ("SPI1", group, n)


@pytest.mark.parametrize(
    ("options", "tfs"),
    [({}, ["RXRA", "FOXA1"]), ({"evidence_cell": "HepG2"}, ["GABPA", "RXRA"])],
)
def test_the_cell_of_the_labels_is_not_the_cell_of_the_evidence(
    world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], tfs: list[str]
) -> None:
    """`cell` says whose labels are learned; it does not narrow what relatives are told by."""
    monkeypatch.setattr("cistransfer.api.learn.train_trunk", lambda out, data, **rest: data)
    elsewhere = [tf for tf in world.matrix.tfs if "HepG2" not in world.matrix.cells_of(tf)]
    data = ct.pretrain(
        world.matrix, genome=world.genome, target="CEBPB", n=2, cell="HepG2", exclude=elsewhere,
        max_regions=300, out=tmp_path / "run", **options,
    )  # fmt: skip
    assert list(data.tasks) == tfs
    assert data.facts["cell"] == "HepG2"
    places = Plan(pretrain).options["cell"].places
    assert [place.group for place in places] == [FromTFs]


def test_tfs_that_are_left_out_are_replaced(
    words: list[str], world, capsys: pytest.CaptureFixture[str]
) -> None:
    first = find_relatives(world.matrix, "SPI1", Sources())
    best = first.choose(n=2).tfs[0]
    options = ["--target", "SPI1", "--n-tfs", "2", "--exclude-tfs", best]
    assert run_app(app, [*words, *options, "--json"]) == 0
    tasks = json.loads(capsys.readouterr().out)["tasks"]
    assert tasks == list(first.choose(n=2, exclude=(best,)).tfs)
    assert len(tasks) == 2
    assert best not in tasks


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "SPI1", "--tfs", "MAX"], "name the TFs (tfs), or let them be chosen"),
        (["--target", "SPI"], "SPI1"),
        (["--target", "SPI1", "--group", "cobinders"], "co-binders"),
        (["--n-tfs", "2"], "--n-tfs has no meaning without --target"),
        (["--with-target"], "--with-target has no meaning without --target"),
        (["--modes", "m.tsv"], "--modes has no meaning without --target"),
    ],
)
def test_wrong_requests(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    options: list[str], message: str,
) -> None:  # fmt: skip
    assert run_app(app, [*words, *options]) == 2
    shown = capsys.readouterr()
    assert message in shown.err.splitlines()[-1]
    assert "Traceback" not in shown.err
    assert not (tmp_path / "run").exists()


def test_the_package_runs_as_a_module() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "cistransfer", "--version"], capture_output=True, text=True
    )
    assert (found.returncode, found.stdout) == (0, f"cistransfer {__version__}\n")
    refused = subprocess.run(
        [sys.executable, "-m", "cistransfer", "repot"], capture_output=True, text=True
    )
    assert refused.returncode == 2
    assert refused.stderr.startswith("cistransfer: ")
    assert refused.stderr.count("\n") == 1
