"""Which motifs' sites carry more attribution than the sites of other motifs.

The analysis of ChromTransfer (Salvatore et al. 2023, "Motif overlay"): per motif, the attribution
of its sites against that of all other motifs' sites that overlap none of its own, by the
two-sample Kolmogorov–Smirnov statistic, whose sign says on which side the motif lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.genome.intervals import expand_ranges, overlap_pairs

__all__ = ["compare_enrichment", "motif_enrichment", "site_scores", "sites_in_regions"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BLOCK = 1 << 20


def sites_in_regions(sites: pd.DataFrame, regions: pd.DataFrame) -> pd.DataFrame:
    """Place motif sites of a genome in the regions that hold them whole.

    Both tables are 0-based and half-open (BED). The published script reads the BED start as
    1-based, which shifts every site by one base against its attribution; here base ``i`` of a
    region is ``start + i``.

    Parameters
    ----------
    sites : DataFrame
        chrom, start, end, name (the motif).
    regions : DataFrame
        chrom, start, end; the rows of the attributions.

    Returns
    -------
    DataFrame
        ``sequence`` (row of ``regions``), ``name``, ``start``, ``end`` (within the region). A site
        in two overlapping regions appears twice; the strand is ignored, and sites of one motif at
        one place count once.
    """
    sequence, site = overlap_pairs(regions, sites)
    left, right = (regions[side].to_numpy(np.int64)[sequence] for side in ("start", "end"))
    start, end = (sites[side].to_numpy(np.int64)[site] for side in ("start", "end"))
    whole = (start >= left) & (end <= right)
    table = pd.DataFrame(
        {
            "sequence": sequence[whole],
            "name": sites["name"].to_numpy()[site[whole]],
            "start": (start - left)[whole],
            "end": (end - left)[whole],
        }
    ).drop_duplicates()
    return table.sort_values(["sequence", "start", "end", "name"], ignore_index=True)


def site_scores(contributions: NDArray[np.float32], sites: pd.DataFrame, by: str = "max") -> Floats:
    """Attribution of each site.

    Parameters
    ----------
    contributions : ndarray, shape (n, length)
    sites : DataFrame
        ``sequence`` (row), ``start``, ``end`` within the sequence.
    by : {"max", "min", "mean"}
        ``max`` for gradients and DeepLIFT, ``min`` for mutagenesis (important bases have negative
        changes), as published.

    Returns
    -------
    ndarray of float64, shape (sites,)
    """
    if by not in ("max", "min", "mean"):
        raise InputError(f"sites are scored by 'max', 'min' or 'mean', found {by!r}")
    reduce: Any = {"max": np.max, "min": np.min, "mean": np.mean}[by]
    sequence = sites["sequence"].to_numpy(np.int64)
    start, end = sites["start"].to_numpy(np.int64), sites["end"].to_numpy(np.int64)
    if len(sites) and (start.min() < 0 or end.max() > contributions.shape[1]):
        raise ValueError("sites run off the sequences")
    scores = np.empty(len(sites))
    width = end - start
    for size in np.unique(width):
        rows = np.flatnonzero(width == size)
        for at in range(0, len(rows), _BLOCK // max(int(size), 1)):
            some = rows[at : at + _BLOCK // max(int(size), 1)]
            window = contributions[sequence[some, None], start[some, None] + np.arange(size)]
            scores[some] = reduce(window, axis=1)
    return scores


def motif_enrichment(sites: pd.DataFrame, scores: Floats, *, min_sites: int = 100) -> pd.DataFrame:
    """Kolmogorov–Smirnov test of each motif's sites against all others'.

    The background of a motif is every site of another motif that overlaps none of its own. With
    thousands of sites tiny shifts are significant: read ``auroc`` beside ``q``.

    Parameters
    ----------
    sites : DataFrame
        ``sequence``, ``start``, ``end``, ``name``.
    scores : ndarray, shape (sites,)
        From `site_scores`; NaN leaves a site out.
    min_sites : int
        Motifs with fewer sites are left out (they stay in the others' background).

    Returns
    -------
    DataFrame
        Sorted by ``d``, largest first: ``motif``, ``sites``, ``background`` (number of sites),
        ``d`` (Kolmogorov–Smirnov D, negative when the motif's mean rank is below the
        background's), ``auroc`` (chance that a site of the motif scores above a background site),
        ``median_shift`` (difference of medians), ``p``, ``q`` (Benjamini–Hochberg over motifs).
    """
    prepared = _prepare(sites, scores)
    kept = np.flatnonzero(prepared.counts >= min_sites)
    result = _with_q(_tested(prepared, scores, kept))
    return result.sort_values(["d", "motif"], ascending=False, ignore_index=True)


def compare_enrichment(
    sites: pd.DataFrame, scores_a: Floats, scores_b: Floats, *, min_sites: int = 100
) -> pd.DataFrame:
    """Enrichment in two models, and of the difference of their attributions (A − B).

    Parameters
    ----------
    sites : DataFrame
        Sites of the union of both models' regions.
    scores_a, scores_b : ndarray, shape (sites,)
        Attribution by each model; NaN where a region is not among that model's.

    Returns
    -------
    DataFrame
        ``motif``, then ``sites``, ``d``, ``auroc``, ``median_shift``, ``q`` with the suffixes
        ``_a``, ``_b`` and ``_difference``, for every motif with at least ``min_sites`` sites in
        A or B; sorted by ``d_difference``, largest first.
    """
    a, b = np.asarray(scores_a, np.float64), np.asarray(scores_b, np.float64)
    of_a = _prepare(sites, a)
    of_b = of_a if np.array_equal(of_a.known, np.isfinite(b)) else _prepare(sites, b)
    of_both = of_a if of_b is of_a else _prepare(sites, a - b)
    enough = set(of_a.names[of_a.counts >= min_sites]) | set(of_b.names[of_b.counts >= min_sites])
    result = pd.DataFrame({"motif": np.array(sorted(enough), dtype=object)})
    for suffix, prepared, scores in (
        ("a", of_a, a), ("b", of_b, b), ("difference", of_both, a - b),
    ):  # fmt: skip
        kept = np.flatnonzero(np.isin(prepared.names, list(enough)))
        one = _with_q(_tested(prepared, scores, kept))
        one = one[["motif", "sites", "d", "auroc", "median_shift", "q"]]
        result = result.merge(
            one.rename(columns={name: f"{name}_{suffix}" for name in one.columns[1:]}),
            how="left",
            on="motif",
        )
    return result.sort_values(["d_difference", "motif"], ascending=[False, True], ignore_index=True)


@dataclass(frozen=True)
class _Prepared:
    """Sites that have a score, by motif, with what of the others' overlaps each motif's own."""

    known: NDArray[np.bool_]  # among all sites
    names: NDArray[Any]
    counts: Ints
    by_motif: list[Ints]  # positions among the known sites
    overlapping: dict[int, Ints]


def _prepare(sites: pd.DataFrame, scores: Floats) -> _Prepared:
    known = np.isfinite(scores)
    table = sites[known]
    motif, found = pd.factorize(table["name"].astype(str), sort=True)
    motif = motif.astype(np.int64)
    counts = np.bincount(motif, minlength=len(found)).astype(np.int64)
    order = np.argsort(motif, kind="stable")
    by_motif = np.split(order, np.cumsum(counts)[:-1]) if len(counts) else []
    everyone = np.arange(len(counts))
    return _Prepared(
        known, np.asarray(found, object), counts, by_motif, _overlapping(table, motif, everyone)
    )


def _tested(prepared: _Prepared, scores: Floats, kept: Ints) -> pd.DataFrame:
    """The statistics of the kept motifs, without q."""
    from scipy.stats import kstwo

    values = np.asarray(scores, np.float64)[prepared.known]
    everything = np.sort(values)
    rows = []
    for number in kept:
        own = np.sort(values[prepared.by_motif[number]])
        excluded = np.sort(values[prepared.overlapping[int(number)]])
        total = len(everything) - len(own) - len(excluded)
        if total < 1:
            continue
        at_most = _background(everything, own, excluded, "right")
        below = _background(everything, own, excluded, "left")
        own_at_most = np.searchsorted(own, own, "right") / len(own)
        own_below = np.searchsorted(own, own, "left") / len(own)
        d = max(
            float((own_at_most - at_most / total).max()),
            float((below / total - own_below).max()),
        )
        auroc = float((below + at_most).sum() / 2 / total / len(own))
        effective = max(round(len(own) * total / (len(own) + total)), 1)
        shift = float(np.median(own)) - _background_median(everything, own, excluded)
        p = float(kstwo.sf(d, effective))
        sign = -1.0 if auroc < 0.5 else 1.0
        rows.append((prepared.names[number], len(own), total, sign * d, auroc, shift, p))
    columns = ["motif", "sites", "background", "d", "auroc", "median_shift", "p"]
    kinds = dict.fromkeys(columns, float) | {"motif": object, "sites": int, "background": int}
    return pd.DataFrame(rows, columns=columns).astype(kinds)


def _with_q(table: pd.DataFrame) -> pd.DataFrame:
    from scipy.stats import false_discovery_control

    if not len(table):
        return table.assign(q=pd.Series(dtype=float))
    return table.assign(q=false_discovery_control(table["p"].clip(0, 1)))


def _overlapping(table: pd.DataFrame, motif: Ints, kept: Ints) -> dict[int, Ints]:
    """For each kept motif the sites of other motifs that overlap at least one of its own."""
    result = {int(number): np.empty(0, np.int64) for number in kept}
    if not len(table):
        return result
    sequence = table["sequence"].to_numpy(np.int64)
    start, end = table["start"].to_numpy(np.int64), table["end"].to_numpy(np.int64)
    stride = int(end.max()) + int((end - start).max()) + 1
    begin, finish = sequence * stride + start, sequence * stride + end
    order = np.argsort(begin, kind="stable")
    ordered = begin[order]
    widest = int((end - start).max())
    wanted = np.zeros(int(motif.max()) + 1, bool)
    wanted[kept] = True
    mine = np.flatnonzero(wanted[motif])
    mine = mine[np.argsort(motif[mine], kind="stable")]
    found: dict[int, list[Ints]] = {number: [] for number in result}
    step = 200_000
    for at in range(0, len(mine), step):
        some = mine[at : at + step]
        low = np.searchsorted(ordered, begin[some] - widest, "right")
        high = np.searchsorted(ordered, finish[some], "left")
        position, which = expand_ranges(low, high)
        other, own = order[position], some[which]
        good = (finish[other] > begin[own]) & (motif[other] != motif[own])
        pairs = np.unique(motif[own[good]] * len(table) + other[good])
        number, site = np.divmod(pairs, len(table))
        splits = np.flatnonzero(np.diff(number)) + 1
        for group, sites in zip(np.split(number, splits), np.split(site, splits), strict=True):
            if len(group):
                found[int(group[0])].append(sites)
    for key, parts in found.items():
        if parts:
            result[key] = np.unique(np.concatenate(parts))
    return result


def _background(everything: Floats, own: Floats, excluded: Floats, side: str) -> Ints:
    """Number of background sites at or below ("right"), or below ("left"), each own score."""
    return np.asarray(
        np.searchsorted(everything, own, side)  # type: ignore[call-overload]
        - np.searchsorted(own, own, side)  # type: ignore[call-overload]
        - np.searchsorted(excluded, own, side)  # type: ignore[call-overload]
    )


def _background_median(everything: Floats, own: Floats, excluded: Floats) -> float:
    """Median of what is left of a sorted array when two sorted parts of it are taken out."""
    total = len(everything) - len(own) - len(excluded)
    taken = np.sort(np.concatenate([own, excluded]))

    def kth(k: int) -> float:
        low, high = 0, len(everything) - 1
        while low < high:
            middle = (low + high) // 2
            value = everything[middle]
            left = np.searchsorted(everything, value, "right") - np.searchsorted(
                taken, value, "right"
            )
            if left > k:
                high = middle
            else:
                low = middle + 1
        return float(everything[low])

    return (kth((total - 1) // 2) + kth(total // 2)) / 2
