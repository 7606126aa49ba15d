"""Peak memory of training a trunk on many regions and TFs, in a process of its own.

    python benchmarks/training_memory.py [--regions 260000] [--tasks 150] [--steps 50]

Random windows of 200 bp and labels (a third unresolved) are stored as an example set; a fresh
process opens it memory-mapped, as a run does, and trains the published network for some steps and
one whole validation. Printed is that process's peak resident memory, libraries and mapped pages
included.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from cistransfer.examples.dataset import ExampleSet, open_examples, save_examples
from cistransfer.genome.bed import regions_table


def store(place: Path, regions: int, tasks: int) -> None:
    """Write an example set of random windows and labels."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (regions, 200), dtype=np.uint8)
    labels = rng.integers(-1, 2, (regions, tasks), dtype=np.int8)
    start = np.arange(regions) * 200
    part = np.where(np.arange(regions) % 10 == 0, "valid", "train").astype(object)
    table = regions_table(["chr1"] * regions, start, start + 200, part=part)
    names = tuple(f"TF{number}" for number in range(tasks))
    save_examples(place, ExampleSet(codes, labels, table, names, {}))


def train(place: Path, steps: int) -> None:
    """Train on a stored set and print the peak memory of this process."""
    import torch

    from cistransfer.models.registry import build_model
    from cistransfer.training.loop import choose_precision, fit
    from cistransfer.training.strategy import Phase

    examples = open_examples(place)
    model = build_model("cnn", window=200, n_tasks=len(examples.tasks), seed=0)
    phase = Phase(
        name="trunk", learning_rate=1e-3, batch_size=256, epochs=1, steps_per_epoch=steps,
        strands="random", shift=10, validation_strands="forward", monitor="aucpr",
    )  # fmt: skip
    precision = choose_precision("auto", torch.device("cpu"))
    fit(model, examples, [phase], run="", seed=0, precision=precision)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{len(examples.codes):,} regions, {len(examples.tasks)} TFs, {steps} steps and a "
        f"validation, {precision}: peak memory {peak:.2f} GB"
    )


def main() -> None:
    """Store the examples, then train in another process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--regions", type=int, default=260_000)
    parser.add_argument("--tasks", type=int, default=150)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.train, options.steps)
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "examples"
        store(place, options.regions, options.tasks)
        command = [sys.executable, __file__, "--train", str(place), "--steps", str(options.steps)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
