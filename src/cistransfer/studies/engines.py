"""What runs trials: this process, processes of this machine, or a Ray cluster (`ray_engine`).

Every engine takes trials out of one `Queue`, which knows what has to be there first, and gives back
what came of them. Results do not depend on the engine: a trial runs on one thread everywhere.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
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

from cistransfer.errors import InputError, MachineError
from cistransfer.studies.store import Done, Store, failure
from cistransfer.studies.trial import Plan, Trial
from cistransfer.studies.work import Task, begin_worker, run_here, used_memory

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
    """

    plan: Plan
    store: Store
    waiting: list[str]
    task: Callable[[Trial], Task]
    go_on: Callable[[str], bool]
    report: Callable[[str, Done | None, str], None]
    stopped: bool = False
    _running: set[str] = field(default_factory=set)
    _failed: set[str] = field(default_factory=set)

    def known_failed(self, names: set[str]) -> None:
        """Trials that failed before: what reads them fails too."""
        self._failed |= names

    def next(self) -> str | None:
        """A trial whose inputs are there; None when there is none now."""
        at = 0
        while at < len(self.waiting) and not self.stopped:
            name = self.waiting[at]
            needs = self.plan.trials[name].needs()
            broken = next((each for each in needs if each in self._failed), None)
            if broken is not None:
                self.fail(name, "input", f"{self.plan.label(broken)}, which it reads, failed")
                continue
            if any(each in self._running or each in self.waiting for each in needs):
                at += 1
                continue
            if not self.go_on(name):
                self.stopped = True
                break
            del self.waiting[at]
            self._running.add(name)
            return name
        return None

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
        """A trial lost its process; it is the next to run."""
        self._running.discard(name)
        self.waiting.insert(0, name)


class Engine(Protocol):
    """What every engine can do."""

    def run(self, queue: Queue) -> None:
        """Run what waits until nothing does, or the queue is stopped."""


class Here:
    """This process, one trial after another: to look into a step."""

    def run(self, queue: Queue) -> None:
        """Run what waits."""
        while (name := queue.next()) is not None:
            try:
                done = run_here(queue.task(queue.plan.trials[name]))
            except MachineError:
                raise
            except Exception as error:  # a failed trial keeps its error and stops nothing else
                queue.fail(name, *said(error))
            else:
                queue.finish(name, done)


def said(error: BaseException) -> tuple[str, str]:
    """Kind and text of an error: one line of wrong input, the traceback of anything else."""
    if isinstance(error, InputError):
        return "input", str(error)
    if isinstance(error, MemoryError):
        return "memory", "out of memory"
    return "error", "".join(traceback.format_exception(error)).strip()


@dataclass
class _Slot:
    """One worker process."""

    pool: ProcessPoolExecutor | None = None
    pid: Future[int] | None = None
    name: str = ""
    began: float = 0.0

    def submit(self, task: Task) -> Future[Done]:
        """Start a trial; the process is made when it is first needed."""
        if self.pool is None:
            context = multiprocessing.get_context("spawn")
            self.pool = ProcessPoolExecutor(1, context, initializer=begin_worker)
            with _without_main():
                self.pid = self.pool.submit(os.getpid)
        self.name, self.began = task.trial.name, time.monotonic()
        return self.pool.submit(run_here, task)

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
        running: dict[Future[Done], _Slot] = {}
        try:
            while True:
                for slot, name in self._starting(queue, running):
                    running[slot.submit(queue.task(queue.plan.trials[name]))] = slot
                if not running:
                    return
                finished, _ = wait(running, timeout=_TICK, return_when=FIRST_COMPLETED)
                for future in finished:
                    self._take(queue, running.pop(future), future)
                self._watch(list(running.values()))
        finally:
            for slot in self.slots:
                slot.end()

    def _starting(
        self, queue: Queue, running: dict[Future[Done], _Slot]
    ) -> Iterator[tuple[_Slot, str]]:
        """Slots that are free, each with the next trial."""
        busy = list(running.values())
        for slot in [each for each in self.slots if each not in busy]:
            if len(busy) >= self.width or (busy and any(s.name in self.alone for s in busy)):
                return
            if busy and queue.waiting and queue.waiting[0] in self.alone:
                return
            name = queue.next()
            if name is None:
                return
            busy.append(slot)
            slot.name = name
            yield slot, name

    def _take(self, queue: Queue, slot: _Slot, future: Future[Done]) -> None:
        """What came of a trial."""
        name, error = slot.name, future.exception()
        if error is None:
            queue.finish(name, future.result())
        elif isinstance(error, BrokenProcessPool):
            slot.end(gone=True)
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
        elif isinstance(error, MachineError):
            raise error
        else:
            queue.fail(name, *said(error))

    def _watch(self, busy: list[_Slot]) -> None:
        """Stop the youngest trial when all together use too much."""
        used = {slot.name: used_memory(slot.process) for slot in busy if slot.process is not None}
        if sum(used.values()) <= self.memory:
            return
        youngest = max((slot for slot in busy if slot.name in used), key=lambda slot: slot.began)
        if len(used) == 1:
            self.too_large[youngest.name] = used[youngest.name]
        else:
            self.width = max(1, len(busy) - 1)
            self.lost[youngest.name] = self.lost.get(youngest.name, 0) - 1  # not its fault
        if youngest.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(youngest.process, signal.SIGKILL)


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
