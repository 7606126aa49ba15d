"""Signals against a Z-score written out, and tables that are wrong."""

from __future__ import annotations

import gzip
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cistransfer.errors import InputError
from cistransfer.openness.signals import read_region_numbers, read_signal_table, z_scores


def write(folder: Path, header: str, rows: list[str], beds: int = 5) -> tuple[Path, Path]:
    bed, table = folder / "regions.bed", folder / "signals.tsv"
    bed.write_text("".join(f"chr1\t{at}00\t{at}50\tr{at}\n" for at in range(1, beds + 1)))
    table.write_text("\n".join([header, *rows]) + "\n")
    return bed, table


@example([3.0] * 11)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0, 10.0, 80.0]), min_size=1, max_size=12))
def test_z_scores_by_hand(signal: list[float]) -> None:
    logs = [math.log10(value) for value in signal if value > 0]
    found = z_scores(np.array(signal))
    spread = statistics.pstdev(logs) if logs else 0.0
    for value, score in zip(signal, found, strict=True):
        if value == 0 or len(set(logs)) < 2:
            assert score == -math.inf
        else:
            expected = (math.log10(value) - statistics.fmean(logs)) / spread
            assert score == pytest.approx(expected, abs=1e-9)


def test_any_replicate_opens_a_region(tmp_path: Path) -> None:
    # log10 of 1 1 1 1 10000: mean 0.8, sd 1.6, so Z is 2 for the last and −0.5 for the others.
    bed, table = write(
        tmp_path,
        "region\tA.1\tA.2\tB",
        ["r5\t10000\t1\t7", "r1\t1\t1\t7", "r2\t1\t10000\t0.1", "r3\t1\t1\t0", "r4\t1\t1\t7"],
    )
    found = read_signal_table(bed, table)
    assert found.regions["start"].tolist() == [100, 200, 300, 400, 500]
    assert found.open["A"].tolist() == [False, True, False, False, True]
    assert not found.open["B"].any()
    assert read_signal_table(bed, table, threshold=2.01).open["A"].sum() == 0
    # B without its zero: log10 of 7 7 7 0.1, Z of 7 is 0.577.
    assert read_signal_table(bed, table, threshold=0.57).open["B"].tolist() == [
        True, False, False, True, True,
    ]  # fmt: skip


def test_a_table_of_replicates(tmp_path: Path) -> None:
    bed, table = write(
        tmp_path, "region\tx\tA.1\ty",
        [f"chr1:{at}00-{at}50\t{10**at}\t1\t{10 ** (6 - at)}" for at in range(1, 6)],
    )  # fmt: skip
    sheet = tmp_path / "replicates.tsv"
    sheet.write_text("column\tcell\nx\tLiver\ny\tLiver\n")
    found = read_signal_table(bed, table, threshold=1, replicates=sheet)
    assert list(found.open) == ["Liver"]
    assert found.open["Liver"].tolist() == [True, False, False, False, True]
    sheet.write_text("column\tcell\nz\tLiver\n")
    with pytest.raises(InputError, match=r"line 2: no column 'z' in .*; there are: A.1, x, y"):
        read_signal_table(bed, table, replicates=sheet)
    sheet.write_text("column\tcell\nx\tLiver\nx\tKidney\n")
    with pytest.raises(InputError, match="line 3: column 'x' is there twice"):
        read_signal_table(bed, table, replicates=sheet)


GOOD = [f"r{at}\t{at}" for at in range(1, 6)]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (GOOD[:-1], r"no row for region 'r5' of .* \(1 are missing\)"),
        ([*GOOD, "r1\t3"], "region 'r1' is there twice"),
        ([*GOOD, "r8\t3", "r9\t3"], r"row 'r8' is no region of .*regions.bed \(2 such rows\)"),
        ([*GOOD, "r6\t3\t4"], r"signals.tsv: not a tab-separated table: Error tokenizing"),
        ([*GOOD[:-1], "r5\t-2"], r"at least 0 for region chr1:500-550 in column 'A', found -2"),
        ([*GOOD[:-1], "r5\tinf"], "in column 'A', found inf"),
        ([*GOOD[:-1], "r5\tx"], "expected a number for region 'r5' in cell 'A', found 'x'"),
        ([f"r{at}\t2" for at in range(1, 6)], "column 'A' has 1 different signals above 0"),
        ([f"r{at}\t0" for at in range(1, 6)], "column 'A' has 0 different signals above 0"),
    ],
)
def test_wrong_tables(tmp_path: Path, rows: list[str], line: str) -> None:
    bed, table = write(tmp_path, "region\tA", rows)
    with pytest.raises(InputError, match=line) as caught:
        read_signal_table(bed, table)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("header", ["region\tB\tA\tB", "B\tA\tB", "region\tB.1\tB\tB"])
def test_a_column_that_is_there_twice(tmp_path: Path, header: str) -> None:
    fields = header.count("\t")
    bed, table = write(tmp_path, header, [f"r{at}" + f"\t{at}" * fields for at in range(1, 6)])
    with pytest.raises(InputError, match=r"signals.tsv: column 'B' is there twice"):
        read_region_numbers(bed, table)


def test_a_table_of_other_regions_by_place(tmp_path: Path) -> None:
    rows = [f"chr1:{at}00-{at}50\t{at}" for at in range(1, 7)]
    bed, table = write(tmp_path, "region\tA", rows)
    with pytest.raises(InputError, match=r"row 'chr1:600-650' is no region of .* \(1 such rows\)"):
        read_region_numbers(bed, table)


def test_a_damaged_gzip(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    bed, table = write(
        tmp_path, "region\tA", [f"r{at}\t{rng.random()}" for at in range(1, 20_001)], 20_000
    )
    whole = gzip.compress(table.read_bytes(), mtime=0)
    path = tmp_path / "signals.tsv.gz"
    path.write_bytes(whole)
    assert len(read_region_numbers(bed, path)[1]) == 20_000
    for damaged in (whole[: len(whole) // 2], *(_flipped(whole, at) for at in (12, 60_000, -6))):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"signals.tsv.gz: ") as caught:
            read_region_numbers(bed, path)
        assert "\n" not in str(caught.value)


def _flipped(whole: bytes, at: int) -> bytes:
    found = bytearray(whole)
    found[at] ^= 0xFF
    return bytes(found)
