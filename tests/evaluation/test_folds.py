"""Folds by chromosome: trained one by one, evaluated together on their test part."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.evaluation.baselines import ensemble
from cistransfer.evaluation.compare_runs import compare_runs
from cistransfer.evaluation.results import Evaluation, ModelScore, fold_groups
from cistransfer.evaluation.runs import evaluate_runs, open_predictions
from cistransfer.examples.dataset import open_examples
from cistransfer.metrics.curves import aucpr
from cistransfer.models.bundle import Bundle, open_bundle


@pytest.fixture(scope="module")
def folds(
    world, short_strategy: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """Three folds from scratch, made by the command line."""
    folder = tmp_path_factory.mktemp("folds")
    for at in (1, 2, 3):
        words = [
            "finetune", "--trunk", "scratch", "--matrix", world.matrix_path, "--tf", "GABPA",
            "--genome", world.genome_path, "--strategy", short_strategy(), "--fold", f"{at}/3",
            "--out", folder / f"fold{at}", "--device", "cpu", "--precision", "float32",
        ]  # fmt: skip
        assert run_app(app, [*map(str, words)]) == 0
    return [folder / f"fold{at}" for at in (1, 2, 3)]


def test_each_fold_validates_elsewhere(folds: list[Path]) -> None:
    splits = [open_bundle(run).card.split for run in folds]
    assert [split["fold"] for split in splits] == ["1/3", "2/3", "3/3"]
    assert len({tuple(split["test"]) for split in splits}) == 1
    held = [name for split in splits for name in split["valid"]]
    assert len(held) == len(set(held))
    for run, split in zip(folds, splits, strict=True):
        regions = open_examples(run / "examples").regions
        assert set(regions.loc[regions["part"] == "valid", "chrom"]) == set(split["valid"])


def test_folds_are_evaluated_together(folds: list[Path], tmp_path: Path) -> None:
    result = evaluate_runs(tmp_path / "e", folds, baselines=["gc"], device="cpu")
    strategy = result.models[0].strategy
    assert [model.name for model in result.models] == [
        "fold1", "fold2", "fold3", "gc 1/3", "gc 2/3", "gc 3/3", f"{strategy} ensemble",
    ]  # fmt: skip
    assert [model.draw for model in result.models[:4]] == [
        "fold 1/3", "fold 2/3", "fold 3/3", "fold 1/3",
    ]  # fmt: skip
    table = open_predictions(tmp_path / "e")
    by_hand = []
    for run in folds:
        bundle = open_bundle(run)
        by_hand.append(table[f"{run.name} GABPA"].to_numpy() / bundle.temperatures[0])
    joined = table[f"{strategy} ensemble GABPA"].to_numpy()
    assert np.allclose(joined, np.mean(by_hand, axis=0), atol=1e-5)
    values = [model.tasks["GABPA"]["aucpr"] for model in result.models[:3]]
    for run, value in zip(folds, values, strict=True):
        assert value == pytest.approx(aucpr(table["label GABPA"], table[f"{run.name} GABPA"]))
    spread = {row["strategy"]: row for row in result.to_json()["folds"]}
    assert set(spread) == {strategy, "gc"}
    assert spread[strategy]["folds"] == 3
    assert spread[strategy]["aucpr"] == pytest.approx(np.mean(values))
    assert spread[strategy]["aucpr_sd"] == pytest.approx(np.std(values, ddof=1))
    written = pd.read_csv(tmp_path / "e" / "folds.tsv", sep="\t")
    assert written["strategy"].tolist() == [strategy, "gc"]
    assert written["aucpr"][0] == pytest.approx(np.mean(values), rel=1e-5)
    # one fold alone is an ordinary run
    alone = evaluate_runs(tmp_path / "alone", folds[:1], device="cpu")
    assert alone.models[0].tasks == result.models[0].tasks
    assert not alone.folds


def test_compare_pairs_folds(folds: list[Path], tmp_path: Path) -> None:
    evaluate_runs(tmp_path / "e", folds, baselines=["gc"], device="cpu")
    tables = compare_runs([tmp_path / "e"], reference="gc", draws=20, out=tmp_path / "c")
    row = tables["comparison"].iloc[0]
    assert (row["unit"], row["pairs"]) == ("draw", 3)
    names = [*(run.name for run in folds), "gc 1/3", "gc 2/3", "gc 3/3"]
    assert tables["regions"]["strategy"].tolist()[:6] == names
    assert (tmp_path / "c" / "comparison.md").exists()


def test_the_command_says_mean_and_spread(
    folds: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", *folds, "--out", tmp_path / "e", "--device", "cpu"]
    assert run_app(app, [*map(str, words)]) == 0
    said = capsys.readouterr().out
    row = json.loads((tmp_path / "e" / "metrics.json").read_text())["folds"][0]
    assert "GABPA, mean of 3 folds (sd): aucpr " in said
    assert f"aucpr {row['aucpr']:.3f} ({row['aucpr_sd']:.3f})" in said


def test_what_are_no_folds_of_one_test_part(
    folds: list[Path], world, trunk: Bundle, short_strategy: Callable[..., str], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="folds have only their test part in common"):
        evaluate_runs(tmp_path / "e", folds, part="valid", device="cpu")
    other = tmp_path / "other"
    words = [
        "finetune", "--trunk", "scratch", "--matrix", world.matrix_path, "--tf", "GABPA",
        "--genome", world.genome_path, "--strategy", short_strategy(), "--fold", "2/3", "--seed", 5,
        "--out", other, "--device", "cpu", "--precision", "float32",
    ]  # fmt: skip
    assert run_app(app, [*map(str, words)]) == 0
    with pytest.raises(InputError, match=r"'fold1' and 'other' were trained on different examples"):
        evaluate_runs(tmp_path / "e", [folds[0], other], device="cpu")
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fold", "1/9"], "9 folds need at least 9 chromosomes"),
        (["--fold", "one"], "a fold is I/K, such as 1/5; found 'one'"),
        (["--fold", "1/3", "--valid-chroms", "chr1"], "--valid-chroms has no meaning with --fold"),
        (["--fold", "1/3", "--split", "random"], "without --split chromosome"),
    ],
)
def test_wrong_folds(
    options: list[str], message: str, world, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = [
        "finetune", "--trunk", "scratch", "--matrix", world.matrix_path, "--tf", "GABPA",
        "--genome", world.genome_path, "--out", tmp_path / "r", *options,
    ]  # fmt: skip
    assert run_app(app, [*map(str, words)]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_an_ensemble_weighs_by_temperature() -> None:
    logits = [np.array([[4.0], [0.0]], np.float32), np.array([[1.0], [-1.0]], np.float32)]
    found = ensemble(logits, [np.array([2.0]), np.array([1.0])], [np.array([4.0]), np.array([0.5])])
    assert found.logits.tolist() == [[1.5], [-1.0]]
    assert found.thresholds.tolist() == [1.25]
    assert found.temperatures.tolist() == [1.0]


def test_groups_of_folds() -> None:
    rows = [
        ("a", "s", "fold 1/2"),
        ("b", "s", "fold 2/2"),
        ("c", "t", "fold 1/2"),
        ("d", "t", "fold 1/2"),
        ("e", "t", "fold 2/2"),
        ("f", "u", "fold 1/2"),
        ("g", "v", None),
    ]
    models = tuple(ModelScore(name, strategy, {}, draw=draw) for name, strategy, draw in rows)
    assert fold_groups(models) == {"s": ["a", "b"]}
    assert Evaluation("sha256:1", "test", (), models[-1:]).folds == []


def test_a_fold_passes_from_trunk_to_model(
    folds: list[Path], world, short_strategy: Callable[..., str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Trunk and control of one fold have one split; another fold of the same trunk leaks."""
    device = ["--device", "cpu", "--precision", "float32"]
    words = [
        "pretrain", "--matrix", world.matrix_path, "--genome", world.genome_path,
        "--tfs", "ELF1,MAX", "--strategy", short_strategy(), "--fold", "2/3",
        "--out", tmp_path / "trunk", *device,
    ]  # fmt: skip
    assert run_app(app, [*map(str, words)]) == 0
    own = [
        "finetune", "--trunk", tmp_path / "trunk", "--matrix", world.matrix_path, "--tf", "GABPA",
        "--genome", world.genome_path, "--strategy", "probe", *device,
    ]  # fmt: skip
    assert run_app(app, [*map(str, own), "--out", str(tmp_path / "run")]) == 0
    split = open_bundle(tmp_path / "run").card.split
    assert split == open_bundle(folds[1]).card.split
    assert (
        open_examples(tmp_path / "run" / "examples").content_hash()
        == open_examples(folds[1] / "examples").content_hash()
    )
    capsys.readouterr()
    other = [*map(str, own), "--fold", "1/3", "--out", str(tmp_path / "leaky")]
    assert run_app(app, other) == 2
    assert "the valid part" in capsys.readouterr().err
    result = evaluate_runs(
        tmp_path / "e", [*folds, tmp_path / "run"], baselines=["gc"], device="cpu"
    )
    assert [model.draw for model in result.models[:4]] == [
        "fold 1/3", "fold 2/3", "fold 3/3", "fold 2/3",
    ]  # fmt: skip
