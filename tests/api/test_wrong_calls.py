"""Natural wrong calls end in one sentence, never in an error of PyTorch, pandas or numpy."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import cistransfer as ct
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app

Call = Callable[[], Any]
WRITERS_APART = ("simulate", "study", "get_data")  # folders that say themselves whose they are
GENOME = "data/genome.fa"
PEAKS = "data/peaks/HNF4A.narrowPeak.gz"
OPEN = "data/open.bed.gz"
WORD = "ACGTT" * 20

WRONG: dict[str, tuple[Call, str]] = {
    # models
    "a model that is not there": (lambda: ct.open_bundle("modle"), "modle: expected a bundle"),
    "a number as model": (lambda: ct.predict(3, [WORD]), "model: expected a run folder, a bundle"),
    "a genome as model": (lambda: ct.score(GENOME, [WORD]), "expected a bundle"),
    "examples as model": (lambda: ct.score(ct.open_examples("trunk"), WORD), "model: expected"),
    "no model": (lambda: ct.predict_track([], GENOME, "a.bedGraph"), "at least one, found none"),
    # sequences
    "a sequence of another length": (lambda: ct.score("trunk", ["ACGT"]), "reads 100 bp"),
    "sequences of two lengths": (lambda: ct.score("trunk", [WORD, "ACGT"]), "sequences of 4 bp"),
    "a protein": (lambda: ct.score("trunk", ["MEEPQSDPSV"]), "item 1: expected DNA letters"),
    "one-hot turned round": (
        lambda: ct.score("trunk", np.zeros((1, 100, 4))),
        "one-hot (n, 4, length), found an array of float64, shape (1, 100, 4)",
    ),
    "floats": (lambda: ct.attribute("trunk", np.ones((2, 100)), task="MAX"), "expected codes"),
    "None as sequences": (lambda: ct.predict("trunk", None), "sequences: expected a text of DNA"),
    "no sequences": (lambda: ct.score("trunk", []), "at least one, found none"),
    "a sequence that is a missing file": (
        lambda: ct.predict("trunk", "sequences.fa"),
        "expected DNA letters or a FASTA file that exists, found str 'sequences.fa'",
    ),
    "a number among the sequences": (lambda: ct.score("trunk", [WORD, 7]), "item 2: expected DNA"),
    "accents": (lambda: ct.score("trunk", ["ÄCGT" * 25]), "expected DNA letters"),
    # what a model learned
    "a part of a FASTA file": (
        lambda: ct.interpret("GABPA", GENOME, part="test", out="o"),
        "part is of examples; it has no meaning with regions or a FASTA file",
    ),
    "texts instead of examples": (
        lambda: ct.interpret("GABPA", [WORD], out="o"),
        "examples or sequences: expected a path, found list",
    ),
    "a method that there is not": (
        lambda: ct.interpret("GABPA", methods="filter", out="o"),
        "no interpretation method 'filter'; nearest: filters",
    ),
    "an option that no method has": (
        lambda: ct.interpret("GABPA", max_sequence=3, out="o"),
        "no option 'max_sequence'; nearest: max_sequences",
    ),
    # regions and genomes
    "regions without a genome": (lambda: ct.predict("trunk", "chr1:1-9"), "regions need one"),
    "a table without a genome": (
        lambda: ct.predict("trunk", pd.DataFrame({"chrom": ["chr1"], "start": [1], "end": [2]})),
        "genome: regions need one",
    ),
    "places without a genome": (
        lambda: ct.score("trunk", ["chr1:100-300"]),
        "'chr1:100-300' is a place, and regions need a genome",
    ),
    "a genome that is not there": (lambda: ct.open_genome("hg83.fa"), "hg83.fa: no such file"),
    "a number as genome": (lambda: ct.predict("trunk", OPEN, 38), "genome: expected a FASTA"),
    "the two swapped": (lambda: ct.predict("trunk", GENOME, OPEN), "expected"),
    "regions that are not there": (lambda: ct.read_regions("peeks.bed"), "peeks.bed: no such file"),
    "a table without an end": (
        lambda: ct.read_regions(pd.DataFrame({"chrom": ["chr1"], "start": [1]})),
        "expected columns chrom, start and end, found no end",
    ),
    "starts that are no numbers": (
        lambda: ct.read_regions(pd.DataFrame({"chrom": ["a"], "start": ["x"], "end": [2]})),
        "regions, row 0: expected a whole number as start",
    ),
    "an end before its start": (lambda: ct.read_regions("chr1:300-100"), "0 ≤ start < end"),
    "a chromosome that is not there": (
        lambda: ct.score("trunk", "chrZ:1000-1200", GENOME),
        "no chromosome 'chrZ'",
    ),
    "a region off the end": (
        lambda: ct.score("trunk", "chr1:900000000-900000200", GENOME),
        "runs off chr1",
    ),
    # tasks
    "no task where there are three": (
        lambda: ct.attribute("trunk", WORD),
        "the model has 3 tasks; name one (--task): ELF1, SPI1, MAX",
    ),
    "a task that is not there": (
        lambda: ct.attribute("trunk", WORD, task="SPI"),
        "no task 'SPI'; nearest: SPI1",
    ),
    "a task by a number too large": (lambda: ct.score("trunk", WORD, task=3), "no task 3"),
    "a task of a track": (
        lambda: ct.predict_track("trunk", GENOME, "a.bedGraph", task="HNF4A"),
        "no task 'HNF4A'",
    ),
    "a method that is not there": (
        lambda: ct.attribute("trunk", WORD, task="MAX", method="shap"),
        "no attribution method 'shap'",
    ),
    "something else to explain": (
        lambda: ct.mutagenesis("trunk", WORD, task="MAX", on="score"),
        "expected to explain 'logit' or 'probability'",
    ),
    "three strands": (lambda: ct.score("trunk", WORD, strands="+"), "strands must be 'both'"),
    "a device that is not there": (
        lambda: ct.score("trunk", WORD, device="gpu"),
        "device 'gpu' cannot be used here: expected auto, cpu, cuda",
    ),
    # loci, variants, logos
    "a locus in words": (
        lambda: ct.explain_locus("trunk", "HNF4A", GENOME, task="MAX"),
        "locus: expected a place like 'chr1:1,001-1,200'",
    ),
    "a locus from 0": (
        lambda: ct.explain_locus("trunk", "chr1:0-100", GENOME, task="MAX"),
        "counted from 1",
    ),
    "a locus too long": (
        lambda: ct.explain_locus("trunk", "chr1:1-20000", GENOME, task="MAX"),
        "expected at most 3,000 bp",
    ),
    "a variant in words": (
        lambda: ct.score_variants("trunk", ["rs123"], GENOME),
        "variants, item 1: expected 'chr1:12345:A:G'",
    ),
    "a table without alleles": (
        lambda: ct.score_variants("trunk", pd.DataFrame({"chrom": ["1"], "pos": [2]}), GENOME),
        "expected a column ref",
    ),
    "a logo of everything": (lambda: ct.plot_logo("data/motifs.meme"), "name the tf"),
    "a logo of nobody": (lambda: ct.plot_logo("data/motifs.meme", tf="XYZ9"), "no motif of 'XYZ9'"),
    "a logo of words": (lambda: ct.plot_logo(["a", "b"]), "heights: expected numbers"),
    "a logo of three columns": (lambda: ct.plot_logo(np.ones((5, 3))), "shape (length, 4)"),
    "a drawing of a place": (lambda: ct.plot_locus("chr1:1-9"), "what explain_locus gives"),
    # examples and training
    "motifs without a TF": (
        lambda: ct.learn(
            ct.read_regions(PEAKS), GENOME, "x", open_regions=OPEN, trunk="trunk", motifs="jaspar"
        ),
        "motifs are chosen by the TF's name",
    ),
    "peaks without a genome": (
        lambda: ct.make_examples(PEAKS, open_regions=OPEN, trunk="trunk"),
        "with peaks, genome is needed",
    ),
    "a misspelled option": (
        lambda: ct.make_examples(PEAKS, open_regions=OPEN, gnome=GENOME),
        "no option 'gnome'; nearest: genome",
    ),
    "a matrix without a TF": (
        lambda: ct.make_examples("matrix.h5", genome=GENOME),
        "with matrix, tf is needed",
    ),
    "a TF that the matrix lacks": (
        lambda: ct.make_examples("matrix.h5", genome=GENOME, tf="HNF4"),
        "no TF 'HNF4' in this matrix; nearest: HNF4G, HNF4A",
    ),
    "a number as TF": (
        lambda: ct.make_examples("matrix.h5", genome=GENOME, tf=4),
        "tf: expected a text, found int 4",
    ),
    "a window in words": (
        lambda: ct.make_examples(PEAKS, open_regions=OPEN, genome=GENOME, window="wide"),
        "window: expected a whole number, found str 'wide'",
    ),
    "a split that is not there": (
        lambda: ct.make_examples("matrix.h5", genome=GENOME, tf="MAX", split="fold"),
        "no split 'fold'; there are: chromosome, neighbours, published, random",
    ),
    "a guard that is not there": (
        lambda: ct.finetune("matrix.h5", tf="MAX", genome=GENOME, trunk="trunk", guard="on",
        out="x"),
        "no leakage guard 'on'",
    ),
    "a guard from scratch": (
        lambda: ct.finetune("trunk", trunk="scratch", guard="off", out="x"),
        "guard has no meaning without a trunk",
    ),
    "a split of examples that are made": (
        lambda: ct.finetune("trunk", trunk="scratch", split="random", out="x"),
        "split has no meaning with examples that are made",
    ),
    "a trunk that is not there": (
        lambda: ct.finetune("GABPA", trunk="generel", out="x"),
        "shipped trunks: general",
    ),
    "a seed in words": (
        lambda: ct.finetune("GABPA", trunk="trunk", seed="one", out="x"),
        "seed: expected a whole number",
    ),
    "no folder": (lambda: ct.finetune("GABPA", trunk="trunk", out=None), "out: expected a path"),
    "peaks to pre-train on": (lambda: ct.pretrain(PEAKS, out="x"), "expected a binding matrix"),
    "TFs named and chosen": (
        lambda: ct.pretrain("matrix.h5", tfs="MAX", target="MAX", genome=GENOME, out="x"),
        "not both",
    ),
    "a number as motifs": (
        lambda: ct.finetune("GABPA", trunk="trunk", motifs=3, out="x"),
        "motifs: expected a motif file",
    ),
    # matrices, relatives, evaluations
    "a genome as matrix": (lambda: ct.open_matrix(GENOME), "genome.fa"),
    "a table as matrix": (lambda: ct.find_relatives(pd.DataFrame(), "MAX"), "expected a matrix"),
    "a relative of nobody": (
        lambda: ct.find_relatives("matrix.h5", "MAX", "friends"),
        "friends",
    ),
    "a misspelled option of relatives": (
        lambda: ct.find_relatives("matrix.h5", "MAX", motives="x"),
        "no option 'motives'; nearest: motif, modes",
    ),
    "an assembly as open regions": (
        lambda: ct.build_matrix("m.h5", 38, peaks="data/remap.bed.gz"),
        "open: expected a path, found int 38",
    ),
    "an evaluation of nothing": (lambda: ct.evaluate([], out="x"), "at least one, found none"),
    "an evaluation of a file": (lambda: ct.evaluate(OPEN, out="x"), "expected a bundle"),
    "a baseline that is not there": (
        lambda: ct.evaluate("GABPA", baselines="gcc", out="x"),
        "gcc",
    ),
    "a comparison of a model": (lambda: ct.compare("GABPA"), "a trained model"),
    "a comparison of nothing": (lambda: ct.compare([]), "at least one run"),
    "a report of nothing": (lambda: ct.write_report([], out="r.html"), "at least one evaluation"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_call_ends_in_one_sentence(what: str, desk: Path) -> None:
    call, part = WRONG[what]
    with pytest.raises(ct.InputError) as caught:
        call()
    text = str(caught.value)
    assert part in text
    assert "\n" not in text
    assert 15 < len(text) < 400
    assert not {"Traceback", "None:", "<class", "object at 0x"} & set(text.split())
    assert not (desk / "x").exists()


def test_there_are_many() -> None:
    assert len(WRONG) >= 25


@pytest.mark.parametrize("name", [name for name in ct.__all__ if name not in WRITERS_APART])
def test_no_function_replaces_a_file_that_is_not_an_earlier_output(
    tmp_path: Path, name: str
) -> None:
    """Before anything else is looked at: its other arguments are nonsense."""
    function = getattr(ct, name)
    parameters = inspect.signature(function).parameters if inspect.isfunction(function) else {}
    if "out" not in parameters:
        assert not {"path", "folder"} & set(parameters) or name.startswith(("open", "read"))
        return
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    needed = {
        each.name: "nonsense" for each in parameters.values() if each.default is each.empty
    } | {"out": mine}
    with pytest.raises(ct.InputError, match="expected a new name or an earlier output"):
        function(**needed)
    assert mine.read_text() == "mine"


def test_what_python_wrote_python_writes_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logo, report = tmp_path / "logo.svg", tmp_path / "mine.svg"
    report.write_text("mine")
    for _ in range(2):
        ct.plot_logo(np.full((4, 4), 0.25), out=logo)
        assert (tmp_path / "logo.svg.config.json").exists()
    record = str(tmp_path / "logo.svg.config.json")
    assert run_app(app, ["rerun", record, "--out", str(tmp_path / "again.svg")]) == 2
    assert "written by a function of Python; call that again" in capsys.readouterr().err
    with pytest.raises(ct.InputError, match="found a file of something else"):
        ct.plot_logo(np.full((4, 4), 0.25), out=report)
    with ct.overwriting() as replaced:
        ct.plot_logo(np.full((4, 4), 0.25), out=report)
    assert str(report) in replaced
