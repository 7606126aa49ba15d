"""Where activations lie in memory: place by place, or sequence by sequence.

Activations are ``(n, channels, 1, length)``. Channels-last memory holds one sequence after the
other, and is what PyTorch's layers are fast on. Some kernels work on all sequences at a place and
hand on memory that holds one place after the other, channels last too.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["is_lengthwise", "lengthwise", "turned"]


def is_lengthwise(x: Tensor) -> bool:
    """Whether activations lie place by place, and not (also) sequence by sequence."""
    return (
        x.dim() == 4
        and x.shape[2] == 1
        and x.permute(3, 0, 2, 1).is_contiguous()
        and not x.permute(0, 2, 3, 1).is_contiguous()
    )


def lengthwise(x: Tensor) -> Tensor:
    """Activations as contiguous ``(length, n, channels)``, copied where they lie otherwise."""
    return x.permute(3, 0, 1, 2).squeeze(3).contiguous()


def turned(x: Tensor) -> Tensor:
    """Activations of ``(length, n, channels)``, a view of shape ``(n, channels, 1, length)``."""
    return x.unsqueeze(3).permute(1, 2, 3, 0)
