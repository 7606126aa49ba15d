"""How long a BED-like file takes to read, beside pandas and bioframe.

    python benchmarks/reading.py [--rows 10000000] [--folder DIR]

Makes a BED3, a BED6 and a narrowPeak file (kept in --folder and used again), reads each once by
each reader in a process of its own, and prints CPU seconds, peak memory, and the ratio to ours.
The others check nothing: `pandas.read_csv` with types given, `bioframe.read_table` by its schema.
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


def main() -> None:
    """Make the files, time the readers, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for schema, columns in (("bed3", 3), ("bed6", 6), ("narrowPeak", 10)):
        path = folder / f"{arguments.rows}.{schema}"
        if not path.exists():
            make(path, arguments.rows, columns)
        for name, code in READERS.items():
            if name == "bioframe" and importlib.util.find_spec("bioframe") is None:
                continue
            imports = code.split(";")[0]
            script = RUN.format(imports=imports, code=code.split("; ")[1])
            done = subprocess.run(
                [sys.executable, "-c", script, str(path), schema],
                check=True,
                capture_output=True,
                text=True,
            )
            rows, used, peak = json.loads(done.stdout)
            assert rows == arguments.rows
            found.append({"file": schema, "reader": name, "CPU s": used, "peak GB": peak})
    table = pd.DataFrame(found)
    ours = table[table["reader"] == "cistransfer"].set_index("file")["CPU s"]
    table["ratio to ours"] = table["CPU s"] / table["file"].map(ours)
    print(table.round(2).to_string(index=False))
    print(f"{arguments.rows:,} rows")


if __name__ == "__main__":
    main()
