"""From FASTA to a track, beside the plain PyTorch way: windows per CPU-second, and projections.

    OMP_NUM_THREADS=1 python benchmarks/track_speed.py [--model general] [--windows 6000]

A random genome is scored every 50 bp on both strands. The plain way reads the same FASTA, encodes
window by window, runs the same network module by module on either strand and writes the same lines.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from cistransfer.genome.codes import decode
from cistransfer.genome.fasta import Genome, read_fasta, write_fasta
from cistransfer.models import kernels
from cistransfer.models.bundle import Bundle, open_bundle
from cistransfer.prediction.track import predict_track

STRIDE, BATCH = 50, 512
JOBS = {"1.8 million DHS": 1.8e6, "a genome of 3.1 Gb, every 50 bp": 3.1e9 / STRIDE}


def main() -> None:
    """Time both ways, and compare what they wrote."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="general")
    parser.add_argument("--windows", type=int, default=6000)
    options = parser.parse_args()
    bundle = open_bundle(options.model)
    length = bundle.window + (options.windows - 1) * STRIDE
    codes = np.random.default_rng(0).integers(0, 4, length).astype(np.uint8)
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_fasta(place / "g.fa", {"chr1": decode(codes)})
        for name, way in (("plain", _plain), ("ours", _ours)):
            way(bundle, place / "g.fa", place / "warm")
            began = time.process_time()
            way(bundle, place / "g.fa", place / f"{name}.bedGraph")
            rates[name] = options.windows / (time.process_time() - began)
        both = [np.loadtxt(place / f"{name}.bedGraph", usecols=3) for name in rates]
    print(f"{torch.get_num_threads()} thread(s), {bundle.window} bp every {STRIDE} bp, by CPU time")
    print(f"plain {rates['plain']:.0f} windows per second, ours {rates['ours']:.0f}: "
          f"{rates['ours'] / rates['plain']:.1f} ×")  # fmt: skip
    print(f"largest difference of probabilities {np.abs(both[0] - both[1]).max():.1e}")
    for job, windows in JOBS.items():
        print(f"{job}: {windows / rates['ours'] / 3600:.1f} CPU-hours")


def _ours(bundle: Bundle, fasta: Path, out: Path) -> None:
    named = out.with_suffix(".bedGraph")
    predict_track([bundle], Genome(fasta), named, task=bundle.tasks[0], stride=STRIDE)


def _plain(bundle: Bundle, fasta: Path, out: Path) -> None:
    ((name, text),) = read_fasta(fasta)
    window, temperature = bundle.window, bundle.temperatures[0]
    starts = range(0, len(text) - window + 1, STRIDE)
    letters = {letter: np.eye(4, dtype=np.float32)[i] for i, letter in enumerate("ACGT")}
    with open(out, "w") as target, torch.inference_mode(), kernels.use(False):
        for at in range(0, len(starts), BATCH):
            some = starts[at : at + BATCH]
            rows = [np.stack([letters[c] for c in text[i : i + window]]).T for i in some]
            x = torch.from_numpy(np.stack(rows))
            logits = (bundle.model(x) + bundle.model(x.flip(1, 2))) / 2
            scores = torch.sigmoid(logits[:, 0] / temperature).tolist()
            for i, score in zip(some, scores, strict=True):
                middle = i + window // 2 - STRIDE // 2
                print(name, middle, middle + STRIDE, f"{score:.5f}", sep="\t", file=target)


if __name__ == "__main__":
    main()
