"""Two models on the same sequences: whose attribution lies on which motifs.

Figure 3 of ChromTransfer (Salvatore et al. 2023): HepG2 against K562 (G), fine-tuned against
pre-trained (S5). Both models explain every sequence, so the difference is defined at every site;
take the union of the sequences that either calls positive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from cistransfer.figures import BOTH, DIVERGING, SKY, figure, finish, label_points, save
from cistransfer.genome.codes import N
from cistransfer.interpretation.attribute import attribute
from cistransfer.interpretation.enrichment import STEP as ENRICHMENT
from cistransfer.interpretation.enrichment import (
    compare_enrichment,
    draw_densities,
    draw_ecdfs,
    draw_enrichment,
    site_scores,
    sites_of,
)
from cistransfer.interpretation.sites import motif_sites
from cistransfer.interpretation.steps import Panel, Step
from cistransfer.interpretation.subject import browser_place
from cistransfer.models.bundle import Bundle
from cistransfer.models.score import score_codes
from cistransfer.motifs.logo import COLOURS, draw_letters
from cistransfer.motifs.pwm import PWM
from cistransfer.progress import bar
from cistransfer.storage import whole_file
from cistransfer.tables import write_tsv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cistransfer.interpretation.subject import Subject

__all__ = ["STEP", "TwoModels", "compare_attributions", "compare_models", "contrasting_loci"]

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_FOCUS = 3  # motifs of each end whose distributions are drawn
_SPAN = 120  # bp of a locus that are drawn as letters


@dataclass(frozen=True)
class TwoModels:
    """What two models see in the same sequences.

    Attributes
    ----------
    table : DataFrame
        One row per motif, from `cistransfer.interpretation.enrichment.compare_enrichment`:
        ``motif`` and ``sites``, ``d``, ``auroc``, ``median_shift``, ``q`` for A, B and A − B
        (suffixes ``_a``, ``_b``, ``_difference``), largest ``d_difference`` first.
    sites : DataFrame
        ``sequence``, ``name``, ``start``, ``end``, ``score_a``, ``score_b``, ``difference``.
    contributions_a, contributions_b : ndarray of float32, shape (n, length)
        Positive where a base speaks for the task (mutagenesis: minus the largest change).
    """

    table: pd.DataFrame
    sites: pd.DataFrame
    contributions_a: Floats
    contributions_b: Floats


def compare_models(
    model_a: nn.Module,
    model_b: nn.Module,
    codes: Codes,
    pwms: Sequence[PWM] = (),
    *,
    tasks: tuple[int, int] = (0, 0),
    method: str = "deeplift",
    on: str = "logit",
    references: str = "dinucleotide",
    both_strands: bool = False,
    sites: pd.DataFrame | None = None,
    p_value: float = 1e-5,
    min_sites: int = 100,
    seed: int = 0,
) -> TwoModels:
    """Attribute sequences by two models and compare the attributions at the sites of motifs.

    The published analysis is ``method="gradient-input", on="probability"``.

    Parameters
    ----------
    model_a, model_b : nn.Module
        One-hot ``(n, 4, length)`` → logits ``(n, tasks)``; handed back as they came.
    codes : ndarray of uint8, shape (n, length)
        The union of the sequences that either model calls positive.
    pwms : sequence of PWM
        Known motifs, whose sites are scanned for; not needed with ``sites``.
    tasks : two int
        Output of A and of B that is explained.
    method, on, references, both_strands, seed
        See `cistransfer.interpretation.attribute.attribute`.
    sites : DataFrame, optional
        ``sequence``, ``name``, ``start``, ``end``, instead of a scan.
    p_value : float
        Threshold of the scan.
    min_sites : int
        Sites that a motif needs.
    """
    found = motif_sites(codes, pwms, p_value=p_value) if sites is None else sites
    sign = -1 if method == "mutagenesis" else 1
    both = [
        sign
        * attribute(
            model, codes, method=method, task=task, on=on, references=references, seed=seed,
            both_strands=both_strands,
        ).contributions
        for model, task in zip((model_a, model_b), tasks, strict=True)
    ]  # fmt: skip
    return compare_attributions(both[0], both[1], found, min_sites=min_sites)


def compare_attributions(
    contributions_a: Floats,
    contributions_b: Floats,
    sites: pd.DataFrame,
    *,
    min_sites: int = 100,
) -> TwoModels:
    """Compare two models' attributions of the same sequences at the sites of motifs.

    A site's score is the largest contribution of its bases, as published; give mutagenesis with
    its sign turned (then it is the published minimum of the changes).

    Parameters
    ----------
    contributions_a, contributions_b : ndarray of float32, shape (n, length)
        Positive where a base speaks for the task; rows of NaN are left out for that model.
    sites : DataFrame
        ``sequence``, ``name``, ``start``, ``end``: from `motif_sites` or `read_sites` of
        `cistransfer.interpretation.sites`.
    min_sites : int
        Sites that a motif needs in A or in B.
    """
    if contributions_a.shape != contributions_b.shape:
        raise ValueError(
            f"attributions of shapes {contributions_a.shape} and {contributions_b.shape} are not "
            "of the same sequences"
        )
    a = site_scores(contributions_a, sites)
    b = site_scores(contributions_b, sites)
    table = compare_enrichment(sites, a, b, min_sites=min_sites)
    scored = sites[["sequence", "name", "start", "end"]].assign(
        score_a=a, score_b=b, difference=a - b
    )
    return TwoModels(table, scored, contributions_a, contributions_b)


def contrasting_loci(
    found: TwoModels, *, each: int = 2, q: float = 1e-3, motifs: int = 10
) -> pd.DataFrame:
    """Example sites: where A sees most more than B, and where B does, one per sequence.

    Only sites of the motifs most on that side (the ``motifs`` largest D of the difference, at
    ``q``) are taken, of different motifs where there are enough; of any motif when none is.

    Returns
    -------
    DataFrame
        Rows of ``found.sites``, the ``each`` largest differences first, then the ``each`` smallest.
    """
    table = found.table
    good = table[table["q_difference"] < q]
    parts = []
    taken: set[int] = set()
    for side in (1, -1):
        ranked = good[good["d_difference"] * side > 0]
        names = (ranked["d_difference"] * side).nlargest(motifs).index
        mine = found.sites
        if len(names):
            mine = mine[mine["name"].isin(set(ranked.loc[names, "motif"]))]
        mine = mine[np.isfinite(mine["difference"])]
        ordered = mine.iloc[np.argsort(-side * mine["difference"].to_numpy(), kind="stable")]
        ordered = ordered[~ordered["sequence"].isin(taken)].drop_duplicates("sequence")
        different = ordered.drop_duplicates("name")
        chosen = (different if len(different) >= each else ordered).head(each)
        taken |= set(chosen["sequence"])
        parts.append(chosen)
    return pd.concat(parts, ignore_index=True)


def _run(subject: Subject) -> dict[str, Any]:
    """Write ``comparison.tsv``, both models' attributions and the figures."""
    other = subject.other
    assert other is not None
    if subject.other_task is None:
        return {
            "note": f"not compared: none of the {len(other.tasks)} tasks of "
            f"{other.path} is {subject.tf}; name one with --other-task"
        }
    names = model_names(subject.bundle, subject.task, other, subject.other_task)
    with bar("scoring (other model)", len(subject.material.codes)) as running:
        logits = score_codes(other.model, subject.material.codes, tick=running.advance)
    of_a = subject.logits[:, subject.task] >= subject.bundle.thresholds[subject.task]
    of_b = logits[:, subject.other_task] >= other.thresholds[subject.other_task]
    rows = subject.sample(np.flatnonzero(of_a | of_b), subject.methods.max_sequences)
    codes = np.asarray(subject.material.codes[rows])
    sites, where, _ = sites_of(subject, rows)
    found = compare_models(
        subject.bundle.model, other.model, codes,
        tasks=(subject.task, subject.other_task), sites=sites,
        min_sites=subject.methods.min_sites, **subject.explain,
    )  # fmt: skip
    write_tsv(subject.out / "comparison.tsv", found.table)
    with (
        whole_file(subject.out / "comparison.npz") as temporary,
        open(temporary, "wb") as handle,
    ):
        np.savez_compressed(
            handle, codes=codes, contributions_a=found.contributions_a,
            contributions_b=found.contributions_b,
        )  # fmt: skip
    table = found.table
    summary: dict[str, Any] = {
        "a": names[0],
        "b": names[1],
        "sequences": len(rows),
        "positive_in_a": int(of_a[rows].sum()),
        "positive_in_b": int(of_b[rows].sum()),
        "sites": len(sites),
        "from": where,
        "motifs_tested": len(table),
        "significant_difference": int((table["q_difference"] < 1e-3).sum()),
        "more_in_a": _names_of(found, 1),
        "more_in_b": _names_of(found, -1),
    }
    if len(table):
        _draw(subject, found, names, codes, rows)
    else:
        summary["note"] = f"no motif has {subject.methods.min_sites} sites in {len(rows)} sequences"
    return summary


def _draw(
    subject: Subject,
    found: TwoModels,
    names: tuple[str, str],
    codes: NDArray[np.uint8],
    rows: NDArray[np.int64],
) -> None:
    table, sites = found.table, found.sites
    save(draw_two_models(table, names), subject.out / "comparison", BOTH)
    titles = {"a": names[0], "b": names[1], "difference": f"{names[0]} − {names[1]}"}
    ranked = {
        title: table.rename(columns={f"d_{suffix}": "d", f"q_{suffix}": "q"})[["motif", "d", "q"]]
        for suffix, title in titles.items()
    }
    save(draw_enrichment(ranked), subject.out / "comparison_ranks", BOTH)
    focus = list(dict.fromkeys([*table["motif"].head(_FOCUS), *table["motif"].tail(_FOCUS)]))
    scores = dict(
        zip(
            titles.values(),
            (sites[column].to_numpy() for column in ("score_a", "score_b", "difference")),
            strict=True,
        )
    )
    save(draw_ecdfs(sites, scores, focus), subject.out / "comparison_ecdf", BOTH)
    difference = scores[titles["difference"]]
    save(
        draw_densities(sites, difference, focus[:1] + focus[-1:], titles["difference"]),
        subject.out / "comparison_densities",
        BOTH,
    )
    loci = contrasting_loci(found)
    if len(loci):
        places = [
            f"{browser_place(subject.material.names[rows[at]])}: a site of {name}, more in "
            f"{names[0 if more > 0 else 1]}"
            for at, name, more in zip(
                loci["sequence"], loci["name"], loci["difference"], strict=True
            )
        ]
        drawn = draw_loci(
            codes, (found.contributions_a, found.contributions_b), loci, places, names
        )
        save(drawn, subject.out / "comparison_loci", BOTH)


def _names_of(found: TwoModels, side: int) -> list[str]:
    """The five motifs most on one side, of those that differ significantly."""
    table = found.table[found.table["q_difference"] < 1e-3]
    value = table["d_difference"] * side
    return [str(name) for name in table.loc[value[value > 0].nlargest(5).index, "motif"]]


def model_names(bundle: Bundle, task: int, other: Bundle, other_task: int) -> tuple[str, str]:
    """What figures call two models: their tasks where these differ, else their run folders."""
    tasks = [bundle.tasks[task], other.tasks[other_task]]
    if tasks[0] != tasks[1]:
        return tasks[0], tasks[1]
    names = []
    for each in (bundle, other):
        folder = each.path.resolve()
        names.append(folder.parent.name if folder.name == "bundle" else folder.name)
    if names[0] != names[1]:
        return names[0], names[1]
    return f"{names[0]} (A)", f"{names[1]} (B)"


def draw_two_models(
    table: pd.DataFrame, names: tuple[str, str], *, labels: int = 8, q: float = 1e-3
) -> Figure:
    """D in model A against D in model B, coloured by D of the difference (Figure 3G)."""
    made, (ax,) = figure(6.4, 5.5)
    some = table[(table["q_a"] < q) | (table["q_b"] < q)]
    limit = max(0.1, float(some["d_difference"].abs().fillna(0).max() if len(some) else 0))
    ax.axhline(0, color="0.85", linewidth=0.7, zorder=0)
    ax.axvline(0, color="0.85", linewidth=0.7, zorder=0)
    ax.axline((0, 0), slope=1, color="0.6", linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    order = np.argsort(some["d_difference"].abs().to_numpy(), kind="stable")
    drawn = some.iloc[order]
    dots = ax.scatter(
        drawn["d_b"], drawn["d_a"], c=drawn["d_difference"], cmap=DIVERGING, vmin=-limit,
        vmax=limit, s=24, edgecolor="0.3", linewidth=0.4,
    )  # fmt: skip
    bar = made.colorbar(dots, ax=ax, pad=0.02)
    bar.set_label(f"D of the difference, {names[0]} − {names[1]}", fontsize=8.5)
    bar.ax.tick_params(labelsize=7.5)
    values = some[["d_a", "d_b"]].to_numpy(float)
    if len(some):
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        margin = 0.1 * max(high - low, 0.1)
        ax.set_xlim(low - margin, high + margin)
        ax.set_ylim(low - margin, high + margin)
    ends = pd.concat(
        [some.nlargest(labels, "d_difference"), some.nsmallest(labels, "d_difference")]
    ).drop_duplicates("motif")
    title = f"{len(some):,} of {len(table):,} motifs have q < {q:g} in either model;\nabove the "
    title += f"dashed line: attribution lies on their sites more in {names[0]}"
    finish(ax, f"D in {names[1]}", f"D in {names[0]}", title)
    label_points(
        ax, ends["d_b"], ends["d_a"], ends["motif"].tolist(), avoid=(some["d_b"], some["d_a"])
    )
    return made


def draw_loci(
    codes: NDArray[np.uint8],
    contributions: tuple[NDArray[np.float32], NDArray[np.float32]],
    sites: pd.DataFrame,
    titles: Sequence[str],
    names: tuple[str, str],
) -> Figure:
    """Attribution by two models around one site each, A above B on one scale (Figure 3H).

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
    contributions : two ndarrays, shape (n, length)
        By model A and by model B.
    sites : DataFrame
        One row per locus: ``sequence`` (row), ``start``, ``end``, ``name``.
    titles : sequence of str
        One per locus.
    """
    length = codes.shape[1]
    span = min(_SPAN, length)
    rows = 2 * max(len(sites), 1)
    made, axes = figure(max(span / 11, 6), 1.05 + 0.3 / rows, rows=rows)
    for number, site in enumerate(sites.itertuples(index=False)):
        middle = (int(site.start) + int(site.end)) // 2
        left = int(np.clip(middle - span // 2, 0, length - span))
        shown = slice(left, left + span)
        pair = [values[site.sequence, shown] for values in contributions]
        low = min(0.0, *(float(values.min()) for values in pair))
        high = max(1e-9, *(float(values.max()) for values in pair))
        letters = codes[site.sequence, shown]
        known = np.flatnonzero(letters < N)
        for row, values in enumerate(pair):
            ax = axes[2 * number + row]
            heights = np.zeros((span, 4))
            heights[known, letters[known]] = values[known]
            draw_letters(ax, heights, COLOURS, first=left)
            ax.axvspan(site.start - 0.5, site.end - 0.5, color=SKY, alpha=0.18, linewidth=0)
            ax.set_ylim(low, low + 1.32 * (high - low))
            finish(ax, "", "", titles[number] if row == 0 else "")
            ax.annotate(
                names[row], (0.004, 0.97), xycoords="axes fraction", fontsize=8, va="top",
                color="0.25",
            )  # fmt: skip
            ax.tick_params(labelsize=7)
            ax.set_ylabel("contribution", fontsize=7)
            if row == 0:
                ax.set_xticklabels([])
                ax.annotate(
                    str(site.name), ((site.start + site.end - 1) / 2, 1),
                    xycoords=("data", "axes fraction"), fontsize=7.5, ha="center", va="top",
                    color="#0B5A8A",
                )  # fmt: skip
    axes[-1].set_xlabel("position in the window (bp)", fontsize=8.5)
    return made


def _words(told: Mapping[str, Any]) -> str:
    if "note" in told:
        return f"{told['note'][:1].upper()}{told['note'][1:]}."
    return (
        f"{told['a']} and {told['b']} on {told['sequences']:,} windows that either calls "
        f"positive. More in {told['a']}: {', '.join(told['more_in_a']) or 'none'}; more in "
        f"{told['b']}: {', '.join(told['more_in_b']) or 'none'} (q < 0.001)."
    )


STEP = Step(
    title="Two models compared",
    run=_run,
    words=_words,
    panels=(
        Panel("comparison", "Motifs in the two models; above the diagonal: more in the first."),
        Panel("comparison_ranks", "Motifs ranked in each model, and in the difference.", True),
        Panel("comparison_ecdf", "Attribution of the sites of single motifs, in each model.", True),
        Panel("comparison_densities", "Density of the difference of the attributions of sites."),
        Panel("comparison_loci", "Sites at which the two models differ most.", True),
    ),
    needs=("other", "motifs or hits"),
    check=ENRICHMENT.check,
)
