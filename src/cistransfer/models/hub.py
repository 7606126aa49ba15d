"""Models of a hub, ``hf:owner/name[@revision]``: a repository that holds what a packed file does.

``manifest.json``, ``README.md`` and of each bundle ``NAME/card.json`` and what lies beside it
(`cistransfer.models.packed`). What is fetched is what the manifest names, of the size and hash that
it says; all else in the repository stays there. `huggingface_hub` (the extra ``hub``) brings it,
into its own cache; ``HF_ENDPOINT``, ``HF_TOKEN``, ``HF_HOME`` and ``HF_HUB_OFFLINE`` mean what they
mean to it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cistransfer.errors import InputError, MachineError, shown
from cistransfer.models.packed import MAX_BYTES, MAX_TEXT, Manifest
from cistransfer.storage import fingerprint, read_json

__all__ = ["Repository", "hub_library", "is_hub", "open_hub", "read_repository", "refusals"]

_TEXT = re.compile(
    r"hf:(?P<name>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})"
    r"(?:@(?P<revision>[A-Za-z0-9][\w./-]{0,199}))?",
    re.ASCII,
)


@dataclass(frozen=True)
class Repository:
    """A repository of the hub.

    Attributes
    ----------
    name : str
        ``owner/name``.
    revision : str or None
        Branch, tag or commit; by default the main branch.
    """

    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hf:{self.name}" + (f"@{self.revision}" if self.revision else "")


def is_hub(path: str | os.PathLike[str]) -> bool:
    """Whether a text names a model of a hub, not a file."""
    return os.fspath(path).startswith("hf:")


def read_repository(text: str) -> Repository:
    """Read ``hf:owner/name[@revision]``; `InputError` where it is none."""
    found = _TEXT.fullmatch(text)
    if found is None or ".." in text or "--" in found["name"]:
        raise InputError(f"expected a model of the hub as hf:owner/name[@revision], found {text!r}")
    return Repository(found["name"], found["revision"])


def hub_library() -> Any:
    """`huggingface_hub`, or `InputError` with what to install."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise InputError(
            "models of the hub need huggingface_hub: pip install 'cistransfer[hub]'"
        ) from error
    return huggingface_hub


@contextlib.contextmanager
def refusals(repository: Repository) -> Iterator[None]:
    """Turn what `huggingface_hub` raises into one line."""
    hub_library()
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise InputError(
            f"{repository}: its owner wants to be asked first; do so on its page, then 'hf auth "
            "login'"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(
            f"{repository}: there is no such model, or it is not yours to see ('hf auth login')"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise InputError(
            f"{repository}: the model has no revision {repository.revision!r}"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise MachineError(
            f"{repository}: the hub cannot be reached, and the model is not in the cache of "
            "huggingface_hub (HF_HOME); fetch it where there is a network, or ask for it as a "
            "packed file (cistransfer bundle pack)"
        ) from error
    except errors.EntryNotFoundError as error:
        raise InputError(
            f"{repository}: no model of cistransfer: it lacks manifest.json, or a file that is "
            "named there"
        ) from error
    except errors.HfHubHTTPError as error:
        if error.response is not None and error.response.status_code in (401, 403):
            raise InputError(
                f"{repository}: the hub does not allow it: log in with 'hf auth login', or set "
                "HF_TOKEN"
            ) from error
        raise MachineError(f"{repository}: {shown(error, 200)}") from error
    except (errors.HTTPError, ConnectionError) as error:
        raise MachineError(f"{repository}: the hub cannot be reached: {shown(error)}") from error


@functools.lru_cache(maxsize=64)
def open_hub(text: str) -> dict[str, Path]:
    """Folders of the bundles of a model of the hub, by name: fetched, and verified every time.

    One process sees one commit, also where a branch moves meanwhile. Where the hub cannot be
    reached, what was fetched before is used.

    Raises
    ------
    InputError
        When there is no such model, its manifest is wrong, or a file is not what that says.
    MachineError
        When the hub cannot be reached and the model was not fetched before.
    """
    repository = read_repository(text)
    with refusals(repository):
        commit, sizes = _listed(repository)
        place = _fetch(repository, "manifest.json", None, sizes, MAX_TEXT)
        if commit is not None and place.parent.name != commit:
            raise MachineError(f"{repository}: changed while it was read; try again")
        manifest = Manifest.from_json(read_json(place), f"{repository}: manifest.json")
        for name, member in manifest.files.items():
            if name == "README.md":
                continue
            if sizes is not None and sizes.get(name, member.bytes) != member.bytes:
                raise InputError(
                    f"{repository}: {name} has {sizes[name]:,} bytes, the manifest says "
                    f"{member.bytes:,}"
                )
            file = _fetch(repository, name, place.parent.name, sizes, MAX_BYTES)
            if file.stat().st_size != member.bytes or fingerprint(file) != member.sha256:
                raise InputError(f"{repository}: {name} is not the file that its manifest names")
    return {name: place.parent / name for name in manifest.bundles}


def _listed(repository: Repository) -> tuple[str | None, dict[str, int] | None]:
    """Commit, and bytes by file; neither where the hub cannot be reached."""
    hub = hub_library()
    from huggingface_hub import errors

    try:
        info = hub.HfApi().model_info(
            repository.name, revision=repository.revision, files_metadata=True
        )
    except errors.HfHubHTTPError as error:
        if error.response is not None and error.response.status_code < 500:
            raise
        return None, None
    except (errors.HTTPError, errors.OfflineModeIsEnabled):
        return None, None
    sizes = {each.rfilename: each.size for each in info.siblings or () if each.size is not None}
    return info.sha, sizes


def _fetch(
    repository: Repository,
    name: str,
    commit: str | None,
    sizes: dict[str, int] | None,
    most: int,
) -> Path:
    """One file, out of the cache where the hub cannot be reached.

    Asked for by branch (no commit), the cache notes where the branch was.
    """
    if sizes is not None and sizes.get(name, 0) > most:
        raise InputError(f"{repository}: {name} has {sizes[name]:,} bytes, which ours has not")
    found = hub_library().hf_hub_download(
        repository.name,
        name,
        revision=commit or repository.revision,
        local_files_only=sizes is None,
        library_name="cistransfer",
    )
    return Path(found)
