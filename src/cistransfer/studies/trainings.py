"""Steps that make: matrices, examples, trunks; and that fit a model to examples and measure it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from cistransfer.errors import InputError, nearest
from cistransfer.progress import say
from cistransfer.studies.steps import Measured, Work, matrix_of, measure_parts, step

__all__ = [
    "baseline",
    "classes",
    "examples",
    "finetune",
    "matrix",
    "pretrain",
    "score",
    "subset",
]


# Inputs ------------------------------------------------------------------------------------------


@step("matrix")
def matrix(
    work: Work,
    *,
    open: Path,
    peaks: Any = (),
    tfbs: Any = (),
    window: int = 200,
    label_window: int | None = None,
    **options: Any,
) -> None:
    """Build a binding matrix: `cistransfer.build_matrix`."""
    from cistransfer.api.data import build_matrix

    build_matrix(
        work.folder / "matrix.h5",
        open,
        peaks=peaks,
        tfbs=tfbs,
        window=window,
        label_window=label_window,
        **_tuples(options),
    )


@step("examples")
def examples(
    work: Work,
    *,
    source: Path,
    trunk: Path | str | None = None,
    split: Any = None,
    guard: str | None = None,
    positives: int | str | None = None,
    unknown: bool = False,
    develop: str | None = None,
    seed: int = 0,
    **options: Any,
) -> None:
    """Make an example set: `cistransfer.make_examples`.

    With ``unknown``, a trunk that has an output for the TF is refused. ``positives`` may be
    ``all``. ``develop`` is a chromosome, for choosing without a look at the test: what the trunk
    tests on is dropped, what it validates on tests, and that chromosome validates.
    """
    from cistransfer.api.learn import make_examples, open_bundle

    if trunk is not None and unknown and options.get("tf") in open_bundle(trunk).tasks:
        raise InputError(
            f"{options['tf']} is in the trunk; leave it out of pre-training, or of the study"
        )
    number = _positives(positives)
    if number is not None:
        options["positives"] = number
    source = matrix_of(source)
    if develop is not None:
        if trunk is None or split is not None or guard is not None:
            raise InputError("develop: goes with a trunk, and without split and guard")
        options["holdout"], trunk = _developing(open_bundle(trunk), develop), None
    make_examples(
        source,
        trunk=trunk,
        out=work.folder / "examples",
        split=_split(split),
        guard=guard,
        seed=seed,
        **_tuples(options),
    )


def _developing(trunk: Any, valid: str) -> Any:
    """Hold out what a trunk validates on, and drop what it tests on."""
    import pandas as pd

    from cistransfer.examples.holdout import HoldOut
    from cistransfer.examples.split import Split, split_from_card
    from cistransfer.genome.bed import regions_table

    split = split_from_card(trunk.card.split)
    hidden = [regions_table([chrom], [0], [2**31], part="train") for chrom in split.test]
    return HoldOut(Split(valid=(valid,), test=split.valid), "all", pd.concat(hidden))


@step("subset")
def subset(
    work: Work,
    *,
    examples: Path,
    cell: str | None = None,
    percent: float = 100,
    positives: int | None = None,
    test_positives: int | None = None,
    seed: int = 0,
) -> None:
    """Keep a share of the training and validation examples (`cistransfer.examples.dataset.subset`).

    Parameters
    ----------
    work, seed
    examples : path
        A set, or with ``cell`` the folder of 'cistransfer accessibility sets'.
    percent : float
        Of the training and validation examples.
    positives, test_positives : int, optional
        Most positives for training (a third as many for validation), and for the test. A share of
        a capped set is a subset of a subset.
    """
    from cistransfer.api.learn import open_examples
    from cistransfer.examples.dataset import save_examples
    from cistransfer.examples.dataset import subset as keep
    from cistransfer.examples.write_sets import folder_of

    most = {} if positives is None else {"train": positives, "valid": max(1, positives // 3)}
    if test_positives is not None:
        most["test"] = test_positives
    place = examples if cell is None else examples / "cells" / folder_of(cell)
    kept = keep(open_examples(place), fraction=percent / 100, max_positives=most, seed=seed)
    save_examples(work.folder / "examples", kept)


@step("classes")
def classes(work: Work, *, sets: dict[str, Path], negatives: bool = True) -> None:
    """Join the sets of several cells, a class each.

    `cistransfer.examples.classes.multiclass_examples`; ``negatives = false`` leaves out those of
    no cell but the universal ones, as published.
    """
    from cistransfer.api.learn import open_examples
    from cistransfer.examples.classes import multiclass_examples
    from cistransfer.examples.dataset import counts, save_examples

    made = multiclass_examples(
        {name: open_examples(path) for name, path in sets.items()}, negatives=negatives
    )
    for part in ("train", "valid"):
        table = counts(made)[part]
        for task in made.tasks:
            if not table[task]["bound"]:
                raise InputError(f"class {task!r} has no window in the {part} part")
    save_examples(work.folder / "examples", made)


@step("pretrain")
def pretrain(
    work: Work,
    *,
    source: Path,
    member: str = "",
    split: Any = None,
    strategy: str = "pretrain",
    architecture: Path | str = "cnn",
    arguments: dict[str, Any] | None = None,
    epochs: int | None = None,
    motifs: Path | None = None,
    target: str | None = None,
    group: str | None = None,
    tfs: Sequence[str] = (),
    absent: str = "refused",
    parts: Sequence[str] = (),
    calls: str = "validation",
    seed: int = 0,
    **options: Any,
) -> list[Measured]:
    """Pre-train a trunk: `cistransfer.pretrain`; of ``parts`` it is measured too.

    ``member`` is the set in a folder of several; ``architecture`` may be a trunk, whose
    architecture and sizes are taken; with ``absent = "left out"`` the ``tfs`` that the matrix lacks
    (a part of the published one has fewer) are left out, and said.
    """
    from cistransfer.api.learn import open_examples
    from cistransfer.api.learn import pretrain as train
    from cistransfer.evaluation.baselines import score_model

    architecture, arguments = _design(architecture, arguments)
    place = matrix_of(source / member) if member else matrix_of(source)
    if tfs:
        options["tfs"] = _there(tfs, place, absent)
    bundle = train(
        place,
        out=work.folder,
        target=target,
        group=group,
        split=_split(split),
        strategy=str(strategy),
        architecture=architecture,
        arguments=arguments,
        epochs=epochs,
        motifs=motifs,
        seed=seed,
        device=work.device,
        precision=work.precision,
        **_tuples(options),
    )
    return measure_parts(
        open_examples(work.folder),
        parts,
        calls,
        0,
        lambda codes: score_model(bundle, codes, device=work.device),
    )


def _there(tfs: Sequence[str], source: Path, absent: str) -> Sequence[str]:
    """The TFs, or with ``absent = "left out"`` those of them that the matrix has."""
    from cistransfer.api.data import open_matrix

    if absent not in ("refused", "left out"):
        raise InputError(f"absent: expected 'refused' or 'left out', found '{absent}'")
    if absent == "refused" or not tfs:
        return tfs
    known = set(open_matrix(source).tfs)
    if missing := [tf for tf in tfs if tf not in known]:
        say(f"not in {source.name}, and left out: {', '.join(missing)}")
    return [tf for tf in tfs if tf in known]


def _design(
    architecture: Path | str, arguments: dict[str, Any] | None
) -> tuple[str, dict[str, Any] | None]:
    """Name and sizes of an architecture, by its name or by a trunk that has it."""
    from cistransfer.api.learn import open_bundle

    if isinstance(architecture, Path):
        design = open_bundle(architecture).card.architecture
        return design.name, dict(design.arguments)
    return architecture, arguments


# What is compared -------------------------------------------------------------------------------


@step("finetune")
def finetune(
    work: Work,
    *,
    examples: Path,
    trunk: Path | str | None = None,
    strategy: str | None = None,
    architecture: Path | str | None = None,
    arguments: dict[str, Any] | None = None,
    epochs: int | None = None,
    change: dict[str, Any] | None = None,
    motifs: Path | None = None,
    guard: str | None = None,
    parts: Sequence[str] = ("test",),
    calls: str = "validation",
    intervals: int = 0,
    seed: int = 0,
) -> list[Measured]:
    """Train a model for the examples' task and measure it: `cistransfer.finetune`.

    Without a trunk the network starts from scratch; ``architecture`` may be a trunk, whose
    architecture and sizes are taken. ``change`` are other settings of the strategy's gradient
    phases (``learning_rate``, ``batch_size`` …). ``intervals`` is the number of resamples of the
    test regions for an interval of the AUCPR.
    """
    from cistransfer.api.learn import finetune as train
    from cistransfer.api.learn import open_examples
    from cistransfer.evaluation.baselines import score_model
    from cistransfer.training.strategy import load_strategy, with_phases

    plan: Any = None if strategy is None else str(strategy)
    if changes := {name: value for name, value in (change or {}).items() if value != "default"}:
        default = "scratch" if trunk is None else "finetune"
        plan = with_phases(load_strategy(plan or default), changes)
    if architecture is not None:
        architecture, arguments = _design(architecture, arguments)
    bundle = train(
        examples,
        trunk=trunk,
        out=work.folder,
        strategy=plan,
        architecture=architecture,
        arguments=arguments,
        epochs=epochs,
        motifs=motifs,
        guard=guard,
        seed=seed,
        device=work.device,
        precision=work.precision,
    )
    return measure_parts(
        open_examples(examples),
        parts,
        calls,
        intervals,
        lambda codes: score_model(bundle, codes, device=work.device),
    )


@step("baseline")
def baseline(
    work: Work,
    *,
    examples: Path,
    name: str,
    motifs: Path | None = None,
    first: bool = False,
    trunk: Path | str | None = None,
    parts: Sequence[str] = ("test",),
    calls: str = "validation",
    intervals: int = 0,
    seed: int = 0,
) -> list[Measured]:
    """Fit a baseline and measure it; ``sibling`` is the trunk's output that fits best.

    With ``first`` only the first of the TF's motifs is given, so that ``motif`` fits nothing.
    """
    from cistransfer.api.learn import open_bundle, open_examples
    from cistransfer.evaluation.baselines import score_by, sibling
    from cistransfer.motifs.files import read_motifs
    from cistransfer.motifs.names import motifs_of

    data = open_examples(examples)
    start = None if trunk is None else open_bundle(trunk)
    pwms = [] if motifs is None else read_motifs(motifs)
    if first:
        pwms = motifs_of(data.tasks[0], pwms)[:1]

    def score(codes: Any) -> Any:
        if name == "sibling" and start is not None:
            return sibling(start, data, codes)[0]
        return score_by(name, data, codes, pwms=pwms, trunk=start, seed=seed, device=work.device)

    return measure_parts(data, parts, calls, intervals, score)


@step("score")
def score(
    work: Work,
    *,
    examples: Path,
    model: Path | str,
    member: str = "",
    output: str | None = None,
    parts: Sequence[str] = ("test",),
    calls: str = "validation",
    intervals: int = 0,
) -> list[Measured]:
    """Measure a trained model on examples of one task.

    ``output`` is the model's output that is read, by default the one called as the task;
    ``member`` the set in a folder of several.
    """
    from cistransfer.api.learn import open_bundle, open_examples
    from cistransfer.evaluation.baselines import score_model

    data, bundle = open_examples(examples / member), open_bundle(model)
    name = output or data.tasks[0]
    if len(data.tasks) != 1 or name not in bundle.tasks:
        raise InputError(
            f"score: expected examples of one task and a model with the output {name!r}; "
            f"{nearest(name, bundle.tasks)}"
        )
    column = bundle.tasks.index(name)
    return measure_parts(
        data,
        parts,
        calls,
        intervals,
        lambda codes: score_model(bundle, codes, [column], device=work.device),
    )


# Beside them -------------------------------------------------------------------------------------


def _positives(positives: int | str | None) -> int | None:
    """How many, of a number or ``all``."""
    if positives in (None, "all"):
        return None
    try:
        return int(positives)
    except ValueError as error:
        raise InputError(f"positives: expected a number or 'all', found {positives!r}") from error


def _split(split: Any) -> Any:
    """The name of a split, or the chromosomes of its parts."""
    from cistransfer.examples.split import Split

    if not isinstance(split, Mapping):
        return split
    asked = {field.name for field in fields(Split)}
    for name in split:
        if name not in asked:
            raise InputError(f"split: no entry {name!r}; {nearest(name, asked)}")
    values: dict[str, Any] = dict(split)
    return Split(**values)


def _tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(v) if isinstance(v, list) else v for name, v in options.items()}
