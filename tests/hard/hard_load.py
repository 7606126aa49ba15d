"""Much of everything: processor time and memory at two sizes, to see what is linear.

::

    python tests/hard/hard_load.py            # the sizes of the table in docs/reliability.md
    python tests/hard/hard_load.py 0.01       # a hundredth of each, to see that it runs

Each row is measured in a process of its own, which has loaded the program before; files are made
beforehand.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a fork has one thread

import numpy as np
import pandas as pd
from hard_targets import small_bundle

from cistransfer.api.learn import make_examples
from cistransfer.genome.bed import read_bed
from cistransfer.genome.fasta import open_sequences
from cistransfer.models.packed import extract_packed
from cistransfer.motifs.compare import compare
from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.names import given_motifs
from cistransfer.motifs.scan import best_hits
from cistransfer.openness.read import read_open
from cistransfer.sharing.pack import pack_bundles


@dataclass(frozen=True)
class Load:
    """One kind of much: how many at most, the files that it needs, what is done with them."""

    most: int
    make: Callable[[Path, int], object]
    do: Callable[[Path, int], object]


def write_genome(path: Path, n_chroms: int, length: int) -> None:
    """A genome of random bases, one line a chromosome."""
    rng = np.random.default_rng(0)
    with open(path, "wb") as handle:
        for number in range(n_chroms):
            bases = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, length, np.uint8)]
            handle.write(b">c%d\n" % number + bases.tobytes() + b"\n")


def write_regions(path: Path, n: int, n_chroms: int, every: int, width: int) -> None:
    """Regions in order, the same number on each chromosome."""
    start = np.arange(n) // n_chroms * every
    order = np.argsort(np.arange(n) % n_chroms, kind="stable")
    chrom = np.array([f"c{number}" for number in range(n_chroms)])[np.arange(n) % n_chroms]
    table = pd.DataFrame({"chrom": chrom, "start": start, "end": start + width}).iloc[order]
    table.to_csv(path, sep="\t", header=False, index=False)


def _regions(folder: Path, n: int) -> None:
    write_regions(folder / "open.bed", n, 20, 300, 200)
    (folder / "sheet.tsv").write_text("cell\tfile\nA\topen.bed\n")


def _peaks(folder: Path, n: int) -> None:
    write_genome(folder / "g.fa", 20, 1_000 * (n // 20 + 1))
    write_regions(folder / "peaks.bed", n, 20, 1_000, 200)
    write_regions(folder / "open.bed", 3 * n, 20, 330, 200)


def _motifs(folder: Path, n: int) -> None:
    rng = np.random.default_rng(0)
    with open(folder / "m.meme", "w", encoding="ascii") as handle:
        handle.write("MEME version 4\n\nALPHABET= ACGT\n\n")
        for number in range(n):
            rows = rng.dirichlet([0.3] * 4, 12)
            words = "".join(" " + " ".join(f"{value:.4f}" for value in row) + "\n" for row in rows)
            handle.write(
                f"MOTIF M{number} TF{number}\nletter-probability matrix: alength= 4 w= 12 "
                f"nsites= 20 E= 0\n{words}\n"
            )


def _scan(folder: Path, n: int) -> None:
    pwms = read_motifs(folder / "m.meme")
    assert len(pwms) == n
    given_motifs(f"TF{n // 2}", pwms)
    codes = np.random.default_rng(1).integers(0, 4, (500, 200), dtype=np.uint8)
    for pwm in pwms:
        best_hits(codes, pwm)
    compare(pwms[:3], pwms)


def _contigs(folder: Path, n: int) -> None:
    write_genome(folder / "g.fa", n, 1_200)
    write_regions(folder / "peaks.bed", 2 * (n // 5), n // 5, 500, 200)
    write_regions(folder / "open.bed", 2 * n, n, 500, 200)


def _bundles(folder: Path, n: int) -> None:
    small_bundle(folder / "first")
    for number in range(n):
        (folder / f"b{number}").mkdir()
        for file in (folder / "first").iterdir():
            os.link(file, folder / f"b{number}" / file.name)


def _pack(folder: Path, n: int) -> None:
    pack_bundles([folder / f"b{number}" for number in range(n)], folder / "all.zip")
    extract_packed(folder / "all.zip", folder / "out")


def _examples(folder: Path) -> None:
    made = make_examples(
        folder / "peaks.bed",
        genome=folder / "g.fa",
        open_regions=folder / "open.bed",
        out=folder / "set",
    )
    assert len(made.codes)


LOADS = {
    "regions of a file, read": Load(
        10_000_000, _regions, lambda f, n: len(read_bed(f / "open.bed")) == n or 1 / 0
    ),
    "open regions, merged": Load(10_000_000, _regions, lambda f, _: read_open(f / "sheet.tsv")),
    "peaks, made into examples": Load(100_000, _peaks, lambda f, _: _examples(f)),
    "motifs, read, named, scanned, compared": Load(5_000, _motifs, _scan),
    "contigs, indexed": Load(
        100_000, _contigs, lambda f, n: len(open_sequences(f / "g.fa").chromosomes) == n or 1 / 0
    ),
    "contigs, with peaks on a fifth": Load(100_000, _contigs, lambda f, _: _examples(f)),
    "bundles, packed and unpacked": Load(1_000, _bundles, _pack),
}


def measured(load: Load, n: int) -> tuple[float, float]:
    """Seconds of processor time and MB of memory (beyond those of the program) of one size."""
    with tempfile.TemporaryDirectory(prefix="hard-") as scratch:
        os.environ["CISTRANSFER_CACHE"] = f"{scratch}/cache"
        folder = Path(scratch) / "files"
        folder.mkdir()
        apart(lambda: load.make(folder, n))
        _, before = apart(lambda: None)
        seconds, mb = apart(lambda: load.do(folder, n))
    return seconds, mb - before


def apart(do: Callable[[], object]) -> tuple[float, float]:
    """Do something in a fork; its seconds of processor time and its MB."""
    pid = os.fork()
    if pid == 0:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
        try:
            do()
        except BaseException:
            sys.stderr = sys.__stderr__
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit("it failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main(words: list[str]) -> int:
    """Print the table."""
    share = float(words[0]) if words else 1.0
    only = words[1] if len(words) > 1 else ""
    print("| load | number | s of processor time | MB | ten times as many | s | MB |")
    print("|---|---|---|---|---|---|---|")
    for name, load in LOADS.items():
        if only in name:
            most = int(load.most * share)
            (few_s, few_mb), (s, mb) = measured(load, most // 10), measured(load, most)
            print(
                f"| {name} | {most // 10:,} | {few_s:.1f} | {few_mb:,.0f} | {most:,} | {s:.1f} | "
                f"{mb:,.0f} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
