"""Time the enrichment of motifs in two models' attributions, end to end.

    OMP_NUM_THREADS=1 python benchmarks/enrichment.py --motifs JASPAR.meme --sequences FOLDER

60,000 windows of 600 bp (three real 200-bp windows each, from a folder of FASTA files; random
letters without one), all motifs of the file, two attributions per base (random numbers, given):
the scan at p ≤ 1e-5, the scores of all sites, and D of A, of B and of the difference. Wall and CPU
seconds; with ``--check`` the statistics of some motifs are compared with scipy over explicit sets.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd

from cistransfer.genome.codes import encode
from cistransfer.genome.fasta import read_fasta
from cistransfer.interpretation.sites import motif_sites
from cistransfer.interpretation.two_models import TwoModels, compare_attributions
from cistransfer.motifs.files import read_motifs


def windows(folder: str | None, n: int) -> np.ndarray:
    """Codes (n, 600)."""
    if folder is None:
        return np.random.default_rng(0).integers(0, 4, size=(n, 600)).astype(np.uint8)
    rows = []
    for path in sorted(Path(folder).glob("*200bp*.fa.gz")):
        rows += [encode(sequence) for _, sequence in read_fasta(path) if len(sequence) == 200]
        if len(rows) >= 3 * n:
            break
    return np.stack(rows)[: len(rows) // 3 * 3].reshape(-1, 600)[:n]


def check(found: TwoModels, motifs: int) -> float:
    """Largest difference of D (A) from scipy's over sets made by looking at each base."""
    from scipy import stats

    sites = found.sites
    length = found.contributions_a.shape[1]
    names, scores = sites["name"].to_numpy(), sites["score_a"].to_numpy()
    row, start, end = (sites[column].to_numpy() for column in ("sequence", "start", "end"))
    worst = 0.0
    for motif in found.table["motif"].sample(min(motifs, len(found.table)), random_state=0):
        own = names == motif
        covered = np.zeros((len(found.contributions_a), length), bool)
        for at in np.flatnonzero(own):
            covered[row[at], start[at] : end[at]] = True
        free = np.array(
            [not own[at] and not covered[row[at], start[at] : end[at]].any()
             for at in range(len(sites))]
        )  # fmt: skip
        expected = stats.ks_2samp(scores[own], scores[free], method="asymp").statistic
        d = float(found.table.loc[found.table["motif"] == motif, "d_a"].iloc[0])
        worst = max(worst, abs(abs(d) - expected))
    return worst


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--motifs", required=True)
    parser.add_argument("--sequences")
    parser.add_argument("--regions", type=int, default=60_000)
    parser.add_argument("--check", type=int, default=0, help="motifs to compare with scipy")
    arguments = parser.parse_args()
    codes = windows(arguments.sequences, arguments.regions)
    pwms = read_motifs(arguments.motifs)
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(codes.shape, dtype=np.float32) for _ in range(2))
    print(f"{len(pwms)} motifs, {len(codes):,} windows of {codes.shape[1]} bp")
    times = [(time.perf_counter(), time.process_time())]
    sites: pd.DataFrame = motif_sites(codes, pwms)
    times.append((time.perf_counter(), time.process_time()))
    found = compare_attributions(a, b, sites)
    times.append((time.perf_counter(), time.process_time()))
    for name, first, last in (("scan", 0, 1), ("scores, D of A, B, A - B", 1, 2), ("all", 0, 2)):
        wall, cpu = (times[last][kind] - times[first][kind] for kind in (0, 1))
        print(f"{name:28}{wall:8.1f} s wall {cpu:8.1f} s CPU")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{len(sites):,} sites, {len(found.table)} motifs tested, peak memory {peak:.1f} GB")
    if arguments.check:
        print(f"largest difference of D from scipy: {check(found, arguments.check):.1e}")


if __name__ == "__main__":
    main()
