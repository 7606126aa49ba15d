"""Motif enrichment of attributions against scipy, set loops and planted truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cistransfer.interpretation.enrichment import (
    compare_enrichment,
    directions,
    motif_enrichment,
    scan_p,
    site_scores,
    sites_in_regions,
    untested,
)
from cistransfer.motifs.pwm import PWM


def random_sites(n: int, seed: int, motifs: int = 4, sequences: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 80, size=n)
    return pd.DataFrame(
        {
            "sequence": rng.integers(0, sequences, size=n),
            "start": start,
            "end": start + rng.integers(6, 15, size=n),
            "name": [f"M{number}" for number in rng.integers(0, motifs, size=n)],
        }
    )


def naive(sites: pd.DataFrame, scores: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Own and background scores by loops over pairs."""
    own = np.flatnonzero(sites["name"] == name)
    background = []
    for row in np.flatnonzero(sites["name"] != name):
        free = True
        for other in own:
            same = sites["sequence"][row] == sites["sequence"][other]
            apart = (
                sites["end"][row] <= sites["start"][other]
                or sites["start"][row] >= sites["end"][other]
            )
            free &= not (same and not apart)
        if free:
            background.append(row)
    return scores[own], scores[background]


@settings(max_examples=8)
@given(st.integers(0, 1000), st.booleans())
def test_equals_scipy_over_naive_sets(seed: int, ties: bool) -> None:
    sites = random_sites(110, seed)
    scores = np.random.default_rng(seed).normal(size=110)
    if ties:
        scores = np.round(scores, 1)
    found = motif_enrichment(sites, scores, min_sites=5).set_index("motif")
    assert set(found.index) == set(sites["name"])
    for name in found.index:
        own, background = naive(sites, scores, name)
        row = found.loc[name]
        assert (row["sites"], row["background"]) == (len(own), len(background))
        expected = stats.ks_2samp(own, background, method="asymp")
        assert abs(row["d"]) == pytest.approx(expected.statistic, abs=1e-12)
        assert row["p"] == pytest.approx(expected.pvalue, rel=1e-9)
        u = stats.mannwhitneyu(own, background).statistic / len(own) / len(background)
        assert row["auroc"] == pytest.approx(u, abs=1e-12)
        ranks = stats.rankdata(np.concatenate([own, background]))
        if ranks[: len(own)].mean() != pytest.approx(ranks[len(own) :].mean()):
            assert (row["d"] > 0) == (ranks[: len(own)].mean() > ranks[len(own) :].mean())
        shift = np.median(own) - np.median(background)
        assert row["median_shift"] == pytest.approx(shift, abs=1e-12)
    np.testing.assert_allclose(
        found["q"], stats.false_discovery_control(found["p"].clip(0, 1)), atol=1e-12
    )


def test_the_planted_motif_is_found_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    sites = random_sites(6000, 1, motifs=12, sequences=3000)
    contributions = rng.normal(scale=0.1, size=(3000, 100)).astype(np.float32)
    for row in sites[sites["name"] == "M3"].itertuples():
        if rng.random() < 0.7:
            contributions[row.sequence, row.start + 2 : row.end - 2] += 0.5
    for row in sites[sites["name"] == "M7"].itertuples():
        if rng.random() < 0.7:
            contributions[row.sequence, row.start : row.end] -= 0.5
    found = motif_enrichment(sites, site_scores(contributions, sites))
    significant = found[(found["q"] < 1e-3) & ((found["auroc"] - 0.5).abs() > 0.1)]
    assert set(significant["motif"]) == {"M3", "M7"}
    assert found["motif"].iloc[0] == "M3"
    assert found["motif"].iloc[-1] == "M7"
    assert found["d"].iloc[-1] < 0
    shuffled = motif_enrichment(sites, site_scores(contributions, sites)[rng.permutation(6000)])
    assert shuffled["q"].min() > 0.01


def test_min_sites_and_missing_scores() -> None:
    sites = random_sites(300, 2)
    sites.loc[:9, "name"] = "rare"
    scores = np.random.default_rng(0).normal(size=300)
    assert "rare" not in set(motif_enrichment(sites, scores, min_sites=11)["motif"])
    assert "rare" in set(motif_enrichment(sites, scores, min_sites=10)["motif"])
    scores[20:] = np.nan
    left = motif_enrichment(sites, scores, min_sites=1)
    assert left["sites"].sum() == 20
    empty = motif_enrichment(sites.iloc[:0], scores[:0])
    assert len(empty) == 0
    assert "q" in empty


def test_two_models() -> None:
    sites = random_sites(900, 3, sequences=900)
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=900), rng.normal(size=900)
    mine = (sites["name"] == "M1").to_numpy()
    a[mine] += 2
    b[:100] = np.nan
    found = compare_enrichment(sites, a, b, min_sites=100)
    assert found["motif"].iloc[0] == "M1"
    assert found["q_a"].iloc[0] < 1e-6 < 0.05 < found["q_b"].iloc[0]
    one = motif_enrichment(sites, a).set_index("motif")
    np.testing.assert_allclose(found.set_index("motif")["d_a"], one["d"].loc[found["motif"]])
    difference = motif_enrichment(sites, a - b, min_sites=1).set_index("motif")
    np.testing.assert_allclose(
        found.set_index("motif")["d_difference"], difference["d"].loc[found["motif"]]
    )


def test_site_scores() -> None:
    contributions = np.array([[0, 1, 2, 3, 4], [4, 3, 2, -1, 0]], np.float32)
    sites = pd.DataFrame({"sequence": [0, 1, 1], "start": [0, 2, 0], "end": [3, 4, 2]})
    assert site_scores(contributions, sites).tolist() == [2, 2, 4]


def test_sites_are_placed_on_their_own_bases() -> None:
    """BED is 0-based: a site [105, 108) in region [100, 110) covers bases 5, 6 and 7."""
    regions = pd.DataFrame(
        {"chrom": ["chr1", "chr1", "chr2"], "start": [100, 106, 100], "end": [110, 116, 110]}
    )
    sites = pd.DataFrame(
        {
            "chrom": ["chr1", "chr1", "chr1", "chr3", "chr2", "chr1"],
            "start": [105, 108, 99, 105, 100, 105],
            "end": [108, 110, 103, 108, 110, 108],
            "name": ["A", "B", "A", "A", "C", "A"],
        }
    )
    found = sites_in_regions(sites, regions)
    assert found.to_numpy().tolist() == [
        [0, "A", 5, 8],
        [0, "B", 8, 10],
        [1, "B", 2, 4],
        [2, "C", 0, 10],
    ]
    contributions = np.zeros((3, 10), np.float32)
    contributions[0, 7] = 1  # the site's last base; the published off-by-one would miss it
    assert site_scores(contributions, found)[0] == 1
    assert len(sites_in_regions(sites[sites["chrom"] == "chr3"], regions)) == 0


@pytest.mark.parametrize(
    ("n", "length", "needed", "p"),
    [(27_940, 600, 100, 1e-5), (500, 200, 10, 2e-4), (120, 200, 10, 5e-4), (5, 200, 10, 5e-4)],
)
def test_the_scan_finds_enough_sites_by_chance(n: int, length: int, needed: int, p: float) -> None:
    assert scan_p(n, length, needed) == p


def test_a_planted_motif_is_enriched_and_comes_first_a_depleted_one_is_said_to_be() -> None:
    rng = np.random.default_rng(0)
    n = 400
    names = np.array([f"M{i % 8}" for i in range(n)])
    sites = pd.DataFrame({"sequence": np.arange(n), "name": names, "start": 0, "end": 8})
    scores = rng.normal(size=n)
    scores[names == "M3"] += 3
    scores[names == "M5"] -= 3
    few = pd.DataFrame({"sequence": range(n, n + 4), "name": "own", "start": 0, "end": 8})
    sites, scores = pd.concat([sites, few], ignore_index=True), np.append(scores, [9.0] * 4)
    table = motif_enrichment(sites, scores, min_sites=10, always={"own"})
    said = dict(zip(table["motif"], directions(table), strict=True))
    assert table["motif"].tolist()[:2] == ["own", "M3"]
    assert (said["M3"], said["M5"], said["M0"]) == ("enriched", "depleted", "neither")
    assert "own" not in set(motif_enrichment(sites, scores, min_sites=10)["motif"])


def test_what_was_not_tested_is_told_with_the_reason() -> None:
    short, long = np.eye(4)[[0, 1, 2, 3]], np.eye(4)[[0, 1, 2, 3] * 3]
    motifs = [PWM("short", short), PWM("none", long), PWM("few", long), PWM("tested", long)]
    sites = pd.DataFrame({"sequence": [0, 1], "name": ["few", "tested"], "start": 0, "end": 12})
    left = untested(sites, {"tested"}, motifs, 5, 1e-4).set_index("motif")
    assert left["reason"].to_dict() == {
        "few": "1 sites, fewer than 5",
        "none": "0 sites, fewer than 5",
        "short": "too short or too vague: its best site has p = 0.004, above 0.0001",
    }
