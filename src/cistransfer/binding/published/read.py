"""Import the matrices that Novakovsky et al. published: per-TF arrays, FASTA, index pickles."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer import progress
from cistransfer.binding.file import (
    BOTH,
    PEAK,
    MatrixParts,
    narrowed,
    record_inputs,
    unchanged_since,
    write_matrix,
)
from cistransfer.binding.published.indices import published_name, read_index
from cistransfer.binding.published.places import region_places
from cistransfer.errors import InputError, nearest, shown
from cistransfer.openness.options import OpenOptions
from cistransfer.storage import MAX_ROWS, ZIP_DAMAGE, npy_header

__all__ = ["ImportReport", "import_published", "npy_rows"]

PathLike = str | os.PathLike[str]
_Evidence = tuple[NDArray[np.int32], NDArray[np.uint8]]

_MATRIX = re.compile(r"^matrix2d\.(?P<tf>.+)\.ReMap\+UniBind\.sparse\.npz$")


@dataclass(frozen=True)
class ImportReport:
    """What an import read.

    Attributes
    ----------
    regions : int
        Regions whose place is known (`cistransfer.binding.published.places`).
    regions_in_files : int
        Columns of the arrays.
    regions_open_nowhere : int
        Of these, regions that no imported TF resolves (they are closed where it is assayed).
    cells_without_experiments : list of str
        Cells in which none of the imported TFs is assayed; they are left out, because the files
        do not say where they are open.
    """

    path: str
    tfs: int
    cells: int
    experiments: int
    regions: int
    regions_in_files: int
    regions_open_nowhere: int
    cells_without_experiments: list[str]


def import_published(
    folder: PathLike,
    out: PathLike,
    *,
    genome: str = "hg38",
    name: str | None = None,
    dhs: OpenOptions | None = None,
) -> ImportReport:
    """Make a matrix file out of the authors' own release.

    Reads ``samples_idx.pickle.gz``, ``tfs_idx.pickle.gz``, every pair
    ``matrix2d.<TF>.ReMap+UniBind.{sparse,less-sparse}.npz`` (cells × regions) and, for the places
    of the regions, ``regions_idx.pickle.gz`` or the headers of ``sequences.<L>bp.<chrom>.fa.gz``.

    Parameters
    ----------
    folder : path
        The folder of these files, or one above it.
    out : path
        The HDF5 file to write.
    genome, name : str
        Names to record.
    dhs : OpenOptions, optional
        UCSC's clustered DHS, of which the regions' places follow: all of them, also on chromosomes
        whose sequences are not in the folder.

    Raises
    ------
    InputError
        When files are missing, damaged or disagree, and for a pickle that holds more than dict,
        str, int and tuple.

    Notes
    -----
    The arrays hold NaN (closed or not assayed), 0 and 1; where less-sparse is 0 and sparse NaN
    there is one kind of evidence, which is not said. The matrix therefore answers sparse,
    less-sparse and full, not peaks-only (`BindingMatrix.kinds_known` is False).
    """
    place = _find(Path(folder))
    cell_index = read_index(place / "samples_idx.pickle.gz")
    tf_index = read_index(place / "tfs_idx.pickle.gz")
    files = _tf_files(place, tf_index, cell_index)
    cell_names = sorted(cell_index, key=cell_index.__getitem__)
    regions, ids, read = region_places(place, cell_names, dhs)
    read += [("index", place / "samples_idx.pickle.gz"), ("index", place / "tfs_idx.pickle.gz")]
    found: dict[tuple[str, str], _Evidence] = {}
    open_in: dict[str, NDArray[np.bool_]] = {}
    n_columns = 0
    for tf, sparse_file in progress.track(sorted(files.items()), "Importing TFs", len(files)):
        less_file = sparse_file.with_name(
            f"matrix2d.{published_name(tf)}.ReMap+UniBind.less-sparse.npz"
        )
        if not less_file.is_file():
            raise InputError(f"{sparse_file}: {less_file.name} is missing")
        read += [("matrix", sparse_file), ("matrix", less_file)]
        n_columns, by_cell = _read_tf(sparse_file, less_file, ids, cell_names)
        if dhs is not None and n_columns != len(ids):
            raise InputError(
                f"{sparse_file}: holds {n_columns:,} regions, and {len(ids):,} of {dhs.open} are "
                "open in one of its cells; the release was made of others"
            )
        for cell, (assayed, evidence) in by_cell.items():
            if not np.array_equal(open_in.setdefault(cell, assayed), assayed):
                raise InputError(
                    f"{less_file}: the open regions of cell {cell!r} differ from those in another "
                    "TF's file; the files are not of one release"
                )
            found[tf, cell] = evidence
    if not found:
        raise InputError(f"{place}: no region with a known place is resolved for any TF")
    inputs = record_inputs(read)
    cells, pairs = sorted(open_in), sorted(found)
    opened = np.array([open_in[cell] for cell in cells])
    table = pd.DataFrame(pairs, columns=["tf", "cell"])
    table = table.assign(accessions="", peaks=True, tfbs=True, peak_rows=0, tfbs_rows=0)
    widths = (regions["end"] - regions["start"]).unique()
    parts = MatrixParts(
        regions=regions,
        region_ids=ids,
        cells=cells,
        accessibility=np.packbits(opened, axis=1),
        experiments=table,
        indptr=np.cumsum([0, *(len(found[pair][0]) for pair in pairs)], dtype=np.int64),
        region=np.concatenate([found[pair][0] for pair in pairs]),
        kind=np.concatenate([found[pair][1] for pair in pairs]),
        settings={
            "name": name or Path(out).stem,
            "genome": genome,
            "window": int(widths[0]) if len(widths) == 1 else 0,
            "assayed": "tfbs",
            "kinds_known": False,
            "regions_in_files": n_columns,
        },
        inputs=inputs,
    )
    unchanged_since(inputs)
    write_matrix(out, parts)
    return ImportReport(
        path=str(out),
        tfs=len(set(table["tf"])),
        cells=len(cells),
        experiments=len(table),
        regions=len(regions),
        regions_in_files=n_columns,
        regions_open_nowhere=int((~opened.any(axis=0)).sum()),
        cells_without_experiments=sorted(set(cell_names) - set(cells)),
    )


def _tf_files(place: Path, tfs: Mapping[str, int], cells: Mapping[str, int]) -> dict[str, Path]:
    """Find each TF's sparse array; the arrays of single cells, which lie beside, are passed by."""
    cell_files = {published_name(cell) for cell in cells}
    tf_of = {published_name(tf): tf for tf in tfs}
    files = {}
    for file in sorted(place.iterdir()):
        match = _MATRIX.match(file.name)
        if match and match["tf"] in tf_of:
            files[tf_of[match["tf"]]] = file
        elif match and match["tf"] not in cell_files:
            raise InputError(
                f"{file}: {match['tf']!r} is neither a TF of tfs_idx nor a cell of samples_idx; "
                f"{nearest(match['tf'], tfs)}"
            )
    if not files:
        raise InputError(f"{place}: expected files matrix2d.<TF>.ReMap+UniBind.sparse.npz")
    return files


def _read_tf(
    sparse_file: Path, less_file: Path, ids: NDArray[np.int64], cells: list[str]
) -> tuple[int, dict[str, tuple[NDArray[np.bool_], _Evidence]]]:
    """Read one TF's pair of arrays: for each assayed cell, its open regions and the evidence."""
    n_columns, at = 0, -1
    by_cell: dict[str, tuple[NDArray[np.bool_], _Evidence]] = {}
    for at, (sparse, less) in enumerate(
        zip_longest(npy_rows(sparse_file), npy_rows(less_file), fillvalue=np.empty(0))
    ):
        n_columns = len(sparse)
        if at >= len(cells) or n_columns != len(less) or n_columns <= ids.max():
            raise InputError(
                f"{sparse_file}: expected {len(cells)} cells × more than {ids.max():,} regions, "
                f"found row {at + 1} with {n_columns:,}"
            )
        sparse, less = sparse[ids], less[ids]
        assayed = ~np.isnan(less)
        if assayed.any():
            _check_values(sparse, less, f"{sparse_file} (cell {cells[at]!r})")
            region = np.flatnonzero((less == 1) | (assayed & np.isnan(sparse)))
            kind = np.where(less[region] == 1, BOTH, PEAK).astype(np.uint8)
            by_cell[cells[at]] = assayed, (narrowed(region, np.int32), kind)
    if at + 1 != len(cells):
        raise InputError(f"{sparse_file}: expected {len(cells)} rows, found {at + 1}")
    return n_columns, by_cell


def npy_rows(path: PathLike) -> Iterator[NDArray[np.float64]]:
    """Yield the rows of the one float array in an ``.npz`` file without loading the whole.

    Raises
    ------
    InputError
        When the file is no zip of one 2-D float array, is damaged, or holds Python objects.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_only(archive, path)) as stream:
            shape, fortran, dtype = npy_header(stream, path)
            if len(shape) != 2 or fortran or dtype.kind != "f":
                raise InputError(
                    f"{path}: expected one 2-D float array in C order, found shape {shape}, {dtype}"
                )
            if shape[1] > MAX_ROWS:
                raise InputError(f"{path}: {shape[1]:,} columns: more regions than there can be")
            for _ in range(shape[0]):
                data = stream.read(shape[1] * dtype.itemsize)
                if len(data) < shape[1] * dtype.itemsize:
                    raise EOFError("fewer values than its header says")
                yield np.frombuffer(data, dtype=dtype).astype(np.float64, copy=False)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except ZIP_DAMAGE as error:
        said = shown(error)
        raise InputError(f"{path}: not a readable .npz file, or cut short ({said})") from error


def _only(archive: zipfile.ZipFile, path: PathLike) -> str:
    names = [name for name in archive.namelist() if name.endswith(".npy")]
    if len(names) != 1:
        raise InputError(f"{path}: expected one array, found {len(names)}")
    return names[0]


def _check_values(sparse: NDArray[np.float64], less: NDArray[np.float64], where: str) -> None:
    known = np.isnan(less) | (less == 0) | (less == 1)
    # sparse says the same as less-sparse, or NaN where less-sparse is 0.
    agree = (sparse == less) | (np.isnan(sparse) & ~(less == 1))
    if not (known & agree).all():
        at = int(np.flatnonzero(~(known & agree))[0])
        raise InputError(
            f"{where}: sparse {sparse[at]} and less-sparse {less[at]} do not go together "
            "(expected 0, 1 and NaN)"
        )


def _find(folder: Path) -> Path:
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of published matrix files")
    found = sorted(file.parent for file in folder.rglob("samples_idx.pickle.gz"))
    if len(found) != 1:
        raise InputError(
            f"{folder}: expected one folder with samples_idx.pickle.gz, found "
            + (f"{len(found)}: {', '.join(map(str, found[:4]))}" if found else "none")
        )
    return found[0]
