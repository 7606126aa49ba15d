"""What runs are evaluated on: the examples that they share, or the test part that folds share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet, open_examples
from cistransfer.examples.holdout import AT_RANDOM, TRAINED, seen_by
from cistransfer.examples.make import fetch_from
from cistransfer.examples.seen import Fetch, Seen
from cistransfer.genome.intervals import overlaps_any
from cistransfer.genome.seen import distinct_fingerprints
from cistransfer.models.bundle import Bundle

__all__ = ["Named", "SharedExamples", "named_runs", "shared_examples"]


@dataclass(frozen=True)
class Named:
    """A run folder and whether the user gave it its name."""

    path: Path
    given: bool = False


def named_runs(runs: Sequence[str | os.PathLike[str]]) -> dict[str, Named]:
    """Name runs for tables: the folder's name, or ``NAME`` of ``NAME=FOLDER``.

    Raises
    ------
    InputError
        When two runs would have one name.
    """
    named: dict[str, Named] = {}
    for run in runs:
        name, found, folder = str(run).partition("=")
        given = bool(found) and not Path(run).exists()
        path = Path(folder) if given else Path(run)
        name = name if given else path.absolute().name
        if name in named:
            raise InputError(f"two runs are called {name!r}; name them: NAME={path}")
        named[name] = Named(path, given)
    return named


@dataclass(frozen=True)
class SharedExamples:
    """Example sets and who belongs to which.

    Attributes
    ----------
    sets : dict of str to ExampleSet
        By fold (``"1/5"``); one set under ``""`` where there are no folds to tell apart. They have
        the part that is evaluated in common.
    fold_of : dict of str to str
        The fold that each run was trained in, empty for none.
    """

    sets: dict[str, ExampleSet]
    fold_of: dict[str, str]
    part: str

    @property
    def first(self) -> ExampleSet:
        """The set whose regions are evaluated."""
        return next(iter(self.sets.values()))

    @property
    def rows(self) -> NDArray[np.int64]:
        """Which of its rows."""
        return self.first.rows(self.part)

    @property
    def regions(self) -> pd.DataFrame:
        """Their regions."""
        return self.first.regions.iloc[self.rows].reset_index(drop=True)

    def seen(self, bundle: Bundle) -> tuple[int, int]:
        """Count the regions that a model or its trunk was trained or validated on.

        A random split puts overlapping neighbours on both sides; where the model was trained on
        these very examples, split so, its own are no mistake of the evaluation and counted apart.

        Returns
        -------
        seen, neighbours : int
        """
        known, first = seen_by(bundle), self.first
        held = fetch_from(first, self.rows)
        placed = first.facts.get("places", True)
        if bundle.card.examples == first.content_hash() and placed:
            return self._own(known, held)
        assembly = first.facts.get("assembly")
        by = known.compare_by(self.regions, held, assembly=assembly, placed=placed)
        return int(self._hits(known, by, held).sum()), 0

    def _own(self, known: Seen, held: Fetch) -> tuple[int, int]:
        """The same of a model's own examples: they by place, what its trunk has seen as it can be.

        The trunk may be of another assembly, whose places say nothing here.
        """
        first, table = self.first, known.regions
        own = first.regions["part"].isin((*TRAINED, "valid")).to_numpy()
        place = ["chrom", "start", "end"]
        mine = pd.MultiIndex.from_frame(table[place]).isin(
            pd.MultiIndex.from_frame(first.regions.loc[own, place])
        )
        neighbours = overlaps_any(self.regions, table[mine])
        seen = np.zeros(len(neighbours), dtype=bool)
        if not mine.all():
            hashes = distinct_fingerprints(first.codes[own]) if known.fingerprints else ()
            theirs = Seen(
                table[~mine].reset_index(drop=True),
                {part: np.setdiff1d(found, hashes) for part, found in known.fingerprints.items()},
            )
            seen = self._hits(theirs, theirs.compare_by(self.regions, held), held)
        if (first.facts.get("split") or {}).get("by") in AT_RANDOM:
            return int(seen.sum()), int(neighbours.sum())
        return int((seen | neighbours).sum()), 0

    def _hits(self, seen: Seen, by: str | None, held: Fetch) -> NDArray[np.bool_]:
        """Which of the regions were trained or validated on."""
        codes = held(np.arange(len(self.rows)))[1] if by == "sequence" else None
        return seen.hits(self.regions, by, codes)[0]


def shared_examples(
    named: Mapping[str, Path],
    bundles: Mapping[str, Bundle],
    examples: str | os.PathLike[str] | None,
    part: str,
) -> SharedExamples:
    """Find the examples that all runs share, whole or (folds by chromosome) their test part.

    Raises
    ------
    InputError
        When runs were trained on different examples that are not folds of one test part.
    """
    fold_of = {name: _fold(bundle) for name, bundle in bundles.items()}
    if examples is not None:
        return SharedExamples({"": open_examples(examples)}, fold_of, part)
    sets = {
        name: open_examples(path / "examples")
        for name, path in named.items()
        if (path / "examples").is_dir()
    }
    if not sets:
        raise InputError("none of the runs holds examples; name an example set with --examples")
    first = next(iter(sets))
    hashes = {name: data.content_hash() for name, data in sets.items()}
    by_fold: dict[str, str] = {}
    for name, value in hashes.items():
        if value == hashes[first]:
            by_fold.setdefault(fold_of[name], name)
            continue
        known = by_fold.setdefault(fold_of[name], name)
        folds = fold_of[name] and fold_of[first] and hashes[known] == value
        if not folds or not _same_test(sets[first], sets[name]):
            raise InputError(
                f"runs {first!r} and {name!r} were trained on different examples, so their numbers "
                "cannot be compared; train one on the other's (--examples), name an example set, "
                "or train them as folds with one test part (--fold)"
            )
    if len(set(hashes.values())) == 1:
        return SharedExamples({fold_of[first]: sets[first]}, fold_of, part)
    if part != "test":
        raise InputError(f"folds have only their test part in common, not the {part} part")
    return SharedExamples({fold: sets[name] for fold, name in by_fold.items()}, fold_of, part)


def _fold(bundle: Bundle) -> str:
    return str((bundle.card.split or {}).get("fold") or "")


def _same_test(one: ExampleSet, other: ExampleSet) -> bool:
    if one.tasks != other.tasks or one.window != other.window:
        return False
    rows, others = one.rows("test"), other.rows("test")
    place = ["chrom", "start", "end"]
    return (
        len(rows) == len(others)
        and bool(np.array_equal(one.labels[rows], other.labels[others]))
        and bool(np.array_equal(one.codes[rows], other.codes[others]))
        and one.regions.iloc[rows][place]
        .reset_index(drop=True)
        .equals(other.regions.iloc[others][place].reset_index(drop=True))
    )
