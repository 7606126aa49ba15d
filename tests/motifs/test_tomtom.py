"""Tomtom's adapter."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from cistransfer.errors import InputError
from cistransfer.motifs.compare import _calibrate, compare
from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.pwm import PWM, reverse_complement_pwm


@pytest.fixture(scope="module")
def jaspar(shared_data) -> dict[str, PWM]:
    pwms = read_motifs(shared_data / "motifs" / "JASPAR2020_CORE_vertebrates_non-redundant.meme")
    return {pwm.alt_name: pwm for pwm in pwms}


def part(pwm: PWM, start: int, end: int | None) -> PWM:
    return PWM(f"{pwm.name}[{start}:{end}]", pwm.probabilities[start:end])


def random_pwms(n: int, seed: int) -> list[PWM]:
    rng = np.random.default_rng(seed)
    return [PWM(f"random{i}", rng.dirichlet([0.4] * 4, size=19)) for i in range(n)]


def test_matches_with_offset_overlap_and_strand(jaspar):
    pytest.importorskip("memelite")
    targets = list(jaspar.values())
    ctcf = jaspar["CTCF"]
    flat = PWM("flat", np.full((19, 4), 0.25))
    flipped = part(reverse_complement_pwm(ctcf), 2, None)
    padded = PWM("padded", np.vstack([np.full((2, 4), 0.25), ctcf.probabilities]))
    queries = [part(ctcf, 3, None), flat, flipped, padded]
    table = compare(queries, targets)
    assert table["query"].unique().tolist() == [0, 2, 3], "the flat motif is left out"
    assert len(table) == 3 * len(targets)
    best = table.groupby("query").head(1)
    assert best["target_alt_name"].tolist() == ["CTCF"] * 3
    assert best["target_name"].tolist() == ["MA0139.1"] * 3
    assert best["offset"].tolist() == [3, 2, -2]
    assert best["overlap"].tolist() == [16, 17, 19]
    assert best["strand"].tolist() == ["+", "-", "+"]
    assert (best["q"] < 1e-3).all()
    assert (table["p_calibrated"] >= table["p"] * 0.1).all()


def test_random_motifs_match_nothing_and_real_ones_do(jaspar):
    pytest.importorskip("memelite")
    targets = list(jaspar.values())
    rng = np.random.default_rng(1)
    names = ["HNF4A", "SPI1", "CEBPB", "NRF1", "GATA2", "MAX", "REST", "ELF1", "YY1", "SP1"]
    noisy = [
        PWM(name, 0.8 * jaspar[name].probabilities + 0.2 * rng.dirichlet([1] * 4, size=1))
        for name in names
    ]
    matched = compare(noisy, targets).query("q < 0.05")["query"].unique()
    assert len(matched) >= 9
    table = compare(random_pwms(40, 2), targets)
    false = table.query("q < 0.05")["query"].nunique()
    assert false <= 5, f"{false} of 40 random motifs matched"
    assert (table["p_calibrated"] < 0.01).mean() == pytest.approx(0.01, abs=0.006)


def test_same_seed_same_table_and_few_targets(jaspar):
    pytest.importorskip("memelite")
    targets = [jaspar[name] for name in ("CTCF", "JUND", "SPI1")]
    first = compare([jaspar["SPI1"]], targets, seed=3)
    assert first["target_alt_name"].iloc[0] == "SPI1"
    assert first.equals(compare([jaspar["SPI1"]], targets, seed=3))
    assert compare([], targets).empty


def test_refusals(monkeypatch):
    pwms = random_pwms(1, 0)
    with pytest.raises(InputError, match="found none"):
        compare(pwms, [])
    monkeypatch.setitem(sys.modules, "memelite", None)
    with pytest.raises(InputError, match=r"pip install 'cistransfer\[motifs\]'"):
        compare(pwms, pwms)


def test_calibration_of_exact_p_values_changes_little():
    null = np.random.default_rng(0).random(20_000)
    p = 10.0 ** -np.arange(8)
    np.testing.assert_allclose(np.log10(_calibrate(p, null)), np.log10(p), atol=0.5)
    assert (np.diff(_calibrate(p, null)) <= 0).all()
    # Twice too small on the log scale: the tail finds the slope.
    np.testing.assert_allclose(np.log10(_calibrate(p**2, null**2)), np.log10(p), atol=0.5)


def test_q_is_benjamini_hochberg_of_the_calibrated_p(jaspar):
    pytest.importorskip("memelite")
    targets = [jaspar[name] for name in ("CTCF", "JUND", "SPI1", "HNF4A")]
    table = compare([jaspar["SPI1"]], targets, seed=3)
    p = table["p_calibrated"].to_numpy()  # ascending
    naive = [min(1, *(p[j] * 4 / (j + 1) for j in range(i, 4))) for i in range(4)]
    np.testing.assert_allclose(table["q"], naive)


def test_the_number_of_threads_is_given_back() -> None:
    """numba sets OpenMP's threads for the whole process; PyTorch's results depend on them."""
    import torch

    before = torch.get_num_threads()
    motifs = [
        PWM(f"m{seed}", np.random.default_rng(seed).dirichlet(np.ones(4), 10)) for seed in range(5)
    ]
    compare(motifs[:2], motifs)
    assert torch.get_num_threads() == before
