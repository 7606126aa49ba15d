"""TFClass (Wingender 2015): which factors are kin, read from its OBO file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cistransfer.errors import InputError, shown
from cistransfer.storage import open_text

__all__ = ["LEVELS", "TFClass", "read_ensembl_symbols", "read_tfclass"]

LEVELS = ("superclass", "class", "family", "subfamily")
"""Levels of TFClass, from the widest; the identifier of a level has 1, 2, 3 or 4 numbers."""

_SYMBOL = ("symbol", "TF_Name", "HGNC symbol")
_ENSEMBL = ("ensembl", "DBID", "Ensembl ID")

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
class TFClass:
    """Where TFClass has each factor.

    Attributes
    ----------
    source : str
        The file's name.
    factors : dict of str → set of str
        Symbol (upper case) → identifiers (``1.1.2.1.1``); a factor may stand in two places.
    titles : dict of str → str
        Identifier of any level → name.
    """

    source: str
    factors: Mapping[str, set[str]] = field(repr=False)
    titles: Mapping[str, str] = field(repr=False)

    def place(self, tf: str) -> tuple[int, ...]:
        """Numbers of a factor's (first) identifier, to sort by; empty when it is not there."""
        found = self.factors.get(tf.upper()) or self.factors.get(tf.upper().replace("-", ""), set())
        places = (tuple(int(part) for part in each.split(".")) for each in found)
        return min(places, default=())


@dataclass(frozen=True)
class _Term:
    identifier: str
    name: str
    level: str
    ensembl: tuple[str, ...]


def read_tfclass(
    path: str | os.PathLike[str], symbols: str | os.PathLike[str] | None = None
) -> TFClass:
    """Read TFClass and find the gene symbol of each factor.

    TFClass calls factors by names (``HNF-4alpha (NR2A1)``), not symbols. A name counts for the
    symbol it spells without punctuation and with Greek letters written as one letter
    (``C/EBPbeta`` → CEBPB, ``c-Jun`` → JUN, ``N-Myc`` → MYCN); a synonym counts unless another
    factor bears it. With ``symbols`` the Ensembl identifiers decide instead, which is exact.

    Parameters
    ----------
    path : path
        The OBO file, plain or gzip.
    symbols : path, optional
        Table of Ensembl identifiers and symbols (`read_ensembl_symbols`).

    Raises
    ------
    InputError
        For a missing file, or one without TFClass terms.
    """
    genes = read_ensembl_symbols(symbols) if symbols is not None else {}
    terms = list(_terms(path))
    factors = [term for term in terms if term.level == "Genus"]
    if not factors:
        raise InputError(
            f"{path}: expected TFClass terms ('subset: Genus') in an OBO file, found none"
        )
    titles = {term.identifier: term.name for term in terms}
    return TFClass(os.path.basename(path), _symbols(factors, genes), titles)


def read_ensembl_symbols(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read Ensembl gene identifier → symbol from a table that has both columns.

    Columns ``ensembl`` and ``symbol``, or those of CIS-BP's and Lambert's tables.
    """
    with open_text(path) as handle:
        header = handle.readline().rstrip("\r\n").split("\t")
        names = [name for name in _SYMBOL if name in header]
        genes = [name for name in _ENSEMBL if name in header]
        if not names or not genes:
            raise InputError(
                f"{path}, line 1: expected the columns ensembl and symbol, found "
                f"{shown(', '.join(header[:8]))!r}"
            )
        tf, gene = header.index(names[0]), header.index(genes[0])
        symbols: dict[str, str] = {}
        for number, line in enumerate(handle, start=2):
            row = line.rstrip("\r\n").split("\t")
            if len(row) > max(tf, gene) and row[gene].strip():
                name = symbols.setdefault(row[gene].split(".")[0], row[tf])
                if name != row[tf]:
                    raise InputError(
                        f"{path}, line {number}: {shown(row[gene])} is there twice, as "
                        f"{shown(name)} and {shown(row[tf])}"
                    )
    return symbols


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
                            words[0].split("_")[0]
                            for xref in fields.get("xref", [])
                            if xref.startswith("ENSEMBL:")
                            and (words := xref.removeprefix("ENSEMBL:").split())
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
