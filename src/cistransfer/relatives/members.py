"""Who may be chosen for a group, best first; what a rule looks at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from cistransfer.errors import InputError
from cistransfer.relatives.candidates import widen
from cistransfer.relatives.groups import Group
from cistransfer.relatives.modes import BindingModes
from cistransfer.relatives.partners import Partners
from cistransfer.relatives.target import Target

__all__ = ["Question", "best_first", "group_members", "only_mode", "with_members"]

_SAME = ("binding-mode", "binding-mode-best", "non-cofactors")


@dataclass(frozen=True)
class Question:
    """A request, resolved: what the rules look at.

    Attributes
    ----------
    group : Group
    target : Target or None
    table : DataFrame
        Evidence for every TF (see `cistransfer.relatives.candidates.candidates`).
    modes : BindingModes or None
    own : frozenset of str
        The target's modes.
    mode : str or None
        The one of them that counts, when only one does.
    allowed : frozenset of str
        TFs that may be chosen.
    n : int
        How many to choose, beside the target.
    with_target : bool
    partners : Partners or None
    notes : tuple of str
    """

    group: Group
    target: Target | None
    table: pd.DataFrame
    modes: BindingModes | None
    own: frozenset[str]
    mode: str | None
    allowed: frozenset[str]
    n: int
    with_target: bool = False
    partners: Partners | None = None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the target, or nothing."""
        return self.target.name if self.target else ""


def only_mode(question: Question) -> Question:
    """Narrow the target's modes to one, where that is asked for."""
    modes, mode = question.modes, question.mode
    if modes is None or question.target is None:
        return question
    if mode is None and question.group.name.endswith("binding-mode-published"):
        size = {each: len(modes.members([each], list(question.table.index)))
                for each in sorted(question.own)}  # fmt: skip
        mode = max(size, key=lambda each: size[each])
    if mode is None:
        return question
    if mode not in question.own:
        has = ", ".join(modes.title(each) for each in sorted(question.own)) or "none"
        raise InputError(f"{question.name} is not in binding mode {mode!r}; its modes are: {has}")
    return replace(question, mode=mode)


def _shares(question: Question) -> pd.Series:
    """Whether each TF shares a mode with the target (the one mode, where one is named)."""
    if question.mode is None:
        return question.table["shared"].map(len) > 0
    return question.table["shared"].map(lambda shared: question.mode in shared)


def group_members(question: Question) -> list[str]:
    """TFs that may be chosen, best first (those of drawn groups by name)."""
    rule = question.group.rule
    table = question.table[question.table.index.isin(question.allowed)].sort_index()
    same = table[_shares(question).reindex(table.index)]
    other = table[(table["shared"].map(len) == 0) & (table["modes"].map(len) > 0)]
    if rule == "binding-mode":
        return list(same.index)
    if rule == "binding-mode-best":
        return best_first(same, "bound")
    if rule == "cofactors":
        return best_first(other, "cosine")
    if rule == "non-cofactors":
        return best_first(same, "cosine")[::-1]
    if rule == "partners":
        return best_first(other, "partner")
    if rule == "co-binders":
        return best_first(table, "cosine")
    if rule == "best-partners":
        return best_first(table, "partner")
    if rule == "most-resolved":
        return best_first(table, "resolved")
    if rule == "random":
        if question.group.published:
            own = question.own
            return [tf for tf in table.index if set(table.at[tf, "modes"]) - own]
        return list(other.index)
    if rule == "general":
        return _representatives(table)
    return _literal(question)


def best_first(table: pd.DataFrame, column: str) -> list[str]:
    """TFs by a column, highest first; ties as they stand, unknown values left out."""
    known = table[table[column].notna()]
    return list(known.sort_values(column, ascending=False, kind="stable").index)


def _representatives(table: pd.DataFrame) -> list[str]:
    """Of every mode the TF with most bound regions, best first; one TF may stand for several."""
    best: dict[str, str] = {}
    for tf in best_first(table, "bound"):
        for mode in table.at[tf, "modes"]:
            best.setdefault(mode, tf)
    chosen = set(best.values())
    return [tf for tf in best_first(table, "bound") if tf in chosen]


def _literal(question: Question) -> list[str]:
    group = question.group
    if question.name != "JUND":
        raise InputError(f"group {group.name!r} was published for JUND, not for {question.name}")
    for tf in group.literal:
        if tf not in question.table.index:
            raise InputError(f"group {group.name!r} has {tf}, which is not in this matrix")
    return list(group.literal)


def with_members(question: Question, wider: bool) -> Question:
    """Make sure that there are enough members, in larger groups if that is allowed."""
    everything = question.group.rule == "general" and question.group.size == 0
    while True:
        members = group_members(question)
        if len(members) >= question.n or (everything and members):
            return replace(question, n=min(question.n, len(members)))
        step = _wider(question)
        if not wider or step is None:
            raise InputError(_too_few(question, members, step))
        question = step


def _wider(question: Question) -> Question | None:
    if question.group.rule not in _SAME or question.modes is None or question.target is None:
        return None
    step = widen(question.modes, question.own, question.target, question.table.index)
    if step is None:
        return None
    modes, own = step
    table = question.table.copy()
    table["modes"] = [tuple(sorted(modes.of(tf))) for tf in table.index]
    table["shared"] = [tuple(sorted(modes.of(tf) & own)) for tf in table.index]
    note = f"too few TFs share a mode; taken instead: {modes.source}"
    return replace(
        question, modes=modes, own=own, table=table, mode=None, notes=(*question.notes, note)
    )


def _too_few(question: Question, members: list[str], step: Question | None) -> str:
    group, name = question.group, question.name
    who = f" ({', '.join(members)})" if 0 < len(members) <= 12 else ""
    if group.rule in _SAME:
        count = str(len(members)) if members else "none"
        found = f"TFs that share a binding mode with {name} and can be chosen: {count}"
    elif question.target is None:
        found = f"TFs that can be chosen: {len(members)}"
    else:
        found = f"TFs in the group for {name}: {len(members)}"
    offers = [f"--n-tfs {len(members) + question.with_target}"] if members else []
    while step is not None:
        larger = len(group_members(step))
        if larger >= question.n:
            offers.append(f"--wider ({step.modes.source if step.modes else ''}: {larger} TFs)")
            break
        step = _wider(step)
    if group.rule in (*_SAME, "cofactors"):
        offers.append("--group co-binders (whatever their mode)")
    elif group.rule == "partners":
        offers.append("--group best-partners (whatever their mode), or a lower score")
    advice = f"; take {', or '.join(offers)}" if offers else ""
    return f"{found}{who}, and {question.n} are wanted for {group.name!r}{advice}"
