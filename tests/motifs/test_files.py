"""Motif files: round trips, real dialects, and what must be refused with its line."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cistransfer.errors import InputError
from cistransfer.motifs.files import Motifs, read_motifs, write_meme
from cistransfer.motifs.formats import parse_motifs
from cistransfer.motifs.names import motif_tfs, motifs_of
from cistransfer.motifs.pwm import PWM, consensus

HEAD = "MEME version 4\n\nALPHABET= ACGT\n\n"
MATRIX = "letter-probability matrix: alength= 4 w= 2 nsites= 7 E= 0\n"
ROWS = " 0.1 0.2 0.3 0.4\n 1 0 0 0\n"
GOOD = HEAD + "MOTIF m1 TF\n" + MATRIX + ROWS


def read_text(tmp_path, text: str) -> Motifs:
    path = tmp_path / "motifs.txt"
    path.write_text(text)
    return read_motifs(path)


def test_reads_the_minimal_format(tmp_path):
    (pwm,) = read_text(tmp_path, GOOD + "URL http://example.org\n")
    assert (pwm.name, pwm.alt_name, pwm.sites) == ("m1", "TF", 7.0)
    assert pwm.probabilities.tolist() == [[0.1, 0.2, 0.3, 0.4], [1, 0, 0, 0]]


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("\n", "\r\n"),
        GOOD.replace(MATRIX, "letter-probability matrix:\n"),
        GOOD.replace("alength= 4 w= 2", "alength=4 w=2"),
        GOOD.replace("ALPHABET= ACGT", 'ALPHABET "DNA" DNA-LIKE'),
        # What the published study wrote: no alphabet, strand or background lines, tabs.
        "MEME version 4\nMOTIF m1 TF\n" + MATRIX + ROWS.replace(" 0", "\t0"),
        # meme's own output holds log-odds and separators around the matrix.
        GOOD.replace("MOTIF m1 TF", "MOTIF m1 TF\twidth =   2  sites = 7").replace(
            "letter-prob", "log-odds matrix: alength= 4 w= 1\n-5 2 3 -1\n-----\nletter-prob"
        )
        + "----------------\nTime  0.33 secs.\n",
    ],
)
def test_reads_other_dialects(tmp_path, text):
    (pwm,) = read_text(tmp_path, text)
    assert pwm.name == "m1"
    assert pwm.probabilities.tolist() == [[0.1, 0.2, 0.3, 0.4], [1, 0, 0, 0]]


def test_rounded_rows_are_normalised(tmp_path):
    (pwm,) = read_text(tmp_path, GOOD.replace("0.1 0.2 0.3 0.4", "0.33 0.33 0.33 0.00"))
    np.testing.assert_allclose(pwm.probabilities[0], [1 / 3, 1 / 3, 1 / 3, 0])


@pytest.mark.parametrize(
    "text",
    [
        ">MA0001.1 TF\nA [ 3 0 ]\nC [ 0 4 ]\nG [ 1 0 ]\nT [ 0 0 ]\n",
        ">MA0001.1\tTF\nA  [3  0 ]\nC  [0  4 ]\nG  [1  0 ]\nT  [0  0 ]\n",
        ">MA0001.1 TF\n3 0\n0 4\n1 0\n0 0\n",
    ],
)
def test_reads_jaspar(tmp_path, text):
    (pwm,) = read_text(tmp_path, text)
    assert (pwm.name, pwm.alt_name, pwm.sites) == ("MA0001.1", "TF", 4.0)
    assert pwm.probabilities.tolist() == [[0.75, 0, 0.25, 0], [0, 1, 0, 0]]


def test_reads_a_bare_pfm_and_jaspar_probabilities(tmp_path):
    path = tmp_path / "MA0002.pfm"
    path.write_text("0.5 0\n0.5 0\n0 1\n0 0\n")
    (pwm,) = read_motifs(path)
    assert (pwm.name, pwm.sites, consensus(pwm)) == ("MA0002", None, "MG")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty file"),
        ("chr1\t1\t2\n", "line 1: expected motifs (MEME, JASPAR, HOMER"),
        ("1\t100\t200\n", "expected 4 rows (A, C, G, T), or rows of 4 numbers"),
        (HEAD, "found none"),
        (GOOD.replace("ACGT", "ACDEFGHIKLMNPQRSTVWY"), "line 3: expected the DNA alphabet"),
        (GOOD.replace("MOTIF m1 TF", "MOTIF"), "line 5: expected a name"),
        (GOOD.replace("MOTIF m1 TF\n", ""), "line 5: expected a MOTIF line"),
        (GOOD.replace("alength= 4", "alength= 19"), "line 6: expected alength= 4"),
        (GOOD.replace("w= 2", "w="), "line 6: expected a number after 'w=', found ''"),
        (GOOD.replace("w= 2", "w= two"), "found 'two'"),
        (GOOD.replace("w= 2", "w= 0"), "width w= of 1 or more"),
        (GOOD.replace("w= 2", "w= 3"), "line 6: motif m1: expected 3 rows (w= 3), found 2"),
        (GOOD.replace("w= 2", "w= 1"), "line 8: expected the end of a matrix of 1 rows"),
        (HEAD + "MOTIF m1\n" + MATRIX, "expected 2 rows (w= 2), found 0, then the end"),
        (GOOD.replace("0.1 0.2 0.3 0.4", "0.1 0.2 0.3"), "line 7: expected four probabilities (A"),
        (GOOD.replace("0.1 0.2 0.3 0.4", "0.5 0.5 0.5 0.5"), "sum 2"),
        (GOOD.replace("0.1 0.2 0.3 0.4", "8 0 1 1"), "counts?"),
        (">m\n1 2\n1 nan\n1 2\n1 2\n", "line 3: expected a row of counts, found '1 nan'"),
        (">m\n1 2\n1 1e99\n1 2\n1 2\n", "line 3: expected a row of counts"),
        (GOOD.replace("0.1 0.2 0.3 0.4", "1_0 0 0 0"), "line 7: expected four probabilities, fou"),
        (GOOD.replace("0.1 0.2 0.3 0.4", "1.5 -0.5 0 0"), "line 7"),
        (GOOD.replace("0.1 0.2 0.3 0.4", "0.1 x 0.3 0.4"), "line 7: expected four probabilities"),
        (GOOD.replace("0.1 0.2 0.3 0.4", "nan 0 0 1"), "line 6: motif m1: expected 2 rows"),
        (">m\nA [ 1 ]\nC [ 1 ]\nG [ 1 ]\n", "line 1: motif m: expected 4 rows"),
        (">m\nA [ 1 ]\nG [ 1 ]\nC [ 1 ]\nT [ 1 ]\n", "line 3: expected the row of C, found G"),
        (">m\nA [ 1 ]\nC [ x ]\nG [ 1 ]\nT [ 1 ]\n", "line 3: expected a row of counts"),
        (">m\n1 2\n1 2\n1\n1 2\n", "line 4: expected 2 columns"),
        (">m\n0 1\n0 1\n0 1\n0 1\n", "line 1: motif 'm', position 1: expected counts"),
        (">\n1\n1\n1\n1\n", "line 1: expected a name"),
    ],
)
def test_refuses_with_the_line(tmp_path, text, words):
    with pytest.raises(InputError) as error:
        read_text(tmp_path, text)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


# --- what else people have: literal files, the same motif ATGAT in each

ROWS5 = [[0.7, 0.1, 0.1, 0.1], [0.05, 0.05, 0.05, 0.85], [0.1, 0.1, 0.7, 0.1],
         [0.9, 0.02, 0.03, 0.05], [0.1, 0.1, 0.1, 0.7]]  # fmt: skip


def lines(rows, start: str = "", form: str = "{:g}", between: str = "\t", factor: float = 1) -> str:
    """Rows as text, each begun with ``start`` (``{}`` is the number of the row)."""
    return "".join(
        start.format(i) + between.join(form.format(value * factor) for value in row) + "\n"
        for i, row in enumerate(rows, start=1)
    )


FOXA1_HOMER = ">ATGAT\tFOXA1(Forkhead)/LNCAP-FOXA1/Homer\t6.931472\t-100\t0\tT:1(1%),P:1e-10\n"
LOG_ODDS = (4 * np.array(ROWS5)).tolist()
BY_POSITION = lines(ROWS5)
BY_BASE = lines(np.array(ROWS5).T * 200, form="{:.2f}", between=" ")
TRANSFAC = "AC  M00724\nXX\nID  V$HNF3ALPHA_Q6\nXX\nNA  HNF3alpha\nXX\nBF  T02512\n"
FORMATS = {
    "HOMER": (FOXA1_HOMER + BY_POSITION, "FOXA1(Forkhead)/LNCAP-FOXA1/Homer", "FOXA1", None),
    "HOMER, blanks for tabs": (
        FOXA1_HOMER.replace("\t", " ") + BY_POSITION.replace("\t", " "),
        "FOXA1(Forkhead)/LNCAP-FOXA1/Homer", "FOXA1", None,
    ),
    "HOMER de novo": (
        ">ATGAT\t1-ATGAT,BestGuess:FOXA1(Forkhead)/x/Homer(0.9)\t6.931472\t-9\n" + BY_POSITION,
        "1-ATGAT", "", None,
    ),
    "HOCOMOCO 11 counts": (
        ">FOXA1_HUMAN.H11MO.0.A\n" + lines(ROWS5, factor=500.25, form="{:.10f}"),
        "FOXA1_HUMAN.H11MO.0.A", "", 500.25,
    ),
    "HOCOMOCO 12 log-odds": (
        ">FOXA1.H12CORE.0.PS.A\n" + lines(np.log(LOG_ODDS), form="{:.8f}"),
        "FOXA1.H12CORE.0.PS.A", "", None,
    ),
    "log-odds in bits": (">m\n" + lines(np.log2(LOG_ODDS), form="{:.8f}"), "m", "", None),
    "HOCOMOCO as JASPAR": (">FOXA1_HUMAN.H11MO.0.A\n" + BY_BASE, "FOXA1_HUMAN.H11MO.0.A", "", 200),
    "GimmeMotifs": (
        "# GimmeMotifs version 5\n# motifs\n>GM.5.0.Forkhead.0001\n" + BY_POSITION,
        "GM.5.0.Forkhead.0001", "", None,
    ),
    "CIS-BP": ("Pos\tA\tC\tG\tT\n" + lines(ROWS5, "{}\t"), "M01234_2.00", "", None),
    "CIS-BP, whole": (
        "TF\tT1\nTF Name\tFOXA1\nGene\tENSG1\nMotif\tM9_2.00\nFamily\tForkhead\n"
        "Species\tHomo_sapiens\nPos\tA\tC\tG\tT\n" + lines(ROWS5, "{}\t"),
        "M9_2.00", "FOXA1", None,
    ),
    "TRANSFAC": (
        TRANSFAC + "P0      A      C      G      T\n"
        + lines(ROWS5, "{:02d}\t", factor=100, form="{:.1f}")
        + "XX\nCC  a comment\nXX\n//\n", "M00724", "HNF3alpha", 100,
    ),
    "TRANSFAC, other letters, consensus": (
        "ID any\nPO T G C A\n" + lines(np.array(ROWS5)[:, ::-1], "{} ", factor=20, between=" ")
        .replace("\n", " N\n"), "any", "", 20,
    ),
    "JASPAR": (">MA0148.4 FOXA1\n" + BY_BASE, "MA0148.4", "FOXA1", 200),
    "JASPAR, brackets": (
        ">MA0148.4\tFOXA1\n" + "".join(
            f"{base}  [ {row} ]\n" for base, row in zip("ACGT", BY_BASE.splitlines(), strict=True)
        ), "MA0148.4", "FOXA1", 200,
    ),
    "letters above": (">m\nA C G T\n" + BY_POSITION, "m", "", None),
    "MEME 3, counts": (
        "MEME version 3\nALPHABET= ACGT\nMOTIF M FOXA1\nletter-probability matrix: alength= 4\n"
        + lines(ROWS5, factor=200, between=" "), "M", "FOXA1", 200,
    ),
    "MEME 5, RNA": (
        "MEME version 5\nALPHABET= ACGU\nBackground letter frequencies\nA 0.3 C 0.2 G 0.2 U 0.3\n"
        "MOTIF M FOXA1\nletter-probability matrix: alength= 4 w= 5 nsites= 20\n"
        + lines(ROWS5, between=" "), "M", "FOXA1", 20,
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_read_as_the_same_motif(tmp_path, form):
    text, name, alt_name, sites = FORMATS[form]
    path = tmp_path / "M01234_2.00.txt"
    path.write_text(text)
    (pwm,) = motifs = read_motifs(path)
    assert (pwm.name, pwm.alt_name, pwm.width, consensus(pwm)) == (name, alt_name, 5, "ATGAT")
    assert pwm.sites == (pytest.approx(sites) if sites else None)
    assert pwm.threshold == (pytest.approx(10) if "HOMER" in form else None)
    np.testing.assert_allclose(pwm.probabilities, ROWS5, atol=1e-6)
    (known,) = motifs.facts.formats
    assert known in form.replace("log-odds in bits", "matrix").replace("letters above", "matrix")
    assert motifs.facts.counted == (
        (sites is not None and sites != 20) or form.startswith("TRANSFAC")
    )
    assert ("U read as T" in motifs.facts.notes) == ("RNA" in form)
    assert any("log-odds" in note for note in motifs.facts.notes) == ("log-odds" in form)


def test_formats_one_after_another_and_in_any_number(tmp_path, shared_data):
    path = tmp_path / "all.txt"
    jaspar = shared_data / "motifs" / "JASPAR2020_CORE_vertebrates_non-redundant.meme"
    path.write_text("\n".join(text for text, *_ in FORMATS.values()) + jaspar.read_text())
    motifs = read_motifs(path)
    assert [pwm.name for pwm in motifs][: len(FORMATS)] == [
        {"M01234_2.00": "all"}.get(name, name) for _, name, *_ in FORMATS.values()
    ]
    assert len(motifs) == len(FORMATS) + 746
    assert {consensus(pwm) for pwm in motifs[: len(FORMATS)]} == {"ATGAT"}
    assert motifs.facts.formats == (
        "HOMER", "HOCOMOCO", "matrix", "GimmeMotifs", "CIS-BP", "TRANSFAC", "JASPAR", "MEME",
    )  # fmt: skip
    assert motifs.facts.line().startswith("763 motifs (HOMER, HOCOMOCO, matrix, GimmeMotifs, CIS")
    assert read_motifs(jaspar).facts.line() == "746 motifs (MEME)"


SQUARE = [[0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.7, 0.1], [0.1, 0.1, 0.1, 0.7], [0.7, 0.1, 0.1, 0.1]]
EITHER = "1 97 1 1\n1 1 97 1\n1 1 1 97\n97 1 1 1\n"  # adds up to 100 both ways: CGTA or TACG


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (">GTAA\tx(y)/z\t6.5\n" + lines(SQUARE), "AGTA"),  # HOMER's rule
        (">m\n" + lines(SQUARE), "AGTA"),  # rows add up to 1, columns do not
        (">m\n" + lines(np.array(SQUARE).T * 50), "AGTA"),  # columns do
        (">m\n" + lines(np.log(4 * np.array(SQUARE)), form="{:.6f}"), "AGTA"),
        (">m\n" + lines(np.log2(4 * np.array(SQUARE).T), form="{:.6f}"), "AGTA"),
        (">MA0001.1 X\n2 0 0 9\n0 9 0 0\n7 0 8 0\n0 0 1 0\n", "GCGA"),  # JASPAR's rule
        ("A [ 97 97 1 1 ]\nC [ 1 1 97 1 ]\nG [ 1 1 1 1 ]\nT [ 1 1 1 97 ]\n", "AACT"),
        ("A C G T\n" + EITHER, "CGTA"),
        (">m\n" + EITHER, None),
        (EITHER, None),
        (">m\n" + EITHER + ">n\n" + lines(ROWS5), "CGTA"),  # the other motif of the file tells
        (">MA0001.1\n" + lines(SQUARE), "transposed?"),  # JASPAR's rule against the sums
        (">GTAA\tx(y)/z\t6.5\n" + lines(np.array(SQUARE).T), "line 2: expected four prob"),
    ],
)
def test_a_square_matrix_is_never_turned_round_by_guess(tmp_path, text, expected):
    if expected is not None and expected.isupper():
        assert consensus(read_text(tmp_path, text)[0]) == expected
        return
    with pytest.raises(InputError, match=expected or "line 1: .*can be read both ways"):
        read_text(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FOXA1_HOMER + lines([[0.7, 0.1, 0.1, 0.4]]), "line 2: expected four probabilities"),
        (FOXA1_HOMER + lines([[0.7, 0.1, 0.2]]), "line 2: motif FOXA1(Forkhead)/LNCAP-FOXA1/Homer: "
         "expected rows of 4 numbers"),
        (FOXA1_HOMER + "0.1 0.2 x 0.3\n", "line 2: expected a row of counts, found '0.1 0.2 x"),
        (FOXA1_HOMER, "line 1: motif FOXA1(Forkhead)/LNCAP-FOXA1/Homer: expected rows of numbers"),
        (">m\n" + lines([[-1, 1, 0, 0]] * 5), "line 2: motif m: expected log-odds whose prob"),
        (">m\n" + lines(ROWS5) + "0.5 0.1 0.1 0.1\n", "line 7: expected four probabilities that"),
        ("ID x\nP0 A C G\n1 2 3 4\n//\n", "line 2: expected the letters A C G T after P0"),
        ("ID x\nP0 A C G T\n01 2 3 4\n//\n", "line 3: expected a position and its four values"),
        ("ID x\nP0 A C G T\n//\n", "line 2: expected rows of a position"),
        ("ID x\nXX\n//\n", "expected motifs, found none (entries without a matrix left out)"),
        ("Pos\tA\tC\tG\tT\n", "found none (entries without a matrix left out)"),
        ("Pos\tA\tC\tG\tT\n1\t0.5\t0.5\t0.5\t0.5\n", "line 2: expected four probabilities"),
        ("TF\tT1\nGene\tG\n", "line 1: expected 'Pos A C G T' above a matrix (CIS-BP), found the"),
    ],
)  # fmt: skip
def test_bad_lines_of_other_formats(tmp_path, text, words):
    with pytest.raises(InputError) as error:
        read_text(tmp_path, text)
    assert words in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_spoiled_files_are_refused_in_one_line_or_read():
    """Letters changed, lines lost or doubled, thousands of times: no other error, no warning."""
    rng = random.Random(0)
    texts = [text for text, *_ in FORMATS.values()] + [GOOD]
    letters = "ACGTU0123456789.-+eE \t>#[]/:_nanif" + "PXIDMOTé|"
    refused: list[str] = []
    for _ in range(3_000):
        spoiled = (rng.choice(texts) + rng.choice(["", rng.choice(texts)])).split("\n")
        for _ in range(rng.randint(1, 3)):
            i = rng.randrange(len(spoiled))
            how = rng.random()
            if how < 0.3:
                spoiled[i] = ""
            elif how < 0.5:
                spoiled.insert(i, rng.choice(spoiled))
            elif spoiled[i]:
                j = rng.randrange(len(spoiled[i]))
                new = rng.choice(letters) * rng.randint(0, 2)
                spoiled[i] = spoiled[i][:j] + new + spoiled[i][j + 1 :]
        try:
            assert parse_motifs("file", spoiled, "stem").pwms
        except InputError as error:
            refused.append(str(error))
    assert 500 < len(refused) < 2_500
    assert all(said.startswith("file") and "\n" not in said for said in refused)


def test_log_odds_made_with_another_background(tmp_path):
    path = tmp_path / "m.pwm"
    background = (0.3, 0.2, 0.2, 0.3)
    path.write_text(">m\n" + lines(np.log2(np.array(ROWS5) / background), form="{:.8f}"))
    (pwm,) = read_motifs(path, background=background)
    np.testing.assert_allclose(pwm.probabilities, ROWS5, atol=1e-6)
    with pytest.raises(InputError, match=r"background 0.25 0.25 0.25 0.25, base e or 2"):
        read_motifs(path)


def test_folders_and_archives(tmp_path):
    folder = tmp_path / "pwms"
    (folder / "all").mkdir(parents=True)
    for i in (1, 2):
        (folder / "all" / f"M0{i}_2.00.txt").write_text(FORMATS["CIS-BP"][0])
    (folder / "all" / "M03_2.00.txt").write_text("Pos\tA\tC\tG\tT\n" + lines(ROWS5, "{}\t"))
    (folder / "foxa1.motif.gz").write_bytes(gzip.compress((FOXA1_HOMER + BY_POSITION).encode()))
    (folder / "TF_Information.txt").write_text("TF_ID\tFamily_ID\nT1\tF1\n")
    (folder / "logo.png").write_bytes(b"\x89PNG\x00\x01" * 9)
    (folder / "pwm.motif2factors.txt").write_text("Motif\tFactor\tEvidence\tCurated\n")
    (folder / ".hidden").write_text("what")
    names = ["M01_2.00", "M02_2.00", "M03_2.00", "FOXA1(Forkhead)/LNCAP-FOXA1/Homer"]
    motifs = read_motifs(folder)
    assert [pwm.name for pwm in motifs] == names
    assert motifs.facts.line() == (
        "4 motifs (CIS-BP, HOMER) from 4 files; "
        "3 other files left out (TF_Information.txt, logo.png, pwm.motif2factors.txt)"
    )
    archive = Path(shutil.make_archive(str(tmp_path / "zipped"), "zip", folder))
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("../../evil.motif", FOXA1_HOMER + BY_POSITION)
    assert sorted(pwm.name for pwm in read_motifs(archive)) == sorted(names)
    assert not (tmp_path.parent / "evil.motif").exists()
    tar = Path(shutil.make_archive(str(tmp_path / "tarred"), "gztar", folder))
    assert len(read_motifs(tar)) == 3  # a compressed file inside is left out
    (folder / "TF_Information.txt").write_text(
        "TF_ID\tMotif_ID\tTF_Name\nT1\tM03_2.00\tFOXA1\nT2\tM03_2.00\tFOXA2\n"
        "T3\t.\tX\nT4\tM9_2.00\tY\nT5\tM01_2.00\tSPI1\n"
    )
    (folder / "TF_Information_all_motifs.txt").write_text("Motif_ID\tTF_Name\nM03_2.00\tFOXP1\n")
    named = read_motifs(folder)
    assert [motif_tfs(pwm) for pwm in named] == [
        ("SPI1",), ("M02_2.00",), ("FOXA1", "FOXA2"), ("FOXA1",),
    ]  # fmt: skip
    assert "their TFs from TF_Information.txt (2 motifs)" in named.facts.line()
    assert motifs_of("FOXA2", named) == [named[2]]
    assert named[2].alt_name == ""
    (folder / "bad.motif").write_text(FOXA1_HOMER + "0.5 0.5 0.5 0.5\n")
    with pytest.raises(InputError, match=r"pwms/bad.motif, line 2: expected four probabilities"):
        read_motifs(folder)
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(InputError, match="zip file is cut short or damaged"):
        read_motifs(archive)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"expected motif files .*, found 0 other files"):
        read_motifs(tmp_path / "empty")


def test_the_tfs_that_gimmemotifs_lists_beside_its_motifs(tmp_path):
    path = tmp_path / "gimme.vertebrate.v5.0.pfm"
    path.write_text(FORMATS["GimmeMotifs"][0] + ">GM.5.0.Mixed.0001\n" + BY_POSITION)
    (tmp_path / "gimme.vertebrate.v5.0.motif2factors.txt").write_text(
        "Motif\tFactor\tEvidence\tCurated\nGM.5.0.Forkhead.0001\tFOXA1\tChIP-seq\tY\n"
        "GM.5.0.Forkhead.0001\tFoxa1\tPBM\tN\nGM.5.0.Mixed.0001\tNRSF\tChIP-seq\tY\n"
    )
    motifs = read_motifs(path)
    assert [(motif_tfs(pwm), pwm.alt_name) for pwm in motifs] == [
        (("FOXA1",), ""), (("NRSF",), "NRSF"),
    ]  # fmt: skip
    assert [pwm.name for pwm in motifs_of("REST", path)] == ["GM.5.0.Mixed.0001"]
    assert motifs.facts.notes == (
        "their TFs from gimme.vertebrate.v5.0.motif2factors.txt",
    )  # fmt: skip


def test_too_much_in_an_archive_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("cistransfer.motifs.files._MAX_BYTES", 10_000)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.motif", FOXA1_HOMER + "0" * 20_000)
    with pytest.raises(InputError, match="expected at most 10,000 characters of motifs"):
        read_motifs(path)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_pipe_is_read_once(tmp_path, shared_data, zipped):
    """What `--motifs <(cat FILE)` hands over: 739 of 746 when it was opened twice."""
    file = shared_data / "motifs" / "JASPAR2020_CORE_vertebrates_non-redundant.meme"
    data = file.read_bytes()
    if zipped:
        with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(file, "m.meme")
        data = (tmp_path / "m.zip").read_bytes()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(data,))
    writer.start()
    motifs = read_motifs(fifo)
    writer.join()
    assert len(motifs) == 746
    assert motifs[745].name == list(read_motifs(file))[745].name


def test_the_files_of_case_22(shared_data):
    folder = shared_data.parent / "cases" / "22_motif_files_position_per_row"
    if not folder.is_dir():
        pytest.skip("the cases are not here")
    found = {
        file.name: [consensus(pwm) for pwm in read_motifs(file)]
        for file in folder.iterdir()
        if file.suffix not in (".sh",) and file.name != "observed.txt"
    }
    assert found.pop("homer_4_positions.motif") == ["GTAA"]
    assert found.pop("transfac.dat") == ["NCN"]
    assert set(map(tuple, found.values())) == {("ATGAT",)}


def test_a_cut_gzip_is_refused(tmp_path):
    path = tmp_path / "m.meme.gz"
    whole = gzip.compress(GOOD.encode() * 50)
    path.write_bytes(whole)
    assert len(read_motifs(path)) == 50
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut short"):
        read_motifs(path)
    with pytest.raises(InputError, match="no such file"):
        read_motifs(tmp_path / "none.meme")


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), sites=st.none() | st.integers(1, 10**6))
def test_round_trip_to_six_decimals(tmp_path_factory, seed, sites):
    rng = np.random.default_rng(seed)
    pwms = [
        PWM(f"m {i}", rng.dirichlet([0.2] * 4, size=rng.integers(1, 30)), "alt"[: i + 1], sites)
        for i in range(3)
    ]
    folder = tmp_path_factory.mktemp("meme")
    write_meme(folder / "a.meme", pwms, (0.3, 0.2, 0.2, 0.3))
    back = read_motifs(folder / "a.meme")
    assert [pwm.name for pwm in back] == ["m_0", "m_1", "m_2"]
    assert [pwm.alt_name for pwm in back] == [pwm.alt_name for pwm in pwms]
    assert {pwm.sites for pwm in back} == {float(sites or 20)}
    for old, new in zip(pwms, back, strict=True):
        assert np.abs(old.probabilities - new.probabilities).max() <= 0.5000001e-6
    write_meme(folder / "b.meme", back, (0.3, 0.2, 0.2, 0.3))
    assert (folder / "a.meme").read_text() == (folder / "b.meme").read_text()
    assert "A 0.30000 C 0.20000 G 0.20000 T 0.30000" in (folder / "a.meme").read_text()


def test_jaspar_2020(shared_data, tmp_path):
    pwms = read_motifs(shared_data / "motifs" / "JASPAR2020_CORE_vertebrates_non-redundant.meme")
    assert len(pwms) == 746
    by_name = {pwm.alt_name: pwm for pwm in pwms}
    assert consensus(by_name["CTCF"]) == "YNRCCASYAGRKGGCRSYN"
    assert by_name["CTCF"].sites == 913
    write_meme(tmp_path / "again.meme", pwms)
    for old, new in zip(pwms, read_motifs(tmp_path / "again.meme"), strict=True):
        assert np.abs(old.probabilities - new.probabilities).max() < 1e-6
        assert (old.name, old.alt_name, old.sites) == (new.name, new.alt_name, new.sites)
