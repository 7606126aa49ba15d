"""Comparisons on literal tables: pairing, units, wildcards, recovery, text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.evaluation.compare import (
    compare,
    compare_groups,
    differences,
    recovery,
    reference_of,
    summarise,
    summarise_recovery,
)
from cistransfer.evaluation.tidy import size_rank, tidy
from cistransfer.metrics.statistics import welch_t, wilcoxon_signed_rank


def table(*rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["tf", "size", "draw", "seed", "strategy", "aucpr"])


LITERAL = table(
    ("A", 50, 0, 0, "scratch", 0.5),
    ("A", 50, 0, 1, "scratch", 0.7),
    ("A", 50, 1, 0, "scratch", 0.6),
    ("A", 50, 0, 0, "transfer", 0.8),
    ("A", 50, 1, 0, "transfer", 0.9),
    ("B", 50, 0, 0, "scratch", 0.4),
    ("B", 50, 0, 0, "transfer", 0.7),
    ("A", "all", 0, 0, "scratch", 0.9),
    ("A", "all", 0, 0, "transfer", 0.85),
    ("A", None, None, None, "pwm", 0.65),
)


def test_pairs_share_tf_size_and_draw_with_seeds_averaged() -> None:
    found = differences(LITERAL, "aucpr", "transfer", "scratch")
    assert found[["tf", "size", "draw"]].to_numpy().tolist() == [
        ["A", "50", "0"],
        ["A", "50", "1"],
        ["B", "50", "0"],
        ["A", "all", "0"],
    ]
    # of draw 0, scratch has two seeds: their mean
    assert found["reference"].tolist() == pytest.approx([0.6, 0.6, 0.4, 0.9])
    assert found["difference"].tolist() == pytest.approx([0.2, 0.3, 0.3, -0.05])


def test_results_without_size_or_draw_are_compared_with_every_one() -> None:
    found = differences(LITERAL, "aucpr", "pwm", "scratch")
    assert found["tf"].unique().tolist() == ["A"]
    assert sorted(found["size"]) == ["50", "50", "all"]
    assert found["value"].tolist() == [0.65] * 3
    # but they are one observation each in a summary
    summary = summarise(LITERAL, "aucpr").set_index(["size", "strategy"])
    assert summary.loc[("50", "pwm"), "results"] == 1
    assert summary.loc[("50", "scratch"), "results"] == 4


def test_comparison_counts_each_tf_once() -> None:
    found = compare(LITERAL, "aucpr")
    assert found[["size", "strategy", "reference"]].to_numpy().tolist() == [
        ["50", "transfer", "scratch"],
        ["50", "pwm", "scratch"],
        ["all", "transfer", "scratch"],
        ["all", "pwm", "scratch"],
    ]
    row = found.iloc[0]
    assert (row["unit"], row["pairs"], row["wins"], row["losses"]) == ("TF", 2, 2, 0)
    assert row["mean"] == pytest.approx((0.85 + 0.7) / 2)
    assert row["mean_reference"] == pytest.approx((0.6 + 0.4) / 2)
    assert row["difference"] == pytest.approx((0.25 + 0.3) / 2)
    assert row["wilcoxon_p"] == 0.5
    assert row["note"] == "p cannot be below 0.5 with 2 TFs"
    alone = found.iloc[2]
    assert (alone["unit"], alone["pairs"], alone["note"]) == ("draw", 1, "one draw: no test")
    assert alone[["low", "high", "wilcoxon_p", "welch_p"]].isna().all()
    # Bonferroni over the two rows that have a test: transfer and pwm (two draws) at size 50
    assert row["wilcoxon_p_adjusted"] == 1.0


def random_results(tfs: int, gain: float, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    rows = []
    for tf in range(tfs):
        base = generator.uniform(0.5, 0.7)
        for draw in range(3):
            for size in (50, 500):
                noise = generator.normal(0, 0.01, 2)
                rows.append((f"T{tf}", size, draw, 0, "scratch", base + noise[0]))
                rows.append((f"T{tf}", size, draw, 0, "transfer", base + gain + noise[1]))
    return table(*rows)


def test_a_planted_gain_is_found_with_its_interval() -> None:
    found = compare(random_results(10, 0.1, seed=1), "aucpr")
    assert found["size"].tolist() == ["50", "500"]
    assert (found["pairs"] == 10).all()
    assert ((found["low"] < 0.1) & (found["high"] > 0.1)).all()
    assert (found["low"] > 0.08).all()
    assert found["wilcoxon_p"].tolist() == [2 / 2**10] * 2
    assert found["wilcoxon_p_adjusted"].tolist() == [4 / 2**10] * 2


def test_tests_equal_those_on_tf_means() -> None:
    results = random_results(7, 0.02, seed=3)
    means = results[results["size"] == 50].pivot_table(
        index="tf", columns="strategy", values="aucpr"
    )
    found = compare(results, "aucpr").iloc[0]
    expected = wilcoxon_signed_rank(means["transfer"], means["scratch"])
    assert found["wilcoxon_p"] == expected.p
    assert found["difference"] == pytest.approx((means["transfer"] - means["scratch"]).mean())
    assert found["welch_p"] == pytest.approx(welch_t(means["transfer"], means["scratch"]).p)
    assert found["welch_p"] > 0.3 > 0.05 > found["wilcoxon_p"]  # pairs take out how hard each TF is


def test_row_order_changes_no_number() -> None:
    results = random_results(6, 0.05)
    shuffled = results.sample(frac=1, random_state=1)
    keys = ["size", "strategy"]
    first = compare(results, "aucpr", "scratch").sort_values(keys)
    second = compare(shuffled, "aucpr", "scratch").sort_values(keys)
    pd.testing.assert_frame_equal(
        first.reset_index(drop=True), second.reset_index(drop=True), rtol=1e-12
    )


def test_small_is_better_for_losses() -> None:
    results = random_results(4, 0.1).rename(columns={"aucpr": "brier"})
    found = compare(results, "brier").iloc[0]
    assert found["difference"] > 0
    assert (found["wins"], found["losses"]) == (0, 4)


def test_sizes_of_each_tf_alone_are_pooled() -> None:
    results = random_results(5, 0.1)
    results = results[results["size"] == 50].copy()
    results["size"] = results["tf"].map({f"T{n}": 100 * (n + 1) for n in range(5)})
    found = compare(results, "aucpr")
    assert found[["size", "pairs"]].to_numpy().tolist() == [["any", 5]]
    assert len(compare(results, "aucpr", by_size=True)) == 5
    assert summarise(results, "aucpr")["size"].tolist() == ["any", "any"]


def test_different_test_examples_are_never_paired() -> None:
    results = random_results(3, 0.1)
    results["examples"] = np.where(results["strategy"] == "scratch", "sha256:1", "sha256:2")
    with pytest.raises(InputError, match="different test examples cannot be compared"):
        compare(results, "aucpr")


def test_reference() -> None:
    assert reference_of(["transfer", "scratch"]) == "scratch"
    assert reference_of(["x", "pwm", "y"]) == "pwm"
    assert reference_of(["x", "y"]) == "x"
    assert reference_of(["x", "y"], "y") == "y"
    with pytest.raises(InputError, match="no strategy 'scrach' in the results; nearest: scratch"):
        reference_of(["transfer", "scratch"], "scrach")
    with pytest.raises(InputError, match="the only strategy is 'x'"):
        reference_of(["x", "x"])
    with pytest.raises(InputError, match="no results"):
        reference_of([])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="tf"), "expected a column 'tf'"),
        (lambda t: t.assign(strategy=[None, *t["strategy"][1:]]), "row 1 has no strategy"),
        (lambda t: t.rename(columns={"aucpr": "auprc"}), "no metric 'aucpr'; nearest: auprc"),
        (lambda t: t.assign(aucpr=np.inf), "infinite"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "two results for tf A, size 50, draw 0, seed 0"),
    ],
)
def test_wrong_tables_are_refused(change: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tidy(change(LITERAL), "aucpr")  # type: ignore[operator]


def test_results_that_could_not_be_evaluated_are_left_out() -> None:
    results = pd.concat([LITERAL, table(("C", 50, 0, 0, "scratch", np.nan))])
    assert "C" not in set(tidy(results, "aucpr")["tf"])
    unchanged = LITERAL.copy()
    tidy(LITERAL, "aucpr")
    pd.testing.assert_frame_equal(LITERAL, unchanged)


def test_size_order() -> None:
    assert sorted(["all", "1000", "50", "5,000", "125"], key=size_rank) == [
        "50",
        "125",
        "1000",
        "5,000",
        "all",
    ]


def test_groups_take_draws_as_observations() -> None:
    generator = np.random.default_rng(1)
    rows = [
        (tf, 50, draw, seed, strategy, mean + generator.normal(0, 0.01))
        for tf, spread in (("A", 0.1), ("B", 0.0))
        for strategy, mean in (("bm", 0.5 + spread), ("cofactors", 0.5), ("random", 0.5 - spread))
        for draw in range(5)
        for seed in range(2)
    ]
    found = compare_groups(table(*rows, ("A", 50, None, None, "pwm", 0.9)), "aucpr")
    assert found["tf"].tolist() == ["A", "B"]
    assert found["results"].tolist() == [15, 15]
    assert found.loc[0, "p"] == pytest.approx(0.0019, abs=2e-4)  # H = 12.5, 2 degrees
    assert found.loc[0, "p_adjusted"] == pytest.approx(2 * found.loc[0, "p"])
    assert found.loc[1, "p"] > 0.02
    assert found["note"].tolist() == ["without pwm (one result)", ""]


def test_recovery_literal() -> None:
    results = table(
        ("A", 50, 0, 0, "transfer", 0.7),
        ("A", 50, 1, 0, "transfer", 0.8),
        ("A", 500, 0, 0, "transfer", 0.85),
        ("A", None, None, None, "pwm", 0.6),
        ("A", "all", 0, 0, "full", 0.9),
        ("B", 50, 0, 0, "transfer", 0.7),
        ("B", None, None, None, "pwm", 0.86),
        ("B", "all", 0, 0, "full", 0.9),
        ("C", 50, 0, 0, "transfer", 0.7),
        ("C", None, None, None, "pwm", 0.6),
    )
    found = recovery(results, "aucpr")
    assert found[["tf", "size"]].to_numpy().tolist() == [
        ["A", "50"],
        ["B", "50"],
        ["C", "50"],
        ["A", "500"],
    ]
    np.testing.assert_allclose(found["recovery"], [0.5, np.nan, np.nan, 0.25 / 0.3])
    assert found["why"].tolist() == [
        "",
        "'full' is only 0.040 better than 'pwm'",
        "no 'full' result for this TF",
        "",
    ]
    summary = summarise_recovery(found)
    assert summary[["size", "tfs", "undefined"]].to_numpy().tolist() == [
        ["50", 1, 2],
        ["500", 1, 0],
    ]
    assert summary["median"].tolist() == pytest.approx([0.5, 0.25 / 0.3])
    sized = table(
        ("A", 50, 0, 0, "transfer", 0.7),
        ("A", 900, 0, 0, "transfer", 0.8),
        ("A", None, None, None, "pwm", 0.6),
        ("A", 900, 0, 0, "full", 0.85),
        ("A", 5000, 0, 0, "full", 0.9),
    )
    assert recovery(sized)["full"].tolist() == [0.9, 0.9]  # the largest size, 5000
    sized["size"] = sized["size"].fillna(50)
    denovo = pd.concat([sized, table(("A", 900, 0, 0, "pwm", 0.65))])
    assert recovery(denovo)["motif"].tolist() == [0.6, 0.65]  # each size has its own
    with pytest.raises(InputError, match="no strategy 'ful' in the results; nearest: full"):
        recovery(results, "aucpr", full="ful")


def test_recovery_of_a_metric_that_is_better_when_small() -> None:
    """The Brier score counts down; a motif that is as good as all peaks is left out."""
    shares = (("A", 0.25, 0.15, 0.05), ("B", 0.07, 0.06, 0.05), ("C", 0.05, 0.1, 0.2))
    rows = [
        {"tf": tf, "strategy": name, "size": size, "brier": value}
        for tf, motif, transfer, full in shares
        for name, size, value in (
            ("pwm", None, motif),
            ("transfer", 50, transfer),
            ("full", "all", full),
        )
    ]
    found = recovery(pd.DataFrame(rows), "brier")
    np.testing.assert_allclose(found["recovery"], [0.5, np.nan, np.nan])
    np.testing.assert_allclose(found["gap"], [0.2, 0.02, -0.15])
