"""Public data: what arrives is the file or nothing, whatever the server does."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shlex
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cistransfer as ct
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.downloads.catalogue import File, catalogue
from cistransfer.downloads.fetch import fetch
from cistransfer.downloads.get import get_source, plain_commands
from cistransfer.errors import InputError, MachineError
from conftest import Server

PLAIN = np.random.default_rng(3).integers(0, 256, 50_000, dtype=np.uint8).tobytes()
PACKED = gzip.compress(PLAIN, mtime=0)
SHA = hashlib.sha256(PACKED).hexdigest()
BED = "hg38-blacklist.v2.bed.gz"


def held(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_connection_that_drops_is_resumed_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.files["a.gz"] = PACKED
    server.drop = 20_000
    content, _ = fetch(File("a.gz", f"{server.url}/a.gz", sha256=SHA), tmp_path / "a.gz")
    assert (tmp_path / "a.gz").read_bytes() == PACKED
    assert content.sha256 == SHA
    assert [asked for _, asked, _ in server.log] == ["", "bytes=20000-", "bytes=40000-"]
    assert held(tmp_path) == ["a.gz"]


@pytest.mark.parametrize("length", [True, False])
def test_a_server_that_always_drops_is_given_up_and_gone_on_with(
    server: Server, tmp_path: Path, length: bool
) -> None:
    """Without ranges every try begins anew; what is kept is of use once the server resumes."""
    server.files["a.gz"] = PACKED
    server.drop, server.ranges, server.length = 20_000, False, length
    file = File("a.gz", f"{server.url}/a.gz", bytes=len(PACKED))
    target = tmp_path / "a.gz"
    if not length:  # nothing tells that it is not whole, but its size
        with pytest.raises(InputError, match=r"expected bytes 50,?0\d\d, found 20000"):
            fetch(file, target)
        assert held(tmp_path) == []
        return
    with pytest.raises(MachineError, match=r"20,000 of 50,0\d\d bytes; 20,000 bytes are kept"):
        fetch(file, target)
    assert not target.exists()
    server.ranges, server.drop = True, 0
    fetch(file, target)
    assert server.log[-1][1:] == ("bytes=20000-", 206)
    assert target.read_bytes() == PACKED


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    server.files["a.txt"] = b"old " * 10_000
    server.drop = 20_000
    server.ranges = False
    with pytest.raises(MachineError):
        fetch(File("a.txt", f"{server.url}/a.txt"), tmp_path / "a.txt")
    server.files["a.txt"] = b"new " * 10_000
    server.drop, server.ranges, server.tag = 0, True, '"two"'
    fetch(File("a.txt", f"{server.url}/a.txt"), tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == b"new " * 10_000


CORRUPT = PACKED[:30_000] + bytes([PACKED[30_000] ^ 1]) + PACKED[30_001:]


@pytest.mark.parametrize(
    ("content", "known", "said"),
    [
        (CORRUPT, {}, r"the file is damaged \(CRC check failed"),
        (PACKED[:40_000], {}, r"damaged \(Compressed file ended"),
        (CORRUPT, {"sha256": SHA}, f"expected sha256 {SHA}, found"),
        (CORRUPT, {"md5": hashlib.md5(PACKED).hexdigest()}, "expected md5"),
        (PACKED[:-1], {"bytes": len(PACKED)}, r"expected 50,0\d\d bytes, the server has 50,0\d\d"),
        (b"<!DOCTYPE html><html>Please log in</html>", {}, "expected a file, found a web page"),
        (b"", {}, "damaged"),
        (PLAIN, {}, "damaged"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n",
            {},
            "expected the file, found a pointer of Git LFS",
        ),
    ],
    ids=["bit", "cut", "sha256", "md5", "size", "page", "empty", "plain", "pointer"],
)
def test_nothing_is_kept_of_what_is_not_the_file(
    server: Server, tmp_path: Path, content: bytes, known: dict[str, int], said: str
) -> None:
    server.files["a.gz"] = content
    with pytest.raises(InputError, match=said) as refused:
        fetch(File("a.gz", f"{server.url}/a.gz", **known), tmp_path / "a.gz")
    assert "\n" not in str(refused.value)
    assert held(tmp_path) == []


def test_statuses(server: Server, tmp_path: Path) -> None:
    server.files["a.gz"] = PACKED
    file = File("a.gz", f"{server.url}/a.gz")
    server.status, server.failures = 503, 2
    fetch(file, tmp_path / "a.gz")
    assert [status for *_, status in server.log] == [503, 503, 200]
    server.failures = 100
    with pytest.raises(MachineError, match="the server says 503"):
        fetch(file, tmp_path / "b.gz")
    server.status = 403
    with pytest.raises(InputError, match=r"403 Forbidden; it may have moved \(--mirror"):
        fetch(file, tmp_path / "b.gz")
    server.failures, server.kind = 0, "text/html; charset=utf-8"
    with pytest.raises(InputError, match="found a web page"):
        fetch(file, tmp_path / "b.gz")
    with pytest.raises(MachineError, match="cannot be reached"):
        fetch(replace(file, url="http://127.0.0.1:9/a.gz"), tmp_path / "b.gz")


def test_content_behind_a_pointer_is_compared_with_it(server: Server, tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA}\nsize {len(PACKED)}\n"
    server.files |= {"a.gz": pointer.encode(), "large.gz": PACKED}
    file = File("a.gz", f"{server.url}/a.gz", large=f"{server.url}/large.gz")
    _, final = fetch(file, tmp_path / "a.gz")
    assert (final.sha256, final.bytes) == (SHA, len(PACKED))
    server.files["large.gz"] = gzip.compress(PLAIN[:-1] + b"!", mtime=0)
    with pytest.raises(InputError, match="expected"):
        fetch(file, tmp_path / "b.gz")
    assert held(tmp_path) == ["a.gz"]


def test_two_at_once_do_not_write_into_each_other(server: Server, tmp_path: Path) -> None:
    server.files["a.gz"] = PACKED
    said: list[Exception] = []

    def one() -> None:
        try:
            fetch(File("a.gz", f"{server.url}/a.gz"), tmp_path / "a.gz")
        except MachineError as error:
            said.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a.gz").read_bytes() == PACKED
    assert all("another process is fetching it" in str(error) for error in said)
    assert held(tmp_path) == ["a.gz"]


def test_what_was_obtained_is_recorded_and_compared(server: Server, tmp_path: Path) -> None:
    server.files[BED] = PACKED
    (first,) = ct.get_data("blacklist", tmp_path, mirror=server.url)
    path = Path(first.path)
    assert path == tmp_path / "blacklist" / BED
    record = json.loads((tmp_path / "blacklist" / "source.json").read_text())
    assert record["files"][BED] | {"on": ""} == {
        "bytes": len(PACKED),
        "md5": hashlib.md5(PACKED).hexdigest(),
        "sha256": SHA,
        "url": f"{server.url}/{BED}",
        "on": "",
        "checked": "nothing",
    }
    assert record["source"]["version"] == "ENCODE blacklist v2"
    (again,) = get_source("blacklist", tmp_path, server.url)
    assert (again.fetched, again.sha256) == (False, SHA)
    assert len(server.log) == 1
    path.write_bytes(CORRUPT)
    with pytest.raises(InputError, match="as it was obtained, found"):
        ct.get_data("blacklist", tmp_path, mirror=server.url)


def test_a_file_put_there_by_hand_is_checked_and_taken(server: Server, tmp_path: Path) -> None:
    """What `--print` is for: the files come from another machine."""
    folder = tmp_path / "cache" / "data" / "blacklist"
    folder.mkdir(parents=True)
    (folder / BED).write_bytes(CORRUPT)
    with pytest.raises(InputError, match="damaged"):
        ct.get_data("blacklist")
    (folder / BED).write_bytes(PACKED)
    assert [one.path for one in ct.get_data("blacklist")] == [str(folder / BED)]
    assert server.log == []


def test_the_printed_commands_fetch_the_same(server: Server, tmp_path: Path) -> None:
    server.files[BED] = PACKED
    lines = plain_commands("blacklist", tmp_path / "by hand", server.url)
    subprocess.run(["sh", "-eu", "-c", "\n".join(lines)], check=True, capture_output=True)
    assert (tmp_path / "by hand" / "blacklist" / BED).read_bytes() == PACKED
    *_, check, _ = plain_commands("hg38", "x")
    assert shlex.split(check) == ["echo", shlex.split(check)[1], "|", "sha256sum", "-c"]


def test_the_command_line(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files[BED] = PACKED
    words = ["data", "get", "blacklist", "--out", str(tmp_path), "--mirror", server.url]
    assert run_app(app, [*words, "--print"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("mkdir -p ")
    assert run_app(app, words) == 0
    assert f"no checksum is published; sha256 {SHA}" in capsys.readouterr().out
    assert run_app(app, [*words, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["sources"]["blacklist"]
    assert found["fetched"] is False
    for wrong, said in (
        (["hg39"], "no source is called 'hg39'; nearest: hg38"),
        (["tfclass"], "tfclass is not fetched"),
        (["hg38", "--mirror", "file:///etc"], "expected a mirror as http"),
        (["dhs", "--out", str(tmp_path), "--mirror", server.url], "404 Not Found"),
    ):
        assert run_app(app, ["data", "get", *wrong]) == 2
        assert said in capsys.readouterr().err
    assert run_app(app, ["data", "list"]) == 0
    shown = capsys.readouterr().out
    assert all(f"{name}: " in shown for name in catalogue())


def test_the_catalogue_is_sound() -> None:
    """Hosts are public, checksums well formed, names safe, and every option named exists."""
    options = {
        word
        for verb in ("relatives", "matrix", "pretrain")
        for word in re.findall(r"--[a-z][a-z0-9-]+", _help(verb))
    }
    for source in catalogue().values():
        assert bool(source.files) != bool(source.by_hand)
        assert source.page.startswith(("https://", "http://"))
        assert source.licence
        for word in re.findall(r"--[a-z][a-z0-9-]+", source.use):
            assert word in options
        for file in source.files:
            assert file.url.startswith("https://")
            assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", file.name)
            assert file.url.rpartition("/")[2].replace("%2B", "+") == file.name
            assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
    names = [file.name for source in catalogue().values() for file in source.files]
    assert len(names) == len(set(names))


def _help(name: str) -> str:

    def words(command: object) -> list[str]:
        inner = getattr(command, "commands", None)
        if inner is None:
            return [each for param in command.params for each in param.opts]  # type: ignore[attr-defined]
        return [word for one in inner.values() for word in words(one)]

    return " ".join(words(app.commands[name]))  # type: ignore[attr-defined]


def test_names_that_are_no_text() -> None:
    with pytest.raises(InputError, match="expected the name of a source"):
        ct.get_data(3)  # type: ignore[arg-type]
    assert list(ct.list_data()["name"]) == list(catalogue())
