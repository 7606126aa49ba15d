"""The verbs of the main path on the simulated world: CLI equals API, rerun equals run."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.examples.dataset import ExampleSet, open_examples, save_examples
from cistransfer.examples.holdout import HoldOut
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import FromMatrix, FromTFs
from cistransfer.examples.split import Split
from cistransfer.genome.bed import read_bed
from cistransfer.models.bundle import Bundle, open_bundle
from cistransfer.prediction.table import predict_fasta, predict_regions
from cistransfer.training.finetune import finetune
from cistransfer.training.pretrain import pretrain

Short = Callable[..., str]
FLOAT = ["--device", "cpu", "--precision", "float32"]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run a verb with --json and return the one object on stdout."""

    def run(*words: object) -> dict[str, Any]:
        code = run_app(app, [*map(str, words), "--json"])
        shown = capsys.readouterr()
        assert code == 0, shown.err
        assert shown.out.count("\n") == 1
        assert "Traceback" not in shown.err
        result = json.loads(shown.out)
        assert isinstance(result, dict)
        return result

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a verb that refuses its input and return its one line."""

    def run(*words: object) -> str:
        assert run_app(app, [*map(str, words)]) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        lines = [line for line in shown.err.splitlines() if line.startswith("cistransfer: ")]
        assert shown.err.splitlines()[-1:] == lines
        return lines[0]

    return run


@pytest.fixture(scope="module")
def run_folder(
    trunk: Bundle, world, short_strategy: Short, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A fine-tuned run, made by the command line."""
    out = tmp_path_factory.mktemp("cli") / "run"
    words = [
        "finetune", "--trunk", trunk.path.parent, "--matrix", world.matrix_path, "--tf", "GABPA",
        "--genome", world.genome_path, "--strategy", short_strategy("trunk"), "--out", out, *FLOAT,
    ]  # fmt: skip
    assert run_app(app, [*map(str, words)]) == 0
    return out


def test_pretrain_equals_the_function(
    call, world, short_strategy: Short, trunk: Bundle, tmp_path: Path
) -> None:
    result = call(
        "pretrain", "--matrix", world.matrix_path, "--genome", world.genome_path,
        "--tfs", "MAX, ELF1", "--max-regions", 300, "--seed", 2, "--epochs", 1,
        "--valid-chroms", "chr1", "--test-chroms", "chr2,chr3",
        "--strategy", short_strategy(), "--out", tmp_path / "cli", *FLOAT,
    )  # fmt: skip
    split = Split(valid=("chr1",), test=("chr2", "chr3"))
    source = FromTFs(world.matrix, world.genome, ("MAX", "ELF1"), max_regions=300)
    examples = examples_for(source, holdout=HoldOut.of(split=split), seed=2)
    expected = pretrain(
        tmp_path / "api", examples, strategy=short_strategy(), epochs=1, seed=2,
        device="cpu", precision="float32",
    )  # fmt: skip
    found = open_bundle(tmp_path / "cli")
    assert found.card == expected.card
    assert result["bundle"] == str(found.path)
    assert result["tasks"] == ["MAX", "ELF1"]
    assert result["regions"] == 300
    assert result["split"] == split.as_dict()


def test_all_tfs_but_some(call, refused, world, short_strategy: Short, tmp_path: Path) -> None:
    words = [
        "pretrain", "--matrix", world.matrix_path, "--genome", world.genome_path,
        "--exclude-tfs", "HNF4A,HNF4G", "--region-set", "common",
        "--strategy", short_strategy(epochs=1, steps=1), "--out", tmp_path / "run", *FLOAT,
    ]  # fmt: skip
    result = call(*words)
    assert result["tasks"] == [tf for tf in world.matrix.tfs if not tf.startswith("HNF4")]
    words[words.index("HNF4A,HNF4G")] = "HNF4B"
    assert "no TF 'HNF4B' to leave out; nearest: HNF4" in refused(*words)


def test_finetune_equals_the_function(
    run_folder: Path, trunk: Bundle, world, short_strategy: Short, tmp_path: Path
) -> None:
    examples = examples_for(FromMatrix(world.matrix, "GABPA", world.genome), trunk)
    expected = finetune(
        tmp_path / "api", examples, trunk, strategy=short_strategy("trunk"),
        device="cpu", precision="float32",
    )  # fmt: skip
    assert open_bundle(run_folder).card == expected.card
    assert open_examples(run_folder / "examples").content_hash() == examples.content_hash()


def test_the_control_trains_on_the_same_examples(
    call, run_folder: Path, short_strategy: Short, tmp_path: Path
) -> None:
    result = call(
        "finetune", "--trunk", "scratch", "--examples", run_folder / "examples",
        "--strategy", short_strategy(), "--out", tmp_path / "s", *FLOAT,
    )  # fmt: skip
    assert result["examples"] == open_bundle(run_folder).card.examples
    metrics = call("evaluate", run_folder, tmp_path / "s", "--out", tmp_path / "e")
    assert [model["name"] for model in metrics["models"]] == ["run", "s"]
    assert metrics == json.loads((tmp_path / "e" / "metrics.json").read_text())


def test_own_peaks(
    call, refused, world, trunk: Bundle, short_strategy: Short, tmp_path: Path
) -> None:
    data = world.truth.folder
    words = [
        "finetune", "--trunk", trunk.path, "--peaks", data / "peaks" / "ELF1.narrowPeak.gz",
        "--open", data / "open.bed.gz", "--genome", world.genome_path, "--n-positives", 40,
        "--strategy", short_strategy("trunk", epochs=1), "--out", tmp_path / "run", *FLOAT,
    ]  # fmt: skip
    result = call(*words)
    assert result["tasks"] == ["ELF1"]
    held = [result["counts"][part]["ELF1"]["bound"] for part in ("train", "valid")]
    assert sum(held) == 40
    assert result["split"] == trunk.card.split
    wrong = tmp_path / "wrong.bed"
    wrong.write_text("1\t5\t90\n")
    words[words.index("--peaks") + 1] = wrong
    assert "none of the 1 peaks overlaps one of the" in refused(*words)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--tf", "HNF4B"], "HNF4B"),
        (["--tf", "HNF4G"], "at least 20 are needed"),
        (["--tf", "ELF1", "--n-positives", "9999"], "at least 9,999 are needed"),
        (["--tf", "ELF1", "--split", "cell"], "neighbours or published, found 'cell'"),
        (["--tf", "ELF1", "--split", "random", "--fold", "1/3"], "without --split chromosome"),
        (["--tf", "ELF1", "--valid-chroms", "chr1"], "name both --valid-chroms and --test-chroms"),
        (["--tf", "ELF1", "--valid-chroms", "chr1", "--test-chroms", "chr99"], "'chr99' has no"),
        (["--tf", "ELF1", "--guard", "some"], "heldout or all or off, found 'some'"),
        (["--tf", "ELF1", "--strategy", "finetun"], "no strategy 'finetun'; nearest: finetune"),
        (["--tf", "ELF1", "--device", "banana"], "device 'banana' cannot be used here"),
        (["--tf", "ELF1", "--precision", "half"], "'float32' or 'bf16', found 'half'"),
        (["--tf", "ELF1", "--open", "o.bed"], "--open has no meaning with --matrix"),
        ([], "--matrix needs --tf"),
    ],
)  # fmt: skip
def test_wrong_requests(
    refused, world, trunk: Bundle, tmp_path: Path, changes: list[str], message: str
) -> None:
    line = refused(
        "finetune", "--trunk", trunk.path, "--matrix", world.matrix_path,
        "--genome", world.genome_path, "--out", tmp_path / "run", *changes,
    )  # fmt: skip
    assert message in line
    assert not (tmp_path / "run" / "bundle").exists()


def test_options_that_would_be_ignored(refused, run_folder: Path, tmp_path: Path) -> None:
    words = ["finetune", "--trunk", "scratch", "--examples", run_folder / "examples", "--out"]
    line = refused(*words, tmp_path / "x", "--n-positives", 50)
    assert "--n-positives has no meaning with --examples; drop it" in line
    assert "name one source of examples" in refused(*words, tmp_path / "x", "--peaks", "p.bed")


def test_another_configuration_in_the_same_folder(refused, run_folder: Path, trunk: Bundle) -> None:
    line = refused(
        "finetune", "--trunk", trunk.path, "--examples", run_folder / "examples",
        "--out", run_folder, "--seed", 5,
    )  # fmt: skip
    assert "holds a finished run of another configuration" in line


def test_predict_equals_the_function(call, run_folder: Path, world, tmp_path: Path) -> None:
    rows = world.matrix.regions.sample(30, random_state=1)
    bed = tmp_path / "r.bed"
    bed.write_text(
        "".join(f"{c}\t{s}\t{e}\tn{i}\n" for i, (c, s, e) in enumerate(zip(
            rows["chrom"], rows["start"], rows["end"], strict=True)))
        + "chrUn\t5\t105\tlast\n"
    )  # fmt: skip
    result = call(
        "predict", run_folder, "--regions", bed, "--genome", world.genome_path,
        "--out", tmp_path / "p.tsv",
    )  # fmt: skip
    (placed,) = result.pop("inputs")
    assert (placed["rows"], placed["placed"]) == (31, 30)
    assert result == {
        "out": str(tmp_path / "p.tsv"), "rows": 31, "unscored": 1, "tasks": ["GABPA"],
    }  # fmt: skip
    found = pd.read_csv(
        tmp_path / "p.tsv", sep="\t", keep_default_na=False, na_values={"GABPA": [""]}
    )
    expected = predict_regions(open_bundle(run_folder), read_bed(bed), world.genome)
    assert found["name"].tolist() == [*(f"n{i}" for i in range(30)), "last"]
    pd.testing.assert_frame_equal(found, expected, atol=1e-6)
    again = call(
        "predict", run_folder, "--regions", bed, "--genome", world.genome_path,
        "--out", tmp_path / "p.tsv.gz",
    )  # fmt: skip
    assert again["rows"] == 31
    assert (
        gzip.decompress((tmp_path / "p.tsv.gz").read_bytes()) == (tmp_path / "p.tsv").read_bytes()
    )


def test_predict_sequences(call, refused, run_folder: Path, tmp_path: Path) -> None:
    bases = "".join("ACGT"[code] for code in np.random.default_rng(2).integers(0, 4, 120))
    fasta = tmp_path / "s.fa"
    fasta.write_text(f">a\n{bases}\n>b\n{bases[:50]}\n>c\n{bases.lower()}\n")
    result = call("predict", run_folder, "--fasta", fasta, "--out", tmp_path / "p.tsv")
    assert (result["rows"], result["unscored"]) == (3, 1)
    found = pd.read_csv(
        tmp_path / "p.tsv", sep="\t", keep_default_na=False, na_values={"GABPA": [""]}
    )
    pd.testing.assert_frame_equal(found, predict_fasta(open_bundle(run_folder), fasta), atol=1e-6)
    for words, message in (
        (["--regions", "r.bed"], "--regions needs --genome"),
        (["--fasta", tmp_path / "none.fa"], "none.fa: no such file"),
        (
            ["--fasta", fasta, "--strands", "minus"],
            "--strands: expected both or forward, found 'minus'",
        ),
    ):
        assert message in refused("predict", run_folder, "--out", tmp_path / "q.tsv", *words)
    assert not (tmp_path / "q.tsv").exists()


def test_bad_beds_name_their_line(refused, run_folder: Path, world, tmp_path: Path) -> None:
    bed = tmp_path / "bad.bed"
    bed.write_text("chr1\t5\t90\nchr1\t90\t5\n")
    line = refused(
        "predict", run_folder, "--regions", bed, "--genome", world.genome_path,
        "--out", tmp_path / "p.tsv",
    )  # fmt: skip
    expected = "expected start < end (0-based, half-open), found 90 and 5"
    assert line == f"cistransfer: {bed}, line 2: {expected}"


def test_check(call, refused, run_folder: Path, world, tmp_path: Path) -> None:
    result = call("check", run_folder)
    by_kind = {each["kind"]: each for each in result["checked"]}
    assert set(by_kind) == {"config", "examples", "bundle"}
    assert by_kind["bundle"]["largest_difference"] < 1e-5
    assert by_kind["bundle"]["sequences"] == 8
    whole = open_examples(run_folder / "examples")
    assert by_kind["examples"]["content_hash"] == whole.content_hash()
    assert by_kind["examples"]["windows"] == len(whole.codes)
    assert call("check", run_folder / "examples")["checked"] == [by_kind["examples"]]
    assert call("check", run_folder / "bundle")["checked"] == [by_kind["bundle"]]
    matrix = call("check", world.matrix_path)["checked"][0]
    assert (matrix["kind"], matrix["path"]) == ("matrix", str(world.matrix_path))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "expected a bundle (card.json), a run folder" in refused("check", empty)

    copy = shutil.copytree(run_folder / "bundle", tmp_path / "copy")
    raw = bytearray((copy / "weights.safetensors").read_bytes())
    raw[-3] ^= 1
    (copy / "weights.safetensors").write_bytes(bytes(raw))
    assert "not the weights that card.json describes" in refused("check", copy)


def test_a_rerun_repeats_a_run(
    run_folder: Path, trunk: Bundle, capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = json.loads((run_folder / "config.json").read_text())
    assert config["command"] == ["finetune"]
    assert config["arguments"]["tf"] == "GABPA"
    assert Path(config["arguments"]["matrix"]).is_absolute()
    assert run_app(app, ["rerun", str(run_folder), "--out", "again"]) == 0
    capsys.readouterr()
    assert open_bundle("again").card == open_bundle(run_folder).card
    for file in ("bundle/weights.safetensors", "bundle/example.json", "examples/codes.npy"):
        assert (tmp_path / "again" / file).read_bytes() == (run_folder / file).read_bytes()
    new = json.loads((tmp_path / "again" / "config.json").read_text())
    assert new["arguments"] == {**config["arguments"], "out": str(tmp_path / "again")}
    assert run_app(app, ["rerun", str(tmp_path / "again" / "config.json"), "--out", "third"]) == 0
    assert open_bundle("third").card.weights == open_bundle(run_folder).card.weights


def test_a_rerun_from_another_folder(
    run_folder: Path, world, capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names given relative to where the run was started still mean the same."""
    monkeypatch.chdir(run_folder.parent)
    words = ["evaluate", "one=run", "--out", str(tmp_path / "first"), "--device", "cpu"]
    assert run_app(app, words) == 0
    fasta = tmp_path / "s.fa"
    fasta.write_text(">a\n" + "ACGTT" * 20 + "\n")
    words = ["predict", "run", "--fasta", str(fasta), "--out", str(tmp_path / "p.tsv.gz")]
    assert run_app(app, words) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run_app(app, ["rerun", str(tmp_path / "first"), "--out", "second"]) == 0
    for file in ("metrics.json", "metrics.tsv", "predictions.parquet"):
        second = tmp_path / "elsewhere" / "second" / file
        assert second.read_bytes() == (tmp_path / "first" / file).read_bytes()
    config = str(tmp_path / "p.tsv.gz.config.json")
    assert run_app(app, ["rerun", config, "--out", "q.tsv.gz"]) == 0
    assert Path("q.tsv.gz").read_bytes() == (tmp_path / "p.tsv.gz").read_bytes()
    record = json.loads(Path(config).read_text())  # as it was when predict took one model
    (record["arguments"]["bundle"],) = record["arguments"].pop("bundles")
    Path("old.json").write_text(json.dumps(record))
    assert run_app(app, ["rerun", "old.json", "--out", "r.tsv.gz"]) == 0
    assert Path("r.tsv.gz").read_bytes() == Path("q.tsv.gz").read_bytes()
    assert Path.cwd() == tmp_path / "elsewhere"


def test_bad_records(refused, run_folder: Path, tmp_path: Path) -> None:
    config = json.loads((run_folder / "config.json").read_text())
    for change, message in (
        ({"command": ["finetun"]}, "no verb 'finetun'; nearest: finetune"),
        (
            {"arguments": {**config["arguments"], "old": 1}},
            "config.json: no option 'old' in 'arguments'; nearest: fold",
        ),
    ):
        path = tmp_path / "config.json"
        path.write_text(json.dumps({**config, **change}))
        assert message in refused("rerun", path, "--out", tmp_path / "x")
    path.write_text("[]")
    assert "expected a run's config.json" in refused("rerun", path, "--out", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_lines_for_a_person(run_folder: Path, capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    assert run_app(app, ["evaluate", str(run_folder), "--out", str(tmp_path / "e")]) == 0
    shown = capsys.readouterr()
    assert "aucpr" in shown.out
    assert "GABPA" in shown.out
    assert run_app(app, ["check", str(run_folder)]) == 0
    assert "works: 8 example sequences" in capsys.readouterr().out


def test_a_single_class_validation_set(
    refused, target_examples: ExampleSet, short_strategy: Short, tmp_path: Path
) -> None:
    import dataclasses

    labels = target_examples.labels.copy()
    labels[target_examples.rows("valid")] = 0
    folder = save_examples(tmp_path / "set", dataclasses.replace(target_examples, labels=labels))
    line = refused(
        "finetune", "--trunk", "scratch", "--examples", folder, "--out", tmp_path / "run",
        "--strategy", short_strategy(),
    )  # fmt: skip
    assert "the valid part holds 0 bound" in line
    assert "hold out other chromosomes" in line


def test_columns_of_a_format_that_is_not_known(
    call, world, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    regions = world.matrix.regions.iloc[:5]
    regions[["chrom", "start", "end"]].to_csv(
        tmp_path / "r.bed", sep="\t", header=False, index=False
    )
    swapped = regions.assign(score=1)[["score", "end", "start", "chrom"]]
    swapped.to_csv(tmp_path / "odd.txt", sep="\t", header=False, index=False)
    words = ["predict", run_folder, "--genome", world.genome_path]
    call(*words, "--regions", tmp_path / "r.bed", "--out", tmp_path / "a.tsv")
    odd = ["--regions", tmp_path / "odd.txt", "--columns", "chrom=4,start=3,end=2"]
    call(*words, *odd, "--out", tmp_path / "b.tsv")
    one, other = (pd.read_csv(tmp_path / name, sep="\t") for name in ("a.tsv", "b.tsv"))
    pd.testing.assert_series_equal(one["GABPA"], other["GABPA"])
    record = json.loads((tmp_path / "b.tsv.config.json").read_text())
    assert record["arguments"]["columns"] == "chrom=4,start=3,end=2"


def test_examples_equal_those_of_a_run(call, world, run_folder: Path, tmp_path: Path) -> None:
    """The set that a run makes for itself, made before; made again it is replaced."""
    made = json.loads((run_folder / "config.json").read_text())["arguments"]
    words = ["examples", "--matrix", made["matrix"], "--tf", made["tf"], "--genome", made["genome"],
             "--trunk", made["trunk"], "--out", tmp_path / "set"]  # fmt: skip
    extra = [word for name in ("n_positives", "ratio", "gc_bins", "seed") if made.get(name)
             for word in ("--" + name.replace("_", "-"), made[name])]  # fmt: skip
    for _ in range(2):
        result = call(*words, *extra)
        data = open_examples(tmp_path / "set")
        assert result["content_hash"] == data.content_hash()
        assert data.content_hash() == open_examples(run_folder / "examples").content_hash()
    used = json.loads((tmp_path / "set" / "config.json").read_text())["used"]
    assert used["split"] == open_bundle(run_folder).card.split
    assert used["guard"] == "heldout"
    again = json.loads((run_folder / "config.json").read_text())["used"]
    assert {"split", "guard", "window", "device", "strategy"} <= set(again)


def test_examples_of_cells_equal_the_sets_of_the_study(call, world, tmp_path: Path) -> None:
    cells = ["--cells", "GM12878,HepG2,K562", "--window", 100, "--genome", world.genome_path]
    own = [*cells, "--open", world.matrix_path, "--split", "neighbours"]
    call("accessibility", "sets", *own, "--out", tmp_path / "sets")
    for cell, name in ((["--cell", "K562"], "cells/K562"), ([], "pretraining")):
        made = call("examples", *own, *cell, "--out", tmp_path / "set")
        alone = open_examples(tmp_path / "set")
        among = open_examples(tmp_path / "sets" / name)
        assert made["tasks"] == list(among.tasks)
        assert len(alone.codes) >= len(among.codes) > 0  # the sets are guarded from each other
