"""What can be said about a file of open regions."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cistransfer.options import check_options, option

__all__ = ["OpenOptions"]

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class OpenOptions:
    """Open regions.

    `cistransfer.openness.read.open_form` tells by its content what ``open`` is, and
    `cistransfer.openness.read.FORMS` what else goes with which form.
    """

    open: PathLike | None = option(
        None,
        metavar="FILE",
        cli=Path,
        help="Open regions, told by content: UCSC's clustered DHS table; a sheet (TSV: cell, file) "
        "of BED files; a table of regions x cells (0/1 or a signal).",
    )
    regions: PathLike | None = option(
        None,
        metavar="BED",
        cli=Path,
        help="The regions of a table; of a sheet, instead of its merged peaks.",
    )
    dhs_sources: PathLike | None = option(
        None, metavar="FILE", cli=Path, help="Sources table of a DHS table."
    )
    ucsc2encode: PathLike | None = option(
        None, metavar="TSV", cli=Path, help="UCSC source name to ENCODE term, for a DHS table."
    )
    samples: PathLike | None = option(
        None,
        metavar="TSV",
        cli=Path,
        help="Sample sheet: cell, dhs_source, peaks_name, tfbs_name.",
    )
    open_above: float | None = option(
        None, help="Open where a table's number is above this (0 in a table of 0 and 1)."
    )
    z_above: float | None = option(
        None,
        help="Open where the Z-score of log10 of a table's signal is above this (published: 1.64) "
        "in any replicate (columns CELL or CELL.1, CELL.2).",
    )
    replicates: PathLike | None = option(
        None, metavar="TSV", cli=Path, help="Columns of signals and their cells: column, cell."
    )

    def __post_init__(self) -> None:
        check_options(self)
