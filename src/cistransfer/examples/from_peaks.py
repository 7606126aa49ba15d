"""Candidates of one TF's peaks: windows on them, and on open regions without a peak."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cistransfer.errors import InputError
from cistransfer.examples.candidates import Candidates, Placing
from cistransfer.genome.bed import as_regions
from cistransfer.genome.intervals import (
    MAX_POSITION,
    centre_windows,
    inside,
    overlaps_any,
    sort_regions,
)
from cistransfer.openness.background import sample_background

if TYPE_CHECKING:
    from cistransfer.examples.sources import FromPeaks

__all__ = ["of_peaks"]

LEAST_IN_OPEN = 0.2
"""Of the peaks of most TFs well over half lie in open regions; fewer than this is said."""

TILES, TILES_PER_PEAK = 100_000, 40
"""Tiles of the genome that stand in for open regions: at least so many, and so many per peak."""

MOST_IN_OPEN = 0.9
"""Where so many peaks lie in open regions, nothing is said whatever lies beside them."""

BESIDE = 10_000
"""How far beside a peak nothing of it is left (bp)."""

WIDE = 10_000
"""Peaks without a summit that are wider say little about where a TF is (bp)."""

_PLACE = ["chrom", "start", "end"]


def of_peaks(source: FromPeaks, placing: Placing, window: int, seed: int) -> Candidates:
    """Windows on the summits of peaks, and on open regions without a peak.

    Bound: a window on each peak's summit (its midpoint without one); windows that occur twice are
    kept once. Unbound: windows on the centres of open regions, where neither the open region nor
    the window overlaps a peak or a bound window; without open regions, tiles of the genome.
    """
    peaks = placing(as_regions(source.peaks, source.columns), "peaks")
    if warning := _too_wide(peaks, window):
        placing.warn(warning)
    told: dict[str, Any] = {}
    if source.open_regions is None:
        opened = sample_background(
            placing.sequences, window, max(TILES, TILES_PER_PEAK * len(peaks)), avoid=peaks,
            seed=seed,
        )  # fmt: skip
        placing.warn(
            f"no open regions are given: {len(opened):,} tiles of the genome stand in for them; "
            "what tells them from peaks is open chromatin as much as the TF (give --open: 0.89 "
            "instead of 0.85 AUCPR on four TFs, docs/inputs.md)"
        )
        told = {"tiles": len(opened)}
    else:
        opened = placing(source.open_regions, "open regions")
        in_open = overlaps_any(peaks, opened)
        if not in_open.any():
            raise InputError(
                f"none of the {len(peaks):,} peaks overlaps one of the {len(opened):,} open "
                "regions; are both from the same genome assembly "
                f"(peaks: {_names(peaks)}; open regions: {_names(opened)})?"
            )
        placing.inputs[-2]["in_open_regions"] = int(in_open.sum())
        sizes = placing.sequences.chromosomes.items()  # of the peaks elsewhere nothing is known
        here = inside(peaks, {name: size or MAX_POSITION for name, size in sizes})
        if warning := _unlike_peaks(peaks[here], opened, float(in_open[here].mean())):
            placing.warn(warning)
        told = {"peaks_in_open_regions": int(in_open.sum()), "open_regions": len(opened)}
    bound = sort_regions(centre_windows(peaks, window).drop_duplicates(_PLACE))[_PLACE]
    unbound = centre_windows(opened, window)
    free = ~overlaps_any(opened, peaks)
    free &= ~overlaps_any(unbound, peaks) & ~overlaps_any(unbound, bound)
    unbound = sort_regions(unbound[free].drop_duplicates(_PLACE))[_PLACE]
    regions = pd.concat([bound, unbound], ignore_index=True)
    labels = (np.arange(len(regions)) < len(bound)).astype(np.int8)
    blacklisted = 0
    if source.blacklist is not None:
        avoid = placing(source.blacklist, "blacklist", needed=False)
        listed = overlaps_any(regions, avoid)
        blacklisted = int(listed.sum())
        if not blacklisted:
            placing.warn("the blacklist excludes nothing: no window of peaks or open regions")
        regions, labels = regions[~listed].reset_index(drop=True), labels[~listed]
    name = "peaks" if isinstance(source.peaks, pd.DataFrame) else os.path.basename(source.peaks)
    return Candidates(
        regions,
        labels[:, None],
        np.where(labels == 1, "peak", "open" if "open_regions" in told else "tile").astype(object),
        (source.tf or name.split(".")[0],),
        {
            "source": "peaks",
            "peaks": len(peaks),
            **told,
            "blacklisted": blacklisted,
            "read": _read_facts(peaks=peaks, open_regions=opened),
            "inputs": placing.inputs,
        },
    )


def _read_facts(**tables: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """How the tables that were files were read; the paths are recorded elsewhere."""
    found = {name: table.attrs["read"] for name, table in tables.items() if "read" in table.attrs}
    return {
        name: {key: value for key, value in facts.as_dict().items() if key != "path"}
        for name, facts in found.items()
    }


def _unlike_peaks(peaks: pd.DataFrame, opened: pd.DataFrame, share: float) -> str:
    """What to say when peaks lie in open regions hardly more often than places beside them do."""
    beside = [
        overlaps_any(peaks.assign(start=peaks["start"] + by, end=peaks["end"] + by), opened).mean()
        for by in (-BESIDE, BESIDE)
    ]
    dense = share >= MOST_IN_OPEN  # a small genome may be open nearly everywhere
    if dense or (share >= LEAST_IN_OPEN and share >= 2 * float(np.mean(beside))):
        return ""
    return (
        f"only {share:.0%} of the peaks lie in open regions, {float(np.mean(beside)):.0%} of the "
        f"places {BESIDE // 1000} kb beside them do: are both from the same assembly, and from "
        "cells that are alike?"
    )


def _too_wide(peaks: pd.DataFrame, window: int) -> str:
    """What to say of peaks so wide that the window on their middle need not hold the site."""
    start, end = peaks["start"].to_numpy(np.int64), peaks["end"].to_numpy(np.int64)
    wide = end - start > WIDE
    if "summit" in peaks:
        wide &= peaks["summit"].to_numpy(np.int64) == start + (end - start) // 2
    if not wide.any():
        return ""
    return (
        f"{wide.sum():,} of {len(peaks):,} peaks are wider than {WIDE // 1000} kb and have no "
        f"summit: the {window} bp in their middle, which are learned from, may hold no site of the "
        "TF (give narrowPeak files, whose peaks have summits)"
    )


def _names(regions: pd.DataFrame) -> str:
    names = list(dict.fromkeys(np.asarray(regions["chrom"])))
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
