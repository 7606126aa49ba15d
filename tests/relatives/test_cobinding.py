"""Co-binding against a naive loop over regions, and on the real matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cistransfer.binding.facts.cobinding import (
    BindingVectors,
    binding_vectors,
    cobinding,
    cobinding_with,
    pack,
)
from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError


def naive(a: NDArray[np.int8], b: NDArray[np.int8]) -> tuple[float, int, int, int]:
    """Cosine, co-bound, bound by a, resolved for both: region by region, resolved for both."""
    cobound = bound_a = bound_b = both = 0
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        if x < 0 or y < 0:
            continue
        both += 1
        bound_a += x
        bound_b += y
        cobound += x * y
    size = math.sqrt(bound_a * bound_b)
    return cobound / size if size else math.nan, cobound, bound_a, both


def vectors_of(states: NDArray[np.int8]) -> BindingVectors:
    return BindingVectors(
        tuple(f"TF{at}" for at in range(states.shape[1])),
        "less-sparse",
        len(states),
        tuple(np.flatnonzero(column == 1).astype(np.int32) for column in states.T),
        np.array([pack(column >= 0) for column in states.T]),
    )


MEAN = {"less-sparse": 0.0676, "sparse": 0.0862}
"""Mean cosine of all pairs on the nine chromosomes (0.065 and 0.082 on all)."""

tables = st.tuples(st.integers(1, 6), st.integers(1, 150), st.integers(0, 2**32 - 1)).map(
    lambda draw: np.random.default_rng(draw[2]).integers(-1, 2, (draw[1], draw[0])).astype(np.int8)
)


@settings(max_examples=60)
@given(tables)
def test_all_pairs_equal_the_naive_loop(states: NDArray[np.int8]) -> None:
    found = cobinding(vectors_of(states))
    for a in range(states.shape[1]):
        for b in range(states.shape[1]):
            cosine, cobound, bound, both = naive(states[:, a], states[:, b])
            assert found.cosine[a, b] == pytest.approx(cosine, nan_ok=True)
            assert found.cobound[a, b] == cobound
            assert found.bound[a, b] == bound
            assert found.resolved[a, b] == both


@settings(max_examples=40)
@given(tables)
def test_one_vector_with_all_is_a_row_of_all_pairs(states: NDArray[np.int8]) -> None:
    vectors = vectors_of(states)
    everything = cobinding(vectors)
    for at, tf in enumerate(vectors.tfs):
        row = cobinding_with(vectors, vectors.is_bound(tf), vectors.is_resolved(tf))
        np.testing.assert_array_equal(row["cosine"], everything.cosine[at])
        np.testing.assert_array_equal(row["cobound"], everything.cobound[at])
        np.testing.assert_array_equal(row["resolved"], everything.resolved[at])


@settings(max_examples=40)
@given(tables)
def test_counts_and_symmetry(states: NDArray[np.int8]) -> None:
    vectors = vectors_of(states)
    np.testing.assert_array_equal(vectors.bound_counts(), (states == 1).sum(axis=0))
    np.testing.assert_array_equal(vectors.resolved_counts(), (states >= 0).sum(axis=0))
    assert vectors.common(vectors.tfs) == int((states >= 0).all(axis=1).sum())
    assert vectors.common([]) == len(states)
    without = [
        (np.delete(states, at, axis=1) >= 0).all(axis=1).sum() for at in range(states.shape[1])
    ]
    assert vectors.common_without(vectors.tfs) == without
    cosine = cobinding(vectors).cosine
    np.testing.assert_array_equal(cosine, cosine.T)
    has = vectors.bound_counts() > 0
    np.testing.assert_allclose(np.diag(cosine)[has], 1)
    assert np.isnan(np.diag(cosine)[~has]).all()


def test_order_of_regions_and_tfs_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    states = rng.integers(-1, 2, (500, 7)).astype(np.int8)
    whole = cobinding(vectors_of(states)).cosine
    shuffled = cobinding(vectors_of(states[rng.permutation(500)])).cosine
    np.testing.assert_array_equal(whole, shuffled)
    order = rng.permutation(7)
    np.testing.assert_array_equal(
        cobinding(vectors_of(states[:, order])).cosine, whole[np.ix_(order, order)]
    )


def test_views_differ_where_evidence_is_single(make_matrix: Any) -> None:
    # Region 3: B has a peak only: unbound under less-sparse, unresolved under sparse.
    matrix = make_matrix([[1, 1], [1, 1], [0, 0], [1, 2], [-1, 1]], ["A", "B"])
    less = cobinding(binding_vectors(matrix)).cosine[0, 1]
    sparse = cobinding(binding_vectors(matrix, "sparse")).cosine[0, 1]
    assert less == pytest.approx(2 / math.sqrt(3 * 2))
    assert sparse == pytest.approx(1)
    with pytest.raises(InputError, match="no TF 'C'"):
        binding_vectors(matrix).at("C")


def test_a_target_that_binds_where_it_is_closed_counts_as_resolved_there() -> None:
    vectors = vectors_of(np.array([[1], [0], [1], [0]], dtype=np.int8))
    bound = np.array([True, False, False, False])
    row = cobinding_with(vectors, bound, np.array([False, True, True, True]))
    assert row.loc["TF0"].tolist() == [pytest.approx(1 / math.sqrt(2)), 1, 4]


@pytest.mark.parametrize("rule", ["less-sparse", "sparse"])
def test_real_cosines(real_matrix: BindingMatrix, rule: str) -> None:
    """All pairs among the published targets and their published relatives, naively."""
    tfs = ["JUND", "HNF4A", "MAX", "SP1", "SPI1", "EGR1", "FOXA1", "NR2F2", "MAFG", "GATA1"]
    found = cobinding(binding_vectors(real_matrix, rule)).table()
    states = {tf: real_matrix.states(tf, rule)[:, 0].astype(float) for tf in tfs}
    for a in tfs:
        for b in tfs:
            both = (states[a] >= 0) & (states[b] >= 0)
            x, y = states[a][both], states[b][both]
            assert found.loc[a, b] == pytest.approx(x @ y / math.sqrt((x @ x) * (y @ y)))
    off = found.to_numpy()[np.triu_indices(len(found), 1)]
    assert np.nanmean(off) == pytest.approx(MEAN[rule], abs=5e-4)


def test_real_neighbours_are_those_of_the_whole_genome(real_matrix: BindingMatrix) -> None:
    """The order of the nearest TFs on nine chromosomes is nearly that of all (Appendix 3)."""
    table = cobinding(binding_vectors(real_matrix)).table()
    expected = {
        "JUND": "FOSL1 JUN FOSL2 FOS JUNB",
        "HNF4A": "NR2F6 RXRA NR2F2 FOXA2 FOXA1 SP1 MYBL2 CEBPA",
        "MAX": "MYC MYCN MNT",
        "SPI1": "ETV6 ELF1 ETV4",
        "SP1": "FOSL1 JUND FOS FOSL2 JUN",
        "EGR1": "KLF9 SP1 NRF1",
    }
    for tf, names in expected.items():
        near = table[tf].drop(tf).sort_values(ascending=False).index
        assert " ".join(near[: len(names.split())]) == names
