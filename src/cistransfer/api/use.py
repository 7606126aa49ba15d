"""Score, predict, and explain with a model."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.api.doors import (
    as_bundle,
    as_bundles,
    as_chromosomes,
    as_codes,
    as_genome,
    as_motifs,
    as_path,
    as_sequences,
    as_table,
    column_of,
    found,
    is_path,
    is_place,
    on_device,
    whole_number,
)
from cistransfer.errors import InputError
from cistransfer.examples.dataset import input_lines
from cistransfer.genome.codes import decode
from cistransfer.interpretation.attribute import Attribution
from cistransfer.interpretation.attribute import attribute as attribute_codes
from cistransfer.interpretation.locus import Locus
from cistransfer.interpretation.locus import explain_locus as explain
from cistransfer.interpretation.mutagenesis import mutagenesis as mutate
from cistransfer.prediction.table import predict_regions, predict_sequences
from cistransfer.prediction.track import TrackFacts
from cistransfer.prediction.track import predict_track as write_track
from cistransfer.prediction.variants import VariantFacts, VariantScorer, annotate_vcf, read_vcf
from cistransfer.progress import say
from cistransfer.storage import open_text

__all__ = [
    "annotate_variants",
    "attribute",
    "explain_locus",
    "locus_of",
    "mutagenesis",
    "predict",
    "predict_track",
    "score",
    "score_variants",
]

PathLike = str | os.PathLike[str]
_CHUNK = 1024


def score(
    model: Any,
    sequences: Any,
    genome: Any = None,
    *,
    task: str | int | None = None,
    strands: str = "both",
    device: str = "auto",
) -> NDArray[np.float32]:
    """Logits of sequences, or of regions of a genome.

    Parameters
    ----------
    model : path, str or Bundle
    sequences : text, list of text, array or path
        Sequences as long as the model's window (texts, a FASTA file, codes, one-hot); with a
        genome regions (see `read_regions`), of which the windows on their centres are read.
    genome : path or Genome, optional
    task : str, optional
        Give only this task's logits.
    strands : {"both", "forward"}
    device : str

    Returns
    -------
    ndarray of float32, shape (n, tasks), or (n,) of one task

    Examples
    --------
    >>> import cistransfer as ct
    >>> ct.score("trunk", ["ACGTT" * 20, "GATTACAGAT" * 10]).shape
    (2, 3)
    >>> ct.score("trunk", "chr1:1000-1200", "data/genome.fa", task="SPI1").shape
    (1,)
    """
    bundle = as_bundle(model)
    codes = as_codes(bundle, sequences, genome)
    with on_device([bundle], device):
        logits = bundle.score(codes, strands=strands)
    return logits if task is None else logits[:, column_of(bundle, task)]


def predict(
    model: Any,
    what: Any,
    genome: Any = None,
    *,
    strands: str = "both",
    device: str = "auto",
) -> pd.DataFrame:
    """Calibrated probabilities of regions or sequences: the input's rows in their order.

    Parameters
    ----------
    model : path, str or Bundle
    what : path, table, text, list or array
        Regions (see `read_regions`) with a genome; else sequences: texts, a FASTA file, codes or
        one-hot. Longer sequences are scored on their middle.
    genome : path or Genome, optional
    strands : {"both", "forward"}
    device : str

    Returns
    -------
    DataFrame
        The input's columns, one column per task, and ``note`` (why a row has no score).

    Examples
    --------
    >>> import cistransfer as ct
    >>> table = ct.predict("trunk", "data/open.bed.gz", "data/genome.fa")
    >>> list(table)
    ['chrom', 'start', 'end', 'window_start', 'window_end', 'ELF1', 'SPI1', 'MAX', 'note']
    >>> list(ct.predict("trunk", ["ACGTT" * 20, "GATTACAGAT" * 12])["length"])
    [100, 120]
    """
    bundle = as_bundle(model)
    if genome is not None:
        regions, sequences = as_table(what), as_genome(genome)
        with on_device([bundle], device):
            table = predict_regions(bundle, regions, sequences, strands=strands)
        say(*input_lines(table.attrs["inputs"]))
        return table
    given = as_sequences(what)
    label = f"{what}" if is_path(what) and os.path.exists(what) else "sequences"
    if isinstance(given, np.ndarray):
        names = [f"sequence {number}" for number in range(1, len(given) + 1)]
        given = names, [decode(row) for row in given]
    with on_device([bundle], device):
        return predict_sequences(bundle, *given, label=label, strands=strands)


def predict_track(
    models: Any,
    genome: Any,
    out: PathLike,
    *,
    task: str | None = None,
    stride: int = 50,
    chroms: Any = (),
    only: Any = None,
    strands: str = "both",
    device: str = "auto",
) -> TrackFacts:
    """Score windows along chromosomes and write a track (bedGraph or bigWig, by its name).

    Parameters
    ----------
    models : path, str, Bundle, or list of them
        Several are an ensemble: the mean of their probabilities.
    genome : path or Genome
    out : path
        ``….bw`` or ``….bedGraph[.gz]``.
    task, stride, strands
        See `cistransfer.prediction.track.predict_track`.
    chroms : str or list of str
        Chromosomes to score; by default all.
    only : regions, optional
        See `read_regions`: windows whose middle lies in none of them have no value.
    device : str

    Examples
    --------
    >>> import cistransfer as ct
    >>> facts = ct.predict_track("trunk", "data/genome.fa", "chr1.bedGraph", task="SPI1",
    ...                          chroms="chr1", only="chr1:1000-3000", stride=100)
    >>> facts.scored
    20
    """
    bundles, opened = as_bundles(models), as_chromosomes(genome)
    for bundle in bundles if task is not None else ():
        task = bundle.tasks[column_of(bundle, task)]
    with on_device(bundles, device):
        return write_track(
            bundles,
            opened,
            as_path(out, "out"),
            task=task,
            stride=whole_number(stride, "stride"),
            chroms=[chroms] if isinstance(chroms, str) else list(chroms),
            only=None if only is None else as_table(only),
            strands=strands,
        )


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
    motif_p, n_shifts, max_shift, n_null, strands, seed
        See `cistransfer.prediction.variants.VariantScorer`.
    device : str

    Returns
    -------
    DataFrame
        A row per alternative allele (see `cistransfer.prediction.variants.VariantScorer.score`).
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
    bundles, opened = as_bundles(models), as_chromosomes(genome)
    is_file = is_path(variants) and not (isinstance(variants, str) and _VARIANT.match(variants))
    scorer = VariantScorer(
        bundles,
        opened,
        os.fspath(variants) if is_file else "variants",
        motifs=as_motifs(motifs),
        motif_p=motif_p,
        n_shifts=n_shifts,
        max_shift=max_shift,
        n_null=n_null,
        strands=strands,
        seed=seed,
    )
    with on_device(bundles, device):
        tables = [scorer.score(chunk) for chunk in _records(variants, is_file)]
    if not tables:
        raise InputError(f"{scorer.name}: expected variants, found none")
    return pd.concat(tables, ignore_index=True).drop(columns=["row", "line"])


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
    strands: str = "both",
    seed: int = 0,
    device: str = "auto",
) -> VariantFacts:
    """Score a VCF of any size into a file.

    Parameters
    ----------
    models, genome, motifs, motif_p, n_shifts, max_shift, n_null, strands, seed, device
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
    bundles, opened = as_bundles(models), as_chromosomes(genome)
    place, target = as_path(vcf, "vcf"), as_path(out, "out")
    scorer = VariantScorer(
        bundles,
        opened,
        str(place),
        motifs=as_motifs(motifs),
        motif_p=motif_p,
        n_shifts=n_shifts,
        max_shift=max_shift,
        n_null=n_null,
        strands=strands,
        seed=seed,
    )
    with on_device(bundles, device):
        return annotate_vcf(scorer, place, target)


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
        if not row[1].isdecimal() or not int(row[1]):
            raise InputError(
                f"variants, item {number}: expected a position from 1, found {row[1]!r}"
            )
    for i in range(0, len(rows), _CHUNK):
        yield list(enumerate(rows[i : i + _CHUNK], start=i + 1))


def attribute(
    model: Any,
    sequences: Any,
    genome: Any = None,
    *,
    task: str | int | None = None,
    method: str = "deeplift",
    on: str = "logit",
    references: str = "dinucleotide",
    shuffles: int = 20,
    both_strands: bool = False,
    seed: int = 0,
    device: str = "auto",
) -> Attribution:
    """Say how much each base of sequences (or of regions of a genome) speaks for a task.

    Parameters
    ----------
    model : path, str or Bundle
    sequences, genome
        See `score`.
    task : str, optional
        Needed where the model has several.
    method, on, references, shuffles, both_strands, seed
        See `cistransfer.interpretation.attribute.attribute`.
    device : str

    Examples
    --------
    >>> import cistransfer as ct
    >>> ct.attribute("trunk", ["ACGTT" * 20], task="SPI1")
    <Attribution deeplift of the logit of task 1: 1 sequence of 100 bp>
    """
    bundle = as_bundle(model)
    column, codes = column_of(bundle, task), as_codes(bundle, sequences, genome)
    whole_number(shuffles, "shuffles")
    with on_device([bundle], device):
        return attribute_codes(
            bundle.model,
            codes,
            method=method,
            task=column,
            on=on,
            references=references,
            shuffles=shuffles,
            seed=seed,
            both_strands=both_strands,
        )


def mutagenesis(
    model: Any,
    sequences: Any,
    genome: Any = None,
    *,
    task: str | int | None = None,
    on: str = "logit",
    device: str = "auto",
) -> NDArray[np.float32]:
    """Change of a task's output by every substitution at every position, shape (n, 4, length).

    Parameters
    ----------
    model, sequences, genome, task, device
        See `attribute`.
    on : {"logit", "probability"}

    Examples
    --------
    >>> import cistransfer as ct
    >>> ct.mutagenesis("trunk", ["ACGTT" * 20], task="SPI1").shape
    (1, 4, 100)
    """
    bundle = as_bundle(model)
    column, codes = column_of(bundle, task), as_codes(bundle, sequences, genome)
    with on_device([bundle], device):
        return mutate(bundle.model, codes, task=column, on=on)


def explain_locus(
    model: Any,
    locus: Any,
    genome: Any,
    *,
    task: str | int | None = None,
    motifs: Any = None,
    p_value: float = 1e-4,
    shuffles: int = 20,
    seed: int = 0,
    device: str = "auto",
) -> Locus:
    """Score, attribute and mutate every base of a locus; `plot_locus` draws it.

    Parameters
    ----------
    model : path, str or Bundle
    locus : str or tuple
        ``"chr1:1,001-1,200"`` as genome browsers write a place: counted from 1, both ends in it.
        Or (chrom, start, end), 0-based and half-open, as in a BED file.
    genome : path or Genome
    task, motifs, p_value, shuffles, seed
        See `cistransfer.interpretation.locus.explain_locus`.
    device : str

    Examples
    --------
    >>> import cistransfer as ct
    >>> ct.explain_locus("trunk", "chr1:1,001-1,060", "data/genome.fa", task="SPI1", shuffles=2)
    <Locus chr1:1,001-1,060, SPI1: probability ... to ..., 0 motif hits>
    """
    chrom, start, end = locus_of(locus)
    bundle, opened = as_bundle(model), as_chromosomes(genome)
    named = bundle.tasks[column_of(bundle, task)]
    with on_device([bundle], device):
        return explain(
            bundle,
            opened,
            chrom,
            start,
            end,
            task=named,
            motifs=as_motifs(motifs),
            p_value=p_value,
            shuffles=whole_number(shuffles, "shuffles"),
            seed=seed,
        )


def locus_of(locus: Any) -> tuple[str, int, int]:
    """Chrom, start, end (0-based, half-open) of a place as genome browsers write it.

    >>> locus_of("chr1:1,001-1,200")
    ('chr1', 1000, 1200)
    """
    if is_place(locus):
        chrom, _, span = locus.strip().rpartition(":")
        first, last = (int(re.sub(r"[,_]", "", part)) for part in re.split(r"-|\.\.", span))
        if not 0 < first <= last:
            raise InputError(
                f"locus: expected 'chrom:first-last' counted from 1, as genome browsers write it, "
                f"found {locus!r}"
            )
        return chrom, first - 1, last
    if isinstance(locus, tuple) and len(locus) == 3:
        place = as_table([locus])
        return str(place["chrom"][0]), int(place["start"][0]), int(place["end"][0])
    raise InputError(
        "locus: expected a place like 'chr1:1,001-1,200', or (chrom, start, end), found "
        + found(locus)
    )
