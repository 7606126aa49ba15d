"""Choosing TFs by commonly resolved regions: against brute force, and on the real matrix."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cistransfer.binding.facts import common
from cistransfer.binding.facts.cobinding import binding_vectors
from cistransfer.binding.facts.common import (
    common_regions,
    maximise_common,
    most_resolved,
    qualifying_tfs,
    resolved_counts,
)
from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError


def toy(states: list[list[int]]) -> Any:
    """A matrix that answers with the given states (regions x TFs)."""
    table = np.array(states, dtype=np.int8)
    tfs = tuple(f"TF{at:02d}" for at in range(table.shape[1]))

    class Toy(SimpleNamespace):
        def __len__(self) -> int:
            return len(table)

        def states(self, names: Any = None, rule: str = "sparse", cells: Any = None) -> Any:
            chosen = tfs if names is None else [names] if isinstance(names, str) else names
            return table[:, [tfs.index(name) for name in chosen]]

    return Toy(tfs=tfs, path="toy.h5", default_rule="sparse")


def test_tfs_that_qualify_by_hand() -> None:
    """10 bound regions, 4 of them common to a trunk on both: 6 + 0.4 left, 3.2 sequences each."""
    matrix = toy([[1, 0]] * 4 + [[1, -1]] * 6 + [[0, -1]] * 5)
    found = qualifying_tfs(matrix, n_trunk=2, min_sequences=20)
    assert found.to_dict("list") == {
        "tf": ["TF00", "TF01"],
        "bound": [10, 0],
        "left": [6.4, 0.0],
        "sequences": [20.5, 0.0],
        "qualifies": [True, False],
    }
    for n_trunk in (0, 3):  # none, and more than there are: no trunk
        alone = qualifying_tfs(matrix, n_trunk=n_trunk, min_sequences=33)
        assert alone["left"].tolist() == [10.0, 0.0]
        assert alone["qualifies"].tolist() == [False, False]
    assert qualifying_tfs(matrix, n_trunk=0, min_sequences=32)["qualifies"].tolist() == [
        True,
        False,
    ]


def test_the_published_rule_drops_tfs_with_many_bound_regions(real_matrix: BindingMatrix) -> None:
    """On nine chromosomes: those that the paper leaves out of the whole genome are out here too."""
    found = qualifying_tfs(real_matrix).set_index("tf")
    states, less = real_matrix.states(), real_matrix.states(rule="less-sparse")
    trunk = [real_matrix.tfs.index(tf) for tf in most_resolved(real_matrix, 50)]
    seen = (less[:, trunk] >= 0).all(axis=1)
    for column, tf in enumerate(real_matrix.tfs):
        bound = states[:, column] == 1
        left = bound.sum() - 0.9 * (bound & seen).sum()
        assert found.loc[tf, "left"] == pytest.approx(left, abs=0.06)
        assert found.loc[tf, "qualifies"] == (round(3.2 * round(left, 1), 1) >= 500)
    out = set(found.index[~found["qualifies"]])
    assert {"ARNT", "SREBF2", "VDR", "SP2", "TEAD2", "HINFP", "THAP1"} & set(found.index) <= out
    assert not {"JUND", "MAX", "SPI1", "SP1", "HNF4A"} & out


@settings(max_examples=150)
@given(st.data())
def test_maximiser_equals_brute_force(data: st.DataObject) -> None:
    n_tfs = data.draw(st.integers(1, 7))
    row = st.lists(st.sampled_from([-1, 0, 1]), min_size=n_tfs, max_size=n_tfs)
    matrix = toy(data.draw(st.lists(row, min_size=1, max_size=20)))
    n = data.draw(st.integers(1, n_tfs))
    best = max(len(common_regions(matrix, tfs)) for tfs in combinations(matrix.tfs, n))
    # With good starts, and with none: the branches alone must find the maximum.
    with pytest.MonkeyPatch.context() as patch:
        if data.draw(st.booleans()):
            patch.setattr(common, "_greedy", lambda *_: ())
            patch.setattr(common, "_swap", lambda resolved, *_: tuple(range(resolved.shape[1])))
        choice = maximise_common(matrix, n)
    assert choice.proven
    assert choice.regions == choice.bound == best
    assert len(choice.tfs) == n
    assert list(choice.tfs) == sorted(set(choice.tfs))
    assert len(common_regions(matrix, choice.tfs)) == best


@pytest.mark.parametrize("seed", range(8))
def test_branches_find_the_maximum_without_a_start(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    table = rng.choice([-1, 0, 1], (80, 11), p=[0.3, 0.5, 0.2])
    monkeypatch.setattr(common, "_greedy", lambda *_: ())
    monkeypatch.setattr(common, "_swap", lambda resolved, *_: tuple(range(resolved.shape[1])))
    resolved = table >= 0
    for n in (2, 4, 7):
        best = max(resolved[:, list(tfs)].all(axis=1).sum() for tfs in combinations(range(11), n))
        choice = maximise_common(toy(table.tolist()), n)
        assert (choice.regions, choice.proven) == (best, True)


def test_a_search_cut_short_says_so_and_bounds_the_maximum() -> None:
    rng = np.random.default_rng(0)
    matrix = toy(rng.integers(-1, 2, (400, 12)).tolist())
    best = max(len(common_regions(matrix, tfs)) for tfs in combinations(matrix.tfs, 5))
    cut = maximise_common(matrix, 5, nodes=1)
    assert not cut.proven
    assert cut.regions == len(common_regions(matrix, cut.tfs)) <= best <= cut.bound


def test_published_rule_breaks_ties_by_name() -> None:
    matrix = toy([[0, 1, -1, 0], [0, 0, 0, 1], [-1, -1, 1, -1]])
    assert resolved_counts(matrix) == {"TF00": 2, "TF01": 2, "TF02": 2, "TF03": 2}
    assert most_resolved(matrix, 2) == ("TF00", "TF01")
    assert common_regions(matrix, ["TF00", "TF02"]).tolist() == [1]
    assert binding_vectors(matrix, "less-sparse").common_curve([0, 1, 3]) == {0: 3, 1: 2, 3: 1}


@pytest.mark.parametrize("n", [0, 3])
def test_impossible_numbers_are_refused(n: int) -> None:
    with pytest.raises(InputError, match="1 to 2 TFs"):
        most_resolved(toy([[0, 1]]), n)
    with pytest.raises(InputError, match="1 to 2 TFs"):
        maximise_common(toy([[0, 1]]), n)


def test_no_tf_is_refused() -> None:
    with pytest.raises(InputError, match="none is named"):
        common_regions(toy([[0, 1]]), [])


def test_real_maximum_beats_the_published_rule(real_matrix: BindingMatrix) -> None:
    """Appendix 2 of the published facts: the TFs of GM12878 and K562 are nearly the best choice."""
    published = len(common_regions(real_matrix, most_resolved(real_matrix, 47)))
    both = [tf for tf in real_matrix.tfs if {"GM12878", "K562"} <= set(real_matrix.cells_of(tf))]
    assert len(both) == 47
    reachable = len(common_regions(real_matrix, both))
    choice = maximise_common(real_matrix, 47)
    assert choice.proven
    assert (published, reachable, choice.regions) == (27_731, 60_924, 60_924)
