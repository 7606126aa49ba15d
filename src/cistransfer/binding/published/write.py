"""Write a matrix in the layout that Novakovsky et al. published (and that `read` reads)."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cistransfer import progress
from cistransfer.binding.file import narrowed
from cistransfer.binding.matrix import BindingMatrix, as_float
from cistransfer.binding.published.indices import published_name, write_index
from cistransfer.storage import whole_file

__all__ = ["RULE_NAMES", "write_aggregated", "write_indices", "write_per_cell", "write_per_tf",
           "write_scores"]  # fmt: skip

PathLike = str | os.PathLike[str]

RULE_NAMES = {
    "sparse": "ReMap+UniBind.sparse",
    "less-sparse": "ReMap+UniBind.less-sparse",
    "full": "ReMap+UniBind.full",
    "peaks-only": "ReMap.sparse",
    "peaks-only-full": "ReMap.full",
}
"""What the published file names call each rule."""

_ROWS = 16384


def write_indices(folder: PathLike, matrix: BindingMatrix) -> list[Path]:
    """Write ``samples_idx``, ``tfs_idx`` and ``regions_idx`` (name → row; gzip pickles)."""
    regions = matrix.regions
    keys = zip(
        regions["chrom"].tolist(), regions["start"].tolist(), regions["end"].tolist(), strict=True
    )
    indices: dict[str, dict[object, int]] = {
        "samples_idx": {cell: at for at, cell in enumerate(matrix.cells)},
        "tfs_idx": {tf: at for at, tf in enumerate(matrix.tfs)},
        "regions_idx": {key: at for at, key in enumerate(keys)},
    }
    paths = []
    for name, index in indices.items():
        paths.append(Path(folder) / f"{name}.pickle.gz")
        write_index(paths[-1], index)
    return paths


def write_per_tf(
    folder: PathLike, matrix: BindingMatrix, rule: str, tfs: Iterable[str] | None = None
) -> list[Path]:
    """Write ``matrix2d.<TF>.<rule>.npz`` of each TF: float64, cells × regions, NaN unresolved."""
    paths = []
    for tf in progress.track(list(matrix.tfs if tfs is None else tfs), "Writing TFs"):
        assayed = matrix.cells_of(tf)
        states = dict(zip(assayed, matrix.states_by_cell(tf, rule, assayed).T, strict=True))
        # Where a TF is not assayed its score is 0 everywhere.
        blank = np.full(len(matrix), matrix.rule_table(rule)[0], dtype=np.int8)
        path = Path(folder) / f"matrix2d.{published_name(tf)}.{RULE_NAMES[rule]}.npz"
        _write_npz(
            path,
            (len(matrix.cells), len(matrix)),
            (as_float(states.get(cell, blank)) for cell in matrix.cells),
        )
        paths.append(path)
    return paths


def write_per_cell(
    folder: PathLike, matrix: BindingMatrix, rule: str, cells: Iterable[str] | None = None
) -> list[Path]:
    """Write ``matrix2d.<cell>.<rule>.npz`` of each cell: float64, regions × TFs."""
    paths = []
    for cell in progress.track(list(matrix.cells if cells is None else cells), "Writing cells"):
        path = Path(folder) / f"matrix2d.{published_name(cell)}.{RULE_NAMES[rule]}.npz"
        _write_states(path, matrix.states(None, rule, cell))
        paths.append(path)
    return paths


def write_aggregated(
    folder: PathLike,
    matrix: BindingMatrix,
    rule: str,
    cells: Sequence[str] | None = None,
) -> Path:
    """Write ``matrix2d.<rule>.npz``: float64, regions × TFs over the chosen cells."""
    path = Path(folder) / f"matrix2d.{RULE_NAMES[rule]}.npz"
    _write_states(path, matrix.states(None, rule, cells))
    return path


def write_scores(folder: PathLike, matrix: BindingMatrix) -> Path:
    """Write ``matrix3d.npz``: the scores as a COO array, cells × regions × TFs.

    Arrays ``data`` (uint8), ``coords`` (int32, 3 × n), ``shape`` and ``fill_value``, which is the
    layout of the package sparse.
    """
    data, coords = [], []
    row_of = {cell: at for at, cell in enumerate(matrix.cells)}
    for at, tf in enumerate(progress.track(matrix.tfs, "Reading scores")):
        for cell in matrix.cells_of(tf):
            scores = matrix.scores(tf, cell)
            region = narrowed(np.flatnonzero(scores), np.int32)
            data.append(scores[region])
            coords.append(
                np.stack([np.full_like(region, row_of[cell]), region, np.full_like(region, at)])
            )
    path = Path(folder) / "matrix3d.npz"
    with whole_file(path) as temporary, open(temporary, "wb") as handle:
        np.savez_compressed(
            handle,
            data=np.concatenate(data),
            coords=np.concatenate(coords, axis=1),
            shape=np.array([len(matrix.cells), len(matrix), len(matrix.tfs)]),
            fill_value=np.uint8(0),
        )
    return path


def _write_states(path: Path, states: NDArray[np.int8]) -> None:
    blocks = (as_float(states[at : at + _ROWS]) for at in range(0, len(states), _ROWS))
    _write_npz(path, states.shape, blocks)


def _write_npz(path: Path, shape: tuple[int, ...], blocks: Iterable[NDArray[np.float64]]) -> None:
    """Write one float64 array ``arr_0`` block by block."""
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    member = zipfile.ZipInfo("arr_0.npy")
    member.compress_type = zipfile.ZIP_DEFLATED
    with (
        whole_file(path) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        archive.open(member, "w", force_zip64=True) as stream,
    ):
        np.lib.format.write_array_header_1_0(stream, header)
        for block in blocks:
            stream.write(np.ascontiguousarray(block, dtype="<f8").tobytes())
