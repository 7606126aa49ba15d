"""The process around a verb: its environment, its streams, and the signals that stop it."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from cistransfer import cpus
from cistransfer.errors import MachineError
from cistransfer.progress import say

__all__ = [
    "check_memory",
    "close_streams",
    "mend_streams",
    "say",
    "set_environment",
    "stoppable",
]

_MOMENT = 0.005
_MIN_ADDRESSES = 1 << 30
"""Bytes of addresses below which libraries may be aborted while they are loaded."""


def set_environment() -> None:
    """Set what libraries read when they are loaded, unless the user has."""
    # Threads of OpenMP that wait for each other sleep. By default they spin, and two trainings on
    # the same two cores then take thirty times as long as they should.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
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


@contextlib.contextmanager
def stoppable() -> Iterator[list[int]]:
    """Have SIGTERM and SIGHUP stop the block as Ctrl-C does; yield the list of what came.

    A signal that the caller ignores (``nohup``) stays ignored. One that arrives where Python can
    raise nothing (in a callback of a library, an object's end) is sent once more, a moment later.
    """
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    told = sys.unraisablehook

    def again(lost: Any) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            told(lost)
            return
        number = came[-1] if came else signal.SIGINT
        main = threading.main_thread().ident or 0
        threading.Timer(_MOMENT, signal.pthread_kill, (main, number)).start()

    before = {}
    sys.unraisablehook = again
    if threading.current_thread() is threading.main_thread():
        for one in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(one) == signal.SIG_DFL:
                before[one] = signal.signal(one, stop)
    try:
        yield came
    finally:
        sys.unraisablehook = told
        for one, handler in before.items():
            signal.signal(one, handler)
