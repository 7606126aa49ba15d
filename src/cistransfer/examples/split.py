"""Which region goes to training, validation and test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest

__all__ = ["Split", "assign_parts", "choose_chromosomes", "split_from_card", "widen_split"]


@dataclass(frozen=True)
class Split:
    """A rule that sends every region to one part.

    Attributes
    ----------
    by : {"chromosome", "random"}
        Whole chromosomes (default), or regions at random as Novakovsky et al. did.
    valid, test : tuple of str
        Chromosomes held out for validation and test (``by="chromosome"``).
    fraction : float
        Share of validation and of test (``by="random"``; 0.1 in the paper).
    seed : int
        Seed of the random split.
    """

    by: str = "chromosome"
    valid: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    fraction: float = 0.1
    seed: int = 1

    def __post_init__(self) -> None:
        if self.by not in ("chromosome", "random"):
            raise InputError(f"a split is by 'chromosome' or 'random', found {self.by!r}")
        both = set(self.valid) & set(self.test)
        if both:
            raise InputError(f"chromosomes {sorted(both)} are both for validation and for test")
        if not 0 < self.fraction < 0.5:
            raise InputError(f"the split's fraction must lie in (0, 0.5), found {self.fraction}")

    def as_dict(self) -> dict[str, Any]:
        """The split for a JSON record."""
        facts = asdict(self)
        drop = ("fraction", "seed") if self.by == "chromosome" else ("valid", "test")
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
    )


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
    and then lie on both sides (1.8 % of neighbours at 200 bp, 33.5 % at 500 bp).

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
    else:
        order = np.random.default_rng(split.seed).permutation(len(regions))
        held = int(0.5 + split.fraction * len(regions))
        parts[order[len(order) - 2 * held : len(order) - held]] = "valid"
        parts[order[len(order) - held :]] = "test"
    return parts
