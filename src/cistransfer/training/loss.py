"""What is minimised: cross-entropy of independent tasks, or of classes that exclude each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from cistransfer.errors import InputError
from cistransfer.models.model import Model

__all__ = ["Loss", "choose_loss", "exclusive_loss", "masked_loss", "weighed_labels"]

Loss = Callable[[Tensor, Tensor], Tensor]


def masked_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross-entropy over the resolved labels (−1 carries no weight).

    With every label resolved this is the published loss. A batch without a resolved label has
    loss 0.
    """
    resolved = (labels >= 0).to(logits.dtype)
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits, labels.clamp(min=0).to(logits.dtype), reduction="none"
    )
    return (losses * resolved).sum() / resolved.sum().clamp(min=1)


def exclusive_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of classes of which one is true, from the logits of their probabilities.

    Parameters
    ----------
    logits : tensor, shape (n, classes)
        Of `cistransfer.models.model.one_versus_rest`.
    labels : tensor, shape (n, classes)
        1 for the true class; a row without a 1 carries no weight.
    """
    true = (labels == 1).to(logits.dtype)
    return (nn.functional.softplus(-logits) * true).sum() / true.sum().clamp(min=1)


def choose_loss(model: Model, labels: NDArray[np.int8]) -> Loss:
    """Choose the loss of a model; refuse labels of exclusive classes that are not exclusive.

    Raises
    ------
    InputError
        When a row has two true classes.
    """
    if model.link != "exclusive":
        return masked_loss
    twice = int(((labels == 1).sum(axis=1) > 1).sum())
    if twice:
        raise InputError(
            f"{twice:,} examples belong to two classes or more; exclusive classes need one each"
        )
    return exclusive_loss


def weighed_labels(measure: Loss, labels: Tensor) -> Tensor:
    """Count the labels over which a loss is the mean."""
    return ((labels == 1) if measure is exclusive_loss else (labels >= 0)).sum()
