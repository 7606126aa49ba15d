"""Matrices that the tests of this room share."""

from __future__ import annotations

from pathlib import Path

import pytest
from toymatrix import toy_parts

from cistransfer.binding.file import write_matrix
from cistransfer.binding.matrix import BindingMatrix, open_matrix
from cistransfer.binding.published.read import ImportReport, import_published


@pytest.fixture(scope="session")
def imported(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[BindingMatrix, ImportReport]:
    """The six published TFs, imported."""
    out = tmp_path_factory.mktemp("imported") / "six.h5"
    report = import_published(shared_data / "published-matrix-format", out)
    return open_matrix(out), report


@pytest.fixture
def toy(tmp_path: Path) -> BindingMatrix:
    """A matrix of eight regions whose scores are spelled out in toymatrix.py."""
    write_matrix(tmp_path / "toy.h5", toy_parts())
    return open_matrix(tmp_path / "toy.h5")
