"""Choose the TFs to learn from first: any published group, by name, with the evidence for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from cistransfer.binding.facts.cobinding import BindingVectors, binding_vectors
from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError, nearest
from cistransfer.relatives.candidates import candidates
from cistransfer.relatives.groups import PUBLISHED_COMMON, Group, group_named
from cistransfer.relatives.members import (
    Question,
    best_first,
    group_members,
    only_mode,
    with_members,
)
from cistransfer.relatives.modes import BindingModes
from cistransfer.relatives.partners import Partners
from cistransfer.relatives.target import Target, find_target

__all__ = ["Choice", "choose_group"]

_DRAWS = 5_000
_RELEVANT = 5
_POOR = 100


@dataclass(frozen=True, repr=False)
class Choice:
    """TFs to learn from first.

    Attributes
    ----------
    target : str or None
    group : str
    tfs : tuple of str
        The target first, where it was asked for.
    evidence : DataFrame
        One row per chosen TF: ``tf``, ``role`` (``target``, ``relative``, or ``other`` for those
        that the relatives are buried among), ``modes``, ``shared`` (tuples of str), ``cosine``,
        ``partner``, ``bound``, ``resolved``, ``resolved_with_target`` (see
        `cistransfer.relatives.candidates.candidates`) and ``cost`` (int64: common regions that
        would be gained without it).
    common : int
        Regions resolved for all of them under ``rule``.
    rule : str
    seed : int
    candidates : DataFrame
        The same evidence for every TF of the matrix.
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
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        target = f" for {self.target}" if self.target else ""
        tfs = ", ".join(self.tfs[:8]) + (", …" if len(self.tfs) > 8 else "")
        return f"<Choice{target}, {self.group}: {tfs} ({self.common:,} common regions)>"


def choose_group(
    matrix: BindingMatrix,
    target: str | Target | None,
    group: str = "cofactors",
    n: int | None = None,
    with_target: bool = False,
    *,
    modes: BindingModes | None = None,
    partners: Partners | None = None,
    seed: int = 0,
    least_common: int | None = None,
    least_bound: int = 1,
    exclude: Sequence[str] = (),
    mode: str | None = None,
    wider: bool = False,
    rule: str | None = None,
    vectors: BindingVectors | None = None,
) -> Choice:
    """Choose a group of TFs to pre-train on for a target.

    Parameters
    ----------
    matrix : BindingMatrix
    target : str, Target or None
        A TF of the matrix, or what `cistransfer.relatives.target.find_target` makes of peaks, a
        motif or a name; None for the groups that need none.
    group : str
        One of `cistransfer.relatives.groups.GROUPS`.
    n : int, optional
        How many TFs, the target included (5; 50 for the most resolved and the buried; every mode
        for ``general``).
    with_target : bool
        Whether the target is one of the tasks (then it takes one of the ``n`` places).
    modes, partners : optional
        Needed by the groups that speak of binding modes or of protein partners.
    seed : int
        Seed of the drawn groups.
    least_common : int, optional
        Least number of regions resolved for all chosen TFs. Drawn groups are drawn again until
        they have it. By default none; for the published drawn groups 3.85 % of the regions, which
        are the published 70,000 on the whole matrix.
    least_bound : int
        TFs with fewer bound regions are not chosen (the published code drops those with none).
    exclude : sequence of str
        TFs not to choose.
    mode : str, optional
        Only TFs of this binding mode count as sharing one (the published code uses one of the
        target's modes: where nothing is named, the ``…binding-mode-published`` groups take the one
        with most TFs).
    wider : bool
        Take the next larger groups of the source when too few TFs share a mode.
    rule : str, optional
        View of the matrix for cosines and counts; by default ``less-sparse``, as published.
    vectors : BindingVectors, optional
        The matrix's binding vectors, when they have been read already.

    Returns
    -------
    Choice

    Raises
    ------
    InputError
        For an unknown group or TF, missing modes or partners, a target in no mode, a group with
        too few members (says what is the nearest larger one) or too few common regions (says
        what to drop).
    """
    chosen_group = group_named(group)
    vectors = vectors or binding_vectors(matrix, rule)
    if isinstance(target, str):
        target = find_target(matrix, vectors, target, modes=modes, partners=partners)
    _check(matrix, chosen_group, target, with_target, modes, partners, exclude)
    n = n if n is not None else (chosen_group.size or None)
    if n is not None and n < 1 + with_target:
        raise InputError(f"expected at least {1 + with_target} TFs, found {n}")
    own = target.modes if target is not None else frozenset()
    question = Question(
        group=chosen_group,
        target=target,
        table=candidates(vectors, target, modes, partners),
        modes=modes,
        own=own,
        mode=mode,
        allowed=_allowed(vectors, target, chosen_group, with_target, least_bound, exclude),
        n=(len(vectors.tfs) if n is None else n) - with_target,
        with_target=with_target,
        partners=partners,
        notes=() if target is None else target.notes,
    )
    question = only_mode(question)
    if chosen_group.name.startswith("buried-"):
        question, picked = _buried(question, wider)
        _enough_common(vectors, question, picked, least_common or 0)
    elif chosen_group.drawn:
        if least_common is None:
            share = PUBLISHED_COMMON if chosen_group.published else 0.0
            least_common = round(share * len(matrix))
        question = with_members(question, wider)
        picked = _draw(vectors, question, seed, least_common)
    else:
        question = with_members(question, wider)
        picked = _first(question)
        _enough_common(vectors, question, picked, least_common or 0)
    return _answer(vectors, question, picked, seed)


def _check(
    matrix: BindingMatrix,
    group: Group,
    target: Target | None,
    with_target: bool,
    modes: BindingModes | None,
    partners: Partners | None,
    exclude: Sequence[str],
) -> None:
    """Refuse what the group cannot be made from."""
    for name in exclude:
        if name not in matrix.tfs:
            raise InputError(
                f"{matrix.path}: no TF {name!r} to leave out; {nearest(name, matrix.tfs)}"
            )
    if target is None:
        if group.needs_target or with_target:
            raise InputError(f"group {group.name!r} needs a target TF")
    elif with_target and not target.in_matrix:
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
    if "modes" in group.needs and modes is not None and not target.modes:
        why = "; ".join(target.notes)
        raise InputError(
            f"{modes.source}: no binding mode for {target.name}" + (f" ({why})" if why else "")
            + f"; {nearest(target.name, modes.names())}; give its motif, another source of modes, "
            "or take a group that needs none (co-binders, best-partners, most-resolved)"
        )  # fmt: skip
    if "cosine" in group.needs and target.cobinding is None:
        raise InputError(
            f"group {group.name!r} needs to know where {target.name} binds: it is not in "
            f"{matrix.path}, no TF there shares a binding mode with it, and no peaks were given"
        )
    if "partners" in group.needs and partners is not None and not partners.of(target.name):
        raise InputError(
            f"{partners.source}: no partners of {target.name} among the TFs of the matrix "
            f"({len(partners.found)} of {len(partners.found) + len(partners.missing)} TFs mapped)"
        )


def _allowed(
    vectors: BindingVectors,
    target: Target | None,
    group: Group,
    with_target: bool,
    least_bound: int,
    exclude: Sequence[str],
) -> frozenset[str]:
    out = set(exclude)
    as_others = group.name == "most-resolved-published"
    if target is not None and (with_target or not as_others):
        out.add(target.name)
    counts = zip(vectors.tfs, vectors.bound_counts(), strict=True)
    if as_others:
        least_bound = 0
    return frozenset(tf for tf, bound in counts if bound >= least_bound and tf not in out)


def _first(question: Question) -> list[str]:
    """Take the first members of a ranked group."""
    found = group_members(question)
    if question.group.name == "non-cofactors-published":
        # The code's list of five is descending, and beside the target its last one is dropped.
        lowest = found[: question.n + question.with_target][::-1]
        return lowest[: question.n]
    return found[: question.n]


def _draw(vectors: BindingVectors, question: Question, seed: int, least: int) -> list[str]:
    """Draw members at random until they have enough common regions."""
    pool = group_members(question)
    rng = np.random.default_rng(seed)
    fixed = [question.name] if question.with_target else []
    best: tuple[int, list[str]] = (-1, [])
    draws = min(_DRAWS, 20 * math.comb(len(pool), question.n))
    for _ in range(draws):
        picked = [pool[at] for at in rng.choice(len(pool), question.n, replace=False)]
        common = vectors.common([*fixed, *picked])
        if common >= least:
            return picked
        best = max(best, (common, picked))
    raise InputError(
        f"none of {draws:,} draws for {question.group.name!r} has {least:,} regions resolved for "
        f"all; the best has {best[0]:,} ({', '.join([*fixed, *best[1]])}): "
        + _what_to_drop(vectors, [*fixed, *best[1]], fixed, least)
    )


def _buried(question: Question, wider: bool) -> tuple[Question, list[str]]:
    """Five relevant TFs first, then the most resolved others (of other modes, unless published)."""
    group, total, with_target = question.group, question.n, question.with_target
    published = group.published
    relevant = with_members(replace(question, n=min(_RELEVANT - with_target, total)), wider)
    if group.name == "buried-binding-mode-published":
        # Ranks 2 to 6 of the mode by bound regions: the code takes the target for rank 1.
        everyone = replace(relevant, allowed=relevant.allowed | {question.name})
        five = group_members(everyone)[1 : 1 + relevant.n]
        if question.name in five:
            raise InputError(
                f"the published rule takes ranks 2 to 6 of the binding mode and counts on "
                f"{question.name} being the first by bound regions, which it is not; take "
                "buried-binding-mode"
            )
    else:
        five = group_members(relevant)[: relevant.n]
    table = relevant.table[relevant.table.index.isin(question.allowed - set(five))].sort_index()
    if not published:
        table = table[(table["shared"].map(len) == 0) & (table["modes"].map(len) > 0)]
    others = best_first(table, "resolved")
    wanted = total - len(five)
    if len(others) < wanted:
        raise InputError(
            f"only {len(others)} other TFs to bury {len(five)} among, and {wanted} are wanted; "
            f"take --n-tfs {len(others) + len(five) + with_target}"
        )
    return relevant, [*five, *others[:wanted]]


def _enough_common(
    vectors: BindingVectors, question: Question, picked: list[str], least: int
) -> None:
    fixed = [question.name] if question.with_target else []
    common = vectors.common([*fixed, *picked])
    if common < least:
        raise InputError(
            f"only {common:,} regions are resolved for all of {', '.join([*fixed, *picked])} "
            f"({vectors.rule}), and {least:,} are wanted: "
            + _what_to_drop(vectors, [*fixed, *picked], fixed, least)
        )


def _what_to_drop(vectors: BindingVectors, tfs: list[str], fixed: list[str], least: int) -> str:
    """Word which TFs to leave out, the costliest first, until enough regions are common."""
    left, dropped = list(tfs), []
    while vectors.common(left) < least and len(left) > 1 + len(fixed):
        without = dict(zip(left, vectors.common_without(left), strict=True))
        gain = {tf: common for tf, common in without.items() if tf not in fixed}
        worst = max(gain, key=lambda tf: gain[tf])
        left.remove(worst)
        dropped.append(worst)
    common = vectors.common(left)
    if common < least:
        return f"no dropping helps (even {', '.join(left)} have {common:,})"
    return f"drop {', '.join(dropped)} (--exclude-tfs) and {common:,} are left"


def _answer(vectors: BindingVectors, question: Question, picked: list[str], seed: int) -> Choice:
    tfs = [question.name, *picked] if question.with_target else list(picked)
    common = vectors.common(tfs)
    evidence = question.table.loc[tfs].reset_index()
    buried = question.group.name.startswith("buried-")
    relevant = _RELEVANT if buried else len(tfs)
    roles = ["relative" if place < relevant else "other" for place in range(len(tfs))]
    if question.with_target:
        roles[0] = "target"
    evidence.insert(1, "role", roles)
    evidence["cost"] = np.array(vectors.common_without(tfs), dtype=np.int64) - common
    notes = [*question.notes, *_notes(question, evidence)]
    return Choice(
        target=question.name or None,
        group=question.group.name,
        tfs=tuple(tfs),
        evidence=evidence,
        common=common,
        rule=vectors.rule,
        seed=seed,
        candidates=question.table,
        notes=tuple(notes),
    )


def _notes(question: Question, evidence: pd.DataFrame) -> list[str]:
    """What the reader of a choice should know about it."""
    notes = []
    if question.modes is not None and "modes" in question.group.needs and question.target:
        unknown = [tf for tf in question.table.index if not question.table.at[tf, "modes"]]
        if unknown:
            notes.append(
                f"left out, because {question.modes.source} has no binding mode for them: "
                + ", ".join(unknown[:8])
                + (f", … ({len(unknown)} TFs)" if len(unknown) > 8 else "")
            )
    if question.partners is not None:
        source = question.partners
        notes.append(
            f"{source.source} names {len(source.found)} of "
            f"{len(source.found) + len(source.missing)} TFs ({source.share_mapped():.0%})"
        )
    poor = evidence[(evidence["role"] == "relative") & (evidence["bound"] < _POOR)]
    if len(poor):
        named = ", ".join(
            f"{tf} ({bound})" for tf, bound in zip(poor["tf"], poor["bound"], strict=True)
        )
        notes.append(f"few bound regions: {named}; --min-bound {_POOR} leaves such TFs out")
    return notes
