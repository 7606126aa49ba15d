"""Published networks: sizes, windows, and the same numbers as plain torch modules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.models.blocks import Conv, lift
from cistransfer.models.chromtransfer import ChromTransfer
from cistransfer.models.cnn import CNN
from cistransfer.models.danq import DanQ
from cistransfer.models.registry import (
    ARCHITECTURES,
    build_model,
    list_architectures,
    parameter_count,
)
from cistransfer.models.score import score_codes

NAMES = ("cnn", "danq", "chromtransfer")


def random_one_hot(n: int, length: int, seed: int = 0) -> Tensor:
    codes = torch.from_numpy(np.random.default_rng(seed).integers(0, 4, (n, length)))
    return torch.eye(4)[codes].permute(0, 2, 1)


def keras_count(model: nn.Module, prefix: str = "") -> int:
    """As Keras counts: with the moving mean and variance of batch norm."""
    return sum(
        tensor.numel()
        for name, tensor in model.state_dict().items()
        if name.startswith(prefix) and not name.endswith("num_batches_tracked")
    )


# ---- sizes (protocol C1-C4) ----


@pytest.mark.parametrize(
    ("window", "n_tasks", "expected"),
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
@pytest.mark.parametrize("order", ["bn-relu", "relu-bn"])
def test_cnn_has_the_published_size(window: int, n_tasks: int, expected: int, order: str) -> None:
    with torch.device("meta"):
        assert parameter_count(CNN(window, n_tasks, order)) == expected


def test_cnn_buffers() -> None:
    assert sum(buffer.numel() for buffer in CNN(200, 50).buffers()) == 5_005


@pytest.mark.parametrize(
    ("n_tasks", "expected"), [(1, 11_837_691), (5, 11_841_395), (50, 11_883_065)]
)
def test_danq_has_the_published_size(n_tasks: int, expected: int) -> None:
    with torch.device("meta"):
        assert parameter_count(DanQ(200, n_tasks)) == expected


@pytest.mark.parametrize(
    ("arguments", "n_tasks", "trainable", "keras"),
    [
        ({}, 1, 652_513, 655_777),
        ({}, 7, 653_287, 656_551),
        ({"dense": [1024, 32], "dense_norm": False}, 1, 651_553, 653_537),
        ({"dense": [1024, 32]}, 1, 653_665, 657_761),
    ],
)
def test_chromtransfer_has_the_published_size(
    arguments: dict, n_tasks: int, trainable: int, keras: int
) -> None:
    model = ChromTransfer(600, n_tasks, **arguments)
    assert parameter_count(model) == trainable
    assert keras_count(model) == keras
    assert keras_count(model, "conv") == 554_144


def test_the_body_of_chromtransfer_is_what_conv_names() -> None:
    others = {name.split(".")[0] for name, _ in ChromTransfer().named_parameters()}
    assert {name for name in others if not name.startswith("conv")} == {"dense1", "dense2", "head"}


# ---- the same numbers as plain modules, forward and backward ----


class PlainCNN(nn.Module):
    """The published network as one writes it, in executed order."""

    def __init__(self, flat: int, n_tasks: int, order: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, filters, kernel in ((4, 100, 19), (100, 200, 7), (200, 200, 4)):
            middle = [nn.BatchNorm1d(filters), nn.ReLU()]
            layers += [nn.Conv1d(inputs, filters, kernel)]
            layers += middle if order == "bn-relu" else middle[::-1]
            layers += [nn.MaxPool1d(3, 3)]
        layers += [nn.Flatten()]
        for inputs in (flat, 1000):
            middle = [nn.BatchNorm1d(1000), nn.ReLU()]
            layers += [nn.Linear(inputs, 1000)]
            layers += middle if order == "bn-relu" else middle[::-1]
            layers += [nn.Dropout(0.3)]
        self.layers = nn.Sequential(*layers, nn.Linear(1000, n_tasks))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class PlainDanQ(nn.Module):
    """PyDanQ: dropout between the two layers is that of nn.LSTM."""

    def __init__(self, steps: int, n_tasks: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 320, 26)
        self.lstm = nn.LSTM(320, 320, 2, bidirectional=True, dropout=0.5)
        self.dense = nn.Linear(steps * 640, 925)
        self.head = nn.Linear(925, n_tasks)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool1d(torch.relu(self.conv(x)), 13, 13)
        x = nn.functional.dropout(x, 0.2, self.training)
        x, _ = self.lstm(x.permute(2, 0, 1))
        x = x.permute(1, 0, 2).reshape(x.shape[1], -1)
        return self.head(torch.relu(self.dense(x)))


class PlainChromTransfer(nn.Module):
    """The Keras graph in its own order, on (n, channels, length); padding written out by hand."""

    def __init__(self, variant: str, dense: list[int], dense_norm: bool) -> None:
        super().__init__()
        self.variant, self.units, self.dense_norm = variant, dense, dense_norm
        pairs = [(64, 32, 20), *[(32, 32, 15)] * 3, (96, 64, 10), *[(64, 64, 5)] * 3]
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        self._add(4, 64, 25)
        for number, (inputs, filters, kernel) in enumerate(pairs):
            self._add(inputs, filters, kernel)
            self._add(filters, filters, kernel)
            if number in (0, 4):
                self._add(inputs, filters, kernel)
        self._add(64, 64, 10)
        self._add(64, 64, 5, norm=variant == "paper")
        self.linears = nn.ModuleList()
        for inputs, outputs in zip([64, *dense], [*dense, 1], strict=True):
            self.linears.append(nn.Linear(inputs, outputs))
            if dense_norm and outputs != 1:
                self.norms.append(nn.BatchNorm1d(outputs, eps=1e-3, momentum=0.01))

    def _add(self, inputs: int, filters: int, kernel: int, norm: bool = True) -> None:
        self.convs.append(nn.Conv1d(inputs, filters, kernel))
        if norm:
            self.norms.append(nn.BatchNorm1d(filters, eps=1e-3, momentum=0.01))

    def forward(self, x: Tensor) -> Tensor:
        convs, norms = iter(self.convs), iter(self.norms)

        def unit(x: Tensor, norm: bool = True) -> Tensor:
            conv = next(convs)
            kernel = conv.kernel_size[0]
            x = torch.relu(conv(nn.functional.pad(x, ((kernel - 1) // 2, kernel // 2))))
            return next(norms)(x) if norm else x

        def projected(x: Tensor) -> Tensor:
            return unit(unit(x)) + unit(x)

        def triple(x: Tensor) -> Tensor:
            main = unit(unit(x))
            return main + x if self.variant == "code" else main

        x = projected(unit(x))
        r1 = triple(x)
        r2 = triple(r1)
        r3 = triple(r2)
        x = projected(torch.cat([r1, r2, r3], dim=1))
        x = unit(triple(triple(triple(x))))
        x = unit(x, norm=self.variant == "paper").mean(dim=2)
        for linear in self.linears[:-1]:
            x = torch.relu(linear(x))
            x = next(norms)(x) if self.dense_norm else x
        return self.linears[-1](x)


def by_order(model: nn.Module, kind: type[nn.Module] | tuple[type[nn.Module], ...]) -> list:
    return [module for module in model.modules() if isinstance(module, kind)]


def copy_into(plain: nn.Module, ours: nn.Module) -> list[tuple[nn.Parameter, nn.Parameter]]:
    """Give ours the plain network's weights; pairs of parameters that correspond."""
    pairs = []
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    for kind in (nn.Conv1d, nn.Linear, norms):
        for theirs, own in zip(by_order(plain, kind), by_order(ours, kind), strict=True):
            own.load_state_dict(theirs.state_dict())
            pairs += list(zip(theirs.parameters(), own.parameters(), strict=True))
    return pairs


def assert_same(plain: nn.Module, ours: nn.Module, pairs: list, x: Tensor, train: bool) -> None:
    """Equal outputs, gradients of weights and inputs, and batch-norm statistics (float64)."""
    plain.double().train(train), ours.double().train(train)
    for module in [*plain.modules(), *ours.modules()]:
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    one, two = x.double().requires_grad_(), x.double().requires_grad_()
    expected, found = plain(one), ours(two)
    weights = torch.linspace(-1, 1, expected.numel(), dtype=torch.float64).view_as(expected)
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(two.grad, one.grad, rtol=1e-8, atol=1e-9)
    for theirs, own in pairs:
        torch.testing.assert_close(own.grad, theirs.grad, rtol=1e-8, atol=1e-9)
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    for theirs, own in zip(by_order(plain, norms), by_order(ours, norms), strict=True):
        torch.testing.assert_close(own.running_mean, theirs.running_mean)
        torch.testing.assert_close(own.running_var, theirs.running_var)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(("window", "flat"), [(200, 1000), (500, 3200)])
@pytest.mark.parametrize("order", ["bn-relu", "relu-bn"])
def test_cnn_is_the_plain_network(order: str, window: int, flat: int, train: bool) -> None:
    plain, ours = PlainCNN(flat, 3, order), CNN(window, 3, order)
    assert_same(plain, ours, copy_into(plain, ours), random_one_hot(4, window), train)


def test_danq_is_the_plain_network() -> None:
    plain, ours = PlainDanQ(13, 3), DanQ(200, 3)
    pairs = copy_into(plain, ours)
    for name, tensor in plain.lstm.named_parameters():
        layer = ours.lstm2 if "_l1" in name else ours.lstm1
        own = layer.lstm.get_parameter(name.replace("_l1", "_l0"))
        own.data.copy_(tensor.data)
        pairs.append((tensor, own))
    assert len({id(own) for _, own in pairs}) == len(list(ours.parameters()))
    plain.lstm.dropout = 0.0
    assert_same(plain, ours, pairs, random_one_hot(4, 200), train=False)


def test_danq_drops_out_where_the_published_code_does() -> None:
    model = DanQ(200)
    rates = {
        name: module.p for name, module in model.named_modules() if isinstance(module, nn.Dropout)
    }
    assert {name: rate for name, rate in rates.items() if rate} == {
        "conv1.dropout": 0.2,
        "lstm2.dropout": 0.5,
    }


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("window", [61, 100])
@pytest.mark.parametrize(
    ("variant", "dense", "dense_norm"),
    [("code", [512, 128], True), ("code", [1024, 32], False), ("paper", [1024, 32], True)],
)
def test_chromtransfer_is_the_plain_network(
    variant: str, dense: list[int], dense_norm: bool, window: int, train: bool
) -> None:
    plain = PlainChromTransfer(variant, dense, dense_norm)
    ours = ChromTransfer(window, 1, variant, dense, dense_norm)
    assert_same(plain, ours, copy_into(plain, ours), random_one_hot(4, window), train)


@pytest.mark.parametrize("variant", ["code", "paper"])
def test_each_layer_of_chromtransfer_is_in_the_published_order(variant: str) -> None:
    model = ChromTransfer(variant=variant)
    units = [
        [name for name, _ in block.named_children()]
        for block in model.modules()
        if isinstance(block, nn.Sequential)
    ]
    assert len(units) == 1 + 3 + 6 + 3 + 6 + 2 + 2
    full = ["relu", "norm", "dropout"]
    bare = ["conv", "relu"]
    last = 18 + 2
    for at, names in enumerate(units):
        if at == last and variant == "code":
            assert names == bare
        else:
            assert names[1:] == full
    rates = {module.p for module in model.modules() if isinstance(module, nn.Dropout)}
    assert rates == {0.1}


def test_chromtransfer_starts_he_normal_with_zero_biases() -> None:
    model = build_model("chromtransfer", window=600, n_tasks=1, seed=1)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv1d):
            spread = (2 / (module.in_channels * module.kernel_size[0])) ** 0.5
            assert module.weight.std().item() == pytest.approx(spread, rel=0.05), name
            assert module.weight.abs().max().item() <= 2.0001 * spread / 0.87962566
            assert not module.bias.any()
        elif isinstance(module, nn.Linear):
            bound = (6 / (module.in_features + module.out_features)) ** 0.5
            assert module.weight.abs().max().item() <= bound
            assert not module.bias.any()
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert (module.momentum, module.eps) == (0.01, 1e-3)


@pytest.mark.parametrize("kernel", [1, 4, 5, 10])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_padding_same_is_that_of_keras(kernel: int, dilation: int) -> None:
    """TensorFlow: of an odd number of zeros the larger half goes to the right."""
    conv = Conv(4, 3, kernel, padding="same", dilation=dilation)
    x = random_one_hot(2, 21)
    total = dilation * (kernel - 1)
    padded = nn.functional.pad(x, (total // 2, total - total // 2))
    expected = nn.functional.conv1d(padded, conv.weight, conv.bias, dilation=dilation)
    torch.testing.assert_close(conv(lift(x)).squeeze(2), expected)


# ---- the contract every architecture keeps ----


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str) -> None:
    model = build_model(name, window=200, n_tasks=3, seed=0).eval()
    x = random_one_hot(2, 200)
    with torch.inference_mode():
        features = model.features(x)
        assert features.shape == (2, model.head.in_features)
        assert torch.equal(model.head(features), model(x))
        assert model(x).shape == (2, 3)


@pytest.mark.parametrize("name", NAMES)
def test_seed_alone_decides_the_initial_weights(name: str) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, two, other = (
        build_model(name, window=60 if name != "cnn" else 90, n_tasks=1, seed=seed)
        for seed in (3, 3, 4)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(map(torch.equal, one.state_dict().values(), two.state_dict().values()))
    assert not torch.equal(one.conv1.conv.weight, other.conv1.conv.weight)


@pytest.mark.parametrize("name", NAMES)
def test_scores_do_not_depend_on_the_batch(name: str) -> None:
    model = build_model(name, window=120, n_tasks=2, seed=0)
    codes = np.random.default_rng(1).integers(0, 5, (9, 120)).astype(np.uint8)
    whole = score_codes(model, codes)
    np.testing.assert_allclose(score_codes(model, codes, batch_size=1), whole, atol=2e-5)
    np.testing.assert_allclose(score_codes(model, codes, batch_size=4), whole, atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_non_linearity_is_a_module_of_its_own(name: str) -> None:
    """DeepLIFT hooks modules; one ReLU used twice would be hooked twice."""
    model = build_model(name, window=120, n_tasks=1, seed=0).eval()
    calls: list[nn.Module] = []
    relus = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    for relu in relus:
        relu.register_forward_hook(lambda module, inputs, output: calls.append(module))
    model(random_one_hot(2, 120))
    assert len(calls) == len(set(calls)) == len(relus)
    assert len(relus) == {"cnn": 5, "danq": 2, "chromtransfer": 23}[name]


@pytest.mark.parametrize("name", NAMES)
def test_trains_on_a_batch_and_in_bf16(name: str) -> None:
    model = build_model(name, window=120, n_tasks=1, seed=0).train()
    with torch.autocast("cpu", torch.bfloat16):
        out = model(random_one_hot(4, 120))
    out.float().square().mean().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


# ---- windows and arguments ----


@pytest.mark.parametrize(("name", "least"), [("cnn", 90), ("danq", 38), ("chromtransfer", 1)])
def test_shortest_window(name: str, least: int) -> None:
    model = build_model(name, window=least, n_tasks=1, seed=0).eval()
    assert model(random_one_hot(2, least)).shape == (2, 1)
    with pytest.raises(InputError, match=f"at least {least} bp"):
        build_model(name, window=least - 1, n_tasks=1, seed=0)


@pytest.mark.parametrize("window", [500, 1000])
def test_cnn_runs_on_long_windows(window: int) -> None:
    """The published code hard-wires the first dense layer and cannot."""
    model = build_model("cnn", window=window, n_tasks=2, seed=0).eval()
    assert model(random_one_hot(2, window)).shape == (2, 2)


def test_chromtransfer_has_the_same_weights_for_any_window() -> None:
    short = build_model("chromtransfer", window=200, n_tasks=1, seed=0)
    long = build_model("chromtransfer", window=1000, n_tasks=1, seed=0)
    assert all(map(torch.equal, short.state_dict().values(), long.state_dict().values()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variant": "keras"}, "'code' or 'paper', found 'keras'"),
        ({"dense": []}, r"such as \[512, 128\], found \[\]"),
        ({"dense": [512, 0]}, r"found \[512, 0\]"),
        ({"dense": 512}, "found 512"),
        ({"densenorm": True}, "no argument 'densenorm'; nearest: dense_norm"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_model("chromtransfer", window=200, n_tasks=1, seed=0, **arguments)


def test_unknown_architecture_names_what_exists() -> None:
    with pytest.raises(InputError, match="no architecture 'dan'; nearest: danq"):
        build_model("dan", window=200, n_tasks=1, seed=0)


def test_the_list_counts_parameters_and_says_what_does_not_fit() -> None:
    assert list_architectures(window=200, n_tasks=1) == {
        "cnn": 2_316_101,
        "danq": 11_837_691,
        "chromtransfer": 652_513,
        "motif-bank": 174_593,
        "towers": 2_316_101 + 174_593 - 1,  # one head
    }
    assert list_architectures(window=60, n_tasks=1)["cnn"] is None


def test_blocks_carry_the_names_that_strategies_use() -> None:
    build: Callable[..., nn.Module]
    for build in ARCHITECTURES.values():
        blocks = [block for block, _ in build(window=200, n_tasks=1).named_children()]
        assert blocks[0] == "conv1"
        assert blocks[-1] == "head"
        assert all(
            block.rstrip("0123456789") in ("conv", "lstm", "dense", "head") for block in blocks
        )
