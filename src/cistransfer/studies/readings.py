"""Steps that read: a matrix, how alike TFs bind, how a model learned and what, how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cistransfer.studies.steps import Measured, Work, matrix_of, step

__all__ = ["compared", "cosine", "count", "history", "learned", "reliability"]

_SURE = 0.05  # q of a match with a known motif


@step("count")
def count(work: Work, *, matrix: Path, rule: str = "sparse") -> list[Measured]:
    """Count what a binding matrix holds: regions, cells, TFs, and states of a view of it."""
    import numpy as np

    from cistransfer.binding.matrix import open_matrix

    opened = open_matrix(matrix_of(matrix))
    bound = unbound = few = 0
    for tf in opened.tfs:
        states = opened.states(tf, rule=rule)
        ones = int(np.count_nonzero(states == 1))
        bound, few = bound + ones, few + (ones <= 500)
        unbound += int(np.count_nonzero(states == 0))
    every = len(opened) * len(opened.tfs)
    found = {
        "regions": len(opened),
        "cells": len(opened.cells),
        "tfs": len(opened.tfs),
        "bound": bound,
        "unbound": unbound,
        "unresolved": every - bound - unbound,
        "bound_of_resolved": bound / max(bound + unbound, 1),
        "tfs_with_few": few,
    }
    return [Measured(name, float(value)) for name, value in found.items()]


@step("cosine")
def cosine(
    work: Work, *, matrix: Path, modes: Path | None = None, partners: Path | None = None
) -> list[Measured]:
    """How alike each two TFs bind (less-sparse, as the published code; without TFBS peaks-only).

    The item is the two TFs. With ``modes`` the part says whether they share a binding mode
    (``same`` or ``other``); with a table of ``partners`` whether their score is 0.9 or more
    (``partners`` or ``rest``), of TFs that it names.
    """
    import math

    from cistransfer.binding.facts.cobinding import binding_vectors, cobinding
    from cistransfer.binding.matrix import open_matrix
    from cistransfer.relatives.partners import HIGHEST, read_pairs
    from cistransfer.relatives.read_modes import read_modes

    opened = open_matrix(matrix_of(matrix))
    alike = cobinding(binding_vectors(opened))
    known = None if modes is None else read_modes(modes, list(opened.tfs))
    scored = None if partners is None else read_pairs(partners, list(opened.tfs))
    found = []
    for b, second in enumerate(alike.tfs):
        for a, first in enumerate(alike.tfs[:b]):
            value = float(alike.cosine[a, b])
            if math.isnan(value):
                continue
            pair = f"{first} {second}"
            found.append(Measured("cosine", value, "test", pair))
            if known is not None:
                shared = known.of(first) & known.of(second)
                found.append(Measured("cosine", value, "same" if shared else "other", pair))
            if scored is not None and {first.upper(), second.upper()} <= set(scored.found):
                score = scored.of(first).get(second.upper())
                close = score is not None and score >= HIGHEST
                found.append(Measured("cosine", value, "partners" if close else "rest", pair))
    return found


@step("learned")
def learned(
    work: Work,
    *,
    model: Path | str,
    examples: Path | None = None,
    motifs: Path,
    methods: Sequence[str] = ("filters",),
    task: str | None = None,
    max_sequences: int | None = None,
    seed: int = 0,
) -> list[Measured]:
    """Count the filters (and, with attributions, the patterns) of a model that are known motifs.

    ``share`` is that of the filters with sites which resemble a motif at q of at most 0.05, or of
    the patterns; ``like`` counts them by TF (the item). The part is the method. Patterns are of one
    ``task``, by default the model's first; filters are of all.
    """
    from cistransfer.api.explain import interpret
    from cistransfer.api.learn import open_bundle

    options: dict[str, Any] = {} if max_sequences is None else {"max_sequences": max_sequences}
    found = interpret(
        model,
        examples,
        out=work.folder / "learned",
        methods=list(methods),
        task=task or open_bundle(model).tasks[0],
        motifs=str(motifs),
        seed=seed,
        device=work.device,
        **options,
    )
    measured = []
    for name in ("filters", "patterns"):
        table = found.tables.get(name)
        if table is None:
            continue
        sure = table[(table["q"] <= _SURE) & (table["match_name"].fillna("") != "")]
        with_sites = int((table["sites"] > 0).sum()) if "sites" in table else len(table)
        measured += [
            Measured("share", len(sure) / max(with_sites, 1), name),
            Measured("number", float(with_sites), name),
            *(
                Measured("like", float(n), name, str(tf))
                for tf, n in sure["match_name"].str.upper().value_counts().items()
            ),
        ]
    return measured


@step("history")
def history(work: Work, *, model: Path) -> list[Measured]:
    """Losses of the last phase of a training by epoch.

    The metric is ``loss``, or ``kept_loss`` of the epoch that was kept; the part is ``train`` or
    ``valid``, the item the epoch. ``model`` is what a training of this study made.
    """
    import math

    import pandas as pd

    table = pd.read_csv(model / "history.tsv", sep="\t")
    table = table[table["phase"] == table["phase"].iloc[-1]]
    best = table[table["best"]].iloc[-1] if table["best"].any() else table.iloc[-1]
    rows = [("loss", str(row["epoch"]), row) for row in table.to_dict("records")]
    return [
        Measured(metric, float(row[f"{part}_loss"]), part, item)
        for metric, item, row in [*rows, ("kept_loss", "", best)]
        for part in ("train", "valid")
        if not math.isnan(row[f"{part}_loss"])
    ]


@step("reliability")
def reliability(
    work: Work, *, examples: Path, model: Path | str, part: str = "test", calls: str = "validation"
) -> list[Measured]:
    """Set predicted beside observed frequencies in ten bins of the probability of one task.

    The metric is ``frequency``, the part ``predicted`` or ``observed``, the item the middle of the
    bin; bins without an example are left out. ``calls`` as in `measure`.
    """
    import numpy as np

    from cistransfer.api.learn import open_bundle, open_examples
    from cistransfer.evaluation.baselines import score_model
    from cistransfer.metrics.calibration import reliability_bins, to_probability

    data, bundle = open_examples(examples), open_bundle(model)
    rows = data.rows(part)
    column = bundle.tasks.index(data.tasks[0])
    scored = score_model(bundle, np.asarray(data.codes[rows]), [column], device=work.device)
    heat = 1.0 if calls == "half" else float(scored.temperatures[0])
    found = reliability_bins(
        np.asarray(data.labels[rows])[:, 0], to_probability(scored.logits[:, 0], heat)
    )
    middles = (found["low"] + found["high"]) / 2
    return [
        Measured("frequency", float(found[name][at]), said, f"{middles[at]:.2f}")
        for at in np.flatnonzero(found["n"] > 0)
        for said, name in (("predicted", "mean_probability"), ("observed", "observed"))
    ]


@step("compared")
def compared(
    work: Work,
    *,
    model: Path,
    other: Path,
    examples: Path,
    motifs: Path,
    part: str = "test",
    attribution: str = "deeplift",
    on: str = "logit",
    max_sequences: int = 500,
    min_sites: int = 10,
    hit_p: float | None = None,
    seed: int = 0,
) -> list[Measured]:
    """Compare two models' attributions at the sites of motifs (Kolmogorov-Smirnov, signed D).

    The metric is ``d``, the item the motif, the part ``first`` or ``other`` (its sites against
    those of other motifs, in that model) or ``difference`` (of the two attributions). Motifs that
    are significant in neither (q of at most 0.001, as published) count in ``motifs`` only.
    """
    import math

    from cistransfer.api.explain import interpret

    found = interpret(
        model,
        examples,
        out=work.folder / "compared",
        methods=["comparison"],
        other=other,
        motifs=str(motifs),
        part=part,
        attribution=attribution,
        on=on,
        max_sequences=max_sequences,
        min_sites=min_sites,
        hit_p=hit_p,
        seed=seed,
        device=work.device,
    )
    table = found.tables["comparison"]
    sure = table[(table["q_a"] < 1e-3) | (table["q_b"] < 1e-3)]
    names = {"first": "d_a", "other": "d_b", "difference": "d_difference"}
    return [
        Measured("motifs", float(len(table)), "both"),
        Measured("motifs_that_differ", float((table["q_difference"] < 1e-3).sum()), "both"),
        *(
            Measured("d", float(row[column]), said, str(row["motif"]))
            for row in sure.to_dict("records")
            for said, column in names.items()
            if not math.isnan(row[column])
        ),
    ]
