"""Figures show the numbers they were given; what is drawn is read back from the axes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.evaluation import comparison_figures, figures
from cistransfer.evaluation.recovery import recovery
from cistransfer.metrics.calibration import to_probability
from cistransfer.metrics.curves import aucpr, pr_curve


def sample(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, n)
    return labels, generator.normal(labels * 2.0 - 1, 1)


def results() -> pd.DataFrame:
    generator = np.random.default_rng(1)
    rows = [
        {
            "tf": tf,
            "size": size,
            "draw": draw,
            "strategy": strategy,
            "aucpr": base + gain + generator.normal(0, 0.01),
        }
        for tf, base in (("A", 0.6), ("B", 0.7), ("C", 0.65))
        for size in (50, 500)
        for draw in range(3)
        for strategy, gain in (("scratch", 0.0), ("finetune", 0.1))
    ]
    rows += [{"tf": tf, "strategy": "pwm", "aucpr": 0.6} for tf in "ABC"]
    rows += [{"tf": tf, "size": "all", "strategy": "full", "aucpr": 0.95} for tf in "ABC"]
    return pd.DataFrame(rows)


def test_precision_recall_draws_the_curve_and_names_its_area() -> None:
    labels, scores = sample()
    panel = figures.precision_recall(labels, {"finetune": scores, "random": -scores}).axes[0]
    curve = pr_curve(labels, scores)
    np.testing.assert_array_equal(panel.lines[0].get_xdata(), curve.x)
    np.testing.assert_array_equal(panel.lines[0].get_ydata(), curve.y)
    assert panel.lines[0].get_label() == f"finetune  {aucpr(labels, scores):.3f}"
    assert panel.lines[2].get_ydata()[0] == labels.mean()
    at_ten = figures.precision_recall(labels, {"finetune": scores}, ratio=10).axes[0]
    assert at_ten.lines[-1].get_ydata()[0] == pytest.approx(1 / 11)
    assert at_ten.get_ylabel() == "precision at 1:10"


def test_long_curves_are_thinned_with_both_ends() -> None:
    labels, scores = sample(30_000)
    for draw in (figures.precision_recall, figures.roc):
        line = draw(labels, {"m": scores}).axes[0].lines[0]
        assert 1000 < len(line.get_xdata()) < 2300
        assert (line.get_xdata()[0], line.get_xdata()[-1]) == (0, 1)


def test_reliability_shows_before_and_after() -> None:
    generator = np.random.default_rng(2)
    logits = generator.normal(0, 6, 4000)
    labels = (generator.random(4000) < to_probability(logits, 3)).astype(int)
    left, right = figures.reliability(labels, logits, 3.0).axes
    raw, cooled = left.lines[1:]
    assert len(right.patches) == 2
    assert np.abs(cooled.get_ydata() - cooled.get_xdata()).max() < 0.08
    assert np.abs(raw.get_ydata() - raw.get_xdata()).max() > 0.15
    assert len(figures.reliability(labels, logits).axes[0].lines) == 2


def test_learning_curve_marks_what_each_phase_kept() -> None:
    history = pd.DataFrame(
        {
            "phase": ["head", "head", "all", "all", "all"],
            "epoch": [1, 2, 1, 2, 3],
            "train_loss": [0.7, 0.6, 0.5, 0.4, 0.3],
            "valid_loss": [0.7, 0.65, 0.6, 0.5, 0.55],
            "valid_aucpr": [0.5, 0.6, 0.7, 0.8, 0.79],
            "best": [True, True, True, True, False],
        }
    )
    loss, ranking = figures.learning_curve(history, title="run").axes
    assert loss.lines[1].get_ydata().tolist() == history["valid_loss"].tolist()
    assert loss.lines[2].get_xdata().tolist() == [2, 4]
    assert ranking.lines[1].get_ydata().tolist() == [0.6, 0.8]
    bare = history[["train_loss", "valid_loss"]]
    (panel,) = figures.learning_curve(bare).axes
    assert panel.lines[2].get_xdata().tolist() == [4]
    with pytest.raises(InputError, match="expected rows with train_loss"):
        figures.learning_curve(history.drop(columns="valid_loss"))
    with pytest.raises(InputError, match="found no rows"):
        figures.learning_curve(history.iloc[:0])


def test_boxes_stand_in_the_order_of_training_size() -> None:
    table = (
        results()
        .query("size == 500")
        .assign(size=lambda rows: rows["tf"].map({"A": 900, "B": 70, "C": 400}))
    )
    panel, second = comparison_figures.box_plots(table).axes
    assert [text.get_text() for text in panel.get_xticklabels()] == ["B", "C", "A"]
    assert second.lines[0].get_ydata().tolist() == [70, 400, 900]
    drawn = np.concatenate([line.get_ydata() for line in panel.lines if line.get_marker() == "."])
    assert sorted(drawn) == sorted(table["aucpr"])
    (panel,) = comparison_figures.box_plots(results(), by="size").axes
    assert [text.get_text() for text in panel.get_xticklabels()] == ["50", "500", "all"]
    with pytest.raises(InputError, match='expected "tf" or "size"'):
        comparison_figures.box_plots(table, by="x")  # type: ignore[arg-type]


def test_differences_are_drawn_at_their_sizes() -> None:
    panel = comparison_figures.difference_by_size(results(), strategy="finetune").axes[0]
    points = panel.lines[0]
    assert points.get_xdata().tolist() == [50, 500] * 3
    assert np.allclose(points.get_ydata(), 0.1, atol=0.03)
    many = pd.concat([results().assign(tf=results()["tf"] + str(copy)) for copy in range(20)])
    crowded = comparison_figures.difference_by_size(many, strategy="finetune").axes[0]
    assert [line.get_label() for line in crowded.lines].count("finetune") == 1
    table = results()
    unsized = table[table["size"].isna() | (table["size"] == "all")]
    with pytest.raises(InputError, match="a number as its training size"):
        comparison_figures.difference_by_size(unsized)


def test_size_curve_levels_what_has_no_size() -> None:
    panel = comparison_figures.size_curve(results()).axes[0]
    lines = {line.get_label(): line for line in panel.lines}
    assert list(lines) == ["scratch", "finetune", "pwm", "full"]
    assert lines["pwm"].get_ydata().tolist() == pytest.approx([0.6] * 3)
    assert lines["pwm"].get_xdata().tolist()[:2] == [50, 500]
    assert [text.get_text() for text in panel.get_xticklabels()] == ["50", "500", "all"]


def test_recovery_curve_draws_the_median() -> None:
    table = recovery(results())
    panel = comparison_figures.recovery_curve(table).axes[0]
    lines = {line.get_label(): line for line in panel.lines}
    median = table.query("strategy == 'finetune'").groupby("size")["recovery"].median()
    assert lines["finetune"].get_ydata().tolist() == median[["50", "500"]].tolist()
    many = pd.concat([table.assign(tf=table["tf"] + str(copy)) for copy in range(20)])
    crowded = comparison_figures.recovery_curve(many).axes[0]
    assert (len(crowded.collections), len(crowded.lines)) == (2, 2 + 2)  # bands, medians, 0 and 1
    with pytest.raises(InputError, match="defined for no TF"):
        comparison_figures.recovery_curve(table.assign(recovery=np.nan))
