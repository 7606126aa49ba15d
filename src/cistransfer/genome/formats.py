"""Which BED-like format a file has, told by its first rows and never by its name."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest
from cistransfer.genome.intervals import MAX_POSITION, place_summits
from cistransfer.genome.rows import BLANK, UNKNOWN, Head, RowBlock, quoted, whole_number

__all__ = [
    "ROLES",
    "Form",
    "Format",
    "Placement",
    "formats",
    "is_header",
    "parse_columns",
    "recognise",
]

Ints = NDArray[np.int64]

_BED = (
    "chrom", "start", "end", "name", "score", "strand",
    "thickStart", "thickEnd", "itemRgb", "blockCount", "blockSizes", "blockStarts",
)  # fmt: skip
_SIGNALS = ("signalValue", "pValue", "qValue")
_REPLICATE = ("chromStart", "chromEnd", "signalValue", "summit")
_IDR = ("localIDR", "globalIDR", *(f"rep{i}_{name}" for i in (1, 2) for name in _REPLICATE))
_STRANDS = {"+", "-", ".", "", "*", "0", "1"}
_ABSOLUTE = ("column 10 holds positions on the chromosome, not offsets from the start",)
_RGB = re.compile(r"\d{1,3},\d{1,3},\d{1,3},?")
_NUMBERS = re.compile(r"\d+(,\d+)*,?")

# Names of columns in a header, in lower case and without what is not a letter or digit.
ROLES = {
    "chrom": ("chrom", "chr", "chromosome", "seqnames", "seqname", "seqid", "genochrom"),
    "start": ("start", "chromstart", "startposition", "txstart", "genostart", "pos"),
    "end": ("end", "chromend", "stop", "endposition", "txend", "genoend"),
    "summit": ("abssummit", "summit", "peak", "summitposition", "peaksummit"),
    "name": ("name", "peakid", "peakname", "id"),
    "strand": ("strand",),
}


@dataclass(frozen=True)
class Format:
    """A format that can be read: what it is called, its columns, its summit, and an example."""

    name: str
    columns: str
    summit: str
    example: str


def formats() -> tuple[Format, ...]:
    """List the formats that every verb reads; each example is one, summit 1,300 where it has one.

    The files may be plain or compressed, with comment, ``track`` and ``browser`` lines, any line
    ends, and white space, commas or semicolons for tabs.
    """
    row, none = "chr1\t1000\t1500\tp1\t0\t.", "none: the midpoint"
    block = "\t0\t0\t0\t1\t500,\t0,"
    return (
        Format("BED3", "3", none, "chr1\t1000\t1500\n"),
        Format("BED4", "4", none, "chr1\t1000\t1500\tp1\n"),
        Format("bedGraph", "4, the last a number", none, "chr1\t1000\t1500\t7.5\n"),
        Format("BED5", "5", none, "chr1\t1000\t1500\tp1\t0\n"),
        Format("BED6", "6", none, f"{row}\n"),
        Format("BED8", "8", "none: the thick part is no summit", f"{row}\t1100\t1400\n"),
        Format("BED9", "9, the last a colour", "none: the thick part is no summit",
               f"{row}\t1100\t1400\t0,0,0\n"),
        Format("ReMap", "8 or 9", "columns 7 and 8 are one base in every region",
               f"{row}\t1300\t1301\t0,0,0\n"),
        Format("BED12", "12", "none: the thick part is no summit", f"{row}{block}\n"),
        Format("narrowPeak", "10, or more behind them", "column 10, from the start",
               f"{row}\t5.5\t-1\t-1\t300\n"),
        Format("broadPeak", "9, the last three numbers", none, f"{row}\t5.5\t-1\t-1\n"),
        Format("gappedPeak", "15", none, f"{row}{block}\t5.5\t-1\t-1\n"),
        Format("idr", "20", "column 10, from the start",
               f"{row}\t5.5\t-1\t-1\t300\t1.2\t1.5" + "\t1000\t1500\t5.5\t300" * 2 + "\n"),
        Format("idr broad", "17", none,
               f"{row}\t5.5\t-1\t-1\t1.2\t1.5" + "\t1000\t1500\t5.5" * 2 + "\n"),
        Format("MACS xls", "a header; 1-based", "abs_summit (1-based) or summit",
               "# q = 0.05\n\nchr\tstart\tend\tlength\tabs_summit\tpileup\t-log10(pvalue)\t"
               "fold_enrichment\t-log10(qvalue)\tname\n"
               "chr1\t1001\t1500\t500\t1301\t9\t7.1\t4.2\t5.3\tp1\n"),
        Format("HOMER", "name, chrom, start, end, strand; 1-based", none,
               "# HOMER Peaks\n#PeakID\tchr\tstart\tend\tstrand\tNormalized Tag Count\n"
               "p1\tchr1\t1001\t1500\t+\t12.5\n"),
        Format("SAF", "GeneID, Chr, Start, End, Strand; 1-based", none,
               "GeneID\tChr\tStart\tEnd\tStrand\np1\tchr1\t1001\t1500\t.\n"),
        Format("header", "named by a header line", "a column 'summit' or 'peak'",
               "chrom\tstart\tend\tsummit\nchr1\t1000\t1500\t1300\n"),
        Format("columns", "as the argument columns= names them", "as it names it", ""),
    )  # fmt: skip


@dataclass(frozen=True)
class Form:
    """Which columns (0-based) of a file hold what.

    Attributes
    ----------
    format : str
        A name from `formats`.
    summit_from : {"start", "chromosome"}
        What the summit counts from.
    base, summit_base : int
        What the first base of a chromosome, and of what the summit counts from, is called.
    names : tuple of str
        Of all columns.
    notes : tuple of str
        What a person should know of how it was told.
    """

    format: str
    names: tuple[str, ...]
    chrom: int = 0
    start: int = 1
    end: int = 2
    name: int | None = None
    strand: int | None = None
    summit: int | None = None
    summit_from: str = "chromosome"
    base: int = 0
    summit_base: int = 0
    notes: tuple[str, ...] = field(default=())

    def numbers(self, *, summit: bool = True) -> dict[int, str]:
        """The columns of integers and what they are."""
        found = {self.start: " start", self.end: " end"}
        if summit and self.summit is not None:
            found[self.summit] = UNKNOWN
        return found

    def place(self, block: RowBlock) -> Placement:
        """Where the regions of a block are, out of its columns.

        A start below 0 (as SPP writes) becomes 0. The centre is the summit, or the midpoint where
        that is unknown, lies outside the region, or was not read.

        Raises
        ------
        InputError
            For a row that is no region; names the line.
        """
        begin, end = block.numbers[self.start], block.numbers[self.end]
        if self.base:
            begin = begin - self.base
        below = begin < 0
        clipped = int(np.count_nonzero(below))
        bad = (begin >= end) | (end > MAX_POSITION)
        if clipped:
            bad |= below & (end <= 0)
        if bad.any():
            row, where = block.where(bad)
            found = f"found {block.numbers[self.start][row]} and {end[row]}"
            if end[row] > MAX_POSITION:
                raise InputError(f"{where}: no chromosome is that long: {found}")
            if begin[row] < end[row]:
                raise InputError(f"{where}: expected an end behind position 0, {found}")
            rule = "start ≤ end (1-based)" if self.base else "start < end (0-based, half-open)"
            raise InputError(f"{where}: expected {rule}, {found}")
        start = np.maximum(begin, 0) if clipped else begin
        given = block.numbers.get(self.summit) if self.summit is not None else None
        if given is None:
            return Placement(start, end, place_summits(start, end), 0, 0, clipped)
        summit = given - self.summit_base if self.summit_base else given
        if self.summit_from == "start":
            summit = np.where(given < 0, -1, summit + begin)
        known = int(np.count_nonzero((summit >= start) & (summit < end)))
        if known < len(start):
            summit = place_summits(start, end, summit)
        outside = int(np.count_nonzero(given >= 0)) - known
        return Placement(start, end, summit, known, outside, clipped)


@dataclass(frozen=True)
class Placement:
    """Starts, ends and centres of regions (0-based, half-open).

    Attributes
    ----------
    start, end, centre : ndarray of int64
    known, outside : int
        Regions whose summit is their centre, and those whose summit lies outside of them.
    clipped : int
        Regions whose start was below 0.
    """

    start: Ints
    end: Ints
    centre: Ints
    known: int
    outside: int
    clipped: int


def is_header(fields: list[str]) -> bool:
    """Whether the fields of a line are names of columns, among them a start and an end."""
    words = {_word(text) for text in fields}
    return bool(words & {*ROLES["start"]}) and bool(words & {*ROLES["end"]})


def parse_columns(text: str | Mapping[str, str | int] | None) -> dict[str, str]:
    """Read ``"chrom=2,start=3,end=4,summit=abs_summit"``: 1-based numbers or header names.

    Parts are ``chrom``, ``start``, ``end`` (all needed), ``name``, ``strand``, ``summit``
    (on the chromosome) or ``offset`` (from the start), and ``base`` (0, or 1 where the first base
    of a chromosome is 1).
    """
    if text is None or text == {}:
        return {}
    known = ("chrom", "start", "end", "name", "strand", "summit", "offset", "base")
    found: dict[str, str] = {}
    parts = (
        [part.partition("=")[::2] for part in text.split(",") if part.strip()]
        if isinstance(text, str)
        else [(key, str(value)) for key, value in text.items()]
    )
    for key, value in parts:
        key, value = key.strip(), value.strip()
        if key not in known:
            raise InputError(f"columns: no part {quoted(key)}; {nearest(key, known)}")
        if not value:
            raise InputError(
                f"columns: expected {key}=COLUMN (a number from 1, or a name), found nothing"
            )
        if key in found:
            raise InputError(f"columns: {key} is there twice")
        found[key] = value
    lacking = [key for key in known[:3] if key not in found]
    if lacking:
        raise InputError(
            f"columns: expected chrom, start and end, found no {' and no '.join(lacking)}"
        )
    if "summit" in found and "offset" in found:
        raise InputError("columns: name the summit or its offset from the start, not both")
    if found.get("base", "0") not in ("0", "1"):
        raise InputError(f"columns: expected base=0 or base=1, found {quoted(found['base'])}")
    return found


def recognise(head: Head, columns: str | Mapping[str, str | int] | None = None) -> Form:
    """Tell the format of a file by its first rows.

    Parameters
    ----------
    head : Head
        With at least one row.
    columns : str or mapping, optional
        See `parse_columns`; needed where the format is none of `formats`.

    Raises
    ------
    InputError
        Where columns are missing or do not hold what they must.
    """
    given = parse_columns(columns)
    if given:
        return _by_columns(head, given)
    if head.header is not None:
        return _by_header(head, head.header)
    _refuse_others(head)
    if head.fields < 3:
        raise InputError(
            f"{head.label}, line {head.line}: expected at least 3 tab-separated columns (chrom, "
            f"start, end), found {head.fields}: {quoted(_line(head, 0))}"
        )
    if _is_homer(head):
        names = ("PeakID", "chrom", "start", "end", "strand")
        return Form("HOMER", _padded(names, head), 1, 2, 3, 0, 4, base=1)
    return _by_content(head)


_OTHERS = (
    (r"<!?[A-Za-z]", "an HTML page: the download failed"),
    (r"version https://git-lfs", "a pointer of Git LFS: fetch the file itself (git lfs pull)"),
    (r"@(HD|SQ|RG|PG|CO)\t", "a SAM header or an interval list: take the lines without @, and say "
     "that they count from 1 (columns: chrom=1,start=2,end=3,base=1)"),
    (r">", "a FASTA file: regions are chrom, start and end"),
    (r"\S+:[\d,]+-[\d,]+", "places as a genome browser writes them: write chrom, start - 1 and "
     "end into three columns"),
    (r"(fixed|variable)Step\s", "a wiggle track: call regions, or convert it to bedGraph"),
)  # fmt: skip
"""First lines of files that are something else, and what to say of them."""


def _refuse_others(head: Head) -> None:
    """Refuse what is no table of regions by what it is."""
    text = _line(head, 0)
    found = next((what for pattern, what in _OTHERS if re.match(pattern, text)), None)
    if any(line.startswith("##fileformat=VCF") for line in head.comments):
        found = "a VCF: 'cistransfer variants' reads it; regions are chrom, start and end"
    elif head.fields >= 8 and all(
        len(row) >= 8
        and whole_number(row[1]) is None
        and whole_number(row[2]) is None
        and whole_number(row[3]) is not None
        and whole_number(row[4]) is not None
        for row in head.sample
    ):
        found = "GFF or GTF: say which columns hold the places (columns: chrom=1,start=4,end=5,"
        found += "base=1)"
    if found:
        raise InputError(
            f"{head.label}, line {head.line}: expected regions (chrom, start, end), found {found}"
        )


def _by_content(head: Head) -> Form:
    """BED and its kin: chrom, start, end in columns 1 to 3."""
    n, rows = head.fields, _Sample(head, 1, 2)
    notes: tuple[str, ...] = ()
    name = 3 if n > 3 else None
    strand = 5 if n > 5 and all(value in _STRANDS for value in rows.texts(5)) else None
    plain = _BED[:3] + _BED[3:6] if strand else _BED[: min(n, 5)]
    peak = _BED[:6] + _SIGNALS
    signals = n >= 9 and all(rows.numeric(i) for i in (6, 7, 8))
    thick = n >= 8 and _thick(rows)
    blocks = n >= 12 and thick and _blocks(rows)
    if n >= 10 and signals and not blocks:
        kind = rows.summit(9, offset_first=True, strict=n > 10)
        if kind is not None:
            known = (*peak, "peak", *(_IDR if n == 20 else ()))
            return Form(
                "idr" if n == 20 else "narrowPeak", _padded(known, head), name=name,
                strand=strand, summit=9, summit_from=kind,
                notes=_ABSOLUTE if kind == "chromosome" else (),
            )  # fmt: skip
    coloured = n == 9 and rows.match(8, _RGB)
    if n in (8, 9) and rows.one_base(6, 7, share=0.9 if coloured else 1):
        note = "columns 7 and 8 are one base inside each region and taken for its summit"
        return Form(
            "ReMap", _padded(_BED[:9], head), name=name, strand=strand, summit=6,
            notes=() if coloured else (note,),
        )  # fmt: skip
    if n in (8, 9) and rows.one_base(6, 7, share=0.5):
        notes = ("columns 7 and 8 are one base in some regions only and not taken for summits",)
    if n in (9, 17) and signals and not (thick and rows.zero(8)):
        known = (*peak, *(_IDR[:2] if n == 17 else ()))
        what = "broadPeak" if n == 9 else "idr broad"
        return Form(what, _padded(known, head), name=name, strand=strand, notes=notes)
    if blocks:
        known = _BED + (_SIGNALS if n == 15 else ())
        what = "gappedPeak" if n == 15 else "BED12"
        return Form(what, _padded(known, head), name=name, strand=strand)
    if n == 4 and rows.numeric(3) and any("." in value[1:] for value in rows.texts(3)):
        return Form("bedGraph", _padded((*_BED[:3], "value"), head), name=name)
    if thick and strand and n <= 9:
        return Form(f"BED{n}", _padded(_BED[:n], head), name=name, strand=strand, notes=notes)
    count = 6 if strand else min(n, 5)
    what = f"BED{count}" + (f"+{n - count}" if n > count else "")
    return Form(what, _padded(plain, head), name=name, strand=strand, notes=notes)


def _by_header(head: Head, header: list[str]) -> Form:
    """Columns by the names in a header line."""
    # R writes no name over the rows' names
    names = ["row", *header] if len(header) == head.fields - 1 else list(header)
    if len(names) != head.fields:
        raise InputError(
            f"{head.label}, line {head.line}: expected the {len(header)} columns of the header, "
            f"found {head.fields}: {quoted(_line(head, 0))}"
        )
    words = [_word(name) for name in names]
    place: dict[str, int] = {}
    for role, known in ROLES.items():
        at = next((words.index(word) for word in known if word in words), None)
        if at is None and role == "name" and words[0].startswith("peakid"):
            at = 0  # HOMER writes its command behind the name
        if at is not None:
            place[role] = at
    if "chrom" not in place:
        raise InputError(
            f"{head.label}: expected a column chrom, chr or seqnames in the header, found "
            f"{quoted(', '.join(names))}; or say which it is (columns: chrom=…,start=…,end=…)"
        )
    rows = _Sample(head, place["start"], place["end"])
    homer = words[place.get("name", 0)].startswith("peakid")
    macs = "foldenrichment" in words
    width = next((words.index(word) for word in ("width", "length") if word in words), None)
    saf = words[:5] == ["geneid", "chr", "start", "end", "strand"]
    if saf:
        place["name"] = 0
    base = int(homer or macs or saf or words[place["chrom"]] == "seqnames")
    notes: tuple[str, ...] = ()
    if width is not None and not homer:
        for guess in (0, 1):
            if all(e - s + guess == w for s, e, w in rows.triples(width)):
                base = guess
    elif base and not (homer or macs or saf):
        notes = ("a column 'seqnames' as R writes it: starts are taken as 1-based",)
    several = [names[at] for at in place.values() if names.count(names[at]) > 1]
    if several:
        notes += (f"of several columns called {quoted(', '.join(several))} the first counts",)
    form = "HOMER" if homer else "MACS xls" if macs else "SAF" if saf else "header"
    summit = place.get("summit")
    kind: str | None = None
    if summit is not None:
        kind = rows.summit(summit, offset_first=words[summit] == "peak" or "tags" in words)
        if kind is None:
            place.setdefault("name", summit)
            summit = None
    return Form(
        form, tuple(names), place["chrom"], place["start"], place["end"], place.get("name"),
        place.get("strand"), summit, kind or "chromosome", base,
        base if kind == "chromosome" or macs else 0, notes,
    )  # fmt: skip


def _by_columns(head: Head, given: Mapping[str, str]) -> Form:
    header = head.header
    place: dict[str, int] = {}
    for role, value in given.items():
        if role == "base":
            continue
        if value.isdigit():
            place[role] = int(value) - 1
            if not 0 <= place[role] < head.fields:
                raise InputError(
                    f"{head.label}: no column {value} for {role}: the first row has {head.fields}"
                )
        elif header is not None and header.count(value) == 1:
            place[role] = header.index(value) + head.fields - len(header)
        else:
            raise InputError(
                f"{head.label}: no column {quoted(value)} for {role}; "
                + (
                    "the file has no header line"
                    if not header
                    else "several are called so: give its number"
                    if value in header
                    else nearest(value, header)
                )
            )
    base = int(given.get("base", "0"))
    shift = head.fields - len(header) if header else 0
    names = ("row",) * shift + tuple(header) if header else _padded((), head)
    offset = "offset" in place
    return Form(
        "columns", names, place["chrom"], place["start"], place["end"], place.get("name"),
        place.get("strand"), place.get("summit", place.get("offset")),
        "start" if offset else "chromosome", base, 0 if offset else base,
    )  # fmt: skip


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _padded(names: Sequence[str], head: Head) -> tuple[str, ...]:
    """The names of the columns; those without one by their number."""
    return tuple(names[: head.fields]) + tuple(
        f"column_{i}" for i in range(len(names) + 1, head.fields + 1)
    )


def _line(head: Head, row: int) -> str:
    return ("\t" if head.separator == "\t" else head.separator).join(head.sample[row])


def _is_homer(head: Head) -> bool:
    """HOMER's columns without its header: a name before chrom, start, end and strand."""
    return head.fields >= 5 and all(
        len(row) >= 5
        and whole_number(row[1]) is None
        and whole_number(row[2]) is not None
        and whole_number(row[3]) is not None
        and row[4] in ("+", "-", "0", "1", ".")
        for row in head.sample
    )


def _thick(rows: _Sample) -> bool:
    """Whether columns 7 and 8 are positions in the region (or 0, or one and the same)."""
    return all(
        first is not None and last is not None and (start <= first <= last <= end or first == last)
        for start, end, first, last in rows.pairs(6, 7)
    )


def _blocks(rows: _Sample) -> bool:
    return rows.match(10, _NUMBERS) and rows.match(11, _NUMBERS)


class _Sample:
    """Questions about the first rows whose start and end are numbers."""

    def __init__(self, head: Head, start: int, end: int) -> None:
        fields = head.fields
        self._columns = start, end
        self._rows = [row for row in head.sample if len(row) >= fields]
        if not all(_plain_digits([row[column] for row in self._rows]) for column in (start, end)):
            self._rows = [
                row
                for row in self._rows
                if whole_number(row[start]) is not None and whole_number(row[end]) is not None
            ]

    @functools.cached_property
    def _places(self) -> list[tuple[int, int]]:
        start, end = self._columns
        places = [(whole_number(row[start]), whole_number(row[end])) for row in self._rows]
        return [(s, e) for s, e in places if s is not None and e is not None]

    def texts(self, column: int) -> list[str]:
        return [row[column] for row in self._rows]

    def numeric(self, column: int) -> bool:
        values = [value for value in self.texts(column) if value.strip() not in BLANK]
        return bool(self._rows) and all(map(_is_number, values))

    def match(self, column: int, pattern: re.Pattern[str]) -> bool:
        return bool(self._rows) and all(pattern.fullmatch(row[column]) for row in self._rows)

    def zero(self, column: int) -> bool:
        return all(value in ("0", ".", "") for value in self.texts(column))

    def triples(self, column: int) -> list[tuple[int, int, int | None]]:
        return [
            (start, end, whole_number(row[column]))
            for (start, end), row in zip(self._places, self._rows, strict=True)
        ]

    def pairs(self, first: int, last: int) -> list[tuple[int, int, int | None, int | None]]:
        return [
            (start, end, whole_number(row[first]), whole_number(row[last]))
            for (start, end), row in zip(self._places, self._rows, strict=True)
        ]

    def one_base(self, first: int, last: int, *, share: float) -> bool:
        """Whether two columns are [s, s + 1] in the region, in at least this share of the rows."""
        right = [
            s is not None and e is not None and e == s + 1 and start <= s < end
            for start, end, s, e in self.pairs(first, last)
        ]
        return bool(right) and sum(right) >= share * len(right)

    def summit(self, column: int, *, offset_first: bool, strict: bool = True) -> str | None:
        """What a column of summits counts from; None when it cannot be one.

        Strict: most of those that are known lie in their region.
        """
        triples = self.triples(column)
        numbers = sum(value is not None for _, _, value in triples)
        filled = sum(value.strip() not in BLANK for value in self.texts(column))
        if not numbers or 2 * numbers < filled:
            return None
        known = [(s, e, value) for s, e, value in triples if value is not None and value >= 0]
        offset = sum(value < end - start for start, end, value in known)
        placed = sum(start <= value < end for start, end, value in known)
        if strict and 2 * max(offset, placed) < len(known):
            return None
        if offset_first:
            return "chromosome" if 2 * offset < len(known) and placed > offset else "start"
        return "start" if 2 * placed < len(known) and offset > placed else "chromosome"


def _plain_digits(texts: list[str]) -> bool:
    """Whether all are `whole_number`s without a sign, looked at at once."""
    together, lengths = "".join(texts), [len(text) for text in texts]
    return together.isascii() and together.isdigit() and 0 < min(lengths) <= max(lengths) < 19


def _is_number(text: str) -> bool:
    try:
        return text.strip() != "" and float(text) is not None
    except ValueError:
        return False
