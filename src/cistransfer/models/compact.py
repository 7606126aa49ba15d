"""A smaller copy of a bundle, for sharing: weights in half precision."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from cistransfer.errors import InputError
from cistransfer.genome.codes import encode_many
from cistransfer.models.bundle import check_bundle, open_bundle, weights_hash, write_bundle
from cistransfer.models.score import score_codes
from cistransfer.storage import read_json

__all__ = ["compact_bundle"]


def compact_bundle(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> dict[str, Any]:
    """Write a copy of a bundle whose weights are rounded to float16.

    The copy names its own weights' hash, and the original's as ``rounded_from``; its example is
    scored again. It opens like any bundle (weights are float32 in memory).

    Parameters
    ----------
    path : path
        Run folder or bundle.
    out : path
        The new bundle's folder.

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
    model = bundle.model.half().float()
    for name, tensor in model.state_dict().items():
        if not tensor.isfinite().all():
            raise InputError(f"{bundle.path}: {name} is too large for half precision")
    example = read_json(bundle.path / "example.json")
    logits = np.zeros((0, len(bundle.tasks)), dtype=np.float32)
    if example["sequences"]:
        codes = encode_many(example["sequences"])
        logits = score_codes(model, codes, strands=example["strands"])
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    told = {"storage": "float16", "rounded_from": bundle.card.weights}
    write_bundle(
        out,
        state,
        bundle.card.model_copy(update=told),
        weights_hash(model),
        bundle.regions(),
        {**example, "logits": logits.astype(float).tolist()},
        bundle.seen(),
    )
    change = np.abs(np.reshape(example["logits"], logits.shape) - logits)
    return {
        "bundle": str(out),
        "bytes": sum(file.stat().st_size for file in Path(out).iterdir()),
        "largest_difference": float(change.max(initial=0.0)),
    }
