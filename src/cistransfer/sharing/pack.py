"""Pack bundles into one file with their card in words, and take them out again."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cistransfer.errors import InputError
from cistransfer.evaluation.results import open_evaluation
from cistransfer.evaluation.runs import open_predictions
from cistransfer.models.bundle import (
    BUNDLE,
    Bundle,
    check_bundle,
    find_bundles,
    open_bundle,
    packed_bundles,
)
from cistransfer.models.card import Card
from cistransfer.models.packed import (
    MEMBERS,
    PACKED,
    extract_packed,
    is_packed,
    read_manifest,
    write_packed,
)
from cistransfer.sharing.model_card import default_title, model_card
from cistransfer.storage import read_json, whole_folder

__all__ = ["bundle_facts", "named_bundles", "pack_bundles", "unpack_bundles"]

PathLike = str | os.PathLike[str]


def named_bundles(models: Sequence[PathLike | Bundle]) -> dict[str, Bundle]:
    """Open bundles and name them as their folders are called (``NAME=FOLDER`` names one).

    Raises
    ------
    InputError
        When two would have one name.
    """
    found: dict[str, Bundle] = {}
    for model in models:
        given = ""
        if isinstance(model, Bundle):
            own = model.path.absolute()
            folders = {own.parent.name if own.name == "bundle" else own.name: model}
        else:
            name, equals, folder = str(model).partition("=")
            if equals and not Path(str(model)).exists():
                given, model = name, folder
            folders = {name: open_bundle(place) for name, place in find_bundles(model).items()}
        for name, bundle in folders.items():
            plain = given if given and len(folders) == 1 else given + name
            plain = re.sub(r"[^A-Za-z0-9._+@-]", "-", plain).lstrip("._+@-")[:100] or "model"
            if plain in found:
                raise InputError(f"two models are called {plain!r}; name them: NAME={model}")
            found[plain] = bundle
    if not found:
        raise InputError("expected at least one model, found none")
    return found


def pack_bundles(
    models: Sequence[PathLike | Bundle],
    out: PathLike,
    *,
    evaluation: PathLike | None = None,
    license: str | None = None,
    title: str | None = None,
    place: str = "PACKED.zip",
) -> dict[str, Any]:
    """Pack one model, or several as an ensemble, into one file.

    Each is opened (so its hashes are right) and its example is scored before. The card calls it
    ``place`` in its example of use.

    Returns
    -------
    dict
        ``out``, ``bundles`` (names), ``bytes``.
    """
    bundles = named_bundles(models)
    for bundle in bundles.values():
        check_bundle(bundle.path)
    readme = model_card(
        bundles,
        title=title or default_title(bundles),
        evaluation=None if evaluation is None else open_evaluation(evaluation),
        predictions=(
            open_predictions(evaluation)
            if evaluation is not None and os.path.isdir(evaluation)
            else None
        ),
        license=license,
        place=place,
    )
    folders = {name: bundle.path for name, bundle in bundles.items()}
    write_packed(out, folders, readme, license)
    return {"out": str(out), "bundles": list(bundles), "bytes": os.stat(out).st_size}


def unpack_bundles(packed: PathLike, out: PathLike) -> dict[str, Any]:
    """Take bundles out of a packed file.

    One becomes the folder ``out``; several become ``out/NAME`` with the manifest and the card.

    Returns
    -------
    dict
        ``out``, ``bundles`` (name → folder).
    """
    folders = packed_bundles(packed)
    if not folders:
        raise InputError(f"{packed}: expected a packed file, found something else")
    if len(folders) > 1:
        if is_packed(packed):
            extract_packed(packed, out)
        else:
            _copy_all(folders, Path(out))
        return {"out": str(out), "bundles": {name: str(Path(out) / name) for name in folders}}
    ((name, folder),) = folders.items()
    with whole_folder(out, BUNDLE) as temporary:
        for file in filter(lambda file: file.name in MEMBERS, folder.iterdir()):
            shutil.copyfile(file, temporary / file.name)
    return {"out": str(out), "bundles": {name: str(out)}}


def _copy_all(folders: Mapping[str, Path], out: Path) -> None:
    """Copy bundles that lie beside their manifest."""
    with whole_folder(out, PACKED) as temporary:
        place = next(iter(folders.values())).parent
        shutil.copyfile(place / "manifest.json", temporary / "manifest.json")
        for name, folder in folders.items():
            (temporary / name).mkdir()
            for file in filter(lambda file: file.name in MEMBERS, folder.iterdir()):
                shutil.copyfile(file, temporary / name / file.name)


def bundle_facts(path: PathLike) -> dict[str, Any]:
    """What a bundle or a packed file says of itself; no network is built.

    Returns
    -------
    dict
        ``path``, ``packed`` (of a packed file: bytes, licence, version), ``bundles``: for each its
        name and the parts of its card that say what it is.
    """
    facts: dict[str, Any] = {"path": str(path), "packed": None, "bundles": {}}
    if is_packed(path):
        manifest = read_manifest(path)
        facts["packed"] = {
            "bytes": os.stat(path).st_size,
            "license": manifest.license,
            "cistransfer": manifest.cistransfer,
            "version": manifest.version,
        }
    for name, folder in find_bundles(path).items():
        place = folder / "card.json"
        card = Card.from_json(read_json(place), str(place))
        facts["bundles"][name] = {
            "version": card.version,
            "architecture": card.architecture.to_json(),
            "motifs": 0 if card.motifs is None else len(card.motifs.known),
            "link": card.link,
            "tasks": list(card.tasks),
            "window": card.window,
            "assembly": card.assembly,
            "strategy": card.strategy.name,
            "split": card.split,
            "trunk": None if card.trunk is None else list(card.trunk.tasks),
            "validation": _means(card.validation),
            "weights": card.weights,
            "versions": card.versions,
            "bytes": sum(file.stat().st_size for file in folder.iterdir() if file.is_file()),
        }
    return facts


def _means(validation: Mapping[str, Sequence[float | None]]) -> dict[str, float]:
    known = {name: [v for v in values if v is not None] for name, values in validation.items()}
    return {name: sum(values) / len(values) for name, values in known.items() if values}
