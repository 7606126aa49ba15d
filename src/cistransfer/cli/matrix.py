"""``cistransfer matrix``: build, import, inspect and export binding matrices."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cistransfer.cli.command import AsJson, finish

__all__ = ["register"]

matrix_app = typer.Typer(
    help="Build, import, inspect and export binding matrices.", no_args_is_help=True
)

Matrix = Annotated[Path, typer.Argument(metavar="M.h5", help="A binding matrix.")]


@matrix_app.command("build")
def build(
    dhs: Annotated[
        Path, typer.Option("--dhs", help="UCSC's clustered DHS table (wgEncodeRegDnaseClustered).")
    ],
    dhs_sources: Annotated[
        Path, typer.Option("--dhs-sources", help="Its sources table: id, name.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The matrix file to write (.h5).")],
    ucsc2encode: Annotated[
        Path | None, typer.Option("--ucsc2encode", help="UCSC source name to ENCODE term (TSV).")
    ] = None,
    samples: Annotated[
        Path | None,
        typer.Option("--samples", help="Sample sheet: cell, dhs_source, peaks_name, tfbs_name."),
    ] = None,
    peaks: Annotated[
        list[Path] | None,
        typer.Option("--peaks", help="ReMap BED, folder of them, or sheet (.tsv); repeatable."),
    ] = None,
    tfbs: Annotated[
        list[Path] | None,
        typer.Option("--tfbs", help="UniBind tar, folder, BED or sheet (.tsv); repeatable."),
    ] = None,
    window: Annotated[int, typer.Option("--window", min=0, help="Region width in bp.")] = 200,
    assayed: Annotated[
        str | None,
        typer.Option(
            "--assayed",
            help="What makes a TF assayed in a cell: tfbs (published; default), peaks, either, "
            "both.",
        ),
    ] = None,
    genome: Annotated[str, typer.Option("--genome-name", help="Name of the assembly.")] = "hg38",
    name: Annotated[str | None, typer.Option("--name", help="Name of the matrix.")] = None,
    treated: Annotated[
        bool, typer.Option("--treated", help="Use experiments on treated cells too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Build the three-state TF x region matrix from DHS, peaks and TFBS predictions."""
    from cistransfer.binding.build import build_matrix

    report = build_matrix(
        out,
        dhs=dhs,
        dhs_sources=dhs_sources,
        ucsc2encode=ucsc2encode,
        samples=samples,
        peaks=peaks or (),
        tfbs=tfbs or (),
        window=window,
        assayed=assayed,
        genome=genome,
        name=name,
        treated=treated,
    )
    lines = [
        f"{report.regions:,} regions, {report.cells} cells, {report.tfs} TFs, "
        f"{report.experiments:,} experiments (TF x cell)",
        f"rows used: {report.peak_rows_used:,} of {report.peak_rows:,} peaks, "
        f"{report.tfbs_rows_used:,} of {report.tfbs_rows:,} TFBS",
    ]
    lines += [
        f"{count:,} open regions left out: {why}" for why, count in report.regions_left_out.items()
    ]
    if report.cells_without_experiments:
        lines.append("cells without experiments: " + ", ".join(report.cells_without_experiments))
    lines += [
        f"unmatched {each['kind']} cell {each['name']!r}: {each['rows']:,} rows; {each['nearest']}"
        for each in report.unmatched[:20]
    ]
    if len(report.unmatched) > 20:
        lines.append(f"… and {len(report.unmatched) - 20} more unmatched names (--json has all)")
    if report.not_assayed:
        lines.append(
            f"{sum(report.not_assayed.values()):,} peak rows of {len(report.not_assayed)} "
            "TF x cell without a TFBS file were not used"
        )
    finish(asdict(report), as_json, [*lines, f"written: {out}"])


@matrix_app.command("info")
def info(matrix: Matrix, as_json: AsJson = False) -> None:
    """Print what a matrix holds, per TF and per cell."""
    from cistransfer.binding.matrix import open_matrix

    opened = open_matrix(matrix)
    result: dict[str, Any] = {
        "name": opened.name,
        "genome": opened.genome,
        "window": opened.window,
        "regions": len(opened),
        "cells": list(opened.cells),
        "tfs": list(opened.tfs),
        "experiments": len(opened.experiments),
    }
    finish(
        result,
        as_json,
        [
            f"{opened.name}: {len(opened):,} regions of {opened.window} bp ({opened.genome}), "
            f"{len(opened.cells)} cells, {len(opened.tfs)} TFs, "
            f"{len(opened.experiments):,} experiments"
        ],
    )


def register(app: typer.Typer) -> None:
    """Add the verbs to the application."""
    app.add_typer(matrix_app, name="matrix")
