"""Build a binding matrix out of open regions, peaks and TFBS predictions.

Novakovsky et al. 2021, Methods; the published builder's rules (centres, any 1-bp overlap, a TF is
assayed where a TFBS file exists), in memory that does not depend on the number of rows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cistransfer.binding.accessible import (
    dhs_samples,
    make_windows,
    read_dhs_clusters,
    read_dhs_sources,
)
from cistransfer.binding.collect import Found, Pair, collect
from cistransfer.binding.evidence import evidence_files
from cistransfer.binding.layout import PEAK, TFBS, MatrixParts, write_matrix
from cistransfer.binding.overlap import index_regions
from cistransfer.binding.samples import names_of, read_samples, read_ucsc2encode
from cistransfer.errors import InputError, nearest
from cistransfer.genome.bed import read_bed
from cistransfer.storage import fingerprint

__all__ = ["ASSAYED", "BuildReport", "build_matrix", "record_inputs"]

PathLike = str | os.PathLike[str]

ASSAYED = ("tfbs", "peaks", "either", "both")
"""What makes a TF assayed in a cell: a TFBS file (published), a peak file, one of them, both."""


@dataclass(frozen=True)
class BuildReport:
    """What a build made and what it left out.

    Attributes
    ----------
    path : str
    regions, cells, tfs, experiments : int
    peak_rows, peak_rows_used, tfbs_rows, tfbs_rows_used : int
        Rows read; and used: of a chosen cell and a TF assayed there.
    regions_left_out : dict of str → int
        Reason → number of open regions.
    cells_without_experiments : list of str
    unmatched : list of dict
        Names of cells in the peak and TFBS files that mean no cell of the matrix: kind, name,
        rows, nearest.
    not_assayed : dict of str → int
        ``"TF in cell"`` → peak rows that are not used because the TF is not assayed there.
    """

    path: str
    regions: int
    cells: int
    tfs: int
    experiments: int
    peak_rows: int = 0
    peak_rows_used: int = 0
    tfbs_rows: int = 0
    tfbs_rows_used: int = 0
    regions_left_out: dict[str, int] = field(default_factory=dict)
    cells_without_experiments: list[str] = field(default_factory=list)
    unmatched: list[dict[str, Any]] = field(default_factory=list)
    not_assayed: dict[str, int] = field(default_factory=dict)


def build_matrix(
    out: PathLike,
    *,
    dhs: PathLike,
    dhs_sources: PathLike,
    ucsc2encode: PathLike | None = None,
    samples: PathLike | None = None,
    peaks: Sequence[PathLike] = (),
    tfbs: Sequence[PathLike] = (),
    window: int = 200,
    assayed: str | None = None,
    genome: str = "hg38",
    name: str | None = None,
    treated: bool = False,
    edges: str = "drop",
    chrom_sizes: Mapping[str, int] | None = None,
    exclude: Sequence[PathLike] = (),
) -> BuildReport:
    """Build a matrix file.

    Parameters
    ----------
    out : path
        The HDF5 file to write, whole or not at all.
    dhs, dhs_sources : path
        UCSC's clustered DHS table and its sources table (plain or gzip).
    ucsc2encode : path, optional
        UCSC source name → ENCODE biosample term (many to one).
    samples : path, optional
        Sample sheet: cell, dhs_source, peaks_name, tfbs_name. Without it every ENCODE term (or
        source name) is a cell, and files must use these names.
    peaks, tfbs : sequence of path
        See `cistransfer.binding.evidence.open_evidence`. One of them may be empty.
    window : int
        Width of the regions in bp, centred on the open regions; 0 keeps them as they are.
    assayed : {"tfbs", "peaks", "either", "both"}, optional
        What makes a TF assayed in a cell. By default (published) a TFBS file; without TFBS files,
        a peak. Evidence of a TF in a cell where it is not assayed is not used.
    genome, name : str
        Names to record; the matrix is called like its file when no name is given.
    treated : bool
        Whether experiments on treated cells (``MCF-7_estradiol``) count for the cell; published:
        no.
    edges : {"drop", "clip"}
        See `cistransfer.binding.accessible.make_windows`.
    chrom_sizes : mapping of str → int, optional
        Chromosome lengths.
    exclude : sequence of path
        BED files (blacklist, gaps); windows that touch them are left out.

    Returns
    -------
    BuildReport

    Raises
    ------
    InputError
        For malformed or missing input, and when no peak or TFBS matches a cell.

    Notes
    -----
    Evidence in a region that is closed in its cell is not kept: no published view uses it.
    """
    if not peaks and not tfbs:
        raise InputError("a binding matrix needs peaks, TFBS predictions or both; found neither")
    how = assayed or ("tfbs" if tfbs else "peaks")
    if how not in ASSAYED:
        raise InputError(f"no rule {how!r} for assayed; {nearest(how, ASSAYED)}")
    if how in ("tfbs", "both") and not tfbs:
        raise InputError(f"assayed={how!r} needs TFBS predictions; found none")
    if how in ("peaks", "both") and not peaks:
        raise InputError(f"assayed={how!r} needs peaks; found none")

    sheet = read_samples(samples) if samples is not None else None
    terms = read_ucsc2encode(ucsc2encode) if ucsc2encode is not None else None
    sources = read_dhs_sources(dhs_sources)
    settled = dhs_samples(sources, terms, sheet, str(dhs_sources))
    peak_names, tfbs_names = names_of(settled, "peaks"), names_of(settled, "tfbs")
    opened = read_dhs_clusters(dhs, sources, settled)
    regions, cells, accessibility, left_out = make_windows(
        opened,
        window,
        edges=edges,
        sizes=chrom_sizes,
        exclude=[read_bed(path) for path in exclude],
    )
    index = index_regions(regions)
    sites = collect(tfbs, "tfbs", index, tfbs_names, treated=treated)
    only = frozenset(sites.pairs) if how in ("tfbs", "both") else None
    called = collect(peaks, "peaks", index, peak_names, treated=treated, only=only)
    pairs = {
        "tfbs": set(sites.pairs),
        "peaks": set(called.pairs),
        "either": set(sites.pairs) | set(called.pairs),
        "both": set(sites.pairs) & set(called.pairs),
    }[how]
    unmatched = _unmatched(called, "peaks", peak_names) + _unmatched(sites, "tfbs", tfbs_names)
    if not pairs:
        raise InputError(
            "no experiment matches a cell: "
            + "; ".join(
                f"{each['kind']} of {each['name']!r} ({each['rows']:,} rows; {each['nearest']})"
                for each in unmatched[:3]
            )
            + (f"; … {len(unmatched)} names in all" if len(unmatched) > 3 else "")
            + "; map them in the sample sheet (columns peaks_name, tfbs_name)"
        )
    files = [
        ("dhs", dhs),
        ("dhs_sources", dhs_sources),
        ("ucsc2encode", ucsc2encode),
        ("samples", samples),
        *(("exclude", path) for path in exclude),
        *(("peaks", path) for path in evidence_files(peaks)),
        *(("tfbs", path) for path in evidence_files(tfbs)),
    ]
    report = BuildReport(
        path=str(out),
        regions=len(regions),
        cells=len(cells),
        tfs=len({tf for tf, _ in pairs}),
        experiments=len(pairs),
        peak_rows=called.rows,
        peak_rows_used=sum(called.used[pair] for pair in pairs),
        tfbs_rows=sites.rows,
        tfbs_rows_used=sum(sites.used[pair] for pair in pairs),
        regions_left_out=left_out,
        cells_without_experiments=sorted(set(cells) - {cell for _, cell in pairs}),
        unmatched=unmatched,
        not_assayed={
            f"{tf} in {cell}": rows for (tf, cell), rows in sorted(called.skipped.items())
        },
    )
    settings = {
        "name": name or Path(out).stem,
        "genome": genome,
        "window": window,
        "assayed": how,
        "treated": treated,
        "edges": edges,
        "report": {
            "regions_left_out": report.regions_left_out,
            "unmatched": report.unmatched,
            "not_assayed": report.not_assayed,
        },
    }
    parts = _assemble(
        regions, cells, accessibility, sorted(pairs), called, sites, settings, record_inputs(files)
    )
    write_matrix(out, parts)
    return report


def record_inputs(files: Sequence[tuple[str, PathLike | None]]) -> list[dict[str, Any]]:
    """Fingerprint input files: role, path, sha256, bytes and mtime_ns of each."""
    inputs = []
    for role, path in files:
        if path is not None:
            stat = os.stat(path)
            inputs.append(
                {
                    "role": role,
                    "path": str(Path(path).resolve()),
                    "sha256": fingerprint(path).removeprefix("sha256:"),
                    "bytes": stat.st_size,
                    "mtime_ns": stat.st_mtime_ns,
                }
            )
    return inputs


def _assemble(
    regions: pd.DataFrame,
    cells: list[str],
    accessibility: Any,
    pairs: list[Pair],
    called: Found,
    sites: Found,
    settings: dict[str, Any],
    inputs: list[dict[str, Any]],
) -> MatrixParts:
    """Cut the evidence to open regions and lay it out by experiment."""
    open_bits = dict(zip(cells, accessibility, strict=True))
    blank = np.zeros(accessibility.shape[1], dtype=np.uint8)
    rows, region, kind = [], [], []
    for tf, cell in pairs:
        has_peaks, has_tfbs = (tf, cell) in called.pairs, (tf, cell) in sites.pairs
        peak = called.bits.row(called.pairs[tf, cell]) if has_peaks else blank
        site = sites.bits.row(sites.pairs[tf, cell]) if has_tfbs else blank
        at = np.flatnonzero(np.unpackbits((peak | site) & open_bits[cell], count=len(regions)))
        region.append(at.astype(np.int32))
        bit = (128 >> (at & 7)).astype(np.uint8)
        kind.append(
            (PEAK * ((peak[at >> 3] & bit) > 0) + TFBS * ((site[at >> 3] & bit) > 0)).astype(
                np.uint8
            )
        )
        accessions = called.accessions.get((tf, cell), set()) | sites.accessions.get(
            (tf, cell), set()
        )
        rows.append(
            (tf, cell, ";".join(sorted(accessions)), has_peaks, has_tfbs,
             called.used[tf, cell], sites.used[tf, cell])
        )  # fmt: skip
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


def _unmatched(found: Found, kind: str, known: Mapping[str, str]) -> list[dict[str, Any]]:
    cells = {name: name for name in known} | {cell: cell for cell in known.values()}
    return [
        {"kind": kind, "name": name, "rows": rows, "nearest": nearest(name, cells)}
        for name, rows in sorted(found.unmatched.items(), key=lambda item: (-item[1], item[0]))
    ]
