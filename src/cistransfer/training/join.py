"""Two trunks that were trained apart as one: the published network beside a bank of motifs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet, counts, open_examples
from cistransfer.genome.seen import union
from cistransfer.models.bundle import Bundle, open_bundle, save_bundle
from cistransfer.models.card import Architecture
from cistransfer.models.model import Model
from cistransfer.models.registry import build_model
from cistransfer.models.towers import BANK_MODULES
from cistransfer.training.run import fit_on_validation, merge_regions

__all__ = ["join_trunks"]

_EXAMPLE_ROWS = 8


def join_trunks(
    cnn: str | os.PathLike[str], bank: str | os.PathLike[str], out: str | os.PathLike[str]
) -> Bundle:
    """Write one trunk of the architecture ``towers`` that has the features of two.

    Its logit of a TF is the mean of theirs; thresholds, temperatures and metrics are fitted on the
    validation part of the bank's examples anew.

    Parameters
    ----------
    cnn : path
        Bundle or run folder of the architecture ``cnn``.
    bank : path
        Run folder (with its ``examples/``) of the architecture ``motif-bank`` with the outputs of
        the other one, and any others.
    out : path
        The new bundle's folder.

    Returns
    -------
    Bundle

    Raises
    ------
    InputError
        When one is not of its architecture as it is by default, windows or splits differ, or an
        output is missing.
    """
    first, second = open_bundle(cnn), open_bundle(bank)
    for bundle, name in ((first, "cnn"), (second, "motif-bank")):
        found = bundle.card.architecture
        if found.name != name or found.arguments or bundle.card.motifs is not None:
            raise InputError(
                f"{bundle.path}: expected the architecture {name!r} as it is by default, without "
                f"motifs beside it, found {bundle!r}"
            )
    if first.window != second.window or first.card.split != second.card.split:
        raise InputError(
            f"{second.path}: expected the window and split of {first.path}, "
            f"{first.window} bp and {first.card.split}, found {second.window} bp and "
            f"{second.card.split}"
        )
    examples = _of_tasks(open_examples(Path(bank) / "examples"), first.tasks, second)
    model = _joined(first, second)
    folder = save_bundle(
        out,
        model,
        architecture=Architecture(name="towers"),
        tasks=list(first.tasks),
        window=first.window,
        regions=merge_regions(first.regions(), second.regions()),
        example=np.asarray(examples.codes[examples.rows("valid")[:_EXAMPLE_ROWS]]),
        facts={
            "split": first.card.split,
            "genome": first.card.genome,
            "assembly": first.card.assembly,
            "strategy": {
                "name": "join",
                "summary": "Two trunks trained apart, their features side by side",
            },
            "joined": [
                {"weights": each.card.weights, "strategy": each.card.strategy.name or None}
                for each in (first, second)
            ],
            "examples": examples.content_hash(),
            "counts": counts(examples),
            **fit_on_validation(model, examples),
        },
        seen=_both_seen(first, second),
    )
    return open_bundle(folder)


def _joined(first: Bundle, second: Bundle) -> Model:
    rows = torch.tensor([second.tasks.index(task) for task in first.tasks])
    model = build_model("towers", window=first.window, n_tasks=len(first.tasks), seed=0)
    one, two = first.model.state_dict(), second.model.state_dict()
    state = {name: tensor for name, tensor in one.items() if not name.startswith("head.")}
    for name, tensor in two.items():
        module, _, rest = name.partition(".")
        if module != "head":
            state[f"{BANK_MODULES[module]}.{rest}"] = tensor
    heads = [one["head.weight"], two["head.weight"][rows]]
    state["head.weight"] = torch.cat(heads, dim=1) / 2
    state["head.bias"] = (one["head.bias"] + two["head.bias"][rows]) / 2
    model.load_state_dict(state)
    return model.eval()


def _of_tasks(examples: ExampleSet, tasks: tuple[str, ...], bank: Bundle) -> ExampleSet:
    """Examples with the labels of some tasks alone."""
    for where, names in ((bank.path, bank.tasks), ("its examples", examples.tasks)):
        if missing := [task for task in tasks if task not in names]:
            raise InputError(f"{where}: {len(missing)} outputs are missing, {missing[0]} the first")
    columns = [list(examples.tasks).index(task) for task in tasks]
    labels: NDArray[np.int8] = np.asarray(examples.labels)[:, columns]
    return ExampleSet(examples.codes, labels, examples.regions, tasks, examples.facts)


def _both_seen(first: Bundle, second: Bundle) -> dict[str, NDArray[np.uint64]]:
    """Fingerprints of either; none where one has none (what is not whole says nothing)."""
    one, two = first.seen(), second.seen()
    if not one or not two:
        return {}
    none = np.empty(0, dtype=np.uint64)
    return {part: union(one.get(part, none), two.get(part, none)) for part in one.keys() | two}
