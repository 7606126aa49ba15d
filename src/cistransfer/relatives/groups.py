"""Every group of TFs to learn from first: a name, and a function that lists who may be chosen.

Novakovsky et al. 2021 (Figs. 6–8 and 10): the five groups of Fig. 6, the two "regardless of mode"
lists, the five relevant TFs buried among 45 others, and the 50 most resolved TFs. Where the code
does something else than the paper says, and where today's binding modes differ from theirs,
``…-published`` is what was published. A new group is one entry of `GROUPS` (CONTRIBUTING.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from cistransfer.errors import InputError, nearest
from cistransfer.relatives.modes import BindingModes
from cistransfer.relatives.target import Target

__all__ = [
    "GROUPS",
    "MIN_BOUND",
    "PENTAD",
    "PUBLISHED_COMMON",
    "TRIOS",
    "Group",
    "Question",
    "best_first",
    "group_named",
]

MIN_BOUND = 100
"""TFs with fewer bound regions are not chosen; 1 % of the regions of a smaller matrix."""

PUBLISHED_COMMON = 70_000 / 1_817_918
"""Share of the regions that the published random draws had to have in common (70,000)."""

PENTAD = ("JUND", "MAX", "SPI1", "SP1", "HNF4A")
"""The five targets of the published group experiments (EGR1 is the sixth of the code)."""

TRIOS = MappingProxyType(
    {
        "HNF4A": ("HNF4A", "NR2C2", "VDR"),
        "JUND": ("JUND", "ATF7", "NFE2L1"),
        "MAX": ("MAX", "MNT", "SREBF2"),
        "SPI1": ("SPI1", "ETV4", "ERG"),
        "SP1": ("SP1", "KLF9", "ZNF740"),
    }
)
"""The published 15 targets: one with many, one with 1,000 to 10,000, one with few bound regions.

ERG has 1,162, not fewer than 1,000 as the paper says.
"""

_FAMILY = 1.5  # how much a TF of the target's family counts beside one that shares a mode


@dataclass(frozen=True)
class Question:
    """A request, resolved: what the functions of groups look at.

    Attributes
    ----------
    table : DataFrame
        Evidence for every TF (see `cistransfer.relatives.target.candidates`).
    own : frozenset of str
        The target's modes.
    mode : str or None
        The one of them that counts, when only one does.
    allowed : frozenset of str
        TFs that may be chosen.
    n : int
        How many to choose, beside the target.
    """

    target: Target | None
    table: pd.DataFrame
    modes: BindingModes | None
    own: frozenset[str]
    mode: str | None
    allowed: frozenset[str]
    n: int
    with_target: bool = False
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the target, or nothing."""
        return self.target.name if self.target else ""

    def may(self) -> pd.DataFrame:
        """Evidence for the TFs that may be chosen, by name."""
        return self.table[self.table.index.isin(self.allowed)].sort_index()

    def same_mode(self) -> pd.DataFrame:
        """Those of them that share a mode with the target (the one mode, where one is named)."""
        table = self.may()
        if self.mode is None:
            return table[table["shared"].map(len) > 0]
        return table[table["shared"].map(lambda shared: self.mode in shared)]

    def other_modes(self) -> pd.DataFrame:
        """Those of them whose modes are known and none the target's."""
        table = self.may()
        return table[(table["shared"].map(len) == 0) & (table["modes"].map(len) > 0)]

    def alike(self) -> str:
        """The column of how alike TFs bind: the target's cosine, or that of its kin."""
        unknown = self.target is None or self.target.cobinding is None
        return "kin_cosine" if unknown else "cosine"


@dataclass(frozen=True)
class Group:
    """A way to choose TFs.

    Attributes
    ----------
    members : callable
        `Question` → who may be chosen, best first; of drawn groups, the pool by name.
    what : str
        One line for people.
    size : int
        How many TFs by default, the target included where it is asked for; 0 for all there are.
    needs : tuple of str
        ``modes``, ``cosine``, ``partners``.
    drawn : bool
        Whether it is drawn at random.
    published : bool
        Whether it follows the published code: motifs are clustered as theirs come out, and a TF
        with one bound region may be chosen.
    min_bound : int or None
        Least number of bound regions of a TF by default; by default `MIN_BOUND`, or 1 of the
        published ones.
    widens : bool
        Whether larger modes can be taken when one has too few TFs.
    one_mode : bool
        Whether one of the target's modes counts, the largest, where none is named.
    fewer : bool
        Whether fewer than were asked for will do.
    target_counts : bool
        Whether the target may be chosen like any other.
    others : callable or None
        For a buried group: `Question` → TFs to bury the first five among, best first.
    instead : str
        What to try when there are too few.
    """

    name: str
    members: Callable[[Question], list[str]]
    what: str
    size: int = 5
    needs: tuple[str, ...] = ()
    needs_target: bool = True
    drawn: bool = False
    published: bool = False
    min_bound: int | None = None
    widens: bool = False
    one_mode: bool = False
    fewer: bool = False
    target_counts: bool = False
    others: Callable[[Question], list[str]] | None = None
    instead: str = ""


def best_first(table: pd.DataFrame, column: str) -> list[str]:
    """TFs by a column, highest first; ties as they stand, unknown values left out."""
    known = table[table[column].notna()]
    return list(known.sort_values(column, ascending=False, kind="stable").index)


def _relatives(question: Question) -> list[str]:
    """Kin by how alike they bind beyond occupancy (else their motifs, else kin's binding) first."""
    table = question.may()
    kin = table["same_family"] | (table["shared"].map(len) > 0)
    by = "odds"
    if question.alike() == "kin_cosine":
        by = "motif" if table["motif"].notna().any() else "kin_cosine"
    weight = pd.Series(np.where(table["same_family"], _FAMILY, 1.0), table.index)
    score = (table[by] * weight).fillna(-1.0)
    first = table.assign(score=score)[kin].sort_values("bound", ascending=False, kind="stable")
    rest = table[~kin & ((table["odds"] > 1) | table["kin_cosine"].notna())]
    others = "kin_cosine" if by == "motif" else by
    return [*best_first(first, "score"), *best_first(rest, others)]


def _same_mode(question: Question) -> list[str]:
    return list(question.same_mode().index)


def _best_of_mode(question: Question) -> list[str]:
    return best_first(question.same_mode(), "bound")


def _cofactors(question: Question) -> list[str]:
    return best_first(question.other_modes(), question.alike())


def _non_cofactors(question: Question) -> list[str]:
    return best_first(question.same_mode(), question.alike())[::-1]


def _non_cofactors_published(question: Question) -> list[str]:
    # The code's list of five is descending, and beside the target its last one is dropped.
    found = _non_cofactors(question)
    wanted = question.n + question.with_target
    return found[:wanted][::-1] + found[wanted:]


def _partners(question: Question) -> list[str]:
    return best_first(question.other_modes(), "partner")


def _co_binders(question: Question) -> list[str]:
    return best_first(question.may(), question.alike())


def _best_partners(question: Question) -> list[str]:
    return best_first(question.may(), "partner")


def _other_modes(question: Question) -> list[str]:
    return list(question.other_modes().index)


def _any_other_mode(question: Question) -> list[str]:
    # As the code: a TF that shares a mode slips in through another one.
    return [tf for tf, modes in question.may()["modes"].items() if set(modes) - question.own]


def _most_resolved(question: Question) -> list[str]:
    return best_first(question.may(), "resolved")


def _most_resolved_of_other_modes(question: Question) -> list[str]:
    return best_first(question.other_modes(), "resolved")


def _general(question: Question) -> list[str]:
    """Of every mode the TF with most bound regions; one TF may stand for several."""
    table = question.may()
    ranked = best_first(table, "bound")
    best: dict[str, str] = {}
    for tf in ranked:
        for mode in table.at[tf, "modes"]:
            best.setdefault(mode, tf)
    chosen = set(best.values())
    return [tf for tf in ranked if tf in chosen]


def _ranks_two_to_six(question: Question) -> list[str]:
    # Of the mode by bound regions: the code takes the target for rank 1.
    everyone = _best_of_mode(replace(question, allowed=question.allowed | {question.name}))
    if question.name in everyone[1 : 1 + question.n]:
        raise InputError(
            f"the published rule takes ranks 2 to 6 of the binding mode and counts on "
            f"{question.name} being the first by bound regions, which it is not; take "
            "buried-binding-mode"
        )
    return everyone[1:]


def _literal(tfs: tuple[str, ...], question: Question) -> list[str]:
    if question.name != "JUND":
        raise InputError(f"these TFs were published for JUND, not for {question.name}")
    for tf in tfs:
        if tf not in question.table.index:
            raise InputError(f"the published group has {tf}, which is not in this matrix")
    return list(tfs)


_CO_BINDERS = "--group co-binders (whatever their mode)"
_BEST_PARTNERS = "--group best-partners (whatever their mode), or a lower score"
_MODES, _COSINE, _PARTNERS = ("modes",), ("cosine",), ("partners",)

_CHOSEN = [
    Group("relatives", _relatives, "TFs of its family or motif, then others that bind with it more "
          "than occupancy explains", needs=_MODES, fewer=True),
    Group("binding-mode", _same_mode, "drawn from the TFs that share a binding mode with the "
          "target", needs=_MODES, drawn=True, widens=True, instead=_CO_BINDERS),
    Group("binding-mode-best", _best_of_mode, "of the TFs that share a mode, those with most bound "
          "regions", needs=_MODES, widens=True, instead=_CO_BINDERS),
    Group("cofactors", _cofactors, "TFs of other modes that bind most alike (cosine)",
          needs=_MODES + _COSINE, instead=_CO_BINDERS),
    Group("non-cofactors", _non_cofactors, "TFs of the same mode that bind least alike",
          needs=_MODES + _COSINE, widens=True, instead=_CO_BINDERS),
    Group("partners", _partners, "best protein partners (STRING) of other modes",
          needs=_MODES + _PARTNERS, instead=_BEST_PARTNERS),
    Group("co-binders", _co_binders, "TFs that bind most alike, whatever their mode",
          needs=_COSINE),
    Group("best-partners", _best_partners, "best protein partners, whatever their mode",
          needs=_PARTNERS),
    Group("random", _other_modes, "drawn from the TFs that share no mode with the target",
          needs=_MODES, drawn=True),
    Group("most-resolved", _most_resolved, "TFs with most resolved regions", size=50,
          needs_target=False),
    Group("general", _general, "of every binding mode the TF with most bound regions", size=0,
          needs=_MODES, needs_target=False, fewer=True),
    Group("random-figure9", partial(_literal, ("CTCF", "EBF1", "MXI1", "NFYA", "TCF3")),
          "JUND's random TFs of Fig. 9C, as the paper names them", published=True),
    Group("random-figure9-notebook", partial(_literal, ("ZNF143", "TP63", "GATA3", "ELK1", "RXRA")),
          "JUND's random TFs of Fig. 9C, as the notebook names them", published=True),
]  # fmt: skip
_BY_NAME = {group.name: group for group in _CHOSEN}

_AS_PUBLISHED: list[tuple[str, str, dict[str, Any]]] = [
    ("binding-mode", "one of the target's modes, drawn again until the common regions suffice",
     {"one_mode": True}),
    ("binding-mode-best", "the same of the published modes", {}),
    ("cofactors", "the same of the published modes", {}),
    ("non-cofactors", "beside the target the least similar one is dropped",
     {"members": _non_cofactors_published}),
    ("partners", "the same of the published modes", {}),
    ("random", "a TF with two modes slips in through the other one", {"members": _any_other_mode}),
    ("most-resolved", "the target counts like any other", {"target_counts": True, "min_bound": 0}),
]  # fmt: skip

_BURIED = [
    # Group, what its first five do, needs, and its members as published.
    ("binding-mode", "binding-mode-best", "share a mode with the target", _ranks_two_to_six),
    ("cofactors", "cofactors", "are its cofactors", _cofactors),
    ("partners", "partners", "are its partners of other modes", _partners),
    ("co-binders", "co-binders", "bind most alike", _co_binders),
    ("best-partners", "best-partners", "are its best partners", _best_partners),
]


def _published() -> list[Group]:
    return [
        replace(_BY_NAME[name], name=f"{name}-published", what=f"as the code: {what}",
                published=True, **changed)
        for name, what, changed in _AS_PUBLISHED
    ]  # fmt: skip


def _buried() -> list[Group]:
    made = []
    for name, first, do, members in _BURIED:
        group = _BY_NAME[first]
        ours = replace(
            group,
            name=f"buried-{name}",
            what=f"five that {do}, buried among 45 others of other modes (the most resolved)",
            size=50,
            needs=tuple(dict.fromkeys(_MODES + group.needs)),
            others=_most_resolved_of_other_modes,
        )
        theirs = replace(
            ours,
            name=f"buried-{name}-published",
            what=f"as the code: five that {do} among the 45 most resolved others, whatever their "
            "mode",
            needs=group.needs,
            members=members,
            others=_most_resolved,
            published=True,
            one_mode=name == "binding-mode",
        )
        made += [ours, theirs]
    return made


GROUPS = MappingProxyType({group.name: group for group in (*_CHOSEN, *_published(), *_buried())})
"""All groups by name. ``buried`` and ``mode`` stand for the first of their kind."""

_SHORT = {"buried": "buried-binding-mode", "mode": "binding-mode", "string": "partners"}


def group_named(name: str) -> Group:
    """Return a group by its name; `InputError` with the nearest names when there is none."""
    found = GROUPS.get(_SHORT.get(name, name))
    if found is None:
        raise InputError(f"no group {name!r}; {nearest(name, GROUPS)}")
    return found
