"""The motif bank: its size, both strands at once, any window, and its kernel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.interpretation.deeplift import deeplift
from cistransfer.models import kernels
from cistransfer.models.blocks import one_hot, reverse_codes
from cistransfer.models.kernels.scan import plain_scan, scan_maximum
from cistransfer.models.model import Model
from cistransfer.models.registry import build_model, parameter_count
from cistransfer.models.score import score_codes, score_features
from cistransfer.motifs.pwm import PWM
from cistransfer.motifs.scan import best_hits
from cistransfer.training.initialise import initialise_filters

SMALL = {"filters": 16, "width": 8, "blocks": 2, "dropout": 0.0}


def draw(n: int, length: int, seed: int = 0, letters: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, letters, (n, length), dtype=np.uint8)


def small(window: int = 200, seed: int = 0) -> Model:
    """Batch norms as after training: their statistics are those of sequences."""
    model = build_model("motif-bank", window=window, n_tasks=3, seed=seed, **SMALL)
    with torch.no_grad():
        model.train()
        for number in range(8):
            model(one_hot(torch.from_numpy(draw(32, window, number))))
    return model.eval()


@pytest.mark.parametrize("window", [200, 500])
@pytest.mark.parametrize(("n_tasks", "blocks"), [(1, 0), (151, 0), (1, 2)])
def test_size_does_not_depend_on_the_window(window: int, n_tasks: int, blocks: int) -> None:
    bank = 512 * 4 * 19 + 2 * 512
    tower = 512 * 256 + 2 * 256 + blocks * (256 * 256 * 2 + 2 * 256)
    features = 512 + 2 * 256
    wanted = bank + tower + 2 * features + (features + 1) * n_tasks
    model = build_model("motif-bank", window=window, n_tasks=n_tasks, seed=0, blocks=blocks)
    assert parameter_count(model) == wanted


def test_a_window_that_is_too_short_is_refused() -> None:
    with pytest.raises(InputError, match="at least 31 bp"):
        build_model("motif-bank", window=30, n_tasks=1, seed=0)
    build_model("motif-bank", window=31, n_tasks=1, seed=0)


def test_both_strands_have_the_same_features_where_the_windows_fit() -> None:
    model, codes = small(), draw(9, 200)
    turned = reverse_codes(torch.from_numpy(codes)).numpy()
    assert model.symmetric
    ahead = score_features(model, codes, strands="forward")
    np.testing.assert_allclose(score_features(model, turned, strands="forward"), ahead, atol=1e-5)
    assert np.array_equal(score_features(model, codes), ahead)  # asked once
    wider = small(205)
    assert not wider.symmetric
    both = score_codes(wider, draw(9, 205))
    again = score_codes(wider, reverse_codes(torch.from_numpy(draw(9, 205))).numpy())
    np.testing.assert_allclose(both, again, atol=1e-5)


def test_a_filter_that_starts_as_a_motif_scores_as_it_does() -> None:
    rows = np.random.default_rng(0).dirichlet(np.ones(4), 9)  # five positions to spare on a side
    pwm = PWM("m", rows)
    model = build_model("motif-bank", window=200, n_tasks=1, seed=0, **SMALL)
    initialise_filters(model, [pwm], "log-odds")
    codes = draw(20, 200, letters=4)
    with torch.inference_mode():
        x = one_hot(torch.from_numpy(codes)).unsqueeze(2)
        highest = plain_scan(x, model.network.conv1.conv.weight, 182)[:, 0, 0, 0]
    wanted = np.log(2) * best_hits(codes[:, 5:-5], pwm)
    np.testing.assert_allclose(highest.numpy(), wanted, rtol=1e-4)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize(("length", "width"), [(40, 5), (41, 5), (31, 13)])
def test_scan_equals_max_pooling_over_both_strands(
    kind: torch.dtype, length: int, width: int
) -> None:
    x = one_hot(torch.from_numpy(draw(19, length)), kind).unsqueeze(2)
    x = x.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(6, 4, 7, generator=torch.Generator().manual_seed(1)).to(kind)
    weight[1] = weight[0].flip(0, 1)  # ties between filters' strands
    weight[2, :, 2:] = 0  # ties between positions
    given, plain = (weight.clone().requires_grad_() for _ in range(2))
    mine, theirs = scan_maximum(x, given, width), plain_scan(x, plain, width)
    wide = {"rtol": 0.02, "atol": 0.05} if kind == torch.bfloat16 else {}
    torch.testing.assert_close(mine, theirs, **wide)
    with torch.no_grad():
        torch.testing.assert_close(scan_maximum(x, weight, width), mine)
        with kernels.use(False):
            assert torch.equal(scan_maximum(x, weight, width), theirs)
    if kind != torch.bfloat16:  # where other sums are rounded otherwise, other places are highest
        slope = torch.randn(mine.shape, generator=torch.Generator().manual_seed(2)).to(kind)
        mine.backward(slope)
        theirs.backward(slope)
        torch.testing.assert_close(given.grad, plain.grad)


def test_the_network_is_the_same_with_kernels_and_without() -> None:
    x, found = one_hot(torch.from_numpy(draw(12, 200))), []
    for wanted in (True, False):
        model = small().train()
        with kernels.use(wanted):
            logits = model(x)
            logits.square().sum().backward()
        tensors = [parameter.grad for parameter in model.parameters()]
        found.append([logits, *tensors, *model.buffers()])
    for mine, plain in zip(*found, strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-3, atol=1e-4)


def test_deeplift_adds_up() -> None:
    model, codes = small(), draw(3, 200, letters=4)
    contributions, error = deeplift(model, codes, references="zero")
    assert error.max() < 1e-3
    assert np.abs(contributions).max() > 0.01


def test_modules_of_the_bank_can_be_hooked() -> None:
    """Also where no gradient is asked for, where the kernel passes over them."""
    model, seen = small(), []
    pool = model.network.conv1.pool
    assert isinstance(pool, nn.MaxPool2d)

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append((inputs[0].shape, output.shape))

    x = one_hot(torch.from_numpy(draw(2, 200)))
    with torch.inference_mode():
        plain = model(x)
        handle = pool.register_forward_hook(note)
        hooked = model(x)
        handle.remove()
    assert seen == [((2, 16, 2, 182), (2, 16, 1, 14))]
    torch.testing.assert_close(hooked, plain, rtol=1e-4, atol=1e-4)
