"""What a study costs beside its trials, and how long a large one takes on how many machines.

    python benchmarks/study_overhead.py [--engines here,local,shard,ray] [--trials 24]
        [--times STUDY] [--gpu SECONDS]

On simulated data, each run a command of its own: a trial for each worker, then so many more
(networks from scratch, a few steps each). The difference is what a trial costs, in processor
seconds of the command and of all that it started; less the trials' own it is the overhead per
trial. What the small run takes beside its trials is the start: of Python and its libraries, of
processes, of a cluster of Ray on this machine. From one to two workers: by the clock (on two idle
cores 2.0 were all there is; start left out), and by processor time. Then a plan for 1,480 trainings
(148 TFs, ten repeats; Novakovsky et al. 2021, Fig. 3) by list scheduling of measured times and the
overhead: of trainings of a study (--times), else those measured here. For GPUs the time of one
training on one has to be given (--gpu, of benchmarks/gpu.py); without it they are not measured.
"""

from __future__ import annotations

import argparse
import heapq
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from kernels import processor

import cistransfer as ct
from cistransfer.studies.asked import Asked, duration
from cistransfer.studies.run import run_study
from cistransfer.studies.store import Store
from cistransfer.tables import markdown

STUDY = """
name = "overhead"
title = "Trials that take a moment"
[files]
matrix = "Matrix"
genome = "Genome"
[axes]
draw = 1000
[inputs.examples]
do = "examples"
source = "{matrix}"
genome = "{genome}"
tf = "ELF1"
positives = 40
[strategies.scratch]
do = "finetune"
strategy = "scratch"
examples = "{examples}"
epochs = 1
seed = "{draw}"
"""
TRAININGS = 1480
CPUS = {"1 core": 1, "64 nodes of 16 cores": 1024}
GPUS = {"1 GPU": 1, "8 GPUs": 8, "64 GPUs": 64}
RUNS = {
    "here": [("--engine", "here")],
    "local": [("--engine", "local", "--jobs", "1")],
    "local, 2": [("--engine", "local", "--jobs", "2")],
    "shard": [("--engine", "here", "--shard", "1/1")],
    "shard, 2": [("--engine", "here", "--shard", f"{at}/2") for at in (1, 2)],
    "ray": [("--engine", "ray", "--address", "local")],
}
"""Commands that run at the same time, by engine and number of workers."""


@dataclass(frozen=True)
class Spent:
    """What a run took: by the clock, of processors, and of those the trials' own, in seconds."""

    wall: float
    cpu: float
    own: float


def schedule(seconds: Sequence[float], workers: int) -> float:
    """End of the last of some trials that are given, in order, to whoever is free first.

    >>> schedule([3, 1, 1, 1], 2)
    3.0
    """
    free = [0.0] * workers
    for each in seconds:
        heapq.heappush(free, heapq.heappop(free) + each)
    return max(free)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", default="here,local,shard,ray")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--times", type=Path)
    parser.add_argument("--gpu", type=float)
    options = parser.parse_args()
    engines = options.engines.split(",")
    if unknown := set(engines) - {name.partition(",")[0] for name in RUNS}:
        parser.error(f"no engine {min(unknown)}")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        files = prepare(place)
        rows, found = [], {}
        for engine in (each for each in RUNS if each.partition(",")[0] in engines):
            few = 2 if engine.endswith("2") else 1
            one = measure(place, files, engine, few)
            every = measure(place, files, engine, few + options.trials)
            more = options.trials
            cpu, own = (every.cpu - one.cpu) / more, (every.own - one.own) / more
            found[engine] = ((every.wall - one.wall) / more, cpu, own)
            rows.append(
                (
                    engine,
                    f"{one.cpu - few * own:.1f}",
                    f"{cpu:.2f}",
                    f"{own:.2f}",
                    f"{1000 * (cpu - own):.0f}",
                )
            )
        print(f"{options.trials} trials, {processor()}; processor seconds\n")
        head = ["engine, workers", "start", "a trial", "of it its own", "overhead, ms"]
        print(markdown(pd.DataFrame(rows, columns=head)))
        for engine in ("local", "shard"):
            if f"{engine}, 2" in found:
                (wall, cpu, _), (wall_2, cpu_2, _) = found[engine], found[f"{engine}, 2"]
                print(
                    f"\n{engine}, one to two workers: {wall / wall_2:.2f} times as fast by the "
                    f"clock, {cpu_2 / cpu:.2f} times the processor time"
                )
    own_times, what = np.full(options.trials, next(iter(found.values()))[2]), "measured here"
    if options.times is not None:
        own_times, what = trainings(options.times), f"of {options.times.name}"
    cpu, own = next(iter(found.values()))[1:]
    print(f"\n{plan(own_times, max(cpu - own, 0.0), options.gpu, what)}")


def prepare(place: Path) -> dict[str, Path]:
    """Data, the study and what its trials read."""
    data = ct.simulate(place / "data", seed=5, regions=1000, chromosomes=5).folder
    ct.build_matrix(
        place / "matrix.h5",
        data / "wgEncodeRegDnaseClustered.txt.gz",
        dhs_sources=data / "wgEncodeRegDnaseClusteredSources.txt.gz",
        ucsc2encode=data / "ucsc2encode.tsv",
        samples=data / "samples.tsv",
        peaks=[data / "remap.bed.gz"],
        tfbs=[data / "unibind_tfbs.tar.gz"],
        window=100,
        genome="simulated",
    )
    (place / "overhead.toml").write_text(STUDY)
    return {"matrix": place / "matrix.h5", "genome": data / "genome.fa"}


def measure(place: Path, files: dict[str, Path], engine: str, trials: int) -> Spent:
    """Run so many trials by the commands of an engine; what they read is made before."""
    out = place / f"{engine}-{trials}"
    wanted = {"draw": trials}
    asked = Asked(files=files, axes=wanted, engine="here", device="cpu", inputs_only=True)
    run_study(place / "overhead.toml", out, asked)
    words = [sys.executable, "-m", "cistransfer", "study", "run", str(place / "overhead.toml")]
    words += [f"--file={name}={path}" for name, path in files.items()]
    words += ["--draws", str(trials), "--device", "cpu", "--out", str(out)]
    began = time.perf_counter()
    started = [
        subprocess.Popen([*words, *how], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for how in RUNS[engine]
    ]
    cpu: dict[tuple[int, float], float] = {}
    while any(each.poll() is None for each in started):
        for each in started:
            cpu.update(processor_seconds(each.pid))
        time.sleep(0.1)
    wall = time.perf_counter() - began
    if codes := [each.returncode for each in started if each.returncode]:
        raise SystemExit(f"{engine}: a command ended with {codes[0]}")
    store = Store(out)
    done = store.finished(store.plan().compared).values()
    if len(done) != trials:
        raise SystemExit(f"{engine}: {len(done)} of {trials} trials are there")
    return Spent(wall, sum(cpu.values()), sum(each.facts["cpu_seconds"] for each in done))


def processor_seconds(pid: int) -> Iterator[tuple[tuple[int, float], float]]:
    """Processor time until now of a process and of each that it started."""
    try:
        own = psutil.Process(pid)
        family = [own, *own.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for each in family:
        try:
            times = each.cpu_times()
            yield (each.pid, each.create_time()), times.user + times.system
        except psutil.NoSuchProcess:
            continue


def trainings(folder: Path) -> np.ndarray:
    """Processor seconds of the trainings of a study that start from a trunk or from nothing."""
    store = Store(folder)
    found = [
        float(each.facts["cpu_seconds"])
        for each in store.finished(store.plan().compared).values()
        if each.trial.step == "finetune"
        and each.trial.values.get("strategy") in ("published", "published-scratch")
    ]
    if not found:
        raise SystemExit(f"{folder}: no published training in it")
    return np.array(found)


def plan(seconds: np.ndarray, overhead: float, gpu: float | None, what: str) -> str:
    """Table of how long the whole takes, in order, on machines of several sizes."""
    picked = np.random.default_rng(0).choice(seconds, TRAININGS) + overhead
    rows = []
    for machine, workers in {**CPUS, **GPUS}.items():
        times = picked if machine in CPUS else None if gpu is None else np.full(TRAININGS, gpu)
        if times is None:
            rows.append((machine, "not measured", ""))
            continue
        end = schedule(times.tolist(), workers)
        rows.append((machine, duration(end), f"{times.sum() / (end * workers):.0%}"))
    title = f"{TRAININGS:,} trainings, {seconds.mean():.1f} s of a core each ({what})"
    return markdown(pd.DataFrame(rows, columns=[title, "takes", "busy"]))


if __name__ == "__main__":
    main()
