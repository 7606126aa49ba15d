"""``cistransfer pretrain``: a trunk on many TFs, or on open chromatin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cistransfer.cli.command import AsJson, finish, record, say
from cistransfer.cli.options import (
    Device,
    Fold,
    Precision,
    Seed,
    Settings,
    SplitBy,
    TestChroms,
    ValidChroms,
    comma_list,
    requested_split,
)
from cistransfer.errors import InputError

if TYPE_CHECKING:
    from cistransfer.examples.dataset import ExampleSet
    from cistransfer.examples.split import Split

__all__ = ["register"]


def pretrain(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Run folder.")],
    matrix: Annotated[Path | None, typer.Option(help="Binding matrix (HDF5).")] = None,
    genome: Annotated[
        Path | None,
        typer.Option(help="Genome FASTA, or FASTA file or folder of windows; with --matrix."),
    ] = None,
    examples: Annotated[
        Path | None,
        typer.Option(help="Example set instead of a matrix ('cistransfer accessibility sets')."),
    ] = None,
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
    rule: Annotated[
        str | None,
        typer.Option(
            help="What counts as bound: sparse, less-sparse, full, peaks-only or peaks-only-full "
            "[default: sparse, for common regions less-sparse; peaks-only for a matrix without "
            "TFBS]."
        ),
    ] = None,
    most: Annotated[int | None, typer.Option(min=1, help="Sample at most so many regions.")] = None,
    strategy: Annotated[
        str, typer.Option(help="pretrain, pretrain-published, or a TOML file.")
    ] = "pretrain",
    architecture: Annotated[str, typer.Option(help="See 'cistransfer models'.")] = "cnn",
    settings: Settings = None,
    motifs: Annotated[
        Path | None,
        typer.Option(help="MEME or JASPAR file, for strategies that start filters as motifs."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Most epochs.")] = None,
    split: SplitBy = "chromosome",
    valid_chroms: ValidChroms = "",
    test_chroms: TestChroms = "",
    fold: Fold = "",
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Pre-train a network on several TFs of a binding matrix, or on an example set."""
    from cistransfer.examples.dataset import counts, open_examples
    from cistransfer.models.arguments import read_arguments
    from cistransfer.motifs.files import read_motifs
    from cistransfer.training.pretrain import pretrain as train

    arguments = read_arguments(architecture, settings or ())
    pwms = [] if motifs is None else read_motifs(motifs)
    if (matrix is None) == (examples is None):
        raise InputError("name one source of examples: --matrix M.h5, or --examples SET")
    choosing = {
        "--n": n,
        "--with-target": with_target or None,
        "--modes": modes,
        "--partners": partners,
        "--partner-names": partner_names,
        "--least-common": least_common,
    }
    if examples is not None:
        of_matrix = {
            "--genome": genome,
            "--tfs": tfs,
            "--exclude": exclude,
            "--target": target,
            "--group": group,
            "--most": most,
            "--rule": rule,
            "--valid-chroms": valid_chroms,
            "--test-chroms": test_chroms,
            "--fold": fold,
            **choosing,
        }
        _refuse_unused(of_matrix, "with --examples")
        data = open_examples(examples)
    else:
        assert matrix is not None
        if genome is None:
            raise InputError("--genome is needed to read the sequence of the regions")
        if not (target or group):
            _refuse_unused(choosing, "without --target or --group")
        data = _of_matrix(
            matrix,
            genome,
            comma_list(tfs),
            comma_list(exclude),
            target=target,
            group=group,
            n=n,
            with_target=with_target,
            sources=(modes, partners, partner_names),
            least_common=least_common,
            regions=regions,
            rule=rule,
            most=most,
            split=requested_split(split, valid_chroms, test_chroms, seed, fold),
            seed=seed,
        )
    say(
        f"pre-training on {len(data.tasks)} tasks, {len(data.codes):,} regions "
        f"({describe_parts(counts(data), data)})"
    )
    bundle = train(
        out,
        data,
        strategy=strategy,
        architecture=architecture,
        arguments=arguments,
        epochs=epochs,
        motifs=pwms,
        seed=seed,
        device=device,
        precision=precision,
    )
    record(context, out)
    finish(
        {
            "bundle": str(bundle.path),
            "tasks": list(bundle.tasks),
            "regions": len(data.codes),
            "dropped": data.facts.get("dropped"),
            "split": data.facts.get("split"),
            "epochs": bundle.card.epochs,
            "validation_aucpr": mean_known(bundle.card.validation["aucpr"]),
            "validation_auroc": mean_known(bundle.card.validation["auroc"]),
        },
        as_json,
        [
            f"trunk: {bundle.path}",
            f"validation, mean over tasks: AUROC "
            f"{mean_known(bundle.card.validation['auroc']) or float('nan'):.3f}, "
            f"AUCPR {mean_known(bundle.card.validation['aucpr']) or float('nan'):.3f}",
        ],
    )


def _refuse_unused(options: Mapping[str, object], where: str) -> None:
    """Refuse options that would be silently ignored."""
    for name, value in options.items():
        if value:
            raise InputError(f"{name} has no meaning {where}; drop it")


def _of_matrix(
    matrix: Path,
    genome: Path,
    tfs: tuple[str, ...],
    exclude: tuple[str, ...],
    *,
    target: str,
    group: str,
    n: int | None,
    with_target: bool,
    sources: tuple[str | None, Path | None, Path | None],
    least_common: int | None,
    regions: str,
    rule: str | None,
    most: int | None,
    split: Split | None,
    seed: int,
) -> ExampleSet:
    """Examples of the TFs that are named, or chosen for a target or a group."""
    from cistransfer.binding.matrix import open_matrix
    from cistransfer.examples.holdout import HoldOut
    from cistransfer.examples.make import examples_for
    from cistransfer.examples.sources import FromTFs

    binding = open_matrix(matrix)
    if (target or group) and tfs:
        raise InputError(
            "name the TFs (--tfs), or let them be chosen (--target, --group), not both"
        )
    chosen = tfs or binding.tfs
    if target or group:
        from cistransfer.relatives.answer import Sources, find_relatives
        from cistransfer.relatives.report import choice_lines

        modes, partners, partner_names = sources
        wanted = group or "co-binders"
        found = find_relatives(
            binding,
            target or None,
            Sources(modes=modes, partners=partners, partner_names=partner_names),
            group=wanted,
        )
        choice = found.choose(
            wanted, n, with_target, seed=seed, least_common=least_common, exclude=exclude
        )
        say(*choice_lines(choice, found))
        chosen = choice.tfs
    source = FromTFs(binding, genome, tuple(chosen), exclude, regions, rule, most)
    return examples_for(source, holdout=HoldOut.of(split=split), seed=seed)


def mean_known(values: Sequence[float | None]) -> float | None:
    """Mean of the values that exist; None when none does."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def describe_parts(table: dict[str, Any], examples: Any) -> str:
    """Word the size of each part."""
    return ", ".join(f"{part} {len(examples.rows(part)):,}" for part in table)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("pretrain")(pretrain)
