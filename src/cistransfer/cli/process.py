"""The process around a verb: its environment, its streams, and the signals that stop it."""

from __future__ import annotations

import _thread
import os
import resource
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from cistransfer import cpus
from cistransfer.errors import MachineError
from cistransfer.progress import say

__all__ = [
    "Stoppable",
    "check_memory",
    "close_streams",
    "mend_streams",
    "say",
    "set_environment",
]

_MOMENT = 0.005
_MIN_ADDRESSES = 1 << 30
"""Bytes of addresses below which libraries may be aborted while they are loaded."""


def set_environment() -> None:
    """Set what libraries read when they are loaded, unless the user has."""
    # Threads of OpenMP that wait for each other sleep, after some 0.1 ms. By default they spin for
    # much longer, and two trainings on the same two cores then take thirty times as long as they
    # should; where they sleep at once, one training takes 1.4 times as long by the clock.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    if cpus.allowed() < cpus.bound():  # a container's quota, which OpenMP does not look at
        os.environ.setdefault("OMP_NUM_THREADS", str(cpus.allowed()))


def check_memory() -> None:
    """Refuse a limit (``ulimit -v``) in which PyTorch would be aborted in C++, without a word."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < _MIN_ADDRESSES:
        raise MachineError(
            f"out of memory: {limit >> 20:,} MB of addresses are allowed (ulimit -v); the "
            f"libraries alone take {_MIN_ADDRESSES >> 20:,}"
        )


def mend_streams() -> None:
    """Make the three streams usable: open descriptors, and no letter that cannot be printed.

    A descriptor that the shell closed (``>&-``) would be given to the next file that is opened, and
    what a library prints would be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def close_streams(code: int) -> int:
    """Write out what is buffered for stdout; return the exit code, 1 where that fails."""
    if sys.stdout is None:
        return code
    try:
        sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            say(f"cistransfer: standard output: cannot write: {error.strerror}")
        # What is still buffered has a place to go when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return code or 1
    return code


class Stoppable:
    """A block that SIGTERM and SIGHUP stop as Ctrl-C does.

    A signal that the caller ignores (``nohup``) stays ignored. One that arrives where Python can
    raise nothing (in a callback of a library, an object's end) is sent once more, a moment later;
    where a library makes another error of it (an archive that is left half-way, an array that it
    was reading), the block ends with `KeyboardInterrupt` all the same.

    Attributes
    ----------
    came : list of int
        The signals that came.
    """

    def __init__(self) -> None:
        self.came: list[int] = []
        self._before: dict[signal.Signals, Any] = {}
        self._ended = False

    def __enter__(self) -> None:
        self._told = sys.unraisablehook
        sys.unraisablehook = self._lost
        if threading.current_thread() is threading.main_thread():
            for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(one) in (signal.SIG_DFL, signal.default_int_handler):
                    self._before[one] = signal.signal(one, self._stop)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        sys.unraisablehook = self._told
        self._ended = True
        for one, handler in self._before.items():
            signal.signal(one, handler)
        if self.came and error is not None and not isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt from error

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.came.append(number)
        raise KeyboardInterrupt

    def _lost(self, lost: Any) -> None:
        if not (self.came and issubclass(lost.exc_type, KeyboardInterrupt)):
            self._told(lost)
            return
        main = threading.main_thread().ident or 0
        # not `threading.Thread`, which waits until it runs: the signal might come within this hook
        _thread.start_new_thread(self._again, (main, self.came[-1]))

    def _again(self, main: int, number: int) -> None:
        time.sleep(_MOMENT)
        if not self._ended:
            signal.pthread_kill(main, number)
