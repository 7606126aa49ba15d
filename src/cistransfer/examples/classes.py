"""One multi-class example set out of the sets of several cells."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet

__all__ = ["NONE", "multiclass_examples"]

NONE = "none"
"""The class of windows that are specific to none of the cells."""


def multiclass_examples(sets: Mapping[str, ExampleSet], *, negatives: bool = True) -> ExampleSet:
    """Make one set of the windows of all cells, each in exactly one class.

    Parameters
    ----------
    sets : mapping of str → ExampleSet
        One single-task set per cell (`cell_examples`), of one window and with one split.
    negatives : bool
        True: every window of the sets, so that a model sees the negatives on which it is scored;
        what is a positive of one cell and a negative of another is the former. False: the cells'
        positives and the ``universal`` negatives alone, as the published multi-class model was
        trained (unfair: nearly all test negatives are of a kind that it has never seen; the
        published training set also repeats the universal ones once per cell).

    Returns
    -------
    ExampleSet
        Tasks are the cells and `NONE`; exactly one 1 per row, the rest 0. Windows that several
        sets hold are there once.

    Raises
    ------
    InputError
        For sets that do not fit together: windows, parts, a window specific to two cells.
    """
    if not sets:
        raise InputError("expected at least one cell's examples, found none")
    cells = list(sets)
    if NONE in cells:
        raise InputError(f"a cell cannot have the name of the class {NONE!r}")
    first = sets[cells[0]]
    tables, rows = [], []
    for at, (cell, examples) in enumerate(sets.items()):
        if examples.tasks != (cell,):
            raise InputError(f"expected examples of the task {cell!r}, found {examples.tasks}")
        if examples.window != first.window:
            raise InputError(
                f"the examples of {cell} have windows of {examples.window} bp, those of "
                f"{cells[0]} of {first.window} bp"
            )
        positive = np.asarray(examples.labels[:, 0]) == 1
        source = examples.regions["source"].to_numpy()
        keep = np.flatnonzero(positive | negatives | (source == "universal"))
        tables.append(
            examples.regions.iloc[keep].assign(
                kind=np.where(positive[keep], at, len(cells)), cell=at, row=keep
            )
        )
        rows.append(keep)
    table = pd.concat(tables, ignore_index=True)
    place = ["chrom", "start", "end"]
    # Of a window that several sets hold, a cell's class sorts before "none".
    table = table.sort_values([*place, "kind", "cell"], kind="stable", ignore_index=True)
    again = table.duplicated(place)
    before = table.shift(1)
    clash = again & (table["kind"] < len(cells)) & (table["kind"] != before["kind"])
    if clash.any():
        row = table[clash].iloc[0]
        raise InputError(
            f"window {row['chrom']}:{row['start']}-{row['end']} is specific both to "
            f"{cells[int(before['kind'][clash].iloc[0])]} and to {cells[row['kind']]}"
        )
    apart = again & (table["part"] != before["part"])
    if apart.any():
        row = table[apart].iloc[0]
        raise InputError(
            f"window {row['chrom']}:{row['start']}-{row['end']} is in the {row['part']} part of "
            f"the examples of {cells[row['cell']]} and in another part of another cell's; make "
            "them with one split"
        )
    table = table[~again].reset_index(drop=True)
    if not (table["kind"] == len(cells)).any():
        what = "negatives" if negatives else "'universal' negatives (the published ones)"
        raise InputError(f"the examples of {', '.join(cells)} hold no {what} for the class {NONE}")
    codes = np.empty((len(table), first.window), dtype=np.uint8)
    for at, cell in enumerate(cells):
        mine = np.flatnonzero(table["cell"].to_numpy() == at)
        codes[mine] = sets[cell].codes[table["row"].to_numpy()[mine]]
    labels = np.zeros((len(table), len(cells) + 1), dtype=np.int8)
    labels[np.arange(len(table)), table["kind"].to_numpy()] = 1
    shared = ("genome", "split", "among", "guard", "seed")
    return ExampleSet(
        codes,
        labels,
        table[[*place, "part", "source"]],
        (*cells, NONE),
        {
            "source": "open regions, one class a window",
            "negatives": "those of every cell" if negatives else "universal alone (published)",
            **{name: first.facts[name] for name in shared if name in first.facts},
        },
    )
