"""Sequence logos on a matplotlib axis."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cistransfer.errors import InputError
from cistransfer.motifs.pwm import PWM, information_content

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLOURS", "draw_letters", "draw_logo", "letter_path", "logo_heights"]

COLOURS = ("#1a9641", "#2c7bb6", "#f0a30a", "#d7191c")
"""Colours of A, C, G, T (the field's green, blue, yellow, red)."""


def logo_heights(pwm: PWM) -> NDArray[np.float64]:
    """Letter heights in bits: information content shared out by probability, shape (width, 4)."""
    return pwm.probabilities * information_content(pwm)[:, None]


def draw_logo(ax: Axes, pwm: PWM) -> None:
    """Draw a PWM as a sequence logo: 0 to 2 bits, positions 1 to width."""
    draw_letters(ax, logo_heights(pwm))
    ax.set_ylim(0, 2)
    ax.set_yticks([0, 1, 2])
    ax.set_ylabel("bits")


def draw_letters(
    ax: Axes, heights: ArrayLike, colours: Sequence[str] = COLOURS, first: int = 1
) -> None:
    """Draw stacked letters A, C, G, T; negative ones hang upside down below the axis.

    Parameters
    ----------
    ax : matplotlib axis
        Its limits, ticks and frame are set.
    heights : array, shape (length, 4)
        Height of each letter: bits, attributions (one-hot times attribution draws the sequence
        itself), log-odds. On each side of zero the largest is outermost.
    colours : four colours
        Of A, C, G, T.
    first : int
        Number of the first position on the horizontal axis.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.transforms import Affine2D

    values = np.asarray(heights, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != 4 or not np.isfinite(values).all():
        raise InputError(f"expected finite heights of shape (length, 4), found {values.shape}")
    for position, column in enumerate(values):
        top = bottom = 0.0
        for letter in np.argsort(np.abs(column), kind="stable"):
            height = float(column[letter])
            if height == 0:
                continue
            base = top if height > 0 else bottom
            place = Affine2D().scale(0.95, height).translate(first + position - 0.475, base)
            path = place.transform_path(_glyph("ACGT"[letter]))
            ax.add_artist(
                PathPatch(
                    path, facecolor=colours[letter], edgecolor="none", linewidth=0,
                    label=f"_{'ACGT'[letter]}",
                )
            )  # fmt: skip
            top, bottom = (top + height, bottom) if height > 0 else (top, bottom + height)
    low = float(np.minimum(values, 0).sum(axis=1).min(initial=0.0))
    high = float(np.maximum(values, 0).sum(axis=1).max(initial=0.0))
    margin = 0.05 * (high - low) or 1.0
    ax.set_xlim(first - 0.5, first + len(values) - 0.5)
    ax.set_ylim(low - margin if low < 0 else 0.0, high + margin)
    if low < 0:
        ax.axhline(0, color="0.3", linewidth=0.6)
    if len(values) <= 40:
        ax.set_xticks(range(first, first + len(values)))
        ax.tick_params(axis="x", labelsize="x-small", length=0)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def letter_path(letter: str) -> str:
    """Outline of A, C, G or T as data of an SVG path: one unit wide, one high, y upwards."""
    path = _glyph(letter)
    signs = {path.MOVETO: "M", path.LINETO: "L", path.CURVE3: "Q", path.CURVE4: "C"}
    steps = []
    for points, code in path.iter_segments(curves=True, simplify=False):
        if code == path.CLOSEPOLY:
            steps.append("Z")
        else:
            steps.append(signs[code] + " ".join(f"{value:.3f}" for value in points))
    return "".join(steps)


@cache
def _glyph(letter: str) -> Any:
    """Outline of a letter, stretched to the unit square."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    outline = TextPath(
        (0, 0), letter, size=1, prop=FontProperties(family="DejaVu Sans", weight="bold")
    )
    box = outline.get_extents()
    return (
        Affine2D().translate(-box.x0, -box.y0).scale(1 / box.width, 1 / box.height)
    ).transform_path(outline)
