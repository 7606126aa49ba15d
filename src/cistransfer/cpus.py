"""How many processors this process may use, and work that is shared out over them."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

__all__ = ["allowed", "bound", "each", "n_workers", "one_thread"]

T = TypeVar("T")
R = TypeVar("R")

_LIMITED = threading.Lock()


def allowed(cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Processors that this process may use: of its affinity, and of the quota of its container.

    ``taskset`` and batch systems set the affinity; ``docker run --cpus`` and Kubernetes a quota of
    time (cgroups, version 1 or 2), under which the machine's count would start a thread for each
    of 64 cores on the share of two. A quota of 1.5 counts as two.
    """
    quota = _quota(cgroups, own)
    return bound() if quota is None else max(1, min(bound(), math.ceil(quota)))


def bound() -> int:
    """Processors of the affinity alone, which OpenMP knows without us."""
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(cgroups: Path, own: Path) -> float | None:
    """The smallest quota of the cgroup and those above it, in processors."""
    found = []
    for line in _text(own).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        for base in (cgroups, cgroups / "cpu", cgroups / "cpu,cpuacct"):
            place = base / path.lstrip("/")
            for folder in (place, *place.parents):
                if not folder.is_relative_to(cgroups):
                    break
                words = _text(folder / "cpu.max").split() or [
                    *_text(folder / "cpu.cfs_quota_us").split(),
                    *_text(folder / "cpu.cfs_period_us").split(),
                ]
                numbers = [float(word) for word in words if word.isdigit()]
                if len(numbers) == 2 and numbers[1]:  # 'max' and -1 are no quota
                    found.append(numbers[0] / numbers[1])
    return min(found, default=None)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let numpy's and scipy's linear algebra run on one thread within the block.

    Products of matrices of a few hundred rows are over before a second thread has begun; the
    threads wait for each other by spinning, three times as long as one needs alone (eight times
    when something else is running). PyTorch's threads are left as they are. May be nested, also
    in several Python threads: who entered first sets the limit and lifts it.
    """
    import scipy.linalg  # noqa: F401  (has a BLAS of its own, which must be loaded to be limited)
    from threadpoolctl import threadpool_limits

    if not _LIMITED.acquire(blocking=False):  # by a block around this one, or another thread
        yield
        return
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            yield
    finally:
        _LIMITED.release()


def n_workers() -> int:
    """How many Python threads `each` uses: what `allowed` says, or fewer by ``OMP_NUM_THREADS``."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").strip()
    return max(1, min(allowed(), int(wanted))) if wanted.isdecimal() else allowed()


def each(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Call a function on each item, in Python threads where there are cores; results in order.

    Linear algebra runs on one thread in each. The function must not depend on what others of it
    do at the same time; then the results are those of one thread.
    """
    work = list(items)
    workers = min(len(work), n_workers())
    with one_thread():
        if workers <= 1:
            return [function(item) for item in work]
        with ThreadPoolExecutor(workers) as pool:
            try:
                return list(pool.map(function, work))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
