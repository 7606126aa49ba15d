"""How long scanning takes: sum occupancy and best hit of one motif, hits of many.

    python benchmarks/motif_scan.py [--sequences 100000] [--length 200] [--motifs FILE.meme]

Times a slice of random sequence on one thread and extrapolates to 1.8 million windows of 200 bp
(one motif) and to 60,000 windows of 600 bp × 700 motifs (hits at p < 1e-5).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.hits import find_hits
from cistransfer.motifs.pwm import PWM
from cistransfer.motifs.scan import best_hits, sum_occupancy

WHOLE = 1_817_918 * 200
MANY = 60_000 * 600 * 700


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Best wall time of a few runs."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    """Print one line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=100_000)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--motifs", help="MEME or JASPAR file; default: random motifs")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, size=(options.sequences, options.length), dtype=np.uint8)
    if options.motifs:
        pwms = read_motifs(options.motifs)
    else:
        pwms = [PWM(f"m{at}", rng.dirichlet([0.3] * 4, size=8 + at % 14)) for at in range(100)]
    by_width = {pwm.width: pwm for pwm in pwms}
    print(f"{options.sequences:,} x {options.length} bp, one thread")
    for width in sorted(by_width)[:: max(1, len(by_width) // 4)]:
        for verb in (sum_occupancy, best_hits):
            took = seconds(lambda verb=verb, width=width: verb(codes, by_width[width]))
            whole = took * WHOLE / codes.size
            print(
                f"{verb.__name__:14s} width {width:2d}  {took:6.2f} s  "
                f"{codes.size / took / 1e6:6.0f} Mbp/s  1.8 M x 200 bp: {whole:5.1f} s"
            )
    slice_ = codes[: max(1, len(codes) // 5)]
    took = seconds(lambda: find_hits(slice_, pwms, 1e-5), repeats=1)
    many = took * MANY / (slice_.size * len(pwms))
    print(
        f"find_hits      {len(pwms)} motifs, {len(slice_):,} sequences  {took:6.2f} s  "
        f"700 motifs x 60,000 x 600 bp: {many:5.1f} s"
    )


if __name__ == "__main__":
    main()
