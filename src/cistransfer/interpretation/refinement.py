"""What fine-tuning did to the filters: the same filter before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from cistransfer.errors import InputError
from cistransfer.interpretation.filters import FilterMotifs, annotate_filters, filter_motifs
from cistransfer.interpretation.layers import first_convolution
from cistransfer.motifs.pwm import PWM

__all__ = ["Refinement", "count_resembling", "refine"]

Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Refinement:
    """Filters of a model and of the trunk that it was fine-tuned from.

    Attributes
    ----------
    before, after : FilterMotifs
    table : DataFrame
        One row per filter: ``filter``, ``weight_change`` (length of the weights' change over
        their length before), ``weight_cosine``, ``motif_correlation`` (Pearson, of the two
        probability matrices), and with the suffixes ``_before`` and ``_after`` ``sites``,
        ``information``, ``consensus``, ``match``, ``match_name``, ``q``, ``significant``.
    """

    before: FilterMotifs
    after: FilterMotifs
    table: pd.DataFrame


def refine(
    trunk: nn.Module,
    model: nn.Module,
    codes: Codes,
    targets: Sequence[PWM],
    *,
    q: float = 0.05,
    seed: int = 0,
) -> Refinement:
    """Compare each filter before and after fine-tuning (Novakovsky et al. 2021, Figure 9B).

    Both models read the same sequences; the motifs of ``targets`` name the filters of both. Each
    filter is compared with the one of its own number.

    Raises
    ------
    InputError
        When the two first layers do not have one shape.
    """
    first = [first_convolution(m, codes.shape[1]) for m in (trunk, model)]
    weights = [layer.weight.detach().float().cpu().numpy() for layer in first]  # type: ignore[operator]
    if weights[0].shape != weights[1].shape:
        raise InputError(
            f"cannot compare filters of shape {weights[0].shape} with {weights[1].shape}; "
            "is the trunk of another architecture?"
        )
    motifs = [filter_motifs(m, codes) for m in (trunk, model)]
    flat = [weight.reshape(len(weight), -1).astype(np.float64) for weight in weights]
    lengths = [np.linalg.norm(rows, axis=1) for rows in flat]
    change = np.linalg.norm(flat[1] - flat[0], axis=1) / np.maximum(lengths[0], 1e-12)
    cosine = (flat[0] * flat[1]).sum(axis=1) / np.maximum(lengths[0] * lengths[1], 1e-12)
    table = pd.DataFrame(
        {
            "filter": np.arange(len(change)),
            "weight_change": change,
            "weight_cosine": cosine,
            "motif_correlation": _correlations(motifs[0], motifs[1]),
        }
    )
    columns = ["sites", "information", "consensus", "match", "match_name", "q", "significant"]
    for suffix, found in zip(("before", "after"), motifs, strict=True):
        named = annotate_filters(found, targets, q=q, seed=seed)[["filter", *columns]]
        table = table.merge(
            named.rename(columns={column: f"{column}_{suffix}" for column in columns}), on="filter"
        )
    return Refinement(motifs[0], motifs[1], table)


def count_resembling(table: pd.DataFrame, tf: str) -> dict[str, int]:
    """How many filters resemble a TF's motif significantly, before and after.

    A known motif is the TF's when its name or second name is the TF, alone or in a dimer
    (``FOS::JUND``), whatever the case.
    """
    counts = {}
    for suffix in ("before", "after"):
        mine = np.zeros(len(table), bool)
        for column in (f"match_{suffix}", f"match_name_{suffix}"):
            mine |= np.array([tf.upper() in name.upper().split("::") for name in table[column]])
        counts[suffix] = int((mine & table[f"significant_{suffix}"].to_numpy(bool)).sum())
    return counts


def _correlations(before: FilterMotifs, after: FilterMotifs) -> NDArray[np.float64]:
    """Pearson correlation of the two matrices of each filter; NaN where one has no sites."""
    result = np.full(len(before.sites), np.nan)
    ours = dict(zip(after.filters.tolist(), after.pwms, strict=True))
    for number, pwm in zip(before.filters.tolist(), before.pwms, strict=True):
        if number in ours:
            a = pwm.probabilities.ravel() - 0.25
            b = ours[number].probabilities.ravel() - 0.25
            size = np.sqrt((a**2).sum() * (b**2).sum())
            result[number] = (a * b).sum() / size if size > 0 else np.nan
    return result
