"""How many examples of which class are drawn from candidates; the order of draws is a contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from cistransfer.errors import InputError
from cistransfer.examples.holdout import EXTRA
from cistransfer.options import check_options, option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cistransfer.examples.make import Drawn, Pool

__all__ = [
    "KINDS",
    "MIN_BOUND",
    "NEGATIVES",
    "PUBLISHED_NEGATIVES",
    "All",
    "Background",
    "Draw",
    "Matched",
    "Shares",
]

MIN_BOUND = 20
"""Fewest bound regions that GC-matched examples are made from."""

KINDS = ("others", "nobody", "universal")
"""Negatives of a cell: what is specific to another of the chosen cells, what is open in none of
them, what is open in all of them."""

NEGATIVES: Mapping[str, float] = MappingProxyType({"others": 0.5, "nobody": 0.5})
"""Shares of the kinds by default: what is open elsewhere and what is specific elsewhere weigh the
same."""

PUBLISHED_NEGATIVES: Mapping[str, float] = MappingProxyType(
    {"others": 0.02, "nobody": 0.97, "universal": 0.01}
)
"""Shares in the released lists of ChromTransfer."""

_GC_BINS, _PUBLISHED_GC_BINS = 20, 10
_CANDIDATES_PER_BOUND = 40
_MIN_CANDIDATES = 20_000
_MAX_EXTRA = 10_000
_SHUFFLED_AT_ONCE = 8192


def read_shares(text: str) -> dict[str, float]:
    """Read ``others=0.5,nobody=0.5``, or ``published``."""
    if text == "published":
        return dict(PUBLISHED_NEGATIVES)
    shares = {}
    for item in filter(None, map(str.strip, text.split(","))):
        kind, equals, number = (part.strip() for part in item.partition("="))
        if kind in shares:
            raise InputError(f"--negatives: {kind} is there twice")
        try:
            shares[kind] = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise InputError(f"--negatives: expected KIND=SHARE, found {item!r}")
    return shares


class Draw(Protocol):
    """What every way to draw can do."""

    @property
    def kinds(self) -> tuple[str, ...] | None:
        """The sources of candidates that it draws from; None: all."""

    @property
    def keeps_order(self) -> bool:
        """Whether examples lie as the candidates do; else in the order of the genome."""

    def rows(self, pool: Pool, seed: int) -> Drawn:
        """Draw."""

    def facts(self, pool: Pool) -> dict[str, Any]:
        """What the record says of it."""


@dataclass(frozen=True)
class All:
    """Every candidate."""

    kinds = None
    keeps_order = False

    def rows(self, pool: Pool, seed: int) -> Drawn:
        """Draw."""
        import numpy as np

        return pool.fetch(np.flatnonzero(pool.usable))

    def facts(self, pool: Pool) -> dict[str, Any]:
        """What the record says of it."""
        return {}


@dataclass(frozen=True)
class Matched:
    """Negatives with the GC content of the positives.

    The split comes first; matching and subsampling happen within each part, so that every part is
    matched in itself. With the split ``published`` they come before it, over all regions.

    Attributes
    ----------
    per_bound : float
        Unbound regions per bound one, in every part.
    gc_bins : int or None
        Equal bins of GC content. None: 20, and with the split ``published`` the paper's 10.
    positives : int or None
        Bound regions to keep for training and validation together; the test part keeps all of its
        own. None keeps all. With the split ``published``, of all parts together.
    test_positives : int or None
        Bound regions of the test part. None keeps all. With the split ``published`` they are drawn
        apart, from what is left, and a tenth of the others stays unused (Novakovsky et al. 2021,
        Figure 4).
    train_per_bound : float
        Unbound regions per bound one to learn from where a strategy can weigh classes: what goes
        beyond ``per_bound`` is the part ``extra``, from the training part's chromosomes, matched
        alike, at most 10,000 regions. The other parts do not depend on it. With the split
        ``published`` there is none.
    """

    per_bound: float = option(
        1.0, flag="--ratio", min=0.1, help="Unbound regions per bound one, GC-matched."
    )
    gc_bins: int | None = option(
        None, min=1, help="Bins of GC matching [default: 20; with --split published 10]."
    )
    positives: int | None = option(
        None,
        flag="--n-positives",
        min=1,
        help="Use so many bound regions for training and validation.",
    )
    test_positives: int | None = option(
        None, flag="--n-test", min=1, help="Use so many bound regions for testing [default: all]."
    )
    train_per_bound: float = option(
        20.0,
        flag="--train-ratio",
        min=0,
        help="Unbound regions per bound one for a probe to learn from, weighed as --ratio of them.",
    )

    kinds = None
    keeps_order = True

    def __post_init__(self) -> None:
        check_options(self)

    def rows(self, pool: Pool, seed: int) -> Drawn:
        """Draw.

        Raises
        ------
        InputError
            When too few bound regions are left (says how many there are and are needed).
        """
        import numpy as np

        from cistransfer.genome.codes import gc_fraction

        rng = np.random.default_rng(seed)
        bound = pool.labels == 1
        own = np.flatnonzero(bound & pool.usable)
        others = np.flatnonzero(~bound & pool.usable)
        many = int(max(_MIN_CANDIDATES, _CANDIDATES_PER_BOUND * self.per_bound * len(own)))
        others = np.sort(rng.permutation(others)[:many])
        found = pool.fetch(np.concatenate([own, others]))
        gc = gc_fraction(found.codes)
        bound, part_of = bound[found.rows], pool.parts[found.rows]
        heldin = np.flatnonzero(bound & (part_of != "test"))
        tested = np.flatnonzero(bound & (part_of == "test"))
        apart = (self.test_positives or 0) if pool.split_later else 0
        self._require(pool, len(heldin), len(tested), apart)
        if self.positives is not None or apart:
            order = rng.permutation(heldin)
            n = len(order) - apart if self.positives is None else self.positives
            heldin = np.sort(order[:n])
            tested = np.sort(order[n : n + apart]) if apart else tested
        if self.test_positives is not None and not apart:
            tested = np.sort(rng.permutation(tested)[: self.test_positives])
        free, chosen, bins = ~bound, [], self._bins(pool)
        for i, part in enumerate(("train", "valid", "test")):
            mine = tested if part == "test" else heldin[part_of[heldin] == part]
            place = "train" if pool.split_later else part
            rest = np.flatnonzero(free & (part_of == place)) if len(mine) else mine
            like = match_gc(
                gc[mine], gc[rest], per_bound=self.per_bound, bins=bins, seed=seed + 1 + i
            )
            free[rest[like]] = False
            chosen += [mine, rest[like]]
        extra = chosen[0][:0]
        if not pool.split_later and len(chosen[0]):
            rest = np.flatnonzero(free & (part_of == "train"))
            more = min(self.train_per_bound - self.per_bound, _MAX_EXTRA / len(chosen[0]))
            like = match_gc(
                gc[chosen[0]],
                gc[rest],
                per_bound=max(more, 0.0),
                bins=self._bins(pool),
                seed=seed + 4,
            )
            extra = rest[like]
            pool.parts[found.rows[extra]] = EXTRA
        if apart:
            pool.parts[found.rows[np.concatenate(chosen[-2:])]] = "test"
        return found.take(np.concatenate([np.sort(np.concatenate(chosen)), extra]))

    def _bins(self, pool: Pool) -> int:
        """Bins of GC content that are used."""
        return self.gc_bins or (_PUBLISHED_GC_BINS if pool.split_later else _GC_BINS)

    def _require(self, pool: Pool, heldin: int, tested: int, apart: int) -> None:
        """Refuse numbers of bound regions that there are not."""
        needed = max(self.positives or 0, MIN_BOUND) + apart
        if heldin < needed:
            said = (
                f"{pool.task}: {heldin:,} bound regions can be used for training and "
                f"validation (of {int((pool.labels == 1).sum()):,} in all; {pool.seen:,} regions "
                f"were seen by the trunk); at least {needed:,} are needed"
            )
            if apart or heldin + tested < needed:
                raise InputError(said)
            from cistransfer.examples.split import NoPartsError, counted_regions

            bound = counted_regions(pool.candidates.regions[pool.labels == 1])
            raise NoPartsError(
                f"{said}; {tested:,} are in the test part, bound regions are on {bound}; name "
                "others with --valid-chroms and --test-chroms, or split with --split neighbours "
                "or --split random"
            )
        if not apart and tested < (self.test_positives or 0):
            raise InputError(
                f"{pool.task}: {tested:,} bound regions can be used for testing; "
                f"{self.test_positives:,} are asked for"
            )

    def facts(self, pool: Pool) -> dict[str, Any]:
        """What the record says of it."""
        return {
            "negatives": f"unbound open regions, GC-matched in {self._bins(pool)} bins",
            "per_bound": self.per_bound,
            **({} if pool.split_later else {"train_per_bound": self.train_per_bound}),
            "positives": self.positives,
            **({"test_positives": self.test_positives} if self.test_positives else {}),
        }


@dataclass(frozen=True)
class Shares:
    """All positives, and kinds of negatives in shares.

    Attributes
    ----------
    negatives : mapping of str → float
        Kind (one of `KINDS`) → its share of the negatives [default: `NEGATIVES`]; shares are
        divided by their sum. With
        ``ratio=None``, how many of each kind, shared out to the parts as the positives are. A kind
        that has fewer in a part gives all it has.
    ratio : float or None
        Negatives per positive, in every part.
    """

    negatives: Mapping[str, float] = option(
        None,
        read=read_shares,
        panel="Negatives of a cell",
        metavar="KIND=SHARE,…",
        help="Of a cell: shares of others (specific to another), nobody (open in none of the "
        "cells), universal (open in all), as others=0.5,nobody=0.5 (default), or 'published'.",
    )
    ratio: float | None = option(
        2.5, min=0.01, panel="Negatives of a cell", help="Negatives per positive of a cell."
    )

    keeps_order = False

    def __post_init__(self) -> None:
        if self.negatives is None:
            object.__setattr__(self, "negatives", NEGATIVES)
        for kind, value in self.negatives.items():
            if kind not in KINDS:
                raise InputError(f"no kind of negatives {kind!r}; there are: {', '.join(KINDS)}")
            if not 0 <= value < float("inf"):
                raise InputError(f"expected a share of at least 0 for {kind}, found {value}")
        if not self.shares or (self.ratio is not None and self.ratio <= 0):
            raise InputError("expected at least one kind of negatives and a ratio above 0")

    @property
    def shares(self) -> dict[str, float]:
        """Kinds that are wanted: share, or number with ``ratio=None``."""
        shares = {kind: float(value) for kind, value in self.negatives.items() if value > 0}
        whole = 1.0 if self.ratio is None else sum(shares.values())
        return {kind: value / whole for kind, value in shares.items()}

    @property
    def kinds(self) -> tuple[str, ...] | None:
        """The sources of candidates that it draws from."""
        return ("specific", *self.shares)

    def rows(self, pool: Pool, seed: int) -> Drawn:
        """Draw."""
        import numpy as np

        rng = np.random.default_rng(seed)
        positive = pool.usable & (pool.labels == 1)
        in_all = int(positive.sum())
        rows = []
        for part in ("train", "valid", "test"):
            here = pool.usable & (pool.parts == part)
            mine = np.flatnonzero(positive & here)
            rows.append(mine)
            times = len(mine) * self.ratio if self.ratio is not None else len(mine) / max(in_all, 1)
            for kind, share in self.shares.items():
                there = np.flatnonzero(here & (pool.source == kind))
                rows.append(sample_rows(there, round(times * share), rng))
        return pool.fetch(np.sort(np.concatenate(rows)))

    def facts(self, pool: Pool) -> dict[str, Any]:
        """What the record says of it."""
        return {"negatives": dict(self.negatives), "ratio": self.ratio}


@dataclass(frozen=True)
class Background:
    """Positives, and background in every part.

    Attributes
    ----------
    ratio : float
        Background windows per positive, in every part (the paper does not say). A part that has
        fewer tiles gives all; ``ratio_reached`` in the record says how many.
    max_positives : int or None
        Sample at most so many positives.
    kind : str
        ``tiles``: the candidates that are negative. ``shuffled``: copies of the positives with the
        same dinucleotides, at the places of their originals.
    """

    ratio: float = option(
        1.0,
        flag="--background-ratio",
        min=0.01,
        panel="Pre-training",
        help="Background windows per open one.",
    )
    max_positives: int | None = option(
        None,
        flag="--max-regions",
        min=1,
        panel="Pre-training",
        help="Pre-train on a sample of so many open windows.",
    )
    kind: str = "tiles"

    kinds = None
    keeps_order = False

    def __post_init__(self) -> None:
        check_options(self)

    def rows(self, pool: Pool, seed: int) -> Drawn:
        """Draw."""
        import numpy as np

        rng = np.random.default_rng(seed)
        positive = pool.labels == 1
        own = sample_rows(np.flatnonzero(positive & pool.usable), self.max_positives, rng)
        found = pool.fetch(own)
        part_of = pool.parts[found.rows]
        wanted = {
            part: round(self.ratio * int((part_of == part).sum()))
            for part in ("train", "valid", "test")
        }
        if self.kind == "shuffled":
            again = np.concatenate(
                [repeat_rows(np.flatnonzero(part_of == p), n, rng) for p, n in wanted.items()]
            )
            return found.with_copies(again, _shuffled(found.codes[again], seed))
        free = ~positive & pool.usable
        rows = [
            sample_rows(np.flatnonzero(free & (pool.parts == part)), n, rng)
            for part, n in wanted.items()
        ]
        return found.joined(pool.fetch(np.concatenate(rows)))

    def facts(self, pool: Pool) -> dict[str, Any]:
        """What the record says of it."""
        return {"background": self.kind, "ratio": self.ratio, "most": self.max_positives}


def match_gc(
    bound_gc: NDArray[np.float64],
    candidate_gc: NDArray[np.float64],
    *,
    per_bound: float = 1.0,
    bins: int = 20,
    seed: int,
) -> NDArray[np.int64]:
    """Choose candidates bin by bin so that their GC content is distributed as the bound one.

    Right-closed bins ``(0, 1/bins], …``; a GC content of exactly 0 belongs to the first. A bin
    with too few candidates gives all it has, so the result may be smaller than asked for
    (Novakovsky et al. 2021 used ten bins and one candidate per bound window).

    Parameters
    ----------
    bound_gc, candidate_gc : ndarray of float64
        GC fractions from 0 to 1.
    per_bound : float
        Candidates per bound window.
    bins : int
        Number of equal bins.
    seed : int

    Returns
    -------
    ndarray of int64
        Indices into ``candidate_gc``, ascending, each at most once.
    """
    import numpy as np

    edges = np.linspace(0, 1, bins + 1)[1:-1]
    bound_bin = np.searchsorted(edges, bound_gc, side="left")
    candidate_bin = np.searchsorted(edges, candidate_gc, side="left")
    rng = np.random.default_rng(seed)
    chosen = []
    for i in range(bins):
        wanted = round(per_bound * int((bound_bin == i).sum()))
        pool = np.flatnonzero(candidate_bin == i)
        chosen.append(rng.permutation(pool)[:wanted])
    return np.sort(np.concatenate(chosen))


def sample_rows(
    rows: NDArray[np.int64], n: int | None, rng: np.random.Generator
) -> NDArray[np.int64]:
    """At most so many of the rows, ascending; None: all."""
    import numpy as np

    return rows if n is None or n >= len(rows) else np.sort(rng.permutation(rows)[:n])


def repeat_rows(rows: NDArray[np.int64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """So many of the rows, each as often as any other or once more, ascending."""
    import numpy as np

    whole, rest = divmod(n, max(len(rows), 1))
    return np.sort(np.concatenate([np.tile(rows, whole), rng.permutation(rows)[:rest]]))


def _shuffled(codes: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """One shuffle of each row, in blocks (the shuffle's arrays are 16 times its input)."""
    import numpy as np

    from cistransfer.genome.shuffle import dinucleotide_shuffle

    starts = range(0, len(codes), _SHUFFLED_AT_ONCE)
    seeds = np.random.SeedSequence(seed).generate_state(len(starts)).tolist()
    blocks = [
        dinucleotide_shuffle(codes[i : i + _SHUFFLED_AT_ONCE], 1, seed=own)[:, 0]
        for i, own in zip(starts, seeds, strict=True)
    ]
    return np.concatenate(blocks) if blocks else codes
