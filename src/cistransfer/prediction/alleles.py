"""Alleles of variants: placed on a genome, checked against it, each with what surrounds it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, shown
from cistransfer.genome.assemblies import (
    FEW_PLACED,
    Placed,
    check_assembly_names,
    match_names,
    recognise,
)
from cistransfer.genome.codes import N, decode, encode
from cistransfer.genome.fasta import Genome

__all__ = ["LETTERS", "NOTES", "Allele", "AllelesOnGenome", "VariantFacts"]

NOTES = {
    "ref_mismatch": "REF is not what the genome has there",
    "symbolic": "the allele is no sequence (`<DEL>`, a breakend, `*`, `.`)",
    "ambiguous": "the allele holds other letters than A, C, G, T",
    "no_sequence": "the chromosome is not in the genome, or the position is off its end",
    "too_long": "the allele does not fit the model's window",
    "unknown_bases": "the window holds N (scored all the same)",
}
"""Why an allele has no score, or what to know about it."""

LETTERS = re.compile(r"[ACGT]+", re.IGNORECASE)
"""What an allele that can be scored is made of."""


@dataclass
class VariantFacts:
    """What was read and what was left without a score; grows while variants are scored.

    Attributes
    ----------
    records, alleles, scored : int
    notes : dict
        Note → number of alleles (see `NOTES`).
    renamed : dict
        Chromosome as the VCF writes it → as the genome does, where they differ.
    placed, off_end : int
        Records whose reference allele lies on a chromosome, and over the end of one.
    chromosomes : dict
        Chromosome of the genome → records that lie on it.
    unknown : dict
        Chromosome that the genome lacks → records.
    inputs : list of dict
        Where the records lie, and warnings (`cistransfer.examples.candidates.Placing`).
    """

    records: int = 0
    alleles: int = 0
    scored: int = 0
    notes: dict[str, int] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    placed: int = 0
    off_end: int = 0
    chromosomes: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    inputs: list[dict[str, Any]] = field(default_factory=list)

    def line(self) -> str:
        """One line for a person.

        >>> VariantFacts(records=3, alleles=4, scored=3, notes={"symbolic": 1}).line()
        '3 records, 4 alternative alleles, 3 scored; symbolic: 1'
        """
        notes = ", ".join(f"{name}: {count:,}" for name, count in sorted(self.notes.items()))
        text = f"{self.records:,} records, {self.alleles:,} alternative alleles, "
        return f"{text}{self.scored:,} scored" + (f"; {notes}" if notes else "")


@dataclass(frozen=True)
class Allele:
    """An alternative allele and the reference around it.

    ``around`` holds the reference from ``left`` bases before the variant on; ``n_ref`` of its
    bases are replaced by ``alt``.
    """

    around: NDArray[np.uint8]
    left: int
    n_ref: int
    alt: NDArray[np.uint8]

    @property
    def kind(self) -> str:
        """``snv``, or ``other``."""
        return "snv" if self.n_ref == len(self.alt) == 1 else "other"

    def size(self, is_alt: bool) -> int:
        """Length of one of the two alleles."""
        return len(self.alt) if is_alt else self.n_ref

    def replaced(self) -> NDArray[np.uint8]:
        """The alternative sequence from the same base on."""
        return np.concatenate(
            [self.around[: self.left], self.alt, self.around[self.left + self.n_ref :]]
        )

    def sequence(self, is_alt: bool, reach: int) -> NDArray[np.uint8]:
        """One of the two alleles with ``reach`` bases on both sides."""
        codes = self.replaced() if is_alt else self.around
        return codes[self.left - reach : self.left + self.size(is_alt) + reach]

    def windows(
        self, window: int, shifts: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Reference (shifts, window) and alternative (anchors · shifts, window) sequences.

        An allele of another length is placed twice: its left flank as in the reference, and its
        right flank.
        """
        starts = self.left + self.n_ref // 2 - window // 2 + shifts
        ref = np.stack([self.around[s : s + window] for s in starts])
        codes, grown = self.replaced(), len(self.alt) - self.n_ref
        alt = [codes[s : s + window] for s in starts]
        if grown:
            alt += [codes[s + grown : s + grown + window] for s in starts]
        return ref, np.stack(alt)


class AllelesOnGenome:
    """Place the alternative alleles of VCF records, and cut out what surrounds them.

    Parameters
    ----------
    genome : Genome
    name : str
        The VCF's name, for messages.
    left, right : int
        Bases of the genome from the variant's first base on, to either side.
    longest : int
        Of an allele.

    Attributes
    ----------
    facts : VariantFacts
    """

    def __init__(self, genome: Genome, name: str, *, left: int, right: int, longest: int) -> None:
        self.genome = genome
        self.name = name
        self.left = left
        self.right = right
        self.longest = longest
        self.facts = VariantFacts()
        self._assembly = recognise(genome.sizes)

    def place(self, records: Sequence[tuple[int, Sequence[str]]]) -> pd.DataFrame:
        """One row per alternative allele, with a note where it cannot be scored.

        Parameters
        ----------
        records : sequence of (line number, fields)
            As `cistransfer.prediction.vcf.read_vcf` gives them.

        Returns
        -------
        DataFrame
            ``row`` (record), ``line``, ``chrom``, ``place`` (the genome's name of it), ``pos``
            (1-based), ``id``, ``ref``, ``alt``, ``note`` (see `NOTES`).
        """
        names = list(dict.fromkeys(fields[0] for _, fields in records))
        check_assembly_names(names, self._assembly, self.name, self.genome.name)
        match = match_names(names, self.genome.sizes, self.name)
        self.facts.renamed.update(match.renamed)
        rows = []
        for row, (line, fields) in enumerate(records):
            chrom, pos, ref = fields[0], int(fields[1]), fields[3]
            place = match.to.get(chrom)
            if place is None:
                self.facts.unknown[chrom] = self.facts.unknown.get(chrom, 0) + 1
            elif pos - 1 + len(ref) > self.genome.sizes[place]:
                self.facts.off_end += 1
            else:
                self.facts.placed += 1
                self.facts.chromosomes[place] = self.facts.chromosomes.get(place, 0) + 1
            for alt in fields[4].split(","):
                note = ""
                if not LETTERS.fullmatch(alt) or not LETTERS.fullmatch(ref):
                    note = "ambiguous" if alt.isalpha() and ref.isalpha() else "symbolic"
                elif max(len(ref), len(alt)) > self.longest:
                    note = "too_long"
                elif place is None or pos - 1 + len(ref) > self.genome.sizes[place]:
                    note = "no_sequence"
                rows.append((row, line, chrom, place, pos, fields[2], ref, alt, note))
        names = ["row", "line", "chrom", "place", "pos", "id", "ref", "alt", "note"]
        return pd.DataFrame(rows, columns=names)

    def fetch(self, table: pd.DataFrame) -> dict[int, Allele]:
        """The alleles that can be scored, by their row in the table, with what surrounds them.

        Parameters
        ----------
        table : DataFrame
            Of `place`; a reference allele that is not the genome's is noted in it.

        Raises
        ------
        InputError
            When the reference alleles of the first records show that positions are off by one, or
            of another assembly.
        """
        wanted = np.flatnonzero(table["note"] == "")
        if not len(wanted):
            return {}
        rows = table.iloc[wanted]
        size = rows["place"].map(self.genome.sizes).to_numpy(np.int64)
        at = rows["pos"].to_numpy(np.int64) - 1
        begin, end = np.maximum(at - self.left, 0), np.minimum(at + self.right, size)
        found: dict[int, Allele] = {}
        shown = dict.fromkeys((-1, 0, 1), 0)
        first = -1
        for width in np.unique(end - begin):
            mine = np.flatnonzero(end - begin == width)
            place = {
                "chrom": rows["place"].to_numpy()[mine], "start": begin[mine], "end": end[mine]
            }  # fmt: skip
            for i, known in zip(mine, self.genome.fetch(pd.DataFrame(place)), strict=True):
                around = np.full(self.left + self.right, N, dtype=np.uint8)
                around[begin[i] - at[i] + self.left :][: len(known)] = known
                ref, alt = encode(rows["ref"].iat[i]), encode(rows["alt"].iat[i])
                for offset in shown:
                    there = around[self.left + offset :][: len(ref)]
                    shown[offset] += bool(np.array_equal(there, ref))
                if np.array_equal(around[self.left :][: len(ref)], ref):
                    found[int(wanted[i])] = Allele(around, self.left, len(ref), alt)
                    continue
                table.loc[table.index[wanted[i]], "note"] = "ref_mismatch"
                first = int(wanted[i]) if first < 0 else min(first, int(wanted[i]))
        if not self.facts.records and first >= 0:
            self._refuse_misplaced(table.iloc[first], shown, len(wanted))
        return found

    def finish(self) -> None:
        """Record where all records lie; ``facts.inputs`` says it.

        Raises
        ------
        InputError
            When there are records and none lies on the genome.
        """
        facts, sizes = self.facts, self.genome.sizes
        if facts.records and not facts.placed:
            where = (
                f"name {shown(', '.join(list(facts.unknown)[:3]))}" if facts.unknown
                else "lie off the ends of their chromosomes"
            )  # fmt: skip
            raise InputError(
                f"{self.name}: none of the {facts.records:,} records lies on {self.genome.name}: "
                f"they {where}; the genome has {shown(', '.join(list(sizes)[:3]))}"
                + (f" ({self._assembly})" if self._assembly else "")
            )
        warnings = []
        if facts.placed < FEW_PLACED * facts.records:
            warnings.append(
                f"only {facts.placed:,} of {facts.records:,} records lie on {self.genome.name}"
            )
        if facts.alleles and not facts.scored:
            warnings.append(
                f"none of the {facts.alleles:,} alternative alleles has a score (see note)"
            )
        found = Placed(
            "variants", facts.records, facts.placed, len(facts.chromosomes), facts.unknown,
            facts.off_end, facts.renamed, tuple(warnings),
        )  # fmt: skip
        facts.inputs.append({**found.as_dict(), "line": found.line()})

    def _refuse_misplaced(self, row: pd.Series, shown: dict[int, int], n: int) -> None:
        """Refuse a file whose first alleles are off by one, or those of another assembly."""
        if shown[0] > n / 2:
            return
        start = int(row["pos"]) - 1
        place = {"chrom": [row["place"]], "start": [start], "end": [start + len(row["ref"])]}
        has = decode(self.genome.fetch(pd.DataFrame(place))[0])
        message = (
            f"{self.name}, line {row['line']}: REF is {row['ref'][:20]!r}, but {self.genome.name} "
            f"has {has[:20]!r} at {row['chrom']}:{row['pos']}; "
        )
        for offset, side in ((1, "after"), (-1, "before")):
            if shown[offset] > 0.8 * n and n >= 5:
                raise InputError(
                    message + f"{shown[offset]:,} of the first {n:,} reference alleles stand one "
                    f"base {side} their position; positions in a VCF count from 1"
                )
        raise InputError(
            message + f"{n - shown[0]:,} of the first {n:,} reference alleles differ from it: "
            "the variants are of another assembly, or REF and ALT are swapped"
        )
