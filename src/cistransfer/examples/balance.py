"""How many examples of which class: sampling, what was reached, the order of the genome."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.examples.dataset import PARTS, ExampleSet
from cistransfer.examples.split import Split

__all__ = [
    "Rows",
    "in_genome_order",
    "ratio_reached",
    "repeat_rows",
    "require_both",
    "sample_rows",
]

Rows = NDArray[np.int64]
"""Row numbers of a table."""


def sample_rows(rows: Rows, most: int | None, rng: np.random.Generator) -> Rows:
    """At most so many of the rows, ascending; None: all."""
    return rows if most is None or most >= len(rows) else np.sort(rng.permutation(rows)[:most])


def repeat_rows(rows: Rows, wanted: int, rng: np.random.Generator) -> Rows:
    """So many of the rows, each as often as any other or once more, ascending."""
    whole, rest = divmod(wanted, max(len(rows), 1))
    return np.sort(np.concatenate([np.tile(rows, whole), rng.permutation(rows)[:rest]]))


def ratio_reached(table: pd.DataFrame, labels: NDArray[np.int8]) -> dict[str, float | None]:
    """Negatives per positive in each part, to four decimals; None without positives."""
    reached: dict[str, float | None] = {}
    for part in PARTS:
        mine = labels[table["part"].to_numpy() == part]
        positives = int((mine == 1).sum())
        reached[part] = round(int((mine == 0).sum()) / positives, 4) if positives else None
    return reached


def require_both(
    table: pd.DataFrame,
    labels: NDArray[np.int8],
    split: Split,
    ones: str,
    zeros: str,
    hint: str = "",
) -> None:
    """Refuse a part without positives or without negatives, in one line.

    ``ones`` and ``zeros`` word the two classes, ``hint`` ends the line.
    """
    for part in PARTS:
        mine = labels[table["part"].to_numpy() == part]
        if (mine == 1).any() and (mine == 0).any():
            continue
        names = getattr(split, part, ()) if split.by == "chromosome" else ()
        where = f" (chromosomes {', '.join(names)})" if names else ""
        raise InputError(
            f"the {part} part{where} has {int((mine == 1).sum()):,} {ones} and "
            f"{int((mine == 0).sum()):,} {zeros}; both are needed" + (f"; {hint}" if hint else "")
        )


def in_genome_order(
    codes: NDArray[np.uint8],
    labels: NDArray[np.int8],
    table: pd.DataFrame,
    tasks: tuple[str, ...],
    facts: dict[str, Any],
) -> ExampleSet:
    """Make an example set in the order of chromosome names and starts (stable)."""
    keys = table.assign(row=np.arange(len(table)))
    keys = keys.sort_values(["chrom", "start", "end"], kind="stable")
    order = keys["row"].to_numpy()
    columns = ["chrom", "start", "end", "part", "source"]
    return ExampleSet(
        codes[order], labels[order], table[columns].iloc[order].reset_index(drop=True), tasks, facts
    )
