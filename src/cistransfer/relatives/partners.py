"""Protein partners of TFs: STRING's links files, or any table of pairs with a score."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cistransfer.binding.facts.cobinding import CoBinding
from cistransfer.errors import InputError, shown
from cistransfer.storage import open_bytes, open_text

__all__ = [
    "HIGHEST",
    "PartnerCheck",
    "Partners",
    "check_partners",
    "read_pairs",
    "read_string",
]

HIGHEST = 0.9
"""STRING's highest confidence (0.7 high, 0.4 medium)."""

_PROTEINS = ("protein1", "protein2", "combined_score")


@dataclass(frozen=True)
class Partners:
    """Scored pairs of TFs. Names are compared regardless of case.

    Attributes
    ----------
    source : str
        Where they come from, in words.
    scores : dict of str → dict of str → float
        TF → partner → score (upper case, both ways, the higher where a pair comes twice).
        STRING's scores are divided by 1000.
    found, missing : tuple of str
        TFs of interest that the source names, and those it does not.
    min_score : float
        Pairs below this score were left out.
    """

    source: str
    scores: Mapping[str, Mapping[str, float]] = field(repr=False)
    found: tuple[str, ...] = field(repr=False)
    missing: tuple[str, ...] = field(repr=False)
    min_score: float

    def of(self, tf: str) -> Mapping[str, float]:
        """Partners of a TF with their scores; empty when there is none."""
        return self.scores.get(tf.upper(), {})

    def share_mapped(self) -> float:
        """Share of the TFs of interest that the source names."""
        return len(self.found) / max(1, len(self.found) + len(self.missing))


def read_string(
    links: str | os.PathLike[str],
    info: str | os.PathLike[str],
    tfs: Sequence[str],
    *,
    min_score: float = 0.4,
) -> Partners:
    """Read STRING's ``protein.links`` and ``protein.info`` files of any version, plain or gzip.

    Only pairs of the TFs are kept; the 12 million lines of the human links take seconds.

    Parameters
    ----------
    links : path
        ``protein1 protein2 … combined_score``, separated by spaces (also ``links.detailed`` and
        ``links.full``).
    info : path
        Protein identifier, tab, preferred name, … with a header.
    tfs : sequence of str
        TFs of interest.
    min_score : float
        Leave out pairs below this combined score (0 … 1; STRING's site begins at 0.4).

    Raises
    ------
    InputError
        For a missing or malformed file (names the line), when none of the TFs is a preferred
        name, and when the two files speak of different proteins.
    """
    if not 0 <= min_score <= 1:
        raise InputError(f"STRING's least score is between 0 and 1, found {min_score:g}")
    wanted = {tf.upper() for tf in tfs}
    symbol, example = _read_info(info, wanted)
    names = set(symbol.values())
    found = tuple(tf for tf in tfs if tf.upper() in names)
    if not found:
        raise InputError(
            f"{info}: none of the {len(wanted)} TFs ({', '.join(list(tfs)[:5])}, …) is a preferred "
            f"name there (first name: {shown(example)!r}); is it the info file of the right "
            "species?"
        )
    table = _read_links(links, list(symbol))
    scores: dict[str, dict[str, float]] = {}
    for first, second, score in zip(*(table[name] for name in _PROTEINS), strict=True):
        if score >= 1000 * min_score:
            _add(scores, symbol[first], symbol[second], score / 1000)
    missing = tuple(tf for tf in tfs if tf.upper() not in names)
    return Partners(f"STRING ({os.path.basename(links)})", scores, found, missing, min_score)


def read_pairs(
    path: str | os.PathLike[str], tfs: Sequence[str], *, min_score: float = -math.inf
) -> Partners:
    """Read a tab-separated table of TF, partner, score.

    A first line whose last column is no number is a header; then the score is its column
    ``combined_score`` or ``score``, else the last one. Pairs count both ways.

    Raises
    ------
    InputError
        For a missing or empty file, a line that is too short or has no number; names the line.
    """
    wanted = {tf.upper() for tf in tfs}
    scores: dict[str, dict[str, float]] = {}
    named: set[str] = set()
    column, fewest, rows = -1, 3, 0
    with open_text(path) as handle:
        for number, line in enumerate(handle, start=1):
            fields = [part.strip() for part in line.rstrip("\r\n").split("\t")]
            if not line.strip() or (line.startswith("#") and rows):
                continue
            if not rows and column == -1 and _number(fields[-1]) is None and len(fields) >= 3:
                scored = [
                    at for at, name in enumerate(fields) if name in ("combined_score", "score")
                ]
                column = scored[0] if scored else len(fields) - 1
                fewest = len(fields)
                continue
            value = _number(fields[column]) if len(fields) >= fewest else None
            if value is None:
                raise InputError(
                    f"{path}, line {number}: expected 'TF', tab, 'partner', tab, score, found "
                    f"{line.strip()[:60]!r}"
                )
            rows += 1
            first, second = fields[0].upper(), fields[1].upper()
            named |= {first, second}
            if first in wanted and second in wanted and value >= min_score:
                _add(scores, first, second, value)
    if not rows:
        raise InputError(f"{path}: expected pairs of TFs with a score, found none")
    found = tuple(tf for tf in tfs if tf.upper() in named)
    if not found:
        raise InputError(
            f"{path}: names none of the {len(wanted)} TFs ({', '.join(list(tfs)[:5])}, …); it has "
            f"{', '.join(map(shown, sorted(named)[:5]))}, …"
        )
    missing = tuple(tf for tf in tfs if tf.upper() not in named)
    return Partners(os.path.basename(path), scores, found, missing, min_score)


def _add(scores: dict[str, dict[str, float]], first: str, second: str, score: float) -> None:
    if first == second:
        return
    for a, b in ((first, second), (second, first)):
        partners = scores.setdefault(a, {})
        partners[b] = max(score, partners.get(b, -math.inf))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _read_info(path: str | os.PathLike[str], wanted: set[str]) -> tuple[dict[str, str], str]:
    """Protein identifier → symbol of the wanted TFs, and one preferred name as an example."""
    symbol: dict[str, str] = {}
    example = ""
    with open_text(path) as handle:
        header = handle.readline().rstrip("\r\n").split("\t")
        if len(header) < 2 or header[1] != "preferred_name":
            raise InputError(
                f"{path}, line 1: expected STRING's protein.info file (protein identifier, tab, "
                f"preferred_name, …), found {' '.join(header)[:60]!r}"
            )
        for number, line in enumerate(handle, start=2):
            fields = line.rstrip("\r\n").split("\t")
            if len(fields) < 2:
                raise InputError(
                    f"{path}, line {number}: expected a protein and its preferred name, found "
                    f"{line.strip()[:60]!r}"
                )
            example = example or fields[1]
            name = fields[1].upper()
            if name in wanted and symbol.setdefault(fields[0], name) != name:
                raise InputError(
                    f"{path}, line {number}: protein {shown(fields[0])} is there twice, as "
                    f"{symbol[fields[0]]} and {name}"
                )
    return symbol, example


def _read_links(path: str | os.PathLike[str], proteins: list[str]) -> Any:
    """Rows of a links file between the given proteins (protein1, protein2, combined_score)."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    with open_text(path) as handle:
        header = handle.readline().split()
    if not set(_PROTEINS) <= set(header):
        raise InputError(
            f"{path}, line 1: expected STRING's protein.links file (protein1 protein2 … "
            f"combined_score), found {' '.join(header)[:60]!r}"
        )
    known = pa.array(proteins)
    kept: list[pa.RecordBatch] = []
    species: tuple[str, str] | None = None
    try:
        with open_bytes(path) as stream:
            reader = csv.open_csv(
                stream,
                read_options=csv.ReadOptions(block_size=1 << 24),
                parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
                convert_options=csv.ConvertOptions(
                    include_columns=list(_PROTEINS),
                    column_types={
                        "protein1": pa.string(),
                        "protein2": pa.string(),
                        "combined_score": pa.int32(),
                    },
                    strings_can_be_null=False,
                    null_values=[],
                ),
            )
            for batch in reader:
                if species is None and len(batch):
                    species = (batch.column(0)[0].as_py(), proteins[0])
                both = pc.and_(
                    pc.is_in(batch.column(0), value_set=known),
                    pc.is_in(batch.column(1), value_set=known),
                )
                kept.append(batch.filter(both))
    except (pa.ArrowInvalid, KeyError, OSError) as error:  # a header that Arrow reads otherwise
        raise InputError(f"{path}: {_first_bad_line(path, len(header), str(error))}") from error
    table = pa.Table.from_batches(kept).to_pydict() if kept else {name: [] for name in _PROTEINS}
    if not table["protein1"] and species is not None:
        taxa = [protein.split(".")[0] for protein in species]
        if taxa[0] != taxa[1]:
            raise InputError(
                f"{path}: its proteins ({shown(species[0])}) are of another species than those of "
                f"the info file ({shown(species[1])})"
            )
    return table


def _first_bad_line(path: str | os.PathLike[str], columns: int, otherwise: str) -> str:
    at = columns - 1
    with open_text(path) as handle:
        at = handle.readline().split().index("combined_score")
        for number, line in enumerate(handle, start=2):
            fields = line.split()
            if len(fields) != columns or not fields[at].isdigit():
                return (
                    f"line {number}: expected two proteins and an integer combined_score in "
                    f"{columns} columns, found {line.strip()[:60]!r}"
                )
    return shown(otherwise)


@dataclass(frozen=True)
class PartnerCheck:
    """Cosine of partners against all other pairs of TFs.

    Attributes
    ----------
    min_score : float
        Pairs that score at least this are partners.
    pairs, rest : int
        Pairs of partners, and all others, among the TFs that the source names.
    mean, rest_mean : float
        Their mean cosine.
    t, p : float
        Welch's t-test, two-sided. Pairs share TFs, so p is too small; read the means.
    """

    min_score: float
    pairs: int
    rest: int
    mean: float
    rest_mean: float
    t: float
    p: float


def check_partners(
    cobinding: CoBinding, partners: Partners, min_score: float = HIGHEST
) -> PartnerCheck:
    """Compare the cosine of partners with the rest (Novakovsky et al. 2021, Fig. 2: Welch).

    The published result on the whole matrix is 0.141 against 0.063, p = 6.46e-9, for STRING
    11.0's highest confidence (0.9).

    Raises
    ------
    InputError
        When partners were read with a higher threshold, or with fewer than two pairs in a group.
    """
    if partners.min_score > min_score:
        raise InputError(
            f"partners below {partners.min_score:g} were not read; expected a threshold of at most "
            f"{min_score:g}"
        )
    known = {tf.upper() for tf in partners.found}
    close: list[float] = []
    rest: list[float] = []
    for b, second in enumerate(cobinding.tfs):
        for a, first in enumerate(cobinding.tfs[:b]):
            cosine = float(cobinding.cosine[a, b])
            if np.isnan(cosine) or first.upper() not in known or second.upper() not in known:
                continue
            score = partners.of(first).get(second.upper())
            (close if score is not None and score >= min_score else rest).append(cosine)
    if min(len(close), len(rest)) < 2:
        raise InputError(
            f"{partners.source}: {len(close)} pairs of TFs score at least {min_score:g} and "
            f"{len(rest)} do not; a test needs two of each"
        )
    from scipy.stats import ttest_ind

    test = ttest_ind(close, rest, equal_var=False)
    return PartnerCheck(
        min_score=min_score,
        pairs=len(close),
        rest=len(rest),
        mean=float(np.mean(close)),
        rest_mean=float(np.mean(rest)),
        t=float(test.statistic),
        p=float(test.pvalue),
    )
