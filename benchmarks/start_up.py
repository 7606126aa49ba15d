"""How long it takes to begin: CPU seconds of whole processes, the least of the repeats.

    python benchmarks/start_up.py [--repeats 5]

Beside the bare interpreter and the libraries that a prediction cannot do without.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from cistransfer.genome.codes import decode
from cistransfer.genome.fasta import write_fasta
from cistransfer.models.kernels.processor import name_of_processor
from cistransfer.tables import markdown

PROGRAM = ["-m", "cistransfer"]
PREDICT = [*PROGRAM, "predict", "general", "--regions", "r.bed", "--genome", "g.fa"]
COMMANDS = {
    "the interpreter": ["-c", "pass"],
    "import cistransfer": ["-c", "import cistransfer"],
    "cistransfer --help": [*PROGRAM, "--help"],
    "cistransfer predict --help": [*PROGRAM, "predict", "--help"],
    "import torch, pandas": ["-c", "import torch, pandas"],
    "cistransfer predict, ten regions": [*PREDICT, "--out", "o.tsv"],
}


def main() -> None:
    """Time every command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        codes = np.random.default_rng(0).integers(0, 4, 10_000, dtype=np.uint8)
        write_fasta(Path(folder) / "g.fa", {"chr1": decode(codes)})
        lines = [f"chr1\t{at}\t{at + 200}\n" for at in range(1000, 9001, 800)][:10]
        (Path(folder) / "r.bed").write_text("".join(lines))
        for name, words in COMMANDS.items():
            spent = min(_cpu(words, folder) for _ in range(options.repeats))
            rows.append({"what": name, "CPU-s": spent})
    print(markdown(pd.DataFrame(rows), digits=2))
    print(f"\n{name_of_processor()}")


def _cpu(words: list[str], folder: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
