"""Regions and the cells in which they are open, and windows on them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, shown
from cistransfer.genome.bed import regions_table
from cistransfer.genome.intervals import Ints, centre, chrom_codes, overlaps_any
from cistransfer.openness.samples import Sample
from cistransfer.storage import open_text

__all__ = ["OpenRegions", "name_chroms", "read_chrom_sizes"]

PathLike = str | os.PathLike[str]

_FARTHEST = 1 << 40


@dataclass(frozen=True)
class OpenRegions:
    """Regions and the cells in which they are open.

    Attributes
    ----------
    regions : DataFrame
        chrom, start, end; any order, duplicates allowed (`windows` merges them).
    open : dict of str → ndarray of bool, shape (n_regions,)
        By cell.
    samples : tuple of Sample
        The cells' names in other files; empty: each cell is called the same everywhere.
    files : tuple of (role, path)
        What was read.
    notes : tuple of str
        What a person should know of the reading, in words.
    """

    regions: pd.DataFrame
    open: dict[str, NDArray[np.bool_]]
    samples: tuple[Sample, ...] = ()
    files: tuple[tuple[str, PathLike], ...] = ()
    notes: tuple[str, ...] = ()

    def _places(self, width: int) -> tuple[NDArray[np.object_], Ints, Ints]:
        """Chromosome, start and end of the window on each region."""
        chrom = self.regions["chrom"].to_numpy(object)
        if not width:
            start, end = (self.regions[name].to_numpy(np.int64) for name in ("start", "end"))
            return chrom, start, end
        start = centre(self.regions)
        start -= width // 2
        return chrom, start, start + width

    def windows(
        self,
        width: int,
        *,
        edges: str = "drop",
        sizes: Mapping[str, int] | None = None,
        exclude: Sequence[pd.DataFrame] = (),
        keep_closed: bool = True,
    ) -> tuple[OpenRegions, dict[str, int]]:
        """Cut windows on the centres of the regions, sort them and merge equal ones.

        Parameters
        ----------
        width : int
            In bp; 0 keeps the regions as they are.
        edges : {"drop", "clip"}
            What happens to a window that runs off its chromosome: left out, or cut (and then
            narrower than the others). The left end is always known; the right end only with
            ``sizes``.
        sizes : mapping of str → int, optional
            Chromosome lengths; regions on chromosomes that are not in it are left out.
        exclude : sequence of DataFrame
            Windows that share a base with one of these regions (blacklist, gaps) are left out.
        keep_closed : bool
            Whether regions that are open in none of the cells are kept.

        Returns
        -------
        windows : OpenRegions
            By chromosome name and start; unique; cells sorted.
        left_out : dict of str → int
            How many went where.
        """
        if edges not in ("drop", "clip"):
            raise InputError(f"no edge rule {edges!r}; there are: clip, drop")
        if width < 0:
            raise InputError(
                f"expected a window of at least 1 bp (or 0: as they are), found {width}"
            )
        cells = sorted(self.open)
        chrom, start, end = self._places(width)
        _check_places(chrom, end)
        keep = np.full(len(chrom), keep_closed)
        left_out: dict[str, int] = {}
        notes = list(self.notes)
        if not keep_closed:
            for cell in cells:
                keep |= self.open[cell]
            left_out["open in no chosen cell"] = int((~keep).sum())
        off = start < 0
        if sizes is not None:
            size = self.regions["chrom"].map(dict(sizes)).fillna(-1).to_numpy(np.int64)
            left_out["on an unknown chromosome"] = int((keep & (size < 0)).sum())
            keep &= size >= 0
            off |= end > size
        if edges == "clip":
            start, end = np.maximum(start, 0), end if sizes is None else np.minimum(end, size)
            keep &= start < end
        else:
            left_out["off a chromosome's end"] = int((keep & off).sum())
            keep &= ~off
        rows = np.flatnonzero(keep)
        if len(rows) < len(keep):
            chrom, start, end = chrom.take(rows), start.take(rows), end.take(rows)
        if exclude:
            table = regions_table(chrom, start, end)
            bad = np.zeros(len(table), dtype=bool)
            for regions in exclude:
                hit = overlaps_any(table, regions)
                bad |= hit
                if not hit.any():
                    notes.append(_nothing_excluded(regions, table))
            left_out["in excluded regions"] = int(bad.sum())
            rows, chrom, start, end = rows[~bad], chrom[~bad], start[~bad], end[~bad]
        if not len(rows):
            raise InputError(
                "no open region is left: "
                + ", ".join(f"{count:,} {why}" for why, count in left_out.items() if count)
            )
        code, chroms = chrom_codes(chrom)
        if not _is_sorted(code, start, end):
            order = np.lexsort((end, start, code))
            rows, code, start, end = rows[order], code[order], start[order], end[order]
        fresh = np.ones(len(rows), dtype=bool)
        fresh[1:] = (code[1:] != code[:-1]) | (start[1:] != start[:-1]) | (end[1:] != end[:-1])
        final = regions_table(chroms.take(code[fresh]), start[fresh], end[fresh])
        equal = np.flatnonzero(~fresh)  # to the window before
        first, again = rows[fresh], rows.take(equal)
        target = equal - np.arange(1, len(equal) + 1)
        left_out["equal to another window (merged)"] = len(equal)
        opened = {}
        for cell in cells:
            opened[cell] = self.open[cell].take(first)
            opened[cell][target[self.open[cell].take(again)]] = True
        windows = replace(self, regions=final, open=opened, notes=tuple(notes))
        return windows, {why: n for why, n in left_out.items() if n}


def _is_sorted(*keys: NDArray[np.integer]) -> bool:
    """Whether rows ascend by keys, the first of which counts most."""
    level = np.ones(len(keys[0]) - 1, dtype=bool)
    for key in keys:
        if (level & (key[1:] < key[:-1])).any():
            return False
        level &= key[1:] == key[:-1]
    return True


def _check_places(chrom: NDArray[np.object_], end: NDArray[np.int64]) -> None:
    """Refuse positions that no chromosome has: chromosomes are laid end to end later."""
    if len(end) and int(end.max()) > _FARTHEST:
        i = int(end.argmax())
        raise InputError(
            f"open regions: expected positions below {_FARTHEST:,}, found {end[i]:,} on {chrom[i]}"
        )


def _nothing_excluded(regions: pd.DataFrame, table: pd.DataFrame) -> str:
    path = getattr(regions.attrs.get("read"), "path", None)
    here, there = name_chroms(regions["chrom"]), name_chroms(table["chrom"])
    return (
        f"warning: {path or 'the blacklist'} excludes nothing: none of its {len(regions):,} "
        f"regions touches an open region (it is on {here}; the open regions are on {there})"
    )


def name_chroms(chroms: Iterable[str], n: int = 4) -> str:
    """Word the first few distinct chromosome names for a message."""
    names = sorted(set(chroms))
    return ", ".join(names[:n]) + (f", … ({len(names)} in all)" if len(names) > n else "")


def read_chrom_sizes(path: str | os.PathLike[str]) -> dict[str, int]:
    """Read chromosome lengths: name, tab, length (``.chrom.sizes`` or a FASTA's ``.fai``)."""
    sizes: dict[str, int] = {}
    with open_text(path) as handle:
        for number, line in enumerate(handle, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            fields = line.rstrip("\r\n").split("\t")
            if len(fields) < 2 or not re.fullmatch("[0-9]{1,15}", fields[1]):
                raise InputError(
                    f"{path}, line {number}: expected a chromosome and its length with a tab "
                    f"between, found {line.strip()[:60]!r}"
                )
            size = int(fields[1])
            if sizes.setdefault(fields[0], size) != size:
                raise InputError(
                    f"{path}, line {number}: {shown(fields[0])} is there twice, with "
                    f"{sizes[fields[0]]:,} and {size:,} bp"
                )
    if not sizes:
        raise InputError(f"{path}: expected chromosomes and their lengths, found none")
    return sizes
