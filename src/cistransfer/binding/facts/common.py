"""Which TFs are resolved together: the published choice, and a true maximiser.

Novakovsky et al. 2021 say that their 50 TFs maximise the regions resolved in all of them; their
notebook takes the 50 TFs with most resolved regions, which is far from the maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError

__all__ = [
    "CommonChoice",
    "common_regions",
    "maximise_common",
    "most_resolved",
    "qualifying_tfs",
    "resolved_counts",
]

TRUNK_TFS = 50
"""TFs of the published multi-model."""

MIN_SEQUENCES = 500
"""Fewest training sequences of a published individual model, reverse complements counted."""

_STARTS = 16
"""Greedy choices to begin from, besides the plain one."""

Reals = NDArray[np.floating]
Groups = NDArray[np.int64]


def resolved_counts(matrix: BindingMatrix, rule: str = "less-sparse") -> dict[str, int]:
    """Number of resolved regions of each TF."""
    return {tf: int((matrix.states(tf, rule) >= 0).sum()) for tf in matrix.tfs}


def common_regions(
    matrix: BindingMatrix, tfs: Sequence[str], rule: str = "less-sparse"
) -> NDArray[np.int64]:
    """Rows of the regions that are resolved in all of the TFs, ascending.

    Raises
    ------
    InputError
        For no TF at all, an unknown TF or rule.
    """
    if not len(tfs):
        raise InputError("common regions of which TFs? none is named")
    common = np.ones(len(matrix), dtype=bool)
    for tf in tfs:
        common &= matrix.states(tf, rule)[:, 0] >= 0
    return np.flatnonzero(common)


def most_resolved(matrix: BindingMatrix, n: int, rule: str = "less-sparse") -> tuple[str, ...]:
    """Choose the ``n`` TFs with most resolved regions (the published rule), best first.

    Ties go by name (the published code leaves them to an unstable sort).
    """
    _check_n(matrix, n)
    counts = resolved_counts(matrix, rule)
    return tuple(sorted(counts, key=lambda tf: (-counts[tf], tf))[:n])


def qualifying_tfs(
    matrix: BindingMatrix,
    rule: str | None = None,
    *,
    n_trunk: int = TRUNK_TFS,
    min_sequences: int = MIN_SEQUENCES,
) -> pd.DataFrame:
    """Tell which TFs have enough bound regions left for a model of their own.

    The rule that gives the 148 TFs of Novakovsky et al. 2021. Their text says "at least 250 bound
    regions", which gives others; what their code has (commented out) is a number of training
    sequences: of the bound regions that the trunk was neither trained nor validated on (nine
    tenths of the regions common to its TFs), with as many unbound ones, eight tenths train, on
    both strands: 3.2 sequences a region.

    Parameters
    ----------
    rule : str, optional
        What counts as bound; the matrix's default one when not given.
    n_trunk : int
        The trunk is on so many TFs, the most resolved ones; 0, or more than the matrix holds: no
        trunk.

    Returns
    -------
    DataFrame
        tf, bound, left (expected bound regions without the trunk's), sequences (expected, for
        training), qualifies; by TF.
    """
    settled = rule or matrix.default_rule
    joint = "less-sparse" if settled == "sparse" else settled
    taken = np.zeros(len(matrix))
    if 0 < n_trunk <= len(matrix.tfs):
        trunk = most_resolved(matrix, n_trunk, joint)
        taken[common_regions(matrix, trunk, joint)] = 0.9
    rows = []
    for tf in matrix.tfs:
        bound = matrix.states(tf, settled)[:, 0] == 1
        rows.append((tf, int(bound.sum()), float((1 - taken)[bound].sum())))
    table = pd.DataFrame(rows, columns=["tf", "bound", "left"])
    table["left"] = table["left"].round(1)
    table["sequences"] = (3.2 * table["left"]).round(1)
    return table.assign(qualifies=table["sequences"] >= min_sequences)


@dataclass(frozen=True)
class CommonChoice:
    """TFs chosen for their commonly resolved regions.

    Attributes
    ----------
    tfs : tuple of str
        Sorted.
    regions : int
        Regions resolved in all of them.
    bound : int
        No choice of as many TFs has more (equal to ``regions`` when ``proven``).
    proven : bool
        Whether the search ended: ``regions`` is the maximum.
    """

    tfs: tuple[str, ...]
    regions: int
    bound: int
    proven: bool


@dataclass(frozen=True)
class _Node:
    """A branch: regions still common (patterns and their weights), and groups still to choose.

    ``resolved`` holds the columns of ``left`` only; ``bound`` is what the branch may reach.
    """

    resolved: Reals
    weight: Reals
    left: Groups
    chosen: tuple[int, ...]
    count: int
    bound: float


def _check_n(matrix: BindingMatrix, n: int) -> None:
    """Refuse a number of TFs that the matrix cannot give."""
    if not 1 <= n <= len(matrix.tfs):
        raise InputError(
            f"{matrix.path}: expected to choose 1 to {len(matrix.tfs)} TFs (all there are), "
            f"found {n}"
        )


def maximise_common(
    matrix: BindingMatrix, n: int, rule: str = "less-sparse", nodes: int = 2000
) -> CommonChoice:
    """Choose the ``n`` TFs with most commonly resolved regions.

    Branch and bound over groups of TFs that are resolved in the same regions, from greedy starts.
    A TF stays in a branch only while enough others share more regions with it than the best
    choice so far has. Of TFs resolved in the same regions the first by name are taken.

    Parameters
    ----------
    n : int
        How many TFs.
    rule : str
        Rule of the states (see `cistransfer.binding.matrix.RULES`).
    nodes : int
        Branches to look at before giving up the proof that the best choice is the maximum.

    Notes
    -----
    Under ``less-sparse`` (few groups, since only the cells matter) the proof takes seconds; under
    ``sparse`` every TF is its own group, and large ``n`` may end unproven, with the bound.
    """
    _check_n(matrix, n)
    groups, resolved, weight = _patterns(matrix, rule)
    size = np.array([len(group) for group in groups], dtype=np.int64)
    best, chosen = 0.0, tuple(range(len(groups)))
    order = np.argsort(-(weight @ resolved), kind="stable")[:_STARTS]
    for start in ((), *((int(group),) for group in order)):
        found = _swap(resolved, weight, size, n, _greedy(resolved, weight, size, n, start))
        value = float(weight[resolved[:, found].all(axis=1)].sum())
        if value > best:
            best, chosen = value, found
    stack = [_Node(resolved, weight, np.arange(len(groups)), (), 0, float(weight.sum()))]
    looked = 0
    while stack and looked < nodes:
        looked += 1
        value, found, branches = _branch(stack.pop(), size, n, best)
        if value > best:
            best, chosen = value, found
        stack += branches
    bound = max([best, *(node.bound for node in stack)])
    # The groups may hold more TFs than asked for; the first by name stay.
    tfs = sorted(tf for group in chosen for tf in groups[group])[:n]
    used = [group for group in chosen if not set(groups[group]).isdisjoint(tfs)]
    common = int(weight[resolved[:, used].all(axis=1)].sum())
    return CommonChoice(tuple(tfs), common, max(common, int(bound)), bound <= common)


def _patterns(matrix: BindingMatrix, rule: str) -> tuple[list[list[str]], Reals, Reals]:
    """Group TFs by resolved regions, and regions by the groups that they are resolved in."""
    by_regions: dict[bytes, list[str]] = {}
    for tf in matrix.tfs:
        bits = np.packbits(matrix.states(tf, rule)[:, 0] >= 0)
        by_regions.setdefault(bits.tobytes(), []).append(tf)
    rows = [
        np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=len(matrix)) for bits in by_regions
    ]
    patterns, weight = _unique_rows(np.stack(rows, axis=1), np.ones(len(matrix), dtype=np.int64))
    # Sums of integers below 2^24 are exact in float32, whatever their order.
    real = np.float32 if len(matrix) < 1 << 24 else np.float64
    return list(by_regions.values()), patterns.astype(real), weight.astype(real)


def _unique_rows(
    rows: NDArray[np.uint8], weight: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    packed = np.ascontiguousarray(np.packbits(rows, axis=1))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, code = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], np.bincount(code, weights=weight).astype(np.int64)


def _greedy(
    resolved: Reals, weight: Reals, size: Groups, n: int, start: tuple[int, ...]
) -> tuple[int, ...]:
    """Take, one after the other, the group that keeps most regions; ties: the larger, the first."""
    chosen = list(start)
    rows = resolved[:, chosen].all(axis=1)
    held, weight = resolved[rows], weight[rows]
    while size[chosen].sum() < n:
        value = np.asarray(weight @ held)
        value[chosen] = -1
        top = np.flatnonzero(value == value.max())
        group = int(top[np.argmax(size[top])])
        chosen.append(group)
        rows = held[:, group] > 0
        held, weight = held[rows], weight[rows]
    return tuple(chosen)


def _swap(
    resolved: Reals, weight: Reals, size: Groups, n: int, chosen: tuple[int, ...]
) -> tuple[int, ...]:
    """Exchange one chosen group for another while that adds regions."""
    now = list(chosen)
    improved = True
    while improved:
        improved = False
        missing = len(now) - resolved[:, now].sum(axis=1)
        near = missing <= 1
        held, mass, missing = resolved[near], weight[near], missing[near]
        value = float(mass[missing == 0].sum())
        for place, group in enumerate(now):
            rows = (missing == 0) | (held[:, group] == 0)
            gain = np.asarray(mass[rows] @ held[rows])
            gain[now] = -1
            gain[size < n - int(size[now].sum() - size[group])] = -1
            other = int(np.argmax(gain))
            if gain[other] > value:
                now[place] = other
                improved = True
                break
    return tuple(now)


def _branch(
    node: _Node, size: Groups, n: int, best: float
) -> tuple[float, tuple[int, ...], list[_Node]]:
    """Settle a branch (its value and choice), or split it on one group."""
    nothing: tuple[float, tuple[int, ...], list[_Node]] = (0.0, (), [])
    resolved, weight, left = node.resolved, node.weight, node.left
    now = float(weight.sum())
    value = np.asarray(weight @ resolved)
    free = value >= now
    chosen = (*node.chosen, *left[free].tolist())
    count = node.count + int(size[left[free]].sum())
    if now <= best:
        return nothing
    if count >= n:
        return now, chosen, []
    need = n - count
    keep = ~free & (value > best)
    while True:
        resolved, left, value = resolved[:, keep], left[keep], value[keep]
        if size[left].sum() < need:
            return nothing
        pairs = (resolved.T * weight) @ resolved > best
        np.fill_diagonal(pairs, True)
        keep = pairs @ size[left] >= need
        if keep.all():
            break
    order = np.argsort(-value, kind="stable")
    last = int(np.searchsorted(np.cumsum(size[left[order]]), need))
    bound = min(node.bound, float(value[order[last]]))
    split = int(order[last])
    # Without this group, one that shares only regions which this one shares too is no use.
    shared = (weight * resolved[:, split]) @ resolved
    without = shared < value
    rows = resolved[:, split] > 0
    others = np.arange(len(left)) != split
    group = int(left[split])
    return (
        0.0,
        (),
        [
            _Node(
                resolved[rows][:, others],
                weight[rows],
                left[others],
                (*chosen, group),
                count + int(size[group]),
                float(value[split]),
            ),
            _Node(resolved[:, without], weight, left[without], chosen, count, bound),
        ],
    )
