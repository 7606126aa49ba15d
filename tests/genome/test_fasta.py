"""Genomes and files of windows: every form of the same sequence gives the same codes."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from cistransfer.errors import InputError
from cistransfer.genome.bed import regions_table
from cistransfer.genome.codes import decode, encode
from cistransfer.genome.fasta import (
    Genome,
    WindowSequences,
    open_sequences,
    place_of,
    read_fasta,
    write_fasta,
)

RNG = np.random.default_rng(7)
CHROMS = {
    "chr1": "".join(RNG.choice(list("ACGTacgtNnRy"), 1000)),
    "chr2": "".join(RNG.choice(list("ACGT"), 137)),
}
REGIONS = regions_table(
    ["chr2", "chr1", "chr1", "chr1", "chr2"], [0, 900, 13, 0, 37], [100, 1000, 113, 100, 137]
)


def _expected() -> np.ndarray:
    return np.stack(
        [encode(CHROMS[c][s:e]) for c, s, e in REGIONS.itertuples(index=False, name=None)]
    )


def _bgzf(raw: bytes, block: int = 300) -> bytes:
    """Compress as bgzip does: gzip members with an extra field that holds their size."""
    out = b""
    for at in [*range(0, len(raw), block), len(raw)]:
        part = raw[at : at + block]
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        packed = packer.compress(part) + packer.flush()
        head = struct.pack("<4BI2BH2BHH", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, len(packed) + 25)
        out += head + packed + struct.pack("<II", zlib.crc32(part), len(part))
    return out


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CISTRANSFER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "genome.fa"
    write_fasta(path, CHROMS)
    return path


@pytest.mark.parametrize("form", ["plain", "crlf", "one line", "gzip", "bgzip", ".bgz", "unnamed"])
def test_every_form_gives_the_same_codes(plain: Path, form: str) -> None:
    raw = plain.read_bytes()
    name, content = {
        "plain": ("g.fa", raw),
        "crlf": ("g.fa", raw.replace(b"\n", b"\r\n")),
        "one line": ("g.fa", "".join(f">{k}\n{v}\n" for k, v in CHROMS.items()).encode()),
        "gzip": ("g.fa.gz", gzip.compress(raw)),
        "bgzip": ("g.fa.gz", _bgzf(raw)),
        ".bgz": ("g.fa.bgz", _bgzf(raw)),
        "unnamed": ("g.data", gzip.compress(raw)),
    }[form]
    path = plain.parent / form / name
    path.parent.mkdir()
    path.write_bytes(content)
    genome = open_sequences(path)
    assert isinstance(genome, Genome)
    assert genome.sizes == {"chr1": 1000, "chr2": 137}
    assert genome.name == name
    codes = genome.fetch(REGIONS)
    assert codes.dtype == np.uint8
    assert (codes == _expected()).all()
    assert (Genome(path).fetch(REGIONS) == _expected()).all()  # from the cache, or the index


def test_a_changed_gzip_is_unpacked_again(tmp_path: Path) -> None:
    path = tmp_path / "g.fa.gz"
    one = regions_table(["c"], [0], [4])
    path.write_bytes(gzip.compress(b">c\nACGT\n"))
    assert decode(Genome(path).fetch(one)[0]) == "ACGT"
    path.write_bytes(gzip.compress(b">c\nTTTTGGGG\n"))
    assert decode(Genome(path).fetch(one)[0]) == "TTTT"


def test_a_cache_that_cannot_be_written(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CISTRANSFER_CACHE", str(plain / "below a file"))
    zipped = plain.with_name("g.fa.gz")
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    with pytest.raises(InputError, match="set CISTRANSFER_CACHE"):
        Genome(zipped)


def test_missing_and_off_the_end(plain: Path) -> None:
    genome = Genome(plain)
    regions = regions_table(
        ["chr2", "chr2", "chr1", "chr3", "22"], [37, 38, -1, 0, 0], [137, 138, 99, 100, 100]
    )
    assert genome.missing(regions).tolist() == [False, True, True, True, True]
    with pytest.raises(InputError, match=r"region chr2:38-138 runs off chr2, which is 137 bp long"):
        genome.fetch(regions.iloc[:3])
    with pytest.raises(InputError, match=r"no chromosome 'chr3'; nearest: chr[12], chr[12]"):
        genome.fetch(regions.iloc[3:])
    with pytest.raises(ValueError, match="one width"):
        genome.fetch(regions_table(["chr1", "chr1"], [0, 0], [5, 6]))
    assert genome.fetch(REGIONS.iloc[:0]).shape[0] == 0


BAD = {
    "empty": (b"", "expected a FASTA header"),
    "no header": (b"ACGT\n>c\nACGT\n", "line 1: expected a FASTA header ('>…'), found 'ACGT'"),
    "BED": (b"chr1\t1\t5\n", "line 1: expected a FASTA header"),
    "a chromosome twice": (
        b">c\nACGT\n>c x\nACGT\n",
        "line 3: record 'c' is there twice; the first is in line 1",
    ),
    "a protein": (b">p\nMTEYK\n", "line 2: expected DNA letters (IUPAC), found 'MTEYK'"),
    "no name": (b">a\nAC\n>\nAC\n", "line 3: expected a name after '>', found none"),
    "cut gzip": (gzip.compress(bytes(RNG.integers(65, 90, 4000, np.uint8)))[:900], "cut short"),
    "binary": (bytes(range(200)), "expected text, found binary data"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_genomes(tmp_path: Path, case: str) -> None:
    content, message = BAD[case]
    path = tmp_path / "g.fa"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_sequences(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cut_gzip_leaves_no_half_genome_in_the_cache(plain: Path, tmp_path: Path) -> None:
    path = plain.with_name("g.fa.gz")
    path.write_bytes(gzip.compress(plain.read_bytes())[:-30])
    with pytest.raises(InputError, match="cut short"):
        open_sequences(path)
    with pytest.raises(InputError, match="cut short"):
        Genome(path)
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_sequences(tmp_path / "none.fa")
    with pytest.raises(InputError, match="no such file"):
        Genome(tmp_path / "none.fa")
    with pytest.raises(InputError, match="found a folder"):
        Genome(tmp_path)
    with pytest.raises(
        InputError, match=r"expected FASTA files \(\*\.fa, \*\.fa\.gz\), found none"
    ):
        open_sequences(tmp_path)


def test_reading_records(tmp_path: Path) -> None:
    path = tmp_path / "s.fa.gz"
    path.write_bytes(gzip.compress(b">a one\r\nAC\r\n\r\ngt\r\n>b\nNNRY\n"))
    assert list(read_fasta(path)) == [("a one", "ACgt"), ("b", "NNRY")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": expected FASTA records, found an empty file"),
        ("ACGT\n", ", line 1: expected a FASTA header ('>…'), found 'ACGT'"),
        (">a\nAC\n>b\n>c\nAC\n", ", line 3: record 'b' has no sequence"),
        (">a\nAC\nGT\n>b\n>c\nAC\n", ", line 4: record 'b' has no sequence"),  # two lines each
        (">a\n", ", line 1: record 'a' has no sequence"),
        (">a\nAC1T\n", ", line 2: expected DNA letters (IUPAC), found 'AC1T'"),
        (">a\nAC GT\n", ", line 2: expected DNA letters (IUPAC), found 'AC GT'"),
    ],
)
def test_bad_records(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "s.fa"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        list(read_fasta(path))
    assert str(caught.value) == f"{path}{message}"


@pytest.mark.parametrize("most", [1, 2, 3])
def test_records_of_any_lines(tmp_path: Path, most: int) -> None:
    """With one line each they are read another way than with several."""
    path = tmp_path / "s.fa"
    rng = np.random.default_rng(most)
    records = [
        (
            f" {row} of {most} ".strip(),
            ["ACGTN"[: rng.integers(1, 6)]] * int(rng.integers(1, most + 1)),
        )
        for row in range(30)
    ]
    for end in ("\n", "", "\n\n"):
        path.write_text(
            "\n".join(f"> {name}\n" + "\n".join(lines) for name, lines in records) + end
        )
        assert list(read_fasta(path)) == [(name, "".join(lines)) for name, lines in records]


def _windows(path: Path, label: str = "{row}::") -> Path:
    write_fasta(
        path,
        {
            f"{label.format(row=row)}{c}:{s}-{e}": CHROMS[c][s:e]
            for row, (c, s, e) in enumerate(REGIONS.itertuples(index=False, name=None))
        },
    )
    return path


def test_windows_equal_the_genome(plain: Path, tmp_path: Path) -> None:
    genome = Genome(plain)
    for windows in (
        open_sequences(_windows(tmp_path / "w.fa")),
        open_sequences(_windows(tmp_path / "v.fa", label="")),
    ):
        assert isinstance(windows, WindowSequences)
        assert (windows.fetch(REGIONS) == genome.fetch(REGIONS)).all()
        narrow = REGIONS.assign(start=REGIONS["start"] + 11, end=REGIONS["end"] - 11)
        assert (windows.fetch(narrow) == genome.fetch(narrow)).all()
        wide = REGIONS.assign(start=REGIONS["start"] - 1, end=REGIONS["end"] + 1)
        assert windows.missing(wide).all()
        shifted = REGIONS.assign(start=REGIONS["start"] + 1, end=REGIONS["end"] + 1)
        assert windows.missing(shifted).all()


def test_a_folder_of_windows(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    for chrom in CHROMS:
        rows = REGIONS[REGIONS["chrom"] == chrom].itertuples(index=False, name=None)
        records = {f"{c}:{s}-{e}": CHROMS[c][s:e] for c, s, e in rows}
        write_fasta(folder / f"{chrom}.fa", records)
    (folder / "notes.txt").write_text("not a FASTA file")
    windows = open_sequences(folder)
    assert windows.name == "parts"
    assert (windows.fetch(REGIONS) == _expected()).all()


def test_the_minus_strand_of_bedtools_is_turned_back(tmp_path: Path) -> None:
    write_fasta(tmp_path / "w.fa", {"chr1:0-4(-)": "ACCC", "chr1:8-12(+)": "ACCC"})
    windows = open_sequences(tmp_path / "w.fa")
    codes = windows.fetch(regions_table(["chr1", "chr1"], [0, 8], [4, 12]))
    assert [decode(row) for row in codes] == ["GGGT", "ACCC"]


def test_missing_windows_are_counted(tmp_path: Path) -> None:
    windows = open_sequences(_windows(tmp_path / "w.fa"))
    wanted = regions_table(["chr1", "chr7"], [13, 13], [113, 113])
    assert windows.missing(wanted).tolist() == [False, True]
    with pytest.raises(InputError, match=r"no sequence for chr7:13-113 .*\(1 of 2 regions"):
        windows.fetch(wanted)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (">chr1\nACGT\n", "expected headers like '>name::chrom:start-end', found '>chr1'"),
        (">chr1:0-5\nACGT\n", "record '>chr1:0-5' names 5 bp but holds 4"),
    ],
)
def test_bad_windows(tmp_path: Path, second: str, message: str) -> None:
    path = tmp_path / "w.fa"
    path.write_text(">chr1:0-4\nACGT\n" + second)
    with pytest.raises(InputError, match=message):
        open_sequences(path)


def test_an_ensembl_header_is_a_genome(tmp_path: Path) -> None:
    path = tmp_path / "g.fa"
    path.write_text(">1 dna:chromosome chromosome:GRCh38:1:1:8:1 REF\nACGTACGT\n")
    genome = open_sequences(path)
    assert isinstance(genome, Genome)
    assert genome.sizes == {"1": 8}


@pytest.mark.parametrize(
    ("header", "place"),
    [
        ("A::chr1:5-9", ("chr1", 5, 9, False)),
        ("chr1:5-9(-)", ("chr1", 5, 9, True)),
        ("chr1:5-999999999999 x", ("chr1", 5, 999_999_999_999, False)),
        ("chr1:5-99999999999999999999", None),
        ("chr1:99999999999999999999-5", None),
        ("chr1 5-9", None),
    ],
)
def test_the_place_of_a_header(header: str, place: tuple[str, int, int, bool] | None) -> None:
    assert place_of(header) == place


@pytest.mark.parametrize("name", ["1", "chr1", '"chr1"', "NC_000001.11", "Chr1"])
def test_a_chromosome_goes_by_any_of_its_names(tmp_path: Path, name: str) -> None:
    write_fasta(tmp_path / "g.fa", {"chr1": "ACGT" * 10, "chr2": "TTTT" * 10})
    write_fasta(tmp_path / "w.fa", {"x::1:0-8": "ACGTACGT", "y::2:0-8": "T" * 8})
    regions = regions_table([name, "chr9"], [0, 0], [8, 8])
    for file in ("g.fa", "w.fa"):
        sequences = open_sequences(tmp_path / file)
        assert sequences.missing(regions).tolist() == [False, True]
        assert decode(sequences.fetch(regions[:1])[0]) == "ACGTACGT"
