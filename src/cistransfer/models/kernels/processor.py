"""What the processor at hand computes fast: rules by its abilities, from what was measured.

Nothing is timed at run time, so that the same machine computes the same numbers at every run. What
was measured stands in ``docs/benchmarks.md``; ``cistransfer doctor`` prints what the rules say.
"""

from __future__ import annotations

import torch

__all__ = [
    "gains_from_bf16",
    "gains_from_fourier",
    "gains_from_integer_pooling",
    "name_of_processor",
]


def gains_from_bf16() -> bool:
    """Whether matrix products in bf16 are faster than in float32.

    They are with AMX, and with the AVX-512 instructions for bf16 on AMD (2.6 times the plain loop,
    against 1.5 in float32 before convolutions by Fourier transforms). Intel's AVX-512 instructions
    for bf16 do half of what its float32 ones do, so that training in them takes twice as long.
    """
    has = torch.cpu.get_capabilities()
    if not torch.backends.mkldnn.is_available():
        return False
    return bool(has.get("amx_bf16")) or (bool(has.get("avx512_bf16")) and not _is_intel())


def gains_from_fourier() -> bool:
    """Whether convolutions by Fourier transforms are faster where no gradient is asked for.

    On Intel the second and third of the published network take 0.5 and 0.6 of the time, and
    scoring a window 0.8. On AMD it was not measured: matrix products are slower there than
    convolutions are.
    """
    return _is_intel()


def gains_from_integer_pooling() -> bool:
    """Whether the gradient of max-pooling by integer arithmetic is faster than PyTorch's.

    Forward and backward take about half the time on AMD, and 1.2 to 1.6 times on Intel; the numbers
    are the same.
    """
    return not _is_intel()


def name_of_processor() -> str:
    """Name that PyTorch gives the processor (``Intel Xeon``), or ''."""
    return str(torch.cpu.get_capabilities().get("cpu_name", ""))


def _is_intel() -> bool:
    return name_of_processor().startswith("Intel")
