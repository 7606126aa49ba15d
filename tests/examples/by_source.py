"""One function per source of examples, with all that a test varies by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import pandas as pd

from cistransfer.examples.dataset import ExampleSet
from cistransfer.examples.draw import Background, Draw, Matched, Shares
from cistransfer.examples.holdout import HoldOut
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import (
    FromFasta,
    FromLists,
    FromMatrix,
    FromOpenness,
    FromPeaks,
    FromRegions,
    FromTFs,
    Source,
)
from cistransfer.examples.split import Split


def _make(
    source: Source,
    draw: Draw | None = None,
    *,
    split: Split | None = None,
    trunk_split: Split | None = None,
    trunk_regions: pd.DataFrame | None = None,
    guard: str | None = None,
    seed: int = 0,
) -> ExampleSet:
    theirs = split is None and trunk_split is not None
    holdout = HoldOut(trunk_split if theirs else split, guard, trunk_regions, theirs)
    return examples_for(source, holdout=holdout, draw=draw, seed=seed)


def _apart(group: type, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of a group, and the others."""
    names = {each.name for each in fields(group)}
    return (
        {name: value for name, value in options.items() if name in names},
        {name: value for name, value in options.items() if name not in names},
    )


def _matched(options: dict[str, Any]) -> Matched:
    """Without the part ``extra`` unless asked for: the other parts do not depend on it."""
    return Matched(**{"train_per_bound": 0.0, **options})


def multi(matrix: Any, genome: Any, tfs: Sequence[str], **options: Any) -> ExampleSet:
    own, rest = _apart(FromTFs, options)
    return _make(FromTFs(matrix, genome, tuple(tfs), **own), **rest)


def single(matrix: Any, genome: Any, tf: str, **options: Any) -> ExampleSet:
    drawn, rest = _apart(Matched, options)
    own, rest = _apart(FromMatrix, rest)
    return _make(FromMatrix(matrix, tf, genome, **own), _matched(drawn), **rest)


def peaks(peaks: Any, open_regions: Any, genome: Any, **options: Any) -> ExampleSet:
    drawn, rest = _apart(Matched, options)
    own, rest = _apart(FromPeaks, rest)
    return _make(FromPeaks(peaks, genome, open_regions, **own), _matched(drawn), **rest)


def fasta(
    path: Any, positive: str, *, window: int | None = None, seed: int = 1, **options: Any
) -> ExampleSet:
    return _make(FromFasta(path, positive, window), seed=seed, **options)


def bed(path: Any, genome: Any, positive: str, *, window: int, **options: Any) -> ExampleSet:
    return _make(FromRegions(path, positive, genome, window), **options)


def pretraining(
    opened: Any, genome: Any, leave_out: Sequence[str], background: str = "tiles", **options: Any
) -> ExampleSet:
    drawn, rest = _apart(Background, options)
    own, rest = _apart(FromOpenness, rest)
    source = FromOpenness(opened, tuple(leave_out), genome, background=background, **own)
    return _make(source, Background(kind=background, **drawn), **rest)


def cell(
    opened: Any,
    genome: Any,
    cell: str,
    among: Sequence[str],
    *,
    negatives: Mapping[str, float] | None = None,
    ratio: float | None = 2.5,
    **options: Any,
) -> ExampleSet:
    draw = Shares(ratio=ratio) if negatives is None else Shares(negatives, ratio)
    own, rest = _apart(FromOpenness, options)
    return _make(FromOpenness(opened, tuple(among), genome, cell, **own), draw, **rest)


def listed(lists: Any, genome: Any, cell: str, **options: Any) -> ExampleSet:
    return _make(FromLists(lists, genome, cell), **options)
