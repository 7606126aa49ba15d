"""From labelled or candidate regions to an example set: the steps that every source shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.examples.gc import match_gc
from cistransfer.examples.leakage import leaking
from cistransfer.examples.split import Split, assign_parts, settle_split
from cistransfer.genome.codes import gc_fraction, has_n
from cistransfer.genome.fasta import Sequences

__all__ = ["LEAST_BOUND", "bound_and_matched", "chosen_split", "fetch_known", "labelled"]

LEAST_BOUND = 20
"""Fewest bound regions that single-task examples are made from."""

_CANDIDATES_PER_BOUND = 40
_LEAST_CANDIDATES = 20_000


def fetch_known(
    regions: pd.DataFrame, sequences: Sequences
) -> tuple[NDArray[np.int64], NDArray[np.uint8], dict[str, int]]:
    """Codes of the regions that have a sequence without N.

    Returns
    -------
    kept : ndarray of int64
        Rows of ``regions``, ascending.
    codes : ndarray of uint8, shape (len(kept), width)
    dropped : dict
        How many had ``no_sequence`` (unknown chromosome, off the end) and how many ``with_n``.

    Raises
    ------
    InputError
        When nothing is left.
    """
    found = np.flatnonzero(~sequences.missing(regions))
    codes = sequences.fetch(regions.iloc[found])
    clean = ~has_n(codes)
    dropped = {
        "no_sequence": len(regions) - len(found),
        "with_n": int((~clean).sum()),
    }
    if not clean.any() and len(regions):
        raise _no_sequence(regions, sequences, dropped["with_n"])
    return found[clean], codes[clean], dropped


def _no_sequence(regions: pd.DataFrame, sequences: Sequences, with_n: int = 0) -> InputError:
    chrom, start, end = regions[["chrom", "start", "end"]].iloc[0]
    return InputError(
        f"{sequences.name}: none of the {len(regions):,} regions has a usable sequence "
        f"({len(regions) - with_n:,} on unknown chromosomes or off their ends, "
        f"{with_n:,} with N); the first is {chrom}:{start}-{end}: "
        "is this the right genome assembly?"
    )


def chosen_split(regions: pd.DataFrame, sequences: Sequences, wanted: Split | None = None) -> Split:
    """The split, with what it leaves open chosen among the regions that have a sequence.

    ``wanted`` is one that names its chromosomes, a fold without them, or None: chromosomes.

    Raises
    ------
    InputError
        When no region has a sequence, or fewer than three chromosomes are left.
    """
    if wanted is not None and (wanted.by != "chromosome" or wanted.valid):
        return wanted
    usable = ~sequences.missing(regions)
    if len(regions) and not usable.any():
        raise _no_sequence(regions, sequences)
    return settle_split(wanted, regions.loc[usable, "chrom"])


def labelled(
    regions: pd.DataFrame,
    labels: NDArray[np.int8],
    sequences: Sequences,
    *,
    tasks: tuple[str, ...],
    split: Split,
    trunk_regions: pd.DataFrame | None,
    guard: str,
    facts: dict[str, Any],
) -> ExampleSet:
    """Make an example set of regions that all have labels (multi-task)."""
    kept, codes, dropped = fetch_known(regions, sequences)
    regions, labels = regions.iloc[kept].reset_index(drop=True), labels[kept]
    parts = assign_parts(regions, split)
    leaks = leaking(regions, parts, trunk_regions, guard)
    stay = ~leaks
    dropped["seen_by_trunk"] = int(leaks.sum())
    regions = regions[stay].assign(part=parts[stay], source="matrix").reset_index(drop=True)
    return ExampleSet(
        codes[stay],
        labels[stay],
        regions,
        tasks,
        {**facts, "genome": sequences.name, "split": split.as_dict(), "dropped": dropped},
    )


def bound_and_matched(
    bound: pd.DataFrame,
    unbound: pd.DataFrame,
    sequences: Sequences,
    *,
    task: str,
    split: Split,
    positives: int | None,
    per_bound: float,
    gc_bins: int,
    seed: int,
    trunk_regions: pd.DataFrame | None,
    guard: str,
    facts: dict[str, Any],
) -> ExampleSet:
    """Make a single-task example set: bound regions and GC-matched unbound ones.

    The split comes first; matching and subsampling happen within each part, so that every part is
    matched in itself. ``positives`` counts training and validation together; the test part always
    keeps all its bound regions.

    Parameters
    ----------
    bound, unbound : DataFrame
        Region tables of windows of one width, without a region in common.
    positives : int or None
        Bound regions to keep outside the test part; None keeps all.
    per_bound : float
        Unbound regions per bound one.
    gc_bins : int
    seed : int

    Raises
    ------
    InputError
        When too few bound regions are left (says how many there are and how many are needed), or
        when a part has no bound or no unbound region.
    """
    regions = pd.concat([bound, unbound], ignore_index=True)
    is_bound = np.arange(len(regions)) < len(bound)
    parts = assign_parts(regions, split)
    leaks = leaking(regions, parts, trunk_regions, guard)
    absent = sequences.missing(regions)
    if absent.all() and len(regions):
        raise _no_sequence(regions, sequences)
    dropped = {"seen_by_trunk": int(leaks.sum()), "no_sequence": int((absent & ~leaks).sum())}
    rng = np.random.default_rng(seed)

    usable = ~leaks & ~absent
    rows = [np.flatnonzero(is_bound & usable)]
    pool = np.flatnonzero(~is_bound & usable)
    many = int(max(_LEAST_CANDIDATES, _CANDIDATES_PER_BOUND * per_bound * len(rows[0])))
    rows.append(np.sort(rng.permutation(pool)[:many]))
    candidates = np.concatenate(rows)
    kept, codes, lost = fetch_known(regions.iloc[candidates], sequences)
    dropped["with_n"] = lost["with_n"]
    candidates = candidates[kept]
    gc = gc_fraction(codes)
    bound_now, part_now = is_bound[candidates], parts[candidates]

    heldin = np.flatnonzero(bound_now & (part_now != "test"))
    least = LEAST_BOUND if positives is None else max(positives, LEAST_BOUND)
    if len(heldin) < least:
        raise InputError(
            f"{task}: {len(heldin):,} bound regions can be used for training and validation "
            f"(of {len(bound):,} in all; {dropped['seen_by_trunk']:,} regions were seen by the "
            f"trunk); at least {least:,} are needed"
        )
    if positives is not None:
        heldin = np.sort(rng.permutation(heldin)[:positives])
    chosen = []
    for number, part in enumerate(("train", "valid", "test")):
        mine = (
            np.flatnonzero(bound_now & (part_now == part))
            if part == "test"
            else heldin[part_now[heldin] == part]
        )
        others = np.flatnonzero(~bound_now & (part_now == part))
        matched = others[
            match_gc(
                gc[mine], gc[others], per_bound=per_bound, bins=gc_bins, seed=seed + 1 + number
            )
        ]
        if not len(mine) or not len(matched):
            names = getattr(split, part, ()) if split.by == "chromosome" else ()
            where = f" (chromosomes {', '.join(names)})" if names else ""
            raise InputError(
                f"{task}: the {part} part{where} has {len(mine)} bound and {len(matched)} "
                "GC-matched unbound regions; both classes are needed: use more bound regions"
                + (" or hold out other chromosomes" if names else "")
            )
        chosen += [mine, matched]
    take = np.sort(np.concatenate(chosen))
    order = candidates[take]
    table = regions.iloc[order].assign(part=parts[order]).reset_index(drop=True)
    return ExampleSet(
        codes[take],
        is_bound[order].astype(np.int8)[:, None],
        table,
        (task,),
        {
            **facts,
            "genome": sequences.name,
            "split": split.as_dict(),
            "dropped": dropped,
            "negatives": f"unbound open regions, GC-matched in {gc_bins} bins within each part",
            "per_bound": per_bound,
            "positives": positives,
            "seed": seed,
        },
    )
