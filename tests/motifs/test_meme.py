"""Motif files: round trips, real dialects, and what must be refused with its line."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cistransfer.errors import InputError
from cistransfer.motifs.files import read_motifs, write_meme
from cistransfer.motifs.pwm import PWM, consensus

HEAD = "MEME version 4\n\nALPHABET= ACGT\n\n"
MATRIX = "letter-probability matrix: alength= 4 w= 2 nsites= 7 E= 0\n"
ROWS = " 0.1 0.2 0.3 0.4\n 1 0 0 0\n"
GOOD = HEAD + "MOTIF m1 TF\n" + MATRIX + ROWS


def read_text(tmp_path, text: str) -> list[PWM]:
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
        ("chr1\t1\t2\n", "line 1: expected a MEME file"),
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
        (GOOD.replace("0.1 0.2 0.3 0.4", "1.5 -0.5 0 0"), "line 7"),
        (GOOD.replace("0.1 0.2 0.3 0.4", "0.1 x 0.3 0.4"), "line 7: expected four probabilities"),
        (GOOD.replace("0.1 0.2 0.3 0.4", "nan 0 0 1"), "line 6: motif m1: expected 2 rows"),
        (">m\nA [ 1 ]\nC [ 1 ]\nG [ 1 ]\n", "line 1: motif m: expected 4 rows"),
        (">m\n" + "1 0 0 0\n" * 7, "found 7; is the matrix transposed?"),
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
