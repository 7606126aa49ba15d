"""Tests and intervals for paired results: the papers' tests, and the bootstrap over TFs.

`clustered_bootstrap` says what other TFs would have given; what other test regions would have
given says `cistransfer.metrics.bootstrap`.

Results of one TF (draws, seeds) are not independent, and TFs share regions: tests and intervals
belong on one value per TF. A test that cannot be made gives NaN and says why; it never warns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cistransfer.errors import InputError
from cistransfer.metrics.bootstrap import Interval

__all__ = [
    "Effect",
    "TestResult",
    "bonferroni",
    "clustered_bootstrap",
    "kruskal_wallis",
    "least_p",
    "paired_effect",
    "welch_t",
    "wilcoxon_signed_rank",
]

Floats = NDArray[np.float64]
_EXACT_UP_TO = 200


@dataclass(frozen=True)
class TestResult:
    """Outcome of a two-sided test.

    Attributes
    ----------
    test : str
        Its name.
    statistic, p : float
        NaN where the test cannot be made.
    n : int
        Number of values (pairs, for a paired test) that it rests on.
    why : str
        Why there is no result, or empty.
    """

    __test__ = False  # not a class of tests, whatever pytest thinks of the name

    test: str
    statistic: float
    p: float
    n: int
    why: str = ""


@dataclass(frozen=True)
class Effect:
    """Size of a paired difference (first minus second).

    Attributes
    ----------
    mean : float
        Of the differences.
    interval : Interval
        Of the mean (`clustered_bootstrap`).
    standardised : float
        Mean over the standard deviation of the differences (Cohen's d_z); NaN below two pairs or
        without spread.
    wins, losses : int
        Pairs in which the first is larger, smaller.
    """

    mean: float
    interval: Interval
    standardised: float
    wins: int
    losses: int


def _numbers(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise InputError(f"{name}: expected one dimension, found shape {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(
            f"{name}: {int((~np.isfinite(array)).sum())} of {array.size} values are not finite "
            "numbers; leave out what could not be evaluated"
        )
    return array


def _differences(first: ArrayLike, second: ArrayLike) -> Floats:
    a, b = _numbers(first, "first"), _numbers(second, "second")
    if a.shape != b.shape:
        raise InputError(f"paired values: expected as many of each, found {a.size} and {b.size}")
    return a - b


def _signed_rank_tail(doubled_ranks: NDArray[np.int64], smaller: int) -> float:
    """Exact chance of a rank sum at or below ``smaller`` (all ranks doubled, ties allowed)."""
    counts = np.zeros(int(doubled_ranks.sum()) + 1)
    counts[0] = 1.0
    for rank in doubled_ranks:
        shifted = np.zeros_like(counts)
        shifted[rank:] = counts[: counts.size - rank]
        counts = (counts + shifted) / 2
    return float(counts[: smaller + 1].sum())


def wilcoxon_signed_rank(first: ArrayLike, second: ArrayLike) -> TestResult:
    """Paired Wilcoxon signed-rank test, two-sided (Novakovsky et al. 2021: transfer or scratch?).

    Zero differences are left out (Wilcoxon's way). Exact up to 200 pairs, tied differences
    included; the normal approximation with tie correction beyond. Equal pairs only: p is 1.

    Not `scipy.stats.wilcoxon`: its exact distribution takes no ties, and differences of metrics
    on few test regions tie often; there the approximation is off by a factor at small p.

    Parameters
    ----------
    first, second : array of float, shape (pairs,)

    Returns
    -------
    TestResult
        The statistic is the smaller of the two rank sums.
    """
    from scipy.stats import norm, rankdata

    differences = _differences(first, second)
    name = "Wilcoxon signed-rank"
    # pairs that are equal but for rounding are equal
    scale = np.maximum(np.abs(np.asarray(first, float)), np.abs(np.asarray(second, float)))
    kept = differences[np.abs(differences) > 1e-12 * scale]
    if differences.size == 0:
        return TestResult(name, np.nan, np.nan, 0, "no pairs")
    if kept.size == 0:
        return TestResult(name, 0.0, 1.0, int(differences.size))
    ranks = rankdata(np.round(np.abs(kept), 12))
    up, down = ranks[kept > 0].sum(), ranks[kept < 0].sum()
    smaller = float(min(up, down))
    if kept.size <= _EXACT_UP_TO:
        doubled = np.rint(2 * ranks).astype(np.int64)
        p = min(1.0, 2 * _signed_rank_tail(doubled, round(2 * smaller)))
    else:
        mean = ranks.sum() / 2
        p = float(2 * norm.cdf((smaller - mean) / np.sqrt((ranks**2).sum() / 4)))
    return TestResult(name, smaller, p, int(differences.size))


def least_p(pairs: int) -> float:
    """Smallest p that a two-sided signed-rank test of so many pairs can give (5 pairs: 0.0625)."""
    return float(min(1.0, 2.0 ** (1 - pairs)))


def welch_t(first: ArrayLike, second: ArrayLike) -> TestResult:
    """Welch's t-test of two independent groups, two-sided (the papers' group comparisons).

    Returns
    -------
    TestResult
        NaN with the reason below two values in a group or where neither varies.
    """
    from scipy.stats import ttest_ind_from_stats

    a, b = _numbers(first, "first"), _numbers(second, "second")
    name, n = "Welch t", int(a.size + b.size)
    if min(a.size, b.size) < 2:
        return TestResult(name, np.nan, np.nan, n, "fewer than 2 values in a group")
    if np.ptp(a) < 1e-12 and np.ptp(b) < 1e-12:
        return TestResult(name, np.nan, np.nan, n, "no spread in either group")
    # of the moments: `ttest_ind` warns where one group hardly varies, which is no error here
    groups = (a.mean(), a.std(ddof=1), a.size, b.mean(), b.std(ddof=1), b.size)
    found = ttest_ind_from_stats(*groups, equal_var=False)
    return TestResult(name, float(found.statistic), float(found.pvalue), n)


def kruskal_wallis(groups: Mapping[str, ArrayLike]) -> TestResult:
    """Kruskal-Wallis H test of several independent groups (Novakovsky et al. 2021, Fig. 6).

    Adjust the p values of several tests with `bonferroni`.

    Parameters
    ----------
    groups : mapping of str to array of float

    Returns
    -------
    TestResult
        NaN with the reason below two groups, with an empty group or without spread.
    """
    from scipy.stats import kruskal

    values = [_numbers(group, name) for name, group in groups.items()]
    name, n = "Kruskal-Wallis", int(sum(group.size for group in values))
    if len(values) < 2:
        return TestResult(name, np.nan, np.nan, n, "fewer than 2 groups")
    if min(group.size for group in values) < 1:
        return TestResult(name, np.nan, np.nan, n, "an empty group")
    if np.ptp(np.concatenate(values)) == 0:
        return TestResult(name, np.nan, np.nan, n, "all values are equal")
    found = kruskal(*values)
    return TestResult(name, float(found.statistic), float(found.pvalue), n)


def bonferroni(p_values: ArrayLike) -> Floats:
    """Multiply p values by the number of tests made, at most 1; NaN (no test) stays NaN."""
    values = np.asarray(p_values, dtype=np.float64)
    return np.minimum(1.0, values * np.count_nonzero(~np.isnan(values)))


def clustered_bootstrap(
    values: ArrayLike,
    clusters: Sequence[str] | NDArray[np.generic] | None = None,
    *,
    draws: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of a mean over TFs, resampling whole TFs.

    Each TF counts once, however many draws and seeds it has: the estimate is the mean of the TFs'
    means. Percentile ends, widened for few TFs as Hesterberg 2015 ("expanded percentile") does; a
    plain percentile interval of five values covers 80 % where it says 95 %.

    Parameters
    ----------
    values : array of float, shape (n,)
        Differences or scores of single runs.
    clusters : sequence of str, shape (n,), optional
        The TF of each value; None makes each value its own cluster.

    Returns
    -------
    Interval
        Ends are NaN for a single cluster: one TF says nothing about others.
    """
    from scipy.stats import norm, t

    array = _numbers(values, "values")
    if array.size == 0:
        raise InputError("clustered_bootstrap: expected at least one value, found none")
    if not 0 < level < 1:
        raise InputError(f"level: expected a share between 0 and 1, found {level}")
    if clusters is None:
        means = array
    else:
        names, place = np.unique(np.asarray(clusters), return_inverse=True)
        if place.size != array.size:
            raise InputError(
                f"clusters: expected one for each of {array.size} values, found {place.size}"
            )
        means = np.bincount(place, array) / np.bincount(place, minlength=names.size)
    # one order whatever the order of the rows
    means = np.sort(means)
    n = means.size
    estimate = float(means.mean())
    if n == 1:
        return Interval(estimate, float("nan"), float("nan"))
    picked = np.random.default_rng(seed).integers(0, n, (draws, n))
    drawn = means[picked].mean(axis=1)
    tail = float(norm.cdf(-np.sqrt(n / (n - 1)) * t.ppf((1 + level) / 2, n - 1)))
    low, high = np.quantile(drawn, (tail, 1 - tail))
    return Interval(estimate, float(low), float(high))


def paired_effect(
    first: ArrayLike, second: ArrayLike, *, level: float = 0.95, seed: int = 0
) -> Effect:
    """Say how large a paired difference is; ``level`` and ``seed`` are of its interval."""
    differences = _differences(first, second)
    interval = clustered_bootstrap(differences, level=level, seed=seed)
    spread = float(differences.std(ddof=1)) if differences.size > 1 else 0.0
    return Effect(
        mean=interval.estimate,
        interval=interval,
        standardised=float(differences.mean()) / spread if spread > 1e-12 else float("nan"),
        wins=int((differences > 0).sum()),
        losses=int((differences < 0).sum()),
    )
