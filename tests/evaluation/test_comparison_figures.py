"""Figures show the numbers they were given; what is drawn is read back from the axes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.evaluation import comparison_figures
from cistransfer.evaluation.compare import recovery


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
