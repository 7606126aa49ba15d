"""From files to an answer: which TFs to pre-train on for a target, and why."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from cistransfer.binding.facts.cobinding import BindingVectors, binding_vectors, cobinding
from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError
from cistransfer.genome.assemblies import match_names, words_of_renamed
from cistransfer.genome.bed import read_bed
from cistransfer.relatives.agreement import mode_agreement
from cistransfer.relatives.choose import Choice, choose_group
from cistransfer.relatives.groups import GROUPS, group_named
from cistransfer.relatives.modes import BindingModes, write_modes_table
from cistransfer.relatives.options import Sources
from cistransfer.relatives.partner_check import check_partners
from cistransfer.relatives.partners import Partners, read_pairs, read_string
from cistransfer.relatives.read_modes import read_modes, read_profiles
from cistransfer.relatives.target import Target, find_target

__all__ = ["Relatives", "find_relatives", "read_sources"]

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Relatives:
    """What the sources say about one target; `choose` makes any group of it.

    Attributes
    ----------
    matrix : BindingMatrix
    vectors : BindingVectors
    target : Target or None
    modes : BindingModes or None
    partners : Partners or None
    notes : tuple of str
        How regions and motifs were read, in words.
    """

    matrix: BindingMatrix
    vectors: BindingVectors = field(repr=False)
    target: Target | None
    modes: BindingModes | None
    partners: Partners | None
    notes: tuple[str, ...] = ()

    def choose(
        self,
        group: str,
        n: int | None = None,
        with_target: bool = False,
        *,
        seed: int = 0,
        least_common: int | None = None,
        least_bound: int = 1,
        exclude: Sequence[str] = (),
        mode: str | None = None,
        wider: bool = False,
    ) -> Choice:
        """Choose a group (see `cistransfer.relatives.choose.choose_group`)."""
        return choose_group(
            self.matrix,
            self.target,
            group,
            n,
            with_target,
            modes=self.modes,
            partners=self.partners,
            seed=seed,
            least_common=least_common,
            least_bound=least_bound,
            exclude=exclude,
            mode=mode,
            wider=wider,
            vectors=self.vectors,
        )

    def choose_all(
        self, n: int | None = None, with_target: bool = False, **options: Any
    ) -> dict[str, Choice | str]:
        """Choose every group that the sources allow; the reason in words where they do not.

        ``n`` is for the groups of five; ``options`` are those of `choose`.
        """
        found: dict[str, Choice | str] = {}
        for name, group in GROUPS.items():
            size = n if group.size == 5 else None
            try:
                found[name] = self.choose(name, size, with_target, **options)
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
            tfs = self.matrix.tfs
            other = read_modes(reference, tfs, level=level, symbols=symbols)
            agreed = mode_agreement(modes, other, tfs)
            values["agreement"] = {"modes": modes.source, "with": other.source, **asdict(agreed)}
            lines.append(
                f"{modes.source} against {other.source}, {agreed.tfs} TFs: of the pairs that share "
                f"a mode {agreed.precision:.0%} do there too, of those there {agreed.recall:.0%} "
                f"do here; kappa {agreed.kappa:.2f}"
            )
        if partners:
            if self.partners is None:
                raise InputError("to check partners, name them (--partners)")
            check = check_partners(cobinding(self.vectors), self.partners)
            values["partner_check"] = asdict(check)
            lines.append(
                f"mean cosine of {check.pairs:,} pairs that score ≥ {check.least:g}: "
                f"{check.mean:.3f}; of the other {check.rest:,}: {check.rest_mean:.3f} "
                f"(Welch t = {check.t:.2f}, p = {check.p:.3g}; pairs share TFs)"
            )
        return values, lines

    def save_modes(self, path: StrPath) -> None:
        """Write the binding modes of the matrix's TFs as a table that can be read again."""
        write_modes_table(path, self._modes("save"))

    def _modes(self, what: str) -> BindingModes:
        if self.modes is None:
            raise InputError(f"no binding modes to {what}; name them (--modes)")
        return self.modes


def find_relatives(
    matrix: BindingMatrix,
    target: str | None,
    sources: Sources | None = None,
    *,
    group: str | None = None,
    rule: str | None = None,
) -> Relatives:
    """Read the sources and find the target in them.

    Parameters
    ----------
    matrix : BindingMatrix
    target : str or None
        A TF, in the matrix or not; None for groups that need none.
    sources : Sources, optional
    group : str, optional
        The group that will be asked for: only then are binding modes made up where none are
        named.
    rule : str, optional
        View of the matrix; by default ``less-sparse``.

    Raises
    ------
    InputError
        For whatever is wrong with a file, and for a target of which nothing is known.
    """
    sources = sources or Sources()
    if target is None and (sources.peaks or sources.motif):
        raise InputError("peaks or a motif of which TF? name the target")
    modes, partners = read_sources(matrix, target, sources, group=group)
    vectors = binding_vectors(matrix, rule)
    found, notes = None, list[str]()
    if target is not None:
        motif, profiles = (
            None if source is None else read_profiles(source)
            for source in (sources.motif, sources.profiles)
        )
        notes += [read.facts.said() for read in (motif, profiles) if read is not None]
        found = find_target(
            matrix,
            vectors,
            target,
            modes=modes,
            partners=partners,
            peaks=_bed(sources.peaks, matrix, "peaks", notes),
            cell=sources.cell,
            accessible=_bed(sources.accessible, matrix, "open regions", notes),
            motif=motif or (),
            profiles=profiles or (),
        )
    return Relatives(matrix, vectors, found, modes, partners, tuple(notes))


def read_sources(
    matrix: BindingMatrix, target: str | None, sources: Sources, *, group: str | None = None
) -> tuple[BindingModes | None, Partners | None]:
    """Read binding modes and partners for the TFs of the matrix and the target."""
    known = {tf.upper() for tf in matrix.tfs}
    tfs = [*matrix.tfs, *([target] if target and target.upper() not in known else [])]
    source = sources.modes
    everything = group == "all"
    if source is None and group and (everything or "modes" in group_named(group).needs):
        source = "jaspar" if importlib.util.find_spec("pyjaspar") else None
    modes = None
    if source is not None:
        modes = read_modes(
            source, tfs, level=sources.level, cut=sources.cut, symbols=sources.symbols
        )
    partners = None
    least = {} if sources.least_score is None else {"least": sources.least_score}
    if sources.partners is not None and sources.partner_names is not None:
        partners = read_string(sources.partners, sources.partner_names, tfs, **least)
    elif sources.partners is not None:
        partners = read_pairs(sources.partners, tfs, **least)
    return modes, partners


def _bed(
    path: StrPath | None, matrix: BindingMatrix, what: str, notes: list[str]
) -> pd.DataFrame | None:
    """A region table by the matrix' names of chromosomes; says how it was read."""
    if path is None:
        return None
    table = read_bed(path)
    notes.append(table.attrs["read"].line())
    known = pd.unique(matrix.regions["chrom"])
    renamed = match_names(pd.unique(table["chrom"]), known, str(path)).renamed
    if renamed:
        notes.append(f"{what}: names read as the matrix' ({words_of_renamed(renamed)})")
        table = table.assign(chrom=table["chrom"].replace(renamed))
    return table
