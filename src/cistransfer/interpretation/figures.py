"""Figures of interpretation, each returned as a matplotlib figure and saved as PNG and SVG."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.genome.codes import N
from cistransfer.interpretation.panels import (
    BLUE,
    ORANGE,
    finish,
    panels,
    spread_labels,
)
from cistransfer.motifs.logo import COLOURS, draw_letters, draw_logo
from cistransfer.motifs.pwm import PWM, information_content
from cistransfer.storage import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "draw_influence",
    "draw_logos",
    "draw_marginal",
    "draw_mutations",
    "draw_refinement",
    "draw_spacing",
    "draw_tracks",
    "save_figure",
]

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]


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
    figure, axes = panels(rows, min(columns, max(len(shown), 1)), 2.7, 1.15)
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
    figure, (ax,) = panels(1, 1, 6.2, 4.2)
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
    spread_labels(
        ax,
        named["information"].to_numpy(float),
        named["y"].to_numpy(float),
        [row.match_name or row.match for row in named.itertuples()],
    )
    finish(ax, "information content (bits)", "log10 influence")
    return figure


def draw_refinement(
    before: Sequence[PWM], after: Sequence[PWM], titles: Sequence[tuple[str, str]]
) -> Figure:
    """The same filters before (left) and after (right) fine-tuning."""
    figure, axes = panels(max(len(before), 1), 2, 3.6, 1.2)
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
    figure, axes = panels(len(codes), 1, min(max(length / 16, 6), 24), 1.5)
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
    figure, axes = panels(1, 1, min(max(length / 16, 6), 24), 1.7)
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


def draw_marginal(table: pd.DataFrame, *, most: int = 30) -> Figure:
    """Effect of planting each motif, the ``most`` largest in size, with standard errors."""
    some = table.reindex(table["effect"].abs().nlargest(most).index).sort_values("effect")
    figure, (ax,) = panels(1, 1, 5.4, max(0.22 * len(some), 1.6) + 0.7)
    colour = [ORANGE if value > 0 else BLUE for value in some["effect"]]
    error = some["sd"] / np.sqrt(some["n"])
    ax.barh(
        np.arange(len(some)), some["effect"], xerr=error, color=colour, height=0.7, ecolor="0.3"
    )
    names = [name or motif for name, motif in zip(some["name"], some["motif"], strict=True)]
    ax.set_yticks(np.arange(len(some)), names, fontsize=7.5)
    ax.axvline(0, color="0.3", linewidth=0.7)
    finish(ax, "change of the logit by one site (mean ± s.e.)", "")
    return figure


def draw_spacing(table: pd.DataFrame, first: str, second: str) -> Figure:
    """What the second motif adds to the first one at every distance, side and orientation."""
    figure, (ax,) = panels(1, 1, 7.0, 3.6)
    styles = {"same": "-", "opposite": "--"}
    colours = {"after": ORANGE, "before": BLUE}
    for (side, orientation), rows in table.groupby(["side", "orientation"], sort=False):
        ax.plot(
            rows["gap"], rows["interaction"], styles[str(orientation)], color=colours[str(side)],
            linewidth=1.6, label=f"{side}, {orientation} orientation",
        )  # fmt: skip
    ax.axhline(0, color="0.4", linewidth=0.7)
    ax.legend(frameon=False, fontsize=8)
    finish(
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
