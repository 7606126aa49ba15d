"""Training steps: our loop beside a plain PyTorch loop, on the same data and network.

    python benchmarks/training_speed.py [--device cpu] [--examples 20000] [--epochs 2]

The plain loop is the one that the published code uses: float32 one-hot tensors in a DataLoader, a
``Conv1d`` network, Adam. Ours keeps ``uint8`` codes, makes one-hot per batch, runs convolutions
channels-last, and uses bf16 where the processor computes it. Both train the published CNN at batch
100 from the same initial weights on both strands' worth of random simulated windows with a planted
motif, and both validate once an epoch on both strands; printed are sequences per second of CPU time
(user + system) and per second of wall time, the ratio, and the validation AUCPR of each. Where
TensorFlow is installed Keras trains the same network too (``model.fit``), on as many threads.
Threads that wait sleep after a short while, as under the ``cistransfer`` command, for both loops.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
from collections import OrderedDict
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

import numpy as np
import pandas as pd
import torch
from torch import nn

from cistransfer.examples.dataset import ExampleSet
from cistransfer.metrics.curves import aucpr
from cistransfer.models.blocks import one_hot
from cistransfer.models.registry import build_model
from cistransfer.models.score import score_codes
from cistransfer.training.loop import choose_precision, fit
from cistransfer.training.strategy import Phase

BATCH = 100


def plain_network(n_tasks: int = 1) -> nn.Module:
    """The published network as its code writes it."""
    layers: list[tuple[str, nn.Module]] = []
    for number, (inputs, filters, kernel) in enumerate(
        ((4, 100, 19), (100, 200, 7), (200, 200, 4)), start=1
    ):
        layers += [
            (f"c{number}", nn.Conv1d(inputs, filters, kernel)),
            (f"bn{number}", nn.BatchNorm1d(filters)),
            (f"rl{number}", nn.ReLU()),
            (f"mp{number}", nn.MaxPool1d(3, 3)),
        ]
    layers += [("flatten", nn.Flatten())]
    for number in (4, 5):
        layers += [
            (f"d{number}", nn.Linear(1000, 1000)),
            (f"bn{number}", nn.BatchNorm1d(1000)),
            (f"rl{number}", nn.ReLU()),
            (f"dr{number}", nn.Dropout(0.3)),
        ]
    layers += [("d6", nn.Linear(1000, n_tasks))]
    return nn.Sequential(OrderedDict(layers))


def make_examples(n: int, seed: int) -> ExampleSet:
    """Random windows, half of them with a degenerate planted motif."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, 200), dtype=np.uint8)
    labels = (rng.random((n, 1)) < 0.5).astype(np.int8)
    motif = np.array([3, 2, 0, 1, 2, 3, 1, 0], dtype=np.uint8)
    for row in np.flatnonzero(labels[:, 0]):
        at = rng.integers(0, 192)
        keep = rng.random(8) < 0.9
        codes[row, at : at + 8][keep] = motif[keep]
    part = np.where(np.arange(n) < 0.9 * n, "train", "valid")
    regions = pd.DataFrame({"chrom": "chr1", "start": np.arange(n), "end": np.arange(n) + 200})
    return ExampleSet(codes, labels, regions.assign(part=part), ("planted",), {})


def train_plain(
    model: nn.Module, examples: ExampleSet, epochs: int, device: torch.device, workers: int = 0
) -> None:
    """Both strands as float tensors through a DataLoader, as the papers do."""
    rows = examples.rows("train")
    forward = one_hot(torch.from_numpy(examples.codes[rows])).contiguous()
    x = torch.cat([forward, forward.flip(1, 2)])
    y = torch.from_numpy(examples.labels[rows]).float().repeat(2, 1)
    data = torch.utils.data.TensorDataset(x, y)
    loader = torch.utils.data.DataLoader(
        data, batch_size=BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss = nn.BCEWithLogitsLoss()
    model.train()
    for _ in range(epochs):
        for inputs, labels in loader:
            optimiser.zero_grad()
            loss(model(inputs.to(device)), labels.to(device)).backward()
            optimiser.step()
        score_codes(model, examples.codes[examples.rows("valid")])


def keras_network() -> Any:
    """The same network in Keras, compiled with Adam and the loss on logits."""
    import keras

    layers: list[Any] = [keras.layers.Input((200, 4))]
    for filters, kernel in ((100, 19), (200, 7), (200, 4)):
        layers += [
            keras.layers.Conv1D(filters, kernel),
            keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            keras.layers.ReLU(),
            keras.layers.MaxPooling1D(3),
        ]
    layers.append(keras.layers.Flatten())
    for _ in range(2):
        layers += [
            keras.layers.Dense(1000),
            keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.3),
        ]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    return model


def train_keras(model: Any, examples: ExampleSet, epochs: int) -> np.ndarray:
    """Both strands as float arrays through ``model.fit``; the validation logits at the end."""
    rows, valid = examples.rows("train"), examples.rows("valid")
    letters = np.eye(4, dtype=np.float32)
    x, held = letters[examples.codes[rows]], letters[examples.codes[valid]]
    x = np.concatenate([x, x[:, ::-1, ::-1]])
    y = np.tile(examples.labels[rows].astype(np.float32), (2, 1))
    logits = np.zeros(len(valid))
    for _ in range(epochs):
        model.fit(x, y, batch_size=BATCH, epochs=1, shuffle=True, verbose=0)
        both = [
            model.predict(strand, batch_size=512, verbose=0)[:, 0]
            for strand in (held, held[:, ::-1, ::-1])
        ]
        logits = np.mean(both, axis=0)
    return logits


def main() -> None:
    """Time both loops in turn, three times, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    device = torch.device(options.device)
    examples = make_examples(options.examples, seed=0)
    valid = examples.rows("valid")
    truth, held = examples.labels[valid, 0], examples.codes[valid]
    precision = choose_precision("auto", device)
    phase = Phase(
        name="train", learning_rate=1e-3, batch_size=BATCH, epochs=options.epochs, strands="both"
    )
    print(f"{options.examples:,} windows, {torch.get_num_threads()} threads, ours in {precision}")
    rates: dict[str, list[tuple[float, float, float]]] = {
        "plain": [],
        "ours": [],
        "ours float32": [],
    }
    if importlib.util.find_spec("tensorflow") is not None and device.type == "cpu":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(torch.get_num_threads())
        tf.config.threading.set_inter_op_parallelism_threads(1)
        rates["Keras"] = []
    steps = 2 * len(examples.rows("train")) * options.epochs
    for repeat in range(options.repeats):
        for name in rates:
            torch.manual_seed(repeat)
            ours = build_model("cnn", window=200, n_tasks=1, seed=repeat).to(device)
            plain = plain_network().to(device)
            plain.load_state_dict(
                dict(zip(plain.state_dict(), ours.state_dict().values(), strict=True))
            )
            keras = keras_network() if name == "Keras" else None
            cpu, wall = time.process_time(), time.perf_counter()
            logits = None
            if keras is not None:
                logits = train_keras(keras, examples, options.epochs)
            elif name == "plain":
                train_plain(plain, examples, options.epochs, device)
            else:
                arithmetic = precision if name == "ours" else "float32"
                fit(ours, examples, [phase], run="", seed=repeat, precision=arithmetic)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if logits is None:
                logits = score_codes(plain if name == "plain" else ours, held)[:, 0]
            reached = aucpr(truth, logits)
            rates[name].append((steps / cpu, steps / wall, reached))
    base = np.median([row[0] for row in rates["plain"]])
    for name, rows in rates.items():
        cpu, wall, reached = np.median(rows, axis=0)
        print(
            f"{name:<13}{cpu:>8,.0f} sequences per CPU-second ({cpu / base:.2f}×), "
            f"{wall:>8,.0f} per second; validation AUCPR {reached:.4f}"
        )
    if "Keras" not in rates:
        print("Keras        not measured: TensorFlow is not installed")


if __name__ == "__main__":
    main()
