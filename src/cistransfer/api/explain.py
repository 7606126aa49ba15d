"""Explain what a model reads: bases, loci, everything that it learned."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.api.doors import (
    as_bundle,
    as_chromosomes,
    as_codes,
    as_examples,
    as_motifs,
    as_path,
    as_table,
    column_of,
    fill,
    found,
    is_path,
    is_place,
    on_device,
    placing_of,
    refuse_others,
    whole_number,
)
from cistransfer.api.writes import writes
from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet, input_lines
from cistransfer.interpretation.attribute import Attribution
from cistransfer.interpretation.attribute import attribute as attribute_codes
from cistransfer.interpretation.interpret import interpret as run_methods
from cistransfer.interpretation.locus import Locus
from cistransfer.interpretation.locus import explain_locus as explain
from cistransfer.interpretation.mutagenesis import mutagenesis as mutate
from cistransfer.interpretation.steps import Methods, OtherModels, step_of
from cistransfer.interpretation.subject import Source
from cistransfer.models.bundle import Bundle
from cistransfer.progress import say

__all__ = ["Interpretation", "attribute", "explain_locus", "interpret", "locus_of", "mutagenesis"]

PathLike = str | os.PathLike[str]


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
    prevalence: float | None = None,
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
    task, motifs, p_value, shuffles, seed, prevalence
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
    placing = placing_of([bundle], opened)
    with on_device([bundle], device):
        located = explain(
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
            prevalence=prevalence,
        )
    placing.table(as_table([(chrom, start, end)]), "locus")
    say(*input_lines(placing.inputs))
    return replace(located, inputs=placing.inputs)


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


@dataclass(frozen=True, repr=False)
class Interpretation:
    """What a model learned: the results of `interpret`.

    Attributes
    ----------
    folder : Path
        Tables, motifs, figures and ``summary.json``.
    task : str
    steps : tuple of str
        The methods that were run.
    summary : dict
        On how many sequences, and the main result of each method.
    """

    folder: Path
    task: str
    steps: tuple[str, ...]
    summary: Mapping[str, Any] = field(repr=False)

    def __repr__(self) -> str:
        sequences = f"{self.summary['sequences']:,} sequences"
        return f"<Interpretation of {self.task} on {sequences}: {', '.join(self.steps)}>"

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of the folder by name: ``filters``, ``attribution``, ``patterns`` …"""
        paths = sorted(self.folder.glob("*.tsv"))
        return {path.stem: pd.read_csv(path, sep="\t") for path in paths}

    def lines(self) -> list[str]:
        """What it was done on, and the main result of each method in words."""
        summary = self.summary
        inputs = [
            {k: v for k, v in one.items() if k != "read"} for one in summary.get("inputs", ())
        ]
        return [
            *input_lines(inputs),
            *([summary["motifs"]] if "motifs" in summary else []),
            f"{self.task}: {summary['sequences']:,} sequences, "
            f"{summary['predicted_positive']:,} predicted positive",
            *(f"{name}: {step_of(name).words(summary[name])}" for name in self.steps),
        ]


@writes("interpret", ("summary.json",))
def interpret(
    model: Any,
    examples: Any = None,
    genome: Any = None,
    *,
    out: PathLike,
    part: str = "all",
    methods: Any = (),
    others: OtherModels | None = None,
    seed: int = 0,
    device: str = "auto",
    **options: Any,
) -> Interpretation:
    """Show what a model learned: filters, influence, attribution, patterns, enrichment, spacing.

    Parameters
    ----------
    model : path, str or Bundle
    examples : path, ExampleSet or regions, optional
        An example set (its folder, or that of a run), a FASTA file, or with a genome regions (see
        `read_regions`); by default the examples of the model's own run.
    genome : path or Genome, optional
    out : path
        Folder for tables and figures.
    part : {"all", "train", "valid", "test"}
        Of the examples.
    methods : str, list of str or Methods, optional
        Names such as ``"filters,attribution"``; by default all that have what they need.
    others : OtherModels, optional
        Or its fields as keyword arguments: ``other`` (the trunk, or any model of the same window),
        ``other_task``, ``scratch``.
    seed, device
    **options
        ``task``, ``motifs``, ``attribution``, ``max_sequences``, ``pair`` …
        (`cistransfer.interpretation.steps.Methods`).

    Returns
    -------
    Interpretation

    Examples
    --------
    >>> import cistransfer as ct
    >>> found = ct.interpret("GABPA", methods="filters", part="test", out="learned")
    >>> found
    <Interpretation of GABPA on ... sequences: filters>
    >>> sorted(found.tables)
    ['filters']
    """
    bundle = as_bundle(model)
    options = {name: _path(value) for name, value in options.items()}
    groups = [Methods] * (not isinstance(methods, Methods)) + [OtherModels] * (others is None)
    refuse_others({**options}, groups, "interpret")
    if not isinstance(methods, Methods):
        methods = fill(Methods, {**options, "methods": methods}, "interpret")
    if others is None:
        others = fill(OtherModels, options, "interpret")
    source = _material(examples, genome, part)
    summary = run_methods(
        bundle.path, as_path(out, "out"), methods, others, source,
        seed=whole_number(seed, "seed"), device=device,
    )  # fmt: skip
    return Interpretation(Path(out), summary["task"], tuple(summary["steps"]), summary)


def _path(value: Any) -> Any:
    """A model by its folder."""
    return value.path if isinstance(value, Bundle) else value


def _material(examples: Any, genome: Any, part: str) -> Source:
    """Where the sequences come from, by what a user has."""
    if genome is None:
        if examples is None:
            return Source(part=part)
        if isinstance(examples, ExampleSet) or (is_path(examples) and Path(examples).is_dir()):
            return Source(examples=as_examples(examples), part=part)
    if part != "all":
        raise InputError("part is of examples; it has no meaning with regions or a FASTA file")
    if genome is not None:
        return Source(regions=as_table(examples), genome=genome)
    return Source(fasta=as_path(examples, "examples or sequences"))
