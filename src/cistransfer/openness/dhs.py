"""UCSC's clustered DNase hypersensitive sites: which cluster is open in which cell."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.genome.bed import regions_table
from cistransfer.genome.intervals import MAX_POSITION
from cistransfer.genome.rows import RowSource, read_columns
from cistransfer.openness.regions import OpenRegions
from cistransfer.openness.samples import Sample
from cistransfer.storage import open_text

__all__ = ["dhs_samples", "read_dhs_clusters", "read_dhs_sources"]

_MAX_TABLE = 1 << 16  # ids up to here are looked up in a table


def read_dhs_sources(path: str | os.PathLike[str]) -> dict[int, str]:
    """Read UCSC's sources table: source id, tab, source name; no header."""
    sources: dict[int, str] = {}
    with open_text(path) as handle:
        for number, line in enumerate(handle, start=1):
            fields = line.rstrip("\r\n").split("\t")
            if not line.strip() or line.startswith("#"):
                continue
            if (
                len(fields) < 2
                or not (fields[0].isascii() and fields[0].isdigit())
                or len(fields[0]) > 18
            ):
                raise InputError(
                    f"{path}, line {number}: expected a source id and a name with a tab between, "
                    f"found {line.strip()[:60]!r}"
                )
            source = int(fields[0])
            if not fields[1].strip():
                raise InputError(f"{path}, line {number}: expected a name of source {source}")
            if source in sources:
                raise InputError(f"{path}, line {number}: source id {source} is there twice")
            sources[source] = fields[1].strip()
    if not sources:
        raise InputError(f"{path}: expected source ids and names, found an empty file")
    return sources


def dhs_samples(
    sources: Mapping[int, str],
    terms: Mapping[str, str] | None,
    samples: Sequence[Sample] | None,
    where: str,
) -> list[Sample]:
    """Settle which DHS sources mean which cell.

    With a sample sheet its cells are the cells; a cell's sources are those that the sheet names,
    else those whose ENCODE term (or own name) is the cell. Without a sheet, every term that some
    source maps to is a cell.

    Raises
    ------
    InputError
        When a source does not exist, or a cell of the sheet has none.
    """
    terms = terms or {}
    by_cell: dict[str, list[str]] = {}
    for name in dict.fromkeys(sources.values()):
        by_cell.setdefault(terms.get(name, name), []).append(name)
    if samples is None:
        return [Sample(cell, tuple(names)) for cell, names in sorted(by_cell.items())]
    settled = []
    for sample in samples:
        names = sample.dhs_sources or tuple(by_cell.get(sample.cell, ()))
        if not names:
            raise InputError(
                f"sample sheet: cell {sample.cell!r} has no DHS source in {where}; name it in "
                f"column dhs_source; {nearest(sample.cell, [*by_cell, *sources.values()])}"
            )
        for name in names:
            if name not in sources.values():
                raise InputError(
                    f"sample sheet: cell {sample.cell!r}: no DHS source {name!r} in {where}; "
                    f"{nearest(name, sources.values())}"
                )
        settled.append(replace(sample, dhs_sources=names))
    return settled


def read_dhs_clusters(
    path: str | os.PathLike[str], sources: Mapping[int, str], samples: Sequence[Sample]
) -> OpenRegions:
    """Read UCSC's clustered DHS table (wgEncodeRegDnaseClustered, plain or compressed).

    A cell is open where any of its sources has a cluster; sources of one name count together.

    Columns 2–4 are the cluster, column 8 its comma-separated source ids. Clusters on chromosomes
    with an underscore in the name are left out, as published.

    Raises
    ------
    InputError
        For a malformed table or a source id that is not in the sources table.
    """
    source = RowSource.of(path)
    numbers = np.array(sorted(sources), dtype=np.int64)
    called = [sources[number] for number in numbers.tolist()]
    chosen = {name for sample in samples for name in sample.dhs_sources}
    used = [at for at, name in enumerate(called) if name in chosen]
    line_of = np.full(len(numbers), -1)
    line_of[used] = np.arange(len(used))
    lines = {
        sample.cell: [line for line, at in enumerate(used) if called[at] in sample.dhs_sources]
        for sample in samples
    }
    tables: list[pd.DataFrame] = []
    opened: dict[str, list[NDArray[np.bool_]]] = {cell: [] for cell in lines}
    for block in read_columns(source, texts=(1,), numbers=(2, 3), strings=(7,)):
        names, chrom = block.texts[1]
        start, end = block.numbers[2], block.numbers[3]
        bad = (start < 0) | (start >= end) | (end > MAX_POSITION)
        if bad.any():
            i, where = block.where(bad)
            raise InputError(
                f"{where}: expected 0 ≤ start < end in columns 3 and 4 (of a chromosome), found "
                f"{start[i]} and {end[i]}"
            )
        ids, count = _parse_ids(block.strings[7], str(path))
        line = line_of[_place_of(ids, numbers, str(path))]
        row = np.repeat(np.arange(block.rows), count)
        if (line < 0).any():
            row, line = row[line >= 0], line[line >= 0]
        # Which source is open where, in one block: small enough to be filled at random.
        is_open = np.zeros((len(used), block.rows), dtype=bool)
        is_open.reshape(-1)[line * block.rows + row] = True
        keep = ~np.array(["_" in name for name in names])[chrom]
        some = slice(None) if keep.all() else keep
        tables.append(regions_table(np.array(names, object)[chrom[some]], start[some], end[some]))
        for cell, parts in opened.items():
            own = lines[cell]
            states = is_open[own[0]] if len(own) == 1 else np.logical_or.reduce(is_open[own])
            parts.append(states[some])
    return OpenRegions(
        pd.concat(tables, ignore_index=True),
        {cell: np.concatenate(parts) for cell, parts in opened.items()},
    )


def _place_of(ids: NDArray[np.int64], numbers: NDArray[np.int64], where: str) -> NDArray[np.int64]:
    """The place of each id among all of them, which ascend."""
    highest = int(numbers[-1])
    if highest < _MAX_TABLE:
        table = np.full(highest + 2, -1)
        table[numbers] = np.arange(len(numbers))
        place = table.take(ids, mode="clip")
    else:
        place = np.minimum(np.searchsorted(numbers, ids), len(numbers) - 1)
        place[numbers[place] != ids] = -1
    if (place < 0).any():
        raise InputError(
            f"{where}: source id {ids[place < 0].min()} is not in the sources table "
            f"(ids {numbers[0]} to {highest})"
        )
    return place


def _parse_ids(lists: pa.Array, where: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Parse ``1,12,19,`` lists into their ids laid end to end, and how many each list has."""
    try:
        split = pc.split_pattern(pc.utf8_rtrim(lists, ","), ",")
        ids = pc.cast(pc.list_flatten(split), pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        ids = np.array([-1])
    if (ids < 0).any():
        texts = lists.to_pylist()
        wrong = next((t for t in texts if not t.replace(",", "").isdigit()), texts[0])
        raise InputError(
            f"{where}: expected comma-separated source ids in column 8, found {wrong[:60]!r}"
        )
    return ids, pc.list_value_length(split).to_numpy().astype(np.int64)
