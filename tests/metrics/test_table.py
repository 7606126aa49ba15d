"""The whole row of metrics, for one task and for many."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cistransfer.errors import InputError
from cistransfer.metrics.bootstrap import bootstrap_values
from cistransfer.metrics.curves import at_imbalance, aucpr
from cistransfer.metrics.table import (
    METRICS,
    Metric,
    all_metrics,
    display,
    metric_of,
    per_task_metrics,
)

LABELS = np.array([1, 1, 0, 0, 0, -1], dtype=np.int8)
LOGITS = np.array([2.0, -1.0, 0.5, -2.0, -3.0, 9.0], dtype=np.float32)


def test_one_row() -> None:
    row = all_metrics(LABELS, LOGITS, threshold=-1.5, temperature=2.0)
    assert list(row)[:3] == ["n", "positives", "prevalence"]
    assert set(METRICS) < set(row)
    assert (row["n"], row["positives"], row["prevalence"]) == (5, 2, 0.4)
    assert (row["tp"], row["fp"], row["tn"], row["fn"]) == (2, 1, 2, 0)
    assert row["recall"] == 1
    assert row["precision"] == pytest.approx(2 / 3)
    assert row["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert row["auroc"] == pytest.approx(5 / 6)
    assert row["threshold"] == -1.5
    assert json.loads(json.dumps(row, allow_nan=False)) == row  # plain numbers only


def test_temperature_moves_only_what_judges_probabilities() -> None:
    cold, warm = (all_metrics(LABELS, LOGITS, temperature=value) for value in (1.0, 3.0))
    moved = {name for name in METRICS if cold[name] != warm[name]}
    assert moved == {"brier", "ece", "log_loss"}


def test_imbalance_columns_do_not_depend_on_the_negatives_number() -> None:
    doubled = np.concatenate([LABELS, LABELS[LABELS == 0]])
    logits = np.concatenate([LOGITS, LOGITS[LABELS == 0]])
    once, twice = all_metrics(LABELS, LOGITS), all_metrics(doubled, logits)
    assert once["aucpr_1to10"] == pytest.approx(twice["aucpr_1to10"])
    assert once["aucpr_1to1"] == pytest.approx(twice["aucpr_1to1"])
    assert once["aucpr"] != pytest.approx(twice["aucpr"])


@pytest.mark.parametrize(
    ("labels", "logits", "message"),
    [
        ([1, 1], [0.0, 1.0], "no negatives"),
        ([1, 0], [0.0, np.nan], "not numbers"),
        ([1, 0], [0.0, np.inf], "finite"),
        ([-1, -1], [0.0, 1.0], "no resolved rows"),
    ],
)
def test_what_has_no_metrics_is_refused(
    labels: list[int], logits: list[float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        all_metrics(labels, logits)


def test_many_tasks() -> None:
    labels = np.column_stack([LABELS, np.where(LABELS == 1, -1, LABELS), LABELS])
    logits = np.column_stack([LOGITS, LOGITS, LOGITS[::-1]])
    table = per_task_metrics(labels, logits, ["A", "B", "C"], threshold=[-1.5, 0, 0])
    assert table["task"].tolist() == ["A", "B", "C"]
    assert table["why"].tolist() == ["", "no positives among 3 resolved rows", ""]
    assert table["n"].tolist() == [5, 3, 5]
    assert table["positives"].tolist() == [2, 0, 2]
    assert table.loc[1, list(METRICS)].isna().all()
    assert table.loc[2, "aucpr"] == aucpr(LABELS, LOGITS[::-1])
    assert table.loc[[0, 2], "threshold"].tolist() == [-1.5, 0]
    assert table.loc[[0, 2], "tp"].tolist() == [2, 1]
    assert table.loc[0, list(METRICS)].to_dict() == {
        name: all_metrics(LABELS, LOGITS, -1.5)[name] for name in METRICS
    }


def test_many_tasks_name_the_one_that_is_wrong() -> None:
    logits = np.column_stack([LOGITS, LOGITS])
    logits[0, 1] = np.nan
    with pytest.raises(InputError, match="task B: logits: 1 of 5 are not numbers"):
        per_task_metrics(np.column_stack([LABELS, LABELS]), logits, ["A", "B"])
    with pytest.raises(InputError, match=r"shape \(n, 1\) for 1 tasks"):
        per_task_metrics(np.column_stack([LABELS, LABELS]), logits, ["A"])
    with pytest.raises(InputError, match="threshold: expected one number or 2"):
        per_task_metrics(
            np.column_stack([LABELS, LABELS]), logits, ["A", "B"], threshold=[1.0, 2.0, 3.0]
        )


def test_only_unevaluable_tasks_still_give_a_table() -> None:
    table = per_task_metrics(np.full((2, 1), -1), np.zeros((2, 1)), ["A"])
    assert table.loc[0, "why"] == "no resolved rows"
    assert table["aucpr"].isna().all()


@pytest.mark.parametrize("name", list(METRICS))
def test_a_metric_takes_weights_as_it_would_repeated_rows(name: str) -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat([1, 0, -1], [20, 30, 5])
    logits = rng.normal(labels, 1.0)
    times = rng.integers(1, 4, labels.size)
    metric = metric_of(name)
    values = metric.values(logits, 0.3, 1.7)
    repeated = metric.function(np.repeat(labels, times), np.repeat(values, times))
    assert metric.function(labels, values, weights=times) == pytest.approx(repeated)
    assert metric.function(labels, values) == all_metrics(labels, logits, 0.3, 1.7)[name]
    ((value, draws),) = bootstrap_values(labels, {"m": values}, metric.function, draws=4).values()
    assert value == pytest.approx(metric.function(labels, values))
    assert np.isfinite(draws).all()


@pytest.mark.parametrize("name", list(METRICS))
def test_a_metric_knows_its_better_side(name: str) -> None:
    labels = np.repeat([1, 0], [40, 60])
    logits = np.where(labels == 1, 1.0, -1.0) + np.random.default_rng(5).normal(0, 0.8, 100)
    good, bad = all_metrics(labels, logits)[name], all_metrics(labels, -logits)[name]
    assert (good > bad) == (METRICS[name].better == "high")


def test_an_added_metric_is_in_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def hits(labels, calls, weights=None) -> float:
        return float((np.asarray(labels) == np.asarray(calls)).sum())

    monkeypatch.setitem(METRICS, "hits", Metric("hits", "calls that are right", hits, "call"))
    row = all_metrics(LABELS, LOGITS, threshold=-1.5)
    assert row["hits"] == row["tp"] + row["tn"] == 4
    table = per_task_metrics(LABELS[:, None], LOGITS[:, None], ["A"], -1.5)
    assert table.loc[0, "hits"] == 4
    assert display("hits") == METRICS["hits"].heading == "calls that are right"
    assert display("some_column") == "some column"
    with pytest.raises(InputError, match="no metric 'hit'; nearest: hits"):
        metric_of("hit")


def test_imbalance_of_weighted_rows() -> None:
    weights = [1, 3, 2, 0.5, 1, 7]
    doubled = np.multiply(weights, np.where(LABELS == 0, 2, 1))
    one = at_imbalance(LABELS, LOGITS, 10, weights=weights)
    assert one == pytest.approx(at_imbalance(LABELS, LOGITS, 10, weights=doubled))
    assert one != pytest.approx(at_imbalance(LABELS, LOGITS, 10))
