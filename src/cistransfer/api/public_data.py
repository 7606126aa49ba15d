"""Get public data: genome, open regions, peaks, motifs."""

from __future__ import annotations

import os

import pandas as pd

from cistransfer.api.doors import as_path, found
from cistransfer.downloads.catalogue import catalogue
from cistransfer.downloads.get import Obtained, get_source
from cistransfer.errors import InputError

__all__ = ["get_data", "list_data"]

PathLike = str | os.PathLike[str]


def list_data() -> pd.DataFrame:
    """Public sources that `get_data` fetches.

    Returns
    -------
    DataFrame
        ``name``, ``what``, ``version``, ``licence``, ``files`` (0 of what has to be fetched by
        hand), ``size`` (in words), ``use`` (the options that take it), ``page``.

    Examples
    --------
    >>> import cistransfer as ct
    >>> list(ct.list_data()["name"])[:3]
    ['hg38', 'dhs', 'remap2018']
    """
    return pd.DataFrame(
        [
            {
                "name": source.name,
                "what": source.what,
                "version": source.version,
                "licence": source.licence,
                "files": len(source.files),
                "size": source.worded_size(),
                "use": source.use,
                "page": source.page,
            }
            for source in catalogue().values()
        ]
    )


def get_data(
    name: str, out: PathLike | None = None, *, mirror: str | None = None
) -> list[Obtained]:
    """Fetch a public source: resumed where it broke off, compared with what is known, recorded.

    A file that is there already is compared and not fetched again.

    Parameters
    ----------
    name : str
        See `list_data`.
    out : path, optional
        Folder; the source becomes a folder in it. By default ``data`` in the cache.
    mirror : str, optional
        URL of another place that has the files under the same names.

    Returns
    -------
    list of Obtained
        The source's files: ``path``, ``bytes``, ``sha256``, ``checked`` …

    Raises
    ------
    InputError
        When there is no such source, or what the server sends or what lies there is not the file.
    MachineError
        When the server cannot be reached, or the disk is full; the next call goes on.

    Examples
    --------
    >>> import cistransfer as ct
    >>> ct.get_data("tfclass")
    Traceback (most recent call last):
    ...
    cistransfer.errors.InputError: tfclass is not fetched, since ...
    """
    if not isinstance(name, str):
        raise InputError(f"name: expected the name of a source, found {found(name)}")
    return get_source(name, None if out is None else as_path(out, "out"), mirror)
