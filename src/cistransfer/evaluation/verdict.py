"""Whether a model is better than what is cheap: a word, the numbers behind it, a sentence."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.baselines.registry import BASELINES
from cistransfer.errors import InputError, nearest
from cistransfer.evaluation.results import Evaluation, ModelScore, TaskScore, open_evaluation
from cistransfer.evaluation.runs import open_predictions
from cistransfer.metrics.bootstrap import (
    LEAST_BLOCKS,
    Interval,
    bootstrap_values,
    percentile_interval,
    region_blocks,
)
from cistransfer.metrics.curves import auroc

__all__ = [
    "CHEAP",
    "EXPECTED",
    "Against",
    "Verdict",
    "expected",
    "is_cheap",
    "judge",
    "measured",
    "rated",
    "verdict_of",
]

CHEAP = {
    "motif": "its known motif",
    "denovo": "a motif found in the peaks",
    "kmer": "k-mers",
    "lsgkm": "gapped k-mers",
    "mode-motif": "a motif of its binding mode",
    "gc": "GC content",
    "prevalence": "guessing",
}
"""Baselines in words."""

EXPECTED = {
    50: (0.887, 0.771, 0.950),
    125: (0.895, 0.808, 0.947),
    500: (0.905, 0.823, 0.953),
}
"""AUCPR at one unbound region per bound one, by bound regions for training: mean of twelve TFs that
the trunk had not seen, the least and the greatest of them (docs/results.md, the default with the
TF's motifs on a trunk of two networks, as the one in the box is; three draws from 50, else one)."""

EXPECTED_OF_OTHERS = {
    50: (0.848, 0.711, 0.915),
    125: (0.866, 0.754, 0.940),
    500: (0.876, 0.745, 0.943),
}
"""The same of twelve TFs that nothing had been chosen on."""


@dataclass(frozen=True)
class Against:
    """A model against another row of the evaluation, on the same test regions.

    Attributes
    ----------
    name, words : str
        The other row, and what it is.
    cheap : bool
        A baseline, not another trained model.
    aucpr, auroc : float
        Of the other.
    difference : Interval
        AUCPR of the model less that of the other; the wider of the 95 % intervals from resampling
        regions and from resampling blocks of neighbours, on the same resamples for both.
    """

    name: str
    words: str
    cheap: bool
    aucpr: float
    auroc: float
    difference: Interval

    @property
    def word(self) -> str:
        """``better``, ``undecided`` or ``worse``: the model's side of the interval."""
        low, high = self.difference.low, self.difference.high
        return "better" if low > 0 else "worse" if high < 0 else "undecided"


@dataclass(frozen=True)
class Verdict:
    """What to think of a model for one task.

    Attributes
    ----------
    task, model : str
    word : {"better", "undecided", "worse", "alone"}
        ``better`` than every baseline, ``worse`` than one of them, neither; ``alone`` where no
        baseline was evaluated.
    aucpr, auroc : Interval
        With 95 % intervals from resampling regions.
    against : tuple of Against
        The other rows, greatest AUCPR first.
    n, bound : int
        Test regions, and those that are bound.
    """

    task: str
    model: str
    word: str
    aucpr: Interval
    auroc: Interval
    against: tuple[Against, ...] = field(repr=False)
    n: int
    bound: int

    @property
    def best(self) -> Against | None:
        """The best of the baselines."""
        return next((each for each in self.against if each.cheap), None)

    @property
    def instead(self) -> Against | None:
        """The baseline to use where the model is worse, or to weigh where the two cannot be told
        apart; None where the model is better, or alone."""
        if self.word != "worse":
            return self.best if self.word == "undecided" else None
        return next(each for each in self.against if each.cheap and each.word == "worse")

    @property
    def ranks(self) -> str:
        """How often a bound region is ranked above an unbound one, with the interval, in words."""
        low, high = (f"{100 * end:.0f}" for end in self.auroc[1:])
        return f"{100 * self.auroc.estimate:.0f} times in 100 ({low} to {high})"

    @property
    def advice(self) -> str:
        """What to do, in a few words."""
        if self.best is None:
            return "no baseline was evaluated, so whether a cheap way does as well is not known"
        if self.instead is None:
            return "use the model"
        if self.word == "undecided":
            return "on these held-out regions the two cannot be told apart"
        return f"use {self.instead.words} instead of the model"

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        first = (
            f"from {self.task}'s peaks the model ranks a bound region above an unbound one "
            f"{self.ranks}"
        )
        aucpr = "AUCPR {:.3f} ({:.2f} to {:.2f})".format(*self.aucpr)
        best = self.best
        if best is None:
            return f"{first}; {aucpr}: {self.advice}"
        gap = "{:+.3f} ({:+.3f} to {:+.3f})".format(*best.difference)
        return (
            f"{first}, the best cheap way ({best.words}) {100 * best.auroc:.0f} times; {aucpr} "
            f"against {best.aucpr:.3f}, a difference of {gap}: {self.advice}"
        )


def verdict_of(
    folder: str | os.PathLike[str], task: str | None = None, *, draws: int = 1000, seed: int = 0
) -> Verdict:
    """Judge the first model of an evaluation folder.

    Parameters
    ----------
    folder : path
    task : str, optional
        The first by default.
    draws, seed
        Of the bootstrap.

    Raises
    ------
    InputError
        When it is no evaluation, or the task has no metrics.
    """
    found = open_evaluation(folder)
    name = found.tasks[0] if task is None else task
    if name not in found.tasks:
        raise InputError(f"{folder}: no task {name!r}; {nearest(name, found.tasks)}")
    return judge(found, open_predictions(folder), name, draws=draws, seed=seed)


def judge(
    found: Evaluation,
    table: pd.DataFrame,
    task: str,
    model: str | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Verdict:
    """Judge a model by its predictions.

    Parameters
    ----------
    found : Evaluation
    table : DataFrame
        What `cistransfer.evaluation.runs.open_predictions` gives.
    task : str
    model : str, optional
        Name of its row; the first by default.
    draws, seed
        Of the bootstrap.

    Raises
    ------
    InputError
        When the task has not both classes; when there is no such row.
    """
    first = found.models[0] if model is None else found[model]
    if first.tasks[task].why:
        raise InputError(f"{task}: {first.tasks[task].why}")
    labels = table[f"label {task}"].to_numpy()
    scores: dict[str, NDArray[np.float64]] = {
        row.name: table[f"{row.name} {task}"].to_numpy(np.float64) for row in found.models
    }
    blocks = region_blocks(table["chrom"].to_numpy(), table["start"].to_numpy())
    enough = len(np.unique(blocks[labels >= 0])) >= LEAST_BLOCKS
    ways = [
        bootstrap_values(labels, scores, draws=draws, seed=seed, blocks=given)
        for given in (None, *((blocks,) if enough else ()))
    ]
    value, values = ways[0][first.name]
    area = bootstrap_values(labels, {"": scores[first.name]}, auroc, draws=draws, seed=seed)[""]
    against = sorted(
        (_against(first, each, task, ways) for each in found.models if each is not first),
        key=lambda each: -each.aucpr,
    )
    words = [each.word for each in against if each.cheap]
    word = "worse" if "worse" in words else "undecided" if "undecided" in words else "better"
    return Verdict(
        task,
        first.name,
        word if words else "alone",
        percentile_interval(value, values),
        percentile_interval(*area),
        tuple(against),
        first.tasks[task].n,
        first.tasks[task].positives,
    )


def measured(found: Evaluation, tf: str, held: str, baseline: str | None = None) -> dict[str, Any]:
    """What was measured on regions that were held out, for a card or a table."""
    score = (found.models[0] if baseline is None else found[baseline]).tasks[tf]
    low, high = score.interval("aucpr") or (None, None)
    return {
        "held_out": held,
        "n": score.n,
        "bound": score.positives,
        "aucpr": score["aucpr"],
        "aucpr_low": low,
        "aucpr_high": high,
        "auroc": score["auroc"],
        "baselines": {name: value for value, name in rated(found, tf)},
    }


def rated(found: Evaluation, tf: str) -> list[tuple[float, str]]:
    """AUCPR and name of every baseline, the best first."""
    return sorted(
        ((_number(other.tasks[tf], "aucpr"), other.name) for other in found.models[1:]),
        reverse=True,
    )


def expected(bound: int) -> str:
    """What to expect of so many bound regions, from TFs that were measured.

    >>> expected(60)
    'twelve TFs reached an AUCPR of 0.887 on average from 50 (0.77 to 0.95), twelve harder ones 0.848 (0.71 to 0.92)'
    """  # noqa: E501
    size = max([n for n in EXPECTED if n <= bound], default=min(EXPECTED))
    words = [
        f"{mean:.3f}{on} ({low:.2f} to {high:.2f})"
        for (mean, low, high), on in (
            (EXPECTED[size], f" on average from {size}"),
            (EXPECTED_OF_OTHERS[size], ""),
        )
    ]
    return f"twelve TFs reached an AUCPR of {words[0]}, twelve harder ones {words[1]}"


def is_cheap(model: ModelScore) -> bool:
    """Whether a row of an evaluation is a baseline (also of one fold), not a trained model."""
    return model.run is None and model.name.split(" ")[0] in BASELINES


def _against(
    first: ModelScore,
    other: ModelScore,
    task: str,
    ways: list[dict[str, tuple[float, NDArray[np.float64]]]],
) -> Against:
    gaps = []
    for found in ways:
        (value, values), (base, base_values) = found[first.name], found[other.name]
        gaps.append(percentile_interval(value - base, values - base_values))
    gap = Interval(
        gaps[0].estimate, min(each.low for each in gaps), max(each.high for each in gaps)
    )
    score = other.tasks[task]
    cheap = is_cheap(other)
    words = CHEAP[other.name.split(" ")[0]] if cheap else other.name
    return Against(
        other.name, words, cheap, float(score["aucpr"] or 0), float(score["auroc"] or 0), gap
    )


def _number(score: TaskScore, name: str) -> float:
    value = score[name]
    return float("nan") if value is None else float(value)
