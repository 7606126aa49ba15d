"""Binding modes from tables, TFClass and CIS-BP, and how two sources agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError
from cistransfer.motifs.tfclass import read_ensembl_symbols
from cistransfer.relatives.modes import (
    BindingModes,
    mode_agreement,
    modes_from_pairs,
    read_modes_table,
    write_modes_table,
)
from cistransfer.relatives.read_modes import family_modes, read_cisbp, read_modes, tfclass_modes

TABLE = "HNF4A\t2,4\nJUND\t1,18\nFOS\t1\nMAX\t7\nSMAD3\t\n"

OBO = """format-version: 1.2

[Term]
id: 1
name: Basic domains
subset: Superclass

[Term]
id: 1.1
name: bZIP
subset: Class
is_a: 1 ! Basic domains

[Term]
id: 1.1.1
name: Jun-related
subset: Family

[Term]
id: 1.1.1.1.1
name: c-Jun
subset: Genus
xref: ENSEMBL:ENSG1 "with antibody"

[Term]
id: 1.1.1.2.1
name: NF-E2 p45
subset: Genus

[Term]
id: 1.1.8.1.2
name: C/EBPbeta (NF-IL6-1)
subset: Genus

[Term]
id: 1.2.6.5.2
name: N-Myc
subset: Genus

[Term]
id: 1.2.1.0.1
name: E2A (TCF-3, ITF-1)
subset: Genus

[Term]
id: 2.1.3.2.1
name: HNF-4alpha (NR2A1) [2]
subset: Genus
xref: ENSEMBL:ENSG2_x "with antibody"

[Term]
id: 2.1.3.2.2
name: Oddly named
subset: Genus
xref: ENSEMBL:ENSG3

[Term]
id: 4.1.3.0.1
name: TCF-7 (TCF-1, LEF)
subset: Genus

[Term]
id: 4.2.3.0.1
name: HNF1 (TCF-1)
subset: Genus

[Typedef]
id: is_a
name: not a factor
"""


@pytest.fixture
def obo(tmp_path: Path) -> Path:
    path = tmp_path / "tfclass.obo"
    path.write_text(OBO)
    return path


def test_table(tmp_path: Path) -> None:
    path = tmp_path / "modes.tsv"
    path.write_text("# JASPAR\ntf\tclusters\n\n" + TABLE)
    modes = read_modes_table(path)
    assert modes.of("JUND") == {"1", "18"}
    assert modes.of("hnf4a") == {"2", "4"}
    assert modes.of("SMAD3") == modes.of("nothing") == frozenset()
    assert modes.members(["1"], ["MAX", "JUND", "FOS"]) == ["JUND", "FOS"]
    assert list(modes.groups) == ["1", "2", "4", "7", "18"]
    again = tmp_path / "again.tsv"
    write_modes_table(again, modes)
    assert read_modes_table(again).groups == modes.groups
    assert read_modes(path, ["FOS"]).groups == modes.groups


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A\t1\nB\n", "line 2: expected 'TF', tab"),
        ("A\t1\nB\t2\t3\n", "line 2.*found 3 columns"),
        ("A 1\n", "line 1"),
        ("# nothing\n", "found none"),
    ],
)
def test_bad_table(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "modes.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_modes_table(path)


def test_a_source_that_names_no_tf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "modes.tsv"
    path.write_text(TABLE)
    with pytest.raises(InputError, match=r"names none of the 2 TFs .*it has FOS"):
        read_modes(path, ["Q1", "Q2"])
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(InputError, match="empty file"):
        read_modes(tmp_path / "empty", ["A"])
    with pytest.raises(InputError, match="no such file"):
        read_modes(tmp_path / "nowhere.tsv", ["A"])


def test_tfclass_names_become_symbols(obo: Path) -> None:
    family = tfclass_modes(obo)
    spelled = {
        "JUN": "1.1.1", "NFE2": "1.1.1", "CEBPB": "1.1.8", "MYCN": "1.2.6", "TCF3": "1.2.1",
        "HNF4A": "2.1.3", "NR2A1": "2.1.3", "TCF7": "4.1.3", "LEF": "4.1.3",
    }  # fmt: skip
    for symbol, mode in spelled.items():
        assert family.of(symbol) == {mode}, symbol
    # A synonym of two families says nothing.
    assert family.of("TCF1") == frozenset()
    assert family.title("1.1.1") == "1.1.1 (Jun-related)"


def test_tfclass_levels_nest(obo: Path) -> None:
    assert tfclass_modes(obo, "subfamily").of("HNF4A") == {"2.1.3.2"}
    family = tfclass_modes(obo)
    assert family.wider is not None
    assert family.wider.wider is not None
    assert family.wider.of("JUN") == {"1.1"}
    assert family.wider.wider.of("JUN") == {"1"}
    assert family.wider.wider.wider is None
    with pytest.raises(InputError, match="no level 'famly'; nearest: family"):
        tfclass_modes(obo, "famly")


def test_ensembl_identifiers_decide(obo: Path, tmp_path: Path) -> None:
    table = tmp_path / "symbols.tsv"
    table.write_text("ensembl\tsymbol\tcisbp_family\nENSG3.7\tODD1\tUnknown\nENSG1\tJUNX\tbZIP\n")
    assert read_ensembl_symbols(table) == {"ENSG3": "ODD1", "ENSG1": "JUNX"}
    modes = read_modes(obo, ["ODD1"], symbols=table)
    assert modes.of("ODD1") == {"2.1.3"}
    assert modes.of("JUNX") == modes.of("JUN") == {"1.1.1"}
    assert read_cisbp(table).of("ODD1") == frozenset()


def test_not_tfclass(tmp_path: Path) -> None:
    path = tmp_path / "go.obo"
    path.write_text("format-version: 1.2\n[Term]\nid: GO:1\nname: x\n")
    with pytest.raises(InputError, match="found none"):
        read_modes(path, ["A"])


@pytest.mark.parametrize(
    "header", ["ensembl\tsymbol\tcisbp_family\tstatus", "x\tTF_Name\tFamily_Name\ty"]
)
def test_cisbp(tmp_path: Path, header: str) -> None:
    path = tmp_path / "families.tsv"
    path.write_text(header + "\nE1\tSP1\tC2H2 ZF\tD\nE2\tKLF1\tC2H2 ZF\tD\nE3\tJUN\tbZIP\tD\n")
    modes = read_modes(path, ["SP1"])
    assert modes.of("SP1") == {"C2H2 ZF"}
    assert modes.groups["C2H2 ZF"] == ("KLF1", "SP1")
    path.write_text(header + "\nE1\tSP1\n")
    with pytest.raises(InputError, match="line 2: expected 4 columns"):
        read_modes(path, ["SP1"])


def test_real_sources_name_the_tfs(shared_data: Path, real_matrix: BindingMatrix) -> None:
    by_name = read_modes(shared_data / "motifs/TFClass_human.obo.gz", real_matrix.tfs)
    exact = read_modes(
        shared_data / "motifs/TFClass_human.obo.gz",
        real_matrix.tfs,
        symbols=shared_data / "motifs/human_TFs_cisbp2.00_families.tsv",
    )
    families = read_modes(shared_data / "motifs/human_TFs_cisbp2.00_families.tsv", real_matrix.tfs)
    assert {tf for tf in real_matrix.tfs if not exact.of(tf)} == {"BHLHE40"}
    assert {tf for tf in real_matrix.tfs if by_name.of(tf) != exact.of(tf)} == set()
    assert {tf for tf in real_matrix.tfs if not families.of(tf)} == {"NFYB", "NRF1", "SMAD2"}
    assert exact.of("HNF4A") == exact.of("NR2F2") == {"2.1.3"}
    assert exact.of("SP1") == exact.of("EGR1") == {"2.3.1"}
    assert exact.of("MYC") == exact.of("MAX") == {"1.2.6"}


def of_labels(labels: list[int]) -> BindingModes:
    return modes_from_pairs("labels", [(f"T{at}", str(x)) for at, x in enumerate(labels)])


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=4, max_size=25))
def test_kappa_of_partitions_is_the_adjusted_rand_index(pairs: list[tuple[int, int]]) -> None:
    from sklearn.metrics import adjusted_rand_score

    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    tfs = [f"T{at}" for at in range(len(pairs))]
    found = mode_agreement(of_labels(a), of_labels(b), tfs)
    assert found.kappa == pytest.approx(adjusted_rand_score(a, b), abs=1e-9)
    same = mode_agreement(of_labels(a), of_labels(a), tfs)
    assert same.kappa == 1
    assert same.only_modes == same.only_reference == 0


def test_agreement_counts_pairs() -> None:
    ours = modes_from_pairs("ours", [("A", "1"), ("B", "1"), ("C", "1"), ("C", "2"), ("D", "2")])
    theirs = modes_from_pairs(
        "theirs", [("A", "x"), ("B", "x"), ("C", "y"), ("D", "z"), ("E", "z")]
    )
    found = mode_agreement(ours, theirs, ["A", "B", "C", "D", "E"])
    assert (found.tfs, found.both, found.only_modes, found.only_reference) == (4, 1, 3, 0)
    assert found.precision == pytest.approx(0.25)
    assert found.recall == 1
    # Observed agreement 3/6; by chance (4·1 + 2·5)/36.
    assert found.kappa == pytest.approx((0.5 - 14 / 36) / (1 - 14 / 36))
    with pytest.raises(InputError, match="1 of the 2 TFs in common"):
        mode_agreement(ours, theirs, ["A", "Z"])
    assert np.isfinite(found.kappa)


def test_families_that_come_with_the_package() -> None:
    modes = read_modes("families", ["FLI1", "SPI1", "JUN", "CTCF", "Hnf4g", "XYZ1"])
    assert modes.of("FLI1") == modes.of("spi1") == {"Ets-related"}
    assert modes.of("HNF4G") == {"RXR-related receptors (NR2)"}
    assert modes.wider is not None
    assert modes.wider.of("JUN") == {"Basic leucine zipper factors (bZIP)"}
    # More than three zinc fingers bind all sorts of motifs.
    assert family_modes(["CTCF", "ZNF143", "XYZ1"]).names() == frozenset()
