"""How long co-binding takes: cosines of all pairs of TFs, on a matrix or on made-up vectors.

    python benchmarks/cosine.py [--matrix M.h5] [--regions 1817918] [--tfs 163] [--bound 1900000]

Without a matrix the vectors have the published size by default: 163 TFs, 1.8 million regions,
1.9 million bound and 52 million resolved cells (each TF resolved where one of some cells is open).
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from cistransfer.binding.facts.cobinding import BindingVectors, binding_vectors, cobinding, pack
from cistransfer.binding.matrix import open_matrix


def made_up(regions: int, tfs: int, bound: int, cells: int = 20, seed: int = 0) -> BindingVectors:
    """Vectors of that size: a TF is resolved where any of its cells is open, bound in some."""
    rng = np.random.default_rng(seed)
    opened = rng.random((cells, regions)) < 0.1
    share = rng.dirichlet(np.ones(tfs))
    rows, resolved = [], []
    for tf in range(tfs):
        known = opened[rng.choice(cells, 1 + tf % 4, replace=False)].any(axis=0)
        places = np.flatnonzero(known)
        count = min(len(places), int(bound * share[tf]))
        rows.append(np.sort(rng.choice(places, count, replace=False)).astype(np.int32))
        resolved.append(pack(known))
    names = tuple(f"TF{tf:03d}" for tf in range(tfs))
    return BindingVectors(names, "made up", regions, tuple(rows), np.array(resolved))


def main() -> None:
    """Print one line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--matrix", help="a binding matrix; default: made-up vectors")
    parser.add_argument("--rule", help="view of the matrix")
    parser.add_argument("--regions", type=int, default=1_817_918)
    parser.add_argument("--tfs", type=int, default=163)
    parser.add_argument("--bound", type=int, default=1_900_000)
    options = parser.parse_args()
    begin = time.perf_counter()
    if options.matrix:
        vectors = binding_vectors(open_matrix(options.matrix), options.rule)
    else:
        vectors = made_up(options.regions, options.tfs, options.bound)
    read = time.perf_counter() - begin
    begin = time.perf_counter()
    found = cobinding(vectors)
    took = time.perf_counter() - begin
    pairs = len(vectors.tfs) * (len(vectors.tfs) - 1) // 2
    off = found.cosine[np.triu_indices(len(vectors.tfs), 1)]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(
        f"{len(vectors.tfs)} TFs x {vectors.n_regions:,} regions, "
        f"{int(vectors.bound_counts().sum()):,} bound, "
        f"{int(vectors.resolved_counts().sum()):,} resolved cells"
    )
    print(f"vectors        {read:6.2f} s")
    print(f"{pairs:,} cosines  {took:6.2f} s   mean {np.nanmean(off):.4f}   peak {memory:,.0f} MiB")


if __name__ == "__main__":
    main()
