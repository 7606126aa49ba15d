"""A network whose tasks are classes of which exactly one is true (multi-class)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cistransfer.errors import InputError

__all__ = ["Exclusive", "one_versus_rest"]


def one_versus_rest(scores: Tensor) -> Tensor:
    """Logit of each class's softmax probability: its score minus the log-sum-exp of the others.

    Parameters
    ----------
    scores : tensor, shape (n, classes)

    Returns
    -------
    tensor, shape (n, classes)
        ``sigmoid`` of it is ``softmax(scores)``.
    """
    classes = scores.shape[1]
    own = torch.eye(classes, dtype=torch.bool, device=scores.device)
    others = scores[:, None, :].expand(-1, classes, -1).masked_fill(own, -torch.inf)
    return scores - torch.logsumexp(others, dim=2)


class Exclusive(nn.Module):
    """Another architecture, its outputs normalised over the tasks by softmax.

    The outputs are logits as everywhere, so thresholds, temperatures, averages over strands and
    metrics need to know nothing of it. ChromTransfer's multi-class baseline (Salvatore et al.
    2023) is such a network.

    Parameters
    ----------
    base : nn.Module
        A network with ``features`` and a linear ``head``.
    n_tasks : int
        Number of classes, at least two.
    """

    def __init__(self, base: nn.Module, n_tasks: int) -> None:
        super().__init__()
        if n_tasks < 2:
            raise InputError(f"exclusive classes must be at least two, found {n_tasks}")
        self.base = base

    def features(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to the input of the base network's head."""
        return self.base.features(x)  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to logits ``(n, n_tasks)`` of softmax probabilities."""
        return one_versus_rest(self.base(x))
