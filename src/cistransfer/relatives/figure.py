"""A choice as a figure: how alike the chosen TFs bind, and where they stand among all others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cistransfer.binding.facts.cobinding import BindingVectors, cobinding
from cistransfer.errors import InputError
from cistransfer.relatives.choose import Choice
from cistransfer.storage import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_choice", "write_choice_figure"]

_MODE, _PARTNER, _OTHER = "#D55E00", "#0072B2", "#BBBBBB"
_LABELS = 12
_FORMATS = (".png", ".svg", ".pdf")
_PLACES = ((6, 2, "left"), (6, -9, "left"), (-6, 2, "right"), (-6, -9, "right"),
           (6, 11, "left"), (6, -18, "left"), (-6, 11, "right"), (-6, -18, "right"))  # fmt: skip


def write_choice_figure(
    path: str | os.PathLike[str], choice: Choice, vectors: BindingVectors
) -> None:
    """Write `draw_choice` to a PNG, SVG or PDF file."""
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise InputError(f"{path}: expected a figure in {', '.join(_FORMATS)}, found {suffix!r}")
    made = draw_choice(choice, vectors)
    with whole_file(path) as temporary:
        made.savefig(temporary, format=suffix[1:], dpi=150)


def draw_choice(choice: Choice, vectors: BindingVectors) -> Figure:
    """Draw the cosines among the chosen TFs, and every TF by its cosine and resolved regions.

    Parameters
    ----------
    choice : Choice
    vectors : BindingVectors
        Of all TFs of the matrix.

    Returns
    -------
    matplotlib Figure
        Made without pyplot; nothing global changes.
    """
    from matplotlib.figure import Figure

    tfs = list(choice.tfs)
    names = tfs
    if choice.target in vectors.tfs and choice.target not in tfs:
        names = [str(choice.target), *tfs]
    side = 1.6 + 0.42 * len(names) if len(names) <= 20 else 1.6 + 0.2 * len(names)
    known = choice.candidates["cosine"].notna().any()
    width = side + (5.4 if known else 1.0)
    made = Figure(figsize=(width, max(side, 4.0)), layout="constrained")
    made.set_facecolor("white")
    if known:
        left, right = made.subplots(1, 2, width_ratios=(side, 5.0))
    else:
        left = made.subplots()
    _heat_map(made, left, names, choice, vectors)
    if known:
        _scatter(made, right, choice)
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
    image = panel.imshow(cosine, cmap="Blues", vmin=0, vmax=min(1.0, top))
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
                        va="center", fontsize=7.5, color="white" if value > 0.6 * top else "black",
                    )  # fmt: skip
    for spine in panel.spines.values():
        spine.set_visible(False)
    panel.tick_params(length=0)
    title = f"{choice.group}" + (f" of {choice.target}" if choice.target else "")
    panel.set_title(f"{title}: {choice.common:,} common regions", fontsize=10, loc="left")
    made.colorbar(image, ax=panel, label="cosine of binding vectors", shrink=0.7, pad=0.02)


def _scatter(made: Figure, panel: Axes, choice: Choice) -> None:
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
    panel.set_xlabel(f"cosine with {choice.target} ({choice.rule})")
    panel.set_ylabel("resolved regions")
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(True, color="#EEEEEE", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.legend(
        frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2,
        borderaxespad=0.2, columnspacing=1.0, handletextpad=0.2,
    )  # fmt: skip
    first = [tf for tf in choice.tfs if tf in table.index][:_LABELS]
    _label(made, panel, table.loc[first])


def _label(made: Figure, panel: Axes, points: pd.DataFrame) -> None:
    """Write names beside points, where they fall on no other name and no other chosen point."""
    made.draw_without_rendering()
    scale = 72 / made.dpi
    at = panel.transData.transform(points[["cosine", "resolved"]].to_numpy(np.float64)) * scale
    boxes = [(x - 4, y - 4, x + 4, y + 4) for x, y in at]
    for place, tf in enumerate(points.index):
        x, y = at[place]
        wide = 5.4 * len(str(tf))
        for dx, dy, side in _PLACES:
            left = x + dx if side == "left" else x + dx - wide
            box = (left, y + dy, left + wide, y + dy + 8)
            others = boxes[:place] + boxes[place + 1 :]
            if not any(_overlap(box, other) for other in others):
                break
        boxes.append(box)
        panel.annotate(
            str(tf), (points["cosine"].iat[place], points["resolved"].iat[place]),
            xytext=(dx, dy), textcoords="offset points", fontsize=8, ha=side,
        )  # fmt: skip


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _colour(table: pd.DataFrame, tf: str, dark: bool = False) -> str:
    if tf in table.index and len(table.at[tf, "shared"]):
        return _MODE
    return "#555555" if dark else _OTHER
