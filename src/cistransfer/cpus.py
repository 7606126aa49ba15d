"""How many processors this process may use, and work that is shared out over them."""

from __future__ import annotations

import atexit
import collections
import contextlib
import contextvars
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

__all__ = [
    "BrokenDownError",
    "StoppedError",
    "ahead",
    "allowed",
    "as_done",
    "bound",
    "each",
    "elsewhere",
    "n_workers",
    "one_thread",
]

T = TypeVar("T")
R = TypeVar("R")

_LIMITED = threading.Lock()
_WAITING: list[_Child] = []
"""The process of `elsewhere` that waits for the next call."""
_PATIENCE = 10.0  # seconds in which a process that broke down has ended


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
    with one_thread():
        return list(as_done(function, items))


def as_done(function: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
    """What a function gives for each item, in order, as soon as it is there: by Python threads
    where there are cores, in copies of this thread's context (`contextvars`)."""
    work = list(items)
    workers = min(len(work), n_workers())
    if workers <= 1:
        yield from map(function, work)
        return
    contexts = [contextvars.copy_context() for _ in work]
    with ThreadPoolExecutor(workers) as pool:
        try:
            yield from pool.map(lambda context, item: context.run(function, item), contexts, work)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class StoppedError(Exception):
    """What was to be made ahead is no longer wanted: the block that asked for it has ended."""


@contextlib.contextmanager
def ahead(
    items: Generator[T, None, None],
    room: int = 0,
    size: Callable[[T], int] = lambda item: 1,
    drop: Callable[[T], None] = lambda item: None,
) -> Iterator[Iterator[T]]:
    """What a generator gives, made by a thread from now on, whether or not somebody takes it yet.

    The end of the block ends the thread, at the next item: who still waits for one gets a
    `StoppedError`. An error of the generator is raised where its item would be taken.

    Parameters
    ----------
    items : generator
    room : int
        The thread waits while what it made, and nobody has taken, is larger.
    size : callable
        Of an item, in the unit of ``room``.
    drop : callable
        What becomes of items that nobody took.
    """
    held: collections.deque[T] = collections.deque()
    changed = threading.Condition()
    used = 0
    ended = stopped = False
    wrong: list[BaseException] = []

    def may_go_on() -> bool:
        return used <= room or stopped

    def may_take() -> bool:
        return bool(held) or ended or stopped

    def make() -> None:
        nonlocal used, ended
        try:
            with contextlib.closing(items):
                for item in items:
                    with changed:
                        changed.wait_for(may_go_on)
                        held.append(item)
                        if stopped:
                            break
                        used += size(item)
                        changed.notify_all()
        except BaseException as error:
            wrong.append(error)
        with changed:
            ended = True
            changed.notify_all()

    def taken() -> Iterator[T]:
        nonlocal used
        while True:
            with changed:
                changed.wait_for(may_take)
                if stopped:
                    raise StoppedError
                if not held:
                    break
                item = held.popleft()
                used -= size(item)
                changed.notify_all()
            yield item
        if wrong:
            raise wrong.pop()  # held, it would hold itself, and all that its frames hold

    maker = threading.Thread(target=contextvars.copy_context().run, args=(make,))
    maker.start()
    try:
        yield taken()
    finally:
        stopped = True  # before the lock, for which those who hand over small items leave no gap
        with changed:
            changed.notify_all()
        maker.join()
        wrong.clear()
        for item in held:
            drop(item)


class BrokenDownError(Exception):
    """A process that was to call a function is gone.

    Attributes
    ----------
    killed : bool
        By SIGKILL, as the system does when memory runs out; not by what it computed.
    """

    def __init__(self, killed: bool) -> None:
        super().__init__("killed" if killed else "broken down")
        self.killed = killed


def elsewhere(function: Callable[..., R], *arguments: Any) -> R:
    """Call a function in another process, which a library that crashes does not take this one with.

    The process is a plain child that reads from a pipe, so a script needs no
    ``if __name__ == "__main__"``; it loads the function's module anew, runs linear algebra on one
    thread, stays for the next call, and ends with this process, whatever ends it. The function is
    of a module of this package, and what it takes and gives back can be pickled.

    Raises
    ------
    BrokenDownError
        When that process is gone before it has answered.
    """
    child = next((child for child in _WAITING if child.lives()), None) or _Child()
    _WAITING.clear()
    if not child.lives():  # no process could begin
        return function(*arguments)
    answer = child.ask(_in_folder, (os.getcwd(), function, arguments))
    if answer is None:
        raise BrokenDownError(child.end(_PATIENCE) == -signal.SIGKILL)
    _WAITING.append(child)
    return _given(answer)


def _in_folder(folder: str, function: Callable[..., R], arguments: tuple[Any, ...]) -> R:
    os.chdir(folder)
    return function(*arguments)


def _given(answer: tuple[bool, Any]) -> Any:
    """What a function gave back in another process, or raised there."""
    well, found = answer
    if well:
        return found
    raise found


class _Child:
    """Another Python process that calls what it is told, and ends with this one."""

    def __init__(self) -> None:
        import cistransfer

        paths = [str(Path(cistransfer.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        threads = ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")
        self.owner = os.getpid()
        self.process: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError):  # no process, or no memory for it
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-P", *(f"-W{option}" for option in sys.warnoptions)),
                    *("-c", "from cistransfer.cpus import _serve; _serve()"),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(path for path in paths if path),
                    **{f"{name}_NUM_THREADS": "1" for name in threads},
                },
                start_new_session=True,  # Ctrl-C is for the parent, which ends it
            )
            atexit.register(self.end)

    def lives(self) -> bool:
        """Whether it can be asked; by a fork of the process that began it, it cannot."""
        if self.process is None or self.owner != os.getpid():
            return False
        return self.process.poll() is None

    def ask(
        self, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> tuple[bool, Any] | None:
        """Whether the function ended well, and what it gave or raised; None if the process is
        gone. An interrupt ends it: its answer would be taken for the next one."""
        if self.process is None:
            return None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            pickle.dump((function, arguments), self.process.stdin)
            self.process.stdin.flush()
            answer: tuple[bool, Any] = pickle.load(self.process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            return None
        except BaseException:
            self.end()
            raise
        return answer

    def end(self, patience: float = 0.0) -> int | None:
        """Take its end away, after seconds of ``patience`` by force; its exit status."""
        process, self.process = self.process, None
        atexit.unregister(self.end)
        if process is None or self.owner != os.getpid():
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
        process.kill()
        with contextlib.suppress(BrokenPipeError), process:  # closes the pipes
            pass
        return process.returncode


def _serve() -> None:
    """Call what comes from standard input, until it ends."""
    given, told = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed is no answer
    while True:
        try:
            function, arguments = pickle.load(given)
        except EOFError:
            return
        answer: tuple[bool, Any]
        try:
            answer = True, function(*arguments)
        except Exception as error:
            answer = False, error
        try:
            pickle.dump(answer, told)
            told.flush()
        except BrokenPipeError:
            return
