"""Open regions per cell out of whatever file says so."""

from __future__ import annotations

import os

from cistransfer.binding.accessible import read_accessible
from cistransfer.binding.matrix import open_matrix
from cistransfer.binding.windowing import OpenRegions
from cistransfer.errors import InputError
from cistransfer.openness.of_matrix import matrix_openness
from cistransfer.openness.signals import read_signal_table

__all__ = ["read_openness"]

PathLike = str | os.PathLike[str]


def read_openness(
    *,
    matrix: PathLike | None = None,
    dhs: PathLike | None = None,
    dhs_sources: PathLike | None = None,
    ucsc2encode: PathLike | None = None,
    open_sheet: PathLike | None = None,
    regions: PathLike | None = None,
    open_table: PathLike | None = None,
    open_above: float = 0.0,
    samples: PathLike | None = None,
    signals: PathLike | None = None,
    threshold: float = 1.64,
    replicates: PathLike | None = None,
) -> OpenRegions:
    """Read open regions from a binding matrix, a table of signals, or as `read_accessible` does.

    Parameters
    ----------
    matrix : path, optional
        Binding matrix.
    signals, threshold, replicates
        Of `read_signal_table`, with ``regions``.
    dhs, dhs_sources, ucsc2encode, open_sheet, regions, open_table, open_above, samples
        Of `read_accessible`.

    Raises
    ------
    InputError
        When the arguments name no source or more than one.
    """
    sources = {
        "matrix": matrix, "dhs": dhs, "open_sheet": open_sheet, "open_table": open_table,
        "signals": signals,
    }  # fmt: skip
    given = [name for name, value in sources.items() if value is not None]
    if len(given) != 1:
        raise InputError(
            "open regions come from one of: a binding matrix (matrix), a DHS cluster table (dhs), "
            "one BED file per cell (open_sheet), a region table (regions and open_table), a table "
            f"of signals (regions and signals); found {', '.join(given) or 'none'}"
        )
    beside = {"regions": regions, "samples": samples, "dhs_sources": dhs_sources,
              "ucsc2encode": ucsc2encode}  # fmt: skip
    unused = {
        "matrix": ("regions", "samples", "dhs_sources", "ucsc2encode"),
        "signals": ("samples", "dhs_sources", "ucsc2encode"),
        "open_sheet": ("dhs_sources", "ucsc2encode"),
        "open_table": ("dhs_sources", "ucsc2encode"),
    }.get(given[0], ())
    for name in unused:
        if beside[name] is not None:
            raise InputError(f"{name} has no meaning with {given[0]}; drop it")
    if replicates is not None and signals is None:
        raise InputError("replicates has no meaning without signals; drop it")
    if matrix is not None:
        return matrix_openness(open_matrix(matrix))
    if signals is not None:
        if regions is None:
            raise InputError(f"{signals}: a table of signals needs its regions (a BED file)")
        return read_signal_table(regions, signals, threshold=threshold, replicates=replicates)
    return read_accessible(
        dhs=dhs,
        dhs_sources=dhs_sources,
        ucsc2encode=ucsc2encode,
        open_sheet=open_sheet,
        regions=regions,
        open_table=open_table,
        open_above=open_above,
        samples=samples,
    ).opened
