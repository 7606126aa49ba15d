"""What a trunk has seen, compared with the examples of a run: by place, or by the bases.

Places compare only on one assembly, whatever its chromosomes are called. Where it is not known
that trunk and run share it, the bases say: of the candidates that lie where the trunk has seen
something most must show a sequence that it has seen, and of those elsewhere few. Else, and for
sequences without a place, candidates are compared by their sequence alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.genome.assemblies import assemblies, match_names
from cistransfer.genome.intervals import centre, overlaps_any
from cistransfer.genome.seen import SHARED, share_seen

__all__ = ["Seen"]

_SAMPLE = 400
"""Candidates, where something was seen and elsewhere, whose bases are looked at."""

_CHANCE = 0.3
"""Of open windows that were not seen 3 % show repeats or paralogues of seen ones, of tiles of the
genome 12 %; more than this says that the places are others."""

_AGREE = 0.5
"""Share of them that must show what the trunk has seen, and must not."""

_KIN = 0.01
"""Fewer than this show sequence that was seen: the genome is of another organism."""

Fetch = Callable[[NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.uint8]]]
"""Rows of candidates → those with a sequence, and their codes."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What a model and its own trunk were trained and validated on.

    Attributes
    ----------
    regions : DataFrame
        Region table with ``part``.
    fingerprints : mapping
        Part → sorted hashes (`cistransfer.genome.seen.fingerprints`); empty where there are none.
    assembly : str or None
        Of the regions, where it is known.
    """

    regions: pd.DataFrame = field(repr=False)
    fingerprints: Mapping[str, NDArray[np.uint64]] = field(default_factory=dict, repr=False)
    assembly: str | None = None

    def compare_by(
        self,
        regions: pd.DataFrame,
        fetch: Fetch,
        *,
        assembly: str | None = None,
        placed: bool = True,
    ) -> str | None:
        """How what was seen is compared with candidates.

        Parameters
        ----------
        regions : DataFrame
            Region table of the candidates.
        fetch : callable
            Gives the codes of some of them.
        assembly : str, optional
            Of the candidates.
        placed : bool
            Whether the candidates have places.

        Returns
        -------
        ``"place"``, ``"sequence"``, or None where nothing can be compared: no places, and a trunk
        without fingerprints.
        """
        if not self.fingerprints:
            return "place" if placed else None
        if not placed:
            return "sequence"
        if assembly is not None and self.assembly is not None:
            return "place" if assembly == self.assembly else "sequence"
        middle = centre(regions)
        points = regions[["chrom"]].assign(start=middle, end=middle + 1)
        there = overlaps_any(points, self._renamed(regions))
        elsewhere = self._share(np.flatnonzero(~there), fetch)
        if not there.any():
            foreign = self.assembly is not None and elsewhere < _KIN
            return "sequence" if foreign or elsewhere > _CHANCE else "place"
        at_places = self._share(np.flatnonzero(there), fetch)
        return "place" if at_places >= _AGREE and elsewhere <= 1 - _AGREE else "sequence"

    def _share(self, rows: NDArray[np.int64], fetch: Fetch) -> float:
        """Share of some candidates that show a sequence which was seen; 0 without any."""
        picked = np.linspace(0, len(rows) - 1, min(len(rows), _SAMPLE)).astype(np.int64)
        _, codes = fetch(np.unique(rows[picked]))
        if not len(codes):
            return 0.0
        return float((share_seen(codes, *self._hashes("train", "valid")) >= SHARED).mean())

    def hits(
        self, regions: pd.DataFrame, by: str | None, codes: NDArray[np.uint8] | None = None
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which candidates were trained or validated on, and which were trained on.

        Parameters
        ----------
        regions : DataFrame
            n candidates.
        by : str or None
            From `compare_by`.
        codes : ndarray of uint8, shape (n, width), optional
            Their sequences, to compare by these.

        Returns
        -------
        seen, trained : ndarray of bool, shape (n,)
        """
        if by is None:
            return np.zeros(len(regions), dtype=bool), np.zeros(len(regions), dtype=bool)
        if by == "place":
            table = self._renamed(regions)
            trained = table[table["part"] == "train"]
            return overlaps_any(regions, table), overlaps_any(regions, trained)
        assert codes is not None
        trained = share_seen(codes, *self._hashes("train")) >= SHARED
        return trained | (share_seen(codes, *self._hashes("valid")) >= SHARED), trained

    def chromosomes(self, chroms: Iterable[str]) -> list[str]:
        """Chromosomes on which something was seen, by the names that a run has for them."""
        names = pd.unique(self.regions["chrom"])
        match = match_names(names, pd.unique(pd.Series(chroms)), "trunk")
        return [match.to.get(name, name) for name in names]

    def is_foreign(
        self, regions: pd.DataFrame, fetch: Fetch, by: str | None, assembly: str | None = None
    ) -> bool:
        """Whether candidates are of another organism: one name of a chromosome means two.

        The assemblies say it where both are known; else the bases, of at least a hundred
        candidates, where places of the trunk are not places of the run (``by``, `compare_by`).
        """
        mine = assemblies().get(self.assembly or "")
        other = assemblies().get(assembly or "")
        if mine is not None and other is not None:
            return mine.organism != other.organism
        if not self.fingerprints or len(regions) < 100 or by == "place":
            return False
        return self._share(np.arange(len(regions)), fetch) < _KIN

    def _hashes(self, *parts: str) -> list[NDArray[np.uint64]]:
        return [self.fingerprints[part] for part in parts if part in self.fingerprints]

    def _renamed(self, regions: pd.DataFrame) -> pd.DataFrame:
        """What was seen, by the names that the candidates' chromosomes have."""
        match = match_names(pd.unique(self.regions["chrom"]), pd.unique(regions["chrom"]), "trunk")
        if not match.renamed:
            return self.regions
        return self.regions.assign(chrom=self.regions["chrom"].replace(match.renamed))
