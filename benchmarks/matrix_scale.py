"""How long a genome-scale binding matrix takes, against bedtools doing only the overlap.

    python benchmarks/matrix_scale.py [--folder DIR] [--regions 1800000] [--cells 52] \
        [--experiments 700] [--peaks 30000000] [--sites 15000000] [--parts 4,2,1] [--copies N] \
        [--out T.tsv]

Makes files in the layouts of UCSC, ReMap and UniBind (gzip; kept in --folder and used again), then
for a quarter, half and all of the rows builds the matrix in a process of its own (wall time, CPU
time, peak memory, rows a second) and, from the same rows already cut to four columns and sorted,
times ``bedtools intersect -sorted -wa -wb`` of the windows with the summits and with the sites
(that is: without parsing names, cells, openness or writing a matrix). Prints a table. ``--copies``
builds only from the last files under N names (links to them), without bedtools: rows that no disk
need hold.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from cistransfer.models.kernels.processor import name_of_processor

# Lengths of the chromosomes of hg38, in the order of their names.
SIZES = {
    "chr1": 248956422, "chr10": 133797422, "chr11": 135086622, "chr12": 133275309,
    "chr13": 114364328, "chr14": 107043718, "chr15": 101991189, "chr16": 90338345,
    "chr17": 83257441, "chr18": 80373285, "chr19": 58617616, "chr2": 242193529,
    "chr20": 64444167, "chr21": 46709983, "chr22": 50818468, "chr3": 198295559,
    "chr4": 190214555, "chr5": 181538259, "chr6": 170805979, "chr7": 159345973,
    "chr8": 145138636, "chr9": 138394717, "chrX": 156040895, "chrY": 57227415,
}  # fmt: skip
CHROMS = pa.array(list(SIZES))
BATCH = 1 << 20


def draw_places(
    rng: np.random.Generator, n: int, near: pd.DataFrame | None
) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Sorted places: half of them near the centre of a region (if given), the rest anywhere."""
    length = np.array(list(SIZES.values()))
    chrom = rng.choice(len(length), n, p=length / length.sum()).astype(np.int8)
    place = (1000 + rng.random(n) * (length[chrom] - 2000)).astype(np.int64)
    if near is not None:
        half = n // 2
        row = rng.integers(0, len(near), half)
        chrom[:half] = near["chrom"].to_numpy()[row]
        place[:half] = near["place"].to_numpy()[row] + rng.integers(-120, 120, half)
    order = np.lexsort((place, chrom))
    return chrom[order], np.maximum(place[order], 300)


def write_rows(path: Path, batches: list[pa.Table] | pa.Table) -> None:
    """Write tab-separated rows without a header; gzip (as `gzip` does) when the name ends so."""
    options = pa.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    zipped = path.name.endswith(".gz")
    with gzip.open(path, "wb", compresslevel=6) if zipped else open(path, "wb") as out:
        for table in batches if isinstance(batches, list) else [batches]:
            pa.csv.write_csv(table, out, options)


def names_column(words: list[str], code: NDArray[np.integer]) -> pa.Array:
    """Text out of a word list and each row's index into it."""
    return pa.array(words).take(pa.array(code))


def make_open(folder: Path, regions: int, cells: int, rng: np.random.Generator) -> pd.DataFrame:
    """Write the DHS table and its sources; return the centres."""
    chrom, place = draw_places(rng, regions, None)
    half = rng.integers(60, 160, regions)
    # A few regions are open everywhere, most in a few cells.
    count = np.minimum(1 + rng.geometric(0.15, regions), cells)
    count[rng.random(regions) < 0.05] = cells
    lists = [
        ",".join(map(str, sorted(rng.choice(cells, size, replace=False) + 1))) + ","
        for size in count[:200_000].tolist()
    ]
    code = rng.integers(0, len(lists), regions)
    table = pa.table(
        {
            "bin": pa.repeat(585, regions),
            "chrom": CHROMS.take(pa.array(chrom)),
            "start": place - half,
            "end": place + half,
            "name": pa.repeat("x", regions),
            "score": pa.repeat(500, regions),
            "count": pa.repeat(1, regions),
            "ids": names_column(lists, code),
            "scores": pa.repeat("1,", regions),
        }
    )
    write_rows(folder / "dhs.txt.gz", table)
    names = "".join(f"{at + 1}\tcell{at + 1}\n" for at in range(cells))
    (folder / "sources.txt").write_text(names)
    windows = pa.table({"chrom": table["chrom"], "start": place - 100, "end": place + 100})
    order = np.lexsort((place, chrom))
    write_rows(folder / "windows.bed", windows.take(pa.array(order)))
    return pd.DataFrame({"chrom": chrom, "place": place})


def make_peaks(
    folder: Path, rows: int, pairs: list[tuple[str, str]], near: pd.DataFrame, seed: int
) -> None:
    """Write ReMap's columns, and the summits alone for bedtools; a tenth is of unknown cells."""
    rng = np.random.default_rng(seed)
    words = [f"EXP{at}.{tf}.{cell}" for at, (tf, cell) in enumerate(pairs)]
    words += [f"GSE{at}.{tf}.other{at}_drug" for at, (tf, _) in enumerate(pairs[::10])]
    chrom, place = draw_places(rng, rows, near)
    code = rng.integers(0, len(words), rows)
    full, summits = [], []
    for at in range(0, rows, BATCH):
        part = slice(at, at + BATCH)
        n = len(place[part])
        chroms, name = CHROMS.take(pa.array(chrom[part])), names_column(words, code[part])
        left, right = rng.integers(50, 250, n), rng.integers(50, 250, n)
        summit = pa.array(place[part])
        after = pa.array(place[part] + 1)
        full.append(
            pa.table(
                {
                    "chrom": chroms, "start": place[part] - left, "end": place[part] + right,
                    "name": name, "score": pa.repeat(0, n), "strand": pa.repeat(".", n),
                    "summit": summit, "after": after, "rgb": pa.repeat("0,0,0", n),
                }
            )
        )  # fmt: skip
        summits.append(pa.table({"c": chroms, "s": summit, "e": after, "n": name}))
    write_rows(folder / "remap.bed.gz", full)
    write_rows(folder / "summits.bed.gz", summits)


def make_sites(
    folder: Path, rows: int, pairs: list[tuple[str, str]], near: pd.DataFrame, seed: int
) -> None:
    """Write a tar of one BED per experiment, and the merged sorted sites for bedtools."""
    rng = np.random.default_rng(seed)
    each = rows // len(pairs)
    chroms, places, names = [], [], []
    with tarfile.open(folder / "unibind.tar.gz", "w:gz", compresslevel=4) as archive:
        for at, (tf, cell) in enumerate(pairs):
            chrom, place = draw_places(rng, each, near)
            held = io.BytesIO()
            table = pa.table(
                {
                    "chrom": CHROMS.take(pa.array(chrom)), "start": place, "end": place + 12,
                    "name": pa.repeat(tf, each), "score": pa.repeat(900, each),
                    "strand": pa.repeat("+", each),
                }
            )  # fmt: skip
            options = pa.csv.WriteOptions(
                include_header=False, delimiter="\t", quoting_style="none"
            )
            pa.csv.write_csv(table, held, options)
            info = tarfile.TarInfo(f"EXP{at}.{cell}.{tf}.MA1.1.pwm.bed")
            info.size = held.tell()
            held.seek(0)
            archive.addfile(info, held)
            chroms.append(chrom)
            places.append(place)
            names.append(np.full(each, at, dtype=np.int16))
    chrom, place, name = (np.concatenate(parts) for parts in (chroms, places, names))
    order = np.lexsort((place, chrom))
    words = [f"EXP{at}.{cell}.{tf}.MA1.1.pwm.bed" for at, (tf, cell) in enumerate(pairs)]
    tables = []
    for at in range(0, len(order), BATCH):
        part = order[at : at + BATCH]
        tables.append(
            pa.table(
                {
                    "c": CHROMS.take(pa.array(chrom[part])), "s": place[part],
                    "e": place[part] + 12, "n": names_column(words, name[part]),
                }
            )
        )  # fmt: skip
    write_rows(folder / "sites.bed.gz", tables)


BUILD = """
import sys
from glob import glob
from cistransfer.binding.build import build_matrix
from cistransfer.openness.options import OpenOptions
base, folder, rows = sys.argv[1:]
report = build_matrix(
    folder + "/m.h5",
    OpenOptions(base + "/dhs.txt.gz", dhs_sources=base + "/sources.txt"),
    peaks=sorted(glob(folder + "/remap*.bed.gz")),
    tfbs=sorted(glob(folder + "/unibind*.tar.gz")),
)
assert report.peak_rows + report.tfbs_rows == int(rows), report
"""


def timed(command: list[str]) -> tuple[float, float, float]:
    """Run a command: wall seconds, CPU seconds, peak memory in GB (of the process)."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for
    if process.returncode:
        raise SystemExit(f"failed: {' '.join(command)[:200]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6


def main() -> None:
    """Make the files, time the builds and bedtools, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--regions", type=int, default=1_800_000)
    parser.add_argument("--cells", type=int, default=52)
    parser.add_argument("--experiments", type=int, default=700)
    parser.add_argument("--peaks", type=int, default=30_000_000)
    parser.add_argument("--sites", type=int, default=15_000_000)
    parser.add_argument("--parts", default="4,2,1", help="of 1/N of the rows")
    parser.add_argument("--copies", type=int, default=1, help="only the last part, N times")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    made = options.folder or Path(tempfile.mkdtemp(prefix="matrix_scale."))
    shape = (options.regions, options.cells, options.experiments, options.peaks, options.sites)
    base = made / "-".join(map(str, shape))
    rng = np.random.default_rng(0)
    tfs = max(1, options.experiments // 4)
    every = [(f"TF{tf}", f"cell{cell + 1}") for tf in range(tfs) for cell in range(options.cells)]
    chosen = rng.choice(len(every), options.experiments, replace=False)
    pairs = [every[at] for at in np.sort(chosen)]
    bedtools = shutil.which("bedtools")
    table: list[dict[str, object]] = []

    def measure(folder: Path, rows: int, *, compared: bool) -> None:
        command = [sys.executable, "-c", BUILD, str(base), str(folder), str(rows)]
        wall, cpu, memory = timed(command)
        other: float = float("nan")
        if bedtools is not None and compared:
            intersect = [bedtools, "intersect", "-sorted", "-wa", "-wb"]
            windows = ["-a", str(base / "windows.bed")]
            other = sum(
                timed([*intersect, *windows, "-b", str(folder / name)])[0]
                for name in ("summits.bed.gz", "sites.bed.gz")
            )
        table.append(
            {
                "rows": rows,
                "build wall s": round(wall, 1),
                "build CPU s": round(cpu, 1),
                "rows/s": round(rows / wall),
                "peak GB": round(memory, 2),
                "bedtools wall s": round(other, 1),
                "bedtools / build": round(other / wall, 2),
                "file MB": round((folder / "m.h5").stat().st_size / 1e6, 1),
            }
        )
        print(pd.DataFrame(table).to_string(index=False), file=sys.stderr, flush=True)

    for divisor in (int(part) for part in options.parts.split(",")):
        folder = base / f"of{divisor}"
        if not (folder / "sites.bed.gz").exists():
            print(f"making 1/{divisor} of the rows in {folder}", file=sys.stderr, flush=True)
            folder.mkdir(parents=True, exist_ok=True)
            near = make_open(base, options.regions, options.cells, np.random.default_rng(1))
            make_peaks(folder, options.peaks // divisor, pairs, near, seed=divisor)
            make_sites(folder, options.sites // divisor, pairs, near, seed=divisor)
        sites = options.sites // divisor // len(pairs) * len(pairs)
        rows = options.peaks // divisor + sites
        if options.copies == 1:
            measure(folder, rows, compared=True)
    if options.copies > 1:
        with tempfile.TemporaryDirectory(dir=base) as linked:
            for at in range(options.copies):
                (Path(linked) / f"remap{at}.bed.gz").hardlink_to(folder / "remap.bed.gz")
                (Path(linked) / f"unibind{at}.tar.gz").hardlink_to(folder / "unibind.tar.gz")
            measure(Path(linked), options.copies * rows, compared=False)
    result = pd.DataFrame(table)
    print(
        f"{options.regions:,} regions, {options.cells} cells, {options.experiments} experiments; "
        f"{name_of_processor()}, {os.cpu_count()} cores"
    )
    print(result.to_string(index=False))
    if bedtools is None:
        print("bedtools is not installed: not compared")
    if options.out is not None:
        result.to_csv(options.out, sep="\t", index=False)
    if options.folder is None:
        shutil.rmtree(made)


if __name__ == "__main__":
    main()
