"""Figures as inline SVG of a page: its colours, its fonts, its text; letters as one shape each.

A page has a light and a dark side, so every colour of a figure becomes a CSS variable that falls
back on itself (``var(--c0072b2,#0072b2)``), and text stays text.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cistransfer.figures import as_svg, keep
from cistransfer.genome.codes import N
from cistransfer.motifs.logo import letter_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Plot", "glyphs", "letters_svg", "logo_svg", "plot", "table_link"]

_HOVERED = 240
"""Points of a curve that a pointer can read."""


@dataclass(frozen=True)
class Plot:
    """A figure of the page.

    Attributes
    ----------
    svg : str
    caption : str
    hover : str
        JSON of the curves, for the script; empty where there is nothing to point at.
    table : str
        A link that holds the numbers, from `table_link`.
    """

    svg: str
    caption: str
    hover: str = ""
    table: str = ""


def plot(
    made: Figure,
    caption: str,
    prefix: str,
    *,
    hover: bool = False,
    name: str = "",
    table: pd.DataFrame | None = None,
) -> Plot:
    """Turn a figure into a part of the page.

    Parameters
    ----------
    made : Figure
    caption : str
        Also what a screen reader says of it.
    prefix : str
        Of the ids in it: no other figure of the page has the same.
    hover : bool
        Let a pointer read the named lines.
    name : str
        For who is `cistransfer.figures.collecting`.
    table : DataFrame, optional
        The numbers behind it.
    """
    keep(name or prefix, made, table)
    text = as_svg(made)
    text = text[text.index("<svg") :]
    for pattern in (r"<!--.*?-->", r"<metadata>.*?</metadata>", r"<style.*?</style>"):
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'id="([^"]*)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'href="#([^"]*)"', rf'href="#{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]*)\)", rf"url(#{prefix}-\1)", text)
    text = re.sub(r"(?<=[ :])#([0-9a-f]{6})\b", r"var(--c\1,#\1)", text)
    head = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    assert head is not None
    words = escape(caption, quote=True)
    text = re.sub(
        r"<svg[^>]*>",
        f'<svg {head[0]} role="img" aria-label="{words}" style="max-width:{float(head[1]):.0f}pt">',
        text,
        count=1,
    )
    text = re.sub(r"\n\s*", "\n", text).strip()
    data = _curves(made, float(head[1]), float(head[2])) if hover else ""
    return Plot(text, caption, data, "" if table is None else table_link(table))


def table_link(table: pd.DataFrame) -> str:
    """A table as the address of a link (TSV in base64)."""
    text = table.to_csv(sep="\t", index=False, float_format="%.6g", lineterminator="\n")
    return "data:text/tab-separated-values;base64," + base64.b64encode(text.encode()).decode()


def _curves(made: Figure, width: float, height: float) -> str:
    """Named lines of each panel, and where the panel lies in the figure, in its own units."""
    found = []
    scale = 72 / made.dpi
    for panel in made.axes:
        box = panel.get_window_extent()
        series = [
            {"name": str(line.get_label()), "colour": _colour(line), **_points(line)}
            for line in panel.lines
            if not str(line.get_label()).startswith("_")
        ]
        if series:
            found.append(
                {
                    "box": [
                        round(box.x0 * scale, 1),
                        round(height - box.y1 * scale, 1),
                        round(box.width * scale, 1),
                        round(box.height * scale, 1),
                    ],
                    "x": [*panel.get_xlim()],
                    "y": [*panel.get_ylim()],
                    "names": [panel.get_xlabel(), panel.get_ylabel()],
                    "series": series,
                }
            )
    return json.dumps({"size": [width, height], "panels": found}) if found else ""


def _colour(line: Any) -> str:
    from matplotlib.colors import to_hex

    return str(to_hex(line.get_color()))


def _points(line: Any) -> dict[str, list[float]]:
    points = np.asarray(line.get_xydata(), dtype=float)
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) > _HOVERED:
        points = points[np.unique(np.linspace(0, len(points) - 1, _HOVERED).astype(int))]
    return {
        "xs": [round(float(x), 4) for x in points[:, 0]],
        "ys": [round(float(y), 4) for y in points[:, 1]],
    }


def glyphs() -> str:
    """The four letters, once for the whole page; `letters_svg` draws with them."""
    shapes = "".join(f'<path id="glyph-{letter}" d="{letter_path(letter)}"/>' for letter in "ACGT")
    return (
        f'<svg width="0" height="0" class="glyphs" aria-hidden="true"><defs>{shapes}</defs></svg>'
    )


def _letter(letter: str, x: float, y: float, wide: float, high: float) -> str:
    """One letter standing on ``y`` (downwards), or hanging from it with a negative height."""
    return (
        f'<use href="#glyph-{letter}" class="{letter}" '
        f'transform="translate({x:.4g} {y:.4g}) scale({wide:.3g} {-high:.4g})"/>'
    )


def logo_svg(probabilities: ArrayLike, bits: ArrayLike, words: str) -> str:
    """A motif's logo, 2 bits high, letters of equal width.

    Parameters
    ----------
    probabilities : array, shape (width, 4)
    bits : array, shape (width,)
        Information content of each position.
    words : str
        What a screen reader says.
    """
    heights = np.asarray(probabilities) * np.asarray(bits)[:, None]
    shown = []
    for position, column in enumerate(heights):
        y = 40.0
        for letter in np.argsort(column, kind="stable"):
            high = 20 * float(column[letter])
            if high >= 0.4:
                shown.append(_letter("ACGT"[letter], 12 * position + 0.4, y, 11.2, high))
                y -= high
    width = 12 * len(heights)
    return (
        f'<svg viewBox="0 0 {width} 40" class="logo" style="width:{width}px" role="img" '
        f'aria-label="{escape(words, quote=True)}">{"".join(shown)}'
        f'<path d="M0 40H{width}" class="axis"/></svg>'
    )


def letters_svg(
    codes: NDArray[np.uint8],
    strength: NDArray[np.floating],
    sites: Sequence[Mapping[str, Any]],
    start: int | None,
    words: str,
) -> str:
    """A stretch of sequence, letters as high as their contributions, sites shaded and named.

    Parameters
    ----------
    codes : ndarray of uint8, shape (length,)
    strength : ndarray of float, shape (length,)
    sites : sequence of mapping
        ``start``, ``end``, ``name``: stretches with the name of a motif.
    start : int, optional
        Where the stretch begins on its chromosome (0-based), for the axis, which counts from 1.
    words : str
        What a screen reader says.
    """
    step, top, high = 6, 30, 110
    length = len(codes)
    peak = max(float(np.max(strength, initial=0)), 1e-9)
    depth = max(float(-np.min(strength, initial=0)), 0.0)
    scale = high / (peak + depth)
    base = top + peak * scale
    bottom = top + high
    parts = []
    levels: list[float] = []
    for site in sorted(sites, key=lambda each: int(each["start"])):
        left, right = step * int(site["start"]), step * int(site["end"])
        name = str(site["name"])
        half = max(3.6 * len(name), (right - left) / 2)
        middle = min(max((left + right) / 2, half), step * length - half)
        level = next((i for i, end in enumerate(levels) if end < middle - half), len(levels))
        levels[level:] = [middle + half, *levels[level + 1 :]]
        y = 11 + 12 * min(level, 1)
        parts.append(
            f'<rect x="{left}" y="{top - 4}" width="{right - left}" height="{high + 4}" '
            f'class="site"/><text x="{middle:.0f}" y="{y}" text-anchor="middle">{escape(name)}'
            "</text>"
        )
    for position in np.flatnonzero((codes < N) & (np.abs(strength) * scale >= 0.3)):
        parts.append(
            _letter(
                "ACGT"[codes[position]], step * int(position) + 0.2, base, 5.6,
                float(strength[position]) * scale,
            )
        )  # fmt: skip
    parts.append(f'<path d="M0 {base:.1f}H{step * length}" class="axis"/>')
    first = 0 if start is None else start + 1
    ticks = range(-(-first // 50) * 50, first + length, 50)
    for tick in ticks:
        x = step * (tick - first) + step / 2
        anchor = "start" if x < 40 else "end" if x > step * length - 40 else "middle"
        parts.append(
            f'<path d="M{x:.1f} {bottom + 2}v5" class="axis"/>'
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="{anchor}">{tick:,}</text>'
        )
    return (
        f'<svg viewBox="0 0 {step * length} {bottom + 22}" class="letters" role="img" '
        f'aria-label="{escape(words, quote=True)}">{"".join(parts)}</svg>'
    )
