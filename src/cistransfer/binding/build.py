"""Build a binding matrix out of open regions, peaks and TFBS predictions.

Novakovsky et al. 2021, Methods; the published builder's rules (centres, any 1-bp overlap, a TF is
assayed where a TFBS file exists), in memory that does not depend on the number of rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer import progress
from cistransfer.binding.build_report import (
    BuildReport,
    little_placed,
    summit_notes,
    unmatched_cells,
    unmatched_tfs,
)
from cistransfer.binding.file import (
    PEAK,
    TFBS,
    MatrixParts,
    narrowed,
    record_inputs,
    unchanged_since,
    write_matrix,
)
from cistransfer.binding.readers.collect import Found, Pair, collect
from cistransfer.binding.readers.evidence import Piece, evidence_files, read_evidence
from cistransfer.cpus import ahead
from cistransfer.errors import InputError, nearest
from cistransfer.genome.assemblies import (
    assemblies,
    assembly_of_names,
    check_assembly_names,
    match_names,
    recognise,
    words_of_renamed,
)
from cistransfer.genome.bed import read_bed
from cistransfer.genome.intervals import centre_windows, chrom_runs, index_regions
from cistransfer.openness.options import OpenOptions
from cistransfer.openness.read import read_open
from cistransfer.openness.regions import OpenRegions, read_chrom_sizes
from cistransfer.openness.samples import Sample, names_of

__all__ = ["ASSAYED", "LABEL_WINDOW", "build_matrix"]

PathLike = str | os.PathLike[str]

ASSAYED = ("tfbs", "peaks", "either", "both")
"""What makes a TF assayed in a cell: a TFBS file (published), a peak file, one of them, both."""

LABEL_WINDOW = 200
"""Evidence counts in so many bp around a region's centre, where regions are wider (published)."""

_AHEAD = 1 << 27
"""Bytes of peaks, and of TFBS, that are read before the regions are known, and held."""


def build_matrix(
    out: PathLike,
    opened: OpenRegions | OpenOptions | PathLike,
    *,
    peaks: Sequence[PathLike] = (),
    tfbs: Sequence[PathLike] = (),
    window: int = 200,
    label_window: int | None = None,
    assayed: str | None = None,
    genome: str | None = None,
    name: str | None = None,
    treated: bool = False,
    edges: str = "drop",
    chrom_sizes: PathLike | None = None,
    exclude: Sequence[PathLike] = (),
) -> BuildReport:
    """Build a matrix file.

    Parameters
    ----------
    out : path
        The HDF5 file to write, whole or not at all.
    opened : OpenRegions, OpenOptions or path
        See `cistransfer.openness.read.read_open`. Without a sample sheet every cell with open
        regions is one, and all files must use its name.
    peaks, tfbs : sequence of path
        See `cistransfer.binding.readers.evidence.open_evidence`. One of them may be empty.
    window : int
        Width of the regions in bp, centred on the open regions; 0 keeps them as they are.
    label_window : int, optional
        Width around the same centres in which evidence counts. By default `LABEL_WINDOW`, where
        that is less than ``window``, as published: wider regions keep the labels of the 200-bp
        ones. The width of ``window`` labels them anew.
    assayed : {"tfbs", "peaks", "either", "both"}, optional
        What makes a TF assayed in a cell. By default (published) a TFBS file; without TFBS files,
        a peak. Evidence of a TF in a cell where it is not assayed is not used.
    genome : str, optional
        Name of the assembly to record; by default the one that ``chrom_sizes`` or the names of
        chromosomes (accessions) belong to, else ``unknown``.
    name : str, optional
        The matrix is called like its file when no name is given.
    treated : bool
        Whether experiments on treated cells (``MCF-7_estradiol``) count for the cell; published:
        no.
    edges : {"drop", "clip"}
        See `cistransfer.openness.regions.OpenRegions.windows`.
    chrom_sizes : path, optional
        Chromosome lengths (``.chrom.sizes`` or ``.fai``); without it only windows that begin
        before base 0 are known to run off.
    exclude : sequence of path
        BED files (blacklist, gaps); windows that touch them are left out.

    Raises
    ------
    InputError
        For malformed or missing input, and when no peak or TFBS matches a cell.

    Notes
    -----
    Chromosomes are called as the open regions call them; the other files may have other names of
    the same (`1`, `chr1`, `NC_000001.11`; see `cistransfer.genome.assemblies.match_names`), which
    is said and recorded.

    Evidence in a region that is closed in its cell is not kept: no published view uses it.
    """
    how = _how(assayed, peaks, tfbs)
    labelled = label_window or (min(window, LABEL_WINDOW) if window else 0)
    if 0 < window < labelled:
        raise InputError(f"labels of {labelled} bp need regions as wide, found {window} bp")
    files: list[tuple[str, PathLike]] = [
        *([("chrom_sizes", chrom_sizes)] if chrom_sizes is not None else []),
        *(("exclude", path) for path in exclude),
        *(("peaks", path) for path in evidence_files(peaks)),
        *(("tfbs", path) for path in evidence_files(tfbs)),
    ]
    # Whatever ends this block ends first what is read ahead, and so those who wait for it.
    with (
        ThreadPoolExecutor(3) as beside,
        ahead(read_evidence(tfbs, "tfbs"), _AHEAD, attrgetter("nbytes")) as tfbs_read,
        ahead(read_evidence(peaks, "peaks"), _AHEAD, attrgetter("nbytes")) as peaks_read,
    ):
        recorded = beside.submit(record_inputs, files)
        access = opened if isinstance(opened, OpenRegions) else read_open(opened)
        read = beside.submit(record_inputs, access.files)
        if not access.samples:
            access = replace(access, samples=tuple(Sample(cell) for cell in sorted(access.open)))
        names = _Names(chrom_runs(access.regions["chrom"].to_numpy(object))[2])
        sizes = names.sizes(chrom_sizes)
        windows, left_out = access.windows(
            window,
            edges=edges,
            sizes=sizes,
            exclude=[names.table(read_bed(path), str(path), "exclude") for path in exclude],
            keep_closed=False,
        )
        table, cells = windows.regions, list(windows.open)
        middle = table if labelled == window else _middles(table, window, labelled)
        accessibility = np.stack([np.packbits(states) for states in windows.open.values()])
        open_bits = dict(zip(cells, accessibility, strict=True))
        called, sites, pairs = _evidence(
            beside, middle, access, open_bits, peaks_read, tfbs_read, how, treated, names.assembly
        )
        inputs = read.result() + recorded.result()
    unmatched = unmatched_cells(called, "peaks", access) + unmatched_cells(sites, "tfbs", access)
    _refuse_nothing(pairs, unmatched)
    report = BuildReport(
        path=str(out),
        regions=len(table),
        cells=len(cells),
        tfs=len({tf for tf, _ in pairs}),
        experiments=len(pairs),
        peak_rows=called.rows,
        peak_rows_used=sum(called.used[pair] for pair in pairs),
        peak_rows_placed=sum(called.placed[pair] for pair in pairs),
        peak_chroms=dict(sorted(called.chroms.items())),
        tfbs_rows=sites.rows,
        tfbs_rows_used=sum(sites.used[pair] for pair in pairs),
        tfbs_rows_placed=sum(sites.placed[pair] for pair in pairs),
        tfbs_chroms=dict(sorted(sites.chroms.items())),
        regions_left_out=left_out,
        cells_without_experiments=sorted(set(cells) - {cell for _, cell in pairs}),
        unmatched=unmatched,
        unmatched_tfs=unmatched_tfs(called, pairs),
        not_assayed={
            f"{tf} in {cell}": called.used[tf, cell]
            for tf, cell in sorted(set(called.pairs) - set(pairs))
        },
        notes=[
            *windows.notes,
            *called.elsewhere,
            *sites.elsewhere,
            *summit_notes(called),
            *names.notes({"peaks": called.renamed, "TFBS": sites.renamed}, genome),
            *little_placed("peaks", called, pairs),
            *little_placed("TFBS", sites, pairs),
        ],
        genome=genome or names.assembly or "unknown",
    )
    settings = {
        "name": name or Path(out).stem,
        "genome": report.genome,
        "window": window,
        **({} if labelled == window else {"label_window": labelled}),
        "assayed": how,
        "treated": treated,
        "edges": edges,
        "left_out": {
            "regions": report.regions_left_out,
            "unmatched": report.unmatched,
            "unmatched_tfs": report.unmatched_tfs,
            "not_assayed": report.not_assayed,
        },
        "placed": {
            "peaks": [report.peak_rows, report.peak_rows_used, report.peak_rows_placed],
            "tfbs": [report.tfbs_rows, report.tfbs_rows_used, report.tfbs_rows_placed],
        },
        "summits": dict(sorted((+called.summits).items())),
        "renamed": {what: pairs for what, pairs in names.renamed.items() if pairs},
        "notes": report.notes,
    }
    if isinstance(opened, OpenOptions):
        settings |= {"open_above": opened.open_above, "z_above": opened.z_above}
    parts = _assemble(table, cells, accessibility, pairs, called, sites, settings, inputs)
    unchanged_since(inputs)
    write_matrix(out, parts)
    return report


def _how(assayed: str | None, peaks: Sequence[PathLike], tfbs: Sequence[PathLike]) -> str:
    """Settle what makes a TF assayed; refuse what the evidence cannot answer."""
    if not peaks and not tfbs:
        raise InputError("a binding matrix needs peaks, TFBS predictions or both; found neither")
    how = assayed or ("tfbs" if tfbs else "peaks")
    if how not in ASSAYED:
        raise InputError(f"no rule {how!r} for assayed; {nearest(how, ASSAYED)}")
    if how in ("tfbs", "both") and not tfbs:
        raise InputError(f"assayed={how!r} needs TFBS predictions; found none")
    if how in ("peaks", "both") and not peaks:
        raise InputError(f"assayed={how!r} needs peaks; found none")
    return how


def _middles(table: pd.DataFrame, window: int, width: int) -> pd.DataFrame:
    """The middle of windows, some of which may be cut at one end of their chromosome."""
    if not window:
        return centre_windows(table, width)
    start, end = table["start"].to_numpy(), table["end"].to_numpy()
    centre = np.where(start > 0, start + window // 2, end - (window - window // 2))
    begin = centre - width // 2
    return table.assign(start=np.maximum(begin, start), end=np.minimum(begin + width, end))


def _evidence(
    pool: Executor,
    table: pd.DataFrame,
    access: OpenRegions,
    open_bits: Mapping[str, NDArray[np.uint8]],
    peaks: Iterable[Piece],
    tfbs: Iterable[Piece],
    how: str,
    treated: bool,
    assembly: str | None,
) -> tuple[Found, Found, list[Pair]]:
    """Place all evidence and settle which TF × cell pairs are assayed (sorted)."""
    index = index_regions(table)
    with progress.bar("Reading peaks and TFBS (rows)") as bar:
        reading = {
            kind: pool.submit(
                collect,
                pieces,
                kind,
                index,
                names_of(access.samples, kind),
                open_bits,
                treated=treated,
                assembly=assembly,
                advance=bar.advance,
            )
            for kind, pieces in (("tfbs", tfbs), ("peaks", peaks))
        }
        sites, called = reading["tfbs"].result(), reading["peaks"].result()
    pairs = {
        "tfbs": set(sites.pairs),
        "peaks": set(called.pairs),
        "either": set(sites.pairs) | set(called.pairs),
        "both": set(sites.pairs) & set(called.pairs),
    }[how]
    return called, sites, sorted(pairs)


class _Names:
    """Chromosomes by the names that the open regions have for them, and the assembly."""

    def __init__(self, known: Iterable[str]) -> None:
        self.known = list(known)
        self.assembly = assembly_of_names(self.known)
        self.renamed: dict[str, dict[str, str]] = {}

    def sizes(self, path: PathLike | None) -> dict[str, int] | None:
        """Lengths from a file; they say of which assembly the regions are."""
        if path is None:
            return None
        sizes = read_chrom_sizes(path)
        check_assembly_names(self.known, recognise(sizes), "open regions", str(path))
        self.assembly = self.assembly or recognise(sizes)
        match = match_names(self.known, sizes, "open regions")
        self.renamed["lengths"] = {known: name for name, known in match.renamed.items()}
        return {name: sizes[known] for name, known in match.to.items()}

    def table(self, regions: pd.DataFrame, label: str, role: str) -> pd.DataFrame:
        """A region table of another file."""
        names = [str(name) for name in pd.unique(regions["chrom"])]
        check_assembly_names(names, self.assembly, label, "the matrix")
        renamed = match_names(names, self.known, label).renamed
        self.renamed.setdefault(role, {}).update(renamed)
        found = regions.assign(chrom=regions["chrom"].replace(renamed)) if renamed else regions
        found.attrs.update(regions.attrs)
        return found

    def notes(self, evidence: Mapping[str, dict[str, str]], asked: str | None) -> list[str]:
        """What names were read as which, and whether the assembly is the one that was named."""
        self.renamed.update(evidence)
        roles = {"lengths": "chromosome lengths", "exclude": "regions to leave out"}
        lines = [
            f"{roles.get(role, role)}: names read as those of the open regions "
            f"({words_of_renamed(renamed)})"
            for role, renamed in self.renamed.items()
            if renamed
        ]
        if asked in assemblies() and self.assembly is not None and asked != self.assembly:
            lines.append(
                f"warning: the assembly is to be called {asked}, but the chromosomes are those of "
                f"{self.assembly}"
            )
        return lines


def _refuse_nothing(pairs: list[Pair], unmatched: list[dict[str, Any]]) -> None:
    if pairs:
        return
    shown = "; ".join(
        f"{each['kind']} of cell {each['name']!r} ({each['rows']:,} rows; {each['nearest']})"
        for each in unmatched[:3]
    )
    more = f"; … {len(unmatched)} names in all" if len(unmatched) > 3 else ""
    raise InputError(
        f"no experiment matches a cell: {shown or 'there is none'}{more}; map names in the sample "
        "sheet (columns peaks_name, tfbs_name)"
    )


def _assemble(
    regions: pd.DataFrame,
    cells: list[str],
    accessibility: NDArray[np.uint8],
    pairs: list[Pair],
    called: Found,
    sites: Found,
    settings: dict[str, Any],
    inputs: list[dict[str, Any]],
) -> MatrixParts:
    """Lay the evidence out by experiment."""
    none = np.zeros(0, dtype=np.int64)
    rows, region, kind = [], [], []
    for pair in pairs:
        tf, cell = pair
        has_peaks, has_tfbs = pair in called.pairs, pair in sites.pairs
        peak = called.touched.regions(called.pairs[pair]) if has_peaks else none
        site = sites.touched.regions(sites.pairs[pair]) if has_tfbs else none
        at, kinds = _merged(peak, site)
        region.append(narrowed(at, np.int32))
        kind.append(kinds)
        names = called.accessions.get(pair, set()) | sites.accessions.get(pair, set())
        accessions = ";".join(sorted(names))
        used = (called.used[pair], sites.used[pair])
        rows.append((tf, cell, accessions, has_peaks, has_tfbs, *used))
    columns = ["tf", "cell", "accessions", "peaks", "tfbs", "peak_rows", "tfbs_rows"]
    return MatrixParts(
        regions=regions,
        region_ids=np.arange(len(regions)),
        cells=cells,
        accessibility=accessibility,
        experiments=pd.DataFrame(rows, columns=columns),
        indptr=np.cumsum([0, *(len(part) for part in region)], dtype=np.int64),
        region=np.concatenate(region),
        kind=np.concatenate(kind),
        settings=settings,
        inputs=inputs,
    )


def _merged(
    peak: NDArray[np.int64], site: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Ascending regions with either evidence, and of which kind it is."""
    every = np.sort(np.concatenate([peak * 4 + PEAK, site * 4 + TFBS]))
    region, kind = every >> 2, (every & 3).astype(np.uint8)
    again = np.flatnonzero(region[1:] == region[:-1])
    kind[again] |= kind[again + 1]
    return np.delete(region, again + 1), np.delete(kind, again + 1)
