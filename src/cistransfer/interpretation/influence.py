"""Influence of each first-layer filter: what changes when it is silenced."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.figures import FAINT, SEQUENTIAL, figure, finish, label_points
from cistransfer.interpretation.filters import needs_tomtom
from cistransfer.interpretation.gradients import device_of
from cistransfer.interpretation.layers import first_filters, leaf_calls, run_filters
from cistransfer.interpretation.steps import Panel, Step
from cistransfer.models.blocks import one_hot
from cistransfer.models.score import evaluating, with_copies
from cistransfer.progress import bar
from cistransfer.tables import write_tsv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cistransfer.interpretation.subject import Subject

__all__ = ["STEP", "draw_influence", "filter_influence", "influence_table"]

Codes = NDArray[np.uint8]


def filter_influence(
    model: nn.Module,
    codes: Codes,
    *,
    batch_size: int = 128,
    tick: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """Mean squared change of each probability when one filter is silenced, (filters, tasks).

    As published: the filter's map behind its batch norm and ReLU is set to 0 for all positions,
    the rest of the network is run, and the squared difference of the probabilities is averaged
    over sequences. The published figure draws the maximum over tasks; its legend says average.

    Parameters
    ----------
    model : nn.Module
        Starts with a convolution over the sequence; handed back as it came.
    codes : ndarray of uint8, shape (n, length)
    tick : callable, optional
        Told the number of sequences after each batch.
    """
    if not len(codes):
        raise InputError("expected at least one sequence to measure influence on, found none")
    batches = [codes[at : at + batch_size] for at in range(0, len(codes), batch_size)]

    def measure(model: nn.Module, batch: Codes) -> Tensor:
        found = _influence(model, batch)
        if tick is not None:
            tick(len(batch))
        return found

    sums = with_copies(measure, model, batches)
    return np.sum([part.numpy() for part in sums], axis=0) / len(codes)


def _influence(model: nn.Module, codes: Codes) -> Tensor:
    """Sum over sequences of the squared change, (filters, tasks)."""
    block = first_filters(model, codes.shape[1])
    last = block[-1]
    silenced: list[int] = []
    before: list[Tensor] = []

    def silence(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if silenced:
            before[:] = [output, output[:, silenced[0]].clone()]
            output[:, silenced[0]] = 0.0

    handle = last.register_forward_hook(silence)
    try:
        with evaluating(model), torch.inference_mode():
            x = one_hot(torch.from_numpy(np.array(codes)).to(device_of(model)))
            full = torch.sigmoid(model(x))
            fires = run_filters(block, x)
            moved = fires.amax(dim=(0, 2)) != fires.amin(dim=(0, 2))
            moved |= (fires != 0).any(dim=2).any(dim=0)
            total = torch.zeros((fires.shape[1], full.shape[1]), dtype=torch.float64)
            with _once(model, block, x):
                for number in torch.nonzero(moved)[:, 0].tolist():
                    silenced[:] = [number]
                    change = torch.sigmoid(model(x)) - full
                    before[0][:, number] = before[1]  # it may be what `_once` keeps
                    total[number] += change.double().square().sum(dim=0).cpu()
    finally:
        handle.remove()
    return total


@contextlib.contextmanager
def _once(model: nn.Module, block: list[nn.Module], x: Tensor) -> Iterator[None]:
    """Compute the first convolution of a batch once, where the model asks for it once."""
    convolution = block[0]
    in_place = any(getattr(module, "inplace", False) for module in model.modules())
    if in_place or leaf_calls(model, x[:1]).count(convolution) != 1:
        yield
        return
    kept: list[Tensor] = []
    plain = convolution.forward

    def first(given: Tensor) -> Tensor:
        if not kept:
            kept.append(plain(given))
        return kept[0]

    convolution.forward = first
    try:
        yield
    finally:
        del convolution.forward


def influence_table(subject: Subject) -> tuple[pd.DataFrame, int]:
    """Influence of each filter on the task and on all tasks, with the filter's motif.

    And the number of sequences that it was measured on.
    """
    rows = subject.sample(np.arange(len(subject.material.codes)), subject.methods.max_sequences)
    with bar("influence", len(rows)) as running:
        influence = filter_influence(
            subject.bundle.model, np.asarray(subject.material.codes[rows]), tick=running.advance
        )
    ranked = pd.DataFrame(
        {
            "filter": np.arange(len(influence)),
            "influence": influence[:, subject.task],
            "influence_max": influence.max(axis=1),
            "influence_mean": influence.mean(axis=1),
        }
    ).merge(subject.filters[1], on="filter")
    wide = pd.DataFrame(influence, columns=list(subject.bundle.tasks))
    return pd.concat([ranked, wide], axis=1), len(rows)


def _run(subject: Subject) -> dict[str, Any]:
    """Write ``influence.tsv`` and its figure."""
    table, n = influence_table(subject)
    write_tsv(subject.out / "influence.tsv", table)
    subject.draw(draw_influence(table), "influence", table)
    return {
        "sequences": n,
        "most_influential": [
            {
                "filter": int(row.filter),
                "influence": float(row.influence),
                "match": row.match_name if row.significant else "",
            }
            for row in table.nlargest(5, "influence").itertuples()
        ],
    }


def _words(told: Mapping[str, Any]) -> str:
    named = [
        f"{row['filter']}{' (' + row['match'] + ')' if row['match'] else ''}"
        for row in told["most_influential"]
    ]
    return f"Most influential filters: {', '.join(named)}."


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
    )
    strength = np.minimum(-np.log10(shown["q"][matched].clip(lower=1e-10)), 6)
    dots = ax.scatter(
        shown["information"][matched], y[matched], c=strength, cmap=SEQUENTIAL, vmin=0, vmax=6,
        s=24, edgecolor="0.25", linewidth=0.4,
    )  # fmt: skip
    made.colorbar(dots, ax=ax, label="−log10 q of the best known motif (6 and above: 6)")
    if not matched.all():
        ax.annotate(
            "grey: not compared (flat, or too little information)", (1, 0),
            xycoords="axes fraction", fontsize=7.5, color="0.4", ha="right", va="bottom",
        )  # fmt: skip
    named = shown.assign(y=y)[(shown["q"] <= 0.05).to_numpy()].nlargest(labels, "y")
    finish(
        ax,
        "information content of the filter's motif (bits)",
        "log10 influence (squared change of the probability)",
        f"{len(shown)} of {len(table)} filters fire and change the output;\n"
        + (
            f"named: the {len(named)} most influential of those that resemble a known motif "
            "(q ≤ 0.05)"
            if len(named)
            else "none resembles a known motif (q ≤ 0.05)"
            if matched.any()
            else "they were compared with no known motif"
        ),
        size=9,
    )
    label_points(
        ax,
        named["information"],
        named["y"],
        [row.match_name or row.match for row in named.itertuples()],
        avoid=(shown["information"], y),
    )
    return made


STEP = Step(
    title="Influence of the filters",
    run=_run,
    words=_words,
    panels=(
        Panel("influence", "What silencing a filter changes, against its information content."),
    ),
    check=needs_tomtom,
)
