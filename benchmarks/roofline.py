"""Where the time of a training step goes, beside what the matrix products alone would take.

    OMP_NUM_THREADS=1 python benchmarks/roofline.py [--batch 100] [--steps 20] [--compile]

One step of the published CNN (one-hot, forward, loss, backward, AdamW) in float32 and in bf16, its
CPU time shared out by PyTorch's profiler. The last rows: the step's multiply-adds at the speed of
one large matrix product on this processor, those that are left where convolutions are computed by
Fourier transforms, and the step of the plain network of `training_speed.py`. With ``--compile``
that one through ``torch.compile`` too (it needs a C++ compiler). Prints a Markdown table and the
processor's name.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

import numpy as np
import pandas as pd
import torch
from kernels import processor
from torch import nn
from torch.profiler import ProfilerActivity, profile
from training_speed import make_examples, plain_network

from cistransfer.models.blocks import one_hot
from cistransfer.models.kernels.fourier import fourier_products, outputs_at_once
from cistransfer.models.registry import build_model
from cistransfer.tables import markdown
from cistransfer.training.batches import draws
from cistransfer.training.loss import masked_loss
from cistransfer.training.step import Arithmetic, make_optimiser, train_step
from cistransfer.training.strategy import Phase

KINDS = {
    "matrix products": ("convolution", "mm", "linear"),
    "batch norm": ("batch_norm", "BatchNorm"),
    "maximum of windows": ("max_pool", "maximum", "bitwise", "aten::sub"),
    "activation, dropout": ("clamp", "threshold", "relu", "dropout", "bernoulli", "aten::mul"),
    "optimiser": ("adam",),
    "copies and casts": ("copy_", "fill_", "contiguous", "zero_"),
}
"""Kinds of operations, by parts of PyTorch's names for them."""


def main() -> None:
    """Profile the step in both kinds of arithmetic and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--compile", action="store_true", help="the plain step compiled, too")
    options = parser.parse_args()
    found = {}
    for precision in ("float32", "bf16"):
        kind = torch.float32 if precision == "float32" else torch.bfloat16
        ours = our_step(precision, options.batch)
        whole = milliseconds(ours, options.steps)
        rows = {kind: whole * share for kind, share in shares(ours, options.steps).items()}
        rows["whole step"] = whole
        speed = operations_per_second(kind)
        rows["products at full speed"] = 1000 * operations(options.batch) / speed
        left = operations(options.batch, fewer=precision == "float32")
        rows["products left, at full speed"] = 1000 * left / speed
        rows["full speed, GF/s"] = speed / 1e9
        rows["share of full speed, %"] = 100 * 1000 * left / speed / whole
        plain = plain_step(plain_network(), precision, options.batch)
        rows["plain step"] = milliseconds(plain, options.steps)
        if options.compile:
            network = torch.compile(plain_network())
            rows["plain step, compiled"] = milliseconds(
                plain_step(network, precision, options.batch), options.steps
            )
        found[precision] = rows
    table = pd.DataFrame(found).rename_axis("ms of CPU time").reset_index()
    print(markdown(table, digits=1))
    print(
        f"\n{processor()}, {torch.get_num_threads()} thread(s), batch {options.batch}, "
        f"PyTorch {torch.__version__}"
    )


def our_step(precision: str, batch: int) -> Callable[[], object]:
    """One step as training takes it."""
    examples = make_examples(2 * batch, seed=0)
    rows = np.arange(len(examples.codes))
    phase = Phase(name="train", learning_rate=1e-3, batch_size=batch, epochs=1, strands="both")
    model = build_model("cnn", window=200, n_tasks=1, seed=0).train()
    optimiser = make_optimiser(model, phase, {})
    how = Arithmetic(precision, masked_loss)
    draw = next(draws(len(rows), phase, np.random.default_rng(0)))
    return lambda: train_step(model, examples, rows, draw, optimiser, how)


def plain_step(model: nn.Module, precision: str, batch: int) -> Callable[[], object]:
    """One step of the plain loop, its batch made before."""
    examples = make_examples(batch, seed=0)
    x = one_hot(torch.from_numpy(examples.codes)).contiguous()
    y = torch.from_numpy(examples.labels).float()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss = nn.BCEWithLogitsLoss()
    model.train()

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = model(x)
        loss(logits.float(), y).backward()
        optimiser.step()

    return step


def milliseconds(step: Callable[[], object], steps: int) -> float:
    """Median CPU time of a step, after two that warm up."""
    spent = []
    for _ in range(steps + 2):
        began = time.process_time()
        step()
        spent.append(time.process_time() - began)
    return 1000 * float(np.median(spent[2:]))


def shares(step: Callable[[], object], steps: int) -> dict[str, float]:
    """Share of a step's time by kind of operation (each without those it calls)."""
    step()
    with profile(activities=[ProfilerActivity.CPU]) as record:
        for _ in range(steps):
            step()
    spent = dict.fromkeys([*KINDS, "rest"], 0.0)
    for event in record.key_averages():
        kinds = (kind for kind, names in KINDS.items() if any(name in event.key for name in names))
        spent[next(kinds, "rest")] += event.self_cpu_time_total
    whole = sum(spent.values())
    return {kind: time / whole for kind, time in spent.items()}


def operations(batch: int, fewer: bool = False) -> float:
    """Floating-point operations of a step's products: forward, and twice as many backward.

    The gradient of the first convolution's input is not computed. With ``fewer`` those that are
    left, the transforms' own among them, where `convolve_by_fourier` is less work.
    """
    total, length = 0, 200
    for inputs, filters, kernel in ((4, 100, 19), (100, 200, 7), (200, 200, 4)):
        places = length - kernel + 1
        at_once = outputs_at_once(batch, inputs, filters, length, kernel) if fewer else None
        if at_once is None:
            passes = 2 if inputs == 4 else 3
            total += passes * 2 * places * inputs * filters * kernel
        else:
            reads = at_once + kernel - 1
            rows = fourier_products(reads) * -(-places // at_once)
            total += rows * (6 * inputs * filters + 4 * (reads * inputs + at_once * filters))
        length = places // 3
    return float(batch * (total + 6 * (length * 200 * 1000 + 1000 * 1000 + 1000)))


def operations_per_second(kind: torch.dtype, size: int = 1536) -> float:
    """Speed of one large matrix product, the best of five."""
    a, b = (torch.randn(size, size).to(kind) for _ in range(2))
    best = min(milliseconds(lambda: a @ b, 1) for _ in range(5))
    return 2 * size**3 / (best / 1000)


if __name__ == "__main__":
    main()
