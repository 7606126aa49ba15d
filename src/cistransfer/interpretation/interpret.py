"""Interpret a trained model: every method, its tables and its figures, into one folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from cistransfer.errors import InputError, nearest
from cistransfer.interpretation.steps import Methods, OtherModels, chosen_steps
from cistransfer.interpretation.subject import Source, Subject, gather
from cistransfer.models.bundle import Bundle, open_bundle
from cistransfer.models.score import choose_device, score_codes
from cistransfer.motifs.files import Motifs, read_motifs
from cistransfer.progress import bar
from cistransfer.storage import Kind, check_folder, write_json

__all__ = ["interpret"]

_INTERPRETATION = Kind("interpretation", "summary.json", ())
"""By which an earlier one is told; it is written step by step, the summary first and after each."""


def interpret(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    methods: Methods = Methods(),  # noqa: B008 (frozen)
    others: OtherModels = OtherModels(),  # noqa: B008
    source: Source = Source(),  # noqa: B008
    *,
    seed: int = 0,
    device: str = "auto",
) -> dict[str, Any]:
    """Run interpretation methods on a bundle and write tables, motifs and figures.

    Parameters
    ----------
    model : path
        Run folder or bundle.
    out : path
        Folder for the results, new, empty or of an earlier interpretation.
    methods : Methods
        Which methods (names of `cistransfer.interpretation.steps.METHODS`; by default all that
        have what they need), the task, the known motifs, and the methods' options.
    others : OtherModels
        Other models: the trunk, one to compare with, one from scratch.
    source : Source
        The sequences.

    Returns
    -------
    dict
        The content of ``summary.json``: what was done on how many sequences, and the main result
        of each method. The file is written after each method: an interruption leaves what is done.

    Raises
    ------
    InputError
        Before any work, for what is asked for and cannot run, and where ``out`` holds other things.
    """
    check_folder(out, _INTERPRETATION)
    bundle = open_bundle(model)
    task = bundle.column(methods.task)
    steps = chosen_steps(methods, others)
    other, other_task = _other(bundle, task, others, "comparison" in steps and methods.methods)
    scratch = None if others.scratch is None else _alike(bundle, others.scratch)
    motifs = read_motifs(methods.motifs) if methods.motifs is not None else ()
    material = gather(bundle, source)
    for each in (bundle, other, scratch):
        if each is not None:
            each.model.to(choose_device(device))
    with bar("scoring", len(material.codes)) as running:
        logits = score_codes(bundle.model, material.codes, tick=running.advance)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    subject = Subject(
        folder, bundle, task, material, logits, tuple(motifs), methods, others, other, other_task,
        scratch, seed,
    )  # fmt: skip
    summary: dict[str, Any] = {
        "kind": "interpretation",
        "bundle": str(bundle.path),
        "part": source.part if source.regions is None and source.fasta is None else None,
        "task": bundle.tasks[task],
        "sequences": len(material.codes),
        "predicted_positive": int(np.sum(logits[:, task] >= bundle.thresholds[task])),
        "steps": [],
        **({"inputs": material.inputs} if material.inputs else {}),
        **({"motifs": motifs.facts.said()} if isinstance(motifs, Motifs) else {}),
    }
    write_json(folder / "summary.json", summary)
    for name, step in steps.items():
        summary[name] = step.run(subject)
        summary["steps"].append(name)
        write_json(folder / "summary.json", summary)
    return summary


def _alike(bundle: Bundle, path: str | os.PathLike[str]) -> Bundle:
    """Open another model of the same window."""
    other = open_bundle(path)
    if other.window != bundle.window:
        raise InputError(
            f"{other.path}: reads {other.window} bp; the model reads {bundle.window} bp"
        )
    return other


def _other(
    bundle: Bundle, task: int, others: OtherModels, needed: object
) -> tuple[Bundle | None, int | None]:
    """Open the other model and find the task that answers to the model's.

    Raises
    ------
    InputError
        When the windows differ, a named task is not there, or (``needed``) none can be told.
    """
    if others.other is None:
        return None, None
    other = _alike(bundle, others.other)
    wanted = others.other_task or bundle.tasks[task]
    if wanted in other.tasks:
        return other, other.tasks.index(wanted)
    if others.other_task is not None:
        raise InputError(f"{other.path}: no task {wanted!r}; {nearest(wanted, other.tasks)}")
    if len(other.tasks) == 1:
        return other, 0
    if needed:
        raise InputError(
            f"{other.path}: the other model has {len(other.tasks)} tasks and none is {wanted!r}; "
            f"name one with --other-task ({nearest(wanted, other.tasks)})"
        )
    return other, None
