"""Calibration: literal tables, scikit-learn, and temperatures that are known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from cistransfer.errors import InputError
from cistransfer.metrics.calibration import (
    RELIABILITY_COLUMNS,
    brier,
    expected_calibration_error,
    fit_temperature,
    log_loss,
    reliability_bins,
    to_probability,
)


def test_to_probability() -> None:
    logits = np.array([-1000.0, -2.0, 0.0, 2.0, 1000.0], dtype=np.float32)
    found = to_probability(logits, 2.0)
    assert found == pytest.approx([0, 1 / (1 + np.e), 0.5, 1 / (1 + np.exp(-1)), 1])
    assert found.dtype == np.float64
    with pytest.raises(InputError, match="above 0"):
        to_probability(logits, 0.0)


def test_literal_reliability() -> None:
    labels = [0, 1, 0, 1, 1, -1]
    probabilities = [0.0, 0.1, 0.19, 0.95, 1.0, 0.5]
    table = reliability_bins(labels, probabilities)
    assert tuple(table) == RELIABILITY_COLUMNS
    assert table["n"].tolist() == [1, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert table["mean_probability"][[0, 1, 9]] == pytest.approx([0, 0.145, 0.975])
    assert table["observed"][[0, 1, 9]].tolist() == [0, 0.5, 1]
    assert np.isnan(table["observed"][2:9]).all()
    error = expected_calibration_error(labels, probabilities)
    assert error == pytest.approx((0 + 2 * 0.355 + 2 * 0.025) / 5)
    squares = 0.9**2 + 0.19**2 + 0.05**2
    assert brier(labels, probabilities) == pytest.approx(squares / 5)


def test_bins_hold_their_lower_edge() -> None:
    edges = np.linspace(0, 1, 11)
    table = reliability_bins(np.ones(11, dtype=int), edges)
    assert table["n"].tolist() == [1] * 9 + [2]


def test_scores_equal_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3, 500)
    labels = (generator.random(500) < to_probability(logits, 2)).astype(int)
    assert brier(labels, to_probability(logits)) == pytest.approx(
        sk.brier_score_loss(labels, to_probability(logits))
    )
    assert log_loss(labels, logits, 1.7) == pytest.approx(
        sk.log_loss(labels, to_probability(logits, 1.7))
    )


def test_weights_equal_repeated_rows() -> None:
    labels, probabilities, weights = [0, 1, 1], [0.3, 0.35, 0.9], [2, 1, 3]
    repeated = np.repeat(labels, weights), np.repeat(probabilities, weights)
    for measure in (brier, expected_calibration_error):
        assert measure(labels, probabilities, weights) == pytest.approx(measure(*repeated))
    assert log_loss(labels, probabilities, 2.0, weights) == pytest.approx(log_loss(*repeated, 2.0))


@pytest.mark.parametrize("true", [0.4, 1.0, 3.0])
def test_a_known_temperature_is_found(true: float) -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(0, 2, 40_000)
    labels = (generator.random(logits.size) < to_probability(logits, true)).astype(int)
    found = fit_temperature(labels, logits)
    assert found == pytest.approx(true, rel=0.03)
    # nothing near it is better, and scaling the logits scales it
    best = log_loss(labels, logits, found)
    assert best <= min(
        log_loss(labels, logits, found * factor) for factor in (0.98, 1.02, 1 / true)
    )
    assert fit_temperature(labels, 2 * logits) == pytest.approx(2 * found, rel=1e-5)


def test_temperature_lowers_the_calibration_error_and_keeps_the_ranking() -> None:
    generator = np.random.default_rng(2)
    logits = generator.normal(0, 6, 5_000)
    labels = (generator.random(logits.size) < to_probability(logits, 4)).astype(int)
    temperature = fit_temperature(labels[:2500], logits[:2500])
    before, after = (
        expected_calibration_error(labels[2500:], to_probability(logits[2500:], value))
        for value in (1.0, temperature)
    )
    assert after < before / 2


def test_few_rows_ranked_perfectly_do_not_become_certain() -> None:
    labels = [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    logits = [1.0, 0.5, 0.7, -1.0, -0.5, -0.8, -0.6, -1.2, -0.9, -0.4]
    smoothed = fit_temperature(labels, logits)
    assert 0.2 < smoothed < 1
    assert to_probability(0.7, smoothed) < 0.95
    # Platt's targets: 3 positives aim at 4/5, 7 negatives at 1/9
    grid = np.linspace(0.1, 2, 20_001)
    targets = np.where(labels, 4 / 5, 1 / 9)
    probability = 1 / (1 + np.exp(-np.array(logits) / grid[:, None]))
    losses = -(targets * np.log(probability) + (1 - targets) * np.log(1 - probability)).sum(axis=1)
    assert smoothed == pytest.approx(grid[losses.argmin()], abs=2e-4)


def test_logits_that_rank_wrongly_go_to_the_upper_bound() -> None:
    assert fit_temperature([1, 0, 1, 0], [-2.0, 2.0, -1.0, 1.0]) == pytest.approx(20, rel=1e-5)


def test_zero_logits_keep_their_temperature() -> None:
    assert fit_temperature([1, 0, 1], [0.0, 0.0, 0.0]) == 1.0


@pytest.mark.parametrize(
    ("labels", "logits", "message"),
    [
        ([1, 1], [0.1, 2.0], "no negatives"),
        ([1, 0], [np.inf, 2.0], "finite score"),
        ([1, 0], [np.nan, 2.0], "logits: 1 of 2 are not numbers"),
    ],
)
def test_temperature_refuses(labels: list[int], logits: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_temperature(labels, logits)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match=r"1 of 2 lie outside 0..1, for example 1.5"):
        brier([1, 0], [1.5, 0.2])
    with pytest.raises(InputError, match="at least 1"):
        reliability_bins([1, 0], [0.5, 0.2], bins=0)
    with pytest.raises(InputError, match="no resolved rows"):
        brier([-1], [0.5])
    with pytest.raises(InputError, match="above 0"):
        log_loss([1, 0], [0.5, 0.2], -1.0)
