"""A file of open regions is told by its content; what does not go with it is refused."""

from __future__ import annotations

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cistransfer.binding.matrix import BindingMatrix, read_open_regions
from cistransfer.errors import InputError
from cistransfer.openness.dhs import read_dhs_clusters, read_dhs_sources
from cistransfer.openness.options import OpenOptions
from cistransfer.openness.read import open_form, read_open
from cistransfer.openness.regions import OpenRegions
from cistransfer.openness.samples import Sample

DHS = "585\tchr1\t100\t140\tx\t0\t1\t1,\t9,\n585\tchr1\t300\t340\tx\t0\t2\t2,3,\t9,9,\n"
FILES = {
    "dhs": DHS,
    "ensembl": DHS.replace("chr1", "1"),
    "sheet": "# mine\ncell\tfile\nK562\tk.bed\n",
    "turned": "file\tcell\nk.bed\tK562\n",
    "table": "region\tK562\tHepG2\nr1\t1\t0\nr2\t0\t1\n",
    "signals": "\tK562.1\tK562.2\nr1\t0.5\t8\nr2\t3\t0.1\n",
    "lists": "chr1:100-700,HEPG2\nchr1:900-1500,Negative\n",
    "k.bed": "chr1\t90\t101\nchr1\t330\t350\n",
    "regions.bed": "chr1\t100\t140\tr1\nchr1\t300\t340\tr2\n",
    "sources": "1\tA\n2\tB\n3\tA\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("dhs", "dhs"), ("ensembl", "dhs"), ("sheet", "sheet"), ("turned", "sheet"),
        ("table", "table"), ("signals", "table"), ("lists", "lists"), (".", "lists"),
    ],
)  # fmt: skip
def test_forms(folder: Path, name: str, form: str) -> None:
    assert open_form(folder / name) == form
    if name != ".":
        (folder / "zipped").write_bytes(gzip.compress(FILES[name].encode()))
        assert open_form(folder / "zipped") == form


def test_a_matrix_is_a_form(world, folder: Path) -> None:
    matrix: BindingMatrix = world.matrix
    assert open_form(world.matrix_path) == "matrix"
    opened = read_open_regions(world.matrix_path)
    assert opened.regions.equals(matrix.regions)
    for cell in matrix.cells:
        np.testing.assert_array_equal(opened.open[cell], matrix.accessible(cell)[:, 0])
    with pytest.raises(InputError, match=r"samples has no meaning with .*, a binding matrix"):
        read_open_regions(OpenOptions(world.matrix_path, samples=folder / "sheet"))
    with pytest.raises(InputError, match="found a binding matrix"):
        read_open(world.matrix_path)
    assert read_open_regions(folder / "sheet").open["K562"].tolist() == [True, True]


@pytest.mark.parametrize(
    ("name", "beside", "line"),
    [
        ("k.bed", {}, "k.bed: a BED file does not say whose open regions these are"),
        ("dhs", {}, "a DHS cluster table needs its sources table"),
        ("dhs", {"dhs_sources": "sources", "regions": "k.bed"}, "regions has no meaning with"),
        ("sheet", {"open_above": 1.0}, "open_above has no meaning with"),
        ("sheet", {"z_above": 0.0}, "a sheet of BED files; drop it"),
        ("table", {}, "a table of regions and numbers needs its regions"),
        ("table", {"regions": "regions.bed", "ucsc2encode": "x"}, "ucsc2encode has no meaning"),
        (
            "table",
            {"regions": "regions.bed", "open_above": 0.0, "z_above": 1.0},
            "one of --open-above and --z-above, found both",
        ),
        ("table", {"regions": "regions.bed", "replicates": "x"}, "no meaning without z_above"),
        (
            "signals",
            {"regions": "regions.bed"},
            r"numbers other than 0 and 1 \(0.5 in column 'K562.1'\); say where a region is open",
        ),
        ("lists", {}, "found ChromTransfer's lists"),
        ("nowhere", {}, "nowhere: no such file"),
        ("empty", {}, "found an empty file"),
        ("text", {}, "found 'hello'"),
    ],
)
def test_what_does_not_go_together(
    folder: Path, name: str, beside: dict[str, object], line: str
) -> None:
    (folder / "empty").write_text("# nothing\n")
    (folder / "text").write_text("hello\n")
    options = {
        key: folder / value if isinstance(value, str) else value for key, value in beside.items()
    }
    with pytest.raises(InputError, match=line):
        read_open(OpenOptions(folder / name, **options))  # type: ignore[arg-type]


def test_numbers_say_what_is_open(folder: Path) -> None:
    def opened(name: str, **options: float) -> dict[str, list[bool]]:
        found = read_open(OpenOptions(folder / name, regions=folder / "regions.bed", **options))
        return {cell: own.tolist() for cell, own in found.open.items()}

    states = {"K562": [True, False], "HepG2": [False, True]}
    assert opened("table") == opened("table", open_above=0.0) == states
    assert opened("signals", open_above=0.4) == {"K562.1": [True, True], "K562.2": [True, False]}
    assert opened("signals", z_above=0.5) == {"K562": [True, True]}


def test_sources_of_one_name_count_as_one(folder: Path) -> None:
    found = read_open(OpenOptions(folder / "dhs", dhs_sources=folder / "sources"))
    assert {cell: own.tolist() for cell, own in found.open.items()} == {
        "A": [True, True],
        "B": [False, True],
    }
    (note,) = found.notes
    assert note.endswith("sources: 2 sources are called 'A'; they count as one")
    assert [sample.dhs_sources for sample in found.samples] == [("A",), ("B",)]


def test_ids_of_sources(folder: Path) -> None:
    (folder / "sources").write_text("1\tA\n2\tB\n1\tC\n")
    with pytest.raises(InputError, match="line 3: source id 1 is there twice"):
        read_dhs_sources(folder / "sources")
    # No room is taken for ids that are not there.
    (folder / "sources").write_text("2\tA\n3\tB\n900000000000000000\tC\n")
    with pytest.raises(InputError, match="source id 1 is not in the sources table"):
        read_open(OpenOptions(folder / "dhs", dhs_sources=folder / "sources"))
    (folder / "sources").write_text("9" * 30 + "\tA\n")
    with pytest.raises(InputError, match="line 1: expected a source id"):
        read_dhs_sources(folder / "sources")


IDS = [0, 7, 23, 999, 1000, 70000]
ROW = st.tuples(
    st.sampled_from(["chr1", "chr2", "chr1_alt"]),
    st.lists(st.sampled_from(IDS), min_size=1, max_size=4, unique=True),
    st.sampled_from([",", ",", ",", ""]),
)


@settings(max_examples=60)
@given(st.lists(ROW, min_size=1, max_size=12), st.integers(1, 6))
def test_a_cell_is_open_where_one_of_its_sources_is(rows: list[Any], n_ids: int) -> None:
    rows = [(chrom, [i for i in ids if i in IDS[:n_ids]] or [0], end) for chrom, ids, end in rows]
    sources = {i: f"s{i % 1000}" for i in IDS[:n_ids]}  # 0, 1000 and 70000 are called the same
    cells = [Sample("a", ("s0",)), Sample("b", ("s7", "s23")), Sample("c", ("s0", "s999"))]
    table = "".join(
        f"1\t{chrom}\t{100 * at}\t{100 * at + 50}\tx\t0\t1\t{','.join(map(str, ids))}{end}\t1,\n"
        for at, (chrom, ids, end) in enumerate(rows)
    )
    with TemporaryDirectory() as place:
        (Path(place) / "dhs").write_text(table)
        found = read_dhs_clusters(Path(place) / "dhs", sources, cells)
    kept = [(at, ids) for at, (chrom, ids, _) in enumerate(rows) if "_" not in chrom]
    assert (found.regions["start"] == [100 * at for at, _ in kept]).all()
    for cell in cells:
        assert found.open[cell.cell].tolist() == [
            any(sources[i] in cell.dhs_sources for i in ids) for _, ids in kept
        ]


def test_a_blacklist_that_touches_nothing_is_said() -> None:
    table = pd.DataFrame({"chrom": ["chr1", "chr2"], "start": [100, 500], "end": [200, 600]})
    opened = OpenRegions(table, {"a": np.array([True, True])})
    hit = table.iloc[:1]
    named_otherwise = hit.assign(chrom="1")
    windows, left_out = opened.windows(100, exclude=[hit, named_otherwise])
    assert left_out == {"in excluded regions": 1}
    assert windows.notes == (
        "warning: the blacklist excludes nothing: none of its 1 regions touches an open region "
        "(it is on 1; the open regions are on chr1, chr2)",
    )
    assert opened.windows(100, exclude=[hit])[0].notes == ()


def test_positions_that_no_chromosome_has() -> None:
    table = pd.DataFrame({"chrom": ["c"], "start": [3 << 40], "end": [(3 << 40) + 9]})
    with pytest.raises(InputError, match=r"expected positions below 1,099,511,627,776, found"):
        OpenRegions(table, {"a": np.array([True])}).windows(0)
