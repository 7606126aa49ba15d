"""Candidates of a binding matrix: of one TF, or of several."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.binding.matrix import BindingMatrix, open_matrix
from cistransfer.errors import InputError, nearest
from cistransfer.examples.candidates import Candidates, Placing
from cistransfer.examples.sources import MIN_BESIDE
from cistransfer.genome.assemblies import check_same_assembly
from cistransfer.genome.intervals import centre_windows

if TYPE_CHECKING:
    from cistransfer.examples.sources import FromMatrix, FromTFs

__all__ = ["of_matrix", "of_tfs"]

PathLike = str | os.PathLike[str]


def _as_matrix(given: PathLike | BindingMatrix) -> BindingMatrix:
    return given if isinstance(given, BindingMatrix) else open_matrix(given)


def of_matrix(source: FromMatrix, placing: Placing, window: int | None) -> Candidates:
    """Bound and then unbound regions of one TF of a matrix; chromosomes are chosen among all."""
    matrix = _as_matrix(source.matrix)
    rule = source.rule or matrix.default_rule
    states = _states(matrix, [source.tf], rule, source)[:, 0]
    table, facts = _windows(matrix, source, placing, window)
    rows = np.concatenate([np.flatnonzero(states == 1), np.flatnonzero(states == 0)])
    return Candidates(
        table.iloc[rows].reset_index(drop=True),
        states[rows][:, None],
        np.where(states[rows] == 1, "bound", "unbound").astype(object),
        (source.tf,),
        {"source": matrix.name, "rule": rule, **facts, "inputs": placing.inputs},
        voters=table,
    )


def _states(
    matrix: BindingMatrix, tfs: list[str], rule: str, source: FromMatrix | FromTFs
) -> NDArray[np.int8]:
    """States of TFs over all cells, or in one cell where they are (not) resolved in others."""
    if source.cell is None:
        return matrix.states(tfs, rule=rule)
    for cell in (source.cell, *source.also_in):
        for tf in tfs:
            if cell in matrix.cells and cell not in (own := matrix.cells_of(tf)):
                raise InputError(f"{matrix.path}: {tf} is assayed in {', '.join(own)}, not {cell}")
    states = matrix.states(tfs, rule=rule, cells=source.cell)
    for cell in source.also_in:
        states[matrix.states(tfs, rule=rule, cells=cell) < 0] = -1
    for cell in source.not_in:
        states[matrix.states(tfs, rule=rule, cells=cell) >= 0] = -1
    if not (states >= 0).any():
        where = [f"also in {', '.join(source.also_in)}"] if source.also_in else []
        where += [f"not in {', '.join(source.not_in)}"] if source.not_in else []
        raise InputError(
            f"{matrix.path}: no region is resolved for {', '.join(tfs[:3])} in {source.cell} "
            f"({' and '.join(where) or 'rule ' + rule})"
        )
    return states


def _windows(
    matrix: BindingMatrix, source: FromMatrix | FromTFs, placing: Placing, window: int | None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Windows of a matrix's regions by the genome's names, and what is recorded of the choice."""
    check_same_assembly(
        matrix.genome, placing.sequences.chromosomes, f"{matrix.path}", placing.sequences.name
    )
    table = placing(matrix.regions, f"regions of {matrix.name}")
    facts: dict[str, Any] = {}
    if source.cell is not None:
        facts = {"cell": source.cell, "also_in": [*source.also_in], "not_in": [*source.not_in]}
    width = source.window or max(window or 0, matrix.window)
    if width != matrix.window:
        table = centre_windows(table, width)
        facts["window_of_labels"] = matrix.window
    return table, facts


def of_tfs(source: FromTFs, placing: Placing, window: int | None, seed: int) -> Candidates:
    """Regions of a matrix that are resolved for several TFs; folds are made of all its regions."""
    matrix = _as_matrix(source.matrix)
    for name in set(source.exclude) - set(matrix.tfs):
        raise InputError(f"{matrix.path}: no TF {name!r} to leave out; {nearest(name, matrix.tfs)}")
    tfs = [name for name in source.tfs or matrix.tfs if name not in source.exclude]
    if not tfs or len(set(tfs)) != len(tfs):
        raise InputError(f"expected different TFs to train on, found {tfs}")
    common = source.regions == "common"
    rule = source.rule or ("less-sparse" if common and matrix.has_tfbs else matrix.default_rule)
    states = _states(matrix, tfs, rule, source)
    known = states >= 0
    wanted = known.all(axis=1) if common else known.any(axis=1)
    others = [name for name in source.common_with if name not in tfs]
    if others:
        wanted &= (_states(matrix, others, rule, source) >= 0).all(axis=1)
    rows = np.flatnonzero(wanted)
    if not len(rows):
        raise InputError(
            f"no region is resolved for all of {', '.join([*tfs, *others])}; drop the TF assayed "
            "in the fewest cells, or train on every resolved region (--region-set resolved)"
        )
    table, facts = _windows(matrix, source, placing, window)
    most = source.max_regions
    if most is not None and len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
    further, columns = _beside(matrix, tfs, rule, source.beside, rows)
    return Candidates(
        table.iloc[rows].reset_index(drop=True),
        np.concatenate([states[rows], *columns], axis=1),
        np.full(len(rows), "matrix", dtype=object),
        (*tfs, *further),
        {
            "source": matrix.name,
            "regions": source.regions,
            "rule": rule,
            "most": most,
            **({"common_with": list(source.common_with)} if source.common_with else {}),
            **({"beside": further} if further else {}),
            **facts,
            "inputs": placing.inputs,
        },
        words=None,
        folds=table,
    )


def _beside(
    matrix: BindingMatrix,
    tfs: list[str],
    rule: str,
    kinds: tuple[str, ...],
    rows: NDArray[np.int64],
) -> tuple[list[str], list[NDArray[np.int8]]]:
    """Further tasks on regions, in the order of `BESIDE`: their names, and their labels."""
    names: list[str] = []
    columns: list[NDArray[np.int8]] = []
    if "experiments" in kinds:
        view = matrix.view("cells", rule, tfs=tfs)
        states = view.array()[rows]
        many = (states == 1).sum(axis=0) >= MIN_BESIDE
        names += [name for name, taken in zip(view.labels, many, strict=True) if taken]
        columns.append(states[:, many])
    if "openness" in kinds:
        names += [f"open@{cell}" for cell in matrix.cells]
        columns.append(matrix.accessible()[rows].astype(np.int8))
    return names, columns
