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
    as_named_bundles,
    as_path,
    as_sequences,
    as_table,
    column_of,
    is_path,
    on_device,
    placing_of,
    whole_number,
)
from cistransfer.api.writes import writes
from cistransfer.errors import InputError
from cistransfer.examples.dataset import input_lines
from cistransfer.genome.codes import decode
from cistransfer.prediction.output import check_form, grouped, one_table, write_predictions
from cistransfer.prediction.parts import Parts, identity, table_digest
from cistransfer.prediction.table import predict_regions, predict_sequences
from cistransfer.prediction.track import TrackFacts
from cistransfer.prediction.track import predict_track as write_track
from cistransfer.progress import say
from cistransfer.storage import is_stream

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


@writes("predict")
def predict(
    model: Any,
    what: Any,
    genome: Any = None,
    *,
    task: str | None = None,
    stride: int | None = None,
    summary: str | None = None,
    strands: str = "both",
    prevalence: float | None = None,
    out: PathLike | None = None,
    device: str = "auto",
) -> pd.DataFrame:
    """Calibrated probabilities of regions or sequences: the input's rows in their order.

    Parameters
    ----------
    model : path, str, Bundle, list of them, or mapping of name to them
        Several (also those of one packed file) of the same tasks are an ensemble; of other tasks,
        or of another name (a mapping, ``"NAME=MODEL"``), they stand side by side.
    what : path, table, text, list or array
        Regions (see `read_regions`) with a genome; else sequences: texts, a FASTA file, codes or
        one-hot. A region is scored by one window on its summit or midpoint, a longer sequence by
        its middle.
    genome : path or Genome, optional
    task : str, optional
        Give only this task's score.
    stride : int, optional
        Cover what is longer than the model's window with windows from end to end, no more than so
        many bp from one to the next.
    summary : {"max", "mean"}, optional
        With a stride, what a row gets: the highest of its windows' probabilities (by default), or
        their mean.
    strands : {"both", "forward"}
    prevalence : float, optional
        Share of bound among what is scored, at which the probabilities are given; by default that
        of the model's validation examples.
    out : path, optional
        Write it, too: ``….bed`` (regions with scores), else a table; ``.gz`` compresses. Work that
        is done is kept beside it until then: the same call goes on after it was killed.
    device : str

    Returns
    -------
    DataFrame
        The input's columns, one column per task (or name), and ``note`` (why a row has no score).
        Of an ensemble the mean of the probabilities, their standard deviation (``TASK sd``), and
        the interval in which 95 % of models trained like these would lie (``TASK low``,
        ``TASK high``). With a stride ``windows``: how many there were.

    Examples
    --------
    >>> import cistransfer as ct
    >>> table = ct.predict("trunk", "data/open.bed.gz", "data/genome.fa")
    >>> list(table)
    ['chrom', 'start', 'end', 'window_start', 'window_end', 'ELF1', 'SPI1', 'MAX', 'note']
    >>> list(ct.predict("trunk", ["ACGTT" * 20, "GATTACAGAT" * 12])["length"])
    [100, 120]
    >>> wide = ct.predict("trunk", "chr1:1000-2000", "data/genome.fa", task="SPI1", stride=50)
    >>> int(wide["windows"][0]), list(wide)[-3:]
    (19, ['windows', 'SPI1', 'note'])
    """
    names, bundles = as_named_bundles(model)
    for bundle in bundles if task is not None else ():
        task = bundle.tasks[column_of(bundle, task)]
    if summary is not None and stride is None:
        raise InputError("summary has no meaning without a stride; drop it")
    stride = None if stride is None else whole_number(stride, "stride")
    groups = grouped(names, bundles, task)
    if out is not None:
        scores = [column for group in groups for column in group.columns]
        check_form(as_path(out, "out"), regions=genome is not None, scores=scores)
    how: dict[str, Any] = {
        "stride": stride, "summary": summary or "max", "strands": strands, "prevalence": prevalence,
    }  # fmt: skip
    given: tuple[Any, Any]
    sequences: Any = None
    if genome is not None:
        function: Any = predict_regions
        given = as_table(what), as_genome(genome)
        digest, sequences = table_digest(given[0]), given[1]
    else:
        function = predict_sequences
        texts: Any = as_sequences(what)
        if isinstance(texts, np.ndarray):
            numbers = [f"sequence {number}" for number in range(1, len(texts) + 1)]
            texts = numbers, [decode(row) for row in texts]
        given = texts
        how["label"] = f"{what}" if is_path(what) and os.path.exists(what) else "sequences"
        digest = table_digest(pd.DataFrame({"text": texts[1]}))
    parts = None
    if out is not None and not is_stream(out):
        parts = Parts(out, identity(bundles, sequences, input=digest, **how))
    with on_device(bundles, device):
        tables = [
            function(each, *given, **how, parts=None if parts is None else parts.of(i))
            for i, each in enumerate(bundles)
        ]
    table = one_table(groups, tables)
    if genome is not None:
        table.attrs["inputs"] += placing_of(bundles, sequences).inputs
    say(*input_lines(table.attrs["inputs"]))
    if out is not None:
        write_predictions(out, table, None if genome is None else given[0])
    if parts is not None:
        parts.remove()
    return table


@writes("track")
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
    show: str = "mean",
    device: str = "auto",
) -> TrackFacts:
    """Score windows along chromosomes and write a track (bedGraph or bigWig, by its name).

    Parameters
    ----------
    models : path, str, Bundle, or list of them
        Several are an ensemble: the mean of their probabilities, or what ``show`` says.
    genome : path or Genome
    out : path
        ``….bw`` or ``….bedGraph[.gz]``.
    task, stride, strands, prevalence, show
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
            show=show,
        )
    return replace(facts, inputs=placing.inputs)
