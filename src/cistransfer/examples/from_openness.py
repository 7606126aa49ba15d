"""Candidates of open chromatin: anywhere (pre-training), in one of several cells, as listed.

Salvatore et al. 2023, Methods, "Data". What the paper leaves open (ratios, which negatives, how
the parts are made) is an option here and written into the record.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.binding.matrix import read_open_regions
from cistransfer.errors import InputError, nearest
from cistransfer.examples.candidates import Candidates, Placing, as_sequences, no_sequence
from cistransfer.genome.fasta import Sequences
from cistransfer.genome.intervals import overlaps_any
from cistransfer.openness.background import tile_background
from cistransfer.openness.lists import list_kinds, read_lists
from cistransfer.openness.options import OpenOptions
from cistransfer.openness.regions import OpenRegions
from cistransfer.openness.specific import open_in, specific_regions

if TYPE_CHECKING:
    from cistransfer.examples.sources import FromLists, FromOpenness

__all__ = ["as_lists", "as_opened", "of_cell", "of_lists", "of_many_cells"]

PathLike = str | os.PathLike[str]
_PLACE = ["chrom", "start", "end"]


def of_many_cells(source: FromOpenness, sequences: Sequences) -> Candidates:
    """Windows that are open, though in none of some cells, and tiles of the background.

    Open: windows on the centres of all listed regions but those open in a chosen cell; a region
    that no known cell opens counts, because the list says that it is open somewhere (as the
    rDHS registry does). Tiles are taken on chromosomes on which the list has regions.
    Chromosomes are chosen by their tiles, which may be known on fewer of them, else by their open
    windows.
    """
    cells, placing, given = source.cells, Placing(sequences), as_opened(source.opened)
    open_in(given, cells)  # checks the names before anything is read
    opened, blacklist = _placed(source, given, placing)
    windows, dropped = opened.windows(
        source.window, exclude=[] if blacklist is None else [blacklist]
    )
    regions = windows.regions[open_in(windows, cells) == 0].reset_index(drop=True)
    if not len(regions):
        raise InputError(
            f"every one of the {len(windows.regions):,} regions is open in one of the cells that "
            f"are left out ({', '.join(cells)}); pre-training needs others"
        )
    absent = sequences.missing(regions)
    if absent.all():
        raise no_sequence(regions, sequences)
    regions = regions[~absent].reset_index(drop=True)
    tiled = source.background == "tiles"
    tiles, ground = regions.iloc[:0], sequences
    if tiled:
        if source.background_genome is not None:
            ground = as_sequences(source.background_genome)
        tiles = tile_background(
            ground, source.window, avoid=opened.regions, margin=source.margin, blacklist=blacklist
        )
    both = pd.concat([regions[_PLACE], tiles[_PLACE]], ignore_index=True)
    is_open = np.arange(len(both)) < len(regions)
    return Candidates(
        both,
        is_open.astype(np.int8)[:, None],
        np.where(is_open, "open", "tile").astype(object),
        ("open",),
        {
            "source": "open regions",
            "leave_out": list(cells),
            "background_sequences": ground.name,
            "margin": source.margin if tiled else None,
            "inputs": placing.inputs,
            "tiles": {str(k): int(v) for k, v in tiles["chrom"].value_counts(sort=False).items()},
        },
        dropped={**dropped, "no_sequence": int(absent.sum())},
        words=("open windows", f"background windows ({source.background})"),
        voters=tiles[tiles["chrom"].isin(set(regions["chrom"]))] if tiled else None,
        background=ground if tiled else None,
    )


def _placed(
    source: FromOpenness, given: OpenRegions, placing: Placing
) -> tuple[OpenRegions, pd.DataFrame | None]:
    """Open regions and blacklist by the genome's names of chromosomes."""
    opened = replace(given, regions=placing(given.regions, "open regions"))
    if source.blacklist is None:
        return opened, None
    blacklist = placing(source.blacklist, "blacklist", needed=False)
    if not overlaps_any(opened.regions, blacklist).any():
        placing.warn("the blacklist excludes nothing: no open region lies on it")
    return opened, blacklist


def of_cell(source: FromOpenness, cell: str) -> Candidates:
    """Windows open in one of several cells alone, and those that may be its negatives.

    Positives are open in the cell and in no other of ``cells``. A negative that shares a base
    with a positive is dropped, and so is one of ``others`` or ``nobody`` that shares a base with
    any window open in the cell: it would show the cell's own sequence as closed. Chromosomes are
    chosen among the positives; parts are assigned to all windows, so that one that several cells
    use is in one part.
    """
    among = source.cells
    if cell not in among:
        raise InputError(f"cell {cell!r} is not among the chosen cells; {nearest(cell, among)}")
    given = as_opened(source.opened)
    specific_regions(given, among)  # checks the names before anything is read
    placing = Placing(as_sequences(source.genome))
    opened, blacklist = _placed(source, given, placing)
    exclude = [] if blacklist is None else [blacklist]
    windows, dropped = opened.windows(source.window, exclude=exclude)
    category = specific_regions(windows, among).to_numpy()
    kinds = np.full(len(category), "", dtype=object)
    kinds[category == cell] = "specific"
    kinds[np.isin(category, [other for other in among if other != cell])] = "others"
    kinds[np.isin(category, ["other", "closed"])] = "nobody"
    kinds[category == "universal"] = "universal"
    if not (kinds == "specific").any():
        raise InputError(
            f"no region is open in {cell} and in no other of {', '.join(among)} "
            f"({int(windows.open[cell].sum()):,} are open in it)"
        )
    overlapping = _misleading(windows, cell, kinds)
    rows = np.flatnonzero((kinds != "") & ~overlapping)
    regions, kinds = windows.regions[_PLACE].iloc[rows].reset_index(drop=True), kinds[rows]
    return Candidates(
        regions,
        (kinds == "specific").astype(np.int8)[:, None],
        kinds,
        (cell,),
        {
            "source": "open regions",
            "cell": cell,
            "among": list(among),
            "inputs": placing.inputs,
        },
        dropped={**dropped, "overlapping_open_in_cell": int(overlapping.sum())},
        words=(f"windows specific to {cell}", "negatives"),
        voters=regions[kinds == "specific"],
        together=(windows.regions, rows),
    )


def _misleading(windows: OpenRegions, cell: str, kinds: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Which negatives share bases with what the cell opens."""
    bad = np.zeros(len(kinds), dtype=bool)
    for which, where in (
        (kinds == "universal", kinds == "specific"),
        (np.isin(kinds, ["others", "nobody"]), windows.open[cell]),
    ):
        rows = np.flatnonzero(which)
        bad[rows] = overlaps_any(windows.regions.iloc[rows], windows.regions[where])
    return bad


def as_opened(given: OpenRegions | OpenOptions | PathLike) -> OpenRegions:
    """Open regions, read where they are not."""
    return given if isinstance(given, OpenRegions) else read_open_regions(given)


def as_lists(given: PathLike | pd.DataFrame) -> pd.DataFrame:
    """ChromTransfer's lists, read where they are a path."""
    return given if isinstance(given, pd.DataFrame) else read_lists(given)


def _listed(lists: pd.DataFrame, sequences: Sequences) -> pd.DataFrame:
    """Windows of all lists that have a sequence, each once."""
    windows = lists.drop_duplicates(_PLACE)
    return windows[~sequences.missing(windows)].reset_index(drop=True)


def of_lists(source: FromLists, sequences: Sequences) -> Candidates:
    """One cell's listed windows: its positives and all its listed negatives (`list_kinds`).

    Parts are assigned to the windows of all lists together, so that one that several cells list is
    in one part. The published split is preferred: test is what the lists' ``test`` folder holds
    (chr2 and chr3); they have no validation part.
    """
    lists = as_lists(source.lists)
    rows = list_kinds(lists, source.cell)
    absent = sequences.missing(rows)
    if absent.all():
        raise no_sequence(rows, sequences)
    rows = rows[~absent].reset_index(drop=True)
    windows = _listed(lists, sequences)
    where = pd.MultiIndex.from_frame(windows[_PLACE]).get_indexer(
        pd.MultiIndex.from_frame(rows[_PLACE])
    )
    kinds = rows["kind"].to_numpy(dtype=object)
    return Candidates(
        rows[_PLACE],
        (kinds == "specific").astype(np.int8)[:, None],
        kinds,
        (source.cell,),
        {"source": "ChromTransfer's lists", "cell": source.cell},
        dropped={"no_sequence": int(absent.sum())},
        words=(f"windows of {source.cell}", "negatives"),
        voters=windows,
        together=(windows, where),
        test=tuple(sorted(set(windows["chrom"][windows["part"] == "test"]))),
    )
