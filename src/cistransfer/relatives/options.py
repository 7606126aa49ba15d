"""What can be chosen when TFs are chosen: the evidence, and the group."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cistransfer.options import check_options, option

__all__ = ["CUT", "GroupOptions", "Sources"]

StrPath = str | os.PathLike[str]

CUT = 3.0
"""Clusters are cut where motifs match at p = 0.001 on average.

Between 2.5 and 3 the modes of the six published targets come out as published, and the agreement
with TFClass families is best (kappa 0.58; 0.53 at 3.1, where EGR1 leaves SP1).
"""


@dataclass(frozen=True)
class Sources:
    """Evidence about the TFs and the target.

    Attributes
    ----------
    modes : path or str, optional
        Binding modes (see `cistransfer.relatives.read_modes.read_modes`). Where a group needs
        them and none are named, JASPAR's motifs are clustered, if pyjaspar is installed.
    level, cut, symbols
        How to read them (see there).
    partners : path, optional
        STRING's links file (with ``partner_names``), or a table of TF, partner, score.
    partner_names : path, optional
        STRING's info file.
    least_score : float, optional
        Least score of a partner; by default 0.4 for STRING and none for a table.
    peaks : path, optional
        The target's own peaks (BED or narrowPeak).
    cell : str, optional
        Cell of the matrix in which they were made.
    accessible : path, optional
        BED of the regions open in their cell.
    motif : path, optional
        The target's motif (a motif file of any format).
    profiles : path or str, optional
        Motifs of known TFs to match it with, when the modes are not made of motifs.
    """

    modes: StrPath | None = option(
        None,
        cli=str,
        path=True,
        help="Binding modes: TF and clusters (TSV), TFClass (OBO), CIS-BP (TSV), motifs to "
        "cluster (MEME, JASPAR), or JASPAR2024 [default: JASPAR2020, if pyjaspar is here].",
    )
    level: str = option(
        "family",
        flag="--tfclass-level",
        choices=("superclass", "class", "family", "subfamily"),
        help="Level of TFClass: superclass, class, family, subfamily.",
    )
    cut: float = option(CUT, help="Cut clusters of motifs at Tomtom p = 10^-CUT; less is larger.")
    symbols: StrPath | None = option(
        None, cli=Path, help="Ensembl ids and symbols for TFClass (CIS-BP's TSV)."
    )
    partners: StrPath | None = option(
        None, cli=Path, help="STRING protein.links file, or TSV: TF, partner, score."
    )
    partner_names: StrPath | None = option(
        None,
        cli=Path,
        needs=("partners",),
        help="STRING protein.info file, with the links file.",
    )
    least_score: float | None = option(
        None,
        flag="--min-score",
        needs=("partners",),
        help="Least partner score [default: 0.4 for STRING].",
    )
    peaks: StrPath | None = option(
        None, cli=Path, help="Your own peaks of the target (BED, narrowPeak)."
    )
    cell: str | None = option(
        None, needs=("peaks",), help="Cell of the matrix that your peaks are from."
    )
    accessible: StrPath | None = option(
        None,
        flag="--open",
        cli=Path,
        needs=("peaks",),
        help="BED of open regions in the cell of your peaks.",
    )
    motif: StrPath | None = option(
        None,
        flag="--target-motif",
        cli=Path,
        help="Motif of the target (any motif file), to find its mode.",
    )
    profiles: StrPath | None = option(
        None,
        cli=str,
        path=True,
        needs=("motif",),
        help="Known motifs to match it with, or JASPAR2024.",
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class GroupOptions:
    """Which of them.

    Attributes
    ----------
    n, with_target, mode, wider, exclude, least_common, least_bound
        Of `cistransfer.relatives.choose.choose_group`.
    """

    n: int | None = option(
        None, flag="--n-tfs", min=1, help="How many TFs [default: 5, or the group's]."
    )
    with_target: bool = option(False, help="Give the target one of the places.")
    mode: str | None = option(None, help="Count only this one of the target's binding modes.")
    wider: bool = option(False, help="Take larger groups when a mode has too few TFs.")
    exclude: tuple[str, ...] = option(
        (), flag="--exclude-tfs", help="Comma list of TFs to leave out."
    )
    least_common: int | None = option(
        None,
        flag="--min-common",
        min=0,
        help="Least number of regions resolved for all TFs of the group.",
    )
    least_bound: int = option(
        1, flag="--min-bound", min=0, help="Leave out TFs with fewer bound regions."
    )

    def __post_init__(self) -> None:
        check_options(self)
