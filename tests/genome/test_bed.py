"""BED and narrowPeak files: what is read, and the one line that bad input gets."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.genome.bed import is_regions, read_bed, regions_table, write_bed

PEAK = "chr1\t100\t300\tp1\t0\t.\t5.5\t-1\t-1\t{}\n"


def _write(folder: Path, content: str | bytes, name: str = "x.bed") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


GOOD = {
    "three columns": ("chr1\t1\t5\nchr2\t0\t9\n", [("chr1", 1, 5), ("chr2", 0, 9)]),
    "no last newline": ("chr1\t1\t5", [("chr1", 1, 5)]),
    "CRLF": ("chr1\t1\t5\r\nchr1\t7\t9\r\n", [("chr1", 1, 5), ("chr1", 7, 9)]),
    "byte-order mark": ("\ufeff#c\nchr1\t1\t5\n", [("chr1", 1, 5)]),
    "headers": (
        "browser position chr1\ntrack name=x\n#chrom\tstart\tend\n\nchr1\t1\t5\n",
        [("chr1", 1, 5)],
    ),
    "blank lines": ("\nchr1\t1\t5\n\n   \nchr1\t7\t9\n\n", [("chr1", 1, 5), ("chr1", 7, 9)]),
    "numeric names": ("1\t1\t5\n2\t1\t5\n", [("1", 1, 5), ("2", 1, 5)]),
    "a chromosome called tracker": ("tracker\t1\t5\n", [("tracker", 1, 5)]),
    "file order is kept": ("chrX\t5\t6\nchr1\t1\t5\n", [("chrX", 5, 6), ("chr1", 1, 5)]),
    "more columns in later lines": (
        "chr1\t1\t5\nchr1\t2\t6\tb\n",
        [("chr1", 1, 5), ("chr1", 2, 6)],
    ),
}


@pytest.mark.parametrize("case", GOOD)
@pytest.mark.parametrize("zipped", [False, True])
def test_good_files(tmp_path: Path, case: str, zipped: bool) -> None:
    text, expected = GOOD[case]
    raw = text.encode()
    table = read_bed(_write(tmp_path, gzip.compress(raw) if zipped else raw))
    assert is_regions(table)
    assert list(table.itertuples(index=False, name=None)) == expected
    assert all(isinstance(name, str) for name in table["chrom"])


BAD = {
    "spaces": (
        "chr1 1 5\n",
        "line 1: expected at least 3 tab-separated columns (chrom, start, end), found 1: "
        "'chr1 1 5' (columns must be separated by tabs)",
    ),
    "two columns": (
        "chr1\t1\t5\nchr1\t2\n",
        "line 2: expected at least 3 tab-separated columns (chrom, start, end), found 2: "
        "'chr1\\t2'",
    ),
    "fewer columns than the first": (
        "chr1\t1\t5\ta\t0\t+\nchr1\t2\t6\tb\n",
        "line 2: expected 6 columns like the first line, found 4",
    ),
    "a name for a start": (
        "#c\nchrom\tstart\tend\n",
        "line 2: expected an integer start in column 2, found 'start'",
    ),
    "a fraction": (
        "chr1\t1.5\t5\n",
        "line 1: expected an integer start in column 2, found '1.5'",
    ),
    "NA": ("chr1\t1\tNA\n", "line 1: expected an integer end in column 3, found 'NA'"),
    "too large for 64 bits": (
        "chr1\t1\t99999999999999999999\n",
        "line 1: expected an integer end in column 3, found '99999999999999999999'",
    ),
    "negative": ("chr1\t1\t5\nchr1\t-3\t5\n", "line 2: expected start ≥ 0, found -3"),
    "start = end": (
        "chr1\t1\t5\nchr1\t5\t5\n",
        "line 2: expected start < end (0-based, half-open), found 5 and 5",
    ),
    "start > end, after blank lines": (
        "#c\n\nchr1\t1\t5\n\nchr1\t9\t5\n",
        "line 5: expected start < end (0-based, half-open), found 9 and 5",
    ),
    "no chromosome": ("\t1\t5\n", "line 1: expected a chromosome name in column 1, found ''"),
    "a space in the chromosome": (
        "chr1\t1\t5\nchr1 \t1\t5\n",
        "line 2: expected a chromosome name in column 1, found 'chr1 '",
    ),
    "a header between regions": (
        "chr1\t1\t5\n#two\nchr1\t1\t5\n",
        "line 2: found a header line between regions: '#two'",
    ),
    "a track line between regions": (
        "chr1\t1\t5\ntrack\tname\t=x\nchr1\t1\t5\n",
        "line 2: found a header line between regions: 'track\\tname\\t=x'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_lines_are_named(tmp_path: Path, case: str) -> None:
    text, message = BAD[case]
    path = _write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_bed(path)
    assert str(caught.value) == f"{path}, {message}"


EMPTY = "expected at least one region, found an empty file"


@pytest.mark.parametrize("text", ["", "\n\n", "#only\ntrack name=x\n"])
def test_files_without_a_region(tmp_path: Path, text: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_bed(path)
    assert str(caught.value) == f"{path}: {EMPTY}"


@pytest.mark.parametrize("keep", [0.3, 0.99])
def test_truncated_gzip(tmp_path: Path, keep: float) -> None:
    whole = gzip.compress(
        b"".join(b"chr1\t%d\t%d\n" % (at, at + at % 97 + 1) for at in range(9999))
    )
    path = _write(tmp_path, whole[: int(len(whole) * keep)], "x.bed.gz")
    with pytest.raises(InputError, match=r"x\.bed\.gz: the gzip file is cut short or damaged"):
        read_bed(path)


def test_other_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.bed: no such file"):
        read_bed(tmp_path / "none.bed")
    with pytest.raises(InputError, match="expected a file, found a folder"):
        read_bed(tmp_path)
    with pytest.raises(InputError, match="expected text, found binary data"):
        read_bed(_write(tmp_path, b"\x00\x01\xff\xfe"))
    with pytest.raises(InputError, match="no such file"):
        read_bed(_write(tmp_path, "chr1\t1\t5\n") / "below")


def test_name_and_strand(tmp_path: Path) -> None:
    table = read_bed(_write(tmp_path, 'chr1\t1\t5\t"a\t9\t+\nchr1\t1\t5\tNA\t9\t-\n'))
    assert list(table["name"]) == ['"a', "NA"]
    assert list(table["strand"]) == ["+", "-"]
    empty_last = read_bed(_write(tmp_path, "chr1\t1\t5\ta\nchr1\t2\t5\t\n"))
    assert list(empty_last["name"]) == ["a", ""]


def test_narrowpeak_summits(tmp_path: Path) -> None:
    both = PEAK.format(0) + PEAK.format(199)
    table = read_bed(_write(tmp_path, both, "x.narrowPeak"))
    assert list(table["summit"]) == [100, 299]
    zipped = read_bed(_write(tmp_path, gzip.compress(both.encode()), "y.NarrowPeak.gz"))
    pd.testing.assert_frame_equal(zipped, table)
    plain = read_bed(_write(tmp_path, both, "x.bed"))
    assert "summit" not in plain
    unknown = read_bed(_write(tmp_path, PEAK.format(5) + PEAK.format(-1), "z.narrowPeak"))
    assert "summit" not in unknown


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (PEAK.format(200), ", line 1: expected a summit offset from 0 to 199 (or −1), found 200"),
        (PEAK.format(-2), ", line 1: expected a summit offset from 0 to 199 (or −1), found -2"),
        (PEAK.format(""), ", line 1: expected an integer summit in column 10, found ''"),
        (
            "chr1\t1\t5\n",
            ": expected the 10 columns of a narrowPeak file, found 3; rename the file if it is "
            "plain BED",
        ),
        (
            PEAK.format(1) + "chr1\t1\t5\n",
            ", line 2: expected 10 columns like the first line, found 3",
        ),
    ],
)
def test_bad_narrowpeaks(tmp_path: Path, line: str, message: str) -> None:
    path = _write(tmp_path, line, "x.narrowPeak")
    with pytest.raises(InputError) as caught:
        read_bed(path)
    assert str(caught.value) == f"{path}{message}"


def test_written_regions_read_back(tmp_path: Path) -> None:
    regions = regions_table(["chr2", "chr1"], [5, 0], [9, 7])
    write_bed(tmp_path / "a.bed", regions)
    pd.testing.assert_frame_equal(read_bed(tmp_path / "a.bed"), regions)
    named = regions.assign(name=["a", "b"], strand=["+", "-"])
    write_bed(tmp_path / "b.bed", named)
    pd.testing.assert_frame_equal(read_bed(tmp_path / "b.bed"), named)
    assert (tmp_path / "b.bed").read_text() == "chr2\t5\t9\ta\t0\t+\nchr1\t0\t7\tb\t0\t-\n"


def test_encode_peaks(shared_data: Path) -> None:
    paths = sorted((shared_data / "encode-peaks-hg38").rglob("*narrowPeak*"))
    if not paths:
        pytest.skip("no ENCODE narrowPeak file here")
    table = read_bed(paths[0])
    with gzip.open(paths[0], "rt") as handle:
        rows = [line.rstrip("\n").split("\t") for line in handle]
    assert len(table) == len(rows)
    assert list(table["summit"]) == [int(row[1]) + int(row[9]) for row in rows]
