"""Choose the TFs to learn from first: any group, by name, with the evidence for each."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from cistransfer.binding.facts.cobinding import BindingVectors
from cistransfer.errors import InputError, nearest
from cistransfer.relatives.groups import (
    MIN_BOUND,
    PUBLISHED_COMMON,
    Group,
    Question,
    group_named,
)
from cistransfer.relatives.options import GroupOptions
from cistransfer.relatives.target import Known, candidates, widen

__all__ = ["Choice", "choose_group"]

_DRAWS = 5_000
_RELEVANT = 5


@dataclass(frozen=True, repr=False)
class Choice:
    """TFs to learn from first.

    Attributes
    ----------
    tfs : tuple of str
        The target first, where it was asked for.
    evidence : DataFrame
        One row per chosen TF: ``tf``, ``role`` (``target``, ``relative``, or ``other`` for those
        that the relatives are buried among), ``why`` (in words), the columns of
        `cistransfer.relatives.target.candidates`, and ``cost`` (int64: common regions that would
        be gained without it).
    common : int
        Regions resolved for all of them under ``rule``.
    candidates : DataFrame
        The same evidence for every TF of the matrix.
    sure : str
        ``high`` (a TF of the same family or motif is among them), ``medium`` (two of the first five
        by odds are of one family), ``low``; empty for groups that need no target.
    notes : tuple of str
        What the reader should know: how the target was found, what was left out.
    """

    target: str | None
    group: str
    tfs: tuple[str, ...]
    evidence: pd.DataFrame = field(repr=False)
    common: int
    rule: str
    seed: int
    candidates: pd.DataFrame = field(repr=False)
    sure: str = ""
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        target = f" for {self.target}" if self.target else ""
        tfs = ", ".join(self.tfs[:8]) + (", …" if len(self.tfs) > 8 else "")
        return f"<Choice{target}, {self.group}: {tfs} ({self.common:,} common regions)>"


def choose_group(
    known: Known, group: str, options: GroupOptions | None = None, *, seed: int = 0
) -> Choice:
    """Choose a group of TFs to pre-train on for a target.

    Parameters
    ----------
    known : Known
        The matrix and what the sources say of the target.
    group : str
        One of `cistransfer.relatives.groups.GROUPS`.
    options : GroupOptions, optional
        How many, which not, how much they must have.
    seed : int
        Seed of the drawn groups.

    Raises
    ------
    InputError
        For an unknown group or TF, missing modes or partners, a target in no mode, a group with
        too few members (says what is the nearest larger one) or too few common regions (says
        what to drop).
    """
    options = options or GroupOptions()
    asked = group_named(group)
    _check(known, asked, options)
    n = options.n if options.n is not None else (asked.size or None)
    if n is not None and n < 1 + options.with_target:
        raise InputError(f"expected at least {1 + options.with_target} TFs, found {n}")
    target, vectors = known.target, known.vectors
    question = Question(
        target=target,
        table=candidates(vectors, target, known.modes, known.partners),
        modes=known.modes,
        own=target.modes if target is not None else frozenset(),
        mode=options.mode,
        allowed=_allowed(known, asked, options),
        n=(len(vectors.tfs) if n is None else n) - options.with_target,
        with_target=options.with_target,
        notes=() if target is None else target.notes,
    )
    question = _only_mode(question, asked)
    if asked.others is not None:
        question, picked = _buried(asked, question, options.wider)
    else:
        question = _with_members(asked, question, options.wider)
    min_common = options.min_common
    if asked.drawn:
        if min_common is None:
            share = PUBLISHED_COMMON if asked.published else 0.0
            min_common = round(share * len(known.matrix))
        picked = _draw(asked, vectors, question, seed, min_common)
    else:
        if asked.others is None:
            picked = asked.members(question)[: question.n]
        _enough_common(vectors, question, picked, min_common or 0)
    return _answer(known, asked, question, picked, seed)


def _check(known: Known, group: Group, options: GroupOptions) -> None:
    """Refuse what the group cannot be made from."""
    matrix, target, modes, partners = known.matrix, known.target, known.modes, known.partners
    for name in options.exclude:
        if name not in matrix.tfs:
            raise InputError(
                f"{matrix.path}: no TF {name!r} to leave out; {nearest(name, matrix.tfs)}"
            )
    if target is None:
        if group.needs_target or options.with_target:
            raise InputError(f"group {group.name!r} needs a target TF")
    elif options.with_target and not target.in_matrix:
        raise InputError(
            f"{target.name} is not in {matrix.path} and cannot be one of the tasks; choose its "
            "relatives without it"
        )
    if "modes" in group.needs and modes is None:
        raise InputError(
            f"group {group.name!r} needs binding modes (--modes: a table, TFClass, CIS-BP, or "
            "motifs to cluster); co-binders and most-resolved need none"
        )
    if "partners" in group.needs and partners is None:
        raise InputError(
            f"group {group.name!r} needs protein partners (STRING's links and info files, or a "
            "table of pairs with a score)"
        )
    if target is None or not group.needs_target:
        return
    strict = "modes" in group.needs and not group.fewer
    if strict and modes is not None and not target.modes:
        why = "; ".join(target.notes)
        raise InputError(
            f"{modes.source}: no binding mode for {target.name}" + (f" ({why})" if why else "")
            + f"; {nearest(target.name, modes.names())}; give its motif, another source of modes, "
            "or take a group that needs none (co-binders, best-partners, most-resolved)"
        )  # fmt: skip
    if "cosine" in group.needs and target.cobinding is None and target.kin_cosine is None:
        raise InputError(
            f"group {group.name!r} needs to know where {target.name} binds: it is not in "
            f"{matrix.path}, no TF there is of its family or mode, and no peaks were given"
        )
    if "partners" in group.needs and partners is not None and not partners.of(target.name):
        raise InputError(
            f"{partners.source}: no partners of {target.name} among the TFs of the matrix "
            f"({len(partners.found)} of {len(partners.found) + len(partners.missing)} TFs mapped)"
        )


def _allowed(known: Known, group: Group, options: GroupOptions) -> frozenset[str]:
    out = set(options.exclude)
    target = known.target
    if target is not None and (options.with_target or not group.target_counts):
        out.add(target.name)
    counts = zip(known.vectors.tfs, known.vectors.bound_counts(), strict=True)
    fewest = _min_bound(known, group, options)
    return frozenset(tf for tf, bound in counts if bound >= fewest and tf not in out)


def _min_bound(known: Known, group: Group, options: GroupOptions) -> int:
    """Least number of bound regions of a TF that may be chosen for a group."""
    if options.min_bound is not None:
        return options.min_bound
    if group.min_bound is not None:
        return group.min_bound
    if group.published:
        return 1
    return max(1, min(MIN_BOUND, len(known.matrix) // 100))


def _only_mode(question: Question, group: Group) -> Question:
    """Narrow the target's modes to one, where that is asked for."""
    modes, mode = question.modes, question.mode
    if modes is None or question.target is None:
        return question
    if mode is None and group.one_mode:
        size = {each: len(modes.members([each], list(question.table.index)))
                for each in sorted(question.own)}  # fmt: skip
        mode = max(size, key=lambda each: size[each])
    if mode is None:
        return question
    if mode not in question.own:
        has = ", ".join(modes.title(each) for each in sorted(question.own)) or "none"
        raise InputError(f"{question.name} is not in binding mode {mode!r}; its modes are: {has}")
    return replace(question, mode=mode)


def _with_members(group: Group, question: Question, wider: bool) -> Question:
    """Make sure that there are enough members, in larger groups if that is allowed."""
    while True:
        members = group.members(question)
        if len(members) >= question.n or (group.fewer and members):
            notes = question.notes
            if len(members) < question.n and group.size:
                notes += (f"{question.n} were wanted, and nothing speaks for more",)
            return replace(question, n=min(question.n, len(members)), notes=notes)
        step = _wider(group, question)
        if not wider or step is None:
            raise InputError(_too_few(group, question, members, step))
        question = step


def _wider(group: Group, question: Question) -> Question | None:
    if not group.widens or question.modes is None or question.target is None:
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


def _too_few(group: Group, question: Question, members: list[str], step: Question | None) -> str:
    name = question.name
    who = f" ({', '.join(members)})" if 0 < len(members) <= 12 else ""
    if group.widens:
        count = str(len(members)) if members else "none"
        found = f"TFs that share a binding mode with {name} and can be chosen: {count}"
    elif question.target is None:
        found = f"TFs that can be chosen: {len(members)}"
    else:
        found = f"TFs in the group for {name}: {len(members)}"
    offers = [f"--n-tfs {len(members) + question.with_target}"] if members else []
    while step is not None:
        larger = len(group.members(step))
        if larger >= question.n:
            offers.append(f"--wider ({step.modes.source if step.modes else ''}: {larger} TFs)")
            break
        step = _wider(group, step)
    offers += [group.instead] if group.instead else []
    if not members and question.target is not None and question.target.cobinding is None:
        family = question.target.family
        found += f" ({family.without_kin()})" if family is not None else ""
        offers.append("its peaks (--peaks) or its motif (--target-motif)")
    advice = f"; take {', or '.join(offers)}" if offers else ""
    return f"{found}{who}, and {question.n} are wanted for {group.name!r}{advice}"


def _draw(
    group: Group, vectors: BindingVectors, question: Question, seed: int, min_common: int
) -> list[str]:
    """Draw members at random until they have enough common regions."""
    pool = group.members(question)
    rng = np.random.default_rng(seed)
    fixed = [question.name] if question.with_target else []
    best: tuple[int, list[str]] = (-1, [])
    draws = min(_DRAWS, 20 * math.comb(len(pool), question.n))
    for _ in range(draws):
        picked = [pool[i] for i in rng.choice(len(pool), question.n, replace=False)]
        common = vectors.common([*fixed, *picked])
        if common >= min_common:
            return picked
        best = max(best, (common, picked))
    raise InputError(
        f"none of {draws:,} draws for {group.name!r} has {min_common:,} regions resolved for "
        f"all; the best has {best[0]:,} ({', '.join([*fixed, *best[1]])}): "
        + _what_to_drop(vectors, [*fixed, *best[1]], fixed, min_common)
    )


def _buried(group: Group, question: Question, wider: bool) -> tuple[Question, list[str]]:
    """Five relevant TFs first, then those that they are buried among."""
    assert group.others is not None
    total = question.n
    first = replace(question, n=min(_RELEVANT - question.with_target, total))
    first = _with_members(group, first, wider)
    five = group.members(first)[: first.n]
    others = group.others(replace(first, allowed=question.allowed - set(five)))
    wanted = total - len(five)
    if len(others) < wanted:
        raise InputError(
            f"only {len(others)} other TFs to bury {len(five)} among, and {wanted} are wanted; "
            f"take --n-tfs {len(others) + len(five) + question.with_target}"
        )
    return first, [*five, *others[:wanted]]


def _enough_common(
    vectors: BindingVectors, question: Question, picked: list[str], min_common: int
) -> None:
    fixed = [question.name] if question.with_target else []
    common = vectors.common([*fixed, *picked])
    if common < min_common:
        raise InputError(
            f"only {common:,} regions are resolved for all of {', '.join([*fixed, *picked])} "
            f"({vectors.rule}), and {min_common:,} are wanted: "
            + _what_to_drop(vectors, [*fixed, *picked], fixed, min_common)
        )


def _what_to_drop(
    vectors: BindingVectors, tfs: list[str], fixed: list[str], min_common: int
) -> str:
    """Word which TFs to leave out, the costliest first, until enough regions are common."""
    left, dropped = list(tfs), []
    while vectors.common(left) < min_common and len(left) > 1 + len(fixed):
        without = dict(zip(left, vectors.common_without(left), strict=True))
        gain = {tf: common for tf, common in without.items() if tf not in fixed}
        worst = max(gain, key=lambda tf: gain[tf])
        left.remove(worst)
        dropped.append(worst)
    common = vectors.common(left)
    if common < min_common:
        return f"no dropping helps (even {', '.join(left)} have {common:,})"
    return f"drop {', '.join(dropped)} (--exclude-tfs) and {common:,} are left"


def _answer(known: Known, group: Group, question: Question, picked: list[str], seed: int) -> Choice:
    vectors = known.vectors
    tfs = [question.name, *picked] if question.with_target else list(picked)
    common = vectors.common(tfs)
    evidence = question.table.loc[tfs].reset_index()
    relevant = _RELEVANT if group.others is not None else len(tfs)
    roles = ["relative" if i < relevant else "other" for i in range(len(tfs))]
    if question.with_target:
        roles[0] = "target"
    evidence.insert(1, "role", roles)
    why = [_why(row) if row["role"] == "relative" else "" for _, row in evidence.iterrows()]
    evidence.insert(2, "why", why)
    evidence["cost"] = np.array(vectors.common_without(tfs), dtype=np.int64) - common
    sure, words = ("", "") if question.target is None else _how_sure(question, evidence)
    notes = [*question.notes, *_notes(known, group, question, evidence), *([words] * bool(words))]
    return Choice(
        target=question.name or None,
        group=group.name,
        tfs=tuple(tfs),
        evidence=evidence,
        common=common,
        rule=vectors.rule,
        seed=seed,
        candidates=question.table,
        sure=sure,
        notes=tuple(notes),
    )


def _why(row: pd.Series) -> str:
    """What speaks for a TF, in words."""
    told = {
        "same family": row["same_family"],
        "same mode": bool(row["shared"]),
        "binds alike": row["odds_low"] > 1,
        "partner": not math.isnan(row["partner"]),
        "binds like its kin": not math.isnan(row["kin_cosine"]),
    }
    return ", ".join(words for words, holds in told.items() if holds)


def _how_sure(question: Question, evidence: pd.DataFrame) -> tuple[str, str]:
    """How sure it is that relatives are relatives, and why that is not so sure."""
    chosen = evidence[evidence["role"] == "relative"]
    if (chosen["same_family"] | (chosen["shared"].map(len) > 0)).any():
        return "high", ""
    target = question.target
    if target is None or target.cobinding is None:
        return "low", ""
    kin_known = target.family is not None or target.modes
    table = question.may()
    first = table.sort_values("odds", ascending=False, kind="stable").head(5)
    families = first["family"][first["family"] != ""].value_counts()
    advice = "" if kin_known else f"; the name of {target.name} or its motif would decide"
    if len(families) and families.iloc[0] > 1 and not kin_known:
        many = (
            f"{families.iloc[0]} of the first five by odds are of one family ({families.index[0]})"
        )
        return "medium", f"by its peaks alone: {many}{advice}"
    return "low", f"no TF of its family or motif is among them{advice}"


def _notes(known: Known, group: Group, question: Question, evidence: pd.DataFrame) -> list[str]:
    """What the reader of a choice should know about it."""
    notes = []
    if question.modes is not None and "modes" in group.needs and question.target:
        unknown = [tf for tf in question.table.index if not question.table.at[tf, "modes"]]
        if unknown:
            notes.append(
                f"left out, because {question.modes.source} has no binding mode for them: "
                + ", ".join(unknown[:8])
                + (f", … ({len(unknown)} TFs)" if len(unknown) > 8 else "")
            )
    if known.partners is not None:
        source = known.partners
        notes.append(
            f"{source.source} names {len(source.found)} of "
            f"{len(source.found) + len(source.missing)} TFs ({source.share_mapped():.0%})"
        )
    poor = evidence[(evidence["role"] == "relative") & (evidence["bound"] < MIN_BOUND)]
    if len(poor):
        named = ", ".join(
            f"{tf} ({bound})" for tf, bound in zip(poor["tf"], poor["bound"], strict=True)
        )
        notes.append(f"few bound regions: {named}; --min-bound {MIN_BOUND} leaves such TFs out")
    return notes
