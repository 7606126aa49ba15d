"""Tables as text: TSV to read back, Markdown to paste into a paper, records for JSON."""

from __future__ import annotations

import gzip
import os
import re

import numpy as np
import pandas as pd

from cistransfer.storage import whole_file

__all__ = ["harmless", "markdown", "records", "write_tsv"]


def write_tsv(
    path: str | os.PathLike[str], table: pd.DataFrame, *, numbers: str | None = "%.6g"
) -> None:
    """Write a table with tabs and one line end, whole or not at all; equal tables, equal bytes.

    A text that a spreadsheet would execute (it begins with ``=``, ``+``, ``-`` or ``@`` and is no
    number) is written after an apostrophe, which makes it text there; ``-log10(pvalue)``, as MACS
    calls a column, stays.

    Parameters
    ----------
    path : path
        ``.gz`` at its end compresses (without name and time).
    table : DataFrame
        Its index is not written.
    numbers : str, optional
        How numbers with a fraction are written; None: with all their digits.
    """
    text = harmless(table).to_csv(sep="\t", index=False, float_format=numbers, lineterminator="\n")
    content = text.encode()
    if os.fspath(path).endswith(".gz"):
        content = gzip.compress(content, 6, mtime=0)
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def harmless(table: pd.DataFrame) -> pd.DataFrame:
    """Give a table whose texts and column names no spreadsheet takes for a formula."""
    texts = [i for i, kind in enumerate(table.dtypes) if not pd.api.types.is_numeric_dtype(kind)]
    shown = table.copy(deep=False)
    shown.columns = [_text(name) for name in table.columns]
    for i in texts:
        column = table.iloc[:, i]
        made = [_text(value) for value in column]
        if any(new is not old for new, old in zip(made, column, strict=True)):
            shown.isetitem(i, pd.Series(made, index=table.index, dtype=object))
    return shown


def _text(value: object) -> object:
    if not isinstance(value, str) or len(value) < 2 or value[0] not in "=+-@":
        return value
    if re.fullmatch(r"-log10\(\w+\)", value):
        return value
    try:
        float(value)
    except ValueError:
        return "'" + value
    return value


def markdown(table: pd.DataFrame, digits: int = 3) -> str:
    """Write a table in Markdown: numbers right-aligned, empty values as a dash.

    Parameters
    ----------
    table : DataFrame
        Columns that are all empty are left out.
    digits : int
        Decimals of plain numbers; p values get two significant digits, differences a sign.
    """
    blank = table.isna() | (table.astype(object) == "")
    shown = table.loc[:, ~blank.all()] if len(table) else table
    numeric = [pd.api.types.is_numeric_dtype(shown[name]) for name in shown]
    cells = [
        [_cell(value, str(name), digits) for name, value in zip(shown.columns, row, strict=True)]
        for row in shown.itertuples(index=False, name=None)
    ]
    head = [str(name).replace("_", " ") for name in shown.columns]
    widths = [max([len(text), 3, *(len(row[i]) for row in cells)]) for i, text in enumerate(head)]

    def line(texts: list[str]) -> str:
        padded = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(texts, widths, numeric, strict=True)
        ]
        return "| " + " | ".join(padded) + " |"

    rule = "|".join(
        "-" * (width + 1) + ":" if right else "-" * (width + 2)
        for width, right in zip(widths, numeric, strict=True)
    )
    return "\n".join([line(head), f"|{rule}|", *(line(row) for row in cells)]) + "\n"


def _cell(value: object, column: str, digits: int) -> str:
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        if column == "p" or column.startswith("p_") or "_p" in column:
            return f"{value:.2g}" if value >= 1e-4 else f"{value:.1e}"
        return f"{value:+.{digits}f}" if "difference" in column else f"{value:.{digits}f}"
    return " ".join(str(value).split()).replace("|", "\\|")


def records(table: pd.DataFrame) -> list[dict[str, object]]:
    """Turn rows into JSON-ready dictionaries; empty values become None."""
    return [
        {
            str(name): None if isinstance(value, float) and np.isnan(value) else value
            for name, value in row.items()
        }
        for row in table.astype(object).to_dict("records")
    ]
