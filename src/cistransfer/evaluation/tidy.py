"""Tidy tables of results: one row for each model trained and evaluated.

Columns: ``tf`` and ``strategy`` (always), ``size`` (training positives, or ``all``), ``draw``
(which subsample), ``seed`` (which training), ``examples`` (which test set), then one column per
metric. An empty ``size``, ``draw`` or ``seed`` means that the result does not depend on it (a motif
from a database has no training size): it is compared with every one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest, shown
from cistransfer.evaluation.results import INTERVALS, Evaluation, open_evaluation
from cistransfer.storage import read_table

__all__ = [
    "KEYS",
    "metric_columns",
    "read_results",
    "reference_of",
    "shares_sizes",
    "size_rank",
    "tidy",
]

KEYS = ("tf", "examples", "size", "draw", "seed")
"""What a result depends on besides its strategy."""

_REFERENCES = ("scratch", "pwm", "motif", "prevalence")
_TEXT = (*KEYS, "strategy", "model", "run", "trained", "why")
_COUNTS = ("n", "positives", "prevalence", "tp", "fp", "tn", "fn", "threshold", "temperature")


def size_rank(size: object) -> float:
    """Order training sizes: numbers by value, ``all`` (or any other word) last."""
    try:
        return float(str(size).replace(",", ""))
    except ValueError:
        return float("inf")


def metric_columns(results: pd.DataFrame) -> list[str]:
    """Names of the columns of a tidy table that hold metrics."""
    return [
        str(column)
        for column in results.columns
        if column not in _TEXT
        and column not in (*_COUNTS, *INTERVALS)
        and pd.api.types.is_numeric_dtype(results[column])
    ]


def reference_of(strategies: Sequence[str], wanted: str | None = None) -> str:
    """Choose what to compare with: the one asked for, else ``scratch``, else the first.

    Raises
    ------
    InputError
        When the one asked for does not exist, or there is nothing to compare.
    """
    known = list(dict.fromkeys(strategies))
    if len(known) < 2:
        raise InputError(
            f"nothing to compare: the only strategy is {known[0]!r}"
            if known
            else "nothing to compare: no results"
        )
    if wanted is not None:
        if wanted not in known:
            raise InputError(f"no strategy {wanted!r} in the results; {nearest(wanted, known)}")
        return wanted
    return next((name for name in _REFERENCES if name in known), known[0])


def shares_sizes(table: pd.DataFrame) -> bool:
    """Whether training sizes are a design: several TFs have one in common, or there is one TF.

    Parameters
    ----------
    table : DataFrame
        Of `tidy`.
    """
    sized = table[table["size"] != ""]
    return sized["tf"].nunique() < 2 or bool((sized.groupby("size")["tf"].nunique() > 1).any())


def _size_text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def _as_text(keys: pd.Series) -> NDArray[np.object_]:
    """Word keys, whole numbers without a decimal point; missing and blank ones become empty."""
    places, distinct = pd.factorize(keys)
    words = [_size_text(value).strip() for value in distinct]
    return np.array([*words, ""], dtype=object)[places]  # place -1 is missing


def tidy(
    results: pd.DataFrame,
    metric: str,
    *,
    spread: Sequence[str] = ("size", "draw", "seed"),
) -> pd.DataFrame:
    """Check a table of results and bring its keys into one form.

    Parameters
    ----------
    results : DataFrame
        ``tf``, ``strategy``, a column for the metric; optionally ``size``, ``draw``, ``seed``,
        ``examples``.
    spread : sequence of str
        Keys whose empty cells are repeated for every value that the TF has. Repeats make pairs;
        they are no observations of their own.

    Returns
    -------
    DataFrame
        `KEYS` (as text, empty cells as empty text), ``strategy`` and the metric,
        without rows whose metric is empty.

    Raises
    ------
    InputError
        On a missing column, an unknown metric, infinite values, or two results for one key and
        strategy.
    """
    for column in ("tf", "strategy"):
        if column not in results.columns:
            raise InputError(
                f"results: expected a column {column!r}, found: {', '.join(map(str, results))}"
            )
        if results[column].isna().any():
            row = int(np.argmax(results[column].isna()))
            raise InputError(f"results: row {row + 1} has no {column}")
    if metric not in metric_columns(results):
        raise InputError(
            f"results: no metric {metric!r}; {nearest(metric, metric_columns(results))}"
        )
    table = results[["tf", "strategy"]].astype(str)
    for column in KEYS[1:]:
        table[column] = _as_text(results[column]) if column in results.columns else ""
    table[metric] = results[metric].astype(float)
    table = table[[*KEYS, "strategy", metric]].dropna(subset=[metric]).reset_index(drop=True)
    if not np.isfinite(table[metric]).all():
        raise InputError(f"results: {metric} holds infinite values")
    for depth, column in enumerate(KEYS):
        if column in spread:
            table = _spread(table, list(KEYS[:depth]), column)
    twice = table.duplicated([*KEYS, "strategy"])
    if twice.any():
        row = table.loc[twice].iloc[0]
        what = ", ".join(f"{key} {row[key]}" for key in KEYS if row[key])
        raise InputError(
            f"results: strategy {row['strategy']!r} has two results for {what}; "
            "tell them apart in a column 'draw' or 'seed'"
        )
    return table


def _spread(table: pd.DataFrame, within: list[str], column: str) -> pd.DataFrame:
    """Repeat rows with an empty ``column`` for each value that others have within the same keys."""
    empty = table[column] == ""
    if empty.all() or not empty.any():
        return table
    known = table.loc[~empty, [*within, column]].drop_duplicates()
    repeated = table[empty].drop(columns=column).merge(known, on=within, how="left")
    repeated[column] = repeated[column].fillna("")
    return pd.concat([table[~empty], repeated[table.columns]], ignore_index=True)


def read_results(paths: Sequence[str | os.PathLike[str]]) -> pd.DataFrame:
    """Read evaluation folders and tables of results into one tidy table.

    Parameters
    ----------
    paths : sequence of path
        Folders with a ``metrics.json`` (`cistransfer evaluate`) or a ``results.tsv`` /
        ``results.parquet`` (a study), such a file itself, or any ``.tsv``, ``.csv`` or
        ``.parquet`` with the columns of a tidy table.

    Returns
    -------
    DataFrame
        ``run``, ``tf``, ``strategy``, what the files have of `KEYS`, and the metrics. A trained
        model evaluated twice on the same examples counts once. A model goes by
        `cistransfer.evaluation.results.Evaluation.labels`; where several runs
        repeat a strategy on the same examples, ``seed`` numbers them in the order given.

    Raises
    ------
    InputError
        On a path without results, one given twice, or a malformed file.
    """
    if not paths:
        raise InputError("compare: expected at least one run, found none")
    seen: set[Path] = set()
    frames = []
    for path in map(Path, paths):
        if path.resolve() in seen:
            raise InputError(f"{path}: given twice")
        seen.add(path.resolve())
        frame = _read_one(path)
        frame.insert(0, "run", path.absolute().name)
        frames.append(frame)
    frames = [frame.dropna(axis="columns", how="all") for frame in frames]
    table = pd.concat(frames, ignore_index=True)
    if {"trained", "examples"} <= set(table.columns):
        again = table.duplicated(["trained", "examples", "tf"]) & table["trained"].notna()
        table = table[~again].reset_index(drop=True)
    return _number_repeats(table)


def _read_one(path: Path) -> pd.DataFrame:
    if path.is_dir():
        for name in ("metrics.json", "results.parquet", "results.tsv"):
            if (path / name).is_file():
                return _read_one(path / name)
        if (path / "bundle").is_dir() or (path / "card.json").is_file():
            raise InputError(f"{path}: a trained model; first: cistransfer evaluate {path} …")
        raise InputError(
            f"{path}: no results; expected metrics.json (of 'cistransfer evaluate') or results.tsv"
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder")
    if path.suffix == ".json":
        return _from_evaluation(open_evaluation(path))
    try:
        if path.suffix == ".parquet":
            table = read_table(path)
        elif path.suffix in (".tsv", ".csv"):
            form: Any = {"sep": "\t" if path.suffix == ".tsv" else ",", "low_memory": False}
            head = pd.read_csv(path, header=None, nrows=1, dtype=str, **form).iloc[0]
            if head.duplicated().any():  # pandas would call it NAME.1
                raise InputError(
                    f"{path}: column {shown(head[head.duplicated()].iloc[0])!r} is there twice"
                )
            table = pd.read_csv(path, **form)
        else:
            raise InputError(f"{path}: expected .json, .tsv, .csv or .parquet")
    except (ValueError, OSError, OverflowError) as error:  # pandas' are ValueErrors
        raise InputError(f"{path}: not a readable table: {shown(error)}") from error
    if table.empty:
        raise InputError(f"{path}: the table has no rows")
    for column in ("tf", "strategy"):
        if column not in table.columns:
            raise InputError(
                f"{path}: expected a column {column!r}, found: {shown(', '.join(map(str, table)))}"
            )
    return table.drop(columns="run", errors="ignore")


def _from_evaluation(found: Evaluation) -> pd.DataFrame:
    labels = found.labels
    return pd.DataFrame(
        [
            {
                "tf": task,
                "examples": found.examples,
                "strategy": labels[model.name],
                "model": model.name,
                "trained": model.run,
                **({"draw": model.draw} if model.draw else {}),
                **score.to_json(),
            }
            for model in found.models
            for task, score in model.tasks.items()
        ]
    )


def _number_repeats(table: pd.DataFrame) -> pd.DataFrame:
    """Give results that several runs repeat a ``seed``, in the order of the runs."""
    keys = [key for key in (*KEYS, "strategy") if key in table.columns]
    if table["run"].nunique() < 2 or not table.duplicated(keys).any():
        return table
    within_runs = table.duplicated([*keys, "run"])
    if within_runs.any():
        return table  # `tidy` refuses it by name
    table = table.copy()
    groups = table.groupby(keys, dropna=False, sort=False)
    number = groups.cumcount()
    repeated = groups["run"].transform("size") > 1
    old = table["seed"] if "seed" in table.columns else pd.Series(np.nan, index=table.index)
    prefix = (old.map(_size_text) + "/").where(old.notna(), "")
    table["seed"] = (prefix + number.astype(str)).where(repeated, old)
    return table
