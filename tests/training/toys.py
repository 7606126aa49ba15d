"""A tiny network and examples for tests of the loop."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from cistransfer.examples.dataset import ExampleSet
from cistransfer.genome.bed import regions_table
from cistransfer.models.model import Model
from cistransfer.training.strategy import Phase

WINDOW = 12


class Tiny(nn.Module):
    """Convolution, two batch norms, dropout and a head."""

    def __init__(self, n_tasks: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Sequential()
        self.conv1.add_module("conv", nn.Conv1d(4, 6, 5))
        self.conv1.add_module("norm", nn.BatchNorm1d(6))
        self.conv1.add_module("relu", nn.ReLU())
        self.dense1 = nn.Sequential()
        self.dense1.add_module("linear", nn.Linear(6 * 8, 10))
        self.dense1.add_module("norm", nn.BatchNorm1d(10))
        self.dense1.add_module("relu", nn.ReLU())
        self.dense1.add_module("dropout", nn.Dropout(0.3))
        self.head = nn.Linear(10, n_tasks)

    def features(self, x: Tensor) -> Tensor:
        return self.dense1(self.conv1(x).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def tiny(seed: int = 0, n_tasks: int = 2) -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Model(Tiny(n_tasks))


def tiny_examples(n: int = 60, n_tasks: int = 2, seed: int = 0) -> ExampleSet:
    """Random windows; task A is bound at a high GC content, task B at one in the middle."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, WINDOW), dtype=np.uint8)
    labels = np.zeros((n, n_tasks), dtype=np.int8)
    gc = (codes == 1) | (codes == 2)
    labels[:, 0] = gc.sum(axis=1) > 6
    if n_tasks > 1:
        labels[:, 1] = gc[:, 3:9].sum(axis=1) > 3
    labels[rng.random(labels.shape) < 0.2] = -1
    start = np.arange(n) * 100
    part = np.where(np.arange(n) % 3 == 2, "valid", "train").astype(object)
    regions = regions_table(["chr1"] * n, start, start + WINDOW, part=part)
    return ExampleSet(codes, labels, regions, ("A", "B")[:n_tasks], {})


def phase(**changes: object) -> Phase:
    options = {"name": "one", "learning_rate": 1e-2, "batch_size": 8, "epochs": 3, **changes}
    return Phase.model_validate(options)
