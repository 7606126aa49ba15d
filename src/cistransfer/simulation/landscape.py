"""The simulated genome: regions, base composition, planted sites and decoys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.genome.codes import N, reverse_complement
from cistransfer.simulation.factors import (
    CELLS,
    COFACTOR,
    COFACTOR_GAP,
    FACTORS,
    MODES,
    consensus_pwm,
    draw_sites,
    log_odds,
    pwms,
)

__all__ = ["Landscape", "make_landscape"]

WIDTH = 200
_MARGIN = 2_000
_TELOMERE = 500
_SLOTS = (18, 73, 128)
_SLOT_WIDTH = 55
_PLAIN, _DECOY, _ACTIVE = 0, 1, 2
_KINDS = (0.34, 0.11, 0.55)
_GC = {_PLAIN: (0.41, 0.05), _DECOY: (0.61, 0.05), _ACTIVE: (0.60, 0.06)}
_GAP_GC = 0.41
_LONELY_SHARE = 0.028


@dataclass(frozen=True)
class Landscape:
    """A simulated genome.

    Attributes
    ----------
    genome : dict of str to ndarray of uint8
        Codes of each chromosome.
    masked : dict of str to ndarray of bool
        Where the FASTA is lower case.
    regions : DataFrame
        The 200-bp DHS windows in BED order: chrom, start, end, ``rich`` (made GC-rich) and
        ``unassayed`` (open only in a source without experiments).
    open : ndarray of bool, shape (regions, cells)
    sites : DataFrame
        Planted sites: region (row of ``regions``), chrom, start, end, strand, motif (binding
        mode), kind (``site``, ``cofactor``, ``decoy``), spacing (``preferred``, ``other``, or
        empty: none).
    affinity : ndarray of float32, shape (regions, TFs)
        Log-odds of the TF's best match in the region, planted or not, over the highest possible.
    best : ndarray of int64, shape (regions, TFs)
        Where on the chromosome that match starts.
    forward : ndarray of bool, shape (regions, TFs)
        Whether it is on the + strand.
    grammar : ndarray of int8, shape (regions,)
        0 no DR1 site, 1 DR1 alone, 2 cofactor elsewhere, 3 cofactor at the preferred distance.
    gaps : DataFrame
        Stretches between regions (chrom, start, end), at least 120 bp, clear of every window.
    """

    genome: dict[str, NDArray[np.uint8]]
    masked: dict[str, NDArray[np.bool_]]
    regions: pd.DataFrame
    open: NDArray[np.bool_]
    sites: pd.DataFrame
    affinity: NDArray[np.float32]
    best: NDArray[np.int64]
    forward: NDArray[np.bool_]
    grammar: NDArray[np.int8]
    gaps: pd.DataFrame


def make_landscape(regions: int, chromosomes: int, rng: np.random.Generator) -> Landscape:
    """Make the genome, its regions and the sites planted in them."""
    table, sizes = _place_regions(regions, chromosomes, rng)
    lonely = rng.random(regions) < _LONELY_SHARE
    kind = rng.choice(3, size=regions, p=_KINDS)
    kind = np.where(lonely, np.where(rng.random(regions) < 0.75, _ACTIVE, _PLAIN), kind)
    modes = np.array(list(MODES))
    weights = np.array(list(MODES.values()))
    first = modes[rng.choice(len(modes), size=regions, p=weights / weights.sum())]
    first = np.where(lonely & (rng.random(regions) < 0.7), "DR1", first)

    ends = dict(zip(sizes, np.cumsum(list(sizes.values())).tolist(), strict=True))
    offsets = {name: ends[name] - size for name, size in sizes.items()}
    size = sum(sizes.values())
    origin = table["chrom"].map(offsets).to_numpy(np.int64) + table["start"].to_numpy()
    mean, spread = (np.array([_GC[k][i] for k in (_PLAIN, _DECOY, _ACTIVE)]) for i in (0, 1))
    share = np.clip(rng.normal(mean[kind], spread[kind]), 0.22, 0.78)
    bases = _draw_bases(size, origin, share, rng)

    sites = _plan_sites(kind, first, rng)
    for mode, rows in sites.groupby("motif", sort=True).indices.items():
        members = [consensus_pwm(f.consensus) for f in FACTORS if f.mode == mode]
        drawn = draw_sites(members, len(rows), rng)
        half = drawn.shape[1] // 2
        broken = (sites["kind"].to_numpy()[rows] == "decoy")[:, None] & (
            np.arange(drawn.shape[1]) >= half
        )
        drawn = np.where(broken, rng.integers(0, 4, size=drawn.shape), drawn).astype(np.uint8)
        forward = (sites["strand"].to_numpy()[rows] == "+")[:, None]
        placed = np.where(forward, drawn, reverse_complement(drawn))
        where = origin[sites["region"].to_numpy()[rows]] + sites["begin"].to_numpy()[rows]
        bases[where[:, None] + np.arange(drawn.shape[1])] = placed
    grammar = _grammar(sites, regions)

    accessible, unassayed = _open_regions(first, kind == _ACTIVE, lonely, rng)
    masked = _soft_mask(size, rng)
    gaps = _gaps(table)
    _blank(bases, sizes, offsets, origin, gaps, rng)
    affinity, begin, forward = _scan(bases[origin[:, None] + np.arange(WIDTH)], pwms())
    start = table["start"].to_numpy()[sites["region"]] + sites.pop("begin").to_numpy()
    width = sites["motif"].map({f.mode: len(f.consensus) for f in FACTORS}).to_numpy()
    sites.insert(1, "chrom", table["chrom"].to_numpy()[sites["region"]])
    sites.insert(2, "start", start)
    sites.insert(3, "end", start + width)
    return Landscape(
        genome={name: bases[offsets[name] : ends[name]] for name in sizes},
        masked={name: masked[offsets[name] : ends[name]] for name in sizes},
        regions=table.assign(rich=kind != _PLAIN, unassayed=unassayed),
        open=accessible,
        sites=sites.sort_values(["chrom", "start"], ignore_index=True),
        affinity=affinity,
        best=table["start"].to_numpy()[:, None] + begin,
        forward=forward,
        grammar=grammar,
        gaps=gaps,
    )


def _place_regions(
    regions: int, chromosomes: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Windows at least 260 bp apart from centre to centre, in BED order."""
    names = sorted(f"chr{number + 1}" for number in range(chromosomes))
    chrom: list[str] = []
    start: list[NDArray[np.int64]] = []
    sizes: dict[str, int] = {}
    for name, part in zip(names, np.array_split(np.arange(regions), chromosomes), strict=True):
        centres = _MARGIN + np.cumsum(rng.integers(52, 140, size=len(part))) * 5
        chrom += [name] * len(part)
        start.append(centres - WIDTH // 2)
        sizes[name] = int(centres[-1]) + _MARGIN
    starts = np.concatenate(start)
    return pd.DataFrame({"chrom": chrom, "start": starts, "end": starts + WIDTH}), sizes


def _draw_bases(
    size: int, origin: NDArray[np.int64], share: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Independent bases, with the GC share of each region inside it."""
    gc = np.full(size, _GAP_GC, np.float32)
    gc[origin[:, None] + np.arange(WIDTH)] = share[:, None]
    other = rng.integers(0, 2, size=size, dtype=np.uint8)
    is_gc = rng.random(size, dtype=np.float32) < gc
    return np.where(is_gc, 1 + other, 3 * other).astype(np.uint8)


def _plan_sites(
    kind: NDArray[np.int64], first: NDArray[np.str_], rng: np.random.Generator
) -> pd.DataFrame:
    """What to plant where: region, begin (bp from the region's start), strand, motif, kind."""
    n = len(kind)
    widths = {factor.mode: len(factor.consensus) for factor in FACTORS}
    partner = next(factor.mode for factor in FACTORS if factor.name == COFACTOR)
    slots = rng.permuted(np.tile(_SLOTS, (n, 1)), axis=1)
    active = kind == _ACTIVE
    second = np.array(list(MODES))[rng.choice(len(MODES), size=n)]
    decoy = np.array(list(MODES))[rng.choice(len(MODES), size=n)]
    has_second = active & (second != first) & (rng.random(n) < 0.45)
    has_decoy = rng.random(n) < np.where(kind == _DECOY, 0.8, 0.15)
    spare = np.where(~has_decoy, slots[:, 2], np.where(~has_second, slots[:, 1], -1))
    draw = rng.random(n)
    parts = []
    for motif, chosen, slot, what in (
        (first, active, slots[:, 0], "site"),
        (second, has_second, slots[:, 1], "site"),
        (decoy, has_decoy, slots[:, 2], "decoy"),
    ):
        rows = np.flatnonzero(chosen)
        units = pd.DataFrame({"region": rows, "motif": motif[rows], "kind": what, "spacing": ""})
        receptor = (units["motif"] == "DR1") & (units["kind"] == "site")
        near = receptor & (draw[rows] < 0.50)
        far = receptor & ~near & (draw[rows] < 0.72) & (spare[rows] >= 0)
        units["spacing"] = np.where(near, "preferred", np.where(far, "other", ""))
        width = units["motif"].map(widths).to_numpy()
        extra = np.where(near, COFACTOR_GAP + widths[partner], 0)
        left = slot[rows] + (rng.random(len(rows)) * (_SLOT_WIDTH - width - extra)).astype(int)
        forward = rng.random(len(rows)) < 0.5
        units["begin"] = np.where(forward, left, left + extra)
        units["strand"] = np.where(forward, "+", "-")
        parts.append(units)
        beside = units[near | far].assign(motif=partner, kind="cofactor")
        apart = (beside["spacing"] == "other").to_numpy()
        begin = np.where(forward, left + width + COFACTOR_GAP, left)[near | far]
        loose = spare[beside["region"]] + (
            rng.random(len(beside)) * (_SLOT_WIDTH - widths[partner])
        ).astype(int)
        turned = np.where(rng.random(len(beside)) < 0.5, "+", "-")
        beside["begin"] = np.where(apart, loose, begin)
        beside["strand"] = np.where(apart, turned, beside["strand"])
        parts.append(beside)
    return pd.concat(parts, ignore_index=True)


def _scan(
    codes: NDArray[np.uint8], motifs: dict[str, NDArray[np.float64]]
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """Best site of each TF in each region: affinity, begin, and whether on the + strand."""
    shape = (len(codes), len(motifs))
    affinity = np.empty(shape, np.float32)
    begin = np.empty(shape, np.int64)
    forward = np.empty(shape, bool)
    turned = reverse_complement(codes)
    for column, pwm in enumerate(motifs.values()):
        odds = log_odds(pwm).astype(np.float32)
        width = odds.shape[1]
        places = codes.shape[1] - width + 1
        found = []
        for strand in (codes, turned):
            total = np.zeros((len(codes), places), np.float32)
            for position in range(width):
                total += odds[:, position][strand[:, position : position + places]]
            found.append((total.max(axis=1), total.argmax(axis=1)))
        (plus, at), (minus, back) = found
        forward[:, column] = plus >= minus
        affinity[:, column] = np.maximum(plus, minus)
        begin[:, column] = np.where(plus >= minus, at, places - 1 - back)
    return affinity, begin, forward


def _grammar(sites: pd.DataFrame, regions: int) -> NDArray[np.int8]:
    grammar = np.zeros(regions, np.int8)
    receptors = sites[(sites["motif"] == "DR1") & (sites["kind"] == "site")]
    level = receptors["spacing"].map({"": 1, "other": 2, "preferred": 3}).to_numpy(np.int8)
    grammar[receptors["region"]] = level
    return grammar


def _open_regions(
    first: NDArray[np.str_],
    active: NDArray[np.bool_],
    lonely: NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Regions × cells that are open; every region is open somewhere, a few only elsewhere."""
    n = len(first)
    accessible = np.zeros((n, len(CELLS)), bool)
    for column, cell in enumerate(CELLS):
        favoured = np.isin(first, cell.favoured) & active
        accessible[:, column] = rng.random(n) < np.where(
            favoured, min(1.7 * cell.open_share, 0.9), cell.open_share
        )
    rare = int(np.argmin([cell.open_share for cell in CELLS]))
    accessible[lonely] = np.arange(len(CELLS)) == rare
    unassayed = ~lonely & (rng.random(n) < 0.015)
    accessible[unassayed] = False
    closed = ~accessible.any(axis=1) & ~unassayed
    common = [column for column in range(len(CELLS)) if column != rare]
    accessible[np.flatnonzero(closed), rng.choice(common, size=n)[closed]] = True
    return accessible, unassayed


def _soft_mask(size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Runs of lower case over about a quarter of the genome."""
    runs = rng.integers(60, 400, size=2 * (size // 460) + 2)
    runs[::2] = runs[::2] * 3
    upper = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    repeated = -(-size // len(upper))
    return np.tile(upper, repeated)[:size]


def _gaps(table: pd.DataFrame) -> pd.DataFrame:
    """Stretches of at least 120 bp between regions, 20 bp clear of their windows."""
    follows = table["chrom"].to_numpy()[1:] == table["chrom"].to_numpy()[:-1]
    start = table["end"].to_numpy()[:-1] + 20
    end = table["start"].to_numpy()[1:] - 20
    wide = follows & (end - start >= 120)
    return pd.DataFrame(
        {"chrom": table["chrom"].to_numpy()[:-1][wide], "start": start[wide], "end": end[wide]}
    )


def _blank(
    bases: NDArray[np.uint8],
    sizes: dict[str, int],
    offsets: dict[str, int],
    origin: NDArray[np.int64],
    gaps: pd.DataFrame,
    rng: np.random.Generator,
) -> None:
    """Write N over the ends of the chromosomes, some gaps and the edges of a few regions."""
    for name, size in sizes.items():
        bases[offsets[name] : offsets[name] + _TELOMERE] = N
        bases[offsets[name] + size - _TELOMERE : offsets[name] + size] = N
    for row in rng.choice(len(gaps), size=min(3 * len(sizes), len(gaps)), replace=False):
        begin = offsets[gaps["chrom"].iloc[row]] + int(gaps["start"].iloc[row])
        bases[begin + 60 : begin + 110] = N
    for row in rng.choice(len(origin), size=max(len(origin) // 500, 1), replace=False):
        bases[origin[row] : origin[row] + 12] = N
