"""Figures of one evaluation show the numbers they were given; they are read back from the axes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.metrics.calibration import to_probability
from cistransfer.metrics.curves import aucpr, auroc, pr_curve, roc_curve
from cistransfer.report import figures


def sample(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, n)
    return labels, generator.normal(labels * 2.0 - 1, 1)


def test_ranking_curves_are_what_they_say() -> None:
    labels, scores = sample()
    left, right = figures.ranking_curves(labels, {"finetune": scores, "random": -scores}).axes
    for panel, curve, area in ((left, pr_curve, aucpr), (right, roc_curve, auroc)):
        line, expected = panel.lines[0], curve(labels, scores)
        np.testing.assert_array_equal(line.get_xdata(), expected.x)
        np.testing.assert_array_equal(line.get_ydata(), expected.y)
        assert line.get_label() == f"finetune  {area(labels, scores):.3f}"
    assert left.lines[2].get_ydata()[0] == labels.mean()


def test_a_small_panel_keeps_its_legend_under_its_label() -> None:
    labels, scores = sample(40)
    (panel,) = figures.ranking_curves(labels, {"m": scores}, panels=["roc"], size=(2.9, 2.3)).axes
    panel.figure.canvas.draw()
    legend = panel.get_legend()
    assert legend is not None
    assert legend.get_window_extent().y1 <= panel.xaxis.label.get_window_extent().y0


def test_long_curves_are_thinned_with_both_ends() -> None:
    labels, scores = sample(30_000)
    for panel in figures.ranking_curves(labels, {"m": scores}).axes:
        line = panel.lines[0]
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
