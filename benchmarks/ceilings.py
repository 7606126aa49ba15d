"""What a TF's labels allow: rankings by what no model of the sequence is given.

    python benchmarks/ceilings.py --matrix M.h5 --genome SEQUENCES --tfs HNF4A,SPI1 --test chr15 \
        --leave-out chr21 [--trunk RUN]

Bound regions of one chromosome against GC-matched unbound ones, ranked by

openness    in how many and which cells a region is open (logistic regression)
other TFs   the states of all other TFs of the matrix there (logistic regression)
both        these together
trunk       a trunk's own output for the TF, learned from all of its bound regions (--trunk: a trunk
            that was taught the TF and not the chromosome)

and, beside the ranking, how experiments of the TF in two cells agree where the region is open in
both: the share of one's bound regions that is bound in the other, and that of its unbound ones.
AUCPR at one unbound region per bound one, and at ten.
"""

from __future__ import annotations

import argparse
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from cistransfer.binding.matrix import BindingMatrix, open_matrix
from cistransfer.examples.draw import match_gc
from cistransfer.genome.codes import gc_fraction
from cistransfer.genome.fasta import open_sequences
from cistransfer.metrics.curves import at_imbalance, aucpr
from cistransfer.models.bundle import open_bundle
from cistransfer.models.score import score_codes
from cistransfer.tables import markdown

MOST, PER_BOUND, STRENGTH = 5000, 2, 0.01
MIN_BOTH = 50


def agreement(matrix: BindingMatrix, tf: str) -> tuple[float, float]:
    """Mean over pairs of cells: of the bound regions of one, and of the unbound, how many are bound
    in the other; regions resolved in both."""
    states = matrix.view("cells", tfs=[tf]).array()
    found = []
    for one, other in permutations(range(states.shape[1]), 2):
        known = (states[:, one] >= 0) & (states[:, other] >= 0)
        a, b = states[known, one] == 1, states[known, other] == 1
        if min(a.sum(), b.sum()) >= MIN_BOTH:
            found.append((b[a].mean(), b[~a].mean()))
    both = np.mean(found, axis=0) if found else (np.nan, np.nan)
    return float(both[0]), float(both[1])


def matched(
    bound: NDArray[np.int64], unbound: NDArray[np.int64], gc: NDArray[np.float64], per: float
) -> NDArray[np.int64]:
    """Bound regions, and unbound ones with their GC content."""
    return np.concatenate([bound, unbound[match_gc(gc[bound], gc[unbound], per_bound=per, seed=0)]])


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("matrix", "genome"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--tfs", required=True)
    parser.add_argument("--test", default="chr15")
    parser.add_argument("--leave-out", default="chr21")
    parser.add_argument("--trunk", help="a run, a bundle or the name of a trunk")
    options = parser.parse_args()

    matrix = open_matrix(options.matrix)
    codes = open_sequences(options.genome).fetch(matrix.regions)
    gc, chrom = gc_fraction(codes), matrix.regions["chrom"].to_numpy()
    tested = chrom == options.test
    learned = ~tested & (chrom != options.leave_out)
    trunk = open_bundle(options.trunk) if options.trunk else None
    states, openness = matrix.states(), matrix.accessible().astype(np.float32)
    openness = np.concatenate([openness, openness.sum(axis=1, keepdims=True)], axis=1)
    rng = np.random.default_rng(0)
    rows = []
    for tf in options.tfs.split(","):
        own = matrix.tfs.index(tf)
        label = states[:, own]
        others = np.delete(states, own, axis=1)
        few = rng.permutation(np.flatnonzero(learned & (label == 1)))[:MOST]
        inside = matched(few, np.flatnonzero(learned & (label == 0)), gc, PER_BOUND)
        outside = matched(
            np.flatnonzero(tested & (label == 1)), np.flatnonzero(tested & (label == 0)), gc, 1
        )

        def told(regions: NDArray[np.int64], what: str) -> NDArray[np.float32]:
            parts = [openness[regions]] if what != "other TFs" else []
            if what != "openness":
                parts += [others[regions] == state for state in (0, 1)]  # noqa: B023
            return np.concatenate(parts, axis=1).astype(np.float32)

        truth, row = label[outside], {"TF": tf, "bound": int((label[outside] == 1).sum())}
        scores = {}
        for what in ("openness", "other TFs", "both"):
            fitted = LogisticRegression(C=STRENGTH, max_iter=2000)
            fitted.fit(told(inside, what), label[inside])
            scores[what] = fitted.decision_function(told(outside, what))
        if trunk is not None:
            logits = score_codes(trunk.model, codes[outside])
            scores["trunk"] = logits[:, list(trunk.tasks).index(tf)]
        for what, ranked in scores.items():
            row[what] = f"{aucpr(truth, ranked):.3f}"
            row[f"{what}, at 1:10"] = f"{at_imbalance(truth, ranked, 10):.3f}"
        bound, unbound = agreement(matrix, tf)
        row |= {"bound again": f"{bound:.2f}", "bound instead": f"{unbound:.2f}"}
        rows.append(row)
        print("\t".join(map(str, row.values())), flush=True)
    table = pd.DataFrame(rows)
    mean = table.drop(columns=["TF", "bound"]).astype(float).mean().map("{:.3f}".format)
    table = pd.concat([table, pd.DataFrame([{"TF": "mean", "bound": "", **mean}])])
    print(markdown(table))


if __name__ == "__main__":
    main()
