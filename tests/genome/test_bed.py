"""BED and narrowPeak files: what is read, and the one line that bad input gets."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cistransfer.errors import InputError
from cistransfer.genome import rows as rows_module
from cistransfer.genome.bed import is_regions, read_bed, regions_table, write_bed
from cistransfer.genome.formats import Format, formats
from cistransfer.genome.intervals import centre

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
    "two columns": (
        "chr1\t1\nchr1\t2\n",
        "line 1: expected at least 3 tab-separated columns (chrom, start, end), found 2: "
        "'chr1\\t1'",
    ),
    "two columns later": (
        "chr1\t1\t5\nchr1\t2\n",
        "line 2: expected 3 tab-separated columns like the first line, found 2: 'chr1\\t2'",
    ),
    "fewer columns than the first": (
        "chr1\t1\t5\ta\t0\t+\nchr1\t2\t6\tb\n",
        "line 2: expected 6 tab-separated columns like the first line, found 4: 'chr1\\t2\\t6\\tb'",
    ),
    "fewer columns, spaces": (
        "chr1 1 5 a\nchr1 2 6\n",
        "line 2: expected 4 space-separated columns like the first line, found 3: 'chr1 2 6'",
    ),
    "a header that names no start": (
        "#c\nchrom\tleft\tright\nchr1\t1\t5\n",
        "line 2: expected an integer start in column 2, found 'left'",
    ),
    "another file's header between regions": (
        "chr1\t1\t5\nchrom\tstart\tend\nchr1\t1\t5\n",
        "line 2: expected an integer start in column 2, found 'start'",
    ),
    "a long line": (
        "chr1\t" + "x" * 5000 + "\t7\n",
        f"line 1: expected an integer start in column 2, found '{'x' * 59}…'",
    ),
    "wholly before the chromosome": (
        "chr1\t1\t5\nchr1\t-9\t-3\n",
        "line 2: expected an end behind position 0, found -9 and -3",
    ),
    "1-based, end before start": (
        "PeakID\tchr\tstart\tend\tstrand\np\tchr1\t5\t5\t+\np\tchr1\t6\t5\t+\n",
        "line 3: expected start ≤ end (1-based), found 6 and 5",
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


def test_the_name_of_a_file_says_nothing(tmp_path: Path) -> None:
    both = PEAK.format(0) + PEAK.format(199)
    table = read_bed(_write(tmp_path, both, "x.narrowPeak"))
    assert list(table["summit"]) == [100, 299]
    for name in ("ENCFF000AAA.bed.gz", "x.broadPeak", "peaks.txt"):
        again = read_bed(_write(tmp_path, gzip.compress(both.encode()), name))
        pd.testing.assert_frame_equal(again, table)
    plain = read_bed(_write(tmp_path, "chr1\t1\t5\n", "y.narrowPeak"))
    assert list(plain.columns) == ["chrom", "start", "end"]


@pytest.mark.parametrize("unknown", ["-1", "200", "-2", "", ".", "NA"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_one_summit_that_is_not_known_moves_no_other(tmp_path: Path, unknown: str, at: int) -> None:
    offsets = ["0", "150", "199"]
    offsets[at] = unknown
    table = read_bed(_write(tmp_path, "".join(map(PEAK.format, offsets))))
    expected = [100, 250, 299]
    expected[at] = 200
    assert list(table["summit"]) == expected
    facts = table.attrs["read"]
    outside = int(unknown == "200")
    assert (facts.summits_known, facts.summits_unknown, facts.summits_outside) == (
        2, 1 - outside, outside,
    )  # fmt: skip
    why = "1 outside the region" if outside else "1 unknown"
    assert facts.line().endswith(
        f"x.bed: 3 rows (narrowPeak), 2 with a summit; the midpoint stands in for 1 ({why})"
    )


def test_a_summit_that_is_no_number_is_named(tmp_path: Path) -> None:
    path = _write(tmp_path, PEAK.format(1) + PEAK.format("x1"))
    with pytest.raises(InputError) as caught:
        read_bed(path)
    message = "expected an integer summit in column 10, found 'x1'"
    assert str(caught.value) == f"{path}, line 2: {message}"


def test_negative_starts_of_spp(tmp_path: Path) -> None:
    row = "chr2\t-20\t380\tc\t0\t.\t9\t9\t9\t{}\n"
    path = _write(tmp_path, PEAK.format(100) + row.format(200) + row.format(10) + row.format(-1))
    table = read_bed(path)
    assert list(table["start"]) == [100, 0, 0, 0]
    # the summit counts from the start as it is written; one before the chromosome is unknown
    assert list(table["summit"]) == [200, 180, 190, 190]
    facts = table.attrs["read"]
    assert (facts.clipped, facts.summits_known) == (3, 2)
    assert "3 starts below 0 set to 0" in facts.line()


TOLD = [form for form in formats() if form.example]  # the other is named by the user


@pytest.mark.parametrize("form", TOLD, ids=lambda form: form.name)
def test_every_format_is_told_by_its_content(tmp_path: Path, form: Format) -> None:
    assert len(TOLD) == len(formats()) - 1
    table = read_bed(_write(tmp_path, form.example))
    assert table.attrs["read"].format == form.name
    assert table[["chrom", "start", "end"]].to_numpy().tolist() == [["chr1", 1000, 1500]]
    has_summit = not form.summit.startswith("none")
    assert ("summit" in table) == has_summit
    assert centre(table).tolist() == [1300 if has_summit else 1250]
    kept = read_bed(tmp_path / "x.bed", keep=True)
    pd.testing.assert_frame_equal(kept[["chrom", "start", "end"]], table[["chrom", "start", "end"]])
    # twice the file is the same table twice: a header or a comment between regions is skipped
    twice = read_bed(_write(tmp_path, form.example * 2, "twice.bed"))
    pd.testing.assert_frame_equal(twice, pd.concat([table, table], ignore_index=True))


NO_SUMMIT = {
    "thickStart = thickEnd": "chr1\t1100\t1300\tn\t0\t+\t1100\t1100\t0\n",
    "whole numbers in a broadPeak": "chr1\t1100\t1300\tn\t0\t.\t3\t5\t4\n",
    "one base in some rows only": "chr1\t10\t30\tn\t0\t+\t15\t16\t0\n"
    "chr1\t40\t60\tn\t0\t+\t45\t49\t0\n",
    "a thick part of one base with blocks": "chr1\t10\t30\tn\t0\t+\t15\t16\t0\t1\t20\t0\n",
    "six columns of two BED3 files": "chr1\t10\t30\tchr1\t15\t25\n",
    "fifteen columns": "chr1\t10\t30\tn\t0\t+\t15\t16\t0\t1\t20\t0\t3\t4\t5\n",
}


@pytest.mark.parametrize("case", NO_SUMMIT)
def test_thick_parts_and_signals_are_no_summits(tmp_path: Path, case: str) -> None:
    table = read_bed(_write(tmp_path, NO_SUMMIT[case]))
    assert "summit" not in table
    said = "one base in some regions only" in table.attrs["read"].line()
    assert said == (case == "one base in some rows only")


SAME = {
    "as it is": lambda text: text,
    "comments and tracks in the middle": lambda text: text.replace(
        "\n", "\n#chr1\t7\t9\n\ntrack name=x\nbrowser hide all\n"
    ),
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "CR": lambda text: text.replace("\n", "\r"),
    "a byte-order mark": lambda text: "\ufeff" + text,
    "spaces": lambda text: text.replace("\t", "  "),
    "commas": lambda text: text.replace("\t", ","),
    "quotes": lambda text: '"' + text[:-1].replace("\t", '"\t"').replace("\n", '"\n"') + '"\n',
    "scientific": lambda text: text.replace("100000", "1e+05").replace("200000", "200000.0"),
    "a header of pandas": lambda text: "chrom\tstart\tend\tname\n" + text,
    "a header of pyranges": lambda text: "Chromosome\tStart\tEnd\tName\n" + text,
    "a header in a comment": lambda text: "#chrom\tchromStart\tchromEnd\tname\n" + text,
    "a header of R, quoted, with names of rows": lambda text: (
        '"chr" "start" "end" "name"\n'
        + "".join(
            f'"{i}" ' + re.sub(r"(\w+) (\d+) (\d+) (\w+)", r'"\1" \2 \3 "\4"', line) + "\n"
            for i, line in enumerate(text.replace("\t", " ").splitlines(), start=1)
        )
    ),
    "a header as pandas writes it with its index": lambda text: (
        ",chrom,start,end,name\n"
        + "".join(f"{i},{line}\n" for i, line in enumerate(text.replace("\t", ",").splitlines()))
    ),
    "GRanges": lambda text: (
        "seqnames\tstart\tend\twidth\tname\n"
        + "".join(
            f"{c}\t{int(s) + 1}\t{e}\t{int(e) - int(s)}\t{n}\n"
            for c, s, e, n in (line.split("\t") for line in text.splitlines())
        )
    ),
}
TEXT = "chr1\t100000\t200000\tp1\nchr2\t7\t31\tp2\nchr1\t5\t100000\tp3\n"


@pytest.mark.parametrize("how", SAME)
@pytest.mark.parametrize("zipped", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_the_same_regions_however_written(
    tmp_path: Path, how: str, zipped: Callable[[bytes], bytes]
) -> None:
    table = read_bed(_write(tmp_path, zipped(SAME[how](TEXT).encode())))
    expected = regions_table(
        ["chr1", "chr2", "chr1"], [100000, 7, 5], [200000, 31, 100000], name=["p1", "p2", "p3"]
    )
    pd.testing.assert_frame_equal(table, expected)


def test_zstandard(tmp_path: Path) -> None:
    packed = pa.compress(TEXT.encode(), codec="zstd", asbytes=True)
    assert len(read_bed(_write(tmp_path, packed))) == 3


def test_latin1_names_and_utf8_names(tmp_path: Path) -> None:
    for encoding in ("latin-1", "utf-8"):
        path = _write(tmp_path, "chr1\t1\t5\tpé1\nchr1\t2\t5\tp2\n".encode(encoding))
        assert list(read_bed(path)["name"]) == ["pé1", "p2"]


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = TEXT * 20_000
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    table = read_bed(pipe)
    writer.join()
    assert len(table) == 60_000


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["chr1", "chrUn_K1", "1", "é"]),
            st.integers(0, 10**9),
            st.integers(1, 10**6),
            st.text("abc\"' .éß", max_size=5),
            st.sampled_from(["\n", "\r\n", "\n\n", "\n#c\n", "\ntrack x\n", "\n#chr1\t1\t2\tx\n"]),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_any_table_is_read_back(rows: list[tuple[str, int, int, str, str]]) -> None:
    # the name in front keeps a header-like or blank first line out of play
    text = "".join(f"{c}\t{s}\t{s + w}\tn{n}\t.{end}" for c, s, w, n, end in rows)
    with tempfile.TemporaryDirectory() as folder:
        table = read_bed(_write(Path(folder), text))
    found = table[["chrom", "start", "end", "name"]].to_numpy().tolist()
    assert found == [[c, s, s + w, f"n{n}"] for c, s, w, n, _ in rows]


def test_lines_are_counted_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "_BLOCK_BYTES", 64)
    lines = [f"chr1\t{i}\t{i + 5}" for i in range(1, 60)]
    for number in (1, 17, 58):
        for wrong in ("chr1\t9\t5", "chr1\tx\t5", " chr1\t1\t5"):
            text = [*lines[:number], "#c", "", *lines[number:]]
            text[number + 1] = wrong
            for end in ("\n", "\r\n", "\r"):
                with pytest.raises(InputError, match=rf"x\.bed, line {number + 2}: expected"):
                    read_bed(_write(tmp_path, end.join(text)))


def test_named_columns(tmp_path: Path) -> None:
    path = _write(tmp_path, "id;\tL\tR\tC\ttop\nx\t11\t20\tchr1\t15\ny\t1\t9\tchr2\t5\n")
    for columns in (
        "chrom=C,start=L,end=R,name=id;,summit=top,base=1",
        {"chrom": "C", "start": "L", "end": "R", "name": "id;", "summit": "top", "base": 1},
    ):
        table = read_bed(path, columns)
        expected = regions_table(
            ["chr1", "chr2"], [10, 0], [20, 9], name=["x", "y"], summit=[14, 4]
        )
        pd.testing.assert_frame_equal(table, expected)
    by_number = read_bed(_write(tmp_path, "x\t11\t20\tchr1\t3\n"), "chrom=4,start=2,end=3,offset=5")
    assert by_number.iloc[0].tolist() == ["chr1", 11, 20, 14]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("chrom=1,start=2", "expected chrom, start and end, found no end"),
        ("chrom=1,start=2,ende=3", "no part 'ende'; nearest: end"),
        ("chrom=1,start=2,end=9", "no column 9 for end: the first row has 4"),
        ("chrom=1,start=2,end=stop", "no column 'stop' for end; the file has no header line"),
        ("chrom=1,start=2,end=", "expected end=COLUMN"),
        ("chrom=1,start=2,end=3,end=4", "end is there twice"),
        ("chrom=1,start=2,end=3,base=2", "expected base=0 or base=1, found '2'"),
        ("chrom=1,start=2,end=3,summit=4,offset=4", "not both"),
    ],
)
def test_named_columns_that_cannot_be(tmp_path: Path, columns: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        read_bed(_write(tmp_path, TEXT), columns)


def test_all_columns_are_kept(tmp_path: Path) -> None:
    path = _write(tmp_path, "chr1\t1000\t1200\tp1\t77\t+\textra1\nchr1\t5\t9\tp2\t1e3\t-\t\n")
    table = read_bed(path, keep=True)
    assert table.columns.tolist() == [
        "chrom", "start", "end", "name", "score", "strand", "column_7",
    ]  # fmt: skip
    assert table.iloc[:, 3:].to_numpy().tolist() == [
        ["p1", "77", "+", "extra1"], ["p2", "1e3", "-", ""],
    ]  # fmt: skip
    header = "chrom\tstart\tend\tsummit\tchrom\twindow\nchr1\t10\t90\t33\tx\ty\n"
    named = read_bed(_write(tmp_path, header), keep=True)
    assert named.columns.tolist() == ["chrom", "start", "end", "summit", "chrom_input", "window"]
    assert named.iloc[0].tolist() == ["chr1", 10, 90, 33, "x", "y"]


def test_facts_for_the_record(tmp_path: Path) -> None:
    path = _write(tmp_path, PEAK.format(5) + "#c\n" + PEAK.format("-1\tmore"))
    facts = read_bed(path).attrs["read"]
    assert json.loads(json.dumps(facts.as_dict())) == {
        "path": str(path), "format": "narrowPeak", "rows": 2, "columns": 10, "summits_known": 1,
        "summits_unknown": 1, "summits_outside": 0, "clipped": 0, "comments": 1, "longer": 1,
        "notes": [],
    }  # fmt: skip
    assert facts.line() == (
        f"{path}: 2 rows (narrowPeak), 1 with a summit; the midpoint stands in for 1 (1 unknown); "
        "1 lines between the rows skipped; 1 rows have more columns than the first"
    )


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!DOCTYPE html>\n<html>\n", "an HTML page: the download failed"),
        ("version https://git-lfs.github.com/spec/v1\n", r"Git LFS: .*git lfs pull"),
        ("@SQ\tSN:chr1\tLN:9\nchr1\t1\t9\t+\tx\n", "an interval list: take the lines without @"),
        (">chr1\nACGT\n", "a FASTA file"),
        ("chr1:1,001-1,300\n", "write chrom, start - 1 and end into three columns"),
        ("chr1\tx\tpeak\t11\t30\t.\t+\t.\tID=1\n", "GFF or GTF: .*chrom=1,start=4,end=5,base=1"),
        ("##fileformat=VCFv4.2\n#CHROM\tPOS\nchr1\t9\t.\tA\tG\n", "a VCF: 'cistransfer variants'"),
        ("fixedStep chrom=chr1 start=1 step=1\n0.1\n", "a wiggle track"),
    ],
)
def test_what_is_no_table_of_regions_is_called_by_its_name(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "r.bed").write_text(text)
    with pytest.raises(InputError, match=f"r.bed, line \\d: expected regions .*{message}"):
        read_bed(tmp_path / "r.bed")


def test_saf_counts_from_one_and_semicolons_part(tmp_path: Path) -> None:
    saf, csv = tmp_path / "p.saf", tmp_path / "p.csv"
    saf.write_text("GeneID\tChr\tStart\tEnd\tStrand\np1\tchr1\t1001\t1300\t.\n")
    csv.write_text("chr1;1000;1300;p1\n")
    for path, form in ((saf, "SAF"), (csv, "BED4")):
        table = read_bed(path)
        assert table[["chrom", "start", "end"]].to_numpy().tolist() == [["chr1", 1000, 1300]]
        assert table["name"].tolist() == ["p1"]
        assert form in table.attrs["read"].line()
