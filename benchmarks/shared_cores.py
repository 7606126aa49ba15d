"""Two trainings on the same cores: waiting threads that sleep, soon or at once, or that spin.

    python benchmarks/shared_cores.py [--threads 2] [--steps 40]

Two processes train the published CNN at batch 100 at the same time, each with ``--threads``
threads: first with waiting threads that sleep after a short while, as the ``cistransfer`` command
sets it (``OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=2000``), then at once, then with OpenMP's default.
Printed are milliseconds per step and process, and those of one process alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time


def train(steps: int) -> None:
    """Train on random windows and print milliseconds per step."""
    import numpy as np
    import torch  # noqa: F401  (first: the next module sets the policy where it is not set)
    from training_speed import BATCH, make_examples

    from cistransfer.models.registry import build_model
    from cistransfer.training.allocator import keeping_freed_memory
    from cistransfer.training.batches import draws
    from cistransfer.training.loop import choose_precision
    from cistransfer.training.loss import masked_loss
    from cistransfer.training.step import Arithmetic, make_optimiser, train_step
    from cistransfer.training.strategy import Phase

    examples = make_examples(2000, seed=0)
    rows = examples.rows("train")
    model = build_model("cnn", window=200, n_tasks=1, seed=0).train()
    phase = Phase(name="train", learning_rate=1e-3, batch_size=BATCH, epochs=1, strands="both")
    optimiser = make_optimiser(model, phase, {})
    device = next(model.parameters()).device
    how = Arithmetic(choose_precision("auto", device), masked_loss)
    batches = list(draws(len(rows), phase, np.random.default_rng(0)))
    with keeping_freed_memory():
        train_step(model, examples, rows, batches[0], optimiser, how)
        began = time.perf_counter()
        for step in range(steps):
            train_step(model, examples, rows, batches[step % len(batches)], optimiser, how)
    print(1000 * (time.perf_counter() - began) / steps)


def run(processes: int, policy: dict[str, str], threads: int, steps: int) -> list[float]:
    """Milliseconds per step of so many processes at the same time."""
    ours = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}
    environment = {key: value for key, value in os.environ.items() if key not in ours}
    environment |= {"OMP_NUM_THREADS": str(threads)} | policy
    command = [sys.executable, __file__, "--train", "--steps", str(steps)]
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    return [float(process.communicate()[0]) for process in started]


def main() -> None:
    """Run the six cases and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.steps)
        return
    passive = {"OMP_WAIT_POLICY": "PASSIVE"}
    for policy, name in (
        (passive | {"GOMP_SPINCOUNT": "2000"}, "waiting threads sleep after a while"),
        (passive | {"GOMP_SPINCOUNT": "0"}, "waiting threads sleep"),
        ({"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": "300000"}, "waiting threads spin"),
    ):
        for processes in (1, 2):
            found = run(processes, policy, options.threads, options.steps)
            times = " and ".join(f"{one:,.0f}" for one in found)
            print(f"{name}, {processes} process(es): {times} ms a step", flush=True)


if __name__ == "__main__":
    main()
