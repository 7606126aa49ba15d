"""Fine-tune a trunk for one TF, or train the same network from scratch as the control."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.examples.make import leaking_examples
from cistransfer.models.bundle import Bundle
from cistransfer.motifs.pwm import PWM
from cistransfer.training.run import keep_examples, train_run
from cistransfer.training.strategy import Strategy, load_strategy, with_epochs

__all__ = ["finetune"]


def finetune(
    folder: str | os.PathLike[str],
    examples: ExampleSet,
    trunk: Bundle | None,
    *,
    strategy: str | Strategy | None = None,
    architecture: str = "cnn",
    arguments: dict[str, Any] | None = None,
    epochs: int | None = None,
    motifs: Sequence[PWM] = (),
    guard: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    facts: Mapping[str, Any] | None = None,
) -> Bundle:
    """Train a model for the examples' task, from a trunk or from scratch.

    Parameters
    ----------
    folder : path
        Run folder; receives ``examples/``, ``history.tsv`` and ``bundle/``. An interrupted run
        goes on, a finished one is opened.
    trunk : Bundle or None
        None trains from scratch.
    strategy : str or Strategy, optional
        Name of a shipped strategy or a TOML file; by default ``finetune`` with a trunk and
        ``scratch`` without one.
    architecture, arguments
        Of the network from scratch (see `cistransfer.models.registry.build_model`, or
        ``FILE.py:CLASS``); a trunk brings its own.
    epochs : int, optional
        Most epochs of each gradient phase, instead of the strategy's.
    motifs : sequence of PWM
        The TF's motifs, for strategies that read them beside the network or start filters so.
    guard : str, optional
        ``off`` fine-tunes although the trunk has seen what is held out here (examples that were
        made so need it not again); anything else refuses.
    seed, device, precision, facts
        See `cistransfer.training.run.train_run`.

    Raises
    ------
    InputError
        When the trunk was trained or validated on test regions, or trained on validation regions
        (counts them).
    """
    plan = load_strategy(strategy or ("scratch" if trunk is None else "finetune"))
    if trunk is not None and plan.start == "trunk" and guard != "off":
        _refuse_leaks(examples, trunk)
    return train_run(
        folder,
        keep_examples(folder, examples),
        with_epochs(plan, epochs),
        trunk=trunk,
        architecture=architecture,
        arguments=arguments,
        motifs=motifs,
        seed=seed,
        device=device,
        precision=precision,
        facts=facts,
    )


def _refuse_leaks(examples: ExampleSet, trunk: Bundle) -> None:
    if examples.facts.get("guard") == "off":
        return
    parts = examples.regions["part"].to_numpy()
    leaks = leaking_examples(examples, trunk)
    if leaks.any():
        counts = " and ".join(
            f"{int((leaks & (parts == part)).sum()):,} of the {int((parts == part).sum()):,} "
            f"{part} regions"
            for part in ("test", "valid")
            if (leaks & (parts == part)).any()
        )
        raise InputError(
            f"{trunk.path}: the trunk has learned from {counts} of these examples; make them on "
            "its split, or override with --guard off"
        )
