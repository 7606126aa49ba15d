"""Time and memory of indexing a large FASTA, beside pyfaidx where that is installed.

    python benchmarks/genome_index.py [--megabases 300] [--scaffolds 0]

Processor seconds, as other programs may run. The last column is what 3 Gb would take.
"""

from __future__ import annotations

import argparse
import importlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cistransfer.genome.bed import regions_table
from cistransfer.genome.fasta import Genome

LINE = 60
PIECE = LINE * 100_000


def write_genome(path: Path, megabases: int, scaffolds: int) -> int:
    """Write random bases as ten chromosomes, or as many scaffolds of one length; return bp."""
    rng = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, PIECE)].reshape(-1, LINE)
    piece = np.concatenate([letters, np.full((len(letters), 1), 10, np.uint8)], axis=1)
    n = scaffolds or 10
    lines = max(1, megabases * 1_000_000 // n // LINE)
    with open(path, "wb") as handle:
        for i in range(n):
            handle.write(f">chr{i + 1}\n".encode())
            for start in range(0, lines, len(piece)):
                handle.write(piece[: min(len(piece), lines - start)].tobytes())
    return n * lines * LINE


def timed(work: Callable[[], object]) -> float:
    """Processor seconds of a call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabases", type=int, default=300)
    parser.add_argument("--scaffolds", type=int, default=0)
    arguments = parser.parse_args()
    rows: list[tuple[str, float, bool]] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CISTRANSFER_CACHE"] = folder
        path = Path(folder) / "genome.fa"
        bases = write_genome(path, arguments.megabases, arguments.scaffolds)
        path.read_bytes()  # into the page cache, for all alike
        index = path.with_name("genome.fa.fai")
        rows.append(("cistransfer: scan and write", timed(lambda: Genome(path)), True))
        rows.append(("cistransfer: open and check", timed(lambda: Genome(path)), False))
        genome = Genome(path)
        rng = np.random.default_rng(1)
        names = rng.choice(list(genome.sizes), 20_000)
        starts = rng.integers(0, max(1, min(genome.sizes.values()) - 200), len(names))
        wide = min(200, min(genome.sizes.values()))
        windows = regions_table(names, starts, starts + wide)
        rows.append(("cistransfer: 20,000 windows", timed(lambda: genome.fetch(windows)), False))
        try:
            pyfaidx = importlib.import_module("pyfaidx")
        except ImportError:
            print("pyfaidx is not installed: pip install pyfaidx")
        else:
            index.unlink()

            def build() -> None:
                pyfaidx.Fasta(str(path), as_raw=True, read_ahead=None)

            rows.append(("pyfaidx: scan and write", timed(build), True))
            rows.append(("pyfaidx: open", timed(build), False))
            fasta = pyfaidx.Fasta(str(path), as_raw=True, read_ahead=None)

            def fetch() -> None:
                for name, start in zip(names.tolist(), starts.tolist(), strict=True):
                    str(fasta.faidx.fetch(name, start + 1, start + wide))

            rows.append(("pyfaidx: 20,000 windows", timed(fetch), False))
    print(f"{bases / 1e6:,.0f} Mb in {len(genome.sizes):,} records")
    for what, seconds, grows in rows:
        more = f"{seconds * 3e9 / bases:9.1f} s for 3 Gb" if grows else ""
        print(f"{what:30s} {seconds:7.2f} s {more}")


if __name__ == "__main__":
    main()
