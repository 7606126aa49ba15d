"""Genomes as files really lie: any lines, any packing, any index, full disks, replaced files."""

from __future__ import annotations

import bz2
import errno
import gzip
import itertools
import lzma
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from cistransfer.errors import InputError, MachineError
from cistransfer.genome import faidx
from cistransfer.genome.bed import regions_table
from cistransfer.genome.codes import decode, encode
from cistransfer.genome.fasta import Genome, open_sequences
from cistransfer.storage import cache_folder

LETTERS = "ACGTacgtNnRYKMSWBDHVryUu-"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CISTRANSFER_CACHE", str(tmp_path / "cache"))


def _bgzf(raw: bytes, block: int = 90) -> bytes:
    out = b""
    for i in [*range(0, len(raw), block), len(raw)]:
        part = raw[i : i + block]
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        packed = packer.compress(part) + packer.flush()
        head = struct.pack("<4BI2BH2BHH", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, len(packed) + 25)
        out += head + packed + struct.pack("<II", zlib.crc32(part), len(part))
    return out


def _two_bit(sequences: dict[str, str], order: str = "<", version: int = 0) -> bytes:
    """Written by the words of the format's page, a letter at a time."""
    wide = "Q" if version else "I"
    bodies = []
    for sequence in sequences.values():
        blocks = []
        for unknown, run in itertools.groupby(
            range(len(sequence)), key=lambda i: sequence[i].upper() not in "ACGT"
        ):
            places = list(run)
            if unknown:
                blocks.append((places[0], len(places)))
        packed = bytearray((len(sequence) + 3) // 4)
        for i, letter in enumerate(sequence.upper()):
            packed[i // 4] |= max(0, "TCAG".find(letter)) << (6 - 2 * (i % 4))
        body = struct.pack(f"{order}II", len(sequence), len(blocks))
        body += b"".join(struct.pack(f"{order}I", start) for start, _ in blocks)
        body += b"".join(struct.pack(f"{order}I", size) for _, size in blocks)
        body += struct.pack(f"{order}IIII", 1, 0, 3, 0) + bytes(packed)  # one masked block
        bodies.append(body)
    index = sum(1 + len(name) + (8 if version else 4) for name in sequences)
    place = 16 + index
    out = struct.pack(f"{order}IIII", 0x1A412743, version, len(sequences), 0)
    for name, body in zip(sequences, bodies, strict=True):
        out += bytes([len(name)]) + name.encode() + struct.pack(f"{order}{wide}", place)
        place += len(body)
    return out + b"".join(bodies)


def _check(genome: Genome, sequences: dict[str, str], rng: np.random.Generator) -> None:
    """Every length and random windows equal plain slices."""
    assert genome.sizes == {name: len(sequence) for name, sequence in sequences.items()}
    for name, sequence in sequences.items():
        for _ in range(5 if sequence else 0):
            start, end = sorted(rng.integers(0, len(sequence) + 1, 2).tolist())
            codes = genome._source.fetch(name, start, end)
            assert decode(codes) == decode(encode(sequence[start:end])), (name, start, end)


def _sequences(rng: np.random.Generator, n: int = 4) -> dict[str, str]:
    lengths = rng.choice([0, 1, 7, 59, 60, 61, 120, 333], n)
    return {f"c{i}": "".join(rng.choice(list(LETTERS), lengths[i])) for i in range(n)}


def _regular(sequences: dict[str, str], width: int, end: str = "\n", last: bool = True) -> bytes:
    lines = []
    for name, sequence in sequences.items():
        lines.append(f">{name} some words")
        lines += [sequence[i : i + width] for i in range(0, len(sequence), width)]
    return (end.join(lines) + (end if last else "")).encode()


def _ragged(sequences: dict[str, str], rng: np.random.Generator) -> bytes:
    text = "\n" * rng.integers(0, 3)
    for name, sequence in sequences.items():
        text += f"> {name}\t{name}" + rng.choice(["\n", "\r\n", "\r"])
        while sequence:
            n = int(rng.integers(1, 80))
            text += sequence[:n] + rng.choice(["", "  ", "\t"]) + rng.choice(["\n", "\r\n", "\r"])
            text += rng.choice(["", "\n", "\n\n", " \n"])
            sequence = sequence[n:]
    return text.encode()


@pytest.mark.parametrize("block", [3, 17, 1 << 23])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_regular_lines(
    tmp_path: Path, end: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faidx, "_BLOCK", block)
    rng = np.random.default_rng(block)
    for width in (1, 60, 1000):
        for last, blank in itertools.product([True, False], [0, 1, 2]):
            sequences = _sequences(rng)
            path = tmp_path / f"{width}-{last}-{blank}.fa"
            text = _regular(sequences, width, end, last) + end.encode() * (blank if last else 0)
            if blank:
                text = text.replace(b">", end.encode() * blank + b">")
            path.write_bytes(text)
            for _ in range(2):  # made, and read back
                _check(Genome(path), sequences, rng)


@pytest.mark.parametrize("block", [5, 64, 1 << 23])
@pytest.mark.parametrize("seed", range(8))
def test_lines_as_they_come(
    tmp_path: Path, seed: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faidx, "_BLOCK", block)
    rng = np.random.default_rng(seed)
    sequences = _sequences(rng)
    path = tmp_path / "g.fa"
    path.write_bytes(_ragged(sequences, rng))
    _check(Genome(path), sequences, rng)
    _check(Genome(path), sequences, rng)


PACKED = {
    "plain": bytes,
    "gzip": gzip.compress,
    "two members": lambda raw: gzip.compress(raw[:100]) + gzip.compress(raw[100:]),
    "bgzip": _bgzf,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("layout", ["regular", "ragged", "bom"])
def test_packings(tmp_path: Path, kind: str, layout: str) -> None:
    rng = np.random.default_rng(len(kind))
    sequences = _sequences(rng)
    raw = _ragged(sequences, rng) if layout == "ragged" else _regular(sequences, 60)
    path = tmp_path / "g.fa"
    path.write_bytes(PACKED[kind]((b"\xef\xbb\xbf" if layout == "bom" else b"") + raw))
    _check(Genome(path), sequences, rng)
    _check(Genome(path), sequences, rng)
    if kind == "bgzip" and layout == "regular":
        assert not (tmp_path / "cache").exists()  # read where it lies


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [0, 1])
def test_two_bit(tmp_path: Path, order: str, version: int) -> None:
    rng = np.random.default_rng(3)
    sequences = {
        name: sequence.translate(str.maketrans("Uu-", "Ttn"))
        for name, sequence in _sequences(rng, 6).items()
    }
    sequences["runs"] = "N" * 9 + "ACGT" * 5 + "NN" + "A"
    path = tmp_path / "g.2bit"
    path.write_bytes(_two_bit(sequences, order, version))
    genome = open_sequences(path)
    assert isinstance(genome, Genome)
    _check(genome, sequences, rng)
    whole = path.read_bytes()
    for n in (5, 20, 60, len(whole) - 1):
        path.write_bytes(whole[:n])
        with pytest.raises(InputError, match=r"g\.2bit: the 2bit file is cut short"):
            Genome(path)


def test_a_genome_from_a_pipe(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    sequences = _sequences(rng) | {"chr": "ACGT" * 10}
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    packed = gzip.compress(_regular(sequences, 60))
    writer = threading.Thread(target=pipe.write_bytes, args=(packed,))
    writer.start()
    genome = open_sequences(pipe)
    writer.join()
    assert isinstance(genome, Genome)
    _check(genome, sequences, rng)


# The index


def _slow_index(raw: bytes) -> str:
    """What ``samtools faidx`` writes for a regular FASTA, line by line."""
    out, place = [], 0
    for line in raw.splitlines(keepends=True):
        if line.startswith(b">"):
            out.append([line[1:].split()[0].decode(), 0, place + len(line), 0, 0])
        else:
            out[-1][1] += len(line.rstrip())
            if not out[-1][3]:
                out[-1][3], out[-1][4] = len(line.rstrip()), len(line)
        place += len(line)
    return "".join("\t".join(map(str, row)) + "\n" for row in out)


def test_the_index_is_that_of_samtools(tmp_path: Path) -> None:
    sequences = {"a": "ACGT" * 40, "b": "AC", "c": "ACGTA" * 12}
    for end in ("\n", "\r\n"):
        raw = _regular(sequences, 50, end)
        (tmp_path / "g.fa").write_bytes(raw)
        Genome(tmp_path / "g.fa")
        assert (tmp_path / "g.fa.fai").read_text() == _slow_index(raw)
        (tmp_path / "g.fa.fai").unlink()
    if program := shutil.which("samtools"):
        subprocess.run([program, "faidx", tmp_path / "g.fa"], check=True)
        assert (tmp_path / "g.fa.fai").read_text() == _slow_index(raw)


def test_a_right_index_is_used_and_a_wrong_one_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each number of an index, a little off; names changed; lines lost: all are noticed."""
    rng = np.random.default_rng(0)
    sequences = {"a": "".join(rng.choice(list("ACGT"), 130)), "b": "ACG", "c": "TTACG" * 24}
    path, index = tmp_path / "g.fa", tmp_path / "g.fa.fai"
    path.write_bytes(_regular(sequences, 50))
    Genome(path)
    right = index.read_text()
    scans: list[Path] = []
    scan = faidx._scan
    monkeypatch.setattr(faidx, "_scan", lambda path, data: scans.append(path) or scan(path, data))
    os.utime(index, (1, 1))  # older than the file, and right
    _check(Genome(path), sequences, rng)
    assert scans == []
    rows = [line.split("\t") for line in right.splitlines()]
    wrong = ["", "\n", right[:-9], right[: len(right) // 2], "x\t1\n", right + right, "\0" * 50]
    wrong += ["\n".join("\t".join(row) for row in part) + "\n" for part in (rows[:2], rows[1:])]
    for i, j in itertools.product(range(3), range(5)):
        for change in (-60, -1, 1, 60):
            changed = [list(row) for row in rows]
            changed[i][j] = changed[i][j] + "x" if j == 0 else str(int(changed[i][j]) + change)
            wrong.append("".join("\t".join(row) + "\n" for row in changed))
    for text in wrong:
        index.write_text(text)
        _check(Genome(path), sequences, rng)
    assert index.read_text() == right


def test_a_file_replaced_under_an_index_that_looks_current(tmp_path: Path) -> None:
    """``cp -p`` and ``rsync -a`` keep the older time of the new file."""
    rng = np.random.default_rng(5)
    path = tmp_path / "g.fa"
    old = {"chr1": "ACGT" * 700, "chr2": "TTGCA" * 560}
    path.write_bytes(_regular(old, 60))
    Genome(path)
    for new in (
        {name: sequence[::-1][:-1] for name, sequence in old.items()},
        {"chr2": old["chr1"], "chr1": old["chr2"]},
        {"chr1": old["chr1"][:-60], "chr2": old["chr2"] + "A" * 60},
    ):
        path.write_bytes(_regular(new, 60))
        os.utime(path, (1, 1))
        _check(Genome(path), new, rng)
    path.write_bytes(_regular(new, 61))
    os.utime(path, (1, 1))
    _check(Genome(path), new, rng)
    packed = tmp_path / "g.fa.gz"
    for new in ({"c": "ACGTT" * 9}, {"c": "TTGCA" * 9}):
        packed.write_bytes(gzip.compress(_regular(new, 60), mtime=0))
        os.utime(packed, (1, 1))
        _check(Genome(packed), new, rng)


def test_a_file_changed_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "g.fa"
    path.write_bytes(b">c\n" + b"ACGT\n" * 30)
    genome = Genome(path)
    path.write_bytes(b">c\n" + b"ACGT\n" * 10 + b">d\nAC!T\n" + b"ACGT\n" * 20)
    with pytest.raises(InputError, match=r"g\.fa, line 12: expected DNA letters .*found '>'"):
        genome.fetch(regions_table(["c"], [30], [60]))
    path.write_bytes(b">c\n" + b"AC\n" * 60)
    with pytest.raises(InputError, match="another line end"):
        genome.fetch(regions_table(["c"], [30], [60]))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_an_index_that_cannot_be_written(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the file, then in the cache, then not at all; half of one is never left."""
    rng = np.random.default_rng(2)
    sequences = _sequences(rng)
    path = tmp_path / "data" / "g.fa"
    path.parent.mkdir()
    path.write_bytes(_regular(sequences, 60))
    full = [path.parent]
    fsync = os.fsync

    def fail(handle: int) -> None:
        place = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if any(place.is_relative_to(folder) for folder in full):
            raise OSError(number, os.strerror(number), str(place))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", fail)
    _check(Genome(path), sequences, rng)
    assert os.listdir(path.parent) == ["g.fa"]
    assert [file.name for file in (tmp_path / "cache").rglob("*.fai")] == ["g.fa.fai"]
    shutil.rmtree(tmp_path / "cache")
    full.append(tmp_path / "cache")
    _check(Genome(path), sequences, rng)
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and file != path]
    packed = path.with_name("g.fa.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    wrong = InputError if number == errno.EACCES else MachineError
    with pytest.raises(wrong, match=r"g\.fa\.gz: its plain copy has no place .*free.*bgzip"):
        Genome(packed)
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    full.clear()
    _check(Genome(path), sequences, rng)
    assert (path.parent / "g.fa.fai").exists()


OPEN = """
import sys
from pathlib import Path
from cistransfer.genome.bed import regions_table
from cistransfer.genome.codes import decode
from cistransfer.genome.fasta import Genome
sys.stdin.read(1)
print(*[decode(Genome(path).fetch(regions_table(["c9"], [10], [40]))[0]) for path in sys.argv[1:]])
"""


def test_many_jobs_start_at_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    sequences = {f"c{i}": "".join(rng.choice(list("ACGT"), 400)) for i in range(400)}
    raw = _regular(sequences, 60)
    paths = [tmp_path / name for name in ("g.fa", "h.fa.gz", "i.fa.gz")]
    for path, content in zip(paths, (raw, gzip.compress(raw), _bgzf(raw, 4000)), strict=True):
        path.write_bytes(content)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, *map(str, paths)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(6)
    ]  # fmt: skip
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("x")
        process.stdin.flush()
    for process in processes:
        assert process.communicate(timeout=60)[0].split() == [sequences["c9"][10:40]] * 3
        assert process.returncode == 0
    assert not list(tmp_path.rglob(".*"))


def test_many_scaffolds_open_fast(tmp_path: Path) -> None:
    path = tmp_path / "g.fa"
    one = "ACGTTGCA" * 10
    path.write_text("".join(f">scaffold_{i}\n{one[:60]}\n{one[60:]}\n" for i in range(60_000)))
    Genome(path)
    began = time.process_time()
    genome = Genome(path)
    assert time.process_time() - began < 5  # 0.5 s; the machine may be busy
    assert len(genome.sizes) == 60_000
    codes = genome.fetch(regions_table(["scaffold_59999"], [50], [70]))
    assert decode(codes[0]) == one[50:70]


# What is wrong


def test_rna_is_read_as_dna_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "g.fa"
    path.write_text(">c\nACGUUacgu\n")
    genome = Genome(path)
    assert decode(genome.fetch(regions_table(["c"], [0], [9]))[0]) == "ACGTTACGT"
    assert genome.uracils == 3


@pytest.mark.parametrize("kind", PACKED)
def test_wrong_letters_name_their_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "g.fa"
    path.write_bytes(PACKED[kind](b">c\r\nACGT\r\nACGT\r\n\r\nAC1T\r\n"))
    with pytest.raises(InputError, match=r"g\.fa, line 5: expected DNA letters .*found 'AC1T'"):
        Genome(path)


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "g.fa"
    path.write_bytes(b">chr\xe9 x\nACGT\n>b\nAC\n")
    for _ in range(2):
        assert list(Genome(path).sizes.values()) == [4, 2]


@pytest.mark.parametrize("fault", ["cut", "changed"])
def test_a_damaged_bgzip(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "g.fa.gz"
    letters = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), 4000).tobytes()
    data = bytearray(_bgzf(b">c\n" + letters + b"\n", block=2000))
    if fault == "cut":
        del data[-200:]
    else:
        data[80] ^= 255
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"g\.fa\.gz: the bgzip file is cut short or damaged"):
        Genome(path).fetch(regions_table(["c"], [0], [400]))


def test_a_user_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("CISTRANSFER_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert cache_folder().name == f"cistransfer-{os.getuid()}"
