"""Calibration of models as a table: before and after the temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.evaluation.ladder import Rung
from cistransfer.metrics.calibration import RELIABILITY_COLUMNS, reliability_bins, to_probability
from cistransfer.metrics.resolved import evaluable

__all__ = ["calibration_table"]


def calibration_table(
    labels: NDArray[np.int8], models: Mapping[str, Rung], tasks: Sequence[str]
) -> pd.DataFrame:
    """Tabulate predicted probability against observed frequency.

    Parameters
    ----------
    labels : ndarray of int8, shape (n, tasks)
    models : mapping of str to Rung
        Logits and the temperatures fitted on validation.
    tasks : sequence of str

    Returns
    -------
    DataFrame
        ``model``, ``task``, ``stage`` (``raw``, ``temperature``), and the columns of
        `reliability_bins`; tasks without both classes and empty bins are left out.
    """
    frames = []
    for name, model in models.items():
        for column, task in enumerate(tasks):
            if not evaluable(labels[:, column]):
                continue
            for stage, value in (("raw", 1.0), ("temperature", model.temperatures[column])):
                probabilities = to_probability(model.logits[:, column], float(value))
                bins = pd.DataFrame(reliability_bins(labels[:, column], probabilities))
                frames.append(bins[bins["n"] > 0].assign(model=name, task=task, stage=stage))
    keys = ["model", "task", "stage"]
    if not frames:
        return pd.DataFrame(columns=[*keys, *RELIABILITY_COLUMNS])
    return pd.concat(frames, ignore_index=True)[[*keys, *RELIABILITY_COLUMNS]]
