"""The sequences that a model is interpreted on."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.examples.candidates import Placing, no_sequence
from cistransfer.examples.dataset import PARTS, open_examples
from cistransfer.genome.bed import as_regions
from cistransfer.genome.codes import encode
from cistransfer.genome.fasta import open_sequences, read_fasta
from cistransfer.genome.intervals import centre_windows
from cistransfer.models.bundle import Bundle

__all__ = ["Material", "gather", "predicted_positive", "task_number"]


@dataclass(frozen=True)
class Material:
    """Sequences to interpret a model on.

    Attributes
    ----------
    codes : ndarray of uint8, shape (n, window)
        May be memory-mapped.
    names : list of str
        ``chrom:start-end`` or FASTA header.
    regions : DataFrame or None
        chrom, start, end of each sequence, where known.
    labels : ndarray of int8, shape (n, tasks), or None
        In the order of the bundle's tasks; −1 where unresolved.
    inputs : list of dict
        Where regions of a genome lie (`cistransfer.examples.candidates.Placing`).
    """

    codes: NDArray[np.uint8]
    names: list[str]
    regions: pd.DataFrame | None
    labels: NDArray[np.int8] | None
    inputs: list[dict[str, Any]] = field(default_factory=list)


def task_number(bundle: Bundle, task: str | None) -> int:
    """Column of a task by name; a model of one task needs none."""
    if task is None:
        if len(bundle.tasks) == 1:
            return 0
        raise InputError(
            f"{bundle.path}: the model has {len(bundle.tasks)} tasks "
            f"({', '.join(bundle.tasks[:6])}…); name one with --task"
        )
    if task not in bundle.tasks:
        raise InputError(f"{bundle.path}: no task {task!r}; {nearest(task, bundle.tasks)}")
    return bundle.tasks.index(task)


def gather(
    bundle: Bundle,
    *,
    examples: str | os.PathLike[str] | None = None,
    part: str = "all",
    regions: str | os.PathLike[str] | pd.DataFrame | None = None,
    genome: str | os.PathLike[str] | None = None,
    fasta: str | os.PathLike[str] | None = None,
) -> Material:
    """Sequences from regions of a genome, a FASTA file, or an example set (with labels).

    Without any of them the example set of the bundle's own run folder is taken.

    Raises
    ------
    InputError
        When more than one source is named, none is there, or lengths do not fit the model.
    """
    if (regions is not None) + (fasta is not None) + (examples is not None) > 1:
        raise InputError("name one of --regions (with --genome), --fasta and --examples")
    if regions is not None:
        if genome is None:
            raise InputError("--regions needs --genome")
        given = as_regions(regions)
        placing = Placing(open_sequences(genome))
        windows = centre_windows(given, bundle.window)[["chrom", "start", "end"]]
        windows.attrs.update(given.attrs)
        windows = placing.table(windows, "windows")
        absent = placing.sequences.missing(windows)
        if absent.all():
            raise no_sequence(windows, placing.sequences)
        if absent.any():
            placing.warn(f"{int(absent.sum()):,} of {len(absent):,} windows have no sequence")
        windows = windows[~absent].reset_index(drop=True)
        codes = placing.sequences.fetch(windows)
        return Material(codes, _region_names(windows), windows, None, placing.inputs)
    if fasta is not None:
        return _from_fasta(bundle, fasta)
    place = Path(examples) if examples is not None else _own_examples(bundle)
    stored = open_examples(place)
    if stored.window != bundle.window:
        raise InputError(
            f"{place}: the examples are {stored.window} bp long; the model reads {bundle.window} bp"
        )
    if part not in ("all", *PARTS):
        raise InputError(f"no part {part!r}; {nearest(part, ('all', *PARTS))}")
    rows = np.arange(len(stored.codes)) if part == "all" else stored.rows(part)
    labels = np.full((len(rows), len(bundle.tasks)), -1, np.int8)
    for column, task in enumerate(bundle.tasks):
        if task in stored.tasks:
            labels[:, column] = stored.labels[rows, stored.tasks.index(task)]
    windows = stored.regions.iloc[rows][["chrom", "start", "end"]].reset_index(drop=True)
    codes = stored.codes if part == "all" else stored.codes[rows]
    return Material(codes, _region_names(windows), windows, labels)


def predicted_positive(
    bundle: Bundle, logits: NDArray[np.float32], task: int, *, most: int, seed: int
) -> NDArray[np.int64]:
    """Rows called positive for a task, at most ``most`` drawn at random, ascending.

    Raises
    ------
    InputError
        When no sequence is called positive; says how high the best one comes.
    """
    threshold = float(bundle.thresholds[task])
    rows = np.flatnonzero(logits[:, task] >= threshold)
    if not len(rows):
        raise InputError(
            f"none of the {len(logits):,} sequences is predicted positive for "
            f"{bundle.tasks[task]} (highest logit {logits[:, task].max():.2f}, threshold "
            f"{threshold:.2f}); attribution explains positive predictions: give other sequences"
        )
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, size=most, replace=False))
    return rows


def _own_examples(bundle: Bundle) -> Path:
    for place in (bundle.path.parent / "examples", bundle.path / "examples"):
        if place.is_dir():
            return place
    raise InputError(
        f"{bundle.path}: no examples beside this bundle; name --regions and --genome, --fasta or "
        "--examples"
    )


def _region_names(windows: pd.DataFrame) -> list[str]:
    return [
        f"{chrom}:{start}-{end}"
        for chrom, start, end in windows[["chrom", "start", "end"]].itertuples(index=False)
    ]


def _from_fasta(bundle: Bundle, path: str | os.PathLike[str]) -> Material:
    names, rows = [], []
    for header, sequence in read_fasta(path):
        left = (len(sequence) - bundle.window) // 2
        if left < 0:
            raise InputError(
                f"{path}: record '>{header[:60]}' has {len(sequence)} bp; the model reads "
                f"{bundle.window} bp"
            )
        names.append(header)
        rows.append(encode(sequence[left : left + bundle.window]))
    return Material(np.stack(rows), names, None, None)
