"""Open regions per cell, from whatever a lab has: UCSC's table, BED files, a table."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.genome.bed import read_bed
from cistransfer.genome.intervals import merge, overlaps_any
from cistransfer.openness.dhs import dhs_samples, read_dhs_clusters, read_dhs_sources
from cistransfer.openness.regions import OpenRegions
from cistransfer.openness.samples import Sample, read_samples, read_table, read_ucsc2encode
from cistransfer.openness.signals import read_open_table, read_signal_table

__all__ = ["Accessible", "merge_peaks", "read_accessible", "read_open_sheet", "read_openness"]

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Accessible:
    """Open regions, the cells' names in the other files, and the files that were read.

    Attributes
    ----------
    opened : OpenRegions
    samples : list of Sample
    files : list of (role, path)
    """

    opened: OpenRegions
    samples: list[Sample]
    files: list[tuple[str, PathLike]]


def read_accessible(
    *,
    dhs: PathLike | None = None,
    dhs_sources: PathLike | None = None,
    ucsc2encode: PathLike | None = None,
    open_sheet: PathLike | None = None,
    regions: PathLike | None = None,
    open_table: PathLike | None = None,
    open_above: float = 0.0,
    samples: PathLike | None = None,
) -> Accessible:
    """Read open regions in one of three forms.

    * ``dhs`` + ``dhs_sources`` (+ ``ucsc2encode``): UCSC's clustered DHS table.
    * ``open_sheet`` (+ ``regions``): one BED or narrowPeak file per cell; with ``regions`` a
      listed region is open in a cell when the cell's file overlaps it, without it the regions are
      the merged peaks of all cells.
    * ``regions`` + ``open_table``: a list of regions and a table of numbers, open where a number
      is above ``open_above``.

    A sample sheet, if given, chooses the cells and maps their names.

    Raises
    ------
    InputError
        When the arguments name no form or more than one, and for malformed files.
    """
    given = [
        name
        for name, value in (("dhs", dhs), ("open_sheet", open_sheet), ("open_table", open_table))
        if value is not None
    ]
    if len(given) != 1:
        raise InputError(
            "open regions come as one of: a DHS cluster table (dhs), one BED file per cell "
            f"(open_sheet), a region table (regions and open_table); found {given or 'none'}"
        )
    sheet = read_samples(samples) if samples is not None else None
    files: list[tuple[str, PathLike | None]] = [("samples", samples), ("regions", regions)]
    if dhs is not None:
        if dhs_sources is None:
            raise InputError(f"{dhs}: a DHS cluster table needs its sources table (dhs_sources)")
        if regions is not None:
            raise InputError(f"{regions}: a DHS cluster table is its own list of regions")
        sources = read_dhs_sources(dhs_sources)
        terms = read_ucsc2encode(ucsc2encode) if ucsc2encode is not None else None
        chosen = dhs_samples(sources, terms, sheet, str(dhs_sources))
        files += [("dhs", dhs), ("dhs_sources", dhs_sources), ("ucsc2encode", ucsc2encode)]
        opened = read_dhs_clusters(dhs, sources, chosen)
    else:
        if open_sheet is not None:
            opened, beds = read_open_sheet(open_sheet, regions)
            files += [("open_sheet", open_sheet), *(("open", bed) for bed in beds)]
        else:
            assert open_table is not None
            if regions is None:
                raise InputError(f"{open_table}: an open table needs its regions (a BED file)")
            opened = read_open_table(regions, open_table, open_above)
            files.append(("open_table", open_table))
        chosen = sheet if sheet is not None else [Sample(cell) for cell in sorted(opened.open)]
        for sample in chosen:
            if sample.cell not in opened.open:
                raise InputError(
                    f"{samples}: cell {sample.cell!r} has no open regions in "
                    f"{open_sheet or open_table}; {nearest(sample.cell, opened.open)}"
                )
        opened = OpenRegions(opened.regions, {s.cell: opened.open[s.cell] for s in chosen})
    return Accessible(opened, chosen, [(role, path) for role, path in files if path is not None])


def read_open_sheet(
    sheet: PathLike, regions: PathLike | None = None
) -> tuple[OpenRegions, list[Path]]:
    """Read a sheet (TSV) of one or several BED or narrowPeak files per cell: columns cell, file.

    Returns
    -------
    opened : OpenRegions
    files : list of Path
        Files are looked for beside the sheet.
    """
    table = read_table(sheet, ["cell", "file"])
    peaks: dict[str, list[pd.DataFrame]] = {}
    files = []
    for row in table.to_dict("records"):
        file = Path(sheet).parent / str(row["file"])
        if not row["cell"] or not file.is_file():
            what = (
                "expected a cell name, found none" if not row["cell"] else f"{file}: no such file"
            )
            raise InputError(f"{sheet}, line {row['line']}: {what}")
        peaks.setdefault(str(row["cell"]), []).append(read_bed(file))
        files.append(file)
    by_cell = {cell: pd.concat(tables, ignore_index=True) for cell, tables in peaks.items()}
    if regions is None:
        return merge_peaks(by_cell), files
    listed = read_bed(regions)
    return OpenRegions(
        listed, {cell: overlaps_any(listed, table) for cell, table in by_cell.items()}
    ), files


def merge_peaks(by_cell: dict[str, pd.DataFrame]) -> OpenRegions:
    """Merge the overlapping peaks of all cells into regions (as ``bedtools merge -d -1``).

    Peaks that only touch stay apart. A region is open in every cell that has a peak in it.
    """
    cells = sorted(by_cell)
    table = pd.concat([by_cell[cell][["chrom", "start", "end"]] for cell in cells])
    of_cell = np.repeat(np.arange(len(cells)), [len(by_cell[cell]) for cell in cells])
    regions, row = merge(table)
    opened: dict[str, NDArray[np.bool_]] = {}
    for i, cell in enumerate(cells):
        own = np.zeros(len(regions), dtype=bool)
        own[row[of_cell == i]] = True
        opened[cell] = own
    return OpenRegions(regions, opened)


def read_openness(
    *,
    dhs: PathLike | None = None,
    dhs_sources: PathLike | None = None,
    ucsc2encode: PathLike | None = None,
    open_sheet: PathLike | None = None,
    regions: PathLike | None = None,
    open_table: PathLike | None = None,
    open_above: float = 0.0,
    samples: PathLike | None = None,
    signals: PathLike | None = None,
    threshold: float = 1.64,
    replicates: PathLike | None = None,
) -> OpenRegions:
    """Read open regions from a table of signals, or as `read_accessible` does.

    Parameters
    ----------
    signals, threshold, replicates
        Of `read_signal_table`, with ``regions``.
    dhs, dhs_sources, ucsc2encode, open_sheet, regions, open_table, open_above, samples
        Of `read_accessible`.

    Raises
    ------
    InputError
        When the arguments name no source or more than one.
    """
    sources = {
        "dhs": dhs, "open_sheet": open_sheet, "open_table": open_table,
        "signals": signals,
    }  # fmt: skip
    given = [name for name, value in sources.items() if value is not None]
    if len(given) != 1:
        raise InputError(
            "open regions come from one of: a DHS cluster table (dhs), "
            "one BED file per cell (open_sheet), a region table (regions and open_table), a table "
            f"of signals (regions and signals); found {', '.join(given) or 'none'}"
        )
    beside = {"regions": regions, "samples": samples, "dhs_sources": dhs_sources,
              "ucsc2encode": ucsc2encode}  # fmt: skip
    unused = {
        "signals": ("samples", "dhs_sources", "ucsc2encode"),
        "open_sheet": ("dhs_sources", "ucsc2encode"),
        "open_table": ("dhs_sources", "ucsc2encode"),
    }.get(given[0], ())
    for name in unused:
        if beside[name] is not None:
            raise InputError(f"{name} has no meaning with {given[0]}; drop it")
    if replicates is not None and signals is None:
        raise InputError("replicates has no meaning without signals; drop it")
    if signals is not None:
        if regions is None:
            raise InputError(f"{signals}: a table of signals needs its regions (a BED file)")
        return read_signal_table(regions, signals, threshold=threshold, replicates=replicates)
    return read_accessible(
        dhs=dhs,
        dhs_sources=dhs_sources,
        ucsc2encode=ucsc2encode,
        open_sheet=open_sheet,
        regions=regions,
        open_table=open_table,
        open_above=open_above,
        samples=samples,
    ).opened
