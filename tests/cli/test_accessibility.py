"""``cistransfer accessibility sets``: the sets that the functions make, in folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.examples.classes import multiclass_examples
from cistransfer.examples.dataset import open_examples
from cistransfer.examples.draw import Background, Shares
from cistransfer.examples.holdout import HoldOut
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import FromOpenness
from cistransfer.examples.split import Split
from cistransfer.examples.write_sets import folder_of
from cistransfer.openness.options import OpenOptions
from cistransfer.openness.read import read_open

CELLS = ["GM12878", "HepG2", "K562"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*words: object) -> tuple[int, str, str]:
        code = run_app(app, ["accessibility", "sets", *map(str, words)])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out, shown.err.strip()

    return call


def request(world: Any, out: Path) -> list[object]:
    return [
        "--genome", world.genome_path, "--cells", ",".join(CELLS), "--window", 100,
        "--background-ratio", 0.5, "--out", out,
    ]  # fmt: skip


def test_sets_equal_the_functions(run, world, tmp_path: Path) -> None:
    out = tmp_path / "sets"
    code, shown, _ = run(
        "--open", world.matrix_path, *request(world, out), "--margin", 100, "--negatives",
        "others=0.5,nobody=0.25,universal=0.25", "--ratio", 1.5, "--published-multiclass",
        "--json",
    )  # fmt: skip
    assert code == 0
    opened = world.matrix.open_regions()
    found = open_examples(out / "pretraining")
    assert found.facts["split"] == {
        "by": "chromosome",
        "valid": found.facts["split"]["valid"],
        "test": ["chr2", "chr3"],
    }
    split = Split(valid=tuple(found.facts["split"]["valid"]), test=("chr2", "chr3"))
    source = FromOpenness(opened, tuple(CELLS), world.genome, window=100, margin=100)
    trunk = examples_for(source, holdout=HoldOut(split), draw=Background(0.5))
    assert found.content_hash() == trunk.content_hash()
    sets = {}
    for cell in CELLS:
        sets[cell] = examples_for(
            replace(source, cell=cell),
            holdout=HoldOut(split, seen=trunk.regions[trunk.regions["part"] != "test"]),
            draw=Shares({"others": 2, "nobody": 1, "universal": 1}, 1.5),
        )
        written = open_examples(out / "cells" / cell)
        assert written.content_hash() == sets[cell].content_hash()
    for name, negatives in (("multiclass", True), ("multiclass-published", False)):
        expected = multiclass_examples(sets, negatives=negatives)
        assert open_examples(out / name).content_hash() == expected.content_hash()
    table = pd.read_csv(out / "sets.tsv", sep="\t")
    assert json.loads(shown)["sets"] == table.to_dict("records")
    mine = table[table["set"] == "pretraining"]
    assert mine["windows"].sum() == len(found.codes)
    assert json.loads((out / "config.json").read_text())["command"] == ["accessibility", "sets"]


def test_forms_of_open_regions_agree(run, world, tmp_path: Path) -> None:
    """The matrix, a 0/1 table and a table of signals say the same."""
    regions, states = world.matrix.regions, world.matrix.accessible()
    regions.to_csv(tmp_path / "r.bed", sep="\t", header=False, index=False)
    names = regions["chrom"] + ":" + regions["start"].astype(str) + "-" + regions["end"].astype(str)
    table = pd.DataFrame(states.astype(int), index=names, columns=list(world.matrix.cells))
    table.to_csv(tmp_path / "open.tsv", sep="\t")
    (10.0**table).to_csv(tmp_path / "signals.tsv", sep="\t")
    forms = [
        ["--open", world.matrix_path],
        ["--regions", tmp_path / "r.bed", "--open", tmp_path / "open.tsv"],
        ["--regions", tmp_path / "r.bed", "--open", tmp_path / "signals.tsv", "--z-above", 0],
    ]
    hashes = set()
    for at, form in enumerate(forms):
        out = tmp_path / f"sets{at}"
        code, _, line = run(*form, *request(world, out), "--background", "shuffled")
        assert code == 0, line
        hashes.add(open_examples(out / "multiclass").content_hash())
        assert not (out / "multiclass-published").exists()
    assert len(hashes) == 1


def test_folds_keep_the_published_test_chromosomes(run, world, tmp_path: Path) -> None:
    held = []
    for fold in ("1/3", "2/3", "3/3"):
        out = tmp_path / fold[0]
        code, _, line = run(
            "--open", world.matrix_path, *request(world, out), "--fold", fold,
        )  # fmt: skip
        assert code == 0, line
        splits = [
            open_examples(out / name).facts["split"] for name in ("pretraining", "multiclass")
        ]
        assert splits[0] == splits[1]
        assert splits[0]["test"] == ["chr2", "chr3"]
        held += splits[0]["valid"]
    assert sorted(held) == ["chr1", "chr4", "chr5"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--cells", "GM12878,HepG3"], "no cell 'HepG3' among the open regions; nearest: HepG2"),
        (["--cells", "K562"], "expected at least two different cells, found K562"),
        (["--cells", ""], "--open needs --cells: Comma list of cells"),
        (["--negatives", "others"], "--negatives: expected KIND=SHARE, found 'others'"),
        (["--negatives", "others=a"], "--negatives: expected KIND=SHARE, found 'others=a'"),
        (["--negatives", "some=1"], "no kind of negatives 'some'; there are: others, nobody"),
        (["--background", "tile"], "--background: expected tiles or shuffled, found 'tile'"),
        (["--regions", "r.bed"], "regions has no meaning with {matrix}, a binding matrix; drop it"),
        (["--lists", "lists"], "(found --open, --lists)"),
        (["--published-multiclass"], "hold no 'universal' negatives (the published ones)"),
    ],
)
def test_wrong_requests(run, world, tmp_path: Path, words: list[str], line: str) -> None:
    code, shown, error = run(
        "--open", world.matrix_path, *request(world, tmp_path / "sets"), *words
    )
    assert (code, shown) == (2, "")
    assert line.replace("{matrix}", str(world.matrix_path)) in error
    assert error.count("\n") == 0
    assert not (tmp_path / "sets").exists()


def test_signals_need_their_regions(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("region\tK562\nr1\t0.5\n")
    with pytest.raises(InputError, match=r"t\.tsv: a table of .* needs its regions"):
        read_open(OpenOptions(tmp_path / "t.tsv", z_above=1.64))


def test_folders_of_cells() -> None:
    assert folder_of("NT2/D1") == "NT2_D1"
    assert folder_of("keratinocyte (adult)") == "keratinocyte__adult_"
    assert folder_of("MCF-7") == "MCF-7"
    assert [folder_of(name) for name in (".", "..", ".x", "")] == ["%2E", "%2E.", "%2Ex", "%"]
    assert len(folder_of("x" * 300)) < 255


def test_the_real_lists(run, shared_data: Path, tmp_path: Path) -> None:
    """ChromTransfer's own lists and windows, as they are."""
    folder = shared_data / "chromtransfer-hg38"
    code, shown, _ = run(
        "--lists", folder, "--genome", folder / "windows", "--cells", "HEPG2,K562",
        "--out", tmp_path / "s",
    )  # fmt: skip
    assert code == 0
    examples = open_examples(tmp_path / "s" / "multiclass")
    assert examples.tasks == ("HEPG2", "K562", "none")
    assert (np.asarray(examples.labels).sum(axis=1) == 1).all()
    test = examples.regions[examples.regions["part"] == "test"]
    assert set(test["chrom"]) == {"chr2", "chr3"}
    assert "cells/HEPG2: " in shown
    assert not (tmp_path / "s" / "pretraining").exists()
