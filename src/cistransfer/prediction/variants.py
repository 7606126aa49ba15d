"""What a variant does to a model's score: reference against alternative allele, streamed from VCF.

Both alleles are scored in windows of the model's length around the variant, on both strands and at
a few shifts, and the logits are subtracted (alternative − reference). An allele of another length
moves what lies beside it; it is placed once with its left and once with its right flank kept, and
the two are averaged, so that neither side is favoured.
"""

from __future__ import annotations

import gzip
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

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
from cistransfer.genome.shuffle import dinucleotide_shuffle
from cistransfer.models.bundle import Bundle
from cistransfer.models.score import score_codes
from cistransfer.motifs.hits import find_hits
from cistransfer.motifs.pwm import PWM
from cistransfer.prediction.table import further_values
from cistransfer.progress import bar
from cistransfer.storage import open_text, whole_file
from cistransfer.tables import harmless

__all__ = ["NOTES", "VariantFacts", "VariantScorer", "annotate_vcf", "is_position", "read_vcf"]

NOTES = {
    "ref_mismatch": "REF is not what the genome has there",
    "symbolic": "the allele is no sequence (<DEL>, breakend, '*' or '.')",
    "ambiguous": "the allele holds other letters than A, C, G, T",
    "no_sequence": "the chromosome is not in the genome, or the position is off its end",
    "too_long": "the allele does not fit the model's window",
    "unknown_bases": "the window holds N (scored all the same)",
}
"""Why an allele has no score, or what to know about it."""

_ENDS = ("low", "high")
_LETTERS = re.compile(r"[ACGT]+", re.IGNORECASE)
_CHUNK = 1024


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


def read_vcf(handle: IO[str], name: str) -> tuple[list[str], Iterator[list[tuple[int, list[str]]]]]:
    """Read a VCF from the front: its header lines, and its records in chunks.

    A file without a header is taken when its first line has the five columns of a record.

    Parameters
    ----------
    handle : text file
    name : str
        For messages.

    Returns
    -------
    header : list of str
        Lines that begin with ``#``.
    chunks : iterator of list of (line number, fields)

    Raises
    ------
    InputError
        For a line with fewer than five tab-separated columns or a position that is no positive
        integer (names the line), and for an empty file.
    """
    header: list[str] = []
    first: tuple[int, list[str]] | None = None
    number = 0
    for number, line in enumerate(handle, start=1):
        if line.startswith("#"):
            header.append(line.rstrip("\r\n"))
        elif line.strip():
            first = _record(name, number, line)
            break
    if first is None and not header:
        raise InputError(f"{name}: expected a VCF, found an empty file")

    def chunks() -> Iterator[list[tuple[int, list[str]]]]:
        rows = [] if first is None else [first]
        for count, text in enumerate(handle, start=number + 1):
            if not text.strip() or text.startswith("#"):
                continue
            rows.append(_record(name, count, text))
            if len(rows) == _CHUNK:
                yield rows
                rows = []
        if rows:
            yield rows

    return header, chunks()


def is_position(text: str) -> bool:
    """Whether a text is a position as a VCF has them: 1 to 2³¹ − 1."""
    return re.fullmatch("[0-9]{1,10}", text) is not None and 0 < int(text) < 2**31


def _record(name: str, number: int, line: str) -> tuple[int, list[str]]:
    fields = line.rstrip("\r\n").split("\t")
    if len(fields) < 5:
        hint = " (columns must be separated by tabs)" if len(line.split()) >= 5 else ""
        raise InputError(
            f"{name}, line {number}: expected at least 5 tab-separated columns (CHROM, POS, ID, "
            f"REF, ALT), found {len(fields)}: {line.strip()[:60]!r}{hint}"
        )
    if not is_position(fields[1]):
        raise InputError(
            f"{name}, line {number}: expected a position (1-based) in column 2, "
            f"found {fields[1][:40]!r}"
        )
    if not _LETTERS.fullmatch(fields[3]) and not re.fullmatch(r"[A-Za-z.*]+", fields[3]):
        raise InputError(
            f"{name}, line {number}: expected the reference allele in column 4, "
            f"found {fields[3][:40]!r}"
        )
    return number, fields


def annotate_vcf(
    scorer: VariantScorer, vcf: str | os.PathLike[str], out: str | os.PathLike[str]
) -> VariantFacts:
    """Score a VCF, chunk by chunk in constant memory.

    Parameters
    ----------
    scorer : VariantScorer
    vcf : path
        VCF, plain or compressed; ``-`` for standard input.
    out : path
        ``….vcf`` or ``….vcf.gz``: the input's records with entries in INFO; anything else: a table
        (TSV) with one row per alternative allele, the record's other columns behind the allele.
        gzip where the name ends in ``.gz``.

    Returns
    -------
    VariantFacts
    """
    name = os.fspath(out).removesuffix(".gz")
    with open_text(vcf) as handle, whole_file(out) as temporary, open(temporary, "wb") as raw:
        zipped = os.fspath(out).endswith(".gz")
        binary = gzip.GzipFile("", "wb", 6, raw, mtime=0) if zipped else raw
        with io.TextIOWrapper(binary, encoding="utf-8", newline="\n") as target:
            header, chunks = read_vcf(handle, os.fspath(vcf))
            as_vcf = name.endswith(".vcf")
            if as_vcf:
                target.write("\n".join(_header(header, scorer)) + "\n")
            with bar("variants") as running:
                first = True
                names: list[str] = []
                for records in chunks:
                    names = names or _names(header, len(records[0][1]))
                    table = scorer.score(records)
                    if as_vcf:
                        target.writelines(_annotated(records, table, scorer))
                    else:
                        harmless(_beside(names[5:], records, table)).to_csv(
                            target, sep="\t", index=False, header=first, float_format="%.6g",
                            lineterminator="\n",
                        )  # fmt: skip
                    first = False
                    running.advance(len(records))
            scorer.finish()
    return scorer.facts


def _names(header: Sequence[str], n: int) -> list[str]:
    """Names of a record's columns; without a header line those of a VCF without samples."""
    if header and header[-1].startswith("#CHROM"):
        return header[-1].split("\t")
    known = ["CHROM", "POS", "ID", "REF", "ALT", *_REST]
    return [known[i] if i < len(known) else f"column_{i + 1}" for i in range(n)]


def _beside(
    names: Sequence[str], records: Sequence[tuple[int, Sequence[str]]], table: pd.DataFrame
) -> pd.DataFrame:
    """The scored alleles, each with what its record has beside position and alleles."""
    rows = [records[row][1] for row in table["row"]]
    found = table.drop(columns=["row"])
    at = found.columns.get_loc("alt") + 1
    for i, name in enumerate(names):
        values = [record[5 + i] if len(record) > 5 + i else "." for record in rows]
        found.insert(at + i, name if name not in found else f"{name}_input", values)
    return found


def _fields(scorer: VariantScorer) -> list[tuple[str, str, str, str]]:
    """INFO entries: identifier, type, description, column of the table."""
    found = []
    for task in scorer.tasks:
        end = "" if len(scorer.tasks) == 1 else "_" + re.sub(r"[^0-9A-Za-z_.]", "_", task)
        found += [
            (f"CT_REF{end}", "Float", f"Logit of the reference allele, {task}", f"ref_{task}"),
            (f"CT_ALT{end}", "Float", f"Logit of the allele, {task}", f"alt_{task}"),
            (f"CT_DELTA{end}", "Float", f"Allele - reference, {task}", f"delta_{task}"),
            (f"CT_SD{end}", "Float", f"Spread of CT_DELTA over shifts and models, {task}",
             f"sd_{task}"),
        ]  # fmt: skip
        if len(scorer.bundles) > 1:
            within = f"of 95 % of further models' CT_DELTA, {task}"
            found += [
                (f"CT_LOW{end}", "Float", f"Lower end {within}", f"low_{task}"),
                (f"CT_HIGH{end}", "Float", f"Upper end {within}", f"high_{task}"),
            ]
        share = scorer.prevalence
        at = "" if share is None else f" at a share of {share:g} bound"
        found += [
            (f"CT_PREF{end}", "Float", f"Probability of the reference allele{at}, {task}",
             f"probability_ref_{task}"),
            (f"CT_PALT{end}", "Float", f"Probability of the allele{at}, {task}",
             f"probability_alt_{task}"),
        ]  # fmt: skip
        if scorer.n_null:
            found.append((f"CT_P{end}", "Float", f"Empirical p of CT_DELTA, {task}", f"p_{task}"))
    if scorer.motifs:
        found += [
            ("CT_MOTIF", "String", "Motif whose site the allele changes most", "motif"),
            ("CT_MOTIF_CHANGE", "String", "gained, lost, stronger or weaker", "motif_change"),
        ]
    return [*found, ("CT_NOTE", "String", "Why there is no score, or what to know", "note")]


def _header(header: Sequence[str], scorer: VariantScorer) -> list[str]:
    """The input's header with the new entries before its last line."""
    lines = list(header)
    if not lines or not lines[0].startswith("##fileformat"):
        lines.insert(0, "##fileformat=VCFv4.2")
    if not any(line.startswith("##contig") for line in lines):
        lines[1:1] = [
            f"##contig=<ID={name},length={size}>" for name, size in scorer.genome.sizes.items()
        ]
    if not lines[-1].startswith("#CHROM"):
        lines.append("#" + "\t".join(["CHROM", "POS", "ID", "REF", "ALT", *_REST]))
    lines[-1:-1] = [
        f'##INFO=<ID={name},Number=A,Type={kind},Description="{what}",Source="cistransfer">'
        for name, kind, what, _ in _fields(scorer)
    ]
    return lines


_REST = ("QUAL", "FILTER", "INFO")


def _annotated(
    records: Sequence[tuple[int, Sequence[str]]], table: pd.DataFrame, scorer: VariantScorer
) -> Iterator[str]:
    """The records as lines, with the alleles' scores in INFO."""
    fields = _fields(scorer)
    columns = {column: table[column].tolist() for *_, column in fields}
    alleles = np.searchsorted(table["row"].to_numpy(), np.arange(len(records) + 1))
    for row, (_, record) in enumerate(records):
        mine = range(alleles[row], alleles[row + 1])
        entries = []
        for name, kind, _, column in fields:
            values = [columns[column][i] for i in mine]
            if kind == "Float":
                words = ["." if value != value else f"{value:.6g}" for value in values]
            else:
                words = [re.sub(r"[\s,;=%]", "_", value) or "." for value in values]
            if set(words) != {"."}:
                entries.append(f"{name}={','.join(words)}")
        parts = [*record, *["."] * (8 - len(record))]
        kept = [] if parts[7] in (".", "") else [parts[7]]
        parts[7] = ";".join([*kept, *entries]) or "."
        yield "\t".join(parts) + "\n"


class VariantScorer:
    """Score the alternative alleles of VCF records.

    Parameters
    ----------
    bundles : sequence of Bundle
        One model, or an ensemble: models of the same tasks, whose scores are averaged.
    genome : Genome
    name : str
        The VCF's name, for messages.
    n_shifts : int
        Windows at so many shifts, evenly from −``max_shift`` to ``max_shift``.
    max_shift : int, optional
        In bp; by default a tenth of the window.
    strands : {"both", "forward"}
    motifs : sequence of PWM
        Motifs to look for in both alleles.
    motif_p : float
        p-value of a motif's hit.
    n_null : int
        Size of the null distribution behind ``p`` (0: none): so many of the first alleles of each
        kind (one base for one; any other) in dinucleotide-shuffled surroundings.
    seed : int
    prevalence : float, optional
        Share of bound regions at which the calibrated probabilities of both alleles are given
        (`cistransfer.models.bundle.Bundle.probabilities`); by default that of the validation
        examples.

    Attributes
    ----------
    facts : VariantFacts
    """

    def __init__(
        self,
        bundles: Sequence[Bundle],
        genome: Genome,
        name: str = "variants",
        *,
        n_shifts: int = 5,
        max_shift: int | None = None,
        strands: str = "both",
        motifs: Sequence[PWM] = (),
        motif_p: float = 1e-4,
        n_null: int = 0,
        seed: int = 0,
        prevalence: float | None = None,
    ) -> None:
        if not bundles:
            raise InputError("expected at least one bundle to score variants with")
        if len({bundle.tasks for bundle in bundles}) > 1:
            raise InputError(
                "the bundles of an ensemble must have the same tasks, found "
                + " and ".join(sorted({", ".join(bundle.tasks[:3]) for bundle in bundles}))
            )
        if n_shifts < 1:
            raise InputError(f"expected at least one shift, found {n_shifts}")
        self.bundles = tuple(bundles)
        self.tasks = bundles[0].tasks
        self.genome = genome
        self.name = name
        self.window = max(bundle.window for bundle in bundles)
        widest = min(bundle.window for bundle in bundles) // 10 if max_shift is None else max_shift
        if not 0 <= widest < min(bundle.window for bundle in bundles) // 2:
            raise InputError(f"a shift must leave the variant in the window, found {widest} bp")
        self.shifts = (
            np.unique(np.linspace(-widest, widest, n_shifts).round().astype(int))
            if n_shifts > 1
            else np.zeros(1, dtype=int)
        )
        self.narrowest = min(bundle.window for bundle in bundles)
        self._left = 2 * self.window + int(self.shifts.max(initial=0))
        self._right = self._left + self.window
        self.reach = max((len(pwm.probabilities) - 1 for pwm in motifs), default=0)
        self.strands = strands
        self.motifs = list(motifs)
        self.motif_p = motif_p
        self.n_null = n_null
        self.prevalence = prevalence
        if prevalence is not None:
            for bundle in bundles:  # refuses before the work
                bundle.probabilities(np.zeros((0, len(self.tasks)), np.float32), prevalence)
        self.seed = seed
        self.facts = VariantFacts()
        self._assembly = recognise(genome.sizes)
        self._null: dict[str, NDArray[np.float64]] = {}

    def score(self, records: Sequence[tuple[int, Sequence[str]]]) -> pd.DataFrame:
        """Score the alternative alleles of some records.

        Returns
        -------
        DataFrame
            One row per alternative allele, in order: ``row`` (record), ``line``, ``chrom``, ``pos``
            (1-based), ``id``, ``ref``, ``alt``, ``note``, and for each task ``ref_TASK``,
            ``alt_TASK`` (logits), ``delta_TASK`` (alternative − reference, mean over shifts and
            bundles), ``sd_TASK`` (over shifts and bundles), of several bundles ``low_TASK`` and
            ``high_TASK`` (in which 95 % of further models would put the difference),
            ``probability_ref_TASK`` and ``probability_alt_TASK``, ``p_TASK`` with a null
            distribution;
            ``motif``, ``motif_change`` (gained, lost, weaker, stronger), ``motif_p_ref`` and
            ``motif_p_alt`` with motifs. Scores are NaN where the note says why.

        Raises
        ------
        InputError
            When the reference alleles show that positions are off by one, or of another assembly.
        """
        table = self._alleles(records)
        alleles = self._fetch(table)
        scored = np.array(sorted(alleles), dtype=np.int64)
        found = [alleles[i] for i in scored]
        if self.n_null and not self._null:
            self._draw_null(found)
        ref, alt = self._logits(found)
        table = self._filled(table, scored, found, ref, alt)
        if self.motifs:
            self._motif_changes(table, scored, found)
        self.facts.records += len(records)
        self.facts.alleles += len(table)
        self.facts.scored += len(scored)
        for note, count in table.loc[table["note"] != "", "note"].value_counts().items():
            self.facts.notes[str(note)] = self.facts.notes.get(str(note), 0) + int(count)
        return table.drop(columns="place")

    def finish(self) -> None:
        """Record where all records lie; `facts.inputs` says it.

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

    def _alleles(self, records: Sequence[tuple[int, Sequence[str]]]) -> pd.DataFrame:
        """One row per alternative allele, with a note where it cannot be scored."""
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
                if not _LETTERS.fullmatch(alt) or not _LETTERS.fullmatch(ref):
                    note = "ambiguous" if alt.isalpha() and ref.isalpha() else "symbolic"
                elif max(len(ref), len(alt)) > self.narrowest // 2:
                    note = "too_long"
                elif place is None or pos - 1 + len(ref) > self.genome.sizes[place]:
                    note = "no_sequence"
                rows.append((row, line, chrom, place, pos, fields[2], ref, alt, note))
        names = ["row", "line", "chrom", "place", "pos", "id", "ref", "alt", "note"]
        return pd.DataFrame(rows, columns=names)

    def _fetch(self, table: pd.DataFrame) -> dict[int, _Allele]:
        """The alleles that can be scored, by their row in the table, with what surrounds them."""
        wanted = np.flatnonzero(table["note"] == "")
        if not len(wanted):
            return {}
        rows = table.iloc[wanted]
        size = rows["place"].map(self.genome.sizes).to_numpy(np.int64)
        at = rows["pos"].to_numpy(np.int64) - 1
        begin, end = np.maximum(at - self._left, 0), np.minimum(at + self._right, size)
        found: dict[int, _Allele] = {}
        shown = dict.fromkeys((-1, 0, 1), 0)
        first = -1
        for width in np.unique(end - begin):
            mine = np.flatnonzero(end - begin == width)
            place = {
                "chrom": rows["place"].to_numpy()[mine], "start": begin[mine], "end": end[mine]
            }  # fmt: skip
            for i, known in zip(mine, self.genome.fetch(pd.DataFrame(place)), strict=True):
                around = np.full(self._left + self._right, N, dtype=np.uint8)
                around[begin[i] - at[i] + self._left :][: len(known)] = known
                ref, alt = encode(rows["ref"].iat[i]), encode(rows["alt"].iat[i])
                for offset in shown:
                    there = around[self._left + offset :][: len(ref)]
                    shown[offset] += bool(np.array_equal(there, ref))
                if np.array_equal(around[self._left :][: len(ref)], ref):
                    found[int(wanted[i])] = _Allele(around, self._left, len(ref), alt)
                    continue
                table.loc[table.index[wanted[i]], "note"] = "ref_mismatch"
                first = int(wanted[i]) if first < 0 else min(first, int(wanted[i]))
        if not self.facts.records and first >= 0:
            self._refuse_misplaced(table.iloc[first], shown, len(wanted))
        return found

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

    def _logits(
        self, alleles: Sequence[_Allele]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Logits of both alleles, each of shape (alleles, bundles, shifts, tasks)."""
        shape = (len(alleles), len(self.bundles), len(self.shifts), len(self.tasks))
        ref, alt = np.empty(shape), np.empty(shape)
        if not alleles:
            return ref, alt
        for k, bundle in enumerate(self.bundles):
            pairs = [allele.windows(bundle.window, self.shifts) for allele in alleles]
            n_ref = len(alleles) * len(self.shifts)
            codes = np.concatenate([*(r for r, _ in pairs), *(a for _, a in pairs)])
            logits = score_codes(bundle.model, codes, strands=self.strands).astype(np.float64)
            ref[:, k] = logits[:n_ref].reshape(len(alleles), len(self.shifts), -1)
            start = n_ref
            for i, (_, windows) in enumerate(pairs):
                mine = logits[start : start + len(windows)]
                alt[i, k] = mine.reshape(-1, len(self.shifts), mine.shape[1]).mean(axis=0)
                start += len(windows)
        return ref, alt

    def _chances(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (alleles, tasks): of the mean logit over shifts, averaged over bundles."""
        each = [
            bundle.probabilities(logits[:, k].mean(axis=1), self.prevalence)
            for k, bundle in enumerate(self.bundles)
        ]
        return np.mean(each, axis=0)

    def _filled(
        self,
        table: pd.DataFrame,
        rows: NDArray[np.int64],
        alleles: Sequence[_Allele],
        ref: NDArray[np.float64],
        alt: NDArray[np.float64],
    ) -> pd.DataFrame:
        """The table with scores."""
        delta = alt - ref
        columns = {}
        chances = [self._chances(ref), self._chances(alt)]
        further = (
            further_values(np.moveaxis(delta.mean(axis=2), 1, 0)) if len(self.bundles) > 1 else ()
        )
        for t, task in enumerate(self.tasks):
            for name, values in (
                (f"ref_{task}", ref[..., t].mean(axis=(1, 2))),
                (f"alt_{task}", alt[..., t].mean(axis=(1, 2))),
                (f"delta_{task}", delta[..., t].mean(axis=(1, 2))),
                (f"sd_{task}", delta[..., t].std(axis=(1, 2))),
                *((f"{end}_{task}", ends[:, t]) for end, ends in zip(_ENDS, further, strict=False)),
                *(
                    (f"probability_{which}_{task}", chance[:, t])
                    for which, chance in zip(("ref", "alt"), chances, strict=True)
                ),
            ):
                columns[name] = np.full(len(table), np.nan)
                columns[name][rows] = values
            if self.n_null:
                columns[f"p_{task}"] = np.full(len(table), np.nan)
                for i, allele, change in zip(
                    rows, alleles, delta[..., t].mean(axis=(1, 2)), strict=True
                ):
                    null = self._null.get(allele.kind)
                    if null is not None:
                        beyond = (np.abs(null[:, t]) >= abs(change)).sum()
                        columns[f"p_{task}"][i] = (1 + beyond) / (1 + len(null))
        notes = table["note"].to_numpy(dtype=object).copy()
        for i, allele in zip(rows, alleles, strict=True):
            if (allele.windows(self.window, self.shifts)[0] >= N).any():
                notes[i] = "unknown_bases"
        return pd.concat(
            [table.assign(note=notes), pd.DataFrame(columns, index=table.index)], axis=1
        )

    def _draw_null(self, alleles: Sequence[_Allele]) -> None:
        """Changes of the same alleles in shuffled surroundings, by kind of allele."""
        for kind in sorted({allele.kind for allele in alleles}):
            mine = [allele for allele in alleles if allele.kind == kind]
            mine = (mine * -(-self.n_null // len(mine)))[: self.n_null]
            around = np.stack([allele.around for allele in mine])
            shuffled = dinucleotide_shuffle(around, 1, seed=self.seed)[:, 0]
            moved = []
            for allele, new in zip(mine, shuffled, strict=True):
                here = slice(allele.left, allele.left + allele.n_ref)
                new[here] = allele.around[here]
                moved.append(_Allele(new, allele.left, allele.n_ref, allele.alt))
            ref, alt = self._logits(moved)
            self._null[kind] = (alt - ref).mean(axis=(1, 2))

    def _motif_changes(
        self, table: pd.DataFrame, rows: NDArray[np.int64], alleles: Sequence[_Allele]
    ) -> None:
        """The motif whose hit over the variant changes most, and how."""
        name = np.full(len(table), "", dtype=object)
        change = np.full(len(table), "", dtype=object)
        p_ref, p_alt = np.full(len(table), np.nan), np.full(len(table), np.nan)
        both = []
        for is_alt in (False, True):
            best = np.ones((len(alleles), len(self.motifs)))
            sequences = [allele.sequence(is_alt, self.reach) for allele in alleles]
            lengths = np.array([len(codes) for codes in sequences])
            for length in np.unique(lengths):
                mine = np.flatnonzero(lengths == length)
                codes = np.stack([sequences[i] for i in mine])
                hits = find_hits(codes, self.motifs, self.motif_p)
                row, motif = mine[hits["sequence"].to_numpy()], hits["pwm"].to_numpy()
                inside = np.array([alleles[i].size(is_alt) for i in row], dtype=np.int64)
                over = (hits["start"].to_numpy() < self.reach + inside) & (
                    hits["end"].to_numpy() > self.reach
                )
                np.minimum.at(best, (row[over], motif[over]), hits["p"].to_numpy()[over])
            both.append(best)
        ratio = np.abs(np.log10(both[0]) - np.log10(both[1]))
        for i, row in enumerate(rows):
            m = int(ratio[i].argmax())
            if ratio[i, m] == 0:
                continue
            name[row] = self.motifs[m].label
            p_ref[row], p_alt[row] = (value if (value := one[i, m]) < 1 else np.nan for one in both)
            change[row] = (
                "gained" if both[0][i, m] == 1
                else "lost" if both[1][i, m] == 1
                else "stronger" if both[1][i, m] < both[0][i, m]
                else "weaker"
            )  # fmt: skip
        table["motif"], table["motif_change"] = name, change
        table["motif_p_ref"], table["motif_p_alt"] = p_ref, p_alt


@dataclass(frozen=True)
class _Allele:
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
