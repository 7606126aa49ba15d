"""Figures of a comparison (tidy results in, matplotlib Figure out): boxes, sizes, recovery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.evaluation.compare import differences, summarise
from cistransfer.evaluation.tidy import reference_of, size_rank, tidy
from cistransfer.figures import (
    INK,
    MARKERS,
    MAX_BANDS,
    NOTE,
    colours,
    figure,
    finish,
    legend,
    size_ticks,
)
from cistransfer.metrics.table import display, small_is_better

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["box_plots", "difference_by_size", "recovery_curve", "size_curve"]

_RECOVERY_FROM = -1.0  # as much worse than the motif as all peaks are better


def _boxes(
    panel: Axes, groups: list[NDArray[np.float64]], places: list[float], width: float, colour: str
) -> None:
    """Draw boxes with every value on top; single values are points only."""
    several = [place for place, group in enumerate(groups) if group.size > 2]
    if several:
        panel.boxplot(
            [groups[place] for place in several],
            positions=[places[place] for place in several],
            widths=width * 0.85,
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
            boxprops={"facecolor": colour, "alpha": 0.25, "edgecolor": colour},
            medianprops={"color": colour, "linewidth": 1.6},
            whiskerprops={"color": colour},
            capprops={"color": colour},
        )
    for group, place in zip(groups, places, strict=True):
        spread = np.linspace(-0.25, 0.25, group.size) * width if group.size > 1 else np.zeros(1)
        panel.plot(
            place + spread[: group.size],
            group,
            ".",
            color=colour,
            markersize=4 if group.size > 2 else 9,
            alpha=0.8,
        )


def box_plots(
    results: pd.DataFrame, metric: str = "aucpr", *, by: Literal["tf", "size"] = "tf"
) -> Figure:
    """Draw boxes of every strategy, TFs ordered by training size, or one group per size.

    Parameters
    ----------
    results : DataFrame
        A tidy table (`cistransfer.evaluation.tidy`).
    by : {"tf", "size"}
        ``"tf"``: TFs along the x axis ordered by training size, which a second axis shows (as the
        published figures); ``"size"``: sizes along the x axis, a TF's mean is one value.
    """
    table = tidy(results, metric)
    strategies = list(dict.fromkeys(results["strategy"].astype(str)))
    sizes = table["size"].map(size_rank).astype(float)
    if by == "tf":
        training = sizes.where(np.isfinite(sizes)).groupby(table["tf"]).mean()
        ordered = sorted(table["tf"].unique(), key=lambda tf: (np.nan_to_num(training[tf]), tf))
        key = "tf"
    elif by == "size":
        table = table.groupby(["size", "strategy", "tf"], sort=False)[metric].mean().reset_index()
        ordered = sorted(table["size"].unique(), key=lambda size: (size_rank(size), size))
        key = "size"
    else:
        raise InputError(f'box_plots: by is {by!r}; expected "tf" or "size"')
    wide = max(5.2, 0.22 * len(ordered) * len(strategies) + 2.2)
    made, (panel,) = figure(min(wide, 24), 4.0, grid=True)
    paint = colours(strategies)
    width = 0.8 / len(strategies)
    for number, strategy in enumerate(strategies):
        chosen = table[table["strategy"] == strategy]
        offset = (number - (len(strategies) - 1) / 2) * width
        filled = [name for name in ordered if (chosen[key] == name).any()]
        groups = [chosen.loc[chosen[key] == name, metric].to_numpy() for name in filled]
        _boxes(
            panel, groups, [ordered.index(name) + offset for name in filled], width, paint[strategy]
        )
        panel.plot([], [], "s", color=paint[strategy], label=strategy)
    names = [_tick(name) if key == "size" else name for name in ordered]
    panel.set_xticks(range(len(ordered)), names, rotation=90 if len(ordered) > 8 else 0)
    panel.set_xlim(-0.6, len(ordered) - 0.4)
    finish(panel, "training positives" if key == "size" else "", display(metric))
    if key == "tf" and np.isfinite(training).any():
        second = panel.twinx()
        second.spines[["top"]].set_visible(False)
        second.plot(
            range(len(ordered)),
            [training[tf] for tf in ordered],
            "_",
            color=INK,
            markersize=12,
        )
        second.set_yscale("log")
        second.tick_params(labelsize=9)
        second.set_ylabel("training positives (–)", fontsize=10)
        second.grid(False)
    legend(panel, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(len(strategies), 5))
    return made


def _tick(size: str) -> str:
    rank = size_rank(size)
    return f"{rank:,.0f}" if np.isfinite(rank) else size


def difference_by_size(
    results: pd.DataFrame,
    metric: str = "aucpr",
    reference: str | None = None,
    *,
    strategy: str | None = None,
) -> Figure:
    """Draw the difference from a reference against the training size, one point per TF and size.

    Parameters
    ----------
    results : DataFrame
        A tidy table whose sizes are numbers (others are left out).
    reference : str, optional
        As in `compare`.
    strategy : str, optional
        Only this one; by default all but the reference.
    """
    known = list(dict.fromkeys(results["strategy"].astype(str)))
    reference = reference_of(known, reference)
    shown = [strategy] if strategy else [name for name in known if name != reference]
    made, (panel,) = figure(6.9, 3.9, grid=True)
    paint = colours(known)
    every: set[float] = set()
    for number, name in enumerate(shown):
        paired = differences(results, metric, name, reference)
        paired["x"] = paired["size"].map(size_rank).astype(float)
        paired = paired[np.isfinite(paired["x"]) & (paired["x"] > 0)]
        means = paired.groupby(["tf", "x"])["difference"].mean().reset_index()
        if means.empty:
            continue
        every |= set(means["x"])
        nudge = 1.06 ** (number - (len(shown) - 1) / 2)
        crowded = len(means) > 100 and bool(means["x"].duplicated().any())
        panel.plot(
            means["x"] * nudge,
            means["difference"],
            MARKERS[number % len(MARKERS)],
            color=paint[name],
            markersize=2.5 if crowded else 5,
            alpha=0.35 if crowded else 0.65,
            markeredgewidth=0,
            label=None if crowded else name,
        )
        centre = means.groupby("x")["difference"].mean()
        if means["x"].duplicated().any():
            panel.plot(
                centre.index * nudge,
                centre,
                marker=MARKERS[number % len(MARKERS)] if crowded else None,
                color=paint[name],
                linewidth=1.8,
                zorder=3,
                label=name if crowded else None,
            )
    if not every:
        raise InputError("difference by size: no pair of results has a number as its training size")
    panel.axhline(0, color=NOTE, linewidth=1)
    if len(every) <= 8:
        size_ticks(panel, sorted(every))
    else:
        panel.set_xscale("log")
    better = "below" if small_is_better(metric) else "above"
    panel.annotate(
        f"{better} 0: better than {reference}",
        (0.01, 1.0),
        xycoords="axes fraction",
        fontsize=8,
        color=NOTE,
        va="bottom",
    )
    finish(panel, "training positives", f"difference in {display(metric)}")
    legend(panel, outside=True)
    return made


def size_curve(results: pd.DataFrame, metric: str = "aucpr") -> Figure:
    """Draw the mean of every strategy against the training size, with intervals over TFs.

    Strategies without a training size (a motif from a database) are level lines; ``all`` stands
    behind the largest number.
    """
    table = summarise(results, metric, by_size=True)
    ranks = table["size"].map(size_rank).astype(float)
    numbers = sorted(set(ranks[np.isfinite(ranks)]))
    if not numbers:
        raise InputError("size curve: no result has a number as its training size")
    last = numbers[-1] * 2.2
    table["x"] = ranks.where(np.isfinite(ranks), last)
    strategies = list(dict.fromkeys(table["strategy"]))
    made, (panel,) = figure(7.0, 4.0, grid=True)
    paint = colours(strategies)
    bands = len(strategies) <= MAX_BANDS
    for number, strategy in enumerate(strategies):
        part = table[table["strategy"] == strategy].sort_values("x")
        # bars of many strategies stand side by side
        x = part["x"] * (1.0 if bands else 1.03 ** (number - (len(strategies) - 1) / 2))
        panel.plot(
            x,
            part["mean"],
            marker=MARKERS[number % len(MARKERS)],
            markersize=5,
            color=paint[strategy],
            linewidth=1.8,
            label=strategy,
        )
        if not part["low"].notna().any():
            continue
        if bands:
            panel.fill_between(
                x, part["low"], part["high"], color=paint[strategy], alpha=0.1, linewidth=0
            )
        else:
            panel.vlines(
                x, part["low"], part["high"], color=paint[strategy], linewidth=1, alpha=0.7
            )
    size_ticks(panel, numbers)
    if not np.isfinite(ranks).all():
        panel.set_xticks([*numbers, last], [*(f"{size:,.0f}" for size in numbers), "all"])
    finish(panel, "training positives", display(metric))
    legend(panel, outside=True)
    return made


def recovery_curve(table: pd.DataFrame) -> Figure:
    """Draw recovery against training size: each TF thin, the median of each strategy thick.

    With more than 40 thin lines, a band of the middle half of the TFs stands for them, and with
    more than four strategies a bar. The axis ends at −1; strategies that never reach it are named.

    Parameters
    ----------
    table : DataFrame
        Of `cistransfer.evaluation.compare.recovery`.
    """
    shown = table.dropna(subset=["recovery"]).copy()
    shown["x"] = shown["size"].map(size_rank).astype(float)
    shown = shown[np.isfinite(shown["x"])]
    if shown.empty:
        raise InputError("recovery curve: recovery is defined for no TF at a numbered size")
    strategies = list(dict.fromkeys(shown["strategy"]))
    made, (panel,) = figure(6.9, 4.0, grid=True)
    paint = colours(strategies)
    crowded = shown.groupby(["tf", "strategy"]).ngroups > 40
    medians = shown.groupby(["strategy", "x"])["recovery"].median()
    hidden = [name for name in strategies if medians[name].max() < _RECOVERY_FROM]
    drawn = [name for name in strategies if name not in hidden] or strategies
    bars = crowded and len(drawn) > MAX_BANDS
    for number, strategy in enumerate(drawn):
        part = shown[shown["strategy"] == strategy]
        middle = part.groupby("x")["recovery"].quantile([0.25, 0.75]).unstack()
        shift = 1.03 ** (number - (len(drawn) - 1) / 2) if bars else 1.0
        if bars:
            panel.vlines(
                middle.index * shift,
                middle[0.25],
                middle[0.75],
                color=paint[strategy],
                linewidth=1,
                alpha=0.7,
            )
        elif crowded:
            panel.fill_between(
                middle.index, middle[0.25], middle[0.75], color=paint[strategy], alpha=0.15, lw=0
            )
        for _, one in () if crowded else part.groupby("tf"):
            line = one.sort_values("x")
            panel.plot(
                line["x"], line["recovery"], color=paint[strategy], linewidth=0.7, alpha=0.35
            )
        median = part.groupby("x")["recovery"].median()
        panel.plot(
            median.index * shift,
            median,
            marker=MARKERS[number % len(MARKERS)],
            color=paint[strategy],
            linewidth=2.2,
            label=strategy,
        )
    for level, text in ((0, "the TF's motif"), (1, "all the TF's peaks")):
        panel.axhline(level, color=NOTE, linestyle="--", linewidth=1)
        panel.annotate(
            text,
            (0.5, level),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=NOTE,
            zorder=5,
            bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.5},
        )
    low, high = panel.get_ylim()
    panel.set_ylim(max(low, _RECOVERY_FROM), min(max(high, 1.2), 2.0))
    if hidden and drawn != strategies:
        panel.annotate(
            f"below −{-_RECOVERY_FROM:g} everywhere: {', '.join(hidden)}",
            (0.01, 1.01),
            xycoords="axes fraction",
            fontsize=8,
            color=NOTE,
            va="bottom",
        )
    size_ticks(panel, sorted(set(shown["x"])))
    finish(panel, "training positives", "recovery")
    legend(panel, outside=True)
    return made
