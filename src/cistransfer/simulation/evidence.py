"""Who binds where in the simulated genome, and what the experiments see of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.simulation.factors import CELLS, FACTORS, affinity_threshold, factor_names
from cistransfer.simulation.landscape import Landscape

__all__ = ["Evidence", "bound_by", "make_evidence", "observations"]

_WEAK_BAND = 0.06
_STRONG_BOUND, _WEAK_BOUND = 0.95, 0.08
_GRAMMAR_BOUND = np.array([0.2, 0.2, 0.4, 1.0])
_OCCUPIED = 0.92
_PEAK_SEEN, _TFBS_SEEN, _TFBS_WITHOUT_PEAK = 0.94, 0.94, 0.25
_STRAY_PEAK, _STRAY_RICH, _STRAY_TFBS, _STRAY_BOTH = 0.010, 0.015, 0.003, 0.004
_WEAK_PEAK = 0.20


@dataclass(frozen=True)
class Evidence:
    """Binding and what was observed of it.

    Attributes
    ----------
    assayed : ndarray of bool, shape (TFs, cells)
    bound : ndarray of bool, shape (regions, TFs, cells)
        The truth in open regions of assayed cells.
    peak, tfbs : ndarray of bool, shape (regions, TFs, cells)
        Whether the experiment has a peak summit, a predicted TFBS, in the region.
    """

    assayed: NDArray[np.bool_]
    bound: NDArray[np.bool_]
    peak: NDArray[np.bool_]
    tfbs: NDArray[np.bool_]

    def states(self, accessible: NDArray[np.bool_], *, sparse: bool) -> NDArray[np.int8]:
        """The aggregated three states (1 bound, 0 unbound, −1 unresolved), (TFs, regions).

        The published recipe: 0 unresolvable, 1 open and assayed without evidence, 2 or 3 a peak
        or a TFBS, 4 both in one cell; the maximum over cells; then 4 is bound, 1 is unbound and
        2 and 3 are unresolved (``sparse``) or unbound (less sparse).
        """
        here = accessible[:, None, :] & self.assayed[None]
        level = here.astype(np.int8) + here * (self.peak + 2 * self.tfbs).astype(np.int8)
        level = level.max(axis=2).T
        meaning = np.array([-1, 0, -1, -1, 1] if sparse else [-1, 0, 0, 0, 1], np.int8)
        return meaning[level]


def make_evidence(land: Landscape, rng: np.random.Generator) -> Evidence:
    """Decide what binds from the sequence, then observe it with the usual errors.

    A TF binds a site above its affinity threshold; the nuclear receptors (binding mode DR1)
    seldom bind without a FOXA1 site at the preferred distance. A region's luck is shared by the
    members of a mode, since cooperativity and nucleosomes are; occupancy in each cell is not.
    """
    names = factor_names()
    mode = {factor.name: factor.mode for factor in FACTORS}
    cells = [cell.name for cell in CELLS]
    assayed = np.zeros((len(names), len(cells)), bool)
    for factor in FACTORS:
        for cell in factor.cells:
            assayed[names.index(factor.name), cells.index(cell)] = True

    n = len(land.regions)
    factors = {factor.name: factor for factor in FACTORS}
    luck = {name: rng.random(n) for name in sorted(set(mode.values()))}
    drawn = np.zeros((n, len(names)), bool)
    weak = np.zeros((n, len(names)), bool)
    for column, name in enumerate(names):
        affinity, threshold = land.affinity[:, column], affinity_threshold(factors[name])
        strong = affinity >= threshold
        weak[:, column] = ~strong & (affinity >= threshold - _WEAK_BAND)
        chance = np.where(strong, _STRONG_BOUND, np.where(weak[:, column], _WEAK_BOUND, 0.0))
        if mode[name] == "DR1":
            chance *= _GRAMMAR_BOUND[land.grammar]
        drawn[:, column] = luck[mode[name]] < chance

    shape = (n, len(names), len(cells))
    here = land.open[:, None, :] & assayed[None]
    bound = drawn[:, :, None] & here & (rng.random(shape) < _OCCUPIED)
    peak = bound & (rng.random(shape) < _PEAK_SEEN)
    tfbs = bound & (rng.random(shape) < np.where(peak, _TFBS_SEEN, _TFBS_WITHOUT_PEAK))
    free = here & ~bound
    rich = land.regions["rich"].to_numpy()[:, None, None]
    stray = _STRAY_PEAK + _STRAY_RICH * rich + _WEAK_PEAK * weak[:, :, None]
    both = free & (rng.random(shape) < _STRAY_BOTH)
    peak |= both | (free & (rng.random(shape) < stray))
    tfbs |= both | (free & (rng.random(shape) < _STRAY_TFBS))
    return Evidence(assayed=assayed, bound=bound, peak=peak, tfbs=tfbs)


def bound_by(land: Landscape, evidence: Evidence) -> list[str]:
    """For each planted site the experiments that truly bind it, as ``TF@cell,TF@cell``."""
    names = factor_names()
    mode = {factor.name: factor.mode for factor in FACTORS}
    found: dict[tuple[int, str, int], list[str]] = {}
    for region, tf, cell in np.argwhere(evidence.bound):
        key = (int(region), mode[names[tf]], int(land.best[region, tf]))
        found.setdefault(key, []).append(f"{names[tf]}@{CELLS[cell].name}")
    sites = land.sites
    keys = zip(sites["region"], sites["motif"], sites["start"], strict=True)
    return [",".join(found.get(key, [])) for key in keys]


def observations(
    land: Landscape, evidence: Evidence, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Peaks (tf, cell, chrom, start, end, summit) and TFBS (tf, cell, chrom, start, end, strand).

    A TFBS is the TF's best match in the region. Summits scatter about it (standard deviation
    14 bp) and stay in the region's window. Every experiment also has a few peaks with a TFBS
    outside all regions.
    """
    names = np.array(factor_names())
    cells = np.array([cell.name for cell in CELLS])
    width = {factor.name: len(factor.consensus) for factor in FACTORS}
    region, tf, cell = np.nonzero(evidence.peak | evidence.tfbs)
    left = land.regions["start"].to_numpy()[region]
    parts = [
        pd.DataFrame(
            {
                "chrom": land.regions["chrom"].to_numpy()[region],
                "tf": names[tf],
                "cell": cells[cell],
                "peak": evidence.peak[region, tf, cell],
                "tfbs": evidence.tfbs[region, tf, cell],
                "left": left,
                "right": left + 199,
                "start": land.best[region, tf],
                "strand": np.where(land.forward[region, tf], "+", "-"),
            }
        )
    ]
    counts = parts[0].groupby(["tf", "cell"]).size()
    for name, where in sorted((factor.name, cell) for factor in FACTORS for cell in factor.cells):
        count = max(1, round(0.02 * counts.get((name, where), 0)))
        gaps = land.gaps.iloc[rng.integers(0, len(land.gaps), size=count)]
        middle = (gaps["start"] + gaps["end"]).to_numpy() // 2
        parts.append(
            pd.DataFrame(
                {
                    "chrom": gaps["chrom"].to_numpy(),
                    "tf": name,
                    "cell": where,
                    "peak": True,
                    "tfbs": True,
                    "left": middle - 40,
                    "right": middle + 40,
                    "start": middle - width[name] // 2,
                    "strand": "+",
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    table["end"] = table["start"] + table["tf"].map(width)
    jitter = np.rint(rng.normal(0, 14, size=len(table))).astype(int)
    summit = (table["start"] + table["end"]) // 2 + jitter
    table["summit"] = np.clip(summit, table["left"], table["right"])
    peaks = table[table["peak"]].copy()
    peaks["start"] = peaks["summit"] - rng.integers(60, 220, size=len(peaks))
    peaks["end"] = peaks["summit"] + rng.integers(60, 220, size=len(peaks))
    order = ["chrom", "start", "tf", "cell"]
    return (
        peaks.sort_values(order, ignore_index=True)[[*order, "end", "summit"]],
        table[table["tfbs"]].sort_values(order, ignore_index=True)[[*order, "end", "strand"]],
    )
