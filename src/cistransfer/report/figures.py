"""Figures that only the report needs, and figures as text for HTML."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cistransfer.figures import BLUE, ORANGE, as_png, figure, finish, legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["as_base64", "gc_histogram"]


def gc_histogram(histograms: Mapping[str, Sequence[int]]) -> Figure:
    """Draw the GC content of bound and unbound windows (shares of 20 equal bins)."""
    made, (panel,) = figure(5.2, 3.2, grid=True)
    for (name, counts), colour in zip(histograms.items(), (ORANGE, BLUE), strict=False):
        share = np.asarray(counts, dtype=float)
        edges = np.linspace(0, 100, len(share) + 1)
        total = share.sum()
        panel.stairs(
            share / total if total else share, edges, label=name, color=colour, linewidth=2
        )
    finish(panel, "GC content (%)", "share of windows")
    legend(panel, loc="upper right")
    return made


def as_base64(drawn: Figure) -> str:
    """Render a figure as PNG in base64, without a time stamp."""
    return base64.b64encode(as_png(drawn)).decode("ascii")
