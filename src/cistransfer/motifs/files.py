"""Motif files: MEME text is read and written, JASPAR matrices are read."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from cistransfer.errors import InputError
from cistransfer.motifs.pwm import PWM, UNIFORM, from_counts
from cistransfer.storage import open_text, write_text

__all__ = ["read_motifs", "write_meme"]

_ATTRIBUTE = re.compile(r"(\w+)=\s*([^\s=]*)(?=\s|$)")
_ROUNDING = 0.02
_EXACT = 1e-5
_DNA = {"ACGT", "ACGTN"}


def read_motifs(path: str | os.PathLike[str]) -> list[PWM]:
    """Read the motifs of a MEME or JASPAR file (plain or gzip; told by content).

    MEME text: the minimal format, the output of ``meme`` and ``streme``, and files without
    alphabet, strand or background lines or without ``w=``. JASPAR text: ``.jaspar`` (letters and
    brackets) and ``.pfm`` (four bare rows), with or without header lines.

    Rows that sum to 1 only within 0.02 (files with two or three decimals) are normalised; a
    JASPAR matrix of counts becomes probabilities with ``sites`` = the largest column total.

    Raises
    ------
    InputError
        For a missing, truncated or empty file and for a matrix that is transposed, not
        normalised, of another width than it says, or not numeric; names the line.
    """
    with open_text(path) as handle:
        lines = handle.read().splitlines()
    text = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    if not text:
        raise InputError(f"{path}: expected motifs in MEME or JASPAR format, found an empty file")
    first = text[0][1]
    if first.startswith("MEME version") or any(
        line.startswith("letter-probability matrix") for _, line in text
    ):
        return _read_meme_text(path, text)
    if first.startswith(">") or _numbers(first) is not None or _jaspar_row(first) is not None:
        return _read_jaspar_text(path, text)
    if any(line.startswith("MOTIF") for _, line in text):
        return _read_meme_text(path, text)
    raise InputError(
        f"{path}, line {text[0][0]}: expected a MEME file ('MEME version 4') or a JASPAR matrix "
        f"('>MA0114.4 HNF4A'), found {first[:60]!r}"
    )


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


def _numbers(line: str) -> list[float] | None:
    try:
        return [float(field) for field in line.split()]
    except ValueError:
        return None


def _read_meme_text(path: str | os.PathLike[str], text: list[tuple[int, str]]) -> list[PWM]:
    pwms: list[PWM] = []
    name: tuple[str, str] | None = None
    at = 0
    while at < len(text):
        number, line = text[at]
        at += 1
        if line.startswith("ALPHABET"):
            alphabet = line.split("=", 1)[1].strip() if "=" in line else ""
            named = line.split()[1].strip('"').upper() if len(line.split()) > 1 else ""
            if alphabet.upper() not in _DNA and not (not alphabet and named.startswith("DNA")):
                raise InputError(
                    f"{path}, line {number}: expected the DNA alphabet 'ALPHABET= ACGT', "
                    f"found {line[:60]!r}"
                )
        elif line.startswith("MOTIF"):
            words = line.split()
            if len(words) < 2:
                raise InputError(f"{path}, line {number}: expected a name after MOTIF")
            name = (words[1], words[2] if len(words) > 2 and "=" not in words[2] else "")
        elif line.startswith("letter-probability matrix"):
            attributes = _attributes(path, number, line)
            rows: list[tuple[int, str]] = []
            width = attributes.get("w")
            while at < len(text) and (width is None or len(rows) < width):
                if not _is_row(text[at][1]):
                    break
                rows.append(text[at])
                at += 1
            if len(rows) == width and at < len(text) and _is_row(text[at][1]):
                raise InputError(
                    f"{path}, line {text[at][0]}: expected the end of a matrix of "
                    f"{width:g} rows (w= {width:g}), found one more: {text[at][1][:60]!r}"
                )
            pwms.append(_meme_matrix(path, number, name, attributes, rows, text[at : at + 1]))
            name = None
    if not pwms:
        raise InputError(
            f"{path}: expected motifs ('letter-probability matrix:' lines), found none"
        )
    return pwms


def _is_row(line: str) -> bool:
    """Whether a line may be a row of numbers: anything that starts like a number."""
    return line[0] in "0123456789.+-" and not line.startswith("--")


def _attributes(path: str | os.PathLike[str], number: int, line: str) -> dict[str, float]:
    where = f"{path}, line {number}"
    found: dict[str, float] = {}
    for key, value in _ATTRIBUTE.findall(line.split(":", 1)[-1]):
        if key not in ("alength", "w", "nsites"):
            continue
        try:
            found[key] = float(value) if key == "nsites" else int(value)
        except ValueError:
            raise InputError(
                f"{where}: expected a number after '{key}=', found {value!r}"
            ) from None
    if found.get("alength", 4) != 4:
        raise InputError(
            f"{where}: expected alength= 4 (A C G T), found {found['alength']:g}; "
            "is the motif of another alphabet or the matrix transposed?"
        )
    if found.get("w", 1) < 1:
        raise InputError(f"{where}: expected a width w= of 1 or more, found {found['w']:g}")
    return found


def _meme_matrix(
    path: str | os.PathLike[str],
    number: int,
    name: tuple[str, str] | None,
    attributes: dict[str, float],
    rows: list[tuple[int, str]],
    following: list[tuple[int, str]],
) -> PWM:
    if name is None:
        raise InputError(f"{path}, line {number}: expected a MOTIF line before the matrix")
    matrix = np.empty((len(rows), 4))
    for at, (line_number, line) in enumerate(rows):
        matrix[at] = _probabilities(f"{path}, line {line_number}", line)
    width = attributes.get("w")
    if not len(rows) or (width is not None and len(rows) != width):
        found = f", then {following[0][1][:40]!r}" if following else ", then the end of the file"
        wanted = f"{width:g} rows (w= {width:g})" if width is not None else "rows of numbers"
        raise InputError(
            f"{path}, line {number}: motif {name[0]}: expected {wanted}, found {len(rows)}{found}"
        )
    sites = attributes.get("nsites")
    return PWM(name[0], matrix, alt_name=name[1], sites=sites or None)


def _probabilities(where: str, line: str) -> np.ndarray:
    values = _numbers(line)
    if values is None:
        raise InputError(f"{where}: expected four probabilities, found {line[:60]!r}")
    if len(values) != 4:
        raise InputError(
            f"{where}: expected four probabilities (A C G T), found {len(values)} numbers; "
            "a row is a position of the motif: is the matrix transposed?"
        )
    row = np.array(values)
    total = float(row.sum())
    if not math.isfinite(total) or (row < 0).any() or abs(total - 1) > _ROUNDING:
        hint = " (counts? divide each row by its sum)" if total > 1 + _ROUNDING else ""
        raise InputError(
            f"{where}: expected four probabilities that sum to 1, found {line[:60]!r} "
            f"with sum {total:g}{hint}"
        )
    return row if abs(total - 1) <= _EXACT else row / total


def _jaspar_row(line: str) -> tuple[str, list[float]] | None:
    match = re.fullmatch(r"([ACGTacgt])\s*\[?\s*([^\[\]]*?)\s*\]?", line)
    numbers = _numbers(match[2]) if match else None
    return (match[1].upper(), numbers) if match and numbers else None


def _read_jaspar_text(path: str | os.PathLike[str], text: list[tuple[int, str]]) -> list[PWM]:
    pwms: list[PWM] = []
    at = 0
    while at < len(text):
        number, line = text[at]
        names = (Path(path).name.split(".")[0], "")
        if line.startswith(">"):
            words = line[1:].split()
            if not words:
                raise InputError(f"{path}, line {number}: expected a name after '>'")
            names = (words[0], words[1] if len(words) > 1 else "")
            at += 1
        rows: list[tuple[int, str]] = []
        while at < len(text) and not text[at][1].startswith(">"):
            rows.append(text[at])
            at += 1
        pwms.append(_jaspar_matrix(path, number, names, rows))
    return pwms


def _jaspar_matrix(
    path: str | os.PathLike[str], number: int, names: tuple[str, str], rows: list[tuple[int, str]]
) -> PWM:
    where = f"{path}, line {number}: motif {names[0]}"
    if len(rows) != 4:
        hint = "; is the matrix transposed?" if len(rows) > 4 else ""
        raise InputError(f"{where}: expected 4 rows (A, C, G, T), found {len(rows)}{hint}")
    values: list[list[float]] = []
    for letter, (line_number, line) in zip("ACGT", rows, strict=True):
        parsed = _jaspar_row(line)
        bare = _numbers(line)
        if parsed is None and bare is None:
            raise InputError(
                f"{path}, line {line_number}: expected a row of counts, found {line[:60]!r}"
            )
        if parsed is not None and parsed[0] != letter:
            raise InputError(
                f"{path}, line {line_number}: expected the row of {letter}, found {parsed[0]}"
            )
        values.append(parsed[1] if parsed is not None else bare or [])
        if len(values[-1]) != len(values[0]):
            raise InputError(
                f"{path}, line {line_number}: expected {len(values[0])} columns like the row "
                f"before, found {len(values[-1])}"
            )
    matrix = np.array(values).T
    try:
        pwm = from_counts(names[0], matrix, alt_name=names[1])
    except InputError as error:
        raise InputError(f"{path}, line {number}: {error}") from None
    counted = pwm.sites is not None and pwm.sites > 1 + _ROUNDING
    return pwm if counted else PWM(pwm.name, pwm.probabilities, alt_name=pwm.alt_name)
