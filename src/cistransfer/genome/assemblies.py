"""Names of chromosomes, assemblies, and whether the inputs of a run speak of the same places.

One chromosome is called ``chr1``, ``1``, ``NC_000001.11`` or ``CM000663.2`` by different people,
and the same name means other places in another assembly. What overlaps, what has a sequence and
what a trunk has seen can only be said of inputs that were reconciled first: `match_names` finds
which name stands for which, `recognise` which assembly chromosome lengths belong to, and `place`
brings a region table to the names of a genome and counts what lies where.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError

__all__ = [
    "Assembly",
    "NameMatch",
    "Placed",
    "assemblies",
    "assembly_called",
    "assembly_of_names",
    "check_assembly_names",
    "check_same_assembly",
    "fitting_assemblies",
    "match_names",
    "place",
    "recognise",
    "words_of_renamed",
]

FEW_PLACED = 0.5
"""Share of rows on the genome below which a person is warned."""

BEYOND = 10_000
"""A caller's peak may run over a chromosome's end by less than this (bp); a row that starts or
ends farther out comes from another assembly."""


@dataclass(frozen=True)
class Assembly:
    """A reference assembly: UCSC name, organism, lengths in bp, and other names of chromosomes."""

    name: str
    organism: str
    sizes: Mapping[str, int] = field(repr=False)
    aliases: Mapping[str, str] = field(repr=False)


@functools.cache
def assemblies() -> Mapping[str, Assembly]:
    """The assemblies that are known by their chromosome lengths, by UCSC name.

    >>> assemblies()["hg38"].sizes["chr21"]
    46709983
    >>> assemblies()["hg38"].aliases["NC_000021.9"]
    'chr21'
    """
    text = files("cistransfer.genome").joinpath("assemblies.tsv").read_text(encoding="ascii")
    rows = csv.DictReader(
        (line for line in text.splitlines() if not line.startswith("#")), delimiter="\t"
    )
    found: dict[str, Assembly] = {}
    for row in rows:
        one = found.setdefault(
            row["assembly"], Assembly(row["assembly"], row["organism"], sizes={}, aliases={})
        )
        one.sizes[row["chrom"]] = int(row["length"])  # type: ignore[index]
        for alias in row["aliases"].split(","):
            if alias:
                one.aliases[alias] = row["chrom"]  # type: ignore[index]
    return found


@functools.cache
def _accessions() -> Mapping[str, tuple[str, frozenset[str]]]:
    """GenBank and RefSeq accession → UCSC name and the assemblies that hold it."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for assembly in assemblies().values():
        for alias, chrom in assembly.aliases.items():
            if re.fullmatch(r"[A-Z]+_?\d{5,}\.\d+", alias):
                held = found.get(alias, (chrom, frozenset()))
                found[alias] = (held[0], held[1] | {assembly.name})
    return found


def recognise(sizes: Mapping[str, int | None]) -> str | None:
    """The assembly that chromosome lengths belong to; None for lengths of no known one.

    Names play no part. A genome is recognised by the chromosomes whose length occurs in one
    assembly: at least one, and more than half of those that have a chromosome's name. The genome
    of part of the chromosomes is recognised, one whose chromosomes were cut short is not.

    Parameters
    ----------
    sizes : mapping of str to int
        Chromosome → length in bp; without a length it is not looked at.

    >>> recognise({"1": 248956422, "2": 242193529})
    'hg38'
    >>> recognise({"chr1": 1000}) is None
    True
    """
    lengths = {
        name: length for name, length in sizes.items() if _key(name) in _main_keys() and length
    }
    if not lengths:
        return None
    score = {}
    for assembly in assemblies().values():
        known = {_key(name): length for name, length in assembly.sizes.items()}
        score[assembly.name] = sum(
            known.get(_key(name)) == length
            for name, length in lengths.items()
            if _key(name) != "M"  # the same in several assemblies
        )
    best = max(score, key=score.__getitem__)
    alone = sum(value == score[best] for value in score.values()) == 1
    judged = sum(_key(name) != "M" for name in lengths)
    return best if alone and 2 * score[best] > judged else None


@functools.cache
def _main_keys() -> frozenset[str]:
    """Keys of the chromosomes (not scaffolds) of all known assemblies."""
    return frozenset(
        _key(name) for one in assemblies().values() for name in one.sizes if "_" not in name
    )


_QUOTED = re.compile(r"""^b?(['"])(.*)\1$""")
_SCAFFOLD = re.compile(r"^chr(?:\w+?)_([A-Za-z]+\d+)v(\d+)(?:_(?:random|alt|fix|hap\d+))?$")
_PREFIX = re.compile(r"^(?:chromosome|chrom|chr)[ _.]?(?=[0-9A-Za-z])", re.IGNORECASE)


@functools.cache
def _key(name: str) -> str:
    """What names of one chromosome have in common.

    Quotes, spaces and the prefix ``chr`` do not count, nor does case behind it; M, MT and Mito are
    one; leading zeros of numbers do not count; accessions stand for their chromosome, UCSC's names
    of scaffolds for their accession.
    """
    text = name.strip()
    quoted = _QUOTED.match(text)
    if quoted:
        text = quoted[2].strip()
    text = _accessions().get(text, (text,))[0]
    scaffold = _SCAFFOLD.match(text)
    if scaffold:
        text = f"{scaffold[1]}.{scaffold[2]}"
        text = _accessions().get(text, (text,))[0]
    text = _PREFIX.sub("", text).upper()
    if text in ("M", "MT", "MITO", "MTDNA", "MITOCHONDRION_GENOME"):
        return "M"
    return text.lstrip("0") or "0" if text.isascii() and text.isdecimal() else text


def assembly_of_names(names: Iterable[str]) -> str | None:
    """The assembly that versioned accessions belong to; None without any, or when they disagree.

    >>> assembly_of_names(["NC_000001.11", "NC_000002.12"])
    'hg38'
    """
    every = [
        _accessions()[name.strip().strip("'\"")][1]
        for name in names
        if name.strip().strip("'\"") in _accessions()
    ]
    common = frozenset.intersection(*every) if every else frozenset()
    return next(iter(common)) if len(common) == 1 else None


_CALLED = {
    "grch38": "hg38", "grch37": "hg19", "b37": "hg19", "hs37d5": "hg19", "t2t-chm13": "hs1",
    "chm13": "hs1", "grcm38": "mm10", "grcm39": "mm39", "bdgp6": "dm6", "wbcel235": "ce11",
    "grcz10": "danRer10", "grcz11": "danRer11", "r64": "sacCer3", "r64-1-1": "sacCer3",
}  # fmt: skip


def assembly_called(name: str | None) -> str | None:
    """The known assembly that a name stands for, as UCSC, GRC or Ensembl write it.

    >>> assembly_called("GRCh38.p14"), assembly_called("hg19"), assembly_called("simulated")
    ('hg38', 'hg19', None)
    """
    known = {each.lower(): each for each in assemblies()} | _CALLED
    text = (name or "").strip().lower()
    return known.get(text) or known.get(re.sub(r"[._ -]?(?:p\d+|v[\d.]+|\d{2})$", "", text))


def check_same_assembly(
    named: str | None, sizes: Mapping[str, int | None], what: str, where: str
) -> None:
    """Refuse what is of another assembly than a genome, where both are known.

    Parameters
    ----------
    named : str or None
        Assembly of ``what``, by any of its names.
    sizes : mapping of str to int or None
        Chromosomes of the genome.
    what, where : str
        What is of ``named``, and the genome's file, for the message.
    """
    mine, theirs = assembly_called(named), recognise(sizes)
    if mine is not None and theirs is not None and mine != theirs:
        raise InputError(
            f"{what} is of {named}, but the chromosomes of {where} have the lengths of {theirs}; "
            f"give the genome of {mine}"
        )


@dataclass(frozen=True)
class NameMatch:
    """Which chromosome of a genome each name of a table stands for.

    Attributes
    ----------
    to : mapping
        Name in the table → name in the genome, for the names that have one.
    unknown : tuple of str
        Names that stand for no chromosome of the genome.
    """

    to: Mapping[str, str]
    unknown: tuple[str, ...]

    @property
    def renamed(self) -> dict[str, str]:
        """The names that are written differently in the two."""
        return {name: known for name, known in self.to.items() if name != known}


def match_names(names: Iterable[str], known: Iterable[str], what: str = "the regions") -> NameMatch:
    """Find which known chromosome each name stands for.

    A name stands for itself where it is known. Else it stands for the one known chromosome with
    which it agrees but for quotes, the prefix ``chr``, case, M for MT, or an accession of GenBank
    or RefSeq.

    Raises
    ------
    InputError
        When a name agrees with several known ones.

    >>> match_names(["1", "X", "scaffold_9"], ["chr1", "chrX"])
    NameMatch(to={'1': 'chr1', 'X': 'chrX'}, unknown=('scaffold_9',))
    """
    exact = set(known)
    by_key: dict[str, list[str]] = {}
    to: dict[str, str] = {}
    unknown = []
    keyed = False
    for name in dict.fromkeys(names):
        if name in exact:
            to[name] = name
            continue
        if not keyed:
            for one in sorted(exact):
                by_key.setdefault(_key(one), []).append(one)
            keyed = True
        fitting = by_key.get(_key(name), [])
        if len(fitting) > 1:  # hg19 has both chrM and chrMT
            closest = {_accessions().get(name, (name,))[0], f"chr{name}", name.removeprefix("chr")}
            fitting = [one for one in fitting if one in closest] or fitting
        if len(fitting) > 1:
            raise InputError(
                f"{what}: chromosome {name!r} may be {' or '.join(map(repr, fitting))}; "
                "rename it in the file"
            )
        if fitting:
            to[name] = fitting[0]
        else:
            unknown.append(name)
    return NameMatch(to, tuple(unknown))


def check_assembly_names(names: Iterable[str], assembly: str | None, what: str, where: str) -> None:
    """Refuse names of chromosomes (versioned accessions) of another assembly than ``assembly``.

    Parameters
    ----------
    assembly : str or None
        Nothing is refused where it is not known.
    what, where : str
        What has the names, and what is of the assembly, for the message.
    """
    every = list(names)
    found = assembly_of_names(every) if assembly else None
    if assembly and found and found != assembly:
        raise InputError(
            f"{what}: the names of chromosomes are those of {found} ({_shown(every)}), but "
            f"{where} is {assembly}; lift the regions over, or give files of one assembly"
        )


def words_of_renamed(renamed: Mapping[str, str]) -> str:
    """Say which names were read as which: ``1 as chr1, 2 as chr2, 3 as chr3, … (24 in all)``."""
    return _shown(f"{name} as {known}" for name, known in renamed.items())


def _shown(names: Iterable[str], n: int = 3) -> str:
    """The first few names, for a message."""
    every = [repr(str(name))[1:-1][:30] for name in dict.fromkeys(names)]
    return ", ".join(every[:n]) + (f", … ({len(every):,} in all)" if len(every) > n else "")


@dataclass(frozen=True)
class Placed:
    """Where the rows of one input lie on a genome.

    Attributes
    ----------
    what : str
        Which input, for a person.
    rows : int
        Rows read.
    placed : int
        Rows wholly on a chromosome of the genome.
    chromosomes : int
        Chromosomes with a placed row.
    unknown : dict
        Name that the genome lacks → number of rows.
    off_end : int
        Rows on a known chromosome that reach over one of its ends.
    renamed : dict
        Name in the input → name in the genome, where they differ.
    warnings : tuple of str
        What a person should look at before trusting the result.
    """

    what: str
    rows: int
    placed: int
    chromosomes: int
    unknown: Mapping[str, int] = field(default_factory=dict)
    off_end: int = 0
    renamed: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def line(self) -> str:
        """One line for a person.

        >>> Placed("peaks", 10, 9, 2, unknown={"chrZ": 1}, renamed={"1": "chr1"}).line()
        "peaks: 10 rows, 9 placed on 2 chromosomes; 1 on chromosomes without sequence (chrZ); names read as the genome's (1 as chr1)"
        """  # noqa: E501
        text = f"{self.what}: {self.rows:,} row{'' if self.rows == 1 else 's'}, "
        text += f"{self.placed:,} placed on "
        text += f"{self.chromosomes:,} chromosome{'' if self.chromosomes == 1 else 's'}"
        if self.unknown:
            lost = sum(self.unknown.values())
            text += f"; {lost:,} on chromosomes without sequence ({_shown(self.unknown)})"
        if self.off_end:
            text += f"; {self.off_end:,} off a chromosome's end"
        if self.renamed:
            text += f"; names read as the genome's ({words_of_renamed(self.renamed)})"
        return text

    def as_dict(self) -> dict[str, Any]:
        """For a record (JSON-ready)."""
        facts = asdict(self)
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in facts.items()
            if value or key in ("rows", "placed")
        }


def place(
    regions: pd.DataFrame,
    sizes: Mapping[str, int | None],
    what: str,
    *,
    genome: str = "the genome",
    assembly: str | None = None,
    needed: bool = True,
) -> tuple[pd.DataFrame, Placed]:
    """Bring a region table to a genome's names of chromosomes and count what lies on it.

    No row is dropped: rows without a place keep their name, so that what reads the sequence says
    why it left them out.

    Parameters
    ----------
    regions : DataFrame
        Region table.
    sizes : mapping of str to int or None
        Chromosomes of the genome with their lengths in bp; None where a length is not known.
    what : str
        Which input it is, for messages: "peaks", "open regions", a file's name.
    genome : str
        Name of the genome's file, for messages.
    assembly : str, optional
        The genome's assembly (`recognise`).
    needed : bool
        Whether an input without a single placed row is refused (a blacklist may have none).

    Returns
    -------
    table : DataFrame
        The regions with the genome's names.

    Raises
    ------
    InputError
        When no row lies on the genome (shows the names of both sides, and which assembly the rows
        would fit), when names say that the rows belong to another assembly, or when one row in
        twenty lies beyond the ends of a known one.
    """
    names, code = _factorize(regions["chrom"])
    check_assembly_names(names, assembly, what, genome)
    match = match_names(names, sizes, what)
    new = np.array([match.to.get(name, name) for name in names], dtype=object)
    number = np.bincount(code, minlength=len(names))
    unknown = {name: int(number[i]) for i, name in enumerate(names) if name not in match.to}
    known = np.array([name in match.to for name in names], dtype=bool)[code]
    no_end = np.iinfo(np.int64).max
    lengths = [sizes.get(one) if i in match.to else 0 for i, one in zip(names, new, strict=True)]
    length = np.array([no_end if one is None else one for one in lengths], dtype=np.int64)[code]
    start, end = regions["start"].to_numpy(np.int64), regions["end"].to_numpy(np.int64)
    placed = known & (start >= 0) & (end <= length)
    table = regions
    if match.renamed:
        table = regions.assign(chrom=new[code])
        table.attrs.update(regions.attrs)
    warnings = []
    far = known & ((start >= length) | (end - BEYOND > length))
    if len(regions) and not placed.any() and needed and not far.any():
        fits = fitting_assemblies(regions) if not unknown else []
        where = (
            f"name {_shown(names)}" if unknown
            else f"run off the ends of their chromosomes, the first off {new[code[0]]} of "
            f"{length[0]:,} bp"
        )  # fmt: skip
        raise InputError(
            f"{what}: none of the {len(regions):,} rows lies on {genome}: the rows {where}; the "
            f"genome has {_shown(sizes)}"
            + (f" ({assembly})" if assembly else "")
            + (f"; the rows fit {' or '.join(fits)}" if fits else "")
        )
    if far.any():
        fits = [name for name in fitting_assemblies(regions) if name != assembly]
        first = int(np.flatnonzero(far)[0])
        message = (
            f"{what}: {int(far.sum()):,} of {len(regions):,} rows lie beyond the ends of their "
            f"chromosomes in {genome}"
            + (f" ({assembly})" if assembly else "")
            + f", the first is {regions['chrom'].iloc[first]}:{start[first]}-{end[first]} where "
            f"{new[code[first]]} has {length[first]:,} bp (another assembly, or part of one?)"
            + (f"; the rows fit {' or '.join(fits)}" if fits else "")
        )
        if (assembly and far.sum() > 0.05 * len(regions)) or (needed and not placed.any()):
            raise InputError(message)
        warnings.append(message)
    if len(regions) and placed.sum() < FEW_PLACED * len(regions) and needed:
        warnings.append(
            f"{what}: only {int(placed.sum()):,} of {len(regions):,} rows lie on {genome}"
            + (f"; it lacks {_shown(unknown)}" if unknown else "")
        )
    return table, Placed(
        what,
        rows=len(regions),
        placed=int(placed.sum()),
        chromosomes=len(set(new[code[placed]].tolist())),
        unknown=unknown,
        off_end=int((known & ~placed).sum()),
        renamed=match.renamed,
        warnings=tuple(warnings),
    )


def fitting_assemblies(regions: pd.DataFrame) -> list[str]:
    """Known assemblies in which every row whose chromosome they have lies on it.

    An assembly is named only when it has all chromosomes of the rows (scaffolds aside).
    """
    furthest = regions.groupby("chrom", sort=False)["end"].max()
    keys = {_key(str(name)): int(end) for name, end in furthest.items()}
    main = {key: end for key, end in keys.items() if key in _main_keys()}
    fits = []
    for assembly in assemblies().values():
        sizes = {_key(name): length for name, length in assembly.sizes.items()}
        if main and all(end <= sizes.get(key, -1) for key, end in main.items()):
            fits.append(assembly.name)
    return fits


def _factorize(column: pd.Series) -> tuple[list[str], NDArray[np.int64]]:
    code, names = pd.factorize(column)
    return [str(name) for name in names], np.asarray(code, dtype=np.int64)
