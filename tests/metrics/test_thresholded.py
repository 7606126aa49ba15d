"""Metrics of calls, and the threshold fitted on validation rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from cistransfer.errors import InputError
from cistransfer.metrics import thresholded
from cistransfer.metrics.thresholded import best_threshold, confusion

CALLS = ("mcc", "f1", "f1_negative", "weighted_f1", "precision", "recall", "accuracy")


def call_metrics(table: thresholded.Confusion) -> dict[str, float]:
    return {name: getattr(thresholded, name)(table) for name in CALLS}


labels_and_scores = st.lists(
    st.tuples(st.integers(0, 1), st.integers(-5, 5)), min_size=2, max_size=30
).map(lambda rows: ([row[0] for row in rows], [row[1] / 2 for row in rows]))


def test_literal_confusion_calls_at_or_above_the_threshold() -> None:
    labels = [1, 1, 0, 0, 1, -1]
    scores = [0.5, 0.4, 0.5, 0.1, 0.9, 0.9]
    table = confusion(labels, scores, 0.5)
    assert table == (2, 1, 1, 1)
    assert call_metrics(table) == pytest.approx(
        {
            "mcc": (2 * 1 - 1 * 1) / np.sqrt(3 * 3 * 2 * 2),
            "f1": 2 * 2 / (4 + 1 + 1),
            "f1_negative": 2 * 1 / (2 + 1 + 1),
            "weighted_f1": (3 * (4 / 6) + 2 * 0.5) / 5,
            "precision": 2 / 3,
            "recall": 2 / 3,
            "accuracy": 3 / 5,
        }
    )
    # the published code rounds: a probability of exactly 0.5 is not called there
    rounded = confusion(labels, np.round(scores), 0.5)
    assert rounded == (1, 0, 2, 2)


@given(labels_and_scores, st.integers(-6, 6))
@settings(max_examples=60)
def test_metrics_equal_scikit_learn(case: tuple[list[int], list[float]], cut: int) -> None:
    labels, scores = case
    threshold = cut / 2
    calls = [score >= threshold for score in scores]
    found = call_metrics(confusion(labels, scores, threshold))
    assert found["f1"] == pytest.approx(sk.f1_score(labels, calls, zero_division=0))
    assert found["f1_negative"] == pytest.approx(
        sk.f1_score(labels, calls, pos_label=0, zero_division=0)
    )
    assert found["weighted_f1"] == pytest.approx(
        sk.f1_score(labels, calls, average="weighted", zero_division=0)
    )
    assert found["precision"] == pytest.approx(sk.precision_score(labels, calls, zero_division=0))
    assert found["recall"] == pytest.approx(sk.recall_score(labels, calls, zero_division=0))
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(labels, calls))
    if len(set(labels)) == 2 and len(set(calls)) == 2:
        assert found["mcc"] == pytest.approx(sk.matthews_corrcoef(labels, calls))
    else:
        assert found["mcc"] == 0


def test_weights_equal_repeated_rows() -> None:
    labels, scores, weights = [1, 0, 1, 0], [0.2, 0.9, 0.8, 0.1], [3, 2, 0, 1]
    repeated = confusion(np.repeat(labels, weights), np.repeat(scores, weights), 0.5)
    assert confusion(labels, scores, 0.5, weights) == repeated == (0, 2, 1, 3)


def test_mcc_of_huge_counts_does_not_overflow() -> None:
    table = thresholded.Confusion(1e9, 1e8, 1e10, 1e7)
    assert 0.9 < call_metrics(table)["mcc"] < 1


def mcc_at(labels: list[int], scores: list[float], threshold: float) -> float:
    return thresholded.mcc(confusion(labels, scores, threshold))


@given(labels_and_scores)
@settings(max_examples=80)
def test_no_other_threshold_is_better(case: tuple[list[int], list[float]]) -> None:
    labels, scores = [0, 1, *case[0]], [0.0, 0.5, *case[1]]
    threshold = best_threshold(labels, scores)
    found = mcc_at(labels, scores, threshold)
    assert found >= max(mcc_at(labels, scores, cut) for cut in scores) - 1e-12
    order = np.random.default_rng(len(labels)).permutation(len(labels))
    assert best_threshold(np.array(labels)[order], np.array(scores)[order]) == threshold


def test_threshold_lies_half_way_and_ties_go_to_the_prevalence() -> None:
    assert best_threshold([0, 0, 1, 1], [-3.0, -1.0, 2.0, 4.0]) == 0.5
    # calling the first one or the first three both give an MCC of 1/3; two rows are bound
    labels, scores = [1, 0, 1, 0], [4.0, 3.0, 2.0, 1.0]
    assert mcc_at(labels, scores, 3.5) == pytest.approx(3**-0.5)
    assert mcc_at(labels, scores, 1.5) == pytest.approx(3**-0.5)
    assert best_threshold(labels, scores) == 3.5
    # -1 rows are never looked at
    assert best_threshold([0, -1, 1], [0.0, 0.6, 1.0]) == 0.5


def test_constant_scores_call_every_row() -> None:
    threshold = best_threshold([0, 1, 0], [0.25, 0.25, 0.25])
    assert threshold == 0.25
    assert confusion([0, 1, 0], [0.25] * 3, threshold) == (1, 2, 0, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threshold_separates_neighbouring_floats_at_either_precision(dtype: type) -> None:
    for low in (1.0, -1.0, 1e-30, 16777216.0, 3.0e38):
        lower = dtype(low)
        upper = np.nextafter(lower, dtype(np.inf))
        threshold = best_threshold([0, 1], np.array([lower, upper]))
        assert float(lower) < threshold <= float(upper)
        if dtype is np.float32:
            scores = np.array([lower, upper])
            assert (scores >= threshold).tolist() == [False, True]  # compared as float32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 1], [0.1, 0.2]), "no negatives"),
        (([1, 0], [0.1, np.nan]), "not numbers"),
    ],
)
def test_bad_input_is_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        best_threshold(*arguments)  # type: ignore[arg-type]


def test_confusion_refuses_no_rows_and_no_threshold() -> None:
    with pytest.raises(InputError, match="no resolved rows"):
        confusion([-1], [0.2], 0.5)
    with pytest.raises(InputError, match="found NaN"):
        confusion([1], [0.2], float("nan"))
    assert confusion([1, 1], [0.2, 0.7], 0.5) == (1, 0, 0, 1)  # one class is fine for calls
