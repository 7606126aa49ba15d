"""Inputs as people have them: forms of open regions, peaks and TFBS files, names, windows."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cistransfer.binding.build import build_matrix
from cistransfer.binding.build_report import BuildReport
from cistransfer.binding.facts.counts import describe, facts_of, header
from cistransfer.binding.matrix import BindingMatrix, open_matrix
from cistransfer.binding.readers import collect
from cistransfer.binding.readers.collect import EvidenceSets
from cistransfer.errors import InputError
from cistransfer.genome.intervals import index_regions, overlapping
from cistransfer.openness.options import OpenOptions
from cistransfer.openness.read import merge_peaks, read_open
from cistransfer.openness.regions import OpenRegions
from cistransfer.openness.samples import Sample, match_cell, names_of, read_samples


def write(folder: Path, name: str, text: str) -> Path:
    """Write a file, gzip when its name ends so."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Open regions of two cells: 100-140 in both, 300-340 in K, 500-540 in H."""
    write(tmp_path, "K.bed", "chr1\t100\t140\nchr1\t300\t340\n")
    write(tmp_path, "H.bed.gz", "chr1\t100\t140\nchr1\t500\t540\n")
    write(tmp_path, "open.tsv", "cell\tfile\nK562\tK.bed\nHepG2\tH.bed.gz\n")
    return tmp_path


def build(folder: Path, **options: object) -> tuple[BindingMatrix, BuildReport]:
    opened = OpenOptions(folder / "open.tsv", samples=options.pop("samples", None))  # type: ignore[arg-type]
    report = build_matrix(folder / "m.h5", opened, window=20, **options)  # type: ignore[arg-type]
    return open_matrix(folder / "m.h5"), report


def scores(matrix: BindingMatrix) -> dict[str, list[int]]:
    return {
        f"{tf}@{cell}": matrix.scores(tf, cell).tolist()
        for tf, cell in zip(matrix.experiments["tf"], matrix.experiments["cell"], strict=True)
    }


# Windows: 110-130 (both cells), 310-330 (K562), 510-530 (HepG2).
REMAP = "chr1\t{0}\t{1}\t{2}\t0\t.\t{3}\t{4}\t0\n"


def remap(*rows: tuple[int, str]) -> str:
    return "".join(REMAP.format(at - 5, at + 9, name, at, at + 1) for at, name in rows)


def test_peaks_only_with_remap_rows(folder: Path) -> None:
    write(
        folder,
        "r.bed.gz",
        "track name=x\n# y\n" + remap((110, "G1.CTCF.K562"), (330, "G2.CTCF.K-562")),
    )
    matrix, report = build(folder, peaks=[folder / "r.bed.gz"])
    assert scores(matrix) == {"CTCF@K562": [2, 1, 0]}
    assert matrix.states("CTCF", "peaks-only")[:, 0].tolist() == [1, 0, -1]
    assert matrix.experiments["accessions"].tolist() == ["G1"]
    assert (report.peak_rows, report.peak_rows_used) == (2, 1)
    (unmatched,) = report.unmatched
    assert (unmatched["kind"], unmatched["name"], unmatched["rows"]) == ("peaks", "K-562", 1)
    assert unmatched["nearest"].startswith("nearest: K562")
    assert report.cells_without_experiments == ["HepG2"]


def test_summits_on_the_borders_of_a_window(folder: Path) -> None:
    rows = [(109, "E.A.K562"), (110, "E.B.K562"), (129, "E.C.K562"), (130, "E.D.K562")]
    write(folder, "r.bed", remap(*rows))
    matrix, _ = build(folder, peaks=[folder / "r.bed"])
    assert {name: values[0] for name, values in scores(matrix).items()} == {
        "A@K562": 1, "B@K562": 2, "C@K562": 2, "D@K562": 1
    }  # fmt: skip


def test_treated_cells(folder: Path) -> None:
    rows = [(115, "G1.ESR1.K562_estradiol_6h"), (315, "G2.ESR1.K562"), (115, "G3.ESR1.MCF-7_E2")]
    write(folder, "r.bed", remap(*rows))
    matrix, report = build(folder, peaks=[folder / "r.bed"])
    assert scores(matrix) == {"ESR1@K562": [1, 2, 0]}
    assert [each["name"] for each in report.unmatched] == ["K562_estradiol_6h", "MCF-7_E2"]
    matrix, report = build(folder, peaks=[folder / "r.bed"], treated=True)
    assert scores(matrix) == {"ESR1@K562": [2, 2, 0]}
    assert [each["name"] for each in report.unmatched] == ["MCF-7_E2"]


def test_tfbs_decide_what_is_assayed(folder: Path) -> None:
    write(folder, "r.bed", remap((115, "G1.P.K562"), (115, "G1.Q.K562"), (115, "G1.P.HepG2")))
    write(folder, "t/X1.K562.P.MA1.1.pwm.bed.gz", "chr1\t129\t140\tP\t9\t+\n")
    write(folder, "t/X2.HepG2.R.pwm.bed", "")
    write(folder, "t/X3.nobody.P.pwm.bed", "chr1\t129\t140\n")
    peaks, tfbs = [folder / "r.bed"], [folder / "t"]
    matrix, report = build(folder, peaks=peaks, tfbs=tfbs)
    assert scores(matrix) == {"P@K562": [4, 1, 0], "R@HepG2": [1, 0, 1]}
    assert report.not_assayed == {"P in HepG2": 1, "Q in K562": 1}
    assert [(each["name"], each["rows"]) for each in report.unmatched_tfs] == [("Q", 1)]
    assert [(each["kind"], each["name"]) for each in report.unmatched] == [("tfbs", "nobody")]
    assert (report.tfbs_rows, report.tfbs_rows_used) == (2, 1)
    expected = {
        "either": {
            "P@HepG2": [2, 0, 1], "P@K562": [4, 1, 0], "Q@K562": [2, 1, 0], "R@HepG2": [1, 0, 1]
        },
        "peaks": {"P@HepG2": [2, 0, 1], "P@K562": [4, 1, 0], "Q@K562": [2, 1, 0]},
        "both": {"P@K562": [4, 1, 0]},
    }  # fmt: skip
    for assayed, wanted in expected.items():
        assert scores(build(folder, peaks=peaks, tfbs=tfbs, assayed=assayed)[0]) == wanted
    only_sites, _ = build(folder, tfbs=tfbs)
    assert scores(only_sites) == {"P@K562": [3, 1, 0], "R@HepG2": [1, 0, 1]}


def test_sheets_of_narrowpeak_and_bed_files(folder: Path) -> None:
    narrow = "chr1\t{}\t{}\tp\t1\t.\t1\t-1\t-1\t{}\n"
    # Summit 321 + 0; unknown summit: midpoint of 500-541 is 520.
    write(folder, "e/a.narrowPeak.gz", narrow.format(321, 460, 0) + narrow.format(500, 541, -1))
    write(folder, "e/b.bed", "chr1\t0\t231\n")  # midpoint 115
    sheet = "file\ttf\tcell\taccession\n" + (
        "e/a.narrowPeak.gz\teGFP-JUN-human\tK562\tENCFF1\n"
        "e/a.narrowPeak.gz\tJUN\thepg2\tENCFF2\n"
        "e/b.bed\tJUN\tK562\t\n"
    )
    write(folder, "peaks.tsv", sheet)
    matrix, _ = build(folder, peaks=[folder / "peaks.tsv"])
    assert scores(matrix) == {"JUN@HepG2": [1, 0, 2], "JUN@K562": [2, 2, 0]}
    assert matrix.experiments["accessions"].tolist() == ["ENCFF2", "ENCFF1;b"]
    assert {Path(each["path"]).name for each in matrix.inputs} == {
        "a.narrowPeak.gz", "b.bed", "peaks.tsv", "open.tsv", "K.bed", "H.bed.gz"
    }  # fmt: skip


def test_broadpeak_files_count_at_their_midpoint(folder: Path) -> None:
    write(folder, "x.broadPeak.gz", "chr1\t300\t341\tp\t1\t.\t7.5\t3.1\t2.2\n")
    write(folder, "b.tsv", "file\ttf\tcell\nx.broadPeak.gz\tJUN\tK562\n")
    assert scores(build(folder, peaks=[folder / "b.tsv"])[0]) == {"JUN@K562": [1, 2, 0]}


def test_folders_tars_and_several_files_are_one_evidence(folder: Path) -> None:
    write(folder, "remap/one.bed", remap((115, "G1.P.K562")))
    write(folder, "remap/two.bed.gz", remap((315, "G2.P.K562")))
    write(folder, "uni/X1.K562.P.pwm.bed", "chr1\t325\t331\n")
    with tarfile.open(folder / "uni.tar", "w") as archive:
        archive.add(folder / "uni", arcname="pwm")
    matrix, _ = build(folder, peaks=[folder / "remap"], tfbs=[folder / "uni.tar"])
    assert scores(matrix) == {"P@K562": [2, 4, 0]}
    again, _ = build(
        folder,
        peaks=[folder / "remap/two.bed.gz", folder / "remap/one.bed"],
        tfbs=[folder / "uni/X1.K562.P.pwm.bed"],
    )
    assert again.content_hash == matrix.content_hash


def test_sample_sheet_maps_names(folder: Path) -> None:
    sheet = "# ours\ncell\tpeaks_name\ttfbs_name\nK562\tK-562;K562-LYS\tk562_leukemia\nHepG2\t\t\n"
    write(folder, "s.tsv", sheet)
    write(folder, "r.bed", remap((115, "G.P.K-562"), (315, "G.P.k562-lys"), (115, "G.P.HepG2")))
    write(folder, "t/X.K562_leukemia.P.pwm.bed", "chr1\t110\t115\n")
    write(folder, "t/X.HEPG2.P.pwm.bed", "chr1\t510\t515\n")
    matrix, report = build(
        folder, samples=folder / "s.tsv", peaks=[folder / "r.bed"], tfbs=[folder / "t"]
    )
    assert scores(matrix) == {"P@HepG2": [2, 0, 3], "P@K562": [4, 2, 0]}
    assert report.unmatched == []


def test_region_list_with_files_and_with_a_table(folder: Path) -> None:
    write(
        folder,
        "rdhs.bed",
        "chr1\t90\t101\tE1\nchr1\t139\t200\tE2\nchr1\t341\t350\tE3\nchr2\t1\t9\tE4\n",
    )
    opened = read_open(OpenOptions(folder / "open.tsv", regions=folder / "rdhs.bed"))
    assert {cell: own.tolist() for cell, own in opened.open.items()} == {
        "K562": [True, True, False, False],
        "HepG2": [True, True, False, False],
    }
    write(folder, "z.tsv", "rdhs\tK562\tHepG2\nE4\t1.7\t0\nE1\t0.2\t-3\nE2\t1\t2e1\nE3\t0\t0\n")
    table = read_open(OpenOptions(folder / "z.tsv", regions=folder / "rdhs.bed", open_above=1.64))
    assert {cell: own.tolist() for cell, own in table.open.items()} == {
        "K562": [False, False, False, True],
        "HepG2": [False, True, False, False],
    }
    write(
        folder,
        "n.tsv",
        "region\tK562\nchr1:139-200\t0\nchr1:90-101\t1\nchr2:1-9\t0\nchr1:341-350\t1\n",
    )
    places = read_open(OpenOptions(folder / "n.tsv", regions=folder / "rdhs.bed"))
    assert places.open["K562"].tolist() == [True, False, True, False]


def test_merging_peaks_of_cells() -> None:
    table = pd.DataFrame
    merged = merge_peaks(
        {
            "a": table(
                {"chrom": ["chr1", "chr1", "chr2"], "start": [0, 50, 0], "end": [100, 60, 5]}
            ),
            "b": table({"chrom": ["chr1", "chr1"], "start": [99, 120], "end": [120, 130]}),
        }
    )
    assert merged.regions.to_dict("list") == {
        "chrom": ["chr1", "chr1", "chr2"],
        "start": [0, 120, 0],
        "end": [120, 130, 5],
    }
    assert merged.open["a"].tolist() == [True, False, True]
    assert merged.open["b"].tolist() == [True, True, False]


def windows(
    rows: list[tuple[str, int, int]], width: int, **options: object
) -> tuple[object, object]:
    table = pd.DataFrame(rows, columns=["chrom", "start", "end"])
    opened = OpenRegions(table, {"a": np.ones(len(table), dtype=bool)})
    cut, left_out = opened.windows(width, **options)  # type: ignore[arg-type]
    return list(cut.regions.itertuples(index=False, name=None)), left_out


def test_windows_at_the_ends_of_a_chromosome() -> None:
    rows = [("chr1", 0, 20), ("chr1", 80, 100), ("chr1", 40, 61), ("chrU", 40, 60)]
    sizes = {"chr1": 100}
    assert windows(rows, 20, sizes=sizes) == (
        [("chr1", 0, 20), ("chr1", 40, 60), ("chr1", 80, 100)],
        {"on an unknown chromosome": 1},
    )
    assert windows(rows, 30, sizes=sizes) == (
        [("chr1", 35, 65)],
        {"on an unknown chromosome": 1, "off a chromosome's end": 2},
    )
    assert windows(rows, 30, sizes=sizes, edges="clip") == (
        [("chr1", 0, 25), ("chr1", 35, 65), ("chr1", 75, 100)],
        {"on an unknown chromosome": 1},
    )
    alike = [("chr1", 40, 60), ("chr2", 40, 60)]
    assert windows(alike, 20) == (alike, {})
    assert windows(rows[:1], 0) == ([("chr1", 0, 20)], {})


@pytest.mark.parametrize("width", [200, 500, 600, 1000, 201])
def test_windows_of_any_length(width: int) -> None:
    assert windows([("chr1", 1000, 1101)], width)[0] == [
        ("chr1", 1050 - width // 2, 1050 - width // 2 + width)
    ]


def test_excluded_regions_and_equal_windows() -> None:
    rows = [("chr1", 100, 120), ("chr1", 90, 130), ("chr1", 400, 420)]
    gap = pd.DataFrame({"chrom": ["chr1"], "start": [419], "end": [500]})
    assert windows(rows, 20, exclude=[gap]) == (
        [("chr1", 100, 120)],
        {"in excluded regions": 1, "equal to another window (merged)": 1},
    )
    with pytest.raises(InputError, match="no open region is left: 1 in excluded regions"):
        windows(rows[2:], 20, exclude=[gap])
    with pytest.raises(InputError, match="no edge rule 'cut'"):
        windows(rows, 20, edges="cut")


def test_regions_open_in_no_chosen_cell_are_left_out() -> None:
    table = pd.DataFrame({"chrom": ["chr1"] * 3, "start": [0, 50, 90], "end": [10, 60, 100]})
    opened = OpenRegions(
        table, {"b": np.array([False, False, True]), "a": np.array([True, False, True])}
    )
    cut, left_out = opened.windows(10, keep_closed=False)
    assert cut.regions["start"].tolist() == [0, 90]
    assert {cell: own.tolist() for cell, own in cut.open.items()} == {
        "a": [True, True],
        "b": [False, True],
    }
    assert list(cut.open) == ["a", "b"]
    assert left_out == {"open in no chosen cell": 1}


def test_names() -> None:
    known = {"MCF-7": "M", "BE2_C": "B"}
    assert match_cell("mcf-7", known) == "M"
    assert match_cell("MCF-7_E2_1h", known) is None
    assert match_cell("MCF-7_E2_1h", known, treated=True) == "M"
    assert match_cell("be2_c_x", known, treated=True) == "B"
    assert match_cell("BE2", known, treated=True) is None
    with pytest.raises(InputError, match="'x' is given to two cells, 'A' and 'B'"):
        names_of([Sample("A", peaks_names=("X",)), Sample("B", peaks_names=("x",))], "peaks")


def test_cells_on_several_lines_of_the_sheet(tmp_path: Path) -> None:
    text = "cell\tdhs_source\tpeaks_name\nM\tMCF-7\tMCF7\nM\tMCF-7_E2\tMCF7\nA\t\t\n"
    assert read_samples(write(tmp_path, "s.tsv", text)) == [
        Sample("A"),
        Sample("M", ("MCF-7", "MCF-7_E2"), ("MCF7",)),
    ]
    twice = write(tmp_path, "twice.tsv", "cell\tpeaks_name\tpeaks_name\nM\tMCF7\tA\n")
    with pytest.raises(InputError, match="two columns are called 'peaks_name'"):
        read_samples(twice)


regions_and_rows = st.tuples(
    st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 60), st.integers(1, 25)), min_size=1),
    st.lists(
        st.tuples(st.sampled_from("wxyz"), st.integers(0, 80), st.integers(1, 30)), max_size=20
    ),
    st.booleans(),
)


@given(regions_and_rows)
def test_overlapping_equals_all_pairs(
    drawn: tuple[list[tuple[str, int, int]], list[tuple[str, int, int]], bool],
) -> None:
    regions, rows, uniform = drawn
    table = pd.DataFrame(
        sorted((c, at, at + (9 if uniform else width)) for c, at, width in regions),
        columns=["chrom", "start", "end"],
    )
    row, region = overlapping(
        index_regions(table),
        list("wxyz"),
        np.array(["wxyz".index(c) for c, _, _ in rows], dtype=np.int32),
        np.array([at for _, at, _ in rows], dtype=np.int64),
        np.array([at + width for _, at, width in rows], dtype=np.int64),
    )
    expected = [
        (i, j)
        for i, (c, at, width) in enumerate(rows)
        for j, (chrom, start, end) in enumerate(table.itertuples(index=False, name=None))
        if c == chrom and at < end and start < at + width
    ]
    assert sorted(zip(row.tolist(), region.tolist(), strict=True)) == expected


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20)), max_size=60),
    st.integers(1, 5),
    st.sampled_from([0, 9, 99]),
)
def test_sets_hold_every_pair_once(
    pairs: list[tuple[int, int]], parts: int, least_held: int
) -> None:
    sets = EvidenceSets(21)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collect, "_LEAST_HELD", least_held)  # beyond them, bits
        for part in range(parts):
            some = np.array(pairs[part::parts], dtype=np.int64).reshape(-1, 2)
            sets.add(some[:, 0], some[:, 1])
    found = [
        (experiment, region)
        for experiment in range(42)
        for region in sets.regions(experiment).tolist()
    ]
    assert found == sorted(set(pairs))


def test_rows_are_counted_where_they_lie(folder: Path) -> None:
    rows = [(115, "G.P.K562"), (116, "G.P.K562"), (250, "G.P.K562"), (515, "G.P.HepG2")]
    rows.append((515, "G.P.K562"))  # open in HepG2 alone
    text = remap(*rows, (115, "G.P.nobody")) + remap((115, "G.P.K562")).replace("chr1", "chr7")
    write(folder, "r.bed", text)
    write(folder, "t/X.K562.P.pwm.bed", "chr1\t110\t115\nchr1\t10\t15\n")
    matrix, report = build(folder, peaks=[folder / "r.bed"], tfbs=[folder / "t"])
    assert header(matrix)["placed"] == {"peaks": [7, 5, 2], "tfbs": [2, 2, 1]}
    assert (
        "peaks: 7 rows read, 5 of a chosen cell and a TF assayed there, 2 of these in regions "
        "open in their cell"
    ) in describe(matrix, facts_of(matrix))
    assert (report.peak_rows, report.peak_rows_used, report.peak_rows_placed) == (7, 5, 2)
    assert report.peak_chroms == {"chr1": [5, 4], "chr7": [1, 0]}  # P is not assayed in HepG2
    assert (report.tfbs_rows, report.tfbs_rows_used, report.tfbs_rows_placed) == (2, 2, 1)
    assert report.tfbs_chroms == {"chr1": [2, 1]}


def test_an_input_that_lies_in_no_open_region_is_refused(folder: Path) -> None:
    write(folder, "r.bed", remap((115, "G.P.K562"), (315, "G.P.HepG2")))
    write(folder, "w.bed", remap((115, "G.P.K562")).replace("chr1", "9"))
    with pytest.raises(InputError) as caught:
        build(folder, peaks=[folder / "r.bed", folder / "w.bed"])
    assert str(caught.value) == (
        f"{folder / 'w.bed'}: none of its 1 rows of a chosen cell lies in an open region; it has "
        "rows on 9, the open regions are on chr1; is it of the same genome assembly?"
    )
    assert not (folder / "m.h5").exists()
    # One file of several: said, not refused.
    write(folder, "p.tsv", "file\ttf\tcell\nr.bed\tP\tK562\nw.bed\tP\tK562\n")
    _, report = build(folder, peaks=[folder / "p.tsv"])
    *_, note = report.notes
    assert note.endswith(
        "w.bed: none of its rows lies on a chromosome with open regions (it has 9; they have chr1)"
    )


def test_open_regions_in_memory_are_an_input(folder: Path) -> None:
    write(folder, "r.bed", remap((115, "G.P.K562")))
    from_file, _ = build(folder, peaks=[folder / "r.bed"])
    opened = read_open(folder / "open.tsv")
    plain = OpenRegions(opened.regions, opened.open)
    build_matrix(folder / "again.h5", plain, peaks=[folder / "r.bed"], window=20)
    assert open_matrix(folder / "again.h5").content_hash == from_file.content_hash
