"""Binding modes: groups of TFs that recognise similar motifs. A TF may be in several.

The published study takes JASPAR's clusters as binding modes; here a table of TF and clusters,
TFClass, CIS-BP, or motifs to cluster all give the same thing.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from cistransfer.errors import InputError
from cistransfer.motifs.pwm import PWM
from cistransfer.storage import open_text, write_text

__all__ = [
    "Agreement",
    "BindingModes",
    "mode_agreement",
    "modes_from_pairs",
    "read_modes_table",
    "write_modes_table",
]

_HEADERS = ("tf", "tf_name", "name", "symbol", "gene")


@dataclass(frozen=True)
class BindingModes:
    """Which TFs share a binding mode. Names of TFs are compared regardless of case.

    Attributes
    ----------
    source : str
        Where the modes come from, in words.
    groups : dict of str → tuple of str
        Mode → its TFs (upper case, sorted).
    titles : dict of str → str
        What a mode is called, where it has a name besides its identifier.
    wider : BindingModes or None
        The next larger groups, where the source has them.
    profiles : tuple of PWM
        The motifs, when the modes were made by clustering motifs.
    profile_modes : tuple of str
        The mode of each of them.
    """

    source: str
    groups: Mapping[str, tuple[str, ...]] = field(repr=False)
    titles: Mapping[str, str] = field(default_factory=dict, repr=False)
    wider: BindingModes | None = field(default=None, repr=False)
    profiles: tuple[PWM, ...] = field(default=(), repr=False)
    profile_modes: tuple[str, ...] = field(default=(), repr=False)

    @functools.cached_property
    def _of(self) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for mode, tfs in self.groups.items():
            for tf in tfs:
                found.setdefault(tf, set()).add(mode)
        return {tf: frozenset(modes) for tf, modes in found.items()}

    def of(self, tf: str) -> frozenset[str]:
        """Modes of a TF; empty when the source has none for it."""
        return self._of.get(tf.upper(), frozenset())

    def names(self) -> frozenset[str]:
        """All TFs that have a mode (upper case)."""
        return frozenset(self._of)

    def title(self, mode: str) -> str:
        """The mode's identifier with its name behind it, where it has one."""
        name = self.titles.get(mode, "")
        return f"{mode} ({name})" if name and name != mode else mode

    def members(self, modes: Iterable[str], among: Sequence[str]) -> list[str]:
        """TFs of ``among`` that are in any of the modes, in that order."""
        wanted = set(modes)
        return [tf for tf in among if wanted & self.of(tf)]


def modes_from_pairs(
    source: str, pairs: Iterable[tuple[str, str]], titles: Mapping[str, str] | None = None
) -> BindingModes:
    """Make binding modes out of (TF, mode) pairs."""
    groups: dict[str, set[str]] = {}
    for tf, mode in pairs:
        groups.setdefault(mode, set()).add(tf.upper())
    return BindingModes(
        source,
        {mode: tuple(sorted(groups[mode])) for mode in sorted(groups, key=_natural)},
        dict(titles or {}),
    )


def read_modes_table(path: str | os.PathLike[str]) -> BindingModes:
    """Read a table of TF, tab, comma list of modes (JASPAR's clusters in the published form).

    Blank lines, lines that begin with ``#`` and one header line (``tf``, ``name``, ``symbol`` …)
    are skipped; a TF with an empty list has no mode; a TF may come twice.

    Raises
    ------
    InputError
        For a missing or empty file and for a line without exactly two columns; names the line.
    """
    pairs: list[tuple[str, str]] = []
    with open_text(path) as handle:
        for number, line in enumerate(handle, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            fields = [part.strip() for part in line.rstrip("\r\n").split("\t")]
            if not pairs and fields[0].lower() in _HEADERS:
                continue
            if len(fields) != 2 or not fields[0]:
                raise InputError(
                    f"{path}, line {number}: expected 'TF', tab, 'mode,mode,…', found "
                    f"{len(fields)} columns: {line.strip()[:60]!r}"
                )
            pairs += [(fields[0], mode.strip()) for mode in fields[1].split(",") if mode.strip()]
    if not pairs:
        raise InputError(f"{path}: expected TFs with their binding modes, found none")
    return modes_from_pairs(f"{os.path.basename(path)}", pairs)


def write_modes_table(path: str | os.PathLike[str], modes: BindingModes) -> None:
    """Write binding modes in the form that `read_modes_table` reads."""
    lines = [f"# {modes.source}"]
    for tf in sorted(modes.names()):
        lines.append(f"{tf}\t{','.join(sorted(modes.of(tf), key=_natural))}")
    write_text(path, "\n".join(lines) + "\n")


@dataclass(frozen=True)
class Agreement:
    """Agreement over pairs of TFs.

    Attributes
    ----------
    tfs : int
        TFs that have a mode in both sources.
    both, only_modes, only_reference : int
        Pairs of them that share a mode in both sources, or in one.
    precision : float
        Of the pairs that share a mode, the share that does in the reference too.
    recall : float
        Of the pairs that share one in the reference, the share that does here.
    kappa : float
        Cohen's kappa over all pairs: 1 equal, 0 chance. For sources without TFs in several modes
        it is the adjusted Rand index (Warrens 2008).
    """

    tfs: int
    both: int
    only_modes: int
    only_reference: int
    precision: float
    recall: float
    kappa: float


def mode_agreement(modes: BindingModes, reference: BindingModes, tfs: Sequence[str]) -> Agreement:
    """Compare two sources of binding modes over the TFs that both know.

    Raises
    ------
    InputError
        When fewer than two of the TFs are in both.
    """
    known = sorted({tf for tf in tfs if modes.of(tf) and reference.of(tf)})
    if len(known) < 2:
        raise InputError(
            f"{modes.source} and {reference.source} have {len(known)} of the {len(tfs)} TFs in "
            "common; at least 2 are needed to compare them"
        )
    both = ours = theirs = pairs = 0
    for a, b in combinations(known, 2):
        here = bool(modes.of(a) & modes.of(b))
        there = bool(reference.of(a) & reference.of(b))
        both += here and there
        ours += here
        theirs += there
        pairs += 1
    agreed = (pairs - ours - theirs + 2 * both) / pairs
    chance = (ours * theirs + (pairs - ours) * (pairs - theirs)) / pairs**2
    return Agreement(
        tfs=len(known),
        both=both,
        only_modes=ours - both,
        only_reference=theirs - both,
        precision=both / ours if ours else 0.0,
        recall=both / theirs if theirs else 0.0,
        kappa=1.0 if agreed == 1 else (agreed - chance) / (1 - chance),
    )


def _natural(mode: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which ``2`` and ``1.2.6`` come before ``10`` and ``1.10``."""
    return tuple(
        (0, int(part), "") if part.isascii() and part.isdigit() and len(part) < 20 else (1, 0, part)
        for part in mode.split(".")
    )
