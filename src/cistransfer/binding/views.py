"""What can be looked at in a matrix: regions × TFs, one TF's regions × cells, the 3-D scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cistransfer.binding.reader import BindingMatrix
from cistransfer.errors import InputError, nearest

__all__ = ["VIEWS", "View", "view"]

VIEWS = ("tfs", "cells", "scores")
"""``tfs``: regions × TFs over the chosen cells; ``cells``: regions × TF-and-cell states;
``scores``: regions × TF-and-cell scores 0 … 4."""


@dataclass(frozen=True)
class View:
    """Columns of int8 values over a matrix's regions, read one at a time.

    Attributes
    ----------
    matrix : BindingMatrix
    kind : str
        One of `VIEWS`.
    rule : str
        Rule of the states; ``"scores"`` for scores.
    columns : list of (tf, cell)
        The cell is empty where the column is over cells.
    """

    matrix: BindingMatrix
    kind: str
    rule: str
    columns: list[tuple[str, str]]
    _column: Callable[[int], NDArray[np.int8]]

    def __len__(self) -> int:
        """Number of columns."""
        return len(self.columns)

    @property
    def labels(self) -> list[str]:
        """``TF`` or ``TF@cell`` of each column."""
        return [f"{tf}@{cell}" if cell else tf for tf, cell in self.columns]

    def column(self, at: int) -> NDArray[np.int8]:
        """Values of one column, shape (n_regions,); −1 unresolved."""
        return self._column(at)

    def __iter__(self) -> Iterator[NDArray[np.int8]]:
        """Columns in order."""
        return (self._column(at) for at in range(len(self.columns)))

    def array(self) -> NDArray[np.int8]:
        """All columns, shape (n_regions, n_columns), Fortran order."""
        values = np.empty((len(self.columns), len(self.matrix)), dtype=np.int8)
        for at, column in enumerate(self):
            values[at] = column
        return values.T


def view(
    matrix: BindingMatrix,
    kind: str = "tfs",
    rule: str | None = None,
    tfs: Sequence[str] | None = None,
    cells: Sequence[str] | None = None,
) -> View:
    """Look at a matrix in one of three ways.

    Parameters
    ----------
    matrix : BindingMatrix
    kind : {"tfs", "cells", "scores"}
        See `VIEWS`. The last two have one column per assayed TF × cell.
    rule : str, optional
        Rule of the states; the matrix's default one when not given. Scores have none.
    tfs, cells : names, optional
        Only these; all when not given.

    Returns
    -------
    View
    """
    if kind not in VIEWS:
        raise InputError(f"no view {kind!r}; {nearest(kind, VIEWS)}")
    names = list(matrix.tfs if tfs is None else tfs)
    for tf in names:
        matrix.cells_of(tf)
    if cells is not None:
        for cell in cells:
            if cell not in matrix.cells:
                raise InputError(
                    f"{matrix.path}: no cell {cell!r} in this matrix; {nearest(cell, matrix.cells)}"
                )
    if kind == "tfs":
        settled = rule or matrix.default_rule
        matrix.rule_table(settled)
        return View(
            matrix,
            kind,
            settled,
            [(tf, "") for tf in names],
            lambda at: matrix.states(names[at], settled, cells)[:, 0],
        )
    pairs = [
        (tf, cell) for tf in names for cell in matrix.cells_of(tf) if cells is None or cell in cells
    ]
    if not pairs:
        raise InputError(f"{matrix.path}: none of the chosen TFs is assayed in the chosen cells")
    if kind == "scores":
        if rule is not None:
            raise InputError(f"scores have no rule, found {rule!r}")
        return View(
            matrix, kind, "scores", pairs, lambda at: matrix.scores(*pairs[at]).view(np.int8)
        )
    settled = rule or matrix.default_rule
    matrix.rule_table(settled)
    return View(
        matrix,
        kind,
        settled,
        pairs,
        lambda at: matrix.states(pairs[at][0], settled, pairs[at][1])[:, 0],
    )
