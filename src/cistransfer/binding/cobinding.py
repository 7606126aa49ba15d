"""How alike two TFs bind: the cosine of their states over regions resolved in both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from cistransfer.binding.reader import BindingMatrix
from cistransfer.binding.samples import read_table
from cistransfer.errors import InputError
from cistransfer.storage import open_text

__all__ = ["clustered_order", "cosine", "tfclass_order"]

_BLOCK = 1 << 16


def cosine(
    matrix: BindingMatrix,
    tfs: Sequence[str] | None = None,
    rule: str = "less-sparse",
    cells: Sequence[str] | None = None,
) -> NDArray[np.float64]:
    """Cosine similarity of TFs' binding.

    For each pair, the 0/1 vectors over the regions resolved in both:
    co-bound / √(bound by one × bound by the other). Novakovsky et al. 2021, Fig. 2; their
    notebook uses ``less-sparse``.

    Returns
    -------
    ndarray of float64, shape (n_tfs, n_tfs)
        Symmetric, diagonal 1; NaN where one of a pair is bound nowhere that both are resolved.
    """
    names = list(matrix.tfs if tfs is None else tfs)
    states = matrix.states(names, rule, cells)
    both = np.zeros((len(names), len(names)))
    one = np.zeros_like(both)
    for at in range(0, len(states), _BLOCK):
        block = states[at : at + _BLOCK]
        bound = (block == 1).astype(np.float32)
        both += bound.T @ bound
        one += bound.T @ (block >= 0).astype(np.float32)
    norm = np.sqrt(one * one.T)
    result = np.full_like(both, np.nan)
    np.divide(both, norm, out=result, where=norm > 0)
    np.fill_diagonal(result, 1.0)
    return result


def clustered_order(similarity: NDArray[np.float64]) -> list[int]:
    """Order that puts similar TFs side by side (average linkage, optimal leaf order)."""
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    if len(similarity) < 3:
        return list(range(len(similarity)))
    distance = 1 - np.nan_to_num(similarity, nan=0.0)
    distance = np.clip((distance + distance.T) / 2, 0, None)
    np.fill_diagonal(distance, 0.0)
    condensed = squareform(distance, checks=False)
    tree = optimal_leaf_ordering(linkage(condensed, "average"), condensed)
    return [int(leaf) for leaf in leaves_list(tree)]


def tfclass_order(
    path: str | PathLike[str],
    tfs: Sequence[str],
    symbols: str | PathLike[str] | None = None,
) -> list[int]:
    """Order of TFs in TFClass; TFs that are not found there come last, by name.

    Parameters
    ----------
    path : path
        TFClass (OBO).
    tfs : sequence of str
        Gene symbols.
    symbols : path, optional
        Table with columns ensembl and symbol: TFClass names genes by their Ensembl ids and by
        older names (ATF-1, c-Jun). Without it only names that differ by hyphens are found.
    """
    gene: dict[str, str] = {}
    if symbols is not None:
        table = read_table(symbols, ["ensembl", "symbol"])
        gene = dict(zip(table["ensembl"], table["symbol"].str.upper(), strict=True))
    rank: dict[str, tuple[int, ...]] = {}
    number: tuple[int, ...] = ()
    with open_text(path) as handle:
        for line in handle:
            if line.startswith("id: "):
                parts = line[4:].strip().split(".")
                number = tuple(int(part) for part in parts) if "".join(parts).isdigit() else ()
            elif len(number) < 5:
                continue
            elif line.startswith("name: "):
                for name in re.findall(r"[\w-]+", line[6:]):
                    rank.setdefault(name.replace("-", "").upper(), number)
            elif line.startswith("xref: ENSEMBL:"):
                name = gene.get(line[14:].split()[0], "")
                if name:
                    rank[name] = number
    if not rank:
        raise InputError(f"{path}: expected TFClass (OBO), found no gene in it")

    def place(at: int) -> tuple[bool, tuple[int, ...], str]:
        found = rank.get(tfs[at].upper(), rank.get(tfs[at].replace("-", "").upper()))
        return (found is None, found or (), tfs[at])

    return sorted(range(len(tfs)), key=place)
