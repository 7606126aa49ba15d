"""Networks for the tests of this room."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from toynets import OTHER, SITE, Motifs, Skips, seeded, settled


@pytest.fixture(scope="session")
def small_cnn() -> nn.Module:
    """The published architecture's shape in small: two blocks, one dense layer, three tasks."""
    from cistransfer.models.blocks import conv_block, dense_block, lift

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = conv_block(4, 12, 9, 3, "bn-relu")
            self.conv2 = conv_block(12, 16, 5, 3, "bn-relu")
            self.dense1 = dense_block(16 * 5, 20, 0.3, "bn-relu")
            self.head = nn.Linear(20, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv2(self.conv1(lift(x)))
            return self.head(self.dense1(torch.flatten(x, 1)))

    return settled(seeded(Small), 68)


@pytest.fixture(scope="session")
def skips() -> nn.Module:
    return settled(seeded(Skips), 60)


@pytest.fixture
def motif_net() -> nn.Module:
    return Motifs([SITE, OTHER], 60).eval()
