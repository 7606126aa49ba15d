"""Tables as text: what is written, to the byte, and what a spreadsheet makes of it."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cistransfer.tables import markdown, records, write_tsv

SHOWN = pd.DataFrame(
    {
        "size": ["50", "all"],
        "n": [1200, 3],
        "mean": [0.81234, np.nan],
        "difference": [0.05, -0.1],
        "p": [0.00003, 0.25],
        "note": ["a|b", ""],
        "empty": ["", ""],
    }
)


def test_markdown() -> None:
    assert markdown(SHOWN) == (
        "| size |     n |  mean | difference |       p | note |\n"
        "|------|------:|------:|-----------:|--------:|------|\n"
        "| 50   | 1,200 | 0.812 |     +0.050 | 3.0e-05 | a\\|b |\n"
        "| all  |     3 |     – |     -0.100 |    0.25 |      |\n"
    )
    assert "| a b  |" in markdown(pd.DataFrame({"name": ["a\nb"]}))


def test_records() -> None:
    assert records(SHOWN)[1]["mean"] is None
    assert records(SHOWN)[0]["n"] == 1200


@pytest.mark.parametrize("numbers", ["%.3g", None])
def test_a_table_is_written_to_the_byte(tmp_path: Path, numbers: str | None) -> None:
    table = pd.DataFrame({"name": ["a", "b"], "n": [1, 2], "mean": [1 / 3, np.nan]})
    write_tsv(tmp_path / "t.tsv", table, numbers=numbers)
    third = "0.333" if numbers else repr(1 / 3)
    expected = f"name\tn\tmean\na\t1\t{third}\nb\t2\t\n".encode()
    assert (tmp_path / "t.tsv").read_bytes() == expected
    for name in ("a.tsv.gz", "b.tsv.gz"):
        write_tsv(tmp_path / name, table, numbers=numbers)
    assert gzip.decompress((tmp_path / "a.tsv.gz").read_bytes()) == expected
    assert (tmp_path / "a.tsv.gz").read_bytes() == (tmp_path / "b.tsv.gz").read_bytes()


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("@x", "'@x"),
        ("+SUM(A1)", "'+SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("-3", "-3"),
        ("+1e5", "+1e5"),
        ("-", "-"),
        ("+", "+"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_no_text_is_a_formula(tmp_path: Path, cell: str, written: str) -> None:
    table = pd.DataFrame({"name": [cell, "x"], "score": [-0.5, 1.0]})
    for kind in (object, "string", "category"):
        write_tsv(tmp_path / "t.tsv", table.astype({"name": kind}))
        assert (tmp_path / "t.tsv").read_text() == f"name\tscore\n{written}\t-0.5\nx\t1\n"
    write_tsv(tmp_path / "t.tsv", pd.DataFrame({cell or "x": [1]}))
    assert (tmp_path / "t.tsv").read_text() == f"{written or 'x'}\n1\n"
    assert table["name"][0] == cell
