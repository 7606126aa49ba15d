"""Packed bundles made to harm are refused in one line; nothing is written, nothing unfolds."""

from __future__ import annotations

import json
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hard_targets import packed_words, small_bundle

from cistransfer.errors import InputError
from cistransfer.models.bundle import open_bundle
from cistransfer.models.card import Architecture
from cistransfer.models.packed import MAX_UNFOLDED, extract_packed, is_packed, write_packed
from cistransfer.sharing.pack import pack_bundles

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed bundle of a few words, for what is refused before they are read (read only)."""
    folder = tmp_path_factory.mktemp("packed")
    packed_words(folder)
    extract_packed(folder / "p.zip", folder / "out")
    return folder / "p.zip"


def _files(path: Path) -> Files:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _write(path: Path, files: Files, **entry: Any) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            for field, value in entry.items() if name.endswith("README.md") else ():
                setattr(info, field, value)
            archive.writestr(info, content)


def _manifest(inside: Files, **changes: object) -> None:
    content = json.loads(inside["manifest.json"])
    inside["manifest.json"] = json.dumps(content | changes).encode()


def _extra(name: str) -> Callable[[Files], None]:
    return lambda files: files.update({name: b"x"})


def _claims(name: str, **changes: object) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        content = json.loads(files["manifest.json"])
        content["files"][name] |= changes
        files["manifest.json"] = json.dumps(content).encode()

    return change


ZERO = "sha256:" + "0" * 64
WRONG: dict[str, tuple[Callable[[Files], object], str]] = {
    "a parent": (_extra("../evil"), "holds '../evil', which is no part"),
    "a parent below": (_extra("toy/../../evil"), "which is no part"),
    "an absolute path": (_extra("/etc/evil"), "holds '/etc/evil', which is no part"),
    "a drive": (_extra("C:\\evil"), "which is no part"),
    "backslashes": (_extra("toy\\..\\evil"), "which is no part"),
    "a folder": (_extra("toy/more/"), "which is no part"),
    "a hidden name": (_extra(".toy/card.json"), "which is no part"),
    "code": (_extra("toy/network.py"), "holds 'toy/network.py', which is no part"),
    "a pickle": (_extra("toy/weights.pkl"), "which is no part"),
    "a name of a thousand": (_extra("a" * 1000), "which is no part"),
    "another bundle": (_extra("other/card.json"), "holds, unnamed by its manifest, other/card"),
    "a name in other letters": (_extra("TOY/card.json"), "holds 'TOY/card.json' twice"),
    "no manifest": (lambda f: f.pop("manifest.json"), "a zip of something else"),
    "an empty zip": (lambda f: f.clear(), "a zip of something else"),
    "no card": (lambda f: f.pop("toy/card.json"), "lacks toy/card.json"),
    "another manifest": (lambda f: _manifest(f, format="x"), "found another manifest"),
    "a newer format": (lambda f: _manifest(f, version=2), "packed in format 2; this cistransfer"),
    "a version of text": (lambda f: _manifest(f, version="1"), "packed in format '1'"),
    "no bundles": (lambda f: _manifest(f, bundles=[]), "the manifest is wrong: bundles"),
    "bundles of no list": (lambda f: _manifest(f, bundles="toy"), "the manifest is wrong: bundles"),
    "a bundle that is elsewhere": (lambda f: _manifest(f, bundles=["../toy"]), "names a bundle"),
    "a bundle twice": (lambda f: _manifest(f, bundles=["toy", "toy"]), "names a bundle twice"),
    "files of no table": (lambda f: _manifest(f, files=[]), "the manifest is wrong: files"),
    "more in the manifest": (lambda f: _manifest(f, run="rm"), "the manifest is wrong: run"),
    "a manifest of no JSON": (lambda f: f.update({"manifest.json": b"{"}), "not valid JSON"),
    "a deep manifest": (
        lambda f: f.update({"manifest.json": b"[" * 100_000}), "nested too deeply",
    ),
    "a hash": (_claims("toy/card.json", sha256=ZERO), "toy/card.json is damaged"),
    "a size": (_claims("toy/card.json", bytes=5), "the manifest says 5"),
    "a size below zero": (_claims("toy/card.json", bytes=-5), "the manifest is wrong"),
    "other bytes": (
        lambda f: f.update({"toy/card.json": f["toy/card.json"].replace(b"t", b"T")}),
        "toy/card.json is damaged: not the bytes that were packed",
    ),
    "a bomb": (lambda f: f.update({"README.md": bytes(1 << 23)}), "has 8,388,608 bytes"),
    "a large bomb": (
        lambda f: f.update({"toy/weights.safetensors": bytes(70 << 20)}), "more than bundles can",
    ),
}  # fmt: skip


def _refused(path: Path, folder: Path, message: str) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(InputError) as caught:
        extract_packed(path, folder / "out")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert sorted(folder.rglob("*")) == before
    with pytest.raises(InputError):
        open_bundle(path)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CISTRANSFER_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", WRONG)
def test_wrong_members(name: str, good: Path, tmp_path: Path) -> None:
    change, message = WRONG[name]
    files = _files(good)
    change(files)
    _write(tmp_path / "bad.zip", files)
    _refused(tmp_path / "bad.zip", tmp_path, message)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"external_attr": (stat.S_IFLNK | 0o777) << 16}, "is a link"),
        ({"external_attr": (stat.S_IFIFO | 0o777) << 16}, "is a link or something else"),
        ({"external_attr": (stat.S_IFDIR | 0o777) << 16}, "is a link or something else"),
        ({"compress_type": zipfile.ZIP_BZIP2}, "compressed in a way that ours are not"),
        ({"compress_type": zipfile.ZIP_LZMA}, "compressed in a way that ours are not"),
    ],
)
def test_wrong_kinds(entry: dict[str, int], message: str, good: Path, tmp_path: Path) -> None:
    _write(tmp_path / "bad.zip", _files(good), **entry)
    _refused(tmp_path / "bad.zip", tmp_path, message)


def test_the_same_name_twice(good: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        for name, content in _files(good).items():
            archive.writestr(name, content)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("toy/card.json", b"{}")
    _refused(tmp_path / "bad.zip", tmp_path, "holds 'toy/card.json' twice")


def _directory(raw: bytes) -> int:
    return struct.unpack("<I", raw[-6:-2])[0]


def _flags(raw: bytearray, flag: int) -> bytearray:
    """Set a flag of the first entry, in its own head and in the directory."""
    raw[6] |= flag
    raw[_directory(raw) + 8] |= flag
    return raw


def _at(offset: int, value: bytes) -> Callable[[bytearray], bytearray]:
    """Overwrite bytes, counted from the end, or with 10,000 on from the directory's start."""

    def change(raw: bytearray) -> bytearray:
        start = len(raw) + offset if offset < 0 else _directory(raw) + offset
        raw[start : start + len(value)] = value
        return raw

    return change


RAW: dict[str, tuple[Callable[[bytearray], bytes | bytearray], str]] = {
    "encrypted": (lambda raw: _flags(raw, 1), "is encrypted"),
    "cut short": (lambda raw: raw[:-30], "does not end with a directory"),
    "cut to a stump": (lambda raw: raw[:12], "cut short"),
    "half": (lambda raw: raw[: len(raw) // 2], "does not end with a directory"),
    "something in front": (lambda raw: b"PK\x03\x04 #!/bin/sh\n" + raw, "not where it should be"),
    "something behind": (lambda raw: raw + b"more", "does not end with a directory"),
    "a comment": (_at(-2, b"\x04\0"), "parts that ours has not"),
    "a directory elsewhere": (_at(-6, b"\0\0\0\0"), "not where it should be"),
    "a long directory": (_at(-10, b"\xff\xff\xff\x7f"), "entries"),
    "65,535 entries": (_at(-14, b"\xff\xff\xff\xff"), "65,535 entries"),
    "a directory of another magic": (_at(0, b"XX"), "damaged"),
    "an entry that is as large as can be": (_at(24, b"\xff\xff\xff\xff"), ""),
    "a packed size that is as large as can be": (_at(20, b"\xff\xff\xff\x7f"), "bundles can"),
    "an entry that begins elsewhere": (_at(42, b"\x05\0\0\0"), "damaged"),
    "an entry beyond the end": (_at(42, b"\xff\xff\xff\x7f"), "damaged"),
    "another check sum": (_at(16, b"\0\0\0\0"), "damaged"),
}


@pytest.mark.parametrize("name", RAW)
def test_wrong_bytes(name: str, good: Path, tmp_path: Path) -> None:
    change, message = RAW[name]
    (tmp_path / "bad.zip").write_bytes(change(bytearray(good.read_bytes())))
    _refused(tmp_path / "bad.zip", tmp_path, message)


def test_entries_that_overlap(good: Path, tmp_path: Path) -> None:
    """The bomb whose entries share their bytes: all begin where the first one does."""
    raw = bytearray(good.read_bytes())
    place = raw.find(b"PK\x01\x02", _directory(raw) + 4)
    raw[place + 42 : place + 46] = b"\0\0\0\0"
    (tmp_path / "bad.zip").write_bytes(raw)
    _refused(tmp_path / "bad.zip", tmp_path, "damaged")


def test_the_large_extension(good: Path, tmp_path: Path) -> None:
    raw = good.read_bytes()
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    (tmp_path / "bad.zip").write_bytes(raw[:-22] + locator + raw[-22:])
    _refused(tmp_path / "bad.zip", tmp_path, "parts that ours has not")


def test_absurd_shapes_cost_no_memory(tmp_path: Path) -> None:
    """Weights that claim a tensor of a terabyte, packed with right hashes."""
    folder = small_bundle(tmp_path / "toy", Architecture(name="cnn"))
    card = json.loads((folder / "card.json").read_text())
    card["window"] = 9_999_999
    card["architecture"]["arguments"] = {"dropout": 0.3}
    (folder / "card.json").write_text(json.dumps(card))
    write_packed(tmp_path / "bad.zip", {"toy": folder}, "")
    with pytest.raises(InputError, match="not the weights of architecture 'cnn' with window"):
        open_bundle(tmp_path / "bad.zip")
    head = json.dumps({"x": {"dtype": "F32", "shape": [1 << 38], "data_offsets": [0, 1 << 40]}})
    content = struct.pack("<Q", len(head)) + head.encode() + bytes(64)
    (folder / "weights.safetensors").write_bytes(content)
    write_packed(tmp_path / "bad.zip", {"toy": folder}, "")
    with pytest.raises(InputError, match="damaged or no safetensors file"):
        open_bundle(tmp_path / "bad.zip")


def test_other_zips_and_other_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    with pytest.raises(InputError, match=r"a\.npz: holds 'a\.npy', which is no part"):
        open_bundle(tmp_path / "a.npz")
    (tmp_path / "a.txt").write_text("PK")
    assert not is_packed(tmp_path / "a.txt")
    assert not is_packed(tmp_path)
    assert not is_packed(tmp_path / "none")
    with pytest.raises(InputError, match="no such file"):
        extract_packed(tmp_path / "none.zip", tmp_path / "out")


def test_an_honest_file_unfolds_far_less(tmp_path: Path) -> None:
    pack_bundles([small_bundle(tmp_path / "toy")], tmp_path / "toy.zip")
    with zipfile.ZipFile(tmp_path / "toy.zip") as archive:
        unfolded = sum(info.file_size for info in archive.infolist())
    assert unfolded < MAX_UNFOLDED / 10 * (tmp_path / "toy.zip").stat().st_size
