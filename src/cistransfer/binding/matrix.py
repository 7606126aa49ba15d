"""The three-state binding matrix: one HDF5 file, opened in milliseconds, read as views."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd

from cistransfer.binding.inputs import changed_inputs
from cistransfer.binding.layout import FORMAT, FORMAT_VERSION
from cistransfer.binding.reader import BindingMatrix
from cistransfer.binding.rules import RULES
from cistransfer.errors import InputError

__all__ = ["RULES", "BindingMatrix", "open_matrix"]

_EXPERIMENT_COLUMNS = ("tf", "cell", "accessions", "peaks", "tfbs", "peak_rows", "tfbs_rows")


def open_matrix(path: str | os.PathLike[str], *, check_inputs: bool = True) -> BindingMatrix:
    """Open a binding matrix; reads names and settings only.

    Parameters
    ----------
    path : path
        A file made by ``cistransfer matrix build`` or ``matrix import``.
    check_inputs : bool
        Whether to refuse a stale matrix: one whose input files are still there, but changed.

    Returns
    -------
    BindingMatrix

    Raises
    ------
    InputError
        When the file is missing, damaged, stale, not a binding matrix, or of a newer format.
    """
    import h5py

    source = Path(path)
    if not source.is_file():
        found = "found a folder" if source.is_dir() else "no such file"
        raise InputError(f"{source}: expected a binding matrix, {found}")
    try:
        file = h5py.File(source, "r")
    except OSError as error:
        raise InputError(
            f"{source}: not a binding matrix (not a readable HDF5 file); "
            "make one with 'cistransfer matrix build'"
        ) from error
    with file:
        if file.attrs.get("format") != FORMAT:
            raise InputError(
                f"{source}: an HDF5 file, but not a binding matrix; "
                "make one with 'cistransfer matrix build'"
            )
        version = int(file.attrs["format_version"])
        if version > FORMAT_VERSION:
            raise InputError(
                f"{source}: matrix format {version} is newer than this cistransfer reads "
                f"({FORMAT_VERSION}); update cistransfer"
            )
        try:
            settings = json.loads(file.attrs["settings"])
            columns = {}
            for name in _EXPERIMENT_COLUMNS:
                column = file[f"experiments/{name}"]
                columns[name] = column.asstr()[:] if column.dtype.kind == "O" else column[:]
            experiments = pd.DataFrame(columns)
            matrix = BindingMatrix(
                path=source,
                name=settings["name"],
                genome=settings["genome"],
                window=int(settings["window"]),
                cells=tuple(file["cells"].asstr()[:]),
                tfs=tuple(sorted(set(experiments["tf"]))),
                experiments=experiments,
                settings=settings,
                inputs=json.loads(file.attrs["inputs"]),
                content_hash=str(file.attrs["content_hash"]),
                n_regions=int(file.attrs["n_regions"]),
            )
        except (KeyError, OSError, ValueError) as error:
            raise InputError(f"{source}: the matrix file is damaged ({error})") from error
    changed = changed_inputs(matrix.inputs) if check_inputs else []
    if changed:
        more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise InputError(f"{source}: the matrix is stale: {changed[0]}{more}; build it again")
    return matrix
