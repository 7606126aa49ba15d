"""Builds of small made-up genomes against a naive builder that spells the rules out."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cistransfer.binding.build import build_matrix
from cistransfer.binding.matrix import RULES, BindingMatrix, open_matrix
from cistransfer.errors import InputError
from cistransfer.openness.options import OpenOptions

SOURCES = {1: "A-old", 2: "A-new", 3: "B", 4: "C+drug", 5: "D"}
CELLS = {"A-old": "A cell", "A-new": "A cell", "B": "B", "C+drug": "C/c"}
NAMES = {"ACELL": "A cell", "B": "B", "C": "C/c"}
TFS = ("TF1", "TF2", "NKX3-1")

Cluster = tuple[str, int, int, list[int]]
Peak = tuple[str, int, str, str]
Site = tuple[str, int, int]


def oracle(
    clusters: list[Cluster],
    peaks: list[Peak],
    sites: dict[tuple[str, str, str], list[Site]],
    window: int,
    label: int | None = None,
) -> tuple[list[tuple[str, int]], dict[tuple[str, str], list[int]]]:
    """Regions, and for each assayed TF x cell the score of each region."""
    open_in: dict[tuple[str, int], set[str]] = {}
    for chrom, start, end, ids in clusters:
        cells = {CELLS[SOURCES[at]] for at in ids if SOURCES[at] in CELLS}
        begin = start + (end - start) // 2 - window // 2
        if cells and begin >= 0 and "_" not in chrom:
            open_in.setdefault((chrom, begin), set()).update(cells)
    regions = sorted(open_in)
    scores = {}
    for _, tf, name in sites:
        if name.upper() not in NAMES:
            continue
        cell = NAMES[name.upper()]
        scores[tf, cell] = [
            score(region, tf, cell, open_in[region], peaks, sites, window, label)
            for region in regions
        ]
    return regions, scores


def score(
    region: tuple[str, int],
    tf: str,
    cell: str,
    cells: set[str],
    peaks: list[Peak],
    sites: dict[tuple[str, str, str], list[Site]],
    window: int,
    label: int | None = None,
) -> int:
    """The published score of one region for one assayed TF x cell."""
    if cell not in cells:
        return 0
    chrom, begin = region
    label = label or window
    first = begin + window // 2 - label // 2
    inside = range(first, first + label)
    peak = any(
        at[0] == chrom and at[1] in inside and at[2] == tf and NAMES.get(at[3].upper()) == cell
        for at in peaks
    )
    site = any(
        at[0] == chrom and any(base in inside for base in range(at[1], at[2]))
        for (_, name_tf, name), rows in sites.items()
        for at in rows
        if name_tf == tf and NAMES.get(name.upper()) == cell
    )
    return 1 + peak + 2 * site


def write_inputs(
    folder: Path,
    clusters: list[Cluster],
    peaks: list[Peak],
    sites: dict[tuple[str, str, str], list[Site]],
) -> None:
    """Write the files that a build reads."""
    with gzip.open(folder / "dhs.txt.gz", "wt") as out:
        for chrom, start, end, ids in clusters:
            listed = "".join(f"{at}," for at in ids)
            out.write(f"1\t{chrom}\t{start}\t{end}\tx\t0\t{len(ids)}\t{listed}\t{listed}\n")
    (folder / "sources.txt").write_text("".join(f"{k}\t{v}\n" for k, v in SOURCES.items()))
    (folder / "ucsc2encode.tsv").write_text(
        "# comment\nUCSC\tENCODE\n" + "".join(f"{k}\t{v}\n" for k, v in CELLS.items())
    )
    (folder / "samples.tsv").write_text(
        "cell\tpeaks_name\nA cell\tAcell\nB\t\nC/c\tC\n",
    )
    (folder / "remap.bed").write_text(
        "".join(
            f"{c}\t{max(at - 9, 0)}\t{at + 5}\tE{n}.{tf}.{cell}\t0\t.\t{at}\t{at + 1}\t0,0,0\n"
            for n, (c, at, tf, cell) in enumerate(peaks)
        )
    )
    unibind = folder / "unibind"
    unibind.mkdir()
    for (experiment, tf, cell), rows in sites.items():
        (unibind / f"{experiment}.{cell}.{tf}.MA1.1.pwm.bed").write_text(
            "".join(f"{c}\t{a}\t{b}\t{tf}\t9\t+\n" for c, a, b in rows)
        )
    with tarfile.open(folder / "unibind.tar.gz", "w:gz") as archive:
        archive.add(unibind, arcname="unibind")


def build(folder: Path, window: int, tfbs: str = "unibind.tar.gz", **options: Any) -> BindingMatrix:
    """Build and open the matrix of a folder of inputs."""
    out = folder / "m.h5"
    build_matrix(
        out,
        OpenOptions(
            folder / "dhs.txt.gz",
            dhs_sources=folder / "sources.txt",
            ucsc2encode=folder / "ucsc2encode.tsv",
            samples=folder / "samples.tsv",
        ),
        peaks=[folder / "remap.bed"] if (folder / "remap.bed").stat().st_size else [],
        tfbs=[folder / tfbs],
        window=window,
        **options,
    )
    return open_matrix(out)


@pytest.fixture(scope="module")
def new_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    base = tmp_path_factory.mktemp("genomes")
    numbers = count()

    def make() -> Path:
        folder = base / str(next(numbers))
        folder.mkdir()
        return folder

    return make


places = st.integers(0, 260)
chroms = st.sampled_from(["chr1", "chr2", "chr10", "chr1_alt"])
cell_names = st.sampled_from(["Acell", "ACELL", "B", "c", "D", "Acell_drug", "nobody"])
clusters = st.tuples(
    chroms, places, st.integers(1, 40), st.lists(st.integers(1, 5), min_size=1, unique=True)
).map(lambda at: (at[0], at[1], at[1] + at[2], at[3]))
peaks = st.tuples(chroms, places, st.sampled_from(TFS), cell_names)
site = st.tuples(chroms, places, st.integers(1, 30)).map(lambda at: (at[0], at[1], at[1] + at[2]))
experiments = st.dictionaries(
    st.tuples(st.sampled_from(["X1", "X2"]), st.sampled_from(TFS), cell_names),
    st.lists(site, max_size=8),
    max_size=6,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(clusters, max_size=15),
    st.lists(peaks, max_size=25),
    experiments,
    st.sampled_from([1, 7, 40, 200]),
    st.sampled_from(["unibind.tar.gz", "unibind"]),
)
def test_build_equals_the_naive_builder(
    new_folder: Callable[[], Path],
    drawn_clusters: list[Cluster],
    drawn_peaks: list[Peak],
    drawn_sites: dict[tuple[str, str, str], list[Site]],
    window: int,
    tfbs: str,
) -> None:
    # One region and one experiment that are always there, so that there is a matrix.
    drawn_clusters = [*drawn_clusters, ("chr2", 300, 310, [3])]
    drawn_sites = {**drawn_sites, ("X9", "TF1", "B"): [("chr2", 304, 306)]}
    # Peaks of which none lies in an open region are refused.
    drawn_peaks = drawn_peaks and [*drawn_peaks, ("chr2", 305, "TF2", "B")]
    folder = new_folder()
    write_inputs(folder, drawn_clusters, drawn_peaks, drawn_sites)
    matrix = build(folder, window, tfbs)
    regions, scores = oracle(drawn_clusters, drawn_peaks, drawn_sites, window)
    found = matrix.regions
    assert list(zip(found["chrom"], found["start"], strict=True)) == regions
    assert set(found["end"] - found["start"]) == {window}
    assert matrix.cells == ("A cell", "B", "C/c")
    assert matrix.tfs == tuple(sorted({tf for tf, _ in scores}))
    pairs = list(zip(matrix.experiments["tf"], matrix.experiments["cell"], strict=True))
    assert pairs == sorted(scores)
    for (tf, cell), expected in scores.items():
        assert matrix.scores(tf, cell).tolist() == expected
    for rule, table in RULES.items():
        for tf in matrix.tfs:
            of_tf = [scores[pair] for pair in pairs if pair[0] == tf]
            expected = [table[max(values)] for values in zip(*of_tf, strict=True)]
            assert matrix.states(tf, rule)[:, 0].tolist() == expected
    in_b = [RULES["sparse"][value] for value in scores["TF1", "B"]]
    assert matrix.states("TF1", cells=["B"])[:, 0].tolist() == in_b


def test_order_and_repetition_of_rows_do_not_matter(new_folder: Callable[[], Path]) -> None:
    rng = np.random.default_rng(1)
    drawn: list[Cluster] = [
        ("chr1", int(at), int(at) + 9, [int(1 + at % 5)]) for at in rng.integers(0, 4000, 60)
    ]
    peaks: list[Peak] = [
        ("chr1", int(at), TFS[at % 3], "Bb"[at % 2]) for at in rng.integers(0, 4000, 300)
    ]
    sites = {
        ("X1", tf, "B"): [("chr1", int(at), int(at) + 8) for at in rng.integers(0, 4000, 100)]
        for tf in TFS
    }
    first = new_folder()
    write_inputs(first, drawn, peaks, sites)
    again = new_folder()
    shuffled = {key: [rows[at] for at in rng.permutation(100)] * 2 for key, rows in sites.items()}
    order = rng.permutation(300)
    write_inputs(again, drawn[::-1], [peaks[at] for at in order] * 3, shuffled)
    one, two = build(first, 50), build(again, 50)
    assert one.content_hash == two.content_hash
    assert (one.states() == 1).any()
    np.testing.assert_array_equal(one.states(), two.states())


@pytest.mark.parametrize(
    ("window", "named", "label"), [(300, None, 200), (300, 300, 300), (60, 20, 20), (61, 17, 17)]
)
def test_wider_regions_keep_the_labels_of_their_middle(
    new_folder: Callable[[], Path], window: int, named: int | None, label: int
) -> None:
    rng = np.random.default_rng(window + label)
    starts = rng.integers(150, 1500, 30)
    made = [("chr1", int(at), int(at) + 10, [1, 3]) for at in starts]
    called = [("chr1", int(at), "TF1", "B") for at in rng.integers(100, 1600, 12)]
    places = [("chr1", int(at), int(at) + 8) for at in rng.integers(100, 1600, 12)]
    sites = {("X1", "TF1", "B"): places, ("X1", "TF1", "Acell"): places[:2]}
    folder = new_folder()
    write_inputs(folder, made, called, sites)
    matrix = build(folder, window, label_window=named)
    regions, scores = oracle(made, called, sites, window, label)
    assert list(zip(matrix.regions["chrom"], matrix.regions["start"], strict=True)) == regions
    assert set(matrix.regions["end"] - matrix.regions["start"]) == {window}
    for (tf, cell), expected in scores.items():
        assert matrix.scores(tf, cell).tolist() == expected
    assert len(set(scores["TF1", "B"])) > 2
    assert matrix.settings.get("label_window", window) == label
    states = matrix.states()
    if label < window:
        narrow = build(folder, label)
        assert (narrow.states() == states).all()
        assert narrow.settings["window"] == label
        assert "label_window" not in narrow.settings


def test_wider_regions_that_are_cut_at_the_ends(new_folder: Callable[[], Path]) -> None:
    """The middle stays where it was; a peak beside it labels nothing."""
    folder = new_folder()
    made = [("chr1", 40, 60, [3]), ("chr1", 930, 950, [3])]
    sites = {("X1", "TF1", "B"): [("chr1", 48, 52), ("chr1", 60, 62), ("chr1", 939, 941)]}
    called = [("chr1", 50, "TF1", "B"), ("chr1", 75, "TF1", "B"), ("chr1", 925, "TF1", "B")]
    write_inputs(folder, made, called, sites)
    (folder / "sizes").write_text("chr1\t1000\n")
    matrix = build(folder, 300, label_window=20, edges="clip", chrom_sizes=folder / "sizes")
    assert matrix.regions[["start", "end"]].to_numpy().tolist() == [[0, 200], [790, 1000]]
    assert matrix.scores("TF1", "B").tolist() == [4, 3]
    with pytest.raises(InputError, match="labels of 400 bp need regions as wide, found 300 bp"):
        build(folder, 300, label_window=400)
