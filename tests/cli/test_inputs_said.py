"""Every verb says of its inputs what was read, what lies where, and records it."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.examples.sources import FromMatrix
from cistransfer.genome.bed import write_bed
from cistransfer.genome.fasta import write_fasta
from cistransfer.models.bundle import Bundle
from cistransfer.motifs.files import write_meme
from cistransfer.motifs.pwm import PWM, from_counts

FLOAT = ["--device", "cpu", "--precision", "float32"]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(*words: object) -> tuple[int, str]:
        code = run_app(app, [*map(str, words)])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out + shown.err

    return run


def used(path: Path) -> dict[str, Any]:
    place = path / "config.json" if path.is_dir() else path.with_name(path.name + ".config.json")
    return json.loads(place.read_text())["used"]


def without(world: Any, chrom: str, folder: Path, letters: str = "ACGT") -> Path:
    """The genome without one chromosome, or with other letters."""
    codes = {
        name: world.genome.fetch(pd.DataFrame({"chrom": [name], "start": [0], "end": [size]}))[0]
        for name, size in world.genome.sizes.items()
        if name != chrom
    }
    table = np.array(list(letters + "N"))
    write_fasta(folder / "g.fa", {name: "".join(table[row]) for name, row in codes.items()})
    return folder / "g.fa"


def bound(world: Any, tf: str) -> pd.DataFrame:
    return world.matrix.regions[world.matrix.states([tf])[:, 0] == 1]


def of(name: str) -> PWM:
    return from_counts(name, np.eye(4)[[0, 2, 1, 3, 0, 2]] * 20 + 1.0, alt_name=name)


@pytest.mark.parametrize("letters", ["ACGT", "ACGU"])
def test_predict(call, world: Any, trunk: Bundle, tmp_path: Path, letters: str) -> None:
    genome = without(world, "chr5", tmp_path, letters)
    rows = world.matrix.regions.iloc[::60]
    bed, out = tmp_path / "r.bed", tmp_path / "o.tsv"
    write_bed(bed, rows.assign(chrom=rows["chrom"].str.removeprefix("chr")))
    lost = int((rows["chrom"] == "chr5").sum())
    code, shown = call("predict", trunk.path, "--regions", bed, "--genome", genome, "--out", out)
    assert code == 0
    line = (
        f"windows: {len(rows)} rows, {len(rows) - lost} placed on 4 chromosomes; {lost} on "
        "chromosomes without sequence (5); names read as the genome's "
        "(1 as chr1, 2 as chr2, 3 as chr3, … (4 in all))"
    )
    assert line in shown.splitlines()
    (record,) = used(out)["inputs"]
    assert record["line"] == line
    assert (record["rows"], record["unknown"]) == (len(rows), {"5": lost})
    assert ("letters U were read as T" in shown) == (letters == "ACGU")
    assert used(out).get("uracils", 0) == 0 if letters == "ACGT" else used(out)["uracils"] > 0


def test_predict_with_little_on_the_genome(call, world: Any, trunk: Bundle, tmp_path: Path) -> None:
    rows = pd.concat(
        [world.matrix.regions.iloc[:1], world.matrix.regions.iloc[:3].assign(chrom="z")]
    )
    write_bed(tmp_path / "r.bed", rows)
    words = ["--regions", tmp_path / "r.bed", "--genome", world.genome_path]
    _, shown = call("predict", trunk.path, *words, "--out", tmp_path / "o.tsv")
    assert "warning: windows: only 1 of 4 rows lie on genome.fa; it lacks z" in shown


def test_finetune_without_a_chromosome_and_with_motifs(
    call, world: Any, trunk: Bundle, tmp_path: Path
) -> None:
    genome = without(world, "chr1", tmp_path)
    peaks, opened, black = tmp_path / "PU.1.bed", tmp_path / "open.bed", tmp_path / "black.bed"
    write_bed(peaks, bound(world, "GABPA"))
    write_bed(opened, world.matrix.regions)
    black.write_text("chr2\t0\t1\n")
    write_meme(tmp_path / "m.meme", [of("SPI1"), of("MAX"), of("GABPA")])
    out = tmp_path / "run"
    code, shown = call(
        "finetune", "--trunk", trunk.path, "--peaks", peaks, "--open", opened, "--genome", genome,
        "--blacklist", black, "--tf", "PU.1", "--motifs", tmp_path / "m.meme", "--out", out,
        "--strategy", "probe-given", *FLOAT,
    )  # fmt: skip
    assert code == 0, shown
    n, lost = len(bound(world, "GABPA")), int((bound(world, "GABPA")["chrom"] == "chr1").sum())
    assert lost > 0
    lines = [
        f"{peaks}: {n} rows (BED3)",
        f"peaks: {n} rows, {n - lost} placed on 4 chromosomes; {lost} on chromosomes without "
        "sequence (chr1)",
        "blacklist: 1 row, 1 placed on 1 chromosome",
        "warning: the blacklist excludes nothing: no window of peaks or open regions",
        f"{tmp_path / 'm.meme'}: 3 motifs (MEME)",
        "motif of PU.1: SPI1 SPI1 (synonym of PU.1)",
    ]
    said = shown.splitlines()
    assert [line for line in lines if line not in said] == []
    record = used(out)
    assert record["motifs"] == lines[-2:]
    assert [one["what"] for one in record["inputs"]] == ["peaks", "open regions", "blacklist"]
    assert record["inputs"][0]["unknown"] == {"chr1": lost}


def test_interpret_leaves_out_what_has_no_sequence(
    call, world: Any, trunk: Bundle, tmp_path: Path
) -> None:
    rows = world.matrix.regions.iloc[:40]
    write_bed(tmp_path / "r.bed", pd.concat([rows, rows.iloc[:1].assign(chrom="z")]))
    write_meme(tmp_path / "m.meme", [of("SPI1")])
    code, shown = call(
        "interpret", trunk.path, "--regions", tmp_path / "r.bed", "--genome", world.genome_path,
        "--task", "ELF1", "--methods", "filters", "--motifs", tmp_path / "m.meme",
        "--out", tmp_path / "i", "--device", "cpu",
    )  # fmt: skip
    assert code == 0, shown
    assert "windows: 41 rows, 40 placed on" in shown
    assert "warning: 1 of 41 windows have no sequence" in shown
    assert f"{tmp_path / 'm.meme'}: 1 motif (MEME)" in shown
    record = used(tmp_path / "i")
    assert record["inputs"][0]["placed"] == 40
    assert record["motifs"] == f"{tmp_path / 'm.meme'}: 1 motif (MEME)"


def test_track_by_other_names_and_nothing_to_show(
    call, world: Any, trunk: Bundle, tmp_path: Path
) -> None:
    """Regions by Ensembl's names gave an empty track; a track of nothing is no track."""
    rows, shown = world.matrix.regions.iloc[:3], {}
    for style, names in (("same", rows["chrom"]), ("other", rows["chrom"].str[3:])):
        write_bed(tmp_path / "r.bed", rows.assign(chrom=names))
        words = ["--genome", world.genome_path, "--only", tmp_path / "r.bed", "--task", "ELF1"]
        words += ["--chroms", rows["chrom"].iloc[0], "--out", tmp_path / f"{style}.bedGraph"]
        code, shown[style] = call("track", trunk.path, *words)
        assert code == 0, shown[style]
    assert (tmp_path / "same.bedGraph").read_bytes() == (tmp_path / "other.bedGraph").read_bytes()
    assert "wanted regions: 3 rows, 3 placed on 1 chromosome; names read as" in shown["other"]
    record = used(tmp_path / "other.bedGraph")
    assert record["scored"] > 0
    assert record["inputs"][0]["placed"] == 3
    for bed, message in (
        ("chrZ\t0\t9\n", "none of the 1 rows lies on"),
        ("chr1\t0\t1\n", "none of"),
    ):
        (tmp_path / "r.bed").write_text(bed)
        words[-1] = tmp_path / "none.bedGraph"
        code, said = call("track", trunk.path, *words)
        assert code == 2
        assert message in said
    assert not [path for path in tmp_path.iterdir() if "none" in path.name]


def test_variants_and_a_locus_by_other_names(
    call, world: Any, trunk: Bundle, tmp_path: Path
) -> None:
    place = pd.DataFrame({"chrom": ["chr1"], "start": [1999], "end": [2000]})
    (code_there,) = world.genome.fetch(place)[0]
    ref, alt = "ACGT"[code_there], "TGCA"[code_there]
    row = f"\t2000\t.\t{ref}\t{alt}\n"
    vcf, out = tmp_path / "v.vcf", tmp_path / "v.tsv"
    words = [trunk.path, "--vcf", vcf, "--genome", world.genome_path, "--out", out]
    vcf.write_text("1" + row + "chrZ" + row + "chr1\t99999999\t.\tA\tC\n")
    code, shown = call("variants", *words)
    assert code == 0, shown
    line = "variants: 3 rows, 1 placed on 1 chromosome; 1 on chromosomes without sequence (chrZ); "
    line += "1 off a chromosome's end; names read as the genome's (1 as chr1)"
    assert line in shown.splitlines()
    assert used(out)["inputs"][0]["line"] == line
    assert "warning: only 1 of 3 records lie on genome.fa" in shown
    out.unlink()
    vcf.write_text("chrZ" + row)
    code, shown = call("variants", *words)
    assert code == 2
    assert "none of the 1 records lies on genome.fa: they name chrZ; the genome has chr1" in shown
    assert not out.exists()
    vcf.write_text("chr1" + row.replace(alt, "<DEL>"))
    code, shown = call("variants", *words)
    assert code == 0
    assert "warning: none of the 1 alternative alleles has a score" in shown
    words = ["--task", "ELF1", "--shuffles", 1, "--out", tmp_path / "locus"]
    code, shown = call("locus", trunk.path, "1:2001-2020", "--genome", world.genome_path, *words)
    assert code == 0, shown
    assert "locus: 1 row, 1 placed on 1 chromosome; names read as the genome's (1 as chr1)" in shown
    assert used(tmp_path / "locus")["inputs"][0]["renamed"] == {"1": "chr1"}


def test_sequences_that_are_cut_or_too_short(call, trunk: Bundle, tmp_path: Path) -> None:
    (tmp_path / "s.fa").write_text(f">a\n{'ACGTT' * 30}\n>b\n{'ACGTT' * 20}\n>c\nACGT\n")
    words = ["--fasta", tmp_path / "s.fa", "--out", tmp_path / "o.tsv"]
    code, shown = call("predict", trunk.path, *words)
    assert code == 0
    line = f"{tmp_path / 's.fa'}: 3 sequences; of 1 longer than 100 bp the middle is scored; "
    line += "1 shorter than 100 bp have no score"
    assert line in shown.splitlines()
    assert used(tmp_path / "o.tsv")["inputs"][0]["line"] == line
    (tmp_path / "s.fa").write_text(">a\nMKVLEFPQ\n")
    code, shown = call("predict", trunk.path, *words)
    assert (code, "line 2: expected DNA letters (IUPAC), found 'MKVLEFPQ'" in shown) == (2, True)


def test_a_model_or_a_matrix_of_another_assembly(
    call, world: Any, trunk: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are known: a model warns, a matrix is refused by every verb that takes both."""
    from cistransfer.binding import export
    from cistransfer.binding.facts import counts
    from cistransfer.examples import candidates, from_matrix
    from cistransfer.genome import assemblies

    for module in (candidates, assemblies):
        monkeypatch.setattr(module, "recognise", lambda sizes: "hg19")
    placing = candidates.Placing(world.genome)
    placing.compare("GRCh38.p14", "MODEL")
    placing.compare("hg19", "MODEL")
    placing.compare(None, "MODEL")
    assert [one["warnings"] for one in placing.inputs] == [
        [
            "MODEL was trained on hg38, and genome.fa is hg19: "
            "how well it does there was not measured"
        ]
    ]
    matrix = dataclasses.replace(world.matrix, genome="GRCh38")
    message = "is of GRCh38, but the chromosomes of genome.fa have the lengths of hg19; give the"
    with pytest.raises(InputError, match=message):
        export.export_matrix(matrix, tmp_path / "x", to="fasta", sequences=world.genome_path)
    with pytest.raises(InputError, match=message):
        counts.gc_of_regions(matrix, world.genome_path)
    with pytest.raises(InputError, match=message):
        from_matrix.of_matrix(
            FromMatrix(matrix=matrix, tf="GABPA", genome=world.genome), placing, None
        )


def test_relatives_by_peaks_of_other_names(call, world: Any, tmp_path: Path) -> None:
    peaks = bound(world, "GABPA")
    shown = {}
    for style, names in (("same", peaks["chrom"]), ("other", peaks["chrom"].str[3:])):
        write_bed(tmp_path / "p.bed", peaks.assign(chrom=names))
        write_bed(tmp_path / "o.bed", world.matrix.regions)
        code, shown[style] = call(
            "relatives", world.matrix_path, "NEW", "--group", "co-binders",
            "--peaks", tmp_path / "p.bed", "--open", tmp_path / "o.bed", "--n-tfs", 2,
        )  # fmt: skip
        assert code == 0, shown[style]
    note = "peaks: names read as the matrix' (1 as chr1, 2 as chr2, 3 as chr3, … (5 in all))"
    assert note in shown["other"].splitlines()
    assert shown["other"].replace(note + "\n", "") == shown["same"]


def test_a_set_of_windows_is_told_from_a_genome(call, trunk: Bundle, tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(">ctg0:0-300\n" + "ACGTTGCAAC" * 30 + "\n")
    (tmp_path / "r.bed").write_text("ctg0\t10\t110\n")
    words = ["--regions", tmp_path / "r.bed", "--genome", tmp_path / "g.fa"]
    code, shown = call("predict", trunk.path, *words, "--out", tmp_path / "o.tsv")
    assert code == 2
    assert "its headers name places (ctg0:0-…), so it is read as a file of windows" in shown


def test_a_notebooks_backend_stops_no_figure(world: Any, tmp_path: Path) -> None:

    words = ["matrix", "info", str(world.matrix_path), "--figures", str(tmp_path / "f")]
    backend = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    subprocess.run(
        [sys.executable, "-m", "cistransfer", *words], env=os.environ | backend, check=True,
        capture_output=True,
    )  # fmt: skip
    assert list((tmp_path / "f").glob("*.png"))
