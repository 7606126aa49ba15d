"""Toy matrices as files, and the real matrix's binding modes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cistransfer.binding.facts.cobinding import BindingVectors, binding_vectors
from cistransfer.binding.file import BOTH, PEAK, MatrixParts, write_matrix
from cistransfer.binding.matrix import BindingMatrix, open_matrix
from cistransfer.relatives.modes import BindingModes
from cistransfer.relatives.read_modes import published_modes, read_modes, read_profiles

MakeMatrix = Callable[..., BindingMatrix]

JASPAR = "motifs/JASPAR2020_CORE_vertebrates_non-redundant.meme"
TFCLASS = "motifs/TFClass_human.obo.gz"
CISBP = "motifs/human_TFs_cisbp2.00_families.tsv"


def write_toy(path: Path, states: Sequence[Sequence[int]], tfs: Sequence[str]) -> BindingMatrix:
    """Write a matrix with these states (regions × TFs): 1, 0, −1, and 2 = only a peak.

    Every TF is assayed in a cell of its own. 2 is 0 under less-sparse and −1 under sparse.
    """
    table = np.array(states)
    order = np.argsort(np.array(tfs))
    n = len(table)
    region, kind, indptr = [], [], [0]
    for at in order:
        rows = np.flatnonzero(table[:, at] > 0)
        region.append(rows)
        kind.append(np.where(table[rows, at] == 1, BOTH, PEAK))
        indptr.append(indptr[-1] + len(rows))
    names = [tfs[at] for at in order]
    cells = [f"cell-{name}" for name in names]
    start = 1000 * np.arange(n)
    parts = MatrixParts(
        regions=pd.DataFrame({"chrom": "chr1", "start": start, "end": start + 200}),
        region_ids=np.arange(n),
        cells=cells,
        accessibility=np.packbits(table[:, order].T >= 0, axis=1),
        experiments=pd.DataFrame(
            {
                "tf": names,
                "cell": cells,
                "accessions": "toy",
                "peaks": True,
                "tfbs": True,
                "peak_rows": 1,
                "tfbs_rows": 1,
            }
        ),
        indptr=np.array(indptr),
        region=np.concatenate(region).astype(np.int32),
        kind=np.concatenate(kind).astype(np.uint8),
        settings={"name": "toy", "genome": "hg38", "window": 200},
    )
    write_matrix(path, parts)
    return open_matrix(path)


@pytest.fixture(scope="session")
def toy_writer() -> Callable[[Path, Sequence[Sequence[int]], Sequence[str]], BindingMatrix]:
    """`write_toy`, for tests that make many matrices."""
    return write_toy


@pytest.fixture
def make_matrix(tmp_path: Path) -> MakeMatrix:
    """A function that makes a matrix of states (regions × TFs) and TF names."""

    def make(states: Sequence[Sequence[int]], tfs: Sequence[str]) -> BindingMatrix:
        return write_toy(tmp_path / "toy.h5", states, tfs)

    return make


@pytest.fixture(scope="session")
def jaspar_modes(shared_data: Path, real_matrix: BindingMatrix) -> BindingModes:
    """JASPAR 2020's motifs of the real matrix's TFs, clustered."""
    return read_modes(shared_data / JASPAR, real_matrix.tfs)


@pytest.fixture(scope="session")
def tfclass_modes(shared_data: Path, real_matrix: BindingMatrix) -> BindingModes:
    """TFClass families with exact symbols."""
    return read_modes(shared_data / TFCLASS, real_matrix.tfs, symbols=shared_data / CISBP)


@pytest.fixture(scope="session")
def old_modes(shared_data: Path, real_matrix: BindingMatrix) -> BindingModes:
    """The same motifs, clustered as the published modes come out."""
    return published_modes(read_profiles(shared_data / JASPAR), real_matrix.tfs)


@pytest.fixture(scope="session")
def real_vectors(real_matrix: BindingMatrix) -> BindingVectors:
    """Binding vectors of the real matrix."""
    return binding_vectors(real_matrix)
