"""Figures of the accessibility study: metrics by cell, gains of transfer, training against test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cistransfer.errors import InputError
from cistransfer.figures import GREY, INK, MARKERS, colours, figure, finish, legend
from cistransfer.metrics.table import display

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["gains", "metrics_by_cell", "train_against_test"]

METRICS = ("weighted_f1", "auroc", "aucpr")


def metrics_by_cell(results: pd.DataFrame, metrics: tuple[str, ...] = METRICS) -> Figure:
    """Draw metrics of every model on the cells' test parts, one row of panels per training size.

    Salvatore et al. 2023, Fig. 1F–H.

    Parameters
    ----------
    results : DataFrame
        Of `cistransfer.studies.accessibility.accessibility_study`.
    metrics : tuple of str
    """
    table = _tested(results)
    sizes = sorted(table["size"].unique(), reverse=True)
    cells = sorted(table["tf"].unique())
    strategies = list(dict.fromkeys(table["strategy"]))
    paint = colours(strategies)
    made, panels = figure(4.2, 2.9, rows=len(sizes), columns=len(metrics), grid=True)
    width = 0.8 / len(strategies)
    for row, size in enumerate(sizes):
        for column, metric in enumerate(metrics):
            panel = panels[row * len(metrics) + column]
            for number, strategy in enumerate(strategies):
                chosen = table[(table["strategy"] == strategy) & (table["size"] == size)]
                offset = (number - (len(strategies) - 1) / 2) * width
                place = [cells.index(cell) + offset for cell in chosen["tf"]]
                panel.plot(
                    place,
                    chosen[metric],
                    MARKERS[number % len(MARKERS)],
                    color=paint[strategy],
                    markersize=5,
                    label=strategy,
                )
            if metric == "aucpr":
                base = table[table["size"] == size].groupby("tf")["prevalence"].mean()
                for at, cell in enumerate(cells):
                    panel.plot([at - 0.4, at + 0.4], [base[cell]] * 2, "-", color=GREY, lw=1)
            panel.set_xticks(range(len(cells)), cells, rotation=30)
            for at in range(1, len(cells)):
                panel.axvline(at - 0.5, color="#dddddd", linewidth=0.7)
            panel.set_xlim(-0.6, len(cells) - 0.4)
            finish(panel, "", display(metric), f"{size:g} % of the training set")
    handles, labels = panels[0].get_legend_handles_labels()
    made.legend(
        handles, labels, loc="outside upper center", ncols=min(4, len(labels)), frameon=False
    )
    return made


def gains(
    results: pd.DataFrame,
    reference: str,
    others: tuple[str, ...],
    metrics: tuple[str, ...] = ("weighted_f1", "auroc"),
) -> Figure:
    """Draw by how much one model beats others on each cell, at each training size.

    Salvatore et al. 2023, Fig. 1G, H and the text's "gain".

    Parameters
    ----------
    results : DataFrame
    reference : str
        The strategy whose gain is drawn.
    others : tuple of str
        Strategies that it is compared with; where one has no result at a size it is left out.
    metrics : tuple of str
    """
    table = _tested(results)
    for name in (reference, *others):
        if not (table["strategy"] == name).any():
            known = ", ".join(dict.fromkeys(table["strategy"]))
            raise InputError(f"no strategy {name!r} among the results; there are: {known}")
    means = table.groupby(["size", "strategy", "tf"])[list(metrics)].mean()
    cells = sorted(table["tf"].unique())
    sizes = sorted(table["size"].unique())
    made, panels = figure(4.8, 3.4, columns=len(metrics), grid=True)
    paint = colours(list(others))
    for panel, metric in zip(panels, metrics, strict=True):
        series = [
            (other, size)
            for other in others
            for size in sizes
            if (size, other) in means.index.droplevel("tf")
        ]
        width = 0.8 / len(series)
        for number, (other, size) in enumerate(series):
            own, theirs = means.loc[(size, reference)], means.loc[(size, other)]
            gain = (own[metric] - theirs[metric]).reindex(cells)
            offset = (number - (len(series) - 1) / 2) * width
            whole = size == max(sizes)
            panel.bar(
                np.arange(len(cells)) + offset,
                gain,
                width * 0.9,
                color=paint[other] if whole else "white",
                edgecolor=paint[other],
                hatch=None if whole else "////",
                label=f"against {other}, {size:g} %",
            )
        panel.axhline(0, color=INK, linewidth=0.8)
        panel.set_xticks(range(len(cells)), cells, rotation=30)
        finish(panel, "", f"gain in {display(metric)}")
    handles, labels = panels[0].get_legend_handles_labels()
    made.suptitle(f"{reference}: gain", fontsize=11)
    made.legend(
        handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False
    )
    return made


def train_against_test(results: pd.DataFrame, metric: str = "auroc") -> Figure:
    """Draw each model's metric on its training part against the held-out chromosomes.

    Points far below the diagonal learned their training examples by heart.
    """
    table = results[results["size"] == results["size"].max()]
    wide = table.pivot_table(index=["strategy", "tf"], columns="part", values=metric, sort=False)
    if "train" not in wide or "test" not in wide:
        raise InputError("the results have no training part to compare with")
    wide = wide.dropna(subset=["train", "test"])
    strategies = list(dict.fromkeys(wide.index.get_level_values("strategy")))
    paint = colours(strategies)
    made, (panel,) = figure(6.4, 4.2, grid=True)
    for number, strategy in enumerate(strategies):
        chosen = wide.loc[strategy]
        panel.plot(
            chosen["train"],
            chosen["test"],
            MARKERS[number % len(MARKERS)],
            color=paint[strategy],
            label=strategy,
            markersize=5,
        )
    low = float(min(wide["train"].min(), wide["test"].min())) - 0.02
    panel.plot([low, 1], [low, 1], "-", color=GREY, linewidth=0.8)
    finish(panel, f"{display(metric)}, training part", f"{display(metric)}, held-out chromosomes")
    legend(panel, outside=True)
    return made


def _tested(results: pd.DataFrame) -> pd.DataFrame:
    return results[results["part"] == "test"] if "part" in results else results
