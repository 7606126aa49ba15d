"""What a model is interpreted on: itself, its task, sequences and their scores."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.examples.candidates import Placing, as_sequences, no_sequence
from cistransfer.examples.dataset import PARTS, ExampleSet, open_examples
from cistransfer.figures import BOTH, save
from cistransfer.genome.bed import as_regions
from cistransfer.genome.codes import encode
from cistransfer.genome.fasta import Sequences, read_fasta
from cistransfer.genome.intervals import centre_windows
from cistransfer.interpretation.attribute import Attribution, attribute
from cistransfer.interpretation.steps import Methods, OtherModels
from cistransfer.models.bundle import Bundle
from cistransfer.motifs.names import motifs_of
from cistransfer.motifs.pwm import PWM

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cistransfer.interpretation.filters import FilterMotifs

__all__ = [
    "Attributed",
    "Material",
    "Source",
    "Subject",
    "browser_place",
    "gather",
]


@dataclass(frozen=True)
class Source:
    """Where the sequences come from; without any, the example set of the model's own run.

    Attributes
    ----------
    part : str
        Part of the examples: all, train, valid, test.
    regions : path or DataFrame, optional
        With ``genome``.
    """

    examples: str | os.PathLike[str] | ExampleSet | None = None
    part: str = "all"
    regions: str | os.PathLike[str] | pd.DataFrame | None = None
    genome: str | os.PathLike[str] | Sequences | None = None
    fasta: str | os.PathLike[str] | None = None


@dataclass(frozen=True)
class Material:
    """Sequences to interpret a model on.

    Attributes
    ----------
    codes : ndarray of uint8, shape (n, window)
        May be memory-mapped.
    names : list of str
        ``chrom:start-end`` or FASTA header.
    regions : DataFrame or None
        chrom, start, end of each sequence, where known.
    labels : ndarray of int8, shape (n, tasks), or None
        In the order of the bundle's tasks; −1 where unresolved.
    inputs : list of dict
        What was read, and where regions of a genome lie
        (`cistransfer.examples.candidates.Placing`).
    """

    codes: NDArray[np.uint8]
    names: list[str]
    regions: pd.DataFrame | None
    labels: NDArray[np.int8] | None
    inputs: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Attributed:
    """The attributed sequences: positive predictions, at most ``max_sequences``.

    Attributes
    ----------
    rows : ndarray of int64
        Among the subject's sequences.
    codes : ndarray of uint8, shape (n, window)
    strength : ndarray of float32, shape (n, window)
        Contributions, positive where a base speaks for the task (mutagenesis: sign turned).
    """

    rows: NDArray[np.int64]
    codes: NDArray[np.uint8]
    attribution: Attribution
    strength: NDArray[np.float32]


@dataclass(frozen=True)
class Subject:
    """What the methods of ``interpret`` look at.

    Attributes
    ----------
    out : Path
        Folder of the results.
    task : int
        Column of the task.
    logits : ndarray of float32, shape (n, tasks)
    motifs : tuple of PWM
        The known ones.
    others : OtherModels
        As given; ``other`` and ``scratch`` are the opened ones.
    other_task : int or None
        Column of the other model's task; None where it is not clear which to take.
    """

    out: Path
    bundle: Bundle
    task: int
    material: Material
    logits: NDArray[np.float32]
    motifs: tuple[PWM, ...] = ()
    methods: Methods = Methods()  # noqa: RUF009 (frozen)
    others: OtherModels = OtherModels()  # noqa: RUF009
    other: Bundle | None = None
    other_task: int | None = None
    scratch: Bundle | None = None
    seed: int = 0

    @property
    def tf(self) -> str:
        """Name of the task."""
        return self.bundle.tasks[self.task]

    def draw(self, made: Figure, name: str, table: pd.DataFrame | None = None) -> None:
        """Write a figure of the task, headed by its name, as ``NAME.png`` and ``NAME.svg``.

        ``table`` holds the numbers behind it (`cistransfer.figures.save`).
        """
        said = made.get_suptitle()
        letters = int(14 * made.get_figwidth())  # that fit into a line of it
        heading = textwrap.fill(f"{self.tf}: {said}" if said else self.tf, letters)
        made.suptitle(heading, fontsize=9, x=0.01, ha="left", weight="normal" if said else "bold")
        save(made, self.out / name, BOTH, table=table)

    @cached_property
    def own_motifs(self) -> frozenset[str]:
        """Names (first ones) of the known motifs that are the task's own; empty without any."""
        try:
            return frozenset(pwm.name for pwm in motifs_of(self.tf, self.motifs))
        except InputError:  # a task that is called by no TF's name
            return frozenset()

    @cached_property
    def explain(self) -> Mapping[str, Any]:
        """Arguments of `attribute`, but for the task."""
        asked = self.methods
        return {
            "method": asked.attribution, "on": asked.on, "references": asked.references,
            "both_strands": asked.strands == "both", "seed": self.seed,
        }  # fmt: skip

    @cached_property
    def attributed(self) -> Attributed:
        """The attribution that the methods share, made once."""
        rows = self.sample(self._predicted_positive(), self.methods.max_sequences)
        codes = np.asarray(self.material.codes[rows])
        found = attribute(self.bundle.model, codes, task=self.task, **self.explain)
        sign = -1 if found.method == "mutagenesis" else 1
        return Attributed(rows, codes, found, sign * found.contributions)

    def _predicted_positive(self) -> NDArray[np.int64]:
        """Rows called positive for the task; `InputError` where there is none."""
        threshold, scores = float(self.bundle.thresholds[self.task]), self.logits[:, self.task]
        rows = np.flatnonzero(scores >= threshold)
        if not len(rows):
            raise InputError(
                f"none of the {len(scores):,} sequences is predicted positive for {self.tf} "
                f"(highest logit {scores.max():.2f}, threshold {threshold:.2f}); attribution "
                "explains positive predictions: give other sequences"
            )
        return rows

    @cached_property
    def filters(self) -> tuple[FilterMotifs, pd.DataFrame]:
        """Motifs of the filters and what is known of each, made once."""
        from cistransfer.interpretation.filters import filters_of

        return filters_of(self)

    def sample(self, rows: NDArray[np.int64], max_rows: int) -> NDArray[np.int64]:
        """At most ``max_rows`` of the rows, drawn at random, ascending."""
        if len(rows) <= max_rows:
            return rows
        rng = np.random.default_rng(self.seed)
        return np.sort(rng.choice(rows, size=max_rows, replace=False))


def gather(bundle: Bundle, source: Source = Source()) -> Material:
    """Sequences from regions of a genome, a FASTA file, or an example set (with labels).

    Raises
    ------
    InputError
        When more than one source is named, none is there, or lengths do not fit the model.
    """
    examples, part, regions = source.examples, source.part, source.regions
    genome, fasta = source.genome, source.fasta
    if (regions is not None) + (fasta is not None) + (examples is not None) > 1:
        raise InputError("name one of --regions (with --genome), --fasta and --examples")
    if regions is not None:
        if genome is None:
            raise InputError("--regions needs --genome")
        given = as_regions(regions)
        placing = Placing(as_sequences(genome))
        windows = centre_windows(given, bundle.window)[["chrom", "start", "end"]]
        windows.attrs.update(given.attrs)
        windows = placing.table(windows, "windows")
        placing.compare(bundle.card.assembly, f"{bundle.path}")
        absent = placing.sequences.missing(windows)
        if absent.all():
            raise no_sequence(windows, placing.sequences)
        if absent.any():
            placing.warn(f"{int(absent.sum()):,} of {len(absent):,} windows have no sequence")
        windows = windows[~absent].reset_index(drop=True)
        codes = placing.sequences.fetch(windows)
        return Material(codes, _region_names(windows), windows, None, placing.inputs)
    if fasta is not None:
        return _from_fasta(bundle, fasta)
    place = _own_examples(bundle) if examples is None else examples
    stored = place if isinstance(place, ExampleSet) else open_examples(place)
    if stored.window != bundle.window:
        raise InputError(
            f"{place}: the examples are {stored.window} bp long; the model reads {bundle.window} bp"
        )
    if part not in ("all", *PARTS):
        raise InputError(f"no part {part!r}; {nearest(part, ('all', *PARTS))}")
    rows = np.flatnonzero(stored.regions["part"].isin(PARTS if part == "all" else (part,)))
    labels = np.full((len(rows), len(bundle.tasks)), -1, np.int8)
    for column, task in enumerate(bundle.tasks):
        if task in stored.tasks:
            labels[:, column] = stored.labels[rows, stored.tasks.index(task)]
    windows = stored.regions.iloc[rows][["chrom", "start", "end"]].reset_index(drop=True)
    codes = stored.codes if len(rows) == len(stored.codes) else stored.codes[rows]
    line = f"examples: {len(rows):,} windows ({part}) on {windows['chrom'].nunique():,} chromosomes"
    told = [{"what": "examples", "rows": len(rows), "line": line}]
    return Material(codes, _region_names(windows), windows, labels, told)


def browser_place(name: str) -> str:
    """A window's name as genome browsers write its place, counted from 1; other names unchanged.

    >>> browser_place("chr1:1000-1200"), browser_place("a sequence")
    ('chr1:1,001-1,200', 'a sequence')
    """
    place = re.fullmatch(r"(.+):(\d+)-(\d+)", name)
    if place is None:
        return name
    return f"{place[1]}:{int(place[2]) + 1:,}-{int(place[3]):,}"


def _own_examples(bundle: Bundle) -> Path:
    for place in (bundle.path.parent / "examples", bundle.path / "examples"):
        if place.is_dir():
            return place
    raise InputError(
        f"{bundle.path}: no examples beside this bundle; name --regions and --genome, --fasta or "
        "--examples"
    )


def _region_names(windows: pd.DataFrame) -> list[str]:
    return [
        f"{chrom}:{start}-{end}"
        for chrom, start, end in windows[["chrom", "start", "end"]].itertuples(index=False)
    ]


def _from_fasta(bundle: Bundle, path: str | os.PathLike[str]) -> Material:
    names, rows, longer = [], [], 0
    for header, sequence in read_fasta(path):
        longer += len(sequence) > bundle.window
        left = (len(sequence) - bundle.window) // 2
        if left < 0:
            raise InputError(
                f"{path}: record '>{header[:60]}' has {len(sequence)} bp; the model reads "
                f"{bundle.window} bp"
            )
        names.append(header)
        rows.append(encode(sequence[left : left + bundle.window]))
    line = f"{path}: {len(names):,} sequences"
    if longer:
        line += f"; of {longer:,} longer than {bundle.window} bp the middle is read"
    told = [{"what": "sequences", "rows": len(names), "line": line}]
    return Material(np.stack(rows), names, None, None, told)
