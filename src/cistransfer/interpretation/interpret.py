"""Interpret a trained model: every method, its tables and its figures, into one folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.interpretation.attribute import METHODS as ATTRIBUTIONS
from cistransfer.interpretation.attribute import Attribution, attribute
from cistransfer.interpretation.material import (
    gather,
    predicted_positive,
    task_number,
)
from cistransfer.interpretation.of_model import (
    filter_table,
    write_filters,
    write_influence,
    write_marginal,
    write_refinement,
    write_spacing,
)
from cistransfer.interpretation.of_pair import open_other, write_comparison
from cistransfer.interpretation.of_sequences import (
    write_attribution,
    write_enrichment,
    write_patterns,
)
from cistransfer.interpretation.shared import Run
from cistransfer.models.bundle import open_bundle
from cistransfer.models.score import choose_device, score_codes
from cistransfer.motifs.files import Motifs, read_motifs
from cistransfer.progress import bar
from cistransfer.storage import write_json

__all__ = ["STEPS", "interpret"]

STEPS = (
    "filters",
    "influence",
    "refinement",
    "attribution",
    "patterns",
    "enrichment",
    "marginal",
    "spacing",
)
"""The methods, in the order in which they run."""

_NEED_ATTRIBUTION = ("attribution", "patterns", "enrichment")


def interpret(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    steps: Sequence[str] | None = None,
    task: str | None = None,
    examples: str | os.PathLike[str] | None = None,
    part: str = "all",
    regions: str | os.PathLike[str] | pd.DataFrame | None = None,
    genome: str | os.PathLike[str] | None = None,
    fasta: str | os.PathLike[str] | None = None,
    motifs: str | os.PathLike[str] | None = None,
    hits: str | os.PathLike[str] | None = None,
    compare: str | os.PathLike[str] | None = None,
    compare_task: str | None = None,
    pair: tuple[str, str] | None = None,
    method: str = "deeplift",
    on: str = "logit",
    references: str = "dinucleotide",
    both_strands: bool = False,
    modisco: bool = False,
    most: int = 500,
    neutral: int = 40,
    min_sites: int = 100,
    hit_p: float = 1e-5,
    seed: int = 0,
    device: str = "auto",
) -> dict[str, Any]:
    """Run interpretation methods on a bundle and write tables, motifs and figures.

    Parameters
    ----------
    model : path
        Run folder or bundle.
    out : path
        Folder for the results; files of the same names in it are replaced.
    steps : sequence of str, optional
        Names of `STEPS`. By default all for which there is what they need: ``motifs`` for
        patterns, enrichment, marginal; ``compare`` for refinement; ``pair`` for spacing.
    task : str, optional
        The task to explain; may be left out for a model of one task.
    examples, part, regions, genome, fasta
        The sequences (see `cistransfer.interpretation.material.gather`).
    motifs : path, optional
        Known motifs (a motif file of any format).
    hits : path, optional
        BED or bigBed of motif sites for the enrichment, instead of scanning with ``motifs``
        (see `cistransfer.interpretation.sites.read_sites`).
    compare : path, optional
        Another bundle or run: the trunk that the model was fine-tuned from (refinement), or any
        model of the same window, whose attributions are compared in the enrichment.
    compare_task : str, optional
        The other model's task; by default the same one, or its only one.
    pair : two str, optional
        Names of two motifs whose spacing is measured.
    method, on, references, both_strands
        Of the attribution (see `cistransfer.interpretation.attribute.attribute`).
    modisco : bool
        Patterns by TF-MoDISco instead of seqlets matched with the known motifs.
    most : int
        Sequences to attribute (the predicted positive ones, or this many of them at random), and
        to measure influence on.
    neutral : int
        Neutral sequences into which motifs are planted.
    min_sites : int
        Sites that a motif needs in the enrichment.
    hit_p : float
        Threshold of the scan for sites.

    Returns
    -------
    dict
        The content of ``summary.json``: what was done on how many sequences, and the main result
        of each step.
    """
    bundle = open_bundle(model)
    bundle.model.to(choose_device(device))
    number = task_number(bundle, task)
    chosen = _chosen(steps, motifs, hits, compare, pair)
    if method not in ATTRIBUTIONS:
        raise InputError(f"no attribution method {method!r}; {nearest(method, ATTRIBUTIONS)}")
    other = None
    if compare is not None and {"refinement", "enrichment"} & set(chosen):
        other = open_other(bundle, number, compare, compare_task, "enrichment" in (steps or ()))
    material = gather(
        bundle, examples=examples, part=part, regions=regions, genome=genome, fasta=fasta
    )
    targets = read_motifs(motifs) if motifs is not None else []
    with bar("scoring", len(material.codes)) as running:
        logits = score_codes(bundle.model, material.codes, tick=running.advance)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(folder, bundle, material, logits, number, targets, most, neutral, seed)
    summary: dict[str, Any] = {
        "kind": "interpretation",
        "bundle": str(bundle.path),
        "part": part if regions is None and fasta is None else None,
        "task": bundle.tasks[number],
        "sequences": len(material.codes),
        "predicted_positive": int((logits[:, number] >= bundle.thresholds[number]).sum()),
        "steps": list(chosen),
        **({"inputs": material.inputs} if material.inputs else {}),
        **({"motifs": targets.facts.said()} if isinstance(targets, Motifs) else {}),
    }
    explain: dict[str, Any] = {
        "method": method, "on": on, "references": references, "seed": seed,
        "both_strands": both_strands,
    }  # fmt: skip
    found: tuple[NDArray[np.int64], Attribution] | None = None
    if any(step in _NEED_ATTRIBUTION for step in chosen):
        rows = predicted_positive(bundle, logits, number, most=most, seed=seed)
        codes = np.asarray(material.codes[rows])
        found = (rows, attribute(bundle.model, codes, task=number, **explain))
    filters = filter_table(run) if {"filters", "influence"} & set(chosen) else None
    for step in chosen:
        if step == "filters":
            assert filters is not None
            summary[step] = write_filters(run, *filters)
        elif step == "influence":
            assert filters is not None
            summary[step] = write_influence(run, filters[1])
        elif step == "refinement":
            assert other is not None
            summary[step] = write_refinement(run, other.bundle)
        elif step == "marginal":
            summary[step] = write_marginal(run)
        elif step == "spacing":
            assert pair is not None
            summary[step] = write_spacing(run, pair)
        else:
            assert found is not None
            if step == "attribution":
                summary[step] = write_attribution(run, *found)
            elif step == "patterns":
                summary[step] = write_patterns(run, *found, modisco=modisco)
            else:
                summary[step] = write_enrichment(run, *found, hits, min_sites, hit_p)
                if other is not None:
                    summary["comparison"] = write_comparison(
                        run, other, explain, hits, min_sites, hit_p
                    )
    write_json(folder / "summary.json", summary)
    return summary


def _chosen(
    steps: Sequence[str] | None,
    motifs: Any,
    hits: Any,
    compare: Any,
    pair: Any,
) -> list[str]:
    """The steps to run, in order; `InputError` for one that lacks what it needs."""
    lacking = {
        "refinement": compare is None or motifs is None,
        "patterns": motifs is None,
        "marginal": motifs is None,
        "enrichment": motifs is None and hits is None,
        "spacing": pair is None or motifs is None,
    }
    if steps is None:
        return [step for step in STEPS if not lacking.get(step)]
    for step in steps:
        if step not in STEPS:
            raise InputError(f"no interpretation method {step!r}; {nearest(step, STEPS)}")
        if lacking.get(step):
            wanted = {
                "refinement": "--other TRUNK and --motifs",
                "enrichment": "--motifs or --hits",
                "spacing": "--pair and --motifs",
            }.get(step, "--motifs")
            raise InputError(f"the method {step!r} needs {wanted}")
    return [step for step in STEPS if step in steps]
