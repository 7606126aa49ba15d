"""Test sets and scores that most tools answer with a warning and a number."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.examples.dataset import ExampleSet, save_examples
from cistransfer.models.bundle import Bundle
from cistransfer.training.finetune import finetune


@pytest.fixture(scope="module")
def run(
    trunk: Bundle, target_examples: ExampleSet, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("bad") / "run"
    finetune(folder, target_examples, trunk, strategy="probe", device="cpu")
    return folder


@pytest.fixture
def evaluate(
    run: Path, target_examples: ExampleSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Evaluate on the examples with other labels in the test part."""

    def call(labels: np.ndarray, *words: object) -> tuple[int, str, str]:
        changed = target_examples.labels.copy()
        changed[target_examples.rows("test"), 0] = labels
        folder = save_examples(
            tmp_path / "set", dataclasses.replace(target_examples, labels=changed)
        )
        given = ["evaluate", run, "--examples", folder, "--out", tmp_path / "e", *words]
        code = run_app(app, [*map(str, given), "--device", "cpu"])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        assert "Warning" not in shown.err
        return code, shown.out, shown.err

    return call


def labels_of(data: ExampleSet) -> np.ndarray:
    return np.asarray(data.labels[data.rows("test"), 0])


@pytest.mark.parametrize("value", [0, 1, -1])
def test_one_class_has_a_reason_and_no_number(
    value: int, evaluate: Callable[..., tuple[int, str, str]], target_examples: ExampleSet,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    found = labels_of(target_examples)
    code, said, _ = evaluate(np.full(len(found), value), "--baselines", "gc")
    assert code == 0
    reason = {0: "no positives among", 1: "no negatives among", -1: "no resolved rows"}[value]
    assert said.count(reason) == 2
    rows = json.loads((tmp_path / "e" / "metrics.json").read_text())["models"]
    for model in rows:
        metrics = model["metrics"]["GABPA"]
        assert reason in metrics["why"]
        assert metrics["aucpr"] is metrics["auroc"] is metrics["aucpr_low"] is None
    # the report and the comparison know it too
    assert run_app(app, ["report", str(tmp_path / "e"), "--out", str(tmp_path / "r.html")]) == 0
    assert reason in (tmp_path / "r.html").read_text()
    capsys.readouterr()
    assert run_app(app, ["compare", str(tmp_path / "e")]) == 2
    assert capsys.readouterr().err.startswith("cistransfer: ")


def test_three_positives(
    evaluate: Callable[..., tuple[int, str, str]], target_examples: ExampleSet, tmp_path: Path
) -> None:
    labels = labels_of(target_examples).copy()
    labels[np.flatnonzero(labels == 1)[3:]] = -1
    code, said, _ = evaluate(labels, "--baselines", "prevalence,gc")
    assert code == 0
    table = pd.read_csv(tmp_path / "e" / "metrics.tsv", sep="\t")
    assert (table["positives"] == 3).all()
    assert table["aucpr_low"].notna().all()
    assert (table["aucpr_low"] <= table["aucpr"]).all()
    assert f"{table['aucpr'][0]:.3f}" in said


def test_constant_scores_are_chance(
    evaluate: Callable[..., tuple[int, str, str]], target_examples: ExampleSet, tmp_path: Path
) -> None:
    """All tied: ranking metrics are those of chance, by their definitions."""
    code, _, _ = evaluate(labels_of(target_examples), "--baselines", "prevalence")
    assert code == 0
    row = json.loads((tmp_path / "e" / "metrics.json").read_text())["models"][1]["metrics"]["GABPA"]
    share = row["prevalence"]
    assert row["auroc"] == 0.5
    assert row["average_precision"] == pytest.approx(share)
    assert row["aucpr"] == pytest.approx((1 + share) / 2)  # the published trapezoid
    assert row["mcc"] == 0
    assert (row["aucpr_low"], row["aucpr_high"]) == pytest.approx((row["aucpr"], row["aucpr"]))


def test_scores_that_are_not_numbers_name_the_model(
    evaluate: Callable[..., tuple[int, str, str]], target_examples: ExampleSet, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def broken(model, codes, **options):  # type: ignore[no-untyped-def]
        scores = np.zeros((len(codes), 1), np.float32)
        scores[2] = np.nan
        return scores

    monkeypatch.setattr("cistransfer.evaluation.baselines.score_codes", broken)
    code, said, error = evaluate(labels_of(target_examples))
    assert (code, said) == (2, "")
    assert "model 'run': task GABPA: logits: 1 of " in error
    assert "the first in row 2 (nan)" in error
    assert not (tmp_path / "e").exists()
