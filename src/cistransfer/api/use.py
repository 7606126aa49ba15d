"""Score and predict with a model."""

from __future__ import annotations

import os
from dataclasses import replace
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
    as_path,
    as_sequences,
    as_table,
    column_of,
    is_path,
    on_device,
    placing_of,
    whole_number,
)
from cistransfer.examples.dataset import input_lines
from cistransfer.genome.codes import decode
from cistransfer.prediction.table import averaged, predict_regions, predict_sequences
from cistransfer.prediction.track import TrackFacts
from cistransfer.prediction.track import predict_track as write_track
from cistransfer.progress import say

__all__ = ["predict", "predict_track", "score"]

PathLike = str | os.PathLike[str]


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
    prevalence: float | None = None,
    device: str = "auto",
) -> pd.DataFrame:
    """Calibrated probabilities of regions or sequences: the input's rows in their order.

    Parameters
    ----------
    model : path, str, Bundle, or list of them
        Several (also those of one packed file) are an ensemble of the same tasks and window.
    what : path, table, text, list or array
        Regions (see `read_regions`) with a genome; else sequences: texts, a FASTA file, codes or
        one-hot. Longer sequences are scored on their middle.
    genome : path or Genome, optional
    strands : {"both", "forward"}
    prevalence : float, optional
        Share of bound among what is scored, at which the probabilities are given; by default that
        of the model's validation examples.
    device : str

    Returns
    -------
    DataFrame
        The input's columns, one column per task, and ``note`` (why a row has no score). Of an
        ensemble the mean of the probabilities, their standard deviation (``TASK sd``), and the
        interval in which 95 % of models trained like these would lie (``TASK low``, ``TASK high``).

    Examples
    --------
    >>> import cistransfer as ct
    >>> table = ct.predict("trunk", "data/open.bed.gz", "data/genome.fa")
    >>> list(table)
    ['chrom', 'start', 'end', 'window_start', 'window_end', 'ELF1', 'SPI1', 'MAX', 'note']
    >>> list(ct.predict("trunk", ["ACGTT" * 20, "GATTACAGAT" * 12])["length"])
    [100, 120]
    """
    bundles = as_bundles(model)
    how: dict[str, Any] = {"strands": strands, "prevalence": prevalence}
    if genome is not None:
        regions, sequences = as_table(what), as_genome(genome)
        with on_device(bundles, device):
            table = averaged(
                bundles,
                [predict_regions(each, regions, sequences, **how) for each in bundles],
            )
        table.attrs["inputs"] += placing_of(bundles, sequences).inputs
        say(*input_lines(table.attrs["inputs"]))
        return table
    given = as_sequences(what)
    label = f"{what}" if is_path(what) and os.path.exists(what) else "sequences"
    if isinstance(given, np.ndarray):
        names = [f"sequence {number}" for number in range(1, len(given) + 1)]
        given = names, [decode(row) for row in given]
    with on_device(bundles, device):
        table = averaged(
            bundles,
            [predict_sequences(each, *given, label=label, **how) for each in bundles],
        )
    say(*input_lines(table.attrs["inputs"]))
    return table


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
    prevalence: float | None = None,
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
    task, stride, strands, prevalence
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
    placing = placing_of(bundles, opened)
    wanted = None if only is None else placing.table(as_table(only), "wanted regions")
    say(*input_lines(placing.inputs))
    with on_device(bundles, device):
        facts = write_track(
            bundles,
            opened,
            as_path(out, "out"),
            task=task,
            stride=whole_number(stride, "stride"),
            chroms=[chroms] if isinstance(chroms, str) else list(chroms),
            only=wanted,
            strands=strands,
            prevalence=prevalence,
        )
    return replace(facts, inputs=placing.inputs)
