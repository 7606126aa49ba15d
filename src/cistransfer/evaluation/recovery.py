"""How much of what all the data would give does little data give?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from cistransfer.errors import InputError, nearest
from cistransfer.evaluation.results import size_rank, tidy
from cistransfer.evaluation.statistics import clustered_bootstrap

__all__ = ["recovery", "summarise_recovery"]


def recovery(
    results: pd.DataFrame,
    metric: str = "aucpr",
    *,
    motif: str = "pwm",
    full: str = "full",
    least_gap: float = 0.05,
) -> pd.DataFrame:
    """Compute recovery = (metric - motif) / (full - motif) of each TF, size and strategy.

    0 is no better than the TF's motif, 1 is as good as the same network trained on all of the
    TF's peaks; below 0 and above 1 are possible. Where the motif is nearly as good as the full
    network the ratio means nothing and is left empty.

    Parameters
    ----------
    results : DataFrame
        A tidy table that holds the strategies ``motif`` and ``full``.
    metric : str
    motif, full : str
        Names of the two anchors among the strategies. The motif is that of the same size where it
        depends on it (a de novo motif); the full network is that of the TF's largest size.
    least_gap : float
        Smallest ``full - motif`` for which recovery is defined.

    Returns
    -------
    DataFrame
        ``tf``, ``size``, ``strategy``, ``value``, ``motif``, ``full``, ``gap``, ``recovery``
        (NaN where undefined), ``why``; means over draws and seeds come before the ratio.

    Raises
    ------
    InputError
        When an anchor is not among the strategies.
    """
    table = tidy(results, metric)
    known = list(table["strategy"].unique())
    for anchor in (motif, full):
        if anchor not in known:
            raise InputError(
                f"recovery: no strategy {anchor!r} in the results; {nearest(anchor, known)}"
            )
    anchors: dict[tuple[str, str], dict[str, float]] = {}
    chosen = table[table["strategy"].isin((motif, full))]
    for (tf, strategy, size), value in (
        chosen.groupby(["tf", "strategy", "size"])[metric].mean().items()
    ):
        anchors.setdefault((tf, strategy), {})[size] = float(value)
    rest = table[~table["strategy"].isin((motif, full))]
    means = rest.groupby(["tf", "size", "strategy"], sort=False)[metric].mean()
    rows = []
    for (tf, size, strategy), value in means.items():
        low = _anchor(anchors.get((tf, motif), {}), size)
        high = _anchor(anchors.get((tf, full), {}), "all")
        gap = high - low
        if np.isnan(gap):
            missing = motif if np.isnan(low) else full
            why = f"no {missing!r} result for this TF"
        elif gap < least_gap:
            why = f"{full!r} is only {gap:.3f} above {motif!r}"
        else:
            why = ""
        rows.append(
            {
                "tf": tf,
                "size": size,
                "strategy": strategy,
                "value": float(value),
                "motif": low,
                "full": high,
                "gap": gap,
                "recovery": np.nan if why else (float(value) - low) / gap,
                "why": why,
            }
        )
    found = pd.DataFrame(rows)
    if found.empty:
        raise InputError(f"recovery: there are no strategies besides {motif!r} and {full!r}")
    rank = found["size"].map(size_rank)
    return found.iloc[np.argsort(rank.to_numpy(), kind="stable")].reset_index(drop=True)


def _anchor(by_size: dict[str, float], size: str) -> float:
    """Return the anchor at this size, else at its largest, else NaN."""
    if not by_size:
        return float("nan")
    return by_size[size] if size in by_size else by_size[max(by_size, key=size_rank)]


def summarise_recovery(table: pd.DataFrame, *, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Median and mean recovery by size and strategy over the TFs where it is defined.

    Returns
    -------
    DataFrame
        ``size``, ``strategy``, ``tfs``, ``undefined`` (TFs left out), ``median``, ``mean``,
        ``low``, ``high`` (of the mean, `clustered_bootstrap`).
    """
    rows = []
    for (size, strategy), part in table.groupby(["size", "strategy"], sort=False):
        defined = part["recovery"].dropna().to_numpy()
        row = {
            "size": size,
            "strategy": strategy,
            "tfs": defined.size,
            "undefined": len(part) - defined.size,
        }
        if defined.size:
            interval = clustered_bootstrap(defined, level=level, seed=seed)
            row.update(median=float(np.median(defined)), mean=interval.estimate)
            row.update(low=interval.low, high=interval.high)
        rows.append(row)
    columns = ["size", "strategy", "tfs", "undefined", "median", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns)
