"""Binding modes from CIS-BP: the family of each TF's DNA-binding domain."""

from __future__ import annotations

import os

from cistransfer.errors import InputError
from cistransfer.relatives.modes import BindingModes, modes_from_pairs
from cistransfer.storage import open_text

__all__ = ["is_cisbp_header", "read_cisbp"]

_COLUMNS = (("symbol", "cisbp_family"), ("TF_Name", "Family_Name"), ("HGNC symbol", "DBD"))


def is_cisbp_header(line: str) -> bool:
    """Whether a table's first line has the columns of a CIS-BP table."""
    return _pair(line.rstrip("\r\n").split("\t")) is not None


def read_cisbp(path: str | os.PathLike[str]) -> BindingModes:
    """Read families from a tab-separated table with a header.

    The columns are ``symbol`` and ``cisbp_family``, or those of CIS-BP's own ``TF_Information``
    (``TF_Name``, ``Family_Name``). TFs of the family ``Unknown`` get none. A family shares a kind
    of DNA-binding domain, not always a motif: ``C2H2 ZF`` has 700 members that bind all sorts.

    Raises
    ------
    InputError
        For a missing or empty file, missing columns, or a short line; names the line.
    """
    pairs = []
    with open_text(path) as handle:
        header = handle.readline().rstrip("\r\n").split("\t")
        columns = _pair(header)
        if columns is None:
            raise InputError(
                f"{path}, line 1: expected the columns symbol and cisbp_family (or TF_Name and "
                f"Family_Name), found {', '.join(header[:8])!r}"
            )
        tf, family = columns
        for number, line in enumerate(handle, start=2):
            fields = line.rstrip("\r\n").split("\t")
            if not line.strip():
                continue
            if len(fields) <= max(tf, family):
                raise InputError(
                    f"{path}, line {number}: expected {len(header)} columns like the header, "
                    f"found {len(fields)}"
                )
            if fields[tf] and fields[family] and fields[family] != "Unknown":
                pairs.append((fields[tf], fields[family]))
    if not pairs:
        raise InputError(f"{path}: expected TFs with their families, found none")
    return modes_from_pairs(f"CIS-BP families ({os.path.basename(path)})", pairs)


def _pair(header: list[str]) -> tuple[int, int] | None:
    for tf, family in _COLUMNS:
        if tf in header and family in header:
            return header.index(tf), header.index(family)
    return None
