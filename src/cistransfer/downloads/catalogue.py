"""Which public sources there are: `catalogue.toml`, read."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import quote

from cistransfer.errors import InputError, nearest
from cistransfer.storage import read_toml

__all__ = ["File", "Source", "catalogue", "source_named"]


@dataclass(frozen=True)
class File:
    """One file of a source.

    Attributes
    ----------
    name : str
        As it is called there and here.
    url : str
    bytes, md5, sha256
        What is known of its content; None where nobody published it.
    large : str or None
        Where the content lies when the URL gives a pointer of Git LFS.
    """

    name: str
    url: str
    bytes: int | None = None
    md5: str | None = None
    sha256: str | None = None
    large: str | None = None


@dataclass(frozen=True)
class Source:
    """What can be had.

    Attributes
    ----------
    name, what, version : str
    licence : str
        ``unknown`` where the source states none that is known here.
    page : str
        Where people read about it.
    use : str
        The options that take it.
    size : str
        In words, where no file's bytes are known.
    by_hand : str
        Why it is not fetched, where it is not.
    files : tuple of File
    """

    name: str
    what: str
    version: str
    licence: str
    page: str
    use: str
    size: str = ""
    by_hand: str = ""
    files: tuple[File, ...] = ()

    def worded_size(self) -> str:
        """Bytes of all files as far as they are known, else words, else ``unknown``."""
        known = [file.bytes for file in self.files if file.bytes is not None]
        if known and len(known) == len(self.files):
            return f"{sum(known) / 1e6:,.0f} MB"
        return self.size or "unknown"


@functools.cache
def catalogue() -> dict[str, Source]:
    """All sources by name, in the order of the file."""
    path = resources.files("cistransfer.downloads") / "catalogue.toml"
    with resources.as_file(path) as place:
        return {name: _source(name, entry) for name, entry in read_toml(place).items()}


def source_named(name: str) -> Source:
    """A source; `InputError` with the nearest names where there is none."""
    found = catalogue().get(name)
    if found is None:
        raise InputError(f"no source is called {name!r}; {nearest(name, catalogue())}")
    return found


def _source(name: str, entry: dict[str, Any]) -> Source:
    files: list[File] = []
    for group in entry.pop("files", []):
        known = {key: group[key] for key in ("bytes", "md5", "sha256") if key in group}
        for each in group.get("each", [""]):
            file = group["name"].replace("{}", each)
            large = group["large"] + quote(file) if "large" in group else None
            files.append(File(file, group["base"] + quote(file), large=large, **known))
    return Source(name, files=tuple(files), **entry)
