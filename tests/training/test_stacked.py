"""Models trained as one stacked network end where each ends alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toys import WINDOW, phase, tiny, tiny_examples

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.genome.bed import regions_table
from cistransfer.models.kernels.dropout import Dropout
from cistransfer.models.model import Model
from cistransfer.models.registry import build_model
from cistransfer.training.loop import fit
from cistransfer.training.stacked import fit_stacked
from cistransfer.training.strategy import Phase, Probe

IDLE = ["conv*.conv.bias", "dense*.linear.bias"]
"""Before a batch norm their gradient is rounding error, which Adam scales up to full steps."""


class _Small(nn.Module):
    """As the toy network, with the package's dropout."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        base = tiny(seed, 1)
        base.dense1.dropout = Dropout(0.3)
        self.conv1, self.dense1, self.head = base.conv1, base.dense1, base.head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dense1(self.conv1(x).flatten(1)))


def small(seed: int) -> Model:
    return Model(_Small(seed))


def windows(n: int, length: int, seed: int) -> ExampleSet:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, length), dtype=np.uint8)
    gc = ((codes == 1) | (codes == 2)).mean(axis=1)
    labels = (gc > np.median(gc)).astype(np.int8)[:, None]
    labels[rng.random(labels.shape) < 0.1] = -1
    start = np.arange(n) * 1000
    part = np.where(np.arange(n) % 3 == 2, "valid", "train").astype(object)
    regions = regions_table(["chr1"] * n, start, start + length, part=part)
    return ExampleSet(codes, labels, regions, ("A",), {})


def assert_alike(stacked: list[nn.Module], alone: list[nn.Module], tolerance: float) -> None:
    for one, two in zip(stacked, alone, strict=True):
        for name, tensor in two.state_dict().items():
            torch.testing.assert_close(
                one.state_dict()[name], tensor, rtol=tolerance, atol=tolerance, msg=name
            )


def assert_same_history(found: list, expected: list) -> None:
    for one, two in zip(found, expected, strict=True):
        assert [row["epoch"] for row in one] == [row["epoch"] for row in two]
        assert [row["best"] for row in one] == [row["best"] for row in two]
        assert [row["phase"] for row in one] == [row["phase"] for row in two]
        for entry in ("train_loss", "valid_loss", "valid_aucpr"):
            ours, theirs = ([row[entry] for row in rows] for rows in (one, two))
            assert ours == pytest.approx(theirs, rel=2e-3, abs=2e-4)


def test_stacked_equals_alone() -> None:
    """Other sizes, seeds, rates and patience; two phases, strands, shifts, L2, rates by block."""
    sizes, rates, patience = (60, 100, 75, 41), (1e-2, 3e-3, 1e-2, 3e-2), (1, 2, 20, 3)
    plans = [
        [
            phase(name="head", train=["head"], epochs=2, steps_per_epoch=5, strands="random"),
            phase(
                name="all", epochs=12, patience=limit, learning_rate=rate, shift=2,
                schedule="one-cycle", weight_decay=0.01, l2={"conv*.conv.weight": 1e-3},
                rates={"conv1": 0.5}, strands="both", monitor="loss", freeze=IDLE,
            ),
        ]
        for rate, limit in zip(rates, patience, strict=True)
    ]  # fmt: skip
    data = [windows(n, WINDOW, seed=n) for n in sizes]
    alone = [small(seed) for seed in range(4)]
    expected = [
        fit(model, own, plan, run="x", seed=10 + at)
        for at, (model, own, plan) in enumerate(zip(alone, data, plans, strict=True))
    ]
    stacked = [small(seed) for seed in range(4)]
    state = torch.random.get_rng_state()
    found = fit_stacked(stacked, data, plans, seeds=[10, 11, 12, 13])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert_same_history(found, expected)
    assert_alike(stacked, alone, 1e-3)
    assert len({len(rows) for rows in expected}) > 1  # they stopped at different epochs
    again = [small(seed) for seed in range(4)]
    fit_stacked(again, data, plans, seeds=[11, 10, 12, 13])
    assert not torch.allclose(again[0].head.weight, stacked[0].head.weight, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "window"), [("towers", 90), ("chromtransfer", 40), ("motif-bank", 45)]
)
def test_networks_of_the_registry(name: str, window: int) -> None:
    data = [windows(n, window, seed=n) for n in (24, 33)]
    idle = () if name == "motif-bank" else IDLE  # its convolutions have no biases
    plan = [phase(epochs=1, steps_per_epoch=3, learning_rate=1e-4, strands="random", freeze=idle)]
    models = [
        [build_model(name, window=window, n_tasks=1, seed=seed) for seed in (0, 1)]
        for _ in range(2)
    ]
    expected = [fit(models[0][at], data[at], plan, run="x", seed=at) for at in range(2)]
    found = fit_stacked(models[1], data, [plan, plan], seeds=[0, 1])
    assert_same_history(found, expected)
    assert_alike(models[1], models[0], 5e-4)


def test_what_is_frozen_stays_in_every_model() -> None:
    models = [small(seed) for seed in range(2)]
    before = [{k: v.clone() for k, v in model.state_dict().items()} for model in models]
    plan = [phase(freeze=["conv1"], epochs=2)]
    fit_stacked(models, [windows(40, WINDOW, 0)] * 2, [plan] * 2, seeds=[0, 1])
    for model, old in zip(models, before, strict=True):
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, old[name]) == name.startswith("conv1"), name


def test_what_fails_alone_fails_alone_and_stops_no_other() -> None:
    """Three models, of which one blows up: its error, as it is alone, stands for its history."""
    data = windows(30, WINDOW, 0)
    plans = [[phase(learning_rate=rate, epochs=2, freeze=IDLE)] * 2 for rate in (1e-3, 1e30, 1e-3)]
    models = [small(0), small(1), small(2)]
    found = fit_stacked(models, [data] * 3, plans, seeds=[0, 1, 2])
    with pytest.raises(InputError, match="loss is not a number in epoch 1") as alone:
        fit(small(1), data, plans[1], run="", seed=1)
    assert isinstance(found[1], InputError)
    assert str(found[1]) == str(alone.value)
    for at in (0, 2):
        model = small(at)
        assert_same_history([found[at]], [fit(model, data, plans[at], run="", seed=at)])
        assert_alike([models[at]], [model], 1e-3)


@pytest.mark.parametrize("dropout", [nn.Dropout, Dropout])
def test_dropout_is_drawn_as_alone(dropout: type[nn.Dropout]) -> None:
    """PyTorch's own draws too, from the generator of the model's device."""
    models = [small(seed) for seed in (0, 1, 0, 1)]
    for model in models:
        model.network.dense1.dropout = dropout(0.5)
    data, plan = windows(40, WINDOW, 0), [phase(epochs=2, learning_rate=1e-4, freeze=IDLE)]
    expected = [fit(models[at], data, plan, run="", seed=at) for at in (0, 1)]
    found = fit_stacked(models[2:], [data] * 2, [plan] * 2, seeds=[0, 1])
    assert_same_history(found, expected)
    assert_alike(models[2:], models[:2], 1e-4)


def test_bf16() -> None:
    models = [small(seed) for seed in range(2)]
    plan = [phase(epochs=1)]
    history = fit_stacked(
        models, [windows(40, WINDOW, 0)] * 2, [plan] * 2, seeds=[0, 1], precision="bf16"
    )
    assert all(0 < rows[0]["train_loss"] < 2 for rows in history)


def test_what_cannot_be_stacked_is_refused() -> None:
    data = windows(30, WINDOW, 0)
    plan: list[Phase] = [phase()]
    wrong: list[tuple[list, list, list, str]] = [
        ([small(0)], [data, data], [plan], "as many models, examples, phases and seeds"),
        ([small(0), tiny(0, 2)], [data] * 2, [plan] * 2, "model 1 is not of the architecture"),
        ([small(0)] * 2, [data] * 2, [plan, [phase(batch_size=4)]], "the phases of model 1 differ"),
        ([small(0)], [data], [[Probe(kind="probe", name="p")]], "only gradient phases"),
        (
            [build_model("danq", window=60, n_tasks=1, seed=0)],
            [windows(30, 60, 0)],
            [plan],
            "recurrent networks",
        ),
    ]
    for models, examples, phases, message in wrong:
        with pytest.raises(InputError, match=message):
            fit_stacked(models, examples, phases, seeds=[0] * len(models))
    none = tiny_examples(3, n_tasks=1)
    with pytest.raises(InputError, match="model 0: the valid part"):
        fit_stacked(
            [small(0)],
            [ExampleSet(none.codes, none.labels, none.regions.assign(part="train"), ("A",), {})],
            [plan],
            seeds=[0],
        )
