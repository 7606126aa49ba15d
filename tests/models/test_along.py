"""Windows along a sequence: what they share is computed once, and the numbers stay the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.genome.codes import N
from cistransfer.models import along as module
from cistransfer.models import kernels, score
from cistransfer.models.blocks import one_hot
from cistransfer.models.cnn import CNN
from cistransfer.models.kernels.along import Along, Lookup, overlap, slide, sum_along
from cistransfer.models.model import Model, MotifFeatures
from cistransfer.models.registry import build_model
from cistransfer.models.score import score_codes, score_features, score_windows

WINDOW, NARROW = 200, 131
"""13 divides the places of a bank in the wide one, so that both strands have the same features."""


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def lively(model: Model) -> Model:
    """Statistics, scales and shifts of batch norms of its own, some scales below zero."""
    for number, norm in enumerate(model.modules()):
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            size = (norm.num_features,)
            with torch.no_grad():
                norm.running_mean.copy_(noise(*size, seed=number) * 0.1)
                norm.running_var.copy_(noise(*size, seed=number + 1).abs() + 0.3)
                norm.weight.copy_(noise(*size, seed=number + 2))
                norm.bias.copy_(noise(*size, seed=number + 3) * 0.3)
    return model.train()  # its mode is kept, whatever it is


def motifs(*widths: int, scale: float = 1.0, bags: int = 0, folds: int = 0) -> MotifFeatures:
    made = MotifFeatures(widths, bags, folds)
    for number, width in enumerate(widths):
        made.get_buffer(f"odds{number}").copy_(noise(4, width, seed=number) * scale)
    return made


def towers() -> Model:
    beside = motifs(8, 21, 13, 13, 13, 13, bags=2, folds=2)
    return build_model("towers", window=WINDOW, n_tasks=3, seed=0, motifs=beside)


MODELS: dict[str, tuple[int, Callable[[], Model]]] = {
    "towers": (WINDOW, towers),
    "towers, a bank that is not symmetric": (
        NARROW,
        lambda: build_model("towers", window=NARROW, n_tasks=2, seed=1),
    ),
    "cnn": (
        NARROW,
        lambda: build_model("cnn", window=NARROW, n_tasks=3, seed=2, link="exclusive"),
    ),
    "cnn, batch norm last": (
        NARROW,
        lambda: build_model("cnn", window=NARROW, n_tasks=1, seed=3, order="relu-bn"),
    ),
    "danq": (NARROW, lambda: build_model("danq", window=NARROW, n_tasks=1, seed=6)),
    "bank": (
        WINDOW,
        lambda: build_model("motif-bank", window=WINDOW, n_tasks=2, seed=4, filters=96, width=32),
    ),
    "bank with blocks": (
        NARROW,
        lambda: build_model(
            "motif-bank", window=NARROW, n_tasks=2, seed=5, motifs=motifs(11), filters=40,
            width=24, blocks=2, pool=7, kernel=11,
        ),
    ),
}  # fmt: skip


def along(stride: int, n: int, offset: int = 0) -> np.ndarray:
    return offset + stride * np.arange(n)


STARTS: dict[str, np.ndarray] = {
    **{f"every {stride}": along(stride, 9, stride % 5) for stride in (1, 10, 27, 50, 64, 100)},
    "every 45": along(45, 9),
    "every 200": along(200, 4),
    "uneven": np.cumsum([3, 1, 0, 50, 51, 50, 49, 7, 13, 90]),
    "far apart": np.concatenate([along(9, 5), along(9, 7, 1500), along(9, 4, 2904)]),
    "one": np.array([17]),
    "none": np.array([], dtype=np.int64),
}


def codes_with_n(length: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, length, dtype=np.uint8)
    codes[rng.integers(0, length, length // 60)] = N
    codes[300:330] = N
    return codes


CODES = codes_with_n(3200)


def windows(starts: np.ndarray, width: int) -> np.ndarray:
    return CODES[starts[:, None] + np.arange(width)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of windows is worth the tables."""
    monkeypatch.setattr(score, "MIN_WINDOWS", 1)


@pytest.mark.parametrize("name", MODELS)
def test_equal_to_window_by_window_at_any_stride_and_phase(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    width, make = MODELS[name]
    model = lively(make())
    plain: list[int] = []

    def counted(*args: object, **how: object) -> np.ndarray:
        plain.append(1)
        return score_codes(*args, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(score, "score_codes", counted)
    for which, starts in STARTS.items():
        for strands in ("both", "forward"):
            ticks: list[int] = []
            plain.clear()
            found = score_windows(
                model, CODES, starts, width, strands=strands, batch_size=8, tick=ticks.append
            )
            with kernels.use(False):
                expected = score_codes(model, windows(starts, width), strands=strands)
            assert found.shape == expected.shape
            assert found.dtype == np.float32
            assert np.abs(found - expected).max(initial=0) < 2e-5, (which, strands)
            assert sum(ticks) == len(starts)
            assert bool(plain) == (which == "none"), which
    assert model.training


@pytest.mark.parametrize("n", [1, 63, 64])
def test_few_windows_are_not_worth_tables(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.undo()  # of `small`
    monkeypatch.setattr(module.Sharing, "of", lambda model, window: seen.append(window))
    model = build_model("cnn", window=90, n_tasks=1, seed=0)
    score_windows(model, CODES, along(10, n), 90)
    assert bool(seen) == (n == 64)


@pytest.mark.parametrize("name", MODELS)
def test_sequences_of_their_own_are_looked_up_too(name: str) -> None:
    width, make = MODELS[name]
    model, rows = lively(make()), windows(np.random.default_rng(0).permutation(2900)[:21], width)
    for function in (score_codes, score_features):
        for strands in ("both", "forward"):
            found = function(model, rows, strands=strands, batch_size=8)
            with kernels.use(False):
                expected = function(model, rows, strands=strands)
            assert found.shape == expected.shape
            assert np.abs(found - expected).max() < 2e-5, (function.__name__, strands)
    assert score_features(model, rows[:0]).shape == (0, model.head.in_features)


def test_windows_are_scanned_along_their_stretch_where_that_is_less() -> None:
    for stride, less in ((1, True), (75, True), (100, False), (250, False)):
        starts = along(stride, 100)
        assert overlap(torch.zeros(starts[-1] + 200), starts, 200) == less


def test_batches_do_not_matter() -> None:
    model, starts = lively(towers()), STARTS["uneven"]
    one = score_windows(model, CODES, starts, WINDOW)
    for size in (1, 3):
        other = score_windows(model, CODES, starts, WINDOW, batch_size=size)
        assert np.abs(one - other).max() < 1e-5


@pytest.mark.parametrize("workers", [2, 64])
def test_neither_do_workers(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, starts, codes, found = towers(), along(50, 40), codes_with_n(4_000), []
    for n in (1, workers):
        monkeypatch.setattr("cistransfer.cpus.n_workers", lambda n=n: n)
        found.append(score_windows(model, codes, starts, 200, batch_size=16))
    assert (found[0] == found[1]).all()


def test_occupancies_too_small_or_large_for_a_sum_are_logarithms() -> None:
    for scale in (60.0, -60.0):
        steep = MotifFeatures([25, 6])
        steep.get_buffer("odds0").fill_(-scale)  # e ** ±1500
        steep.get_buffer("odds1").copy_(noise(4, 6))
        model = build_model("motif-bank", window=200, n_tasks=1, seed=0, motifs=steep, filters=8,
                            width=8)  # fmt: skip
        with torch.no_grad():
            model.head.weight.fill_(1e-3)
        found = score_windows(model, CODES, along(10, 40), WINDOW)
        assert np.isfinite(found).all()
        with kernels.use(False):
            expected = score_codes(model, windows(along(10, 40), WINDOW))
        assert np.allclose(found, expected, rtol=1e-5)


class Own(CNN):
    """A network that is no `CNN` any more."""

    def features(self, x: Tensor) -> Tensor:
        return super().features(x) + x.sum(dim=(1, 2))[:, None]


def hooked(model: Model) -> Model:
    model.conv2[0].register_forward_hook(lambda module, given, out: out + 1)
    return model


def other_pooling(model: Model) -> Model:
    model.conv2[3] = nn.AvgPool2d((1, 3))
    return model


@pytest.mark.parametrize(
    "make",
    [
        lambda: Model(Own(NARROW)),
        lambda: hooked(build_model("cnn", window=NARROW, n_tasks=1, seed=0)),
        lambda: other_pooling(build_model("cnn", window=NARROW, n_tasks=1, seed=0)),
        lambda: build_model("chromtransfer", window=NARROW, n_tasks=1, seed=0),
        lambda: build_model("cnn", window=NARROW, n_tasks=1, seed=0).network,
        lambda: build_model("cnn", window=NARROW, n_tasks=1, seed=0).double(),
    ],
    ids=["subclass", "hook", "module", "chromtransfer", "network", "double"],
)
def test_every_other_model_is_asked_window_by_window(make: Callable[[], nn.Module]) -> None:
    model = make().eval()
    with torch.inference_mode():
        assert module.Sharing.of(model, NARROW) is None
    if next(model.parameters()).dtype == torch.float64:
        return  # `one_hot` is float32
    found = score_windows(model, CODES, along(10, 12), NARROW)
    assert np.array_equal(found, score_codes(model, windows(along(10, 12), NARROW)))


def test_so_are_all_without_kernels() -> None:
    model = build_model("cnn", window=NARROW, n_tasks=1, seed=0).eval()
    with torch.inference_mode():
        assert module.Sharing.of(model, NARROW) is not None
    with kernels.use(False), torch.inference_mode():
        assert module.Sharing.of(model, NARROW) is None
        found = score_windows(model, CODES, along(10, 12), NARROW)
        assert np.array_equal(found, score_codes(model, windows(along(10, 12), NARROW)))
    with pytest.raises(InputError, match="strands must be"):
        score_windows(model, CODES, along(10, 12), NARROW, strands="reverse")


@pytest.mark.parametrize(("filters", "kernel"), [(5, 1), (130, 4), (300, 19)])
def test_a_look_up_is_the_convolution(filters: int, kernel: int) -> None:
    weight, bias = noise(filters, 4, kernel), noise(filters, seed=1)
    codes = torch.from_numpy(CODES[:1200])
    expected = nn.functional.conv1d(one_hot(codes[None]), weight, bias)[0].t()
    lookup = Lookup(weight, bias)
    assert torch.allclose(lookup.scores(codes), expected, atol=1e-5)
    other = nn.functional.conv1d(one_hot(codes[None]), weight.flip(1, 2))[0].t()
    for width in (1, 2, 13):
        highest = nn.functional.max_pool1d(torch.maximum(expected, other).t(), width, 1).t()
        found = lookup.maxima(codes, width, Lookup(weight.flip(1, 2)))
        assert torch.allclose(found, highest, atol=1e-5)
        starts = np.array([700, 3, 40])
        apart = lookup.maxima_apart(codes, starts, 57, width, Lookup(weight.flip(1, 2)))
        at = starts[:, None] + width * np.arange(57 // width)
        assert torch.allclose(apart, highest[torch.from_numpy(at)], atol=1e-5)


@pytest.mark.parametrize("width", [1, 2, 3, 8, 13])
@pytest.mark.parametrize("gap", [1, 3])
def test_a_sliding_maximum(width: int, gap: int) -> None:
    rows = noise(60, 4)
    count = 60 - (width - 1) * gap
    expected = torch.stack([rows[at : at + width * gap : gap].amax(0) for at in range(count)])
    assert torch.equal(slide(rows, width, gap), expected)
    out = torch.empty_like(expected)
    assert slide(rows, width, gap, out=out) is out
    assert torch.equal(out, expected)


def test_sums_of_neighbouring_rows() -> None:
    rows, starts, counts = noise(90, 4).double(), np.array([0, 3, 3, 40, 53]), [1, 8, 29, 37]
    expected = [[rows[at : at + n, k].sum() for k, n in enumerate(counts)] for at in starts]
    assert torch.allclose(sum_along(rows, starts, counts), torch.tensor(expected).double())


@pytest.mark.parametrize("stride", [1, 6, 9, 10])
def test_poolings_are_those_of_every_window(stride: int) -> None:
    rows, starts = noise(150, 5), along(stride, 8)
    found = Along(rows, starts, 47, 1).pooled(3).pooled(3)
    each = torch.stack([rows[at : at + 47].t() for at in starts])
    expected = nn.functional.max_pool1d(nn.functional.max_pool1d(each, 3), 3)
    assert torch.equal(found.gathered().squeeze(2), expected)
    assert len(found.rows) <= 150 // np.gcd(stride, 9) + 1
