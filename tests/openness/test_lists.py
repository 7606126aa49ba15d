"""ChromTransfer's lists: the totals of the paper, and files that are wrong."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.openness.lists import cell_of_list, list_kinds, read_list, read_lists

TRAIN = {
    "A549": (12_202, 68_784),
    "GM12878": (27_018, 68_437),
    "HCT116": (17_240, 51_915),
    "HEPG2": (25_669, 48_131),
    "K562": (32_277, 83_315),
    "MCF7": (32_543, 81_099),
}
TEST = {
    "A549": (1_910, 8_947),
    "GM12878": (4_722, 12_374),
    "HCT116": (2_778, 9_480),
    "HEPG2": (5_542, 5_870),
    "K562": (4_492, 19_686),
    "MCF7": (6_918, 9_029),
}
"""Positives and CELL_NEG of each cell; 873 and 121 windows are Negative everywhere."""


@pytest.fixture(scope="module")
def lists(shared_data: Path) -> pd.DataFrame:
    return read_lists(shared_data / "chromtransfer-hg38")


def test_the_published_totals(lists: pd.DataFrame) -> None:
    counted = lists.groupby(["part", "list", "label"]).size().to_dict()
    expected = {}
    for part, table, same in (("train", TRAIN, 873), ("test", TEST, 121)):
        for cell, (positives, negatives) in table.items():
            expected[part, cell, cell] = positives
            expected[part, cell, cell + "_NEG"] = negatives
            expected[part, cell, "Negative"] = same
    assert counted == expected
    assert set(lists["chrom"][lists["part"] == "test"]) == {"chr2", "chr3"}


def test_kinds_of_negatives(lists: pd.DataFrame) -> None:
    kinds = list_kinds(lists, "A549")
    assert kinds.groupby(["part", "kind"]).size().to_dict() == {
        ("test", "nobody"): 8_835,
        ("test", "others"): 112,
        ("test", "specific"): 1_910,
        ("test", "universal"): 121,
        ("train", "nobody"): 67_800,
        ("train", "others"): 984,
        ("train", "specific"): 12_202,
        ("train", "universal"): 873,
    }
    with pytest.raises(InputError, match="no list of cell 'HepG2'; nearest: HEPG2"):
        list_kinds(lists, "HepG2")


def test_a_table_of_kinds(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "chr1:0-10,A\nchr1:20-30,A_NEG\n\nchr1:40-50,A_NEG\nchr1:60-70,Negative\n"
    )
    with gzip.open(tmp_path / "b.csv.gz", "wt") as handle:
        handle.write("chr1:20-30,B\nchr1:60-70,Negative\nchr1:80-90,B_NEG\r\n")
    lists = read_lists(tmp_path)
    assert lists["list"].tolist() == ["a"] * 4 + ["b"] * 3
    assert list_kinds(lists, "A")["kind"].tolist() == ["specific", "others", "nobody", "universal"]
    assert list_kinds(lists, "B")["kind"].tolist() == ["specific", "universal", "nobody"]
    assert read_lists(tmp_path / "a.csv")["part"].tolist() == [""] * 4


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "expected windows, found an empty file"),
        ("chr1:0-10,A\nchr1 20 30 A\n", "line 2: expected 'chrom:start-end,label', found 'chr1 20"),
        ("chr1:10-10,A\n", "line 1: expected start < end, found 10 and 10"),
        ("chr1:0-10,A\nchr1:20-31,A\n", "line 2: expected a window of 10 bp .*, found 11"),
        (
            "chr1:0-10,A\nchr1:0-10,Negative\n",
            r"line 2: window chr1:0-10 is there twice \(line 1\)",
        ),
    ],
)
def test_wrong_lists(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=line):
        read_list(path)


def test_a_window_of_both_parts(tmp_path: Path) -> None:
    for part, rows in (("train", "chr1:0-10,A_NEG\nchr1:9-19,A\n"), ("test", "chr1:0-10,A\n")):
        (tmp_path / part).mkdir()
        (tmp_path / part / "A.csv").write_text(rows)
    lists = read_lists(tmp_path)
    with pytest.raises(
        InputError, match=r"of cell 'A': expected every window once, found chr1:0-10 twice \(1 suc"
    ):
        list_kinds(lists, "A")


def test_wrong_labels_and_folders(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("chr1:0-10,A\nchr1:20-30,B\n")
    with pytest.raises(InputError, match="list 'a': expected the labels CELL, CELL_NEG and Neg"):
        cell_of_list(read_lists(tmp_path))
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match=r"train: expected lists \(\*.csv, \*.csv.gz\), found non"):
        read_lists(tmp_path)
    with pytest.raises(InputError, match=r"nothere\.csv: no such file"):
        read_lists(tmp_path / "nothere.csv")
