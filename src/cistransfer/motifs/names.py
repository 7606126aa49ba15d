"""Whose motif it is, and which of the known TFs a name means.

A TF is called by its symbol in another case (``Hnf4a``), with hyphens and Greek letters
(``HNF-4alpha``), by a synonym (``PU.1``), by UniProt's entry name (``P53_HUMAN``) or by a
database's identifier. All of them are brought to the symbol, and what was taken for what is said.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from cistransfer.errors import InputError, nearest
from cistransfer.motifs.files import MotifFacts, Motifs, read_motifs
from cistransfer.motifs.pwm import PWM

__all__ = ["GivenMotifs", "Match", "given_motifs", "motif_tfs", "motifs_of", "tf_symbol"]

MAX_GIVEN = 3
"""Motifs of a TF that a strategy is given at most."""

_PREFIX = re.compile(r"^[A-Z]{2}\d{4}\.\d+[._ ](?=.)")
_SUFFIX = re.compile(
    r"(\(.*|_(HUMAN|MOUSE)\b.*|\.H1\d.*|_(primary|secondary)|_(full|e?DBD)[_\d.]*|_(f\d|si|do))$",
    re.IGNORECASE,
)
_UNIPROT = re.compile(r"^([A-Z0-9]+)_(HUMAN|MOUSE)\b", re.IGNORECASE)
_SHORTENED = (
    ("HX", "HOX"), ("PO", "POU"), ("PRD", "PRDM"), ("ZBT", "ZBTB"), ("ZN", "ZNF"),
    ("NDF", "NEUROD"), ("ZKSC", "ZKSCAN"), ("ZSC", "ZSCAN"), ("NFAC", "NFATC"),
    ("BHE", "BHLHE"), ("BHA", "BHLHA"),
)  # fmt: skip
_TRANSFAC = re.compile(r"^[VINPF]\$(.+?)(_[CQ]?\d+)*$")
_CISBP = re.compile(r"^\(([^()]+)\)_\(")
_HOMER = {  # what the cells were assayed for, where the name is an element's or two names
    "TCF3(HMG)": "TCF7L1", "TCF4(HMG)": "TCF7L2", "REST-NRSF(": "REST", "NFKB-P65(": "RELA",
    "NFKB-P65-REL(": "RELA", "NFKB-P50,P52(": "NFKB1 NFKB2", "ERE(": "ESR1", "ARE(": "AR",
    "AR-HALFSITE(": "AR", "GRE(": "NR3C1", "PR(": "PGR", "PPARE(": "PPARG", "LXRE(": "NR1H2",
    "JUN-AP1(": "JUN", "C-JUN-CRE(": "JUN", "ZNF143|STAF(": "ZNF143", "RUNX-AML(": "RUNX1",
    "STAT3+IL21(": "STAT3", "PIT1+1BP(": "POU1F1",
}  # fmt: skip
_TAG = re.compile(r"^(?:[cv]-(?=[A-Za-z])|(?:e?gfp|(?:3x)?flag)-)", re.IGNORECASE)
_GREEK = {
    "ALPHA": "A", "BETA": "B", "GAMMA": "G", "DELTA": "D", "EPSILON": "E", "KAPPA": "K",
    "Α": "A", "Β": "B", "Γ": "G", "Δ": "D", "Ε": "E", "Κ": "K",
}  # fmt: skip

Source = Sequence[PWM] | str | os.PathLike[str]


@dataclass(frozen=True)
class Match:
    """What a TF's name was taken for.

    Attributes
    ----------
    asked : str
        As the caller wrote it.
    symbol : str
        The best of the known names.
    names : tuple of str
        All known names of this TF, the best first.
    how : {"as written", "regardless of case", "spelled otherwise", "synonym"}
    """

    asked: str
    symbol: str
    names: tuple[str, ...]
    how: str

    def line(self) -> str:
        """One line for a person: ``SPI1 (synonym of PU.1)``."""
        said = {"as written": "", "synonym": f" (synonym of {self.asked})"}
        return self.symbol + said.get(self.how, f" ({self.asked} {self.how})")


@dataclass(frozen=True)
class GivenMotifs:
    """The motifs that a strategy is given for a TF.

    Attributes
    ----------
    match : Match or None
        None for a single motif, which is taken whatever it is called.
    facts : MotifFacts or None
        Of the file, where they came from one.
    """

    tf: str
    pwms: tuple[PWM, ...]
    match: Match | None = None
    facts: MotifFacts | None = None

    def lines(self) -> list[str]:
        """What was read, where that was a file, and what was taken."""
        return [*([] if self.facts is None else [self.facts.said()]), self.line()]

    def line(self) -> str:
        """One line for a person: ``motifs of PU.1: MA0080.5 SPI1 (synonym of PU.1)``."""
        names = ", ".join(f"{pwm.name} {pwm.alt_name}".strip() for pwm in self.pwms)
        how = "" if self.match is None else self.match.line().removeprefix(self.match.symbol)
        return f"{'motif' if len(self.pwms) == 1 else 'motifs'} of {self.tf}: {names}{how}"


def tf_symbol(name: str, known: Iterable[str]) -> Match:
    """Which of the known TFs a name means.

    As written; else regardless of case (``Hnf4a`` and ``HNF4A``: orthologs of mammals share their
    symbols but for case); else without punctuation and with Greek letters as one letter
    (``HNF-4alpha``, ``c-Myc``, ``eGFP-FOXA1``); else by synonyms (a small table of HGNC's symbols
    and aliases and of UniProt's entry names; a name that is itself a TF's symbol is never a synonym
    of another).

    Raises
    ------
    InputError
        When nothing known is meant (names the nearest), or when two known names are meant alike.
    """
    known = list(dict.fromkeys(known))
    ways = _ways(name, known)
    if not ways:
        raise InputError(f"no TF {name!r} among the {len(known):,}; {nearest(name, known)}")
    how, names = ways[0]
    if len(names) > 1:
        raise InputError(f"{name!r} may be {' or '.join(names)} ({how}); name one of them")
    return Match(name, names[0], tuple(each for _, names in ways for each in names), how)


def motif_tfs(pwm: PWM) -> tuple[str, ...]:
    """Upper-case names of the TFs that a motif belongs to.

    What a table beside the motifs says (``tfs``); else reads JASPAR's names
    (``FOSL2::JUND(var.2)``, or ``MA0004.1.Arnt`` as in its MEME files; both partners of a
    heterodimer count), HOCOMOCO's (``P53_HUMAN.H11MO.0.A``, ``HNF4A.H12CORE.0.P.B``), HOMER's
    (``Oct4:Sox17(POU,Homeobox,HMG)/…``, ``ERE(NR),IR3/…``), TRANSFAC's (``V$HNF4ALPHA_Q6``) and
    those of the MEME Suite's files (``(Tfap2b)_(Mus_musculus)_(DBD_1.00)``, ``Ar_DBD_1``) from
    ``alt_name``, or ``name`` where there is none.
    """
    if pwm.tfs:
        return tuple(dict.fromkeys(tf.upper() for tf in pwm.tfs))
    for start, tfs in _HOMER.items():
        if pwm.name.upper().startswith(start):
            return tuple(tfs.split())
    name = _PREFIX.sub("", pwm.label)
    for pattern in (_CISBP, _TRANSFAC):
        if match := pattern.match(name):
            name = match[1]
    if match := _UNIPROT.match(name):
        return (_of_uniprot(match[1].upper()),)
    parts = re.split("::?", _SUFFIX.sub("", name))
    return tuple(dict.fromkeys(part.strip().upper() for part in parts if part.strip()))


def _of_uniprot(entry: str) -> str:
    """Symbol of UniProt's entry name, five letters at most: ``PO5F1``, ``ZN143``."""
    for short, long in _SHORTENED:
        if re.match(rf"{short}[A-D]?\d", entry) and len(entry) <= 5:
            return long + entry.removeprefix(short)
    return _synonyms().get(entry, entry)


def motifs_of(tf: str, motifs: Source) -> list[PWM]:
    """Motifs of a TF, its own before those of its heterodimers, else in the given order.

    Parameters
    ----------
    tf : str
        See `tf_symbol` for what is understood.
    motifs : sequence of PWM, or path
        Or ``"jaspar"`` (see `read_motifs`).

    Raises
    ------
    InputError
        When no motif is the TF's (names the nearest).
    """
    return _of(tf, _read(motifs))[0]


def given_motifs(tf: str, motifs: Source) -> GivenMotifs:
    """Motifs that a strategy is given for a TF: its first three; a single one whatever its name.

    The only place that decides it, for the command line, the baselines and the benchmarks.

    Parameters
    ----------
    tf, motifs
        See `motifs_of`.
    """
    pwms = _read(motifs)
    facts = pwms.facts if isinstance(pwms, Motifs) else None
    if len(pwms) == 1:
        return GivenMotifs(tf, tuple(pwms), None, facts)
    found, match = _of(tf, pwms)
    return GivenMotifs(tf, tuple(found[:MAX_GIVEN]), match, facts)


def plain_letters(name: str) -> str:
    """Upper-case letters and digits of a name, Greek letters as one letter: HNF4A, CEBPB."""
    upper = name.upper()
    for letter, latin in _GREEK.items():
        upper = upper.replace(letter, latin)
    return re.sub(r"[^A-Z0-9]", "", upper)


def _read(motifs: Source) -> Sequence[PWM]:
    return read_motifs(motifs) if isinstance(motifs, str | os.PathLike) else motifs


def _of(tf: str, pwms: Sequence[PWM]) -> tuple[list[PWM], Match]:
    tfs = [motif_tfs(pwm) for pwm in pwms]
    known = list(dict.fromkeys(name for names in tfs for name in names))
    ways = _ways(tf.upper(), known)
    if not ways:
        raise InputError(f"no motif of {tf!r} among the {len(pwms):,}; {nearest(tf, known)}")
    meant = tuple(name for _, names in ways for name in names)
    match = Match(tf, meant[0], meant, ways[0][0])
    found = [
        (len(names), pwm) for names, pwm in zip(tfs, pwms, strict=True) if set(meant) & set(names)
    ]
    return [pwm for _, pwm in sorted(found, key=lambda item: item[0])], match


def _ways(name: str, known: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Known names that may be meant, by how they are, the surest first."""
    ways = (
        ("as written", lambda other: other == name),
        ("regardless of case", lambda other: other.upper() == name.upper()),
        ("spelled otherwise", lambda other: _key(other) == _key(name)),
        ("synonym", lambda other: _canonical(other) == _canonical(name)),
    )
    found: list[tuple[str, list[str]]] = []
    left = list(known)
    for how, means in ways:
        names = [other for other in left if means(other)]
        if names:
            found.append((how, names))
            left = [other for other in left if other not in names]
    return found


@cache
def _key(name: str) -> str:
    return plain_letters(_TAG.sub("", name.strip()))


@cache
def _canonical(name: str) -> str:
    return _synonyms().get(_key(name), _key(name))


@cache
def _synonyms() -> dict[str, str]:
    """Key of a synonym → key of the symbol, from ``synonyms.tsv``."""
    table = (resources.files("cistransfer.motifs") / "synonyms.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines() if line and not line.startswith("#"))
    return {_key(name): symbol.upper() for symbol, names in rows for name in names.split()}
