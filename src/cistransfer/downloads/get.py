"""Sources brought into a folder, with a record of what was obtained."""

from __future__ import annotations

import datetime
import os
import shlex
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cistransfer.downloads.catalogue import File, Source, source_named
from cistransfer.downloads.fetch import Content, check_content, fetch, hashes
from cistransfer.errors import InputError
from cistransfer.progress import say
from cistransfer.storage import cache_folder, read_json, write_json

__all__ = ["Obtained", "data_folder", "get_source", "plain_commands"]

RECORD = "source.json"


@dataclass(frozen=True)
class Obtained:
    """One file that is there.

    Attributes
    ----------
    path : str
    bytes : int
    md5, sha256 : str
    url : str
        Where it came from; empty where it lay there already.
    on : str
        Day on which it was obtained or found.
    checked : str
        What it was compared with: ``sha256``, ``md5``, ``bytes``, or ``nothing``, where nothing is
        published (then these checksums are what later calls compare with).
    fetched : bool
        Whether this call brought it.
    """

    path: str
    bytes: int
    md5: str
    sha256: str
    url: str
    on: str
    checked: str
    fetched: bool


def data_folder(out: str | os.PathLike[str] | None = None) -> Path:
    """Where sources lie: the folder that is named, else ``data`` in the cache."""
    return cache_folder() / "data" if out is None else Path(out)


def get_source(
    name: str, out: str | os.PathLike[str] | None = None, mirror: str | None = None
) -> list[Obtained]:
    """Bring the files of a source into ``out/NAME``; what is there is compared, not fetched.

    Parameters
    ----------
    name : str
        Of `cistransfer.downloads.catalogue.catalogue`.
    out : path, optional
        By default ``data`` in the cache.
    mirror : str, optional
        URL of a folder that has the files under the same names.

    Raises
    ------
    InputError
        When there is no such source, it has to be fetched by hand, a file there or here is not
        what it should be, or the server has none of that name.
    MachineError
        When the server cannot be reached, or the disk is full; the next call goes on.
    """
    source = _mirrored(source_named(name), mirror)
    folder = data_folder(out) / source.name
    recorded = _recorded(folder / RECORD)
    found = []
    for file in source.files:
        found.append(_one(file, folder, recorded))
        kept = {Path(each.path).name: _record(each) for each in found}
        if not found[-1].fetched and recorded.get(file.name) == kept[file.name]:
            continue
        recorded |= kept
        write_json(folder / RECORD, {"source": _words(source), "files": recorded})
    return found


def plain_commands(
    name: str, out: str | os.PathLike[str] | None = None, mirror: str | None = None
) -> list[str]:
    """The shell commands that do the same, for a machine that has the network."""
    source = _mirrored(source_named(name), mirror)
    folder = Path("." if out is None else out) / source.name
    lines = [f"# {source.what}; licence: {source.licence}; {source.page}"]
    lines.append(f"mkdir -p {shlex.quote(str(folder))}")
    for file in source.files:
        place = shlex.quote(str(folder / file.name))
        lines.append(f"curl -fL --retry 5 -C - -o {place} {shlex.quote(file.large or file.url)}")
        for kind, program in (("sha256", "sha256sum"), ("md5", "md5sum")):
            if getattr(file, kind):
                check = shlex.quote(f"{getattr(file, kind)}  {folder / file.name}")
                lines.append(f"echo {check} | {program} -c")
                break
    where = shlex.quote(str("." if out is None else out))
    lines.append(f"# then, where they are needed: cistransfer data get {name} --out {where}")
    return lines


def _mirrored(source: Source, mirror: str | None) -> Source:
    if not source.files:
        raise InputError(f"{source.name} is not fetched, {source.by_hand}: see {source.page}")
    if mirror is None:
        return source
    if not mirror.startswith(("http://", "https://")):
        raise InputError(f"expected a mirror as http(s)://…, found {mirror!r}")
    files = tuple(
        replace(file, url=f"{mirror.rstrip('/')}/{file.url.rpartition('/')[2]}", large=None)
        for file in source.files
    )
    return replace(source, files=files)


def _words(source: Source) -> dict[str, str]:
    return {key: value for key, value in asdict(source).items() if isinstance(value, str)}


def _record(found: Obtained) -> dict[str, Any]:
    return {key: value for key, value in asdict(found).items() if key not in ("path", "fetched")}


def _recorded(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    files = read_json(path, dict).get("files")
    if not isinstance(files, dict) or not all(
        isinstance(each, dict) and {"bytes", "md5", "sha256"} <= each.keys()
        for each in files.values()
    ):
        raise InputError(f"{path}: expected what was obtained, found something else")
    return files


def _one(file: File, folder: Path, recorded: dict[str, Any]) -> Obtained:
    """One file: compared where it is there, else fetched."""
    target = folder / file.name
    today = datetime.date.today().isoformat()
    if not target.exists():
        content, final = fetch(file, target)
        return _obtained(target, content, final, url=final.url, on=today, fetched=True)
    before = recorded.get(file.name)
    if before is None:
        content = check_content(file, target, str(target))
        say(f"{target}: was there already")
        return _obtained(target, content, file, url="", on=today, fetched=False)
    content = hashes(target)
    if content.sha256 != before["sha256"]:
        raise InputError(
            f"{target}: expected sha256 {before['sha256']}, as it was obtained, found "
            f"{content.sha256}; move it away, and it is fetched anew"
        )
    return Obtained(str(target), **{**before, "fetched": False})


def _obtained(
    target: Path, content: Content, file: File, *, url: str, on: str, fetched: bool
) -> Obtained:
    known = [kind for kind in ("sha256", "md5", "bytes") if getattr(file, kind) is not None]
    return Obtained(
        str(target),
        **asdict(content),
        url=url,
        on=on,
        checked=known[0] if known else "nothing",
        fetched=fetched,
    )
