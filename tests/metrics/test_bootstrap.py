"""Intervals cover, imbalance is what its formula says."""

from __future__ import annotations

import numpy as np
import pytest

from cistransfer.errors import InputError
from cistransfer.metrics.bootstrap import (
    Interval,
    bootstrap_values,
    percentile_interval,
    region_blocks,
)
from cistransfer.metrics.curves import (
    at_imbalance,
    aucpr,
    auroc,
    average_precision,
    imbalance_weights,
    pr_curve,
)
from cistransfer.metrics.thresholded import confusion, mcc


def interval_of(labels, scores, metric=aucpr, *, level=0.95, **options) -> Interval:
    found = bootstrap_values(labels, {"the model": scores}, metric, **options)["the model"]
    return percentile_interval(*found, level)


def gap_of(labels, scores, other, **options) -> Interval:
    (first, firsts), (second, seconds) = bootstrap_values(
        labels, {"the model": scores, "the other": other}, **options
    ).values()
    return percentile_interval(first - second, firsts - seconds)


def sample(n: int, seed: int, shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.repeat([1, 0], [n // 2, n - n // 2])
    return labels, generator.normal(labels * shift, 1)


def test_interval_of_auroc_covers_the_truth_about_as_often_as_it_says() -> None:
    truth = 0.7602499  # Phi(1 / sqrt 2)
    covered = 0
    for seed in range(60):
        interval = interval_of(*sample(120, seed), auroc, draws=200, level=0.9, seed=seed)
        assert interval.low <= interval.estimate <= interval.high
        covered += interval.low <= truth <= interval.high
    assert 48 <= covered <= 60


def test_intervals_repeat_by_seed_and_ignore_row_order_in_estimate() -> None:
    labels, scores = sample(80, 4)
    first = interval_of(labels, scores, draws=50, seed=1)
    assert first == interval_of(labels, scores, draws=50, seed=1)
    assert first != interval_of(labels, scores, draws=50, seed=2)
    assert first.estimate == pytest.approx(aucpr(labels, scores))
    padded = interval_of(np.append(labels, -1), np.append(scores, np.nan), draws=50, seed=1)
    assert padded == first


def test_an_interval_equals_its_naive_loop() -> None:
    labels, scores = sample(40, 5)
    truth, values = labels, scores
    generator = np.random.default_rng(7)
    drawn = []
    for _ in range(30):
        rows = np.concatenate(
            [
                members[generator.integers(0, members.size, members.size)]
                for members in (np.flatnonzero(truth == 1), np.flatnonzero(truth == 0))
            ]
        )
        drawn.append(average_precision(truth[rows], values[rows]))
    found = interval_of(labels, scores, average_precision, draws=30, seed=7)
    assert found[1:] == pytest.approx(np.quantile(drawn, [0.025, 0.975]))


def test_draws_keep_the_numbers_of_both_classes() -> None:
    labels, scores = np.array([1, 1, 0, 0, 0]), np.array([3.0, 1.0, 2.0, 0.0, -1.0])
    seen = []

    def prevalence(truth: np.ndarray, _: np.ndarray, weights: np.ndarray) -> float:
        seen.append(float(weights[truth].sum()))
        return seen[-1] / weights.sum()

    interval_of(labels, scores, prevalence, draws=20)
    assert set(seen) == {2.0}


def test_thresholded_metrics_bootstrap_too() -> None:
    labels, scores = sample(60, 6)

    def metric(*rows: np.ndarray, weights: np.ndarray) -> float:
        return mcc(confusion(*rows, 0.5, weights))

    found = interval_of(labels, scores, metric, draws=50)
    assert found.estimate == pytest.approx(mcc(confusion(labels, scores, 0.5)))


def test_a_difference_is_paired() -> None:
    labels, scores = sample(200, 8)
    nearly = scores + np.random.default_rng(9).normal(0, 0.05, scores.size)
    paired = gap_of(labels, scores, nearly, draws=100)
    alone = interval_of(labels, scores, draws=100)
    assert paired.high - paired.low < (alone.high - alone.low) / 3
    assert gap_of(labels, scores, scores, draws=10) == (0, 0, 0)
    worse = gap_of(labels, scores, -scores, draws=50)
    assert worse.low > 0
    assert worse.estimate == pytest.approx(aucpr(labels, scores) - aucpr(labels, -scores))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"draws": 0}, "draws"), ({"level": 1.0}, "level"), ({"level": 95}, "level")],
)
def test_bad_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        interval_of([1, 0], [1, 0], **options)


def test_imbalance_is_precision_from_the_two_rates() -> None:
    labels, scores = sample(100, 10)
    curve = pr_curve(labels, scores, imbalance_weights(labels, 10))
    for cut, recall, precision in zip(curve.thresholds[1:], curve.x[1:], curve.y[1:], strict=True):
        tpr = (scores[labels == 1] >= cut).mean()
        fpr = (scores[labels == 0] >= cut).mean()
        assert recall == pytest.approx(tpr)
        assert precision == pytest.approx(tpr / (tpr + 10 * fpr))


def test_imbalance_equals_repeating_the_negatives() -> None:
    labels, scores = sample(100, 11)
    times = np.where(labels == 1, 1, 10)
    repeated = np.repeat(labels, times), np.repeat(scores, times)
    assert at_imbalance(labels, scores, 10) == pytest.approx(aucpr(*repeated))
    assert at_imbalance(labels, scores, 1) == pytest.approx(aucpr(labels, scores))
    assert at_imbalance(*repeated, 1) == pytest.approx(aucpr(labels, scores))


def test_imbalance_weights_literal() -> None:
    found = imbalance_weights([1, 0, 0, -1, 0, 0, 1], 10)
    assert found.tolist() == [1, 5, 5, 0, 5, 5, 1]
    for ratio in (0, -1, np.inf, np.nan):
        with pytest.raises(InputError, match="ratio"):
            imbalance_weights([1, 0], ratio)


def test_many_draws_at_once_equal_one_by_one() -> None:
    labels, scores = sample(90, 12)
    scores = np.round(scores, 1)  # ties
    padded, with_nan = np.append(labels, -1), np.append(scores, np.nan)
    for options in ({}, {"blocks": np.append(np.arange(90) // 4, 99)}):
        fast = bootstrap_values(padded, {"a": with_nan}, draws=40, **options)["a"]
        slow = bootstrap_values(
            padded,
            {"a": with_nan},
            lambda *rows, weights: aucpr(*rows, weights),
            draws=40,
            **options,
        )["a"]
        assert fast[0] == slow[0]
        assert np.allclose(fast[1], slow[1], atol=1e-12)


def test_blocks_equal_their_naive_loop() -> None:
    labels, scores = sample(60, 13)
    order = np.random.default_rng(0).permutation(60)
    labels, scores, blocks = labels[order], scores[order], np.arange(60) // 5
    generator = np.random.default_rng(3)
    drawn = []
    while len(drawn) < 25:
        rows = np.concatenate(
            [np.flatnonzero(blocks == block) for block in generator.integers(0, 12, 12)]
        )
        if len(set(labels[rows])) < 2:
            continue
        # each class weighs as much as in the data: prevalence is a choice of the test set's maker
        weights = np.where(labels[rows] == 1, 30 / (labels[rows] == 1).sum(),
                           30 / (labels[rows] == 0).sum())  # fmt: skip
        drawn.append(average_precision(labels[rows], scores[rows], weights))
    found = interval_of(labels, scores, average_precision, draws=25, seed=3, blocks=blocks)
    assert found[1:] == pytest.approx(np.quantile(drawn, [0.025, 0.975]))


def test_blocks_are_wider_where_neighbours_are_alike() -> None:
    """Every region ten times over: rows look ten times as many as they are, blocks do not."""
    labels, scores = sample(100, 14)
    many, copied = np.repeat(labels, 10), np.repeat(scores, 10)
    rows = interval_of(many, copied, auroc, draws=200)
    blocks = interval_of(many, copied, auroc, draws=200, blocks=np.repeat(range(100), 10))
    alone = interval_of(labels, scores, auroc, draws=200)
    assert (blocks.high - blocks.low) == pytest.approx(alone.high - alone.low, rel=0.25)
    assert (blocks.high - blocks.low) > 2 * (rows.high - rows.low)
    gap = gap_of(many, copied, copied, draws=20, blocks=np.repeat(range(100), 10))
    assert gap == (0, 0, 0)


def test_region_blocks_literal() -> None:
    chroms = ["chr2", "chr1", "chr1", "chr1", "chr2"]
    starts = [5, 1_999_999, 2_000_000, 1_000_000, 999_999]
    assert region_blocks(chroms, starts).tolist() == [2, 0, 1, 0, 2]
    with pytest.raises(InputError, match="expected at least 10 of them to resample, found 3"):
        interval_of([1, 0, 1], [3, 2, 1], blocks=[1, 2, 3])
    with pytest.raises(InputError, match=r"blocks: expected shape \(3,\)"):
        interval_of([1, 0, 1], [3, 2, 1], blocks=[1, 2])
