"""Ranking metrics against naive loops, literal tables and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from cistransfer.errors import InputError
from cistransfer.metrics.curves import (
    aucpr,
    aucpr_interpolated,
    auroc,
    average_precision,
    cumulative_counts,
    pr_curve,
    rank_metrics,
    roc_curve,
)

AREAS = (aucpr, average_precision, aucpr_interpolated, auroc)


@st.composite
def ranked(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels of both classes and scores with many ties."""
    n = draw(st.integers(2, 40))
    labels = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    labels[0], labels[1] = 0, 1
    scores = draw(st.lists(st.integers(-6, 6), min_size=n, max_size=n))
    return np.array(labels, dtype=np.int8), np.array(scores, dtype=np.float32) / 4


def naive_auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    won = 0.0
    pairs = 0
    for score in scores[labels == 1]:
        for other in scores[labels == 0]:
            won += 1.0 if score > other else 0.5 if score == other else 0.0
            pairs += 1
    return won / pairs


def naive_interpolated(labels: np.ndarray, scores: np.ndarray, steps: int) -> float:
    """Walk from cut-off to cut-off in small steps of the true positives; trapezoids."""
    area, tp, fp = 0.0, 0.0, 0.0
    last = None
    for cut in sorted(set(scores.tolist()), reverse=True):
        more = float(((scores == cut) & (labels == 1)).sum())
        wrong = float(((scores == cut) & (labels == 0)).sum())
        if tp + fp > 0:
            last = tp / (tp + fp)
        for step in range(1, int(more * steps) + 1):
            at = tp + step / steps
            precision = at / (at + fp + wrong * step / (more * steps))
            area += (precision + (precision if last is None else last)) / 2 / steps
            last = precision
        tp, fp = tp + more, fp + wrong
    return area / float((labels == 1).sum())


@given(ranked())
@settings(max_examples=80)
def test_areas_equal_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = case
    precision, recall, _ = sk.precision_recall_curve(labels, scores)
    assert aucpr(labels, scores) == pytest.approx(sk.auc(recall, precision), abs=1e-12)
    assert average_precision(labels, scores) == pytest.approx(
        sk.average_precision_score(labels, scores), abs=1e-12
    )
    assert auroc(labels, scores) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)
    assert auroc(labels, scores) == pytest.approx(naive_auroc(labels, scores), abs=1e-12)


@given(ranked(), st.integers(0, 100))
@settings(max_examples=40)
def test_weighted_areas_equal_scikit_learn_and_repeated_rows(
    case: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    labels, scores = case
    weights = np.random.default_rng(seed).integers(0, 4, labels.size)
    weights[:2] += 1
    assert average_precision(labels, scores, weights) == pytest.approx(
        sk.average_precision_score(labels, scores, sample_weight=weights), abs=1e-12
    )
    assert auroc(labels, scores, weights) == pytest.approx(
        sk.roc_auc_score(labels, scores, sample_weight=weights), abs=1e-12
    )
    for area in AREAS:
        repeated = area(np.repeat(labels, weights), np.repeat(scores, weights))
        assert area(labels, scores, weights) == pytest.approx(repeated, abs=1e-12)


@given(ranked())
@settings(max_examples=60)
def test_interpolation_equals_a_walk_over_the_counts(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = case
    assert aucpr_interpolated(labels, scores) == pytest.approx(
        naive_interpolated(labels, scores, 400), abs=1e-5
    )


@given(ranked(), st.integers(0, 100))
@settings(max_examples=40)
def test_row_order_scale_and_unresolved_rows_never_matter(
    case: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    labels, scores = case
    order = np.random.default_rng(seed).permutation(labels.size)
    for area in AREAS:
        expected = area(labels, scores)
        assert 0 <= expected <= 1
        assert area(labels[order], scores[order]) == expected
        assert area(labels, np.exp(scores.astype(np.float64))) == expected
        padded = np.append(labels, [-1, -1]), np.append(scores, [99.0, np.nan])
        assert area(*padded) == expected


def test_literal_curve() -> None:
    labels = [1, 0, 1, 1, 0, 0]
    scores = [0.9, 0.8, 0.7, 0.7, 0.7, 0.1]
    tp, fp, cuts = cumulative_counts(labels, scores)
    assert tp.tolist() == [1, 1, 3, 3]
    assert fp.tolist() == [0, 1, 2, 3]
    assert cuts.tolist() == [0.9, 0.8, 0.7, 0.1]
    pr = pr_curve(labels, scores)
    assert pr.x.tolist() == [0, 1 / 3, 1 / 3, 1, 1]
    assert pr.y.tolist() == [1, 1, 0.5, 0.6, 0.5]
    assert pr.thresholds.tolist() == [np.inf, 0.9, 0.8, 0.7, 0.1]
    roc = roc_curve(labels, scores)
    assert roc.x.tolist() == [0, 0, 1 / 3, 2 / 3, 1]
    assert roc.y.tolist() == [0, 1 / 3, 1 / 3, 1, 1]
    assert aucpr(labels, scores) == pytest.approx(1 / 3 + (2 / 3) * 0.55)
    assert average_precision(labels, scores) == pytest.approx(1 / 3 + (2 / 3) * 0.6)
    assert auroc(labels, scores) == pytest.approx((3 + 2 * 1 + 2 * 0.5) / 9)


def test_constant_scores_are_defined() -> None:
    labels = np.array([1, 0, 0, 0] * 5)
    scores = np.full(20, 0.3)
    assert auroc(labels, scores) == 0.5
    assert average_precision(labels, scores) == 0.25
    assert aucpr_interpolated(labels, scores) == pytest.approx(0.25)
    assert aucpr(labels, scores) == pytest.approx((1 + 0.25) / 2)  # the trapezoid's optimism


def test_perfect_and_worst_rankings() -> None:
    labels = np.array([1, 1, 0, 0, 0])
    for area in AREAS:
        assert area(labels, [5, 4, 3, 2, 1]) == pytest.approx(1.0)
        assert area(labels, [1, 2, 3, 4, 5]) < 0.45
    assert auroc(labels, [1, 2, 3, 4, 5]) == 0


def test_infinite_scores_rank() -> None:
    assert auroc([1, 0, 1, 0], [np.inf, -np.inf, 1.0, 2.0]) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([1, 1], [0.1, 0.2], "no negatives among 2"),
        ([0, 0, -1], [0.1, 0.2, 0.3], "no positives among 2"),
        ([-1, -1], [0.1, 0.2], "no resolved rows"),
        ([], [], "no resolved rows"),
        ([1, 0, 0], [0.1, np.nan, 0.2], "1 of 3 are not numbers, the first in row 1"),
        ([-1, 1, 0], [0.1, 0.2, np.nan], "the first in row 2"),
        ([1, 2], [0.1, 0.2], "row 1 is 2"),
        ([1, 0.5], [0.1, 0.2], "row 1 is 0.5"),
        ([1, 0], [0.1, 0.2, 0.3], r"expected shape \(2,\)"),
        ([[1, 0]], [[0.1, 0.2]], "one dimension"),
        (["a", "b"], [0.1, 0.2], "expected numbers 1, 0 or -1"),
        ([1, 0], ["a", "b"], "expected numbers"),
    ],
)
def test_what_no_metric_is_defined_on_is_refused(
    labels: list[float], scores: list[float], message: str
) -> None:
    for area in AREAS:
        with pytest.raises(InputError, match=message) as caught:
            area(labels, scores)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -1.0], "not negative"),
        ([1.0, np.nan], "finite"),
        ([0.0, 1.0], "some weight on each class"),
        ([1.0], "expected shape"),
    ],
)
def test_impossible_weights_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        aucpr([1, 0], [0.1, 0.2], weights)


def test_rank_metrics_equal_the_single_ones_and_mark_the_rest() -> None:
    generator = np.random.default_rng(3)
    labels = generator.integers(-1, 2, (200, 6)).astype(np.int8)
    labels[:, 3] = np.where(labels[:, 3] == 1, 0, labels[:, 3])  # no positives
    labels[:, 4] = -1
    labels[:, 5] = 0
    labels[0, 5] = 1  # one positive
    scores = np.round(generator.normal(size=(200, 6)), 1).astype(np.float32)
    scores[labels == -1] = np.nan  # never looked at
    found = rank_metrics(labels, scores)
    for name, area in (
        ("auroc", auroc),
        ("average_precision", average_precision),
        ("aucpr", aucpr),
    ):
        expected = [
            np.nan if task in (3, 4) else area(labels[:, task], scores[:, task])
            for task in range(6)
        ]
        np.testing.assert_array_equal(found[name], expected)


def test_rank_metrics_refuse_divergence_and_wrong_shapes() -> None:
    labels = np.array([[1, 0], [0, 1]], dtype=np.int8)
    scores = np.array([[0.5, 0.1], [0.1, np.nan]], dtype=np.float32)
    with pytest.raises(InputError, match="1 of 2 of task 1 are NaN"):
        rank_metrics(labels, scores)
    with pytest.raises(InputError, match="one shape"):
        rank_metrics(labels, scores[:, :1])


def test_no_metric_changes_its_arguments() -> None:
    labels = np.array([1, 0, -1, 0], dtype=np.int8)
    scores = np.array([0.2, 0.3, 0.1, 0.0], dtype=np.float32)
    labels.flags.writeable = scores.flags.writeable = False
    for area in AREAS:
        area(labels, scores)
    rank_metrics(labels[:, None], scores[:, None])
