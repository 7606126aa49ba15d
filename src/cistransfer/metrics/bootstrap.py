"""How sure a metric is, given which test regions there are: the one bootstrap over regions.

There are two bootstraps in cistransfer, for two questions. This one resamples the test regions
(or blocks of neighbours) of one trained model: what would other test regions have given? The
intervals beside every AUCPR of an evaluation (`cistransfer.evaluation.regions.aucpr_intervals`)
and the paired differences of models on equal regions (`compare_regions` there) are both made of
`bootstrap_values`. The other, `cistransfer.metrics.statistics.clustered_bootstrap`, resamples
TFs, each with all its draws and seeds: what would other TFs have given? Neither says what another
training would give; that takes several seeds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cistransfer.errors import InputError
from cistransfer.metrics.curves import aucpr, aucpr_of_draws
from cistransfer.metrics.resolved import resolved

__all__ = [
    "BLOCK",
    "LEAST_BLOCKS",
    "Interval",
    "bootstrap_values",
    "percentile_interval",
    "region_blocks",
]

BLOCK = 1_000_000
"""Length of a block of neighbouring regions, in bp. Overlapping windows, the elements of one locus,
gene clusters and GC content make neighbours alike over up to about this distance."""

LEAST_BLOCKS = 10
"""Fewer blocks than this say nothing of the spread between blocks."""

_MOST_CELLS = 4_000_000  # of draws × rows held at a time

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate and the interval around it."""

    estimate: float
    low: float
    high: float


def region_blocks(chroms: ArrayLike, starts: ArrayLike) -> NDArray[np.int64]:
    """Number the blocks (`BLOCK`) that regions begin in, from 0 without gaps, shape (n,)."""
    _, chrom = np.unique(np.asarray(chroms).astype(str), return_inverse=True)
    tile = np.asarray(starts, dtype=np.int64) // BLOCK
    both = np.stack([chrom, tile], axis=1)
    return np.unique(both, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _draws(
    truth: NDArray[np.bool_],
    draws: int,
    seed: int,
    blocks: NDArray[np.int64] | None = None,
) -> Iterator[Floats]:
    """Yield how often each row is drawn, ``draws`` times."""
    generator = np.random.default_rng(seed)
    classes = (np.flatnonzero(truth), np.flatnonzero(~truth))
    many = 0 if blocks is None else int(blocks.max()) + 1
    for _ in range(draws):
        weights = np.zeros(truth.size)
        if blocks is not None:
            while not all(weights[members].any() for members in classes):
                picked = generator.integers(0, many, many)
                weights = np.bincount(picked, minlength=many).astype(np.float64)[blocks]
            for members in classes:
                weights[members] *= members.size / weights[members].sum()
        else:
            for members in classes:
                picked = generator.integers(0, members.size, members.size)
                weights[members] = np.bincount(picked, minlength=members.size)
        yield weights


def percentile_interval(estimate: float, values: ArrayLike, level: float = 0.95) -> Interval:
    """Put the middle ``level`` of bootstrap values around an estimate."""
    if not 0 < level < 1:
        raise InputError(f"level: expected a share between 0 and 1, found {level}")
    tail = (1 - level) / 2
    low, high = np.quantile(np.asarray(values, dtype=np.float64), (tail, 1 - tail))
    return Interval(float(estimate), float(low), float(high))


def bootstrap_values(
    labels: ArrayLike,
    scores: Mapping[str, ArrayLike],
    metric: Callable[..., float] = aucpr,
    *,
    draws: int = 1000,
    seed: int = 0,
    blocks: ArrayLike | None = None,
) -> dict[str, tuple[float, Floats]]:
    """Compute a metric of several models on the same resamples of the same rows.

    Every resample has as many positives and as many negatives as the data.

    Parameters
    ----------
    labels : array of -1, 0, 1, shape (n,)
    scores : mapping of str to array of float, shape (n,)
        Scores by model.
    metric : callable(labels, scores, weights=...) -> float
        Any metric of this room; bind thresholds with a lambda. Rows are resampled through its
        weights.
    draws : int
        Number of resamples.
    blocks : array of int, shape (n,), optional
        Block of each row (`region_blocks`). Whole blocks are drawn instead of rows, as many as
        there are, because neighbouring regions are alike (Künsch 1989); each class of a draw is
        then scaled to the weight that it has in the data.

    Returns
    -------
    dict of str to (float, float64 of shape (draws,))
        The metric on the rows as they are, and on each resample. Differences of two models'
        values are paired.

    Raises
    ------
    InputError
        On fewer than `LEAST_BLOCKS` blocks.
    """
    if draws < 1:
        raise InputError(f"draws: expected at least 1, found {draws}")
    known = _known_blocks(labels, blocks)
    prepared = []
    for name, given in scores.items():
        truth, values, _ = resolved(labels, given, names=("labels", f"scores of {name}"))
        order = np.argsort(values, kind="stable")  # sorted once, not in every draw
        prepared.append((order, truth[order], values[order]))
    if not prepared:
        return {}
    found = np.empty((draws, len(prepared)))
    chunk = max(1, _MOST_CELLS // truth.size)
    drawn = _draws(truth, draws, seed, known)
    for begin in range(0, draws, chunk):
        weights = np.stack(list(itertools.islice(drawn, chunk)))
        for model, (order, sorted_truth, values) in enumerate(prepared):
            ordered = weights[:, order]
            found[begin : begin + chunk, model] = (
                aucpr_of_draws(sorted_truth, values, ordered)
                if metric is aucpr
                else [metric(sorted_truth, values, weights=row) for row in ordered]
            )
    ones = np.ones(truth.size)
    return {
        name: (float(metric(sorted_truth, values, weights=ones)), found[:, model])
        for model, (name, (_, sorted_truth, values)) in enumerate(
            zip(scores, prepared, strict=True)
        )
    }


def _known_blocks(labels: ArrayLike, blocks: ArrayLike | None) -> NDArray[np.int64] | None:
    """Blocks of the resolved rows, numbered from 0 without gaps."""
    if blocks is None:
        return None
    array = np.asarray(blocks)
    if array.shape != np.shape(labels):
        raise InputError(
            f"blocks: expected shape {np.shape(labels)} like the labels, found {array.shape}"
        )
    names, known = np.unique(array[np.asarray(labels) >= 0], return_inverse=True)
    if names.size < LEAST_BLOCKS:
        raise InputError(
            f"blocks: expected at least {LEAST_BLOCKS} of them to resample, found {names.size}; "
            "resample regions, or make smaller blocks"
        )
    return known.astype(np.int64)
