"""Baselines on the examples of an evaluation: what they are fitted on, and that they still rank."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cistransfer.baselines.motif import log_occupancy
from cistransfer.baselines.registry import fit_baseline, score_baseline
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.evaluation.baselines import BASELINES, Scored, mode_motifs, score_by, sibling
from cistransfer.evaluation.regions import aucpr_intervals
from cistransfer.evaluation.runs import evaluate_runs, open_predictions
from cistransfer.examples.dataset import ExampleSet
from cistransfer.genome.bed import regions_table
from cistransfer.metrics.bootstrap import bootstrap_values, percentile_interval
from cistransfer.metrics.curves import aucpr, auroc
from cistransfer.metrics.thresholded import confusion, mcc
from cistransfer.models.bundle import Bundle, open_bundle, weights_hash
from cistransfer.models.score import score_codes
from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.names import motif_tfs
from cistransfer.motifs.pwm import PWM
from cistransfer.relatives.modes import BindingModes, modes_from_pairs
from cistransfer.training.finetune import finetune

NAMES = ("prevalence", "gc", "motif", "kmer")
N, WINDOW = 240, 40


def site(text: str, name: str = "1", alt_name: str = "A") -> PWM:
    return PWM(name, np.eye(4)[["ACGT".index(base) for base in text]] * 0.8 + 0.05, alt_name)


PWMS = [site("TGACTCA", "1", "A"), site("GGGAAC", "2", "B")]


def planted(seed: int = 0) -> ExampleSet:
    """Two tasks, each with its site in most bound windows; every fourth window is for test."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (N, WINDOW), dtype=np.uint8)
    labels = (rng.random((N, 2)) < 0.5).astype(np.int8)
    for task, (text, at) in enumerate((("TGACTCA", 3), ("GGGAAC", 25))):
        word = ["ACGT".index(base) for base in text]
        for row in np.flatnonzero((labels[:, task] == 1) & (rng.random(N) < 0.8)):
            codes[row, at : at + len(word)] = word
    labels[rng.random((N, 2)) < 0.1] = -1
    part = np.tile(["train", "test", "valid", "train"], N // 4).astype(object)
    start = np.arange(N) * 100
    regions = regions_table(["chr1"] * N, start, start + WINDOW, part=part)
    return ExampleSet(codes, labels, regions, ("A", "B"), {})


@pytest.fixture(scope="module")
def data() -> ExampleSet:
    return planted()


@pytest.fixture(scope="module")
def rungs(data: ExampleSet) -> dict[str, Scored]:
    return {name: score_by(name, data, data.codes, pwms=PWMS, seed=1) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_ranking_is_the_baselines_own(
    name: str, rungs: dict[str, Scored], data: ExampleSet
) -> None:
    train = data.rows("train")
    for task in range(2):
        fitted = fit_baseline(
            name, data.codes[train], data.labels[train, task], seed=1, pwms=[PWMS[task]]
        )
        raw = score_baseline(fitted, data.codes)
        scaled = rungs[name].logits[:, task]
        assert scaled.dtype == np.float32
        assert np.isfinite(scaled).all()
        order = np.argsort(raw, kind="stable")
        assert (np.diff(scaled[order]) >= 0).all()
        for row, other in ((aucpr, 1e-6), (auroc, 1e-6)):
            labels = data.labels[:, task]
            assert row(labels, scaled) == pytest.approx(row(labels, raw), abs=other)
        held = scaled[data.rows("valid")]
        if name == "prevalence":
            assert np.ptp(held) == 0
        else:
            assert held.mean() == pytest.approx(0, abs=1e-5)
            assert held.std() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_labels_of_the_test_part_change_nothing(
    name: str, rungs: dict[str, Scored], data: ExampleSet
) -> None:
    labels = data.labels.copy()
    labels[data.rows("test")] = np.where(labels[data.rows("test")] == 1, 0, 1)
    other = score_by(name, dataclasses.replace(data, labels=labels), data.codes, pwms=PWMS, seed=1)
    for entry in ("logits", "thresholds", "temperatures"):
        assert np.array_equal(getattr(other, entry), getattr(rungs[name], entry)), entry


@pytest.mark.parametrize("name", ["gc", "kmer"])
def test_sequences_of_the_test_part_change_nothing_for_others(
    name: str, rungs: dict[str, Scored], data: ExampleSet
) -> None:
    codes = data.codes.copy()
    codes[data.rows("test")] = 0
    changed = dataclasses.replace(data, codes=codes)
    valid = data.rows("valid")
    found = score_by(name, changed, codes[valid], pwms=PWMS, seed=1)
    assert np.allclose(found.logits, rungs[name].logits[valid], atol=1e-6)
    assert np.array_equal(found.thresholds, rungs[name].thresholds)


@pytest.mark.parametrize("name", NAMES)
def test_the_threshold_comes_from_validation(
    name: str, rungs: dict[str, Scored], data: ExampleSet
) -> None:
    """No cut between two validation scores has a better MCC there."""
    valid = data.rows("valid")
    for task in range(2):
        labels, scores = data.labels[valid, task], rungs[name].logits[valid, task]

        def merit(cut: float, labels=labels, scores=scores) -> float:  # type: ignore[no-untyped-def]
            return mcc(confusion(labels, scores, cut))

        best = max(merit(float(cut)) for cut in [*scores, scores.max() + 1])
        assert merit(rungs[name].thresholds[task]) == pytest.approx(best, abs=1e-9)
        assert rungs[name].temperatures[task] > 0


def test_labels_of_validation_move_only_threshold_and_temperature(
    rungs: dict[str, Scored], data: ExampleSet
) -> None:
    labels = data.labels.copy()
    valid = data.rows("valid")
    labels[valid] = np.where(labels[valid] >= 0, 1 - labels[valid], -1)
    other = score_by("kmer", dataclasses.replace(data, labels=labels), data.codes, seed=1)
    assert np.array_equal(other.logits, rungs["kmer"].logits)
    assert (other.thresholds != rungs["kmer"].thresholds).all()
    assert (other.temperatures > rungs["kmer"].temperatures).all()  # it is wrong there now


def test_each_task_has_its_own_motif(rungs: dict[str, Scored], data: ExampleSet) -> None:
    test = data.rows("test")
    for task in range(2):
        own, other = (auroc(data.labels[test, task], rungs["motif"].logits[test, at])
                      for at in (task, 1 - task))  # fmt: skip
        assert own > 0.75 > other
    with pytest.raises(InputError, match="no motif of 'B' among the 2"):
        score_by("motif", data, data.codes, pwms=[PWMS[0], site("ACGTAC", "3", "C")])
    # a single motif is whatever the user means by it
    alone = score_by("motif", data, data.codes, pwms=[site("TGACTCA", "1", "something")], seed=1)
    assert np.allclose(alone.logits[:, 0], rungs["motif"].logits[:, 0], atol=1e-5)


def test_what_cannot_be_fitted_or_scaled(data: ExampleSet) -> None:
    with pytest.raises(InputError, match=r"no baseline 'gcc'; nearest: .*gc"):
        score_by("gcc", data, data.codes)
    with pytest.raises(InputError, match="motif"):
        score_by("motif", data, data.codes)
    labels = data.labels.copy()
    labels[data.rows("valid"), 1] = 0
    with pytest.raises(InputError, match=r"^B: the valid part needs both classes to scale 'gc'$"):
        score_by("gc", dataclasses.replace(data, labels=labels), data.codes)
    labels = data.labels.copy()
    labels[data.rows("train"), 0] = 1
    with pytest.raises(InputError):
        score_by("gc", dataclasses.replace(data, labels=labels), data.codes)


@pytest.fixture(scope="module")
def run(
    target_examples: ExampleSet,
    short_strategy: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("ladder") / "scratch"
    finetune(
        folder, target_examples, None, strategy=short_strategy(), device="cpu", precision="float32"
    )
    return folder


def test_evaluations_with_baselines(run: Path, target_examples: ExampleSet, tmp_path: Path) -> None:
    without = evaluate_runs(tmp_path / "a", [run], device="cpu")
    result = evaluate_runs(tmp_path / "b", [run], baselines=["prevalence", "gc"], device="cpu")
    assert json.loads((tmp_path / "b" / "metrics.json").read_text()) == result.to_json()
    assert [model.name for model in result.models] == ["scratch", "prevalence", "gc"]
    assert result.models[:1] == without.models  # baselines change no model
    assert [model.run for model in result.models[1:]] == [None, None]
    assert [model.strategy for model in result.models[1:]] == ["prevalence", "gc"]
    test = target_examples.rows("test")
    labels = target_examples.labels[test, 0]
    expected = score_by("gc", target_examples, target_examples.codes[test])
    table = open_predictions(tmp_path / "b")
    assert np.array_equal(table["gc GABPA"], expected.logits[:, 0])
    row = result.models[2].tasks["GABPA"]
    assert row["threshold"] == expected.thresholds[0]
    assert row["auroc"] == pytest.approx(auroc(labels, expected.logits[:, 0]))
    chance = result.models[1].tasks["GABPA"]
    assert chance["auroc"] == 0.5
    assert chance["average_precision"] == pytest.approx(chance["prevalence"])
    assert pd.read_csv(tmp_path / "b" / "metrics.tsv", sep="\t")["model"].tolist() == [
        "scratch", "prevalence", "gc",
    ]  # fmt: skip


def test_a_motif_counts_as_the_pwm_of_a_study(run: Path, tmp_path: Path) -> None:
    result = evaluate_runs(
        tmp_path, [run], baselines=["motif"], pwms=[site("CCGGAAGT", "1", "x")], device="cpu"
    )
    assert result.models[1].strategy == "pwm"


def test_names_must_differ(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a run is called 'gc' like a baseline"):
        evaluate_runs(tmp_path, [f"gc={run}"], baselines=["gc"], device="cpu")


def test_seen_regions_are_on_record(
    run: Path, trunk: Bundle, target_examples: ExampleSet, tmp_path: Path
) -> None:
    """A report must be able to tell a held-out evaluation from another one."""
    for part, seen in (("test", 0), ("valid", len(target_examples.rows("valid")))):
        result = evaluate_runs(
            tmp_path / part, [run], baselines=["gc"], part=part, allow_seen=True, device="cpu"
        )
        assert [model.seen for model in result.models] == [seen, seen]


def test_a_sibling_reads_one_output_of_the_trunk(
    trunk: Bundle, target_examples: ExampleSet
) -> None:
    """The one that ranks the training part best, or the task's own; nothing is trained."""
    before = weights_hash(trunk.model)
    train, test = target_examples.rows("train"), target_examples.rows("test")
    merits = {
        name: auroc(target_examples.labels[train, 0], values)
        for name, values in zip(
            trunk.tasks, score_codes(trunk.model, target_examples.codes[train]).T, strict=True
        )
    }
    rung, read = sibling(trunk, target_examples, target_examples.codes[test])
    assert read == [max(merits, key=lambda name: merits[name])]
    raw = score_codes(trunk.model, target_examples.codes[test])[:, trunk.tasks.index(read[0])]
    assert (np.diff(rung.logits[np.argsort(raw, kind="stable"), 0]) >= 0).all()
    own = dataclasses.replace(target_examples, tasks=("MAX",))
    assert sibling(trunk, own, target_examples.codes[test])[1] == ["MAX"]
    labels = target_examples.labels.copy()
    labels[test] = 1 - labels[test]
    other, _ = sibling(
        trunk, dataclasses.replace(target_examples, labels=labels), target_examples.codes[test]
    )
    assert np.array_equal(other.logits, rung.logits)
    assert np.array_equal(other.thresholds, rung.thresholds)
    assert weights_hash(trunk.model) == before


def relatives() -> tuple[list[PWM], BindingModes]:
    """A target's own motif, a heterodimer of it, two relatives and a stranger."""
    pwms = [
        site("TGACTCA", "1", "A"),
        site("TGACTCC", "2", "A::C"),
        site("TGACTGA", "3", "C"),
        site("TCACTAA", "4", "D"),
        site("GGGAAC", "5", "B"),
    ]
    return pwms, modes_from_pairs("a table", [("A", "1"), ("C", "1"), ("D", "1"), ("B", "2")])


def test_mode_motifs_are_the_relatives_and_never_the_tfs_own() -> None:
    pwms, modes = relatives()
    assert [pwm.name for pwm in mode_motifs("a", pwms, modes)] == ["3", "4"]
    assert [pwm.name for pwm in mode_motifs("D", pwms, modes)] == ["1", "2", "3"]
    with pytest.raises(InputError, match="no motif of another TF in the binding mode of B"):
        mode_motifs("B", pwms, modes)
    with pytest.raises(InputError, match="a table has no binding mode of 'E'"):
        mode_motifs("E", pwms, modes)


def test_clustered_motifs_count_by_motif(shared_data: Path) -> None:
    """A TF of two modes lends only the motif that lies in the target's mode."""
    pwms = read_motifs(shared_data / "motifs" / "JASPAR2020_CORE_vertebrates_non-redundant.meme")
    tfs = ["TEAD1", "TEAD2", "TEAD3", "TEAD4", "HNF4A", "HNF4G", "NR2F1", "SRF", "GATA1"]
    some = [pwm for pwm in pwms if set(motif_tfs(pwm)) & set(tfs)]
    found = {name for pwm in mode_motifs("TEAD4", some) for name in motif_tfs(pwm)}
    assert found == {"TEAD1", "TEAD2", "TEAD3"}
    found = {name for pwm in mode_motifs("HNF4A", some) for name in motif_tfs(pwm)}
    assert {"HNF4G", "NR2F1"} <= found
    assert not {"HNF4A", "TEAD4", "SRF"} & found
    with pytest.raises(InputError, match="binding mode of SRF"):
        mode_motifs("SRF", some)


def test_the_best_of_the_mode_is_chosen_in_training(data: ExampleSet) -> None:
    pwms, _ = relatives()
    pair = modes_from_pairs("a table", [("A", "1"), ("C", "1"), ("D", "1"), ("B", "1")])
    found = score_by("mode-motif", data, data.codes, pwms=pwms, modes=pair)
    train = data.rows("train")
    for task, (own, others) in enumerate((("A", pwms[2:]), ("B", pwms[:4]))):
        merits = [
            auroc(data.labels[train, task], log_occupancy(data.codes[train], pwm)) for pwm in others
        ]
        best = others[int(np.argmax(merits))]
        assert found.fitted[task].startswith(f"{best.name} {best.alt_name} "), own
        raw = log_occupancy(data.codes, best)
        assert (np.diff(found.logits[np.argsort(raw, kind="stable"), task]) >= 0).all()
    with pytest.raises(InputError, match="chooses among the motifs of many TFs, found 1"):
        score_by("mode-motif", data, data.codes, pwms=pwms[:1])


def test_a_probe_equals_the_strategy(
    trunk: Bundle, target_examples: ExampleSet, tmp_path: Path
) -> None:
    """The same weights, so the same scores, threshold and temperature."""
    bundle = finetune(tmp_path / "run", target_examples, trunk, strategy="probe", device="cpu")
    result = evaluate_runs(
        tmp_path / "e",
        [f"run={tmp_path / 'run'}"],
        baselines=["probe"],
        trunk=trunk.path,
        allow_seen=True,
        device="cpu",
    )
    table = open_predictions(tmp_path / "e")
    assert np.array_equal(table["run GABPA"], table["probe GABPA"])
    own, other = result.models[:2]
    assert other.tasks == own.tasks
    assert (other.name, other.run, other.strategy) == ("probe", None, "probe")
    assert bundle.thresholds[0] == own.tasks["GABPA"]["threshold"]
    assert result.models[2].name == "sibling"
    assert result.models[2].fitted["GABPA"].startswith("the trunk's output for ")


def test_stack_and_scratch_equal_their_strategies(
    trunk: Bundle, run: Path, target_examples: ExampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = target_examples.codes[target_examples.rows("test")]
    motif = [site("CCGGAAGT", "1", "GABPA")]
    bundle, called = open_bundle(run), {}

    def pretend(folder, data, start, **options):  # type: ignore[no-untyped-def]
        called.update(options, start=start)
        return bundle

    monkeypatch.setattr("cistransfer.evaluation.baselines.finetune", pretend)
    for name, strategy, motifs, start in (
        ("stack", "finetune", motif, trunk), ("scratch", "scratch", (), None),
    ):  # fmt: skip
        found = score_by(name, target_examples, codes, pwms=motif, trunk=start, device="cpu")
        assert np.array_equal(found.logits, score_codes(bundle.model, codes))
        assert (called["strategy"], tuple(called["motifs"])) == (strategy, tuple(motifs))
        assert called["start"] is start


def test_what_needs_a_trunk(run: Path, trunk: Bundle, tmp_path: Path) -> None:
    for name in ("probe", "stack"):
        with pytest.raises(InputError, match=rf"baseline '{name}' reads a trunk's features"):
            evaluate_runs(tmp_path, [run], baselines=[name], device="cpu")
    with pytest.raises(InputError, match="no baseline 'sibling'; give --trunk for it"):
        evaluate_runs(tmp_path, [run], baselines=["sibling"], device="cpu")
    with pytest.raises(InputError, match="a run is called 'sibling' like the trunk's own output"):
        evaluate_runs(tmp_path, [f"sibling={run}"], trunk=trunk.path, device="cpu")
    with pytest.raises(InputError, match="'sibling' comes with --trunk"):
        evaluate_runs(tmp_path, [run], baselines=["sibling"], trunk=trunk.path, device="cpu")
    with pytest.raises(InputError, match="baseline 'gc' is named twice"):
        evaluate_runs(tmp_path, [run], baselines=["gc", "gc"], device="cpu")


def test_help_names_every_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, ["evaluate", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name in BASELINES:
        assert name in said


def test_intervals_of_an_evaluation(run: Path, tmp_path: Path) -> None:
    result = evaluate_runs(tmp_path / "e", [run], baselines=["gc"], device="cpu")
    table = open_predictions(tmp_path / "e")
    for model in result.models:
        row = model.tasks["GABPA"]
        scores = {"the model": table[f"{model.name} GABPA"]}
        (found,) = bootstrap_values(table["label GABPA"], scores).values()
        expected = percentile_interval(*found)
        assert (row["aucpr_low"], row["aucpr_high"]) == pytest.approx(expected[1:])
        assert row["aucpr_low"] <= row["aucpr"] <= row["aucpr_high"]
        assert row["aucpr_block_low"] is None  # a chromosome of less than ten blocks
    frame = pd.read_csv(tmp_path / "e" / "metrics.tsv", sep="\t")
    assert frame["aucpr_low"][0] == pytest.approx(
        result.models[0].tasks["GABPA"]["aucpr_low"], rel=1e-5
    )
    without = evaluate_runs(tmp_path / "f", [run], draws=0, device="cpu")
    assert without.models[0].tasks["GABPA"]["aucpr_low"] is None
    bins = pd.read_csv(tmp_path / "e" / "calibration.tsv", sep="\t")
    part = bins[(bins["model"] == "gc") & (bins["stage"] == "temperature")]
    assert part["n"].sum() == len(table)
    share = (part["n"] * part["observed"]).sum() / len(table)
    assert share == pytest.approx((table["label GABPA"] == 1).mean(), abs=1e-5)


def test_block_intervals_cover_more_than_regions() -> None:
    """Twelve blocks of ten equal regions."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(12) % 2, 10).astype(np.int8)[:, None]
    scores = np.repeat(rng.normal(np.arange(12) % 2, 1), 10).astype(np.float32)[:, None]
    start = np.repeat(np.arange(12), 10) * 1_000_000 + np.tile(np.arange(10) * 300, 12)
    regions = regions_table(["chr1"] * 120, start, start + 200)
    found = aucpr_intervals(regions, labels, {"m": scores}, draws=200).iloc[0]
    assert found["aucpr_block_high"] - found["aucpr_block_low"] > 1.5 * (
        found["aucpr_high"] - found["aucpr_low"]
    )
    few = aucpr_intervals(regions.iloc[:90], labels[:90], {"m": scores[:90]}, draws=20).iloc[0]
    assert few[["aucpr_block_low", "aucpr_block_high"]].isna().all()
    assert few[["aucpr_low", "aucpr_high"]].notna().all()
