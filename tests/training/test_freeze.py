"""What a phase trains, and that what is frozen is bit-identical, statistics included."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from toys import phase, tiny, tiny_examples

from cistransfer.errors import InputError
from cistransfer.training.freeze import apply_phase, copy_transferred, fits, parameter_groups
from cistransfer.training.loop import fit


def _trained(**changes: object) -> dict[str, bool]:
    """Whether each tensor changed in a short training under a phase."""
    model = tiny()
    with torch.no_grad():
        for _ in range(5):
            model.train()(torch.randn(16, 4, 12, generator=torch.Generator().manual_seed(0)))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fit(model, tiny_examples(), [phase(**changes)], run="x", seed=0)
    after = model.state_dict()
    return {name: not torch.equal(after[name], before[name]) for name in before}


def _blocks(changed: dict[str, bool], statistics: bool) -> dict[str, set[bool]]:
    found: dict[str, set[bool]] = {}
    for name, value in changed.items():
        is_statistic = "running" in name or "tracked" in name
        if is_statistic == statistics:
            found.setdefault(name.split(".")[0], set()).add(value)
    return found


def test_all_is_trained() -> None:
    assert all(_trained().values())


@pytest.mark.parametrize("train", [["head"], ["dense*", "head"], ["conv1"], ["dense1.linear"]])
def test_what_is_frozen_is_bit_identical_with_its_statistics(train: list[str]) -> None:
    for name, changed in _trained(train=train).items():
        assert changed == fits(name, train), name


def test_frozen_statistics_under_trained_weights() -> None:
    changed = _trained(frozen_statistics=["*"])
    assert _blocks(changed, statistics=True) == {"conv1": {False}, "dense1": {False}}
    assert _blocks(changed, statistics=False) == {
        "conv1": {True},
        "dense1": {True},
        "head": {True},
    }
    one = _blocks(_trained(frozen_statistics=["conv1"]), statistics=True)
    assert one == {"conv1": {False}, "dense1": {True}}


def test_the_published_freezing_drifts() -> None:
    changed = _trained(train=["dense*", "head"], drifting_statistics=["conv*"])
    assert _blocks(changed, statistics=False) == {
        "conv1": {False},
        "dense1": {True},
        "head": {True},
    }
    assert _blocks(changed, statistics=True) == {"conv1": {True}, "dense1": {True}}


def test_dropout_of_a_frozen_block_sleeps() -> None:
    model = tiny()
    apply_phase(model, phase(train=["head"]))
    assert not model.dense1.dropout.training
    assert not model.dense1.norm.training
    apply_phase(model, phase(train=["dense1.linear", "head"]))
    assert model.dense1.dropout.training is False or model.dense1.linear.weight.requires_grad
    apply_phase(model, phase())
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_rates_by_block() -> None:
    model = tiny()
    setting = phase(learning_rate=0.1, rates={"*": 0.5, "conv*": 0.1, "conv1.norm": 2.0})
    apply_phase(model, setting)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {
        names[id(parameter)]: group["lr"]
        for group in parameter_groups(model, setting)
        for parameter in group["params"]
    }
    assert rates == pytest.approx(
        {
            "conv1.conv.weight": 0.01,
            "conv1.conv.bias": 0.01,
            "conv1.norm.weight": 0.2,
            "conv1.norm.bias": 0.2,
            "dense1.linear.weight": 0.05,
            "dense1.linear.bias": 0.05,
            "dense1.norm.weight": 0.05,
            "dense1.norm.bias": 0.05,
            "head.weight": 0.05,
            "head.bias": 0.05,
        }
    )


def test_only_trained_parameters_are_in_the_optimiser() -> None:
    model = tiny()
    setting = phase(train=["head"], rates={"conv1": 5.0})
    apply_phase(model, setting)
    groups = parameter_groups(model, setting)
    assert [id(p) for g in groups for p in g["params"]] == [id(p) for p in model.head.parameters()]


def test_a_rate_of_zero_changes_nothing() -> None:
    changed = _trained(rates={"conv1": 0.0})
    assert _blocks(changed, statistics=False)["conv1"] == {False}
    assert _blocks(changed, statistics=False)["head"] == {True}


@pytest.mark.parametrize("entry", ["train", "frozen_statistics", "drifting_statistics"])
def test_patterns_that_fit_nothing_are_refused(entry: str) -> None:
    with pytest.raises(InputError, match=rf"phase 'one', {entry}: no module fits 'convv'; .*conv1"):
        apply_phase(tiny(), phase(**{entry: ["convv"]}))
    model = tiny()
    with pytest.raises(InputError, match=r"phase 'one', rates: no module fits 'x'"):
        parameter_groups(model, phase(rates={"x": 1.0}))


@pytest.mark.parametrize(
    ("transfer", "expected"),
    [
        (["*"], {"conv1", "dense1"}),
        (["conv*"], {"conv1"}),
        (["conv1.conv"], {"conv1.conv"}),
        (["dense1", "head"], {"dense1"}),
    ],
)
def test_transferred_tensors_are_equal_and_the_others_fresh(
    transfer: list[str], expected: set[str]
) -> None:
    trunk, model, fresh = tiny(1), tiny(2), tiny(2)
    for made in (trunk, model):
        for module in made.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.normal_(generator=torch.Generator().manual_seed(id(made) % 99))
    trunk.conv1.norm.num_batches_tracked += 3
    held = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    source = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    copied = copy_transferred(model, trunk, transfer)
    for name, tensor in model.state_dict().items():
        moved = any(name.startswith(f"{block}.") for block in expected)
        assert (name in copied) == moved
        assert torch.equal(tensor, source[name] if moved else held[name]), name
    assert all(torch.equal(t, source[name]) for name, t in trunk.state_dict().items())
    assert torch.equal(model.head.weight, fresh.head.weight)
    with torch.no_grad():
        model.conv1.conv.weight.zero_()
    assert torch.equal(trunk.conv1.conv.weight, source["conv1.conv.weight"])  # no shared memory


def test_patterns_name_blocks() -> None:
    assert fits("conv1.norm.running_mean", ["conv1"])
    assert fits("dense1.linear.weight", ["dense?"])
    assert not fits("conv10.conv.weight", ["conv1"])
    assert not fits("head.weight", ["dense*"])
