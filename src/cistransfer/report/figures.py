"""Figures of one evaluation, each a matplotlib Figure.

Nothing is shown or saved and no global state changes: `cistransfer.figures.save` is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cistransfer.errors import InputError
from cistransfer.figures import (
    BLUE,
    DASHES,
    GREY,
    GUIDE,
    INK,
    NOTE,
    ORANGE,
    colours,
    figure,
    finish,
    legend,
)
from cistransfer.metrics.calibration import (
    expected_calibration_error,
    reliability_bins,
    to_probability,
)
from cistransfer.metrics.curves import Curve, aucpr, auroc, pr_curve, roc_curve
from cistransfer.metrics.resolved import resolved

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "gc_histogram",
    "learning_curve",
    "model_intervals",
    "ranking_curves",
    "reliability",
    "score_histogram",
]

_RANKING = {
    "precision-recall": (pr_curve, aucpr, "AUCPR", "recall", "precision"),
    "roc": (roc_curve, auroc, "AUROC", "false-positive rate", "true-positive rate"),
}

_MAX_POINTS = 2000


def _thin(curve: Curve) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most 2,000 points of a curve, both ends kept: no eye sees more, and files stay small."""
    if curve.x.size <= _MAX_POINTS:
        return curve.x, curve.y
    picked = np.unique(np.linspace(0, curve.x.size - 1, _MAX_POINTS).astype(int))
    # the strict end of a precision-recall curve jumps; keep all of it
    picked = np.union1d(picked, np.arange(200))
    return curve.x[picked], curve.y[picked]


def ranking_curves(
    labels: ArrayLike,
    scores: Mapping[str, ArrayLike],
    *,
    panels: Sequence[str] = tuple(_RANKING),
    title: str = "",
    size: tuple[float, float] = (4.8, 4.6),
) -> Figure:
    """Draw precision against recall and the ROC curve of several models on the same rows.

    Dashed is chance: the prevalence on the left, the diagonal on the right. Scores that are all
    equal rank nothing and have no line of their own.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
    scores : mapping of str to array of float, shape (n,)
    panels : sequence of {"precision-recall", "roc"}
    title : str
    size : pair of float
        Of a panel, in inches.
    """
    truth, _, _ = resolved(labels, np.zeros(np.shape(labels)))
    chance = float(truth.mean())
    made, axes = figure(*size, columns=len(panels), grid=True)
    paint = colours(list(scores))
    for panel, kind in zip(axes, panels, strict=True):
        curve, area, short, x, y = _RANKING[kind]
        for number, (name, values) in enumerate(scores.items()):
            if np.ptp(np.asarray(values)) == 0:
                continue
            panel.plot(
                *_thin(curve(labels, values)),
                color=paint[name],
                linestyle=DASHES[number % len(DASHES)],
                linewidth=1.8,
                label=f"{name}  {area(labels, values):.3f}",
            )
        if kind == "roc":
            panel.plot([0, 1], [0, 1], color=GUIDE, linestyle="--", linewidth=1)
        else:
            panel.axhline(chance, color=GUIDE, linestyle="--", linewidth=1)
            panel.annotate(
                f"prevalence {chance:.3f}",
                (0.99, chance),
                xytext=(0, -3),
                textcoords="offset points",
                fontsize=8,
                color=NOTE,
                ha="right",
                va="top",
            )
        panel.set(xlim=(-0.01, 1.01), ylim=(0, 1.03))
        finish(panel, x, y, title if panel is axes[0] else "")
        # under the panel, where curves of five models leave no room in it, and under its label
        place = {
            "loc": "upper center",
            "bbox_to_anchor": (0.5, 0),
            "borderaxespad": 4.2,
            "ncols": 2,
        }
        legend(panel, False, title=short, title_fontsize=8.5, **place)
    return made


def reliability(
    labels: ArrayLike,
    logits: ArrayLike,
    temperature: float = 1.0,
    *,
    panels: Sequence[str] = ("calibration", "rows"),
    title: str = "",
) -> Figure:
    """Draw observed frequency against predicted probability, before and after the temperature.

    The right panel shows how many rows have which probability.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
    logits : array of float, shape (n,)
    temperature : float
        Fitted on validation (`fit_temperature`); 1 draws one line.
    panels : sequence of {"calibration", "rows"}
    title : str
    """
    made, axes = figure(4.6, 4.0, columns=len(panels), grid=True)
    named = dict(zip(panels, axes, strict=True))
    left, right = named.get("calibration"), named.get("rows")
    if left is not None:
        left.plot([0, 1], [0, 1], color=GUIDE, linestyle="--", linewidth=1)
    stages = {"raw": (1.0, ORANGE, "o")}
    if temperature != 1.0:
        stages[f"temperature {temperature:.2f}"] = (temperature, BLUE, "s")
    for name, (value, colour, marker) in stages.items():
        probabilities = to_probability(logits, value)
        table = reliability_bins(labels, probabilities)
        error = expected_calibration_error(labels, probabilities)
        filled = table["n"] > 0
        if left is not None:
            left.plot(
                table["mean_probability"][filled],
                table["observed"][filled],
                color=colour,
                marker=marker,
                markersize=5,
                linewidth=1.6,
                label=f"{name}: ECE {error:.3f}",
            )
        if right is not None:
            edges = np.append(table["low"], 1.0)
            right.stairs(table["n"], edges, color=colour, linewidth=1.8, label=name)
    if left is not None:
        left.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.03))
        finish(left, "predicted probability", "observed frequency", title)
        legend(left, loc="best")
    if right is not None:
        right.set(xlim=(0, 1))
        finish(right, "predicted probability", "rows")
    return made


def score_histogram(
    labels: ArrayLike,
    logits: ArrayLike,
    temperature: float = 1.0,
    threshold: float | None = None,
    *,
    title: str = "",
) -> Figure:
    """Draw how many bound and unbound rows get which probability, and where the model calls.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
    logits : array of float, shape (n,)
    temperature : float
        Of the probabilities.
    threshold : float, optional
        On the raw logit; drawn as a dashed line.
    title : str
    """
    truth, values, _ = resolved(labels, logits)
    probabilities = to_probability(values, temperature)
    made, (panel,) = figure(4.6, 4.0, grid=True)
    edges = np.linspace(0, 1, 21)
    for name, rows, colour, filled in (
        ("unbound", ~truth, ORANGE, False),
        ("bound", truth, BLUE, True),
    ):
        counts, _ = np.histogram(probabilities[rows], edges)
        panel.stairs(
            counts, edges, color=colour, fill=filled, alpha=0.45 if filled else 1, linewidth=1.8,
            label=f"{name} ({int(rows.sum()):,})",
        )  # fmt: skip
        if filled:
            panel.stairs(counts, edges, color=colour, linewidth=1.2)
    if threshold is not None:
        at = float(to_probability([threshold], temperature)[0])
        panel.axvline(
            at, 0, 0.74, color=INK, linestyle="--", linewidth=1,
            label=f"called from {at:.2f} on",
        )  # fmt: skip
    panel.set(xlim=(0, 1), ylim=(0, 1.35 * panel.get_ylim()[1]))  # room for the legend
    finish(panel, "predicted probability", "windows", title)
    legend(panel, loc="upper center")
    return made


def model_intervals(table: pd.DataFrame, *, chance: float | None = None, title: str = "") -> Figure:
    """Draw one value with its interval a row, and beside it, hollow, what it is compared with.

    Parameters
    ----------
    table : DataFrame
        ``name``, ``aucpr``, ``low``, ``high`` (may be empty) and ``own``: whether the row is a
        trained model (filled) or a baseline (hollow). With ``rival``, an AUCPR, and
        ``rival_name``, a rival's mark stands in the same row.
    chance : float, optional
        Dashed.
    title : str
    """
    made, (panel,) = figure(4.6, max(0.3 * len(table), 0.9) + 0.75, grid=True)
    rows = np.arange(len(table))[::-1]
    value = table["aucpr"].to_numpy(float)
    own = table["own"].to_numpy(bool)
    low = table["low"].fillna(table["aucpr"]).to_numpy(float)
    high = table["high"].fillna(table["aucpr"]).to_numpy(float)
    for mine, colour, marker, face in ((True, BLUE, "o", BLUE), (False, GREY, "s", "white")):
        picked = own == mine
        panel.hlines(rows[picked], low[picked], high[picked], color=colour, linewidth=2)
        panel.plot(
            value[picked], rows[picked], marker, color=colour, markerfacecolor=face, markersize=7,
            markeredgewidth=1.6, linestyle="none", zorder=3,
        )  # fmt: skip
    if "rival" in table:
        panel.plot(
            table["rival"], rows, "s", color=ORANGE, markerfacecolor="white", markersize=6,
            markeredgewidth=1.6, linestyle="none", label="best baseline",
        )  # fmt: skip
        panel.plot([], [], "o", color=BLUE, markersize=7, label="model, 95 % interval")
        legend(panel, loc="upper left", bbox_to_anchor=(0, -0.75 / max(len(table), 1)), ncols=2)
    if chance is not None:
        panel.axvline(chance, color=GUIDE, linestyle="--", linewidth=1)
    panel.set_yticks(rows, table["name"])
    panel.set_ylim(-0.6, len(table) - 0.4)
    panel.set_xlim(min(float(np.nanmin(low)), chance if chance is not None else 1) - 0.03, 1.005)
    finish(panel, "AUCPR (dashed: chance)" if chance is not None else "AUCPR", "", title)
    return made


def learning_curve(history: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw training and validation loss, and the validation AUCPR where there is one, by epoch.

    Parameters
    ----------
    history : DataFrame
        ``train_loss``, ``valid_loss``, optionally ``valid_aucpr``, ``phase`` and ``best``: one
        row per epoch in the order of training (a run's ``history.tsv``). A dot marks the epoch
        whose weights were kept; a dashed line, where a phase begins. A row may lack its
        ``train_loss`` (a probe, the start of a phase); a single row is one dot and its value.
    """
    lacking = [name for name in ("train_loss", "valid_loss") if name not in history.columns]
    if lacking or history.empty:
        raise InputError(
            "learning curve: expected rows with train_loss and valid_loss, found "
            + (", ".join(map(str, history.columns)) if len(history) else "no rows")
        )
    ranked = "valid_aucpr" in history.columns
    made, panels = figure(4.6, 3.6, columns=2 if ranked else 1, grid=True)
    from matplotlib.ticker import MaxNLocator

    epoch = np.arange(1, len(history) + 1)
    trained = history["train_loss"].to_numpy(dtype=float)
    if not np.isnan(trained).all():
        panels[0].plot(epoch, trained, color=ORANGE, linewidth=1.8, label="training")
    panels[0].plot(epoch, history["valid_loss"], color=BLUE, linewidth=1.8, label="validation")
    shown = [(panels[0], "valid_loss")]
    if ranked:
        panels[1].plot(epoch, history["valid_aucpr"], color=BLUE, linewidth=1.8)
        shown.append((panels[1], "valid_aucpr"))
        finish(panels[1], "epoch", "validation AUCPR")
    phases = (
        history["phase"].astype(str).to_numpy()
        if "phase" in history.columns
        else np.full(len(history), "")
    )
    starts = np.flatnonzero(phases[1:] != phases[:-1]) + 1
    kept = _kept(history, phases)
    for panel, column in shown:
        panel.plot(
            epoch[kept],
            history[column].to_numpy()[kept],
            "o",
            color=BLUE,
            markersize=6,
            label="kept",
        )
        if len(history) == 1:
            panel.set_xlim(0.5, 1.5)
            value = float(history[column].iloc[0])
            panel.annotate(
                f"{value:.3f}", (1, value), xytext=(8, 0), textcoords="offset points", va="center"
            )
        for start in starts:
            panel.axvline(start + 0.5, color=GUIDE, linestyle="--", linewidth=1)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(history) == 1:
            panel.set_xticks([1])
        if starts.size or len(history) == 1:
            for begin in (0, *starts):
                panel.annotate(
                    phases[begin],
                    (begin + 0.6, 1.0),
                    xycoords=("data", "axes fraction"),
                    fontsize=8,
                    color=NOTE,
                    va="bottom",
                )
    finish(panels[0], "epoch", "loss")
    if title:
        made.suptitle(title, x=0.01, ha="left", fontsize=10.5)
    legend(panels[0])
    return made


def _kept(history: pd.DataFrame, phases: NDArray[np.str_]) -> NDArray[np.intp]:
    """Rows of the epochs whose weights each phase kept: the last one called best."""
    best = (
        history["best"].to_numpy(dtype=bool)
        if "best" in history.columns
        else (history["valid_loss"] == history["valid_loss"].groupby(phases).transform("min"))
        .to_numpy()
        .astype(bool)
    )
    rows = np.flatnonzero(best)
    return np.array([rows[phases[rows] == phase][-1] for phase in dict.fromkeys(phases[rows])])


def gc_histogram(histograms: Mapping[str, Sequence[int]]) -> Figure:
    """Draw the GC content of bound and unbound windows (shares of 20 equal bins)."""
    made, (panel,) = figure(5.2, 3.2, grid=True)
    for (name, counts), colour in zip(histograms.items(), (BLUE, ORANGE), strict=False):
        share = np.asarray(counts, dtype=float)
        edges = np.linspace(0, 100, len(share) + 1)
        total = share.sum()
        panel.stairs(
            share / total if total else share, edges, label=name, color=colour, linewidth=2
        )
    finish(panel, "GC content (%)", "share of windows")
    legend(panel, loc="upper right")
    return made
