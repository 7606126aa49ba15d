"""Time our attributions against tangermeme and naive loops, and check that they agree.

    OMP_NUM_THREADS=1 python benchmarks/attribution.py --sequences 32

One run times everything with settled batch norms: in-silico mutagenesis (ours, tangermeme, one
mutant at a time) and DeepLIFT against 20 dinucleotide shuffles (ours, tangermeme), of the published
network and of the architecture of the trunk in the box, and filters → motifs (ours, the published
per-sequence loops). CPU seconds of the process, the best of ``--repeats``, in turn; the last column
says by how much the values differ. Beside the seconds stand the floating-point operations of the
matrix products and convolutions that were computed, and which share of the time these would take
at the speed of one large product.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from kernels import processor
from roofline import operations_per_second
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from cistransfer import cpus
from cistransfer.interpretation.deeplift import deeplift
from cistransfer.interpretation.filters import filter_motifs
from cistransfer.interpretation.gradients import make_references
from cistransfer.interpretation.mutagenesis import mutagenesis
from cistransfer.models import kernels
from cistransfer.models.blocks import one_hot
from cistransfer.models.registry import build_model


def settled(name: str, window: int) -> nn.Module:
    """A network with batch-norm statistics away from their defaults."""
    model = build_model(name, window=window, n_tasks=3, seed=0)
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features, generator=generator) * 0.1
            module.running_var = torch.rand(module.num_features, generator=generator) * 0.3 + 0.05
    return model.eval()


def timed(
    functions: Sequence[Callable[[], np.ndarray]], repeats: int
) -> list[tuple[float, np.ndarray]]:
    """Best CPU seconds of a few runs of each, in turn after one to warm up, and the results."""
    results = [function() for function in functions]
    best = [np.inf] * len(functions)
    for _ in range(repeats):
        for number, function in enumerate(functions):
            began = time.process_time()
            function()
            best[number] = min(best[number], time.process_time() - began)
    return list(zip(best, results, strict=True))


class Products(TorchDispatchMode):
    """Counts the floating-point operations of products and convolutions of this thread."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        addmm = flop_registry[torch.ops.aten.addmm]
        self.formulas = {**flop_registry, torch.ops.aten.addmm_: addmm}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        with self:
            out = function.decompose(*args, **(kwargs or {}))
        if out is NotImplemented:
            out = function(*args, **(kwargs or {}))
            formula = self.formulas.get(function._overloadpacket)
            self.total += formula(*args, **(kwargs or {}), out_val=out) if formula else 0
        return out


def operations(function: Callable[[], object]) -> float:
    """Floating-point operations of a call's products; not known where several threads share it."""
    if cpus.n_workers() > 1:
        return np.nan
    with Products() as products:
        function()
    return products.total


def naive_mutagenesis(model: nn.Module, codes: np.ndarray, task: int) -> np.ndarray:
    """Score one mutant at a time."""
    result = np.zeros((len(codes), 4, codes.shape[1]), np.float32)
    with torch.inference_mode():
        for row, sequence in enumerate(codes):
            base = float(model(one_hot(torch.from_numpy(sequence[None])))[0, task])
            for position in range(len(sequence)):
                for letter in range(4):
                    if letter != sequence[position]:
                        mutant = sequence[None].copy()
                        mutant[0, position] = letter
                        score = float(model(one_hot(torch.from_numpy(mutant)))[0, task])
                        result[row, letter, position] = score - base
    return result


def tangermeme_mutagenesis(model: nn.Module, codes: np.ndarray, task: int) -> np.ndarray:
    """All mutants with tangermeme, as differences."""
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis

    x = one_hot(torch.from_numpy(codes)).contiguous()
    base, mutants = saturation_mutagenesis(model, x, raw_outputs=True, device="cpu")
    change = mutants[..., task] - base[:, None, None, task]
    return (change * (1 - x)).numpy()


def tangermeme_deeplift(
    model: nn.Module, codes: np.ndarray, references: np.ndarray, task: int
) -> np.ndarray:
    """Hypothetical contributions with tangermeme."""
    from tangermeme.deep_lift_shap import deep_lift_shap

    stacked = torch.stack([one_hot(torch.from_numpy(rows)) for rows in references]).contiguous()
    x = one_hot(torch.from_numpy(codes)).contiguous()
    return deep_lift_shap(
        model, x, target=task, references=stacked, hypothetical=True, device="cpu"
    ).numpy()


def looped_filters(model: nn.Module, codes: np.ndarray) -> np.ndarray:
    """The published way (protocol F1): all activations in memory, then Python loops.

    Filter by filter, sequence by sequence, every window strictly above half of the filter's largest
    activation is added to its counts; reverse complements included. Nothing but the adding of a
    window's 19 letters is vectorised.
    """
    both = np.concatenate([codes, (3 - codes)[:, ::-1]])
    with torch.inference_mode():
        x = one_hot(torch.from_numpy(both)).unsqueeze(2)
        block = model.conv1
        active = block.relu(block.norm(block.conv(x)))[:, :, 0].numpy()
    kernel = block.conv.weight.shape[2]
    counts = np.zeros((active.shape[1], kernel, 4), np.int64)
    for number in range(active.shape[1]):
        threshold = 0.5 * active[:, number].max()
        for row in range(len(both)):
            for position in range(active.shape[2]):
                if active[row, number, position] > threshold:
                    window = both[row, position : position + kernel]
                    counts[number, np.arange(kernel), window] += 1
    return counts


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=32)
    parser.add_argument("--window", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    n, repeats = arguments.sequences, arguments.repeats
    codes = np.random.default_rng(0).integers(0, 4, size=(n, arguments.window)).astype(np.uint8)
    references = make_references(codes, shuffles=20)
    print(f"{n} sequences of {arguments.window} bp, {arguments.threads} thread(s), {processor()}")
    full = operations_per_second(torch.float32)
    print(f"one large product: {full / 1e9:.0f} GF/s")
    columns = f"{'times':>6}  {'GF/seq':>6}  {'share':>5}  differs by"
    print(f"{'':42}{'CPU s':>8}  {'seq/CPU-s':>9}  {columns}")
    for name in ("cnn", "towers"):
        model = settled(name, arguments.window)
        for title, rows in methods(model, codes, references).items():
            found = timed([function for _, function, _ in rows], repeats)
            first, wanted = found[0]
            for (label, function, count), (seconds, values) in zip(rows, found, strict=True):
                gap = np.abs(values[:count] - wanted[:count]).max()
                times = seconds * n / (first * count)
                needed = operations(function) / count
                share = needed / full * count / seconds
                print(
                    f"{f'{name}, {title}, {label}':42}{seconds:8.2f}  {count / seconds:9.1f}"
                    f"  {times:6.1f}  {needed / 1e9:6.2f}  {share:5.0%}  {gap:.1e}"
                )
    model = settled("cnn", arguments.window)
    many = np.random.default_rng(1).integers(0, 4, size=(50 * n, arguments.window))
    many = many.astype(np.uint8)
    ((ours, found),) = timed([lambda: filter_motifs(model, many).counts], repeats)
    theirs, wanted = _once(model, many)
    print(
        f"{'filters, ours':42}{ours:8.2f}  {len(many) / ours:9.1f}\n"
        f"{'filters, published loops':42}{theirs:8.2f}  {len(many) / theirs:9.1f}  "
        f"{theirs / ours:6.1f}  {'':13}  {np.abs(found - wanted).max():.1e}"
    )


Row = tuple[str, Callable[[], np.ndarray], int]


def plainly(function: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
    """A call whose network computes with PyTorch's own functions, as anybody's does."""

    def call() -> np.ndarray:
        with kernels.use(False):
            return function()

    return call


def methods(
    model: nn.Module, codes: np.ndarray, references: np.ndarray
) -> dict[str, tuple[Row, ...]]:
    """What is timed: of each method who does it, how, and of how many sequences; ours first."""
    n, few = len(codes), min(len(codes), 2)
    return {
        "mutagenesis": (
            ("ours", lambda: mutagenesis(model, codes, task=1), n),
            ("tangermeme", plainly(lambda: tangermeme_mutagenesis(model, codes, 1)), n),
            ("it, on our kernels", lambda: tangermeme_mutagenesis(model, codes, 1), n),
            ("whole mutants", lambda: mutagenesis(model, codes[:few], task=1, fast=False), few),
            ("one by one", lambda: naive_mutagenesis(model, codes[:few], 1), few),
        ),
        "DeepLIFT": (
            ("ours", lambda: deeplift(model, codes, task=1, references=references)[0], n),
            ("tangermeme", plainly(lambda: tangermeme_deeplift(model, codes, references, 1)), n),
            ("it, on our kernels", lambda: tangermeme_deeplift(model, codes, references, 1), n),
        ),
    }


def _once(model: nn.Module, codes: np.ndarray) -> tuple[float, np.ndarray]:
    began = time.process_time()
    result = looped_filters(model, codes)
    return time.process_time() - began, result


if __name__ == "__main__":
    main()
