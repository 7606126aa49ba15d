"""Open regions per cell, from whatever a lab has: the file's content tells which form it is."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest, shown
from cistransfer.genome.assemblies import match_names, words_of_renamed
from cistransfer.genome.bed import read_bed
from cistransfer.genome.intervals import merge, overlaps_any
from cistransfer.openness.dhs import dhs_samples, read_dhs_clusters, read_dhs_sources
from cistransfer.openness.lists import is_list_row
from cistransfer.openness.options import OpenOptions
from cistransfer.openness.regions import OpenRegions
from cistransfer.openness.samples import Sample, read_samples, read_table, read_ucsc2encode
from cistransfer.openness.signals import read_open_table, read_signal_table
from cistransfer.storage import open_bytes, open_text

__all__ = ["FORMS", "merge_peaks", "open_form", "read_open", "refuse_beside"]

PathLike = str | os.PathLike[str]

FORMS = {
    "dhs": ("dhs_sources", "ucsc2encode", "samples"),
    "sheet": ("regions", "samples"),
    "table": ("regions", "samples", "open_above", "z_above", "replicates"),
    "lists": (),
    "matrix": (),
}
"""Forms of open regions, and what of `OpenOptions` goes with each."""

_WORDS = {
    "dhs": "a DHS cluster table",
    "sheet": "a sheet of BED files",
    "table": "a table of regions and numbers",
    "lists": "ChromTransfer's lists",
    "matrix": "a binding matrix",
}
MAX_SAID = 10
"""Files of a sheet that have a line each on how they were read."""

_HDF5 = b"\x89HDF\r\n\x1a\n"


def open_form(path: PathLike, *, with_sources: bool = False) -> str:
    """Tell by content what a file of open regions is: one of `FORMS`.

    ``dhs``: UCSC's clustered DHS table (bin, chrom, start, end, name, score, count, source ids);
    ``sheet``: a table with columns cell and file; ``table``: a header, then a region and numbers
    in each row; ``lists``: rows ``chrom:start-end,label``, or a folder; ``matrix``: HDF5.

    Parameters
    ----------
    with_sources : bool
        Whether a sources table was given, so that rows of another look are a damaged DHS table.

    Raises
    ------
    InputError
        For a missing or empty file and one that is none of these.
    """
    if Path(path).is_dir():
        return "lists"
    with open_bytes(path) as raw:
        if raw.read(len(_HDF5)) == _HDF5:
            return "matrix"
    with open_text(path) as handle:
        lines = (line.rstrip("\r\n") for line in handle)
        head = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    fields = [field.strip() for field in head.split("\t")]
    if {"cell", "file"} <= set(fields):
        return "sheet"
    if is_list_row(head):
        return "lists"
    numbers = [re.fullmatch(r"\d+", field) is not None for field in fields]
    if with_sources or (
        len(fields) >= 8
        and all(numbers[i] for i in (2, 3, 5, 6))
        and re.fullmatch(r"[\d,]+", fields[7])
    ):
        return "dhs"
    if len(fields) >= 3 and numbers[1] and numbers[2]:
        raise InputError(
            f"{path}: a BED file does not say whose open regions these are; name it in a sheet "
            "(TSV with the columns cell and file)"
        )
    if len(fields) >= 2:
        return "table"
    raise InputError(
        f"{path}: expected open regions ({', '.join(_WORDS.values())}), found "
        + (repr(head[:60]) if head else "an empty file")
    )


def refuse_beside(options: OpenOptions, form: str) -> None:
    """Refuse what has no meaning with a form of open regions."""
    for name in sorted({name for names in FORMS.values() for name in names} - set(FORMS[form])):
        if getattr(options, name) is not None:
            raise InputError(f"{name} has no meaning with {options.open}, {_WORDS[form]}; drop it")


def read_open(source: PathLike | OpenOptions) -> OpenRegions:
    """Read where chromatin is open in which cell.

    * UCSC's clustered DHS table, with ``dhs_sources`` (and ``ucsc2encode``).
    * A sheet (TSV: cell, file) of BED or narrowPeak files, several of a cell if need be. The
      regions are the merged peaks of all cells, or those of ``regions``, each open where a cell's
      file overlaps it.
    * A table with ``regions`` (BED): a row per region, a column per cell; 0 and 1, or numbers with
      ``open_above``, or signals of replicates with ``z_above``.

    A sample sheet, if given, chooses the cells and maps their names.

    Raises
    ------
    InputError
        For a file of another form, what has no meaning with it, and malformed files.

    Examples
    --------
    >>> read_open("open.tsv").open  # doctest: +SKIP
    >>> read_open(OpenOptions("dhs.txt.gz", dhs_sources="sources.txt.gz"))  # doctest: +SKIP
    """
    options = source if isinstance(source, OpenOptions) else OpenOptions(source)
    path = options.open
    if path is None:
        raise InputError(
            f"no open regions are given; they come as one of: {', '.join(_WORDS.values())}"
        )
    form = open_form(path, with_sources=options.dhs_sources is not None)
    refuse_beside(options, form)
    if form in ("lists", "matrix"):
        raise InputError(
            f"{path}: expected {', '.join(_WORDS[name] for name in FORMS if name != form)}; found "
            f"{_WORDS[form]}"
        )
    sheet = read_samples(options.samples) if options.samples is not None else None
    files = [
        (name, getattr(options, name))
        for name in ("open", "samples", "regions", "dhs_sources", "ucsc2encode", "replicates")
    ]
    if form == "dhs":
        opened = _read_dhs(options, sheet)
    else:
        if form == "sheet":
            opened = _read_sheet(path, options.regions)
            files += opened.files
        else:
            opened = _read_table(options)
        opened = _chosen(opened, sheet, options)
    read = [(role, file) for role, file in files if file is not None]
    return replace(opened, files=tuple(read))


def _read_dhs(options: OpenOptions, sheet: list[Sample] | None) -> OpenRegions:
    assert options.open is not None
    if options.dhs_sources is None:
        raise InputError(
            f"{options.open}: a DHS cluster table needs its sources table (--dhs-sources)"
        )
    sources = read_dhs_sources(options.dhs_sources)
    terms = read_ucsc2encode(options.ucsc2encode) if options.ucsc2encode is not None else None
    chosen = dhs_samples(sources, terms, sheet, str(options.dhs_sources))
    notes = tuple(
        f"{options.dhs_sources}: {count} sources are called {name!r}; they count as one"
        for name, count in Counter(sources.values()).items()
        if count > 1
    )
    opened = read_dhs_clusters(options.open, sources, chosen)
    return replace(opened, samples=tuple(chosen), notes=notes)


def _read_table(options: OpenOptions) -> OpenRegions:
    path, regions = options.open, options.regions
    assert path is not None
    if regions is None:
        raise InputError(
            f"{path}: a table of regions and numbers needs its regions (--regions: a BED file)"
        )
    if options.z_above is None:
        if options.replicates is not None:
            raise InputError("replicates has no meaning without z_above; drop it")
        return read_open_table(regions, path, options.open_above)
    if options.open_above is not None:
        raise InputError("expected one of --open-above and --z-above, found both")
    return read_signal_table(
        regions, path, threshold=options.z_above, replicates=options.replicates
    )


def _chosen(opened: OpenRegions, sheet: list[Sample] | None, options: OpenOptions) -> OpenRegions:
    """The cells of a sample sheet; without one, all."""
    if sheet is None:
        return replace(opened, samples=tuple(Sample(cell) for cell in sorted(opened.open)))
    for sample in sheet:
        if sample.cell not in opened.open:
            raise InputError(
                f"{options.samples}: cell {sample.cell!r} has no open regions in "
                f"{options.open}; {nearest(sample.cell, opened.open)}"
            )
    return replace(
        opened, open={each.cell: opened.open[each.cell] for each in sheet}, samples=tuple(sheet)
    )


def _read_sheet(sheet: PathLike, regions: PathLike | None) -> OpenRegions:
    """Read a sheet of one or several BED files per cell; the files are beside the sheet.

    Chromosomes are called as ``regions`` calls them, or as the first file that has them.
    """
    table = read_table(sheet, ["cell", "file"])
    listed = None if regions is None else read_bed(regions)
    known = [] if listed is None else [str(name) for name in pd.unique(listed["chrom"])]
    peaks: dict[str, list[pd.DataFrame]] = {}
    files, notes = [], []
    for row in table.to_dict("records"):
        file = Path(sheet).parent / str(row["file"])
        if not row["cell"] or not os.path.isfile(file):
            what = (
                "expected a cell name, found none"
                if not row["cell"]
                else f"no such file beside the sheet: {shown(row['file'])}"
            )
            raise InputError(f"{sheet}, line {row['line']}: {what}")
        own = read_bed(file)
        match = match_names([str(name) for name in pd.unique(own["chrom"])], known, str(file))
        said = own.attrs["read"].line()
        if match.renamed:
            own = own.assign(chrom=own["chrom"].replace(match.renamed))
            said += f"; names of chromosomes read as {words_of_renamed(match.renamed)}"
        if listed is None:
            known += match.unknown
        peaks.setdefault(str(row["cell"]), []).append(own)
        files.append(("open", file))
        notes.append(said)
    if len(notes) > MAX_SAID:
        notes = [*notes[:MAX_SAID], f"{sheet}: {len(files) - MAX_SAID:,} more files were read"]
    by_cell = {cell: pd.concat(tables, ignore_index=True) for cell, tables in peaks.items()}
    if listed is None:
        opened = merge_peaks(by_cell)
    else:
        opened = OpenRegions(
            listed, {cell: overlaps_any(listed, table) for cell, table in by_cell.items()}
        )
    return replace(opened, files=tuple(files), notes=tuple(notes))


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
