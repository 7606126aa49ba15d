"""GC matching against a naive oracle in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cistransfer.examples.draw import match_gc

GC = st.lists(st.integers(0, 40), max_size=30)


def _bin(count: int, length: int, bins: int) -> int:
    """Right-closed bins, GC of exactly 0 in the first."""
    return max(0, ceil(Fraction(count, length) * bins) - 1)


@given(GC, GC, st.sampled_from([10, 20, 7]), st.sampled_from([0.5, 1.0, 3.0]))
def test_each_bin_gives_what_is_wanted_or_all_it_has(
    bound: list[int], pool: list[int], bins: int, per_bound: float
) -> None:
    chosen = match_gc(
        np.array(bound) / 40, np.array(pool) / 40, per_bound=per_bound, bins=bins, seed=1
    )
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    for which in range(bins):
        wanted = round(per_bound * sum(_bin(gc, 40, bins) == which for gc in bound))
        there = [row for row, gc in enumerate(pool) if _bin(gc, 40, bins) == which]
        assert len(set(chosen.tolist()) & set(there)) == min(wanted, len(there))


@pytest.mark.parametrize("length", [100, 200, 500, 1000])
@pytest.mark.parametrize("bins", [10, 20])
def test_every_gc_content_of_a_window_falls_in_the_right_bin(length: int, bins: int) -> None:
    """Edges such as 0.15 are no binary fractions; a window on an edge must not slip over."""
    for count in range(length + 1):
        which = _bin(count, length, bins)
        upper = (which + 1) * length // bins
        above = min(upper + 1, length)
        pool = np.array([upper, above]) / length
        chosen = match_gc(np.array([count / length]), pool, bins=bins, seed=0)
        assert chosen.tolist() == ([0] if above > upper else [chosen[0]])


def test_the_distribution_follows_the_bound_one() -> None:
    rng = np.random.default_rng(2)
    bound = rng.normal(0.6, 0.05, 500).clip(0, 1)
    pool = rng.normal(0.45, 0.1, 20_000).clip(0, 1)
    chosen = pool[match_gc(bound, pool, seed=3)]
    assert len(chosen) > 490
    assert abs(chosen.mean() - bound.mean()) < 0.005
    assert abs(pool.mean() - bound.mean()) > 0.1


def test_equal_seeds_choose_equal_rows() -> None:
    rng = np.random.default_rng(4)
    bound, pool = rng.random(50), rng.random(500)
    first = match_gc(bound, pool, seed=1)
    assert (match_gc(bound, pool, seed=1) == first).all()
    assert (match_gc(bound, pool, seed=2) != first).any()
