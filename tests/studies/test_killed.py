"""Trials whose process is killed, or that need more memory than there is."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from cistransfer.studies.asked import Asked
from cistransfer.studies.collect import collect
from cistransfer.studies.run import Outcome, run_study
from cistransfer.studies.store import Store


def asked(files: dict[str, Path], **options: Any) -> Asked:
    return Asked(files=files, **{"device": "cpu", **options})


def counts(found: Outcome) -> tuple[int, int, int, int]:
    return found.ran, found.there, found.failed, found.waiting


def _workers() -> list[psutil.Process]:
    """Processes that run trials."""
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE  # killed before
        and any("spawn_main" in word for word in child.cmdline())
    ]


def test_workers_killed_in_mid_trial(
    tiny: Path, tiny_files: dict[str, Path], tmp_path: Path
) -> None:
    """Each trial is there exactly once and the table equals the undisturbed one, bit for bit."""
    axes: dict[str, Any] = {"tf": 1}
    run_study(tiny, tmp_path / "here", asked(tiny_files, axes=axes, engine="here"))
    collect(tmp_path / "here")
    out, killed = tmp_path / "study", []

    def kill() -> None:
        """Twice, while something is being written."""
        while len(killed) < 2:
            time.sleep(0.005)
            done = len(list(out.glob("trials/*/trial.json")))
            if done >= 2 * len(killed) and list(out.glob("trials/.*.part")):
                workers = _workers()
                for worker in workers:
                    os.kill(worker.pid, signal.SIGKILL)
                killed.append(len(workers))
                time.sleep(0.5)

    threading.Thread(target=kill, daemon=True).start()
    found = run_study(tiny, out, asked(tiny_files, axes=axes, engine="local", jobs=2))
    assert counts(found) == (9, 0, 0, 0)
    assert len(killed) == 2
    collect(out)
    same = (out / "results.parquet").read_bytes() == (
        tmp_path / "here" / "results.parquet"
    ).read_bytes()
    assert same
    assert not list(out.glob("trials/.*.part"))
    assert not _workers()


def test_more_memory_than_there_is(tiny: Path, tiny_files: dict[str, Path], tmp_path: Path) -> None:
    one: dict[str, Any] = {"tf": 1, "size": [30], "draw": 1}
    found = run_study(
        tiny,
        tmp_path / "study",
        asked(tiny_files, axes=one, jobs=1, memory=2**20, strategies=["gc"]),
    )
    assert counts(found) == (0, 0, 2, 0)
    failed = Store(tmp_path / "study").failed(Store(tmp_path / "study").plan().trials)
    assert any("needs more memory than there is" in each["error"] for each in failed.values())
