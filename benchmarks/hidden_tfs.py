"""Hide TFs of a matrix one at a time and ask for their relatives by name, motif and peaks.

python benchmarks/hidden_tfs.py MATRIX.h5 [--every 8] [--first 10] [--by name,motif,peaks,all]

The TFs are every k-th (by name) of those with at least 500 bound regions of whose family another TF
with 100 is in the matrix; a family is that of the package's table, the wide ones of zinc fingers
left out. A hidden TF is in no binding vector and no count of occupancy.

name   its name alone: its family, and JASPAR's motifs under its name
motif  its first motif in JASPAR 2020 under no name, among the motifs of the other TFs alone
peaks  its peaks in the cell where it has most, under no name
all    name and peaks
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd

from cistransfer.binding.facts.cobinding import BindingVectors, binding_vectors
from cistransfer.binding.matrix import BindingMatrix, open_matrix
from cistransfer.motifs.names import motif_tfs, motifs_of
from cistransfer.motifs.pwm import PWM
from cistransfer.relatives.choose import Choice, choose_group
from cistransfer.relatives.families import family_of
from cistransfer.relatives.read_modes import cluster_modes, read_profiles
from cistransfer.relatives.target import Known, find_target
from cistransfer.tables import markdown

WAYS = ("name", "motif", "peaks", "all")
MIN_HIDDEN, MIN_KIN = 500, 100


def hidden_tfs(vectors: BindingVectors, every: int, first: int) -> list[str]:
    """Which TFs are hidden, by a rule that looks at no result."""
    bound = dict(zip(vectors.tfs, vectors.bound_counts().tolist(), strict=True))
    found = [tf for tf in sorted(bound) if bound[tf] >= MIN_HIDDEN and kin(tf, bound)]
    return found[::every][:first]


def kin(tf: str, bound: dict[str, int]) -> set[str]:
    """TFs of its family that can be chosen."""
    own = family_of(tf)
    if own is None or own.is_wide:
        return set()
    families = {other: family_of(other) for other in bound if other != tf}
    return {
        other
        for other, family in families.items()
        if family is not None and family.family == own.family and bound[other] >= MIN_KIN
    }


def without(vectors: BindingVectors, tf: str) -> BindingVectors:
    """The vectors of the other TFs."""
    rest = [i for i, other in enumerate(vectors.tfs) if other != tf]
    return replace(
        vectors,
        tfs=tuple(vectors.tfs[i] for i in rest),
        bound=tuple(vectors.bound[i] for i in rest),
        resolved=vectors.resolved[rest],
    )


def ask(
    matrix: BindingMatrix, vectors: BindingVectors, profiles: list[PWM], tf: str, by: str
) -> Choice:
    """The first three relatives of a hidden TF."""
    rest = without(vectors, tf)
    name = tf if by in ("name", "all") else "HIDDEN"
    others = [pwm for pwm in profiles if tf not in motif_tfs(pwm)]
    modes = cluster_modes(profiles if name == tf else others, [*rest.tfs, name])
    peaks = None
    if by in ("peaks", "all"):
        cells = matrix.cells_of(tf)
        bound = [matrix.states(tf, "peaks-only", cell)[:, 0] == 1 for cell in cells]
        most = max(bound, key=np.count_nonzero)
        peaks = matrix.regions[most].reset_index(drop=True)
    motif = motifs_of(tf, profiles)[:1] if by == "motif" else []
    target = find_target(matrix, rest, name, modes=modes, peaks=peaks, motif=motif)
    return choose_group(Known(matrix, rest, target, modes, None), "relatives")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("matrix")
    parser.add_argument("--every", type=int, default=8)
    parser.add_argument("--first", type=int, default=10)
    parser.add_argument("--by", default=",".join(WAYS))
    options = parser.parse_args()
    matrix = open_matrix(options.matrix)
    vectors = binding_vectors(matrix)
    profiles = list(read_profiles("jaspar"))
    bound = dict(zip(vectors.tfs, vectors.bound_counts().tolist(), strict=True))
    ways = options.by.split(",")
    rows, hits = [], dict.fromkeys(ways, 0)
    for tf in hidden_tfs(vectors, options.every, options.first):
        row = [tf, family_of(tf).family]  # type: ignore[union-attr]
        for way in ways:
            choice = ask(matrix, vectors, profiles, tf, way)
            theirs = kin(tf, bound)
            shown = [f"**{each}**" if each in theirs else each for each in choice.tfs[:3]]
            hits[way] += any(each in theirs for each in choice.tfs[:3])
            row.append(f"{', '.join(shown)} ({choice.sure})")
        rows.append(row)
        print(*row, sep="\t", flush=True)
    rows.append(["in the first three", "", *(f"{hits[way]} of {len(rows)}" for way in ways)])
    columns = ["hidden TF", "family", *(f"by {way}" for way in ways)]
    print(markdown(pd.DataFrame(rows, columns=columns)))


if __name__ == "__main__":
    main()
