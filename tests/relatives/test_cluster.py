"""Binding modes computed from motifs: toy motifs, and JASPAR against what is published."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError
from cistransfer.motifs.pwm import PWM
from cistransfer.relatives.agreement import mode_agreement
from cistransfer.relatives.cluster import cluster_modes, strengths
from cistransfer.relatives.modes import BindingModes


def motif(name: str, word: str, sharp: float = 0.94) -> PWM:
    rows = np.full((len(word), 4), (1 - sharp) / 3)
    rows[np.arange(len(word)), ["ACGT".index(letter) for letter in word]] = sharp
    return PWM(f"M{name}", rows / rows.sum(axis=1, keepdims=True), alt_name=name)


MOTIFS = [
    motif("FOS::JUN", "TGAGTCAT"),
    motif("Jund", "ATGAGTCAT", 0.9),
    motif("CREB1", "TGACGTCATT"),
    motif("JUN(var.2)", "ATGACGTCAT", 0.9),
    motif("MAX", "GACCACGTGGTC"),
    motif("MYC", "ACCACGTGGT", 0.9),
    motif("GATA1", "AGATAAGA"),
]


@pytest.fixture(scope="module")
def toy() -> BindingModes:
    return cluster_modes(MOTIFS, n_jobs=1)


def test_toy_modes(toy: BindingModes) -> None:
    modes = toy
    assert modes.of("FOS") == modes.of("JUND")
    # A heterodimer counts for both partners, and a TF may be in several modes.
    assert modes.of("FOS") < modes.of("JUN")
    assert modes.of("JUN") == modes.of("FOS") | modes.of("CREB1")
    assert modes.of("MAX") == modes.of("MYC")
    assert len(modes.of("GATA1")) == 1
    for a, b in itertools.combinations(["FOS", "MAX", "GATA1"], 2):
        assert not modes.of(a) & modes.of(b)
    assert len(modes.groups) == len(set(modes.profile_modes)) == 4
    # Numbered from the largest; ties by name.
    assert modes.groups["1"] == ("FOS", "JUN", "JUND")
    assert [len(modes.groups[mode]) for mode in modes.groups] == [3, 2, 2, 1]


def test_only_the_wanted_tfs_and_any_order(toy: BindingModes) -> None:
    modes = cluster_modes(MOTIFS, ["jun", "MAX"], n_jobs=1)
    assert modes.names() == {"JUN", "MAX"}
    assert len(modes.profiles) == 3
    again = cluster_modes(MOTIFS[::-1], n_jobs=1)
    assert again.groups == toy.groups
    assert cluster_modes(MOTIFS[:1]).groups == {"1": ("FOS", "JUN")}


def test_wider_modes_contain_the_narrow_ones(toy: BindingModes) -> None:
    modes = toy
    steps = 0
    while modes.wider is not None:
        for tfs in modes.groups.values():
            assert any(set(tfs) <= set(larger) for larger in modes.wider.groups.values())
        modes = modes.wider
        steps += 1
    assert steps == 2


def test_bad_motifs() -> None:
    with pytest.raises(InputError, match="none of the 7 motifs is named after"):
        cluster_modes(MOTIFS, ["KLF1"])
    with pytest.raises(InputError, match="between 0 and 10, found 12"):
        cluster_modes(MOTIFS, cut=12)


def test_flat_motifs_match_nothing() -> None:
    flat = PWM("flat", np.full((8, 4), 0.25))
    found = strengths([flat, MOTIFS[0]], MOTIFS, n_jobs=1)
    assert (found[0] == 0).all()
    assert found[1].argmax() == 0
    assert ((found >= 0) & (found <= 10)).all()


def test_published_modes_come_out(jaspar_modes: BindingModes, real_matrix: BindingMatrix) -> None:
    """What the published notebooks say of JASPAR's clusters (protocol E1, E3)."""
    of = jaspar_modes.of

    def kin(tf: str) -> set[str]:
        return set(jaspar_modes.members(of(tf), real_matrix.tfs)) - {tf}

    assert {"NR2C2", "NR2F1", "NR2F6", "RXRA"} <= kin("HNF4A")
    assert "NR2F2" not in kin("HNF4A")  # it is the first of the published cofactors
    assert "VDR" not in kin("HNF4A")  # its published mode is 46, not 2 or 4
    assert len(of("JUND")) == 2
    ap1, creb = {"FOS", "JUN", "NFE2L1", "BATF"}, {"ATF1", "ATF7", "CREB1", "CREM"}
    assert ap1 | creb <= kin("JUND")
    assert not (of("NFE2L1") & of("ATF7"))
    assert {"MYC", "MNT", "SREBF2", "USF1", "BHLHE40"} <= kin("MAX")
    assert len(of("MAX")) == len(of("SPI1")) == len(of("SP1")) == len(of("EGR1")) == 1
    assert {"ETV4", "ERG", "ELF1", "GABPA"} <= kin("SPI1")
    assert of("SP1") == of("EGR1") == of("KLF9") == of("ZNF740")
    groups = [of(tf) for tf in ("HNF4A", "JUND", "MAX", "SPI1", "SP1")]
    assert all(not a & b for a, b in itertools.combinations(groups, 2))


def test_agreement_with_tfclass(
    jaspar_modes: BindingModes, tfclass_modes: BindingModes, real_matrix: BindingMatrix
) -> None:
    found = mode_agreement(jaspar_modes, tfclass_modes, real_matrix.tfs)
    assert found.tfs == 150
    assert found.kappa == pytest.approx(0.577, abs=0.02)
    assert found.recall == pytest.approx(0.73, abs=0.03)
