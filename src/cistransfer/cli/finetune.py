"""``cistransfer finetune``: a model for one TF, from a trunk or from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    requested_split,
)
from cistransfer.errors import InputError

if TYPE_CHECKING:
    from cistransfer.examples.sources import Source
    from cistransfer.motifs.pwm import PWM

__all__ = ["register"]


def finetune(
    context: typer.Context,
    start: Annotated[
        str, typer.Option("--from", help="Trunk (run folder or bundle), or 'scratch'.")
    ],
    out: Annotated[Path, typer.Option(help="Run folder.")],
    examples: Annotated[
        Path | None, typer.Option(help="Example set of another run (RUN/examples).")
    ] = None,
    matrix: Annotated[Path | None, typer.Option(help="Binding matrix, with --tf.")] = None,
    tf: Annotated[str | None, typer.Option(help="TF of the matrix, or a name for --peaks.")] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            help="What counts as bound in --matrix: sparse, peaks-only … [default: sparse; "
            "peaks-only for a matrix without TFBS]."
        ),
    ] = None,
    peaks: Annotated[
        Path | None, typer.Option(help="Your peaks (BED or narrowPeak), with --open.")
    ] = None,
    open_regions: Annotated[
        Path | None, typer.Option("--open", help="Open regions (BED) to draw negatives from.")
    ] = None,
    fasta: Annotated[
        Path | None,
        typer.Option(help="Sequences with the names of their classes (>CLASS::chrom:start-end)."),
    ] = None,
    labelled: Annotated[
        Path | None, typer.Option(help="Regions (BED) with their classes in column 4.")
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(help="Class of --fasta or --labelled that is positive; all others are not."),
    ] = None,
    blacklist: Annotated[Path | None, typer.Option(help="Regions to avoid (BED).")] = None,
    genome: Annotated[
        Path | None, typer.Option(help="Genome FASTA, or FASTA file or folder of windows.")
    ] = None,
    positives: Annotated[
        int | None,
        typer.Option(min=1, help="Use so many bound regions for training and validation."),
    ] = None,
    negatives: Annotated[
        float, typer.Option(min=0.1, help="Unbound regions per bound one, GC-matched.")
    ] = 1.0,
    gc_bins: Annotated[int, typer.Option(min=1, help="Bins of GC matching (published: 10).")] = 20,
    window: Annotated[
        int | None, typer.Option(min=1, help="Window in bp with --peaks [default: the trunk's].")
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(help="Strategy or TOML file [default: finetune; scratch: scratch]."),
    ] = None,
    motifs: Annotated[
        Path | None,
        typer.Option(help="MEME or JASPAR file; the TF's motifs in it are read by the head too."),
    ] = None,
    motif_tf: Annotated[
        str | None, typer.Option(help="Whose motifs to take from --motifs [default: the TF's].")
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            help="Network from scratch: see 'cistransfer models', or FILE.py:CLASS [default: cnn]; "
            "with a trunk, the file of one whose network is your own."
        ),
    ] = None,
    settings: Settings = None,
    guard: Annotated[
        str | None,
        typer.Option(
            help="Drop what the trunk has seen: heldout (from validation and test; default by "
            "chromosome), all (published; default at random), off."
        ),
    ] = None,
    split: SplitBy = "chromosome",
    valid_chroms: ValidChroms = "",
    test_chroms: TestChroms = "",
    fold: Fold = "",
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Fine-tune a trunk for one TF of a matrix (--matrix, --tf) or for your own peaks (--peaks).

    Or for one class of your own sequences or regions against the others: --fasta or --labelled with
    --positive.

    The split is the trunk's unless you name another one. '--from scratch' is the control; give it
    '--examples RUN/examples' to train on exactly the examples of another run.
    """
    from cistransfer.examples.dataset import counts, open_examples
    from cistransfer.examples.draw import Matched
    from cistransfer.examples.holdout import HoldOut
    from cistransfer.examples.make import examples_for
    from cistransfer.models.arguments import read_arguments
    from cistransfer.models.bundle import open_bundle
    from cistransfer.models.user_file import is_file_spec
    from cistransfer.training.finetune import finetune as train

    own = architecture if architecture and is_file_spec(architecture) else None
    if architecture and not own and start != "scratch":
        raise InputError("--architecture NAME goes with --from scratch; a trunk brings its own")
    if settings and start != "scratch":
        raise InputError("--set goes with --from scratch; a trunk brings its own architecture")
    arguments = read_arguments(architecture or "cnn", settings) if settings else None
    trunk = None if start == "scratch" else open_bundle(start, own)
    given = [
        name
        for name, value in (
            ("--examples", examples),
            ("--matrix", matrix),
            ("--peaks", peaks),
            ("--fasta", fasta),
            ("--labelled", labelled),
        )
        if value is not None
    ]
    if len(given) != 1:
        raise InputError(
            "name one source of examples: --examples RUN/examples, or --matrix M.h5 --tf TF, or "
            "--peaks P.bed --open O.bed, or --fasta F.fa --positive CLASS, or --labelled L.bed "
            f"--positive CLASS (found {', '.join(given) or 'none'})"
        )
    _refuse_unused(
        given[0],
        {
            "--tf": ((matrix, peaks), tf),
            "--positives": ((matrix, peaks), positives),
            "--guard": ((matrix, peaks, fasta, labelled), None if guard == "off" else guard),
            "--open": ((peaks,), open_regions),
            "--positive": ((fasta, labelled), positive),
            "--genome": ((examples, matrix, peaks, labelled), genome),
            "--window": ((peaks, fasta, labelled), window),
            "--blacklist": ((peaks,), blacklist),
            "--rule": ((matrix,), rule),
            "--fold": ((matrix, peaks, fasta, labelled), fold or None),
        },
    )
    if examples is not None:
        data = open_examples(examples)
    else:
        source = _source(
            matrix=matrix, tf=tf, rule=rule, peaks=peaks, open_regions=open_regions,
            blacklist=blacklist, fasta=fasta, labelled=labelled, positive=positive, genome=genome,
            window=window,
        )  # fmt: skip
        wanted = requested_split(split, valid_chroms, test_chroms, seed, fold)
        matched = peaks is not None or matrix is not None
        data = examples_for(
            source,
            trunk,
            holdout=HoldOut.of(trunk, wanted, guard),
            draw=Matched(negatives, gc_bins, positives) if matched else None,
            seed=seed,
        )
    table = counts(data)
    for part, tasks in table.items():
        bound = sum(row["bound"] for row in tasks.values())
        unbound = sum(row["unbound"] for row in tasks.values())
        say(f"{part}: {bound:,} bound, {unbound:,} unbound")
    bundle = train(
        out,
        data,
        trunk,
        strategy=strategy,
        architecture=architecture or "cnn",
        arguments=arguments,
        motifs=_motifs(motifs, motif_tf or data.tasks[0]),
        guard=guard,
        seed=seed,
        device=device,
        precision=precision,
    )
    record(context, out)
    known = [value for value in bundle.card.validation["aucpr"] if value is not None]
    aucpr = sum(known) / len(known)
    finish(
        {
            "bundle": str(bundle.path),
            "tasks": list(bundle.tasks),
            "strategy": bundle.card.strategy.name,
            "examples": data.content_hash(),
            "counts": table,
            "dropped": data.facts.get("dropped"),
            "split": data.facts.get("split"),
            "epochs": bundle.card.epochs,
            "validation_aucpr": aucpr,
        },
        as_json,
        [
            f"model: {bundle.path}",
            f"validation AUCPR {aucpr:.3f} "
            f"(evaluate on the test part with 'cistransfer evaluate {out} --out …')",
        ],
    )


def _refuse_unused(source: str, options: dict[str, tuple[tuple[object, ...], object]]) -> None:
    """Refuse options that the named source of examples would silently ignore."""
    for name, (users, value) in options.items():
        if value is not None and all(user is None for user in users):
            raise InputError(f"{name} has no meaning with {source}; drop it")


def _source(
    *,
    matrix: Path | None,
    tf: str | None,
    rule: str | None,
    peaks: Path | None,
    open_regions: Path | None,
    blacklist: Path | None,
    fasta: Path | None,
    labelled: Path | None,
    positive: str | None,
    genome: Path | None,
    window: int | None,
) -> Source:
    """The source of examples that the options name."""
    from cistransfer.examples.sources import FromFasta, FromMatrix, FromPeaks, FromRegions

    if fasta is not None or labelled is not None:
        if positive is None:
            raise InputError("--fasta and --labelled need --positive, the class that is positive")
        if fasta is not None:
            return FromFasta(fasta, positive, window)
    if genome is None:
        raise InputError("--genome is needed to read the sequence of the regions")
    if labelled is not None:
        assert positive is not None
        return FromRegions(labelled, positive, genome, window)
    if matrix is not None:
        if tf is None:
            raise InputError("--matrix needs --tf, the TF to train for")
        return FromMatrix(matrix, tf, genome, rule)
    assert peaks is not None
    if open_regions is None:
        raise InputError("--peaks needs --open, the open regions to draw negatives from")
    return FromPeaks(peaks, open_regions, genome, tf, window, blacklist)


def _motifs(path: Path | None, tf: str) -> Sequence[PWM]:
    from cistransfer.motifs.names import given_motifs

    return () if path is None else given_motifs(tf, path).pwms


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("finetune")(finetune)
