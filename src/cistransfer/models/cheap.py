"""Features that nothing trains: words, GC content, none; with a head they are cheap models."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cistransfer.baselines.kmer import WORD, word_features

__all__ = ["CHEAP", "Composition", "Constant", "Words"]


class Constant(nn.Module):
    """One feature, which is 1: what stands beside it (motifs, a bias) is the whole model.

    Parameters
    ----------
    window : int
        Length of the input in bp; any.
    n_tasks : int
    """

    def __init__(self, window: int = 200, n_tasks: int = 1) -> None:
        super().__init__()
        self.head = nn.Linear(1, n_tasks)

    def features(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to ``(n, 1)``."""
        return x[:, :1, 0] * 0 + 1

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to logits ``(n, n_tasks)``."""
        return self.head(self.features(x))


class Composition(nn.Module):
    """GC content, less one half and times ten, and its square; 0 for a sequence of N only.

    Both strands have the same features (``symmetric``).
    """

    symmetric = True

    def __init__(self, window: int = 200, n_tasks: int = 1) -> None:
        super().__init__()
        self.head = nn.Linear(2, n_tasks)

    def features(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to ``(n, 2)``."""
        known = x.sum(dim=(1, 2)).clamp(min=1)
        away = 5 * (x[:, 1] + x[:, 2] - x[:, 0] - x[:, 3]).sum(dim=1) / known
        return torch.stack([away, away**2], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to logits ``(n, n_tasks)``."""
        return self.head(self.features(x))


class Words(nn.Module):
    """Counts of 8-mers, both strands pooled, scaled to length 1: `kmer_counts` on one-hot.

    Both strands have the same features (``symmetric``). Counting has no gradient, so attribution
    is by mutagenesis (``no_gradient``).
    """

    symmetric = True
    no_gradient = True

    def __init__(self, window: int = 200, n_tasks: int = 1) -> None:
        super().__init__()
        identity, names = word_features()
        self._features = len(names)
        self.register_buffer("_identity", torch.from_numpy(identity.astype("int64")), False)
        self.head = nn.Linear(self._features, n_tasks)

    def features(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to ``(n, 32896)``."""
        x = x.float()
        last = x.shape[2] - WORD + 1
        letter, present = x[:, 1] + 2 * x[:, 2] + 3 * x[:, 3], x.sum(dim=1)
        word, known = torch.zeros_like(letter[:, :last]), torch.ones_like(letter[:, :last])
        for at in range(WORD):
            word = 4 * word + letter[:, at : at + last]
            known = known * present[:, at : at + last]
        none = torch.zeros_like(known[:, :1]).expand(-1, self._features)
        counts = none.scatter_add(1, self.get_buffer("_identity")[word.long()], known)
        return counts / counts.norm(dim=1, keepdim=True).clamp(min=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot ``(n, 4, window)`` to logits ``(n, n_tasks)``."""
        return self.head(self.features(x))


CHEAP: dict[str, type[nn.Module]] = {
    "constant": Constant,
    "composition": Composition,
    "words": Words,
}
"""Name on a card → class, under the contract of `cistransfer.models.registry.ARCHITECTURES`, but
without layers to train."""
