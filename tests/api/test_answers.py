"""From peaks to a model and an honest verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from cistransfer.api.answers import learn, learn_each
from cistransfer.errors import InputError
from cistransfer.evaluation.verdict import expected
from cistransfer.relatives.families import tf_of_file


def test_what_to_expect_comes_from_the_nearest_smaller_size() -> None:
    assert "0.887 on average from 50 (0.77 to 0.95), twelve harder ones 0.848" in expected(10)
    assert expected(499).endswith(
        "from 125 (0.81 to 0.95), twelve harder ones 0.866 (0.75 to 0.94)"
    )
    assert "0.905 on average from 500" in expected(10**6)


@pytest.fixture(scope="module")
def own(world) -> pd.DataFrame:
    states = world.matrix.states(["GABPA"], rule="sparse")[:, 0]
    return world.matrix.regions[states == 1].reset_index(drop=True)


def test_one_call_from_peaks_to_a_report(world, trunk, own, tmp_path: Path) -> None:
    said: list[str] = []
    answer = learn(
        own, world.genome, tmp_path / "a", open_regions=world.matrix.regions, tf="GABPA",
        trunk=trunk.path, interpret=False, device="cpu", say=lambda *lines: said.extend(lines),
    )  # fmt: skip
    assert answer.verdict in ("better", "undecided", "worse")
    assert answer.sentence in said
    assert answer.evaluation.models[0].name == "model"
    files = {path.name for path in (tmp_path / "a").iterdir()}
    assert {"model", "evaluation", "report.html", "answer.json", "predictions.tsv.gz"} <= files
    record = json.loads((tmp_path / "a" / "answer.json").read_text())
    assert record["sentence"] == answer.sentence
    assert (answer.instead is None) == (answer.verdict == "better")
    assert answer.instead is not None  # of ten steps of training
    assert record["instead"] == str(tmp_path / "a" / "instead" / "bundle")
    assert answer.instead.card.strategy.name in ("gc", "kmer", "denovo")
    measured = answer.instead.card.to_json()["held_out"]
    rated = answer.evaluation[answer.instead.card.strategy.name].tasks["GABPA"]["aucpr"]
    assert measured["aucpr"] == rated
    assert said[-1].endswith("as a model that predict, track, variants and locus take")
    page = (tmp_path / "a" / "report.html").read_text()
    assert f'<div class="verdict {answer.verdict}">' in page  # the page and the screen agree
    assert "times in 100" in page
    assert record["asked"]["peaks"] is None  # a table: no command line repeats it
    assert "cistransfer learn" not in page
    assert any("peaks:" in line and "placed" in line for line in said)
    table = pd.read_csv(tmp_path / "a" / "predictions.tsv.gz", sep="\t")
    assert len(table) == len(world.matrix.regions)
    again = learn(
        own, world.genome, tmp_path / "a", open_regions=world.matrix.regions, tf="GABPA",
        trunk=trunk.path, interpret=False, device="cpu",
    )  # fmt: skip
    assert again.sentence == answer.sentence


def test_three_peaks_are_refused(world, trunk, own, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bound regions can be used"):
        learn(own[:3], world.genome, tmp_path / "b", open_regions=world.matrix.regions,
              trunk=trunk.path)  # fmt: skip
    assert not (tmp_path / "b").exists()


def test_motifs_need_a_name(world, trunk, own, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="chosen by the TF's name"):
        learn(own, world.genome, tmp_path / "c", open_regions=world.matrix.regions,
              trunk=trunk.path, motifs="jaspar")  # fmt: skip


@pytest.mark.parametrize(
    ("name", "tf"),
    [
        ("FOXA1_peaks.narrowPeak", "FOXA1"),
        ("/lab/2024-05-01_K562_gata1-rep2.bed.gz", None),  # GATA1-REP2 is no symbol
        ("ENCFF123ABC.GATA1.bed.gz", "GATA1"),
        ("my_peaks.bed", None),
        ("SP1.bed", "SP1"),
    ],
)
def test_the_name_of_a_file_may_tell_the_tf(name: str, tf: str | None) -> None:
    assert tf_of_file(name) == tf


def test_few_peaks_are_cross_validated_and_the_model_is_fitted_on_all(
    world, narrow_trunk, own, tmp_path: Path
) -> None:
    few = own[::2].reset_index(drop=True)
    said: list[str] = []
    answer = learn(
        few, world.genome, tmp_path / "few", open_regions=world.matrix.regions, tf="GABPA",
        trunk=narrow_trunk.path, interpret=False, device="cpu",
        say=lambda *lines: said.extend(lines),
    )  # fmt: skip
    assert "in its turn" in answer.held_out
    assert any("held out instead: each chromosome in its turn" in line for line in said)
    score = answer.evaluation["model"].tasks["GABPA"]
    card = answer.bundle.card.to_json()
    assert card["held_out"]["aucpr"] == score["aucpr"]
    assert card["held_out"]["bound"] == score.positives
    assert set(card["held_out"]["baselines"]) >= {"gc", "kmer", "denovo"}
    tested = pd.read_parquet(tmp_path / "few" / "evaluation" / "predictions.parquet")
    learned = answer.bundle.regions()
    both = tested.merge(learned, on=["chrom", "start", "end"])
    assert len(both) > len(tested) // 2  # those of the first fold at least, but for its negatives
    assert not tested[["chrom", "start", "end"]].duplicated().any()
    page = (tmp_path / "few" / "report.html").read_text()
    assert "handed out was fitted on the tested regions too" in page
    assert "except where a section says otherwise" in page


def test_several_files_are_one_table_and_one_page(world, trunk, own, tmp_path: Path) -> None:
    files = {"GABPA_lab": own, "three": own[:3]}
    answers = learn_each(
        files, world.genome, tmp_path / "all", open_regions=world.matrix.regions,
        trunk=trunk.path, interpret=False, device="cpu",
    )  # fmt: skip
    assert [answer.tf for answer in answers] == ["GABPA"]
    table = pd.read_csv(tmp_path / "all" / "answers.tsv", sep="\t").set_index("name")
    assert table.loc["GABPA_lab", "aucpr"] == pytest.approx(
        answers[0].evaluation["model"].tasks["GABPA"]["aucpr"], abs=1e-6
    )
    assert "bound regions" in table.loc["three", "error"]
    assert "what their peaks taught" in (tmp_path / "all" / "report.html").read_text()
    with pytest.raises(InputError, match="none of 1 peak files"):
        learn_each({"three": own[:3]}, world.genome, tmp_path / "none", trunk=trunk.path,
                   open_regions=world.matrix.regions)  # fmt: skip
    with pytest.raises(InputError, match="two peak files are called 'a'"):
        learn_each(["x/a.bed", "y/a.narrowPeak.gz"], world.genome, tmp_path / "twice")
