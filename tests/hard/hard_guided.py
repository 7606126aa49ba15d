"""Fuzzing that is guided by coverage, of readers that parse by hand; needs ``pip install atheris``.

Atheris changes files so that lines of the readers are reached that were not before. What a reader
may do is what it may do in `hard_fuzz`; anything else stops the run and its bytes are kept::

    python tests/hard/hard_guided.py 100000                # BED, motifs and 2bit, so often each
    python tests/hard/hard_guided.py 100000 "TFClass"      # other readers of files, by name
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

BY_HAND = ("peaks of many experiments", "motifs", "2bit")
MAX_BYTES = 4_096


def guided(name: str, tries: str) -> None:
    """Fuzz one reader in this process, which libFuzzer ends; the first byte chooses the file."""
    import atheris

    with atheris.instrument_imports(include=["cistransfer"]):
        from hard_targets import TARGETS

        from cistransfer.errors import InputError
    from hard_fuzz import rewrite, wrong_message

    target = TARGETS[name]
    with tempfile.TemporaryDirectory(prefix="hard-") as scratch:
        place, seeds = Path(scratch) / "files", Path(scratch) / "seeds"
        place.mkdir()
        seeds.mkdir()
        names = sorted(target.files(place))
        good = [(place / each).read_bytes() for each in names]
        for number, raw in enumerate(good):
            (seeds / str(number)).write_bytes(bytes([number]) + raw)

        def read(raw: bytes) -> None:
            chosen = raw[0] % len(names) if raw else 0
            for number, each in enumerate(names):
                rewrite(place / each, raw[1:] if number == chosen else good[number])
            try:
                target.read(place)
            except InputError as error:
                if wrong := wrong_message(str(error)):
                    raise AssertionError(wrong) from error

        asked = [f"-runs={tries}", f"-max_len={MAX_BYTES}", "-seed=1", "-verbosity=0"]
        atheris.Setup([sys.argv[0], *asked, "-print_final_stats=1", str(seeds)], read)
        atheris.Fuzz()


def main(words: list[str]) -> int:
    """Fuzz readers one by one, each in a process of its own; 1 where one had a fault."""
    if words[0] == "--one":
        guided(words[1], words[2])
    tries, *names = words
    print("| reader | tried | faults |\n|---|---|---|")
    failed = False
    for name in names or BY_HAND:
        command = [sys.executable, __file__, "--one", name, tries]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        told = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line]
        fault = done.returncode != 0
        failed |= fault
        print(f"| {name} | {int(told[0].split()[-1]) if told else 0:,} | {fault:d} |", flush=True)
        if fault:
            print(done.stderr[-3_000:], file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main(sys.argv[1:]))
