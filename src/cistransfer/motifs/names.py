"""Which motifs are a TF's."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cistransfer.errors import InputError, nearest
from cistransfer.motifs.pwm import PWM

__all__ = ["motif_tfs", "motifs_of"]

_PREFIX = re.compile(r"^[A-Z]{2}\d{4}\.\d+\.(?=.)")
_SUFFIX = re.compile(r"(\(var\.\d+\)|_HUMAN.*|_MOUSE.*|\.H1\d.*)$", re.IGNORECASE)


def motif_tfs(pwm: PWM) -> tuple[str, ...]:
    """Upper-case names of the TFs that a motif belongs to.

    Reads JASPAR's names (``FOSL2::JUND(var.2)``, or ``MA0004.1.Arnt`` as in its MEME files; both
    partners of a heterodimer count) and HOCOMOCO's (``HNF4A_HUMAN…``, ``HNF4A.H12CORE.0.P.B``)
    from ``alt_name``, or ``name`` where there is none.
    """
    name = _PREFIX.sub("", pwm.alt_name or pwm.name)
    parts = _SUFFIX.sub("", name).split("::")
    return tuple(dict.fromkeys(part.strip().upper() for part in parts if part.strip()))


def motifs_of(tf: str, pwms: Sequence[PWM]) -> list[PWM]:
    """Motifs of a TF, its own before those of its heterodimers, else in the given order.

    Raises
    ------
    InputError
        When no motif is the TF's (names the nearest).
    """
    wanted = tf.upper()
    found = [(len(names), pwm) for pwm in pwms if wanted in (names := motif_tfs(pwm))]
    if not found:
        known = {name for pwm in pwms for name in motif_tfs(pwm)}
        raise InputError(f"no motif of {tf!r} among the {len(pwms):,}; {nearest(tf, known)}")
    return [pwm for _, pwm in sorted(found, key=lambda item: item[0])]
