"""The region lists that ChromTransfer releases: ``chrom:start-end,label``."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from cistransfer.errors import InputError, nearest, shown
from cistransfer.genome.bed import regions_table
from cistransfer.genome.fasta import place_of
from cistransfer.storage import open_text

__all__ = ["cell_of_list", "is_list_row", "list_kinds", "read_list", "read_lists"]

PathLike = str | os.PathLike[str]

_SUFFIXES = (".csv", ".csv.gz")
_NOBODY = "Negative"
_NEGATIVE = "_NEG"


def is_list_row(line: str) -> bool:
    """Whether a line of text is a row of such a list."""
    return _row(line) is not None


def _row(text: str) -> tuple[str, int, int, str] | None:
    """Chromosome, start, end and label of a row."""
    place, comma, label = text.rpartition(",")
    found = place_of(place)
    if not (comma and label and found) or place != f"{found[0]}:{found[1]}-{found[2]}":
        return None
    return *found[:3], label


def read_list(path: PathLike) -> pd.DataFrame:
    """Read one list: no header, two columns, windows of one width (0-based, half-open).

    Returns
    -------
    DataFrame
        Region table with ``label``, in the file's order.

    Raises
    ------
    InputError
        For a missing, empty or malformed file, windows of other widths than the first, and a
        window that is there twice; names the line.
    """
    chroms, starts, ends, labels = [], [], [], []
    seen: dict[str, int] = {}
    width = 0
    with open_text(path) as handle:
        for number, line in enumerate(handle, start=1):
            text = line.strip()
            if not text:
                continue
            where = f"{path}, line {number}"
            row = _row(text)
            if row is None:
                raise InputError(f"{where}: expected 'chrom:start-end,label', found {text[:60]!r}")
            chrom, start, end, label = row
            if start >= end:
                raise InputError(f"{where}: expected start < end, found {start} and {end}")
            width = width or end - start
            if end - start != width:
                raise InputError(
                    f"{where}: expected a window of {width} bp like the first, found {end - start}"
                )
            place = text.rpartition(",")[0]
            if place in seen:
                raise InputError(f"{where}: window {place} is there twice (line {seen[place]})")
            seen[place] = number
            chroms.append(chrom)
            starts.append(start)
            ends.append(end)
            labels.append(label.strip())
    if not chroms:
        raise InputError(f"{path}: expected windows, found an empty file")
    return regions_table(chroms, starts, ends, label=labels)


def read_lists(path: PathLike) -> pd.DataFrame:
    """Read a list, or a folder of lists, or one with ``train`` and ``test`` folders of them.

    Returns
    -------
    DataFrame
        Region table with ``label``, ``list`` (the file's name without ``.csv``) and ``part``
        (``train``, ``test``, or nothing without such folders).

    Raises
    ------
    InputError
        As `read_list`, and for a folder without lists.
    """
    source = Path(path)
    if not source.is_dir():
        return read_list(source).assign(list=_name(source), part="")
    parts = [part for part in ("train", "test") if (source / part).is_dir()]
    tables = []
    for part in parts or [""]:
        files = sorted(file for file in (source / part).iterdir() if file.name.endswith(_SUFFIXES))
        if not files:
            raise InputError(f"{source / part}: expected lists (*.csv, *.csv.gz), found none")
        tables += [read_list(file).assign(list=_name(file), part=part) for file in files]
    return pd.concat(tables, ignore_index=True)


def _name(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".csv")


def cell_of_list(rows: pd.DataFrame) -> str:
    """The cell of one list: the label of its positives.

    Raises
    ------
    InputError
        When there is no such label, or more than one.
    """
    labels = sorted(set(rows["label"]))
    own = [name for name in labels if name != _NOBODY and not name.endswith(_NEGATIVE)]
    if len(own) != 1 or not set(labels) <= {own[0], own[0] + _NEGATIVE, _NOBODY}:
        raise InputError(
            f"list {rows['list'].iloc[0]!r}: expected the labels CELL, CELL{_NEGATIVE} and "
            f"{_NOBODY}, found {shown(', '.join(labels[:6]), 200)}"
        )
    return own[0]


def list_kinds(lists: pd.DataFrame, cell: str) -> pd.DataFrame:
    """Windows of one cell's list with the kind of each.

    Parameters
    ----------
    lists : DataFrame
        As `read_lists` gives it.
    cell : str
        Label of the positives (``HEPG2``).

    Returns
    -------
    DataFrame
        Region table with ``part`` and ``kind``: ``specific`` (label CELL), ``others`` (CELL_NEG
        that another list has as a positive), ``nobody`` (any other CELL_NEG), ``universal``
        (Negative: the windows that are the same in all lists).

    Raises
    ------
    InputError
        For a cell without a list, and a window that is there twice in its lists.
    """
    cells = {str(name): cell_of_list(rows) for name, rows in lists.groupby("list", sort=True)}
    names = [name for name, own in cells.items() if own == cell]
    if not names:
        raise InputError(f"no list of cell {cell!r}; {nearest(cell, cells.values())}")
    place = ["chrom", "start", "end"]
    rows = lists[lists["list"].isin(names)].reset_index(drop=True)
    again = rows[rows.duplicated(place)]
    if len(again):
        chrom, start, end = again[place].iloc[0]
        raise InputError(
            f"lists of cell {cell!r}: expected every window once, found {chrom}:{start}-{end} "
            f"twice ({len(again):,} such windows)"
        )
    others = lists[lists["label"].isin(set(cells.values()) - {cell})]
    elsewhere = pd.MultiIndex.from_frame(rows[place]).isin(pd.MultiIndex.from_frame(others[place]))
    kind = pd.Series("nobody", index=rows.index)
    kind[elsewhere] = "others"
    kind[rows["label"] == _NOBODY] = "universal"
    kind[rows["label"] == cell] = "specific"
    return rows[[*place, "part"]].assign(kind=kind)
