"""Variants of a VCF read chunk by chunk, and written with their scores: a VCF or a table."""

from __future__ import annotations

import gzip
import io
import os
import re
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
import pandas as pd

from cistransfer.errors import InputError
from cistransfer.prediction.alleles import LETTERS, VariantFacts
from cistransfer.prediction.variants import VariantScorer
from cistransfer.progress import bar
from cistransfer.storage import open_text, whole_file
from cistransfer.tables import harmless

__all__ = ["annotate_vcf", "is_position", "read_vcf"]

_CHUNK = 1024
_REST = ("QUAL", "FILTER", "INFO")


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
    if not LETTERS.fullmatch(fields[3]) and not re.fullmatch(r"[A-Za-z.*]+", fields[3]):
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
