"""The verdict: the model against what is cheap, by the interval of the difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.evaluation.regions import compare_scores
from cistransfer.evaluation.results import Evaluation, ModelScore, TaskScore
from cistransfer.evaluation.verdict import judge, verdict_of
from cistransfer.metrics.table import all_metrics


def world(n: int = 120, start: int = 5_000_000, **shift: float) -> tuple[Evaluation, pd.DataFrame]:
    """Rows of half bound regions; a model ranks as well as its shift; equal noise for all."""
    rng = np.random.default_rng(1)
    labels = np.tile([1, 0], n // 2)
    noise = rng.normal(size=n)
    table = pd.DataFrame({"chrom": "chr1", "start": np.arange(n) * start, "label T": labels})
    models = []
    for name, each in shift.items():
        table[f"{name} T"] = each * labels + noise + 0.2 * rng.normal(size=n)
        row = TaskScore.from_json(all_metrics(labels, table[f"{name} T"]))
        run = None if name in ("motif", "kmer", "gc") else f"runs/{name}"
        models.append(ModelScore(name, name, {"T": row}, run=run))
    return Evaluation("sha256:1", "test", ("T",), tuple(models)), table


@pytest.mark.parametrize(
    ("model", "word", "advice"),
    [
        (2.5, "better", "use the model"),
        (1.0, "undecided", "cannot be told apart"),
        (0.2, "worse", "use its known motif instead of the model"),
    ],
)
def test_the_interval_of_the_difference_decides(model: float, word: str, advice: str) -> None:
    found, table = world(model=model, motif=1.0, gc=0.0)
    said = judge(found, table, "T", draws=200)
    assert said.word == word
    assert advice in said.sentence
    assert said.best is not None
    assert said.best.name == "motif"
    low, high = said.best.difference[1:]
    assert {"better": low > 0, "worse": high < 0, "undecided": low <= 0 <= high}[word]
    assert f"{100 * said.auroc.estimate:.0f} times in 100" in said.sentence


def test_one_better_baseline_is_enough_to_be_worse() -> None:
    found, table = world(model=1.0, motif=0.2, kmer=2.5)
    said = judge(found, table, "T", draws=200)
    assert [each.word for each in said.against] == ["worse", "better"]
    assert said.word == "worse"
    assert "use k-mers instead" in said.sentence


def test_trained_rivals_do_not_decide_and_without_a_baseline_nothing_does() -> None:
    found, table = world(model=1.0, scratch=2.5)
    said = judge(found, table, "T", draws=200)
    assert said.word == "alone"
    assert [(each.cheap, each.word) for each in said.against] == [(False, "worse")]
    assert "no baseline was evaluated" in said.sentence


def test_the_wider_of_two_bootstraps_stands() -> None:
    """Regions, and blocks of neighbours where there are ten; the same resamples for both rows."""
    found, table = world(model=1.5, motif=1.0)
    near = table.assign(start=np.arange(len(table)) // 8 * 1_000_000)  # 15 blocks of eight
    alone, blocked = (judge(found, rows, "T", draws=300) for rows in (table, near))
    scores = {name: table[f"{name} T"] for name in ("model", "motif")}
    naive = compare_scores(table["label T"], scores, "motif", draws=300)
    gap = naive.set_index("strategy").loc["model", ["difference_low", "difference_high"]]
    for said in (alone, blocked):
        assert said.best is not None
        assert said.best.difference.low <= gap.iloc[0]
        assert said.best.difference.high >= gap.iloc[1]
    assert blocked.against[0].difference != alone.against[0].difference


def test_what_cannot_be_judged(tmp_path: Path) -> None:
    _, table = world(model=1.0, gc=0.0)
    empty = ModelScore("model", "model", {"T": TaskScore(3, 3, {}, why="no unbound regions")})
    with pytest.raises(InputError, match="T: no unbound regions"):
        judge(Evaluation("sha256:1", "test", ("T",), (empty,)), table, "T")
    with pytest.raises(InputError, match=r"metrics\.json"):
        verdict_of(tmp_path)
