"""Evaluation of runs on identical examples."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError, MachineError
from cistransfer.evaluation import baselines
from cistransfer.evaluation.results import open_evaluation
from cistransfer.evaluation.runs import evaluate_runs, open_predictions
from cistransfer.evaluation.shared import Named, SharedExamples, named_runs
from cistransfer.examples.dataset import ExampleSet, save_examples
from cistransfer.examples.holdout import HoldOut
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import FromPeaks
from cistransfer.examples.split import Split
from cistransfer.genome.fasta import Genome, read_fasta, write_fasta
from cistransfer.genome.intervals import overlaps_any
from cistransfer.genome.seen import distinct_fingerprints
from cistransfer.metrics.table import all_metrics
from cistransfer.metrics.thresholded import confusion
from cistransfer.models.bundle import Bundle
from cistransfer.models.score import score_codes
from cistransfer.training.finetune import finetune


@pytest.fixture(scope="module")
def pair(
    trunk: Bundle,
    target_examples: ExampleSet,
    short_strategy: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Bundle]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: finetune(
            folder / name, target_examples, start,
            strategy=short_strategy(kind), device="cpu", precision="float32",
        )
        for name, start, kind in (("transfer", trunk, "trunk"), ("scratch", None, "scratch"))
    }  # fmt: skip


def _runs(pair: dict[str, Bundle]) -> list[Path]:
    return [bundle.path.parent for bundle in pair.values()]


def test_both_are_measured_on_the_same_rows(
    pair: dict[str, Bundle], target_examples: ExampleSet, tmp_path: Path
) -> None:
    result = evaluate_runs(tmp_path, _runs(pair), device="cpu")
    assert json.loads((tmp_path / "metrics.json").read_text()) == result.to_json()
    assert result.examples == target_examples.content_hash()
    assert [model.name for model in result.models] == ["transfer", "scratch"]
    rows = target_examples.rows("test")
    table = open_predictions(tmp_path)
    assert len(table) == len(rows) > 0
    pd.testing.assert_frame_equal(
        table[["chrom", "start", "end"]],
        target_examples.regions.iloc[rows][["chrom", "start", "end"]].reset_index(drop=True),
    )
    labels = target_examples.labels[rows, 0]
    assert (table["label GABPA"] == labels).all()
    for model, bundle in zip(result.models, pair.values(), strict=True):
        logits = score_codes(bundle.model, target_examples.codes[rows])[:, 0]
        assert np.allclose(table[f"{model.name} GABPA"], logits, atol=1e-5)
        expected = all_metrics(labels, logits, bundle.thresholds[0], bundle.temperatures[0])
        for name in ("aucpr", "auroc", "mcc", "f1", "brier"):
            assert model.tasks["GABPA"][name] == pytest.approx(expected[name], abs=1e-6)
    written = pd.read_csv(tmp_path / "metrics.tsv", sep="\t")
    assert written["model"].tolist() == ["transfer", "scratch"]
    assert written["aucpr"][0] == pytest.approx(result.models[0].tasks["GABPA"]["aucpr"], rel=1e-4)


def test_equal_runs_give_equal_files(pair: dict[str, Bundle], tmp_path: Path) -> None:
    for name in "ab":
        evaluate_runs(tmp_path / name, _runs(pair), device="cpu")
    for file in ("metrics.json", "metrics.tsv", "predictions.parquet"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_an_evaluation_is_replaced_as_a_whole_or_stands(
    pair: dict[str, Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, mine = tmp_path / "e", tmp_path / "mine"
    evaluate_runs(place, _runs(pair), draws=0, device="cpu")
    (place / "note.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in place.iterdir()}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("cistransfer.evaluation.runs.calibration_table", full)
        with pytest.raises(MachineError, match="No space left"):
            evaluate_runs(place, _runs(pair)[:1], draws=0, device="cpu")
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    evaluate_runs(place, _runs(pair)[:1], draws=0, device="cpu")
    assert len(open_evaluation(place).models) == 1
    assert "scratch GABPA" not in open_predictions(place)
    assert (place / "note.txt").read_text() == "mine"

    mine.mkdir()
    (mine / "predictions.parquet").write_text("mine")
    with pytest.raises(InputError, match="or an earlier evaluation"):
        evaluate_runs(mine, _runs(pair), device="cpu")
    assert (mine / "predictions.parquet").read_text() == "mine"


def test_regions_seen_in_training_are_refused(
    pair: dict[str, Bundle], target_examples: ExampleSet, tmp_path: Path
) -> None:
    import dataclasses

    seen = target_examples.regions.assign(part="test")
    leaky = save_examples(tmp_path / "set", dataclasses.replace(target_examples, regions=seen))
    inside = int((target_examples.regions["part"] != "test").sum())
    with pytest.raises(InputError) as caught:
        evaluate_runs(tmp_path / "e", _runs(pair), examples=leaky, device="cpu")
    assert "model 'transfer' was trained or validated on " in str(caught.value)
    with pytest.raises(InputError, match=f"'scratch' .* on {inside} of the {len(seen)} regions"):
        evaluate_runs(tmp_path / "e", _runs(pair)[1:], examples=leaky, device="cpu")
    assert not (tmp_path / "e").exists()
    result = evaluate_runs(
        tmp_path / "e", _runs(pair), examples=leaky, allow_seen=True, device="cpu"
    )
    assert result.models[0].tasks["GABPA"]["n"] == len(seen)


def test_regions_that_only_the_trunk_saw_are_refused(
    pair: dict[str, Bundle], trunk: Bundle, trunk_examples: ExampleSet, tmp_path: Path
) -> None:
    """The fine-tuned model never saw these rows; its trunk did."""
    import dataclasses

    own = set(zip(*(pair["scratch"].regions()[c] for c in ("chrom", "start")), strict=True))
    rows = [
        row
        for row in trunk_examples.rows("train")
        if (trunk_examples.regions["chrom"][row], trunk_examples.regions["start"][row]) not in own
    ]
    data = dataclasses.replace(
        trunk_examples,
        codes=trunk_examples.codes[rows],
        labels=trunk_examples.labels[rows][:, :1],
        regions=trunk_examples.regions.iloc[rows].assign(part="test").reset_index(drop=True),
        tasks=("GABPA",),
    )
    folder = save_examples(tmp_path / "set", data)
    with pytest.raises(InputError, match=f"on {len(rows)} of the {len(rows)} regions"):
        evaluate_runs(tmp_path / "e", _runs(pair)[:1], examples=folder, device="cpu")
    evaluate_runs(tmp_path / "e", _runs(pair)[1:], examples=folder, device="cpu")


def test_other_parts(pair: dict[str, Bundle], target_examples: ExampleSet, tmp_path: Path) -> None:
    result = evaluate_runs(tmp_path, _runs(pair), part="valid", device="cpu")
    assert result.models[0].tasks["GABPA"]["n"] == len(target_examples.rows("valid"))
    with pytest.raises(InputError, match="the examples have no tests part"):
        evaluate_runs(tmp_path, _runs(pair), part="tests", device="cpu")


def test_models_that_do_not_fit(pair: dict[str, Bundle], trunk: Bundle, tmp_path: Path) -> None:
    run = pair["scratch"].path.parent
    with pytest.raises(InputError, match="'scratch' and 'run' were trained on different examples"):
        evaluate_runs(tmp_path, [run, trunk.path.parent], device="cpu")
    with pytest.raises(InputError, match="'run' has no output 'GABPA'; it has: ELF1, SPI1, MAX"):
        evaluate_runs(tmp_path, [trunk.path.parent], examples=run / "examples", allow_seen=True)
    with pytest.raises(InputError, match="none of the runs holds examples"):
        evaluate_runs(tmp_path, [pair["scratch"].path], device="cpu")
    with pytest.raises(InputError, match="expected an evaluation"):
        open_predictions(tmp_path / "none")


def test_a_task_without_positives_has_a_reason(
    pair: dict[str, Bundle], target_examples: ExampleSet, tmp_path: Path
) -> None:
    import dataclasses

    labels = np.minimum(target_examples.labels, 0)
    folder = save_examples(tmp_path / "set", dataclasses.replace(target_examples, labels=labels))
    result = evaluate_runs(tmp_path / "e", _runs(pair), examples=folder, device="cpu")
    row = result.models[0].tasks["GABPA"]
    assert row["aucpr"] is None
    assert row.why.startswith("no positives among")


def test_names(tmp_path: Path) -> None:
    (tmp_path / "a" / "x").mkdir(parents=True)
    (tmp_path / "b" / "x").mkdir(parents=True)
    (tmp_path / "p=q").mkdir()
    a, b = tmp_path / "a" / "x", tmp_path / "b" / "x"
    assert named_runs([a, f"other={b}"]) == {"x": Named(a), "other": Named(b, given=True)}
    assert named_runs([tmp_path / "p=q"]) == {"p=q": Named(tmp_path / "p=q")}
    with pytest.raises(InputError, match=r"two runs are called 'x'; name them: NAME="):
        named_runs([a, b])


def test_as_published_is_the_forward_strand_called_at_one_half(
    pair: dict[str, Bundle], target_examples: ExampleSet, tmp_path: Path
) -> None:
    own = evaluate_runs(tmp_path / "own", _runs(pair)[:1], device="cpu")
    found = evaluate_runs(tmp_path / "p", _runs(pair)[:1], protocol="published", device="cpu")
    rows = target_examples.rows("test")
    codes = target_examples.codes[rows]
    logits = score_codes(pair["transfer"].model, codes, strands="forward")[:, 0]
    assert np.allclose(open_predictions(tmp_path / "p")["transfer GABPA"], logits, atol=1e-5)
    score = found["transfer"].tasks["GABPA"]
    assert 0 < score.threshold < 1e-40
    assert score.temperature == 1.0
    called = np.round(1 / (1 + np.exp(-logits))) == 1
    assert score["tp"] == int((called & (target_examples.labels[rows, 0] == 1)).sum())
    assert json.loads((tmp_path / "p" / "metrics.json").read_text())["as"] == "published"
    assert open_evaluation(tmp_path / "p") == found != own
    with pytest.raises(InputError, match="no protocol 'publisht'; there are: own, published"):
        evaluate_runs(tmp_path / "x", _runs(pair)[:1], protocol="publisht", device="cpu")


def test_one_half_is_called_unbound_as_published(trunk: Bundle, monkeypatch: Any) -> None:
    """Their ``np.round`` makes a probability of 0.5 a 0; ours calls at and above the threshold."""
    values = np.array([[-1e-3], [0.0], [1e-3]], dtype=np.float32)
    monkeypatch.setattr(baselines, "score_codes", lambda *_, **__: values)
    scored = baselines.score_model(trunk, values, [0], protocol="published")
    table = confusion([0, 0, 1], scored.logits[:, 0], scored.thresholds[0])
    assert table == (1, 0, 2, 0)
    assert np.round(1 / (1 + np.exp(-values[:, 0]))).tolist() == [0, 0, 1]


@pytest.mark.parametrize("by", ["chromosome", "random"])
def test_what_a_trunk_of_another_assembly_has_seen_is_told_by_its_bases(
    world, trunk: Bundle, tmp_path: Path, by: str
) -> None:
    """The genome shifted by 999 bp is another assembly: there the trunk's places are others."""
    write_fasta(
        tmp_path / "g.fa", {name: "A" * 999 + text for name, text in read_fasta(world.genome_path)}
    )
    table = world.matrix.regions
    bound = world.matrix.states(["GABPA"], rule="sparse")[:, 0] == 1
    moved = table.assign(start=table["start"] + 999, end=table["end"] + 999)
    data = examples_for(
        FromPeaks(peaks=moved[bound], open_regions=moved, genome=Genome(tmp_path / "g.fa")),
        trunk,
        holdout=HoldOut.of(trunk, Split(by=by, seed=1) if by == "random" else None, "off"),
    )
    place = ["chrom", "start", "end", "part"]
    own = data.regions[data.regions["part"] != "test"]
    fingerprints = {
        part: np.union1d(distinct_fingerprints(data.codes[data.rows(part)]), theirs)
        for part, theirs in trunk.seen().items()
    }
    model = SimpleNamespace(
        regions=lambda: pd.concat([own[place], trunk.regions()[place]], ignore_index=True),
        seen=lambda: fingerprints,
        card=SimpleNamespace(examples=data.content_hash(), assembly=None),
    )
    seen, neighbours = SharedExamples({"": data}, {}, "test").seen(model)  # type: ignore[arg-type]
    held = data.regions[data.regions["part"] == "test"]
    back = held.assign(start=held["start"] - 999, end=held["end"] - 999)
    theirs = int(overlaps_any(back, trunk.regions()).sum())
    assert neighbours == int(overlaps_any(held, own).sum())
    assert abs(seen - theirs) <= 0.1 * len(held)
    assert (theirs > 0.3 * len(held)) == (by == "random")  # by place hardly any would be found


def test_neighbours_of_a_random_split_are_counted_not_refused(
    target_examples: ExampleSet, short_strategy: Callable[..., str], tmp_path: Path
) -> None:
    """Only for the model that was trained on that very set; a trunk's regions stay refused."""
    import dataclasses

    part = np.random.default_rng(0).permutation(target_examples.regions["part"].to_numpy())
    regions = target_examples.regions.assign(part=part)
    first, second = np.flatnonzero(part == "test")[0], np.flatnonzero(part == "train")[0]
    columns = [regions.columns.get_loc(name) for name in ("chrom", "start", "end")]
    regions.iloc[first, columns] = regions.iloc[second, columns]
    regions.iloc[first, columns[1:]] += 50  # a neighbour, by half a window
    codes = np.array(target_examples.codes)
    codes[first, :50] = codes[second, 50:]
    data = dataclasses.replace(
        target_examples,
        codes=codes,
        regions=regions,
        facts={**target_examples.facts, "split": {"by": "random", "seed": 0}},
    )
    run = tmp_path / "run"
    finetune(run, data, None, strategy=short_strategy("scratch"), device="cpu", precision="float32")
    found = evaluate_runs(tmp_path / "e", [run], device="cpu")
    assert found["run"].seen == 0
    assert found["run"].neighbours >= 1
    moved = dataclasses.replace(data, labels=1 - np.abs(data.labels))  # another set, same regions
    other = save_examples(tmp_path / "other", moved)
    with pytest.raises(InputError, match="model 'run' was trained or validated on"):
        evaluate_runs(tmp_path / "f", [run], examples=other, device="cpu")
