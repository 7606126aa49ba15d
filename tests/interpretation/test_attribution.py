"""Attribution methods against naive oracles, completeness and planted sites."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from toynets import OTHER, SITE, Motifs, random_codes, seeded, settled, with_sites

from cistransfer.errors import InputError
from cistransfer.genome.codes import encode, reverse_complement
from cistransfer.interpretation.attribute import at_present_base, attribute
from cistransfer.interpretation.deeplift import deeplift
from cistransfer.interpretation.gradients import (
    gradient_input,
    integrated_gradients,
    make_references,
)
from cistransfer.interpretation.influence import filter_influence
from cistransfer.interpretation.layers import chain_of
from cistransfer.interpretation.mutagenesis import largest_effect, mutagenesis
from cistransfer.interpretation.steps import ATTRIBUTIONS as METHODS
from cistransfer.models import kernels
from cistransfer.models.blocks import one_hot
from cistransfer.models.model import MotifFeatures
from cistransfer.models.registry import build_model


def scores(model: nn.Module, codes: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(one_hot(torch.from_numpy(codes))).numpy()


def naive_mutagenesis(model: nn.Module, codes: np.ndarray, task: int) -> np.ndarray:
    result = np.zeros((len(codes), 4, codes.shape[1]))
    for row, position, base in np.ndindex(len(codes), codes.shape[1], 4):
        if codes[row, position] in (base, 4):
            continue
        mutant = codes[row : row + 1].copy()
        mutant[0, position] = base
        both = scores(model, np.concatenate([mutant, codes[row : row + 1]]))[:, task]
        result[row, base, position] = both[0] - both[1]
    return result


@pytest.mark.parametrize("name", ["small_cnn", "skips", "motif_net"])
@pytest.mark.parametrize("fast", [True, False])
def test_mutagenesis_equals_scoring_every_mutant(
    name: str, fast: bool, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(name)
    length = 68 if name == "small_cnn" else 60
    codes = random_codes(2, length, seed=1)
    codes[1, 30:33] = 4
    expected = naive_mutagenesis(model, codes, 1)
    for batch_size in (7, 1000):
        found = mutagenesis(model, codes, task=1, fast=fast, batch_size=batch_size)
        np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(expected).max() > 1e-3 or name == "motif_net"


@pytest.mark.parametrize("order", ["bn-relu", "relu-bn"])
def test_fast_mutagenesis_on_the_published_network(order: str) -> None:

    model = settled(build_model("cnn", window=200, n_tasks=2, seed=0, order=order), 200)
    assert chain_of(model, 200) is not None
    codes = random_codes(1, 200)
    whole = mutagenesis(model, codes, task=1, fast=False)
    found = mutagenesis(model, codes, task=1, batch_size=250)
    np.testing.assert_allclose(found, whole, atol=1e-4)
    assert np.abs(whole).max() > 0.01


@pytest.mark.parametrize(
    ("name", "window"), [("towers", 92), ("motif-bank", 31), ("motif-bank", 75)]
)
def test_fast_mutagenesis_of_a_bank_and_of_two_networks_side_by_side(
    name: str, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    motifs = MotifFeatures([5, 9], bags=1, folds=2)
    for odds in motifs.buffers():
        odds.normal_(generator=torch.Generator().manual_seed(0))
    model = build_model(name, window=window, n_tasks=2, seed=0, motifs=motifs)
    settled(model, window)
    codes = random_codes(2, window, seed=2)
    codes[1, 20:23] = 4
    few = 1 if name == "towers" else 2
    whole = mutagenesis(model, codes[:few], task=1, fast=False)
    assert np.abs(whole).max() > 0.01

    def never(*_: object) -> None:
        raise AssertionError("mutants were scored whole")

    monkeypatch.setattr("cistransfer.interpretation.mutagenesis._whole", never)
    found = mutagenesis(model, codes, task=1)
    np.testing.assert_allclose(found[:few], whole, atol=1e-5)
    with monkeypatch.context() as patch:  # some are checked, and none of these is believed
        patch.setattr(
            "cistransfer.interpretation.scanned.Scanned._mixed", lambda _, x: x[..., :256]
        )
        with pytest.raises(AssertionError, match="scored whole"):
            mutagenesis(model, codes, task=1)
    unit = model.get_submodule("conv5" if name == "towers" else "conv2")
    handle = unit.register_forward_hook(lambda *_: None)
    with pytest.raises(AssertionError, match="scored whole"):
        mutagenesis(model, codes[:1], task=1)
    handle.remove()


def test_fast_mutagenesis_of_long_windows_and_padding() -> None:
    """Few columns of the first linear layer change, and convolutions are padded."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv1d(4, 6, 7, padding=3),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(6, 5, 3, padding=1),
        nn.Sigmoid(),
        nn.Conv1d(5, 4, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 58, 9),
        nn.ReLU(),
        nn.Linear(9, 2),
    ).eval()
    codes = random_codes(2, 120, seed=3)
    assert chain_of(model, 120) is not None
    np.testing.assert_allclose(
        mutagenesis(model, codes, task=0), mutagenesis(model, codes, task=0, fast=False), atol=1e-5
    )


@settings(max_examples=40)
@given(data=st.data())
def test_fast_mutagenesis_of_any_chain(data: st.DataObject) -> None:
    """Kernels, paddings, poolings, activations and lengths as they come."""
    length = data.draw(st.integers(30, 90))
    torch.manual_seed(data.draw(st.integers(0, 99)))
    layers: list[nn.Module] = []
    channels, left = 4, length
    for _ in range(data.draw(st.integers(1, 3))):
        kernel = data.draw(st.integers(1, min(9, left)))
        padding = data.draw(st.integers(0, kernel))
        layers.append(nn.Conv1d(channels, 5, kernel, padding=padding))
        channels, left = 5, left + 2 * padding - kernel + 1
        local = [nn.ReLU(), nn.BatchNorm1d(5), nn.ELU(), nn.Sigmoid()]
        layers += data.draw(st.permutations(local))[: data.draw(st.integers(0, 3))]
        pool = data.draw(st.integers(1, min(5, left)))
        if pool > 1 or data.draw(st.booleans()):
            layers.append(nn.MaxPool1d(pool))
            left //= pool
    if data.draw(st.booleans()):
        layers += [nn.Flatten(), nn.Linear(5 * left, 300), nn.ReLU(), nn.Linear(300, 2)]
    else:
        layers += [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(5, 2)]
    model = settled(nn.Sequential(*layers), length)
    assert chain_of(model, length) is not None
    codes = random_codes(3, length)
    codes[1, : data.draw(st.integers(0, 9))] = 4
    np.testing.assert_allclose(
        mutagenesis(model, codes, task=1, batch_size=data.draw(st.sampled_from([1, 400, 9600]))),
        mutagenesis(model, codes, task=1, fast=False),
        atol=3e-5,
    )


class Doubling(nn.Conv1d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


class Tripling(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 3 * super().forward(x)


class Clamped(nn.Module):
    """Functional, and seen only by sequences with two sites."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 5, 3)
        self.linear = nn.Linear(5 * 28, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.conv(x).clamp(max=0.3).flatten(1))


class Sum(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a + b


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.sum = nn.Conv1d(4, 5, 3), nn.Conv1d(4, 5, 3), Sum()
        self.linear = nn.Linear(5 * 28, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.sum(self.one(x), self.two(x)).flatten(1))


def _off() -> nn.Linear:
    layer = nn.Linear(5 * 28, 300)
    nn.init.constant_(layer.bias, -1e3)
    return layer


UNUSUAL = {
    "in place": lambda: [
        nn.Conv1d(4, 5, 3), nn.ReLU(inplace=True), nn.BatchNorm1d(5), nn.ELU(inplace=True),
        nn.Conv1d(5, 5, 3), nn.Flatten(), nn.Linear(5 * 26, 9), nn.ReLU(inplace=True),
        nn.Linear(9, 2),
    ],
    "in place, pooled over all": lambda: [
        nn.Conv1d(4, 5, 3), nn.Hardswish(inplace=True), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
        nn.ReLU(inplace=True), nn.Linear(5, 2),
    ],
    "a convolution's own forward": lambda: [
        nn.Conv1d(4, 5, 3), nn.ReLU(), Doubling(5, 5, 3), nn.Flatten(), nn.Linear(5 * 26, 2)
    ],
    "a linear layer's own forward": lambda: [
        nn.Conv1d(4, 5, 3), nn.ReLU(), nn.Flatten(), Tripling(5 * 28, 9), nn.ReLU(), Tripling(9, 2)
    ],
    "weight norm": lambda: [
        nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 5, 3)), nn.Flatten(),
        nn.Linear(5 * 28, 2),
    ],
    "no unit is on": lambda: [
        nn.Conv1d(4, 5, 3), nn.Flatten(), _off(), nn.ReLU(), nn.Linear(300, 2)
    ],
    "a convolution behind a linear layer": lambda: [
        nn.Conv1d(4, 5, 3), nn.Flatten(), nn.Linear(5 * 28, 40), nn.Unflatten(1, (4, 10)),
        nn.Conv1d(4, 3, 3), nn.Flatten(), nn.Linear(24, 2),
    ],
    "a norm without statistics": lambda: [
        nn.Conv1d(4, 5, 3), nn.BatchNorm1d(5, track_running_stats=False), nn.Flatten(),
        nn.Linear(5 * 28, 2),
    ],
    "softmax": lambda: [
        nn.Conv1d(4, 5, 3), nn.Softmax(dim=2), nn.AdaptiveAvgPool1d(4), nn.Flatten(),
        nn.Linear(20, 2),
    ],
    "a function": lambda: [Clamped()],
    "two inputs": lambda: [Twice()],
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSUAL)
def test_mutagenesis_of_unusual_networks(name: str) -> None:
    """Followed or scored whole, the values are those of every mutant by itself."""
    model = seeded(lambda: nn.Sequential(*UNUSUAL[name]()))
    if name != "a norm without statistics":
        settled(model, 30)
    model.eval()
    codes = random_codes(3, 30, seed=5)
    codes[0] = 4
    before = scores(model, codes)
    expected = naive_mutagenesis(model, codes, 1)
    if name == "a norm without statistics":  # depends on its batch: only alone it is defined
        expected = mutagenesis(model, codes, task=1, fast=False)
    np.testing.assert_allclose(mutagenesis(model, codes, task=1), expected, atol=2e-5)
    assert np.array_equal(scores(model, codes), before)


def test_mutagenesis_in_limited_memory(
    small_cnn: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where little may be held at a time the values are the same."""
    codes = random_codes(5, 68)
    expected = mutagenesis(small_cnn, codes, task=1)
    monkeypatch.setattr("cistransfer.interpretation.mutants._MAX_FLOATS", 30_000)
    np.testing.assert_allclose(mutagenesis(small_cnn, codes, task=1), expected, atol=1e-5)


def test_mutagenesis_of_nothing(small_cnn: nn.Module) -> None:
    assert mutagenesis(small_cnn, random_codes(0, 68), task=500).shape == (0, 4, 68)


def test_mutagenesis_under_autocast(small_cnn: nn.Module) -> None:
    codes = random_codes(2, 68)
    expected = mutagenesis(small_cnn, codes)
    with torch.autocast("cpu", torch.bfloat16):
        found = mutagenesis(small_cnn, codes)
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_skips_are_not_a_chain(skips: nn.Module, small_cnn: nn.Module) -> None:
    assert chain_of(skips, 60) is None
    assert chain_of(small_cnn, 68) is not None


def test_largest_effect_keeps_the_sign() -> None:
    changes = np.zeros((1, 4, 2), np.float32)
    changes[0, :, 0] = [0, 0.5, -2, 1]
    changes[0, :, 1] = [0, 3, -2, 1]
    assert largest_effect(changes).tolist() == [[-2, 3]]


@pytest.mark.parametrize("name", ["small_cnn", "skips", "motif_net"])
@pytest.mark.parametrize("on", ["logit", "probability"])
def test_deeplift_adds_up(name: str, on: str, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(name)
    codes = random_codes(5, 68 if name == "small_cnn" else 60, seed=2)
    codes, _ = with_sites(codes, OTHER)
    refs = make_references(codes, shuffles=6)
    for batch_size in (6, 64):
        maps, error = deeplift(model, codes, task=1, on=on, references=refs, batch_size=batch_size)
        assert error.max() < 2e-5
    output = scores(model, codes)[:, 1]
    base = scores(model, refs.reshape(-1, refs.shape[2]))[:, 1].reshape(5, 6)
    if on == "probability":
        output, base = 1 / (1 + np.exp(-output)), 1 / (1 + np.exp(-base))
    contributions = at_present_base(maps, codes)
    np.testing.assert_allclose(contributions.sum(axis=1), output - base.mean(axis=1), atol=3e-5)


@pytest.mark.parametrize("workers", [2, 64])
def test_deeplift_and_influence_are_the_same_bits_with_any_number_of_workers(
    workers: int, small_cnn: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes, found = random_codes(7, 68, seed=5), []
    for n in (1, workers):
        monkeypatch.setattr("cistransfer.cpus.n_workers", lambda n=n: n)
        maps, error = deeplift(small_cnn, codes, task=1, shuffles=3, batch_size=6)
        found.append((maps, error, filter_influence(small_cnn, codes, batch_size=2)))
    assert all((one == other).all() for one, other in zip(*found, strict=True))
    assert not any(module._forward_hooks for module in small_cnn.modules())


def test_deeplift_says_when_it_does_not_add_up() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(4, 5, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.conv(x)).amax(dim=2)

    torch.manual_seed(0)
    _, error = deeplift(Functional().eval(), random_codes(3, 30), shuffles=3)
    assert error.max() > 0.01


@pytest.mark.parametrize(
    ("name", "window"), [("small_cnn", 68), ("towers", 93), ("motif-bank", 50)]
)
def test_deeplift_of_blocks_equals_module_by_module(
    name: str, window: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "small_cnn":
        model = copy.deepcopy(request.getfixturevalue(name))
    else:
        model = settled(build_model(name, window=window, n_tasks=2, seed=0), window)
    if name == "motif-bank":  # whole numbers: maxima are equal at many places, on both strands
        with torch.no_grad():
            model.get_parameter("conv1.conv.weight").mul_(9).round_()
    layers = list(model.named_modules())
    codes = random_codes(5, window, seed=4)
    codes[1, 20:26] = 4
    codes[2] = codes[2, 0]  # all places of a window are alike: the first is the maximum
    refs = make_references(codes, shuffles=4)
    refs[3, 1] = codes[3]  # nothing changes: the plain gradient
    refs[4, :, :40] = codes[4, :40]
    with kernels.use(False):
        wanted, _ = deeplift(model, codes, task=1, references=refs)
    assert np.abs(wanted).max() > 1e-3
    for at_once in (1, 1 << 13, 1 << 20):  # of one sequence, or of several
        monkeypatch.setattr("cistransfer.interpretation.maxima._AT_ONCE", at_once)
        found, error = deeplift(model, codes, task=1, references=refs)
        np.testing.assert_allclose(found, wanted, atol=5e-6)
        assert error.max() < 2e-5
    assert list(model.named_modules()) == layers
    single, _ = deeplift(model, codes, task=1, references=refs[:, :1])
    with kernels.use(False):
        wanted, _ = deeplift(model, codes, task=1, references=refs[:, :1])
    np.testing.assert_allclose(single, wanted, atol=5e-6)


def test_deeplift_leaves_blocks_to_who_hangs_hooks_on_them(small_cnn: nn.Module) -> None:
    seen: list[int] = []
    handle = small_cnn.get_submodule("conv2.relu").register_forward_hook(
        lambda _module, _inputs, output: seen.append(len(output))
    )
    deeplift(small_cnn, random_codes(2, 68), shuffles=3)
    handle.remove()
    assert seen == [2, 6]


def test_deeplift_equals_tangermeme(small_cnn: nn.Module) -> None:
    with _quiet():
        module = pytest.importorskip("tangermeme.deep_lift_shap")
    codes = random_codes(4, 68, seed=5)
    refs = make_references(codes, shuffles=5)
    maps, _ = deeplift(small_cnn, codes, task=2, references=refs)
    with _quiet():
        theirs = module.deep_lift_shap(
            small_cnn,
            one_hot(torch.from_numpy(codes)).contiguous(),
            target=2,
            references=torch.stack([one_hot(torch.from_numpy(r)) for r in refs]).contiguous(),
            hypothetical=True,
            device="cpu",
        )
    np.testing.assert_allclose(maps, theirs.numpy(), atol=1e-5)


def _quiet():  # type: ignore[no-untyped-def]
    import warnings

    class Quiet(warnings.catch_warnings):
        def __enter__(self):  # type: ignore[no-untyped-def]
            result = super().__enter__()
            warnings.simplefilter("ignore")
            return result

    return Quiet()


def test_gradients_by_finite_differences(skips: nn.Module) -> None:
    codes = random_codes(2, 60, seed=4)
    for on in ("logit", "probability"):
        gradient = gradient_input(skips, codes, task=1, on=on, batch_size=1)
        x = one_hot(torch.from_numpy(codes)).double()
        model = copy.deepcopy(skips).double()
        for row, base, position in [(0, 0, 5), (1, 2, 30), (1, 3, 59)]:
            step = torch.zeros_like(x)
            step[row, base, position] = 1e-5
            with torch.no_grad():
                up, down = model(x + step)[row, 1], model(x - step)[row, 1]
            if on == "probability":
                up, down = torch.sigmoid(up), torch.sigmoid(down)
            wanted = float((up - down) / 2e-5)
            assert gradient[row, base, position] == pytest.approx(wanted, abs=1e-5)


def test_integrated_gradients_add_up(skips: nn.Module) -> None:
    codes = random_codes(2, 60, seed=4)
    found, error = integrated_gradients(skips, codes, task=1, shuffles=2, steps=20)
    again, _ = integrated_gradients(skips, codes, task=1, shuffles=2, steps=20, batch_size=10)
    assert error.max() < 1e-4
    np.testing.assert_allclose(found, again, atol=1e-6)
    assert np.abs(found).max() > 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_attributions_peak_on_planted_sites(method: str, motif_net: nn.Module) -> None:
    codes, starts = with_sites(random_codes(20, 60, seed=6), SITE)
    if method == "gradient-input":  # a ReLU that is off has no gradient: sites are on
        assert (scores(motif_net, codes)[:, 0] > 0).all()
    found = attribute(motif_net, codes, method=method, task=0, shuffles=5)
    strength = -found.contributions if method == "mutagenesis" else found.contributions
    inside = (np.arange(60) >= starts[:, None]) & (np.arange(60) < starts[:, None] + len(SITE))
    assert strength[inside].mean() > 10 * np.abs(strength[~inside]).mean()
    assert (inside[np.arange(20), strength.argmax(axis=1)]).all()


@pytest.mark.parametrize("method", METHODS)
def test_n_gets_nothing_and_the_model_comes_back(method: str, small_cnn: nn.Module) -> None:
    codes = random_codes(3, 68)
    codes[0, 20:24] = 4
    codes[2] = 4
    model = copy.deepcopy(small_cnn)
    model.train()
    model.dense1[-1].eval()
    modes = [module.training for module in model.modules()]
    state = copy.deepcopy(model.state_dict())
    found = attribute(model, codes, method=method, task=1, shuffles=3)
    assert (found.contributions[codes == 4] == 0).all()
    assert np.isfinite(found.contributions).all()
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert all(not module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_strands_and_order_of_rows(method: str, small_cnn: nn.Module) -> None:
    codes = random_codes(4, 68, seed=8)
    given = {"references": "zero"} if method != "mutagenesis" else {}
    one = attribute(small_cnn, codes, method=method, both_strands=True, **given)
    other = attribute(
        small_cnn, reverse_complement(codes)[::-1], method=method, both_strands=True, **given
    )
    np.testing.assert_allclose(one.contributions, other.contributions[::-1, ::-1], atol=1e-5)


def test_refusals(motif_net: nn.Module) -> None:
    codes = random_codes(2, 60)
    with pytest.raises(InputError, match="nearest: deeplift"):
        attribute(motif_net, codes, method="deplift")
    with pytest.raises(InputError, match="2 tasks; there is no task 5"):
        attribute(motif_net, codes, task=5)
    with pytest.raises(InputError, match="2 tasks; there is no task -3"):
        attribute(motif_net, codes, task=-3, method="mutagenesis")
    with pytest.raises(InputError, match="logit"):
        attribute(motif_net, codes, on="odds")


def test_planted_filter_net_is_what_it_says() -> None:
    model = Motifs([SITE, OTHER], 60).eval()
    codes = np.zeros((1, 60), np.uint8)
    codes[0, 20 : 20 + len(SITE)] = encode(SITE)
    assert scores(model, codes).tolist() == [[0.5, -0.5]]


def test_a_network_with_motifs_beside_it() -> None:
    """The fine-tuning default: the motifs' log occupancies are neither a chain nor elementwise."""

    from cistransfer.motifs.pwm import from_counts

    motifs = MotifFeatures((len(SITE), len(OTHER)))
    letters = [np.eye(4)[encode(text)] for text in (SITE, OTHER)]
    motifs.fill([from_counts("m", 20 * rows, pseudocount=1.0) for rows in letters])
    model = build_model("cnn", window=100, n_tasks=2, seed=0, motifs=motifs)
    settled(model, 100)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        model.head.weight.copy_(torch.randn(2, 1002, generator=generator) * 0.05)
        model.head.weight[0, -2] = 0.5
    codes, starts = with_sites(random_codes(4, 100, seed=5), SITE)
    found = attribute(model, codes, shuffles=4)
    assert found.error is not None
    assert found.error.max() < 5e-3
    for row, start in enumerate(starts):
        inside = found.contributions[row, start : start + len(SITE)].sum()
        assert inside > 0.5 * found.contributions[row].sum()
    np.testing.assert_allclose(
        mutagenesis(model, codes[:1]), mutagenesis(model, codes[:1], fast=False), atol=1e-5
    )
