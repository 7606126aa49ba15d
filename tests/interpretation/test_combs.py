"""One table says what a layer is, and every method of the room reads it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cistransfer.interpretation import combs, layers
from cistransfer.interpretation import deeplift as rescale
from cistransfer.interpretation.attribute import attribute
from cistransfer.interpretation.mutagenesis import mutagenesis
from cistransfer.interpretation.mutants import AllMutants, Chain

CODES = np.random.default_rng(0).integers(0, 4, (3, 40), dtype=np.uint8)


class Net(nn.Module):
    """Convolution, batch norm, an activation, pooling, the activation once more, a head."""

    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.conv = nn.Conv1d(4, 6, 5)
        self.norm = nn.BatchNorm1d(6)
        self.act = kind()
        self.pool = nn.MaxPool1d(3)
        self.dense = nn.Linear(6 * 12, 8)
        self.again = kind()
        self.head = nn.Linear(8, 2)
        with torch.no_grad():
            for tensor in self.parameters():
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.5)
            self.norm.running_var.fill_(1.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.act(self.norm(self.conv(x))))
        return self.head(self.again(self.dense(x.flatten(1))))


@pytest.mark.parametrize("kind", layers.ELEMENTWISE, ids=lambda kind: kind.__name__)
def test_every_method_knows_every_activation(kind: type[nn.Module]) -> None:
    x = torch.linspace(-7, 7, 41)
    one = torch.stack([kind()(number[None])[0] for number in x])
    assert torch.allclose(kind()(x), one, atol=1e-6)  # elementwise indeed
    model = Net(kind).eval()
    assert [type(layer) for layer in layers.first_filters(model, 40)] == [
        nn.Conv1d, nn.BatchNorm1d, kind,
    ]  # fmt: skip
    found = attribute(model, CODES, shuffles=3)
    assert found.error is not None
    assert found.error.max() < 1e-4  # contributions add up only where the rescale rule was applied
    fast = AllMutants.of(model, 40, 0, 64)
    assert fast is not None
    (chain,) = fast.parts
    assert isinstance(chain, Chain)
    assert chain.n_followed == 3  # the convolution with its norm, the activation, the pooling
    np.testing.assert_allclose(
        mutagenesis(model, CODES), mutagenesis(model, CODES, fast=False), atol=1e-5
    )


def test_there_is_one_table() -> None:
    for room in (rescale, combs):
        for name in ("ELEMENTWISE", "POOLS"):
            assert getattr(room, name) is getattr(layers, name)
    for kind in (nn.CELU, nn.Mish, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Tanh):
        assert kind in layers.ELEMENTWISE
