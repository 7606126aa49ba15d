"""Examples of sequences or regions that carry the name of their class.

What ChromTransfer's ``finetune.py`` and ``finetune-from-bed.py`` read: FASTA records
``>CLASS::chrom:start-end`` (or BED with the class in column 4) and the name of the positive class.
Lower-case sequence counts; sequences with N are dropped and counted.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.examples.assemble import fetch_known
from cistransfer.examples.balance import in_genome_order, ratio_reached, require_both
from cistransfer.examples.dataset import ExampleSet
from cistransfer.examples.leakage import leaking
from cistransfer.examples.split import Split, assign_parts, settle_split, widen_split
from cistransfer.genome.bed import read_bed, regions_table
from cistransfer.genome.codes import decode, encode_many, has_n, reverse_complement
from cistransfer.genome.fasta import Sequences, place_of, read_fasta
from cistransfer.genome.intervals import centre_windows

__all__ = ["bed_examples", "fasta_examples", "labelled_fasta"]

PathLike = str | os.PathLike[str]
Codes = NDArray[np.uint8]


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
            raise InputError(f"{record}: names {end - start} bp but holds {len(sequence)}")
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


def fasta_examples(
    path: PathLike,
    positive: str,
    *,
    window: int | None = None,
    split: Split | None = None,
    trunk_split: Split | None = None,
    trunk_regions: pd.DataFrame | None = None,
    guard: str | None = None,
    seed: int = 1,
) -> ExampleSet:
    """Make examples of a FASTA file whose headers begin with a class (``>CLASS::chrom:start-end``).

    Where a header names no place, a record is known by its sequence, on either strand: its
    ``chrom`` is a hash of that. What a trunk has seen cannot be told then, and the leakage guard
    is off (so the record says).

    Parameters
    ----------
    path : path
    positive : str
        The class that is 1; all others are 0.
    window : int, optional
        Cut this many bp out of the middle of longer sequences (the trunk's window).
    split : Split, optional
        By default the trunk's, or chromosomes, where every header names a place; else at random.
    trunk_split, trunk_regions, guard
        As in `peak_examples`.
    seed : int
        Of the split at random where none is given.

    Returns
    -------
    ExampleSet
        One task, ``positive``; ``regions["source"]`` is the class.

    Raises
    ------
    InputError
        For a class that no record has, sequences shorter than the window, a sequence that is in
        both classes, a guard where headers name no place, and when a part lacks one of them.
    """
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
    if not placed:
        if split is not None and split.by != "random":
            raise InputError(
                f"{path}: not every header names a place ('>CLASS::chrom:start-end'); such "
                "sequences can only be split at random"
            )
        if trunk_regions is not None:
            if guard not in (None, "off"):
                raise InputError(
                    f"{path}: not every header names a place ('>CLASS::chrom:start-end'); the "
                    f"guard {guard!r} needs them (give places, or off)"
                )
            guard = "off"
        split = split or Split(by="random", seed=seed)
        trunk_split = None
    clean = ~has_n(codes)
    if not clean.any():
        raise InputError(f"{path}: every one of its {len(codes):,} sequences holds an N")
    regions, codes = regions[clean].reset_index(drop=True), codes[clean]
    if not placed:
        regions = regions.assign(chrom=_identities(codes), start=0, end=codes.shape[1])
    return _of_names(
        regions,
        codes,
        positive,
        path,
        {"with_n": int((~clean).sum())},
        os.path.basename(path),
        placed=placed,
        split=split,
        trunk_split=trunk_split,
        trunk_regions=trunk_regions,
        guard=guard,
    )


def _identities(codes: Codes) -> list[str]:
    """A hash of each sequence, the same for its reverse complement."""
    return [
        hashlib.sha256(min(plus.tobytes(), minus.tobytes())).hexdigest()
        for plus, minus in zip(codes, reverse_complement(codes), strict=True)
    ]


def bed_examples(
    path: PathLike,
    sequences: Sequences,
    positive: str,
    *,
    window: int,
    split: Split | None = None,
    trunk_split: Split | None = None,
    trunk_regions: pd.DataFrame | None = None,
    guard: str | None = None,
) -> ExampleSet:
    """Make examples of a BED file whose column 4 is a class: windows on the regions' centres.

    Parameters
    ----------
    path : path
    sequences : Sequences
    positive : str
        The class that is 1; all others are 0.
    window : int
        In bp.
    split, trunk_split, trunk_regions, guard
        As in `fasta_examples`.

    Raises
    ------
    InputError
        As `fasta_examples`, and for a file without column 4.
    """
    listed = read_bed(path)
    if "name" not in listed:
        raise InputError(f"{path}: expected the class of each region in column 4, found 3 columns")
    windows = centre_windows(listed, window)
    kept, codes, dropped = fetch_known(windows, sequences)
    return _of_names(
        windows.iloc[kept].reset_index(drop=True),
        codes,
        positive,
        path,
        dropped,
        sequences.name,
        split=split,
        trunk_split=trunk_split,
        trunk_regions=trunk_regions,
        guard=guard,
    )


def _of_names(
    regions: pd.DataFrame,
    codes: Codes,
    positive: str,
    path: PathLike,
    dropped: dict[str, int],
    genome: str,
    *,
    placed: bool = True,
    split: Split | None,
    trunk_split: Split | None,
    trunk_regions: pd.DataFrame | None,
    guard: str | None,
) -> ExampleSet:
    classes = Counter(regions["name"])
    if positive not in classes:
        raise InputError(f"{path}: no class {positive!r}; {nearest(positive, classes)}")
    if len(classes) < 2:
        raise InputError(f"{path}: every sequence is of class {positive!r}; others are needed too")
    ones = regions["name"].to_numpy() == positive
    place = ["chrom", "start", "end"]
    both = regions.assign(one=ones).groupby(place, sort=False)["one"].nunique() > 1
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
    again = regions.duplicated(place).to_numpy()
    regions, codes, ones = regions[~again], codes[~again], ones[~again]
    if split is None and trunk_split is not None and trunk_regions is not None:
        split = widen_split(trunk_split, regions["chrom"], trunk_regions["chrom"].unique())
        if not split.valid or not split.test:
            lacking = "validation" if not split.valid else "test"
            found = sorted(set(regions["chrom"]))
            raise InputError(
                f"{path}: no chromosome for {lacking}: the trunk's are {_list(trunk_split.valid)} "
                f"for validation and {_list(trunk_split.test)} for test, found {_list(found)}; "
                "name others with --valid-chroms and --test-chroms"
            )
    split = settle_split(split, regions["chrom"])
    guard = guard or ("heldout" if split.by == "chromosome" else "all")
    parts = assign_parts(regions, split)
    leaks = leaking(regions, parts, trunk_regions, guard)
    stay = ~leaks
    table = regions.assign(part=parts, source=regions["name"])[stay].reset_index(drop=True)
    labels = ones[stay].astype(np.int8)[:, None]
    require_both(table, labels[:, 0], split, f"of {positive}", "of other classes")
    facts: dict[str, Any] = {
        "source": "sequences with the name of their class",
        "positive": positive,
        "classes": dict(sorted(classes.items())),
        "ratio_reached": ratio_reached(table, labels[:, 0]),
        "guard": guard,
        "genome": genome,
        "split": split.as_dict(),
        "dropped": {
            **dropped,
            "there_before": int(again.sum()),
            "seen_by_trunk": int(leaks.sum()),
        },
    }
    return in_genome_order(codes[stay], labels, table, (positive,), facts)


def _list(chroms: Sequence[str]) -> str:
    return ", ".join(chroms[:6]) + ", …" * (len(chroms) > 6)
