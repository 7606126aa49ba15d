"""Work that is shared out gives what one thread gives, and limits are lifted again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.linalg  # noqa: F401
from threadpoolctl import threadpool_info, threadpool_limits

from cistransfer import cpus


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


@pytest.mark.parametrize("workers", [1, 2, 5])
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
