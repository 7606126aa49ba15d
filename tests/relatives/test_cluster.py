"""Binding modes computed from motifs: toy motifs, and JASPAR against what is published."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError
from cistransfer.motifs.compare import weighted_similarity
from cistransfer.motifs.pwm import PWM
from cistransfer.relatives.modes import BindingModes, mode_agreement
from cistransfer.relatives.read_modes import cluster_modes, read_modes


def motif(name: str, word: str, sharp: float = 0.94) -> PWM:
    rows = np.full((len(word), 4), (1 - sharp) / 3)
    rows[np.arange(len(word)), ["ACGT".index(letter) for letter in word]] = sharp
    return PWM(f"M{name}", rows / rows.sum(axis=1, keepdims=True), alt_name=name)


TFCLASS = "motifs/TFClass_human.obo.gz"
CISBP = "motifs/human_TFs_cisbp2.00_families.tsv"

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
    return cluster_modes(MOTIFS)


def test_toy_modes(toy: BindingModes) -> None:
    # A heterodimer counts for both partners; numbered from the largest, ties by name. JUN's other
    # motif is fairly like Jund's and of one family; CREB1's is as like, and of another.
    assert toy.groups == {
        "1": ("FOS", "JUN", "JUND"), "2": ("MAX", "MYC"), "3": ("CREB1",), "4": ("GATA1",)
    }  # fmt: skip
    assert toy.profile_modes == ("1", "1", "3", "1", "2", "2", "4")


def test_only_the_wanted_tfs_and_any_order(toy: BindingModes) -> None:
    modes = cluster_modes(MOTIFS, ["jun", "MAX"])
    assert modes.names() == {"JUN", "MAX"}
    assert len(modes.profiles) == 3
    again = cluster_modes(MOTIFS[::-1])
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
    assert steps == 3


def test_bad_motifs() -> None:
    with pytest.raises(InputError, match="none of the 7 motifs is named after"):
        cluster_modes(MOTIFS, ["KLF1"])
    with pytest.raises(InputError, match=r"between 0 and 1.6, found 3"):
        cluster_modes(MOTIFS, cut=3)


def test_flat_and_weak_motifs_join_nothing() -> None:
    flat = PWM("flat", np.full((8, 4), 0.25), alt_name="FLAT1")
    weak = motif("WEAK1", "GAGTCA", 0.4)
    found = weighted_similarity([flat, weak, MOTIFS[0]])
    assert found[0].tolist() == [1, 0, 0]
    assert found[1, 2] < 0.95
    modes = cluster_modes([*MOTIFS, flat, weak])
    assert len(modes.groups[next(iter(modes.of("FLAT1")))]) == 1
    assert len(modes.groups[next(iter(modes.of("WEAK1")))]) == 1


def test_similarity_weighs_by_information() -> None:
    """The naive sum over every alignment."""

    def vector(pwm: PWM) -> list[np.ndarray]:
        out = []
        for row in pwm.probabilities:
            bits = float((row * np.log2(row / 0.25)).sum())
            out.append((row - 0.25) / np.linalg.norm(row - 0.25) * np.sqrt(bits))
        return out

    def naive(a: PWM, b: PWM) -> float:
        x, best = vector(a), -np.inf
        for y in (vector(b), [row[::-1] for row in vector(b)[::-1]]):
            for shift in range(1 - len(y), len(x)):
                best = max(best, sum(float(x[i] @ y[i - shift]) for i in range(len(x))
                                     if 0 <= i - shift < len(y)))  # fmt: skip
        return best / np.sqrt(sum(float(r @ r) for r in x) * sum(float(r @ r) for r in vector(b)))

    found = weighted_similarity(MOTIFS)
    for i, j in itertools.combinations(range(len(MOTIFS)), 2):
        assert found[i, j] == pytest.approx(naive(MOTIFS[i], MOTIFS[j]))
    half = motif("half", "TGAC")
    dimer = motif("dimer", "TGACTTGAC")
    assert weighted_similarity([half, dimer])[0, 1] == pytest.approx(np.sqrt(4 / 9))


def test_a_dimer_of_two_classes_makes_no_kin() -> None:
    """GATA1::TAL1 lies with GATA; TAL1 stays with its own motif, and where it has none, there."""
    both = motif("GATA1::TAL1", "AGATAAGA")
    own = motif("TAL1", "AACAGATGTT")
    modes = cluster_modes([motif("GATA1", "AGATAAGA"), motif("GATA2", "AGATAAGA"), both, own])
    assert modes.of("GATA1") == modes.of("GATA2")
    assert not modes.of("GATA1") & modes.of("TAL1")
    without = cluster_modes([motif("GATA1", "AGATAAGA"), motif("GATA2", "AGATAAGA"), both])
    assert without.of("TAL1") == without.of("GATA1")


def test_a_tf_without_motif_goes_with_its_family() -> None:
    modes = cluster_modes(MOTIFS, ["GATA1", "GATA4", "MAX", "CTCF"])
    assert modes.of("GATA4") == modes.of("GATA1")
    assert modes.of("CTCF") == frozenset()


def test_published_modes_come_out(old_modes: BindingModes, real_matrix: BindingMatrix) -> None:
    """What the published notebooks say of JASPAR's clusters (protocol E1, E3)."""
    of = old_modes.of

    def kin(tf: str) -> set[str]:
        return set(old_modes.members(of(tf), real_matrix.tfs)) - {tf}

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
    jaspar_modes: BindingModes,
    old_modes: BindingModes,
    tfclass_modes: BindingModes,
    shared_data: Path,
    real_matrix: BindingMatrix,
) -> None:
    found = mode_agreement(jaspar_modes, tfclass_modes, real_matrix.tfs)
    assert found.tfs == 150
    assert found.kappa == pytest.approx(0.827, abs=0.005)
    assert found.precision == pytest.approx(0.818, abs=0.01)
    assert found.recall == pytest.approx(0.846, abs=0.01)
    before = mode_agreement(old_modes, tfclass_modes, real_matrix.tfs)
    assert before.kappa == pytest.approx(0.577, abs=0.02)
    # CIS-BP's families are wide (24 bZIP, 20 of C2H2): who is together here is there, too.
    cisbp = mode_agreement(jaspar_modes, read_modes(shared_data / CISBP, real_matrix.tfs),
                           real_matrix.tfs)  # fmt: skip
    assert cisbp.precision == pytest.approx(0.976, abs=0.01)


def test_no_mode_mixes_superclasses(
    jaspar_modes: BindingModes, shared_data: Path, real_matrix: BindingMatrix
) -> None:
    superclass = read_modes(shared_data / TFCLASS, real_matrix.tfs, level="superclass",
                            symbols=shared_data / CISBP)  # fmt: skip
    for tfs in jaspar_modes.groups.values():
        assert len(frozenset().union(*(superclass.of(tf) for tf in tfs))) <= 1, tfs


def test_kin_of_the_six_targets(jaspar_modes: BindingModes, real_matrix: BindingMatrix) -> None:
    def kin(tf: str) -> str:
        found = jaspar_modes.members(jaspar_modes.of(tf), real_matrix.tfs)
        return " ".join(other for other in found if other != tf)

    assert kin("HNF4A") == "NR2C2 NR2F1 NR2F2 NR2F6 RXRA"
    assert kin("SPI1") == "ELF1 ELK1 ELK4 ERG ETS1 ETV1 ETV4 ETV6 GABPA"
    assert kin("SP1") == "EGR1 KLF1 KLF13 KLF4 KLF9 SP2"
    assert kin("MAX") == "MITF MNT MXI1 MYC MYCN SREBF1 SREBF2 TFAP4 USF1 USF2"
    assert {"FOS", "FOSL1", "JUN", "JUNB", "BATF", "ATF7"} <= set(kin("JUND").split())
    assert kin("TEAD4") == "TEAD2"
