"""A matrix in words: what ``cistransfer matrix info`` prints."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cistransfer.binding.facts import FEW, Facts
from cistransfer.binding.reader import BindingMatrix

__all__ = ["describe", "header"]


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
        "",
        *_table(facts.tfs),
        "",
        *_table(facts.cells),
        "",
        f"TFs with at most {FEW} bound regions ({len(facts.few)}): "
        + (", ".join(facts.few) or "none"),
        "regions resolved in all of the N most resolved TFs: "
        + ", ".join(f"{n}: {count:,}" for n, count in facts.common.items()),
        "neighbouring windows that overlap: "
        + ", ".join(f"{100 * share:.1f} % at {width} bp" for width, share in facts.overlap.items()),
    ]
    if facts.gc is not None:
        spread = ", ".join(f"{name} {value:.3f}" for name, value in facts.gc.items())
        lines.append(f"GC of the regions: {spread}")
    return lines


def _table(table: pd.DataFrame) -> list[str]:
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
