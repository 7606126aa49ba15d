"""Which region goes to training, validation and test."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.examples.holdout import AT_RANDOM, SPLITS
from cistransfer.genome.intervals import overlapping_runs

__all__ = [
    "NoPartsError",
    "Split",
    "assign_parts",
    "choose_chromosomes",
    "chromosome_folds",
    "complete_split",
    "counted",
    "counted_regions",
    "deal_chromosomes",
    "settle_split",
    "some",
    "split_from_card",
    "widen_split",
]

_LEAST_SHARE = 0.25
"""Of what a held-out part should hold: chromosomes with less are scaffolds."""


class NoPartsError(InputError):
    """Regions cannot be sent to three parts that each hold what is needed.

    The message names the chromosomes with their numbers, and what helps.
    """


@dataclass(frozen=True, repr=False)
class Split:
    """A rule that sends every region to one part.

    Attributes
    ----------
    by : {"chromosome", "random", "neighbours", "published"}
        One of `SPLITS`: whole chromosomes (default), regions at random, at random without parting
        windows that overlap, or as Novakovsky et al. did: examples are drawn from all regions and
        then sent to parts at random.
    valid, test : tuple of str
        Chromosomes held out for validation and test (``by="chromosome"``).
    fraction : float
        Share of validation and of test (not by chromosome; 0.1 in the paper).
    seed : int
        Seed of the random splits.
    fold : str
        ``"I/K"``: fold I of K by chromosome, counted from 1. Without ``valid`` it is a wish that
        `settle_split` turns into chromosomes, with ``valid`` the record of it.
    """

    by: str = "chromosome"
    valid: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    fraction: float = 0.1
    seed: int = 1
    fold: str = ""

    def __post_init__(self) -> None:
        for name in ("valid", "test"):
            given = getattr(self, name)
            names = given.split(",") if isinstance(given, str) else given or ()
            object.__setattr__(self, name, tuple(names))
        if self.by not in SPLITS:
            raise InputError(f"a split is by {', '.join(map(repr, SPLITS))}; found {self.by!r}")
        if self.fold:
            _read_fold(self.fold)
            if self.by != "chromosome":
                raise InputError(f"folds are made of chromosomes, found a split by {self.by!r}")
        both = set(self.valid) & set(self.test)
        if both:
            raise InputError(f"chromosomes {sorted(both)} are both for validation and for test")
        if not 0 < self.fraction < 0.5:
            raise InputError(f"the split's fraction must lie in (0, 0.5), found {self.fraction}")

    def __repr__(self) -> str:
        facts = {key: value for key, value in self.as_dict().items() if value != []}
        return f"Split({', '.join(f'{key}={value!r}' for key, value in facts.items())})"

    @property
    def settled(self) -> bool:
        """Whether it sends regions to parts: by chromosome it has to name some."""
        return self.by != "chromosome" or bool(self.valid and self.test)

    def as_dict(self) -> dict[str, Any]:
        """The split for a JSON record."""
        facts = asdict(self)
        drop = ["fraction", "seed"] if self.by == "chromosome" else ["valid", "test"]
        if not self.fold:
            drop.append("fold")
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in facts.items()
            if key not in drop
        }


def split_from_card(record: dict[str, Any]) -> Split:
    """Read a split back from a JSON record (a bundle's card)."""
    default = Split()
    return Split(
        by=str(record["by"]),
        valid=tuple(record.get("valid", ())),
        test=tuple(record.get("test", ())),
        fraction=float(record.get("fraction", default.fraction)),
        seed=int(record.get("seed", default.seed)),
        fold=str(record.get("fold", "")),
    )


def _read_fold(text: str) -> tuple[int, int]:
    """Number and count of ``I/K``."""
    number, slash, count = text.partition("/")
    if not (slash and number.strip().isdecimal() and count.strip().isdecimal()):
        raise InputError(f"a fold is I/K, such as 1/5; found {text!r}")
    if int(count) < 2 or not 1 <= int(number) <= int(count):
        raise InputError(f"fold {text}: expected K of at least 2, and I from 1 to K")
    return int(number), int(count)


def choose_chromosomes(
    chroms: Iterable[str], fraction: float = 0.1, both: Container[str] | None = None
) -> Split:
    """Choose validation and test chromosomes that hold about ``fraction`` of the regions each.

    The chromosome whose share is closest to ``fraction`` becomes the test set, the next closest
    the validation set; ties go to the name that sorts first. Where those hold next to nothing
    (scaffolds), chromosomes are dealt to the parts from the largest to the smallest, each to the
    part that lacks most, so that every part has large and small ones. Depends on the regions
    alone.

    Parameters
    ----------
    chroms : iterable of str
        Chromosome of each region.
    fraction : float
    both : set of str, optional
        Chromosomes with regions of both classes. Where a part would get none of them, these alone
        are dealt, and all others train.

    Raises
    ------
    NoPartsError
        With fewer than three chromosomes (names them and their counts).
    """
    size = _sizes(chroms)
    split = _dealt(size, fraction)
    if both is None or _each_part(split, size, both):
        return split
    few = {name: number for name, number in size.items() if name in both}
    return _dealt(few, fraction) if len(few) >= 3 else split


def _each_part(split: Split, names: Iterable[str], both: Container[str]) -> bool:
    """Whether each part has a chromosome with regions of both classes."""
    held = {*split.valid, *split.test}
    parts = (split.valid, split.test, [name for name in names if name not in held])
    return all(any(name in both for name in part) for part in parts)


def _dealt(size: Mapping[str, int], fraction: float) -> Split:
    """`choose_chromosomes` among chromosomes with these numbers of regions."""
    if len(size) < 3:
        raise NoPartsError(
            f"a split by chromosome needs regions on at least 3 chromosomes, found {counted(size)}"
            "; split with --split neighbours (windows that overlap stay together) or --split "
            "random, or give regions on more chromosomes"
        )
    names, number = list(size), np.array(list(size.values()))
    share = number / number.sum()
    order = np.argsort(np.abs(share - fraction), kind="stable")
    if share[order[:2]].min() >= _LEAST_SHARE * fraction:
        return Split(valid=(names[order[1]],), test=(names[order[0]],))
    wanted = {"train": 1 - 2 * fraction, "test": fraction, "valid": fraction}
    held = dict.fromkeys(wanted, 0)
    parts: dict[str, list[str]] = {part: [] for part in wanted}
    dealt = 0
    for name in sorted(names, key=lambda name: (-size[name], name)):
        dealt += size[name]
        part = max(wanted, key=lambda part: wanted[part] * dealt - held[part])
        parts[part].append(name)
        held[part] += size[name]
    if not parts["test"] or not parts["valid"]:
        return Split(valid=(names[order[1]],), test=(names[order[0]],))
    return Split(valid=tuple(sorted(parts["valid"])), test=tuple(sorted(parts["test"])))


def _sizes(chroms: Iterable[str]) -> dict[str, int]:
    """Number of regions of each chromosome, by name."""
    return dict(sorted(Counter(chroms).items()))


def counted_regions(regions: pd.DataFrame) -> str:
    """Chromosomes of regions and their numbers, for a message."""
    return counted(_sizes(regions["chrom"]))


def some(names: Iterable[str], n: int = 6) -> str:
    """The first names of a list, for a message."""
    listed = list(names)
    return ", ".join(listed[:n]) + (f", … ({len(listed):,} in all)" if len(listed) > n else "")


def counted(size: Mapping[str, int], n: int = 6) -> str:
    """Chromosomes and their numbers of regions, largest first, for a message."""
    order = sorted(size, key=lambda name: (-size[name], name))
    return some([f"{name} ({size[name]:,})" for name in order], n) or "none"


def chromosome_folds(chroms: Iterable[str], k: int, *, test: tuple[str, ...] = ()) -> list[Split]:
    """Split the chromosomes outside the test part into ``k`` folds of about as many regions.

    Largest chromosome first, each goes to the fold with fewest regions; ties go to the name that
    sorts first and to the earlier fold. Depends on the regions alone. Fold i validates and the
    other folds train; the test chromosomes are the same in all.

    Parameters
    ----------
    chroms : iterable of str
        Chromosome of each region.
    k : int
        At least 2.
    test : tuple of str
        By default the one that `choose_chromosomes` takes.

    Returns
    -------
    list of Split
        Their ``fold`` is ``"1/k"`` and so on.

    Raises
    ------
    InputError
        On fewer than ``k`` chromosomes beside the test's, or a test chromosome without a region.
    """
    if k < 2:
        raise InputError(f"expected at least 2 folds, found {k}")
    size = _sizes(chroms)
    for name in test:
        if name not in size:
            raise InputError(f"test chromosome {name!r} has no region; {nearest(name, size)}")
    test = test or choose_chromosomes(np.repeat(list(size), list(size.values()))).test
    free = sorted(set(size) - set(test), key=lambda name: (-size[name], name))
    if len(free) < k:
        raise InputError(
            f"{k} folds need at least {k} chromosomes beside the test's ({some(test)}), "
            f"found {len(free)}: {some(sorted(free)) or 'none'}"
        )
    return [
        Split(valid=fold, test=tuple(test), fold=f"{i}/{k}")
        for i, fold in enumerate(deal_chromosomes({name: size[name] for name in free}, k), start=1)
    ]


def deal_chromosomes(size: Mapping[str, int], k: int) -> list[tuple[str, ...]]:
    """Deal chromosomes to ``k`` groups of about as many regions, largest chromosome first.

    >>> deal_chromosomes({"chr1": 9, "chr2": 6, "chr3": 5, "chr4": 1}, 2)
    [('chr1', 'chr4'), ('chr2', 'chr3')]
    """
    groups: list[list[str]] = [[] for _ in range(k)]
    held = [0] * k
    for name in sorted(size, key=lambda name: (-size[name], name)):
        smallest = held.index(min(held))
        groups[smallest].append(name)
        held[smallest] += size[name]
    return [tuple(sorted(group)) for group in groups]


def settle_split(
    split: Split | None, chroms: Iterable[str], both: Container[str] | None = None
) -> Split:
    """The split itself, or the chromosomes that it leaves to be chosen among regions.

    Parameters
    ----------
    split : Split or None
        None: `choose_chromosomes`. With a ``fold`` but no ``valid``: that one of
        `chromosome_folds`, with its test chromosomes where it names some.
    chroms : iterable of str
        Chromosome of each region.
    both : set of str, optional
        See `choose_chromosomes`.
    """
    if split is None:
        return choose_chromosomes(chroms, both=both)
    if not split.fold or split.valid:
        return split
    number, count = _read_fold(split.fold)
    return chromosome_folds(chroms, count, test=split.test)[number - 1]


def complete_split(
    wanted: Split | None, chroms: Iterable[str], test: tuple[str, ...]
) -> Split | None:
    """Complete a wanted split with test chromosomes, as far as it leaves them open.

    Parameters
    ----------
    wanted : Split or None
        One that names its chromosomes, or is not by chromosome, is returned as it is. A fold is
        made of the chromosomes outside the test part (`settle_split`).
    chroms : iterable of str
        Chromosome of each region that examples may be made of.
    test : tuple of str

    Returns
    -------
    Split or None
        The validation chromosome is the one that holds about 10 % of the regions that are not for
        testing. What was wanted when there are no regions on one of the test chromosomes, and
        when too few others are left to train and validate on (three, or one for every fold).
    """
    if wanted is not None and (wanted.by != "chromosome" or wanted.valid):
        return wanted
    regions = list(chroms)
    test = (wanted.test if wanted is not None else ()) or test
    needed = int(wanted.fold.partition("/")[2]) if wanted is not None and wanted.fold else 3
    if not test or not set(test) <= set(regions) or len(set(regions) - set(test)) < needed:
        return wanted
    if wanted is not None:
        return settle_split(Split(test=test, fold=wanted.fold), regions)
    free = choose_chromosomes(name for name in regions if name not in test)
    return Split(valid=free.test, test=test)


def widen_split(
    split: Split,
    chroms: Iterable[str],
    seen: Iterable[str],
    fraction: float = 0.1,
    both: Container[str] | None = None,
) -> Split:
    """Fit a trunk's split by chromosome to regions on other chromosomes.

    Chromosomes without regions are left out; then chromosomes that the trunk has never seen are
    added to the test and the validation set until each holds ``fraction`` of the regions (as far
    as there are any, keeping at least half of the regions for training), the smallest sufficient
    first. So a trunk that was trained on part of a genome can be evaluated on the rest of it.

    Parameters
    ----------
    split : Split
        The trunk's.
    chroms : iterable of str
        Chromosome of each region that examples may be made of.
    seen : iterable of str
        Chromosomes of the regions that the trunk was trained or validated on.
    fraction : float
    both : set of str, optional
        Chromosomes with regions of both classes; where the test or the validation set would get
        none of them, only these are added.
    """
    size = _sizes(chroms)
    found = _widened(split, size, set(seen), fraction)
    if both is None or _each_part(found, size, both):
        return found
    lacking = {name for name in size if name not in both}
    return _widened(split, size, {*seen, *lacking}, fraction)


def _widened(split: Split, size: Mapping[str, int], seen: set[str], fraction: float) -> Split:
    """`widen_split` by the chromosomes' numbers of regions."""
    total = sum(size.values())
    parts = {
        "test": [name for name in split.test if name in size],
        "valid": [name for name in split.valid if name in size],
    }
    held = {part: sum(size[name] for name in names) for part, names in parts.items()}
    free: dict[int, list[str]] = {}  # by number of regions; the name that sorts first is the last
    for name in sorted(set(size) - seen - {*split.test, *split.valid}, reverse=True):
        free.setdefault(size[name], []).append(name)
    sizes = sorted(free)
    for part in ("test", "valid"):
        while (lack := fraction * total - held[part]) > 0:
            fitting = bisect_right(sizes, total / 2 - sum(held.values()))
            if not fitting:
                break
            enough = bisect_left(sizes, lack)
            best = sizes[enough if enough < fitting else fitting - 1]
            parts[part].append(free[best].pop())
            held[part] += best
            if not free[best]:
                sizes.remove(best)
    same = set(parts["valid"]) == set(split.valid) and set(parts["test"]) == set(split.test)
    return Split(
        valid=tuple(parts["valid"]),
        test=tuple(parts["test"]),
        fold=split.fold if same else "",  # other chromosomes are no fold of the trunk's
    )


def assign_parts(regions: pd.DataFrame, split: Split) -> NDArray[np.object_]:
    """Send each region to ``train``, ``valid`` or ``test``.

    A random split takes ``int(0.5 + fraction·n)`` regions for validation and as many for test
    from a seeded permutation, as the published code does; note that neighbouring windows overlap
    and then lie on both sides (1.8 % of neighbours at 200 bp, 33.5 % at 500 bp). By
    ``neighbours``, runs of overlapping windows are permuted instead, and whole runs are taken
    until there are as many.

    Raises
    ------
    InputError
        When a named chromosome has no region.
    """
    parts = np.full(len(regions), "train", dtype=object)
    if split.by == "chromosome":
        present = set(regions["chrom"])
        if not split.valid or not split.test:
            raise InputError(
                "a split by chromosome needs validation and test chromosomes (--valid-chroms, "
                f"--test-chroms); there are regions on {counted_regions(regions)}"
            )
        for part, names in (("valid", split.valid), ("test", split.test)):
            for name in names:
                if name not in present:
                    raise InputError(
                        f"{part} chromosome {name!r} has no region; {nearest(name, present)}"
                    )
            parts[regions["chrom"].isin(names).to_numpy()] = part
        return parts
    held = int(0.5 + split.fraction * len(regions))
    rng = np.random.default_rng(split.seed)
    if split.by in AT_RANDOM:
        order = rng.permutation(len(regions))
        parts[order[len(order) - 2 * held : len(order) - held]] = "valid"
        parts[order[len(order) - held :]] = "test"
        return parts
    runs = overlapping_runs(regions)
    sizes = np.bincount(runs)
    order = rng.permutation(len(sizes))
    taken = np.cumsum(sizes[order]) - sizes[order]  # regions in the runs before
    part_of = np.full(len(sizes), "train", dtype=object)
    part_of[order[taken < 2 * held]] = "valid"
    part_of[order[taken < held]] = "test"
    return part_of[runs]
