"""Regions that examples may be made of: from a matrix, peaks, and files with names of classes."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.binding.matrix import BindingMatrix, open_matrix
from cistransfer.errors import InputError, nearest
from cistransfer.examples.sources import MIN_BESIDE
from cistransfer.genome.assemblies import place, recognise
from cistransfer.genome.bed import as_regions, read_bed, regions_table
from cistransfer.genome.codes import decode, encode_many, has_n, reverse_complement
from cistransfer.genome.fasta import Sequences, open_sequences, place_of, read_fasta
from cistransfer.genome.intervals import centre_windows, overlaps_any, sort_regions
from cistransfer.openness.background import sample_background

if TYPE_CHECKING:
    from cistransfer.examples.sources import FromFasta, FromMatrix, FromPeaks, FromRegions, FromTFs

__all__ = [
    "Candidates",
    "Placing",
    "as_sequences",
    "fetch_known",
    "labelled_fasta",
    "no_sequence",
    "of_fasta",
    "of_matrix",
    "of_peaks",
    "of_regions",
    "of_tfs",
]

LEAST_IN_OPEN = 0.2
"""Of the peaks of most TFs well over half lie in open regions; fewer than this is said."""

TILES, TILES_PER_PEAK = 100_000, 40
"""Tiles of the genome that stand in for open regions: at least so many, and so many per peak."""

MOST_IN_OPEN = 0.9
"""Where so many peaks lie in open regions, nothing is said whatever lies beside them."""

BESIDE = 10_000
"""How far beside a peak nothing of it is left (bp)."""

PathLike = str | os.PathLike[str]
Codes = NDArray[np.uint8]
_PLACE = ["chrom", "start", "end"]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Regions that examples may be made of, with their labels.

    Attributes
    ----------
    regions : DataFrame
        Region table of n windows of one width.
    labels : ndarray of int8, shape (n, tasks)
        1 bound, 0 unbound, −1 unresolved.
    source : ndarray of str, shape (n,)
        What each is (``bound``, ``peak``, ``tile``, a class …).
    tasks : tuple of str
    facts : dict
        How they were found, for the record.
    codes : ndarray of uint8, shape (n, width), optional
        Their sequences, without N, where the source has read them.
    dropped : dict of str → int
        What is not among them, and why.
    words : tuple of str and str, optional
        What the two classes are called in messages: both are needed in every part. None where
        there are several tasks.
    voters : DataFrame, optional
        Regions whose numbers choose chromosomes; by default the candidates, and to fit a trunk's
        split those that are bound.
    folds : DataFrame, optional
        Regions of which folds are made; by default the voters.
    together : tuple of DataFrame and ndarray of int64, optional
        Regions that are sent to parts as one, and the row of each candidate among them: so a
        window is in one part of several example sets.
    test : tuple of str
        Chromosomes that test where the split is open and there are regions enough.
    background : Sequences, optional
        Where negatives get their bases from, if not from where the positives do.
    placed : bool
        Whether the regions are places of a genome.
    """

    regions: pd.DataFrame
    labels: NDArray[np.int8]
    source: NDArray[np.object_]
    tasks: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    codes: Codes | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    words: tuple[str, str] | None = ("bound", "unbound")
    voters: pd.DataFrame | None = None
    folds: pd.DataFrame | None = None
    together: tuple[pd.DataFrame, NDArray[np.int64]] | None = None
    test: tuple[str, ...] = ()
    background: Sequences | None = None
    placed: bool = True

    def __post_init__(self) -> None:
        n = len(self.regions)
        lengths = {len(self.labels), len(self.source)}
        lengths |= {n} if self.codes is None else {len(self.codes)}
        if lengths != {n} or self.labels.shape[1:] != (len(self.tasks),):
            raise InputError(
                f"candidates: expected a label of each of {len(self.tasks)} tasks and a source for "
                f"each of {n:,} regions, found labels {self.labels.shape} and {len(self.source):,} "
                "sources"
            )

    def take(self, rows: NDArray[np.int64]) -> Candidates:
        """Some of them, in this order."""
        together = self.together
        return replace(
            self,
            regions=self.regions.iloc[rows].reset_index(drop=True),
            labels=self.labels[rows],
            source=self.source[rows],
            codes=None if self.codes is None else self.codes[rows],
            together=None if together is None else (together[0], together[1][rows]),
        )


def as_sequences(given: PathLike | Sequences) -> Sequences:
    """A source of sequences, opened where it is a path."""
    return open_sequences(given) if isinstance(given, str | os.PathLike) else given


@dataclass
class Placing:
    """Brings the inputs of one run to the chromosome names of its genome, and counts.

    Attributes
    ----------
    sequences : Sequences
    inputs : list of dict
        Of each input what `cistransfer.genome.assemblies.Placed` says, for the record.
    """

    sequences: Sequences
    inputs: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.assembly = recognise(self.sequences.chromosomes)

    def __call__(
        self, given: PathLike | pd.DataFrame, what: str, *, needed: bool = True
    ) -> pd.DataFrame:
        """A region table with the genome's names (see `cistransfer.genome.assemblies.place`)."""
        return self.table(as_regions(given), what, needed=needed)

    def table(self, read: pd.DataFrame, what: str, *, needed: bool = True) -> pd.DataFrame:
        """The same of a region table, which may run off its chromosomes (windows)."""
        table, placed = place(
            read,
            self.sequences.chromosomes,
            what,
            genome=self.sequences.name,
            assembly=self.assembly,
            needed=needed,
        )
        how = {"read": read.attrs["read"].line()} if "read" in read.attrs else {}
        self.inputs.append({**placed.as_dict(), **how, "line": placed.line()})
        return table

    def warn(self, text: str) -> None:
        """Put a warning on the record of the last input."""
        self.inputs[-1]["warnings"] = [*self.inputs[-1].get("warnings", []), text]


def _as_matrix(given: PathLike | BindingMatrix) -> BindingMatrix:
    return given if isinstance(given, BindingMatrix) else open_matrix(given)


def fetch_known(
    regions: pd.DataFrame, sequences: Sequences
) -> tuple[NDArray[np.int64], Codes, dict[str, int]]:
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
    with_n = int((~clean).sum())
    if not clean.any() and len(regions):
        raise no_sequence(regions, sequences, with_n)
    dropped = {"no_sequence": len(regions) - len(found), "with_n": with_n}
    return found[clean], codes[clean], dropped


def no_sequence(regions: pd.DataFrame, sequences: Sequences, with_n: int = 0) -> InputError:
    """The refusal of regions none of which has a sequence."""
    chrom, start, end = regions[_PLACE].iloc[0]
    return InputError(
        f"{sequences.name}: none of the {len(regions):,} regions has a usable sequence "
        f"({len(regions) - with_n:,} on unknown chromosomes or off their ends, "
        f"{with_n:,} with N); the first is {chrom}:{start}-{end}: "
        "is this the right genome assembly?"
    )


def of_matrix(source: FromMatrix, placing: Placing, window: int | None) -> Candidates:
    """Bound and then unbound regions of one TF of a matrix; chromosomes are chosen among all."""
    matrix = _as_matrix(source.matrix)
    rule = source.rule or matrix.default_rule
    states = _states(matrix, [source.tf], rule, source)[:, 0]
    table, facts = _windows(matrix, source, placing, window)
    rows = np.concatenate([np.flatnonzero(states == 1), np.flatnonzero(states == 0)])
    return Candidates(
        table.iloc[rows].reset_index(drop=True),
        states[rows][:, None],
        np.where(states[rows] == 1, "bound", "unbound").astype(object),
        (source.tf,),
        {"source": matrix.name, "rule": rule, **facts, "inputs": placing.inputs},
        voters=table,
    )


def _states(
    matrix: BindingMatrix, tfs: list[str], rule: str, source: FromMatrix | FromTFs
) -> NDArray[np.int8]:
    """States of TFs over all cells, or in one cell where they are (not) resolved in others."""
    if source.cell is None:
        return matrix.states(tfs, rule=rule)
    for cell in (source.cell, *source.also_in):
        for tf in tfs:
            if cell in matrix.cells and cell not in (own := matrix.cells_of(tf)):
                raise InputError(f"{matrix.path}: {tf} is assayed in {', '.join(own)}, not {cell}")
    states = matrix.states(tfs, rule=rule, cells=source.cell)
    for cell in source.also_in:
        states[matrix.states(tfs, rule=rule, cells=cell) < 0] = -1
    for cell in source.not_in:
        states[matrix.states(tfs, rule=rule, cells=cell) >= 0] = -1
    if not (states >= 0).any():
        where = [f"also in {', '.join(source.also_in)}"] if source.also_in else []
        where += [f"not in {', '.join(source.not_in)}"] if source.not_in else []
        raise InputError(
            f"{matrix.path}: no region is resolved for {', '.join(tfs[:3])} in {source.cell} "
            f"({' and '.join(where) or 'rule ' + rule})"
        )
    return states


def _windows(
    matrix: BindingMatrix, source: FromMatrix | FromTFs, placing: Placing, window: int | None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Windows of a matrix's regions by the genome's names, and what is recorded of the choice."""
    table = placing(matrix.regions, f"regions of {matrix.name}")
    facts: dict[str, Any] = {}
    if source.cell is not None:
        facts = {"cell": source.cell, "also_in": [*source.also_in], "not_in": [*source.not_in]}
    width = source.window or max(window or 0, matrix.window)
    if width != matrix.window:
        table = centre_windows(table, width)
        facts["window_of_labels"] = matrix.window
    return table, facts


def of_tfs(source: FromTFs, placing: Placing, window: int | None, seed: int) -> Candidates:
    """Regions of a matrix that are resolved for several TFs; folds are made of all its regions."""
    matrix = _as_matrix(source.matrix)
    for name in set(source.exclude) - set(matrix.tfs):
        raise InputError(f"{matrix.path}: no TF {name!r} to leave out; {nearest(name, matrix.tfs)}")
    tfs = [name for name in source.tfs or matrix.tfs if name not in source.exclude]
    if not tfs or len(set(tfs)) != len(tfs):
        raise InputError(f"expected different TFs to train on, found {tfs}")
    common = source.regions == "common"
    rule = source.rule or ("less-sparse" if common and matrix.has_tfbs else matrix.default_rule)
    states = _states(matrix, tfs, rule, source)
    known = states >= 0
    wanted = known.all(axis=1) if common else known.any(axis=1)
    others = [name for name in source.common_with if name not in tfs]
    if others:
        wanted &= (_states(matrix, others, rule, source) >= 0).all(axis=1)
    rows = np.flatnonzero(wanted)
    if not len(rows):
        raise InputError(
            f"no region is resolved for all of {', '.join([*tfs, *others])}; drop the TF assayed "
            "in the fewest cells, or train on every resolved region (--region-set resolved)"
        )
    table, facts = _windows(matrix, source, placing, window)
    most = source.max_regions
    if most is not None and len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
    further, columns = _beside(matrix, tfs, rule, source.beside, rows)
    return Candidates(
        table.iloc[rows].reset_index(drop=True),
        np.concatenate([states[rows], *columns], axis=1),
        np.full(len(rows), "matrix", dtype=object),
        (*tfs, *further),
        {
            "source": matrix.name,
            "regions": source.regions,
            "rule": rule,
            "most": most,
            **({"common_with": list(source.common_with)} if source.common_with else {}),
            **({"beside": further} if further else {}),
            **facts,
            "inputs": placing.inputs,
        },
        words=None,
        folds=table,
    )


def _beside(
    matrix: BindingMatrix,
    tfs: list[str],
    rule: str,
    kinds: tuple[str, ...],
    rows: NDArray[np.int64],
) -> tuple[list[str], list[NDArray[np.int8]]]:
    """Further tasks on regions, in the order of `BESIDE`: their names, and their labels."""
    names: list[str] = []
    columns: list[NDArray[np.int8]] = []
    if "experiments" in kinds:
        view = matrix.view("cells", rule, tfs=tfs)
        states = view.array()[rows]
        many = (states == 1).sum(axis=0) >= MIN_BESIDE
        names += [name for name, taken in zip(view.labels, many, strict=True) if taken]
        columns.append(states[:, many])
    if "openness" in kinds:
        names += [f"open@{cell}" for cell in matrix.cells]
        columns.append(matrix.accessible()[rows].astype(np.int8))
    return names, columns


def of_peaks(source: FromPeaks, placing: Placing, window: int, seed: int) -> Candidates:
    """Windows on the summits of peaks, and on open regions without a peak.

    Bound: a window on each peak's summit (its midpoint without one); windows that occur twice are
    kept once. Unbound: windows on the centres of open regions, where neither the open region nor
    the window overlaps a peak or a bound window; without open regions, tiles of the genome.
    """
    peaks = placing(as_regions(source.peaks, source.columns), "peaks")
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
        if warning := _unlike_peaks(peaks, opened, float(in_open.mean())):
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


def _names(regions: pd.DataFrame) -> str:
    names = list(dict.fromkeys(np.asarray(regions["chrom"])))
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


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
