"""What is held out: the split, what a trunk has seen, and the guard that keeps them apart."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from cistransfer.errors import InputError
from cistransfer.options import check_options, option

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cistransfer.examples.seen import Fetch, Seen
    from cistransfer.examples.split import Split

__all__ = [
    "AT_RANDOM",
    "EXTRA",
    "GUARDS",
    "PUBLISHED_TEST",
    "SPLITS",
    "TRAINED",
    "HoldOut",
    "HoldOutOptions",
    "SplitOptions",
    "Trunk",
    "seen_by",
]

SPLITS = ("chromosome", "random", "neighbours", "published")
"""Whole chromosomes (default); regions at random; at random, but overlapping windows stay
together; at random after examples were drawn and GC-matched (Novakovsky et al. 2021)."""

EXTRA = "extra"
"""Part of an example set: more unbound regions beside the training part's own."""

TRAINED = ("train", EXTRA)
"""Parts that a model learns from."""

AT_RANDOM = ("random", "published")
"""Those that put neighbours which overlap on both sides."""

GUARDS = ("heldout", "all", "off")
"""``heldout``: drop test regions that overlap a region the trunk trained or validated on, and
validation regions that overlap one it trained on (the default of splits by chromosome).
``all``: drop every region that overlaps one the trunk trained or validated on (the published
rule, and the default of random splits). ``off``: drop nothing."""

PUBLISHED_TEST = ("chr2", "chr3")
"""Test chromosomes of Salvatore et al. 2023."""


class Trunk(Protocol):
    """What is asked of a trained model (`cistransfer.models.bundle.Bundle`)."""

    @property
    def card(self) -> Any:
        """Its record (`cistransfer.models.card.Card`), with its split."""

    @property
    def window(self) -> int:
        """Length of its input in bp."""

    def regions(self) -> pd.DataFrame:
        """What it and its own trunk were trained and validated on, with ``part``."""

    def seen(self) -> Mapping[str, NDArray[np.uint64]]:
        """Fingerprints of the sequences there, by part."""


@dataclass(frozen=True, eq=False, repr=False)
class HoldOut:
    """Which regions train, validate and test, and what must not be among them.

    Attributes
    ----------
    split : Split or None
        None, or a fold without chromosomes, until they are chosen among regions (`settle`).
    guard : str or None
        One of `GUARDS`; None is ``heldout`` for splits by chromosome and ``all`` for others.
    seen : Seen, DataFrame or None
        What a trunk was trained and validated on; a region table with ``part`` does.
    inherited : bool
        Whether the split (of a fold without chromosomes: its test chromosomes) is a trunk's:
        `settle` fits it to the regions.
    by : {"place", "sequence"} or None
        How what was seen is compared (`compared`); by place, until it is known better.
    """

    split: Split | None = None
    guard: str | None = None
    seen: Seen | pd.DataFrame | None = None
    inherited: bool = False
    by: str | None = "place"

    def __post_init__(self) -> None:
        if self.guard is not None and self.guard not in GUARDS:
            raise InputError(f"no leakage guard {self.guard!r}; there are: {', '.join(GUARDS)}")
        if self.guard == "heldout" and self.split is not None and self.split.by == "published":
            raise InputError(
                "the guard 'heldout' needs parts before examples are drawn; with the split "
                "'published' it is all or off"
            )
        if self._seen is not None:
            table = self._seen.regions
            lacking = [name for name in ("chrom", "start", "end", "part") if name not in table]
            if lacking:
                raise InputError(f"what a trunk has seen lacks the columns {', '.join(lacking)}")

    def __repr__(self) -> str:
        split = "by chromosome" if self.split is None else repr(self.split)
        kept = "nothing seen before" if self._seen is None else "what a trunk has seen is guarded"
        return f"<HoldOut {split}: {kept} ({self.rule})>"

    @property
    def _seen(self) -> Seen | None:
        from cistransfer.examples.seen import Seen

        return self.seen if self.seen is None or isinstance(self.seen, Seen) else Seen(self.seen)

    @classmethod
    def of(
        cls,
        trunk: Trunk | None = None,
        split: Split | str | None = None,
        guard: str | None = None,
    ) -> HoldOut:
        """Say what to hold out from a model that starts from a trunk, or from scratch.

        Parameters
        ----------
        trunk : Bundle or None
            What it has seen is kept out of the held-out parts, unless ``guard`` is ``"off"``.
        split : Split or str, optional
            A split, or the name of one (`SPLITS`); by default the trunk's, where that is by
            chromosome, else chromosomes are chosen. A fold keeps the trunk's test chromosomes.
        guard : str, optional
            One of `GUARDS`.
        """
        from cistransfer.examples.split import Split, split_from_card

        if isinstance(split, str):
            split = None if split == "chromosome" else Split(by=split)
        if trunk is None:
            return cls(split, guard)
        theirs = trunk.card.split or {}
        inherited = split is None and theirs.get("by") == "chromosome"
        if inherited:
            split = split_from_card(theirs)
        elif split is not None and split.fold and not split.valid and not split.test:
            split = replace(split, test=tuple(theirs.get("test", ())))
            inherited = bool(split.test)
        return cls(split, guard, seen_by(trunk), inherited)

    @property
    def rule(self) -> str:
        """The guard that is used."""
        by_chromosome = self.split is None or self.split.by == "chromosome"
        return self.guard or ("heldout" if by_chromosome else "all")

    @property
    def asked(self) -> Split | None:
        """The split without what is a trunk's."""
        if not self.inherited or self.split is None:
            return self.split
        return replace(self.split, test=()) if self.split.fold and not self.split.valid else None

    @property
    def settled(self) -> bool:
        """Whether nothing of the split is left to be chosen."""
        split = self.split
        return split is not None and not self.inherited and split.settled

    def named(self, chroms: Iterable[str]) -> HoldOut:
        """The same, with the chromosomes of the split called as a run calls them."""
        from cistransfer.genome.assemblies import match_names

        split = self.split
        if split is None or not (split.valid or split.test):
            return self
        match = match_names((*split.valid, *split.test), chroms, "held-out chromosomes")
        valid, test = (
            tuple(dict.fromkeys(match.to.get(name, name) for name in names))
            for names in (split.valid, split.test)
        )
        return replace(self, split=replace(split, valid=valid, test=test))

    def prefer(self, test: tuple[str, ...], regions: pd.DataFrame) -> HoldOut:
        """Test on some chromosomes, where the split is open and there are regions enough."""
        from cistransfer.examples.split import complete_split

        return replace(self, split=complete_split(self.split, regions["chrom"], test))

    def settle(
        self,
        regions: pd.DataFrame,
        *,
        positives: pd.DataFrame | None = None,
        folds: pd.DataFrame | None = None,
        both: Container[str] | None = None,
    ) -> HoldOut:
        """Choose what the split leaves open among regions that have a sequence.

        Parameters
        ----------
        regions : DataFrame
            Chromosomes are chosen by their numbers of these.
        positives : DataFrame, optional
            A trunk's split is fitted to these (`widen_split`); by default to ``regions``.
        folds : DataFrame, optional
            Folds are made of these; by default of ``regions``.
        both : set of str, optional
            Chromosomes with regions of both classes (`choose_chromosomes`).

        Raises
        ------
        NoPartsError
            When there are too few chromosomes, or a trunk has seen too many of them.
        """
        from cistransfer.examples.split import (
            NoPartsError,
            counted_regions,
            settle_split,
            some,
            widen_split,
        )

        if self.settled:
            return self
        split = self.asked
        fold = split is not None and bool(split.fold)
        voters = folds if fold and folds is not None else regions
        if self.inherited and self.split is not None:
            wide = regions if positives is None else positives
            theirs = {*self.split.valid, *self.split.test}
            seen = [] if self._seen is None else self._seen.chromosomes(wide["chrom"])
            own = theirs.union(seen).isdisjoint(regions["chrom"])  # a genome of its own
            if fold and not own:
                split = self.split
            elif not own:
                fitted = widen_split(self.split, wide["chrom"], seen, both=both)
                if not fitted.valid or not fitted.test:
                    raise NoPartsError(
                        f"no chromosome for {'test' if fitted.valid else 'validation'}: the "
                        f"trunk's are {some(self.split.valid)} for validation and "
                        f"{some(self.split.test)} for test, found {counted_regions(wide)}; name "
                        "others with --valid-chroms and --test-chroms, or split with --split "
                        "neighbours or --split random"
                    )
                return replace(self, split=fitted, inherited=False)
        chosen = settle_split(split, voters["chrom"], both)
        return replace(self, split=chosen, inherited=False)

    def parts(self, regions: pd.DataFrame) -> NDArray[np.object_]:
        """``train``, ``valid`` or ``test`` of each region (`assign_parts`)."""
        from cistransfer.examples.split import assign_parts

        settled = self if self.settled else self.settle(regions)
        assert settled.split is not None
        return assign_parts(regions, settled.split)

    def compared(
        self,
        regions: pd.DataFrame,
        fetch: Fetch,
        *,
        assembly: str | None = None,
        placed: bool = True,
    ) -> HoldOut:
        """Settle how what was seen is compared with candidates (`Seen.compare_by`)."""
        if self._seen is None or self.rule == "off":
            return self
        by = self._seen.compare_by(regions, fetch, assembly=assembly, placed=placed)
        if self.inherited and self._seen.is_foreign(regions, fetch, by, assembly):
            # its names of chromosomes mean nothing here
            return replace(self, by=by, split=self.asked, inherited=False)
        return replace(self, by=by)

    def leaking(
        self,
        regions: pd.DataFrame,
        parts: NDArray[np.object_],
        fetch: Fetch | None = None,
    ) -> NDArray[np.bool_]:
        """Which regions the guard drops: the one place where what was seen is compared.

        Parameters
        ----------
        regions : DataFrame
            Region table of n candidates.
        parts : ndarray of str, shape (n,)
        fetch : callable, optional
            Gives the codes of some of them, to compare by sequence; those without one stay.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        import numpy as np

        leaks = np.zeros(len(regions), dtype=bool)
        if self._seen is None or self.rule == "off" or self.by is None:
            return leaks
        rows = np.flatnonzero(~np.isin(parts, TRAINED) | (self.rule == "all"))
        codes = None
        if self.by == "sequence":
            assert fetch is not None
            rows, codes = fetch(rows)
        seen, trained = self._seen.hits(regions.iloc[rows], self.by, codes)
        if self.rule == "heldout":
            held = parts[rows]
            seen = np.where(held == "test", seen, (held == "valid") & trained)
        leaks[rows] = seen
        return leaks

    def facts(self) -> dict[str, Any]:
        """The split and the guard for a JSON record."""
        compared = self._seen is not None and self.rule != "off"
        return {
            "guard": self.rule,
            **({"guard_compares_by": self.by} if compared else {}),
            "split": None if self.split is None else self.split.as_dict(),
        }


def seen_by(trunk: Trunk) -> Seen:
    """What a model and its own trunk were trained and validated on."""
    from cistransfer.examples.seen import Seen

    return Seen(trunk.regions(), trunk.seen(), trunk.card.assembly)


@dataclass(frozen=True)
class SplitOptions:
    """Training, validation and test.

    Attributes
    ----------
    by, valid, test, fold
        Of `Split`; a fold needs no validation chromosomes, others both or none.
    """

    by: str = option(
        "chromosome",
        flag="--split",
        choices=SPLITS,
        help="chromosome, random, neighbours (random, but overlapping windows stay together), or "
        "published (random, of what was drawn and GC-matched before).",
    )
    valid: tuple[str, ...] = option(
        (),
        flag="--valid-chroms",
        needs=("by=chromosome",),
        against=("fold",),
        help="Comma list of validation chromosomes [default: the trunk's, or chosen, about 10 %].",
    )
    test: tuple[str, ...] = option(
        (),
        flag="--test-chroms",
        needs=("by=chromosome",),
        help="Comma list of test chromosomes [default: the trunk's, or chosen, about 10 %].",
    )
    fold: str = option(
        "",
        metavar="I/K",
        needs=("by=chromosome",),
        help="Fold I of K by chromosome: it validates, the others train, and the test "
        "chromosomes are the same in every fold.",
    )

    def __post_init__(self) -> None:
        check_options(self)

    def split(self, seed: int = 0) -> Split | None:
        """The split that the options name; None leaves the choice of chromosomes open."""
        from cistransfer.examples.split import Split

        if self.by != "chromosome":
            return Split(by=self.by, seed=seed)
        if self.fold:
            return Split(test=self.test, fold=self.fold)
        if not self.valid and not self.test:
            return None
        if not self.valid or not self.test:
            raise InputError("name both --valid-chroms and --test-chroms, or neither")
        return Split(valid=self.valid, test=self.test)


@dataclass(frozen=True)
class HoldOutOptions(SplitOptions):
    """Training, validation and test.

    Attributes
    ----------
    guard : str or None
        Of `HoldOut`.
    """

    guard: str | None = option(
        None,
        panel="Leakage guard",
        choices=GUARDS,
        help="Drop what the trunk has seen: heldout (from validation and test; default by "
        "chromosome), all (published; default at random), off.",
    )
