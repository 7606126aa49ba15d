"""Dropout whose mask is cheap on CPU: sixteen random bits an element, and no comparison."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from cistransfer.models.kernels import in_use

__all__ = ["Dropout", "dropout_factor"]

_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
_STEPS = 1 << 15


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` (same function, other draws) with a faster mask on CPU.

    PyTorch draws a Bernoulli variable per element there, in one thread, which took a quarter of
    the training step of the ChromTransfer network. Here every 64-bit draw (of a generator that
    PyTorch's seeds) serves four elements; the mask is made by integer arithmetic on them. The
    probability of being dropped is ``p`` to within 1/65,536. Elsewhere than on CPU it is
    `torch.nn.Dropout`. ``inplace`` must not follow a layer that needs its own output for the
    gradient, such as ReLU.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements in training mode, and scale the others up."""
        plain = (
            not in_use()
            or not self.training
            or x.device.type != "cpu"
            or not x.dtype.is_floating_point
        )
        if plain or not 0 < round(self.p * _STEPS) < _STEPS:
            return super().forward(x)
        factor = dropout_factor(x, self.p)
        return x.mul_(factor) if self.inplace else x * factor


def dropout_factor(x: Tensor, p: float, generator: torch.Generator | None = None) -> Tensor:
    """Zero with probability ``p``, else the scale; on CPU, laid out in memory as ``x`` is.

    A draw with its sign bit set is uniform in [−32,768, −1]. Adding ``steps`` leaves it negative
    where the element is kept, so that an arithmetic shift makes it all ones there and all zeros
    elsewhere, and a bitwise and with the bits of the scale makes it the factor.
    """
    layout = torch.empty_like(x, device="meta")
    count = x.numel()
    steps = round(p * _STEPS)
    seed = int(torch.empty((), dtype=torch.int64).random_(generator=generator))
    draws = np.random.SFC64(seed).random_raw((count + 3) // 4)
    bits = torch.from_numpy(draws.view(np.int16))[:count]
    bits.bitwise_or_(-_STEPS).add_(steps).bitwise_right_shift_(15)
    scale = torch.tensor(_STEPS / (_STEPS - steps), dtype=x.dtype)
    integer = _INTEGERS[x.dtype.itemsize]
    factor = bits.to(integer).bitwise_and_(scale.view(integer)).view(x.dtype)
    return factor.as_strided(layout.shape, layout.stride())
