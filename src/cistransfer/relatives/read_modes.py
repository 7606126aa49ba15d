"""Read binding modes from whatever file a user has; its content tells what it is."""

from __future__ import annotations

import os
from collections.abc import Sequence

from cistransfer.errors import InputError
from cistransfer.motifs.meme import read_meme
from cistransfer.motifs.pwm import PWM
from cistransfer.relatives.cisbp import is_cisbp_header, read_cisbp, read_ensembl_symbols
from cistransfer.relatives.cluster import CUT, cluster_modes
from cistransfer.relatives.modes import BindingModes, read_modes_table
from cistransfer.relatives.tfclass import read_tfclass
from cistransfer.storage import open_text

__all__ = ["read_modes", "read_profiles"]

_RELEASE = "JASPAR2020"


def read_profiles(source: str | os.PathLike[str]) -> list[PWM]:
    """Read motifs: a MEME or JASPAR file, or ``jaspar`` / ``JASPAR2024`` (needs pyjaspar).

    ``jaspar`` is the release of 2020: of those from 2018 to 2024 its clusters agree best with
    TFClass, and only with it and 2022 does EGR1 come to SP1, as in the published modes.
    """
    name = os.fspath(source)
    if name.lower() == "jaspar" or (
        name.upper().startswith("JASPAR2") and not os.path.exists(name)
    ):
        from cistransfer.motifs.jaspar import read_jaspar_release

        return read_jaspar_release(_RELEASE if name.lower() == "jaspar" else name.upper())
    return read_meme(source)


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
        Level of TFClass (see `cistransfer.relatives.tfclass.LEVELS`).
    cut : float
        Where clusters of motifs are cut (see `cistransfer.relatives.cluster.CUT`).
    symbols : path, optional
        Table of Ensembl identifiers and symbols for TFClass (CIS-BP's table has them).

    Raises
    ------
    InputError
        For a file that is none of these, or that names none of the TFs.
    """
    name = os.fspath(source)
    kind = "motifs" if not os.path.exists(name) and "jaspar" in name.lower() else _kind(source)
    if kind == "motifs":
        return cluster_modes(read_profiles(source), tfs, cut=cut)
    if kind == "tfclass":
        modes = read_tfclass(source, level, read_ensembl_symbols(symbols) if symbols else None)
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
            if text.startswith(("MEME version", ">", "ALPHABET", "letter-probability", "MOTIF ")):
                return "motifs"
            return "cisbp" if is_cisbp_header(line) else "table"
    raise InputError(f"{source}: expected binding modes, found an empty file")
