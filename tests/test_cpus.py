"""Work that is shared out gives what one thread gives, and limits are lifted again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg  # noqa: F401
from threadpoolctl import threadpool_info, threadpool_limits

from cistransfer import cpus
from cistransfer.errors import InputError
from cistransfer.genome.codes import encode, encode_many


def blas() -> list[int]:
    return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]


def test_linear_algebra_has_one_thread_and_then_as_many_as_before() -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas()
        with cpus.one_thread():
            assert set(blas()) == {1}
            with cpus.one_thread():
                assert set(blas()) == {1}
            assert set(blas()) == {1}
        assert blas() == before


def test_a_limit_that_another_thread_has_set_is_left() -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas()

        def inner() -> list[int]:
            with cpus.one_thread():
                return blas()

        with cpus.one_thread(), ThreadPoolExecutor(1) as pool:
            assert set(pool.submit(inner).result()) == {1}
            assert set(blas()) == {1}
        assert blas() == before


def counted(n: int, made: list[int]) -> Generator[int, None, None]:
    try:
        for number in range(n):
            made.append(number)
            yield number
        raise InputError("line 4 is wrong")
    finally:
        made.append(-1)


@pytest.mark.parametrize("room", [0, 1, 100])
def test_what_is_made_ahead_comes_in_order_with_its_error_at_its_place(room: int) -> None:
    made: list[int] = []
    with cpus.ahead(counted(4, made), room) as items:
        found = [next(items)]
        time.sleep(0.01)
        assert len(made) <= room + 3
        with pytest.raises(InputError, match="line 4"):
            found.extend(items)
    assert found == [0, 1, 2, 3]
    assert made == [0, 1, 2, 3, -1]


def test_nothing_is_made_ahead_any_more_when_the_block_ends() -> None:
    made: list[int] = []
    dropped: list[int] = []
    endless = counted(1 << 40, made)
    with ThreadPoolExecutor(1) as pool:
        with cpus.ahead(endless, room=3, size=lambda item: 2, drop=dropped.append) as items:
            assert next(items) == 0
            time.sleep(0.01)
        assert made[-1] == -1
        assert len(made) <= 6
        assert dropped == made[1:-1]
        with pytest.raises(cpus.StoppedError):
            pool.submit(next, items).result()


@pytest.mark.parametrize("workers", [1, 2, 64])
def test_results_come_in_order_and_do_not_depend_on_workers(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpus, "n_workers", lambda: workers)
    matrices = [np.random.default_rng(seed).normal(size=(60, 60)) for seed in range(7)]
    found = cpus.each(lambda matrix: (matrix @ matrix.T).sum(), matrices)
    with cpus.one_thread():
        assert found == [(matrix @ matrix.T).sum() for matrix in matrices]
    assert cpus.each(str, []) == []

    def fail(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    with pytest.raises(ValueError, match="three"):
        cpus.each(fail, range(6))
    assert not cpus._LIMITED.locked()


@pytest.mark.parametrize(("said", "n"), [("", 4), ("1", 1), ("3", 3), ("9", 4), ("x", 4), ("0", 1)])
def test_as_many_workers_as_one_is_told(said: str, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpus, "allowed", lambda: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert cpus.n_workers() == n


@pytest.mark.parametrize("workers", [1, 2, 64])
def test_a_share_of_work_knows_the_context_that_it_was_given_out_in(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpus, "n_workers", lambda: workers)
    said: ContextVar[str] = ContextVar("said", default="nothing")
    token = said.set("kernels off")
    try:
        found = cpus.as_done(lambda number: (number, said.get()), range(4))
        assert list(found) == [(number, "kernels off") for number in range(4)]
    finally:
        said.reset(token)


def test_a_killed_process_gives_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    child = cpus._Child()
    assert child.process is not None
    assert child.ask(encode, ("GT",))[1].tolist() == [2, 3]
    child.process.kill()
    child.process.wait()
    assert child.ask(encode, ("AC",)) is None
    assert not child.lives()
    child.end()

    def none(*_: object, **__: object) -> None:
        raise OSError("no processes left")

    monkeypatch.setattr(subprocess, "Popen", none)
    monkeypatch.setattr(cpus, "_WAITING", [])
    assert cpus.elsewhere(encode, "A").tolist() == [0]


def test_a_library_that_crashes_takes_another_process_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cpus.elsewhere(encode, "AC").tolist() == [0, 1]
    process = cpus._WAITING[-1].process
    monkeypatch.chdir(tmp_path)
    assert cpus.elsewhere(os.getcwd) == str(tmp_path)
    with pytest.raises(InputError, match="sequence 2 is 1 bp long"):
        cpus.elsewhere(encode_many, ["AC", "G"])
    assert cpus._WAITING[-1].process is process
    with pytest.raises(cpus.BrokenDownError) as broken:
        cpus.elsewhere(os.abort)
    assert not broken.value.killed
    assert cpus._WAITING == []
    assert cpus.elsewhere(encode, "GT").tolist() == [2, 3]
    process = cpus._WAITING[-1].process
    assert process is not None
    process.kill()  # between two calls, as for want of memory
    process.wait()
    assert cpus.elsewhere(encode, "GT").tolist() == [2, 3]
    with pytest.raises(cpus.BrokenDownError) as broken:
        cpus.elsewhere(signal.raise_signal, int(signal.SIGKILL))
    assert broken.value.killed


def test_a_process_of_another_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a fork, whose answers its parent would get."""
    cpus.elsewhere(encode, "A")
    child = cpus._WAITING[-1]
    monkeypatch.setattr(child, "owner", child.owner + 1)
    assert cpus.elsewhere(encode, "GT").tolist() == [2, 3]
    assert cpus._WAITING[-1] is not child
    assert child.process is not None
    assert child.process.poll() is None
    monkeypatch.undo()
    child.end()


def test_an_interrupt_ends_the_other_process() -> None:
    code = (
        "import time\n"
        "from cistransfer import cpus\n"
        "print('begun', flush=True)\n"
        "cpus.elsewhere(time.sleep, 60)\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert running.stdout is not None
    running.stdout.readline()
    time.sleep(1)
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=50)
    assert time.monotonic() - began < 40
    assert b"KeyboardInterrupt" in said


def test_processes_end_with_the_one_that_began_them() -> None:
    code = (
        "import os, signal\n"
        "from cistransfer import cpus\n"
        "child = cpus._Child()\n"
        "child.ask(len, ('ready',))\n"
        "print(child.process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    child = int(done.stdout)
    for _ in range(200):
        if not _runs(child):
            break
        time.sleep(0.05)
    assert not _runs(child)
    assert not done.stderr


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False
    )
    return not state.stdout.startswith("Z") and bool(state.stdout)
