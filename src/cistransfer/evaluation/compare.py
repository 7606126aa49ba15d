"""Compare strategies on the same TFs, draws and test examples, and say how sure it is."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cistransfer.errors import InputError, nearest
from cistransfer.evaluation.tidy import KEYS, reference_of, shares_sizes, size_rank, tidy
from cistransfer.metrics.statistics import (
    bonferroni,
    clustered_bootstrap,
    kruskal_wallis,
    least_p,
    paired_effect,
    welch_t,
    wilcoxon_signed_rank,
)
from cistransfer.metrics.table import small_is_better

__all__ = [
    "compare",
    "compare_groups",
    "differences",
    "recovery",
    "summarise",
    "summarise_recovery",
]

_MIN_GAP = 0.05  # by which all peaks must be better than the motif for recovery to be defined


def _sizes(table: pd.DataFrame) -> list[str]:
    return sorted(table["size"].unique(), key=lambda size: (size_rank(size), size))


def _by_size(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by training size; those of one size stay in their order."""
    return table.sort_values("size", key=lambda sizes: sizes.map(size_rank), kind="stable",
                             ignore_index=True)  # fmt: skip


def _pooled(table: pd.DataFrame, by_size: bool | None) -> pd.DataFrame:
    """Give every row the size ``any`` unless sizes are a design that TFs share."""
    if by_size is None:
        by_size = shares_sizes(table)
    return table if by_size else table.assign(size="any")


def summarise(
    results: pd.DataFrame,
    metric: str = "aucpr",
    *,
    by_size: bool | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean of a metric by training size and strategy, with an interval over TFs.

    Parameters
    ----------
    results : DataFrame
        A tidy table (`cistransfer.evaluation.tidy`).
    by_size : bool, optional
        A row for each training size, or one for all together; by default together where each TF
        has a size of its own.
    level : float
        Of the interval (`clustered_bootstrap` over TFs; empty for one TF).

    Returns
    -------
    DataFrame
        ``size``, ``strategy``, ``tfs``, ``results``, ``mean`` (each TF counts once), ``low``,
        ``high``, ``median``, ``sd`` (between TFs; between results for one TF). Sorted by size;
        strategies in the order of the input.
    """
    table = _pooled(tidy(results, metric, spread=("size",)), by_size)
    order = list(dict.fromkeys(results["strategy"].astype(str)))
    rows = []
    for size in _sizes(table):
        for strategy in order:
            part = table[(table["size"] == size) & (table["strategy"] == strategy)]
            if part.empty:
                continue
            values = part[metric].to_numpy()
            interval = clustered_bootstrap(values, part["tf"].to_numpy(), level=level, seed=seed)
            by_tf = part.groupby("tf")[metric].mean().to_numpy()
            spread = by_tf if by_tf.size > 1 else values
            rows.append(
                {
                    "size": size,
                    "strategy": strategy,
                    "tfs": by_tf.size,
                    "results": values.size,
                    "mean": interval.estimate,
                    "low": interval.low,
                    "high": interval.high,
                    "median": float(np.median(by_tf)),
                    "sd": float(spread.std(ddof=1)) if spread.size > 1 else np.nan,
                }
            )
    return pd.DataFrame(rows)


def differences(
    results: pd.DataFrame, metric: str, strategy: str, reference: str | None = None
) -> pd.DataFrame:
    """Pair two strategies on equal TF, test examples, size and draw; seeds are averaged first.

    Parameters
    ----------
    results : DataFrame
        A tidy table.

    Returns
    -------
    DataFrame
        ``tf``, ``examples``, ``size``, ``draw``, ``value`` (of the strategy), ``reference`` (the
        reference's) and ``difference``; one row per pair.
    """
    table = tidy(results, metric)
    reference = reference_of(list(table["strategy"].unique()), reference)
    if strategy not in set(table["strategy"]):
        known = table["strategy"].unique()
        raise InputError(f"no strategy {strategy!r} in the results; {nearest(strategy, known)}")
    keys = [key for key in KEYS if key != "seed"]
    means = table.groupby([*keys, "strategy"], sort=False)[metric].mean().reset_index()
    first, second = (
        means[means["strategy"] == name].drop(columns="strategy") for name in (strategy, reference)
    )
    paired = first.merge(second, on=keys, suffixes=("", " reference"))
    paired = paired.rename(columns={metric: "value", f"{metric} reference": "reference"})
    paired["difference"] = paired["value"] - paired["reference"]
    return paired


def compare(
    results: pd.DataFrame,
    metric: str = "aucpr",
    reference: str | None = None,
    *,
    by_size: bool | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare every strategy with a reference at every training size.

    Pairs share TF, test examples, size and draw. With two TFs or more, a TF is one observation
    (its mean over draws) in the tests and in the interval; with one TF its draws are, and the
    result speaks of that TF only.

    Parameters
    ----------
    results : DataFrame
        A tidy table (`cistransfer.evaluation.tidy`).
    reference : str, optional
        ``scratch`` by default where there is one.
    by_size : bool, optional
        As in `summarise`.
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        ``size``, ``strategy``, ``reference``, ``unit`` (TF or draw), ``pairs`` (units), ``mean``,
        ``mean_reference``, ``difference``, ``low``, ``high``, ``effect`` (Cohen's d_z), ``wins``,
        ``losses`` (by better, also where small is better), ``wilcoxon_p``, ``wilcoxon_p_adjusted``
        (Bonferroni over the rows of the table), ``welch_p`` (unpaired, as the papers do), ``note``.

    Raises
    ------
    InputError
        When there is nothing to compare, or no pair at all.
    """
    table = tidy(results, metric)
    order = list(dict.fromkeys(results["strategy"].astype(str)))
    reference = reference_of([name for name in order if name in set(table["strategy"])], reference)
    sign = -1.0 if small_is_better(metric) else 1.0
    rows: list[dict[str, object]] = []
    for strategy in order:
        if strategy == reference or strategy not in set(table["strategy"]):
            continue
        paired = _pooled(differences(results, metric, strategy, reference), by_size)
        for size in _sizes(paired):
            rows.append(
                {
                    "size": size,
                    "strategy": strategy,
                    "reference": reference,
                    **_compare_one(paired[paired["size"] == size], sign, level, seed),
                }
            )
    if not rows:
        raise InputError(
            f"no strategy shares a TF, test examples, size and draw with {reference!r}: "
            "results on different test examples cannot be compared"
        )
    found = pd.DataFrame(rows)
    place = found.columns.get_loc("wilcoxon_p") + 1
    found.insert(place, "wilcoxon_p_adjusted", bonferroni(found["wilcoxon_p"]))
    return _by_size(found)


def _compare_one(paired: pd.DataFrame, sign: float, level: float, seed: int) -> dict[str, object]:
    unit, columns = "draw", ["value", "reference"]
    units = paired[columns]
    if paired["tf"].nunique() > 1:
        unit, units = "TF", paired.groupby("tf")[columns].mean()
    first, second = units["value"].to_numpy(), units["reference"].to_numpy()
    effect = paired_effect(first, second, level=level, seed=seed)
    signed = wilcoxon_signed_rank(first, second)
    notes = []
    if len(units) == 1:
        notes.append(f"one {unit}: no test")
    elif least_p(len(units)) > 1 - level:
        notes.append(f"p cannot be below {least_p(len(units)):.2g} with {len(units)} {unit}s")
    wins, losses = (effect.wins, effect.losses) if sign > 0 else (effect.losses, effect.wins)
    return {
        "unit": unit,
        "pairs": len(units),
        "mean": float(first.mean()),
        "mean_reference": float(second.mean()),
        "difference": effect.mean,
        "low": effect.interval.low,
        "high": effect.interval.high,
        "effect": effect.standardised,
        "wins": wins,
        "losses": losses,
        "wilcoxon_p": signed.p if len(units) > 1 else np.nan,
        "welch_p": welch_t(first, second).p,
        "note": "; ".join(notes),
    }


def compare_groups(results: pd.DataFrame, metric: str = "aucpr") -> pd.DataFrame:
    """Test all strategies at once for each TF and size: Kruskal-Wallis, Bonferroni over the rows.

    The published test of the pre-training groups (Novakovsky et al. 2021, Fig. 6): the draws of a
    TF are the observations (its seeds, where it has one draw), so it speaks of each TF alone.
    Strategies with a single result are left out where others have several.

    Returns
    -------
    DataFrame
        ``tf``, ``size``, ``strategies``, ``results``, ``h``, ``p``, ``p_adjusted``, ``note``.
    """
    table = tidy(results, metric, spread=("size",))
    rows = []
    for (tf, size), part in table.groupby(["tf", "size"], sort=False):
        draws = ["strategy", "examples", "draw"]
        if part["draw"].nunique() > 1:
            part = part.groupby(draws, sort=False)[metric].mean().reset_index()
        groups = {str(name): group.to_numpy() for name, group in part.groupby("strategy")[metric]}
        single = [name for name, values in groups.items() if values.size == 1]
        if len(single) < len(groups):  # a database motif has no draws to rank among others'
            groups = {name: values for name, values in groups.items() if name not in single}
        else:
            single = []
        found = kruskal_wallis(groups)
        left_out = f"without {', '.join(single)} (one result)" if single else ""
        rows.append(
            {
                "tf": tf,
                "size": size,
                "strategies": len(groups),
                "results": found.n,
                "h": found.statistic,
                "p": found.p,
                "note": "; ".join(filter(None, (found.why, left_out))),
            }
        )
    groups_table = pd.DataFrame(rows)
    groups_table.insert(6, "p_adjusted", bonferroni(groups_table["p"]))
    return _by_size(groups_table)


def recovery(
    results: pd.DataFrame,
    metric: str = "aucpr",
    *,
    motif: str = "pwm",
    full: str = "full",
) -> pd.DataFrame:
    """Compute recovery = (metric - motif) / (full - motif) of each TF, size and strategy.

    0 is no better than the TF's motif, 1 is as good as the same network trained on all of the
    TF's peaks; below 0 and above 1 are possible. Where the motif is nearly as good as the full
    network the ratio means nothing and is left empty.

    Parameters
    ----------
    results : DataFrame
        A tidy table that holds the strategies ``motif`` and ``full``.
    motif, full : str
        Names of the two anchors among the strategies. The motif is that of the same size where it
        depends on it (a de novo motif); the full network is that of the TF's largest size.

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
    sign = -1.0 if small_is_better(metric) else 1.0
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
        gap = sign * (high - low)
        if np.isnan(gap):
            missing = motif if np.isnan(low) else full
            why = f"no {missing!r} result for this TF"
        elif gap < _MIN_GAP:
            why = f"{full!r} is only {gap:.3f} better than {motif!r}"
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
                "recovery": np.nan if why else sign * (float(value) - low) / gap,
                "why": why,
            }
        )
    found = pd.DataFrame(rows)
    if found.empty:
        raise InputError(f"recovery: there are no strategies besides {motif!r} and {full!r}")
    return _by_size(found)


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
