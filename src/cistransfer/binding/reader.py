"""Views of a binding matrix file: accessibility, scores, states.

The file keeps what was observed (which regions are open in which cell, which experiment shows a
peak, a TFBS or both in which open region); every published matrix is a view of it. Novakovsky et
al. 2021, Methods "TF binding matrix"; the published code's scores and recoding.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.binding.rules import RULES
from cistransfer.errors import InputError, nearest
from cistransfer.genome.bed import regions_table

__all__ = ["BindingMatrix"]

_LEVEL_OF_KIND = np.array([1, 2, 3, 4], dtype=np.uint8)

States = NDArray[np.int8]


@dataclass(frozen=True)
class BindingMatrix:
    """A reader of one matrix file; make it with `cistransfer.binding.matrix.open_matrix`.

    Only names and settings are held; arrays are read when a view asks for them.

    Attributes
    ----------
    path : Path
        The HDF5 file.
    name, genome : str
        What the builder called the matrix, and the genome assembly.
    window : int
        Width of the regions in bp; 0 when they keep their own widths.
    cells : tuple of str
        Sorted.
    tfs : tuple of str
        TFs with at least one experiment, sorted.
    experiments : DataFrame
        One row per assayed TF × cell: tf, cell, accessions (``;``-joined), peaks, tfbs (whether
        there is such a file), peak_rows, tfbs_rows; sorted by TF, then cell.
    settings : dict
        What the matrix was built with.
    inputs : list of dict
        role, path, sha256, bytes, mtime_ns of every file that was read.
    content_hash : str
        Hash of what the matrix says.
    """

    path: Path
    name: str
    genome: str
    window: int
    cells: tuple[str, ...]
    tfs: tuple[str, ...]
    experiments: pd.DataFrame = field(repr=False, compare=False)
    settings: dict[str, Any] = field(repr=False, compare=False)
    inputs: list[dict[str, Any]] = field(repr=False, compare=False)
    content_hash: str
    n_regions: int

    def __len__(self) -> int:
        """Number of regions."""
        return self.n_regions

    @property
    def kinds_known(self) -> bool:
        """Whether single evidence is known to be a peak or a TFBS (not so in a published import).

        Where it is not, score 2 means "2 or 3" and the peaks-only rules are refused.
        """
        return bool(self.settings.get("kinds_known", True))

    @property
    def has_tfbs(self) -> bool:
        """Whether any experiment has TFBS predictions."""
        return bool(self.experiments["tfbs"].any())

    @property
    def default_rule(self) -> str:
        """``"sparse"``, or ``"peaks-only"`` for a matrix without TFBS predictions."""
        return "sparse" if self.has_tfbs else "peaks-only"

    @functools.cached_property
    def regions(self) -> pd.DataFrame:
        """Region table (chrom, start, end), by chromosome name, then start."""
        with self._open() as file:
            chroms = np.array(file["regions/chroms"].asstr()[:], dtype=object)
            start = file["regions/start"][:].astype(np.int64)
            chrom = chroms[file["regions/chrom"][:]]
            return regions_table(chrom, start, start + file["regions/width"][:])

    @functools.cached_property
    def region_ids(self) -> NDArray[np.int64]:
        """Index of each region in the source it was imported from; else 0 … n−1."""
        with self._open() as file:
            return np.asarray(file["regions/id"][:], dtype=np.int64)

    def accessible(self, cells: str | Sequence[str] | None = None) -> NDArray[np.bool_]:
        """Whether each region is open in each cell.

        Parameters
        ----------
        cells : name or names, optional
            All cells when not given.

        Returns
        -------
        ndarray of bool, shape (n_regions, n_cells), Fortran order
        """
        bits = self._accessibility[self._cell_rows(cells)]
        return np.unpackbits(bits, axis=1, count=len(self)).view(np.bool_).T

    def scores(self, tf: str, cell: str) -> NDArray[np.uint8]:
        """Published score of each region for one TF in one cell.

        Returns
        -------
        ndarray of uint8, shape (n_regions,)
            0 closed or TF not assayed in the cell, 1 open without evidence, 2 peak, 3 TFBS,
            4 both.
        """
        (tf,) = self._tf_names(tf)
        self._cell_rows(cell)
        with self._open() as file:
            return self._levels(file, tf, frozenset([cell]))

    def levels(self, tf: str, cells: str | Sequence[str] | None = None) -> NDArray[np.uint8]:
        """Maximum over cells of the scores of one TF, shape (n_regions,)."""
        (tf,) = self._tf_names(tf)
        with self._open() as file:
            return self._levels(file, tf, self._cell_names(cells))

    def states(
        self,
        tfs: str | Sequence[str] | None = None,
        rule: str = "sparse",
        cells: str | Sequence[str] | None = None,
    ) -> States:
        """State of each region for each TF, over all or some cells.

        Parameters
        ----------
        tfs : name or names, optional
            In the order wanted; all TFs when not given.
        rule : str
            One of `RULES`.
        cells : name or names, optional
            Cells to look at; all when not given.

        Returns
        -------
        ndarray of int8, shape (n_regions, n_tfs), Fortran order
            1 bound, 0 unbound, −1 unresolved.

        Raises
        ------
        InputError
            For an unknown TF, cell or rule, and for a rule that the evidence cannot answer.
        """
        table = self.rule_table(rule)
        names = self._tf_names(tfs)
        chosen = self._cell_names(cells)
        states = np.empty((len(names), len(self)), dtype=np.int8)
        with self._open() as file:
            for row, tf in enumerate(names):
                np.take(table, self._levels(file, tf, chosen), out=states[row])
        return states.T

    def states_by_cell(
        self, tf: str, rule: str = "sparse", cells: str | Sequence[str] | None = None
    ) -> States:
        """State of each region for one TF in each cell apart.

        Returns
        -------
        ndarray of int8, shape (n_regions, n_cells), Fortran order
        """
        table = self.rule_table(rule)
        (tf,) = self._tf_names(tf)
        rows = self._cell_rows(cells)
        states = np.empty((len(rows), len(self)), dtype=np.int8)
        with self._open() as file:
            for at, row in enumerate(rows):
                levels = self._levels(file, tf, frozenset([self.cells[row]]))
                np.take(table, levels, out=states[at])
        return states.T

    def rule_table(self, rule: str) -> NDArray[np.int8]:
        """State of each of the five scores under a rule; `InputError` if it cannot be answered."""
        if rule not in RULES:
            raise InputError(f"no rule {rule!r}; {nearest(rule, RULES)}")
        if rule.startswith("peaks-only"):
            if not self.kinds_known:
                raise InputError(
                    f"{self.path}: rule {rule!r} needs to know peaks from TFBS predictions, which "
                    "this matrix does not (it was imported from published files); use 'sparse', "
                    "'less-sparse' or 'full'"
                )
        elif not self.has_tfbs:
            raise InputError(
                f"{self.path}: rule {rule!r} needs TFBS predictions, which this matrix was built "
                "without; use 'peaks-only' or 'peaks-only-full'"
            )
        return np.array(RULES[rule], dtype=np.int8)

    def cells_of(self, tf: str) -> tuple[str, ...]:
        """Cells in which a TF is assayed, sorted."""
        (tf,) = self._tf_names(tf)
        return tuple(self.experiments["cell"].iloc[self._span(tf)])

    def evidence(self, tf: str, cell: str) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Regions with evidence for one TF in one cell, and its kind.

        Returns
        -------
        region : ndarray of int32
            Sorted rows of `regions`, all open in the cell.
        kind : ndarray of uint8
            1 peak only, 2 TFBS only, 3 both.
        """
        (tf,) = self._tf_names(tf)
        self._cell_rows(cell)
        with self._open() as file:
            for name, region, kind in self._evidence(file, tf):
                if name == cell:
                    return region, kind
        return np.empty(0, np.int32), np.empty(0, np.uint8)

    # ------------------------------------------------------------------------------------------

    @contextmanager
    def _open(self) -> Iterator[Any]:
        import h5py

        try:
            file = h5py.File(self.path, "r")
        except OSError as error:
            raise InputError(f"{self.path}: the matrix file is gone or damaged") from error
        with file:
            if file.attrs.get("content_hash") != self.content_hash:
                raise InputError(
                    f"{self.path}: the matrix was replaced while it was in use; open it again"
                )
            try:
                yield file
            except (OSError, KeyError) as error:
                raise InputError(f"{self.path}: the matrix file is damaged ({error})") from error

    @functools.cached_property
    def _accessibility(self) -> NDArray[np.uint8]:
        with self._open() as file:
            return np.asarray(file["accessibility"][:], dtype=np.uint8)

    @functools.cached_property
    def _indptr(self) -> NDArray[np.int64]:
        with self._open() as file:
            return np.asarray(file["evidence/indptr"][:], dtype=np.int64)

    @functools.cached_property
    def _cell_row(self) -> dict[str, int]:
        return {cell: row for row, cell in enumerate(self.cells)}

    @functools.cached_property
    def _spans(self) -> dict[str, slice]:
        rows = self.experiments.groupby("tf", sort=False).indices
        return {str(tf): slice(int(at[0]), int(at[-1]) + 1) for tf, at in rows.items()}

    def _span(self, tf: str) -> slice:
        return self._spans[tf]

    def _evidence(
        self, file: Any, tf: str
    ) -> Iterator[tuple[str, NDArray[np.int32], NDArray[np.uint8]]]:
        span = self._span(tf)
        low, high = int(self._indptr[span.start]), int(self._indptr[span.stop])
        region = file["evidence/region"][low:high]
        kind = file["evidence/kind"][low:high]
        for row in range(span.start, span.stop):
            part = slice(int(self._indptr[row]) - low, int(self._indptr[row + 1]) - low)
            yield self.experiments["cell"].iat[row], region[part], kind[part]

    def _levels(self, file: Any, tf: str, cells: frozenset[str] | None) -> NDArray[np.uint8]:
        found = [
            (cell, region, kind)
            for cell, region, kind in self._evidence(file, tf)
            if cells is None or cell in cells
        ]
        if not found:
            return np.zeros(len(self), dtype=np.uint8)
        rows = [self._cell_row[cell] for cell, _, _ in found]
        bits = np.bitwise_or.reduce(self._accessibility[rows], axis=0)
        level = np.unpackbits(bits, count=len(self))
        for _, region, kind in found:
            level[region] = np.maximum(level[region], _LEVEL_OF_KIND[kind])
        return level

    def _tf_names(self, tfs: str | Sequence[str] | None) -> list[str]:
        if tfs is None:
            return list(self.tfs)
        names = [tfs] if isinstance(tfs, str) else list(tfs)
        for name in names:
            if name not in self._spans:
                raise InputError(
                    f"{self.path}: no TF {name!r} in this matrix; {nearest(name, self.tfs)}"
                )
        return names

    def _cell_rows(self, cells: str | Sequence[str] | None) -> list[int]:
        if cells is None:
            return list(range(len(self.cells)))
        rows = []
        for name in [cells] if isinstance(cells, str) else cells:
            if name not in self._cell_row:
                raise InputError(
                    f"{self.path}: no cell {name!r} in this matrix; {nearest(name, self.cells)}"
                )
            rows.append(self._cell_row[name])
        return rows

    def _cell_names(self, cells: str | Sequence[str] | None) -> frozenset[str] | None:
        if cells is None:
            return None
        return frozenset(self.cells[row] for row in self._cell_rows(cells))
