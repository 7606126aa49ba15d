"""Binding modes from whatever a user has: a table, TFClass, CIS-BP, families, motifs to cluster."""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cistransfer.errors import InputError, nearest, shown
from cistransfer.motifs.compare import compare, weighted_similarity
from cistransfer.motifs.files import Motifs, read_motifs
from cistransfer.motifs.names import motif_tfs
from cistransfer.motifs.pwm import PWM
from cistransfer.motifs.tfclass import LEVELS, read_tfclass
from cistransfer.relatives.families import family_of
from cistransfer.relatives.modes import BindingModes, modes_from_pairs, read_modes_table
from cistransfer.relatives.options import CUT
from cistransfer.storage import open_text

__all__ = [
    "PRIOR",
    "PUBLISHED_CUT",
    "cluster_modes",
    "default_modes",
    "family_modes",
    "published_modes",
    "read_cisbp",
    "read_modes",
    "read_profiles",
    "tfclass_modes",
]

PRIOR = 0.6
"""What one family adds to the similarity of two motifs.

Chosen with `cistransfer.relatives.options.CUT` by the agreement with TFClass over all 151 TFs of
nine chromosomes: of 0 to 0.6 in steps of 0.1 the best (kappa 0.83; 0.57 without families).
"""

PUBLISHED_CUT = 3.0
"""−log10 of Tomtom's p at which the six published targets have their published modes."""

_RELEASE = "JASPAR2020"
_STEP, _WIDEST = 0.15, 0.4  # of the wider clusters
_MAX_LOG_P = 10.0  # −log10 p from which matches are equally strong
_CISBP = (("symbol", "cisbp_family"), ("TF_Name", "Family_Name"), ("HGNC symbol", "DBD"))


def read_profiles(source: str | os.PathLike[str]) -> Motifs:
    """Read motifs: a file of any format, or ``jaspar`` / ``JASPAR2024`` (needs pyjaspar).

    ``jaspar`` is the release of 2020, whose motifs give the published modes.
    """
    named = os.fspath(source).lower() == "jaspar" and not os.path.exists(source)
    return read_motifs(_RELEASE if named else source)


def tfclass_modes(
    path: str | os.PathLike[str],
    level: str = "family",
    symbols: str | os.PathLike[str] | None = None,
) -> BindingModes:
    """Read TFClass as binding modes: one mode per superclass, class, family or subfamily.

    Parameters
    ----------
    path, symbols
        See `cistransfer.motifs.tfclass.read_tfclass`.
    level : str
        One of `LEVELS`. A family shares its DNA-binding domain and mostly its motif; zinc-finger
        families of class 2.3 are wide.

    Returns
    -------
    BindingModes
        ``wider`` is the next level up.

    Raises
    ------
    InputError
        For an unknown level, a missing file, or one without TFClass terms.
    """
    if level not in LEVELS:
        raise InputError(f"TFClass has no level {level!r}; {nearest(level, LEVELS)}")
    known = read_tfclass(path, symbols)
    modes: BindingModes | None = None
    for depth in range(1, LEVELS.index(level) + 2):
        pairs = [
            (symbol, ".".join(identifier.split(".")[:depth]))
            for symbol, identifiers in known.factors.items()
            for identifier in identifiers
        ]
        title = f"TFClass {LEVELS[depth - 1]} ({known.source})"
        modes = replace(modes_from_pairs(title, pairs, known.titles), wider=modes)
    assert modes is not None
    return modes


def read_modes(
    source: str | os.PathLike[str],
    tfs: Sequence[str],
    *,
    level: str = "family",
    cut: float = CUT,
    symbols: str | os.PathLike[str] | None = None,
) -> BindingModes:
    """Read or compute binding modes.

    Parameters
    ----------
    source : path or str
        A table of TF and modes, TFClass (OBO), CIS-BP families (TSV), a MEME or JASPAR file of
        motifs to cluster, ``jaspar`` / ``JASPAR2020`` … for the motifs of a JASPAR release (needs
        pyjaspar), or ``families`` for those that come with the package.
    tfs : sequence of str
        TFs of interest: only their motifs are clustered.
    level : str
        Level of TFClass (see `cistransfer.motifs.tfclass.LEVELS`).
    cut : float
        Where clusters of motifs are cut (see `cistransfer.relatives.options.CUT`).
    symbols : path, optional
        Table of Ensembl identifiers and symbols for TFClass (CIS-BP's table has them).

    Raises
    ------
    InputError
        For a file that is none of these, or that names none of the TFs.
    """
    name = os.fspath(source)
    listed = os.path.isdir(name) or (not os.path.exists(name) and "jaspar" in name.lower())
    kind = "motifs" if listed else "families" if name == "families" else _kind(source)
    if name == "families":
        modes = family_modes(tfs)
    elif kind == "motifs":
        return cluster_modes(read_profiles(source), tfs, cut=cut)
    elif kind == "tfclass":
        modes = tfclass_modes(source, level, symbols)
    elif kind == "cisbp":
        modes = read_cisbp(source)
    else:
        modes = read_modes_table(source)
    if not any(modes.of(tf) for tf in tfs):
        raise InputError(
            f"{source}: names none of the {len(tfs)} TFs ({', '.join(list(tfs)[:5])}, …); it has "
            f"{', '.join(map(shown, sorted(modes.names())[:5]))}, …"
        )
    return modes


def cluster_modes(
    profiles: Sequence[PWM], tfs: Sequence[str] | None = None, *, cut: float = CUT
) -> BindingModes:
    """Cluster motifs into binding modes: alike in what they say, or of one family and fairly alike.

    The similarity of two motifs is `cistransfer.motifs.compare.weighted_similarity`, plus `PRIOR`
    where TFs of both belong to the same family (not to one of the wide ones of zinc fingers);
    average linkage over all motifs of all TFs; clusters are cut at ``cut``. A TF is in the mode of
    each of its motifs. A dimer's motif counts for both partners, but where they are of different
    classes only for those of the class that prevails in the cluster (GATA1::TAL1 does not make TAL1
    a GATA factor), unless it is the TF's only one. A TF without a motif goes with its family.

    Parameters
    ----------
    profiles : sequence of PWM
        For instance JASPAR's.
    tfs : sequence of str, optional
        Use only profiles of these TFs (names regardless of case); all when not given.
    cut : float
        Similarity at which clusters are cut, prior included (see `CUT`); less is larger.

    Returns
    -------
    BindingModes
        Modes are numbered from the one with most TFs. ``wider`` holds the clusters of the same
        tree at ``cut`` − 0.15, and so on above 0.4.

    Raises
    ------
    InputError
        When no profile is of these TFs, and for a cut outside 0 … 1 + `PRIOR`.
    """
    if not 0 < cut < 1 + PRIOR:
        raise InputError(f"the cut is a similarity between 0 and {1 + PRIOR:g}, found {cut:g}")
    kept, wanted = _of_tfs(profiles, tfs)
    families = [frozenset(_families(motif_tfs(pwm))) for pwm in kept]
    same = np.array([[bool(a & b) for b in families] for a in families], dtype=float)
    alike = weighted_similarity(kept) + PRIOR * same
    steps = [cut, *np.arange(cut - _STEP, _WIDEST, -_STEP)]
    return _levels(
        kept, wanted, 1 + PRIOR - alike, [(1 + PRIOR - float(step), f"similarity {step:g}")
                                          for step in np.round(steps, 2)], by_class=True,
    )  # fmt: skip


def published_modes(profiles: Sequence[PWM], tfs: Sequence[str] | None = None) -> BindingModes:
    """Cluster motifs so that the modes of the six published targets come out (see `PUBLISHED_CUT`).

    Every motif is matched against every other (Tomtom); the similarity of two is the mean of
    −log10 p both ways, at most 10; average linkage. Weak and short motifs join families here
    (HNF4A has a mode with TEAD4); for what is not to be compared with the published groups take
    `cluster_modes`.
    """
    kept, wanted = _of_tfs(profiles, tfs)
    strength = np.zeros((len(kept), len(kept)))
    # The p-values that clusters are cut at are Tomtom's own: no shuffles to calibrate them.
    table = compare(kept, kept, max_shuffles=1)
    p = np.maximum(table["p"].to_numpy(np.float64), 10.0**-_MAX_LOG_P)
    strength[table["query"], table["target"]] = np.maximum(-np.log10(p), 0.0)
    distance = _MAX_LOG_P - (strength + strength.T) / 2
    cuts = [(_MAX_LOG_P - cut, f"Tomtom p = 1e-{cut:g}") for cut in (PUBLISHED_CUT, 2.0, 1.0)]
    return _levels(kept, wanted, distance, cuts, by_class=False)


def _of_tfs(
    profiles: Sequence[PWM], tfs: Sequence[str] | None
) -> tuple[list[PWM], dict[str, None] | None]:
    """The profiles of some TFs."""
    wanted = None if tfs is None else dict.fromkeys(tf.upper() for tf in tfs)
    kept = [pwm for pwm in profiles if wanted is None or wanted.keys() & set(motif_tfs(pwm))]
    if not kept:
        raise InputError(
            f"none of the {len(profiles)} motifs is named after one of the TFs "
            f"({', '.join(list(tfs or ())[:5])}, …)"
        )
    return kept, wanted


def _families(tfs: Iterable[str]) -> list[str]:
    found = [family_of(tf) for tf in tfs]
    return [each.family for each in found if each is not None and not each.is_wide]


def _levels(
    profiles: Sequence[PWM],
    wanted: Mapping[str, None] | None,
    distance: NDArray[np.float64],
    cuts: Sequence[tuple[float, str]],
    by_class: bool,
) -> BindingModes:
    """Cut one tree at several distances, the closest first; each is the next one's narrower."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    modes: BindingModes | None = None
    np.fill_diagonal(distance, 0)
    tree = None if len(profiles) == 1 else linkage(squareform(distance, checks=False), "average")
    for cut, words in cuts[::-1]:
        labels = np.ones(1, dtype=np.int64) if tree is None else fcluster(tree, cut, "distance")
        made = _modes(profiles, labels, wanted, by_class)
        source = f"{len(profiles)} motifs clustered at {words}"
        modes = replace(made, source=source, wider=modes)
    assert modes is not None
    return modes


def _modes(
    profiles: Sequence[PWM],
    labels: NDArray[np.int64],
    wanted: Mapping[str, None] | None,
    by_class: bool,
) -> BindingModes:
    members: dict[int, dict[str, int]] = {}
    doubtful: list[tuple[int, str]] = []
    classes: dict[int, Counter[str]] = {}
    for pwm, label in zip(profiles, labels.tolist(), strict=True):
        classes.setdefault(label, Counter()).update(map(_class, motif_tfs(pwm)))
    for pwm, label in zip(profiles, labels.tolist(), strict=True):
        tfs = motif_tfs(pwm)
        counts = members.setdefault(label, {})
        strange = by_class and len(set(map(_class, tfs))) > 1
        most = max(classes[label].values())
        for tf in tfs:
            if wanted is not None and tf not in wanted:
                continue
            if strange and classes[label][_class(tf)] < most:
                doubtful.append((label, tf))
            else:
                counts[tf] = counts.get(tf, 0) + 1
    named = {tf for counts in members.values() for tf in counts}
    for label, tf in doubtful:
        if tf not in named:
            members[label][tf] = 1
    if by_class and wanted is not None:
        for tf in [tf for tf in wanted if tf not in named]:
            _with_its_family(tf, members)
    order = sorted(members, key=lambda label: (-len(members[label]), sorted(members[label])))
    number = {label: str(i) for i, label in enumerate(order, start=1)}
    titles = {}
    for label, counts in members.items():
        first = sorted(counts, key=lambda tf: (-counts[tf], tf))[:3]
        titles[number[label]] = "/".join(first) + ("…" if len(counts) > 3 else "")
    pairs = [(tf, number[label]) for label in order for tf in members[label]]
    return replace(
        modes_from_pairs("", pairs, titles),
        profiles=tuple(profiles),
        profile_modes=tuple(number[int(label)] for label in labels),
    )


def _class(tf: str) -> str:
    found = family_of(tf)
    return tf if found is None else found.tf_class


def _with_its_family(tf: str, members: dict[int, dict[str, int]]) -> None:
    """Put a TF without a motif where most TFs of its family are."""
    kin = {
        label: sum(set(_families([tf])) <= set(_families([other])) for other in counts)
        for label, counts in members.items()
    }
    if _families([tf]) and max(kin.values(), default=0) > 0:
        members[max(kin, key=lambda label: kin[label])].setdefault(tf, 0)


def default_modes(tfs: Sequence[str], cut: float = CUT) -> BindingModes:
    """Binding modes where none are named: JASPAR's motifs, clustered, or else families.

    Families (`family_modes`) are taken where pyjaspar is not installed, or has no motif of the TFs.
    """
    if importlib.util.find_spec("pyjaspar"):
        pwms, wanted = read_profiles("jaspar"), {tf.upper() for tf in tfs}
        if any(wanted & set(motif_tfs(pwm)) for pwm in pwms):
            return cluster_modes(pwms, tfs, cut=cut)
    return family_modes(tfs)


def family_modes(tfs: Sequence[str]) -> BindingModes:
    """The families that come with the package (`cistransfer.relatives.families`) as modes.

    TFs of the wide families of zinc fingers have none. ``wider`` are the classes.
    """
    found = {tf: family_of(tf) for tf in tfs}
    known = {tf: each for tf, each in found.items() if each is not None and not each.is_wide}
    wider = modes_from_pairs("classes", [(tf, each.tf_class) for tf, each in known.items()])
    pairs = [(tf, each.family) for tf, each in known.items()]
    return replace(modes_from_pairs("families (JASPAR, after TFClass)", pairs), wider=wider)


def _is_cisbp(line: str) -> bool:
    """Whether a table's first line has the columns of a CIS-BP table."""
    return _pair(line.rstrip("\r\n").split("\t")) is not None


def read_cisbp(path: str | os.PathLike[str]) -> BindingModes:
    """Read families from a tab-separated table with a header.

    The columns are ``symbol`` and ``cisbp_family``, or those of CIS-BP's own ``TF_Information``
    (``TF_Name``, ``Family_Name``). TFs of the family ``Unknown`` get none. A family shares a kind
    of DNA-binding domain, not always a motif: ``C2H2 ZF`` has 700 members that bind all sorts.

    Raises
    ------
    InputError
        For a missing or empty file, missing columns, or a short line; names the line.
    """
    pairs = []
    with open_text(path) as handle:
        header = handle.readline().rstrip("\r\n").split("\t")
        columns = _pair(header)
        if columns is None:
            raise InputError(
                f"{path}, line 1: expected the columns symbol and cisbp_family (or TF_Name and "
                f"Family_Name), found {shown(', '.join(header[:8]))!r}"
            )
        tf, family = columns
        for number, line in enumerate(handle, start=2):
            fields = line.rstrip("\r\n").split("\t")
            if not line.strip():
                continue
            if len(fields) <= max(tf, family):
                raise InputError(
                    f"{path}, line {number}: expected {len(header)} columns like the header, "
                    f"found {len(fields)}"
                )
            if fields[tf] and fields[family] and fields[family] != "Unknown":
                pairs.append((fields[tf], fields[family]))
    if not pairs:
        raise InputError(f"{path}: expected TFs with their families, found none")
    return modes_from_pairs(f"CIS-BP families ({os.path.basename(path)})", pairs)


def _pair(header: list[str]) -> tuple[int, int] | None:
    for tf, family in _CISBP:
        if tf in header and family in header:
            return header.index(tf), header.index(family)
    return None


def _kind(source: str | os.PathLike[str]) -> str:
    with open_text(source) as handle:
        for line in handle:
            text = line.strip()
            if not text:
                continue
            if text.startswith(("format-version:", "[Term]")):
                return "tfclass"
            if text.startswith(
                ("MEME version", ">", "ALPHABET", "letter-probability", "MOTIF ", "AC ")
            ):
                return "motifs"
            return "cisbp" if _is_cisbp(line) else "table"
    raise InputError(f"{source}: expected binding modes, found an empty file")
