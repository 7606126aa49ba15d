"""Examples from a binding matrix: several TFs (multi-task) or one (bound and GC-matched)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError
from cistransfer.examples.assemble import bound_and_matched, chosen_split, labelled
from cistransfer.examples.dataset import ExampleSet
from cistransfer.examples.split import Split
from cistransfer.genome.fasta import Sequences

__all__ = ["multi_task_examples", "single_task_examples"]


def multi_task_examples(
    matrix: BindingMatrix,
    sequences: Sequences,
    tfs: Sequence[str],
    *,
    regions: str = "resolved",
    rule: str | None = None,
    most: int | None = None,
    split: Split | None = None,
    seed: int = 0,
) -> ExampleSet:
    """Regions resolved for several TFs, one label column per TF.

    Parameters
    ----------
    matrix : BindingMatrix
    sequences : Sequences
    tfs : sequence of str
        The tasks, in this order.
    regions : {"resolved", "common"}
        ``resolved`` keeps every region resolved for at least one of the TFs (the loss ignores the
        others); ``common`` only those resolved for all of them, as published.
    rule : str, optional
        The matrix's view; by default ``sparse`` for resolved and ``less-sparse`` for common
        regions (the published choice).
    most : int, optional
        Sample at most so many regions (70,000 in the paper's group experiments).
    split : Split, optional
        By default chromosomes are chosen by `choose_chromosomes`; folds are made of all regions of
        the matrix, so that they are those of `single_task_examples`.
    seed : int
        Seed of the sample.

    Raises
    ------
    InputError
        For an unknown TF, a TF twice, or when no region is left.
    """
    if not tfs or len(set(tfs)) != len(tfs):
        raise InputError(f"expected different TFs to train on, found {list(tfs)}")
    if regions not in ("resolved", "common"):
        raise InputError(f"regions must be 'resolved' or 'common', found {regions!r}")
    rule = rule or ("sparse" if regions == "resolved" else "less-sparse")
    states = matrix.states(list(tfs), rule=rule)
    known = states >= 0
    rows = np.flatnonzero(known.any(axis=1) if regions == "resolved" else known.all(axis=1))
    if not len(rows):
        raise InputError(
            f"no region is resolved for all of {', '.join(tfs)}; drop the TF assayed in the fewest "
            "cells, or train on every resolved region (--regions resolved)"
        )
    if most is not None and len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
    table = matrix.regions.iloc[rows].reset_index(drop=True)
    return labelled(
        table,
        states[rows],
        sequences,
        tasks=tuple(tfs),
        split=chosen_split(matrix.regions if split and split.fold else table, sequences, split),
        trunk_regions=None,
        guard="off",
        facts={"source": matrix.name, "regions": regions, "rule": rule, "seed": seed},
    )


def single_task_examples(
    matrix: BindingMatrix,
    sequences: Sequences,
    tf: str,
    *,
    positives: int | None = None,
    per_bound: float = 1.0,
    gc_bins: int = 20,
    split: Split | None = None,
    trunk_regions: pd.DataFrame | None = None,
    guard: str | None = None,
    seed: int = 0,
) -> ExampleSet:
    """Bound regions of one TF and as many GC-matched unbound ones (``sparse`` view).

    Parameters
    ----------
    matrix : BindingMatrix
    sequences : Sequences
    tf : str
    positives : int, optional
        Bound regions for training and validation together; the test part keeps all of its own.
    per_bound : float
        Unbound regions per bound one.
    gc_bins : int
        Bins of the GC matching (10 in the paper).
    split : Split, optional
        By default chromosomes are chosen by `choose_chromosomes`.
    trunk_regions : DataFrame, optional
        What the trunk has seen (`Bundle.regions`).
    guard : str, optional
        Leakage guard; by default ``heldout`` for splits by chromosome and ``all`` (published) for
        random ones.
    seed : int
        Seed of subsampling and matching.
    """
    states = matrix.states([tf], rule="sparse")[:, 0]
    table = matrix.regions
    split = chosen_split(table, sequences, split)
    guard = guard or ("heldout" if split.by == "chromosome" else "all")
    return bound_and_matched(
        table[states == 1].assign(source="bound"),
        table[states == 0].assign(source="unbound"),
        sequences,
        task=tf,
        split=split,
        positives=positives,
        per_bound=per_bound,
        gc_bins=gc_bins,
        seed=seed,
        trunk_regions=trunk_regions,
        guard=guard,
        facts={"source": matrix.name, "rule": "sparse", "guard": guard},
    )
