"""When memory is short a batch is computed in parts, and says so."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from toys import Tiny, phase, tiny, tiny_examples

from cistransfer.errors import InputError
from cistransfer.models.model import Model
from cistransfer.training.allocator import keeping_freed_memory
from cistransfer.training.loop import fit


class Short(Tiny):
    """Stands for a GPU that holds only so many examples."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.sizes = most, []
        self.load_state_dict(tiny().state_dict())

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        if self.training:
            self.sizes.append(len(x))
        return super().forward(x)


SETTING = {"epochs": 2, "frozen_statistics": ["*"], "strands": "forward", "learning_rate": 1e-3}


@pytest.mark.parametrize(("most", "parts"), [(8, 1), (7, 2), (4, 2), (3, 4), (2, 4)])
def test_parts_have_the_gradient_of_the_whole(
    most: int, parts: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels are missing at random, so that the parts weigh differently; no batch statistics."""
    whole, short = tiny(), Short(most)
    for model in (whole, short):
        model.dense1.dropout.p = 0.0
    expected = fit(whole, tiny_examples(), [phase(**SETTING)], run="x", seed=0)
    found = fit(Model(short), tiny_examples(), [phase(**SETTING)], run="x", seed=0)
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(short.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)
    for one, two in zip(expected, found, strict=True):
        assert two["train_loss"] == pytest.approx(one["train_loss"], rel=1e-5)
    said = capsys.readouterr().err
    assert set(short.sizes) == {8 // parts}
    assert ("out of memory" in said) == (parts > 1)
    if parts > 1:
        assert f"computed in {parts} parts of {8 // parts} examples" in said


def test_a_small_last_batch_is_not_cut_below_two() -> None:
    short = Short(4)
    fit(
        Model(short),
        tiny_examples(),
        [phase(epochs=1, batch_size=37, strands="forward")],
        run="x",
        seed=0,
    )
    assert min(short.sizes) >= 1
    assert short.sizes[-1] == 3  # 40 = 37 + 3; the rest is smaller than what fits


def test_too_little_memory_for_two_examples() -> None:
    with pytest.raises(InputError, match="does not suffice for two examples"):
        fit(Model(Short(1)), tiny_examples(), [phase(epochs=1)], run="x", seed=0)


def test_the_allocator_keeps_nothing_else_changed() -> None:
    with keeping_freed_memory():
        kept = torch.zeros(1000)
    assert not kept.any()
