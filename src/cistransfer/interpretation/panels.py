"""Axes, their finish and labels that do not overlap, for the figures of this room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BLUE", "GREEN", "GREY", "ORANGE", "finish", "panels", "spread_labels"]

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#9A9A9A"


def panels(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(width * columns, height * rows + 0.3), layout="constrained", facecolor="white"
    )
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def finish(ax: Any, x: str, y: str, title: str = "") -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel(x, fontsize=9.5)
    ax.set_ylabel(y, fontsize=9.5)
    ax.tick_params(labelsize=8)
    if title:
        ax.set_title(title, fontsize=9.5, loc="left")


def spread_labels(ax: Any, x: Any, y: Any, texts: Any) -> None:
    """Write names beside points, towards the middle, moved apart where they would overlap."""
    from matplotlib.patheffects import withStroke

    x, y, texts = np.asarray(x, float), np.asarray(y, float), list(texts)
    if not len(x):
        return
    low, high = ax.get_ylim()
    left, right = ax.get_xlim()
    height = ax.figure.get_figheight() / ax.get_subplotspec().get_gridspec().nrows
    step = (high - low) * 0.13 / max(0.8 * height, 0.5)  # a line of 7 points, in inches
    for side in (-1, 1):
        mine = np.flatnonzero((x < (left + right) / 2) == (side > 0))
        mine = mine[np.argsort(y[mine], kind="stable")]
        for place, number in zip(_apart(y[mine], step, low, high), mine, strict=True):
            ax.annotate(
                texts[number], (x[number], y[number]),
                xytext=(x[number] + side * 0.045 * (right - left), place),
                fontsize=7, va="center", ha="left" if side > 0 else "right",
                path_effects=[withStroke(linewidth=2, foreground="white")],
                arrowprops={"arrowstyle": "-", "color": "0.55", "linewidth": 0.5, "shrinkB": 2},
            )  # fmt: skip


def _apart(y: Any, step: float, low: float, high: float) -> Any:
    """Ascending places at least ``step`` apart, near ``y`` and, where they fit, within limits."""
    at = np.array(y, float)
    for _ in range(400):  # neighbours that are too near share the way that they lack
        lack = step - np.diff(at)
        if not (lack > 1e-3 * step).any():
            break
        push = np.where(lack > 0, lack / 2, 0)
        at[:-1] -= push
        at[1:] += push
        at += max(low + step / 2 - at[0], 0) if len(at) * step < high - low else 0
        at -= max(at[-1] - high + step / 2, 0) if len(at) * step < high - low else 0
    return at
