"""Networks whose behaviour is known: built by hand around planted motifs."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from cistransfer.genome.codes import encode, reverse_complement

SITE = "GATAAGTC"
OTHER = "TTGCCAAT"


def planted_filters(motifs: list[str], kernel: int, strength: float = 1.0) -> torch.Tensor:
    """Weights (filters, 4, kernel): +strength at each motif's letters, −strength elsewhere."""
    weight = torch.zeros(len(motifs), 4, kernel)
    for number, motif in enumerate(motifs):
        left = (kernel - len(motif)) // 2
        for position, code in enumerate(encode(motif)):
            weight[number, :, left + position] = -strength
            weight[number, int(code), left + position] = strength
    return weight


class Motifs(nn.Module):
    """Filters for motifs, ReLU, max-pooling, a sum: each full match adds 1 to its task's logit."""

    def __init__(self, motifs: list[str], length: int, kernel: int = 12, pool: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, len(motifs), kernel)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool1d(pool)
        self.linear = nn.Linear(len(motifs) * ((length - kernel + 1) // pool), len(motifs))
        with torch.no_grad():
            self.conv.weight.copy_(planted_filters(motifs, kernel))
            sizes = torch.tensor([len(motif) for motif in motifs])
            self.conv.bias.copy_(1.0 - sizes)  # one mismatch (−2) is already below zero
            weight = torch.zeros_like(self.linear.weight).view(len(motifs), len(motifs), -1)
            for number in range(len(motifs)):
                weight[number, number] = 1
            self.linear.weight.copy_(weight.flatten(1))
            self.linear.bias.fill_(-0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.relu(self.conv(x)))
        return self.linear(torch.flatten(x, 1))


class Skips(nn.Module):
    """A small network with a skip connection, average pooling and smooth activations."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, 8, 5, padding=2)
        self.norm = nn.BatchNorm1d(8)
        self.act = nn.ELU()
        self.second = nn.Conv1d(8, 8, 3, padding=1)
        self.gelu = nn.GELU()
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm(self.first(x)))
        x = x + self.gelu(self.second(x))
        return self.head(self.pool(x)[:, :, 0])


def random_codes(n: int, length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, size=(n, length)).astype(np.uint8)


def with_sites(
    codes: np.ndarray, motif: str, seed: int = 0, both: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Plant a motif once in each sequence; return the sequences and the starts."""
    rng = np.random.default_rng(seed)
    planted = codes.copy()
    starts = rng.integers(10, codes.shape[1] - len(motif) - 10, size=len(codes))
    for row, start in enumerate(starts):
        site = encode(motif)
        if both and rng.random() < 0.5:
            site = reverse_complement(site)
        planted[row, start : start + len(motif)] = site
    return planted, starts


def seeded(build, seed: int = 0) -> nn.Module:  # type: ignore[no-untyped-def]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def settled(model: nn.Module, length: int, seed: int = 0) -> nn.Module:
    """Give batch norms statistics away from their defaults, and evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features, generator=generator) * 0.1
            module.running_var = torch.rand(module.num_features, generator=generator) * 0.3 + 0.05
            with torch.no_grad():
                module.weight.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
                module.bias.copy_(torch.randn(module.num_features, generator=generator) * 0.1)
    return model.eval()
