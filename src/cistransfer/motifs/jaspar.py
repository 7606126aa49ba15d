"""JASPAR releases offline, through pyjaspar (an optional extra)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cistransfer.errors import InputError, nearest
from cistransfer.motifs.pwm import PWM, from_counts

__all__ = ["read_jaspar_release"]


def read_jaspar_release(
    release: str = "JASPAR2024",
    *,
    collection: str = "CORE",
    tax_group: str = "vertebrates",
    tf_names: Sequence[str] | None = None,
) -> list[PWM]:
    """Read the profiles of a JASPAR release that pyjaspar carries (offline; takes seconds).

    Parameters
    ----------
    release : str
        ``JASPAR2014`` to the newest that the installed pyjaspar has.
    collection, tax_group : str
        As JASPAR names them.
    tf_names : sequence of str, optional
        Keep profiles of these TFs only, by name and regardless of case; a heterodimer
        (``FOS::JUN``) is kept for either partner.

    Returns
    -------
    list of PWM
        Latest versions, by identifier; ``name`` is the identifier (``MA0114.5``), ``alt_name`` the
        TF's name, ``sites`` the largest column total.

    Raises
    ------
    InputError
        When pyjaspar is not installed or has no such release.
    """
    try:
        from pyjaspar import jaspar_releases, jaspardb
    except ImportError as error:
        raise InputError(
            "reading JASPAR releases needs pyjaspar: pip install 'cistransfer[jaspar]'"
        ) from error
    if release not in jaspar_releases:
        raise InputError(
            f"pyjaspar has no release {release!r}; {nearest(release, jaspar_releases)}"
        )
    database = jaspardb(release=release)
    try:
        motifs = database.fetch_motifs(collection=collection, tax_group=[tax_group])
    finally:
        database.conn.close()
    wanted = None if tf_names is None else {name.upper() for name in tf_names}
    pwms = [
        from_counts(
            motif.matrix_id,
            np.array([motif.counts[letter] for letter in "ACGT"]).T,
            alt_name=motif.name,
        )
        for motif in motifs
        if wanted is None or wanted & set(motif.name.upper().split("::"))
    ]
    if not motifs:
        raise InputError(f"{release} has no profiles of {tax_group!r} in collection {collection!r}")
    return sorted(pwms, key=lambda pwm: pwm.name)
