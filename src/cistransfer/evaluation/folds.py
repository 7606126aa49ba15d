"""What runs are evaluated on: the examples that they share, or the test part that folds share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.evaluation.ladder import Rung
from cistransfer.examples.dataset import ExampleSet, open_examples
from cistransfer.metrics.table import METRICS
from cistransfer.models.bundle import Bundle

__all__ = ["Material", "ensemble", "fold_groups", "gather", "over_folds"]


@dataclass(frozen=True)
class Material:
    """Example sets and who belongs to which.

    Attributes
    ----------
    sets : dict of str to ExampleSet
        By fold (``"1/5"``); one set under ``""`` where there are no folds to tell apart. They have
        the part that is evaluated in common.
    fold_of : dict of str to str
        The fold that each run was trained in, empty for none.
    """

    sets: dict[str, ExampleSet]
    fold_of: dict[str, str]

    @property
    def first(self) -> ExampleSet:
        """The set whose regions are evaluated."""
        return next(iter(self.sets.values()))


def gather(
    named: Mapping[str, Path],
    bundles: Mapping[str, Bundle],
    examples: str | os.PathLike[str] | None,
    part: str,
) -> Material:
    """Find the examples that all runs share, whole or (folds by chromosome) their test part.

    Raises
    ------
    InputError
        When runs were trained on different examples that are not folds of one test part.
    """
    fold_of = {name: _fold(bundle) for name, bundle in bundles.items()}
    if examples is not None:
        return Material({"": open_examples(examples)}, fold_of)
    sets = {
        name: open_examples(path / "examples")
        for name, path in named.items()
        if (path / "examples").is_dir()
    }
    if not sets:
        raise InputError("none of the runs holds examples; name an example set with --examples")
    first = next(iter(sets))
    hashes = {name: data.content_hash() for name, data in sets.items()}
    by_fold: dict[str, str] = {}
    for name, value in hashes.items():
        if value == hashes[first]:
            by_fold.setdefault(fold_of[name], name)
            continue
        known = by_fold.setdefault(fold_of[name], name)
        folds = fold_of[name] and fold_of[first] and hashes[known] == value
        if not folds or not _same_test(sets[first], sets[name]):
            raise InputError(
                f"runs {first!r} and {name!r} were trained on different examples, so their numbers "
                "cannot be compared; train one on the other's (--examples), name an example set, "
                "or train them as folds with one test part (--fold)"
            )
    if len(set(hashes.values())) == 1:
        return Material({fold_of[first]: sets[first]}, fold_of)
    if part != "test":
        raise InputError(f"folds have only their test part in common, not the {part} part")
    return Material({fold: sets[name] for fold, name in by_fold.items()}, fold_of)


def _fold(bundle: Bundle) -> str:
    return str((bundle.card.split or {}).get("fold") or "")


def _same_test(one: ExampleSet, other: ExampleSet) -> bool:
    if one.tasks != other.tasks or one.window != other.window:
        return False
    rows, others = one.rows("test"), other.rows("test")
    place = ["chrom", "start", "end"]
    return (
        len(rows) == len(others)
        and bool(np.array_equal(one.labels[rows], other.labels[others]))
        and bool(np.array_equal(one.codes[rows], other.codes[others]))
        and one.regions.iloc[rows][place]
        .reset_index(drop=True)
        .equals(other.regions.iloc[others][place].reset_index(drop=True))
    )


def fold_groups(models: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Names of the models that are one strategy in several folds, by strategy.

    A strategy that a fold has twice is left out: which of them belong together is not known.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for model in models:
        if model.get("draw"):
            found.setdefault(model.get("strategy") or model["name"], []).append(model)
    return {
        strategy: [model["name"] for model in members]
        for strategy, members in found.items()
        if len({model["draw"] for model in members}) == len(members) > 1
    }


def ensemble(
    logits: Sequence[NDArray[np.float32]],
    thresholds: Sequence[NDArray[np.float64]],
    temperatures: Sequence[NDArray[np.float64]],
) -> Rung:
    """Average models: the mean of their calibrated logits, called at the mean of their thresholds.

    Each model's logits and threshold are divided by its own temperature, so nothing is fitted
    here and no model counts more for being overconfident.
    """
    shares = [
        (values / temperature, threshold / temperature)
        for values, threshold, temperature in zip(logits, thresholds, temperatures, strict=True)
    ]
    mean = np.mean([values for values, _ in shares], axis=0).astype(np.float32)
    cut = np.mean([threshold for _, threshold in shares], axis=0)
    return Rung(mean, cut, np.ones_like(cut), (f"mean of {len(shares)} folds",) * len(cut))


def over_folds(models: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation of every metric over the folds of each strategy.

    Returns
    -------
    list of dict
        ``strategy``, ``task``, ``folds``, then ``NAME`` (mean) and ``NAME_sd`` for every metric;
        tasks without both classes are left out.
    """
    by_name = {model["name"]: model for model in models}
    rows = []
    for strategy, members in fold_groups(models).items():
        for task in by_name[members[0]]["metrics"]:
            found = [by_name[name]["metrics"][task] for name in members]
            if found[0]["why"]:
                continue
            row: dict[str, Any] = {"strategy": strategy, "task": task, "folds": len(found)}
            for metric in METRICS:
                values = [each[metric] for each in found]
                row[metric] = float(np.mean(values))
                row[f"{metric}_sd"] = float(np.std(values, ddof=1))
            rows.append(row)
    return rows
