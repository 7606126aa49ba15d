"""The published network: sizes, order of layers, convolutions, start weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cistransfer.errors import InputError
from cistransfer.models.blocks import Conv, lift
from cistransfer.models.cnn import CNN
from cistransfer.models.registry import ARCHITECTURES, build_model, parameter_count


@pytest.mark.parametrize(
    ("window", "tasks", "expected"),
    [
        (200, 1, 2_316_101),
        (200, 5, 2_320_105),
        (200, 50, 2_365_150),
        (500, 1, 4_516_101),
        (500, 5, 4_520_105),
        (500, 50, 4_565_150),
        (1000, 1, 8_116_101),
        (1000, 5, 8_120_105),
        (1000, 50, 8_165_150),
    ],
)
def test_published_parameter_counts(window: int, tasks: int, expected: int) -> None:
    with torch.device("meta"):
        model = CNN(window, tasks)
    assert parameter_count(model) == expected


def test_published_buffers() -> None:
    with torch.device("meta"):
        buffers = sum(buffer.numel() for buffer in CNN(200, 50).buffers())
    assert buffers == 5_005


def test_the_shapes_of_the_published_table() -> None:
    model = build_model("cnn", window=200, n_tasks=3, seed=0).eval()
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in model.named_modules():
        module.register_forward_hook(
            lambda _, __, out, name=name: shapes.__setitem__(name, tuple(out.shape))
        )
    model(torch.zeros(2, 4, 200))
    assert shapes["conv1.conv"] == (2, 100, 1, 182)
    assert shapes["conv1"] == (2, 100, 1, 60)
    assert shapes["conv2.conv"] == (2, 200, 1, 54)
    assert shapes["conv2"] == (2, 200, 1, 18)
    assert shapes["conv3.conv"] == (2, 200, 1, 15)
    assert shapes["conv3"] == (2, 200, 1, 5)
    assert shapes["dense1"] == shapes["dense2"] == (2, 1000)
    assert shapes["head"] == (2, 3)
    assert model.dense1.linear.in_features == 1000


@pytest.mark.parametrize("order", ["bn-relu", "relu-bn"])
def test_order_of_batch_norm_and_relu(order: str) -> None:
    model = build_model("cnn", window=100, n_tasks=1, seed=0, order=order)
    middle = ["norm", "relu"] if order == "bn-relu" else ["relu", "norm"]
    assert [name for name, _ in model.conv2.named_children()] == ["conv", *middle, "pool"]
    assert [name for name, _ in model.dense1.named_children()] == ["linear", *middle, "dropout"]
    assert model.dense1.dropout.p == 0.3
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert {(m.eps, m.momentum, m.affine) for m in norms} == {(1e-5, 0.1, True)}
    assert len(norms) == 5


def test_the_network_is_the_published_one_layer_by_layer() -> None:
    """The same weights in plain one-dimensional layers give the same logits."""
    model = build_model("cnn", window=200, n_tasks=2, seed=3).eval()
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)):
        generator = torch.Generator().manual_seed(norm.num_features)
        norm.running_mean.normal_(generator=generator)
        norm.running_var.uniform_(0.5, 2, generator=generator)
    codes = torch.from_numpy(np.random.default_rng(0).integers(0, 5, (6, 200)))
    x = nn.functional.one_hot(codes, 5)[..., :4].permute(0, 2, 1).float()
    y = x
    weights = model.state_dict()

    def norm(y: torch.Tensor, name: str) -> torch.Tensor:
        mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        gain, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return nn.functional.batch_norm(y, mean, var, gain, shift, False, 0.1, 1e-5)

    for block in ("conv1", "conv2", "conv3"):
        y = nn.functional.conv1d(y, weights[f"{block}.conv.weight"], weights[f"{block}.conv.bias"])
        y = nn.functional.max_pool1d(norm(y, f"{block}.norm").clamp(min=0), 3)
    y = y.flatten(1)
    for block in ("dense1", "dense2"):
        y = y @ weights[f"{block}.linear.weight"].T + weights[f"{block}.linear.bias"]
        y = norm(y, f"{block}.norm").clamp(min=0)
    y = y @ weights["head.weight"].T + weights["head.bias"]
    with torch.inference_mode():
        assert torch.allclose(model(x), y, atol=1e-5)
    assert y.std() > 1e-3


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"stride": 2},
        {"padding": 3},
        {"padding": "same"},
        {"dilation": 2, "padding": 2},
        {"groups": 4},
        {"bias": False},
    ],
)
def test_conv_equals_conv1d(arguments: dict[str, object]) -> None:
    torch_state = torch.random.get_rng_state()
    generator = torch.Generator().manual_seed(1)
    plain = nn.Conv1d(4, 8, 7, **arguments)  # type: ignore[arg-type]
    ours = Conv(4, 8, 7, **arguments)  # type: ignore[arg-type]
    torch.random.set_rng_state(torch_state)
    ours.load_state_dict(plain.state_dict())
    x = torch.randn(3, 4, 40, generator=generator)
    one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
    expected = plain(one)
    found = ours(lift(two)).squeeze(2)
    assert torch.allclose(found, expected, atol=1e-6)
    expected.square().sum().backward()
    found.square().sum().backward()
    assert torch.allclose(two.grad, one.grad, atol=1e-5)
    assert torch.allclose(ours.weight.grad, plain.weight.grad, atol=1e-4)


def test_short_windows() -> None:
    with pytest.raises(InputError, match=r"89 bp is too short .* at least 90 bp"):
        CNN(89)
    assert CNN(90).eval()(torch.zeros(1, 4, 90)).shape == (1, 1)
    with pytest.raises(InputError, match="order must be 'bn-relu' or 'relu-bn', found 'x'"):
        CNN(200, order="x")


def test_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = build_model("cnn", window=100, n_tasks=2, seed=1).state_dict()
    assert (torch.random.get_rng_state() == before).all()
    torch.manual_seed(99)
    again = build_model("cnn", window=100, n_tasks=2, seed=1).state_dict()
    other = build_model("cnn", window=100, n_tasks=2, seed=2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["conv1.conv.weight"], other["conv1.conv.weight"])
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_unknown_names() -> None:
    with pytest.raises(InputError, match="no architecture 'cn'; nearest: cnn"):
        build_model("cn", window=200, n_tasks=1, seed=0)
    with pytest.raises(InputError, match="'cnn' has no argument 'dropuot'; nearest: dropout"):
        build_model("cnn", window=200, n_tasks=1, seed=0, dropuot=0.1)
    assert "cnn" in ARCHITECTURES
