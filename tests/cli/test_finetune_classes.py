"""``finetune`` on sequences and regions that carry the name of their class."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.examples.dataset import ExampleSet, open_examples
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import FromFasta
from cistransfer.genome.codes import decode
from cistransfer.genome.fasta import write_fasta
from cistransfer.models.bundle import Bundle

FLOAT = ["--device", "cpu", "--precision", "float32"]


@pytest.fixture(scope="module")
def classes(target_examples: ExampleSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bound and unbound regions of one TF as HepG2 and HepG2_NEG: FASTA (lower case) and BED."""
    folder = tmp_path_factory.mktemp("classes")
    records, rows = {}, []
    for row, codes, label in zip(
        target_examples.regions.itertuples(), target_examples.codes,
        target_examples.labels[:, 0], strict=True,
    ):  # fmt: skip
        name = "HepG2" if label == 1 else "HepG2_NEG"
        records[f"{name}::{row.chrom}:{row.start}-{row.end}"] = decode(codes).lower()
        rows.append(f"{row.chrom}\t{row.start}\t{row.end}\t{name}\n")
    write_fasta(folder / "c.fa", records)
    (folder / "c.bed").write_text("".join(rows))
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*words: object) -> tuple[int, str, str]:
        code = run_app(app, ["finetune", *map(str, words)])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out, shown.err.strip().splitlines()[-1] if shown.err else ""

    return call


def test_fasta_and_bed_give_the_same_examples(
    run, classes: Path, world: Any, trunk: Bundle, short_strategy, tmp_path: Path
) -> None:
    words = [
        "--trunk", trunk.path, "--positive", "HepG2", "--strategy",
        short_strategy("trunk", epochs=1), "--json", *FLOAT,
    ]  # fmt: skip
    code, shown, line = run("--fasta", classes / "c.fa", "--out", tmp_path / "f", *words)
    assert code == 0, line
    result = json.loads(shown)
    assert result["tasks"] == ["HepG2"]
    assert result["split"] == trunk.card.split
    expected = examples_for(FromFasta(classes / "c.fa", "HepG2"), trunk)
    assert result["examples"] == expected.content_hash()
    code, shown, line = run(
        "--labelled", classes / "c.bed", "--genome", world.genome_path, "--out", tmp_path / "b",
        *words,
    )  # fmt: skip
    assert code == 0, line
    assert json.loads(shown)["examples"] == expected.content_hash()
    assert open_examples(tmp_path / "b" / "examples").facts["classes"].keys() == {
        "HepG2", "HepG2_NEG",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--fasta", "c.fa"], "--fasta needs --positive: Class of"),
        (["--fasta", "c.fa", "--positive", "HepG3"], "no class 'HepG3'; nearest: HepG2"),
        (["--fasta", "c.fa", "--positive", "HepG2", "--genome", "g.fa"], "--genome has no meaning"),
        (["--fasta", "c.fa", "--positive", "HepG2", "--tf", "MAX"], "--tf has no meaning with --f"),
        (["--fasta", "c.fa", "--positive", "HepG2", "--window", "900"], "the network reads 900 bp"),
        (["--labelled", "c.bed", "--positive", "HepG2"], "--labelled needs --genome: Genome FASTA"),
        (["--labelled", "c.bed", "--fasta", "c.fa"], "found --fasta, --labelled"),
        (["--fasta", "none.fa", "--positive", "HepG2"], "none.fa: no such file"),
    ],
)
def test_wrong_requests(
    run, classes: Path, trunk: Bundle, tmp_path: Path, monkeypatch, words: list[str], line: str
) -> None:
    monkeypatch.chdir(classes)
    code, shown, error = run("--trunk", trunk.path, "--out", tmp_path / "run", *words)
    assert (code, shown) == (2, "")
    assert line in error
