"""The family of a TF's DNA-binding domain, by its name: a table that comes with the package."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from cistransfer.errors import InputError
from cistransfer.motifs.names import tf_symbol

__all__ = ["WIDE", "Family", "family_of", "tf_of_file"]

WIDE = frozenset(
    {
        "More than 3 adjacent zinc fingers",
        "Factors with multiple dispersed zinc fingers",
        "Other factors with up to three adjacent zinc fingers",
    }
)
"""Families whose members bind all sorts of motifs: to share one speaks for nothing."""


@dataclass(frozen=True)
class Family:
    """Where a TF belongs.

    Attributes
    ----------
    symbol : str
        The TF that its name was taken for.
    tf_class, family : str
        As JASPAR has them, which takes them from TFClass.
    how : str
        How the name was read, in words; empty for a symbol of the table, whatever its case.
    """

    symbol: str
    tf_class: str
    family: str
    how: str = ""

    @property
    def is_wide(self) -> bool:
        """Whether its members bind motifs of all sorts (`WIDE`)."""
        return self.family in WIDE

    def without_kin(self) -> str:
        """Why the family names no relatives in a matrix, in words."""
        if self.is_wide:
            return f"{self.symbol} is of the family {self.family!r}, whose TFs bind all sorts"
        return f"no other TF there is of the family of {self.symbol} ({self.family})"


@cache
def family_of(tf: str) -> Family | None:
    """Family of a TF; None where the name says nothing.

    The symbol in any case (``Fli1``: orthologs share it), a synonym (``PU.1``), else what all TFs
    of the table with the same stem have in common (``GATA7`` is taken for a GATA factor).
    """
    table = _table()
    symbol, how = tf.upper(), ""
    if symbol not in table:
        try:
            match = tf_symbol(tf, table)
            symbol, how = match.symbol, f"{tf} is {match.line()}"
        except InputError:
            return _by_stem(tf)
    return Family(symbol, *table[symbol], how)


def _by_stem(tf: str) -> Family | None:
    """Where all TFs with the same stem (at least three letters before a digit) belong."""
    match = re.match(r"[A-Z]{3,}(?=\d)", tf.upper())
    if match is None:
        return None
    alike = {row for symbol, row in _table().items() if re.match(rf"{match[0]}\d", symbol)}
    if len(alike) != 1:
        return None
    return Family(tf.upper(), *alike.pop(), f"{tf} is taken for one of the {match[0]} factors")


@cache
def _table() -> dict[str, tuple[str, str]]:
    text = (resources.files("cistransfer.relatives") / "families.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return {symbol: (tf_class, family) for symbol, tf_class, family in rows}


def tf_of_file(path: str | os.PathLike[str]) -> str | None:
    """The TF that a file's name tells: its first word that is the symbol of a TF.

    >>> tf_of_file("lab7/FOXA1_HepG2.narrowPeak"), tf_of_file("peaks.bed")
    ('FOXA1', None)
    """
    for word in re.split(r"[^A-Za-z0-9-]+", Path(path).name):
        family = family_of(word) if len(word) > 2 else None
        if family is not None and family.symbol == word.upper() and not family.how:
            return family.symbol
    return None
