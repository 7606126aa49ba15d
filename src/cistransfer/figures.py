"""One look for every figure, one way to save it, one way to name its points.

Figures are made without pyplot: nothing global changes, nothing is shown, and they are drawn by
Agg whatever ``MPLBACKEND`` says. What matplotlib's settings can say of the look stands in one
style file, `STYLE`; ``plt.style.use`` reads it too. Every figure that is written passes `save` (or,
in a page, `keep`), so `collecting` hands out all of them as objects.

The colours are Okabe & Ito's, which colour-blind readers tell apart (without yellow, too pale on
white), then a few of Tol's.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from cistransfer.errors import InputError
from cistransfer.storage import whole_file

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "BOTH",
    "DASHES",
    "DIVERGING",
    "FAINT",
    "FORMATS",
    "GREEN",
    "GREY",
    "GUIDE",
    "INK",
    "MARKERS",
    "MAX_BANDS",
    "NOTE",
    "ORANGE",
    "PALETTE",
    "SEQUENTIAL",
    "SKY",
    "STYLE",
    "Kept",
    "as_png",
    "as_svg",
    "collecting",
    "colours",
    "figure",
    "finish",
    "grid_of",
    "keep",
    "label_points",
    "legend",
    "save",
    "size_ticks",
    "targets_of",
]

BLUE, ORANGE, GREEN, SKY = "#0072B2", "#D55E00", "#009E73", "#56B4E9"
INK, NOTE, GUIDE, GREY, FAINT = "#222222", "#555555", "#777777", "#9A9A9A", "#CFCFCF"
"""Of data in black, remarks, lines that guide the eye, what is there to compare with, the rest."""

PALETTE = (
    *(BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", SKY, "#7F3C8D", "#8C6D31"),
    *("#882255", "#44AA99", "#999933", "#332288"),
)

SEQUENTIAL, DIVERGING = "magma_r", "RdBu_r"
"""Colour maps of amounts and of values on both sides of zero."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")

DASHES = ("-", (0, (5, 1.5)), (0, (2, 1)), (0, (7, 1.5, 1.5, 1.5)), (0, (1, 1.2)))
"""Of lines in one panel: who cannot tell the colours tells these."""

MAX_BANDS = 4
"""More shaded bands than this cannot be told apart."""

FORMATS = ("png", "svg", "pdf")
BOTH = ("png", "svg")
"""One to look at, one to edit: what a verb writes that is not told a format."""

_FIXED = {
    "transfer": BLUE,
    "model": BLUE,
    "finetune": BLUE,
    "scratch": ORANGE,
    "pwm": GREEN,
    "motif": GREEN,
    "full": INK,
    "prevalence": GREY,
    "gc": "#8C6D31",
}

STYLE = Path(__file__).with_name("cistransfer.mplstyle")
"""The style file."""


@dataclass(frozen=True)
class Kept:
    """A figure that was drawn while `collecting`.

    Attributes
    ----------
    figure : Figure
    table : DataFrame or None
        The numbers behind it, where who drew it had them as a table.
    """

    figure: Figure
    table: pd.DataFrame | None = None


_COLLECTED: ContextVar[dict[str, Kept] | None] = ContextVar("collected", default=None)


@contextlib.contextmanager
def collecting() -> Iterator[dict[str, Kept]]:
    """Keep every figure that is written meanwhile (in this thread), by its name."""
    found: dict[str, Kept] = {}
    token = _COLLECTED.set(found)
    try:
        yield found
    finally:
        _COLLECTED.reset(token)


def keep(name: str, made: Figure, table: pd.DataFrame | None = None) -> None:
    """Hand a figure to who is `collecting`; a name that is taken gets a number behind it."""
    found = _COLLECTED.get()
    if found is not None and all(made is not each.figure for each in found.values()):
        taken = sum(each == name or each.rpartition("-")[0] == name for each in found)
        found[f"{name}-{taken + 1}" if name in found else name] = Kept(made, table)


def colours(names: Sequence[str]) -> dict[str, str]:
    """Give each name a colour: well-known strategies always the same, the rest in order."""
    found: dict[str, str] = {}
    for name in names:
        fixed = _FIXED.get(name.lower())
        if fixed is not None and fixed not in found.values():
            found[name] = fixed
    reserved = set(_FIXED.values())
    free = [colour for colour in PALETTE if colour not in reserved]
    free += [colour for colour in PALETTE if colour in reserved and colour not in found.values()]
    rest = [name for name in names if name not in found]
    found.update({name: free[i % len(free)] for i, name in enumerate(rest)})
    return found


def figure(
    width: float = 5.2,
    height: float = 3.8,
    *,
    rows: int = 1,
    columns: int = 1,
    grid: bool = False,
    **options: Any,
) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels of one size (inches), row by row.

    Parameters
    ----------
    width, height : float
        Of one panel.
    rows, columns : int
    grid : bool
        Draw grid lines behind the data.
    **options
        Of matplotlib's ``subplots`` (``width_ratios``, ``sharex``, …).
    """
    _load()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with _styled():
        made = Figure(figsize=(width * columns, height * rows), layout="constrained")
        FigureCanvasAgg(made)
        panels: list[Axes] = list(made.subplots(rows, columns, squeeze=False, **options).flat)
    for panel in panels:
        if grid:
            grid_of(panel)
    return made, panels


def _styled() -> Any:
    """Matplotlib's own settings and the style file, whatever a user has set."""
    import matplotlib

    settings: Any = _style()
    return matplotlib.rc_context(settings)


@cache
def _style() -> dict[str, Any]:
    import matplotlib

    plain: Any = matplotlib.rcParamsDefault
    read: Any = matplotlib.rc_params_from_file(STYLE, use_default_template=False)
    return {**{name: plain[name] for name in plain if not name.startswith("backend")}, **read}


def grid_of(panel: Axes) -> None:
    """Draw a panel's grid lines, behind its data."""
    panel.grid(True)


def _load() -> None:
    """Import matplotlib, also where ``MPLBACKEND`` names a backend that this Python lacks.

    A notebook hands its own backend to the programs that it starts.
    """
    try:
        import matplotlib
    except ValueError:
        told = os.environ.pop("MPLBACKEND", None)
        for half in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
            del sys.modules[half]
        try:
            import matplotlib  # noqa: F401
        finally:
            if told is not None:
                os.environ["MPLBACKEND"] = told


def finish(panel: Axes, x: str, y: str, title: str = "", *, size: float = 10) -> None:
    """Name the axes of a panel and, above its left edge, the panel."""
    panel.set_xlabel(x, fontsize=size)
    panel.set_ylabel(y, fontsize=size)
    if title:
        panel.set_title(title, fontsize=size, loc="left")


def legend(panel: Axes, outside: bool = False, **options: Any) -> None:
    """Add a legend without a frame, beside the panel where it would hide data; none for nothing."""
    if "handles" not in options and not panel.get_legend_handles_labels()[0]:
        return
    if outside:
        options = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), **options}
    panel.legend(**{"frameon": False, "fontsize": 8.5, **options})


def size_ticks(panel: Axes, sizes: Sequence[float]) -> None:
    """Put ticks of a logarithmic axis of training sizes where the sizes are."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    panel.set_xscale("log")
    panel.xaxis.set_major_locator(FixedLocator(list(sizes)))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def label_points(
    panel: Axes,
    x: ArrayLike,
    y: ArrayLike,
    texts: Sequence[object],
    *,
    avoid: tuple[ArrayLike, ArrayLike] | None = None,
    size: float = 7.5,
) -> None:
    """Write names beside points so that no name lies on another or, where it can, on a point.

    Each name takes the nearest free place around its point, within the panel; a line leads to
    names that had to go further away. Call it last: the panel must have its final limits.

    Parameters
    ----------
    panel : Axes
    x, y : array of float, shape (n,)
    texts : sequence, length n
        Earlier ones choose first.
    avoid : pair of arrays, optional
        All points of the panel that names should not hide; by default those that are named.
    size : float
        Of the letters, in points.
    """
    from matplotlib.patheffects import withStroke

    at = np.column_stack([np.asarray(x, float), np.asarray(y, float)])
    names = [str(text) for text in texts]
    if not names:
        return
    made: Any = panel.figure
    made.draw_without_rendering()
    scale = 72 / made.dpi  # everything below in points
    points = panel.transData.transform(at) * scale
    others = at if avoid is None else np.column_stack([np.asarray(part, float) for part in avoid])
    dots = panel.transData.transform(others[np.isfinite(others).all(axis=1)]) * scale
    frame = np.asarray(panel.get_window_extent().extents) * scale
    taken = np.empty((0, 4))
    for (px, py), point, name in zip(points, at, names, strict=True):
        text = panel.annotate(
            name, tuple(point), xytext=(0, 0), textcoords="offset points", fontsize=size,
            path_effects=[withStroke(linewidth=2, foreground="white")], va="center", zorder=6,
        )  # fmt: skip
        text.set_in_layout(False)
        extent = text.get_window_extent(made.canvas.get_renderer())
        wide, high = extent.width * scale, extent.height * scale + 1
        dx, dy = _free_place(px, py, wide, high, taken, dots, frame)
        left = px + dx - (wide if dx < 0 else 0)
        taken = np.vstack([taken, [left, py + dy - high / 2, left + wide, py + dy + high / 2]])
        text.set_position((dx, dy))
        text.set_horizontalalignment("right" if dx < 0 else "left")
        if np.hypot(dx, dy) > 1.6 * high:
            panel.annotate(
                "", tuple(point), xytext=(dx, dy), textcoords="offset points", zorder=2,
                arrowprops={"arrowstyle": "-", "color": "0.55", "linewidth": 0.5, "shrinkA": 0},
            ).set_in_layout(False)  # fmt: skip


def _free_place(
    px: float, py: float, wide: float, high: float, taken: Any, dots: Any, frame: Any
) -> tuple[float, float]:
    """The nearest offset of a name from its point at which it lies on nothing (or on least)."""
    steps = np.arange(-24, 25) * (high / 2)
    aside = np.array([6.0, 14, 26, 42, 62, 90])
    dx = np.concatenate([aside, -aside])[:, None].repeat(len(steps), axis=1).ravel()
    dy = np.tile(steps, 2 * len(aside))
    left = px + dx - np.where(dx < 0, wide, 0)
    boxes = np.column_stack([left, py + dy - high / 2, left + wide, py + dy + high / 2])
    out = np.maximum(frame[:2] - boxes[:, :2], 0).sum(axis=1)
    out += np.maximum(boxes[:, 2:] - frame[2:], 0).sum(axis=1)
    cost = np.hypot(dx, 1.5 * dy) + (dx < 0) + 20 * out
    cost += 1000 * _overlaps(boxes, taken).sum(axis=1)
    cost += 20 * _overlaps(boxes, np.hstack([dots - 2.5, dots + 2.5])).sum(axis=1)
    for part in np.linspace(0.1, 0.95, 8):  # the line to the name crosses no name
        step = np.column_stack([px + part * dx, py + part * dy])
        cost += 10 * _overlaps(np.hstack([step, step]), taken).any(axis=1)
    best = int(np.argmin(cost))
    return float(dx[best]), float(dy[best])


def _overlaps(one: Any, other: Any) -> Any:
    """Which boxes (left, bottom, right, top) of ``one`` (rows) lie on which of ``other``."""
    a, b = one[:, None, :], other[None, :, :]
    return ((a[..., :2] < b[..., 2:]) & (b[..., :2] < a[..., 2:])).all(axis=-1)


def save(
    made: Figure,
    path: str | os.PathLike[str],
    formats: Sequence[str] | None = None,
    *,
    table: pd.DataFrame | None = None,
) -> list[Path]:
    """Write a figure, whole or not at all; equal figures give equal files.

    Parameters
    ----------
    made : Figure
    path : path
        Its ending says the format: ``.png``, ``.svg`` or ``.pdf``.
    formats : sequence of {"png", "svg", "pdf"}, optional
        Then ``path`` has no ending and one file is written for each.
    table : DataFrame, optional
        The numbers behind the figure, for who is `collecting`.

    Returns
    -------
    list of Path
    """
    place = Path(path)
    targets = [(each, each.suffix.lower().lstrip(".")) for each in targets_of(place, formats)]
    for target, kind in targets:
        if kind not in FORMATS:
            raise InputError(
                f"{target}: expected a figure in .{', .'.join(FORMATS)}, found {target.suffix!r}"
            )
    keep(place.name if formats is not None else place.stem, made, table)
    for target, kind in targets:
        drawn = _render(made, kind)
        with whole_file(target) as temporary:
            temporary.write_bytes(drawn)
    return [target for target, _ in targets]


def targets_of(path: Path, formats: Sequence[str] | None = None) -> list[Path]:
    """The files that `save` writes."""
    if formats is None:
        return [path]
    return [path.with_name(f"{path.name}.{kind}") for kind in formats]


def as_png(made: Figure) -> bytes:
    """Render a figure as PNG."""
    return _render(made, "png")


def as_svg(made: Figure) -> str:
    """Render a figure as SVG whose text stays text."""
    return _render(made, "svg", "none").decode("utf-8")


def _render(made: Figure, kind: str, letters: str = "path") -> bytes:
    """Bytes of a figure, without a date, a version or a random name."""
    import matplotlib

    metadata: dict[str, Any] = {
        "png": {"Software": None},
        "svg": {"Date": None},
        "pdf": {"CreationDate": None},
    }[kind]
    buffer = io.BytesIO()
    with _styled(), matplotlib.rc_context({"svg.fonttype": letters}):
        made.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()
