"""Examples of open chromatin: anywhere (pre-training), in one cell, in one of several cells.

Salvatore et al. 2023, Methods, "Data". What the paper leaves open (ratios, which negatives, how
the parts are made) is an argument here and written into the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.examples.assemble import chosen_split, fetch_known
from cistransfer.examples.balance import (
    Rows,
    in_genome_order,
    ratio_reached,
    repeat_rows,
    require_both,
    sample_rows,
)
from cistransfer.examples.classes import multiclass_examples
from cistransfer.examples.dataset import PARTS, ExampleSet
from cistransfer.examples.leakage import leaking
from cistransfer.examples.split import Split, assign_parts
from cistransfer.genome.fasta import Sequences
from cistransfer.genome.intervals import overlaps_any
from cistransfer.genome.shuffle import dinucleotide_shuffle
from cistransfer.openness.background import tile_background
from cistransfer.openness.regions import OpenRegions
from cistransfer.openness.specific import open_in, specific_regions

__all__ = [
    "BACKGROUNDS",
    "KINDS",
    "NEGATIVES",
    "PUBLISHED_NEGATIVES",
    "cell_examples",
    "multiclass_examples",
    "pretraining_examples",
]

BACKGROUNDS = ("tiles", "shuffled")
"""``tiles``: windows of the genome far from open regions (published). ``shuffled``: copies of the
positives with the same dinucleotides."""

KINDS = ("others", "nobody", "universal")
"""Negatives of a cell: what is specific to another of the chosen cells, what is open in none of
them, what is open in all of them."""

NEGATIVES: Mapping[str, float] = {"others": 0.5, "nobody": 0.5}
"""Shares of the kinds by default: what is open elsewhere and what is specific elsewhere weigh the
same."""

PUBLISHED_NEGATIVES: Mapping[str, float] = {"others": 0.02, "nobody": 0.97, "universal": 0.01}
"""Shares in the released lists of ChromTransfer."""

_SHUFFLED_AT_ONCE = 8192


def pretraining_examples(
    opened: OpenRegions,
    sequences: Sequences,
    *,
    leave_out: Sequence[str],
    background: str = "tiles",
    background_sequences: Sequences | None = None,
    ratio: float = 1.0,
    window: int = 600,
    margin: int = 300,
    blacklist: pd.DataFrame | None = None,
    split: Split | None = None,
    most: int | None = None,
    seed: int = 0,
) -> ExampleSet:
    """Regions that are open, though in none of some cells, against background; one task, "open".

    Open: windows on the centres of all listed regions but those open in a left-out cell; a region
    that no known cell opens counts, because the list says that it is open somewhere (as the
    rDHS registry does). Background: see `BACKGROUNDS` and `tile_background`; tiles are taken on
    chromosomes on which the list has regions.

    Parameters
    ----------
    opened : OpenRegions
    sequences : Sequences
        Of the open regions.
    leave_out : sequence of str
        The cells that models will be fine-tuned for.
    background : str
        One of `BACKGROUNDS`.
    background_sequences : Sequences, optional
        Genome to tile, where ``sequences`` is not one.
    ratio : float
        Background windows per open one, in every part (the paper does not say). A part that has
        fewer tiles gives all; ``ratio_reached`` in the record says how many.
    window, margin : int
        In bp.
    blacklist : DataFrame, optional
        Neither open windows nor tiles share a base with it.
    split : Split, optional
        By default chromosomes are chosen by `choose_chromosomes`: by their tiles, which may be
        known on fewer of them, else by their open windows.
    most : int, optional
        Sample at most so many open windows.
    seed : int
        Of the samples and the shuffles.

    Returns
    -------
    ExampleSet
        ``regions["source"]`` is ``open``, ``tile`` or ``shuffled`` (at the place of its original).

    Raises
    ------
    InputError
        For an unknown cell, and when a part lacks open or background windows.
    """
    if background not in BACKGROUNDS:
        raise InputError(f"no background {background!r}; there are: {', '.join(BACKGROUNDS)}")
    if ratio <= 0:
        raise InputError(f"expected a ratio above 0, found {ratio}")
    rng = np.random.default_rng(seed)
    open_in(opened, leave_out)  # checks the names before anything is read
    exclude = [] if blacklist is None else [blacklist]
    windows, dropped = opened.windows(window, exclude=exclude)
    regions = windows.regions[open_in(windows, leave_out) == 0].reset_index(drop=True)
    if not len(regions):
        raise InputError(
            f"every one of the {len(windows.regions):,} regions is open in one of the cells that "
            f"are left out ({', '.join(leave_out)}); pre-training needs others"
        )
    absent = sequences.missing(regions)
    regions, named = _placed(regions, absent, sequences)
    tiles = regions.iloc[:0]
    source = background_sequences if background_sequences is not None else sequences
    if background == "tiles":
        tiles = tile_background(
            source, window, avoid=opened.regions, margin=margin, blacklist=blacklist
        )
        split = chosen_split(tiles[tiles["chrom"].isin(set(regions["chrom"]))], source, split)
    split = chosen_split(regions, sequences, split)
    parts = assign_parts(pd.concat([regions, tiles], ignore_index=True), split)
    own = sample_rows(np.arange(len(regions)), most, rng)
    kept, codes, lost = fetch_known(regions.iloc[own], sequences)
    own = own[kept]
    positives = regions.iloc[own].assign(part=parts[own], source="open")
    wanted = {part: round(ratio * int((positives["part"] == part).sum())) for part in PARTS}
    if background == "tiles":
        pool = parts[len(regions) :]
        rows = np.concatenate(
            [sample_rows(np.flatnonzero(pool == part), wanted[part], rng) for part in PARTS]
        )
        there, other_codes, lost_tiles = fetch_known(tiles.iloc[rows], source)
        rows = rows[there]
        others = tiles.iloc[rows].assign(part=pool[rows], source="tile")
        lost = {why: count + lost_tiles[why] for why, count in lost.items()}
    else:
        part_of = positives["part"].to_numpy()
        rows = np.concatenate(
            [repeat_rows(np.flatnonzero(part_of == part), wanted[part], rng) for part in PARTS]
        )
        other_codes = _shuffled(codes[rows], seed)
        others = positives.iloc[rows].assign(source="shuffled")
    table = pd.concat([positives, others], ignore_index=True)
    labels = (np.arange(len(table)) < len(positives)).astype(np.int8)[:, None]
    reached = ratio_reached(table, labels[:, 0])
    require_both(
        table,
        labels[:, 0],
        split,
        "open windows",
        f"background windows ({background})",
        f"background can be tiled on {', '.join(tiles['chrom'].unique())}" if len(tiles) else "",
    )
    return in_genome_order(
        np.concatenate([codes, other_codes]),
        labels,
        table,
        ("open",),
        {
            "source": "open regions",
            "leave_out": list(leave_out),
            "background": background,
            "background_sequences": source.name if background == "tiles" else sequences.name,
            "margin": margin if background == "tiles" else None,
            "tiles": {str(k): int(v) for k, v in tiles["chrom"].value_counts(sort=False).items()},
            "ratio": ratio,
            "ratio_reached": reached,
            "most": most,
            "seed": seed,
            "genome": sequences.name,
            "split": split.as_dict(),
            "dropped": {**dropped, "no_sequence": named, "with_n": lost["with_n"]},
        },
    )


def cell_examples(
    opened: OpenRegions,
    sequences: Sequences,
    cell: str,
    *,
    among: Sequence[str],
    negatives: Mapping[str, float] = NEGATIVES,
    ratio: float | None = 2.5,
    window: int = 600,
    blacklist: pd.DataFrame | None = None,
    split: Split | None = None,
    trunk_regions: pd.DataFrame | None = None,
    guard: str | None = None,
    seed: int = 0,
) -> ExampleSet:
    """Regions specific to one of several cells, against named kinds of others; one task, the cell.

    Positives are open in the cell and in no other of ``among``. A negative that shares a base
    with a positive is dropped, and so is one of ``others`` or ``nobody`` that shares a base with
    any window open in the cell: it would show the cell's own sequence as closed.

    Parameters
    ----------
    opened : OpenRegions
    sequences : Sequences
    cell : str
        One of ``among``.
    among : sequence of str
        The chosen cells (six in the paper).
    negatives : mapping of str → float
        Kind (one of `KINDS`) → its share of the negatives; shares are divided by their sum. With
        ``ratio=None``, how many of each kind, shared out to the parts as the positives are. A kind
        that has fewer in a part gives all it has.
    ratio : float or None
        Negatives per positive, in every part.
    window : int
        In bp.
    blacklist, trunk_regions, seed
        As in `peak_examples`.
    split : Split, optional
        By default chromosomes are chosen by `choose_chromosomes` among the positives. Parts are
        assigned to all windows, so that one that several cells use is in one part.
    guard : str, optional
        Leakage guard; by default ``heldout`` for splits by chromosome, ``all`` for others. The
        trunk has seen what is open in none of the cells: with ``all``, ``nobody`` is empty.

    Returns
    -------
    ExampleSet
        ``regions["source"]`` is ``specific`` or the kind.

    Raises
    ------
    InputError
        For an unknown cell or kind, and when a part lacks positives or negatives.
    """
    if cell not in among:
        raise InputError(f"cell {cell!r} is not among the chosen cells; {nearest(cell, among)}")
    shares = _shares(negatives, ratio)
    specific_regions(opened, among)  # checks the names before anything is read
    exclude = [] if blacklist is None else [blacklist]
    windows, dropped = opened.windows(window, exclude=exclude)
    category = specific_regions(windows, among).to_numpy()
    kinds = np.full(len(category), "", dtype=object)
    kinds[category == cell] = "specific"
    if "others" in shares:
        kinds[np.isin(category, [other for other in among if other != cell])] = "others"
    if "nobody" in shares:
        kinds[np.isin(category, ["other", "closed"])] = "nobody"
    if "universal" in shares:
        kinds[category == "universal"] = "universal"
    if not (kinds == "specific").any():
        raise InputError(
            f"no region is open in {cell} and in no other of {', '.join(among)} "
            f"({int(windows.open[cell].sum()):,} are open in it)"
        )
    overlapping = _misleading(windows, cell, kinds)
    candidates = np.flatnonzero((kinds != "") & ~overlapping)
    regions, kinds = windows.regions.iloc[candidates].reset_index(drop=True), kinds[candidates]
    absent = sequences.missing(regions)
    kinds = kinds[~absent]
    regions, named = _placed(regions, absent, sequences)
    split = chosen_split(regions[kinds == "specific"], sequences, split)
    guard = guard or ("heldout" if split.by == "chromosome" else "all")
    # Drawn among all windows, which are the same for every cell: one window, one part.
    parts = assign_parts(windows.regions, split)[candidates][~absent]
    leaks = leaking(regions, parts, trunk_regions, guard)
    rng = np.random.default_rng(seed)
    rows = _draw(kinds, np.where(leaks, "", parts), shares, ratio, rng)
    kept, codes, lost = fetch_known(regions.iloc[rows], sequences)
    rows = rows[kept]
    table = regions.iloc[rows].assign(part=parts[rows], source=kinds[rows])
    labels = (kinds[rows] == "specific").astype(np.int8)[:, None]
    seen = f"{int(leaks.sum()):,} windows were seen by the trunk" if leaks.any() else ""
    require_both(table, labels[:, 0], split, f"windows specific to {cell}", "negatives", seen)
    return in_genome_order(
        codes,
        labels,
        table.reset_index(drop=True),
        (cell,),
        {
            "source": "open regions",
            "cell": cell,
            "among": list(among),
            "negatives": dict(negatives),
            "ratio": ratio,
            "ratio_reached": ratio_reached(table, labels[:, 0]),
            "guard": guard,
            "seed": seed,
            "genome": sequences.name,
            "split": split.as_dict(),
            "dropped": {
                **dropped,
                "overlapping_open_in_cell": int(overlapping.sum()),
                "no_sequence": named,
                "seen_by_trunk": int(leaks.sum()),
                "with_n": lost["with_n"],
            },
        },
    )


def _shares(negatives: Mapping[str, float], ratio: float | None) -> dict[str, float]:
    for kind, value in negatives.items():
        if kind not in KINDS:
            raise InputError(f"no kind of negatives {kind!r}; there are: {', '.join(KINDS)}")
        if not 0 <= value < np.inf:
            raise InputError(f"expected a share of at least 0 for {kind}, found {value}")
    shares = {kind: float(value) for kind, value in negatives.items() if value > 0}
    if not shares or (ratio is not None and ratio <= 0):
        raise InputError("expected at least one kind of negatives and a ratio above 0")
    if ratio is None:
        return shares
    return {kind: value / sum(shares.values()) for kind, value in shares.items()}


def _misleading(windows: OpenRegions, cell: str, kinds: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Which negatives share bases with what the cell opens."""
    bad = np.zeros(len(kinds), dtype=bool)
    for which, where in (
        (kinds == "universal", kinds == "specific"),
        (np.isin(kinds, ["others", "nobody"]), windows.open[cell]),
    ):
        rows = np.flatnonzero(which)
        bad[rows] = overlaps_any(windows.regions.iloc[rows], windows.regions[where])
    return bad


def _draw(
    kinds: NDArray[np.object_],
    parts: NDArray[np.object_],
    shares: Mapping[str, float],
    ratio: float | None,
    rng: np.random.Generator,
) -> Rows:
    """All positives and, in each part, the wanted number of negatives of each kind."""
    specific = kinds == "specific"
    in_all = int((specific & (parts != "")).sum())
    rows = []
    for part in PARTS:
        mine = np.flatnonzero(specific & (parts == part))
        rows.append(mine)
        times = len(mine) * ratio if ratio is not None else len(mine) / max(in_all, 1)
        rows += [
            sample_rows(
                np.flatnonzero((kinds == kind) & (parts == part)), round(times * share), rng
            )
            for kind, share in shares.items()
        ]
    return np.sort(np.concatenate(rows))


def _shuffled(codes: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """One shuffle of each row, in blocks (the shuffle's arrays are 16 times its input)."""
    starts = range(0, len(codes), _SHUFFLED_AT_ONCE)
    seeds = np.random.SeedSequence(seed).generate_state(len(starts)).tolist()
    blocks = [
        dinucleotide_shuffle(codes[at : at + _SHUFFLED_AT_ONCE], 1, seed=own)[:, 0]
        for at, own in zip(starts, seeds, strict=True)
    ]
    return np.concatenate(blocks) if blocks else codes


def _placed(
    regions: pd.DataFrame, absent: NDArray[np.bool_], sequences: Sequences
) -> tuple[pd.DataFrame, int]:
    """Regions that have a sequence, and how many have none."""
    if absent.all():
        fetch_known(regions, sequences)  # says which is the first
    return regions[~absent].reset_index(drop=True), int(absent.sum())
