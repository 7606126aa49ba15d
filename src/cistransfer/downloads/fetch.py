"""One file from the network: resumed where it broke off, checked, and only then under its name.

What has arrived lies in ``.NAME.download``; beside it stands which version of the file it is part
of (``ETag`` or ``Last-Modified``), so that a file which changed meanwhile is fetched anew.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gzip
import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import cistransfer
from cistransfer.downloads.catalogue import File
from cistransfer.errors import InputError, MachineError, shown
from cistransfer.progress import Bar, bar
from cistransfer.storage import ZIP_DAMAGE, write_json

__all__ = ["Content", "check_content", "fetch", "hashes"]

_BLOCK = 1 << 18
_PATIENCE = 60.0
"""Seconds without a byte."""
WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each try that follows one which brought nothing new."""
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_LARGE = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\s+"
    rb"oid sha256:([0-9a-f]{64})\s+size (\d{1,15})\s*"
)


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Attributes
    ----------
    bytes : int
    md5, sha256 : str
    """

    bytes: int
    md5: str
    sha256: str


class _BrokenError(Exception):
    """The connection ended, or the server is busy: worth another try."""


def fetch(file: File, target: Path) -> tuple[Content, File]:
    """Bring one file to ``target``.

    Returns
    -------
    Content, File
        What arrived, and the file with the URL and checksums that it was compared with.

    Raises
    ------
    InputError
        When the server has no such file, or something else under its name: a page, another size
        or checksum, damaged bytes. Nothing of it is kept.
    MachineError
        When the server cannot be reached or the disk is full; what has arrived is kept, and the
        next call goes on there.
    """
    part = target.with_name(f".{target.name}.download")
    target.parent.mkdir(parents=True, exist_ok=True)
    with _alone(part) as sink:
        if target.exists():  # another process was faster
            return check_content(file, target, str(target)), file
        _bring(file, sink, part)
        pointer = _pointed(part)
        if pointer is not None and file.large is not None:
            sink.truncate(0)
            file = replace(file, url=file.large, large=None, sha256=pointer[0], bytes=pointer[1])
            _bring(file, sink, part)
        try:
            if pointer is not None and file.sha256 != pointer[0]:
                raise InputError(f"{file.url}: expected the file, found a pointer of Git LFS")
            content = check_content(file, part, file.url)
        except InputError:
            sink.truncate(0)
            raise
        os.fsync(sink.fileno())
        os.replace(part, target)
    return content, file


@contextlib.contextmanager
def _alone(part: Path) -> Iterator[IO[bytes]]:
    """The part, open to append; refused where another process writes it. Empty, it goes."""
    while True:
        with open(part, "ab") as sink:
            try:
                fcntl.flock(sink, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EWOULDBLOCK, errno.EACCES):  # else it knows no locks
                    raise MachineError(f"{part}: another process is fetching it") from error
            if not _is(part, sink):  # it has just become the file, or was removed
                continue
            try:
                yield sink
            finally:
                if not part.exists() or not part.stat().st_size:
                    part.unlink(missing_ok=True)
                    _state(part).unlink(missing_ok=True)
            return


def _state(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _is(part: Path, sink: IO[bytes]) -> bool:
    """Whether the name still means what is open."""
    try:
        return os.path.samestat(os.stat(part), os.fstat(sink.fileno()))
    except FileNotFoundError:
        return False


def _bring(file: File, sink: IO[bytes], part: Path) -> None:
    """Append until all of the file is there."""
    furthest, idle = -1, 0
    with bar(f"{file.name} (MB)", None if file.bytes is None else file.bytes >> 20) as running:
        while True:
            try:
                return _append(file, sink, part, running)
            except _BrokenError as error:
                here = sink.seek(0, os.SEEK_END)
                idle = 0 if here > furthest else idle + 1
                furthest = max(furthest, here)
                if idle > len(WAITS):
                    raise MachineError(
                        f"{file.url}: {error}; {here:,} bytes are kept, run the same command again "
                        "to go on"
                    ) from error
                time.sleep(WAITS[max(idle, 1) - 1])


def _append(file: File, sink: IO[bytes], part: Path, running: Bar) -> None:
    """One request, from the end of what is there on."""
    have, known = _begun(file, sink, part)
    if have and have == known["total"]:
        return
    headers = {
        "User-Agent": f"cistransfer/{cistransfer.__version__}",
        "Accept-Encoding": "identity",
    }
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": known["tag"]}
    try:
        answer = urllib.request.urlopen(
            urllib.request.Request(file.url, headers=headers), timeout=_PATIENCE
        )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:  # longer than the file is now
            sink.truncate(0)
            raise _BrokenError("the file there has changed") from error
        said = f"the server says {error.code} {shown(error.reason)}"
        if error.code in _PASSING:
            raise _BrokenError(said) from error
        raise InputError(
            f"{file.url}: {said}; it may have moved (--mirror names another place)"
        ) from error
    except urllib.error.URLError as error:
        raise _BrokenError(f"cannot be reached: {shown(error.reason)}") from error
    except (http.client.HTTPException, OSError) as error:
        raise _BrokenError(f"cannot be reached: {shown(error)}") from error
    with answer:
        if answer.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
            raise InputError(f"{file.url}: expected a file, found a web page; {_MOVED}")
        total = _total(answer, have)
        if answer.status != 206 and have:
            sink.truncate(0)
            have = 0
        if file.bytes is not None and total not in (None, file.bytes):
            raise InputError(
                f"{file.url}: expected {file.bytes:,} bytes, the server has {total:,}; {_MOVED}"
            )
        _remember(part, file, answer, total)
        _room(part, (total or 0) - have)
        _pour(answer, sink, running)
    arrived = sink.seek(0, os.SEEK_END)
    if total is not None and arrived != total:
        raise _BrokenError(f"the connection ended after {arrived:,} of {total:,} bytes")


_MOVED = (
    "the file may have been replaced or moved: look at the source's page (cistransfer data list)"
)


def _begun(file: File, sink: IO[bytes], part: Path) -> tuple[int, dict[str, Any]]:
    """Bytes that are there, and what they are part of; 0 where that cannot be told."""
    try:
        known = json.loads(_state(part).read_text(encoding="utf-8"))
        tag = str(known["tag"])
        mine = known["url"] == file.url and tag != "" and tag.isprintable()
        known["total"] = None if known["total"] is None else int(known["total"])
    except (OSError, ValueError, KeyError, TypeError):
        mine, known = False, {}
    have = sink.seek(0, os.SEEK_END)
    if have and not mine:
        sink.truncate(0)
        return 0, {}
    return have, known


def _remember(part: Path, file: File, answer: Any, total: int | None) -> None:
    tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    if tag.startswith("W/"):  # says too little to resume by
        tag = answer.headers.get("Last-Modified") or ""
    write_json(_state(part), {"url": file.url, "tag": tag, "total": total})


def _total(answer: Any, have: int) -> int | None:
    """Bytes of the whole file."""
    if answer.status == 206:
        told = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        if told is None or int(told[1]) != have:
            raise InputError(f"{answer.url}: the server sent another part than it was asked for")
        return int(told[2])
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise MachineError(
            f"{part.parent}: {needed / 1e9:.1f} GB are to come and {free / 1e9:.1f} GB are free"
        )


def _pour(answer: Any, sink: IO[bytes], running: Bar) -> None:
    arrived = 0
    while True:
        try:
            block = answer.read(_BLOCK)
        except http.client.IncompleteRead as error:
            sink.write(error.partial)
            sink.flush()
            raise _BrokenError("the connection ended") from error
        except (http.client.HTTPException, OSError) as error:
            sink.flush()
            raise _BrokenError(f"the connection broke: {shown(error)}") from error
        if not block:
            sink.flush()
            return
        sink.write(block)
        running.advance(((arrived + len(block)) >> 20) - (arrived >> 20))
        arrived += len(block)


def _pointed(part: Path) -> tuple[str, int] | None:
    """Checksum and size that a pointer of Git LFS names."""
    if part.stat().st_size > 1024:
        return None
    found = _LARGE.fullmatch(part.read_bytes())
    return None if found is None else (found[1].decode(), int(found[2]))


def hashes(path: Path) -> Content:
    """Size and checksums of a file."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            md5.update(block)
            sha256.update(block)
            size += len(block)
    return Content(size, md5.hexdigest(), sha256.hexdigest())


def check_content(file: File, path: Path, where: str) -> Content:
    """Compare a file with what is known of it, and read it to its end where it is packed.

    Raises
    ------
    InputError
        When it is a web page, has another size or checksum, or is damaged.
    """
    with open(path, "rb") as stream:
        head = stream.read(512).lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html", b"<?xml")):
        raise InputError(f"{where}: expected a file, found a web page; {_MOVED}")
    content = hashes(path)
    for kind in ("bytes", "sha256", "md5"):
        known, found = getattr(file, kind), getattr(content, kind)
        if known is not None and known != found:
            raise InputError(f"{where}: expected {kind} {known}, found {found}; {_MOVED}")
    damage = _damage(file.name, path)
    if damage:
        raise InputError(f"{where}: the file is damaged ({damage}); fetch it again")
    return content


def _damage(name: str, path: Path) -> str:
    """What is wrong with a packed file; empty where nothing is, or it is not packed."""
    if not path.stat().st_size:
        return "empty"
    if name.endswith(".gz"):
        return _gzip_damage(path)
    if name.endswith((".npz", ".zip")):
        try:
            with zipfile.ZipFile(path) as archive:
                wrong = archive.testzip()
        except ZIP_DAMAGE as error:
            return shown(error)
        return f"{shown(wrong)} does not fit its checksum" if wrong else ""
    return ""


def _gzip_damage(path: Path) -> str:
    """Read all of it, whose checksums are in it; nothing is kept."""
    try:
        with gzip.open(path) as stream:
            while stream.read(1 << 20):
                pass
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        return shown(error)
    return ""
