"""Where the regions of the published arrays are: an index, FASTA headers, or the DHS."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.binding.published.indices import read_region_index
from cistransfer.errors import InputError, nearest
from cistransfer.genome.bed import regions_table
from cistransfer.genome.fasta import place_of, read_fasta
from cistransfer.openness.options import OpenOptions
from cistransfer.openness.read import open_form, read_open
from cistransfer.openness.regions import OpenRegions

__all__ = ["WINDOW", "region_places"]

PathLike = str | os.PathLike[str]
Read = list[tuple[str, PathLike]]

WINDOW = 200
"""Width of the published regions in bp."""

_FASTA = re.compile(r"^sequences\.(?P<width>\d+)bp\.(?P<chrom>.+)\.fa(\.gz)?$")


def region_places(
    place: Path, cells: Iterable[str], dhs: OpenOptions | None = None
) -> tuple[pd.DataFrame, NDArray[np.int64], Read]:
    """Places of the regions of a release, sorted, their indices, and what was read for them.

    Parameters
    ----------
    place : path
        Folder of the release: ``regions_idx.pickle.gz``, or ``sequences.<L>bp.<chrom>.fa.gz``,
        whose headers tell those of their chromosomes.
    cells : iterable of str
        Of the release.
    dhs : OpenOptions, optional
        UCSC's clustered DHS: windows on all that are open in one of the cells are the regions, in
        their order. They have to be those of the FASTA headers, where there are any.

    Raises
    ------
    InputError
        When places are missing, malformed, or differ between the two.
    """
    if dhs is not None:
        return _from_dhs(place, cells, dhs)
    pickled = place / "regions_idx.pickle.gz"
    read: Read = []
    if pickled.is_file():
        index = read_region_index(pickled)
        chrom, start, end = zip(*index, strict=True) if index else ((), (), ())
        table = regions_table(list(chrom), list(start), list(end), id=list(index.values()))
        read.append(("index", pickled))
    else:
        table, read = _from_fasta(place)
        if not len(table):
            raise InputError(
                f"{place}: the places of the regions are in none of regions_idx.pickle.gz and "
                "sequences.<L>bp.<chrom>.fa.gz, and no DHS are given (--open)"
            )
    table = table.sort_values(["chrom", "start", "end"], kind="stable", ignore_index=True)
    ids = table["id"].to_numpy(np.int64)
    return table[["chrom", "start", "end"]], ids, read


def _from_dhs(
    place: Path, cells: Iterable[str], dhs: OpenOptions
) -> tuple[pd.DataFrame, NDArray[np.int64], Read]:
    """The windows that the release was made on."""
    if dhs.open is None or open_form(dhs.open, with_sources=dhs.dhs_sources is not None) != "dhs":
        raise InputError(f"{dhs.open}: expected UCSC's clustered DHS table")
    found = read_open(dhs)
    for cell in cells:
        if cell not in found.open:
            raise InputError(
                f"{dhs.open}: the release's cell {cell!r} is none of its cells; "
                f"{nearest(cell, found.open)}"
            )
    chosen = OpenRegions(found.regions, {cell: found.open[cell] for cell in cells})
    windows, _ = chosen.windows(WINDOW, keep_closed=False)
    table = windows.regions
    headers, read = _from_fasta(place)
    known = headers[headers["id"] < len(table)]
    same = table.iloc[known["id"]].reset_index(drop=True)
    wrong = (known[["chrom", "start", "end"]].reset_index(drop=True) != same).any(axis=1)
    if len(known) < len(headers) or wrong.any():
        n = int(wrong.sum()) + len(headers) - len(known)
        raise InputError(
            f"{dhs.open}: {n:,} of the {len(headers):,} regions whose sequence is in {place} lie "
            "elsewhere by these DHS; the release was made of others"
        )
    return table, np.arange(len(table)), [*read, *found.files]


def _from_fasta(place: Path) -> tuple[pd.DataFrame, Read]:
    """Places out of FASTA headers: the narrowest files, and others cut to their width; or none."""
    found: dict[str, tuple[int, Path]] = {}
    for file in sorted(place.iterdir()):
        match = _FASTA.match(file.name)
        if match:
            width = int(match["width"])
            found[match["chrom"]] = min(found.get(match["chrom"], (width, file)), (width, file))
    if not found:
        return pd.DataFrame(columns=["chrom", "start", "end", "id"]), []
    window = min(width for width, _ in found.values())
    rows = []
    for width, file in found.values():
        for header, _ in read_fasta(file):
            number, _, _ = header.partition("::")
            found_place = place_of(header)
            if (
                found_place is None
                or not (number.isascii() and number.isdigit() and len(number) < 16)
                or found_place[2] - found_place[1] != width
            ):
                raise InputError(
                    f"{file}: expected headers '>index::chrom:start-end' of {width} bp, "
                    f"found '>{header[:60]}'"
                )
            start = found_place[1] + (width - window) // 2
            rows.append((found_place[0], start, start + window, int(number)))
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", "id"])
    if table["id"].duplicated().any():
        raise InputError(f"{place}: two FASTA records have the index {table['id'].mode()[0]}")
    return table, [("sequences", file) for _, file in found.values()]
