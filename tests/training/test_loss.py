"""The masked loss against a naive loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cistransfer.errors import InputError
from cistransfer.models.model import Model, one_versus_rest
from cistransfer.training.loss import choose_loss, exclusive_loss, masked_loss

PAIRS = st.lists(
    st.tuples(st.floats(-30, 30, width=32), st.sampled_from([-1, 0, 1])), min_size=1, max_size=12
)


def _naive(logits: list[float], labels: list[int]) -> float:
    losses = []
    for logit, label in zip(logits, labels, strict=True):
        if label != -1:
            signed = logit if label == 1 else -logit
            losses.append(max(-signed, 0) + math.log1p(math.exp(-abs(signed))))
    return sum(losses) / len(losses) if losses else 0.0


@given(PAIRS)
def test_against_a_loop(pairs: list[tuple[float, int]]) -> None:
    logits = torch.tensor([[pair[0]] for pair in pairs])
    labels = torch.tensor([[pair[1]] for pair in pairs], dtype=torch.int8)
    expected = _naive([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    assert float(masked_loss(logits, labels)) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_masked_labels_have_no_gradient() -> None:
    labels = torch.tensor([[1, -1, 0], [-1, -1, -1], [0, 1, -1]], dtype=torch.int8)
    logits = torch.linspace(-2, 2, 9).reshape(3, 3).requires_grad_()
    masked_loss(logits, labels).backward()
    assert logits.grad is not None
    assert ((logits.grad == 0) == (labels == -1)).all()
    expected = (torch.sigmoid(logits.detach()) - labels.clamp(min=0)) / 4
    assert torch.allclose(logits.grad[labels >= 0], expected[labels >= 0], atol=1e-6)


def test_a_masked_logit_does_not_matter() -> None:
    labels = torch.tensor([[1, -1], [0, -1]], dtype=torch.int8)
    one = torch.tensor([[0.5, 3.0], [1.0, -8.0]])
    other = torch.tensor([[0.5, -70.0], [1.0, 0.0]])
    assert masked_loss(one, labels) == masked_loss(other, labels)
    assert masked_loss(one, labels) == masked_loss(one[:, :1], labels[:, :1])


def test_nothing_resolved() -> None:
    logits = torch.ones(4, 2, requires_grad=True)
    loss = masked_loss(logits, torch.full((4, 2), -1, dtype=torch.int8))
    assert loss == 0
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_without_a_mask_it_is_the_published_loss() -> None:
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(7, 5)).astype(np.float32))
    labels = torch.from_numpy(rng.integers(0, 2, (7, 5)).astype(np.int8))
    published = torch.nn.BCEWithLogitsLoss()(logits, labels.float())
    assert torch.allclose(masked_loss(logits, labels), published)


def test_exclusive_classes_are_plain_cross_entropy() -> None:
    scores = torch.randn(8, 4, generator=torch.Generator().manual_seed(3))
    truth = torch.tensor([0, 3, 1, 1, 2, 0, 3, 2])
    labels = torch.nn.functional.one_hot(truth, 4).to(torch.int8)
    expected = torch.nn.functional.cross_entropy(scores, truth)
    assert torch.allclose(exclusive_loss(one_versus_rest(scores), labels), expected)


def test_a_row_of_no_class_carries_no_weight() -> None:
    logits = torch.tensor([[0.3, -0.3], [9.0, -9.0]])
    labels = torch.tensor([[1, 0], [-1, 0]], dtype=torch.int8)
    assert exclusive_loss(logits, labels) == exclusive_loss(logits[:1], labels[:1])
    assert exclusive_loss(logits, torch.zeros(2, 2)) == 0


def test_two_classes_at_once_are_refused() -> None:
    model = Model(torch.nn.Linear(1, 1), link="exclusive")
    with pytest.raises(InputError, match="1 examples belong to two classes"):
        choose_loss(model, np.array([[1, 1], [0, 1]]))
    assert choose_loss(model, np.array([[1, 0], [0, 1]])) is exclusive_loss
    assert choose_loss(Model(torch.nn.Linear(1, 1)), np.array([[1, 1]])) is masked_loss
