"""``cistransfer relatives``: which TFs to learn from first, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cistransfer.cli.command import AsJson, finish, record
from cistransfer.cli.options import Seed, comma_list

__all__ = ["register"]


def relatives(
    context: typer.Context,
    matrix: Annotated[Path, typer.Argument(metavar="MATRIX", help="Binding matrix (HDF5).")],
    target: Annotated[
        str, typer.Argument(metavar="[TARGET]", help="The TF, in the matrix or not.")
    ] = "",
    group: Annotated[
        str,
        typer.Option(
            help="cofactors, binding-mode, binding-mode-best, non-cofactors, partners, co-binders, "
            "best-partners, random, buried-…, most-resolved, general, …-published; or all."
        ),
    ] = "co-binders",
    n: Annotated[
        int | None, typer.Option("--n", min=1, help="How many TFs [default: 5, or the group's].")
    ] = None,
    with_target: Annotated[
        bool, typer.Option("--with-target", help="Give the target one of the places.")
    ] = False,
    modes: Annotated[
        str | None,
        typer.Option(
            help="Binding modes: TF and clusters (TSV), TFClass (OBO), CIS-BP (TSV), motifs to "
            "cluster (MEME, JASPAR), or JASPAR2024 [default: JASPAR2020, if pyjaspar is here]."
        ),
    ] = None,
    level: Annotated[
        str, typer.Option(help="Level of TFClass: superclass, class, family, subfamily.")
    ] = "family",
    cut: Annotated[
        float, typer.Option(help="Cut clusters of motifs at Tomtom p = 10^-CUT; less is larger.")
    ] = 3.0,
    symbols: Annotated[
        Path | None, typer.Option(help="Ensembl ids and symbols for TFClass (CIS-BP's TSV).")
    ] = None,
    mode: Annotated[
        str | None, typer.Option(help="Count only this one of the target's binding modes.")
    ] = None,
    wider: Annotated[
        bool, typer.Option("--wider", help="Take larger groups when a mode has too few TFs.")
    ] = False,
    partners: Annotated[
        Path | None, typer.Option(help="STRING protein.links file, or TSV: TF, partner, score.")
    ] = None,
    partner_names: Annotated[
        Path | None, typer.Option(help="STRING protein.info file, with the links file.")
    ] = None,
    least_score: Annotated[
        float | None, typer.Option(help="Least partner score [default: 0.4 for STRING].")
    ] = None,
    peaks: Annotated[
        Path | None, typer.Option(help="Your own peaks of the target (BED, narrowPeak).")
    ] = None,
    cell: Annotated[
        str | None, typer.Option(help="Cell of the matrix that your peaks are from.")
    ] = None,
    accessible: Annotated[
        Path | None, typer.Option(help="BED of open regions in the cell of your peaks.")
    ] = None,
    motif: Annotated[
        Path | None, typer.Option(help="Motif of the target (MEME, JASPAR), to find its mode.")
    ] = None,
    profiles: Annotated[
        str | None, typer.Option(help="Known motifs to match it with, or JASPAR2024.")
    ] = None,
    exclude: Annotated[str, typer.Option(help="Comma list of TFs not to choose.")] = "",
    least_common: Annotated[
        int | None, typer.Option(min=0, help="Least number of regions resolved for all.")
    ] = None,
    least_bound: Annotated[
        int, typer.Option(min=0, help="Leave out TFs with fewer bound regions.")
    ] = 1,
    rule: Annotated[
        str | None, typer.Option(help="View of the matrix [default: less-sparse, as published].")
    ] = None,
    seed: Seed = 0,
    compare_modes: Annotated[
        str | None, typer.Option(help="Print how well --modes agrees with this source.")
    ] = None,
    check_partners: Annotated[
        bool,
        typer.Option("--check-partners", help="Test whether partners co-bind more (Welch)."),
    ] = False,
    save_modes: Annotated[
        Path | None, typer.Option(help="Write the binding modes as a table for --modes.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the evidence table (.tsv).")] = None,
    figure: Annotated[Path | None, typer.Option(help="Write a figure (.png, .svg, .pdf).")] = None,
    as_json: AsJson = False,
) -> None:
    """Choose the TFs to pre-train on for a target, with the evidence for each."""
    from cistransfer.binding.matrix import open_matrix
    from cistransfer.relatives.answer import Sources, find_relatives
    from cistransfer.relatives.report import (
        choice_lines,
        choice_values,
        groups_lines,
        write_evidence,
    )

    sources = Sources(
        modes=modes,
        level=level,
        cut=cut,
        symbols=symbols,
        partners=partners,
        partner_names=partner_names,
        least_score=least_score,
        peaks=peaks,
        cell=cell,
        accessible=accessible,
        motif=motif,
        profiles=profiles,
    )
    binding = open_matrix(matrix)
    found = find_relatives(binding, target or None, sources, group=group, rule=rule)
    extra, said = found.checks(compare_modes, check_partners, symbols=symbols, level=level)
    if save_modes is not None:
        found.save_modes(save_modes)
        said.append(f"binding modes written: {save_modes}")
    options: dict[str, Any] = {
        "seed": seed,
        "least_common": least_common,
        "least_bound": least_bound,
        "exclude": comma_list(exclude),
        "mode": mode,
        "wider": wider,
    }
    if group == "all":
        groups = found.choose_all(n, with_target, **options)
        values = {
            name: {"refused": choice} if isinstance(choice, str) else choice_values(choice)
            for name, choice in groups.items()
        }
        finish({"groups": values, **extra}, as_json, [*groups_lines(groups), *said])
        return
    choice = found.choose(group, n, with_target, **options)
    if out is not None:
        write_evidence(out, choice)
        record(context, out)
        said.append(f"written: {out}")
    if figure is not None:
        from cistransfer.relatives.figure import write_choice_figure

        write_choice_figure(figure, choice, found.vectors)
        record(context, figure)
        said.append(f"written: {figure}")
    result = {**choice_values(choice), **extra}
    if found.target is not None:
        result["target_modes"] = sorted(found.target.modes)
        result["target_bound"] = found.target.bound
    finish(result, as_json, [*choice_lines(choice, found), *said])


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("relatives")(relatives)
