"""``cistransfer matrix``: build, import, inspect and export binding matrices."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cistransfer.cli.groups import GENOME
from cistransfer.cli.verb import Done
from cistransfer.openness.options import OpenOptions
from cistransfer.options import arguments, option

if TYPE_CHECKING:
    from cistransfer.binding.build_report import BuildReport

__all__ = [
    "build",
    "check",
    "common",
    "export",
    "import_",
    "info",
]

RULES = "sparse (default), less-sparse, full, peaks-only, peaks-only-full."


@dataclass(frozen=True)
class Written:
    """The matrix."""

    out: Path = option(help="The matrix file to write (.h5).")
    genome: str | None = option(
        None,
        flag="--assembly",
        help="Name of the assembly [default: told by --chrom-sizes or accessions; of the published "
        "files hg38].",
    )
    name: str | None = option(None, help="Name of the matrix (the file's).")


@dataclass(frozen=True)
class Evidence:
    """Binding."""

    peaks: tuple[Path, ...] = option(
        (),
        repeat=True,
        help="ReMap BED, folder of them, or sheet (.tsv: file, tf, cell); repeatable.",
    )
    tfbs: tuple[Path, ...] = option(
        (), repeat=True, help="UniBind tar, folder, BED or sheet (.tsv); repeatable."
    )
    assayed: str | None = option(
        None,
        choices=("tfbs", "peaks", "either", "both"),
        help="What makes a TF assayed in a cell: tfbs (published; default), peaks, either, both.",
    )
    treated: bool = option(False, help="Use experiments on treated cells too.")


@dataclass(frozen=True)
class Windows:
    """Windows."""

    window: int = option(200, min=0, help="Region width in bp; 0: as they are.")
    label_window: int | None = option(
        None,
        min=1,
        help="Width in bp in which peaks and TFBS count [default: 200, as published, where "
        "--window is wider]; that of --window labels wider regions anew.",
    )
    chrom_sizes: Path | None = option(None, help="Chromosome lengths (.chrom.sizes or .fai).")
    edges: str = option(
        "drop", choices=("drop", "clip"), help="Windows off a chromosome: drop or clip."
    )
    exclude: tuple[Path, ...] = option(
        (),
        flag="--blacklist",
        repeat=True,
        help="Leave out windows that touch these regions (BED; repeatable).",
    )


def build(
    matrix: Written,
    opened: OpenOptions,
    evidence: Evidence,
    windows: Windows,
) -> Done:
    """Build the three-state TF x region matrix from open regions, peaks and TFBS predictions."""
    from cistransfer.api.data import build_matrix

    report = build_matrix(
        matrix.out,
        opened,
        genome=matrix.genome,
        name=matrix.name,
        **arguments(evidence),
        **arguments(windows),
    )
    return Done(
        asdict(report),
        [*_lines(report), f"written: {matrix.out}"],
        written=[matrix.out],
        used={"assembly": report.genome, "inputs": _lines(report)},
    )


def _lines(report: BuildReport) -> list[str]:
    """What the matrix holds, and what was not used."""
    lines = [
        f"{report.regions:,} regions, {report.cells} cells, {report.tfs} TFs, "
        f"{report.experiments:,} experiments (TF x cell); assembly: {report.genome}",
        *_placed(
            "peaks",
            report.peak_rows,
            report.peak_rows_used,
            report.peak_rows_placed,
            report.peak_chroms,
        ),
        *_placed(
            "TFBS",
            report.tfbs_rows,
            report.tfbs_rows_used,
            report.tfbs_rows_placed,
            report.tfbs_chroms,
        ),
    ]
    lines += [
        f"{count:,} open regions left out: {why}" for why, count in report.regions_left_out.items()
    ]
    if report.cells_without_experiments:
        lines.append("cells without experiments: " + ", ".join(report.cells_without_experiments))
    lines += _listed("cell", report.unmatched)
    lines += _listed("TF without TFBS", report.unmatched_tfs)
    if report.not_assayed:
        lines.append(
            f"{sum(report.not_assayed.values()):,} peak rows of {len(report.not_assayed)} "
            "TF x cell that are not assayed were not used"
        )
    return [*lines, *report.notes]


def _placed(
    what: str, read: int, used: int, placed: int, chroms: dict[str, list[int]]
) -> list[str]:
    """Word how many rows of one kind of evidence came where."""
    if not read:
        return []
    on = [chrom for chrom, (_, inside) in chroms.items() if inside]
    return [
        f"{what}: {read:,} rows read, {used:,} of a chosen cell and a TF assayed there; of these "
        f"{placed:,} in regions open in their cell, {used - placed:,} not; in open regions on "
        f"{len(on)} of {len(chroms)} chromosomes"
    ]


def _listed(what: str, unmatched: list[dict[str, Any]], max_lines: int = 20) -> list[str]:
    lines = [
        f"unmatched {each.get('kind', '')} {what} {each['name']!r}: {each['rows']:,} rows; "
        f"{each['nearest']}".replace("  ", " ")
        for each in unmatched[:max_lines]
    ]
    if len(unmatched) > max_lines:
        lines.append(f"… and {len(unmatched) - max_lines} more unmatched (--json lists all)")
    return lines


@dataclass(frozen=True)
class Published:
    """The published files."""

    folder: Path = option(positional=True, metavar="DIR", help="The published files.")


@dataclass(frozen=True)
class MadeOf:
    """Where the regions are."""

    open: Path | None = option(
        None,
        metavar="FILE",
        help="UCSC's clustered DHS table, of which they follow, also on chromosomes whose "
        "sequences were not published.",
    )
    dhs_sources: Path | None = option(
        None, metavar="FILE", needs=("open",), help="Sources table of a DHS table."
    )
    ucsc2encode: Path | None = option(
        None, metavar="TSV", needs=("open",), help="UCSC source name to ENCODE term."
    )


def import_(published: Published, places: MadeOf, matrix: Written) -> Done:
    """Import the authors' published matrices (.npz, FASTA, index pickles)."""
    from cistransfer.api.data import import_matrix

    genome = matrix.genome or "hg38"
    dhs = None if places.open is None else OpenOptions(**arguments(places))
    report = import_matrix(published.folder, matrix.out, genome=genome, name=matrix.name, dhs=dhs)
    lines = [
        f"{report.tfs} TFs in {report.cells} cells, {report.experiments} experiments; "
        f"{report.regions:,} of {report.regions_in_files:,} regions have a known place",
        f"{report.regions_open_nowhere:,} of these are not resolved for any of the TFs",
    ]
    if report.cells_without_experiments:
        lines.append(f"{len(report.cells_without_experiments)} cells hold none of the TFs")
    return Done(asdict(report), [*lines, f"written: {matrix.out}"], written=[matrix.out])


@dataclass(frozen=True)
class Opened:
    """The matrix."""

    matrix: Path = option(positional=True, metavar="M.h5", help="A binding matrix.")
    rule: str | None = option(None, help=RULES)


@dataclass(frozen=True)
class Shown:
    """What is shown."""

    genome: Path | None = option(None, help=GENOME + " For their GC content.")
    figures: Path | None = option(
        None, metavar="DIR", writes=(), help="Write figures into this folder."
    )
    tfclass: Path | None = option(
        None, needs=("figures",), help="Order the heat map by TFClass (OBO); else clustered."
    )
    symbols: Path | None = option(
        None, needs=("tfclass",), help="Ensembl ids and symbols (TSV), to find TFs in TFClass."
    )


def info(matrix: Opened, shown: Shown) -> Done:
    """Print what a matrix holds per TF and per cell; with --figures, draw it."""
    from cistransfer.api.data import matrix_facts, open_matrix
    from cistransfer.binding.facts.counts import describe, header

    opened = open_matrix(matrix.matrix)
    facts = matrix_facts(opened, matrix.rule, genome=shown.genome)
    written: list[str] = []
    if shown.figures is not None:
        from cistransfer.binding.facts.figures import write_figures

        paths = write_figures(shown.figures, opened, facts, shown.tfclass, shown.symbols)
        written = [str(path) for path in paths]
    return Done(
        {**header(opened), **facts.as_json(), "figures": written},
        [*describe(opened, facts), *(f"written: {path}" for path in written)],
        written=[] if shown.figures is None else [shown.figures],
    )


@dataclass(frozen=True)
class Checked:
    """The matrix."""

    matrix: Path = option(positional=True, metavar="M.h5", help="A binding matrix.")


def check(checked: Checked) -> Done:
    """Read a whole matrix file and compare it with its content hash."""
    from cistransfer.api.data import open_matrix

    opened = open_matrix(checked.matrix)
    opened.check()
    return Done(
        {"path": str(checked.matrix), "content_hash": opened.content_hash},
        [f"{checked.matrix}: whole; its content is {opened.content_hash}"],
    )


@dataclass(frozen=True)
class Export:
    """What is exported."""

    out: Path = option(writes=(), help="File (h5ad, tsv) or folder (npz, fasta).")
    to: str = option(choices=("npz", "h5ad", "tsv", "fasta"), help="npz, h5ad, tsv or fasta.")
    layout: str = option(
        "tfs",
        choices=("tfs", "cells", "scores"),
        help="tfs: regions x TFs; cells: each TF x cell apart; scores: 3-D scores 0 to 4.",
    )
    tfs: tuple[str, ...] = option((), help="Comma list: only these TFs.")
    cells: tuple[str, ...] = option((), help="Comma list: only these cells.")
    sequences: Path | None = option(None, flag="--genome", help=GENOME)
    width: int | None = option(None, flag="--window", min=1, help="Width of the sequences in bp.")
    chroms: tuple[str, ...] = option((), help="Comma list: only sequences of these chromosomes.")


def export(matrix: Opened, what: Export) -> Done:
    """Write a matrix as the published .npz and FASTA files, AnnData or TSV."""
    from cistransfer.api.data import export_matrix

    exported = export_matrix(
        matrix.matrix,
        what.out,
        what.to,
        layout=what.layout,
        rule=matrix.rule,
        tfs=what.tfs or None,
        cells=what.cells or None,
        sequences=what.sequences,
        width=what.width,
        chroms=what.chroms or None,
    )
    paths = [str(path) for path in exported.files]
    shown = paths if len(paths) < 8 else [*paths[:4], f"… {len(paths)} files in all"]
    lines = [
        f"left out: {count:,} regions on {name}, of which {what.sequences} holds no sequence"
        for name, count in exported.left_out.items()
    ]
    return Done(
        {"files": paths, "left_out": exported.left_out},
        [*lines, *(f"written: {path}" for path in shown)],
        written=[what.out],
    )


@dataclass(frozen=True)
class Chosen:
    """The choice."""

    matrix: Path = option(positional=True, metavar="M.h5", help="A binding matrix.")
    n: int = option(flag="--n-tfs", min=1, help="How many TFs.")
    rule: str | None = option(
        None, help="View of the matrix [default: less-sparse; of a matrix without TFBS peaks-only]."
    )


def common(chosen: Chosen) -> Done:
    """Choose N TFs resolved in many common regions: the published rule and the maximum."""
    from cistransfer.api.data import common_tfs

    published, regions, best = common_tfs(chosen.matrix, chosen.n, chosen.rule)
    bound = (
        "the maximum" if best.proven else f"the best found; no choice has more than {best.bound:,}"
    )
    return Done(
        {"published": {"tfs": list(published), "regions": regions}, "maximum": asdict(best)},
        [
            f"published rule (most resolved): {regions:,} common regions: {' '.join(published)}",
            f"most common regions: {best.regions:,} ({bound}): {' '.join(best.tfs)}",
        ],
    )
