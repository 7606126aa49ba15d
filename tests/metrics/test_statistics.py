"""Tests and intervals against enumeration, scipy, and simulations whose truth is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cistransfer.errors import InputError
from cistransfer.metrics.statistics import (
    bonferroni,
    clustered_bootstrap,
    kruskal_wallis,
    least_p,
    paired_effect,
    welch_t,
    wilcoxon_signed_rank,
)


def enumerated(differences: list[float]) -> float:
    """Two-sided p by trying every assignment of signs to the ranks."""
    kept = np.array([value for value in differences if value != 0])
    ranks = stats.rankdata(np.abs(kept))
    observed = min(ranks[kept > 0].sum(), ranks[kept < 0].sum())
    sums = [
        ranks[np.array(signs, dtype=bool)].sum()
        for signs in itertools.product((0, 1), repeat=kept.size)
    ]
    return min(1.0, 2 * float(np.mean(np.array(sums) <= observed + 1e-9)))


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
@settings(max_examples=50)
def test_signed_rank_equals_trying_every_sign(values: list[int]) -> None:
    found = wilcoxon_signed_rank(values, np.zeros(len(values)))
    assert found.p == pytest.approx(enumerated(values) if any(values) else 1.0)
    assert found.n == len(values)
    assert wilcoxon_signed_rank(np.zeros(len(values)), values).p == found.p


def test_signed_rank_equals_scipy_exact_and_approximate() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(0.2, 1, 40), generator.normal(0, 1, 40)
    expected = stats.wilcoxon(first, second, method="exact")
    found = wilcoxon_signed_rank(first, second)
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    first, second = generator.normal(0.1, 1, 300), generator.normal(0, 1, 300)
    expected = stats.wilcoxon(first, second, method="asymptotic", correction=False)
    assert wilcoxon_signed_rank(first, second).p == pytest.approx(expected.pvalue)


def test_signed_rank_reproduces_a_published_p() -> None:
    """39 of 49 TFs improve and the 10 losers lose least: p is far below one in a million."""
    differences = np.concatenate([np.linspace(0.03, 0.3, 39), -np.linspace(0.001, 0.025, 10)])
    p = wilcoxon_signed_rank(differences, np.zeros(49)).p
    assert 0 < p < 1e-6


def test_rounding_makes_no_ranks() -> None:
    assert 0.1 + 0.2 > 0.3
    assert wilcoxon_signed_rank(np.full(6, 0.1 + 0.2), np.full(6, 0.3)).p == 1.0


def test_what_cannot_be_tested_says_why() -> None:
    assert wilcoxon_signed_rank([], []).why == "no pairs"
    assert np.isnan(wilcoxon_signed_rank([], []).p)
    assert wilcoxon_signed_rank([1, 2, 3], [1, 2, 3]).p == 1
    assert welch_t([1.0], [1.0, 2.0]).why == "fewer than 2 values in a group"
    assert welch_t([1.0, 1.0], [2.0, 2.0]).why == "no spread in either group"
    assert kruskal_wallis({"a": [1.0, 2.0]}).why == "fewer than 2 groups"
    assert kruskal_wallis({"a": [1.0, 2.0], "b": []}).why == "an empty group"
    assert kruskal_wallis({"a": [1.0, 1.0], "b": [1.0]}).why == "all values are equal"


@pytest.mark.parametrize("test", [wilcoxon_signed_rank, welch_t])
def test_nan_is_refused(test: object) -> None:
    with pytest.raises(InputError, match="1 of 2 values are not finite"):
        test([1.0, np.nan], [1.0, 2.0])  # type: ignore[operator]


def test_pairs_must_be_pairs() -> None:
    with pytest.raises(InputError, match="found 2 and 3"):
        wilcoxon_signed_rank([1, 2], [1, 2, 3])
    with pytest.raises(InputError, match="one dimension"):
        welch_t([[1.0, 2.0]], [1.0, 2.0])


def test_welch_and_kruskal_equal_their_formulas() -> None:
    a, b = np.array([3.0, 4.0, 8.0]), np.array([1.0, 2.0, 2.0, 3.0])
    squared = a.var(ddof=1) / 3 + b.var(ddof=1) / 4
    assert welch_t(a, b).statistic == pytest.approx((a.mean() - b.mean()) / np.sqrt(squared))
    degrees = squared**2 / ((a.var(ddof=1) / 3) ** 2 / 2 + (b.var(ddof=1) / 4) ** 2 / 3)
    assert welch_t(a, b).p == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert welch_t(b, a).p == pytest.approx(2 * stats.t.sf(welch_t(a, b).statistic, degrees))
    one_constant = welch_t([0.7, 0.7, 0.7], [0.5, 0.6, 0.55])
    expected = stats.ttest_1samp([0.5, 0.6, 0.55], 0.7).pvalue
    assert one_constant.p == pytest.approx(expected)  # never a warning
    groups = {"x": [1.0, 2.0, 3.0], "y": [4.0, 5.0, 6.0], "z": [7.0, 8.0, 9.0]}
    # ranks 1..9, mean ranks 2, 5, 8: H = 12 / (9 x 10) x 3 x (9 + 0 + 9)
    assert kruskal_wallis(groups).statistic == pytest.approx(7.2)
    assert kruskal_wallis(groups).p == pytest.approx(stats.chi2.sf(7.2, 2))


def test_bonferroni_counts_only_tests_that_were_made() -> None:
    found = bonferroni([0.01, np.nan, 0.5, 0.04])
    np.testing.assert_allclose(found, [0.03, np.nan, 1.0, 0.12])


def test_least_p() -> None:
    assert least_p(5) == 0.0625
    assert least_p(6) == pytest.approx(wilcoxon_signed_rank(np.arange(1, 7), np.zeros(6)).p)
    assert least_p(1) == 1


def test_each_tf_counts_once() -> None:
    values, tfs = [1.0, 1.0, 1.0, 4.0], ["A", "A", "A", "B"]
    assert clustered_bootstrap(values, tfs).estimate == 2.5
    order = [3, 0, 2, 1]
    shuffled = clustered_bootstrap([values[i] for i in order], [tfs[i] for i in order])
    assert shuffled == clustered_bootstrap(values, tfs)
    assert clustered_bootstrap(values).estimate == 1.75


def test_one_tf_says_nothing_about_others() -> None:
    found = clustered_bootstrap([1.0, 2.0, 3.0], ["A", "A", "A"])
    assert found.estimate == 2
    assert np.isnan([found.low, found.high]).all()


def test_few_tfs_widen_the_percentiles() -> None:
    values = np.array([0.0, 1.0, 3.0, 4.0, 9.0])
    drawn = values[np.random.default_rng(3).integers(0, 5, (10_000, 5))].mean(axis=1)
    tail = stats.norm.cdf(-np.sqrt(5 / 4) * 2.776445)  # the 97.5 % point of t with 4 degrees
    assert tail < 0.001
    found = clustered_bootstrap(values, seed=3)
    assert found[1:] == pytest.approx(tuple(np.quantile(drawn, [tail, 1 - tail])), abs=1e-6)


@pytest.mark.parametrize("tfs", [5, 12])
def test_clustered_intervals_cover_and_those_of_single_rows_do_not(tfs: int) -> None:
    generator = np.random.default_rng(5)
    covered = naive = 0
    for _ in range(150):
        truth = generator.normal(0, 1, tfs)  # what each TF gains
        values = (truth[:, None] + generator.normal(0, 0.3, (tfs, 8))).ravel()
        names = np.repeat(np.arange(tfs), 8)
        low, high = clustered_bootstrap(values, names, draws=1000)[1:]
        covered += low <= 0 <= high
        low, high = clustered_bootstrap(values, draws=1000)[1:]
        naive += low <= 0 <= high
    assert covered >= 0.89 * 150
    assert naive < 0.75 * 150


def test_effect() -> None:
    found = paired_effect([3.0, 2.0, 5.0, 1.0], [1.0, 2.0, 2.0, 2.0])
    differences = np.array([2.0, 0.0, 3.0, -1.0])
    assert (found.mean, found.wins, found.losses) == (1.0, 2, 1)
    assert found.standardised == pytest.approx(1 / differences.std(ddof=1))
    assert found.interval.low < 1 < found.interval.high
    assert np.isnan(paired_effect([1.0], [0.5]).standardised)
    assert np.isnan(paired_effect([1.0, 2.0], [0.5, 1.5]).standardised)  # no spread


def test_bad_bootstraps_are_refused() -> None:
    with pytest.raises(InputError, match="at least one value"):
        clustered_bootstrap([])
    with pytest.raises(InputError, match="one for each of 2"):
        clustered_bootstrap([1.0, 2.0], ["A"])
    with pytest.raises(InputError, match="level"):
        clustered_bootstrap([1.0, 2.0], level=95)
