"""From FASTA to a track, beside the plain PyTorch way: windows per CPU-second, and projections.

    OMP_NUM_THREADS=1 python benchmarks/track_speed.py [--model general] [--windows 6000]
        [--strides 50 200] [--repeats 3]

A random genome is scored at each stride on both strands, in three ways in turn, of which the best
of the repeats counts: ours, where windows share what they can; ours without kernels
(`cistransfer.models.kernels.use`), window by window; and the plain way, which reads the same FASTA,
encodes window by window, runs the same network module by module on either strand and writes the
same lines. Beside them the network alone, window by window with all other kernels.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from cistransfer.genome.codes import decode
from cistransfer.genome.fasta import Genome, read_fasta, write_fasta
from cistransfer.models import kernels
from cistransfer.models.blocks import one_hot, reverse_codes
from cistransfer.models.bundle import Bundle, open_bundle
from cistransfer.models.kernels.processor import name_of_processor
from cistransfer.prediction.track import predict_track
from cistransfer.tables import markdown

BATCH = 512


def main() -> None:
    """Time all ways, and compare what they wrote."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="general")
    parser.add_argument("--windows", type=int, default=6000)
    parser.add_argument("--strides", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    bundle = open_bundle(options.model)
    print(
        f"{name_of_processor()}, {torch.get_num_threads()} thread(s), {bundle.window} bp, CPU time"
    )
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            _row(bundle, stride, options.windows, options.repeats, Path(folder))
            for stride in options.strides
        ]
    print(markdown(pd.DataFrame(rows), digits=2))
    for row in rows:
        stride, rate = row["stride, bp"], row["shared, windows/s"]
        jobs = {f"a genome of 3.1 Gb, every {stride} bp": 3.1e9 / stride}
        if stride >= bundle.window:
            jobs["1.8 million DHS"] = 1.8e6
        for job, windows in jobs.items():
            hours = windows / rate / 3600
            print(f"{job}: {hours:.2f} CPU-hours, on 2 cores that share out evenly "
                  f"{hours / 2:.2f} hours, on 64 {60 * hours / 64:.1f} minutes")  # fmt: skip


def _row(bundle: Bundle, stride: int, windows: int, repeats: int, place: Path) -> dict[str, Any]:
    """What is printed of one stride."""
    codes = np.random.default_rng(0).integers(0, 4, bundle.window + (windows - 1) * stride)
    codes = codes.astype(np.uint8)
    write_fasta(place / "g.fa", {"chr1": decode(codes)})
    each = np.lib.stride_tricks.sliding_window_view(codes, bundle.window)[::stride]

    def without(bundle: Bundle, fasta: Path, out: Path, stride: int) -> None:
        with kernels.use(False):
            _ours(bundle, fasta, out, stride)

    def alone(bundle: Bundle, fasta: Path, out: Path, stride: int) -> None:
        with torch.inference_mode():
            for at in range(0, len(each), 256):
                some = torch.from_numpy(each[at : at + 256].copy())
                bundle.model.logits_of_strands(one_hot(some), one_hot(reverse_codes(some)))

    ways = {"shared": _ours, "no kernels": without, "plain": _plain, "window by window": alone}
    spent = dict.fromkeys(ways, float("inf"))
    for _ in range(repeats + 1):  # the first warms up, and is longer
        for name, way in ways.items():
            began = time.process_time()
            way(bundle, place / "g.fa", place / f"{name}.bedGraph", stride)
            spent[name] = min(spent[name], time.process_time() - began)
    rates = {name: windows / seconds for name, seconds in spent.items()}
    scores = {
        name: np.loadtxt(place / f"{name}.bedGraph", usecols=3, ndmin=1)
        for name in ("shared", "no kernels", "plain")
    }
    return {
        "stride, bp": stride,
        **{f"{name}, windows/s": round(rate) for name, rate in rates.items()},
        **{f"shared / {name}": rates["shared"] / rates[name] for name in list(ways)[1:]},
        "largest difference": f"{np.ptp(np.stack(list(scores.values())), axis=0).max():.0e}",
    }


def _ours(bundle: Bundle, fasta: Path, out: Path, stride: int) -> None:
    predict_track([bundle], Genome(fasta), out, task=bundle.tasks[0], stride=stride)


def _plain(bundle: Bundle, fasta: Path, out: Path, stride: int) -> None:
    ((name, text),) = read_fasta(fasta)
    window, temperature = bundle.window, bundle.temperatures[0]
    starts = range(0, len(text) - window + 1, stride)
    letters = {letter: np.eye(4, dtype=np.float32)[i] for i, letter in enumerate("ACGT")}
    with open(out, "w") as target, torch.inference_mode(), kernels.use(False):
        for at in range(0, len(starts), BATCH):
            some = starts[at : at + BATCH]
            rows = [np.stack([letters[c] for c in text[i : i + window]]).T for i in some]
            x = torch.from_numpy(np.stack(rows))
            logits = (bundle.model(x) + bundle.model(x.flip(1, 2))) / 2
            scores = torch.sigmoid(logits[:, 0] / temperature).tolist()
            for i, score in zip(some, scores, strict=True):
                middle = i + window // 2 - stride // 2
                print(name, middle, middle + stride, f"{score:.5f}", sep="\t", file=target)


if __name__ == "__main__":
    main()
