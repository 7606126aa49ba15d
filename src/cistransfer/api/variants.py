"""Score variants with a model."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd

from cistransfer.api.doors import (
    as_bundles,
    as_chromosomes,
    as_motifs,
    as_path,
    found,
    is_path,
    on_device,
    placing_of,
)
from cistransfer.api.writes import writes
from cistransfer.errors import InputError, shown
from cistransfer.examples.dataset import input_lines
from cistransfer.prediction.alleles import VariantFacts
from cistransfer.prediction.variants import VariantScorer
from cistransfer.prediction.vcf import annotate_vcf, is_position, read_vcf
from cistransfer.progress import say
from cistransfer.storage import open_text

__all__ = ["annotate_variants", "score_variants"]

PathLike = str | os.PathLike[str]
_CHUNK = 1024


def score_variants(
    models: Any,
    variants: Any,
    genome: Any,
    *,
    motifs: Any = None,
    motif_p: float = 1e-4,
    n_shifts: int = 5,
    max_shift: int | None = None,
    n_null: int = 0,
    prevalence: float | None = None,
    strands: str = "both",
    seed: int = 0,
    device: str = "auto",
) -> pd.DataFrame:
    """Score the alternative alleles of variants against the reference.

    Parameters
    ----------
    models : path, str, Bundle, or list of them
        Several are an ensemble.
    variants : path, table or list
        A VCF; a table with chrom, pos, ref, alt (VCF's names do too); or texts like
        ``"chr1:12345:A:G"``. Positions count from 1, as in a VCF.
    genome : path or Genome
    motifs : path, str or motifs, optional
        Motifs to look for in both alleles.
    motif_p, n_shifts, max_shift, n_null, prevalence, strands, seed
        See `cistransfer.prediction.variants.VariantScorer`.
    device : str

    Returns
    -------
    DataFrame
        A row per alternative allele (see `cistransfer.prediction.variants.VariantScorer.score`),
        with the other columns of a table of variants behind the allele.
        For a file of any size see `annotate_variants`.

    Examples
    --------
    >>> import cistransfer as ct
    >>> genome = ct.open_genome("data/genome.fa")
    >>> (base,) = genome.fetch(ct.read_regions("chr1:1999-2000"))[0]
    >>> table = ct.score_variants("trunk", f"chr1:2000:{'ACGT'[base]}:{'TGCA'[base]}", genome)
    >>> len(table), table["note"][0]
    (1, '')
    """
    is_file = is_path(variants) and not (isinstance(variants, str) and _VARIANT.match(variants))
    name = os.fspath(variants) if is_file else "variants"
    scorer = _scorer(
        models, genome, name, motifs=motifs, motif_p=motif_p, n_shifts=n_shifts,
        max_shift=max_shift, n_null=n_null, strands=strands, seed=seed,
        prevalence=prevalence,
    )  # fmt: skip
    with on_device(scorer.bundles, device):
        tables = [scorer.score(chunk) for chunk in _records(variants, is_file)]
    if not tables:
        raise InputError(f"{scorer.name}: expected variants, found none")
    scorer.finish()
    say(*input_lines(scorer.facts.inputs))
    found = pd.concat(tables, ignore_index=True)
    lines = found["line"].to_numpy() - 1
    found = found.drop(columns=["row", "line"])
    if isinstance(variants, pd.DataFrame):
        at = found.columns.get_loc("alt") + 1
        known = {word for words in _COLUMNS.values() for word in words}
        others = [name for name in variants if str(name).lower().lstrip("#") not in known]
        for i, name in enumerate(others):
            own = name if name not in found else f"{name}_input"
            found.insert(at + i, own, variants[name].to_numpy()[lines])
    return found


@writes("variants")
def annotate_variants(
    models: Any,
    vcf: PathLike,
    genome: Any,
    out: PathLike,
    *,
    motifs: Any = None,
    motif_p: float = 1e-4,
    n_shifts: int = 5,
    max_shift: int | None = None,
    n_null: int = 0,
    prevalence: float | None = None,
    strands: str = "both",
    seed: int = 0,
    device: str = "auto",
) -> VariantFacts:
    """Score a VCF of any size into a file.

    Parameters
    ----------
    models, genome, motifs, motif_p, n_shifts, max_shift, n_null, prevalence, strands, seed, device
        See `score_variants`.
    vcf : path
        Plain or compressed.
    out : path
        ``….vcf`` or ``….vcf.gz``: the records with entries in INFO; else a table (TSV).

    Examples
    --------
    >>> import cistransfer as ct
    >>> genome = ct.open_genome("data/genome.fa")
    >>> (base,) = genome.fetch(ct.read_regions("chr1:1999-2000"))[0]
    >>> row = ["chr1", "2000", "rs1", "ACGT"[base], "TGCA"[base]]
    >>> with open("one.vcf", "w") as file:
    ...     print(*row, sep=chr(9), file=file)
    >>> ct.annotate_variants("trunk", "one.vcf", genome, out="scored.vcf").line()
    '1 records, 1 alternative alleles, 1 scored'
    """
    place, target = as_path(vcf, "vcf"), as_path(out, "out")
    scorer = _scorer(
        models, genome, str(place), motifs=motifs, motif_p=motif_p, n_shifts=n_shifts,
        max_shift=max_shift, n_null=n_null, strands=strands, seed=seed,
        prevalence=prevalence,
    )  # fmt: skip
    with on_device(scorer.bundles, device):
        facts = annotate_vcf(scorer, place, target)
    say(*input_lines(facts.inputs))
    return facts


def _scorer(models: Any, genome: Any, name: str, *, motifs: Any, **how: Any) -> VariantScorer:
    """The scorer of what a user has."""
    bundles, opened = as_bundles(models), as_chromosomes(genome)
    scorer = VariantScorer(bundles, opened, name, motifs=as_motifs(motifs), **how)
    scorer.facts.inputs += placing_of(bundles, opened).inputs
    return scorer


_VARIANT = re.compile(r"\s*([^\s:]+)[:-](\d+)[:-]([A-Za-z]+)[:>/-]([A-Za-z,]+)\s*$")
_COLUMNS = {"chrom": ("chrom", "chr", "chromosome"), "pos": ("pos", "position"), "id": ("id",),
            "ref": ("ref", "reference"), "alt": ("alt", "alternate", "allele")}  # fmt: skip


def _records(variants: Any, is_file: bool) -> Iterator[list[tuple[int, list[str]]]]:
    """Chunks of records of a VCF, as `read_vcf` gives them, of whatever a user has."""
    if is_file:
        with open_text(variants) as handle:
            yield from read_vcf(handle, os.fspath(variants))[1]
        return
    rows: list[list[str]]
    if isinstance(variants, pd.DataFrame):
        names = {str(name).lower().lstrip("#"): name for name in variants.columns}
        columns = {
            part: next((names[word] for word in words if word in names), None)
            for part, words in _COLUMNS.items()
        }
        for part, column in columns.items():
            if column is None and part != "id":
                raise InputError(f"variants: expected a column {part}, found {found(variants)}")
        parts = [
            variants[column].astype(str).tolist() if column is not None else ["."] * len(variants)
            for column in columns.values()
        ]
        rows = [list(row) for row in zip(*parts, strict=True)]
    else:
        several = [variants] if isinstance(variants, str) else variants
        if not hasattr(several, "__iter__"):
            raise InputError(f"variants: expected a VCF, a table or texts, found {found(variants)}")
        rows = []
        for number, text in enumerate(several, start=1):
            match = _VARIANT.match(text) if isinstance(text, str) else None
            if match is None:
                raise InputError(
                    f"variants, item {number}: expected 'chr1:12345:A:G', found {found(text)}"
                )
            rows.append([match[1], match[2], ".", match[3], match[4]])
    for number, row in enumerate(rows, start=1):
        if not is_position(row[1]):
            raise InputError(
                f"variants, item {number}: expected a position from 1, found {shown(row[1])!r}"
            )
    for i in range(0, len(rows), _CHUNK):
        yield list(enumerate(rows[i : i + _CHUNK], start=i + 1))
