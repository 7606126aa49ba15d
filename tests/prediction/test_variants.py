"""Effects of variants: planted sites, indels, wrong files, and output that bcftools reads."""

from __future__ import annotations

import copy
import doctest
import gzip
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from cistransfer.errors import InputError
from cistransfer.genome.codes import decode, encode
from cistransfer.genome.fasta import Genome, write_fasta
from cistransfer.motifs.pwm import PWM
from cistransfer.prediction import vcf as module
from cistransfer.prediction.alleles import NOTES
from cistransfer.prediction.table import further_values
from cistransfer.prediction.variants import VariantScorer
from cistransfer.prediction.vcf import annotate_vcf

SITE = "TGACTCA"
WINDOW = 100


class Sites(nn.Module):
    """Counts of the best match of SITE on either strand: 7 where there is one."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.zeros(2, 4, len(SITE))
        for i, code in enumerate(encode(SITE)):
            weight[0, code, i] = 1
            weight[1, 3 - code, len(SITE) - 1 - i] = 1
        self.weight = nn.Parameter(weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = torch.nn.functional.conv1d(x, self.weight)
        return found.amax(dim=(1, 2))[:, None]


def probabilities(logits: np.ndarray, prevalence: float | None = None) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(logits, dtype=float)))


MODEL = SimpleNamespace(tasks=("AP1",), window=WINDOW, model=Sites(), probabilities=probabilities)


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    """chr1 and chr2 without the site, but for chr1:1001-1007 (1-based)."""
    rng = np.random.default_rng(3)
    sequence = {}
    for name in ("chr1", "chr2"):
        text = decode(rng.integers(0, 4, 3000, dtype=np.uint8))
        while SITE in text or "TGAGTCA" in text:
            text = text.replace(SITE, "TTTTTTT").replace("TGAGTCA", "TTTTTTT")
        sequence[name] = text
    sequence["chr1"] = sequence["chr1"][:1000] + SITE + sequence["chr1"][1007:]
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    write_fasta(path, sequence)
    return Genome(path)


def base(genome: Genome, chrom: str, pos: int, n: int = 1) -> str:
    place = {"chrom": [chrom], "start": [pos - 1], "end": [pos - 1 + n]}
    return decode(genome.fetch(pd.DataFrame(place))[0])


def score(genome: Genome, *rows: tuple[str, int, str, str], **options: object) -> pd.DataFrame:
    records = [(i + 1, [c, str(p), ".", ref, alt]) for i, (c, p, ref, alt) in enumerate(rows)]
    return VariantScorer([MODEL], genome, **options).score(records)  # type: ignore[list-item]


def test_examples_in_the_docstrings() -> None:
    assert doctest.testmod(module).failed == 0


def test_a_broken_site_and_a_made_one(genome: Genome) -> None:
    found = score(genome, ("chr1", 1004, "C", "A"), ("chr1", 1003, "ACT", "GGG"))
    assert found["ref_AP1"].tolist() == [7, 7]
    assert (found["delta_AP1"] <= -1).all()
    assert (found["alt_AP1"] <= 6).all()
    ref = base(genome, "chr2", 500, 7)
    made = score(genome, ("chr2", 500, ref, SITE))
    assert made["alt_AP1"].tolist() == [7]
    assert made["delta_AP1"].iloc[0] > 0
    assert (found["sd_AP1"] < 1e-6).all()


def test_further_models_would_lie_in_the_interval(genome: Genome) -> None:
    other = copy.deepcopy(MODEL)
    with torch.no_grad():
        other.model.weight.mul_(1.5)
    rows = [(1, ["chr1", "1004", ".", "C", "A"])]
    found = VariantScorer([MODEL, other], genome).score(rows)  # type: ignore[list-item]
    low, high = further_values(np.array([[-1.0], [-1.5]]))
    assert np.allclose(found[["low_AP1", "high_AP1"]], [[low[0], high[0]]], atol=1e-5)
    assert found["delta_AP1"][0] == pytest.approx(-1.25)
    assert "low_AP1" not in score(genome, ("chr1", 1004, "C", "A"))


def test_an_inserted_site_and_a_deleted_one(genome: Genome) -> None:
    anchor = base(genome, "chr2", 800)
    inserted = score(genome, ("chr2", 800, anchor, anchor + SITE))
    assert inserted["alt_AP1"].iloc[0] == 7
    anchor = base(genome, "chr1", 1000)
    deleted = score(genome, ("chr1", 1000, anchor + SITE, anchor))
    assert deleted["ref_AP1"].iloc[0] == 7
    assert deleted["delta_AP1"].iloc[0] < 0


def test_windows_are_those_cut_by_hand(genome: Genome) -> None:
    """Against strings: every shift, both ways of placing an insertion and a deletion."""
    text = base(genome, "chr1", 1, 3000)
    for ref, alt in (("C", "T"), (text[1499:1502], text[1499]), (text[1499], text[1499] + "ACGTT")):
        pos = 1500 if ref != "C" else text.index("C", 1499) + 1
        scorer = VariantScorer([MODEL], genome, n_shifts=3, max_shift=9)  # type: ignore[list-item]
        table = scorer.alleles.place([(1, ["chr1", str(pos), ".", ref, alt])])
        (allele,) = scorer.alleles.fetch(table).values()
        windows = allele.windows(WINDOW, scorer.shifts)
        changed = text[: pos - 1] + alt + text[pos - 1 + len(ref) :]
        starts = [pos - 1 + len(ref) // 2 - WINDOW // 2 + s for s in (-9, 0, 9)]
        assert [decode(row) for row in windows[0]] == [text[s : s + WINDOW] for s in starts]
        grown = len(alt) - len(ref)
        by_hand = [changed[s : s + WINDOW] for s in starts]
        if grown:
            by_hand += [changed[s + grown : s + grown + WINDOW] for s in starts]
        assert [decode(row) for row in windows[1]] == by_hand


def test_alleles_without_a_score_say_why(genome: Genome) -> None:
    a = base(genome, "chr2", 900)
    other = "ACGT".replace(a, "")
    found = score(
        genome,
        ("chr2", 900, a, f"{other[0]},{other[1]},<DEL>,*"),
        ("chr2", 900, a, "R"),
        ("chrZ", 900, "A", "C"),
        ("chr2", 2999, base(genome, "chr2", 2999, 2), "A"),
        ("chr2", 901, base(genome, "chr2", 901, 60), base(genome, "chr2", 901)),
        ("chr2", 905, {"A": "C"}.get(base(genome, "chr2", 905), "A"), "G"),
    )
    assert found["note"].tolist() == [
        "", "", "symbolic", "symbolic", "ambiguous", "no_sequence", "unknown_bases", "too_long",
        "ref_mismatch",
    ]  # fmt: skip
    assert found["delta_AP1"].notna().tolist() == [True, True, *[False] * 4, True, False, False]
    assert found["row"].tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 5]
    assert set(found["note"]) == {"", *NOTES}
    page = Path(__file__).parents[2] / "docs/variants-and-tracks.md"
    rows = [f"| `{note}` | {words} |\n" for note, words in NOTES.items()]
    assert "".join(rows) in page.read_text(encoding="utf-8")


def test_names_and_case_of_the_file_do_not_matter(genome: Genome) -> None:
    one = score(genome, ("chr1", 1004, "C", "A"))
    other = score(genome, ("1", 1004, "c", "a"))
    assert other["chrom"].tolist() == ["1"]
    assert one["delta_AP1"].tolist() == other["delta_AP1"].tolist()


def test_positions_that_count_from_zero_are_recognised(genome: Genome) -> None:
    text = base(genome, "chr1", 1, 3000)
    rows = [("chr1", p, text[p], "ACGT".replace(text[p], "")[0]) for p in range(100, 2000, 37)]
    with pytest.raises(InputError, match="one base after their position; positions in a VCF"):
        score(genome, *rows)


def test_variants_of_another_assembly_are_refused(genome: Genome) -> None:
    rng = np.random.default_rng(1)
    rows = [("chr1", int(p), "ACGT"[rng.integers(4)], "N") for p in rng.integers(100, 2900, 60)]
    rows = [(c, p, r, "ACGT".replace(r, "")[0]) for c, p, r, _ in rows]
    with pytest.raises(InputError, match=r"line \d+: REF is .* of the first 60.*another assembly"):
        score(genome, *rows)


def test_a_motif_lost_and_one_gained(genome: Genome) -> None:
    matrix = np.full((len(SITE), 4), 0.01)
    matrix[np.arange(len(SITE)), encode(SITE)] = 0.97
    ap1 = PWM("MA0", matrix, "FOS::JUN")
    found = score(
        genome, ("chr1", 1004, "C", "A"), ("chr2", 500, base(genome, "chr2", 500, 7), SITE),
        motifs=[ap1], motif_p=1e-3,
    )  # fmt: skip
    assert found["motif_change"].tolist() == ["lost", "gained"]
    assert found["motif"].tolist() == ["FOS::JUN", "FOS::JUN"]


def test_p_values_come_from_shuffled_surroundings(genome: Genome) -> None:
    text = base(genome, "chr2", 1, 3000)
    rows = [
        ("chr2", p, text[p - 1], "ACGT".replace(text[p - 1], "")[0]) for p in range(200, 700, 9)
    ]
    found = score(genome, *rows, ("chr1", 1004, "C", "A"), n_null=100)
    p = found["p_AP1"].to_numpy()
    assert ((p > 0) & (p <= 1)).all()
    again = score(genome, *rows, ("chr1", 1004, "C", "A"), n_null=100)
    pd.testing.assert_frame_equal(found, again)


@pytest.fixture
def vcf(genome: Genome, tmp_path: Path) -> Path:
    c = base(genome, "chr2", 900)
    lines = [
        "##fileformat=VCFv4.2",
        '##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency">',
        "##contig=<ID=chr1,length=3000>",
        "##contig=<ID=chr2,length=3000>",
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1",
        "chr1\t1004\trs1\tC\tA\t9\tPASS\tAF=0.1\tGT\t0/1",
        f"chr2\t900\trs2\t{c}\t{c}A,<DEL>\t.\t.\t.\tGT\t1/2",
    ]
    path = tmp_path / "in.vcf"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_annotated_vcf_keeps_what_was_there(genome: Genome, vcf: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.vcf"
    facts = annotate_vcf(VariantScorer([MODEL], genome), vcf, out)  # type: ignore[list-item]
    assert (facts.records, facts.alleles, facts.scored) == (2, 3, 2)
    lines = out.read_text().splitlines()
    assert [line for line in lines if not line.startswith("##INFO=<ID=CT_")][:5] == (
        vcf.read_text().splitlines()[:5]
    )
    first, second = (line.split("\t") for line in lines[-2:])
    assert first[7].startswith("AF=0.1;CT_REF=7;CT_ALT=")
    assert first[:7] == vcf.read_text().splitlines()[5].split("\t")[:7]
    assert first[8:] == ["GT", "0/1"]
    entries = dict(entry.split("=") for entry in second[7].split(";"))
    assert entries["CT_NOTE"] == ".,symbolic"
    assert entries["CT_DELTA"].endswith(",.")


@pytest.mark.skipif(shutil.which("bcftools") is None, reason="bcftools is not installed here")
def test_bcftools_reads_it(genome: Genome, vcf: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.vcf.gz"
    annotate_vcf(VariantScorer([MODEL], genome), vcf, out)  # type: ignore[list-item]
    asked = ["bcftools", "query", "-f", "%POS %INFO/CT_DELTA %INFO/CT_NOTE\n", str(out)]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0].startswith("1004 -")
    assert done.stderr == ""


def test_an_identifier_is_no_formula_of_a_spreadsheet(
    genome: Genome, vcf: Path, tmp_path: Path
) -> None:
    lines = vcf.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    fields = lines[at].split("\t")
    lines[at] = "\t".join([*fields[:2], "=1+1", *fields[3:]])
    (tmp_path / "in.vcf").write_text("\n".join(lines) + "\n")
    annotate_vcf(VariantScorer([MODEL], genome), tmp_path / "in.vcf", tmp_path / "out.tsv")  # type: ignore[list-item]
    assert pd.read_csv(tmp_path / "out.tsv", sep="\t")["id"][0] == "'=1+1"


def test_table_gzip_stream_and_chunks(
    genome: Genome, vcf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotate_vcf(VariantScorer([MODEL], genome), vcf, tmp_path / "a.tsv")  # type: ignore[list-item]
    zipped = tmp_path / "in.vcf.gz"
    zipped.write_bytes(gzip.compress(vcf.read_bytes()))
    monkeypatch.setattr(module, "_CHUNK", 1)
    annotate_vcf(VariantScorer([MODEL], genome), zipped, tmp_path / "b.tsv.gz")  # type: ignore[list-item]
    table = pd.read_csv(tmp_path / "a.tsv", sep="\t")
    assert list(table.columns) == [
        "line", "chrom", "pos", "id", "ref", "alt", "QUAL", "FILTER", "INFO", "FORMAT", "S1",
        "note",
        "ref_AP1", "alt_AP1", "delta_AP1", "sd_AP1", "probability_ref_AP1",
        "probability_alt_AP1",
    ]  # fmt: skip
    assert table["INFO"].tolist() == ["AF=0.1", ".", "."]  # of each allele's record
    assert table["S1"].tolist() == ["0/1", "1/2", "1/2"]
    assert (
        gzip.decompress((tmp_path / "b.tsv.gz").read_bytes()) == (tmp_path / "a.tsv").read_bytes()
    )


def test_without_a_header_one_is_made(genome: Genome, tmp_path: Path) -> None:
    path = tmp_path / "bare.vcf"
    path.write_text("chr1\t1004\t.\tC\tA\n")
    annotate_vcf(VariantScorer([MODEL], genome), path, tmp_path / "o.vcf")  # type: ignore[list-item]
    lines = (tmp_path / "o.vcf").read_text().splitlines()
    assert lines[0] == "##fileformat=VCFv4.2"
    assert lines[-2].split("\t")[:5] == ["#CHROM", "POS", "ID", "REF", "ALT"]
    assert lines[-1].split("\t")[5:7] == [".", "."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        ("chr1 5 . A C\n", "separated by tabs"),
        ("chr1\t0\t.\tA\tC\n", "position \\(1-based\\) in column 2, found '0'"),
        ("chr1\tx\t.\tA\tC\n", "line 1: expected a position"),
        ("chr1\t5\t.\tA-\tC\n", "reference allele in column 4"),
    ],
)
def test_what_is_no_vcf_is_refused(genome: Genome, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.vcf"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        annotate_vcf(VariantScorer([MODEL], genome), path, tmp_path / "o.tsv")  # type: ignore[list-item]
    assert not (tmp_path / "o.tsv").exists()
