"""Which motifs' sites carry more attribution than the sites of other motifs.

The analysis of ChromTransfer (Salvatore et al. 2023, "Motif overlay"): per motif, the attribution
of its sites against that of all other motifs' sites that overlap none of its own, by the
two-sample Kolmogorov–Smirnov statistic, whose sign says on which side the motif lies.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.figures import (
    BLUE,
    FAINT,
    GREY,
    ORANGE,
    PALETTE,
    figure,
    finish,
    label_points,
)
from cistransfer.genome.intervals import expand_ranges, overlap_pairs
from cistransfer.interpretation.steps import Methods, Panel, Step
from cistransfer.motifs.pwm import PWM
from cistransfer.tables import write_tsv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cistransfer.interpretation.subject import Subject

__all__ = [
    "STEP",
    "compare_enrichment",
    "directions",
    "draw_ecdfs",
    "draw_enrichment",
    "motif_enrichment",
    "scan_p",
    "site_scores",
    "sites_in_regions",
    "sites_of",
    "untested",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BLOCK = 1 << 20
_Q = 1e-3  # as published
_CHANCE = 3  # times the sites that a motif needs are expected by chance
_DASHES = ("-", "-", (0, (5, 1.5)), (0, (1.5, 1)))
_SCANS = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4)
_FEW = 3  # sites from which the task's own motifs are tested


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


def site_scores(contributions: NDArray[np.float32], sites: pd.DataFrame) -> Floats:
    """Attribution of each site: the largest of its bases, as published.

    Parameters
    ----------
    contributions : ndarray, shape (n, length)
        Positive where a base speaks for the task (mutagenesis: sign turned).
    sites : DataFrame
        ``sequence`` (row), ``start``, ``end`` within the sequence.
    """
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
            scores[some] = window.max(axis=1)
    return scores


def motif_enrichment(
    sites: pd.DataFrame, scores: Floats, *, min_sites: int = 100, always: Collection[str] = ()
) -> pd.DataFrame:
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
        Motifs with fewer sites are left out (they stay in the others' background; see `untested`).
    always : collection of str
        Motifs that are tested from three sites on.

    Returns
    -------
    DataFrame
        Sorted by ``d``, largest first: ``motif``, ``sites``, ``background`` (number of sites),
        ``d`` (Kolmogorov–Smirnov D, negative when the motif's mean rank is below the
        background's), ``auroc`` (chance that a site of the motif scores above a background site),
        ``median_shift`` (difference of medians), ``p``, ``q`` (Benjamini–Hochberg over motifs).
    """
    prepared = _prepare(sites, scores)
    few = np.isin(prepared.names.astype(str), list(always)) & (prepared.counts >= _FEW)
    kept = np.flatnonzero((prepared.counts >= min_sites) | few)
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


def directions(table: pd.DataFrame, q: float = _Q) -> list[str]:
    """In words what each row of `motif_enrichment` found.

    ``enriched`` (attribution lies on the motif's sites), ``depleted`` (it lies beside them), or
    ``neither`` at q.
    """
    return [
        "neither" if not row.q < q else "enriched" if row.d > 0 else "depleted"
        for row in table.itertuples()
    ]


def scan_p(n: int, length: int, min_sites: int) -> float:
    """p-value of a scan at which chance gives a motif three times the sites that it needs.

    The strictest of 1e-5 (as published), 2e-5, 5e-5, 1e-4, 2e-4, 5e-4 in ``n`` sequences on both
    strands; 5e-4 where none does.
    """
    windows = 2 * n * length
    return next((p for p in _SCANS if windows * p >= _CHANCE * min_sites), _SCANS[-1])


def untested(
    sites: pd.DataFrame, tested: Collection[str], motifs: Sequence[PWM], needed: int, p: float
) -> pd.DataFrame:
    """The motifs that were not tested, and why.

    Returns
    -------
    DataFrame
        ``motif``, ``sites``, ``reason``; most sites first.
    """
    from cistransfer.motifs.hits import best_p

    counts = sites["name"].astype(str).value_counts().to_dict()
    widths = {pwm.label: pwm for pwm in motifs}
    rows = []
    for name in dict.fromkeys([*widths, *counts]):
        if name in tested:
            continue
        n = int(counts.get(name, 0))
        reason = f"{n} sites, fewer than {needed}"
        if not n and name in widths and (best := best_p(widths[name])) > p:
            reason = f"too short or too vague: its best site has p = {best:.1g}, above {p:g}"
        elif n >= needed:
            reason = "every other site overlaps one of its own"
        rows.append((name, n, reason))
    table = pd.DataFrame(rows, columns=["motif", "sites", "reason"])
    return table.sort_values(["sites", "motif"], ascending=[False, True], ignore_index=True)


def sites_of(subject: Subject, rows: Ints) -> tuple[pd.DataFrame, str, float]:
    """Motif sites in some of the sequences: a user's, or scanned; words for the summary; p."""
    from cistransfer.interpretation.sites import motif_sites, read_sites

    asked = subject.methods
    if asked.hits is not None:
        p = asked.hit_p or _SCANS[0]
        if subject.material.regions is None:
            raise InputError("--hits needs sequences with places: --regions or --examples")
        return *read_sites(asked.hits, subject.material.regions.iloc[rows], p_value=p), p
    codes = np.asarray(subject.material.codes[rows])
    p = asked.hit_p or scan_p(len(codes), codes.shape[1], asked.min_sites)
    return motif_sites(codes, subject.motifs, p_value=p), f"hits at p ≤ {p:g}", p


def own_names(subject: Subject) -> set[str]:
    """What sites of the task's own motifs are called."""
    return {pwm.label for pwm in subject.motifs if pwm.name in subject.own_motifs}


def _check(methods: Methods) -> None:
    from cistransfer.interpretation.sites import check_sites

    if methods.hits is not None:
        check_sites(methods.hits)


def _run(subject: Subject) -> dict[str, Any]:
    """Write ``enrichment.tsv``, ``untested.tsv`` and the figures."""
    attributed, needed = subject.attributed, subject.methods.min_sites
    sites, where, p = sites_of(subject, attributed.rows)
    strength = site_scores(attributed.strength, sites)
    own = own_names(subject)
    table = motif_enrichment(sites, strength, min_sites=needed, always=own)
    table.insert(1, "direction", directions(table))
    table.insert(2, "own", table["motif"].isin(own))
    left = untested(sites, set(table["motif"]), subject.motifs, needed, p)
    write_tsv(subject.out / "enrichment.tsv", table)
    write_tsv(subject.out / "untested.tsv", left)
    found = {
        word: table[table["direction"] == word].sort_values(
            ["d", "motif"], ascending=[word == "depleted", True]
        )
        for word in ("enriched", "depleted")
    }
    summary: dict[str, Any] = {
        "sequences": len(attributed.rows),
        "sites": len(sites),
        "from": where,
        "motifs_tested": len(table),
        "untested": len(left),
        "enriched": len(found["enriched"]),
        "depleted": len(found["depleted"]),
        "most_enriched": [str(name) for name in found["enriched"]["motif"][:5]],
        "most_depleted": [str(name) for name in found["depleted"]["motif"][:5]],
        "own": [
            {"motif": row.motif, "direction": row.direction, "sites": int(row.sites),
             "d": float(row.d), "q": float(row.q)}
            for row in table[table["own"]].itertuples()
        ]
        + [
            {"motif": row.motif, "direction": f"not tested: {row.reason}", "sites": int(row.sites)}
            for row in left[left["motif"].isin(own)].itertuples()
        ],
    }  # fmt: skip
    if not len(table):
        most = int(sites["name"].value_counts().max()) if len(sites) else 0
        summary["note"] = (
            f"no motif has {needed} sites in {len(attributed.rows)} sequences (the most is {most})"
            ": use more sequences (--max-sequences), a milder scan (--hit-p) or fewer sites "
            "(--min-sites)"
        )
        return summary
    subject.draw(draw_enrichment({"": table}), "enrichment", table)
    mine = table[table["own"]]["motif"].head(2)
    ends = [*mine, *found["enriched"]["motif"].head(3), *found["depleted"]["motif"].head(2)]
    named = list(dict.fromkeys(ends or table["motif"].head(3)))
    subject.draw(draw_ecdfs(sites, {"": strength}, named), "ecdf")
    subject.draw(draw_densities(sites, strength, list(mine)), "densities")
    return summary


def _words(told: Mapping[str, Any]) -> str:
    if "note" in told:
        return f"{told['note'][:1].upper()}{told['note'][1:]}."
    text = f"{told['motifs_tested']:,} motifs tested on {told['sites']:,} sites ({told['from']})"
    if "most_enriched" not in told:  # written before directions were told
        return f"{text}; {told['significant']:,} at q < 0.001."
    if told["untested"]:
        text += f", {told['untested']:,} had too few sites (untested.tsv)"
    for word in ("enriched", "depleted"):
        names = ", ".join(told[f"most_{word}"])
        text += f"; {told[word]:,} {word} at q < 0.001" + (f", most {names}" if names else "")
    mine = [
        f"{row['motif']} {row['direction']}" + (f" (D {row['d']:+.2f})" if "d" in row else "")
        for row in told["own"]
    ]
    return text + "." + (f" The task's own: {', '.join(mine)}." if mine else "")


def draw_enrichment(
    tables: Mapping[str, pd.DataFrame], *, labels: int = 6, q: float = 1e-3
) -> Figure:
    """Motifs ranked by D, the ends named, one panel per table (Salvatore et al., Figure S4).

    Parameters
    ----------
    tables : dict of str to DataFrame
        Title to a table with ``motif``, ``d``, ``q``; motifs at ``q`` or above are grey.
    labels : int
        Names at each end, at most.
    """
    made, axes = figure(5.4, 4.7, columns=len(tables))
    drawn = []
    for ax, (title, table) in zip(axes, tables.items(), strict=True):
        ordered = table.sort_values(["d", "motif"], ascending=[False, True], ignore_index=True)
        good = (ordered["q"] < q).to_numpy()
        d = ordered["d"].to_numpy(float)
        rank = np.arange(1, len(ordered) + 1)
        ax.axhline(0, color="0.6", linewidth=0.7)
        for which, colour in ((~good, FAINT), (good & (d > 0), ORANGE), (good & (d < 0), BLUE)):
            ax.scatter(rank[which], d[which], c=colour, s=12, linewidth=0)
        top, bottom = np.flatnonzero(good & (d > 0)), np.flatnonzero(good & (d < 0))
        ends = np.concatenate([top[:labels], bottom[::-1][:labels]])
        ax.margins(0.06)
        ax.locator_params(axis="x", integer=True)
        says = f"{len(top)} enriched, {len(bottom)} depleted of {len(ordered):,} motifs tested"
        finish(
            ax, "rank of the motif", "D (above 0: enriched, below: depleted)",
            f"{title}: {says}" if title else f"Attribution at sites of known motifs:\n{says}",
            size=9,
        )  # fmt: skip
        drawn.append((ax, rank, d, ends, ordered["motif"]))
    axes[-1].annotate(
        f"grey: q ≥ {q:g}", (1, 1), xycoords="axes fraction", fontsize=7.5, color="0.4",
        ha="right", va="top",
    )  # fmt: skip
    for ax, rank, d, ends, motifs in drawn:
        label_points(ax, rank[ends], d[ends], motifs.iloc[ends].tolist(), avoid=(rank, d))
    return made


def draw_ecdfs(
    sites: pd.DataFrame, scores: Mapping[str, Floats], motifs: Sequence[str], *, max_motifs: int = 8
) -> Figure:
    """Cumulative distribution of the attribution of some motifs' sites, against all sites'.

    Parameters
    ----------
    sites : DataFrame
        With ``name``, the motif.
    scores : dict of str to ndarray, shape (sites,)
        One panel each; NaN leaves a site out.
    motifs : sequence of str
        The first ``max_motifs`` are drawn.
    """
    made, axes = figure(4.6, 4.3, columns=len(scores))
    names = sites["name"].astype(str).to_numpy()
    for ax, (title, values) in zip(axes, scores.items(), strict=True):
        known = np.isfinite(values)
        low, high = (values[known].min(), values[known].max()) if known.any() else (0, 1)
        for number, name in enumerate([None, *motifs[:max_motifs]]):
            mine = values[known & (names == name)] if name is not None else values[known]
            ax.step(
                np.concatenate([[low], np.sort(mine), [high]]),
                np.concatenate([[0], np.arange(1, len(mine) + 1) / max(len(mine), 1), [1]]),
                where="post",
                color=GREY if name is None else PALETTE[(number - 1) % len(PALETTE)],
                linestyle=_DASHES[number % len(_DASHES)],  # equal curves: both are seen
                linewidth=2.4 if name is None else 1.5, rasterized=len(mine) > 20_000,
                label=f"{'all sites' if name is None else name} ({len(mine):,})",
            )  # fmt: skip
        shown = np.quantile(values[known], [0.002, 0.998]) if known.any() else (0, 1)
        ax.set_xlim(shown[0], shown[1] if shown[1] > shown[0] else shown[0] + 1)
        finish(
            ax, "attribution of the site (largest of its bases)", "share of sites at or below",
            title or "Attribution of sites by motif\n(right of grey: more than at other sites)",
        )  # fmt: skip
    handles, texts = axes[0].get_legend_handles_labels()
    made.legend(handles, texts, frameon=False, fontsize=8, loc="outside right center")
    return made


def draw_densities(
    sites: pd.DataFrame, scores: Floats, motifs: Sequence[str], title: str = ""
) -> Figure:
    """Density of the attribution of all sites, and of some motifs' (as ChromTransfer drew)."""
    made, (ax,) = figure(5.2, 3.4)
    names = sites["name"].astype(str).to_numpy()
    known = np.isfinite(scores)
    low, high = np.quantile(scores[known], [0.002, 0.998]) if known.any() else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, 31)
    for i, name in enumerate([None, *motifs]):
        mine = scores[known if name is None else known & (names == name)]
        share, _ = np.histogram(mine.clip(edges[0], edges[-1]), edges, density=True)
        ax.stairs(
            share, edges, color=GREY if name is None else PALETTE[(i - 1) % len(PALETTE)],
            fill=name is None, alpha=0.5 if name is None else 1, linewidth=1.4,
            label=f"{'all sites' if name is None else name} ({len(mine):,})",
        )  # fmt: skip
    ax.legend(frameon=False, fontsize=8)
    finish(
        ax, "attribution of the site (largest of its bases; ends: all beyond)", "density",
        title or "Attribution of sites: all, and those of single motifs",
    )  # fmt: skip
    return made


STEP = Step(
    title="Motifs under the attribution",
    run=_run,
    words=_words,
    panels=(
        Panel("enrichment", "Motifs ranked by how far attribution lies on their sites."),
        Panel("ecdf", "Attribution of the sites of single motifs."),
        Panel("densities", "Density of the attribution of sites."),
    ),
    needs=("motifs or hits",),
    check=_check,
)
