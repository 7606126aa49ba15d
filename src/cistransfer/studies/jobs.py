"""Independent jobs in processes of their own, one thread each: the same numbers however many."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

from cistransfer.progress import bar

__all__ = ["Job", "run_jobs"]


@dataclass(frozen=True)
class Job:
    """A call of a module's function that leaves its result on disk.

    Attributes
    ----------
    name : str
        For the progress bar.
    call : callable
        Of a module's top level; repeating it after it is done must cost next to nothing.
    arguments : dict
    """

    name: str
    call: Callable[..., Any]
    arguments: dict[str, Any] = field(default_factory=dict)


def run_jobs(jobs: Sequence[Job], workers: int, title: str) -> list[Any]:
    """Run jobs, at most ``workers`` at a time; the results are in the order of the jobs.

    The first error stops what has not begun and is raised. With one worker the jobs run in this
    process, one after the other, and their own progress bars are seen.
    """
    if workers <= 1 or len(jobs) <= 1:
        return [_one(job) for job in jobs]
    done: dict[int, Any] = {}
    context = multiprocessing.get_context("spawn")
    with (
        bar(title, len(jobs)) as running,
        ProcessPoolExecutor(min(workers, len(jobs)), context, initializer=_begin_worker) as pool,
    ):
        waiting = {pool.submit(_quietly, job): at for at, job in enumerate(jobs)}
        try:
            for future in as_completed(waiting):
                done[waiting[future]] = future.result()
                running.advance()
                running.note(jobs[waiting[future]].name)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [done[at] for at in range(len(jobs))]


def _begin_worker() -> None:
    """End with the parent, whatever ends it; one thread for PyTorch and BLAS (whose idle threads
    would spin on the cores of other workers)."""
    import os
    import threading

    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM"):
        os.environ[f"{name}_NUM_THREADS"] = "1"  # for libraries that are loaded later

    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(limits=1)


def _end_with_parent() -> None:
    import os
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _one(job: Job) -> Any:
    import scipy.linalg  # noqa: F401  (has a BLAS of its own)
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            return job.call(**job.arguments)
    finally:
        torch.set_num_threads(threads)


def _quietly(job: Job) -> Any:
    """Run a job without the progress bars of its steps, which would overwrite each other."""
    import contextlib
    import os
    import sys

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        assert not sys.stderr.isatty()
        return job.call(**job.arguments)
