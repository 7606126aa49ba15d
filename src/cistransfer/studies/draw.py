"""Figures of a study, as its file declares them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cistransfer.errors import InputError
from cistransfer.evaluation.tidy import size_rank
from cistransfer.figures import BOTH, GREY, MARKERS, SEQUENTIAL, colours, figure, finish, save
from cistransfer.metrics.table import display
from cistransfer.studies.collect import labelled, less, results, select
from cistransfer.studies.schema import Figure, load_study
from cistransfer.studies.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawn

__all__ = ["draw_figure", "write_figures"]


def write_figures(folder: str | Path) -> list[Path]:
    """Draw every figure that a study declares and has results for, into ``figures/``."""
    store = Store(folder)
    declared = load_study(store.declared)
    table = labelled(declared, results(store))
    written: list[Path] = []
    for each in declared.figures:
        made = draw_figure(each, table, list(declared.strategies))
        if made is not None:
            written += save(made, store.folder / "figures" / each.name, BOTH)
    return written


def draw_figure(wanted: Figure, table: pd.DataFrame, strategies: list[str]) -> Drawn | None:
    """Draw one figure; None where nothing of it was run.

    Parameters
    ----------
    wanted : Figure
    table : DataFrame
        Of `cistransfer.studies.collect.results`, with the study's labels.
    strategies : list of str
        In the order of the study.
    """
    own = table[table["metric"] == wanted.metric]
    part = {} if wanted.kind == "parts" else {"part": "test"}
    rows = less(select(own, {**part, **wanted.where}), own, wanted.minus)
    if rows.empty:
        return None
    kinds = {
        "box": _box,
        "bars": _bars,
        "line": _line,
        "scatter": _scatter,
        "heat": _heat,
        "parts": _parts,
    }
    columns = {wanted.by, wanted.panels} - {""}
    if wanted.kind not in ("scatter", "parts"):
        columns.add(wanted.x)
    for name in columns:
        if name not in rows:
            raise InputError(f"figure {wanted.name!r}: the results have no {name!r}")
    if wanted.by == "strategy" or wanted.x == "strategy":
        known = [name for name in strategies if name in set(rows["strategy"])]
        rows = rows.assign(strategy=pd.Categorical(rows["strategy"], known, ordered=True))
    values = _values(rows, wanted.panels) if wanted.panels else [""]
    across = min(3, len(values))
    many = (
        1
        if wanted.kind in ("scatter", "line", "heat", "parts")
        else len(_values(rows, wanted.x)) / 6
    )
    made, panels = figure(
        max(3.6, 3.6 * many), 3.4, rows=-(-len(values) // across), columns=across, grid=True
    )
    for panel, value in zip(panels, values, strict=False):
        part = rows[rows[wanted.panels].isin([value, ""])] if wanted.panels else rows
        kinds[wanted.kind](panel, part, wanted)
        if wanted.minus and wanted.kind in ("box", "bars", "line"):
            panel.axhline(0, color=GREY, lw=0.8)
        if wanted.panels:
            panel.set_title(f"{wanted.panels} {value}", fontsize=10, loc="left")
    for panel in panels[len(values) :]:
        panel.set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    if len(labels) > 1 and wanted.kind != "heat":
        for columns_of_names in range(min(4, len(labels)), 0, -1):  # as many as the width allows
            legend = made.legend(
                handles, labels, loc="outside upper center", ncols=columns_of_names, frameon=False
            )
            if columns_of_names == 1 or legend.get_window_extent().width < made.bbox.width:
                break
            legend.remove()
        lines = -(-len(labels) // columns_of_names)
        made.set_figheight(made.get_figheight() + 0.25 * max(0, lines - 2))
    elif wanted.title:
        made.suptitle(wanted.title, fontsize=11)
    return made


def _values(rows: pd.DataFrame, name: str) -> list[str]:
    """Values of a column in their order: numbers by value, strategies as the study has them."""
    column = rows[name]
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [str(value) for value in column.cat.categories]
    known = [str(value) for value in column.unique() if value != ""]
    ranks = {value: size_rank(value) for value in known}
    if any(np.isfinite(rank) for rank in ranks.values()):
        return sorted(known, key=lambda value: (ranks[value], value))
    return sorted(known)


def _what(wanted: Figure) -> str:
    return f"gain of {display(wanted.metric)}" if wanted.minus else display(wanted.metric)


def _by(rows: pd.DataFrame, wanted: Figure) -> list[tuple[str, str, pd.DataFrame]]:
    """Name, colour and rows of each group."""
    names = _values(rows, wanted.by)
    paint = colours(names)
    return [(name, paint[name], rows[rows[wanted.by] == name]) for name in names]


def _box(panel: Axes, rows: pd.DataFrame, wanted: Figure) -> None:
    places = _values(rows, wanted.x)
    groups = _by(rows, wanted)
    width = 0.8 / len(groups)
    for number, (name, colour, own) in enumerate(groups):
        offset = (number - (len(groups) - 1) / 2) * width
        for at, place in enumerate(places):
            values = own.loc[own[wanted.x].isin([place, ""]), "value"].to_numpy()
            if not len(values):
                continue
            panel.boxplot(
                [values],
                positions=[at + offset],
                widths=[0.8 * width],
                showfliers=False,
                boxprops={"color": colour},
                whiskerprops={"color": colour},
                capprops={"color": colour},
                medianprops={"color": colour, "linewidth": 2},
            )
            spread = np.linspace(-0.15, 0.15, len(values)) * width
            panel.plot(at + offset + spread, values, "o", color=colour, ms=2.5, alpha=0.6)
        panel.plot([], [], "s", color=colour, label=name)
    _categories(panel, places, wanted)


def _bars(panel: Axes, rows: pd.DataFrame, wanted: Figure) -> None:
    places = _values(rows, wanted.x)
    groups = _by(rows, wanted)
    width = 0.8 / len(groups)
    for number, (name, colour, own) in enumerate(groups):
        offset = (number - (len(groups) - 1) / 2) * width
        chosen = [own.loc[own[wanted.x].isin([place, ""]), "value"] for place in places]
        means = [each.mean() if len(each) else np.nan for each in chosen]
        spread = [each.std() if len(each) > 1 else 0.0 for each in chosen]
        at = np.arange(len(places)) + offset
        panel.bar(at, means, 0.9 * width, yerr=spread, color=colour, ecolor=GREY, label=name)
    _categories(panel, places, wanted)


def _categories(panel: Axes, places: list[str], wanted: Figure) -> None:
    panel.set_xticks(range(len(places)), places, rotation=30 if len(places) > 3 else 0)
    panel.set_xlim(-0.6, len(places) - 0.4)
    finish(panel, wanted.label or wanted.x, _what(wanted))


def _line(panel: Axes, rows: pd.DataFrame, wanted: Figure) -> None:
    places = _values(rows, wanted.x)
    for number, (name, colour, own) in enumerate(_by(rows, wanted)):
        chosen = [own.loc[own[wanted.x].isin([place, ""]), "value"] for place in places]
        at = [i for i, each in enumerate(chosen) if len(each)]
        means = [chosen[i].mean() for i in at]
        panel.plot(at, means, MARKERS[number % len(MARKERS)] + "-", color=colour, label=name, ms=4)
    panel.set_xticks(range(len(places)), places)
    finish(panel, wanted.label or wanted.x, f"mean {_what(wanted)}")


def _scatter(panel: Axes, rows: pd.DataFrame, wanted: Figure) -> None:
    keys = [
        name
        for name in rows.columns
        if name not in ("strategy", "trial", "part", "metric", "value", "item")
    ]
    sides = {
        side: rows[rows["strategy"] == side].groupby(keys)["value"].mean()
        for side in (wanted.x, wanted.y)
    }
    a, b = sides[wanted.x].align(sides[wanted.y], join="inner")
    panel.plot(a, b, "o", ms=4, alpha=0.8)
    ends = [min([*a, *b, 1.0]), max([*a, *b, 0.0])]
    panel.plot(ends, ends, "-", color=GREY, lw=0.8)
    name = _what(wanted)
    finish(panel, f"{name}, {wanted.x}", f"{name}, {wanted.y}")


def _parts(panel: Axes, rows: pd.DataFrame, wanted: Figure) -> None:
    """Training part against test part; far below the diagonal is learned by heart."""
    keys = [name for name in rows.columns if name not in ("part", "metric", "value", "item")]
    both = rows.pivot_table(index=keys, columns="part", values="value", observed=True)
    if not {"train", "test"} <= set(both):
        return
    both = both.dropna(subset=["train", "test"]).reset_index()
    for number, (name, colour, own) in enumerate(_by(both, wanted)):
        if len(own):
            mark = MARKERS[number % len(MARKERS)]
            panel.plot(own["train"], own["test"], mark, color=colour, label=name, ms=4)
    low = float(both[["train", "test"]].to_numpy().min(initial=1.0)) - 0.02
    panel.plot([low, 1], [low, 1], "-", color=GREY, lw=0.8)
    name = display(wanted.metric)
    finish(panel, f"{name}, training part", f"{name}, test part")


def _heat(panel: Axes, rows: pd.DataFrame, wanted: Figure) -> None:
    grid: Any = rows.groupby([wanted.y, wanted.x], observed=True)["value"].mean().unstack(wanted.x)
    grid = grid.reindex(index=_values(rows, wanted.y), columns=_values(rows, wanted.x))
    drawn = panel.imshow(grid.to_numpy(), cmap=SEQUENTIAL, aspect="auto")
    panel.set_xticks(range(len(grid.columns)), grid.columns, rotation=90)
    panel.set_yticks(range(len(grid.index)), grid.index)
    panel.figure.colorbar(drawn, ax=panel, label=_what(wanted))
    panel.grid(False)
    finish(panel, wanted.label or wanted.x, wanted.y)
