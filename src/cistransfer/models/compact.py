"""A smaller copy of a bundle, for sharing: weights in half precision."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_tensors

from cistransfer.genome.codes import encode_many
from cistransfer.models.bundle import open_bundle, weights_hash
from cistransfer.models.score import score_codes
from cistransfer.storage import read_json, whole_folder, write_json

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
    """
    bundle = open_bundle(path)
    model = bundle.model.half().float()
    example = read_json(bundle.path / "example.json")
    codes = encode_many(example["sequences"])
    logits = score_codes(model, codes, strands=example["strands"])
    state = {
        name: tensor.half().contiguous() if tensor.is_floating_point() else tensor.contiguous()
        for name, tensor in model.state_dict().items()
    }
    with whole_folder(out) as temporary:
        (temporary / "weights.safetensors").write_bytes(save_tensors(state))
        card = {**bundle.card, "weights": weights_hash(model), "storage": "float16"}
        write_json(temporary / "card.json", {**card, "rounded_from": bundle.card["weights"]})
        write_json(temporary / "example.json", {**example, "logits": logits.astype(float).tolist()})
        shutil.copyfile(bundle.path / "regions.parquet", temporary / "regions.parquet")
    change = torch.tensor(example["logits"]) - torch.from_numpy(logits)
    return {
        "bundle": str(out),
        "bytes": sum(file.stat().st_size for file in Path(out).iterdir()),
        "largest_difference": float(change.abs().max()) if change.numel() else 0.0,
    }
