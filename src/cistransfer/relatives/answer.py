"""From files to an answer: which TFs to pre-train on for a target, why, and in words."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pandas as pd

from cistransfer.binding.facts.cobinding import BindingVectors, binding_vectors, cobinding
from cistransfer.binding.matrix import BindingMatrix, open_matrix
from cistransfer.errors import InputError
from cistransfer.genome.assemblies import match_names, words_of_renamed
from cistransfer.genome.bed import read_bed
from cistransfer.motifs.names import motif_tfs
from cistransfer.motifs.pwm import PWM
from cistransfer.relatives.choose import Choice, choose_group
from cistransfer.relatives.groups import GROUPS, group_named
from cistransfer.relatives.modes import BindingModes, mode_agreement, write_modes_table
from cistransfer.relatives.options import DEFAULT_GROUP, GroupOptions, Sources
from cistransfer.relatives.partners import Partners, check_partners, read_pairs, read_string
from cistransfer.relatives.read_modes import (
    default_modes,
    published_modes,
    read_modes,
    read_profiles,
)
from cistransfer.relatives.target import Known, Target, find_target
from cistransfer.storage import output
from cistransfer.tables import write_tsv

__all__ = [
    "Relatives",
    "choice_lines",
    "choice_values",
    "find_relatives",
    "groups_lines",
    "write_evidence",
]

StrPath = str | os.PathLike[str]

_SHOWN = 60


@dataclass(frozen=True, repr=False)
class Relatives:
    """What the sources say about one target; `choose` makes any group of it.

    Attributes
    ----------
    known : Known
        Matrix, binding vectors, target, binding modes and partners.
    group : str
        The one that ``choice``, ``tfs`` and ``evidence`` are of.
    sources : Sources
        Where it is from, regions and motifs as they were read.
    notes : tuple of str
        How regions and motifs were read, in words.
    """

    known: Known
    group: str = DEFAULT_GROUP
    options: GroupOptions = field(default_factory=GroupOptions)
    sources: Sources = field(default_factory=Sources)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        name = self.target.name if self.target else "the matrix"
        sure = f"; sure: {self.choice.sure}" if self.choice.sure else ""
        return f"<{self.group} of {name}: {', '.join(self.tfs)}{sure}>"

    @property
    def target(self) -> Target | None:
        """The target, as it was found."""
        return self.known.target

    @property
    def modes(self) -> BindingModes | None:
        """Binding modes."""
        return self.known.modes

    @property
    def vectors(self) -> BindingVectors:
        """The matrix's binding vectors."""
        return self.known.vectors

    @functools.cached_property
    def choice(self) -> Choice:
        """The choice for ``group``."""
        return choose_group(self.known_for(self.group), self.group, self.options)

    @property
    def tfs(self) -> tuple[str, ...]:
        """The chosen TFs."""
        return self.choice.tfs

    @property
    def evidence(self) -> pd.DataFrame:
        """What speaks for each of them (see `cistransfer.relatives.choose.Choice`)."""
        return self.choice.evidence

    @functools.cached_property
    def as_published(self) -> Known:
        """The same with the motifs clustered so that the published modes come out."""
        known = self.known
        if known.modes is None or not known.modes.profiles:
            return known
        name = known.target.name if known.target else None
        tfs = [*known.vectors.tfs, *([name] if name else [])]
        modes = published_modes(known.modes.profiles, tfs)
        return _with_target(replace(known, modes=modes), name, self.sources)

    def known_for(self, group: str) -> Known:
        """What is known, for a group: for the published ones `as_published`."""
        asked = group_named(group)
        as_published = asked.published and "modes" in asked.needs
        return self.as_published if as_published else self.known

    def choose(self, group: str | None = None, *, seed: int = 0, **options: Any) -> Choice:
        """Choose a group; ``options`` are the fields of `GroupOptions`."""
        group = group or self.group
        return choose_group(
            self.known_for(group), group, replace(self.options, **options), seed=seed
        )

    def choose_all(self, n: int | None = None, **options: Any) -> dict[str, Choice | str]:
        """Choose every group that the sources allow; the reason in words where they do not.

        ``n`` is for the groups of five; ``options`` are those of `choose`.
        """
        found: dict[str, Choice | str] = {}
        for name, group in GROUPS.items():
            size = n if group.size == 5 else None
            try:
                found[name] = self.choose(name, n=size, **options)
            except InputError as error:
                found[name] = str(error)
        return found

    def checks(
        self,
        reference: str | None = None,
        partners: bool = False,
        *,
        level: str = "family",
        symbols: StrPath | None = None,
    ) -> tuple[dict[str, Any], list[str]]:
        """Compare the modes with another source, and test whether partners co-bind more.

        Returns
        -------
        values : dict
            ``agreement`` and ``partner_check``, JSON-ready, where asked for.
        lines : list of str
            The same in words.
        """
        values: dict[str, Any] = {}
        lines: list[str] = []
        if reference is not None:
            modes = self._modes("compare")
            tfs = self.known.matrix.tfs
            other = read_modes(reference, tfs, level=level, symbols=symbols)
            agreed = mode_agreement(modes, other, tfs)
            values["agreement"] = {"modes": modes.source, "with": other.source, **asdict(agreed)}
            lines.append(
                f"{modes.source} against {other.source}, {agreed.tfs} TFs: of the pairs that share "
                f"a mode {agreed.precision:.0%} do there too, of those there {agreed.recall:.0%} "
                f"do here; kappa {agreed.kappa:.2f}"
            )
        if partners:
            if self.known.partners is None:
                raise InputError("to check partners, name them (--partners)")
            check = check_partners(cobinding(self.vectors), self.known.partners)
            values["partner_check"] = asdict(check)
            lines.append(
                f"mean cosine of {check.pairs:,} pairs that score ≥ {check.min_score:g}: "
                f"{check.mean:.3f}; of the other {check.rest:,}: {check.rest_mean:.3f} "
                f"(Welch t = {check.t:.2f}, p = {check.p:.3g}; pairs share TFs)"
            )
        return values, lines

    def save_modes(self, path: StrPath) -> None:
        """Write the binding modes of the matrix's TFs as a table that can be read again."""
        modes = self._modes("save")
        with output([path], ["relatives"]):
            write_modes_table(path, modes)

    def _modes(self, what: str) -> BindingModes:
        if self.modes is None or not self.modes.groups:
            raise InputError(f"no binding modes to {what}; name them (--modes)")
        return self.modes


def find_relatives(
    matrix: BindingMatrix | StrPath,
    target: str | pd.DataFrame | PWM | Sequence[PWM] | None,
    sources: Sources | None = None,
    *,
    name: str | None = None,
    group: str = DEFAULT_GROUP,
    rule: str | None = None,
    **options: Any,
) -> Relatives:
    """Find the TFs to learn from first for a target, and what speaks for each.

    ::

        found = find_relatives(matrix, "FLI1")
        found.tfs, found.evidence
        found.choose("cofactors", n=3).tfs

    Parameters
    ----------
    target : str, DataFrame, PWM, sequence of PWM or None
        A TF by name, in the matrix or not; its peaks (a region table); its motif. None where
        peaks or a motif among the ``sources`` are all that is known of it, and for groups that
        need no target.
    sources : Sources, optional
        More of what is known: peaks of a named TF, binding modes, partners.
    name : str, optional
        The TF whose peaks or motif these are, if it is known: its family then counts, too.
    group : str
        The group that is asked for; "all" for all of them.
    rule : str, optional
        View of the matrix; by default ``less-sparse``.
    **options
        Fields of `cistransfer.relatives.options.GroupOptions`: ``n``, ``min_bound``, ….

    Raises
    ------
    InputError
        For whatever is wrong with a file, and for a target of which nothing is known.
    """
    matrix = matrix if isinstance(matrix, BindingMatrix) else open_matrix(matrix)
    sources = sources or Sources()
    if isinstance(target, pd.DataFrame):
        target, sources = name or "the peaks", replace(sources, peaks=target)
    elif target is not None and not isinstance(target, str):
        motifs = [target] if isinstance(target, PWM) else list(target)
        if not motifs or not all(isinstance(each, PWM) for each in motifs):
            raise InputError(
                "target: expected the name of a TF, its peaks (a table) or its motif (a PWM), "
                f"found {type(target).__name__}"
            )
        # A motif of the target is what it is by, whatever JASPAR says of its name.
        target, sources = name or "::".join(motif_tfs(motifs[0])), replace(sources, motif=motifs)
    vectors = binding_vectors(matrix, rule, cells=sources.evidence_cell)
    sources, notes = _read_files(sources, matrix)
    if target is None and sources.peaks is not None:
        target = name or "the peaks"
    elif target is None and sources.motif is not None:
        target = name or "::".join(motif_tfs(_pwms(sources.motif)[0]))
    modes, partners = _read_sources(matrix, target, sources, group)
    known = Known(matrix, vectors, None, modes, partners)
    return Relatives(
        _with_target(known, target, sources),
        DEFAULT_GROUP if group == "all" else group_named(group).name,
        GroupOptions(**options),
        sources,
        notes,
    )


def _read_sources(
    matrix: BindingMatrix, target: str | None, sources: Sources, group: str
) -> tuple[BindingModes | None, Partners | None]:
    """Read binding modes and partners for the TFs of the matrix and the target."""
    known = {tf.upper() for tf in matrix.tfs}
    tfs = [*matrix.tfs, *([target] if target and target.upper() not in known else [])]
    source = sources.modes
    modes = None
    if source is None and (group == "all" or "modes" in group_named(group).needs):
        modes = default_modes(tfs, sources.cut)
    elif source is not None:
        modes = read_modes(
            source, tfs, level=sources.level, cut=sources.cut, symbols=sources.symbols
        )
    partners = None
    least = {} if sources.min_score is None else {"min_score": sources.min_score}
    if sources.partners is not None and sources.partner_names is not None:
        partners = read_string(sources.partners, sources.partner_names, tfs, **least)
    elif sources.partners is not None:
        partners = read_pairs(sources.partners, tfs, **least)
    return modes, partners


def _with_target(known: Known, target: str | None, sources: Sources) -> Known:
    """Find the target in the sources."""
    if target is None:
        return known
    found = find_target(
        known.matrix,
        known.vectors,
        target,
        modes=known.modes,
        partners=known.partners,
        peaks=_frame(sources.peaks),
        cell=sources.evidence_cell,
        accessible=_frame(sources.accessible),
        motif=_pwms(sources.motif),
        profiles=_pwms(sources.profiles),
    )
    return replace(known, target=found)


def _frame(read: Any) -> pd.DataFrame | None:
    assert read is None or isinstance(read, pd.DataFrame), "read before"
    return read


def _pwms(read: Any) -> Sequence[PWM]:
    assert not isinstance(read, str | os.PathLike), "read before"
    return () if read is None else read


def _read_files(sources: Sources, matrix: BindingMatrix) -> tuple[Sources, tuple[str, ...]]:
    """The sources with regions and motifs read, and how they were read, in words."""
    notes: list[str] = []
    read: dict[str, Any] = {}
    for field_name in ("motif", "profiles"):
        source = getattr(sources, field_name)
        if isinstance(source, str | os.PathLike):
            source = read_profiles(source)
            notes.append(source.facts.said())
        read[field_name] = (source,) if isinstance(source, PWM) else source
    for field_name, what in (("peaks", "peaks"), ("accessible", "open regions")):
        read[field_name] = _regions(getattr(sources, field_name), matrix, what, notes)
    return replace(sources, **read), tuple(notes)


def _regions(
    source: StrPath | pd.DataFrame | None, matrix: BindingMatrix, what: str, notes: list[str]
) -> pd.DataFrame | None:
    """A region table by the matrix' names of chromosomes; says how it was read."""
    if source is None:
        return None
    if isinstance(source, pd.DataFrame):
        table, name = source, what
    else:
        table, name = read_bed(source), str(source)
        notes.append(table.attrs["read"].line())
    known = pd.unique(matrix.regions["chrom"])
    renamed = match_names(pd.unique(table["chrom"]), known, name).renamed
    if renamed:
        notes.append(f"{what}: names read as the matrix' ({words_of_renamed(renamed)})")
        table = table.assign(chrom=table["chrom"].replace(renamed))
    return table


def choice_values(choice: Choice) -> dict[str, Any]:
    """Make a JSON-ready record of a choice: unknown numbers are null."""
    return {
        "target": choice.target,
        "group": choice.group,
        "tfs": list(choice.tfs),
        "common_regions": choice.common,
        "rule": choice.rule,
        "seed": choice.seed,
        "sure": choice.sure or None,
        "evidence": [
            {name: _value(value) for name, value in row.items()}
            for row in choice.evidence.to_dict("records")
        ],
        "notes": list(choice.notes),
    }


def choice_lines(choice: Choice, relatives: Relatives) -> list[str]:
    """Word a choice for a person: the target, a row of evidence for each TF, what it costs."""
    lines = []
    known = relatives.known_for(choice.group)
    target, modes = known.target, known.modes
    if target is not None:
        facts = [] if target.bound is None else [f"{target.bound:,} bound regions"]
        if modes is not None:
            named = ", ".join(modes.title(mode) for mode in sorted(target.modes))
            facts.append(f"binding mode {named}" if named else f"no binding mode in {modes.source}")
        lines.append(f"{target.name}: {'; '.join(facts)}" if facts else target.name)
    lines += [f"{choice.group}: {GROUPS[choice.group].what}", ""]
    header = [
        "TF", "role", "why", "shared mode", "cosine", "odds", "kin cosine", "motif", "partner",
        "bound", "resolved", "cost",
    ]  # fmt: skip
    rows = [header]
    for row in choice.evidence.to_dict("records")[:_SHOWN]:
        rows.append(
            [
                str(row["tf"]),
                str(row["role"]),
                str(row["why"]) or "-",
                ",".join(row["shared"]) or "-",
                _number(row["cosine"], ".3f"),
                _number(row["odds"], ".1f"),
                _number(row["kin_cosine"], ".3f"),
                _number(row["motif"], ".2f"),
                _number(row["partner"], ".3f"),
                f"{row['bound']:,}",
                f"{row['resolved']:,}",
                f"{row['cost']:,}",
            ]
        )
    told = [
        i
        for i, name in enumerate(header)
        if name not in ("why", "shared mode", "cosine", "odds", "kin cosine", "motif", "partner")
        or any(row[i] != "-" for row in rows[1:])
    ]
    lines += _columns([[row[i] for i in told] for row in rows])
    lines += [
        "",
        f"{choice.common:,} regions are resolved for all of them ({choice.rule}); cost: how many "
        "more without that TF",
    ]
    if choice.sure:
        lines.append(f"sure that they are relatives: {choice.sure}")
    lines += [f"note: {note}" for note in choice.notes]
    lines.append(f"--tfs {','.join(choice.tfs)}")
    return lines


def write_evidence(path: str | os.PathLike[str], choice: Choice) -> None:
    """Write the evidence as a tab-separated table; lists are joined by commas."""
    table = choice.evidence.copy()
    for column in ("modes", "shared"):
        table[column] = table[column].map(",".join)
    write_tsv(path, table, numbers=None)


def groups_lines(groups: dict[str, Choice | str]) -> list[str]:
    """One line per group: its TFs and their common regions; why the others cannot be made."""
    rows = [["group", "common", "TFs"]]
    refused: dict[str, list[str]] = {}
    for name, choice in groups.items():
        if isinstance(choice, str):
            reason = choice.replace(f"group {name!r}", "it")
            refused.setdefault(reason, []).append(name)
            continue
        more = f", … ({len(choice.tfs)})" if len(choice.tfs) > 7 else ""
        rows.append([name, f"{choice.common:,}", ", ".join(choice.tfs[:7]) + more])
    lines = _columns(rows)
    if refused:
        lines += ["", "not possible here:"]
        lines += [f"{', '.join(names)}: {reason}" for reason, names in refused.items()]
    return lines


def _columns(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    numbers = [_is_number(rows[1][i]) if len(rows) > 1 else False for i in range(len(widths))]
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ).rstrip()
        for row in rows
    ]


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").isdigit() or text == "-"


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable):
        return list(value)
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and math.isnan(plain) else plain
