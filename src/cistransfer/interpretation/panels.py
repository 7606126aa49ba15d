"""Axes, their finish and labels that do not overlap, for the figures of this room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BLUE", "GREEN", "GREY", "ORANGE", "finish", "label_right", "panels", "spread_labels"]

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


def spread_labels(ax: Any, x: Any, y: Any, texts: Any, *, gap: float = 0.05) -> None:
    """Write names beside points, in one column on their inner side, moved apart vertically.

    Points of the left half of the panel have their column to the right of them, the others to
    the left; ``gap`` is the way to the column as a share of the panel's width.
    """
    x, y, texts = np.asarray(x, float), np.asarray(y, float), list(texts)
    middle = np.mean(ax.get_xlim())
    for side in (-1, 1):
        mine = np.flatnonzero((x < middle) == (side > 0))
        _column(ax, x[mine], y[mine], [texts[number] for number in mine], side, gap)


def label_right(ax: Any, x: Any, y: Any, texts: Any, *, gap: float = 0.04) -> None:
    """Write names in one column to the right of points, moved apart vertically."""
    _column(ax, np.asarray(x, float), np.asarray(y, float), list(texts), 1, gap)


def _column(ax: Any, x: Any, y: Any, texts: list[str], side: int, gap: float) -> None:
    from matplotlib.patheffects import withStroke

    if not len(x):
        return
    low, high = ax.get_ylim()
    left, right = ax.get_xlim()
    rows = ax.get_subplotspec().get_gridspec().nrows
    step = (high - low) * 0.13 / max(0.8 * ax.figure.get_figheight() / rows, 0.5)  # 7 points
    order = np.argsort(y, kind="stable")
    column = side * (side * x).max() + side * gap * (right - left)
    for place, number in zip(_apart(y[order], step, low, high), order, strict=True):
        ax.annotate(
            texts[number], (x[number], y[number]), xytext=(column, place),
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
