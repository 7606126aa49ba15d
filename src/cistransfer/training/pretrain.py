"""Pre-train a trunk on many tasks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from cistransfer.examples.dataset import ExampleSet
from cistransfer.models.bundle import Bundle
from cistransfer.motifs.pwm import PWM
from cistransfer.training.run import keep_examples, train_run
from cistransfer.training.strategy import load_strategy, with_epochs

__all__ = ["pretrain"]


def pretrain(
    folder: str | os.PathLike[str],
    examples: ExampleSet,
    *,
    strategy: str = "pretrain",
    architecture: str = "cnn",
    arguments: dict[str, Any] | None = None,
    epochs: int | None = None,
    motifs: Sequence[PWM] = (),
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
) -> Bundle:
    """Train a network from random weights on a multi-task example set.

    Parameters
    ----------
    folder : path
        Run folder; receives ``examples/``, ``history.tsv`` and ``bundle/``. An interrupted run
        goes on, a finished one is opened.
    examples : ExampleSet
        From `cistransfer.examples.make.examples_for`, say.
    strategy : str
        Name of a shipped strategy, or a TOML file; ``pretrain`` or ``pretrain-published``.
    architecture, arguments
        See `cistransfer.models.registry.build_model`.
    epochs : int, optional
        Most epochs, instead of the strategy's.
    motifs : sequence of PWM
        For strategies that start filters as motifs.
    seed, device, precision
        See `cistransfer.training.run.train_run`.
    """
    return train_run(
        folder,
        keep_examples(folder, examples),
        with_epochs(load_strategy(strategy), epochs),
        architecture=architecture,
        arguments=arguments,
        motifs=motifs,
        seed=seed,
        device=device,
        precision=precision,
    )
