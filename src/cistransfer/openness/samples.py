"""Which name means which cell: the sample sheet, and UCSC names mapped to ENCODE terms."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from cistransfer.errors import InputError, nearest, shown
from cistransfer.storage import open_text

__all__ = ["Sample", "match_cell", "names_of", "read_samples", "read_table", "read_ucsc2encode"]

_COLUMNS = ("cell", "dhs_source", "peaks_name", "tfbs_name")


@dataclass(frozen=True)
class Sample:
    """One cell and its names in each source.

    Attributes
    ----------
    cell : str
        Its name in the matrix.
    dhs_sources, peaks_names, tfbs_names : tuple of str
        Its names in the open-region, peak and TFBS files; empty means the cell's own name
        (``tfbs_names`` falls back to ``peaks_names`` first).
    """

    cell: str
    dhs_sources: tuple[str, ...] = ()
    peaks_names: tuple[str, ...] = ()
    tfbs_names: tuple[str, ...] = ()


def read_table(path: str | os.PathLike[str], required: Iterable[str]) -> pd.DataFrame:
    """Read a tab-separated table with one header line; ``#`` lines and blank lines are skipped.

    Returns
    -------
    DataFrame of str
        With a column ``line`` (1-based line number).

    Raises
    ------
    InputError
        When a required column is missing, or a row has another number of columns.
    """
    header: list[str] = []
    rows: list[dict[str, object]] = []
    with open_text(path) as handle:
        for number, line in enumerate(handle, start=1):
            text = line.rstrip("\r\n")
            if not text.strip() or text.startswith("#"):
                continue
            fields = [field.strip() for field in text.split("\t")]
            if not header:
                header = fields
                place = f"{path}, line {number}"
                for name in required:
                    if name not in header:
                        raise InputError(
                            f"{place}: expected a column {name!r} in the header; "
                            f"there are: {shown(', '.join(header))}"
                        )
                for name in header:
                    if header.count(name) > 1:
                        raise InputError(f"{place}: two columns are called {shown(name)!r}")
                continue
            if len(fields) != len(header):
                raise InputError(
                    f"{path}, line {number}: expected {len(header)} tab-separated columns like "
                    f"the header, found {len(fields)}"
                )
            rows.append({**dict(zip(header, fields, strict=True)), "line": number})
    if not rows:
        raise InputError(f"{path}: expected a header line and at least one row, found none")
    return pd.DataFrame(rows)


def read_samples(path: str | os.PathLike[str]) -> list[Sample]:
    """Read a sample sheet: columns cell and, each optional, dhs_source, peaks_name, tfbs_name.

    Several names of one cell stand in one field with ``;`` between them, or on several lines.

    Raises
    ------
    InputError
        For an unknown or missing column and for an empty cell name.
    """
    table = read_table(path, ["cell"])
    for name in table.columns:
        if name not in (*_COLUMNS, "line"):
            raise InputError(
                f"{path}: unknown column {shown(name)!r}; {nearest(str(name), _COLUMNS)}"
            )
    merged: dict[str, dict[str, list[str]]] = {}
    for row in table.to_dict("records"):
        if not row["cell"]:
            raise InputError(f"{path}, line {row['line']}: expected a cell name, found none")
        names = merged.setdefault(str(row["cell"]), {column: [] for column in _COLUMNS[1:]})
        for column in _COLUMNS[1:]:
            for name in str(row.get(column, "")).split(";"):
                if name.strip() and name.strip() not in names[column]:
                    names[column].append(name.strip())
    return [
        Sample(
            cell, tuple(names["dhs_source"]), tuple(names["peaks_name"]), tuple(names["tfbs_name"])
        )
        for cell, names in sorted(merged.items())
    ]


def read_ucsc2encode(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read the published map of UCSC source names to ENCODE biosample terms.

    Two tab-separated columns after comment lines and one header line; many names may have one
    term.

    Raises
    ------
    InputError
        For another number of columns, and a name with two different terms.
    """
    table = read_table(path, [])
    columns = [name for name in table.columns if name != "line"]
    if len(columns) != 2:
        raise InputError(
            f"{path}: expected 2 tab-separated columns (UCSC name, ENCODE term), "
            f"found {len(columns)}"
        )
    terms: dict[str, str] = {}
    for name, term, line in zip(*(table[each] for each in (*columns, "line")), strict=True):
        if terms.setdefault(name, term) != term:
            raise InputError(
                f"{path}, line {line}: {shown(name)} is there twice, as {shown(terms[name])} and "
                f"{shown(term)}"
            )
    return terms


def names_of(samples: Iterable[Sample], kind: str) -> dict[str, str]:
    """Map the upper-cased name of each cell in the peak or TFBS files to the cell.

    Raises
    ------
    InputError
        When one name would mean two cells.
    """
    found: dict[str, str] = {}
    for sample in samples:
        own = sample.peaks_names if kind == "peaks" else sample.tfbs_names or sample.peaks_names
        for name in own or (sample.cell,):
            other = found.setdefault(name.upper(), sample.cell)
            if other != sample.cell:
                raise InputError(
                    f"sample sheet: the {kind} name {name!r} is given to two cells, "
                    f"{other!r} and {sample.cell!r}"
                )
    return found


def match_cell(name: str, known: Mapping[str, str], treated: bool = False) -> str | None:
    """Find the cell that a name in a peak or TFBS file means.

    Names match whole, in any case. With ``treated``, a name with a treatment appended
    (``MCF-7_estradiol``) matches the longest known name before an underscore.
    """
    upper = name.upper()
    if upper in known:
        return known[upper]
    while treated and "_" in upper:
        upper = upper.rpartition("_")[0]
        if upper in known:
            return known[upper]
    return None
