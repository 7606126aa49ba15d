"""Motif formats, told by content: text becomes PWMs, or an error that names the line.

MEME and TRANSFAC say which letter a column is; HOMER, HOCOMOCO, GimmeMotifs and CIS-BP write one
position per row; JASPAR writes one base per row. What is neither labelled nor told by its shape
(4 × 4 numbers) is told by its sums or by the other motifs of its file, or refused: nothing is
turned round by guess.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cistransfer.errors import InputError, shown
from cistransfer.motifs.pwm import PWM, UNIFORM, from_counts

__all__ = ["KNOWN_FORMATS", "Parsed", "is_motif_line", "parse_motifs"]

KNOWN_FORMATS = "MEME, JASPAR, HOMER, HOCOMOCO, GimmeMotifs, CIS-BP or TRANSFAC"

Floats = NDArray[np.float64]
Line = tuple[int, str]

_ATTRIBUTE = re.compile(r"(\w+)=\s*([^\s=]*)(?=\s|$)")
_ROUNDING = 0.02
_EXACT = 1e-5
_HUGE = 1e15
_MAX_ODDS = 100.0
_ODDS = (("e", np.exp), ("2", np.exp2))
_DNA = {"ACGT", "ACGTN"}
_RNA = {"ACGU", "ACGUN"}
_MEME = re.compile(
    r"MEME version|ALPHABET\b|MOTIF(\s|$)|(letter-probability|log-odds) matrix|strands:|"
    r"Background letter frequencies|\*{20}"
)
_COLUMNS = re.compile(r"(?:P[O0]|Pos|Position)?\s*A\s+C\s+G\s+[TU]", re.IGNORECASE)
_CISBP = re.compile(r"(TF|TF Name|Gene|Motif|Family|Species)\t[^\t]*$")
_TRANSFAC = re.compile(r"(AC|ID|NA|DE|VV|XX|P0|PO)(\s|$)|//$")
_BASES = re.compile(r"([ACGTUacgtu])\s*[:|]?\s*\[?\s*([^\[\]]*?)\s*\]?")
_IUPAC = re.compile(r"[ACGTRYSWKMBDHVN]+", re.IGNORECASE)
_HOCOMOCO = re.compile(r"\.H1\d(MO|DI|CORE|RSNP|INVIVO|INVITRO)\.")
_JASPAR_ID = re.compile(r"[A-Z]{2}\d{4}\.\d+")
_FOUND_DE_NOVO = re.compile(r"(\d+-[ACGTRYSWKMBDHVN]+)(,|$)")


@dataclass
class Parsed:
    """Motifs of a text, and what was said while they were read.

    Attributes
    ----------
    formats : list of str
        In the order in which they were met.
    counted : int
        Motifs that came as counts.
    background : tuple of four floats or None
        Letter frequencies of the first MEME file that has some.
    notes : Counter of str
        What was changed or left out, with the number of motifs.
    """

    pwms: list[PWM] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    counted: int = 0
    background: tuple[float, ...] | None = None
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, other: Parsed) -> None:
        """Append what another text held."""
        self.pwms += other.pwms
        self.formats += [name for name in other.formats if name not in self.formats]
        self.counted += other.counted
        self.background = self.background or other.background
        self.notes.update(other.notes)


def is_motif_line(line: str) -> bool:
    """Whether a file that begins with this line (comments aside) may hold motifs."""
    return _kind(line.strip()) is not None


def parse_motifs(
    where: str, lines: Iterable[str], stem: str, background: Sequence[float] = UNIFORM
) -> Parsed:
    """Read the motifs of a text, of whatever formats, one after another.

    Parameters
    ----------
    where : str
        What errors call the text.
    lines : iterable of str
        All of it; blank lines and those that begin with ``#`` say nothing.
    stem : str
        Name of a motif whose format has none.
    background : four floats
        Letter frequencies that log-odds were made with.

    Raises
    ------
    InputError
        Names the line, what was expected and what was found.
    """
    stripped = ((number, line.strip()) for number, line in enumerate(lines, start=1))
    text = _Text(where, [(n, line) for n, line in stripped if line and not line.startswith("#")])
    if not text.lines:
        raise InputError(f"{where}: expected motifs ({KNOWN_FORMATS}), found an empty file")
    parsed = Parsed()
    blocks: list[_Block | PWM] = []
    while text.more():
        number, line = text.lines[text.i]
        kind = _kind(line)
        if kind is None and not blocks and any(_MEME.match(each) for _, each in text.lines):
            kind = "meme"  # what `meme` and `streme` print begins with their own words
        if kind is None:
            raise text.error(number, f"expected motifs ({KNOWN_FORMATS}), found {line[:60]!r}")
        {
            "meme": _read_meme,
            "transfac": _read_transfac,
            "cisbp": _read_cisbp,
            ">": _read_rows,
            "rows": _read_rows,
        }[kind](text, blocks, parsed)
    unnamed = Counter[str]()
    orientations = {block.by for block in blocks if isinstance(block, _Block)} - {None}
    for block in blocks:
        if isinstance(block, _Block):
            if not block.name:
                unnamed[stem] += 1
                block.name = stem if unnamed[stem] == 1 else f"{stem}-{unnamed[stem]}"
            if block.by is None and len(orientations) == 1:
                block.by = next(iter(orientations))
            parsed.pwms.append(_to_pwm(block, text, parsed, background))
        else:
            parsed.pwms.append(block)
    if not parsed.pwms:
        raise InputError(f"{where}: expected motifs, found none ({_none_found(parsed)})")
    return parsed


class _Text:
    """Lines that say something, read from the front."""

    def __init__(self, where: str, lines: list[Line]) -> None:
        self.where, self.lines, self.i = where, lines, 0

    def more(self) -> bool:
        return self.i < len(self.lines)

    def take(self) -> Line:
        self.i += 1
        return self.lines[self.i - 1]

    def error(self, number: int, message: str) -> InputError:
        return InputError(f"{self.where}, line {number}: {message}")


@dataclass
class _Block:
    """A matrix as it stands in the file."""

    number: int
    name: str
    alt_name: str
    format: str
    lines: list[int]
    matrix: Floats
    by: str | None = "position"  # what a row is: "position", "base", or not told
    threshold: float | None = None


def _kind(line: str) -> str | None:
    if line.startswith(">"):
        return ">"
    if _MEME.match(line):
        return "meme"
    if re.fullmatch(r"Pos(ition)?\s.*", line, re.IGNORECASE) and _COLUMNS.fullmatch(line):
        return "cisbp"
    if _CISBP.match(line):
        return "cisbp"
    if _TRANSFAC.match(line):
        return "transfac"
    rows = _COLUMNS.fullmatch(line) or _numbers(line) is not None or _base_row(line) is not None
    return "rows" if rows else None


def _numbers(line: str) -> list[float] | None:
    """The numbers of a line, or None where one is none: not finite, or 1_0, Python's 10."""
    try:
        values = [float(field) for field in line.split()]
    except ValueError:
        return None
    return values if "_" not in line and all(abs(value) < _HUGE for value in values) else None


def _base_row(line: str) -> tuple[str, list[float]] | None:
    match = _BASES.fullmatch(line)
    numbers = _numbers(match[2]) if match else None
    return (match[1].upper(), numbers) if match and numbers else None


def _none_found(parsed: Parsed) -> str:
    if parsed.notes:
        return "; ".join(parsed.notes)
    return "'letter-probability matrix:' lines are what is read of a MEME file"


# --- rows under a '>' line, or under nothing: JASPAR, HOMER, HOCOMOCO, GimmeMotifs


def _read_rows(text: _Text, blocks: list[_Block | PWM], parsed: Parsed) -> None:
    number, line = text.lines[text.i]
    name = alt_name = ""
    style, threshold = "", None
    if line.startswith(">"):
        text.i += 1
        if not line[1:].split():
            raise text.error(number, "expected a name after '>'")
        name, alt_name, style, threshold = _header(line[1:].strip())
    labelled = text.more() and bool(_COLUMNS.fullmatch(text.lines[text.i][1]))
    if labelled:
        text.i += 1
    bases: list[str] = []
    rows: list[tuple[int, list[float]]] = []
    while text.more():
        row_number, row = text.lines[text.i]
        if row.startswith(">") or _kind(row) in ("meme", "cisbp", "transfac"):
            break
        text.i += 1
        labelled_row, bare = _base_row(row), _numbers(row)
        if labelled_row is None and bare is None:
            raise text.error(row_number, f"expected a row of counts, found {row[:60]!r}")
        if labelled_row is not None:
            if labelled_row[0].replace("U", "T") != "ACGT"[len(bases) % 4]:
                raise text.error(
                    row_number,
                    f"expected the row of {'ACGT'[len(bases) % 4]}, found {labelled_row[0]}",
                )
            bases.append(labelled_row[0])
        rows.append((row_number, labelled_row[1] if labelled_row else bare or []))
        if labelled and len(rows[-1][1]) == 5:
            del rows[-1][1][0]  # the position's number
    what = f"motif {shown(name)}" if name else "a motif"
    if not rows:
        raise text.error(number, f"{what}: expected rows of numbers, found none")
    for row_number, values in rows:
        if len(values) != len(rows[0][1]):
            raise text.error(
                row_number,
                f"expected {len(rows[0][1])} columns like the row before, found {len(values)}",
            )
    n_rows, n_columns = len(rows), len(rows[0][1])
    by: str | None
    if bases or (n_columns != 4 and not labelled and style != "HOMER"):
        by = "base"
        if n_rows != 4 or len(bases) not in (0, 4):
            raise text.error(
                number,
                f"{what}: expected 4 rows (A, C, G, T), or rows of 4 numbers (one position each), "
                f"found {n_rows} {'row' if n_rows == 1 else 'rows'} of {n_columns}",
            )
    elif n_columns != 4:
        raise text.error(
            rows[0][0], f"{what}: expected rows of 4 numbers (A C G T), found {n_columns}"
        )
    else:
        by = "position" if labelled or style == "HOMER" or n_rows != 4 else None
    matrix = np.array([values for _, values in rows])
    block = _Block(number, name, alt_name, style, [n for n, _ in rows], matrix, by, threshold)
    if by is None:
        block.by = _by_sums(block, text)
    if not style:
        named = "GimmeMotifs" if name.startswith("GM.") else "matrix"
        block.format = "JASPAR" if by == "base" or _JASPAR_ID.match(name) else named
    if "U" in bases:
        parsed.notes["U read as T"] += 1
    blocks.append(block)
    _met(parsed, block.format)


def _header(header: str) -> tuple[str, str, str, float | None]:
    """Name, second name, format and HOMER's threshold of a '>' line."""
    fields = [field.strip() for field in header.split("\t")]
    if len(fields) < 3:
        words = header.split()
        fields = words if words and _IUPAC.fullmatch(words[0]) else fields
    threshold = _numbers(fields[2]) if len(fields) > 2 else None
    if threshold:
        name = fields[1] or fields[0]
        found = _FOUND_DE_NOVO.match(name)
        if found:
            return found[1], "", "HOMER", threshold[0] / math.log(2)
        return name, re.split(r"[(/]", name)[0], "HOMER", threshold[0] / math.log(2)
    words = header.split()
    style = "HOCOMOCO" if _HOCOMOCO.search(words[0]) else ""
    return words[0], words[1] if len(words) > 1 else "", style, None


def _by_sums(block: _Block, text: _Text) -> str | None:
    """What a row of 4 × 4 numbers is: what adds up to the same everywhere is a position."""
    odds = [power(np.minimum(block.matrix, _MAX_ODDS)) for _, power in _ODDS]
    tried = odds if (block.matrix < 0).any() else [block.matrix]
    for matrix in tried:
        rows, columns = (
            bool(np.ptp(total) <= _ROUNDING * max(float(total.max()), 1e-9))
            for total in (matrix.sum(axis=1), matrix.sum(axis=0))
        )
        if rows or columns:
            break
    if _JASPAR_ID.match(block.name):
        if rows and not columns:
            raise text.error(
                block.number,
                f"motif {block.name}: expected one base per row (JASPAR), found rows that add up "
                "to the same and columns that do not; is the matrix transposed?",
            )
        return "base"
    if rows == columns:
        return None
    return "position" if rows else "base"


def _to_pwm(block: _Block, text: _Text, parsed: Parsed, background: Sequence[float]) -> PWM:
    """Probabilities of a block of counts, probabilities or log-odds."""
    if block.by is None:
        raise text.error(
            block.number,
            f"motif {block.name}: 4 × 4 numbers can be read both ways: write the letters "
            "('A [ 1 2 3 4 ]' for a base per row, 'A C G T' above for a position per row)",
        )
    matrix = block.matrix if block.by == "position" else block.matrix.T
    lines = block.lines if block.by == "position" else [block.number] * len(matrix)
    totals = matrix.sum(axis=1)
    one = np.abs(totals - 1) <= _ROUNDING
    try:
        if block.format != "HOMER" and (matrix < 0).any():
            matrix, base = _of_log_odds(block, lines, text, matrix, background)
            parsed.notes[
                f"log-odds (base {base}) turned into probabilities with the background "
                + " ".join(f"{share:g}" for share in background)
            ] += 1
            pwm = PWM(block.name, matrix, block.alt_name)
        elif block.format in ("HOMER", "CIS-BP") or (
            float(matrix.max()) <= 1 and totals.all() and np.ptp(totals) > _ROUNDING
        ):
            for line, row in zip(lines, matrix, strict=True):
                _check_probabilities(text, line, row, " ".join(f"{value:g}" for value in row))
            pwm = PWM(block.name, matrix / totals[:, None], block.alt_name)
        else:
            pwm = from_counts(block.name, matrix, alt_name=block.alt_name)
            if one.all():
                pwm = replace(pwm, sites=None)
            else:
                parsed.counted += 1
    except InputError as error:
        said = str(error)
        raise error if said.startswith(text.where) else text.error(block.number, said) from None
    return replace(pwm, threshold=block.threshold)


def _of_log_odds(
    block: _Block, lines: list[int], text: _Text, matrix: Floats, background: Sequence[float]
) -> tuple[Floats, str]:
    """Probabilities of log-odds, and the base of their logarithm: the one that adds up to 1."""
    shares = np.asarray(background, dtype=np.float64)
    totals = {}
    for base, power in _ODDS:
        odds = shares * power(np.minimum(matrix, _MAX_ODDS))
        totals[base] = odds.sum(axis=1)
        if (np.abs(totals[base] - 1) <= _ROUNDING).all():
            return odds / totals[base][:, None], base
    wrong = min(totals, key=lambda base: float(np.abs(totals[base] - 1).max()))
    row = int(np.argmax(np.abs(totals[wrong] - 1)))
    raise text.error(
        lines[row],
        f"motif {block.name}: expected log-odds whose probabilities add up to 1 (background "
        f"{' '.join(f'{share:g}' for share in background)}, base e or 2), found a position that "
        f"adds up to {totals[wrong][row]:.3g}; use the counts or probabilities instead",
    )


def _check_probabilities(text: _Text, number: int, row: Floats, found: str) -> None:
    total = float(row.sum())
    if not math.isfinite(total) or (row < 0).any() or abs(total - 1) > _ROUNDING:
        hint = " (counts? divide each row by its sum)" if total > 1 + _ROUNDING else ""
        raise text.error(
            number,
            f"expected four probabilities that sum to 1, found {found[:60]!r} with sum "
            f"{total:g}{hint}",
        )


def _met(parsed: Parsed, name: str) -> None:
    if name not in parsed.formats:
        parsed.formats.append(name)


# --- TRANSFAC


def _read_transfac(text: _Text, blocks: list[_Block | PWM], parsed: Parsed) -> None:
    """One entry, up to its '//' (or to the next entry where there is none)."""
    fields: dict[str, str] = {}
    block: _Block | None = None
    first = text.lines[text.i][0]
    while text.more():
        number, line = text.lines[text.i]
        key, _, value = line.partition(" ") if "\t" not in line else line.partition("\t")
        if block is not None and key in ("AC", "ID", "P0", "PO"):
            break
        if _kind(line) in (">", "meme", "cisbp"):
            break
        text.i += 1
        if line == "//":
            break
        if key in ("P0", "PO"):
            letters = "".join(value.split()).upper()
            if sorted(letters.replace("U", "T")) != list("ACGT"):
                raise text.error(
                    number, f"expected the letters A C G T after {key}, found {shown(value)!r}"
                )
            if "U" in letters:
                parsed.notes["U read as T"] += 1
            order = [letters.replace("U", "T").index(letter) for letter in "ACGT"]
            lines, matrix = _numbered_rows(text, number, 4)
            block = _Block(first, "", "", "TRANSFAC", lines, matrix[:, order])
        elif key in ("AC", "ID", "NA"):
            fields.setdefault(key, value.strip().rstrip(";"))
    if block is None:
        if fields:
            parsed.notes["entries without a matrix left out"] += 1
        return
    names = [fields[key] for key in ("AC", "ID") if fields.get(key)]
    block.name = names[0] if names else ""
    block.alt_name = fields.get("NA", "") or (names[1] if len(names) > 1 else "")
    blocks.append(block)
    _met(parsed, "TRANSFAC")


def _numbered_rows(text: _Text, number: int, n: int) -> tuple[list[int], Floats]:
    """Rows of a position's number and ``n`` values; a consensus letter may follow."""
    lines: list[int] = []
    rows: list[list[float]] = []
    while text.more() and re.match(r"\d", text.lines[text.i][1]):
        row_number, line = text.take()
        words = line.split()
        if len(words) == n + 2 and re.fullmatch(r"[A-Za-z]", words[-1]):
            words.pop()
        values = _numbers(" ".join(words[1:]))
        if values is None or len(values) != n:
            raise text.error(
                row_number, f"expected a position and its four values, found {line[:60]!r}"
            )
        lines.append(row_number)
        rows.append(values)
    if not rows:
        raise text.error(number, "expected rows of a position and its four values, found none")
    return lines, np.array(rows)


# --- CIS-BP


def _read_cisbp(text: _Text, blocks: list[_Block | PWM], parsed: Parsed) -> None:
    """One matrix, with or without the lines that say whose it is."""
    fields: dict[str, str] = {}
    first = text.lines[text.i][0]
    while text.more() and _CISBP.match(text.lines[text.i][1]):
        key, _, value = text.take()[1].partition("\t")
        fields[key] = value.strip()
    if not text.more() or not _COLUMNS.fullmatch(text.lines[text.i][1]):
        found = repr(text.lines[text.i][1][:60]) if text.more() else "the end of the file"
        raise text.error(first, f"expected 'Pos A C G T' above a matrix (CIS-BP), found {found}")
    number, header = text.take()
    _met(parsed, "CIS-BP")
    if not text.more() or not re.match(r"\d", text.lines[text.i][1]):
        parsed.notes["entries without a matrix left out"] += 1
        return
    if header[-1] in "Uu":
        parsed.notes["U read as T"] += 1
    lines, matrix = _numbered_rows(text, number, 4)
    name = fields.get("Motif", "")
    blocks.append(_Block(first, name, fields.get("TF Name", ""), "CIS-BP", lines, matrix))


# --- MEME


def _read_meme(text: _Text, blocks: list[_Block | PWM], parsed: Parsed) -> None:
    name: tuple[str, str] | None = None
    rna = False
    while text.more():
        number, line = text.lines[text.i]
        if line.startswith(">") or re.match(r"AC\s", line) or _kind(line) == "cisbp":
            break
        text.i += 1
        if line.startswith("ALPHABET"):
            rna = _alphabet(text, number, line)
        elif line.startswith("Background letter frequencies"):
            parsed.background = parsed.background or _meme_background(text)
        elif line.startswith("MOTIF"):
            words = line.split()
            if len(words) < 2:
                raise text.error(number, "expected a name after MOTIF")
            name = (words[1], words[2] if len(words) > 2 and "=" not in words[2] else "")
        elif line.startswith("letter-probability matrix"):
            attributes = _attributes(text, number, line)
            rows: list[Line] = []
            width = attributes.get("w")
            while text.more() and (width is None or len(rows) < width):
                if not _is_row(text.lines[text.i][1]):
                    break
                rows.append(text.take())
            if len(rows) == width and text.more() and _is_row(text.lines[text.i][1]):
                after, more = text.lines[text.i]
                raise text.error(
                    after,
                    f"expected the end of a matrix of {width:g} rows (w= {width:g}), found one "
                    f"more: {more[:60]!r}",
                )
            blocks.append(_meme_matrix(text, number, name, attributes, rows, parsed))
            if rna:
                parsed.notes["U read as T"] += 1
            _met(parsed, "MEME")
            name = None


def _alphabet(text: _Text, number: int, line: str) -> bool:
    """Check the alphabet; whether it is RNA's."""
    alphabet = line.split("=", 1)[1].strip().upper() if "=" in line else ""
    named = line.split()[1].strip('"').upper() if len(line.split()) > 1 else ""
    rna = alphabet in _RNA or (not alphabet and named.startswith("RNA"))
    if not rna and alphabet not in _DNA and not (not alphabet and named.startswith("DNA")):
        raise text.error(
            number,
            "expected the DNA alphabet 'ALPHABET= ACGT' (or ACGU, whose U is read as T), "
            f"found {line[:60]!r}",
        )
    return rna


def _meme_background(text: _Text) -> tuple[float, ...] | None:
    shares = re.findall(r"([ACGTU])\s+([\d.eE+-]+)", text.lines[text.i][1]) if text.more() else []
    if [letter for letter, _ in shares] not in (list("ACGT"), list("ACGU")):
        return None
    values = _numbers(" ".join(share for _, share in shares))
    return tuple(values) if values is not None else None


def _is_row(line: str) -> bool:
    """Whether a line may be a row of numbers: anything that starts like a number."""
    return line[0] in "0123456789.+-" and not line.startswith("--")


def _attributes(text: _Text, number: int, line: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for key, value in _ATTRIBUTE.findall(line.split(":", 1)[-1]):
        if key not in ("alength", "w", "nsites"):
            continue
        try:
            found[key] = float(value) if key == "nsites" else int(value[:9])
        except ValueError:
            raise text.error(
                number, f"expected a number after '{key}=', found {value[:60]!r}"
            ) from None
    if found.get("alength", 4) != 4:
        raise text.error(
            number,
            f"expected alength= 4 (A C G T), found {found['alength']:g}; "
            "is the motif of another alphabet or the matrix transposed?",
        )
    if found.get("w", 1) < 1:
        raise text.error(number, f"expected a width w= of 1 or more, found {found['w']:g}")
    return found


def _meme_matrix(
    text: _Text,
    number: int,
    name: tuple[str, str] | None,
    attributes: dict[str, float],
    rows: list[Line],
    parsed: Parsed,
) -> PWM:
    if name is None:
        raise text.error(number, "expected a MOTIF line before the matrix")
    matrix = np.empty((len(rows), 4))
    for i, (line_number, line) in enumerate(rows):
        values = _numbers(line)
        if values is None:
            raise text.error(line_number, f"expected four probabilities, found {line[:60]!r}")
        if len(values) != 4:
            raise text.error(
                line_number,
                f"expected four probabilities (A C G T), found {len(values)} numbers; "
                "a row is a position of the motif: is the matrix transposed?",
            )
        matrix[i] = values
    width = attributes.get("w")
    if not rows or (width is not None and len(rows) != width):
        found = f", then {text.lines[text.i][1][:40]!r}" if text.more() else ", then the end of the"
        found += "" if text.more() else " file"
        wanted = f"{width:g} rows (w= {width:g})" if width is not None else "rows of numbers"
        raise text.error(number, f"motif {name[0]}: expected {wanted}, found {len(rows)}{found}")
    if (matrix == np.rint(matrix)).all() and (matrix >= 0).all() and (matrix.sum(axis=1) > 1).all():
        parsed.counted += 1
        return from_counts(name[0], matrix, alt_name=name[1])
    for i, (line_number, line) in enumerate(rows):
        _check_probabilities(text, line_number, matrix[i], line)
        total = float(matrix[i].sum())
        if abs(total - 1) > _EXACT:
            matrix[i] /= total
    return PWM(name[0], matrix, alt_name=name[1], sites=attributes.get("nsites") or None)
