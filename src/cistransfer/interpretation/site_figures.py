"""Figures of motif enrichment, in one model and in two: ranks, scatter, distributions, loci."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.figures import (
    BLUE,
    DIVERGING,
    FAINT,
    GREY,
    ORANGE,
    PALETTE,
    SKY,
    figure,
    finish,
    label_points,
)
from cistransfer.genome.codes import N
from cistransfer.motifs.logo import COLOURS, draw_letters

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_ecdfs", "draw_enrichment", "draw_loci", "draw_two_models"]

Floats = NDArray[np.float64]

_SPAN = 120  # bp of a locus that are drawn as letters


def draw_enrichment(
    tables: Mapping[str, pd.DataFrame], *, labels: int = 10, q: float = 1e-3
) -> Figure:
    """Motifs ranked by D, the ends named, one panel per table (Salvatore et al., Figure S4).

    Parameters
    ----------
    tables : dict of str to DataFrame
        Title to a table with ``motif``, ``d``, ``q``; motifs at ``q`` or above are grey.
    labels : int
        Names at each end, at most.
    """
    made, axes = figure(5.4, 4.7, columns=len(tables))
    drawn = []
    for ax, (title, table) in zip(axes, tables.items(), strict=True):
        ordered = table.sort_values(["d", "motif"], ascending=[False, True], ignore_index=True)
        good = (ordered["q"] < q).to_numpy()
        d = ordered["d"].to_numpy(float)
        rank = np.arange(1, len(ordered) + 1)
        colour = np.where(good, np.where(d > 0, ORANGE, BLUE), FAINT)
        ax.axhline(0, color="0.6", linewidth=0.7)
        ax.scatter(rank, d, c=colour, s=12, linewidth=0)
        top, bottom = np.flatnonzero(good & (d > 0)), np.flatnonzero(good & (d < 0))
        ends = np.concatenate([top[:labels], bottom[::-1][:labels]])
        ax.margins(0.06)
        ax.locator_params(axis="x", integer=True)
        finish(ax, "rank", "D (signed)", title)
        drawn.append((ax, rank, d, ends, ordered["motif"]))
    axes[-1].annotate(
        f"grey: q ≥ {q:g}", (1, 1), xycoords="axes fraction", fontsize=7.5, color="0.4",
        ha="right", va="top",
    )  # fmt: skip
    for ax, rank, d, ends, motifs in drawn:
        label_points(ax, rank[ends], d[ends], motifs.iloc[ends].tolist(), avoid=(rank, d))
    return made


def draw_two_models(
    table: pd.DataFrame, names: tuple[str, str], *, labels: int = 8, q: float = 1e-3
) -> Figure:
    """D in model A against D in model B, coloured by D of the difference (Figure 3G)."""
    made, (ax,) = figure(6.4, 5.5)
    some = table[(table["q_a"] < q) | (table["q_b"] < q)]
    limit = max(0.1, float(some["d_difference"].abs().fillna(0).max() if len(some) else 0))
    ax.axhline(0, color="0.85", linewidth=0.7, zorder=0)
    ax.axvline(0, color="0.85", linewidth=0.7, zorder=0)
    ax.axline((0, 0), slope=1, color="0.6", linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    order = np.argsort(some["d_difference"].abs().to_numpy(), kind="stable")
    drawn = some.iloc[order]
    dots = ax.scatter(
        drawn["d_b"], drawn["d_a"], c=drawn["d_difference"], cmap=DIVERGING, vmin=-limit,
        vmax=limit, s=24, edgecolor="0.3", linewidth=0.4,
    )  # fmt: skip
    bar = made.colorbar(dots, ax=ax, pad=0.02)
    bar.set_label(f"D of the difference, {names[0]} − {names[1]}", fontsize=8.5)
    bar.ax.tick_params(labelsize=7.5)
    values = some[["d_a", "d_b"]].to_numpy(float)
    if len(some):
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        margin = 0.1 * max(high - low, 0.1)
        ax.set_xlim(low - margin, high + margin)
        ax.set_ylim(low - margin, high + margin)
    ends = pd.concat(
        [some.nlargest(labels, "d_difference"), some.nsmallest(labels, "d_difference")]
    ).drop_duplicates("motif")
    title = f"{len(some):,} motifs with q < {q:g} in either model"
    finish(ax, f"D in {names[1]}", f"D in {names[0]}", title)
    label_points(
        ax, ends["d_b"], ends["d_a"], ends["motif"].tolist(), avoid=(some["d_b"], some["d_a"])
    )
    return made


def draw_ecdfs(
    sites: pd.DataFrame, scores: Mapping[str, Floats], motifs: Sequence[str], *, most: int = 8
) -> Figure:
    """Cumulative distribution of the attribution of some motifs' sites, against all sites'.

    Parameters
    ----------
    sites : DataFrame
        With ``name``, the motif.
    scores : dict of str to ndarray, shape (sites,)
        One panel each; NaN leaves a site out.
    motifs : sequence of str
        The first ``most`` are drawn.
    """
    made, axes = figure(4.6, 4.3, columns=len(scores))
    names = sites["name"].astype(str).to_numpy()
    for ax, (title, values) in zip(axes, scores.items(), strict=True):
        known = np.isfinite(values)
        low, high = (values[known].min(), values[known].max()) if known.any() else (0, 1)
        for number, name in enumerate([None, *motifs[:most]]):
            mine = values[known & (names == name)] if name is not None else values[known]
            ax.step(
                np.concatenate([[low], np.sort(mine), [high]]),
                np.concatenate([[0], np.arange(1, len(mine) + 1) / max(len(mine), 1), [1]]),
                where="post",
                color=GREY if name is None else PALETTE[(number - 1) % len(PALETTE)],
                linewidth=2.4 if name is None else 1.5, rasterized=len(mine) > 20_000,
                label=f"{'all sites' if name is None else name} ({len(mine):,})",
            )  # fmt: skip
        shown = np.quantile(values[known], [0.002, 0.998]) if known.any() else (0, 1)
        ax.set_xlim(shown[0], shown[1] if shown[1] > shown[0] else shown[0] + 1)
        finish(ax, "attribution of the site", "share of sites at or below", title)
    handles, texts = axes[0].get_legend_handles_labels()
    made.legend(handles, texts, frameon=False, fontsize=8, loc="outside right center")
    return made


def draw_loci(
    codes: NDArray[np.uint8],
    contributions: tuple[NDArray[np.float32], NDArray[np.float32]],
    sites: pd.DataFrame,
    titles: Sequence[str],
    names: tuple[str, str],
) -> Figure:
    """Attribution by two models around one site each, A above B on one scale (Figure 3H).

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
    contributions : two ndarrays, shape (n, length)
        By model A and by model B.
    sites : DataFrame
        One row per locus: ``sequence`` (row), ``start``, ``end``, ``name``.
    titles : sequence of str
        One per locus.
    """
    length = codes.shape[1]
    span = min(_SPAN, length)
    rows = 2 * max(len(sites), 1)
    made, axes = figure(max(span / 11, 6), 1.05 + 0.3 / rows, rows=rows)
    for number, site in enumerate(sites.itertuples(index=False)):
        middle = (int(site.start) + int(site.end)) // 2
        left = int(np.clip(middle - span // 2, 0, length - span))
        shown = slice(left, left + span)
        pair = [values[site.sequence, shown] for values in contributions]
        low = min(0.0, *(float(values.min()) for values in pair))
        high = max(1e-9, *(float(values.max()) for values in pair))
        letters = codes[site.sequence, shown]
        known = np.flatnonzero(letters < N)
        for row, values in enumerate(pair):
            ax = axes[2 * number + row]
            heights = np.zeros((span, 4))
            heights[known, letters[known]] = values[known]
            draw_letters(ax, heights, COLOURS, first=left)
            ax.axvspan(site.start - 0.5, site.end - 0.5, color=SKY, alpha=0.18, linewidth=0)
            ax.set_ylim(low, low + 1.32 * (high - low))
            finish(ax, "", "", titles[number] if row == 0 else "")
            ax.annotate(
                names[row], (0.004, 0.97), xycoords="axes fraction", fontsize=8, va="top",
                color="0.25",
            )  # fmt: skip
            ax.tick_params(labelsize=7)
            if row == 0:
                ax.set_xticklabels([])
                ax.annotate(
                    str(site.name), ((site.start + site.end - 1) / 2, 1),
                    xycoords=("data", "axes fraction"), fontsize=7.5, ha="center", va="top",
                    color="#0B5A8A",
                )  # fmt: skip
    axes[-1].set_xlabel("position in the window (bp)", fontsize=8.5)
    return made
