"""Regions that examples may be made of, by the names of a genome, with or without a sequence."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.genome.assemblies import assembly_called, place, recognise
from cistransfer.genome.bed import as_regions
from cistransfer.genome.codes import has_n
from cistransfer.genome.fasta import Sequences, open_sequences

__all__ = ["Candidates", "Placing", "as_sequences", "fetch_known", "no_sequence"]

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

    def compare(self, assembly: str | None, what: str) -> None:
        """Warn where a model was trained on another assembly than that of the genome."""
        trained = assembly_called(assembly)
        if trained is not None and self.assembly is not None and trained != self.assembly:
            self.warn(
                f"{what} was trained on {trained}, and {self.sequences.name} is {self.assembly}: "
                "how well it does there was not measured"
            )

    def warn(self, text: str) -> None:
        """Put a warning on the record of the last input."""
        if not self.inputs:
            self.inputs.append({})
        self.inputs[-1]["warnings"] = [*self.inputs[-1].get("warnings", []), text]


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
