"""Examples of ChromTransfer's released lists, as they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.examples.assemble import fetch_known
from cistransfer.examples.balance import in_genome_order, ratio_reached, require_both
from cistransfer.examples.dataset import ExampleSet
from cistransfer.examples.hold_out import hold_out
from cistransfer.examples.leakage import leaking
from cistransfer.examples.split import Split, assign_parts, settle_split
from cistransfer.genome.fasta import Sequences
from cistransfer.openness.lists import list_kinds

__all__ = ["listed_examples", "listed_split"]


def listed_split(lists: pd.DataFrame, sequences: Sequences, wanted: Split | None = None) -> Split:
    """The published split: test is what the lists' ``test`` folder holds (chr2 and chr3).

    The lists have no validation part; its chromosome is the one that holds about 10 % of the
    windows left for training. Only chromosomes with a sequence count. Without a ``test`` folder,
    with too few chromosomes beside it (`hold_out`), or with a wanted split that names chromosomes,
    as `chosen_split`.

    Parameters
    ----------
    lists : DataFrame
        As `read_lists` gives it.
    sequences : Sequences
    wanted : Split, optional
        A fold without chromosomes keeps the lists' test part.
    """
    windows = lists.drop_duplicates(["chrom", "start", "end"])
    windows = windows[~sequences.missing(windows)]
    test = tuple(sorted(set(windows["chrom"][windows["part"] == "test"])))
    return settle_split(hold_out(wanted, windows["chrom"], test), windows["chrom"])


def listed_examples(
    lists: pd.DataFrame,
    sequences: Sequences,
    cell: str,
    *,
    split: Split | None = None,
    trunk_regions: pd.DataFrame | None = None,
    guard: str | None = None,
) -> ExampleSet:
    """Make a set of one cell's listed windows: its positives and all its listed negatives.

    Parameters
    ----------
    lists : DataFrame
        As `read_lists` gives it.
    sequences : Sequences
        A genome, or the windows themselves; windows without a sequence are dropped and counted.
    cell : str
        Label of the positives (``HEPG2``).
    split : Split, optional
        By default `listed_split`. Parts are assigned to the windows of all lists together, so that
        one that several cells list is in one part.
    trunk_regions, guard
        As in `cell_examples`.

    Returns
    -------
    ExampleSet
        ``regions["source"]`` as `list_kinds`.

    Raises
    ------
    InputError
        For a cell without a list, and when a part lacks positives or negatives.
    """
    rows = list_kinds(lists, cell)
    split = listed_split(lists, sequences, split)
    guard = guard or ("heldout" if split.by == "chromosome" else "all")
    kept, codes, dropped = fetch_known(rows, sequences)
    table = rows.iloc[kept].drop(columns="part").rename(columns={"kind": "source"})
    parts = _parts(lists, sequences, table, split)
    leaks = leaking(table, parts, trunk_regions, guard)
    dropped["seen_by_trunk"] = int(leaks.sum())
    table = table.assign(part=parts)[~leaks].reset_index(drop=True)
    labels = (table["source"].to_numpy() == "specific").astype(np.int8)[:, None]
    require_both(table, labels[:, 0], split, f"windows of {cell}", "negatives")
    return in_genome_order(
        codes[~leaks],
        labels,
        table,
        (cell,),
        {
            "source": "ChromTransfer's lists",
            "cell": cell,
            "ratio_reached": ratio_reached(table, labels[:, 0]),
            "guard": guard,
            "genome": sequences.name,
            "split": split.as_dict(),
            "dropped": dropped,
        },
    )


def _parts(
    lists: pd.DataFrame, sequences: Sequences, table: pd.DataFrame, split: Split
) -> NDArray[np.object_]:
    """Part of each window of a table, assigned among those of all lists that have a sequence."""
    place = ["chrom", "start", "end"]
    windows = lists.drop_duplicates(place)
    windows = windows[~sequences.missing(windows)].reset_index(drop=True)
    rows = pd.MultiIndex.from_frame(windows[place]).get_indexer(
        pd.MultiIndex.from_frame(table[place])
    )
    return assign_parts(windows, split)[rows]
