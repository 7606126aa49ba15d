"""Read binding modes from whatever file a user has; its content tells what it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from cistransfer.errors import InputError, nearest
from cistransfer.motifs.files import Motifs, read_motifs
from cistransfer.motifs.tfclass import LEVELS, read_tfclass
from cistransfer.relatives.cisbp import is_cisbp_header, read_cisbp
from cistransfer.relatives.cluster import cluster_modes
from cistransfer.relatives.modes import BindingModes, modes_from_pairs, read_modes_table
from cistransfer.relatives.options import CUT
from cistransfer.storage import open_text

__all__ = ["read_modes", "read_profiles", "tfclass_modes"]

_RELEASE = "JASPAR2020"


def read_profiles(source: str | os.PathLike[str]) -> Motifs:
    """Read motifs: a file of any format, or ``jaspar`` / ``JASPAR2024`` (needs pyjaspar).

    ``jaspar`` is the release of 2020: of those from 2018 to 2024 its clusters agree best with
    TFClass, and only with it and 2022 does EGR1 come to SP1, as in the published modes.
    """
    named = os.fspath(source).lower() == "jaspar" and not os.path.exists(source)
    return read_motifs(_RELEASE if named else source)


def tfclass_modes(
    path: str | os.PathLike[str],
    level: str = "family",
    symbols: str | os.PathLike[str] | None = None,
) -> BindingModes:
    """Read TFClass as binding modes: one mode per superclass, class, family or subfamily.

    Parameters
    ----------
    path, symbols
        See `cistransfer.motifs.tfclass.read_tfclass`.
    level : str
        One of `LEVELS`. A family shares its DNA-binding domain and mostly its motif; zinc-finger
        families of class 2.3 are wide.

    Returns
    -------
    BindingModes
        ``wider`` is the next level up.

    Raises
    ------
    InputError
        For an unknown level, a missing file, or one without TFClass terms.
    """
    if level not in LEVELS:
        raise InputError(f"TFClass has no level {level!r}; {nearest(level, LEVELS)}")
    known = read_tfclass(path, symbols)
    modes: BindingModes | None = None
    for depth in range(1, LEVELS.index(level) + 2):
        pairs = [
            (symbol, ".".join(identifier.split(".")[:depth]))
            for symbol, identifiers in known.factors.items()
            for identifier in identifiers
        ]
        title = f"TFClass {LEVELS[depth - 1]} ({known.source})"
        modes = replace(modes_from_pairs(title, pairs, known.titles), wider=modes)
    assert modes is not None
    return modes


def read_modes(
    source: str | os.PathLike[str],
    tfs: Sequence[str],
    *,
    level: str = "family",
    cut: float = CUT,
    symbols: str | os.PathLike[str] | None = None,
) -> BindingModes:
    """Read or compute binding modes.

    Parameters
    ----------
    source : path or str
        A table of TF and modes, TFClass (OBO), CIS-BP families (TSV), a MEME or JASPAR file of
        motifs to cluster, or ``jaspar`` / ``JASPAR2020`` … for the motifs of a JASPAR release
        (needs pyjaspar).
    tfs : sequence of str
        TFs of interest: only their motifs are clustered.
    level : str
        Level of TFClass (see `cistransfer.motifs.tfclass.LEVELS`).
    cut : float
        Where clusters of motifs are cut (see `cistransfer.relatives.options.CUT`).
    symbols : path, optional
        Table of Ensembl identifiers and symbols for TFClass (CIS-BP's table has them).

    Raises
    ------
    InputError
        For a file that is none of these, or that names none of the TFs.
    """
    name = os.fspath(source)
    listed = os.path.isdir(name) or (not os.path.exists(name) and "jaspar" in name.lower())
    kind = "motifs" if listed else _kind(source)
    if kind == "motifs":
        return cluster_modes(read_profiles(source), tfs, cut=cut)
    if kind == "tfclass":
        modes = tfclass_modes(source, level, symbols)
    elif kind == "cisbp":
        modes = read_cisbp(source)
    else:
        modes = read_modes_table(source)
    if not any(modes.of(tf) for tf in tfs):
        raise InputError(
            f"{source}: names none of the {len(tfs)} TFs ({', '.join(list(tfs)[:5])}, …); it has "
            f"{', '.join(sorted(modes.names())[:5])}, …"
        )
    return modes


def _kind(source: str | os.PathLike[str]) -> str:
    with open_text(source) as handle:
        for line in handle:
            text = line.strip()
            if not text:
                continue
            if text.startswith(("format-version:", "[Term]")):
                return "tfclass"
            if text.startswith(
                ("MEME version", ">", "ALPHABET", "letter-probability", "MOTIF ", "AC ")
            ):
                return "motifs"
            return "cisbp" if is_cisbp_header(line) else "table"
    raise InputError(f"{source}: expected binding modes, found an empty file")
