"""``cistransfer pretrain``: a trunk on many TFs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cistransfer.cli.command import AsJson, finish, record, say
from cistransfer.cli.options import (
    Device,
    Precision,
    Seed,
    SplitBy,
    TestChroms,
    ValidChroms,
    comma_list,
    requested_split,
)
from cistransfer.errors import InputError, nearest

__all__ = ["register"]


def pretrain(
    context: typer.Context,
    matrix: Annotated[Path, typer.Option(help="Binding matrix (HDF5).")],
    genome: Annotated[
        Path,
        typer.Option(help="Genome FASTA, or FASTA file or folder of windows."),
    ],
    out: Annotated[Path, typer.Option(help="Run folder.")],
    tfs: Annotated[
        str, typer.Option(help="Comma list of TFs to train on [default: all of the matrix].")
    ] = "",
    exclude: Annotated[str, typer.Option(help="Comma list of TFs to leave out.")] = "",
    target: Annotated[
        str, typer.Option(help="Choose the TFs for this target (see 'cistransfer relatives').")
    ] = "",
    group: Annotated[
        str,
        typer.Option(
            help="Group of TFs: co-binders (default with --target), cofactors, binding-mode, "
            "random …; general and most-resolved need no target."
        ),
    ] = "",
    n: Annotated[
        int | None, typer.Option("--n", min=1, help="How many TFs of the group [default: 5].")
    ] = None,
    with_target: Annotated[
        bool, typer.Option("--with-target", help="Give the target one of the places.")
    ] = False,
    modes: Annotated[
        str | None,
        typer.Option(help="Binding modes for --group (TSV, TFClass OBO, CIS-BP TSV, motifs)."),
    ] = None,
    partners: Annotated[
        Path | None, typer.Option(help="For --group: STRING links, or TSV: TF, partner, score.")
    ] = None,
    partner_names: Annotated[
        Path | None, typer.Option(help="STRING protein.info file, with the links file.")
    ] = None,
    least_common: Annotated[
        int | None, typer.Option(min=0, help="Least regions resolved for all TFs of the group.")
    ] = None,
    regions: Annotated[
        str,
        typer.Option(help="resolved (for any of the TFs), or common (for all; as published)."),
    ] = "resolved",
    most: Annotated[int | None, typer.Option(min=1, help="Sample at most so many regions.")] = None,
    strategy: Annotated[
        str, typer.Option(help="pretrain, pretrain-published, or a TOML file.")
    ] = "pretrain",
    architecture: Annotated[str, typer.Option(help="See 'cistransfer models'.")] = "cnn",
    epochs: Annotated[int | None, typer.Option(min=1, help="Most epochs.")] = None,
    split: SplitBy = "chromosome",
    valid_chroms: ValidChroms = "",
    test_chroms: TestChroms = "",
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Pre-train a network on several TFs of a binding matrix."""
    from cistransfer.binding.matrix import open_matrix
    from cistransfer.examples.dataset import counts
    from cistransfer.examples.from_matrix import multi_task_examples
    from cistransfer.genome.fasta import open_sequences
    from cistransfer.training.pretrain import pretrain as train

    binding = open_matrix(matrix)
    left_out = set(comma_list(exclude))
    for name in left_out - set(binding.tfs):
        raise InputError(f"{matrix}: no TF {name!r} to leave out; {nearest(name, binding.tfs)}")
    if (target or group) and tfs:
        raise InputError(
            "name the TFs (--tfs), or let them be chosen (--target, --group), not both"
        )
    _refuse_unused(
        bool(target or group),
        {
            "--n": n,
            "--with-target": with_target or None,
            "--modes": modes,
            "--partners": partners,
            "--partner-names": partner_names,
            "--least-common": least_common,
        },
    )
    chosen: tuple[str, ...] = comma_list(tfs) or binding.tfs
    if target or group:
        from cistransfer.relatives.answer import Sources, find_relatives
        from cistransfer.relatives.report import choice_lines

        sources = Sources(modes=modes, partners=partners, partner_names=partner_names)
        wanted = group or "co-binders"
        found = find_relatives(binding, target or None, sources, group=wanted)
        choice = found.choose(
            wanted,
            n,
            with_target,
            seed=seed,
            least_common=least_common,
            exclude=comma_list(exclude),
        )
        say(*choice_lines(choice, found))
        chosen = choice.tfs
    names = [name for name in chosen if name not in left_out]
    examples = multi_task_examples(
        binding,
        open_sequences(genome),
        names,
        regions=regions,
        most=most,
        split=requested_split(split, valid_chroms, test_chroms, seed),
        seed=seed,
    )
    say(
        f"pre-training on {len(names)} TFs, {len(examples.codes):,} regions "
        f"({describe_parts(counts(examples), examples)})"
    )
    bundle = train(
        out,
        examples,
        strategy=strategy,
        architecture=architecture,
        epochs=epochs,
        seed=seed,
        device=device,
        precision=precision,
    )
    record(context, out)
    finish(
        {
            "bundle": str(bundle.path),
            "tasks": list(bundle.tasks),
            "regions": len(examples.codes),
            "dropped": examples.facts["dropped"],
            "split": examples.facts["split"],
            "epochs": bundle.card["epochs"],
            "validation_aucpr": mean_known(bundle.card["validation"]["aucpr"]),
            "validation_auroc": mean_known(bundle.card["validation"]["auroc"]),
        },
        as_json,
        [
            f"trunk: {bundle.path}",
            f"validation, mean over TFs: AUROC "
            f"{mean_known(bundle.card['validation']['auroc']) or float('nan'):.3f}, "
            f"AUCPR {mean_known(bundle.card['validation']['aucpr']) or float('nan'):.3f}",
        ],
    )


def _refuse_unused(choosing: bool, options: dict[str, object]) -> None:
    """Refuse options that only say how TFs are chosen when none are."""
    for name, value in options.items():
        if value is not None and not choosing:
            raise InputError(f"{name} has no meaning without --target or --group; drop it")


def mean_known(values: list[float | None]) -> float | None:
    """Mean of the values that exist; None when none does."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def describe_parts(table: dict[str, Any], examples: Any) -> str:
    """Word the size of each part."""
    return ", ".join(f"{part} {len(examples.rows(part)):,}" for part in table)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("pretrain")(pretrain)
