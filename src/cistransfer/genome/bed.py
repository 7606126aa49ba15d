"""BED-like files, and what else a Python user has, as region tables.

A region table is a DataFrame with ``chrom`` (str), ``start`` and ``end`` (int64, 0-based,
half-open) and, where the file has them, ``name``, ``strand`` and ``summit`` (int64, 0-based
position of the peak's summit on the chromosome; the midpoint where a row's is not known).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from cistransfer.errors import InputError
from cistransfer.genome.formats import ROLES, Form, is_header, parse_columns, recognise
from cistransfer.genome.intervals import MAX_POSITION, place_summits
from cistransfer.genome.rows import RowBlock, Rows, RowSource, open_rows, quoted
from cistransfer.storage import whole_file

__all__ = [
    "ReadFacts",
    "as_regions",
    "is_regions",
    "open_regions",
    "read_bed",
    "regions_table",
    "write_bed",
]

Columns = str | Mapping[str, str | int]


@dataclass(frozen=True)
class ReadFacts:
    """What was read, and what was left out or changed.

    Attributes
    ----------
    format : str
        One of `cistransfer.genome.formats.formats`.
    summits_known, summits_unknown, summits_outside : int
        Rows whose summit is used, is not known (−1), or lies outside the region; the midpoint
        stands in for the latter two. All 0 where the format has no summit.
    clipped : int
        Rows whose start was below 0 and is 0 now.
    comments : int
        Comment, ``track`` and header lines between the rows.
    longer : int
        Rows with more columns than the first, which are not kept.
    notes : tuple of str
        How what is ambiguous was taken.
    """

    path: str
    format: str
    rows: int
    columns: int
    summits_known: int = 0
    summits_unknown: int = 0
    summits_outside: int = 0
    clipped: int = 0
    comments: int = 0
    longer: int = 0
    notes: tuple[str, ...] = ()

    def line(self) -> str:
        """One line for a person."""
        said = [f"{self.rows:,} {'row' if self.rows == 1 else 'rows'} ({self.format})"]
        lacking = self.summits_unknown + self.summits_outside
        if self.summits_known or lacking:
            said[0] += f", {self.summits_known:,} with a summit"
        if lacking:
            why = {"unknown": self.summits_unknown, "outside the region": self.summits_outside}
            words = ", ".join(f"{n:,} {what}" for what, n in why.items() if n)
            said.append(f"the midpoint stands in for {lacking:,} ({words})")
        if self.clipped:
            said.append(f"{self.clipped:,} starts below 0 set to 0")
        if self.comments:
            said.append(f"{self.comments:,} lines between the rows skipped")
        if self.longer:
            said.append(f"{self.longer:,} rows have more columns than the first")
        return f"{self.path}: " + "; ".join([*said, *self.notes])

    def as_dict(self) -> dict[str, Any]:
        """The facts for a record."""
        return dataclasses.asdict(self) | {"notes": list(self.notes)}


def is_regions(table: pd.DataFrame) -> bool:
    """Whether a table has the columns and integer coordinates of a region table."""
    return (
        {"chrom", "start", "end"} <= set(table.columns)
        and pd.api.types.is_integer_dtype(table["start"])
        and pd.api.types.is_integer_dtype(table["end"])
    )


def regions_table(chrom: object, start: object, end: object, **columns: object) -> pd.DataFrame:
    """Make a region table out of columns, which it takes over: arrays are not copied."""
    places = {
        name: np.asarray(column).astype(np.int64, copy=False)
        for name, column in (("start", start), ("end", end))
    }
    return pd.DataFrame({"chrom": chrom, **places, **columns}, copy=False)


def read_bed(
    path: str | os.PathLike[str], columns: Columns | None = None, *, keep: bool = False
) -> pd.DataFrame:
    """Read a BED-like file: any of `cistransfer.genome.formats.formats`, told by its content.

    The file is read once from the front, plain or compressed. Comment, ``track`` and ``browser``
    lines and blank lines are skipped wherever they are; fields may be separated by white space
    or commas and be quoted; numbers may be written ``1e+05``.

    Parameters
    ----------
    path : path
        A file, a pipe, or ``-`` for standard input.
    columns : str or mapping, optional
        Which columns hold what, for formats that are not known:
        see `cistransfer.genome.formats.parse_columns`.
    keep : bool
        Whether to keep every column of the file (as text, under its name).

    Returns
    -------
    DataFrame
        A region table in the file's order; ``name`` and ``strand`` where the file has them and
        ``summit`` where its format has one. ``attrs["read"]`` holds the `ReadFacts`; with ``keep``
        ``attrs["file"]`` the table's and the file's name of each column in the file's order, and
        what the file calls the first base (`cistransfer.prediction.table.as_in_file`).

    Raises
    ------
    InputError
        For a missing, empty, truncated or malformed file; names the line.
    """
    source = RowSource.of(path)
    with open_regions(source, columns) as (rows, form):
        if form is None:
            raise InputError(f"{path}: expected at least one region, found an empty file")
        return _table(rows, form, keep)


@contextlib.contextmanager
def open_regions(
    source: RowSource, columns: Columns | None = None
) -> Iterator[tuple[Rows, Form | None]]:
    """Open a BED-like file: its rows, and which columns hold what (None for an empty file)."""
    given = parse_columns(columns)
    names = {value for key, value in given.items() if key != "base" and not value.isdigit()}

    def heads(fields: list[str]) -> bool:
        return is_header(fields) or bool(names and names <= set(fields))

    with open_rows(source, heads) as rows:
        yield rows, recognise(rows.head, columns) if rows.head.sample else None


def _table(rows: Rows, form: Form, keep: bool) -> pd.DataFrame:
    """All rows as a region table."""
    place = (form.chrom, form.start, form.end)
    if keep:
        kept = [i for i in range(rows.head.fields) if i not in place]
    else:
        kept = [i for i in (form.name, form.strand) if i is not None]
    texts = {form.chrom, *(i for i in (form.strand,) if i in kept)} - {None}
    strings = [i for i in kept if i not in texts and i != form.summit]
    codes: dict[int, dict[str, int]] = {i: {} for i in texts}
    parts: list[dict[Any, Any]] = []
    facts = ReadFacts(rows.head.label, form.format, 0, rows.head.fields, notes=form.notes)
    for block in rows.blocks(sorted(texts), form.numbers(), strings):
        placed = form.place(block)
        part: dict[Any, Any] = {"start": placed.start, "end": placed.end, "summit": placed.centre}
        for i in texts:
            part[i] = _coded(block, i, codes[i], name=i == form.chrom)
        part |= block.strings
        if form.summit in kept:
            part[form.summit] = pa.array(block.numbers[form.summit]).cast(pa.string())
        parts.append(part)
        facts = dataclasses.replace(
            facts,
            rows=facts.rows + block.rows,
            summits_known=facts.summits_known + placed.known,
            summits_outside=facts.summits_outside + placed.outside,
            clipped=facts.clipped + placed.clipped,
            comments=facts.comments + block.comments,
            longer=facts.longer + block.longer,
        )
    if form.summit is not None:
        unknown = facts.rows - facts.summits_known - facts.summits_outside
        facts = dataclasses.replace(facts, summits_unknown=unknown)

    def column(key: Any) -> Any:
        if key in codes:
            words = np.array([*codes[key]], dtype=object)
            return words[np.concatenate([part[key] for part in parts])]
        if isinstance(key, str):
            return np.concatenate([part[key] for part in parts])
        text = pa.chunked_array([part[key] for part in parts])
        if keep:
            return pd.array(text, dtype="string[pyarrow]")
        return text.to_numpy()

    table = regions_table(column(form.chrom), column("start"), column("end"))
    called = dict(zip(place, ("chrom", "start", "end"), strict=True))
    taken = {*called.values(), *(["summit"] if form.summit is not None else [])}
    for i in kept:
        name = form.names[i] if keep else "name" if i == form.name else "strand"
        own = i == form.summit and name == "summit" and _same(column(i), column("summit"))
        while name in taken and not own:
            name += "_input"
        taken.add(name)
        table[name] = column("summit" if own else i)
        called[i] = name
    if form.summit is not None:
        table["summit"] = column("summit")
    table.attrs["read"] = facts
    if keep:
        pairs = tuple((called[i], form.names[i]) for i in range(rows.head.fields))
        table.attrs["file"] = (pairs, form.base)
    return table


def _same(texts: Any, numbers: Any) -> bool:
    return bool((pd.to_numeric(pd.Series(texts)).to_numpy() == numbers).all())


def _coded(block: RowBlock, column: int, codes: dict[str, int], *, name: bool) -> Any:
    """A text column of a block as codes into words that all blocks share."""
    words, code = block.texts[column]
    for k, word in enumerate(words):
        if name and (not word or word != word.strip()):
            _, where = block.where(code == k)
            raise InputError(
                f"{where}: expected a chromosome name in column {column + 1}, found {quoted(word)}"
            )
        codes.setdefault(word, len(codes))
    return np.array([codes[word] for word in words], dtype=np.int32)[code]


_PLACE = re.compile(r"\s*([^\s:]+):([\d,_]+)(?:-|\.\.)([\d,_]+)\s*")


def as_regions(regions: Any, columns: Columns | None = None) -> pd.DataFrame:
    """Region table of what a Python user has.

    Parameters
    ----------
    regions : path, DataFrame, str, or list
        A path is read by `read_bed`. A DataFrame has columns chrom, start, end, under these
        names or pyranges' or UCSC's (Chromosome, Start, End; chromStart …), with whole numbers;
        its other columns are kept. A text like ``"chr1:1,000-1,200"`` is one region (0-based,
        half-open, as all are), and a list holds such texts or tuples (chrom, start, end).
    columns : str or mapping, optional
        For a path: see `read_bed`.

    Raises
    ------
    InputError
        For anything else.
    """
    if isinstance(regions, pd.DataFrame):
        return _of_frame(regions)
    if isinstance(regions, str) and (place := _PLACE.fullmatch(regions)):
        return _of_list([place.groups()])
    if isinstance(regions, str | os.PathLike):
        return read_bed(regions, columns)
    if hasattr(regions, "df") and isinstance(regions.df, pd.DataFrame):
        return _of_frame(regions.df)  # a PyRanges
    if isinstance(regions, list | tuple) and len(regions):
        if isinstance(regions, tuple) and not isinstance(regions[0], str | list | tuple):
            raise _unknown(regions)
        if isinstance(regions, tuple) and len(regions) == 3 and not isinstance(regions[1], str):
            regions = [regions] if isinstance(regions[0], str) else regions
        return _of_list(regions)
    raise _unknown(regions)


def _unknown(found: object) -> InputError:
    return InputError(
        "regions: expected a path, a table with chrom, start and end, a text like "
        f"'chr1:100-300', or a list of those or of (chrom, start, end), found {_what(found)}"
    )


def _what(found: object) -> str:
    found = found.item() if isinstance(found, np.generic) else found
    text = " ".join(repr(found).split())
    return f"{type(found).__name__} {text if len(text) <= 60 else text[:59] + '…'}"


def _of_list(items: Any) -> pd.DataFrame:
    rows = []
    for number, item in enumerate(items, start=1):
        place = _PLACE.fullmatch(item) if isinstance(item, str) else None
        fields = place.groups() if place else item
        if isinstance(fields, str) or not hasattr(fields, "__len__") or len(fields) != 3:
            raise InputError(
                f"regions, item {number}: expected 'chrom:start-end' or (chrom, start, end), "
                f"found {_what(item)}"
            )
        rows.append(fields)
    chrom, start, end = zip(*rows, strict=True)
    table = pd.DataFrame({"chrom": chrom, "start": start, "end": end}, dtype=object)
    for name in ("start", "end"):
        table[name] = table[name].map(
            lambda value: (
                value.replace(",", "").replace("_", "") if isinstance(value, str) else value
            )
        )
    return _of_frame(table)


def _of_frame(table: pd.DataFrame) -> pd.DataFrame:
    again = table.columns[table.columns.duplicated()]
    if len(again):
        raise InputError(f"regions: two columns are called {quoted(str(again[0]))}")
    names = {re.sub(r"[^a-z0-9]", "", str(name).lower()): name for name in reversed(table.columns)}
    found: dict[str, Any] = {}
    for role, known in ROLES.items():
        if role in ("summit", "name") and role not in table.columns:
            continue
        if role in table.columns:
            found[role] = role
            continue
        name = next((names[word] for word in known if word in names), None)
        if name is not None:
            found[role] = name
    lacking = [role for role in ("chrom", "start", "end") if role not in found]
    if lacking:
        raise InputError(
            f"regions: expected columns chrom, start and end, found no {' and no '.join(lacking)} "
            f"among {quoted(', '.join(map(str, table.columns)))}"
        )
    if not len(table):
        raise InputError("regions: expected at least one region, found an empty table")
    regions = table.rename(columns={name: role for role, name in found.items()})
    regions = regions.reset_index(drop=True)
    for name in ("start", "end"):
        values = pd.to_numeric(regions[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        wrong = ~(np.abs(values) <= MAX_POSITION) | (values != np.floor(values))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"regions, row {row}: expected a whole number as {name}, "
                f"found {_what(regions[name].iloc[row])}"
            )
        regions[name] = values.astype(np.int64)
    unnamed = regions["chrom"].isna().to_numpy() | (regions["chrom"].astype(str) == "").to_numpy()
    start, end = regions["start"].to_numpy(), regions["end"].to_numpy()
    bad = (start < 0) | (start >= end) | unnamed
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"regions, row {row}: expected a chromosome and 0 ≤ start < end (0-based, half-open), "
            f"found {_what(regions['chrom'].iloc[row])}, {start[row]} and {end[row]}"
        )
    regions["chrom"] = regions["chrom"].astype(str).astype(object)
    if "summit" in regions:
        given = pd.to_numeric(regions["summit"], errors="coerce").to_numpy(
            np.float64, na_value=np.nan
        )
        regions["summit"] = place_summits(start, end, given)
    return regions


def write_bed(path: str | os.PathLike[str], regions: pd.DataFrame) -> None:
    """Write a region table's BED columns (chrom, start, end, then name and strand if there)."""
    table = regions[["chrom", "start", "end"]].copy()
    if "name" in regions or "strand" in regions:
        table["name"] = regions.get("name", ".")
    if "strand" in regions:
        table["score"] = 0
        table["strand"] = regions["strand"]
    with whole_file(path) as temporary:
        table.to_csv(temporary, sep="\t", header=False, index=False)
