"""What a build refuses: one line that names the file, the line, what was expected and found."""

from __future__ import annotations

import gzip
import io
import tarfile
from dataclasses import fields
from pathlib import Path

import pytest

from cistransfer.binding.build import build_matrix
from cistransfer.errors import InputError
from cistransfer.openness.options import OpenOptions

DHS = "1\tchr1\t100\t140\tx\t0\t1\t1,\t9,\n1\tchr1\t300\t340\tx\t0\t2\t1,2,\t9,9,\n"
PEAK = "chr1\t95\t130\tE1.P.K562\t0\t.\t115\t116\t0,0,0\n"
SITE = "chr1\t110\t120\tP\t9\t+\n"
OPEN = [field.name for field in fields(OpenOptions)]
GOOD = {
    "dhs": DHS,
    "sources": "1\tK562\n2\tHepG2\n",
    "encode": "# x\nUCSC\tENCODE\nK562\tK562\nHepG2\tHepG2\n",
    "samples.tsv": "cell\tdhs_source\tpeaks_name\nK562\tK562\tK562\nHepG2\tHepG2\t\n",
    "peaks.bed": PEAK,
    "t/X1.K562.P.pwm.bed": SITE,
    "black.bed": "chr1\t900\t950\n",
    "sizes": "chr1\t10000\n",
}


def build(folder: Path, files: dict[str, str], **options: object) -> None:
    for name, text in {**GOOD, **files}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    arguments: dict[str, object] = {
        "peaks": [folder / "peaks.bed"],
        "tfbs": [folder / "t"],
        "exclude": [folder / "black.bed"],
        "chrom_sizes": folder / "sizes",
        "window": 20,
        **{key: value for key, value in options.items() if key not in OPEN},
    }
    opened = {
        "open": folder / "dhs",
        "dhs_sources": folder / "sources",
        "ucsc2encode": folder / "encode",
        "samples": folder / "samples.tsv",
        **{key: value for key, value in options.items() if key in OPEN},
    }
    build_matrix(folder / "out" / "m.h5", OpenOptions(**opened), **arguments)  # type: ignore[arg-type]


def refusal(folder: Path, files: dict[str, str], **options: object) -> str:
    with pytest.raises(InputError) as caught:
        build(folder, files, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert not (folder / "out" / "m.h5").exists()
    return message


def test_the_good_files_are_good(tmp_path: Path) -> None:
    build(tmp_path, {})
    assert (tmp_path / "out" / "m.h5").is_file()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("dhs", "", "expected at least one row, found an empty file"),
        ("dhs", "chr1\t1\t2\n", "line 1: expected at least 8 tab-separated columns, found 3"),
        (
            "dhs",
            DHS + "1\tchr1\t9\t9\tx\t0\t1\t1,\t9,\n",
            "line 3: expected 0 ≤ start < end in columns 3 and 4",
        ),
        ("dhs", DHS + "1\tchr1\t1\t9\tx\t0\t1\t1,7,\t9,\n", "id 7 is not in the sources table"),
        ("dhs", DHS + "1\tchr1\t1\t9\tx\t0\t1\tK562\t9,\n", "source ids in column 8, found 'K562'"),
        ("dhs", DHS + "1\tchr1\t1\t9\tx\t0\t1\t-1,\t9,\n", "source ids in column 8, found '-1,'"),
        ("dhs", DHS + "1\tchr1\t1\n", "line 3: expected"),
        ("dhs", DHS.replace("340", "34o"), "line 2: expected an integer in column 4, found '34o'"),
        ("sources", "K562\n", "line 1: expected a source id and a name"),
        ("sources", "", "expected source ids and names, found an empty file"),
        ("encode", "UCSC\tENCODE\nK562\n", "line 2: expected 2 tab-separated columns"),
        (
            "samples.tsv",
            "cell\tdhs\nK562\tK562\n",
            "unknown column 'dhs'; there are: cell, dhs_source",
        ),
        ("samples.tsv", "name\nK562\n", "expected a column 'cell'"),
        ("samples.tsv", "cell\tdhs_source\nK562\tK-562\n", "no DHS source 'K-562' in"),
        ("samples.tsv", "cell\nHEPG2\n", "cell 'HEPG2' has no DHS source in"),
        ("samples.tsv", "cell\tdhs_source\n\tK562\n", "line 2: expected a cell name, found none"),
        ("samples.tsv", "cell\tpeaks_name\nK562\tX\nHepG2\tx\n", "given to two cells"),
        ("peaks.bed", "", "expected at least one region, found an empty file"),
        (
            "peaks.bed",
            PEAK + PEAK.replace("E1.P.K562", "peak7"),
            "'experiment.TF.cell' in column 4",
        ),
        ("peaks.bed", PEAK + PEAK.replace("\t95\t", "\t150\t"), "line 2: expected start < end"),
        (
            "peaks.bed",
            PEAK + "chr1\t1\t2\n",
            "line 2: expected 9 tab-separated columns like the first line, found 3",
        ),
        (
            "peaks.bed",
            PEAK + PEAK.replace("\t95\t", "\t9x\t"),
            "line 2: expected an integer start in column 2, found '9x'",
        ),
        (
            "peaks.bed",
            "chr1\t5\t9\n",
            "line 1: expected names like 'experiment.TF.cell' in",
        ),
        (
            "peaks.bed",
            PEAK * 9 + PEAK.replace("\t115\t", "\tsummit\t"),
            "line 10: expected an integer summit in column 7, found 'summit'",
        ),
        ("t/X1.K562.P.pwm.bed", SITE + "chr1\t7\t7\tP\t9\t+\n", "line 2: expected start < end"),
        ("t/X1.K562.P.pwm.bed", SITE + "chr1\t7\n", "line 2: expected"),
        ("t/P.bed", SITE, "expected a file name like 'experiment.cell.TF.pwm.bed', found 'P.bed'"),
        ("black.bed", "chr1\t90\t95\nchr1\t8\n", "line 2: expected 3"),
        ("black.bed", "chr1\t0\t900\n", "no open region is left"),
        ("sizes", "chr1\n", "line 1: expected a chromosome and its length"),
        ("sizes", "9\t10000\n", "no open region is left: 2 on an unknown chromosome"),
    ],
)
def test_malformed_files(tmp_path: Path, name: str, text: str, message: str) -> None:
    found = refusal(tmp_path, {name: text})
    assert message in found
    if not found.startswith(("no open region", "sample sheet")):
        assert Path(name).name in found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"peaks": [], "tfbs": []}, "needs peaks, TFBS predictions or both"),
        ({"tfbs": [], "assayed": "tfbs"}, "assayed='tfbs' needs TFBS predictions"),
        ({"peaks": [], "assayed": "both"}, "assayed='both' needs peaks"),
        ({"assayed": "peak"}, "no rule 'peak' for assayed; nearest: peaks"),
        ({"window": -1}, "expected a window of at least 1 bp"),
        ({"open": None}, "no open regions are given; they come as one of: a DHS cluster table"),
        ({"dhs_sources": None}, "needs its sources table"),
        ({"open": "nowhere"}, "nowhere: no such file"),
        ({"peaks": ["nowhere.bed"]}, "nowhere.bed: no such file"),
        ({"tfbs": ["nowhere"]}, "nowhere: no such file"),
    ],
)
def test_arguments_that_cannot_be(tmp_path: Path, options: dict[str, object], message: str) -> None:
    assert message in refusal(tmp_path, {}, **options)


def test_no_name_matches(tmp_path: Path) -> None:
    (tmp_path / "u").mkdir()
    (tmp_path / "u" / "X.K-562.P.bed.pwm.bed").write_text(SITE)
    message = refusal(tmp_path, {"peaks.bed": PEAK.replace("K562", "K-562")}, tfbs=[tmp_path / "u"])
    assert message.startswith("no experiment matches a cell: peaks of cell 'K-562' (1 rows; ")
    assert "nearest: K562" in message
    assert "map names in the sample sheet" in message


@pytest.mark.parametrize("keep", [0.5, 0.97])
def test_gzip_cut_short(tmp_path: Path, keep: float) -> None:
    whole = gzip.compress(
        "".join(PEAK.replace("115\t116", f"{at}\t{at + 1}") for at in range(5000)).encode()
    )
    (tmp_path / "p.bed.gz").write_bytes(whole[: int(len(whole) * keep)])
    message = refusal(tmp_path, {}, peaks=[tmp_path / "p.bed.gz"])
    assert "p.bed.gz: the gzip file is cut short or damaged" in message
    table = gzip.compress((DHS * 3000).encode())
    (tmp_path / "d.gz").write_bytes(table[: int(len(table) * keep)])
    assert "d.gz: the gzip file is cut short" in refusal(tmp_path, {}, open=tmp_path / "d.gz")


def tar_of(folder: Path, mode: str) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=mode) as archive:  # type: ignore[call-overload]
        for at in range(40):
            data = "".join(f"chr1\t{at * 7 + n}\t{at * 7 + n + 9}\n" for n in range(900)).encode()
            info = tarfile.TarInfo(f"X{at}.K562.P.pwm.bed")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return held.getvalue()


@pytest.mark.parametrize("mode", ["w:gz", "w"])
@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_tar_cut_short(tmp_path: Path, mode: str, keep: float) -> None:
    whole = tar_of(tmp_path, mode)
    path = tmp_path / "u.tar"
    path.write_bytes(whole)
    build(tmp_path, {}, tfbs=[path])
    (tmp_path / "out" / "m.h5").unlink()
    path.write_bytes(whole[: int(len(whole) * keep)])
    message = refusal(tmp_path, {}, tfbs=[path])
    assert "u.tar" in message
    assert "cut short" in message


def test_what_is_no_tar(tmp_path: Path) -> None:
    path = tmp_path / "u.tar.gz"
    path.write_bytes(b"<html>not found</html>" * 100)
    assert "expected a tar archive of BED files" in refusal(tmp_path, {}, tfbs=[path])


@pytest.mark.parametrize(
    ("sheet", "message"),
    [
        ("file\ttf\nx\tP\n", "expected a column 'cell'"),
        (
            "file\ttf\tcell\tacession\nx\tP\tK562\tE\n",
            "unknown column 'acession'; nearest: accession",
        ),
        ("file\ttf\tcell\nx.bed\tP\tK562\n", "line 2: "),
        ("file\ttf\tcell\nblack.bed\t\tK562\n", "line 2: expected a tf, found nothing"),
        ("file\ttf\tcell\n", "expected a header line and at least one row"),
        ("file\ttf\tcell\nblack.bed\tP\n", "line 2: expected 3 tab-separated columns"),
    ],
)
def test_evidence_sheets(tmp_path: Path, sheet: str, message: str) -> None:
    (tmp_path / "s.tsv").write_text(sheet)
    found = refusal(tmp_path, {}, peaks=[tmp_path / "s.tsv"])
    assert message in found
    assert "s.tsv" in found


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("r\tK562\nE1\t1\n", "no row for region 'E2' of"),
        ("r\tK562\nE1\t1\nE1\t1\nE2\t0\n", "region 'E1' is there twice"),
        ("r\tK562\nE1\tyes\nE2\t0\n", "expected a number for region 'E1' in cell 'K562'"),
        ("r\tK562\nE1\t\nE2\t0\n", "expected a number for region 'E1'"),
        ("", "found an empty file"),
    ],
)
def test_open_tables(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "z.tsv").write_text(table)
    (tmp_path / "rdhs.bed").write_text("chr1\t100\t140\tE1\nchr1\t300\t340\tE2\n")
    options: dict[str, object] = {
        "open": tmp_path / "z.tsv",
        "dhs_sources": None,
        "ucsc2encode": None,
        "samples": None,
        "regions": tmp_path / "rdhs.bed",
    }
    assert message in refusal(tmp_path, {}, **options)


def test_open_sheet_without_its_files(tmp_path: Path) -> None:
    (tmp_path / "o.tsv").write_text("cell\tfile\nK562\tmissing.bed\n")
    options: dict[str, object] = {"dhs_sources": None, "ucsc2encode": None}
    message = refusal(tmp_path, {}, open=tmp_path / "o.tsv", **options)
    assert "o.tsv, line 2: no such file beside the sheet: missing.bed" in message
    (tmp_path / "o.tsv").write_text("cell\tfile\nK562\tblack.bed\n")
    message = refusal(tmp_path, {}, open=tmp_path / "o.tsv", **options)
    assert "cell 'HepG2' has no open regions in" in message
