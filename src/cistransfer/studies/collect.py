"""Results of studies: one tidy table, and the papers' claims with what was found beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cistransfer.errors import InputError
from cistransfer.metrics.statistics import (
    TestResult,
    kruskal_wallis,
    welch_t,
    wilcoxon_signed_rank,
)
from cistransfer.metrics.table import display, small_is_better
from cistransfer.storage import whole_file, write_text
from cistransfer.studies.schema import Claim, Study, catalogue, load_study
from cistransfer.studies.store import Store
from cistransfer.tables import markdown, write_tsv

__all__ = ["Found", "check_claim", "collect", "reproduction", "results", "select", "wide"]

_LAST = ("trial", "part", "item", "metric", "value")
_SURE = 0.05


def results(store: Store) -> pd.DataFrame:
    """What the finished trials of a study measured.

    Returns
    -------
    DataFrame
        A row for each place in the grid, part, item and metric: ``strategy``, the axes (as text;
        empty where the trial does not depend on one), ``trial``, ``part``, ``item``, ``metric``,
        ``value``. In an order that does not depend on that of the runs.
    """
    plan = store.plan()
    finished = store.finished(plan.compared)
    axes = list(dict.fromkeys(axis for row in plan.rows for axis, _ in row.point))
    rows = [
        {
            "strategy": row.strategy,
            **dict.fromkeys(axes, ""),
            **dict(row.point),
            **dict(
                zip(_LAST, (row.trial, each.part, each.item, each.metric, each.value), strict=True)
            ),
        }
        for row in plan.rows
        if row.trial in finished
        for each in finished[row.trial].measured
    ]
    columns = ["strategy", *sorted(axes), *_LAST]
    table = pd.DataFrame(rows, columns=columns)
    keys = columns[:-1]
    return table.sort_values(keys, kind="stable").reset_index(drop=True)


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each trial of the test part, a column for each metric: for `cistransfer compare`.

    Parameters
    ----------
    table : DataFrame
        Of `results`.
    """
    test = table[table["part"] == "test"]
    keys = [name for name in test.columns if name not in ("metric", "value", "part")]
    if test.empty:
        return pd.DataFrame(columns=keys)
    return (
        test.pivot_table(index=keys, columns="metric", values="value", sort=False, dropna=True)
        .reset_index()
        .rename_axis(columns=None)
    )


def collect(folder: str | Path) -> pd.DataFrame:
    """Write ``results.parquet``, ``results.tsv`` (wide) and ``claims.md`` of a study.

    Returns
    -------
    DataFrame
        Of `results`.
    """
    store = Store(folder)
    table = results(store)
    with whole_file(store.folder / "results.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    write_tsv(store.folder / "results.tsv", wide(table))
    declared = load_study(store.declared)
    if declared.claims and len(table):
        write_text(store.folder / "claims.md", markdown(_claims(declared, table)) + "\n")
    return table


# Claims ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """What was found of a claim.

    Attributes
    ----------
    ours : str
        The number, in words.
    value : float
    n : int
        Observations (TFs, cells), each the mean of its trials.
    test : TestResult or None
        p is multiplied by the size of the family.
    direction : {"same", "other", ""}
    significance : {"same", "other", ""}
    """

    ours: str
    value: float
    n: int
    test: TestResult | None
    direction: str
    significance: str


def select(table: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """Rows in which columns have these values; an empty cell does not depend on the column."""
    kept = np.ones(len(table), dtype=bool)
    for name, wanted in where.items():
        if name not in table:
            continue
        texts = {str(each) for each in (wanted if isinstance(wanted, list) else [wanted])}
        column = table[name].astype(str)
        free = (column == "") & (name not in ("strategy", "part", "item"))
        kept &= (column.isin(texts) | free).to_numpy()
    return table[kept]


def check_claim(claim: Claim, table: pd.DataFrame) -> Found | None:
    """Set our number beside a claim; None where nothing of it was run."""
    table = table[table["metric"] == claim.metric]
    first = _means(select(table, {"part": "test", **claim.first}), claim)
    if first.empty:
        return None
    second = _means(select(table, {"part": "test", **claim.second}), claim)
    name, sign = display(claim.metric), -1 if small_is_better(claim.metric) else 1
    if claim.quantity == "range":
        ours = f"{name} {first.min():.3f}–{first.max():.3f}"
        return Found(ours, float(first.mean()), len(first), None, "", "")
    if claim.quantity == "count":
        return Found(f"{len(first):,}", float(len(first)), len(first), None, "", "")
    if not claim.second:
        test = _groups(claim, table) if claim.test == "kruskal" else None
        ours = f"{name} {first.mean():.3f}"
        return Found(
            _with_p(ours, test), float(first.mean()), len(first), test, "", _sure(claim, test)
        )
    if second.empty:
        return None
    a, b = first.align(second, join="inner")
    if claim.test == "welch":
        test, difference = welch_t(first, second), float(first.mean() - second.mean())
        n = len(first) + len(second)
        ours = f"{name} {first.mean():.3f} against {second.mean():.3f}"
    elif a.empty:
        return None
    else:
        test = wilcoxon_signed_rank(a, b) if claim.test == "wilcoxon" else None
        difference, n = float((a - b).mean()), len(a)
        ours = f"{name} {a.mean():.3f} against {b.mean():.3f}"
    test = _family(claim, test)
    value = difference
    if claim.quantity == "share":
        better = int(((a - b) * sign > 0).sum())
        value = better / len(a)
        ours = f"{better} of {len(a)} better ({100 * value:.1f} %); {ours}"
    way = "" if difference == 0 else "above" if difference > 0 else "below"
    direction = ""
    if claim.direction in ("above", "below"):
        direction = "same" if way == claim.direction else "other"
    return Found(_with_p(ours, test), value, n, test, direction, _sure(claim, test))


def _means(table: pd.DataFrame, claim: Claim) -> pd.Series:
    """One value for each observation of a claim."""
    keys = [name for name in claim.pair if name in table]
    if table.empty:
        return pd.Series(dtype=float)
    if not keys:
        return pd.Series([table["value"].mean()])
    return table.groupby(keys)["value"].mean()


def _groups(claim: Claim, table: pd.DataFrame) -> TestResult | None:
    chosen = select(table, {"part": "test", **claim.first})
    groups = {
        str(name): _means(rows, claim).to_numpy() for name, rows in chosen.groupby("strategy")
    }
    return _family(claim, kruskal_wallis(groups))


def _family(claim: Claim, test: TestResult | None) -> TestResult | None:
    if test is None:
        return None
    p = min(1.0, test.p * claim.family) if np.isfinite(test.p) else test.p
    return TestResult(test.test, test.statistic, float(p), test.n, test.why)


def _with_p(ours: str, test: TestResult | None) -> str:
    if test is None:
        return ours
    return f"{ours}; {test.test}: " + (f"p = {test.p:.2g}" if np.isfinite(test.p) else test.why)


def _sure(claim: Claim, test: TestResult | None) -> str:
    if test is None or claim.paper_p is None or not np.isfinite(test.p):
        return ""
    return "same" if (test.p < _SURE) == (claim.paper_p < _SURE) else "other"


def _claims(declared: Study, table: pd.DataFrame) -> pd.DataFrame:
    """A row for each claim of a study."""
    return pd.DataFrame([_row(declared, claim, table, "") for claim in declared.claims])


def _row(declared: Study, claim: Claim, table: pd.DataFrame | None, command: str) -> dict[str, str]:
    found = None if table is None else check_claim(claim, table)
    ran = found is not None and table is not None
    return {
        "claim": claim.id,
        "in the paper": f"{claim.says} {f'({claim.where})' if claim.where else ''}".strip(),
        "here": found.ours if found is not None else "not run",
        "on": _on(table) if ran and table is not None else "",
        "direction": found.direction if found is not None else "",
        "test": found.significance if found is not None else "",
        "remark": claim.note or ("" if ran else declared.needs),
        "command": f"`{command}`"
        if ran and command
        else f"`cistransfer study run {declared.name}`",
    }


def _on(table: pd.DataFrame) -> str:
    """How much was run."""
    axes = [c for c in table if c not in ("strategy", *_LAST)]
    parts = []
    for axis in axes:
        values = [value for value in table[axis].unique() if value != ""]
        if len(values) > 1:
            parts.append(f"{len(values)} × {axis}")
    return f"{table['trial'].nunique():,} trials" + (f" ({', '.join(parts)})" if parts else "")


def reproduction(folders: Sequence[str | Path], page: str | Path) -> str:
    """Write the page of the papers' claims: what was run, and what was not.

    Parameters
    ----------
    folders : sequence of path
        Of studies, in which something was run.
    page : path
        Markdown file to write.

    Returns
    -------
    str
        The page.
    """
    run: dict[str, tuple[Study, pd.DataFrame, str]] = {}
    for folder in folders:
        content = Store(folder).read()
        if content["study"] in run:
            raise InputError(f"{folder}: a folder of the study {content['study']!r} is named twice")
        declared = load_study(Store(folder).declared)
        table = results(Store(folder))
        run[declared.name] = (declared, table, "; ".join(content.get("commands", [])))
    studies = {**catalogue(), **{name: each[0] for name, each in run.items()}}
    rows = []
    for name, declared in studies.items():
        table, command = run[name][1:] if name in run else (None, "")
        rows += [(claim.id, _row(declared, claim, table, command)) for claim in declared.claims]
    rows.sort(key=lambda each: _order(each[0]))
    lines = [
        "# What the papers found, and what was found here",
        "",
        "<!-- written by 'cistransfer study collect … --page': not by hand -->",
        "",
        "Claim by claim: what the paper says, our number for it, on how much it was run, whether "
        "the direction is the same, and whether a test at 5 % says the same. Nothing is listed as "
        "found that was not run; the command beside it runs it.",
        "",
        markdown(pd.DataFrame([row for _, row in rows])) if rows else "",
        "",
    ]
    text = "\n".join(lines)
    write_text(page, text)
    return text


def _order(name: str) -> tuple[str, int, str]:
    head = name.rstrip("0123456789abcdefghijklmnopqrstuvwxyz")
    digits = "".join(letter for letter in name[len(head) :] if letter.isdigit())
    return (head, int(digits or 0), name)
