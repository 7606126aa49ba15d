"""Motif files: what people have is read, MEME text is written."""

from __future__ import annotations

import functools
import io
import os
import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, overload

import numpy as np

from cistransfer.errors import InputError, nearest, shown
from cistransfer.motifs.formats import KNOWN_FORMATS, Parsed, is_motif_line, parse_motifs
from cistransfer.motifs.pwm import PWM, UNIFORM, from_counts
from cistransfer.storage import TAR_DAMAGE, ZIP_DAMAGE, open_bytes, open_text, write_text

__all__ = ["MotifFacts", "Motifs", "read_jaspar_release", "read_motifs", "write_meme"]

_EXTENSIONS = re.compile(
    r"\.(gz|bz2|xz|zst|zip|tar|tgz|txt|dat|mat|tf|transfac|meme|motifs?|jaspar|p[cfpw]m)$",
    re.IGNORECASE,
)
_MAX_FILES = 100_000  # in a folder or an archive
_MAX_BYTES = 1 << 26  # of all of them together, unpacked
_MAX_LINES = 1 << 22


@dataclass(frozen=True)
class MotifFacts:
    """What was read as motifs, and what was changed or left out.

    Attributes
    ----------
    path : str
        As the caller named it.
    formats : tuple of str
        In the order in which they were met.
    files : int
        Files with motifs: more than one for folders and archives.
    counted : int
        Motifs that came as counts; they became probabilities with ``pseudocount``.
    pseudocount : float
        Always 0: counts are divided by their sum, and what scores mixes in its own.
    background : tuple of four floats or None
        Letter frequencies that a MEME file states. Scanning does not use them by itself.
    notes : tuple of str
        What was changed or left out.
    """

    path: str
    formats: tuple[str, ...]
    motifs: int
    files: int = 1
    counted: int = 0
    pseudocount: float = 0.0
    background: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()

    def said(self) -> str:
        """One line for a person that names the file: ``motifs.meme: 746 motifs (MEME)``."""
        return f"{self.path}: {self.line()}"

    def line(self) -> str:
        """One line for a person: ``746 motifs (MEME)``."""
        said = f"{self.motifs:,} {'motif' if self.motifs == 1 else 'motifs'}"
        said += f" ({', '.join(self.formats)})"
        if self.files > 1:
            said += f" from {self.files:,} files"
        return "; ".join([said, *self.notes])


@dataclass(frozen=True, eq=False, repr=False)
class Motifs(Sequence[PWM]):
    """Motifs in the order of their file, with the facts of reading them."""

    pwms: tuple[PWM, ...]
    facts: MotifFacts

    @overload
    def __getitem__(self, index: int) -> PWM: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[PWM, ...]: ...

    def __getitem__(self, index: int | slice) -> PWM | tuple[PWM, ...]:
        return self.pwms[index]

    def __iter__(self) -> Iterator[PWM]:
        return iter(self.pwms)

    def __len__(self) -> int:
        return len(self.pwms)

    def __repr__(self) -> str:
        return f"Motifs({self.facts.path}: {self.facts.line()})"


def read_motifs(path: str | os.PathLike[str], *, background: Sequence[float] = UNIFORM) -> Motifs:
    """Read motifs from a file, a folder or an archive; what it is, its content tells.

    MEME (versions 3 to 5, the output of ``meme`` and ``streme``, DNA or RNA), JASPAR (with and
    without letters, brackets and header lines), HOMER, HOCOMOCO (counts or log-odds),
    GimmeMotifs, CIS-BP and TRANSFAC, several of them one after another, plain or compressed, from
    a pipe too; folders, zip and tar archives of them. Whose motifs are is read from the tables that
    CIS-BP (``TF_Information.txt``) and GimmeMotifs (``….motif2factors.txt``) put beside them.
    Whether a row is a position or a base is
    told by labels, the format or the sums; 4 × 4 numbers that could be either are refused.

    Probabilities that sum to 1 only within 0.02 (files with two or three decimals) are
    normalised; counts are divided by their sum and ``sites`` is the largest one; log-odds become
    probabilities where they add up to 1.

    Parameters
    ----------
    path : path
        Or ``jaspar``: the newest CORE collection of vertebrates that the installed pyjaspar has;
        ``JASPAR2022`` …: that release.
    background : four floats
        Letter frequencies that log-odds were made with.

    Returns
    -------
    Motifs
        A sequence of `PWM`, with ``facts``.

    Raises
    ------
    InputError
        For a missing, truncated or empty file and for a matrix that is transposed, not
        normalised, of another width than it says, or not numeric; names the line.
    """
    name = os.fspath(path)
    if not os.path.exists(name) and re.fullmatch(r"jaspar(\d{4})?", name, re.IGNORECASE):
        return read_jaspar_release(None if len(name) == 6 else name.upper())
    if os.path.isdir(name):
        return _gathered(path, _of_folder(Path(name)), background)
    with open_bytes(path) as stream:
        head = stream.peek(512)[:512]  # type: ignore[attr-defined]
        if head.startswith(b"PK\x03\x04"):
            return _gathered(path, _of_zip(path, stream), background)
        if head[257:262] == b"ustar":
            return _gathered(path, _of_tar(path, stream), background)
    with open_text(path) as text:
        parsed = parse_motifs(name, _Left(path).lines(text), _stem(name), background)
    beside = Path(os.path.splitext(name)[0] + ".motif2factors.txt")  # where GimmeMotifs has it
    if beside.is_file():
        with open_text(beside) as text:
            _name_tfs(parsed, beside.name, _tfs_of_motifs(list(_Left(beside).lines(text))))
    return Motifs(tuple(parsed.pwms), _facts(path, parsed))


def read_jaspar_release(release: str | None = None) -> Motifs:
    """Read the CORE vertebrate profiles of a JASPAR release that pyjaspar carries (offline).

    Parameters
    ----------
    release : str, optional
        ``JASPAR2014`` to the newest that the installed pyjaspar has, which is the default.

    Returns
    -------
    Motifs
        Latest versions, by identifier; ``name`` is the identifier (``MA0114.5``), ``alt_name`` the
        TF's name, ``sites`` the largest column total. The facts name the release.

    Raises
    ------
    InputError
        When pyjaspar is not installed or has no such release.
    """
    try:
        from pyjaspar import jaspar_releases
    except ImportError as error:
        raise InputError(
            "reading JASPAR releases needs pyjaspar: pip install 'cistransfer[jaspar]'"
        ) from error
    release = release or max(jaspar_releases)
    if release not in jaspar_releases:
        raise InputError(
            f"pyjaspar has no release {release!r}; {nearest(release, jaspar_releases)}"
        )
    pwms = _jaspar(release)
    what = f"{release} CORE vertebrates"
    return Motifs(pwms, MotifFacts(release, (what,), len(pwms), counted=len(pwms)))


@functools.cache
def _jaspar(release: str) -> tuple[PWM, ...]:
    from pyjaspar import jaspardb

    database = jaspardb(release=release)
    try:
        profiles = database.fetch_motifs(collection="CORE", tax_group=["vertebrates"])
    finally:
        database.conn.close()
    pwms = [
        from_counts(
            profile.matrix_id,
            np.array([profile.counts[letter] for letter in "ACGT"]).T,
            alt_name=profile.name,
        )
        for profile in profiles
    ]
    return tuple(sorted(pwms, key=lambda pwm: pwm.name))


def write_meme(
    path: str | os.PathLike[str],
    pwms: Iterable[PWM],
    background: Sequence[float] = UNIFORM,
) -> None:
    """Write motifs as MEME text with alphabet, strands, background and number of sites.

    Probabilities carry six decimals: what `read_motifs` reads back is equal to six decimals, and
    writing that again gives the same file. A motif without ``sites`` is written with MEME's own
    default of 20. Blanks in names become underscores.
    """
    letters = " ".join(
        f"{letter} {share:.5f}" for letter, share in zip("ACGT", background, strict=True)
    )
    parts = [
        "MEME version 4",
        "",
        "ALPHABET= ACGT",
        "",
        "strands: + -",
        "",
        "Background letter frequencies",
        letters,
        "",
    ]
    for pwm in pwms:
        names = " ".join(name for name in map(_one_word, (pwm.name, pwm.alt_name)) if name)
        sites = 20.0 if pwm.sites is None else pwm.sites
        parts += [
            f"MOTIF {names}",
            f"letter-probability matrix: alength= 4 w= {pwm.width} nsites= {sites:.10g} E= 0",
            *(" " + "  ".join(f"{value:.6f}" for value in row) for row in pwm.probabilities),
            "",
        ]
    write_text(path, "\n".join(parts))


def _one_word(name: str) -> str:
    return "_".join(name.split())


def _stem(name: str) -> str:
    """A file's name without the endings of motif files; ``motif`` for a pipe."""
    if name == "-" or re.match(r"/(dev|proc)/", name):
        return "motif"
    stem = Path(name).name
    while (shorter := _EXTENSIONS.sub("", stem)) not in (stem, ""):
        stem = shorter
    return stem


def _facts(
    path: str | os.PathLike[str], parsed: Parsed, files: int = 1, left_out: Sequence[str] = ()
) -> MotifFacts:
    n = len(parsed.pwms)
    notes = [
        what if of == n or "left out" in what else f"{what} ({of:,} motifs)"
        for what, of in parsed.notes.items()
    ]
    if left_out:
        shown = ", ".join(left_out[:3]) + (", …" if len(left_out) > 3 else "")
        notes.append(f"{len(left_out):,} other files left out ({shown})")
    formats, background = tuple(parsed.formats), parsed.background
    return MotifFacts(
        os.fspath(path), formats, n, files, parsed.counted, 0.0, background, tuple(notes)
    )


class _Left:
    """How many letters and lines a file, a folder or an archive of motifs may still have."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path, self._letters, self._lines = path, _MAX_BYTES, _MAX_LINES

    def lines(self, text: IO[str]) -> Iterator[str]:
        """Lines of a text; refuses those beyond."""
        while line := text.readline(self._letters + 1):
            self._letters -= len(line)
            self._lines -= 1
            if self._letters < 0 or self._lines < 0:
                raise InputError(
                    f"{self._path}: expected at most {_MAX_BYTES:,} characters of motifs in "
                    f"{_MAX_LINES:,} lines"
                )
            yield line


def _gathered(
    path: str | os.PathLike[str],
    files: Iterable[tuple[str, io.TextIOWrapper]],
    background: Sequence[float],
) -> Motifs:
    """Motifs of those of many texts that hold some; the others are counted."""
    parsed, n_files, left = Parsed(), 0, _Left(path)
    left_out: list[str] = []
    tables: list[tuple[str, dict[str, list[str]]]] = []
    for name, text in files:
        where = f"{path}/{name}"
        if b"\0" in text.buffer.peek(512)[:512]:  # type: ignore[attr-defined]
            left_out.append(name)  # a picture, a compressed file
            continue
        lines = list(left.lines(text))
        if table := _tfs_of_motifs(lines):
            tables.append((name, table))
            continue
        first = next((line for line in lines if line.strip() and line[0] != "#"), "")
        if not is_motif_line(first) and not any(x.startswith("MEME version") for x in lines):
            left_out.append(name)
            continue
        parsed.add(parse_motifs(where, lines, _stem(name), background))
        n_files += 1
        if n_files + len(left_out) > _MAX_FILES:
            raise InputError(f"{path}: expected at most {_MAX_FILES:,} files")
    if not parsed.pwms:
        raise InputError(
            f"{path}: expected motif files ({KNOWN_FORMATS}), found {len(left_out):,} other files"
        )
    for name, table in tables:
        _name_tfs(parsed, name, table)
    return Motifs(tuple(parsed.pwms), _facts(path, parsed, n_files, left_out))


_NAMED = (("Motif_ID", "TF_Name"), ("Motif", "Factor"))
"""Columns of the tables that say whose motifs are: CIS-BP's, and GimmeMotifs'."""


def _tfs_of_motifs(lines: Sequence[str]) -> dict[str, list[str]]:
    """The TFs of each motif that a table names; empty where the text is no such table."""
    head = lines[0].rstrip("\r\n").split("\t") if lines else []
    columns = next(
        ([head.index(name) for name in pair] for pair in _NAMED if {*pair} <= {*head}), None
    )
    found: dict[str, list[str]] = {}
    for line in lines[1:] if columns else ():
        fields = line.rstrip("\r\n").split("\t")
        if columns and len(fields) > max(columns) and fields[columns[0]] not in ("", "."):
            found.setdefault(fields[columns[0]], []).append(fields[columns[1]].strip())
    return found


def _name_tfs(parsed: Parsed, name: str, table: dict[str, list[str]]) -> None:
    """Give motifs the TFs of a table, those that have none yet; a TF alone is its second name."""
    named = 0
    for i, pwm in enumerate(parsed.pwms):
        tfs = tuple(dict.fromkeys(tf for tf in table.get(pwm.name, ()) if tf))
        if tfs and not pwm.tfs:
            alone = tfs[0] if len(tfs) == 1 else ""
            parsed.pwms[i] = replace(pwm, tfs=tfs, alt_name=pwm.alt_name or alone)
            named += 1
    if named:
        parsed.notes[f"their TFs from {name}"] = named


def _of_folder(folder: Path) -> Iterator[tuple[str, io.TextIOWrapper]]:
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder)
        if not file.is_file() or any(part.startswith(".") for part in inside.parts):
            continue
        with open_bytes(file) as stream:
            yield inside.as_posix(), _as_text(stream)


def _of_zip(
    path: str | os.PathLike[str], stream: IO[bytes]
) -> Iterator[tuple[str, io.TextIOWrapper]]:
    """Members of an archive, read one after another; nothing is written anywhere."""
    try:
        with zipfile.ZipFile(stream) as archive:
            for member in sorted(archive.infolist(), key=lambda each: each.filename):
                if member.is_dir() or _hidden(member.filename):
                    continue
                if member.flag_bits & 1:
                    raise InputError(f"{path}/{member.filename}: the file is encrypted")
                with archive.open(member) as inside:
                    raw = inside.read(_MAX_BYTES + 1)
                yield member.filename, _as_text(io.BytesIO(raw))
    except ZIP_DAMAGE as error:
        said = shown(error)
        raise InputError(f"{path}: the zip file is cut short or damaged ({said})") from error


def _of_tar(
    path: str | os.PathLike[str], stream: IO[bytes]
) -> Iterator[tuple[str, io.TextIOWrapper]]:
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if not member.isfile() or _hidden(member.name):
                    continue
                inside = archive.extractfile(member)
                if inside is not None:
                    yield member.name, _as_text(io.BytesIO(inside.read(_MAX_BYTES + 1)))
    except TAR_DAMAGE as error:
        said = shown(error)
        raise InputError(f"{path}: the tar file is cut short or damaged ({said})") from error


def _hidden(name: str) -> bool:
    return any(re.match(r"\.[^.]|__MACOSX", part) for part in name.split("/"))


def _as_text(stream: Any) -> io.TextIOWrapper:
    buffered = stream if hasattr(stream, "peek") else io.BufferedReader(stream)
    return io.TextIOWrapper(buffered, encoding="utf-8-sig", errors="replace")
