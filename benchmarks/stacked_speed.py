"""Many models at once: a slice of the paper's Figure 3, measured and projected to the whole.

    python benchmarks/stacked_speed.py [--device auto] [--models 32] [--examples 1000] [--epochs 1]

Fine-tunes that many independent published networks (200 bp, one task, both strands, batch 100) as
one stacked network and one after another, and prints both and what the stack makes of 148 TFs ×
5 splits × (transfer and scratch) for 10 epochs of so many training examples each. Times include
validation.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from cistransfer.examples.dataset import ExampleSet
from cistransfer.genome.bed import regions_table
from cistransfer.models.registry import build_model
from cistransfer.models.score import choose_device
from cistransfer.training.loop import choose_precision, fit
from cistransfer.training.stacked import fit_stacked
from cistransfer.training.strategy import Phase

WHOLE, EPOCHS = 148 * 5 * 2, 10


def windows(n: int, seed: int) -> ExampleSet:
    """Random windows labelled by their GC content; a ninth more for validation."""
    rng = np.random.default_rng(seed)
    total = n + n // 9
    codes = rng.integers(0, 4, (total, 200), dtype=np.uint8)
    gc = ((codes == 1) | (codes == 2)).mean(axis=1)
    start = np.arange(total) * 200
    part = np.where(np.arange(total) < n, "train", "valid").astype(object)
    table = regions_table(["chr1"] * total, start, start + 200, part=part)
    return ExampleSet(codes, (gc > 0.5).astype(np.int8)[:, None], table, ("gc",), {})


def main() -> None:
    """Time both and print the projection."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--models", type=int, default=32)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--alone", type=int, default=4, help="models trained one by one")
    options = parser.parse_args()
    device = choose_device(options.device)
    precision = choose_precision("auto", device)
    phase = Phase(name="train", learning_rate=1e-3, batch_size=100, epochs=options.epochs)
    data = [windows(options.examples, seed) for seed in range(options.models)]

    def networks(n: int) -> list[torch.nn.Module]:
        return [
            build_model("cnn", window=200, n_tasks=1, seed=seed).to(device) for seed in range(n)
        ]

    def seconds(began: float) -> float:
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    models = networks(options.models)
    if device.type == "cuda":  # the first use of the device is not timed
        warm = phase.model_copy(update={"epochs": 1, "steps_per_epoch": 3})
        fit(networks(1)[0], data[0], [warm], run="", seed=0, precision=precision)
    began = time.perf_counter()
    fit_stacked(
        models, data, [[phase]] * len(models), seeds=range(len(models)), precision=precision
    )
    stacked = seconds(began) / options.models / options.epochs
    few = networks(min(options.alone, options.models))
    began = time.perf_counter()
    for number, model in enumerate(few):
        fit(model, data[number], [phase], run="", seed=number, precision=precision)
    alone = seconds(began) / len(few) / options.epochs
    copies = 2 * options.examples
    print(
        f"{device}, {precision}: {options.models} models stacked {copies / stacked:,.0f} sequences "
        f"a second, one by one {copies / alone:,.0f}; {WHOLE:,} models × {EPOCHS} epochs of "
        f"{options.examples:,} examples: {stacked * WHOLE * EPOCHS / 60:,.0f} minutes stacked, "
        f"{alone * WHOLE * EPOCHS / 60:,.0f} one by one"
    )


if __name__ == "__main__":
    main()
