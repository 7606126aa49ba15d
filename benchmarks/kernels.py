"""Kernels of a training step beside the plain functions that they equal: CPU time of each.

    python benchmarks/kernels.py [--threads 1] [--repeats 30] [--batch 256]

Forward and backward on activations of the published CNN and the one-hot of the motif
bank, float32 and bf16, in turn; the least of the repeats, which other work on the machine disturbs
least. Prints a Markdown table and the processor's name: what is faster on one may be slower on
another.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from cistransfer.models import kernels
from cistransfer.models.blocks import conv_block
from cistransfer.models.kernels.convolution import convolve
from cistransfer.models.kernels.dropout import Dropout
from cistransfer.models.kernels.normalisation import BatchNorm2d
from cistransfer.models.kernels.pooling import window_maximum
from cistransfer.models.kernels.scan import scan_maximum
from cistransfer.tables import markdown

Layer = Callable[[Tensor], Tensor]


def main() -> None:
    """Time every kernel with and without `kernels.use`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--batch", type=int, default=256)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for name, (layer, shape) in layers(options.batch).items():
        for kind in (torch.float32, torch.bfloat16):
            x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(kind)
            x = x.to(memory_format=torch.channels_last) if x.dim() == 4 else x
            spent: dict[bool, list[float]] = {True: [], False: []}
            for _ in range(options.repeats + 2):  # the first two warm up
                for wanted, times in spent.items():
                    times.append(milliseconds(layer, x, wanted))
            ours, plain = (min(spent[wanted][2:]) for wanted in (True, False))
            rows.append(
                {
                    "kernel": name,
                    "arithmetic": str(kind).removeprefix("torch."),
                    "plain, ms": plain,
                    "kernel, ms": ours,
                    "plain / kernel": plain / ours,
                }
            )
    print(markdown(pd.DataFrame(rows), digits=2))
    print(f"\n{processor()}, {options.threads} thread(s), CPU time, PyTorch {torch.__version__}")


def layers(n: int) -> dict[str, tuple[Layer, tuple[int, ...]]]:
    """What is timed, and the shape of its input."""
    weight = torch.randn(200, 100, 7).requires_grad_()
    bias = torch.zeros(200).requires_grad_()
    bank = torch.randn(512, 4, 19).requires_grad_()
    first = conv_block(4, 100, 19, 3, "bn-relu")
    return {
        "convolution": (lambda x: convolve(x, weight, bias), (n, 100, 1, 60)),
        "max-pooling": (lambda x: window_maximum(x, 3), (n, 100, 1, 182)),
        "batch norm": (BatchNorm2d(100), (n, 100, 1, 182)),
        "dropout": (Dropout(0.3), (n, 32, 1, 200)),
        "both strands": (lambda x: scan_maximum(x.detach(), bank, 13), (n, 4, 1, 200)),
        "first block": (lambda x: first(x.detach()), (n, 4, 1, 200)),
        "block": (conv_block(100, 200, 7, 3, "bn-relu"), (n, 100, 1, 60)),
    }


def milliseconds(layer: Layer, x: Tensor, wanted: bool) -> float:
    """CPU time of one pass forward and backward."""
    x = x.detach().requires_grad_()
    began = time.process_time()
    bits = torch.autocast("cpu", torch.bfloat16, enabled=x.dtype == torch.bfloat16)
    with kernels.use(wanted), bits:
        y = layer(x)
    y.backward(torch.ones_like(y))  # laid out as what a layer behind would hand back
    return 1000 * (time.process_time() - began)


def processor() -> str:
    """The processor's name, where Linux tells it."""
    place = Path("/proc/cpuinfo")
    lines = place.read_text().splitlines() if place.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"


if __name__ == "__main__":
    main()
