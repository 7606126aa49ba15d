"""Every baseline through the one interface, and each against a naive oracle."""

from __future__ import annotations

import os
import stat
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cistransfer.baselines.kmer import _neighbours, fit_kmer, kmer_counts
from cistransfer.baselines.lsgkm import GkmModel, _read_scores
from cistransfer.baselines.motif import fit_denovo, log_occupancy
from cistransfer.baselines.registry import BASELINES, fit_baseline, score_baseline
from cistransfer.errors import InputError
from cistransfer.genome.codes import decode, encode_many, reverse_complement
from cistransfer.metrics.curves import average_precision
from cistransfer.motifs.pwm import PWM, consensus
from cistransfer.motifs.scan import sum_occupancy

SITE = [3, 2, 0, 1, 3, 1, 0]  # TGACTCA
AP1 = PWM("MA0099", np.eye(4)[SITE] * 0.88 + 0.03, "FOS::JUN")
OTHER = PWM("MA0000", np.eye(4)[[2, 2, 2, 0, 0, 0, 0]] * 0.88 + 0.03, "OTHER")
OWN = [name for name, entry in BASELINES.items() if not entry.programs]


def examples(n: int, seed: int, length: int = 80):
    """Half with a site (positives), a few unresolved rows of another kind."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, size=(2 * n, length)).astype(np.uint8)
    for row in range(n):
        start = rng.integers(0, length - 7)
        codes[row, start : start + 7] = SITE
    labels = np.repeat([1, 0], n).astype(np.int8)
    unresolved = np.full((5, length), 3, np.uint8)
    order = rng.permutation(2 * n + 5)
    return (
        np.vstack([codes, unresolved])[order],
        np.concatenate([labels, np.full(5, -1, np.int8)])[order],
    )


@pytest.fixture(scope="module")
def train():
    return examples(60, 1)


@pytest.fixture(scope="module")
def fitted(train):
    return {name: fit_baseline(name, *train, seed=3, pwms=[OTHER, AP1]) for name in OWN}


@pytest.mark.parametrize("name", OWN)
def test_interface(name, train, fitted):
    codes, labels = train
    model = fitted[name]
    test, _ = examples(20, 2)
    test[:3] = 4
    test[3, 30:] = 4
    before = test.copy()
    scores = score_baseline(model, test)
    assert scores.shape == (len(test),)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(test, before)
    # Strand, row order, batches and repeats change nothing.
    np.testing.assert_allclose(model.score(reverse_complement(test)), scores, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.score(test[::-1])[::-1], scores, rtol=1e-12)
    np.testing.assert_allclose(model.score(test[:1]), scores[:1], rtol=1e-12)
    assert model.score(test[:0]).shape == (0,)
    again = fit_baseline(name, codes, labels, seed=3, pwms=[OTHER, AP1])
    np.testing.assert_array_equal(again.score(test), scores)
    assert model.describe()
    assert "\n" not in model.describe()


def test_what_each_one_learns(fitted):
    codes, labels = examples(150, 4)
    value = {name: average_precision(labels, model.score(codes)) for name, model in fitted.items()}
    assert value["prevalence"] == pytest.approx(0.5)
    assert value["gc"] < 0.7
    assert value["motif"] > 0.95
    assert value["denovo"] > 0.93
    assert value["kmer"] > 0.6
    assert fitted["prevalence"].score(codes)[0] == 0.5
    assert fitted["motif"].describe() == "MA0099 FOS::JUN (TGACTCA)"
    assert "TGACTCA" in consensus(fitted["denovo"].pwm) or "TGAGTCA" in consensus(
        fitted["denovo"].pwm
    )


def test_gc_follows_gc():
    rng = np.random.default_rng(0)
    rich = rng.choice(4, size=(50, 100), p=[0.2, 0.3, 0.3, 0.2]).astype(np.uint8)
    poor = rng.choice(4, size=(50, 100), p=[0.3, 0.2, 0.2, 0.3]).astype(np.uint8)
    codes, labels = np.vstack([rich, poor]), np.repeat([1, 0], 50).astype(np.int8)
    up = fit_baseline("gc", codes, labels)
    assert average_precision(labels, up.score(codes)) > 0.95
    down = fit_baseline("gc", codes, 1 - labels)
    assert average_precision(1 - labels, down.score(codes)) > 0.95
    # Both extremes against the middle: the square does it.
    middle = rng.choice(4, size=(100, 100)).astype(np.uint8)
    codes = np.vstack([rich, poor, middle])
    labels = np.repeat([0, 1], 100).astype(np.int8)
    peak = fit_baseline("gc", codes, labels)
    assert average_precision(labels, peak.score(codes)) > 0.7
    assert peak.describe().startswith("highest at GC 0.5") or "0.4" in peak.describe()


def test_motif_is_the_log_of_the_published_score(train):
    codes, labels = train
    model = fit_baseline("motif", codes, labels, pwms=[AP1])
    np.testing.assert_allclose(model.score(codes), np.log2(sum_occupancy(codes, AP1)))
    assert log_occupancy(np.full((1, 9), 4, np.uint8), AP1).tolist() == [-150.0]


def test_denovo_without_a_motif_scores_the_same_for_all():
    codes = np.zeros((20, 30), np.uint8)
    model = fit_denovo(codes, np.repeat([1, 0], 10).astype(np.int8), engine="own")
    assert model.pwm is None
    assert model.score(codes).tolist() == [0.0] * 20
    assert model.describe() == "no enriched motif"


def naive_words(sequence: str) -> Counter:
    pairs = str.maketrans("ACGT", "TGCA")
    words = [sequence[start : start + 8] for start in range(len(sequence) - 7)]
    return Counter(min(word, word[::-1].translate(pairs)) for word in words if "N" not in word)


def test_kmer_counts_equal_the_naive_count():
    codes, _ = examples(3, 7, length=25)
    codes[0, 5] = 4
    counts = kmer_counts(codes).toarray()
    assert counts.shape == (len(codes), 32896)
    for row, features in zip(codes, counts, strict=True):
        expected = naive_words(decode(row))
        length = np.sqrt(sum(n * n for n in expected.values()))
        np.testing.assert_allclose(
            sorted(features[features > 0]), sorted(n / length for n in expected.values())
        )
    flipped = kmer_counts(reverse_complement(codes)).toarray()
    np.testing.assert_allclose(flipped, counts)
    assert kmer_counts(encode_many(["NNNNACGTACG"])).sum() == 0
    assert kmer_counts(encode_many(["ACGT"])).shape == (1, 32896)


def test_kmer_counts_neighbours_and_equals_a_plain_regression(train):
    from scipy.optimize import minimize

    codes, labels = train
    rows = np.flatnonzero(labels >= 0)[:24]
    model = fit_kmer(codes[rows], labels[rows])
    # The same model with the neighbours applied to the counts, fitted densely.
    spread = _neighbours()
    assert abs(spread - spread.T).max() == 0
    of_first = spread[[0]].toarray()[0]  # AAAAAAAA has 24 neighbours
    assert sorted(set(of_first.tolist())) == [0.0, 0.2, 1.0]
    assert (of_first == 0.2).sum() == 24
    features = (kmer_counts(codes[rows]) @ spread).toarray()
    used = np.flatnonzero(features.any(axis=0))
    y = labels[rows] == 1
    importance = 10 * np.where(y, len(y) / (2 * y.sum()), len(y) / (2 * (~y).sum()))

    def loss(values):
        z = features[:, used] @ values[:-1] + values[-1]
        residual = importance * (1 / (1 + np.exp(-z)) - y)
        gradient = np.append(features[:, used].T @ residual + values[:-1], residual.sum())
        penalty = (values[:-1] ** 2).sum() / 2
        return (importance * (np.logaddexp(0, z) - y * z)).sum() + penalty, gradient

    plain = minimize(loss, np.zeros(len(used) + 1), jac=True, method="L-BFGS-B").x
    expected = features[:, used] @ plain[:-1] + plain[-1]
    np.testing.assert_allclose(model.score(codes[rows]), expected, atol=0.02)


def test_kmer_names_its_words():
    codes = encode_many(["AAACCC" * 5] * 6 + ["GATTAC" * 5] * 6)
    model = fit_baseline("kmer", codes, np.repeat([1, 0], 6).astype(np.int8))
    words = model.describe().split()[2:]
    assert len(words) == 3
    assert all(set(word) <= set("AC") or set(word) <= set("GT") for word in words)


@pytest.mark.parametrize("name", ["gc", "denovo", "kmer", "motif"])
def test_one_class_is_refused(name, train):
    codes, labels = train
    with pytest.raises(InputError, match="negative training sequence"):
        fit_baseline(name, codes, np.where(labels == 1, 1, -1), pwms=[AP1, OTHER])
    with pytest.raises(InputError, match="one label for each"):
        fit_baseline(name, codes, labels[:-1], pwms=[AP1, OTHER])


def test_refusals(train):
    codes, labels = train
    with pytest.raises(InputError, match="no baseline 'gkm'; nearest:"):
        fit_baseline("gkm", codes, labels)
    with pytest.raises(InputError, match="at least one motif"):
        fit_baseline("motif", codes, labels)
    with pytest.raises(InputError, match="found none"):
        fit_baseline("prevalence", codes, np.full(len(codes), -1, np.int8))
    with pytest.raises(InputError, match="at least 5 positive"):
        fit_baseline("denovo", codes[labels >= 0][:4], np.array([1, 1, 1, 0], np.int8))


FAKE_TRAIN = r"""#!/bin/sh
[ "$1 $2 $3 $4 $5 $6 $7 $8 $9" = "-t 4 -l 11 -k 7 -d 3 -r" ] || { echo "bad: $*" >&2; exit 3; }
shift 9
[ "$1" = 4 ] || { echo "INFO reading" >&2; echo "bad seed: $*" >&2; exit 3; }
head -1 "$2" | grep -q '^>s0$' || { echo "no FASTA" >&2; exit 3; }
cat > "$4.model.txt" <<EOF
svm_type c_svc
kernel_type 4
L 11
k 7
d 3
M 50
H 50
gamma 1
nr_class 2
total_sv $(( $(grep -c '>' "$2") + $(grep -c '>' "$3") ))
rho 0.0123
label 1 -1
nr_sv $(grep -c '>' "$2") $(grep -c '>' "$3")
SV
EOF
grep -v '>' "$2" | sed 's/^/1 /' >> "$4.model.txt"
grep -v '>' "$3" | sed 's/^/-1 /' >> "$4.model.txt"
"""
"""The options of LS-GKM's readme, and a model file as libSVM writes it."""

FAKE_PREDICT = r"""#!/bin/sh
[ $# = 3 ] && grep -q '^nr_sv 60 60$' "$2" || { echo "bad model" >&2; exit 4; }
awk '/^>/ {name = substr($1, 2); next}
     {printf "%s\t%g\n", name, gsub("A", "A") - 1.5}' "$1" > "$3"
"""


def test_lsgkm(tmp_path: Path, monkeypatch, train):
    codes, labels = train
    for name, text in (("gkmtrain", FAKE_TRAIN), ("gkmpredict", FAKE_PREDICT)):
        program = tmp_path / name
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    model = fit_baseline("lsgkm", codes, labels, seed=3)
    assert "total_sv 120" in model.model
    assert model.describe() == "gkm-SVM, 254 lines"
    short = encode_many(["ACANGT", "CCCCCC"])
    assert model.score(short).tolist() == [1.5, -1.5]
    assert model.score(short[:0]).shape == (0,)
    with pytest.raises(InputError, match="gkmtrain failed: bad seed"):
        fit_baseline("lsgkm", codes, labels, seed=0)
    with pytest.raises(InputError, match="gkmpredict failed: bad model"):
        GkmModel("svm_type c_svc").score(short)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="gkmtrain is not on PATH"):
        fit_baseline("lsgkm", codes, labels)


def test_gkm_scores_by_name():
    assert _read_scores(["s1\t-0.5", "s0\t1e-05"], 2).tolist() == [1e-05, -0.5]
    with pytest.raises(InputError, match="scored 1 of 2"):
        _read_scores(["s1\t-0.5"], 2)
    for line in ("s0 1.0", "s0\tnone", "s7\t1.0", ""):
        with pytest.raises(InputError, match="expected lines of name, tab, score"):
            _read_scores([line], 2)
