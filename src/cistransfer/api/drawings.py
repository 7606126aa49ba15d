"""Figures as objects: every one that the product draws, with its axes and the table behind it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cistransfer.api.doors import as_path
from cistransfer.errors import InputError, nearest
from cistransfer.figures import as_png, collecting, save, targets_of
from cistransfer.storage import output
from cistransfer.tables import write_tsv

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cistransfer.figures import Kept

__all__ = ["Drawing", "Drawings", "drawings", "numbers_of"]


_LETTERS = tuple(f"_{letter}" for letter in "ACGT")  # as `draw_letters` labels them


@dataclass(frozen=True)
class Drawing:
    """A figure as an object.

    Attributes
    ----------
    name : str
    figure : matplotlib Figure
        Change it as you like; a notebook shows it.
    table : DataFrame
        The numbers behind it: the table that it was drawn from or, where it was drawn from
        arrays, every line, bar, point and letter in it (``panel``, ``kind``, ``name``, ``x``,
        ``y``; see `numbers_of`).
    """

    name: str
    figure: Figure = field(repr=False)
    table: pd.DataFrame = field(repr=False)

    @property
    def axes(self) -> list[Axes]:
        """Its panels, row by row."""
        return list(self.figure.axes)

    def save(
        self, path: str | os.PathLike[str], formats: Sequence[str] | None = None
    ) -> list[Path]:
        """Write the figure, and its table beside it (``….tsv``), each whole or not at all.

        Parameters
        ----------
        path : path
            ``….png``, ``….svg`` or ``….pdf``.
        formats : sequence of {"png", "svg", "pdf"}, optional
            Then ``path`` has no ending and one file is written for each.
        """
        place = as_path(path, "path")
        beside = (
            place.with_suffix(".tsv") if formats is None else place.with_name(f"{place.name}.tsv")
        )
        with output([*targets_of(place, formats), beside], ["drawings"]):
            written = save(self.figure, place, formats)
            write_tsv(beside, self.table)
        return [*written, beside]

    def _repr_png_(self) -> bytes:
        return as_png(self.figure)


class Drawings(Mapping[str, Drawing]):
    """Figures by name, in the order in which they were drawn."""

    def __init__(self, kept: Mapping[str, Kept]) -> None:
        self._kept = kept

    def __getitem__(self, name: str) -> Drawing:
        """A figure by its name."""
        if name not in self._kept:
            raise InputError(f"no figure {name!r} was drawn; {nearest(name, self._kept)}")
        kept = self._kept[name]
        table = numbers_of(kept.figure) if kept.table is None else kept.table
        return Drawing(name, kept.figure, table)

    def __iter__(self) -> Iterator[str]:
        """Their names."""
        return iter(self._kept)

    def __len__(self) -> int:
        """How many were drawn."""
        return len(self._kept)

    def __contains__(self, name: object) -> bool:
        """Whether a figure of this name was drawn."""
        return name in self._kept

    def __repr__(self) -> str:
        return f"<Drawings: {', '.join(self._kept) or 'none'}>"


@contextlib.contextmanager
def drawings() -> Iterator[Drawings]:
    """Keep every figure that is drawn meanwhile as an object with its axes and its table.

    Whatever function draws it: `write_report`, `interpret`, `compare`, `plot_locus` with ``out``,
    the figures of a matrix or of a study. Their files are written all the same.

    Examples
    --------
    >>> import cistransfer as ct
    >>> _ = ct.evaluate({"transfer": "GABPA"}, baselines="gc", out="evaluation", resamples=0)
    >>> with ct.drawings() as drawn:
    ...     page = ct.write_report("evaluation", out="report.html")
    >>> curve = drawn["precision-recall GABPA"]
    >>> curve.axes[0].get_xlabel()
    'recall'
    >>> [path.name for path in curve.save("curve.pdf")]
    ['curve.pdf', 'curve.tsv']
    """
    with collecting() as kept:
        yield Drawings(kept)


def numbers_of(made: Figure) -> pd.DataFrame:
    """What is drawn in a figure, as numbers.

    Returns
    -------
    DataFrame
        ``panel`` (from 0), ``kind`` (line, points, bar, steps, image, span or letter), ``name``
        (the line's in the legend, the letter), ``x``, ``y``: of a bar its middle and its end, of
        a letter its middle and its height (negative where it hangs), of an image column, row
        and, as ``value``, the number there.
    """
    rows: list[tuple[Any, ...]] = []
    for number, panel in enumerate(made.axes):
        for kind, name, x, y, value in _artists(panel):
            rows.append((number, kind, name, x, y, value))
    columns = ["panel", "kind", "name", "x", "y", "value"]
    table = pd.DataFrame(rows, columns=columns)
    return table.drop(columns="value") if table["value"].isna().all() else table


def _artists(panel: Axes) -> Iterator[tuple[str, str, float, float, float]]:
    from matplotlib.collections import LineCollection, PathCollection
    from matplotlib.container import BarContainer
    from matplotlib.patches import PathPatch, StepPatch

    none = float("nan")
    for line in panel.lines:
        for x, y in np.asarray(line.get_xydata(), dtype=float):
            yield "line", _name(line), float(x), float(y), none
    for each in panel.collections:
        if isinstance(each, PathCollection):
            for x, y in np.asarray(each.get_offsets(), dtype=float):
                yield "points", _name(each), float(x), float(y), none
        elif isinstance(each, LineCollection):
            for segment in each.get_segments():
                for x, y in np.asarray(segment, dtype=float):
                    yield "span", _name(each), float(x), float(y), none
    for bars in panel.containers:
        if isinstance(bars, BarContainer):
            level = bars.orientation == "horizontal"
            for bar in bars.patches:
                box = bar.get_bbox()
                middle, end = (box.y0 + box.y1, box.x1) if level else (box.x0 + box.x1, box.y1)
                yield "bar", _name(bars), float(middle / 2), float(end), none
    for patch in panel.patches:
        if isinstance(patch, StepPatch):
            heights, edges, _ = patch.get_data()
            for left, right, y in zip(edges[:-1], edges[1:], heights, strict=True):
                yield "steps", _name(patch), float((left + right) / 2), float(y), none
        elif isinstance(patch, PathPatch) and str(patch.get_label()) in _LETTERS:
            box = patch.get_path().get_extents()
            ends = (box.y0, box.y1)
            outer = max(ends, key=abs)
            inner = min(ends, key=abs)
            yield "letter", str(patch.get_label())[1], (box.x0 + box.x1) / 2, outer - inner, none
    for image in panel.images:
        values: Any = np.ma.filled(np.ma.asarray(image.get_array(), dtype=float), np.nan)
        if values.ndim == 2:
            for row, column in np.ndindex(*values.shape):
                yield "image", "", float(column), float(row), float(values[row, column])


def _name(artist: Any) -> str:
    label = str(artist.get_label())
    return "" if label.startswith("_") else label
