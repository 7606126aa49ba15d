"""Whose motif it is, and which TF is meant: names as databases and people write them."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from cistransfer.errors import InputError
from cistransfer.motifs.files import read_motifs, write_meme
from cistransfer.motifs.names import (
    _key,
    _synonyms,
    given_motifs,
    motif_tfs,
    motifs_of,
    tf_symbol,
)
from cistransfer.motifs.pwm import PWM


def motif(name: str, alt_name: str = "") -> PWM:
    return PWM(name, np.full((4, 4), 0.25), alt_name=alt_name)


@pytest.mark.parametrize(
    ("name", "alt_name", "expected"),
    [
        ("MA0058.3", "MAX", ("MAX",)),
        ("MA0004.1", "Arnt", ("ARNT",)),
        ("MA0004.1", "MA0004.1.Arnt", ("ARNT",)),  # JASPAR's own MEME files
        ("MA0004.1.Arnt", "", ("ARNT",)),
        ("UN0321.1", "UN0321.1.ZNF350", ("ZNF350",)),
        ("MA0006.2", "MA0006.2.AHR::ARNT", ("AHR", "ARNT")),
        ("MA1135.1", "FOSB::JUNB(var.2)", ("FOSB", "JUNB")),
        ("MA0690.1", "TBX21", ("TBX21",)),
        ("MA0111.1", "EWSR1-FLI1", ("EWSR1-FLI1",)),
        ("MA0002.1", "RUNX1::RUNX1", ("RUNX1",)),
        ("HNF4A_HUMAN.H11MO.0.A", "", ("HNF4A",)),
        ("Hnf4a_MOUSE.H11MO.0.A", "", ("HNF4A",)),
        ("HNF4A.H12CORE.0.P.B", "", ("HNF4A",)),
        ("HNF4A.H12INVIVO.0.P.B", "", ("HNF4A",)),
        ("NKX2-5", "", ("NKX2-5",)),
        ("MA0004.1", "", ("MA0004.1",)),  # an identifier is no TF, but all there is
        ("x", "A :: B", ("A", "B")),
        ("MA1", "SMAD2::SMAD3::SMAD4", ("SMAD2", "SMAD3", "SMAD4")),
        ("MA0148.4_FOXA1", "", ("FOXA1",)),
        ("FOXA1.H12CORE.0.PS.A", "", ("FOXA1",)),
        ("P53_HUMAN.H11MO.0.A", "", ("TP53",)),  # UniProt's entry names
        ("PO5F1_HUMAN.H11MO.0.A", "", ("POU5F1",)),
        ("HXA10_HUMAN.H11MO.0.C", "", ("HOXA10",)),
        ("ZN143_HUMAN.H11MO.0.A", "", ("ZNF143",)),
        ("NKX25_HUMAN.H11MO.0.B", "", ("NKX25",)),
        ("TFE2_MOUSE.H11MO.0.A", "", ("TCF3",)),
        ("FOXA1(Forkhead)/LNCAP-FOXA1/Homer", "FOXA1", ("FOXA1",)),
        ("Oct4:Sox17(POU,Homeobox,HMG)/F9/Homer", "Oct4:Sox17", ("OCT4", "SOX17")),
        ("Tcf4(HMG)/Hct116-Tcf4-ChIP-Seq(SRA012054)/Homer", "Tcf4", ("TCF7L2",)),
        ("V$HNF4ALPHA_Q6", "", ("HNF4ALPHA",)),
        ("M0001_1.02", "(Tfap2b)_(Mus_musculus)_(DBD_1.00)", ("TFAP2B",)),
        ("Ar_DBD_1", "", ("AR",)),
        ("UP00000_1", "Smad3_primary", ("SMAD3",)),
        ("AHR_si", "", ("AHR",)),  # HOCOMOCO 9
        ("FOXA1_f1", "", ("FOXA1",)),
        ("ERE(NR),IR3/MCF7-ERa-ChIP-Seq(Unpublished)/Homer", "ERE", ("ESR1",)),
        ("REST-NRSF(Zf)/Jurkat-NRSF-ChIP-Seq/Homer", "REST-NRSF", ("REST",)),
        ("NFkB-p50,p52(RHD)/Monocyte-p50-ChIP-Chip/Homer", "NFkB-p50,p52", ("NFKB1", "NFKB2")),
    ],
)
def test_names(name: str, alt_name: str, expected: tuple[str, ...]) -> None:
    assert motif_tfs(motif(name, alt_name)) == expected


def test_its_own_motifs_come_before_those_of_heterodimers() -> None:
    pwms = [
        motif("1", "MAX::MYC"), motif("2", "MAX"), motif("3", "MAXB"), motif("4", "max"),
        motif("5", "MYC::MAX"),
    ]  # fmt: skip
    assert [pwm.name for pwm in motifs_of("Max", pwms)] == ["2", "4", "1", "5"]
    assert [pwm.name for pwm in motifs_of("MYC", pwms)] == ["1", "5"]
    with pytest.raises(InputError, match=r"no motif of 'MAXC' among the 5; nearest: .*MAX"):
        motifs_of("MAXC", pwms)
    with pytest.raises(InputError, match="no motif of 'MAX' among the 0"):
        motifs_of("MAX", [])


KNOWN = [
    "SPI1",
    "POU5F1",
    "MYC",
    "MYCN",
    "REST",
    "HNF4A",
    "CEBPB",
    "NKX2-5",
    "TCF4",
    "TFAP2A",
    "TP53",
]


@pytest.mark.parametrize(
    ("name", "symbol", "how"),
    [
        ("SPI1", "SPI1", "as written"),
        ("Spi1", "SPI1", "regardless of case"),
        ("hnf4a", "HNF4A", "regardless of case"),
        ("HNF-4alpha", "HNF4A", "spelled otherwise"),
        ("HNF-4α", "HNF4A", "spelled otherwise"),
        ("C/EBPbeta", "CEBPB", "spelled otherwise"),
        ("Nkx2.5", "NKX2-5", "spelled otherwise"),
        ("c-Myc", "MYC", "spelled otherwise"),
        ("cMyc", "MYC", "synonym"),
        ("eGFP-SPI1", "SPI1", "spelled otherwise"),  # ENCODE's
        ("3xFLAG-HNF4A", "HNF4A", "spelled otherwise"),
        ("n-Myc", "MYCN", "synonym"),
        ("PU.1", "SPI1", "synonym"),
        ("pu1", "SPI1", "synonym"),
        ("Oct-4", "POU5F1", "synonym"),
        ("OCT4", "POU5F1", "synonym"),
        ("NRSF", "REST", "synonym"),
        ("AP-2alpha", "TFAP2A", "synonym"),
        ("p53", "TP53", "synonym"),
        ("TCF-4", "TCF4", "spelled otherwise"),  # the symbol, not what TCF7L2 was called
    ],
)
def test_which_tf_is_meant(name, symbol, how):
    match = tf_symbol(name, KNOWN)
    assert (match.asked, match.symbol, match.names, match.how) == (name, symbol, (symbol,), how)


def test_a_synonym_may_be_the_known_name():
    match = tf_symbol("SPI1", ["PU.1", "GATA1"])
    assert (match.symbol, match.how, match.line()) == ("PU.1", "synonym", "PU.1 (synonym of SPI1)")
    match = tf_symbol("POU5F1", ["Oct4", "POU5F1"])
    assert (match.symbol, match.names, match.line()) == ("POU5F1", ("POU5F1", "Oct4"), "POU5F1")
    assert tf_symbol("HNF4A", ["Hnf4a", "HNF4A"]).symbol == "HNF4A"


def test_what_is_not_known_or_not_clear_is_refused():
    with pytest.raises(InputError, match="no TF 'SPI2' among the 11; nearest: SPI1"):
        tf_symbol("SPI2", KNOWN)
    with pytest.raises(InputError, match=r"'HNF4A' may be Hnf4a or hnf4a \(regardless of case\)"):
        tf_symbol("HNF4A", ["Hnf4a", "hnf4a"])
    with pytest.raises(InputError, match=r"'POU5F1' may be OCT4 or OCT3 \(synonym\)"):
        tf_symbol("POU5F1", ["OCT4", "OCT3"])


def test_no_synonym_is_the_symbol_of_another_tf(shared_data):
    """Every TF of CIS-BP's list is itself, and nothing else; every symbol of the table is one."""
    file = shared_data / "motifs" / "human_TFs_cisbp2.00_families.tsv"
    symbols = [line.split("\t")[1] for line in file.read_text().splitlines()[1:]]
    assert len(symbols) > 1600
    keys = {_key(symbol) for symbol in symbols}
    table = _synonyms()
    assert keys & set(table) == {"T"}, "CIS-BP calls TBXT by its former symbol"
    assert {_key(symbol) for symbol in table.values()} - keys == {"TBXT"}
    for symbol in symbols[::10]:
        assert tf_symbol(symbol, symbols).names == (symbol,)


def test_motifs_of_a_synonym_and_what_is_said():
    pwms = [
        motif("MA0080.5", "SPI1"), motif("PU.1(ETS)/x/Homer", "PU.1"), motif("MA1", "IRF8::SPI1"),
        motif("SPI1_HUMAN.H11MO.0.A"), motif("MA2", "SPIB"),
    ]  # fmt: skip
    for tf in ("SPI1", "spi1", "PU.1"):
        assert [pwm.name for pwm in motifs_of(tf, pwms)] == [
            "MA0080.5", "PU.1(ETS)/x/Homer", "SPI1_HUMAN.H11MO.0.A", "MA1",
        ]  # fmt: skip
    given = given_motifs("SPI1", pwms)
    assert [pwm.name for pwm in given.pwms] == [
        "MA0080.5", "PU.1(ETS)/x/Homer", "SPI1_HUMAN.H11MO.0.A",
    ]  # fmt: skip
    assert given.match is not None
    assert given.match.names == ("SPI1", "PU.1")
    given = given_motifs("PU.1", pwms[:1] + pwms[4:])
    assert given.line() == "motif of PU.1: MA0080.5 SPI1 (synonym of PU.1)"
    with pytest.raises(InputError, match=r"no motif of 'GATA1' among the 5; there are: IRF8"):
        given_motifs("GATA1", pwms)


def test_a_single_motif_is_taken_whatever_its_name(tmp_path):
    given = given_motifs("GATA1", [motif("1-ATGAT")])
    assert (given.match, given.line()) == (None, "motif of GATA1: 1-ATGAT")
    path = tmp_path / "one.meme"
    write_meme(path, [motif("x", "FOXA1")])
    given = given_motifs("GATA1", path)
    assert given.facts is not None
    assert given.facts.line() == "1 motif (MEME)"
    assert [pwm.name for pwm in motifs_of("foxa1", path)] == ["x"]


def test_the_motifs_of_jaspar_by_name(monkeypatch):
    pytest.importorskip("pyjaspar")
    assert {pwm.alt_name for pwm in motifs_of("HNF4A", "jaspar")} == {"HNF4A"}
    assert [pwm.alt_name for pwm in given_motifs("PU.1", "JASPAR2020").pwms] == ["SPI1"]
    monkeypatch.setitem(sys.modules, "pyjaspar", None)
    with pytest.raises(InputError, match=r"pip install 'cistransfer\[jaspar\]'"):
        motifs_of("HNF4A", "jaspar")


def test_every_tf_of_jaspar_has_the_motifs_that_bear_its_name(shared_data):
    pwms = read_motifs(shared_data / "motifs/JASPAR2020_CORE_vertebrates_non-redundant.meme")
    for tf in sorted({name for pwm in pwms for name in motif_tfs(pwm)})[::7]:
        named = [pwm for pwm in pwms if tf in pwm.alt_name.upper().split("(")[0].split("::")]
        assert {pwm.name for pwm in motifs_of(tf, pwms)} == {pwm.name for pwm in named}
