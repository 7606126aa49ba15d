"""Examples from a user's own peaks and open regions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cistransfer.errors import InputError
from cistransfer.examples.assemble import bound_and_matched, chosen_split
from cistransfer.examples.dataset import ExampleSet
from cistransfer.examples.split import Split, widen_split
from cistransfer.genome.fasta import Sequences
from cistransfer.genome.intervals import centre_windows, overlaps_any, sort_regions

__all__ = ["peak_examples"]


def peak_examples(
    peaks: pd.DataFrame,
    open_regions: pd.DataFrame,
    sequences: Sequences,
    *,
    task: str,
    window: int,
    positives: int | None = None,
    per_bound: float = 1.0,
    gc_bins: int = 20,
    split: Split | None = None,
    trunk_regions: pd.DataFrame | None = None,
    trunk_split: Split | None = None,
    guard: str | None = None,
    blacklist: pd.DataFrame | None = None,
    seed: int = 0,
) -> ExampleSet:
    """Windows on the summits of peaks, and GC-matched open regions without a peak.

    Bound: a window of ``window`` bp on each peak's summit (its midpoint without one); windows
    that occur twice are kept once. Unbound: windows on the centres of open regions, where neither
    the open region nor the window overlaps a peak or a bound window. Windows on the blacklist, off
    a chromosome or with N are dropped and counted.

    Parameters
    ----------
    peaks, open_regions : DataFrame
        Region tables; ``summit`` is used when present.
    sequences : Sequences
    task : str
        Name of the TF, for the record.
    window : int
        Window in bp (the trunk's).
    split, positives, per_bound, gc_bins, trunk_regions, guard, seed
        As in `single_task_examples`.
    trunk_split : Split, optional
        The trunk's split by chromosome; used, widened by `widen_split` to chromosomes that the
        trunk has never seen, when ``split`` is not given.
    blacklist : DataFrame, optional

    Raises
    ------
    InputError
        When no peak overlaps an open region, or too few are left.
    """
    in_open = overlaps_any(peaks, open_regions)
    if not in_open.any():
        raise InputError(
            f"none of the {len(peaks):,} peaks overlaps one of the {len(open_regions):,} open "
            "regions; are both from the same genome assembly, with the same chromosome names "
            f"(peaks: {_names(peaks)}; open regions: {_names(open_regions)})?"
        )
    place = ["chrom", "start", "end"]
    bound = sort_regions(centre_windows(peaks, window).drop_duplicates(place))[place]
    unbound = centre_windows(open_regions, window)
    free = ~overlaps_any(open_regions, peaks)
    free &= ~overlaps_any(unbound, peaks) & ~overlaps_any(unbound, bound)
    unbound = sort_regions(unbound[free].drop_duplicates(place))[place]
    blacklisted = 0
    if blacklist is not None:
        keep_bound = ~overlaps_any(bound, blacklist)
        keep_unbound = ~overlaps_any(unbound, blacklist)
        blacklisted = int((~keep_bound).sum() + (~keep_unbound).sum())
        bound, unbound = bound[keep_bound], unbound[keep_unbound]
    if split is None and trunk_split is not None and trunk_regions is not None:
        usable = bound[~sequences.missing(bound)]
        split = widen_split(trunk_split, usable["chrom"], trunk_regions["chrom"].unique())
    split = chosen_split(pd.concat([bound, unbound], ignore_index=True), sequences, split)
    guard = guard or ("heldout" if split.by == "chromosome" else "all")
    return bound_and_matched(
        bound.assign(source="peak"),
        unbound.assign(source="open"),
        sequences,
        task=task,
        split=split,
        positives=positives,
        per_bound=per_bound,
        gc_bins=gc_bins,
        seed=seed,
        trunk_regions=trunk_regions,
        guard=guard,
        facts={
            "source": "peaks",
            "guard": guard,
            "peaks": len(peaks),
            "peaks_in_open_regions": int(in_open.sum()),
            "open_regions": len(open_regions),
            "blacklisted": blacklisted,
        },
    )


def _names(regions: pd.DataFrame) -> str:
    names = list(dict.fromkeys(np.asarray(regions["chrom"])))
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
