"""How sure an AUCPR is, given which test regions there are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.metrics.bootstrap import (
    LEAST_BLOCKS,
    bootstrap_values,
    percentile_interval,
    region_blocks,
)
from cistransfer.metrics.resolved import evaluable

__all__ = ["INTERVALS", "aucpr_intervals"]

INTERVALS = ("aucpr_low", "aucpr_high", "aucpr_block_low", "aucpr_block_high")
"""Ends of the 95 % intervals: from resampling regions, and from resampling blocks of neighbouring
regions (`cistransfer.metrics.bootstrap.region_blocks`)."""


def aucpr_intervals(
    regions: pd.DataFrame,
    labels: NDArray[np.int8],
    logits: Mapping[str, NDArray[np.float32]],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Intervals of the AUCPR of every model and task, on the same resamples for all models.

    Parameters
    ----------
    regions : DataFrame
        Region table of n examples.
    labels : ndarray of int8, shape (n, tasks)
    logits : mapping of str to ndarray, shape (n, tasks)
        By model.
    draws : int
        0 for none.
    seed : int

    Returns
    -------
    DataFrame
        `INTERVALS`, one row for each model and task, models first; empty where a task has not
        both classes, and for blocks where there are fewer than `LEAST_BLOCKS` of them.
    """
    blocks = region_blocks(regions["chrom"].to_numpy(), regions["start"].to_numpy())
    n_tasks = labels.shape[1]
    ends = np.full((len(logits), n_tasks, len(INTERVALS)), np.nan)
    for task in range(n_tasks) if draws else ():
        truth = labels[:, task]
        if not evaluable(truth):
            continue
        scores = {name: values[:, task] for name, values in logits.items()}
        enough = len(np.unique(blocks[truth >= 0])) >= LEAST_BLOCKS
        for first, given in ((0, None), *(((2, blocks),) if enough else ())):
            found = bootstrap_values(truth, scores, draws=draws, seed=seed, blocks=given)
            for model, (value, values) in enumerate(found.values()):
                ends[model, task, first : first + 2] = percentile_interval(value, values)[1:]
    return pd.DataFrame(ends.reshape(-1, len(INTERVALS)), columns=list(INTERVALS))
