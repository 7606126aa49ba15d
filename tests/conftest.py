"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, and for subprocesses

from cistransfer.binding.build import build_matrix
from cistransfer.binding.matrix import BindingMatrix, open_matrix
from cistransfer.genome.fasta import Genome
from cistransfer.openness.options import OpenOptions
from cistransfer.simulation import SimulationTruth, simulate

if TYPE_CHECKING:
    from cistransfer.examples.dataset import ExampleSet
    from cistransfer.models.bundle import Bundle

# One profile for all property tests: a busy machine is no failure, and CI draws the same examples
# in every run (`HYPOTHESIS_PROFILE=explore` draws new ones).
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; skips where it is missing."""
    if not SHARED.is_dir():
        pytest.skip("the real data (../shared/data beside the checkout) is not here")
    return SHARED


@pytest.fixture(scope="session")
def real_matrix(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> BindingMatrix:
    """The matrix of the real BED files (nine chromosomes, 151 TFs)."""
    folder = shared_data / "tf-binding-hg38"
    out = tmp_path_factory.mktemp("real") / "matrix.h5"
    build_matrix(
        out,
        OpenOptions(
            folder / "wgEncodeRegDnaseClustered.txt.gz",
            dhs_sources=folder / "wgEncodeRegDnaseClusteredSources.txt.gz",
            ucsc2encode=folder / "ucsc2encode.tsv",
            samples=folder / "samples.tsv",
        ),
        peaks=[folder / "remap2018_macs2_hg38.bed.gz"],
        tfbs=[folder / "unibind_pwm_tfbs.tar.gz"],
    )
    return open_matrix(out)


@dataclass(frozen=True)
class World:
    """A small simulated world: 1,000 regions on 5 chromosomes, windows of 100 bp."""

    folder: Path
    truth: SimulationTruth
    matrix: BindingMatrix
    genome: Genome

    @property
    def matrix_path(self) -> Path:
        return self.folder / "matrix.h5"

    @property
    def genome_path(self) -> Path:
        return self.truth.folder / "genome.fa"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Simulated files, their matrix and their genome, shared by all rooms (read only)."""
    folder = tmp_path_factory.mktemp("world")
    truth = simulate(folder / "data", seed=5, regions=1000, chromosomes=5)
    data = truth.folder
    build_matrix(
        folder / "matrix.h5",
        OpenOptions(
            data / "wgEncodeRegDnaseClustered.txt.gz",
            dhs_sources=data / "wgEncodeRegDnaseClusteredSources.txt.gz",
            ucsc2encode=data / "ucsc2encode.tsv",
            samples=data / "samples.tsv",
        ),
        peaks=[data / "remap.bed.gz"],
        tfbs=[data / "unibind_tfbs.tar.gz"],
        window=100,
        genome="simulated",
    )
    return World(folder, truth, open_matrix(folder / "matrix.h5"), Genome(data / "genome.fa"))


STRATEGY = """
name = "{name}"
summary = "A short one for tests"
start = "{start}"

[[phases]]
name = "one"
learning_rate = {learning_rate}
batch_size = 32
epochs = {epochs}
steps_per_epoch = {steps}
strands = "{strands}"
"""


@pytest.fixture(scope="session")
def short_strategy(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Write a strategy of one short phase; returns the path of its TOML file."""
    folder = tmp_path_factory.mktemp("strategies")

    def write(
        start: str = "scratch",
        epochs: int = 2,
        steps: int = 3,
        learning_rate: float = 1e-3,
        strands: str = "random",
    ) -> str:
        name = f"{start}-{epochs}-{steps}-{learning_rate}-{strands}"
        path = folder / f"{name}.toml"
        text = STRATEGY.format(
            name=name,
            start=start,
            epochs=epochs,
            steps=steps,
            learning_rate=learning_rate,
            strands=strands,
        )
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture(scope="session")
def trunk_examples(world: World) -> ExampleSet:
    """Every resolved region of three TFs, split by chromosome."""
    from cistransfer.examples.make import examples_for
    from cistransfer.examples.sources import FromTFs

    return examples_for(FromTFs(world.matrix, world.genome, ("ELF1", "SPI1", "MAX")))


@pytest.fixture(scope="session")
def trunk(
    trunk_examples: ExampleSet,
    short_strategy: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Bundle:
    """A trunk that was trained for a few steps, in a run folder (read only)."""
    from cistransfer.training.pretrain import pretrain

    folder = tmp_path_factory.mktemp("trunk") / "run"
    return pretrain(
        folder,
        trunk_examples,
        strategy=short_strategy(epochs=2, steps=10),
        device="cpu",
        precision="float32",
    )


@pytest.fixture(scope="session")
def narrow_trunk(
    trunk_examples: ExampleSet,
    short_strategy: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Bundle:
    """A trunk that has seen two of the five chromosomes (read only)."""
    from dataclasses import replace

    import numpy as np

    from cistransfer.training.pretrain import pretrain

    chroms = trunk_examples.regions["chrom"].to_numpy()
    rows = np.flatnonzero(np.isin(chroms, ["chr1", "chr2"]))
    seen = replace(
        trunk_examples,
        codes=np.asarray(trunk_examples.codes[rows]),
        labels=np.asarray(trunk_examples.labels[rows]),
        regions=trunk_examples.regions.iloc[rows]
        .assign(part=np.where(chroms[rows] == "chr1", "train", "valid"))
        .reset_index(drop=True),
    )
    folder = tmp_path_factory.mktemp("narrow") / "run"
    return pretrain(
        folder, seen, strategy=short_strategy(epochs=1, steps=2), device="cpu", precision="float32"
    )


@pytest.fixture(scope="session")
def target_examples(world: World, trunk: Bundle) -> ExampleSet:
    """Bound and GC-matched regions of one TF, on the trunk's split."""
    from cistransfer.examples.make import examples_for
    from cistransfer.examples.sources import FromMatrix

    return examples_for(FromMatrix(world.matrix, "GABPA", world.genome), trunk)
