"""One look for every figure: sizes, colours that colour-blind readers can tell apart, markers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "DISPLAY",
    "MARKERS",
    "MOST_BANDS",
    "PALETTE",
    "colours",
    "display",
    "figure",
    "finish",
    "legend",
    "size_ticks",
]

PALETTE = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#8C6D31"),
    *("#882255", "#44AA99", "#999933", "#332288"),
)
"""Okabe & Ito's colours (without yellow, which is too pale on white), two more, and Tol's."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")

MOST_BANDS = 4
"""More shaded bands than this cannot be told apart."""

_FIXED = {
    "transfer": "#0072B2",
    "finetune": "#0072B2",
    "scratch": "#D55E00",
    "pwm": "#009E73",
    "motif": "#009E73",
    "full": "#222222",
    "prevalence": "#999999",
    "gc": "#BBBBBB",
}

DISPLAY = {
    "aucpr": "AUCPR",
    "average_precision": "average precision",
    "aucpr_interpolated": "AUCPR (interpolated)",
    "aucpr_1to1": "AUCPR at 1:1",
    "aucpr_1to10": "AUCPR at 1:10",
    "auroc": "AUROC",
    "mcc": "MCC",
    "f1": "F1",
    "f1_negative": "F1 of negatives",
    "weighted_f1": "weighted F1",
    "brier": "Brier score",
    "ece": "calibration error (ECE)",
    "log_loss": "log loss",
}
"""Names of metrics as figures print them."""


def display(metric: str) -> str:
    """Name a metric as figures print it."""
    return DISPLAY.get(metric, metric.replace("_", " "))


def colours(names: Sequence[str]) -> dict[str, str]:
    """Give each strategy a colour: well-known ones always the same, the rest in order."""
    found: dict[str, str] = {}
    for name in names:
        fixed = _FIXED.get(name.lower())
        if fixed is not None and fixed not in found.values():
            found[name] = fixed
    reserved = set(_FIXED.values())
    free = [colour for colour in PALETTE if colour not in reserved]
    free += [colour for colour in PALETTE if colour in reserved and colour not in found.values()]
    rest = [name for name in names if name not in found]
    found.update({name: free[place % len(free)] for place, name in enumerate(rest)})
    return found


def figure(
    width: float = 5.2, height: float = 3.8, columns: int = 1, rows: int = 1
) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels of one size, row by row; no global state of pyplot is touched."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width * columns, height * rows), layout="constrained", dpi=120)
    made.set_facecolor("white")
    axes: list[Axes] = list(made.subplots(rows, columns, squeeze=False).flat)
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(True, color="#E6E6E6", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.tick_params(labelsize=9)
    return made, axes


def finish(panel: Axes, x: str, y: str, title: str = "") -> None:
    """Label a panel."""
    panel.set_xlabel(x, fontsize=10)
    panel.set_ylabel(y, fontsize=10)
    if title:
        panel.set_title(title, fontsize=10.5, loc="left")


def legend(panel: Axes, outside: bool = False, **options: Any) -> None:
    """Add a legend without a frame, beside the panel where it would hide data."""
    if outside:
        options = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), **options}
    panel.legend(frameon=False, fontsize=8.5, **options)


def size_ticks(panel: Axes, sizes: Sequence[float]) -> None:
    """Put ticks of a logarithmic axis of training sizes where the sizes are."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    panel.set_xscale("log")
    panel.xaxis.set_major_locator(FixedLocator(list(sizes)))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
