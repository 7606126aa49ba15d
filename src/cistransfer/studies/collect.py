"""Results of studies: one tidy table, and the papers' claims with what was found beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cistransfer.metrics.statistics import (
    TestResult,
    kruskal_wallis,
    welch_t,
    wilcoxon_signed_rank,
)
from cistransfer.metrics.table import display, small_is_better
from cistransfer.storage import whole_file, write_text
from cistransfer.studies.schema import Claim, Study, load_study
from cistransfer.studies.store import Store
from cistransfer.studies.summary import write_summary
from cistransfer.tables import markdown, write_tsv

__all__ = [
    "Found",
    "check_claim",
    "claims",
    "collect",
    "labelled",
    "less",
    "results",
    "select",
    "wide",
]

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

    A study of cells has them in the column ``tf``, as every table of results has what is learned.

    Parameters
    ----------
    table : DataFrame
        Of `results`.
    """
    test = table[table["part"] == "test"]
    keys = [name for name in test.columns if name not in ("metric", "value", "part")]
    if test.empty:
        return pd.DataFrame(columns=keys)
    if "cell" in keys and "tf" not in keys:
        keys = ["tf" if name == "cell" else name for name in keys]
        test = test.rename(columns={"cell": "tf"})
    if "tf" in keys:
        test = test[test["tf"] != ""]  # of all of them: nothing to compare by
    test = test[~test["metric"].isin(keys)]  # an axis of that name says more
    return (
        test.pivot_table(index=keys, columns="metric", values="value", sort=False, dropna=True)
        .reset_index()
        .rename_axis(columns=None)
    )


def collect(folder: str | Path) -> pd.DataFrame:
    """Write ``results.parquet``, ``results.tsv`` (wide), ``summary.md`` and ``claims.md``.

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
    write_summary(store.folder, declared, labelled(declared, table))
    if declared.claims and len(table):
        found = claims(declared, table).drop(columns="what it takes")
        write_text(store.folder / "claims.md", markdown(found) + "\n")
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
    trials : int
        Trials that it rests on.
    test : TestResult or None
        p is multiplied by the size of the family.
    direction : {"same", "other", ""}
    significance : {"same", "other", ""}
    """

    ours: str
    value: float
    n: int
    trials: int
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


def labelled(declared: Study, table: pd.DataFrame) -> pd.DataFrame:
    """Results with a column for each of the study's labels; ``-`` where a value has none.

    Parameters
    ----------
    declared : Study
    table : DataFrame
        Of `results`.
    """
    for name, label in declared.labels.items():
        if label.of in table:
            of = {str(value): text for text, values in label.values.items() for value in values}
            found = table[label.of].map(of).where(table[label.of] != "", "").fillna("-")
            table = table.assign(**{name: found})
    return table


def less(rows: pd.DataFrame, table: pd.DataFrame, minus: Mapping[str, Any]) -> pd.DataFrame:
    """Rows whose value is the difference to the same row of a table with other values.

    Parameters
    ----------
    rows : DataFrame
        Of ``table``; those without a partner are dropped, and with several draws of one place in
        the grid the mean is taken away.
    table : DataFrame
        Of `results`, of one metric.
    minus : mapping
        Column → the partner's value.
    """
    if not minus:
        return rows
    free = {*minus, "trial", "value", "metric"}
    partners = select(table, minus)
    if rows.empty or partners.empty:
        return rows.iloc[:0]
    keys = [
        name
        for name in table
        if name not in free and table[name].nunique() > 1 and not (partners[name] == "").any()
    ]
    other = partners.groupby(keys or "part")["value"].mean()
    at = pd.MultiIndex.from_frame(rows[keys]) if len(keys) > 1 else rows[(keys or ["part"])[0]]
    values = rows["value"].to_numpy() - other.reindex(at).to_numpy()
    return rows.assign(value=values).dropna(subset=["value"])


def check_claim(claim: Claim, table: pd.DataFrame) -> Found | None:
    """Set our number beside a claim; None where nothing of it was run.

    Parameters
    ----------
    claim : Claim
    table : DataFrame
        Of `results`, with the study's labels (`labelled`).
    """
    everything, table = table, table[table["metric"] == claim.metric]
    sides = [{"part": "test", **side} for side in (claim.first, claim.second)]
    chosen = [less(select(table, side), table, claim.minus) for side in sides]
    if claim.total:
        chosen = [_totals(*each, everything) for each in zip(chosen, sides, strict=True)]
    first, second = (_means(rows, claim) for rows in chosen)
    if first.empty:
        return None
    trials = chosen[0]["trial"].nunique()
    name, sign = display(claim.metric), -1 if small_is_better(claim.metric) else 1
    name = f"gain of {name}" if claim.minus else name
    if claim.quantity == "range":
        ours = f"{name} {first.min():.3f}–{first.max():.3f}"
        return Found(ours, float(first.mean()), len(first), trials, None, "", "")
    if claim.quantity == "count":
        return Found(f"{len(first):,}", float(len(first)), len(first), trials, None, "", "")
    if not claim.second:
        test = _groups(claim, chosen[0]) if claim.test == "kruskal" else None
        ours = f"{name} {_number(float(first.mean()))}"
        if test is not None:
            each = chosen[0].groupby(claim.groups, observed=True)["value"].mean()
            ours = f"{name} " + ", ".join(f"{n} {value:.3f}" for n, value in each.items())
        return Found(
            _with_p(ours, test), float(first.mean()), len(first), trials, test, "",
            _sure(claim, test),
        )  # fmt: skip
    if second.empty:
        return None
    a, b = first.align(second, join="inner")
    paired = claim.test != "welch"
    keys = [name for name in claim.pair if name in table]
    both = pd.concat(chosen)
    if paired and keys:  # what has no partner does not count
        at = pd.MultiIndex.from_frame(both[keys]) if len(keys) > 1 else pd.Index(both[keys[0]])
        both = both[at.isin(a.index)]
    trials = both["trial"].nunique()
    if not paired:
        test, difference = welch_t(first, second), float(first.mean() - second.mean())
        n = len(first) + len(second)
        ours = f"{name} {_number(first.mean())} ({len(first)}) against "
        ours += f"{_number(second.mean())} ({len(second)})"
    elif a.empty:
        return None
    else:
        test = wilcoxon_signed_rank(a, b) if claim.test == "wilcoxon" else None
        difference, n = float((a - b).mean()), len(a)
        ours = f"{name} {_number(a.mean())} against {_number(b.mean())}"
    test = _family(claim, test)
    value = difference
    if claim.quantity == "share" and paired:
        better = int(((a - b) * sign > 0).sum())
        value = better / len(a)
        ours = f"{better} of {len(a)} better ({100 * value:.1f} %); {ours}"
    way = "" if difference == 0 else "above" if difference > 0 else "below"
    direction = ""
    if claim.direction in ("above", "below"):
        direction = "same" if way == claim.direction else "other"
    return Found(_with_p(ours, test), value, n, trials, test, direction, _sure(claim, test))


def _totals(rows: pd.DataFrame, side: Mapping[str, Any], table: pd.DataFrame) -> pd.DataFrame:
    """One row for each trial: the sum of the rows that were chosen of it, 0 where there is none."""
    there = select(table, {name: value for name, value in side.items() if name != "item"})
    there = there.drop_duplicates("trial")
    sums = rows.groupby("trial")["value"].sum().reindex(there["trial"], fill_value=0.0)
    return there.assign(value=sums.to_numpy(), item="")


def _number(value: float) -> str:
    """A metric to three places; a number of things whole."""
    whole = value == round(value) and (abs(value) >= 2 or value == 0)
    return f"{value:,.0f}" if whole else f"{value:.3f}"


def _means(table: pd.DataFrame, claim: Claim) -> pd.Series:
    """One value for each observation of a claim."""
    keys = [name for name in claim.pair if name in table]
    if table.empty:
        return pd.Series(dtype=float)
    if not keys:
        return pd.Series([table["value"].mean()])
    return table.groupby(keys)["value"].mean()


def _groups(claim: Claim, rows: pd.DataFrame) -> TestResult | None:
    """A Kruskal-Wallis test, of values relative to the mean of their ``within``."""
    keys = list(dict.fromkeys([*claim.within, *claim.pair]))
    keys = [name for name in keys if name in rows and name != claim.groups]
    means = rows.groupby([claim.groups, *keys], observed=True)["value"].mean().reset_index()
    if within := [name for name in claim.within if name in means]:
        means["value"] -= means.groupby(within)["value"].transform("mean")
    groups = {str(name): each["value"] for name, each in means.groupby(claim.groups)}
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


def claims(declared: Study, table: pd.DataFrame) -> pd.DataFrame:
    """A row for each claim of a study: what the paper says and what was found.

    Parameters
    ----------
    declared : Study
    table : DataFrame
        Of `results`.

    Returns
    -------
    DataFrame
        ``claim``, ``in the paper``, ``here``, ``on``, ``direction``, ``test``, ``remark``.
    """
    table = labelled(declared, table)
    return pd.DataFrame([_row(declared, claim, table) for claim in declared.claims])


def _row(declared: Study, claim: Claim, table: pd.DataFrame) -> dict[str, str]:
    found = check_claim(claim, table) if len(table) else None
    row = {
        "claim": claim.id,
        "in the paper": f"{claim.says} {f'({claim.where})' if claim.where else ''}".strip(),
    }
    if found is None:
        needs = claim.needs or declared.needs
        row |= {"here": "not run", "on": "", "direction": "", "test": ""}
        return row | {"remark": claim.note, "what it takes": needs}
    pairs = " × ".join(name for name in claim.pair if name in table)
    direction = found.direction or ("" if not claim.direction else "–")
    return row | {
        "here": found.ours,
        "on": (f"{found.n:,} {pairs}, " if pairs else "")
        + f"{found.trials:,} trial{'s' * (found.trials != 1)}",
        "direction": direction,
        "test": found.significance,
        "remark": claim.note,
        "what it takes": "",
    }
