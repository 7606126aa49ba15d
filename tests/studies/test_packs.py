"""Trials whose networks are trained as one: the same as alone, whatever becomes of the others."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import torch

from cistransfer.errors import InputError
from cistransfer.studies import engines, pack, run
from cistransfer.studies.asked import Asked
from cistransfer.studies.collect import results
from cistransfer.studies.engines import Queue
from cistransfer.studies.pack import Failed, alike, run_pack
from cistransfer.studies.ray_engine import packed_of, run_remote
from cistransfer.studies.run import run_study
from cistransfer.studies.store import Done, Store, unpack
from cistransfer.studies.trial import Plan, Trial
from cistransfer.studies.work import Task
from cistransfer.training import stacked

STRATEGY = """
name = "short"
summary = "A few steps"
start = "scratch"
[[phases]]
name = "train"
learning_rate = 1e-4
batch_size = 20
epochs = 2
steps_per_epoch = 2
strands = "both"
"""
RATES = [1e-4, 3e-5, 1e30]
"""The last is too much."""


@pytest.fixture(scope="module")
def place(tiny_text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of networks from scratch at several rates."""
    place = tmp_path_factory.mktemp("packed")
    (place / "short.toml").write_text(STRATEGY)
    text = tiny_text.replace("[axes]", f"[axes]\nrate = {RATES}")
    text = text.replace(
        'strategy = "{short}", seed',
        'strategy = "{short}", change = { learning_rate = "{rate}" }, seed',
    )
    (place / "tiny.toml").write_text(text)
    return place


def asked(place: Path, files: dict[str, Path], **options: Any) -> Asked:
    """Six trainings of two TFs, of which one in three fails."""
    return Asked(
        files={**files, "short": place / "short.toml"},
        axes={"size": [30], "draw": 1},
        strategies=["scratch"],
        **{"engine": "here", "device": "cpu", "precision": "float32", **options},
    )


@pytest.fixture(scope="module")
def alone(place: Path, tiny_files: dict[str, Path]) -> Path:
    run_study(place / "tiny.toml", place / "alone", asked(place, tiny_files))
    return place / "alone"


def facts(folder: Path) -> list[dict[str, Any]]:
    store = Store(folder)
    return [each.facts for each in store.finished(store.plan().compared).values()]


def failures(folder: Path) -> dict[str, Any]:
    return Store(folder).failed(Store(folder).plan().compared)


def assert_same_results(one: Path, other: Path) -> None:
    """Trials by name, every metric to rounding, and what failed why."""
    found, expected = (results(Store(each)) for each in (one, other))
    pd.testing.assert_frame_equal(found, expected, rtol=2e-3, atol=2e-3)
    assert failures(one) == failures(other)


def test_packed_equals_alone(place: Path, tiny_files: dict[str, Path], alone: Path) -> None:
    """And a training that blows up fails as it does alone, and stops none beside it."""
    out = place / "packed"
    found = run_study(place / "tiny.toml", out, asked(place, tiny_files, stack=6))
    assert (found.ran, found.failed) == (2 + 4, 2)
    assert_same_results(out, alone)
    assert [each["stacked"] for each in facts(out)] == [6] * 4
    assert all("stacked" not in each for each in facts(alone))
    assert all("loss is not a number" in each["error"] for each in failures(out).values())
    name = next(iter(Store(out).finished(Store(out).plan().compared)))
    differences, _ = run.run_again(place / "tiny.toml", out, name, asked(place, tiny_files))
    assert max(differences.values(), default=0) < 2e-3  # alone
    # Time is shared out: all together took no longer than there was.
    assert 0 < sum(each["seconds"] for each in facts(out)) <= found.seconds


def test_a_process_killed_in_mid_pack(
    place: Path, tiny_files: dict[str, Path], alone: Path
) -> None:
    """Its trials are run again, each apart from the others."""
    out, killed = place / "killed", []

    def kill() -> None:
        while not killed:
            time.sleep(0.005)
            if len(list(out.glob("trials/.*.part"))) > 1:
                for child in psutil.Process().children():
                    if any("spawn_main" in word for word in child.cmdline()):
                        os.kill(child.pid, signal.SIGKILL)
                        killed.append(child.pid)

    threading.Thread(target=kill, daemon=True).start()
    found = run_study(
        place / "tiny.toml", out, asked(place, tiny_files, engine="local", jobs=1, stack=6)
    )
    assert (found.ran, found.failed, len(killed)) == (6, 2, 1)
    assert_same_results(out, alone)
    assert all("stacked" not in each for each in facts(out))
    assert not list(out.glob("trials/.*.part"))


def _tasks(place: Path, folder: Path, n: int) -> list[Task]:
    """Tasks of the first trainings, whose inputs are those that ran alone."""
    store = Store(place / "alone")
    plan = store.plan()
    return [
        Task(
            trial := plan.trials[name],
            folder / name,
            False,
            dict.fromkeys(trial.reads(), place / "short.toml"),
            {each: store.files(each) for each in trial.needs()},
            "cpu",
            "float32",
        )
        for name in plan.compared[:n]
    ]


@pytest.mark.parametrize(
    ("error", "sizes"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), [4, 2, 2]),
        (RuntimeError("vmap: no batching rule"), [4]),
        (KeyboardInterrupt(), [4]),
    ],
)
def test_what_cannot_be_trained_as_one(
    error: BaseException,
    sizes: list[int],
    place: Path,
    alone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In halves where memory lacks, alone where the network is not made for it; Ctrl-C ends all."""
    asked_for = []

    def refused(models: list[Any], *rest: Any, **how: Any) -> Any:
        asked_for.append(len(models))
        if len(models) > 2:
            with torch.no_grad():
                models[0].head.bias.fill_(9.0)  # what is left of it is not gone on with
            raise error
        return real(models, *rest, **how)

    real = stacked.fit_stacked
    monkeypatch.setattr(stacked, "fit_stacked", refused)
    tasks = _tasks(place, tmp_path, 4)
    if isinstance(error, KeyboardInterrupt):
        others = set(threading.enumerate())  # of tests before
        with pytest.raises(KeyboardInterrupt):
            run_pack(tasks)
        assert list(tmp_path.iterdir()) == []
        assert set(threading.enumerate()) <= others
        return
    outcomes = run_pack(tasks)
    assert asked_for == sizes
    before = Store(alone).finished(task.trial.name for task in tasks)
    for task, outcome in zip(tasks, outcomes, strict=True):
        if isinstance(outcome, Failed):
            assert "loss is not a number" in outcome.text
            assert task.trial.values["change"]["learning_rate"] == 1e30
            continue
        mine, theirs = (
            [each.value for each in done.measured] for done in (outcome, before[task.trial.name])
        )
        np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=2e-3)


def test_a_node_of_a_cluster_runs_a_pack(
    place: Path, alone: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("CISTRANSFER_NODE", str(tmp_path / "node"))
    tasks = _tasks(place, tmp_path, 3)
    keys = [
        [
            *(("file", digest, path.name) for digest, path in task.files.items()),
            *(("trial", name, "") for name in task.made),
        ]
        for task in tasks
    ]
    sent = [
        packed_of(path) for task in tasks for path in (*task.files.values(), *task.made.values())
    ]
    trials = [(task.trial.to_json(), number == 0) for number, task in enumerate(tasks)]
    records, files = run_remote(trials, keys, "cpu", "float32", *sent)
    finished = Store(alone).finished(task.trial.name for task in tasks)
    for task, record in zip(tasks, records, strict=True):
        if task.trial.name in finished:
            done = Done.from_json(json.loads(json.dumps(record)))
            assert done.trial == task.trial
            assert done.facts["stacked"] == 3
        else:
            assert record[0] == "input"
    assert files[0] is not None
    assert files[1:] == [None, None]
    unpack(io.BytesIO(files[0].tobytes()), tmp_path / "kept")
    assert (tmp_path / "kept" / "bundle" / "card.json").is_file()


# Which are packed --------------------------------------------------------------------------------


def trial(step: str = "finetune", **arguments: Any) -> Trial:
    return Trial(step, json.dumps(arguments, sort_keys=True))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (trial(strategy="published", trunk="a"), trial(strategy="published", trunk="b"), True),
        (trial(strategy="published", seed=0), trial(strategy="published", seed=1), True),
        (trial(), trial(examples={"$trial": "0" * 16}), True),  # from scratch
        (trial("pretrain", tfs=["A"]), trial("pretrain", tfs=["B"]), True),
        (trial(change={"learning_rate": 1}), trial(change={"learning_rate": 2}), True),
        (trial(change={"batch_size": 16}), trial(change={"batch_size": 32}), False),
        (trial(strategy="published", trunk="a"), trial(strategy="published-scratch"), False),
        (trial(epochs=1), trial(epochs=2), False),
        (trial(arguments={"order": "bn-relu"}), trial(arguments={"order": "relu-bn"}), False),
    ],
)
def test_which_may_be_trained_as_one(one: Trial, other: Trial, same: bool) -> None:
    assert alike(one) is not None
    assert (alike(one) == alike(other)) == same


@pytest.mark.parametrize(
    "never",
    [
        trial(trunk="a"),  # the default: a regression on the trunk's features
        trial(trunk="a", strategy="probe"),
        trial(strategy="published", trunk="a", architecture="danq"),
        trial("examples", tf="A"),
        trial("baseline", name="kmer"),
    ],
)
def test_which_never_are(never: Trial) -> None:
    assert alike(never) is None


@pytest.mark.parametrize(
    ("options", "gains", "expected"),
    [
        ({}, False, 1),
        ({}, True, pack.MOST),
        ({"stack": 5}, False, 5),
        ({"stack": 1}, True, 1),
        ({"engine": "ray"}, True, 1),  # no GPU was asked of the cluster
        ({"engine": "ray", "gpus": 0.5}, False, pack.MOST),
    ],
)
def test_on_a_gpu_they_are(
    options: dict[str, Any], gains: bool, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "can_gain", lambda device: gains)
    several = [trial(seed=0), trial(seed=1)]
    assert run._stack(Asked(**options), several) == expected
    assert not pack.can_gain("cpu")
    monkeypatch.setattr(run, "can_gain", lambda device: pytest.fail("looked for a device"))
    run._stack(Asked(), [trial(seed=0), trial(trunk="a")])
    with pytest.raises(InputError, match="stack: expected at least 1, found 0"):
        run._stack(Asked(stack=0), several)


def test_the_queue_gathers_what_may_be_trained_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs first, until a pack is full; what is left is shared out; a lost one runs apart."""
    inputs = [trial("examples", seed=n) for n in range(7)]
    tuned = [trial(examples={"$trial": each.name}) for each in inputs]
    other = trial("baseline", name="gc")
    plan = Plan({each.name: each for each in (*inputs, *tuned, other)})
    order = [each.name for two in zip(inputs, tuned, strict=True) for each in two]
    queue = Queue(
        plan, Store(tmp_path), [*order, other.name], lambda each: pytest.fail("ran"),
        lambda name: True, lambda *_: None, stack=3,
    )  # fmt: skip
    names = {each.name: f"input {n}" for n, each in enumerate(inputs)}
    names |= {each.name: f"trial {n}" for n, each in enumerate(tuned)} | {other.name: "other"}
    begun = []
    while taken := queue.next(workers=2):
        begun.append([names[each] for each in taken])
        for each in taken:
            if names[each] == "trial 4" and len(taken) > 1:
                queue.again(each)
            else:
                queue.finish(each, Done(plan.trials[each], (), {}))
    assert begun == [
        ["input 0"], ["input 1"], ["input 2"], ["trial 0", "trial 1", "trial 2"],
        ["input 3"], ["input 4"], ["input 5"], ["trial 3", "trial 4", "trial 5"], ["trial 4"],
        ["input 6"], ["other"], ["trial 6"],
    ]  # fmt: skip
    queue = engines.Queue(
        plan, Store(tmp_path), [each.name for each in tuned], queue.task, lambda name: True,
        queue.report, stack=32,
    )  # fmt: skip
    assert [len(queue.next(workers)) for workers in (3, 2, 1)] == [3, 2, 2]
    queue.waiting[:], queue._running = order[:4], set()
    begun = [queue.next(), queue.next()]
    assert begun == [order[:1], order[2:3]]  # both inputs are being made
    for (each,), expected in zip(begun, ([], [order[1], order[3]]), strict=True):
        queue.finish(each, Done(plan.trials[each], (), {}))
        assert queue.next() == expected
