"""What a Python user may hand in for regions."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.genome.bed import as_regions, is_regions, regions_table

TWO = regions_table(["chr1", "chrX"], [99, 0], [300, 1500])
GOOD = {
    "texts": ["chr1:99-300", "chrX:0-1,500"],
    "tuples": [("chr1", 99, 300), ("chrX", 0, 1500)],
    "tuples of texts and numpy numbers": [("chr1", "99", np.int32(300)), ("chrX", 0.0, "1_500")],
    "a tuple of texts": ("chr1:99..300", "chrX:0-1500"),
    "a table": TWO,
    "pyranges' names, whole numbers as floats": pd.DataFrame(
        {"Chromosome": ["chr1", "chrX"], "Start": [99.0, 0], "End": [300, 1500.0]}
    ),
    "pyranges' categories and an index": pd.DataFrame(
        {"Chromosome": pd.Categorical(["chr1", "chrX"]), "Start": [99, 0], "End": [300, 1500]},
        index=[7, 7],
    ),
    "UCSC's names": pd.DataFrame(
        {"chromEnd": [300, 1500], "chromStart": [99, 0], "#chrom": ["chr1", "chrX"]}
    ),
    "pandas' own types": pd.DataFrame(
        {"chrom": ["chr1", "chrX"], "start": [99, 0], "end": [300, 1500]}
    ).astype({"chrom": "string", "start": "Int64", "end": "uint32"}),
}


@pytest.mark.parametrize("kind", GOOD)
def test_kinds_of_regions(kind: str) -> None:
    given = GOOD[kind]
    before = given.copy() if isinstance(given, pd.DataFrame) else given
    found = as_regions(given)
    assert is_regions(found)
    pd.testing.assert_frame_equal(found[["chrom", "start", "end"]], TWO)
    if isinstance(given, pd.DataFrame):
        pd.testing.assert_frame_equal(given, before)


def test_one_region_and_a_path(tmp_path: Path) -> None:
    for one in ("chr1:1,100-2,000", ("chr1", 1100, 2000), [("chr1", 1100, 2000)]):
        assert as_regions(one).to_numpy().tolist() == [["chr1", 1100, 2000]]
    path = tmp_path / "x.bed"
    path.write_text("chr1\t1100\t2000\n")
    for given in (path, str(path)):
        assert as_regions(given).to_numpy().tolist() == [["chr1", 1100, 2000]]
    path.write_text("x\tchr1\t1100\t2000\n")
    named = as_regions(path, "chrom=2,start=3,end=4")
    assert named.to_numpy().tolist() == [["chr1", 1100, 2000]]


def test_an_object_that_holds_a_table() -> None:
    class PyRanges:
        df = GOOD["pyranges' categories and an index"]

    pd.testing.assert_frame_equal(as_regions(PyRanges())[["chrom", "start", "end"]], TWO)


def test_other_columns_stay_and_unknown_summits_are_midpoints() -> None:
    table = TWO.assign(summit=[120, -1], gene=["a", "b"], Strand=["+", "-"])
    found = as_regions(table)
    assert found["summit"].tolist() == [120, 750]
    assert found["gene"].tolist() == ["a", "b"]
    assert found["strand"].tolist() == ["+", "-"]
    assert as_regions(TWO.assign(summit=[np.nan, 5.0]))["summit"].tolist() == [199, 5]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "regions: expected a path, a table with chrom, start and end, a text like"),
        (7, "found int 7"),
        ([], "found list []"),
        (np.zeros((2, 3)), "found ndarray array("),
        ([3, 4], "regions, item 1: expected 'chrom:start-end' or (chrom, start, end), found int 3"),
        (["chr1"], "regions, item 1: expected 'chrom:start-end'"),
        (["chr1:1-5", "chr1:x-5"], "regions, item 2: expected 'chrom:start-end'"),
        ([("chr1", 5, 5)], "regions, row 0: expected a chromosome and 0 ≤ start < end"),
        ([("chr1", 5, "end")], "regions, row 0: expected a whole number as end, found str 'end'"),
        ([("chr1", 5.5, 7)], "regions, row 0: expected a whole number as start, found float 5.5"),
        ([("", 5, 7)], "regions, row 0: expected a chromosome and"),
        (TWO.iloc[:0], "expected at least one region, found an empty table"),
        (TWO.rename(columns={"end": "to"}), "found no end among 'chrom, start, to'"),
        (TWO.assign(start=-1), "regions, row 0: expected a chromosome and 0 ≤ start < end"),
        (TWO.assign(end=["x" * 500, 7]), "as end, found str 'xxx"),
        ("nowhere.bed", "nowhere.bed: no such file"),
    ],
)
def test_what_is_no_regions(given: object, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        as_regions(given)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250
