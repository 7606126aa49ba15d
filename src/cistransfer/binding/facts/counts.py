"""Counts of a matrix per TF and per cell, common regions, overlap and GC, in words too."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer import progress
from cistransfer.binding.facts.cobinding import BindingVectors, pack
from cistransfer.binding.facts.common import MIN_SEQUENCES, TRUNK_TFS, qualifying_tfs
from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError
from cistransfer.genome.assemblies import check_same_assembly
from cistransfer.genome.codes import gc_fraction
from cistransfer.genome.fasta import open_sequences

__all__ = ["Facts", "describe", "facts_of", "gc_of_regions", "header", "neighbour_overlap"]

FEW = 500
"""TFs with at most so many bound regions are named (the published study sets them apart)."""

_GC_BATCH = 100_000


@dataclass(frozen=True)
class Facts:
    """Facts about a matrix under one rule.

    Attributes
    ----------
    tfs : DataFrame
        tf, experiments, bound, unbound, unresolved, accessible (open in a cell where the TF is
        assayed), one_kind (of these: evidence, but of one kind only in every cell); with
        sequences also gc_bound and gc_unbound (mean GC).
    cells : DataFrame
        cell, experiments, accessible, bound, unbound, unresolved (TF × region states in that cell
        alone).
    few : list of str
        TFs with at most 500 bound regions.
    unqualified : list of str
        TFs that have too few for a model of their own (`qualifying_tfs`).
    common : dict of int → int
        N → regions resolved in all of the N most resolved TFs.
    overlap : dict of int → float
        Width in bp → share of neighbouring windows of that width that overlap.
    gc : dict of str → float or None
        mean and the quantiles 0.05, 0.25, 0.5, 0.75, 0.95 of the regions' GC, when sequences were
        given.
    states : dict of str → int
        bound, unbound, unresolved: TF × region pairs in all.
    """

    rule: str
    tfs: pd.DataFrame
    cells: pd.DataFrame
    few: list[str]
    unqualified: list[str]
    common: dict[int, int]
    overlap: dict[int, float]
    gc: dict[str, float] | None
    states: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Turn everything into JSON values (missing numbers become null)."""
        tfs = self.tfs.astype(object).where(self.tfs.notna(), None)
        return {
            "rule": self.rule,
            "states": self.states,
            "tfs": tfs.to_dict("records"),
            "cells": self.cells.to_dict("records"),
            "few": self.few,
            "unqualified": self.unqualified,
            "common": {str(n): count for n, count in self.common.items()},
            "overlap": {str(width): share for width, share in self.overlap.items()},
            "gc": self.gc,
        }


def facts_of(
    matrix: BindingMatrix,
    rule: str | None = None,
    *,
    sizes: Sequence[int] | None = None,
    sequences: str | os.PathLike[str] | None = None,
) -> Facts:
    """Count what a matrix holds.

    Parameters
    ----------
    rule : str, optional
        The matrix's default one when not given. The curve of common regions is counted under
        ``less-sparse`` (as published) when the rule is ``sparse``.
    sizes : sequence of int, optional
        N of the curve of common regions; 1, 5, 10, 20, … and all TFs when not given.
    sequences : path, optional
        Genome FASTA or windows, for GC.
    """
    settled = rule or matrix.default_rule
    table = matrix.rule_table(settled)
    n_tfs = len(matrix.tfs)
    wanted = sorted({*(sizes or (1, 5, *range(10, n_tfs, 10), n_tfs))} & set(range(1, n_tfs + 1)))
    joint = "less-sparse" if settled == "sparse" else settled
    resolved_at = matrix.rule_table(joint) >= 0
    gc = gc_of_regions(matrix, sequences) if sequences is not None else None
    rows = []
    packed: list[NDArray[np.uint64]] = []
    for tf in progress.track(matrix.tfs, "Counting TFs"):
        level = matrix.levels(tf)
        per_level = np.bincount(level, minlength=5)
        row: dict[str, Any] = {
            "tf": tf,
            "experiments": len(matrix.cells_of(tf)),
            "bound": int(per_level[table == 1].sum()),
            "unbound": int(per_level[table == 0].sum()),
            "unresolved": int(per_level[table < 0].sum()),
            "accessible": int(per_level[1:].sum()),
            "one_kind": int(per_level[2:4].sum()),
        }
        if gc is not None:
            state = table[level]
            row |= {
                f"gc_{name}": _mean(gc[state == at]) for at, name in ((1, "bound"), (0, "unbound"))
            }
        rows.append(row)
        packed.append(pack(resolved_at[level]))
    tfs = pd.DataFrame(rows)
    own = qualifying_tfs(matrix, settled)
    vectors = BindingVectors(matrix.tfs, joint, len(matrix), (), np.array(packed))
    return Facts(
        rule=settled,
        tfs=tfs,
        cells=_cells(matrix, table),
        few=tfs.loc[tfs["bound"] <= FEW, "tf"].tolist(),
        unqualified=own.loc[~own["qualifies"], "tf"].tolist(),
        common=vectors.common_curve(wanted),
        overlap={width: neighbour_overlap(matrix.regions, width) for width in (200, 500, 1000)},
        gc=None if gc is None else _summary(gc),
        states={name: int(tfs[name].sum()) for name in ("bound", "unbound", "unresolved")},
    )


def _cells(matrix: BindingMatrix, table: NDArray[np.int8]) -> pd.DataFrame:
    """Count the states of each cell alone, out of its open regions and its evidence."""
    rows = []
    for cell in matrix.cells:
        n_open = int(matrix.accessible(cell).sum())
        assayed = matrix.experiments.loc[matrix.experiments["cell"] == cell, "tf"]
        levels = np.zeros(5, dtype=np.int64)
        levels[0] = (len(matrix) - n_open) * len(assayed) + len(matrix) * (
            len(matrix.tfs) - len(assayed)
        )
        for tf in assayed:
            kinds = np.bincount(matrix.evidence(tf, cell)[1], minlength=4)
            levels += [0, n_open - int(kinds.sum()), *kinds[1:4].tolist()]
        rows.append(
            {
                "cell": cell,
                "experiments": len(assayed),
                "accessible": n_open,
                "bound": int(levels[table == 1].sum()),
                "unbound": int(levels[table == 0].sum()),
                "unresolved": int(levels[table < 0].sum()),
            }
        )
    return pd.DataFrame(rows)


def neighbour_overlap(regions: pd.DataFrame, width: int) -> float:
    """Share of neighbouring windows of ``width`` bp on the regions' centres that overlap."""
    double = (regions["start"] + regions["end"]).to_numpy()
    chrom = regions["chrom"].to_numpy()
    near = (chrom[1:] == chrom[:-1]) & (np.abs(np.diff(double)) < 2 * width)
    return float(near.mean()) if len(near) else 0.0


def gc_of_regions(matrix: BindingMatrix, sequences: str | os.PathLike[str]) -> NDArray[np.float64]:
    """GC of each region; NaN for a region without a known base.

    Raises
    ------
    InputError
        When a region's sequence is not in ``sequences``.
    """
    if matrix.window == 0:
        raise InputError(f"{matrix.path}: GC is only counted for regions of one width")
    source = open_sequences(sequences)
    check_same_assembly(matrix.genome, source.chromosomes, f"{matrix.path}", source.name)
    regions = matrix.regions
    gc = np.empty(len(regions))
    for at in progress.track(range(0, len(regions), _GC_BATCH), "Counting GC"):
        gc[at : at + _GC_BATCH] = gc_fraction(source.fetch(regions.iloc[at : at + _GC_BATCH]))
    return gc


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _summary(gc: NDArray[np.float64]) -> dict[str, float]:
    known = gc[~np.isnan(gc)]
    quantiles = (0.05, 0.25, 0.5, 0.75, 0.95)
    return {
        "mean": float(known.mean()),
        **{
            f"q{q:g}": float(value)
            for q, value in zip(quantiles, np.quantile(known, quantiles), strict=True)
        },
    }


def header(matrix: BindingMatrix) -> dict[str, Any]:
    """Names and sizes of a matrix (JSON values)."""
    return {
        "path": str(matrix.path),
        "name": matrix.name,
        "genome": matrix.genome,
        "window": matrix.window,
        "regions": len(matrix),
        "n_cells": len(matrix.cells),
        "n_tfs": len(matrix.tfs),
        "experiments": len(matrix.experiments),
        "assayed": matrix.settings.get("assayed"),
        "kinds_known": matrix.kinds_known,
        "content_hash": matrix.content_hash,
        "left_out": matrix.settings.get("left_out", {}),
        "placed": matrix.settings.get("placed", {}),
        "notes": matrix.settings.get("notes", []),
    }


def describe(matrix: BindingMatrix, facts: Facts) -> list[str]:
    """Lines for a person."""
    wide = f"{matrix.window} bp" if matrix.window else "their own width"
    states = ", ".join(f"{count:,} {name}" for name, count in facts.states.items())
    lines = [
        f"{matrix.name} ({matrix.genome}): {len(matrix):,} regions of {wide}, "
        f"{len(matrix.cells)} cells, {len(matrix.tfs)} TFs, "
        f"{len(matrix.experiments):,} experiments (TF x cell)",
        f"rule {facts.rule}: {states}",
        *(
            f"{kind}: {read:,} rows read, {used:,} of a chosen cell and a TF assayed there, "
            f"{placed:,} of these in regions open in their cell"
            for kind, (read, used, placed) in matrix.settings.get("placed", {}).items()
            if read
        ),
        "",
        *_lines(facts.tfs),
        "",
        *_lines(facts.cells),
        "",
        f"TFs with at most {FEW} bound regions ({len(facts.few)}): "
        + (", ".join(facts.few) or "none"),
        f"TFs with fewer than {MIN_SEQUENCES} training sequences for a model of their own, beside "
        f"a trunk on the {TRUNK_TFS} most resolved TFs ({len(facts.unqualified)}): "
        + (", ".join(facts.unqualified) or "none"),
        "regions resolved in all of the N most resolved TFs: "
        + ", ".join(f"{n}: {count:,}" for n, count in facts.common.items()),
        "neighbouring windows that overlap: "
        + ", ".join(f"{100 * share:.1f} % at {width} bp" for width, share in facts.overlap.items()),
    ]
    if facts.gc is not None:
        spread = ", ".join(f"{name} {value:.3f}" for name, value in facts.gc.items())
        lines.append(f"GC of the regions: {spread}")
    return lines


def _lines(table: pd.DataFrame) -> list[str]:
    formats = {
        name: (lambda value: "–" if pd.isna(value) else f"{value:.3f}")
        if table[name].dtype.kind == "f"
        else str
        if table[name].dtype.kind == "O"
        else "{:,}".format
        for name in table.columns
    }
    text: str = table.to_string(index=False, formatters=formats)
    return text.splitlines()
