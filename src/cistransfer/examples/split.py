"""Which region goes to training, validation and test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.genome.intervals import overlapping_runs

__all__ = [
    "SPLITS",
    "Split",
    "assign_parts",
    "choose_chromosomes",
    "chromosome_folds",
    "settle_split",
    "split_from_card",
    "widen_split",
]

SPLITS = ("chromosome", "random", "neighbours")
"""Whole chromosomes (default); regions at random, as published; at random, but overlapping windows
stay together."""


@dataclass(frozen=True)
class Split:
    """A rule that sends every region to one part.

    Attributes
    ----------
    by : {"chromosome", "random", "neighbours"}
        One of `SPLITS`: whole chromosomes (default), regions at random as Novakovsky et al. did,
        or at random without parting windows that overlap.
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
        if self.by not in SPLITS:
            raise InputError(
                f"a split is by 'chromosome', 'random' or 'neighbours', found {self.by!r}"
            )
        if self.fold:
            _read_fold(self.fold)
            if self.by != "chromosome":
                raise InputError(f"folds are made of chromosomes, found a split by {self.by!r}")
        both = set(self.valid) & set(self.test)
        if both:
            raise InputError(f"chromosomes {sorted(both)} are both for validation and for test")
        if not 0 < self.fraction < 0.5:
            raise InputError(f"the split's fraction must lie in (0, 0.5), found {self.fraction}")

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


def choose_chromosomes(chroms: Iterable[str], fraction: float = 0.1) -> Split:
    """Choose validation and test chromosomes that hold about ``fraction`` of the regions each.

    The chromosome whose share is closest to ``fraction`` becomes the test set, the next closest
    the validation set; ties go to the name that sorts first. Depends on the regions alone.

    Raises
    ------
    InputError
        With fewer than three chromosomes.
    """
    names, number = np.unique(np.asarray(list(chroms), dtype=object), return_counts=True)
    if len(names) < 3:
        raise InputError(
            f"a split by chromosome needs regions on at least 3 chromosomes, found {list(names)}; "
            "split at random instead"
        )
    order = np.argsort(np.abs(number / number.sum() - fraction), kind="stable")
    return Split(valid=(str(names[order[1]]),), test=(str(names[order[0]]),))


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
    names, number = np.unique(np.asarray(list(chroms), dtype=object), return_counts=True)
    size = dict(zip(names.tolist(), number.tolist(), strict=True))
    for name in test:
        if name not in size:
            raise InputError(f"test chromosome {name!r} has no region; {nearest(name, size)}")
    test = test or choose_chromosomes(np.repeat(names, number)).test
    free = sorted(set(size) - set(test), key=lambda name: (-size[name], name))
    if len(free) < k:
        raise InputError(
            f"{k} folds need at least {k} chromosomes beside the test's ({', '.join(test)}), "
            f"found {len(free)}: {', '.join(sorted(free)) or 'none'}"
        )
    folds: list[list[str]] = [[] for _ in range(k)]
    held = [0] * k
    for name in free:
        least = held.index(min(held))
        folds[least].append(name)
        held[least] += size[name]
    return [
        Split(valid=tuple(sorted(fold)), test=tuple(test), fold=f"{at}/{k}")
        for at, fold in enumerate(folds, start=1)
    ]


def settle_split(split: Split | None, chroms: Iterable[str]) -> Split:
    """The split itself, or the chromosomes that it leaves to be chosen among regions.

    Parameters
    ----------
    split : Split or None
        None: `choose_chromosomes`. With a ``fold`` but no ``valid``: that one of
        `chromosome_folds`, with its test chromosomes where it names some.
    chroms : iterable of str
        Chromosome of each region.
    """
    if split is None:
        return choose_chromosomes(chroms)
    if not split.fold or split.valid:
        return split
    number, count = _read_fold(split.fold)
    return chromosome_folds(chroms, count, test=split.test)[number - 1]


def widen_split(
    split: Split, chroms: Iterable[str], seen: Iterable[str], fraction: float = 0.1
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
    """
    names, number = np.unique(np.asarray(list(chroms), dtype=object), return_counts=True)
    size = dict(zip(names.tolist(), number.tolist(), strict=True))
    total = sum(size.values())
    parts = {
        "test": [name for name in split.test if name in size],
        "valid": [name for name in split.valid if name in size],
    }
    free = sorted(set(size) - set(seen) - set(split.test) - set(split.valid))
    for part in ("test", "valid"):
        while free and (lack := fraction * total - sum(size[name] for name in parts[part])) > 0:
            left = total - sum(size[name] for chosen in parts.values() for name in chosen)
            fitting = [name for name in free if left - size[name] >= total / 2]
            if not fitting:
                break
            enough = [name for name in fitting if size[name] >= lack]
            best = (
                min(enough, key=size.__getitem__) if enough else max(fitting, key=size.__getitem__)
            )
            parts[part].append(best)
            free.remove(best)
    return Split(valid=tuple(parts["valid"]), test=tuple(parts["test"]))


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
        if not split.valid or not split.test:
            raise InputError("a split by chromosome needs validation and test chromosomes")
        chroms = regions["chrom"].to_numpy()
        present = set(chroms)
        for part, names in (("valid", split.valid), ("test", split.test)):
            for name in names:
                if name not in present:
                    raise InputError(
                        f"{part} chromosome {name!r} has no region; {nearest(name, present)}"
                    )
            parts[np.isin(chroms, names)] = part
        return parts
    held = int(0.5 + split.fraction * len(regions))
    rng = np.random.default_rng(split.seed)
    if split.by == "random":
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
