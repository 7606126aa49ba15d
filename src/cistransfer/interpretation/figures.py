"""Figures of interpretation, each returned as a matplotlib figure and saved as PNG and SVG."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.genome.codes import N
from cistransfer.motifs.logo import COLOURS, draw_letters, draw_logo
from cistransfer.motifs.pwm import PWM, information_content
from cistransfer.storage import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "draw_ecdfs",
    "draw_enrichment",
    "draw_influence",
    "draw_logos",
    "draw_marginal",
    "draw_mutations",
    "draw_refinement",
    "draw_spacing",
    "draw_tracks",
    "draw_two_models",
    "save_figure",
]

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#9A9A9A"


def save_figure(figure: Figure, stem: str | os.PathLike[str]) -> list[Path]:
    """Write ``stem.png`` and ``stem.svg``; equal figures give equal files."""
    import matplotlib

    paths = []
    with matplotlib.rc_context({"svg.hashsalt": "cistransfer"}):
        for kind in ("png", "svg"):
            path = Path(f"{os.fspath(stem)}.{kind}")
            with whole_file(path) as temporary:
                figure.savefig(
                    temporary,
                    format=kind,
                    dpi=150,
                    metadata={"Date": None} if kind == "svg" else {},
                )
            paths.append(path)
    return paths


def draw_logos(
    pwms: Sequence[PWM], titles: Sequence[str], *, columns: int = 4, most: int = 24
) -> Figure:
    """Sequence logos in a grid, the first ``most``."""
    shown = list(zip(pwms, titles, strict=True))[:most]
    rows = max(-(-len(shown) // columns), 1)
    figure, axes = _panels(rows, min(columns, max(len(shown), 1)), 2.7, 1.15)
    top = _common_top([pwm for pwm, _ in shown])
    for ax, (pwm, title) in zip(axes, shown, strict=False):
        draw_logo(ax, pwm)
        ax.set_ylim(0, top)
        ax.set_title(title, fontsize=7.5, loc="left", pad=2)
        ax.set_xticks([])
        ax.set_ylabel("")
        ax.tick_params(labelsize=6)
    for ax in axes[len(shown) :]:
        ax.set_visible(False)
    return figure


def draw_influence(table: pd.DataFrame, *, labels: int = 12) -> Figure:
    """Information content against influence, coloured by the match's q-value (Figure 9A).

    ``table`` has ``information``, ``influence`` (a number per filter), ``q``, ``match_name``.
    """
    figure, (ax,) = _panels(1, 1, 6.2, 4.2)
    shown = table[(table["influence"] > 0) & (table["information"] > 0)]
    y = np.log10(shown["influence"].to_numpy(float))
    matched = shown["q"].notna().to_numpy()
    ax.scatter(
        shown["information"][~matched],
        y[~matched],
        s=16,
        color="#CFCFCF",
        label="no motif compared",
    )
    strength = np.minimum(-np.log10(shown["q"][matched].clip(lower=1e-10)), 6)
    dots = ax.scatter(
        shown["information"][matched], y[matched], c=strength, cmap="viridis", s=24, vmin=0, vmax=6,
        edgecolor="0.25", linewidth=0.4,
    )  # fmt: skip
    figure.colorbar(dots, ax=ax, label="−log10 q of the best known motif (6 and above: 6)")
    named = shown.assign(y=y)[(shown["q"] <= 0.05).to_numpy()].nlargest(labels, "y")
    _spread_labels(
        ax,
        named["information"].to_numpy(float),
        named["y"].to_numpy(float),
        [row.match_name or row.match for row in named.itertuples()],
    )
    _finish(ax, "information content (bits)", "log10 influence")
    return figure


def draw_refinement(
    before: Sequence[PWM], after: Sequence[PWM], titles: Sequence[tuple[str, str]]
) -> Figure:
    """The same filters before (left) and after (right) fine-tuning."""
    figure, axes = _panels(max(len(before), 1), 2, 3.6, 1.2)
    top = _common_top([*before, *after])
    for row, (one, other, title) in enumerate(zip(before, after, titles, strict=True)):
        for column, (pwm, text) in enumerate(zip((one, other), title, strict=True)):
            ax = axes[2 * row + column]
            draw_logo(ax, pwm)
            ax.set_ylim(0, top)
            ax.set_title(text, fontsize=7.5, loc="left", pad=2)
            ax.set_xticks([])
            ax.set_ylabel("bits" if column == 0 else "", fontsize=7)
            ax.tick_params(labelsize=6)
    return figure


def draw_tracks(
    codes: Codes,
    contributions: Floats,
    titles: Sequence[str],
    *,
    spans: Sequence[Sequence[tuple[int, int, str]]] | None = None,
    label: str = "contribution",
) -> Figure:
    """Attribution of a few sequences as letters whose height is the contribution.

    ``spans`` are stretches to shade and name: for each sequence (start, end, name).
    """
    length = codes.shape[1]
    figure, axes = _panels(len(codes), 1, min(max(length / 16, 6), 24), 1.5)
    for row, ax in enumerate(axes):
        letters = np.zeros((length, 4))
        known = np.flatnonzero(codes[row] < N)
        letters[known, codes[row, known]] = contributions[row, known]
        draw_letters(ax, letters, COLOURS, first=0)
        for start, end, name in spans[row] if spans else ():
            ax.axvspan(start - 0.5, end - 0.5, color="#56B4E9", alpha=0.18, linewidth=0)
            ax.annotate(
                name, ((start + end - 1) / 2, 1), xycoords=("data", "axes fraction"), fontsize=7,
                ha="center", va="top", color="#0B5A8A",
            )  # fmt: skip
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + (0.16 * (high - low) if spans and spans[row] else 0))
        ax.set_title(titles[row], fontsize=8, loc="left", pad=3)
        ax.set_ylabel(label, fontsize=7)
        ax.tick_params(labelsize=7)
        step = 10 if length <= 250 else 50
        ax.set_xticks(range(0, length, step))
    axes[-1].set_xlabel("position in the window (bp)", fontsize=8)
    return figure


def draw_mutations(codes: Codes, changes: Floats, title: str) -> Figure:
    """Change of the output by every substitution of one sequence, a ``(4, length)`` map."""
    length = len(codes)
    figure, axes = _panels(1, 1, min(max(length / 16, 6), 24), 1.7)
    limit = float(np.abs(changes).max()) or 1.0
    image = axes[0].imshow(
        changes, aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest"
    )
    known = np.flatnonzero(codes < N)
    axes[0].scatter(known, codes[known], s=3, color="black", linewidth=0)
    axes[0].set_yticks(range(4), list("ACGT"))
    axes[0].set_title(title, fontsize=8, loc="left")
    axes[0].set_xlabel("position in the window (bp); dots: the sequence", fontsize=8)
    axes[0].tick_params(labelsize=7)
    figure.colorbar(image, ax=axes[0], label="change", pad=0.01)
    return figure


def draw_enrichment(table: pd.DataFrame, *, labels: int = 10, q: float = 1e-3) -> Figure:
    """Motifs ranked by D, the ends named; grey: not significant."""
    figure, (ax,) = _panels(1, 1, 6.4, 4.2)
    ordered = table.sort_values("d", ascending=False, ignore_index=True)
    colour = np.where(ordered["q"] < q, np.where(ordered["d"] > 0, _ORANGE, _BLUE), "#CFCFCF")
    rank = np.arange(1, len(ordered) + 1)
    ax.scatter(rank, ordered["d"], c=colour, s=14)
    ends = np.unique(
        np.r_[: min(labels, len(ordered)), max(len(ordered) - labels, 0) : len(ordered)]
    )
    ends = ends[(ordered["q"].to_numpy() < q)[ends]]
    _spread_labels(
        ax, rank[ends], ordered["d"].to_numpy()[ends], [str(ordered["motif"][i]) for i in ends]
    )
    ax.axhline(0, color="0.4", linewidth=0.7)
    _finish(ax, "rank", "D (signed)", f"orange, blue: q < {q:g}")
    return figure


def draw_two_models(
    table: pd.DataFrame, names: tuple[str, str], *, labels: int = 8, q: float = 1e-3
) -> Figure:
    """D in model A against D in model B, coloured by D of the difference."""
    figure, (ax,) = _panels(1, 1, 5.8, 4.6)
    some = table[(table["q_a"] < q) | (table["q_b"] < q)]
    limit = float(np.nanmax(np.abs(some["d_difference"]), initial=0.1))
    dots = ax.scatter(
        some["d_b"], some["d_a"], c=some["d_difference"], cmap="RdBu_r", vmin=-limit, vmax=limit,
        s=22, edgecolor="0.3", linewidth=0.4,
    )  # fmt: skip
    figure.colorbar(dots, ax=ax, label=f"D of the difference ({names[0]} − {names[1]})")
    ends = pd.concat(
        [some.nlargest(labels, "d_difference"), some.nsmallest(labels, "d_difference")]
    )
    ends = ends.drop_duplicates("motif")
    _spread_labels(ax, ends["d_b"].to_numpy(), ends["d_a"].to_numpy(), ends["motif"].astype(str))
    ax.axline((0, 0), slope=1, color="0.6", linewidth=0.7)
    _finish(ax, f"D in {names[1]}", f"D in {names[0]}", f"motifs with q < {q:g} in either")
    return figure


def draw_ecdfs(sites: pd.DataFrame, scores: NDArray[np.float64], motifs: Sequence[str]) -> Figure:
    """Cumulative distribution of the attribution of some motifs' sites, against all sites'."""
    figure, (ax,) = _panels(1, 1, 5.6, 4.0)
    colours = (_ORANGE, _BLUE, _GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#8C6D31")
    names = sites["name"].astype(str).to_numpy()
    known = np.isfinite(scores)
    for number, name in enumerate([None, *motifs[:8]]):
        mine = scores[known & (names == name)] if name is not None else scores[known]
        ax.step(
            np.sort(mine), np.arange(1, len(mine) + 1) / max(len(mine), 1), where="post",
            color=_GREY if name is None else colours[number - 1],
            linewidth=2.2 if name is None else 1.5,
            label=f"{'all sites' if name is None else name} ({len(mine):,})",
        )  # fmt: skip
    low, high = np.quantile(scores[known], [0.001, 0.999]) if known.any() else (0, 1)
    ax.set_xlim(low, high if high > low else low + 1)
    ax.legend(frameon=False, fontsize=8)
    _finish(ax, "attribution of the site", "share of sites at or below")
    return figure


def draw_marginal(table: pd.DataFrame, *, most: int = 30) -> Figure:
    """Effect of planting each motif, the ``most`` largest in size, with standard errors."""
    some = table.reindex(table["effect"].abs().nlargest(most).index).sort_values("effect")
    figure, (ax,) = _panels(1, 1, 5.4, max(0.22 * len(some), 1.6) + 0.7)
    colour = [_ORANGE if value > 0 else _BLUE for value in some["effect"]]
    error = some["sd"] / np.sqrt(some["n"])
    ax.barh(
        np.arange(len(some)), some["effect"], xerr=error, color=colour, height=0.7, ecolor="0.3"
    )
    names = [name or motif for name, motif in zip(some["name"], some["motif"], strict=True)]
    ax.set_yticks(np.arange(len(some)), names, fontsize=7.5)
    ax.axvline(0, color="0.3", linewidth=0.7)
    _finish(ax, "change of the logit by one site (mean ± s.e.)", "")
    return figure


def draw_spacing(table: pd.DataFrame, first: str, second: str) -> Figure:
    """What the second motif adds to the first one at every distance, side and orientation."""
    figure, (ax,) = _panels(1, 1, 7.0, 3.6)
    styles = {"same": "-", "opposite": "--"}
    colours = {"after": _ORANGE, "before": _BLUE}
    for (side, orientation), rows in table.groupby(["side", "orientation"], sort=False):
        ax.plot(
            rows["gap"], rows["interaction"], styles[str(orientation)], color=colours[str(side)],
            linewidth=1.6, label=f"{side}, {orientation} orientation",
        )  # fmt: skip
    ax.axhline(0, color="0.4", linewidth=0.7)
    ax.legend(frameon=False, fontsize=8)
    _finish(
        ax,
        f"gap between {first} and {second} (bp)",
        "interaction (logit)",
        f"{first} and {second} together, less the sum of each alone",
    )
    return figure


def _common_top(pwms: Sequence[PWM]) -> float:
    """One height for all logos of a figure: 2 bits, or 1 where no position has more."""
    highest = max((float(information_content(pwm).max()) for pwm in pwms), default=2.0)
    return 2.0 if highest > 1 else 1.0


def _panels(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(width * columns, height * rows + 0.3), layout="constrained", facecolor="white"
    )
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def _finish(ax: Any, x: str, y: str, title: str = "") -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel(x, fontsize=9.5)
    ax.set_ylabel(y, fontsize=9.5)
    ax.tick_params(labelsize=8)
    if title:
        ax.set_title(title, fontsize=9.5, loc="left")


def _spread_labels(ax: Any, x: Any, y: Any, texts: Any) -> None:
    """Write names beside points, moved apart vertically where they would overlap."""
    x, y, texts = np.asarray(x, float), np.asarray(y, float), list(texts)
    if not len(x):
        return
    low, high = ax.get_ylim()
    step = (high - low) / 26
    order = np.argsort(y)
    at = y[order].copy()
    for number in range(1, len(at)):
        at[number] = max(at[number], at[number - 1] + step)
    at -= max(0.0, at[-1] - high)
    middle = np.mean(ax.get_xlim())
    span = np.diff(ax.get_xlim())[0]
    for place, number in zip(at, order, strict=True):
        right = x[number] < middle
        ax.annotate(
            texts[number], (x[number], y[number]),
            xytext=(x[number] + (0.035 if right else -0.035) * span, place),
            fontsize=7, va="center", ha="left" if right else "right",
            arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.5, "shrinkB": 2},
        )  # fmt: skip
