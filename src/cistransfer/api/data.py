"""Open and build what models are made of: genomes, regions, motifs, matrices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cistransfer.api.doors import (
    as_genome,
    as_matrix,
    as_path,
    as_paths,
    as_table,
    fill,
    is_path,
    refuse_others,
)
from cistransfer.api.writes import writes
from cistransfer.binding.build import build_matrix as build
from cistransfer.binding.build_report import BuildReport
from cistransfer.binding.export import Exported
from cistransfer.binding.export import export_matrix as export
from cistransfer.binding.facts.cobinding import default_rule
from cistransfer.binding.facts.common import (
    CommonChoice,
    common_regions,
    maximise_common,
    most_resolved,
)
from cistransfer.binding.facts.counts import Facts, facts_of
from cistransfer.binding.matrix import BindingMatrix
from cistransfer.binding.published.read import ImportReport, import_published
from cistransfer.genome.bed import read_bed
from cistransfer.genome.fasta import Sequences
from cistransfer.motifs.files import Motifs
from cistransfer.motifs.files import read_motifs as read_motif_file
from cistransfer.motifs.pwm import PWM
from cistransfer.openness.options import OpenOptions
from cistransfer.openness.regions import OpenRegions
from cistransfer.options import arguments
from cistransfer.relatives.answer import find_relatives as find
from cistransfer.relatives.choose import Choice
from cistransfer.relatives.options import DEFAULT_GROUP, GroupOptions, Sources

__all__ = [
    "build_matrix",
    "common_tfs",
    "export_matrix",
    "find_relatives",
    "import_matrix",
    "matrix_facts",
    "open_genome",
    "open_matrix",
    "read_motifs",
    "read_regions",
]

PathLike = str | os.PathLike[str]


def open_genome(genome: Any) -> Sequences:
    """Open a genome (FASTA, plain or compressed, or 2bit), or FASTA files of windows.

    Examples
    --------
    >>> import cistransfer as ct
    >>> ct.open_genome("data/genome.fa")
    <Genome genome.fa: 5 chromosomes, ... bp>
    """
    return as_genome(genome)


def read_regions(regions: Any, columns: Any = None, *, keep: bool = False) -> pd.DataFrame:
    """Read peaks or other regions as a table of chrom, start, end (0-based, half-open).

    Parameters
    ----------
    regions : path, table, text or list
        BED, narrowPeak and alike by path; a table (also of pyranges or bioframe); a text like
        ``"chr1:100-300"``, or a list of them or of tuples (`cistransfer.genome.bed.as_regions`).
    columns : str or mapping, optional
        Which columns hold what, in a file whose format is not known.
    keep : bool
        Keep every column of a file.

    Examples
    --------
    >>> import cistransfer as ct
    >>> peaks = ct.read_regions("data/peaks/HNF4A.narrowPeak.gz")
    >>> list(peaks)
    ['chrom', 'start', 'end', 'name', 'strand', 'summit']
    >>> ct.read_regions(["chr1:100-300", ("chr2", 500, 700)])
      chrom  start  end
    0  chr1    100  300
    1  chr2    500  700
    """
    if keep and is_path(regions) and Path(regions).exists():
        return read_bed(regions, columns, keep=True)
    return as_table(regions, columns)


def read_motifs(motifs: Any) -> Motifs:
    """Read motifs: a file, folder or archive of any known format, or ``"jaspar"``.

    Examples
    --------
    >>> import cistransfer as ct
    >>> motifs = ct.read_motifs("data/motifs.meme")
    >>> motifs[0]
    PWM(...)
    """
    if isinstance(motifs, Motifs):
        return motifs
    return read_motif_file(motifs if str(motifs) == "jaspar" else as_path(motifs, "motifs"))


def open_matrix(matrix: Any) -> BindingMatrix:
    """Open a binding matrix: which TF binds which region in which cell, and what is unknown.

    Examples
    --------
    >>> import cistransfer as ct
    >>> ct.open_matrix("matrix.h5")
    <BindingMatrix matrix: ... regions of 100 bp, 15 TFs, 5 cells (simulated)>
    """
    return as_matrix(matrix)


@writes("matrix build")
def build_matrix(
    out: PathLike,
    open: Any,
    *,
    peaks: Any = (),
    tfbs: Any = (),
    window: int = 200,
    label_window: int | None = None,
    assayed: str | None = None,
    genome: str | None = None,
    name: str | None = None,
    treated: bool = False,
    edges: str = "drop",
    chrom_sizes: PathLike | None = None,
    exclude: Any = (),
    **options: Any,
) -> BuildReport:
    """Build a binding matrix out of open regions, peaks and TFBS predictions.

    Parameters
    ----------
    out : path
        The HDF5 file to write.
    open : path, OpenOptions or OpenRegions
        UCSC's DHS table, a sheet of BED files, or a table of regions x cells.
    peaks, tfbs, exclude : path or list of path
        Files (for ``exclude``, blacklists).
    window, label_window, assayed, genome, name, treated, edges, chrom_sizes
        See `cistransfer.binding.build.build_matrix`; ``genome`` is the assembly's name.
    **options
        Of the open regions (``dhs_sources``, ``samples``, ``ucsc2encode`` …:
        `cistransfer.openness.options.OpenOptions`).

    Returns
    -------
    BuildReport
        What was made and what was left out.

    Examples
    --------
    >>> import cistransfer as ct
    >>> table = "wgEncodeRegDnaseClustered"
    >>> ct.build_matrix("small.h5", f"data/{table}.txt.gz", peaks="data/remap.bed.gz",
    ...                 dhs_sources=f"data/{table}Sources.txt.gz", samples="data/samples.tsv",
    ...                 ucsc2encode="data/ucsc2encode.tsv", genome="simulated")
    <BuildReport small.h5: ... regions, 5 cells, 15 TFs, ... experiments>
    """
    if isinstance(open, OpenOptions | OpenRegions):
        refuse_others(options, [], "build_matrix")
        opened = open
    else:
        refuse_others(options, [OpenOptions], "build_matrix")
        opened = fill(OpenOptions, {**options, "open": as_path(open, "open")}, "build_matrix")
    return build(
        as_path(out, "out"),
        opened,
        peaks=as_paths(peaks, "peaks"),
        tfbs=as_paths(tfbs, "tfbs"),
        window=window,
        label_window=label_window,
        assayed=assayed,
        genome=genome,
        name=name,
        treated=treated,
        edges=edges,
        chrom_sizes=chrom_sizes,
        exclude=as_paths(exclude, "exclude"),
    )


@writes("matrix import")
def import_matrix(
    folder: PathLike,
    out: PathLike,
    *,
    genome: str = "hg38",
    name: str | None = None,
    dhs: OpenOptions | None = None,
) -> ImportReport:
    """Make a matrix of the authors' published files (.npz, FASTA, index pickles).

    ``dhs`` names UCSC's clustered DHS, which say where the regions are on chromosomes whose
    sequences were not published.
    """
    return import_published(
        as_path(folder, "folder"), as_path(out, "out"), genome=genome, name=name, dhs=dhs
    )


@writes("matrix export", ())
def export_matrix(matrix: Any, out: PathLike, to: str, **options: Any) -> Exported:
    """Write a matrix as ``npz``, ``fasta``, ``h5ad`` or ``tsv``.

    Options are those of `cistransfer.binding.export.export_matrix`: ``layout``, ``rule``, ``tfs``,
    ``cells``, ``sequences``, ``width``, ``chroms``.
    """
    return export(as_matrix(matrix), as_path(out, "out"), to, **options)


def matrix_facts(matrix: Any, rule: str | None = None, *, genome: Any = None) -> Facts:
    """Count what a matrix holds per TF and per cell; with a ``genome`` also GC content."""
    return facts_of(as_matrix(matrix), rule, sequences=genome)


def common_tfs(
    matrix: Any, n: int, rule: str | None = None
) -> tuple[tuple[str, ...], int, CommonChoice]:
    """Choose ``n`` TFs that are resolved in many common regions.

    The ``rule`` is ``less-sparse`` by default, and ``peaks-only`` of a matrix without TFBS.

    Returns
    -------
    published : tuple of str
        The most resolved TFs, as published.
    regions : int
        Regions that these have in common.
    best : CommonChoice
        The TFs with most common regions that were found, and whether it is the maximum.
    """
    opened = as_matrix(matrix)
    rule = rule or default_rule(opened)
    published = most_resolved(opened, n, rule)
    common = len(common_regions(opened, published, rule))
    return published, common, maximise_common(opened, n, rule)


def find_relatives(
    matrix: Any,
    target: str | pd.DataFrame | PWM | Sequence[PWM] | None = None,
    group: str = DEFAULT_GROUP,
    *,
    name: str | None = None,
    rule: str | None = None,
    seed: int = 0,
    **options: Any,
) -> Choice:
    """Choose the TFs to learn from first for a target, with the evidence for each.

    Parameters
    ----------
    matrix : path or BindingMatrix
    target : str, DataFrame, PWM or sequence of PWM, optional
        A TF, in the matrix or not; its peaks; its motif.
    group : str
        ``relatives``, ``co-binders``, ``cofactors``, ``binding-mode``, ``partners``, ``random`` …
    name : str, optional
        The TF whose peaks or motif these are, where it is known.
    rule : str, optional
        View of the matrix.
    seed : int
    **options
        ``n``, ``with_target``, ``exclude`` … (`cistransfer.relatives.options.GroupOptions`) and
        the evidence: ``modes``, ``peaks``, ``motif`` … (`cistransfer.relatives.options.Sources`).

    Returns
    -------
    Choice
        ``tfs``, ``evidence`` with a row for each, and how ``sure`` it is.

    Examples
    --------
    >>> import cistransfer as ct
    >>> relatives = ct.find_relatives("matrix.h5", "HNF4A", n=3)
    >>> relatives
    <Choice for HNF4A, relatives: ...>
    """
    refuse_others(options, [GroupOptions, Sources], "find_relatives")
    choosing = fill(GroupOptions, options, "find_relatives")
    sources = fill(Sources, options, "find_relatives")
    found = find(as_matrix(matrix), target, sources, name=name, group=group, rule=rule)
    return found.choose(group, **arguments(choosing), seed=seed)
