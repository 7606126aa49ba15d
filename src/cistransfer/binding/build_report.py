"""What a build of a binding matrix made and what it left out, and the words for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cistransfer.binding.readers.collect import Found, Pair
from cistransfer.errors import nearest
from cistransfer.openness.regions import OpenRegions

__all__ = ["BuildReport", "little_placed", "summit_notes", "unmatched_cells", "unmatched_tfs"]

FEW_IN_OPEN = 0.1
"""Share of the rows in open regions below which a person is warned."""

_EXPLAINED = 50
"""For how many unmatched names (those with most rows) the nearest known ones are looked up."""


@dataclass(frozen=True, repr=False)
class BuildReport:
    """What a build made and what it left out.

    Attributes
    ----------
    peak_rows, peak_rows_used, peak_rows_placed : int
        Rows read; of these, of a chosen cell and a TF assayed there; of these, in regions that are
        open in their cell.
    peak_chroms, tfbs_chroms : dict of str → list of int
        Chromosome → rows of a chosen cell, and those of them in open regions.
    regions_left_out : dict of str → int
        Reason → number of open regions.
    unmatched : list of dict
        Names of cells in the peak and TFBS files that mean no cell of the matrix: kind, name,
        rows, nearest; most rows first.
    unmatched_tfs : list of dict
        TFs with peaks but without TFBS predictions in any cell (where these decide what is
        assayed): name, rows, nearest; most rows first.
    not_assayed : dict of str → int
        ``"TF in cell"`` → peak rows that are not used because the TF is not assayed there.
    notes : list of str
        What else a person should know, in words.
    genome : str
        Name of the assembly.
    """

    path: str
    regions: int
    cells: int
    tfs: int
    experiments: int
    peak_rows: int = 0
    peak_rows_used: int = 0
    peak_rows_placed: int = 0
    peak_chroms: dict[str, list[int]] = field(default_factory=dict)
    tfbs_rows: int = 0
    tfbs_rows_used: int = 0
    tfbs_rows_placed: int = 0
    tfbs_chroms: dict[str, list[int]] = field(default_factory=dict)
    regions_left_out: dict[str, int] = field(default_factory=dict)
    cells_without_experiments: list[str] = field(default_factory=list)
    unmatched: list[dict[str, Any]] = field(default_factory=list)
    unmatched_tfs: list[dict[str, Any]] = field(default_factory=list)
    not_assayed: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    genome: str = "unknown"

    def __repr__(self) -> str:
        return (
            f"<BuildReport {self.path}: {self.regions:,} regions, {self.cells} cells, "
            f"{self.tfs} TFs, {self.experiments:,} experiments>"
        )


def little_placed(what: str, found: Found, pairs: list[Pair]) -> list[str]:
    """A warning where few of the rows lie in open regions."""
    used, placed = (sum(count[pair] for pair in pairs) for count in (found.used, found.placed))
    if placed >= FEW_IN_OPEN * used:
        return []
    return [
        f"warning: only {placed:,} of {used:,} rows of {what} lie in regions open in their cell: "
        "are both from the same assembly, and from cells that are alike?"
    ]


def summit_notes(called: Found) -> list[str]:
    """What happened to peaks whose summit is not known, and to those that begin below 0."""
    counts, notes = called.summits, []
    if lacking := counts["unknown"] + counts["outside"]:
        notes.append(
            f"peaks: {counts['known']:,} summits are known; the midpoint stands in for {lacking:,} "
            f"({counts['unknown']:,} unknown, {counts['outside']:,} outside their region)"
        )
    if counts["clipped"]:
        notes.append(f"peaks: {counts['clipped']:,} starts below 0 set to 0")
    return notes


def unmatched_cells(found: Found, kind: str, access: OpenRegions) -> list[dict[str, Any]]:
    """Names of cells in files of a kind that mean no cell of the matrix, most rows first."""
    known = {sample.cell for sample in access.samples} | {
        name
        for sample in access.samples
        for name in (sample.peaks_names if kind == "peaks" else sample.tfbs_names)
    }
    return [{"kind": kind, **each} for each in _explained(found.unmatched, known)]


def unmatched_tfs(called: Found, pairs: list[Pair]) -> list[dict[str, Any]]:
    """TFs whose rows are used for no experiment, most rows first."""
    known = {tf for tf, _ in pairs}
    rows: Counter[str] = Counter()
    for (tf, _), count in called.used.items():
        if tf not in known:
            rows[tf] += count
    return _explained(rows, known)


def _explained(rows: Mapping[str, int], known: set[str]) -> list[dict[str, Any]]:
    ranked = sorted(rows.items(), key=lambda item: (-item[1], item[0]))
    return [
        {"name": name, "rows": count, "nearest": nearest(name, known) if at < _EXPLAINED else ""}
        for at, (name, count) in enumerate(ranked)
    ]
