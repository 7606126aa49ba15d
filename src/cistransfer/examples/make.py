"""From candidates to an example set: the steps that every source shares."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.examples.candidates import Candidates, as_sequences, fetch_known, no_sequence
from cistransfer.examples.dataset import PARTS, ExampleSet
from cistransfer.examples.draw import All, Draw
from cistransfer.examples.holdout import AT_RANDOM, HoldOut, Trunk, seen_by
from cistransfer.examples.seen import Fetch, Seen
from cistransfer.examples.sources import Source
from cistransfer.examples.split import NoPartsError, Split, assign_parts, counted_regions, some
from cistransfer.genome.assemblies import recognise
from cistransfer.genome.fasta import Sequences

__all__ = ["Drawn", "Pool", "examples_for", "fetch_from", "leaking_examples", "make_examples"]

PathLike = str | os.PathLike[str]
Rows = NDArray[np.int64]
Codes = NDArray[np.uint8]
_PLACE = ["chrom", "start", "end"]


def examples_for(
    source: Source,
    trunk: Trunk | None = None,
    *,
    holdout: HoldOut | None = None,
    draw: Draw | None = None,
    genome: PathLike | Sequences | None = None,
    seed: int = 0,
) -> ExampleSet:
    """Make the examples that a model is trained, validated and tested on.

    Parameters
    ----------
    trunk : Bundle, optional
        What the model starts from: its window and its split are taken, and what it has seen is
        kept out of the held-out parts.
    holdout : HoldOut, optional
        By default ``HoldOut.of(trunk)``. One without what a trunk has seen gets the trunk's,
        unless its guard is ``"off"``.
    draw : All, Matched, Shares or Background, optional
        By default as is usual for the source.
    genome : path or Sequences, optional
        Instead of the source's.
    seed : int
        Of everything random.

    Raises
    ------
    InputError
        When there are too few examples, or a part lacks one of two classes.
    """
    given = source.sequences if genome is None else genome
    sequences = None if given is None else as_sequences(given)
    window = None if trunk is None else trunk.window
    if holdout is None:
        holdout = HoldOut.of(trunk)
    elif holdout.seen is None and trunk is not None:
        holdout = replace(holdout, seen=seen_by(trunk))
    candidates = source.candidates(sequences, window=window, seed=seed)
    return make_examples(candidates, sequences, holdout, draw or source.draw, seed)


def make_examples(
    candidates: Candidates,
    sequences: Sequences | None = None,
    holdout: HoldOut | None = None,
    draw: Draw | None = None,
    seed: int = 0,
) -> ExampleSet:
    """Split candidates, drop what a trunk has seen, and draw examples within each part.

    Parameters
    ----------
    sequences : Sequences or None
        None where the candidates have their sequences.
    holdout : HoldOut, optional
        By default chromosomes are chosen, and nothing is guarded.
    draw : Draw, optional
        By default `All`.
    seed : int
        Of the draw, and of the split at random of sequences without a place.

    Returns
    -------
    ExampleSet
        In the order of the genome, except that `Matched` keeps bound examples first.

    Raises
    ------
    InputError
        When no region has a sequence, and when a part lacks one of two classes.
    """
    draw = draw or All()
    if draw.kinds is not None:
        candidates = candidates.take(np.flatnonzero(np.isin(candidates.source, draw.kinds)))
    holdout = _without_places(candidates, holdout or HoldOut(), seed)
    absent = _absent(candidates, sequences)
    assembly = None if sequences is None else recognise(sequences.chromosomes)
    holdout = holdout.named(pd.unique(candidates.regions["chrom"])).compared(
        candidates.regions,
        _fetcher(candidates, sequences, absent),
        assembly=assembly,
        placed=candidates.placed,
    )
    holdout = _settle(candidates, holdout, sequences, absent)
    assert holdout.split is not None
    dropped = {**candidates.dropped}
    if isinstance(draw, All) and candidates.codes is None:
        assert sequences is not None
        kept, codes, lost = fetch_known(candidates.regions, sequences)
        candidates = replace(candidates.take(kept), codes=codes)
        absent = np.zeros(len(kept), dtype=bool)
        dropped = _added(dropped, lost)
    later = holdout.split.by == "published"
    if later:
        parts = _undecided(candidates)
    elif candidates.together is None:
        parts = holdout.parts(candidates.regions)
    else:
        everything, where = candidates.together
        parts = holdout.parts(everything)[where]
    leaks = holdout.leaking(candidates.regions, parts, _fetcher(candidates, sequences, absent))
    pool = Pool(candidates, parts, ~leaks & ~absent, int(leaks.sum()), sequences, later)
    drawn = draw.rows(pool, seed)
    if later:
        drawn, unused = _split_drawn(candidates, drawn, pool.parts, holdout.split)
        dropped = _added(dropped, {"unused_test": unused})
    dropped = _added(
        dropped,
        {
            "no_sequence": int((absent & ~leaks).sum()),
            "with_n": pool.with_n,
            "seen_by_trunk": pool.seen,
        },
    )
    rows = drawn.rows
    source = candidates.source[rows]
    labels = candidates.labels[rows]
    source[drawn.copies], labels[drawn.copies] = "shuffled", 0
    table = candidates.regions[_PLACE].iloc[rows].assign(part=parts[rows], source=source)
    facts = {
        **candidates.facts,
        **draw.facts(pool),
        "drawn": "before the split" if later else "within each part",
        **({} if sequences is None else {"genome": sequences.name}),
        **({} if assembly is None else {"assembly": assembly}),
        **({"uracils": uracils} if (uracils := getattr(sequences, "uracils", 0)) else {}),
        **({} if candidates.placed else {"places": False}),
        **holdout.facts(),
        "dropped": dropped,
        "seed": seed,
    }
    if candidates.words is not None:
        _require_both(candidates, table, labels[:, 0], holdout.split, pool.seen)
        facts["ratio_reached"] = _ratio_reached(table, labels[:, 0])
    codes, table = drawn.codes, table.reset_index(drop=True)
    if not draw.keeps_order:
        order = table.sort_values(_PLACE, kind="stable").index.to_numpy()
        if (order != np.arange(len(order))).any():
            codes, labels = codes[order], labels[order]
            table = table.iloc[order].reset_index(drop=True)
    return ExampleSet(codes, labels, table, candidates.tasks, facts)


def fetch_from(examples: ExampleSet, rows: Rows | None = None) -> Fetch:
    """How to get the codes of examples, or of some of them, by their number."""

    def fetch(wanted: Rows) -> tuple[Rows, Codes]:
        return wanted, np.asarray(examples.codes[wanted if rows is None else rows[wanted]])

    return fetch


def leaking_examples(examples: ExampleSet, trunk: Trunk) -> NDArray[np.bool_]:
    """Held-out examples that a trunk has learned from, shape (n,): those that the guard drops."""

    fetch = fetch_from(examples)
    holdout = HoldOut.of(trunk, guard="heldout").compared(
        examples.regions,
        fetch,
        assembly=examples.facts.get("assembly"),
        placed=examples.facts.get("places", True),
    )
    return holdout.leaking(examples.regions, examples.regions["part"].to_numpy(), fetch)


@dataclass(frozen=True)
class Drawn:
    """Rows of candidates that became examples, with their sequences.

    Attributes
    ----------
    rows : ndarray of int64, shape (n,)
    codes : ndarray of uint8, shape (n, width)
    copies : ndarray of bool, shape (n,)
        Which are shuffled copies: negatives, whatever the candidate is.
    """

    rows: Rows
    codes: Codes
    copies: NDArray[np.bool_]

    def take(self, which: Rows) -> Drawn:
        """Some of them."""
        return Drawn(self.rows[which], self.codes[which], self.copies[which])

    def joined(self, other: Drawn) -> Drawn:
        """These and then others."""
        return Drawn(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.codes, other.codes]),
            np.concatenate([self.copies, other.copies]),
        )

    def with_copies(self, of: Rows, codes: Codes) -> Drawn:
        """These and then shuffled copies of some of them."""
        return self.joined(Drawn(self.rows[of], codes, np.ones(len(of), dtype=bool)))


@dataclass
class Pool:
    """Candidates in their parts, of which examples are drawn.

    Attributes
    ----------
    parts : ndarray of str, shape (n,)
    usable : ndarray of bool, shape (n,)
        Neither seen by a trunk nor without a sequence.
    seen : int
        How many the guard dropped.
    split_later : bool
        Whether examples get their part after they are drawn: all candidates are in ``train``, and
        what a draw sends to ``test`` itself is a test part apart.
    with_n : int
        How many of those fetched so far held an N.
    """

    candidates: Candidates
    parts: NDArray[np.object_]
    usable: NDArray[np.bool_]
    seen: int
    sequences: Sequences | None
    split_later: bool = False
    with_n: int = field(default=0, init=False)

    @property
    def task(self) -> str:
        """Name of the only task."""
        if len(self.candidates.tasks) != 1:
            raise InputError(f"expected candidates of one task, found {len(self.candidates.tasks)}")
        return self.candidates.tasks[0]

    @property
    def labels(self) -> NDArray[np.int8]:
        """Labels of the only task."""
        _ = self.task
        return self.candidates.labels[:, 0]

    @property
    def source(self) -> NDArray[np.object_]:
        """What each candidate is."""
        return self.candidates.source

    def fetch(self, rows: Rows) -> Drawn:
        """Those of some candidates that hold no N, with their sequences."""
        codes = self.candidates.codes
        if codes is not None:
            every = len(rows) == len(codes)
            return Drawn(rows, codes if every else codes[rows], np.zeros(len(rows), dtype=bool))
        sequences = self.sequences
        if self.candidates.background is not None and not self.labels[rows].any():
            sequences = self.candidates.background
        assert sequences is not None
        kept, fetched, lost = fetch_known(self.candidates.regions.iloc[rows], sequences)
        self.with_n += lost["with_n"]
        return Drawn(rows[kept], fetched, np.zeros(len(kept), dtype=bool))


def _undecided(candidates: Candidates) -> NDArray[np.object_]:
    """Parts of candidates that get theirs when they are drawn."""
    if candidates.together is not None:
        raise InputError(
            "sets that share windows cannot be split as published, after each is drawn; split by "
            "chromosome, neighbours or random"
        )
    return np.full(len(candidates.regions), "train", dtype=object)


def _split_drawn(
    candidates: Candidates, drawn: Drawn, parts: NDArray[np.object_], split: Split
) -> tuple[Drawn, int]:
    """Send what was drawn to parts; where a test part was drawn apart, leave their own out.

    ``parts``, one of each candidate, is written to.
    """
    apart = parts[drawn.rows] == "test"
    rows = np.unique(drawn.rows[~apart])
    parts[rows] = assign_parts(candidates.regions.iloc[rows], split)
    if not apart.any():
        return drawn, 0
    kept = apart | (parts[drawn.rows] != "test")
    return drawn.take(np.flatnonzero(kept)), int((~kept).sum())


def _without_places(candidates: Candidates, holdout: HoldOut, seed: int) -> HoldOut:
    """What can be held out of sequences that name no place: at random, and no trunk's."""
    if candidates.placed:
        return holdout
    what = (
        f"{candidates.facts.get('file', candidates.facts.get('genome'))}: not every header names "
        "a place ('>CLASS::chrom:start-end')"
    )
    split = holdout.asked
    if split is not None and split.by not in AT_RANDOM:
        raise InputError(f"{what}; such sequences can only be split at random")
    split = split or Split(by="random", seed=seed)
    if isinstance(holdout.seen, Seen) and holdout.seen.fingerprints:
        return HoldOut(split, holdout.guard, holdout.seen)
    if holdout.seen is not None and holdout.guard not in (None, "off"):
        raise InputError(
            f"{what}, and the trunk keeps no fingerprints of sequences; the guard "
            f"{holdout.guard!r} needs one of them (give places, or off)"
        )
    return HoldOut(split, holdout.guard if holdout.seen is None else "off")


def _fetcher(
    candidates: Candidates, sequences: Sequences | None, absent: NDArray[np.bool_]
) -> Fetch:
    """How to get the codes of some candidates."""

    def fetch(rows: Rows) -> tuple[Rows, Codes]:
        if candidates.codes is not None:
            return rows, candidates.codes[rows]
        assert sequences is not None
        rows = rows[~absent[rows]]
        table = candidates.regions.iloc[rows]
        ground = candidates.background
        if ground is None or not len(rows):
            return rows, sequences.fetch(table)
        negative = candidates.labels[rows, 0] == 0
        codes = np.empty((len(rows), int((table["end"] - table["start"]).iloc[0])), dtype=np.uint8)
        for which, where in ((~negative, sequences), (negative, ground)):
            if which.any():
                codes[which] = where.fetch(table[which])
        return rows, codes

    return fetch


def _absent(candidates: Candidates, sequences: Sequences | None) -> NDArray[np.bool_]:
    """Which candidates have no sequence."""
    regions = candidates.regions
    if candidates.codes is not None or not len(regions):
        return np.zeros(len(regions), dtype=bool)
    if sequences is None:
        raise InputError("a genome is needed to read the sequence of the regions")
    if candidates.background is None:
        absent = sequences.missing(regions)
    else:
        negative = candidates.labels[:, 0] == 0
        absent = np.zeros(len(regions), dtype=bool)
        for which, where in ((~negative, sequences), (negative, candidates.background)):
            absent[which] = where.missing(regions[which])
    if absent.all():
        raise no_sequence(regions, sequences)
    return absent


def _settle(
    candidates: Candidates,
    holdout: HoldOut,
    sequences: Sequences | None,
    absent: NDArray[np.bool_],
) -> HoldOut:
    """Choose what the split leaves open among regions that have a sequence."""
    if holdout.settled:
        return holdout
    where = candidates.background or sequences

    def present(table: pd.DataFrame | None) -> pd.DataFrame | None:
        if table is None or where is None:
            return table
        return table[~where.missing(table)]

    usable = candidates.regions[~absent]
    voters, positives = present(candidates.voters), None
    if voters is None:
        voters = usable
        positives = usable[(candidates.labels[~absent] == 1).any(axis=1)]
    if candidates.test:
        holdout = holdout.prefer(candidates.test, voters)
    both = None
    if candidates.words is not None:
        ones, zeros = (
            set(usable["chrom"][candidates.labels[~absent, 0] == label]) for label in (1, 0)
        )
        both = ones & zeros
    return holdout.settle(voters, positives=positives, folds=present(candidates.folds), both=both)


def _added(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """Counts of both."""
    return {**one, **{why: one.get(why, 0) + number for why, number in other.items()}}


def _ratio_reached(table: pd.DataFrame, labels: NDArray[np.int8]) -> dict[str, float | None]:
    """Negatives per positive in each part, to four decimals; None without positives."""
    reached: dict[str, float | None] = {}
    for part in PARTS:
        mine = labels[table["part"].to_numpy() == part]
        positives = int((mine == 1).sum())
        reached[part] = round(int((mine == 0).sum()) / positives, 4) if positives else None
    return reached


def _require_both(
    candidates: Candidates,
    table: pd.DataFrame,
    labels: NDArray[np.int8],
    split: Split,
    seen: int,
) -> None:
    """Refuse a part without positives or without negatives, in one line that says what helps."""
    assert candidates.words is not None
    ones, zeros = candidates.words
    for part in PARTS:
        mine = labels[table["part"].to_numpy() == part]
        if (mine == 1).any() and (mine == 0).any():
            continue
        names = getattr(split, part, ()) if split.by == "chromosome" else ()
        where = f" (chromosomes {some(names)})" if names else ""
        ways = []
        if seen:
            ways.append(f"{seen:,} windows were seen by the trunk")
        if split.by == "chromosome":
            for word, label in ((ones, 1), (zeros, 0)):
                there = candidates.regions[candidates.labels[:, 0] == label]
                ways.append(f"{word} are on {counted_regions(there)}")
            ways.append(
                "name others with --valid-chroms and --test-chroms, or split with --split "
                "neighbours or --split random"
            )
        else:
            ways.append("use more regions")
        raise NoPartsError(
            f"{candidates.tasks[0]}: the {part} part{where} has {int((mine == 1).sum()):,} {ones} "
            f"and {int((mine == 0).sum()):,} {zeros}; both are needed; {'; '.join(ways)}"
        )
