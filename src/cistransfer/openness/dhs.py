"""UCSC's clustered DNase hypersensitive sites: which cluster is open in which cell."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
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
    cells = list(dict.fromkeys(sample.cell for sample in samples))
    lines = _lines_of([sources[number] for number in numbers.tolist()], cells, samples)
    codes: dict[str, int] = {}
    places: list[tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]] = []
    opened: list[NDArray[np.uint8]] = []  # packed: an eighth of the memory
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
        ids, row = _parse_ids(block.strings[7], str(path))
        place = _place_of(ids, numbers, str(path))
        code = np.array([codes.setdefault(name, len(codes)) for name in names], np.int32)
        chrom = code.take(chrom)
        kept = ~np.array(["_" in name for name in codes]).take(chrom)
        if not kept.all():
            chrom, start, end = chrom[kept], start[kept], end[kept]
            place, row = place[kept.take(row)], (np.cumsum(kept) - 1).take(row[kept.take(row)])
        states = np.zeros((len(cells), len(start)), dtype=bool)  # in one block: in fast memory
        for line in lines:
            at = (line * len(start)).take(place)
            at += row
            states.reshape(-1)[at[line.take(place) >= 0] if (line < 0).any() else at] = True
        places.append((chrom, start, end))
        opened.append(np.packbits(states, axis=1))

    def unpacked(line: int) -> NDArray[np.bool_]:
        parts = [
            np.unpackbits(states[line], count=len(chrom))
            for states, (chrom, _, _) in zip(opened, places, strict=True)
        ]
        return np.concatenate(parts).view(np.bool_)

    chrom, start, end = (np.concatenate(parts) for parts in zip(*places, strict=True))
    return OpenRegions(
        regions_table(np.array(list(codes), dtype=object).take(chrom), start, end),
        {cell: unpacked(line) for line, cell in enumerate(cells)},
    )


def _lines_of(
    called: Sequence[str], cells: Sequence[str], samples: Sequence[Sample]
) -> NDArray[np.int64]:
    """The cell that each source is of (−1: none), and further ones that share it, row by row."""
    of_source = [
        [cells.index(sample.cell) for sample in samples if name in sample.dhs_sources]
        for name in called
    ]
    lines = np.full((max(map(len, of_source)), len(called)), -1)
    for at, owners in enumerate(of_source):
        lines[: len(owners), at] = owners
    return lines


def _place_of(
    ids: NDArray[np.integer], numbers: NDArray[np.int64], where: str
) -> NDArray[np.int64]:
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


def _parse_ids(lists: pa.Array, where: str) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Parse ``1,12,19,`` lists into their ids laid end to end, and the list that each is of."""
    plain = _plain_ids(lists)
    if plain is not None:
        return plain
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
    return ids, np.repeat(np.arange(len(lists)), pc.list_value_length(split).to_numpy())


def _plain_ids(lists: pa.Array) -> tuple[NDArray[np.uint16], NDArray[np.int32]] | None:
    """`_parse_ids` of lists as UCSC writes them: ids of up to three digits, a comma behind each.

    None for others. Adds the digits of all ids at once, in a fifth of the time.
    """
    offsets, letters = (
        np.frombuffer(buffer, dtype)
        for buffer, dtype in zip(lists.buffers()[1:], (np.int32, np.uint8), strict=True)
    )
    offsets = offsets[lists.offset : lists.offset + len(lists) + 1]
    text, last = letters[offsets[0] : offsets[-1]], offsets[1:] - offsets[0] - 1
    comma = text == ord(",")
    is_digit = ~comma
    if (
        (np.diff(offsets) == 0).any()
        or not comma[last].all()
        or comma[0]
        or (comma[1:] & comma[:-1]).any()
        or (is_digit[3:] & is_digit[2:-1] & is_digit[1:-2] & is_digit[:-3]).any()
    ):
        return None
    digit = text - np.uint8(ord("0"))
    if not (comma | (digit < 10)).all():
        return None
    digit *= is_digit
    value = digit.astype(np.uint16)  # of the number so far, where a digit is
    before = value * np.uint16(10)  # what a digit adds to the next one
    value[1:] += before[:-1]
    before *= np.uint16(10)
    before[:-1] *= is_digit[1:]
    value[2:] += before[:-2]
    behind = np.flatnonzero(comma)
    ends_list = np.zeros(len(text), dtype=bool)
    ends_list[last] = True
    count = np.diff(np.flatnonzero(ends_list.take(behind)), prepend=-1)
    behind -= 1
    return value.take(behind), np.repeat(np.arange(len(lists), dtype=np.int32), count)
