"""Binding modes from TFClass (Wingender 2015), read from its OBO file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cistransfer.errors import InputError, nearest
from cistransfer.relatives.modes import BindingModes, modes_from_pairs
from cistransfer.storage import open_text

__all__ = ["LEVELS", "read_tfclass"]

LEVELS = ("superclass", "class", "family", "subfamily")
"""Levels of TFClass, from the widest; the identifier of a level has 1, 2, 3 or 4 numbers."""

_GREEK = {"ALPHA": "A", "BETA": "B", "GAMMA": "G", "DELTA": "D", "EPSILON": "E"}

_SYMBOLS = {
    "AP2A": "TFAP2A",
    "AP2B": "TFAP2B",
    "AP2G": "TFAP2C",
    "AP2D": "TFAP2D",
    "AP2E": "TFAP2E",
    "AP4": "TFAP4",
    "DP1": "TFDP1",
    "DP2": "TFDP2",
    "E2A": "TCF3",
    "FRA1": "FOSL1",
    "FRA2": "FOSL2",
    "HTF4": "TCF12",
    "ITF2": "TCF4",
    "NFE2P45": "NFE2",
    "P53": "TP53",
    "P63": "TP63",
    "P73": "TP73",
}
"""Symbols of factors that TFClass calls by an older name."""


@dataclass(frozen=True)
class _Term:
    identifier: str
    name: str
    level: str
    ensembl: tuple[str, ...]


def read_tfclass(
    path: str | os.PathLike[str],
    level: str = "family",
    symbols: Mapping[str, str] | None = None,
) -> BindingModes:
    """Read TFClass as binding modes: one mode per superclass, class, family or subfamily.

    TFClass calls factors by names (``HNF-4alpha (NR2A1)``), not symbols. A name counts for the
    symbol it spells without punctuation and with Greek letters written as one letter
    (``C/EBPbeta`` → CEBPB, ``c-Jun`` → JUN, ``N-Myc`` → MYCN); a synonym counts unless another
    factor bears it. With ``symbols`` the Ensembl identifiers decide instead, which is exact.

    Parameters
    ----------
    path : path
        The OBO file, plain or gzip.
    level : str
        One of `LEVELS`. A family shares its DNA-binding domain and mostly its motif; zinc-finger
        families of class 2.3 are wide.
    symbols : dict of str → str, optional
        Ensembl gene identifier → symbol.

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
    terms = list(_terms(path))
    factors = [term for term in terms if term.level == "Genus"]
    if not factors:
        raise InputError(
            f"{path}: expected TFClass terms ('subset: Genus') in an OBO file, found none"
        )
    named = _symbols(factors, symbols or {})
    titles = {term.identifier: term.name for term in terms}
    modes: BindingModes | None = None
    for depth in range(1, LEVELS.index(level) + 2):
        what = LEVELS[depth - 1]
        pairs = [
            (symbol, ".".join(identifier.split(".")[:depth]))
            for symbol, identifiers in named.items()
            for identifier in identifiers
        ]
        made = modes_from_pairs(f"TFClass {what} ({os.path.basename(path)})", pairs, titles)
        modes = replace(made, wider=modes)
    assert modes is not None
    return modes


def _terms(path: str | os.PathLike[str]) -> Iterator[_Term]:
    fields: dict[str, list[str]] = {}
    inside = False
    with open_text(path) as handle:
        for line in (*handle, "[End]"):
            text = line.strip()
            if text.startswith("["):
                if inside and "id" in fields:
                    yield _Term(
                        fields["id"][0],
                        fields.get("name", [""])[0],
                        fields.get("subset", [""])[0].strip('"'),
                        tuple(
                            xref.removeprefix("ENSEMBL:").split()[0].split("_")[0]
                            for xref in fields.get("xref", [])
                            if xref.startswith("ENSEMBL:")
                        ),
                    )
                inside, fields = text == "[Term]", {}
            elif inside and ": " in text:
                key, value = text.split(": ", 1)
                fields.setdefault(key, []).append(value)


def _symbols(factors: list[_Term], symbols: Mapping[str, str]) -> dict[str, set[str]]:
    """Symbol → identifiers of its factor (a factor may stand in two places)."""
    named: dict[str, set[str]] = {}
    synonyms: dict[str, set[str]] = {}
    exact: dict[str, set[str]] = {}
    for factor in factors:
        for gene in factor.ensembl:
            if gene in symbols:
                exact.setdefault(symbols[gene].upper(), set()).add(factor.identifier)
        plain = re.sub(r"\[[0-9+]*\]", "", factor.name)
        parts = [part.strip() for part in re.split(r"[(),;]", plain) if part.strip()]
        for place, part in enumerate(parts):
            for spelled in _spell(part):
                kept = named if place == 0 else synonyms
                kept.setdefault(spelled, set()).add(factor.identifier)
    for synonym, identifiers in synonyms.items():
        # A synonym that two families bear (TCF-3) says nothing.
        if len({identifier.rpartition(".")[0] for identifier in identifiers}) == 1:
            named.setdefault(synonym, identifiers)
    return {**named, **exact}


def _spell(name: str) -> set[str]:
    upper = name.upper()
    for letter, latin in _GREEK.items():
        upper = upper.replace(letter, latin)
    plain = re.sub(r"[^A-Z0-9]", "", upper)
    spelled = {name.upper(), _SYMBOLS.get(plain, plain)}
    prefixed = re.match(r"^([A-Z])-(.+)$", upper)
    if prefixed:
        rest = re.sub(r"[^A-Z0-9]", "", prefixed[2])
        spelled.add(rest if prefixed[1] == "C" else rest + prefixed[1])
    return spelled
