"""A choice as a figure: how alike the chosen TFs bind, and where they stand among all others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cistransfer.binding.facts.cobinding import BindingVectors, cobinding
from cistransfer.figures import (
    BLUE,
    NOTE,
    ORANGE,
    SEQUENTIAL,
    figure,
    finish,
    grid_of,
    label_points,
    legend,
    save,
)
from cistransfer.relatives.choose import Choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_choice", "write_choice_figure"]

_MODE, _PARTNER, _OTHER = ORANGE, BLUE, "#BBBBBB"
_LABELS = 12


def write_choice_figure(
    path: str | os.PathLike[str], choice: Choice, vectors: BindingVectors
) -> None:
    """Write `draw_choice` to a PNG, SVG or PDF file."""
    save(draw_choice(choice, vectors), path)


def draw_choice(choice: Choice, vectors: BindingVectors) -> Figure:
    """Draw the cosines among the chosen TFs, and every TF by its cosine and resolved regions.

    Parameters
    ----------
    vectors : BindingVectors
        Of all TFs of the matrix.

    Returns
    -------
    matplotlib Figure
        Made without pyplot; nothing global changes.
    """
    tfs = list(choice.tfs)
    names = tfs
    if choice.target in vectors.tfs and choice.target not in tfs:
        names = [str(choice.target), *tfs]
    side = 1.6 + 0.42 * len(names) if len(names) <= 20 else 1.6 + 0.2 * len(names)
    known = choice.candidates["cosine"].notna().any()
    width = side + (5.4 if known else 1.0)
    ratios = (side, 5.0) if known else (1.0,)
    made, panels = figure(
        width / len(ratios), max(side, 4.0), columns=len(ratios), width_ratios=ratios
    )
    _heat_map(made, panels[0], names, choice, vectors)
    if known:
        _scatter(panels[1], choice)
    return made


def _heat_map(
    made: Figure, panel: Axes, names: list[str], choice: Choice, vectors: BindingVectors
) -> None:
    at = [vectors.at(tf) for tf in names]
    part = BindingVectors(
        tuple(names),
        vectors.rule,
        vectors.n_regions,
        tuple(vectors.bound[place] for place in at),
        vectors.resolved[at],
    )
    cosine = cobinding(part).cosine
    off = cosine[~np.eye(len(names), dtype=bool)]
    top = max(0.1, float(np.nanmax(off)) if np.isfinite(off).any() else 1.0)
    np.fill_diagonal(cosine, np.nan)
    panel.set_facecolor("#DDDDDD")
    image = panel.imshow(cosine, cmap=SEQUENTIAL, vmin=0, vmax=min(1.0, top))
    small = len(names) > 20
    size = 5.5 if small else 9
    panel.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    panel.set_yticks(range(len(names)), names, fontsize=size)
    table = choice.candidates
    for places in (panel.get_xticklabels(), panel.get_yticklabels()):
        for label, tf in zip(places, names, strict=True):
            label.set_color("black" if tf == choice.target else _colour(table, tf, dark=True))
            label.set_fontweight("bold" if tf == choice.target else "normal")
    if not small:
        for row in range(len(names)):
            for column in range(len(names)):
                value = cosine[row, column]
                if row != column and np.isfinite(value):
                    panel.text(
                        column, row, f"{value:.2f}"[1:] if value < 1 else "1", ha="center",
                        va="center", fontsize=7.5, color="white" if value > 0.45 * top else "black",
                    )  # fmt: skip
    for spine in panel.spines.values():
        spine.set_visible(False)
    panel.tick_params(length=0)
    title = f"{choice.group}" + (f" of {choice.target}" if choice.target else "")
    panel.set_title(f"{title}: {choice.common:,} common regions", fontsize=10, loc="left")
    made.colorbar(image, ax=panel, label="cosine of binding vectors", shrink=0.7, pad=0.02)


def _scatter(panel: Axes, choice: Choice) -> None:
    """Every TF by its cosine with the target and its resolved regions."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    table = choice.candidates
    if choice.target in table.index:
        table = table.drop(index=choice.target)
    table = table[table["cosine"].notna() & (table["resolved"] > 0)]
    chosen = table.index.isin(choice.tfs)
    same = (table["shared"].map(len) > 0).to_numpy()
    modes_known = bool((choice.candidates["modes"].map(len) > 0).any())
    kinds = [("other binding mode" if modes_known else "not chosen", _OTHER, ~same),
             ("same binding mode", _MODE, same)]  # fmt: skip
    for label, colour, rows in kinds:
        if rows.any():
            part = table[rows]
            panel.scatter(part["cosine"], part["resolved"], s=20, c=colour, lw=0, label=label)
    for label, size, colour, rows in (
        ("chosen", 52, "black", chosen),
        ("protein partner", 105, _PARTNER, table["partner"].notna().to_numpy()),
    ):
        if rows.any():
            panel.scatter(
                table["cosine"][rows], table["resolved"][rows], s=size, facecolors="none",
                edgecolors=colour, linewidths=1.1, label=label,
            )  # fmt: skip
    panel.set_yscale("log")
    panel.margins(x=0.14, y=0.08)
    plain = FuncFormatter(lambda value, _: f"{value:,.0f}")
    panel.yaxis.set_major_formatter(plain)
    low, high = panel.get_ylim()
    panel.yaxis.set_minor_formatter(plain if high < 10 * low else NullFormatter())
    panel.tick_params(which="both", labelsize=8)
    finish(panel, f"cosine with {choice.target} ({choice.rule})", "resolved regions")
    grid_of(panel)
    legend(
        panel, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2,
        borderaxespad=0.2, columnspacing=1.0, handletextpad=0.2,
    )  # fmt: skip
    first = [tf for tf in choice.tfs if tf in table.index][:_LABELS]
    named = table.loc[first]
    marked = table[chosen | table["partner"].notna().to_numpy()]
    label_points(
        panel, named["cosine"], named["resolved"], first,
        avoid=(marked["cosine"], marked["resolved"]), size=8,
    )  # fmt: skip


def _colour(table: pd.DataFrame, tf: str, dark: bool = False) -> str:
    if tf in table.index and len(table.at[tf, "shared"]):
        return _MODE
    return NOTE if dark else _OTHER
