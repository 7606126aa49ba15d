"""Figures of interpretation, each returned as a matplotlib figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.figures import (
    BLUE,
    DIVERGING,
    FAINT,
    ORANGE,
    SEQUENTIAL,
    SKY,
    figure,
    finish,
    label_points,
    legend,
)
from cistransfer.genome.codes import N
from cistransfer.motifs.logo import COLOURS, draw_letters, draw_logo
from cistransfer.motifs.pwm import PWM, information_content

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
]

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def draw_logos(
    pwms: Sequence[PWM], titles: Sequence[str], *, columns: int = 4, most: int = 24
) -> Figure:
    """Sequence logos in a grid, the first ``most``."""
    shown = list(zip(pwms, titles, strict=True))[:most]
    rows = max(-(-len(shown) // columns), 1)
    made, axes = figure(2.7, 1.15 + 0.3 / rows, rows=rows, columns=min(columns, max(len(shown), 1)))
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
    return made


def draw_influence(table: pd.DataFrame, *, labels: int = 12) -> Figure:
    """Information content against influence, coloured by the match's q-value (Figure 9A).

    ``table`` has ``information``, ``influence`` (a number per filter), ``q``, ``match_name``.
    """
    made, (ax,) = figure(6.2, 4.5)
    shown = table[(table["influence"] > 0) & (table["information"] > 0)]
    y = np.log10(shown["influence"].to_numpy(float))
    matched = shown["q"].notna().to_numpy()
    ax.scatter(
        shown["information"][~matched],
        y[~matched],
        s=16,
        color=FAINT,
        label="no motif compared",
    )
    strength = np.minimum(-np.log10(shown["q"][matched].clip(lower=1e-10)), 6)
    dots = ax.scatter(
        shown["information"][matched], y[matched], c=strength, cmap=SEQUENTIAL, vmin=0, vmax=6,
        s=24, edgecolor="0.25", linewidth=0.4,
    )  # fmt: skip
    made.colorbar(dots, ax=ax, label="−log10 q of the best known motif (6 and above: 6)")
    named = shown.assign(y=y)[(shown["q"] <= 0.05).to_numpy()].nlargest(labels, "y")
    finish(ax, "information content (bits)", "log10 influence")
    label_points(
        ax,
        named["information"],
        named["y"],
        [row.match_name or row.match for row in named.itertuples()],
        avoid=(shown["information"], y),
    )
    return made


def draw_refinement(
    before: Sequence[PWM], after: Sequence[PWM], titles: Sequence[tuple[str, str]]
) -> Figure:
    """The same filters before (left) and after (right) fine-tuning."""
    rows = max(len(before), 1)
    made, axes = figure(3.6, 1.2 + 0.3 / rows, rows=rows, columns=2)
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
    return made


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
    made, axes = figure(min(max(length / 16, 6), 24), 1.5 + 0.3 / len(codes), rows=len(codes))
    for row, ax in enumerate(axes):
        letters = np.zeros((length, 4))
        known = np.flatnonzero(codes[row] < N)
        letters[known, codes[row, known]] = contributions[row, known]
        draw_letters(ax, letters, COLOURS, first=0)
        for start, end, name in spans[row] if spans else ():
            ax.axvspan(start - 0.5, end - 0.5, color=SKY, alpha=0.18, linewidth=0)
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
    return made


def draw_mutations(codes: Codes, changes: Floats, title: str) -> Figure:
    """Change of the output by every substitution of one sequence, a ``(4, length)`` map."""
    length = len(codes)
    made, axes = figure(min(max(length / 16, 6), 24), 2.0)
    limit = float(np.abs(changes).max()) or 1.0
    image = axes[0].imshow(
        changes, aspect="auto", cmap=DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest"
    )
    known = np.flatnonzero(codes < N)
    axes[0].scatter(known, codes[known], s=3, color="black", linewidth=0)
    axes[0].set_yticks(range(4), list("ACGT"))
    axes[0].set_title(title, fontsize=8, loc="left")
    axes[0].set_xlabel("position in the window (bp); dots: the sequence", fontsize=8)
    axes[0].tick_params(labelsize=7)
    made.colorbar(image, ax=axes[0], label="change", pad=0.01)
    return made


def draw_marginal(table: pd.DataFrame, *, most: int = 30) -> Figure:
    """Effect of planting each motif, the ``most`` largest in size, with standard errors."""
    some = table.reindex(table["effect"].abs().nlargest(most).index).sort_values("effect")
    made, (ax,) = figure(5.4, max(0.22 * len(some), 1.6) + 1.0)
    colour = [ORANGE if value > 0 else BLUE for value in some["effect"]]
    error = some["sd"] / np.sqrt(some["n"])
    ax.barh(
        np.arange(len(some)), some["effect"], xerr=error, color=colour, height=0.7, ecolor="0.3"
    )
    names = [name or motif for name, motif in zip(some["name"], some["motif"], strict=True)]
    ax.set_yticks(np.arange(len(some)), names, fontsize=7.5)
    ax.axvline(0, color="0.3", linewidth=0.7)
    finish(ax, "change of the logit by one site (mean ± s.e.)", "")
    return made


def draw_spacing(table: pd.DataFrame, first: str, second: str) -> Figure:
    """What the second motif adds to the first one at every distance, side and orientation."""
    made, (ax,) = figure(7.0, 3.9)
    styles = {"same": "-", "opposite": "--"}
    colours = {"after": ORANGE, "before": BLUE}
    for (side, orientation), rows in table.groupby(["side", "orientation"], sort=False):
        ax.plot(
            rows["gap"], rows["interaction"], styles[str(orientation)], color=colours[str(side)],
            linewidth=1.6, label=f"{side}, {orientation} orientation",
        )  # fmt: skip
    ax.axhline(0, color="0.4", linewidth=0.7)
    legend(ax)
    finish(
        ax,
        f"gap between {first} and {second} (bp)",
        "interaction (logit)",
        f"{first} and {second} together, less the sum of each alone",
    )
    return made


def _common_top(pwms: Sequence[PWM]) -> float:
    """One height for all logos of a figure: 2 bits, or 1 where no position has more."""
    highest = max((float(information_content(pwm).max()) for pwm in pwms), default=2.0)
    return 2.0 if highest > 1 else 1.0
