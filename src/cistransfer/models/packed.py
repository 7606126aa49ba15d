"""Bundles in one file, to send: a zip of their files, a model card and a manifest of hashes.

``manifest.json``, ``README.md`` (the card in words) and of each bundle ``NAME/card.json`` and what
lies beside it. A packed file may come from anybody: what is not named here, or not of the size and
hash that the manifest says, is refused before or while it is read, and nothing in it is run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import struct
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import cistransfer
from cistransfer.errors import InputError, MachineError, shown
from cistransfer.storage import (
    ZIP_DAMAGE,
    Kind,
    cache_folder,
    fingerprint,
    parse_json,
    read_json,
    whole_file,
    whole_folder,
)
from cistransfer.storage.reading import open_raw, unreadable

__all__ = [
    "MAX_BYTES",
    "MAX_TEXT",
    "MEMBERS",
    "PACKED",
    "Manifest",
    "extract_packed",
    "is_packed",
    "open_packed",
    "read_manifest",
    "write_packed",
]

PathLike = str | os.PathLike[str]

FORMAT = "cistransfer-packed"
VERSION = 1
MEMBERS = ("card.json", "weights.safetensors", "regions.parquet", "seen.parquet", "example.json")
"""What a packed file may hold of a bundle."""
PACKED = Kind(
    "folder of packed bundles",
    "manifest.json",
    ("README.md", "config.json", *(f"*/{name}" for name in MEMBERS)),
)
MAX_BYTES = (1 << 31) - 1
"""Of a packed file: what a zip without its extension for large files can hold."""
MAX_BUNDLES = 1_000
MAX_UNFOLDED = 20
"""Bytes for each byte of the file, from 64 MB on: weights and tables hardly shrink."""
_UNFOLDED_FROM = 1 << 26
MAX_TEXT = 1 << 22  # bytes of the manifest and of README.md
_MAX_DIRECTORY = 1 << 20
_END = struct.Struct("<4s4H2IH")  # of a zip: its last 22 bytes
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,99}")
_DATE = (1980, 1, 1, 0, 0, 0)  # equal bundles make equal files
_STORED = (".safetensors", ".parquet")  # hardly shrink


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Member(_Entry):
    """One file of a bundle."""

    bytes: int = Field(ge=0, le=MAX_BYTES)
    sha256: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")


class Manifest(_Entry):
    """What a packed file holds.

    Attributes
    ----------
    bundles : tuple of str
        Names of the bundles, in their order.
    files : dict of str to Member
        Path within the zip → size and hash.
    license : str or None
        As whoever packed it named it.
    cistransfer : str
        Version that packed it.
    """

    format: Literal["cistransfer-packed"] = "cistransfer-packed"
    version: int = VERSION
    cistransfer: str = ""
    license: Annotated[str, Field(max_length=200)] | None = None
    bundles: tuple[str, ...] = Field(min_length=1, max_length=MAX_BUNDLES)
    files: dict[str, Member]

    @classmethod
    def from_json(cls, content: Any, where: str) -> Manifest:
        """Read the content of a ``manifest.json``; `InputError` in one line."""
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError(f"{where}: expected packed bundles, found another manifest")
        version = content.get("version")
        if type(version) is not int or not 1 <= version <= VERSION:
            raise InputError(
                f"{where}: packed in format {version!r:.20}; this cistransfer reads 1 to {VERSION}"
            )
        fields = {**content, "bundles": tuple(_listed(content.get("bundles")))}
        try:
            found = cls.model_validate(fields)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise InputError(
                f"{where}: the manifest is wrong: {shown(place)}: {shown(first['msg'])}"
            ) from error
        for name in found.bundles:
            if not _NAME.fullmatch(name):
                raise InputError(f"{where}: the manifest names a bundle {shown(repr(name))}")
            for part in ("card.json", "weights.safetensors"):
                if f"{name}/{part}" not in found.files:
                    raise InputError(f"{where}: the manifest lacks {name}/{part}")
        if len({name.casefold() for name in found.bundles}) < len(found.bundles):
            raise InputError(f"{where}: the manifest names a bundle twice")
        allowed = {f"{name}/{part}" for name in found.bundles for part in MEMBERS} | {"README.md"}
        for name in found.files:
            if name not in allowed:
                raise InputError(
                    f"{where}: holds {shown(repr(name))}, which is no part of a bundle"
                )
        return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def is_packed(path: PathLike) -> bool:
    """Whether a path is a zip file, as its first bytes say."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as stream:
            return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError:
        return False


def write_packed(
    path: PathLike, bundles: Mapping[str, Path], readme: str, license: str | None = None
) -> Manifest:
    """Write bundles into one file, whole or not at all; equal bundles make equal bytes.

    Parameters
    ----------
    bundles : mapping of str to path
        Name → folder, which was opened before.
    readme : str
        ``README.md``.

    Raises
    ------
    InputError
        When a name is none for a folder, or the bundles are larger than 2 GB together.
    """
    for name in bundles:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name!r} is no name for a packed bundle: letters, digits and . _ + @ - are"
            )
    text = readme.encode()
    files = {
        f"{name}/{part}": folder / part
        for name, folder in bundles.items()
        for part in MEMBERS
        if (folder / part).is_file()
    }
    if sum(file.stat().st_size for file in files.values()) > MAX_BYTES:
        raise InputError(f"{path}: the bundles are larger than {MAX_BYTES:,} bytes together")
    members = {
        "README.md": Member(bytes=len(text), sha256=_sha256(text)),
        **{
            name: Member(bytes=file.stat().st_size, sha256=fingerprint(file))
            for name, file in files.items()
        },
    }
    manifest = Manifest(
        cistransfer=cistransfer.__version__,
        license=license,
        bundles=tuple(bundles),
        files=members,
    )
    head = manifest.model_dump_json(indent=2, exclude_none=True).encode() + b"\n"
    with (
        whole_file(path) as temporary,
        zipfile.ZipFile(temporary, "w", allowZip64=False) as archive,
    ):
        archive.writestr(_info("manifest.json"), head)
        archive.writestr(_info("README.md"), text)
        for name, file in files.items():
            archive.writestr(_info(name), file.read_bytes())
    return manifest


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    stored = name.endswith(_STORED)
    info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    info.create_system = 3
    return info


def _sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def read_manifest(path: PathLike) -> Manifest:
    """What a packed file says that it holds; sizes and names are compared, contents are not.

    Raises
    ------
    InputError
        When it is no packed file, of a newer format, or made to harm.
    """
    with _opened(path) as (_, manifest):
        return manifest


def open_packed(path: PathLike) -> dict[str, Path]:
    """Folders of the bundles of a packed file, by name: verified, in the cache.

    The cache keeps them by the hash of the file. Where it may not be written, they lie in a folder
    that goes with the process.

    Raises
    ------
    InputError
        See `extract_packed`.
    """
    name = fingerprint(path).removeprefix("sha256:")[:32]
    folder = cache_folder() / "packed" / name
    manifest = _whole(folder)
    if manifest is None:
        try:
            manifest = extract_packed(path, folder)
        except (InputError, MachineError, OSError) as error:
            if not isinstance(error, OSError) and str(folder) not in str(error):
                raise
            folder = Path(_passing().name) / name
            manifest = _whole(folder) or extract_packed(path, folder)
    return {each: folder / each for each in manifest.bundles}


_folders: list[tempfile.TemporaryDirectory[str]] = []


def _passing() -> tempfile.TemporaryDirectory[str]:
    """One folder of this process; it is removed at its end."""
    if not _folders:
        _folders.append(tempfile.TemporaryDirectory(prefix="cistransfer-"))
    return _folders[0]


def _whole(folder: Path) -> Manifest | None:
    """The manifest of bundles that were extracted before, where nothing is missing."""
    if not (folder / "manifest.json").is_file():
        return None
    try:
        found = Manifest.from_json(read_json(folder / "manifest.json"), str(folder))
        whole = all((folder / n).stat().st_size == each.bytes for n, each in found.files.items())
    except (InputError, OSError):
        return None
    return found if whole else None


def extract_packed(path: PathLike, folder: PathLike) -> Manifest:
    """Write the files of a packed file into a folder, whole or not at all.

    Raises
    ------
    InputError
        When it is no packed file, of a newer format, damaged or made to harm: a name that leads
        elsewhere, a link, twice the same name, more bytes than the manifest says or than such a
        file can hold, encrypted, or another hash than the manifest's.
    """
    with _opened(path) as (archive, manifest), whole_folder(folder, PACKED) as temporary:
        for name, member in manifest.files.items():
            target = temporary / name
            target.parent.mkdir(exist_ok=True)
            digest, left = hashlib.sha256(), member.bytes
            with _member(archive, name, path) as source, open(target, "wb") as sink:
                while block := _read(source, path):
                    left -= len(block)
                    if left < 0:
                        raise InputError(f"{path}: {name} is longer than the manifest says")
                    digest.update(block)
                    sink.write(block)
            if left or "sha256:" + digest.hexdigest() != member.sha256:
                raise InputError(f"{path}: {name} is damaged: not the bytes that were packed")
        (temporary / "manifest.json").write_text(manifest.model_dump_json(exclude_none=True))
    return manifest


def _member(archive: zipfile.ZipFile, name: str, path: PathLike) -> IO[bytes]:
    try:
        return archive.open(name)
    except ZIP_DAMAGE as error:
        raise InputError(f"{path}: the packed file is damaged: {shown(error)}") from error


def _read(source: Any, path: PathLike) -> bytes:
    try:
        return bytes(source.read(1 << 20))
    except ZIP_DAMAGE as error:
        raise InputError(f"{path}: the packed file is damaged: {shown(error)}") from error


@contextlib.contextmanager
def _opened(path: PathLike) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """The zip and its manifest, after names and sizes were found to be those of bundles."""
    if not os.path.isfile(path):
        raise unreadable(path, FileNotFoundError())
    with open_raw(path) as stream:
        size = os.stat(path).st_size
        _check_end(path, stream, size)
        try:
            archive = zipfile.ZipFile(stream)
        except ZIP_DAMAGE as error:
            raise InputError(
                f"{path}: damaged, or no zip of packed bundles: {shown(error)}"
            ) from error
        with archive:
            entries = archive.infolist()
            _check_entries(path, entries, size)
            if "manifest.json" not in archive.NameToInfo:
                raise InputError(f"{path}: expected packed bundles, found a zip of something else")
            with _member(archive, "manifest.json", path) as source:
                text = _read(source, path)
            content = parse_json(text.decode("utf-8", "replace"), f"{path}: manifest.json")
            manifest = Manifest.from_json(content, str(path))
            _compare(path, manifest, {info.filename: info for info in entries})
            yield archive, manifest


def _check_end(path: PathLike, stream: Any, size: int) -> None:
    """Refuse a directory that is not where our zips have it, before anything reads it."""
    stream.seek(max(0, size - _END.size - 20))
    tail = stream.read(_END.size + 20)
    wrong = f"{path}: damaged, or no zip of packed bundles: "
    if len(tail) < _END.size:
        raise InputError(wrong + "it is cut short")
    magic, disk, first, here, entries, length, start, comment = _END.unpack(tail[-_END.size :])
    if magic != b"PK\x05\x06":
        raise InputError(wrong + "it does not end with a directory")
    if disk or first or comment or here != entries or tail[: -_END.size][:4] == b"PK\x06\x07":
        raise InputError(wrong + "its directory has parts that ours has not")
    if length > _MAX_DIRECTORY or entries > MAX_BUNDLES * len(MEMBERS) + 2:
        raise InputError(wrong + f"it has {entries:,} entries")
    if start + length + _END.size != size or size > MAX_BYTES:
        raise InputError(wrong + "its directory is not where it should be")


def _check_entries(path: PathLike, entries: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse names, kinds and sizes that no packed file of ours has."""
    seen: set[str] = set()
    for info in entries:
        shown_name = shown(repr(info.orig_filename))
        folder, _, part = info.filename.rpartition("/")
        at_top = info.filename in ("manifest.json", "README.md")
        if info.filename != info.orig_filename or not (
            at_top or (part in MEMBERS and _NAME.fullmatch(folder))
        ):
            raise InputError(f"{path}: holds {shown_name}, which is no part of a bundle")
        if info.filename.casefold() in seen:
            raise InputError(f"{path}: holds {shown_name} twice")
        seen.add(info.filename.casefold())
        mode = info.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise InputError(f"{path}: {shown_name} is a link or something else that is no file")
        if info.flag_bits & 0x2041:
            raise InputError(f"{path}: {shown_name} is encrypted; packed bundles are not")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{path}: {shown_name} is compressed in a way that ours are not")
        if at_top and info.file_size > MAX_TEXT:
            raise InputError(f"{path}: {shown_name} has {info.file_size:,} bytes")
    unfolded = sum(info.file_size for info in entries)
    packed = sum(info.compress_size for info in entries)
    if packed > size or unfolded > max(_UNFOLDED_FROM, MAX_UNFOLDED * size):
        raise InputError(f"{path}: {size:,} bytes would become {unfolded:,}: more than bundles can")


def _compare(path: PathLike, manifest: Manifest, found: Mapping[str, zipfile.ZipInfo]) -> None:
    names = set(found) - {"manifest.json"}
    for name in sorted(names ^ set(manifest.files)):
        lacks = "lacks" if name in manifest.files else "holds, unnamed by its manifest,"
        raise InputError(f"{path}: {lacks} {shown(name)}")
    for name, member in manifest.files.items():
        if found[name].file_size != member.bytes:
            raise InputError(
                f"{path}: {shown(name)} has {found[name].file_size:,} bytes, the manifest says "
                f"{member.bytes:,}"
            )
