"""A matrix of peaks alone: what learns from it, and by which rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cistransfer.binding.build import build_matrix
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.examples.dataset import open_examples
from cistransfer.openness.options import OpenOptions

FLOAT = ["--device", "cpu", "--precision", "float32", "--json"]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*words: object) -> tuple[int, str, str]:
        code = run_app(app, [*map(str, words)])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def test_pretrain_and_finetune(
    call, world: Any, short_strategy: Callable[..., str], tmp_path: Path
) -> None:
    data = world.truth.folder
    build_matrix(
        tmp_path / "m.h5",
        OpenOptions(
            data / "wgEncodeRegDnaseClustered.txt.gz",
            dhs_sources=data / "wgEncodeRegDnaseClusteredSources.txt.gz",
            ucsc2encode=data / "ucsc2encode.tsv",
            samples=data / "samples.tsv",
        ),
        peaks=[data / "remap.bed.gz"],
        window=100,
    )
    common = ["--matrix", tmp_path / "m.h5", "--genome", world.genome_path, *FLOAT]
    code, shown, error = call(
        "pretrain", *common, "--tfs", "ELF1,MAX", "--out", tmp_path / "trunk",
        "--strategy", short_strategy(epochs=1, steps=1),
    )  # fmt: skip
    assert code == 0, error
    assert json.loads(shown)["tasks"] == ["ELF1", "MAX"]
    rules = {"trunk": "peaks-only"}
    tune = ["finetune", "--trunk", tmp_path / "trunk", *common, "--tf", "GABPA"]
    tune += ["--strategy", short_strategy("trunk", epochs=1, steps=1)]
    for out, words in (("default", []), ("named", ["--rule", "peaks-only-full"])):
        code, _, error = call(*tune, *words, "--out", tmp_path / out)
        assert code == 0, error
        rules[out] = words[-1] if words else "peaks-only"
    for out, rule in rules.items():
        assert open_examples(tmp_path / out / "examples").facts["rule"] == rule
    code, _, error = call(*tune, "--rule", "sparse", "--out", tmp_path / "x")
    assert code == 2
    assert "rule 'sparse' needs TFBS predictions" in error
    assert "--rule has no meaning with --peaks" in call(
        "finetune", "--trunk", tmp_path / "trunk", "--peaks", "p.bed", "--rule", "full",
        "--out", tmp_path / "x",
    )[2]  # fmt: skip


def test_two_regions_say_what_helps(call, tmp_path: Path) -> None:
    """Two chromosomes with a region each: the smallest matrix there is."""
    (tmp_path / "open.bed").write_text("chr1\t1000\t1400\nchr2\t1000\t1400\n")
    (tmp_path / "open.tsv").write_text("cell\tfile\nX\topen.bed\n")
    (tmp_path / "one.bed").write_text("chr1\t1100\t1300\n")
    (tmp_path / "two.bed").write_text("chr2\t1100\t1300\n")
    (tmp_path / "p.tsv").write_text("file\ttf\tcell\none.bed\tT\tX\ntwo.bed\tU\tX\n")
    (tmp_path / "g.fa").write_text("".join(f">chr{i}\n{'ACGT' * 500}\n" for i in (1, 2)))
    build_matrix(tmp_path / "m.h5", tmp_path / "open.tsv", peaks=[tmp_path / "p.tsv"], window=200)
    code, _, error = call(
        "pretrain", "--matrix", tmp_path / "m.h5", "--genome", tmp_path / "g.fa", "--tfs", "T,U",
        "--out", tmp_path / "run", *FLOAT,
    )  # fmt: skip
    assert code == 2
    assert "at least 3 chromosomes, found chr1 (1), chr2 (1); split with --split neigh" in error
