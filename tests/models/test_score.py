"""Scoring: invariances, strands, N, and the model handed back as it came."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from torch import nn

from cistransfer.errors import InputError
from cistransfer.genome.codes import encode, reverse_complement
from cistransfer.models.blocks import one_hot, reverse_codes
from cistransfer.models.registry import build_model
from cistransfer.models.score import (
    at_once,
    choose_device,
    score_codes,
    score_features,
    with_copies,
)


class CountBases(nn.Module):
    """A toy model with exact answers: how many A, C, G, T, weighted 1, 10, 100, 1000."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 10.0, 100.0, 1000.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.sum(2) * self.weight).sum(1, keepdim=True)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(2)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    made = build_model("cnn", window=100, n_tasks=3, seed=4)
    made.eval()
    return made


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 5, (33, 100), dtype=np.uint8)


def test_one_hot() -> None:
    x = one_hot(torch.from_numpy(encode("ACGTN")[None].copy()))
    expected = [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]]
    assert x.shape == (1, 4, 5)
    assert x[0].tolist() == expected
    assert one_hot(torch.zeros((2, 3), dtype=torch.uint8), torch.bfloat16).dtype == torch.bfloat16


def test_reverse_codes_equal_the_genome_rooms(codes: np.ndarray) -> None:
    found = reverse_codes(torch.from_numpy(codes)).numpy()
    assert (found == reverse_complement(codes)).all()


def test_exact_scores_of_a_toy_model() -> None:
    rows = np.stack([encode("AACGN"), encode("TTTTT")])
    assert score_codes(CountBases(), rows, strands="forward").tolist() == [[112.0], [5000.0]]
    assert score_codes(CountBases(), rows).tolist() == [[(112 + 2110) / 2], [(5000 + 5) / 2]]
    assert score_features(CountBases(), rows, strands="forward").tolist() == [
        [2, 1, 1, 0],
        [0, 0, 0, 5],
    ]
    assert score_features(CountBases(), rows)[1].tolist() == [2.5, 0, 0, 2.5]


@pytest.mark.parametrize("batch_size", [1, 2, 7, 33, 512])
@pytest.mark.parametrize("strands", ["both", "forward"])
def test_the_batch_size_does_not_matter(
    model: nn.Module, codes: np.ndarray, batch_size: int, strands: str
) -> None:
    expected = score_codes(model, codes, strands=strands, batch_size=16)
    found = score_codes(model, codes, strands=strands, batch_size=batch_size)
    assert found.dtype == np.float32
    assert found.shape == (33, 3)
    assert np.abs(found - expected).max() < 1e-5


def test_both_strands_are_the_mean_of_the_two(model: nn.Module, codes: np.ndarray) -> None:
    forward = score_codes(model, codes, strands="forward")
    backward = score_codes(model, reverse_complement(codes), strands="forward")
    both = score_codes(model, codes)
    assert np.abs(both - (forward + backward) / 2).max() < 1e-6
    assert np.abs(both - score_codes(model, reverse_complement(codes))).max() < 1e-6
    assert np.abs(forward - backward).max() > 1e-3
    with pytest.raises(InputError, match="strands must be 'both' or 'forward', found 'minus'"):
        score_codes(model, codes, strands="minus")


def test_row_order_does_not_matter(model: nn.Module, codes: np.ndarray) -> None:
    order = np.random.default_rng(2).permutation(len(codes))
    assert np.abs(score_codes(model, codes)[order] - score_codes(model, codes[order])).max() < 1e-5


def test_an_n_contributes_nothing(model: nn.Module) -> None:
    """Its first-layer response is that of the column's absence: the bias and the other columns."""
    seen: list[torch.Tensor] = []
    hook = model.conv1.conv.register_forward_hook(lambda _, __, out: seen.append(out.clone()))
    row = np.random.default_rng(3).integers(0, 4, (1, 100), dtype=np.uint8)
    masked = row.copy()
    masked[0, 50] = 4
    score_codes(model, row, strands="forward")
    score_codes(model, masked, strands="forward")
    hook.remove()
    weight = model.conv1.conv.weight.detach()[:, int(row[0, 50])]
    difference = (seen[0] - seen[1])[0, :, 0]
    for position in range(82):
        offset = 50 - position
        expected = weight[:, offset] if 0 <= offset < 19 else torch.zeros(100)
        assert torch.allclose(difference[:, position], expected, atol=1e-5)
    all_n = np.full((1, 100), 4, dtype=np.uint8)
    assert np.isfinite(score_codes(model, all_n)).all()


def test_the_model_comes_back_as_it_was(codes: np.ndarray) -> None:
    model = build_model("cnn", window=100, n_tasks=1, seed=0)
    model.train()
    model.conv2.eval()
    model.dense1.linear.weight.requires_grad_(False)
    modes = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    flags = [p.requires_grad for p in model.parameters()]
    rng = torch.random.get_rng_state()
    before = codes.copy()
    first = score_codes(model, codes)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()] == flags
    assert next(model.parameters()).device.type == "cpu"
    assert (torch.random.get_rng_state() == rng).all()
    assert (codes == before).all()
    assert (score_codes(model, codes) == first).all()  # no dropout


def test_the_modes_come_back_after_an_error(model: nn.Module) -> None:
    made = build_model("cnn", window=100, n_tasks=1, seed=0).train()
    with pytest.raises(RuntimeError):
        score_codes(made, np.zeros((2, 60), dtype=np.uint8))
    assert all(module.training for module in made.modules())


def test_memory_maps_and_nothing(model: nn.Module, codes: np.ndarray, tmp_path) -> None:
    np.save(tmp_path / "codes.npy", codes)
    mapped = np.load(tmp_path / "codes.npy", mmap_mode="r")
    assert (score_codes(model, mapped) == score_codes(model, codes)).all()
    assert score_codes(model, codes[:0]).shape == (0, 3)


def test_progress_is_told(model: nn.Module, codes: np.ndarray) -> None:
    told: list[int] = []
    score_codes(model, codes, batch_size=10, tick=told.append)
    assert told == [10, 10, 10, 3]


def test_features_are_what_the_head_reads(model: nn.Module, codes: np.ndarray) -> None:
    features = torch.from_numpy(score_features(model, codes, strands="forward"))
    logits = model.head(features).detach().numpy()
    assert np.abs(logits - score_codes(model, codes, strands="forward")).max() < 1e-5


def test_devices() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(InputError, match="device 'banana' cannot be used here"):
        choose_device("banana")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="device 'cuda' cannot be used here") as caught:
            choose_device("cuda")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [2, 64])
def test_scores_are_the_same_bits_with_any_number_of_workers(
    workers: int, model: nn.Module, codes: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = torch.get_num_threads()
    found, told = [], []
    for n in (1, workers):
        monkeypatch.setattr("cistransfer.cpus.n_workers", lambda n=n: n)
        found.append(score_codes(model, codes, batch_size=4, tick=told.append))
        found.append(score_features(model, codes, strands="forward", batch_size=4))
    assert (found[0] == found[2]).all()
    assert (found[1] == found[3]).all()
    assert told == [4] * 8 + [1] + [4] * 8 + [1]
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_each_worker_has_a_model_of_its_own(
    workers: int, model: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cistransfer.cpus.n_workers", lambda: workers)
    found = with_copies(lambda own, item: (own, item), model, "abcdefg")
    assert "".join(item for _, item in found) == "abcdefg"
    assert len({id(own) for own, _ in found}) == workers
    assert with_copies(lambda own, item: item, model, []) == []


def test_after_an_interrupt_no_batch_is_begun(
    model: nn.Module, codes: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cistransfer.cpus.n_workers", lambda: 2)
    threads, begun = torch.get_num_threads(), []

    def score(number: int) -> int:
        begun.append(number)
        time.sleep(0.02)
        return number

    def interrupted() -> None:
        with at_once(torch.device("cpu"), 500) as run:
            for _ in run(score, range(500)):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(begun) < 100
    time.sleep(0.1)
    assert len(begun) < 100
    assert torch.get_num_threads() == threads
