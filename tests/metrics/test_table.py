"""The whole row of metrics, for one task and for many."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cistransfer.errors import InputError
from cistransfer.metrics.curves import aucpr
from cistransfer.metrics.table import METRICS, all_metrics, per_task_metrics

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
