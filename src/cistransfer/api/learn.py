"""Make examples, pre-train, fine-tune."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from cistransfer.api.doors import (
    as_bundle,
    as_examples,
    as_genome,
    as_matrix,
    as_motifs,
    as_path,
    as_table,
    fill,
    found,
    is_path,
    is_place,
    refuse_others,
    whole_number,
)
from cistransfer.api.writes import writes
from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError, nearest
from cistransfer.examples.dataset import EXAMPLES, ExampleSet, counts, save_examples
from cistransfer.examples.draw import Draw, Matched
from cistransfer.examples.holdout import EXTRA, SPLITS, HoldOut, SplitOptions
from cistransfer.examples.make import examples_for
from cistransfer.examples.sources import (
    FromFasta,
    FromMatrix,
    FromPeaks,
    FromRegions,
    FromTFs,
    Source,
)
from cistransfer.examples.split import Split
from cistransfer.models.bundle import Bundle
from cistransfer.models.user_file import is_file_spec
from cistransfer.motifs.names import given_motifs, motif_tfs
from cistransfer.motifs.pwm import PWM
from cistransfer.options import arguments as fields_of
from cistransfer.progress import say
from cistransfer.relatives.answer import choice_lines, find_relatives
from cistransfer.relatives.options import DEFAULT_GROUP, GroupOptions, Sources
from cistransfer.storage import open_text
from cistransfer.training.finetune import finetune as train_finetuned
from cistransfer.training.pretrain import pretrain as train_trunk
from cistransfer.training.strategy import Strategy

__all__ = ["finetune", "make_examples", "open_bundle", "open_examples", "pretrain"]

PathLike = str | os.PathLike[str]


def open_bundle(model: Any, architecture: str | None = None) -> Bundle:
    """Open a trained model.

    Parameters
    ----------
    model : path or str
        A run folder, a bundle, or the name of a trunk that comes with the package.
    architecture : str, optional
        ``FILE.py:CLASS`` of a model whose network is your own.

    Examples
    --------
    >>> import cistransfer as ct
    >>> trunk = ct.open_bundle("general")
    >>> trunk.window, len(trunk.tasks), trunk.tasks[:3]
    (200, 151, ('AHR', 'AR', 'ARID3A'))
    """
    return as_bundle(model, architecture)


def open_examples(examples: Any) -> ExampleSet:
    """Open an example set: its own folder, or that of a run.

    Examples
    --------
    >>> import cistransfer as ct
    >>> ct.open_examples("trunk")
    <ExampleSet ELF1, SPI1, MAX: ... windows of 100 bp (train ..., valid ..., test ...)>
    """
    return as_examples(examples)


@writes("examples")
def make_examples(
    source: Any,
    *,
    trunk: Any = None,
    out: PathLike | None = None,
    split: Split | str | None = None,
    guard: str | None = None,
    holdout: HoldOut | None = None,
    draw: Draw | None = None,
    seed: int = 0,
    **options: Any,
) -> ExampleSet:
    """Make the examples that a model is trained, validated and tested on.

    Parameters
    ----------
    source : path, table, BindingMatrix or source
        Peaks (a file, a table, texts such as ``"chr1:100-300"``), with ``open_regions`` and
        ``genome``; a binding matrix with ``genome`` and ``tf`` (one TF) or ``tfs`` (several);
        sequences or regions with classes, with ``positive``; or a source such as `FromPeaks`.
    trunk : path, str or Bundle, optional
        What the model will start from: its window and split are taken, and what it has seen is
        kept out of the held-out parts.
    out : path, optional
        Folder to write the set into.
    split : Split or str, optional
        ``chromosome``, ``random``, ``neighbours``, or a `Split`; by default the trunk's, or by
        chromosome.
    guard : str, optional
        ``heldout``, ``all`` or ``off`` (see `HoldOut`).
    holdout : HoldOut, optional
        Instead of ``split`` and ``guard``.
    draw : Matched, …, optional
        How negatives are drawn, by default as is usual for the source.
    seed : int
    **options
        Of the source (``tf``, ``window``, ``blacklist``, ``rule`` …: `FromPeaks`, `FromMatrix`,
        `FromTFs`, `FromFasta`, `FromRegions`) and of the draw (``per_bound``, ``gc_bins``,
        ``positives``: `Matched`).

    Examples
    --------
    >>> import cistransfer as ct
    >>> ct.make_examples("matrix.h5", tf="GABPA", genome="data/genome.fa")
    <ExampleSet GABPA: ... windows of 100 bp (train ..., valid ..., test ...)>
    """
    bundle = None if trunk is None else as_bundle(trunk)
    made = _examples(source, bundle, split, guard, holdout, draw, seed, options, "tfs" in options)
    say(*made.notes())
    if out is not None:
        save_examples(as_path(out, "out"), made)
    return made


@writes("pretrain", ("bundle/card.json", "examples/dataset.json"))
def pretrain(
    source: Any,
    *,
    out: PathLike,
    target: str | None = None,
    group: str | None = None,
    choosing: GroupOptions | None = None,
    evidence: Sources | None = None,
    split: Split | str | None = None,
    strategy: str = "pretrain",
    architecture: str = "cnn",
    arguments: dict[str, Any] | None = None,
    epochs: int | None = None,
    motifs: Any = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    **options: Any,
) -> Bundle:
    """Pre-train a network on several TFs: a trunk for `finetune`.

    Parameters
    ----------
    source : path, BindingMatrix, FromTFs or ExampleSet
        A binding matrix, with ``genome`` and, if not all of them, ``tfs``; or examples.
    out : path
        Run folder. An interrupted run goes on, a finished one is opened.
    target, group : str, optional
        Choose the TFs for this target (see `find_relatives`).
    choosing, evidence : GroupOptions, Sources, optional
        How; or their fields as keyword arguments (``n``, ``peaks``, ``modes`` …).
    split, strategy, architecture, arguments, epochs, motifs, seed, device, precision
        See `cistransfer.training.pretrain.pretrain`. Motifs of the TFs that the source leaves out
        (``exclude``) are left out with them.
    **options
        Of the source (`FromTFs`).

    Examples
    --------
    >>> import cistransfer as ct
    >>> trunk = ct.pretrain("matrix.h5", tfs=["ELF1", "SPI1"], genome="data/genome.fa",
    ...                     epochs=1, strategy="short.toml", out="another-trunk")
    >>> trunk
    <Bundle another-trunk/bundle: cnn, 100 bp, 2 tasks (ELF1, SPI1)>
    """
    groups: list[type] = []
    if target is not None or group is not None:
        groups = [GroupOptions, Sources]
        choosing = choosing or fill(GroupOptions, options, "pretrain")
        evidence = evidence or fill(Sources, options, "pretrain")
    elif choosing is not None or evidence is not None:
        raise InputError("choosing and evidence have no meaning without a target or a group")
    if isinstance(source, Source):
        refuse_others(options, groups, "pretrain")
    elif isinstance(source, ExampleSet):
        refuse_others(options, [], "pretrain")
    else:
        source = _source(source, options, "pretrain", many=True, more=groups)
    if choosing is not None:
        if not isinstance(source, FromTFs):
            raise InputError("target and group choose TFs of a matrix; these examples are made")
        source = _chosen(source, target, group or DEFAULT_GROUP, choosing, evidence, seed)
    data = _examples(source, None, split, None, None, None, seed, {}, True)
    say(*data.notes())
    parts = ", ".join(f"{part} {len(data.rows(part)):,}" for part in counts(data))
    say(f"pre-training on {len(data.tasks)} tasks, {len(data.codes):,} regions ({parts})")
    return train_trunk(
        as_path(out, "out"),
        data,
        strategy=strategy,
        architecture=architecture,
        arguments=arguments,
        epochs=epochs,
        motifs=_of_others(as_motifs(motifs), source),
        seed=whole_number(seed, "seed"),
        device=device,
        precision=precision,
    )


def _of_others(motifs: Sequence[PWM], source: Any) -> Sequence[PWM]:
    """The motifs without those of TFs that the source leaves out by name: a trunk that is to know
    nothing of a TF must not start from its motif."""
    hidden = {tf.upper() for tf in source.exclude} if isinstance(source, FromTFs) else set()
    kept = [pwm for pwm in motifs if hidden.isdisjoint(motif_tfs(pwm))]
    if len(kept) < len(motifs):
        say(f"left out with their TFs: {len(motifs) - len(kept):,} of {len(motifs):,} motifs")
    return kept


@writes("finetune", ("bundle/card.json", "examples/dataset.json"))
def finetune(
    source: Any,
    *,
    trunk: Any,
    out: PathLike,
    motifs: Any = None,
    motif_tf: str | None = None,
    split: Split | str | None = None,
    guard: str | None = None,
    holdout: HoldOut | None = None,
    draw: Draw | None = None,
    strategy: str | Strategy | None = None,
    architecture: str | None = None,
    arguments: dict[str, Any] | None = None,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    **options: Any,
) -> Bundle:
    """Make a model for one TF, from a trunk or from scratch.

    Parameters
    ----------
    source : path, table, BindingMatrix, ExampleSet or source
        Your peaks with ``open_regions`` and ``genome``, and everything else that `make_examples`
        takes; or an example set (the folder of another run trains on exactly its examples).
    trunk : path, str or Bundle
        A run folder, a bundle, the name of a trunk (``"general"``), or ``"scratch"``.
    out : path
        Run folder. An interrupted run goes on, a finished one is opened.
    motifs : path, str, PWM or list of PWM, optional
        Motifs to read beside the network: a file, ``"jaspar"``, or motifs; the TF's are taken.
    motif_tf : str, optional
        Whose motifs to take, by default those of the examples' TF.
    split, guard, holdout, draw
        See `make_examples`. With examples that are made, ``guard="off"`` trains although the trunk
        has seen what they hold out.
    strategy, architecture, arguments, epochs, seed, device, precision
        See `cistransfer.training.finetune.finetune`.
    **options
        Of the source and of the draw: see `make_examples`.

    Returns
    -------
    Bundle
        Its examples are in ``out/examples``.

    Examples
    --------
    >>> import cistransfer as ct
    >>> ct.finetune("data/peaks/HNF4A.narrowPeak.gz", open_regions="data/open/HepG2.bed.gz",
    ...             genome="data/genome.fa", tf="HNF4A", trunk="trunk", out="HNF4A")
    <Bundle HNF4A/bundle: cnn with motifs, 100 bp, 1 tasks (HNF4A)>
    """
    from_scratch = trunk is None or (isinstance(trunk, str) and trunk == "scratch")
    if architecture is not None and not (from_scratch or is_file_spec(architecture)):
        raise InputError("architecture: a trunk brings its own network; a name goes with scratch")
    start = None if from_scratch else as_bundle(trunk, architecture)
    if start is None and guard is not None:
        raise InputError("guard has no meaning without a trunk; drop it")
    whole_number(seed, "seed")
    is_made = isinstance(source, ExampleSet) or _holds_examples(source)
    of_split = guard if not is_made else None
    data = _examples(source, start, split, of_split, holdout, draw, seed, options, False)
    say(*data.notes())
    for part, tasks in counts(data).items():
        bound = sum(row["bound"] for row in tasks.values())
        unbound = sum(row["unbound"] for row in tasks.values())
        more = part == EXTRA
        say(
            f"train, beside these: {unbound:,} unbound"
            if more
            else f"{part}: {bound:,} bound, {unbound:,} unbound"
        )
    given = None if motifs is None else given_motifs(motif_tf or data.tasks[0], as_motifs(motifs))
    if given is None and motif_tf is not None:
        raise InputError("motif_tf has no meaning without motifs; drop it")
    if given is not None:
        say(*given.lines())
    return train_finetuned(
        as_path(out, "out"),
        data,
        start,
        strategy=strategy,
        architecture=architecture or "cnn",
        arguments=arguments,
        epochs=epochs,
        motifs=() if given is None else given.pwms,
        guard=guard,
        seed=seed,
        device=device,
        precision=precision,
    )


def _examples(
    source: Any,
    trunk: Bundle | None,
    split: Split | str | None,
    guard: str | None,
    holdout: HoldOut | None,
    draw: Draw | None,
    seed: int,
    options: Mapping[str, Any],
    many: bool,
) -> ExampleSet:
    """The examples that are given or that a source makes."""
    whole_number(seed, "seed")
    if _holds_examples(source):
        source = as_examples(source)
    if isinstance(source, ExampleSet):
        told = {"split": split, "guard": guard, "holdout": holdout, "draw": draw, **options}
        for name, value in told.items():
            if value is not None:
                raise InputError(f"{name} has no meaning with examples that are made; drop it")
        return source
    more: list[type] = [] if draw is not None or many else [Matched]
    if not isinstance(source, Source):
        source = _source(source, options, "examples", many=many, more=more)
    else:
        refuse_others(options, more, type(source).__name__)
    of_draw = {field.name for field in fields(Matched)} & set(options)
    if draw is None and of_draw:
        if not isinstance(source.draw, Matched):
            raise InputError(f"{min(of_draw)} has no meaning with {type(source).__name__}; drop it")
        draw = fill(Matched, options, "examples")
    if holdout is None:
        if isinstance(split, str):
            if split not in SPLITS:
                raise InputError(f"no split {split!r}; {nearest(split, SPLITS)}")
            split = SplitOptions(by=split).split(seed)
        elif split is not None and not isinstance(split, Split):
            raise InputError(f"split: expected a Split or the name of one, found {found(split)}")
        holdout = HoldOut.of(trunk, split, guard)
    elif split is not None or guard is not None:
        raise InputError("name a holdout, or split and guard, not both")
    elif not isinstance(holdout, HoldOut):
        raise InputError(f"holdout: expected a HoldOut, found {found(holdout)}")
    return examples_for(source, trunk, holdout=holdout, draw=draw, seed=seed)


def _holds_examples(source: Any) -> bool:
    """Whether a path is the folder of an example set or of a run."""
    if not is_path(source) or not Path(source).is_dir():
        return False
    places = (Path(source), Path(source) / "examples")
    return any((place / EXAMPLES.marker).is_file() for place in places)


def _source(
    given: Any, options: Mapping[str, Any], what: str, *, many: bool, more: list[type]
) -> Source | ExampleSet:
    """The source that is meant by what a user has and the keyword arguments beside it."""
    if _holds_examples(given):
        refuse_others(options, [], what)
        return as_examples(given)
    group: type[Source]
    if isinstance(given, BindingMatrix) or (is_path(given) and _is_matrix(Path(given))):
        group, name, given = (FromTFs if many else FromMatrix), "matrix", as_matrix(given)
    elif many:
        raise InputError(
            f"{what}: expected a binding matrix (.h5) or an example set, found {found(given)}"
        )
    elif "positive" in options:
        path = as_path(given, "sequences or regions with classes")
        group, name = (FromFasta, "fasta") if _is_fasta(path) else (FromRegions, "labelled")
    else:
        group, name = FromPeaks, "peaks"
        if not is_path(given) or is_place(given):
            given = as_table(given)
    refuse_others(options, [group, *more], what)
    values = {**options, name: given}
    if values.get("genome") is not None:
        values["genome"] = as_genome(values["genome"])
    return fill(group, values, name)


def _is_matrix(path: Path) -> bool:
    if not path.is_file():
        return path.suffix in (".h5", ".hdf5")
    with open(path, "rb") as handle:
        return handle.read(8) == b"\x89HDF\r\n\x1a\n"


def _is_fasta(path: Path) -> bool:
    with open_text(path) as handle:
        return next((line for line in handle if line.strip()), "").startswith(">")


def _chosen(
    source: FromTFs,
    target: str | None,
    group: str,
    choosing: GroupOptions,
    evidence: Sources | None,
    seed: int,
) -> FromTFs:
    """The source with the TFs that are chosen for a target or a group."""
    if source.tfs:
        raise InputError("name the TFs (tfs), or let them be chosen (target, group), not both")
    matrix = as_matrix(source.matrix)
    answer = find_relatives(matrix, target, evidence, group=group)
    choice = answer.choose(group, **fields_of(choosing), seed=seed)
    say(*answer.notes, *choice_lines(choice, answer))
    return replace(source, matrix=matrix, tfs=choice.tfs)
