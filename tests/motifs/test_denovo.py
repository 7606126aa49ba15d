"""De novo motifs: planted ones are found, chance ones are not believed."""

from __future__ import annotations

import os
import stat

import numpy as np
import pytest

from cistransfer.errors import InputError
from cistransfer.genome.codes import reverse_complement
from cistransfer.motifs.compare import weighted_similarity
from cistransfer.motifs.denovo import find_motifs
from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.pwm import PWM, consensus
from cistransfer.motifs.scan import best_hits, sum_occupancy
from cistransfer.motifs.seeds import best_split, find_seeds, fisher_p, half_g, seed_weights
from cistransfer.motifs.tune import tune

LETTERS = (0.28, 0.22, 0.22, 0.28)


def planted(pwm: PWM | None, n: int, share: float, seed: int, length: int = 200) -> np.ndarray:
    """Random sequences, ``share`` of them with one site of the motif on either strand."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(4, size=(n, length), p=LETTERS).astype(np.uint8)
    for row in codes[: round(n * share)] if pwm is not None else ():
        site = np.array([rng.choice(4, p=p / p.sum()) for p in pwm.probabilities], np.uint8)
        start = rng.integers(0, length - len(site) + 1)
        row[start : start + len(site)] = site if rng.random() < 0.5 else reverse_complement(site)
    return codes


def task(pwm: PWM | None, n_positive: int, n_negative: int, share: float, seed: int):
    codes = np.vstack(
        [planted(pwm, n_positive, share, seed), planted(None, n_negative, 0, seed + 1)]
    )
    return codes, np.repeat([1, 0], [n_positive, n_negative]).astype(np.int8)


def word_pwm(word: str, name: str = "truth") -> PWM:
    rows = {letter: np.eye(4)[at] * 0.88 + 0.03 for at, letter in enumerate("ACGT")}
    rows["N"] = np.full(4, 0.25)
    return PWM(name, np.array([rows[letter] for letter in word]))


@pytest.fixture(scope="module")
def jaspar(shared_data) -> dict[str, PWM]:
    pwms = read_motifs(shared_data / "motifs" / "JASPAR2020_CORE_vertebrates_non-redundant.meme")
    return {pwm.alt_name: pwm for pwm in pwms}


@pytest.mark.parametrize(
    ("name", "n_negative"),
    [("CEBPB", 50), ("RXRA::VDR", 50), ("CTCF", 50), ("MEF2A", 150)],
)
def test_planted_motifs_are_found_in_50_positives(jaspar, name, n_negative):
    truth = jaspar[name]
    codes, labels = task(truth, 50, n_negative, 0.8, seed=3)
    (found,) = find_motifs(codes, labels, n_motifs=1, hold_out=0.0, engine="own")
    assert weighted_similarity([truth, found.pwm])[0, 1] > 0.85
    assert not found.held_out
    assert found.positives > 25
    # On fresh sequences it separates nearly as well as the truth does.
    fresh, fresh_labels = task(truth, 200, 200, 0.8, seed=77)
    value = best_split(best_hits(fresh, found.pwm, found.background), fresh_labels == 1)[0]
    ideal = best_split(best_hits(fresh, truth), fresh_labels == 1)[0]
    assert value > 0.6 * ideal


def test_a_motif_that_looks_like_chance_after_one_round_is_found(jaspar):
    codes, labels = task(jaspar["HNF4G"], 46, 46, 0.5, seed=70)
    (found,) = find_motifs(codes, labels, n_motifs=1, hold_out=0.0)
    assert weighted_similarity([jaspar["HNF4G"], found.pwm])[0, 1] > 0.85


def test_two_motifs_are_found_one_after_the_other():
    first, second = word_pwm("TGACTCAGG"), word_pwm("CCGGAAGTNNA")
    codes, labels = task(first, 120, 120, 0.8, seed=5)
    rng = np.random.default_rng(6)
    for at in np.flatnonzero(labels == 1)[:90]:
        site = rng.integers(0, 100)
        letters = np.array([rng.choice(4, p=p / p.sum()) for p in second.probabilities])
        codes[at, site : site + second.width] = letters
    found = find_motifs(codes, labels, n_motifs=2, hold_out=0.25, engine="own")
    assert [each.pwm.name.split("-")[0] for each in found] == ["1", "2"]
    alike = weighted_similarity([*(each.pwm for each in found), first, second])[:2, 2:]
    assert (alike.max(axis=0) > 0.85).all()
    assert (alike.min(axis=0) < 0.7).all(), "each is found once"
    for each in found:
        assert each.held_out
        assert each.p < 0.05
        assert each.positives + each.negatives <= 60
        assert each.pwm.name == f"{each.pwm.name[0]}-{consensus(each.pwm)}"


def test_p_is_honest_where_there_is_nothing_to_find():
    p = []
    for seed in range(5):
        codes, labels = task(None, 40, 40, 0.0, seed=10 * seed)
        for each in find_motifs(codes, labels, n_motifs=1, hold_out=0.25, engine="own"):
            assert each.held_out
            p.append(each.p)
    assert len(p) >= 3
    assert min(p) > 0.002
    assert np.median(p) > 0.1


def test_same_input_same_motifs_and_nothing_is_changed():
    codes, labels = task(word_pwm("TGACTCAGG"), 40, 40, 0.8, seed=1)
    before = codes.copy()
    first = find_motifs(codes, labels, n_motifs=1, engine="own", seed=4)
    second = find_motifs(codes, labels, n_motifs=1, engine="own", seed=4)
    np.testing.assert_array_equal(codes, before)
    np.testing.assert_array_equal(first[0].pwm.probabilities, second[0].pwm.probabilities)
    # Unresolved rows and N change nothing about what is found.
    noise = planted(None, 30, 0, 9)
    noise[:, 50:] = 4
    more = np.vstack([codes, noise])
    unresolved = np.concatenate([labels, np.full(30, -1, np.int8)])
    third = find_motifs(more, unresolved, n_motifs=1, engine="own", seed=4)
    np.testing.assert_array_equal(first[0].pwm.probabilities, third[0].pwm.probabilities)


def test_refusals():
    codes, labels = task(None, 6, 6, 0.0, seed=0)
    with pytest.raises(InputError, match="5 positive sequences, found 3"):
        find_motifs(codes[3:], labels[3:])
    with pytest.raises(InputError, match="5 negative sequences, found 0"):
        find_motifs(codes[:6], labels[:6])
    with pytest.raises(InputError, match="found 'meme'"):
        find_motifs(codes, labels, engine="meme")
    with pytest.raises(InputError, match="hold out"):
        find_motifs(codes, labels, hold_out=0.9)
    with pytest.raises(InputError, match="width"):
        find_motifs(codes, labels, max_width=3)


def test_found_motifs_are_those_of_before():
    """Models are made of them: another letter here is another model. (Where tuning stops hangs on
    rounding by some 0.0003.)"""
    codes, labels = task(word_pwm("TGACTCAGGNNA"), 60, 80, 0.7, seed=11)
    found = find_motifs(codes, labels, n_motifs=2, hold_out=0.25, seed=3)
    assert [(each.pwm.name, each.pwm.sites) for each in found] == [
        ("1-TNNCCTGAGTCA", 39.0), ("2-ATANANNNNNNNNNNNNNTAA", 14.0),
    ]  # fmt: skip
    golden = [
        [0.068455, 0.021978, 0.040417, 0.869150],
        [0.038311, 0.810100, 0.087774, 0.063815],
        [0.839929, 0.072293, 0.029595, 0.058183],
    ]
    assert found[0].threshold == pytest.approx(11.076879501342773, rel=1e-6)
    assert (found[0].positives, found[0].negatives) == (8, 0)
    assert found[0].p == pytest.approx(0.0002734130359596564)
    np.testing.assert_allclose(found[0].pwm.probabilities[[0, 4, -1]], golden, atol=1e-3)


def test_constant_sequences_hold_no_motif():
    codes = np.zeros((20, 50), np.uint8)
    assert find_motifs(codes, np.repeat([1, 0], 10).astype(np.int8), engine="own") == []
    codes[:] = 4
    assert find_motifs(codes, np.repeat([1, 0], 10).astype(np.int8), engine="own") == []


# --- enrichment


def test_half_g_literal():
    # 8 of 10 positives and 2 of 10 negatives: G/2 = 16 ln(16/10) + 4 ln(4/10).
    expected = 16 * np.log(1.6) + 4 * np.log(0.4)
    assert half_g([8], [10], 10, 20)[0] == pytest.approx(expected)
    assert half_g([2], [10], 10, 20)[0] == 0
    assert half_g([0, 10], [0, 20], 10, 20).tolist() == [0, 0]


def naive_best_split(scores, positive):
    best = (0.0, np.inf)
    for threshold in sorted(set(scores[np.isfinite(scores)]), reverse=True):
        chosen = scores >= threshold
        value = half_g([(chosen & positive).sum()], [chosen.sum()], positive.sum(), len(scores))[0]
        if value > best[0] + 1e-12:
            best = (float(value), float(threshold))
    return best


@pytest.mark.parametrize("seed", range(5))
def test_best_split_handles_ties(seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 6, size=40).astype(float)
    positive = np.arange(40) < 20  # positives first: inside a tie they would look enriched
    scores[positive] += rng.random() < 0.5
    scores[3] = -np.inf
    assert best_split(scores, positive) == pytest.approx(naive_best_split(scores, positive))
    assert best_split(np.ones(40), positive) == (0.0, np.inf)
    assert best_split(np.full(40, -np.inf), positive) == (0.0, np.inf)


def test_fisher_literal():
    assert fisher_p(4, 4, 4, 8) == pytest.approx(1 / 70)
    assert fisher_p(0, 0, 4, 8) == 1.0


# --- seeds


def naive_holders(codes, word, gap, mismatches):
    """Rows that hold a word of two halves within so many mismatches, on either strand."""
    half = len(word) // 2
    pattern = [*word[:half], *[None] * gap, *word[half:]]
    rows = set()
    for row, letters in enumerate(codes):
        for strand in (letters, reverse_complement(letters)):
            for start in range(len(strand) - len(pattern) + 1):
                pairs = [
                    (a, b)
                    for a, b in zip(pattern, strand[start : start + len(pattern)], strict=True)
                    if a is not None
                ]
                if all(b != 4 for _, b in pairs) and sum(a != b for a, b in pairs) <= mismatches:
                    rows.add(row)
    return rows


@pytest.mark.parametrize(("half", "mismatches"), [(3, 0), (4, 1)])
def test_seeds_equal_the_naive_count(half, mismatches):
    rng = np.random.default_rng(half)
    codes = rng.integers(0, 4, size=(24, 30)).astype(np.uint8)
    codes[:8, 10:19] = [3, 2, 0, 1, 3, 1, 0, 2, 2]  # TGACTCAGG
    codes[5, 12] = 4
    positive = np.arange(24) < 12
    seeds = find_seeds(codes, positive, half=half, mismatches=mismatches, max_span=11, keep=8)
    assert [seed.value for seed in seeds] == sorted((s.value for s in seeds), reverse=True)
    assert {seed.gap for seed in seeds} - {0}, "words with a gap are among them"
    for seed in seeds:
        letters = [seed.word >> (2 * at) & 3 for at in range(2 * half)][::-1]
        rows = naive_holders(codes, letters, seed.gap, mismatches)
        hits = sum(row < 12 for row in rows)
        assert seed.value == pytest.approx(half_g([hits], [len(rows)], 12, 24)[0])
        weights, threshold = seed_weights(seed, 21)
        assert np.flatnonzero(weights.any(axis=1)).size == 2 * half
        assert weights.max(axis=1).sum() > threshold


def test_seeds_of_short_sequences():
    codes = np.zeros((4, 5), np.uint8)
    assert find_seeds(codes, np.array([1, 1, 0, 0], bool), half=4, mismatches=1, max_span=21) == []


# --- tuning


def test_tuning_recovers_what_the_motif_lacks():
    truth = word_pwm("TGACTCAGG")
    codes, labels = task(truth, 150, 150, 0.8, seed=2)
    fresh, fresh_labels = task(truth, 300, 300, 0.8, seed=20)
    lacking = PWM("lacking", word_pwm("TGACTCNNN").probabilities, "alt", 7.0)
    tuned = tune(codes, labels == 1, lacking, LETTERS, strength=1.0)
    assert (tuned.name, tuned.alt_name, tuned.sites) == ("lacking", "alt", 7.0)

    def separation(pwm):
        scores = np.log(sum_occupancy(fresh, pwm, LETTERS))
        return best_split(scores, fresh_labels == 1)[0]

    assert separation(tuned) > separation(lacking) + 20
    assert weighted_similarity([tuned, truth])[0, 1] > weighted_similarity([lacking, truth])[0, 1]
    held = tune(codes, labels == 1, lacking, LETTERS, strength=1e7)
    np.testing.assert_allclose(held.probabilities, lacking.probabilities, atol=1e-3)


# --- STREME

FAKE_STREME = """#!/bin/sh
[ "$1" = --p ] && [ "$3" = --n ] || { echo "bad arguments" >&2; exit 1; }
[ "$5 $6 $7 $8 $9" = "--dna --hofract 0 --maxw 21" ] || { echo "bad options: $*" >&2; exit 1; }
shift 9
[ "$1 $2 $3" = "--nmotifs 2 --oc" ] || { echo "bad count: $*" >&2; exit 1; }
mkdir -p "$4"
cat > "$4/streme.txt" <<'EOF'
********************************************************************************
STREME - Sensitive, Thorough, Rapid, Enriched Motif Elicitation
********************************************************************************
MEME version 5.3.0 (Release date: Sun Jul 26 17:25:53 2020 -0700)

For further information on how to interpret these results please access https://meme-suite.org/meme.

********************************************************************************


********************************************************************************
REFERENCE
********************************************************************************
If you use this program in your research, please cite:

Timothy L. Bailey,
"STREME: accurate and versatile sequence motif discovery",
Bioinformatics, Mar. 24, 2021.
********************************************************************************


ALPHABET= ACGT

strands: + -

Background letter frequencies
A 0.246 C 0.254 G 0.254 T 0.246

MOTIF 1-TGACTCAGG STREME-1
letter-probability matrix: alength= 4 w= 3 nsites= 30 S= 1.2e-010
 0.030000 0.030000 0.030000 0.910000
 0.030000 0.030000 0.910000 0.030000
 0.910000 0.030000 0.030000 0.030000

MOTIF 2-GG STREME-2
letter-probability matrix: alength= 4 w= 2 nsites= 12 S= 3.4e-002
 0.030000 0.030000 0.910000 0.030000
 0.030000 0.030000 0.910000 0.030000

********************************************************************************
COMMAND:	streme --p positive.fa --n negative.fa --dna --hofract 0 --maxw 21 --nmotifs 2
********************************************************************************
CPU:		host
********************************************************************************
FINALTIME:	0.52 seconds
********************************************************************************
EOF
"""
"""The published options, and a whole file as the program prints it."""


def test_streme_is_called_as_published(tmp_path, monkeypatch):
    program = tmp_path / "streme"
    program.write_text(FAKE_STREME)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    codes, labels = task(word_pwm("TGA"), 20, 20, 1.0, seed=0)
    found = find_motifs(codes, labels, n_motifs=2, hold_out=0.0, engine="streme")
    assert [each.pwm.name for each in found] == ["1-TGACTCAGG", "2-GG"]
    assert (consensus(found[0].pwm), found[0].pwm.sites) == ("TGA", 30.0)
    with pytest.raises(InputError, match=r"streme failed \(exit 1\): bad count"):
        find_motifs(codes, labels, n_motifs=3, engine="streme")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="not on PATH"):
        find_motifs(codes, labels, engine="streme")
