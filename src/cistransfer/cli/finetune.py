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
    from cistransfer.examples.dataset import ExampleSet
    from cistransfer.examples.split import Split
    from cistransfer.models.bundle import Bundle
    from cistransfer.motifs.pwm import PWM

__all__ = ["register"]

WINDOW = 200


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
            "--fold": ((matrix, peaks, fasta, labelled), fold or None),
        },
    )
    if examples is not None:
        data = open_examples(examples)
    else:
        if genome is None and fasta is None:
            raise InputError("--genome is needed to read the sequence of the regions")
        inherited = None if trunk is None else trunk.card.split
        rule = requested_split(split, valid_chroms, test_chroms, seed, fold, inherited)
        data = (
            _of_classes(
                fasta, labelled, positive, genome, trunk, rule, window=window, guard=guard,
                by=split, seed=seed,
            )
            if fasta is not None or labelled is not None
            else _make(
                matrix, tf, peaks, open_regions, blacklist, genome, trunk, rule,
                window=window, positives=positives, negatives=negatives, gc_bins=gc_bins,
                guard=guard, seed=seed, by=split,
            )
        )  # fmt: skip
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


def _make(
    matrix: Path | None,
    tf: str | None,
    peaks: Path | None,
    open_regions: Path | None,
    blacklist: Path | None,
    genome: Path | None,
    trunk: Bundle | None,
    rule: Split | None,
    *,
    window: int | None,
    positives: int | None,
    negatives: float,
    gc_bins: int,
    guard: str | None,
    seed: int,
    by: str,
) -> ExampleSet:
    from cistransfer.binding.matrix import open_matrix
    from cistransfer.examples.from_matrix import single_task_examples
    from cistransfer.examples.from_peaks import peak_examples
    from cistransfer.genome.bed import read_bed
    from cistransfer.genome.fasta import open_sequences

    assert genome is not None
    inherited = _inherited(trunk, by)
    seen = None if trunk is None else trunk.regions()
    if matrix is not None:
        if tf is None:
            raise InputError("--matrix needs --tf, the TF to train for")
        return single_task_examples(
            open_matrix(matrix),
            open_sequences(genome),
            tf,
            positives=positives,
            per_bound=negatives,
            gc_bins=gc_bins,
            split=rule or inherited,
            trunk_regions=seen,
            guard=guard,
            seed=seed,
        )
    assert peaks is not None
    if open_regions is None:
        raise InputError("--peaks needs --open, the open regions to draw negatives from")
    return peak_examples(
        read_bed(peaks),
        read_bed(open_regions),
        open_sequences(genome),
        task=tf or peaks.name.split(".")[0],
        window=window or (trunk.window if trunk is not None else WINDOW),
        positives=positives,
        per_bound=negatives,
        gc_bins=gc_bins,
        split=rule,
        trunk_split=inherited,
        trunk_regions=seen,
        guard=guard,
        blacklist=None if blacklist is None else read_bed(blacklist),
        seed=seed,
    )


def _inherited(trunk: Bundle | None, by: str) -> Split | None:
    """The trunk's split by chromosome, when that is what is wanted."""
    from cistransfer.examples.split import split_from_card

    split = None if trunk is None else trunk.card.split
    return split_from_card(split) if split and split.get("by") == by == "chromosome" else None


def _of_classes(
    fasta: Path | None,
    labelled: Path | None,
    positive: str | None,
    genome: Path | None,
    trunk: Bundle | None,
    rule: Split | None,
    *,
    window: int | None,
    guard: str | None,
    by: str,
    seed: int,
) -> ExampleSet:
    from cistransfer.examples.from_fasta import bed_examples, fasta_examples
    from cistransfer.genome.fasta import open_sequences

    if positive is None:
        raise InputError("--fasta and --labelled need --positive, the class that is positive")
    width = window or (trunk.window if trunk is not None else None)
    trunk_split = _inherited(trunk, by)
    seen = None if trunk is None else trunk.regions()
    if fasta is not None:
        return fasta_examples(
            fasta,
            positive,
            window=width,
            split=rule,
            trunk_split=trunk_split,
            trunk_regions=seen,
            guard=guard,
            seed=seed,
        )
    assert labelled is not None
    assert genome is not None
    return bed_examples(
        labelled,
        open_sequences(genome),
        positive,
        window=width or WINDOW,
        split=rule,
        trunk_split=trunk_split,
        trunk_regions=seen,
        guard=guard,
    )


def _motifs(path: Path | None, tf: str) -> Sequence[PWM]:
    from cistransfer.motifs.files import read_motifs
    from cistransfer.motifs.names import motifs_of

    if path is None:
        return []
    pwms = read_motifs(path)
    return pwms if len(pwms) == 1 else motifs_of(tf, pwms)[:3]


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command("finetune")(finetune)
