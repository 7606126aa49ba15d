"""A smaller copy of a bundle, for sharing: weights in half precision."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cistransfer.errors import InputError
from cistransfer.genome.codes import encode_many
from cistransfer.models.bundle import check_bundle, open_bundle, weights_hash, write_bundle
from cistransfer.models.card import PER_TASK, Card
from cistransfer.models.model import Model
from cistransfer.models.score import score_codes
from cistransfer.storage import read_json

__all__ = ["compact_bundle"]


def compact_bundle(
    path: str | os.PathLike[str], out: str | os.PathLike[str], *, only_tfs: bool = False
) -> dict[str, Any]:
    """Write a copy of a bundle whose weights are rounded to float16.

    The copy names its own weights' hash, and the original's as ``rounded_from``; its example is
    scored again. It opens like any bundle (weights are float32 in memory).

    Parameters
    ----------
    path : path
        Run folder or bundle.
    out : path
        The new bundle's folder.
    only_tfs : bool
        Leave out the outputs of single cells (``TF@cell``, ``open@cell``), which a trunk was
        taught beside the TFs; features and the other outputs stay as they are.

    Returns
    -------
    dict
        ``bundle``, ``bytes`` and ``largest_difference`` of the example's logits.

    Raises
    ------
    InputError
        When ``out`` is the bundle or the run folder itself, the example no longer has the scores
        on record, or a weight is too large for float16.
    """
    bundle = open_bundle(path)
    if bundle.path.resolve().is_relative_to(Path(out).resolve()):
        raise InputError(f"{out}: would replace the original; name another folder for the copy")
    check_bundle(path)
    kept = [at for at, task in enumerate(bundle.tasks) if not (only_tfs and "@" in task)]
    if not kept:
        raise InputError(f"{bundle.path}: every output is of a single cell; nothing would be left")
    model = _with_outputs(bundle.model, kept).half().float()
    for name, tensor in model.state_dict().items():
        if not tensor.isfinite().all():
            raise InputError(f"{bundle.path}: {name} is too large for half precision")
    example = read_json(bundle.path / "example.json")
    logits = np.zeros((0, len(kept)), dtype=np.float32)
    if example["sequences"]:
        codes = encode_many(example["sequences"])
        logits = score_codes(model, codes, strands=example["strands"])
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    told = {**_of_tasks(bundle.card, kept), "storage": "float16"}
    told["rounded_from"] = bundle.card.weights
    write_bundle(
        out,
        state,
        bundle.card.model_copy(update=told),
        weights_hash(model),
        bundle.regions(),
        {**example, "logits": logits.astype(float).tolist()},
        bundle.seen(),
    )
    before = np.reshape(example["logits"], (len(logits), len(bundle.tasks)))[:, kept]
    change = np.abs(before - logits)
    return {
        "bundle": str(out),
        "bytes": sum(file.stat().st_size for file in Path(out).iterdir()),
        "largest_difference": float(change.max(initial=0.0)),
    }


def _with_outputs(model: Model, kept: Sequence[int]) -> Model:
    """Keep some outputs of a model, in place."""
    head = model.head
    if len(kept) < head.out_features:
        rows = torch.tensor(kept)
        with torch.no_grad():
            head.weight = nn.Parameter(head.weight[rows].clone())
            if head.bias is not None:
                head.bias = nn.Parameter(head.bias[rows].clone())
        head.out_features = len(kept)
    return model


def _of_tasks(card: Card, kept: Sequence[int]) -> dict[str, Any]:
    """Entries of a card that have a value for each task, with those of some tasks."""
    if len(kept) == len(card.tasks):
        return {}
    some: dict[str, Any] = {"tasks": tuple(card.tasks[at] for at in kept)}
    for entry in PER_TASK:
        values = getattr(card, entry)
        if values is not None:
            some[entry] = tuple(values[at] for at in kept)
    some["validation"] = {
        name: tuple(values[at] for at in kept) for name, values in card.validation.items()
    }
    return some
