"""STRING's files of several versions, tables of pairs, and the published check."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest

from cistransfer.binding.facts.cobinding import CoBinding, binding_vectors, cobinding
from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError
from cistransfer.relatives.partners import Partners, check_partners, read_pairs, read_string

PROTEINS = {"JUND": 1, "FOS": 2, "HNF4A": 3, "RXRA": 4, "ALB": 5}
SCORES = [
    ("JUND", "FOS", 999),
    ("HNF4A", "RXRA", 812),
    ("JUND", "HNF4A", 390),
    ("HNF4A", "ALB", 950),
]
TFS = ["FOS", "HNF4A", "JUND", "RXRA", "ZZZ3"]

HEADERS = {
    "v11.0": "protein_external_id\tpreferred_name\tprotein_size\tannotation",
    "v12.0": "#string_protein_id\tpreferred_name\tprotein_size\tannotation",
}


def ensp(name: str) -> str:
    return f"9606.ENSP{PROTEINS[name]:011d}"


def write_string(folder: Path, version: str = "v11.0", detailed: bool = False) -> tuple[Path, Path]:
    info = folder / f"9606.protein.info.{version}.txt"
    rows = [f'{ensp(name)}\t{name}\t300\ta "quoted" note' for name in PROTEINS]
    info.write_text("\n".join([HEADERS[version], *rows]) + "\n")
    extra = " neighborhood fusion" if detailed else ""
    lines = [f"protein1 protein2{extra} combined_score"]
    for a, b, score in SCORES:
        for first, second in ((a, b), (b, a)):
            lines.append(f"{ensp(first)} {ensp(second)}{' 0 0' if detailed else ''} {score}")
    links = folder / f"9606.protein.links.{version}.txt"
    links.write_text("\n".join(lines) + "\n")
    return links, info


@pytest.mark.parametrize("version", ["v11.0", "v12.0"])
@pytest.mark.parametrize("detailed", [False, True])
def test_string_files(tmp_path: Path, version: str, detailed: bool) -> None:
    links, info = write_string(tmp_path, version, detailed)
    found = read_string(links, info, TFS)
    assert found.scores == {
        "JUND": {"FOS": 0.999}, "FOS": {"JUND": 0.999},
        "HNF4A": {"RXRA": 0.812}, "RXRA": {"HNF4A": 0.812},
    }  # fmt: skip
    assert found.of("jund") == {"FOS": 0.999}
    assert found.missing == ("ZZZ3",)
    assert found.share_mapped() == pytest.approx(0.8)
    low = read_string(links, info, TFS, min_score=0.39)
    assert low.of("JUND") == {"FOS": 0.999, "HNF4A": 0.39}


def test_gzip_is_the_same(tmp_path: Path) -> None:
    links, info = write_string(tmp_path)
    zipped = [tmp_path / f"{path.name}.gz" for path in (links, info)]
    for plain, target in zip((links, info), zipped, strict=True):
        target.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_string(*zipped, TFS).scores == read_string(links, info, TFS).scores
    zipped[0].write_bytes(zipped[0].read_bytes()[:-20])
    with pytest.raises(InputError, match="cut short or damaged"):
        read_string(*zipped, TFS)


def test_bad_string_files(tmp_path: Path) -> None:
    links, info = write_string(tmp_path)
    with pytest.raises(InputError, match=r"line 1: expected STRING's protein.info"):
        read_string(links, links, TFS)
    with pytest.raises(InputError, match=r"line 1: expected STRING's protein.links"):
        read_string(info, info, TFS)
    with pytest.raises(InputError, match=r"none of the 2 TFs .*first name: 'JUND'"):
        read_string(links, info, ["Q1", "Q2"])
    with pytest.raises(InputError, match="between 0 and 1, found 400"):
        read_string(links, info, TFS, min_score=400)
    with pytest.raises(InputError, match="no such file"):
        read_string(tmp_path / "no", info, TFS)
    good = links.read_text()
    links.write_text(good + "9606.ENSP1 9606.ENSP2\n")
    with pytest.raises(InputError, match=r"line 10: expected two proteins and an integer"):
        read_string(links, info, TFS)
    links.write_text(good + "9606.ENSP1 9606.ENSP2 high\n")
    with pytest.raises(InputError, match=r"line 10: .*found '9606.ENSP1 9606.ENSP2 high'"):
        read_string(links, info, TFS)
    for missing in ("NULL", "NaN", "NA"):
        links.write_text(good + f"9606.ENSP1 9606.ENSP2 {missing}\n")
        with pytest.raises(InputError, match="line 10: expected two proteins and an integer"):
            read_string(links, info, TFS)
    links.write_text(good.replace("9606.", "10090."))
    with pytest.raises(InputError, match="another species"):
        read_string(links, info, TFS)


def test_tables_of_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(
        "JUND\tFOS\t0.9\nFOS\tJUND\t0.95\nJUND\tjund\t1\nHNF4A\tALB\t0.9\nSP1\tFOS\t.2\n"
    )
    found = read_pairs(path, ["JUND", "FOS", "HNF4A", "SP1", "MAX"], min_score=0.3)
    assert found.scores == {"JUND": {"FOS": 0.95}, "FOS": {"JUND": 0.95}}
    assert found.missing == ("MAX",)
    # The network that STRING's site exports.
    path.write_text("#node1\tnode2\thomology\tcombined_score\tnote\nJUND\tFOS\t0\t0.9\ttext\n")
    assert read_pairs(path, ["JUND", "FOS"]).scores["FOS"] == {"JUND": 0.9}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found none"),
        ("JUND\tFOS\t0.9\nJUND\tFOS\n", "line 2: expected 'TF', tab"),
        ("JUND\tFOS\t0.9\nJUND\tMAX\tlots\n", "line 2: .*'JUND\\\\tMAX\\\\tlots'"),
        ("JUND FOS 0.9\n", "line 1"),
        ("A\tB\t0.9\n", "names none of the 2 TFs .*it has A, B"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_pairs(path, ["JUND", "FOS"])


def toy_cosines(values: list[list[float]], tfs: list[str]) -> CoBinding:
    counts = np.ones((len(tfs), len(tfs)), dtype=np.int64)
    return CoBinding(tuple(tfs), "less-sparse", np.array(values), counts, counts, counts)


def test_check_is_welch_over_pairs() -> None:
    nan = math.nan
    cosines = toy_cosines(
        [
            [1, 0.5, 0.3, 0.2, 0.9],
            [0.5, 1, 0.1, nan, 0.9],
            [0.3, 0.1, 1, 0.4, 0.9],
            [0.2, nan, 0.4, 1, 0.9],
            [0.9, 0.9, 0.9, 0.9, 1],
        ],
        ["A", "B", "C", "D", "UNMAPPED"],
    )
    scores = {"A": {"B": 0.95, "D": 0.5}, "B": {"A": 0.95}, "C": {"D": 0.9}, "D": {"C": 0.9}}
    partners = Partners("p", scores, ("A", "B", "C", "D"), ("UNMAPPED",), 0.4)
    found = check_partners(cosines, partners)
    close, rest = [0.5, 0.4], [0.3, 0.1, 0.2]
    assert (found.pairs, found.rest) == (2, 3)
    assert found.mean == pytest.approx(0.45)
    assert found.rest_mean == pytest.approx(0.2)
    spread = math.sqrt(np.var(close, ddof=1) / 2 + np.var(rest, ddof=1) / 3)
    assert found.t == pytest.approx(0.25 / spread)
    assert 0 < found.p < 0.1
    with pytest.raises(InputError, match=r"1 pairs of TFs score at least 0.95"):
        check_partners(cosines, partners, 0.95)
    with pytest.raises(InputError, match=r"below 0.4 were not read"):
        check_partners(cosines, partners, 0.3)


def test_the_published_check_on_a_string_file(real_matrix: BindingMatrix, tmp_path: Path) -> None:
    """Known complexes and cofactors as highest-confidence links among all TFs of the matrix."""
    known = (
        "JUN FOS, JUND FOS, JUNB FOS, FOSL1 JUN, FOSL2 JUN, MAX MYC, MAX MXI1, MAX MNT, MAX MYCN, "
        "NFYA NFYB, USF1 USF2, GATA1 TAL1, GATA1 GATA2, PBX3 PKNOX1, CEBPA CEBPB, RXRA HNF4A, "
        "STAT1 STAT2, MAFK NFE2, MAFK BACH1, E2F4 TFDP1, HNF4A FOXA2, SREBF1 SP1"
    )
    tfs = real_matrix.tfs
    number = {tf: f"9606.ENSP{at:011d}" for at, tf in enumerate(tfs)}
    info = tmp_path / "info.txt"
    info.write_text(
        "\n".join([HEADERS["v11.0"], *(f"{number[tf]}\t{tf}\t1\tx" for tf in tfs)]) + "\n"
    )
    links = tmp_path / "links.txt"
    lines = ["protein1 protein2 combined_score"]
    for pair in known.split(", "):
        a, b = pair.split()
        lines += [f"{number[a]} {number[b]} 950", f"{number[b]} {number[a]} 950"]
    lines.append(f"{number['AHR']} {number['YY1']} 700")
    links.write_text("\n".join(lines) + "\n")
    partners = read_string(links, info, tfs)
    everything = cobinding(binding_vectors(real_matrix))
    found = check_partners(everything, partners)
    table = everything.table()
    close = [table.loc[a, b] for a, b in (pair.split() for pair in known.split(", "))]
    assert found.pairs == len(close) == 22
    assert found.mean == pytest.approx(np.mean(close))
    off = table.to_numpy()[np.triu_indices(len(tfs), 1)]
    off = off[~np.isnan(off)]
    assert found.rest == len(off) - 22
    assert found.rest_mean == pytest.approx((off.sum() - sum(close)) / (len(off) - 22))
    assert found.mean > 4 * found.rest_mean
    assert found.t > 5
    assert found.p < 1e-4
