"""How long a BED-like file and a motif file take to read, beside pandas, bioframe and Biopython.

    python benchmarks/reading.py [--rows 10000000] [--motifs 746] [--folder DIR]

Makes a BED3, a BED6, a narrowPeak, a MEME and a JASPAR file (kept in --folder and used again),
reads each once by each reader in a process of its own, and prints CPU seconds, peak memory, and
the ratio to ours; a reader that is not installed is named. The others check nothing:
`pandas.read_csv` with types given, `bioframe.read_table` by its schema, `Bio.motifs.parse`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

READERS = {
    "cistransfer": "from cistransfer.genome.bed import read_bed; t = read_bed(path)",
    "cistransfer, every column": (
        "from cistransfer.genome.bed import read_bed; t = read_bed(path, keep=True)"
    ),
    "pandas": (
        "import pandas as pd; t = pd.read_csv(path, sep='\\t', header=None, "
        "dtype={0: str, 1: 'int64', 2: 'int64', 3: str, 5: str})"
    ),
    "bioframe": "import bioframe; t = bioframe.read_table(path, schema=schema)",
}
MOTIF_READERS = {
    "cistransfer": "from cistransfer.motifs.files import read_motifs; t = read_motifs(path)",
    "Biopython": "import Bio.motifs; t = list(Bio.motifs.parse(open(path), schema))",
}
NEEDS = {"bioframe": "bioframe", "Biopython": "Bio"}
RUN = """
import json, resource, sys, time
path, schema = sys.argv[1:]
{imports}
before = time.process_time()
{code}
used = time.process_time() - before
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps([len(t), used, peak]))
"""


def make(path: Path, rows: int, columns: int) -> None:
    """Write sorted regions with the first columns of a narrowPeak file."""
    rng = np.random.default_rng(0)
    start = np.sort(rng.integers(1, 240_000_000, rows))
    number = np.arange(rows)
    table = {
        "chrom": pa.array([f"chr{i}" for i in range(1, 23)]).take(pa.array(number * 22 // rows)),
        "start": start,
        "end": start + rng.integers(150, 900, rows),
        "name": pa.array([f"peak_{i}" for i in number.tolist()]),
        "score": number % 1000,
        "strand": pa.array(["."]).take(pa.array(np.zeros(rows, np.int8))),
        "signal": np.round(rng.gamma(2, 10, rows), 4),
        "p": np.round(rng.gamma(2, 10, rows), 3),
        "q": np.full(rows, -1),
        "peak": rng.integers(0, 150, rows),
    }
    chosen = pa.table({name: table[name] for name in [*table][:columns]})
    options = pa.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    pa.csv.write_csv(chosen, path, options)


def make_motifs(path: Path, n: int, form: str) -> None:
    """Write motifs of 6 to 20 positions as minimal MEME or JASPAR counts."""
    rng = np.random.default_rng(1)
    lines: list[str] = []
    if form == "minimal":
        lines += ["MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", ""]
        lines += ["Background letter frequencies", "A 0.25 C 0.25 G 0.25 T 0.25", ""]
    for i in range(n):
        counts = rng.integers(0, 1000, (int(rng.integers(6, 21)), 4)) + 1
        if form == "minimal":
            share = counts / counts.sum(axis=1, keepdims=True)
            lines += [
                f"MOTIF MA{i:04d}.1 TF{i}",
                f"letter-probability matrix: alength= 4 w= {len(counts)} nsites= 1000 E= 0",
                *(" ".join(f"{value:.6f}" for value in row) for row in share),
                "",
            ]
        else:
            lines.append(f">MA{i:04d}.1\tTF{i}")
            for letter, row in zip("ACGT", counts.T, strict=True):
                lines.append(f"{letter} [ {' '.join(map(str, row))} ]")
    path.write_text("\n".join(lines) + "\n")


def measured(path: Path, schema: str, readers: dict[str, str], n: int) -> list[dict[str, object]]:
    """Read a file by each reader in a process of its own."""
    found: list[dict[str, object]] = []
    for name, code in readers.items():
        if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
            continue
        imports, _, read = code.partition("; ")
        done = subprocess.run(
            [sys.executable, "-c", RUN.format(imports=imports, code=read), str(path), schema],
            check=True,
            capture_output=True,
            text=True,
        )
        rows, used, peak = json.loads(done.stdout)
        assert rows == n, (name, rows)
        found.append({"file": schema, "reader": name, "CPU s": used, "peak GB": peak})
    return found


def main() -> None:
    """Make the files, time the readers, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--motifs", type=int, default=746)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    found: list[dict[str, object]] = []
    for schema, columns in (("bed3", 3), ("bed6", 6), ("narrowPeak", 10)):
        path = folder / f"{arguments.rows}.{schema}"
        if not path.exists():
            make(path, arguments.rows, columns)
        found += measured(path, schema, READERS, arguments.rows)
    for form in ("minimal", "jaspar"):
        path = folder / f"{arguments.motifs}.{form}"
        if not path.exists():
            make_motifs(path, arguments.motifs, form)
        found += measured(path, form, MOTIF_READERS, arguments.motifs)
    table = pd.DataFrame(found)
    ours = table[table["reader"] == "cistransfer"].set_index("file")["CPU s"]
    table["ratio to ours"] = table["CPU s"] / table["file"].map(ours)
    print(table.round(2).to_string(index=False))
    print(f"{arguments.rows:,} rows, {arguments.motifs:,} motifs (minimal MEME, JASPAR)")
    for name, module in NEEDS.items():
        if importlib.util.find_spec(module) is None:
            print(f"{name} is not installed and was not measured")


if __name__ == "__main__":
    main()
