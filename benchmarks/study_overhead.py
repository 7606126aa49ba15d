"""What a study costs beside its trials, and how long a large one takes on how many machines.

    python benchmarks/study_overhead.py [--engines here,local,ray] [--trials 40] [--times STUDY]

On simulated data: the overhead of each engine per trial (wall time beside the trials' own, start
of processes apart), the efficiency from one to two local processes, and a plan for 1,480 trainings
(148 TFs, ten repeats; Novakovsky et al. 2021, Fig. 3) by list scheduling of measured times: those
of the trials of a study (--times), else those measured here. A GPU is counted as --gpu times as
fast as a core, which is a guess to be replaced by a measurement.
"""

from __future__ import annotations

import argparse
import heapq
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import cistransfer as ct
from cistransfer.studies.asked import Asked
from cistransfer.studies.run import run_study
from cistransfer.studies.store import Store

STUDY = """
name = "overhead"
title = "Trials that take a moment"
[files]
matrix = "Matrix"
genome = "Genome"
[axes]
draw = {trials}
[inputs.examples]
do = "examples"
source = "{{matrix}}"
genome = "{{genome}}"
tf = "ELF1"
positives = 40
[strategies]
kmer = {{ do = "baseline", name = "kmer", examples = "{{examples}}", seed = "{{draw}}" }}
"""
TRAININGS = 1480
MACHINES = {"1 GPU": 1, "8 GPUs": 8, "64 GPUs": 64, "64 CPU nodes of 16 cores": 1024}


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
    parser.add_argument("--engines", default="here,local")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--times", type=Path)
    parser.add_argument("--gpu", type=float, default=20.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
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
        toml = place / "overhead.toml"
        toml.write_text(STUDY.format(trials=options.trials))
        files = {"matrix": place / "matrix.h5", "genome": data / "genome.fa"}
        walls, own = {}, np.empty(0)
        kinds = [(engine, None) for engine in options.engines.split(",") if engine != "local"]
        if "local" in options.engines:
            kinds += [("local", 1), ("local", 2)]
        print("engine, processes: wall s, own s of trials, overhead ms per trial")
        for engine, jobs in kinds:
            out = place / f"{engine}-{jobs}"
            asked = Asked(files=files, engine=engine, jobs=jobs, device="cpu", inputs_only=True)
            run_study(toml, out, asked)
            began = time.perf_counter()
            run_study(toml, out, Asked(files=files, engine=engine, jobs=jobs, device="cpu"))
            wall = time.perf_counter() - began
            store = Store(out)
            done = store.finished(store.plan().compared).values()
            own = np.array([each.facts["seconds"] for each in done])
            walls[engine, jobs] = wall
            beside = 1000 * (wall * (jobs or 1) - own.sum()) / len(own)
            print(f"{engine}, {jobs or 1}: {wall:.1f}, {own.sum():.1f}, {beside:.0f}")
        if ("local", 2) in walls:
            print(
                f"one to two processes: {walls['local', 1] / walls['local', 2]:.2f} times as fast"
            )
        if options.times is not None:
            store = Store(options.times)
            done = store.finished(store.plan().compared).values()
            own = np.array([e.facts["seconds"] for e in done if e.trial.step == "finetune"])
        picked = np.random.default_rng(0).choice(own, TRAININGS)
        print(f"\n{TRAININGS:,} trainings of {own.mean():.1f} s (on a core) each:")
        for machine, workers in MACHINES.items():
            times = picked / (options.gpu if "GPU" in machine and "CPU" not in machine else 1)
            end = schedule(times.tolist(), workers)
            print(f"{machine}: {end / 60:.1f} min, busy {times.sum() / (end * workers):.0%}")


if __name__ == "__main__":
    main()
