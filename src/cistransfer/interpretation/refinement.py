"""What fine-tuning did to the filters: the same filter before and after."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from cistransfer.errors import InputError
from cistransfer.figures import figure
from cistransfer.interpretation.figures import draw_logos
from cistransfer.interpretation.filters import (
    FilterMotifs,
    annotate_filters,
    filter_motifs,
    needs_tomtom,
    right_rows,
)
from cistransfer.interpretation.influence import influence_table
from cistransfer.interpretation.layers import first_convolution
from cistransfer.interpretation.steps import Panel, Step
from cistransfer.models.score import score_features
from cistransfer.motifs.logo import draw_logo
from cistransfer.motifs.pwm import PWM, information_content
from cistransfer.tables import write_tsv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cistransfer.interpretation.subject import Subject

__all__ = ["STEP", "Refinement", "count_resembling", "refine"]

Codes = NDArray[np.uint8]

_MAX_SEQUENCES = 20_000
_SHOWN = 10  # filters drawn before and after
_MOVED = 1e-6  # least change of a filter, relative to its length


@dataclass(frozen=True)
class Refinement:
    """Filters of a model and of the trunk that it was fine-tuned from.

    Attributes
    ----------
    table : DataFrame
        One row per filter: ``filter``, ``weight_change`` (length of the weights' change over
        their length before), ``weight_cosine``, ``motif_correlation`` (Pearson, of the two
        probability matrices), and with the suffixes ``_before`` and ``_after`` ``sites``,
        ``information``, ``flat``, ``consensus``, ``match``, ``match_name``, ``q``, ``significant``.
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
    columns = [
        "sites",
        "information",
        "flat",
        "consensus",
        "match",
        "match_name",
        "q",
        "significant",
    ]
    for suffix, found in zip(("before", "after"), motifs, strict=True):
        named = annotate_filters(found, targets, q=q, seed=seed)[["filter", *columns]]
        table = table.merge(
            named.rename(columns={column: f"{column}_{suffix}" for column in columns}), on="filter"
        )
    return Refinement(motifs[0], motifs[1], table)


def count_resembling(table: pd.DataFrame, own: Collection[str]) -> dict[str, int]:
    """How many filters resemble a TF's motif most and significantly, before and after.

    ``own`` has the names of its motifs (`cistransfer.motifs.names.motifs_of`).
    """
    return {
        suffix: int(
            (table[f"match_{suffix}"].isin(set(own)) & table[f"significant_{suffix}"]).sum()
        )
        for suffix in ("before", "after")
    }


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


def _run(subject: Subject) -> dict[str, Any]:
    """Write ``refinement.tsv``, and the logos before and after or what the head weighs."""
    assert subject.other is not None
    trunk = subject.bundle.card.trunk
    named = "refinement" in subject.methods.methods
    if trunk is not None and trunk.weights != subject.other.card.weights and not named:
        return {
            "note": f"{subject.other.path} is not the trunk that this model was fine-tuned from; "
            "--methods refinement compares their filters all the same"
        }
    rows = subject.sample(right_rows(subject), _MAX_SEQUENCES)
    codes = np.asarray(subject.material.codes[rows])
    result = refine(
        subject.other.model, subject.bundle.model, codes, subject.motifs, seed=subject.seed
    )
    write_tsv(subject.out / "refinement.tsv", result.table)
    moved = int((result.table["weight_change"] > _MOVED).sum())
    summary: dict[str, Any] = {
        "trunk": str(subject.other.path),
        "sequences": len(rows),
        "filters": len(result.table),
        "moved": moved,
        "median_weight_change": float(result.table["weight_change"].median()),
        "filters_resembling_the_task": count_resembling(result.table, subject.own_motifs),
    }
    if subject.scratch is not None:
        found = filter_motifs(subject.scratch.model, codes)
        named = annotate_filters(found, subject.motifs, seed=subject.seed)
        write_tsv(subject.out / "scratch_filters.tsv", named)
        mine = named["match"].isin(subject.own_motifs) & named["significant"]
        summary["filters_resembling_the_task"]["scratch"] = int(mine.sum())
    if moved:
        subject.draw(_pairs(result), "refinement", result.table)
        return summary
    strategy = subject.bundle.card.strategy.name
    summary["note"] = (
        f"no first-layer filter differs from the trunk's: the strategy {strategy} does not train "
        "them, so nothing could be refined; shown instead is which of them the model uses"
    )
    return summary | {"head": _head(subject, result, codes)}


def _head(subject: Subject, result: Refinement, codes: Codes) -> dict[str, Any]:
    """Where no filter moved: what the head makes of the trunk's features and of the motifs."""
    features = score_features(subject.bundle.model, codes).astype(np.float64)
    head: Any = subject.bundle.model.head
    weights = head.weight.detach().float().cpu().numpy()[subject.task].astype(np.float64)
    motifs = subject.bundle.model.motifs
    first = features.shape[1] - (0 if motifs is None else motifs.n_features)
    parts = {"trunk": slice(0, first), "motifs": slice(first, None)}
    spread = {
        name: float((features[:, part] @ weights[part]).std())
        for name, part in parts.items()
        if len(weights[part])
    }
    table, _ = influence_table(subject)
    write_tsv(subject.out / "head.tsv", table)
    top = table[table["filter"].isin(result.after.filters)].nlargest(_SHOWN, "influence")
    pwms = dict(zip(result.after.filters.tolist(), result.after.pwms, strict=True))
    titles = [
        f"filter {row.filter}, influence {row.influence:.1g}"
        + (f": {row.match_name or row.match}" if row.significant else "")
        for row in top.itertuples()
    ]
    drawn = draw_logos([pwms[number] for number in top["filter"]], titles, columns=3)
    drawn.suptitle(
        f"No filter moved. The {len(top)} of the trunk's {len(table)} filters that this model "
        "uses most:",
        fontsize=8.5, x=0.01, ha="left",
    )  # fmt: skip
    subject.draw(drawn, "refinement", table)
    return {
        "sd_of_the_logit_by": spread,
        "most_used": [
            {"filter": int(row.filter), "influence": float(row.influence),
             "match": row.match_name if row.significant else ""}
            for row in top.head(5).itertuples()
        ],
    }  # fmt: skip


def _pairs(result: Refinement) -> Figure:
    """The filters that moved, before and after: named ones first, then those that moved most."""
    before = dict(zip(result.before.filters.tolist(), result.before.pwms, strict=True))
    after = dict(zip(result.after.filters.tolist(), result.after.pwms, strict=True))
    table = result.table
    both = table[table["filter"].isin(before) & table["filter"].isin(after)]
    both = both[both["weight_change"] > _MOVED]
    shown = both.assign(named=both["significant_after"] | both["significant_before"]).sort_values(
        ["named", "motif_correlation"], ascending=[False, True]
    )[:_SHOWN]

    def title(row: Any, suffix: str) -> str:
        if not getattr(row, f"significant_{suffix}"):
            return f"filter {row.filter} {suffix}: resembles no known motif"
        name = getattr(row, f"match_name_{suffix}") or getattr(row, f"match_{suffix}")
        return f"filter {row.filter} {suffix}: {name} (q = {getattr(row, f'q_{suffix}'):.1g})"

    made = draw_refinement(
        [before[number] for number in shown["filter"]],
        [after[number] for number in shown["filter"]],
        [(title(row, "before"), title(row, "after")) for row in shown.itertuples()],
    )
    made.suptitle(
        f"{len(shown)} of the {len(both)} filters that moved, named ones first; left before, right "
        "after fine-tuning",
        fontsize=8.5, x=0.01, ha="left",
    )  # fmt: skip
    return made


def draw_refinement(
    before: Sequence[PWM], after: Sequence[PWM], titles: Sequence[tuple[str, str]]
) -> Figure:
    """The same filters before (left) and after (right) fine-tuning."""
    rows = max(len(before), 1)
    made, axes = figure(3.6, 1.2 + 0.3 / rows, rows=rows, columns=2)
    highest = max((float(information_content(p).max()) for p in [*before, *after]), default=2.0)
    top = 2.0 if highest > 1 else 1.0
    for row, (one, other, title) in enumerate(zip(before, after, titles, strict=True)):
        for column, (pwm, text) in enumerate(zip((one, other), title, strict=True)):
            ax = axes[2 * row + column]
            draw_logo(ax, pwm)
            ax.set_ylim(0, top)
            ax.set_title(text, fontsize=7.5, loc="left", pad=2)
            ax.set_xticks([])
            ax.set_ylabel("bits" if column == 0 else "", fontsize=7)
            ax.tick_params(labelsize=6)
    return made


def _words(told: Mapping[str, Any]) -> str:
    if "filters_resembling_the_task" not in told:
        return f"Not asked: {told['note']}."
    counts = told["filters_resembling_the_task"]
    text = (
        f"Filters that resemble the target's motif: {counts['before']} before, "
        f"{counts['after']} after"
    )
    if "scratch" in counts:
        text += f", {counts['scratch']} from scratch"
    if "note" not in told:
        return f"{text}; median change of their weights {100 * told['median_weight_change']:.0f} %."
    spread = told["head"]["sd_of_the_logit_by"]
    words = {"trunk": "by the trunk's features", "motifs": "by the motifs given beside it"}
    by = ", ".join(f"{value:.2g} {words[name]}" for name, value in spread.items())
    note = f"{told['note'][:1].upper()}{told['note'][1:]}"
    return f"{note}. {text}. Standard deviation of the logit: {by}."


STEP = Step(
    title="What fine-tuning changed",
    run=_run,
    words=_words,
    panels=(
        Panel(
            "refinement",
            "The same filters before (left) and after (right) fine-tuning; where none moved, "
            "those that the model uses most.",
        ),
    ),
    needs=("other", "motifs"),
    check=needs_tomtom,
)
