"""The open regions of a binding matrix."""

from __future__ import annotations

from cistransfer.binding.reader import BindingMatrix
from cistransfer.binding.windowing import OpenRegions

__all__ = ["matrix_openness"]


def matrix_openness(matrix: BindingMatrix) -> OpenRegions:
    """Regions of a matrix and the cells in which each is open (its evidence is not read)."""
    opened = matrix.accessible()
    return OpenRegions(
        matrix.regions, {cell: opened[:, column] for column, cell in enumerate(matrix.cells)}
    )
