"""Outputs never destroy what is not ours: links, pipes, devices, folders, faults, kills."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cistransfer.errors import InputError, MachineError
from cistransfer.storage import (
    Kind,
    check_folder,
    files_into,
    is_stream,
    output,
    overwriting,
    remove_folder,
    safe_name,
    whole_file,
    whole_folder,
    write_text,
    writing,
)

KIND = Kind("thing", "card.json", ("one", "two", "deep/*.bed"))


def _tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _write(folder: Path, text: str, overwrite: bool = False) -> None:
    with whole_folder(folder, KIND, overwrite=overwrite) as temporary:
        (temporary / "deep").mkdir()
        for name in ("card.json", "one", "deep/a.bed"):
            (temporary / name).write_text(text)


def _thing(text: str) -> dict[str, str]:
    return {"card.json": text, "deep/a.bed": text, "one": text}


def _both(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")


# Files


def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for target in ("there/a", "there/new"):
        link = tmp_path / f"link-{Path(target).name}"
        link.symlink_to(target)
        write_text(link, "x")
        assert link.is_symlink()
        assert (tmp_path / target).read_text() == "x"
    assert sorted(os.listdir(tmp_path / "there")) == ["a", "new"]
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="cannot write"):
        write_text(tmp_path / "loop", "x")


def test_a_pipe_and_a_device_are_written_through(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through")
    reader.join(10)
    assert got == ["through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    null = tmp_path / "null"
    null.symlink_to("/dev/null")
    before = os.stat("/dev/null")
    for path in (null, Path("/dev/null")):
        assert is_stream(path)
        write_text(path, "gone")
    assert os.stat("/dev/null").st_ino == before.st_ino
    assert sorted(os.listdir(tmp_path)) == ["null", "pipe"]
    with pytest.raises(MachineError, match="/dev/full: cannot write: No space left"):
        write_text("/dev/full", "x")


WRITE = "import sys; from cistransfer.storage import write_text; write_text(sys.argv[1], 'abc')"


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_standard_output(tmp_path: Path, name: str) -> None:
    command = [sys.executable, "-c", WRITE, name]
    done = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    assert done.stdout == b"abc"
    log = tmp_path / "log"
    log.write_text("before\n")
    with open(log, "a") as handle:  # as '>> log': what is there stays
        subprocess.run(command, stdout=handle, check=True, cwd=tmp_path)
    assert log.read_text() == "before\nabc"
    assert os.listdir(tmp_path) == ["log"]


def test_the_mode_of_a_file_that_is_replaced_stays_and_new_ones_follow_the_umask(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a"
    write_text(path, "x")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    path.chmod(0o600)
    write_text(path, "y")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def _no_rename(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    def fail(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "replace", fail)


def test_a_mounted_file_is_overwritten_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("longer than the new one")
    inode = path.stat().st_ino
    _no_rename(monkeypatch, errno.EBUSY)
    write_text(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_ino == inode
    assert os.listdir(tmp_path) == ["a"]


def test_a_result_without_a_place_is_kept_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    _no_rename(monkeypatch, errno.EIO)
    with pytest.raises(MachineError, match=r"Input/output error; the finished result is kept at"):
        write_text(path, "new")
    assert path.read_text() == "old"
    (kept,) = (name for name in os.listdir(tmp_path) if name != "a")
    assert kept.startswith("a.kept-")
    assert (tmp_path / kept).read_text() == "new"


# Folders


def test_only_an_earlier_output_is_replaced_and_only_its_own_files(tmp_path: Path) -> None:
    path = tmp_path / "run"
    _write(path, "1")
    (path / "notes.txt").write_text("mine")
    (path / "deep" / "mine.txt").write_text("mine")
    (path / "link").symlink_to("notes.txt")
    (path / "empty").mkdir()
    (path / "two").write_text("of an earlier run")
    _write(path, "2")
    mine = {"notes.txt": "mine", "deep/mine.txt": "mine", "link": "mine"}
    assert _tree(path) == {**_thing("2"), **mine}
    assert (path / "link").is_symlink()
    assert (path / "empty").is_dir()
    assert os.listdir(tmp_path) == ["run"]


def test_where_files_of_others_cannot_be_moved_the_earlier_output_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, rename = tmp_path / "run", os.rename
    _write(path, "1")
    for name in ("a.txt", "notes.txt"):
        (path / name).write_text("mine")
    before = _tree(path)

    def fail(old: Path, new: Path) -> None:
        if Path(old).name == "notes.txt":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rename(old, new)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(MachineError, match="the finished result is kept at") as caught:
        _write(path, "2")
    kept = Path(str(caught.value).rpartition(" at ")[2])
    assert _tree(path) == before
    assert _tree(kept) == _thing("2")
    assert sorted(os.listdir(tmp_path)) == sorted(["run", kept.name])
    (tmp_path / "model" / "deeper" / ".examples.0123abcd-1.0123abcd.part").mkdir(parents=True)
    assert writing.held_in(tmp_path) == ["run"]  # a killed run leaves such
    (tmp_path / "model" / "deeper" / "mine").touch()
    assert writing.held_in(tmp_path) == ["model", "run"]


@pytest.mark.parametrize("what", ["folder", "file", "half"])
def test_what_is_not_ours_is_refused_before_and_after_the_work(tmp_path: Path, what: str) -> None:
    path = tmp_path / "data"
    if what == "file":
        path.write_text("mine")
    else:
        path.mkdir()
        (path / ("one" if what == "half" else "results.tsv")).write_text("mine")
    before = _tree(tmp_path)
    said = "found a file" if what == "file" else "which holds card.json.*found (one|results.tsv)"
    with pytest.raises(InputError, match=said), whole_folder(path, KIND):
        pytest.fail("the block must not run")
    with pytest.raises(InputError, match=said):
        check_folder(path, KIND)
    assert _tree(tmp_path) == before
    late = tmp_path / "late"
    with pytest.raises(InputError, match="found mine"), whole_folder(late, KIND) as temporary:
        _both(temporary / "card.json", late / "mine")
    assert _tree(late) == {"mine": "mine"}


def test_overwrite_puts_our_files_among_the_others(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").write_text("mine")
    (tmp_path / "a" / "one").write_text("old")
    _write(tmp_path / "a", "1", overwrite=True)
    assert _tree(tmp_path / "a") == {**_thing("1"), "mine": "mine"}
    (tmp_path / "empty").mkdir()
    _write(tmp_path / "empty", "1")
    assert _tree(tmp_path / "empty") == _thing("1")


def test_a_link_to_a_folder_stays(tmp_path: Path) -> None:
    _write(tmp_path / "real", "1")
    (tmp_path / "link").symlink_to("real")
    _write(tmp_path / "link", "2")
    assert (tmp_path / "link").is_symlink()
    assert _tree(tmp_path / "real") == _thing("2")


def test_a_mount_point_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out"
    path.mkdir()
    inode = path.stat().st_ino
    monkeypatch.setattr(os.path, "ismount", lambda at: Path(at) == path)
    for text in "12":
        _write(path, text)
        assert _tree(path) == _thing(text)
        (path / "two").write_text("earlier")
    assert path.stat().st_ino == inode
    assert os.listdir(tmp_path) == ["out"]


def test_a_kind_names_all_it_writes(tmp_path: Path) -> None:
    said = "does not name what it writes"
    with pytest.raises(ValueError, match=said), whole_folder(tmp_path / "a", KIND) as temporary:
        (temporary / "other").write_text("x")
    assert os.listdir(tmp_path) == []


def test_removing_an_output_leaves_what_is_not_of_it(tmp_path: Path) -> None:
    _write(tmp_path / "a", "1")
    _write(tmp_path / "b", "1")
    (tmp_path / "b" / "mine").write_text("mine")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "one").write_text("no marker")
    for name in "abcd":
        remove_folder(tmp_path / name, KIND)
    assert _tree(tmp_path) == {"b/mine": "mine", "c/one": "no marker"}
    assert not (tmp_path / "a").exists()


# Kills

KILL = """
import os, signal, sys
from cistransfer.storage import Kind, whole_folder, whole_file
n, kind, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
calls = 0
def dying(call):
    def counted(*args, **kwargs):
        global calls
        calls += 1
        if calls == n:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **kwargs)
    return counted
for name in ("rename", "replace", "fsync", "unlink", "rmdir", "mkdir"):
    setattr(os, name, dying(getattr(os, name)))
if kind == "file":
    with whole_file(path) as temporary:
        temporary.write_text("new")
else:
    with whole_folder(path, Kind("thing", "card.json", ("one", "deep/*.bed"))) as temporary:
        (temporary / "deep").mkdir()
        for name in ("one", "deep/a.bed", "card.json"):
            (temporary / name).write_text("new")
print("done")
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_killed_at_any_step_the_next_run_finds_the_old_or_the_new_and_clears_up(
    tmp_path: Path, kind: str
) -> None:
    mine = {} if kind == "file" else {"notes": "mine"}
    for n in range(1, 40):
        folder = tmp_path / str(n)
        folder.mkdir()
        path = folder / "x"
        if kind == "file":
            write_text(path, "old")
        else:
            _write(path, "old")
            (path / "notes").write_text("mine")
        done = subprocess.run(
            [sys.executable, "-c", KILL, str(n), kind, str(path)], capture_output=True, text=True
        )
        if kind == "file":
            assert path.read_text() in ("old", "new")
            write_text(path, "again")
            assert _tree(folder) == {"x": "again"}
        else:
            check_folder(path, KIND)  # what the next run does first
            assert _tree(path) in ({**_thing("old"), **mine}, {**_thing("new"), **mine})
            _write(path, "again")
            assert _tree(path) == {**_thing("again"), **mine}
            assert os.listdir(folder) == ["x"]
        if done.stdout == "done\n":
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
    else:
        pytest.fail("never ran to its end")
    assert n > (2 if kind == "file" else 5)


def test_what_a_living_process_writes_is_not_swept(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with whole_file(path) as first:
        write_text(path, "second")
        assert first.exists()
        first.write_text("first")
    assert path.read_text() == "first"
    script = "import sys,time\nfrom cistransfer.storage import whole_file\n"
    script += "with whole_file(sys.argv[1]) as t:\n print(t, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        write_text(path, "mine")
        assert theirs.exists()
        other.kill()
    write_text(path, "mine")
    assert os.listdir(tmp_path) == ["a"]


# Faults

STEPS = ("replace", "rename", "fsync", "unlink", "mkdir", "listdir", "chmod")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("lasting", [False, True])
def test_a_fault_at_any_step_leaves_the_old_or_the_new(
    tmp_path: Path, kind: str, number: int, lasting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, text: str) -> None:
        write_text(path, text) if kind == "file" else _write(path, text)

    for n in range(1, 60):
        folder = tmp_path / str(n)
        folder.mkdir()
        path = folder / "x"
        write(path, "old")
        calls = 0

        def failing(call: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*args: Any, **kwargs: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls == n or (lasting and calls > n):  # noqa: B023
                    raise OSError(number, os.strerror(number), str(path))  # noqa: B023
                return call(*args, **kwargs)

            return counted

        failed = False
        with monkeypatch.context() as patch:
            for name in STEPS:
                patch.setattr(os, name, failing(getattr(os, name)))
            try:
                write(path, "new")
            except MachineError:
                failed = True
        if kind == "folder":
            check_folder(path, KIND)
        found = path.read_text() if kind == "file" else _tree(path)
        assert found in (("old", "new") if kind == "file" else (_thing("old"), _thing("new")))
        if calls < n:
            assert not failed
            break
    else:
        pytest.fail("never ran to its end")
    assert n > 3


# Names


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("HNF4A", "HNF4A"),
        ("keratinocyte (adult)", "keratinocyte (adult)"),
        ("NKX2-5,v.2", "NKX2-5,v.2"),
        ("größe", "größe"),
        ("", "%"),
        (".", "%2E"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("a/b", "a%2Fb"),
        ("../../etc", "%2E.%2F..%2Fetc"),
        ("a\\b", "a%5Cb"),
        ("a\0b\n", "a%00b%0A"),
        ("50%", "50%25"),
    ],
)
def test_names_become_one_part_of_a_path(tmp_path: Path, name: str, part: str) -> None:
    assert safe_name(name) == part
    (tmp_path / part).write_text("x")
    assert os.listdir(tmp_path) == [part]


def test_long_names_stay_different(tmp_path: Path) -> None:
    names = ["x" * 300, "x" * 301, "ä" * 150, "ä" * 151, "/" * 100, "\udcff" * 200]
    parts = [safe_name(name) for name in names]
    assert len(set(parts)) == len(names)
    for part in parts:
        write_text(tmp_path / part, "x")
    assert len(os.listdir(tmp_path)) == len(names)


def test_a_name_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    write_text(tmp_path / ("x" * 255), "x")
    assert os.listdir(tmp_path) == ["x" * 255]


def test_names_of_what_is_written_are_of_this_process() -> None:
    path = writing._beside(Path("/nowhere/name.tsv"), ".part")
    writing._live.discard(str(path))
    assert path.name.startswith(f".name.tsv.{writing._machine()}-{os.getpid()}.")
    assert writing._LEFT.search(path.name)


def test_a_run_that_is_stopped_between_two_files_leaves_what_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files go into a folder one by one, the record before them; the next run sweeps up."""
    target, real = tmp_path / "out", os.replace
    target.mkdir()
    (target / "mine.txt").write_text("keep", encoding="utf-8")

    def write() -> None:
        with files_into(target) as made:
            for name in ("a", "b"):
                (made / name).write_text(name, encoding="utf-8")

    def stops(source: str | Path, place: str | Path) -> None:
        real(source, place)
        if Path(place).name == "a":
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stops)
    with (
        pytest.raises(KeyboardInterrupt),
        overwriting(),
        output([target], ["matrix", "export"], ()),
    ):
        write()
    monkeypatch.undo()
    assert sorted(os.listdir(target)) == ["a", "config.json", "mine.txt"]
    left = tmp_path / ".out.0a0b0c0d-1.00000000.part"  # of another machine: stays
    left.mkdir()
    with output([target], ["matrix", "export"], ()):  # it is ours: no question
        write()
    assert sorted(os.listdir(target)) == ["a", "b", "config.json", "mine.txt"]
    assert sorted(os.listdir(tmp_path)) == [left.name, "out"]
    with (
        pytest.raises(InputError, match="expected a folder, found a file"),
        files_into(target / "a"),
    ):
        pass
