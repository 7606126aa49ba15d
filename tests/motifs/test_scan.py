"""Scanning against naive loops."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cistransfer.errors import InputError
from cistransfer.genome.codes import encode, encode_many, reverse_complement
from cistransfer.motifs.hits import find_hits, score_tail
from cistransfer.motifs.pwm import PWM, log_odds, reverse_complement_pwm
from cistransfer.motifs.refine import best_scores, best_sites, prepare, refine
from cistransfer.motifs.scan import best_hits, sum_occupancy
from cistransfer.motifs.seeds import Seed, seed_weights

SKEWED = (0.3, 0.25, 0.15, 0.3)


def random_pwm(width: int, seed: int, name: str = "m") -> PWM:
    rng = np.random.default_rng(seed)
    return PWM(name, rng.dirichlet([0.3] * 4, size=width))


def random_codes(n: int, length: int, seed: int, n_share: float = 0.02) -> np.ndarray:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, size=(n, length)).astype(np.uint8)
    codes[rng.random((n, length)) < n_share] = 4
    return codes


def naive_windows(row: np.ndarray, weights: np.ndarray):
    """(start, strand, letters' weights) of every window without N, both strands."""
    width = len(weights)
    for start in range(len(row) - width + 1):
        window = row[start : start + width]
        if (window == 4).any():
            continue
        yield start, "+", [weights[i][letter] for i, letter in enumerate(window)]
        other = reverse_complement(window)
        yield start, "-", [weights[i][letter] for i, letter in enumerate(other)]


def naive_best(codes, weights):
    return np.array(
        [max((sum(w) for *_, w in naive_windows(row, weights)), default=-np.inf) for row in codes]
    )


def naive_occupancy(codes, weights):
    ratios = 2.0**weights
    return np.array([sum(np.prod(w) for *_, w in naive_windows(row, ratios)) for row in codes])


def naive_tail(weights, background):
    """Score → P(at least that score), by listing every word."""
    chance: dict[int, float] = {}
    for word in itertools.product(range(4), repeat=len(weights)):
        score = sum(int(weights[i][letter]) for i, letter in enumerate(word))
        chance[score] = chance.get(score, 0.0) + float(np.prod([background[x] for x in word]))
    return {s: sum(p for t, p in chance.items() if t >= s) for s in chance}


@settings(max_examples=40)
@given(
    width=st.integers(1, 25),
    length=st.integers(1, 40),
    seed=st.integers(0, 1000),
    n_share=st.sampled_from([0.0, 0.05, 1.0]),
)
def test_scores_equal_the_naive_loop(width, length, seed, n_share):
    pwm = random_pwm(width, seed)
    codes = random_codes(5, length, seed, n_share)
    weights = log_odds(pwm, SKEWED)
    np.testing.assert_allclose(
        best_hits(codes, pwm, SKEWED), naive_best(codes, weights), rtol=1e-5, atol=1e-4
    )
    np.testing.assert_allclose(
        sum_occupancy(codes, pwm, SKEWED), naive_occupancy(codes, weights), rtol=1e-4, atol=1e-30
    )


def test_scores_do_not_depend_on_chunks_or_strand(monkeypatch):
    pwm, codes = random_pwm(11, 1), random_codes(50, 60, 1)
    best, occupancy = best_hits(codes, pwm), sum_occupancy(codes, pwm)
    flipped = reverse_complement(codes)
    np.testing.assert_allclose(best_hits(flipped, pwm), best, rtol=1e-5)
    np.testing.assert_allclose(sum_occupancy(flipped, pwm), occupancy, rtol=1e-5)
    np.testing.assert_allclose(sum_occupancy(codes, reverse_complement_pwm(pwm)), occupancy, 1e-5)
    monkeypatch.setattr("cistransfer.motifs.scan._CHUNK", 7 * 60)
    np.testing.assert_array_equal(best_hits(codes, pwm), best)
    np.testing.assert_array_equal(sum_occupancy(codes, pwm), occupancy)


def test_scan_of_nothing():
    pwm = random_pwm(5, 0)
    assert best_hits(np.empty((0, 10), np.uint8), pwm).shape == (0,)
    assert best_hits(np.zeros((2, 3), np.uint8), pwm).tolist() == [-np.inf, -np.inf]
    assert sum_occupancy(np.full((2, 9), 4, np.uint8), pwm).tolist() == [0.0, 0.0]
    assert find_hits(np.empty((0, 0), np.uint8), [pwm]).empty
    assert find_hits(np.zeros((2, 3), np.uint8), [pwm], 1.0).empty
    assert find_hits(np.zeros((2, 3), np.uint8), []).empty


def test_occupancy_literal():
    pwm = PWM("AC", np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0]]))
    codes = encode_many(["ACGT", "AAAA", "ACNA"])
    # Each perfect match weighs 4 * 4; ACGT holds AC forward and GT (= AC on the other strand).
    assert sum_occupancy(codes, pwm, pseudocount=0).tolist() == [32.0, 0.0, 16.0]
    assert best_hits(codes, pwm, pseudocount=0).tolist() == [4.0, -np.inf, 4.0]


@settings(max_examples=25)
@given(width=st.integers(1, 5), seed=st.integers(0, 1000))
def test_score_tail_equals_listing_every_word(width, seed):
    weights = np.random.default_rng(seed).integers(-20, 20, size=(width, 4))
    low, tail = score_tail(weights, SKEWED)
    expected = naive_tail(weights, SKEWED)
    assert low == min(expected)
    assert low + len(tail) - 1 == max(expected)
    for score, chance in expected.items():
        assert tail[score - low] == pytest.approx(chance, abs=1e-12)


@settings(max_examples=25)
@given(
    widths=st.lists(st.integers(1, 14), min_size=1, max_size=3),
    length=st.integers(1, 60),
    seed=st.integers(0, 1000),
    p_value=st.sampled_from([1e-3, 0.02, 1.0]),
)
def test_hits_equal_the_naive_loop(widths, length, seed, p_value):
    pwms = [random_pwm(width, seed + i, f"m{i}") for i, width in enumerate(widths)]
    codes = random_codes(4, length, seed)
    table = find_hits(codes, pwms, p_value, SKEWED)
    expected = set()
    for number, pwm in enumerate(pwms):
        weights = np.rint(log_odds(pwm, SKEWED) * 128).astype(int)
        tails = {
            "+": score_tail(weights, SKEWED),
            "-": score_tail(weights[::-1, ::-1], SKEWED),
        }
        for sequence, row in enumerate(codes):
            for start, strand, letters in naive_windows(row, weights):
                score = int(sum(letters))
                low, tail = tails[strand]
                if tail[score - low] <= p_value:
                    expected.add(
                        (
                            sequence,
                            number,
                            start,
                            start + pwm.width,
                            strand,
                            score,
                            tail[score - low],
                        )
                    )
    found = {
        (s, m, a, b, strand, round(score * 128), p)
        for s, m, a, b, strand, score, p in table.drop(columns="name").itertuples(index=False)
    }
    assert found == expected
    assert len(table) == len(found)
    assert (table["name"] == [f"m{m}" for m in table["pwm"]]).all()


def test_hits_literal():
    pwm = PWM("MA1", np.eye(4)[[0, 1, 1, 3, 0, 2, 3, 3, 2]])  # ACCTAGTTG
    codes = encode_many(["TTACCTAGTTGCC", "GGCAACTAGGTAA", "TTACCTNGTTGCC"])
    table = find_hits(codes, [pwm], 1e-5)
    assert table["p"].tolist() == pytest.approx([4.0**-9] * 2)
    pd.testing.assert_frame_equal(
        table[["sequence", "name", "start", "end", "strand"]].astype({"name": str}),
        pd.DataFrame(
            {
                "sequence": [0, 1],
                "name": ["MA1", "MA1"],
                "start": [2, 2],
                "end": [11, 11],
                "strand": ["+", "-"],
            }
        ),
    )


def test_hits_do_not_depend_on_blocks(monkeypatch):
    pwms = [random_pwm(9, 3, "a"), random_pwm(12, 4, "a")]
    codes = random_codes(40, 50, 5)
    whole = find_hits(codes, pwms, 0.01)
    monkeypatch.setattr("cistransfer.motifs.hits._BLOCK", 50 * 3)
    pd.testing.assert_frame_equal(find_hits(codes, pwms, 0.01), whole)
    assert len(whole) > 20


def test_share_of_hits_is_the_p_value():
    codes = random_codes(200, 500, 11, n_share=0.0)
    table = find_hits(codes, [random_pwm(10, 12)], 0.003)
    windows = 2 * codes.shape[0] * (codes.shape[1] - 9)
    assert len(table) / windows == pytest.approx(0.003, rel=0.15)


@pytest.mark.parametrize("p_value", [0, -1.0, 1.5, float("nan")])
def test_bad_threshold(p_value):
    with pytest.raises(InputError, match="p-value threshold"):
        find_hits(encode("ACGT")[None], [random_pwm(3, 0)], p_value)


def test_a_motif_with_empty_columns_is_read_as_all_its_columns() -> None:
    """The search looks at informative columns alone, wherever they stand, on both strands."""
    rng = np.random.default_rng(0)
    data = prepare(rng.integers(0, 5, (4, 40), dtype=np.uint8), np.arange(4) < 2, 12)
    letters = np.eye(5)[data.padded][..., :4]
    for columns in ([0], [11], [1, 3], [0, 11], [4, 5, 6, 7], range(12)):
        weights = np.zeros((12, 4))
        weights[list(columns)] = rng.normal(size=(len(columns), 4))
        places = data.padded.shape[1] - 11
        forward, reverse = (
            np.stack([(letters[:, p : p + 12] * w).sum(axis=(1, 2)) for p in range(places)], axis=1)
            for w in (weights, weights[::-1, ::-1])
        )
        score, start, flipped = (each[0] for each in best_sites(data, [weights]))
        best = np.maximum(forward.max(axis=1), reverse.max(axis=1))
        np.testing.assert_allclose(score, best, atol=1e-5)
        there = np.where(flipped[:, None], reverse, forward)[np.arange(4), start]
        np.testing.assert_allclose(there, best, atol=1e-5)


def test_a_motif_is_scanned_and_refined_alike_alone_and_beside_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Weights are multiples of 1/1024 bit, which no order of adding them up rounds."""
    rng = np.random.default_rng(1)
    data = prepare(rng.integers(0, 4, (60, 50), dtype=np.uint8), np.arange(60) < 30, 14)
    data.padded[:30, 20:28] = [3, 2, 0, 1, 3, 1, 0, 2]
    data = prepare(data.codes, data.positive, 14)
    weights = np.rint(rng.normal(0, 3, (9, 14, 4)) * 1024) / 1024
    words = rng.integers(4**8, size=5)
    weights[:5] = [seed_weights(Seed(word, 4, 0, 1, 1.0), 14)[0] for word in words]
    letters = np.eye(5)[data.padded][..., :4]
    together = best_sites(data, list(weights))
    refined = refine(data, list(weights), 6)
    assert sum(motif is not None for motif in refined) > 2
    monkeypatch.setattr("cistransfer.motifs.refine._SCORES", 1)  # a sequence at a time
    for number, each in enumerate(weights):
        alone = best_sites(data, [each])
        for one, many in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one[0], many[number])
        np.testing.assert_array_equal(best_scores(data, [each])[0], alone[0][0])
        strands = np.stack([each, each[::-1, ::-1]])
        windows = np.stack([letters[:, at : at + 14] for at in range(data.padded.shape[1] - 13)], 1)
        exact = np.einsum("nplk,slk->nps", windows, strands).max(axis=(1, 2))
        np.testing.assert_array_equal(alone[0][0], exact.astype(np.float32))
        motif, before = refine(data, [each], 6)[0], refined[number]
        assert (motif is None) == (before is None)
        if motif is not None and before is not None:
            assert (motif.value, motif.threshold) == (before.value, before.threshold)
            np.testing.assert_array_equal(motif.weights, before.weights)
