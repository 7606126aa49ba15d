"""Steps that look at the model: filters, influence, refinement, marginal effects, spacing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.figures import BOTH, save
from cistransfer.interpretation import figures
from cistransfer.interpretation.filters import (
    FilterMotifs,
    annotate_filters,
    correct_sequences,
    filter_motifs,
)
from cistransfer.interpretation.influence import filter_influence
from cistransfer.interpretation.marginal import marginal_effects, neutral_sequences, spacing_effects
from cistransfer.interpretation.refinement import count_resembling, refine
from cistransfer.interpretation.shared import Run
from cistransfer.models.bundle import Bundle
from cistransfer.motifs.files import write_meme
from cistransfer.progress import bar
from cistransfer.tables import write_tsv

__all__ = [
    "write_filters",
    "write_influence",
    "write_marginal",
    "write_refinement",
    "write_spacing",
]


_REFINED_SHOWN = 10  # filters drawn before and after


def _right(run: Run) -> NDArray[np.int64]:
    """Rows that the model gets right; all when there are no labels or none is right."""
    labels = run.material.labels
    if labels is not None and (labels >= 0).any():
        rows = np.flatnonzero(correct_sequences(run.logits, labels, run.bundle.thresholds))
        if len(rows):
            return rows
    return np.arange(len(run.material.codes))


def filter_table(run: Run) -> tuple[FilterMotifs, pd.DataFrame]:
    """Motifs of the filters, and what is known of each."""
    rows = run.sample(_right(run), 50_000)
    with bar("filters", 2 * len(rows)) as running:
        codes = np.asarray(run.material.codes[rows])
        motifs = filter_motifs(run.bundle.model, codes, tick=running.advance)
    return motifs, annotate_filters(motifs, run.targets, seed=run.seed)


def write_filters(run: Run, motifs: FilterMotifs, table: pd.DataFrame) -> dict[str, Any]:
    """Write ``filters.tsv``, ``filters.meme`` and their logos."""
    write_tsv(run.out / "filters.tsv", table)
    write_meme(run.out / "filters.meme", motifs.pwms)
    by_number = dict(zip(motifs.filters.tolist(), motifs.pwms, strict=True))
    ordered = table[table["filter"].isin(by_number)].sort_values(
        ["q", "information"], ascending=[True, False]
    )
    titles = [
        f"filter {row.filter}" + (f": {row.match_name or row.match}" if row.significant else "")
        for row in ordered.itertuples()
    ]
    pwms = [by_number[number] for number in ordered["filter"]]
    save(figures.draw_logos(pwms, titles), run.out / "filters", BOTH)
    return {
        "sequences": motifs.sequences,
        "filters": len(table),
        "with_sites": len(motifs.pwms),
        "resembling_a_known_motif": int(table["significant"].sum()),
    }


def write_influence(run: Run, table: pd.DataFrame) -> dict[str, Any]:
    """Write ``influence.tsv`` and its figure."""
    rows = run.sample(np.arange(len(run.material.codes)), run.most)
    with bar("influence", len(rows)) as running:
        influence = filter_influence(
            run.bundle.model, np.asarray(run.material.codes[rows]), tick=running.advance
        )
    wide = pd.DataFrame(influence, columns=list(run.bundle.tasks))
    ranked = pd.DataFrame(
        {
            "filter": np.arange(len(influence)),
            "influence": influence[:, run.task],
            "influence_max": influence.max(axis=1),
            "influence_mean": influence.mean(axis=1),
        }
    ).merge(table, on="filter")
    write_tsv(run.out / "influence.tsv", pd.concat([ranked, wide], axis=1))
    save(figures.draw_influence(ranked), run.out / "influence", BOTH)
    top = ranked.nlargest(5, "influence")
    return {
        "sequences": len(rows),
        "most_influential": [
            {
                "filter": int(row.filter),
                "influence": float(row.influence),
                "match": row.match_name if row.significant else "",
            }
            for row in top.itertuples()
        ],
    }


def write_refinement(run: Run, trunk: Bundle) -> dict[str, Any]:
    """Write ``refinement.tsv`` and the logos before and after."""
    if trunk.window != run.bundle.window:
        raise InputError(
            f"{trunk.path}: reads {trunk.window} bp; the model reads {run.bundle.window} bp"
        )
    rows = run.sample(_right(run), 20_000)
    trunk.model.to(next(run.bundle.model.parameters()).device)
    result = refine(
        trunk.model,
        run.bundle.model,
        np.asarray(run.material.codes[rows]),
        run.targets,
        seed=run.seed,
    )
    write_tsv(run.out / "refinement.tsv", result.table)
    before = dict(zip(result.before.filters.tolist(), result.before.pwms, strict=True))
    after = dict(zip(result.after.filters.tolist(), result.after.pwms, strict=True))
    both = result.table[result.table["filter"].isin(before) & result.table["filter"].isin(after)]
    moved = both.assign(named=both["significant_after"] | both["significant_before"]).sort_values(
        ["named", "motif_correlation"], ascending=[False, True]
    )[:_REFINED_SHOWN]

    def title(row: Any, suffix: str) -> str:
        q = getattr(row, f"q_{suffix}")
        name = getattr(row, f"match_name_{suffix}") or getattr(row, f"match_{suffix}")
        shown = f": {name} (q = {q:.1g})" if name and q == q else ""
        return f"filter {row.filter} {suffix}{shown}"

    save(
        figures.draw_refinement(
            [before[number] for number in moved["filter"]],
            [after[number] for number in moved["filter"]],
            [(title(row, "before"), title(row, "after")) for row in moved.itertuples()],
        ),
        run.out / "refinement",
        BOTH,
    )
    return {
        "trunk": str(trunk.path),
        "median_weight_change": float(result.table["weight_change"].median()),
        "filters_resembling_the_task": count_resembling(result.table, run.bundle.tasks[run.task]),
    }


def _background(run: Run) -> NDArray[np.uint8]:
    rows = run.sample(np.arange(len(run.material.codes)), 1_000)
    return neutral_sequences(np.asarray(run.material.codes[rows]), run.neutral, seed=run.seed)


def write_marginal(run: Run) -> dict[str, Any]:
    """Write ``marginal.tsv`` and its figure."""
    usable = [pwm for pwm in run.targets if pwm.width <= run.bundle.window]
    table = marginal_effects(run.bundle.model, _background(run), usable, task=run.task)
    table = table.sort_values("effect", ascending=False, ignore_index=True)
    write_tsv(run.out / "marginal.tsv", table)
    save(figures.draw_marginal(table), run.out / "marginal", BOTH)
    return {
        "motifs": len(table),
        "top": [
            {"motif": row.name or row.motif, "effect": float(row.effect)}
            for row in table.head(5).itertuples(index=False)
        ],
    }


def write_spacing(run: Run, pair: tuple[str, str]) -> dict[str, Any]:
    """Write ``spacing.tsv`` and its figure."""
    chosen = []
    for name in pair:
        matches = [
            pwm for pwm in run.targets if name.upper() in (pwm.name.upper(), pwm.alt_name.upper())
        ]
        if not matches:
            known = {pwm.alt_name or pwm.name for pwm in run.targets}
            raise InputError(f"no motif {name!r} among the known ones; {nearest(name, known)}")
        chosen.append(matches[0])
    table = spacing_effects(run.bundle.model, _background(run), chosen[0], chosen[1], task=run.task)
    write_tsv(run.out / "spacing.tsv", table)
    names = [pwm.alt_name or pwm.name for pwm in chosen]
    save(figures.draw_spacing(table, *names), run.out / "spacing", BOTH)
    best = table.loc[table["interaction"].idxmax()]
    return {
        "pair": names,
        "largest_interaction": float(best["interaction"]),
        "at": {key: best[key] for key in ("side", "orientation")} | {"gap": int(best["gap"])},
    }
