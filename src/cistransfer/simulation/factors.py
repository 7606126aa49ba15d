"""The simulated transcription factors: their motifs, binding modes, and the cells they work in.

The matrices are written from textbook consensus sequences, not copied from a database. Members
of a binding mode are aligned, have one width and differ in a few positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cistransfer.motifs.pwm import PWM

__all__ = [
    "CELLS",
    "COFACTOR",
    "COFACTOR_GAP",
    "FACTORS",
    "MODES",
    "TARGET",
    "UNASSAYED_SOURCE",
    "Cell",
    "Factor",
    "affinity_threshold",
    "consensus_pwm",
    "draw_sites",
    "factor_names",
    "log_odds",
    "motifs",
    "pwms",
]

_IUPAC = {
    "A": "A",
    "C": "C",
    "G": "G",
    "T": "T",
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
    "N": "ACGT",
}
_STRONG, _WEAK = 0.96, 0.70


@dataclass(frozen=True)
class Factor:
    """A TF: its binding mode, its consensus (lower case = weakly preferred), its cells."""

    name: str
    mode: str
    consensus: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """A cell: its names in the three kinds of file, and how open the regions of each mode are."""

    name: str
    dhs_source: str
    peaks_name: str
    open_share: float
    favoured: tuple[str, ...]


FACTORS: tuple[Factor, ...] = (
    Factor("HNF4A", "DR1", "gGGKCAAAGtcCA", ("HepG2",)),
    Factor("HNF4G", "DR1", "aGGTCAAAGtcCA", ("Caco-2",)),
    Factor("NR2F2", "DR1", "aGGTCAaAGgtCA", ("HepG2", "K562", "MCF-7")),
    Factor("RXRA", "DR1", "gGGTCAaAGgtCA", ("HepG2", "GM12878")),
    Factor("SPI1", "ETS", "aaaGaGGAAGTg", ("GM12878", "K562")),
    Factor("ELF1", "ETS", "aacCcGGAAGTg", ("HepG2", "K562", "GM12878")),
    Factor("GABPA", "ETS", "ngaCcGGAAGTg", ("HepG2", "GM12878", "MCF-7")),
    Factor("JUND", "AP1", "ggTGACTCAtc", ("HepG2", "K562", "MCF-7")),
    Factor("FOS", "AP1", "gaTGACTCAta", ("K562", "MCF-7")),
    Factor("MAX", "EBOX", "acCACGTGgt", ("HepG2", "K562", "GM12878")),
    Factor("MYC", "EBOX", "ccCACGTGgg", ("K562", "MCF-7")),
    Factor("USF1", "EBOX", "gtCACGTGac", ("HepG2", "GM12878")),
    Factor("FOXA1", "FOX", "wTGTTTACttw", ("HepG2", "MCF-7")),
    Factor("CEBPB", "CEBP", "aTTGCGCAAt", ("HepG2", "K562")),
    Factor("GATA1", "GATA", "cAGATAAGga", ("K562",)),
)
"""The fifteen TFs. HNF4G, assayed only in the little-open Caco-2, is the one with few peaks."""

CELLS: tuple[Cell, ...] = (
    Cell("Caco-2", "Caco-2", "CACO-2", 0.035, ("DR1",)),
    Cell("GM12878", "GM12878", "GM12878", 0.55, ("ETS", "AP1")),
    Cell("HepG2", "HepG2", "HEPG2", 0.60, ("DR1", "FOX", "CEBP")),
    Cell("K562", "K562", "K562", 0.60, ("GATA", "ETS", "EBOX")),
    Cell("MCF-7", "MCF-7", "MCF-7", 0.55, ("AP1", "FOX")),
)

MODES: dict[str, float] = {
    "DR1": 0.30,
    "ETS": 0.18,
    "AP1": 0.16,
    "EBOX": 0.14,
    "FOX": 0.08,
    "CEBP": 0.08,
    "GATA": 0.06,
}
"""Binding modes and the share of active regions whose first site is of each."""

TARGET = "HNF4G"
"""The TF with few bound regions, relative of the well-provided HNF4A, NR2F2 and RXRA."""

COFACTOR = "FOXA1"
"""The TF whose motif beside a DR1 site decides whether nuclear receptors bind there."""

COFACTOR_GAP = 8
"""Bases between the end of a DR1 site and the start of the preferred FOXA1 site."""

UNASSAYED_SOURCE = "BJ"
"""A DHS source in which no TF was assayed and which the sample table does not list."""


def factor_names() -> tuple[str, ...]:
    """Names of the TFs, alphabetical: the order of every column of TFs."""
    return tuple(sorted(factor.name for factor in FACTORS))


def consensus_pwm(consensus: str) -> NDArray[np.float64]:
    """Make a probability matrix out of an IUPAC consensus.

    Upper-case letters are strongly preferred (0.96), lower-case ones weakly (0.70); an ambiguous
    letter shares its weight among its bases; the rest of the weight is shared by the others.

    Returns
    -------
    ndarray of float64, shape (4, width), rows A, C, G, T, columns sum to 1
    """
    pwm = np.empty((4, len(consensus)))
    for position, letter in enumerate(consensus):
        inside = ["ACGT".index(base) for base in _IUPAC[letter.upper()]]
        weight = 1.0 if len(inside) == 4 else _STRONG if letter.isupper() else _WEAK
        pwm[:, position] = (1 - weight) / max(4 - len(inside), 1)
        pwm[inside, position] = weight / len(inside)
    return pwm


def pwms() -> dict[str, NDArray[np.float64]]:
    """Matrices of all TFs, by name (alphabetical)."""
    consensus = {factor.name: factor.consensus for factor in FACTORS}
    return {name: consensus_pwm(consensus[name]) for name in factor_names()}


def motifs() -> list[PWM]:
    """Motifs of all TFs (alphabetical), as written to ``motifs.meme``."""
    return [PWM(name, matrix.T, alt_name=name, sites=100) for name, matrix in pwms().items()]


def log_odds(pwm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds against uniform bases as shares of the best score; row 4 (N) is far below zero.

    Returns
    -------
    ndarray of float64, shape (5, width)
        The entries of a sequence of codes sum to its affinity, at most 1.
    """
    odds = np.log2(pwm / 0.25)
    return np.vstack([odds / odds.max(axis=0).sum(), np.full((1, pwm.shape[1]), -9.0)])


def draw_sites(
    matrices: list[NDArray[np.float64]], count: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw sites as codes (count, width), each from a random one of matrices of one width."""
    which = rng.integers(0, len(matrices), size=count)
    cumulative = np.stack([matrix.cumsum(axis=0) for matrix in matrices])[which]
    draws = rng.random((count, 1, cumulative.shape[2]))
    return np.minimum((draws > cumulative).sum(axis=1), 3).astype(np.uint8)


def affinity_threshold(factor: Factor, weak_share: float = 0.3) -> float:
    """Affinity below which ``weak_share`` of the sites of the TF's mode lie (a constant)."""
    members = [consensus_pwm(other.consensus) for other in FACTORS if other.mode == factor.mode]
    sites = draw_sites(members, 4000, np.random.default_rng(0))
    odds = log_odds(consensus_pwm(factor.consensus))
    return float(np.quantile(odds[sites, np.arange(sites.shape[1])].sum(axis=1), weak_share))
