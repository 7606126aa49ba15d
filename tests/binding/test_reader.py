"""Views of a literal matrix, and what opening refuses."""

from __future__ import annotations

import dataclasses
import re
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from toymatrix import OPEN, SCORES, toy_parts

from cistransfer.binding.file import record_inputs, write_matrix
from cistransfer.binding.matrix import BindingMatrix, as_float, open_matrix
from cistransfer.errors import InputError

U = -1
# Region:         0  1  2  3  4  5  6  7   (P's maxima over a and b: 1 3 3 4 1 2 0 2)
STATES = {
    "sparse": {"P": [0, U, U, 1, 0, U, U, U], "Q": [1, 0, 0, 0, U, 0, U, U]},
    "less-sparse": {"P": [0, 0, 0, 1, 0, 0, U, 0], "Q": [1, 0, 0, 0, U, 0, U, U]},
    "full": {"P": [0, 0, 0, 1, 0, 0, 0, 0], "Q": [1, 0, 0, 0, 0, 0, 0, 0]},
    "peaks-only": {"P": [0, 0, 0, 1, 0, 1, U, 1], "Q": [1, 0, 0, 0, U, 0, U, U]},
    "peaks-only-full": {"P": [0, 0, 0, 1, 0, 1, 0, 1], "Q": [1, 0, 0, 0, 0, 0, 0, 0]},
}


def test_names_and_tables(toy: BindingMatrix) -> None:
    assert (toy.name, toy.genome, toy.window, len(toy)) == ("toy", "toy1", 60, 8)
    assert toy.tfs == ("P", "Q", "R")
    assert toy.cells == ("a", "b", "c", "d")
    assert toy.cells_of("P") == ("a", "b")
    assert toy.regions.to_dict("list") == toy_parts().regions.to_dict("list")
    assert toy.region_ids.tolist() == list(range(10, 18))
    assert toy.experiments["accessions"].tolist() == ["E1;E2", "E3", "E4", ""]


@pytest.mark.parametrize("rule", list(STATES))
def test_states_of_every_rule(toy: BindingMatrix, rule: str) -> None:
    states = toy.states(["Q", "P"], rule)
    assert states.dtype == np.int8
    assert states.shape == (8, 2)
    assert states[:, 1].tolist() == STATES[rule]["P"]
    assert states[:, 0].tolist() == STATES[rule]["Q"]
    np.testing.assert_array_equal(toy.states("P", rule), states[:, [1]])
    assert toy.states(rule=rule).shape == (8, 3)


def test_states_of_chosen_cells(toy: BindingMatrix) -> None:
    assert toy.states("P", cells=["a"])[:, 0].tolist() == [0, U, U, 1, 0, U, U, U]
    assert toy.states("P", cells="b")[:, 0].tolist() == [0, U, U, 0, U, U, U, U]
    assert toy.states("P", cells=["c", "d"])[:, 0].tolist() == [U] * 8
    by_cell = toy.states_by_cell("P", "less-sparse")
    assert by_cell.shape == (8, 4)
    assert by_cell.T.tolist() == [
        [0, 0, 0, 1, 0, U, U, 0],
        [0, 0, 0, 0, U, 0, U, U],
        [U] * 8,
        [U] * 8,
    ]


def test_scores_and_accessibility(toy: BindingMatrix) -> None:
    for (tf, cell), scores in SCORES.items():
        assert toy.scores(tf, cell).tolist() == scores
    assert toy.scores("Q", "a").tolist() == [0] * 8
    assert toy.levels("P").tolist() == [1, 3, 3, 4, 1, 2, 0, 2]
    assert toy.accessible().T.tolist() == np.array(list(OPEN.values()), dtype=bool).tolist()
    assert toy.accessible(["d", "a"]).T.astype(int).tolist() == [OPEN["d"], OPEN["a"]]
    region, kind = toy.evidence("P", "a")
    assert (region.tolist(), kind.tolist()) == ([1, 2, 3, 7], [1, 2, 3, 1])
    assert toy.evidence("Q", "a")[0].tolist() == []


def test_float_form(toy: BindingMatrix) -> None:
    np.testing.assert_array_equal(as_float(np.array([1, 0, -1], dtype=np.int8)), [1.0, 0.0, np.nan])


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda m: m.states("PP"), "no TF 'PP' in this matrix; nearest: P"),
        (lambda m: m.scores("Z1", "a"), "no TF 'Z1' in this matrix; there are: P, Q, R"),
        (lambda m: m.states("P", cells=["aa"]), "no cell 'aa' in this matrix; nearest: a"),
        (lambda m: m.scores("P", "x"), "no cell 'x' in this matrix; there are: a, b, c, d"),
        (lambda m: m.states("P", "spars"), "no rule 'spars'; nearest: sparse"),
    ],
)
def test_unknown_names_are_refused(toy: BindingMatrix, ask: object, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        ask(toy)  # type: ignore[operator]


def test_rules_that_the_evidence_cannot_answer(tmp_path: Path) -> None:
    parts = toy_parts()
    single = dataclasses.replace(parts, settings={**parts.settings, "kinds_known": False})
    write_matrix(tmp_path / "imported.h5", single)
    imported = open_matrix(tmp_path / "imported.h5")
    assert imported.states("P", "less-sparse")[:, 0].tolist() == STATES["less-sparse"]["P"]
    with pytest.raises(InputError, match="needs to know peaks from TFBS"):
        imported.states("P", "peaks-only")
    peaks = dataclasses.replace(parts, experiments=parts.experiments.assign(tfbs=False))
    write_matrix(tmp_path / "peaks.h5", peaks)
    peaks_only = open_matrix(tmp_path / "peaks.h5")
    assert peaks_only.default_rule == "peaks-only"
    with pytest.raises(InputError, match=r"needs TFBS predictions.*use 'peaks-only'"):
        peaks_only.states("P", "sparse")


def test_opening_refuses_what_is_not_a_matrix(tmp_path: Path, toy: BindingMatrix) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_matrix(tmp_path / "none.h5")
    with pytest.raises(InputError, match="found a folder"):
        open_matrix(tmp_path)
    (tmp_path / "text.h5").write_text("chr1\t1\t2\n")
    with pytest.raises(InputError, match="not a readable HDF5 file"):
        open_matrix(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = [1]
    with pytest.raises(InputError, match="not a binding matrix"):
        open_matrix(tmp_path / "other.h5")
    with h5py.File(toy.path, "r+") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(InputError, match="format 99 is newer than this cistransfer reads"):
        open_matrix(toy.path)


def test_a_file_without_its_parts_is_damaged(toy: BindingMatrix) -> None:
    with h5py.File(toy.path, "r+") as file:
        del file["evidence/region"]
    damaged = open_matrix(toy.path)
    with pytest.raises(InputError, match="damaged"):
        damaged.states("P")
    with h5py.File(toy.path, "r+") as file:
        del file["experiments/tf"]
    with pytest.raises(InputError, match="damaged"):
        open_matrix(toy.path)


def test_a_replaced_file_is_noticed(toy: BindingMatrix) -> None:
    toy.states("P")
    parts = toy_parts()
    other = dataclasses.replace(parts, kind=np.full_like(parts.kind, 3))
    write_matrix(toy.path, other)
    with pytest.raises(InputError, match="replaced while it was in use"):
        toy.states("P")
    assert open_matrix(toy.path).content_hash != toy.content_hash


def test_the_hash_is_of_the_content(tmp_path: Path, toy: BindingMatrix) -> None:
    parts = toy_parts()
    renamed = dataclasses.replace(parts, settings={**parts.settings, "name": "other"})
    write_matrix(tmp_path / "renamed.h5", renamed)
    assert open_matrix(tmp_path / "renamed.h5").content_hash == toy.content_hash
    bits = parts.accessibility.copy()
    bits[3, 0] ^= 128
    write_matrix(tmp_path / "opened.h5", dataclasses.replace(parts, accessibility=bits))
    assert open_matrix(tmp_path / "opened.h5").content_hash != toy.content_hash


def test_a_stale_matrix_is_refused(tmp_path: Path) -> None:
    peaks = tmp_path / "peaks.bed"
    peaks.write_text("chr1\t1\t2\n")
    path = tmp_path / "m.h5"
    inputs = record_inputs([("peaks", peaks), ("peaks", peaks)])
    assert len(inputs) == 1
    write_matrix(path, dataclasses.replace(toy_parts(), inputs=inputs))
    open_matrix(path)
    time.sleep(0.01)
    peaks.write_text("chr1\t1\t2\n")
    open_matrix(path)  # touched, but the same
    peaks.write_text("chr1\t1\t3\n")
    with pytest.raises(InputError, match=r"changed since: peaks file .*peaks.bed has other"):
        open_matrix(path)
    peaks.write_text("chr1\t1\t2\nchr1\t5\t6\n")
    with pytest.raises(InputError, match="had 9 bytes and has 18; build it again"):
        open_matrix(path)
    open_matrix(path, check_inputs=False)
    peaks.unlink()
    open_matrix(path)  # the matrix was moved away from its inputs


def test_empty_matrices_are_refused(tmp_path: Path) -> None:
    parts = dataclasses.replace(toy_parts(), experiments=toy_parts().experiments.iloc[:0])
    with pytest.raises(InputError, match="at least one experiment"):
        write_matrix(tmp_path / "m.h5", parts)
    assert list(tmp_path.iterdir()) == []


def test_opening_and_one_tf_are_fast(real_matrix: BindingMatrix) -> None:
    begin = time.perf_counter()
    opened = open_matrix(real_matrix.path)
    opened.states("JUND")
    assert time.perf_counter() - begin < 2.0
    assert len(opened.experiments) == 412
