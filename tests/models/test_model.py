"""The composite: a network's parts are the model's own, whatever is done to either."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.models.model import Model, MotifFeatures
from cistransfer.models.score import evaluating


class Own(nn.Module):
    """A user's network: a parameter, buffers and a mode of its own, and a module as `features`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(4, 3, 5)
        self.scale = nn.Parameter(torch.full((3,), 2.0))
        self.register_buffer("shift", torch.ones(3))
        self.register_buffer("scratch", torch.zeros(1), persistent=False)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(3, 2)

    def features(self, x: Tensor) -> Tensor:
        y = self.conv1(x).mean(dim=2) * self.scale + self.get_buffer("shift")
        return self.drop(y) if self.training else y

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


X = torch.eye(4)[torch.arange(60).reshape(3, 20) * 7 % 4].permute(0, 2, 1)


def made(motifs: bool = False, link: str = "independent") -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Model(Own(), MotifFeatures([4, 6]) if motifs else None, link)


@pytest.mark.parametrize("motifs", [False, True])
def test_names_are_those_of_the_network(motifs: bool) -> None:
    names = list(made(motifs).state_dict())
    beside = ["motifs.odds0", "motifs.odds1"] if motifs else []
    assert sorted(names) == sorted([*Own().state_dict(), *beside])
    assert [name for name, _ in made(motifs).named_parameters()] == [
        name for name, _ in Own().named_parameters()
    ]


@pytest.mark.parametrize("motifs", [False, True])
def test_what_is_done_to_one_is_done_to_the_other(motifs: bool) -> None:
    model = made(motifs)
    network = model.network
    model.double()
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float64}
    assert network.scratch.dtype == torch.float64
    assert model.features(X.double()).shape == (3, 3 + 2 * motifs)
    model.float().load_state_dict({k: v + 1 for k, v in model.state_dict().items()})
    assert float(network.scale.detach()[0]) == 3.0
    assert float(network.shift[0]) == 2.0
    network.conv1 = nn.Conv1d(4, 3, 7)
    assert model.conv1 is network.conv1
    model.head = nn.Linear(3 + 2 * motifs, 5)
    assert model(X).shape == (3, 5)
    assert network.head is model.head


def test_a_mode_is_the_networks_too() -> None:
    network = Own().eval()
    model = Model(network)
    assert not model.training
    assert not network.training
    model.train()
    assert network.training
    assert not torch.equal(model(X), model(X))  # dropout of the network's own
    with evaluating(model):
        assert not network.training
        assert torch.equal(model(X), model(X))
    assert network.training
    assert model.training


def test_copies_share_nothing() -> None:
    model = made(motifs=True).eval()
    other = copy.deepcopy(model)
    assert other.network is not model.network
    assert other.network._modules is other._modules
    before = model(X)
    with torch.no_grad():
        other.scale.mul_(5)
        other.conv1.weight.mul_(5)
    other.train()
    assert torch.equal(model(X), before)
    assert not model.training
    assert not torch.equal(other.eval()(X), before)


def test_gradients_reach_the_network() -> None:
    model = made(motifs=True, link="exclusive").train()
    model(X).sum().backward()
    assert all(parameter.grad is not None for parameter in model.network.parameters())


def test_what_does_not_go_together() -> None:
    clash = Own()
    clash.motifs = nn.Identity()
    assert Model(clash).motifs is None
    with pytest.raises(InputError, match="a network that has a module 'motifs'"):
        Model(clash, MotifFeatures([4]))
    with pytest.raises(InputError, match="link must be one of"):
        Model(Own(), link="both")
