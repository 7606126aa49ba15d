"""One door for input: pipes, standard input, compression, encodings, damage."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from cistransfer.errors import InputError, MachineError
from cistransfer.storage import fingerprint, open_bytes, open_text, reading

TEXT = "".join(f"chr{number}\t{number}\tzwölf\n" for number in range(20_000))


def _zstd(data: bytes) -> bytes:
    held = pa.BufferOutputStream()
    with pa.CompressedOutputStream(held, "zstd") as stream:
        stream.write(data)
    return bytes(held.getvalue().to_pybytes())


PACK: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": _zstd,
}


@pytest.mark.parametrize("kind", PACK)
def test_compression_is_told_by_the_first_bytes_and_members_follow_each_other(
    tmp_path: Path, kind: str
) -> None:
    data, half = TEXT.encode(), len(TEXT) // 2
    path = tmp_path / "misleading.txt"
    path.write_bytes(PACK[kind](data[:half]) + PACK[kind](data[half:]))
    with open_text(path) as handle:
        assert handle.readline() == "chr0\t0\tzwölf\n"
        assert "chr0\t0\tzwölf\n" + handle.read() == TEXT
    with open_bytes(path) as stream:
        assert stream.read() == data


@pytest.mark.parametrize("kind", [kind for kind in PACK if kind != "plain"])
@pytest.mark.parametrize("fault", ["cut", "changed"])
def test_damage_is_an_input_error_with_the_name(tmp_path: Path, kind: str, fault: str) -> None:
    if (kind, fault) == ("zstd", "changed"):
        fault = "cut"  # the frames that pyarrow writes carry no checksum
    noise = os.urandom(300_000).hex().encode()
    data = bytearray(PACK[kind](noise))
    if fault == "cut":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    path = tmp_path / "a.gz"
    path.write_bytes(data)
    said = rf"a\.gz: the {kind} file is cut short or damaged"
    with pytest.raises(InputError, match=said), open_text(path) as handle:
        list(handle)
    with (
        pytest.raises(InputError, match=r"a\.gz: the .* file is cut short"),
        open_text(path) as text,
    ):
        pd.read_csv(text, sep="\t", header=None)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("é\n".encode(), "é\n"),
        ("é\n".encode("utf-8-sig"), "é\n"),
        ("é\n".encode("utf-16"), "é\n"),
        ("é\n".encode("utf-32"), "é\n"),
        ("François\tµm\n".encode("latin-1"), "François\tµm\n"),
        ("ü".encode() + "ü".encode("latin-1"), "üü"),
        (b"a\rb\r\nc\nd", "a\nb\nc\nd"),
        (b"", ""),
    ],
)
def test_encodings_and_line_ends(tmp_path: Path, data: bytes, text: str) -> None:
    for name, content in (("a", data), ("b", gzip.compress(data))):
        (tmp_path / name).write_bytes(content)
        with open_text(tmp_path / name) as handle:
            assert handle.read() == text


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"\x89HDF\r\n\x1a\n\x00", "an HDF5 file"),
        (gzip.compress(b"BAM\x01\x00\x00", mtime=0), "a BAM file"),
        (b"PK\x03\x04\x00", "a zip archive"),
        (b"chr1\x00\x01", "binary data"),
    ],
)
def test_what_is_not_text_is_named(tmp_path: Path, head: bytes, what: str) -> None:
    (tmp_path / "a").write_bytes(head)
    with pytest.raises(InputError, match=f"expected text, found {what}"), open_text(tmp_path / "a"):
        pytest.fail("the block must not run")


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_RATIO_FROM", 1 << 20)
    (tmp_path / "a").write_bytes(bz2.compress(bytes(1 << 23)))
    with pytest.raises(InputError, match="more than 5,000 times"), open_bytes(tmp_path / "a") as a:
        a.read()
    (tmp_path / "n").write_bytes(gzip.compress(b"N" * (1 << 23)))  # nothing but N: fine
    with open_bytes(tmp_path / "n") as n:
        assert len(n.read()) == 1 << 23


@pytest.mark.parametrize("memory", [1 << 26, 1 << 10])
def test_a_named_pipe_is_read_once_and_can_be_opened_again(
    tmp_path: Path, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_IN_MEMORY", memory)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    packed = gzip.compress(TEXT.encode())
    writer = threading.Thread(target=path.write_bytes, args=(packed,))
    writer.start()
    with open_text(path) as first, open_text(path) as second:  # each with a place of its own
        assert first.readline() == second.readline()
        assert first.read() == second.read() == TEXT.split("\n", 1)[1]
    writer.join()
    (tmp_path / "file").write_bytes(packed)
    assert fingerprint(path) == fingerprint(tmp_path / "file")


READ_TWICE = """
import sys
from cistransfer.storage import open_text
for _ in range(2):
    for path in sys.argv[1:]:
        with open_text(path) as handle:
            print(sum(1 for _ in handle))
"""


@pytest.mark.parametrize("name", ["-", "/dev/stdin", "/dev/fd/0"])
@pytest.mark.parametrize("piped", [True, False])
def test_standard_input(tmp_path: Path, name: str, piped: bool) -> None:
    (tmp_path / "a").write_text(TEXT)
    command = [sys.executable, "-c", READ_TWICE, name]
    if piped:
        done = subprocess.run(command, input=TEXT.encode(), capture_output=True, check=True)
    else:
        with open(tmp_path / "a", "rb") as handle:
            done = subprocess.run(command, stdin=handle, capture_output=True, check=True)
    assert done.stdout.split() == [b"20000", b"20000"]


def test_process_substitution(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(TEXT.encode()))
    (tmp_path / "read.py").write_text(READ_TWICE)
    line = f"{sys.executable} read.py <(zcat a.gz) <(cat a.gz) <(zcat a.gz | head -3)"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.split() == [b"20000", b"20000", b"3"] * 2


def test_closed_standard_input_and_nothing() -> None:
    command = f'{sys.executable} -c "{READ_TWICE}"'
    done = subprocess.run(["bash", "-c", f"{command} - <&-"], capture_output=True, text=True)
    assert "-: standard input is closed" in done.stderr
    done = subprocess.run(["bash", "-c", f"{command} /dev/null"], capture_output=True, text=True)
    assert done.stdout.split() == ["0", "0"]


def test_a_failing_disk_is_the_machines_fault_and_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "a").write_bytes(gzip.compress(b"x"))
    original = reading._File

    class Failing(original):  # type: ignore[misc, valid-type]
        def readinto(self, buffer: object) -> int:
            try:
                return fail()
            except OSError as error:
                raise reading.unreadable(str(self.name), error) from error

    monkeypatch.setattr(reading, "_File", Failing)
    with (
        pytest.raises(MachineError, match="a: cannot read: Input/output error"),
        open_text(tmp_path / "a") as handle,
    ):
        handle.read()


def test_names_that_are_wrong(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for path, said in (
        (tmp_path / "none", "no such file"),
        (tmp_path, "found a folder"),
        (tmp_path / "loop", "symbolic link"),
        (tmp_path / ("x" * 300), "name too long"),
        ("a\x00b", "null"),
    ):
        with pytest.raises(InputError, match=f"(?i){said}"), open_text(path):
            pytest.fail("the block must not run")
