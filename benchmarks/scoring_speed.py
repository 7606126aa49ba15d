"""Scoring windows: by look-up, batch norms in weights, beside modules one after another.

    OMP_NUM_THREADS=1 python benchmarks/scoring_speed.py [--sequences 4000] [--window 200]

Prints CPU microseconds per window and strand of the published CNN in float32, the ratio, and the
largest difference of the logits.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from attribution import settled

from cistransfer.models import kernels
from cistransfer.models.score import score_codes


def main() -> None:
    """Time both in turn, five times, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=4000)
    parser.add_argument("--window", type=int, default=200)
    options = parser.parse_args()
    model = settled("cnn", options.window)
    shape = (options.sequences, options.window)
    codes = np.random.default_rng(0).integers(0, 4, shape).astype(np.uint8)
    spent: dict[bool, list[float]] = {True: [], False: []}
    logits = {}
    for _ in range(6):  # the first warms up
        for plain in spent:
            began = time.process_time()
            with kernels.use(not plain):
                logits[plain] = score_codes(model, codes, strands="forward")
            spent[plain].append(time.process_time() - began)
    before, after = (1e6 * np.median(spent[plain][1:]) / len(codes) for plain in (True, False))
    gap = np.abs(logits[True] - logits[False]).max()
    print(f"{options.window} bp, {torch.get_num_threads()} thread(s), µs of CPU time per window")
    print(f"modules one after another {before:.0f}, ours {after:.0f}: {before / after:.2f}×")
    print(f"largest difference {gap:.1e}")


if __name__ == "__main__":
    main()
