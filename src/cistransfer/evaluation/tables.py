"""Tables as text: Markdown to paste into a paper, TSV to read back."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from cistransfer.storage import write_text

__all__ = ["as_markdown", "as_records", "write_tsv"]


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
    return str(value).replace("|", "\\|")


def as_markdown(table: pd.DataFrame, digits: int = 3) -> str:
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
    widths = [
        max([len(text), 3, *(len(row[place]) for row in cells)]) for place, text in enumerate(head)
    ]

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


def as_records(table: pd.DataFrame) -> list[dict[str, object]]:
    """Turn rows into JSON-ready dictionaries; empty values become None."""
    return [
        {
            str(name): None if isinstance(value, float) and np.isnan(value) else value
            for name, value in row.items()
        }
        for row in table.astype(object).to_dict("records")
    ]


def write_tsv(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table with tabs, six significant digits, whole or not at all."""
    write_text(path, table.to_csv(sep="\t", index=False, float_format="%.6g"))
