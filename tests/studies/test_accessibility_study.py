"""The accessibility study on toy cells: complete, repeatable, the same for any number of jobs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.evaluation.compare_runs import compare_runs
from cistransfer.examples.dataset import ExampleSet, open_examples, save_examples
from cistransfer.genome.bed import regions_table
from cistransfer.studies.accessibility import accessibility_study
from cistransfer.studies.jobs import Job, run_jobs
from cistransfer.studies.overview import write_overview
from cistransfer.studies.settings import Settings
from cistransfer.training.pretrain import pretrain

Short = Callable[..., str]
WINDOW = 100
MOTIFS = {"A": [0, 2, 0, 3, 0, 0, 1], "B/1": [3, 1, 1, 1, 2, 2, 3]}


def _set(task: str, motif: list[int] | None, seed: int, *, shift: int = 0) -> ExampleSet:
    """Positives hold a motif (or are rich in GC); some negatives are universal."""
    rng = np.random.default_rng(seed)
    n = 120
    labels = (np.arange(n) % 2).astype(np.int8)
    codes = rng.integers(0, 4, (n, WINDOW), dtype=np.uint8)
    for row in np.flatnonzero(labels):
        if motif is None:
            codes[row] = rng.choice(4, WINDOW, p=[0.15, 0.35, 0.35, 0.15])
        else:
            codes[row, 40 : 40 + len(motif)] = motif
    part = np.repeat(["train", "valid", "test"], 40).astype(object)
    chrom = np.repeat(["chr1", "chr2", "chr3"], 40)
    start = np.arange(n) * 1000 + shift
    source = np.where(
        labels == 1, "specific", np.where(np.arange(n) % 4 == 0, "universal", "nobody")
    )
    regions = regions_table(chrom, start, start + WINDOW, part=part, source=source)
    return ExampleSet(codes, labels[:, None], regions, (task,), {"split": {"by": "chromosome"}})


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    folder = tmp_path / "sets"
    save_examples(folder / "pretraining", _set("open", None, 1))
    save_examples(folder / "pretraining-shuffled", _set("open", None, 2))
    for at, (cell, motif) in enumerate(MOTIFS.items()):
        name = cell.replace("/", "_")
        save_examples(folder / "cells" / name, _set(cell, motif, 3 + at, shift=200 * (at + 1)))
    _list_sets(folder)
    return folder


def _list_sets(folder: Path) -> None:
    names = ["pretraining", "pretraining-shuffled", "cells/A", "cells/B_1"]
    listed = pd.DataFrame({"set": [name for name in names if (folder / name).exists()]})
    listed.to_csv(folder / "sets.tsv", sep="\t", index=False)


@pytest.fixture
def settings(short_strategy: Short) -> Settings:
    return Settings(
        architecture="cnn",
        pretraining=short_strategy(epochs=1, steps=2),
        strategies=("probe", short_strategy(epochs=1, steps=2)),
        baselines=("gc",),
        fractions=(0.5,),
        draws=2,
        max_positives=18,
        max_test_positives=15,
        pretraining_epochs=1,
        multiclass_epochs=1,
    )


def with_trunk(settings: Settings, trunk: Path, **changes: Any) -> Settings:
    """The settings with a trunk, which leaves those of pre-training without a meaning."""
    defaults = Settings()
    idle = {name: getattr(defaults, name) for name in ("pretraining", "pretraining_epochs")}
    return replace(settings, **idle, trunk=str(trunk), **changes)


CPU = {"device": "cpu", "precision": "float32"}


def test_the_whole_comparison(sets: Path, settings: Settings, tmp_path: Path) -> None:
    place = tmp_path / "study"
    table = accessibility_study(place, sets, settings, **CPU)
    tested = table[table["part"] == "test"]
    assert set(table["tf"]) == {"A", "B/1"}
    whole = tested[tested["size"] == 100]
    scratch = Path(settings.strategies[1]).stem
    assert list(dict.fromkeys(whole["strategy"])) == [
        "probe", scratch, "probe (shuffled)", "multi-class", "multi-class-published", "pre-trained",
        "gc",
    ]  # fmt: skip
    assert (whole["training_positives"] == 18).all()
    assert (whole["positives"] == 15).all()
    halves = tested[tested["size"] == 50]
    assert set(halves["draw"]) == {0, 1}
    assert (halves["training_positives"] == 9).all()
    assert not halves["strategy"].str.startswith("multi").any()
    assert set(table.loc[table["part"] == "train", "size"]) == {100}
    assert table["auroc"].between(0, 1).all()
    for part, name in (("test", "results.tsv"), ("train", "training.tsv")):
        written = pd.read_csv(place / name, sep="\t")
        expected = table[table["part"] == part].drop(columns="part").reset_index(drop=True)
        pd.testing.assert_frame_equal(written, expected, check_dtype=False, rtol=1e-5)
    compared = compare_runs([place / "results.tsv"], metric="auroc", reference="probe")
    assert "gc" in compared["summary"]["strategy"].tolist()
    # Repeating it reads what is there; other settings are refused.
    stamps = {path: path.stat().st_mtime_ns for path in place.rglob("weights.safetensors")}
    assert len(stamps) == 4 + 2 * 3 * 3
    again = accessibility_study(place, sets, settings, **CPU)
    pd.testing.assert_frame_equal(again, table)
    assert stamps == {path: path.stat().st_mtime_ns for path in place.rglob("weights.safetensors")}
    with pytest.raises(InputError, match="holds a study with max_positives = 18, asked for 20"):
        accessibility_study(place, sets, Settings(**{**vars(settings), "max_positives": 20}), **CPU)


def test_a_trunk_of_the_users(sets: Path, settings: Settings, tmp_path: Path) -> None:
    short = Settings(**{**vars(settings), "fractions": (1.0,)})
    accessibility_study(tmp_path / "first", sets, short, **CPU)
    for name in ("pretraining", "pretraining-shuffled"):
        shutil.rmtree(sets / name)
    _list_sets(sets)
    with pytest.raises(InputError, match="expected a set 'pretraining', found none; or name a tr"):
        accessibility_study(tmp_path / "none", sets, short, **CPU)
    given = with_trunk(short, tmp_path / "first" / "trunk")
    place = tmp_path / "study"
    table = accessibility_study(place, sets, given, **CPU)
    scratch = Path(settings.strategies[1]).stem
    assert list(dict.fromkeys(table["strategy"])) == [
        "probe", scratch, "multi-class", "multi-class-published", "gc"
    ]  # fmt: skip
    assert not (place / "trunk").exists()
    assert write_overview(place, table)
    # What the sets hold out, the trunk may not have learned from.
    flipped = open_examples(sets / "cells" / "A")
    parts = flipped.regions["part"].replace({"train": "test", "test": "train"})
    seen = ExampleSet(
        flipped.codes, flipped.labels, flipped.regions.assign(part=parts), ("A",), flipped.facts
    )
    pretrain(tmp_path / "leaking", seen, strategy=settings.pretraining, seed=0, **CPU)
    leaking = with_trunk(short, tmp_path / "leaking")
    whole = Settings(**{**vars(leaking), "max_test_positives": None})
    with pytest.raises(InputError, match="the trunk has learned from 40 of the 40 test regions"):
        accessibility_study(tmp_path / "other", sets, whole, **CPU)


def test_a_study_of_other_sets_is_refused(sets: Path, settings: Settings, tmp_path: Path) -> None:
    small = Settings(**{**vars(settings), "fractions": (1.0,)})
    place = tmp_path / "study"
    accessibility_study(place, sets, small, **CPU)
    # A set that is not listed is a leftover; other baselines are no other study.
    save_examples(sets / "cells" / "C", _set("C", None, 9, shift=700))
    table = accessibility_study(
        place, sets, Settings(**{**vars(small), "baselines": ("gc", "kmer")}), **CPU
    )
    assert set(table["tf"]) == {"A", "B/1"}
    assert "kmer" in set(table["strategy"])
    shutil.rmtree(sets / "cells" / "A")
    save_examples(sets / "cells" / "A", _set("A", MOTIFS["A"], 77, shift=200))
    with pytest.raises(InputError, match=r"study of other example sets \(cells/A changed\)"):
        accessibility_study(place, sets, small, **CPU)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"baselines": ("nope",)}, "no baseline 'nope'; there are: "),
        ({"strategies": ("probe", "probee")}, "probee"),
        ({"strategies": ("probe", "probe")}, "two models are called 'probe'"),
        ({"multiclass": "nope"}, "nope"),
        ({"fractions": (0.001, 1.0)}, "."),
    ],
)
def test_what_is_wrong_is_said_before_training(
    sets: Path, settings: Settings, tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    place = tmp_path / "study"
    with pytest.raises(InputError, match=message):
        accessibility_study(place, sets, Settings(**{**vars(settings), **changed}), **CPU)
    assert not (place / "trunk").exists()
    assert not (place / "study.json").exists()
    assert not (place / "cells").exists()


def test_a_trunk_of_another_architecture(sets: Path, settings: Settings, tmp_path: Path) -> None:
    """Controls have the architecture of the trunk that they are compared with."""
    pretrain(
        tmp_path / "trunk", open_examples(sets / "pretraining"), strategy=settings.pretraining,
        architecture="danq", seed=0, **CPU,
    )  # fmt: skip
    given = with_trunk(settings, tmp_path / "trunk", fractions=(1.0,), max_positives=10)
    accessibility_study(tmp_path / "study", sets, given, **CPU)
    for run in (tmp_path / "study").rglob("card.json"):
        assert json.loads(run.read_text())["architecture"]["name"] == "danq"
    assert json.loads((tmp_path / "study" / "study.json").read_text())["architecture"] == "danq"


def test_sets_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no sets\.tsv"):
        accessibility_study(tmp_path / "study", tmp_path)
    assert not (tmp_path / "study").exists()


def test_command(
    sets: Path, short_strategy: Short, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = short_strategy(epochs=1, steps=2)
    words = [
        "accessibility", "study", "--sets", str(sets), "--out", str(tmp_path / "study"),
        "--architecture", "cnn", "--strategies", f"probe,{short}", "--pretraining", short,
        "--percent", "100", "--max-positives", "10", "--max-test-positives", "10",
        "--pretraining-epochs", "1", "--multiclass-epochs", "1", "--jobs", "1",
        "--device", "cpu", "--json",
    ]  # fmt: skip
    assert run_app(app, words) == 0
    said = json.loads(capsys.readouterr().out)
    assert {row["tf"] for row in said["results"]} == {"A", "B/1"}
    summary = (tmp_path / "study" / "summary.md").read_text()
    assert "| multi-class" in summary
    assert "Open against background" in summary
    figures = {path.name for path in (tmp_path / "study" / "figures").iterdir()}
    assert {"metrics.png", "gain.png", "train-against-test.svg"} <= figures
    for changed, message in (
        (["--percent", "0,100"], "lies in"),
        (["--percent", "x"], "expected numbers such as 5,100"),
        (["--draws", "3"], "holds a study with draws = 2"),
        (["--strategies", ""], "at least one strategy"),
    ):
        assert run_app(app, [*words, *changed]) == 2
        assert message in capsys.readouterr().err


def _square(x: int) -> int:
    if x < 0:
        raise InputError(f"found {x}")
    return x * x


def _threads() -> int:
    """Most threads of PyTorch and of every BLAS."""
    import scipy.linalg  # noqa: F401
    import torch
    from threadpoolctl import threadpool_info

    blas = [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]
    assert blas
    return max(torch.get_num_threads(), *blas)


def test_every_job_has_one_thread_however_many_run() -> None:
    """So sums are added up in one order, and the numbers do not depend on the number of jobs."""
    before = _threads()
    jobs = [Job("threads", _threads), Job("threads", _threads), Job("square", _square, {"x": 5})]
    assert run_jobs(jobs, 1, "here") == [1, 1, 25]
    assert _threads() == before
    assert run_jobs(jobs, 2, "beside") == [1, 1, 25]
    with pytest.raises(InputError, match="found -1"):
        run_jobs([jobs[2], Job("bad", _square, {"x": -1})], 2, "beside")


def test_jobs_keep_their_order_and_raise() -> None:
    jobs = [Job(str(x), _square, {"x": x}) for x in (3, 1, 2)]
    assert run_jobs(jobs, 1, "squares") == [9, 1, 4]
    assert run_jobs([], 2, "none") == []
    with pytest.raises(InputError, match="found -1"):
        run_jobs([*jobs, Job("bad", _square, {"x": -1})], 1, "squares")


def _beat(place: str) -> None:
    import os
    import time

    for beat in range(1200):
        Path(place, str(os.getpid())).write_text(str(beat))
        time.sleep(0.05)


def test_workers_end_when_the_parent_is_killed(tmp_path: Path) -> None:
    import subprocess
    import sys
    import time

    script, beats = tmp_path / "parent.py", tmp_path / "beats"
    beats.mkdir()
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_accessibility_study import _beat\n"
        "from cistransfer.studies.jobs import Job, run_jobs\n"
        "if __name__ == '__main__':\n"
        f"    run_jobs([Job(x, _beat, {{'place': {str(beats)!r}}}) for x in 'ab'], 2, 'beating')\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)

    def seen() -> list[str]:
        return [path.read_text() for path in sorted(beats.iterdir())]

    until = time.monotonic() + 50
    while len(seen()) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    assert len(seen()) == 2
    before: list[str] = []
    while before != seen() and time.monotonic() < until:
        before = seen()
        time.sleep(1.0)
    assert before == seen()
