"""How many processors this process may use, which on shared machines is not how many there are."""

from __future__ import annotations

import math
import os
from pathlib import Path

__all__ = ["allowed", "bound"]


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
