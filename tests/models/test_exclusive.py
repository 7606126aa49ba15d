"""Exclusive classes: softmax behind any architecture, in logits that the rest understands."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cistransfer.errors import InputError
from cistransfer.models.blocks import one_hot
from cistransfer.models.model import one_versus_rest
from cistransfer.models.registry import build_model


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_its_sigmoid_is_the_softmax(classes: int) -> None:
    scores = torch.randn(20, classes, generator=torch.Generator().manual_seed(1)) * 5
    expected = torch.softmax(scores.double(), dim=1)
    assert torch.allclose(torch.sigmoid(one_versus_rest(scores.double())), expected)


def test_extreme_scores_stay_finite() -> None:
    scores = torch.tensor([[500.0, -500.0, 0.0]], requires_grad=True)
    logits = one_versus_rest(scores)
    assert logits.tolist() == [[500.0, -1000.0, -500.0]]
    logits.sum().backward()
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()


def test_around_an_architecture() -> None:
    model = build_model("cnn", window=100, n_tasks=3, seed=1, link="exclusive").eval()
    plain = build_model("cnn", window=100, n_tasks=3, seed=1).eval()
    x = one_hot(torch.from_numpy(np.random.default_rng(0).integers(0, 4, (5, 100), dtype=np.uint8)))
    with torch.no_grad():
        assert torch.allclose(torch.sigmoid(model(x)), torch.softmax(plain(x), dim=1), atol=1e-6)
        assert torch.equal(model.features(x), plain.features(x))


def test_one_class_is_refused() -> None:
    with pytest.raises(InputError, match="at least two"):
        build_model("cnn", window=100, n_tasks=1, seed=1, link="exclusive")
    with pytest.raises(InputError, match="link must be one of independent, exclusive"):
        build_model("cnn", window=100, n_tasks=2, seed=1, link="softmax")


def test_the_loss_has_a_gradient_through_it() -> None:
    logits = nn.Parameter(torch.zeros(1, 2))
    one_versus_rest(logits)[0, 0].backward()
    assert logits.grad is not None
    assert logits.grad.tolist() == [[1.0, -1.0]]
