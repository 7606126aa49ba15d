"""What to hold out of few peaks: chromosomes, each chromosome in its turn, or neighbourhoods."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from cistransfer.examples.candidates import as_sequences
from cistransfer.examples.dataset import ExampleSet
from cistransfer.examples.draw import Draw, Matched
from cistransfer.examples.holdout import HoldOut, Trunk, seen_by
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import Source
from cistransfer.examples.split import NoPartsError, Split, deal_chromosomes

__all__ = [
    "MIN_FOLD",
    "MIN_TEST",
    "MOST_BOUND",
    "HeldOut",
    "examples_held_out",
    "n_bound",
    "with_test",
]

MIN_TEST = 30
"""Bound examples in the test part, below which chromosomes are held out in turn: an AUCPR of fewer
has an interval that decides nothing."""

MIN_FOLD = 5
"""Bound examples that every fold must test."""

MOST_BOUND = 20_000
"""Bound examples that are trained and validated on; of more so many are drawn: the features of
300,000 peaks and what is beside them do not fit a laptop's memory."""

_FOLDS = (5, 4, 3)


@dataclass(frozen=True)
class HeldOut:
    """Examples of one source, and what is held out of them.

    Attributes
    ----------
    sets : tuple of ExampleSet
        Several are folds: every region that the trunk has not seen is tested in one of them.
    how : str
        What is held out, in words.
    lines : tuple of str
        What was found in the inputs, and why it is held out so.
    """

    sets: tuple[ExampleSet, ...]
    how: str
    lines: tuple[str, ...] = field(repr=False)


def examples_held_out(source: Source, trunk: Trunk, seed: int = 0) -> HeldOut:
    """Make examples that hold out as much as can be judged by.

    Chromosomes, as `examples_for` does; where fewer than `MIN_TEST` bound examples would be tested,
    each chromosome that the trunk has not seen in its turn (three to five folds of whole
    chromosomes, each with at least `MIN_FOLD` bound examples); where that cannot be either, a tenth
    of all windows, neighbours together.

    Parameters
    ----------
    source : FromPeaks, …
        Of one task.

    Raises
    ------
    InputError
        When there are too few examples however they are split.
    """
    held = _held_out(source, trunk, seed, None)
    bound = max(n_bound(data, "train", "valid") for data in held.sets)
    if bound <= MOST_BOUND:
        return held
    tested = max(n_bound(data, "test") for data in held.sets)
    fewer = Matched(
        positives=MOST_BOUND, test_positives=MOST_BOUND if tested > MOST_BOUND else None
    )
    said = f"{MOST_BOUND:,} of {bound:,} bound windows, drawn at random, are learned from"
    held = _held_out(source, trunk, seed, fewer)
    return replace(held, lines=(*held.lines, said))


def _held_out(source: Source, trunk: Trunk, seed: int, draw: Draw | None) -> HeldOut:
    data, why = _by_chromosome(source, trunk, seed, draw)
    if data is not None and not why:
        return HeldOut((data,), _chromosomes(data), tuple(data.notes()))
    if folds := _folds(source, trunk, seed, draw):
        how = f"each chromosome in its turn, {len(folds)} folds"
        said = f"too few peaks to hold out a few chromosomes ({why}); held out instead: {how}"
        return HeldOut(tuple(folds), how, (*folds[0].notes(), said))
    if data is not None:
        said = f"{why}, and no more chromosomes to hold out in turn: expect wide intervals"
        return HeldOut((data,), _chromosomes(data), (*data.notes(), said))
    rule = HoldOut.of(trunk, Split(by="neighbours", seed=seed), "heldout")
    data = examples_for(source, trunk, holdout=rule, draw=draw, seed=seed)
    how = "a tenth of all windows, neighbours together"
    said = f"too few peaks to hold out chromosomes ({why}); held out instead: {how}"
    return HeldOut((data,), how, (*data.notes(), said))


def _by_chromosome(
    source: Source, trunk: Trunk, seed: int, draw: Draw | None
) -> tuple[ExampleSet | None, str]:
    """Examples that hold out chromosomes, where that can be; why that is too little, if it is."""
    try:
        data = examples_for(source, trunk, draw=draw, seed=seed)
    except NoPartsError as error:
        return None, str(error)
    bound = n_bound(data, "test")
    return data, "" if bound >= MIN_TEST else f"{bound} bound windows would be held out"


def _folds(source: Source, trunk: Trunk, seed: int, draw: Draw | None) -> list[ExampleSet]:
    """Sets that test every chromosome that the trunk has not seen in one of them.

    Empty where there are too few bound regions or chromosomes for three folds.
    """
    assert source.sequences is not None
    candidates = source.candidates(as_sequences(source.sequences), window=trunk.window, seed=seed)
    chroms = candidates.regions["chrom"][candidates.labels[:, 0] == 1]
    seen = set(seen_by(trunk).chromosomes(chroms))
    size = {str(name): n for name, n in Counter(chroms).items() if name not in seen}
    for k in _FOLDS:
        groups = deal_chromosomes(size, k)
        if min(sum(size[name] for name in group) for group in groups) < MIN_FOLD:
            continue
        rules = [Split(valid=groups[(i + 1) % k], test=groups[i]) for i in range(k)]
        try:
            held = [HoldOut.of(trunk, rule, "heldout") for rule in rules]
            return [examples_for(source, trunk, holdout=one, draw=draw, seed=seed) for one in held]
        except NoPartsError:
            continue
    return []


def _chromosomes(data: ExampleSet) -> str:
    return "chromosomes " + ", ".join((data.facts.get("split") or {}).get("test", ()))


def n_bound(data: ExampleSet, *parts: str) -> int:
    """Bound examples in some parts."""
    return sum(int((data.labels[data.rows(part)] == 1).sum()) for part in parts)


def with_test(data: ExampleSet) -> ExampleSet:
    """The same examples with the test part in the training part: for a model to hand out."""
    regions = data.regions.assign(part=data.regions["part"].replace({"test": "train"}))
    split = {**(data.facts.get("split") or {}), "test": []}
    return ExampleSet(
        data.codes, data.labels, regions, data.tasks, {**data.facts, "split": split, "final": True}
    )
