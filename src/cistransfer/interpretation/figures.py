"""Logos in a grid, which several methods draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cistransfer.figures import figure
from cistransfer.motifs.logo import draw_logo
from cistransfer.motifs.pwm import PWM, information_content

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_logos"]

_MAX_LOGOS = 24


def draw_logos(
    pwms: Sequence[PWM],
    titles: Sequence[str],
    *,
    columns: int = 4,
    what: str = "motifs",
) -> Figure:
    """Sequence logos in a grid, the first 24; says how many of how many.

    All logos of a figure have one height: 2 bits, or 1 where no position has more.
    """
    shown = list(zip(pwms, titles, strict=True))[:_MAX_LOGOS]
    rows = max(-(-len(shown) // columns), 1)
    made, axes = figure(2.7, 1.15 + 0.3 / rows, rows=rows, columns=min(columns, max(len(shown), 1)))
    highest = max((float(information_content(pwm).max()) for pwm, _ in shown), default=2.0)
    for ax, (pwm, title) in zip(axes, shown, strict=False):
        _draw(ax, pwm, title, 2.0 if highest > 1 else 1.0)
    for ax in axes[len(shown) :]:
        ax.set_visible(False)
    if len(pwms) > len(shown):
        made.suptitle(
            f"the first {len(shown)} of {len(pwms)} {what}; the tables have all of them",
            fontsize=8.5, x=0.01, ha="left",
        )  # fmt: skip
    return made


def _draw(ax: Axes, pwm: PWM, title: str, top: float) -> None:
    draw_logo(ax, pwm)
    ax.set_ylim(0, top)
    ax.set_title(title, fontsize=7.5, loc="left", pad=2)
    ax.set_xticks([])
    ax.set_ylabel("bits", fontsize=6)
    ax.tick_params(labelsize=6)
