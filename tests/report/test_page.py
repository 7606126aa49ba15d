"""The report: one page that needs nothing else and says what the folders say."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.evaluation.compare_runs import compare_runs
from cistransfer.evaluation.results import Evaluation, ModelScore, TaskScore, open_evaluation
from cistransfer.evaluation.runs import evaluate_runs
from cistransfer.examples.dataset import ExampleSet
from cistransfer.figures import as_png
from cistransfer.metrics.table import METRICS, Metric, all_metrics
from cistransfer.models.bundle import Bundle
from cistransfer.report.figures import gc_histogram, learning_curve
from cistransfer.report.numbers import columns, learn_command, metric_rows
from cistransfer.report.page import write_report
from cistransfer.training.finetune import finetune

CPU: dict[str, Any] = {"device": "cpu", "precision": "float32"}
NASTY = "<script>alert('x')</script>&\"q\""


class Page(HTMLParser):
    """Cells of the tables, text, images and the attributes of every element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.words = ""
        self.images: list[dict[str, str | None]] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.drawings: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "img":
            self.images.append(dict(attrs))
        if tag == "svg" and dict(attrs).get("role") == "img":
            self.drawings.append(dict(attrs).get("aria-label") or "")

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] in (["td"], ["th"]) and self.rows:
            self.rows[-1][-1] += data
        if self.tags[-1:] not in (["style"], ["script"]):
            self.words += data

    def table(self, first: str, second: str, number: int = 0) -> list[dict[str, str]]:
        """Rows below the heading that begins with two words, as dictionaries."""
        at = [i for i, row in enumerate(self.rows) if row[:2] == [first, second]][number]
        heading = [cell.strip() for cell in self.rows[at]]
        found = []
        for row in self.rows[at + 1 :]:
            if len(row) != len(heading) or row[0] == first:
                break
            found.append(dict(zip(heading, (cell.strip() for cell in row), strict=True)))
        return found


@pytest.fixture(scope="module")
def runs(
    trunk: Bundle,
    target_examples: ExampleSet,
    short_strategy: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("report runs")
    for name, start, strategy in (
        ("probed", trunk, "probe"),
        ("scratch", None, short_strategy("scratch")),
    ):
        finetune(folder / name, target_examples, start, strategy=strategy, **CPU)
    return {name: folder / name for name in ("probed", "scratch")}


@pytest.fixture(scope="module")
def evaluation(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation") / "e"
    evaluate_runs(
        folder, [runs["probed"], f"{NASTY}={runs['scratch']}"], baselines=["prevalence", "gc"],
        device="cpu",
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def page(evaluation: Path) -> tuple[str, Page]:
    text = write_report(evaluation.parent / "r.html", [evaluation], title=NASTY).read_text()
    return text, Page(text)


def rounded(value: float | int | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def test_it_needs_nothing_else(page: tuple[str, Page]) -> None:
    """No request, and no script but its own, whose hash the page names."""
    text, parsed = page
    for word in ("http:", "https:", "@import", "<link", "<iframe", "xmlns", "<!--"):
        assert word not in text, word
    assert re.findall(r"url\((?!#)", text) == []
    assert {"link", "iframe", "object"}.isdisjoint(parsed.tags)
    for _, name, value in parsed.attributes:
        assert name not in ("src", "srcset") or value.startswith("data:image/png;base64,")
        assert name != "href" or value.startswith(("#", "data:text/tab-separated-values;base64,"))
        assert not name.startswith("on"), name
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert text.index("Content-Security-Policy") < text.index("<style>")


def test_a_screen_reader_finds_its_way(page: tuple[str, Page]) -> None:
    """One heading of the first level, none left out, every figure with words, every id once."""
    text, parsed = page
    levels = [int(tag[1]) for tag in parsed.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert len(parsed.drawings) >= 6
    assert all(parsed.drawings)
    ids = [value for _, name, value in parsed.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {value[1:] for _, name, value in parsed.attributes if name == "href"}
    assert {each for each in targets if not each.startswith("ata:")} <= set(ids)
    assert ("html", "lang", "en") in parsed.attributes
    for tag, name, value in parsed.attributes:
        if tag == "th" and name == "scope":
            assert value in ("col", "row")
    assert parsed.tags.count("th") == sum(name == "scope" for _, name, _ in parsed.attributes)
    assert text.count('class="scroll"') == text.count('tabindex="0"')  # reached by the keyboard


def test_the_numbers_behind_a_figure_are_in_the_page(
    page: tuple[str, Page], evaluation: Path
) -> None:
    _, parsed = page
    tables = [
        pd.read_csv(io.BytesIO(base64.b64decode(value.partition(",")[2])), sep="\t")
        for _, name, value in parsed.attributes
        if name == "href" and value.startswith("data:")
    ]
    first = next(table for table in tables if {"name", "aucpr", "own"} <= set(table.columns))
    scores = {model.name: model.tasks["GABPA"] for model in open_evaluation(evaluation).models}
    for row in first.to_dict("records"):
        assert row["aucpr"] == pytest.approx(scores[row["name"]]["aucpr"], abs=1e-5)
    hovered = [json.loads(value) for _, name, value in parsed.attributes if name == "data-hover"]
    names = {line["name"].split("  ")[0] for each in hovered for panel in each["panels"]
             for line in panel["series"]}  # fmt: skip
    assert {"probed", NASTY, "gc"} <= names


def test_every_number_of_the_evaluation_is_there(page: tuple[str, Page], evaluation: Path) -> None:
    _, parsed = page
    names = {**columns(False), **columns(True)}
    tables = [parsed.table("model", "task", number) for number in (0, 1)]
    models = json.loads((evaluation / "metrics.json").read_text())["models"]
    assert len(tables[0]) == len(tables[1]) == len(models) == 4
    for number, model in enumerate(models):
        shown = {**tables[0][number], **tables[1][number]}
        assert shown["model"] == model["name"]
        for key, value in model["metrics"]["GABPA"].items():
            if key != "why":
                assert shown[names[key]] == rounded(value), key


def test_the_best_of_each_column_is_marked(page: tuple[str, Page], evaluation: Path) -> None:
    text, _ = page
    table = text[text.index("<h3>The numbers") : text.index("Further metrics, counts")]
    scores = [model.tasks["GABPA"] for model in open_evaluation(evaluation).models]
    able = [score for score in scores if score.beats_chance]
    expected = 0
    for name, metric in METRICS.items():
        if metric.shown == "further" or not able:
            continue
        top = max(able, key=lambda score: score["aucpr"])
        may = able if metric.input == "ranking" else [
            score for score in able if score["aucpr"] >= top.interval("aucpr")[0]
        ]  # fmt: skip
        best = (max if metric.better == "high" else min)(score[name] for score in may)
        expected += sum(score[name] == best for score in may)
    assert table.count('class="best"') == expected


def test_what_ranks_no_better_than_chance_wins_nothing() -> None:
    """GC content of matched windows is perfectly calibrated: it knows nothing, and says so."""
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], 100)
    logits = {"model": 1.5 * rng.normal(2 * labels - 1, 1), "gc": rng.normal(0, 0.01, 200)}
    models = tuple(
        ModelScore(name, name, {"A": TaskScore.from_json(all_metrics(labels, values))})
        for name, values in logits.items()
    )
    found = Evaluation("sha256:1", "test", ("A",), models)
    assert found["gc"].tasks["A"]["ece"] < found["model"].tasks["A"]["ece"]
    names = {"ece": "ECE", "aucpr": "AUCPR", "n": "windows"}
    rows = metric_rows(names, found)
    assert [[cell["kind"] for cell in row[2:]] for row in rows] == [
        ["best", "best", ""],
        ["", "", ""],
    ]
    # above chance, but outranked beyond the interval: calibration is not won either
    weak = {**logits, "gc": rng.normal(0.35 * labels, 1) * 0.35}
    rated = {name: all_metrics(labels, values) for name, values in weak.items()}
    rated["model"].update(aucpr_low=rated["model"]["aucpr"] - 0.03, aucpr_high=1.0)
    found = Evaluation("sha256:1", "test", ("A",), tuple(
        ModelScore(name, name, {"A": TaskScore.from_json(row)}) for name, row in rated.items()
    ))  # fmt: skip
    assert found["gc"].tasks["A"].beats_chance
    assert rated["gc"]["ece"] < rated["model"]["ece"]
    kinds = [[cell["kind"] for cell in row[2:]] for row in metric_rows(names, found)]
    assert kinds == [["best", "best", ""], ["", "", ""]]
    alone = Evaluation("sha256:1", "test", ("A",), models[1:])
    assert all(cell["kind"] != "best" for row in metric_rows(names, alone) for cell in row)


def test_a_metric_added_in_one_place_is_known_everywhere(
    runs: dict[str, Path], evaluation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From `evaluate` over `compare` to the report: the row in `METRICS` is all there is."""

    def hits(labels, calls, weights=None) -> float:
        return float(np.average(np.asarray(labels) == np.asarray(calls), weights=weights))

    toy = Metric("hits", "calls that are right", hits, "call", shown="summary", short="hits")
    monkeypatch.setitem(METRICS, "hits", toy)
    found = evaluate_runs(
        tmp_path / "e", [runs["probed"]], baselines=["gc"], draws=0, allow_seen=True, device="cpu"
    )
    score = found.models[0].tasks["GABPA"]
    assert score["hits"] == pytest.approx(score["accuracy"])
    assert "hits" in pd.read_csv(tmp_path / "e" / "metrics.tsv", sep="\t")
    assert "hits" in found.lines()[0]
    compared = compare_runs([tmp_path / "e"], metric="hits", draws=5, out=tmp_path / "c")
    assert compared["regions"]["value"][0] == pytest.approx(score["hits"])
    assert "calls that are right" in (tmp_path / "c" / "comparison.md").read_text()
    page = Page(write_report(tmp_path / "r.html", [tmp_path / "e"]).read_text())
    assert page.table("model", "task")[0]["hits"] == f"{score['hits']:.3f}"
    old = Page(write_report(tmp_path / "old.html", [evaluation]).read_text())
    assert old.table("model", "task")[0]["hits"] == "–"  # it was evaluated before


def test_names_are_escaped(page: tuple[str, Page]) -> None:
    text, parsed = page
    assert NASTY not in text
    assert text.count("<script") == 1
    assert parsed.words.count(NASTY) >= 4  # title, heading, legends, tables …


def test_where_each_model_comes_from(page: tuple[str, Page]) -> None:
    _, parsed = page
    rows = {row["model"]: row for row in parsed.table("model", "strategy")}
    assert list(rows) == ["probed", NASTY, "prevalence", "gc"]
    assert rows["probed"]["strategy"].startswith("probe: ")
    assert rows["probed"]["starts from"] == "trunk pre-trained on ELF1, SPI1, MAX"
    assert rows["probed"]["epochs"] == "1"
    assert rows[NASTY]["starts from"] == "random weights"
    assert re.fullmatch(r"baseline: gc \((highest at GC 0\.\d\d|(high|low)er GC)\)",
                        rows["gc"]["strategy"])  # fmt: skip
    assert re.fullmatch(r"0\.\d{3}", rows["probed"]["validation AUCPR"])


def test_counts_of_examples(page: tuple[str, Page], target_examples: ExampleSet) -> None:
    _, parsed = page
    rows = parsed.table("part", "GABPA bound")
    for row in rows:
        inside = target_examples.rows(row["part"])
        labels = target_examples.labels[inside, 0]
        assert row["GABPA bound"] == f"{(labels == 1).sum():,}"
        assert row["GABPA unbound"] == f"{(labels == 0).sum():,}"
        assert row["chromosomes"] == ", ".join(target_examples.regions["chrom"][inside].unique())
    assert [row["part"] for row in rows] == ["train", "valid", "test", "extra"]


def test_equal_folders_give_equal_pages(
    page: tuple[str, Page], evaluation: Path, tmp_path: Path
) -> None:
    again = write_report(tmp_path / "again.html", [evaluation], title=NASTY)
    assert again.read_text() == page[0]


def test_held_out_or_not(page: tuple[str, Page], runs: dict[str, Path], tmp_path: Path) -> None:
    """The page claims that all is held out only where it is."""
    claim = "except where a section says otherwise"
    assert claim not in page[0]
    evaluate_runs(tmp_path / "v", [runs["probed"]], part="valid", device="cpu")
    text = write_report(tmp_path / "b", [tmp_path / "v"]).read_text()
    assert claim in text
    assert text.count("These are the valid regions; the models have seen them.") == 1


def test_an_evaluation_on_seen_regions_says_so(
    trunk: Bundle, trunk_examples: ExampleSet, tmp_path: Path
) -> None:
    """Several tasks, on the regions that the trunk was trained on, called a test."""
    import dataclasses

    from cistransfer.examples.dataset import save_examples

    inside = trunk_examples.rows("train")[:60]
    data = dataclasses.replace(
        trunk_examples,
        codes=trunk_examples.codes[inside],
        labels=trunk_examples.labels[inside],
        regions=trunk_examples.regions.iloc[inside].assign(part="test").reset_index(drop=True),
    )
    examples = save_examples(tmp_path / "set", data)
    evaluate_runs(
        tmp_path / "e", [f"trunk={trunk.path.parent}"], examples=examples, allow_seen=True,
        device="cpu",
    )  # fmt: skip
    text = write_report(tmp_path / "r.html", [tmp_path / "e"]).read_text()
    assert "trunk or its trunk was trained or validated on 60 of these regions." in text
    assert "except where a section says otherwise" in text


def test_several_tasks_and_one_without_a_metric(
    trunk: Bundle, trunk_examples: ExampleSet, tmp_path: Path
) -> None:
    import dataclasses

    from cistransfer.examples.dataset import save_examples

    labels = trunk_examples.labels.copy()
    labels[:, 1] = 0
    examples = save_examples(tmp_path / "set", dataclasses.replace(trunk_examples, labels=labels))
    result = evaluate_runs(
        tmp_path / "e", [trunk.path.parent], examples=examples, device="cpu"
    )  # fmt: skip
    parsed = Page(write_report(tmp_path / "r.html", [tmp_path / "e"]).read_text())
    rows = parsed.table("model", "task")
    assert [row["task"] for row in rows] == ["ELF1", "SPI1", "MAX"]
    assert rows[1]["AUCPR"] == "–"
    assert rows[1]["windows"] == f"{result.models[0].tasks['SPI1'].n:,}"
    assert result.models[0].tasks["SPI1"].why in parsed.words
    assert "ELF1, SPI1, MAX" in parsed.words
    drawn = [f"Precision and recall, {name}." for name in ("ELF1", "SPI1", "MAX")]
    assert [caption in parsed.drawings for caption in drawn] == [True, False, True]
    cells = [value for tag, name, value in parsed.attributes if tag == "a" and name == "class"]
    assert sum(value.startswith("cell") for value in cells) == 3  # one for each, at a glance


def test_folders_that_are_no_evaluation(
    evaluation: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "r.html"
    with pytest.raises(InputError, match="at least one evaluation"):
        write_report(out, [])
    with pytest.raises(InputError, match=r"metrics\.json: no such file"):
        write_report(out, [runs["probed"]])
    for content in ("[]", "{}", '{"kind": "comparison"}', "7"):
        folder = tmp_path / "other"
        folder.mkdir(exist_ok=True)
        (folder / "metrics.json").write_text(content)
        with pytest.raises(InputError, match="of 'cistransfer evaluate'"):
            write_report(out, [folder])
    half = tmp_path / "half"
    shutil.copytree(evaluation, half)
    (half / "predictions.parquet").unlink()
    with pytest.raises(InputError, match=r"expected an evaluation \(predictions.parquet\)"):
        write_report(out, [half])
    gone = json.loads((evaluation / "metrics.json").read_text())
    gone["models"][0]["run"] = str(tmp_path / "gone")
    shutil.copytree(evaluation, tmp_path / "moved")
    (tmp_path / "moved" / "metrics.json").write_text(json.dumps(gone))
    with pytest.raises(InputError, match="gone: expected a bundle"):
        write_report(out, [tmp_path / "moved"])
    assert not out.exists()


def test_the_verb(evaluation: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["report", str(evaluation), "--out", str(tmp_path / "r.html"), "--title", "Mine"]
    assert run_app(app, [*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"] == str(tmp_path / "r.html")
    assert "<title>Mine</title>" in (tmp_path / "r.html").read_text()
    assert run_app(app, ["report", str(tmp_path), "--out", str(tmp_path / "q.html")]) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "q.html").exists()


def test_the_command_that_repeats_what_was_learned() -> None:
    asked = {"peaks": "a b.bed", "genome": "g.fa", "open_regions": None, "trunk": "general",
             "seed": 0, "final": True}  # fmt: skip
    assert learn_command(asked) == (
        "cistransfer learn --peaks 'a b.bed' --genome g.fa --trunk general --seed 0 --final "
        "--out NEW_FOLDER"
    )


def test_gc_histogram_draws_shares() -> None:
    counts = {"bound": [0, 3, 1, 0], "unbound": [0, 0, 0, 0]}
    (panel,) = gc_histogram(counts).axes
    shares = [patch.get_data() for patch in panel.patches]
    assert shares[0].values.tolist() == [0, 0.75, 0.25, 0]
    assert shares[0].edges.tolist() == [0, 25, 50, 75, 100]
    assert shares[1].values.tolist() == [0, 0, 0, 0]
    assert as_png(gc_histogram(counts)) == as_png(gc_histogram(counts))


@pytest.mark.parametrize("ranked", [True, False])
def test_a_learning_curve_of_a_single_row(runs: dict[str, Path], ranked: bool) -> None:
    """What a probe leaves: no training loss; one dot at epoch 1, with its value."""
    history = pd.read_csv(runs["probed"] / "history.tsv", sep="\t")
    assert len(history) == 1
    assert history["train_loss"].isna().all()
    memory = history.astype({"train_loss": object}).assign(train_loss=None)
    for each in (history, memory):
        panels = learning_curve(each if ranked else each.drop(columns="valid_aucpr")).axes
        columns = ["valid_loss", "valid_aucpr"][: len(panels)]
        assert len(panels) == 1 + ranked
        for panel, column in zip(panels, columns, strict=True):
            assert panel.get_xlim() == (0.5, 1.5)
            assert panel.get_xticks().tolist() == [1]
            dot = panel.lines[-1]
            assert dot.get_xydata().tolist() == [[1, history[column][0]]]
            texts = [text.get_text() for text in panel.texts]
            assert texts == [f"{history[column][0]:.3f}", "probe"]
        assert [text.get_text() for text in panels[0].get_legend().get_texts()] == [
            "validation", "kept",
        ]  # fmt: skip


def test_a_learning_curve_after_a_probe() -> None:
    rows = [("probe", None, 0.41, True), ("tune", None, 0.41, True), ("tune", 0.4, 0.42, False)]
    history = pd.DataFrame(rows, columns=["phase", "train_loss", "valid_loss", "best"])
    (panel,) = learning_curve(history).axes
    assert panel.lines[0].get_ydata()[2] == 0.4
    assert panel.lines[1].get_ydata().tolist() == [0.41, 0.41, 0.42]
    assert panel.lines[2].get_xdata().tolist() == [1, 2]
    assert [text.get_text() for text in panel.texts] == ["probe", "tune"]
