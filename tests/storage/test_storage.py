"""Files and folders appear whole or not at all; reading says what is wrong."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cistransfer.errors import InputError, nearest
from cistransfer.storage import (
    Kind,
    fingerprint,
    open_text,
    read_json,
    whole_file,
    whole_folder,
    write_json,
    write_text,
)

KIND = Kind("thing", "a", ("one", "two", "b", "deep/*.bed"))


def _tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else "<folder>"
        for path in sorted(folder.rglob("*"))
    }


def test_a_file_takes_its_name_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with whole_file(path) as temporary:
        temporary.write_text("one")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert _tree(tmp_path) == {"new": "<folder>", "new/a.txt": "one"}
    write_text(path, "zwölf")
    assert path.read_bytes() == "zwölf".encode()


def test_a_folder_replaces_the_whole_old_one(tmp_path: Path) -> None:
    path = tmp_path / "run"
    for text in ("one", "two"):
        with whole_folder(path, KIND) as temporary:
            (temporary / "a").write_text(text)
            (temporary / text).write_text(text)
            assert "two" not in _tree(path) if path.exists() else text == "one"
    assert _tree(tmp_path) == {"run": "<folder>", "run/a": "two", "run/two": "two"}


def _break(path: Path, error: type[BaseException]) -> None:
    path.write_text("half")
    raise error


def test_after_an_exception_the_old_content_stands(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with whole_folder(tmp_path / "run", KIND) as temporary:
        (temporary / "a").write_text("old")
    before = _tree(tmp_path)
    for error in (ZeroDivisionError, KeyboardInterrupt):
        with pytest.raises(error), whole_file(tmp_path / "a.txt") as file:
            _break(file, error)
        with pytest.raises(error), whole_file(tmp_path / "b.txt") as file:
            _break(file, error)
        with pytest.raises(error), whole_folder(tmp_path / "run", KIND) as folder:
            _break(folder / "a", error)
    assert _tree(tmp_path) == before


KILLED = """
import sys, time
from cistransfer.storage import Kind, whole_file, whole_folder
KIND = Kind("thing", "a", ())
kind, path = sys.argv[1:]
if kind == "file":
    with whole_file(path) as temporary, open(temporary, "w") as handle:
        handle.write("half"); handle.flush()
        print("ready", flush=True); time.sleep(60)
else:
    with whole_folder(path, KIND) as temporary:
        (temporary / "a").write_text("half")
        print("ready", flush=True); time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("exists", [True, False])
def test_after_kill_9_the_old_content_stands(tmp_path: Path, kind: str, exists: bool) -> None:
    path = tmp_path / "x"
    if exists and kind == "file":
        write_text(path, "old")
    elif exists:
        with whole_folder(path, KIND) as temporary:
            (temporary / "a").write_text("old")
    before = _tree(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, kind, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as pipe:
        assert pipe.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    left = {name: text for name, text in _tree(tmp_path).items() if not name.startswith(".")}
    assert left == before
    write_json(tmp_path / "y", {})  # a later writer is not disturbed by what was left
    if kind == "file":
        write_text(path, "new")
        assert path.read_text() == "new"


FULL = """
import resource, sys
from pathlib import Path
import numpy as np, pandas as pd
from cistransfer.errors import MachineError
from cistransfer.storage import Kind, whole_file, whole_folder, write_text
KIND = Kind("thing", "a", ("a.npy",))
kind, path = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    if kind == "text":
        write_text(path, "x" * 1_000_000)
    elif kind == "numpy":
        with whole_file(path) as temporary, open(temporary, "wb") as handle:
            np.save(handle, np.zeros(1_000_000))
    elif kind == "parquet":
        with whole_file(path) as temporary:
            table = pd.DataFrame({"a": np.random.default_rng(0).random(100_000)})
            table.to_parquet(temporary)
    elif kind == "tsv":
        with whole_file(path) as temporary:
            pd.DataFrame({"a": range(100_000)}).to_csv(temporary)
    elif kind == "folder":
        with whole_folder(path, KIND) as temporary:
            np.save(temporary / "a.npy", np.zeros(1_000_000))
except MachineError as error:
    print(error)
"""


@pytest.mark.parametrize("kind", ["text", "numpy", "parquet", "tsv", "folder"])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    write_text(tmp_path / "other", "stays")
    done = subprocess.run(
        [sys.executable, "-c", FULL, kind, str(path)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{path}: cannot write: ")
    assert done.stdout.count("\n") == 1
    if kind in ("numpy", "folder"):
        assert "the disk is full, or the file may not grow (" in done.stdout
    assert _tree(tmp_path) == {"other": "stays"}


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "mine")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="expected a file or a new name, found a folder"):
        write_text(tmp_path / "folder", "x")
    with (
        pytest.raises(InputError, match="expected a folder or a new name, found a file"),
        whole_folder(tmp_path / "file", KIND),
    ):
        pytest.fail("the block must not run")
    for below in ("file/x", "file/y/x"):
        with pytest.raises(InputError, match="cannot write"):
            write_text(tmp_path / below, "x")
        with pytest.raises(InputError, match="cannot write"), whole_folder(tmp_path / below, KIND):
            pytest.fail("the block must not run")
    with pytest.raises(InputError, match="cannot write: File name too long"):
        write_text(tmp_path / ("x" * 300), "x")
    assert _tree(tmp_path) == {"file": "mine", "folder": "<folder>"}


def test_errors_of_what_is_read_within_the_block_keep_their_name(tmp_path: Path) -> None:
    elsewhere = tmp_path / "in" / "none"
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "out" / "x"):
        elsewhere.read_text()
    (tmp_path / "in").mkdir()
    with pytest.raises(IsADirectoryError), whole_file(tmp_path / "out" / "x"):
        (tmp_path / "in").read_text()


def test_json(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None], "ä": "é"}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert read_json(tmp_path / "a.json") == value
    (tmp_path / "bad.json").write_text('{"a": ')
    with pytest.raises(InputError, match=r"bad\.json: not valid JSON"):
        read_json(tmp_path / "bad.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not valid JSON"):
        read_json(tmp_path / "binary.json")
    for missing in ("none.json", "a.json/x.json"):
        with pytest.raises(InputError, match="no such file"):
            read_json(tmp_path / missing)
    with pytest.raises(InputError, match="found a folder"):
        read_json(tmp_path)


def test_reading_text_plain_or_gzip(tmp_path: Path) -> None:
    text = "eins\r\nzwölf\n"
    (tmp_path / "a").write_bytes(text.encode())
    (tmp_path / "b").write_bytes(gzip.compress(text.encode("utf-8-sig")))
    for name in "ab":
        with open_text(tmp_path / name) as handle:
            assert list(handle) == ["eins\n", "zwölf\n"]
    (tmp_path / "c").write_bytes(gzip.compress(text.encode() * 1000)[:-4])
    with pytest.raises(InputError, match="cut short"), open_text(tmp_path / "c") as handle:
        handle.read()
    with pytest.raises(InputError, match="no such file"), open_text(tmp_path / "none"):
        pytest.fail("the block must not run")


def test_errors_within_the_reading_block_are_not_blamed_on_the_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "x")
    with pytest.raises(FileNotFoundError), open_text(tmp_path / "a"):
        (tmp_path / "other").read_text()
    with pytest.raises(IsADirectoryError), open_text(tmp_path / "a"):
        tmp_path.read_text()


def test_fingerprints(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert fingerprint(tmp_path / "a") == f"sha256:{known}"
    with pytest.raises(InputError, match="no such file"):
        fingerprint(tmp_path / "none")
    with pytest.raises(InputError, match="found a folder"):
        fingerprint(tmp_path)


def test_two_writers_of_one_path_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with whole_file(path) as first, whole_file(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["a"]


def test_nearest_names() -> None:
    known = ["HNF4A", "HNF4G", "JUND", "MAX"]
    assert nearest("hnf4", known) == "nearest: HNF4G, HNF4A"
    assert nearest("zzz", known) == "there are: HNF4A, HNF4G, JUND, MAX"
    assert nearest("zzz", []) == "there are none"
    many = [f"TF{number:02d}x" for number in range(20)]
    assert nearest("!", many).endswith("… (20 in all)")
