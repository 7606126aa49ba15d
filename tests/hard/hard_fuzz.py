"""Spoils files in many ways and hands them to a reader; what a reader may do is accept or refuse.

A case is told by the reader, the seed and its number, so that a fault can be made again::

    python tests/hard/hard_fuzz.py 10000            # the table
    python tests/hard/hard_fuzz.py 200 "BED" 7      # one reader, other spoiled files
    python tests/hard/hard_fuzz.py 200 "bundle;set" # some
"""

from __future__ import annotations

import bz2
import gzip
import os
import random
import shutil
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cistransfer.errors import InputError

MAX_SECONDS = 10.0
"""Of processor time for one spoiled file; whole ones take thousandths."""
MAX_QUOTED = 80
MAX_MESSAGE = 1_500


@dataclass(frozen=True)
class Target:
    """A reader, and the files that it is fuzzed with.

    Attributes
    ----------
    covers : tuple of str
        Names of the public functions that it goes through.
    files : callable
        Writes the good files into a folder; names of those that are spoiled → their forms.
    read : callable
        Reads the folder to the end.
    mend : callable, optional
        Makes the hashes right again, so that what lies behind them is reached.
    """

    covers: tuple[str, ...]
    files: Callable[[Path], Mapping[str, str]]
    read: Callable[[Path], object]
    mend: Callable[[Path], object] | None = None


@dataclass
class Tally:
    """What became of the spoiled files of one reader."""

    tried: int = 0
    accepted: int = 0
    refused: int = 0
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)


ODD = (
    b"", b"-1", b"0", b"1e400", b"nan", b"-inf", b"1.5", b"9" * 30, b"9" * 5000, b"Q" * 5000,
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", "٣".encode(), "é".encode(), b"18446744073709551616",
    b"2147483648", b"9223372036854775807", b"null", b"{}", b"[]", b'""', b"true", b"\t", b"\n\n\n",
    b"#", b">", b"'", b'"', b" ", b"\r", b"[" * 3000, b'{"a":' * 500, b"chr1:5-2", b"../../x",
    b"=1+1", b"%s%n", b"\\", b"\x1f\x8b", b"BZh9", b"PK\x03\x04",
)  # fmt: skip


def rewrite(path: Path, raw: bytes) -> None:
    """Give a file another content; what it is a link to keeps its own."""
    path.unlink()
    path.write_bytes(raw)


def spoil(raw: bytes, form: str, rng: random.Random) -> bytes:
    """One to three changes to the bytes of a good file."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        ways = [_flip, _cut, _drop, _repeat, _insert, _overwrite]
        if form == "text":
            ways += [_field, _field, _field, _lines, _lines]
        raw = rng.choice(ways)(raw, rng)
    if form == "text" and rng.random() < 0.1:
        raw = rng.choice((gzip.compress, bz2.compress, zlib.compress))(raw)
        if rng.random() < 0.5:
            raw = _flip(raw, rng)
    return raw


def _at(raw: bytes, rng: random.Random) -> int:
    """A place, more often near the beginning or the end, where the headers are."""
    reach = rng.choice((32, 256, len(raw)))
    place = rng.randrange(min(reach, len(raw)) + 1)
    return place if rng.random() < 0.7 else len(raw) - place


def _flip(raw: bytes, rng: random.Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(rng.choice((1, 2, 8))):
        if changed:
            changed[min(_at(raw, rng), len(raw) - 1)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(raw: bytes, rng: random.Random) -> bytes:
    return raw[: _at(raw, rng)]


def _drop(raw: bytes, rng: random.Random) -> bytes:
    place = _at(raw, rng)
    return raw[:place] + raw[place + rng.choice((1, 4, 60)) :]


def _repeat(raw: bytes, rng: random.Random) -> bytes:
    place, size = _at(raw, rng), rng.choice((1, 8, 200))
    return raw[:place] + raw[place : place + size] * rng.choice((2, 30)) + raw[place:]


def _insert(raw: bytes, rng: random.Random) -> bytes:
    place = _at(raw, rng)
    return raw[:place] + rng.choice(ODD) + raw[place:]


def _overwrite(raw: bytes, rng: random.Random) -> bytes:
    place = _at(raw, rng)
    new = rng.choice((rng.randbytes(4), b"\xff" * 8, b"\x00" * 8, (1 << 40).to_bytes(8, "little")))
    return raw[:place] + new + raw[place + len(new) :]


def _field(raw: bytes, rng: random.Random) -> bytes:
    """Another value for what stands between two separators."""
    marks = [i for i, byte in enumerate(raw) if byte in b"\t\n,: ;[]{}()|"]
    if len(marks) < 2:
        return raw
    i = rng.randrange(len(marks) - 1)
    return raw[: marks[i] + 1] + rng.choice(ODD) + raw[marks[i + 1] :]


def _lines(raw: bytes, rng: random.Random) -> bytes:
    lines = raw.split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    way = rng.randrange(4)
    if way == 0:
        lines[i], lines[j] = lines[j], lines[i]
    elif way == 1:
        lines.insert(i, lines[j])
    elif way == 2:
        del lines[i]
    else:
        rng.shuffle(lines)
    return b"\n".join(lines)


def fuzz(name: str, target: Target, tries: int, seed: int = 0) -> Tally:
    """Spoil the files of a reader so many times."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as scratch:
        good, bad = Path(scratch) / "good", Path(scratch) / "bad"
        good.mkdir()
        forms = target.files(good)
        target.read(good)  # the files are good
        names = sorted(forms)
        for number in range(tries):
            rng = random.Random(f"{name}|{seed}|{number}")
            shutil.rmtree(bad, ignore_errors=True)
            shutil.copytree(good, bad, copy_function=os.link)
            spoilt = rng.choice(names)
            rewrite(bad / spoilt, spoil((good / spoilt).read_bytes(), forms[spoilt], rng))
            if target.mend is not None and rng.random() < 0.8:
                target.mend(bad)
            tally.tried += 1
            began = time.process_time()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    target.read(bad)
                tally.accepted += 1
            except InputError as error:
                tally.refused += 1
                if wrong := wrong_message(str(error)):
                    tally.faults.append(f"{name} seed {seed} case {number} ({spoilt}): {wrong}")
            except (Exception, SystemExit) as error:
                said = f"{type(error).__module__}.{type(error).__name__}: {error!s:.120}"
                tally.faults.append(f"{name} seed {seed} case {number} ({spoilt}): {said}")
            took = time.process_time() - began
            tally.slowest = max(tally.slowest, took)
            if took > MAX_SECONDS:
                tally.faults.append(f"{name} seed {seed} case {number} ({spoilt}): {took:.0f} s")
    return tally


def wrong_message(text: str) -> str:
    if "\n" in text or "\r" in text:
        return f"a message of several lines: {text[:100]!r}"
    if "Q" * (MAX_QUOTED + 1) in text or "9" * (MAX_QUOTED + 1) in text:
        return f"a message that quotes a field of more than {MAX_QUOTED}: {text[:120]!r}"
    return f"a message of {len(text):,} letters: {text[:100]!r}" if len(text) > MAX_MESSAGE else ""


def main(words: list[str]) -> int:
    """Fuzz every reader, or one; print the table; 1 where there was a fault."""
    from hard_targets import TARGETS

    tries = int(words[0]) if words else 100
    wanted = words[1].split(";") if len(words) > 1 else [""]
    seed = int(words[2]) if len(words) > 2 else 0
    print("| reader | tried | accepted | refused | faults | slowest (s of processor time) |")
    print("|---|---|---|---|---|---|")
    total = Tally()
    for name, target in TARGETS.items():
        if any(each in name for each in wanted):
            tally = fuzz(name, target, tries, seed)
            print(
                f"| {name} | {tally.tried:,} | {tally.accepted:,} | {tally.refused:,} | "
                f"{len(tally.faults):,} | {tally.slowest:.2f} |",
                flush=True,
            )
            total.tried += tally.tried
            total.faults += tally.faults
    for fault in total.faults[:60]:
        print(fault, file=sys.stderr)
    print(f"\n{total.tried:,} spoiled files, {len(total.faults):,} faults")
    return int(bool(total.faults))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main(sys.argv[1:]))
