"""One GPU: training, many models at once, scoring and attribution, in one table.

    python benchmarks/gpu.py [--device cuda] [--toy]

The published network at 200 bp on made-up windows: the training step beside the plain PyTorch loop
with eight loader workers, stacks of 1, 8, 32 and 128 models, what the stack makes of the paper's
Figure 3 (148 TFs × 5 draws × 2 arms × 10 epochs, each at 1,000 bound regions and as many unbound),
scoring with what it makes of 1.8 million regions, mutagenesis and DeepLIFT. Seconds by the clock,
the device waited for, after a run that warms up. About five minutes on one H100 by its sizes; with
``--toy`` (also on a CPU) all is small, to see that it runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from attribution import settled
from kernels import processor
from stacked_speed import EPOCHS, WHOLE, windows
from training_speed import BATCH, make_examples, plain_network, train_plain

from cistransfer.interpretation.deeplift import deeplift
from cistransfer.interpretation.gradients import make_references
from cistransfer.interpretation.mutagenesis import mutagenesis
from cistransfer.models.registry import build_model
from cistransfer.models.score import choose_device, score_codes
from cistransfer.tables import markdown
from cistransfer.training.loop import choose_precision, fit
from cistransfer.training.stacked import fit_stacked
from cistransfer.training.strategy import Phase

DHS = 1_800_000


def main() -> None:
    """Measure one after another and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--toy", action="store_true")
    options = parser.parse_args()
    device = choose_device(options.device)
    rows = [
        *training(device, 100 if options.toy else 40_000, 0 if options.toy else 8),
        *stacks(device, (1, 2) if options.toy else (1, 8, 32, 128), 20 if options.toy else 2000),
        *scoring(device, 200 if options.toy else 400_000),
        *attribution(device, 1 if options.toy else 512),
    ]
    print(markdown(pd.DataFrame(rows, columns=["what", "found", "beside"])))
    about = torch.cuda.get_device_properties(device) if device.type == "cuda" else None
    print(f"\n{about.name if about else processor()}, PyTorch {torch.__version__}")


def training(device: torch.device, n: int, workers: int) -> list[tuple[str, str, str]]:
    """One epoch: our loop at two batch sizes, and the plain one."""
    examples = make_examples(n, seed=0)
    copies = 2 * len(examples.rows("train"))
    plain = plain_network().to(device)
    train_plain(plain, make_examples(100, seed=1), 1, device)
    theirs = copies / seconds(device, lambda: train_plain(plain, examples, 1, device, workers))
    rows = []
    for batch in (BATCH, 10 * BATCH):
        phase = Phase(name="train", learning_rate=1e-3, batch_size=batch, epochs=1, strands="both")
        model = build_model("cnn", window=200, n_tasks=1, seed=0).to(device)
        precision = choose_precision("auto", device)

        def ours(examples=examples, model=model, phase=phase, precision=precision):
            return fit(model, examples, [phase], run="", seed=0, precision=precision)

        ours(make_examples(100, seed=1))
        rate = copies / seconds(device, ours)
        rows.append(
            (
                f"training at batch {batch:,}, {precision}",
                f"{rate:,.0f} sequences a second",
                f"plain loop at batch {BATCH}, {workers} loader workers {theirs:,.0f}: "
                f"{rate / theirs:.1f} ×",
            )
        )
    return rows


def stacks(
    device: torch.device, sizes: tuple[int, ...], examples: int
) -> list[tuple[str, str, str]]:
    """Many models as one network, and Figure 3 by the largest stack."""
    precision = choose_precision("auto", device)
    phase = Phase(name="train", learning_rate=1e-3, batch_size=BATCH, epochs=1)
    rows, one, minutes = [], 0.0, np.inf
    for size in sizes:
        data = [windows(examples, seed) for seed in range(size)]

        def run(data=data, size=size):
            models = [
                build_model("cnn", window=200, n_tasks=1, seed=seed).to(device)
                for seed in range(size)
            ]
            fit_stacked(models, data, [[phase]] * size, seeds=range(size), precision=precision)

        if size == sizes[0]:
            run()
        spent = seconds(device, run)
        rate = 2 * examples * size / spent
        one = one or rate
        minutes = min(minutes, spent / size * WHOLE * EPOCHS / 60)
        rows.append(
            (
                f"{size} models stacked",
                f"{rate:,.0f} sequences a second",
                f"{rate / one:.1f} × one model",
            )
        )
    whole = f"{WHOLE:,} models × {EPOCHS} epochs of {examples:,} regions"
    return [
        *rows,
        (
            "Figure 3 by the fastest stack",
            f"{minutes:,.0f} minutes, {60 * minutes / WHOLE:.1f} s a model",
            whole,
        ),
    ]


def scoring(device: torch.device, n: int) -> list[tuple[str, str, str]]:
    """Scores of both strands, and what that makes of all open regions of the genome."""
    codes = np.random.default_rng(0).integers(0, 4, (n, 200), dtype=np.uint8)
    model = settled("cnn", 200).to(device)
    score_codes(model, codes[:100])
    rate = n / seconds(device, lambda: score_codes(model, codes))
    return [
        (
            "scoring, both strands",
            f"{rate:,.0f} windows a second",
            f"1.8 million: {DHS / rate:.0f} s",
        )
    ]


def attribution(device: torch.device, n: int) -> list[tuple[str, str, str]]:
    """Mutagenesis and DeepLIFT of the published network and of the trunk's architecture."""
    codes = np.random.default_rng(0).integers(0, 4, (n, 200), dtype=np.uint8)
    references = make_references(codes, shuffles=20)
    rows = []
    for name in ("cnn", "towers"):
        model = settled(name, 200).to(device)

        def mutate(codes=codes, model=model):
            return mutagenesis(model, codes, task=1)

        def explain(codes=codes, references=references, model=model):
            return deeplift(model, codes, task=1, references=references)

        mutate(codes[:2])
        explain(codes[:2], references[:2])
        for title, function in (("mutagenesis", mutate), ("DeepLIFT, 20 shuffles", explain)):
            rate = n / seconds(device, function)
            rows.append((f"{name}, {title}", f"{rate:,.1f} windows a second", ""))
    return rows


def seconds(device: torch.device, function: Callable[[], object]) -> float:
    """Seconds by the clock, the device waited for."""
    began = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
