"""Collect the evidence of one kind: which regions it touches, in which TF × cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cistransfer.binding.readers.evidence import Experiment, Piece, Placed
from cistransfer.errors import InputError
from cistransfer.genome.assemblies import check_assembly_names, match_names
from cistransfer.genome.intervals import RegionIndex, overlapping
from cistransfer.openness.regions import name_chroms
from cistransfer.openness.samples import match_cell

__all__ = ["EvidenceSets", "Found", "Pair", "bit_of", "collect"]

Pair = tuple[str, str]
"""TF and cell."""

_LEAST_HELD = 1 << 16  # numbers that are held before equal ones among them are looked for

_BITS = (128 >> np.arange(8)).astype(np.uint8)


def bit_of(region: NDArray[np.integer]) -> NDArray[np.uint8]:
    """The bit of each region in its byte, as `numpy.packbits` has it."""
    return _BITS.take(region & 7)


@dataclass
class EvidenceSets:
    """Which regions have evidence in which experiment.

    Kept as distinct numbers while these take less memory than bits: n_experiments × n_regions / 8
    bytes however many rows are added. A row that is seen twice changes nothing.
    """

    n_regions: int
    _held: list[NDArray[np.int64]] = field(default_factory=list, repr=False)
    _n_held: int = 0
    _n_distinct: int = 0
    _bits: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8), repr=False)

    @property
    def _stride(self) -> int:
        return (self.n_regions + 7) // 8

    def add(self, experiment: NDArray[np.int64], region: NDArray[np.int64]) -> None:
        """Add (experiment, region) pairs; duplicates are fine."""
        number = experiment * (8 * self._stride) + region
        if len(self._bits):
            self._set(number)
            return
        self._held.append(number)
        self._n_held += len(number)
        if self._n_held > max(_LEAST_HELD, 2 * self._n_distinct):
            distinct = self._settle()
            # They are held twice over, and twice again while they are sorted.
            if 4 * distinct.nbytes > self._needed(distinct):
                self._set(distinct)
                self._held = []

    def _settle(self) -> NDArray[np.int64]:
        """Hold what is held ascending, each once."""
        if self._n_distinct < self._n_held:
            self._held = [_once(np.sort(np.concatenate(self._held)))]
            self._n_held = self._n_distinct = len(self._held[0])
        return self._held[0] if self._held else np.zeros(0, np.int64)

    def _needed(self, number: NDArray[np.int64]) -> int:
        """Bytes of the bits of all experiments up to the highest."""
        stride = self._stride
        return (int(number.max(initial=-1)) // (8 * stride) + 1) * stride

    def _set(self, number: NDArray[np.int64]) -> None:
        needed = self._needed(number)
        if needed > len(self._bits):
            room = needed + max(15 * self._stride, needed // 8)
            self._bits.resize(room, refcheck=False)  # in place where the system can
        np.bitwise_or.at(self._bits, number >> 3, bit_of(number))

    def regions(self, experiment: int) -> NDArray[np.int64]:
        """Regions of one experiment, ascending, each once."""
        stride = self._stride
        if len(self._bits):
            return _set_bits(self._bits[experiment * stride : (experiment + 1) * stride])
        number = self._settle()
        first = experiment * 8 * stride
        begin, end = np.searchsorted(number, [first, first + 8 * stride])
        return number[begin:end] - first


@dataclass
class Found:
    """Evidence of one kind.

    Attributes
    ----------
    touched : EvidenceSets
        Which regions, of those open in its cell, each pair touches.
    pairs : dict of (tf, cell) → int
        Number of each pair in ``touched``; a pair whose files hold no row is there too.
    accessions : dict of (tf, cell) → set of str
    used, placed : Counter of (tf, cell)
        Rows of each pair; and those that share a base with a region that is open in their cell.
    chroms : dict of str → list of int
        Chromosome → rows that mean a cell, and those of them that share a base with a region.
    unmatched : Counter of str
        Rows of each name that means no cell of the matrix.
    rows : int
        Rows read.
    summits : Counter of str
        See `Placed`.
    elsewhere : list of str
        Files with rows on none of the regions' chromosomes, in words.
    renamed : dict of str → str
        Name of a chromosome in these files → in the regions, where they differ.
    """

    touched: EvidenceSets
    pairs: dict[Pair, int] = field(default_factory=dict)
    accessions: dict[Pair, set[str]] = field(default_factory=dict)
    used: Counter[Pair] = field(default_factory=Counter)
    placed: Counter[Pair] = field(default_factory=Counter)
    chroms: dict[str, list[int]] = field(default_factory=dict)
    unmatched: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    summits: Counter[str] = field(default_factory=Counter)
    elsewhere: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)

    def by_regions(
        self, names: list[str], known: Mapping[str, int], assembly: str | None, label: str
    ) -> list[str]:
        """Chromosomes by the names that the regions have for them (`match_names`)."""
        fresh = [name for name in names if name not in known and name not in self.renamed]
        if fresh:
            check_assembly_names(fresh, assembly, label, "the matrix")
            self.renamed.update(match_names(fresh, known, label).renamed)
        return [self.renamed.get(name, name) for name in names]


def collect(
    pieces: Iterable[Piece],
    kind: str,
    index: RegionIndex,
    cells: Mapping[str, str],
    opened: Mapping[str, NDArray[np.uint8]],
    *,
    treated: bool = False,
    assembly: str | None = None,
    advance: Callable[[int], None] = lambda rows: None,
) -> Found:
    """Read all evidence of one kind and mark the regions it touches.

    Parameters
    ----------
    pieces : iterable of Piece
        See `cistransfer.binding.readers.evidence.read_evidence`.
    kind : {"peaks", "tfbs"}
    cells : mapping of str → str
        Upper-cased name in these files → cell (`cistransfer.openness.samples.names_of`).
    opened : mapping of str → ndarray of uint8
        Cell → packed bits (`numpy.packbits`) of the regions that are open in it.
    treated : bool
        Whether names with a treatment appended count for their cell.
    assembly : str, optional
        Of the regions; names of another one are refused.
    advance : callable
        Told of rows as they are read.

    Raises
    ------
    InputError
        When none of the rows of one of the paths lies in a region; and for malformed files.
    """
    found = Found(EvidenceSets(index.n_regions))
    bits = np.stack(list(opened.values()))
    row_of = {cell: row for row, cell in enumerate(opened)}
    cell_rows: list[int] = []  # of each pair
    placed_rows = np.zeros(0, dtype=np.int64)  # of each pair
    # Each experiment's row in the bits (−1: not used), and the counter and key of its rows.
    settled: dict[Experiment, tuple[int, Counter[Any], Any]] = {}

    def settle(experiment: Experiment) -> tuple[int, Counter[Any], Any]:
        if experiment not in settled:
            cell = match_cell(experiment.cell, cells, treated)
            if cell is None:
                found.unmatched[experiment.cell] += 0
                settled[experiment] = (-1, found.unmatched, experiment.cell)
            else:
                pair = (experiment.tf, cell)
                row = found.pairs.setdefault(pair, len(found.pairs))
                if row == len(cell_rows):
                    cell_rows.append(row_of[cell])
                found.accessions.setdefault(pair, set()).add(experiment.accession)
                settled[experiment] = (row, found.used, pair)
        return settled[experiment]

    for _, of_path in groupby(pieces, lambda piece: piece.path):
        before = _totals(found.chroms)
        seen: set[str] = set()
        path: object = None
        for _, of_file in groupby(of_path, lambda piece: piece.file):
            begun = next(of_file)
            path = begun.name
            if begun.experiment is not None:
                settle(begun.experiment)
            chroms: dict[str, list[int]] = {}
            fates: list[tuple[int, Counter[Any], Any]] = []
            counts = np.zeros(0, dtype=np.int64)  # rows of each
            for placed in (piece.placed for piece in of_file if piece.placed is not None):
                names = found.by_regions(placed.chroms, index.offset, assembly, begun.label)
                fates += map(settle, placed.experiments)
                counts = _added(counts, placed.experiment, len(fates))
                pair = np.array([row for row, _, _ in fates], dtype=np.int64)
                open_bits = bits, np.array(cell_rows, dtype=np.int64)
                at_home = _mark(
                    found, index, replace(placed, chroms=names), pair, open_bits, chroms
                )
                placed_rows = _added(placed_rows, at_home, len(cell_rows))
                found.rows += len(placed.experiment)
                found.summits.update(placed.summits)
                advance(len(placed.experiment))
            for (_, counter, key), count in zip(fates, counts.tolist(), strict=True):
                counter[key] += count
            seen |= chroms.keys()
            for chrom, counted in chroms.items():
                total = found.chroms.setdefault(chrom, [0, 0])
                total[:] = np.add(total, counted).tolist()
            if chroms and index.offset.keys().isdisjoint(chroms):
                found.elsewhere.append(
                    f"{begun.label}: none of its rows lies on a chromosome with open regions "
                    f"(it has {name_chroms(chroms)}; they have {name_chroms(index.offset)})"
                )
        read, hits = np.subtract(_totals(found.chroms), before)
        if read and not hits:
            raise InputError(
                f"{path}: none of its {read:,} rows of a chosen cell lies in an open region; it "
                f"has rows on {name_chroms(seen)}, the open regions are on "
                f"{name_chroms(index.offset)}; is it of the same genome assembly?"
            )
    for key, row in found.pairs.items():
        if row < len(placed_rows) and placed_rows[row]:
            found.placed[key] = int(placed_rows[row])
    return found


def _added(counts: NDArray[np.int64], codes: NDArray[np.integer], n: int) -> NDArray[np.int64]:
    """Counts of numbers below n, with some more of them."""
    more = np.bincount(codes, minlength=n)
    more[: len(counts)] += counts
    return more


def _totals(chroms: Mapping[str, list[int]]) -> tuple[int, int]:
    return sum(rows for rows, _ in chroms.values()), sum(hits for _, hits in chroms.values())


def _mark(
    found: Found,
    index: RegionIndex,
    placed: Placed,
    pair_of: NDArray[np.int64],
    open_bits: tuple[NDArray[np.uint8], NDArray[np.int64]],
    chroms: dict[str, list[int]],
) -> NDArray[np.int64]:
    """Mark the regions that rows touch, and count rows by chromosome.

    ``pair_of``: each experiment's pair, −1 for none. ``open_bits``: packed bits of the open regions
    of each cell, and the cell of each pair. Returned are the pairs of the rows that touch a region
    which is open in their cell.
    """
    pair, chrom, start, end = (
        pair_of.take(placed.experiment),
        placed.chrom,
        placed.start,
        placed.end,
    )
    if len(pair) and pair.min() < 0:
        own = np.flatnonzero(pair >= 0)
        pair, chrom, start, end = pair.take(own), chrom.take(own), start.take(own), end.take(own)
    row, region = overlapping(index, placed.chroms, chrom, start, end)
    of_pair = pair.take(row)
    bits, cell_of = open_bits
    byte = cell_of.take(of_pair) * bits.shape[1] + (region >> 3)
    is_open = np.flatnonzero(bits.reshape(-1).take(byte) & bit_of(region))
    found.touched.add(of_pair.take(is_open), region.take(is_open))
    hit, at_home = _once(row), _once(row.take(is_open))
    n = len(placed.chroms)
    for name, *counted in zip(
        placed.chroms,
        np.bincount(chrom, minlength=n).tolist(),
        np.bincount(chrom.take(hit), minlength=n).tolist(),
        strict=True,
    ):
        if counted[0]:
            total = chroms.setdefault(name, [0, 0])
            total[:] = total[0] + counted[0], total[1] + counted[1]
    return pair.take(at_home)


def _once(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each of some ascending numbers once."""
    return rows[np.flatnonzero(np.diff(rows, prepend=-1))]


def _set_bits(packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Which bits of packed ones, most of them 0, are 1 (as `numpy.packbits` counts them)."""
    byte = np.flatnonzero(packed != 0)
    row, bit = np.nonzero(np.unpackbits(packed[byte]).reshape(-1, 8))
    return byte[row] * 8 + bit
