"""Tables of a study's results to read, as its file declares them: ``summary.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cistransfer.evaluation.tidy import size_rank
from cistransfer.metrics.table import display
from cistransfer.storage import write_text
from cistransfer.studies.schema import Beside, Study, Summary
from cistransfer.tables import markdown

__all__ = ["summarise", "write_summary"]

_RESAMPLES = 10_000


def write_summary(folder: Path, declared: Study, table: pd.DataFrame) -> str:
    """Write ``summary.md``: every table of the study that something was run of.

    Parameters
    ----------
    folder : Path
    declared : Study
    table : DataFrame
        Of `cistransfer.studies.collect.results`.

    Returns
    -------
    str
        What was written; empty, and no file, where there is nothing.
    """
    parts = []
    for wanted in declared.summaries:
        for title, found in summarise(wanted, declared, table):
            parts += [f"**{title}**", "", markdown(found), ""]
    quoted = list(dict.fromkeys(f"{each.label}: {each.source}" for each in declared.beside))
    if parts and quoted:
        parts += ["Quoted, not run: " + "; ".join(quoted) + ".", ""]
    text = "\n".join(parts)
    if text:
        write_text(folder / "summary.md", text)
    return text


def summarise(
    wanted: Summary, declared: Study, table: pd.DataFrame
) -> list[tuple[str, pd.DataFrame]]:
    """Make the tables of one summary; none where nothing of it was run.

    Parameters
    ----------
    wanted : Summary
    declared : Study
    table : DataFrame
        Of `cistransfer.studies.collect.results`.

    Returns
    -------
    list of (str, DataFrame)
        Title and table: means in words, ``(n = 3)`` where fewer than all of what the mean is over
        was run.
    """
    from cistransfer.studies.collect import select

    rows = select(table, {"part": "test", **wanted.where})
    rows = rows[rows["metric"].isin(wanted.metrics)]
    made = []
    places = _order(rows[wanted.tables]) if wanted.tables in rows else [""]
    for place in places:
        own = rows[rows[wanted.tables].isin([place, ""])] if place else rows
        groups = [wanted.metrics] if wanted.columns == "metric" else [[m] for m in wanted.metrics]
        for metrics in groups:
            chosen = own[own["metric"].isin(metrics)]
            if chosen.empty:
                continue
            title = wanted.title + (f", {wanted.tables} {place}" if place else "")
            if len(groups) > 1:
                title += f", {display(metrics[0])}"
            where = {wanted.tables: place} if place else {}
            made.append((title, _table(wanted, declared, chosen, metrics, where)))
    return made


def _table(
    wanted: Summary,
    declared: Study,
    rows: pd.DataFrame,
    metrics: Sequence[str],
    where: Mapping[str, str],
) -> pd.DataFrame:
    by_metric = wanted.columns == "metric" or wanted.columns not in rows
    named = _order(rows[wanted.rows])
    if wanted.rows == "strategy":
        named = [name for name in declared.strategies if name in set(named)]
    columns = list(metrics) if by_metric else _order(rows[wanted.columns])
    column = "metric" if by_metric else wanted.columns
    over = [name for name in wanted.over if name in rows and name != column]
    everything = rows.groupby(over).ngroups if over else 1
    lines = []
    for name in named:
        own = rows[rows[wanted.rows] == name]
        cells = {display(c): own[own[column].isin([c, ""])] for c in columns}
        words = {
            head: _words(part, over, everything, wanted.spread) for head, part in cells.items()
        }
        lines.append({wanted.rows: name, **words})
    if wanted.rows == "strategy" and not by_metric:
        lines += _quoted(declared.beside, metrics[0], wanted.columns, where)
    return pd.DataFrame(lines).fillna("")


def _words(rows: pd.DataFrame, over: list[str], everything: int, spread: str) -> str:
    if rows.empty:
        return ""
    means = rows.groupby(over)["value"].mean() if over else rows["value"]
    values = means.to_numpy(dtype=float)
    text = f"{values.mean():.3f}"
    if spread == "range" and np.ptp(values) > 0:
        text += f" ({values.min():.3f}–{values.max():.3f})"
    if spread == "interval" and len(values) > 1:
        low, high = _interval(values)
        text += f" ({low:.3f}–{high:.3f})"
    if 1 < everything != len(values) and spread != "range":
        text += f" (n = {len(values)})"
    return text


def _interval(values: Any) -> tuple[float, float]:
    """Percentile interval of a mean; the same are drawn for every row of a table."""
    drawn = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def _quoted(
    beside: Sequence[Beside], metric: str, columns: str, where: Mapping[str, str]
) -> list[dict[str, str]]:
    """Rows of numbers from elsewhere."""
    lines: dict[str, dict[str, str]] = {}
    for each in beside:
        place = {name: str(value) for name, value in each.where.items()}
        head = place.pop(columns, None)
        if each.metric == metric and head is not None and place.items() <= where.items():
            line = lines.setdefault(each.label, {"strategy": f"{each.label} (quoted)"})
            line[head] = f"{each.value:.3f}"
    return list(lines.values())


def _order(column: pd.Series) -> list[str]:
    """Values: numbers by size, then words as they come."""
    return sorted((value for value in column.unique() if value != ""), key=size_rank)
