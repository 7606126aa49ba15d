"""Reading evaluation folders and tables, resampling regions, writing, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.evaluation.compare_runs import compare_runs, in_words
from cistransfer.evaluation.regions import compare_regions, compare_scores
from cistransfer.evaluation.results import Evaluation, ModelScore, TaskScore, open_evaluation
from cistransfer.evaluation.tidy import metric_columns, read_results
from cistransfer.metrics.curves import aucpr
from cistransfer.metrics.table import METRICS, Metric, per_task_metrics
from cistransfer.storage import write_json

MODELS = {"good": ("finetune", 2.0), "poor": ("scratch", 0.7)}


def evaluation(
    folder: Path,
    *,
    seed: int = 0,
    models: dict[str, tuple[str | None, float]] = MODELS,
    examples: str = "sha256:1",
    tasks: tuple[str, ...] = ("A", "B", "one"),
    trained: str | None = None,
    named: bool = False,
) -> Path:
    """Write an evaluation folder as `cistransfer evaluate` does; task "one" has one class."""
    generator = np.random.default_rng(seed)
    n = 300
    labels = generator.integers(-1, 2, (n, len(tasks))).astype(np.int8)
    labels[:, [task == "one" for task in tasks]] = 0
    start = np.arange(n) * 200
    table = pd.DataFrame({"chrom": "chr1", "start": start, "end": start + 200})
    for column, task in enumerate(tasks):
        table[f"label {task}"] = labels[:, column]
    listed: list[dict[str, Any]] = []
    for name, (strategy, shift) in models.items():
        logits = generator.normal((labels == 1) * shift - 0.5, 1).astype(np.float32)
        for column, task in enumerate(tasks):
            table[f"{name} {task}"] = logits[:, column]
        metrics = per_task_metrics(labels, logits, tasks, 0.3, 1.5)
        rows = json.loads(metrics.drop(columns="task").to_json(orient="records"))
        listed.append(
            {
                "name": name,
                "strategy": strategy,
                "run": trained or str(folder / name),
                **({"named": True} if named else {}),
                "metrics": dict(zip(tasks, rows, strict=True)),
            }
        )
    folder.mkdir(parents=True)
    table.to_parquet(folder / "predictions.parquet", index=False)
    write_json(
        folder / "metrics.json",
        {"kind": "evaluation", "examples": examples, "tasks": list(tasks), "models": listed},
    )
    return folder


def test_an_evaluation_becomes_tidy(tmp_path: Path) -> None:
    found = read_results([evaluation(tmp_path / "run")])
    assert found[["run", "tf", "strategy", "examples"]].to_numpy().tolist() == [
        ["run", tf, strategy, "sha256:1"]
        for strategy in ("finetune", "scratch")
        for tf in ("A", "B", "one")
    ]
    assert set(METRICS) == set(metric_columns(found))
    assert found["aucpr"].isna().tolist() == [False, False, True] * 2
    assert "seed" not in found


def test_models_of_one_strategy_go_by_their_names(tmp_path: Path) -> None:
    models = {"x": ("finetune", 2.0), "y": ("finetune", 1.0), "z": (None, 0.5)}
    found = read_results([evaluation(tmp_path / "run", models=models)])
    assert found["strategy"].unique().tolist() == ["x", "y", "z"]
    models = (ModelScore("a", "s", {}), ModelScore("b", None, {}))
    assert Evaluation("", "test", (), models).labels == {"a": "s", "b": "b"}


def test_repeats_on_the_same_examples_are_paired_in_order(tmp_path: Path) -> None:
    runs = [evaluation(tmp_path / name, seed=seed) for seed, name in enumerate("pq")]
    found = read_results(runs)
    assert found.groupby("run")["seed"].unique().map(list).to_dict() == {"p": ["0"], "q": ["1"]}
    alone = {"poor": ("scratch", 0.7)}
    other = {"good": ("finetune", 2.0)}
    apart = [
        evaluation(tmp_path / "u", models=alone),
        evaluation(tmp_path / "v", models=other, seed=1),
    ]
    found = compare_runs(apart, draws=0)["comparison"]
    assert found[["strategy", "pairs", "wins"]].to_numpy().tolist() == [["finetune", 2, 2]]


def test_given_names_are_kept_and_may_be_the_reference(tmp_path: Path) -> None:
    """Two trunks fine-tuned by one strategy are two rows, in one evaluation or in two."""
    apart = [
        evaluation(tmp_path / name, models={name: ("finetune", shift)}, seed=seed, named=True)
        for seed, (name, shift) in enumerate({"near": 2.0, "far": 0.7}.items())
    ]
    row = compare_runs(apart, draws=0, reference="far")["comparison"].iloc[0]
    assert (row["strategy"], row["reference"], row["pairs"]) == ("near", "far", 2)
    assert row["wins"] == 2
    together = evaluation(tmp_path / "both", models={"x": ("finetune", 2.0), "y": ("scratch", 0.5)})
    tables = compare_runs([together], draws=10, reference="y")  # the model's name will do
    assert set(tables["comparison"]["reference"]) == {"scratch"}
    assert tables["regions"].query("strategy == 'scratch'")["difference"].isna().all()
    with pytest.raises(InputError, match="no strategy 'z' in the results"):
        compare_runs([together], draws=0, reference="z")


def test_an_evaluation_survives_its_file(tmp_path: Path) -> None:
    found = open_evaluation(evaluation(tmp_path / "run", named=True))
    assert Evaluation.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert found["good"].named
    score = found["good"].tasks["A"]
    assert score.n == score["n"] == score["tp"] + score["fp"] + score["tn"] + score["fn"]
    assert score["aucpr"] > score["prevalence"]
    assert score.beats_chance
    assert not found["good"].tasks["one"].beats_chance
    assert found["good"].tasks["one"]["aucpr"] is None
    assert repr(score).startswith("TaskScore(AUCPR 0.")
    assert repr(found) == "Evaluation(good, poor on the test part: A, B, one)"
    for wrong, ask in (("goo", found), ("aucrp", score)):
        with pytest.raises(InputError, match=r"nearest: (good|aucpr)"):
            ask[wrong]


def test_chance_is_what_a_random_ranking_reaches() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], [60, 90])
    won = []
    for _ in range(400):
        row = per_task_metrics(labels[:, None], rng.normal(size=(150, 1)), ["A"]).iloc[0]
        won.append(TaskScore.from_json(row.to_dict()).beats_chance)
    assert 0.005 < np.mean(won) < 0.05


def test_a_metric_is_added_in_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def top(labels, scores, weights=None) -> float:
        """Whether the highest score is bound."""
        return float(np.asarray(labels)[np.argmax(scores)] == 1)

    toy = Metric("top", "best region bound", top, "ranking", shown="summary")
    monkeypatch.setitem(METRICS, "top", toy)
    run = evaluation(tmp_path / "run", tasks=("A",))
    assert open_evaluation(run)["good"].tasks["A"]["top"] in (0.0, 1.0)
    assert "top" in open_evaluation(run).lines()[0]
    tables = compare_runs([run], metric="top", draws=5)
    assert {"value", "low"} <= set(tables["regions"])
    assert run_app(app, ["compare", str(run), "--metric", "top", "--resamples", "0"]) == 0
    assert "best region bound against scratch" in capsys.readouterr().out


def test_a_model_evaluated_twice_on_the_same_examples_counts_once(tmp_path: Path) -> None:
    one = {"poor": ("scratch", 0.7)}
    runs = [evaluation(tmp_path / name, models=one, trained="model") for name in "pq"]
    assert len(read_results(runs)) == 3
    other = evaluation(tmp_path / "r", models=one, trained="model", examples="sha256:2")
    assert len(read_results([*runs, other])) == 6


def test_one_result_of_each_is_judged_by_its_regions(tmp_path: Path) -> None:
    tables = compare_runs([evaluation(tmp_path / "run", tasks=("A",))], draws=20)
    text = in_words(tables, "aucpr", "scratch", 0.9)
    assert text.startswith("AUCPR on the test regions, with 90 % intervals")
    assert text.count("| finetune") == 1
    assert "no test" not in text
    without = compare_runs([tmp_path / "run"], draws=0)
    assert "one draw: no test" in in_words(without, "aucpr", "scratch", 0.95)


def test_unlike_examples_are_draws_of_their_own(tmp_path: Path) -> None:
    runs = [
        evaluation(tmp_path / str(seed), seed=seed, examples=f"sha256:{seed}", tasks=("A",))
        for seed in range(6)
    ]
    found = compare_runs(runs, draws=0, reference="scratch")["comparison"].iloc[0]
    assert (found["unit"], found["pairs"], found["wins"]) == ("draw", 6, 6)
    assert found["wilcoxon_p"] == 2 / 2**6


@pytest.mark.parametrize("metric", METRICS)
def test_regions_give_the_same_values_as_the_evaluation(tmp_path: Path, metric: str) -> None:
    folder = evaluation(tmp_path / "run")
    found = compare_regions(folder, metric, draws=40).set_index(["tf", "strategy"])
    stored = read_results([folder]).dropna(subset=["aucpr"]).set_index(["tf", "strategy"])
    assert list(found.index) == [(tf, s) for tf in "AB" for s in ("finetune", "scratch")]
    for key, row in found.iterrows():
        assert row["value"] == pytest.approx(stored.loc[key, metric])
        assert row["low"] <= row["value"] + 0.05
        assert row["low"] < row["high"]
    assert found["difference"].isna().tolist() == [False, True, False, True]
    gap = found["value"].xs("A").loc["finetune"] - found["value"].xs("A").loc["scratch"]
    assert found.loc[("A", "finetune"), "difference"] == pytest.approx(gap)


def test_paired_differences_are_sharper_than_their_parts() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 400)
    scores = generator.normal(labels, 1)
    found = compare_scores(
        labels, {"near": scores + generator.normal(0, 0.1, 400), "base": scores}, draws=200
    )
    row = found.set_index("strategy").loc["base"]  # the reference is the first
    assert row["difference"] == pytest.approx(aucpr(labels, scores) - found.loc[0, "value"])
    width = row["difference_high"] - row["difference_low"]
    assert width < (row["high"] - row["low"]) / 3


def test_everything_is_written(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = [
        {"tf": tf, "size": size, "draw": draw, "strategy": strategy, "aucpr": value}
        for tf in ("A", "B", "C")
        for size in (50, 500)
        for draw in range(3)
        for strategy, value in (
            ("scratch", 0.6 + generator.normal(0, 0.01)),
            ("finetune", 0.8 + generator.normal(0, 0.01)),
        )
    ]
    rows += [{"tf": tf, "strategy": "pwm", "aucpr": 0.7} for tf in ("A", "B", "C")]
    rows += [{"tf": tf, "size": "all", "strategy": "full", "aucpr": 0.9} for tf in ("A", "B", "C")]
    path = tmp_path / "results.tsv"
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False)
    tables = compare_runs([path], out=tmp_path / "out", figures="svg")
    assert list(tables) == ["results", "comparison", "summary", "groups", "recovery"]
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {
        *(f"{name}.tsv" for name in tables),
        "recovery_by_tf.tsv",
        "comparison.md",
        "boxes_by_size.svg",
        "size_curve.svg",
        "difference_by_size.svg",
        "recovery.svg",
    }
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "summary.tsv").write_text("mine")
    with pytest.raises(InputError, match="or an earlier comparison"):
        compare_runs([path], out=tmp_path / "mine")
    text = (tmp_path / "out" / "comparison.md").read_text()
    assert "| 50   | finetune | scratch" in text
    again = pd.read_csv(tmp_path / "out" / "comparison.tsv", sep="\t", dtype={"size": str})
    assert again["difference"].tolist() == pytest.approx(
        tables["comparison"]["difference"].tolist(), rel=1e-5
    )
    # what was written can be compared again
    second = compare_runs([tmp_path / "out"])
    assert second["comparison"]["pairs"].tolist() == tables["comparison"]["pairs"].tolist()
    recovered = tables["recovery"].set_index(["size", "strategy"])["median"]
    assert recovered["50", "finetune"] == pytest.approx(0.5, abs=0.1)


def test_command_prints_the_table_and_equals_the_function(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = evaluation(tmp_path / "run")
    out = tmp_path / "out"
    arguments = ["compare", str(run), "--resamples", "20", "--out", str(out)]
    assert run_app(app, arguments) == 0
    printed = capsys.readouterr().out
    assert "| finetune | scratch" in printed
    assert (out / "config.json").is_file()
    assert (out / "regions.tsv").is_file()
    assert run_app(app, [*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    expected = compare_runs([run], draws=20)["regions"]
    assert [row["value"] for row in result["regions"]] == expected["value"].tolist()
    assert result["regions"][1]["difference"] is None
    assert run_app(app, ["compare", str(run), "--metric", "aucrp"]) == 2
    assert "nearest: aucpr" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda path: path.mkdir(), "no results; expected metrics.json"),
        (lambda path: None, "no such file or folder"),
        (lambda path: (path / "bundle").mkdir(parents=True), "a trained model; first: cistransfer"),
        (lambda path: path.write_text("x"), "expected .json, .tsv, .csv or .parquet"),
    ],
)
def test_paths_without_results_are_refused(tmp_path: Path, prepare: Any, message: str) -> None:
    prepare(tmp_path / "run")
    with pytest.raises(InputError, match=message):
        read_results([tmp_path / "run"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", '{"kind": "pretrain"}', "expected the metrics.json of"),
        ("a.json", '{"kind": "evaluation"}', "expected an evaluation"),
        ("a.json", '{"kind": "evaluation", "models": []}', "holds no models"),
        ("a.json", '{"kind": "evaluation", "models": [{"name": "x"}]}', "expected an evaluation"),
        ("a.json", "[", "not valid JSON"),
        ("a.tsv", "tf\tstrategy\n", "the table has no rows"),
        ("a.tsv", "gene\tstrategy\nA\tx\n", "expected a column 'tf', found: gene, strategy"),
        ("a.csv", "tf,strategy\nA,x,1,2\nB\nC,y,1,2,3,4\n", "not a readable table"),
        ("a.parquet", "no", "damaged, or no Parquet file"),
        ("a.tsv", "", "not a readable table"),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_results([path])
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_run_given_twice_and_no_run_are_refused(tmp_path: Path) -> None:
    run = evaluation(tmp_path / "run")
    with pytest.raises(InputError, match="given twice"):
        read_results([run, tmp_path / "." / "run"])
    with pytest.raises(InputError, match="at least one run"):
        read_results([])
    with pytest.raises(InputError, match="expected one of png, svg, pdf"):
        compare_runs([run], figures="gif")


def test_regions_refuse_what_is_missing(tmp_path: Path) -> None:
    run = evaluation(tmp_path / "run")
    with pytest.raises(InputError, match="no metric 'acu'"):
        compare_regions(run, "acu")
    predictions = pd.read_parquet(run / "predictions.parquet")
    predictions.drop(columns="poor A").to_parquet(run / "predictions.parquet")
    with pytest.raises(InputError, match="expected a column 'poor A'; nearest: poor B"):
        compare_regions(run, draws=5)
    (run / "predictions.parquet").unlink()
    with pytest.raises(InputError, match=r"predictions.parquet: no such file"):
        compare_regions(run)
    only = evaluation(tmp_path / "only", tasks=("one",))
    with pytest.raises(InputError, match="no task has both positives and negatives"):
        compare_regions(only)
