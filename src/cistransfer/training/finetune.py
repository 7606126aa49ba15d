"""Fine-tune a trunk for one TF, or train the same network from scratch as the control."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from cistransfer.examples.dataset import ExampleSet
from cistransfer.models.bundle import Bundle
from cistransfer.motifs.pwm import PWM
from cistransfer.training.run import keep_examples, train_run
from cistransfer.training.strategy import load_strategy

__all__ = ["finetune"]


def finetune(
    folder: str | os.PathLike[str],
    examples: ExampleSet,
    trunk: Bundle | None,
    *,
    strategy: str | None = None,
    architecture: str = "cnn",
    arguments: dict[str, Any] | None = None,
    motifs: Sequence[PWM] = (),
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
) -> Bundle:
    """Train a model for the examples' task, from a trunk or from scratch.

    Parameters
    ----------
    folder : path
        Run folder; receives ``examples/``, ``history.tsv`` and ``bundle/``. An interrupted run
        goes on, a finished one is opened.
    examples : ExampleSet
    trunk : Bundle or None
        None trains from scratch.
    strategy : str, optional
        Name of a shipped strategy or a TOML file; by default ``finetune`` with a trunk and
        ``scratch`` without one.
    architecture, arguments
        Of the network from scratch (see `cistransfer.models.registry.build_model`, or
        ``FILE.py:CLASS``); a trunk brings its own.
    motifs : sequence of PWM
        The TF's motifs, for strategies that read them beside the network or start filters so.
    seed, device, precision
        See `cistransfer.training.run.train_run`.

    Returns
    -------
    Bundle
    """
    plan = load_strategy(strategy or ("scratch" if trunk is None else "finetune"))
    return train_run(
        folder,
        keep_examples(folder, examples),
        plan,
        trunk=trunk,
        architecture=architecture,
        arguments=arguments,
        motifs=motifs,
        seed=seed,
        device=device,
        precision=precision,
    )
