"""The command line and Python give the same, bit for bit; what people have gives the same."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cistransfer as ct
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.genome.codes import decode, encode_many
from cistransfer.interpretation.attribute import attribute
from cistransfer.interpretation.mutagenesis import mutagenesis
from cistransfer.models.blocks import one_hot
from cistransfer.prediction.output import write_predictions

GENOME = "data/genome.fa"
CPU = {"device": "cpu", "precision": "float32"}
PEAKS = {"open_regions": "data/open/HepG2.bed.gz", "genome": GENOME, "tf": "HNF4A"}


def run(*words: str) -> None:
    assert run_app(app, list(words)) == 0


def test_finetune(desk: Path, short_strategy) -> None:
    run(
        "finetune", "--peaks", "data/peaks/HNF4A.narrowPeak.gz", "--open", PEAKS["open_regions"],
        "--genome", GENOME, "--tf", "HNF4A", "--trunk", "trunk", "--motifs", "data/motifs.meme",
        "--n-positives", "60", "--seed", "3", "--out", "by-words",
        "--device", "cpu", "--precision", "float32",
    )  # fmt: skip
    model = ct.finetune(
        "data/peaks/HNF4A.narrowPeak.gz", **PEAKS, trunk="trunk", motifs="data/motifs.meme",
        positives=60, seed=3, out="by-python", **CPU,
    )  # fmt: skip
    other = ct.open_bundle("by-words")
    assert model.card.weights == other.card.weights
    assert ct.open_examples("by-python").content_hash() == model.card.examples
    assert ct.open_examples("by-words").content_hash() == model.card.examples
    for name in ("weights.safetensors", "regions.parquet", "seen.parquet", "example.json"):
        assert (model.path / name).read_bytes() == (other.path / name).read_bytes()
    # the same examples from tables, opened objects, and a run
    peaks = ct.read_regions("data/peaks/HNF4A.narrowPeak.gz")
    given = dict(PEAKS, open_regions=ct.read_regions(PEAKS["open_regions"]))
    given["genome"] = ct.open_genome(GENOME)
    short = {"strategy": short_strategy("trunk"), "seed": 3, **CPU}
    again = ct.finetune(
        peaks, **given, trunk=ct.open_bundle("trunk"), draw=ct.Matched(positives=60),
        out="by-objects", **short,
    )  # fmt: skip
    made = ct.finetune("by-words", trunk="trunk", out="made", **short)
    assert again.card.examples == made.card.examples == model.card.examples
    assert again.card.weights == made.card.weights


def test_pretrain(desk: Path) -> None:
    run(
        "pretrain", "--matrix", "matrix.h5", "--genome", GENOME, "--target", "MAX", "--n-tfs", "2",
        "--exclude-tfs", "MYC", "--valid-chroms", "chr2", "--test-chroms", "chr3",
        "--strategy", "short.toml", "--out", "by-words", "--device", "cpu",
        "--precision", "float32",
    )  # fmt: skip
    model = ct.pretrain(
        ct.open_matrix("matrix.h5"), genome=GENOME, target="MAX", n=2, exclude=["MYC"],
        split=ct.Split(valid="chr2", test="chr3"), strategy="short.toml", out="by-python", **CPU,
    )  # fmt: skip
    assert model.tasks == ct.open_bundle("by-words").tasks
    assert model.card.weights == ct.open_bundle("by-words").card.weights
    relatives = ct.find_relatives("matrix.h5", "MAX", n=2, exclude="MYC")
    assert model.tasks == relatives.tfs


@pytest.mark.parametrize("out", ["scores.tsv", "scores.tsv.gz"])
def test_predict(desk: Path, out: str) -> None:
    peaks = "data/peaks/HNF4A.narrowPeak.gz"
    run("predict", "GABPA", "--regions", peaks, "--genome", GENOME, "--out", out)
    table = ct.predict("GABPA", ct.read_regions(peaks, keep=True), GENOME)
    write_predictions("python-" + out, table)
    assert Path("python-" + out).read_bytes() == Path(out).read_bytes()
    Path("x.fa").write_text(f">a\n{'ACGTT' * 30}\n>b\n{'GATTACA' * 20}\n")
    run("predict", "GABPA", "--fasta", "x.fa", "--out", "fasta-" + out)
    write_predictions("python-fasta-" + out, ct.predict("GABPA", "x.fa"))
    assert Path("python-fasta-" + out).read_bytes() == Path("fasta-" + out).read_bytes()


def test_track_variants_and_locus(desk: Path) -> None:
    run("track", "trunk", "--genome", GENOME, "--task", "SPI1", "--chroms", "chr2", "--stride",
        "100", "--out", "w.bedGraph.gz")  # fmt: skip
    ct.predict_track(["trunk"], GENOME, "p.bedGraph.gz", task="SPI1", chroms=["chr2"], stride=100)
    assert gzip.decompress(Path("w.bedGraph.gz").read_bytes()).startswith(b"chr2\t500\t600\t")
    assert Path("w.bedGraph.gz").read_bytes() == Path("p.bedGraph.gz").read_bytes()

    genome = ct.open_genome(GENOME)
    sites = ct.read_regions([("chr1", at, at + 1) for at in range(1000, 1400, 50)])
    bases = decode(genome.fetch(sites).ravel())
    table = pd.DataFrame({"#CHROM": "chr1", "POS": sites["end"], "ID": ".", "REF": list(bases)})
    table["ALT"] = [{"A": "C", "C": "G", "G": "T", "T": "A"}[base] for base in bases]
    table.to_csv("in.vcf", sep="\t", index=False)
    run("variants", "trunk", "--vcf", "in.vcf", "--genome", GENOME, "--shifts", "3", "--out",
        "w.tsv")  # fmt: skip
    ct.annotate_variants("trunk", "in.vcf", genome, "p.tsv", n_shifts=3)
    assert Path("w.tsv").read_bytes() == Path("p.tsv").read_bytes()
    found = ct.score_variants("trunk", table, genome, n_shifts=3)
    texts = [f"{row[0]}:{row[1]}:{row[3]}:{row[4]}" for row in table.itertuples(index=False)]
    pd.testing.assert_frame_equal(found, ct.score_variants("trunk", texts, genome, n_shifts=3))
    pd.testing.assert_frame_equal(
        found, ct.score_variants("trunk", Path("in.vcf"), genome, n_shifts=3)
    )
    assert found["note"].eq("").all()
    beta = table.assign(beta=np.arange(len(table)))  # what else a table of variants has
    kept = ct.score_variants("trunk", beta, genome, n_shifts=3)
    assert list(kept)[:5] == ["chrom", "pos", "id", "ref", "alt"]
    assert kept["beta"].tolist() == beta["beta"].tolist()
    pd.testing.assert_frame_equal(kept.drop(columns="beta"), found)

    run("locus", "trunk", "chr1:1,001-1,060", "--genome", GENOME, "--task", "SPI1", "--shuffles",
        "2", "--out", "place")  # fmt: skip
    locus = ct.explain_locus("trunk", ("chr1", 1000, 1060), genome, task="SPI1", shuffles=2)
    written = pd.read_csv("place/bases.tsv", sep="\t")
    assert written["position"].tolist() == list(range(1001, 1061))
    np.testing.assert_allclose(written["attribution"], locus.bases()["attribution"], atol=1e-6)
    assert "".join(written["base"]) == decode(genome.fetch(ct.read_regions("chr1:1000-1060"))[0])
    assert {path.name for path in Path("place").iterdir()} == {
        "locus.png", "locus.svg", "track.tsv", "bases.tsv", "hits.tsv", "config.json",
    }  # fmt: skip


def test_sequences_are_taken_as_people_have_them(desk: Path) -> None:
    import torch

    trunk = ct.open_bundle("trunk")
    words = ["ACGTT" * 20, "GATTACAGAN" * 10]
    codes = encode_many(words)
    expected = trunk.score(codes)
    columns = one_hot(torch.from_numpy(codes)).numpy()
    Path("two.fa").write_text("".join(f">{i}\n{word.lower()}\n" for i, word in enumerate(words)))
    for given in (words, tuple(words), np.array(words), pd.Series(words), codes, columns, "two.fa"):
        np.testing.assert_array_equal(ct.score(trunk, given), expected)
    np.testing.assert_allclose(ct.score(trunk, words[0]), expected[:1], atol=1e-5)
    np.testing.assert_array_equal(ct.score("trunk", words, task="MAX"), expected[:, 2])
    np.testing.assert_array_equal(
        ct.attribute(trunk, words, task="MAX", shuffles=2).contributions,
        attribute(trunk.model, codes, task=2, shuffles=2).contributions,
    )
    np.testing.assert_array_equal(
        ct.mutagenesis(trunk, words, task=1), mutagenesis(trunk.model, codes, task=1)
    )


def test_regions_are_taken_as_people_have_them(desk: Path) -> None:
    table = pd.DataFrame({"chrom": ["chr1", "chr2"], "start": [1000, 500], "end": [1200, 700]})
    ranges = table.rename(columns=str.capitalize).rename(columns={"Chrom": "Chromosome"})
    Path("two.bed").write_text("chr1\t1000\t1200\nchr2\t500\t700\n")
    expected = ct.score("trunk", table, GENOME)
    places = ["chr1:1,000-1,200", "chr2:500-700"]
    for given in (ranges, places, "two.bed", Path("two.bed"), [("chr1", 1000, 1200), places[1]]):
        np.testing.assert_array_equal(ct.score("trunk", given, GENOME), expected)
    scores = ct.predict("trunk", ranges.assign(mine=["a", "b"]), GENOME)
    assert scores["mine"].tolist() == ["a", "b"]


def test_a_model_is_handed_back_where_it_was(desk: Path) -> None:
    trunk = ct.open_bundle("trunk")
    before = trunk.card.weights
    ct.score(trunk, "ACGTT" * 20)
    assert next(trunk.model.parameters()).device.type == "cpu"
    assert trunk.card.weights == before


def test_objects_say_what_they_are(desk: Path) -> None:
    matrix = ct.open_matrix("matrix.h5")
    shown = [
        ct.open_genome(GENOME),
        matrix,
        matrix.view("tfs"),
        ct.Split(valid="chr2", test=["chr3"]),
        ct.Split("random", seed=3),
        ct.HoldOut(),
        ct.HoldOut.of(ct.open_bundle("trunk")),
        ct.find_relatives(matrix, "MAX", n=2),
        ct.attribute("GABPA", "ACGTT" * 20),
        ct.read_motifs("data/motifs.meme"),
        ct.Matched(positives=50),
    ]
    patterns = [
        r"<Genome genome\.fa: 5 chromosomes, [\d,]+ bp>",
        r"<BindingMatrix matrix: [\d,]+ regions of 100 bp, 15 TFs, 5 cells \(simulated\)>",
        r"<View tfs of matrix \(sparse\): [\d,]+ x 15>",
        r"Split\(by='chromosome', valid=\['chr2'\], test=\['chr3'\]\)",
        r"Split\(by='random', fraction=0\.1, seed=3\)",
        r"<HoldOut by chromosome: nothing seen before \(heldout\)>",
        r"<HoldOut Split\(.*\): what a trunk has seen is guarded \(heldout\)>",
        r"<Choice for MAX, relatives: \w+, \w+ \([\d,]+ common regions\)>",
        r"<Attribution deeplift of the logit of task 0: 1 sequence of 100 bp>",
        r"Motifs\(data/motifs\.meme: 15 motifs \(MEME\)\)",
        r"Matched\(per_bound=1\.0, gc_bins=None, positives=50, test_positives=None, "
        r"train_per_bound=20\.0\)",
    ]
    for each, pattern in zip(shown, patterns, strict=True):
        assert re.fullmatch(pattern, repr(each)), repr(each)
    assert eval(repr(shown[3]), {"Split": ct.Split}) == shown[3]


def test_figures_show_themselves_in_a_notebook(desk: Path) -> None:
    motif = next(pwm for pwm in ct.read_motifs("data/motifs.meme"))
    for drawn in (ct.plot_logo(motif), ct.plot_logo([0.1, -0.2, 0.3], "ACG")):
        assert drawn._repr_png_().startswith(b"\x89PNG")
    ct.plot_logo(motif, out="motif.svg")
    assert Path("motif.svg").read_text().startswith("<?xml")
