"""Sequence sources: a genome FASTA, or FASTA files of windows; both give ``uint8`` codes."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.genome.assemblies import match_names
from cistransfer.genome.bed import regions_table
from cistransfer.genome.codes import IUPAC, encode, reverse_complement
from cistransfer.genome.faidx import Faidx, open_faidx
from cistransfer.genome.twobit import TwoBit, is_two_bit
from cistransfer.storage import open_text, whole_file

__all__ = [
    "Genome",
    "Sequences",
    "WindowSequences",
    "open_sequences",
    "place_of",
    "read_fasta",
    "words_of_length",
    "write_fasta",
]

_WINDOW_HEADER = re.compile(
    r"^(?:(?P<label>.*?)::)?(?P<chrom>[^\s:]+):(?P<start>\d{1,12})-(?P<end>\d{1,12})(?!\d)"
    r"(?P<minus>\(-\))?",
    re.MULTILINE,
)
_Place = tuple[str, str, str, str, str]
"""Of a window, as its header has it: label, chrom, start, end, ``(-)`` or nothing."""
_BLOCK = 1 << 24  # characters read at a time
_FASTA_SUFFIXES = (".fa", ".fasta", ".fna", ".fa.gz", ".fasta.gz", ".fna.gz")


class Sequences(Protocol):
    """Where windows get their bases from."""

    @property
    def name(self) -> str:
        """A short name for records (the file's or folder's name)."""

    @property
    def chromosomes(self) -> Mapping[str, int | None]:
        """Chromosomes, with their lengths in bp where these are known."""

    def missing(self, regions: pd.DataFrame) -> NDArray[np.bool_]:
        """Whether each region cannot be fetched (unknown chromosome, off the end, not listed).

        Here and in `fetch` a chromosome goes by any of its names (`match_names`).
        """

    def fetch(self, regions: pd.DataFrame) -> NDArray[np.uint8]:
        """Codes of regions of one width, shape (n, width); `InputError` if one is missing."""


def read_fasta(path: str | os.PathLike[str]) -> Iterator[tuple[str, str]]:
    """Yield ``(header without '>', sequence)`` of each record, plain or gzip, any line width.

    Raises
    ------
    InputError
        When the file does not begin with ``>``, is empty, truncated (gzip), or a record has no
        sequence; names the line.
    """
    for headers, sequences in _many_records(path):
        yield from zip(headers, sequences, strict=True)


def _many_records(path: str | os.PathLike[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Headers and sequences of `read_fasta`, some thousands at a time."""
    found = False
    for line, block in _blocks(path):
        headers, sequences = _plain_records(block)
        if not headers:
            by_line = list(_records_by_line(path, line, block))
            headers, sequences = [header for header, _ in by_line], [text for _, text in by_line]
        if headers:
            found = True
            yield headers, sequences
    if not found:
        raise InputError(f"{path}: expected FASTA records, found an empty file")


def _blocks(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Some whole records at a time, with the number of their first line."""
    line = 1
    parts: list[str] = []
    with open_text(path) as handle:
        while piece := handle.read(_BLOCK):
            if len(piece) == _BLOCK and piece.isspace():
                raise InputError(
                    f"{path}: expected FASTA records, found {_BLOCK:,} blanks in a row"
                )
            last = piece.rfind("\n>") + 1
            if not last and not (piece.startswith(">") and parts and parts[-1].endswith("\n")):
                parts.append(piece)
                continue
            block = "".join([*parts, piece[:last]])
            yield line, block
            line += block.count("\n")
            parts = [piece[last:]]
    yield line, "".join(parts)


def _plain_records(block: str) -> tuple[list[str], list[str]]:
    """Records of a block that has nothing but headers and lines of letters; else none."""
    if not block.startswith(">"):
        return [], []
    text, n_records = block.removesuffix("\n"), block.count("\n>") + 1
    if text.count("\n") == 2 * n_records - 1:  # a line for each sequence
        lines = text.split("\n")
        headers, sequences = [line[1:] for line in lines[::2]], lines[1::2]
    else:
        records = [record.partition("\n") for record in text[1:].split("\n>")]
        headers = [header for header, _, _ in records]
        sequences = [letters.replace("\n", "") for _, _, letters in records]
    letters = "".join(sequences)
    if not all(sequences) or letters.encode("ascii", "replace").translate(None, IUPAC):
        return [], []
    return list(map(str.strip, headers)), sequences


def _records_by_line(
    path: str | os.PathLike[str], first: int, block: str
) -> Iterator[tuple[str, str]]:
    """Records of any block; what is wrong is said with its line."""
    header: str | None = None
    began = 0
    parts: list[str] = []
    for number, line in enumerate(io.StringIO(block), start=first):
        text = line.strip()
        if text.startswith(">"):
            if header is not None:
                yield _record(path, began, header, parts)
            header, began, parts = text[1:], number, []
        elif text:
            if header is None:
                raise InputError(
                    f"{path}, line {number}: expected a FASTA header ('>…'), found {text[:40]!r}"
                )
            if text.encode("ascii", "replace").translate(None, IUPAC):
                raise InputError(
                    f"{path}, line {number}: expected DNA letters (IUPAC), found {text[:40]!r}"
                )
            parts.append(text)
    if header is not None:
        yield _record(path, began, header, parts)


def _record(
    path: str | os.PathLike[str], line: int, header: str, parts: list[str]
) -> tuple[str, str]:
    if not parts:
        raise InputError(f"{path}, line {line}: record {header[:40]!r} has no sequence")
    return header, "".join(parts)


def place_of(header: str) -> tuple[str, int, int, bool] | None:
    """Place that a window's header (without ``>``) names: chrom, start, end, minus strand.

    ``[label::]chrom:start-end``, with ``(-)`` at the end for the reverse complement; None for any
    other header.
    """
    match = _WINDOW_HEADER.match(header)
    if match is None:
        return None
    return match["chrom"], int(match["start"]), int(match["end"]), bool(match["minus"])


def words_of_length(named: int, held: int) -> str:
    """That a record's header names another length than its sequence has, and what helps."""
    text = f"names {named} bp but holds {held}"
    if held == named + 1:
        text += "; starts count from 0 here, and samtools faidx writes them from 1: take 1 off"
    return text


def write_fasta(path: str | os.PathLike[str], records: Mapping[str, str], width: int = 60) -> None:
    """Write ``name → sequence`` as FASTA with lines of ``width`` letters."""
    with whole_file(path) as temporary, open(temporary, "w", encoding="ascii") as handle:
        for name, sequence in records.items():
            handle.write(f">{name}\n")
            for at in range(0, len(sequence), width):
                handle.write(sequence[at : at + width] + "\n")


def open_sequences(path: str | os.PathLike[str]) -> Sequences:
    """Open a genome FASTA, a FASTA of windows, or a folder of FASTA files of windows.

    A FASTA whose first header reads ``[label::]chrom:start-end`` is a file of windows (the form
    that ``bedtools getfasta`` and the published matrices use); anything else is a genome.
    """
    source = Path(path)
    if source.is_dir():
        files = sorted(file for file in source.iterdir() if file.name.endswith(_FASTA_SUFFIXES))
        if not files:
            raise InputError(f"{source}: expected FASTA files (*.fa, *.fa.gz), found none")
        return WindowSequences(files, name=source.name)
    if is_two_bit(source):
        return Genome(source)
    with open_text(source) as handle:
        first = next((line for line in handle if line.strip()), "")
    if not first.startswith(">"):
        raise InputError(
            f"{source}, line 1: expected a FASTA header ('>…'), found {first.strip()[:40]!r}"
        )
    if _WINDOW_HEADER.match(first[1:]):
        return WindowSequences([source], name=source.name)
    return Genome(source)


class Genome:
    """A genome with random access: a FASTA (see `cistransfer.genome.faidx`) or a 2bit file.

    Parameters
    ----------
    path : path
        FASTA, plain or compressed, from a file or a pipe; or 2bit.

    Attributes
    ----------
    sizes : dict of str → int
        Length of each chromosome, in the file's order.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            raise InputError(f"{path}: expected a FASTA file, found a folder")
        self._source: Faidx | TwoBit = (
            TwoBit(self.path) if is_two_bit(self.path) else open_faidx(self.path)
        )
        self.sizes: dict[str, int] = {
            name: record.length for name, record in self._source.records.items()
        }

    def __repr__(self) -> str:
        total = sum(self.sizes.values())
        return f"<Genome {self.name}: {len(self.sizes):,} chromosomes, {total:,} bp>"

    @property
    def uracils(self) -> int:
        """Letters U, as RNA is written, among what was fetched: they are read as T."""
        return self._source.uracils

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def chromosomes(self) -> Mapping[str, int | None]:
        """Chromosomes with their lengths in bp."""
        return dict(self.sizes)

    def missing(self, regions: pd.DataFrame) -> NDArray[np.bool_]:
        """Whether each region lies on an unknown chromosome or off its ends."""
        size = (
            _named(regions["chrom"], self.sizes, self.name)
            .map(self.sizes)
            .fillna(-1)
            .to_numpy(np.int64)
        )
        return (regions["start"].to_numpy() < 0) | (regions["end"].to_numpy() > size)

    def fetch(self, regions: pd.DataFrame) -> NDArray[np.uint8]:
        """Codes of regions of one width.

        Returns
        -------
        ndarray of uint8, shape (n, width)

        Raises
        ------
        InputError
            For an unknown chromosome or a region off a chromosome's end; names the region.
        """
        width = _one_width(regions)
        chroms = _named(regions["chrom"], self.sizes, self.name).to_numpy()
        starts = regions["start"].to_numpy(np.int64)
        bad = np.flatnonzero(self.missing(regions))
        if len(bad):
            row = int(bad[0])
            chrom, start = chroms[row], int(starts[row])
            if chrom not in self.sizes:
                raise InputError(
                    f"{self.path}: no chromosome {chrom!r}; {nearest(str(chrom), self.sizes)}"
                )
            raise InputError(
                f"{self.path}: region {chrom}:{start}-{start + width} runs off {chrom}, "
                f"which is {self.sizes[chrom]:,} bp long"
            )
        codes = np.empty((len(regions), width), dtype=np.uint8)
        for row in np.lexsort((starts, chroms)):
            start = int(starts[row])
            codes[row] = self._source.fetch(str(chroms[row]), start, start + width)
        return codes


class WindowSequences:
    """FASTA files that hold the sequence of each window, ``>[label::]chrom:start-end``.

    A header that ends in ``(-)`` (``bedtools getfasta -s``) holds the reverse complement. A
    request is answered by a stored window with the same centre that is at least as wide.
    """

    def __init__(self, paths: list[Path], name: str) -> None:
        chroms: list[str] = []
        labels: list[str] = []
        spans: list[NDArray[np.int64]] = []
        turned: list[bool] = []
        parts: list[NDArray[np.uint8]] = []
        for path in paths:
            for headers, sequences in _many_records(path):
                places, span = _places(path, headers, sequences)
                labels += [place[0] for place in places]
                chroms += [place[1] for place in places]
                spans.append(span)
                turned += [bool(place[4]) for place in places]
                parts.append(encode("".join(sequences)))
        begins, ends = np.concatenate(spans, axis=1)
        self._name = name
        self.regions = regions_table(chroms, begins, ends, name=labels)
        self._codes = np.concatenate(parts)
        self._begins = np.concatenate([[0], np.cumsum(self._widths())])
        for row in np.flatnonzero(turned):
            window = slice(self._begins[row], self._begins[row + 1])
            self._codes[window] = reverse_complement(self._codes[window])
        self._chromosomes: dict[str, int | None] = dict.fromkeys(chroms)
        self._refuse_contradictions()
        self._index = self._widest()

    def _widths(self) -> NDArray[np.int64]:
        return (self.regions["end"] - self.regions["start"]).to_numpy(np.int64)

    def _refuse_contradictions(self) -> None:
        places = self.regions[["chrom", "start", "end"]]
        again = np.flatnonzero(places.duplicated(keep=False))
        first: dict[tuple[str, int, int], bytes] = {}
        for row, place in zip(again, places.iloc[again].itertuples(index=False), strict=True):
            chrom, start, end = place
            bases = self._codes[self._begins[row] : self._begins[row + 1]].tobytes()
            if first.setdefault((chrom, start, end), bases) != bases:
                raise InputError(
                    f"{self._name}: the window {chrom}:{start}-{end} is there twice, with other "
                    "bases"
                )

    def _widest(self) -> pd.Series:
        """Row of the widest window (the first of these) at each chromosome and twice the centre."""
        table = pd.DataFrame(
            {
                "chrom": self.regions["chrom"],
                "centre": self.regions["start"] + self.regions["end"],
                "width": self._widths(),
            }
        )
        table = table.sort_values("width", ascending=False, kind="stable")
        table = table.drop_duplicates(["chrom", "centre"])
        return pd.Series(table.index, index=pd.MultiIndex.from_frame(table[["chrom", "centre"]]))

    def __repr__(self) -> str:
        return f"<WindowSequences {self.name}: {len(self.regions):,} windows>"

    @property
    def name(self) -> str:
        """The file's or folder's name."""
        return self._name

    @property
    def chromosomes(self) -> Mapping[str, int | None]:
        """Chromosomes of the windows; their lengths are not known."""
        return self._chromosomes

    def _find(self, regions: pd.DataFrame) -> NDArray[np.int64]:
        """Row of the window that holds each region, −1 where there is none."""
        keys = pd.MultiIndex.from_arrays(
            [
                _named(regions["chrom"], self.chromosomes, self._name).to_numpy(),
                (regions["start"] + regions["end"]).to_numpy(),
            ]
        )
        at = self._index.index.get_indexer(keys)
        rows = self._index.to_numpy()[at]
        held = self._widths()[rows]
        wide = held >= (regions["end"] - regions["start"]).to_numpy()
        return np.where((at >= 0) & wide, rows, -1)

    def missing(self, regions: pd.DataFrame) -> NDArray[np.bool_]:
        """Whether each region is not among the windows of the files."""
        return self._find(regions) < 0

    def fetch(self, regions: pd.DataFrame) -> NDArray[np.uint8]:
        """Codes of regions of one width, shape (n, width); `InputError` if one is missing."""
        width = _one_width(regions)
        found = self._find(regions)
        if (found < 0).any():
            row = int(np.flatnonzero(found < 0)[0])
            chrom, start, end = regions[["chrom", "start", "end"]].iloc[row]
            raise InputError(
                f"{self._name}: no sequence for {chrom}:{start}-{end} among the "
                f"{len(self.regions):,} windows of the FASTA files "
                f"({int((found < 0).sum()):,} of {len(found):,} regions are missing)"
            )
        if not len(found):
            return np.empty((0, width), dtype=np.uint8)
        left = self._begins[found] + (self._widths()[found] - width) // 2
        return np.lib.stride_tricks.sliding_window_view(self._codes, width)[left]


def _places(
    path: Path, headers: list[str], sequences: list[str]
) -> tuple[list[_Place], NDArray[np.int64]]:
    """What the headers of windows say; and starts and ends as numbers, shape (2, n)."""
    places: list[_Place] = _WINDOW_HEADER.findall("\n".join(headers))
    span = np.array(
        [
            np.fromiter(map(int, column), np.int64)
            for column in ([place[2] for place in places], [place[3] for place in places])
        ]
    )
    held = np.fromiter(map(len, sequences), np.int64)
    if len(places) == len(headers) and (span[1] - span[0] == held).all():
        return places, span
    for header, sequence in zip(headers, sequences, strict=True):
        place = place_of(header)
        if place is None:
            raise InputError(
                f"{path}: expected headers like '>name::chrom:start-end', "
                f"found '>{header[:60]}'; a folder or several files hold windows, a genome "
                "is one file (put its chromosomes into one: cat FOLDER/*.fa > genome.fa)"
            )
        _, start, end, _ = place
        if len(sequence) != end - start:
            raise InputError(
                f"{path}: record '>{header[:60]}' " + words_of_length(end - start, len(sequence))
            )
    return places, span


def _named(chroms: pd.Series, known: Iterable[str], where: str) -> pd.Series:
    """Chromosomes by the names that the sequences have for them (``1`` as ``chr1``)."""
    match = match_names(pd.unique(chroms), known, where)
    return chroms.replace(match.renamed) if match.renamed else chroms


def _one_width(regions: pd.DataFrame) -> int:
    widths = (regions["end"] - regions["start"]).unique()
    if len(widths) > 1:
        raise ValueError(f"regions must have one width, found {len(widths)} different ones")
    return int(widths[0]) if len(widths) else 0
