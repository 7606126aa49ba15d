"""What is known of a target TF, in the matrix or not, and of every TF of the matrix beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.binding.facts.cobinding import BindingVectors, binding_vectors, cobinding_with
from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError, nearest
from cistransfer.genome.intervals import centre_windows, overlaps_any
from cistransfer.motifs.compare import compare, weighted_similarity
from cistransfer.motifs.names import motif_tfs, tf_symbol
from cistransfer.motifs.pwm import PWM
from cistransfer.relatives.families import Family, family_of
from cistransfer.relatives.modes import BindingModes
from cistransfer.relatives.partners import Partners

__all__ = ["Known", "Target", "candidates", "find_target", "odds_beyond_occupancy", "widen"]

Flags = NDArray[np.bool_]

_MATCH = 0.05
_NEARLY = 0.1  # motifs that much less alike than the best are matched as well
_QUANTILES = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)  # where strata of occupancy begin


@dataclass(frozen=True)
class Target:
    """A target TF and what is known of it.

    Attributes
    ----------
    in_matrix : bool
        Whether it can be one of the tasks.
    family : Family or None
        What its name says (see `cistransfer.relatives.families.family_of`).
    modes : frozenset of str
        Its binding modes; empty when none is known.
    kin : tuple of str
        TFs of the matrix of its family or of one of its modes.
    cobinding : DataFrame or None
        Indexed by TF: ``cosine``, ``cobound``, ``resolved`` (see
        `cistransfer.binding.facts.cobinding.cobinding_with`), ``odds``, ``odds_low`` (see
        `odds_beyond_occupancy`). None where nothing is known of where it binds.
    kin_cosine : Series or None
        Where nothing is known of its binding: each TF's mean cosine with the target's kin, itself
        left out.
    motif_alike : Series or None
        Where its motif was given: the highest similarity of each TF's motifs with it
        (`cistransfer.motifs.compare.weighted_similarity`).
    bound : int or None
        Regions that it binds.
    notes : tuple of str
        How each of this was found, in words.
    """

    name: str
    in_matrix: bool
    family: Family | None
    modes: frozenset[str]
    kin: tuple[str, ...]
    cobinding: pd.DataFrame | None = field(repr=False)
    kin_cosine: pd.Series | None = field(repr=False)
    motif_alike: pd.Series | None = field(repr=False)
    bound: int | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """All that groups are chosen from."""

    matrix: BindingMatrix
    vectors: BindingVectors = field(repr=False)
    target: Target | None
    modes: BindingModes | None
    partners: Partners | None


def find_target(
    matrix: BindingMatrix,
    vectors: BindingVectors,
    name: str,
    *,
    modes: BindingModes | None = None,
    partners: Partners | None = None,
    peaks: pd.DataFrame | None = None,
    cell: str | None = None,
    accessible: pd.DataFrame | None = None,
    motif: Sequence[PWM] = (),
    profiles: Sequence[PWM] = (),
) -> Target:
    """Find a target in the matrix, or by its peaks, its motif or its name.

    Parameters
    ----------
    matrix, vectors
        The matrix and its binding vectors.
    name : str
        The TF; upper and lower case and synonyms are the same where the matrix has it.
    modes, partners : optional
        Where to look the name up.
    peaks : DataFrame, optional
        Region table of the user's own peaks; they replace the matrix's binding vector. A region
        is bound when it holds a summit (the middle of a peak without one), as in the matrix.
    cell : str, optional
        Cell of the matrix in which the peaks were made: only regions open there are resolved.
    accessible : DataFrame, optional
        Region table of open regions in the cell of the peaks, for the same purpose. Without
        either every region counts as resolved for the cosine; for the odds the cell of the matrix
        whose open regions the peaks fit best is taken for theirs.
    motif : sequence of PWM
        The target's motifs, to find its modes when the source of modes does not name it.
    profiles : sequence of PWM
        Motifs of other TFs to compare with, when ``modes`` was not made of motifs.

    Raises
    ------
    InputError
        When nothing is known of the target, when the peaks lie in no region of the matrix, or
        when the motif has nothing to be compared with.
    """
    name, notes = _called(name, vectors.tfs)
    in_matrix = name in vectors.tfs
    family = family_of(name)
    if family is not None and family.how and not in_matrix:
        notes.append(family.how)
    found = modes.of(name) if modes is not None else frozenset()
    if modes is not None and not found and family is not None:
        found = modes.of(family.symbol) or _of_family(family, modes, vectors.tfs)
    motif_alike: pd.Series | None = None
    if motif:
        matched, motif_alike, note = _match(motif, modes, profiles, vectors.tfs)
        found = found or matched
        notes.append(note)
    kin = _kin(name, family, found, modes, vectors.tfs)
    bound: Flags | None = None
    table: pd.DataFrame | None = None
    kin_cosine: pd.Series | None = None
    if peaks is not None:
        bound, resolved, note = _from_peaks(matrix, peaks, cell, accessible)
        notes.append(note)
        table = cobinding_with(vectors, bound, resolved)
        like = cell or _cell_like(matrix, bound)
        if cell is None:
            notes.append(
                f"of the cells of the matrix the peaks fit the open regions of {like} best"
            )
        if cell is None and accessible is None:
            resolved = matrix.accessible(like)[:, 0] | bound
        there = [tf for tf in vectors.tfs if tf != name and like in matrix.cells_of(tf)]
        in_cell = binding_vectors(matrix, vectors.rule, tfs=there, cells=like)
        occupancy = [_occupancy(vectors, name), _occupancy(in_cell, name)]
    elif in_matrix and len(vectors.bound[vectors.at(name)]):
        bound, resolved = vectors.is_bound(name), vectors.is_resolved(name)
        table = cobinding_with(vectors, bound, resolved)
        occupancy = [_occupancy(vectors, name)]
    elif kin:
        kin_cosine = _mean_cosine(vectors, kin)
        notes.append(
            f"no binding data for {name}: kin cosine is a TF's mean cosine with "
            f"{', '.join(kin)} (itself left out)"
        )
    if table is not None and bound is not None:
        table = table.join(odds_beyond_occupancy(vectors, bound, resolved, occupancy))
    named = partners is not None and name.upper() in partners.scores
    if not (in_matrix or found or kin or table is not None or named):
        known = (
            f"neither families, binding modes nor partners name it; {nearest(name, vectors.tfs)}"
            if family is None
            else family.without_kin()
        )
        raise InputError(
            f"{matrix.path}: no TF {name!r} in this matrix, and {known}; give its peaks (--peaks) "
            "or its motif (--target-motif)"
        )
    return Target(
        name=name,
        in_matrix=in_matrix,
        family=family,
        modes=found,
        kin=kin,
        cobinding=table,
        kin_cosine=kin_cosine,
        motif_alike=motif_alike,
        bound=None if bound is None else int(bound.sum()),
        notes=tuple(notes),
    )


def odds_beyond_occupancy(
    vectors: BindingVectors,
    bound: Flags,
    resolved: Flags,
    occupancy: Sequence[NDArray[np.int64]],
) -> pd.DataFrame:
    """Odds that a target binds where a TF binds, among regions that as many TFs bind.

    Regions that are open in many cells are bound by everything, so any two TFs of one cell
    co-bind. The ratio of the odds of the target where a TF binds to the odds where it does not is
    taken within strata of occupancy and pooled (Mantel and Haenszel 1959).

    Parameters
    ----------
    bound, resolved : ndarray of bool, shape (n_regions,)
        Of the target.
    occupancy : sequence of ndarray of int64, shape (n_regions,)
        Numbers of bound TFs, cut into strata together.

    Returns
    -------
    DataFrame
        Indexed by TF: ``odds`` (ratio, 1 what is expected; one region is added to both sides, so
        that what rests on few regions stays near 1) and ``odds_low`` (lower end of its interval of
        95 %; Robins, Breslow and Greenland 1986). NaN where one of the two binds nothing.
    """
    rows = np.flatnonzero(resolved | bound)
    code = np.zeros(len(rows), dtype=np.int64)
    for count in occupancy:
        edges = np.unique(np.quantile(count[rows], _QUANTILES)) if len(rows) else np.empty(0)
        code = code * (len(edges) + 1) + np.searchsorted(edges, count[rows], side="right")
    strata, code = np.unique(code, return_inverse=True)
    target = bound[rows]
    values = np.full((len(vectors.tfs), 2), np.nan)
    for i, tf in enumerate(vectors.tfs):
        known = vectors.is_resolved(tf)[rows]
        theirs = vectors.is_bound(tf)[rows] & known
        # Four cells per stratum: both, only the other, only the target, none.
        four = np.bincount(
            code[known] * 4 + 2 * ~theirs[known] + ~target[known], minlength=4 * len(strata)
        )
        both, other, alone, none = four.reshape(-1, 4).T.astype(np.float64)
        if (both + other).sum() and (both + alone).sum():
            values[i] = _pooled_odds(both, other, alone, none)
    return pd.DataFrame(values, index=list(vectors.tfs), columns=["odds", "odds_low"])


def _pooled_odds(
    both: NDArray[np.float64],
    other: NDArray[np.float64],
    alone: NDArray[np.float64],
    none: NDArray[np.float64],
) -> tuple[float, float]:
    n = np.maximum(both + other + alone + none, 1)
    same, differ = (both + none) / n, (other + alone) / n
    r, s = both * none / n, other * alone / n
    sum_r, sum_s = r.sum() + 1, s.sum() + 1
    variance = (
        (same * r).sum() / (2 * sum_r**2)
        + (same * s + differ * r).sum() / (2 * sum_r * sum_s)
        + (differ * s).sum() / (2 * sum_s**2)
        + 1 / (2 * sum_r) + 1 / (2 * sum_s)
    )  # fmt: skip
    odds = sum_r / sum_s
    return float(odds), float(odds * np.exp(-1.96 * np.sqrt(variance)))


def candidates(
    vectors: BindingVectors,
    target: Target | None,
    modes: BindingModes | None,
    partners: Partners | None,
) -> pd.DataFrame:
    """Collect the evidence for every TF of the matrix, the target included.

    Returns
    -------
    DataFrame
        Indexed by TF (``tf``), in the order of the matrix: ``family`` (str), ``same_family`` (bool;
        never for the wide families of zinc fingers), ``modes`` (tuple of str, of the TF),
        ``shared`` (tuple of str, modes shared with the target), ``cosine``, ``odds``,
        ``odds_low``, ``kin_cosine``, ``motif`` (float64, NaN unknown; see `Target`), ``partner``
        (float64, score, NaN none),
        ``bound`` and ``resolved`` (int64, regions), ``resolved_with_target`` (float64, regions
        resolved for both, NaN unknown).
    """
    tfs = list(vectors.tfs)
    own = target.modes if target is not None else frozenset()
    of = {tf: modes.of(tf) if modes is not None else frozenset() for tf in tfs}
    scores = partners.of(target.name) if target is not None and partners is not None else {}
    families = [family_of(tf) for tf in tfs]
    theirs = _telling(target.family) if target is not None else None
    table = pd.DataFrame(
        {
            "family": [each.family if each is not None else "" for each in families],
            "same_family": [theirs is not None and _telling(each) == theirs for each in families],
            "modes": [tuple(sorted(of[tf])) for tf in tfs],
            "shared": [tuple(sorted(of[tf] & own)) for tf in tfs],
            "cosine": np.nan,
            "odds": np.nan,
            "odds_low": np.nan,
            "kin_cosine": np.nan,
            "motif": np.nan,
            "partner": [scores.get(tf.upper(), np.nan) for tf in tfs],
            "bound": vectors.bound_counts(),
            "resolved": vectors.resolved_counts(),
            "resolved_with_target": np.nan,
        },
        index=pd.Index(tfs, name="tf"),
    ).astype({"partner": np.float64})
    if target is not None and target.cobinding is not None:
        for column in ("cosine", "odds", "odds_low"):
            table[column] = target.cobinding[column]
        table["resolved_with_target"] = target.cobinding["resolved"].astype(np.float64)
    if target is not None and target.kin_cosine is not None:
        table["kin_cosine"] = target.kin_cosine
    if target is not None and target.motif_alike is not None:
        table["motif"] = target.motif_alike
    return table


def widen(
    modes: BindingModes, own: Iterable[str], target: Target, tfs: Iterable[str]
) -> tuple[BindingModes, frozenset[str]] | None:
    """The next larger groups and the target's among them; None when the source has none.

    A target that the source does not name (its motif was matched) goes with the TFs of its mode.
    """
    if modes.wider is None:
        return None
    wider = modes.wider
    found = wider.of(target.name)
    if not found:
        kin = modes.members(own, list(tfs))
        found = frozenset[str]().union(*(wider.of(tf) for tf in kin))
    return (wider, found) if found else None


def _called(name: str, tfs: Sequence[str]) -> tuple[str, list[str]]:
    """The matrix's name of a TF, by case or synonym, and what was taken for what."""
    same = {tf.upper(): tf for tf in tfs}
    if name.upper() in same:
        return same[name.upper()], []
    try:
        match = tf_symbol(name, tfs)
    except InputError:
        return name, []
    return match.symbol, [f"{name} is {match.line()}"]


def _telling(family: Family | None) -> str | None:
    return None if family is None or family.is_wide else family.family


def _of_family(family: Family, modes: BindingModes, tfs: Sequence[str]) -> frozenset[str]:
    """The mode in which most TFs of a family are."""
    counts: dict[str, int] = {}
    for tf in tfs:
        if _telling(family) is not None and _telling(family_of(tf)) == family.family:
            for mode in modes.of(tf):
                counts[mode] = counts.get(mode, 0) + 1
    return frozenset([max(counts, key=lambda mode: counts[mode])] if counts else [])


def _kin(
    name: str,
    family: Family | None,
    own: frozenset[str],
    modes: BindingModes | None,
    tfs: Sequence[str],
) -> tuple[str, ...]:
    theirs = _telling(family)
    return tuple(
        tf
        for tf in tfs
        if tf != name
        and ((theirs is not None and _telling(family_of(tf)) == theirs)
             or (modes is not None and own & modes.of(tf)))
    )  # fmt: skip


def _occupancy(vectors: BindingVectors, without: str) -> NDArray[np.int64]:
    """Number of TFs that bind each region."""
    rows = [rows for tf, rows in zip(vectors.tfs, vectors.bound, strict=True) if tf != without]
    found = np.concatenate([*rows, np.empty(0, np.int32)])
    return np.bincount(found.astype(np.int64), minlength=vectors.n_regions)


def _cell_like(matrix: BindingMatrix, bound: Flags) -> str:
    """The cell whose open regions a set of bound regions is most alike (cosine)."""
    opened = matrix.accessible(list(matrix.cells))
    hits = opened[bound].sum(axis=0)
    return matrix.cells[int(np.argmax(hits / np.sqrt(np.maximum(opened.sum(axis=0), 1))))]


def _from_peaks(
    matrix: BindingMatrix,
    peaks: pd.DataFrame,
    cell: str | None,
    accessible: pd.DataFrame | None,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], str]:
    summits = centre_windows(peaks, 1)
    bound = overlaps_any(matrix.regions, summits)
    inside = int(overlaps_any(summits, matrix.regions).sum())
    if not inside:
        raise InputError(
            f"none of the {len(peaks):,} peaks lies in a region of {matrix.path}; is it the same "
            f"genome ({matrix.genome}), with chromosomes named as in "
            f"{matrix.regions['chrom'].iloc[0]!r}? (the peaks: {peaks['chrom'].iloc[0]!r})"
        )
    resolved = np.ones(len(matrix), dtype=np.bool_)
    if cell is not None:
        resolved = matrix.accessible(cell)[:, 0]
    elif accessible is not None:
        resolved = overlaps_any(matrix.regions, accessible)
    note = f"{inside:,} of {len(peaks):,} peaks lie in the matrix's regions ({bound.sum():,} bound)"
    return bound, resolved | bound, note


def _mean_cosine(vectors: BindingVectors, kin: Sequence[str]) -> pd.Series:
    """Every TF's mean cosine with some TFs, itself left out; NaN where none is left."""
    columns = {
        tf: cobinding_with(vectors, vectors.is_bound(tf), vectors.is_resolved(tf))["cosine"]
        for tf in kin
    }
    for tf, column in columns.items():
        column[tf] = np.nan
    return pd.DataFrame(columns).mean(axis=1)


def _match(
    motif: Sequence[PWM],
    modes: BindingModes | None,
    profiles: Sequence[PWM],
    tfs: Sequence[str],
) -> tuple[frozenset[str], pd.Series, str]:
    """Modes of what the target's motifs match, each TF's similarity, and how that was decided."""
    if modes is None:
        raise InputError(
            "a motif says which binding mode a target has; binding modes are needed as well"
        )
    known = list(modes.profiles) or [
        pwm for pwm in profiles if any(modes.of(tf) for tf in motif_tfs(pwm))
    ]
    if not known:
        raise InputError(
            f"{modes.source}: no motifs to compare the target's motif with; compute the modes "
            "from motifs, or give motifs of known TFs"
        )
    table = compare(motif, known)
    if not len(table):
        raise InputError(
            f"the target's motif {motif[0].name!r} has too little information to be matched"
        )
    alike = weighted_similarity([*motif, *known])[: len(motif), len(motif) :].max(axis=0)
    found = dict.fromkeys(tfs, np.nan)
    same = {tf.upper(): tf for tf in tfs}
    for pwm, value in zip(known, alike.tolist(), strict=True):
        for tf in motif_tfs(pwm):
            if tf in same:
                found[same[tf]] = np.fmax(found[same[tf]], value)
    best = table.loc[table["p_calibrated"].idxmin()]
    match = known[int(best["target"])]
    word = f"{best['query_name']} matches {match.name} {match.alt_name} (p = {best['p']:.1e}"
    word += f", calibrated {best['p_calibrated']:.1e})"
    if float(best["q"]) > _MATCH:
        word = f"the target's motif matches no known one; at best {word}"
        return frozenset(), pd.Series(found), word
    joined = set[str]()
    for i in np.flatnonzero(alike >= alike.max() - _NEARLY):
        if modes.profiles:
            joined.add(modes.profile_modes[i])
        else:
            joined.update(*(modes.of(tf) for tf in motif_tfs(known[i])))
    return frozenset(joined), pd.Series(found), word
