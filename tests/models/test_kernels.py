"""Kernels equal the plain functions beside them: dropout, max-pooling, convolution, their order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cistransfer.models import kernels
from cistransfer.models.blocks import Conv, ConvBlock, conv_block, one_hot
from cistransfer.models.kernels import convolution
from cistransfer.models.kernels.convolution import convolve, plain_convolve
from cistransfer.models.kernels.dropout import Dropout
from cistransfer.models.kernels.first import first_block, first_block_fits, plain_first_block
from cistransfer.models.kernels.fourier import convolve_by_fourier, outputs_at_once
from cistransfer.models.kernels.layout import is_lengthwise, lengthwise, turned
from cistransfer.models.kernels.normalisation import BatchNorm2d
from cistransfer.models.kernels.pooling import window_maximum
from cistransfer.models.kernels.processor import gains_from_bf16, gains_from_integer_pooling
from cistransfer.models.registry import build_model

KINDS = [torch.bfloat16, torch.float16, torch.float32, torch.float64]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.97])
def test_dropout_drops_with_its_probability_and_keeps_the_mean(kind: torch.dtype, p: float) -> None:
    x = torch.full((40, 16, 1, 101), 3.0, dtype=kind).to(memory_format=torch.channels_last)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dropped = Dropout(p)(x)
        again = Dropout(p)(x)
    count, rate = x.numel(), float((dropped == 0).double().mean())
    assert abs(rate - p) < 4 * (p * (1 - p) / count) ** 0.5
    kept = dropped[dropped != 0].unique()
    assert kept.double() == pytest.approx(3 / (1 - p), rel=0.01 if kind == torch.bfloat16 else 2e-3)
    assert dropped.dtype == kind
    assert dropped.stride() == x.stride()
    assert not torch.equal(dropped, again)


def test_neighbours_are_dropped_independently() -> None:
    """Four elements share one draw of the generator."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        kept = (Dropout(0.3)(torch.ones(200_000)) != 0).double().numpy()
    for lag in (1, 2, 3, 4, 8):
        assert abs(np.corrcoef(kept[:-lag], kept[lag:])[0, 1]) < 0.01
    for place in range(4):
        assert abs(kept[place::4].mean() - 0.7) < 0.01


@pytest.mark.parametrize("shape", [(1,), (3,), (7, 5), (2, 3, 1, 11), (0, 4)])
def test_dropout_of_any_layout(shape: tuple[int, ...]) -> None:
    x = noise(*shape).requires_grad_()
    y = Dropout(0.5)(x)
    factor = torch.where(y == 0, 0.0, 2.0)
    assert torch.equal(y, x * factor)
    y.sum().backward()
    assert torch.equal(x.grad, factor)
    strided = noise(6, 8).t()[::2]
    z = Dropout(0.5)(strided)
    assert torch.equal(z, strided * torch.where(z == 0, 0.0, 2.0))


def test_dropout_follows_the_generator_and_sleeps_in_evaluation() -> None:
    x = noise(10, 10)
    outputs = []
    with torch.random.fork_rng():
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            outputs.append(Dropout(0.5)(x))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
    assert Dropout(0.5).eval()(x) is x
    assert torch.equal(Dropout(0.0)(x), x)
    assert not Dropout(1.0)(x).any()
    assert isinstance(Dropout(0.5), nn.Dropout)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("length", "width"), [(9, 3), (10, 3), (11, 3), (13, 13), (7, 2), (5, 1)])
def test_the_maximum_of_windows_is_max_pooling(kind: torch.dtype, length: int, width: int) -> None:
    """Values are coarse, so that windows with equal maxima are many."""
    coarse = (noise(5, 6, 1, length) * 2).round().to(kind)
    coarse[0, 0] = 0.0
    coarse[0, 1] = torch.tensor([-0.0, 0.0] * length)[:length]
    for x in (coarse.to(memory_format=torch.channels_last), coarse.contiguous()):
        one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
        expected = nn.functional.max_pool2d(one, (1, width))
        with kernels.use(True):
            found = window_maximum(two, width)
            assert torch.equal(window_maximum(x, width), expected)
        assert torch.equal(found, expected)
        weight = noise(*expected.shape, seed=1).to(kind)
        (expected * weight).sum().backward()
        (found * weight).sum().backward()
        assert torch.equal(two.grad, one.grad)


@pytest.mark.parametrize("order", ["bn-relu", "relu-bn"])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_block_in_training_equals_its_modules_one_after_another(
    order: str, kind: torch.dtype
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ours, plain = (conv_block(4, 6, 5, 3, order) for _ in range(2))
    plain.load_state_dict(ours.state_dict())
    x = noise(8, 4, 1, 24).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=kind == torch.bfloat16):
        found, expected = ours(x), nn.Sequential.forward(plain, x)
    assert torch.equal(found, expected)
    found.float().square().sum().backward()
    expected.float().square().sum().backward()
    for name, parameter in plain.named_parameters():
        gradient = ours.get_parameter(name).grad
        if name == "conv.bias" and order == "bn-relu" and kind == torch.bfloat16:
            assert not gradient.any()  # the norm takes constants out: what PyTorch has is rounding
            assert parameter.grad.abs().max() < 0.02 * plain.conv.weight.grad.abs().max()
        else:
            assert torch.equal(gradient, parameter.grad), name
    assert torch.equal(ours.norm.running_mean, plain.norm.running_mean)


@pytest.mark.parametrize("order", ["bn-relu", "relu-bn"])
def test_a_block_without_gradients_equals_its_modules_one_after_another(order: str) -> None:
    block = conv_block(4, 6, 5, 3, order)
    for step in range(3):
        block(noise(8, 4, 1, 24, seed=step))
    with torch.no_grad():
        block.norm.weight.copy_(noise(6))  # some below zero
        block.norm.bias.copy_(noise(6, seed=1))
    block.eval()
    x = noise(8, 4, 1, 25, seed=4).to(memory_format=torch.channels_last)
    expected = nn.Sequential.forward(block, x)
    assert torch.equal(block(x), expected)
    with torch.inference_mode():
        found = block(x)
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.equal(found, expected) == (order == "relu-bn")  # else the norm is in the weights


@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize("with_bias", [True, False])
def test_the_weight_gradient_as_a_product_is_that_of_conv2d(kernel: int, with_bias: bool) -> None:
    x = noise(6, 5, 1, 20).bfloat16().to(memory_format=torch.channels_last)
    weight, bias = noise(7, 5, kernel, seed=1), noise(7, seed=2) if with_bias else None
    given = noise(6, 7, 1, 21 - kernel, seed=3)
    gradients = []
    for function in (
        convolve,
        lambda x, w, b: nn.functional.conv2d(
            x, w.bfloat16().unsqueeze(2), b if b is None else b.bfloat16()
        ),
    ):
        leaves = [
            one.detach().clone().requires_grad_() for one in (x, weight, bias) if one is not None
        ]
        bits = torch.autocast("cpu", torch.bfloat16)
        with bits:
            y = function(leaves[0], leaves[1], leaves[2] if with_bias else None)
        assert y.dtype == torch.bfloat16
        (y.float() * given).sum().backward()
        gradients.append([leaf.grad.float() for leaf in leaves])
        assert leaves[1].grad.is_contiguous()
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, rtol=0.02, atol=0.02 * float(theirs.abs().max()))


@pytest.mark.parametrize("at_once", [1, 2, 5, 9, 14, 30])
@pytest.mark.parametrize("kernel", [2, 7, 14])
def test_a_convolution_by_fourier_is_conv1d(at_once: int, kernel: int) -> None:
    """Tiles that fill the 15 to 27 outputs, tiles that do not, and one that is longer."""
    x, bias = noise(3, 5, 1, 28).double(), noise(6, seed=1).double()
    weight, given = noise(6, 5, kernel, seed=2).double(), noise(3, 6, 1, 29 - kernel, seed=3)
    ours, plain = ([leaf.clone().requires_grad_() for leaf in (x, weight, bias)] for _ in range(2))
    found = convolve_by_fourier(*ours, at_once)
    expected = nn.functional.conv1d(plain[0].squeeze(2), *plain[1:]).unsqueeze(2)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert is_lengthwise(found)
    (found * given).sum().backward()
    (expected * given).sum().backward()
    for one, two in zip(ours, plain, strict=True):
        assert torch.allclose(one.grad, two.grad, rtol=1e-12, atol=1e-12)
    constant = bias.clone().requires_grad_()
    convolve_by_fourier(x, weight, constant, at_once, constant=False).sum().backward()
    assert not constant.grad.any()


def test_a_convolution_by_fourier_rounds_as_conv2d_does() -> None:
    x, weight, given = noise(64, 64, 1, 60), noise(64, 64, 7, seed=1), noise(64, 64, 1, 54, seed=2)

    def computed(function: Callable[..., Tensor], kind: torch.dtype) -> list[Tensor]:
        leaves = [leaf.to(kind, copy=True).requires_grad_() for leaf in (x, weight)]
        y = function(*leaves, None)
        (y * given).sum().backward()
        return [y.detach(), *(leaf.grad for leaf in leaves)]

    exact = computed(plain_convolve, torch.float64)
    ours, plain = (
        [
            float((one - two).norm() / two.norm())
            for one, two in zip(computed(function, torch.float32), exact, strict=True)
        ]
        for function in (convolve, plain_convolve)
    )
    assert ours != plain
    assert max(ours) < 2e-6
    assert max(ours) < 5 * max(plain)


@pytest.mark.parametrize("intel", [True, False])
def test_without_a_gradient_fourier_is_for_where_it_was_measured(
    intel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution, "gains_from_fourier", lambda: intel)
    x, weight = noise(64, 64, 1, 60), noise(64, 64, 7, seed=1)
    with torch.inference_mode():
        found = convolve(x, weight, None)
        plain = plain_convolve(x, weight, None)
        assert is_lengthwise(found) == intel
        assert torch.allclose(found, plain, atol=1e-4)
        with kernels.use(True):
            assert is_lengthwise(convolve(x, weight, None))


@pytest.mark.parametrize(
    ("n", "inputs", "outputs", "length", "kernel", "at_once"),
    [
        (100, 100, 200, 60, 7, 18),  # the published network
        (100, 200, 200, 18, 4, 15),
        (64, 32, 32, 614, 15, 30),  # ChromTransfer
        (64, 64, 64, 604, 5, 20),
        (100, 4, 100, 200, 19, None),  # one-hot
        (100, 100, 200, 60, 2, None),
        (1, 100, 200, 60, 7, None),  # mostly transforms of the weights
        (100, 100, 200, 7, 7, None),
    ],
)
def test_outputs_of_a_tile(
    n: int, inputs: int, outputs: int, length: int, kernel: int, at_once: int | None
) -> None:
    assert outputs_at_once(n, inputs, outputs, length, kernel) == at_once


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    ("n", "length", "kernel", "width"), [(5, 40, 7, 3), (700, 13, 3, 2), (3, 21, 2, 20)]
)
def test_the_first_block_is_its_layers(
    n: int, length: int, kernel: int, width: int, soft: bool
) -> None:
    """With unknown bases, a rest that fills no window, and norms that turn a filter round."""
    codes = torch.from_numpy(np.random.default_rng(0).integers(0, 5, (n, length), dtype=np.uint8))
    x = one_hot(codes).double().unsqueeze(2)
    x = x + noise(*x.shape, seed=1) if soft else x
    results = []
    for function in (first_block, plain_first_block):
        weight, bias = (
            noise(*shape).double().requires_grad_() for shape in ((20, 4, kernel), (20,))
        )
        norm = BatchNorm2d(20).double()
        with torch.no_grad():
            norm.weight.copy_(noise(20, seed=2))
            norm.bias.copy_(noise(20, seed=3))
        assert first_block_fits(x, weight, norm, width)
        for _ in range(2):
            y = function(x, weight, bias, norm, width)
            (y * noise(*y.shape, seed=4)).sum().backward()
        leaves = (weight, bias, norm.weight, norm.bias)
        results.append([y.detach(), *(leaf.grad for leaf in leaves), *norm.buffers()])
    assert not results[0][2].any()  # of the bias; what PyTorch has is rounding
    for ours, plain in zip(*results, strict=True):
        assert torch.allclose(ours.double(), plain.double(), rtol=1e-9, atol=1e-9)


def test_the_first_block_trains_what_is_not_frozen() -> None:
    x, weight = noise(6, 4, 1, 30), noise(20, 4, 5)
    norm = BatchNorm2d(20)
    y = first_block(x, weight, None, norm, 3)
    y.sum().backward()
    assert norm.bias.grad.tolist() == [y[:, 0].numel()] * 20
    norm.requires_grad_(False)
    assert not first_block(x, weight, None, norm, 3).requires_grad
    leaf = weight.clone().requires_grad_()
    first_block(x, leaf, None, norm, 3).square().sum().backward()
    assert leaf.grad.any()


def test_where_the_first_block_is_computed() -> None:
    x, weight, norm = noise(6, 4, 1, 30), noise(20, 4, 5), BatchNorm2d(20)
    assert first_block_fits(x, weight, norm, 3)
    refused = [
        (x.requires_grad_(), weight, norm, 3),
        (x.detach().half(), weight, norm, 3),
        (x.detach(), noise(20, 4, 11), norm, 3),  # more numbers are read than scores made
        (x.detach(), weight, BatchNorm2d(20).eval(), 3),
        (x.detach(), weight, BatchNorm2d(20, affine=False), 3),
        (x.detach(), weight, BatchNorm2d(20, momentum=None), 3),
        (x.detach(), weight, nn.ReLU(), 3),
        (x.detach(), weight, norm, 27),
    ]
    assert not any(first_block_fits(*one) for one in refused)
    with kernels.use(False):
        assert not first_block_fits(x.detach(), weight, norm, 3)


def test_place_by_place() -> None:
    """Layers on memory of another order give the same numbers and gradients."""
    x = (noise(6, 5, 1, 11) * 3).round()
    laid = x.permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0)
    assert torch.equal(laid, x)
    assert is_lengthwise(laid)
    assert not is_lengthwise(x)
    assert not is_lengthwise(x.to(memory_format=torch.channels_last))
    assert torch.equal(turned(lengthwise(x)), x)
    assert lengthwise(laid).data_ptr() == laid.data_ptr()
    for layer in (lambda x: window_maximum(x, 3), BatchNorm2d(5), BatchNorm2d(5).eval()):
        results = []
        for start in (x.to(memory_format=torch.channels_last), laid):
            leaf = start.clone().requires_grad_()
            y = layer(leaf)
            (y * noise(*y.shape, seed=1)).sum().backward()
            results.append((y.detach(), leaf.grad))
        assert is_lengthwise(results[1][0])
        for one, two in zip(*results, strict=True):
            assert torch.allclose(one, two, atol=1e-5)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_batch_norm_in_one_of_two_threads(kind: torch.dtype) -> None:
    threads = torch.get_num_threads()
    ours, plain = BatchNorm2d(10), nn.BatchNorm2d(10)
    try:
        torch.set_num_threads(2)
        for step in range(3):
            x = noise(8, 10, 1, 24, seed=step).to(kind).to(memory_format=torch.channels_last)
            one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
            found = ours(one)
            assert torch.get_num_threads() == 2
            torch.set_num_threads(1)
            expected = plain(two)
            torch.set_num_threads(2)
            assert torch.equal(found, expected)
            found.float().square().mul(noise(8, 10, 1, 24, seed=9)).sum().backward()
            assert torch.get_num_threads() == 2
            torch.set_num_threads(1)
            expected.float().square().mul(noise(8, 10, 1, 24, seed=9)).sum().backward()
            torch.set_num_threads(2)
            assert torch.equal(one.grad, two.grad)
        for name, tensor in plain.state_dict().items():
            assert torch.equal(ours.state_dict()[name], tensor), name
        assert torch.equal(ours.weight.grad, plain.weight.grad)
        assert torch.equal(ours.eval()(x), plain.eval()(x))
        with pytest.raises(ValueError, match="4D"):
            ours.train()(noise(8, 10))
    finally:
        torch.set_num_threads(threads)


def test_batch_norm_refuses_what_pytorch_refuses() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(RuntimeError, match="running_mean should contain 90"):
            BatchNorm2d(10)(noise(8, 90, 1, 24))
        with pytest.raises(ValueError, match="more than 1 value"):
            BatchNorm2d(10)(noise(1, 10, 1, 1))
        bare = BatchNorm2d(10, affine=False)
        x = noise(8, 10, 1, 24).requires_grad_()
        bare(x).square().sum().backward()
        assert torch.isfinite(x.grad).all()
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        {"conv": Conv(4, 6, 5, padding=2)},
        {"conv": Conv(4, 6, 5, padding="same")},
        {"conv": Conv(4, 6, 5, stride=2)},
        {"conv": Conv(4, 6, 5, dilation=2)},
        {"conv": Conv(4, 6, 5, bias=False)},
        {"norm": nn.BatchNorm2d(6, affine=False)},
        {"norm": nn.BatchNorm2d(6, track_running_stats=False)},
        {"pool": nn.MaxPool2d((1, 3), stride=1)},
        {"pool": nn.AvgPool2d((1, 3))},
        {"pool": nn.MaxPool2d((1, 3), ceil_mode=True)},
    ],
    ids=repr,
)
def test_a_block_of_other_modules_does_what_they_say(
    change: dict[str, nn.Module], training: bool
) -> None:
    block = conv_block(4, 6, 5, 3, "bn-relu")
    for name, module in change.items():
        setattr(block, name, module)
    block.train(training)
    x = noise(8, 4, 1, 24)
    with torch.no_grad():
        found = block(x)
        expected = nn.Sequential.forward(block, x)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_block_can_be_traced_and_mapped_without_gradients() -> None:
    block = conv_block(4, 6, 5, 3, "bn-relu").eval()
    x = noise(8, 4, 1, 24)
    with torch.no_grad():
        mapped = torch.vmap(block)(x.unflatten(0, (2, 4)))
        assert torch.allclose(mapped.flatten(0, 1), block(x), atol=1e-6)


def test_every_module_of_a_block_is_called_in_evaluation() -> None:
    block = conv_block(4, 6, 5, 3, "bn-relu").eval()
    assert isinstance(block, ConvBlock)
    called: list[str] = []
    for name, module in block.named_children():
        module.register_forward_hook(lambda *_, name=name: called.append(name))
    block(noise(2, 4, 1, 24))
    assert called == ["conv", "norm", "relu", "pool"]
    with torch.inference_mode():
        block(noise(2, 4, 1, 24))
    assert called == 2 * ["conv", "norm", "relu", "pool"]


def test_slices_of_a_block_in_training() -> None:
    block = conv_block(4, 6, 5, 3, "bn-relu").train()
    x = noise(8, 4, 1, 24)
    for part in (block[:0], block[:1], block[:3], block[3:]):
        assert torch.equal(part(x), torch.nn.Sequential(*part)(x))


def test_without_kernels_the_plain_functions_are_computed() -> None:
    """And the kernels are back afterwards, after an error too."""
    x = noise(4, 6, 1, 12).to(memory_format=torch.channels_last).requires_grad_()
    weight = noise(5, 6, 3, seed=1).requires_grad_()
    block = conv_block(6, 5, 3, 2, "relu-bn")

    def made_by() -> list[str]:
        with torch.autocast("cpu", torch.bfloat16):
            convolved = convolve(x, weight, None)
        outs = (window_maximum(x, 3), convolved, block(x))
        return [type(out.grad_fn).__name__ for out in outs]

    assert kernels.in_use()
    assert not kernels.in_use(False)
    by_rule = made_by()
    with kernels.use(True):
        assert kernels.in_use(False)
        ours = made_by()
    with kernels.use(False):
        plain = made_by()
        with kernels.use(True):
            assert made_by() == ours
        assert made_by() == plain
    assert ours[1] == "_ConvolutionBackward"
    assert plain[:2] == ["MaxPool2DWithIndicesBackward0", "ConvolutionBackward0"]
    assert plain[2] == "MaxPool2DWithIndicesBackward0"  # the modules in their order, pooling last
    assert ours[2] != plain[2]
    with pytest.raises(ValueError, match="on purpose"), kernels.use(False):
        raise ValueError("on purpose")
    assert made_by() == by_rule


@pytest.mark.parametrize(
    ("processor", "bf16", "integers"),
    [
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, False, False),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, True, False),
        ({"cpu_name": "AMD EPYC Zen4", "avx512_bf16": True, "amx_bf16": False}, True, True),
        ({"cpu_name": "AMD EPYC Zen3", "avx2": True}, False, True),
        ({"avx512_bf16": True}, True, True),
        ({}, False, True),
    ],
)
def test_what_a_processor_gains_from(
    processor: dict[str, object], bf16: bool, integers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules go by abilities, so that a machine always computes alike."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: processor)
    assert gains_from_bf16() == bf16
    assert gains_from_integer_pooling() == integers
    x = noise(4, 6, 1, 12).to(memory_format=torch.channels_last).requires_grad_()
    made_by = type(window_maximum(x, 3).grad_fn).__name__
    assert (made_by == "MaxPool2DWithIndicesBackward0") != integers


@pytest.mark.parametrize(("kind", "n"), [(torch.float32, 64), (torch.bfloat16, 8)])
def test_a_network_trains_alike_without_kernels(kind: torch.dtype, n: int) -> None:
    codes = torch.from_numpy(np.random.default_rng(0).integers(0, 5, (n, 120), dtype=np.uint8))
    gradients = []
    for wanted in (True, False):
        model = build_model("cnn", window=120, n_tasks=2, seed=0, dropout=0.0).train()
        bits = torch.autocast("cpu", torch.bfloat16, enabled=kind == torch.bfloat16)
        with kernels.use(wanted), bits:
            loss = model(one_hot(codes)).float().square().mean()
        loss.backward()
        gradients.append((float(loss.detach()), model.head.weight.grad.clone()))
    (one, first), (two, second) = gradients
    tolerance = 1e-4 if kind == torch.float32 else 0.05
    assert one == pytest.approx(two, rel=tolerance)
    assert float((first - second).norm() / second.norm()) < tolerance
