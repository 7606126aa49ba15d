"""What runs trials: this process, processes of this machine, or a Ray cluster (`ray_engine`).

Every engine takes trials out of one `Queue`, which knows what has to be there first and which may
be trained as one network, and gives back what came of them. Results do not depend on the engine: a
trial runs on one thread everywhere.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Protocol

from cistransfer.errors import MachineError
from cistransfer.studies.pack import Failed, alike, run_pack, said
from cistransfer.studies.store import Done, Store, failure
from cistransfer.studies.trial import Plan, Trial
from cistransfer.studies.work import Task, begin_worker, used_memory

__all__ = ["Engine", "Here", "Local", "Queue", "free_memory"]

ATTEMPTS = 3
"""How often a trial may lose its process."""
_TICK = 0.5  # seconds between looks at the memory


@dataclass
class Queue:
    """Trials that wait, in order of work, and those that are there.

    Attributes
    ----------
    plan : Plan
    store : Store
    waiting : list of str
        Trials to run; what a trial reads stands before it.
    task : callable
        Trial → what an engine runs.
    go_on : callable
        Asked before a trial begins, with its name; False: begin no more.
    report : callable
        Told (name, Done or None, why it failed).
    stack : int
        How many trials are trained as one network at most.
    """

    plan: Plan
    store: Store
    waiting: list[str]
    task: Callable[[Trial], Task]
    go_on: Callable[[str], bool]
    report: Callable[[str, Done | None, str], None]
    stack: int = 1
    stopped: bool = False
    _running: set[str] = field(default_factory=set)
    _failed: set[str] = field(default_factory=set)
    _apart: set[str] = field(default_factory=set)
    _kinds: dict[str, str | None] = field(default_factory=dict)

    def known_failed(self, names: set[str]) -> None:
        """Trials that failed before: what reads them fails too."""
        self._failed |= names

    def next(self, workers: int = 1) -> list[str]:
        """Trials for one process whose inputs are there; none when there are none now.

        Mostly one. Those that may be trained as one network wait until they are ``stack``, or
        nothing else can begin and no example set that is being made adds to them; fewer are shared
        out over the workers.
        """
        ready: dict[str, list[str]] = {}
        soon: set[str | None] = set()
        busy = self._running.union(self.waiting)
        for name in list(self.waiting) if not self.stopped else ():
            needs = self.plan.trials[name].needs()
            broken = next((each for each in needs if each in self._failed), None)
            if broken is not None:
                self.fail(name, "input", f"{self.plan.label(broken)}, which it reads, failed")
                continue
            if missing := busy.intersection(needs):
                if missing <= self._running and not any(map(self._kind, missing)):
                    soon.add(self._kind(name))
                continue
            kind = self._kind(name)
            if kind is None:
                return self._begin([name])
            group = ready.setdefault(kind, [])
            group.append(name)
            if len(group) == self.stack:
                return self._begin(group)
        first = next((names for kind, names in ready.items() if kind not in soon), [])
        return self._begin(first[: math.ceil(len(first) / max(1, workers))])

    def _kind(self, name: str) -> str | None:
        """What it has in common with those that it may be trained with."""
        if self.stack < 2 or name in self._apart:
            return None
        if name not in self._kinds:
            self._kinds[name] = alike(self.plan.trials[name])
        return self._kinds[name]

    def _begin(self, names: list[str]) -> list[str]:
        begun = []
        for name in names:
            if not self.go_on(name):
                self.stopped = True
                break
            self.waiting.remove(name)
            self._running.add(name)
            begun.append(name)
        return begun

    def tasks(self, names: list[str]) -> list[Task]:
        """What an engine runs of some trials."""
        return [self.task(self.plan.trials[name]) for name in names]

    def take(self, name: str, outcome: Done | Failed) -> None:
        """What came of a trial."""
        if isinstance(outcome, Done):
            self.finish(name, outcome)
        else:
            self.fail(name, outcome.kind, outcome.text)

    def finish(self, name: str, done: Done) -> None:
        """A trial is in the store."""
        self._running.discard(name)
        self.store.forget(name)
        self.report(name, done, "")

    def fail(self, name: str, kind: str, text: str) -> None:
        """A trial failed; nothing else stops but what reads it."""
        self._running.discard(name)
        if name in self.waiting:
            self.waiting.remove(name)
        self._failed.add(name)
        self.store.fail(failure(self.plan.trials[name], kind, text))
        self.report(name, None, text)

    def again(self, name: str) -> None:
        """A trial lost its process; it is the next to run, apart from others."""
        self._running.discard(name)
        self._apart.add(name)
        self.waiting.insert(0, name)


class Engine(Protocol):
    """What every engine can do."""

    def run(self, queue: Queue) -> None:
        """Run what waits until nothing does, or the queue is stopped."""


class Here:
    """This process, one trial after another: to look into a step."""

    def run(self, queue: Queue) -> None:
        """Run what waits."""
        while names := queue.next():
            for name, outcome in zip(names, run_pack(queue.tasks(names)), strict=True):
                queue.take(name, outcome)


@dataclass
class _Slot:
    """One worker process."""

    pool: ProcessPoolExecutor | None = None
    pid: Future[int] | None = None
    names: list[str] = field(default_factory=list)
    began: float = 0.0

    def submit(self, tasks: list[Task]) -> Future[list[Done | Failed]]:
        """Start trials; the process is made when it is first needed."""
        if self.pool is None:
            context = multiprocessing.get_context("spawn")
            self.pool = ProcessPoolExecutor(1, context, initializer=begin_worker)
            with _without_main():
                self.pid = self.pool.submit(os.getpid)
        self.began = time.monotonic()
        return self.pool.submit(run_pack, tasks)

    @property
    def process(self) -> int | None:
        """Its process, once that has begun."""
        ready = self.pid is not None and self.pid.done() and self.pid.exception() is None
        return self.pid.result() if ready and self.pid is not None else None

    def end(self, gone: bool = False) -> None:
        """End the process, whatever it does, unless it is gone."""
        if (process := self.process) is not None and not gone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if self.pool is not None:
            self.pool.shutdown(wait=False, cancel_futures=True)
        self.pool = self.pid = None


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Let a process begin without importing the program again, which would run a script twice."""
    main = sys.modules["__main__"]
    kept = {name: getattr(main, name, None) for name in ("__file__", "__spec__")}
    main.__spec__ = None
    if kept["__file__"] is not None:
        del main.__file__
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is not None:
                setattr(main, name, value)


class Local:
    """Processes of this machine, one thread each.

    A process that is killed costs its trial an attempt and nothing else. When the processes
    together use more than ``memory``, the youngest trial gives way and runs again later, with
    fewer beside it; one that needs more alone fails.

    Parameters
    ----------
    workers : int
    memory : int
        Bytes for all of them.
    """

    def __init__(self, workers: int, memory: int) -> None:
        self.slots = [_Slot() for _ in range(max(1, workers))]
        self.memory = memory
        self.width = len(self.slots)  # how many may run at a time
        self.lost: dict[str, int] = {}
        self.alone: set[str] = set()
        self.too_large: dict[str, int] = {}

    def run(self, queue: Queue) -> None:
        """Run what waits."""
        running: dict[Future[list[Done | Failed]], _Slot] = {}
        try:
            while True:
                for slot in self._starting(queue, list(running.values())):
                    running[slot.submit(queue.tasks(slot.names))] = slot
                if not running:
                    return
                finished, _ = wait(running, timeout=_TICK, return_when=FIRST_COMPLETED)
                for future in finished:
                    self._take(queue, running.pop(future), future)
                self._watch(list(running.values()))
        finally:
            for slot in self.slots:
                slot.end()

    def _starting(self, queue: Queue, busy: list[_Slot]) -> Iterator[_Slot]:
        """Slots that are free, each with the next trials."""
        free = [each for each in self.slots if each not in busy]
        for number, slot in enumerate(free):
            if len(busy) >= self.width or any(self.alone.intersection(s.names) for s in busy):
                return
            if busy and queue.waiting and queue.waiting[0] in self.alone:
                return
            slot.names = queue.next(min(len(free) - number, self.width - len(busy)))
            if not slot.names:
                return
            busy.append(slot)
            yield slot

    def _take(self, queue: Queue, slot: _Slot, future: Future[list[Done | Failed]]) -> None:
        """What came of trials."""
        error = future.exception()
        if error is None:
            for name, outcome in zip(slot.names, future.result(), strict=True):
                queue.take(name, outcome)
        elif isinstance(error, BrokenProcessPool):
            slot.end(gone=True)
            for name in reversed(slot.names):
                self._lost(queue, name)
        elif isinstance(error, MachineError):
            raise error
        else:
            for name in slot.names:
                queue.take(name, said(error))

    def _lost(self, queue: Queue, name: str) -> None:
        """A trial lost its process."""
        if name in self.too_large:
            used = self.too_large[name]
            queue.fail(
                name,
                "memory",
                f"needs more memory than there is: it was stopped at {used / 2**30:.1f} GB of "
                f"{self.memory / 2**30:.1f} GB (--memory)",
            )
            return
        self.lost[name] = self.lost.get(name, 0) + 1
        if self.lost[name] < ATTEMPTS:
            if self.lost[name] > 1:
                self.alone.add(name)  # perhaps it is the memory: the last try is by itself
            queue.again(name)
        else:
            queue.fail(
                name,
                "killed",
                f"its process was killed {ATTEMPTS} times, the last time with nothing beside "
                "it; most often that is a machine out of memory",
            )

    def _watch(self, busy: list[_Slot]) -> None:
        """Stop the youngest trials when all together use too much."""
        known = [(slot, process) for slot in busy if (process := slot.process) is not None]
        used = [used_memory(process) for _, process in known]
        if sum(used) <= self.memory:
            return
        youngest, process = max(known, key=lambda each: each[0].began)
        if len(used) == 1 and len(youngest.names) == 1:
            self.too_large[youngest.names[0]] = used[0]
        else:
            self.width = max(1, len(busy) - 1)
            for name in youngest.names:
                self.lost[name] = self.lost.get(name, 0) - 1  # not its fault
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def free_memory() -> int:
    """Bytes that may be used: what the machine has free, or what the container has left."""
    from pathlib import Path

    import psutil

    free = int(psutil.virtual_memory().available)
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            texts = [(Path("/sys/fs/cgroup") / name).read_text().strip() for name in (limit, used)]
        except OSError:
            continue
        if all(text.isdigit() for text in texts):
            free = min(free, int(texts[0]) - int(texts[1]))
    return max(free, 0)
