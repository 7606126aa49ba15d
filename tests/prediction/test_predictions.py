"""Predictions: order, places, N, and rows that cannot be scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cistransfer as ct
from cistransfer.errors import InputError
from cistransfer.genome.bed import regions_table
from cistransfer.genome.codes import decode, encode
from cistransfer.genome.fasta import open_sequences, write_fasta
from cistransfer.models.bundle import Bundle
from cistransfer.models.score import score_codes
from cistransfer.prediction import table as module
from cistransfer.prediction.table import predict_fasta, predict_regions, spread_interval


def _probability(bundle: Bundle, codes: np.ndarray, strands: str = "both") -> np.ndarray:
    logits = score_codes(bundle.model, codes, strands=strands).astype(float)
    return 1 / (1 + np.exp(-logits / bundle.temperatures))


@pytest.fixture(scope="module")
def regions(world) -> pd.DataFrame:
    table = world.matrix.regions.sample(40, random_state=3).reset_index(drop=True)
    return regions_table(
        table["chrom"], table["start"] - 7, table["end"] + 6, name=[f"r{i}" for i in range(40)]
    )


def test_rows_keep_their_order_and_columns(trunk: Bundle, world, regions: pd.DataFrame) -> None:
    found = predict_regions(trunk, regions, world.genome)
    assert list(found.columns) == [
        *regions.columns, "window_start", "window_end", "ELF1", "SPI1", "MAX", "note",
    ]  # fmt: skip
    pd.testing.assert_frame_equal(found[list(regions.columns)], regions)
    middle = regions["start"] + (regions["end"] - regions["start"]) // 2
    assert (found["window_start"] == middle - 50).all()
    assert (found["window_end"] == middle + 50).all()
    codes = world.genome.fetch(regions.assign(start=middle - 50, end=middle + 50))
    assert np.allclose(found[["ELF1", "SPI1", "MAX"]], _probability(trunk, codes), atol=1e-6)
    assert (found["note"] == "").all()
    assert found[["ELF1", "SPI1", "MAX"]].to_numpy().std() > 1e-4


def test_row_order_does_not_matter(trunk: Bundle, world, regions: pd.DataFrame) -> None:
    order = np.random.default_rng(0).permutation(len(regions))
    one = predict_regions(trunk, regions, world.genome).iloc[order].reset_index(drop=True)
    other = predict_regions(trunk, regions.iloc[order], world.genome)
    pd.testing.assert_frame_equal(one, other, atol=1e-6)


def test_chunks_do_not_matter(
    trunk: Bundle, world, regions: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = predict_regions(trunk, regions, world.genome)
    monkeypatch.setattr(module, "_CHUNK", 7)
    pd.testing.assert_frame_equal(predict_regions(trunk, regions, world.genome), one, atol=1e-6)


def test_strands(trunk: Bundle, world, regions: pd.DataFrame) -> None:
    found = predict_regions(trunk, regions, world.genome, strands="forward")
    windows = regions.assign(start=found["window_start"], end=found["window_end"])
    expected = _probability(trunk, world.genome.fetch(windows), "forward")
    assert np.allclose(found[["ELF1", "SPI1", "MAX"]], expected, atol=1e-6)
    with pytest.raises(InputError, match="strands must be"):
        predict_regions(trunk, regions, world.genome, strands="reverse")


def test_summits_are_the_centres(trunk: Bundle, world, regions: pd.DataFrame) -> None:
    found = predict_regions(trunk, regions.assign(summit=regions["start"] + 3), world.genome)
    assert (found["window_start"] == regions["start"] + 3 - 50).all()


def test_rows_that_cannot_be_scored_say_why(trunk: Bundle, world, regions: pd.DataFrame) -> None:
    size = world.genome.sizes["chr1"]
    odd = regions_table(
        ["chr1", "chrUn", "chr1"], [0, 100, size - 10], [10, 300, size], name=["a", "b", "c"]
    )
    mixed = pd.concat([odd.iloc[:1], regions, odd.iloc[1:]], ignore_index=True)
    found = predict_regions(trunk, mixed, world.genome)
    assert found["name"].tolist() == mixed["name"].tolist()
    bad = found["name"].isin(["a", "b", "c"])
    assert found.loc[bad, ["ELF1", "SPI1", "MAX"]].isna().all(axis=None)
    assert (found.loc[bad, "note"] == "no sequence: unknown chromosome or off its end").all()
    alone = predict_regions(trunk, regions, world.genome)
    pd.testing.assert_frame_equal(found[~bad].reset_index(drop=True), alone, atol=1e-6)
    with pytest.raises(
        InputError, match=r"has none of the 3 windows of 100 bp; the first is chr1:"
    ):
        predict_regions(trunk, odd, world.genome)
    with pytest.raises(InputError, match=r"the rows name ctg0; the genome has chr1, chr2, chr3"):
        predict_regions(trunk, odd.assign(chrom="ctg0"), world.genome)


@pytest.mark.parametrize("rename", [lambda c: c.removeprefix("chr"), lambda c: f'"{c}"'])
def test_chromosomes_go_by_any_of_their_names(trunk, world, regions, rename) -> None:
    other = regions.assign(chrom=regions["chrom"].map(rename))
    found = predict_regions(trunk, other, world.genome)
    assert found["chrom"].tolist() == other["chrom"].tolist()
    one = predict_regions(trunk, regions, world.genome)
    pd.testing.assert_frame_equal(found.drop(columns="chrom"), one.drop(columns="chrom"))


def test_nothing_in_nothing_out(trunk: Bundle, world, regions: pd.DataFrame) -> None:
    found = predict_regions(trunk, regions.iloc[:0], world.genome)
    assert len(found) == 0
    assert "ELF1" in found


def test_an_n_is_counted_and_contributes_nothing(trunk: Bundle, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    bases = "".join("ACGT"[code] for code in rng.integers(0, 4, 100))
    write_fasta(
        tmp_path / "w.fa",
        {
            "chr1:0-100": bases,
            "chr1:100-200": "NNN" + bases[3:],
            "chr1:200-300": "RYK" + bases[3:].lower(),
            "chr1:300-400": "N" * 100,
        },
    )
    windows = open_sequences(tmp_path / "w.fa")
    found = predict_regions(trunk, windows.regions.drop(columns="name"), windows)
    assert found["note"].tolist() == ["", "3 N", "3 N", "no sequence: all N"]
    masked = encode(bases)[None].copy()
    masked[0, :3] = 4
    assert np.allclose(
        found.loc[1, ["ELF1", "SPI1", "MAX"]].astype(float), _probability(trunk, masked)[0]
    )
    assert found.loc[1, "ELF1"] == pytest.approx(found.loc[2, "ELF1"], abs=1e-7)
    assert found.loc[1, "ELF1"] != found.loc[0, "ELF1"]
    assert found.loc[3, ["ELF1", "SPI1", "MAX"]].isna().all()


def test_fasta_equals_regions(trunk: Bundle, world, regions: pd.DataFrame, tmp_path: Path) -> None:
    by_region = predict_regions(trunk, regions, world.genome)
    windows = regions.assign(start=by_region["window_start"], end=by_region["window_end"])
    texts = [decode(row) for row in world.genome.fetch(windows)]
    write_fasta(tmp_path / "s.fa", dict(zip(regions["name"], texts, strict=True)))
    found = predict_fasta(trunk, tmp_path / "s.fa")
    assert list(found.columns) == ["name", "length", "ELF1", "SPI1", "MAX", "note"]
    assert found["name"].tolist() == regions["name"].tolist()
    assert (found["length"] == 100).all()
    tasks = ["ELF1", "SPI1", "MAX"]
    pd.testing.assert_frame_equal(found[tasks], by_region[tasks], atol=1e-6)


def test_fasta_of_other_lengths(trunk: Bundle, tmp_path: Path) -> None:
    bases = "".join("ACGT"[code] for code in np.random.default_rng(2).integers(0, 4, 105))
    write_fasta(
        tmp_path / "s.fa",
        {"long one": bases, "short": bases[:99], "cut": bases[2:102], "low": bases.lower()},
    )
    found = predict_fasta(trunk, tmp_path / "s.fa")
    assert found["name"].tolist() == ["long one", "short", "cut", "low"]
    assert found["length"].tolist() == [105, 99, 100, 105]
    assert found["note"].tolist() == ["", "shorter than 100 bp", "", ""]
    assert np.isnan(found.loc[1, "ELF1"])
    assert found.loc[0, "ELF1"] == pytest.approx(found.loc[2, "ELF1"], abs=1e-7)
    assert found.loc[0, "ELF1"] == pytest.approx(found.loc[3, "ELF1"], abs=1e-7)
    write_fasta(tmp_path / "t.fa", {"a": "ACGT", "b": "ACGTA"})
    with pytest.raises(
        InputError, match="windows of 100 bp; the longest of the 2 sequences has 5 bp"
    ):
        predict_fasta(trunk, tmp_path / "t.fa")


def test_a_task_called_like_a_column(trunk: Bundle, world, regions: pd.DataFrame) -> None:
    found = predict_regions(trunk, regions.assign(ELF1="mine"), world.genome)
    assert (found["ELF1"] == "mine").all()
    assert found["score_ELF1"].notna().all()


def test_the_callers_table_is_left_alone(trunk: Bundle, world, regions: pd.DataFrame) -> None:
    before = regions.copy()
    predict_regions(trunk, regions, world.genome)
    pd.testing.assert_frame_equal(regions, before)


def test_probabilities_at_another_prevalence_follow_bayes(trunk: Bundle) -> None:
    """The odds of bound against unbound among the validation examples are exchanged."""
    sequences = ["ACGTT" * 20, "GATTACAGAT" * 10, "TTTTTCCCCC" * 10]
    own = ct.predict(trunk, sequences)
    column = trunk.tasks.index("SPI1")
    share = trunk.prevalences[column]
    labels = trunk.card.counts["valid"]["SPI1"]
    assert share == labels["bound"] / (labels["bound"] + labels["unbound"])
    for wanted in (0.001, 0.2, 0.9):
        found = ct.predict(trunk, sequences, prevalence=wanted)["SPI1"]
        bound = own["SPI1"] / share * wanted
        unbound = (1 - own["SPI1"]) / (1 - share) * (1 - wanted)
        np.testing.assert_allclose(found, bound / (bound + unbound), rtol=1e-9)
        assert (found.rank() == own["SPI1"].rank()).all()
    same = ct.predict(trunk, sequences, prevalence=float(share))
    np.testing.assert_allclose(same["SPI1"], own["SPI1"], rtol=1e-9)
    for wrong in (0.0, 1.0, -0.1):
        with pytest.raises(InputError, match="prevalence: expected a share between 0 and 1"):
            ct.predict(trunk, sequences, prevalence=wrong)


def test_a_model_that_does_not_know_its_share(trunk: Bundle) -> None:
    card = trunk.card.model_copy(update={"prevalence": None})
    counted = replace(trunk, card=card)
    np.testing.assert_allclose(counted.prevalences, trunk.prevalences)
    unknown = replace(trunk, card=card.model_copy(update={"counts": {}}))
    with pytest.raises(InputError, match="does not say which share"):
        unknown.probabilities(np.zeros((1, len(trunk.tasks)), np.float32), 0.1)


def test_both_alleles_have_probabilities_at_a_prevalence(
    trunk: Bundle, world, tmp_path: Path
) -> None:
    genome, place = world.genome, ct.read_regions("chr1:1000-1001")
    (base,) = genome.fetch(place)[0]
    vcf = tmp_path / "v.vcf"
    vcf.write_text(f"chr1\t1001\t.\t{'ACGT'[base]}\t{'CATG'[base]}\n")
    (row,) = ct.score_variants(trunk, vcf, genome, prevalence=0.01).to_dict("records")
    (plain,) = ct.score_variants(trunk, vcf, genome).to_dict("records")
    own = {k: v for k, v in plain.items() if k.startswith("probability")}
    assert {k: v for k, v in row.items() if k not in own} | own == plain
    assert own["probability_alt_SPI1"] > row["probability_alt_SPI1"]
    logits = np.array([[plain[f"alt_{task}"] for task in trunk.tasks]])
    chances = [row[f"probability_alt_{task}"] for task in trunk.tasks]
    np.testing.assert_allclose(chances, trunk.probabilities(logits, 0.01)[0])
    ct.annotate_variants(trunk, vcf, genome, tmp_path / "out.vcf", prevalence=0.01)
    text = (tmp_path / "out.vcf").read_text()
    assert "Probability of the allele at a share of 0.01 bound, SPI1" in text
    assert "CT_PALT_SPI1=" in text


@pytest.mark.parametrize("models", [2, 3, 10])
def test_one_more_model_lies_in_the_interval_as_often_as_it_says(models: int) -> None:
    logits = np.random.default_rng(models).normal(-1, 0.7, (models + 1, 20_000))
    each = 1 / (1 + np.exp(-logits))
    low, high = spread_interval(each[:-1])
    inside = (low <= each[-1]) & (each[-1] <= high)
    assert inside.mean() == pytest.approx(0.95, abs=0.006)


def test_models_that_agree_have_no_interval_and_no_score_has_none() -> None:
    low, high = spread_interval(np.array([[0.2, 1.0, np.nan]] * 3))
    assert np.allclose([low[0], high[0]], 0.2)
    assert low[1] == pytest.approx(1)
    assert np.isnan([low[2], high[2]]).all()


TASKS = ["ELF1", "SPI1", "MAX"]


@pytest.mark.parametrize("stride", [30, 100])
def test_long_regions_are_covered_and_summarised(
    trunk: Bundle, world, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows from end to end, evenly, no further apart than the stride; beside them one window."""
    wide = regions_table(
        ["chr1", "2", "chr1", "chr2", "chrUn"],
        [20500, 20700, 20040, 0, 5],
        [21131, 20760, 20140, 220, 300],
        windows="mine",
    )
    monkeypatch.setattr(module, "_CHUNK", 7)
    best = predict_regions(trunk, wide, world.genome, stride=stride)
    mean = predict_regions(trunk, wide, world.genome, stride=stride, summary="mean")
    assert best["windows"].tolist()[1:3] == [1, 1]
    assert (best["windows_input"] == "mine").all()
    starts = np.linspace(20500, 21031, -(-531 // stride) + 1)
    starts = np.floor(starts + 0.5).astype(int)
    assert np.diff(starts).max() <= stride
    codes = world.genome.fetch(regions_table("chr1", starts, starts + 100))
    found = _probability(trunk, codes)
    assert best["windows"][0] == len(starts)
    assert np.allclose(best.loc[0, TASKS].astype(float), found.max(axis=0), atol=1e-6)
    assert np.allclose(mean.loc[0, TASKS].astype(float), found.mean(axis=0), atol=1e-6)
    assert (best["window_start"][0], best["window_end"][0]) == (20500, 21131)
    plain = predict_regions(trunk, wide.iloc[1:3], world.genome)
    assert np.allclose(best.loc[1:2, TASKS], plain[TASKS], atol=1e-6)
    assert best["note"][4] == "no sequence: unknown chromosome or off its end"
    assert best["note"][3] == "no sequence: all N"
    assert best["note"].tolist()[:3] == ["", "", ""]
    with pytest.raises(InputError, match="a stride from 1 to the window's 100 bp, found 101"):
        predict_regions(trunk, wide, world.genome, stride=101)


def test_long_sequences_are_covered(trunk: Bundle, tmp_path: Path) -> None:
    text = "".join("ACGT"[code] for code in np.random.default_rng(4).integers(0, 4, 170))
    write_fasta(tmp_path / "g.fa", {"c": text + "A" * 80})
    over = ct.predict(trunk, "c:50-350", tmp_path / "g.fa", stride=50)
    assert over[["windows", "note"]].to_numpy().tolist() == [[3, "of 5 windows 2 off its end"]]
    texts = [text, text[:60], text[:100], text[:20] + "N" * 130]
    table = ct.predict(trunk, texts, stride=40, summary="mean")
    each = ct.predict(trunk, [text[at : at + 100] for at in (0, 35, 70)])
    assert table["windows"].tolist() == [3, 0, 1, 1]
    assert np.allclose(table.loc[0, TASKS].astype(float), each[TASKS].mean(), atol=1e-6)
    assert table["note"].tolist() == ["", "shorter than 100 bp", "", "of 3 windows 3 with N"]
    with pytest.raises(InputError, match="summary has no meaning without a stride"):
        ct.predict(trunk, texts, summary="mean")


def test_models_side_by_side_and_ensembles(trunk: Bundle, regions: pd.DataFrame, world) -> None:
    """Those of one name, or unnamed of the same tasks, are an ensemble; others stand beside it."""
    other = replace(trunk, card=trunk.card.model_copy(update={"tasks": ("GABPA", "SPI2", "MAX2")}))
    half = replace(trunk, card=trunk.card.model_copy(update={"temperatures": [2.0, 2.0, 2.0]}))
    table = ct.predict([trunk, other, half], regions, world.genome)
    ends = ["", " sd", " low", " high"]
    first = [task + end for task in TASKS for end in ends]
    assert list(table)[-16:] == [*first, "GABPA", "SPI2", "MAX2", "note"]
    alone, halved = (ct.predict(one, regions, world.genome)[TASKS] for one in (trunk, half))
    assert np.allclose(table[TASKS], (alone + halved) / 2)
    assert np.allclose(table["MAX2"], alone["MAX"])
    for models in ({"a": trunk, "b": [half]}, [f"a={trunk.path}", half]):
        named = ct.predict(models, regions, world.genome, task="SPI1")
        b = "b" if isinstance(models, dict) else "SPI1"
        assert list(named)[-3:] == ["a", b, "note"]
        assert np.allclose(named[["a", b]], np.stack([alone["SPI1"], halved["SPI1"]], axis=1))
    mixed = replace(trunk, card=trunk.card.model_copy(update={"tasks": ("A", "SPI1", "B")}))
    with pytest.raises(InputError, match="both be the column 'SPI1'; name them"):
        ct.predict([trunk, mixed], regions, world.genome)


def test_a_bed_holds_the_scores(trunk: Bundle, world, tmp_path: Path) -> None:
    wide = regions_table(
        ["chr1", "chrUn", "chr1"], [21000, 5, 20100], [21400, 300, 20200],
        name=["a", "b", "c"], strand=["+", ".", "-"],
    )  # fmt: skip
    table = ct.predict(trunk, wide, world.genome, task="SPI1", stride=50, out=tmp_path / "o.bed.gz")
    found = ct.read_regions(tmp_path / "o.bed.gz", keep=True)
    assert found[["chrom", "start", "end", "name", "strand"]].to_numpy().tolist() == [
        ["chr1", 21000, 21400, "a", "+"], ["chr1", 20100, 20200, "c", "-"],
    ]  # fmt: skip
    scores = table["SPI1"].dropna().to_numpy()
    assert found["score"].astype(int).tolist() == [round(1000 * score) for score in scores]
    for name, words, message in (
        ("o.bw", {"task": "SPI1"}, "is what `cistransfer track` writes"),
        ("o.bedGraph.gz", {"task": "SPI1"}, "is what `cistransfer track` writes"),
        ("p.bed", {}, r"a BED shows one score, and there are 3 \(ELF1, SPI1, MAX, …\)"),
    ):
        with pytest.raises(InputError, match=message):
            ct.predict(trunk, wide, world.genome, out=tmp_path / name, **words)
    with pytest.raises(InputError, match="sequences have no places"):
        ct.predict(trunk, ["ACGTT" * 20], task="SPI1", out=tmp_path / "p.bed")
    assert {path.name for path in tmp_path.iterdir()} == {"o.bed.gz", "o.bed.gz.config.json"}


def test_a_killed_prediction_goes_on(
    trunk: Bundle, world, regions: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK", 16)
    models = [trunk, replace(trunk, card=trunk.card.model_copy(update={"temperatures": [2.0] * 3}))]
    whole = ct.predict(models, regions, world.genome, out=tmp_path / "whole.tsv")
    calls: list[int] = []
    score = module.score_windows

    def stopping(*args: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return score(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "score_windows", stopping)
    out = tmp_path / "o.tsv"
    with pytest.raises(KeyboardInterrupt):
        ct.predict(models, regions, world.genome, out=out)
    assert not out.exists()
    again = ct.predict(models, regions, world.genome, out=out)
    assert len(calls) == 5 + 2  # three chunks of each model, four of which were kept
    pd.testing.assert_frame_equal(again, whole)
    assert out.read_bytes() == (tmp_path / "whole.tsv").read_bytes()
    calls[:] = [1]
    with pytest.raises(KeyboardInterrupt):
        ct.predict(models, regions, world.genome, out=out)
    ct.predict(models, regions, world.genome, strands="forward", out=out)  # another question
    assert len(calls) == 5 + 6
    outputs = {path.name for path in tmp_path.iterdir()} - {"o.tsv", "whole.tsv"}
    assert outputs == {"o.tsv.config.json", "whole.tsv.config.json"}
