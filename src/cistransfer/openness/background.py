"""Windows of the genome that are far from every open region."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cistransfer.errors import InputError, nearest
from cistransfer.genome.bed import regions_table
from cistransfer.genome.codes import has_n
from cistransfer.genome.fasta import Genome, Sequences
from cistransfer.genome.intervals import overlaps_any

__all__ = ["sample_background", "tile_background"]

_BLOCK = 8_000_000


def tile_background(
    sequences: Sequences,
    window: int,
    *,
    avoid: pd.DataFrame,
    margin: int = 300,
    blacklist: pd.DataFrame | None = None,
    chroms: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Tile chromosomes with windows side by side; keep those that are background.

    Tile k of a chromosome is ``[k·window, (k+1)·window)``; what is left at its end is not used.
    A tile is dropped when it holds an N (assembly gaps are runs of N), shares a base with the
    blacklist, or has fewer than ``margin`` bases between itself and an open region. Salvatore et
    al. 2023, Methods (600 bp, 300 bp).

    Parameters
    ----------
    sequences : Genome
        Contiguous sequence.
    window : int
        Width in bp.
    avoid : DataFrame
        Region table of all open regions.
    margin : int
        In bp.
    chroms : sequence of str, optional
        Chromosomes to tile; by default those of the genome on which ``avoid`` has regions: where
        no open region is known, every tile would pass for background.

    Returns
    -------
    DataFrame
        Region table in the order of ``chroms`` (by default the genome's).

    Raises
    ------
    InputError
        For a source without contiguous sequence, an unknown chromosome, and when no tile is left.
    """
    if not isinstance(sequences, Genome):
        raise InputError(
            f"{sequences.name}: holds windows, not contiguous sequence, and cannot be tiled; name "
            "a genome FASTA for the background, or take shuffled sequences"
        )
    if window < 1 or margin < 0:
        raise InputError(f"expected a window ≥ 1 and a margin ≥ 0 bp, found {window} and {margin}")
    known = set(avoid["chrom"])
    if chroms is None:
        chroms = [chrom for chrom in sequences.sizes if chrom in known]
        if not chroms:
            some = ", ".join(sorted(known)[:3])
            raise InputError(
                f"{sequences.path}: none of its chromosomes ({', '.join(list(sequences.sizes)[:3])}"
                f", …) has an open region (they are on {some}, …); are both of the same assembly?"
            )
    near = avoid.assign(start=avoid["start"] - margin, end=avoid["end"] + margin)
    kept = []
    for chrom in chroms:
        if chrom not in sequences.sizes:
            raise InputError(
                f"{sequences.path}: no chromosome {chrom!r}; {nearest(chrom, sequences.sizes)}"
            )
        starts = np.arange(sequences.sizes[chrom] // window, dtype=np.int64) * window
        tiles = regions_table(chrom, starts, starts + window)
        free = ~overlaps_any(tiles, near)
        if blacklist is not None:
            free &= ~overlaps_any(tiles, blacklist)
        step = max(1, _BLOCK // window)
        for at in range(0, len(tiles), step):
            block = tiles.iloc[at : at + step]
            span = regions_table([chrom], [block["start"].iloc[0]], [block["end"].iloc[-1]])
            free[at : at + step] &= ~has_n(sequences.fetch(span).reshape(-1, window))
        kept.append(tiles[free])
    table = pd.concat(kept, ignore_index=True)
    if not len(table):
        raise InputError(
            f"{sequences.path}: no window of {window} bp on {', '.join(chroms)} is free of N, "
            f"blacklist and the {margin} bp around open regions"
        )
    return table


def sample_background(
    sequences: Sequences,
    window: int,
    n: int,
    *,
    avoid: pd.DataFrame,
    margin: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Draw windows of the genome that lie away from some regions.

    What stands in for open regions where a person has none: of the tiles that `tile_background`
    cuts, ``n`` at random on the chromosomes on which ``avoid`` has regions, without those near
    ``avoid`` and those with an N, so that fewer than ``n`` are left.

    Parameters
    ----------
    sequences : Genome
        Contiguous sequence.
    window : int
        Width in bp.
    n : int
        Tiles to draw, at most.
    avoid : DataFrame
        Region table, for instance of peaks.
    margin : int
        Least distance from ``avoid`` in bp.

    Returns
    -------
    DataFrame
        Region table in the genome's order.
    """
    if not isinstance(sequences, Genome):
        raise InputError(
            f"{sequences.name}: holds windows, not contiguous sequence, and cannot stand in for "
            "open regions; name a genome FASTA, or give open regions (--open)"
        )
    known = set(avoid["chrom"])
    chroms = [chrom for chrom in sequences.sizes if chrom in known]
    counts = np.array([sequences.sizes[chrom] // window for chrom in chroms], dtype=np.int64)
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    if not total:
        raise InputError(
            f"{sequences.name}: none of its chromosomes has regions and is as long as {window} bp"
        )
    rng = np.random.default_rng(seed)
    drawn = np.sort(rng.choice(total, min(n, total), replace=False))
    which = np.searchsorted(ends, drawn, side="right")
    starts = (drawn - (ends - counts)[which]) * window
    tiles = regions_table(np.array(chroms, dtype=object)[which], starts, starts + window)
    near = avoid.assign(start=avoid["start"] - margin, end=avoid["end"] + margin)
    tiles = tiles[~overlaps_any(tiles, near)].reset_index(drop=True)
    kept = []
    for begin in range(0, len(tiles), _CHUNK):
        block = tiles.iloc[begin : begin + _CHUNK]
        kept.append(block[~has_n(sequences.fetch(block))])
    table = pd.concat(kept, ignore_index=True) if kept else tiles
    if not len(table):
        raise InputError(
            f"{sequences.name}: no window of {window} bp without N lies {margin:,} bp from the "
            "regions; give open regions (--open)"
        )
    return table


_CHUNK = 1 << 14
