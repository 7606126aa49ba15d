"""Fixtures for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from cistransfer.binding.build import build_matrix
from cistransfer.binding.matrix import BindingMatrix, open_matrix

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
        dhs=folder / "wgEncodeRegDnaseClustered.txt.gz",
        dhs_sources=folder / "wgEncodeRegDnaseClusteredSources.txt.gz",
        ucsc2encode=folder / "ucsc2encode.tsv",
        samples=folder / "samples.tsv",
        peaks=[folder / "remap2018_macs2_hg38.bed.gz"],
        tfbs=[folder / "unibind_pwm_tfbs.tar.gz"],
    )
    return open_matrix(out)
