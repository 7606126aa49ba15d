"""Put models on a hub, as `cistransfer.models.hub` reads them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cistransfer.errors import InputError
from cistransfer.models.bundle import Bundle
from cistransfer.models.hub import hub_library, read_repository, refusals
from cistransfer.models.packed import MEMBERS, extract_packed
from cistransfer.sharing.pack import pack_bundles

__all__ = ["push_bundles"]

PathLike = str | os.PathLike[str]


def push_bundles(
    models: Sequence[PathLike | Bundle],
    to: str,
    *,
    evaluation: PathLike | None = None,
    license: str | None = None,
    title: str | None = None,
    private: bool = False,
    message: str = "Model of cistransfer",
) -> dict[str, Any]:
    """Put one model, or several as an ensemble, into a repository of the hub, in one commit.

    The repository is made where there is none; of what was pushed before only bundles that are no
    longer part of it are removed.

    Parameters
    ----------
    to : str
        ``hf:owner/name``.
    private : bool
        Of a repository that is made.

    Returns
    -------
    dict
        ``to`` (with the commit, so that it names these weights for ever), ``url``, ``bundles``.
    """
    repository = read_repository(to)
    if repository.revision is not None:
        raise InputError(f"{to}: models are pushed to the main branch; leave out the revision")
    api = hub_library().HfApi(library_name="cistransfer")
    with tempfile.TemporaryDirectory(prefix="cistransfer-") as temporary:
        packed = Path(temporary) / "packed.zip"
        done = pack_bundles(
            models,
            packed,
            evaluation=evaluation,
            license=license,
            title=title,
            place=str(repository),
        )
        folder = Path(temporary) / "files"
        extract_packed(packed, folder)
        with refusals(repository):
            api.create_repo(repository.name, private=private, exist_ok=True)
            made = api.upload_folder(
                repo_id=repository.name,
                folder_path=folder,
                commit_message=message,
                delete_patterns=[f"*/{name}" for name in MEMBERS],
            )
    return {
        "to": f"{repository}@{made.oid}",
        "url": f"{api.endpoint}/{repository.name}",
        "bundles": done["bundles"],
    }
