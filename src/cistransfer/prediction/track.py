"""Scores along chromosomes: a genome-wide track as bedGraph, bigWig or a table.

Windows of the model's length are scored every ``stride`` bp; each gives its value to the ``stride``
bp around its middle. Windows with an N have no value. Work is kept block by block beside the output
until that is written, so that a run which was killed goes on where it stopped.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.genome.assemblies import match_names
from cistransfer.genome.codes import N
from cistransfer.genome.fasta import Genome
from cistransfer.genome.intervals import overlaps_any
from cistransfer.models.bundle import Bundle
from cistransfer.models.score import score_windows
from cistransfer.prediction.parts import Parts, identity, table_digest
from cistransfer.prediction.table import spread
from cistransfer.progress import bar
from cistransfer.storage import whole_file

__all__ = ["SHOWN", "TrackFacts", "predict_track", "score_ensemble"]

SHOWN = ("mean", "sd", "low", "high")
"""What a track shows of an ensemble (`cistransfer.prediction.table.spread`)."""

_BLOCK = 1 << 15
_MOST_BIGWIG = 2**32 - 1
"""Windows scored and kept at a time: at 200 bp and a stride of 50, 1.6 million bp."""


@dataclass(frozen=True)
class TrackFacts:
    """What a track holds.

    Attributes
    ----------
    chromosomes, windows, scored : int
        Windows in all, and those with a value (without N and inside the wanted regions).
    resumed : int
        Windows whose scores an interrupted run had left.
    inputs : list of dict
        Where regions lie, and warnings (`cistransfer.examples.candidates.Placing`).
    """

    chromosomes: int
    windows: int
    scored: int
    resumed: int
    inputs: list[dict[str, Any]] = field(default_factory=list)

    def line(self) -> str:
        """One line for a person."""
        text = f"{self.scored:,} of {self.windows:,} windows on {self.chromosomes:,} chromosomes"
        return text + (f" ({self.resumed:,} from the interrupted run)" if self.resumed else "")


def score_ensemble(
    bundles: Sequence[Bundle],
    codes: NDArray[np.uint8],
    starts: NDArray[np.int64],
    *,
    task: str,
    strands: str = "both",
    prevalence: float | None = None,
    show: str = "mean",
) -> NDArray[np.float64]:
    """Calibrated probability of one task over the bundles, shape (n,).

    ``codes`` is one stretch of sequence, in which the windows begin at ``starts``
    (`cistransfer.models.along.score_windows`). ``prevalence`` is the share of bound regions at
    which it is given (`cistransfer.models.bundle.Bundle.probabilities`); ``show`` one of `SHOWN`.

    Raises
    ------
    InputError
        When a bundle has no such task.
    """
    each = []
    for bundle in bundles:
        if task not in bundle.tasks:
            raise InputError(f"{bundle.path}: no task {task!r}; {nearest(task, bundle.tasks)}")
        column = bundle.tasks.index(task)
        logits = score_windows(bundle.model, codes, starts, bundle.window, strands=strands)
        each.append(bundle.probabilities(logits, prevalence)[:, column])
    if show == "mean":
        return np.mean(each, axis=0)
    return spread(np.stack(each))[SHOWN.index(show)]


def predict_track(
    bundles: Sequence[Bundle],
    genome: Genome,
    out: str | os.PathLike[str],
    *,
    task: str | None = None,
    stride: int = 50,
    chroms: Sequence[str] = (),
    only: pd.DataFrame | None = None,
    strands: str = "both",
    prevalence: float | None = None,
    show: str = "mean",
) -> TrackFacts:
    """Score windows along chromosomes and write the track.

    Parameters
    ----------
    bundles : sequence of Bundle
        One model, or an ensemble (mean of the probabilities), of one window length.
    genome : Genome
    out : path
        ``….bw`` or ``….bigWig`` (needs pybigtools), ``….bedGraph`` or ``….bed`` (with ``.gz`` if
        you like): chromosome, start, end, calibrated probability.
    task : str, optional
        Needed where the models have several.
    stride : int
        bp from window to window.
    chroms : sequence of str
        Chromosomes to score, by any of their names; all when empty.
    only : DataFrame, optional
        Region table: windows whose middle lies in none of these have no value.
    strands : {"both", "forward"}
    prevalence : float, optional
        Share of bound among the windows, at which probabilities are given; by default that of the
        validation examples.
    show : {"mean", "sd", "low", "high"}
        Of an ensemble: the mean of the probabilities, their standard deviation, or an end of the
        interval in which 95 % of models trained like these would lie.

    Returns
    -------
    TrackFacts
    """
    if not bundles:
        raise InputError("expected at least one model to predict with, found none")
    if len({bundle.window for bundle in bundles}) > 1:
        windows = ", ".join(f"{bundle.path} {bundle.window} bp" for bundle in bundles)
        raise InputError(f"an ensemble needs models that read windows of one width: {windows}")
    if show not in SHOWN:
        raise InputError(f"show: expected one of {', '.join(SHOWN)}, found {show!r}")
    if show != "mean" and len(bundles) == 1:
        raise InputError(f"{bundles[0].path}: one model has no spread; show it of several")
    if task is None and len(bundles[0].tasks) > 1:
        raise InputError(
            f"{bundles[0].path}: a track shows one of its {len(bundles[0].tasks)} tasks; name it "
            f"(--task): {', '.join(bundles[0].tasks[:5])}, …"
        )
    task = task or bundles[0].tasks[0]
    window = bundles[0].window
    if stride < 1 or stride > window:
        raise InputError(f"expected a stride from 1 to the window's {window} bp, found {stride}")
    match = match_names(chroms or list(genome.sizes), genome.sizes, "chromosomes")
    if match.unknown:
        raise InputError(
            f"{genome.name}: no chromosome {match.unknown[0]!r}; "
            f"{nearest(match.unknown[0], genome.sizes)}"
        )
    sizes = {name: genome.sizes[name] for name in dict.fromkeys(match.to.values())}
    if all(size < window for size in sizes.values()):
        raise InputError(
            f"{genome.name}: the model reads windows of {window} bp; the longest of the "
            f"{len(sizes):,} sequences has {max(sizes.values()):,} bp"
        )
    far = max(sizes, key=lambda name: sizes[name])
    if _is_bigwig(Path(out)) and sizes[far] > _MOST_BIGWIG:
        raise InputError(
            f"{out}: a bigWig holds positions up to {_MOST_BIGWIG:,}, {far} of {genome.name} has "
            f"{sizes[far]:,} bp; write a .bedGraph"
        )
    for bundle in bundles if prevalence is not None else ():  # refuses before the work
        bundle.probabilities(np.zeros((0, len(bundle.tasks)), np.float32), prevalence)
    wanted = None if only is None else table_digest(only[["chrom", "start", "end"]])
    same = identity(
        bundles, genome, task=task, stride=stride, strands=strands, prevalence=prevalence,
        show=show, sizes=sizes, only=wanted, block=_BLOCK,
    )  # fmt: skip
    parts = Parts(out, same)
    total = sum(_count(size, window, stride) for size in sizes.values())
    resumed = 0
    with bar("scoring", total) as running:
        for chrom, first, n in _blocks(sizes, window, stride):
            name = _name(sizes, chrom, first)
            if parts.get(name, np.float32, (n,)) is not None:
                resumed += n
            else:
                start = first * stride
                codes = _codes(genome, chrom, start, start + (n - 1) * stride + window)
                values = _values(
                    bundles, codes, chrom, start, n, stride, only,
                    task=task, strands=strands, prevalence=prevalence, show=show,
                )  # fmt: skip
                parts.put(name, values)
            running.advance(n)
    try:
        scored = _write(Path(out), _rows(parts, sizes, window, stride), sizes, stride)
    except _Nothing as error:
        parts.remove()
        why = "" if only is None else ", or their middle lies in none of the wanted regions"
        raise InputError(
            f"{genome.name}: none of {total:,} windows of {window} bp has a value: they hold an "
            f"N{why}"
        ) from error
    parts.remove()
    return TrackFacts(len(sizes), total, scored, resumed)


class _Nothing(Exception):  # noqa: N818
    """No window has a value."""


def _is_bigwig(out: Path) -> bool:
    return out.suffix.lower() in (".bw", ".bigwig")


def _count(size: int, window: int, stride: int) -> int:
    return max(0, (size - window) // stride + 1)


def _blocks(sizes: dict[str, int], window: int, stride: int) -> Iterator[tuple[str, int, int]]:
    """Chromosome, number of the first window and number of windows, in order."""
    for chrom, size in sizes.items():
        count = _count(size, window, stride)
        for first in range(0, count, _BLOCK):
            yield chrom, first, min(_BLOCK, count - first)


def _codes(genome: Genome, chrom: str, start: int, end: int) -> NDArray[np.uint8]:
    place = pd.DataFrame({"chrom": [chrom], "start": [start], "end": [end]})
    return genome.fetch(place)[0]


def _values(
    bundles: Sequence[Bundle],
    codes: NDArray[np.uint8],
    chrom: str,
    start: int,
    n: int,
    stride: int,
    only: pd.DataFrame | None,
    **how: Any,
) -> NDArray[np.float32]:
    """Values of one block's windows, NaN where there is none."""
    window = bundles[0].window
    unknown = np.concatenate([[0], np.cumsum(codes >= N)])
    starts = np.arange(n) * stride
    wanted = unknown[starts + window] == unknown[starts]
    if only is not None:
        middle = start + starts + window // 2
        places = pd.DataFrame({"chrom": chrom, "start": middle, "end": middle + 1})
        wanted &= overlaps_any(places, only)
    values = np.full(n, np.nan, dtype=np.float32)
    if wanted.any():
        values[wanted] = score_ensemble(bundles, codes, starts[wanted], **how)
    return values


def _name(sizes: dict[str, int], chrom: str, first: int) -> str:
    return f"{list(sizes).index(chrom)}.{first}"


def _rows(
    parts: Parts, sizes: dict[str, int], window: int, stride: int
) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.float32]]]:
    """Chromosome, starts of bins and their values, in order."""
    for chrom, first, n in _blocks(sizes, window, stride):
        values = parts.get(_name(sizes, chrom, first), np.float32, (n,))
        if values is None:
            raise InputError(f"{parts.folder}: a part is gone; run it again")
        known = ~np.isnan(values)
        starts = (first + np.flatnonzero(known)) * stride + window // 2 - stride // 2
        yield chrom, starts, values[known]


def _write(
    out: Path,
    rows: Iterator[tuple[str, NDArray[np.int64], NDArray[np.float32]]],
    sizes: dict[str, int],
    stride: int,
) -> int:
    """Write the track in the form that the file's name asks for; how many values it has."""
    scored = 0
    if _is_bigwig(out):
        try:
            pybigtools = import_module("pybigtools")
        except ImportError as error:
            raise InputError(
                f"{out}: writing bigWig needs pybigtools (pip install 'cistransfer[bigbed]'); "
                "or write a .bedGraph"
            ) from error

        def values() -> Iterator[tuple[str, int, int, float]]:
            nonlocal scored
            for chrom, starts, found in rows:
                scored += len(found)
                for start, value in zip(starts.tolist(), found.tolist(), strict=True):
                    yield chrom, start, start + stride, value

        with whole_file(out) as temporary:
            named = temporary.with_suffix(".bw")  # the library goes by the name
            try:
                pybigtools.open(str(named), "w").write(sizes, values())
                if not scored:
                    raise _Nothing
                os.replace(named, temporary)
            finally:
                named.unlink(missing_ok=True)
        return scored
    with whole_file(out) as temporary, open(temporary, "wb") as raw:
        zipped = out.suffix == ".gz"
        target = gzip.GzipFile("", "wb", 6, raw, mtime=0) if zipped else raw
        for chrom, starts, found in rows:
            scored += len(found)
            lines = (
                f"{chrom}\t{start}\t{start + stride}\t{value:.5f}\n"
                for start, value in zip(starts.tolist(), found.tolist(), strict=True)
            )
            target.write("".join(lines).encode())
        if not scored:
            raise _Nothing
        if zipped:
            target.close()
    return scored
