"""Where the time of a default fine-tuning goes: the whole command, phase by phase, in three ways.

    python benchmarks/finetune_time.py [--sizes 50 500] [--ways spread one ...]
        [--matrix M.h5 --genome SEQUENCES --tf SPI1 --motifs JASPAR.meme] [--trunk general]

Without --matrix on a world that `cistransfer simulate` makes. Each is a process of its own:

spread      as it is: folds, and batches of windows, by one thread per core
one         the same with OMP_NUM_THREADS=1
operations  one after another, each operation of PyTorch on all cores

Seconds by the clock and of processors; the last columns are `spread` beside the others by the
clock. What is timed are public functions of the rooms, each without those of the others that it
calls; one that is gone, or that the command no longer calls, is an error. Libraries that are loaded
within them count as libraries.
"""

from __future__ import annotations

import argparse
import builtins
import functools
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WAYS = ("spread", "one", "operations")
PHASES = {
    "open the trunk, and what was made": ["models.bundle.open_bundle"],
    "open the sequences": ["genome.fasta.open_sequences"],
    "draw examples, match GC": ["examples.make.examples_for"],
    "search motifs": ["training.motifs.choose_motifs"],
    "score windows, both strands": ["models.score.score_features", "models.score.score_codes"],
    "regressions, cross-validated and the last": ["training.probe.fit_probe"],
    "write": ["examples.dataset.save_examples", "models.bundle.save_bundle"],
}
FIRST, LAST, WHOLE = "load Python's libraries", "the rest", "the whole command"

Times = dict[str, tuple[float, float]]
"""Seconds by the clock and of processors, by phase."""


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 500])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--matrix", type=Path)
    parser.add_argument("--genome", type=Path)
    parser.add_argument("--tf", default="SPI1")
    parser.add_argument("--motifs", type=Path)
    parser.add_argument("--trunk", default="general")
    parser.add_argument("--regions", type=int, default=16_000, help="of the simulated world")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        if options.matrix is None:
            simulate(place, options.regions)
            options.matrix, options.genome = place / "matrix.h5", place / "data/genome.fa"
            options.motifs = place / "data/motifs.meme"
        words = [f"--{key}={getattr(options, key)}" for key in ("matrix", "genome", "tf", "trunk")]
        if options.motifs is not None:
            words.append(f"--motifs={options.motifs}")
        for size in options.sizes:
            asked = ["finetune", *words, f"--n-positives={size}", "--device=cpu"]
            show(size, {way: timed(place, way, asked, size) for way in options.ways})


def simulate(place: Path, regions: int) -> None:
    """A genome, motifs and a matrix."""
    import cistransfer as ct

    data = ct.simulate(place / "data", regions=regions).folder
    ct.build_matrix(
        place / "matrix.h5",
        data / "wgEncodeRegDnaseClustered.txt.gz",
        dhs_sources=data / "wgEncodeRegDnaseClusteredSources.txt.gz",
        ucsc2encode=data / "ucsc2encode.tsv",
        samples=data / "samples.tsv",
        peaks=[data / "remap.bed.gz"],
        tfbs=[data / "unibind_tfbs.tar.gz"],
        genome="simulated",
    )


def timed(place: Path, way: str, words: list[str], size: int) -> Times:
    """Run the command in a process of its own."""
    record, out = place / "times.json", place / f"{way}-{size}"
    environment = dict(os.environ)
    environment.pop("OMP_NUM_THREADS", None)
    environment |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}  # as the command does
    if way == "one":
        environment["OMP_NUM_THREADS"] = "1"
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, __file__, "inside", record, way, str(began), *words, "--out", out],
        env=environment,
        capture_output=True,
        text=True,
    )
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{way}: the command ended with {done.returncode}\n{done.stderr}")
    found: Times = {phase: tuple(pair) for phase, pair in json.loads(record.read_text()).items()}
    if missing := [phase for phase in PHASES if phase not in found]:
        raise SystemExit(f"not called by the command: {', '.join(missing)} (PHASES)")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found[LAST] = (
        wall - sum(pair[0] for pair in found.values()),
        cpu - sum(pair[1] for pair in found.values()),
    )
    found[WHOLE] = (wall, cpu)
    return found


def show(size: int, ways: dict[str, Times]) -> None:
    """One line a phase."""
    import pandas as pd

    from cistransfer.models.kernels.processor import name_of_processor
    from cistransfer.tables import markdown

    rows = []
    for phase in (FIRST, *PHASES, LAST, WHOLE):
        row: dict[str, Any] = {f"{size} bound regions": phase}
        for way, times in ways.items():
            row[f"{way}, s"], row[f"{way}, CPU-s"] = times[phase]
        for way, times in ways.items():
            if way != "spread" and "spread" in ways:
                row[f"{way} / spread"] = times[phase][0] / ways["spread"][phase][0]
        rows.append(row)
    print(f"{name_of_processor()}, {os.cpu_count()} processors")
    print(markdown(pd.DataFrame(rows), digits=2), flush=True)


# In the process of the command ------------------------------------------------------------------


def inside(record: str, way: str, began: str, *words: str) -> None:
    """Run the command with its phases timed; write what they took."""
    from cistransfer import cpus
    from cistransfer.cli.main import main as command

    places = {name: importlib.import_module(f"cistransfer.{name.rpartition('.')[0]}")
              for names in PHASES.values() for name in names}  # fmt: skip
    found = {FIRST: [time.monotonic() - float(began), time.process_time()]}
    running: list[list[float]] = []
    builtins.__import__ = clocked(found, running, FIRST, builtins.__import__)
    if way == "operations":
        replace(cpus, "n_workers", lambda function: lambda: 1)
    for phase, names in PHASES.items():
        for name in names:
            function = name.rpartition(".")[2]
            replace(places[name], function, functools.partial(clocked, found, running, phase))
    sys.argv = ["cistransfer", *words]
    try:
        command()
    finally:
        Path(record).write_text(json.dumps(found))


def replace(module: Any, name: str, around: Callable[[Any], Any]) -> None:
    """Put something around a function wherever the package has imported it."""
    before = getattr(module, name)
    after = around(before)
    for other in [module, *sys.modules.values()]:
        ours = getattr(other, "__name__", "").startswith("cistransfer")
        if ours and getattr(other, name, None) is before:
            setattr(other, name, after)


def clocked(
    found: dict[str, list[float]], running: list[list[float]], phase: str, function: Any
) -> Any:
    """The function, adding what it takes, without phases within it, to that of its phase. Calls of
    other threads are not timed: they are part of what waits for them."""

    @functools.wraps(function)
    def timed(*arguments: Any, **options: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            return function(*arguments, **options)
        within = [0.0, 0.0]
        running.append(within)
        wall, cpu = time.monotonic(), time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            spent = (time.monotonic() - wall, time.process_time() - cpu)
            running.pop()
            total = found.setdefault(phase, [0.0, 0.0])
            for at in (0, 1):
                total[at] += spent[at] - within[at]
                if running:
                    running[-1][at] += spent[at]

    return timed


if __name__ == "__main__":
    if sys.argv[1:2] == ["inside"]:
        inside(*sys.argv[2:])
    else:
        main()
