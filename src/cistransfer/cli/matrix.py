"""``cistransfer matrix``: build, import, inspect and export binding matrices."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cistransfer.cli.command import AsJson, finish
from cistransfer.errors import InputError

__all__ = ["register"]

matrix_app = typer.Typer(
    help="Build, import, inspect and export binding matrices.", no_args_is_help=True
)

Matrix = Annotated[Path, typer.Argument(metavar="M.h5", help="A binding matrix.")]
Out = Annotated[Path, typer.Option("--out", metavar="PATH", help="The matrix file to write (.h5).")]
Rule = Annotated[
    str | None,
    typer.Option(
        "--rule",
        metavar="RULE",
        help="sparse (default), less-sparse, full, peaks-only, peaks-only-full.",
    ),
]
GenomeName = Annotated[
    str, typer.Option("--genome-name", metavar="NAME", help="Name of the assembly.")
]
Name = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Name of the matrix (the file's).")
]
Sequences = Annotated[
    Path | None,
    typer.Option("--sequences", metavar="PATH", help="Genome FASTA, or FASTA of windows."),
]


def _file(flag: str, text: str) -> Any:
    return typer.Option(flag, metavar="PATH", help=text)


@matrix_app.command("build")
def build(
    out: Out,
    dhs: Annotated[
        Path | None, _file("--dhs", "UCSC's clustered DHS table (wgEncodeRegDnaseClustered).")
    ] = None,
    dhs_sources: Annotated[Path | None, _file("--dhs-sources", "Its sources table.")] = None,
    ucsc2encode: Annotated[
        Path | None, _file("--ucsc2encode", "UCSC source name to ENCODE term (TSV).")
    ] = None,
    open_sheet: Annotated[
        Path | None,
        _file("--open", "Instead of --dhs: sheet (TSV: cell, file) of BED files of open regions."),
    ] = None,
    regions: Annotated[
        Path | None, _file("--regions", "With --open or --open-table: the regions (BED).")
    ] = None,
    open_table: Annotated[
        Path | None,
        _file("--open-table", "Instead of --dhs: table of regions x cells (0/1 or a signal)."),
    ] = None,
    open_above: Annotated[
        float, typer.Option("--open-above", help="A region is open where the table is above this.")
    ] = 0.0,
    samples: Annotated[
        Path | None,
        _file("--samples", "Sample sheet (TSV): cell, dhs_source, peaks_name, tfbs_name."),
    ] = None,
    peaks: Annotated[
        list[Path] | None,
        _file("--peaks", "ReMap BED, folder of them, or sheet (.tsv: file, tf, cell); repeatable."),
    ] = None,
    tfbs: Annotated[
        list[Path] | None,
        _file("--tfbs", "UniBind tar, folder, BED or sheet (.tsv); repeatable."),
    ] = None,
    window: Annotated[
        int,
        typer.Option("--window", min=0, metavar="BP", help="Region width; 0: as they are."),
    ] = 200,
    assayed: Annotated[
        str | None,
        typer.Option(
            "--assayed",
            metavar="RULE",
            help="What makes a TF assayed in a cell: tfbs (published; default), peaks, either, "
            "both.",
        ),
    ] = None,
    chrom_sizes: Annotated[
        Path | None, _file("--chrom-sizes", "Chromosome lengths (.chrom.sizes or .fai).")
    ] = None,
    edges: Annotated[
        str,
        typer.Option("--edges", metavar="RULE", help="Windows off a chromosome: drop or clip."),
    ] = "drop",
    exclude: Annotated[
        list[Path] | None,
        _file("--exclude", "Leave out windows that touch these regions (blacklist, gaps)."),
    ] = None,
    treated: Annotated[
        bool, typer.Option("--treated", help="Use experiments on treated cells too.")
    ] = False,
    genome: GenomeName = "hg38",
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Build the three-state TF x region matrix from open regions, peaks and TFBS predictions."""
    from cistransfer.binding.build import build_matrix
    from cistransfer.openness.options import OpenOptions

    given = [path for path in (dhs, open_sheet, open_table) if path is not None]
    if len(given) != 1:
        raise InputError("open regions are needed: one of --dhs, --open and --open-table")
    report = build_matrix(
        out,
        OpenOptions(
            given[0],
            regions=regions,
            dhs_sources=dhs_sources,
            ucsc2encode=ucsc2encode,
            samples=samples,
            open_above=None if open_table is None else open_above,
        ),
        peaks=peaks or (),
        tfbs=tfbs or (),
        window=window,
        assayed=assayed,
        genome=genome,
        name=name,
        treated=treated,
        edges=edges,
        chrom_sizes=chrom_sizes,
        exclude=exclude or (),
    )
    lines = [
        f"{report.regions:,} regions, {report.cells} cells, {report.tfs} TFs, "
        f"{report.experiments:,} experiments (TF x cell)",
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
    lines += report.notes
    finish(asdict(report), as_json, [*lines, f"written: {out}"])


def _placed(
    what: str, read: int, used: int, placed: int, chroms: dict[str, list[int]]
) -> list[str]:
    """Word how many rows of one kind of evidence came where."""
    if not read:
        return []
    on = [chrom for chrom, (_, inside) in chroms.items() if inside]
    return [
        f"{what}: {read:,} rows read, {used:,} of a chosen cell and a TF assayed there; of these "
        f"{placed:,} in open regions, {used - placed:,} outside; in open regions on {len(on)} of "
        f"{len(chroms)} chromosomes"
    ]


def _listed(what: str, unmatched: list[dict[str, Any]], most: int = 20) -> list[str]:
    lines = [
        f"unmatched {each.get('kind', '')} {what} {each['name']!r}: {each['rows']:,} rows; "
        f"{each['nearest']}".replace("  ", " ")
        for each in unmatched[:most]
    ]
    if len(unmatched) > most:
        lines.append(f"… and {len(unmatched) - most} more unmatched (--json lists all)")
    return lines


@matrix_app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The published files.")],
    out: Out,
    genome: GenomeName = "hg38",
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Import the authors' published matrices (.npz, FASTA, index pickles)."""
    from cistransfer.binding.published.read import import_published

    report = import_published(folder, out, genome=genome, name=name)
    lines = [
        f"{report.tfs} TFs in {report.cells} cells, {report.experiments} experiments; "
        f"{report.regions:,} of {report.regions_in_files:,} regions have a known place",
        f"{report.regions_open_nowhere:,} of these are not resolved for any of the TFs",
    ]
    if report.cells_without_experiments:
        lines.append(f"{len(report.cells_without_experiments)} cells hold none of the TFs")
    finish(asdict(report), as_json, [*lines, f"written: {out}"])


@matrix_app.command("info")
def info(
    matrix: Matrix,
    rule: Rule = None,
    sequences: Sequences = None,
    figures: Annotated[
        Path | None,
        typer.Option("--figures", metavar="DIR", help="Write figures into this folder."),
    ] = None,
    tfclass: Annotated[
        Path | None, _file("--tfclass", "Order the heat map by TFClass (OBO); else clustered.")
    ] = None,
    symbols: Annotated[
        Path | None, _file("--symbols", "Ensembl ids and symbols (TSV), to find TFs in TFClass.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what a matrix holds per TF and per cell; with --figures, draw it."""
    from cistransfer.binding.facts.counts import describe, facts_of, header
    from cistransfer.binding.matrix import open_matrix

    opened = open_matrix(matrix)
    facts = facts_of(opened, rule, sequences=sequences)
    written: list[str] = []
    if figures is not None:
        from cistransfer.binding.facts.figures import write_figures

        written = [str(path) for path in write_figures(figures, opened, facts, tfclass, symbols)]
    finish(
        {**header(opened), **facts.as_json(), "figures": written},
        as_json,
        [*describe(opened, facts), *(f"written: {path}" for path in written)],
    )


@matrix_app.command("check")
def check(matrix: Matrix, as_json: AsJson = False) -> None:
    """Read a whole matrix file and compare it with its content hash."""
    from cistransfer.binding.matrix import open_matrix

    opened = open_matrix(matrix)
    opened.check()
    finish(
        {"path": str(matrix), "content_hash": opened.content_hash},
        as_json,
        [f"{matrix}: whole; its content is {opened.content_hash}"],
    )


@matrix_app.command("export")
def export(
    matrix: Matrix,
    out: Annotated[
        Path, typer.Option("--out", metavar="PATH", help="File (h5ad, tsv) or folder (npz, fasta).")
    ],
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="npz, h5ad, tsv or fasta.")],
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            metavar="WHAT",
            help="tfs: regions x TFs; cells: each TF x cell apart; scores: 3-D scores 0 to 4.",
        ),
    ] = "tfs",
    rule: Rule = None,
    tf: Annotated[
        list[str] | None, typer.Option("--tf", metavar="TF", help="Only this TF; repeatable.")
    ] = None,
    cell: Annotated[
        list[str] | None, typer.Option("--cell", metavar="CELL", help="Only this cell; repeatable.")
    ] = None,
    sequences: Sequences = None,
    width: Annotated[
        int | None, typer.Option("--width", min=1, metavar="BP", help="Width of the sequences.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a matrix as the published .npz and FASTA files, AnnData or TSV."""
    from cistransfer.binding.export import export_matrix
    from cistransfer.binding.matrix import open_matrix

    written = export_matrix(
        open_matrix(matrix),
        out,
        to,
        layout=layout,
        rule=rule,
        tfs=tf,
        cells=cell,
        sequences=sequences,
        width=width,
    )
    paths = [str(path) for path in written]
    shown = paths if len(paths) < 8 else [*paths[:4], f"… {len(paths)} files in all"]
    finish({"files": paths}, as_json, [f"written: {path}" for path in shown])


@matrix_app.command("common")
def common(
    matrix: Matrix,
    n: Annotated[int, typer.Option("--n", min=1, metavar="N", help="How many TFs.")],
    rule: Annotated[
        str, typer.Option("--rule", metavar="RULE", help="Rule of the states.")
    ] = "less-sparse",
    as_json: AsJson = False,
) -> None:
    """Choose N TFs resolved in many common regions: the published rule and the maximum."""
    from cistransfer.binding.facts.common import common_regions, maximise_common, most_resolved
    from cistransfer.binding.matrix import open_matrix

    opened = open_matrix(matrix)
    published = most_resolved(opened, n, rule)
    regions = len(common_regions(opened, published, rule))
    best = maximise_common(opened, n, rule)
    bound = (
        "the maximum" if best.proven else f"the best found; no choice has more than {best.bound:,}"
    )
    finish(
        {"published": {"tfs": list(published), "regions": regions}, "maximum": asdict(best)},
        as_json,
        [
            f"published rule (most resolved): {regions:,} common regions: {' '.join(published)}",
            f"most common regions: {best.regions:,} ({bound}): {' '.join(best.tfs)}",
        ],
    )


def register(app: typer.Typer) -> None:
    """Add the verbs to the application."""
    app.add_typer(matrix_app, name="matrix")
