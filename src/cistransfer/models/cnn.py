"""The published convolutional network (Novakovsky et al. 2021, Methods; Basset-like)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.models.blocks import conv_block, dense_block, lift

__all__ = ["CNN"]

_KERNELS = ((100, 19), (200, 7), (200, 4))
_POOL = 3


class CNN(nn.Module):
    """Three convolutions and two dense layers, one logit per task.

    Blocks ``conv1`` (100 filters of 19 bp), ``conv2`` (200 of 7), ``conv3`` (200 of 4), each
    with batch norm, ReLU and max-pooling by 3; ``dense1`` and ``dense2`` of 1000 units with batch
    norm, ReLU and dropout 0.3; ``head``, a linear layer. For 200 bp and one task it has 2,316,101
    parameters. No sigmoid: outputs are logits.

    Parameters
    ----------
    window : int
        Length of the input in bp.
    n_tasks : int
        Number of outputs.
    order : {"bn-relu", "relu-bn"}
        Batch norm before ReLU (the published code and Methods) or after it (the caption of the
        paper's Figure 3; a second class of the published code).
    dropout : float
        Dropout of the dense layers.
    """

    def __init__(
        self, window: int = 200, n_tasks: int = 1, order: str = "bn-relu", dropout: float = 0.3
    ) -> None:
        super().__init__()
        if order not in ("bn-relu", "relu-bn"):
            raise InputError(f"order must be 'bn-relu' or 'relu-bn', found {order!r}")
        length, channels = window, 4
        for number, (filters, kernel) in enumerate(_KERNELS, start=1):
            length = (length - kernel + 1) // _POOL
            if length < 1:
                raise InputError(
                    f"a window of {window} bp is too short for the architecture 'cnn'; "
                    "it needs at least 90 bp"
                )
            self.add_module(f"conv{number}", conv_block(channels, filters, kernel, _POOL, order))
            channels = filters
        self.dense1 = dense_block(channels * length, 1000, dropout, order)
        self.dense2 = dense_block(1000, 1000, dropout, order)
        self.head = nn.Linear(1000, n_tasks)

    def features(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to the input of the head, ``(n, 1000)``."""
        x = lift(x)
        for number in range(1, len(_KERNELS) + 1):
            x = self.get_submodule(f"conv{number}")(x)
        x = self.dense1(torch.flatten(x, 1))
        return self.dense2(x)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to logits ``(n, n_tasks)``."""
        return self.head(self.features(x))
