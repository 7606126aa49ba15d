"""DanQ with two recurrent layers (Quang & Xie 2016; as used by Novakovsky et al. 2021)."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.models.blocks import Conv, lift
from cistransfer.models.kernels.dropout import Dropout

__all__ = ["DanQ", "Recurrent"]

_FILTERS, _KERNEL, _POOL, _HIDDEN, _DENSE = 320, 26, 13, 320, 925


class Recurrent(nn.Module):
    """Dropout and one bidirectional LSTM layer on ``(n, steps, inputs)``.

    Dropout is a module of its own (the one inside `torch.nn.LSTM` lies between its layers only),
    so that a frozen layer can be put into evaluation mode.
    """

    def __init__(self, inputs: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, steps, inputs)`` to ``(n, steps, 2 * hidden)``."""
        if x.is_cuda and not self.training and torch.is_grad_enabled():
            # cuDNN has no backward pass in evaluation mode (attributions need one)
            with torch.backends.cudnn.flags(enabled=False):
                return self.lstm(self.dropout(x))[0]
        return self.lstm(self.dropout(x))[0]


class DanQ(nn.Module):
    """One convolution, two bidirectional LSTM layers and a dense layer, one logit per task.

    ``conv1``: 320 filters of 26 bp, ReLU, max-pooling by 13, dropout 0.2; ``lstm1`` and ``lstm2``:
    320 units in each direction, dropout 0.5 between them; ``dense1``: 925 units, ReLU; ``head``, a
    linear layer. There is no batch norm. For 200 bp and one task it has 11,837,691 parameters. The
    original DanQ has one recurrent layer.

    Parameters
    ----------
    window : int
        Length of the input in bp; at least 38.
    n_tasks : int
        Number of outputs.
    """

    def __init__(self, window: int = 200, n_tasks: int = 1) -> None:
        super().__init__()
        steps = (window - _KERNEL + 1) // _POOL
        if steps < 1:
            raise InputError(
                f"a window of {window} bp is too short for the architecture 'danq'; "
                f"it needs at least {_KERNEL + _POOL - 1} bp"
            )
        self.conv1 = nn.Sequential(
            OrderedDict(
                conv=Conv(4, _FILTERS, _KERNEL),
                relu=nn.ReLU(),
                pool=nn.MaxPool2d((1, _POOL)),
                dropout=Dropout(0.2),
            )
        )
        self.lstm1 = Recurrent(_FILTERS, _HIDDEN, 0.0)
        self.lstm2 = Recurrent(2 * _HIDDEN, _HIDDEN, 0.5)
        self.dense1 = nn.Sequential(
            OrderedDict(linear=nn.Linear(steps * 2 * _HIDDEN, _DENSE), relu=nn.ReLU())
        )
        self.head = nn.Linear(_DENSE, n_tasks)

    def features(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to the input of the head, ``(n, 925)``."""
        return self.behind_first(self.conv1(lift(x)))

    def behind_first(self, x: Tensor) -> Tensor:
        """Map what ``conv1`` gives, ``(n, 320, 1, steps)``, to the input of the head."""
        steps = x.squeeze(2).transpose(1, 2)
        return self.dense1(torch.flatten(self.lstm2(self.lstm1(steps)), 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to logits ``(n, n_tasks)``."""
        return self.head(self.features(x))
