"""Candidates with the name of their class: sequences of a FASTA file, regions of a BED file."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cistransfer.errors import InputError, nearest
from cistransfer.examples.candidates import Candidates, Codes, Placing, fetch_known
from cistransfer.genome.bed import read_bed, regions_table
from cistransfer.genome.codes import decode, encode_many, has_n, reverse_complement
from cistransfer.genome.fasta import Sequences, place_of, read_fasta, words_of_length
from cistransfer.genome.intervals import centre_windows

if TYPE_CHECKING:
    from cistransfer.examples.sources import FromFasta, FromRegions

__all__ = ["labelled_fasta", "of_fasta", "of_regions"]

PathLike = str | os.PathLike[str]
_PLACE = ["chrom", "start", "end"]


def labelled_fasta(path: PathLike) -> tuple[pd.DataFrame, Codes, bool]:
    """Read sequences of one length and the class of each, the header's text before the first ``:``.

    Parameters
    ----------
    path : path
        FASTA, plain or gzip, lines of any width.

    Returns
    -------
    regions : DataFrame
        Region table with ``name`` (the class). A record whose header names no place gets a
        chromosome of its own.
    codes : ndarray of uint8, shape (n, length)
        On the plus strand.
    placed : bool
        Whether every header names a place.

    Raises
    ------
    InputError
        For a malformed file, records of several lengths, a place of another length than its
        sequence; names the record.
    """
    names: list[str] = []
    texts: list[str] = []
    chroms, starts, ends, minus = [], [], [], []
    placed = True
    for number, (header, sequence) in enumerate(read_fasta(path), start=1):
        record = f"{path}, record {number} ('>{header[:60]}')"
        if texts and len(sequence) != len(texts[0]):
            raise InputError(
                f"{record}: expected {len(texts[0])} bp like the first record, found "
                f"{len(sequence)}; a network is trained on sequences of one length"
            )
        place = place_of(header)
        if place is None:
            placed = False
            chrom, start, end, reverse = f"record {number}", 0, len(sequence), False
        else:
            chrom, start, end, reverse = place
        if end - start != len(sequence):
            raise InputError(f"{record}: {words_of_length(end - start, len(sequence))}")
        names.append(header.split(":", 1)[0].strip())
        chroms.append(chrom)
        starts.append(start)
        ends.append(end)
        minus.append(reverse)
        texts.append(sequence)
    codes = encode_many(texts)
    flip = np.flatnonzero(minus)
    codes[flip] = reverse_complement(codes[flip])
    return regions_table(chroms, starts, ends, name=names), codes, placed


def of_fasta(source: FromFasta, window: int | None) -> Candidates:
    """Records of a FASTA file, each once; without places they are known by their sequence."""
    path = source.fasta
    regions, codes, placed = labelled_fasta(path)
    width = codes.shape[1]
    if window is not None and window != width:
        if width < window:
            raise InputError(
                f"{path}: its sequences are {width} bp long; the network reads {window} bp"
            )
        regions = centre_windows(regions, window)
        left = width // 2 - window // 2
        codes = codes[:, left : left + window]
    clean = ~has_n(codes)
    if not clean.any():
        raise InputError(f"{path}: every one of its {len(codes):,} sequences holds an N")
    regions, codes = regions[clean].reset_index(drop=True), codes[clean]
    if not placed:
        regions = regions.assign(chrom=_identities(codes), start=0, end=codes.shape[1])
    dropped = {"with_n": int((~clean).sum())}
    return _of_names(regions, codes, source.positive, path, dropped, os.path.basename(path), placed)


def _identities(codes: Codes) -> list[str]:
    """A hash of each sequence, the same for its reverse complement."""
    return [
        hashlib.sha256(min(plus.tobytes(), minus.tobytes())).hexdigest()
        for plus, minus in zip(codes, reverse_complement(codes), strict=True)
    ]


def of_regions(source: FromRegions, sequences: Sequences, window: int) -> Candidates:
    """Windows on the centres of regions whose column 4 is a class, each once."""
    path, placing = source.labelled, Placing(sequences)
    listed = placing(read_bed(path, source.columns), os.path.basename(path))
    if "name" not in listed:
        raise InputError(f"{path}: expected the class of each region in column 4, found 3 columns")
    windows = centre_windows(listed, window)
    kept, codes, dropped = fetch_known(windows, sequences)
    regions = windows.iloc[kept].reset_index(drop=True)
    found = _of_names(regions, codes, source.positive, path, dropped, sequences.name, True)
    return replace(found, facts={**found.facts, "inputs": placing.inputs})


def _of_names(
    regions: pd.DataFrame,
    codes: Codes,
    positive: str,
    path: PathLike,
    dropped: dict[str, int],
    genome: str,
    placed: bool,
) -> Candidates:
    classes = Counter(regions["name"])
    if positive not in classes:
        raise InputError(f"{path}: no class {positive!r}; {nearest(positive, classes)}")
    if len(classes) < 2:
        raise InputError(f"{path}: every sequence is of class {positive!r}; others are needed too")
    ones = regions["name"].to_numpy() == positive
    both = regions.assign(one=ones).groupby(_PLACE, sort=False)["one"].nunique() > 1
    if both.any():
        chrom, start, end = both.index[both.to_numpy()][0]
        what = f"{chrom}:{start}-{end}"
        if not placed:
            row = int(np.flatnonzero(regions["chrom"] == chrom)[0])
            what = f"the sequence {decode(codes[row, :30])}{'…' * (codes.shape[1] > 30)}"
        raise InputError(
            f"{path}: {what} is there both as {positive} and as another class "
            f"({int(both.sum()):,} such {'places' if placed else 'sequences'})"
        )
    again = regions.duplicated(_PLACE).to_numpy()
    once = regions[~again].reset_index(drop=True)
    return Candidates(
        once[_PLACE],
        ones[~again].astype(np.int8)[:, None],
        once["name"].to_numpy(dtype=object),
        (positive,),
        {
            "source": "sequences with the name of their class",
            "file": os.path.basename(path),
            "positive": positive,
            "classes": dict(sorted(classes.items())),
            "genome": genome,
        },
        codes=codes[~again],
        dropped={**dropped, "there_before": int(again.sum())},
        words=(f"of {positive}", "of other classes"),
        placed=placed,
    )
