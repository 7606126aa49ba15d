"""One file, one answer: every verb that reads regions sees the same places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cistransfer.binding.build import build_matrix
from cistransfer.binding.matrix import open_matrix
from cistransfer.binding.readers.evidence import Experiment, place_rows
from cistransfer.examples.draw import Matched
from cistransfer.examples.holdout import HoldOut
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import FromPeaks
from cistransfer.examples.split import Split
from cistransfer.genome.bed import read_bed
from cistransfer.genome.fasta import open_sequences, write_fasta
from cistransfer.genome.formats import formats
from cistransfer.genome.intervals import centre, centre_windows
from cistransfer.genome.rows import RowSource
from cistransfer.models.bundle import Bundle
from cistransfer.prediction.output import as_in_file, write_predictions
from cistransfer.prediction.table import predict_regions

KNOWN = (
    "chr1\t500\t2000\ta\t0\t.\t9\t9\t9\t100\n"
    "chr1\t600\t2400\tb\t0\t.\t9\t9\t9\t200\n"
    "chr2\t400\t1900\tc\t0\t.\t9\t9\t9\t150\n"
)
ONE_UNKNOWN = KNOWN.replace("\t150\n", "\t-1\n")
NEGATIVE = "chr1\t500\t2000\ta\t0\t.\t9\t9\t9\t100\nchr2\t-20\t380\tc\t0\t.\t9\t9\t9\t200\n"
BED9 = "chr1\t1100\t1300\tn\t0\t+\t1100\t1100\t0\n"
BROAD = "chr1\t1100\t1300\tn\t0\t.\t3\t5\t4\n"
SCIENTIFIC = "chr1\t1e+03\t1200\n"
CASES = {
    "all known": (KNOWN, "x.narrowPeak", [600, 800, 550]),
    "one unknown": (ONE_UNKNOWN, "x.narrowPeak", [600, 800, 1150]),
    "the name of an ENCODE download": (KNOWN, "ENCFF000AAA.bed", [600, 800, 550]),
    "a negative start": (NEGATIVE, "x.narrowPeak", [600, 180]),
    "thickStart = thickEnd": (BED9, "bed9.bed", [1200]),
    "whole numbers in a broadPeak": (BROAD, "broad_as.bed", [1200]),
    "scientific notation": (SCIENTIFIC, "sci.bed", [1100]),
    **{
        f"format {form.name}": (form.example, "x.txt", [1300 if has else 1250])
        for form in formats()
        if form.example
        for has in [not form.summit.startswith("none")]
    },
}


@pytest.fixture(scope="module")
def genome_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("g") / "g.fa"
    letters = {name: "".join(rng.choice(list("ACGT"), 3000)) for name in ("chr1", "chr2")}
    write_fasta(path, letters)
    return path


@pytest.mark.parametrize("case", CASES)
def test_finetune_predict_and_matrix_build_see_one_summit(
    tmp_path: Path, case: str, trunk: Bundle, genome_path: Path
) -> None:
    text, name, expected = CASES[case]
    path = tmp_path / name
    path.write_text(text)
    # as finetune, relatives and interpret read it
    peaks = read_bed(path)
    assert centre(peaks).tolist() == expected
    # as matrix build reads it, with a sheet
    blocks = list(place_rows(RowSource.of(path), Experiment("E", "T", "X"), "peaks"))
    assert np.concatenate([block.start for block in blocks]).tolist() == expected
    assert all((block.end - block.start == 1).all() for block in blocks)
    # as predict reads it, and gives it back
    regions = read_bed(path, keep=True)
    table = predict_regions(trunk, regions, open_sequences(genome_path))
    assert table["window_start"].tolist() == [place - trunk.window // 2 for place in expected]
    if case.startswith("format"):
        write_predictions(tmp_path / "o.tsv", as_in_file(table, regions))
        lines = [line.split("\t") for line in (tmp_path / "o.tsv").read_text().splitlines()]
        given = [line.split("\t") for line in text.splitlines()]
        n = len(given[-1])
        assert lines[1][:n] == given[-1]
        if len(given) > 1:  # a header
            assert lines[0][:n] == [given[-2][0].lstrip("#"), *given[-2][1:]]
        assert centre(read_bed(tmp_path / "o.tsv")).tolist() == expected  # and it is read again


def test_windows_of_finetuning_are_on_the_summits(tmp_path: Path, genome_path: Path) -> None:
    path = tmp_path / "p.bed"
    row = "{}\t{}\t{}\tn\t0\t.\t9\t9\t9\t{}\n"
    starts = [(chrom, start) for chrom in ("chr1", "chr2") for start in range(60, 1500, 30)]
    path.write_text("".join(row.format(c, s, s + 20, s // 30 % 22 - 1) for c, s in starts))
    peaks = read_bed(path)
    opened = tmp_path / "open.bed"
    places = [(chrom, start) for chrom in (1, 2) for start in range(60, 2900, 30)]
    opened.write_text("".join(f"chr{c}\t{s}\t{s + 60}\n" for c, s in places))
    made = examples_for(
        FromPeaks(path, genome_path, opened, "T", window=40),
        holdout=HoldOut(Split(by="random", seed=0)),
        draw=Matched(gc_bins=1),
    )
    bound = made.regions[made.labels[:, 0] == 1]
    expected = centre_windows(peaks, 40)[["chrom", "start", "end"]].to_numpy().tolist()
    assert 60 < len(bound) <= peaks.attrs["read"].rows == len(starts)
    assert peaks.attrs["read"].summits_outside
    assert peaks.attrs["read"].summits_unknown
    assert all(row in expected for row in bound[["chrom", "start", "end"]].to_numpy().tolist())


@pytest.mark.parametrize(
    ("text", "region"), [(BED9, 0), (BROAD, 0), (SCIENTIFIC, 0), (NEGATIVE, 1)]
)
def test_a_matrix_of_odd_files(tmp_path: Path, text: str, region: int) -> None:
    (tmp_path / "peaks.txt").write_text(text)
    (tmp_path / "open.bed").write_text("chr1\t1000\t1400\nchr2\t100\t260\n")
    (tmp_path / "open.tsv").write_text("cell\tfile\nX\topen.bed\n")
    (tmp_path / "p.tsv").write_text("file\ttf\tcell\npeaks.txt\tT\tX\n")
    build_matrix(tmp_path / "m.h5", tmp_path / "open.tsv", peaks=[tmp_path / "p.tsv"], window=200)
    matrix = open_matrix(tmp_path / "m.h5")
    assert matrix.evidence("T", "X")[0].tolist() == [region]


def test_a_matrix_records_its_summits(tmp_path: Path) -> None:
    (tmp_path / "x.narrowPeak").write_text(
        ONE_UNKNOWN + NEGATIVE + ONE_UNKNOWN.replace("\t200\n", "\t1800\n")
    )
    (tmp_path / "open.bed").write_text("chr1\t500\t700\n")
    (tmp_path / "open.tsv").write_text("cell\tfile\nX\topen.bed\n")
    (tmp_path / "p.tsv").write_text("file\ttf\tcell\nx.narrowPeak\tT\tX\n")
    report = build_matrix(tmp_path / "m.h5", tmp_path / "open.tsv", peaks=[tmp_path / "p.tsv"])
    assert report.notes[-2:] == [
        "peaks: 5 summits are known; the midpoint stands in for 3 (2 unknown, 1 outside their "
        "region)",
        "peaks: 1 starts below 0 set to 0",
    ]


NAMES = "id,note,strand,chromEnd,chromStart,seqname,val,val,summit,ELF1,score_ELF1\n"
QUOTED = (
    'a,"x, y",+,1200,1000,chr1,1,2,.,=1,-0.5\nb,"say ""hi""; z",-,1400,1000,chr2,3,4,1100,u,007\n'
)


@pytest.mark.parametrize("separator", [",", ";"])
def test_predict_keeps_order_and_names_of_a_csv(
    tmp_path: Path, trunk: Bundle, genome_path: Path, separator: str
) -> None:
    """Only fields that need it are quoted, and columns may be called as ours are."""
    text = NAMES + QUOTED
    path = tmp_path / "r.csv"
    path.write_text(text.replace(",", separator).replace(f"x{separator} y", "x, y"))
    regions = read_bed(path, keep=True)
    made = as_in_file(predict_regions(trunk, regions, open_sequences(genome_path)), regions)
    given = [
        "id", "note_input", "strand", "chromEnd", "chromStart", "seqname", "val", "val_input",
        "summit_input", "ELF1", "score_ELF1",
    ]  # fmt: skip
    own = ["summit", "window_start", "window_end", "score_score_ELF1", "SPI1", "MAX", "note"]
    assert list(made) == given + own
    assert made[given].astype(str).to_numpy().tolist() == [
        ["a", "x, y", "+", "1200", "1000", "chr1", "1", "2", "-1", "=1", "-0.5"],
        ["b", 'say "hi"; z', "-", "1400", "1000", "chr2", "3", "4", "1100", "u", "007"],
    ]
    assert made["summit"].tolist() == [1100, 1100]


def test_predict_returns_every_column(tmp_path: Path, trunk: Bundle, genome_path: Path) -> None:
    (tmp_path / "r.bed").write_text(
        "chr2\t1000\t1200\tp1\t77\t+\textra1\nchr1\t500\t560\tp0\t1.50\t-\textra 2\n"
    )
    table = predict_regions(
        trunk, read_bed(tmp_path / "r.bed", keep=True), open_sequences(genome_path)
    )
    write_predictions(tmp_path / "o.tsv", table)
    lines = [line.split("\t") for line in (tmp_path / "o.tsv").read_text().splitlines()]
    assert lines[0][:9] == [
        "chrom", "start", "end", "name", "score", "strand", "column_7", "window_start",
        "window_end",
    ]  # fmt: skip
    assert lines[1][:8] == ["chr2", "1000", "1200", "p1", "77", "+", "extra1", "1050"]
    assert lines[2][:8] == ["chr1", "500", "560", "p0", "1.50", "-", "extra 2", "480"]
    # what was written is read again: names from the header, an older score beside the new one
    again = predict_regions(
        trunk, read_bed(tmp_path / "o.tsv", keep=True), open_sequences(genome_path)
    )
    assert again.columns.tolist()[7:9] == ["window_start_input", "window_end_input"]
    pd.testing.assert_series_equal(again["score_MAX"], table["MAX"], check_names=False)
