"""The three-state binding matrix: one HDF5 file, opened in milliseconds, read as views.

The file keeps what was observed (which regions are open in which cell, which experiment shows a
peak, a TFBS or both in which open region); every published matrix is a view of it. Novakovsky et
al. 2021, Methods "TF binding matrix"; the published code's scores and recoding.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.binding.file import (
    MatrixFile,
    MatrixParts,
    changed_inputs,
    content_hash,
    hash_of_ids,
    hash_of_names,
    open_file,
)
from cistransfer.errors import InputError, nearest
from cistransfer.genome.bed import regions_table
from cistransfer.openness.options import OpenOptions
from cistransfer.openness.read import open_form, read_open, refuse_beside
from cistransfer.openness.regions import OpenRegions

__all__ = [
    "RULES",
    "VIEWS",
    "BindingMatrix",
    "View",
    "as_float",
    "open_matrix",
    "read_open_regions",
]

RULES = MappingProxyType(
    {
        "sparse": (-1, 0, -1, -1, 1),
        "less-sparse": (-1, 0, 0, 0, 1),
        "full": (0, 0, 0, 0, 1),
        "peaks-only": (-1, 0, 1, 0, 1),
        "peaks-only-full": (0, 0, 1, 0, 1),
    }
)
"""State of each published score 0 … 4 (its maximum over cells): 1 bound, 0 unbound, −1 unresolved.

``sparse``, ``less-sparse`` and ``full`` are the published ReMap+UniBind matrices of these names,
``peaks-only`` and ``peaks-only-full`` the published ReMap.sparse and ReMap.full.
"""

VIEWS = ("tfs", "cells", "scores")
"""``tfs``: regions × TFs over the chosen cells; ``cells``: regions × TF-and-cell states;
``scores``: regions × TF-and-cell scores 0 … 4."""

_EXPERIMENT_COLUMNS = ("tf", "cell", "accessions", "peaks", "tfbs", "peak_rows", "tfbs_rows")
_LEVEL_OF_KIND = np.array([1, 2, 3, 4], dtype=np.uint8)

States = NDArray[np.int8]


def as_float(states: NDArray[np.int8]) -> NDArray[np.float64]:
    """States as the published arrays hold them: 1.0, 0.0 and NaN for unresolved."""
    return np.where(states < 0, np.nan, states.astype(np.float64))


@dataclass(frozen=True, repr=False)
class View:
    """Columns of int8 values over a matrix's regions, read one at a time.

    Attributes
    ----------
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

    def __repr__(self) -> str:
        name, columns = self.matrix.name, len(self.columns)
        return f"<View {self.kind} of {name} ({self.rule}): {len(self.matrix):,} x {columns:,}>"

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


@dataclass(frozen=True, repr=False)
class BindingMatrix:
    """A reader of one matrix file; make it with `open_matrix`.

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

    def __repr__(self) -> str:
        width = f" of {self.window} bp" if self.window else ""
        return (
            f"<BindingMatrix {self.name}: {self.n_regions:,} regions{width}, {len(self.tfs)} TFs, "
            f"{len(self.cells)} cells ({self.genome})>"
        )

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
            chroms = np.array(file.texts("regions/chroms"), dtype=object)
            chrom, start, width = (
                file.numbers(f"regions/{name}", (len(self),)).astype(np.int64)
                for name in ("chrom", "start", "width")
            )
            if chrom.min() < 0 or chrom.max() >= len(chroms):
                raise file.damaged("regions/chrom: no such chromosome")
        return regions_table(chroms[chrom], start, start + width)

    @functools.cached_property
    def region_ids(self) -> NDArray[np.int64]:
        """Index of each region in the source it was imported from; else 0 … n−1."""
        with self._open() as file:
            ids = file.numbers("regions/id", (len(self),)).astype(np.int64)
            if file.has("ids_hash") and file.attribute("ids_hash") != hash_of_ids(ids):
                raise file.damaged("regions/id are not what they were")
            return ids

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

    def open_regions(self) -> OpenRegions:
        """Regions and the cells in which each is open (evidence is not read)."""
        opened = self.accessible()
        return OpenRegions(
            self.regions, {cell: opened[:, column] for column, cell in enumerate(self.cells)}
        )

    def view(
        self,
        kind: str = "tfs",
        rule: str | None = None,
        tfs: Sequence[str] | None = None,
        cells: Sequence[str] | None = None,
    ) -> View:
        """Look at the matrix in one of three ways.

        Parameters
        ----------
        kind : {"tfs", "cells", "scores"}
            See `VIEWS`. The last two have one column per assayed TF × cell.
        rule : str, optional
            Rule of the states; the matrix's default one when not given. Scores have none.
        tfs, cells : names, optional
            Only these; all when not given.
        """
        if kind not in VIEWS:
            raise InputError(f"no view {kind!r}; {nearest(kind, VIEWS)}")
        names = list(self.tfs if tfs is None else tfs)
        for tf in names:
            self.cells_of(tf)
        if cells is not None:
            for cell in cells:
                if cell not in self.cells:
                    raise InputError(
                        f"{self.path}: no cell {cell!r} in this matrix; {nearest(cell, self.cells)}"
                    )
        if kind == "tfs":
            settled = rule or self.default_rule
            self.rule_table(settled)
            return View(
                self,
                kind,
                settled,
                [(tf, "") for tf in names],
                lambda at: self.states(names[at], settled, cells)[:, 0],
            )
        pairs = [
            (tf, cell)
            for tf in names
            for cell in self.cells_of(tf)
            if cells is None or cell in cells
        ]
        if not pairs:
            raise InputError(f"{self.path}: none of the chosen TFs is assayed in the chosen cells")
        if kind == "scores":
            if rule is not None:
                raise InputError(f"scores have no rule, found {rule!r}")
            return View(
                self, kind, "scores", pairs, lambda at: self.scores(*pairs[at]).view(np.int8)
            )
        settled = rule or self.default_rule
        self.rule_table(settled)
        return View(
            self,
            kind,
            settled,
            pairs,
            lambda at: self.states(pairs[at][0], settled, pairs[at][1])[:, 0],
        )

    # ------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Read the whole file and compare it with its content hash.

        Raises
        ------
        InputError
            When the file is damaged.
        """
        with self._open() as file:
            n = int(self._indptr[-1])
            region = file.numbers("evidence/region", (n,))
            kind = file.numbers("evidence/kind", (n,))
            said = content_hash(
                MatrixParts(
                    self.regions,
                    self.region_ids,
                    list(self.cells),
                    self._accessibility,
                    self.experiments,
                    self._indptr,
                    region,
                    kind,
                    self.settings,
                )
            )
            if said != self.content_hash:
                raise file.damaged("its content is not what its content hash says")

    @contextmanager
    def _open(self) -> Iterator[MatrixFile]:
        with open_file(self.path) as file:
            if file.attribute("content_hash") != self.content_hash:
                raise InputError(
                    f"{self.path}: the matrix was replaced while it was in use; open it again"
                )
            yield file

    @functools.cached_property
    def _accessibility(self) -> NDArray[np.uint8]:
        with self._open() as file:
            shape = (len(self.cells), (len(self) + 7) // 8)
            return file.numbers("accessibility", shape).astype(np.uint8, copy=False)

    @functools.cached_property
    def _indptr(self) -> NDArray[np.int64]:
        with self._open() as file:
            ends = file.numbers("evidence/indptr", (len(self.experiments) + 1,)).astype(np.int64)
            total = file.size("evidence/region")
            if ends[0] != 0 or ends[-1] != total or (np.diff(ends) < 0).any():
                raise file.damaged("evidence/indptr: no ascending numbers up to the evidence")
            return ends

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
        self, file: MatrixFile, tf: str
    ) -> Iterator[tuple[str, NDArray[np.int32], NDArray[np.uint8]]]:
        span = self._span(tf)
        total = (int(self._indptr[-1]),)
        part = slice(int(self._indptr[span.start]), int(self._indptr[span.stop]))
        region = file.numbers("evidence/region", total, part)
        kind = file.numbers("evidence/kind", total, part)
        if len(region) and (
            region.min() < 0 or region.max() >= len(self) or kind.min() < 1 or kind.max() > 3
        ):
            raise file.damaged("evidence: no such region or kind")
        for row in range(span.start, span.stop):
            own = slice(
                int(self._indptr[row]) - part.start, int(self._indptr[row + 1]) - part.start
            )
            yield self.experiments["cell"].iat[row], region[own], kind[own]

    def _levels(self, file: MatrixFile, tf: str, cells: frozenset[str] | None) -> NDArray[np.uint8]:
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


def open_matrix(path: str | os.PathLike[str], *, check_inputs: bool = True) -> BindingMatrix:
    """Open a binding matrix; reads names and settings only.

    Parameters
    ----------
    path : path
        A file made by ``cistransfer matrix build`` or ``matrix import``.
    check_inputs : bool
        Whether to refuse a stale matrix: one whose input files are still there, but changed.

    Raises
    ------
    InputError
        When the file is missing, damaged, stale, not a binding matrix, or of a newer format.
    """
    source = Path(path)
    with open_file(source) as file:
        n_regions = file.attribute("n_regions", int)
        if not 0 < n_regions < 1 << 31:
            raise file.damaged(f"{n_regions:,} regions")
        settings, inputs = file.json("settings", dict), file.json("inputs", list)
        cells = file.texts("cells")
        n = file.size("experiments/tf")
        columns = {
            name: file.texts(f"experiments/{name}", n)
            if name in ("tf", "cell", "accessions")
            else file.numbers(f"experiments/{name}", (n,))
            for name in _EXPERIMENT_COLUMNS
        }
        if file.has("names_hash") and file.attribute("names_hash") != hash_of_names(
            file.texts("regions/chroms"),
            cells,
            *(columns[name] for name in ("tf", "cell", "accessions")),
            file.attribute("settings"),
            file.attribute("inputs"),
        ):
            raise file.damaged("names or settings are not what they were")
        if not {"name", "genome", "window"} <= set(settings) or not set(columns["cell"]) <= set(
            cells
        ):
            raise file.damaged("settings or cells are missing")
        matrix = BindingMatrix(
            path=source,
            name=str(settings["name"]),
            genome=str(settings["genome"]),
            window=settings["window"],
            cells=tuple(cells),
            tfs=tuple(sorted(set(columns["tf"]))),
            experiments=pd.DataFrame(columns),
            settings=settings,
            inputs=inputs,
            content_hash=file.attribute("content_hash"),
            n_regions=n_regions,
        )
    changed = changed_inputs(matrix.inputs) if check_inputs else []
    if changed:
        more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise InputError(
            f"{source}: made of files that have changed since: {changed[0]}{more}; build it again"
        )
    return matrix


def read_open_regions(source: str | os.PathLike[str] | OpenOptions) -> OpenRegions:
    """Open regions out of a binding matrix, or of whatever else `read_open` reads."""
    options = source if isinstance(source, OpenOptions) else OpenOptions(source)
    if options.open is None or open_form(options.open) != "matrix":
        return read_open(options)
    refuse_beside(options, "matrix")
    return open_matrix(options.open).open_regions()
