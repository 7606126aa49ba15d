"""What can be chosen when TFs are chosen: the evidence, and the group."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cistransfer.options import check_options, option

if TYPE_CHECKING:
    import pandas as pd

    from cistransfer.motifs.pwm import PWM

__all__ = ["CUT", "DEFAULT_GROUP", "GroupOptions", "Sources"]

StrPath = str | os.PathLike[str]

DEFAULT_GROUP = "relatives"
"""The group of `cistransfer.relatives.groups.GROUPS` that is chosen where none is named."""

CUT = 0.95
"""Similarity at which motifs are clustered, the prior of one family (0.6) included.

So motifs of one family are together from 0.35 on, others when they are nearly the same. Chosen by
the agreement with TFClass families over all 151 TFs of nine chromosomes: kappa 0.83, 0.80 at 0.85,
0.81 at 1.05.
"""


@dataclass(frozen=True)
class Sources:
    """Evidence about the TFs and the target.

    Attributes
    ----------
    modes : path or str, optional
        Binding modes (see `cistransfer.relatives.read_modes.read_modes`). Where a group needs
        them and none are named, JASPAR's motifs are clustered, if pyjaspar is installed; else the
        families that come with the package are taken.
    level, cut, symbols
        How to read them (see there).
    partners : path, optional
        STRING's links file (with ``partner_names``), or a table of TF, partner, score.
    partner_names : path, optional
        STRING's info file.
    min_score : float, optional
        Least score of a partner; by default 0.4 for STRING and none for a table.
    peaks : path or DataFrame, optional
        The target's own peaks (BED or narrowPeak).
    evidence_cell : str, optional
        Cell of the matrix, whose evidence alone is looked at; that of the peaks.
    accessible : path or DataFrame, optional
        BED of the regions open in the cell of the peaks.
    motif : path, PWM or PWMs, optional
        The target's motif (a motif file of any format).
    profiles : path or str, optional
        Motifs of known TFs to match it with, when the modes are not made of motifs.
    """

    modes: StrPath | None = option(
        None,
        cli=str,
        path=True,
        help="Binding modes: TF and clusters (TSV), TFClass (OBO), CIS-BP (TSV), motifs to "
        "cluster (MEME, JASPAR), JASPAR2024, or families [default: JASPAR2020; families without "
        "pyjaspar].",
    )
    level: str = option(
        "family",
        flag="--tfclass-level",
        choices=("superclass", "class", "family", "subfamily"),
        help="Level of TFClass: superclass, class, family, subfamily.",
    )
    cut: float = option(
        CUT, help="Cut clusters of motifs at this similarity (one family: + 0.6); less is larger."
    )
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
    min_score: float | None = option(
        None,
        needs=("partners",),
        help="Least partner score [default: 0.4 for STRING].",
    )
    peaks: StrPath | pd.DataFrame | None = option(
        None, cli=Path, help="Your own peaks of the target (BED, narrowPeak)."
    )
    evidence_cell: str | None = option(
        None, help="Look only at what was found in this cell of the matrix (that of your peaks)."
    )
    accessible: StrPath | pd.DataFrame | None = option(
        None,
        flag="--open",
        cli=Path,
        needs=("peaks",),
        help="BED of open regions in the cell of your peaks.",
    )
    motif: StrPath | PWM | Sequence[PWM] | None = option(
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
    n : int, optional
        How many TFs, the target included (5; 50 for the most resolved and the buried; every mode
        for ``general``).
    with_target : bool
        Whether the target is one of the tasks (then it takes one of the ``n`` places).
    mode : str, optional
        Only TFs of this binding mode count as sharing one (the published code uses one of the
        target's modes: where nothing is named, the ``…binding-mode-published`` groups take the one
        with most TFs).
    wider : bool
        Take the next larger groups of the source when too few TFs share a mode.
    exclude : sequence of str
        TFs not to choose.
    min_common : int, optional
        Least number of regions resolved for all chosen TFs. Drawn groups are drawn again until
        they have it. By default none; for the published drawn groups 3.85 % of the regions, which
        are the published 70,000 on the whole matrix.
    min_bound : int, optional
        TFs with fewer bound regions are not chosen; by default 100 (1 % of the regions of a smaller
        matrix), for published groups 1, as their code does.
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
    min_common: int | None = option(
        None,
        min=0,
        help="Least number of regions resolved for all TFs of the group.",
    )
    min_bound: int | None = option(
        None,
        min=0,
        help="Leave out TFs with fewer bound regions [default: 100, or 1 % of the regions; "
        "1 of published groups].",
    )

    def __post_init__(self) -> None:
        check_options(self)
