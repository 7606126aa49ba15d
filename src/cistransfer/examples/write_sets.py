"""All sets of open chromatin of some cells, as a folder: pre-training, every cell, multi-class."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from cistransfer.errors import InputError
from cistransfer.examples.candidates import as_sequences
from cistransfer.examples.classes import multiclass_examples
from cistransfer.examples.dataset import EXAMPLES, ExampleSet, open_examples, save_examples
from cistransfer.examples.draw import Background, Shares
from cistransfer.examples.from_openness import as_lists, as_opened
from cistransfer.examples.holdout import PUBLISHED_TEST, HoldOut
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import BACKGROUNDS, FromLists, FromOpenness
from cistransfer.examples.split import Split, split_from_card
from cistransfer.genome.fasta import Sequences as Bases
from cistransfer.genome.intervals import centre_windows
from cistransfer.openness.lists import cell_of_list
from cistransfer.openness.specific import specific_regions
from cistransfer.storage import read_tsv, remove_folder, safe_name
from cistransfer.tables import write_tsv

__all__ = ["cells_of", "folder_of", "write_listed_sets", "write_sets"]

PathLike = str | os.PathLike[str]


def folder_of(cell: str) -> str:
    """Name of a cell's folder: letters that file names cannot hold become ``_``."""
    return safe_name(re.sub(r"[^\w.+-]", "_", cell))


def cells_of(folder: PathLike) -> list[str]:
    """Cells of a folder of sets, by name; other folders in it are leftovers.

    Raises
    ------
    InputError
        When it is no such folder.
    """
    path = Path(folder) / "sets.tsv"
    if not path.is_file():
        raise InputError(
            f"{folder}: expected the folder of 'cistransfer accessibility sets', found no sets.tsv"
        )
    listed = set(read_tsv(path, (), ("set",))["set"])
    found = sorted(name for name in listed if name.startswith("cells/"))
    return [open_examples(Path(folder) / name).tasks[0] for name in found]


def write_sets(
    out: PathLike,
    source: FromOpenness,
    *,
    backgrounds: Sequence[str] = ("tiles",),
    background: Background | None = None,
    negatives: Shares | None = None,
    split: Split | None = None,
    published_multiclass: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Write ``pretraining``, ``cells/CELL`` of every cell, ``multiclass`` and ``sets.tsv``.

    All sets have one split. By default the test part is chr2 and chr3 (published) where there
    are windows on both; without them, chromosomes are chosen for pre-training. What the
    pre-training sets train and validate on is kept out of the cells' test parts by the leakage
    guard.

    Parameters
    ----------
    out : path
        Folder; every set in it appears whole or not at all, ``sets.tsv`` last. Sets of an
        earlier run that are not made again are removed.
    source : FromOpenness
        Its ``cell`` and ``background`` are set here.
    backgrounds : sequence of str
        Of `FromOpenness`, one set each: the first is ``pretraining``, a further one
        ``pretraining-NAME``.
    background : Background, optional
        How pre-training examples are drawn.
    negatives : Shares, optional
        How the cells' are.
    published_multiclass : bool
        Write ``multiclass-published`` too (`multiclass_examples` without negatives).

    Returns
    -------
    DataFrame
        As in ``sets.tsv``: set, part, class, source, windows.
    """
    folders = _folders(source.cells)
    if not backgrounds:
        raise InputError(f"expected at least one background: {', '.join(BACKGROUNDS)}; found none")
    opened = as_opened(source.opened)
    source = replace(source, opened=opened)
    specific_regions(opened, source.cells)  # checks the names before anything is read
    sequences = as_sequences(source.genome)
    windows = centre_windows(opened.regions, source.window)
    holdout = HoldOut.of(split=split).prefer(PUBLISHED_TEST, windows[~sequences.missing(windows)])
    trunks: dict[str, ExampleSet] = {}
    for kind in dict.fromkeys(backgrounds):
        trunk = examples_for(
            replace(
                source,
                cell=None,
                background=kind,
                background_genome=source.background_genome if kind == "tiles" else None,
            ),
            holdout=holdout,
            draw=replace(background or Background(), kind=kind),
            genome=sequences,
            seed=seed,
        )
        trunks[f"pretraining-{kind}" if trunks else "pretraining"] = trunk
        holdout = HoldOut(split_from_card(trunk.facts["split"]))
    seen = pd.concat([trunk.regions for trunk in trunks.values()])
    holdout = replace(holdout, seen=seen[seen["part"] != "test"])
    sets = {
        cell: examples_for(
            replace(source, cell=cell), holdout=holdout, draw=negatives, genome=sequences, seed=seed
        )
        for cell in source.cells
    }
    return _write(Path(out), trunks, sets, folders, published_multiclass)


def write_listed_sets(
    out: PathLike,
    lists: PathLike | pd.DataFrame,
    genome: PathLike | Bases,
    cells: Sequence[str] = (),
    *,
    pretraining: PathLike | ExampleSet | None = None,
    split: Split | None = None,
    published_multiclass: bool = False,
) -> pd.DataFrame:
    """Write ``cells/CELL`` of ChromTransfer's lists, ``multiclass`` and ``sets.tsv``.

    The lists hold no pre-training set, because they say nothing of other cells; one of your own
    may stand in for it.

    Parameters
    ----------
    lists, genome
        Of `FromLists`.
    cells : sequence of str
        By default all that have a list.
    pretraining : path or ExampleSet, optional
        Becomes ``pretraining``, with windows as wide as the listed ones. What it trains and
        validates on is kept out of the cells' test parts, and what it trains on out of their
        validation parts.
    split : Split, optional
        By default that of ``pretraining``, where it is by chromosome, else the published one.
    """
    lists, sequences = as_lists(lists), as_sequences(genome)
    found = sorted({cell_of_list(rows) for _, rows in lists.groupby("list", sort=True)})
    folders = _folders(cells or found)
    before: dict[str, ExampleSet] = {}
    holdout = HoldOut.of(split=split)
    if pretraining is not None:
        own = pretraining if isinstance(pretraining, ExampleSet) else open_examples(pretraining)
        before = {"pretraining": own}
        holdout = _beside(own, lists, split)
    sets = {
        cell: examples_for(FromLists(lists, sequences, cell), holdout=holdout) for cell in folders
    }
    return _write(Path(out), before, sets, folders, published_multiclass)


def _beside(own: ExampleSet, lists: pd.DataFrame, split: Split | None) -> HoldOut:
    """What to hold out of listed windows beside a pre-training set."""
    width = int((lists["end"] - lists["start"]).iloc[0])
    if own.window != width:
        raise InputError(
            f"the pre-training set has windows of {own.window} bp, the lists have {width} bp; make "
            f"it with --window {width}"
        )
    theirs = own.facts.get("split") or {}
    if split is None and theirs.get("by") == "chromosome":
        split = split_from_card(theirs)
    return HoldOut(split, seen=own.regions[own.regions["part"] != "test"])


def _folders(cells: Sequence[str]) -> dict[str, str]:
    if len(set(cells)) < 2:
        raise InputError(f"expected at least two different cells, found {', '.join(cells) or 0}")
    folders = {cell: folder_of(cell) for cell in cells}
    if len(set(folders.values())) < len(cells):
        raise InputError(f"cells {', '.join(cells)}: two of them would have the same folder")
    return folders


def _write(
    out: Path,
    before: Mapping[str, ExampleSet],
    sets: Mapping[str, ExampleSet],
    folders: Mapping[str, str],
    published: bool,
) -> pd.DataFrame:
    """Write all sets and then ``sets.tsv``; nothing is written when they do not fit together."""
    together = {"multiclass": multiclass_examples(sets)}
    if published:
        together["multiclass-published"] = multiclass_examples(sets, negatives=False)
    named = {f"cells/{folders[cell]}": one for cell, one in sets.items()}
    every = {**before, **named, **together}
    _retire(out, every)
    for name, one in every.items():
        save_examples(out / name, one)
    table = pd.concat([_counts(name, one) for name, one in every.items()], ignore_index=True)
    write_tsv(out / "sets.tsv", table, numbers=None)
    return table


def _retire(out: Path, every: Collection[str]) -> None:
    """Remove what an earlier run left: first ``sets.tsv``, then sets that are not made again."""
    table = out / "sets.tsv"
    known = [
        "pretraining",
        *(f"pretraining-{background}" for background in BACKGROUNDS),
        "multiclass",
        "multiclass-published",
    ]
    try:
        if table.is_file():
            table.unlink()
        cells = out / "cells"
        folders = [out / name for name in known]
        folders += sorted(cells.iterdir()) if cells.is_dir() else []
        for folder in folders:
            # Names with a dot are of writers that may be at work (`whole_folder`).
            if (
                folder.relative_to(out).as_posix() not in every
                and not folder.name.startswith(".")
                and not folder.is_symlink()
                and (folder / "dataset.json").is_file()
            ):
                remove_folder(folder, EXAMPLES)
    except OSError as error:
        raise InputError(
            f"{out}: cannot remove the sets of an earlier run: {error.strerror or error}"
        ) from error


def _counts(name: str, examples: ExampleSet) -> pd.DataFrame:
    """Windows of a set by part, class and source."""
    labels = np.asarray(examples.labels)
    label = np.where(labels.max(axis=1) == 1, np.array(examples.tasks)[labels.argmax(axis=1)], "-")
    table = examples.regions[["part", "source"]].assign(label=label)
    counted = table.groupby(["part", "label", "source"], sort=True).size().reset_index(name="n")
    return counted.rename(columns={"label": "class", "n": "windows"}).assign(set=name)[
        ["set", "part", "class", "source", "windows"]
    ]
