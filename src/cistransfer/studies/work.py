"""One trial in one process: arguments become paths, the step runs on one thread, files are kept."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cistransfer.studies.readings
import cistransfer.studies.trainings  # noqa: F401  (these two add steps)
from cistransfer.storage import whole_folder, write_json
from cistransfer.studies.steps import STEPS, Work
from cistransfer.studies.store import FILES, TRIAL, Done
from cistransfer.studies.trial import Trial

__all__ = ["Task", "begin_worker", "clock", "one_thread", "quiet", "run_here", "run_task"]


@dataclass(frozen=True)
class Task:
    """A trial with what it needs on this machine.

    Attributes
    ----------
    trial : Trial
    target : Path
        The trial's folder in the study, or any other to write.
    keep : bool
        Whether what it makes is kept.
    files : mapping of str to Path
        SHA-256 → where the file lies.
    made : mapping of str to Path
        Trial → what it made.
    device, precision : str
    """

    trial: Trial
    target: Path
    keep: bool
    files: Mapping[str, Path]
    made: Mapping[str, Path]
    device: str = "auto"
    precision: str = "auto"


def clock() -> tuple[float, float]:
    """Seconds by the clock, and of this process's processor time."""
    return time.perf_counter(), time.process_time()


def run_task(
    task: Task,
    own_clock: Callable[[], tuple[float, float]] = clock,
    facts: Mapping[str, Any] | None = None,
) -> Done:
    """Run a trial and write its folder, whole or not at all.

    Parameters
    ----------
    task : Task
    own_clock : callable
        Time that passes for this trial, where others run in the same process.
    facts : mapping, optional
        More of how it went, read at its end.
    """
    step = STEPS[task.trial.step]
    arguments = _paths(task.trial.values, task)
    with whole_folder(task.target, TRIAL) as place:
        work = Work(place / FILES, task.device, task.precision)
        work.folder.mkdir()
        began = own_clock()
        with one_thread():
            measured = tuple(step(work, **arguments) or ())
        seconds, cpu_seconds = (
            round(now - then, 3) for now, then in zip(own_clock(), began, strict=True)
        )
        told = {
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            **_facts(task.device),
            **(facts or {}),
        }
        if not task.keep:
            shutil.rmtree(work.folder)
        done = Done(task.trial, measured, told)
        write_json(place / TRIAL.marker, done.to_json())
    return done


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and lines of steps, which would mix with those of others."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


def run_here(task: Task) -> Done:
    """Run a trial, quietly."""
    with quiet():
        return run_task(task)


def _paths(value: Any, task: Task) -> Any:
    """Arguments with paths in place of references."""
    if isinstance(value, dict):
        if "$trial" in value:
            return task.made[value["$trial"]]
        if "$file" in value:
            return task.files[value["$file"]]
        return {key: _paths(each, task) for key, each in value.items()}
    return [_paths(each, task) for each in value] if isinstance(value, list) else value


def _facts(device: str) -> dict[str, Any]:
    """What a result does not depend on, or only by rounding."""
    import platform

    import torch

    from cistransfer.models.score import choose_device

    return {
        "memory_mb": round(used_memory(os.getpid()) / 2**20),
        "device": choose_device(device).type,
        "torch": str(torch.__version__),
        "machine": platform.machine(),
    }


def used_memory(process: int) -> int:
    """Bytes of memory that a process has in use; 0 when it is gone."""
    import psutil

    try:
        return int(psutil.Process(process).memory_info().rss)
    except psutil.Error:
        return 0


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread for PyTorch and every BLAS: the same bits on any machine's number of cores."""
    import scipy.linalg  # noqa: F401  (has a BLAS of its own)
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(threads)


def begin_worker() -> None:
    """End with the parent, whatever ends it; idle threads of BLAS would spin on others' cores."""
    import threading

    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM"):
        os.environ[f"{name}_NUM_THREADS"] = "1"  # for libraries that are loaded later


def _end_with_parent() -> None:
    import multiprocessing
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
