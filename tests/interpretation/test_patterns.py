"""Seqlets and patterns in attributions whose truth is known."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from toynets import OTHER, SITE, Motifs, random_codes, with_sites

from cistransfer.errors import InputError
from cistransfer.interpretation import patterns
from cistransfer.interpretation.attribute import attribute
from cistransfer.interpretation.patterns import find_patterns, find_seqlets, modisco_patterns
from cistransfer.motifs.pwm import PWM, consensus, from_counts


def known_motifs() -> list[PWM]:
    rng = np.random.default_rng(0)
    noise = [
        from_counts(f"T{number}", 20 * rng.dirichlet([0.3] * 4, size=9), pseudocount=0.5)
        for number in range(40)
    ]
    planted = []
    for name, text in (("site", SITE), ("other", OTHER)):
        letters = np.eye(4)[["ACGT".index(letter) for letter in text]]
        planted.append(from_counts(name.upper(), 50 * letters, pseudocount=1.0, alt_name=name))
    return [*noise, *planted]


def test_seqlets_cover_planted_stretches_only() -> None:
    rng = np.random.default_rng(0)
    contributions = rng.normal(scale=0.05, size=(100, 120)).astype(np.float32)
    starts = rng.integers(10, 100, size=100)
    for row in range(60):
        contributions[row, starts[row] : starts[row] + 8] += 0.4 if row < 40 else -0.4
    found = find_seqlets(contributions, core=8, flank=3)
    hit = found.drop_duplicates("sequence")
    assert set(range(60)) <= set(hit["sequence"])
    assert (found["sequence"] >= 60).sum() <= 6
    strong = found[found["contribution"].abs() > 2]
    assert len(strong) == 60
    inside = strong["start"].to_numpy() + 3 - starts[strong["sequence"]]
    assert np.abs(inside).max() <= 3
    assert (np.sign(strong["contribution"]) == np.where(strong["sequence"] < 40, 1, -1)).all()


def test_noise_and_nothing_have_no_seqlets() -> None:
    noise = np.random.default_rng(1).normal(size=(50, 100)).astype(np.float32)
    assert len(find_seqlets(noise)) <= 5
    assert len(find_seqlets(np.zeros((5, 50), np.float32))) == 0
    assert len(find_seqlets(noise[:0])) == 0
    assert len(find_seqlets(noise[:, :5])) == 0


def test_patterns_are_the_motifs_that_the_model_uses() -> None:
    """The shape of the published Figure 9C: a model that knows the cofactor shows its motif."""
    pytest.importorskip("memelite")
    codes, _ = with_sites(random_codes(60, 60, seed=1), SITE)
    codes[::2] = with_sites(codes[::2], OTHER, seed=5)[0]
    with_cofactor, without = Motifs([SITE, OTHER], 60).eval(), Motifs([SITE, "CCCCCCCC"], 60).eval()
    with_cofactor.linear.weight.data[0] += with_cofactor.linear.weight.data[1]
    targets = known_motifs()
    names = {}
    for key, model in (("with", with_cofactor), ("without", without)):
        contributions = attribute(model, codes, shuffles=5, task=0).contributions
        found = find_patterns(codes, contributions, targets)
        names[key] = found.table["match_name"].tolist()
        assert found.note.startswith(f"{len(found.seqlets)} seqlets in ")
        for pwm, row in zip(found.pwms, found.table.itertuples(), strict=True):
            assert consensus(pwm) == {"site": SITE, "other": OTHER}[row.match_name]
            assert row.seqlets >= row.sequences >= 15
            assert row.mean_contribution > 0.3
    assert set(names["with"]) == {"site", "other"}
    assert names["without"] == ["site"]


def test_reverse_strand_seqlets_join_the_pattern() -> None:
    pytest.importorskip("memelite")
    codes, starts = with_sites(random_codes(40, 60, seed=1), SITE, both=True)
    contributions = np.zeros(codes.shape, np.float32)
    for row, start in enumerate(starts):
        contributions[row, start : start + 8] = 1
    found = find_patterns(codes, contributions, known_motifs())
    assert found.table["seqlets"].tolist() == [40]
    assert consensus(found.pwms[0]) == SITE


def test_an_empty_result_says_what_was_tried() -> None:
    codes = random_codes(10, 60)
    found = find_patterns(codes, np.zeros(codes.shape, np.float32), known_motifs())
    assert len(found.table) == 0
    assert found.note.startswith("0 seqlets in 0 of 10 sequences; 0 match one of 42 known motifs")
    with pytest.raises(ValueError, match="do not fit"):
        find_patterns(codes, np.zeros((10, 50), np.float32), known_motifs())


def test_modisco_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'cistransfer\[modisco\]'"):
        modisco_patterns(random_codes(10, 60), np.zeros((10, 4, 60), np.float32))


def test_modisco_is_given_what_it_wants_and_its_patterns_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The adapter, with a stand-in that answers as modisco-lite 3 does."""
    pytest.importorskip("memelite")
    codes, _ = with_sites(random_codes(40, 60, seed=1), SITE)
    codes[7, 0] = 4  # a sequence with N is left out
    hypothetical = np.random.default_rng(0).normal(size=(40, 4, 60)).astype(np.float32)
    given: dict = {}

    def stand_in(**arguments: object) -> tuple[list[SimpleNamespace], None]:
        given.update(arguments)
        seqlets = [
            SimpleNamespace(example_idx=row, start=10, end=18) for row in range(len(codes) - 1)
        ]
        letters = np.eye(4)[["ACGT".index(letter) for letter in SITE]]
        pattern = SimpleNamespace(
            sequence=0.97 * letters + 0.0075, seqlets=seqlets, contrib_scores=letters * 0.5
        )
        return [pattern], None

    monkeypatch.setattr(patterns, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "modiscolite.tfmodisco", SimpleNamespace(TFMoDISco=stand_in))
    found = modisco_patterns(codes, hypothetical, known_motifs())
    assert given["one_hot"].shape == given["hypothetical_contribs"].shape == (39, 60, 4)
    assert (given["one_hot"].sum(axis=2) == 1).all()
    np.testing.assert_array_equal(given["hypothetical_contribs"][7], hypothetical[8].T)
    assert given["min_metacluster_size"] == 20
    assert found.note == ("TF-MoDISco on 39 sequences, smallest metacluster 20: 1 patterns")
    row = found.table.iloc[0]
    assert (row["match"], row["match_name"]) == ("SITE", "site")
    assert (row["seqlets"], row["sequences"]) == (39, 39)
    assert row["mean_contribution"] == pytest.approx(0.5 * 0.9775 * len(SITE))
    assert found.seqlets["sequence"].tolist() == [at for at in range(40) if at != 7]
    assert consensus(found.pwms[0]) == SITE
    none = modisco_patterns(codes, hypothetical)
    assert none.table["match"].tolist() == [""]
