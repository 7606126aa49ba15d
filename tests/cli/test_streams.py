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


def test_a_file_of_something_else_is_refused_and_an_earlier_output_is_not(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An earlier output is known by the record beside it, which lies there before the file."""
    out = tmp_path / "o.tsv"
    words = [*words, "--regions", str(tmp_path / "r.bed"), "--out", str(out)]
    out.write_text("mine")
    assert run_app(app, words) == 2
    assert f"{out}: expected a new name or an earlier output" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert run_app(app, [*words, "--overwrite"]) == 0
    assert f"replaced: {out}\n" in capsys.readouterr().err
    expected = out.read_bytes()

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cistransfer.storage.writing._replace", stopped)
    other = [*words[:-1], str(tmp_path / "empty.tsv")]
    assert run_app(app, other) == 130  # with the record there, and without the file
    monkeypatch.undo()
    for again in (words, other):
        if again is other:
            (tmp_path / "empty.tsv").touch()  # as mktemp makes it
        assert run_app(app, again) == 0
        assert Path(again[-1]).read_bytes() == expected
        record = json.loads(Path(again[-1] + ".config.json").read_text())
        assert record["used"] != {}
