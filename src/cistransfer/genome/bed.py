"""BED and narrowPeak files as region tables.

A region table is a DataFrame with ``chrom`` (str), ``start`` and ``end`` (int64, 0-based,
half-open) and, where the file has them, ``name``, ``score``, ``strand`` and ``summit`` (int64,
0-based position of the peak's summit on the chromosome).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from cistransfer.errors import InputError
from cistransfer.storage import open_text, whole_file

__all__ = ["is_regions", "read_bed", "read_narrowpeak", "regions_table", "write_bed"]

_HEADER = re.compile(r"#|(?:track|browser)(?:\s|$)")


def is_regions(table: pd.DataFrame) -> bool:
    """Whether a table has the columns and integer coordinates of a region table."""
    return (
        {"chrom", "start", "end"} <= set(table.columns)
        and pd.api.types.is_integer_dtype(table["start"])
        and pd.api.types.is_integer_dtype(table["end"])
    )


def regions_table(chrom: object, start: object, end: object, **columns: object) -> pd.DataFrame:
    """Make a region table out of columns."""
    table = pd.DataFrame({"chrom": chrom, "start": start, "end": end, **columns})
    return table.astype({"start": np.int64, "end": np.int64})


def read_bed(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a BED file (3 to 12 columns, plain or gzip) or a narrowPeak file.

    Comment, ``track`` and ``browser`` lines before the first region and blank lines anywhere are
    skipped; a header line between regions is refused, because it is what two files glued together
    leave. A file whose name holds ``narrowPeak`` is read as one: column 10 is the summit's offset
    from the start.

    Returns
    -------
    DataFrame
        A region table in the file's order; ``name`` and ``strand`` when the file has them and
        ``summit`` for narrowPeak files whose every summit is known.

    Raises
    ------
    InputError
        For a missing, empty, truncated or malformed file; names the line.
    """
    if "narrowpeak" in Path(path).name.lower():
        return read_narrowpeak(path)
    return _read(path, narrowpeak=False)


def read_narrowpeak(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read an ENCODE narrowPeak file (BED6+4, column 10 = summit offset, −1 = unknown)."""
    return _read(path, narrowpeak=True)


def _read(path: str | os.PathLike[str], *, narrowpeak: bool) -> pd.DataFrame:
    skip, fields = _first_line(path)
    if fields < 3:
        raise _wrong(path, narrowpeak)
    if narrowpeak and fields != 10:
        raise InputError(
            f"{path}: expected the 10 columns of a narrowPeak file, found {fields}; "
            "rename the file if it is plain BED"
        )
    dtypes: dict[int, object] = {0: str, 1: np.int64, 2: np.int64, 3: str, 5: str}
    if fields > 3:
        dtypes[fields - 1] = str  # empty where a line is cut short
    if narrowpeak:
        dtypes[9] = np.int64
    try:
        with open_text(path) as handle:
            raw = pd.read_csv(
                handle,
                sep="\t",
                header=None,
                names=list(range(fields)),
                index_col=False,
                usecols=[column for column in dtypes if column < fields],
                dtype=dtypes,
                skiprows=skip,
                comment=None,
                keep_default_na=False,
                na_filter=False,
                quoting=3,
            )
    except (ValueError, pd.errors.ParserError, OverflowError) as error:
        raise _wrong(path, narrowpeak) from error
    chrom = raw[0]
    if (raw[1] < 0).any() or (raw[1] >= raw[2]).any():
        raise _wrong(path, narrowpeak)
    if any(not name or name != name.strip() or _HEADER.match(name) for name in chrom.unique()):
        raise _wrong(path, narrowpeak)
    if fields > 3 and not narrowpeak and (raw[fields - 1] == "").any():
        found = _first_wrong(path, narrowpeak)
        if found is not None:
            raise found
    table = regions_table(chrom.to_numpy(), raw[1].to_numpy(), raw[2].to_numpy())
    if fields > 3:
        table["name"] = raw[3].to_numpy()
    if fields > 5:
        table["strand"] = raw[5].to_numpy()
    if narrowpeak:
        offset = raw[9].to_numpy()
        if (offset >= (table["end"] - table["start"]).to_numpy()).any() or (offset < -1).any():
            raise _wrong(path, narrowpeak)
        if (offset >= 0).all():
            table["summit"] = table["start"] + offset
    return table


def _first_line(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Count the header lines and the tab-separated columns of the first row."""
    with open_text(path) as handle:
        for number, line in enumerate(handle):
            if line.strip() and not _HEADER.match(line):
                return number, len(line.rstrip("\r\n").split("\t"))
    raise InputError(f"{path}: expected at least one region, found an empty file")


def _wrong(path: str | os.PathLike[str], narrowpeak: bool) -> InputError:
    """Word what is wrong with a file that could not be read."""
    return _first_wrong(path, narrowpeak) or InputError(f"{path}: not a readable BED file")


def _first_wrong(path: str | os.PathLike[str], narrowpeak: bool) -> InputError | None:
    """Find the first line that is wrong and say what is wrong with it; None when all are right."""
    expected = 0
    with open_text(path) as handle:
        for number, line in enumerate(handle, start=1):
            text = line.rstrip("\r\n")
            if not text.strip():
                continue
            where = f"{path}, line {number}"
            fields = text.split("\t")
            if _HEADER.match(text):
                if expected:
                    return InputError(
                        f"{where}: found a header line between regions: {text[:60]!r}"
                    )
                continue
            if len(fields) < 3:
                hint = " (columns must be separated by tabs)" if len(text.split()) >= 3 else ""
                return InputError(
                    f"{where}: expected at least 3 tab-separated columns (chrom, start, end), "
                    f"found {len(fields)}: {text[:60]!r}{hint}"
                )
            expected = expected or len(fields)
            if len(fields) < expected:
                return InputError(
                    f"{where}: expected {expected} columns like the first line, found {len(fields)}"
                )
            if not fields[0] or fields[0] != fields[0].strip():
                return InputError(
                    f"{where}: expected a chromosome name in column 1, found {fields[0]!r}"
                )
            for column, kind in (
                (1, "start"),
                (2, "end"),
                *(((9, "summit"),) if narrowpeak else ()),
            ):
                digits = fields[column].removeprefix("-")
                if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
                    return InputError(
                        f"{where}: expected an integer {kind} in column {column + 1}, "
                        f"found {fields[column]!r}"
                    )
            start, end = int(fields[1]), int(fields[2])
            if start < 0:
                return InputError(f"{where}: expected start ≥ 0, found {start}")
            if start >= end:
                return InputError(
                    f"{where}: expected start < end (0-based, half-open), found {start} and {end}"
                )
            if narrowpeak and not -1 <= int(fields[9]) < end - start:
                return InputError(
                    f"{where}: expected a summit offset from 0 to {end - start - 1} (or −1), "
                    f"found {fields[9]}"
                )
    return None


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
