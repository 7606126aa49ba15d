"""The published network and the bank of motif filters side by side."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cistransfer.models.blocks import lift
from cistransfer.models.cnn import CNN
from cistransfer.models.motif_bank import MotifBank

__all__ = ["BANK_MODULES", "Towers"]

BANK_MODULES = {"conv1": "conv4", "conv2": "conv5", "dense1": "dense3"}
"""Module of `cistransfer.models.motif_bank.MotifBank` → its name here."""


class Towers(nn.Module):
    """`CNN` and `MotifBank` on the same sequence, one head over the features of both.

    ``conv1`` to ``conv3``, ``dense1`` and ``dense2`` are the published network's; ``conv4``
    (filters on both strands), ``conv5`` (what they are mixed into) and ``dense3`` (maxima and
    means) the bank's. So patterns of a strategy such as ``conv*`` fit.

    Parameters
    ----------
    window : int
        Length of the input in bp.
    n_tasks : int
        Number of outputs.
    dropout : float
        Dropout of the published network's dense layers.
    """

    conv4: nn.Sequential
    conv5: nn.Sequential
    dense1: nn.Sequential
    dense2: nn.Sequential
    dense3: nn.Module

    def __init__(self, window: int = 200, n_tasks: int = 1, dropout: float = 0.3) -> None:
        super().__init__()
        cnn, bank = CNN(window, n_tasks, dropout=dropout), MotifBank(window, n_tasks)
        for name, module in cnn.named_children():
            if name != "head":
                self.add_module(name, module)
        for name, own in BANK_MODULES.items():
            self.add_module(own, bank.get_submodule(name))
        self.head = nn.Linear(cnn.head.in_features + bank.head.in_features, n_tasks)
        self._bank_is_symmetric = bank.symmetric

    def features(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to the input of the head, ``(n, 2024)``."""
        return torch.cat([self.published(x), self.bank(x)], dim=1)

    def features_of_strands(self, x: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """`features` of sequences and of their reverse complements, to rounding.

        What the filters find on one strand they find on both, so they are asked once.
        """
        if not self._bank_is_symmetric:
            return self.features(x), self.features(other)
        bank = self.bank(x)
        given, turned = self.published(x), self.published(other)
        return torch.cat([given, bank], dim=1), torch.cat([turned, bank], dim=1)

    def published(self, x: Tensor) -> Tensor:
        """Features of the published network, ``(n, 1000)``."""
        x = lift(x)
        for name in ("conv1", "conv2", "conv3"):
            x = self.get_submodule(name)(x)
        return self.dense2(self.dense1(torch.flatten(x, 1)))

    def bank(self, x: Tensor) -> Tensor:
        """Features of the motif filters, ``(n, 1024)``."""
        scores = self.conv4(lift(x))
        return self.dense3(scores, self.conv5(scores))

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to logits ``(n, n_tasks)``."""
        return self.head(self.features(x))
