"""Peak and TFBS files as a stream of placed rows with their experiment."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import tarfile
import tempfile
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cistransfer.cpus import ahead
from cistransfer.errors import InputError, nearest, shown
from cistransfer.genome.bed import open_regions
from cistransfer.genome.rows import RowSource
from cistransfer.openness.samples import read_table
from cistransfer.storage import TAR_DAMAGE, open_bytes

__all__ = [
    "Experiment",
    "Piece",
    "Placed",
    "evidence_files",
    "open_evidence",
    "place_rows",
    "read_evidence",
]


_BED = (".bed", ".narrowpeak", ".broadpeak")
_SPILL = 1 << 26


@dataclass(frozen=True)
class Experiment:
    """What a file or a row's name says about its experiment (names as the source writes them)."""

    accession: str
    tf: str
    cell: str


@dataclass(frozen=True)
class Placed:
    """Some rows of one file, placed on chromosomes.

    Attributes
    ----------
    experiments : list of Experiment
        Those that no row of the file before these had.
    experiment : ndarray of int32
        Each row's index into all that the file has had.
    chroms, chrom
        Chromosome names and each row's index into them.
    start, end : ndarray of int64
        The evidence: a peak's summit (1 bp) or a TFBS.
    summits : Counter
        Rows whose summit is ``known``, ``unknown`` or ``outside`` the region (the midpoint stands
        in for these), where the format has one; rows ``clipped`` because they began below 0.
    """

    experiments: list[Experiment]
    experiment: NDArray[np.int32]
    chroms: list[str]
    chrom: NDArray[np.int32]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    summits: Counter[str]


@dataclass(frozen=True)
class Piece:
    """A piece of evidence: that a file begins, or some rows of it.

    Attributes
    ----------
    path, file : int
        Which of the paths that were asked for, and which of all files.
    name : path
        The path.
    label : str
        What to call the file in messages.
    experiment : Experiment or None
        Which one the file is.
    placed : Placed or None
        Rows; None for the first piece of a file.
    """

    path: int
    file: int
    name: str | os.PathLike[str]
    label: str
    experiment: Experiment | None
    placed: Placed | None

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return 1000 + (0 if self.placed is None else 24 * len(self.placed.experiment))


def evidence_files(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """List the files behind evidence arguments (for fingerprints): folders and sheets unfold."""
    files: list[Path] = []
    for path in paths:
        source = Path(path)
        if source.is_dir():
            files += _folder(source)
        elif _is_sheet(source):
            files += [source, *(file for file, _ in _sheet(source))]
        else:
            files.append(source)
    return files


def open_evidence(
    paths: Sequence[str | os.PathLike[str]], kind: str
) -> Iterator[tuple[RowSource, Experiment | None]]:
    """Yield each file of evidence and, where the file is one experiment, which.

    Parameters
    ----------
    paths : sequence of path
        For ``kind="peaks"``: BED files in ReMap's columns (name = ``experiment.TF.cell``),
        folders of such files, or sheets. For ``kind="tfbs"``: tar archives or folders of BED
        files named ``experiment.cell.TF.….bed``, such files, or sheets. A sheet is a ``.tsv``
        with columns file, tf, cell and, optional, accession; files are beside it.
    kind : {"peaks", "tfbs"}

    Notes
    -----
    A source from a tar archive can only be read before the next one is asked for.
    """
    for path in paths:
        source = Path(path)
        if os.fspath(source) != "-" and not source.exists():
            raise InputError(f"{source}: no such file")
        if _is_sheet(source):
            yield from ((RowSource.of(file), experiment) for file, experiment in _sheet(source))
        elif source.is_dir():
            for file in _folder(source):
                yield (
                    RowSource.of(file),
                    _from_name(file.name, str(file)) if kind == "tfbs" else None,
                )
        elif kind == "tfbs" and not source.name.lower().removesuffix(".gz").endswith(_BED):
            yield from _tar(source)
        else:
            yield (
                RowSource.of(source),
                _from_name(source.name, str(source)) if kind == "tfbs" else None,
            )


def read_evidence(
    paths: Sequence[str | os.PathLike[str]], kind: str
) -> Generator[Piece, None, None]:
    """Read all files of evidence, piece by piece.

    Raises
    ------
    InputError
        See `open_evidence` and `place_rows`.
    """
    number = itertools.count()
    for at, path in enumerate(paths):
        for source, experiment in open_evidence([path], kind):
            begun = Piece(at, next(number), path, source.label, experiment, None)
            yield begun
            for placed in place_rows(source, experiment, kind):
                yield replace(begun, placed=placed)


def place_rows(source: RowSource, experiment: Experiment | None, kind: str) -> Iterator[Placed]:
    """Read the rows of one file of evidence, block by block.

    Files are read as every verb reads them (`cistransfer.genome.bed`). A peak stands where its
    summit is, or on its midpoint where that is not known; a TFBS on its region.

    Raises
    ------
    InputError
        For a malformed file or a name that is not ``experiment.TF.cell``.
    """
    names: dict[str, int] = {}
    with open_regions(source) as (rows, form):
        if form is None:
            if experiment is not None:
                return
            raise InputError(f"{source.label}: expected at least one region, found an empty file")
        if experiment is None and form.name is None:
            raise InputError(
                f"{source.label}, line {rows.head.line}: expected names like 'experiment.TF.cell' "
                f"in column 4, found {rows.head.fields} columns"
            )
        texts = [form.chrom] if experiment is not None else [form.chrom, form.name or 0]
        with contextlib.closing(rows.blocks(texts, form.numbers(summit=kind == "peaks"))) as blocks:
            for number, block in enumerate(blocks):
                placed = form.place(block)
                start, end = placed.start, placed.end
                summits = Counter(clipped=placed.clipped)
                if kind == "peaks":
                    start, end = placed.centre, placed.centre + 1
                    if form.summit is not None:
                        unknown = block.rows - placed.known - placed.outside
                        summits.update(known=placed.known, outside=placed.outside, unknown=unknown)
                if experiment is not None:
                    experiments = [experiment] if number == 0 else []
                    code = np.zeros(block.rows, dtype=np.int32)
                else:
                    words, code = block.texts[form.name or 0]
                    fresh = [word for word in words if word not in names]
                    experiments = [_from_peak(word, source) for word in fresh]
                    names.update(zip(fresh, itertools.count(len(names))))
                    code = np.array([names[word] for word in words], dtype=np.int32).take(code)
                yield Placed(experiments, code, *block.texts[form.chrom], start, end, summits)


def _from_peak(name: str, source: RowSource) -> Experiment:
    fields = name.split(".", 2)
    if len(fields) < 3 or not all(fields):
        raise InputError(
            f"{source.label}: expected names like 'experiment.TF.cell' in column 4, found "
            f"{shown(name)!r}"
        )
    return Experiment(*fields)


def _from_name(name: str, label: str) -> Experiment:
    fields = re.sub(r"(\.gz)?$", "", name, count=1).split(".")
    if len(fields) < 4 or not all(fields[:3]) or fields[-1].lower() != "bed":
        raise InputError(
            f"{label}: expected a file name like 'experiment.cell.TF.pwm.bed', found {name!r}"
        )
    return Experiment(fields[0], fields[2], fields[1])


def _folder(folder: Path) -> list[Path]:
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file()
        and not file.name.startswith(".")
        and file.name.lower().removesuffix(".gz").endswith(_BED)
    )
    if not files:
        raise InputError(f"{folder}: expected BED files (*.bed, *.bed.gz), found none")
    return files


def _is_sheet(path: Path) -> bool:
    return path.suffix.lower() == ".tsv"


def _sheet(path: Path) -> list[tuple[Path, Experiment]]:
    known = ("file", "tf", "cell", "accession")
    table = read_table(path, known[:3])
    for name in table.columns:
        if name not in (*known, "line"):
            raise InputError(f"{path}: unknown column {name!r}; {nearest(str(name), known)}")
    found = []
    for row in table.to_dict("records"):
        for column in known[:3]:
            if not row[column]:
                raise InputError(f"{path}, line {row['line']}: expected a {column}, found nothing")
        file = path.parent / str(row["file"])
        if not os.path.isfile(file):
            raise InputError(f"{path}, line {row['line']}: {shown(file, 200)}: no such file")
        tf = re.sub(r"^(3xFLAG-|eGFP-)|-(human|mouse)$", "", str(row["tf"]))
        accession = str(row.get("accession", "")) or file.name.split(".")[0]
        found.append((file, Experiment(accession, tf, str(row["cell"]))))
    return found


def _tar(path: Path) -> Iterator[tuple[RowSource, Experiment]]:
    with ahead(_members(path), drop=lambda member: member[1].close()) as members:
        for name, held in members:
            with held:
                label = f"{path} ({name})"
                yield _held(label, held), _from_name(Path(name).name, label)


def _members(path: Path) -> Generator[tuple[str, Any], None, None]:
    """Yield name and content (in memory, on disk when large) of each BED file of a tar."""
    try:
        with open_bytes(path) as stream:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as archive:
                for member in archive:
                    name = Path(member.name).name
                    bed = name.lower().removesuffix(".gz").endswith(_BED)
                    if member.isfile() and bed and not name.startswith("."):
                        yield member.name, _copied(archive.extractfile(member))
            while stream.read(1 << 20):
                pass
    except TAR_DAMAGE as error:
        raise InputError(
            f"{path}: expected a tar archive of BED files; it is cut short, damaged or something "
            f"else ({shown(error)})"
        ) from error


def _copied(content: Any) -> Any:
    """Copy a stream into memory, or on disk when it is large."""
    held = tempfile.SpooledTemporaryFile(max_size=_SPILL)  # noqa: SIM115
    try:
        shutil.copyfileobj(content, held, 1 << 20)
    except BaseException:
        held.close()
        raise
    return held


def _held(label: str, held: Any) -> RowSource:
    def begin() -> Any:
        held.seek(0)
        zipped = held.read(2) == b"\x1f\x8b"
        held.seek(0)
        stream = pa.PythonFile(_Unclosed(held), mode="r")
        return pa.CompressedInputStream(stream, "gzip") if zipped else stream

    return RowSource(label, begin)


class _Unclosed:
    """A file that stays open when its reader closes it, so that it can be read again."""

    def __init__(self, held: Any) -> None:
        self._held = held
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        return bytes(self._held.read(size))

    def close(self) -> None:
        self.closed = True
