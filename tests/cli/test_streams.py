"""Verbs in a pipe: regions and genome from standard input, results to where the shell says."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from pathlib import Path

import pytest

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app


class _Stdin(io.TextIOWrapper):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))


@pytest.fixture
def words(world, trunk, tmp_path: Path) -> list[str]:
    regions = world.matrix.regions.head(3)[["chrom", "start", "end"]]
    regions.to_csv(tmp_path / "r.bed", sep="\t", header=False, index=False)
    return ["predict", str(trunk.path), "--genome", str(world.genome_path)]


def test_regions_from_stdin_and_results_to_stdout(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary
) -> None:
    file = tmp_path / "o.tsv"
    assert run_app(app, [*words, "--regions", str(tmp_path / "r.bed"), "--out", str(file)]) == 0
    expected = file.read_bytes()
    capfdbinary.readouterr()
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir(tmp_path))
    for extra in ([], ["--json"]):
        monkeypatch.setattr(sys, "stdin", _Stdin((tmp_path / "r.bed").read_bytes()))
        assert run_app(app, [*words, "--regions", "-", "--out", "-", *extra]) == 0
        shown = capfdbinary.readouterr()
        assert shown.out == expected  # nothing but the result
        last = shown.err.decode().splitlines()[-1]
        assert json.loads(last)["rows"] == 3 if extra else last.endswith("without a score: -")
    assert sorted(os.listdir(tmp_path)) == before  # no record of what went down a pipe


def test_results_through_a_pipe_and_a_link(words: list[str], tmp_path: Path) -> None:
    words = [*words, "--regions", str(tmp_path / "r.bed"), "--out"]
    pipe, link, target = tmp_path / "pipe", tmp_path / "link.tsv", tmp_path / "target.tsv"
    os.mkfifo(pipe)
    link.symlink_to(target)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    assert run_app(app, [*words, str(pipe)]) == 0
    reader.join(10)
    assert run_app(app, [*words, str(link)]) == 0
    assert got == [target.read_bytes()]
    assert link.is_symlink()
    assert pipe.is_fifo()
    assert not (tmp_path / "pipe.config.json").exists()
    assert run_app(app, [*words, "/dev/full"]) == 1
