"""Predictions: the input rows plus a score, in the input's order."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.examples.candidates import Placing
from cistransfer.genome.codes import N, encode
from cistransfer.genome.fasta import Sequences, WindowSequences, read_fasta
from cistransfer.genome.intervals import centre_windows
from cistransfer.models.bundle import Bundle
from cistransfer.models.score import score_windows
from cistransfer.prediction.parts import Parts
from cistransfer.progress import bar

__all__ = [
    "SUMMARIES",
    "Tiles",
    "free_name",
    "further_values",
    "given_names",
    "predict_fasta",
    "predict_regions",
    "predict_sequences",
    "spread",
    "spread_interval",
]

SUMMARIES = ("max", "mean")
"""How the windows over a long region become one score: the highest probability, or their mean."""

_CHUNK = 16_384
_OWN = ("window_start", "window_end", "windows", "note")
_LEAST = 1e-12  # a probability as far from 0 and 1 as its logit can be told

Ints = NDArray[np.int64]
Read = Callable[[Ints, Ints], tuple[NDArray[np.bool_], NDArray[np.uint8]]]


@dataclass(frozen=True)
class Tiles:
    """The windows over every row: one, or several evenly spaced from end to end.

    Attributes
    ----------
    first, span, count : ndarray of int64, shape (rows,)
        Start of the first window, bp from there to the start of the last, and how many there are
        (0 of what is shorter than a window).
    """

    first: Ints
    span: Ints
    count: Ints

    @classmethod
    def over(
        cls, start: Ints, length: Ints, middle: Ints, window: int, stride: int | None
    ) -> Tiles:
        """One window at ``middle``; with a stride as many over rows longer than a window as leave
        no more than ``stride`` bp from one to the next.

        >>> at = np.array([100, 100])
        >>> Tiles.over(at, np.array([50, 450]), at, 200, 100)
        Tiles(first=array([100, 100]), span=array([  0, 250]), count=array([1, 4]))
        """
        if stride is None:
            return cls(middle, np.zeros_like(start), np.ones_like(start))
        if not 1 <= stride <= window:
            raise InputError(
                f"expected a stride from 1 to the window's {window} bp, found {stride}"
            )
        span = np.maximum(length - window, 0)
        return cls(np.where(span > 0, start, middle), span, -(-span // stride) + 1)

    def take(self, at: int, n: int) -> tuple[Ints, Ints]:
        """Rows and starts of ``n`` windows from window ``at`` on."""
        ends = np.cumsum(self.count)
        numbers = np.arange(at, min(at + n, int(ends[-1]) if len(ends) else 0))
        rows = np.searchsorted(ends, numbers, side="right")
        nth, gaps = numbers - (ends - self.count)[rows], np.maximum(self.count[rows] - 1, 1)
        return rows, self.first[rows] + (self.span[rows] * nth + gaps // 2) // gaps

    def digest(self) -> str:
        """A hash of where the windows lie."""
        return hashlib.sha256(np.stack([self.first, self.span, self.count]).tobytes()).hexdigest()


def predict_regions(
    bundle: Bundle,
    regions: pd.DataFrame,
    sequences: Sequences,
    *,
    stride: int | None = None,
    summary: str = "max",
    strands: str = "both",
    prevalence: float | None = None,
    parts: Parts | None = None,
) -> pd.DataFrame:
    """Score regions: each becomes a window of the model's length on its summit or midpoint.

    Parameters
    ----------
    bundle : Bundle
    regions : DataFrame
        Region table of n rows in any order, of any widths.
    sequences : Sequences
    stride : int, optional
        Cover regions longer than the window with windows, evenly from end to end and no more than
        so many bp from one to the next.
    summary : {"max", "mean"}
        What a region of several windows gets: the highest of their probabilities, or the mean.
    strands : {"both", "forward"}
        ``both`` averages the logits of the two strands.
    prevalence : float, optional
        Share of bound regions at which probabilities are given
        (`cistransfer.models.bundle.Bundle.probabilities`).
    parts : Parts, optional
        Where finished work is kept.

    Returns
    -------
    DataFrame
        All columns of the input in their order, the scored ``window_start`` and ``window_end``
        (with a stride: of all windows together, and ``windows``, how many have a score),
        one column per task with the calibrated probability (empty where there is none), and
        ``note``: why a row has no score, or how many N its window holds (an N contributes nothing).
        ``attrs["inputs"]`` says where the windows lie
        (`cistransfer.genome.assemblies.Placed`), ``attrs["scores"]`` which columns are scores.

    Raises
    ------
    InputError
        When no row at all can be scored (an empty table gives an empty one).
    """
    windows = centre_windows(regions, bundle.window).reset_index(drop=True)
    if stride is not None and isinstance(sequences, WindowSequences):
        raise InputError(
            f"{sequences.name}: windows over long regions need a genome with whole chromosomes"
        )
    start = regions["start"].to_numpy(np.int64)
    tiles = Tiles.over(
        start, regions["end"].to_numpy(np.int64) - start, windows["start"].to_numpy(np.int64),
        bundle.window, stride,
    )  # fmt: skip
    windows["start"], windows["end"] = tiles.first, tiles.first + tiles.span + bundle.window
    placing = Placing(sequences)
    if len(windows):
        if stride is None and sequences.missing(windows).all():
            placing.table(regions, "regions")
            raise _none_there(windows, sequences)
        first = windows.assign(end=windows["start"] + bundle.window)
        first.attrs.update(regions.attrs)
        placing.table(first, "windows")
    chroms = windows["chrom"].to_numpy()

    def read(rows: Ints, starts: Ints) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
        place = {"chrom": chroms[rows], "start": starts, "end": starts + bundle.window}
        table = pd.DataFrame(place)
        there = ~sequences.missing(table)
        if not there.any():
            return there, np.zeros((0, bundle.window), dtype=np.uint8)
        return there, sequences.fetch(table[there])

    scored = _scored(bundle, tiles, read, summary, strands, prevalence, parts)
    if len(windows) and scored.lacking.sum() == tiles.count.sum():
        raise _none_there(windows, sequences)
    table = pd.DataFrame(regions).reset_index(drop=True)
    table = table.rename(columns=given_names(table.columns)).assign(
        window_start=windows["start"], window_end=windows["end"]
    )
    if stride is not None:
        table["windows"] = scored.windows
    found = _with_scores(table, bundle, scored, tiles.count)
    found.attrs["inputs"] = placing.inputs
    found.attrs["uracils"] = getattr(sequences, "uracils", 0)
    return found


def given_names(columns: Sequence[str]) -> dict[str, str]:
    """What columns of the input are called that have the name of one of ours."""
    found: dict[str, str] = {}
    for name in filter(lambda name: name in _OWN, columns):
        new = f"{name}_input"
        while new in columns:
            new += "_input"
        found[name] = new
    return found


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
    stride: int | None = None,
    summary: str = "max",
    strands: str = "both",
    prevalence: float | None = None,
    parts: Parts | None = None,
) -> pd.DataFrame:
    """Score sequences as `predict_fasta` does the records of a file; ``label`` is for messages.

    The rest is as in `predict_regions`.
    """
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    middle = (lengths - bundle.window) // 2
    tiles = Tiles.over(np.zeros_like(lengths), lengths, middle, bundle.window, stride)
    fits = middle >= 0
    tiles.count[~fits] = 0
    if not fits.any():
        raise InputError(
            f"{label}: the model reads windows of {bundle.window} bp; the longest of the "
            f"{len(names):,} sequences has {lengths.max(initial=0)} bp"
        )

    def read(rows: Ints, starts: Ints) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
        cut = [texts[row][at : at + bundle.window] for row, at in zip(rows, starts, strict=True)]
        return np.ones(len(rows), dtype=bool), np.stack([encode(text) for text in cut])

    scored = _scored(bundle, tiles, read, summary, strands, prevalence, parts)
    table = pd.DataFrame({"name": names, "length": lengths})
    if stride is not None:
        table["windows"] = scored.windows
    found = _with_scores(table, bundle, scored, tiles.count)
    found.loc[~fits, "note"] = f"shorter than {bundle.window} bp"
    found.attrs["uracils"] = sum(text.count("U") + text.count("u") for text in texts)
    longer, shorter = int((lengths > bundle.window).sum()), int((~fits).sum())
    line = f"{label}: {len(names):,} sequence{'' if len(names) == 1 else 's'}"
    if longer and stride is None:
        line += f"; of {longer:,} longer than {bundle.window} bp the middle is scored"
    elif longer:
        line += f"; {longer:,} longer than {bundle.window} bp by {tiles.count.sum():,} windows"
    if shorter:
        line += f"; {shorter:,} shorter than {bundle.window} bp have no score"
    found.attrs["inputs"] = [{"what": "sequences", "rows": len(names), "line": line}]
    return found


def spread(probabilities: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Mean, standard deviation (n - 1), and both ends of the `spread_interval` of several models.

    Parameters
    ----------
    probabilities : ndarray of float64, shape (models, …)
    """
    return (
        probabilities.mean(axis=0),
        probabilities.std(axis=0, ddof=1),
        *spread_interval(probabilities),
    )


def spread_interval(
    probabilities: NDArray[np.float64], level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where one more model trained like these would put its probability, by Student's t on logits.

    Mean ± t · sd · √(1 + 1/n) of the logits: so wide that the share ``level`` of further models
    lies in it, however few have been seen (of two models it is nearly everything).

    Parameters
    ----------
    probabilities : ndarray of float64, shape (models, …)
        At least two models; NaN where there is none.
    level : float

    Returns
    -------
    low, high : ndarray of float64, shape (…)

    Examples
    --------
    >>> low, high = spread_interval(np.array([[0.5], [0.6], [0.5], [0.7], [0.6]]))
    >>> f"{low[0]:.2f} to {high[0]:.2f}"
    '0.33 to 0.79'
    """
    from scipy.special import expit, logit

    low, high = map(expit, further_values(logit(np.clip(probabilities, _LEAST, 1 - _LEAST)), level))
    given = probabilities.mean(axis=0)
    return np.minimum(low, given), np.maximum(high, given)


def further_values(
    values: NDArray[np.float64], level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where one more value like these would lie, by Student's t; shape (values, …)."""
    from scipy.stats import t

    n = len(values)
    half = t.ppf((1 + level) / 2, n - 1) * np.sqrt(1 + 1 / n) * values.std(axis=0, ddof=1)
    mean = values.mean(axis=0)
    return mean - half, mean + half


@dataclass(frozen=True)
class _Scored:
    """Of every row its scores (rows, tasks), and how many of its windows have one, lack a
    sequence, and hold N; of a row of one window the number of its N."""

    scores: NDArray[np.float64]
    windows: Ints
    lacking: Ints
    with_n: Ints
    unknown: Ints

    def notes(self, count: Ints) -> NDArray[np.object_]:
        """Why a row has no score, or what to know about it."""
        found = np.full(len(count), "", dtype=object)
        for row in np.flatnonzero(self.with_n + self.lacking):
            lacking, n = self.lacking[row], count[row]
            if lacking == n:
                found[row] = "no sequence: unknown chromosome or off its end"
            elif not self.windows[row]:
                found[row] = "no sequence: all N"
            elif n == 1:
                found[row] = f"{self.unknown[row]} N"
            else:
                words = [f"{self.with_n[row]} with N"] * bool(self.with_n[row])
                words += [f"{lacking} off its end"] * bool(lacking)
                found[row] = f"of {n} windows " + ", ".join(words)
        return found


def _chunks(tiles: Tiles) -> Iterator[tuple[str, Ints, Ints]]:
    for at in range(0, int(tiles.count.sum()), _CHUNK):
        yield (str(at // _CHUNK), *tiles.take(at, _CHUNK))


def _scored(
    bundle: Bundle,
    tiles: Tiles,
    read: Read,
    summary: str,
    strands: str,
    prevalence: float | None,
    parts: Parts | None,
) -> _Scored:
    """Score all windows, chunk by chunk, and summarise them by row."""
    if summary not in SUMMARIES:
        raise InputError(f"summary: expected one of {', '.join(SUMMARIES)}, found {summary!r}")
    n, n_tasks = len(tiles.count), len(bundle.tasks)
    scores = np.full((n, n_tasks), -np.inf if summary == "max" else 0.0)
    if tiles.count.sum() <= _CHUNK:
        parts = None
    counts = [np.zeros(n, dtype=np.int64) for _ in range(4)]
    with bar("scoring", int(tiles.count.sum())) as running:
        for name, rows, starts in _chunks(tiles):
            shape = (len(rows), n_tasks + 1)
            values = None if parts is None else parts.get(name, np.float64, shape)
            if values is None:
                values = np.full(shape, np.nan)  # the last column: how many N there are
                there, codes = read(rows, starts)
                if there.any():
                    logits = score_windows(
                        bundle.model, *_joined(rows[there], starts[there], codes), bundle.window,
                        strands=strands, tick=running.advance,
                    )  # fmt: skip
                    unknown = (codes >= N).sum(axis=1)
                    found = bundle.probabilities(logits, prevalence)
                    found[unknown == codes.shape[1]] = np.nan
                    values[there] = np.column_stack([found, unknown])
                if parts is not None:
                    parts.put(name, values)
                running.advance(int((~there).sum()))
            else:
                running.advance(len(rows))
            known = ~np.isnan(values[:, 0])
            one = (np.maximum if summary == "max" else np.add).at
            one(scores, rows[known], values[known, :-1])
            unknown = np.nan_to_num(values[:, -1]).astype(np.int64)
            for total, one_each in zip(
                counts, (known, np.isnan(values[:, -1]), unknown > 0, unknown), strict=True
            ):
                np.add.at(total, rows, one_each)
    windows = counts[0]
    if summary == "mean":
        scores /= np.maximum(windows, 1)[:, None]
    scores[windows == 0] = np.nan
    return _Scored(scores, *counts)


def _joined(rows: Ints, starts: Ints, codes: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Ints]:
    """One sequence of which all windows are part, those of a row as they overlap; their starts."""
    n, window = codes.shape
    new = np.full(n, window, dtype=np.int64)  # bases of each that are not the next one's
    new[:-1] = np.where(rows[1:] == rows[:-1], np.minimum(np.diff(starts), window), window)
    return codes[np.arange(window) < new[:, None]], np.cumsum(new) - new


def _with_scores(table: pd.DataFrame, bundle: Bundle, scored: _Scored, count: Ints) -> pd.DataFrame:
    columns: dict[str, NDArray[np.float64]] = {}
    for task, values in zip(bundle.tasks, scored.scores.T, strict=True):
        columns[free_name(task, table, columns)] = values
    table = pd.concat([table, pd.DataFrame(columns)], axis=1)
    found = table.assign(note=scored.notes(count))
    found.attrs["scores"] = list(columns)
    return found


def free_name(name: str, *taken: Container[str]) -> str:
    """A name of a column of scores that no other column has."""
    while any(name in columns for columns in taken):
        name = f"score_{name}"
    return name
