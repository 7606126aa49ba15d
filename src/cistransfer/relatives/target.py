"""What is known of a target TF, in the matrix or not: its binding vector and its modes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.binding.facts.cobinding import BindingVectors, cobinding_with
from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError, nearest
from cistransfer.genome.intervals import centre_windows, overlaps_any
from cistransfer.motifs.compare import compare
from cistransfer.motifs.names import motif_tfs
from cistransfer.motifs.pwm import PWM
from cistransfer.relatives.cluster import strengths
from cistransfer.relatives.modes import BindingModes
from cistransfer.relatives.partners import Partners

__all__ = ["Target", "find_target"]

_MATCH = 0.05


@dataclass(frozen=True)
class Target:
    """A target TF and what is known of it.

    Attributes
    ----------
    name : str
    in_matrix : bool
        Whether it can be one of the tasks.
    modes : frozenset of str
        Its binding modes; empty when none is known.
    cobinding : DataFrame or None
        Indexed by TF: ``cosine`` and, for a binding vector, ``cobound`` and ``resolved``
        (see `cistransfer.binding.facts.cobinding.cobinding_with`).
    bound : int or None
        Regions that it binds.
    stands_in : bool
        Whether the cosines are those of its mode's TFs, for want of a binding vector.
    notes : tuple of str
        How each of this was found, in words.
    """

    name: str
    in_matrix: bool
    modes: frozenset[str]
    cobinding: pd.DataFrame | None = field(repr=False)
    bound: int | None
    stands_in: bool
    notes: tuple[str, ...]


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
        The TF; upper and lower case are the same where the matrix has it.
    modes, partners : optional
        Where to look the name up.
    peaks : DataFrame, optional
        Region table of the user's own peaks; they replace the matrix's binding vector. A region
        is bound when it holds a summit (the middle of a peak without one), as in the matrix.
    cell : str, optional
        Cell of the matrix in which the peaks were made: only regions open there are resolved.
    accessible : DataFrame, optional
        Region table of open regions in the cell of the peaks, for the same purpose. Without
        either every region counts as resolved.
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
    same = {tf.upper(): tf for tf in vectors.tfs}
    name = same.get(name.upper(), name)
    in_matrix = name in vectors.tfs
    notes: list[str] = []
    found = modes.of(name) if modes is not None else frozenset()
    if motif and not found:
        found, note = _match(motif, modes, profiles)
        notes.append(note)
    table: pd.DataFrame | None = None
    bound: NDArray[np.bool_] | None = None
    stands_in = False
    if peaks is not None:
        bound, resolved, note = _from_peaks(matrix, peaks, cell, accessible)
        notes.append(note)
        table = cobinding_with(vectors, bound, resolved)
    elif in_matrix:
        bound = vectors.is_bound(name)
        table = cobinding_with(vectors, bound, vectors.is_resolved(name))
    elif modes is not None and found:
        kin = modes.members(found, vectors.tfs)
        if kin:
            stands_in = True
            table = _mean_of(vectors, kin)
            notes.append(
                f"no binding data for {name}: its cosine is the mean of the TFs of its binding "
                f"mode ({', '.join(kin)})"
            )
    named = partners is not None and name.upper() in partners.scores
    if not (in_matrix or found or table is not None or named):
        raise InputError(
            f"{matrix.path}: no TF {name!r} in this matrix, and neither binding modes nor partners "
            f"name it; {nearest(name, vectors.tfs)}; for another TF give its peaks or its motif"
        )
    return Target(
        name=name,
        in_matrix=in_matrix,
        modes=found,
        cobinding=table,
        bound=None if bound is None else int(bound.sum()),
        stands_in=stands_in,
        notes=tuple(notes),
    )


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


def _mean_of(vectors: BindingVectors, tfs: Sequence[str]) -> pd.DataFrame:
    """Mean cosine with some TFs; a TF with itself counts 1."""
    tables = [cobinding_with(vectors, vectors.is_bound(tf), vectors.is_resolved(tf)) for tf in tfs]
    columns = pd.concat([table["cosine"] for table in tables], axis=1)
    return pd.DataFrame({"cosine": columns.mean(axis=1)})


def _match(
    motif: Sequence[PWM], modes: BindingModes | None, profiles: Sequence[PWM]
) -> tuple[frozenset[str], str]:
    """Modes of the motifs and TFs that the target's motifs match, and how that was decided."""
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
    best = table.loc[table["p_calibrated"].idxmin()]
    match = known[int(best["target"])]
    word = f"{best['query_name']} matches {match.name} {match.alt_name} (p = {best['p']:.1e}"
    word += f", calibrated {best['p_calibrated']:.1e})"
    joined: frozenset[str] = frozenset()
    if modes.profiles:
        strength = strengths(motif, known)
        labels = np.array(modes.profile_modes)
        joined = frozenset(
            str(mode)
            for mode in np.unique(labels)
            if strength[:, labels == mode].mean(axis=1).max() >= modes.cut
        )
    if float(best["q"]) <= _MATCH:
        # It is the motif of these TFs, so their other modes are the target's too.
        joined = joined.union(*(modes.of(tf) for tf in motif_tfs(match)))
    if not joined:
        return joined, f"the target's motif matches no known one; at best {word}"
    return joined, word
