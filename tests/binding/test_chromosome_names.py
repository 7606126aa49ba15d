"""Chromosome names of open regions, peaks, TFBS, lengths and blacklists are reconciled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cistransfer.binding.build import build_matrix
from cistransfer.binding.build_report import BuildReport
from cistransfer.binding.matrix import BindingMatrix, open_matrix
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.openness.options import OpenOptions
from cistransfer.progress import one

HG38 = {"chr1": 248_956_422, "chr2": 242_193_529, "chrX": 156_040_895}
ACCESSIONS = {"chr1": "NC_000001.11", "chr2": "NC_000002.12", "chrX": "NC_000023.11"}
OPEN = "chr1\t1000\t1400\nchr2\t1000\t1400\nchrX\t1000\t1400\n"
PEAKS = "chr1\t1100\t1300\nchrX\t1150\t1250\n"


def renamed(text: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        text = text.replace(old + "\t", new + "\t")
    return text


ALIASES = {
    "as they are": {},
    "Ensembl": {name: name.removeprefix("chr") for name in HG38},
    "upper case": {name: name.upper() for name in HG38},
    "RefSeq": ACCESSIONS,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "open.bed").write_text(OPEN)
    (tmp_path / "open.tsv").write_text("cell\tfile\nK\topen.bed\n")
    (tmp_path / "peaks.tsv").write_text("file\ttf\tcell\npeaks.bed\tT\tK\n")
    (tmp_path / "peaks.bed").write_text(PEAKS)
    return tmp_path


def build(folder: Path, **options: object) -> tuple[BindingMatrix, BuildReport]:
    options = {"peaks": [folder / "peaks.tsv"], **options}
    report = build_matrix(folder / "m.h5", folder / "open.tsv", **options)  # type: ignore[arg-type]
    return open_matrix(folder / "m.h5"), report


def states(matrix: BindingMatrix) -> dict[str, int]:
    return dict(
        zip(matrix.regions["chrom"], matrix.states(["T"], "peaks-only")[:, 0].tolist(), strict=True)
    )


@pytest.mark.parametrize("style", ALIASES)
def test_peaks_by_any_name_give_the_same_matrix(folder: Path, style: str) -> None:
    wanted, _ = build(folder)
    assert states(wanted) == {"chr1": 1, "chr2": 0, "chrX": 1}
    names = ALIASES[style]
    (folder / "peaks.bed").write_text(renamed(PEAKS, names))
    matrix, report = build(folder)
    assert matrix.content_hash == wanted.content_hash
    used = {new: old for old, new in names.items() if old in PEAKS}
    assert matrix.settings["renamed"] == ({"peaks": used} if used else {})
    said = [note for note in report.notes if note.startswith("peaks: names read")]
    assert len(said) == bool(used)
    if style == "Ensembl":
        assert said == ["peaks: names read as those of the open regions (1 as chr1, X as chrX)"]


@pytest.mark.parametrize("style", ALIASES)
def test_a_blacklist_by_any_name_excludes(folder: Path, style: str) -> None:
    black = folder / "black.bed"
    black.write_text(renamed("chr2\t1100\t1300\n", ALIASES[style]))
    matrix, report = build(folder, exclude=[black])
    assert list(matrix.regions["chrom"]) == ["chr1", "chrX"]
    assert report.regions_left_out == {"in excluded regions": 1}
    assert not [note for note in report.notes if "warning" in note]


def test_a_blacklist_that_excludes_nothing_is_a_warning(folder: Path) -> None:
    black = folder / "black.bed"
    black.write_text("scaffold_9\t1100\t1300\n")
    matrix, report = build(folder, exclude=[black])
    assert len(matrix) == 3
    assert (
        f"warning: {black} excludes nothing: none of its 1 regions touches an open region (it is "
        "on scaffold_9; the open regions are on chr1, chr2, chrX)" in report.notes
    )
    assert report.notes == matrix.settings["notes"]


def test_open_regions_of_cells_that_name_chromosomes_otherwise(folder: Path) -> None:
    (folder / "other.bed").write_text("1\t1000\t1400\n2\t5000\t5400\nX\t1000\t1400\n")
    (folder / "open.tsv").write_text("cell\tfile\nK\topen.bed\nH\tother.bed\n")
    matrix, report = build(folder)
    assert list(matrix.regions["chrom"]) == ["chr1", "chr2", "chr2", "chrX"]
    assert matrix.accessible("H").ravel().tolist() == [True, False, True, True]
    assert any("read as 1 as chr1, 2 as chr2, X as chrX" in note for note in report.notes)
    listed = folder / "listed.bed"
    listed.write_text(OPEN.replace("chr", ""))
    report = build_matrix(
        folder / "m.h5",
        OpenOptions(folder / "open.tsv", regions=listed),
        peaks=[folder / "peaks.tsv"],
    )
    assert list(open_matrix(folder / "m.h5").regions["chrom"]) == ["1", "2", "X"]


@pytest.mark.parametrize("style", ALIASES)
def test_lengths_by_any_name_tell_the_assembly(folder: Path, style: str) -> None:
    sizes = folder / "chrom.sizes"
    lines = "".join(f"{name}\t{length}\n" for name, length in HG38.items())
    sizes.write_text(renamed(lines, ALIASES[style]))
    matrix, report = build(folder, chrom_sizes=sizes)
    assert len(matrix) == 3
    assert not report.regions_left_out
    assert (matrix.genome, report.genome) == ("hg38", "hg38")
    matrix, report = build(folder, chrom_sizes=sizes, genome="mm10")
    assert matrix.genome == "mm10"
    assert (
        "warning: the assembly is to be called mm10, but the chromosomes are those of hg38"
        in report.notes
    )


def test_the_assembly_of_accessions_and_of_nothing(folder: Path) -> None:
    assert build(folder)[0].genome == "unknown"
    (folder / "open.bed").write_text(renamed(OPEN, ACCESSIONS))
    assert build(folder)[0].genome == "hg38"
    older = {**ACCESSIONS, "chr1": "NC_000001.10", "chrX": "NC_000023.10"}
    (folder / "peaks.bed").write_text(renamed(PEAKS, older))
    with pytest.raises(
        InputError, match=r"peaks.bed: the names .* those of hg19 .*, but the matrix is hg38"
    ):
        build(folder)


def test_a_name_that_may_be_two_chromosomes_is_refused(folder: Path) -> None:
    (folder / "open.bed").write_text("1\t1000\t1400\nchr1\t2000\t2400\n")
    (folder / "peaks.bed").write_text("CHR1\t1100\t1300\n")
    with pytest.raises(InputError, match=r"peaks.bed: chromosome 'CHR1' may be '1' or 'chr1'"):
        build(folder)


def test_few_peaks_in_open_regions_are_a_warning(folder: Path) -> None:
    rows = "".join(f"chr1\t{at}\t{at + 200}\n" for at in range(5000, 9000, 200))
    (folder / "peaks.bed").write_text(PEAKS + rows)
    _, report = build(folder)
    assert report.notes[-1].startswith(
        "warning: only 2 of 22 rows of peaks lie in regions open in their cell"
    )


def test_the_verb_records_what_was_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "peaks.bed").write_text(PEAKS.replace("chr", ""))
    words = ["matrix", "build", "--open", "open.tsv", "--peaks", "peaks.tsv", "--out", "m.h5"]
    words = [str(folder / word) if "." in word else word for word in words]
    assert run_app(app, words) == 0
    shown = capsys.readouterr().out
    assert "peaks: names read as those of the open regions (1 as chr1, X as chrX)" in shown
    used = json.loads((folder / "m.h5.config.json").read_text())["used"]
    assert used["assembly"] == "unknown"
    assert {one(line) for line in used["inputs"]} <= set(shown.splitlines())
