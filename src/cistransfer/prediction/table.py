"""Predictions: the input rows plus a score, in the input's order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.examples.candidates import Placing
from cistransfer.genome.codes import N, encode
from cistransfer.genome.fasta import Sequences, WindowSequences, read_fasta
from cistransfer.genome.intervals import centre_windows
from cistransfer.models.bundle import Bundle
from cistransfer.models.score import score_codes
from cistransfer.progress import bar
from cistransfer.tables import write_tsv

__all__ = [
    "as_in_file",
    "averaged",
    "predict_fasta",
    "predict_regions",
    "predict_sequences",
    "spread_interval",
    "write_predictions",
]

_CHUNK = 16_384
_OWN = ("window_start", "window_end", "note")
_LEAST = 1e-12  # a probability as far from 0 and 1 as its logit can be told


def predict_regions(
    bundle: Bundle,
    regions: pd.DataFrame,
    sequences: Sequences,
    *,
    strands: str = "both",
    prevalence: float | None = None,
) -> pd.DataFrame:
    """Score regions: each becomes a window of the model's length on its summit or midpoint.

    Parameters
    ----------
    bundle : Bundle
    regions : DataFrame
        Region table of n rows in any order, of any widths.
    sequences : Sequences
    strands : {"both", "forward"}
        ``both`` averages the logits of the two strands.
    prevalence : float, optional
        Share of bound regions at which probabilities are given
        (`cistransfer.models.bundle.Bundle.probabilities`).

    Returns
    -------
    DataFrame
        All columns of the input in their order, the scored ``window_start`` and ``window_end``,
        one column per task with the calibrated probability (empty where there is none), and
        ``note``: why a row has no score, or how many N its window holds (an N contributes nothing).
        ``attrs["inputs"]`` says where the windows lie
        (`cistransfer.genome.assemblies.Placed`).

    Raises
    ------
    InputError
        When no row at all can be scored (an empty table gives an empty one).
    """
    windows = centre_windows(regions, bundle.window).reset_index(drop=True)
    missing = sequences.missing(windows)
    placing = Placing(sequences)
    if len(windows) and missing.all():
        placing.table(regions, "regions")
        raise _none_there(windows, sequences)
    if len(windows):
        windows.attrs.update(regions.attrs)
        placing.table(windows, "windows")
    rows = np.flatnonzero(~missing)
    notes = np.full(len(windows), "", dtype=object)
    notes[missing] = "no sequence: unknown chromosome or off its end"
    chunks = (
        (rows[at : at + _CHUNK], sequences.fetch(windows.iloc[rows[at : at + _CHUNK]]))
        for at in range(0, len(rows), _CHUNK)
    )
    scores = _scores(bundle, chunks, len(windows), len(rows), strands, notes, prevalence)
    table = pd.DataFrame(regions).reset_index(drop=True)
    table = table.rename(columns=_given_names(table.columns)).assign(
        window_start=windows["start"], window_end=windows["end"]
    )
    found = _with_scores(table, bundle, scores, notes)
    found.attrs["inputs"] = placing.inputs
    found.attrs["uracils"] = getattr(sequences, "uracils", 0)
    return found


def _given_names(columns: Sequence[str]) -> dict[str, str]:
    """What columns of the input are called that have the name of one of ours."""
    found: dict[str, str] = {}
    for name in filter(lambda name: name in _OWN, columns):
        new = f"{name}_input"
        while new in columns:
            new += "_input"
        found[name] = new
    return found


def as_in_file(table: pd.DataFrame, regions: pd.DataFrame) -> pd.DataFrame:
    """Predictions with the columns of the file that their regions came from, as they stood in it.

    In their order, under their names, and counted from 1 where the file counts from 1
    (``window_start`` and ``window_end`` are 0-based and half-open always). A column that is called
    as one of ours is, or twice the same, has ``_input`` behind its name.

    Parameters
    ----------
    table : DataFrame
        From `predict_regions`.
    regions : DataFrame
        From `cistransfer.genome.bed.read_bed` with ``keep``; of others the table is as it was.
    """
    if "file" not in regions.attrs:
        return table
    pairs, base = regions.attrs["file"]
    renamed = _given_names(regions.columns)
    order = [renamed.get(name, name) for name, _ in pairs]
    found = table[order + [name for name in table.columns if name not in order]]
    if base:
        found = found.assign(start=found["start"] + base)
    places = {ours: theirs for ours, theirs in pairs if ours in ("chrom", "start", "end")}
    free = {ours: theirs for ours, theirs in places.items() if theirs not in found.columns}
    return found.rename(columns=free)


def _none_there(windows: pd.DataFrame, sequences: Sequences) -> InputError:
    """The refusal of windows on chromosomes that are there, none of which has a sequence."""
    chrom, start, end = windows[["chrom", "start", "end"]].iloc[0]
    message = (
        f"{sequences.name}: has none of the {len(windows):,} windows of {end - start} bp; "
        f"the first is {chrom}:{start}-{end}"
    )
    if isinstance(sequences, WindowSequences):
        held = ":".join(map(str, sequences.regions[["chrom", "start"]].iloc[0]))
        message += (
            f"; its headers name places ({held}-…), so it is read as a file of windows, which "
            "have to have the centres of the regions (headers without ':start-end' make a genome)"
        )
    return InputError(message)


def predict_fasta(
    bundle: Bundle, path: str | os.PathLike[str], *, strands: str = "both"
) -> pd.DataFrame:
    """Score the records of a FASTA file.

    A record longer than the model's window is scored on its central window; a shorter one has no
    score.

    Returns
    -------
    DataFrame
        ``name`` (the header), ``length``, one column of calibrated probability per task, ``note``.
    """
    names, texts = zip(*read_fasta(path), strict=True)
    return predict_sequences(bundle, names, texts, label=os.fspath(path), strands=strands)


def predict_sequences(
    bundle: Bundle,
    names: Sequence[str],
    texts: Sequence[str],
    *,
    label: str = "sequences",
    strands: str = "both",
    prevalence: float | None = None,
) -> pd.DataFrame:
    """Score sequences as `predict_fasta` does the records of a file; ``label`` is for messages."""
    lengths: list[int] = []
    cut, uracils = [], 0
    for sequence in texts:
        lengths.append(len(sequence))
        uracils += sequence.count("U") + sequence.count("u")
        left = (len(sequence) - bundle.window) // 2
        cut.append(encode(sequence[left : left + bundle.window]) if left >= 0 else None)
    rows = np.array([row for row, codes in enumerate(cut) if codes is not None], dtype=np.int64)
    if not len(rows):
        raise InputError(
            f"{label}: the model reads windows of {bundle.window} bp; the longest of the "
            f"{len(names):,} sequences has {max(lengths)} bp"
        )
    notes = np.full(len(names), f"shorter than {bundle.window} bp", dtype=object)
    notes[rows] = ""
    chunks = (
        (some, np.stack([codes for row in some if (codes := cut[row]) is not None]))
        for at in range(0, len(rows), _CHUNK)
        for some in [rows[at : at + _CHUNK]]
    )
    scores = _scores(bundle, chunks, len(names), len(rows), strands, notes, prevalence)
    table = pd.DataFrame({"name": names, "length": lengths})
    found = _with_scores(table, bundle, scores, notes)
    found.attrs["uracils"] = uracils
    longer, shorter = (np.array(lengths) > bundle.window).sum(), len(names) - len(rows)
    line = f"{label}: {len(names):,} sequence{'' if len(names) == 1 else 's'}"
    if longer:
        line += f"; of {longer:,} longer than {bundle.window} bp the middle is scored"
    if shorter:
        line += f"; {shorter:,} shorter than {bundle.window} bp have no score"
    found.attrs["inputs"] = [{"what": "sequences", "rows": len(names), "line": line}]
    return found


def averaged(bundles: Sequence[Bundle], tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table of the predictions of an ensemble; of one model its own.

    Parameters
    ----------
    bundles : sequence of Bundle
        Of the same tasks and window.
    tables : sequence of DataFrame
        What each predicted, of the same rows.

    Returns
    -------
    DataFrame
        As each is, with the mean of the probabilities in place of them, and beside it their
        standard deviation over the models (n - 1), ``TASK sd``, and ``TASK low`` and ``TASK high``:
        the interval in which 95 % of models trained like these would lie (`spread_interval`).

    Raises
    ------
    InputError
        When the models have other tasks or windows.
    """
    first = bundles[0]
    for other in bundles[1:]:
        if (other.tasks, other.window) != (first.tasks, first.window):
            raise InputError(
                f"an ensemble needs models of the same tasks and window: {first.path} has "
                f"{', '.join(first.tasks[:3])} of {first.window} bp, {other.path} "
                f"{', '.join(other.tasks[:3])} of {other.window} bp"
            )
    if len(tables) == 1:
        return tables[0]
    names = list(tables[0].columns)[-1 - len(first.tasks) : -1]
    each = np.stack([table[names].to_numpy(np.float64) for table in tables])
    scores = {
        name: values
        for column, task in enumerate(names)
        for name, values in (
            (task, each[:, :, column].mean(axis=0)),
            (f"{task} sd", each[:, :, column].std(axis=0, ddof=1)),
            *zip((f"{task} low", f"{task} high"), spread_interval(each[:, :, column]), strict=True),
        )
    }
    rest = tables[0].drop(columns=[*names, "note"])
    found = pd.concat([rest, pd.DataFrame(scores, index=rest.index)], axis=1)
    found = found.assign(note=tables[0]["note"])
    found.attrs.update(tables[0].attrs)
    return found


def spread_interval(
    probabilities: NDArray[np.float64], level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where one more model trained like these would put its probability, by Student's t on logits.

    Mean ± t · sd · √(1 + 1/n) of the logits: so wide that the share ``level`` of further models
    lies in it, however few have been seen (of two models it is nearly everything).

    Parameters
    ----------
    probabilities : ndarray of float64, shape (models, rows)
        At least two models; NaN where there is none.
    level : float

    Returns
    -------
    low, high : ndarray of float64, shape (rows,)

    Examples
    --------
    >>> low, high = spread_interval(np.array([[0.5], [0.6], [0.5], [0.7], [0.6]]))
    >>> f"{low[0]:.2f} to {high[0]:.2f}"
    '0.33 to 0.79'
    """
    from scipy.special import expit, logit
    from scipy.stats import t

    n = len(probabilities)
    each = logit(np.clip(probabilities, _LEAST, 1 - _LEAST))
    half = t.ppf((1 + level) / 2, n - 1) * np.sqrt(1 + 1 / n) * each.std(axis=0, ddof=1)
    mean, given = each.mean(axis=0), probabilities.mean(axis=0)
    return np.minimum(expit(mean - half), given), np.maximum(expit(mean + half), given)


def write_predictions(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write predictions as TSV (gzip for ``.gz``), whole or not at all.

    Equal tables give equal bytes: a gzip file holds neither a name nor a time.
    """
    write_tsv(path, table, numbers="%.6f")


def _scores(
    bundle: Bundle,
    chunks: Iterable[tuple[NDArray[np.int64], NDArray[np.uint8]]],
    total: int,
    scored: int,
    strands: str,
    notes: NDArray[np.object_],
    prevalence: float | None,
) -> NDArray[np.float64]:
    """Probabilities (total, tasks), NaN for rows in no chunk or without a single known base."""
    scores = np.full((total, len(bundle.tasks)), np.nan)
    with bar("scoring", scored) as running:
        for rows, codes in chunks:
            unknown = (codes >= N).sum(axis=1)
            logits = score_codes(bundle.model, codes, strands=strands, tick=running.advance)
            scores[rows] = bundle.probabilities(logits, prevalence)
            for row, count in zip(rows[unknown > 0], unknown[unknown > 0], strict=True):
                notes[row] = f"{count} N"
            empty = rows[unknown == codes.shape[1]]
            scores[empty] = np.nan
            notes[empty] = "no sequence: all N"
    return scores


def _with_scores(
    table: pd.DataFrame, bundle: Bundle, scores: NDArray[np.float64], notes: NDArray[np.object_]
) -> pd.DataFrame:
    columns: dict[str, NDArray[np.float64]] = {}
    for task, values in zip(bundle.tasks, scores.T, strict=True):
        name = task
        while name in table or name in columns:
            name = f"score_{name}"
        columns[name] = values
    return pd.concat([table, pd.DataFrame(columns)], axis=1).assign(note=notes)
