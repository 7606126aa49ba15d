"""What is handed out: the predictions of several models as one table, and files by their names."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cistransfer.errors import InputError
from cistransfer.models.bundle import Bundle
from cistransfer.prediction.table import free_name, given_names, spread
from cistransfer.storage import whole_file
from cistransfer.tables import write_tsv

__all__ = ["Group", "as_in_file", "check_form", "grouped", "one_table", "write_predictions"]

PathLike = str | os.PathLike[str]
_ENDS = ("", " sd", " low", " high")
_TRACKS = (".bw", ".bigwig", ".bedgraph", ".bg")


@dataclass(frozen=True)
class Group:
    """An ensemble: models of the same tasks, which are one column each.

    Attributes
    ----------
    name : str
        What the user calls it, or empty: its columns are then called as its tasks.
    bundles : tuple of int
        Which of all the models.
    tasks, which : tuple of str, tuple of int
        Those that are shown, and which of the models' they are.
    """

    name: str
    bundles: tuple[int, ...]
    tasks: tuple[str, ...]
    which: tuple[int, ...]

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        if not self.name:
            return list(self.tasks)
        return [self.name] if len(self.tasks) == 1 else [f"{self.name} {t}" for t in self.tasks]


def grouped(
    names: Sequence[str], bundles: Sequence[Bundle], task: str | None = None
) -> list[Group]:
    """Put models of one name, and those without a name of the same tasks, into an ensemble each.

    Raises
    ------
    InputError
        When models read windows of different lengths, those of one name have different tasks, or
        two groups would have a column of one name.
    """
    first = bundles[0]
    found: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for i, (name, bundle) in enumerate(zip(names, bundles, strict=True)):
        if bundle.window != first.window:
            raise InputError(
                f"one table needs models of one window length: {first.path} reads {first.window} "
                f"bp, {bundle.path} {bundle.window} bp"
            )
        found.setdefault((name, bundle.tasks), []).append(i)
    groups = []
    for (name, tasks), numbers in found.items():
        which = tuple(i for i in range(len(tasks)) if task in (None, tasks[i]))
        groups.append(Group(name, tuple(numbers), tuple(tasks[i] for i in which), which))
    owner: dict[str, Group] = {}
    for group in groups:
        for column in group.columns:
            other = owner.setdefault(column, group)
            if other is not group:
                one, two = (bundles[each.bundles[0]].path for each in (other, group))
                raise InputError(
                    f"{one} and {two} have different tasks and would both be the column "
                    f"{column!r}; name them (NAME=MODEL)"
                )
    return groups


def one_table(groups: Sequence[Group], tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table of the predictions of all models, group beside group.

    Parameters
    ----------
    groups : sequence of Group
    tables : sequence of DataFrame
        What each model predicted, of the same rows.

    Returns
    -------
    DataFrame
        The input's columns, then of every group and task the probability, or of several models
        their mean, and beside it their standard deviation (n - 1), ``TASK sd``, and ``TASK low``
        and ``TASK high``: the interval in which 95 % of models trained like these would lie
        (`cistransfer.prediction.table.spread_interval`). ``attrs["scores"]`` names the first.
    """
    given = tables[0]
    rest = given.drop(columns=[*given.attrs["scores"], "note"])
    columns: dict[str, object] = {}
    scores = []
    for group in groups:
        for column, task in zip(group.columns, group.which, strict=True):
            name = free_name(column, rest, columns)
            several = [tables[i] for i in group.bundles]
            each = np.stack([one[one.attrs["scores"][task]].to_numpy() for one in several])
            scores.append(name)
            if len(each) == 1:
                columns[name] = each[0]
                continue
            for end, values in zip(_ENDS, spread(each), strict=True):
                columns[name + end] = values
    found = pd.concat([rest, pd.DataFrame(columns, index=rest.index)], axis=1)
    found = found.assign(note=given["note"])
    found.attrs.update(given.attrs | {"scores": scores})
    return found


def as_in_file(table: pd.DataFrame, regions: pd.DataFrame) -> pd.DataFrame:
    """Predictions with the columns of the file that their regions came from, as they stood in it.

    In their order, under their names, and counted from 1 where the file counts from 1
    (``window_start`` and ``window_end`` are 0-based and half-open always). A column that is called
    as one of ours is, or twice the same, has ``_input`` behind its name.

    Parameters
    ----------
    table : DataFrame
        From `predict_regions`.
    regions : DataFrame
        From `cistransfer.genome.bed.read_bed` with ``keep``; of others the table is as it was.
    """
    if "file" not in regions.attrs:
        return table
    pairs, base = regions.attrs["file"]
    renamed = given_names(regions.columns)
    order = [renamed.get(name, name) for name, _ in pairs]
    found = table[order + [name for name in table.columns if name not in order]]
    if base:
        found = found.assign(start=found["start"] + base)
    places = {ours: theirs for ours, theirs in pairs if ours in ("chrom", "start", "end")}
    free = {ours: theirs for ours, theirs in places.items() if theirs not in found.columns}
    return found.rename(columns=free)


def check_form(path: PathLike, *, regions: bool, scores: Sequence[str]) -> None:
    """Refuse a name whose form cannot hold what is asked, before the work."""
    name = os.fspath(path).lower().removesuffix(".gz")
    if name.endswith(_TRACKS):
        raise InputError(
            f"{path}: predict writes the input's rows, as a table or .bed; a track for a genome "
            "browser is what `cistransfer track` writes (--only REGIONS for some regions)"
        )
    if not name.endswith(".bed"):
        return
    if not regions:
        raise InputError(f"{path}: sequences have no places; a BED is of regions, write a table")
    if len(scores) > 1:
        raise InputError(
            f"{path}: a BED shows one score, and there are {len(scores)} "
            f"({', '.join(scores[:3])}, …); name the task (--task), or write a table"
        )


def write_predictions(
    path: PathLike, table: pd.DataFrame, regions: pd.DataFrame | None = None
) -> None:
    """Write predictions, whole or not at all: BED where the name says so (``.bed``), else TSV.

    The TSV has the columns of the file that ``regions`` came from as they stood in it. The BED has
    name, score (thousandths of the probability) and strand, then the probability and what comes
    with it; rows without a score are not in it. ``.gz`` compresses. Equal tables give equal bytes:
    a gzip file holds neither a name nor a time.
    """
    if not os.fspath(path).lower().removesuffix(".gz").endswith(".bed"):
        shown = table if regions is None else as_in_file(table, regions)
        write_tsv(path, shown, numbers="%.6f")
        return
    (score,) = table.attrs["scores"]
    check_form(path, regions="chrom" in table, scores=[score])
    kept = table[table[score].notna()]
    bed = kept[["chrom", "start", "end"]].assign(
        name=kept["name"].replace("", ".") if "name" in kept else ".",
        score=(kept[score] * 1000).round().astype(np.int64),
        strand=kept["strand"].where(kept["strand"].isin(["+", "-"]), ".")
        if "strand" in kept else ".",
    )  # fmt: skip
    more = kept[[score + end for end in _ENDS if score + end in kept]]
    bed = pd.concat([bed, more], axis=1).rename(columns={"chrom": "#chrom"})
    content = bed.to_csv(sep="\t", index=False, float_format="%.6f", lineterminator="\n").encode()
    if os.fspath(path).endswith(".gz"):
        content = gzip.compress(content, 6, mtime=0)
    with whole_file(path) as temporary:
        temporary.write_bytes(content)
