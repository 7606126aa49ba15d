"""Where the known motifs are: scanned here, or a user's own BED or bigBed of sites."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.genome.bed import read_bed
from cistransfer.genome.intervals import merge
from cistransfer.interpretation.enrichment import sites_in_regions
from cistransfer.motifs.hits import find_hits
from cistransfer.motifs.pwm import PWM
from cistransfer.storage import open_bytes

__all__ = ["check_sites", "motif_sites", "read_sites"]

_BIGBED = (0x8789F2EB).to_bytes(4, "little"), (0x8789F2EB).to_bytes(4, "big")


def motif_sites(
    codes: NDArray[np.uint8], pwms: Sequence[PWM], *, p_value: float = 1e-5
) -> pd.DataFrame:
    """Sites of known motifs in sequences; the strand is ignored.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
    pwms : sequence of PWM
        A site is named by the motif's second name (the TF in JASPAR), else by its first. Sites
        of one name at one place count once.
    p_value : float
        Threshold of `cistransfer.motifs.hits.find_hits`; 1e-5 as published.

    Returns
    -------
    DataFrame
        ``sequence`` (row of ``codes``), ``name``, ``start``, ``end`` (within the sequence).
    """
    scanned = find_hits(codes, pwms, p_value=p_value)
    names = np.array([pwm.label for pwm in pwms], dtype=object)
    return pd.DataFrame(
        {
            "sequence": scanned["sequence"].to_numpy(),
            "name": names[scanned["pwm"].to_numpy()],
            "start": scanned["start"].to_numpy(),
            "end": scanned["end"].to_numpy(),
        }
    ).drop_duplicates(ignore_index=True)


def read_sites(
    path: str | os.PathLike[str], regions: pd.DataFrame, *, p_value: float = 1e-5
) -> tuple[pd.DataFrame, str]:
    """Sites of a user's BED or bigBed file in regions.

    Parameters
    ----------
    path : path
        BED with the motif's name in column 4, or bigBed. A bigBed with a field ``TFName`` (the
        genome-wide sites of JASPAR) names its motifs there, and its scores are −100 · log10 p:
        sites above ``p_value`` are left out (a score of 500 is p = 1e-5, as published).
    regions : DataFrame
        chrom, start, end.

    Returns
    -------
    sites : DataFrame
        As from `cistransfer.interpretation.enrichment.sites_in_regions`.
    what : str
        Words for the summary.
    """
    place = Path(path)
    if _is_big_bed(place):
        table, what = _big_bed(place, regions, p_value)
    else:
        table, what = read_bed(path), f"sites of {path}"
        if "name" not in table:
            raise InputError(f"{path}: expected the motif's name in column 4, found 3 columns")
    return sites_in_regions(table, regions), what


def check_sites(path: str | os.PathLike[str]) -> None:
    """Refuse a bigBed where what reads it is not installed."""
    if _is_big_bed(Path(path)):
        _pybigtools(Path(path))


def _pybigtools(path: Path) -> Any:
    try:
        return import_module("pybigtools")
    except ImportError as error:
        raise InputError(
            f"{path}: reading bigBed needs pybigtools (pip install 'cistransfer[bigbed]'); "
            f"or convert it: bigBedToBed {path.name} {path.stem}.bed"
        ) from error


def _is_big_bed(path: Path) -> bool:
    with open_bytes(path) as handle:
        return handle.read(4) in _BIGBED


def _big_bed(path: Path, regions: pd.DataFrame, p_value: float) -> tuple[pd.DataFrame, str]:
    pybigtools = _pybigtools(path)
    try:
        opened = pybigtools.open(str(path))
        sizes = opened.chroms()
        fields = [field[0] for field in opened.sql(parse=True)["fields"]]
    except Exception as error:  # the library has an exception of its own for each kind of damage
        raise InputError(f"{path}: not a readable bigBed file ({error})") from error
    rest = fields[3:]
    of_jaspar = "TFName" in rest
    name = rest.index("TFName") if of_jaspar else 0
    score = rest.index("score") if of_jaspar and "score" in rest else None
    least = -100 * np.log10(p_value) - 1e-9
    rows: list[tuple[str, int, int, str]] = []
    for chrom, start, end in merge(regions)[0].itertuples(index=False, name=None):
        if chrom not in sizes:
            continue
        for entry in _records(opened, path, chrom, start, min(end, sizes[chrom])):
            words: Sequence[Any] = entry[2:]
            if len(words) <= name:
                raise InputError(
                    f"{path}: expected the motif's name in column {name + 4}, found "
                    f"{len(words) + 3} columns"
                )
            if score is None or float(words[score]) >= least:
                rows.append((chrom, int(entry[0]), int(entry[1]), str(words[name])))
    if not set(regions["chrom"]) & set(sizes):
        raise InputError(
            f"{path}: no chromosome of the sequences is in the file; it has "
            f"{', '.join(list(sizes)[:3])}…, the sequences {regions['chrom'].iloc[0]}"
        )
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", "name"])
    return table, f"sites of {path}" + (f" at p ≤ {p_value:g}" if score is not None else "")


def _records(opened: Any, path: Path, chrom: str, start: int, end: int) -> list[Any]:
    try:
        return list(opened.records(chrom, start, end)) if end > start else []
    except Exception as error:  # the same
        raise InputError(f"{path}: cannot read {chrom}:{start}-{end} ({error})") from error
