"""The study of open chromatin on toy cells: the package's own file with two-step trainings."""

from __future__ import annotations

import json
import re
import shutil
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
from cistransfer.evaluation.compare_runs import compare_runs
from cistransfer.examples.dataset import ExampleSet, open_examples, save_examples, subset
from cistransfer.genome.bed import regions_table
from cistransfer.models.bundle import open_bundle
from cistransfer.studies.asked import Asked
from cistransfer.studies.collect import collect, results
from cistransfer.studies.draw import write_figures
from cistransfer.studies.run import run_study
from cistransfer.studies.schema import text_of
from cistransfer.studies.store import Store
from cistransfer.training.pretrain import pretrain

WINDOW = 100
MOTIFS = {"A": [0, 2, 0, 3, 0, 0, 1], "B/1": [3, 1, 1, 1, 2, 2, 3]}
FAST = ("tune-whole", "scratch-whole", "multi-class", "multi-class-published", "pre-trained",
        "gc", "trunk", "learning", "calibration", "motifs")  # fmt: skip
SMALL: dict[str, Any] = {
    "max_positives": [18],
    "max_test_positives": [15],
    "size": [100, 50],
    "draw": 1,
}


def _set(task: str, motif: list[int] | None, seed: int, *, shift: int = 0) -> ExampleSet:
    """Positives hold a motif (or are rich in GC); some negatives are universal."""
    rng = np.random.default_rng(seed)
    n = 120
    labels = (np.arange(n) % 2).astype(np.int8)
    codes = rng.integers(0, 4, (n, WINDOW), dtype=np.uint8)
    for row in np.flatnonzero(labels):
        if motif is None:
            codes[row] = rng.choice(4, WINDOW, p=[0.15, 0.35, 0.35, 0.15])
        else:
            codes[row, 40 : 40 + len(motif)] = motif
    part = np.repeat(["train", "valid", "test"], 40).astype(object)
    chrom = np.repeat(["chr1", "chr2", "chr3"], 40)
    start = np.arange(n) * 1000 + shift
    source = np.where(
        labels == 1, "specific", np.where(np.arange(n) % 4 == 0, "universal", "nobody")
    )
    regions = regions_table(chrom, start, start + WINDOW, part=part, source=source)
    return ExampleSet(codes, labels[:, None], regions, (task,), {"split": {"by": "chromosome"}})


def _meme(path: Path) -> Path:
    """The motifs of the toy cells."""
    lines = ["MEME version 4", "", "ALPHABET= ACGT", ""]
    for cell, motif in MOTIFS.items():
        lines += [f"MOTIF {cell[0]}", f"letter-probability matrix: alength= 4 w= {len(motif)}"]
        lines += [" ".join("0.97" if base == at else "0.01" for at in range(4)) for base in motif]
    path.write_text("\n".join([*lines, ""]))
    return path


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As 'cistransfer accessibility sets' writes them (read only); C is a leftover."""
    folder = tmp_path_factory.mktemp("sets") / "sets"
    save_examples(folder / "pretraining", _set("open", None, 1))
    save_examples(folder / "pretraining-shuffled", _set("open", None, 2))
    for at, (cell, motif) in enumerate(MOTIFS.items()):
        name = cell.replace("/", "_")
        save_examples(folder / "cells" / name, _set(cell, motif, 3 + at, shift=200 * (at + 1)))
    save_examples(folder / "cells" / "C", _set("C", None, 9, shift=700))
    names = ["pretraining", "pretraining-shuffled", "cells/A", "cells/B_1"]
    pd.DataFrame({"set": names}).to_csv(folder / "sets.tsv", sep="\t", index=False)
    return folder


@pytest.fixture(scope="module")
def short(
    short_strategy: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., pd.DataFrame]:
    """The package's study in which every training is of two steps, and what is asked of it."""
    folder = tmp_path_factory.mktemp("study")
    text = text_of("accessibility").replace("[files]\n", '[files]\nshort = "S"\ntune = "S"\n')
    text = re.sub('^strategy = "tune-whole"', 'strategy = "{tune}"', text, flags=re.M)
    text = re.sub('^strategy = "scratch-whole"', 'strategy = "{short}"', text, flags=re.M)
    text = re.sub(r'"\{(pretraining|multiclass)\}"', '"{short}"', text)
    text = text.replace(
        '"{trunk|pretrained}"\nepochs', '"{trunk|pretrained}"\nstrategy = "probe"\nepochs'
    )
    text = text.replace('HepG2 = "K562"', 'A = "B/1"').replace(
        'cell = "HepG2" }\n', 'cell = "A" }\n'
    )
    text = text.replace("min_sites = 50", "min_sites = 3")
    (folder / "accessibility.toml").write_text(text)
    files = {
        "motifs": _meme(folder / "motifs.meme"),
        "short": short_strategy(epochs=1, steps=2),
        "tune": short_strategy(epochs=1, steps=2, start="trunk"),
    }

    def run(out: Path, sets: Path, **options: Any) -> pd.DataFrame:
        axes = {**SMALL, **options.pop("axes", {})}
        given = {**files, "sets": sets, **options.pop("files", {})}
        options = {"strategies": FAST, **options}
        asked = Asked(files=given, axes=axes, engine="here", device="cpu", **options)
        run_study(folder / "accessibility.toml", out, asked)
        return collect(out)

    return run


@pytest.fixture(scope="module")
def done(
    sets: Path, short: Callable[..., pd.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The whole comparison (read only)."""
    out = tmp_path_factory.mktemp("done") / "study"
    short(out, sets)
    return out


def test_the_whole_comparison(done: Path) -> None:
    table = results(Store(done))
    tested = table[table["part"] == "test"]
    assert not Store(done).failed(Store(done).plan().trials)
    assert set(table["strategy"]) == set(FAST)
    assert set(table["cell"]) == {"A", "B/1", ""}  # the trunks are of no cell
    number = tested[(tested["metric"] == "positives") & (tested["cell"] != "")]
    assert set(number["value"]) == {15}
    halves = tested[tested["size"] == "50"]
    assert not halves["strategy"].str.startswith(("multi", "pre")).any()
    assert table.loc[table["metric"] == "auroc", "value"].between(0, 1).all()
    trained = table[table["part"] == "train"]
    assert set(trained["strategy"]) == set(FAST) - {"trunk", "calibration", "motifs"}
    number = trained[(trained["metric"] == "positives") & (trained["size"] == "50")]
    assert set(number["value"]) == {9}
    compared = compare_runs([done / "results.tsv"], metric="auroc", reference="tune-whole")
    assert {"gc", "multi-class"} <= set(compared["summary"]["strategy"])


def test_what_is_read_from_the_models(done: Path) -> None:
    """Of the networks that are compared: no training is done for the reading."""
    table = results(Store(done))
    named = table[table["strategy"] == "learning"]
    kept = named[named["metric"] == "kept_loss"]
    assert set(zip(kept["cell"], kept["part"], strict=True)) == {
        (cell, part) for cell in MOTIFS for part in ("train", "valid")
    }
    losses = named[(named["metric"] == "loss") & (named["part"] == "valid")]
    assert set(losses["item"]) == {"1"}  # one epoch
    assert np.allclose(losses["value"], kept[kept["part"] == "valid"]["value"])
    curve = table[(table["strategy"] == "calibration") & (table["cell"] == "A")]
    by_bin = curve.pivot_table(index="item", columns="part", values="value")
    assert by_bin["observed"].between(0, 1).all()
    assert (by_bin["predicted"] - by_bin.index.astype(float)).abs().max() <= 0.05
    motifs = table[table["strategy"] == "motifs"]
    assert set(motifs["cell"]) == {"A"}
    assert motifs.loc[motifs["metric"] == "motifs", "value"].tolist() == [2.0]
    assert set(motifs["part"]) <= {"both", "first", "other", "difference"}
    tuned = table[(table["strategy"] == "tune-whole") & (table["size"] == "100")]["trial"].unique()
    plan = Store(done).plan()
    for name in {*named["trial"], *curve["trial"], *motifs["trial"]}:
        trained = [n for n in plan.chain([name]) if plan.trials[n].step == "finetune"]
        assert trained
        assert set(trained) <= set(tuned)


def test_examples_are_those_of_the_functions(done: Path, sets: Path) -> None:
    """Cut once, then shared by every model; halves are drawn from what the cut leaves."""
    found = open_examples(sets / "cells" / "B_1")
    kept = subset(found, max_positives={"train": 18, "valid": 6, "test": 15}, seed=0)
    hashes = {
        open_examples(place).content_hash()
        for place in done.glob("trials/*/files/examples")
        if open_examples(place).tasks == ("B/1",)
    }
    assert hashes == {kept.content_hash(), subset(kept, fraction=0.5, seed=1).content_hash()}


def test_summary_and_figures(done: Path, tmp_path: Path) -> None:
    text = (done / "summary.md").read_text()
    assert "**Held-out chromosomes, mean over cells (Fig. 1F-H; size: Table 1), size 100**" in text
    assert "| multi-class-published |" in text
    assert re.search(r"\| strategy +\| A +\| B/1 +\|", text)
    study = shutil.copytree(done, tmp_path / "study")
    names = {path.stem for path in write_figures(study)}
    assert names == {
        "cells", "cells-f1", "cells-aucpr", "train-against-test", "gain", "learning", "calibration"
    }  # fmt: skip


def test_models_are_kept_by_name(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["study", "models", str(done), "--strategies", "tune-whole", "--axis", "size=100"]
    assert run_app(app, [*words, "--axis", "cell=B/1"]) == 0
    ((folder, label),) = (row.split("\t") for row in capsys.readouterr().out.splitlines())
    assert open_bundle(folder).tasks == ("B/1",)
    assert label.startswith("tune-whole cell=B/1 size=100")
    assert run_app(app, [*words, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["models"]) == 2
    assert run_app(app, [*words, "--axis", "cell=C"]) == 2
    assert "no cell 'C'; there are: A, B/1" in capsys.readouterr().err
    assert run_app(app, [*words, "--axis", "epoch=1"]) == 2
    assert "no axis 'epoch'; nearest: epochs" in capsys.readouterr().err


def test_a_trunk_that_is_given(
    sets: Path, short: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    """Nothing is pre-trained, and what is compared with it has its architecture."""
    pretrain(
        tmp_path / "trunk", open_examples(sets / "pretraining"), architecture="danq",
        strategy="pretrain", epochs=1, seed=0, device="cpu", precision="float32",
    )  # fmt: skip
    bare = shutil.copytree(sets, tmp_path / "sets")
    for name in ("pretraining", "pretraining-shuffled"):
        shutil.rmtree(bare / name)
    table = short(
        tmp_path / "study", bare, files={"trunk": tmp_path / "trunk"},
        axes={"size": [100], "cell": 1},
        strategies=["tune-whole", "scratch-whole", "pre-trained", "trunk"],
    )  # fmt: skip
    assert set(table["strategy"]) == {"tune-whole", "scratch-whole"}
    models = Store(tmp_path / "study").models()
    assert {open_bundle(each["folder"]).card.architecture.name for each in models} == {"danq"}
    # What the sets hold out, a trunk may not have learned from.
    flipped = open_examples(sets / "cells" / "A")
    parts = flipped.regions["part"].replace({"train": "test", "test": "train"})
    seen = replace(flipped, regions=flipped.regions.assign(part=parts))
    pretrain(
        tmp_path / "leaking", seen, strategy="pretrain", epochs=1, seed=0, device="cpu",
        precision="float32",
    )  # fmt: skip
    short(
        tmp_path / "other", sets, files={"trunk": tmp_path / "leaking"},
        axes={"size": [100], "cell": ["A"], "max_test_positives": ["default"]},
        strategies=["tune-whole", "gc"],
    )  # fmt: skip
    store = Store(tmp_path / "other")
    (why,) = store.failed(store.plan().trials).values()
    assert "the trunk has learned from 40 of the 40 test regions" in why["error"]


def test_what_is_wrong_is_said_before_training(
    sets: Path, short: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    out = tmp_path / "study"
    with pytest.raises(InputError, match=r"accessibility: no cell 'C'; there are: A, B/1"):
        short(out, sets, axes={"cell": ["A", "C"]})
    with pytest.raises(InputError, match=r"found no sets\.tsv"):
        short(out, sets / "cells")
    with pytest.raises(InputError, match="no strategy 'probee'; nearest: probe"):
        short(out, sets, strategies=["probee"])
    assert not out.exists()


def test_the_old_verb_says_what_it_is_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = "cistransfer study run accessibility --file sets=SETS --out FOLDER"
    assert run_app(app, ["accessibility", "study", "--sets", "sets", "--out", "study"]) == 2
    said = f"cistransfer: 'cistransfer accessibility study' is now '{new}'\n"
    assert capsys.readouterr().err == said
    record = {"command": ["accessibility", "study"], "arguments": {}}
    (tmp_path / "config.json").write_text(json.dumps(record))
    assert run_app(app, ["rerun", str(tmp_path), "--out", str(tmp_path / "o")]) == 2
    assert f"is now '{new}'" in capsys.readouterr().err
