"""Whether what is on disk is whole: a bundle, a run folder, an example set or a matrix."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cistransfer.binding.matrix import open_matrix
from cistransfer.errors import InputError
from cistransfer.examples.dataset import check_examples
from cistransfer.models.bundle import check_bundle, packed_bundles, shipped_trunks
from cistransfer.storage import read_json
from cistransfer.training.checkpoint import check_state

__all__ = ["check"]


def check(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read all of a bundle, run folder, example set or matrix, and compare it with its hashes.

    The example of a bundle (packed or not) is scored again. Of a run folder all that it holds is
    checked.

    Returns
    -------
    list of dict
        What was checked: ``kind`` (bundle, examples, matrix, checkpoint, config), its ``path``, and
        what was found of it; ``said`` is that in words.

    Raises
    ------
    InputError
        When something is damaged or altered (names the file), or it is none of these.
    """
    if packed := packed_bundles(path):
        return [_bundle(folder) for folder in packed.values()]
    place = Path(path)
    if place.is_file() and place.name != "config.json":
        if place.suffix == ".safetensors":
            return [_checkpoint(place)]
        return [_matrix(place)]
    if not place.exists() and str(path) in shipped_trunks():
        return [_bundle(place)]
    found = []
    if (place / "card.json").is_file():
        found.append(_bundle(place))
    if (place / "dataset.json").is_file():
        found.append(_examples(place))
    if (place / "config.json").is_file():
        read_json(place / "config.json", dict)
        found.append({"kind": "config", "path": str(place / "config.json"), "said": "readable"})
    if (place / "examples" / "dataset.json").is_file():
        found.append(_examples(place / "examples"))
    if (place / "bundle" / "card.json").is_file():
        found.append(_bundle(place / "bundle"))
    if (place / "checkpoint.safetensors").is_file():
        found.append(_checkpoint(place / "checkpoint.safetensors"))
    if not found:
        what = "found a folder without them" if place.is_dir() else "no such file or folder"
        raise InputError(
            f"{path}: expected a bundle (card.json), a run folder (config.json, bundle/), an "
            f"example set (dataset.json) or a binding matrix, {what}"
        )
    return found


def _bundle(place: Path) -> dict[str, Any]:
    done = check_bundle(place)
    said = (
        f"works: {done['sequences']} example sequences, largest difference "
        f"{done['largest_difference']:.1e}; weights, regions and example have their hashes"
    )
    return {"kind": "bundle", "path": done["bundle"], **done, "said": said}


def _examples(place: Path) -> dict[str, Any]:
    done = check_examples(place)
    said = f"whole: {done['windows']:,} windows; its content is {done['content_hash']}"
    return {"kind": "examples", "path": str(place), **done, "said": said}


def _matrix(place: Path) -> dict[str, Any]:
    matrix = open_matrix(place)
    matrix.check()
    said = f"whole; its content is {matrix.content_hash}"
    return {
        "kind": "matrix",
        "path": str(place),
        "content_hash": matrix.content_hash,
        "said": said,
    }


def _checkpoint(place: Path) -> dict[str, Any]:
    state = check_state(place)
    said = f"whole: an unfinished training, phase {state.phase + 1}, epoch {state.epoch}"
    return {"kind": "checkpoint", "path": str(place), "said": said}
