"""A phase whose start counts keeps what it began with when no epoch is better."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from toys import phase, tiny, tiny_examples

from cistransfer.training import loop
from cistransfer.training.loop import fit, validate
from cistransfer.training.strategy import Probe

HARM = {"learning_rate": 300.0, "epochs": 3, "name": "harm"}


def same(model: nn.Module, state: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def snapshot(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("monitor", ["loss", "aucpr"])
def test_the_start_is_kept_when_nothing_is_better(monitor: str) -> None:
    examples = tiny_examples()
    settings = [Probe(kind="probe", name="probe", repeats=1)]
    model = tiny()
    fit(model, examples, settings, run="x", seed=0)
    before, measured = snapshot(model), validate(model, examples)
    harm = phase(**HARM, monitor=monitor, start_counts=True, frozen_statistics=["*"])
    history = fit(model, examples, [harm], run="y", seed=0)
    first, *epochs = history
    assert (first["epoch"], first["train_loss"], first["best"]) == (0, None, True)
    assert (first["valid_loss"], first["valid_aucpr"]) == pytest.approx(measured)
    assert [row["epoch"] for row in epochs] == [1, 2, 3]
    better = [row for row in epochs if row["best"]]
    if monitor == "loss":
        assert not better
        assert same(model, before)
    elif not better:
        assert same(model, before)
    without = tiny()
    without.load_state_dict(before)
    history = fit(without, examples, [phase(**HARM, monitor=monitor)], run="z", seed=0)
    assert not same(without, before)
    assert history[0]["epoch"] == 1


def test_a_better_epoch_is_kept() -> None:
    examples = tiny_examples()
    model = tiny()
    start = validate(model, examples)[0]
    history = fit(model, examples, [phase(epochs=8, start_counts=True)], run="x", seed=0)
    best = min(row["valid_loss"] for row in history)
    assert best < start
    assert validate(model, examples)[0] == pytest.approx(best, abs=1e-6)


def test_patience_counts_from_the_start() -> None:
    history = fit(
        tiny(), tiny_examples(),
        [Probe(kind="probe", name="probe", repeats=1),
         phase(**{**HARM, "epochs": 50}, start_counts=True, patience=2, frozen_statistics=["*"])],
        run="x", seed=0,
    )  # fmt: skip
    rows = [row for row in history if row["phase"] == "harm"]
    last = max(row["epoch"] for row in rows if row["best"])
    assert rows[-1]["epoch"] == last + 2


@pytest.mark.parametrize("at", [1, 5, 6, 9])
def test_resumed_equals_uninterrupted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at: int
) -> None:
    """The start is measured once, also when the run goes on from a checkpoint."""
    examples = tiny_examples()
    settings = [
        Probe(kind="probe", name="probe", repeats=1),
        phase(**HARM, start_counts=True, frozen_statistics=["*"]),
    ]
    whole = tiny()
    expected = fit(whole, examples, settings, run="x", seed=0)
    real, count = loop.train_step, 0

    def step(*arguments: object) -> float:
        nonlocal count
        count += 1
        if count == at:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "train_step", step)
    place = tmp_path / "checkpoint.safetensors"
    options = {"run": "x", "seed": 0, "checkpoint": place, "checkpoint_seconds": 0.0}
    with pytest.raises(KeyboardInterrupt):
        fit(tiny(), examples, settings, **options)  # type: ignore[arg-type]
    resumed = tiny()
    found = fit(resumed, examples, settings, **options)  # type: ignore[arg-type]
    assert same(resumed, snapshot(whole))
    for rows in (expected, found):
        for row in rows:
            row["seconds"] = 0
    assert found == expected
