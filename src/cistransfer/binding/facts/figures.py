"""Figures of a matrix: the matrix itself, who binds like whom, bound counts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.binding.facts.cobinding import binding_vectors, cobinding
from cistransfer.binding.facts.counts import Facts
from cistransfer.binding.matrix import BindingMatrix
from cistransfer.figures import (
    BLUE,
    FAINT,
    GUIDE,
    ORANGE,
    SEQUENTIAL,
    SKY,
    figure,
    finish,
    legend,
    save,
)
from cistransfer.motifs.tfclass import read_tfclass
from cistransfer.storage import files_into

__all__ = [
    "clustered_order",
    "plot_bound",
    "plot_common",
    "plot_cosine",
    "plot_matrix",
    "tfclass_order",
    "write_figures",
]

_BOUND, _UNBOUND, _UNRESOLVED = ORANGE, SKY, "#F2F2F2"


def write_figures(
    folder: str | os.PathLike[str],
    matrix: BindingMatrix,
    facts: Facts,
    tfclass: str | os.PathLike[str] | None = None,
    symbols: str | os.PathLike[str] | None = None,
) -> list[Path]:
    """Write ``matrix.png``, ``cosine.png``, ``bound.png`` and ``common.png``.

    Parameters
    ----------
    facts : Facts
        Of the same matrix.
    tfclass : path, optional
        TFClass (OBO); the heat map is ordered by it, else clustered.
    symbols : path, optional
        Ensembl ids and gene symbols, to find TFs in TFClass exactly.
    """
    joint = "less-sparse" if facts.rule == "sparse" else facts.rule
    similarity = cobinding(binding_vectors(matrix, joint)).cosine.copy()
    np.fill_diagonal(similarity, 1.0)
    order = (
        clustered_order(similarity)
        if tfclass is None
        else tfclass_order(tfclass, matrix.tfs, symbols)
    )
    names = [matrix.tfs[at] for at in order]
    drawn = {
        "matrix": plot_matrix(matrix, facts),
        "cosine": plot_cosine(
            similarity[np.ix_(order, order)],
            names,
            f"{matrix.name} ({joint}), TFs "
            + ("by similarity" if tfclass is None else "in the order of TFClass"),
        ),
        "bound": plot_bound(facts.tfs),
        "common": plot_common(facts.common),
    }
    with files_into(folder) as made:
        paths = [path for name, each in drawn.items() for path in save(each, made / f"{name}.png")]
    return [Path(folder) / path.name for path in paths]


def clustered_order(similarity: NDArray[np.float64]) -> list[int]:
    """Order that puts similar TFs side by side (average linkage, optimal leaf order)."""
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    if len(similarity) < 3:
        return list(range(len(similarity)))
    distance = 1 - np.nan_to_num(similarity, nan=0.0)
    distance = np.clip((distance + distance.T) / 2, 0, None)
    np.fill_diagonal(distance, 0.0)
    condensed = squareform(distance, checks=False)
    tree = optimal_leaf_ordering(linkage(condensed, "average"), condensed)
    return [int(leaf) for leaf in leaves_list(tree)]


def tfclass_order(
    path: str | os.PathLike[str],
    tfs: Sequence[str],
    symbols: str | os.PathLike[str] | None = None,
) -> list[int]:
    """Order of TFs in TFClass; TFs that are not found there come last, by name.

    Parameters
    ----------
    path, symbols
        See `cistransfer.motifs.tfclass.read_tfclass`.
    tfs : sequence of str
        Gene symbols.
    """
    known = read_tfclass(path, symbols)
    places = [known.place(tf) for tf in tfs]
    return sorted(range(len(tfs)), key=lambda i: (not places[i], places[i], tfs[i]))


def plot_matrix(matrix: BindingMatrix, facts: Facts, columns: int = 1500) -> Any:
    """Draw the states: TFs by resolved regions, evenly taken regions by resolved TFs (Fig. 1)."""
    table = facts.tfs.assign(resolved=len(matrix) - facts.tfs["unresolved"])
    tfs = table.sort_values(["resolved", "tf"], ascending=[False, True])["tf"].tolist()
    some = np.linspace(0, len(matrix) - 1, min(columns, len(matrix))).astype(np.int64)
    states = np.stack([matrix.states(tf, facts.rule)[some, 0] for tf in tfs])
    order = np.lexsort((-(states == 1).sum(axis=0), -(states >= 0).sum(axis=0)))
    made, (axes,) = figure(9, max(3.0, min(12.0, 1.5 + 0.075 * len(tfs))))
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    axes.imshow(
        states[:, order],
        aspect="auto",
        interpolation="nearest",
        cmap=ListedColormap([_UNRESOLVED, _UNBOUND, _BOUND]),
        vmin=-1,
        vmax=1,
    )
    _name_rows(axes, tfs)
    x = f"{len(some):,} of {len(matrix):,} regions, by TFs resolved"
    finish(axes, x, "", f"{matrix.name} ({facts.rule})")
    legend(
        axes,
        handles=[
            Patch(color=_BOUND, label="bound"),
            Patch(color=_UNBOUND, label="unbound"),
            Patch(facecolor=_UNRESOLVED, edgecolor="grey", label="unresolved"),
        ],
        outside=True,
    )
    return made


def plot_cosine(similarity: NDArray[np.float64], names: Sequence[str], title: str = "") -> Any:
    """Draw cosine similarities in the given order (Fig. 2); grey where undefined."""
    side = max(4.0, min(12.0, 1.5 + 0.075 * len(names)))
    made, (axes,) = figure(side + 1, side)
    from matplotlib import colormaps

    colours = colormaps[SEQUENTIAL].with_extremes(bad=FAINT)
    off = similarity[~np.eye(len(similarity), dtype=bool)]
    top = float(np.nanquantile(off, 0.995)) if np.isfinite(off).any() else 1.0
    image = axes.imshow(
        similarity, cmap=colours, vmin=0, vmax=max(top, 0.05), interpolation="nearest"
    )
    _name_rows(axes, names)
    step = _step(len(names))
    axes.set_xticks(range(0, len(names), step), list(names)[::step], rotation=90)
    axes.tick_params(axis="x", labelsize=_letters(names))
    axes.set_title(title, fontsize=10, loc="left")
    made.colorbar(
        image, ax=axes, shrink=0.6, label="cosine of shared resolved regions", extend="max"
    )
    return made


def plot_bound(tfs: pd.DataFrame) -> Any:
    """Draw the number of bound regions of each TF, most first, and the line of 500."""
    table = tfs.sort_values(["bound", "tf"], ascending=[False, True])
    made, (axes,) = figure(max(6.0, min(16.0, 3.0 + 0.1 * len(table))), 4)
    place = np.arange(len(table))
    few = (table["bound"] <= 500).to_numpy()
    height = np.maximum(table["bound"].to_numpy(), 0.8)
    for rows, colour, label in ((~few, BLUE, "more than 500"), (few, ORANGE, "at most 500")):
        if rows.any():
            axes.bar(place[rows], height[rows], color=colour, label=label)
    axes.axhline(500, color=GUIDE, linewidth=0.8, linestyle="--")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_minor_formatter("")
    axes.set_xlim(-1, len(table))
    finish(axes, "", "bound regions")
    axes.set_xticks(place, table["tf"].tolist(), rotation=90)
    axes.tick_params(axis="x", labelsize=_letters(table["tf"]))
    legend(axes, outside=True)
    return made


def plot_common(common: dict[int, int]) -> Any:
    """Draw how many regions are resolved in all of the N most resolved TFs."""
    made, (axes,) = figure(5, 3.5)
    axes.plot(list(common), list(common.values()), marker="o", markersize=3, color=BLUE)
    finish(axes, "most resolved TFs", "regions resolved in all of them")
    axes.set_ylim(bottom=0)
    return made


def _step(n: int) -> int:
    return max(1, n // 160)


def _name_rows(axes: Any, names: Sequence[str]) -> None:
    step = _step(len(names))
    axes.set_yticks(range(0, len(names), step), list(names)[::step], fontsize=_letters(names))


def _letters(names: Sequence[str]) -> int:
    """Size of letters at which so many names fit."""
    return 5 if len(names) > 40 else 8
