"""``cistransfer relatives``: which TFs to learn from first, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cistransfer.cli.command import say
from cistransfer.cli.groups import Seed
from cistransfer.cli.verb import Done
from cistransfer.options import arguments, option
from cistransfer.relatives.options import DEFAULT_GROUP, GroupOptions, Sources

if TYPE_CHECKING:
    from cistransfer.relatives.answer import Relatives

__all__ = ["relatives"]


@dataclass(frozen=True)
class Question:
    """The question."""

    matrix: Path = option(positional=True, help="Binding matrix (HDF5).")
    target: str = option(
        "",
        positional=True,
        help="The TF, in the matrix or not; its peaks or motif alone will do, too.",
    )
    group: str = option(
        DEFAULT_GROUP,
        help="relatives, cofactors, co-binders, binding-mode … (all of them are listed by "
        "--group all), as published: …-published.",
    )
    rule: str | None = option(None, help="View of the matrix [default: less-sparse, as published].")


@dataclass(frozen=True)
class Checks:
    """Checks of the evidence."""

    check_modes: str | None = option(
        None, path=True, help="Print how well --modes agrees with this source."
    )
    check_partners: bool = option(False, help="Test whether partners co-bind more (Welch).")
    save_modes: Path | None = option(
        None, writes=(), help="Write the binding modes as a table for --modes."
    )


@dataclass(frozen=True)
class Output:
    """Output."""

    out: Path | None = option(None, help="Write the evidence table (.tsv).")
    figure: Path | None = option(None, writes=(), help="Write a figure (.png, .svg, .pdf).")


def relatives(
    question: Question,
    choosing: GroupOptions,
    sources: Sources,
    checks: Checks,
    seed: Seed,
    output: Output,
) -> Done:
    """Choose the TFs to pre-train on for a target, with the evidence for each."""
    from cistransfer.binding.matrix import open_matrix
    from cistransfer.errors import InputError
    from cistransfer.relatives.answer import (
        choice_lines,
        choice_values,
        find_relatives,
        groups_lines,
    )

    binding = open_matrix(question.matrix)
    found = find_relatives(
        binding, question.target or None, sources, group=question.group, rule=question.rule
    )
    say(*found.notes)
    extra, said = found.checks(
        checks.check_modes,
        checks.check_partners,
        symbols=sources.symbols,
        level=sources.level,
    )
    saved: list[Path] = []
    if checks.save_modes is not None:
        found.save_modes(checks.save_modes)
        saved = [checks.save_modes]
        said.append(f"binding modes written: {checks.save_modes}")
    options: dict[str, Any] = {**arguments(choosing), "seed": seed.seed}
    if question.group == "all":
        if output.out or output.figure:
            raise InputError("--out and --figure have no meaning with --group all; drop them")
        groups = found.choose_all(**options)
        values = {
            name: {"refused": choice} if isinstance(choice, str) else choice_values(choice)
            for name, choice in groups.items()
        }
        return Done({"groups": values, **extra}, [*groups_lines(groups), *said], written=saved)
    choice = found.choose(question.group, **options)
    written = _write(found, choice, output)
    result = {**choice_values(choice), **extra}
    if found.target is not None:
        result["target_modes"] = sorted(found.target.modes)
        result["target_bound"] = found.target.bound
    return Done(
        result,
        [*choice_lines(choice, found), *said, *(f"written: {path}" for path in written)],
        written=[*written, *saved],
        used={"tfs": choice.tfs, "inputs": list(found.notes)},
    )


def _write(found: Relatives, choice: Any, output: Output) -> list[Path]:
    """Write the files that are asked for."""
    from cistransfer.relatives.answer import write_evidence
    from cistransfer.relatives.figure import write_choice_figure

    if output.out is not None:
        write_evidence(output.out, choice)
    if output.figure is not None:
        write_choice_figure(output.figure, choice, found.vectors)
    return [path for path in (output.out, output.figure) if path is not None]
